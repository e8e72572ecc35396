/* test_steward.c - what is asked is done in order and answered on the loop that asked. */
#include "control/steward.c"

#include <unistd.h>

#include "tests/test.h"

struct asker {
    struct loop *loop;
    unsigned worked, done, dropped;
    pthread_t worked_on;
    enum store_result result;
};

static void
work(struct store *s, void *arg)
{
    struct asker *a = arg;

    a->worked++;
    a->worked_on = pthread_self();
    a->result = store_run(s, "SELECT number FROM migrations", NULL, 0, NULL, NULL);
}

static void
done(void *arg)
{
    struct asker *a = arg;

    if (++a->done == 3)
        loop_stop(a->loop);
}

static void
drop(void *arg)
{
    struct asker *a = arg;

    a->dropped++;
}

static _Atomic unsigned rounds;

static void
count_round(struct store *s, void *arg)
{
    CHECK(store_begin(s) == STORE_OK);    /* not ended: the steward does */
    atomic_fetch_add((_Atomic unsigned *)arg, 1);
}

static struct steward *
make(const char *url)
{
    char why[256];
    struct steward *s = steward_create(str_c(url), WHY(why));

    EXPECT(s != NULL);
    return s;
}

TEST(jobs_are_done_on_its_thread_and_told_on_the_loop_that_asked)
{
    struct steward *s = make("sqlite::memory:");
    struct asker a = { .loop = loop_create() };
    const struct steward_job job = { work, done, drop, &a, a.loop };
    char why[256];

    EXPECT(steward_start(s, 10000, WHY(why)));
    EXPECT(steward_state(s) == STEWARD_UP);
    EXPECT_STR(str_c(steward_state_name(steward_state(s))), "up");
    EXPECT_STR(steward_store_name(s), "sqlite::memory:");
    for (int i = 0; i < 3; i++)
        EXPECT(steward_ask(s, &job));
    loop_run(a.loop);
    EXPECT(a.worked == 3 && a.done == 3 && a.result == STORE_OK);
    EXPECT(!pthread_equal(a.worked_on, pthread_self()));
    steward_close(s);
    EXPECT(steward_ask(s, &job));
    steward_destroy(s);
    EXPECT(a.worked == 4 && a.done == 3 && a.dropped == 1);
    loop_destroy(a.loop);
}

TEST(periodic_work_is_done_before_the_start_returns_when_hurried_and_at_the_end)
{
    struct steward *s = make("sqlite::memory:");
    char why[256];

    atomic_store(&rounds, 0);
    struct steward_work *w = steward_every(s, "count", 3600 * 1000, count_round, &rounds);
    EXPECT(steward_start(s, 10000, WHY(why)));
    EXPECT(atomic_load(&rounds) == 1);
    steward_hurry(w);
    while (atomic_load(&rounds) == 1)
        (void)usleep(1000);
    steward_destroy(s);
    EXPECT_INT(atomic_load(&rounds), 3);
}

TEST(without_a_store_jobs_are_answered_and_periodic_work_is_not_done)
{
    struct steward *s = make("off");
    struct asker a = { .loop = loop_create() };
    const struct steward_job job = { work, done, drop, &a, a.loop };
    struct steward_status status;
    char why[256];

    atomic_store(&rounds, 0);
    (void)steward_every(s, "count", 1, count_round, &rounds);
    EXPECT(steward_start(s, 10000, WHY(why)));
    for (int i = 0; i < 3; i++)
        EXPECT(steward_ask(s, &job));
    loop_run(a.loop);
    EXPECT(a.result == STORE_AWAY);
    steward_status(s, &status);
    EXPECT(status.state == STEWARD_OFF && strstr(status.why, "off") != NULL);
    steward_destroy(s);
    EXPECT_INT(atomic_load(&rounds), 0);
    loop_destroy(a.loop);
}

TEST(more_jobs_than_may_wait_are_refused)
{
    struct steward *s = make("off");    /* does not run: nothing is taken */
    struct asker a = { .loop = NULL };
    const struct steward_job job = { work, NULL, drop, &a, NULL };
    struct steward_status status;

    for (unsigned i = 0; i < STEWARD_JOBS_MOST; i++)
        EXPECT(steward_ask(s, &job));
    EXPECT(!steward_ask(s, &job));
    steward_status(s, &status);
    EXPECT_INT(status.refused, 1);
    steward_destroy(s);
    EXPECT_INT(a.worked, STEWARD_JOBS_MOST);
}

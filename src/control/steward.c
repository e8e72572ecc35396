/* steward.c - a loop of its own: jobs arrive as messages, periodic work by a timer.
 *
 * Waiting for the database blocks this loop and no other. Where the store stands is published after
 * everything that used it.
 */
#include "control/steward.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/timer.h"

#define WORKS_MOST 32u
#define RETRY_LEAST_MS 250
#define RETRY_MOST_MS 10000
#define POST_AGAIN_MS 20
#define LOOK_MS 1000
#define SILENT_MS 5000    /* a statement that takes longer means that the store is away */

struct steward_work {
    struct steward *steward;
    const char *name;
    uint64_t period_ms;
    void (*fn)(struct store *s, void *arg);
    void *arg;
    uint64_t due_ms;    /* clock_now_ms() */
    _Atomic bool hurried;
};

/* A job on its way: to the steward, then to the loop that asked. */
struct steward_errand {
    struct steward *steward;
    struct steward_job job;
    struct steward_errand *next;    /* among those that could not be posted yet */
};

struct steward {
    struct store *store;
    struct loop *loop;
    struct thread *thread;
    struct timer work_timer;     /* when the next periodic work is due */
    struct timer retry_timer;    /* when to try to connect again */
    struct timer post_timer;     /* when to tell again those whose loop was full */
    struct steward_errand *untold;
    uint64_t retry_ms;
    struct steward_work works[WORKS_MOST];
    size_t work_count;
    _Atomic uint64_t waiting, refused;
    _Atomic int state;
    _Atomic uint64_t busy_ms;    /* since when something uses the store, clock_now_ms(); 0: not now */
    pthread_mutex_t lock;        /* of what follows */
    pthread_cond_t opened_cond;
    clockid_t cpu_clock;    /* of the thread, once it is opened */
    bool opened;            /* the first attempt to open the store is over */
    bool closed;            /* no loop is told anything */
    struct steward_status said;
};

const char *
steward_state_name(enum steward_state state)
{
    static const char *const names[STEWARD_STATES] = { "off", "up", "away", "full", "bad" };

    return names[state];
}

/* --- where the store stands --- */

static void
log_state(const struct steward *s, enum steward_state before, uint64_t before_ms)
{
    const struct steward_status *now = &s->said;
    struct str name = store_name(s->store);
    struct log_context who = { .subject = name };

    if (now->state == STEWARD_UP && now->outages != 0)
        log_info(&who, "the store is back after %.1f s",
            (double)(now->since_wall_ms - MIN(before_ms, now->since_wall_ms)) / 1000);
    else if (now->state != STEWARD_UP && before != now->state)
        log_warn(&who, "the store is %s: %s; the gateway goes on without it and tries again",
            steward_state_name(now->state), now->why);
}

static enum steward_state
state_of(const struct store *store)
{
    static const enum steward_state of[] = { [STORE_OK] = STEWARD_UP,
        [STORE_CONFLICT] = STEWARD_UP,
        [STORE_AWAY] = STEWARD_AWAY,
        [STORE_FULL] = STEWARD_FULL,
        [STORE_BAD] = STEWARD_BAD };

    if (store_is_off(store))
        return STEWARD_OFF;
    enum steward_state state = of[store_trouble(store)];
    return state == STEWARD_UP && !store_is_connected(store) ? STEWARD_AWAY : state;
}

/* After everything that used the store. */
static void
publish(struct steward *s)
{
    enum steward_state now = state_of(s->store), before = s->said.state;
    uint64_t before_ms = s->said.since_wall_ms;

    atomic_store(&s->busy_ms, 0);

    if (!store_is_connected(s->store) && !timer_is_set(&s->retry_timer) && now != STEWARD_OFF)
        timer_set(&s->retry_timer, s->retry_ms);
    if (now == before && now == STEWARD_UP)
        return;
    (void)pthread_mutex_lock(&s->lock);
    str_copy_c(
        s->said.why, sizeof(s->said.why), now == STEWARD_UP ? S("") : str_c(store_why(s->store)));
    if (now != before) {
        s->said.outages += before == STEWARD_UP;
        s->said.state = now;
        s->said.since_wall_ms = clock_wall_ms();
        atomic_store(&s->state, now);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (now != before)
        log_state(s, before, before_ms);
}

/* --- periodic work --- */

static void
set_work_timer(struct steward *s)
{
    uint64_t now = clock_now_ms(), first = UINT64_MAX;

    for (size_t i = 0; i < s->work_count; i++)
        first = MIN(first, s->works[i].due_ms);
    if (first != UINT64_MAX)
        timer_set(&s->work_timer, first > now ? first - now : 1);
}

static void
do_work(struct steward *s, bool all)
{
    for (size_t i = 0; i < s->work_count && store_is_connected(s->store); i++) {
        struct steward_work *w = &s->works[i];
        bool hurried = atomic_exchange(&w->hurried, false);

        if (!all && !hurried && w->due_ms > clock_now_ms())
            continue;
        atomic_store(&s->busy_ms, clock_now_ms());
        w->fn(s->store, w->arg);
        store_rollback(s->store);    /* one that gave up in the middle */
        w->due_ms = clock_now_ms() + w->period_ms;
    }
    publish(s);
    if (store_is_connected(s->store))
        set_work_timer(s);
}

static void
on_work(void *arg)
{
    do_work(arg, false);
}

static void
on_hurry(void *arg)
{
    struct steward_work *w = arg;

    if (store_is_connected(w->steward->store))
        do_work(w->steward, false);
}

void
steward_hurry(struct steward_work *w)
{
    if (!atomic_load_explicit(&w->hurried, memory_order_relaxed) &&
        !atomic_exchange(&w->hurried, true) && !loop_post(w->steward->loop, on_hurry, w))
        atomic_store(&w->hurried, false);    /* its loop is awake anyway */
}

struct steward_work *
steward_every(struct steward *s, const char *name, uint64_t period_ms,
    void (*fn)(struct store *s, void *arg), void *arg)
{
    CHECK(s->thread == NULL && s->work_count < WORKS_MOST && period_ms != 0);
    struct steward_work *w = &s->works[s->work_count++];

    w->steward = s;
    w->name = name;
    w->period_ms = period_ms;
    w->fn = fn;
    w->arg = arg;
    return w;
}

/* --- connecting --- */

static void
open_store(struct steward *s)
{
    timer_stop(&s->retry_timer);
    if (store_connect(s->store) != STORE_OK || store_migrate(s->store) != STORE_OK) {
        store_disconnect(s->store);
        publish(s);
        s->retry_ms = MIN(2 * s->retry_ms, RETRY_MOST_MS);
        return;
    }
    s->retry_ms = RETRY_LEAST_MS;
    do_work(s, true);
}

static void
on_retry(void *arg)
{
    open_store(arg);
}

/* --- jobs --- */

static void
errand_drop(struct steward_errand *e)
{
    if (e->job.drop != NULL)
        e->job.drop(e->job.arg);
    free(e);
}

static void
on_done(void *arg)
{
    struct steward_errand *e = arg;

    e->job.done(e->job.arg);
    free(e);
}

/* False: its loop is full. */
static bool
tell(struct steward *s, struct steward_errand *e)
{
    bool told = true;

    (void)pthread_mutex_lock(&s->lock);
    bool closed = s->closed;
    if (!closed)    /* else the loop may be gone */
        told = loop_post(e->job.loop, on_done, e);
    (void)pthread_mutex_unlock(&s->lock);
    if (closed)
        errand_drop(e);
    return told;
}

static void
on_post_again(void *arg)
{
    struct steward *s = arg;
    struct steward_errand *list = s->untold, *e;

    s->untold = NULL;
    while ((e = list) != NULL) {
        list = e->next;
        if (tell(s, e))
            continue;
        e->next = s->untold;
        s->untold = e;
        timer_set(&s->post_timer, POST_AGAIN_MS);
    }
}

static void
on_job(void *arg)
{
    struct steward_errand *e = arg;
    struct steward *s = e->steward;

    atomic_store(&s->busy_ms, clock_now_ms());
    e->job.work(s->store, e->job.arg);
    store_rollback(s->store);
    atomic_fetch_sub(&s->waiting, 1);
    publish(s);
    if (e->job.loop == NULL || e->job.done == NULL) {
        free(e);
    } else if (!tell(s, e)) {
        e->next = s->untold;
        s->untold = e;
        timer_set(&s->post_timer, POST_AGAIN_MS);
    }
}

bool
steward_ask(struct steward *s, const struct steward_job *job)
{
    if (atomic_fetch_add(&s->waiting, 1) < STEWARD_JOBS_MOST) {
        struct steward_errand *e = check_alloc(calloc(1, sizeof(*e)));

        e->steward = s;
        e->job = *job;
        if (loop_post(s->loop, on_job, e))
            return true;
        free(e);
    }
    atomic_fetch_sub(&s->waiting, 1);
    atomic_fetch_add(&s->refused, 1);
    return false;
}

/* --- the thread --- */

/* So that a store which went away is noticed although nothing uses it, and one that was full
 * until it can be written again. */
static void
look(struct store *store, void *arg UNUSED)
{
    const struct store_value now = store_i64((int64_t)clock_wall_ms());

    if (store_trouble(store) == STORE_OK)
        (void)store_run(store, "SELECT 1", NULL, 0, NULL, NULL);
    else
        (void)store_run(store,
            "INSERT INTO facts (name, value) VALUES ('tried', CAST(CAST(?1 AS BIGINT) AS TEXT)) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            &now, 1, NULL, NULL);
}

struct steward *
steward_create(struct str url, struct why why)
{
    struct store *store = store_open(url, why);

    if (store == NULL)
        return NULL;
    struct steward *s = check_alloc(calloc(1, sizeof(*s)));
    s->store = store;
    s->loop = loop_create();
    s->retry_ms = RETRY_LEAST_MS;
    timer_init(&s->work_timer, s->loop, on_work, s);
    timer_init(&s->retry_timer, s->loop, on_retry, s);
    timer_init(&s->post_timer, s->loop, on_post_again, s);
    CHECK(pthread_mutex_init(&s->lock, NULL) == 0);
    CHECK(pthread_cond_init(&s->opened_cond, NULL) == 0);
    s->said.state = store_is_off(store) ? STEWARD_OFF : STEWARD_AWAY;
    s->said.since_wall_ms = clock_wall_ms();
    str_copy_c(s->said.why, sizeof(s->said.why),
        store_is_off(store) ? str_c(store_why(store)) : S("it is being opened"));
    atomic_init(&s->state, s->said.state);
    (void)steward_every(s, "look", LOOK_MS, look, NULL);
    return s;
}

static void
steward_main(void *arg)
{
    struct steward *s = arg;

    if (!store_is_off(s->store))
        open_store(s);
    (void)pthread_mutex_lock(&s->lock);
    CHECK(pthread_getcpuclockid(pthread_self(), &s->cpu_clock) == 0);
    s->opened = true;
    (void)pthread_cond_broadcast(&s->opened_cond);
    (void)pthread_mutex_unlock(&s->lock);
    loop_run(s->loop);
}

bool
steward_start(struct steward *s, uint64_t patience_ms, struct why why)
{
    struct timespec end;

    (void)clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += (time_t)(patience_ms / 1000);
    end.tv_nsec += (long)(patience_ms % 1000) * 1000000;
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    s->thread = thread_start("steward", steward_main, s);
    (void)pthread_mutex_lock(&s->lock);
    while (!s->opened && pthread_cond_timedwait(&s->opened_cond, &s->lock, &end) == 0)
        ;
    bool usable = !s->opened || s->said.state != STEWARD_BAD;
    if (!usable)
        (void)why_say(why, "%s", s->said.why);
    else if (s->said.state == STEWARD_AWAY)
        log_warn(NULL, "the store " STR_FMT " is not there yet: %s; the gateway starts without it",
            STR_ARG(store_name(s->store)), s->said.why);
    (void)pthread_mutex_unlock(&s->lock);
    return usable;
}

void
steward_close(struct steward *s)
{
    (void)pthread_mutex_lock(&s->lock);
    s->closed = true;
    (void)pthread_mutex_unlock(&s->lock);
}

static void
on_stop(void *arg)
{
    struct steward *s = arg;

    do_work(s, true);
    loop_stop(s->loop);
}

void
steward_destroy(struct steward *s)
{
    if (s == NULL)
        return;
    steward_close(s);
    if (s->thread != NULL) {
        while (!loop_post(s->loop, on_stop, s))
            (void)usleep(1000);
        thread_join(s->thread);
    }
    loop_take_posts(s->loop);
    timer_stop(&s->work_timer);
    timer_stop(&s->retry_timer);
    timer_stop(&s->post_timer);
    while (s->untold != NULL) {
        struct steward_errand *e = s->untold;

        s->untold = e->next;
        errand_drop(e);
    }
    loop_destroy(s->loop);
    store_close(s->store);
    (void)pthread_cond_destroy(&s->opened_cond);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

/* How long it has been waiting for one thing. */
static uint64_t
waits_ms(const struct steward *s)
{
    uint64_t since = atomic_load(&s->busy_ms), now = clock_now_ms();

    return since != 0 && now > since ? now - since : 0;
}

enum steward_state
steward_state(const struct steward *s)
{
    enum steward_state state = (enum steward_state)atomic_load(&s->state);

    return state == STEWARD_UP && waits_ms(s) > SILENT_MS ? STEWARD_AWAY : state;
}

void
steward_status(struct steward *s, struct steward_status *ret)
{
    (void)pthread_mutex_lock(&s->lock);
    struct timespec cpu = { .tv_sec = 0 };

    *ret = s->said;
    if (s->opened)
        (void)clock_gettime(s->cpu_clock, &cpu);
    (void)pthread_mutex_unlock(&s->lock);
    ret->state = steward_state(s);
    if (ret->state == STEWARD_AWAY && ret->why[0] == '\0') {
        uint64_t ms = waits_ms(s);

        ret->since_wall_ms = clock_wall_ms() - ms;
        (void)snprintf(
            ret->why, sizeof(ret->why), "it has not answered for %.1f s", (double)ms / 1000);
    }
    ret->waiting = atomic_load(&s->waiting);
    ret->refused = atomic_load(&s->refused);
    ret->cpu_s = (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
}

void
steward_write(struct steward *s, struct json_out *o)
{
    char stamp[CLOCK_STAMP_ROOM];
    struct steward_status status;
    uint64_t now_ms = clock_wall_ms();

    steward_status(s, &status);
    out_text(o, "state", str_c(steward_state_name(status.state)));
    out_text(o, "url", steward_store_name(s));
    out_text(o, "since", clock_stamp(status.since_wall_ms, stamp));
    out_i64(o, "since_age_ms", (int64_t)(now_ms - MIN(status.since_wall_ms, now_ms)));
    if (status.why[0] != '\0')
        out_text(o, "why", str_c(status.why));
    else
        out_null(o, "why");
    out_i64(o, "outages", (int64_t)status.outages);
}

struct str
steward_store_name(const struct steward *s)
{
    return store_name(s->store);
}

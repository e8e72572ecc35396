/* test_waiter.c - who is told, and when. */
#include "net/waiter.c"

#include "base/slots.h"

#include "tests/test.h"

struct waiting {
    struct loop *loop;
    struct slots slots;
    unsigned found, missed;
};

static void
look_up(void *to, uint64_t id)
{
    struct waiting *w = to;
    unsigned *counter = slots_find(&w->slots, id);

    if (counter != NULL)
        (*counter)++;
    else
        w->missed++;
    if (w->found + w->missed == 2)
        loop_stop(w->loop);
}

static void
end_a_query(void *arg UNUSED)
{
    waiter_wake_all();
}

TEST(those_who_wait_are_told_on_their_own_loop_or_nothing_happens_if_they_are_gone)
{
    struct waiting w = { .loop = loop_create() };
    struct waiter waiting[2];

    for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
        waiting[i] = (struct waiter){
            .loop = w.loop, .wake = look_up, .to = &w, .id = slots_add(&w.slots, &w.found)
        };
        waiter_join(&waiting[i], 60000);
    }
    thread_join(thread_start("query", end_a_query, NULL));
    EXPECT_INT(w.found, 0);    /* it is told later */
    waiter_leave(&waiting[1]);
    slots_drop(&w.slots, waiting[1].id);
    loop_run(w.loop);
    EXPECT(w.found == 1 && w.missed == 1);
    waiter_leave(&waiting[0]);
    slots_drop(&w.slots, waiting[0].id);
    slots_fini(&w.slots);
    loop_destroy(w.loop);
}

TEST(who_has_waited_long_enough_is_told_so)
{
    struct waiting w = { .loop = loop_create(), .missed = 1 };
    struct waiter waiting = {
        .loop = w.loop, .wake = look_up, .to = &w, .id = slots_add(&w.slots, &w.found)
    };

    waiter_join(&waiting, 5);
    loop_run(w.loop);
    EXPECT_INT(w.found, 1);
    EXPECT(!timer_is_set(&waiting.patience));
    waiter_leave(&waiting);
    slots_drop(&w.slots, waiting.id);
    slots_fini(&w.slots);
    loop_destroy(w.loop);
}

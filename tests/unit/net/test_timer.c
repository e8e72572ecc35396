/* test_timer.c - order, moving, stopping and destroying of timers, and that moving them is lazy. */
#include "net/timer.c"

#include "tests/unit/net/fixture.h"

struct alarm {
    struct timer *t;
    unsigned fired;
    unsigned order;
    struct alarm *destroys;
};

static unsigned fired_n;

static void
on_alarm(void *arg)
{
    struct alarm *a = arg;

    a->fired++;
    a->order = ++fired_n;
    if (a->destroys != NULL) {
        timer_destroy(a->destroys->t);
        a->destroys->t = NULL;
        a->destroys = NULL;
    }
}

TEST(timers_fire_in_the_order_of_their_times)
{
    struct loop *l = loop_create();
    struct alarm alarms[50] = { 0 };

    fired_n = 0;
    for (unsigned i = 0; i < 50; i++) {
        alarms[i].t = timer_create_on(l, on_alarm, &alarms[i]);
        timer_set(alarms[i].t, 1 + (i * 17) % 50);
    }
    RUN_UNTIL(l, fired_n == 50);
    for (unsigned i = 0; i < 50; i++) {
        EXPECT_INT(alarms[i].order, 1 + (i * 17) % 50);
        EXPECT(!timer_is_set(alarms[i].t));
        timer_destroy(alarms[i].t);
    }
    loop_destroy(l);
}

TEST(moving_a_timer_later_does_not_touch_the_heap)
{
    struct loop *l = loop_create();
    struct alarm a = { .t = timer_create_on(l, on_alarm, &a) };

    timer_set(a.t, 5);
    uint64_t at_ms = l->timers.slots[0].at_ms;
    timer_set(a.t, 60);
    EXPECT_INT(l->timers.slots[0].at_ms, at_ms);
    uint64_t began_ms = loop_now_ms(l);
    RUN_UNTIL(l, a.fired == 1);
    EXPECT(loop_now_ms(l) - began_ms >= 60);
    timer_destroy(a.t);
    loop_destroy(l);
}

TEST(moving_a_timer_earlier_makes_it_fire_earlier)
{
    struct loop *l = loop_create();
    struct alarm a = { .t = timer_create_on(l, on_alarm, &a) };
    struct alarm b = { .t = timer_create_on(l, on_alarm, &b) };

    fired_n = 0;
    timer_set(a.t, 60000);
    timer_set(b.t, 5000);
    RUN_FOR_MS(l, 5);
    timer_set(a.t, 5);
    RUN_UNTIL(l, a.fired == 1);
    EXPECT_INT(b.fired, 0);
    timer_destroy(a.t);
    timer_destroy(b.t);
    loop_destroy(l);
}

TEST(a_stopped_timer_stays_silent_and_can_be_set_again)
{
    struct loop *l = loop_create();
    struct alarm a = { .t = timer_create_on(l, on_alarm, &a) };

    timer_set(a.t, 5);
    EXPECT(timer_is_set(a.t));
    timer_stop(a.t);
    EXPECT(!timer_is_set(a.t));
    RUN_FOR_MS(l, 20);
    EXPECT_INT(a.fired, 0);
    timer_set(a.t, 5);
    RUN_UNTIL(l, a.fired == 1);
    timer_destroy(a.t);
    loop_destroy(l);
}

TEST(a_timer_may_destroy_another_that_is_due)
{
    struct loop *l = loop_create();
    struct alarm a = { .t = timer_create_on(l, on_alarm, &a) };
    struct alarm b = { .t = timer_create_on(l, on_alarm, &b) };

    a.destroys = &b;
    b.destroys = &a;
    timer_set(a.t, 5);
    timer_set(b.t, 5);
    RUN_UNTIL(l, a.fired + b.fired != 0);
    RUN_FOR_MS(l, 10);
    EXPECT_INT(a.fired + b.fired, 1);
    timer_destroy(a.t);
    timer_destroy(b.t);
    loop_destroy(l);
}

static void
set_again(void *arg)
{
    struct alarm *a = arg;

    a->fired++;
    timer_set(a->t, 0);
}

TEST(a_timer_that_sets_itself_to_now_lets_the_loop_turn)
{
    struct loop *l = loop_create();
    struct alarm a = { .t = timer_create_on(l, set_again, &a) };
    struct alarm b = { .t = timer_create_on(l, on_alarm, &b) };

    timer_set(a.t, 0);
    timer_set(b.t, 10);
    RUN_UNTIL(l, b.fired == 1);
    EXPECT(a.fired >= 1 && a.fired < 1000);
    timer_destroy(a.t);
    timer_destroy(b.t);
    loop_destroy(l);
}

TEST(a_heap_of_many_stays_in_order_whatever_is_destroyed)
{
    struct loop *l = loop_create();
    struct timer *timers[500];
    uint64_t last = 0;

    clock_seed_for_tests(7);
    for (int i = 0; i < 500; i++) {
        timers[i] = timer_create_on(l, tick_noop, NULL);
        timer_set(timers[i], 1 + clock_random_u64() % 100000);
    }
    for (int i = 0; i < 500; i += 2)
        timer_destroy(timers[i]);
    EXPECT_INT(l->timers.count, 250);
    for (int i = 1; i < 500; i += 4)
        timer_set(timers[i], 1 + clock_random_u64() % 100);
    while (l->timers.count != 0) {
        EXPECT(l->timers.slots[0].at_ms >= last);
        last = l->timers.slots[0].at_ms;
        heap_remove(&l->timers, 0);
    }
    for (int i = 1; i < 500; i += 2)
        timer_destroy(timers[i]);
    loop_destroy(l);
}

TEST(a_delay_beyond_all_time_is_the_end_of_time)
{
    struct loop *l = loop_create();
    struct timer *t = timer_create_on(l, tick_noop, NULL);

    timer_set(t, UINT64_MAX);
    EXPECT(timer_is_set(t));
    RUN_FOR_MS(l, 5);
    EXPECT(timer_is_set(t));
    timer_destroy(t);
    timer_destroy(NULL);
    loop_destroy(l);
}

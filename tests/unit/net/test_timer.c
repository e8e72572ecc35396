/* test_timer.c - order, moving and stopping of timers, and what the wheel costs. */
#include "net/timer.c"

#include "tests/unit/net/fixture.h"

enum { MANY = 2000 };

struct alarm {
    struct timer t;
    uint64_t due_ms;
    unsigned fired;
    unsigned order;
    struct alarm *stops;
};

static unsigned fired_n;

static void
on_alarm(void *arg)
{
    struct alarm *a = arg;

    a->fired++;
    a->order = ++fired_n;
    if (a->stops != NULL)
        timer_stop(&a->stops->t);
}

TEST(timers_fire_in_the_order_of_their_times)
{
    struct loop *l = loop_create();
    struct alarm alarms[50] = { 0 };

    fired_n = 0;
    for (unsigned i = 0; i < 50; i++) {
        timer_init(&alarms[i].t, l, on_alarm, &alarms[i]);
        timer_set(&alarms[i].t, 1 + (i * 17) % 50);
    }
    RUN_UNTIL(l, fired_n == 50);
    for (unsigned i = 0; i < 50; i++) {
        EXPECT_INT(alarms[i].order, 1 + (i * 17) % 50);
        EXPECT(!timer_is_set(&alarms[i].t));
    }
    loop_destroy(l);
}

TEST(moving_a_timer_later_leaves_it_in_its_slot)
{
    struct loop *l = loop_create();
    struct alarm a = { .fired = 0 };

    timer_init(&a.t, l, on_alarm, &a);
    timer_set(&a.t, 5);
    unsigned slot = a.t.slot;
    timer_set(&a.t, 60);
    EXPECT_INT(a.t.slot, slot);
    uint64_t began_ms = loop_now_ms(l);
    RUN_UNTIL(l, a.fired == 1);
    EXPECT(loop_now_ms(l) - began_ms >= 60);
    loop_destroy(l);
}

TEST(moving_a_timer_earlier_makes_it_fire_earlier)
{
    struct loop *l = loop_create();
    struct alarm a = { .fired = 0 }, b = { .fired = 0 };

    timer_init(&a.t, l, on_alarm, &a);
    timer_init(&b.t, l, on_alarm, &b);
    timer_set(&a.t, 60000);
    timer_set(&b.t, 5000);
    RUN_FOR_MS(l, 5);
    timer_set(&a.t, 5);
    RUN_UNTIL(l, a.fired == 1);
    EXPECT_INT(b.fired, 0);
    timer_stop(&b.t);
    loop_destroy(l);
}

TEST(a_timer_set_by_a_time_fires_at_the_earliest_of_them)
{
    struct loop *l = loop_create();
    struct alarm a = { .fired = 0 };
    uint64_t now_ms = loop_now_ms(l);

    timer_init(&a.t, l, on_alarm, &a);
    timer_set_by(&a.t, now_ms + 500);
    timer_set_by(&a.t, now_ms + 200);
    timer_set_by(&a.t, now_ms + 300);
    EXPECT_INT(a.t.at_ms, now_ms + 200);
    timer_set_by(&a.t, 0);    /* has passed */
    EXPECT_INT(a.t.at_ms, now_ms + 1);
    RUN_UNTIL(l, a.fired == 1);
    loop_destroy(l);
}

TEST(a_stopped_timer_stays_silent_and_can_be_set_again)
{
    struct loop *l = loop_create();
    struct alarm a = { .fired = 0 };

    timer_stop(&a.t);    /* zeroed memory */
    timer_init(&a.t, l, on_alarm, &a);
    timer_stop(&a.t);
    timer_set(&a.t, 5);
    EXPECT(timer_is_set(&a.t));
    timer_stop(&a.t);
    EXPECT(!timer_is_set(&a.t));
    EXPECT(timers_next_ms(l) == UINT64_MAX);
    RUN_FOR_MS(l, 20);
    EXPECT_INT(a.fired, 0);
    timer_set(&a.t, 5);
    RUN_UNTIL(l, a.fired == 1);
    loop_destroy(l);
}

TEST(a_timer_may_stop_another_that_is_due)
{
    struct loop *l = loop_create();
    struct alarm a = { .stops = NULL }, b = { .stops = &a };

    a.stops = &b;
    timer_init(&a.t, l, on_alarm, &a);
    timer_init(&b.t, l, on_alarm, &b);
    timer_set(&a.t, 5);
    timer_set(&b.t, 5);
    RUN_UNTIL(l, a.fired + b.fired != 0);
    RUN_FOR_MS(l, 10);
    EXPECT_INT(a.fired + b.fired, 1);
    loop_destroy(l);
}

static void
set_again(void *arg)
{
    struct alarm *a = arg;

    a->fired++;
    timer_set(&a->t, 0);
}

TEST(a_timer_that_sets_itself_to_now_lets_the_loop_turn)
{
    struct loop *l = loop_create();
    struct alarm a = { .fired = 0 }, b = { .fired = 0 };

    timer_init(&a.t, l, set_again, &a);
    timer_init(&b.t, l, on_alarm, &b);
    timer_set(&a.t, 0);
    timer_set(&b.t, 10);
    RUN_UNTIL(l, b.fired == 1);
    EXPECT(a.fired >= 1 && a.fired < 1000);
    timer_stop(&a.t);
    loop_destroy(l);
}

/* --- the wheel alone, with times of our own --- */

static struct wheel wheel;

static void
wheel_put(struct alarm *a, uint64_t at_ms)
{
    a->t.at_ms = a->due_ms = at_ms;
    wheel_link(&wheel, &a->t);
}

static bool
wheel_is_empty(void)
{
    unsigned slot;

    for (size_t i = 0; i < ARRAY_LEN(wheel.slots); i++)
        if (wheel.slots[i] != NULL)
            return false;
    for (size_t i = 0; i < WHEEL_LEVELS; i++)
        if (wheel.used[i] != 0)
            return false;
    return wheel.levels == 0 && wheel_next_ms(&wheel, &slot) == UINT64_MAX;
}

/* Random delays of all magnitudes, across a moment at which many digits of the time change. */
TEST(whatever_is_set_moved_and_stopped_each_timer_comes_in_its_millisecond)
{
    static struct alarm alarms[MANY];
    uint64_t now_ms = (UINT64_C(1) << 36) - 3000;
    unsigned left = 0;

    clock_seed_for_tests(7);
    wheel = (struct wheel){ .now_ms = now_ms };
    for (int i = 0; i < MANY; i++) {
        alarms[i] = (struct alarm){ 0 };
        wheel_put(&alarms[i], now_ms + 1 + (clock_random_u64() >> (40 + clock_random_u64() % 24)));
    }
    for (int i = 0; i < MANY; i++) {
        if (i % 3 == 0)
            wheel_unlink(&wheel, &alarms[i].t);
        else
            left++;
        if (i % 3 == 1)    /* moved later, where it is */
            alarms[i].t.at_ms = alarms[i].due_ms += clock_random_u64() % 10000;
    }
    while (left != 0) {
        struct timer *t;
        unsigned slot;
        uint64_t next_ms = wheel_next_ms(&wheel, &slot);

        EXPECT(next_ms != UINT64_MAX);
        now_ms = next_ms + clock_random_u64() % 3;
        while ((t = wheel_turn(&wheel, now_ms)) != NULL) {
            const struct alarm *a = CONTAINER_OF(t, struct alarm, t);

            EXPECT(a->due_ms == wheel.now_ms && t->prev == NULL);
            left--;
        }
        EXPECT(wheel.now_ms == now_ms);
    }
    EXPECT(wheel_is_empty());
}

TEST(a_far_timer_wakes_the_loop_a_few_times_only)
{
    struct alarm a = { 0 };
    unsigned turns = 0, slot;

    wheel = (struct wheel){ .now_ms = 123456789 };
    wheel_put(&a, wheel.now_ms + 600000);
    for (; wheel_next_ms(&wheel, &slot) < a.due_ms; turns++)
        EXPECT(wheel_turn(&wheel, wheel_next_ms(&wheel, &slot)) == NULL);
    EXPECT(turns <= 3);
    EXPECT(wheel_turn(&wheel, a.due_ms) == &a.t);
    EXPECT(wheel_is_empty());
}

TEST(a_delay_beyond_all_time_is_the_end_of_time)
{
    struct loop *l = loop_create();
    struct timer t;

    timer_init(&t, l, tick_noop, NULL);
    timer_set(&t, UINT64_MAX);
    EXPECT(timer_is_set(&t));
    RUN_FOR_MS(l, 5);
    EXPECT(timer_is_set(&t));
    timer_stop(&t);
    loop_destroy(l);
}

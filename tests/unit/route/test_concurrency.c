/* test_concurrency.c - the limit that a target gets, against simulated targets with a seed. */
#include "route/concurrency.c"

#include "tests/test.h"

#define MS UINT64_C(1000)
#define SECOND (1000 * MS)

/* A target that starts `slots` answers at once; others wait. Times to first token are `base_us`, and
 * the wait. */
struct target_model {
    unsigned slots;
    unsigned refuses_above;    /* 429 beyond so many; 0: never */
    uint64_t base_us;
    uint64_t stream_us;    /* how long an answer goes on after its first token */
};

#define MOST 4096

struct run {
    struct concurrency c;
    uint64_t now_us;
    uint64_t random;
    uint64_t ends_us[MOST];
    unsigned under_way;
    unsigned refused, answered;
};

static double
next_random(struct run *r)
{
    r->random = r->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(r->random >> 33) / (double)(UINT64_C(1) << 31);
}

static void
end_due(struct run *r)
{
    for (unsigned i = 0; i < r->under_way;) {
        if (r->ends_us[i] > r->now_us) {
            i++;
            continue;
        }
        r->ends_us[i] = r->ends_us[--r->under_way];
        concurrency_leave(&r->c);
    }
}

/* One request; the sample is noted at once, which is enough for a simulation. */
static void
ask(struct run *r, const struct target_model *t)
{
    if (!concurrency_enter(&r->c))
        return;
    if (t->refuses_above != 0 && r->under_way >= t->refuses_above) {
        concurrency_refused(&r->c, r->now_us);
        concurrency_leave(&r->c);
        r->refused++;
        return;
    }
    double wait = r->under_way >= t->slots ? (double)(r->under_way + 1) / t->slots : 1;
    uint64_t first_us = (uint64_t)((double)t->base_us * wait * (0.8 + 0.4 * next_random(r)));

    concurrency_answered(&r->c, first_us, r->now_us);
    EXPECT(r->under_way < MOST);
    r->ends_us[r->under_way++] = r->now_us + first_us + t->stream_us;
    r->answered++;
}

/* `per_s` requests a second for so long. */
static void
pass(struct run *r, const struct target_model *t, unsigned per_s, uint64_t for_us)
{
    for (uint64_t end_us = r->now_us + for_us; r->now_us < end_us; r->now_us += SECOND / per_s) {
        end_due(r);
        ask(r, t);
    }
}

TEST(the_limit_is_the_start_while_nothing_is_known)
{
    struct concurrency c = { .windows = 0 };

    EXPECT_INT(concurrency_limit(&c), CONCURRENCY_START);
    for (int i = 0; i < CONCURRENCY_START; i++)
        EXPECT(concurrency_enter(&c));
    EXPECT(!concurrency_enter(&c));
    concurrency_leave(&c);
    EXPECT(concurrency_enter(&c));
}

TEST(the_limit_grows_while_it_is_used_and_times_stay)
{
    static const struct target_model t = {
        .slots = 10000, .base_us = 300 * MS, .stream_us = SECOND
    };
    struct run r = { .now_us = SECOND, .random = 1 };

    pass(&r, &t, 400, 120 * SECOND);
    EXPECT(concurrency_limit(&r.c) > 200);
}

TEST(the_limit_does_not_grow_while_less_than_half_of_it_is_used)
{
    static const struct target_model t = {
        .slots = 10000, .base_us = 300 * MS, .stream_us = SECOND
    };
    struct run r = { .now_us = SECOND, .random = 2 };

    pass(&r, &t, 5, 300 * SECOND);    /* six or seven at a time */
    EXPECT_INT(concurrency_limit(&r.c), CONCURRENCY_START);
}

TEST(the_limit_falls_when_the_time_to_first_token_rises_and_recovers)
{
    static const struct target_model well = {
        .slots = 10000, .base_us = 300 * MS, .stream_us = SECOND
    };
    static const struct target_model slow = {
        .slots = 10000, .base_us = 3000 * MS, .stream_us = SECOND
    };
    struct run r = { .now_us = SECOND, .random = 3 };

    pass(&r, &well, 200, 60 * SECOND);
    unsigned before = concurrency_limit(&r.c);
    EXPECT(before > 100);
    pass(&r, &slow, 200, 5 * SECOND);
    unsigned during = concurrency_limit(&r.c);
    EXPECT(during < before / 2);
    pass(&r, &well, 200, 60 * SECOND);
    EXPECT(concurrency_limit(&r.c) > before / 2);
}

TEST(the_length_of_answers_does_not_drive_the_limit)
{
    static const struct target_model brief = {
        .slots = 10000, .base_us = 300 * MS, .stream_us = SECOND
    };
    static const struct target_model lengthy = {
        .slots = 10000, .base_us = 300 * MS, .stream_us = 60 * SECOND
    };
    struct run a = { .now_us = SECOND, .random = 4 };

    pass(&a, &brief, 200, 60 * SECOND);
    unsigned before = concurrency_limit(&a.c);
    pass(&a, &lengthy, 200, 60 * SECOND);
    EXPECT(concurrency_limit(&a.c) >= before);
}

TEST(a_refusal_takes_some_off_at_once_and_a_burst_of_them_no_more)
{
    struct concurrency c = { .windows = 0 };

    for (int i = 0; i < CONCURRENCY_START; i++)
        EXPECT(concurrency_enter(&c));
    for (int i = 0; i < CONCURRENCY_START; i++)
        concurrency_refused(&c, SECOND);
    EXPECT_INT(concurrency_limit(&c), 14);
    concurrency_refused(&c, 2 * SECOND - 1);
    EXPECT_INT(concurrency_limit(&c), 14);
    concurrency_refused(&c, 2 * SECOND);
    EXPECT_INT(concurrency_limit(&c), 9);
    for (uint64_t s = 3; s < 60; s++)
        concurrency_refused(&c, s * SECOND);
    EXPECT_INT(concurrency_limit(&c), 1);    /* never none */
}

TEST(a_refusal_of_a_target_that_is_hardly_used_does_not_close_it)
{
    struct concurrency c = { .windows = 0 };

    concurrency_refused(&c, SECOND);
    EXPECT_INT(concurrency_limit(&c), 7);
}

TEST(a_target_with_a_limit_of_its_own_is_found_out_and_hardly_asked_for_more)
{
    static const struct target_model t = {
        .slots = 10000, .refuses_above = 8, .base_us = 200 * MS, .stream_us = SECOND
    };
    struct run r = { .now_us = SECOND, .random = 5 };

    pass(&r, &t, 100, 60 * SECOND);
    unsigned refused = r.refused, answered = r.answered;
    EXPECT(refused * 5 < answered);    /* without a limit nine of ten would be */
    EXPECT(concurrency_limit(&r.c) >= 4 && concurrency_limit(&r.c) <= 16);
}

TEST(the_limit_settles_where_a_target_begins_to_queue)
{
    static const struct target_model t = {
        .slots = 40, .base_us = 500 * MS, .stream_us = 2 * SECOND
    };
    struct run r = { .now_us = SECOND, .random = 6 };

    pass(&r, &t, 400, 300 * SECOND);
    EXPECT(concurrency_limit(&r.c) >= 20 && concurrency_limit(&r.c) <= 160);
}

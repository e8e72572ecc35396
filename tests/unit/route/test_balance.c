/* test_balance.c - strategies that go by looks: which member is first, and how often. */
#include "route/balance.c"

#include "tests/test.h"

enum { MOST = 8, ROUNDS = 20000 };

static struct member members[MOST];
static struct look looks[MOST];
static struct standing list[MOST];
static struct alias alias;
static struct ask ask;
static size_t first_count[MOST];

static void
begin(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        members[i] = (struct member){ .weight = 1 };
        looks[i] = (struct look){ .cost_nanousd = COST_UNKNOWN, .quality = -1 };
        list[i] = (struct standing){ .member = &members[i], .number = i, .look = &looks[i] };
    }
    alias = (struct alias){ .score = { 1, 1, 1, 1 }, .quality_share = 0.9 };
    ask = (struct ask){ .seed = 1 };
}

static size_t
best(size_t n)
{
    size_t first = 0;

    for (size_t i = 1; i < n; i++)
        if (list[i].score < list[first].score)
            first = i;
    return first;
}

/* How often each comes first. */
static void
play(size_t n, void (*rank)(const struct alias *, struct standing *, size_t, struct ask *))
{
    memset(first_count, 0, sizeof(first_count));
    for (uint64_t i = 0; i < ROUNDS; i++) {
        ask = (struct ask){ .seed = i * 7919 };
        rank(&alias, list, n, &ask);
        first_count[best(n)]++;
    }
}

static double
share(size_t i)
{
    return (double)first_count[i] / ROUNDS;
}

TEST(the_least_busy_one_in_proportion_to_its_weight_is_first)
{
    begin(3);
    looks[0].busy = 4;
    looks[1].busy = 3;
    looks[2].busy = 9;
    members[2].weight = 4;
    play(3, strategy_least_busy);
    EXPECT_INT(first_count[2], ROUNDS);
    looks[2].busy = 13;
    play(3, strategy_least_busy);
    EXPECT_INT(first_count[1], ROUNDS);
}

TEST(of_idle_ones_each_is_first_as_often_as_its_weight_says)
{
    begin(3);
    members[1].weight = 2;
    play(3, strategy_least_busy);
    EXPECT(share(0) > 0.23 && share(0) < 0.27);
    EXPECT(share(1) > 0.48 && share(1) < 0.52);
}

TEST(latency_takes_the_better_of_two_and_never_the_slowest)
{
    begin(4);
    for (size_t i = 0; i < 4; i++)
        looks[i].first_token_us = (uint32_t)(100000 * (i + 1));
    play(4, strategy_latency);
    EXPECT(share(0) > 0.48 && share(0) < 0.52);    /* one pair in two has it */
    EXPECT(share(1) > 0.31 && share(1) < 0.36);
    EXPECT_INT(first_count[3], 0);
    for (size_t i = 0; i + 1 < 4; i++)    /* the rest in order, for failover */
        EXPECT(list[i].score < 0 || list[i + 1].score < 0 || list[i].score < list[i + 1].score);
}

TEST(a_crowded_target_is_as_one_that_is_slower)
{
    begin(2);
    looks[0].first_token_us = 100000;
    looks[1].first_token_us = 150000;
    play(2, strategy_latency);
    EXPECT_INT(first_count[0], ROUNDS);
    looks[0].busy = 40;
    play(2, strategy_latency);
    EXPECT_INT(first_count[1], ROUNDS);
    looks[1].first_token_us = 400000;    /* slower than the crowd makes the other one */
    play(2, strategy_latency);
    EXPECT_INT(first_count[0], ROUNDS);
}

TEST(what_is_not_known_is_tried_at_a_bounded_rate_and_by_one_request_at_a_time)
{
    begin(3);
    looks[0].first_token_us = 100000;
    looks[1].first_token_us = 120000;
    play(3, strategy_latency);
    EXPECT(share(2) > 0.08 && share(2) < 0.12);
    looks[2].busy = 1;
    play(3, strategy_latency);
    EXPECT_INT(first_count[2], 0);
}

TEST(what_was_slow_long_ago_is_tried_again_now_and_then)
{
    begin(3);
    looks[0].first_token_us = looks[1].first_token_us = 100000;
    looks[2].first_token_us = 5000000;
    play(3, strategy_latency);
    EXPECT_INT(first_count[2], 0);
    looks[2].stale = true;
    play(3, strategy_latency);
    EXPECT(share(2) > 0.015 && share(2) < 0.025);
}

TEST(while_nothing_is_known_the_less_crowded_of_two_is_first)
{
    begin(4);
    looks[0].busy = 20;
    play(4, strategy_latency);
    EXPECT_INT(first_count[0], 0);
    EXPECT(share(1) > 0.30 && share(1) < 0.37);
}

TEST(throughput_goes_by_the_speed_of_output)
{
    begin(2);
    looks[0].tokens_per_s = 50;
    looks[1].tokens_per_s = 180;
    looks[1].first_token_us = 9000000;
    play(2, strategy_throughput);
    EXPECT_INT(first_count[1], ROUNDS);
}

TEST(score_adds_up_how_much_worse_than_the_best_each_is)
{
    begin(3);
    looks[0] = (struct look){ .cost_nanousd = 100, .first_token_us = 400000, .quality = 50 };
    looks[1] = (struct look){ .cost_nanousd = 200, .first_token_us = 200000, .quality = 100 };
    looks[2] =
        (struct look){ .cost_nanousd = COST_UNKNOWN, .first_token_us = 400000, .quality = -1 };
    strategy_score(&alias, list, 3, &ask);
    EXPECT(fabs(list[0].score - 1.0) < 1e-9);
    EXPECT(fabs(list[1].score - 0.5) < 1e-9);
    EXPECT(fabs(list[2].score - 1.5) < 1e-9);
    alias.score = (struct score_weights){ .cost = 3 };
    strategy_score(&alias, list, 3, &ask);
    EXPECT(fabs(list[0].score) < 1e-9);
    EXPECT(fabs(list[1].score - 1.5) < 1e-9);
    looks[0].busy = 3;
    alias.score = (struct score_weights){ .load = 1 };
    strategy_score(&alias, list, 3, &ask);
    EXPECT(fabs(list[0].score - 0.75) < 1e-9);
    EXPECT(fabs(list[1].score) < 1e-9);
}

TEST(a_price_of_zero_is_the_best_and_no_other_is_as_good)
{
    begin(2);
    looks[0].cost_nanousd = 5;
    looks[1].cost_nanousd = 0;
    alias.score = (struct score_weights){ .cost = 1 };
    strategy_score(&alias, list, 2, &ask);
    EXPECT(list[1].score < list[0].score);
}

TEST(learned_is_the_cheapest_that_is_good_enough)
{
    begin(5);
    looks[0] = (struct look){ .quality = 98, .cost_nanousd = 900 };
    looks[1] = (struct look){ .quality = 90, .cost_nanousd = 100 };
    looks[2] = (struct look){ .quality = 60, .cost_nanousd = 10 };
    looks[3] = (struct look){ .quality = -1, .cost_nanousd = 1 };
    looks[4] = (struct look){ .quality = 95, .cost_nanousd = COST_UNKNOWN };
    strategy_learned(&alias, list, 5, &ask);
    EXPECT(list[1].score < list[0].score);    /* cheapest of the good ones, then the others */
    EXPECT(list[0].score < list[4].score);
    EXPECT(list[4].score < list[2].score);
    EXPECT(list[2].score < list[3].score);
    alias.quality_share = 0.5;
    strategy_learned(&alias, list, 5, &ask);
    EXPECT_INT(best(5), 2);
    alias.quality_share = 1;
    strategy_learned(&alias, list, 5, &ask);
    EXPECT_INT(best(5), 0);
}

/* test_price.c - each rule of billing, with sums that were worked out by hand. */
#include "catalog/price.c"

#include "tests/test.h"

/* Dollars per million tokens as the tables have them. */
#define USD(dollars) ((int64_t)((dollars)*1000000 + 0.5))
#define LIST(units, ...)                                                                           \
    {                                                                                              \
        (const int64_t[]){ __VA_ARGS__ }, (units)                                                  \
    }
#define BIT(unit) (1u << PRICE_##unit)

enum { MONDAY = 4 * 86400 };    /* 1970-01-05 00:00 UTC */

static const struct price_when always = { .wall_s = MONDAY };

/* $1 in, $0.10 cached, $1.25 written, $4 out. */
static const struct price_sheet plain = {
    .list = LIST(BIT(input) | BIT(cached_input) | BIT(cache_write) | BIT(output), USD(1), USD(0.1),
        USD(1.25), USD(4)),
};

static struct llm_usage
used(int64_t input, int64_t output)
{
    struct llm_usage u = { 0 };

    usage_set(&u, COUNT_INPUT, input);
    usage_set(&u, COUNT_OUTPUT, output);
    return u;
}

TEST(a_list_gives_each_price_that_it_has_and_no_other)
{
    EXPECT_INT(price_of(&plain.list, PRICE_input), 1000000);
    EXPECT_INT(price_of(&plain.list, PRICE_cached_input), 100000);
    EXPECT_INT(price_of(&plain.list, PRICE_cache_write), 1250000);
    EXPECT_INT(price_of(&plain.list, PRICE_output), 4000000);
    EXPECT_INT(price_of(&plain.list, PRICE_cache_write_1h), PRICE_UNKNOWN);
    EXPECT_INT(price_of(&plain.list, PRICES - 1), PRICE_UNKNOWN);
}

TEST(input_cache_and_output_each_have_their_price)
{
    struct llm_usage u = used(1000, 100);

    EXPECT_INT(price_cost(&plain, &u, &always), 1000000 + 400000);
    usage_set(&u, COUNT_CACHED, 600);
    EXPECT_INT(price_cost(&plain, &u, &always), 400000 + 60000 + 400000);
    usage_set(&u, COUNT_CACHE_WRITE, 200);
    EXPECT_INT(price_cost(&plain, &u, &always), 200000 + 60000 + 250000 + 400000);
    usage_set(&u, COUNT_REASONING, 50);    /* part of the output already */
    EXPECT_INT(price_cost(&plain, &u, &always), 200000 + 60000 + 250000 + 400000);
}

TEST(reasoning_and_audio_are_billed_once_and_at_their_own_price)
{
    const struct price_sheet s = {
        .list =
            LIST(BIT(input) | BIT(output) | BIT(reasoning) | BIT(audio_input) | BIT(audio_output),
                USD(1), USD(4), USD(8), USD(10), USD(20)),
    };
    struct llm_usage u = used(1000, 100);

    usage_set(&u, COUNT_REASONING, 30);
    /* 1000 x $1 + 70 x $4 + 30 x $8, per million */
    EXPECT_INT(price_cost(&s, &u, &always), 1000000 + 280000 + 240000);
    usage_set(&u, COUNT_AUDIO_INPUT, 400);
    usage_set(&u, COUNT_AUDIO_OUTPUT, 20);
    /* 600 x $1 + 400 x $10 + 50 x $4 + 30 x $8 + 20 x $20 */
    EXPECT_INT(price_cost(&s, &u, &always), 600000 + 4000000 + 200000 + 240000 + 400000);
}

/* Cohere's figures: what its hidden prompt adds, cached or not, is not billed. */
TEST(what_the_provider_says_it_bills_is_what_is_billed)
{
    struct llm_usage u = used(1568, 132);

    usage_set(&u, COUNT_CACHED, 992);
    usage_set(&u, COUNT_BILLED_INPUT, 135);
    usage_set(&u, COUNT_BILLED_OUTPUT, 78);
    EXPECT_INT(price_cost(&plain, &u, &always), 135000 + 4 * 78000);
    usage_set(&u, COUNT_REASONING, 100);    /* more than is billed of all output */
    EXPECT_INT(price_cost(&plain, &u, &always), 135000 + 4 * 78000);
    usage_set(&u, COUNT_BILLED_INPUT, 0);
    EXPECT_INT(price_cost(&plain, &u, &always), 4 * 78000);
}

TEST(a_fraction_of_a_nano_dollar_is_rounded_once_to_the_nearest)
{
    const struct price_sheet cheap = { .list = LIST(BIT(input) | BIT(output), 10, 10) };
    struct llm_usage u = used(149, 0);

    EXPECT_INT(price_cost(&cheap, &u, &always), 1);
    u = used(150, 0);
    EXPECT_INT(price_cost(&cheap, &u, &always), 2);
    u = used(30, 30);    /* 0.3 and 0.3 */
    EXPECT_INT(price_cost(&cheap, &u, &always), 1);
}

TEST(tokens_without_a_price_of_their_own_are_billed_as_input_or_output)
{
    const struct price_sheet s = { .list = LIST(BIT(input) | BIT(output), USD(1), USD(4)) };
    struct llm_usage u = used(1000, 100);

    usage_set(&u, COUNT_CACHED, 500);
    usage_set(&u, COUNT_CACHE_WRITE, 300);
    usage_set(&u, COUNT_AUDIO_INPUT, 100);
    usage_set(&u, COUNT_REASONING, 50);
    usage_set(&u, COUNT_AUDIO_OUTPUT, 50);
    EXPECT_INT(price_cost(&s, &u, &always), 1000000 + 400000);
}

TEST(what_is_cached_for_an_hour_has_its_own_price_or_that_of_five_minutes)
{
    const struct price_sheet s = {
        .list =
            LIST(BIT(input) | BIT(cache_write) | BIT(cache_write_1h), USD(1), USD(1.25), USD(2)),
    };
    struct llm_usage u = used(1000, 0);

    usage_set(&u, COUNT_CACHE_WRITE, 600);
    usage_set(&u, COUNT_CACHE_WRITE_1H, 200);
    /* 400 x $1 + 400 x $1.25 + 200 x $2 */
    EXPECT_INT(price_cost(&s, &u, &always), 400000 + 500000 + 400000);
    EXPECT_INT(price_cost(&plain, &u, &always), 400000 + 750000);
    usage_set(&u, COUNT_CACHE_WRITE_1H, 5000);    /* cut to what was written */
    EXPECT_INT(price_cost(&s, &u, &always), 400000 + 1200000);
}

TEST(parts_that_are_larger_than_the_whole_are_cut_to_it)
{
    struct llm_usage u = used(100, 10);

    usage_set(&u, COUNT_CACHED, 1000);
    usage_set(&u, COUNT_CACHE_WRITE, 1000);
    usage_set(&u, COUNT_AUDIO_INPUT, 1000);
    usage_set(&u, COUNT_REASONING, 1000);
    EXPECT_INT(price_cost(&plain, &u, &always), 10000 + 40000);
}

/* As Claude Haiku 5.5: five times as much above 100,000 tokens, where no price for an hour's cache
 * is listed. */
static const struct price_tier haiku_tiers[] = {
    { 100000, LIST(BIT(input) | BIT(cached_input) | BIT(cache_write) | BIT(output), USD(0.5),
                  USD(0.05), USD(0.625), USD(2.5)) },
};
static const struct price_sheet haiku = {
    .list = LIST(BIT(input) | BIT(cached_input) | BIT(cache_write) | BIT(output) |
                     BIT(batch_input) | BIT(batch_output),
        USD(0.1), USD(0.01), USD(0.125), USD(0.5), USD(0.05), USD(0.25)),
    .tiers = haiku_tiers,
    .tier_count = 1,
};

TEST(a_long_context_tier_bills_the_whole_request_once_it_is_above)
{
    struct llm_usage u = used(100000, 1000);

    EXPECT_INT(price_cost(&haiku, &u, &always), 10000000 + 500000);    /* $0.0105 */
    u = used(100001, 1000);
    EXPECT_INT(price_cost(&haiku, &u, &always), 50000500 + 2500000);
    usage_set(&u, COUNT_CACHED, 100000);    /* cached tokens count for the threshold */
    EXPECT_INT(price_cost(&haiku, &u, &always), 500 + 5000000 + 2500000);
}

TEST(of_several_tiers_the_highest_that_is_passed_applies)
{
    const struct price_tier tiers[] = { { 10, LIST(BIT(input), USD(2)) },
        { 20, LIST(BIT(input), USD(3)) } };
    const struct price_sheet s = {
        .list = LIST(BIT(input) | BIT(output), USD(1), USD(4)), .tiers = tiers, .tier_count = 2
    };
    struct llm_usage u = used(10, 1);

    EXPECT_INT(price_cost(&s, &u, &always), 10000 + 4000);
    u = used(11, 1);    /* what the tier does not name stays: output */
    EXPECT_INT(price_cost(&s, &u, &always), 22000 + 4000);
    u = used(21, 1);
    EXPECT_INT(price_cost(&s, &u, &always), 63000 + 4000);
}

TEST(what_a_tier_does_not_name_keeps_its_proportion_to_input)
{
    const struct price_tier tiers[] = { { 10, LIST(BIT(input) | BIT(output), USD(2), USD(6)) } };
    const struct price_sheet s = { .list = LIST(BIT(input) | BIT(cached_input) | BIT(output) |
                                                    BIT(reasoning),
                                       USD(1), USD(0.1), USD(4), USD(5)),
        .tiers = tiers,
        .tier_count = 1 };
    struct llm_usage u = used(20, 10);

    usage_set(&u, COUNT_CACHED, 10);
    usage_set(&u, COUNT_REASONING, 10);
    /* cached: $0.10 x 2 / 1; reasoning: $5 x 6 / 4 */
    EXPECT_INT(price_cost(&s, &u, &always), 20000 + 2000 + 75000);
}

TEST(a_service_tier_changes_all_prices_in_proportion_to_those_it_gives)
{
    struct price_when batch = { .wall_s = MONDAY, .service = SERVICE_BATCH };
    struct llm_usage u = used(1000, 100);

    EXPECT_INT(price_cost(&haiku, &u, &batch), 50000 + 25000);
    usage_set(&u, COUNT_CACHED, 1000);
    EXPECT_INT(price_cost(&haiku, &u, &batch), 5000 + 25000);
    u = used(200000, 100);    /* half of the long-context price */
    EXPECT_INT(price_cost(&haiku, &u, &batch), 50000000 + 125000);
}

TEST(a_service_tier_without_a_price_makes_the_cost_unknown)
{
    struct price_when flex = { .wall_s = MONDAY, .service = SERVICE_FLEX };
    struct llm_usage u = used(1000, 100);

    EXPECT_INT(price_cost(&haiku, &u, &flex), COST_UNKNOWN);
}

/* As DeepSeek: dear on weekdays from 01:00 to 04:00 and from 06:00 to 10:00 UTC. */
static const struct price_span peak[] = { { 0x1f, 60, 240 }, { 0x1f, 360, 600 } };
static const struct price_window off_peak = {
    .name = S_INIT("off_peak"),
    .outside = true,
    .spans = peak,
    .span_count = 2,
    .list = LIST(BIT(input) | BIT(cached_input) | BIT(output), USD(0.15), USD(0.003), USD(0.6)),
};
static const struct price_sheet deepseek = {
    .list = LIST(BIT(input) | BIT(cached_input) | BIT(output), USD(0.3), USD(0.006), USD(1.2)),
    .windows = &off_peak,
    .window_count = 1,
};

TEST(a_window_of_the_week_has_its_own_prices)
{
    static const struct {
        int64_t wall_s;
        bool dear;
    } times[] = {
        { MONDAY, false },
        { MONDAY + 3600 - 1, false },
        { MONDAY + 3600, true },
        { MONDAY + 4 * 3600 - 1, true },
        { MONDAY + 4 * 3600, false },
        { MONDAY + 6 * 3600, true },
        { MONDAY + 10 * 3600, false },
        { MONDAY + 4 * 86400 + 7 * 3600, true },     /* Friday */
        { MONDAY + 5 * 86400 + 7 * 3600, false },    /* Saturday */
        { MONDAY - 86400 + 7 * 3600, false },        /* Sunday */
        { 1795503600, true },                        /* 2026-11-24 07:00 UTC, a Tuesday */
        { 1795503600 + 5 * 86400, false },
    };
    struct llm_usage u = used(1000, 1000);

    usage_set(&u, COUNT_CACHED, 500);
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        struct price_when when = { .wall_s = times[i].wall_s };

        /* 500 x $0.30 + 500 x $0.006 + 1000 x $1.20, or half of it */
        EXPECT_INT(price_cost(&deepseek, &u, &when), times[i].dear ? 1353000 : 676500);
    }
}

TEST(what_was_used_in_the_past_is_billed_as_it_was_then)
{
    const struct price_sheet first = { .list = LIST(BIT(input), USD(5)), .since_s = 1000 };
    const struct price_sheet second = {
        .list = LIST(BIT(input), USD(4)), .since_s = 2000, .older = &first
    };
    struct llm_usage u = used(10, 0);

    EXPECT_INT(price_cost(&second, &u, &(struct price_when){ .wall_s = 2000 }), 40000);
    EXPECT_INT(price_cost(&second, &u, &(struct price_when){ .wall_s = 1999 }), 50000);
    EXPECT_INT(price_cost(&second, &u, &(struct price_when){ .wall_s = 999 }), COST_UNKNOWN);
    EXPECT(price_sheet_at(&second, 1500) == &first && price_sheet_at(NULL, 0) == NULL);
}

TEST(a_price_per_request_comes_on_top)
{
    /* $0.005 a request */
    const struct price_sheet s = { .list =
                                       LIST(BIT(input) | BIT(per_request), USD(1), 5000000000) };
    struct llm_usage u = used(1000, 0);

    EXPECT_INT(price_cost(&s, &u, &always), 1000000 + 5000000);
}

TEST(what_is_not_known_is_never_taken_for_zero)
{
    const struct price_sheet no_output = { .list = LIST(BIT(input), USD(1)) };
    const struct price_sheet none = { .list = { NULL, 0 } };
    const struct price_sheet plan = { .list = LIST(BIT(input) | BIT(output), 0, 0), .plan = true };
    const struct price_sheet free_of_charge = { .list = LIST(BIT(input) | BIT(output), 0, 0) };
    struct llm_usage u = { 0 };

    EXPECT_INT(price_cost(&plain, &u, &always), COST_UNKNOWN);
    usage_set(&u, COUNT_INPUT, 10);
    EXPECT_INT(price_cost(NULL, &u, &always), COST_UNKNOWN);
    EXPECT_INT(price_cost(&none, &u, &always), COST_UNKNOWN);
    EXPECT_INT(price_cost(&no_output, &u, &always), 10000);    /* no output, no need of its price */
    usage_set(&u, COUNT_OUTPUT, 1);
    EXPECT_INT(price_cost(&no_output, &u, &always), COST_UNKNOWN);
    EXPECT_INT(price_cost(&plan, &u, &always), COST_UNKNOWN);
    EXPECT_INT(price_cost(&free_of_charge, &u, &always), 0);
}

TEST(absurd_counts_are_unknown_instead_of_overflowing)
{
    struct llm_usage u = used(0, 0);

    u.input = INT64_MAX;
    EXPECT_INT(price_cost(&plain, &u, &always), COST_UNKNOWN);
    u.input = INT64_MAX / 1000000;
    u.output = INT64_MAX / 4000000;
    EXPECT_INT(price_cost(&plain, &u, &always), COST_UNKNOWN);
    u = used(-5, 0);
    EXPECT_INT(price_cost(&plain, &u, &always), 0);
}

TEST(a_proportion_is_rounded_and_never_made_up)
{
    EXPECT_INT(in_proportion(10, 1, 3), 3);
    EXPECT_INT(in_proportion(10, 1, 4), 3);    /* 2.5 */
    EXPECT_INT(in_proportion(0, -1, 0), 0);
    EXPECT_INT(in_proportion(10, -1, 3), PRICE_UNKNOWN);
    EXPECT_INT(in_proportion(10, 5, 0), PRICE_UNKNOWN);
    EXPECT_INT(in_proportion(INT64_MAX, 3, 2), PRICE_UNKNOWN);
}

TEST(a_guess_is_billed_as_the_usage_that_it_expects)
{
    struct price_guess guess = { .input = 1000, .cached = 600, .written = 200, .output = 100 };

    EXPECT_INT(price_expect(&plain, &guess), 200000 + 60000 + 250000 + 400000);
    guess.cached = 5000;    /* more than there is */
    EXPECT_INT(price_expect(&plain, &guess), 100000 + 400000);
    EXPECT_INT(price_expect(NULL, &guess), COST_UNKNOWN);
    guess = (struct price_guess){ .input = 150000, .output = 10 };
    EXPECT_INT(price_expect(&haiku, &guess), 75000000 + 25000);
}

/* $0.002 a search; a table of a host that counts tokens. */
TEST(a_ranking_is_billed_by_searches_or_else_by_tokens)
{
    const struct price_sheet searches = {
        .list = LIST(BIT(per_query), 2000000 * INT64_C(1000)),
    };
    struct llm_usage u = { 0 };

    usage_set(&u, COUNT_SEARCHES, 3);
    EXPECT_INT(price_cost(&searches, &u, &always), 6000000);
    EXPECT_INT(price_cost(&plain, &u, &always), COST_UNKNOWN);
    usage_set(&u, COUNT_INPUT, 1000);
    usage_set(&u, COUNT_OUTPUT, 0);
    EXPECT_INT(price_cost(&searches, &u, &always), 6000000);
    EXPECT_INT(price_cost(&plain, &u, &always), 1000000);
    EXPECT_INT(
        price_expect(&searches, &(struct price_guess){ .input = 9, .when = always }), 2000000);
}

/* test_headroom.c - what is left of limits, in the spelling of each provider. */
#include "llm/headroom.c"

#include "base/clock.h"
#include "tests/test.h"

#define NOW_S INT64_C(1795258487)    /* 2026-11-21T10:54:47Z */

struct row {
    const char *pairs[13];
    struct headroom expected;
};

static struct http_fields
fields_of(struct http_field *room, const char *const *pairs)
{
    struct http_fields f = { room, 0 };

    for (; pairs[0] != NULL; pairs += 2)
        room[f.count++] = (struct http_field){ str_c(pairs[0]), str_c(pairs[1]) };
    return f;
}

static void
check_rows(const struct row *rows, size_t n)
{
    struct http_field room[8];

    clock_set_for_tests(1, (uint64_t)NOW_S * 1000);
    for (size_t i = 0; i < n; i++) {
        struct http_fields f = fields_of(room, rows[i].pairs);
        const struct headroom *want = &rows[i].expected;
        struct headroom h;
        bool said = want->requests >= 0 || want->tokens >= 0;

        EXPECT(headroom_read(&f, &h) == said);
        EXPECT_INT(h.requests, want->requests);
        EXPECT_INT(h.tokens, want->tokens);
        EXPECT_INT(h.requests_reset_ms, want->requests_reset_ms);
        EXPECT_INT(h.tokens_reset_ms, want->tokens_reset_ms);
    }
    clock_set_for_tests(0, 0);
}

TEST(every_provider_spells_it_in_its_own_way)
{
    static const struct row rows[] = {
        { { "x-ratelimit-limit-requests", "5000", "x-ratelimit-remaining-requests", "4999",
              "x-ratelimit-reset-requests", "12ms", "x-ratelimit-limit-tokens", "160000",
              "x-ratelimit-remaining-tokens", "15000", "x-ratelimit-reset-tokens", "6m0s" },
            { 4999, 15000, 12, 360000 } },
        { { "anthropic-ratelimit-requests-remaining", "0", "anthropic-ratelimit-requests-reset",
              "2026-11-21T10:54:57Z", "anthropic-ratelimit-input-tokens-remaining", "40000",
              "anthropic-ratelimit-input-tokens-reset", "2026-11-21T10:55:47Z",
              "anthropic-ratelimit-output-tokens-remaining", "8000" },
            { 0, 40000, 10000, 60000 } },
        { { "x-ratelimit-remaining-requests-day", "14399", "x-ratelimit-reset-requests-day",
              "33011.38", "x-ratelimit-remaining-tokens-minute", "59900",
              "x-ratelimit-reset-tokens-minute", "11.38" },
            { 14399, 59900, 33011380, 11380 } },
        { { "x-ratelimit-remaining-req-minute", "59", "x-ratelimit-remaining-req-10-second", "2",
              "x-ratelimit-remaining-tokens-minute", "499000", "x-ratelimit-remaining-tokens-month",
              "900000000" },
            { 2, 499000, RESET_UNSAID_MS, RESET_UNSAID_MS } },
        { { "X-RateLimit-Limit", "20", "X-RateLimit-Remaining", "7", "X-RateLimit-Reset",
              "1795258490000" },
            { 7, HEADROOM_UNSAID, 3000, 0 } },
        { { "x-ratelimit-remaining", "5", "x-ratelimit-reset", "1", "x-tokenlimit-remaining",
              "1200" },
            { 5, 1200, 1000, RESET_UNSAID_MS } },
        { { "x-ratelimitbysize-remaining-minute", "4800" },
            { HEADROOM_UNSAID, 4800, 0, RESET_UNSAID_MS } },
    };

    check_rows(rows, ARRAY_LEN(rows));
}

TEST(of_several_limits_the_one_with_the_least_left_counts)
{
    static const struct row rows[] = {
        { { "x-ratelimit-remaining-tokens-minute", "0", "x-ratelimit-reset-tokens-minute", "20",
              "x-ratelimit-remaining-tokens-day", "0", "x-ratelimit-reset-tokens-day", "3600" },
            { HEADROOM_UNSAID, 0, 0, 3600000 } },
        { { "anthropic-ratelimit-input-tokens-remaining", "9000",
              "anthropic-ratelimit-output-tokens-remaining", "0",
              "anthropic-ratelimit-output-tokens-reset", "2026-11-21T10:54:49Z" },
            { HEADROOM_UNSAID, 0, 0, 2000 } },
        { { "x-ratelimit-remaining-tokens", "-4" }, { HEADROOM_UNSAID, 0, 0, RESET_UNSAID_MS } },
        { { "x-ratelimit-remaining-requests", "0.6" }, { 0, HEADROOM_UNSAID, RESET_UNSAID_MS, 0 } },
    };

    check_rows(rows, ARRAY_LEN(rows));
}

TEST(what_makes_no_sense_is_as_if_it_was_not_said)
{
    static const struct row rows[] = {
        { { "x-ratelimit-remaining-requests", "many" },
            { HEADROOM_UNSAID, HEADROOM_UNSAID, 0, 0 } },
        { { "x-ratelimit-remaining-requests", "" }, { HEADROOM_UNSAID, HEADROOM_UNSAID, 0, 0 } },
        { { "x-ratelimit-limit-requests", "5" }, { HEADROOM_UNSAID, HEADROOM_UNSAID, 0, 0 } },
        { { "x-remaining-patience-of-us", "5" }, { HEADROOM_UNSAID, HEADROOM_UNSAID, 0, 0 } },
        { { "", "1", "x", "2", "content-type", "text/plain" },
            { HEADROOM_UNSAID, HEADROOM_UNSAID, 0, 0 } },
        { { "x-ratelimit-remaining-requests", "9999999999999" },
            { TOKENS_MOST, HEADROOM_UNSAID, RESET_UNSAID_MS, 0 } },
    };

    check_rows(rows, ARRAY_LEN(rows));
}

TEST(no_more_than_a_few_limits_are_looked_at)
{
    struct http_field room[2 * LIMITS];
    struct http_fields f = { room, 2 * LIMITS };
    struct headroom h;

    for (size_t i = 0; i < f.count; i++)
        room[i] = (struct http_field){ S("x-ratelimit-remaining-requests"),
            i < LIMITS ? S("5") : S("1") };
    EXPECT(headroom_read(&f, &h));
    EXPECT_INT(h.requests, 5);
}

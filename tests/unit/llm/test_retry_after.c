/* test_retry_after.c - when a provider would take a request that it refused, in its own spelling. */
#include "llm/retry_after.c"

#include "tests/test.h"

#define NOW_S INT64_C(1795258487)    /* 2026-11-21T10:54:47Z */
#define DAY_MS RETRY_AFTER_MOST_MS

static struct http_fields
fields_of(struct http_field *room, const char *const *pairs)
{
    struct http_fields f = { room, 0 };

    for (; pairs[0] != NULL; pairs += 2)
        room[f.count++] = (struct http_field){ str_c(pairs[0]), str_c(pairs[1]) };
    return f;
}

TEST(what_is_asked_for_is_milliseconds_seconds_or_a_date)
{
    static const struct {
        const char *pairs[5];
        int64_t ms;
    } rows[] = {
        { { "retry-after", "2" }, 2000 },
        { { "Retry-After", "0" }, 1 },
        { { "retry-after", "1.5" }, 1500 },
        { { "retry-after", "0.0001" }, 1 },
        { { "retry-after-ms", "1500" }, 1500 },
        { { "x-ms-retry-after-ms", "20" }, 20 },
        { { "retry-after", "9", "retry-after-ms", "1500" }, 1500 },
        { { "retry-after", "9", "retry-after-ms", "soon" }, 9000 },
        { { "retry-after", "99999999" }, DAY_MS },
        { { "retry-after-ms", "18446744073709551615" }, DAY_MS },
        { { "retry-after", "18446744073709551616" }, 0 },
        { { "retry-after", "-1" }, 0 },
        { { "retry-after", "1.", NULL }, 0 },
        { { "retry-after", ".5" }, 0 },
        { { "retry-after", "1e9" }, 0 },
        { { "retry-after", "NaN" }, 0 },
        { { "retry-after", "" }, 0 },
        { { "retry-after", "soon" }, 0 },
        { { "retry-after", "Sat, 21 Nov 2026 10:55:00 GMT" }, 13000 },
        { { "retry-after", "Sat, 21 Nov 2020 10:55:00 GMT" }, 1 },
        { { "retry-after", "Sun, 21 Nov 2100 10:55:00 GMT" }, DAY_MS },
        { { "x", "1" }, 0 },
    };
    struct http_field room[4];

    clock_set_for_tests(1, (uint64_t)NOW_S * 1000);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_fields f = fields_of(room, rows[i].pairs);

        EXPECT_INT(retry_after_asked_ms(&f), rows[i].ms);
    }
    clock_set_for_tests(0, 0);
}

TEST(only_the_reset_of_a_limit_that_is_used_up_counts)
{
    static const struct {
        const char *pairs[13];
        int64_t ms;
    } rows[] = {
        /* OpenAI and Groq: durations */
        { { "x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "1s",
              "x-ratelimit-remaining-tokens", "149984", "x-ratelimit-reset-tokens", "6m0s" },
            1000 },
        { { "x-ratelimit-remaining-requests", "9", "x-ratelimit-reset-requests", "1s",
              "x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "6m0s" },
            360000 },
        { { "x-ratelimit-remaining-requests", "9", "x-ratelimit-reset-requests", "1s",
              "x-ratelimit-remaining-tokens", "1", "x-ratelimit-reset-tokens", "6m0s" },
            0 },
        { { "x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "2m59.56s",
              "x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "88ms" },
            179560 },
        { { "X-RateLimit-Reset-Tokens", "7.66s", "X-RateLimit-Remaining-Tokens", "0" }, 7660 },
        /* Azure: seconds; Cerebras: by its window */
        { { "x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "10" }, 10000 },
        { { "x-ratelimit-remaining-tokens-minute", "0", "x-ratelimit-reset-tokens-minute", "11.382",
              "x-ratelimit-remaining-requests-day", "5", "x-ratelimit-reset-requests-day",
              "33011.3" },
            11382 },
        /* Anthropic: timestamps */
        { { "anthropic-ratelimit-requests-remaining", "3", "anthropic-ratelimit-requests-reset",
              "2026-11-21T11:54:47Z", "anthropic-ratelimit-input-tokens-remaining", "0",
              "anthropic-ratelimit-input-tokens-reset", "2026-11-21T10:54:57Z" },
            10000 },
        { { "anthropic-ratelimit-tokens-remaining", "0", "anthropic-ratelimit-tokens-reset",
              "2026-11-21T10:54:40Z" },
            0 },    /* over */
        /* Together, OpenRouter, older Mistral: one limit; since 1970 or from now */
        { { "x-ratelimit-reset", "30" }, 30000 },
        { { "x-ratelimit-reset", "1795258490", "x-ratelimit-remaining", "0" }, 3000 },
        { { "X-RateLimit-Reset", "1795258490500" }, 3500 },
        { { "X-RateLimit-Reset", "1795258480500" }, 0 },
        { { "x-ratelimit-reset", "30", "x-ratelimit-remaining", "1" }, 0 },
        { { "ratelimit-reset", "5", "ratelimit-remaining", "0" }, 5000 },
        { { "ratelimitbysize-reset", "7", "ratelimitbysize-remaining", "-3" }, 7000 },
        /* what makes no sense */
        { { "x-ratelimit-reset-tokens", "1s" }, 0 },    /* of which limit? */
        { { "x-ratelimit-remaining-tokens", "", "x-ratelimit-reset-tokens", "1s" }, 0 },
        { { "x-ratelimit-remaining-tokens", "0.5", "x-ratelimit-reset-tokens", "1s" }, 0 },
        { { "x-ratelimit-reset", "1s1m" }, 0 },
        { { "x-ratelimit-reset", "1x" }, 0 },
        { { "x-ratelimit-reset", "-1s" }, 0 },
        { { "x-ratelimit-reset", "s" }, 0 },
        { { "x-ratelimit-reset", "" }, 0 },
        { { "x-ratelimit-reset", "9999999999999999999" }, 0 },
        { { "x-ratelimit-reset", "99999999999999999999999" }, 0 },
        { { "x-ratelimit-reset", "9999999999d" }, DAY_MS },
        { { "x-ratelimit-reset", "3d" }, DAY_MS },
        { { "x-preset-ratelimit", "3" }, 0 },
        { { "reset", "3" }, 0 },
        { { "x-reset", "3" }, 0 },
    };
    struct http_field room[8];

    clock_set_for_tests(1, (uint64_t)NOW_S * 1000);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_fields f = fields_of(room, rows[i].pairs);

        EXPECT_INT(retry_after_reset_ms(&f), rows[i].ms);
    }
    clock_set_for_tests(0, 0);
}

TEST(no_more_than_some_limits_are_looked_at)
{
    struct http_field room[100];
    struct http_fields f = { room, ARRAY_LEN(room) };

    for (size_t i = 0; i < f.count; i++)
        room[i] = (struct http_field){ S("x-ratelimit-reset"), i == 99 ? S("9") : S("4") };
    EXPECT_INT(retry_after_reset_ms(&f), 4000);
}

TEST(an_error_s_object_has_members_for_it)
{
    static const struct {
        const char *error;
        int64_t ms;
    } rows[] = {
        { "{\"details\":[{\"@type\":\"QuotaFailure\"},{\"@type\":\"RetryInfo\",\"retryDelay\":"
          "\"17s\"}]}",
            17000 },
        { "{\"details\":[{\"retryDelay\":\"34.4s\"}]}", 34400 },
        { "{\"details\":[{\"retryDelay\":17},7,\"x\"]}", 0 },
        { "{\"details\":{\"retryDelay\":\"17s\"}}", 0 },
        { "{\"metadata\":{\"headers\":{\"X-RateLimit-Reset\":\"1795258490000\","
          "\"X-RateLimit-Remaining\":\"0\"}}}",
            3000 },
        { "{\"metadata\":{\"headers\":{\"X-RateLimit-Reset\":1795258490000}}}", 3000 },
        { "{\"metadata\":{\"headers\":{\"X-RateLimit-Reset\":1795258490000,"
          "\"X-RateLimit-Remaining\":\"7\"}}}",
            0 },
        { "{\"retry_after\":2.5}", 2500 },
        { "{\"retry_after\":-2}", 0 },
        { "{\"retry_after\":1e99}", 0 },
        { "{\"retry_after\":\"2\"}", 0 },
        { "\"17s\"", 0 },
        { "[]", 0 },
    };

    clock_set_for_tests(1, (uint64_t)NOW_S * 1000);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *a = arena_create(64 * 1024);

        EXPECT_INT(retry_after_in_error_ms(a, json_parse(a, str_c(rows[i].error), NULL, NULL)),
            rows[i].ms);
        arena_destroy(a);
    }
    EXPECT_INT(retry_after_in_error_ms(NULL, NULL), 0);
    clock_set_for_tests(0, 0);
}

TEST(a_message_says_it_in_words)
{
    static const struct {
        const char *message;
        int64_t ms;
    } rows[] = {
        { "Rate limit reached for gpt-4o. Please try again in 1.242s. Visit", 1242 },
        { "Please try again in 20s.", 20000 },
        { "Please try again in 6ms. Visit", 6 },
        { "Please try again in 1m12s.", 72000 },
        { "Please try again in 7m12.5s", 432500 },
        { "Please try again in 1h2m3s.", 3723000 },
        { "Try again in 26 seconds.", 26000 },
        { "PLEASE RETRY AFTER 1 MINUTE", 60000 },
        { "limit: 5\nPlease retry in 31.988s.", 31988 },
        { "Please wait 37 seconds before retrying", 37000 },
        { "wait, try again in 2s", 2000 },
        { "Please try again in 0s", 1 },
        { "Please try again in 400 days", DAY_MS },
        { "Please try again in a minute", 0 },
        { "Please try again in 5", 0 },    /* of what? */
        { "Please try again in 5 apples", 0 },
        { "Please try again in -5s", 0 },
        { "Please try again in 99999999999999999999999s", 0 },
        { "Please try again later", 0 },
        { "5s", 0 },
        { "", 0 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        EXPECT_INT(retry_after_in_words_ms(str_c(rows[i].message)), rows[i].ms);
}

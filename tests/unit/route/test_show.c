/* test_show.c - what is told of a breaker. */
#include "route/show.c"

#include "tests/test.h"

static struct str
shown(struct health_view view, uint64_t now_ms)
{
    static struct buf out;
    struct json_out o = json_out(&out);

    buf_fini(&out);
    buf_init(&out, 4096);
    health_write(&o, &view, now_ms);
    return buf_str(&out);
}

TEST(a_closed_breaker_has_no_reason_although_something_failed_once)
{
    EXPECT_STR(
        shown((struct health_view){ .why = ERR_UPSTREAM_ERROR, .ok = 7, .failed = 1, .other = 2 },
            1000),
        "\"state\":\"closed\",\"why\":null,\"since\":null,\"since_ms\":null,\"retry_in_ms\":null,"
        "\"ok\":7,\"failed\":1,\"other\":2");
}

TEST(an_open_one_says_why_since_when_and_until_when)
{
    const struct health_view view = {
        .state = HEALTH_OPEN, .why = ERR_UPSTREAM_RATE_LIMIT, .since_ms = 5000, .until_ms = 9000
    };

    clock_set_for_tests(6500 * 1000, 1764000000000);
    EXPECT_STR(shown(view, 6500),
        "\"state\":\"open\",\"why\":\"rate_limit_exceeded\",\"since\":\"2025-11-24T15:59:58.500Z\","
        "\"since_ms\":1500,\"retry_in_ms\":2500,\"ok\":0,\"failed\":0,\"other\":0");
    EXPECT(str_find(shown(view, 9500), S("\"retry_in_ms\":0,")) != shown(view, 9500).n);
    clock_set_for_tests(0, 0);
}

TEST(one_that_is_off_is_not_tried_again)
{
    struct str text =
        shown((struct health_view){ .state = HEALTH_OFF, .since_ms = 1, .until_ms = 77 }, 2);

    EXPECT(str_starts(text, S("\"state\":\"off\",\"why\":null,\"since\":\"")));
    EXPECT(str_find(text, S("\"retry_in_ms\":null")) != text.n);
}

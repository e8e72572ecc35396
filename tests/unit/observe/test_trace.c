/* test_trace.c - request ids and W3C trace context, valid and not. */
#include "observe/trace.c"

#include "tests/test.h"

#define ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

TEST(a_valid_trace_is_continued_with_a_new_span)
{
    struct trace t;

    trace_begin(&t, S("00-" ID "-" SPAN "-01"), S("vendor=1"));
    EXPECT_STR(str_c(t.id), ID);
    EXPECT_INT(strlen(t.parent), TRACE_PARENT_BYTES);
    EXPECT(parent_valid(str_c(t.parent)));
    EXPECT(strncmp(t.parent, "00-" ID "-", 36) == 0);
    EXPECT(strncmp(t.parent + 36, SPAN, 16) != 0);
    EXPECT(strcmp(t.parent + 52, "-01") == 0);
    EXPECT_STR(t.state, "vendor=1");
}

TEST(an_invalid_traceparent_starts_a_new_trace_and_drops_the_state)
{
    static const char *const bad[] = {
        "",
        "00",
        "00-" ID "-" SPAN "-0",
        "00-" ID "-" SPAN "-01-",
        "00-" ID "-" SPAN "-01-extra",
        "00-" ID "-" SPAN "-0g",
        "ff-" ID "-" SPAN "-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" ID "-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01",
        "00_" ID "-" SPAN "-01",
        "00-" ID "_" SPAN "-01",
        "00-" ID "-" SPAN "_01",
        "0x-" ID "-" SPAN "-01",
        "cc-" ID "-" SPAN "-01.what",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct trace t;

        trace_begin(&t, str_c(bad[i]), S("vendor=1"));
        EXPECT(strcmp(t.id, ID) != 0);
        EXPECT(parent_valid(str_c(t.parent)));
        EXPECT(strcmp(t.parent + 52, "-00") == 0);
        EXPECT_STR(t.state, "");
    }
}

TEST(a_later_version_is_parsed_by_the_fields_we_know)
{
    struct trace t;

    trace_begin(&t, S("cc-" ID "-" SPAN "-01-what-the-future-will-be"), S(""));
    EXPECT_STR(str_c(t.id), ID);
    EXPECT(strncmp(t.parent, "00-", 3) == 0);
    trace_begin(&t, S("cc-" ID "-" SPAN "-01"), S(""));
    EXPECT_STR(str_c(t.id), ID);
}

TEST(a_tracestate_that_is_too_long_is_dropped_without_the_traceparent)
{
    char long_state[514];
    struct trace t;

    memset(long_state, 'a', sizeof(long_state));
    trace_begin(&t, S("00-" ID "-" SPAN "-00"), str_make(long_state, 512));
    EXPECT_INT(t.state.n, 512);
    trace_begin(&t, S("00-" ID "-" SPAN "-00"), str_make(long_state, 513));
    EXPECT_INT(t.state.n, 0);
    EXPECT_STR(str_c(t.id), ID);
}

TEST(a_valid_request_id_is_kept_and_others_are_replaced)
{
    static const char *const kept[] = { "a", "req_abc-DEF.1:2",
        "00000000-0000-0000-0000-000000000000" };
    static const char *const replaced[] = { "", "has blank", "a\tb", "umlaut\xc3\xa4", "a\"b",
        "<script>", "a/b", "a,b" };
    struct arena *a = arena_create(64 * 1024);
    char longest[130];

    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        EXPECT_STR(trace_request_id(a, str_c(kept[i])), kept[i]);
    for (size_t i = 0; i < ARRAY_LEN(replaced); i++)
        EXPECT(str_starts(trace_request_id(a, str_c(replaced[i])), S("req_")));
    memset(longest, 'x', sizeof(longest));
    EXPECT_INT(trace_request_id(a, str_make(longest, 128)).n, 128);
    EXPECT_INT(trace_request_id(a, str_make(longest, 129)).n, 28);
    arena_destroy(a);
}

TEST(generated_ids_are_unique)
{
    struct arena *a = arena_create(64 * 1024);
    struct str one = trace_request_id(a, S("")), two = trace_request_id(a, S(""));
    struct trace t, u;

    EXPECT_INT(one.n, 28);
    EXPECT(is_lower_hex(str_skip(one, 4)));
    EXPECT(!str_eq(one, two));
    trace_begin(&t, S(""), S(""));
    trace_begin(&u, S(""), S(""));
    EXPECT(strcmp(t.id, u.id) != 0);
    EXPECT(!all_zero(str_c(t.id)));
    arena_destroy(a);
}

/* test_deadline.c - the timeouts that clients ask for. */
#include "gateway/deadline.c"

#include "tests/test.h"

static bool
read_one(const char *name, const char *value, struct deadline *ret)
{
    struct http_field field = { str_c(name), str_c(value) };
    struct http_fields fields = { &field, 1 };

    return deadline_read(&fields, ret);
}

TEST(without_fields_there_is_no_timeout)
{
    struct deadline d;

    EXPECT(read_one("accept", "*/*", &d));
    EXPECT_INT(d.total_ms, 0);
    EXPECT_INT(d.begin_ms, 0);
    EXPECT_INT(d.silence_ms, 0);
}

TEST(a_timeout_is_milliseconds_or_has_a_unit)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } rows[] = {
        { "1", 1 },
        { "1500", 1500 },
        { "250ms", 250 },
        { "30s", 30000 },
        { "2m", 120000 },
        { "1h", 3600000 },
        { "48h", 86400000 },
        { "99999999999999", 86400000 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct deadline d;

        EXPECT(read_one("X-OpenClaw-Timeout", rows[i].text, &d));
        EXPECT_INT(d.total_ms, rows[i].ms);
        EXPECT_INT(d.begin_ms, 0);
    }
}

TEST(an_invalid_timeout_is_an_error)
{
    static const char *const bad[] = { "0", "0s", "", "-1", "1.5s", "soon", "1 s", "1d",
        "18446744073709551616", "18446744073709551615h" };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct deadline d;
        bool good = read_one("x-openclaw-timeout", bad[i], &d);

        if (good)
            print_error("'%s' was taken\n", bad[i]);
        EXPECT(!good);
    }
}

TEST(sdk_timeouts_are_seconds_with_or_without_a_fraction)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } rows[] = {
        { "600", 601000 },
        { "600.0", 601000 },
        { "0.25", 1250 },
        { "0.1239", 1123 },
        { "1", 2000 },
        { "99999999999999999999", 0 },
        { "9999999999", 86401000 },
        { "0", 0 },
        { "0.0", 0 },
        { "None", 0 },
        { "", 0 },
        { "-1", 0 },
        { "1.x", 0 },
        { "1e3", 0 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct deadline d;

        EXPECT(read_one("x-stainless-timeout", rows[i].text, &d));
        EXPECT_INT(d.begin_ms, rows[i].ms);
        EXPECT_INT(d.silence_ms, 0);
        EXPECT(read_one("X-Stainless-Read-Timeout", rows[i].text, &d));
        EXPECT_INT(d.begin_ms, rows[i].ms);
        EXPECT_INT(d.silence_ms, rows[i].ms);
        EXPECT_INT(d.total_ms, 0);
    }
}

TEST(the_shorter_of_two_sdk_timeouts_applies)
{
    struct http_field list[] = {
        { S("x-stainless-timeout"), S("600") },
        { S("x-stainless-read-timeout"), S("5.0") },
    };
    struct http_fields fields = { list, ARRAY_LEN(list) };
    struct deadline d;

    EXPECT(deadline_read(&fields, &d));
    EXPECT_INT(d.begin_ms, 6000);
    EXPECT_INT(d.silence_ms, 6000);
    list[0].value = S("2");
    EXPECT(deadline_read(&fields, &d));
    EXPECT_INT(d.begin_ms, 3000);
    EXPECT_INT(d.silence_ms, 6000);
    list[1].value = S("None");
    EXPECT(deadline_read(&fields, &d));
    EXPECT_INT(d.begin_ms, 3000);
}

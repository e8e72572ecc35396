/* test_clock.c - time that can be read, written, set; randomness that can be seeded. */
#include "base/clock.c"
#include "tests/test.h"

TEST(monotonic_time_does_not_run_backwards)
{
    uint64_t last = clock_now_us();

    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_now_us();
        EXPECT(now >= last);
        last = now;
    }
}

TEST(wall_time_is_this_century)
{
    EXPECT(clock_wall_ms() > UINT64_C(1577836800000));
    EXPECT(clock_wall_ms() < UINT64_C(4102444800000));
}

TEST(a_test_sets_the_time_and_gives_it_back)
{
    clock_set_for_tests(5000000, 1000);
    EXPECT_INT(clock_now_us(), 5000000);
    EXPECT_INT(clock_now_ms(), 5000);
    EXPECT_INT(clock_wall_ms(), 1000);
    clock_set_for_tests(0, 0);
    EXPECT(clock_wall_ms() > 1000);
}

TEST(a_stamp_is_utc_with_milliseconds)
{
    char room[CLOCK_STAMP_ROOM];

    EXPECT_STR(clock_stamp(0, room), "1970-01-01T00:00:00.000Z");
    EXPECT_STR(clock_stamp(UINT64_C(1795258487123), room), "2026-11-21T10:54:47.123Z");
    EXPECT_STR(clock_stamp(UINT64_C(1795258487999), room), "2026-11-21T10:54:47.999Z");
    EXPECT_STR(clock_stamp(UINT64_C(1795258488000), room), "2026-11-21T10:54:48.000Z");
    EXPECT_STR(clock_stamp(UINT64_C(951782400007), room), "2000-02-29T00:00:00.007Z");
    EXPECT_STR(clock_stamp(UINT64_MAX, room), "9999-12-31T23:59:59.999Z");
    EXPECT(room[24] == '\0');
}

TEST(an_http_date_becomes_seconds)
{
    int64_t at = 0;

    EXPECT(clock_http_date(S("Sun, 06 Nov 1994 08:49:37 GMT"), &at));
    EXPECT_INT(at, 784111777);
    EXPECT(clock_http_date(S("Thu, 01 Jan 1970 00:00:00 GMT"), &at));
    EXPECT_INT(at, 0);
    EXPECT(clock_http_date(S("Tue, 29 Feb 2000 23:59:60 GMT"), &at));
    EXPECT_INT(at, 951868800);
    EXPECT(clock_http_date(S("Sat, 21 Nov 2026 10:54:47 GMT"), &at));
    EXPECT_INT(at, 1795258487);
}

TEST(what_is_not_an_http_date_is_refused)
{
    static const char *const wrong[] = {
        "",
        "120",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1900 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sux, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 ovD 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, -6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov +994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:3a GMT",
    };
    int64_t at = 7;

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        EXPECT(!clock_http_date(str_c(wrong[i]), &at));
    EXPECT_INT(at, 7);
}

TEST(a_timestamp_becomes_milliseconds)
{
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        { "1994-11-06T08:49:37Z", 784111777000 },
        { "1970-01-01T00:00:00.5Z", 500 },
        { "2026-11-21T10:54:47.123456789Z", 1795258487123 },
        { "2026-11-21T11:54:47+01:00", 1795258487000 },
        { "2026-11-21T05:24:47-05:30", 1795258487000 },
    };
    int64_t at;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT(clock_timestamp(str_c(rows[i].text), &at));
        EXPECT_INT(at, rows[i].ms);
    }
}

TEST(what_is_not_a_timestamp_is_refused)
{
    static const char *const wrong[] = { "", "120", "2026-11-21", "2026-11-21T10:54:47",
        "2026-11-21 10:54:47Z", "2026-11-21T10:54:47.Z", "2026-11-21T10:54:47z",
        "2026-13-21T10:54:47Z", "2026-00-21T10:54:47Z", "2026-02-30T10:54:47Z",
        "2026-11-21T24:54:47Z", "2026-11-21T10:54:61Z", "2026-11-21T10:54:47+0100",
        "2026-11-21T10:54:47+24:00", "2026-11-21T10:54:47+01:60", "2026-11-21T10:54:47Zx",
        "-026-11-21T10:54:47Z", "2026-11-21T10:54:4+Z" };
    int64_t at = 7;

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        EXPECT(!clock_timestamp(str_c(wrong[i]), &at));
    EXPECT_INT(at, 7);
}

TEST(random_bytes_differ_each_time)
{
    char a[300] = { 0 };
    char b[300] = { 0 };

    clock_random_bytes(a, sizeof(a));
    clock_random_bytes(b, sizeof(b));
    EXPECT(memcmp(a, b, sizeof(a)) != 0);
    EXPECT(memcmp(a + 280, (char[20]){ 0 }, 20) != 0);    /* filled to its end */
    clock_random_bytes(a, 0);
}

TEST(a_seed_repeats_the_same_numbers)
{
    clock_seed_for_tests(42);
    uint64_t first = clock_random_u64();
    uint64_t second = clock_random_u64();

    EXPECT(first != second);
    clock_seed_for_tests(42);
    EXPECT(clock_random_u64() == first);
    EXPECT(clock_random_u64() == second);
    clock_seed_for_tests(43);
    EXPECT(clock_random_u64() != first);
}

TEST(a_unit_lies_in_zero_to_one_and_is_spread_evenly)
{
    double sum = 0;

    clock_seed_for_tests(1);
    for (int i = 0; i < 10000; i++) {
        double u = clock_random_unit();
        EXPECT(u >= 0 && u < 1);
        sum += u;
    }
    EXPECT(sum > 4800 && sum < 5200);
}

/* test_zone.c - where days begin, also where clocks change at midnight. Expected values are those of
 * Python's zoneinfo. */
#include "base/zone.c"

#include "base/clock.h"
#include "tests/test.h"

static int64_t
at(const char *stamp)
{
    int64_t ms = 0;

    EXPECT(clock_timestamp(str_c(stamp), &ms));
    return ms / 1000;
}

static void
expect(const char *zone, enum zone_period period, const char *when, const char *begins,
    const char *ends)
{
    const struct zone *z = zone_find(str_c(zone));
    int64_t from, to;

    EXPECT(z != NULL);
    zone_period(z, period, at(when), &from, &to);
    EXPECT_INT(from, at(begins));
    EXPECT_INT(to, at(ends));
}

TEST(days_of_utc_and_of_offsets)
{
    expect("", ZONE_DAY, "2026-11-21T10:54:47Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z");
    expect(
        "+05:30", ZONE_DAY, "2026-11-21T18:30:00Z", "2026-11-21T18:30:00Z", "2026-11-22T18:30:00Z");
    expect("-03:00", ZONE_MONTH, "2026-12-31T23:00:00Z", "2026-12-01T03:00:00Z",
        "2027-01-01T03:00:00Z");
    expect(
        "UTC", ZONE_WEEK, "2026-11-22T23:59:59Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z");
    expect(
        "UTC", ZONE_MONTH, "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z");
}

TEST(days_on_which_clocks_change)
{
    /* 23 hours, then 25 */
    expect("Europe/Berlin", ZONE_DAY, "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z",
        "2026-03-29T22:00:00Z");
    expect("Europe/Berlin", ZONE_DAY, "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z",
        "2026-10-25T23:00:00Z");
    expect("America/New_York", ZONE_WEEK, "2026-03-08T12:00:00Z", "2026-03-02T05:00:00Z",
        "2026-03-09T04:00:00Z");
    /* the hour of midnight is left out */
    expect("America/Santiago", ZONE_DAY, "2026-09-06T12:00:00Z", "2026-09-06T04:00:00Z",
        "2026-09-07T03:00:00Z");
    expect("Africa/Cairo", ZONE_DAY, "2026-04-24T12:00:00Z", "2026-04-23T22:00:00Z",
        "2026-04-24T21:00:00Z");
    /* at midnight clocks go back, and midnight comes again */
    expect("America/Santiago", ZONE_DAY, "2026-04-05T12:00:00Z", "2026-04-05T04:00:00Z",
        "2026-04-06T04:00:00Z");
    /* by half an hour */
    expect("Australia/Lord_Howe", ZONE_MONTH, "2026-04-15T00:00:00Z", "2026-03-31T13:00:00Z",
        "2026-04-30T13:30:00Z");
    /* a rule whose summer time is behind */
    expect("Europe/Dublin", ZONE_DAY, "2050-07-01T12:00:00Z", "2050-06-30T23:00:00Z",
        "2050-07-01T23:00:00Z");
    /* after the table, in the south */
    expect("Pacific/Auckland", ZONE_DAY, "2060-01-15T12:00:00Z", "2060-01-15T11:00:00Z",
        "2060-01-16T11:00:00Z");
}

TEST(what_is_no_zone_is_not_read)
{
    static const char *const names[] = { "Europe/Nowhere", "../../etc/passwd", "/etc/passwd",
        "Europe", "a//b", "+25:00", "+5:30", "zone.tab", "Europe/Berlin\n" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        EXPECT(zone_find(str_c(names[i])) == NULL);
    EXPECT(zone_find(S("Europe/Berlin")) == zone_find(S("Europe/Berlin")));
}

TEST(a_file_that_is_cut_or_wrong_is_refused)
{
    FILE *f = fopen("/usr/share/zoneinfo/Europe/Berlin", "rbe");
    uint8_t bytes[8192];

    EXPECT(f != NULL);
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    (void)fclose(f);
    for (size_t cut = 0; cut + 1 < n; cut++) {
        struct zone z = { .next = NULL };
        uint8_t *part = check_alloc(malloc(cut + 1));

        memcpy(part, bytes, cut);
        EXPECT(!read_file(&z, part, cut));
        free(z.table);
        free(part);
    }
    for (size_t i = 0; i < n; i++) {    /* whatever it says, no more than it has is read */
        struct zone z = { .next = NULL };
        uint8_t before = bytes[i];

        bytes[i] ^= 0xff;
        if (read_file(&z, bytes, n))
            (void)zone_offset_s(&z, 1800000000);
        free(z.table);
        bytes[i] = before;
    }
}

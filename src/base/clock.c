/* clock.c - time and randomness; only log_file.c uses the system's clock directly. */
#include "base/clock.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/random.h>
#include <time.h>

static _Atomic uint64_t fixed_now_us;
static _Atomic uint64_t fixed_wall_ms;

uint64_t
clock_now_us(void)
{
    uint64_t fixed = atomic_load_explicit(&fixed_now_us, memory_order_relaxed);
    struct timespec ts;

    if (UNLIKELY(fixed != 0))
        return fixed;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t
clock_wall_ms(void)
{
    uint64_t fixed = atomic_load_explicit(&fixed_wall_ms, memory_order_relaxed);
    struct timespec ts;

    if (UNLIKELY(fixed != 0))
        return fixed;
    CHECK(clock_gettime(CLOCK_REALTIME_COARSE, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void
clock_set_for_tests(uint64_t now_us, uint64_t wall_ms)
{
    atomic_store(&fixed_now_us, now_us);
    atomic_store(&fixed_wall_ms, wall_ms);
}

/* Writes `v` as `digits` decimal digits. */
static void
put_digits(char *p, unsigned digits, unsigned v)
{
    while (digits-- != 0) {
        p[digits] = (char)('0' + v % 10);
        v /= 10;
    }
}

/* "2026-11-21T10:54:47.000Z" for the second `unix_s`. */
static void
format_second(char *p, uint64_t unix_s)
{
    time_t t = (time_t)unix_s;
    struct tm tm;

    CHECK(gmtime_r(&t, &tm) != NULL);
    memcpy(p, "0000-00-00T00:00:00.000Z", sizeof("0000-00-00T00:00:00.000Z"));
    put_digits(p, 4, (unsigned)tm.tm_year + 1900);
    put_digits(p + 5, 2, (unsigned)tm.tm_mon + 1);
    put_digits(p + 8, 2, (unsigned)tm.tm_mday);
    put_digits(p + 11, 2, (unsigned)tm.tm_hour);
    put_digits(p + 14, 2, (unsigned)tm.tm_min);
    put_digits(p + 17, 2, (unsigned)tm.tm_sec);
}

struct str
clock_stamp(uint64_t wall_ms, char *room)
{
    static const uint64_t last_ms = UINT64_C(253402300799999);    /* the end of year 9999 */
    enum { LEN = sizeof("2026-11-21T10:54:47.123Z") - 1, MS_AT = LEN - 4 };
    /* Most stamps differ from the last one only in their milliseconds. */
    static _Thread_local char cached[LEN + 1];
    static _Thread_local uint64_t cached_s = UINT64_MAX;

    wall_ms = MIN(wall_ms, last_ms);
    if (wall_ms / 1000 != cached_s) {
        cached_s = wall_ms / 1000;
        format_second(cached, cached_s);
    }
    memcpy(room, cached, sizeof(cached));
    put_digits(room + MS_AT, 3, (unsigned)(wall_ms % 1000));
    return str_make(room, LEN);
}

/* The decimal number in s[at, at + n), or -1. */
static int
number_at(struct str s, size_t at, size_t n)
{
    uint64_t v = 0;

    return str_u64(str_make(s.p + at, n), &v) ? (int)v : -1;
}

/* The index of the name at s[at] in `names`, a concatenation of three-letter names; or -1. */
static int
name_at(struct str s, size_t at, struct str names)
{
    for (size_t i = 0; i < names.n; i += 3) {
        if (memcmp(s.p + at, names.p + i, 3) == 0)
            return (int)(i / 3);
    }
    return -1;
}

static int
days_in_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month] + (month == 1 && leap);
}

/* Seconds since 1970 of a date of which only the shape was checked. False: there is no such
 * time. */
static bool
seconds_of(struct tm *tm, int64_t *ret_unix_s)
{
    if (tm->tm_mon < 0 || tm->tm_mon > 11 || tm->tm_year < -1900 || tm->tm_mday < 1 ||
        tm->tm_mday > days_in_month(tm->tm_year + 1900, tm->tm_mon) || tm->tm_hour < 0 ||
        tm->tm_hour > 23 || tm->tm_min < 0 || tm->tm_min > 59 || tm->tm_sec < 0 || tm->tm_sec > 60)
        return false;
    *ret_unix_s = (int64_t)timegm(tm);
    return true;
}

bool
clock_http_date(struct str s, int64_t *ret_unix_s)
{
    static const char shape[] = "aaa, 00 aaa 0000 00:00:00 GMT";

    if (s.n != sizeof(shape) - 1)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (shape[i] != 'a' && shape[i] != '0' && shape[i] != s.p[i])
            return false;
    }

    struct tm tm = {
        .tm_mday = number_at(s, 5, 2),
        .tm_mon = name_at(s, 8, S("JanFebMarAprMayJunJulAugSepOctNovDec")),
        .tm_year = number_at(s, 12, 4) - 1900,
        .tm_hour = number_at(s, 17, 2),
        .tm_min = number_at(s, 20, 2),
        .tm_sec = number_at(s, 23, 2),
    };
    return name_at(s, 0, S("SunMonTueWedThuFriSat")) >= 0 && seconds_of(&tm, ret_unix_s);
}

/* The milliseconds in ".123456" at the start of *s, if any. */
static int64_t
take_fraction(struct str *s)
{
    int64_t ms = 0, unit = 100;

    if (s->n < 2 || s->p[0] != '.' || !str_is_digit(s->p[1]))
        return 0;
    for (*s = str_skip(*s, 1); s->n != 0 && str_is_digit(s->p[0]); *s = str_skip(*s, 1), unit /= 10)
        ms += (s->p[0] - '0') * unit;
    return ms;
}

bool
clock_timestamp(struct str s, int64_t *ret_unix_ms)
{
    static const char shape[] = "0000-00-00T00:00:00";
    struct str rest = str_skip(s, sizeof(shape) - 1);
    int64_t at_s, offset_min = 0;

    if (s.n < sizeof(shape))
        return false;
    for (size_t i = 0; i < sizeof(shape) - 1; i++)
        if (shape[i] == '0' ? !str_is_digit(s.p[i]) : shape[i] != s.p[i])
            return false;

    struct tm tm = {
        .tm_year = number_at(s, 0, 4) - 1900,
        .tm_mon = number_at(s, 5, 2) - 1,
        .tm_mday = number_at(s, 8, 2),
        .tm_hour = number_at(s, 11, 2),
        .tm_min = number_at(s, 14, 2),
        .tm_sec = number_at(s, 17, 2),
    };
    int64_t ms = take_fraction(&rest);
    if (rest.n == 6 && (rest.p[0] == '+' || rest.p[0] == '-') && rest.p[3] == ':') {
        int hours = number_at(rest, 1, 2), minutes = number_at(rest, 4, 2);

        if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
            return false;
        offset_min = (rest.p[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
    } else if (!str_eq(rest, S("Z"))) {
        return false;
    }
    if (!seconds_of(&tm, &at_s))
        return false;
    *ret_unix_ms = (at_s - offset_min * 60) * 1000 + ms;
    return true;
}

void
clock_random_bytes(void *p, size_t n)
{
    char *at = p;

    while (n != 0) {
        ssize_t got = getrandom(at, n, 0);

        CHECK(got >= 0 || errno == EINTR);
        if (got > 0) {
            at += got;
            n -= (size_t)got;
        }
    }
}

static _Thread_local uint64_t random_state;
static _Thread_local bool random_seeded;

void
clock_seed_for_tests(uint64_t seed)
{
    random_state = seed;
    random_seeded = true;
}

/* SplitMix64: fast, and every state is valid. */
uint64_t
clock_random_u64(void)
{
    if (UNLIKELY(!random_seeded)) {
        clock_random_bytes(&random_state, sizeof(random_state));
        random_seeded = true;
    }

    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

double
clock_random_unit(void)
{
    return (double)(clock_random_u64() >> 11) * 0x1p-53;
}

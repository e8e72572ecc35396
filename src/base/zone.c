/* zone.c - reads the database of time zones, and counts days. */
#include "base/zone.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S INT64_C(86400)
#define FILE_BYTES_MOST (256u * 1024)
#define NAME_BYTES_MOST 64u
#define ZONES_MOST 1000u

/* "M3.5.0/3": when clocks change every year. */
struct change {
    enum { CHANGE_MONTH, CHANGE_JULIAN, CHANGE_DAY } form;
    int month, week, day;
    int64_t time_s;    /* of that day, by the clocks before the change */
};

struct zone {
    struct zone *next;
    char name[NAME_BYTES_MOST + 1];
    /* what holds after the last time of the table: standard time, and summer time if it `changes` */
    int64_t standard_s, summer_s;
    bool changes;
    struct change begins, ends;    /* of summer time */
    int64_t first_s;               /* before the table */
    size_t count;
    struct moment {
        int64_t at_s, offset_s;    /* from then on */
    } * table;
};

/* --- days (Hinnant, chrono-Compatible Low-Level Date Algorithms) --- */

struct date {
    int64_t year;
    int month, day;    /* from 1 */
};

static int64_t
days_of(struct date d)
{
    int64_t y = d.year - (d.month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (d.month + (d.month > 2 ? -3 : 9)) + 2) / 5 + d.day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static struct date
date_of(int64_t days)
{
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    int month = (int)(mp < 10 ? mp + 3 : mp - 9);

    return (
        struct date){ yoe + era * 400 + (month <= 2), month, (int)(doy - (153 * mp + 2) / 5 + 1) };
}

static int64_t
floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* --- the rule for years after the table --- */

static bool
take_number(struct str *s, int64_t most, int64_t *ret)
{
    size_t n = 0;

    *ret = 0;
    while (n < s->n && str_is_digit(s->p[n]) && *ret <= most)
        *ret = *ret * 10 + s->p[n++] - '0';
    *s = str_skip(*s, n);
    return n != 0 && *ret <= most;
}

static bool
take_char(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = str_skip(*s, 1);
    return true;
}

/* "CET" or "<+0530>". */
static bool
take_name(struct str *s)
{
    size_t n = 0;

    if (take_char(s, '<')) {
        while (n < s->n && s->p[n] != '>')
            n++;
        *s = str_skip(*s, n);
        return take_char(s, '>');
    }
    while (n < s->n && ((s->p[n] | 0x20) >= 'a' && (s->p[n] | 0x20) <= 'z'))
        n++;
    *s = str_skip(*s, n);
    return n != 0;
}

/* "-5:30", "167". */
static bool
take_time(struct str *s, int64_t *ret_s)
{
    int64_t sign = take_char(s, '-') ? -1 : 1, hours, minutes = 0, seconds = 0;

    if (sign > 0)
        (void)take_char(s, '+');
    if (!take_number(s, 167, &hours) || (take_char(s, ':') && !take_number(s, 59, &minutes)) ||
        (take_char(s, ':') && !take_number(s, 59, &seconds)))
        return false;
    *ret_s = sign * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

static bool
take_change(struct str *s, struct change *c)
{
    int64_t month = 0, week = 0, day = 0;

    c->time_s = 2 * 3600;
    if (!take_char(s, ','))
        return false;
    if (take_char(s, 'M')) {
        c->form = CHANGE_MONTH;
        if (!take_number(s, 12, &month) || !take_char(s, '.') || !take_number(s, 5, &week) ||
            !take_char(s, '.') || !take_number(s, 6, &day) || month == 0 || week == 0)
            return false;
    } else {
        c->form = take_char(s, 'J') ? CHANGE_JULIAN : CHANGE_DAY;
        if (!take_number(s, 365, &day) || (c->form == CHANGE_JULIAN && day == 0))
            return false;
    }
    c->month = (int)month;
    c->week = (int)week;
    c->day = (int)day;
    return !take_char(s, '/') || take_time(s, &c->time_s);
}

/* "CET-1CEST,M3.5.0,M10.5.0/3" (POSIX). */
static bool
read_rule(struct zone *z, struct str s)
{
    int64_t behind_s;

    if (!take_name(&s) || !take_time(&s, &behind_s))
        return false;
    z->standard_s = -behind_s;
    if (s.n == 0)
        return true;
    z->changes = true;
    z->summer_s = z->standard_s + 3600;
    if (!take_name(&s))
        return false;
    if (s.n != 0 && s.p[0] != ',') {
        if (!take_time(&s, &behind_s))
            return false;
        z->summer_s = -behind_s;
    }
    return take_change(&s, &z->begins) && take_change(&s, &z->ends) && s.n == 0;
}

/* Seconds since 1970 of the change in that year, by the clocks before it. */
static int64_t
change_local_s(const struct change *c, int64_t year)
{
    int64_t first = days_of((struct date){ year, 1, 1 }), day;

    switch (c->form) {
    case CHANGE_MONTH: {
        int64_t month = days_of((struct date){ year, c->month, 1 });
        int64_t next = c->month == 12 ? days_of((struct date){ year + 1, 1, 1 })
                                      : days_of((struct date){ year, c->month + 1, 1 });
        int64_t weekday = floor_div(month + 4, 7) * -7 + month + 4;    /* 1970-01-01: Thursday */

        day = month + (c->day - weekday + 7) % 7 + (c->week - 1) * 7;
        while (day >= next)
            day -= 7;
        break;
    }
    case CHANGE_JULIAN: {
        bool leap = days_of((struct date){ year + 1, 1, 1 }) - first == 366;

        day = first + c->day - 1 + (leap && c->day >= 60);
        break;
    }
    default:
        day = first + c->day;
        break;
    }
    return day * DAY_S + c->time_s;
}

static int64_t
rule_offset_s(const struct zone *z, int64_t unix_s)
{
    if (!z->changes)
        return z->standard_s;
    int64_t year = date_of(floor_div(unix_s + z->standard_s, DAY_S)).year;
    int64_t begins_s = change_local_s(&z->begins, year) - z->standard_s;
    int64_t ends_s = change_local_s(&z->ends, year) - z->summer_s;
    bool summer = begins_s < ends_s ? unix_s >= begins_s && unix_s < ends_s
                                    : unix_s >= begins_s || unix_s < ends_s;

    return summer ? z->summer_s : z->standard_s;
}

/* --- files --- */

static int64_t
big_endian(const uint8_t *p, size_t n)
{
    uint64_t v = (p[0] & 0x80) != 0 ? UINT64_MAX : 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return (int64_t)v;
}

struct counts {
    size_t utc, standard, leaps, times, types, chars;
};

static bool
read_counts(const uint8_t *p, size_t n, struct counts *c)
{
    size_t *const fields[] = { &c->utc, &c->standard, &c->leaps, &c->times, &c->types, &c->chars };

    if (n < 44 || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
        return false;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        *fields[i] = (size_t)big_endian(p + 20 + 4 * i, 4);
        if (*fields[i] > FILE_BYTES_MOST)
            return false;
    }
    return true;
}

static size_t
block_bytes(const struct counts *c, size_t time_bytes)
{
    return c->times * (time_bytes + 1) + c->types * 6 + c->chars + c->leaps * (time_bytes + 4) +
           c->standard + c->utc;
}

/* The second block of the file, with times of 64 bits, and the rule that follows. */
static bool
read_block(struct zone *z, const uint8_t *p, size_t n)
{
    struct counts c;

    if (!read_counts(p, n, &c) || c.types == 0 || n - 44 < block_bytes(&c, 8))
        return false;
    const uint8_t *times = p + 44, *kinds = times + c.times * 8, *types = kinds + c.times;
    const char *rule = (const char *)p + 44 + block_bytes(&c, 8);
    struct str rest = str_make(rule, n - 44 - block_bytes(&c, 8)), line, after;

    z->first_s = big_endian(types, 4);
    z->count = c.times;
    z->table = check_alloc(calloc(c.times + 1, sizeof(*z->table)));
    for (size_t i = 0; i < c.times; i++) {
        if (kinds[i] >= c.types)
            return false;
        z->table[i] =
            (struct moment){ big_endian(times + 8 * i, 8), big_endian(types + 6 * kinds[i], 4) };
        if (i != 0 && z->table[i].at_s <= z->table[i - 1].at_s)
            return false;
    }
    if (!take_char(&rest, '\n') || !str_cut(rest, '\n', &line, &after))
        return false;
    if (line.n != 0)
        return read_rule(z, line);
    z->standard_s = c.times != 0 ? z->table[c.times - 1].offset_s : z->first_s;
    return true;
}

static bool
read_file(struct zone *z, const uint8_t *p, size_t n)
{
    struct counts c;

    if (!read_counts(p, n, &c) || n - 44 < block_bytes(&c, 4))
        return false;
    size_t skip = 44 + block_bytes(&c, 4);
    return read_block(z, p + skip, n - skip);
}

static bool
load(struct zone *z)
{
    char path[sizeof("/usr/share/zoneinfo/") + NAME_BYTES_MOST];
    const char *folder = getenv("TZDIR");
    bool ok = false;

    if ((size_t)snprintf(path, sizeof(path), "%s/%s",
            folder != NULL ? folder : "/usr/share/zoneinfo", z->name) >= sizeof(path))
        return false;
    FILE *f = fopen(path, "rbe");
    if (f == NULL)
        return false;
    uint8_t *bytes = check_alloc(malloc(FILE_BYTES_MOST));
    size_t n = fread(bytes, 1, FILE_BYTES_MOST, f);
    if (n != 0 && n < FILE_BYTES_MOST)
        ok = read_file(z, bytes, n);
    free(bytes);
    (void)fclose(f);
    return ok;
}

/* --- finding --- */

/* "+05:30" */
static bool
read_offset(struct zone *z, struct str s)
{
    int64_t seconds;

    if (s.n != 6 || (s.p[0] != '+' && s.p[0] != '-') || s.p[3] != ':' || !take_time(&s, &seconds) ||
        s.n != 0 || seconds > 14 * 3600 || seconds < -14 * 3600)
        return false;
    z->standard_s = seconds;
    return true;
}

/* No path that leaves the database. */
static bool
is_name(struct str s)
{
    return s.n != 0 && s.n <= NAME_BYTES_MOST && str_is_alnum(s.p[0]) && str_has_only(s, "-_+/") &&
           str_find(s, S("//")) == s.n;
}

const struct zone *
zone_find(struct str name)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct zone *zones;
    static unsigned count;
    static const struct zone utc;
    struct zone fresh = { .next = NULL };

    if (name.n == 0 || str_eq(name, S("UTC")) || str_eq(name, S("Z")))
        return &utc;
    bool offset = read_offset(&fresh, name);
    if (!offset && !is_name(name))
        return NULL;
    (void)snprintf(fresh.name, sizeof(fresh.name), STR_FMT, STR_ARG(name));
    (void)pthread_mutex_lock(&lock);
    struct zone *z = zones;
    while (z != NULL && strcmp(z->name, fresh.name) != 0)
        z = z->next;
    if (z == NULL && count < ZONES_MOST) {
        if (offset || load(&fresh)) {
            z = check_alloc(malloc(sizeof(*z)));
            *z = fresh;
            z->next = zones;
            zones = z;
            count++;
        } else {
            free(fresh.table);
        }
    }
    (void)pthread_mutex_unlock(&lock);
    return z;
}

int64_t
zone_offset_s(const struct zone *z, int64_t unix_s)
{
    size_t low = 0, high = z->count;

    while (low < high) {    /* the first that is later */
        size_t mid = low + (high - low) / 2;

        if (z->table[mid].at_s <= unix_s)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == z->count)
        return rule_offset_s(z, unix_s);
    return low == 0 ? z->first_s : z->table[low - 1].offset_s;
}

/* --- periods --- */

/* The first moment at which clocks show that day. */
static int64_t
day_begins_s(const struct zone *z, int64_t days)
{
    int64_t local_s = days * DAY_S, low_s = local_s - DAY_S, high_s = local_s + DAY_S;
    int64_t before_s = zone_offset_s(z, low_s), after_s = zone_offset_s(z, high_s);

    if (before_s == after_s)
        return local_s - before_s;
    while (high_s - low_s > 1) {    /* when they change */
        int64_t mid_s = low_s + (high_s - low_s) / 2;

        if (zone_offset_s(z, mid_s) == before_s)
            low_s = mid_s;
        else
            high_s = mid_s;
    }
    if (local_s - before_s < high_s)
        return local_s - before_s;
    return MAX(high_s, local_s - after_s);    /* the hour of midnight may be left out */
}

void
zone_period(const struct zone *z, enum zone_period period, int64_t unix_s, int64_t *ret_begins_s,
    int64_t *ret_ends_s)
{
    int64_t today = floor_div(unix_s + zone_offset_s(z, unix_s), DAY_S), from = today,
            to = today + 1;
    struct date d = date_of(today);

    switch (period) {
    case ZONE_DAY:
        break;
    case ZONE_WEEK:
        from = today - (today + 3 - floor_div(today + 3, 7) * 7);    /* 1970-01-01: Thursday */
        to = from + 7;
        break;
    case ZONE_MONTH:
        from = days_of((struct date){ d.year, d.month, 1 });
        to = d.month == 12 ? days_of((struct date){ d.year + 1, 1, 1 })
                           : days_of((struct date){ d.year, d.month + 1, 1 });
        break;
    }
    *ret_begins_s = day_begins_s(z, from);
    *ret_ends_s = day_begins_s(z, to);
}

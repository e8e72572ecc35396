/* retry_after.c - durations, instants, and the places where providers put them. */
#include "llm/retry_after.h"

#include "base/clock.h"

#define MOST_US (RETRY_AFTER_MOST_MS * 1000)
#define EPOCH_S INT64_C(1000000000)        /* so many seconds can only count from 1970 */
#define EPOCH_MS INT64_C(1000000000000)    /* and so many are milliseconds */
#define RESETS 16                          /* more limits are not looked at */

/* --- numbers and durations --- */

static int64_t
in_range(int64_t ms)
{
    return MIN(MAX(ms, 1), RETRY_AFTER_MOST_MS);
}

/* Reads "12" or "12.5" at the start of *s: the whole part, and millionths. */
static bool
take_number(struct str *s, uint64_t *ret_whole, int64_t *ret_micro)
{
    int64_t unit = 100000;
    size_t n = 0;

    while (n < s->n && str_is_digit(s->p[n]))
        n++;
    if (!str_u64(str_make(s->p, n), ret_whole))
        return false;
    *s = str_skip(*s, n);
    *ret_micro = 0;
    if (s->n < 2 || s->p[0] != '.' || !str_is_digit(s->p[1]))
        return true;
    *s = str_skip(*s, 1);
    for (; s->n != 0 && str_is_digit(s->p[0]); *s = str_skip(*s, 1), unit /= 10)
        *ret_micro += (s->p[0] - '0') * unit;
    return true;
}

/* Reads a unit of time at the start of *s, perhaps after a blank: its microseconds, or 0. */
static int64_t
take_unit(struct str *s)
{
    static const struct {
        struct str name;
        int64_t us;
    } units[] = {
        { S_INIT("us"), 1 },
        { S_INIT("\xc2\xb5s"), 1 },
        { S_INIT("ms"), 1000 },
        { S_INIT("millisecond"), 1000 },
        { S_INIT("milliseconds"), 1000 },
        { S_INIT("s"), 1000000 },
        { S_INIT("sec"), 1000000 },
        { S_INIT("secs"), 1000000 },
        { S_INIT("second"), 1000000 },
        { S_INIT("seconds"), 1000000 },
        { S_INIT("m"), 60 * INT64_C(1000000) },
        { S_INIT("min"), 60 * INT64_C(1000000) },
        { S_INIT("mins"), 60 * INT64_C(1000000) },
        { S_INIT("minute"), 60 * INT64_C(1000000) },
        { S_INIT("minutes"), 60 * INT64_C(1000000) },
        { S_INIT("h"), 3600 * INT64_C(1000000) },
        { S_INIT("hour"), 3600 * INT64_C(1000000) },
        { S_INIT("hours"), 3600 * INT64_C(1000000) },
        { S_INIT("d"), 86400 * INT64_C(1000000) },
        { S_INIT("day"), 86400 * INT64_C(1000000) },
        { S_INIT("days"), 86400 * INT64_C(1000000) },
    };
    struct str rest = s->n != 0 && s->p[0] == ' ' ? str_skip(*s, 1) : *s;
    size_t n = 0;

    while (n < rest.n && ((str_is_alnum(rest.p[n]) && !str_is_digit(rest.p[n])) ||
                             (unsigned char)rest.p[n] >= 0x80))
        n++;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (!str_ieq(str_make(rest.p, n), units[i].name))
            continue;
        *s = str_skip(rest, n);
        return units[i].us;
    }
    return 0;
}

/* Reads "1m12.5s" or "20 seconds" at the start of *s. 0: there is none; else at least 1 ms. */
static int64_t
take_duration_ms(struct str *s)
{
    struct str rest = *s;
    int64_t sum_us = 0, unit_us = INT64_MAX, micro, us;
    uint64_t whole;
    bool any = false;

    while (take_number(&rest, &whole, &micro)) {
        us = take_unit(&rest);
        if (us == 0 || us >= unit_us)    /* units only get smaller */
            break;
        unit_us = us;
        any = true;
        *s = rest;
        sum_us +=
            whole > (uint64_t)(MOST_US / us) ? MOST_US : (int64_t)whole * us + micro * us / 1000000;
        sum_us = MIN(sum_us, MOST_US);
    }
    return any ? in_range((sum_us + 999) / 1000) : 0;
}

/* The time left until an instant. */
static int64_t
left_ms(int64_t unix_ms)
{
    return unix_ms - (int64_t)clock_wall_ms();
}

/* --- fields --- */

/* All of `s` as a number of seconds. False: it is none. */
static bool
read_seconds(struct str s, uint64_t *ret_s, int64_t *ret_ms)
{
    int64_t micro;

    if (!take_number(&s, ret_s, &micro) || s.n != 0)
        return false;
    *ret_ms = *ret_s > (uint64_t)RETRY_AFTER_MOST_MS / 1000
                  ? RETRY_AFTER_MOST_MS
                  : in_range((int64_t)*ret_s * 1000 + (micro + 999) / 1000);
    return true;
}

int64_t
retry_after_asked_ms(const struct http_fields *fields)
{
    static const char *const in_ms[] = { "retry-after-ms", "x-ms-retry-after-ms" };
    struct str s = http_field_get(fields, S("retry-after"));
    uint64_t n;
    int64_t ms, at_s;

    for (size_t i = 0; i < ARRAY_LEN(in_ms); i++)
        if (str_u64(http_field_get(fields, str_c(in_ms[i])), &n))
            return in_range((int64_t)MIN(n, (uint64_t)RETRY_AFTER_MOST_MS));
    if (read_seconds(s, &n, &ms))
        return ms;
    return clock_http_date(s, &at_s) ? in_range(left_ms(at_s * 1000)) : 0;
}

/* The value of a reset: a duration, seconds, or an instant, which may be over: then it says
 * nothing. */
static int64_t
read_reset_ms(struct str s)
{
    struct str rest = s;
    uint64_t n;
    int64_t ms, at_ms;

    if (read_seconds(s, &n, &ms)) {
        if (n < (uint64_t)EPOCH_S)
            return ms;
        if (n >= (uint64_t)EPOCH_MS * 1000)
            return 0;
        at_ms = n >= (uint64_t)EPOCH_MS ? (int64_t)n : (int64_t)n * 1000;
    } else if (!clock_timestamp(s, &at_ms)) {
        ms = take_duration_ms(&rest);
        return rest.n == 0 ? ms : 0;
    }
    return left_ms(at_ms) > 0 ? in_range(left_ms(at_ms)) : 0;
}

static bool
is_nothing(struct str remaining)
{
    uint64_t whole;
    int64_t micro;

    if (str_starts(remaining, S("-")))
        return true;
    return take_number(&remaining, &whole, &micro) && remaining.n == 0 && whole == 0 && micro == 0;
}

/* Offset of `word` (lower case) in a field's name, or name.n. */
static size_t
find_in_name(struct str name, struct str word)
{
    for (size_t i = 0; i + word.n <= name.n; i++)
        if (str_ieq(str_make(name.p + i, word.n), word))
            return i;
    return name.n;
}

/* The value of the field whose name is `name` with `word` at `at` replaced by `other`; p == NULL:
 * there is none. */
static struct str
field_beside(
    const struct http_fields *fields, struct str name, size_t at, struct str word, struct str other)
{
    struct str before = str_make(name.p, at), behind = str_skip(name, at + word.n);

    for (size_t i = 0; i < fields->count; i++) {
        struct str s = fields->list[i].name;

        if (s.n == name.n - word.n + other.n && (s.p[at] | 0x20) == other.p[0] &&
            str_istarts(s, before) && str_istarts(str_skip(s, before.n), other) &&
            str_ieq(str_skip(s, before.n + other.n), behind))
            return fields->list[i].value;
    }
    return (struct str){ NULL, 0 };
}

int64_t
retry_after_reset_beside_ms(const struct http_fields *fields, struct str remaining_name)
{
    size_t at = find_in_name(remaining_name, S("remaining"));

    if (at == remaining_name.n)
        return 0;
    return read_reset_ms(field_beside(fields, remaining_name, at, S("remaining"), S("reset")));
}

int64_t
retry_after_reset_ms(const struct http_fields *fields)
{
    int64_t last_ms = 0;
    unsigned seen = 0;

    for (size_t i = 0; i < fields->count && seen < RESETS; i++) {
        struct str name = fields->list[i].name;
        size_t at = find_in_name(name, S("reset"));

        if (at == name.n || find_in_name(name, S("ratelimit")) >= at)
            continue;
        seen++;

        struct str remaining = field_beside(fields, name, at, S("reset"), S("remaining"));
        bool alone = remaining.p == NULL && at + strlen("reset") == name.n;

        if (alone || (remaining.p != NULL && is_nothing(remaining)))
            last_ms = MAX(last_ms, read_reset_ms(fields->list[i].value));
    }
    return last_ms;
}

/* --- error documents --- */

/* A member that is a number of seconds. */
static int64_t
seconds_in_ms(const struct json *j)
{
    uint64_t n;
    int64_t ms;

    return json_is(j, JSON_NUMBER) && read_seconds(json_raw(j), &n, &ms) ? ms : 0;
}

int64_t
retry_after_in_error_ms(struct arena *scratch, const struct json *error)
{
    struct json_iter it = json_iter(json_get(error, S("details")));
    const struct json *passed = json_at(error, "metadata.headers");

    while (json_next(&it)) {
        struct str delay = json_str(scratch, json_get(it.value, S("retryDelay")));
        int64_t ms = take_duration_ms(&delay);

        if (ms != 0)
            return ms;
    }
    if (json_is(passed, JSON_OBJECT)) {    /* OpenRouter: of the limit that was reached */
        const struct json *reset = json_get(passed, S("X-RateLimit-Reset"));
        struct str remaining = json_str(scratch, json_get(passed, S("X-RateLimit-Remaining")));
        int64_t ms =
            read_reset_ms(json_is(reset, JSON_NUMBER) ? json_raw(reset) : json_str(scratch, reset));

        if (ms != 0 && (remaining.n == 0 || is_nothing(remaining)))
            return ms;
    }
    return seconds_in_ms(json_get(error, S("retry_after")));
}

int64_t
retry_after_in_words_ms(struct str message)
{
    static const struct str words[] = {
        S_INIT("try again in "),    /* OpenAI, Groq, Azure */
        S_INIT("retry in "),        /* Google */
        S_INIT("retry after "),     /* Azure */
        S_INIT("again after "),
        S_INIT("wait "),    /* GitHub: "Please wait 37 seconds before retrying" */
    };

    for (; message.n != 0; message = str_skip(message, 1)) {
        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
            if (!str_istarts(message, words[i]))
                continue;
            struct str rest = str_skip(message, words[i].n);
            int64_t ms = take_duration_ms(&rest);
            if (ms != 0)
                return ms;
        }
    }
    return 0;
}

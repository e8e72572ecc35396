/* json_read.c - reads members, strings and numbers from the nodes that json_parse() made. */
#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_scan.h"

const struct json *
json_get(const struct json *j, struct str key)
{
    if (!json_is(j, JSON_OBJECT))
        return NULL;

    const struct json *end = j + j->span;
    if (UNLIKELY(j->escaped)) {
        for (const struct json *at = j + 1; at != end; at += 1 + at[1].span)
            if (json_str_is(at, key))
                return at + 1;
        return NULL;
    }
    for (const struct json *at = j + 1; at != end; at += 1 + at[1].span)
        /* Comparing the first letter avoids most calls. */
        if (at->n == key.n + 2 && (key.n == 0 || at->p[1] == key.p[0]) &&
            memcmp(at->p + 1, key.p, key.n) == 0)
            return at + 1;
    return NULL;
}

const struct json *
json_at(const struct json *j, const char *path)
{
    struct str rest = str_c(path);
    struct str key;

    while (j != NULL && rest.n != 0) {
        (void)str_cut(rest, '.', &key, &rest);
        j = json_get(j, key);
    }
    return j;
}

struct json_iter
json_iter(const struct json *j)
{
    if (!json_is(j, JSON_ARRAY) && !json_is(j, JSON_OBJECT))
        return (struct json_iter){ 0 };
    return (struct json_iter){
        .next = j + 1,
        .end = j + j->span,
        .object = j->type == JSON_OBJECT,
    };
}

bool
json_next(struct json_iter *it)
{
    if (it->next == it->end)
        return false;
    it->key = it->object ? it->next++ : NULL;
    it->value = it->next;
    it->next += it->next->span;
    return true;
}

uint32_t
json_count(const struct json *j)
{
    struct json_iter it = json_iter(j);
    uint32_t n = 0;

    while (json_next(&it))
        n++;
    return n;
}

/* Strings. json_parse() has checked their syntax. */

static unsigned
hex_value(const char *p)
{
    unsigned v = 0;

    for (int i = 0; i < 4; i++) {
        unsigned c = (unsigned char)p[i];

        v = v << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v;
}

/* Writes `code` in UTF-8 (a surrogate in WTF-8); returns its length. */
static unsigned
encode_utf8(unsigned code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* Decodes the escape at *p and steps over it; returns the length of its text. */
static unsigned
decode_escape(const char **p, const char *end, char out[4])
{
    static const char names[] = "bfnrt";
    static const char meanings[] = "\b\f\n\r\t";
    const char *at = *p;

    if (at[1] != 'u') {
        const char *name = strchr(names, at[1]);

        out[0] = name != NULL ? meanings[name - names] : at[1];
        *p = at + 2;
        return 1;
    }

    unsigned code = hex_value(at + 2);
    at += 6;
    if ((code & 0xfc00) == 0xd800 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
        unsigned low = hex_value(at + 2);

        if ((low & 0xfc00) == 0xdc00) {
            code = 0x10000 + ((code & 0x3ff) << 10 | (low & 0x3ff));
            at += 6;
        }
    }
    *p = at;
    return encode_utf8(code, out);
}

struct json_text
json_text(const struct json *string)
{
    return (struct json_text){ .p = string->p + 1, .end = string->p + string->n - 1 };
}

int
json_text_next(struct json_text *t)
{
    if (t->at == t->n) {
        if (t->p == t->end)
            return -1;
        if (*t->p != '\\')
            return (unsigned char)*t->p++;
        t->n = decode_escape(&t->p, t->end, t->bytes);
        t->at = 0;
    }
    return (unsigned char)t->bytes[t->at++];
}

struct str
json_str(struct arena *a, const struct json *j)
{
    if (!json_is(j, JSON_STRING))
        return str_make(NULL, 0);
    if (!j->escaped)
        return str_make(j->p + 1, j->n - 2);

    const char *p = j->p + 1;
    const char *end = j->p + j->n - 1;
    char *text = arena_try(a, j->n);    /* an escape is never shorter than its text */
    char *out = text;

    if (text == NULL)
        return str_make(NULL, 0);
    while (p != end) {
        const char *run_end = memchr(p, '\\', (size_t)(end - p));
        size_t run = (size_t)((run_end != NULL ? run_end : end) - p);

        memcpy(out, p, run);
        out += run;
        p += run;
        if (p != end) {
            char bytes[4];
            unsigned n = decode_escape(&p, end, bytes);

            memcpy(out, bytes, n);
            out += n;
        }
    }

    size_t n = (size_t)(out - text);
    void *trimmed = arena_grow(a, text, j->n, n);
    return str_make(trimmed != NULL ? trimmed : text, n);
}

bool
json_str_is(const struct json *j, struct str text)
{
    if (!json_is(j, JSON_STRING))
        return false;
    if (LIKELY(!j->escaped))
        return str_eq(str_make(j->p + 1, j->n - 2), text);

    struct json_text it = json_text(j);
    for (size_t i = 0; i < text.n; i++) {
        if (json_text_next(&it) != (unsigned char)text.p[i])
            return false;
    }
    return json_text_next(&it) < 0;
}

/* Numbers. json_parse() has checked their syntax. */

/* A number taken apart: digits (with a point among them) times ten to the power of `exponent`. */
struct number {
    bool negative;
    struct str digits;
    size_t whole;        /* digits before the point */
    int64_t exponent;    /* clamped, beyond what any text can compensate */
};

static struct number
split_number(const struct json *j)
{
    static const int64_t exponent_max = INT64_C(1000000000000);
    struct str s = json_raw(j);
    struct number v = { .negative = s.p[0] == '-' };

    s = str_skip(s, v.negative);
    size_t e = 0;
    while (e < s.n && (s.p[e] | 0x20) != 'e')
        e++;
    v.digits = str_make(s.p, e);
    v.whole = str_chr(v.digits, '.');
    s = str_skip(s, e + 1);

    bool negative = s.n != 0 && s.p[0] == '-';
    s = str_skip(s, s.n != 0 && (s.p[0] == '-' || s.p[0] == '+'));
    for (size_t i = 0; i < s.n && v.exponent < exponent_max; i++)
        v.exponent = v.exponent * 10 + (s.p[i] - '0');
    if (negative)
        v.exponent = -v.exponent;
    return v;
}

/* The digits before the decimal point, once the exponent has moved it; UINT64_MAX when too many. */
static uint64_t
whole_part(const struct number *v)
{
    int64_t left = (int64_t)v->whole + v->exponent;
    uint64_t sum = 0;

    for (size_t i = 0; i < v->digits.n && left > 0; i++) {
        char c = v->digits.p[i];

        if (c == '.')
            continue;
        if (__builtin_mul_overflow(sum, (uint64_t)10, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(c - '0'), &sum))
            return UINT64_MAX;
        left--;
    }
    for (; left > 0 && sum != 0; left--) {
        if (__builtin_mul_overflow(sum, (uint64_t)10, &sum))
            return UINT64_MAX;
    }
    return sum;
}

enum { PLAIN_DIGITS_MAX = 18 };    /* always fit an int64_t */

int64_t
json_i64(const struct json *j, int64_t fallback)
{
    if (!json_is(j, JSON_NUMBER))
        return fallback;

    uint64_t plain;
    if (j->n <= PLAIN_DIGITS_MAX && str_u64(json_raw(j), &plain))
        return (int64_t)plain;

    struct number v = split_number(j);
    uint64_t whole = whole_part(&v);
    if (v.negative)
        return whole > (uint64_t)INT64_MAX ? INT64_MIN : -(int64_t)whole;
    return whole > (uint64_t)INT64_MAX ? INT64_MAX : (int64_t)whole;
}

/* Numbers that fit 53 bits, multiplied or divided by a power of ten that a double represents
 * exactly, need one rounding and no strtod(). False for all others. */
static bool
simple_f64(const struct number *v, double *ret)
{
    static const double powers[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    enum { DIGITS_MAX = 16, POWER_MAX = ARRAY_LEN(powers) - 1 };
    size_t fraction = v->digits.n > v->whole ? v->digits.n - v->whole - 1 : 0;
    uint64_t sum = 0;

    if (v->digits.n > DIGITS_MAX)
        return false;
    for (size_t i = 0; i < v->digits.n; i++) {
        if (i != v->whole)
            sum = sum * 10 + (uint64_t)(v->digits.p[i] - '0');
    }

    int64_t power = v->exponent - (int64_t)fraction;
    if (sum > UINT64_C(1) << 53 || power < -POWER_MAX || power > POWER_MAX)
        return false;
    double d = power < 0 ? (double)sum / powers[-power] : (double)sum * powers[power];
    *ret = v->negative ? -d : d;
    return true;
}

/* Any number, by strtod(). Beyond 768 significant digits a double's rounding depends only on
 * whether anything but zeros follows, so a small buffer is enough for any length. */
static double
long_f64(const struct number *v)
{
    enum { SIGNIFICANT_MAX = 768 };
    char text[SIGNIFICANT_MAX + 32];
    size_t n = 0;
    int64_t place = (int64_t)v->whole + v->exponent;    /* of the next digit, plus one */
    int64_t last_place = place;
    bool rest = false;

    for (size_t i = 0; i < v->digits.n; i++) {
        char c = v->digits.p[i];

        if (c == '.')
            continue;
        place--;
        if (n == SIGNIFICANT_MAX) {
            rest = rest || c != '0';
        } else if (n != 0 || c != '0') {
            text[n++] = c;
            last_place = place;
        }
    }
    if (n == 0)
        text[n++] = '0';
    if (rest) {
        text[n++] = '1';
        last_place--;
    }
    (void)snprintf(text + n, sizeof(text) - n, "e%" PRId64, last_place);

    double d = strtod(text, NULL);
    return v->negative ? -d : d;
}

double
json_f64(const struct json *j, double fallback)
{
    double d = 0;

    if (!json_is(j, JSON_NUMBER))
        return fallback;

    struct number v = split_number(j);
    return simple_f64(&v, &d) ? d : long_f64(&v);
}

bool
json_bool(const struct json *j, bool fallback)
{
    if (json_is(j, JSON_TRUE) || json_is(j, JSON_FALSE))
        return j->type == JSON_TRUE;
    return fallback;
}

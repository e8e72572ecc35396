/* floats.c - vectors of float32 as text: as JSON numbers, and as base64 of their bytes. */
#include "llm/floats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/digest.h"
#include "base/json.h"

/* Floats that are converted at a time; three of them are whole groups of base64. */
enum { RUN_FLOATS = 3 * 128, RUN_BYTES = 4 * RUN_FLOATS, RUN_TEXT = RUN_BYTES / 3 * 4 };

/* --- to base64 --- */

/* The longest number whose rounding is looked at twice: others are far from a tie, or not from
 * float32. */
enum { NUMBER_BYTES = 127 };

static uint64_t
bits_of(double d)
{
    uint64_t bits;

    memcpy(&bits, &d, sizeof(bits));
    return bits;
}

/* The nearest float32. A double halfway between two of them may have come from a number that is
 * not. */
static float
float_of(struct str number)
{
    const uint64_t below = (UINT64_C(1) << 29) - 1;    /* the bits that a float32 does not have */
    struct json node = { .p = number.p, .n = (uint32_t)number.n, .type = JSON_NUMBER };
    double d = json_f64(&node, 0);
    char text[NUMBER_BYTES + 1];

    if (LIKELY((bits_of(d) & below) != (below + 1) / 2) || number.n > NUMBER_BYTES)
        return (float)d;
    str_copy_c(text, sizeof(text), number);
    return strtof(text, NULL);
}

static void
put_float(uint8_t *to, float f)
{
    uint32_t bits;

    memcpy(&bits, &f, sizeof(bits));
    for (unsigned i = 0; i < sizeof(bits); i++)
        to[i] = (uint8_t)(bits >> (8 * i));
}

static void
flush(struct buf *out, const uint8_t *bytes, size_t n)
{
    char *room = n != 0 ? buf_reserve(out, 4 * ((n + 2) / 3)) : NULL;

    if (room != NULL)
        buf_commit(out, digest_base64(str_make((const char *)bytes, n), room));
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* The next number of a list that the parser has checked; *p is after it. Empty: there is none. */
static struct str
next_number(const char **p, const char *end)
{
    const char *from = *p;

    while (from != end && (is_blank(*from) || *from == ',' || *from == '['))
        from++;

    const char *to = from;

    while (to != end &&
           (str_is_digit(*to) || *to == '-' || *to == '+' || *to == '.' || (*to | 0x20) == 'e'))
        to++;
    *p = to;
    return str_make(from, (size_t)(to - from));
}

bool
floats_add_base64(struct buf *out, struct str numbers)
{
    uint8_t run[RUN_BYTES];
    size_t n = 0;
    const char *p = numbers.p, *end = numbers.p + numbers.n;

    if (numbers.n < 2 || numbers.p[0] != '[' || end[-1] != ']')
        return false;
    for (struct str number = next_number(&p, end); number.n != 0; number = next_number(&p, end)) {
        put_float(run + n, float_of(number));
        n += sizeof(float);
        if (n == sizeof(run)) {
            flush(out, run, n);
            n = 0;
        }
    }
    flush(out, run, n);
    while (p != end && is_blank(*p))
        p++;
    return p == end - 1;
}

/* --- from base64 --- */

static const double powers[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
    1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

enum { DIGITS_LEAST = 6, DIGITS_MOST = 9, PLACES_MOST = 22, NUMBER_ROOM = 40 };

/* The distance from a positive normal float to its nearer neighbours: at most what separates it
 * from numbers that round to another. */
static double
step_of(float f)
{
    return (double)f - (double)nextafterf(f, 0);
}

/* Writes `whole` / 10^places, without zeros at its end. */
static size_t
write_decimal(char *to, uint64_t whole, int places)
{
    char digits[24];
    size_t n = 0, count = 0;

    while (places > 0 && whole % 10 == 0) {
        whole /= 10;
        places--;
    }
    do {
        digits[count++] = (char)('0' + whole % 10);
        whole /= 10;
    } while (whole != 0);
    while (count <= (size_t)places)
        digits[count++] = '0';
    for (size_t i = count; i-- > 0;) {
        to[n++] = digits[i];
        if (i == (size_t)places && places > 0)
            to[n++] = '.';
    }
    return n;
}

/* A positive float between 1e-9 and 1e6, in which all of this is exact enough: a product of a float
 * and a power of ten is rounded once, and what is compared is a hundred million times larger. 0: it
 * is for the library. */
static size_t
write_common(char *to, float f)
{
    double step = step_of(f) * 0.49;
    int exponent = 0;    /* digits before the decimal point, or minus the zeros after it */

    while (exponent < 7 && (double)f >= powers[exponent])
        exponent++;
    for (; exponent <= 0 && exponent > -9 && (double)f * powers[1 - exponent] < 1; exponent--)
        ;
    for (int digits = DIGITS_LEAST; digits <= DIGITS_MOST; digits++) {
        int places = digits - exponent;
        double scaled = (double)f * powers[places];
        uint64_t whole = (uint64_t)(scaled + 0.5);

        if (places <= PLACES_MOST && places >= 0 &&
            fabs((double)whole / powers[places] - (double)f) < step)
            return write_decimal(to, whole, places);
    }
    return 0;
}

/* Appends the number; `to` has NUMBER_ROOM bytes. */
static size_t
write_float(char *to, float f)
{
    size_t n = 0;

    if (f == 0)    /* or -0, which says no more */
        return write_decimal(to, 0, 0);
    if (f < 0)
        to[n++] = '-';
    if (fabsf(f) >= 1e-9f && fabsf(f) < 1e6f) {
        size_t common = write_common(to + n, fabsf(f));

        if (common != 0)
            return n + common;
    }

    int written = snprintf(to + n, NUMBER_ROOM - n, "%.9g", (double)fabsf(f));

    return n + (size_t)written;
}

static float
get_float(const uint8_t *from)
{
    uint32_t bits = 0;
    float f;

    for (unsigned i = 0; i < sizeof(bits); i++)
        bits |= (uint32_t)from[i] << (8 * i);
    memcpy(&f, &bits, sizeof(f));
    return f;
}

bool
floats_add_numbers(struct buf *out, struct str base64)
{
    bool first = true;

    buf_add_c(out, '[');
    while (base64.n != 0) {
        uint8_t run[RUN_BYTES];
        struct str part = str_make(base64.p, MIN(base64.n, (size_t)RUN_TEXT));
        size_t n;

        if (!digest_base64_decode(part, run, &n) || n % sizeof(float) != 0)
            return false;
        base64 = str_skip(base64, part.n);
        for (size_t i = 0; i < n; i += sizeof(float)) {
            float f = get_float(run + i);
            char *room = isfinite(f) ? buf_reserve(out, NUMBER_ROOM + 1) : NULL;

            if (!isfinite(f))
                return false;
            if (room == NULL)
                return true;    /* the caller sees that it overflowed */
            *room = ',';
            buf_commit(out, write_float(room + !first, f) + !first);
            first = false;
        }
    }
    buf_add_c(out, ']');
    return true;
}

/* json_scan.h - shared by the JSON files: skipping plain bytes, validating UTF-8, unescaping.
 *
 * Most of a body is plain text inside strings, so reader and writer scan for the other bytes eight
 * or sixteen at a time. Private to json*.c.
 */
#pragma once

#include "base/base.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define JSON_ONES UINT64_C(0x0101010101010101)
#define JSON_HIGHS UINT64_C(0x8080808080808080)

/* Eight bytes, the first of them lowest. */
static inline uint64_t
json_load64(const char *p)
{
    uint64_t v = 0;

    memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

/* The high bit of each byte of `v` that ends a run of plain bytes: a quote, a backslash, a control
 * character, or anything beyond ASCII. Exact for the lowest such byte; a borrow may mark more. */
static inline uint64_t
json_special_bytes(uint64_t v)
{
    uint64_t quote = v ^ (JSON_ONES * '"');
    uint64_t backslash = v ^ (JSON_ONES * '\\');

    return (((quote - JSON_ONES) & ~quote) | ((backslash - JSON_ONES) & ~backslash) |
               ((v - JSON_ONES * 0x20) & ~v) | v) &
           JSON_HIGHS;
}

static inline bool
json_is_plain(char c)
{
    return (unsigned char)(c - 0x20) < 0x60 && c != '"' && c != '\\';
}

#ifdef __SSE2__
/* A bit for each of sixteen bytes that ends a run of plain bytes, the first byte lowest. As signed
 * bytes, non-ASCII ones are less than a blank too. */
static inline unsigned
json_special_mask(const char *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i special = _mm_or_si128(
        _mm_cmplt_epi8(v, _mm_set1_epi8(0x20)), _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
                                                    _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))));

    return (unsigned)_mm_movemask_epi8(special);
}
#endif

/* The first byte from `p` on that is not plain, or `end`. The last, incomplete word is checked
 * together with bytes before it that are known to be plain. */
static INLINED const char *
json_skip_plain(const char *p, const char *end)
{
    ptrdiff_t n = end - p;
#ifdef __SSE2__
    while (end - p >= 16) {
        unsigned special = json_special_mask(p);

        if (special != 0)
            return p + __builtin_ctz(special);
        p += 16;
    }
    if (p != end && n >= 16) {
        unsigned special = json_special_mask(end - 16);

        return special != 0 ? end - 16 + __builtin_ctz(special) : end;
    }
#endif
    while (end - p >= 8) {
        uint64_t special = json_special_bytes(json_load64(p));

        if (special != 0)
            return p + (__builtin_ctzll(special) >> 3);
        p += 8;
    }
    if (p != end && n >= 8) {
        uint64_t special = json_special_bytes(json_load64(end - 8));

        return special != 0 ? end - 8 + (__builtin_ctzll(special) >> 3) : end;
    }
    while (p != end && json_is_plain(*p))
        p++;
    return p;
}

static inline bool
json_is_continuation(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* Validates the UTF-8 sequence at `p` (p < end, its first byte is not ASCII). Returns the length of
 * a valid one, 2 to 4, or the negated length of an invalid one, 1 to 3. */
static inline int
json_utf8_step(const char *p, const char *end)
{
    const unsigned char *u = (const unsigned char *)p;
    ptrdiff_t left = end - p;
    unsigned char least = 0x80;    /* of the second byte, and its most: no overlong forms, */
    unsigned char most = 0xbf;     /* no surrogates, nothing beyond U+10FFFF */
    int n = 0;

    if (u[0] >= 0xc2 && u[0] <= 0xdf)
        n = 2;
    else if ((u[0] & 0xf0) == 0xe0)
        n = 3;
    else if (u[0] >= 0xf0 && u[0] <= 0xf4)
        n = 4;
    else
        return -1;

    if (u[0] == 0xe0)
        least = 0xa0;
    else if (u[0] == 0xed)
        most = 0x9f;
    else if (u[0] == 0xf0)
        least = 0x90;
    else if (u[0] == 0xf4)
        most = 0x8f;

    if (left < 2 || u[1] < least || u[1] > most)
        return -1;
    for (int i = 2; i < n; i++) {
        if (left <= i || !json_is_continuation(u[i]))
            return -i;
    }
    return n;
}

/* A lone surrogate in WTF-8 at `p`, as json_str() leaves it: its code, else 0. */
static inline unsigned
json_wtf8_surrogate(const char *p, const char *end)
{
    const unsigned char *u = (const unsigned char *)p;

    if (end - p < 3 || u[0] != 0xed || (u[1] & 0xe0) != 0xa0 || !json_is_continuation(u[2]))
        return 0;
    return 0xd000u | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu);
}

/* The text of a string node, byte by byte, unescaped on the way. */
struct json;
struct json_text {
    const char *p;
    const char *end;
    char bytes[4];    /* what the last escape stands for */
    unsigned at;
    unsigned n;
};
struct json_text json_text(const struct json *string);

/* The next byte, or -1 at the end. */
int json_text_next(struct json_text *t);

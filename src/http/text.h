/* text.h - which characters fields may have; finds the end of a text sixteen bytes at a time. */
#pragma once

#include "base/base.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline bool
http_is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

/* tchar of RFC 9110. */
static inline bool
http_is_token_char(char c)
{
    return str_is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

#ifdef __SSE2__
/* A bit for each of sixteen bytes that is a control character, the first byte lowest. */
static inline unsigned
http_control_mask(const char *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    __m128i control = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\t')), low),
        _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));

    return (unsigned)_mm_movemask_epi8(control);
}
#endif

/* The first control character other than a tab at or after `p`, or `end`. */
static inline const char *
http_skip_text(const char *p, const char *end)
{
#ifdef __SSE2__
    ptrdiff_t n = end - p;

    for (; end - p >= 16; p += 16) {
        unsigned mask = http_control_mask(p);

        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
    if (p != end && n >= 16) {    /* the rest, together with bytes before it */
        unsigned mask = http_control_mask(end - 16);

        return mask != 0 ? end - 16 + __builtin_ctz(mask) : end;
    }
#endif
    while (p != end && !http_is_control(*p))
        p++;
    return p;
}

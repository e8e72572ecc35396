/* put.h - private to src/http: writes text into a buffer that is known to be large enough. */
#pragma once

#include "base/base.h"

/* Each returns the position after what it wrote. */
static inline char *
put(char *p, struct str s)
{
    if (s.n != 0)
        memcpy(p, s.p, s.n);
    return p + s.n;
}

static inline char *
put_u64(char *p, uint64_t v)
{
    char digits[20];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    while (n != 0)
        *p++ = digits[--n];
    return p;
}

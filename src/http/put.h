/* put.h - private to http/: composing a head in room that is known to be large enough. */
#pragma once

#include "base/base.h"

/* Each returns where the next goes. */
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

/* steps.h - forced into every file of the counted library (tests/unit/meson.build).
 *
 * The compiler calls __sanitizer_cov_trace_pc() in every basic block; what the C library's
 * functions do inside one call is added here. So a test can assert on work done, which
 * does not depend on the machine, instead of on time, which does.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Basic blocks run so far, and one for each 16 bytes that a C library function went through. */
extern uint64_t steps_count;

static inline void
steps_add(size_t bytes)
{
    steps_count += 1 + bytes / 16;
}

static inline void *
steps_memcpy(void *to, const void *from, size_t n)
{
    steps_add(n);
    return memcpy(to, from, n);
}

static inline void *
steps_memmove(void *to, const void *from, size_t n)
{
    steps_add(n);
    return memmove(to, from, n);
}

static inline void *
steps_memset(void *to, int c, size_t n)
{
    steps_add(n);
    return memset(to, c, n);
}

static inline int
steps_memcmp(const void *a, const void *b, size_t n)
{
    steps_add(n);
    return memcmp(a, b, n);
}

/* A search costs the bytes up to what is found, or all `n`. */
static inline void *
steps_memchr(const void *s, int c, size_t n)
{
    char *found = memchr(s, c, n);

    steps_add(found != NULL ? (size_t)(found - (const char *)s) : n);
    return found;
}

static inline void *
steps_memmem(const void *s, size_t n, const void *needle, size_t m)
{
    char *found = memmem(s, n, needle, m);

    steps_add(found != NULL ? (size_t)(found - (const char *)s) : n);
    return found;
}

#define memcpy steps_memcpy
#define memmove steps_memmove
#define memset steps_memset
#define memcmp steps_memcmp
#define memchr steps_memchr
#define memmem steps_memmem

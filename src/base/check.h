/* check.h - assertions that stay on in production.
 *
 * They are for our own mistakes; bad input is an ordinary error. A failed
 * check writes one line to standard error and aborts, so that a supervisor
 * restarts us and a core dump shows where.
 */
#pragma once

#define CHECK(expr)                                                                                \
    do {                                                                                           \
        if (__builtin_expect(!(expr), 0))                                                          \
            check_failed(#expr, __FILE__, __LINE__, __func__);                                     \
    } while (0)

/* For code that cannot be reached. */
#define CHECK_UNREACHABLE() check_failed("unreachable", __FILE__, __LINE__, __func__)

__attribute__((noreturn, cold)) void check_failed(
    const char *expr, const char *file, int line, const char *function);

/* Wraps malloc, calloc and realloc for sizes that we choose: aborts when out of memory. */
void *check_alloc(void *p) __attribute__((returns_nonnull));

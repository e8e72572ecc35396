/* check.h - what must be true, checked in production too.
 *
 * A check is for our own mistakes; bad input is an ordinary error. A failed
 * check writes one line to standard error and aborts, so that a supervisor
 * restarts us and a core dump shows where.
 */
#pragma once

#define CHECK(expr)                                                                                \
    do {                                                                                           \
        if (__builtin_expect(!(expr), 0))                                                          \
            check_failed(#expr, __FILE__, __LINE__, __func__);                                     \
    } while (0)

/* For a place that control cannot reach. */
#define CHECK_UNREACHABLE() check_failed("unreachable", __FILE__, __LINE__, __func__)

__attribute__((noreturn, cold)) void check_failed(
    const char *expr, const char *file, int line, const char *function);

/* malloc, calloc, realloc for sizes that we chose: never NULL, abort when memory is gone. */
void *check_alloc(void *p) __attribute__((returns_nonnull));

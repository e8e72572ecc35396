/* test.h - a unit test is a sentence, then its proof.
 *
 *     #include "base/str.c"       // white box: the unit under test itself
 *     #include "tests/test.h"
 *
 *     TEST(an_empty_string_equals_itself)
 *     {
 *         EXPECT(str_eq(S(""), S("")));
 *     }
 *
 * A thin layer over cmocka: each TEST registers itself before main() starts, and
 * test_main.c runs them all, in the order of the file, as one group. A failed
 * expectation ends its test at once. Expect only on the thread that runs the test.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

/* Adds one test to the group. Called by TEST's constructor; `name` lives forever. */
void test_register(const char *name, void (*run)(void **state));

/* Counts a skipped test and says why. Used by SKIP, which also leaves the test. */
void test_note_skip(const char *why);

/* The names of tests are sentences with underscores. */
#define TEST(name)                                                                                 \
    static void test_##name(void **state);                                                         \
    __attribute__((constructor)) static void test_register_##name(void)                            \
    {                                                                                              \
        test_register(#name, test_##name);                                                         \
    }                                                                                              \
    static void test_##name(void **state __attribute__((unused)))

/* `condition` must hold. */
#define EXPECT(condition) _assert_true((condition) ? 1 : 0, #condition, __FILE__, __LINE__)

/* `actual` is a struct str; `expected` a C string. Both are printed when they differ. */
#define EXPECT_STR(actual, expected) test_expect_str((actual), (expected), __FILE__, __LINE__)

/* Two integers are equal. Both are printed when they differ. */
#define EXPECT_INT(actual, expected)                                                               \
    test_expect_int((long long)(actual), (long long)(expected), __FILE__, __LINE__)

/* Leaves the test because this machine lacks something that it needs. */
#define SKIP(why)                                                                                  \
    do {                                                                                           \
        test_note_skip(why);                                                                       \
        _skip(__FILE__, __LINE__);                                                                 \
    } while (0)

static inline void
test_expect_str(struct str actual, const char *expected, const char *file, int line)
{
    size_t n = strlen(expected);

    if (actual.n == n && (n == 0 || memcmp(actual.p, expected, n) == 0))
        return;
    print_error("expected \"%s\"\n     got \"%.*s\"\n", expected, (int)actual.n,
        actual.p != NULL ? actual.p : "");
    _fail(file, line);
}

static inline void
test_expect_int(long long actual, long long expected, const char *file, int line)
{
    if (actual == expected)
        return;
    print_error("expected %lld\n     got %lld\n", expected, actual);
    _fail(file, line);
}

/* test_main.c - runs every TEST of the executable that it is linked into.
 *
 *     test_str                 all of them
 *     test_str PATTERN         those whose name contains PATTERN
 *
 * The last line on standard output is the one that `./dev test` adds up:
 * `tests: N passed, M failed, K skipped`.
 */
#include "tests/test.h"

#include <stdlib.h>

enum { TESTS_MAX = 1000 };

static struct CMUnitTest tests[TESTS_MAX];
static size_t tests_n;
static size_t skipped_n;

void
test_register(const char *name, void (*run)(void **state))
{
    if (tests_n == TESTS_MAX)
        abort();
    tests[tests_n++] = (struct CMUnitTest){ .name = name, .test_func = run };
}

void
test_note_skip(const char *why)
{
    skipped_n++;
    printf("skipped: %s\n", why);
}

/* Keeps only the tests whose name contains `pattern`. */
static void
keep_matching(const char *pattern)
{
    size_t kept = 0;

    for (size_t i = 0; i < tests_n; i++) {
        if (strstr(tests[i].name, pattern) != NULL)
            tests[kept++] = tests[i];
    }
    tests_n = kept;
}

int
main(int argc, char **argv)
{
    if (argc > 1)
        keep_matching(argv[1]);

    int failed = _cmocka_run_group_tests("openclaw", tests, tests_n, NULL, NULL);

    printf("tests: %zu passed, %d failed, %zu skipped\n", tests_n - (size_t)failed - skipped_n,
        failed, skipped_n);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* check.c - reports a broken invariant and aborts. */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void
check_failed(const char *expr, const char *file, int line, const char *function)
{
    (void)fprintf(stderr, "openclaw: check failed: %s at %s:%d (%s)\n", expr, file, line, function);
    abort();
}

void *
check_alloc(void *p)
{
    if (p == NULL) {
        (void)fputs("openclaw: out of memory\n", stderr);
        abort();
    }
    return p;
}

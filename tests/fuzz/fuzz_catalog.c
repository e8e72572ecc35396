/* fuzz_catalog.c - catalogs of others, and our own files: what is written of them is read again, and says the same. */
#include <stdint.h>

#include "catalog/catalog.h"
#include "catalog/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
count(void *arg, struct model_row *row)
{
    struct llm_usage u = { 0 };
    struct price_when when = { .wall_s = 1795503600 };

    usage_set(&u, COUNT_INPUT, 300000);
    usage_set(&u, COUNT_OUTPUT, 1000);
    CHECK(model_cost_nanousd(row, &u, &when) >= COST_UNKNOWN);
    CHECK((row->can & row->cannot) == 0 && row->traits != NULL);
    (*(size_t *)arg)++;
}

/* Nothing that we wrote ourselves is wrong. */
static void
refuse(void *arg, struct str problem)
{
    (void)arg;
    (void)problem;
    CHECK(false);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_create(256 * 1024 * 1024);
    struct buf out, again;
    struct import done;
    char why[256];
    size_t n = 0;

    buf_init(&out, 16 * 1024 * 1024);
    buf_init(&again, 16 * 1024 * 1024);
    if (catalog_import(
            a, S(""), str_make((const char *)data, size), 1795503600, &out, &done, WHY(why)) &&
        !out.overflow) {
        CHECK(catalog_read(a, buf_str(&out), count, refuse, &n, WHY(why)));
        CHECK(n == done.kept);
        CHECK(catalog_import(
            a, buf_str(&out), S("{\"models\":[]}"), 1795503600, &again, &done, WHY(why)));
        CHECK(str_eq(buf_str(&out), buf_str(&again)));
    }
    buf_fini(&out);
    buf_fini(&again);
    arena_destroy(a);
    return 0;
}

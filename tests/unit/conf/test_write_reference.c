/* test_write_reference.c - docs/configuration.md is what the table says. */
#include "conf/write_reference.c"

#include <stdio.h>
#include <stdlib.h>

#include "tests/test.h"

/* The root of the tree, seen from the place that the compiler was told. */
static void
read_page(struct buf *out)
{
    static const char here[] = "tests/unit/conf/test_write_reference.c";
    struct str root = str_c(__FILE__);
    char path[4096];

    EXPECT(str_ends(root, S("tests/unit/conf/test_write_reference.c")));
    snprintf(path, sizeof(path), "%.*sdocs/configuration.md", (int)(root.n - strlen(here)), root.p);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        print_error("%s: cannot be opened; run the test from the build folder\n", path);
    EXPECT(f != NULL);
    buf_commit(out, fread(buf_reserve(out, 1024 * 1024), 1, 1024 * 1024, f));
    fclose(f);
}

TEST(the_page_in_docs_is_up_to_date)
{
    struct buf made, page;

    buf_init(&made, 1024 * 1024);
    buf_init(&page, 1024 * 1024);
    conf_write_reference(&made);
    read_page(&page);
    if (!str_eq(buf_str(&made), buf_str(&page)))
        print_error("run: openclaw config reference > docs/configuration.md\n");
    EXPECT(str_eq(buf_str(&made), buf_str(&page)));
    buf_fini(&made);
    buf_fini(&page);
}

TEST(the_page_has_a_row_for_every_setting)
{
    struct buf made;
    const struct option *o;

    buf_init(&made, 1024 * 1024);
    conf_write_reference(&made);
    EXPECT(!made.overflow);
    for (size_t i = 0; (o = option_at(i)) != NULL; i++) {
        char row[64];

        snprintf(row, sizeof(row), "\n| `" STR_FMT "` | ", STR_ARG(o->key));
        EXPECT(
            (str_find(buf_str(&made), str_c(row)) < buf_len(&made)) == (o->type != OPTION_LATER));
    }
    buf_fini(&made);
}

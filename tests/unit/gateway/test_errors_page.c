/* test_errors_page.c - docs/errors.md describes every error as the code treats it.
 *
 * With OPENCLAW_WRITE_DOCS=1 in the environment the table is written instead of compared.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "llm/wire.h"
#include "route/failure.h"
#include "tests/test.h"

#define BEGIN "<!-- errors -->\n"
#define END "<!-- end -->"
#define PAGE "docs/errors.md"

static const char *
page_path(void)
{
    static char path[1024];
    static const char here[] = "tests/unit/gateway/test_errors_page.c";
    struct str file = S(__FILE__);

    (void)snprintf(path, sizeof(path), "%.*s" PAGE, (int)(file.n - strlen(here)), file.p);
    return path;
}

static void
write_table(struct buf *out)
{
    static const char *const whose[] = { "", "caller", "provider", "gateway" };
    const struct wire_caller *openai = wire_openai_chat.caller;
    const struct wire_caller *anthropic = wire_anthropic.caller;

    buf_add(out, S("| code | whose | OpenAI: status, type, code | Anthropic: status, type | next | "
                   "held against | retry | meaning |\n"
                   "|---|---|---|---|---|---|:-:|---|\n"));
    for (enum err e = ERR_BAD_REQUEST; e < ERR_COUNT; e++) {
        const struct err_row *row = err_row(e);
        const struct failure_row *failure = failure_row(e);
        const struct wire_error_name *name = &openai->error_names[e];
        struct llm_error error = { .kind = e };

        buf_printf(out, "| `%s` | %s | %d `%s` %s%s%s | %d `%s` | %s | %s | %s | %s |\n", row->code,
            whose[row->fault], openai->status(&error), name->type, name->code != NULL ? "`" : "",
            name->code != NULL ? name->code : "", name->code != NULL ? "`" : "",
            anthropic->status(&error), anthropic->error_names[e].type,
            failure->why != NULL ? failure_next_name(failure->next) : "",
            failure_blame_name(failure->blame), row->retry ? "yes" : "", row->sentence);
    }
}

static void
read_page(struct buf *out)
{
    char room[4096];
    size_t n;
    FILE *f = fopen(page_path(), "re");

    EXPECT(f != NULL);
    while ((n = fread(room, 1, sizeof(room), f)) != 0)
        buf_add(out, str_make(room, n));
    (void)fclose(f);
}

TEST(the_errors_page_matches_the_table)
{
    struct buf page, table;

    buf_init(&page, 1024 * 1024);
    buf_init(&table, 1024 * 1024);
    read_page(&page);
    write_table(&table);

    struct str all = buf_str(&page);
    size_t from = str_find(all, S(BEGIN)) + sizeof(BEGIN) - 1;
    EXPECT(from < all.n);
    struct str rest = str_skip(all, from);
    size_t n = str_find(rest, S(END));
    EXPECT(n < rest.n);
    if (getenv("OPENCLAW_WRITE_DOCS") != NULL) {
        FILE *f = fopen(page_path(), "we");
        EXPECT(f != NULL);
        EXPECT(fprintf(f, STR_FMT STR_FMT STR_FMT, (int)from, all.p, STR_ARG(buf_str(&table)),
                   STR_ARG(str_skip(rest, n))) > 0);
        EXPECT(fclose(f) == 0);
    } else {
        if (!str_eq(str_make(rest.p, n), buf_str(&table)))
            print_error(
                "run OPENCLAW_WRITE_DOCS=1 gateway_test_errors_page, which makes the table of " PAGE
                "\n");
        EXPECT(str_eq(str_make(rest.p, n), buf_str(&table)));
    }
    buf_fini(&page);
    buf_fini(&table);
}

/* test_protocols_page.c - docs/protocols.md says which operation works between which protocols, as the
 * tables do.
 *
 * With OPENCLAW_WRITE_DOCS=1 in the environment the table is written instead of compared.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "gateway/endpoints.h"
#include "tests/test.h"

#define BEGIN "<!-- operations -->\n"
#define END "<!-- end -->"
#define PAGE "docs/protocols.md"

static const char *
page_path(void)
{
    static char path[1024];
    static const char here[] = "tests/unit/gateway/test_protocols_page.c";
    struct str file = S(__FILE__);

    (void)snprintf(path, sizeof(path), "%.*s" PAGE, (int)(file.n - strlen(here)), file.p);
    return access(path, R_OK) == 0 ? path : PAGE;    /* from the build's folder, or the tree's */
}

static bool
reaches(const struct wire *from, const struct wire *to, enum llm_op op)
{
    bool asked = from->caller->asks[op] != NULL || (from->caller->translates & OP_BIT(op)) != 0;
    bool written = to->provider->writes[op] != NULL || (to->provider->translates & OP_BIT(op)) != 0;

    return (to->provider->ops & OP_BIT(op)) != 0 && (from == to || (asked && written));
}

static void
write_row(struct buf *out, const struct endpoint *e)
{
    const struct wire *to;
    enum llm_op op = e->op;
    bool all = true, any = false, first = true;

    for (size_t i = 0; (to = wire_at(i)) != NULL; i++)
        any = any || reaches(e->wire, to, op);
    op = any ? op : OP_CHAT;    /* Ollama's prompts, which are read as a chat */
    for (size_t i = 0; (to = wire_at(i)) != NULL; i++)
        all = all && reaches(e->wire, to, op);
    buf_printf(out, "| `" STR_FMT "` | %s | " STR_FMT " | ", STR_ARG(e->path), llm_op_name(e->op),
        STR_ARG(e->wire->name));
    for (size_t i = 0; !all && (to = wire_at(i)) != NULL; i++) {
        if (!reaches(e->wire, to, op))
            continue;
        buf_printf(out, "%s" STR_FMT, first ? "" : ", ", STR_ARG(to->name));
        first = false;
    }
    buf_add(out, all ? S("all |\n") : S(" |\n"));
}

static void
write_table(struct buf *out)
{
    static const enum llm_op ops[] = { OP_CHAT, OP_COMPLETE, OP_EMBED, OP_RERANK, OP_COUNT_TOKENS };

    buf_add(out, S("| route | operation | caller's protocol | providers' protocols |\n"
                   "|---|---|---|---|\n"));
    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        for (size_t k = 0; k < ENDPOINT_none; k++)
            if (endpoints[k].op == ops[i] && !endpoints[k].local && !endpoints[k].router)
                write_row(out, &endpoints[k]);
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
    fclose(f);
}

static void
write_page(struct str before, struct str table, struct str after)
{
    FILE *f = fopen(page_path(), "we");

    EXPECT(f != NULL);
    fprintf(f, STR_FMT STR_FMT STR_FMT, STR_ARG(before), STR_ARG(table), STR_ARG(after));
    fclose(f);
}

TEST(the_page_has_the_table)
{
    struct buf page, table;

    buf_init(&page, 1 << 20);
    buf_init(&table, 1 << 20);
    read_page(&page);
    write_table(&table);

    struct str text = buf_str(&page);
    size_t begin = str_find(text, S(BEGIN));
    EXPECT(begin < text.n);
    struct str before = str_make(text.p, begin + strlen(BEGIN));
    struct str rest = str_skip(text, before.n);
    size_t end = str_find(rest, S(END));
    EXPECT(end < rest.n);
    if (getenv("OPENCLAW_WRITE_DOCS") != NULL) {
        write_page(before, buf_str(&table), str_skip(rest, end));
    } else {
        if (!str_eq(str_make(rest.p, end), buf_str(&table)))
            print_error(
                "run OPENCLAW_WRITE_DOCS=1 gateway_test_protocols_page, which makes the table "
                "of " PAGE "\n");
        EXPECT(str_eq(str_make(rest.p, end), buf_str(&table)));
    }
    buf_fini(&page);
    buf_fini(&table);
}

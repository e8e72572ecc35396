/* cmd_config.c - `openclaw config`: the tables of settings and of the admin API as schemas and as pages. */
#include <stdio.h>
#include <string.h>

#include "admin/openapi.h"
#include "admin/page.h"
#include "app/app.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "conf/conf.h"

#define PAGE_BYTES_MOST (8u * 1024 * 1024)

static const struct document {
    const char *name;
    const char *help;
    const char *text;    /* or: */
    void (*write)(struct buf *out);
} documents[] = {
    { "schema", "the JSON Schema (2020-12), for editors that complete and check YAML", conf_schema,
        NULL },
    { "reference", "the reference page in Markdown", conf_reference, NULL },
    { "openapi", "the admin API as an OpenAPI 3.1 document", NULL, openapi_write },
    { "admin-api", "the page about it in Markdown", NULL, page_write },
};

static void
print_documents(void)
{
    (void)puts("");
    for (size_t i = 0; i < ARRAY_LEN(documents); i++)
        flags_print_line(documents[i].name, documents[i].help);
}

static const struct document *
document_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
        if (strcmp(documents[i].name, name) == 0)
            return &documents[i];
    }
    return NULL;
}

int
cmd_config(int argc, char **argv)
{
    const struct flags flags = {
        .usage = "openclaw config schema | reference | openapi | admin-api",
        .about = "Prints what there is to configure, and what the admin API has.",
        .words = 1,
        .more = print_documents,
    };
    int rest;
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, &rest);

    if (verdict != FLAGS_OK)
        return verdict;

    const struct document *d = rest == 1 ? document_named(argv[1]) : NULL;
    if (d == NULL) {
        (void)fprintf(stderr,
            "openclaw config: which document? write openclaw config schema, reference, openapi or admin-api\n");
        return 2;
    }

    struct buf out;

    buf_init(&out, PAGE_BYTES_MOST);
    if (d->write != NULL)
        d->write(&out);
    else
        buf_add(&out, str_c(d->text));
    output_print(&out);
    return 0;
}

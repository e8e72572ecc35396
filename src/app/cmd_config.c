/* cmd_config.c - `openclaw config`: the table of settings as a schema and as a page. */
#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "conf/conf.h"

static const struct document {
    const char *name;
    const char *help;
    const char *text;
} documents[] = {
    { "schema", "the JSON Schema (2020-12), for editors that complete and check YAML",
        conf_schema },
    { "reference", "the reference page in Markdown", conf_reference },
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
        .usage = "openclaw config schema | reference",
        .about = "Prints what there is to configure.",
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
            "openclaw config: which document? write openclaw config schema, or reference\n");
        return 2;
    }

    output_text(str_c(d->text));
    return 0;
}

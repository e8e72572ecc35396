/* cmd_import.c - `openclaw import`: another gateway's configuration and keys become ours. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "app/import_keys.h"
#include "app/import_litellm.h"
#include "cli/output.h"

enum { ARENA_BYTES = 1 << 30 };

struct import_command {
    struct resource_link link;
    const char *file, *out, *database;
    bool json;
    struct import_report report;
};

/* Reads the file and writes ours, to the file of --out or to standard output. */
static bool
convert(struct import_command *c)
{
    struct conf_problems problems;
    struct buf text, ours;

    conf_problems_init(&problems, c->report.arena);
    buf_init(&text, YAML_BYTES_MAX);
    buf_init(&ours, 8 * YAML_BYTES_MAX);
    bool ok = conf_read_file(c->file, &text, NULL, &problems);
    const struct yaml *doc =
        ok ? yaml_parse(c->report.arena, arena_str(c->report.arena, buf_str(&text)), &problems)
           : NULL;
    if (doc == NULL)
        conf_problems_print(&problems, str_c(c->file), 2);
    ok = doc != NULL && litellm_convert(doc, &ours, &c->report);
    FILE *f = ok && c->out != NULL ? fopen(c->out, "we") : NULL;
    if (ok && c->out != NULL &&
        (f == NULL || fwrite(buf_str(&ours).p, 1, buf_len(&ours), f) != buf_len(&ours))) {
        (void)fprintf(stderr, "openclaw import: %s: %s\n", c->out, strerror(errno));
        ok = false;
    }
    if (f != NULL && fclose(f) != 0)
        ok = false;
    if (ok && c->out == NULL)
        output_text(buf_str(&ours));
    buf_fini(&text);
    buf_fini(&ours);
    return ok;
}

static bool
act(struct resource_link *l, void *arg)
{
    struct import_command *c = arg;

    return import_keys(l, c->database, &c->report);
}

int
cmd_import(int argc, char **argv)
{
    struct import_command c = { .link.client.command = "import" };
    const struct flag list[] = {
        { "out", 'o', FLAG_TEXT, "FILE", "where to write our configuration (standard output)",
            &c.out, NULL },
        { "database", 'd', FLAG_TEXT, "URL",
            "PostgreSQL database of LiteLLM, whose organisations, teams, users and keys are imported; it "
            "is only read",
            &c.database, NULL },
        { "json", 0, FLAG_BOOL, NULL, "the report as JSON", &c.json, NULL },
        RESOURCE_LINK_FLAG_CONFIG(c.link),
    };
    const struct flags flags = {
        .usage = "openclaw import litellm [CONFIG.yaml] [--database URL] [options]",
        .about =
            "Makes a configuration of LiteLLM's, and keys of its database in our store, so that "
            "callers keep their keys. The report on standard error says what is not the same. "
            "Gateways that run notice new keys within a second; importing again changes nothing.",
        .list = list,
        .count = ARRAY_LEN(list),
        .words = 2,
    };
    int rest = 0, status = 0;
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, &rest);

    if (verdict != FLAGS_OK)
        return (int)verdict;
    c.file = rest == 2 ? argv[2] : NULL;
    if (rest == 0 || strcmp(argv[1], "litellm") != 0 || (c.file == NULL && c.database == NULL)) {
        (void)fprintf(stderr,
            "openclaw import: write openclaw import litellm CONFIG.yaml, --database URL, or both\n");
        return 2;
    }
    c.report.arena = arena_create(ARENA_BYTES);
    if (c.file != NULL && !convert(&c))
        status = 1;
    c.link.client.missing = true;    /* in the store: gateways that run notice it */
    if (status == 0 && c.database != NULL)
        status = resource_link_run(&c.link, act, &c);
    struct buf report;
    buf_init(&report, ARENA_BYTES / 4);
    if (c.json)
        import_print_json(&c.report, &report);
    else
        import_print(&c.report, &report);
    (void)fwrite(buf_str(&report).p, 1, buf_len(&report), stderr);
    buf_fini(&report);
    arena_destroy(c.report.arena);
    return status;
}

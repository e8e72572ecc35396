/* cmd_audit.c - `openclaw audit`: lists, exports and verifies the audit record. */
#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "app/resource_link.h"
#include "base/url.h"
#include "cli/output.h"

enum { OUTPUT_MAX = 64 * 1024 * 1024, PATH_ROOM = 8192, PAGE = 1000, LINES_DEFAULT = 50 };

struct audit_command {
    struct resource_link link;
    const char *what;    /* "list", "export" or "verify" */
    const char *actor, *action, *object, *since, *until, *key, *checkpoint;
    uint64_t limit;
};

/* Adds "name=value" to a query, encoded. */
static void
add_parameter(struct buf *path, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_printf(path, "%c%s=", str_chr(buf_str(path), '?') == buf_len(path) ? '?' : '&', name);
    url_add_segment(path, str_c(value));
}

/* A page of entries before that number; NULL after saying what went wrong. */
static const struct json *
read_page(struct audit_command *c, uint64_t limit, uint64_t before)
{
    struct buf path;
    struct str text;
    char number[24];

    buf_init(&path, PATH_ROOM);
    buf_printf(&path, "audit?limit=%llu", (unsigned long long)limit);
    (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)before);
    add_parameter(&path, "before", before != 0 ? number : NULL);
    add_parameter(&path, "actor", c->actor);
    add_parameter(&path, "action", c->action);
    add_parameter(&path, "object", c->object);
    add_parameter(&path, "since", c->since);
    add_parameter(&path, "until", c->until);
    buf_add_c(&path, '\0');
    const struct json *doc = resource_link_ask(&c->link, S("GET"), buf_str(&path).p, S(""), &text);
    buf_fini(&path);
    return doc;
}

static void
add_line(struct audit_command *c, struct buf *out, const struct json *entry)
{
    static const struct {
        const char *name;
        unsigned width;
    } columns[] = { { "time", 24 }, { "actor", 24 }, { "action", 20 }, { "object", 26 } };

    buf_printf(out, "%6llu  ", (unsigned long long)admin_number(entry, "seq"));
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        output_cell(out, admin_text(&c->link.client, entry, columns[i].name), columns[i].width);
    buf_printf(out, STR_FMT "\n", STR_ARG(admin_text(&c->link.client, entry, "outcome")));
}

/* The newest entries as a table, or all that match as JSON lines, a page at a time. */
static bool
list(struct audit_command *c)
{
    bool lines = c->link.client.json || strcmp(c->what, "export") == 0;
    uint64_t left = c->limit != 0 ? c->limit : lines ? UINT64_MAX : LINES_DEFAULT, before = 0;
    bool first = true;

    do {
        const struct json *doc = read_page(c, MIN(left, PAGE), before);
        struct json_iter it = json_iter(json_get(doc, S("data")));
        struct buf out;

        if (doc == NULL)
            return false;
        buf_init(&out, OUTPUT_MAX);
        if (first && !lines)
            buf_add(
                &out, S("   SEQ  TIME                      ACTOR                     ACTION      "
                        "          OBJECT                      OUTCOME\n"));
        for (first = false; left != 0 && json_next(&it); left--) {
            if (lines)
                buf_printf(&out, STR_FMT "\n", STR_ARG(json_raw(it.value)));
            else
                add_line(c, &out, it.value);
        }
        output_print(&out);
        before = admin_number(doc, "next_before");
    } while (before != 0 && left != 0);
    return true;
}

static bool
verify(struct audit_command *c)
{
    struct buf path;
    struct str text;

    buf_init(&path, PATH_ROOM);
    buf_add(&path, S("audit/verify"));
    add_parameter(&path, "key", c->key);
    add_parameter(&path, "checkpoint", c->checkpoint);
    buf_add_c(&path, '\0');
    const struct json *doc = resource_link_ask(&c->link, S("GET"), buf_str(&path).p, S(""), &text);
    buf_fini(&path);
    if (doc == NULL)
        return false;
    bool good = json_bool(json_get(doc, S("good")), false);
    struct admin_client *client = &c->link.client;

    if (client->json)
        (void)printf(STR_FMT "\n", STR_ARG(text));
    else if (good)
        (void)printf("%llu entries, all good\nsigned by   " STR_FMT "\ncheckpoint  " STR_FMT "\n",
            (unsigned long long)admin_number(doc, "entries"),
            STR_ARG(admin_text(client, doc, "key")),
            STR_ARG(admin_text(client, doc, "checkpoint")));
    else
        (void)printf("entry %llu is the first that is wrong: " STR_FMT "\n",
            (unsigned long long)admin_number(doc, "first_bad"),
            STR_ARG(admin_text(client, doc, "why")));
    return good;
}

static bool
act(struct resource_link *l UNUSED, void *arg)
{
    struct audit_command *c = arg;

    return strcmp(c->what, "verify") == 0 ? verify(c) : list(c);
}

int
cmd_audit(int argc, char **argv)
{
    struct audit_command c = { .link.client.command = "audit", .what = "list" };
    const struct flag flag_list[] = {
        { "actor", 0, FLAG_TEXT, "ID", "only acts of this key, or of local", &c.actor, NULL },
        { "action", 0, FLAG_TEXT, "ACTION", "only these acts, such as keys.create", &c.action,
            NULL },
        { "object", 0, FLAG_TEXT, "ID", "only what was done to this", &c.object, NULL },
        { "since", 0, FLAG_TEXT, "TIME", "not before this time (2027-01-31T00:00:00Z)", &c.since,
            NULL },
        { "until", 0, FLAG_TEXT, "TIME", "only before this time", &c.until, NULL },
        { "limit", 'n', FLAG_COUNT, "N", "so many of the newest (50; JSON: all)", &c.limit, NULL },
        { "key", 0, FLAG_TEXT, "HEX", "verify: the only key whose signatures count", &c.key, NULL },
        { "checkpoint", 0, FLAG_TEXT, "N:HASH",
            "verify: what an earlier verify said, noted elsewhere", &c.checkpoint, NULL },
        ADMIN_FLAG_SOCKET(c.link.client),
        ADMIN_FLAG_URL(c.link.client),
        RESOURCE_LINK_FLAG_CONFIG(c.link),
        RESOURCE_LINK_FLAG_OFFLINE(c.link),
        ADMIN_FLAG_JSON(c.link.client),
    };
    const struct flags flags = {
        .usage = "openclaw audit [list|export|verify] [options]",
        .about =
            "Shows who administered what, newest first; exports it as JSON lines; or verifies "
            "that nothing of it was changed, removed or added. Verifying fails with status 1 if "
            "something was. Through the gateway that runs on this machine, or in its store if "
            "none does.",
        .list = flag_list,
        .count = ARRAY_LEN(flag_list),
        .words = 1,
    };
    int rest = 0;
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, &rest);

    if (verdict != FLAGS_OK)
        return (int)verdict;
    c.what = rest == 1 ? argv[1] : "list";
    if (strcmp(c.what, "list") != 0 && strcmp(c.what, "export") != 0 &&
        strcmp(c.what, "verify") != 0) {
        (void)fprintf(
            stderr, "openclaw audit: there are list, export and verify, not '%s'\n", c.what);
        return 2;
    }
    return resource_link_run(&c.link, act, &c);
}

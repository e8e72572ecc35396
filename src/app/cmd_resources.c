/* cmd_resources.c - `openclaw keys`, `teams`, `users` and the others: one command for all kinds of
 * control/resources.def. */
#include <stdio.h>
#include <stdlib.h>

#include "app/app.h"
#include "app/resource_flags.h"
#include "app/resource_link.h"
#include "base/url.h"
#include "cli/output.h"

enum { OUTPUT_MAX = 16 * 1024 * 1024, CELL_MOST = 40, ROOM = 2048 };

/* What a command was told to do. */
struct task {
    enum resource_kind kind;
    struct resource_options options;
    struct resource_link link;
    const struct deed *deed;
    const char *name;       /* of one resource; NULL: not given */
    const char *overlap;    /* of rotate */
    const char *cursor;
    uint64_t limit;
};

struct deed {
    const char *name, *method;
    bool one;    /* of one resource, which is named */
    bool (*run)(struct task *t);
};

static struct arena *
arena_of(struct task *t)
{
    return t->link.client.arena;
}

/* "keys/NAME", with the name as one segment of the path, and what follows it. */
static const char *
path_of(struct task *t, const char *rest)
{
    struct buf b;

    buf_init(&b, 64 * 1024);
    buf_add(&b, resource_kind(t->kind)->path);
    buf_add_c(&b, '/');
    url_add_segment(&b, str_c(t->name));
    buf_printf(&b, "%s", rest);
    struct str path = arena_str(arena_of(t), buf_str(&b));
    buf_fini(&b);
    return path.p;
}

static bool
complain(struct task *t, const char *what)
{
    (void)fprintf(stderr, "openclaw %s: %s\n", t->link.client.command, what);
    return false;
}

/* --- showing --- */

/* A value as people read it: texts of a list with commas. */
static struct str
shown(struct task *t, const struct json *value)
{
    struct arena *a = arena_of(t);
    struct json_iter it = json_iter(value);
    struct str text = S("");

    if (json_is(value, JSON_STRING))
        return admin_shown(&t->link.client, json_str(a, value));
    if (!json_is(value, JSON_ARRAY) && !json_is(value, JSON_OBJECT))
        return json_present(value) ? json_raw(value) : S("");
    while (json_next(&it)) {
        struct str key = it.key != NULL ? json_str(a, it.key) : S("");

        text = arena_printf(a, STR_FMT "%s" STR_FMT "%s" STR_FMT, STR_ARG(text),
            text.n != 0 ? "," : "", STR_ARG(key), key.n != 0 ? "=" : "",
            STR_ARG(json_str(a, it.value)));
    }
    return admin_shown(&t->link.client, text);
}

/* Prints each member that says something, a line each. */
static void
add_one(struct task *t, struct buf *out, const struct json *doc)
{
    struct json_iter it = json_iter(doc);

    while (json_next(&it)) {
        struct str text = shown(t, it.value);

        if (text.n == 0 || json_str_is(it.key, S("object")))
            continue;
        output_cell(out, json_str(arena_of(t), it.key), 16);
        buf_printf(out, STR_FMT "\n", STR_ARG(text));
    }
}

static bool
is_column(const struct resource_field_row *f)
{
    return (f->flags & RESOURCE_COLUMN) != 0;
}

/* The width of a column of the table. */
static unsigned
width_of(struct task *t, const struct json *rows, struct str member)
{
    struct json_iter it = json_iter(rows);
    size_t width = member.n;

    while (json_next(&it))
        width = MAX(width, shown(t, json_get(it.value, member)).n);
    return (unsigned)MIN(width, CELL_MOST);
}

static void
add_heading(struct buf *out, struct str member, unsigned width)
{
    char room[64];

    str_copy_c(room, sizeof(room), member);
    for (char *p = room; *p != '\0'; p++)
        *p = *p == '_' ? ' ' : (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
    output_cell(out, str_c(room), width);
}

static void
add_table(struct task *t, struct buf *out, const struct json *rows)
{
    const struct resource_field_row *first = resource_field(resource_kind(t->kind)->first);
    unsigned widths[RESOURCE_FIELDS_MOST + 1], n = resource_field_count(t->kind);
    struct json_iter it = json_iter(rows);

    widths[n] = width_of(t, rows, S("id"));
    add_heading(out, S("id"), widths[n]);
    for (unsigned i = 0; i < n; i++) {
        if (!is_column(&first[i]))
            continue;
        widths[i] = width_of(t, rows, first[i].name);
        add_heading(out, first[i].name, widths[i]);
    }
    buf_add_c(out, '\n');
    while (json_next(&it)) {
        output_cell(out, shown(t, json_get(it.value, S("id"))), widths[n]);
        for (unsigned i = 0; i < n; i++)
            if (is_column(&first[i]))
                output_cell(out, shown(t, json_get(it.value, first[i].name)), widths[i]);
        buf_add_c(out, '\n');
    }
}

static void
print(struct task *t, struct str text, const struct json *doc,
    void (*add)(struct task *t, struct buf *out, const struct json *doc))
{
    struct buf out;

    buf_init(&out, OUTPUT_MAX);
    if (t->link.client.json)
        buf_printf(&out, STR_FMT "\n", STR_ARG(text));
    else
        add(t, &out, doc);
    output_print(&out);
}

/* --- deeds --- */

static bool
do_list(struct task *t)
{
    char why[ROOM];
    struct buf query;
    struct str text;

    buf_init(&query, 64 * 1024);
    if (!resource_options_query(&t->options, &query, WHY(why))) {
        buf_fini(&query);
        return complain(t, why);
    }
    if (t->limit != 0)
        buf_printf(
            &query, "%climit=%llu", buf_len(&query) == 0 ? '?' : '&', (unsigned long long)t->limit);
    if (t->cursor != NULL)
        buf_printf(&query, "%ccursor=%s", buf_len(&query) == 0 ? '?' : '&', t->cursor);
    struct str path = arena_printf(arena_of(t), STR_FMT STR_FMT,
        STR_ARG(resource_kind(t->kind)->path), STR_ARG(buf_str(&query)));
    buf_fini(&query);
    const struct json *doc = resource_link_ask(&t->link, S("GET"), path.p, S(""), &text);
    if (doc == NULL)
        return false;
    const struct json *rows = json_get(doc, S("data"));

    if (!t->link.client.json && json_count(rows) == 0)
        (void)fprintf(stderr, "openclaw %s: there are none\n", t->link.client.command);
    else
        print(t, text, t->link.client.json ? doc : rows, add_table);
    if (!t->link.client.json && json_bool(json_get(doc, S("has_more")), false))
        (void)fprintf(stderr, "openclaw %s: there are more: --cursor " STR_FMT " (or --limit N)\n",
            t->link.client.command, STR_ARG(admin_text(&t->link.client, doc, "next_cursor")));
    return true;
}

/* A key that was made is shown this once. */
static void
add_made(struct task *t, struct buf *out, const struct json *doc)
{
    struct str key = admin_text(&t->link.client, doc, "key");

    add_one(t, out, doc);
    if (key.n != 0)
        (void)fprintf(stderr,
            "openclaw %s: keep the key, it is shown only now; the store has a digest of it\n",
            t->link.client.command);
}

static bool
send_options(struct task *t, struct str method, const char *path)
{
    char why[ROOM];
    struct buf body;
    struct str text;

    buf_init(&body, API_BODY_BYTES);
    if (!resource_options_write(&t->options, &body, WHY(why))) {
        buf_fini(&body);
        return complain(t, why);
    }
    const struct json *doc = resource_link_ask(&t->link, method, path, buf_str(&body), &text);

    buf_fini(&body);
    if (doc != NULL)
        print(t, text, doc, add_made);
    return doc != NULL;
}

/* The name that stands alone is that of the new one; of limits and budgets, what they are for. */
static bool
do_create(struct task *t)
{
    struct resource_option *option = resource_option_of(&t->options, S("name"));

    if (option == NULL)
        option = resource_option_of(&t->options, S("for"));
    if (t->name != NULL && option == NULL)
        return complain(t, "a name was given, and these have none; use options");
    if (t->name != NULL && option->given)
        return complain(t, "the name was given twice");
    if (t->name != NULL) {
        option->given = true;
        option->text = str_c(t->name);
    }
    return send_options(t, S("POST"), resource_kind(t->kind)->path.p);
}

static bool
do_set(struct task *t)
{
    return send_options(t, S("PATCH"), path_of(t, ""));
}

static bool
do_show(struct task *t)
{
    struct str text;
    const struct json *doc = resource_link_ask(&t->link, S("GET"), path_of(t, ""), S(""), &text);

    if (doc != NULL)
        print(t, text, doc, add_one);
    return doc != NULL;
}

static bool
do_delete(struct task *t)
{
    struct str text;

    if (resource_link_ask(&t->link, S("DELETE"), path_of(t, ""), S(""), &text) == NULL)
        return false;
    if (!t->link.client.json)
        (void)fprintf(stderr, "openclaw %s: %s is deleted\n", t->link.client.command, t->name);
    return true;
}

static bool
do_rotate(struct task *t)
{
    struct str body = S("{}"), text;

    if (t->overlap != NULL && !str_has_only(str_c(t->overlap), ""))
        return complain(t, "--overlap wants a time like 24h or 0s");
    if (t->overlap != NULL)
        body = arena_printf(arena_of(t), "{\"overlap\":\"%s\"}", t->overlap);
    const struct json *doc =
        resource_link_ask(&t->link, S("POST"), path_of(t, "/rotate"), body, &text);
    if (doc != NULL)
        print(t, text, doc, add_made);
    return doc != NULL;
}

static bool
do_revoke(struct task *t)
{
    struct str text;
    const struct json *doc =
        resource_link_ask(&t->link, S("POST"), path_of(t, "/revoke"), S("{}"), &text);

    if (doc != NULL)
        print(t, text, doc, add_one);
    return doc != NULL;
}

static const struct deed deeds[] = {
    { "list", "GET", false, do_list },
    { "show", "GET", true, do_show },
    { "create", "POST", false, do_create },
    { "set", "PATCH", true, do_set },
    { "delete", "DELETE", true, do_delete },
    { "rotate", "POST", true, do_rotate },
    { "revoke", "POST", true, do_revoke },
};

/* --- the command line --- */

static bool
act(struct resource_link *l UNUSED, void *arg)
{
    struct task *t = arg;

    return t->deed->run(t);
}

static size_t
deeds_of(enum resource_kind kind)
{
    return ARRAY_LEN(deeds) - (kind == RESOURCE_keys ? 0 : 2);    /* only keys are rotated */
}

/* Finds what is to be done, in `count` words. False after saying what to write. */
static bool
read_words(struct task *t, int count, char **words)
{
    const char *word = count > 0 ? words[0] : "list", *command = t->link.client.command;

    for (size_t i = 0; i < deeds_of(t->kind); i++)
        if (strcmp(deeds[i].name, word) == 0)
            t->deed = &deeds[i];
    t->name = count > 1 ? words[1] : NULL;
    if (t->deed == NULL)
        (void)fprintf(stderr, "openclaw %s: '%s' is none of list, show, create, set, delete%s\n",
            command, word, t->kind == RESOURCE_keys ? ", rotate, revoke" : "");
    else if (t->deed->one && t->name == NULL)
        (void)fprintf(stderr, "openclaw %s %s: which? write its name or id\n", command, word);
    else if (t->name != NULL && t->deed->run == do_list)
        (void)fprintf(stderr,
            "openclaw %s list: '%s' is not an option; for one: openclaw %s show %s\n", command,
            t->name, command, t->name);
    else
        return true;
    return false;
}

static void
add_flags(struct task *t)
{
    struct resource_options *o = &t->options;
    const struct flag more[] = {
        { "limit", 0, FLAG_COUNT, "N", "with list: so many, at most 1000", &t->limit, NULL },
        { "cursor", 0, FLAG_TEXT, "CURSOR", "with list: after those of an earlier page", &t->cursor,
            NULL },
        ADMIN_FLAG_SOCKET(t->link.client),
        { "url", 'u', FLAG_TEXT, "URL",
            "its address instead: with a key that has a role (from OPENCLAW_API_KEY)",
            &t->link.client.url, NULL },
        RESOURCE_LINK_FLAG_OFFLINE(t->link),
        RESOURCE_LINK_FLAG_CONFIG(t->link),
        ADMIN_FLAG_JSON(t->link.client),
    };

    resource_options_init(o, t->kind);
    if (t->kind == RESOURCE_keys)
        resource_options_add(o,
            (struct flag){ "overlap", 0, FLAG_TEXT, "TIME",
                "with rotate: how long the old key works on; left out: 24h", &t->overlap, NULL });
    for (size_t i = 0; i < ARRAY_LEN(more); i++)
        resource_options_add(o, more[i]);
}

int
cmd_resources(int argc, char **argv)
{
    struct task *t = check_alloc(calloc(1, sizeof(*t)));
    char usage[256], about[512];
    int rest, status = 2;

    t->kind = resource_kind_named(strcmp(argv[0], "orgs") == 0
                                      ? resource_kind(RESOURCE_organisations)->path
                                      : str_c(argv[0]));
    CHECK(t->kind != RESOURCE_KINDS);
    t->link.client.command = argv[0];
    add_flags(t);
    (void)snprintf(usage, sizeof(usage),
        "openclaw %s list|show|create|set|delete%s [NAME] [options]", argv[0],
        t->kind == RESOURCE_keys ? "|rotate|revoke" : "");
    (void)snprintf(about, sizeof(about),
        "%s Through the gateway that runs on this machine, or in its store if none does.",
        resource_kind(t->kind)->help.p);
    const struct flags flags = { .usage = usage,
        .about = about,
        .list = t->options.flags,
        .count = t->options.flag_count,
        .words = 2 };
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, &rest);

    if (verdict == FLAGS_OK && read_words(t, rest, argv + 1))
        status = resource_link_run(&t->link, act, t);
    else if (verdict != FLAGS_OK)
        status = (int)verdict;
    free(t);
    return status;
}

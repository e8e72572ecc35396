/* cmd_explain.c - `openclaw explain`: why a request goes where it goes. By a dry run with a
 * configuration, by a dry run of a running gateway, or what became of one that has ended. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "app/admin_client.h"
#include "app/app.h"
#include "app/config_flags.h"
#include "app/explain_view.h"
#include "base/json_out.h"
#include "base/url.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "gateway/dry.h"

enum {
    REQUEST_MAX = 64 * 1024 * 1024,
    OUTPUT_MAX = 16 * 1024 * 1024,
    FIELDS_MAX = 64,
};

struct explain {
    struct config_flags config;
    struct admin_client client;    /* also: --json, and the arena */
    bool live;
    const char *request;    /* the id of one that has ended */
    const char *key, *path;
    struct str fields[FIELDS_MAX];    /* "Name: value" */
    size_t field_count;
};

static bool
add_field(void *value, struct str text, struct why why)
{
    struct explain *e = value;
    struct str name, rest;

    if (!str_cut(text, ':', &name, &rest) || str_trim(name).n == 0)
        return why_say(why, "is not a header field; write 'Name: value'");
    if (e->field_count == FIELDS_MAX)
        return why_say(why, "more than %d of them", FIELDS_MAX);
    e->fields[e->field_count++] = text;
    return true;
}

/* The body, from a file or standard input. False after saying why not. */
static bool
read_body(const char *path, struct buf *out)
{
    bool input = strcmp(path, "-") == 0;
    int fd = input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? 1 : -1;

    while (n > 0) {
        char *room = buf_reserve(out, 64 * 1024);

        if (room == NULL)
            break;
        n = read(fd, room, 64 * 1024);
        if (n > 0)
            buf_commit(out, (size_t)n);
    }
    if (n < 0)
        perror(path);
    else if (n > 0)
        (void)fprintf(stderr, "openclaw explain: %s has more than 64 MB\n", path);
    if (fd >= 0 && !input)
        (void)close(fd);
    return n == 0;
}

/* The description of the request, as POST /admin/v1/explain takes it. */
static void
describe(const struct explain *e, struct str body, struct buf *out)
{
    struct json_out o = json_out(out);

    out_object(&o);
    if (e->path != NULL)
        out_text(&o, "path", str_c(e->path));
    if (e->key != NULL)
        out_text(&o, "key", str_c(e->key));
    out_key_object(&o, "headers");
    for (size_t i = 0; i < e->field_count; i++) {
        struct str name, value;

        (void)str_cut(e->fields[i], ':', &name, &value);
        out_key_str(&o, str_trim(name));
        out_text_value(&o, str_trim(value));
    }
    out_end(&o);
    out_raw(&o, "request", body);
    out_end(&o);
}

static void
print(const struct explain *e, struct str text, const struct json *doc)
{
    struct buf out;

    buf_init(&out, OUTPUT_MAX);
    if (e->client.json) {
        buf_add(&out, text);
        buf_add_c(&out, '\n');
    } else if (e->request != NULL) {
        explain_view_request(&out, e->client.arena, doc);
    } else {
        explain_view_answer(&out, e->client.arena, doc);
    }
    output_print(&out);
}

/* With the configuration, in this process: 0, 1 or 2, the status to exit with. */
static int
explain_here(struct explain *e, struct str description)
{
    struct arena *a = e->client.arena = arena_create(2 * (size_t)REQUEST_MAX);
    struct conf_problems problems;
    struct json_error bad;
    struct str why = S("");
    struct buf out;
    int status = 2;

    conf_problems_init(&problems, a);
    struct conf *c = config_flags_load(&e->config, &problems);
    struct str simulated_url = c->provider_count == 0 ? S("http://127.0.0.1:1/v1") : S("");
    struct snapshot *s = snapshot_build(c, simulated_url, &problems);
    struct rules_runner *rules = rules_runner_create(s->rules);
    const struct json *doc = json_parse(a, description, NULL, &bad);

    buf_init(&out, OUTPUT_MAX);
    if (problems.count != 0)
        conf_problems_print(&problems, s->conf->path, STDERR_FILENO);
    else if (doc == NULL)
        (void)fprintf(stderr, "openclaw explain: the request is not JSON: %s\n", bad.what);
    else if (dry_explain(s, rules, a, doc, &out, &why) != OK)
        (void)fprintf(stderr, "openclaw explain: " STR_FMT "\n", STR_ARG(why));
    else
        status = 0;
    if (status == 0) {
        struct str text = arena_str(a, buf_str(&out));

        doc = json_parse(a, text, NULL, NULL);
        print(e, text, doc);
        status = json_get(doc, S("error")) != NULL;
    }
    buf_fini(&out);
    rules_runner_destroy(rules);
    snapshot_unref(s);
    arena_destroy(a);
    return status;
}

/* By the running gateway: what became of a request, or where the described one would go. */
struct live_question {
    struct explain *explain;
    struct str description;
};

static bool
ask(struct admin_client *c, void *arg)
{
    const struct live_question *q = arg;
    const char *id = q->explain->request, *path = "explain";
    struct str text;

    if (id != NULL)
        path = arena_printf(c->arena, "exchanges/" STR_FMT, STR_ARG(admin_encode(c->arena, id))).p;
    const struct json *doc = admin_client_ask(c, path, id != NULL ? S("") : q->description, &text);
    if (doc == NULL)
        return false;
    print(q->explain, text, doc);
    return json_get(doc, S("error")) == NULL;
}

int
cmd_explain(int argc, char **argv)
{
    struct explain e = { .client.command = "explain" };
    const struct flag list[] = {
        { "config", 'c', FLAG_TEXT, "FILE",
            "the configuration, - for standard input (from OPENCLAW_CONFIG)", &e.config.path,
            NULL },
        { "set", 0, FLAG_CALL, "KEY=VALUE", "a setting put over the file; may be given again",
            &e.config, config_flags_set },
        { "key", 'k', FLAG_TEXT, "NAME", "the name of the API key that asks", &e.key, NULL },
        { "path", 'p', FLAG_TEXT, "PATH", "the route; left out: /v1/chat/completions", &e.path,
            NULL },
        { "header", 'H', FLAG_CALL, "'NAME: VALUE'",
            "a header field of the request; may be given again", &e, add_field },
        { "live", 'l', FLAG_BOOL, NULL,
            "ask the running gateway: with its configuration, and what it knows of its targets now",
            &e.live, NULL },
        { "request", 'r', FLAG_TEXT, "ID",
            "a request that has ended, by its x-request-id or the id of its answer, instead of a "
            "file: ask the running gateway what became of it",
            &e.request, NULL },
        ADMIN_FLAG_SOCKET(e.client),
        ADMIN_FLAG_URL(e.client),
        ADMIN_FLAG_JSON(e.client),
    };
    const struct flags flags = {
        .usage = "openclaw explain [-c FILE | --live] REQUEST.json | --request ID",
        .about = "Shows where a request would go, and why: the targets in the order in which they "
                 "are tried, with what speaks for each, and those that cannot take it, with the "
                 "reason. Nothing is sent. REQUEST.json is the body of a request, - for standard "
                 "input. Exit status 1: it would be refused.",
        .list = list,
        .count = ARRAY_LEN(list),
        .words = 1,
    };
    int rest;
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, &rest);
    struct buf body, description;

    if (verdict != FLAGS_OK)
        return verdict;
    if ((rest == 1) == (e.request != NULL)) {
        (void)fprintf(stderr, "openclaw explain: which request? write openclaw explain "
                              "REQUEST.json, or openclaw explain --request ID\n");
        return 2;
    }
    bool live = e.live || e.request != NULL || e.client.socket != NULL || e.client.url != NULL;
    if (live && (e.config.path != NULL || e.config.set_count != 0)) {
        (void)fprintf(stderr, "openclaw explain: a running gateway has its own configuration; "
                              "leave out -c and --set, or --live, --socket and --url\n");
        return 2;
    }
    buf_init(&body, REQUEST_MAX);
    buf_init(&description, 2 * (size_t)REQUEST_MAX);
    struct live_question q = { .explain = &e };
    int status = 1;
    if (rest == 0 || read_body(argv[1], &body)) {
        describe(&e, buf_str(&body), &description);
        if (!live)
            config_flags_from_environment(&e.config);
        q.description = buf_str(&description);
        status = live ? admin_client_run(&e.client, ask, &q) : explain_here(&e, q.description);
    }
    buf_fini(&body);
    buf_fini(&description);
    config_flags_fini(&e.config);
    return status;
}

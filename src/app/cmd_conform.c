/* cmd_conform.c - `openclaw conform`: which protocols does a server speak, and how well? */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/app.h"
#include "base/json_out.h"
#include "cli/ask.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/talk.h"
#include "conform/conform.h"

enum { WIRES_MOST = 16, RESULTS_BYTES = 1024 * 1024, TEXT_BYTES = 1024 * 1024 };

struct column {
    const struct wire *wire;
    struct conform_result *results;
    bool named;    /* by --wire */
};

struct conforming {
    const char *url;
    const char *key;
    const char *model;
    const char *wire_name;
    uint64_t limit_us;
    bool insecure;
    bool json;
    bool progress;    /* on the terminal */
    struct arena *a;
    struct column columns[WIRES_MOST];
    size_t count;
    size_t current;
};

static const char *const verdicts[] = {
    [CONFORM_PASSED] = "pass",
    [CONFORM_FAILED] = "FAIL",
    [CONFORM_REFUSED] = "refused",
    [CONFORM_ABSENT] = "-",
};

static void
on_done(void *arg, size_t i)
{
    struct conforming *c = arg;

    if (!c->progress)
        return;
    (void)fprintf(stderr, "\r\033[K" STR_FMT ": %zu of %zu",
        STR_ARG(c->columns[c->current].wire->name), i + 1, conform_count());
    if (i + 1 == conform_count())
        (void)fprintf(stderr, "\r\033[K");
}

/* --- the report --- */

static size_t
failures(const struct conforming *c)
{
    size_t n = 0;

    for (size_t w = 0; w < c->count; w++) {
        const struct column *col = &c->columns[w];

        n += col->named && col->results[0].verdict == CONFORM_ABSENT;
        for (size_t i = 0; i < conform_count(); i++)
            n += col->results[i].verdict == CONFORM_FAILED;
    }
    return n;
}

static void
print_matrix(const struct conforming *c, struct buf *out)
{
    output_cell(out, S(""), 14);
    for (size_t w = 0; w < c->count; w++)
        output_cell(out, c->columns[w].wire->name, 18);
    buf_add(out, S("\n"));
    for (size_t i = 0; i < conform_count(); i++) {
        output_cell(out, str_c(conform_name(i)), 14);
        for (size_t w = 0; w < c->count; w++)
            output_cell(out, str_c(verdicts[c->columns[w].results[i].verdict]), 18);
        buf_printf(out, "%s\n", conform_about(i));
    }
}

/* What did not pass, and why. A protocol that is not offered has one line. */
static void
print_reasons(const struct conforming *c, struct buf *out)
{
    for (size_t w = 0; w < c->count; w++) {
        const struct column *col = &c->columns[w];
        bool absent = col->results[0].verdict == CONFORM_ABSENT;

        for (size_t i = 0; i < (absent ? 1 : conform_count()); i++) {
            const struct conform_result *r = &col->results[i];

            if (r->verdict == CONFORM_PASSED)
                continue;
            buf_printf(out, "\n" STR_FMT " %s: ", STR_ARG(col->wire->name),
                absent ? "is not offered" : conform_name(i));
            output_cell(out, r->why, (unsigned)MIN(r->why.n, 400));
        }
    }
    buf_printf(out, "\n\n%zu failed\n", failures(c));
}

static void
print_json(const struct conforming *c, struct buf *out)
{
    struct json_out o = { .b = out };

    out_object(&o);
    out_text(&o, "url", str_c(c->url));
    out_text(&o, "model", str_c(c->model));
    out_key_object(&o, "protocols");
    for (size_t w = 0; w < c->count; w++) {
        const struct column *col = &c->columns[w];

        out_key_str(&o, col->wire->name);
        out_object(&o);
        for (size_t i = 0; i < conform_count(); i++) {
            static const char *const words[] = { "passed", "failed", "refused", "absent" };

            out_key_str(&o, str_c(conform_name(i)));
            out_object(&o);
            out_text(&o, "verdict", str_c(words[col->results[i].verdict]));
            out_text_if(&o, "why", col->results[i].why);
            out_end(&o);
        }
        out_end(&o);
    }
    out_end(&o);
    out_key(&o, "failed");
    out_i64_value(&o, (int64_t)failures(c));
    out_end(&o);
    buf_add(out, S("\n"));
}

/* --- from the command line --- */

static void
on_sigint(int signo)
{
    (void)signo;
    talk_interrupt();
}

/* The named protocol, or all of them. */
static bool
choose_wires(struct conforming *c)
{
    const struct wire *wire;

    if (c->wire_name != NULL) {
        c->columns[0] = (struct column){ .wire = ask_wire("conform", c->wire_name), .named = true };
        c->count = 1;
        return c->columns[0].wire != NULL;
    }
    for (size_t i = 0; (wire = wire_at(i)) != NULL && c->count < WIRES_MOST; i++)
        if (wire->provider != NULL && (wire->provider->translates & OP_BIT(OP_CHAT)) != 0)
            c->columns[c->count++].wire = wire;
    return true;
}

static int
run(struct conforming *c)
{
    struct str base;
    struct origin *origin = ask_origin("conform", c->url, c->insecure, &base);
    struct buf out;

    if (origin == NULL)
        return 2;
    for (c->current = 0; c->current < c->count; c->current++) {
        struct column *col = &c->columns[c->current];
        const struct conform server = {
            .origin = origin,
            .wire = col->wire,
            .base = base,
            .model = str_c(c->model),
            .key = c->key,
            .limit_ms = c->limit_us / 1000,
        };

        col->results = arena_array(c->a, struct conform_result, conform_count());
        conform_run(&server, c->a, col->results, on_done, c);
    }
    buf_init(&out, TEXT_BYTES);
    if (c->json) {
        print_json(c, &out);
    } else {
        print_matrix(c, &out);
        print_reasons(c, &out);
    }
    output_print(&out);
    origin_destroy(origin);
    return failures(c) == 0 && !talk_is_interrupted() ? 0 : 1;
}

int
cmd_conform(int argc, char **argv)
{
    struct conforming c = {
        .url = "http://127.0.0.1:8080",
        .key = getenv("OPENCLAW_API_KEY"),
        .limit_us = UINT64_C(120) * 1000 * 1000,
    };
    const struct flag list[] = {
        { "model", 'm', FLAG_TEXT, "M", "the model to ask; it should know tools", &c.model, NULL },
        { "key", 'k', FLAG_TEXT, "KEY", "API key (from OPENCLAW_API_KEY)", &c.key, NULL },
        { "wire", 'w', FLAG_TEXT, "WIRE",
            "only this protocol, or the one whose name begins so (all of them)", &c.wire_name,
            NULL },
        { "timeout", 0, FLAG_TIME, "TIME", "the limit of one answer (2m)", &c.limit_us, NULL },
        { "insecure", 0, FLAG_BOOL, NULL, "do not verify the server's certificate", &c.insecure,
            NULL },
        { "json", 0, FLAG_BOOL, NULL, "print JSON", &c.json, NULL },
    };
    const struct flags flags = {
        .usage = "openclaw conform --model M [options] [URL]",
        .about =
            "Asks a server (a gateway or a provider, by default the gateway at "
            "http://127.0.0.1:8080) in every protocol, and prints what it does as the protocol "
            "has it: answers, streams, tools, schemas, limits, errors. It sends about fifteen "
            "short requests in each protocol that the server offers. Exits with 0 if nothing "
            "failed; 'refused' means that the server said it does not do this.",
        .list = list,
        .count = ARRAY_LEN(list),
        .words = 1,
    };
    struct sigaction on_interrupt = { .sa_handler = on_sigint };
    int words = 0;
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, &words);

    if (verdict != FLAGS_OK)
        return (int)verdict;
    if (words == 1)
        c.url = argv[1];
    if (c.model == NULL) {
        (void)fprintf(stderr, "openclaw conform: name a model with --model\n");
        return 2;
    }
    if (!choose_wires(&c))
        return 2;
    c.progress = isatty(STDERR_FILENO) && !c.json;
    c.a = arena_create(RESULTS_BYTES);
    sigaction(SIGINT, &on_interrupt, NULL);
    int status = run(&c);
    arena_destroy(c.a);
    return status;
}

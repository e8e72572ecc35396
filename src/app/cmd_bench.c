/* cmd_bench.c - `openclaw bench`: from the command line to a measured server. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/app.h"
#include "bench/bench.h"
#include "cli/flags.h"
#include "base/buf.h"
#include "base/json.h"
#include "http/message.h"
#include "net/tls.h"

enum { BODY_BYTES_MAX = 128 * 1024 * 1024, FIELDS_BYTES_MAX = 16 * 1024 };

struct settings {
    const char *url;
    const char *model;
    const char *key;
    const char *wire;
    uint64_t connections;
    uint64_t requests;
    uint64_t duration_us;
    double rate;
    bool stream;
    uint64_t prompt_bytes;
    uint64_t max_tokens;
    uint64_t threads;
    uint64_t timeout_us;
    bool insecure;
    bool json;
};

static enum flags_verdict
read_settings(struct settings *s, int argc, char **argv)
{
    const struct flag list[] = {
        { "model", 'm', FLAG_TEXT, "M", "the model to ask", &s->model, NULL },
        { "key", 'k', FLAG_TEXT, "KEY", "API key (from OPENCLAW_API_KEY)", &s->key, NULL },
        { "connections", 'c', FLAG_COUNT, "N", "requests at the same time (16)", &s->connections,
            NULL },
        { "requests", 'n', FLAG_COUNT, "N", "stop after so many requests", &s->requests, NULL },
        { "duration", 'd', FLAG_TIME, "TIME",
            "start requests for this long (10s, unless -n is given)", &s->duration_us, NULL },
        { "rate", 'r', FLAG_RATE, "R",
            "open loop: R requests a second, timed from when each was due", &s->rate, NULL },
        { "stream", 's', FLAG_BOOL, NULL,
            "ask for streams; measure the first token and the time between tokens", &s->stream,
            NULL },
        { "prompt-bytes", 0, FLAG_BYTES, "SIZE", "length of the prompt (100)", &s->prompt_bytes,
            NULL },
        { "max-tokens", 0, FLAG_COUNT, "N", "longest answer (256)", &s->max_tokens, NULL },
        { "threads", 't', FLAG_COUNT, "N", "threads that make the load (1)", &s->threads, NULL },
        { "timeout", 0, FLAG_TIME, "TIME", "a request that takes longer has failed (60s)",
            &s->timeout_us, NULL },
        { "wire", 'w', FLAG_TEXT, "WIRE", "openai-chat or anthropic-messages (openai-chat)",
            &s->wire, NULL },
        { "insecure", 0, FLAG_BOOL, NULL, "do not verify the server's certificate", &s->insecure,
            NULL },
        { "json", 0, FLAG_BOOL, NULL, "report as JSON", &s->json, NULL },
    };
    const struct flags all = {
        .usage = "openclaw bench URL --model M [options]",
        .about = "Measures a server that speaks the OpenAI or Anthropic protocol: requests per "
                 "second, time to "
                 "the first token, time between tokens, whole answers, errors. URL is the server, "
                 "its base URL "
                 "(http://HOST/v1) or the whole path.",
        .list = list,
        .count = ARRAY_LEN(list),
    };
    int rest;
    enum flags_verdict verdict = flags_parse(&all, argc, argv, &rest);

    if (verdict != FLAGS_OK)
        return verdict;
    if (rest != 1 || s->model == NULL) {
        fprintf(stderr, "usage: %s\n", all.usage);
        return FLAGS_WRONG;
    }
    s->url = argv[1];
    return FLAGS_OK;
}

static bool
is_lawful(const struct settings *s)
{
    const char *wrong = NULL;

    if (s->connections < 1 || s->connections > 100000)
        wrong = "--connections must be from 1 to 100000";
    else if (s->threads < 1 || s->threads > 64 || s->threads > s->connections)
        wrong = "--threads must be from 1 to 64, and not more than --connections";
    else if (s->prompt_bytes > BODY_BYTES_MAX / 2)
        wrong = "--prompt-bytes must be at most 64MB";
    else if (s->timeout_us < 1000)
        wrong = "--timeout must be at least 1ms";
    else if (strcmp(s->wire, "openai-chat") != 0 && strcmp(s->wire, "anthropic-messages") != 0)
        wrong = "--wire must be openai-chat or anthropic-messages";
    if (wrong != NULL)
        fprintf(stderr, "openclaw bench: %s\n", wrong);
    return wrong == NULL;
}

/* Enough words for a prompt of that size. */
static void
add_prompt(struct buf *out, uint64_t bytes)
{
    static const char words[] = "the quick crab carries one more shell along the pier ";

    for (uint64_t i = 0; i < bytes; i++)
        buf_add_c(out, words[i % (sizeof(words) - 1)]);
}

static void
make_body(struct buf *out, const struct settings *s, bool anthropic)
{
    buf_add(out, S("{\"model\":"));
    json_add_str(out, str_c(s->model));
    buf_printf(out, ",\"max_tokens\":%llu", (unsigned long long)s->max_tokens);
    if (s->stream)
        buf_add(out, anthropic ? S(",\"stream\":true")
                               : S(",\"stream\":true,\"stream_options\":{\"include_usage\":true}"));
    buf_add(out, S(",\"messages\":[{\"role\":\"user\",\"content\":\""));
    add_prompt(out, MAX(s->prompt_bytes, 1));
    buf_add(out, S("\"}]}"));
}

static void
make_fields(struct buf *out, const struct settings *s, bool anthropic)
{
    buf_add(
        out, S("Content-Type: application/json\r\nAccept: */*\r\nUser-Agent: openclaw-bench\r\n"));
    if (anthropic)
        buf_add(out, S("anthropic-version: 2023-06-01\r\n"));
    if (s->key != NULL && s->key[0] != '\0') {
        char value[1024];
        snprintf(value, sizeof(value), "%s%s", anthropic ? "" : "Bearer ", s->key);
        http_add_field(out, anthropic ? S("x-api-key") : S("Authorization"), str_c(value));
    }
}

/* Completes a server, a base URL or a whole path to the URL of the route. */
static void
make_path(struct buf *out, struct str path, bool anthropic)
{
    struct str route = anthropic ? S("/messages") : S("/chat/completions");

    if (path.n == 0)
        buf_add(out, S("/v1"));
    buf_add(out, path);
    if (!str_ends(path, route))
        buf_add(out, route);
}

static void
show_progress(uint64_t elapsed_us, uint64_t done, uint64_t failed)
{
    static uint64_t last_done;
    static uint64_t last_us;
    double rate = elapsed_us > last_us
                      ? (double)(done - last_done) * 1e6 / (double)(elapsed_us - last_us)
                      : 0;

    last_done = done;
    last_us = elapsed_us;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%.0f s  %llu answers  %.0f/s  %llu errors ",
            (double)elapsed_us / 1e6, (unsigned long long)done, rate, (unsigned long long)failed);
}

static struct origin *
find_origin(const struct settings *s, struct str *ret_path)
{
    struct tls_context *tls = NULL;
    struct origin *origin = NULL;
    char why[512];

    if (str_istarts(str_c(s->url), S("https://")))
        tls = tls_client_create(NULL, s->insecure, why, sizeof(why));
    if (tls != NULL || !str_istarts(str_c(s->url), S("https://")))
        origin = origin_create(str_c(s->url), tls, ret_path, why, sizeof(why));
    tls_context_unref(tls);
    if (origin == NULL)
        fprintf(stderr, "openclaw bench: %s\n", why);
    return origin;
}

static int
measure(const struct settings *s, const struct origin *origin, struct str base_path)
{
    bool anthropic = strcmp(s->wire, "anthropic-messages") == 0;
    struct bench_totals *totals = check_alloc(calloc(1, sizeof(*totals)));
    struct buf body;
    struct buf fields;
    struct buf path;

    buf_init(&body, BODY_BYTES_MAX);
    buf_init(&fields, FIELDS_BYTES_MAX);
    buf_init(&path, FIELDS_BYTES_MAX);
    make_body(&body, s, anthropic);
    make_fields(&fields, s, anthropic);
    make_path(&path, base_path, anthropic);

    struct bench_options o = {
        .origin = origin,
        .path = buf_str(&path),
        .fields = buf_str(&fields),
        .body = buf_str(&body),
        .anthropic = anthropic,
        .stream = s->stream,
        .connections = s->connections,
        .threads = s->threads,
        .requests = s->requests,
        .duration_us = s->duration_us != 0 || s->requests != 0 ? s->duration_us : 10 * 1000 * 1000,
        .rate = s->rate,
        .timeout_us = s->timeout_us,
    };
    bench_run(&o, totals, show_progress);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
    if (s->json)
        bench_print_json(&o, totals);
    else
        bench_print_table(&o, totals);

    int status = totals->done != 0 ? 0 : 1;
    buf_fini(&body);
    buf_fini(&fields);
    buf_fini(&path);
    free(totals);
    return status;
}

int
cmd_bench(int argc, char **argv)
{
    struct settings s = {
        .wire = "openai-chat",
        .key = getenv("OPENCLAW_API_KEY"),
        .connections = 16,
        .prompt_bytes = 100,
        .max_tokens = 256,
        .threads = 1,
        .timeout_us = 60 * 1000 * 1000,
    };
    struct str path = { NULL, 0 };
    enum flags_verdict verdict = read_settings(&s, argc, argv);

    if (verdict != FLAGS_OK)
        return verdict == FLAGS_HELP ? 0 : 2;
    if (!is_lawful(&s))
        return 2;
    struct origin *origin = find_origin(&s, &path);
    if (origin == NULL)
        return 2;
    int status = measure(&s, origin, path);
    origin_destroy(origin);
    return status;
}

/* cmd_bench.c - `openclaw bench`: from the command line to a measured server. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/app.h"
#include "bench/bench.h"
#include "base/buf.h"
#include "cli/ask.h"
#include "cli/flags.h"

enum { BODY_BYTES_MAX = 128 * 1024 * 1024, FIELDS_BYTES_MAX = 16 * 1024 };

struct bench_settings {
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
read_settings(struct bench_settings *s, int argc, char **argv)
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
        { "wire", 'w', FLAG_TEXT, "WIRE",
            "the protocol, or the beginning of its name (openai-chat)", &s->wire, NULL },
        { "insecure", 0, FLAG_BOOL, NULL, "do not verify the server's certificate", &s->insecure,
            NULL },
        { "json", 0, FLAG_BOOL, NULL, "report as JSON", &s->json, NULL },
    };
    const struct flags all = {
        .usage = "openclaw bench URL --model M [options]",
        .about = "Measures a server that speaks the OpenAI or Anthropic protocol: requests per "
                 "second, time to the first token, time between tokens, whole answers, errors. URL "
                 "is the server, its base URL (http://HOST/v1) or the whole path.",
        .list = list,
        .count = ARRAY_LEN(list),
        .words = 1,
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
is_lawful(const struct bench_settings *s)
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
    if (wrong != NULL)
        fprintf(stderr, "openclaw bench: %s\n", wrong);
    return wrong == NULL;
}

/* Enough words for a prompt of that size. */
static struct str
make_prompt(struct arena *a, uint64_t bytes)
{
    static const char words[] = "the quick crab carries one more shell along the pier ";
    char *p = arena_alloc(a, bytes, 1);

    for (uint64_t i = 0; i < bytes; i++)
        p[i] = words[i % (sizeof(words) - 1)];
    return str_make(p, bytes);
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

static int
measure(const struct bench_settings *s, const struct wire *wire, const struct origin *origin,
    struct str base_path)
{
    struct bench_totals *totals = check_alloc(calloc(1, sizeof(*totals)));
    struct arena *a = arena_create(2 * BODY_BYTES_MAX);
    struct llm_part text = { .kind = PART_TEXT, .text = make_prompt(a, MAX(s->prompt_bytes, 1)) };
    struct llm_message message = { .role = ROLE_USER, .parts = &text };
    const struct llm_request r = {
        .arena = a,
        .wire = wire,
        .op = OP_CHAT,
        .model = str_c(s->model),
        .stream = s->stream,
        .want_usage = true,
        .expanded = true,
        .messages = &message,
        .max_tokens = (int64_t)MIN(s->max_tokens, INT32_MAX),
    };
    struct buf body;
    struct buf fields;
    struct buf path;

    buf_init(&body, BODY_BYTES_MAX);
    buf_init(&fields, FIELDS_BYTES_MAX);
    buf_init(&path, FIELDS_BYTES_MAX);
    ask_add_body(&body, wire, &r);
    ask_add_fields(&fields, "bench", wire, s->key);
    ask_add_path(&path, wire, &r, base_path);

    struct bench_options o = {
        .origin = origin,
        .path = buf_str(&path),
        .fields = buf_str(&fields),
        .body = buf_str(&body),
        .wire = wire,
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
    arena_destroy(a);
    free(totals);
    return status;
}

int
cmd_bench(int argc, char **argv)
{
    struct bench_settings s = {
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
        return verdict;
    if (!is_lawful(&s))
        return 2;

    const struct wire *wire = ask_wire("bench", s.wire);
    struct origin *origin = wire != NULL ? ask_origin("bench", s.url, s.insecure, &path) : NULL;

    if (origin == NULL)
        return 2;
    int status = measure(&s, wire, origin, path);
    origin_destroy(origin);
    return status;
}

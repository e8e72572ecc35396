/* report.c - the results, as a table for people or as JSON for programs. */
#include <stdio.h>

#include "bench/bench.h"
#include "base/buf.h"
#include "base/json.h"

static const struct {
    const char *name;
    double quantile;
} quantiles[] = {
    { "p50", 0.50 },
    { "p90", 0.90 },
    { "p99", 0.99 },
    { "p99.9", 0.999 },
    { "max", 1.0 },
};

static const struct {
    const char *code;
    const char *words;
} failures[BENCH_FAILURES] = {
    [BENCH_NO_FAILURE] = { "none", "none" },
    [BENCH_TIMED_OUT] = { "timeout", "no complete answer in time" },
    [BENCH_CUT_STREAM] = { "cut_stream", "the stream ended without its terminator" },
    [BENCH_ERROR_IN_STREAM] = { "error_in_answer", "an error inside an answer with status 200" },
    [BENCH_NOT_UNDERSTOOD] = { "not_understood", "the answer breaks the protocol" },
};

static double
per_second(uint64_t n, uint64_t elapsed_us)
{
    return elapsed_us != 0 ? (double)n * 1e6 / (double)elapsed_us : 0;
}

static void
print_duration(uint64_t us)
{
    if (us < 1000)
        printf(" %7llu us", (unsigned long long)us);
    else if (us < 10 * 1000 * 1000)
        printf(" %7.2f ms", (double)us / 1e3);
    else
        printf(" %7.2f s ", (double)us / 1e6);
}

static void
print_row(const char *name, const struct histogram *h)
{
    if (h->count == 0)
        return;
    printf("  %-16s", name);
    for (size_t i = 0; i < ARRAY_LEN(quantiles); i++)
        print_duration(histogram_quantile(h, quantiles[i].quantile));
    printf("\n");
}

static void
print_errors(const struct bench_totals *t)
{
    if (t->failed == 0)
        return;
    printf("\n  errors by kind\n");
    for (unsigned i = 0; i < BENCH_STATUSES; i++)
        if (t->by_status[i] != 0)
            printf("  %12llu  HTTP status %u\n", (unsigned long long)t->by_status[i], i);
    for (unsigned i = 0; i < ERR_COUNT; i++)
        if (t->by_err[i] != 0)
            printf(
                "  %12llu  %s\n", (unsigned long long)t->by_err[i], err_row((enum err)i)->sentence);
    for (unsigned i = 0; i < BENCH_FAILURES; i++)
        if (t->by_failure[i] != 0)
            printf("  %12llu  %s\n", (unsigned long long)t->by_failure[i], failures[i].words);
}

void
bench_print_table(const struct bench_options *o, const struct bench_totals *t)
{
    printf("\n  requests   %12llu in %.2f s, %.1f/s, %llu connections, %llu threads, %s\n",
        (unsigned long long)t->done, (double)t->elapsed_us / 1e6,
        per_second(t->done, t->elapsed_us), (unsigned long long)o->connections,
        (unsigned long long)o->threads, o->rate > 0 ? "open loop" : "closed loop");
    printf("  errors     %12llu\n", (unsigned long long)t->failed);
    printf("  tokens     %12llu in, %llu out, %.1f out/s\n", (unsigned long long)t->input_tokens,
        (unsigned long long)t->output_tokens, per_second(t->output_tokens, t->elapsed_us));
    if (t->events != 0)
        printf("  events     %12llu, %.1f/s\n", (unsigned long long)t->events,
            per_second(t->events, t->elapsed_us));
    printf("  bytes      %12llu, %.2f MB/s\n\n", (unsigned long long)t->bytes,
        per_second(t->bytes, t->elapsed_us) / 1024 / 1024);

    printf("  %-16s", "");
    for (size_t i = 0; i < ARRAY_LEN(quantiles); i++)
        printf(" %10s", quantiles[i].name);
    printf("\n");
    print_row("first token", &t->first_token);
    print_row("between tokens", &t->between);
    print_row("whole answer", &t->total);
    print_row("connect", &t->connect);
    print_errors(t);
}

static void
add_histogram(struct buf *out, const char *name, const struct histogram *h)
{
    buf_printf(out, ",\"%s_us\":{\"count\":%llu,\"mean\":%llu", name, (unsigned long long)h->count,
        (unsigned long long)(h->count != 0 ? h->sum_us / h->count : 0));
    for (size_t i = 0; i < ARRAY_LEN(quantiles); i++)
        buf_printf(out, ",\"%s\":%llu", quantiles[i].name,
            (unsigned long long)histogram_quantile(h, quantiles[i].quantile));
    buf_add_c(out, '}');
}

static void
add_error(struct buf *out, bool *first, struct str name, uint64_t count)
{
    if (count == 0)
        return;
    if (!*first)
        buf_add_c(out, ',');
    *first = false;
    json_add_str(out, name);
    buf_printf(out, ":%llu", (unsigned long long)count);
}

static void
add_errors(struct buf *out, const struct bench_totals *t)
{
    bool first = true;
    char status[32];

    buf_add(out, S(",\"errors_by_kind\":{"));
    for (unsigned i = 0; i < BENCH_STATUSES; i++) {
        snprintf(status, sizeof(status), "status_%u", i);
        add_error(out, &first, str_c(status), t->by_status[i]);
    }
    for (unsigned i = 0; i < ERR_COUNT; i++)
        add_error(out, &first, str_c(err_row((enum err)i)->code), t->by_err[i]);
    for (unsigned i = 0; i < BENCH_FAILURES; i++)
        add_error(out, &first, str_c(failures[i].code), t->by_failure[i]);
    buf_add_c(out, '}');
}

void
bench_print_json(const struct bench_options *o, const struct bench_totals *t)
{
    struct buf out;

    buf_init(&out, 256 * 1024);
    buf_printf(&out,
        "{\"requests\":%llu,\"errors\":%llu,\"seconds\":%.6f,\"requests_per_s\":%.3f,"
        "\"connections\":%llu,\"threads\":%llu,\"open_loop\":%s,\"input_tokens\":%llu,"
        "\"output_tokens\":%llu,\"output_tokens_per_s\":%.3f,\"events\":%llu,\"bytes\":%llu",
        (unsigned long long)t->done, (unsigned long long)t->failed, (double)t->elapsed_us / 1e6,
        per_second(t->done, t->elapsed_us), (unsigned long long)o->connections,
        (unsigned long long)o->threads, o->rate > 0 ? "true" : "false",
        (unsigned long long)t->input_tokens, (unsigned long long)t->output_tokens,
        per_second(t->output_tokens, t->elapsed_us), (unsigned long long)t->events,
        (unsigned long long)t->bytes);
    add_histogram(&out, "first_token", &t->first_token);
    add_histogram(&out, "between_tokens", &t->between);
    add_histogram(&out, "total", &t->total);
    add_histogram(&out, "connect", &t->connect);
    add_errors(&out, t);
    printf(STR_FMT "}\n", STR_ARG(buf_str(&out)));
    buf_fini(&out);
}

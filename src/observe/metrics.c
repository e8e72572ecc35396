/* metrics.c - shards, series and the exposition format. */
#include "observe/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/json.h"
#include "base/map.h"
#include "route/failure.h"

/* Upper bounds in microseconds; the last bucket is +Inf. GenAI ones are OpenTelemetry's. */
#define END 0
static const uint64_t buckets_duration[METRIC_BUCKETS] = { 1000, 5000, 10000, 25000, 50000, 100000,
    250000, 500000, 1000000, 2500000, 5000000, 10000000, 20000000, 40000000, 80000000, 160000000,
    600000000, END };
static const uint64_t buckets_overhead[METRIC_BUCKETS] = { 10, 20, 40, 80, 160, 320, 640, 1280,
    2560, 5120, 10240, 50000, 250000, 1000000, END };
static const uint64_t buckets_genai[METRIC_BUCKETS] = { 10000, 20000, 40000, 80000, 160000, 320000,
    640000, 1280000, 2560000, 5120000, 10240000, 20480000, 40960000, 81920000, END };
static const uint64_t buckets_first_token[METRIC_BUCKETS] = { 1000, 5000, 10000, 20000, 40000,
    60000, 80000, 100000, 250000, 500000, 750000, 1000000, 2500000, 5000000, 7500000, 10000000,
    END };

static const int statuses[METRIC_STATUSES] = { 200, 201, 202, 204, 304, 400, 401, 403, 404, 405,
    408, 409, 413, 415, 422, 429, 431, 499, 500, 502, 503, 504, 529, 0 };

struct metric_series {
    char *provider;
    char *model;
    struct metric_series *next;
    struct metric_series_shard shards[];
};

struct metrics {
    unsigned workers;
    const char *const *endpoints;
    size_t endpoint_count;
    struct metric_shard *shards;

    pthread_mutex_t lock;          /* guards all below */
    struct map *series_by_name;    /* "provider\nmodel" */
    struct metric_series *first;
    struct metric_series **tail;
    size_t series_count;
    size_t series_limit;
    uint64_t overflow;
};

struct metrics *
metrics_create(
    unsigned workers, size_t series_limit, const char *const *endpoints, size_t endpoint_count)
{
    struct metrics *m = check_alloc(calloc(1, sizeof(*m)));

    CHECK(endpoint_count <= METRIC_ENDPOINTS);
    m->workers = workers;
    m->endpoints = endpoints;
    m->endpoint_count = endpoint_count;
    m->shards = check_alloc(calloc(workers, sizeof(*m->shards)));
    m->series_by_name = map_create();
    m->tail = &m->first;
    m->series_limit = series_limit;
    CHECK(pthread_mutex_init(&m->lock, NULL) == 0);
    return m;
}

void
metrics_destroy(struct metrics *m)
{
    if (m == NULL)
        return;
    for (struct metric_series *s = m->first, *next; s != NULL; s = next) {
        next = s->next;
        free(s->provider);
        free(s->model);
        free(s);
    }
    map_destroy(m->series_by_name);
    (void)pthread_mutex_destroy(&m->lock);
    free(m->shards);
    free(m);
}

struct metric_shard *
metrics_shard(struct metrics *m, unsigned worker)
{
    CHECK(worker < m->workers);
    return &m->shards[worker];
}

static struct metric_series *
series_locked(struct metrics *m, struct str provider, struct str model)
{
    char name[512];

    if (provider.n + 1 + model.n >= sizeof(name))
        model = S("other");
    int n = snprintf(name, sizeof(name), STR_FMT "\n" STR_FMT, STR_ARG(provider), STR_ARG(model));
    struct str id = str_make(name, MIN((size_t)n, sizeof(name) - 1));
    struct metric_series *s = map_get(m->series_by_name, id);

    if (s != NULL)
        return s;
    if (m->series_count >= m->series_limit && !str_eq(model, S("other"))) {
        m->overflow++;
        return series_locked(m, provider, S("other"));
    }
    s = check_alloc(calloc(1, sizeof(*s) + m->workers * sizeof(s->shards[0])));
    s->provider = str_dup_c(provider);
    s->model = str_dup_c(model);
    *m->tail = s;
    m->tail = &s->next;
    m->series_count++;
    (void)map_put(m->series_by_name, id, s);
    return s;
}

struct metric_series *
metrics_series(struct metrics *m, struct str provider, struct str model)
{
    (void)pthread_mutex_lock(&m->lock);
    struct metric_series *s = series_locked(m, provider, model);
    (void)pthread_mutex_unlock(&m->lock);
    return s;
}

struct metric_series_shard *
metrics_series_shard(struct metric_series *s, unsigned worker)
{
    return &s->shards[worker];
}

static void
observe(struct metric_histogram *h, const uint64_t *bounds, uint64_t us)
{
    size_t i = 0;

    while (bounds[i] != END && us > bounds[i])
        i++;
    metric_add(&h->count[i], 1);
    metric_add(&h->sum_us, us);
}

#define HISTOGRAM(field, name, help, buckets)                                                      \
    void metric_observe_##field(struct metric_histogram *h, uint64_t us)                           \
    {                                                                                              \
        observe(h, buckets, us);                                                                   \
    }
#define SERIES_HISTOGRAM(field, name, help, buckets) HISTOGRAM(field, name, help, buckets)
#include "observe/metrics.def"

static void
count_status(struct metric_shard *m, unsigned endpoint, int status)
{
    size_t i = 0;

    while (statuses[i] != 0 && statuses[i] != status)
        i++;
    metric_add(&m->requests[endpoint][i], 1);
}

void
metrics_record(struct metric_shard *m, struct metric_series_shard *s, const struct record *r)
{
    const struct llm_usage *u = &r->usage;

    count_status(m, r->endpoint, r->status);
    if (r->error != OK)
        metric_add(&m->errors[r->error], 1);
    if (r->client_abort)
        metric_add(&m->client_aborts, 1);
    if (r->usage_estimated)
        metric_add(&m->usage_estimated, 1);
    metric_add(&m->bytes_in, r->bytes_in);
    metric_add(&m->bytes_out, r->bytes_out);
    if (s == NULL)
        return;
    METRIC_OBSERVE(m, duration, (uint64_t)r->duration_us);
    METRIC_OBSERVE(m, overhead, (uint64_t)r->overhead_us);
    metric_add(&s->tokens_input, (uint64_t)u->input);
    metric_add(&s->tokens_cached, (uint64_t)u->cached);
    metric_add(&s->tokens_cache_write, (uint64_t)u->cache_write);
    metric_add(&s->tokens_output, (uint64_t)u->output);
    metric_add(&s->tokens_reasoning, (uint64_t)u->reasoning);
    if (r->cost_nanousd >= 0)
        metric_add(&s->cost_nanousd, (uint64_t)r->cost_nanousd);
    else if (usage_known(u))
        metric_add(&s->cost_unknown, 1);
    if (r->stream && r->first_token_us >= 0)
        METRIC_OBSERVE(s, first_token, (uint64_t)r->first_token_us);
}

/* --- the text --- */

static uint64_t
cell(const metric_cell *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

/* The sum over workers of the cell at `offset` in each shard. */
static uint64_t
sum_shards(const struct metrics *m, size_t offset)
{
    uint64_t sum = 0;

    for (unsigned w = 0; w < m->workers; w++)
        sum += cell((const metric_cell *)(const void *)((const char *)&m->shards[w] + offset));
    return sum;
}

static uint64_t
sum_series(const struct metrics *m, const struct metric_series *s, size_t offset)
{
    uint64_t sum = 0;

    for (unsigned w = 0; w < m->workers; w++)
        sum += cell((const metric_cell *)(const void *)((const char *)&s->shards[w] + offset));
    return sum;
}

void
metrics_each_series(
    struct metrics *m, void (*fn)(void *arg, const struct metric_series_sum *s), void *arg)
{
    (void)pthread_mutex_lock(&m->lock);
    for (const struct metric_series *s = m->first; s != NULL; s = s->next) {
        struct metric_series_sum sum = {
            .provider = str_c(s->provider),
            .model = str_c(s->model),
            .tokens_input = sum_series(m, s, offsetof(struct metric_series_shard, tokens_input)),
            .tokens_output = sum_series(m, s, offsetof(struct metric_series_shard, tokens_output)),
        };

        for (size_t e = 0; e < ERR_COUNT; e++) {
            uint64_t n = sum_series(
                m, s, offsetof(struct metric_series_shard, attempts) + e * sizeof(metric_cell));

            sum.attempts += n;
            if (failure_row((enum err)e)->blame != BLAME_NOBODY)
                sum.failures += n;
        }
        fn(arg, &sum);
    }
    (void)pthread_mutex_unlock(&m->lock);
}

static void
write_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label with its value; backslash, quote and newline are escaped. */
static void
write_label(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "%s=\"", name);
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"')
            buf_add_c(out, '\\');
        if (*value == '\n')
            buf_add(out, S("\\n"));
        else
            buf_add_c(out, *value);
    }
    buf_add_c(out, '"');
}

static void
write_pair(struct buf *out, const struct metric_series *s)
{
    write_label(out, "provider", s->provider);
    buf_add_c(out, ',');
    write_label(out, "model", s->model);
}

/* The bucket, sum and count lines of one histogram, whose cells `sum` adds up. */
static void
write_histogram(struct buf *out, const char *name, const struct metrics *m,
    const struct metric_series *s, size_t offset, const uint64_t *bounds)
{
    uint64_t total = 0;

    for (size_t i = 0;; i++) {
        size_t at = offset + offsetof(struct metric_histogram, count) + i * sizeof(metric_cell);
        total += s != NULL ? sum_series(m, s, at) : sum_shards(m, at);
        buf_printf(out, "%s_bucket{", name);
        if (s != NULL) {
            write_pair(out, s);
            buf_add_c(out, ',');
        }
        if (bounds[i] == END)
            buf_printf(out, "le=\"+Inf\"} %llu\n", (unsigned long long)total);
        else
            buf_printf(
                out, "le=\"%.10g\"} %llu\n", (double)bounds[i] / 1e6, (unsigned long long)total);
        if (bounds[i] == END)
            break;
    }
    size_t at = offset + offsetof(struct metric_histogram, sum_us);
    uint64_t sum_us = s != NULL ? sum_series(m, s, at) : sum_shards(m, at);
    for (int i = 0; i < 2; i++) {
        buf_printf(out, "%s_%s", name, i == 0 ? "sum" : "count");
        if (s != NULL) {
            buf_add_c(out, '{');
            write_pair(out, s);
            buf_add_c(out, '}');
        }
        if (i == 0)
            buf_printf(out, " %.6f\n", (double)sum_us / 1e6);
        else
            buf_printf(out, " %llu\n", (unsigned long long)total);
    }
}

static void
write_requests(struct metrics *m, struct buf *out)
{
    write_head(out, "openclaw_requests_total", "counter",
        "Requests answered, by endpoint and HTTP status.");
    for (size_t e = 0; e < m->endpoint_count; e++)
        for (size_t i = 0; i < METRIC_STATUSES; i++) {
            uint64_t n = sum_shards(m, offsetof(struct metric_shard, requests) +
                                           (e * METRIC_STATUSES + i) * sizeof(metric_cell));
            if (n == 0)
                continue;
            buf_add(out, S("openclaw_requests_total{"));
            write_label(out, "endpoint", m->endpoints[e]);
            if (statuses[i] != 0)
                buf_printf(out, ",status=\"%d\"} %llu\n", statuses[i], (unsigned long long)n);
            else
                buf_printf(out, ",status=\"other\"} %llu\n", (unsigned long long)n);
            if (statuses[i] == 0)
                break;
        }
}

static void
write_errors(struct metrics *m, struct buf *out)
{
    write_head(out, "openclaw_errors_total", "counter", "Exchanges that failed, by error code.");
    for (size_t i = 1; i < ERR_COUNT; i++) {
        const char *code = err_row((enum err)i)->code;
        uint64_t n = 0;
        size_t first = 0;    /* errors that share a code share a line */

        for (size_t k = ERR_COUNT - 1; k > 0; k--) {
            if (strcmp(err_row((enum err)k)->code, code) != 0)
                continue;
            first = k;
            n += sum_shards(m, offsetof(struct metric_shard, errors) + k * sizeof(metric_cell));
        }
        if (first == i)
            buf_printf(
                out, "openclaw_errors_total{code=\"%s\"} %llu\n", code, (unsigned long long)n);
    }
}

static void
write_attempts(struct metrics *m, struct buf *out)
{
    write_head(
        out, "openclaw_upstream_attempts_total", "counter", "Attempts at providers, by outcome.");
    for (const struct metric_series *s = m->first; s != NULL; s = s->next)
        for (size_t i = 0; i < ERR_COUNT; i++) {
            uint64_t n = sum_series(
                m, s, offsetof(struct metric_series_shard, attempts) + i * sizeof(metric_cell));
            if (n == 0)
                continue;
            buf_add(out, S("openclaw_upstream_attempts_total{"));
            write_pair(out, s);
            buf_printf(
                out, ",outcome=\"%s\"} %llu\n", err_row((enum err)i)->code, (unsigned long long)n);
        }
}

static void
write_series_counter(
    struct metrics *m, const char *name, const char *help, size_t offset, struct buf *out)
{
    write_head(out, name, "counter", help);
    for (const struct metric_series *s = m->first; s != NULL; s = s->next) {
        buf_printf(out, "%s{", name);
        write_pair(out, s);
        buf_printf(out, "} %llu\n", (unsigned long long)sum_series(m, s, offset));
    }
}

static void
write_table(struct metrics *m, struct buf *out)
{
#define WRITE_TOTAL(field, name, type, help)                                                       \
    write_head(out, name, type, help);                                                             \
    buf_printf(out, "%s %llu\n", name,                                                             \
        (unsigned long long)sum_shards(m, offsetof(struct metric_shard, field)));
#define COUNTER(field, name, help) WRITE_TOTAL(field, name, "counter", help)
#define GAUGE(field, name, help) WRITE_TOTAL(field, name, "gauge", help)
#define HISTOGRAM(field, name, help, buckets)                                                      \
    write_head(out, name, "histogram", help);                                                      \
    write_histogram(out, name, m, NULL, offsetof(struct metric_shard, field), buckets);
#define SERIES_COUNTER(field, name, help)                                                          \
    write_series_counter(m, name, help, offsetof(struct metric_series_shard, field), out);
#define SERIES_HISTOGRAM(field, name, help, buckets)                                               \
    write_head(out, name, "histogram", help);                                                      \
    for (const struct metric_series *s = m->first; s != NULL; s = s->next)                         \
        write_histogram(out, name, m, s, offsetof(struct metric_series_shard, field), buckets);
#include "observe/metrics.def"
}

void
metrics_write(
    struct metrics *m, const struct metric_extra *extra, size_t extra_count, struct buf *out)
{
    (void)pthread_mutex_lock(&m->lock);
    write_requests(m, out);
    write_errors(m, out);
    write_attempts(m, out);
    write_table(m, out);
    write_head(out, "openclaw_metric_series_overflow_total", "counter",
        "Lookups of model names beyond the series limit, counted under \"other\".");
    buf_printf(
        out, "openclaw_metric_series_overflow_total %llu\n", (unsigned long long)m->overflow);
    (void)pthread_mutex_unlock(&m->lock);
    for (size_t i = 0; i < extra_count; i++) {
        write_head(out, extra[i].name, extra[i].type, extra[i].help);
        buf_printf(out, "%s %.17g\n", extra[i].name, extra[i].value);
    }
}

double
metrics_cpu_seconds(void)
{
    struct rusage use;

    if (getrusage(RUSAGE_SELF, &use) != 0)
        return 0;
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

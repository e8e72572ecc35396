/* metrics.h - counters that cost a load and a store, and their Prometheus text.
 *
 * Every worker owns a shard and is its only writer; readers sum the shards.
 * Labels come from closed sets: endpoints, statuses, error codes, and a
 * bounded number of (provider, model) pairs; further models are counted as "other".
 */
#pragma once

#include <stdatomic.h>

#include "base/buf.h"
#include "base/err.h"
#include "observe/record.h"

typedef _Atomic uint64_t metric_cell;

#define METRIC_BUCKETS 20    /* maximum per histogram, +Inf included */
#define METRIC_ENDPOINTS 128
#define METRIC_STATUSES 24

struct metric_histogram {
    metric_cell count[METRIC_BUCKETS];
    metric_cell sum_us;
};

/* One worker's numbers. */
struct metric_shard {
#define COUNTER(field, name, help) metric_cell field;
#define GAUGE(field, name, help) metric_cell field;
#define HISTOGRAM(field, name, help, buckets) struct metric_histogram field;
#include "observe/metrics.def"
    metric_cell requests[METRIC_ENDPOINTS][METRIC_STATUSES];
    metric_cell errors[ERR_COUNT];
};

/* One worker's numbers for one (provider, model) pair. */
struct metric_series_shard {
#define SERIES_COUNTER(field, name, help) metric_cell field;
#define SERIES_HISTOGRAM(field, name, help, buckets) struct metric_histogram field;
#include "observe/metrics.def"
    metric_cell attempts[ERR_COUNT];    /* by outcome; OK is success */
};

struct metrics;
struct metric_series;

/* `endpoints`: label values by endpoint number. */
struct metrics *metrics_create(unsigned workers, size_t series_limit, const char *const *endpoints,
    size_t endpoint_count) NEVER_NULL;
void metrics_destroy(struct metrics *m);

struct metric_shard *metrics_shard(struct metrics *m, unsigned worker) NEVER_NULL;

/* The series of a pair: always the same pointer, valid as long as the metrics. Takes a lock, so
 * look it up once and keep it. Beyond the limit the model becomes "other", and the overflow is
 * counted. */
struct metric_series *metrics_series(
    struct metrics *m, struct str provider, struct str model) NEVER_NULL;
struct metric_series_shard *metrics_series_shard(
    struct metric_series *s, unsigned worker) NEVER_NULL;

/* Only for the shard's owner. */
static inline void
metric_add(metric_cell *c, uint64_t n)
{
    atomic_store_explicit(
        c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void
metric_set(metric_cell *c, uint64_t n)
{
    atomic_store_explicit(c, n, memory_order_relaxed);
}

/* By the field's name, so that the buckets are found at compile time: METRIC_OBSERVE(shard,
 * duration, us). */
#define METRIC_OBSERVE(shard, field, us) metric_observe_##field(&(shard)->field, (us))
#define HISTOGRAM(field, name, help, buckets)                                                      \
    void metric_observe_##field(struct metric_histogram *h, uint64_t us);
#define SERIES_HISTOGRAM(field, name, help, buckets) HISTOGRAM(field, name, help, buckets)
#include "observe/metrics.def"

/* Counts a request that has ended. `s`: its target's series, or NULL. Unusual statuses are counted
 * as "other". */
void metrics_record(struct metric_shard *m, struct metric_series_shard *s, const struct record *r);

/* What was counted of one (provider, model) pair, by all workers since the start. */
struct metric_series_sum {
    struct str provider, model;
    uint64_t attempts, failures;    /* failures: those that are held against somebody */
    uint64_t tokens_input, tokens_output;
};

/* Calls fn for every series, under the lock of the metrics. */
void metrics_each_series(
    struct metrics *m, void (*fn)(void *arg, const struct metric_series_sum *s), void *arg);

/* A value read at scrape time: name, type ("gauge"/"counter"), help, value. */
struct metric_extra {
    const char *name;
    const char *type;
    const char *help;
    double value;
};

/* Appends the whole exposition (text/plain; version=0.0.4). */
void metrics_write(
    struct metrics *m, const struct metric_extra *extra, size_t extra_count, struct buf *out);

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Processor time of all threads since the start. */
double metrics_cpu_seconds(void);

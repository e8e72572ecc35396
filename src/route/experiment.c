/* experiment.c - assigns arms, counts their results, and says how they differ. */
#include "route/experiment.h"

#include <math.h>
#include <stdlib.h>

#include "base/digest.h"
#include "base/registry.h"

#define ARENA_BYTES (4u * 1024 * 1024)
#define ARMS_MOST 16
#define NANOUSD_PER_USD 1e9

struct experiments {
    struct arena *arena;
    struct experiment *list;
    size_t count;
};

static const struct registry_kind results_kind = {
    .name = "experiment",
    .bytes = sizeof(struct experiment_results),
};

/* --- the configuration --- */

static const struct conf_alias *
alias_named(const struct conf *c, struct str name)
{
    for (size_t i = 0; i < c->model_count; i++)
        if (str_eq(c->models[i].name.v, name))
            return &c->models[i];
    return NULL;
}

/* The name is the key: who is in one arm of an experiment says nothing about another. */
static struct siphash_key
key_of(struct str name)
{
    uint8_t digest[DIGEST_SHA256_BYTES];
    struct siphash_key key;

    digest_sha256(name, digest);
    memcpy(key.word, digest, sizeof(key.word));
    return key;
}

/* "caller", "conversation", "request" or "tag:NAME". */
static bool
read_by(struct str text, struct experiment *e)
{
    if (str_starts(text, S("tag:")) && text.n > 4) {
        e->by = EXPERIMENT_BY_TAG;
        e->tag = str_skip(text, 4);
        return true;
    }
    e->by = str_eq(text, S("conversation")) ? EXPERIMENT_BY_CONVERSATION
            : str_eq(text, S("request"))    ? EXPERIMENT_BY_REQUEST
                                            : EXPERIMENT_BY_CALLER;
    return e->by != EXPERIMENT_BY_CALLER || str_eq(text, S("caller"));
}

static void
read_arms(struct experiments *all, struct experiment *e, const struct conf_experiment *ce,
    struct conf_problems *problems)
{
    if (ce->arm_count < 2 || ce->arm_count > ARMS_MOST)
        conf_problem(problems, ce->mark, "experiments." STR_FMT ".arms: write 2 to %d of them",
            STR_ARG(e->name), ARMS_MOST);
    e->arms = arena_array(all->arena, struct experiment_arm, ce->arm_count + 1);
    for (size_t i = 0; i < MIN(ce->arm_count, (size_t)ARMS_MOST); i++) {
        const struct conf_arm *ca = &ce->arms[i];
        struct experiment_arm *arm = &e->arms[e->arm_count++];
        struct str name =
            arena_printf(all->arena, STR_FMT "\n" STR_FMT, STR_ARG(e->name), STR_ARG(ca->name.v));

        for (size_t k = 0; k < i; k++)
            if (str_eq(ce->arms[k].name.v, ca->name.v))
                conf_problem(problems, ca->mark,
                    "experiments." STR_FMT ": two arms are called '" STR_FMT "'", STR_ARG(e->name),
                    STR_ARG(ca->name.v));
        arm->name = ca->name.v;
        arm->use = ca->use.v;
        arm->weight = ca->weight;
        arm->mark = ca->mark;
        arm->results = registry_hold(&results_kind, name);
        e->weights += ca->weight;
    }
}

struct experiments *
experiments_create(const struct conf *c, struct conf_problems *problems)
{
    struct experiments *all = check_alloc(calloc(1, sizeof(*all)));

    all->arena = arena_create(ARENA_BYTES);
    all->list = arena_array(all->arena, struct experiment, c->experiment_count + 1);
    for (size_t i = 0; i < c->experiment_count; i++) {
        const struct conf_experiment *ce = &c->experiments[i];
        struct experiment *e = &all->list[all->count];

        *e = (struct experiment){ .name = ce->name.v,
            .alias = ce->alias.v,
            .share_percent = ce->share_percent,
            .key = key_of(ce->name.v),
            .mark = ce->mark };
        if (!read_by(ce->by.v, e))
            conf_problem(problems, ce->by.mark,
                "experiments." STR_FMT ".by: write caller, conversation, request, or tag:NAME",
                STR_ARG(e->name));
        if (ce->alias.v.n != 0 && alias_named(c, ce->alias.v) == NULL)
            conf_problem(problems, ce->alias.mark,
                "experiments." STR_FMT ".alias: there is no alias '" STR_FMT "' in models",
                STR_ARG(e->name), STR_ARG(ce->alias.v));
        if (experiments_of(all, e->alias) != NULL)
            conf_problem(problems, ce->mark,
                "experiments." STR_FMT ": the alias '" STR_FMT
                "' takes part in another experiment; one at a time",
                STR_ARG(e->name), STR_ARG(e->alias));
        read_arms(all, e, ce, problems);
        all->count++;
    }
    return all;
}

void
experiments_destroy(struct experiments *e)
{
    if (e == NULL)
        return;
    for (size_t i = 0; i < e->count; i++)
        for (size_t k = 0; k < e->list[i].arm_count; k++)
            registry_drop(e->list[i].arms[k].results);
    arena_destroy(e->arena);
    free(e);
}

const struct experiment *
experiments_at(const struct experiments *e, size_t i)
{
    return i < e->count ? &e->list[i] : NULL;
}

const struct experiment *
experiments_named(const struct experiments *e, struct str name)
{
    for (size_t i = 0; i < e->count; i++)
        if (str_eq(e->list[i].name, name))
            return &e->list[i];
    return NULL;
}

const struct experiment *
experiments_of(const struct experiments *e, struct str alias)
{
    for (size_t i = 0; i < e->count; i++)
        if (str_eq(e->list[i].alias, alias))
            return &e->list[i];
    return NULL;
}

const struct experiment_arm *
experiments_arm(const struct experiments *e, struct str experiment, struct str arm)
{
    for (size_t i = 0; i < e->count; i++)
        for (size_t k = 0; k < e->list[i].arm_count; k++)
            if (str_eq(e->list[i].name, experiment) && str_eq(e->list[i].arms[k].name, arm))
                return &e->list[i].arms[k];
    return NULL;
}

/* --- who gets which --- */

const struct experiment_arm *
experiment_assign(const struct experiment *e, struct str subject)
{
    uint8_t hash[SIPHASH_BYTES];
    uint64_t word[2];

    siphash(&e->key, subject, hash);
    memcpy(word, hash, sizeof(word));
    /* which arm must not depend on whether it takes part: a larger share moves nobody */
    if (word[0] % 10000 >= e->share_percent * 100)
        return NULL;
    uint64_t place = word[1] % MAX(e->weights, 1);
    for (size_t i = 0; i < e->arm_count; i++) {
        if (place < e->arms[i].weight)
            return &e->arms[i];
        place -= e->arms[i].weight;
    }
    return NULL;
}

/* --- results --- */

static void
add_double(_Atomic double *to, double value)
{
    double now = atomic_load_explicit(to, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(
        to, &now, now + value, memory_order_relaxed, memory_order_relaxed))
        continue;
}

static void
add_one(_Atomic uint64_t *to)
{
    (void)atomic_fetch_add_explicit(to, 1, memory_order_relaxed);
}

static void
add(struct experiment_sample *s, double value)
{
    add_one(&s->n);
    add_double(&s->sum, value);
    add_double(&s->squares, value * value);
}

/* Bucket i holds values up to sqrt(2) to the i-th. */
static size_t
bucket_of(double ms)
{
    return ms <= 1 ? 0 : MIN((size_t)ceil(2 * log2(ms)), (size_t)EXPERIMENT_BUCKETS - 1);
}

static void
add_time(struct experiment_sample *s, _Atomic uint64_t *buckets, int64_t us)
{
    double ms = (double)us / 1000;

    if (us < 0)
        return;
    add(s, ms);
    add_one(&buckets[bucket_of(ms)]);
}

void
experiment_note(const struct experiment_arm *arm, const struct experiment_outcome *o)
{
    struct experiment_results *r = arm->results;

    add_one(&r->requests);
    if (o->failed)
        add_one(&r->errors);
    if (o->cost_nanousd >= 0)
        add(&r->cost_usd, (double)o->cost_nanousd / NANOUSD_PER_USD);
    if (o->failed)
        return;    /* how fast a failure was is not how fast an answer is */
    add_time(&r->first_token_ms, r->first_token, o->first_token_us);
    add_time(&r->duration_ms, r->duration, o->duration_us);
}

void
experiment_say(const struct experiment_arm *arm, double score, const double *before)
{
    struct experiment_sample *s = &arm->results->score;

    if (before == NULL) {
        add(s, score);
        return;
    }
    add_double(&s->sum, score - *before);
    add_double(&s->squares, score * score - *before * *before);
}

/* --- showing them --- */

static struct stats_sample
sample_of(const struct experiment_sample *s)
{
    return (struct stats_sample){
        .n = atomic_load_explicit(&s->n, memory_order_relaxed),
        .sum = atomic_load_explicit(&s->sum, memory_order_relaxed),
        .squares = atomic_load_explicit(&s->squares, memory_order_relaxed),
    };
}

static uint64_t
count_of(const _Atomic uint64_t *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

static void
write_number(struct json_out *o, double value, bool known)
{
    out_comma(o);
    if (known)
        json_add_f64(o->b, value);
    else
        buf_add(o->b, S("null"));
}

/* {"value":0.1,"low":0,"high":0.2}; the ends are null if there are too few observations. */
static void
write_interval(struct json_out *o, struct stats_interval i, bool any)
{
    out_object(o);
    out_key(o, "value");
    write_number(o, i.value, any);
    out_key(o, "low");
    write_number(o, i.low, i.known);
    out_key(o, "high");
    write_number(o, i.high, i.known);
    out_end(o);
}

/* The end of the bucket in which the quantile is, in milliseconds; 0: there are none. */
static double
quantile(const _Atomic uint64_t *buckets, double share)
{
    uint64_t n = 0, below = 0;

    for (size_t i = 0; i < EXPERIMENT_BUCKETS; i++)
        n += count_of(&buckets[i]);
    for (size_t i = 0; n != 0 && i < EXPERIMENT_BUCKETS; i++) {
        below += count_of(&buckets[i]);
        if ((double)below >= share * (double)n)
            return round(pow(2, (double)i / 2) * 10) / 10;
    }
    return 0;
}

static void
write_mean(struct json_out *o, const struct experiment_sample *s, const _Atomic uint64_t *buckets)
{
    struct stats_sample sample = sample_of(s);

    out_object(o);
    out_i64(o, "count", (int64_t)sample.n);
    out_key(o, "mean");
    write_interval(o, stats_mean_interval(&sample), sample.n != 0);
    if (buckets != NULL) {
        out_key(o, "p50");
        write_number(o, quantile(buckets, 0.5), sample.n != 0);
        out_key(o, "p95");
        write_number(o, quantile(buckets, 0.95), sample.n != 0);
    }
    out_end(o);
}

static void
write_mean_difference(
    struct json_out *o, const struct experiment_sample *from, const struct experiment_sample *to)
{
    struct stats_sample a = sample_of(from), b = sample_of(to);

    write_interval(o, stats_mean_difference(&a, &b), a.n != 0 && b.n != 0);
}

/* What the arm has more than the first one. */
static void
write_differences(
    struct json_out *o, const struct experiment_results *first, const struct experiment_results *r)
{
    uint64_t n = count_of(&r->requests), first_n = count_of(&first->requests);

    out_key_object(o, "against_first");
    out_key(o, "error_share");
    write_interval(o,
        stats_share_difference(count_of(&first->errors), first_n, count_of(&r->errors), n),
        n != 0 && first_n != 0);
    out_key(o, "cost_usd");
    write_mean_difference(o, &first->cost_usd, &r->cost_usd);
    out_key(o, "first_token_ms");
    write_mean_difference(o, &first->first_token_ms, &r->first_token_ms);
    out_key(o, "duration_ms");
    write_mean_difference(o, &first->duration_ms, &r->duration_ms);
    out_key(o, "score");
    write_mean_difference(o, &first->score, &r->score);
    out_end(o);
}

static void
write_arm(struct json_out *o, const struct experiment_arm *arm, const struct experiment_arm *first)
{
    const struct experiment_results *r = arm->results;
    uint64_t n = count_of(&r->requests), errors = count_of(&r->errors);

    out_object(o);
    out_text(o, "name", arm->name);
    out_text(o, "use", arm->use);
    out_i64(o, "weight", (int64_t)arm->weight);
    out_i64(o, "requests", (int64_t)n);
    out_i64(o, "errors", (int64_t)errors);
    out_key(o, "error_share");
    write_interval(o, stats_share_interval(errors, n), n != 0);
    out_key(o, "cost_usd");
    write_mean(o, &r->cost_usd, NULL);
    out_key(o, "first_token_ms");
    write_mean(o, &r->first_token_ms, r->first_token);
    out_key(o, "duration_ms");
    write_mean(o, &r->duration_ms, r->duration);
    out_key(o, "score");
    write_mean(o, &r->score, NULL);
    if (arm != first)
        write_differences(o, first->results, r);
    out_end(o);
}

void
experiment_write(struct json_out *o, const struct experiment *e)
{
    static const char *const by[] = { "caller", "conversation", "tag", "request" };

    out_object(o);
    out_text(o, "name", e->name);
    out_text(o, "alias", e->alias);
    out_text(o, "by", str_c(by[e->by]));
    out_text_if(o, "tag", e->tag);
    out_i64(o, "share", (int64_t)e->share_percent);
    out_key_array(o, "arms");
    for (size_t i = 0; i < e->arm_count; i++)
        write_arm(o, &e->arms[i], &e->arms[0]);
    out_end_array(o);
    out_end(o);
}

/* One metric of all arms. */
static void
write_metric(const struct experiments *e, struct buf *out, const char *name, const char *help,
    double (*value)(const struct experiment_results *r))
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n", name, help, name);
    for (size_t i = 0; i < e->count; i++) {
        for (size_t k = 0; k < e->list[i].arm_count; k++) {
            const struct experiment_arm *arm = &e->list[i].arms[k];

            buf_printf(out, "%s{experiment=\"" STR_FMT "\",arm=\"" STR_FMT "\"} ", name,
                STR_ARG(e->list[i].name), STR_ARG(arm->name));
            json_add_f64(out, value(arm->results));
            buf_add_c(out, '\n');
        }
    }
}

static double
requests_of(const struct experiment_results *r)
{
    return (double)count_of(&r->requests);
}

static double
errors_of(const struct experiment_results *r)
{
    return (double)count_of(&r->errors);
}

static double
cost_of(const struct experiment_results *r)
{
    return round(sample_of(&r->cost_usd).sum * NANOUSD_PER_USD);
}

static double
said_of(const struct experiment_results *r)
{
    return (double)count_of(&r->score.n);
}

void
experiments_write_metrics(const struct experiments *e, struct buf *out)
{
    if (e->count == 0)
        return;
    write_metric(
        e, out, "openclaw_experiment_requests_total", "Requests of each arm.", requests_of);
    write_metric(
        e, out, "openclaw_experiment_errors_total", "Requests of each arm that failed.", errors_of);
    write_metric(e, out, "openclaw_experiment_cost_nanousd_total",
        "Cost of each arm in nano-dollars, where the price is known.", cost_of);
    write_metric(e, out, "openclaw_experiment_feedback_total",
        "Answers of each arm that feedback was given on.", said_of);
}

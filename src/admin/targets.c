/* targets.c - what is known of targets comes from three places: the aliases of the configuration,
 * the series of the metrics, and the workers, who know what is under way. */
#include "admin/targets.h"

#include "admin/answer.h"
#include "base/clock.h"
#include "base/map.h"
#include "gateway/attempt.h"
#include "route/show.h"

#define FIRST_TOKEN_MEDIAN 500    /* quantiles, in thousandths */
#define FIRST_TOKEN_TAIL 950

struct seen {
    struct provider *provider;
    struct str model;
    struct str *aliases;
    size_t alias_count;
    struct metric_series_sum sum;
    uint64_t under_way;
};

/* The targets of an answer, in the order in which they were found. */
struct seen_list {
    struct arena *arena;
    const struct providers *providers;
    struct map *by_name;    /* "provider\nmodel" */
};

static struct seen *
see(struct seen_list *l, struct str provider, struct str model)
{
    struct str name =
        arena_printf(l->arena, STR_FMT "\n" STR_FMT, STR_ARG(provider), STR_ARG(model));
    struct seen *s = map_get(l->by_name, name);
    struct provider *p = providers_find(l->providers, provider);

    if (s != NULL || p == NULL)
        return s;
    s = arena_new(l->arena, struct seen);
    s->provider = p;
    s->model = str_skip(name, provider.n + 1);
    (void)map_put(l->by_name, name, s);
    return s;
}

static void
see_aliases(struct seen_list *l, const struct route_table *routes)
{
    const struct alias *alias;

    for (size_t i = 0; (alias = table_alias_at(routes, i)) != NULL; i++) {
        for (size_t k = 0; k < alias->count; k++) {
            const struct target *t = alias->targets[k];
            struct seen *s = see(l, t->provider->id, t->wire.model);

            if (s == NULL)
                continue;
            struct str *more = arena_array(l->arena, struct str, s->alias_count + 1);
            if (s->alias_count != 0)
                memcpy(more, s->aliases, s->alias_count * sizeof(*more));
            more[s->alias_count++] = alias->name;
            s->aliases = more;
        }
    }
}

static void
see_series(void *arg, const struct metric_series_sum *sum)
{
    struct seen *s = see(arg, sum->provider, sum->model);

    if (s != NULL) {
        s->sum = *sum;
        s->sum.provider = s->sum.model = S("");    /* the metrics' own */
    }
}

/* All that a configuration names, and all that was asked. */
static struct seen_list
see_all(struct gateway *g, struct exchange *x)
{
    struct seen_list l = { x->arena, x->hold->snapshot->providers, map_create() };

    see_aliases(&l, x->hold->snapshot->routes);
    metrics_each_series(g->metrics, see_series, &l);
    return l;
}

/* --- health --- */

static void
write_keys(struct json_out *o, const struct provider *p, struct health_table *t, uint64_t now_ms)
{
    out_key_array(o, "keys");
    for (size_t i = 0; i < p->credential_count; i++) {
        struct health_view view = health_look(health_key(t, p->credentials[i]), now_ms);

        out_object(o);
        out_text(o, "name", p->credential_names[i]);
        health_write(o, &view, now_ms);
        out_end(o);
    }
    out_end_array(o);
}

/* "other" stands for models that have no series of their own. */
static bool
is_one(const struct seen *s)
{
    return !str_eq(s->model, S("other")) || s->alias_count != 0;
}

void
health_answer(struct gateway *g, struct exchange *x)
{
    struct seen_list l = see_all(g, x);
    uint64_t now_ms = clock_now_ms();
    const struct provider *p;
    struct buf body;
    struct json_out o = answer_begin(&body);

    out_key_array(&o, "providers");
    for (size_t i = 0; (p = providers_at(l.providers, i)) != NULL; i++) {
        struct health_table *t = health_table_of(p);
        struct health_view view = health_look(health_provider(t), now_ms);
        size_t pos = 0;
        struct str name;
        void *value;

        out_object(&o);
        out_text(&o, "name", p->id);
        if (p->region.n != 0)
            out_text(&o, "region", p->region);
        health_write(&o, &view, now_ms);
        write_keys(&o, p, t, now_ms);
        out_key_array(&o, "targets");
        while (map_next(l.by_name, &pos, &name, &value)) {
            const struct seen *s = value;

            if (s->provider != p || !is_one(s))
                continue;
            view = health_look(health_target(t, s->model), now_ms);
            out_object(&o);
            out_text(&o, "model", exchange_shown(x, s->model));
            health_write(&o, &view, now_ms);
            out_end(&o);
        }
        out_end_array(&o);
        out_end(&o);
        health_table_drop(t);
    }
    out_end_array(&o);
    map_destroy(l.by_name);
    answer_end(x, &o);
}

/* --- targets --- */

static bool
is_under_way(const struct attempt *a)
{
    switch (a->state) {
    case ATTEMPT_WRITING:
    case ATTEMPT_RUNNING:
    case ATTEMPT_READING:
    case ATTEMPT_COMMITTED:
        return true;
    case ATTEMPT_HELD:
    case ATTEMPT_DONE:
    case ATTEMPT_FAILED:
    case ATTEMPT_OVER:
    case ATTEMPT_STATES:
        return false;
    }
    CHECK_UNREACHABLE();
}

/* "provider\nmodel\n" for each attempt, under the names of the metrics. */
static void
tell_attempts(struct collected *ret, const struct attempt *a)
{
    for (; a != NULL; a = a->next) {
        const struct target *t = a->target;

        if (!is_under_way(a))
            continue;
        ret->count++;
        buf_add(&ret->rows, t->provider->id);
        buf_add_c(&ret->rows, '\n');
        buf_add(&ret->rows, t->facts != NULL || t->listed ? t->wire.model : S("other"));
        buf_add_c(&ret->rows, '\n');
    }
}

static void
tell(void *owner, struct str question UNUSED, struct collected *ret)
{
    struct worker *w = owner;

    for (struct worker_link *l = w->exchanges; l != NULL; l = l->next)
        tell_attempts(ret, exchange_of(l)->under_way);
    tell_attempts(ret, w->lone);
}

static void
see_attempts(struct seen_list *l, struct str rows)
{
    struct str provider, model;

    while (str_cut(rows, '\n', &provider, &rows) && str_cut(rows, '\n', &model, &rows)) {
        struct seen *s = see(l, provider, model);

        if (s != NULL)
            s->under_way++;
    }
}

static void
out_i64_or_null(struct json_out *o, int64_t n)
{
    if (n >= 0)
        out_i64_value(o, n);
    else
        out_raw_value(o, S("null"));
}

static void
write_quantile(struct json_out *o, const struct latency *first_token, unsigned permille)
{
    uint64_t ms = latency_quantile_ms(first_token, permille);

    out_i64_or_null(o, ms != 0 ? (int64_t)ms : -1);
}

/* What is left for all keys together, of those of which it is known. */
struct limits_left {
    int64_t requests, tokens;    /* negative: not known */
    size_t exhausted, keys;
};

static void
add_left(
    struct limits_left *all, const struct load *load, const struct health *key, uint64_t now_ms)
{
    struct load_left l = load_left(load, health_key_name(key), now_ms * 1000);
    uint64_t until_ms;

    all->keys++;
    all->exhausted +=
        load_is_exhausted(load, health_key_name(key), 1, now_ms * 1000, &until_ms) ? 1 : 0;
    if (l.requests >= 0)
        all->requests = MAX(all->requests, 0) + l.requests;
    if (l.tokens >= 0)
        all->tokens = MAX(all->tokens, 0) + l.tokens;
}

/* How fast the target is now, as strategies see it, and what its provider says is left. */
static void
write_load(struct json_out *o, const struct seen *s, struct health_table *t, uint64_t now_ms)
{
    struct health *h = health_target(t, s->model);
    const struct load *load = health_load(h);
    struct limits_left left = { .requests = -1, .tokens = -1 };
    size_t keys = s->provider->credential_count;
    uint64_t age_ms, us = load_first_token_us(load, false, 0, now_ms * 1000, &age_ms);

    if (keys == 0)
        add_left(&left, load, NULL, now_ms);
    for (size_t k = 0; k < keys; k++)
        add_left(&left, load, health_key(t, s->provider->credentials[k]), now_ms);
    out_key(o, "first_token_expected_ms");
    out_i64_or_null(o, us != 0 ? (int64_t)(us + 999) / 1000 : -1);
    out_key(o, "output_tokens_per_s");
    out_i64_or_null(o, load_tokens_per_s(load) > 0 ? (int64_t)load_tokens_per_s(load) : -1);
    out_key(o, "requests_left");
    out_i64_or_null(o, left.requests);
    out_key(o, "tokens_left");
    out_i64_or_null(o, left.tokens);
    out_bool(o, "exhausted", left.exhausted == left.keys);
}

static void
write_target(struct exchange *x, struct json_out *o, const struct seen *s, uint64_t now_ms)
{
    struct health_table *t = health_table_of(s->provider);
    struct health_view provider = health_look(health_provider(t), now_ms);
    struct health_view view = provider;
    const struct latency none = { 0 }, *first_token = &none;

    if (is_one(s)) {
        struct health *h = health_target(t, s->model);

        view = health_look(h, now_ms);
        first_token = health_latency(h, false);
    }
    out_object(o);
    out_text(o, "provider", s->provider->id);
    out_text(o, "model", exchange_shown(x, s->model));
    out_key_array(o, "aliases");
    for (size_t i = 0; i < s->alias_count; i++)
        out_text_value(o, s->aliases[i]);
    out_end_array(o);
    health_write(o, &view, now_ms);
    out_text(o, "provider_state", str_c(health_state_name(provider.state)));
    out_i64(o, "under_way", (int64_t)s->under_way);
    out_i64(o, "attempts_total", (int64_t)s->sum.attempts);
    out_i64(o, "failures_total", (int64_t)s->sum.failures);
    out_i64(o, "tokens_input_total", (int64_t)s->sum.tokens_input);
    out_i64(o, "tokens_output_total", (int64_t)s->sum.tokens_output);
    out_key(o, "first_token_p50_ms");
    write_quantile(o, first_token, FIRST_TOKEN_MEDIAN);
    out_key(o, "first_token_p95_ms");
    write_quantile(o, first_token, FIRST_TOKEN_TAIL);
    if (is_one(s))
        write_load(o, s, t, now_ms);
    out_end(o);
    health_table_drop(t);
}

void
targets_answer(struct collector *c, struct gateway *g, struct exchange *x)
{
    const struct collected *told;
    struct buf body;
    size_t pos = 0;
    struct str name;
    void *value;

    if (!collect(c, x, 0, g->workers, tell, S(""), ANSWER_PATIENCE_MS, &told))
        return;
    struct seen_list l = see_all(g, x);
    for (unsigned i = 0; i < g->workers; i++)
        see_attempts(&l, buf_str(&told[i].rows));

    struct json_out o = answer_begin(&body);
    uint64_t now_ms = clock_now_ms();

    answer_time(&o, S("time"), clock_wall_ms());
    out_i64(&o, "clock_ms", (int64_t)now_ms);
    out_key_array(&o, "targets");
    while (map_next(l.by_name, &pos, &name, &value))
        write_target(x, &o, value, now_ms);
    out_end_array(&o);
    answer_silent(&o, told, g->workers);
    map_destroy(l.by_name);
    answer_end(x, &o);
}

/* wished.c - plans for callers who say more than a model's name. */
#include "route/wished.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "catalog/catalog.h"
#include "llm/wishes.h"
#include "route/slug.h"

#define TEXT_BYTES 4000u    /* of the sentence that lists all targets and why each cannot */

/* --- the order --- */

struct wishing {
    const struct route_table *table;
    struct ask *ask;
    struct plan *plan;
    const struct wished_by *by;
    enum err error;    /* why the first of the models that are none is none */
    struct str why;
};

static unsigned
looks_of(const struct wishes *w)
{
    bool speed = w->sort == SORT_THROUGHPUT || w->sort == SORT_LATENCY || w->min_throughput > 0 ||
                 w->max_latency_s > 0;

    return speed ? LOOK_SPEED : 0;
}

/* What the request costs at the target's prices, for an answer of the same length everywhere: offers of one
 * model are compared, not habits. */
static int64_t
price_at(const struct target *t, struct ask *ask)
{
    struct price_guess guess = { .output = USUAL_OUTPUT_TOKENS,
        .when = { .wall_s = (int64_t)(ask->wall_ms / 1000) } };

    if (!ask_know(ask, ASK_NEEDS))
        return COST_UNKNOWN;
    guess.input = ask->needs.input_tokens;
    if (ask->needs.output_tokens != 0)
        guess.output = MIN(guess.output, ask->needs.output_tokens);
    return model_expect_nanousd(t->facts, &guess);
}

/* A target about which it is not known is taken to be good enough: there is only one way to find
 * out. */
static bool
is_too_slow(const struct look *l, const struct wishes *w)
{
    return (w->min_throughput > 0 && l->tokens_per_s > 0 &&
               (double)l->tokens_per_s < w->min_throughput) ||
           (w->max_latency_s > 0 && l->first_token_us > 0 &&
               (double)l->first_token_us > w->max_latency_s * 1e6);
}

/* The lowest is tried first; what is not known comes last. */
static double
sort_value(const struct candidate *c, enum wish_sort sort, struct ask *ask)
{
    const struct look *l = &c->look;
    int64_t price;

    switch (sort) {
    case SORT_PRICE:
        price = price_at(c->target, ask);
        return price >= 0 ? (double)price : INFINITY;
    case SORT_THROUGHPUT:
        return l->tokens_per_s > 0 ? -(double)l->tokens_per_s : INFINITY;
    case SORT_LATENCY:
        return l->first_token_us > 0 ? (double)l->first_token_us : INFINITY;
    case SORT_UNSAID:
        break;
    }
    return 0;
}

/* Places of a candidate, compared in this order: it cannot take the request; it may be too small; its
 * place in provider.order; it is slower than preferred; provider.sort. */
struct standing_wish {
    bool excluded, late, slow;
    size_t place;
    double value;
};

static struct standing_wish
standing_of(const struct candidate *c, struct ask *ask, const struct wishes *w)
{
    return (struct standing_wish){
        .excluded = c->excluded != EXCLUDED_NOT,
        .late = c->late,
        .place = slug_place(c->target->provider, w->order),
        .slow = is_too_slow(&c->look, w),
        .value = sort_value(c, w->sort, ask),
    };
}

static bool
is_before(const struct standing_wish *a, const struct standing_wish *b)
{
    if (a->excluded != b->excluded)
        return b->excluded;
    if (a->late != b->late)
        return b->late;
    if (a->place != b->place)
        return a->place < b->place;
    if (a->slow != b->slow)
        return b->slow;
    return a->value < b->value;
}

/* Stable: where the wishes say nothing, the order stays. */
static void
sort_candidates(struct candidate *list, size_t n, struct ask *ask, const struct wishes *w)
{
    struct standing_wish standings[PLAN_CANDIDATES];
    unsigned looks = looks_of(w);

    for (size_t i = 0; i < n; i++) {
        struct candidate c = list[i];
        size_t at = i;

        if (looks != 0 && c.excluded == EXCLUDED_NOT)
            look_take(&c.look, c.target, ask, looks | c.look.taken);
        struct standing_wish s = standing_of(&c, ask, w);
        for (; at > 0 && is_before(&s, &standings[at - 1]); at--) {
            list[at] = list[at - 1];
            standings[at] = standings[at - 1];
        }
        list[at] = c;
        standings[at] = s;
        if (w->sort != SORT_UNSAID)
            list[at].score = s.value;
    }
}

/* allow_fallbacks: false. Only the providers of the list may answer, or only the best one. */
static void
drop_fallbacks(struct candidate *list, size_t n, const struct wishes *w)
{
    const struct provider *best = NULL;

    for (size_t i = 0; i < n; i++) {
        const struct provider *p = list[i].target->provider;

        if (list[i].excluded != EXCLUDED_NOT)
            continue;
        if (w->order == NULL && best == NULL)
            best = p;
        if (w->order != NULL ? !slug_in(p, w->order) : p != best)
            list[i].excluded = EXCLUDED_PROVIDER;
    }
}

/* --- candidates --- */

static bool
has_target(const struct plan *plan, const struct target *t)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->list[i].target->provider == t->provider &&
            str_eq(plan->list[i].target->wire.model, t->wire.model))
            return true;
    return false;
}

static void
add_candidate(struct wishing *q, const struct candidate *c)
{
    if (q->plan->count < PLAN_CANDIDATES && !has_target(q->plan, c->target))
        q->plan->list[q->plan->count++] = *c;
}

static void
add_target(struct wishing *q, struct target *t)
{
    struct candidate c = { .target = t };

    c.excluded = constraint_caller(t, q->ask);
    if (c.excluded == EXCLUDED_NOT) {
        look_take(&c.look, t, q->ask, 0);
        c.excluded = constraint_judge(t, q->ask, &c.look, &c.late);
    }
    add_candidate(q, &c);
}

/* A key that is limited to certain models, and may use one at the provider that is named, may use it
 * elsewhere only if it may use that, too. A name that names no provider is the model wherever it is. */
static bool
may_use_at(const struct wishing *q, const struct provider *p, struct str model, bool named)
{
    const struct ask *ask = q->ask;
    char room[ROUTE_NAME_BYTES];

    return !named || ask->may_use == NULL || ask->may_use(ask->who, table_pair(p->id, model, room));
}

/* The targets of a provider whose models have the same base. `named`: the name that was asked for is that
 * of a provider. */
static void
add_hosts_of(struct wishing *q, struct provider *p, const struct model_base *base, bool named)
{
    char room[ROUTE_NAME_BYTES];
    struct str prefix = table_pair(p->row != NULL ? p->row->id : p->id, S(""), room);
    size_t low = 0, high = model_table_count;

    while (low < high) {    /* the table is sorted */
        size_t middle = (low + high) / 2;

        if (str_cmp(model_table[middle].id, prefix) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < model_table_count && str_starts(model_table[low].id, prefix); low++) {
        const struct model_row *row = &model_table[low];
        struct str model = str_skip(row->id, prefix.n);

        if (row->base == base && may_use_at(q, p, model, named))
            add_target(q, table_target(q->table, q->ask->arena, p, model));
    }
}

/* The model's name as OpenRouter has it, in its row there or at its maker's. */
static const struct model_base *
canonical_base(const struct catalog *k, struct str name)
{
    char room[ROUTE_NAME_BYTES];
    struct str there = table_pair(S("openrouter"), name, room);
    const struct model_row *row = there.n != 0 ? catalog_model(k, there) : NULL;

    if (row == NULL || row->base == NULL)
        row = catalog_model(k, name);
    return row != NULL ? row->base : NULL;
}

/* "maker/model", wherever it is served: at the provider of that name, then at the others, the cheapest
 * first, then at OpenRouter. */
static void
add_canonical(struct wishing *q, struct str name)
{
    static const struct wishes cheapest = { .sort = SORT_PRICE };
    const struct model_base *base = canonical_base(providers_catalog(q->table->providers), name);
    struct str model;
    struct provider *own = table_provider(q->table, name, &model), *p;
    size_t before = q->plan->count;

    if (own != NULL && base != NULL)
        add_hosts_of(q, own, base, true);
    if (own != NULL && q->plan->count == before)
        add_target(q, table_target(q->table, q->ask->arena, own, model));
    size_t others = q->plan->count;
    for (size_t i = 0; base != NULL && (p = providers_at(q->table->providers, i)) != NULL; i++)
        if (p != own && p->traits.takes_routing != YES)
            add_hosts_of(q, p, base, own != NULL);
    sort_candidates(q->plan->list + others, q->plan->count - others, q->ask, &cheapest);
    p = providers_find(q->table->providers, S("openrouter"));
    if (p != NULL && p != own && may_use_at(q, p, name, own != NULL))
        add_target(q, table_target(q->table, q->ask->arena, p, name));
}

static void
note_none(struct wishing *q, enum err e, struct str why)
{
    if (q->error != OK)
        return;
    q->error = e;
    q->why = why;
}

/* "openrouter/auto" where OpenRouter itself is not active: the gateway's own choice. */
static struct str
own_name(const struct route_table *t, struct str name)
{
    if (str_eq(name, S("openrouter/auto")) && providers_find(t->providers, S("openrouter")) == NULL)
        return S("auto");
    return name;
}

/* Adds the candidates for one name: those of an alias in its order, or of a model. */
static void
add_model(struct wishing *q, struct str asked, bool first)
{
    struct route_found found;
    struct plan inner;
    struct str name = own_name(q->table, asked), why = S("");
    size_t before = q->plan->count;
    bool ruled = first && q->by->ruled != NULL;
    enum err e = OK;

    if (ruled)
        found = *q->by->ruled;
    else
        e = route_find(q->table, q->ask->arena, name, &found, &why);
    if (e == OK && found.alias != NULL) {
        if (first && q->by->strategy != NULL)
            found.strategy = q->by->strategy;
        e = route_plan(q->table, &found, q->ask, &inner, &why);
        for (size_t i = 0; i < inner.count; i++)
            add_candidate(q, &inner.list[i]);
        if (first)
            q->plan->alias = found.alias;
    } else {
        if (q->by->canonical && !ruled)
            add_canonical(q, name);
        if (e == OK && q->plan->count == before)
            add_target(q, found.target);
    }
    if (q->plan->count == before && e != OK)
        note_none(q, e, why);
}

/* "no provider can take this request: openai/gpt-4o: ...; ..." */
static struct str
nobody_text(const struct wishing *q)
{
    struct arena *a = q->ask->arena;
    struct buf b;

    buf_init(&b, TEXT_BYTES);
    buf_add(&b, S("no provider here can take this request: "));
    for (size_t i = 0; i < q->plan->count; i++) {
        const struct candidate *c = &q->plan->list[i];
        struct str why = constraint_text(c->target, c->excluded, q->ask, a);

        buf_printf(&b, "%s" STR_FMT "/" STR_FMT ": " STR_FMT, i == 0 ? "" : "; ",
            STR_ARG(c->target->provider->id), STR_ARG(c->target->wire.model), STR_ARG(why));
    }
    if (q->error != OK)
        buf_printf(&b, "; " STR_FMT, STR_ARG(q->why));
    struct str text = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return text;
}

static bool
is_any_left(const struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->list[i].excluded == EXCLUDED_NOT)
            return true;
    return false;
}

enum err
wished_plan(const struct route_table *t, struct ask *ask, const struct wished_by *by,
    struct plan *ret, struct str *ret_why)
{
    struct wishing q = { .table = t, .ask = ask, .plan = ret, .by = by };
    const struct wishes *w = ask->wishes;
    /* a rule that says where requests go means all that is asked for */
    const struct llm_word *models = w != NULL && by->ruled == NULL ? w->models : NULL,
                          *next = models;
    struct str name = ask->model;

    plan_begin(ret, ask->arena, PLAN_CANDIDATES);
    ret->count = 0;
    ret->relay = ask->op == OP_RELAY;
    for (;;) {
        size_t first = ret->count;

        add_model(&q, name, first == 0 && next == models);
        if (w != NULL && !w->across_models) {
            sort_candidates(ret->list + first, ret->count - first, ask, w);
            if (w->allow_fallbacks == NO)
                drop_fallbacks(ret->list + first, ret->count - first, w);
        }
        if (next == NULL)
            break;
        name = next->text;
        next = next->next;
    }
    if (w != NULL && w->across_models) {
        sort_candidates(ret->list, ret->count, ask, w);
        if (w->allow_fallbacks == NO)
            drop_fallbacks(ret->list, ret->count, w);
    }
    if (ret->count == 0) {
        *ret_why = q.why;
        return q.error;
    }
    if (is_any_left(ret))
        return OK;
    *ret_why = nobody_text(&q);
    bool forbidden = true;
    for (size_t i = 0; i < ret->count; i++) {
        if (ret->list[i].excluded == EXCLUDED_CONTEXT)
            return ERR_CONTEXT_LENGTH;
        forbidden = forbidden && ret->list[i].excluded == EXCLUDED_KEY;
    }
    return forbidden ? ERR_FORBIDDEN : ERR_NO_MODEL;
}

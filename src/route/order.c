/* order.c - makes the plan for an alias: excludes the targets that cannot take the request, and orders
 * the others, those of nested aliases by their own strategies. */
#include <string.h>

#include "base/buf.h"
#include "route/route.h"
#include "route/strategy.h"

#define TEXT_BYTES 4000u    /* of the sentence that lists all targets and why each cannot */

#define DEMANDS_MOST 16    /* aliases are not nested that deep */

struct ordering {
    const struct route_table *table;
    const struct route_found *found;
    struct ask *ask;
    struct candidate *all;    /* in the order of the file: first those that can, */
    size_t count;
    struct candidate *excluded;                     /* and from the end on those that cannot */
    unsigned looks;                                 /* of the strategies on the way here */
    const struct demands *demands[DEMANDS_MOST];    /* of the aliases on the way here */
    size_t demand_count;
    uint8_t order[PLAN_CANDIDATES];    /* places in `all`, best first */
    /* the aliases that a turn was taken of, in the order in which they were ordered */
    const struct alias *took[ASK_TURNS];
    size_t took_count;
};

/* The target itself, or for a pattern the one with what was matched in its name. */
static struct target *
target_for(const struct ordering *o, const struct alias *al, struct target *t)
{
    size_t star = al->pattern ? str_chr(t->wire.model, '*') : t->wire.model.n;

    if (LIKELY(star == t->wire.model.n))
        return t;
    struct arena *a = o->ask->arena;
    struct str model =
        arena_printf(a, STR_FMT STR_FMT STR_FMT, STR_ARG(str_make(t->wire.model.p, star)),
            STR_ARG(o->found->matched), STR_ARG(str_skip(t->wire.model, star + 1)));
    struct target *own = table_target(o->table, a, t->provider, model);

    own->params = t->params;
    own->timeouts = t->timeouts;
    return own;
}

static void
judge(struct ordering *o, const struct alias *al, struct target *t, unsigned looks)
{
    struct candidate *c = &o->all[o->count];

    *c = (struct candidate){ .target = target_for(o, al, t), .alias = al };
    c->excluded = constraint_caller(c->target, o->ask);
    if (c->excluded == EXCLUDED_NOT) {
        look_take(&c->look, c->target, o->ask, looks);
        c->excluded = constraint_judge(c->target, o->ask, &c->look, &c->late);
        c->late = c->late || c->look.exhausted;
        for (size_t i = 0; i < o->demand_count && c->excluded == EXCLUDED_NOT; i++)
            c->excluded = constraint_demand(o->demands[i], c->target, &c->look);
    }
    if (c->excluded == EXCLUDED_NOT)
        o->count++;
    else
        *--o->excluded = *c;
}

/* Merges two runs of places that are in order, of which the second begins at `middle`. */
static void
merge(const struct standing *list, uint8_t *by_score, size_t middle, size_t n)
{
    uint8_t first[PLAN_CANDIDATES] UNINITIALIZED;
    size_t i = 0, k = middle, at = 0;

    if (list[by_score[middle - 1]].score <= list[by_score[middle]].score)
        return;    /* they often are in order already */
    memcpy(first, by_score, middle);
    while (i < middle && k < n)
        by_score[at++] =
            list[by_score[k]].score < list[first[i]].score ? by_score[k++] : first[i++];
    memcpy(by_score + at, first + i, middle - i);
}

/* The places in the list, lowest score first; stable, because equal members stay in the order of the file. */
static void
sort(const struct standing *list, size_t n, uint8_t *ret_by_score)
{
    for (size_t i = 0; i < n; i++)
        ret_by_score[i] = (uint8_t)i;
    for (size_t width = 1; width < n; width *= 2)
        for (size_t from = 0; from + width < n; from += 2 * width)
            merge(list, ret_by_score + from, width, MIN(2 * width, n - from));
}

/* Has the strategy order the members, and notes whether it took a turn. */
static void
rank(struct ordering *o, const struct alias *al, const struct strategy *strategy,
    struct standing *list, size_t n)
{
    unsigned turns = o->ask->turn_count;

    strategy->rank(al, list, n, o->ask);
    if (o->ask->turn_count != turns && !o->ask->dry)
        o->took[o->took_count++] = al;
}

/* Of nested aliases only the one that comes first has had its turn: otherwise of two that go round, one in the
 * other, the same members would always come together. `from`: where the turns of this alias's members begin. */
static void
give_turns_back(struct ordering *o, size_t from, size_t end, const struct standing *first)
{
    size_t kept = from;

    for (size_t i = from; i < o->took_count; i++) {
        if (i >= end || (i >= first->took && i < first->took_end))
            o->took[kept++] = o->took[i];
        else
            (void)atomic_fetch_sub_explicit(o->took[i]->turn, 1, memory_order_relaxed);
    }
    o->took_count = kept;
}

/* Adds the candidates of the alias, and their order at o->order[*at]. */
static void
add_alias(struct ordering *o, const struct alias *al, size_t *at, unsigned looks)
{
    struct standing list[PLAN_CANDIDATES] UNINITIALIZED;
    uint8_t order[PLAN_CANDIDATES] UNINITIALIZED, by_score[PLAN_CANDIDATES] UNINITIALIZED;
    size_t n = 0, begin = *at, next = 0, took = o->took_count;

    const struct strategy *strategy =
        al == o->found->alias && o->found->strategy != NULL ? o->found->strategy : al->strategy;

    looks |= strategy->looks | constraint_demands_look(al->demands);
    if (al->demands != NULL) {
        CHECK(o->demand_count < DEMANDS_MOST);
        o->demands[o->demand_count++] = al->demands;
    }
    for (size_t i = 0; i < al->member_count; i++) {
        const struct member *m = &al->members[i];
        size_t first = *at, took_before = o->took_count;

        if (m->target == NULL) {
            add_alias(o, m->alias, at, looks);
        } else {
            size_t before = o->count;

            judge(o, al, m->target, looks);
            if (o->count != before)
                o->order[(*at)++] = (uint8_t)before;
        }
        if (*at == first)
            continue;
        list[n++] = (struct standing){ .member = m,
            .number = i,
            .look = &o->all[o->order[first]].look,
            .first = first,
            .count = *at - first,
            .took = took_before,
            .took_end = o->took_count };
    }
    o->demand_count -= al->demands != NULL;
    if (n < 2)
        return;
    size_t took_end = o->took_count;
    rank(o, al, strategy, list, n);
    for (size_t i = 0; i < n; i++)
        if (list[i].member->target != NULL)
            o->all[o->order[list[i].first]].score = list[i].score;
    sort(list, n, by_score);
    give_turns_back(o, took, took_end, &list[by_score[0]]);
    for (size_t i = 0; i < n; i++) {
        const struct standing *s = &list[by_score[i]];

        memcpy(order + next, o->order + s->first, s->count);
        next += s->count;
    }
    memcpy(o->order + begin, order, next);
}

/* "none of the targets of 'smart' can take this request: openai/gpt-4o: ...; ..." */
static struct str
nobody_text(const struct ordering *o, const struct plan *plan)
{
    struct arena *a = o->ask->arena;
    struct buf b;

    buf_init(&b, TEXT_BYTES);
    buf_printf(&b, "no target of the model '" STR_FMT "' can take this request: ",
        STR_ARG(o->found->alias->name));
    for (size_t i = 0; i < plan->count; i++) {
        const struct candidate *c = &plan->list[i];
        struct str why = constraint_text(c->target, c->excluded, o->ask, a);

        buf_printf(&b, "%s" STR_FMT "/" STR_FMT ": " STR_FMT, i == 0 ? "" : "; ",
            STR_ARG(c->target->provider->id), STR_ARG(c->target->wire.model), STR_ARG(why));
    }
    struct str text = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return text;
}

/* The error for a request that no target can take: that of the one that came nearest to it. */
static enum err
nobody_error(const struct plan *plan)
{
    bool forbidden = true;

    for (size_t i = 0; i < plan->count; i++) {
        if (plan->list[i].excluded == EXCLUDED_CONTEXT)
            return ERR_CONTEXT_LENGTH;
        forbidden = forbidden && plan->list[i].excluded == EXCLUDED_KEY;
    }
    return forbidden ? ERR_FORBIDDEN : ERR_UNSUPPORTED;
}

static bool
is_kind(enum exclusion why)
{
    return why == EXCLUDED_WIRE || why == EXCLUDED_OPERATION;
}

static enum err
plan_alias(struct ordering *o, const struct alias *al, struct plan *ret, struct str *ret_why)
{
    size_t at = 0, n = 0;
    bool kind = true;

    plan_begin(ret, o->ask->arena, al->count);
    ret->alias = al;
    if (al->count == 0) {
        *ret_why = arena_printf(o->ask->arena,
            "every target of the model '" STR_FMT "' is at a provider that is disabled",
            STR_ARG(al->name));
        return ERR_NO_MODEL;
    }
    struct candidate *all = arena_array(o->ask->arena, struct candidate, al->count);
    o->all = all;
    o->excluded = all + al->count;
    add_alias(o, al, &at, LOOK_HEADROOM);
    for (int late = 0; late < 2; late++)
        for (size_t i = 0; i < at; i++)
            if (all[o->order[i]].late == (late != 0))
                ret->list[n++] = all[o->order[i]];
    for (struct candidate *c = all + al->count; c-- > o->excluded;) {    /* in the file's order */
        kind = kind && is_kind(c->excluded);
        ret->list[n++] = *c;
    }
    CHECK(n == al->count);
    if (at != 0 || kind)    /* of the kind of request, the attempt says why */
        return OK;
    *ret_why = nobody_text(o, ret);
    return nobody_error(ret);
}

enum err
route_plan(const struct route_table *t, const struct route_found *found, struct ask *ask,
    struct plan *ret, struct str *ret_why)
{
    *ret = (struct plan){ .relay = ask->op == OP_RELAY };
    if (found->target != NULL) {
        plan_begin(ret, ask->arena, 1);
        ret->list[0].target = found->target;
        ret->list[0].excluded = constraint_caller(found->target, ask);
        ret->relay = ask->op == OP_RELAY;
        if (ret->list[0].excluded != EXCLUDED_KEY)
            return OK;
        *ret_why = constraint_text(found->target, EXCLUDED_KEY, ask, ask->arena);
        return ERR_FORBIDDEN;
    }
    struct ordering o = { .table = t, .found = found, .ask = ask };
    enum err e = plan_alias(&o, found->alias, ret, ret_why);
    ret->relay = ask->op == OP_RELAY;
    return e;
}

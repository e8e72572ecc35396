/* table.c - builds the table of aliases from the configuration. */
#include "route/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "catalog/catalog.h"
#include "conf/form.h"
#include "route/constraint.h"
#include "route/show.h"
#include "route/sticky.h"
#include "route/strategy.h"

/* Limit for all names and targets of one configuration. */
#define ROUTE_ARENA_BYTES (256u * 1024 * 1024)
#define ALIAS_DEPTH 8
#define SCHEDULE_WEIGHT 64u    /* larger weights are scaled down to it */

/* --- targets and aliases --- */

struct str
table_pair(struct str id, struct str model, char *room)
{
    if (id.n + 1 + model.n >= ROUTE_NAME_BYTES)
        return S("");
    memcpy(room, id.p, id.n);
    room[id.n] = '/';
    if (model.n != 0)
        memcpy(room + id.n + 1, model.p, model.n);
    return str_make(room, id.n + 1 + model.n);
}

struct target *
table_target(const struct route_table *t, struct arena *a, struct provider *p, struct str model)
{
    const struct catalog *catalog = providers_catalog(t->providers);
    struct target *to = arena_new(a, struct target);
    char room[ROUTE_NAME_BYTES];
    struct str name = table_pair(p->id, model, room);

    to->provider = p;
    to->breakers = &t->breakers[p->number];
    to->wire.model = model;
    to->wire.traits = p->traits;
    to->timeouts = p->timeouts;
    for (size_t i = 0; i < p->models.count && !to->listed; i++)
        to->listed = str_eq(p->models.list[i].v, model);
    if (name.n != 0) {
        to->facts = catalog_model(catalog, name);
        to->listed = to->listed || map_get(t->listed, name) != NULL;
    }
    to->health = to->listed ? health_target(to->breakers->table, model)
                            : health_target_asked(to->breakers->table, model);
    const struct model_row *known = to->facts;
    struct str maker = p->address.host->maker;
    if (known == NULL && maker.n != 0)    /* what it costs here is not known, though */
        known = catalog_model(catalog, table_pair(maker, model, room));
    if (known != NULL) {
        traits_override(&to->wire.traits, known->traits);
        traits_override(&to->wire.traits, &(struct traits){ .max_output = known->output_tokens });
    }
    return to;
}

struct provider *
table_provider(const struct route_table *t, struct str name, struct str *ret_model)
{
    struct str id;

    return str_cut(name, '/', &id, ret_model) && ret_model->n != 0
               ? providers_find(t->providers, id)
               : NULL;
}

bool
table_is_off(const struct route_table *t, struct str id)
{
    enum provider_state state = providers_state(t->providers, id);

    return state != PROVIDER_ACTIVE && state != PROVIDER_UNKNOWN;
}

static bool
names_disabled_provider(const struct route_table *t, struct str target)
{
    struct str id, model;

    return str_cut(target, '/', &id, &model) && model.n != 0 &&
           providers_state(t->providers, id) == PROVIDER_DISABLED;
}

static const struct conf_alias *
conf_alias_named(const struct conf *c, struct str name)
{
    for (size_t i = 0; i < c->model_count; i++)
        if (str_eq(c->models[i].name.v, name))
            return &c->models[i];
    return NULL;
}

static void
unknown_target(const struct route_table *t, const struct conf *c, const struct conf_target *ct,
    struct conf_problems *problems)
{
    struct str head, tail;
    struct str names[64];
    const struct provider *p;
    size_t n = 0;
    bool pair = str_cut(ct->model.v, '/', &head, &tail);

    if (!pair)
        head = ct->model.v;
    if (providers_state(t->providers, head) == PROVIDER_BROKEN)
        return;    /* already reported */
    if (pair && (head.n == 0 || tail.n == 0)) {
        conf_problem(problems, ct->mark, "target '" STR_FMT "' names no %s; write provider/model",
            STR_ARG(ct->model.v), head.n == 0 ? "provider" : "model");
        return;
    }
    if (pair && table_is_off(t, head)) {
        conf_problem(problems, ct->mark,
            "target '" STR_FMT "': the provider '" STR_FMT "' is not switched on; " STR_FMT,
            STR_ARG(ct->model.v), STR_ARG(head),
            STR_ARG(providers_why(t->providers, problems->arena, head)));
        return;
    }
    for (size_t i = 0; n < ARRAY_LEN(names) && (p = providers_at(t->providers, i)) != NULL; i++)
        names[n++] = p->id;
    for (size_t i = 0; i < c->model_count && n < ARRAY_LEN(names); i++)
        names[n++] = c->models[i].name.v;
    struct str near = conf_closest(head, names, n);
    if (near.n != 0)
        conf_problem(problems, ct->mark,
            "target '" STR_FMT "': no provider or alias '" STR_FMT
            "' is configured; did you mean '" STR_FMT "'?",
            STR_ARG(ct->model.v), STR_ARG(head), STR_ARG(near));
    else
        conf_problem(problems, ct->mark,
            "target '" STR_FMT "': no provider or alias '" STR_FMT
            "' is configured; write provider/model",
            STR_ARG(ct->model.v), STR_ARG(head));
}

/* Members that the gateway sets itself cannot be parameters. */
static void
check_params(struct arena *a, const struct conf_target *ct, struct conf_problems *problems)
{
    static const struct str ours[] = { S_INIT("model"), S_INIT("stream") };
    const struct json *params = ct->params.n != 0 ? json_parse(a, ct->params, NULL, NULL) : NULL;

    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (json_get(params, ours[i]) != NULL)
            conf_problem(problems, ct->mark,
                "target '" STR_FMT "': params cannot set '" STR_FMT "'; %s decides that",
                STR_ARG(ct->model.v), STR_ARG(ours[i]), i == 0 ? "the target" : "the caller");
}

/* A target that is an alias cannot have settings: they belong to the alias's own targets. */
static void
check_alias_target(const struct conf_target *ct, struct conf_problems *problems)
{
    static const struct conf_timeouts none;

    if (ct->params.n != 0 || ct->traits.n != 0 || memcmp(&ct->timeouts, &none, sizeof(none)) != 0)
        conf_problem(problems, ct->mark,
            "target '" STR_FMT
            "' is an alias; write params, traits and timeouts at its own targets",
            STR_ARG(ct->model.v));
}

/* In a pattern, the target's '*' is what the name's stands for. */
static void
check_star(const struct alias *al, const struct conf_target *ct, struct conf_problems *problems)
{
    if (!al->pattern && str_chr(ct->model.v, '*') != ct->model.v.n)
        conf_problem(problems, ct->mark,
            "target '" STR_FMT "' has a '*', which stands for what the '*' in the name of its "
            "alias matches; there is none in '" STR_FMT "'",
            STR_ARG(ct->model.v), STR_ARG(al->name));
}

static struct target *
target_of_alias(struct route_table *t, struct provider *p, struct str model,
    const struct conf_target *ct, struct conf_problems *problems)
{
    struct target *to = table_target(t, t->arena, p, model);
    char room[ROUTE_NAME_BYTES];
    struct str name = table_pair(p->id, model, room);

    to->listed = true;
    to->health = health_target(to->breakers->table, model);
    if (name.n != 0)
        (void)map_put(t->listed, name, to);
    to->params = ct->params;
    providers_read_traits(&to->wire.traits, ct->traits, ct->mark,
        arena_printf(problems->arena, "target '" STR_FMT "'", STR_ARG(ct->model.v)), problems);
    to->timeouts = conf_timeouts_over(p->timeouts, ct->timeouts);
    return to;
}

/* The chain of aliases from the one being resolved. */
struct alias_path {
    const struct conf_alias *list[ALIAS_DEPTH + 1];
    size_t count;
};

/* "a -> b -> a": each alias of the path from `first` on, and the one that it leads to. */
static struct str
path_text(struct arena *a, const struct alias_path *path, size_t first, struct str last)
{
    struct str text = S("");

    for (size_t i = first; i < path->count; i++)
        text =
            arena_printf(a, STR_FMT STR_FMT " -> ", STR_ARG(text), STR_ARG(path->list[i]->name.v));
    return arena_printf(a, STR_FMT STR_FMT, STR_ARG(text), STR_ARG(last));
}

/* Reports each circle once, whichever of its aliases is being resolved, beginning with the one that
 * comes first in the file. */
static void
complain_circle(
    struct route_table *t, struct alias_path *path, size_t first, struct conf_problems *problems)
{
    struct alias_path circle = { .count = 0 };
    size_t n = path->count - first, begin = 0;

    for (size_t i = 1; i < n; i++)
        if (path->list[first + i] < path->list[first + begin])    /* they are one array */
            begin = i;
    for (size_t i = 0; i < n; i++)
        circle.list[circle.count++] = path->list[first + (begin + i) % n];
    const struct conf_alias *head = circle.list[0];
    struct str text = path_text(t->arena, &circle, 0, head->name.v);

    conf_problem(problems, head->mark,
        "models." STR_FMT ": aliases name each other in a circle: " STR_FMT
        "; let one of them name a provider/model instead",
        STR_ARG(head->name.v), STR_ARG(text));
}

/* Descends into `inner` unless that closes a circle or is too deep. */
static bool
enter_alias(struct route_table *t, struct alias_path *path, const struct conf_alias *inner,
    struct conf_problems *problems)
{
    for (size_t i = 0; i < path->count; i++) {
        if (path->list[i] == inner) {
            complain_circle(t, path, i, problems);
            return false;
        }
    }
    if (path->count == ARRAY_LEN(path->list)) {
        conf_problem(problems, path->list[0]->mark,
            "models." STR_FMT ": aliases name each other more than %d deep: " STR_FMT,
            STR_ARG(path->list[0]->name.v), ALIAS_DEPTH,
            STR_ARG(path_text(t->arena, path, 0, inner->name.v)));
        return false;
    }
    path->list[path->count++] = inner;
    return true;
}

static void
member_add(struct alias *al, struct member m)
{
    al->members[al->member_count++] = m;
}

/* Adds the members of the first alias of the path, or descends into the last one to see whether it
 * can be used there. False: there is a problem that would only be reported again. */
static bool
alias_fill(struct route_table *t, const struct conf *c, struct alias_path *path, struct alias *al,
    struct conf_problems *problems)
{
    const struct conf_alias *ca = path->list[path->count - 1];

    for (size_t i = 0; i < ca->target_count; i++) {
        const struct conf_target *ct = &ca->targets[i];
        const struct conf_alias *inner = conf_alias_named(c, ct->model.v);
        struct str model;
        struct provider *p = inner == NULL ? table_provider(t, ct->model.v, &model) : NULL;

        if (ct->model.v.n == 0) {    /* it was refused */
            if (path->count != 1)
                return false;
            continue;
        }
        bool own = path->count == 1;
        if (inner != NULL) {
            check_alias_target(ct, problems);
            if (!enter_alias(t, path, inner, problems) || !alias_fill(t, c, path, al, problems))
                return false;
            path->count--;
            if (own)
                member_add(al, (struct member){ .alias = t->aliases[inner - c->models],
                                   .weight = (unsigned)ct->weight,
                                   .hash = sticky_hash(ct->model.v) });
        } else if (p == NULL && names_disabled_provider(t, ct->model.v)) {
            if (al->skipped_count < PLAN_CANDIDATES)
                al->skipped[al->skipped_count++] = ct->model.v;
        } else if (p == NULL) {
            unknown_target(t, c, ct, problems);
            if (path->count != 1)
                return false;    /* reported when that alias itself is resolved */
        } else if (al->count == PLAN_CANDIDATES || al->member_count == PLAN_CANDIDATES) {
            conf_problem(problems, ct->mark, "models." STR_FMT ": more than %d targets",
                STR_ARG(al->name), PLAN_CANDIDATES);
            return false;
        } else {
            al->count++;
            if (!own)
                continue;
            check_star(al, ct, problems);
            check_params(t->arena, ct, problems);
            member_add(al, (struct member){ .target = target_of_alias(t, p, model, ct, problems),
                               .weight = (unsigned)ct->weight,
                               .hash = sticky_hash(ct->model.v) });
        }
    }
    return true;
}

static const struct failure_rules *
read_rules(struct route_table *t, const struct conf_alias *ca, struct conf_problems *problems)
{
    const struct json *doc =
        ca->on_error.n != 0 ? json_parse(t->arena, ca->on_error, NULL, NULL) : NULL;
    struct json_iter it = json_iter(doc);
    struct failure_rules *rules = doc != NULL ? arena_new(t->arena, struct failure_rules) : NULL;

    while (json_next(&it)) {
        const char *why = failure_rule_set(
            rules, json_str(t->arena, it.key), json_str(t->arena, it.value), problems->arena);

        if (why != NULL)
            conf_problem(
                problems, ca->mark, "models." STR_FMT ".on_error: %s", STR_ARG(ca->name.v), why);
    }
    return rules;
}

static struct hedge *
hedge_make(struct arena *a, const struct conf_hedge *c)
{
    if (c->share_percent == 0)
        return NULL;
    struct hedge *h = arena_new(a, struct hedge);
    h->permille = (unsigned)c->percentile * 10;
    h->share_percent = (unsigned)c->share_percent;
    h->cost_percent = (unsigned)c->cost_percent;
    return h;
}

static enum stream_break
break_of(struct str word)
{
    if (str_eq(word, S("continue")))
        return BREAK_CONTINUE;
    return str_eq(word, S("error")) ? BREAK_ERROR : BREAK_AUTO;
}

/* All targets below it. */
static void
alias_flatten(struct alias *al, const struct alias *from)
{
    for (size_t i = 0; i < from->member_count; i++) {
        const struct member *m = &from->members[i];

        if (m->target != NULL)
            al->targets[al->count++] = m->target;
        else
            alias_flatten(al, m->alias);
    }
}

/* Whose turn it is, over and over: each in proportion to its weight, and not several times in a row
 * if that can be helped (nginx's smooth weighted round robin). */
static void
schedule_make(struct arena *a, struct alias *al)
{
    int64_t now[PLAN_CANDIDATES] = { 0 };
    uint64_t total = 0, most = 0;

    for (size_t i = 0; i < al->member_count; i++)
        most = MAX(most, al->members[i].weight);
    uint64_t scale = most / SCHEDULE_WEIGHT + 1;
    for (size_t i = 0; i < al->member_count; i++)
        total += MAX(al->members[i].weight / scale, 1);
    al->turn = arena_new(a, _Atomic uint64_t);
    al->schedule = arena_array(a, uint8_t, total);
    for (; al->schedule_count < total; al->schedule_count++) {
        size_t best = 0;

        for (size_t i = 0; i < al->member_count; i++) {
            now[i] += (int64_t)MAX(al->members[i].weight / scale, 1);
            if (now[i] > now[best])
                best = i;
        }
        now[best] -= (int64_t)total;
        al->schedule[al->schedule_count] = (uint8_t)best;
    }
}

/* The one with more text before its '*' is looked at first. */
static void
pattern_add(struct route_table *t, struct alias *al)
{
    size_t at = t->pattern_count++;

    for (; at > 0 && str_chr(t->patterns[at - 1]->name, '*') < str_chr(al->name, '*'); at--)
        t->patterns[at] = t->patterns[at - 1];
    t->patterns[at] = al;
}

/* A model that an alias asks besides its targets must be one of an alias, or provider/model, too. */
static void
check_side_model(struct route_table *t, const struct conf *c, const struct alias *al,
    struct str name, struct conf_problems *problems)
{
    struct conf_target ct = { .model.v = name, .mark = al->mark };
    struct str model;

    if (name.n != 0 && conf_alias_named(c, name) == NULL &&
        table_provider(t, name, &model) == NULL && !names_disabled_provider(t, name))
        unknown_target(t, c, &ct, problems);
}

static enum sticky_by
sticky_by_of(struct str word)
{
    if (str_eq(word, S("prefix")))
        return STICKY_PREFIX;
    return str_eq(word, S("key")) ? STICKY_KEY : STICKY_CONVERSATION;
}

static void
aliases_from_conf(struct route_table *t, const struct conf *c, struct conf_problems *problems)
{
    t->aliases = arena_array(t->arena, struct alias *, c->model_count + 1);
    t->patterns = arena_array(t->arena, struct alias *, c->model_count + 1);
    for (; t->alias_count < c->model_count; t->alias_count++) {
        const struct conf_alias *ca = &c->models[t->alias_count];
        struct alias *al = arena_new(t->arena, struct alias);

        al->name = ca->name.v;
        al->pattern = str_chr(al->name, '*') != al->name.n;
        al->strategy = strategy_named(ca->strategy.v);
        al->on_break = break_of(ca->on_stream_break.v);
        al->mark = ca->mark;
        al->sticky_by = sticky_by_of(ca->sticky.by.v);
        al->score = (struct score_weights){ (unsigned)ca->score.cost, (unsigned)ca->score.latency,
            (unsigned)ca->score.quality, (unsigned)ca->score.load };
        if (!form_share(ca->quality.v, &al->quality_share))
            al->quality_share = 1;    /* it was refused */
        al->demands = constraint_demands(t->arena, ca,
            catalog_unknown_price(providers_catalog(t->providers)) == PRICE_DENY, problems);
        al->hedge = hedge_make(t->arena, &ca->hedge);
        al->rules = read_rules(t, ca, problems);
        al->judging = judging_read(t->arena, ca, problems);
        al->shadow = shadow_read(t->arena, ca, problems);
        al->skipped = arena_array(t->arena, struct str, PLAN_CANDIDATES);
        t->aliases[t->alias_count] = al;
        (void)map_put(t->alias_by_name, al->name, al);
        if (al->pattern)
            pattern_add(t, al);
    }
    for (size_t i = 0; i < t->alias_count; i++) {
        struct alias *al = t->aliases[i];
        struct alias_path path = { .list = { &c->models[i] }, .count = 1 };

        al->members = arena_array(t->arena, struct member, MAX(c->models[i].target_count, 1));
        (void)alias_fill(t, c, &path, al, problems);
        schedule_make(t->arena, al);
        if (al->judging != NULL)
            check_side_model(t, c, al, al->judging->model, problems);
        if (al->shadow != NULL)
            check_side_model(t, c, al, al->shadow->model, problems);
    }
    for (size_t i = 0; i < t->alias_count && problems->count == 0; i++) {
        struct alias *al = t->aliases[i];

        al->targets = arena_array(t->arena, struct target *, MAX(al->count, 1));
        al->count = 0;
        alias_flatten(al, al);
    }
}

/* The targets of a rule, as if they were an alias's. No name leads to it. */
static struct alias *
alias_of_rule(struct route_table *t, const struct conf *c, const struct conf_rule *rule,
    size_t number, struct conf_problems *problems)
{
    size_t n = rule->targets.count;
    struct conf_target *targets = arena_array(t->arena, struct conf_target, n);
    struct conf_alias *as = arena_new(t->arena, struct conf_alias);
    struct alias *al = arena_new(t->arena, struct alias);
    struct alias_path path = { .list = { as }, .count = 1 };

    for (size_t i = 0; i < n; i++)
        targets[i] = (struct conf_target){
            .model = rule->targets.list[i], .weight = 1, .mark = rule->targets.list[i].mark
        };
    al->name = rule->name.v.n != 0 ? rule->name.v : arena_printf(t->arena, "rule %zu", number + 1);
    *as = (struct conf_alias){
        .name = { .v = al->name }, .targets = targets, .target_count = n, .mark = rule->mark
    };
    al->strategy = strategy_named(S("priority"));
    al->mark = rule->mark;
    al->skipped = arena_array(t->arena, struct str, PLAN_CANDIDATES);
    al->members = arena_array(t->arena, struct member, MAX(n, 1));
    (void)alias_fill(t, c, &path, al, problems);
    schedule_make(t->arena, al);
    if (problems->count == 0) {
        al->targets = arena_array(t->arena, struct target *, MAX(al->count, 1));
        al->count = 0;
        alias_flatten(al, al);
    }
    return al;
}

static void
aliases_from_rules(struct route_table *t, const struct conf *c, struct conf_problems *problems)
{
    t->rule_count = c->rule_count;
    t->of_rules = arena_array(t->arena, struct alias *, t->rule_count + 1);
    for (size_t i = 0; i < t->rule_count; i++)
        if (c->rules[i].targets.count != 0)
            t->of_rules[i] = alias_of_rule(t, c, &c->rules[i], i, problems);
}

/* --- the table --- */

static void
breakers_hold(struct route_table *t)
{
    const struct provider *p;
    size_t count = 0;

    while (providers_at(t->providers, count) != NULL)
        count++;
    t->breakers = arena_array(t->arena, struct breakers, count);
    for (size_t i = 0; (p = providers_at(t->providers, i)) != NULL; i++) {
        struct breakers *b = &t->breakers[i];

        b->table = health_table_of(p);
        b->keys = arena_array(t->arena, struct health *, p->credential_count);
        for (size_t k = 0; k < p->credential_count; k++)
            b->keys[k] = health_key(b->table, p->credentials[k]);
    }
}

struct route_table *
table_create(
    const struct conf *c, const struct providers *providers, struct conf_problems *problems)
{
    struct route_table *t = check_alloc(calloc(1, sizeof(*t)));

    t->arena = arena_create(ROUTE_ARENA_BYTES);
    t->providers = providers;
    t->alias_by_name = map_create();
    t->listed = map_create();
    breakers_hold(t);
    aliases_from_conf(t, c, problems);
    aliases_from_rules(t, c, problems);
    return t;
}

void
table_destroy(struct route_table *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->alias_count; i++)
        shadow_drop(t->aliases[i]->shadow);
    map_destroy(t->alias_by_name);
    map_destroy(t->listed);
    for (size_t i = 0; providers_at(t->providers, i) != NULL; i++)
        health_table_drop(t->breakers[i].table);
    arena_destroy(t->arena);
    free(t);
}

const struct alias *
table_alias_at(const struct route_table *t, size_t i)
{
    return i < t->alias_count ? t->aliases[i] : NULL;
}

const struct alias *
table_rule_alias(const struct route_table *t, size_t rule)
{
    return rule < t->rule_count ? t->of_rules[rule] : NULL;
}

void
table_warnings(const struct route_table *t, struct conf_problems *problems)
{
    for (size_t i = 0; i < t->alias_count; i++)
        if (t->aliases[i]->count == 0)
            conf_warn(problems, t->aliases[i]->mark,
                "models." STR_FMT ": all its targets are at providers that are disabled: every "
                "request for it fails",
                STR_ARG(t->aliases[i]->name));
}

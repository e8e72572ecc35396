/* route.c - builds the table of aliases, and resolves model names. */
#include "route/route.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/map.h"
#include "route/show.h"

/* Limit for all names and targets of one configuration. */
#define ROUTE_ARENA_BYTES (256u * 1024 * 1024)
#define ALIAS_DEPTH 8

struct route_table {
    struct arena *arena;
    const struct providers *providers;
    struct breakers *breakers;    /* of each provider, by its number */
    struct alias **aliases;
    size_t alias_count;
    struct map *alias_by_name;
    struct map *listed;    /* "provider/model" of every alias's targets */
};

/* --- targets and aliases --- */

#define PAIR_BYTES 256

/* "provider/model" in `room` of PAIR_BYTES; empty when it is too long to be in any table. */
static struct str
pair_name(struct str id, struct str model, char *room)
{
    if (id.n + 1 + model.n >= PAIR_BYTES)
        return S("");
    memcpy(room, id.p, id.n);
    room[id.n] = '/';
    if (model.n != 0)
        memcpy(room + id.n + 1, model.p, model.n);
    return str_make(room, id.n + 1 + model.n);
}

static struct target *
target_make(const struct route_table *t, struct arena *a, struct provider *p, struct str model)
{
    struct target *to = arena_new(a, struct target);
    char room[PAIR_BYTES];
    struct str name = pair_name(p->id, model, room);

    to->provider = p;
    to->breakers = &t->breakers[p->number];
    to->health = health_target(to->breakers->table, model);
    to->wire.model = model;
    to->wire.traits = p->traits;
    to->timeouts = p->timeouts;
    for (size_t i = 0; i < p->models.count && !to->listed; i++)
        to->listed = str_eq(p->models.list[i].v, model);
    if (name.n != 0) {
        to->facts = model_row(name);
        to->listed = to->listed || map_get(t->listed, name) != NULL;
    }
    const struct model_row *known = to->facts;
    struct str maker = p->address.host->maker;
    if (known == NULL && maker.n != 0)    /* what it costs here is not known, though */
        known = model_row(pair_name(maker, model, room));
    if (known != NULL) {
        traits_override(&to->wire.traits, known->traits);
        traits_override(&to->wire.traits, &(struct traits){ .max_output = known->output_tokens });
    }
    return to;
}

/* Splits "provider/model". NULL when the first part is not an active provider. */
static struct provider *
name_provider(const struct route_table *t, struct str name, struct str *ret_model)
{
    struct str id;

    return str_cut(name, '/', &id, ret_model) && ret_model->n != 0
               ? providers_find(t->providers, id)
               : NULL;
}

/* Is this a known provider that is not active? A name with its prefix must not go to another
 * one. */
static bool
is_off(const struct route_table *t, struct str id)
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
    if (pair && is_off(t, head)) {
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

static struct target *
target_of_alias(struct route_table *t, struct provider *p, struct str model,
    const struct conf_target *ct, struct conf_problems *problems)
{
    struct target *to = target_make(t, t->arena, p, model);
    char room[PAIR_BYTES];
    struct str name = pair_name(p->id, model, room);

    to->listed = true;
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

/* Adds the targets of the last alias of the path, descending into aliases that it names. False:
 * there is a problem that would only be reported again. */
static bool
alias_fill(struct route_table *t, const struct conf *c, struct alias_path *path, struct alias *al,
    struct conf_problems *problems)
{
    const struct conf_alias *ca = path->list[path->count - 1];

    for (size_t i = 0; i < ca->target_count; i++) {
        const struct conf_target *ct = &ca->targets[i];
        const struct conf_alias *inner = conf_alias_named(c, ct->model.v);
        struct str model;
        struct provider *p = inner == NULL ? name_provider(t, ct->model.v, &model) : NULL;

        if (ct->model.v.n == 0) {    /* it was refused */
            if (path->count != 1)
                return false;
            continue;
        }
        if (inner != NULL) {
            check_alias_target(ct, problems);
            if (!enter_alias(t, path, inner, problems) || !alias_fill(t, c, path, al, problems))
                return false;
            path->count--;
        } else if (p == NULL && names_disabled_provider(t, ct->model.v)) {
            if (al->skipped_count < PLAN_CANDIDATES)
                al->skipped[al->skipped_count++] = ct->model.v;
        } else if (p == NULL) {
            unknown_target(t, c, ct, problems);
            if (path->count != 1)
                return false;    /* reported when that alias itself is resolved */
        } else if (al->count == PLAN_CANDIDATES) {
            conf_problem(problems, ct->mark, "models." STR_FMT ": more than %d targets",
                STR_ARG(al->name), PLAN_CANDIDATES);
            return false;
        } else {
            check_params(t->arena, ct, problems);
            al->targets[al->count++] = target_of_alias(t, p, model, ct, problems);
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

static void
aliases_from_conf(struct route_table *t, const struct conf *c, struct conf_problems *problems)
{
    t->aliases = arena_array(t->arena, struct alias *, c->model_count + 1);
    for (size_t i = 0; i < c->model_count; i++) {
        struct alias *al = arena_new(t->arena, struct alias);
        struct alias_path path = { .list = { &c->models[i] }, .count = 1 };

        al->name = c->models[i].name.v;
        al->on_break = break_of(c->models[i].on_stream_break.v);
        al->mark = c->models[i].mark;
        al->hedge = hedge_make(t->arena, &c->models[i].hedge);
        al->rules = read_rules(t, &c->models[i], problems);
        al->targets = arena_array(t->arena, struct target *, PLAN_CANDIDATES);
        al->skipped = arena_array(t->arena, struct str, PLAN_CANDIDATES);
        (void)alias_fill(t, c, &path, al, problems);
        t->aliases[t->alias_count++] = al;
        (void)map_put(t->alias_by_name, al->name, al);
    }
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
route_create(
    const struct conf *c, const struct providers *providers, struct conf_problems *problems)
{
    struct route_table *t = check_alloc(calloc(1, sizeof(*t)));

    t->arena = arena_create(ROUTE_ARENA_BYTES);
    t->providers = providers;
    t->alias_by_name = map_create();
    t->listed = map_create();
    breakers_hold(t);
    aliases_from_conf(t, c, problems);
    return t;
}

void
route_destroy(struct route_table *t)
{
    if (t == NULL)
        return;
    map_destroy(t->alias_by_name);
    map_destroy(t->listed);
    for (size_t i = 0; providers_at(t->providers, i) != NULL; i++)
        health_table_drop(t->breakers[i].table);
    arena_destroy(t->arena);
    free(t);
}

/* --- looking up --- */

static void
plan_one(const struct route_table *t, struct arena *a, struct provider *p, struct str model,
    struct plan *ret)
{
    plan_begin(ret, a, 1);
    ret->list[0].target = target_make(t, a, p, model);
}

static bool
is_in_list(const struct conf_strs *models, struct str model)
{
    for (size_t m = 0; m < models->count; m++)
        if (str_eq(models->list[m].v, model))
            return true;
    return false;
}

/* The first active provider that has a model of that name in its configured list or, with
 * `catalog`, in the catalog. */
static struct provider *
bare_provider(const struct route_table *t, struct str model, bool catalog)
{
    char room[PAIR_BYTES];

    struct provider *p;

    for (size_t i = 0; (p = providers_at(t->providers, i)) != NULL; i++) {
        struct str name = catalog ? pair_name(p->id, model, room) : S("");

        if ((name.n != 0 && model_row(name) != NULL) || is_in_list(&p->models, model))
            return p;
    }
    return NULL;
}

/* --- unknown names --- */

/* A different version number is a different model: "gpt-5.2" is not a misspelt "gpt-5.1". */
static bool
differs_in_digits_alone(struct str a, struct str b)
{
    size_t i = 0, k = 0;

    for (;;) {
        while (i < a.n && (str_is_digit(a.p[i]) || a.p[i] == '.'))
            i++;
        while (k < b.n && (str_is_digit(b.p[k]) || b.p[k] == '.'))
            k++;
        if (i == a.n || k == b.n)
            return i == a.n && k == b.n;
        if (a.p[i++] != b.p[k++])
            return false;
    }
}

static bool
is_misspelt(struct str word, struct str name)
{
    unsigned limit = word.n < 8 ? 1 : 2;

    return word.n > 2 && word.n <= name.n + limit && name.n <= word.n + limit &&
           str_distance(word, name, limit) <= limit && !differs_in_digits_alone(word, name);
}

/* The name that was probably meant: an alias, or provider/model with the provider's id corrected.
 * Empty when nothing is close. Organisation prefixes often extend a provider's id ("mistralai/x")
 * and are not taken for misspellings. */
static struct str
meant_name(const struct route_table *t, struct arena *a, struct str model)
{
    struct str head, tail;
    const struct provider *p;

    for (size_t i = 0; i < t->alias_count; i++)
        if (is_misspelt(model, t->aliases[i]->name))
            return t->aliases[i]->name;
    if (!str_cut(model, '/', &head, &tail))
        return S("");
    for (size_t i = 0; (p = providers_at(t->providers, i)) != NULL; i++)
        if (is_misspelt(head, p->id) && !str_starts(head, p->id))
            return arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(p->id), STR_ARG(tail));
    return S("");
}

static struct str
no_model_sentence(const struct route_table *t, struct arena *a, struct str model)
{
    struct str names[64];
    size_t n = 0;

    for (size_t i = 0; i < t->alias_count && n < ARRAY_LEN(names); i++)
        names[n++] = t->aliases[i]->name;
    struct str near = meant_name(t, a, model);
    if (near.n == 0)
        near = conf_closest(model, names, n);
    if (near.n != 0)
        return arena_printf(a, "there is no model '" STR_FMT "'; did you mean '" STR_FMT "'?",
            STR_ARG(model), STR_ARG(near));
    return arena_printf(a,
        "there is no model '" STR_FMT "'; name one of GET /v1/models, or provider/model",
        STR_ARG(model));
}

static enum err
plan_alias(const struct alias *al, struct arena *a, struct plan *ret, struct str *ret_why)
{
    plan_begin(ret, a, al->count);
    for (size_t i = 0; i < al->count; i++)
        ret->list[i].target = al->targets[i];
    ret->alias = al;
    if (al->count != 0)
        return OK;
    *ret_why =
        arena_printf(a, "every target of the model '" STR_FMT "' is at a provider that is disabled",
            STR_ARG(al->name));
    return ERR_NO_MODEL;
}

/* Tries in this order: an alias; a known provider's prefix, active or not; a model that one of the
 * active providers has; the default provider, unless the name looks misspelt. */
enum err
route_plan(const struct route_table *t, struct arena *a, struct str model, struct plan *ret,
    struct str *ret_why)
{
    const struct alias *al = map_get(t->alias_by_name, model);
    struct str id, rest, name = model;
    struct provider *p;

    *ret = (struct plan){ .count = 0 };
    if (al != NULL)
        return plan_alias(al, a, ret, ret_why);
    p = name_provider(t, model, &name);
    bool simulated = providers_simulated(t->providers);
    bool off = p == NULL && !simulated && str_cut(model, '/', &id, &rest) && is_off(t, id);
    if (p == NULL) {
        name = model;
        p = bare_provider(t, model, !off);
    }
    if (p == NULL && off) {
        *ret_why = arena_printf(a,
            "the provider '" STR_FMT "' of the model '" STR_FMT "' is not switched on; " STR_FMT,
            STR_ARG(id), STR_ARG(model), STR_ARG(providers_why(t->providers, a, id)));
        return ERR_NO_MODEL;
    }
    if (p == NULL && (simulated || meant_name(t, a, model).n == 0))
        p = providers_default(t->providers);
    if (p == NULL) {
        *ret_why = no_model_sentence(t, a, model);
        return ERR_NO_MODEL;
    }
    plan_one(t, a, p, name, ret);
    return OK;
}

struct target *
route_default(
    const struct route_table *t, struct arena *a, const struct wire *wire, struct str *ret_why)
{
    struct provider *p = providers_default(t->providers), *only = NULL;
    size_t count = 0;

    if (p != NULL && p->wire == wire)
        return target_make(t, a, p, S(""));
    for (size_t i = 0; (p = providers_at(t->providers, i)) != NULL; i++) {
        if (p->wire == wire) {
            only = p;
            count++;
        }
    }
    if (count == 1)
        return target_make(t, a, only, S(""));
    if (count == 0)
        *ret_why = arena_printf(a,
            "this request names no model, and no provider here speaks the protocol of its "
            "route, " STR_FMT,
            STR_ARG(wire->name));
    else
        *ret_why = arena_printf(a,
            "this request names no model, and %zu providers here could take it; set "
            "default_provider in the configuration",
            count);
    return NULL;
}

const struct alias *
route_alias_at(const struct route_table *t, size_t i)
{
    return i < t->alias_count ? t->aliases[i] : NULL;
}

void
route_warnings(const struct route_table *t, struct conf_problems *problems)
{
    for (size_t i = 0; i < t->alias_count; i++)
        if (t->aliases[i]->count == 0)
            conf_warn(problems, t->aliases[i]->mark,
                "models." STR_FMT ": all its targets are at providers that are disabled: every "
                "request for it fails",
                STR_ARG(t->aliases[i]->name));
}

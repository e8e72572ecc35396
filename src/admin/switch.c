/* switch.c - finds what a name means, and switches its breaker by hand. */
#include "admin/switch.h"

#include <stdio.h>

#include "admin/answer.h"
#include "base/clock.h"
#include "base/log.h"
#include "gateway/reply.h"
#include "route/show.h"

/* What a name means. */
struct subject {
    const char *kind;    /* NULL: nothing */
    const struct provider *provider;
    size_t key;
    struct str model;
};

/* A key by its number, or by its name. */
static bool
is_key(const struct provider *p, size_t i, struct str name)
{
    char number[32];
    struct str provider = str_make(name.p, MIN(p->id.n, name.n));

    (void)snprintf(number, sizeof(number), "#%zu", i + 1);
    return str_eq(name, p->credential_names[i]) ||
           (str_eq(provider, p->id) && str_eq(str_skip(name, p->id.n), str_c(number)));
}

/* The number of keys with that name: a variable of the environment may serve two providers. */
static size_t
find_key(const struct providers *all, struct str name, struct subject *ret)
{
    const struct provider *p;
    size_t found = 0;

    for (size_t i = 0; (p = providers_at(all, i)) != NULL; i++) {
        for (size_t k = 0; k < p->credential_count; k++) {
            if (!is_key(p, k, name))
                continue;
            *ret = (struct subject){ .kind = "key", .provider = p, .key = k };
            found++;
        }
    }
    return found;
}

/* Has anybody named this model: the configuration, the catalog, or a request of late? */
static bool
is_known_model(
    const struct exchange *x, const struct provider *p, struct str name, struct str model)
{
    const struct alias *alias;

    for (size_t i = 0; i < p->models.count; i++)
        if (str_eq(p->models.list[i].v, model))
            return true;
    for (size_t i = 0; (alias = table_alias_at(x->hold->snapshot->routes, i)) != NULL; i++)
        for (size_t k = 0; k < alias->count; k++)
            if (alias->targets[k]->provider == p && str_eq(alias->targets[k]->wire.model, model))
                return true;
    if (model_row(name) != NULL)
        return true;
    struct health_table *t = health_table_of(p);
    bool asked = health_has_target(t, model);

    health_table_drop(t);
    return asked;
}

struct name_list {
    struct arena *arena;
    struct str *list;
    size_t n, room;
};

static void
add_name(struct name_list *names, struct str name)
{
    if (names->n == names->room) {
        struct str *more = arena_array(names->arena, struct str, 2 * names->room + 64);

        if (names->n != 0)
            memcpy(more, names->list, names->n * sizeof(*more));
        names->list = more;
        names->room = 2 * names->room + 64;
    }
    names->list[names->n++] = name;
}

/* The name of a provider, key or target that is closest to this one; empty if none is close. */
static struct str
closest(struct exchange *x, struct str name)
{
    const struct snapshot *s = x->hold->snapshot;
    struct name_list all = { .arena = x->arena };
    const struct provider *p;
    const struct alias *alias;
    const struct model_row *row;

    for (size_t i = 0; (p = providers_at(s->providers, i)) != NULL; i++) {
        add_name(&all, p->id);
        for (size_t k = 0; k < p->credential_count; k++)
            add_name(&all, p->credential_names[k]);
        for (size_t k = 0; k < p->models.count; k++)
            add_name(&all, exchange_join(x, p->id, S("/"), p->models.list[k].v));
    }
    for (size_t i = 0; (alias = table_alias_at(s->routes, i)) != NULL; i++)
        for (size_t k = 0; k < alias->count; k++)
            add_name(&all, exchange_join(x, alias->targets[k]->provider->id, S("/"),
                               alias->targets[k]->wire.model));
    for (size_t i = 0; (row = model_row_at(i)) != NULL; i++) {
        struct str provider, model;

        if (str_cut(row->id, '/', &provider, &model) && providers_find(s->providers, provider))
            add_name(&all, row->id);
    }
    return conf_closest(name, all.list, all.n);
}

static bool
find(struct exchange *x, struct str name, struct subject *ret)
{
    const struct providers *all = x->hold->snapshot->providers;
    const struct provider *p = providers_find(all, name);
    struct str provider, model;

    if (p != NULL) {
        *ret = (struct subject){ .kind = "provider", .provider = p };
        return true;
    }
    size_t keys = find_key(all, name, ret);
    if (keys > 1)
        return exchange_fail(x, ERR_BAD_REQUEST,
                   "more than one provider has a key '" STR_FMT "'; write PROVIDER#1",
                   STR_ARG(name)) != STEP_STOP;
    if (keys == 1)
        return true;
    if (str_cut(name, '/', &provider, &model) && model.n != 0 && model.n <= MODEL_BYTES &&
        (p = providers_find(all, provider)) != NULL && is_known_model(x, p, name, model)) {
        *ret = (struct subject){ .kind = "target", .provider = p, .model = model };
        return true;
    }
    struct str near = closest(x, name);
    if (near.n != 0)
        (void)exchange_fail(x, ERR_NO_ROUTE,
            "there is no '" STR_FMT "' to switch; did you mean '" STR_FMT "'?", STR_ARG(name),
            STR_ARG(near));
    else
        (void)exchange_fail(x, ERR_NO_ROUTE,
            "there is no '" STR_FMT "' to switch; write the name of a provider (openai), of one of "
            "its keys (openai#2), or a model of it (openai/gpt-4o) that the configuration names or "
            "that was asked for",
            STR_ARG(name));
    return false;
}

static struct health *
breaker_of(const struct subject *s, struct health_table *t)
{
    if (s->model.n != 0)
        return health_target(t, s->model);
    if (strcmp(s->kind, "key") == 0)
        return health_key(t, s->provider->credentials[s->key]);
    return health_provider(t);
}

void
switch_answer(struct exchange *x, struct str name, bool off)
{
    uint64_t now_ms = clock_now_ms();
    struct subject s;

    if (!find(x, name, &s))
        return;
    struct health_table *t = health_table_of(s.provider);
    struct health *h = breaker_of(&s, t);
    bool was_off = health_look(h, now_ms).state == HEALTH_OFF;
    health_switch(h, off, now_ms);
    struct health_view view = health_look(h, now_ms);

    if ((view.state == HEALTH_OFF) != off) {
        (void)exchange_fail(x, ERR_OVERLOADED,
            "the provider has too many models and keys for one more to be switched");
        health_table_drop(t);
        return;
    }
    struct log_context who = { .provider = s.provider->id, .subject = exchange_shown(x, name) };
    if (off != was_off)
        log_warn(&who, "the operator switched %s this %s", off ? "off" : "on", s.kind);

    struct buf body;
    struct json_out o = answer_begin(&body);
    out_text(&o, "name", name);
    out_text(&o, "kind", str_c(s.kind));
    out_bool(&o, "changed", off != was_off);
    health_write(&o, &view, now_ms);
    answer_end(x, &o);
    health_table_drop(t);
}

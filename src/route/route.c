/* route.c - builds the table of providers and aliases, and resolves model names. */
#include "route/route.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "conf/form.h"
#include "http/message.h"

/* Limit for all names, targets and field lines of one configuration. */
#define ROUTE_ARENA_BYTES (256u * 1024 * 1024)
#define ALIAS_DEPTH 8
#define FIELD_LINES_BYTES (16u * 1024)

struct route_table {
    struct arena *arena;
    const struct conf *conf;
    /* the system's trust store, shared by providers; created on demand */
    struct tls_context *tls;
    struct provider **providers;
    size_t provider_count;
    struct map *provider_by_id;
    struct alias **aliases;
    size_t alias_count;
    struct map *alias_by_name;
    struct map *broken;                   /* ids of providers that are configured wrongly */
    struct map *listed;                   /* "provider/model" of every alias's targets */
    struct provider *default_provider;    /* NULL: none */
};

/* --- providers --- */

static struct conf_timeouts
timeouts_over(struct conf_timeouts base, struct conf_timeouts over)
{
    const uint64_t *from = &over.dns_ms;
    uint64_t *to = &base.dns_ms;

    for (size_t i = 0; i < sizeof(base) / sizeof(uint64_t); i++)
        if (from[i] != 0)
            to[i] = from[i];
    return base;
}

/* Providers without TLS settings share one context: the system's trust store, HTTP/2 offered. */
static struct tls_context *
provider_tls(struct route_table *t, const struct conf_provider *cp, char *why, size_t why_size)
{
    bool h2 = cp == NULL || !str_eq(cp->http.v, S("1"));
    bool plain =
        cp == NULL || (cp->ca_file.v.n == 0 && cp->client_cert.v.n == 0 && !cp->tls_insecure && h2);
    struct tls_context *tls;

    if (plain && t->tls != NULL)
        return tls_context_ref(t->tls);
    tls = tls_client_create(!plain && cp->ca_file.v.n != 0 ? cp->ca_file.v.p : NULL,
        !plain && cp->tls_insecure, why, why_size);
    if (tls == NULL)
        return NULL;
    if (!plain && cp->client_cert.v.n != 0) {
        const struct conf_str *key = cp->client_key.v.n != 0 ? &cp->client_key : &cp->client_cert;

        if (!tls_client_use_certificate(tls, cp->client_cert.v.p, key->v.p, why, why_size)) {
            tls_context_unref(tls);
            return NULL;
        }
    }
    if (h2)
        tls_client_offer_h2(tls);
    if (plain)
        t->tls = tls_context_ref(tls);
    return tls;
}

/* Copies a buffer into the arena and frees it. */
static struct str
kept(struct arena *a, struct buf *b)
{
    struct str s = arena_str(a, buf_str(b));

    buf_fini(b);
    return s;
}

/* The complete field line for one key. */
static struct str
credential_line(
    struct arena *a, const struct provider_row *row, const struct wire *wire, struct str key)
{
    struct str field = row != NULL ? row->auth_field : S("Authorization");
    struct str prefix = row != NULL ? row->auth_prefix : S("Bearer ");
    struct buf line;

    if (row == NULL && str_eq(wire->name, S("anthropic-messages"))) {
        field = S("x-api-key");
        prefix = S("");
    }
    buf_init(&line, FIELD_LINES_BYTES);
    buf_add(&line, field);
    buf_add(&line, S(": "));
    buf_add(&line, prefix);
    buf_add(&line, key);
    buf_add(&line, S("\r\n"));
    CHECK(!line.overflow);    /* keys have a maximum length */
    return kept(a, &line);
}

static struct str
field_lines(struct arena *a, const struct conf_provider *cp)
{
    struct buf all;

    buf_init(&all, FIELD_LINES_BYTES);
    for (size_t i = 0; i < cp->field_count; i++)
        http_add_field(&all, cp->fields[i].key.v, cp->fields[i].value.v);
    CHECK(!all.overflow);    /* so have fields */
    return kept(a, &all);
}

/* Adds a provider to the table. `cp` is NULL for one from the environment. */
static struct provider *
provider_add(struct route_table *t, struct str id, const struct wire *wire,
    const struct provider_row *row, struct str base_url, const struct conf_provider *cp,
    struct conf_problems *problems)
{
    struct conf_mark mark = cp != NULL ? cp->mark : (struct conf_mark){ 0, 0 };
    char why[256] = "";
    struct str path;
    struct provider *p = arena_new(t->arena, struct provider);
    bool https = str_istarts(base_url, S("https:"));
    struct tls_context *tls = https ? provider_tls(t, cp, why, sizeof(why)) : NULL;
    bool tls_failed = https && tls == NULL;

    if (tls_failed)
        conf_problem(problems, mark, "providers." STR_FMT ": %s", STR_ARG(id), why);
    if (!https && cp != NULL && cp->client_cert.v.n != 0)
        conf_problem(problems, cp->client_cert.mark,
            "providers." STR_FMT ": a client_cert needs a base_url with https://", STR_ARG(id));
    p->id = id;
    p->wire = wire;
    p->row = row;
    p->origin = origin_create(base_url, tls, &path, why, sizeof(why));
    tls_context_unref(tls);
    if (p->origin == NULL && !tls_failed)
        conf_problem(problems, mark, "providers." STR_FMT ".base_url: %s", STR_ARG(id), why);
    p->base_path = p->origin != NULL ? path : S("");
    if (row != NULL)
        p->traits = row->traits;
    p->fields = S("");
    t->providers[t->provider_count++] = p;
    (void)map_put(t->provider_by_id, id, p);
    return p;
}

/* `misread`: something in its section was refused, perhaps the very setting that seems to be
 * missing. */
static const struct wire *
provider_wire(const struct conf_provider *cp, const struct provider_row *row, bool misread,
    struct conf_problems *problems)
{
    if (cp->wire.v.n == 0) {
        if (row != NULL || misread)
            return row != NULL ? row->wire : NULL;
        struct str ids[128];
        size_t n = 0;
        for (const struct provider_row *r; n < ARRAY_LEN(ids) && (r = provider_row_at(n)) != NULL;
             n++)
            ids[n] = r->id;
        struct str near = conf_closest(cp->id.v, ids, n);
        if (near.n != 0)
            conf_problem(problems, cp->mark,
                "providers." STR_FMT ": not a provider we know; did you mean '" STR_FMT
                "'? For your own server add wire and base_url",
                STR_ARG(cp->id.v), STR_ARG(near));
        else
            conf_problem(problems, cp->mark,
                "providers." STR_FMT
                ": not a provider we know; add wire (for example openai-chat) and base_url",
                STR_ARG(cp->id.v));
        return NULL;
    }
    const struct wire *wire = wire_named(cp->wire.v);
    if (wire == NULL || wire->provider == NULL) {
        conf_problem(problems, cp->wire.mark,
            "providers." STR_FMT ".wire: '" STR_FMT
            "' is not a wire of this version; use openai-chat, anthropic-messages or ollama",
            STR_ARG(cp->id.v), STR_ARG(cp->wire.v));
        return NULL;
    }
    return wire;
}

/* A known provider at its usual address requires a key. */
static bool
needs_key(const struct provider_row *row, const struct conf_provider *cp, bool misread)
{
    return !misread && row != NULL && row->env.n != 0 && cp != NULL && cp->base_url.v.n == 0 &&
           cp->field_count == 0;
}

/* Takes the configured keys, or the one in the environment. The latter has not been validated yet
 * and becomes part of a header field. */
static void
provider_keys(struct route_table *t, struct provider *p, const struct conf_provider *cp,
    bool misread, struct conf_problems *problems)
{
    size_t n = cp != NULL ? cp->api_keys.count : 0;
    struct conf_mark mark = cp != NULL ? cp->mark : (struct conf_mark){ 0, 0 };
    struct str variable;
    bool given = cp != NULL && cp->api_keys_set;
    struct str env = !given && p->row != NULL ? provider_env_key(p->row, &variable) : S("");
    const char *why = env.n != 0 ? form_problem(t->arena, FORM_SECRET, env) : NULL;

    p->credentials = arena_array(t->arena, struct str, n + 1);
    p->credential_names = arena_array(t->arena, struct str, n + 1);
    for (size_t i = 0; i < n; i++) {
        p->credential_names[i] = arena_printf(t->arena, STR_FMT "#%zu", STR_ARG(p->id), i + 1);
        p->credentials[p->credential_count++] =
            credential_line(t->arena, p->row, p->wire, cp->api_keys.list[i].v);
    }
    if (why != NULL) {
        conf_problem(problems, mark, "providers." STR_FMT ": the environment's " STR_FMT " %s",
            STR_ARG(p->id), STR_ARG(variable), why);
    } else if (env.n != 0) {
        p->credential_names[p->credential_count] = arena_str(t->arena, variable);
        p->credentials[p->credential_count++] = credential_line(t->arena, p->row, p->wire, env);
    } else if (!given && needs_key(p->row, cp, misread)) {
        struct str left = p->row->env;
        bool shared;
        (void)provider_env_next(&left, &variable, &shared);
        conf_problem(problems, mark,
            "providers." STR_FMT ": it has no key; write api_key: \"${" STR_FMT
            "}\", or set that variable",
            STR_ARG(p->id), STR_ARG(variable));
    }
}

/* Sets the traits of a "traits:" section; `where` is the section that has it. */
static void
read_traits(struct arena *a, struct traits *traits, struct str object, struct conf_mark mark,
    struct str where, struct conf_problems *problems)
{
    const struct json *doc = object.n != 0 ? json_parse(a, object, NULL, NULL) : NULL;
    struct json_iter it = json_iter(doc);

    while (json_next(&it)) {
        struct str name = json_str(a, it.key);
        struct str value =
            it.value->type == JSON_STRING ? json_str(a, it.value) : json_raw(it.value);
        const char *why = traits_set(traits, name, value, a);

        if (why != NULL)
            conf_problem(problems, mark,
                STR_FMT ".traits: '" STR_FMT ": " STR_FMT "' is not a trait; %s", STR_ARG(where),
                STR_ARG(name), STR_ARG(value), why);
    }
}

/* The older way to say some of the traits: replaces those. */
static void
provider_quirks(struct provider *p, const struct conf_provider *cp, struct conf_problems *problems)
{
    struct {
        struct str name;
        enum llm_tri *trait;
    } quirks[] = {
        { S("no_stream_options"), &p->traits.no_stream_options },
        { S("max_tokens"), &p->traits.max_tokens },
        { S("no_developer"), &p->traits.no_developer },
        { S("strict_keys"), &p->traits.strict_keys },
    };

    for (size_t i = 0; cp->quirks_set && i < ARRAY_LEN(quirks); i++)
        *quirks[i].trait = UNSAID;
    for (size_t i = 0; i < cp->quirks.count; i++) {
        bool known = false;

        for (size_t k = 0; k < ARRAY_LEN(quirks); k++)
            if (str_eq(cp->quirks.list[i].v, quirks[k].name)) {
                *quirks[k].trait = YES;
                known = true;
            }
        if (!known)
            conf_problem(problems, cp->quirks.list[i].mark,
                "providers." STR_FMT ".quirks: there is no quirk '" STR_FMT
                "'; use no_stream_options, max_tokens, no_developer or strict_keys",
                STR_ARG(cp->id.v), STR_ARG(cp->quirks.list[i].v));
    }
}

static void
provider_from_conf(struct route_table *t, const struct conf *c, const struct conf_provider *cp,
    struct conf_problems *problems)
{
    const struct provider_row *row = provider_row(cp->id.v);
    bool misread = conf_is_faulty(c, cp);
    const struct wire *wire = provider_wire(cp, row, misread, problems);

    if (wire == NULL)
        (void)map_put(t->broken, cp->id.v, (void *)(uintptr_t)cp);
    if (cp->disabled || wire == NULL)
        return;
    struct str base_url = cp->base_url.v.n != 0 ? cp->base_url.v
                          : row != NULL         ? row->base_url
                                                : S("");
    if (base_url.n == 0 || conf_is_faulty(c, &cp->base_url)) {
        (void)map_put(t->broken, cp->id.v, (void *)(uintptr_t)cp);
        if (misread)
            return;
        conf_problem(problems, cp->mark,
            "providers." STR_FMT ": base_url is missing; write base_url: https://...",
            STR_ARG(cp->id.v));
        return;
    }
    struct provider *p = provider_add(t, cp->id.v, wire, row, base_url, cp, problems);
    provider_keys(t, p, cp, misread, problems);
    p->fields = field_lines(t->arena, cp);
    p->timeouts = timeouts_over(c->timeouts, cp->timeouts);
    p->models = cp->models;
    provider_quirks(p, cp, problems);
    read_traits(t->arena, &p->traits, cp->traits, cp->mark,
        arena_printf(t->arena, "providers." STR_FMT, STR_ARG(p->id)), problems);
}

static void
providers_from_environment(
    struct route_table *t, const struct conf *c, struct conf_problems *problems)
{
    const struct provider_row *row;

    for (size_t i = 0; (row = provider_row_at(i)) != NULL; i++) {
        if (row->base_url.n == 0 || !provider_env_is_on(row))
            continue;
        struct provider *p =
            provider_add(t, row->id, row->wire, row, row->base_url, NULL, problems);
        provider_keys(t, p, NULL, false, problems);
        p->timeouts = c->timeouts;
    }
}

static void
provider_simulated(
    struct route_table *t, const struct conf *c, struct str url, struct conf_problems *problems)
{
    struct provider *p = provider_add(t, S("mock"), &wire_openai_chat, NULL, url, NULL, problems);

    p->credentials = arena_array(t->arena, struct str, 1);
    p->timeouts = c->timeouts;
    p->simulated = true;
    t->default_provider = p;
}

/* --- targets and aliases --- */

#define PAIR_BYTES 256

/* "provider/model" in `room` of PAIR_BYTES; empty when it is too long to be in any table. */
static struct str
pair_name(const struct provider *p, struct str model, char *room)
{
    if (p->id.n + 1 + model.n >= PAIR_BYTES)
        return S("");
    memcpy(room, p->id.p, p->id.n);
    room[p->id.n] = '/';
    if (model.n != 0)
        memcpy(room + p->id.n + 1, model.p, model.n);
    return str_make(room, p->id.n + 1 + model.n);
}

static struct target *
target_make(const struct route_table *t, struct arena *a, struct provider *p, struct str model)
{
    struct target *to = arena_new(a, struct target);
    char room[PAIR_BYTES];
    struct str name = pair_name(p, model, room);

    to->provider = p;
    to->wire.model = model;
    to->wire.traits = p->traits;
    to->timeouts = p->timeouts;
    for (size_t i = 0; i < p->models.count && !to->listed; i++)
        to->listed = str_eq(p->models.list[i].v, model);
    if (name.n != 0) {
        to->facts = model_row(name);
        to->listed = to->listed || map_get(t->listed, name) != NULL;
    }
    if (to->facts != NULL) {
        traits_override(&to->wire.traits, &to->facts->traits);
        traits_override(
            &to->wire.traits, &(struct traits){ .max_output = to->facts->output_tokens });
    }
    return to;
}

/* Splits "provider/model". NULL when the first part is not an active provider. */
static struct provider *
name_provider(const struct route_table *t, struct str name, struct str *ret_model)
{
    struct str id;

    return str_cut(name, '/', &id, ret_model) && ret_model->n != 0 ? map_get(t->provider_by_id, id)
                                                                   : NULL;
}

/* The section of a provider with `disabled: true`, or NULL. */
static const struct conf_provider *
disabled_provider(const struct conf *c, struct str id)
{
    for (size_t i = 0; i < c->provider_count; i++)
        if (c->providers[i].disabled && str_eq(c->providers[i].id.v, id))
            return &c->providers[i];
    return NULL;
}

static bool
names_disabled_provider(const struct conf *c, struct str target)
{
    struct str id, model;

    return str_cut(target, '/', &id, &model) && model.n != 0 && disabled_provider(c, id) != NULL;
}

static const struct conf_alias *
conf_alias_named(const struct conf *c, struct str name)
{
    for (size_t i = 0; i < c->model_count; i++)
        if (str_eq(c->models[i].name.v, name))
            return &c->models[i];
    return NULL;
}

static struct str how_to_switch_on(const struct route_table *t, struct arena *a, struct str id);
static bool is_off(const struct route_table *t, struct str id);

static void
unknown_target(const struct route_table *t, const struct conf *c, const struct conf_target *ct,
    struct conf_problems *problems)
{
    struct str head, tail;
    struct str names[64];
    size_t n = 0;
    bool pair = str_cut(ct->model.v, '/', &head, &tail);

    if (!pair)
        head = ct->model.v;
    if (map_get(t->broken, head) != NULL)
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
            STR_ARG(how_to_switch_on(t, problems->arena, head)));
        return;
    }
    for (size_t i = 0; i < t->provider_count && n < ARRAY_LEN(names); i++)
        names[n++] = t->providers[i]->id;
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
    struct str name = pair_name(p, model, room);

    to->listed = true;
    if (name.n != 0)
        (void)map_put(t->listed, name, to);
    to->params = ct->params;
    read_traits(t->arena, &to->wire.traits, ct->traits, ct->mark,
        arena_printf(t->arena, "target '" STR_FMT "'", STR_ARG(ct->model.v)), problems);
    to->timeouts = timeouts_over(p->timeouts, ct->timeouts);
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
        } else if (p == NULL && names_disabled_provider(c, ct->model.v)) {
            al->skipped++;
        } else if (p == NULL) {
            unknown_target(t, c, ct, problems);
            if (path->count != 1)
                return false;    /* reported when that alias itself is resolved */
        } else if (al->count == ROUTE_TARGETS) {
            conf_problem(problems, ct->mark, "models." STR_FMT ": more than %d targets",
                STR_ARG(al->name), ROUTE_TARGETS);
            return false;
        } else {
            check_params(t->arena, ct, problems);
            al->targets[al->count++] = target_of_alias(t, p, model, ct, problems);
        }
    }
    return true;
}

static void
aliases_from_conf(struct route_table *t, const struct conf *c, struct conf_problems *problems)
{
    t->aliases = arena_array(t->arena, struct alias *, c->model_count + 1);
    for (size_t i = 0; i < c->model_count; i++) {
        struct alias *al = arena_new(t->arena, struct alias);
        struct alias_path path = { .list = { &c->models[i] }, .count = 1 };

        al->name = c->models[i].name.v;
        al->mark = c->models[i].mark;
        al->targets = arena_array(t->arena, struct target *, ROUTE_TARGETS);
        (void)alias_fill(t, c, &path, al, problems);
        t->aliases[t->alias_count++] = al;
        (void)map_put(t->alias_by_name, al->name, al);
    }
}

/* --- the table --- */

/* A provider's entries in the registry: its id, and its URL, with which it is another one. */
static struct str
stable_name(struct arena *a, const struct provider *p)
{
    return arena_printf(a, STR_FMT "\n" STR_FMT "://" STR_FMT STR_FMT STR_FMT, STR_ARG(p->id),
        STR_ARG(p->origin->scheme), STR_ARG(p->origin->host_header), STR_ARG(p->origin->unix_path),
        STR_ARG(p->base_path));
}

static const struct registry_kind turn_kind = { "turns of keys", sizeof(_Atomic uint32_t), NULL };

struct route_table *
route_create(const struct conf *c, struct str simulated_url, struct conf_problems *problems)
{
    struct route_table *t = check_alloc(calloc(1, sizeof(*t)));
    size_t room = c->provider_count + 1;

    for (size_t i = 0; provider_row_at(i) != NULL; i++)
        room++;
    t->arena = arena_create(ROUTE_ARENA_BYTES);
    t->conf = c;
    t->providers = arena_array(t->arena, struct provider *, room);
    t->provider_by_id = map_create();
    t->alias_by_name = map_create();
    t->listed = map_create();
    t->broken = map_create();

    for (size_t i = 0; i < c->provider_count; i++)
        provider_from_conf(t, c, &c->providers[i], problems);
    if (c->provider_count == 0)
        providers_from_environment(t, c, problems);
    if (c->provider_count == 0 && t->provider_count == 0 && simulated_url.n != 0)
        provider_simulated(t, c, simulated_url, problems);

    for (size_t i = 0; i < t->provider_count; i++) {
        struct provider *p = t->providers[i];

        if (p->origin == NULL)
            continue;
        struct str name = stable_name(t->arena, p);
        p->turn = registry_hold(&turn_kind, name);
        if (p->models.count == 0 && !p->simulated)
            p->offer = offer_hold(name);
    }
    if (c->default_provider.v.n != 0) {
        t->default_provider = map_get(t->provider_by_id, c->default_provider.v);
        if (t->default_provider == NULL && map_get(t->broken, c->default_provider.v) == NULL &&
            disabled_provider(c, c->default_provider.v) == NULL)
            conf_problem(problems, c->default_provider.mark,
                "default_provider: no provider '" STR_FMT "' is configured",
                STR_ARG(c->default_provider.v));
    } else if (t->provider_count == 1) {
        t->default_provider = t->providers[0];
    }
    aliases_from_conf(t, c, problems);
    return t;
}

void
route_destroy(struct route_table *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->provider_count; i++) {
        origin_destroy(t->providers[i]->origin);
        offer_drop(t->providers[i]->offer);
        registry_drop(t->providers[i]->turn);
    }
    tls_context_unref(t->tls);
    map_destroy(t->provider_by_id);
    map_destroy(t->alias_by_name);
    map_destroy(t->listed);
    map_destroy(t->broken);
    arena_destroy(t->arena);
    free(t);
}

/* --- looking up --- */

static struct target *
plan_one(const struct route_table *t, struct arena *a, struct provider *p, struct str model,
    struct plan *ret)
{
    ret->targets[0] = target_make(t, a, p, model);
    ret->count = 1;
    return ret->targets[0];
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

    for (size_t i = 0; i < t->provider_count; i++) {
        const struct provider *p = t->providers[i];
        struct str name = catalog ? pair_name(p, model, room) : S("");

        if ((name.n != 0 && model_row(name) != NULL) || is_in_list(&p->models, model))
            return t->providers[i];
    }
    return NULL;
}

/* --- unknown names --- */

/* How to enable a known provider: text for the operator. */
static struct str
how_to_switch_on(const struct route_table *t, struct arena *a, struct str id)
{
    const struct provider_row *row = provider_row(id);
    struct str left = row != NULL ? row->env : S(""), variable = S("");
    bool shared = true;

    if (disabled_provider(t->conf, id) != NULL)
        return arena_printf(a, "remove providers." STR_FMT ".disabled", STR_ARG(id));
    if (row == NULL)
        return S("");
    while (shared && provider_env_next(&left, &variable, &shared))
        ;
    if (row->base_url.n == 0)
        return arena_printf(a,
            "write providers: {" STR_FMT ": {base_url: \"https://...\", api_key: ...}}",
            STR_ARG(id));
    if (variable.n == 0)
        return arena_printf(a, "write providers: {" STR_FMT ": {}}", STR_ARG(id));
    if (t->conf->provider_count == 0 && !shared)
        return arena_printf(a, "set " STR_FMT " where the gateway is started", STR_ARG(variable));
    return arena_printf(a, "write providers: {" STR_FMT ": {api_key: \"${" STR_FMT "}\"}}",
        STR_ARG(id), STR_ARG(variable));
}

/* Is this a known provider that is not active? A name with its prefix must not go to another one.
 * */
static bool
is_off(const struct route_table *t, struct str id)
{
    return map_get(t->provider_by_id, id) == NULL &&
           (provider_row(id) != NULL || disabled_provider(t->conf, id) != NULL);
}

/* A different version number is a different model: "gpt-5.2" is not a misspelt "gpt-5.1". */
static bool
differs_in_digits_alone(struct str a, struct str b)
{
    size_t i = 0, k = 0;

    for (;;) {
        while (i < a.n && ((a.p[i] >= '0' && a.p[i] <= '9') || a.p[i] == '.'))
            i++;
        while (k < b.n && ((b.p[k] >= '0' && b.p[k] <= '9') || b.p[k] == '.'))
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

    for (size_t i = 0; i < t->alias_count; i++)
        if (is_misspelt(model, t->aliases[i]->name))
            return t->aliases[i]->name;
    if (!str_cut(model, '/', &head, &tail))
        return S("");
    for (size_t i = 0; i < t->provider_count; i++) {
        struct str id = t->providers[i]->id;

        if (is_misspelt(head, id) && !str_starts(head, id))
            return arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(id), STR_ARG(tail));
    }
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
    memcpy(ret->targets, al->targets, al->count * sizeof(al->targets[0]));
    ret->count = al->count;
    ret->alias = al->name;
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
    bool off = p == NULL && !route_simulated(t) && str_cut(model, '/', &id, &rest) && is_off(t, id);
    if (p == NULL) {
        name = model;
        p = bare_provider(t, model, !off);
    }
    if (p == NULL && off) {
        *ret_why = arena_printf(a,
            "the provider '" STR_FMT "' of the model '" STR_FMT "' is not switched on; " STR_FMT,
            STR_ARG(id), STR_ARG(model), STR_ARG(how_to_switch_on(t, a, id)));
        return ERR_NO_MODEL;
    }
    if (p == NULL && (route_simulated(t) || meant_name(t, a, model).n == 0))
        p = t->default_provider;
    if (p == NULL) {
        *ret_why = no_model_sentence(t, a, model);
        return ERR_NO_MODEL;
    }
    (void)plan_one(t, a, p, name, ret);
    return OK;
}

struct target *
route_default(
    const struct route_table *t, struct arena *a, const struct wire *wire, struct str *ret_why)
{
    struct provider *only = NULL;
    size_t count = 0;

    if (t->default_provider != NULL && t->default_provider->wire == wire)
        return target_make(t, a, t->default_provider, S(""));
    for (size_t i = 0; i < t->provider_count; i++) {
        if (t->providers[i]->wire == wire) {
            only = t->providers[i];
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

struct provider *
route_provider(const struct route_table *t, struct str id)
{
    return map_get(t->provider_by_id, id);
}

struct str
route_provider_why(const struct route_table *t, struct arena *a, struct str id)
{
    const struct provider *p = route_provider(t, id);
    struct str variable = S("");

    if (p == NULL)
        return how_to_switch_on(t, a, id);
    if (p->simulated)
        return S("built in: no other provider is on");
    if (t->conf->provider_count != 0)
        return S("in the configuration");
    (void)provider_env_key(p->row, &variable);
    return arena_printf(a, STR_FMT " is set", STR_ARG(variable));
}

struct provider *
route_provider_at(const struct route_table *t, size_t i)
{
    return i < t->provider_count ? t->providers[i] : NULL;
}

const struct alias *
route_alias_at(const struct route_table *t, size_t i)
{
    return i < t->alias_count ? t->aliases[i] : NULL;
}

bool
route_simulated(const struct route_table *t)
{
    return t->provider_count == 1 && t->providers[0]->simulated;
}

void
route_warnings(const struct route_table *t, struct conf_problems *problems)
{
    if (t->provider_count == 0)
        conf_warn(problems, (struct conf_mark){ 0, 0 },
            "no provider is switched on: every request for a model fails; write one under "
            "providers, with its key");
    for (size_t i = 0; i < t->alias_count; i++)
        if (t->aliases[i]->count == 0)
            conf_warn(problems, t->aliases[i]->mark,
                "models." STR_FMT ": all its targets are at providers that are disabled: every "
                "request for it fails",
                STR_ARG(t->aliases[i]->name));
    if (t->conf->default_provider.v.n != 0 && t->default_provider == NULL)
        conf_warn(problems, t->conf->default_provider.mark,
            "default_provider: '" STR_FMT "' is disabled: what names no provider fails",
            STR_ARG(t->conf->default_provider.v));
}

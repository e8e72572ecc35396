/* providers.c - builds the set of active providers from the configuration and the environment. */
#include "catalog/providers.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/map.h"
#include "base/registry.h"
#include "catalog/catalog.h"
#include "conf/form.h"
#include "http/message.h"

/* Limit for all names and field lines of one configuration. */
#define PROVIDERS_ARENA_BYTES (256u * 1024 * 1024)
#define TRAITS_BYTES_MAX (64u * 1024 * 1024)    /* read; none of it is kept */
#define FIELD_LINES_BYTES (16u * 1024)

struct providers {
    struct arena *arena;
    const struct conf *conf;
    struct catalog *catalog;
    struct tls_context *tls;    /* the system's trust store, shared; created on demand */
    struct provider **list;
    size_t count;
    struct map *by_id;
    struct map *broken;        /* ids of providers that are configured wrongly */
    struct provider *usual;    /* the default provider; NULL: none */
};

/* Providers without TLS settings share one context: the system's trust store, HTTP/2 offered. */
static struct tls_context *
provider_tls(struct providers *all, const struct conf_provider *cp, struct why why)
{
    bool h2 = cp == NULL || !str_eq(cp->http.v, S("1"));
    bool plain =
        cp == NULL || (cp->ca_file.v.n == 0 && cp->client_cert.v.n == 0 && !cp->tls_insecure && h2);
    struct tls_context *tls;

    if (plain && all->tls != NULL)
        return tls_context_ref(all->tls);
    tls = tls_client_create(
        !plain && cp->ca_file.v.n != 0 ? cp->ca_file.v.p : NULL, !plain && cp->tls_insecure, why);
    if (tls == NULL)
        return NULL;
    if (!plain && cp->client_cert.v.n != 0) {
        const struct conf_str *key = cp->client_key.v.n != 0 ? &cp->client_key : &cp->client_cert;

        if (!tls_client_use_certificate(tls, cp->client_cert.v.p, key->v.p, why)) {
            tls_context_unref(tls);
            return NULL;
        }
    }
    if (h2)
        tls_client_offer_h2(tls);
    if (plain)
        all->tls = tls_context_ref(tls);
    return tls;
}

/* The complete field line for one key. */
static struct str
credential_field(const struct provider *p)
{
    return p->row != NULL && p->row->key.n != 0 ? p->row->key
           : p->address.host->key.n != 0        ? p->address.host->key
                                                : p->wire->provider->key;
}

static struct str
credential_line(struct arena *a, const struct provider *p, struct str key)
{
    return arena_printf(a, STR_FMT STR_FMT "\r\n", STR_ARG(credential_field(p)), STR_ARG(key));
}

static struct str
field_lines(struct arena *a, const struct conf_provider *cp)
{
    struct buf all;

    buf_init(&all, FIELD_LINES_BYTES);
    for (size_t i = 0; i < cp->field_count; i++)
        http_add_field(&all, cp->fields[i].key.v, cp->fields[i].value.v);
    CHECK(!all.overflow);    /* they have a maximum length */
    struct str lines = arena_str(a, buf_str(&all));
    buf_fini(&all);
    return lines;
}

/* "a, b or c" */
static struct str
choices(struct arena *a, const struct str *names, size_t count)
{
    struct str all = S("");

    for (size_t i = 0; i < count; i++)
        all = arena_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(all),
            i == 0           ? ""
            : i == count - 1 ? " or "
                             : ", ",
            STR_ARG(names[i]));
    return all;
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
        struct str names[16];
        size_t n = 0;
        const struct wire *w;
        for (size_t i = 0; (w = wire_at(i)) != NULL && n < ARRAY_LEN(names); i++)
            if (w->provider != NULL)
                names[n++] = w->name;
        conf_problem(problems, cp->wire.mark,
            "providers." STR_FMT ".wire: '" STR_FMT "' is not a wire of this version; use " STR_FMT,
            STR_ARG(cp->id.v), STR_ARG(cp->wire.v), STR_ARG(choices(problems->arena, names, n)));
        return NULL;
    }
    return wire;
}

/* The configured host, or the row's; the latter also when the configured one is reported. */
static const struct host *
provider_host(
    const struct conf_provider *cp, const struct provider_row *row, struct conf_problems *problems)
{
    const struct host *usual = row != NULL ? row->host : &host_direct;
    struct str names[16];
    size_t n = 0;

    if (cp == NULL || cp->host.v.n == 0)
        return usual;
    for (const struct host *h; n < ARRAY_LEN(names) && (h = host_at(n)) != NULL; n++) {
        if (str_eq(h->name, cp->host.v))
            return h;
        names[n] = h->name;
    }
    conf_problem(problems, cp->host.mark,
        "providers." STR_FMT ".host: '" STR_FMT "' is not a host of this version; use " STR_FMT,
        STR_ARG(cp->id.v), STR_ARG(cp->host.v), STR_ARG(choices(problems->arena, names, n)));
    return usual;
}

/* Completes the provider's address as its host has it. */
static void
prepare_host(struct providers *all, struct provider *p, const struct conf_provider *cp,
    const struct cloud_place *place, struct conf_problems *problems)
{
    const struct host *host = p->address.host;
    const char *missing = NULL;
    struct str version = cp != NULL ? cp->api_version.v : S("");
    if (host->path.n != 0 && p->address.base_path.n == 0)
        p->address.base_path = clouds_fill(all->arena, host->path, place, &missing);
    if (missing != NULL)
        conf_problem(problems, cp != NULL ? cp->mark : (struct conf_mark){ 0, 0 },
            "providers." STR_FMT ": %s", STR_ARG(p->id), missing);
    p->address.region = place->region;
    if (p->region.n == 0)
        p->region = clouds_area(place->region);
    const char *unfit =
        host->prepare != NULL ? host->prepare(&p->address, version, all->arena) : NULL;

    if (host->prepare == NULL && version.n != 0)
        conf_problem(problems, cp->api_version.mark,
            "providers." STR_FMT ".api_version: the host '" STR_FMT "' has no versions; remove it",
            STR_ARG(p->id), STR_ARG(host->name));
    if (unfit != NULL)
        conf_problem(problems, cp != NULL ? cp->base_url.mark : (struct conf_mark){ 0, 0 },
            "providers." STR_FMT ".base_url: %s", STR_ARG(p->id), unfit);
}

/* Adds a provider to the table. `cp` is NULL for one from the environment. */
static struct provider *
provider_add(struct providers *all, struct str id, const struct wire *wire,
    const struct provider_row *row, struct str base_url, const struct conf_provider *cp,
    struct conf_problems *problems)
{
    struct conf_mark mark = cp != NULL ? cp->mark : (struct conf_mark){ 0, 0 };
    char why[256] = "";
    struct str path;
    struct provider *p = arena_new(all->arena, struct provider);
    const struct host *host = provider_host(cp, row, problems);
    const struct cloud_place place = clouds_place(cp, host->cloud, all->arena);
    const char *missing;

    base_url = clouds_fill(all->arena, base_url, &place, &missing);
    if (missing != NULL && cp == NULL)
        return NULL;    /* the environment has a key, and no region for it */
    if (missing != NULL) {
        conf_problem(problems, mark, "providers." STR_FMT ": %s", STR_ARG(id), missing);
        (void)map_put(all->broken, id, (void *)(uintptr_t)cp);
        return NULL;
    }
    bool https = str_istarts(base_url, S("https:"));
    struct tls_context *tls = https ? provider_tls(all, cp, WHY(why)) : NULL;
    bool tls_failed = https && tls == NULL;

    if (tls_failed)
        conf_problem(problems, mark, "providers." STR_FMT ": %s", STR_ARG(id), why);
    if (!https && cp != NULL && cp->client_cert.v.n != 0)
        conf_problem(problems, cp->client_cert.mark,
            "providers." STR_FMT ": a client_cert needs a base_url with https://", STR_ARG(id));
    p->id = id;
    p->number = all->count;
    p->wire = wire;
    p->row = row;
    p->origin = origin_create(base_url, tls, &path, WHY(why));
    if (p->origin != NULL && wire->provider->read_message != NULL) {
        p->session_origin = origin_create(base_url, tls, &path, WHY(why));
        origin_forbid_h2(p->session_origin);
    }
    tls_context_unref(tls);
    if (p->origin == NULL && !tls_failed)
        conf_problem(problems, mark, "providers." STR_FMT ".base_url: %s", STR_ARG(id), why);
    p->address.host = host;
    p->address.base_path = p->origin != NULL ? path : S("");
    if (row != NULL) {
        p->traits = row->traits;
        p->region = row->region;
        p->data = row->data;
    }
    if (p->origin != NULL)
        prepare_host(all, p, cp, &place, problems);
    p->fields = S("");
    all->list[all->count++] = p;
    (void)map_put(all->by_id, id, p);
    return p;
}

/* A known provider at its usual address requires a key; so does one whose address is always
 * configured. */
static bool
needs_key(const struct provider_row *row, const struct conf_provider *cp, bool misread)
{
    return !misread && row != NULL && row->env.n != 0 && cp != NULL &&
           (cp->base_url.v.n == 0 || row->base_url.n == 0) && cp->field_count == 0;
}

/* Whether a configured field says in whose name requests are made, such as a token in place of a
 * key. */
static bool
says_who(const struct conf_provider *cp)
{
    for (size_t i = 0; i < cp->field_count; i++)
        if (str_ieq(cp->fields[i].key.v, S("authorization")))
            return true;
    return false;
}

/* Does the configuration say in whose name, so that a key in the environment does not? */
static bool
names_identity(const struct conf *c, const struct conf_provider *cp)
{
    return cp != NULL && (cp->aws.profile.v.n != 0 || cp->aws.access_key_id.v.n != 0 ||
                             cp->aws.role_arn.v.n != 0 || cp->google.credentials.v.n != 0 ||
                             conf_is_given(c, &cp->entra));
}

static void
provider_identity(struct providers *all, struct provider *p, const struct conf_provider *cp,
    struct conf_problems *problems)
{
    const struct cloud_place place = { p->address.region, S("") };

    p->identity = clouds_identity(all->conf, cp, p->address.host->cloud, &place, problems);
    if (p->identity == NULL)
        return;
    if (p->address.host->cloud == HOST_AWS && place.region.n == 0)
        conf_problem(problems, cp != NULL ? cp->mark : (struct conf_mark){ 0, 0 },
            "providers." STR_FMT ": " CLOUDS_NO_REGION, STR_ARG(p->id));
    p->credentials[0] = S("");
    p->credential_names[0] = identity_settings(p->identity)->source->name;
    p->credential_count = 1;
}

/* Its key is the name of a secret that is kept elsewhere. False: it is not. */
static bool
provider_secret(struct providers *all, struct provider *p, const struct conf_provider *cp,
    struct conf_problems *problems)
{
    const struct conf_str *key = &cp->api_keys.list[0];
    bool kept = false;

    for (size_t i = 0; i < cp->api_keys.count; i++)
        kept = kept || clouds_is_secret(cp->api_keys.list[i].v);
    if (!kept)
        return false;
    if (cp->api_keys.count != 1) {
        conf_problem(problems, key->mark,
            "providers." STR_FMT
            ".api_key: a secret that is kept elsewhere is a provider's only key; write one of them",
            STR_ARG(p->id));
        return true;
    }
    p->identity = clouds_secret(all->conf, key->v, credential_field(p), key->mark, problems);
    p->credentials[0] = S("");
    p->credential_names[0] = key->v;
    p->credential_count = 1;
    return true;
}

/* Takes the configured keys, or the one in the environment. The latter has not been validated yet
 * and becomes part of a header field. */
static void
provider_keys(struct providers *all, struct provider *p, const struct conf_provider *cp,
    bool misread, struct conf_problems *problems)
{
    size_t n = cp != NULL ? cp->api_keys.count : 0;
    struct conf_mark mark = cp != NULL ? cp->mark : (struct conf_mark){ 0, 0 };
    struct str variable;
    bool given = cp != NULL && (cp->api_keys_set || says_who(cp));
    struct str env = !given && p->row != NULL ? provider_env_key(p->row, &variable) : S("");
    const char *why = env.n != 0 ? form_problem(all->arena, FORM_SECRET, env) : NULL;

    p->credentials = arena_array(all->arena, struct str, n + 1);
    p->credential_names = arena_array(all->arena, struct str, n + 1);
    if (!given && (env.n == 0 || names_identity(all->conf, cp)))
        provider_identity(all, p, cp, problems);
    if (p->identity != NULL || (n != 0 && provider_secret(all, p, cp, problems)))
        return;
    for (size_t i = 0; i < n; i++) {
        p->credential_names[i] = arena_printf(all->arena, STR_FMT "#%zu", STR_ARG(p->id), i + 1);
        p->credentials[p->credential_count++] =
            credential_line(all->arena, p, cp->api_keys.list[i].v);
    }
    if (why != NULL) {
        conf_problem(problems, mark, "providers." STR_FMT ": the environment's " STR_FMT " %s",
            STR_ARG(p->id), STR_ARG(variable), why);
    } else if (env.n != 0) {
        p->credential_names[p->credential_count] = arena_str(all->arena, variable);
        p->credentials[p->credential_count++] = credential_line(all->arena, p, env);
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

void
providers_read_traits(struct traits *traits, struct str object, struct conf_mark mark,
    struct str where, struct conf_problems *problems)
{
    struct arena *a = arena_create(TRAITS_BYTES_MAX);
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
    arena_destroy(a);
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

/* Where it is, and what it does with what it is sent. */
static void
provider_data(struct provider *p, const struct conf_provider *cp, struct conf_problems *problems)
{
    struct str keeps = cp->data.retention.v, trains = cp->data.training.v;
    uint64_t days = 0;

    if (cp->region.v.n != 0)
        p->region = cp->region.v;
    if (keeps.n != 0) {
        bool none = str_eq(keeps, S("none")), unknown = str_eq(keeps, S("unknown"));

        if (!none && !unknown &&
            (!str_ends(keeps, S("d")) || !str_u64(str_make(keeps.p, keeps.n - 1), &days) ||
                days == 0 || days > 36500))
            conf_problem(problems, cp->data.retention.mark,
                "providers." STR_FMT ".data.retention: write none, unknown, or days such as 30d",
                STR_ARG(p->id));
        p->data.keeps = none ? NO : unknown ? UNSAID : YES;
        p->data.keeps_days = (unsigned)days;
    }
    if (trains.n != 0) {
        if (!str_eq(trains, S("true")) && !str_eq(trains, S("false")) &&
            !str_eq(trains, S("unknown")))
            conf_problem(problems, cp->data.training.mark,
                "providers." STR_FMT ".data.training: write true, false or unknown",
                STR_ARG(p->id));
        p->data.training = str_eq(trains, S("true"))    ? YES
                           : str_eq(trains, S("false")) ? NO
                                                        : UNSAID;
    }
}

static void
provider_from_conf(struct providers *all, const struct conf *c, const struct conf_provider *cp,
    struct conf_problems *problems)
{
    const struct provider_row *row = provider_row(cp->id.v);
    bool misread = conf_is_faulty(c, cp);
    const struct wire *wire = provider_wire(cp, row, misread, problems);

    if (wire == NULL)
        (void)map_put(all->broken, cp->id.v, (void *)(uintptr_t)cp);
    if (cp->disabled || wire == NULL)
        return;
    struct str base_url = cp->base_url.v.n != 0 ? cp->base_url.v
                          : row != NULL         ? row->base_url
                                                : S("");
    if (base_url.n == 0 || conf_is_faulty(c, &cp->base_url)) {
        (void)map_put(all->broken, cp->id.v, (void *)(uintptr_t)cp);
        if (misread)
            return;
        conf_problem(problems, cp->mark,
            "providers." STR_FMT ": base_url is missing; write base_url: https://...",
            STR_ARG(cp->id.v));
        return;
    }
    struct provider *p = provider_add(all, cp->id.v, wire, row, base_url, cp, problems);
    if (p == NULL)
        return;
    provider_keys(all, p, cp, misread, problems);
    p->fields = field_lines(all->arena, cp);
    p->timeouts = conf_timeouts_over(c->timeouts, cp->timeouts);
    p->models = cp->models;
    p->adaptive = str_eq(cp->concurrency.v, S("adaptive"));
    p->probe_ms = cp->probe.every_ms;
    provider_quirks(p, cp, problems);
    provider_data(p, cp, problems);
    providers_read_traits(&p->traits, cp->traits, cp->mark,
        arena_printf(problems->arena, "providers." STR_FMT, STR_ARG(p->id)), problems);
}

static void
providers_from_environment(
    struct providers *all, const struct conf *c, struct conf_problems *problems)
{
    const struct provider_row *row;

    for (size_t i = 0; (row = provider_row_at(i)) != NULL; i++) {
        if (row->base_url.n == 0 || !provider_env_is_on(row))
            continue;
        struct provider *p =
            provider_add(all, row->id, row->wire, row, row->base_url, NULL, problems);
        if (p == NULL)
            continue;
        provider_keys(all, p, NULL, false, problems);
        p->timeouts = c->timeouts;
    }
}

static void
provider_simulated(
    struct providers *all, const struct conf *c, struct str url, struct conf_problems *problems)
{
    struct provider *p = provider_add(all, S("mock"), &wire_openai_chat, NULL, url, NULL, problems);

    p->credentials = arena_array(all->arena, struct str, 1);
    p->timeouts = c->timeouts;
    p->simulated = true;
    all->usual = p;
}

/* --- the set --- */

struct str
provider_stable_name(struct arena *a, const struct provider *p)
{
    return arena_printf(a, STR_FMT "\n" STR_FMT "://" STR_FMT STR_FMT STR_FMT, STR_ARG(p->id),
        STR_ARG(p->origin->scheme), STR_ARG(p->origin->host_header), STR_ARG(p->origin->unix_path),
        STR_ARG(p->address.base_path));
}

static const struct registry_kind turn_kind = { "turns of keys", sizeof(_Atomic uint32_t), NULL };

static void
choose_default(struct providers *all, const struct conf_str *id, struct conf_problems *problems)
{
    if (id->v.n == 0) {
        if (all->count == 1)
            all->usual = all->list[0];
        return;
    }
    all->usual = map_get(all->by_id, id->v);
    enum provider_state state = providers_state(all, id->v);
    if (state == PROVIDER_OFF || state == PROVIDER_UNKNOWN)
        conf_problem(problems, id->mark,
            "default_provider: no provider '" STR_FMT "' is configured", STR_ARG(id->v));
}

struct providers *
providers_create(const struct conf *c, struct str simulated_url, struct conf_problems *problems)
{
    struct providers *all = check_alloc(calloc(1, sizeof(*all)));
    size_t room = c->provider_count + 1;

    for (size_t i = 0; provider_row_at(i) != NULL; i++)
        room++;
    all->arena = arena_create(PROVIDERS_ARENA_BYTES);
    all->conf = c;
    all->list = arena_array(all->arena, struct provider *, room);
    all->by_id = map_create();
    all->broken = map_create();
    all->catalog = catalog_create(c, problems);

    for (size_t i = 0; i < c->provider_count; i++)
        provider_from_conf(all, c, &c->providers[i], problems);
    if (c->provider_count == 0)
        providers_from_environment(all, c, problems);
    if (c->provider_count == 0 && all->count == 0 && simulated_url.n != 0)
        provider_simulated(all, c, simulated_url, problems);

    for (size_t i = 0; i < all->count; i++) {
        struct provider *p = all->list[i];

        if (p->origin == NULL)
            continue;
        struct str name = provider_stable_name(all->arena, p);
        p->turn = registry_hold(&turn_kind, name);
        if (p->models.count == 0 && !p->simulated && p->identity == NULL &&
            !p->address.host->lists_nothing)
            p->offer = offer_hold(name);
    }
    choose_default(all, &c->default_provider, problems);
    return all;
}

void
providers_destroy(struct providers *all)
{
    if (all == NULL)
        return;
    for (size_t i = 0; i < all->count; i++) {
        origin_destroy(all->list[i]->origin);
        origin_destroy(all->list[i]->session_origin);
        offer_drop(all->list[i]->offer);
        registry_drop(all->list[i]->turn);
        identity_drop(all->list[i]->identity);
    }
    tls_context_unref(all->tls);
    catalog_destroy(all->catalog);
    map_destroy(all->by_id);
    map_destroy(all->broken);
    arena_destroy(all->arena);
    free(all);
}

struct provider *
providers_find(const struct providers *all, struct str id)
{
    struct provider *p = map_get(all->by_id, id);

    return p != NULL || !str_eq(id, S("gemini")) ? p : map_get(all->by_id, S("google"));
}

struct provider *
providers_at(const struct providers *all, size_t i)
{
    return i < all->count ? all->list[i] : NULL;
}

const struct catalog *
providers_catalog(const struct providers *all)
{
    return all->catalog;
}

struct provider *
providers_default(const struct providers *all)
{
    return all->usual;
}

bool
providers_simulated(const struct providers *all)
{
    return all->count == 1 && all->list[0]->simulated;
}

enum provider_state
providers_state(const struct providers *all, struct str id)
{
    if (map_get(all->by_id, id) != NULL)
        return PROVIDER_ACTIVE;
    for (size_t i = 0; i < all->conf->provider_count; i++)
        if (all->conf->providers[i].disabled && str_eq(all->conf->providers[i].id.v, id))
            return PROVIDER_DISABLED;
    if (map_get(all->broken, id) != NULL)
        return PROVIDER_BROKEN;
    return provider_row(id) != NULL ? PROVIDER_OFF : PROVIDER_UNKNOWN;
}

/* How to enable a known provider. */
static struct str
how_to_switch_on(const struct providers *all, struct arena *a, struct str id)
{
    const struct provider_row *row = provider_row(id);
    struct str left = row != NULL ? row->env : S(""), variable = S("");
    bool shared = true;

    if (providers_state(all, id) == PROVIDER_DISABLED)
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
    if (all->conf->provider_count == 0 && !shared)
        return arena_printf(a, "set " STR_FMT " where the gateway is started", STR_ARG(variable));
    return arena_printf(a, "write providers: {" STR_FMT ": {api_key: \"${" STR_FMT "}\"}}",
        STR_ARG(id), STR_ARG(variable));
}

struct str
providers_why(const struct providers *all, struct arena *a, struct str id)
{
    const struct provider *p = providers_find(all, id);
    struct str variable = S("");

    if (p == NULL)
        return how_to_switch_on(all, a, id);
    if (p->simulated)
        return S("built in: no other provider is on");
    if (all->conf->provider_count != 0)
        return S("in the configuration");
    (void)provider_env_key(p->row, &variable);
    return arena_printf(a, STR_FMT " is set", STR_ARG(variable));
}

size_t
provider_next_credential(const struct provider *p)
{
    if (p->credential_count < 2)
        return 0;
    return atomic_fetch_add_explicit(p->turn, 1, memory_order_relaxed) % p->credential_count;
}

void
providers_warnings(const struct providers *all, struct conf_problems *problems)
{
    const struct conf_str *usual = &all->conf->default_provider;

    if (all->count == 0)
        conf_warn(problems, (struct conf_mark){ 0, 0 },
            "no provider is switched on: every request for a model fails; write one under "
            "providers, with its key");
    if (usual->v.n != 0 && all->usual == NULL)
        conf_warn(problems, usual->mark,
            "default_provider: '" STR_FMT "' is disabled: what names no provider fails",
            STR_ARG(usual->v));
}

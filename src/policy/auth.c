/* auth.c - a small table from keyed hashes of keys to principals. */
#include "policy/auth.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/map.h"
#include "base/siphash.h"

#define TABLE_BYTES                                                                                \
    (16u * 1024 * 1024)    /* of what is made for the table, within a configuration's size */

struct auth_table {
    struct arena *arena;
    bool open;    /* no key is required */
    struct principal anonymous;
    struct principal *list;
    size_t count;
    struct siphash_key secret;    /* random, and never shown */
    struct map *by_hash;          /* SIPHASH_BYTES -> struct principal */
};

/* Looks a key up by its hash under the table's secret, so that timing reveals nothing about the
 * keys and nobody can search for a text that has the hash of one. SHA-256, which has to withstand
 * more, would take a twelfth of a request. */
static struct principal *
find_key(const struct auth_table *t, struct str text)
{
    uint8_t hash[SIPHASH_BYTES];

    if (text.n == 0 || t->count == 0)
        return NULL;
    siphash(&t->secret, text, hash);
    return map_get(t->by_hash, str_make((const char *)hash, sizeof(hash)));
}

static void
add_key(struct auth_table *t, struct str text, struct principal *p)
{
    uint8_t hash[SIPHASH_BYTES];

    siphash(&t->secret, text, hash);
    (void)map_put(t->by_hash, str_make((const char *)hash, sizeof(hash)), p);
}

const struct ask_tag *
auth_tags(struct arena *a, const struct conf_strs *texts)
{
    struct ask_tag *first = NULL, **tail = &first;

    for (size_t i = 0; i < texts->count; i++) {
        struct ask_tag *tag = arena_new(a, struct ask_tag);

        (void)str_cut(texts->list[i].v, '=', &tag->name, &tag->value);
        *tail = tag;
        tail = &tag->next;
    }
    return first;
}

size_t
auth_read_cidrs(struct arena *a, const struct conf_strs *texts, struct principal *p)
{
    struct cidr *list = arena_array(a, struct cidr, texts->count + 1);

    p->cidrs = list;
    for (size_t i = 0; i < texts->count; i++) {
        if (str_eq(texts->list[i].v, S("unix")))
            p->cidr_unix = true;
        else if (cidr_parse(texts->list[i].v, &list[p->cidr_count]))
            p->cidr_count++;
        else
            return i;
    }
    return texts->count;
}

/* What a key of the configuration says beside the key itself. */
static void
describe(struct auth_table *t, const struct conf_key *k, struct principal *p,
    struct conf_problems *problems)
{
    int64_t expires_ms = 0;

    p->name = k->name.v;
    p->key_id = arena_printf(t->arena, "file:" STR_FMT, STR_ARG(k->name.v));
    p->org = k->org.v;
    p->team = k->team.v;
    p->project = k->project.v;
    p->user = k->user.v;
    p->environment = k->environment.v;
    p->tags = auth_tags(t->arena, &k->tags);
    p->models = k->models;
    p->routes = k->routes;
    p->endpoints = k->endpoints;
    p->providers = k->providers;
    p->origins = k->origins;
    p->priority = priority_named(k->priority.v);
    p->concurrent = k->concurrent;
    p->explain = k->explain;
    size_t good = auth_read_cidrs(t->arena, &k->cidrs, p);
    if (good != k->cidrs.count)
        conf_problem(problems, k->cidrs.list[good].mark,
            "auth.keys.cidrs: '" STR_FMT
            "' is not a network; write one such as 10.0.0.0/8 (bits after the "
            "prefix are zero), an address, or unix",
            STR_ARG(k->cidrs.list[good].v));
    if (k->expires.v.n != 0 && (!clock_timestamp(k->expires.v, &expires_ms) || expires_ms <= 0))
        conf_problem(problems, k->expires.mark,
            "auth.keys.expires: write a time such as 2027-01-31T00:00:00Z");
    p->expires_ms = (uint64_t)expires_ms;
}

struct auth_table *
auth_create(const struct conf *c, struct conf_problems *problems)
{
    struct auth_table *t = check_alloc(calloc(1, sizeof(*t)));

    t->arena = arena_create(TABLE_BYTES);
    t->open = c->auth.mode != AUTH_KEYS;
    t->count = c->auth.key_count;
    t->list = check_alloc(calloc(t->count + 1, sizeof(*t->list)));
    t->secret = siphash_key_make();
    t->by_hash = map_create();
    t->anonymous.name = S("anonymous");
    t->anonymous.priority = PRIORITY_NORMAL;
    t->anonymous.explain = true;
    t->anonymous.shares = t->count != 0;
    t->anonymous.in_flight = in_flight_hold(S(""));

    for (size_t i = 0; i < t->count; i++) {
        const struct conf_key *k = &c->auth.keys[i];
        struct principal *p = &t->list[i];
        uint8_t hash[DIGEST_SHA256_BYTES];

        digest_sha256(k->key.v, hash);
        describe(t, k, p, problems);
        p->shares = t->count + t->open > 1;
        p->in_flight = in_flight_hold(str_make((const char *)hash, sizeof(hash)));
        digest_hex(hash, AUTH_HASH_HEX_BYTES / 2, p->hash_hex);
        if (find_key(t, k->key.v) != NULL)
            conf_problem(
                problems, k->mark, "auth.keys: two entries have the same key; give each its own");
        add_key(t, k->key.v, p);
    }
    return t;
}

void
auth_destroy(struct auth_table *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->count; i++)
        registry_drop(t->list[i].in_flight);
    registry_drop(t->anonymous.in_flight);
    free(t->list);
    map_destroy(t->by_hash);
    arena_destroy(t->arena);
    free(t);
}

struct str
auth_credential(const struct http_fields *fields)
{
    static const struct str names[] = { S_INIT("x-api-key"), S_INIT("api-key"),
        S_INIT("x-goog-api-key") };
    struct str bearer = http_field_get(fields, S("authorization"));

    if (str_istarts(bearer, S("bearer "))) {
        bearer = str_trim(str_skip(bearer, sizeof("bearer ") - 1));
        if (bearer.n != 0)
            return bearer;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct str value = http_field_get(fields, names[i]);
        if (value.n != 0)
            return value;
    }
    return (struct str){ NULL, 0 };
}

const struct principal *
auth_named(const struct auth_table *t, struct str name)
{
    if (name.n == 0 || str_eq(name, t->anonymous.name))
        return &t->anonymous;
    for (size_t i = 0; i < t->count; i++)
        if (str_eq(t->list[i].name, name))
            return &t->list[i];
    return NULL;
}

bool
auth_is_key(const struct auth_table *t, struct str text)
{
    return find_key(t, text) != NULL;
}

enum err
auth_identify(
    const struct auth_table *t, struct str credential, uint64_t wall_ms, struct principal **ret)
{
    *ret = find_key(t, credential);
    if (*ret != NULL && UNLIKELY(auth_is_expired(*ret, wall_ms)))
        *ret = NULL;
    if (*ret != NULL)
        return OK;
    if (!t->open)
        return ERR_AUTH;
    *ret = (struct principal *)&t->anonymous;
    return OK;
}

bool
auth_glob(struct str pattern, struct str text)
{
    size_t p = 0, s = 0, star = SIZE_MAX, resume = 0;

    /* Greedy, with one backtracking point: linear in practice, quadratic at worst, not recursive.
     * */
    while (s < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            resume = s;
        } else if (p < pattern.n && pattern.p[p] == text.p[s]) {
            p++;
            s++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            s = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

static bool
names_model(const struct conf_strs *list, struct str model)
{
    if (list->count == 0)
        return true;
    for (size_t i = 0; i < list->count; i++)
        if (auth_glob(list->list[i].v, model))
            return true;
    return false;
}

bool
auth_allows_model(const struct principal *p, struct str model)
{
    return names_model(&p->models, model) && names_model(&p->owner_models[0], model) &&
           names_model(&p->owner_models[1], model);
}

bool
auth_names_route(const struct principal *p, struct str id)
{
    for (size_t i = 0; i < p->routes.count && !p->stored; i++)
        if (str_eq(p->routes.list[i].v, id))
            return true;
    return false;
}

/* Is the route one of these: ids, paths, or "METHOD path", with globs? */
static bool
names_route(const struct conf_strs *list, struct str id, struct str method, struct str path)
{
    for (size_t i = 0; i < list->count; i++) {
        struct str route = list->list[i].v;
        struct str only_method, pattern;

        if (str_eq(route, id))
            return true;
        if (!str_cut(route, ' ', &only_method, &pattern))
            pattern = route;
        else if (!str_eq(only_method, method))
            continue;
        if (auth_glob(str_trim(pattern), path))
            return true;
    }
    return false;
}

bool
auth_allows_route(const struct principal *p, struct str id, struct str method, struct str path)
{
    if (p->routes.count == 0)
        return auth_allows_model(p, S(""));
    return names_route(&p->routes, id, method, path);
}

bool
auth_allows_endpoint(const struct principal *p, struct str id, struct str method, struct str path)
{
    return p->endpoints.count == 0 || names_route(&p->endpoints, id, method, path);
}

bool
auth_allows_provider(const struct principal *p, struct str provider)
{
    for (size_t i = 0; i < p->providers.count; i++)
        if (str_eq(p->providers.list[i].v, provider))
            return true;
    return p->providers.count == 0;
}

bool
auth_allows_address(const struct principal *p, struct str address)
{
    struct str plain, scope;
    struct address a;

    if (p->nowhere)
        return false;
    if (p->cidr_count == 0 && !p->cidr_unix)
        return true;
    if (str_eq(address, S("unix")))
        return p->cidr_unix;
    (void)str_cut(address, '%', &plain, &scope);
    if (!address_parse(plain, 0, &a))
        return false;
    for (size_t i = 0; i < p->cidr_count; i++)
        if (cidr_has(&p->cidrs[i], &a))
            return true;
    return false;
}

bool
auth_allows_origin(const struct principal *p, struct str origin)
{
    if (origin.n == 0 || p->origins.count == 0)
        return true;
    for (size_t i = 0; i < p->origins.count; i++)
        if (str_eq(p->origins.list[i].v, S("*")) || str_ieq(p->origins.list[i].v, origin))
            return true;
    return false;
}

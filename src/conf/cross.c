/* cross.c - checks that involve more than one setting. Checks that need other layers are in
 * gateway/snapshot.c. */
#include "conf/cross.h"

#include "base/map.h"
#include "conf/doubts.h"
#include "conf/form.h"
#include "conf/value.h"

static void
check_tls(const struct conf *c, struct conf_problems *problems)
{
    const struct conf_server *s = &c->server;

    if (conf_is_faulty(c, s) || (s->tls_cert.v.n != 0) == (s->tls_key.v.n != 0))
        return;
    if (s->tls_cert.v.n != 0)
        conf_problem(problems, s->tls_cert.mark,
            "'server.tls' has a cert and no key; write both, or neither");
    else
        conf_problem(problems, s->tls_key.mark,
            "'server.tls' has a key and no cert; write both, or neither");
}

/* Whether two listen addresses get in each other's way: the same one, or one of all interfaces and
 * one of them. "[::]" beside an IPv4 address takes IPv6 alone (conf_listens_v6_only()). Port 0 is a
 * new port each time. */
static bool
is_same_address(struct str a, struct str b)
{
    struct str a_host, a_port, b_host, b_port;

    if (!form_listen_parts(a, &a_host, &a_port) || !form_listen_parts(b, &b_host, &b_port))
        return str_eq(a, b);
    if (!str_eq(a_port, b_port) || str_eq(a_port, S("0")))
        return false;
    if (a_host.n == 0 || b_host.n == 0 || str_ieq(a_host, b_host))
        return true;
    if (str_starts(a_host, S("[")) != str_starts(b_host, S("[")))
        return false;
    return str_eq(a_host, S("[::]")) || str_eq(b_host, S("[::]")) || str_eq(a_host, S("0.0.0.0")) ||
           str_eq(b_host, S("0.0.0.0"));
}

bool
conf_listens_v6_only(const struct conf_server *s, struct str address)
{
    struct str host, port, other_host, other_port;

    if (!form_listen_parts(address, &host, &port) || !str_eq(host, S("[::]")))
        return false;
    for (size_t i = 0; i <= s->listen.count; i++) {
        struct str other = i < s->listen.count ? s->listen.list[i].v : s->admin_listen.v;

        if (form_listen_parts(other, &other_host, &other_port) && str_eq(port, other_port) &&
            !str_starts(other_host, S("[")))
            return true;
    }
    return false;
}

static void
check_listeners(const struct conf_server *s, struct conf_problems *problems)
{
    for (size_t i = 0; i < s->listen.count; i++) {
        struct conf_str address = s->listen.list[i];

        for (size_t j = 0; j < i; j++) {
            struct str other = s->listen.list[j].v;

            if (!is_same_address(other, address.v))
                continue;
            if (str_ieq(other, address.v))
                conf_problem(
                    problems, address.mark, "'server.listen' has this address twice; remove one");
            else
                conf_problem(problems, address.mark,
                    "'server.listen' has " STR_FMT " and " STR_FMT
                    ", and one includes the other; remove one, or write another port",
                    STR_ARG(other), STR_ARG(address.v));
            break;
        }
    }
    for (size_t i = 0; i < s->listen.count; i++) {
        struct str other = s->listen.list[i].v;

        if (s->admin_listen.v.n == 0 || !is_same_address(other, s->admin_listen.v))
            continue;
        if (str_ieq(other, s->admin_listen.v))
            conf_problem(problems, s->admin_listen.mark,
                "'server.admin_listen' is one of server.listen; write another port");
        else
            conf_problem(problems, s->admin_listen.mark,
                "'server.admin_listen' is " STR_FMT " and 'server.listen' has " STR_FMT
                ", and one includes the other; write another port",
                STR_ARG(s->admin_listen.v), STR_ARG(other));
        break;
    }
}

static void
check_admin_socket(const struct conf_server *s, struct conf_problems *problems)
{
    for (size_t i = 0; i <= s->listen.count; i++) {
        struct str other = i < s->listen.count ? s->listen.list[i].v : s->admin_listen.v;

        if (str_starts(other, S("unix:")) && str_eq(str_skip(other, 5), s->admin_socket.v))
            conf_problem(problems, s->admin_socket.mark,
                "'server.admin_socket' is also an address of '%s'; write another path",
                i < s->listen.count ? "server.listen" : "server.admin_listen");
    }
}

/* The first address that other machines can reach, or NULL. */
static const struct conf_str *
public_listener(const struct conf_server *s)
{
    for (size_t i = 0; i < s->listen.count; i++) {
        if (!form_is_local(s->listen.list[i].v))
            return &s->listen.list[i];
    }
    return NULL;
}

enum { KEY_BYTES_LEAST = 16 };

/* The gateway is never open to other machines by accident: without keys, either the mode `none` is
 * explicit or all addresses are local. */
static void
settle_auth_mode(struct conf *c, struct conf_problems *problems)
{
    struct conf_auth *auth = &c->auth;
    const struct conf_str *public = public_listener(&c->server);
    bool misread =
        conf_is_faulty(c, auth) || c->given.unknown;    /* the intended keys were not read */
    bool none = auth->key_count == 0 && auth->issuer_count == 0;

    if (auth->mode == AUTH_KEYS && none && !misread && str_eq(c->store.url.v, S("off")))
        conf_problem(problems, auth->mode_mark,
            "'auth.mode' is keys and there are none, nor a store that could have some; write keys: "
            "[{name: ci, key: \"${OPENCLAW_CI_KEY}\"}]");
    if (auth->pepper.v.n != 0 && auth->pepper.v.n < KEY_BYTES_LEAST)
        conf_problem(problems, auth->pepper.mark,
            "'auth.pepper' has fewer than %d characters and can be guessed; take one of openssl rand -hex 32",
            KEY_BYTES_LEAST);
    if (auth->mode != AUTH_DEFAULT)
        return;

    auth->mode_implied = true;
    auth->mode = !none || public != NULL ? AUTH_KEYS : AUTH_NONE;
    if (none && public != NULL && !misread)
        conf_problem(problems, public->mark,
            "'server.listen' can be reached from other machines, and no key is required; write auth: {keys: "
            "[{name: ci, key: \"${OPENCLAW_CI_KEY}\"}]}, or auth: {mode: keys} for keys of the store (`openclaw keys`), or auth: "
            "{mode: none} to serve everybody");
}

/* Without keys all callers are one, and the gateway is a person's own or guarded by others. */
static void
settle_defaults(struct conf *c)
{
    struct conf_server *s = &c->server;

    if (c->auth.mode != AUTH_NONE)
        return;
    if (s->limit_connections_per_address == CONF_CONNECTIONS_PER_ADDRESS)
        s->limit_connections_per_address = 0;
    if (s->limit_streams_per_key == CONF_STREAMS_PER_KEY)
        s->limit_streams_per_key = 0;
}

static void
check_key_names(const struct conf_auth *auth, struct conf_problems *problems)
{
    struct map *names = map_create();

    for (size_t i = 0; i < auth->key_count; i++) {
        struct conf_key *key = &auth->keys[i];

        if (key->name.v.n != 0 && map_put(names, key->name.v, key) != NULL)
            conf_problem(problems, key->name.mark,
                "'auth.keys[%zu].name' is already the name of another key; give each key its own",
                i);
    }
    map_destroy(names);
}

static bool
is_route_id(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && s.p[i] != '_')
            return false;
    return s.n != 0;
}

/* An entry of a key's routes that could not match any request. */
static const char *
route_problem(struct str entry)
{
    static const struct str methods[] = { S_INIT("GET"), S_INIT("HEAD"), S_INIT("POST"),
        S_INIT("PUT"), S_INIT("PATCH"), S_INIT("DELETE") };
    struct str method, pattern;
    bool known = false;

    if (!str_cut(entry, ' ', &method, &pattern)) {
        bool fits = is_route_id(entry) || str_starts(entry, S("/")) || str_starts(entry, S("*"));

        return fits ? NULL : "is neither the id of a route nor a path; a path starts with /";
    }
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        known = known || str_eq(method, methods[i]);
    pattern = str_trim(pattern);
    if (!known)
        return "does not start with a method; write GET, HEAD, POST, PUT, PATCH or DELETE before "
               "the path, or only the path";
    if (!str_starts(pattern, S("/")) && !str_starts(pattern, S("*")))
        return "has no path after its method; a path starts with /";
    return NULL;
}

static void
check_key_routes(const struct conf_auth *auth, struct conf_problems *problems)
{
    for (size_t i = 0; i < auth->key_count; i++) {
        const struct conf_strs *routes = &auth->keys[i].routes;

        for (size_t j = 0; j < routes->count; j++) {
            const char *problem = route_problem(routes->list[j].v);

            if (problem != NULL)
                conf_problem(problems, routes->list[j].mark, "'auth.keys[%zu].routes[%zu]' %s", i,
                    j, problem);
        }
    }
}

static void
check_providers(const struct conf *c, struct conf_problems *problems)
{
    for (size_t i = 0; i < c->provider_count; i++) {
        const struct conf_provider *p = &c->providers[i];

        if (p->tls_insecure && p->ca_file.v.n != 0)
            conf_problem(problems, p->ca_file.mark,
                "'providers." STR_FMT
                "' has a ca_file and tls_insecure, which ignores it; keep one of the two",
                STR_ARG(p->id.v));
        if (p->client_key.v.n != 0 && p->client_cert.v.n == 0 && !conf_is_faulty(c, p))
            conf_problem(problems, p->client_key.mark,
                "'providers." STR_FMT "' has a client_key without a client_cert; add it",
                STR_ARG(p->id.v));
    }
}

static bool
names_address(const struct conf_server *s, struct str address)
{
    for (size_t i = 0; i < s->listen.count; i++) {
        if (str_eq(s->listen.list[i].v, address))
            return true;
    }
    return false;
}

/* The first address that is open to other machines and not in the new file, or NULL. */
static const struct conf_str *
forgotten_listener(const struct conf_strs *open, const struct conf_server *next)
{
    for (size_t i = 0; i < open->count; i++) {
        if (!form_is_local(open->list[i].v) && !names_address(next, open->list[i].v))
            return &open->list[i];
    }
    return NULL;
}

void
conf_check_reload(const struct conf *now, const struct conf_strs *open, const struct conf *next,
    struct conf_problems *problems)
{
    const struct conf_mark file = { 0, 0 };
    const struct conf_given *had = &now->given, *has = &next->given;
    const struct conf_str *left_open = forgotten_listener(open, &next->server);

    if (had->anything && !has->anything) {
        conf_problem(problems, file,
            "has no settings left; write them again, or restart to run without any");
        return;
    }
    if ((had->auth || had->providers || had->models) && !has->auth && !has->providers &&
        !has->models)
        conf_problem(problems, file,
            "has lost 'auth', 'providers' and 'models': it looks cut short; write them again, or "
            "restart to run without them");
    if (next->auth.mode != AUTH_NONE)
        return;
    if (left_open != NULL)
        conf_problem(problems, next->server.listen.list[0].mark,
            "'server.listen' has moved, but " STR_FMT " stays open until the next start and would "
            "serve everybody without a key; keep auth.keys, or restart",
            STR_ARG(left_open->v));
    else if (now->auth.mode == AUTH_KEYS && next->auth.mode_implied)
        conf_problem(problems, file,
            "has lost its 'auth.keys', so that everybody who reaches the gateway would be served; "
            "write the keys again, or auth: {mode: none}");
}

/* --- warnings --- */

static void
doubt_auth(const struct conf_auth *auth, struct conf_problems *problems)
{
    if (auth->mode == AUTH_NONE && auth->key_count != 0)
        conf_warn(problems, auth->mode_mark,
            "'auth.mode' is none, so nobody is asked for one of 'auth.keys'; remove one of the two");
    if (auth->mode == AUTH_NONE && auth->issuer_count != 0)
        conf_warn(problems, auth->mode_mark,
            "'auth.mode' is none, so nobody is asked for a token of 'auth.issuers'; remove one of the two");
    for (size_t i = 0; i < auth->key_count; i++) {
        if (auth->keys[i].key.v.n < KEY_BYTES_LEAST)
            conf_warn(problems, auth->keys[i].key.mark,
                "'auth.keys[%zu].key' has fewer than %d characters and can be guessed; take one of "
                "openssl rand -base64 24",
                i, KEY_BYTES_LEAST);
    }
}

/* A clock of one level: its own setting, or what it inherits. */
struct clock {
    const char *name;
    size_t at;    /* in struct conf_timeouts */
};

static uint64_t
clock_ms(const struct conf_timeouts *const *levels, size_t count, size_t at,
    const struct conf_timeouts **ret_level)
{
    for (size_t i = count; i-- > 0;) {
        uint64_t ms = *(const uint64_t *)(const void *)((const char *)levels[i] + at);

        *ret_level = levels[i];
        if (ms != 0)
            return ms;
    }
    return 0;
}

/* Where timeouts are set: on a target, on a provider, or (neither) globally. */
struct owner {
    const struct conf_alias *alias;
    size_t target;
    const struct conf_provider *provider;
};

static struct str
owner_text(struct arena *a, struct owner o)
{
    if (o.alias != NULL)
        return arena_printf(
            a, "models." STR_FMT ".targets[%zu].", STR_ARG(o.alias->name.v), o.target);
    if (o.provider != NULL)
        return arena_printf(a, "providers." STR_FMT ".", STR_ARG(o.provider->id.v));
    return S("");
}

/* Warns of a timeout that was set and can never expire, because the total expires first. `levels`
 * are the settings that apply to one provider or target, the most specific last; pairs that do not
 * involve the last level were reported before. */
static void
doubt_clocks(const struct conf *c, const struct conf_timeouts *const *levels, size_t count,
    struct owner owner, struct conf_problems *problems)
{
    static const struct clock clocks[] = {
        { "dns", offsetof(struct conf_timeouts, dns_ms) },
        { "connect", offsetof(struct conf_timeouts, connect_ms) },
        { "first_byte", offsetof(struct conf_timeouts, first_byte_ms) },
        { "first_token", offsetof(struct conf_timeouts, first_token_ms) },
        { "between_tokens", offsetof(struct conf_timeouts, between_tokens_ms) },
    };
    const struct conf_timeouts *near = levels[count - 1], *from, *total_from;
    uint64_t total = clock_ms(levels, count, offsetof(struct conf_timeouts, total_ms), &total_from);

    for (size_t i = 0; i < ARRAY_LEN(clocks); i++) {
        uint64_t ms = clock_ms(levels, count, clocks[i].at, &from);
        const void *field = (const char *)from + clocks[i].at;

        if (ms <= total || !conf_is_given(c, field) || (from != near && total_from != near))
            continue;
        conf_warn(problems, conf_mark_of(c, from == near ? field : &near->total_ms),
            "'" STR_FMT "timeouts': %s is " STR_FMT ", and total ends the wait after " STR_FMT
            " already; make %s shorter or total longer",
            STR_ARG(owner_text(problems->arena, owner)), clocks[i].name,
            STR_ARG(value_duration_text(problems->arena, ms)),
            STR_ARG(value_duration_text(problems->arena, total)), clocks[i].name);
    }
}

static void
doubt_limits(const struct conf *c, struct conf_problems *problems)
{
    const struct conf_server *s = &c->server;
    struct arena *a = problems->arena;

    if (s->limit_held_bytes < s->limit_body_bytes && conf_is_given(c, &s->limit_held_bytes))
        conf_warn(problems, conf_mark_of(c, &s->limit_held_bytes),
            "'server.limits.held' is less than one body may have, and counts as " STR_FMT
            "; write more, or a smaller server.limits.body",
            STR_ARG(value_size_text(a, s->limit_body_bytes)));
}

static const struct conf_provider *
provider_of(const struct map *providers, struct str target)
{
    struct str id, model;

    return str_cut(target, '/', &id, &model) ? map_get(providers, id) : NULL;
}

static void
doubt_timeouts(const struct conf *c, struct conf_problems *problems)
{
    const struct conf_timeouts *levels[3] = { &c->timeouts };
    struct map *providers = map_create();

    doubt_clocks(c, levels, 1, (struct owner){ .alias = NULL }, problems);
    for (size_t i = 0; i < c->provider_count; i++) {
        struct conf_provider *p = &c->providers[i];

        levels[1] = &p->timeouts;
        (void)map_put(providers, p->id.v, p);
        doubt_clocks(c, levels, 2, (struct owner){ .provider = p }, problems);
    }
    for (size_t i = 0; i < c->model_count; i++) {
        for (size_t j = 0; j < c->models[i].target_count; j++) {
            const struct conf_target *t = &c->models[i].targets[j];
            const struct conf_provider *p = provider_of(providers, t->model.v);

            if (p == NULL)
                continue;
            levels[1] = &p->timeouts;
            levels[2] = &t->timeouts;
            doubt_clocks(
                c, levels, 3, (struct owner){ .alias = &c->models[i], .target = j }, problems);
        }
    }
    map_destroy(providers);
}

static void
doubt_provider_keys(const struct conf *c, struct conf_problems *problems)
{
    for (size_t i = 0; i < c->provider_count; i++) {
        const struct conf_strs *keys = &c->providers[i].api_keys;
        struct map *seen = map_create();

        for (size_t j = 0; j < keys->count; j++) {
            if (map_put(seen, keys->list[j].v, &keys->list[j]) != NULL)
                conf_warn(problems, keys->list[j].mark,
                    "'providers." STR_FMT ".api_key[%zu]' is there already; remove one of the two",
                    STR_ARG(c->providers[i].id.v), j);
        }
        map_destroy(seen);
    }
}

/* The URL of one route in the place of the base URL: every request would go to ROUTE/ROUTE. */
static void
doubt_base_urls(const struct conf *c, struct conf_problems *problems)
{
    static const struct str routes[] = { S_INIT("/chat/completions"), S_INIT("/completions"),
        S_INIT("/messages"), S_INIT("/responses"), S_INIT("/embeddings"), S_INIT("/models") };

    for (size_t i = 0; i < c->provider_count; i++) {
        const struct conf_str *url = &c->providers[i].base_url;
        struct str base = url->v;

        while (base.n != 0 && base.p[base.n - 1] == '/')
            base.n--;
        for (size_t j = 0; j < ARRAY_LEN(routes); j++) {
            if (!str_ends(base, routes[j]))
                continue;
            conf_warn(problems, url->mark,
                "'providers." STR_FMT ".base_url' ends in " STR_FMT
                ", which is added for each request; write " STR_FMT,
                STR_ARG(c->providers[i].id.v), STR_ARG(routes[j]),
                STR_ARG(str_make(base.p, base.n - routes[j].n)));
            break;
        }
    }
}

static void
check_faults(const struct conf *c, struct conf_problems *problems)
{
    for (size_t i = 0; i < c->chaos.fault_count; i++) {
        const struct conf_fault *f = &c->chaos.faults[i];

        if (f->kind == CHAOS_NOT && !conf_is_faulty(c, f))
            conf_problem(problems, f->mark,
                "'chaos.faults[%zu]' has no kind; write kind: delay, status, reset, cut or stall",
                i);
    }
}

void
cross_check(struct conf *c, struct conf_problems *problems)
{
    check_tls(c, problems);
    check_listeners(&c->server, problems);
    check_admin_socket(&c->server, problems);
    settle_auth_mode(c, problems);
    settle_defaults(c);
    check_key_names(&c->auth, problems);
    check_key_routes(&c->auth, problems);
    check_providers(c, problems);
    check_faults(c, problems);
    if (problems->count != 0)
        return;    /* warnings could be consequences of the errors */
    doubt_auth(&c->auth, problems);
    doubt_limits(c, problems);
    doubt_timeouts(c, problems);
    doubt_provider_keys(c, problems);
    doubt_base_urls(c, problems);
    doubts_resilience(c, problems);
}

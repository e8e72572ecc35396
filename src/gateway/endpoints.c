/* endpoints.c - the route table and the lookup in it. */
#include "gateway/endpoints.h"

#include "base/url.h"
#include "catalog/model.h"

#define V1 ENDPOINT_BASE
#define V1BETA "/v1beta"
#define V2 "/v2"
#define ROUTER ENDPOINT_ROUTER_BASE
#define TOP ""
#define LOCAL(function) .local = true
#define STAGES .local = false
#define STREAM .streams = true
const struct endpoint endpoints[ENDPOINT_COUNT] = {
#define ENDPOINT(id_, method_, base_, path_, wire_name, kind_, model_, op_, local_)                \
    [ENDPOINT_##id_] = { .id = #id_,                                                               \
        .method = S_INIT(method_),                                                                 \
        .path = S_INIT(base_ path_),                                                               \
        .base = sizeof(base_) - 1,                                                                 \
        .wire = &wire_##wire_name,                                                                 \
        .kind = ENDPOINT_IS_##kind_,                                                               \
        .model = MODEL_##model_,                                                                   \
        .op = (op_),                                                                               \
        .router = sizeof(base_) == sizeof(ENDPOINT_ROUTER_BASE),                                   \
        local_ },
#include "gateway/endpoints.def"
#undef ENDPOINT
    [ENDPOINT_none] = { .id = "none",
        .wire = &wire_openai_chat,
        .kind = ENDPOINT_IS_PASSED,
        .op = OP_RELAY },
};

const char *const endpoint_names[ENDPOINT_COUNT] = {
#define ENDPOINT(id, ...) #id,
#include "gateway/endpoints.def"
#undef ENDPOINT
    "none",
};

static bool
is_text(struct str a, struct str b, bool folded)
{
    return folded ? str_ieq(a, b) : str_eq(a, b);
}

/* Matches a path against a row's pattern. `folded` ignores case. */
static bool
path_matches(struct str pattern, struct str path, bool folded)
{
    size_t star = str_chr(pattern, '*');

    if (LIKELY(star == pattern.n))
        return is_text(pattern, path, folded);
    if (str_ends(pattern, S("/**"))) {
        star -= 1;
        if (path.n > star && path.p[star] != '/')
            return false;
        return path.n >= star && is_text(str_make(pattern.p, star), str_make(path.p, star), folded);
    }
    struct str end = str_skip(pattern, star + 1);
    return path.n > star + end.n &&
           is_text(str_make(pattern.p, star), str_make(path.p, star), folded) &&
           is_text(end, str_skip(path, path.n - end.n), folded);
}

/* Methods that may be passed through. TRACE may not: the provider would echo the request, with the
 * gateway's own credentials in it. */
static bool
is_passed_on(struct str method)
{
    static const struct str methods[] = { S_INIT("POST"), S_INIT("GET"), S_INIT("DELETE"),
        S_INIT("HEAD"), S_INIT("PUT"), S_INIT("PATCH") };

    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_eq(methods[i], method))
            return true;
    return false;
}

static bool
method_matches(struct str pattern, struct str method)
{
    if (str_eq(pattern, S("*")))
        return is_passed_on(method);
    return str_eq(pattern, method) || (str_eq(pattern, S("GET")) && str_eq(method, S("HEAD")));
}

/* The first row that matches both path and method. The first that matches the path but not the
 * method is stored in *ret_near. `below`: the caller may have left the base out; catch-all rows are
 * then ignored. */
static const struct endpoint *
find(struct str path, struct str method, bool below, const struct endpoint **ret_near)
{
    for (size_t i = 0; i < ENDPOINT_none; i++) {
        const struct endpoint *e = &endpoints[i];

        if (below && (e->base == 0 || e->router || e->model == MODEL_MAYBE))
            continue;
        if (!path_matches(below ? endpoint_below(e, e->path) : e->path, path, false))
            continue;
        if (method_matches(e->method, method))
            return e;
        if (*ret_near == NULL)
            *ret_near = e;
    }
    return NULL;
}

static bool
is_passed_through(const struct endpoint *e)
{
    return e->op == OP_RELAY && !e->local;
}

/* Does the path differ from an earlier row's in case only? A provider that ignores case would serve
 * it as that row's request, although we pass it through without handling it. */
static bool
is_row_in_other_case(struct str path, const struct endpoint *found)
{
    for (const struct endpoint *e = endpoints; e != found; e++)
        if (path_matches(e->path, path, true) && !path_matches(e->path, path, false))
            return true;
    return false;
}

struct str
endpoint_path(struct str path)
{
    while (str_starts(path, S(ENDPOINT_BASE ENDPOINT_BASE "/")))
        path = str_skip(path, sizeof(ENDPOINT_BASE) - 1);
    return path;
}

struct str
endpoint_lacks(const struct endpoint *e, struct str path)
{
    struct str base = str_make(e->path.p, e->base);
    bool whole = e->base == 0 || e->router ||
                 (str_starts(path, base) && path.n > base.n && path.p[base.n] == '/');

    return whole ? S("") : base;
}

struct str
endpoint_star(const struct endpoint *e, struct str path)
{
    size_t star = str_chr(e->path, '*');

    return str_make(path.p + star, path.n - (e->path.n - 1));
}

bool
endpoint_read_path(
    const struct endpoint *e, struct str path, struct str query, struct llm_request *r)
{
    const struct wire_caller *caller = r->wire->caller;

    r->route = e->path;
    if (caller->framing != NULL)
        r->framing = caller->framing(query);
    if (!caller->in_path)
        return true;
    r->stream = e->streams;
    if (e->model == MODEL_PATH)
        r->model = url_decode(r->arena, endpoint_star(e, path));
    return r->model.n != 0 && r->model.n <= MODEL_BYTES;
}

const struct endpoint *
endpoint_find(struct str method, const struct http_path *path, enum err *ret_error)
{
    const struct endpoint *near = NULL;    /* matches the path but not the method */
    const struct endpoint *e = find(path->text, method, false, &near);

    if (e != NULL && near != NULL && !is_passed_through(near))
        e = NULL;    /* a route we handle does not fall through to the catch-all */
    if (e == NULL && near == NULL)
        e = find(path->text, method, true, &near);
    if (e != NULL && is_passed_through(e)) {
        *ret_error = path->has_delimiter                   ? ERR_BAD_REQUEST
                     : is_row_in_other_case(path->text, e) ? ERR_NO_ROUTE
                                                           : OK;
        return e;
    }
    if (e != NULL) {
        *ret_error = OK;
        return e;
    }
    *ret_error = near != NULL ? ERR_METHOD : ERR_NO_ROUTE;
    return near != NULL ? near : &endpoints[ENDPOINT_none];
}

struct str
endpoint_methods(const struct endpoint *e)
{
    if (str_eq(e->method, S("*")))
        return S("GET, HEAD, POST, PUT, PATCH, DELETE");
    return str_eq(e->method, S("GET")) ? S("GET, HEAD") : e->method;
}

/* Does the request say that it speaks this protocol? */
static bool
is_spoken(const struct wire_caller *caller, const struct endpoint *e, const struct http_head *head)
{
    if (caller == NULL || caller->version_field.n == 0)
        return false;
    struct str value = http_field_get(&head->fields, caller->version_field);

    if (caller->version_word.n == 0)
        return value.n != 0;
    return (e->local || e->op != OP_RELAY) && str_find(value, caller->version_word) != value.n;
}

const struct wire *
endpoint_wire(const struct endpoint *e, const struct http_head *head)
{
    bool shared = e->op == OP_RELAY && endpoint_needs_key(e);
    const struct wire *dialect = e->router ? NULL : e->wire->dialect;
    const struct wire *wire;

    for (size_t i = 0; shared && (wire = wire_at(i)) != NULL; i++)
        if (is_spoken(wire->caller, e, head))
            return wire;
    if (dialect == NULL || !is_spoken(dialect->caller, e, head))
        return e->wire;
    return shared || e->op == OP_CHAT || dialect->caller->asks[e->op] != NULL ? dialect : e->wire;
}

/* --- the routes that a key names --- */

void
endpoint_check_keys(const struct conf_auth *auth, struct conf_problems *problems)
{
    struct str ids[ENDPOINT_COUNT];
    size_t n = 0;

    for (size_t i = 0; i < ENDPOINT_none; i++)
        if (endpoint_needs_key(&endpoints[i]) || endpoints[i].kind == ENDPOINT_IS_CONTROL)
            ids[n++] = str_c(endpoints[i].id);
    for (size_t k = 0; k < auth->key_count; k++) {
        for (size_t i = 0; i < auth->keys[k].routes.count; i++) {
            const struct conf_str *route = &auth->keys[k].routes.list[i];
            bool known =
                str_chr(route->v, '*') != route->v.n || str_chr(route->v, '/') != route->v.n;

            for (size_t j = 0; j < n; j++)
                known = known || str_eq(ids[j], route->v);
            if (known)
                continue;
            struct str near = conf_closest(route->v, ids, n);
            conf_problem(problems, route->mark,
                "auth.keys[%zu].routes: there is no route '" STR_FMT "'; %s" STR_FMT "%s", k,
                STR_ARG(route->v), near.n != 0 ? "did you mean '" : "", STR_ARG(near),
                near.n != 0 ? "'?" : "write an id, or a path like /v1/files/*");
        }
    }
}

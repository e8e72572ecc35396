/* query.c - keeps API keys out of the paths and queries that providers get. */
#include "gateway/query.h"

#include "base/url.h"

/* Parameters in which clients send API keys. */
static const struct str credential_names[] = {
    S_INIT("key"),
    S_INIT("api_key"),
    S_INIT("api-key"),
    S_INIT("apikey"),
    S_INIT("x-api-key"),
    S_INIT("x-goog-api-key"),
    S_INIT("access_token"),
    S_INIT("auth_token"),
    S_INIT("authorization"),
    S_INIT("subscription-key"),
};

/* `text` with its percent-encoding undone, or as it is when that is malformed. */
static struct str
plain_text(struct exchange *x, struct str text)
{
    struct str plain = url_decode(x->arena, text);

    return plain.p != NULL ? plain : text;
}

/* Is it a key of this gateway? */
static bool
is_key(const struct exchange *x, struct str text)
{
    struct callers *callers = x->worker->callers;

    return auth_is_key(x->hold->snapshot->auth, text) ||
           (callers != NULL && callers_know(callers, text));
}

bool
query_path_has_key(struct exchange *x)
{
    struct str segment;

    for (struct str rest = x->path.text; rest.n != 0;) {
        (void)str_cut(rest, '/', &segment, &rest);
        if (segment.n >= KEY_LEAST_BYTES && is_key(x, plain_text(x, segment)))
            return true;
    }
    return false;
}

static bool
is_credential(struct exchange *x, struct str parameter)
{
    struct str name, value;

    if (!str_cut(parameter, '=', &name, &value))
        value = name;
    name = plain_text(x, name);
    value = plain_text(x, value);
    for (size_t i = 0; i < ARRAY_LEN(credential_names); i++)
        if (str_ieq(name, credential_names[i]))
            return true;
    if (str_istarts(value, S("Bearer ")) || str_istarts(value, S("Bearer+")))
        value = str_skip(value, sizeof("Bearer ") - 1);
    return value.n >= KEY_LEAST_BYTES && is_key(x, value);
}

/* Begins the subprotocol in which a browser, which cannot set fields, sends its key with a WebSocket. */
#define QUERY_KEY_SUBPROTOCOL "openai-insecure-api-key."

static struct str
key_of_subprotocol(struct str offered)
{
    struct str one;

    while (offered.n != 0) {
        (void)str_cut(offered, ',', &one, &offered);
        one = str_trim(one);
        if (str_istarts(one, S(QUERY_KEY_SUBPROTOCOL)))
            return str_skip(one, sizeof(QUERY_KEY_SUBPROTOCOL) - 1);
    }
    return S("");
}

bool
query_subprotocol_has_key(struct exchange *x, struct str subprotocol)
{
    return str_istarts(subprotocol, S(QUERY_KEY_SUBPROTOCOL)) || is_key(x, subprotocol);
}

struct str
query_caller_key(struct exchange *x)
{
    struct str key = auth_credential(&server_head(x->q)->fields);
    struct str wanted = x->wire->caller->key_parameter;

    if (LIKELY(key.n != 0))
        return key;
    key =
        key_of_subprotocol(http_field_get(&server_head(x->q)->fields, S("sec-websocket-protocol")));
    if (key.n != 0 || wanted.n == 0)
        return key;
    for (struct str left = server_head(x->q)->query, parameter; left.n != 0;) {
        struct str name, value;

        (void)str_cut(left, '&', &parameter, &left);
        if (str_cut(parameter, '=', &name, &value) && str_eq(name, wanted))
            return plain_text(x, value);
    }
    return key;
}

static struct str
without_credentials(struct exchange *x, struct str query)
{
    char *out = arena_try(x->arena, query.n);
    size_t n = 0;

    if (out == NULL)
        return S("");
    while (query.n != 0) {
        size_t length = MIN(str_chr(query, '&'), str_chr(query, ';'));
        bool drop = is_credential(x, str_make(query.p, length));
        size_t taken = MIN(length + 1, query.n);    /* with its separator */

        if (!drop) {
            memcpy(out + n, query.p, taken);
            n += taken;
        }
        query = str_skip(query, taken);
    }
    if (n != 0 && (out[n - 1] == '&' || out[n - 1] == ';'))
        n--;
    return str_make(out, n);
}

struct str
query_passed(struct exchange *x)
{
    struct str query = server_head(x->q)->query;

    if (query.n == 0)
        return query;
    if (x->endpoint->model != MODEL_BODY && x->endpoint->model != MODEL_FORM)
        return without_credentials(x, query);
    struct str plain = url_decode(x->request->llm.arena, query);
    for (size_t i = 0; i < plain.n; i++)
        if (str_istarts(str_skip(plain, i), S("model")))
            return S("");
    return plain.n != 0 ? without_credentials(x, query) : S("");
}

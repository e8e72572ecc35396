/* host.c - the platforms, and how a request's path is put together. */
#include "catalog/host.h"

#include "base/json.h"
#include "base/url.h"

/* --- direct --- */

const struct host host_direct = { .name = S_INIT("direct") };

/* --- Azure OpenAI --- */

/* Its resource serves two kinds of URLs. The newer is that of OpenAI, "/openai/v1", and needs no
 * version; the model of a request is a deployment's name. In the older, each request names a dated
 * version, and the path the deployment of those routes that a model answers:
 * "/openai/deployments/NAME/chat/completions?api-version=2024-10-21". A base path ends in "/v1"
 * with the first kind only. */
static bool
names_deployment(const struct host_address *at)
{
    return !str_ends(at->base_path, S("/v1"));
}

/* The query that names the version; empty for none. */
static struct str
version_query(struct str version, struct arena *a)
{
    return version.n != 0 ? arena_printf(a, "api-version=" STR_FMT, STR_ARG(version)) : S("");
}

static const char *
azure_prepare(struct host_address *at, struct str version, struct arena *a)
{
    struct str path = at->base_path;
    bool dated = version.n != 0 && str_is_digit(version.p[0]);

    if (str_find(path, S("/deployments")) != path.n)
        return "ends with a deployment; end it before '/deployments', and name the deployment as the "
               "model";
    if (str_ends(path, S("/openai")))
        path.n -= S("/openai").n;
    if (!str_ends(path, S("/v1")))
        path = arena_printf(a, STR_FMT "%s", STR_ARG(path), dated ? "/openai" : "/openai/v1");
    at->base_path = path;
    at->query = version_query(version, a);
    return NULL;
}

/* The routes that are answered by a deployment: those of the request forms that we write ourselves,
 * and of the passed-through ones audio and images. Responses, files, batches and the rest belong to
 * the resource. */
static bool
is_deployed(const struct wire *wire, const struct llm_request *r)
{
    bool plain = wire->beside == NULL || wire->provider == wire->beside->provider;

    return (r->op != OP_RELAY && plain) || str_starts(r->path, S("/audio/")) ||
           str_starts(r->path, S("/images/"));
}

/* Names in a path have no slashes. A server on the way could take a name with one, or one of dots,
 * for another path than the one that was allowed. */
static bool
is_segment(struct str name)
{
    return name.n != 0 && !str_eq(name, S(".")) && !str_eq(name, S("..")) &&
           str_chr(name, '/') == name.n && str_chr(name, '\\') == name.n;
}

static bool
azure_write_prefix(struct buf *out, const struct host_address *at, const struct wire *wire,
    const struct llm_request *r, const struct wire_target *t)
{
    struct str name = t->model;

    if (!names_deployment(at) || !is_deployed(wire, r) || name.n == 0)
        return true;
    if (!is_segment(name))
        return false;
    buf_add(out, S("/deployments/"));
    url_add_segment(out, name);
    return true;
}

const struct host host_azure = {
    .name = S_INIT("azure"),
    .cloud = HOST_AZURE,
    .key = S_INIT("api-key: "),
    .maker = S_INIT("openai"),
    .lists_nothing = true,
    .prepare = azure_prepare,
    .write_prefix = azure_write_prefix,
};

/* --- Microsoft Foundry's models of other makers --- */

static const char *
azure_ai_prepare(struct host_address *at, struct str version, struct arena *a)
{
    at->query = version_query(version.n != 0 ? version : S("2024-05-01-preview"), a);
    return NULL;
}

const struct host host_azure_ai = {
    .name = S_INIT("azure-ai"),
    .cloud = HOST_AZURE,
    .key = S_INIT("api-key: "),
    .lists_nothing = true,
    .prepare = azure_ai_prepare,
};

/* --- Amazon Bedrock --- */

/* Its own protocols (Converse). */
const struct host host_bedrock = {
    .name = S_INIT("bedrock"),
    .cloud = HOST_AWS,
    .service = S_INIT("bedrock"),
    .key = S_INIT("Authorization: Bearer "),
    .lists_nothing = true,
};

/* The protocols of OpenAI and Anthropic. */
const struct host host_bedrock_mantle = {
    .name = S_INIT("bedrock-mantle"),
    .cloud = HOST_AWS,
    .service = S_INIT("bedrock-mantle"),
    .key = S_INIT("Authorization: Bearer "),
};

/* --- Google's Vertex AI --- */

#define VERTEX_PLACE "/v1/projects/{project}/locations/{region}"

const struct host host_vertex = {
    .name = S_INIT("vertex"),
    .cloud = HOST_GOOGLE,
    .path = S_INIT(VERTEX_PLACE "/publishers/google"),
    .key = S_INIT("Authorization: Bearer "),
    .maker = S_INIT("google"),
    .lists_nothing = true,
};

/* Other makers' models, which name themselves "maker/model". */
const struct host host_vertex_openai = {
    .name = S_INIT("vertex-openai"),
    .cloud = HOST_GOOGLE,
    .path = S_INIT(VERTEX_PLACE "/endpoints/openapi"),
    .key = S_INIT("Authorization: Bearer "),
    .lists_nothing = true,
};

/* Anthropic's protocol, with the model in the path and the protocol's version in the body. */
#define VERTEX_VERSION "\"anthropic_version\":\"vertex-2023-10-16\""

static bool
vertex_anthropic_write_path(
    struct buf *out, const struct llm_request *r, const struct wire_target *t)
{
    if (r->op == OP_COUNT_TOKENS) {
        buf_add(out, S("/models/count-tokens:rawPredict"));
        return true;
    }
    buf_add(out, S("/models/"));
    url_add_segment(out, t->model);
    buf_add(out, r->stream ? S(":streamRawPredict") : S(":rawPredict"));
    return is_segment(t->model);
}

/* The member "model" goes; tokens are counted at a path that names none. */
static void
vertex_anthropic_edit_body(
    const struct llm_request *r, const struct json *doc, struct str body, struct wire_edits *edits)
{
    const char *before = NULL;    /* the end of the member before */
    bool has_version = json_get(doc, S("anthropic_version")) != NULL;
    struct str version = json_count(doc) > 1 ? S(VERTEX_VERSION ",") : S(VERTEX_VERSION);
    struct json_iter it = json_iter(doc);

    if (!json_is(doc, JSON_OBJECT))
        return;
    if (!has_version && r->op == OP_COUNT_TOKENS && json_count(doc) == 1)
        version = S(VERTEX_VERSION ",");
    if (!has_version)
        (void)wire_edit_add(edits, (size_t)(doc->p + 1 - body.p), 0, version);
    while (r->op != OP_COUNT_TOKENS && json_next(&it)) {
        const char *end = it.value->p + it.value->n;
        const char *next = it.next != it.end ? it.next->p : end;

        if (json_str_is(it.key, S("model")))
            (void)wire_edit_add(edits, (size_t)((before != NULL ? before : it.key->p) - body.p),
                (size_t)(before != NULL ? end - before : next - it.key->p), S(""));
        before = end;
    }
}

const struct host host_vertex_anthropic = {
    .name = S_INIT("vertex-anthropic"),
    .cloud = HOST_GOOGLE,
    .path = S_INIT(VERTEX_PLACE "/publishers/anthropic"),
    .key = S_INIT("Authorization: Bearer "),
    .maker = S_INIT("anthropic"),
    .lists_nothing = true,
    .write_path = vertex_anthropic_write_path,
    .edit_body = vertex_anthropic_edit_body,
};

/* --- all of them --- */

static const struct host *const hosts[] = {
#define HOST(id) &host_##id,
#include "catalog/hosts.def"
#undef HOST
};

const struct host *
host_at(size_t i)
{
    return i < ARRAY_LEN(hosts) ? hosts[i] : NULL;
}

/* The path of a route that names the model in its query, with the provider's name for it. */
static void
add_path_with_model(struct buf *out, const struct llm_request *r, struct str model)
{
    size_t before = (size_t)(r->path_model.p - r->path.p);

    buf_add(out, str_make(r->path.p, before));
    url_add_segment(out, model);
    buf_add(out, str_skip(r->path, before + r->path_model.n));
}

/* Puts the host's own parameter into the path that begins at `from`. The caller's of that name go,
 * however a server may read the query: with other separators, encoded or in another case. */
static void
add_own_query(struct buf *out, size_t from, struct str own, struct arena *a)
{
    struct str text = str_skip(buf_str(out), from);
    size_t path_bytes = str_chr(text, '?');
    struct str left = arena_str(a, str_skip(text, path_bytes)), name, value;
    char separator = '&';

    (void)str_cut(own, '=', &name, &value);
    buf_truncate(out, from + path_bytes);
    buf_add_c(out, '?');
    buf_add(out, own);
    for (left = str_skip(left, 1); left.n != 0;) {
        struct str parameter = str_make(left.p, MIN(str_chr(left, '&'), str_chr(left, ';')));
        char end = parameter.n < left.n ? left.p[parameter.n] : '&';
        struct str named = str_make(parameter.p, str_chr(parameter, '='));

        left = str_skip(left, MIN(parameter.n + 1, left.n));
        if (str_ieq(url_decode(a, named), name)) {
            separator = '&';
            continue;
        }
        buf_add_c(out, separator);
        buf_add(out, parameter);
        separator = end;
    }
}

bool
host_write_path(struct buf *out, const struct host_address *at, const struct wire *wire,
    const struct llm_request *r, const struct wire_target *t, struct str query)
{
    size_t from = buf_len(out);

    buf_add(out, at->base_path);
    if (at->host->write_prefix != NULL && !at->host->write_prefix(out, at, wire, r, t))
        return false;
    if (r->path_model.n != 0 && t->model.n != 0) {
        add_path_with_model(out, r, t->model);
    } else if (at->host->write_path != NULL && r->op != OP_RELAY) {
        if (!at->host->write_path(out, r, t))
            return false;
    } else {
        wire->provider->write_path(out, r, t);
    }
    struct str path = str_skip(buf_str(out), from);
    struct str own = str_skip(path, str_chr(path, '?'));    /* the wire's */
    if (query.n != 0 && own.n != 0)
        own = arena_str(r->arena, str_skip(own, 1));
    if (query.n != 0) {
        buf_truncate(out, from + str_chr(path, '?'));
        buf_add_c(out, '?');
        buf_add(out, query);
        if (own.n != 0)
            add_own_query(out, from, own, r->arena);
    }
    if (at->query.n != 0)
        add_own_query(out, from, at->query, r->arena);
    return true;
}

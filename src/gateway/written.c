/* written.c - the request as one target gets it: its path, header fields and body. */
#include "gateway/written.h"

#include "base/clock.h"
#include "base/url.h"
#include "gateway/exchange.h"
#include "gateway/overrides.h"
#include "gateway/query.h"
#include "gateway/thoughts.h"
#include "llm/wishes.h"
#include "llm/write.h"

#define BODY_LIMIT_BYTES (128u * 1024 * 1024)
#define FIELDS_LIMIT_BYTES (256u * 1024)
#define BODY_GROWTH_BYTES 256u    /* by which most translations are longer at most */

/* A field of the client that goes to the provider; empty if it is missing, or contains the client's
 * own API key. */
static struct str
own_field(struct exchange *x, struct str name)
{
    const struct http_fields *fields = &server_head(x->q)->fields;
    struct str value = http_field_get(fields, name);
    bool checked = value.n >= KEY_LEAST_BYTES && exchange_conf(x)->auth.mode != AUTH_NONE;
    struct str key = checked ? query_caller_key(x) : S("");

    return key.n < KEY_LEAST_BYTES || str_find(value, key) == value.n ? value : S("");
}

static void
add_forwarded(struct exchange *x, const struct wire *wire, struct buf *out, bool *ret_own_version)
{
    for (const char *const *name = wire->provider->forward; name != NULL && *name != NULL; name++) {
        struct str value = own_field(x, str_c(*name));
        if (value.n == 0)
            continue;
        http_add_field(out, str_c(*name), value);
        if (str_istarts(wire->provider->fields, str_c(*name)))
            *ret_own_version = true;
    }
}

static void
add_given(struct exchange *x, struct str name, struct buf *out)
{
    struct str value = own_field(x, name);

    if (value.n != 0)
        http_add_field(out, name, value);
}

/* The subprotocols that the caller offers, but for the one in which a browser sends its key. */
static void
add_subprotocols(struct exchange *x, struct buf *out)
{
    struct str left = http_field_get(&server_head(x->q)->fields, S("sec-websocket-protocol"));
    struct str one;
    bool first = true;

    while (left.n != 0) {
        (void)str_cut(left, ',', &one, &left);
        one = str_trim(one);
        if (one.n == 0 || query_subprotocol_has_key(x, one))
            continue;
        buf_add(out, first ? S("Sec-WebSocket-Protocol: ") : S(", "));
        buf_add(out, one);
        first = false;
    }
    if (!first)
        buf_add(out, S("\r\n"));
}

/* What asks to leave HTTP (RFC 6455, section 4.1). Extensions are not offered: compressed messages
 * could not be read. */
static void
add_handshake(struct exchange *x, struct buf *out)
{
    buf_add(out, S("Connection: Upgrade\r\nUpgrade: websocket\r\n"));
    add_given(x, S("Sec-WebSocket-Key"), out);
    add_given(x, S("Sec-WebSocket-Version"), out);
    add_subprotocols(x, out);
}

/* What asks for a part of a resource, or for it under a condition. */
static const struct str resource_fields[] = {
    S_INIT("Range"),
    S_INIT("If-Range"),
    S_INIT("If-Match"),
    S_INIT("If-None-Match"),
    S_INIT("If-Modified-Since"),
    S_INIT("If-Unmodified-Since"),
};

/* The header fields of the upstream request. Only the client's fields that are named here are
 * forwarded. */
static struct str
request_fields(struct written *w, struct exchange *x, bool same_wire)
{
    struct provider *p = w->target->provider;
    const struct llm_request *r = &w->request->llm;
    struct buf *out = &x->worker->text;
    bool own_version = false;

    CHECK(buf_len(out) == 0);
    if (r->op == OP_RELAY) {
        struct str type = own_field(x, S("content-type"));
        struct str accept = own_field(x, S("accept"));
        if (type.n != 0)
            http_add_field(out, S("Content-Type"), type);
        http_add_field(out, S("Accept"), accept.n != 0 ? accept : S("*/*"));
        for (size_t i = 0; i < ARRAY_LEN(resource_fields); i++)
            add_given(x, resource_fields[i], out);
        if (UNLIKELY(x->session))
            add_handshake(x, out);
    } else {
        buf_add(out, S("Content-Type: application/json\r\n"));
        http_add_field(
            out, S("Accept"), r->stream ? w->wire->framing->type : S("application/json"));
    }
    buf_add(out, S("User-Agent: openclaw\r\n"));
    if (p->credential_count != 0)
        buf_add(out, p->credentials[w->credential]);
    if (same_wire)
        add_forwarded(x, w->wire, out, &own_version);
    if (!own_version)
        buf_add(out, w->wire->provider->fields);
    buf_add(out, p->fields);
    http_add_field(out, S("traceparent"), str_make(x->trace.parent, TRACE_PARENT_BYTES));
    if (x->trace.state.n != 0 && own_field(x, S("tracestate")).n != 0)
        http_add_field(out, S("tracestate"), x->trace.state);
    struct str s = arena_str(r->arena, buf_str(out));
    buf_reset(out, SIZE_MAX);
    return s;
}

/* What the configuration sets in the request, whatever the caller says. */
static struct overrides
overrides_of(const struct written *w)
{
    const struct target *t = w->target;
    const struct rule_result *ruling = w->ruling;

    return (struct overrides){
        .params = t->params,
        .rules = ruling != NULL ? ruling->matched : NULL,
        .rule_count = ruling != NULL ? ruling->matched_count : 0,
        .wire = w->wire,
        .target = &t->wire,
        .op = w->request->llm.op,
    };
}

/* The edited body as slices; flattened when there are too many. */
static enum err
set_body(struct written *w, struct str body, const struct wire_edits *edits)
{
    struct client_request *q = &w->q;
    UNINITIALIZED struct str pieces[2 * WIRE_EDITS + 1];
    size_t n = wire_edits_apply(edits, body, pieces);

    if (n > CLIENT_BODY_PIECES) {
        size_t total = 0, at = 0;

        for (size_t i = 0; i < n; i++)
            total += pieces[i].n;
        char *flat = arena_try(w->request->llm.arena, total);
        if (flat == NULL)
            return ERR_NO_MEMORY;
        for (size_t i = 0; i < n; i++) {
            memcpy(flat + at, pieces[i].p, pieces[i].n);
            at += pieces[i].n;
        }
        pieces[0] = str_make(flat, total);
        n = 1;
    }
    struct str *list = arena_try(w->request->llm.arena, n * sizeof(*list));
    if (list == NULL)
        return ERR_NO_MEMORY;
    memcpy(list, pieces, n * sizeof(*list));
    q->body = list;
    q->body_count = n;
    return OK;
}

/* The caller's own bytes, with the model's name replaced. */
static enum err
write_same_wire(struct written *w)
{
    const struct llm_request *r = &w->request->llm;
    const struct target *t = w->target;
    struct wire_edits edits;

    edits.count = 0;    /* the rest is large, and mostly never used */
    if (r->model_node != NULL && t->wire.model.n != 0)
        (void)wire_edit_add(
            &edits, (size_t)(r->model_node->p - r->body.p), r->model_node->n, w->name);
    if (r->model_missing)
        (void)wire_edit_add(&edits, (size_t)(r->doc->p + 1 - r->body.p), 0, w->name);
    if (UNLIKELY(r->wished) && t->wire.traits.takes_routing != YES)
        wishes_edit(r, &edits, w->drops);
    if (r->op != OP_RELAY && w->wire->provider->edit_request != NULL)
        w->wire->provider->edit_request(r, &t->wire, &edits);
    const struct host *host = t->provider->address.host;
    if (r->op != OP_RELAY && host->edit_body != NULL)
        host->edit_body(r, r->doc, r->body, &edits);
    const struct overrides o = overrides_of(w);
    enum err e = overrides_edit(&o, r->arena, r->doc, r->body, &edits);
    return e == OK ? set_body(w, r->body, &edits) : e;
}

/* The request in the provider's protocol. */
static enum err
write_translated(struct written *w)
{
    struct llm_request *r = &w->request->llm;
    const struct target *t = w->target;
    struct wire_fault *fault = &w->fault;
    struct buf *out = &w->body;
    enum err e = llm_request_expand(r, fault);

    if (e != OK)
        return e;
    if (w->request->thoughts != NULL)
        thoughts_restore(w->request->thoughts, w->request->owner, r);
    w->request->thoughts = NULL;
    buf_init(out, BODY_LIMIT_BYTES);
    if (buf_reserve(out, MIN(r->body.n + BODY_GROWTH_BYTES, BODY_LIMIT_BYTES)) == NULL)
        return ERR_NO_MEMORY;
    e = write_request(w->wire, out, r, &t->wire, w->drops, fault);
    if (e == OK && out->overflow)
        e = ERR_TOO_LARGE;
    if (e != OK)
        return e;

    struct wire_edits edits;
    struct str body = buf_str(out);

    edits.count = 0;    /* the rest is large, and mostly never used */
    const struct overrides o = overrides_of(w);
    const struct host *host = t->provider->address.host;
    if (overrides_any(&o) || host->edit_body != NULL) {
        const struct json *doc = json_parse(r->arena, body, NULL, NULL);

        if (doc == NULL)
            return ERR_NO_MEMORY;
        if (host->edit_body != NULL)
            host->edit_body(r, doc, body, &edits);
        e = overrides_edit(&o, r->arena, doc, body, &edits);
    }
    return e == OK ? set_body(w, body, &edits) : e;
}

/* The path of the request. False: `unfit`. */
static bool
write_path(struct written *w, struct buf *text, struct str query)
{
    struct llm_request *r = &w->request->llm;
    const struct target *t = w->target;

    if (!host_write_path(text, &t->provider->address, w->wire, r, &t->wire, query)) {
        buf_reset(text, SIZE_MAX);
        w->unfit = ERR_UNSUPPORTED;
        w->fault.message = arena_printf(
            r->arena, "'" STR_FMT "' cannot be the name of a deployment", STR_ARG(t->wire.model));
        return false;
    }
    w->q.path = arena_str(r->arena, buf_str(text));
    buf_reset(text, SIZE_MAX);
    return true;
}

void
written_write_head(struct written *w, struct exchange *x)
{
    struct llm_request *r = &w->request->llm;
    const struct target *t = w->target;
    bool same = w->wire == r->wire && !w->anew;
    struct str query = same && r->op != OP_RELAY ? query_passed(x) : S("");
    struct buf *text = &x->worker->text;

    enum exclusion excluded = constraint_kind(t, x->op, x->wire);
    if (excluded != EXCLUDED_NOT) {
        w->unfit = ERR_UNSUPPORTED;
        w->fault.message = constraint_kind_text(t, excluded, x->op, x->wire, r->arena);
        return;
    }
    if (!write_path(w, text, query))
        return;
    w->q.fields = request_fields(w, x, same);
    if (!same || (r->model_node == NULL && !r->model_missing) || t->wire.model.n == 0)
        return;
    if (r->model_missing) {
        buf_add(text, S("\"model\":"));
        json_add_str(text, t->wire.model);
        buf_add_c(text, ',');
    } else if (r->model_node->type == JSON_STRING)
        json_add_str(text, t->wire.model);
    else
        buf_add(text, t->wire.model);    /* a form field, not JSON */
    w->name = arena_str(r->arena, buf_str(text));
    buf_reset(text, SIZE_MAX);
}

void
written_write_own_head(struct written *w, struct worker *worker)
{
    const struct provider *p = w->target->provider;
    struct llm_request *r = &w->request->llm;
    struct buf *text = &worker->text;

    if ((w->wire->provider->ops & OP_BIT(r->op)) == 0) {
        w->unfit = ERR_UNSUPPORTED;
        return;
    }
    if (!write_path(w, text, S("")))
        return;
    buf_add(text, S("Content-Type: application/json\r\n"));
    http_add_field(text, S("Accept"), r->stream ? w->wire->framing->type : S("application/json"));
    buf_add(text, S("User-Agent: openclaw\r\n"));
    if (p->credential_count != 0)
        buf_add(text, p->credentials[w->credential]);
    buf_add(text, w->wire->provider->fields);
    buf_add(text, p->fields);
    w->q.fields = arena_str(r->arena, buf_str(text));
    buf_reset(text, SIZE_MAX);
}

/* Adds the fields that authorise the request, which is complete but for them. */
static enum err
authorize(struct written *w)
{
    struct client_request *q = &w->q;
    const struct host_address *at = &w->target->provider->address;
    struct arena *a = w->request->llm.arena;
    struct buf out;

    if (w->lent == NULL)
        return OK;
    const struct credential_request what = { .method = q->method,
        .host = q->origin->host_header,
        .target = q->path,
        .fields = q->fields,
        .body = q->body,
        .body_count = q->body_count,
        .region = at->region,
        .service = at->host->service };
    buf_init(&out, FIELDS_LIMIT_BYTES);
    buf_add(&out, q->fields);
    bool ok = credential_authorize(w->lent, &out, &what, clock_wall_ms(), a);
    q->fields = arena_str(a, buf_str(&out));
    buf_fini(&out);
    return ok && q->fields.p != NULL ? OK : ERR_NO_MEMORY;
}

void
written_write_body(void *written)
{
    struct written *w = written;
    struct llm_request *r = &w->request->llm;
    const struct target *t = w->target;

    if (w->unfit != OK)
        return;
    w->unfit =
        w->wire == r->wire && !r->extended && !w->anew ? write_same_wire(w) : write_translated(w);
    if (w->unfit == OK && r->require_all && w->drops->names != NULL) {
        w->unfit = ERR_UNSUPPORTED;
        w->fault.message = arena_printf(r->arena,
            STR_FMT "/" STR_FMT " does not take '" STR_FMT
                    "', and the request requires all its parameters",
            STR_ARG(t->provider->id), STR_ARG(t->wire.model), STR_ARG(w->drops->names->text));
    }
    if (w->unfit == ERR_CONFIG)
        w->fault.message = arena_printf(r->arena,
            "the configured params (of " STR_FMT "/" STR_FMT
            ", or of rules) replace more than the gateway can edit in this request; "
            "remove some of them",
            STR_ARG(t->provider->id), STR_ARG(t->wire.model));
    if (w->unfit == OK)
        w->unfit = authorize(w);
    if (w->request->large)
        w->request->input_estimate = llm_request_estimate_tokens(r);
}

/* dry.c - makes a request of a description, and has it routed as if it were real. */
#include "gateway/dry.h"

#include "gateway/choice.h"
#include "gateway/decide.h"
#include "gateway/endpoints.h"

#define USUAL_PATH "/v1/chat/completions"
#define FIELDS_MOST 200

/* What is described. */
struct described {
    const struct endpoint *endpoint;
    struct http_head head;
    const struct principal *who;
    struct llm_request request;
    struct wishes *wishes;    /* NULL: none */
    enum err refused;         /* and why the gateway would refuse it */
    struct str message;
};

static void
read_fields(struct arena *a, const struct json *map, struct http_fields *ret)
{
    struct json_iter it = json_iter(json_is(map, JSON_OBJECT) ? map : NULL);

    ret->list = arena_array(a, struct http_field, FIELDS_MOST);
    while (ret->count < FIELDS_MOST && json_next(&it))
        ret->list[ret->count++] = (struct http_field){ json_str(a, it.key), json_str(a, it.value) };
}

/* The route and the protocol. False, with a sentence, if there is none that a model answers. */
static bool
read_route(struct arena *a, struct str wish, struct described *d, struct str *ret_why)
{
    struct http_path path;
    enum err e = ERR_NO_ROUTE;

    if (http_path_normalise(a, arena_str(a, wish.n != 0 ? wish : S(USUAL_PATH)), &path) == NULL) {
        path.text = endpoint_path(path.text);
        d->endpoint = endpoint_find(S("POST"), &path, &e);
    }
    if (e != OK || d->endpoint->local || d->endpoint->model != MODEL_BODY) {
        *ret_why = arena_printf(a,
            "'path': POST " STR_FMT " is not a route whose body names a model; the usual one "
            "is " USUAL_PATH,
            STR_ARG(wish));
        return false;
    }
    d->request.wire = endpoint_wire(d->endpoint, &d->head);
    d->request.op = d->endpoint->op;
    d->request.router = d->endpoint->router;
    return true;
}

static enum err
read_description(const struct snapshot *s, struct arena *a, const struct json *doc,
    struct described *d, struct str *ret_why)
{
    const struct json *request = json_get(doc, S("request"));
    struct str key = json_str(a, json_get(doc, S("key")));
    struct wire_fault fault = { S(""), S("") };

    *ret_why = S("write a JSON object with the member 'request', the body of a request");
    if (!json_is(request, JSON_OBJECT))
        return ERR_BAD_REQUEST;
    read_fields(a, json_get(doc, S("headers")), &d->head.fields);
    d->who = auth_named(s->auth, key);
    if (d->who == NULL) {
        *ret_why = arena_printf(a, "'key': no key is called '" STR_FMT "'", STR_ARG(key));
        return ERR_BAD_REQUEST;
    }
    d->request.arena = a;
    d->request.doc = request;
    d->request.body = json_raw(request);
    if (!read_route(a, json_str(a, json_get(doc, S("path"))), d, ret_why))
        return ERR_BAD_REQUEST;
    d->refused = llm_request_read(&d->request, &fault);
    if (d->refused == OK)
        d->refused = wishes_read(&d->request, a, &d->wishes, &fault);
    if (d->refused == OK)
        choice_cut_suffix(s, a, &d->request.model, &d->wishes);
    d->message = fault.message;
    return OK;
}

/* Has it routed. */
static void
decide_dry(const struct snapshot *s, struct rules_runner *rules, struct arena *a,
    struct str client_ip, struct described *d, struct plan *plan, struct explain_decision *ret)
{
    struct ask *ask = choice_ask(a, &d->request, &d->head.fields, d->who);

    ask->dry = true;
    ask->id = S("dry");
    ask->client_ip = client_ip;
    if (!auth_allows_model(d->who, ask->model)) {
        d->refused = ERR_FORBIDDEN;
        d->message = arena_printf(
            a, "this API key may not use the model '" STR_FMT "'", STR_ARG(ask->model));
        return;
    }
    ask->wishes = d->wishes;
    d->refused = decide(s, rules, ask, d->endpoint->router, plan, ret, &d->message);
}

enum err
dry_explain(const struct snapshot *s, struct rules_runner *rules, struct arena *a,
    const struct json *doc, struct buf *out, struct str *ret_why)
{
    struct described d = { .refused = OK };
    struct explain_decision decision = { .ask = NULL };
    struct plan plan = { .count = 0 };
    struct json_out o = json_out(out);
    enum err e = read_description(s, a, doc, &d, ret_why);

    if (e != OK)
        return e;
    if (d.refused == OK)
        decide_dry(s, rules, a, json_str(a, json_get(doc, S("client_ip"))), &d, &plan, &decision);
    out_object(&o);
    out_text(&o, "model", d.request.model);
    out_text(&o, "endpoint", str_c(d.endpoint->id));
    out_text(&o, "key", d.who->name);
    if (decision.ask != NULL) {
        out_key(&o, "decision");
        explain_write(&o, &decision, true);
    }
    if (d.refused != OK) {
        out_i64(&o, "status", err_row(d.refused)->status);
        out_text(&o, "error", str_c(err_row(d.refused)->code));
        out_text(&o, "message", d.message);
    }
    out_end(&o);
    return OK;
}

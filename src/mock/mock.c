/* mock.c - the simulated provider's server: turns each request into the answer that was asked
   for. */
#include "mock/mock.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/url.h"
#include "gateway/endpoints.h"
#include "mock/answer.h"
#include "mock/values.h"

enum {
    SCRATCH_BYTES = 512 * 1024 * 1024,
    FRAME_BYTES = 64 * 1024 * 1024,
    FRAME_KEEP_BYTES = 256 * 1024,
    FIELDS_BYTES = 16 * 1024,
    BODY_BYTES = 64 * 1024 * 1024,
    IDLE_MS = 5 * 60 * 1000,
    WHOLE_EVENT_TOKENS = 1000,    /* of an answer that is not streamed */
};

/* One request while it is being read. */
struct call {
    struct mock *mock;
    struct server_conn *q;
    const struct http_head *head;
    const struct endpoint *endpoint;
    const struct wire *wire;
    const struct mock_provider *provider;
    struct mock_plan plan;
    struct llm_request r;
    struct str prompt;    /* of a text completion */
    struct llm_error why;
};

/* --- short answers --- */

/* The fields of an answer; *ret_id is the request's id. */
static struct str
head_fields(struct call *v, struct str type, struct str *ret_id)
{
    struct buf *fields = &v->mock->fields;

    buf_reset(fields, FIELDS_BYTES);
    if (type.n != 0)
        http_add_field(fields, S("content-type"), type);
    mock_add_fields(v->provider, v->mock->scratch, fields, ret_id);
    return buf_str(fields);
}

static struct mock_reply
make_reply(struct call *v, enum mock_fault fault, int status)
{
    return (struct mock_reply){
        .wire = v->wire,
        .framing = llm_request_framing(&v->r),
        .op = v->r.op,
        .want_usage = v->r.want_usage,
        .plan = mock_plan_outlive(&v->plan),
        .fault = fault,
        .status = status,
        .outcome = MOCK_COMPLETED,
    };
}

/* Sends v->why. Also used for a status fault, with its delays. */
static void
refuse(struct call *v, enum mock_fault fault)
{
    struct mock *m = v->mock;
    struct str id;
    struct str fields = head_fields(v, S("application/json"), &id);
    int status = v->why.status;

    if (fault != MOCK_FAULT_NONE && (status == 429 || status == 503 || status == 529) &&
        v->plan.retry_after_s != 0) {
        buf_printf(&m->fields, "retry-after: %llu\r\n", (unsigned long long)v->plan.retry_after_s);
        fields = buf_str(&m->fields);
    }
    buf_reset(&m->frame, FRAME_KEEP_BYTES);
    v->wire->caller->write_error(&m->frame, &v->why, id);
    if (fault == MOCK_FAULT_NONE) {
        mock_count_outcome(m->hub, MOCK_REFUSED);
        server_answer(v->q, status, fields, buf_str(&m->frame));
        return;
    }

    struct mock_answer *a = mock_answer_create(m, v->q);
    struct mock_reply t = make_reply(v, fault, status);

    t.fields = arena_str(mock_answer_arena(a), fields);
    t.document = arena_str(mock_answer_arena(a), buf_str(&m->frame));
    t.outcome = MOCK_FAULTED;
    mock_answer_start(a, &t);
}

static void
refuse_with(struct call *v, enum err kind, int status, struct str message)
{
    v->why = (struct llm_error){ .kind = kind, .status = status, .message = message };
    refuse(v, MOCK_FAULT_NONE);
}

/* --- long answers --- */

static void
send_recorded(struct call *v, const struct mock_case *c, enum mock_fault fault)
{
    struct mock_answer *a = mock_answer_create(v->mock, v->q);
    struct mock_reply t = make_reply(v, fault, c->status);

    t.content_type = c->type;
    t.fields = c->fields;
    t.stream = c->stream;
    t.recorded = c;
    if (v->plan.cut < c->count || (!c->stream && v->plan.cut < c->body.n))
        t.outcome = MOCK_FAULTED;
    server_drop_body(v->q);
    mock_answer_start(a, &t);
}

static bool
is_immediate(const struct call *v, enum mock_fault fault)
{
    return fault == MOCK_FAULT_NONE && v->plan.head_us == 0 && v->plan.ttft_us == 0 &&
           v->plan.tps <= 0 && v->plan.jitter_us == 0 && v->plan.chunk_bytes == 0;
}

/* Sends the document in mock->frame, now or when it is due. */
static void
send_document(struct call *v, enum mock_fault fault, uint64_t tokens)
{
    struct mock *m = v->mock;
    struct str json = S("application/json");
    struct str id;

    if (is_immediate(v, fault)) {
        mock_count_add(&m->hub->count.output_tokens, tokens);
        mock_count_outcome(m->hub, MOCK_COMPLETED);
        server_answer(v->q, 200, head_fields(v, json, &id), buf_str(&m->frame));
        return;
    }

    struct mock_answer *a = mock_answer_create(m, v->q);
    struct mock_reply t = make_reply(v, fault, 200);

    t.content_type = json;
    t.fields = arena_str(mock_answer_arena(a), head_fields(v, S(""), &id));
    t.document = arena_str(mock_answer_arena(a), buf_str(&m->frame));
    t.tokens = tokens;
    server_drop_body(v->q);
    mock_answer_start(a, &t);
}

/* The script of this request, in `a`. */
static struct mock_script *
make_script(struct call *v, struct arena *a)
{
    struct mock_script *s = arena_new(a, struct mock_script);

    s->arena = a;
    s->provider = v->provider;
    mock_script_make(s, &v->r, v->prompt, &v->plan);
    mock_count_add(&v->mock->hub->count.input_tokens, (uint64_t)s->usage.input);
    return s;
}

static void
send_stream(struct call *v, enum mock_fault fault)
{
    struct str type = llm_request_framing(&v->r)->type;
    struct mock_answer *a = mock_answer_create(v->mock, v->q);
    struct arena *arena = mock_answer_arena(a);
    struct mock_reply t = make_reply(v, fault, 200);
    struct str id;

    t.content_type = str_starts(type, S("text/"))
                         ? arena_printf(arena, STR_FMT "; charset=utf-8", STR_ARG(type))
                         : type;
    t.fields = arena_str(arena, head_fields(v, S(""), &id));
    t.stream = true;
    t.script = make_script(v, arena);
    server_drop_body(v->q);
    mock_answer_start(a, &t);
}

static void
send_whole(struct call *v, enum mock_fault fault)
{
    struct buf *out = &v->mock->frame;
    struct mock_script *s = make_script(v, v->mock->scratch);

    s->event_tokens = WHOLE_EVENT_TOKENS;
    buf_reset(out, FRAME_KEEP_BYTES);
    if (mock_write_whole(s, &v->r, out))
        send_document(v, fault, (uint64_t)s->usage.output);
    else
        refuse_with(v, ERR_BAD_REQUEST, 400, S("the simulated answer would be larger than 64 MB"));
}

/* --- reading a request --- */

static bool
read_fields(struct call *v, struct why why)
{
    static const struct str prefix = S_INIT("x-mock-");
    const struct http_fields *f = &v->head->fields;
    bool faults_replaced = false;

    for (size_t i = 0; i < f->count; i++) {
        struct str name = f->list[i].name;

        if (name.n <= prefix.n || !str_istarts(name, prefix))
            continue;
        name = str_skip(name, prefix.n);
        if (str_ieq(name, S("fault")) && !faults_replaced) {
            faults_replaced = true;
            v->plan.fault_count = 0;
        }
        if (!mock_plan_set(&v->plan, name, f->list[i].value, why))
            return false;
    }
    return true;
}

/* The request's own knobs override those of the command line. */
static bool
read_plan(struct call *v)
{
    char why[256];
    bool fine = mock_plan_read_query(&v->plan, v->head->query, WHY(why)) &&
                read_fields(v, WHY(why)) && mock_plan_read_model(&v->plan, v->r.model, WHY(why));

    return fine || mock_refuse(v->mock->scratch, &v->why, S(""), "openclaw mock: %s", why);
}

static bool
read_document(struct call *v)
{
    struct json_error error;

    v->r.body = server_body(v->q);
    v->r.doc = json_parse(v->mock->scratch, v->r.body, NULL, &error);
    if (v->r.doc == NULL)
        return mock_refuse(v->mock->scratch, &v->why, S(""),
            "We could not parse the JSON body of your request: %s at byte %zu.", error.what,
            error.offset);
    if (!json_is(v->r.doc, JSON_OBJECT))
        return mock_refuse(
            v->mock->scratch, &v->why, S(""), "Invalid type for the body: expected an object.");
    if (v->r.model.n == 0)
        v->r.model = json_str(v->mock->scratch, json_get(v->r.doc, S("model")));
    return true;
}

/* If models were named on the command line, no others exist. */
static bool
check_model(struct call *v)
{
    const struct mock_hub *hub = v->mock->hub;
    struct str name;
    struct str options;

    if (hub->options.model_count == 0 || v->r.model.n == 0)
        return true;
    str_cut(v->r.model, ';', &name, &options);
    for (size_t i = 0; i < hub->model_count; i++)
        if (str_eq(hub->models[i], name))
            return true;
    v->why = (struct llm_error){
        .kind = ERR_NO_MODEL,
        .status = 404,
        .message = arena_printf(v->mock->scratch,
            "The model `" STR_FMT "` does not exist or you do not have access to it.",
            STR_ARG(str_make(name.p, MIN(name.n, 200)))),
    };
    return false;
}

/* A text completion, whose prompt no wire reads. */
static void
read_prompt(struct call *v)
{
    const struct json *prompt = json_get(v->r.doc, S("prompt"));
    const struct json *stop = json_get(v->r.doc, S("stop"));

    if (json_is(prompt, JSON_ARRAY) && !json_is_empty(prompt))
        prompt++;    /* the first of several */
    v->prompt = json_str(v->mock->scratch, prompt);
    if (json_is(stop, JSON_STRING)) {
        v->r.stop = arena_new(v->mock->scratch, struct llm_word);
        v->r.stop->text = json_str(v->mock->scratch, stop);
    }
}

/* Reads the request as its wire's callers are read, then judges it as a provider does. */
static bool
read_request(struct call *v)
{
    struct wire_fault fault = { .message = S("") };

    v->r.model = S("");    /* read before, for the plan */

    enum err e = llm_request_read(&v->r, &fault);
    bool talk = v->r.op == OP_CHAT || v->r.op == OP_COUNT_TOKENS;
    bool other = v->wire->caller->asks[v->r.op] != NULL;

    if (e == OK && (talk || other))
        e = llm_request_expand(&v->r, &fault);
    if (e != OK) {
        v->why = mock_error_of(v->wire, e, &fault);
        return false;
    }
    v->r.op = v->endpoint->op;    /* Ollama's prompts are read as a chat */
    if (v->r.op == OP_COMPLETE)
        read_prompt(v);
    return !talk || mock_judge(v->provider, v->head, &v->r, v->plan.strict, &v->why);
}

/* Routes that are answered by one document without a model. */
static bool
write_document(struct call *v)
{
    struct buf *out = &v->mock->frame;

    buf_reset(out, FRAME_KEEP_BYTES);
    if (v->r.op == OP_EMBED)
        return mock_embeddings(&v->r, out, &v->why);
    if (v->r.op == OP_RERANK)
        return mock_ranking(&v->r, out, &v->why);
    if (v->r.op == OP_RELAY)
        return mock_moderations(&v->r, out, &v->why);
    v->wire->caller->write_token_count(out, mock_input_tokens(&v->r));
    return true;
}

static enum mock_fault
draw_fault(const struct call *v, int *ret_status)
{
    uint64_t began_us = atomic_load_explicit(&v->mock->hub->began_us, memory_order_relaxed);
    struct str name;
    struct str options;

    str_cut(v->r.model, ';', &name, &options);
    return mock_plan_draw(&v->plan, name, clock_now_us() - began_us, ret_status);
}

/* The parts common to all requests have been read; now answers this one. */
static void
answer_post(struct call *v)
{
    bool simulated = v->r.op != OP_RELAY || v->endpoint == &endpoints[ENDPOINT_moderations];
    const struct mock_case *c = NULL;
    int status = 0;
    enum mock_fault fault;

    if (v->plan.case_name.n != 0) {
        c = mock_cases_find(v->mock->hub->cases, v->plan.case_name);
        if (c == NULL) {
            refuse_with(v, ERR_NO_MODEL, 404, S("openclaw mock: there is no such recorded case"));
            return;
        }
    } else if (!simulated) {
        refuse_with(
            v, ERR_NO_ROUTE, 404, S("Invalid URL (the simulated provider has no such route)"));
        return;
    } else if (!check_model(v) || !read_request(v)) {
        refuse(v, MOCK_FAULT_NONE);
        return;
    }

    fault = draw_fault(v, &status);
    if (fault == MOCK_FAULT_STATUS || fault == MOCK_FAULT_QUOTA || fault == MOCK_FAULT_CONTEXT) {
        v->why = mock_error_by(v->provider, v->mock->scratch, fault, status);
        refuse(v, fault);
    } else if (c != NULL) {
        send_recorded(v, c, fault);
    } else if (v->r.op == OP_CHAT || v->r.op == OP_COMPLETE) {
        if (v->r.stream)
            send_stream(v, fault);
        else
            send_whole(v, fault);
    } else if (write_document(v)) {
        mock_count_add(&v->mock->hub->count.input_tokens, (uint64_t)mock_input_tokens(&v->r));
        send_document(v, fault, 0);
    } else {
        refuse(v, MOCK_FAULT_NONE);
    }
}

/* Finds the request's route and wire, and counts it. */
static void
begin_call(struct call *v, struct mock *m, struct server_conn *q)
{
    const struct http_head *head = server_head(q);
    struct http_path path = { .text = head->path };
    enum err e;

    (void)http_path_normalise(m->scratch, endpoint_path(head->path), &path);
    *v = (struct call){
        .mock = m,
        .q = q,
        .head = head,
        .endpoint = endpoint_find(head->method, &path, &e),
        .plan = m->hub->options.plan,
    };
    v->wire = endpoint_wire(v->endpoint, head);
    v->provider = mock_provider_of(v->wire);
    v->r = (struct llm_request){
        .arena = m->scratch,
        .op = e == OK ? v->endpoint->op : OP_RELAY,
        .wire = v->wire,
        .path = path.text,
    };
    if (!endpoint_read_path(v->endpoint, path.text, head->query, &v->r))
        v->r.model = S("");
    mock_count_add(&m->hub->count.requests, 1);
}

static void
handle_post(struct mock *m, struct server_conn *q)
{
    struct arena_mark mark = arena_mark(m->scratch);
    struct call v;

    begin_call(&v, m, q);
    mock_remember(m->hub, v.head, server_body(q));
    if (!mock_check_key(v.provider, v.head, m->hub->options.key, &v.why) || !read_document(&v) ||
        !read_plan(&v))
        refuse(&v, MOCK_FAULT_NONE);
    else
        answer_post(&v);
    arena_rewind(m->scratch, mark);
}

/* --- lists of models, and routes for tests --- */

/* The models, or the one that the path names, as the wire's callers read them. */
static bool
write_models(struct call *v)
{
    const struct mock_hub *hub = v->mock->hub;
    const struct wire_caller *caller = v->wire->caller;
    struct buf *out = &v->mock->frame;
    struct str owner = S("openclaw-mock");

    if (v->endpoint != &endpoints[ENDPOINT_model]) {
        struct wire_page page = { 0 };

        buf_add(out, caller->models_begin);
        for (size_t i = 0; i < hub->model_count; i++) {
            buf_add(out, i > 0 ? S(",") : S(""));
            caller->write_model(out, hub->models[i], owner, S(""));
        }
        if (hub->model_count > 0) {
            page.first = hub->models[0];
            page.last = hub->models[hub->model_count - 1];
        }
        caller->write_models_end(out, &page);
        return true;
    }

    struct str path = v->r.path;    /* with its base or without it */
    struct str id = url_decode(
        v->mock->scratch, str_skip(path, str_find(path, S("/models/")) + strlen("/models/")));
    for (size_t i = 0; i < hub->model_count; i++) {
        if (str_eq(hub->models[i], id)) {
            caller->write_model(out, id, owner, S(""));
            return true;
        }
    }
    v->why = (struct llm_error){
        .kind = ERR_NO_MODEL,
        .status = 404,
        .message = arena_printf(v->mock->scratch, "The model '" STR_FMT "' does not exist",
            STR_ARG(str_make(id.p, MIN(id.n, 200)))),
    };
    return false;
}

static void
handle_other(struct mock *m, struct server_conn *q)
{
    struct arena_mark mark = arena_mark(m->scratch);
    struct str id;
    struct call v;
    bool fine;

    begin_call(&v, m, q);
    mock_remember(m->hub, v.head, S(""));
    buf_reset(&m->frame, FRAME_KEEP_BYTES);
    if (v.endpoint == &endpoints[ENDPOINT_models] || v.endpoint == &endpoints[ENDPOINT_model] ||
        v.endpoint == &endpoints[ENDPOINT_ollama_tags]) {
        fine = mock_check_key(v.provider, v.head, m->hub->options.key, &v.why) && write_models(&v);
    } else {
        fine = false;
        v.why = (struct llm_error){
            .kind = ERR_NO_ROUTE,
            .status = 404,
            .message = arena_printf(m->scratch, "Invalid URL (" STR_FMT " " STR_FMT ")",
                STR_ARG(v.head->method),
                STR_ARG(str_make(v.head->path.p, MIN(v.head->path.n, 200)))),
        };
    }
    if (fine) {
        mock_count_outcome(m->hub, MOCK_COMPLETED);
        server_answer(q, 200, head_fields(&v, S("application/json"), &id), buf_str(&m->frame));
    } else {
        refuse(&v, MOCK_FAULT_NONE);
    }
    arena_rewind(m->scratch, mark);
}

static void
handle_own(struct mock *m, struct server_conn *q, struct str path)
{
    struct arena_mark mark = arena_mark(m->scratch);
    const struct http_head *head = server_head(q);
    uint64_t last = UINT64_MAX;
    int status = 200;

    buf_reset(&m->frame, FRAME_KEEP_BYTES);
    if (str_eq(path, S("/mock/stats"))) {
        mock_write_stats(m->hub, &m->frame);
    } else if (str_eq(path, S("/mock/requests"))) {
        str_u64(url_query_get(m->scratch, head->query, S("last")), &last);
        mock_write_requests(m->hub, last, &m->frame);
    } else if (str_eq(path, S("/mock/reset")) && str_eq(head->method, S("POST"))) {
        mock_hub_reset(m->hub);
        buf_add(&m->frame, S("{}"));
    } else {
        buf_add(&m->frame,
            S("{\"error\":\"GET /mock/stats, GET /mock/requests?last=N or POST /mock/reset\"}"));
        status = 404;
    }
    server_answer(q, status, S("content-type: application/json\r\n"), buf_str(&m->frame));
    arena_rewind(m->scratch, mark);
}

/* --- the server's callbacks --- */

static void
on_request(void *owner, struct server_conn *q)
{
    struct mock *m = owner;
    const struct http_head *head = server_head(q);
    struct str path = head->path;

    if (str_starts(path, S("/v1/mock/")))
        path = str_skip(path, strlen("/v1"));
    server_set_user(q, NULL);
    if (str_starts(path, S("/mock/")))
        handle_own(m, q, path);
    else if (!str_eq(head->method, S("POST")))
        handle_other(m, q);
    else if (server_receive(q))
        handle_post(m, q);
}

static void
on_body(void *owner, struct server_conn *q)
{
    handle_post(owner, q);
}

static void
on_body_failed(void *owner, struct server_conn *q, enum err why)
{
    struct mock *m = owner;
    struct arena_mark mark = arena_mark(m->scratch);
    struct call v;

    begin_call(&v, m, q);
    refuse_with(&v, why, err_row(why)->status, str_c(err_row(why)->sentence));
    arena_rewind(m->scratch, mark);
}

static void
on_writable(void *owner, struct server_conn *q)
{
    (void)owner;
    if (server_user(q) != NULL)
        mock_answer_writable(server_user(q));
}

static void
on_gone(void *owner, struct server_conn *q)
{
    (void)owner;
    if (server_user(q) != NULL)
        mock_answer_gone(server_user(q));
}

static void
on_refused(void *owner UNUSED, const struct server_conn *q UNUSED, enum err why UNUSED,
    const char *detail, struct buf *fields, struct buf *body)
{
    buf_add(fields, S("Content-Type: text/html\r\n"));
    buf_printf(body, "<html><body><h1>400 Bad Request</h1><p>%s</p></body></html>\n", detail);
}

/* --- start and stop --- */

struct mock *
mock_start(struct loop *l, struct str address, struct mock_hub *hub, struct why why)
{
    static const struct server_handler handler = {
        .request = on_request,
        .body = on_body,
        .body_failed = on_body_failed,
        .writable = on_writable,
        .gone = on_gone,
        .refused = on_refused,
    };
    struct server_limits limits = {
        .head_bytes = 64 * 1024,
        .line_bytes = 16 * 1024,
        .fields = 200,
        .body_bytes = BODY_BYTES,
        .head_ms = 60 * 1000,
        .idle_ms = hub->options.idle_ms != 0 ? hub->options.idle_ms : IDLE_MS,
        .body_grace_ms = 60 * 1000,
        .body_rate_bytes_per_s = 1,
        .write_stall_ms = 30 * 60 * 1000,
        .connections = 60000,
    };
    struct mock *m = check_alloc(calloc(1, sizeof(*m)));

    m->loop = l;
    m->hub = hub;
    m->scratch = arena_create(SCRATCH_BYTES);
    buf_init(&m->frame, FRAME_BYTES);
    buf_init(&m->fields, FIELDS_BYTES);
    m->server = server_create(l, &handler, m);
    server_set_limits(m->server, &limits);
    m->listener = listen_open(l, address, NULL, server_accept, m->server, why);
    if (m->listener == NULL) {
        mock_stop(m);
        return NULL;
    }
    return m;
}

struct str
mock_address(const struct mock *m)
{
    return listen_address(m->listener);
}

void
mock_stop(struct mock *m)
{
    if (m == NULL)
        return;
    listen_close(m->listener);
    server_destroy(m->server);
    mock_answers_drop(m);
    buf_fini(&m->frame);
    buf_fini(&m->fields);
    arena_destroy(m->scratch);
    free(m);
}

/* mock.c - the simulated provider's server: turns each request into the answer that was asked
   for. */
#include "mock/mock.h"

#include <stdio.h>
#include <stdlib.h>

#include "mock/answer.h"
#include "mock/text.h"

enum {
    SCRATCH_BYTES = 512 * 1024 * 1024,
    FRAME_BYTES = 64 * 1024 * 1024,
    FRAME_KEEP_BYTES = 256 * 1024,
    FIELDS_BYTES = 16 * 1024,
    BODY_BYTES = 64 * 1024 * 1024,
    REQUEST_ID_ROOM = 40,
    IDLE_MS = 5 * 60 * 1000,
};

struct route {
    const char *method;
    const char *path;    /* after an optional "/v1" */
    const struct mock_wire *wire;

    /* Appends the whole answer, for routes without a conversation; NULL: the wire writes it. */
    bool (*answer)(struct mock_ask *ask, struct buf *out, struct mock_refusal *why);
};

static const struct route routes[] = {
    { "POST", "/chat/completions", &mock_openai_chat, NULL },
    { "POST", "/completions", &mock_openai_completions, NULL },
    { "POST", "/embeddings", &mock_openai_chat, mock_openai_embeddings },
    { "POST", "/moderations", &mock_openai_chat, mock_openai_moderations },
    { "POST", "/messages", &mock_anthropic, NULL },
    { "POST", "/messages/count_tokens", &mock_anthropic, mock_anthropic_count_tokens },
};

/* One request while it is being read. */
struct call {
    struct mock *mock;
    struct server_request *q;
    const struct mock_wire *wire;
    const struct route *route;    /* NULL: a path that only recordings can answer */
    struct mock_ask ask;
    struct mock_plan plan;
    struct mock_refusal why;
};

/* --- short answers --- */

static struct str
head_fields(struct mock *m, const struct mock_wire *wire, const char *type, char *request_id)
{
    buf_reset(&m->fields, FIELDS_BYTES);
    buf_printf(&m->fields, "content-type: %s\r\n", type);
    if (wire != NULL)
        wire->write_fields(&m->fields, request_id);
    return buf_str(&m->fields);
}

static void
answer_plain(struct mock *m, struct server_request *q, int status)
{
    char unused[REQUEST_ID_ROOM];

    server_answer(q, status, head_fields(m, NULL, "application/json", unused), buf_str(&m->frame));
}

/* Sends an error in the provider's format. Also used for a status fault, with its delays. */
static void
refuse(struct call *v, enum mock_fault fault)
{
    struct mock *m = v->mock;
    char id[REQUEST_ID_ROOM] = "";
    struct str fields = head_fields(m, v->wire, "application/json", id);
    int status = v->why.status;

    if (fault != MOCK_FAULT_NONE && (status == 429 || status == 503 || status == 529) &&
        v->plan.retry_after_s != 0) {
        buf_printf(&m->fields, "retry-after: %llu\r\n", (unsigned long long)v->plan.retry_after_s);
        fields = buf_str(&m->fields);
    }
    buf_reset(&m->frame, FRAME_KEEP_BYTES);
    v->wire->write_error(&m->frame, &v->why, str_c(id), false);
    if (fault == MOCK_FAULT_NONE) {
        mock_count_outcome(m->hub, MOCK_REFUSED);
        server_answer(v->q, status, fields, buf_str(&m->frame));
        return;
    }

    struct mock_answer *a = mock_answer_create(m, v->q);
    struct mock_reply t = {
        .wire = v->wire,
        .plan = mock_plan_outlive(&v->plan),
        .fault = fault,
        .status = status,
        .fields = arena_str(mock_answer_arena(a), fields),
        .document = arena_str(mock_answer_arena(a), buf_str(&m->frame)),
        .outcome = MOCK_FAULTED,
    };
    mock_answer_start(a, &t);
}

static void
refuse_with(struct call *v, int status, const char *code, const char *message)
{
    v->why = (struct mock_refusal){
        .status = status,
        .code = str_c(code),
        .message = str_c(message),
    };
    refuse(v, MOCK_FAULT_NONE);
}

/* --- long answers --- */

static void
send_recorded(struct call *v, const struct mock_case *c, enum mock_fault fault)
{
    struct mock_answer *a = mock_answer_create(v->mock, v->q);
    struct mock_reply t = {
        .wire = v->wire,
        .plan = mock_plan_outlive(&v->plan),
        .fault = fault,
        .status = c->status,
        .content_type = c->type,
        .fields = c->fields,
        .stream = c->stream,
        .recorded = c,
        .outcome = v->plan.cut < c->count || (!c->stream && v->plan.cut < c->body.n)
                       ? MOCK_FAULTED
                       : MOCK_COMPLETED,
    };

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
    char id[REQUEST_ID_ROOM];
    struct str fields = head_fields(m, v->wire, "application/json", id);

    if (is_immediate(v, fault)) {
        mock_count_add(&m->hub->count.output_tokens, tokens);
        mock_count_outcome(m->hub, MOCK_COMPLETED);
        server_answer(v->q, 200, fields, buf_str(&m->frame));
        return;
    }

    struct mock_answer *a = mock_answer_create(m, v->q);
    struct str type_line = S("content-type: application/json\r\n");
    struct mock_reply t = {
        .wire = v->wire,
        .plan = mock_plan_outlive(&v->plan),
        .fault = fault,
        .status = 200,
        .content_type = S("application/json"),
        .fields = arena_str(mock_answer_arena(a), str_skip(fields, type_line.n)),
        .document = arena_str(mock_answer_arena(a), buf_str(&m->frame)),
        .tokens = tokens,
        .outcome = MOCK_COMPLETED,
    };
    server_drop_body(v->q);
    mock_answer_start(a, &t);
}

static void
send_stream(struct call *v, enum mock_fault fault)
{
    struct mock *m = v->mock;
    struct mock_answer *a = mock_answer_create(m, v->q);
    struct arena *arena = mock_answer_arena(a);
    struct mock_script *s = arena_new(arena, struct mock_script);
    char id[REQUEST_ID_ROOM];

    s->arena = arena;
    mock_script_make(s, &v->ask, &v->plan);
    v->wire->begin(s);
    mock_count_add(&m->hub->count.input_tokens, s->input_tokens);

    buf_reset(&m->fields, FIELDS_BYTES);
    v->wire->write_fields(&m->fields, id);
    struct mock_reply t = {
        .wire = v->wire,
        .plan = mock_plan_outlive(&v->plan),
        .fault = fault,
        .status = 200,
        .content_type = S("text/event-stream; charset=utf-8"),
        .fields = arena_str(arena, buf_str(&m->fields)),
        .stream = true,
        .script = s,
        .outcome = MOCK_COMPLETED,
    };
    server_drop_body(v->q);
    mock_answer_start(a, &t);
}

static void
send_whole(struct call *v, enum mock_fault fault)
{
    struct mock *m = v->mock;
    struct mock_script s = { .arena = m->scratch };

    mock_script_make(&s, &v->ask, &v->plan);
    v->wire->begin(&s);
    mock_count_add(&m->hub->count.input_tokens, s.input_tokens);
    buf_reset(&m->frame, FRAME_KEEP_BYTES);
    v->wire->write_whole(&m->frame, &s);
    if (m->frame.overflow) {
        refuse_with(v, 400, NULL, "the simulated answer would be larger than 64 MB");
        return;
    }
    send_document(v, fault, s.output_tokens);
}

/* --- faults --- */

/* Writes the error document, if the fault is one. False for other kinds of faults. */
static bool
is_error_fault(struct call *v, enum mock_fault fault, int status)
{
    if (fault == MOCK_FAULT_QUOTA)
        status = 429;
    else if (fault == MOCK_FAULT_CONTEXT)
        status = 400;
    else if (fault != MOCK_FAULT_STATUS)
        return false;

    v->why = (struct mock_refusal){
        .status = status,
        .message =
            arena_printf(v->mock->scratch, "Simulated error %d: %s.", status, http_reason(status)),
    };
    v->wire->fault_error(fault, &v->why);
    return true;
}

/* --- reading a request --- */

static bool
read_fields(struct call *v, char *why, size_t why_size)
{
    static const struct str prefix = S_INIT("x-mock-");
    const struct http_fields *f = &v->ask.head->fields;
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
        if (!mock_plan_set(&v->plan, name, f->list[i].value, why, why_size))
            return false;
    }
    return true;
}

/* The request's own knobs override those of the command line. */
static bool
read_plan(struct call *v)
{
    char why[256];
    bool fine = mock_plan_read_query(&v->plan, v->ask.head->query, why, sizeof(why)) &&
                read_fields(v, why, sizeof(why)) &&
                mock_plan_read_model(&v->plan, v->ask.model, why, sizeof(why));

    if (!fine)
        mock_refuse(&v->ask, &v->why, 400, NULL, (struct str){ NULL, 0 }, "openclaw mock: %s", why);
    return fine;
}

static bool
read_document(struct call *v)
{
    struct json_error error;
    struct str body = server_body(v->q);

    v->ask.doc = json_parse(v->mock->scratch, body, NULL, &error);
    if (v->ask.doc == NULL)
        return mock_refuse(&v->ask, &v->why, 400, NULL, (struct str){ NULL, 0 },
            "We could not parse the JSON body of your request: %s at byte %zu.", error.what,
            error.offset);
    if (!json_is(v->ask.doc, JSON_OBJECT))
        return mock_refuse(&v->ask, &v->why, 400, NULL, (struct str){ NULL, 0 },
            "Invalid type for the body: expected an object.");
    v->ask.model = json_str(v->mock->scratch, json_get(v->ask.doc, S("model")));
    return true;
}

/* If models were named on the command line, no others exist. */
static bool
check_model(struct call *v)
{
    const struct mock_hub *hub = v->mock->hub;
    struct str name;
    struct str options;

    if (hub->options.model_count == 0 || v->ask.model.n == 0)
        return true;
    str_cut(v->ask.model, ';', &name, &options);
    for (size_t i = 0; i < hub->model_count; i++)
        if (str_eq(hub->models[i], name))
            return true;
    return mock_refuse(&v->ask, &v->why, 404, "model_not_found", (struct str){ NULL, 0 },
        "The model `" STR_FMT "` does not exist or you do not have access to it.",
        STR_ARG(str_make(name.p, MIN(name.n, 200))));
}

static bool
check_key(struct call *v)
{
    struct str key = v->mock->hub->options.key;

    return key.n == 0 || v->wire->check_key(&v->ask, key, &v->why);
}

static void
answer_value(struct call *v, enum mock_fault fault)
{
    struct buf *out = &v->mock->frame;

    buf_reset(out, FRAME_KEEP_BYTES);
    if (!v->route->answer(&v->ask, out, &v->why)) {
        refuse(v, MOCK_FAULT_NONE);
        return;
    }
    mock_count_add(&v->mock->hub->count.input_tokens, mock_input_tokens(&v->ask));
    send_document(v, fault, 0);
}

/* The parts common to all requests have been read; now answers this one. */
static void
answer_post(struct call *v)
{
    const struct mock_case *c = NULL;
    int status = 0;
    enum mock_fault fault;

    if (v->plan.case_name.n != 0) {
        c = mock_cases_find(v->mock->hub->cases, v->plan.case_name);
        if (c == NULL) {
            refuse_with(v, 404, "model_not_found", "openclaw mock: there is no such recorded case");
            return;
        }
    } else if (v->route == NULL) {
        refuse_with(v, 404, NULL, "Invalid URL (the simulated provider has no such route)");
        return;
    } else if (!check_model(v) || (v->route->answer == NULL && !v->wire->read(&v->ask, &v->why))) {
        refuse(v, MOCK_FAULT_NONE);
        return;
    }

    fault = mock_plan_draw(&v->plan, &status);
    if (is_error_fault(v, fault, status))
        refuse(v, fault);
    else if (c != NULL)
        send_recorded(v, c, fault);
    else if (v->route->answer != NULL)
        answer_value(v, fault);
    else if (v->ask.stream)
        send_stream(v, fault);
    else
        send_whole(v, fault);
}

static void
begin_call(struct call *v, struct mock *m, struct server_request *q)
{
    *v = (struct call){
        .mock = m,
        .q = q,
        .wire = &mock_openai_chat,
        .plan = m->hub->options.plan,
        .ask = { .arena = m->scratch, .head = server_head(q), .n = 1, .top_logprobs = -1 },
    };
    v->ask.plan = &v->plan;
}

/* "/v1/chat/completions" -> "/chat/completions". */
static struct str
route_path(struct str path)
{
    return str_starts(path, S("/v1/")) ? str_skip(path, strlen("/v1")) : path;
}

static void
handle_post(struct mock *m, struct server_request *q)
{
    struct arena_mark mark = arena_mark(m->scratch);
    struct call v;

    begin_call(&v, m, q);
    struct str path = route_path(v.ask.head->path);
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (str_eq(path, str_c(routes[i].path))) {
            v.route = &routes[i];
            v.wire = routes[i].wire;
        }
    }
    mock_count_add(&m->hub->count.requests, 1);
    mock_remember(m->hub, v.ask.head, server_body(q));
    if (!check_key(&v) || !read_document(&v) || !read_plan(&v))
        refuse(&v, MOCK_FAULT_NONE);
    else
        answer_post(&v);
    arena_rewind(m->scratch, mark);
}

/* --- lists of models, and routes for tests --- */

static void
handle_models(struct mock *m, struct server_request *q, struct str id)
{
    struct mock_hub *hub = m->hub;
    struct call v;
    char request_id[REQUEST_ID_ROOM];

    begin_call(&v, m, q);
    bool anthropic = http_field_get(&v.ask.head->fields, S("anthropic-version")).n != 0;
    if (anthropic)
        v.wire = &mock_anthropic;
    buf_reset(&m->frame, FRAME_KEEP_BYTES);
    mock_count_add(&hub->count.requests, 1);
    mock_remember(hub, v.ask.head, (struct str){ NULL, 0 });
    if (!check_key(&v)) {
        refuse(&v, MOCK_FAULT_NONE);
        return;
    }
    if (anthropic && id.n == 0) {
        mock_anthropic_models(hub->models, hub->model_count, &m->frame);
    } else if (!mock_openai_models(&v.ask, id, hub->models, hub->model_count, &m->frame, &v.why)) {
        refuse(&v, MOCK_FAULT_NONE);
        return;
    }
    mock_count_outcome(hub, MOCK_COMPLETED);
    server_answer(
        q, 200, head_fields(m, v.wire, "application/json", request_id), buf_str(&m->frame));
}

static void
handle_own(struct mock *m, struct server_request *q, struct str path)
{
    const struct http_head *head = server_head(q);
    uint64_t last = UINT64_MAX;

    buf_reset(&m->frame, FRAME_KEEP_BYTES);
    if (str_eq(path, S("/mock/stats"))) {
        mock_write_stats(m->hub, &m->frame);
    } else if (str_eq(path, S("/mock/requests"))) {
        str_u64(http_query_get(m->scratch, head->query, S("last")), &last);
        mock_write_requests(m->hub, last, &m->frame);
    } else if (str_eq(path, S("/mock/reset")) && str_eq(head->method, S("POST"))) {
        mock_hub_reset(m->hub);
        buf_add(&m->frame, S("{}"));
    } else {
        buf_add(&m->frame,
            S("{\"error\":\"GET /mock/stats, GET /mock/requests?last=N or POST /mock/reset\"}"));
        answer_plain(m, q, 404);
        return;
    }
    answer_plain(m, q, 200);
}

static void
handle_other(struct mock *m, struct server_request *q, struct str path)
{
    struct arena_mark mark = arena_mark(m->scratch);
    struct call v;

    begin_call(&v, m, q);
    if (str_eq(path, S("/models"))) {
        handle_models(m, q, (struct str){ NULL, 0 });
    } else if (str_starts(path, S("/models/"))) {
        handle_models(m, q, http_decode_percent(m->scratch, str_skip(path, strlen("/models/"))));
    } else {
        mock_count_add(&m->hub->count.requests, 1);
        mock_remember(m->hub, v.ask.head, (struct str){ NULL, 0 });
        v.why = (struct mock_refusal){
            .status = 404,
            .message = arena_printf(m->scratch, "Invalid URL (" STR_FMT " " STR_FMT ")",
                STR_ARG(v.ask.head->method),
                STR_ARG(str_make(v.ask.head->path.p, MIN(v.ask.head->path.n, 200)))),
        };
        refuse(&v, MOCK_FAULT_NONE);
    }
    arena_rewind(m->scratch, mark);
}

/* --- the server's callbacks --- */

static void
on_request(void *owner, struct server_request *q)
{
    struct mock *m = owner;
    const struct http_head *head = server_head(q);
    struct str path = route_path(head->path);

    server_set_user(q, NULL);
    if (str_starts(path, S("/mock/"))) {
        struct arena_mark mark = arena_mark(m->scratch);
        handle_own(m, q, path);
        arena_rewind(m->scratch, mark);
    } else if (!str_eq(head->method, S("POST"))) {
        handle_other(m, q, path);
    } else if (server_receive(q)) {
        handle_post(m, q);
    }
}

static void
on_body(void *owner, struct server_request *q)
{
    handle_post(owner, q);
}

static void
on_body_failed(void *owner, struct server_request *q, enum err why)
{
    struct mock *m = owner;
    struct call v;

    begin_call(&v, m, q);
    mock_count_add(&m->hub->count.requests, 1);
    refuse_with(&v, err_row(why)->status, NULL, err_row(why)->sentence);
}

static void
on_writable(void *owner, struct server_request *q)
{
    (void)owner;
    if (server_user(q) != NULL)
        mock_answer_writable(server_user(q));
}

static void
on_gone(void *owner, struct server_request *q)
{
    (void)owner;
    if (server_user(q) != NULL)
        mock_answer_gone(server_user(q));
}

static void
on_refused(void *owner UNUSED, const struct server_request *q UNUSED, enum err why UNUSED,
    const char *detail, struct buf *fields, struct buf *body)
{
    buf_add(fields, S("Content-Type: text/html\r\n"));
    buf_printf(body, "<html><body><h1>400 Bad Request</h1><p>%s</p></body></html>\n", detail);
}

/* --- start and stop --- */

struct mock *
mock_start(struct loop *l, struct str address, struct mock_hub *hub, char *why, size_t why_size)
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
    m->listener = listen_open(l, address, NULL, server_accept, m->server, why, why_size);
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

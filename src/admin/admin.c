/* admin.c - the routes of the admin API. */
#include "admin/admin.h"

#include <stdlib.h>
#include <unistd.h>

#include "admin/answer.h"
#include "admin/exchanges.h"
#include "admin/history.h"
#include "admin/openapi.h"
#include "admin/resources.h"
#include "admin/rules.h"
#include "admin/spending.h"
#include "admin/switch.h"
#include "admin/targets.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/url.h"
#include "conf/show.h"
#include "control/audit_log.h"
#include "control/steward.h"
#include "gateway/document.h"
#include "gateway/dry.h"
#include "gateway/past.h"
#include "gateway/reply.h"

#define ROLLBACK_PATIENCE_MS 30000
#define TEXT_BYTES_MOST (2u * 1024 * 1024)

struct admin {
    struct gateway *gateway;
    struct collector *collector;    /* the workers in their order, then the main thread */
    struct history *history;
    struct admin_control control;
    struct api api;          /* of resources */
    struct buf addresses;    /* a JSON array */
};

/* --- reading --- */

static void
get_exchanges(struct admin *a, struct exchange *x, struct str rest UNUSED)
{
    exchanges_answer(a->collector, a->gateway->workers, x);
}

/* One that has ended, by its id. */
static void
get_exchange(struct admin *a UNUSED, struct exchange *x, struct str id)
{
    struct str found;
    struct buf body;

    if (!past_find(x, id, true, &found))
        return;
    if (found.n == 0) {
        (void)exchange_fail(x, ERR_NO_ROUTE,
            "nothing is kept of a request with this id: the newest requests are, as many as "
            "observe.recent has room for");
        return;
    }
    buf_init(&body, found.n + 1);
    buf_add(&body, found);
    buf_add_c(&body, '\n');
    exchange_answer(x, 200, S("application/json"), buf_str(&body));
    buf_fini(&body);
}

/* How a request would be routed; nothing is sent. */
static void
post_explain(struct admin *a UNUSED, struct exchange *x, struct str rest UNUSED)
{
    const struct json *doc;
    struct str why = S("");
    struct buf body;

    if (!document_read(x, exchange_conf(x)->server.limit_body_bytes, &doc))
        return;
    buf_init(&body, TEXT_BYTES_MOST);
    if (dry_explain(x->hold->snapshot, x->hold->rules, x->request->llm.arena, doc, &body, &why) !=
        OK)
        (void)exchange_fail(x, ERR_BAD_REQUEST, STR_FMT, STR_ARG(why));
    else
        exchange_answer(x, 200, S("application/json"), buf_str(&body));
    buf_fini(&body);
}

static void
get_experiments(struct admin *a UNUSED, struct exchange *x, struct str rest UNUSED)
{
    const struct experiments *all = x->hold->snapshot->experiments;
    const struct experiment *e;
    struct buf body;
    struct json_out o = answer_begin(&body);

    out_key_array(&o, "experiments");
    for (size_t i = 0; (e = experiments_at(all, i)) != NULL; i++)
        experiment_write(&o, e);
    out_end_array(&o);
    answer_end(x, &o);
}

static void
get_health(struct admin *a, struct exchange *x, struct str rest UNUSED)
{
    health_answer(a->gateway, x);
}

static void
get_targets(struct admin *a, struct exchange *x, struct str rest UNUSED)
{
    targets_answer(a->collector, a->gateway, x);
}

static void
get_rules(struct admin *a, struct exchange *x, struct str rest UNUSED)
{
    rules_answer(a->collector, a->gateway, x);
}

/* The settings, unless a secret is where none belongs. */
static void
write_settings(struct json_out *o, const struct snapshot *s)
{
    struct buf settings;
    struct json_out inner = json_out(&settings);

    buf_init(&settings, 8 * 1024 * 1024);
    conf_show(s->conf, &inner);
    if (secrets_in(s->secrets, buf_str(&settings)))
        out_text(o, "settings", S("(withheld: one of them contains a secret)"));
    else
        out_raw(o, "settings", buf_str(&settings));
    buf_fini(&settings);
}

static void
get_config(struct admin *a, struct exchange *x, struct str rest UNUSED)
{
    const struct snapshot *s = x->hold->snapshot;
    struct buf body;
    struct json_out o = answer_begin(&body);

    out_text(&o, "file", s->conf->path);
    history_write(a->history, &o);
    write_settings(&o, s);
    answer_end(x, &o);
}

/* What one worker has. */
struct under_way {
    unsigned exchanges, streams, connections, calls;
};

static void
tell_load(void *owner, struct str question UNUSED, struct collected *ret)
{
    const struct worker *w = owner;
    struct under_way load = { .exchanges = w->exchange_count, .streams = w->stream_count };

    if (w->server != NULL)
        load.connections = server_connections(w->server);
    load.calls = client_calls_open(w->client);
    buf_add(&ret->rows, str_make((const char *)&load, sizeof(load)));
}

static void
get_status(struct admin *a, struct exchange *x, struct str rest UNUSED)
{
    struct gateway *g = a->gateway;
    const struct collected *told;
    struct under_way sum = { 0 };
    struct buf body;

    if (!collect(a->collector, x, 0, g->workers, tell_load, S(""), ANSWER_PATIENCE_MS, &told))
        return;
    for (unsigned i = 0; i < g->workers; i++) {
        struct under_way load = { 0 };
        struct str row = buf_str(&told[i].rows);

        if (row.n == sizeof(load))
            memcpy(&load, row.p, sizeof(load));
        sum.exchanges += load.exchanges;
        sum.streams += load.streams;
        sum.connections += load.connections;
        sum.calls += load.calls;
    }
    struct json_out o = answer_begin(&body);

    out_text(&o, "version", S(OPENCLAW_VERSION));
    out_i64(&o, "pid", getpid());
    answer_time(&o, S("started"), g->started_wall_ms);
    out_text(&o, "state", atomic_load(&g->draining) ? S("draining") : S("ok"));
    out_raw(&o, "addresses", buf_str(&a->addresses));
    out_i64(&o, "workers", g->workers);
    answer_silent(&o, told, g->workers);
    out_text(&o, "file", x->hold->snapshot->conf->path);
    out_i64(&o, "generation", (int64_t)x->hold->snapshot->generation);
    uint64_t from = history_from(a->history);
    if (from != 0)
        out_i64(&o, "rolled_back_to", (int64_t)from);
    else
        out_null(&o, "rolled_back_to");
    out_i64(&o, "chaos_faults", (int64_t)x->hold->snapshot->conf->chaos.fault_count);
    out_i64(&o, "reloads", (int64_t)atomic_load(&g->reloads_ok));
    out_i64(&o, "reloads_refused", (int64_t)atomic_load(&g->reloads_failed));
    /* this request is one of them */
    out_i64(&o, "exchanges", (int64_t)sum.exchanges - 1);
    out_i64(&o, "streams", sum.streams);
    out_i64(&o, "connections", sum.connections);
    out_i64(&o, "upstream_calls", sum.calls);
    if (g->steward != NULL) {
        out_key(&o, "store");
        out_object(&o);
        steward_write(g->steward, &o);
        out_end(&o);
    }
    out_i64(&o, "held_bytes", (int64_t)quota_held(&g->held));
    out_i64(&o, "resident_bytes", (int64_t)memory_resident_bytes());
    answer_end(x, &o);
}

/* --- changing --- */

static void
do_rollback(void *owner, struct str question, struct collected *ret)
{
    struct admin *a = owner;
    uint64_t generation = 0;
    struct buf text;

    (void)str_u64(question, &generation);
    buf_init(&text, TEXT_BYTES_MOST);
    if (!history_find(a->history, &generation, &text))
        buf_add(&ret->rows, S("this generation is not kept any more"));
    else if (a->control.rollback(a->control.owner, buf_str(&text), generation, &ret->rows))
        ret->count = generation;
    buf_fini(&text);
}

static void
post_rollback(struct admin *a, struct exchange *x, struct str rest)
{
    const unsigned main_thread = a->gateway->workers;
    const struct collected *told;
    uint64_t generation = 0;
    struct buf text;

    if (rest.n != 0 && !str_u64(rest, &generation)) {
        (void)exchange_fail(x, ERR_BAD_REQUEST, "the generation is not a number");
        return;
    }
    if (x->admin == NULL) {
        buf_init(&text, TEXT_BYTES_MOST);
        bool found = history_find(a->history, &generation, &text);
        buf_fini(&text);
        if (!found && rest.n == 0)
            (void)exchange_fail(x, ERR_NO_ROUTE,
                "there is no earlier configuration that differs from the one in force");
        else if (!found)
            (void)exchange_fail(x, ERR_NO_ROUTE,
                "generation %llu is not kept; GET /admin/v1/config lists those that are",
                (unsigned long long)generation);
        if (!found)
            return;
    }
    struct str question = arena_printf(x->arena, "%llu", (unsigned long long)generation);
    if (!collect(a->collector, x, main_thread, main_thread + 1, do_rollback, question,
            ROLLBACK_PATIENCE_MS, &told))
        return;
    if (!told->answered) {
        (void)exchange_fail(x, ERR_OVERLOADED,
            "the main thread is busy; the log says whether the rollback took place");
        return;
    }
    if (told->count == 0) {
        (void)exchange_fail(x, ERR_BAD_REQUEST,
            "the rollback was refused, and the configuration in use stays: " STR_FMT,
            STR_ARG(str_trim(buf_str(&told->rows))));
        return;
    }
    struct buf body;
    struct json_out o = answer_begin(&body);

    out_i64(&o, "rolled_back_to", (int64_t)told->count);
    out_i64(&o, "generation", (int64_t)atomic_load(&a->gateway->generation));
    answer_end(x, &o);
}

static void
get_spending(struct admin *a, struct exchange *x, struct str rest UNUSED)
{
    spending_answer(a->gateway, x);
}

static void
post_off(struct admin *a UNUSED, struct exchange *x, struct str rest)
{
    switch_answer(x, rest, true);
}

static void
post_on(struct admin *a UNUSED, struct exchange *x, struct str rest)
{
    switch_answer(x, rest, false);
}

/* --- which of these --- */

static void
get_openapi(struct exchange *x)
{
    struct buf body;

    buf_init(&body, TEXT_BYTES_MOST);
    openapi_write(&body);
    exchange_answer(x, 200, S("application/json"), buf_str(&body));
    buf_fini(&body);
}

/* A path that ends in '/' has something after it. */
static const struct admin_route {
    struct str method, path;
    enum subject subject;
    enum verb verb;    /* what a role must be granted of it */
    void (*answer)(struct admin *a, struct exchange *x, struct str rest);
} routes[] = {
#define ROUTE(method, path, rest, subject, verb, function, help)                                   \
    { S_INIT(method), S_INIT(path), SUBJECT_##subject, VERB_##verb, function },
#include "admin/routes.def"
};

static bool
is_route(const struct admin_route *r, struct str path)
{
    return str_ends(r->path, S("/")) ? str_starts(path, r->path) && path.n > r->path.n
                                     : str_eq(path, r->path);
}

/* False after refusing it. */
static bool
is_granted(struct exchange *x, enum subject subject, enum verb verb)
{
    enum role role = resources_actor(x).role;

    if (role_reach(role, subject, verb) == REACH_ALL)
        return true;
    (void)exchange_fail(x, ERR_FORBIDDEN,
        "the role " STR_FMT " may not " STR_FMT
        " the gateway; owner and admin may, and auditor may "
        "read; the local socket (server.admin_socket) is always the owner's",
        STR_ARG(role_name(role)), STR_ARG(verb_name(verb)));
    return false;
}

/* Notes for the audit record what was changed, or was to be. */
static void
note_act(const struct admin *a, struct exchange *x, const struct admin_route *r, struct str path,
    bool granted)
{
    struct str name = str_ends(r->path, S("/")) ? str_make(r->path.p, r->path.n - 1) : r->path;

    audit_note(
        a->gateway->audit, &(struct audit_event){ .actor = resources_actor(x).id,
                               .action = exchange_join(x, S("gateway."), name, S("")),
                               .object = exchange_shown(x, str_skip(path, MIN(r->path.n, path.n))),
                               .outcome = !granted         ? S("refused")
                                          : x->error != OK ? S("failed")
                                                           : S("done"),
                               .request_id = x->id });
}

static void
answer(void *owner, struct exchange *x)
{
    const struct admin *a = owner;
    struct str path = endpoint_star(x->endpoint, x->path.text);
    struct str method = str_eq(x->method, S("HEAD")) ? S("GET") : x->method;
    const struct admin_route *near = NULL;

    if (x->endpoint == &endpoints[ENDPOINT_openapi]) {
        get_openapi(x);
        return;
    }
    if (api_is_path(path)) {
        resources_answer(&a->api, x, path);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        const struct admin_route *r = &routes[i];

        if (!is_route(r, path))
            continue;
        near = r;
        if (!str_eq(r->method, method))
            continue;
        bool granted = is_granted(x, r->subject, r->verb);
        if (granted)
            r->answer(owner, x, url_decode(x->arena, str_skip(path, r->path.n)));
        if (r->verb != VERB_READ && (x->answered || x->error != OK))
            note_act(a, x, r, path, granted);
        return;
    }
    if (near != NULL)
        (void)exchange_fail(x, ERR_METHOD,
            "/admin/v1/" STR_FMT " supports " STR_FMT ", not " STR_FMT, STR_ARG(near->path),
            STR_ARG(near->method), STR_ARG(x->method));
    else
        (void)exchange_fail(
            x, ERR_NO_ROUTE, "the admin API has no route " STR_FMT, STR_ARG(x->path.text));
}

/* --- its life --- */

struct admin *
admin_create(struct gateway *g)
{
    struct admin *a = check_alloc(calloc(1, sizeof(*a)));

    a->gateway = g;
    a->collector = collector_create();
    a->history = history_create();
    buf_init(&a->addresses, 64 * 1024);
    g->admin = answer;
    g->admin_owner = a;
    g->collector = a->collector;
    return a;
}

void
admin_open(struct admin *a, struct worker *const *workers, const struct admin_control *control)
{
    struct json_out o = json_out(&a->addresses);

    a->control = *control;
    a->api = (struct api){
        .resources = control->resources, .audit = a->gateway->audit, .pepper = control->pepper
    };
    for (unsigned i = 0; i < a->gateway->workers; i++)
        collector_add(a->collector, workers[i]->loop, workers[i]);
    collector_add(a->collector, control->loop, a);
    out_array(&o);
    for (size_t i = 0; worker_address(workers[0], i).n != 0; i++)
        out_text_value(&o, worker_address(workers[0], i));
    out_end_array(&o);
}

void
admin_note_loaded(struct admin *a, uint64_t generation, uint64_t from, struct str text)
{
    history_add(a->history, generation, from, text);
}

void
admin_close(struct admin *a)
{
    if (a != NULL)
        collector_close(a->collector);
}

void
admin_destroy(struct admin *a)
{
    if (a == NULL)
        return;
    collector_destroy(a->collector);
    history_destroy(a->history);
    buf_fini(&a->addresses);
    free(a);
}

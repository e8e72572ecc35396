/* local.c - requests that the gateway answers itself, without a provider. */
#include "gateway/local.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/url.h"
#include "catalog/catalog.h"
#include "control/audit_log.h"
#include "control/steward.h"
#include "gateway/browser.h"
#include "gateway/details.h"
#include "gateway/listing.h"
#include "gateway/feedback.h"
#include "gateway/reply.h"
#include "gateway/router.h"
#include "llm/count.h"
#include "route/show.h"
#include "store/ledger.h"

#define DOCUMENT_BYTES (16u * 1024 * 1024)
#define DETAILS_BYTES (64u * 1024)    /* of a model in a list */

static void
answer_json(struct exchange *x, int status, struct buf *body)
{
    exchange_answer(x, status, S("application/json"), buf_str(body));
    buf_fini(body);
}

/* Liveness: do the workers' event loops run? The state of providers does not matter. */
static void
local_livez(struct exchange *x)
{
    if (atomic_load_explicit(&x->worker->gateway->stalled, memory_order_relaxed) != 0) {
        exchange_answer(x, 503, S("application/json"), S("{\"status\":\"a worker is stuck\"}\n"));
        return;
    }
    exchange_answer(x, 200, S("application/json"), S("{\"status\":\"ok\"}\n"));
}

/* ,"health":[...]: the circuit breakers of the providers. */
static void
add_health(struct buf *b, const struct providers *all)
{
    uint64_t now_ms = clock_now_ms();
    const struct provider *p;
    struct json_out o = json_out(b);

    o.comma = true;
    out_key_array(&o, "health");
    for (size_t i = 0; (p = providers_at(all, i)) != NULL; i++) {
        struct health_table *t = health_table_of(p);
        struct health_view view = health_look(health_provider(t), now_ms);

        out_object(&o);
        out_text(&o, "provider", p->id);
        health_write(&o, &view, now_ms);
        out_end(&o);
        health_table_drop(t);
    }
    out_end_array(&o);
}

/* ,"store":{...}: where it is and why it is away, for those who may know. */
static void
add_store(struct buf *b, struct steward *s, bool with_details)
{
    struct json_out o = json_out(b);

    if (s == NULL)
        return;
    o.comma = true;
    out_key(&o, "store");
    out_object(&o);
    if (with_details)
        steward_write(s, &o);
    else
        out_text(&o, "state", str_c(steward_state_name(steward_state(s))));
    out_end(&o);
}

/* Which providers there are, and how they do, is for those who may read /metrics. */
static bool
may_see_health(const struct exchange *x)
{
    struct str host = http_field_get(&server_head(x->q)->fields, S("host"));

    if (server_role(x->q) != 0)
        return true;
    return !x->worker->has_admin &&
           (exchange_conf(x)->auth.mode != AUTH_NONE || str_eq(x->client_ip, S("unix")) ||
               browser_is_our_host(&exchange_conf(x)->server, host));
}

/* Readiness: fails while draining. */
static void
local_readyz(struct exchange *x)
{
    const struct gateway *g = x->worker->gateway;
    bool draining = atomic_load(&g->draining);
    bool verbose = str_find(server_head(x->q)->query, S("verbose")) != server_head(x->q)->query.n;
    struct buf b;

    buf_init(&b, DOCUMENT_BYTES);
    buf_printf(&b, "{\"status\":\"%s\"", draining ? "draining" : "ok");
    if (verbose)
        buf_printf(&b,
            ",\"configuration_generation\":%llu,\"providers\":\"%s\",\"draining\":%s,\"memory_level\":%u,\"chaos_faults\":%zu",
            (unsigned long long)x->hold->snapshot->generation,
            providers_simulated(x->hold->snapshot->providers) ? "simulated" : "configured",
            draining ? "true" : "false", atomic_load(&g->memory_level),
            x->hold->snapshot->conf->chaos.fault_count);
    if (verbose)
        add_store(&b, g->steward, may_see_health(x));
    if (verbose && may_see_health(x))
        add_health(&b, x->hold->snapshot->providers);
    buf_add(&b, S("}\n"));
    answer_json(x, draining ? 503 : 200, &b);
}

static void
local_metrics(struct exchange *x)
{
    struct gateway *g = x->worker->gateway;
    struct steward_status store = { .state = STEWARD_OFF };

    if (g->steward != NULL)
        steward_status(g->steward, &store);
    const struct ledger_state books =
        g->ledger != NULL ? ledger_state(g->ledger) : (struct ledger_state){ 0 };
    const struct metric_extra extra[] = {
        { "openclaw_journal_slots", "gauge",
            "Requests that the journals have room for (store.journal.size); 0: there are none.",
            (double)books.slots },
        { "openclaw_journal_used", "gauge",
            "Requests in the journals: under way, or not in the ledger yet.", (double)books.used },
        { "openclaw_ledger_rows_total", "counter", "Rows written into the ledger.",
            (double)books.rows },
        { "openclaw_ledger_recovered_total", "counter",
            "Of them, those of gateways that had died before they settled.",
            (double)books.recovered },
        { "openclaw_ledger_estimated_total", "counter",
            "Of those, the ones that were booked at their reservation.", (double)books.estimated },
        { "openclaw_ledger_unreadable_total", "counter",
            "Records of journals that could not be read, and are lost.", (double)books.unreadable },
        { "openclaw_ledger_seconds_total", "counter", "Processor time for writing the ledger.",
            (double)books.busy_us / 1e6 },
        { "process_resident_memory_bytes", "gauge", "Resident memory of the process.",
            (double)memory_resident_bytes() },
        { "process_cpu_seconds_total", "counter", "Processor time of the process, all threads.",
            metrics_cpu_seconds() },
        { "process_start_time_seconds", "gauge", "When the process started, Unix time.",
            (double)g->started_wall_ms / 1000 },
        { "openclaw_configuration_generation", "gauge",
            "Number of configurations loaded since the start.",
            (double)atomic_load(&g->generation) },
        { "openclaw_reloads_total", "counter", "Successful reloads.",
            (double)atomic_load(&g->reloads_ok) },
        { "openclaw_reload_failures_total", "counter", "Reloads refused because the file was bad.",
            (double)atomic_load(&g->reloads_failed) },
        { "openclaw_worker_stalls_total", "counter",
            "Times that a worker's event loop was blocked for five seconds.",
            (double)atomic_load(&g->stalls) },
        { "openclaw_workers_stalled", "gauge", "Workers whose event loop is blocked now.",
            (double)atomic_load(&g->stalled) },
        { "openclaw_held_bytes", "gauge", "Bytes held for requests and answers in progress.",
            (double)quota_held(&g->held) },
        { "openclaw_held_refused_total", "counter",
            "Requests and answers refused because limits.held was reached.",
            (double)quota_refused(&g->held) },
        { "openclaw_memory_ceiling_bytes", "gauge",
            "Resident memory near which new requests are refused (server.limits.memory); 0: none.",
            (double)atomic_load(&g->memory_ceiling) },
        { "openclaw_memory_level", "gauge",
            "What the ceiling refuses: 0 nothing, 1 low, 2 normal, 3 all priorities.",
            (double)atomic_load(&g->memory_level) },
        { "openclaw_access_log_dropped_total", "counter",
            "Access log lines that could not be written.",
            g->access_file != NULL ? (double)log_file_dropped(g->access_file) : 0 },
        { "openclaw_store_up", "gauge",
            "0 while there is a store (store.url) that cannot be used; else 1.",
            store.state == STEWARD_UP || store.state == STEWARD_OFF ? 1 : 0 },
        { "openclaw_store_outages_total", "counter", "Times that the store stopped being usable.",
            (double)store.outages },
        { "openclaw_audit_lost_total", "counter",
            "Administrative acts that are not in the audit record, for lack of room.",
            g->audit != NULL ? (double)audit_log_lost(g->audit) : 0 },
        { "openclaw_steward_jobs", "gauge", "Jobs that wait for the store's thread.",
            (double)store.waiting },
        { "openclaw_steward_jobs_refused_total", "counter",
            "Jobs for the store refused because too many waited.", (double)store.refused },
        { "openclaw_steward_cpu_seconds_total", "counter", "Processor time of the store's thread.",
            store.cpu_s },
        { "openclaw_sockets_open", "gauge", "Open sockets, to clients and providers.",
            (double)sock_open_count() },
        { "openclaw_connections_shed_total", "counter",
            "Connections closed at once because file descriptors ran out.",
            (double)listen_shed_count() },
        { "openclaw_draining", "gauge", "1 while shutting down.",
            atomic_load(&g->draining) ? 1 : 0 },
    };
    struct buf b;

    if (!exchange_conf(x)->observe.metrics) {
        (void)exchange_fail(x, ERR_NO_ROUTE, "metrics are disabled (observe.metrics)");
        return;
    }
    buf_init(&b, DOCUMENT_BYTES);
    metrics_write(g->metrics, extra, ARRAY_LEN(extra), &b);
    experiments_write_metrics(x->hold->snapshot->experiments, &b);
    exchange_answer(x, 200, S(METRICS_CONTENT_TYPE), buf_str(&b));
    buf_fini(&b);
}

static void
local_admin(struct exchange *x)
{
    const struct gateway *g = x->worker->gateway;

    if (g->admin != NULL)
        g->admin(g->admin_owner, x);
    else
        (void)exchange_fail(x, ERR_NO_ROUTE, "there is no admin API here");
}

static void
local_root(struct exchange *x)
{
    struct buf b;

    buf_init(&b, 64 * 1024);
    buf_add(&b, S("{\"name\":\"openclaw\",\"version\":\"" OPENCLAW_VERSION "\",\"routes\":["));
    for (size_t i = 0; i < ENDPOINT_none; i++) {
        if (i != 0)
            buf_add_c(&b, ',');
        json_add_str(&b, arena_printf(x->arena, STR_FMT " " STR_FMT, STR_ARG(endpoints[i].method),
                             STR_ARG(endpoints[i].path)));
    }
    buf_add(&b, S("]}\n"));
    answer_json(x, 200, &b);
}

void
local_count(void *request)
{
    struct request *r = request;

    r->uncounted = llm_request_expand(&r->llm, &r->fault);
    if (r->uncounted == OK)
        r->input_estimate = llm_request_count_tokens(&r->llm, r->tokenizer);
}

void
local_count_tokens(struct exchange *x)
{
    const struct request *r = x->request;
    struct buf b;

    if (r->uncounted != OK) {
        (void)exchange_fail_with(x, &(struct llm_error){ .kind = r->uncounted,
                                        .message = r->fault.message,
                                        .param = r->fault.param,
                                        .quotes = true });
        return;
    }
    buf_init(&b, 4096);
    x->wire->caller->write_token_count(&b, r->input_estimate);
    answer_json(x, 200, &b);
}

/* --- the list of models --- */

struct model_list {
    struct exchange *x;
    const struct wire_caller *caller;
    struct buf *out;
    struct buf details;    /* of a model; empty between two */
    struct wire_page page;
    struct str mark;    /* find_mark(): the id that is looked for */
    bool marked;        /* it was found */
    uint64_t skip;      /* entries to skip first */
    bool backwards;     /* `page.more` refers to entries before the page */
    size_t count;
};

/* What is known of the model; of an alias, nothing. */
static void
add_details(struct exchange *x, struct buf *out, struct str id)
{
    const struct catalog *catalog = providers_catalog(x->hold->snapshot->providers);

    details_write(out, catalog_model(catalog, id), (int64_t)(clock_wall_ms() / 1000));
}

static void
list_model(void *arg, struct str id, struct str owner)
{
    struct model_list *l = arg;

    if (!auth_allows_model(l->x->who, id))
        return;
    if (l->skip > 0) {
        l->skip--;
        return;
    }
    if (l->count == l->page.limit) {
        l->page.more = l->page.more || !l->backwards;
        return;
    }
    if (l->count++ != 0)
        buf_add_c(l->out, ',');
    add_details(l->x, &l->details, id);
    l->caller->write_model(l->out, id, owner, buf_str(&l->details));
    buf_reset(&l->details, 0);
    if (l->caller->read_page == NULL)
        return;
    l->page.last = arena_str(l->x->arena, id);
    if (l->page.first.n == 0)
        l->page.first = l->page.last;
}

/* Counts the names before the mark. */
static void
find_mark(void *arg, struct str id, struct str owner UNUSED)
{
    struct model_list *l = arg;

    if (!auth_allows_model(l->x->who, id))
        return;
    l->marked = l->marked || str_eq(id, l->mark);
    if (!l->marked)
        l->count++;
}

/* The page: `limit` entries from the start, after one id or before another. An id that is not in
 * the list counts as being at its end. */
static void
choose_page(struct exchange *x, struct model_list *l)
{
    struct wire_page *page = &l->page;

    l->caller->read_page(x->arena, server_head(x->q)->query, page);
    struct model_list look = { .x = x, .mark = page->before.n != 0 ? page->before : page->after };

    if (look.mark.n == 0)
        return;
    models_each(x->hold->snapshot, find_mark, &look);
    if (page->before.n == 0) {
        l->skip = look.count + 1;
    } else {
        l->skip = look.count > page->limit ? look.count - page->limit : 0;
        page->limit = look.count - l->skip;
        l->backwards = true;
        page->more = l->skip > 0;
    }
}

static void
local_models(struct exchange *x)
{
    struct buf b;
    struct model_list l = {
        .x = x, .caller = x->wire->caller, .out = &b, .page.limit = UINT64_MAX
    };

    if (listing_must_wait(x))
        return;
    if (l.caller->read_page != NULL)
        choose_page(x, &l);
    buf_init(&b, DOCUMENT_BYTES);
    buf_init(&l.details, DETAILS_BYTES);
    buf_add(&b, l.caller->models_begin);
    models_each(x->hold->snapshot, list_model, &l);
    buf_fini(&l.details);
    l.caller->write_models_end(&b, &l.page);
    answer_json(x, 200, &b);
}

/* --- what Ollama's clients ask --- */

static void
local_ollama_ps(struct exchange *x)
{
    exchange_answer(x, 200, S("application/json"), S("{\"models\":[]}"));
}

/* The version whose protocol we speak. */
static void
local_ollama_version(struct exchange *x)
{
    exchange_answer(x, 200, S("application/json"), S("{\"version\":\"0.12.0\"}"));
}

void
local_ollama_show(struct exchange *x)
{
    const struct target *t = x->plan.list[0].target;
    int64_t context = t->facts != NULL ? t->facts->context_tokens : 0;
    struct buf b;

    buf_init(&b, DOCUMENT_BYTES);
    buf_add(&b,
        S("{\"modelfile\":\"\",\"parameters\":\"\",\"template\":\"\",\"details\":{\"format\":\"\","
          "\"family\":\"\"},\"model_info\":{\"general.architecture\":\"openclaw\""));
    if (context != 0)
        buf_printf(&b, ",\"openclaw.context_length\":%lld", (long long)context);
    buf_add(&b, t->wire.traits.embedding == YES
                    ? S("},\"capabilities\":[\"embedding\"")
                    : S("},\"capabilities\":[\"completion\",\"tools\""));
    if (t->wire.traits.reasoning == YES)
        buf_add(&b, S(",\"thinking\""));
    buf_add(&b, S("]}"));
    answer_json(x, 200, &b);
}

/* Any name that can be routed is a model, whether it is listed or not. */
static void
local_model(struct exchange *x)
{
    struct str id = url_decode(x->arena, endpoint_star(x->endpoint, x->path.text));
    struct route_found found;
    struct str why = S("this model does not exist; GET /v1/models lists the models");
    struct buf b, details;

    if (id.n == 0 || id.n > MODEL_BYTES || !auth_allows_model(x->who, id) ||
        route_find(x->hold->snapshot->routes, x->arena, id, &found, &why) != OK) {
        (void)exchange_fail(x, ERR_NO_MODEL, STR_FMT, STR_ARG(why));
        return;
    }
    struct str owner = found.alias != NULL ? S("openclaw") : found.target->provider->id;

    buf_init(&b, 64 * 1024);
    buf_init(&details, DETAILS_BYTES);
    if (found.alias == NULL)
        details_write(&details, found.target->facts, (int64_t)(clock_wall_ms() / 1000));
    x->wire->caller->write_model(&b, id, owner, buf_str(&details));
    buf_fini(&details);
    answer_json(x, 200, &b);
}

/* --- which of these --- */

void
local_answer(struct exchange *x)
{
#define LOCAL(function) function
#define STAGES NULL
#define STREAM NULL
#define ENDPOINT(id, method, base, path, wire, kind, model, op, local) [ENDPOINT_##id] = local,
    static void (*const answers[ENDPOINT_COUNT])(struct exchange * x) = {
#include "gateway/endpoints.def"
    };
#undef ENDPOINT

    answers[endpoint_number(x->endpoint)](x);
}

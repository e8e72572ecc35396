/* worker.c - sets up a worker, runs its tick and handles messages from the main thread. */
#include "gateway/worker.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/list.h"
#include "base/map.h"
#include "control/keyring.h"
#include "gateway/endpoints.h"
#include "net/dns.h"

#define TRIM_AFTER_EXCHANGES 256
#define TRIM_AFTER_BYTES (8u * 1024 * 1024)
#define TRIM_EVERY_US 1000000
#define TRIM_LEAST_BYTES (1024u * 1024)    /* what is left of large requests, when there are no more */
#define TRIM_REST_US 5000000
#define MMAP_BYTES (1024 * 1024)
#define SCRATCH_BYTES (256u * 1024 * 1024)
#define SCRATCH_PAGE_BYTES (16u * 1024)    /* most events need no more */
#define TEXT_BYTES (8u * 1024 * 1024)
#define TICK_MS 1000
#define TICK_SOON_MS 50

/* --- what is done from time to time --- */

static unsigned
listeners_open(const struct worker *w)
{
    unsigned n = 0;

    for (size_t i = 0; i < w->listener_count; i++)
        n += !listen_finished(w->listeners[i]);
    return n;
}

static void
publish(struct worker *w)
{
    struct metric_shard *m = w->metrics;
    unsigned connections = server_connections(w->server);
    struct dns_stats dns = dns_stats(w->loop);

    metric_set(&m->exchanges, w->exchange_count);
    metric_set(&m->streams, w->stream_count);
    metric_set(&m->queued, w->queue != NULL ? lines_count(w->queue) : 0);
    metric_set(&m->open_connections, connections);
    metric_set(&m->connections_dropped, server_dropped(w->server));
    metric_set(&m->upstream_calls, client_calls_open(w->client));
    metric_set(&m->upstream_idle, client_idle(w->client));
    metric_set(&m->messages_dropped, loop_dropped(w->loop));
    metric_set(&m->dns_lookups, dns.lookups);
    metric_set(&m->dns_failures, dns.failures);
    metric_set(&m->dns_stale, dns.stale);
    atomic_store_explicit(&w->busy,
        w->exchange_count + (w->draining ? connections + listeners_open(w) : 0),
        memory_order_relaxed);
}

/* Freed memory lies between blocks that are still in use. After a peak of exchanges, and from time
 * to time after large requests, its pages are given back to the system. */
static void
trim_memory(struct worker *w, uint64_t now_us)
{
    w->peak = MAX(w->peak, w->exchange_count);
    bool after_peak = w->exchange_count == 0 && w->peak >= TRIM_AFTER_EXCHANGES;

    bool much = after_peak || w->freed_bytes >= TRIM_AFTER_BYTES;

    if (!much && w->freed_bytes < TRIM_LEAST_BYTES)
        return;
    if (now_us < w->trimmed_us + (much ? TRIM_EVERY_US : TRIM_REST_US))
        return;
    w->peak = 0;
    w->freed_bytes = 0;
    w->trimmed_us = now_us;
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

/* Another worker had too many callers and none that was idle: perhaps this one has. */
static void
make_room_for_others(struct worker *w)
{
    unsigned crowds = listen_crowds();

    if (w->crowds == crowds)
        return;
    w->crowds = crowds;
    (void)server_make_room(w->server);
}

static void do_reload(void *arg);

/* Fetches the credentials that are due, of the providers in force. */
static void
keep_credentials(struct worker *w)
{
    const struct providers *all = w->current->snapshot->providers;
    const struct provider *p;

    for (size_t i = 0; (p = providers_at(all, i)) != NULL; i++)
        if (UNLIKELY(p->identity != NULL))
            (void)keeper_look(&w->keeper, p->identity, false);
}

/* Asks the issuers of tokens whose keys are old. */
static void
keep_issuers(struct worker *w)
{
    const struct tokens *all = w->current->snapshot->tokens;
    struct issuer *one;

    for (size_t i = 0; (one = tokens_issuer(all, i)) != NULL; i++)
        (void)issuer_look(&w->issuers, one, false);
}

static void
on_tick(void *arg)
{
    struct worker *w = arg;
    uint64_t now_us = clock_now_us();

    access_log_flush(&w->access);
    quota_share_trim(&w->held);
    make_room_for_others(w);
    do_reload(w);
    if (w->index == 0) {
        keep_credentials(w);
        keep_issuers(w);
    }
    if (w->index == 0 && !w->draining)
        probe_look(&w->prober, w->current->snapshot, now_us / 1000);
    w->gateway->events->tick(w);
    publish(w);
    trim_memory(w, now_us);
    atomic_store_explicit(&w->turned_ms, now_us / 1000, memory_order_relaxed);
    timer_set_by(&w->tick, loop_now_ms(w->loop) + (w->draining ? TICK_SOON_MS : TICK_MS));
}

void
worker_note_uses(struct worker *w)
{
    struct keyring_uses *uses = w->uses;

    if (uses == NULL)
        return;
    callers_report_used(w->callers, keyring_uses_add, uses);
    w->uses = keyring_uses_create();
    callers_report_used(w->callers, keyring_uses_add, w->uses);    /* from now on */
    keyring_uses_write(w->gateway->steward, uses);
}

void
worker_stir(struct worker *w)
{
    if (w->server != NULL)    /* else it is being stopped */
        timer_set_by(&w->tick, loop_now_ms(w->loop) + TICK_SOON_MS);
}

/* Exchanges are settled at the end of a turn, or when a helper thread has finished with them; the
 * loop stops in a later turn. */
static void
do_stop_loop(void *arg)
{
    struct worker *w = arg;

    w->stopping = true;
    if (w->exchanges != NULL)
        return;    /* called again when the last one is settled */
    w->gateway->events->stop(w);
    if (w->lone != NULL) {    /* one ends by itself: now, or when its helper thread is done */
        loop_defer_next(w->loop, &w->end);
        return;
    }
    access_log_flush(&w->access);
    loop_stop(w->loop);
}

void
worker_add(struct worker *w, struct worker_link *x)
{
    LIST_ADD(w->exchanges, x);
    w->exchange_count++;
    worker_stir(w);
}

void
worker_remove(struct worker *w, struct worker_link *x)
{
    LIST_REMOVE(w->exchanges, x);
    w->at = NULL;
    w->exchange_count--;
    if (w->stopping && w->exchanges == NULL)
        loop_defer_next(w->loop, &w->end);
}

/* Thousands of streams wait at a time: for their first token with both arenas, then with one. A
 * chat request of 1 KB takes 850 bytes for what is made from it, and an exchange with an attempt
 * 2,340. Longer names and more fields take 512 bytes more, then 1,024. */
static const size_t first_bytes[ARENA_KINDS] = {
    [ARENA_EXCHANGE] = 2560 - 16,
    [ARENA_REQUEST] = 1280 - 16,
};

struct arena *
worker_take_arena(struct worker *w, enum worker_arena kind)
{
    struct worker_spares *s = &w->spares[kind];

    if (s->n != 0)
        return s->list[--s->n];

    struct arena *a = arena_create_sized(WORKER_ARENA_BYTES, first_bytes[kind]);

    arena_count_in(a, &w->held);
    return a;
}

void
worker_drop_arena(struct worker *w, struct arena *a, enum worker_arena kind)
{
    struct worker_spares *s = &w->spares[kind];

    if (a == NULL)
        return;
    w->freed_bytes += arena_held_bytes(a) - first_bytes[kind];
    if (s->n == WORKER_SPARE_ARENAS) {
        arena_destroy(a);
        return;
    }
    arena_reset(a);
    s->list[s->n++] = a;
}

struct metric_series_shard *
worker_series(struct worker *w, const struct target *t)
{
    bool known = t->facts != NULL || t->listed;
    struct str model = known ? t->wire.model : S("other");
    UNINITIALIZED char name[512];
    size_t n = t->provider->id.n;

    if (n + 1 + model.n > sizeof(name))
        model = S("other");
    CHECK(n + 1 + model.n <= sizeof(name));
    memcpy(name, t->provider->id.p, n);
    name[n++] = '\n';
    memcpy(name + n, model.p, model.n);
    struct str id = str_make(name, n + model.n);
    struct metric_series_shard *s = map_get(w->series, id);
    if (s == NULL) {
        s = metrics_series_shard(
            metrics_series(w->gateway->metrics, t->provider->id, model), w->index);
        (void)map_put(w->series, id, s);
    }
    return s;
}

/* --- initialisation --- */

static void
apply_limits(struct worker *w)
{
    const struct conf_server *c = &w->current->snapshot->conf->server;
    struct server_limits limits = {
        .head_bytes = c->limit_head_bytes,
        .line_bytes = MIN(c->limit_head_bytes, 8192),
        .fields = (unsigned)c->limit_fields,
        .body_bytes = c->limit_body_bytes,
        .head_ms = c->limit_head_ms,
        .idle_ms = c->limit_idle_ms,
        .body_grace_ms = 10000,
        .body_rate_bytes_per_s = c->limit_body_rate_bytes_per_s,
        .write_stall_ms = c->limit_write_stall_ms,
        .connections = (unsigned)c->limit_connections,
        .connections_per_address = (unsigned)c->limit_connections_per_address,
        .spares_local = c->limit_connections_per_address == CONF_CONNECTIONS_PER_ADDRESS,
        .body_ms = c->limit_body_ms,
        .held = &w->held,
    };

    /* the same for all workers, and large enough for one body */
    quota_set_limit(&w->gateway->held, MAX(c->limit_held_bytes, c->limit_body_bytes));
    server_set_limits(w->server, &limits);
}

/* What is kept of requests stays over a reload, unless its size changes. */
static void
apply_recent(struct worker *w)
{
    size_t bytes = w->current->snapshot->conf->observe.recent_bytes / w->gateway->workers;

    if (w->recent_bytes == bytes)
        return;
    recent_destroy(w->recent);
    w->recent = recent_create(bytes);
    w->recent_bytes = bytes;
}

static void
apply_thoughts(struct worker *w)
{
    const struct conf_server *c = &w->current->snapshot->conf->server;

    thoughts_set_limits(&w->gateway->thoughts, c->thoughts_bytes, c->thoughts_ms);
}

static void
apply_name_servers(struct worker *w)
{
    const struct conf_strs *from = &w->current->snapshot->conf->server.dns;
    struct str *list = check_alloc(calloc(from->count + 1, sizeof(*list)));

    for (size_t i = 0; i < from->count; i++)
        list[i] = from->list[i].v;
    dns_use_servers(w->loop, list, from->count);
    free(list);
}

static void
on_accept(void *owner, struct sock *s)
{
    struct worker *w = owner;

    metric_add(&w->metrics->connections, 1);
    server_accept(w->server, s);
}

static void
on_accept_admin(void *owner, struct sock *s)
{
    struct worker *w = owner;

    metric_add(&w->metrics->connections, 1);
    server_accept_role(w->server, s, WORKER_ROLE_ADMIN);
}

static void
on_accept_local(void *owner, struct sock *s)
{
    struct worker *w = owner;

    metric_add(&w->metrics->connections, 1);
    server_accept_role(w->server, s, WORKER_ROLE_LOCAL);
}

struct listen_options
worker_listen_options(const struct conf_server *c, struct str address)
{
    return (struct listen_options){
        .v6_only = conf_listens_v6_only(c, address),
        .unix_mode = c->unix_mode.v,
        .unix_owner = c->unix_owner.v,
        .unix_group = c->unix_group.v,
    };
}

static bool
on_crowd(void *owner)
{
    struct worker *w = owner;

    return server_make_room(w->server);
}

static bool
open_listener(struct worker *w, const struct worker *first, struct str address,
    struct tls_context *tls, listen_accept_fn *accept, struct why why)
{
    if (w->listener_count == GATEWAY_LISTENERS) {
        return why_say(why, "more than %d listen addresses", GATEWAY_LISTENERS);
    }
    const struct listen_options options =
        worker_listen_options(&w->current->snapshot->conf->server, address);
    if (first != NULL && str_ends(address, S(":0")))
        address = worker_address(first, w->listener_count);
    struct listener *li = listen_open_with(w->loop, address, &options, tls, accept, w, why);
    if (li == NULL)
        return false;
    listen_on_crowd(li, on_crowd);
    w->listeners[w->listener_count++] = li;
    return true;
}

struct worker *
worker_create(struct gateway *g, unsigned index, const struct worker *first,
    struct snapshot *snapshot, struct tls_context *tls, struct why why)
{
    const struct conf_server *c = &snapshot->conf->server;
    struct client_limits client_limits = {
        .head_bytes = 64 * 1024,
        .fields = 200,
        .pool = { .idle_per_origin = 256, .idle_total = 1024, .idle_ms = 60000, .age_ms = 600000 },
    };
    struct worker *w = check_alloc(calloc(1, sizeof(*w)));
    bool opened = true;

#ifdef __GLIBC__
    /* Large blocks are allocated with mmap(), so that they grow without being copied and leave no
     * holes. By default glibc raises the threshold for mmap() when such a block is freed. The price
     * is a page fault for each page, about half the CPU time of a body of 5 MB: from the heap, memory
     * would not go back to the system while streams lie between the freed blocks. */
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
#endif
    w->gateway = g;
    w->held.quota = &g->held;
    w->index = index;
    w->crowds = listen_crowds();
    w->loop = loop_create();
    w->metrics = metrics_shard(g->metrics, index);
    w->current = snapshot_hold_create(snapshot);
    w->server = server_create(w->loop, &g->events->server, w);
    w->client = client_create(w->loop, &client_limits);
    w->asker.loop = w->loop;
    w->asker.client = w->client;
    w->keeper = (struct keeper){ .loop = w->loop, .client = w->client };
    w->issuers = (struct issuer_asker){ .loop = w->loop, .client = w->client };
    w->tokens = token_cache_create();
    w->prober = (struct prober){ .loop = w->loop, .client = w->client };
    timer_init(&w->tick, w->loop, on_tick, w);
    w->end = (struct deferred){ .fn = do_stop_loop, .arg = w };
    w->throttle = throttle_create();
    if (g->directory != NULL) {
        w->callers = callers_create(g->directory);
        w->uses = keyring_uses_create();
        callers_report_used(w->callers, keyring_uses_add, w->uses);
    }
    w->series = map_create();
    w->scratch = arena_create_sized(SCRATCH_BYTES, SCRATCH_PAGE_BYTES);
    buf_init(&w->text, TEXT_BYTES);
    access_log_init(&w->access, g->access_file, g->access_form);
    thoughts_begin(&g->thoughts);
    apply_limits(w);
    apply_recent(w);
    apply_thoughts(w);
    apply_name_servers(w);
    for (size_t i = 0; opened && i < c->listen.count; i++)
        opened = open_listener(w, first, c->listen.list[i].v, tls, on_accept, why);
    w->tls_listeners = tls != NULL ? w->listener_count : 0;
    w->has_admin = c->admin_listen.v.n != 0;
    if (opened && w->has_admin)
        opened = open_listener(w, first, c->admin_listen.v, NULL, on_accept_admin, why);
    tls_context_unref(tls);
    if (!opened) {
        worker_join(w);
        return NULL;
    }
    return w;
}

static const struct listen_options local_options = { .unix_mode = S_INIT("0600") };

static struct str
local_address(struct str path, char room[static 256])
{
    int n = snprintf(room, 256, "unix:" STR_FMT, STR_ARG(path));

    return str_make(room, (size_t)MIN(n, 255));
}

bool
worker_hold_local(struct str path, struct bound **ret, struct why why)
{
    char room[256];

    return listen_hold(local_address(path, room), &local_options, ret, why);
}

static void
close_all(struct worker *w)
{
    listen_close(w->local);
    w->local = NULL;
    for (size_t i = 0; i < w->listener_count; i++)
        listen_close(w->listeners[i]);
    w->listener_count = 0;
}

static void
worker_main(void *arg)
{
    struct worker *w = arg;

    on_tick(w);
    loop_run(w->loop);
}

void
worker_start(struct worker *w)
{
    char name[16];

    (void)snprintf(name, sizeof(name), "worker-%u", w->index);
    w->thread = thread_start(name, worker_main, w);
}

/* A configuration on its way to the worker. */
struct reload {
    struct snapshot *snapshot;
    struct tls_context *tls;    /* NULL: none */
};

static void
reload_drop(struct reload *r)
{
    if (r == NULL)
        return;
    snapshot_unref(r->snapshot);
    tls_context_unref(r->tls);
    free(r);
}

void
worker_join(struct worker *w)
{
    if (w == NULL)
        return;
    if (w->thread != NULL)
        thread_join(w->thread);
    loop_take_posts(w->loop);    /* they act on what is taken apart here */
    close_all(w);
    models_stop(&w->asker);
    probe_stop(&w->prober);
    keeper_stop(&w->keeper);
    issuer_stop(&w->issuers);
    server_destroy(w->server);
    w->server = NULL;
    client_destroy(w->client);
    timer_stop(&w->tick);
    loop_destroy(w->loop);
    reload_drop(atomic_exchange(&w->reload, NULL));
    slots_fini(&w->awaiting);
    access_log_fini(&w->access);
    recent_destroy(w->recent);
    thoughts_end(&w->gateway->thoughts);
    for (size_t kind = 0; kind < ARENA_KINDS; kind++)
        while (w->spares[kind].n != 0)
            arena_destroy(w->spares[kind].list[--w->spares[kind].n]);
    quota_share_trim(&w->held);
    snapshot_hold_drop(w->current);
    lines_destroy(w->queue);
    throttle_destroy(w->throttle);
    token_cache_destroy(w->tokens);
    worker_note_uses(w);
    callers_destroy(w->callers);
    keyring_uses_destroy(w->uses);
    map_destroy(w->series);
    arena_destroy(w->scratch);
    buf_fini(&w->text);
    free(w);
}

/* --- messages from the main thread --- */

/* Takes the newest configuration that came, if any. */
static void
do_reload(void *arg)
{
    struct worker *w = arg;
    struct reload *r = atomic_exchange(&w->reload, NULL);

    if (r == NULL)
        return;
    snapshot_hold_drop(w->current);
    w->current = snapshot_hold_create(r->snapshot);
    apply_limits(w);
    apply_recent(w);
    apply_thoughts(w);
    apply_name_servers(w);
    if (r->tls != NULL)
        for (size_t i = 0; i < MIN(w->tls_listeners, w->listener_count); i++)
            listen_set_tls(w->listeners[i], r->tls);
    tls_context_unref(r->tls);
    free(r);
}

void
worker_reload(struct worker *w, struct snapshot *snapshot, struct tls_context *tls)
{
    struct reload *r = check_alloc(calloc(1, sizeof(*r)));

    *r = (struct reload){ .snapshot = snapshot, .tls = tls };
    reload_drop(atomic_exchange(&w->reload, r));
    (void)loop_post(w->loop, do_reload, w);    /* if there is no room, the next tick takes it */
}

/* What must arrive: waits until there is room. */
static void
tell(struct worker *w, void (*fn)(void *arg))
{
    while (!loop_post(w->loop, fn, w))
        (void)usleep(1000);
}

static void
do_open_local(void *arg)
{
    struct worker *w = arg;
    char room[256], why[256];

    if (w->local != NULL || w->server == NULL)
        return;
    w->local = listen_open_with(w->loop, local_address(w->local_path, room), &local_options, NULL,
        on_accept_local, w, WHY(why));
    if (w->local != NULL)
        listen_on_crowd(w->local, on_crowd);
    else
        log_error(NULL, "the admin socket is not served by worker %u: %s", w->index, why);
}

void
worker_open_local(struct worker *w, struct str path)
{
    w->local_path = path;
    tell(w, do_open_local);
}

static void
do_leave(void *arg)
{
    server_leave(((struct worker *)arg)->server);
}

void
worker_leave(struct worker *w)
{
    tell(w, do_leave);
}

static void
do_drain(void *arg)
{
    struct worker *w = arg;

    w->draining = true;
    for (size_t i = 0; i < w->listener_count; i++)
        listen_finish(w->listeners[i]);
    server_drain(w->server);
    on_tick(w);
}

void
worker_drain(struct worker *w)
{
    atomic_store(&w->busy, 1);    /* until the worker has counted its connections */
    tell(w, do_drain);
}


static void
do_stop(void *arg)
{
    struct worker *w = arg;

    close_all(w);
    server_destroy(w->server);
    w->server = NULL;
    timer_stop(&w->tick);
    loop_defer_next(w->loop, &w->end);
}

void
worker_stop(struct worker *w)
{
    tell(w, do_stop);
}

uint64_t
worker_turned_ms(const struct worker *w)
{
    return atomic_load_explicit(&w->turned_ms, memory_order_relaxed);
}

void
worker_note(
    struct worker *w, const void *what, struct str request_id, const struct endpoint *endpoint)
{
    uint64_t id[WORKER_ID_WORDS] = { 0 };

    memcpy(id, request_id.p, MIN(request_id.n, sizeof(id)));
    for (size_t i = 0; i < WORKER_ID_WORDS; i++)
        atomic_store_explicit(&w->at_id[i], id[i], memory_order_relaxed);
    atomic_store_explicit(&w->at_endpoint, endpoint, memory_order_relaxed);
    w->at = what;
}

struct worker_doing
worker_doing(const struct worker *w)
{
    struct worker_doing doing = {
        .stage = atomic_load_explicit(&w->at_stage, memory_order_relaxed),
    };
    const struct endpoint *e = atomic_load_explicit(&w->at_endpoint, memory_order_relaxed);

    doing.endpoint = e != NULL ? e->id : "no route";

    for (size_t i = 0; i < WORKER_ID_WORDS; i++) {
        uint64_t word = atomic_load_explicit(&w->at_id[i], memory_order_relaxed);

        memcpy(doing.request_id + i * sizeof(word), &word, sizeof(word));
    }
    return doing;
}

unsigned
worker_busy(const struct worker *w)
{
    return atomic_load_explicit(&w->busy, memory_order_relaxed);
}

struct str
worker_address(const struct worker *w, size_t i)
{
    return i < w->listener_count ? listen_address(w->listeners[i]) : S("");
}

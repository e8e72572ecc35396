/* worker.h - one core: its loop, its listeners, its connections, its exchanges.
 *
 * Workers share nothing on the hot path. What the process shares is in struct gateway, and is
 * immutable, atomic, or locked and rarely used.
 */
#pragma once

#include <stdatomic.h>

#include "base/quota.h"
#include "gateway/models.h"
#include "gateway/snapshot.h"
#include "http/client.h"
#include "http/server.h"
#include "observe/access_log.h"
#include "observe/metrics.h"
#include "policy/throttle.h"

#define GATEWAY_LISTENERS 16
#define WORKER_ROLE_ADMIN 1    /* the listener of server.admin_listen */
#define WORKERS_MOST 256u
#define WORKER_ID_WORDS 4    /* of 8 bytes: as much of a request's id as the log needs to find it */
#define WORKER_TICK_MS 50
#define WORKER_SPARE_ARENAS 64
#define WORKER_ARENA_BYTES (512u * 1024 * 1024)    /* most that one may give to outsiders */
#define WORKER_TICK_IDLE_MS 1000

/* The process. */
struct gateway {
    struct metrics *metrics;
    struct log_file *access_file;    /* NULL: off */
    enum access_form access_form;
    struct quota held;    /* bytes kept for requests and answers under way */
    unsigned workers;
    _Atomic bool draining;
    _Atomic uint64_t generation;    /* of the configuration in use */
    _Atomic uint64_t reloads_ok, reloads_failed;
    _Atomic uint64_t stalls;     /* times that a worker was found not to turn */
    _Atomic unsigned stalled;    /* workers of which that is so now */
    uint64_t started_wall_ms;
};

struct exchange;
struct endpoint;

struct worker {
    unsigned index;
    struct gateway *gateway;
    struct loop *loop;
    struct thread *thread;
    struct server *server;
    struct client *client;
    struct models_asker asker;
    struct listener *listeners[GATEWAY_LISTENERS];
    size_t listener_count;
    /* so many of them, from the first, speak TLS; the admin listener is plain */
    size_t tls_listeners;
    bool has_admin;    /* a listener for the operator */
    struct snapshot_hold *current;
    struct metric_shard *metrics;
    struct quota_share held;      /* this worker's part of the gateway's */
    struct throttle *throttle;    /* of callers with wrong keys */
    struct access_log access;
    struct timer *tick;
    unsigned crowds;    /* of listen_crowds(), those that it has made room for */
    bool ticking_fast;
    bool draining;
    bool stopping;    /* the loop stops when the last exchange is settled */
    /* For the watchdog in the main thread: when the loop turned last, and what it works on. A
     * request's id is copied word by word, so that reading it is not a race. */
    _Atomic uint64_t turned_ms;      /* at the last tick, clock_now_ms() */
    const struct exchange *at;       /* the one whose id is below; for this thread alone */
    const char *_Atomic at_stage;    /* NULL: no request's */
    const struct endpoint *_Atomic at_endpoint;    /* of a table; NULL: it has none yet */
    _Atomic uint64_t at_id[WORKER_ID_WORDS];
    _Atomic unsigned busy;    /* connections that still have work, for other threads */
    /* "provider\nmodel" -> struct metric_series_shard: no lock per request */
    struct map *series;
    struct exchange *exchanges;    /* all under way */
    unsigned exchange_count;
    unsigned stream_count;
    /* since memory was last given back to the system: most exchanges at once, bytes freed, when */
    unsigned peak;
    uint64_t freed_bytes;
    uint64_t trimmed_us;
    struct arena *spares[WORKER_SPARE_ARENAS];    /* for the next exchanges */
    unsigned spares_n;
    struct arena *scratch;    /* decoders' room, rewound after each frame */
    /* heads and documents being put together; empty between uses */
    struct buf text;
};

/* Opens the listeners of the configuration, at the addresses that `first` (the first worker, NULL
 * for itself) got: port 0 is picked once. NULL on failure, with a sentence in `why`. References
 * to the snapshot and the TLS context (may be NULL) are taken over. */
struct worker *worker_create(struct gateway *g, unsigned index, const struct worker *first,
    struct snapshot *snapshot, struct tls_context *tls, char *why, size_t why_size) MUST_CHECK;

/* How a configuration wants an address of its own opened. */
struct listen_options worker_listen_options(const struct conf_server *c, struct str address);

/* Starts the thread, and with it serving. */
void worker_start(struct worker *w);

/* From any thread: a new snapshot (reference taken over) and TLS context (taken over, may be
 * NULL). */
void worker_reload(struct worker *w, struct snapshot *snapshot, struct tls_context *tls);

/* From any thread: from now on every answer closes its connection. */
void worker_leave(struct worker *w);

/* From any thread: accepts the connections that wait and no others, closes idle ones, lets requests
 * finish. */
void worker_drain(struct worker *w);

/* From any thread: closes whatever is still open and ends the thread. */
void worker_stop(struct worker *w);

/* Waits for the thread (if it was started), frees. NULL is a no-op. */
void worker_join(struct worker *w);

/* Requests under way, readable from any thread. */
unsigned worker_busy(const struct worker *w);

/* When the worker's loop turned last (clock_now_ms(), 0: not yet), and what it works on. From any
 * thread. */
uint64_t worker_turned_ms(const struct worker *w);
struct worker_doing {
    const char *stage;    /* NULL: at none */
    const char *endpoint;
    char request_id[WORKER_ID_WORDS * 8 + 1];
};
struct worker_doing worker_doing(const struct worker *w);

/* Publishes what the worker works on: this exchange, and which stage of it (NULL: none). */
void worker_note(struct worker *w, const struct exchange *x);
static inline void
worker_enter(struct worker *w, const struct exchange *x)
{
    if (w->at != x)    /* once for most exchanges */
        worker_note(w, x);
}
static inline void
worker_at(struct worker *w, const char *stage)
{
    atomic_store_explicit(&w->at_stage, stage, memory_order_relaxed);
}

/* The first listener's address as bound, for the banner; valid until the worker is joined. */
struct str worker_address(const struct worker *w, size_t i);

/* The list of exchanges under way; adding starts the tick. */
void worker_add(struct worker *w, struct exchange *x);
void worker_remove(struct worker *w, struct exchange *x);

/* An empty arena that counts in the worker's share; given back with worker_drop_arena(), for which
 * NULL is a no-op. */
struct arena *worker_take_arena(struct worker *w) NEVER_NULL;
void worker_drop_arena(struct worker *w, struct arena *a);

/* The series of a target, looked up once. */
struct metric_series_shard *worker_series(struct worker *w, struct target *t) NEVER_NULL;

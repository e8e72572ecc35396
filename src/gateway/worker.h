/* worker.h - a thread with its event loop, listeners, connections and exchanges.
 *
 * Workers share nothing on the hot path. What the process shares is in struct gateway: it is
 * immutable, atomic, or protected by a lock and rarely used.
 */
#pragma once

#include <stdatomic.h>

#include "base/quota.h"
#include "base/slots.h"
#include "base/why.h"
#include "cloud/keeper.h"
#include "gateway/models.h"
#include "gateway/probe.h"
#include "gateway/recent.h"
#include "gateway/thoughts.h"
#include "gateway/snapshot.h"
#include "http/client.h"
#include "http/server.h"
#include "observe/access_log.h"
#include "observe/metrics.h"
#include "policy/callers.h"
#include "policy/ceiling.h"
#include "policy/lines.h"
#include "policy/throttle.h"
#include "net/timer.h"

#define GATEWAY_LISTENERS 16
#define WORKER_ROLE_ADMIN 1    /* the listener of server.admin_listen */
#define WORKER_ROLE_LOCAL 2    /* that of server.admin_socket */
#define WORKERS_MOST 256u
#define WORKER_ID_WORDS 4    /* 8 bytes each; enough of an id to find it in the log */
#define WORKER_SPARE_ARENAS 64
#define WORKER_ARENA_BYTES (512u * 1024 * 1024)    /* an arena's limit for data from outside */

struct collector;
struct conversations;
struct endpoint;
struct keyring_uses;
struct audit_log;
struct journal;
struct ledger;
struct steward;
struct scopes;
struct worker;

/* What a worker reports: requests, as their owner. */
struct worker_events {
    struct server_handler server;
    void (*stop)(struct worker *w);    /* its last exchange is settled: end what has none */
    void (*tick)(struct worker *w);    /* at least once a second */
};

struct exchange;

/* State of the process, shared by all workers. */
struct gateway {
    const struct worker_events *events;
    /* Answers a request to /admin/v1/, or leaves it to be called again when the exchange is woken.
     * NULL: there is no such API. */
    void (*admin)(void *owner, struct exchange *x);
    void *admin_owner;
    /* asks the workers, in their order; NULL: there is only one */
    struct collector *collector;
    struct metrics *metrics;
    struct log_file *access_file;    /* NULL: off */
    enum access_form access_form;
    struct quota held;    /* memory of requests and answers in progress */
    struct thoughts thoughts;
    struct directory *directory;    /* keys of the store; NULL in tests alone */
    struct audit_log *audit;        /* NULL: nothing is recorded */
    struct steward *steward;        /* of the store; NULL in tests alone */
    struct scopes *scopes;          /* limits and budgets; NULL: there are none */
    struct ledger *ledger;          /* what the workers' journals go into; NULL: there is none */
    struct conversations *conversations;    /* that are continued by an id; NULL: none are */
    unsigned workers;
    _Atomic bool draining;
    _Atomic uint64_t generation;    /* of the configuration in use */
    _Atomic uint64_t reloads_ok, reloads_failed;
    _Atomic uint64_t stalls;     /* how often a worker's loop was found stalled */
    _Atomic unsigned stalled;    /* workers whose loop is stalled now */
    /* app/memory_watch.c: 0: there is none; an enum ceiling_level */
    _Atomic uint64_t memory_ceiling;
    _Atomic unsigned memory_level;
    uint64_t started_wall_ms;
};

_Static_assert(WORKERS_MOST == IN_FLIGHT_WORKERS, "each worker has a count of its own");

struct attempt;

/* In a list of the worker's. */
struct worker_link {
    struct worker_link *prev, *next;
};

/* Arenas for reuse. What each is for decides how large its first page is: see worker.c. */
enum worker_arena { ARENA_EXCHANGE, ARENA_REQUEST, ARENA_KINDS };

struct worker {
    unsigned index;
    struct gateway *gateway;
    struct loop *loop;
    struct thread *thread;
    struct server *server;
    struct client *client;
    struct models_asker asker;
    struct keeper keeper;    /* of credentials */
    struct issuer_asker issuers;
    struct token_cache *tokens;
    struct prober prober;    /* of the first worker alone */
    struct listener *listeners[GATEWAY_LISTENERS];
    size_t listener_count;
    /* The first `tls_listeners` of them use TLS; the admin listener never does. */
    size_t tls_listeners;
    bool has_admin;            /* one of them is server.admin_listen */
    struct listener *local;    /* server.admin_socket, open to the end; NULL: none */
    struct str local_path;     /* where it is */
    struct snapshot_hold *current;
    _Atomic(struct reload *) reload;    /* the newest that it has not taken yet; NULL: none */
    struct metric_shard *metrics;
    struct quota_share held;      /* this worker's share of gateway->held */
    struct throttle *throttle;    /* limits clients that send wrong keys */
    struct callers *callers;      /* whose keys the store has; NULL: there is no directory */
    struct keyring_uses *uses;    /* of those keys, not written yet; NULL: the same */
    uint64_t uses_minute;         /* in which they were written last; of clock_wall_ms() */
    struct journal *journal;      /* of what the ledger is to know; NULL: there is none */
    uint64_t journal_warn_ms;     /* when the log may say again that it is full; clock_now_ms() */
    struct access_log access;
    struct recent *recent;    /* requests that have ended; NULL: none is kept */
    size_t recent_bytes;      /* the room that it was made for */
    struct timer tick;        /* for what is not urgent: at least once a second */
    unsigned crowds;          /* value of listen_crowds() that was last acted on */
    bool draining;
    bool stopping;          /* stop the loop once the last exchange is settled */
    struct deferred end;    /* perhaps that is now */
    /* For the watchdog in the main thread: when the loop ran last, and what it is working on.
     * The request id is copied word by word with atomic stores, so that reading it is not a data
     * race. */
    _Atomic uint64_t turned_ms;      /* at the last tick, clock_now_ms() */
    const void *at;                  /* what the id below is of; used by this thread only */
    const char *_Atomic at_stage;    /* NULL: not working on a request */
    const struct endpoint *_Atomic at_endpoint;    /* points into a table; NULL: not known yet */
    _Atomic uint64_t at_id[WORKER_ID_WORDS];
    _Atomic unsigned busy;    /* connections with work left; read by other threads */
    /* "provider\nmodel" -> struct metric_series_shard: no lock per request */
    struct map *series;
    struct worker_link *exchanges;    /* all exchanges in progress */
    struct slots awaiting;            /* those that other threads answer, by id */
    struct attempt *lone;             /* attempts without an exchange: attempt_let_go() */
    unsigned shadows;                 /* copies of requests that are under way */
    unsigned exchange_count;
    unsigned admitted;      /* of them, those that have a slot: limits.requests */
    struct lines *queue;    /* those that wait for one; NULL: none ever did */
    unsigned stream_count;
    unsigned unpriced;       /* answers whose price is not known, since the log said so, */
    uint64_t warn_ms;        /* which it does again from then on; clock_now_ms() */
    uint64_t chaos_rolls;    /* random numbers that chaos.c has used */
    /* since memory was last given back to the system: most exchanges at once, bytes freed, when */
    unsigned peak;
    uint64_t freed_bytes;
    uint64_t trimmed_us;
    struct worker_spares {
        struct arena *list[WORKER_SPARE_ARENAS];
        unsigned n;
    } spares[ARENA_KINDS];    /* for reuse by later exchanges */
    struct arena *scratch;    /* for decoders; rewound after each frame */
    /* heads and documents being put together; empty between uses */
    struct buf text;
};

/* Opens the configured listeners. `first` is the first worker, whose addresses the others share, so
 * that port 0 is chosen once; NULL for the first worker itself. NULL on failure, with a message in
 * `why`. Takes over references to the snapshot and the TLS context (may be NULL). */
struct worker *worker_create(struct gateway *g, unsigned index, const struct worker *first,
    struct snapshot *snapshot, struct tls_context *tls, struct why why) MUST_CHECK;

/* Holds the Unix socket at `path`, which only our user may use, for the admin API; see
 * listen_hold(). */
bool worker_hold_local(struct str path, struct bound **ret, struct why why) MUST_CHECK;

/* Serves the admin API at that socket, while it is held. Any thread. `path` is kept. */
void worker_open_local(struct worker *w, struct str path);

/* The listen options of the configured address. */
struct listen_options worker_listen_options(const struct conf_server *c, struct str address);

/* Starts the thread, which serves requests from then on. */
void worker_start(struct worker *w);

/* From any thread: switches to a new snapshot (takes over the reference) and TLS context (takes it
 * over; may be NULL). */
void worker_reload(struct worker *w, struct snapshot *snapshot, struct tls_context *tls);

/* From any thread: from now on every response closes its connection. */
void worker_leave(struct worker *w);

/* From any thread: accepts the connections in the backlog and no later ones, closes idle
 * connections, and lets requests complete. */
void worker_drain(struct worker *w);

/* From any thread: closes whatever is still open, and ends the thread. */
void worker_stop(struct worker *w);

/* Waits for the thread (if it was started) and frees the worker. NULL is a no-op. */
void worker_join(struct worker *w);

/* Requests in progress; may be called from any thread. */
unsigned worker_busy(const struct worker *w);

/* When the worker's loop ran last (clock_now_ms(); 0: not yet), and what it is working on. May be
 * called from any thread. */
uint64_t worker_turned_ms(const struct worker *w);
struct worker_doing {
    const char *stage;    /* NULL: not in a stage */
    const char *endpoint;
    char request_id[WORKER_ID_WORDS * 8 + 1];
};
struct worker_doing worker_doing(const struct worker *w);

/* Publishes what the worker is working on: a request, and its stage (NULL: none). */
void worker_note(
    struct worker *w, const void *what, struct str request_id, const struct endpoint *endpoint);
static inline void
worker_at(struct worker *w, const char *stage)
{
    atomic_store_explicit(&w->at_stage, stage, memory_order_relaxed);
}

/* The first listener's address as bound, for the banner; valid until the worker is joined. */
struct str worker_address(const struct worker *w, size_t i);

/* Has the store note when keys were used last: now and then, and at the end. */
void worker_note_uses(struct worker *w);

/* Something happened that others should see soon: in the logs, in metrics. */
void worker_stir(struct worker *w);

/* The list of exchanges in progress. */
void worker_add(struct worker *w, struct worker_link *x);
void worker_remove(struct worker *w, struct worker_link *x);

/* An empty arena that counts in the worker's share. Return it with worker_drop_arena(), for which
 * NULL is a no-op. */
struct arena *worker_take_arena(struct worker *w, enum worker_arena kind) NEVER_NULL;
void worker_drop_arena(struct worker *w, struct arena *a, enum worker_arena kind);

/* The metric series of a target; looked up once. */
struct metric_series_shard *worker_series(struct worker *w, const struct target *t) NEVER_NULL;

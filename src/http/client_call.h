/* client_call.h - private to the client's files: one call and its transports.
 *
 *   client.c        a call: start, deadlines, resending, end
 *   client_upstream.c    connections to an origin: found, shared or dialled, and the calls that wait for one
 *   client_h1.c     HTTP/1, one call per connection: the request
 *   client_h1_in.c  HTTP/1: the response
 *   client_h2.c     HTTP/2: a call on a stream of a shared connection (h2.h)
 *
 * A call has one transport at a time: first the queue for a connection (unless one is available at
 * once), then HTTP/1 or HTTP/2. Transports report through the client_call_ functions.
 */
#pragma once

#include "base/map.h"
#include "http/chunked.h"
#include "http/client.h"
#include "http/h1.h"
#include "http/h2.h"
#include "net/timer.h"

enum {
    CLIENT_SPARES = 256,                  /* ended calls kept for reuse */
    CLIENT_HEAD_KEEP_BYTES = 2 * 1024,    /* of head buffer that a spare call may keep */
    CLIENT_SEND_BYTES = 256 * 1024,       /* of a request passed to the socket at a time */
    CLIENT_PARTS_PER_TURN = 4,            /* of them, for one call */
    CLIENT_INTERIM_MAX = 16,              /* 1xx responses before the final one */
};

/* The operations of a transport on a call that it has. */
struct client_transport {
    /* The call is over or moves on: release its connection, stream or place in the queue. */
    void (*drop)(struct client_call *call);

    /* Stop delivering data (call->paused is set). */
    void (*pause)(struct client_call *call);

    /* Deliver what was buffered and go on. From the loop, at the end of an iteration. */
    void (*resume)(struct client_call *call);
};

extern const struct client_transport client_transport_paused;
extern const struct client_transport client_transport_waiting;
extern const struct client_transport client_transport_h1;
extern const struct client_transport client_transport_h2;

struct client_upstream;

struct client {
    struct loop *loop;
    struct client_limits limits;
    struct h1_limits h1_limits;
    struct pool *pool;            /* idle HTTP/1 connections */
    struct map *upstreams;        /* by the origin's pool_key */
    struct client_call *first;    /* all calls, ended ones until the end of their turn */
    struct client_call *spare;
    unsigned spares_n;
    unsigned calls_open;
    struct buf head;    /* of the HTTP/1 request being sent */
};

enum client_reading {
    CLIENT_HEAD,
    CLIENT_SIZED,
    CLIENT_CHUNKED,
    CLIENT_UNTIL_CLOSE,
};

/* What each part of an answer needs comes first, together: of thousands of streams, each part finds
 * its call out of the processor's cache. */
struct client_call {
    struct client *client;    /* NULL: the client was destroyed */
    const struct client_events *events;
    void *owner;
    struct sock *sock;           /* HTTP/1 */
    struct h2_stream *stream;    /* HTTP/2 */
    bool ended;                  /* no more callbacks for the owner */
    bool answered;               /* a byte of the response arrived */
    bool paused;

    /* HTTP/1: the answer */
    bool eof;
    bool broken;    /* `why` and `detail` say how */
    enum client_reading reading;
    uint64_t left;    /* of a body with Content-Length */
    struct chunked chunked;
    struct buf in;    /* came, not yet taken */
    struct h1_scan scan;
    struct h1_head head;
    struct h1_room head_room;
    enum err why;
    unsigned interim;
    char *detail;                  /* NULL until it broke during a pause */
    uint64_t announced_idle_ms;    /* how long the server keeps the connection; or POOL_NOT_SAID */

    struct client_call *prev;
    struct client_call *next;    /* also of spares */
    struct client_request request;
    struct deferred turn;
    struct deferred more;                        /* HTTP/1: sends on in the next turn */
    const struct client_transport *transport;    /* NULL once it ended */
    unsigned resends;
    uint64_t resend_until_ms;

    struct timer deadline;    /* of what it waits for now */

    /* while it waits for a connection */
    struct client_upstream *upstream;    /* whose connection it waits for */
    struct client_call *waits_before;
    struct client_call *waits_behind;
    uint64_t started_us;
    uint64_t connect_us;
    bool reused;
    bool told_connected;

    /* HTTP/1: the connection and the request */
    struct pool_lease lease;      /* of the connection */
    uint64_t sock_sent_before;    /* sock_sent_bytes() when this request began */
    size_t piece;                 /* index of the body piece to send next */
    size_t piece_at;              /* bytes of it already sent */
    uint64_t unsent;              /* bytes of the request not yet passed to the socket */
    bool cut;                     /* the rest will never be sent: an early error response arrived */
    uint64_t sent_ms;             /* loop time of its beginning */
};

/* --- client.c: called by the transports --- */

/* Reports the connection to the owner, once. */
void client_call_tell_connected(struct client_call *call);

/* The request, or a part of it, was sent: (re)starts the deadline of the response's first byte. */
void client_call_expect_answer(struct client_call *call);

/* The response's head is complete. */
void client_call_head(struct client_call *call, const struct http_head *head);

/* More of the answer came during a pause, and is kept. */
void client_call_kept(struct client_call *call);

/* The request failed. It is resent if the server did not process it and there is time for that;
 * otherwise the owner's `failed` is called. */
void client_call_fail(
    struct client_call *call, enum err why, const char *detail, enum client_fate fate);

/* The response is complete. */
void client_call_finish(struct client_call *call);

/* --- client_upstream.c --- */

/* Puts a call on a connection: an available one, or the first to become available. */
void client_upstream_send(struct client *c, struct client_call *call);

/* Closes all shared connections and stops dialling; no call may be left. */
void client_upstreams_destroy(struct client *c);

/* Shared connections without a stream. */
unsigned client_upstreams_idle(const struct client *c);

/* --- transports --- */

/* Sends the call on an HTTP/1 connection, which it has to itself. */
void client_h1_send(struct client_call *call, struct sock *sock);

/* Opens a stream for the call on a shared connection that has room. */
void client_h2_send(struct client_call *call, struct h2 *h2);

/* --- within HTTP/1: client_h1.c and client_h1_in.c --- */

extern const struct sock_events client_h1_events;

/* Another turn has begun: sends on, if there is something to send. */
void client_h1_send_more(struct client_call *call);

/* The socket's queue is empty: sends the next part. */
void client_h1_drained(void *arg);

/* The final head arrived while the request was being sent: its pieces may be freed from now on. */
void client_h1_answered_early(struct client_call *call, int status);

/* The response is complete. `reusable`: as far as the response is concerned, the connection may
 * carry another request. */
void client_h1_finish(struct client_call *call, bool reusable);

/* Has the response been read to the end, according to its framing? */
bool client_h1_is_complete(const struct client_call *call);

/* Resets the state of the response. */
void client_h1_reset_answer(struct client_call *call);

/* Delivers what was buffered, and the end if it came meanwhile. */
void client_h1_take_kept(struct client_call *call);

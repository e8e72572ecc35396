/* client_call.h - private to the client's files: one call, and what carries it.
 *
 *   client.c        a call: how it begins, its deadlines, when it is sent again, its one end
 *   client_way.c    the way to an origin: connections found, shared or made, and the calls that wait
 *   client_h1.c     a call on a connection of its own: the request
 *   client_h1_in.c  the same: the answer
 *   client_h2.c     a call on a stream of a shared connection (h2.h)
 *
 * A call is with one carrier at a time: first it waits on the way (unless a connection is at hand),
 * then HTTP/1 or HTTP/2 has it. Carriers report what comes through the client_call_ functions.
 */
#pragma once

#include "base/map.h"
#include "http/chunked.h"
#include "http/client.h"
#include "http/h1.h"
#include "http/h2.h"

enum {
    CLIENT_SPARES = 256,                  /* ended calls kept for the next ones */
    CLIENT_HEAD_KEEP_BYTES = 2 * 1024,    /* room for a head that a spare may keep */
    CLIENT_SEND_BYTES = 256 * 1024,       /* of a request given to the socket at once */
    CLIENT_PARTS_PER_TURN = 4,            /* of them, for one call */
    CLIENT_INTERIM_MAX = 16,              /* 1xx answers before the real one */
    CLIENT_DETAIL_ROOM = 96,
};

/* What a carrier must be able to do with a call that it has. */
struct client_carrier {
    /* The call is over or goes elsewhere: lets go of connection, stream or place in the queue. */
    void (*drop)(struct client_call *call);

    /* The owner wants no more for now (call->paused is set). */
    void (*pause)(struct client_call *call);

    /* It wants more: gives what was kept. From the loop, at the end of a turn. */
    void (*resume)(struct client_call *call);
};

extern const struct client_carrier client_carrier_pause;
extern const struct client_carrier client_carrier_way;
extern const struct client_carrier client_carrier_h1;
extern const struct client_carrier client_carrier_h2;

struct client_way;

struct client {
    struct loop *loop;
    struct client_limits limits;
    struct h1_limits h1_limits;
    struct pool *pool;            /* HTTP/1 connections at rest */
    struct map *ways;             /* by the origin's pool_key */
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

struct client_call {
    struct client *client;    /* NULL: the client was destroyed */
    struct client_call *prev;
    struct client_call *next;    /* also of spares */
    struct client_request request;
    const struct client_events *events;
    void *owner;
    struct deferred turn;
    struct deferred more;                    /* HTTP/1: sends on in the next turn */
    const struct client_carrier *carrier;    /* NULL: it ended */
    bool ended;                              /* the owner has heard the last, or cancelled */
    unsigned resends;
    uint64_t resend_until_ms;
    bool answered;    /* a byte of the answer came */
    bool paused;

    struct timer *timer;
    uint64_t timer_at_ms;    /* when it will fire; 0: it is not set */
    uint64_t deadline_ms;    /* 0: none */

    /* the way there */
    struct client_way *way;    /* while it waits */
    struct client_call *waits_before;
    struct client_call *waits_behind;
    uint64_t started_us;
    uint64_t connect_us;
    bool reused;
    bool told_connected;

    /* HTTP/2 */
    struct h2_stream *stream;

    /* HTTP/1: the connection and the request */
    struct sock *sock;
    struct pool_lease lease;      /* of the connection */
    uint64_t sock_sent_before;    /* bytes that it had sent before this request */
    size_t piece;                 /* of the body: the next to send */
    size_t piece_at;              /* and what was sent of it */
    uint64_t unsent;              /* bytes of the request that the socket was not given */
    bool cut;                     /* and never will be: the server refused before it had them all */
    uint64_t sent_ms;             /* loop time of its beginning */

    /* HTTP/1: the answer */
    enum client_reading reading;
    bool eof;
    bool broken;    /* `why` and `detail` say how */
    enum err why;
    char detail[CLIENT_DETAIL_ROOM];
    unsigned interim;
    struct buf in;    /* came, not yet taken */
    struct h1_scan scan;
    struct h1_head head;
    struct chunked chunked;
    uint64_t left;      /* of a body with Content-Length */
    void *head_room;    /* fields, then the bytes of the head */
    size_t head_room_bytes;
};

/* --- client.c: what carriers report --- */

/* Tells of the connection, once. */
void client_call_tell_connected(struct client_call *call);

/* (A part of) the request is sent: the first byte of the answer is due. */
void client_call_expect_answer(struct client_call *call);

/* The head came. */
void client_call_head(struct client_call *call, const struct http_head *head);

/* The request cannot be answered. If the server did not process it, it is sent again as long as there
 * is time for that; else the owner is told. */
void client_call_fail(
    struct client_call *call, enum err why, const char *detail, enum client_fate fate);

/* The answer is complete. */
void client_call_finish(struct client_call *call);

/* --- client_way.c --- */

/* Puts a call on a connection: one that is there, else the first that comes. */
void client_way_carry(struct client *c, struct client_call *call);

/* Closes all shared connections and stops dialling; no call may be left. */
void client_ways_destroy(struct client *c);

/* Shared connections without a stream. */
unsigned client_ways_idle(const struct client *c);

/* --- carriers --- */

/* A connection of its own. */
void client_h1_carry(struct client_call *call, struct sock *sock);

/* A stream of a shared connection that has room. */
void client_h2_carry(struct client_call *call, struct h2 *h2);

/* --- within HTTP/1: client_h1.c and client_h1_in.c --- */

extern const struct sock_events client_h1_events;

/* Another turn has begun: sends on, if there is something to send. */
void client_h1_send_more(struct client_call *call);

/* The kernel took what it was given: sends on. */
void client_h1_drained(void *arg);

/* The final head came while the request was still being sent: its pieces may vanish now. */
void client_h1_answered_early(struct client_call *call, int status);

/* The answer is complete: `reusable` says whether, as far as the answer goes, the connection may
 * carry another request. */
void client_h1_finish(struct client_call *call, bool reusable);

/* Has the answer been taken to its end, as its framing tells it? */
bool client_h1_is_complete(const struct client_call *call);

/* Everything about the answer back to the beginning. */
void client_h1_reset_answer(struct client_call *call);

/* Takes what was kept, and what ended in the meantime. */
void client_h1_take_kept(struct client_call *call);

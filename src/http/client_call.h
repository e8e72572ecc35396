/* client_call.h - private to the client's files: one call and the connection that it is on.
 *
 * client.c starts calls and sends requests, client_in.c reads answers.
 */
#pragma once

#include "http/chunked.h"
#include "http/client.h"
#include "http/h1.h"

enum {
    CLIENT_SPARES = 256,               /* ended calls kept for the next ones */
    CLIENT_HEAD_KEEP_BYTES = 2 * 1024, /* room for a head that a spare may keep */
    CLIENT_SEND_BYTES = 256 * 1024,    /* of a request given to the socket at once */
    CLIENT_INTERIM_MAX = 16,           /* 1xx answers before the real one */
    CLIENT_DETAIL_ROOM = 96,
    CLIENT_STALE_MS = 2000,            /* in which a closed connection shows that it was closed */
};

struct client {
    struct loop *loop;
    struct h1_limits limits;
    struct pool *pool;
    struct client_call *first; /* all calls, ended ones until the end of their turn */
    struct client_call *spare;
    unsigned spares_n;
    unsigned calls_open;
    struct buf head; /* of the request being sent */
};

enum client_reading {
    CLIENT_HEAD,
    CLIENT_SIZED,
    CLIENT_CHUNKED,
    CLIENT_UNTIL_CLOSE,
};

struct client_call {
    struct client *client; /* NULL: the client was destroyed */
    struct client_call *prev;
    struct client_call *next; /* also of spares */
    struct client_request request;
    const struct client_events *events;
    void *owner;
    struct deferred turn;
    bool ended; /* the owner has heard the last, or cancelled */

    /* the way there */
    struct dial *dial;
    struct sock *sock;
    uint64_t born_ms; /* of the connection */
    uint64_t started_us;
    uint64_t connect_us;
    bool reused;
    bool told_connected;

    /* the request */
    size_t piece;    /* of the body: the next to send */
    size_t piece_at; /* and what was sent of it */
    bool sent;
    uint64_t sent_ms; /* loop time of its beginning */

    /* the answer */
    enum client_reading reading;
    bool answered; /* a byte of it came */
    bool paused;
    bool eof;
    bool broken; /* `why` and `detail` say how */
    enum err why;
    char detail[CLIENT_DETAIL_ROOM];
    unsigned interim;
    struct buf in; /* came, not yet taken */
    struct h1_scan scan;
    struct h1_head head;
    struct chunked chunked;
    uint64_t left;   /* of a body with Content-Length */
    void *head_room; /* fields, then the bytes of the head */
    size_t head_room_bytes;

    struct timer *timer;
    uint64_t timer_at_ms; /* when it will fire; 0: it is not set */
    uint64_t deadline_ms; /* 0: none */
};

/* --- client.c --- */

/* Tells of the connection, once. */
void client_call_tell_connected(struct client_call *call);

/* The request cannot be answered: tries once more on a fresh connection if a pooled one was stale,
 * else tells the owner. */
void client_call_fail(struct client_call *call, enum err why, const char *detail);

/* The answer is complete: `reusable` says whether its connection may be. Tells the owner. */
void client_call_finish(struct client_call *call, bool reusable);

/* The kernel took what it was given: sends on. */
void client_call_drained(void *arg);

/* The final head came while the request was still being sent: its pieces may vanish now. */
void client_call_answered_early(struct client_call *call, int status);

/* --- client_in.c --- */

extern const struct sock_events client_call_events;

/* Takes what was kept, and what ended in the meantime. */
void client_call_take_kept(struct client_call *call);

/* server_conn.h - private to the server's files: a connection and the one request on it.
 *
 * server.c counts connections and opens and closes them, server_in.c turns bytes into requests,
 * server_out.c answers into bytes.
 */
#pragma once

#include "base/map.h"
#include "http/chunked.h"
#include "http/h1.h"
#include "http/server.h"

enum {
    SERVER_SPARES = 8,                    /* buffers kept for gathering */
    SERVER_SPARE_BYTES = 64 * 1024,       /* the largest that is kept */
    SERVER_GATHER_BYTES = 16 * 1024,      /* more is not held back to the end of the turn */
    SERVER_HEAD_KEEP_BYTES = 2 * 1024,    /* room for a head that an idle connection may keep */
    /* silence after which a caller has surely read our end, */
    SERVER_LINGER_MS = 2000,
    SERVER_LINGER_MOST_MS = 30000,       /* who may go on sending for so long */
    SERVER_DRAIN_IDLE_MS = 50,           /* in which what the kernel has for us is read */
    SERVER_DRAIN_NEW_MS = 2000,          /* for the first request */
    SERVER_OVERFLOW_CONNECTIONS = 64,    /* beyond the limit, to tell them 503 */
    SERVER_SMALL_BYTES = 64 * 1024,      /* a body up to this size is let in although `held` is full */
    SERVER_NO_ROOM_MS = 100,             /* until connections at rest are looked for again */
    SERVER_DATE_ROOM = 40,
};

/* One caller's address and its connections. */
struct server_address {
    unsigned connections;
};

struct server {
    struct loop *loop;
    const struct server_handler *handler;
    void *owner;
    struct server_limits limits;
    struct server_request *first;    /* all connections */
    unsigned connections;
    unsigned requests_open;
    uint64_t no_room_until_ms;    /* no connection was at rest */
    bool leaving;                 /* every answer is its connection's last */
    bool draining;                /* idle connections are closed as well */
    struct map *addresses;        /* struct server_address by peer, while limited */
    struct buf spares[SERVER_SPARES];
    unsigned spares_n;
    char date[SERVER_DATE_ROOM];    /* "Date: ...\r\n" */
    size_t date_n;
    uint64_t date_until_ms;    /* loop time */
};

/* What the next bytes from the caller are. */
enum server_reading {
    READ_HEAD,
    READ_BODY,
    READ_LATER,      /* the next request: it waits until this one is answered */
    READ_DISCARD,    /* nothing that we want: the connection is about to be closed */
};

struct server_request {
    struct server *server;
    struct sock *sock;    /* NULL: closed, to be freed at the end of the turn */
    struct timer *timer;
    uint64_t timer_at_ms;    /* when it will fire; 0: it is not set */
    struct server_request *prev;
    struct server_request *next;
    struct server_address *address;
    unsigned door;    /* by which it came */
    struct deferred turn;

    /* in */
    enum server_reading reading;
    bool taking;      /* input is being taken further up the stack */
    bool stopped;     /* the socket is not read */
    bool more;        /* `in` holds more than one turn may take */
    struct buf in;    /* came, not yet taken: part of a head, or pipelined */
    struct h1_scan scan;
    void *head_room;    /* the request's fields, then the bytes of its head */
    size_t head_room_bytes;
    struct h1_head head;
    struct chunked chunked;
    uint64_t body_left;    /* of a body with Content-Length */
    struct buf body;
    uint64_t body_until_ms;    /* when all of it must be there; 0: no limit */
    enum err body_error;
    bool body_done;
    bool body_told;        /* of its end or failure */
    bool body_measured;    /* its rate: body_seen is valid */
    bool receiving;        /* the handler asked for the body */
    bool looked;           /* idle for too long: the kernel was asked once more */
    bool head_watched;     /* since_ms is the time of the head's first byte */

    /* the request */
    bool open;    /* the handler holds it */
    void *user;
    uint64_t started_us;

    /* out */
    struct buf out;     /* gathered in this turn */
    size_t out_head;    /* of it: the answer's head */
    bool responded;
    bool bodiless;    /* HEAD, 204, 304 */
    bool out_chunked;
    bool close;          /* after this answer */
    bool high;           /* the backlog passed the high watermark */
    bool broken;         /* out of memory for the answer */
    bool finished;       /* what is queued is the last */
    bool ended;          /* the caller sends no more */
    bool served;         /* a request was answered here */
    int64_t out_left;    /* of Content-Length; -1 without */
    uint64_t bytes_out;

    uint64_t held;    /* counted in limits.held for this connection */

    /* deadlines, in loop time */
    uint64_t since_ms;    /* idle, the head's first byte, discarded bytes; body: next look */
    uint64_t finished_ms;
    uint64_t body_seen;    /* bytes of the body at the last look */
    uint64_t written;      /* bytes given to the socket */
    uint64_t acked;        /* of them, taken by the kernel at the last look */
    uint64_t acked_ms;
};

/* --- server.c --- */

/* Closes at once; the memory goes at the end of the turn. The handler is not told. */
void server_conn_close(struct server_request *q, bool reset);

/* The connection broke: the handler hears `gone` if it holds the request. */
void server_conn_gone(struct server_request *q);

/* Counts what the connection holds now. False: it grew, and there is no room for it. */
bool server_conn_hold(struct server_request *q, bool begun);

/* The body is no longer needed. */
void server_conn_free_body(struct server_request *q);

/* Makes sure that the timer fires at `at_ms` or before. */
void server_conn_wake_at(struct server_request *q, uint64_t at_ms);

/* How long the connection may rest before its next request. */
uint64_t server_conn_idle_ms(const struct server_request *q);

/* --- server_in.c --- */

extern const struct sock_events server_conn_events;

/* Takes what is kept as far as possible, and reads on if more is wanted. Nothing when closed. */
void server_conn_read(struct server_request *q);

/* The answer is complete and the connection stays: on to the next request. */
void server_conn_next(struct server_request *q);

/* The deferred work of a turn: gathered bytes, waiting input, a failure to tell. */
void server_conn_turn(void *request);

/* The timer fired: some deadline may have passed. */
void server_conn_tick(void *request);

/* Answers bytes that are no request, and closes. */
void server_conn_refuse(struct server_request *q, enum err why, const char *detail);

/* --- server_out.c --- */

/* Sends what was gathered in this turn. */
void server_conn_flush(struct server_request *q);

/* Nothing more will be written: closes when all is sent and the caller has closed as well, or has
 * had time to read. */
void server_conn_finish(struct server_request *q);

/* "Date: ...\r\n", made once a second. */
struct str server_date(struct server *s);

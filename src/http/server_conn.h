/* server_conn.h - private to server*.c: a connection and its current request.
 *
 * server.c opens, counts and closes connections, server_in.c parses input and enforces deadlines,
 * server_out.c writes responses.
 */
#pragma once

#include "base/map.h"
#include "http/chunked.h"
#include "http/h1.h"
#include "http/server.h"
#include "net/timer.h"

enum {
    SERVER_SPARES = 8,                    /* output buffers kept for reuse */
    SERVER_SPARE_BYTES = 64 * 1024,       /* the largest buffer that is kept */
    SERVER_GATHER_BYTES = 16 * 1024,      /* more output is not delayed to the end of the turn */
    SERVER_HEAD_KEEP_BYTES = 2 * 1024,    /* head memory that an idle connection may keep */
    /* After closing our side: wait until the client has been silent for so long, */
    SERVER_LINGER_MS = 2000,
    SERVER_LINGER_MOST_MS = 30000,       /* but no longer than this in total */
    SERVER_DRAIN_IDLE_MS = 50,           /* time to read what is in the kernel's receive buffer */
    SERVER_DRAIN_NEW_MS = 2000,          /* time for the first request of a new connection */
    SERVER_OVERFLOW_CONNECTIONS = 64,    /* above the limit, to answer them with 503 */
    SERVER_SMALL_BYTES = 64 * 1024,      /* a body this small is accepted at the memory limit too */
    SERVER_FIRST_MS = 1000,              /* in which a new connection's first bytes are surely read */
    SERVER_NO_ROOM_MS = 100,             /* until the list is searched for idle connections again */
    SERVER_DATE_ROOM = 40,
};

/* A client address and its number of connections. */
struct server_address {
    unsigned connections;
};

struct server {
    struct loop *loop;
    const struct server_handler *handler;
    void *owner;
    struct server_limits limits;
    struct server_conn *first;    /* list of all connections */
    unsigned connections;
    uint64_t dropped;             /* connections closed without an answer */
    uint64_t no_room_until_ms;    /* the last search found no idle connection */
    bool leaving;                 /* every response closes its connection */
    bool draining;                /* idle connections are closed too */
    struct map *addresses;        /* struct server_address by peer, while there is a limit */
    struct buf spares[SERVER_SPARES];
    unsigned spares_n;
    char date[SERVER_DATE_ROOM];    /* "Date: ...\r\n" */
    size_t date_n;
    uint64_t date_until_ms;    /* loop time */
};

/* What to do with the next bytes from the client. */
enum server_reading {
    READ_HEAD,
    READ_BODY,
    READ_LATER,       /* they belong to the next request; wait until this one is answered */
    READ_SWITCHED,    /* another protocol: the handler gets them */
    READ_DISCARD,     /* ignore them: the connection is about to be closed */
};

/* What each part of a response needs comes first, together: of thousands of streams, each part finds
 * its connection out of the processor's cache. */
struct server_conn {
    struct server *server;
    struct sock *sock;    /* NULL: closed, freed at the end of the turn */
    struct deferred turn;

    /* the request */
    bool open;    /* the handler holds it */
    void *user;

    /* output */
    bool responded;
    bool bodiless;    /* HEAD, 204, 304 */
    bool out_chunked;
    bool close;          /* close after this response */
    bool high;           /* the backlog passed the high watermark */
    bool broken;         /* out of memory for the response */
    bool finished;       /* nothing more will be written */
    bool ended;          /* the client has closed its side */
    bool served;         /* at least one request was answered */
    struct buf out;      /* buffered in this turn */
    size_t out_head;     /* how much of it is the response head */
    int64_t out_left;    /* remaining bytes of Content-Length; -1: none given */
    uint64_t bytes_out;
    uint64_t written;    /* bytes given to the socket */
    uint64_t held;       /* bytes of this connection that are counted in limits.held */

    /* input */
    enum server_reading reading;
    bool taking;     /* input is being processed further up the stack */
    bool stopped;    /* reading from the socket is off */
    bool paused;     /* the handler does not want what READ_SWITCHED reads */
    bool more;       /* `in` holds more than one turn may process */
    bool body_done;
    bool body_told;        /* the handler knows that it is complete, or failed */
    bool body_measured;    /* its rate is being measured: body_seen is valid */
    bool receiving;        /* the handler asked for the body */
    bool looked;           /* the idle limit expired; one last read follows */
    bool head_watched;     /* since_ms is the time of the head's first byte */
    enum err body_error;
    struct buf in;    /* received, not processed yet: part of a head, or pipelined */
    struct buf body;
    struct h1_room head_room;    /* of the request */
    struct h1_head head;
    struct h1_scan scan;
    struct chunked chunked;
    uint64_t body_left;        /* remaining bytes of a body with Content-Length */
    uint64_t body_until_ms;    /* when it must be complete; 0: no limit */
    uint64_t started_us;

    struct server_conn *prev;
    struct server_conn *next;
    struct server_address *address;
    unsigned role;    /* role of the listener that accepted it */

    /* deadlines, in loop time */
    struct timer timer;    /* the next look at them, or sooner */
    uint64_t
        since_ms;    /* idle since, head begun at, or last byte discarded; for a body: next check */
    uint64_t finished_ms;
    uint64_t body_seen;    /* bytes of the body at the last check */
    uint64_t acked;    /* how many of the written bytes the kernel had accepted at the last check */
    uint64_t acked_ms;
};

/* --- server.c --- */

/* Closes at once; the memory is freed at the end of the turn. The handler is not told. */
void server_conn_close(struct server_conn *q, bool reset);

/* The connection failed: closes it and calls `gone` if the handler holds the request. */
void server_conn_gone(struct server_conn *q);

/* Updates what the connection has counted in limits.held. False: it has grown, and the limit is
 * reached. */
bool server_conn_hold(struct server_conn *q, bool begun);

/* Releases the head's fields and bytes. */
void server_conn_free_head(struct server_conn *q);

/* Releases the body. */
void server_conn_free_body(struct server_conn *q);

/* How long the connection may stay idle. */
uint64_t server_conn_idle_ms(const struct server_conn *q);

/* --- server_in.c --- */

extern const struct sock_events server_conn_events;

/* Processes buffered input as far as possible, and reads from the socket if more is needed. A no-op
 * once closed. */
void server_conn_read(struct server_conn *q);

/* The response is complete and the connection stays open: continues with the next request. */
void server_conn_next(struct server_conn *q);

/* The deferred work at the end of a turn: sends output, processes input, reports a failure. */
void server_conn_turn(void *request);

/* The timer fired: checks the deadlines. */
void server_conn_tick(void *request);

/* Answers input that is not a valid request, and closes the connection. */
void server_conn_refuse(struct server_conn *q, enum err why, const char *detail);

/* --- server_out.c --- */

/* Sends the output that was buffered in this turn. */
void server_conn_flush(struct server_conn *q);

/* Nothing more will be written: closes once everything is sent and the client has closed its side,
 * or has had time to read the response. */
void server_conn_finish(struct server_conn *q);

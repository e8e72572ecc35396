/* client.h - the upstream side: sends a request to an origin and reports the response.
 *
 * Connections are pooled per worker. A request that was certainly not processed is resent for some
 * time: none of its bytes had been sent when a pooled connection turned out to be closed, or the
 * server said so (HTTP/2: REFUSED_STREAM, or above the last stream of GOAWAY). One that was lost
 * with a pooled connection may have been processed; it fails with ERR_UPSTREAM_STALE, and the owner
 * decides. Callbacks come from the loop only, never from inside client_start(), never after
 * client_cancel() or after `end`/`failed`.
 */
#pragma once

#include "http/message.h"
#include "net/pool.h"

struct client;
struct client_call;

struct client_limits {
    size_t head_bytes;    /* a response's status line and fields: 64 KB */
    unsigned fields;      /* 200 */
    struct pool_limits pool;
};

struct client *client_create(struct loop *l, const struct client_limits *limits) NEVER_NULL;
void client_destroy(struct client *c);

#define CLIENT_BODY_PIECES 16

struct client_request {
    const struct origin *origin;    /* must outlive the call */
    struct str method;
    struct str path;      /* origin-form: "/v1/chat/completions?x=y" */
    struct str fields;    /* complete "Name: value\r\n" lines; Host and the framing are added */
    /* The body, in order, sent without copying into one: list and bytes must stay valid until
     * `head`, the end or the cancel. Content-Length is their sum; with no pieces and method GET none
     * is sent. */
    const struct str *body;
    size_t body_count;         /* at most CLIENT_BODY_PIECES */
    uint64_t dns_ms;           /* to look up the server's name; 0: part of connect_ms */
    uint64_t connect_ms;       /* to establish a connection, proxy and TLS included */
    uint64_t first_byte_ms;    /* from the request sent to the first byte of the answer; 0: none */
    uint64_t resend_ms;        /* how long to keep resending it while it was not processed */
    bool fresh;                /* do not use a pooled HTTP/1 connection */
    bool switches;    /* asks for another protocol, on a connection without HTTP/2: client_send() */
    bool resend_stale;    /* processing it twice does no harm: resend once when it was lost */
};

struct client_events {
    /* The request was put on a connection, a pooled or a new one. For the log; may be NULL. */
    void (*connected)(void *owner, bool reused, uint64_t connect_us);

    /* The response's head; valid until `end`/`failed`. 1xx responses are skipped. */
    void (*head)(void *owner, const struct http_head *head);

    /* A part of the response's body, without chunked framing; valid during the call. */
    void (*data)(void *owner, struct str bytes);

    /* The response is complete, according to its framing. */
    void (*end)(void *owner);

    /* No complete response: ERR_UPSTREAM_DNS, _CONNECT, _CONNECT_TIMEOUT, _TLS, _RESET (before the
     * first byte), _STALE (the same, on a reused connection that closed at once), _TIMEOUT (first
     * byte), _TRUNCATED (in the middle), _PROTOCOL. */
    void (*failed)(void *owner, enum err why, const char *detail);

    /* The server did not process the request, which will be resent. May be NULL. */
    void (*resent)(void *owner);

    /* More of the response came during a pause: see client_held_bytes(). May be NULL. */
    void (*kept)(void *owner);

    /* All that client_send() was given is on its way. May be NULL. */
    void (*writable)(void *owner);
};

/* Copies *q (not what its slices point to). */
struct client_call *client_start(struct client *c, const struct client_request *q,
    const struct client_events *events, void *owner) NEVER_NULL;

/* Closes the connection (or resets the stream), so that the provider stops generating. */
void client_cancel(struct client_call *call);

/* Backpressure: while paused no `data` comes and the socket is not read. */
void client_pause(struct client_call *call);
void client_resume(struct client_call *call);

/* After a response with status 101, bytes go both ways until one side closes: `data` has those that
 * come. What the connection does not take at once is kept. */
void client_send(struct client_call *call, struct str bytes);

/* Bytes kept for a call: of its request what the connection has not taken, of its answer what came
 * during a pause. */
uint64_t client_held_bytes(const struct client_call *call);

/* Calls under way and idle connections, for metrics. */
unsigned client_calls_open(const struct client *c);
unsigned client_idle(const struct client *c);

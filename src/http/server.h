/* server.h - the HTTP/1.1 server: reads requests from client connections and writes the responses.
 *
 * A connection has one request at a time. Parsing is strict: whatever RFC 9112 lets two
 * implementations read differently is answered with 400, and the connection is closed. The next
 * pipelined request is parsed only once the response to the current one is complete. The handler
 * knows a request by its connection (`q`), which is its own from `request` until it has called
 * server_end() or server_abort(), or until `gone` returns.
 *
 * Callbacks are only called from the loop. What is passed to server_write() is sent at the latest
 * at the end of the loop turn; the response head is sent in the same write as the first body bytes.
 */
#pragma once

#include "base/err.h"
#include "base/quota.h"
#include "http/message.h"
#include "net/listen.h"

struct server;
struct server_conn;

struct server_limits {
    size_t head_bytes;                   /* request line and header fields: 32 KB */
    size_t line_bytes;                   /* request line: 8 KB */
    unsigned fields;                     /* 100 */
    size_t body_bytes;                   /* 32 MB; a larger one is answered with 413 */
    uint64_t head_ms;                    /* from the first byte to the end of the head: 10 s */
    uint64_t idle_ms;                    /* between requests: 75 s */
    uint64_t body_grace_ms;              /* then the body must arrive at body_rate: 10 s */
    size_t body_rate_bytes_per_s;        /* 1 KB/s */
    uint64_t body_ms;                    /* for the whole body: 2 min; 0: no limit */
    uint64_t write_stall_ms;             /* no progress while bytes are queued: 60 s */
    unsigned connections;                /* per worker; further ones are answered with 503 */
    unsigned connections_per_address;    /* per worker; 0: no limit */
    bool spares_local;                   /* loopback and Unix sockets are exempt from it */
    /* Counts what connections hold: heads, bodies, pipelined bytes, and output that the client has
     * not read yet. NULL: no limit. */
    struct quota_share *held;
};

struct server_handler {
    /* A complete, valid head. The body may already be complete (server_body_done()); if not, call
     * server_receive() to read it. */
    void (*request)(void *owner, struct server_conn *q);

    /* The body that server_receive() asked for is complete. Not called if it was already complete
     * when `request` was called. */
    void (*body)(void *owner, struct server_conn *q);

    /* The body could not be read: it is too large, too slow or malformed, or the memory limit is
     * reached (ERR_OVERLOADED). The handler answers with `why`; the connection is closed after the
     * response. */
    void (*body_failed)(void *owner, struct server_conn *q, enum err why);

    /* Bytes of a client to which server_switch() was said. May be NULL. */
    void (*switched)(void *owner, struct server_conn *q, struct str bytes);

    /* server_backlog() has fallen below the low watermark (16 KB) after it exceeded the high one
     * (64 KB). */
    void (*writable)(void *owner, struct server_conn *q);

    /* The client disconnected or the connection failed before server_end(). The request must not be
     * used after this returns. */
    void (*gone)(void *owner, struct server_conn *q);

    /* A head that cannot be processed (400, 408, 431), or one connection too many (503). There is
     * no request: only the peer and possibly the start time of `q` are known. Appends the
     * response's header fields and body; the server sends them with the status of `why` and closes
     * the connection. */
    void (*refused)(void *owner, const struct server_conn *q, enum err why, const char *detail,
        struct buf *fields, struct buf *body);
};

struct server *server_create(
    struct loop *l, const struct server_handler *handler, void *owner) NEVER_NULL;

/* May be called at any time; applies to whatever arrives afterwards. */
void server_set_limits(struct server *s, const struct server_limits *limits);

/* The accept callback for listen_open(), whose owner is the struct server. */
void server_accept(void *server, struct sock *s);

/* The same for connections of a listener with another role than the default, 0. */
void server_accept_role(struct server *s, struct sock *sock, unsigned role);

/* From now on responses carry "Connection: close", so that clients reconnect, perhaps to another
 * server; nothing else changes. */
void server_leave(struct server *s);

/* Closes connections as they become idle. Requests are completed, including those that are still in
 * the kernel's receive buffers. A client that has connected and sent nothing yet has two seconds to
 * send one request. */
void server_drain(struct server *s);

/* Closes the connections that have been idle the longest, an eighth of them and at least one, to
 * free descriptors. False if none is idle. */
bool server_make_room(struct server *s);
unsigned server_connections(const struct server *s);

/* Connections closed without an answer because even those to be refused were too many. */
uint64_t server_dropped(const struct server *s);

/* Closes every connection; `gone` is called for open requests. NULL is a no-op. */
void server_destroy(struct server *s);

/* --- requests --- */

/* Not after server_forget_head(). */
const struct http_head *server_head(const struct server_conn *q);
/* Frees the head of a request that has been responded to and may take long: a stream. */
void server_forget_head(struct server_conn *q);
struct str server_peer(const struct server_conn *q);
bool server_is_local(const struct server_conn *q);    /* loopback or a Unix socket */
bool server_is_tls(const struct server_conn *q);
unsigned server_role(const struct server_conn *q);

/* The handler's own pointer. */
void server_set_user(struct server_conn *q, void *user);
void *server_user(const struct server_conn *q);

/* When the first byte of the head was read, clock_now_us(). */
uint64_t server_started_us(const struct server_conn *q);

/* Asks for the body (sends "100 Continue" if the client waits for it). True if it is complete
 * already; otherwise `body` or `body_failed` follows. */
bool server_receive(struct server_conn *q);
bool server_body_done(const struct server_conn *q);

/* The whole body, contiguous. It belongs to the request, until server_take_body() moves it to the
 * handler, which releases it with buf_fini(), or server_drop_body() releases it early. */
struct str server_body(const struct server_conn *q);
struct buf server_take_body(struct server_conn *q);
void server_drop_body(struct server_conn *q);

/* The response head. `fields` consists of complete "Name: value\r\n" lines. The server adds Date,
 * Connection and the framing: Content-Length if length >= 0, chunked if it is -1. May be called
 * once. */
void server_respond(struct server_conn *q, int status, struct str fields, int64_t length);
bool server_responded(const struct server_conn *q);

/* Does the client ask for another protocol: "Connection: Upgrade", "Upgrade: PROTOCOL"? Not with a
 * body: it would be unclear whether its bytes belong to HTTP. */
bool server_may_switch(const struct server_conn *q, struct str protocol);

/* Answers with status 101, Switching Protocols: from now on `switched` gets the client's bytes, and
 * server_write() sends bytes as they are; server_end() closes the connection. */
void server_switch(struct server_conn *q, struct str fields);

/* After that: stops reading what the client sends, or goes on. */
void server_pause(struct server_conn *q, bool paused);

/* Body bytes; copied or sent before the call returns. */
void server_write(struct server_conn *q, struct str bytes);
void server_write_pieces(struct server_conn *q, const struct str *pieces, size_t count);

/* Sends buffered output now instead of at the end of the turn. */
void server_flush(struct server_conn *q);

/* Head, whole body and end in one call: for short responses. */
void server_answer(struct server_conn *q, int status, struct str fields, struct str body);

/* The response is complete; the handler must not use the request any more. `trailers` may be empty, or
 * "Name: value\r\n" lines that follow a chunked body (RFC 9110, section 6.5). */
void server_end(struct server_conn *q, struct str trailers);

/* Does the client accept trailers (TE: trailers), which a response of unknown length may have? */
bool server_takes_trailers(const struct server_conn *q);

/* The response cannot be completed: closes the connection so that the client notices (RST, no last
 * chunk). The handler must not use the request any more; `gone` is not called. */
void server_abort(struct server_conn *q);

/* Response bytes that the kernel has not accepted yet, and body bytes sent so far. */
size_t server_backlog(const struct server_conn *q);
uint64_t server_bytes_out(const struct server_conn *q);

#define SERVER_HIGH_WATERMARK_BYTES (64 * 1024)

/* server.h - the callers' side: HTTP/1.1 connections turned into requests, one at a time.
 *
 * A connection parses strictly (what RFC 9112 lets a proxy misread is 400 and close), hands the
 * handler one request, and parses the next pipelined one only when the answer is complete. The
 * request object lives inside the connection; the handler may use it from `request` until it has
 * called server_end() or server_abort(), or until `gone`.
 *
 * Callbacks come from the loop only. Bytes given to server_write() are sent at the latest at the
 * end of the loop turn; the head goes out in one write with the first of them.
 */
#pragma once

#include "base/err.h"
#include "base/quota.h"
#include "http/message.h"
#include "net/listen.h"

struct server;
struct server_request;

struct server_limits {
    size_t head_bytes;                   /* request line and fields: 32 KB */
    size_t line_bytes;                   /* request line: 8 KB */
    unsigned fields;                     /* 100 */
    size_t body_bytes;                   /* 32 MB: 413 beyond */
    uint64_t head_ms;                    /* from the first byte to the end of the head: 10 s */
    uint64_t idle_ms;                    /* between requests: 75 s */
    uint64_t body_grace_ms;              /* after that the body must come at body_rate: 10 s */
    size_t body_rate_bytes_per_s;        /* 1 KB/s */
    uint64_t body_ms;                    /* from asking for the body to its end: 2 min; 0: no limit */
    uint64_t write_stall_ms;             /* no progress with bytes queued: 60 s */
    unsigned connections;                /* per worker; more are answered 503 and closed */
    unsigned connections_per_address;    /* per worker; 0: no limit */
    bool spares_local;                   /* it does not hold for loopback addresses */
    /* counts what connections hold: heads, bodies, pipelined bytes, answers that wait to be taken;
     * NULL: no limit */
    struct quota_share *held;
};

struct server_handler {
    /* A complete, valid head. The body may already be there (server_body_done) or may come later:
     * ask with server_receive(). */
    void (*request)(void *owner, struct server_request *q);

    /* The body that was asked for is complete. Not called when it already was at `request`. */
    void (*body)(void *owner, struct server_request *q);

    /* The body could not be had: too large, too slow, malformed, or no room for it
     * (ERR_OVERLOADED). The handler answers with `why` (the connection closes after the answer). */
    void (*body_failed)(void *owner, struct server_request *q, enum err why);

    /* server_backlog() fell under the low watermark (16 KB) after it had passed the high one (64
     * KB). */
    void (*writable)(void *owner, struct server_request *q);

    /* The caller left or the connection died before server_end(). The request is dead when this
     * returns. */
    void (*gone)(void *owner, struct server_request *q);

    /* A head that cannot be used (400, 408, 431), or a connection too many (503): there is no
     * request, and `q` knows its peer and perhaps when it began. Fills in field lines and body of
     * the answer, with the status of `why`, after which the server closes. */
    void (*refused)(void *owner, const struct server_request *q, enum err why, const char *detail,
        struct buf *fields, struct buf *body);
};

struct server *server_create(
    struct loop *l, const struct server_handler *handler, void *owner) NEVER_NULL;

/* May be changed at any time; holds for what comes after. */
void server_set_limits(struct server *s, const struct server_limits *limits);

/* For listen_open(): owner is the struct server. */
void server_accept(void *server, struct sock *s);

/* The same for callers who come by another door than the ordinary ones, which are 0. */
void server_accept_by(struct server *s, struct sock *sock, unsigned door);

/* From now on answers carry Connection: close, so that callers who come back find another server by
 * themselves; everything else goes on. */
void server_leave(struct server *s);

/* Ends connections as they come to rest: requests go on, also those that are in the kernel by now;
 * who has connected and not asked yet has two seconds for one request. */
void server_drain(struct server *s);

/* Closes connections that have been at rest the longest, an eighth of them and at least one: for want
 * of descriptors. False when none is at rest. */
bool server_make_room(struct server *s);
unsigned server_connections(const struct server *s);
unsigned server_requests_open(const struct server *s);

/* Closes every connection; requests get `gone`. NULL is a no-op. */
void server_destroy(struct server *s);

/* --- one request --- */

const struct http_head *server_head(const struct server_request *q);
struct str server_peer(const struct server_request *q);
bool server_is_local(const struct server_request *q);    /* loopback or a unix socket */
bool server_is_tls(const struct server_request *q);
unsigned server_door(const struct server_request *q);
struct loop *server_loop(const struct server_request *q);

/* The handler's own pointer. */
void server_set_user(struct server_request *q, void *user);
void *server_user(const struct server_request *q);

/* When the first byte of the head was read, clock_now_us(). */
uint64_t server_started_us(const struct server_request *q);

/* Asks for the body (sends 100 Continue when the caller waits for it). True when it is complete
 * already; else `body` or `body_failed` follows. */
bool server_receive(struct server_request *q);
bool server_body_done(const struct server_request *q);

/* The whole body, contiguous. It belongs to the request until server_take_body() gives it to the
 * handler, who releases it with buf_fini(), or server_drop_body() releases it early. */
struct str server_body(const struct server_request *q);
struct buf server_take_body(struct server_request *q);
void server_drop_body(struct server_request *q);

/* The answer's head. `fields` is a block of complete "Name: value\r\n" lines; the server adds Date,
 * Connection and the framing: Content-Length when length >= 0, chunked when it is -1. May be called
 * once. */
void server_respond(struct server_request *q, int status, struct str fields, int64_t length);
bool server_responded(const struct server_request *q);

/* Body bytes; copied or sent before the call returns. */
void server_write(struct server_request *q, struct str bytes);
void server_write_pieces(struct server_request *q, const struct str *pieces, size_t count);

/* Sends what is gathered now instead of at the end of the turn. */
void server_flush(struct server_request *q);

/* Head and whole body at once, then the end: the way of short answers. */
void server_answer(struct server_request *q, int status, struct str fields, struct str body);

/* The answer is complete; the request is dead for the handler. */
void server_end(struct server_request *q);

/* The answer cannot be completed: closes so that the caller notices (RST, no last chunk). The
 * request is dead for the handler; `gone` is not called. */
void server_abort(struct server_request *q);

/* Bytes of the answer not yet taken by the kernel, and body bytes sent so far. */
size_t server_backlog(const struct server_request *q);
uint64_t server_bytes_out(const struct server_request *q);

#define SERVER_HIGH_WATERMARK_BYTES (64 * 1024)
#define SERVER_LOW_WATERMARK_BYTES (16 * 1024)

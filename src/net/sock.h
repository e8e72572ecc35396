/* sock.h - one byte stream: a TCP or Unix socket, plain or TLS.
 *
 * The owner gives a table of callbacks. They are called from the loop only,
 * never from inside a sock_ call, and never after sock_close(). TCP_NODELAY
 * is always on. Plain reads go into a buffer shared by the whole loop (an idle
 * connection holds none) or straight into room that the owner offers.
 */
#pragma once

#include "base/err.h"
#include "net/loop.h"
#include "net/tls.h"

struct sock;

struct sock_events {
    /* Where the next bytes should be read to; returning NULL (or leaving `room` NULL) means the
     * loop's shared buffer. Used for large bodies: no copy beyond the socket's own. */
    char *(*room)(void *owner, size_t *ret_size);

    /* Bytes arrived; valid during the call. */
    void (*data)(void *owner, struct str bytes);

    /* The peer will send no more (FIN, or TLS close_notify). Writing may still work. */
    void (*eof)(void *owner);

    /* Everything queued has been handed to the kernel. */
    void (*drained)(void *owner);

    /* On a listener with TLS, the first bytes are those of a plain HTTP request. TLS is gone from
     * the connection and the bytes are dropped: the owner may say so in plain text, and then
     * closes. NULL: a failed handshake. */
    void (*not_tls)(void *owner);

    /* The connection is dead; only sock_close() is left. `why` is one of the ERR_UPSTREAM_ rows or
     * ERR_CLIENT_GONE style causes as net/ sees them: ERR_UPSTREAM_RESET, ERR_UPSTREAM_TLS.
     * `detail` is a short technical phrase ("connection reset by peer"). */
    void (*failed)(void *owner, enum err why, const char *detail);
};

/* Starts or replaces the owner, e.g. when a pooled connection is handed out. */
void sock_own(struct sock *s, const struct sock_events *events, void *owner);

/* A new socket does not read. */
void sock_read_start(struct sock *s);
void sock_read_stop(struct sock *s);

/* Sends the pieces in order, in one system call when the kernel takes them; what it does not take
 * is copied and sent later. Never fails: errors arrive through `failed`. */
void sock_write(struct sock *s, const struct str *pieces, size_t count);

/* Bytes accepted by sock_write() and not yet taken by the kernel. */
size_t sock_queued_bytes(const struct sock *s);

/* Bytes that the kernel, or libuv on the way to it, was ever given (with TLS: ciphertext). As long
 * as the number does not change, nothing that was written has left this process. */
uint64_t sock_sent_bytes(const struct sock *s);

/* Sends FIN (and close_notify) once the queue is empty. Reading goes on. */
void sock_shutdown(struct sock *s);

/* Closes now, drops what is queued; the handle is gone for the caller. NULL is a no-op.
 * `reset` sends RST instead of FIN, so that a peer cannot take a cut answer for a whole one. */
void sock_close(struct sock *s);
void sock_close_reset(struct sock *s);

struct loop *sock_loop(const struct sock *s);

/* The peer's address without the port ("203.0.113.9", "::1", "unix"); valid as long as the
 * socket. */
struct str sock_peer(const struct sock *s);

/* Whether the peer is on this machine: a loopback address or a unix socket. */
bool sock_is_local(const struct sock *s);

/* "http/1.1" or "h2" as agreed by ALPN; empty without TLS or agreement. */
struct str sock_alpn(const struct sock *s);

bool sock_is_tls(const struct sock *s);

/* Whether the name by which it was dialled does not lead to this server any more: what is under way
 * goes on, but nothing new should be sent. Costs two loads while the name's addresses stay. */
bool sock_is_outdated(struct sock *s);

/* A connection accepted or dialled and not yet closed, in this process: for metrics. */
uint64_t sock_open_count(void);

/* Of them, those that were accepted. */
uint64_t sock_accepted_count(void);

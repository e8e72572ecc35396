/* sock_priv.h - the inside of a socket, for the files of net/ that make, wrap and close it. */
#pragma once

#include "net/address.h"
#include "net/loop_priv.h"
#include "net/sock.h"

#include "base/buf.h"

struct dns_name;
struct sock_tls;

enum { PEER_ROOM = 46 };

/* There may be many thousands: whatever a healthy plain connection does not need lives
 * elsewhere. */
struct sock {
    uv_poll_t poll;
    int fd;             /* -1: closed */
    int write_error;    /* libuv's code of the first failed write */
    struct loop *loop;
    const struct sock_events *events;
    void *owner;
    void (*connected)(void *owner, int status);    /* NULL once it is */
    struct buf *queue;        /* bytes that the kernel did not accept at once; NULL: none */
    struct sock_tls *tls;     /* NULL: plain */
    struct dns_name *name;    /* by which it was dialled; NULL: an address, or accepted */
    unsigned name_version;    /* of the name's addresses, for which ours was current */
    uint8_t watched;          /* what libuv was told to watch for */
    bool wants_read;          /* as the owner last requested */
    bool polling;             /* for bytes to read; updated lazily */
    bool at_end;              /* the kernel will give no more bytes */
    struct deferred
        later;    /* to report what a sock_ call noticed but may not report from inside itself */
    uint64_t sent_bytes;    /* given to the kernel */
    bool ending;            /* sock_shutdown() was called: no more writes */
    bool fin_wanted;        /* send FIN after the queued bytes */
    bool dead;              /* `failed` was delivered */
    bool closed;            /* sock_close() was called */
    bool accepted;          /* by a listener */
    bool released;          /* libuv has closed the handle */
    uint8_t peer_n;
    char peer[PEER_ROOM];
};

/* Begins to connect to `to`, or to the Unix socket at `path` when that is NULL. `done` is called
 * from the loop with 0 or libuv's code, and not after sock_close(). From then on, while it has no
 * owner (sock_own() with NULL), errors are kept until there is one. NULL and *ret_status when it
 * cannot even be tried. */
struct sock *sock_connect(struct loop *l, const struct address *to, struct str path,
    void (*done)(void *arg, int status), void *arg, int *ret_status) MUST_CHECK;

/* A socket for an accepted descriptor, which is taken over. `peer` may be NULL (unix). NULL when
 * the descriptor cannot be used; it is closed then. */
struct sock *sock_create_accepted(struct loop *l, int fd, const struct address *peer) MUST_CHECK;

void sock_set_peer(struct sock *s, const struct address *peer);

/* It was dialled by this name: see sock_is_outdated(). */
void sock_set_name(struct sock *s, struct str host);

/* Sends bytes as they are, below TLS. */
void sock_send(struct sock *s, const struct str *pieces, size_t count);

/* A write failed with libuv's code: reported at the end of the turn, or by the reader. */
void sock_note_write_error(struct sock *s, int status);

/* Reports the death of the connection, once. From the loop only. */
void sock_fail(struct sock *s, enum err why, const char *detail);

/* Sends FIN after the queued bytes. */
void sock_send_fin(struct sock *s);

/* --- the TLS layer (sock_tls.c) --- */

/* Puts TLS on a connected socket; for a client also inside TLS that is there and ready (with a
 * proxy, when all that it said has been read). The handshake begins at once for a client and with
 * the first bytes for a server. `ready` (may be NULL) is called from the loop when it is done.
 * `host` and `session_key` are for clients, else empty. Takes a reference to `context`. */
void sock_tls_start(struct sock *s, struct tls_context *context, struct str host,
    struct str session_key, void (*ready)(void *arg), void *arg);
/* Offers HTTP/1.1 only. Right after sock_tls_start(). */
void sock_tls_forbid_h2(struct sock *s);


void sock_tls_destroy(struct sock_tls *t);

/* Ciphertext came; the connection ended below TLS. */
void sock_tls_input(struct sock *s, struct str bytes);
void sock_tls_end(struct sock *s);

/* Processes bytes that were kept while reading was off. */
bool sock_tls_has_input(const struct sock *s);
void sock_tls_resume(struct sock *s);

/* Has every byte that came been given to the owner, and is none in the middle of a record? */
bool sock_tls_is_at_rest(const struct sock *s);

void sock_tls_write(struct sock *s, const struct str *pieces, size_t count);
size_t sock_tls_unsent_bytes(const struct sock *s);

/* close_notify, then FIN; and close_notify alone, if it is due, right before a close. */
void sock_tls_shutdown(struct sock *s);
void sock_tls_bye(struct sock *s);

struct str sock_tls_alpn(const struct sock *s);

/* listen.h - listening sockets: one per worker and address, spread by SO_REUSEPORT.
 *
 * Addresses are "HOST:PORT", "[V6]:PORT", ":PORT" (all addresses) or "unix:/path". Unix sockets
 * and inherited descriptors are opened once and shared by the workers.
 */
#pragma once

#include "base/why.h"
#include "net/sock.h"

struct listener;

/* What to do with a new connection: take it (sock_own) or close it. */
typedef void listen_accept_fn(void *owner, struct sock *s);

/* How to open an address. */
struct listen_options {
    bool v6_only;             /* "[::]:PORT" leaves IPv4 to others */
    struct str unix_mode;     /* of a unix socket: "0660"; empty: what the umask leaves */
    struct str unix_owner;    /* name or number; empty: ours */
    struct str unix_group;
};

/* Opens the address on this loop. NULL on error, with a sentence in `why` that names the address
 * and what to do. `tls` may be NULL; it is looked up through the pointer at each accept, so that a
 * reload can swap it with listen_set_tls(). Port 0 picks a free one. */
struct listener *listen_open(struct loop *l, struct str address, struct tls_context *tls,
    listen_accept_fn *accept, void *owner, struct why why) MUST_CHECK;
struct listener *listen_open_with(struct loop *l, struct str address,
    const struct listen_options *options, struct tls_context *tls, listen_accept_fn *accept,
    void *owner, struct why why) MUST_CHECK;

void listen_set_tls(struct listener *li, struct tls_context *tls);

/* The address as bound, "127.0.0.1:43817". */
struct str listen_address(const struct listener *li);

/* Ends without resetting connections: from now on no new ones get in; a moment later those that
 * wait already are accepted and the socket is closed. An inherited descriptor is closed at once:
 * its queue outlives us. listen_close() must still be called. */
void listen_finish(struct listener *li);
bool listen_finished(const struct listener *li);

/* Opens a Unix socket for the whole process and accepts nothing: listeners that open the address
 * after that join it. False on error, with a sentence in `why`; else *ret is to be given back. It may
 * wait a second for others. */
struct bound;
bool listen_hold(struct str address, const struct listen_options *options, struct bound **ret,
    struct why why) MUST_CHECK;
void listen_hold_drop(struct bound *b);    /* NULL is a no-op */

/* Closes at once: the kernel resets connections that wait. NULL is a no-op. */
void listen_close(struct listener *li);

/* Callers may have half of the descriptors of the process, so that each request can have a
 * connection to a provider, and some are left for logs and files. When all of these are taken,
 * `make_room` is called with the listener's owner: it closes idle connections of callers and
 * returns whether there were any. */
void listen_on_crowd(struct listener *li, bool (*make_room)(void *owner));

/* Grows when a worker found nothing to close: then the others should make room. Any thread. */
unsigned listen_crowds(void);

/* Connections that were closed at once, because nothing could be done for them: for metrics. The
 * listener recovers by itself. */
uint64_t listen_shed_count(void);

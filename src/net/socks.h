/* socks.h - the client side of SOCKS5 (RFC 1928, RFC 1929): composes requests and parses replies.
 *
 * Bytes in, bytes out; no socket. Begins with a greeting; a user and a password follow when the
 * proxy wants them; then the request for the connection and its reply.
 */
#pragma once

#include "base/buf.h"
#include "net/address.h"

struct socks {
    enum { SOCKS_METHOD, SOCKS_LOGIN, SOCKS_REPLY } awaits;
    struct str user, password;       /* up to 255 bytes each; no user: none are offered */
    struct str host;                 /* for the proxy to look up, up to 255 bytes ... */
    const struct address *target;    /* ... unless this is set */
    uint16_t port;
};

enum socks_step {
    SOCKS_MORE,     /* send what is in `out`, then give it what comes */
    SOCKS_OPEN,     /* established; what is left of `in` does not belong to SOCKS */
    SOCKS_AGAIN,    /* not to this address; another one may do. On a new connection */
    SOCKS_FAILED,
};

/* The members that are the caller's are set. Appends the greeting to `out`. */
void socks_begin(struct socks *s, struct buf *out);

/* Takes complete answers off the front of `in`. `*ret_why` says what failed. */
enum socks_step socks_feed(
    struct socks *s, struct buf *in, struct buf *out, const char **ret_why) MUST_CHECK;

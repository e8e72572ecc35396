/* dial.h - from the name of a server to a connection: DNS, Happy Eyeballs, proxy, TLS.
 *
 * RFC 8305: both address families raced with a 250 ms head start. HTTPS_PROXY / HTTP_PROXY /
 * NO_PROXY (either case) are honoured: CONNECT, also over TLS, and SOCKS5.
 */
#pragma once

#include <stdatomic.h>

#include "base/why.h"
#include "net/sock.h"

/* How the connection to an origin is made. */
enum proxy_kind {
    PROXY_NONE,
    PROXY_HTTP,       /* CONNECT for https origins, absolute request targets for http ones */
    PROXY_HTTPS,      /* the same, over TLS */
    PROXY_SOCKS5,     /* we look the origin's name up */
    PROXY_SOCKS5H,    /* the proxy does */
};

/* Where a provider lives. Immutable after origin_create(); shared by the workers' snapshots. */
struct origin {
    atomic_uint holders;
    struct str scheme;    /* "http" or "https" */
    struct str host;      /* name or address literal, without brackets */
    uint16_t port;
    /* as it goes into Host: with the port when it is not the scheme's */
    struct str host_header;
    struct str unix_path;       /* set for http+unix: base URLs, empty else */
    struct tls_context *tls;    /* NULL for http */
    bool http1;                 /* HTTP/2 is not offered */
    enum proxy_kind proxy;
    struct str proxy_host;    /* empty: direct */
    uint16_t proxy_port;
    struct str proxy_auth;                    /* HTTP: "Basic ..." or empty; a secret */
    struct str proxy_user, proxy_password;    /* SOCKS: up to 255 bytes each; secrets */
    struct tls_context *proxy_tls;            /* PROXY_HTTPS: the system's authorities */
    struct str pool_key;                      /* equal keys may share connections */
};

/* Splits "https://host[:port]" (a path may follow; it is given back in *ret_path without a trailing
 * slash) and settles the proxy from the environment. The origin owns its strings and a reference to
 * `tls`. NULL when the URL is not usable, with a sentence in `why`. */
struct origin *origin_create(
    struct str url, struct tls_context *tls, struct str *ret_path, struct why why) MUST_CHECK;
/* From now on HTTP/2 is not offered, whatever the TLS context has; connections are its own. Before it
 * is used. */
void origin_forbid_h2(struct origin *o);
/* One more holder, for who may outlive the first; any thread. */
struct origin *origin_ref(const struct origin *o) NEVER_NULL;
/* One holder less, freed with the last. NULL is a no-op. */
void origin_destroy(struct origin *o);

/* Plain http through an HTTP proxy is sent to the proxy with an absolute request target. */
static inline bool
origin_is_absolute_form(const struct origin *o)
{
    return (o->proxy == PROXY_HTTP || o->proxy == PROXY_HTTPS) && o->tls == NULL;
}

struct dial;

/* Connects: the name must be resolved within dns_ms, then all the rest within connect_ms. If dns_ms
 * is 0, both together have connect_ms; if both are 0, there is no limit. Exactly one of the two
 * callbacks is called, from the loop, unless dial_cancel() came first. `failed` gets
 * ERR_UPSTREAM_DNS, _CONNECT, _TLS or _CONNECT_TIMEOUT and a detail. The origin must live until
 * then. */
struct dial *dial_start(struct loop *l, const struct origin *o, uint64_t dns_ms,
    uint64_t connect_ms, void (*done)(void *arg, struct sock *s),
    void (*failed)(void *arg, enum err why, const char *detail), void *arg) NEVER_NULL;
void dial_cancel(struct dial *d);

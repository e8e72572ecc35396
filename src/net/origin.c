/* origin.c - parses a base URL and chooses the proxy to it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/digest.h"
#include "base/url.h"
#include "net/address.h"
#include "net/dial.h"
#include "net/proxy.h"
#include "net/tls_priv.h"
#include "base/why.h"

enum {
    HOST_MAX = 253,    /* a DNS name */
    URL_MAX = 2048,
    USERINFO_MAX = 512,
    HTTP_PORT = 80,
    HTTPS_PORT = 443,
    SOCKS_PORT = 1080,
    SOCKS_TEXT_MAX = 255,
};

static struct str
keep(struct str s)
{
    return str_c(str_dup_c(s));
}

static void
release(struct str s)
{
    free((char *)s.p);
}

/* --- pieces of a URL --- */

/* "host", "host:port", "[v6]", "[v6]:port". The port stays as it was when none is given. */
static bool
split_authority(struct str text, struct str *ret_host, uint16_t *port)
{
    struct url_host h;

    if (!url_split_host(text, &h) || !url_is_host(&h) ||
        (h.port.p != NULL && (!url_port(h.port, port) || *port == 0)))
        return false;
    *ret_host = h.name;
    return true;
}

/* False when malformed, too long, or hiding a NUL. */
static bool
decode_text(struct str s, char *room, size_t size, struct str *ret)
{
    return url_decode_into(s, room, size, ret) && str_chr(*ret, '\0') == ret->n;
}

static struct str
lower(struct str s)
{
    char *p = str_dup_c(s);

    for (size_t i = 0; i < s.n; i++) {
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] | 0x20);
    }
    return str_c(p);
}

/* --- the proxy --- */

/* "user:password", percent-encoded: for HTTP to "Basic ...", for SOCKS as they are. */
static bool
take_credentials(struct origin *o, struct str userinfo)
{
    char plain[USERINFO_MAX], other[USERINFO_MAX];
    char header[6 + 4 * ((USERINFO_MAX + 2) / 3)] = "Basic ";
    struct str user, password, text;

    (void)str_cut(userinfo, ':', &user, &password);
    if (!decode_text(user, plain, sizeof(plain), &user) ||
        !decode_text(password, other, sizeof(other), &password) ||
        user.n + 1 + password.n > sizeof(plain))
        return false;
    if (o->proxy == PROXY_SOCKS5 || o->proxy == PROXY_SOCKS5H) {
        if (user.n == 0 || user.n > SOCKS_TEXT_MAX || password.n > SOCKS_TEXT_MAX)
            return false;
        o->proxy_user = keep(user);
        o->proxy_password = keep(password);
        return true;
    }
    text = str_make(plain, user.n + 1 + password.n);
    plain[user.n] = ':';
    memcpy(plain + user.n + 1, other, password.n);
    o->proxy_auth = keep(str_make(header, 6 + digest_base64(text, header + 6)));
    return true;
}

static const struct {
    struct str scheme;
    enum proxy_kind kind;
    uint16_t port;
} proxy_schemes[] = {
    { S_INIT("http"), PROXY_HTTP, HTTP_PORT },
    { S_INIT("https"), PROXY_HTTPS, HTTPS_PORT },
    { S_INIT("socks5"), PROXY_SOCKS5, SOCKS_PORT },
    { S_INIT("socks5h"), PROXY_SOCKS5H, SOCKS_PORT },
};

/* False when the scheme is unknown. */
static bool
take_proxy_scheme(struct origin *o, struct str scheme)
{
    for (size_t i = 0; i < ARRAY_LEN(proxy_schemes); i++) {
        if (str_ieq(scheme, proxy_schemes[i].scheme)) {
            o->proxy = proxy_schemes[i].kind;
            o->proxy_port = proxy_schemes[i].port;
            return true;
        }
    }
    return false;
}

/* Never repeats the proxy's URL in `why`: it may hold a password. */
static bool
take_proxy(struct origin *o, struct str url, struct why why)
{
    struct url u = url_split(url);
    struct str host;

    if (u.authority.p == NULL) {
        u = url_split_authority(url);
        u.scheme = S("http");
    }
    if (!take_proxy_scheme(o, u.scheme))
        return why_say(why,
            "the proxy in the environment has the scheme '" STR_FMT "'; there are http, https, "
            "socks5 and socks5h (the proxy looks names up)",
            STR_ARG(u.scheme));
    if (!split_authority(u.authority, &host, &o->proxy_port) ||
        (u.userinfo.n != 0 && !take_credentials(o, u.userinfo)))
        return why_say(why, "the proxy in the environment is not usable; write "
                            "http://[user:password@]host:port");
    if (o->proxy == PROXY_HTTPS) {
        o->proxy_tls = tls_client_create(NULL, false, why);
        if (o->proxy_tls == NULL)
            return false;
    }
    o->proxy_host = lower(host);
    return true;
}

/* --- the origin --- */

static bool
take_unix(struct origin *o, struct str authority, struct why why)
{
    char room[108];    /* sizeof(sun_path) */
    struct str path;

    if (!decode_text(authority, room, sizeof(room) - 1, &path) || path.n == 0)
        return why_say(
            why, "the path of the socket is not usable; write http+unix://%%2Frun%%2Fname.sock/v1");
    o->unix_path = keep(path);
    o->host = keep(S("localhost"));
    o->host_header = keep(S("localhost"));
    o->scheme = S("http");
    o->port = HTTP_PORT;
    return true;
}

static bool
take_host(struct origin *o, struct str authority, bool is_https, struct why why)
{
    struct proxy_env env = proxy_env_read();
    struct str host;
    char room[HOST_MAX + 16];

    o->scheme = is_https ? S("https") : S("http");
    o->port = is_https ? HTTPS_PORT : HTTP_PORT;
    if (!split_authority(authority, &host, &o->port))
        return why_say(why, "'" STR_FMT "' is not a host name or address with an optional port",
            STR_ARG(authority));

    o->host = lower(host);
    bool bracketed = str_chr(host, ':') != host.n;
    int n = snprintf(room, sizeof(room), bracketed ? "[" STR_FMT "]" : STR_FMT, STR_ARG(o->host));
    if (o->port != (is_https ? HTTPS_PORT : HTTP_PORT))
        n += snprintf(room + n, sizeof(room) - (size_t)n, ":%u", o->port);
    o->host_header = keep(str_make(room, (size_t)n));

    struct str proxy = proxy_find(&env, is_https, o->host, o->port);
    return proxy.n == 0 || take_proxy(o, proxy, why);
}

/* Everything that distinguishes connections: equal keys may share them. */
static struct str
make_pool_key(const struct origin *o)
{
    char room[URL_MAX + 2 * HOST_MAX];
    unsigned long long serial = o->tls != NULL ? tls_context_serial(o->tls) : 0;
    int n = snprintf(room, sizeof(room),
        STR_FMT "://" STR_FMT ":%u unix=" STR_FMT " proxy=%d:" STR_FMT ":%u tls=%llu%s",
        STR_ARG(o->scheme), STR_ARG(o->host), o->port, STR_ARG(o->unix_path), (int)o->proxy,
        STR_ARG(o->proxy_host), o->proxy_port, serial, o->http1 ? " http1" : "");

    CHECK(n > 0 && (size_t)n < sizeof(room));
    return keep(str_make(room, (size_t)n));
}

static bool
take_url(
    struct origin *o, struct str url, struct tls_context *tls, struct str *ret_path, struct why why)
{
    struct url u = url_split(url);
    bool is_https = str_ieq(u.scheme, S("https"));
    bool is_unix = str_ieq(u.scheme, S("http+unix"));

    if (url.n > URL_MAX)
        return why_say(why, "the URL is longer than %d bytes", URL_MAX);
    if (u.authority.p == NULL || (!is_https && !is_unix && !str_ieq(u.scheme, S("http"))))
        return why_say(why, "a base URL begins with https://, http:// or http+unix://");
    if (str_chr(url, '?') != url.n || str_chr(url, '#') != url.n)
        return why_say(why, "a base URL has no '?' and no '#'");
    for (size_t i = 0; i < url.n; i++) {
        if ((unsigned char)url.p[i] <= ' ' || (unsigned char)url.p[i] >= 0x7f)
            return why_say(why, "a base URL has no blanks, control characters or bytes beyond "
                                "ASCII; encode them");
    }
    if (is_https && tls == NULL)
        return why_say(why, "an https URL needs TLS, which is not set up");

    if (u.userinfo.p != NULL)
        return why_say(why, "a base URL must not hold credentials; use api_key");

    *ret_path = u.rest;
    while (str_ends(*ret_path, S("/")))
        ret_path->n--;
    if (!(is_unix ? take_unix(o, u.authority, why) : take_host(o, u.authority, is_https, why)))
        return false;
    o->tls = is_https ? tls_context_ref(tls) : NULL;
    return true;
}

struct origin *
origin_create(struct str url, struct tls_context *tls, struct str *ret_path, struct why why)
{
    struct origin *o = check_alloc(calloc(1, sizeof(*o)));

    atomic_init(&o->holders, 1);
    if (!take_url(o, url, tls, ret_path, why)) {
        origin_destroy(o);
        return NULL;
    }
    o->pool_key = make_pool_key(o);
    return o;
}

void
origin_forbid_h2(struct origin *o)
{
    o->http1 = true;
    release(o->pool_key);
    o->pool_key = make_pool_key(o);
}

struct origin *
origin_ref(const struct origin *o)
{
    struct origin *held = (struct origin *)o;    /* its number of holders is all that changes */

    atomic_fetch_add_explicit(&held->holders, 1, memory_order_relaxed);
    return held;
}

void
origin_destroy(struct origin *o)
{
    if (o == NULL || atomic_fetch_sub_explicit(&o->holders, 1, memory_order_acq_rel) != 1)
        return;
    release(o->host);
    release(o->host_header);
    release(o->unix_path);
    release(o->proxy_host);
    release(o->proxy_auth);
    release(o->proxy_user);
    release(o->proxy_password);
    tls_context_unref(o->proxy_tls);
    release(o->pool_key);
    tls_context_unref(o->tls);
    free(o);
}

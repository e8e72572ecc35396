/* dial.c - from the name of a server to a connection that is ready for a request.
 *
 * Name, race of addresses (RFC 8305), a proxy's TLS, CONNECT or SOCKS, TLS: each step starts the
 * next from its callback. One deadline covers the lookup, another all that follows it. Whatever
 * happens, a dial ends in dial_free(), once.
 */
#include "net/dial.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/dns.h"
#include "net/pool.h"
#include "net/sock_priv.h"
#include "net/socks.h"
#include "net/timer.h"

enum {
    HEAD_START_MS = 250,    /* RFC 8305's Connection Attempt Delay */
    PROXY_HEAD_LIMIT = 16 * 1024,
    DETAIL_ROOM = 256,
};

/* A connection attempt to one address. */
struct dial_attempt {
    struct dial *dial;
    struct sock *sock;
    struct address address;
    struct dial_attempt *next;
};

struct dial {
    struct loop *loop;
    const struct origin *origin;
    void (*done)(void *arg, struct sock *s);
    void (*failed)(void *arg, enum err why, const char *detail);
    void *arg;

    struct deferred begin;
    bool over;              /* cancelled before it began */
    uint64_t connect_ms;    /* for what follows the lookup; 0: the deadline that runs covers it */
    struct timer deadline;
    struct timer head_start;
    struct dns_query *query;
    struct dns_answer answer;
    size_t next;    /* of the answer's addresses */
    struct dial_attempt *attempts;
    struct sock *sock;        /* connected; CONNECT, SOCKS or TLS may be going on there */
    struct buf proxy_head;    /* the head of the proxy's answer */
    struct socks socks;
    struct dns_answer targets;    /* PROXY_SOCKS5: addresses of the origin, for the proxy */
    size_t target;                /* the one that is asked for */
    const char *phase;            /* for the message of a timeout */
    char detail[DETAIL_ROOM];
};

/* --- the end --- */

static void
abandon_attempts(struct dial *d)
{
    while (d->attempts != NULL) {
        struct dial_attempt *a = d->attempts;

        d->attempts = a->next;
        sock_close(a->sock);
        free(a);
    }
}

static void
dial_free(struct dial *d)
{
    abandon_attempts(d);
    dns_cancel(d->query);
    timer_stop(&d->deadline);
    timer_stop(&d->head_start);
    sock_close(d->sock);
    buf_fini(&d->proxy_head);
    d->over = true;
    if (!d->begin.queued)    /* else on_begin() frees it */
        free(d);
}

void
dial_cancel(struct dial *d)
{
    dial_free(d);
}

static void dial_fail(struct dial *d, enum err why, const char *format, ...) PRINTF_LIKE(3, 4);

static void
dial_fail(struct dial *d, enum err why, const char *format, ...)
{
    void (*failed)(void *arg, enum err why, const char *detail) = d->failed;
    void *arg = d->arg;
    char detail[DETAIL_ROOM];
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    dial_free(d);
    failed(arg, why, detail);
}

static void
dial_succeed(struct dial *d)
{
    void (*done)(void *arg, struct sock *s) = d->done;
    void *arg = d->arg;
    struct sock *s = d->sock;

    d->sock = NULL;
    dial_free(d);
    sock_own(s, NULL, NULL);
    sock_read_stop(s);
    done(arg, s);
}

static void
on_deadline(void *arg)
{
    struct dial *d = arg;

    dial_fail(d, ERR_UPSTREAM_CONNECT_TIMEOUT, "timed out while %s", d->phase);
}

/* --- TLS --- */

static void
on_tls_ready(void *arg)
{
    dial_succeed(arg);
}

static void
on_early_data(void *owner, struct str bytes)
{
    (void)owner;
    (void)bytes;    /* on_tls_ready() has taken over before any byte can come */
}

static void
on_tls_failed(void *owner, enum err why, const char *detail)
{
    (void)why;
    dial_fail(owner, ERR_UPSTREAM_TLS, "TLS: %s", detail);
}

static const struct sock_events tls_events = {
    .data = on_early_data,
    .failed = on_tls_failed,
};

static void
start_tls(struct dial *d)
{
    const struct origin *o = d->origin;

    d->phase = "establishing TLS";
    sock_own(d->sock, &tls_events, d);
    sock_tls_start(d->sock, o->tls, o->host, o->pool_key, on_tls_ready, d);
    if (o->http1)
        sock_tls_forbid_h2(d->sock);
    sock_read_start(d->sock);
}

/* --- CONNECT --- */

/* "HTTP/1.1 200 Connection established": the status, or 0. */
static int
status_of(struct str head)
{
    uint64_t status;

    if (!str_starts(head, S("HTTP/1.")) || head.n < 12 || head.p[8] != ' ' ||
        !str_u64(str_make(head.p + 9, 3), &status))
        return 0;
    return (int)status;
}

static void
on_proxy_data(void *owner, struct str bytes)
{
    struct dial *d = owner;

    buf_add(&d->proxy_head, bytes);
    struct str head = buf_str(&d->proxy_head);
    size_t end = str_find(head, S("\r\n\r\n"));

    if (end == head.n) {
        if (d->proxy_head.overflow)
            dial_fail(d, ERR_UPSTREAM_CONNECT, "the proxy's answer is too long");
        return;
    }
    int status = status_of(head);
    if (status < 200 || status > 299)
        dial_fail(d, ERR_UPSTREAM_CONNECT,
            status != 0 ? "the proxy refused with status %d" : "the proxy does not speak HTTP (%d)",
            status);
    else if (end + 4 != head.n)
        dial_fail(d, ERR_UPSTREAM_CONNECT, "bytes came through the proxy before they were due");
    else
        start_tls(d);
}

static void
on_proxy_eof(void *owner)
{
    dial_fail(owner, ERR_UPSTREAM_CONNECT, "the proxy closed the connection");
}

static void
on_proxy_failed(void *owner, enum err why, const char *detail)
{
    (void)why;
    dial_fail(owner, ERR_UPSTREAM_CONNECT, "proxy: %s", detail);
}

static const struct sock_events proxy_events = {
    .data = on_proxy_data,
    .eof = on_proxy_eof,
    .failed = on_proxy_failed,
};

static void
ask_proxy(struct dial *d, const struct sock_events *events, struct str request)
{
    d->phase = "asking the proxy";
    sock_own(d->sock, events, d);
    sock_write(d->sock, &request, 1);
    sock_read_start(d->sock);
}

static void
start_connect(struct dial *d)
{
    const struct origin *o = d->origin;
    bool is_v6 = str_chr(o->host, ':') != o->host.n;
    struct buf b;

    buf_init(&b, PROXY_HEAD_LIMIT);
    for (int line = 0; line < 2; line++) {
        buf_printf(&b, line == 0 ? "CONNECT " : "Host: ");
        buf_printf(&b, is_v6 ? "[" STR_FMT "]:%u" : STR_FMT ":%u", STR_ARG(o->host), o->port);
        buf_add(&b, line == 0 ? S(" HTTP/1.1\r\n") : S("\r\n"));
    }
    if (o->proxy_auth.n != 0)
        buf_printf(&b, "Proxy-Authorization: " STR_FMT "\r\n", STR_ARG(o->proxy_auth));
    buf_add(&b, S("\r\n"));
    CHECK(!b.overflow);

    ask_proxy(d, &proxy_events, buf_str(&b));
    buf_fini(&b);
}

/* --- SOCKS --- */

static void start_next_attempt(struct dial *d);

/* Connected to the origin, directly or through a tunnel. */
static void
reached(struct dial *d)
{
    if (d->origin->tls != NULL)
        start_tls(d);
    else
        dial_succeed(d);
}

/* On a new connection to the proxy; false when there is no other address. */
static bool
try_next_target(struct dial *d)
{
    if (d->target + 1 >= d->targets.count)
        return false;
    d->target++;
    sock_close(d->sock);
    d->sock = NULL;
    d->next = 0;
    d->phase = "connecting to the proxy";
    start_next_attempt(d);
    return true;
}

static void
on_socks_data(void *owner, struct str bytes)
{
    struct dial *d = owner;
    const char *why = "";
    struct buf out;

    buf_init(&out, PROXY_HEAD_LIMIT);
    buf_add(&d->proxy_head, bytes);
    enum socks_step step = socks_feed(&d->socks, &d->proxy_head, &out, &why);
    struct str answer = buf_str(&out);

    if (answer.n != 0 && step == SOCKS_MORE)
        sock_write(d->sock, &answer, 1);
    buf_fini(&out);
    if (step == SOCKS_MORE) {
        if (d->proxy_head.overflow)
            dial_fail(d, ERR_UPSTREAM_CONNECT, "the proxy's answer is too long");
    } else if (step == SOCKS_OPEN && buf_len(&d->proxy_head) != 0) {
        dial_fail(d, ERR_UPSTREAM_CONNECT, "bytes came through the proxy before they were due");
    } else if (step == SOCKS_OPEN) {
        reached(d);
    } else if (step != SOCKS_AGAIN || !try_next_target(d)) {
        dial_fail(d, ERR_UPSTREAM_CONNECT, "%s", why);
    }
}

static const struct sock_events socks_events = {
    .data = on_socks_data,
    .eof = on_proxy_eof,
    .failed = on_proxy_failed,
};

static void
start_socks(struct dial *d)
{
    const struct origin *o = d->origin;
    struct buf b;

    d->socks = (struct socks){ .user = o->proxy_user,
        .password = o->proxy_password,
        .host = o->host,
        .target = d->targets.count != 0 ? &d->targets.list[d->target] : NULL,
        .port = o->port };
    buf_reset(&d->proxy_head, PROXY_HEAD_LIMIT);
    buf_init(&b, PROXY_HEAD_LIMIT);
    socks_begin(&d->socks, &b);
    ask_proxy(d, &socks_events, buf_str(&b));
    buf_fini(&b);
}

/* --- the proxy --- */

/* Connected to the origin, or to its proxy. */
static void
start_tunnel(struct dial *d)
{
    switch (d->origin->proxy) {
    case PROXY_HTTP:
    case PROXY_HTTPS:
        if (d->origin->tls != NULL)
            start_connect(d);
        else
            dial_succeed(d);
        return;
    case PROXY_SOCKS5:
    case PROXY_SOCKS5H:
        start_socks(d);
        return;
    case PROXY_NONE:
        reached(d);
        return;
    }
    CHECK_UNREACHABLE();
}

static void
on_proxy_tls_ready(void *arg)
{
    start_tunnel(arg);
}

static void
on_proxy_tls_failed(void *owner, enum err why, const char *detail)
{
    (void)why;
    dial_fail(owner, ERR_UPSTREAM_CONNECT, "proxy: TLS: %s", detail);
}

static const struct sock_events proxy_tls_events = {
    .data = on_early_data,
    .failed = on_proxy_tls_failed,
};

static void
start_proxy_tls(struct dial *d)
{
    const struct origin *o = d->origin;

    d->phase = "establishing TLS with the proxy";
    sock_own(d->sock, &proxy_tls_events, d);
    sock_tls_start(d->sock, o->proxy_tls, o->proxy_host, o->proxy_host, on_proxy_tls_ready, d);
    sock_read_start(d->sock);
}

/* --- the race --- */

/* Its server's name: the proxy's, if there is one. */
static struct str
name_of(const struct dial *d)
{
    const struct origin *o = d->origin;

    return o->proxy_host.n != 0 ? o->proxy_host : o->host;
}

static void
note_refusal(struct dial *d, const struct address *a, int status)
{
    char room[ADDRESS_TEXT_ROOM];
    struct str where = a != NULL ? address_text_port(a, room) : d->origin->unix_path;

    snprintf(d->detail, sizeof(d->detail), "%s%s (" STR_FMT ")",
        d->origin->proxy_host.n != 0 ? "proxy: " : "", uv_strerror(status), STR_ARG(where));
}

static void
connected(struct dial *d, struct sock *s)
{
    abandon_attempts(d);
    timer_stop(&d->head_start);
    d->sock = s;
    if (d->origin->proxy == PROXY_HTTPS)
        start_proxy_tls(d);
    else
        start_tunnel(d);
}

static void
on_connected(void *arg, int status)
{
    struct dial_attempt *a = arg;
    struct dial *d = a->dial;
    struct sock *s = a->sock;
    struct dial_attempt **at = &d->attempts;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;

    bool is_unix = d->origin->unix_path.n != 0;
    if (status != 0) {
        note_refusal(d, is_unix ? NULL : &a->address, status);
        sock_close(s);
        free(a);
        start_next_attempt(d);
        return;
    }
    if (!is_unix) {
        sock_set_peer(s, &a->address);
        sock_set_name(s, name_of(d));
    }
    free(a);
    connected(d, s);
}

/* False when the address cannot even be tried. */
static bool
start_attempt(struct dial *d, const struct address *address)
{
    struct dial_attempt *a = check_alloc(calloc(1, sizeof(*a)));
    struct str path = d->origin->unix_path;
    int status;

    a->dial = d;
    if (address != NULL)
        a->address = *address;
    a->sock = sock_connect(d->loop, address, path, on_connected, a, &status);
    if (status == UV_EMFILE && d->loop->pool != NULL && pool_make_room(d->loop->pool))
        a->sock = sock_connect(d->loop, address, path, on_connected, a, &status);
    if (a->sock == NULL) {
        note_refusal(d, address, status);
        free(a);
        return false;
    }
    a->next = d->attempts;
    d->attempts = a;
    return true;
}

/* Tries the next address beside those that are being tried; the dial fails when none is left. */
static void
start_next_attempt(struct dial *d)
{
    while (d->next < d->answer.count) {
        struct address *a = &d->answer.list[d->next++];

        if (start_attempt(d, a)) {
            if (d->next < d->answer.count)
                timer_set(&d->head_start, HEAD_START_MS);
            return;
        }
    }
    if (d->attempts == NULL)
        dial_fail(d, ERR_UPSTREAM_CONNECT, "%s", d->detail);
}

static void
on_head_start_over(void *arg)
{
    start_next_attempt(arg);
}

static void
on_resolved(void *arg, const struct dns_answer *answer)
{
    struct dial *d = arg;
    const struct origin *o = d->origin;
    bool proxied = o->proxy_host.n != 0;

    d->query = NULL;
    d->answer = *answer;
    if (answer->count == 0) {
        dial_fail(d, ERR_UPSTREAM_DNS, "%s: " STR_FMT, answer->error, STR_ARG(name_of(d)));
        return;
    }
    if (d->connect_ms != 0)
        timer_set(&d->deadline, d->connect_ms);
    for (size_t i = 0; i < d->answer.count; i++)
        address_set_port(&d->answer.list[i], proxied ? o->proxy_port : o->port);
    d->phase = proxied ? "connecting to the proxy" : "connecting";
    start_next_attempt(d);
}

/* --- the beginning --- */

static void
on_target_resolved(void *arg, const struct dns_answer *answer)
{
    struct dial *d = arg;

    d->query = NULL;
    d->targets = *answer;
    if (answer->count == 0)
        dial_fail(d, ERR_UPSTREAM_DNS, "%s: " STR_FMT, answer->error, STR_ARG(d->origin->host));
    else
        d->query = dns_resolve(d->loop, name_of(d), on_resolved, d);
}

static void
on_begin(void *arg)
{
    struct dial *d = arg;
    const struct origin *o = d->origin;

    if (d->over) {
        free(d);
        return;
    }
    if (o->unix_path.n != 0) {
        d->phase = "connecting";
        if (!start_attempt(d, NULL))
            dial_fail(d, ERR_UPSTREAM_CONNECT, "%s", d->detail);
        return;
    }
    d->phase = "resolving the name";
    if (o->proxy == PROXY_SOCKS5)
        d->query = dns_resolve(d->loop, o->host, on_target_resolved, d);
    else
        d->query = dns_resolve(d->loop, name_of(d), on_resolved, d);
}

struct dial *
dial_start(struct loop *l, const struct origin *o, uint64_t dns_ms, uint64_t connect_ms,
    void (*done)(void *arg, struct sock *s),
    void (*failed)(void *arg, enum err why, const char *detail), void *arg)
{
    struct dial *d = check_alloc(calloc(1, sizeof(*d)));

    d->loop = l;
    d->origin = o;
    d->done = done;
    d->failed = failed;
    d->arg = arg;
    d->phase = "starting";
    buf_init(&d->proxy_head, PROXY_HEAD_LIMIT);
    timer_init(&d->deadline, l, on_deadline, d);
    timer_init(&d->head_start, l, on_head_start_over, d);
    bool looks_up = dns_ms != 0 && o->unix_path.n == 0;
    d->connect_ms = looks_up ? connect_ms : 0;
    if (looks_up || connect_ms != 0)
        timer_set(&d->deadline, looks_up ? dns_ms : connect_ms);
    d->begin = (struct deferred){ .fn = on_begin, .arg = d };
    loop_defer(l, &d->begin);
    return d;
}

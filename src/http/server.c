/* server.c - the connections of one worker: accepting them up to a limit, counting, draining and
 * closing them. */
#include "http/server.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "http/server_conn.h"

static const struct server_limits default_limits = {
    .head_bytes = 32 * 1024,
    .line_bytes = 8 * 1024,
    .fields = 100,
    .body_bytes = 32 * 1024 * 1024,
    .head_ms = 10 * 1000,
    .idle_ms = 75 * 1000,
    .body_grace_ms = 10 * 1000,
    .body_rate_bytes_per_s = 1024,
    .body_ms = 120 * 1000,
    .write_stall_ms = 60 * 1000,
    .connections = 10000,
};

struct server *
server_create(struct loop *l, const struct server_handler *handler, void *owner)
{
    struct server *s = check_alloc(calloc(1, sizeof(*s)));

    s->loop = l;
    s->handler = handler;
    s->owner = owner;
    s->limits = default_limits;
    s->addresses = map_create();
    return s;
}

void
server_set_limits(struct server *s, const struct server_limits *limits)
{
    s->limits = *limits;
}

/* --- addresses --- */

/* Counts the connection for its address. False: the address has reached its limit. */
static bool
count_address(struct server *s, struct server_conn *q)
{
    struct str peer = sock_peer(q->sock);
    struct server_address *a = NULL;

    if (s->limits.connections_per_address == 0 || str_eq(peer, S("unix")) ||
        (s->limits.spares_local && sock_is_local(q->sock)))
        return true;
    a = map_get(s->addresses, peer);
    if (a == NULL) {
        a = check_alloc(calloc(1, sizeof(*a)));
        map_put(s->addresses, peer, a);
    }
    q->address = a;
    a->connections++;
    return a->connections <= s->limits.connections_per_address;
}

static void
uncount_address(struct server *s, struct server_conn *q)
{
    if (q->address == NULL || --q->address->connections != 0)
        return;
    map_remove(s->addresses, sock_peer(q->sock));
    free(q->address);
}

/* --- connections --- */

void
server_accept(void *server, struct sock *sock)
{
    server_accept_role(server, sock, 0);
}

void
server_accept_role(struct server *s, struct sock *sock, unsigned role)
{
    /* The operator's listeners (another role) answer when callers' are full. */
    if (role == 0 && s->connections >= s->limits.connections + SERVER_OVERFLOW_CONNECTIONS) {
        struct str peer = sock_peer(sock);

        s->dropped++;
        log_warn(NULL,
            "too many connections are open (server.limits.connections: %u) for even an error "
            "message: one from " STR_FMT " was closed without an answer",
            s->limits.connections, STR_ARG(peer.n != 0 ? peer : S("a Unix socket")));
        sock_close(sock);
        return;
    }
    struct server_conn *q = check_alloc(calloc(1, sizeof(*q)));
    bool full = role == 0 && s->connections >= s->limits.connections;

    q->server = s;
    q->sock = sock;
    q->role = role;
    q->stopped = true;    /* a new socket is not being read */
    q->turn = (struct deferred){ .fn = server_conn_turn, .arg = q };
    timer_init(&q->timer, s->loop, server_conn_tick, q);
    buf_init(&q->in, SIZE_MAX / 2);    /* bounded by the limits on heads and on one read */
    buf_init(&q->out, SIZE_MAX / 2);
    LIST_ADD(s->first, q);
    s->connections++;
    bool crowded = !count_address(s, q);

    sock_own(sock, &server_conn_events, q);
    if (full || crowded) {
        server_conn_refuse(q, ERR_OVERLOADED,
            full ? "too many connections are open"
                 : "too many connections from this address are open");
        return;
    }
    q->since_ms = loop_now_ms(s->loop);
    timer_set_by(&q->timer, q->since_ms + server_conn_idle_ms(q));
    server_conn_read(q);
}

/* An idle connection keeps a small constant amount of memory, which is not counted. */
static uint64_t
bytes_held(const struct server_conn *q)
{
    size_t head = q->head_room.bytes > SERVER_HEAD_KEEP_BYTES ? q->head_room.bytes : 0;

    return head + q->in.cap + buf_len(&q->body) + sock_queued_bytes(q->sock);
}

bool
server_conn_hold(struct server_conn *q, bool begun)
{
    struct quota_share *held = q->server->limits.held;

    return held == NULL || quota_share_set(held, &q->held, bytes_held(q), begun);
}

void
server_conn_free_head(struct server_conn *q)
{
    h1_room_free(&q->head_room);
}

void
server_conn_free_body(struct server_conn *q)
{
    buf_fini(&q->body);
    if (q->sock != NULL)
        (void)server_conn_hold(q, true);
}

void
server_conn_close(struct server_conn *q, bool reset)
{
    struct server *s = q->server;

    if (q->sock == NULL)
        return;
    uncount_address(s, q);
    LIST_REMOVE(s->first, q);
    s->connections--;
    q->open = false;
    q->reading = READ_DISCARD;
    timer_stop(&q->timer);
    if (reset)
        sock_close_reset(q->sock);
    else
        sock_close(q->sock);
    q->sock = NULL;
    if (s->limits.held != NULL)
        quota_share_give(s->limits.held, q->held);
    q->held = 0;
    loop_defer(s->loop, &q->turn);    /* functions up the stack still use it */
}

void
server_conn_gone(struct server_conn *q)
{
    struct server *s = q->server;

    if (q->sock == NULL)
        return;
    if (q->open) {
        q->open = false;
        s->handler->gone(s->owner, q);
    }
    /* If output is still queued, the client is not going to read it. Without a reset the kernel
     * would keep it for minutes. */
    server_conn_close(q, sock_queued_bytes(q->sock) != 0);
}

uint64_t
server_conn_idle_ms(const struct server_conn *q)
{
    uint64_t idle_ms = q->server->limits.idle_ms;

    if (!q->server->draining)
        return idle_ms;
    return MIN(idle_ms, q->served ? SERVER_DRAIN_IDLE_MS : SERVER_DRAIN_NEW_MS);
}

/* Is it between requests, without a byte of the next one? */
static bool
is_idle(const struct server_conn *q)
{
    return !q->open && q->reading == READ_HEAD && buf_len(&q->in) == 0;
}

void
server_leave(struct server *s)
{
    s->leaving = true;
}

void
server_drain(struct server *s)
{
    s->leaving = true;
    s->draining = true;
    for (struct server_conn *q = s->first; q != NULL; q = q->next) {
        if (!is_idle(q))
            continue;
        q->since_ms = loop_now_ms(s->loop);
        timer_set_by(&q->timer, q->since_ms + server_conn_idle_ms(q));
    }
}

/* May it be closed to make room? A new connection is most likely about to send its first request,
 * or has sent it already. */
static bool
is_spare(const struct server_conn *q, uint64_t now_ms)
{
    return is_idle(q) && (q->served || now_ms - q->since_ms >= SERVER_FIRST_MS);
}

bool
server_make_room(struct server *s)
{
    uint64_t now = loop_now_ms(s->loop), oldest = now, idle = 0, closed = 0;
    struct server_conn *next;

    if (now < s->no_room_until_ms)    /* the list is long: not for each refused connection */
        return false;
    for (const struct server_conn *q = s->first; q != NULL; q = q->next) {
        if (!is_spare(q, now))
            continue;
        oldest = MIN(oldest, q->since_ms);
        idle++;
    }
    if (idle == 0)
        s->no_room_until_ms = now + SERVER_NO_ROOM_MS;
    uint64_t until = oldest + (now - oldest) / 2;    /* the older half is close enough */
    for (struct server_conn *q = s->first; q != NULL && closed * 8 < idle; q = next) {
        next = q->next;
        if (!is_spare(q, now) || q->since_ms > until)
            continue;
        server_conn_close(q, false);
        closed++;
    }
    return closed != 0;
}

unsigned
server_connections(const struct server *s)
{
    return s->connections;
}

uint64_t
server_dropped(const struct server *s)
{
    return s->dropped;
}

void
server_destroy(struct server *s)
{
    if (s == NULL)
        return;
    while (s->first != NULL)
        server_conn_gone(s->first);
    map_destroy(s->addresses);
    for (unsigned i = 0; i < s->spares_n; i++)
        buf_fini(&s->spares[i]);
    free(s);
}

/* --- accessors for handlers --- */

const struct http_head *
server_head(const struct server_conn *q)
{
    CHECK(q->head_room.fields != NULL);
    return &q->head.head;
}

void
server_forget_head(struct server_conn *q)
{
    CHECK(q->open && q->responded);
    server_conn_free_head(q);
    (void)server_conn_hold(q, true);
}

struct str
server_peer(const struct server_conn *q)
{
    return q->sock != NULL ? sock_peer(q->sock) : S("");
}

bool
server_is_local(const struct server_conn *q)
{
    return q->sock != NULL && sock_is_local(q->sock);
}

bool
server_is_tls(const struct server_conn *q)
{
    return q->sock != NULL && sock_is_tls(q->sock);
}

unsigned
server_role(const struct server_conn *q)
{
    return q->role;
}

void
server_set_user(struct server_conn *q, void *user)
{
    q->user = user;
}

void *
server_user(const struct server_conn *q)
{
    return q->user;
}

uint64_t
server_started_us(const struct server_conn *q)
{
    return q->started_us;
}

bool
server_body_done(const struct server_conn *q)
{
    return q->body_done;
}

struct str
server_body(const struct server_conn *q)
{
    return buf_str(&q->body);
}

void
server_drop_body(struct server_conn *q)
{
    server_conn_free_body(q);
}

struct buf
server_take_body(struct server_conn *q)
{
    struct buf body = q->body;

    buf_init(&q->body, 0);
    (void)server_conn_hold(q, true);
    return body;
}

bool
server_responded(const struct server_conn *q)
{
    return q->responded;
}

size_t
server_backlog(const struct server_conn *q)
{
    return buf_len(&q->out) + (q->sock != NULL ? sock_queued_bytes(q->sock) : 0);
}

uint64_t
server_bytes_out(const struct server_conn *q)
{
    return q->bytes_out;
}

/* client_upstream.c - connections to an origin: pooled, shared or dialled, and the calls that wait
 * for one.
 *
 * Whether an origin speaks HTTP/2 is known once the first connection to it is established. Until
 * then, and for HTTP/1, there is one dial per waiting call; afterwards one per as many calls as a
 * connection can serve. Dials belong to the upstream, not to a call: the call that has waited
 * longest gets the first connection.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"
#include "http/client_call.h"

enum {
    SHARED_MAX = 256,    /* HTTP/2 connections to one origin; calls beyond their streams wait */
    CAPACITY_ASSUMED = 100,
    UPSTREAMS_KEPT = 32,    /* also while they are unused */
    PING_MS = 30 * 1000,
    PONG_MS = 10 * 1000,
};

/* An HTTP/2 connection that accepts new streams. */
struct shared {
    struct client_upstream *upstream;
    struct h2 *h2;
    struct shared *prev, *next;
};

struct dialling {
    struct client_upstream *upstream;
    struct dial *dial;
    struct origin *origin;    /* a reference: the call may end before the dial */
    struct dialling *prev, *next;
};

struct client_upstream {
    struct client *client;
    char *key;                /* the origin's pool_key */
    struct shared *shared;    /* newest first */
    unsigned shared_n;
    struct dialling *dials;    /* newest first */
    unsigned dials_n;
    struct client_call *first;    /* of the waiting calls */
    struct client_call *last;
    unsigned waiting_n;
    bool speaks_h2;
    unsigned capacity;    /* streams per connection, according to the server's last SETTINGS */
    unsigned busy;        /* functions up the stack that use it */
};

/* --- upstreams --- */

static bool
is_deserted(const struct client_upstream *u)
{
    return u->shared == NULL && u->dials == NULL && u->first == NULL && u->busy == 0;
}

static void
free_upstream(struct client_upstream *u)
{
    free(u->key);
    free(u);
}

/* Each reload of the configuration may create new origins. */
static void
forget_deserted(struct client *c)
{
    struct str key;
    void *value;

    for (size_t pos = 0; map_next(c->upstreams, &pos, &key, &value);) {
        if (!is_deserted(value))
            continue;
        map_remove(c->upstreams, key);
        free_upstream(value);
        pos = 0;
    }
}

static struct client_upstream *
upstream_of(struct client *c, const struct origin *o)
{
    struct client_upstream *u = map_get(c->upstreams, o->pool_key);

    if (u != NULL)
        return u;
    if (map_count(c->upstreams) >= UPSTREAMS_KEPT)
        forget_deserted(c);
    u = check_alloc(calloc(1, sizeof(*u)));
    u->client = c;
    u->key = str_dup_c(o->pool_key);
    u->capacity = CAPACITY_ASSUMED;
    map_put(c->upstreams, o->pool_key, u);
    return u;
}

/* --- the calls that wait --- */

static void
enqueue(struct client_upstream *u, struct client_call *call)
{
    call->transport = &client_transport_waiting;
    call->upstream = u;
    call->waits_behind = NULL;
    call->waits_before = u->last;
    if (u->last != NULL)
        u->last->waits_behind = call;
    else
        u->first = call;
    u->last = call;
    u->waiting_n++;
}

static void
dequeue(struct client_call *call)
{
    struct client_upstream *u = call->upstream;

    if (call->waits_before != NULL)
        call->waits_before->waits_behind = call->waits_behind;
    else
        u->first = call->waits_behind;
    if (call->waits_behind != NULL)
        call->waits_behind->waits_before = call->waits_before;
    else
        u->last = call->waits_before;
    call->upstream = NULL;
    u->waiting_n--;
}

/* --- dials: as many as the calls that wait need --- */

static void on_dialled(void *arg, struct sock *s);
static void on_dial_failed(void *arg, enum err why, const char *detail);

static unsigned
calls_per_dial(const struct client_upstream *u)
{
    return u->speaks_h2 ? MAX(u->capacity, 1u) : 1;
}

/* Free streams of the shared connections, or expected once their servers' SETTINGS arrive. */
static unsigned
room_ahead(const struct client_upstream *u)
{
    unsigned room = 0;

    for (const struct shared *s = u->shared; s != NULL; s = s->next) {
        unsigned capacity = h2_capacity(s->h2);
        unsigned streams = h2_streams(s->h2);

        room += capacity > streams ? capacity - streams : 0;
    }
    return room;
}

static unsigned
dials_wanted(const struct client_upstream *u)
{
    unsigned room = room_ahead(u);
    unsigned per = calls_per_dial(u);
    unsigned most = u->capacity != 0 ? SHARED_MAX : 1;

    if (u->waiting_n <= room)
        return 0;
    unsigned wanted = (u->waiting_n - room + per - 1) / per;
    if (!u->speaks_h2)
        return wanted;
    return MIN(wanted, most > u->shared_n ? most - u->shared_n : 0);
}

static void
start_dial(struct client_upstream *u)
{
    struct dialling *d = check_alloc(calloc(1, sizeof(*d)));
    const struct client_request *q = &u->last->request;

    d->upstream = u;
    d->origin = origin_ref(q->origin);
    LIST_ADD(u->dials, d);
    u->dials_n++;
    d->dial = dial_start(
        u->client->loop, d->origin, q->dns_ms, q->connect_ms, on_dialled, on_dial_failed, d);
}

/* Removes a finished or cancelled dial of `u` from its list. */
static void
end_dial(struct client_upstream *u, struct dialling *d)
{
    LIST_REMOVE(u->dials, d);
    u->dials_n--;
    origin_destroy(d->origin);
    free(d);
}

static void
cancel_newest_dial(struct client_upstream *u)
{
    dial_cancel(u->dials->dial);
    end_dial(u, u->dials);
}

static void
settle_dials(struct client_upstream *u)
{
    unsigned wanted = dials_wanted(u);

    while (u->dials_n > wanted)
        cancel_newest_dial(u);
    while (u->dials_n < wanted)
        start_dial(u);
}

/* --- shared connections --- */

static struct h2 *
find_room(struct client_upstream *u)
{
    struct shared *next;

    for (const struct shared *s = u->shared; s != NULL; s = next) {
        next = s->next;
        if (h2_leave_if_outdated(s->h2))    /* and `s` is gone */
            continue;
        if (h2_room(s->h2) != 0)
            return s->h2;
    }
    return NULL;
}

static void
serve_waiting(struct client_upstream *u)
{
    struct h2 *h2;

    while (u->first != NULL && (h2 = find_room(u)) != NULL) {
        struct client_call *call = u->first;

        dequeue(call);
        call->connect_us = clock_now_us() - call->started_us;
        client_h2_send(call, h2);
    }
    settle_dials(u);
}

static unsigned
idle_of(const struct client_upstream *u)
{
    unsigned n = 0;

    for (const struct shared *s = u->shared; s != NULL; s = s->next)
        n += h2_streams(s->h2) == 0;
    return n;
}

static void
forget_shared(struct shared *gone)
{
    struct client_upstream *u = gone->upstream;

    LIST_REMOVE(u->shared, gone);
    u->shared_n--;
    free(gone);
}

static void
on_room(void *owner)
{
    struct shared *s = owner;
    struct client_upstream *u = s->upstream;
    const struct pool_limits *limits = &u->client->limits.pool;

    u->capacity = h2_capacity(s->h2);
    serve_waiting(u);
    if (h2_streams(s->h2) == 0 && h2_started(s->h2) != 0 &&
        (idle_of(u) > limits->idle_per_origin || client_idle(u->client) > limits->idle_total)) {
        h2_destroy(s->h2);
        forget_shared(s);
    }
}

static void
on_ended_idle(void *owner, uint64_t rested_ms)
{
    const struct shared *s = owner;

    pool_learn_idle(s->upstream->client->pool, str_c(s->upstream->key), rested_ms);
}

static void
on_leaving(void *owner)
{
    struct shared *s = owner;
    struct client_upstream *u = s->upstream;

    forget_shared(s);
    settle_dials(u);
}

static const struct h2_events shared_events = {
    .room = on_room,
    .ended_idle = on_ended_idle,
    .leaving = on_leaving,
};

static void
share(struct client_upstream *u, struct sock *sock)
{
    const struct client_limits *limits = &u->client->limits;
    const struct h2_limits h2_limits = {
        .head_bytes = limits->head_bytes,
        .fields = limits->fields,
        .streams = u->capacity,
        .idle_ms = pool_idle_ms(u->client->pool, str_c(u->key)),
        .age_ms = limits->pool.age_ms,
        .ping_ms = PING_MS,
        .pong_ms = PONG_MS,
    };
    struct shared *s = check_alloc(calloc(1, sizeof(*s)));

    s->upstream = u;
    s->h2 = h2_create(sock, &h2_limits, &shared_events, s);
    LIST_ADD(u->shared, s);
    u->shared_n++;
}

/* --- a dial ends --- */

static void
on_dialled(void *arg, struct sock *sock)
{
    struct dialling *d = arg;
    struct client_upstream *u = d->upstream;
    struct client_call *call = u->first;

    end_dial(u, d);
    u->speaks_h2 = str_eq(sock_alpn(sock), S("h2"));
    if (u->speaks_h2) {
        share(u, sock);
        serve_waiting(u);
        return;
    }
    if (call == NULL) {
        sock_close(sock);
        return;
    }
    dequeue(call);
    settle_dials(u);
    call->lease = (struct pool_lease){ .born_ms = loop_now_ms(u->client->loop) };
    call->connect_us = clock_now_us() - call->started_us;
    call->reused = false;
    client_call_tell_connected(call);
    if (call->ended)
        sock_close(sock);
    else
        client_h1_send(call, sock);
}

/* The calls that depended on it fail; calls that start meanwhile get a dial of their own. */
static void
on_dial_failed(void *arg, enum err why, const char *detail)
{
    struct dialling *d = arg;
    struct client_upstream *u = d->upstream;

    end_dial(u, d);
    u->busy++;
    while (u->first != NULL && u->waiting_n > room_ahead(u) + u->dials_n * calls_per_dial(u))
        client_call_fail(u->first, why, detail, CLIENT_UNKNOWN);
    u->busy--;
}

/* --- entry points --- */

void
client_upstream_send(struct client *c, struct client_call *call)
{
    const struct origin *o = call->request.origin;
    struct client_upstream *u = upstream_of(c, o);
    struct h2 *h2 = u->first == NULL ? find_room(u) : NULL;

    if (h2 != NULL) {
        client_h2_send(call, h2);
        return;
    }
    /* If one pooled connection was stale, others may be too. */
    bool fresh = call->request.fresh || call->resends != 0;
    struct sock *sock = fresh ? NULL : pool_take(c->pool, o, &call->lease);
    if (sock != NULL) {
        call->reused = true;
        client_h1_send(call, sock);
        return;
    }
    call->started_us = clock_now_us();
    enqueue(u, call);
    settle_dials(u);
}

void
client_upstreams_destroy(struct client *c)
{
    struct shared *next;
    struct str key;
    void *value;

    for (size_t pos = 0; map_next(c->upstreams, &pos, &key, &value);) {
        struct client_upstream *u = value;

        CHECK(u->first == NULL);
        while (u->dials != NULL)
            cancel_newest_dial(u);
        for (struct shared *s = u->shared; s != NULL; s = next) {
            next = s->next;
            h2_destroy(s->h2);
            free(s);
        }
        free_upstream(u);
    }
}

unsigned
client_upstreams_idle(const struct client *c)
{
    struct str key;
    void *value;
    unsigned n = 0;

    for (size_t pos = 0; map_next(c->upstreams, &pos, &key, &value);)
        n += idle_of(value);
    return n;
}

/* --- the transport of waiting calls --- */

static void
drop(struct client_call *call)
{
    struct client_upstream *u = call->upstream;

    if (u == NULL)
        return;    /* already off the queue, its connection not attached yet */
    dequeue(call);
    settle_dials(u);
}

static void
wait_on(struct client_call *call)
{
    (void)call;
}

const struct client_transport client_transport_waiting = {
    .drop = drop,
    .pause = wait_on,
    .resume = wait_on,
};

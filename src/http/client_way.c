/* client_way.c - connections to an origin: pooled, shared or dialled, and the calls that wait for one.
 *
 * Whether an origin speaks HTTP/2 is known once the first connection to it is established. Until
 * then, and for HTTP/1, there is one dial per waiting call; afterwards one per as many calls as a
 * connection can carry. Dials belong to the origin's way, not to a call: the call that has waited
 * longest gets the first connection.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "http/client_call.h"

enum {
    SHARED_MAX = 256,    /* HTTP/2 connections to one origin; calls beyond their streams wait */
    CAPACITY_ASSUMED = 100,
    WAYS_KEPT = 32,    /* also while they are unused */
    PING_MS = 30 * 1000,
    PONG_MS = 10 * 1000,
};

/* An HTTP/2 connection that accepts new streams. */
struct shared {
    struct client_way *way;
    struct h2 *h2;
    struct shared *next;
};

struct dialling {
    struct client_way *way;
    struct dial *dial;
    struct origin *origin;    /* a reference: the call may end before the dial */
    struct dialling *next;
};

struct client_way {
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

/* --- ways --- */

static bool
is_deserted(const struct client_way *way)
{
    return way->shared == NULL && way->dials == NULL && way->first == NULL && way->busy == 0;
}

static void
free_way(struct client_way *way)
{
    free(way->key);
    free(way);
}

/* Each reload of the configuration may create new origins. */
static void
forget_deserted(struct client *c)
{
    struct str key;
    void *value;

    for (size_t pos = 0; map_next(c->ways, &pos, &key, &value);) {
        if (!is_deserted(value))
            continue;
        map_remove(c->ways, key);
        free_way(value);
        pos = 0;
    }
}

static struct client_way *
way_to(struct client *c, const struct origin *o)
{
    struct client_way *way = map_get(c->ways, o->pool_key);

    if (way != NULL)
        return way;
    if (map_count(c->ways) >= WAYS_KEPT)
        forget_deserted(c);
    way = check_alloc(calloc(1, sizeof(*way)));
    way->client = c;
    way->key = str_dup_c(o->pool_key);
    way->capacity = CAPACITY_ASSUMED;
    map_put(c->ways, o->pool_key, way);
    return way;
}

/* --- the calls that wait --- */

static void
enqueue(struct client_way *way, struct client_call *call)
{
    call->carrier = &client_carrier_way;
    call->way = way;
    call->waits_behind = NULL;
    call->waits_before = way->last;
    if (way->last != NULL)
        way->last->waits_behind = call;
    else
        way->first = call;
    way->last = call;
    way->waiting_n++;
}

static void
dequeue(struct client_call *call)
{
    struct client_way *way = call->way;

    if (call->waits_before != NULL)
        call->waits_before->waits_behind = call->waits_behind;
    else
        way->first = call->waits_behind;
    if (call->waits_behind != NULL)
        call->waits_behind->waits_before = call->waits_before;
    else
        way->last = call->waits_before;
    call->way = NULL;
    way->waiting_n--;
}

/* --- dials: as many as the calls that wait need --- */

static void on_dialled(void *arg, struct sock *s);
static void on_dial_failed(void *arg, enum err why, const char *detail);

static unsigned
calls_per_dial(const struct client_way *way)
{
    return way->speaks_h2 ? MAX(way->capacity, 1u) : 1;
}

/* Free streams of the shared connections, or expected once their servers' SETTINGS arrive. */
static unsigned
room_ahead(const struct client_way *way)
{
    unsigned room = 0;

    for (const struct shared *s = way->shared; s != NULL; s = s->next) {
        unsigned capacity = h2_capacity(s->h2);
        unsigned streams = h2_streams(s->h2);

        room += capacity > streams ? capacity - streams : 0;
    }
    return room;
}

static unsigned
dials_wanted(const struct client_way *way)
{
    unsigned room = room_ahead(way);
    unsigned per = calls_per_dial(way);
    unsigned most = way->capacity != 0 ? SHARED_MAX : 1;

    if (way->waiting_n <= room)
        return 0;
    unsigned wanted = (way->waiting_n - room + per - 1) / per;
    if (!way->speaks_h2)
        return wanted;
    return MIN(wanted, most > way->shared_n ? most - way->shared_n : 0);
}

static void
start_dial(struct client_way *way)
{
    struct dialling *d = check_alloc(calloc(1, sizeof(*d)));
    const struct client_request *q = &way->last->request;

    d->way = way;
    d->origin = origin_ref(q->origin);
    d->next = way->dials;
    way->dials = d;
    way->dials_n++;
    d->dial = dial_start(
        way->client->loop, d->origin, q->dns_ms, q->connect_ms, on_dialled, on_dial_failed, d);
}

/* Removes a finished dial from the list. */
static struct client_way *
end_dial(struct dialling *d)
{
    struct client_way *way = d->way;

    if (way->dials == d) {
        way->dials = d->next;
    } else {
        struct dialling *newer = way->dials;

        while (newer->next != d)
            newer = newer->next;
        newer->next = d->next;
    }
    way->dials_n--;
    origin_destroy(d->origin);
    free(d);
    return way;
}

static void
cancel_newest_dial(struct client_way *way)
{
    struct dialling *d = way->dials;

    way->dials = d->next;
    way->dials_n--;
    dial_cancel(d->dial);
    origin_destroy(d->origin);
    free(d);
}

static void
settle_dials(struct client_way *way)
{
    unsigned wanted = dials_wanted(way);

    while (way->dials_n > wanted)
        cancel_newest_dial(way);
    while (way->dials_n < wanted)
        start_dial(way);
}

/* --- shared connections --- */

static struct h2 *
find_room(struct client_way *way)
{
    struct shared *next;

    for (const struct shared *s = way->shared; s != NULL; s = next) {
        next = s->next;
        if (h2_leave_if_outdated(s->h2))    /* and `s` is gone */
            continue;
        if (h2_room(s->h2) != 0)
            return s->h2;
    }
    return NULL;
}

static void
serve_waiting(struct client_way *way)
{
    struct h2 *h2;

    while (way->first != NULL && (h2 = find_room(way)) != NULL) {
        struct client_call *call = way->first;

        dequeue(call);
        call->connect_us = clock_now_us() - call->started_us;
        client_h2_carry(call, h2);
    }
    settle_dials(way);
}

static unsigned
idle_of(const struct client_way *way)
{
    unsigned n = 0;

    for (const struct shared *s = way->shared; s != NULL; s = s->next)
        n += h2_streams(s->h2) == 0;
    return n;
}

static void
forget_shared(struct shared *gone)
{
    struct client_way *way = gone->way;

    if (way->shared == gone) {
        way->shared = gone->next;
    } else {
        struct shared *newer = way->shared;

        while (newer->next != gone)
            newer = newer->next;
        newer->next = gone->next;
    }
    way->shared_n--;
    free(gone);
}

static void
on_room(void *owner)
{
    struct shared *s = owner;
    struct client_way *way = s->way;
    const struct pool_limits *limits = &way->client->limits.pool;

    way->capacity = h2_capacity(s->h2);
    serve_waiting(way);
    if (h2_streams(s->h2) == 0 && h2_started(s->h2) != 0 &&
        (idle_of(way) > limits->idle_per_origin || client_idle(way->client) > limits->idle_total)) {
        h2_destroy(s->h2);
        forget_shared(s);
    }
}

static void
on_ended_idle(void *owner, uint64_t rested_ms)
{
    const struct shared *s = owner;

    pool_learn_idle(s->way->client->pool, str_c(s->way->key), rested_ms);
}

static void
on_leaving(void *owner)
{
    struct shared *s = owner;
    struct client_way *way = s->way;

    forget_shared(s);
    settle_dials(way);
}

static const struct h2_events shared_events = {
    .room = on_room,
    .ended_idle = on_ended_idle,
    .leaving = on_leaving,
};

static void
share(struct client_way *way, struct sock *sock)
{
    const struct client_limits *limits = &way->client->limits;
    const struct h2_limits h2_limits = {
        .head_bytes = limits->head_bytes,
        .fields = limits->fields,
        .streams = way->capacity,
        .idle_ms = pool_idle_ms(way->client->pool, str_c(way->key)),
        .age_ms = limits->pool.age_ms,
        .ping_ms = PING_MS,
        .pong_ms = PONG_MS,
    };
    struct shared *s = check_alloc(calloc(1, sizeof(*s)));

    s->way = way;
    s->h2 = h2_create(sock, &h2_limits, &shared_events, s);
    s->next = way->shared;
    way->shared = s;
    way->shared_n++;
}

/* --- a dial ends --- */

static void
on_dialled(void *arg, struct sock *sock)
{
    struct client_way *way = end_dial(arg);
    struct client_call *call = way->first;

    way->speaks_h2 = str_eq(sock_alpn(sock), S("h2"));
    if (way->speaks_h2) {
        share(way, sock);
        serve_waiting(way);
        return;
    }
    if (call == NULL) {
        sock_close(sock);
        return;
    }
    dequeue(call);
    settle_dials(way);
    call->lease = (struct pool_lease){ .born_ms = loop_now_ms(way->client->loop) };
    call->connect_us = clock_now_us() - call->started_us;
    call->reused = false;
    client_call_tell_connected(call);
    if (call->ended)
        sock_close(sock);
    else
        client_h1_carry(call, sock);
}

/* The calls that depended on it fail; calls that start meanwhile get a dial of their own. */
static void
on_dial_failed(void *arg, enum err why, const char *detail)
{
    struct client_way *way = end_dial(arg);

    way->busy++;
    while (
        way->first != NULL && way->waiting_n > room_ahead(way) + way->dials_n * calls_per_dial(way))
        client_call_fail(way->first, why, detail, CLIENT_UNKNOWN);
    way->busy--;
}

/* --- entry points --- */

void
client_way_carry(struct client *c, struct client_call *call)
{
    const struct origin *o = call->request.origin;
    struct client_way *way = way_to(c, o);
    struct h2 *h2 = way->first == NULL ? find_room(way) : NULL;

    if (h2 != NULL) {
        client_h2_carry(call, h2);
        return;
    }
    /* If one pooled connection was stale, others may be too. */
    bool fresh = call->request.fresh || call->resends != 0;
    struct sock *sock = fresh ? NULL : pool_take(c->pool, o, &call->lease);
    if (sock != NULL) {
        call->reused = true;
        client_h1_carry(call, sock);
        return;
    }
    call->started_us = clock_now_us();
    enqueue(way, call);
    settle_dials(way);
}

void
client_ways_destroy(struct client *c)
{
    struct shared *next;
    struct str key;
    void *value;

    for (size_t pos = 0; map_next(c->ways, &pos, &key, &value);) {
        struct client_way *way = value;

        CHECK(way->first == NULL);
        while (way->dials != NULL)
            cancel_newest_dial(way);
        for (struct shared *s = way->shared; s != NULL; s = next) {
            next = s->next;
            h2_destroy(s->h2);
            free(s);
        }
        free_way(way);
    }
}

unsigned
client_ways_idle(const struct client *c)
{
    struct str key;
    void *value;
    unsigned n = 0;

    for (size_t pos = 0; map_next(c->ways, &pos, &key, &value);)
        n += idle_of(value);
    return n;
}

/* --- the carrier of waiting calls --- */

static void
drop(struct client_call *call)
{
    struct client_way *way = call->way;

    if (way == NULL)
        return;    /* already off the queue, its connection not attached yet */
    dequeue(call);
    settle_dials(way);
}

static void
wait_on(struct client_call *call)
{
    (void)call;
}

const struct client_carrier client_carrier_way = {
    .drop = drop,
    .pause = wait_on,
    .resume = wait_on,
};

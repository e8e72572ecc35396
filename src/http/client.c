/* client.c - requests to providers: how a call starts, its deadlines, and how it ends.
 *
 * The transport is elsewhere: client_upstream.c finds or makes a connection, and the HTTP/1 and
 * HTTP/2 files send the request on it (client_call.h lists them).
 */
#include "http/client.h"

#include <stdlib.h>

#include "base/list.h"
#include "http/client_call.h"

enum {
    WAIT_GRACE_MS = 20,
    RESEND_STEP_MS = 10,    /* before the second time a request is sent again; doubles with each */
    RESEND_STEP_MAX_MS = 500,
};

struct client *
client_create(struct loop *l, const struct client_limits *limits)
{
    struct client *c = check_alloc(calloc(1, sizeof(*c)));

    c->loop = l;
    c->limits = *limits;
    c->h1_limits = (struct h1_limits){
        .head_bytes = limits->head_bytes,
        .line_bytes = limits->head_bytes,
        .fields = limits->fields,
    };
    c->pool = pool_create(l, limits->pool);
    c->upstreams = map_create();
    buf_init(&c->head, SIZE_MAX / 2);
    return c;
}

/* --- the life of a call --- */

static void on_turn(void *arg);
static void on_more(void *arg);
static void on_deadline(void *arg);
static void send_or_wait(struct client_call *call);

static struct client_call *
new_call(struct client *c)
{
    struct client_call *call = c->spare;

    if (call != NULL) {
        c->spare = call->next;
        c->spares_n--;
    } else {
        call = check_alloc(calloc(1, sizeof(*call)));
        call->client = c;
        timer_init(&call->deadline, c->loop, on_deadline, call);
        call->turn = (struct deferred){ .fn = on_turn, .arg = call };
        call->more = (struct deferred){ .fn = on_more, .arg = call };
        buf_init(&call->in, SIZE_MAX / 2);    /* bounded by the limits of heads and of one read */
    }
    LIST_ADD(c->first, call);
    c->calls_open++;
    return call;
}

static void
free_call(struct client_call *call)
{
    buf_fini(&call->in);
    free(call->detail);
    h1_room_free(&call->head_room);
    free(call);
}

/* Runs at the end of the loop iteration in which the call ended: nothing refers to it any more. */
static void
recycle(struct client_call *call)
{
    struct client *c = call->client;

    if (c == NULL) {
        free_call(call);
        return;
    }
    LIST_REMOVE(c->first, call);
    if (c->spares_n == CLIENT_SPARES) {
        free_call(call);
        return;
    }
    buf_fini(&call->in);
    free(call->detail);
    call->detail = NULL;
    if (call->head_room.bytes > CLIENT_HEAD_KEEP_BYTES)
        h1_room_free(&call->head_room);
    call->next = c->spare;
    c->spare = call;
    c->spares_n++;
}

static void
on_turn(void *arg)
{
    struct client_call *call = arg;

    if (!call->ended)
        call->transport->resume(call);
    else if (!call->more.queued)
        recycle(call);
}

static void
on_more(void *arg)
{
    struct client_call *call = arg;

    if (!call->ended)
        client_h1_send_more(call);
    else if (!call->turn.queued)
        recycle(call);
}

/* No more callbacks for the owner; the memory is freed at the end of this loop iteration. */
static void
end_call(struct client_call *call)
{
    call->ended = true;
    timer_stop(&call->deadline);
    call->client->calls_open--;
    call->transport->drop(call);
    call->transport = NULL;
    loop_defer(call->client->loop, &call->turn);
}

void
client_destroy(struct client *c)
{
    struct client_call *next = NULL;

    for (struct client_call *call = c->first; call != NULL; call = next) {
        next = call->next;
        if (!call->ended)
            end_call(call);
        call->client = NULL;
    }
    for (struct client_call *call = c->spare; call != NULL; call = next) {
        next = call->next;
        free_call(call);
    }
    client_upstreams_destroy(c);
    map_destroy(c->upstreams);
    pool_destroy(c->pool);
    buf_fini(&c->head);
    free(c);
}

unsigned
client_calls_open(const struct client *c)
{
    return c->calls_open;
}

unsigned
client_idle(const struct client *c)
{
    return pool_idle_count(c->pool) + client_upstreams_idle(c);
}

/* --- deadlines: for a connection, then for the first byte --- */

static void
set_deadline(struct client_call *call, uint64_t delay_ms)
{
    if (delay_ms != 0)
        timer_set(&call->deadline, delay_ms);
    else
        timer_stop(&call->deadline);
}

static void
on_deadline(void *arg)
{
    struct client_call *call = arg;

    if (call->transport == &client_transport_paused)
        send_or_wait(call);
    else if (call->transport == &client_transport_waiting)
        client_call_fail(call, ERR_UPSTREAM_CONNECT_TIMEOUT,
            "timed out while waiting for a connection", CLIENT_UNKNOWN);
    else
        client_call_fail(call, ERR_UPSTREAM_TIMEOUT, "no answer in time", CLIENT_UNKNOWN);
}

void
client_call_expect_answer(struct client_call *call)
{
    set_deadline(call, call->request.first_byte_ms);
}

/* --- beginning --- */

/* A dial for this call reports its own timeout first, because it can name the slow step. */
static void
send_or_wait(struct client_call *call)
{
    const struct client_request *q = &call->request;

    set_deadline(call, q->connect_ms != 0 ? q->dns_ms + q->connect_ms + WAIT_GRACE_MS : 0);
    client_upstream_send(call->client, call);
}

struct client_call *
client_start(struct client *c, const struct client_request *q, const struct client_events *events,
    void *owner)
{
    struct client_call *call = new_call(c);

    CHECK(q->body_count <= CLIENT_BODY_PIECES);
    call->request = *q;
    call->events = events;
    call->owner = owner;
    call->ended = false;
    call->resends = 0;
    call->resend_until_ms = loop_now_ms(c->loop) + q->resend_ms;
    call->paused = false;
    call->told_connected = false;
    call->connect_us = 0;
    send_or_wait(call);
    return call;
}

/* --- reports from the transports --- */

void
client_call_tell_connected(struct client_call *call)
{
    if (call->told_connected)
        return;
    call->told_connected = true;
    if (call->events->connected != NULL)
        call->events->connected(call->owner, call->reused, call->connect_us);
}

void
client_call_head(struct client_call *call, const struct http_head *head)
{
    timer_stop(&call->deadline);
    client_call_tell_connected(call);
    if (!call->ended)
        call->events->head(call->owner, head);
}

void
client_call_kept(struct client_call *call)
{
    if (call->events->kept != NULL)
        call->events->kept(call->owner);
}

/* Resends the request: immediately the first time, then with exponential backoff, so that a server
 * that refuses everything is not flooded. False when the time allowed for resending is over. */
static bool
resend(struct client_call *call)
{
    unsigned doublings = MIN(call->resends, 10u);
    uint64_t pause_ms = 0;

    if (call->resends != 0)
        pause_ms = MIN((uint64_t)RESEND_STEP_MS << (doublings - 1), (uint64_t)RESEND_STEP_MAX_MS);
    if (loop_now_ms(call->client->loop) + pause_ms >= call->resend_until_ms)
        return false;
    call->resends++;
    call->transport->drop(call);
    if (call->events->resent != NULL)
        call->events->resent(call->owner);
    if (pause_ms == 0) {
        send_or_wait(call);
    } else {
        call->transport = &client_transport_paused;
        set_deadline(call, pause_ms);
    }
    return true;
}

void
client_call_fail(struct client_call *call, enum err why, const char *detail, enum client_fate fate)
{
    if (fate == CLIENT_STALE) {
        if (call->request.resend_stale && call->resends == 0)
            fate = CLIENT_UNPROCESSED;
        else
            why = ERR_UPSTREAM_STALE;
    }
    if (fate == CLIENT_UNPROCESSED && resend(call))
        return;
    if (call->transport != &client_transport_waiting)
        client_call_tell_connected(call);
    if (call->ended)
        return;
    end_call(call);
    call->events->failed(call->owner, why, detail);
}

void
client_call_finish(struct client_call *call)
{
    end_call(call);
    call->events->end(call->owner);
}

/* --- cancel, pause, resume --- */

void
client_cancel(struct client_call *call)
{
    CHECK(!call->ended);
    end_call(call);
}

void
client_pause(struct client_call *call)
{
    call->paused = true;
    if (call->transport != NULL)
        call->transport->pause(call);
}

void
client_resume(struct client_call *call)
{
    call->paused = false;
    loop_defer(call->client->loop, &call->turn);
}

uint64_t
client_held_bytes(const struct client_call *call)
{
    uint64_t n = call->in.cap;

    if (call->sock != NULL)
        n += sock_queued_bytes(call->sock);
    if (call->stream != NULL)
        n += h2_held_bytes(call->stream);
    return n;
}

/* --- the state of calls that wait before they are resent --- */

static void
nothing(struct client_call *call)
{
    (void)call;
}

const struct client_transport client_transport_paused = {
    .drop = nothing,
    .pause = nothing,
    .resume = nothing,
};

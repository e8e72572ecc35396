/* client.c - requests to providers: connections found or made, requests sent, calls ended. */
#include "http/client.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "http/client_call.h"
#include "http/put.h"

enum { HEAD_OWN_BYTES = 256 }; /* of a request's head beside what the caller gave */

struct client *
client_create(struct loop *l, const struct client_limits *limits)
{
    struct client *c = check_alloc(calloc(1, sizeof(*c)));

    c->loop = l;
    c->limits = (struct h1_limits){
        .head_bytes = limits->head_bytes,
        .line_bytes = limits->head_bytes,
        .fields = limits->fields,
    };
    c->pool = pool_create(l, limits->pool);
    buf_init(&c->head, SIZE_MAX / 2);
    return c;
}

/* --- the life of a call --- */

static void on_turn(void *arg);
static void on_tick(void *arg);

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
        call->timer = timer_create_on(c->loop, on_tick, call);
        call->turn = (struct deferred){ .fn = on_turn, .arg = call };
        buf_init(&call->in, SIZE_MAX / 2); /* bounded by the limits of heads and of one read */
    }
    call->prev = NULL;
    call->next = c->first;
    if (c->first != NULL)
        c->first->prev = call;
    c->first = call;
    c->calls_open++;
    return call;
}

/* Everything about the answer back to the beginning. */
static void
reset_answer(struct client_call *call)
{
    call->reading = CLIENT_HEAD;
    call->answered = false;
    call->eof = false;
    call->broken = false;
    call->interim = 0;
    call->scan = (struct h1_scan){ .response = true };
    call->chunked = (struct chunked){ 0 };
    call->left = 0;
}

static void
free_call(struct client_call *call)
{
    timer_destroy(call->timer);
    buf_fini(&call->in);
    free(call->head_room);
    free(call);
}

/* At the end of the turn in which it ended nobody looks at a call any more. */
static void
recycle(struct client_call *call)
{
    struct client *c = call->client;

    if (c == NULL) {
        free_call(call);
        return;
    }
    if (call->prev != NULL)
        call->prev->next = call->next;
    else
        c->first = call->next;
    if (call->next != NULL)
        call->next->prev = call->prev;

    if (c->spares_n == CLIENT_SPARES) {
        free_call(call);
        return;
    }
    buf_fini(&call->in);
    if (call->head_room_bytes > CLIENT_HEAD_KEEP_BYTES) {
        free(call->head_room);
        call->head_room = NULL;
        call->head_room_bytes = 0;
    }
    call->next = c->spare;
    c->spare = call;
    c->spares_n++;
}

static void
on_turn(void *arg)
{
    struct client_call *call = arg;

    if (call->ended)
        recycle(call);
    else
        client_call_take_kept(call);
}

/* The owner hears nothing more; the memory goes at the end of the turn. */
static void
end_call(struct client_call *call)
{
    call->ended = true;
    call->deadline_ms = 0;
    call->client->calls_open--;
    if (call->dial != NULL)
        dial_cancel(call->dial);
    call->dial = NULL;
    sock_close(call->sock);
    call->sock = NULL;
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
    return pool_idle_count(c->pool);
}

/* --- the deadline for the first byte --- */

static void
set_deadline(struct client_call *call)
{
    uint64_t now = loop_now_ms(call->client->loop);

    call->deadline_ms = 0;
    if (call->request.first_byte_ms == 0)
        return;
    call->deadline_ms = now + call->request.first_byte_ms;
    if (call->timer_at_ms != 0 && call->timer_at_ms <= call->deadline_ms)
        return; /* it will look at the deadline when it fires */
    call->timer_at_ms = call->deadline_ms;
    timer_set(call->timer, call->request.first_byte_ms);
}

static void
on_tick(void *arg)
{
    struct client_call *call = arg;

    call->timer_at_ms = 0;
    if (call->client == NULL || call->ended || call->deadline_ms == 0)
        return;

    uint64_t now = loop_now_ms(call->client->loop);
    if (now >= call->deadline_ms) {
        client_call_fail(call, ERR_UPSTREAM_TIMEOUT, "no answer in time");
        return;
    }
    call->timer_at_ms = call->deadline_ms;
    timer_set(call->timer, call->deadline_ms - now);
}

/* --- sending --- */

/* Does a line of the block begin with `name` (in lower case, its colon included)? */
static bool
has_field(struct str fields, struct str name)
{
    struct str line;

    while (fields.n != 0) {
        (void)str_cut(fields, '\n', &line, &fields);
        if (line.n != 0 && (line.p[0] | 0x20) == name.p[0] && str_istarts(line, name))
            return true;
    }
    return false;
}

static uint64_t
body_bytes(const struct client_request *q)
{
    uint64_t n = 0;

    for (size_t i = 0; i < q->body_count; i++)
        n += q->body[i].n;
    return n;
}

/* Methods for which a missing Content-Length would mean something. */
static bool
is_sending_method(struct str method)
{
    return str_eq(method, S("POST")) || str_eq(method, S("PUT")) || str_eq(method, S("PATCH"));
}

/* Composes the request's head in the client's buffer; it is sent before the next one is composed. */
static struct str
compose_head(struct client_call *call)
{
    const struct client_request *q = &call->request;
    const struct origin *o = q->origin;
    struct buf *b = &call->client->head;
    bool proxied = origin_is_absolute_form(o);

    buf_reset(b, SIZE_MAX);
    char *start = buf_reserve(b, q->method.n + q->path.n + 2 * o->host_header.n + q->fields.n +
                                     o->proxy_auth.n + HEAD_OWN_BYTES);
    CHECK(start != NULL); /* sizes that we chose */
    char *p = put(start, q->method);

    p = put(p, S(" "));
    if (proxied) {
        p = put(p, S("http://"));
        p = put(p, o->host_header);
    }
    p = put(p, q->path);
    p = put(p, S(" HTTP/1.1\r\nHost: "));
    p = put(p, o->host_header);
    p = put(p, S("\r\n"));
    if (proxied && o->proxy_auth.n != 0) {
        p = put(p, S("Proxy-Authorization: "));
        p = put(p, o->proxy_auth);
        p = put(p, S("\r\n"));
    }
    p = put(p, q->fields);
    if (!has_field(q->fields, S("accept-encoding:")))
        p = put(p, S("Accept-Encoding: identity\r\n"));
    if (q->body_count != 0 || is_sending_method(q->method)) {
        p = put(p, S("Content-Length: "));
        p = put_u64(p, body_bytes(q));
        p = put(p, S("\r\n"));
    }
    p = put(p, S("\r\n"));
    buf_commit(b, (size_t)(p - start));
    return buf_str(b);
}

/* Gives the socket the head, if there is one, and the next part of the body: at most `limit` bytes, so
 * that little has to be copied when the kernel does not take it all. */
static void
send_part(struct client_call *call, struct str head, size_t limit)
{
    struct client_request *q = &call->request;
    struct str pieces[CLIENT_BODY_PIECES + 1];
    size_t n = 0;

    if (head.n != 0)
        pieces[n++] = head;
    while (call->piece < q->body_count && limit != 0) {
        struct str rest = str_skip(q->body[call->piece], call->piece_at);
        struct str part = str_make(rest.p, MIN(rest.n, limit));

        limit -= part.n;
        call->piece_at += part.n;
        if (part.n != 0)
            pieces[n++] = part;
        if (part.n == rest.n) {
            call->piece++;
            call->piece_at = 0;
        }
    }
    call->sent = call->piece == q->body_count;
    if (n != 0)
        sock_write(call->sock, pieces, n);
}

/* Sends on while the kernel takes it at once; `drained` calls again when it did not. */
static void
send_on(struct client_call *call, struct str head)
{
    do {
        send_part(call, head, CLIENT_SEND_BYTES);
        head.n = 0;
    } while (!call->sent && sock_queued_bytes(call->sock) == 0);
}

/* The connection is there: sends the request and waits for the answer. */
static void
send_request(struct client_call *call, struct sock *sock)
{
    call->sock = sock;
    sock_own(sock, &client_call_events, call);
    call->sent_ms = loop_now_ms(call->client->loop);
    send_on(call, compose_head(call));
    set_deadline(call);
    if (!call->paused)
        sock_read_start(sock);
}

void
client_call_drained(void *arg)
{
    struct client_call *call = arg;

    if (!call->sent)
        send_on(call, (struct str){ NULL, 0 });
    if (call->deadline_ms != 0)
        set_deadline(call);
}

void
client_call_answered_early(struct client_call *call, int status)
{
    if (call->sent)
        return;
    if (status < 300)
        send_part(
            call, (struct str){ NULL, 0 }, SIZE_MAX); /* copied: the answer may depend on it */
    else
        call->request.body_count = call->piece = 0; /* refused: the rest is not wanted */
}

/* --- connecting --- */

static void
on_dialled(void *arg, struct sock *sock)
{
    struct client_call *call = arg;

    call->dial = NULL;
    call->born_ms = loop_now_ms(call->client->loop);
    call->connect_us = clock_now_us() - call->started_us;
    client_call_tell_connected(call);
    if (call->ended)
        sock_close(sock);
    else
        send_request(call, sock);
}

static void
on_dial_failed(void *arg, enum err why, const char *detail)
{
    struct client_call *call = arg;

    call->dial = NULL;
    client_call_fail(call, why, detail);
}

static void
dial(struct client_call *call)
{
    call->reused = false;
    call->started_us = clock_now_us();
    call->dial = dial_start(call->client->loop, call->request.origin, call->request.connect_ms,
        on_dialled, on_dial_failed, call);
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
    call->paused = false;
    call->told_connected = false;
    call->connect_us = 0;
    call->deadline_ms = 0;
    call->piece = 0;
    call->piece_at = 0;
    call->sent = false;
    reset_answer(call);

    struct sock *sock = pool_take(c->pool, q->origin, &call->born_ms);
    call->reused = sock != NULL;
    if (sock != NULL)
        send_request(call, sock);
    else
        dial(call);
    return call;
}

/* --- the end of a call --- */

void
client_call_tell_connected(struct client_call *call)
{
    if (call->told_connected)
        return;
    call->told_connected = true;
    if (call->events->connected != NULL)
        call->events->connected(call->owner, call->reused, call->connect_us);
}

/* A pooled connection that the server had closed already: nobody has read the request. One that lived on
 * for a while was read, and what the server did with the request must not be asked for again. */
static bool
is_stale(const struct client_call *call, enum err why)
{
    return call->reused && !call->answered && call->sock != NULL &&
           (why == ERR_UPSTREAM_RESET || why == ERR_UPSTREAM_TLS) &&
           loop_now_ms(call->client->loop) - call->sent_ms < CLIENT_STALE_MS;
}

void
client_call_fail(struct client_call *call, enum err why, const char *detail)
{
    if (is_stale(call, why)) {
        sock_close(call->sock);
        call->sock = NULL;
        call->deadline_ms = 0;
        call->piece = 0;
        call->piece_at = 0;
        call->sent = false;
        buf_reset(&call->in, 0);
        reset_answer(call);
        dial(call);
        return;
    }
    if (call->sock != NULL)
        client_call_tell_connected(call);
    if (call->ended)
        return;
    end_call(call);
    call->events->failed(call->owner, why, detail);
}

void
client_call_finish(struct client_call *call, bool reusable)
{
    struct client *c = call->client;

    if (reusable && call->sent && sock_queued_bytes(call->sock) == 0) {
        pool_put(c->pool, call->request.origin, call->sock, call->born_ms);
        call->sock = NULL;
    }
    end_call(call);
    call->events->end(call->owner);
}

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
    if (call->sock != NULL)
        sock_read_stop(call->sock);
}

void
client_resume(struct client_call *call)
{
    call->paused = false;
    loop_defer(call->client->loop, &call->turn);
}

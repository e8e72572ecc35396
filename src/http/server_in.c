/* server_in.c - turns input into requests, one at a time, and enforces the deadlines for input and
 * output. */
#include <stdlib.h>

#include "base/clock.h"
#include "http/server_conn.h"

enum {
    BODY_STEP_BYTES = 64 * 1024,    /* initial reservation beyond what has arrived */
    READ_BYTES = 64 * 1024,         /* per read of a body; a turn makes a few dozen at most */
    BODY_WINDOW_MS = 2000,          /* interval over which the body's rate is measured */
    /* Pipelined requests processed per turn; answered ones are freed before more are read. */
    STEPS_PER_TURN = 32,
};

static void
reset_input(struct server_conn *q)
{
    q->scan = (struct h1_scan){ 0 };
    q->chunked = (struct chunked){ 0 };
    q->body_left = 0;
    q->body_error = OK;
    q->body_done = false;
    q->body_told = false;
    q->body_measured = false;
    q->receiving = false;
    q->head_watched = false;
    q->looked = false;
    q->started_us = 0;
}

/* --- request heads --- */

/* Copies the head to memory that stays valid, and parses it there. */
static enum err
parse_head(struct server_conn *q, struct str head, const char **ret_why)
{
    size_t fields = q->scan.lines - 1;
    struct str copy = h1_room_copy(&q->head_room, head, fields);

    *ret_why = "out of memory";
    return copy.p == NULL ? ERR_NO_MEMORY
                          : h1_parse_request(copy, q->head_room.fields, fields, &q->head, ret_why);
}

/* --- request bodies --- */

static void
finish_body(struct server_conn *q)
{
    q->body_done = true;
    q->reading = READ_LATER;
}

static void
fail_body(struct server_conn *q, enum err why)
{
    q->body_error = why;
    q->close = true;
    q->reading = READ_DISCARD;
    server_conn_free_body(q);
}

/* Counts the body bytes that have arrived, not the declared length. At the memory limit a body may
 * grow to SERVER_SMALL_BYTES; one that was larger before may continue, up to twice the limit.
 * False: the body has failed and its memory was released. */
static bool
hold_body(struct server_conn *q)
{
    size_t n = buf_len(&q->body);
    bool begun = n <= SERVER_SMALL_BYTES || q->held > SERVER_SMALL_BYTES;

    if (server_conn_hold(q, begun))
        return true;
    fail_body(q, ERR_OVERLOADED);
    return false;
}

/* How much to reserve now: in proportion to what has arrived, so that declaring a large length
 * alone costs nothing. */
static size_t
body_step(const struct server_conn *q)
{
    return (size_t)MIN(q->body_left, (uint64_t)MAX(buf_len(&q->body), BODY_STEP_BYTES));
}

static void
take_sized_body(struct server_conn *q, struct str *bytes)
{
    size_t n = (size_t)MIN((uint64_t)bytes->n, q->body_left);

    if (q->body.cap - q->body.tail < n && buf_reserve(&q->body, MAX(n, body_step(q))) == NULL) {
        fail_body(q, ERR_NO_MEMORY);
        return;
    }
    buf_add(&q->body, str_make(bytes->p, n));
    *bytes = str_skip(*bytes, n);
    q->body_left -= n;
    if (hold_body(q) && q->body_left == 0)
        finish_body(q);
}

static void
take_chunked_body(struct server_conn *q, struct str *bytes)
{
    struct str data;
    const char *why = "";

    while (bytes->n != 0 && !chunked_done(&q->chunked)) {
        if (!chunked_decode(&q->chunked, bytes, &data, &why)) {
            fail_body(q, ERR_BAD_REQUEST);
            return;
        }
        buf_add(&q->body, data);
        if (q->body.overflow) {
            bool large = buf_len(&q->body) + data.n > q->body.limit;

            fail_body(q, large ? ERR_TOO_LARGE : ERR_NO_MEMORY);
            return;
        }
        if (!hold_body(q))
            return;
    }
    if (chunked_done(&q->chunked))
        finish_body(q);
}

static void
take_body(struct server_conn *q, struct str *bytes)
{
    if (q->head.head.chunked)
        take_chunked_body(q, bytes);
    else
        take_sized_body(q, bytes);
}

/* Determines how the body is framed, and reads as much of it as has arrived. */
static void
begin_body(struct server_conn *q, struct str *bytes)
{
    const struct http_head *head = &q->head.head;
    uint64_t limit = q->server->limits.body_bytes;

    q->reading = READ_BODY;
    if (head->chunked) {
        buf_init(&q->body, (size_t)limit);
    } else if (head->content_length <= 0) {
        buf_init(&q->body, 0);
        finish_body(q);
        return;
    } else if ((uint64_t)head->content_length > limit) {
        fail_body(q, ERR_TOO_LARGE);
        return;
    } else {
        buf_init(&q->body, (size_t)head->content_length);
        q->body_left = (uint64_t)head->content_length;
    }
    if (bytes->n != 0)
        take_body(q, bytes);
}

/* Sets the timer for the next check of the body's rate, or for its deadline. */
static void
watch_body(struct server_conn *q)
{
    timer_set_by(
        &q->timer, q->body_until_ms != 0 ? MIN(q->since_ms, q->body_until_ms) : q->since_ms);
}

bool
server_receive(struct server_conn *q)
{
    if (q->body_done || q->receiving)
        return q->body_done;

    q->receiving = true;
    if (q->body_error != OK) {
        loop_defer(q->server->loop, &q->turn);
        return false;
    }
    if (q->head.expects_continue && buf_len(&q->body) == 0 && !q->responded) {
        struct str line = S("HTTP/1.1 100 Continue\r\n\r\n");

        q->written += line.n;
        sock_write(q->sock, &line, 1);
    }
    uint64_t now = loop_now_ms(q->server->loop);
    uint64_t body_ms = q->server->limits.body_ms;

    q->since_ms = now + q->server->limits.body_grace_ms;
    q->body_until_ms = body_ms != 0 ? now + body_ms : 0;
    watch_body(q);
    if (!q->taking)
        loop_defer(q->server->loop, &q->turn);    /* to continue reading */
    return false;
}

/* Tells the handler, once, that the body it asked for is complete or has failed. */
static void
tell_body(struct server_conn *q)
{
    const struct server_handler *h = q->server->handler;

    if (!q->open || !q->receiving || q->body_told || !(q->body_done || q->body_error != OK))
        return;
    q->body_told = true;
    if (q->body_error != OK)
        h->body_failed(q->server->owner, q, q->body_error);
    else
        h->body(q->server->owner, q);
}

/* --- requests --- */

/* The head is complete: calls the handler, which may answer before this returns. */
static void
begin_request(struct server_conn *q, struct str head, struct str *bytes)
{
    const char *why = "";
    enum err e = parse_head(q, head, &why);

    if (e == OK)
        begin_body(q, bytes);
    if (e == OK && q->body_error == ERR_BAD_REQUEST) {
        e = ERR_BAD_REQUEST;
        why = "malformed chunked body";
    }
    if (e != OK) {
        server_conn_refuse(q, e, why);
        return;
    }
    q->open = true;
    q->responded = false;
    q->user = NULL;
    q->bytes_out = 0;
    q->server->handler->request(q->server->owner, q);
}

/* Removes a head from the front of *bytes. False: it is not complete. */
static bool
take_head(struct server_conn *q, struct str *bytes)
{
    const struct server_limits *limits = &q->server->limits;
    struct h1_limits h1 = {
        .head_bytes = limits->head_bytes,
        .line_bytes = limits->line_bytes,
        .fields = limits->fields,
    };
    const char *why = "";
    size_t end = 0;

    if (q->started_us == 0)
        q->started_us = clock_now_us();
    enum err e = h1_scan(&q->scan, *bytes, &h1, &end, &why);

    if (e != OK) {
        server_conn_refuse(q, e, why);
        return true;
    }
    if (end == 0)
        return false;

    struct str head = str_make(bytes->p + q->scan.start, end - q->scan.start);
    *bytes = str_make(bytes->p + end, bytes->n - end);
    begin_request(q, head, bytes);
    return true;
}

/* Is more of the body taken now? Until it is asked for, only a little: of a caller who waits for a
 * place, so much that it is noticed when it leaves. */
static bool
takes_body(const struct server_conn *q)
{
    return q->receiving || buf_len(&q->body) < SERVER_SMALL_BYTES;
}

/* Processes one step's worth of *bytes. False: nothing more can be processed now. */
static bool
take_some(struct server_conn *q, struct str *bytes)
{
    switch (q->reading) {
    case READ_HEAD:
        return take_head(q, bytes);
    case READ_BODY:
        if (!takes_body(q))
            return false;
        take_body(q, bytes);
        tell_body(q);
        return true;
    case READ_LATER:
        return false;
    case READ_SWITCHED:
        if (q->paused)
            return false;
        q->server->handler->switched(q->server->owner, q, *bytes);
        bytes->n = 0;
        return true;
    case READ_DISCARD:
        bytes->n = 0;
        return true;
    }
    CHECK_UNREACHABLE();
}

/* Does the client send requests without reading the responses? Then the next request waits until it
 * has read them all. */
static bool
is_backed_up(const struct server_conn *q)
{
    return q->reading == READ_HEAD && sock_queued_bytes(q->sock) > SERVER_HIGH_WATERMARK_BYTES;
}

/* Processes as much as possible now; returns what the caller must keep. */
static struct str
take(struct server_conn *q, struct str bytes)
{
    unsigned steps = 0;

    q->taking = true;
    while (bytes.n != 0 && steps < STEPS_PER_TURN && !is_backed_up(q) && take_some(q, &bytes))
        steps++;
    q->taking = false;
    q->more = bytes.n != 0 && steps == STEPS_PER_TURN;
    if (q->more)
        loop_defer(q->server->loop, &q->turn);
    return bytes;
}

/* Processes the buffered input. */
static void
take_kept(struct server_conn *q)
{
    size_t before = buf_len(&q->in);
    struct str rest = take(q, buf_str(&q->in));

    buf_consume(&q->in, before - rest.n);
    if (buf_len(&q->in) == 0)
        buf_fini(&q->in);
}

/* Starts the deadline for a head once its first byte has arrived. */
static void
watch_head(struct server_conn *q)
{
    if (q->reading != READ_HEAD || buf_len(&q->in) == 0 || q->head_watched)
        return;
    q->head_watched = true;
    q->since_ms = loop_now_ms(q->server->loop);
    timer_set_by(&q->timer, q->since_ms + q->server->limits.head_ms);
}

/* Counts the head and the buffered input. At the memory limit a client that has no request open is
 * answered with an error; otherwise the connection is cut. */
static void
hold_input(struct server_conn *q)
{
    if (server_conn_hold(q, true) || q->finished)
        return;
    if (q->open) {
        server_conn_gone(q);
        return;
    }
    buf_fini(&q->in);
    server_conn_refuse(q, ERR_OVERLOADED,
        "the gateway is at its memory limit (server.limits.held); try again in a moment");
}

void
server_conn_read(struct server_conn *q)
{
    if (buf_len(&q->in) != 0 && q->sock != NULL && !q->taking && !q->more)
        take_kept(q);
    if (q->sock != NULL && !q->taking)
        hold_input(q);
    if (q->sock == NULL)
        return;
    watch_head(q);

    /* Do not read while the body is not wanted yet or requests or responses are queueing up: TCP
     * flow control then slows the client down. */
    bool wanted = (q->reading == READ_HEAD && !q->more && !is_backed_up(q)) ||
                  q->reading == READ_DISCARD || (q->reading == READ_BODY && takes_body(q)) ||
                  (q->reading == READ_SWITCHED && !q->paused) ||
                  (q->reading == READ_LATER && buf_len(&q->in) == 0);

    if (wanted == !q->stopped)
        return;
    q->stopped = !wanted;
    if (wanted)
        sock_read_start(q->sock);
    else
        sock_read_stop(q->sock);
}

static char *
on_room(void *owner, size_t *ret_size)
{
    struct server_conn *q = owner;

    if (q->reading != READ_BODY || !q->receiving || q->head.head.chunked || buf_len(&q->in) != 0)
        return NULL;
    if (q->body.cap == q->body.tail && buf_reserve(&q->body, body_step(q)) == NULL)
        return NULL;
    size_t room = MIN(q->body.cap - q->body.tail, READ_BYTES);
    *ret_size = (size_t)MIN(q->body_left, (uint64_t)room);
    return q->body.p + q->body.tail;
}

static void
on_data(void *owner, struct str bytes)
{
    struct server_conn *q = owner;

    loop_count_work(q->server->loop, bytes.n);
    if (q->reading == READ_BODY && q->body.p != NULL && bytes.p == q->body.p + q->body.tail) {
        buf_commit(&q->body, bytes.n);
        q->body_left -= bytes.n;
        if (hold_body(q) && q->body_left == 0)
            finish_body(q);
        tell_body(q);
    } else if (buf_len(&q->in) != 0) {
        buf_add(&q->in, bytes);
    } else {
        buf_add(&q->in, take(q, bytes));
    }
    if (q->in.overflow)
        server_conn_gone(q);
    if (q->finished)
        q->since_ms = loop_now_ms(q->server->loop);
    server_conn_read(q);
}

/* The request is not parsed: it may contain an API key, and was sent unencrypted. */
static void
on_not_tls(void *owner)
{
    struct server_conn *q = owner;

    if (q->finished)
        server_conn_close(q, false);    /* already refused over TLS, which can no longer be used */
    else
        server_conn_refuse(q, ERR_BAD_REQUEST,
            "this port expects HTTPS and received plain HTTP; use https:// in the URL");
}

static void
on_eof(void *owner)
{
    struct server_conn *q = owner;

    q->ended = true;
    if (!q->finished || sock_queued_bytes(q->sock) == 0)
        server_conn_gone(q);
    /* else half-closed: the client may still be reading */
}

static void
on_drained(void *owner)
{
    struct server_conn *q = owner;

    (void)server_conn_hold(q, true);
    if (q->finished) {
        server_conn_finish(q);
        return;
    }
    if (q->high && q->open) {
        q->high = false;
        q->server->handler->writable(q->server->owner, q);
    }
    if (q->reading == READ_HEAD)
        server_conn_read(q);    /* the next request may have been waiting for this */
}

static void
on_failed(void *owner, enum err why UNUSED, const char *detail UNUSED)
{
    server_conn_gone(owner);
}

const struct sock_events server_conn_events = {
    .room = on_room,
    .data = on_data,
    .not_tls = on_not_tls,
    .eof = on_eof,
    .drained = on_drained,
    .failed = on_failed,
};

void
server_conn_turn(void *request)
{
    struct server_conn *q = request;

    if (q->sock == NULL) {
        buf_fini(&q->in);
        buf_fini(&q->body);
        buf_fini(&q->out);
        h1_room_free(&q->head_room);
        free(q);
        return;
    }
    if (q->broken) {
        server_conn_gone(q);
        return;
    }
    tell_body(q);
    q->more = false;
    server_conn_read(q);
    if (q->sock != NULL)
        server_conn_flush(q);
}

bool
server_may_switch(const struct server_conn *q, struct str protocol)
{
    const struct http_head *head = &q->head.head;
    const struct http_fields *f = &head->fields;

    return !q->head.http10 && str_eq(head->method, S("GET")) && q->body_done && !head->chunked &&
           head->content_length <= 0 &&
           http_list_has(http_field_get(f, S("connection")), S("upgrade")) &&
           str_ieq(http_field_get(f, S("upgrade")), protocol);
}

void
server_pause(struct server_conn *q, bool paused)
{
    CHECK(q->reading == READ_SWITCHED);
    if (q->paused == paused)
        return;
    q->paused = paused;
    loop_defer(q->server->loop, &q->turn);    /* reads, or stops it */
}

/* --- deadlines --- */

/* Records what the kernel has accepted since the last check. True: it has accepted nothing for too
 * long. */
static bool
is_stalled(struct server_conn *q, uint64_t now)
{
    uint64_t acked = q->written - sock_queued_bytes(q->sock);

    (void)server_conn_hold(q, true);    /* the queue is shorter than before */
    if (acked != q->acked || acked == q->written) {
        q->acked = acked;
        q->acked_ms = now;
        return false;
    }
    return now - q->acked_ms >= q->server->limits.write_stall_ms;
}

/* Checks the body's rate, when that is due, and its deadline. True: it is too slow. */
static bool
is_body_late(struct server_conn *q, uint64_t now)
{
    const struct server_limits *limits = &q->server->limits;
    uint64_t window_ms = MIN(limits->body_grace_ms, BODY_WINDOW_MS);
    uint64_t wanted = limits->body_rate_bytes_per_s * window_ms / 1000;
    uint64_t came = q->head.head.chunked ? buf_len(&q->body)
                                         : (uint64_t)q->head.head.content_length - q->body_left;

    if (q->body_until_ms != 0 && now >= q->body_until_ms)
        return true;
    if (now < q->since_ms)
        return false;
    if (q->body_measured && came - q->body_seen < MAX(wanted, 1))
        return true;
    q->body_measured = true;
    q->body_seen = came;
    q->since_ms = now + window_ms;
    return false;
}

/* A request is open: its body or its response may be stalled. */
static void
tick_open(struct server_conn *q, uint64_t now)
{
    const struct server_limits *limits = &q->server->limits;

    if (sock_queued_bytes(q->sock) != 0) {
        if (is_stalled(q, now)) {
            server_conn_gone(q);
            return;
        }
        timer_set_by(&q->timer, now + limits->write_stall_ms / 4 + 1);
    }
    if (q->reading != READ_BODY || !q->receiving)
        return;
    if (is_body_late(q, now)) {
        fail_body(q, ERR_CLIENT_SLOW);
        tell_body(q);
        return;
    }
    watch_body(q);
}

/* Idle, or reading a head. */
static void
tick_reading(struct server_conn *q, uint64_t now)
{
    const struct server_limits *limits = &q->server->limits;
    bool begun = buf_len(&q->in) != 0;

    /* The last response is still being sent. A client that is reading it is not idle, and its next
     * request may wait. */
    if (sock_queued_bytes(q->sock) != 0 && (!begun || is_backed_up(q))) {
        if (is_stalled(q, now)) {
            server_conn_close(q, true);
            return;
        }
        q->since_ms = now;
        timer_set_by(&q->timer, now + MIN(server_conn_idle_ms(q), limits->write_stall_ms / 4 + 1));
        return;
    }
    uint64_t until = q->since_ms + (begun ? limits->head_ms : server_conn_idle_ms(q));

    if (now < until) {
        timer_set_by(&q->timer, until);
    } else if (begun) {
        server_conn_refuse(q, ERR_CLIENT_SLOW,
            "the request head did not arrive in time (server.limits.header_deadline)");
    } else if (!q->looked) {
        q->looked = true;    /* closing now would reset a request that has just arrived */
        timer_set_by(&q->timer, now + 1);
    } else {
        server_conn_close(q, false);
    }
}

/* Everything is sent: has the client had time to read it? Closing while the client is still sending
 * causes a reset, and the client might lose the response. */
static bool
has_lingered(const struct server_conn *q, uint64_t now)
{
    return now >= q->since_ms + SERVER_LINGER_MS || now >= q->finished_ms + SERVER_LINGER_MOST_MS;
}

void
server_conn_tick(void *request)
{
    struct server_conn *q = request;
    uint64_t now = loop_now_ms(q->server->loop);

    if (q->finished) {
        bool unsent = sock_queued_bytes(q->sock) != 0;
        bool stuck = unsent ? is_stalled(q, now) : has_lingered(q, now);

        if (stuck)
            server_conn_close(q, unsent);
        else
            timer_set_by(&q->timer, now + 1000);
    } else if (q->open) {
        tick_open(q, now);
    } else {
        tick_reading(q, now);
    }
}

void
server_conn_next(struct server_conn *q)
{
    reset_input(q);
    q->reading = READ_HEAD;
    q->served = true;
    q->since_ms = loop_now_ms(q->server->loop);
    timer_set_by(&q->timer, q->since_ms + q->server->limits.idle_ms);
    if (q->head_room.bytes > SERVER_HEAD_KEEP_BYTES)
        server_conn_free_head(q);
    if (!q->taking && (buf_len(&q->in) != 0 || q->stopped))
        loop_defer(q->server->loop, &q->turn);
}

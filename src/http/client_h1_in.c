/* client_h1_in.c - HTTP/1: parses the response as it arrives. Anything but exactly one response is
 * an error. */
#include <stdlib.h>

#include "http/client_call.h"

/* What the server may have done with a request whose connection broke. If no byte had been sent, it
 * never saw it. A pooled connection that breaks at once was probably closed before the request
 * arrived; one that breaks later was not. */
static enum client_fate
fate_of(const struct client_call *call, enum err why)
{
    uint64_t waited_ms = loop_now_ms(call->client->loop) - call->sent_ms;

    if (!call->reused || call->answered || (why != ERR_UPSTREAM_RESET && why != ERR_UPSTREAM_TLS))
        return CLIENT_UNKNOWN;
    if (sock_sent_bytes(call->sock) == call->sock_sent_before)
        return CLIENT_UNPROCESSED;
    return waited_ms < CLIENT_STALE_MS ? CLIENT_STALE : CLIENT_UNKNOWN;
}

static void
fail(struct client_call *call, enum err why, const char *detail)
{
    enum client_fate fate = fate_of(call, why);

    if (fate != CLIENT_UNKNOWN)
        pool_learn_idle(call->client->pool, call->request.origin->pool_key, call->lease.rested_ms);
    client_call_fail(call, why, detail, fate);
}

static void
protocol_error(struct client_call *call, const char *detail)
{
    fail(call, ERR_UPSTREAM_PROTOCOL, detail);
}

void
client_h1_reset_answer(struct client_call *call)
{
    call->reading = CLIENT_HEAD;
    call->answered = false;
    call->eof = false;
    call->broken = false;
    free(call->detail);
    call->detail = NULL;
    call->interim = 0;
    call->scan = (struct h1_scan){ .response = true };
    call->chunked = (struct chunked){ 0 };
    call->left = 0;
}

/* --- the head --- */

static bool
parse_head(struct client_call *call, struct str head, const char **ret_why)
{
    size_t fields = call->scan.lines - 1;
    bool to_head = str_eq(call->request.method, S("HEAD"));
    struct str copy = h1_room_copy(&call->head_room, head, fields);

    *ret_why = "out of memory";
    return copy.p != NULL && h1_parse_response(copy, call->head_room.fields, fields, to_head,
                                 &call->head, ret_why) == OK;
}

/* Sets how the body that follows this head ends. */
static void
settle_body(struct client_call *call)
{
    const struct http_head *head = &call->head.head;
    bool bodiless =
        str_eq(call->request.method, S("HEAD")) || head->status == 204 || head->status == 304;

    call->reading = CLIENT_SIZED;
    call->left = 0;
    if (bodiless)
        return;
    if (head->status == 101)
        call->reading = CLIENT_UNTIL_CLOSE;
    else if (head->chunked)
        call->reading = CLIENT_CHUNKED;
    else if (call->head.until_close)
        call->reading = CLIENT_UNTIL_CLOSE;
    else
        call->left = (uint64_t)head->content_length;
}

/* The idle timeout that the server announced: "timeout=5, max=100", in seconds. */
static uint64_t
announced_idle_ms(const struct h1_head *head)
{
    struct str rest = head->keep_alive_says, part, name, value;
    uint64_t seconds;

    while (rest.n != 0) {
        (void)str_cut(rest, ',', &part, &rest);
        if (str_cut(part, '=', &name, &value) && str_ieq(str_trim(name), S("timeout")) &&
            str_u64(str_trim(value), &seconds) && seconds <= UINT32_MAX)
            return seconds * 1000;
    }
    return POOL_NOT_SAID;
}

/* A head is needed only while it is reported. That of a stream, which may take minutes, is freed;
 * the others are kept for the next head. */
static void
drop_head(struct client_call *call)
{
    h1_room_free(&call->head_room);
    call->head.head.fields = (struct http_fields){ NULL, 0 };
    call->head.keep_alive_says = S("");
}

static void
take_head(struct client_call *call, struct str *bytes)
{
    const char *why = "";
    size_t end = 0;
    enum err e = h1_scan(&call->scan, *bytes, &call->client->h1_limits, &end, &why);

    if (e != OK) {
        protocol_error(call, why);
        return;
    }
    if (end == 0)
        return;
    if (!parse_head(call, str_make(bytes->p, end), &why)) {
        protocol_error(call, why);
        return;
    }
    *bytes = str_make(bytes->p + end, bytes->n - end);
    if (call->head.head.status == 101 && !call->request.switches) {
        protocol_error(call, "unexpected status 101 (Switching Protocols)");
        return;
    }
    if (call->head.head.status < 200 && call->head.head.status != 101) {
        call->scan = (struct h1_scan){ .response = true };
        if (++call->interim > CLIENT_INTERIM_MAX)
            protocol_error(call, "too many interim answers");
        return;
    }
    settle_body(call);
    call->announced_idle_ms = announced_idle_ms(&call->head);
    client_h1_answered_early(call, call->head.head.status);
    client_call_head(call, &call->head.head);
    if (call->reading != CLIENT_SIZED)
        drop_head(call);
}

/* --- the body --- */

static void
take_chunked(struct client_call *call, struct str *bytes)
{
    const char *why = "";
    struct str data;

    if (!chunked_decode(&call->chunked, bytes, &data, &why))
        protocol_error(call, why);
    else if (data.n != 0)
        call->events->data(call->owner, data);
}

static void
take_body(struct client_call *call, struct str *bytes)
{
    struct str data = *bytes;

    if (call->reading == CLIENT_SIZED) {
        data.n = (size_t)MIN((uint64_t)data.n, call->left);
        call->left -= data.n;
    }
    *bytes = str_make(bytes->p + data.n, bytes->n - data.n);
    call->events->data(call->owner, data);
}

bool
client_h1_is_complete(const struct client_call *call)
{
    switch (call->reading) {
    case CLIENT_HEAD:
        return false;
    case CLIENT_SIZED:
        return call->left == 0;
    case CLIENT_CHUNKED:
        return chunked_done(&call->chunked);
    case CLIENT_UNTIL_CLOSE:
        return false;
    }
    CHECK_UNREACHABLE();
}

/* Does the response allow another request on the connection? A 204 that announces a body violates
 * the protocol, and the body might follow. */
static bool
may_stay(const struct client_call *call)
{
    const struct http_head *head = &call->head.head;

    return head->keep_alive &&
           !(head->status == 204 && (head->chunked || head->content_length > 0));
}

/* Consumes as much as the owner accepts now; the rest must be buffered, unless the call ended. */
static struct str
take(struct client_call *call, struct str bytes)
{
    for (;;) {
        size_t before = bytes.n;

        if (call->ended || call->paused)
            break;
        if (client_h1_is_complete(call)) {
            client_h1_finish(call, bytes.n == 0 && !call->eof && !call->broken && may_stay(call));
            break;
        }
        if (bytes.n == 0)
            break;
        if (call->reading == CLIENT_HEAD) {
            take_head(call, &bytes);
            if (bytes.n == before)
                break;    /* it is not complete */
        } else if (call->reading == CLIENT_CHUNKED) {
            take_chunked(call, &bytes);
        } else {
            take_body(call, &bytes);
        }
    }
    return bytes;
}

/* The connection ended and all its data has been consumed: is the response complete? `detail`: how
 * it broke. */
static void
settle_end(struct client_call *call, const char *detail)
{
    if (call->ended || call->paused || !(call->eof || call->broken))
        return;
    if (call->broken) {
        fail(call, call->answered ? ERR_UPSTREAM_TRUNCATED : call->why, detail);
    } else if (call->reading == CLIENT_UNTIL_CLOSE) {
        client_h1_finish(call, false);
    } else if (call->answered) {
        fail(call, ERR_UPSTREAM_TRUNCATED, "connection closed in the middle of the answer");
    } else {
        fail(call, ERR_UPSTREAM_RESET, "connection closed before the answer");
    }
}

void
client_h1_take_kept(struct client_call *call)
{
    size_t before = buf_len(&call->in);
    struct str rest = take(call, buf_str(&call->in));

    if (call->ended)
        return;
    buf_consume(&call->in, before - rest.n);
    if (buf_len(&call->in) == 0)
        buf_fini(&call->in);
    settle_end(call, call->detail);
    if (!call->ended && !call->paused && call->sock != NULL)
        sock_read_start(call->sock);
}

/* --- from the socket --- */

static void
on_data(void *owner, struct str bytes)
{
    struct client_call *call = owner;

    call->answered = true;
    if (buf_len(&call->in) != 0) {
        buf_add(&call->in, bytes);
        if (!call->in.overflow)
            client_h1_take_kept(call);
    } else {
        struct str rest = take(call, bytes);

        if (call->ended)
            return;
        buf_add(&call->in, rest);
        if (call->paused && rest.n != 0)
            client_call_kept(call);
    }
    if (!call->ended && call->in.overflow)
        fail(call, ERR_NO_MEMORY, "out of memory for the answer");
}

static void
on_eof(void *owner)
{
    struct client_call *call = owner;

    call->eof = true;
    settle_end(call, NULL);
}

static void
on_failed(void *owner, enum err why, const char *detail)
{
    struct client_call *call = owner;

    call->broken = true;
    call->why = why;
    if (call->paused)
        call->detail = str_dup_c(str_c(detail));
    settle_end(call, detail);
}

const struct sock_events client_h1_events = {
    .data = on_data,
    .eof = on_eof,
    .drained = client_h1_drained,
    .failed = on_failed,
};

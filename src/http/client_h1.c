/* client_h1.c - HTTP/1: composes and sends the request, and decides what happens to the connection
 * afterwards. */
#include "http/client_call.h"
#include "http/put.h"

enum { HEAD_OWN_BYTES = 256 };    /* of a request's head, in addition to what the owner supplied */

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

/* Composes the request's head in the client's buffer; it is sent before the next one is
 * composed. */
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
    CHECK(start != NULL);    /* sizes that we chose */
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
    if (q->body_count != 0 || http_is_sending_method(q->method)) {
        p = put(p, S("Content-Length: "));
        p = put_u64(p, call->unsent);
        p = put(p, S("\r\n"));
    }
    p = put(p, S("\r\n"));
    buf_commit(b, (size_t)(p - start));
    return buf_str(b);
}

/* Writes the head, if there is one, and at most `limit` bytes of the body, so that little has to be
 * copied when the kernel does not accept all of it. */
static void
send_part(struct client_call *call, struct str head, size_t limit)
{
    struct client_request *q = &call->request;
    struct str pieces[CLIENT_BODY_PIECES + 1];
    size_t n = 0;

    if (head.n != 0)
        pieces[n++] = head;
    while (call->unsent != 0 && limit != 0) {
        struct str rest = str_skip(q->body[call->piece], call->piece_at);
        struct str part = str_make(rest.p, MIN(rest.n, limit));

        limit -= part.n;
        call->unsent -= part.n;
        loop_count_work(call->client->loop, part.n);
        call->piece_at += part.n;
        if (part.n != 0)
            pieces[n++] = part;
        if (part.n == rest.n) {
            call->piece++;
            call->piece_at = 0;
        }
    }
    if (n != 0)
        sock_write(call->sock, pieces, n);
}

/* Sends on while the kernel takes it at once: a few parts, and the next ones when others had their
 * turn. When it does not take them, `drained` calls again. */
static void
send_on(struct client_call *call, struct str head)
{
    for (unsigned i = 0; i < CLIENT_PARTS_PER_TURN; i++) {
        send_part(call, head, CLIENT_SEND_BYTES);
        head.n = 0;
        if (call->unsent == 0 || sock_queued_bytes(call->sock) != 0)
            return;
    }
    loop_defer_next(call->client->loop, &call->more);
}

void
client_h1_send_more(struct client_call *call)
{
    if (call->sock != NULL && call->unsent != 0 && !call->cut && sock_queued_bytes(call->sock) == 0)
        send_on(call, (struct str){ NULL, 0 });
}

void
client_h1_send(struct client_call *call, struct sock *sock)
{
    call->transport = &client_transport_h1;
    call->sock = sock;
    call->piece = 0;
    call->piece_at = 0;
    call->unsent = body_bytes(&call->request);
    call->cut = false;
    client_h1_reset_answer(call);
    call->sock_sent_before = sock_sent_bytes(sock);
    sock_own(sock, &client_h1_events, call);
    call->sent_ms = loop_now_ms(call->client->loop);
    send_on(call, compose_head(call));
    client_call_expect_answer(call);
    if (!call->paused)
        sock_read_start(sock);
}

void
client_h1_drained(void *arg)
{
    struct client_call *call = arg;

    if (call->unsent != 0 && !call->cut)
        send_on(call, (struct str){ NULL, 0 });
    if (timer_is_set(&call->deadline))
        client_call_expect_answer(call);
    if (UNLIKELY(call->request.switches) && call->events->writable != NULL)
        call->events->writable(call->owner);
}

void
client_send(struct client_call *call, struct str bytes)
{
    CHECK(call->request.switches && call->sock != NULL);
    sock_write(call->sock, &bytes, 1);
}

void
client_h1_answered_early(struct client_call *call, int status)
{
    if (call->unsent == 0)
        return;
    if (status < 300)
        send_part(
            call, (struct str){ NULL, 0 }, SIZE_MAX);    /* copied: the response may depend on it */
    else
        call->cut = true;    /* an error: the server does not want the rest */
}

/* --- the end --- */

/* The only place where a connection enters the pool. If a part of this request were missing, the
 * server would read the next request as the rest of the body; if a part of the response were
 * unread, the next call would get it. */
static void
keep_connection(struct client_call *call)
{
    CHECK(call->unsent == 0 && !call->cut);
    CHECK(client_h1_is_complete(call));
    pool_put(call->client->pool, call->request.origin, call->sock, call->lease.born_ms,
        call->announced_idle_ms);
    call->sock = NULL;
}

void
client_h1_finish(struct client_call *call, bool reusable)
{
    if (reusable && call->unsent == 0)
        keep_connection(call);
    client_call_finish(call);
}

static void
drop(struct client_call *call)
{
    sock_close(call->sock);
    call->sock = NULL;
    buf_fini(&call->in);
}

static void
stop_reading(struct client_call *call)
{
    sock_read_stop(call->sock);
}

const struct client_transport client_transport_h1 = {
    .drop = drop,
    .pause = stop_reading,
    .resume = client_h1_take_kept,
};

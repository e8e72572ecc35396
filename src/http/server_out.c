/* server_out.c - writes responses: head, framing, and as few system calls as possible.
 *
 * Output is collected in a buffer that the connection borrows from the server. It is sent at the
 * end of the turn, at the end of the response, or when the buffer is large. An idle connection
 * therefore has no buffer, and a short response is one system call.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "http/put.h"
#include "http/server_conn.h"

enum {
    PIECES_MAX = 16,         /* of the body per write, in addition to our own */
    PIECES_OWN = 6,          /* head, chunk header, buffered bytes, line ends, trailers */
    HEAD_OWN_BYTES = 256,    /* for the parts of a head that we add to the handler's fields */
};

/* "Date: ...\r\n", formatted once a second. */
static struct str
server_date(struct server *s)
{
    uint64_t now = loop_now_ms(s->loop);

    if (now >= s->date_until_ms) {
        time_t wall = (time_t)(clock_wall_ms() / 1000);
        struct tm tm;

        gmtime_r(&wall, &tm);
        s->date_n = strftime(s->date, sizeof(s->date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
        s->date_until_ms = now + 1000;
    }
    return str_make(s->date, s->date_n);
}

/* --- buffering --- */

/* Room for `n` more bytes of output. NULL: out of memory, which is recorded in the buffer. */
static char *
out_reserve(struct server_conn *q, size_t n)
{
    struct server *s = q->server;

    if (q->out.p == NULL && s->spares_n != 0)
        q->out = s->spares[--s->spares_n];
    return buf_reserve(&q->out, n);
}

static void
give_back_out(struct server_conn *q)
{
    struct server *s = q->server;

    if (q->out.cap <= SERVER_SPARE_BYTES && s->spares_n < SERVER_SPARES) {
        buf_reset(&q->out, SERVER_SPARE_BYTES);
        s->spares[s->spares_n++] = q->out;
        buf_init(&q->out, SIZE_MAX / 2);
    } else {
        buf_fini(&q->out);
    }
    q->out_head = 0;
}

static char *
put_status_line(char *p, int status)
{
    if (status == 200)
        return put(p, S("HTTP/1.1 200 OK\r\n"));
    p = put(p, S("HTTP/1.1 "));
    p = put_u64(p, (uint64_t)status);
    *p++ = ' ';
    p = put(p, str_c(http_reason(status)));
    return put(p, S("\r\n"));
}

/* The fields that tell where the body ends, and whether the connection stays open. */
static char *
put_framing(char *p, const struct server_conn *q, int status, int64_t length)
{
    if (length >= 0 && status != 204 && status != 304) {
        p = put(p, S("Content-Length: "));
        p = put_u64(p, (uint64_t)length);
        p = put(p, S("\r\n"));
    } else if (q->out_chunked) {
        p = put(p, S("Transfer-Encoding: chunked\r\n"));
    }
    if (q->close)
        p = put(p, S("Connection: close\r\n"));
    else if (q->head.http10)
        p = put(p, S("Connection: keep-alive\r\n"));
    return p;
}

void
server_respond(struct server_conn *q, int status, struct str fields, int64_t length)
{
    CHECK(q->open && !q->responded);
    CHECK(status >= 200 && status <= 999);

    q->responded = true;
    q->bodiless = status == 204 || status == 304 || str_eq(q->head.head.method, S("HEAD"));
    q->out_left = q->bodiless ? 0 : length;
    q->out_chunked = length < 0 && !q->bodiless && !q->head.http10;
    /* the unread rest of the body precedes the next request */
    if (!q->head.head.keep_alive || q->server->leaving || !q->body_done ||
        (length < 0 && !q->bodiless && q->head.http10))
        q->close = true;

    char *start = out_reserve(q, fields.n + HEAD_OWN_BYTES);
    if (start == NULL)
        return;    /* reported when it is sent */
    char *p = put_status_line(start, status);
    p = put(p, fields);
    p = put(p, server_date(q->server));
    p = put_framing(p, q, status, length);
    p = put(p, S("\r\n"));
    buf_commit(&q->out, (size_t)(p - start));
    q->out_head = buf_len(&q->out);
    loop_defer(q->server->loop, &q->turn);
}

void
server_switch(struct server_conn *q, struct str fields)
{
    CHECK(q->open && !q->responded && q->reading == READ_LATER);
    q->responded = true;
    q->bodiless = q->out_chunked = q->paused = false;
    q->out_left = -1;
    q->close = true;    /* when it is over */
    q->reading = READ_SWITCHED;

    char *start = out_reserve(q, fields.n + HEAD_OWN_BYTES);
    if (start == NULL)
        return;    /* reported when it is sent */
    char *p = put(put_status_line(start, 101), fields);
    p = put(p, S("Connection: Upgrade\r\n\r\n"));
    buf_commit(&q->out, (size_t)(p - start));
    q->out_head = buf_len(&q->out);
    loop_defer(q->server->loop, &q->turn);
}

/* --- sending --- */

static void
add_piece(struct str *pieces, size_t *n, struct str s)
{
    if (s.n != 0)
        pieces[(*n)++] = s;
}

/* Writes to the socket, and starts the deadline for the client to read it. */
static void
write_pieces(struct server_conn *q, const struct str *pieces, size_t n)
{
    for (size_t i = 0; i < n; i++)
        q->written += pieces[i].n;
    sock_write(q->sock, pieces, n);

    size_t queued = sock_queued_bytes(q->sock);
    if (queued == 0)
        return;
    if (queued > SERVER_HIGH_WATERMARK_BYTES - SERVER_GATHER_BYTES)
        q->high = true;
    if (!server_conn_hold(q, true)) {
        q->broken = true;
        loop_defer(q->server->loop, &q->turn);
    }
    uint64_t stall_ms = q->server->limits.write_stall_ms;
    timer_set_by(&q->timer, loop_now_ms(q->server->loop) + stall_ms / 4 + 1);
}

/* Sends the buffered output followed by `extra`, as one chunk if the body is chunked. `last` (may be
 * NULL): the trailers, for this is the end of the body. At most PIECES_MAX pieces. */
static void
send_out(struct server_conn *q, const struct str *extra, size_t count, const struct str *last)
{
    struct str pieces[PIECES_MAX + PIECES_OWN];
    char room[CHUNKED_HEADER_ROOM];
    struct str gathered = buf_str(&q->out);
    struct str body = str_skip(gathered, q->out_head);
    size_t body_n = body.n;
    size_t n = 0;

    if (q->out.overflow) {
        q->broken = true;
        loop_defer(q->server->loop, &q->turn);
        return;
    }
    for (size_t i = 0; i < count; i++)
        body_n += extra[i].n;
    add_piece(pieces, &n, str_make(gathered.p, q->out_head));
    if (q->out_chunked && body_n != 0)
        add_piece(pieces, &n, chunked_header(body_n, room));
    add_piece(pieces, &n, body);
    for (size_t i = 0; i < count; i++)
        add_piece(pieces, &n, extra[i]);
    if (q->out_chunked && body_n != 0)
        add_piece(pieces, &n, last != NULL ? S("\r\n0\r\n") : S("\r\n"));
    else if (q->out_chunked && last != NULL)
        add_piece(pieces, &n, S("0\r\n"));
    if (q->out_chunked && last != NULL) {
        add_piece(pieces, &n, *last);
        add_piece(pieces, &n, S("\r\n"));
    }
    if (n != 0)
        write_pieces(q, pieces, n);
    if (q->out.p != NULL)
        give_back_out(q);
}

void
server_conn_flush(struct server_conn *q)
{
    if (buf_len(&q->out) != 0 || q->out.overflow)
        send_out(q, NULL, 0, NULL);
}

void
server_flush(struct server_conn *q)
{
    server_conn_flush(q);
}

void
server_write(struct server_conn *q, struct str bytes)
{
    server_write_pieces(q, &bytes, 1);
}

/* Checks and counts the bytes of the pieces. False: nothing is to be sent. */
static bool
admit(struct server_conn *q, const struct str *pieces, size_t count, size_t *ret_n)
{
    size_t n = 0;

    CHECK(q->open && q->responded);
    for (size_t i = 0; i < count; i++)
        n += pieces[i].n;
    *ret_n = n;
    if (q->bodiless || n == 0)
        return false;
    if (q->out_left >= 0) {
        CHECK(n <= (uint64_t)q->out_left);    /* the handler promised not to exceed it */
        q->out_left -= (int64_t)n;
    }
    q->bytes_out += n;
    return true;
}

void
server_write_pieces(struct server_conn *q, const struct str *pieces, size_t count)
{
    size_t n = 0;

    if (!admit(q, pieces, count, &n))
        return;
    if (count <= PIECES_MAX && buf_len(&q->out) + n > SERVER_GATHER_BYTES) {
        send_out(q, pieces, count, NULL);
        return;
    }
    char *p = out_reserve(q, n);
    loop_defer(q->server->loop, &q->turn);
    if (p == NULL)
        return;    /* reported when it is sent */
    for (size_t i = 0; i < count; i++)
        p = put(p, pieces[i]);
    buf_commit(&q->out, n);
}

/* --- completion --- */

void
server_conn_finish(struct server_conn *q)
{
    q->since_ms = loop_now_ms(q->server->loop);
    if (!q->finished) {
        q->finished = true;
        q->finished_ms = q->since_ms;
        q->reading = READ_DISCARD;
        sock_shutdown(q->sock);
        timer_set_by(&q->timer, q->since_ms + SERVER_LINGER_MS);
        server_conn_read(q);
    }
    if (q->sock != NULL && q->ended && sock_queued_bytes(q->sock) == 0)
        server_conn_close(q, false);
}

/* The handler has finished the request: continues with the next one, or closes. */
static void
release(struct server_conn *q)
{
    q->open = false;
    q->responded = false;
    server_conn_free_body(q);
    if (q->close || q->server->draining)
        server_conn_finish(q);
    else
        server_conn_next(q);
}

bool
server_takes_trailers(const struct server_conn *q)
{
    return !q->head.http10 &&
           http_list_has(http_field_get(&q->head.head.fields, S("te")), S("trailers"));
}

void
server_end(struct server_conn *q, struct str trailers)
{
    CHECK(q->open && q->responded);

    if (buf_len(&q->out) != 0 || q->out_chunked)
        send_out(q, NULL, 0, &trailers);
    if (q->out_left > 0 || q->broken)
        server_abort(q);    /* shorter than declared, or out of memory */
    else
        release(q);
}

void
server_answer(struct server_conn *q, int status, struct str fields, struct str body)
{
    size_t n = 0;

    server_respond(q, status, fields, (int64_t)body.n);
    bool admitted = admit(q, &body, 1, &n);

    send_out(q, &body, admitted ? 1 : 0, &(struct str){ .n = 0 });
    if (q->broken)
        server_abort(q);
    else
        release(q);
}

void
server_abort(struct server_conn *q)
{
    CHECK(q->open);

    q->open = false;
    server_conn_close(q, true);
}

void
server_conn_refuse(struct server_conn *q, enum err why, const char *detail)
{
    struct server *s = q->server;
    struct buf body;
    struct str pieces[2];
    struct buf head;

    buf_init(&body, 64 * 1024);
    buf_init(&head, 4096);
    int status = err_row(why)->status;

    buf_printf(&head, "HTTP/1.1 %d %s\r\n", status, http_reason(status));
    s->handler->refused(s->owner, q, why, detail, &head, &body);
    buf_printf(&head, "Content-Length: %zu\r\n%s", buf_len(&body),
        status == 503 ? "Retry-After: 1\r\n" : "");
    buf_add(&head, server_date(s));
    buf_printf(&head, "x-should-retry: %s\r\n", err_row(why)->retry ? "true" : "false");
    buf_add(&head, S("Cache-Control: no-store\r\nConnection: close\r\n\r\n"));
    pieces[0] = buf_str(&head);
    pieces[1] = buf_str(&body);
    q->reading = READ_DISCARD;
    server_conn_flush(q);    /* sends the responses to earlier requests */
    if (q->sock != NULL) {
        write_pieces(q, pieces, 2);
        server_conn_finish(q);
    }
    buf_fini(&head);
    buf_fini(&body);
}

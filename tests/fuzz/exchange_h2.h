/* exchange_h2.h - providers that speak HTTP/2, played by the fuzzer.
 *
 * Each stream is an `upstream` of its own: its request is written down as HTTP/1.1 would say it, so
 * that the rules of exchange_ends.h apply, and so is the answer before it becomes frames. Bytes
 * leave through `out` of the connection that carries the stream.
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "net/sock_priv.h"
#include "tests/fuzz/exchange_ends.h"

enum { H2_STREAMS_ALLOWED = 4, H2_FIELDS_MAX = 16 };

/* Takes the place of sock_alpn(), which needs TLS: sockets of this name speak HTTP/2. */
struct str __wrap_sock_alpn(const struct sock *s);

struct str
__wrap_sock_alpn(const struct sock *s)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    socklen_t n = sizeof(a);

    if (getpeername(s->fd, (struct sockaddr *)&a, &n) != 0)
        return S("");
    return str_ends(str_c(a.sun_path), S("/" H2_NAME)) ? S("h2") : S("");
}

/* --- streams --- */

static struct upstream **
stream_slot(struct upstream *connection, int32_t id)
{
    for (size_t i = 0; i < UPSTREAM_CONNECTIONS; i++) {
        struct upstream **slot = &connection->provider->streams[i];

        if (*slot != NULL && (*slot)->carrier == connection && (*slot)->stream_id == id)
            return slot;
    }
    return NULL;
}

static void
h2_close(struct upstream *connection)
{
    for (size_t i = 0; i < UPSTREAM_CONNECTIONS; i++) {
        struct upstream **slot = &connection->provider->streams[i];

        if (*slot != NULL && (*slot)->carrier == connection)
            upstream_close(slot);
    }
    nghttp2_session_del(connection->session);
    connection->session = NULL;
}

static int
h2_on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct upstream *connection = arg;
    struct upstream **all = connection->provider->streams;
    struct upstream **last = &all[UPSTREAM_CONNECTIONS - 1];
    struct upstream *u = check_alloc(calloc(1, sizeof(*u)));

    if (*last != NULL) {
        (void)nghttp2_submit_rst_stream((*last)->carrier->session, NGHTTP2_FLAG_NONE,
            (*last)->stream_id, NGHTTP2_INTERNAL_ERROR);
        upstream_close(last);
    }
    memmove(&all[1], &all[0], (UPSTREAM_CONNECTIONS - 1) * sizeof(all[0]));
    all[0] = u;
    u->provider = connection->provider;
    u->carrier = connection;
    u->stream_id = frame->hd.stream_id;
    u->end.fd = -1;
    buf_init(&u->end.in, 64u * 1024 * 1024);
    buf_init(&u->end.out, 64u * 1024 * 1024);
    (void)session;
    return 0;
}

/* The head as HTTP/1.1 says it. The client sends the pseudo-fields in this order. */
static int
h2_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *arg)
{
    struct upstream **slot = stream_slot(arg, frame->hd.stream_id);
    struct str key = str_make((const char *)name, name_n);

    (void)session;
    (void)flags;
    if (slot == NULL)
        return 0;
    struct buf *in = &(*slot)->end.in;
    if (str_eq(key, S(":scheme")))
        return 0;
    if (str_eq(key, S(":authority"))) {
        buf_add(&(*slot)->end.out, str_make((const char *)value, value_n));
        return 0;
    }
    if (str_eq(key, S(":path")))
        buf_add_c(in, ' ');
    else if (!str_eq(key, S(":method")))
        buf_printf(in, STR_FMT ": ", STR_ARG(key));
    buf_add(in, str_make((const char *)value, value_n));
    if (str_eq(key, S(":path"))) {
        buf_printf(in, " HTTP/1.1\r\nHost: " STR_FMT, STR_ARG(buf_str(&(*slot)->end.out)));
        buf_reset(&(*slot)->end.out, SIZE_MAX);
    }
    if (!str_eq(key, S(":method")))
        buf_add(in, S("\r\n"));
    return 0;
}

static int
h2_on_data(
    nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *arg)
{
    struct upstream **slot = stream_slot(arg, id);

    (void)session;
    (void)flags;
    if (slot != NULL)
        buf_add(&(*slot)->end.in, str_make((const char *)data, n));
    return 0;
}

static int
h2_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct upstream **slot = stream_slot(arg, frame->hd.stream_id);
    unsigned type = frame->hd.type;

    (void)session;
    if (slot == NULL || (type != NGHTTP2_HEADERS && type != NGHTTP2_DATA))
        return 0;
    struct upstream *u = *slot;
    if (type == NGHTTP2_HEADERS) {
        buf_add(&u->end.in, S("\r\n"));
        upstream_begin(u, buf_str(&u->end.in));
        CHECK(u->request_bytes != 0);
    }
    CHECK(buf_len(&u->end.in) <= u->request_bytes);
    check_keys(u, buf_str(&u->end.in));
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        CHECK(buf_len(&u->end.in) == u->request_bytes);
        check_request(u, buf_str(&u->end.in));
        u->complete = true;
    }
    return 0;
}

static int
h2_on_invalid(nghttp2_session *session, const nghttp2_frame *frame, int code, void *arg)
{
    (void)session;
    (void)frame;
    (void)code;
    CHECK(((struct upstream *)arg)->wild);
    return 0;
}

static int
h2_on_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    struct upstream **slot = stream_slot(arg, id);

    (void)session;
    (void)code;
    if (slot != NULL)
        upstream_close(slot);
    return 0;
}

/* --- the connection --- */

static void
h2_open(struct upstream *connection)
{
    static const nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
        H2_STREAMS_ALLOWED } };
    nghttp2_session_callbacks *c;

    CHECK(nghttp2_session_callbacks_new(&c) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, h2_on_begin);
    nghttp2_session_callbacks_set_on_header_callback(c, h2_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, h2_on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, h2_on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, h2_on_invalid);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, h2_on_close);
    CHECK(nghttp2_session_server_new(&connection->session, c, connection) == 0);
    nghttp2_session_callbacks_del(c);
    CHECK(nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, settings, 1) == 0);
    connection->end.eager = true;
}

/* Puts the frames that are ready into the connection's `out`. */
static void
h2_pump(struct upstream *connection)
{
    const uint8_t *frames;
    ssize_t n;

    while ((n = nghttp2_session_mem_send(connection->session, &frames)) > 0)
        buf_add(&connection->end.out, str_make((const char *)frames, (size_t)n));
    CHECK(n == 0);
}

/* Takes what came. False: the connection is of no more use. */
static bool
h2_read(struct upstream *connection)
{
    bool open = end_read(&connection->end, connection->reluctant ? 4096 : 1024 * 1024);
    struct str s = buf_str(&connection->end.in);
    ssize_t n = nghttp2_session_mem_recv(connection->session, (const uint8_t *)s.p, s.n);

    CHECK(connection->wild || n == (ssize_t)s.n);
    buf_consume(&connection->end.in, s.n);
    if (n < 0 || !open)
        return false;
    h2_pump(connection);
    if (connection->end.eager)
        end_flush(&connection->end, SIZE_MAX);
    return nghttp2_session_want_read(connection->session) ||
           nghttp2_session_want_write(connection->session) || buf_len(&connection->end.out) != 0;
}

static ssize_t
h2_on_read(nghttp2_session *session, int32_t id, uint8_t *room, size_t size, uint32_t *flags,
    nghttp2_data_source *source, void *arg)
{
    struct upstream **slot = stream_slot(arg, id);
    struct buf *out = &(*slot)->end.out;
    size_t n = MIN(size, buf_len(out));

    (void)session;
    (void)source;
    memcpy(room, buf_str(out).p, n);
    buf_consume(out, n);
    if (buf_len(out) == 0)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

/* Sends the answer that stands in the stream's `out` (upstream_answer() put it there). */
static void
h2_answer(struct upstream *u)
{
    nghttp2_nv nv[H2_FIELDS_MAX];
    nghttp2_data_provider body = { .read_callback = h2_on_read };
    struct str all = buf_str(&u->end.out), head, line;
    size_t n = 0;
    char names[1024];
    size_t used = 0;

    head = str_make(all.p, str_find(all, S("\r\n\r\n")) + 2);
    (void)str_cut(head, '\n', &line, &head);
    nv[n++] = (nghttp2_nv){ (uint8_t *)":status", (uint8_t *)line.p + sizeof("HTTP/1.1"), 7, 3,
        NGHTTP2_NV_FLAG_NO_INDEX };
    while (str_cut(head, '\n', &line, &head) && n < H2_FIELDS_MAX) {
        size_t colon = str_chr(line, ':');
        struct str value = str_trim(str_skip(line, colon + 1));

        CHECK(used + colon <= sizeof(names));
        for (size_t i = 0; i < colon; i++)
            names[used + i] =
                (char)(line.p[i] >= 'A' && line.p[i] <= 'Z' ? line.p[i] | 0x20 : line.p[i]);
        nv[n++] = (nghttp2_nv){ (uint8_t *)names + used, (uint8_t *)value.p, colon, value.n,
            NGHTTP2_NV_FLAG_NO_INDEX };
        used += colon;
    }
    CHECK(nghttp2_submit_response(u->carrier->session, u->stream_id, nv, n, &body) == 0);
    buf_consume(&u->end.out, str_find(all, S("\r\n\r\n")) + 4);
    h2_pump(u->carrier);
}

/* Ends a stream, or all of them, in one of the ways that HTTP/2 has. */
static void
h2_leave(struct upstream *u, unsigned how)
{
    static const uint32_t codes[] = { NGHTTP2_REFUSED_STREAM, NGHTTP2_INTERNAL_ERROR,
        NGHTTP2_NO_ERROR, NGHTTP2_HTTP_1_1_REQUIRED };
    struct upstream *connection = u->carrier;
    nghttp2_session *session = connection->session;

    if (how % 8 < ARRAY_LEN(codes))
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, u->stream_id, codes[how % 8]);
    else if (how % 8 == 4)
        (void)nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE, u->stream_id, 0, NULL, 0);
    else if (how % 8 == 5)
        (void)nghttp2_submit_goaway(
            session, NGHTTP2_FLAG_NONE, u->stream_id - 2 > 0 ? u->stream_id - 2 : 0, 0, NULL, 0);
    else if (how % 8 == 6)
        (void)shutdown(connection->end.fd, SHUT_WR);
    else
        (void)shutdown(connection->end.fd, SHUT_RDWR);
    h2_pump(connection);
    if (connection->end.eager)
        end_flush(&connection->end, SIZE_MAX);
}

/* h2_session.c - the library's callbacks: frames that came are passed to the streams, frames to be
 * sent are collected. */
#include <stdlib.h>

#include "http/h2_priv.h"
#include "http/put.h"

enum {
    QUEUED_ACKS_MAX = 256,    /* of PING and SETTINGS while nothing can be sent */
    CREDIT_PER_FRAME = 4,     /* more frames without content for each frame with content */
};

/* --- received frames --- */

static void
refuse_answer(struct h2_stream *s, enum err why, const char *detail)
{
    h2_reset(s, NGHTTP2_PROTOCOL_ERROR);
    h2_stream_break(s, why, detail, CLIENT_UNKNOWN);
    h2_stream_deliver(s);
}

static struct h2_stream *
stream_of(nghttp2_session *session, int32_t id)
{
    return id != 0 ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

/* Frames without content use up a credit, which responses and time replenish. */
static int
on_begin_frame(nghttp2_session *session UNUSED, const nghttp2_frame_hd *hd, void *arg)
{
    struct h2 *h2 = arg;

    if (hd->type == NGHTTP2_HEADERS || (hd->type == NGHTTP2_DATA && hd->length != 0)) {
        h2->credit = MIN(h2->credit + CREDIT_PER_FRAME, (unsigned)H2_CREDIT_MAX);
        return 0;
    }
    if (h2->credit == 0) {
        str_copy_c(h2->detail, sizeof(h2->detail), S("too many frames without content"));
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    h2->credit--;
    return 0;
}

static int
on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg UNUSED)
{
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);

    if (s != NULL)
        h2_stream_begin_head(s);
    return 0;
}

static int
on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_n,
    const uint8_t *value, size_t value_n, uint8_t flags UNUSED, void *arg)
{
    struct h2 *h2 = arg;
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);
    const char *wrong;

    if (s == NULL)
        return 0;
    wrong = h2_stream_field(s, str_make((const char *)name, name_n),
        str_make((const char *)value, value_n), &h2->limits);
    if (wrong != NULL)
        refuse_answer(s, ERR_UPSTREAM_PROTOCOL, wrong);
    return 0;
}

static int
on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name UNUSED,
    size_t name_n UNUSED, const uint8_t *value UNUSED, size_t value_n UNUSED, uint8_t flags UNUSED,
    void *arg UNUSED)
{
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);

    if (s != NULL)
        refuse_answer(s, ERR_UPSTREAM_PROTOCOL, "a malformed field in the head");
    return 0;
}

static int
on_data_chunk(nghttp2_session *session, uint8_t flags UNUSED, int32_t id, const uint8_t *data,
    size_t n, void *arg UNUSED)
{
    struct h2_stream *s = stream_of(session, id);

    (void)nghttp2_session_consume_connection(session, n);
    if (s == NULL)
        return 0;
    if (!s->head_came)
        refuse_answer(s, ERR_UPSTREAM_PROTOCOL, "a body before its head");
    else if (!h2_stream_data(s, str_make((const char *)data, n)))
        refuse_answer(s, ERR_NO_MEMORY, "out of memory for the answer");
    return 0;
}

static void
on_stream_frame(struct h2_stream *s, const nghttp2_frame *frame)
{
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        s->reset_by_peer = true;
        return;
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return;
    if (frame->hd.type == NGHTTP2_HEADERS) {
        const char *wrong = h2_stream_end_head(s);

        if (wrong != NULL) {
            refuse_answer(s, ERR_UPSTREAM_PROTOCOL, wrong);
            return;
        }
    }
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        s->complete = true;
    h2_stream_deliver(s);
}

static int
on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct h2 *h2 = arg;
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);

    if (s != NULL) {
        on_stream_frame(s, frame);
    } else if (frame->hd.type == NGHTTP2_GOAWAY) {
        h2_note_idle_end(h2);
        h2_leave(h2);    /* the library closes the streams above GOAWAY's last one */
    } else if (frame->hd.type == NGHTTP2_SETTINGS && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) {
        h2->settled = true;
        h2->made_room = true;
    }
    return 0;
}

static int
on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg UNUSED)
{
    struct h2_stream *s = stream_of(session, id);

    if (s == NULL)
        return 0;
    h2_unlink(s);
    if (s->not_sent)
        h2_stream_break(s, ERR_UPSTREAM_RESET,
            "the server takes no more requests on this connection", CLIENT_UNPROCESSED);
    else if (code == NGHTTP2_REFUSED_STREAM && !s->answered)
        h2_stream_break(s, ERR_UPSTREAM_RESET, "the server refused the stream", CLIENT_UNPROCESSED);
    else if (code == NGHTTP2_HTTP_1_1_REQUIRED && !s->answered)
        h2_stream_break(s, ERR_UPSTREAM_RESET,
            "the server wants HTTP/1.1; set 'http: 1' for the provider", CLIENT_UNKNOWN);
    else if (code != NGHTTP2_NO_ERROR && !s->reset_by_peer)
        h2_stream_break(
            s, ERR_UPSTREAM_PROTOCOL, "the answer breaks the rules of HTTP/2", CLIENT_UNKNOWN);
    else if (s->answered)
        h2_stream_break(
            s, ERR_UPSTREAM_TRUNCATED, "stream closed in the middle of the answer", CLIENT_UNKNOWN);
    else
        h2_stream_break(s, ERR_UPSTREAM_RESET, "stream closed before the answer", CLIENT_UNKNOWN);
    h2_stream_deliver(s);
    return 0;
}

/* GOAWAY came before the library sent the head; on_stream_close() follows. */
static int
on_frame_not_sent(
    nghttp2_session *session, const nghttp2_frame *frame, int code UNUSED, void *arg UNUSED)
{
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);

    if (s != NULL && frame->hd.type == NGHTTP2_HEADERS)
        s->not_sent = true;
    return 0;
}

static int
on_library_error(
    nghttp2_session *session UNUSED, int code UNUSED, const char *text, size_t n, void *arg)
{
    struct h2 *h2 = arg;

    if (h2->detail[0] == '\0')
        str_copy_c(h2->detail, sizeof(h2->detail), str_make(text, n));
    return 0;
}

/* --- sent frames --- */

static ssize_t
on_send(nghttp2_session *session UNUSED, const uint8_t *data, size_t n, int flags UNUSED, void *arg)
{
    struct h2 *h2 = arg;

    if (buf_len(&h2->out) >= H2_WRITE_BYTES)
        return NGHTTP2_ERR_WOULDBLOCK;
    buf_add(&h2->out, str_make((const char *)data, n));
    return (ssize_t)n;
}

/* How much of a body the next frame takes; the bytes follow in on_send_data(). */
static ssize_t
on_read_body(nghttp2_session *session, int32_t id, uint8_t *room UNUSED, size_t size,
    uint32_t *flags, nghttp2_data_source *source UNUSED, void *arg)
{
    struct h2_stream *s = stream_of(session, id);
    const struct h2 *h2 = arg;

    if (buf_len(&h2->out) >= H2_WRITE_BYTES)
        return NGHTTP2_ERR_PAUSE;    /* until that is written */
    if (s == NULL || s->unwanted)
        return NGHTTP2_ERR_DEFERRED;
    size_t n = h2_stream_next(s, size);

    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n == s->left)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static int
on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t n,
    nghttp2_data_source *source UNUSED, void *arg)
{
    struct h2 *h2 = arg;
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);

    if (s == NULL || s->unwanted)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    buf_add(&h2->out, str_make((const char *)head, 9));
    h2_stream_take(s, n, &h2->out);
    h2->credit = MIN(h2->credit + CREDIT_PER_FRAME, (unsigned)H2_CREDIT_MAX);
    s->events->sent(s->owner);
    return 0;
}

static void
add_nv(struct h2 *h2, struct str name, struct str value, bool secret)
{
    if (h2->nva_n == h2->nva_room) {
        h2->nva_room = h2->nva_room * 2 + 16;
        h2->nva = check_alloc(realloc(h2->nva, h2->nva_room * sizeof(*h2->nva)));
    }
    h2->nva[h2->nva_n++] = (nghttp2_nv){
        .name = (uint8_t *)name.p,
        .value = (uint8_t *)value.p,
        .namelen = name.n,
        .valuelen = value.n,
        .flags = secret ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE,
    };
}

/* Secrets stay out of the table that compression shares between requests; the library makes the
 * names lower-case. True when the caller says how the answer may be encoded. */
static bool
add_fields(struct h2 *h2, struct str fields)
{
    struct http_field f;
    bool has_encoding = false;

    while (h2_stream_next_field(&fields, &f)) {
        has_encoding = has_encoding || str_ieq(f.name, S("accept-encoding"));
        add_nv(h2, f.name, f.value, h2_stream_is_secret(f.name));
    }
    return has_encoding;
}

void
h2_session_submit(struct h2 *h2, struct h2_stream *s, const struct client_request *q)
{
    nghttp2_data_provider body = { .read_callback = on_read_body };
    bool has_body = q->body_count != 0 || http_is_sending_method(q->method);
    char length[24];

    h2->nva_n = 0;
    add_nv(h2, S(":method"), q->method, false);
    add_nv(h2, S(":scheme"), q->origin->scheme, false);
    add_nv(h2, S(":authority"), q->origin->host_header, false);
    add_nv(h2, S(":path"), q->path, false);
    if (!add_fields(h2, q->fields))
        add_nv(h2, S("accept-encoding"), S("identity"), false);
    if (has_body)
        add_nv(h2, S("content-length"),
            str_make(length, (size_t)(put_u64(length, s->left) - length)), false);

    s->id = nghttp2_submit_request(
        h2->session, NULL, h2->nva, h2->nva_n, s->left != 0 ? &body : NULL, s);
    CHECK(s->id > 0);
}

/* --- the session --- */

nghttp2_session *
h2_session_create(struct h2 *h2)
{
    nghttp2_session_callbacks *c;
    nghttp2_option *o;
    nghttp2_session *session;

    CHECK(nghttp2_session_callbacks_new(&c) == 0 && nghttp2_option_new(&o) == 0);
    nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(c, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(c, on_frame_not_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_error_callback2(c, on_library_error);
    nghttp2_session_callbacks_set_send_callback(c, on_send);
    nghttp2_session_callbacks_set_send_data_callback(c, on_send_data);

    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_max_outbound_ack(o, QUEUED_ACKS_MAX);
    nghttp2_option_set_no_closed_streams(o, 1);
    /* Blanks around a value are trimmed here, as in HTTP/1. */
    nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(o, 1);
    CHECK(nghttp2_session_client_new2(&session, c, h2, o) == 0);
    nghttp2_option_del(o);
    nghttp2_session_callbacks_del(c);
    return session;
}

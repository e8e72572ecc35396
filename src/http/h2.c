/* h2.c - a shared connection: frames in, frames out, timers, start and end.
 *
 * The only file that calls nghttp2, which does framing, header compression, flow control and most of
 * the protocol's rules. Its callbacks are passed to the streams; its output is collected at the end
 * of a loop iteration. Everything that a misbehaving server could make grow has a limit: heads,
 * buffered bytes, queued acknowledgements, frames without content.
 */
#include "http/h2.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "base/list.h"
#include "http/h2_stream.h"
#include "http/put.h"
#include "net/timer.h"

enum {
    STREAMS_MAX = 256,          /* on one connection, whatever the server allows */
    WRITE_BYTES = 64 * 1024,    /* passed to the socket at a time */
    WRITES_PER_TURN = 16,       /* of them, however fast the peer takes them */
    KEEP_BYTES = 4 * 1024,      /* of that buffer kept between writes */
    QUEUED_ACKS_MAX = 256,      /* of PING and SETTINGS while nothing can be sent */
    CREDIT_MAX = 1000,          /* frames without content, per second */
    CREDIT_PER_FRAME = 4,       /* more of them for each frame with content */
    CREDIT_EVERY_MS = 1000,
};

struct h2 {
    nghttp2_session *session;
    struct sock *sock;
    struct loop *loop;
    struct h2_limits limits;
    const struct h2_events *events;
    void *owner;
    struct h2_stream *first;
    unsigned streams;
    uint64_t started;
    struct deferred turn;
    bool settled;      /* the server's SETTINGS arrived */
    bool leaving;      /* no more streams; the owner was told */
    bool over;         /* closed, to be freed */
    bool made_room;    /* the owner has to be told */

    struct buf out;
    nghttp2_nv *nva;    /* of the request being sent */
    size_t nva_room;
    size_t nva_n;

    struct timer timer;
    uint64_t born_ms;
    uint64_t heard_ms;    /* time of the last read, or of the first stream after being idle */
    uint64_t rested_ms;
    uint64_t pinged_ms;    /* time of the PING that has no answer yet; 0: none */
    uint64_t heard;        /* reads */
    unsigned credit;
    uint64_t credit_ms;
    char detail[H2_DETAIL_ROOM];    /* the library's error */
};

static void over(struct h2 *h2, enum err why, const char *detail, bool by_server);

/* --- its owner --- */

/* The owner forgets it; from now on it closes itself. */
static void
leave(struct h2 *h2)
{
    if (h2->leaving)
        return;
    h2->leaving = true;
    loop_defer(h2->loop, &h2->turn);
    h2->events->leaving(h2->owner);
}

/* The server closes it: reports how long it had been idle. */
static void
note_idle_end(struct h2 *h2)
{
    if (h2->streams == 0 && !h2->leaving)
        h2->events->ended_idle(h2->owner, loop_now_ms(h2->loop) - h2->rested_ms);
}

/* --- time --- */

static uint64_t
earlier(uint64_t at_ms, uint64_t base_ms, uint64_t limit_ms)
{
    return limit_ms != 0 ? MIN(at_ms, base_ms + limit_ms) : at_ms;
}

static void
set_timer(struct h2 *h2)
{
    uint64_t now = loop_now_ms(h2->loop);
    uint64_t at = UINT64_MAX;

    if (!h2->leaving)
        at = earlier(at, h2->born_ms, h2->limits.age_ms);
    if (h2->streams == 0)
        at = earlier(at, h2->rested_ms, h2->limits.idle_ms);
    else if (h2->pinged_ms != 0)
        at = earlier(at, h2->pinged_ms, h2->limits.pong_ms);
    else
        at = earlier(at, h2->heard_ms, h2->limits.ping_ms);
    if (at != UINT64_MAX)
        timer_set(&h2->timer, at > now ? at - now : 0);
}

/* Silence while a response is due: sends a PING, or gives up when that got no answer. */
static void
check_life(struct h2 *h2, uint64_t now)
{
    const struct h2_limits *l = &h2->limits;

    if (h2->pinged_ms != 0 && now - h2->pinged_ms >= l->pong_ms) {
        over(h2, ERR_UPSTREAM_RESET, "no answer to a PING", false);
    } else if (h2->pinged_ms == 0 && l->ping_ms != 0 && now - h2->heard_ms >= l->ping_ms) {
        h2->pinged_ms = now;
        (void)nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, NULL);
        loop_defer(h2->loop, &h2->turn);
    }
}

static void
on_tick(void *arg)
{
    struct h2 *h2 = arg;
    uint64_t now = loop_now_ms(h2->loop);
    const struct h2_limits *l = &h2->limits;

    if (l->age_ms != 0 && now - h2->born_ms >= l->age_ms)
        leave(h2);
    if (h2->streams != 0)
        check_life(h2, now);
    else if (l->idle_ms != 0 && now - h2->rested_ms >= l->idle_ms)
        leave(h2);
    if (!h2->over)
        set_timer(h2);
}

/* --- streams come and go --- */

static void
attach(struct h2 *h2, struct h2_stream *s)
{
    s->h2 = h2;
    s->heard_at = h2->heard;
    s->since_ms = loop_now_ms(h2->loop);
    s->fresh = h2->started++ == 0;
    LIST_ADD(h2->first, s);
    if (h2->streams++ == 0) {
        h2->heard_ms = loop_now_ms(h2->loop);
        set_timer(h2);
    }
}

static void
unlink_stream(struct h2_stream *s)
{
    struct h2 *h2 = s->h2;

    LIST_REMOVE(h2->first, s);
    s->h2 = NULL;
    if (--h2->streams == 0) {
        h2->rested_ms = loop_now_ms(h2->loop);
        h2->pinged_ms = 0;
        if (!h2->over)
            set_timer(h2);
    }
    h2->made_room = true;
    loop_defer(h2->loop, &h2->turn);
}

/* The library forgets the stream. */
static void
reset_stream(struct h2_stream *s, uint32_t code)
{
    struct h2 *h2 = s->h2;

    (void)nghttp2_session_set_stream_user_data(h2->session, s->id, NULL);
    (void)nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, s->id, code);
    unlink_stream(s);
}

void
h2_stream_detach(struct h2_stream *s)
{
    if (s->complete && s->left == 0) {
        (void)nghttp2_session_set_stream_user_data(s->h2->session, s->id, NULL);
        unlink_stream(s);
    } else {
        reset_stream(s, NGHTTP2_CANCEL);
    }
}

void
h2_stream_consumed(struct h2_stream *s, size_t n)
{
    if (s->h2 == NULL)
        return;
    (void)nghttp2_session_consume_stream(s->h2->session, s->id, n);
    loop_defer(s->h2->loop, &s->h2->turn);
}

static void
refuse_answer(struct h2_stream *s, enum err why, const char *detail)
{
    reset_stream(s, NGHTTP2_PROTOCOL_ERROR);
    h2_stream_break(s, why, detail, CLIENT_UNKNOWN);
    h2_stream_deliver(s);
}

/* --- received frames --- */

static struct h2_stream *
stream_of(nghttp2_session *session, int32_t id)
{
    return id != 0 ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

/* Frames without content use up a credit, which responses and time replenish. */
static int
on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *arg)
{
    struct h2 *h2 = arg;

    (void)session;
    if (hd->type == NGHTTP2_HEADERS || (hd->type == NGHTTP2_DATA && hd->length != 0)) {
        h2->credit = MIN(h2->credit + CREDIT_PER_FRAME, (unsigned)CREDIT_MAX);
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
on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);

    (void)arg;
    if (s != NULL)
        h2_stream_begin_head(s);
    return 0;
}

static int
on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_n,
    const uint8_t *value, size_t value_n, uint8_t flags, void *arg)
{
    struct h2 *h2 = arg;
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);
    const char *wrong;

    (void)flags;
    if (s == NULL)
        return 0;
    wrong = h2_stream_field(s, str_make((const char *)name, name_n),
        str_make((const char *)value, value_n), &h2->limits);
    if (wrong != NULL)
        refuse_answer(s, ERR_UPSTREAM_PROTOCOL, wrong);
    return 0;
}

static int
on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *arg)
{
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);

    (void)name;
    (void)name_n;
    (void)value;
    (void)value_n;
    (void)flags;
    (void)arg;
    if (s != NULL)
        refuse_answer(s, ERR_UPSTREAM_PROTOCOL, "a malformed field in the head");
    return 0;
}

static int
on_data_chunk(
    nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *arg)
{
    struct h2_stream *s = stream_of(session, id);

    (void)flags;
    (void)arg;
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
        note_idle_end(h2);
        leave(h2);    /* the library closes the streams above GOAWAY's last one */
    } else if (frame->hd.type == NGHTTP2_SETTINGS && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) {
        h2->settled = true;
        h2->made_room = true;
    }
    return 0;
}

static int
on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    struct h2_stream *s = stream_of(session, id);

    (void)arg;
    if (s == NULL)
        return 0;
    unlink_stream(s);
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
on_frame_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int code, void *arg)
{
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);

    (void)code;
    (void)arg;
    if (s != NULL && frame->hd.type == NGHTTP2_HEADERS)
        s->not_sent = true;
    return 0;
}

static int
on_library_error(nghttp2_session *session, int code, const char *text, size_t n, void *arg)
{
    struct h2 *h2 = arg;

    (void)session;
    (void)code;
    if (h2->detail[0] == '\0')
        str_copy_c(h2->detail, sizeof(h2->detail), str_make(text, n));
    return 0;
}

/* --- sent frames --- */

static ssize_t
on_send(nghttp2_session *session, const uint8_t *data, size_t n, int flags, void *arg)
{
    struct h2 *h2 = arg;

    (void)session;
    (void)flags;
    if (buf_len(&h2->out) >= WRITE_BYTES)
        return NGHTTP2_ERR_WOULDBLOCK;
    buf_add(&h2->out, str_make((const char *)data, n));
    return (ssize_t)n;
}

/* How much of a body the next frame takes; the bytes follow in on_send_data(). */
static ssize_t
on_read_body(nghttp2_session *session, int32_t id, uint8_t *room, size_t size, uint32_t *flags,
    nghttp2_data_source *source, void *arg)
{
    struct h2_stream *s = stream_of(session, id);
    const struct h2 *h2 = arg;

    (void)room;
    (void)source;
    if (buf_len(&h2->out) >= WRITE_BYTES)
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
    nghttp2_data_source *source, void *arg)
{
    struct h2 *h2 = arg;
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);

    (void)source;
    if (s == NULL || s->unwanted)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    buf_add(&h2->out, str_make((const char *)head, 9));
    h2_stream_take(s, n, &h2->out);
    h2->credit = MIN(h2->credit + CREDIT_PER_FRAME, (unsigned)CREDIT_MAX);
    s->events->sent(s->owner);
    return 0;
}

/* Writes pending frames, in as few writes as possible. on_drained() continues when the peer does not
 * take them; after a number of writes the next turn does, so that others are served. */
static void
send_frames(struct h2 *h2)
{
    for (unsigned i = 0; !h2->over && sock_queued_bytes(h2->sock) == 0; i++) {
        if (i == WRITES_PER_TURN) {
            loop_defer_next(h2->loop, &h2->turn);
            return;
        }
        int rv = nghttp2_session_send(h2->session);
        struct str frames = buf_str(&h2->out);

        if (rv != 0 || h2->out.overflow) {
            over(h2, ERR_NO_MEMORY, "out of memory for frames", false);
            return;
        }
        if (frames.n == 0)
            break;
        loop_count_work(h2->loop, frames.n);
        sock_write(h2->sock, &frames, 1);
        buf_reset(&h2->out, KEEP_BYTES);
    }
}

static void
h2_free(struct h2 *h2)
{
    nghttp2_session_del(h2->session);
    buf_fini(&h2->out);
    free(h2->nva);
    free(h2);
}

static void
on_turn(void *arg)
{
    struct h2 *h2 = arg;

    if (h2->over) {
        h2_free(h2);
        return;
    }
    if (h2->made_room && !h2->leaving) {
        h2->made_room = false;
        h2->events->room(h2->owner);
    }
    if (!h2->over)
        send_frames(h2);
    if (h2->over)
        return;
    if (!nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session))
        over(h2, ERR_UPSTREAM_PROTOCOL,
            h2->detail[0] != '\0' ? h2->detail : "the server breaks the rules of HTTP/2", false);
    else if (h2->leaving && h2->streams == 0)
        over(h2, ERR_UPSTREAM_RESET, "closed", false);
}

/* --- the connection --- */

/* What the server may have done with a request whose connection ended. If the library had not sent
 * it, nothing. If the connection was reused and nothing was received since the request, the server
 * had probably closed it before the request arrived; that shows within a short time. */
static enum client_fate
fate_of(const struct h2 *h2, const struct h2_stream *s, bool ended_by_server)
{
    if (nghttp2_session_find_stream(h2->session, s->id) == NULL)
        return CLIENT_UNPROCESSED;
    if (ended_by_server && !s->fresh && !s->answered && s->heard_at == h2->heard &&
        loop_now_ms(h2->loop) - s->since_ms < CLIENT_STALE_MS)
        return CLIENT_STALE;
    return CLIENT_UNKNOWN;
}

/* Closes it and fails its streams, each once. Freed at the end of the loop iteration. */
static void
over(struct h2 *h2, enum err why, const char *detail, bool by_server)
{
    if (h2->over)
        return;
    if (by_server)
        note_idle_end(h2);
    leave(h2);
    h2->over = true;
    sock_close(h2->sock);
    timer_stop(&h2->timer);
    loop_defer(h2->loop, &h2->turn);
    while (h2->first != NULL) {
        struct h2_stream *s = h2->first;
        bool cut = why == ERR_UPSTREAM_RESET && s->answered;
        enum client_fate fate = fate_of(h2, s, by_server);

        unlink_stream(s);
        h2_stream_break(s, cut ? ERR_UPSTREAM_TRUNCATED : why, detail, fate);
        h2_stream_deliver(s);
    }
}

static void
on_bytes(void *owner, struct str bytes)
{
    struct h2 *h2 = owner;
    uint64_t now = loop_now_ms(h2->loop);

    h2->heard++;
    h2->heard_ms = now;
    h2->pinged_ms = 0;
    if (now - h2->credit_ms >= CREDIT_EVERY_MS) {
        h2->credit_ms = now;
        h2->credit = CREDIT_MAX;
    }
    ssize_t n = nghttp2_session_mem_recv(h2->session, (const uint8_t *)bytes.p, bytes.n);
    if (n < 0) {
        if (h2->detail[0] == '\0')
            str_copy_c(h2->detail, sizeof(h2->detail), str_c(nghttp2_strerror((int)n)));
        over(h2, ERR_UPSTREAM_PROTOCOL, h2->detail, false);
        return;
    }
    loop_defer(h2->loop, &h2->turn);
}

static void
on_eof(void *owner)
{
    over(owner, ERR_UPSTREAM_RESET, "connection closed by the server", true);
}

static void
on_drained(void *owner)
{
    struct h2 *h2 = owner;

    loop_defer(h2->loop, &h2->turn);
}

static void
on_failed(void *owner, enum err why, const char *detail)
{
    (void)why;    /* TLS that breaks after the handshake is a connection that breaks */
    over(owner, ERR_UPSTREAM_RESET, detail, true);
}

static const struct sock_events socket_events = {
    .data = on_bytes,
    .eof = on_eof,
    .drained = on_drained,
    .failed = on_failed,
};

static nghttp2_session *
session_create(struct h2 *h2)
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

struct h2 *
h2_create(
    struct sock *s, const struct h2_limits *limits, const struct h2_events *events, void *owner)
{
    struct h2 *h2 = check_alloc(calloc(1, sizeof(*h2)));
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)MIN(limits->head_bytes, UINT32_MAX) },
    };

    h2->sock = s;
    h2->loop = sock_loop(s);
    h2->limits = *limits;
    h2->events = events;
    h2->owner = owner;
    h2->turn = (struct deferred){ .fn = on_turn, .arg = h2 };
    timer_init(&h2->timer, h2->loop, on_tick, h2);
    h2->born_ms = h2->rested_ms = h2->credit_ms = loop_now_ms(h2->loop);
    h2->credit = CREDIT_MAX;
    buf_init(&h2->out, SIZE_MAX / 2);    /* bounded by what is gathered for one write */
    h2->session = session_create(h2);
    CHECK(nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) ==
          0);
    CHECK(nghttp2_session_set_local_window_size(
              h2->session, NGHTTP2_FLAG_NONE, 0, H2_CONNECTION_WINDOW) == 0);
    set_timer(h2);
    sock_own(s, &socket_events, h2);
    sock_read_start(s);
    loop_defer(h2->loop, &h2->turn);
    return h2;
}

static void
ignore(void *owner)
{
    (void)owner;
}

static void
ignore_idle(void *owner, uint64_t rested_ms)
{
    (void)owner;
    (void)rested_ms;
}

void
h2_destroy(struct h2 *h2)
{
    static const struct h2_events nobody = {
        .room = ignore, .ended_idle = ignore_idle, .leaving = ignore
    };

    h2->events = &nobody;
    (void)nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
    send_frames(h2);
    over(h2, ERR_UPSTREAM_RESET, "closed", false);
}

bool
h2_leave_if_outdated(struct h2 *h2)
{
    if (!sock_is_outdated(h2->sock))
        return false;
    leave(h2);
    return true;
}

unsigned
h2_capacity(const struct h2 *h2)
{
    uint32_t allowed = h2->limits.streams;

    if (h2->settled)
        allowed = nghttp2_session_get_remote_settings(
            h2->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return MIN(allowed, STREAMS_MAX);
}

unsigned
h2_room(const struct h2 *h2)
{
    unsigned capacity = h2->settled ? h2_capacity(h2) : 1;

    if (h2->leaving || !nghttp2_session_check_request_allowed(h2->session) ||
        nghttp2_session_get_next_stream_id(h2->session) > INT32_MAX - 2)
        return 0;
    return capacity > h2->streams ? capacity - h2->streams : 0;
}

unsigned
h2_streams(const struct h2 *h2)
{
    return h2->streams;
}

uint64_t
h2_started(const struct h2 *h2)
{
    return h2->started;
}

/* --- requests --- */

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

struct h2_stream *
h2_start(struct h2 *h2, const struct client_request *q, const struct h2_stream_events *events,
    void *owner)
{
    struct h2_stream *s = h2_stream_create(h2->loop, q, events, owner);
    nghttp2_data_provider body = { .read_callback = on_read_body };
    bool has_body = q->body_count != 0 || http_is_sending_method(q->method);
    char length[24];

    CHECK(h2_room(h2) != 0);
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
    attach(h2, s);
    loop_defer(h2->loop, &h2->turn);
    return s;
}

void
h2_cancel(struct h2_stream *s)
{
    if (s->h2 != NULL)
        h2_stream_detach(s);
    h2_stream_release(s);
}

void
h2_pause(struct h2_stream *s)
{
    s->paused = true;
}

void
h2_resume(struct h2_stream *s)
{
    s->paused = false;
    h2_stream_deliver(s);
}

uint64_t
h2_held_bytes(const struct h2_stream *s)
{
    return s->rest.cap + s->kept.cap;
}

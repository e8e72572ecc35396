/* h2.c - a shared connection: its owner, its time, its streams, its end.
 *
 * nghttp2 does framing, header compression, flow control and most of the protocol's rules; its
 * output is collected at the end of a loop iteration. Everything that a misbehaving server could
 * make grow has a limit: heads, buffered bytes, queued acknowledgements, frames without content.
 */
#include <stdlib.h>

#include "base/list.h"
#include "http/h2_priv.h"

enum {
    STREAMS_MAX = 256,        /* on one connection, whatever the server allows */
    WRITES_PER_TURN = 16,     /* however fast the peer takes them */
    KEEP_BYTES = 4 * 1024,    /* of the buffer for a write kept between writes */
    CREDIT_EVERY_MS = 1000,
};

static void over(struct h2 *h2, enum err why, const char *detail, bool by_server);

/* --- its owner --- */

void
h2_leave(struct h2 *h2)
{
    if (h2->leaving)
        return;
    h2->leaving = true;
    loop_defer(h2->loop, &h2->turn);
    h2->events->leaving(h2->owner);
}

void
h2_note_idle_end(struct h2 *h2)
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
        h2_leave(h2);
    if (h2->streams != 0)
        check_life(h2, now);
    else if (l->idle_ms != 0 && now - h2->rested_ms >= l->idle_ms)
        h2_leave(h2);
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

void
h2_unlink(struct h2_stream *s)
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

void
h2_reset(struct h2_stream *s, uint32_t code)
{
    struct h2 *h2 = s->h2;

    (void)nghttp2_session_set_stream_user_data(h2->session, s->id, NULL);
    (void)nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, s->id, code);
    h2_unlink(s);
}

void
h2_stream_detach(struct h2_stream *s)
{
    if (s->complete && s->left == 0) {
        (void)nghttp2_session_set_stream_user_data(s->h2->session, s->id, NULL);
        h2_unlink(s);
    } else {
        h2_reset(s, NGHTTP2_CANCEL);
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

/* Writes pending frames, in as few writes as possible. on_drained() continues when the peer does
 * not take them; after a number of writes the next turn does, so that others are served. */
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
        h2_note_idle_end(h2);
    h2_leave(h2);
    h2->over = true;
    sock_close(h2->sock);
    timer_stop(&h2->timer);
    loop_defer(h2->loop, &h2->turn);
    while (h2->first != NULL) {
        struct h2_stream *s = h2->first;
        bool cut = why == ERR_UPSTREAM_RESET && s->answered;
        enum client_fate fate = fate_of(h2, s, by_server);

        h2_unlink(s);
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
        h2->credit = H2_CREDIT_MAX;
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
    h2->credit = H2_CREDIT_MAX;
    buf_init(&h2->out, SIZE_MAX / 2);    /* bounded by what is gathered for one write */
    h2->session = h2_session_create(h2);
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
ignore(void *owner UNUSED)
{
}

static void
ignore_idle(void *owner UNUSED, uint64_t rested_ms UNUSED)
{
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
    h2_leave(h2);
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

struct h2_stream *
h2_start(struct h2 *h2, const struct client_request *q, const struct h2_stream_events *events,
    void *owner)
{
    struct h2_stream *s = h2_stream_create(h2->loop, q, events, owner);

    CHECK(h2_room(h2) != 0);
    h2_session_submit(h2, s, q);
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

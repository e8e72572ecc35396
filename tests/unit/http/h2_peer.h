/* h2_peer.h - for tests: an HTTP/2 server over TLS, played by the thread of the test.
 *
 * The client runs on its own loop (client_world.h); UNTIL() turns the peer until something has
 * happened on either side. What came is kept per stream; answers are made of bytes that can be
 * checked.
 */
#pragma once

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

#include "tests/unit/http/client_world.h"
#include "tests/unit/net/certs.h"

enum { PEER_STREAMS = 160 };

struct peer_stream {
    int32_t id;
    struct buf head;    /* "name: value\n" */
    struct buf body;
    bool ended;     /* END_STREAM came */
    bool closed;    /* with `code` */
    bool reset;     /* RST_STREAM came */
    uint32_t code;
    size_t left;    /* of the answer's body */
    size_t sent;
};

struct peer {
    int fd;
    SSL *ssl;
    nghttp2_session *session;
    struct peer_stream streams[PEER_STREAMS];
    unsigned count;
    unsigned pings;    /* answers to ours */
    bool gone;
};

struct tls_world {
    struct world *w;
    struct certs certs;
    struct tls_context *client;
    SSL_CTX *server;
};

/* --- frames --- */

static inline struct peer_stream *
peer_find(struct peer *p, int32_t id)
{
    for (unsigned i = 0; i < p->count; i++) {
        if (p->streams[i].id == id)
            return &p->streams[i];
    }
    return NULL;
}

static inline int
peer_on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct peer *p = arg;

    (void)session;
    if (peer_find(p, frame->hd.stream_id) != NULL)
        return 0;
    struct peer_stream *s = &p->streams[p->count++];
    *s = (struct peer_stream){ .id = frame->hd.stream_id };
    buf_init(&s->head, 64 << 10);
    buf_init(&s->body, 64 << 20);
    return 0;
}

static inline int
peer_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *arg)
{
    struct peer_stream *s = peer_find(arg, frame->hd.stream_id);

    (void)session;
    (void)flags;
    buf_add(&s->head, str_make((const char *)name, name_n));
    buf_add(&s->head, S(": "));
    buf_add(&s->head, str_make((const char *)value, value_n));
    buf_add(&s->head, S("\n"));
    return 0;
}

static inline int
peer_on_data(
    nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *arg)
{
    (void)session;
    (void)flags;
    buf_add(&peer_find(arg, id)->body, str_make((const char *)data, n));
    return 0;
}

static inline int
peer_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct peer *p = arg;
    struct peer_stream *s = peer_find(p, frame->hd.stream_id);

    (void)session;
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
        p->pings++;
    if (s == NULL)
        return 0;
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        s->reset = true;
        s->code = frame->rst_stream.error_code;
    } else if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
               (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS)) {
        s->ended = true;
    }
    return 0;
}

static inline ssize_t
peer_on_send(nghttp2_session *session, const uint8_t *data, size_t n, int flags, void *arg)
{
    struct peer *p = arg;

    (void)session;
    (void)flags;
    if (SSL_write(p->ssl, data, (int)n) != (int)n)
        p->gone = true;
    return p->gone ? NGHTTP2_ERR_CALLBACK_FAILURE : (ssize_t)n;
}

/* The i-th byte of any body. */
static inline char
peer_byte(size_t i)
{
    return (char)('a' + i % 23);
}

static inline bool
peer_bytes_ok(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != peer_byte(i))
            return false;
    }
    return true;
}

static inline ssize_t
peer_on_read(nghttp2_session *session, int32_t id, uint8_t *room, size_t size, uint32_t *flags,
    nghttp2_data_source *source, void *arg)
{
    struct peer_stream *s = peer_find(arg, id);
    size_t n = MIN(size, s->left);

    (void)session;
    for (size_t i = 0; i < n; i++)
        room[i] = (uint8_t)peer_byte(s->sent + i);
    s->sent += n;
    s->left -= n;
    if (n == 0 && source->ptr == NULL)
        return NGHTTP2_ERR_DEFERRED;    /* no end: it stays open */
    if (s->left == 0 && source->ptr != NULL)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

/* --- connections --- */

static inline int
peer_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_n, const unsigned char *offered,
    unsigned offered_n, void *arg)
{
    unsigned char *chosen = NULL;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, ret_n, arg, (unsigned)strlen(arg), offered, offered_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *ret = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static inline void
tls_world_open(struct tls_world *t, const char *protocols)
{
    char why[200];
    char url[64];
    struct str path;

    certs_make(&t->certs);
    t->client = tls_client_create(t->certs.ca, false, WHY(why));
    EXPECT(t->client != NULL);
    tls_client_offer_h2(t->client);
    t->server = SSL_CTX_new(TLS_server_method());
    EXPECT(SSL_CTX_use_certificate_chain_file(t->server, t->certs.good) == 1);
    EXPECT(SSL_CTX_use_PrivateKey_file(t->server, t->certs.good_key, SSL_FILETYPE_PEM) == 1);
    SSL_CTX_set_alpn_select_cb(t->server, peer_alpn, (void *)protocols);

    t->w = new_world();
    origin_destroy(t->w->origin);
    snprintf(url, sizeof(url), "https://127.0.0.1:%u", t->w->port);
    t->w->origin = origin_create(str_c(url), t->client, &path, WHY(why));
    EXPECT(t->w->origin != NULL);
}

static inline void
tls_world_close(struct tls_world *t)
{
    end_world(t->w);
    tls_context_unref(t->client);
    SSL_CTX_free(t->server);
    certs_remove(&t->certs);
}

static inline nghttp2_session *
peer_session(struct peer *p)
{
    nghttp2_session_callbacks *c;
    nghttp2_session *session;

    EXPECT(nghttp2_session_callbacks_new(&c) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, peer_on_begin);
    nghttp2_session_callbacks_set_on_header_callback(c, peer_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, peer_on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, peer_on_frame);
    nghttp2_session_callbacks_set_send_callback(c, peer_on_send);
    EXPECT(nghttp2_session_server_new(&session, c, p) == 0);
    nghttp2_session_callbacks_del(c);
    return session;
}

static inline void
peer_turn(struct peer *p, int patience_ms)
{
    struct pollfd poll_fd = { .fd = p->fd, .events = POLLIN };
    static char room[64 * 1024];

    if (p->gone)
        return;
    if (nghttp2_session_send(p->session) != 0)
        p->gone = true;
    while (!p->gone && (SSL_pending(p->ssl) != 0 || poll(&poll_fd, 1, patience_ms) == 1)) {
        int n = SSL_read(p->ssl, room, sizeof(room));

        if (n <= 0 || nghttp2_session_mem_recv(p->session, (uint8_t *)room, (size_t)n) < 0)
            p->gone = true;
        patience_ms = 0;
        if (!p->gone && nghttp2_session_send(p->session) != 0)
            p->gone = true;
    }
}

#define UNTIL(peer, condition)                                                                     \
    do {                                                                                           \
        for (int turns_ = 0; turns_ < PATIENCE_MS && !(condition); turns_++)                       \
            peer_turn((peer), 1);                                                                  \
        EXPECT(condition);                                                                         \
    } while (0)

/* Takes the next connection; `streams`: how many it allows at once. */
static inline void
peer_accept(struct tls_world *t, struct peer *p, uint32_t streams)
{
    nghttp2_settings_entry settings = { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams };

    memset(p, 0, sizeof(*p));
    p->fd = accept_one(t->w);
    p->ssl = SSL_new(t->server);
    SSL_set_fd(p->ssl, p->fd);
    EXPECT(SSL_accept(p->ssl) == 1);
    p->session = peer_session(p);
    EXPECT(nghttp2_submit_settings(p->session, NGHTTP2_FLAG_NONE, &settings, 1) == 0);
    peer_turn(p, 0);
}

/* Turns it until so many whole requests have come on this connection. */
static inline void
until_asked(struct peer *p, unsigned count)
{
    UNTIL(p, p->count == count && p->streams[count - 1].ended);
}

static inline void
peer_close(struct peer *p)
{
    for (unsigned i = 0; i < p->count; i++) {
        buf_fini(&p->streams[i].head);
        buf_fini(&p->streams[i].body);
    }
    nghttp2_session_del(p->session);
    SSL_free(p->ssl);
    close(p->fd);
}

/* --- answers --- */

#define NV(name_, value_)                                                                          \
    {                                                                                              \
        .name = (uint8_t *)(name_), .value = (uint8_t *)(value_), .namelen = strlen(name_),        \
        .valuelen = strlen(value_),                                                                \
    }

/* "200" and a body of `n` bytes; `ends`: with END_STREAM behind it. */
static inline void
peer_answer(struct peer *p, struct peer_stream *s, size_t n, bool ends)
{
    nghttp2_nv nv[] = { NV(":status", "200"), NV("x-answer", "yes") };
    nghttp2_data_provider body = { .source.ptr = ends ? p : NULL, .read_callback = peer_on_read };

    s->left = n;
    EXPECT(nghttp2_submit_response(p->session, s->id, nv, 2, &body) == 0);
}

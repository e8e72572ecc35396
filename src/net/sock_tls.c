/* sock_tls.c - TLS between a socket and its owner.
 *
 * The library reads from the bytes that just arrived and writes into a buffer that all connections
 * of a loop share: only the library's own state is kept per connection. Everything that one call
 * produces is sent in one write.
 */
#include <openssl/err.h>
#include <stdlib.h>

#include "net/sock_priv.h"
#include "net/tls_priv.h"
#include "net/timer.h"

enum {
    RECORD_BYTES = 16 * 1024,    /* the largest TLS record */
    FLUSH_BYTES = 64 * 1024,     /* ciphertext goes to the kernel in runs of this */
    STASH_LIMIT = 4 * LOOP_READ_BYTES,
    HANDSHAKE_MS = 10000,    /* that a caller may take */
};

/* One per loop. */
struct tls_scratch {
    char plain[LOOP_READ_BYTES];    /* decrypted, for the owner to see */
    char record[RECORD_BYTES];      /* small pieces joined */
    struct buf out;                 /* encrypted, on its way to sock_send() */
};

struct sock_tls {
    struct tls_peer peer;
    SSL *ssl;
    SSL *outer;    /* NULL, or that of the proxy: `ssl` reads and writes through it */
    struct tls_peer outer_peer;
    struct sock *sock;
    struct str input;         /* ciphertext that the library has not read yet */
    struct buf stash;         /* the same, buffered while the owner does not read */
    struct buf unsent;        /* written by the owner before the handshake was done */
    struct timer deadline;    /* of a server's handshake */
    void (*ready)(void *arg);
    void *arg;
    bool is_ready;
    bool peer_done;    /* close_notify arrived */
    bool eof_told;
    bool raw_end;    /* the underlying connection ended */
    bool ending;     /* close_notify when the handshake is done */
};

/* --- the library's view of the connection --- */

static int
bio_read(BIO *bio, char *room, size_t size, size_t *ret_n)
{
    struct sock_tls *t = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    *ret_n = MIN(size, t->input.n);
    if (*ret_n == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(room, t->input.p, *ret_n);
    t->input = str_skip(t->input, *ret_n);
    return 1;
}

static int
bio_write(BIO *bio, const char *data, size_t n, size_t *ret_n)
{
    struct sock_tls *t = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    buf_add(&t->sock->loop->tls->out, str_make(data, n));
    *ret_n = n;
    return 1;
}

static long
bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static uv_once_t method_once = UV_ONCE_INIT;
static BIO_METHOD *method;

static void
method_init(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "openclaw loop");
    CHECK(method != NULL);
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
}

static struct tls_scratch *
scratch(struct loop *l)
{
    if (l->tls == NULL) {
        l->tls = check_alloc(malloc(sizeof(*l->tls)));
        buf_init(&l->tls->out, SIZE_MAX);
    }
    return l->tls;
}

void
tls_scratch_destroy(struct tls_scratch *x)
{
    if (x == NULL)
        return;
    buf_fini(&x->out);
    free(x);
}

/* Sends what the library produced. */
static void
flush(struct sock *s)
{
    struct buf *out = &s->loop->tls->out;

    if (out->overflow)
        sock_note_write_error(s, UV_ENOMEM);
    if (buf_len(out) == 0)
        return;
    struct str bytes = buf_str(out);
    sock_send(s, &bytes, 1);
    buf_reset(out, (size_t)2 * FLUSH_BYTES);
}

/* --- life --- */

static void
on_deadline(void *arg)
{
    sock_fail(arg, ERR_UPSTREAM_TLS, "the TLS handshake took too long");
}

static struct sock_tls *
layer_create(struct sock *s)
{
    struct sock_tls *t = check_alloc(calloc(1, sizeof(*t)));

    uv_once(&method_once, method_init);
    scratch(s->loop);
    t->sock = s;
    buf_init(&t->stash, STASH_LIMIT);
    buf_init(&t->unsent, SIZE_MAX);
    s->tls = t;
    return t;
}

/* The existing TLS connection becomes the transport of another one inside it. */
static void
make_outer(struct sock_tls *t)
{
    CHECK(t->is_ready && t->outer == NULL && !t->ending);
    t->outer = t->ssl;
    t->outer_peer = t->peer;
    SSL_set_app_data(t->outer, &t->outer_peer);
    t->is_ready = false;
    t->raw_end = t->raw_end || t->peer_done;    /* the proxy closed: the handshake cannot succeed */
    t->peer_done = false;
}

/* Marked as shut down, so that its session stays resumable however the connection ended. */
static void
free_ssl(SSL *ssl)
{
    if (ssl != NULL)
        SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
}

void
sock_tls_start(struct sock *s, struct tls_context *context, struct str host, struct str session_key,
    void (*ready)(void *arg), void *arg)
{
    struct sock_tls *t = s->tls;

    if (t == NULL)
        t = layer_create(s);
    else
        make_outer(t);
    t->ready = ready;
    t->arg = arg;
    t->peer.context = tls_context_ref(context);
    t->peer.session_key = session_key.n != 0 ? str_dup_c(session_key) : NULL;

    BIO *bio = BIO_new(t->outer != NULL ? BIO_f_ssl() : method);
    t->ssl = tls_connection(&t->peer, host);
    CHECK(bio != NULL && t->ssl != NULL);
    if (t->outer != NULL) {
        CHECK(BIO_set_ssl(bio, t->outer, BIO_NOCLOSE) == 1);
    } else {
        BIO_set_data(bio, t);
        BIO_set_init(bio, 1);
    }
    SSL_set_bio(t->ssl, bio, bio);
    if (tls_context_is_server(context)) {
        timer_init(&t->deadline, s->loop, on_deadline, s);
        timer_set(&t->deadline, HANDSHAKE_MS);
    } else {
        loop_defer(s->loop, &s->later);    /* sock_tls_resume() sends the ClientHello */
    }
}

void
sock_tls_forbid_h2(struct sock *s)
{
    tls_connection_forbid_h2(s->tls->ssl);
}

void
sock_tls_destroy(struct sock_tls *t)
{
    if (t == NULL)
        return;
    timer_stop(&t->deadline);
    free_ssl(t->ssl);
    free_ssl(t->outer);
    tls_context_unref(t->peer.context);
    tls_context_unref(t->outer_peer.context);
    free(t->peer.session_key);
    free(t->outer_peer.session_key);
    buf_fini(&t->stash);
    buf_fini(&t->unsent);
    free(t);
}

/* --- out --- */

static void
encrypt(struct sock *s, struct str bytes)
{
    size_t taken;

    ERR_clear_error();
    if (SSL_write_ex(s->tls->ssl, bytes.p, bytes.n, &taken) != 1) {
        ERR_clear_error();
        sock_note_write_error(s, UV_ECONNABORTED);
    }
    if (buf_len(&s->loop->tls->out) >= FLUSH_BYTES)
        flush(s);
}

/* Small pieces share a record; large ones are encrypted where they lie. */
static void
encrypt_pieces(struct sock *s, const struct str *pieces, size_t count)
{
    char *record = s->loop->tls->record;
    size_t filled = 0;

    for (size_t i = 0; i < count && s->write_error == 0; i++) {
        struct str left = pieces[i];

        while (left.n != 0 && s->write_error == 0) {
            size_t n = MIN(left.n, RECORD_BYTES - filled);

            if (n == RECORD_BYTES) {
                encrypt(s, str_make(left.p, n));
            } else {
                memcpy(record + filled, left.p, n);
                filled += n;
                if (filled == RECORD_BYTES) {
                    encrypt(s, str_make(record, filled));
                    filled = 0;
                }
            }
            left = str_skip(left, n);
        }
    }
    if (filled != 0 && s->write_error == 0)
        encrypt(s, str_make(record, filled));
    flush(s);
}

void
sock_tls_write(struct sock *s, const struct str *pieces, size_t count)
{
    struct sock_tls *t = s->tls;

    if (s->dead || s->write_error != 0)
        return;
    if (t->is_ready) {
        encrypt_pieces(s, pieces, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        buf_add(&t->unsent, pieces[i]);
    if (t->unsent.overflow)
        sock_note_write_error(s, UV_ENOMEM);
}

size_t
sock_tls_unsent_bytes(const struct sock *s)
{
    return buf_len(&s->tls->unsent);
}

static void
send_close_notify(struct sock *s)
{
    if ((SSL_get_shutdown(s->tls->ssl) & SSL_SENT_SHUTDOWN) != 0)
        return;
    ERR_clear_error();
    SSL_shutdown(s->tls->ssl);
    if (s->tls->outer != NULL)
        SSL_shutdown(s->tls->outer);
    ERR_clear_error();
    flush(s);
}

void
sock_tls_shutdown(struct sock *s)
{
    s->tls->ending = true;
    if (!s->tls->is_ready)
        return;    /* handshake_done() comes back to it */
    send_close_notify(s);
    sock_send_fin(s);
}

void
sock_tls_bye(struct sock *s)
{
    if (s->tls->is_ready && s->queue == NULL)
        send_close_notify(s);
}

/* --- in --- */

static void
handshake_done(struct sock *s)
{
    struct sock_tls *t = s->tls;
    bool owed = buf_len(&t->unsent) != 0;

    t->is_ready = true;
    timer_stop(&t->deadline);
    if (owed) {
        struct str bytes = buf_str(&t->unsent);

        encrypt_pieces(s, &bytes, 1);
        buf_fini(&t->unsent);
    }
    if (t->ending)
        sock_tls_shutdown(s);
    if (t->ready != NULL)
        t->ready(t->arg);
    if (owed && s->queue == NULL && !s->closed && !s->dead && s->events->drained != NULL)
        s->events->drained(s->owner);
}

#define CLOSED_IN_HANDSHAKE "connection closed during the TLS handshake"

/* True when application data may follow. */
static bool
handshake(struct sock *s)
{
    struct sock_tls *t = s->tls;
    char reason[160];

    ERR_clear_error();
    int status = SSL_do_handshake(t->ssl);
    int error = SSL_get_error(t->ssl, status);
    /* The end of an outer connection is not in the library's queue of errors. */
    bool ended = status != 1 && error != SSL_ERROR_WANT_READ && ERR_peek_error() == 0;
    if (status != 1 && error != SSL_ERROR_WANT_READ)
        tls_reason(t->ssl, reason, sizeof(reason));
    flush(s);    /* also the alert that tells the peer why */
    if (status == 1) {
        handshake_done(s);
        return !s->closed && !s->dead;
    }
    if (error != SSL_ERROR_WANT_READ)
        sock_fail(s, ERR_UPSTREAM_TLS, ended ? CLOSED_IN_HANDSHAKE : reason);
    return false;
}

static void
tell_eof(struct sock *s)
{
    s->tls->eof_told = true;
    if (s->events->eof != NULL)
        s->events->eof(s->owner);
}

/* Decrypts as much as there is room for and gives it to the owner. True when there may be more. */
static bool
deliver(struct sock *s)
{
    struct sock_tls *t = s->tls;
    char *room = NULL, reason[160];
    size_t size = 0, n = 0, got;
    int status;

    if (s->events->room != NULL)
        room = s->events->room(s->owner, &size);
    if (room == NULL || size == 0) {
        room = s->loop->tls->plain;
        size = sizeof(s->loop->tls->plain);
    }
    ERR_clear_error();
    while ((status = SSL_read_ex(t->ssl, room + n, size - n, &got)) == 1) {
        n += got;
        if (n == size)
            break;
    }
    int error = status == 1 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, status);
    if (error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL)
        tls_reason(t->ssl, reason, sizeof(reason));
    if (error == SSL_ERROR_ZERO_RETURN)
        t->peer_done = true;
    flush(s);    /* the answer to a key update, an alert */

    if (n != 0)
        s->events->data(s->owner, str_make(room, n));
    if (s->closed || s->dead)
        return false;
    if (error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL)
        sock_fail(s, ERR_UPSTREAM_TLS, reason);
    return error == SSL_ERROR_NONE;
}

/* Without close_notify the connection may have been truncated by an attacker. */
static void
report_end(struct sock *s)
{
    struct sock_tls *t = s->tls;

    if (s->closed || s->dead)
        return;
    if (t->peer_done && !t->eof_told && s->wants_read)
        tell_eof(s);
    else if (t->raw_end && !t->is_ready)
        sock_fail(s, ERR_UPSTREAM_TLS, CLOSED_IN_HANDSHAKE);
    else if (t->raw_end && !t->peer_done && s->wants_read)
        sock_fail(s, ERR_UPSTREAM_RESET, "closed without close_notify");
}

static void
pump(struct sock *s)
{
    struct sock_tls *t = s->tls;

    if (!t->is_ready && !handshake(s)) {
        report_end(s);
        return;
    }
    while (s->wants_read && !t->peer_done && t->is_ready && deliver(s))
        continue;
    report_end(s);
}

/* Buffers what the library did not read because the owner stopped reading. */
static void
pump_stash(struct sock *s)
{
    struct sock_tls *t = s->tls;

    t->input = buf_str(&t->stash);
    pump(s);
    buf_consume(&t->stash, buf_len(&t->stash) - t->input.n);
    t->input = (struct str){ NULL, 0 };
    if (buf_len(&t->stash) == 0)
        buf_fini(&t->stash);
}

/* A TLS record begins with its type, 22 for a handshake; an HTTP request with a capital letter. */
static bool
is_plain_http(const struct sock *s, struct str bytes)
{
    const struct sock_tls *t = s->tls;

    return tls_context_is_server(t->peer.context) && SSL_in_before(t->ssl) && bytes.p[0] >= 'A' &&
           bytes.p[0] <= 'Z';
}

void
sock_tls_input(struct sock *s, struct str bytes)
{
    struct sock_tls *t = s->tls;

    if (t->peer_done)
        return;
    if (!t->is_ready && is_plain_http(s, bytes) && s->events->not_tls != NULL) {
        sock_tls_destroy(t);
        s->tls = NULL;
        s->events->not_tls(s->owner);
        return;
    }
    if (buf_len(&t->stash) != 0) {
        buf_add(&t->stash, bytes);
        pump_stash(s);
    } else {
        t->input = bytes;
        pump(s);
        if (UNLIKELY(t->input.n != 0) && !s->closed && !s->dead && !t->peer_done)
            buf_add(&t->stash, t->input);
        t->input = (struct str){ NULL, 0 };
    }
    if (t->stash.overflow && !s->closed)
        sock_fail(s, ERR_UPSTREAM_RESET, "too many bytes arrived while reading was paused");
}

void
sock_tls_end(struct sock *s)
{
    s->tls->raw_end = true;
    pump_stash(s);
}

bool
sock_tls_has_input(const struct sock *s)
{
    const struct sock_tls *t = s->tls;

    return buf_len(&t->stash) != 0 || t->raw_end || (t->peer_done && !t->eof_told) ||
           SSL_pending(t->ssl) != 0 || (t->outer != NULL && SSL_pending(t->outer) != 0);
}

bool
sock_tls_is_at_rest(const struct sock *s)
{
    const struct sock_tls *t = s->tls;

    return t->is_ready && !sock_tls_has_input(s) && t->input.n == 0 && !SSL_has_pending(t->ssl) &&
           (t->outer == NULL || !SSL_has_pending(t->outer));
}

void
sock_tls_resume(struct sock *s)
{
    if (!s->tls->is_ready || (s->wants_read && sock_tls_has_input(s)))
        pump_stash(s);
}

struct str
sock_tls_alpn(const struct sock *s)
{
    const unsigned char *name = NULL;
    unsigned n = 0;

    SSL_get0_alpn_selected(s->tls->ssl, &name, &n);
    return str_make((const char *)name, n);
}

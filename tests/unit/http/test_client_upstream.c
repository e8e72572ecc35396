/* test_client_upstream.c - connections to a provider over TLS: whom the client believes, what is spoken,
 * what is kept. */
#include "http/client_upstream.c"

#include "tests/unit/http/h2_peer.h"

#define BOTH "\x02h2\x08http/1.1"
#define ONLY_HTTP1 "\x08http/1.1"
#define NEITHER ""

/* What the test's server saw of one connection. */
struct visit {
    bool shaken;    /* the handshake was done */
    bool resumed;
    char protocol[16];
    char name[64];    /* for which the client came */
    size_t bytes;     /* of the request that came */
};

/* Takes one connection, answers one request on it over HTTP/1.1, and closes it. */
static void
serve_one(struct tls_world *t, struct visit *v)
{
    static const char answer[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    const unsigned char *protocol = NULL;
    unsigned n = 0;
    int fd = accept_one(t->w);
    SSL *ssl = SSL_new(t->server);
    struct buf request;

    *v = (struct visit){ 0 };
    buf_init(&request, 1 << 20);
    SSL_set_fd(ssl, fd);
    v->shaken = SSL_accept(ssl) == 1;
    v->resumed = SSL_session_reused(ssl) == 1;
    SSL_get0_alpn_selected(ssl, &protocol, &n);
    str_copy_c(v->protocol, sizeof(v->protocol), str_make((const char *)protocol, n));
    if (SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) != NULL)
        str_copy_c(
            v->name, sizeof(v->name), str_c(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)));
    while (v->shaken && !str_ends(buf_str(&request), S("hello"))) {
        char *room = buf_reserve(&request, 4096);
        int got = SSL_read(ssl, room, 4096);

        if (got <= 0)
            break;    /* the certificate was not believed */
        buf_commit(&request, (size_t)got);
    }
    v->bytes = buf_len(&request);
    buf_fini(&request);
    if (v->bytes != 0) {
        EXPECT(SSL_write(ssl, answer, (int)strlen(answer)) > 0);
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    close(fd);
}

/* One call from its start to its end. */
static void
visit_once(struct tls_world *t, struct record *r, struct visit *v)
{
    ask(t->w, r, S("hello"));
    serve_one(t, v);
    EXPECT(becomes(&r->over, 1));
    finish(r);
}

static void
use_certificate(struct tls_world *t, const char *cert, const char *key)
{
    EXPECT(SSL_CTX_use_certificate_chain_file(t->server, cert) == 1);
    EXPECT(SSL_CTX_use_PrivateKey_file(t->server, key, SSL_FILETYPE_PEM) == 1);
}

/* The provider's base URL names `host` from now on. */
static void
go_to(struct tls_world *t, const char *host)
{
    char url[64], why[200];
    struct str path;

    origin_destroy(t->w->origin);
    snprintf(url, sizeof(url), "https://%s:%u", host, t->w->port);
    t->w->origin = origin_create(str_c(url), t->client, &path, WHY(why));
    EXPECT(t->w->origin != NULL);
}

/* The next connection, after its handshake. */
static SSL *
accept_tls(struct tls_world *t)
{
    SSL *ssl = SSL_new(t->server);

    SSL_set_fd(ssl, accept_one(t->w));
    EXPECT(SSL_accept(ssl) == 1);
    return ssl;
}

/* Reads until `what` has come, or with NULL until nothing has come for a while. */
static void
read_tls(SSL *ssl, struct buf *b, const char *what)
{
    struct pollfd p = { .fd = SSL_get_fd(ssl), .events = POLLIN };

    while (what == NULL || str_find(buf_str(b), str_c(what)) == buf_len(b)) {
        if (SSL_pending(ssl) == 0 && poll(&p, 1, what == NULL ? 200 : PATIENCE_MS) == 0)
            break;
        char *room = buf_reserve(b, 16384);
        int n = SSL_read(ssl, room, 16384);

        if (n <= 0)
            break;
        buf_commit(b, (size_t)n);
    }
}

TEST(a_tls_connection_whose_request_was_cut_is_never_used_again)
{
    enum { LARGE_BYTES = 32000000 };
    static char body[LARGE_BYTES];
    struct tls_world t;
    struct record r;
    struct buf came, other;

    tls_world_open(&t, ONLY_HTTP1);
    buf_init(&came, 64 << 20);
    buf_init(&other, 1 << 20);
    ask(t.w, &r, str_make(body, LARGE_BYTES));
    SSL *first = accept_tls(&t);
    read_tls(first, &came, "\r\n\r\n");
    EXPECT(SSL_write(first, "HTTP/1.1 429 No\r\nContent-Length: 2\r\n\r\n", 38) == 38);
    EXPECT(becomes(&r.heads, 1));
    read_tls(first, &came, NULL);
    EXPECT(buf_len(&came) < LARGE_BYTES);
    EXPECT(SSL_write(first, "no", 2) == 2);
    EXPECT(becomes(&r.over, 1));
    EXPECT(r.ended && r.status == 429);
    finish(&r);
    count(t.w);
    EXPECT_INT(t.w->idle, 0);

    ask(t.w, &r, S("the secrets of somebody else"));
    SSL *second = accept_tls(&t);
    read_tls(second, &other, "somebody else");
    EXPECT(SSL_write(second, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 38) == 38);
    EXPECT(becomes(&r.over, 1));
    EXPECT(r.ended && !r.reused);
    read_tls(first, &came, NULL);
    EXPECT(str_find(buf_str(&came), S("secrets")) == buf_len(&came));
    finish(&r);
    close(SSL_get_fd(first));
    close(SSL_get_fd(second));
    SSL_free(first);
    SSL_free(second);
    buf_fini(&came);
    buf_fini(&other);
    tls_world_close(&t);
}

TEST(a_provider_with_a_valid_certificate_gets_the_request)
{
    struct tls_world t;
    struct record r;
    struct visit v;

    tls_world_open(&t, ONLY_HTTP1);
    go_to(&t, "localhost");
    visit_once(&t, &r, &v);
    EXPECT(r.ended && r.status == 200 && v.shaken && v.bytes != 0);
    EXPECT_STR(str_c(v.name), "localhost");
    EXPECT_STR(str_c(v.protocol), "http/1.1");
    tls_world_close(&t);
}

TEST(a_provider_with_an_invalid_certificate_gets_no_byte_of_the_request)
{
    struct tls_world t;
    struct record r;
    struct visit v;

    tls_world_open(&t, BOTH);
    const struct {
        const char *cert, *key, *host, *detail;
    } bad[] = {
        { t.certs.other, t.certs.other_key, "localhost",
            "TLS: certificate not accepted: hostname mismatch" },
        { t.certs.other, t.certs.other_key, "127.0.0.1",
            "TLS: certificate not accepted: IP address mismatch" },
        { t.certs.expired, t.certs.expired_key, "localhost",
            "TLS: certificate not accepted: certificate has expired" },
        { t.certs.stranger, t.certs.stranger_key, "localhost",
            "TLS: certificate not accepted: self-signed certificate" },
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        use_certificate(&t, bad[i].cert, bad[i].key);
        go_to(&t, bad[i].host);
        visit_once(&t, &r, &v);
        EXPECT_INT(r.why, ERR_UPSTREAM_TLS);
        EXPECT_STR(str_c(r.detail), bad[i].detail);
        EXPECT_INT(v.bytes, 0);
        EXPECT_INT(atomic_load(&r.connected), 0);
    }
    count(t.w);
    EXPECT(t.w->calls_open == 0 && t.w->idle == 0);
    use_certificate(&t, t.certs.good, t.certs.good_key);    /* and it may mend its ways */
    SSL_CTX_set_alpn_select_cb(t.server, peer_alpn, (void *)ONLY_HTTP1);
    visit_once(&t, &r, &v);
    EXPECT(r.ended && r.status == 200);
    tls_world_close(&t);
}

TEST(the_next_connection_to_a_provider_resumes_the_session)
{
    struct tls_world t;
    struct record r;
    struct visit v;

    tls_world_open(&t, ONLY_HTTP1);
    visit_once(&t, &r, &v);
    EXPECT(r.ended && !v.resumed);
    visit_once(&t, &r, &v);
    EXPECT(r.ended && v.resumed);
    go_to(&t, "localhost");    /* another name: another session */
    visit_once(&t, &r, &v);
    EXPECT(r.ended && !v.resumed);
    tls_world_close(&t);
}

TEST(a_certificate_that_became_invalid_is_noticed_despite_a_kept_session)
{
    struct tls_world t;
    struct record r;
    struct visit v;

    tls_world_open(&t, ONLY_HTTP1);
    visit_once(&t, &r, &v);
    EXPECT(r.ended);
    SSL_CTX_free(t.server);    /* a new process: it knows nothing of the session */
    t.server = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_alpn_select_cb(t.server, peer_alpn, (void *)ONLY_HTTP1);
    use_certificate(&t, t.certs.expired, t.certs.expired_key);
    visit_once(&t, &r, &v);
    EXPECT_INT(r.why, ERR_UPSTREAM_TLS);
    EXPECT(!v.resumed);
    tls_world_close(&t);
}

TEST(http_2_is_spoken_when_both_sides_offer_it)
{
    struct tls_world t;
    struct record r;
    struct peer p;

    tls_world_open(&t, BOTH);
    ask(t.w, &r, S("hello"));
    peer_accept(&t, &p, 100);
    UNTIL(&p, p.count == 1 && p.streams[0].ended);
    EXPECT_STR(buf_str(&p.streams[0].body), "hello");
    peer_answer(&p, &p.streams[0], 2, true);
    UNTIL(&p, atomic_load(&r.over) == 1);
    EXPECT(r.ended && r.status == 200);
    finish(&r);
    peer_close(&p);
    tls_world_close(&t);
}

TEST(without_alpn_the_provider_gets_http_1)
{
    struct tls_world t;
    struct record r;
    struct visit v;

    tls_world_open(&t, NEITHER);
    visit_once(&t, &r, &v);
    EXPECT(r.ended && r.status == 200);
    EXPECT_STR(str_c(v.protocol), "");
    tls_world_close(&t);
}

TEST(a_client_that_was_not_told_to_offer_http_2_does_not)
{
    struct tls_world t;
    struct record r;
    struct visit v;
    char why[200];

    tls_world_open(&t, BOTH);
    tls_context_unref(t.client);
    t.client = tls_client_create(t.certs.ca, false, WHY(why));
    go_to(&t, "127.0.0.1");
    visit_once(&t, &r, &v);
    EXPECT(r.ended && r.status == 200);
    EXPECT_STR(str_c(v.protocol), "http/1.1");
    tls_world_close(&t);
}

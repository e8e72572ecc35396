/* test_sock_tls.c - TLS over real sockets: data, names, bad certificates, resumption, ends. */
#include "net/sock_tls.c"

#include "tests/unit/net/certs.h"
#include "tests/unit/net/fixture.h"

struct tls_pair {
    struct certs certs;
    struct tls_context *server, *client;
    struct pair p;
};

static struct tls_context *
server_of(const char *cert, const char *key)
{
    char why[512] = "";
    struct tls_context *c = tls_server_create(cert, key, WHY(why));

    EXPECT_STR(str_c(why), "");
    return c;
}

static void
contexts_open(struct tls_pair *t)
{
    char why[512] = "";

    memset(t, 0, sizeof(*t));
    certs_make(&t->certs);
    t->server = server_of(t->certs.good, t->certs.good_key);
    t->client = tls_client_create(t->certs.ca, false, WHY(why));
    EXPECT(t->client != NULL);
}

static void
contexts_close(struct tls_pair *t)
{
    tls_context_unref(t->server);
    tls_context_unref(t->client);
    certs_remove(&t->certs);
}

/* A handshake to `host` that succeeds. */
static void
connect_to(struct tls_pair *t, const char *host)
{
    pair_start(&t->p, t->server, t->client, host);
    RUN_UNTIL(t->p.loop,
        (t->p.client.sock != NULL && t->p.server.sock != NULL && t->p.server.sock->tls->is_ready) ||
            t->p.why != OK);
    EXPECT_STR(str_c(t->p.detail), "");
}

/* One that must fail; the reason ends with `reason`. */
static void
fail_to(struct tls_pair *t, const char *host, const char *reason)
{
    pair_start(&t->p, t->server, t->client, host);
    RUN_UNTIL(t->p.loop, t->p.client.sock != NULL || t->p.why != OK);
    EXPECT_INT(t->p.why, ERR_UPSTREAM_TLS);
    EXPECT_STR(str_c(t->p.detail), reason);
    pair_close(&t->p);
}

static void
write_c(struct end *e, const char *text)
{
    struct str s = str_c(text);

    sock_write(e->sock, &s, 1);
}

TEST(a_verified_connection_carries_bytes_both_ways)
{
    struct tls_pair t;

    contexts_open(&t);
    connect_to(&t, "localhost");
    EXPECT(sock_is_tls(t.p.client.sock) && sock_is_tls(t.p.server.sock));
    EXPECT_STR(sock_alpn(t.p.client.sock), "http/1.1");
    write_c(&t.p.client, "question");
    RUN_UNTIL(t.p.loop, buf_len(&t.p.server.in) == 8);
    EXPECT_STR(sock_alpn(t.p.server.sock), "http/1.1");
    write_c(&t.p.server, "answer");
    RUN_UNTIL(t.p.loop, buf_len(&t.p.client.in) == 6);
    EXPECT_STR(buf_str(&t.p.client.in), "answer");
    EXPECT_STR(buf_str(&t.p.server.in), "question");
    pair_close(&t.p);

    connect_to(&t, "127.0.0.1");    /* by address */
    pair_close(&t.p);
    contexts_close(&t);
}

TEST(a_client_that_offers_h2_takes_http_1_as_well)
{
    struct tls_pair t;

    contexts_open(&t);
    tls_client_offer_h2(t.client);
    connect_to(&t, "localhost");
    EXPECT_STR(sock_alpn(t.p.client.sock), "http/1.1");
    pair_close(&t.p);
    contexts_close(&t);
}

TEST(a_certificate_for_another_name_is_refused)
{
    struct tls_pair t;

    contexts_open(&t);
    tls_context_unref(t.server);
    t.server = server_of(t.certs.other, t.certs.other_key);
    fail_to(&t, "localhost", "TLS: certificate not accepted: hostname mismatch");
    fail_to(&t, "127.0.0.1", "TLS: certificate not accepted: IP address mismatch");
    contexts_close(&t);
}

TEST(an_expired_certificate_is_refused)
{
    struct tls_pair t;

    contexts_open(&t);
    tls_context_unref(t.server);
    t.server = server_of(t.certs.expired, t.certs.expired_key);
    fail_to(&t, "localhost", "TLS: certificate not accepted: certificate has expired");
    contexts_close(&t);
}

TEST(a_certificate_of_an_unknown_authority_is_refused)
{
    struct tls_pair t;

    contexts_open(&t);
    tls_context_unref(t.server);
    t.server = server_of(t.certs.stranger, t.certs.stranger_key);
    fail_to(&t, "localhost", "TLS: certificate not accepted: self-signed certificate");
    contexts_close(&t);
}

TEST(an_insecure_client_accepts_any_certificate)
{
    struct tls_pair t;
    char why[512] = "";

    contexts_open(&t);
    tls_context_unref(t.server);
    tls_context_unref(t.client);
    t.server = server_of(t.certs.stranger, t.certs.stranger_key);
    t.client = tls_client_create(NULL, true, WHY(why));
    connect_to(&t, "localhost");
    pair_close(&t.p);
    contexts_close(&t);
}

TEST(a_server_that_speaks_no_tls_is_an_error_of_tls)
{
    struct tls_pair t;

    contexts_open(&t);
    pair_start(&t.p, NULL, t.client, NULL);
    RUN_UNTIL(t.p.loop, t.p.server.sock != NULL && t.p.server.datas != 0);
    write_c(&t.p.server, "HTTP/1.1 400 Bad Request\r\n\r\n");
    RUN_UNTIL(t.p.loop, t.p.why != OK);
    EXPECT_INT(t.p.why, ERR_UPSTREAM_TLS);
    EXPECT_STR(str_c(t.p.detail), "TLS: wrong version number");
    pair_close(&t.p);
    contexts_close(&t);
}

TEST(a_server_that_hangs_up_in_the_handshake_is_an_error_of_tls)
{
    struct tls_pair t;

    contexts_open(&t);
    pair_start(&t.p, NULL, t.client, NULL);
    RUN_UNTIL(t.p.loop, t.p.server.sock != NULL && t.p.server.datas != 0);
    sock_close(t.p.server.sock);
    t.p.server.sock = NULL;
    RUN_UNTIL(t.p.loop, t.p.why != OK);
    EXPECT_INT(t.p.why, ERR_UPSTREAM_TLS);
    EXPECT_STR(str_c(t.p.detail), "TLS: connection closed during the TLS handshake");
    pair_close(&t.p);
    contexts_close(&t);
}

TEST(plain_http_on_a_tls_port_fails_that_connection)
{
    struct tls_pair t;

    contexts_open(&t);
    pair_start(&t.p, t.server, NULL, NULL);
    RUN_UNTIL(t.p.loop, t.p.server.sock != NULL && t.p.client.sock != NULL);
    write_c(&t.p.client, "GET / HTTP/1.1\r\n\r\n");
    RUN_UNTIL(t.p.loop, t.p.server.failed != OK);
    EXPECT_INT(t.p.server.failed, ERR_UPSTREAM_TLS);
    EXPECT_STR(str_c(t.p.server.detail), "http request");
    pair_close(&t.p);
    contexts_close(&t);
}

static bool
was_resumed(const struct end *e)
{
    return SSL_session_reused(e->sock->tls->ssl) == 1;
}

static void
exchange_a_byte(struct pair *p)
{
    write_c(&p->server, "x");    /* the tickets come with it */
    RUN_UNTIL(p->loop, buf_len(&p->client.in) != 0);
}

/* Connects again to the same listener; both ends are new. */
static void
reconnect(struct pair *p)
{
    sock_close(p->client.sock);
    sock_close(p->server.sock);
    buf_fini(&p->client.in);
    buf_fini(&p->server.in);
    memset(&p->client, 0, sizeof(p->client));
    memset(&p->server, 0, sizeof(p->server));
    dial_start(p->loop, p->origin, 0, 5000, pair_dialled, pair_not_dialled, p);
    RUN_UNTIL(p->loop, (p->client.sock != NULL && p->server.sock != NULL) || p->why != OK);
    EXPECT_STR(str_c(p->detail), "");
}

TEST(the_second_connection_to_an_origin_resumes_the_session)
{
    struct tls_pair t;

    contexts_open(&t);
    connect_to(&t, "localhost");
    EXPECT(!was_resumed(&t.p.client));
    exchange_a_byte(&t.p);
    for (int i = 0; i < 4; i++) {
        reconnect(&t.p);
        EXPECT(was_resumed(&t.p.client));
        exchange_a_byte(&t.p);
    }
    pair_close(&t.p);
    contexts_close(&t);
}

TEST(sessions_also_survive_a_connection_that_was_reset)
{
    struct tls_pair t;

    contexts_open(&t);
    connect_to(&t, "localhost");
    exchange_a_byte(&t.p);
    sock_close_reset(t.p.client.sock);
    t.p.client.sock = NULL;
    reconnect(&t.p);
    EXPECT(was_resumed(&t.p.client));
    pair_close(&t.p);
    contexts_close(&t);
}

TEST(a_large_write_arrives_whole_and_in_order)
{
    struct tls_pair t;
    size_t n = (size_t)3 << 20;
    char *big = malloc(n);
    struct str pieces[4] = { S("<"), str_make(big, n - 1000), str_make(big + n - 1000, 1000),
        S(">") };

    EXPECT(big != NULL);
    for (size_t i = 0; i < n; i++)
        big[i] = (char)('a' + i % 23);
    contexts_open(&t);
    connect_to(&t, "localhost");
    sock_write(t.p.client.sock, pieces, 4);
    RUN_UNTIL(t.p.loop, buf_len(&t.p.server.in) == n + 2);
    struct str got = buf_str(&t.p.server.in);
    EXPECT(got.p[0] == '<' && got.p[n + 1] == '>' && memcmp(got.p + 1, big, n) == 0);
    EXPECT(t.p.server.datas < n / RECORD_BYTES);    /* several records a call */
    free(big);
    pair_close(&t.p);
    contexts_close(&t);
}

TEST(small_pieces_share_one_record)
{
    struct tls_pair t;
    struct str pieces[3] = { S("HTTP/1.1 200 OK\r\n"), S("\r\n"), S("data: 1\n\n") };

    contexts_open(&t);
    connect_to(&t, "localhost");
    exchange_a_byte(&t.p);
    write_c(&t.p.client, "go");
    RUN_UNTIL(t.p.loop, buf_len(&t.p.server.in) == 2);
    buf_consume(&t.p.client.in, buf_len(&t.p.client.in));
    uint64_t before = BIO_number_written(SSL_get_wbio(t.p.server.sock->tls->ssl));
    sock_write(t.p.server.sock, pieces, 3);
    uint64_t after = BIO_number_written(SSL_get_wbio(t.p.server.sock->tls->ssl));
    EXPECT_INT(after - before, 17 + 2 + 9 + 22);    /* one header and one tag */
    RUN_UNTIL(t.p.loop, buf_len(&t.p.client.in) == 28);
    pair_close(&t.p);
    contexts_close(&t);
}

TEST(backpressure_holds_and_releases_encrypted_bytes)
{
    struct tls_pair t;
    static char block[64 * 1024];
    struct str s = str_make(block, sizeof(block));
    size_t n = 0;

    contexts_open(&t);
    connect_to(&t, "localhost");
    sock_read_stop(t.p.server.sock);
    memset(block, 'z', sizeof(block));
    while (sock_queued_bytes(t.p.client.sock) == 0 && n < (size_t)1 << 26) {
        sock_write(t.p.client.sock, &s, 1);
        n += s.n;
    }
    EXPECT(sock_queued_bytes(t.p.client.sock) != 0);
    RUN_FOR_MS(t.p.loop, 50);
    EXPECT_INT(t.p.server.datas, 0);

    t.p.server.stop_after = 1;
    sock_read_start(t.p.server.sock);
    RUN_UNTIL(t.p.loop, t.p.server.datas == 1);
    RUN_FOR_MS(t.p.loop, 50);
    EXPECT_INT(t.p.server.datas, 1);    /* also not from what was decrypted already */
    t.p.server.stop_after = 0;
    sock_read_start(t.p.server.sock);
    RUN_UNTIL(t.p.loop, buf_len(&t.p.server.in) == n);
    RUN_UNTIL(t.p.loop, t.p.client.drained == 1);
    EXPECT(t.p.server.sock->tls->stash.p == NULL);
    pair_close(&t.p);
    contexts_close(&t);
}

static char small_room[100];

static char *
offer_small_room(void *owner, size_t *ret_size)
{
    (void)owner;
    *ret_size = sizeof(small_room);
    return small_room;
}

TEST(a_small_buffer_is_filled_repeatedly_and_may_be_paused)
{
    static const struct sock_events events = {
        .room = offer_small_room, .data = end_data, .eof = end_eof, .failed = end_failed
    };
    struct tls_pair t;
    static char text[1001];

    contexts_open(&t);
    connect_to(&t, "localhost");
    sock_own(t.p.server.sock, &events, &t.p.server);
    t.p.server.stop_after = 1;
    memset(text, 'q', 1000);
    write_c(&t.p.client, text);
    sock_shutdown(t.p.client.sock);
    for (unsigned i = 1; i <= 10; i++) {
        RUN_UNTIL(t.p.loop, t.p.server.datas == i);
        RUN_FOR_MS(t.p.loop, 5);
        EXPECT_INT(buf_len(&t.p.server.in), i * 100);
        EXPECT(!t.p.server.eof);
        t.p.server.stop_after = i + 1;
        sock_read_start(t.p.server.sock);
    }
    RUN_UNTIL(t.p.loop, t.p.server.eof);
    EXPECT(t.p.server.failed == OK);
    pair_close(&t.p);
    contexts_close(&t);
}

TEST(a_clean_shutdown_is_an_end_and_the_other_direction_stays_open)
{
    struct tls_pair t;

    contexts_open(&t);
    connect_to(&t, "localhost");
    write_c(&t.p.client, "last words");
    sock_shutdown(t.p.client.sock);
    RUN_UNTIL(t.p.loop, t.p.server.eof);
    EXPECT_STR(buf_str(&t.p.server.in), "last words");
    write_c(&t.p.server, "answer");
    RUN_UNTIL(t.p.loop, buf_len(&t.p.client.in) == 6);
    sock_close(t.p.server.sock);
    t.p.server.sock = NULL;
    RUN_UNTIL(t.p.loop, t.p.client.eof);
    EXPECT(t.p.client.failed == OK);
    pair_close(&t.p);
    contexts_close(&t);
}

TEST(a_close_sends_close_notify_and_a_cut_connection_is_a_failure)
{
    struct tls_pair t;

    contexts_open(&t);
    connect_to(&t, "localhost");
    sock_close(t.p.server.sock);
    t.p.server.sock = NULL;
    RUN_UNTIL(t.p.loop, t.p.client.eof);
    EXPECT(t.p.client.failed == OK);
    pair_close(&t.p);

    connect_to(&t, "localhost");
    shutdown(t.p.server.sock->fd, SHUT_WR);    /* FIN without close_notify */
    RUN_UNTIL(t.p.loop, t.p.client.failed != OK);
    EXPECT_INT(t.p.client.failed, ERR_UPSTREAM_RESET);
    EXPECT_STR(str_c(t.p.client.detail), "closed without close_notify");
    EXPECT(!t.p.client.eof);
    pair_close(&t.p);
    contexts_close(&t);
}

TEST(a_damaged_record_fails_the_connection)
{
    struct tls_pair t;
    struct str junk = S("\x17\x03\x03\x00\x20"
                        "0123456789abcdef0123456789abcdef");

    contexts_open(&t);
    connect_to(&t, "localhost");
    sock_send(t.p.server.sock, &junk, 1);
    RUN_UNTIL(t.p.loop, t.p.client.failed != OK);
    EXPECT_INT(t.p.client.failed, ERR_UPSTREAM_TLS);
    EXPECT_STR(str_c(t.p.client.detail), "decryption failed or bad record mac");
    pair_close(&t.p);
    contexts_close(&t);
}

static void
speak_first(struct end *server)
{
    write_c(server, "503 too many");
    EXPECT_INT(sock_queued_bytes(server->sock), 12);
    sock_shutdown(server->sock);
}

TEST(what_is_written_before_the_handshake_is_sent_after_it)
{
    struct tls_pair t;

    contexts_open(&t);
    pair_start(&t.p, t.server, t.client, "localhost");
    t.p.greet = speak_first;
    RUN_UNTIL(t.p.loop, t.p.client.sock != NULL && t.p.client.eof);
    EXPECT_STR(buf_str(&t.p.client.in), "503 too many");
    EXPECT_INT(t.p.server.drained, 1);
    pair_close(&t.p);
    contexts_close(&t);
}

TEST(an_idle_connection_keeps_no_buffers_of_ours)
{
    struct tls_pair t;

    contexts_open(&t);
    connect_to(&t, "localhost");
    exchange_a_byte(&t.p);
    EXPECT(t.p.client.sock->tls->stash.p == NULL && t.p.client.sock->tls->unsent.p == NULL);
    EXPECT(!timer_is_set(&t.p.server.sock->tls->deadline) && t.p.server.sock->queue == NULL);
    pair_close(&t.p);
    contexts_close(&t);
}

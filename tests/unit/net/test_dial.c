/* test_dial.c - connecting: refusals, races of addresses, proxies, deadlines, cancelling
 * anywhere. */
#include "net/dial.c"

#include <sys/un.h>

#include "tests/unit/net/certs.h"
#include "tests/unit/net/fixture.h"

struct caller {
    struct loop *loop;    /* whose clock the waits are told by: its timers know no other */
    struct sock *sock;
    enum err why;
    char detail[256];
    unsigned ends;
    uint64_t took_ms, began_ms;
};

static void
on_done(void *arg, struct sock *s)
{
    struct caller *c = arg;

    c->sock = s;
    c->ends++;
    c->took_ms = loop_now_ms(c->loop) - c->began_ms;
}

static void
on_not_done(void *arg, enum err why, const char *detail)
{
    struct caller *c = arg;

    c->why = why;
    str_copy_c(c->detail, sizeof(c->detail), str_c(detail));
    c->ends++;
    c->took_ms = loop_now_ms(c->loop) - c->began_ms;
}

static struct dial *
call(struct loop *l, const struct origin *o, uint64_t timeout_ms, struct caller *c)
{
    memset(c, 0, sizeof(*c));
    c->loop = l;
    c->began_ms = loop_now_ms(l);
    return dial_start(l, o, 0, timeout_ms, on_done, on_not_done, c);
}

/* A TCP socket bound to an address, listening or not; the port goes to *port when it was 0. */
static int
bind_at(const char *host, uint16_t *port, int backlog)
{
    struct address a;
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);
    int fd;

    EXPECT(address_parse(str_c(host), *port, &a));
    fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, &a.any, address_len(&a)) != 0) {
        close(fd);
        return -1;
    }
    if (backlog >= 0)
        EXPECT(listen(fd, backlog) == 0);
    EXPECT(getsockname(fd, (struct sockaddr *)&bound, &len) == 0);
    EXPECT(address_from((struct sockaddr *)&bound, &a));
    *port = address_port(&a);
    return fd;
}

/* Makes an address swallow SYNs: its backlog is full and nobody accepts. */
struct black_hole {
    int fd, fillers[8];
};

static void
black_hole_open(struct black_hole *h, const char *host, uint16_t *port)
{
    struct address a;

    h->fd = bind_at(host, port, 0);
    EXPECT(h->fd >= 0);
    EXPECT(address_parse(str_c(host), *port, &a));
    for (int i = 0; i < 8; i++) {
        h->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(h->fillers[i], &a.any, address_len(&a));
    }
}

static void
black_hole_close(struct black_hole *h)
{
    close(h->fd);
    for (int i = 0; i < 8; i++)
        close(h->fillers[i]);
}

/* The name `name` has these addresses; an origin at it. */
static struct origin *
origin_at(const char *name, const char *const *addresses, uint16_t port, struct tls_context *tls)
{
    struct dns_answer answer = { .error = "no such name" };
    char address[128];

    for (; addresses != NULL && *addresses != NULL; addresses++)
        EXPECT(address_parse(str_c(*addresses), 0, &answer.list[answer.count++]));
    dns_set_for_tests(str_c(name), &answer);
    snprintf(address, sizeof(address), "%s:%u", name, port);
    return test_origin(tls != NULL ? "https" : "http", address, tls);
}

TEST(a_server_that_listens_is_reached)
{
    struct pair p;

    pair_open(&p);
    EXPECT_INT(p.why, OK);
    EXPECT_STR(sock_peer(p.client.sock), "127.0.0.1");
    pair_close(&p);
}

TEST(a_connection_is_handed_over_with_reading_off)
{
    struct loop *l = loop_create();
    uint16_t port = 0;
    int fd = bind_at("127.0.0.1", &port, 4);
    struct origin *o =
        origin_at("here.test", (const char *const[]){ "127.0.0.1", NULL }, port, NULL);
    struct caller c;

    call(l, o, 5000, &c);
    EXPECT_INT(c.ends, 0);    /* never from inside */
    RUN_UNTIL(l, c.ends == 1);
    EXPECT(c.sock != NULL && !c.sock->wants_read);
    sock_close(c.sock);
    close(fd);
    loop_destroy(l);
    origin_destroy(o);
}

TEST(a_refusal_names_the_address)
{
    struct loop *l = loop_create();
    uint16_t port = 0;
    int fd = bind_at("127.0.0.1", &port, -1);    /* bound, not listening */
    struct origin *o =
        origin_at("here.test", (const char *const[]){ "127.0.0.1", NULL }, port, NULL);
    struct caller c;
    char expected[64];

    call(l, o, 5000, &c);
    RUN_UNTIL(l, c.ends == 1);
    snprintf(expected, sizeof(expected), "connection refused (127.0.0.1:%u)", port);
    EXPECT_INT(c.why, ERR_UPSTREAM_CONNECT);
    EXPECT_STR(str_c(c.detail), expected);
    close(fd);
    loop_destroy(l);
    origin_destroy(o);
}

TEST(a_name_without_addresses_is_an_error_of_dns)
{
    struct loop *l = loop_create();
    struct origin *o = origin_at("nowhere.test", NULL, 80, NULL);
    struct caller c;

    call(l, o, 5000, &c);
    RUN_UNTIL(l, c.ends == 1);
    EXPECT_INT(c.why, ERR_UPSTREAM_DNS);
    EXPECT_STR(str_c(c.detail), "no such name: nowhere.test");
    loop_destroy(l);
    origin_destroy(o);
}

TEST(a_refused_address_is_followed_by_the_next_at_once)
{
    struct loop *l = loop_create();
    uint16_t port = 0;
    int fd = bind_at("127.0.0.1", &port, 4);
    struct origin *o = origin_at(
        "two.test", (const char *const[]){ "::1", "127.0.0.3", "127.0.0.1", NULL }, port, NULL);
    struct caller c;

    call(l, o, 5000, &c);
    RUN_UNTIL(l, c.ends == 1);
    EXPECT(c.sock != NULL);
    EXPECT(c.took_ms < HEAD_START_MS);
    EXPECT_STR(sock_peer(c.sock), "127.0.0.1");
    sock_close(c.sock);
    close(fd);
    loop_destroy(l);
    origin_destroy(o);
}

TEST(a_silent_address_has_a_head_start_and_no_more)
{
    struct loop *l = loop_create();
    struct black_hole hole;
    uint16_t port = 0;
    struct caller c;
    int fd = -1;

    while (fd < 0) {    /* the same port on both: somebody else may have one of them */
        port = 0;
        black_hole_open(&hole, "127.0.0.2", &port);
        fd = bind_at("127.0.0.1", &port, 4);
        if (fd < 0)
            black_hole_close(&hole);
    }
    struct origin *o =
        origin_at("slow.test", (const char *const[]){ "127.0.0.2", "127.0.0.1", NULL }, port, NULL);
    call(l, o, 5000, &c);
    RUN_UNTIL(l, c.ends == 1);
    EXPECT(c.sock != NULL);
    EXPECT(c.took_ms >= HEAD_START_MS);
    sock_close(c.sock);
    RUN_FOR_MS(l, 20);
    EXPECT_INT(sock_open_count(), 0);    /* the loser is gone */
    close(fd);
    black_hole_close(&hole);
    loop_destroy(l);
    origin_destroy(o);
}

TEST(all_addresses_failing_is_one_failure)
{
    struct loop *l = loop_create();
    uint16_t port = 0;
    int fd = bind_at("127.0.0.1", &port, -1);
    struct origin *o = origin_at("bad.test",
        (const char *const[]){ "127.0.0.3", "255.255.255.255", "127.0.0.1", NULL }, port, NULL);
    struct caller c;

    call(l, o, 5000, &c);
    RUN_UNTIL(l, c.ends != 0);
    RUN_FOR_MS(l, 20);
    EXPECT_INT(c.ends, 1);
    EXPECT_INT(c.why, ERR_UPSTREAM_CONNECT);
    close(fd);
    loop_destroy(l);
    origin_destroy(o);
}

TEST(silence_on_all_addresses_ends_with_the_deadline)
{
    struct loop *l = loop_create();
    struct black_hole hole;
    uint16_t port = 0;
    struct caller c;

    black_hole_open(&hole, "127.0.0.2", &port);
    struct origin *o =
        origin_at("silent.test", (const char *const[]){ "127.0.0.2", NULL }, port, NULL);
    call(l, o, 100, &c);
    RUN_UNTIL(l, c.ends == 1);
    EXPECT_INT(c.why, ERR_UPSTREAM_CONNECT_TIMEOUT);
    EXPECT_STR(str_c(c.detail), "timed out while connecting");
    EXPECT(c.took_ms >= 100);
    black_hole_close(&hole);
    loop_destroy(l);
    origin_destroy(o);
}

TEST(a_dial_can_be_cancelled_at_every_step)
{
    struct certs certs;
    struct loop *l = loop_create();
    struct black_hole hole;
    uint16_t hole_port = 0, mute_port = 0;
    struct caller c;
    char why[256];

    certs_make(&certs);
    struct tls_context *tls = tls_client_create(certs.ca, false, WHY(why));
    black_hole_open(&hole, "127.0.0.2", &hole_port);
    int mute = bind_at("127.0.0.1", &mute_port, 16);
    struct origin *slow = origin_at("slow.test",
        (const char *const[]){ "127.0.0.2", "127.0.0.2", "127.0.0.2", NULL }, hole_port, NULL);
    struct origin *fresh = test_origin("http", "localhost:80", NULL);
    struct origin *secret =
        origin_at("mute.test", (const char *const[]){ "127.0.0.1", NULL }, mute_port, tls);

    dial_cancel(call(l, slow, 5000, &c));    /* before it began */
    struct dial *d = call(l, fresh, 5000, &c);
    uv_run(&l->uv, UV_RUN_NOWAIT);
    dial_cancel(d);    /* resolving or just done */
    d = call(l, slow, 5000, &c);
    RUN_FOR_MS(l, 20);
    dial_cancel(d);    /* one attempt */
    d = call(l, slow, 5000, &c);
    RUN_FOR_MS(l, HEAD_START_MS + 50);
    EXPECT(d->attempts != NULL && d->attempts->next != NULL);
    dial_cancel(d);    /* two attempts */
    d = call(l, secret, 5000, &c);
    RUN_UNTIL(l, d->sock != NULL);
    RUN_FOR_MS(l, 20);
    dial_cancel(d);    /* in the handshake */
    RUN_FOR_MS(l, 50);
    EXPECT_INT(c.ends, 0);
    EXPECT_INT(sock_open_count(), 0);

    close(mute);
    black_hole_close(&hole);
    loop_destroy(l);
    origin_destroy(slow);
    origin_destroy(fresh);
    origin_destroy(secret);
    tls_context_unref(tls);
    certs_remove(&certs);
}

TEST(a_handshake_that_never_answers_ends_with_the_deadline)
{
    struct loop *l = loop_create();
    uint16_t port = 0;
    int mute = bind_at("127.0.0.1", &port, 4);
    char why[256];
    struct tls_context *tls = tls_client_create(NULL, true, WHY(why));
    struct origin *o =
        origin_at("mute.test", (const char *const[]){ "127.0.0.1", NULL }, port, tls);
    struct caller c;

    call(l, o, 100, &c);
    RUN_UNTIL(l, c.ends == 1);
    EXPECT_INT(c.why, ERR_UPSTREAM_CONNECT_TIMEOUT);
    EXPECT_STR(str_c(c.detail), "timed out while establishing TLS");
    close(mute);
    loop_destroy(l);
    origin_destroy(o);
    tls_context_unref(tls);
}

TEST(a_unix_socket_is_dialled_by_its_path)
{
    char dir[] = "/tmp/openclaw-test-XXXXXX";
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    struct loop *l = loop_create();
    struct caller c;
    struct str path;
    char url[128], why[256];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    EXPECT(mkdtemp(dir) != NULL);
    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/sock", dir);
    EXPECT(bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 && listen(fd, 1) == 0);
    snprintf(url, sizeof(url), "http+unix://%%2Ftmp%%2F%s%%2Fsock/v1", dir + 5);
    struct origin *o = origin_create(str_c(url), NULL, &path, WHY(why));
    EXPECT(o != NULL);
    call(l, o, 5000, &c);
    RUN_UNTIL(l, c.ends == 1);
    EXPECT(c.sock != NULL);
    EXPECT_STR(sock_peer(c.sock), "unix");
    sock_close(c.sock);
    close(fd);
    unlink(sun.sun_path);

    call(l, o, 5000, &c);
    RUN_UNTIL(l, c.ends == 1);
    EXPECT_INT(c.why, ERR_UPSTREAM_CONNECT);
    EXPECT(strstr(c.detail, sun.sun_path) != NULL);
    rmdir(dir);
    loop_destroy(l);
    origin_destroy(o);
}

/* --- through a proxy --- */

/* A proxy that answers CONNECT as it was told, then plays the server behind it. */
struct fake_proxy {
    struct certs certs;
    struct tls_context *server, *client;
    struct loop *loop;
    struct listener *listener;
    struct origin *origin;
    const char *answer;    /* NULL: hangs up */
    bool tunnels;
    char request[512];
    struct end end;
};

static void
proxy_reads(void *owner, struct str bytes)
{
    struct fake_proxy *x = owner;
    struct str request, answer = str_c(x->answer);

    if (sock_is_tls(x->end.sock)) {
        buf_add(&x->end.in, bytes);
        return;
    }
    buf_add(&x->end.in, bytes);
    request = buf_str(&x->end.in);
    if (!str_ends(request, S("\r\n\r\n")))
        return;
    str_copy_c(x->request, sizeof(x->request), request);
    buf_consume(&x->end.in, request.n);
    if (x->answer == NULL) {
        sock_close(x->end.sock);
        x->end.sock = NULL;
        return;
    }
    sock_write(x->end.sock, &answer, 1);
    if (x->tunnels)
        sock_tls_start(x->end.sock, x->server, S(""), S(""), NULL, NULL);
}

static void
proxy_fails(void *owner, enum err why, const char *detail)
{
    (void)owner;
    (void)why;
    (void)detail;
}

static void
proxy_accepts(void *owner, struct sock *s)
{
    static const struct sock_events events = { .data = proxy_reads, .failed = proxy_fails };
    struct fake_proxy *x = owner;

    x->end.sock = s;
    sock_own(s, &events, x);
    sock_read_start(s);
}

static void
proxy_open(struct fake_proxy *x, const char *scheme, const char *answer)
{
    char why[256], url[128];

    memset(x, 0, sizeof(*x));
    certs_make(&x->certs);
    x->server = tls_server_create(x->certs.good, x->certs.good_key, WHY(why));
    x->client = tls_client_create(x->certs.ca, false, WHY(why));
    x->loop = loop_create();
    x->listener = listen_open(x->loop, S("127.0.0.1:0"), NULL, proxy_accepts, x, WHY(why));
    x->answer = answer;
    buf_init(&x->end.in, 100000);
    snprintf(url, sizeof(url), "http://user:pass@%s", listen_address(x->listener).p);
    setenv("https_proxy", url, 1);
    setenv("http_proxy", url, 1);
    x->origin =
        test_origin(scheme, "provider.test:8443", strcmp(scheme, "https") == 0 ? x->client : NULL);
    unsetenv("https_proxy");
    unsetenv("http_proxy");
}

static void
proxy_close(struct fake_proxy *x)
{
    sock_close(x->end.sock);
    listen_close(x->listener);
    loop_destroy(x->loop);
    origin_destroy(x->origin);
    tls_context_unref(x->server);
    tls_context_unref(x->client);
    certs_remove(&x->certs);
    buf_fini(&x->end.in);
}

TEST(https_goes_through_the_proxy_in_a_tunnel_that_the_proxy_cannot_read)
{
    struct fake_proxy x;
    struct caller c;
    struct str hello = S("hello");
    struct end client = { .sock = NULL };

    proxy_open(&x, "https", "HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n");
    x.tunnels = true;
    call(x.loop, x.origin, 5000, &c);
    RUN_UNTIL(x.loop, c.ends == 1);
    EXPECT_STR(str_c(c.detail), "");
    EXPECT(c.sock != NULL && sock_is_tls(c.sock));
    EXPECT_STR(str_c(x.request),
        "CONNECT provider.test:8443 HTTP/1.1\r\nHost: provider.test:8443\r\n"
        "Proxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n");
    end_take(&client, c.sock);
    sock_write(c.sock, &hello, 1);
    RUN_UNTIL(x.loop, buf_len(&x.end.in) == 5);
    EXPECT_STR(buf_str(&x.end.in), "hello");
    sock_close(c.sock);
    proxy_close(&x);
}

TEST(plain_http_is_sent_to_the_proxy_itself)
{
    struct fake_proxy x;
    struct caller c;

    proxy_open(&x, "http", "");
    EXPECT(origin_is_absolute_form(x.origin));
    call(x.loop, x.origin, 5000, &c);
    RUN_UNTIL(x.loop, c.ends == 1 && x.end.sock != NULL);
    EXPECT(c.sock != NULL && !sock_is_tls(c.sock));
    EXPECT_STR(str_c(x.request), "");
    sock_close(c.sock);
    proxy_close(&x);
}

TEST(a_proxy_that_does_not_open_the_tunnel_is_a_failure_to_connect)
{
    static char endless[40000];
    static const struct {
        const char *answer;
        const char *detail;
    } rows[] = {
        { "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "the proxy refused with status 407" },
        { "HTTP/1.0 502 Bad Gateway\r\n\r\n", "the proxy refused with status 502" },
        { "HTTP/1.1 100 Continue\r\n\r\n", "the proxy refused with status 100" },
        { "SSH-2.0-OpenSSH_9.2\r\n\r\n", "the proxy does not speak HTTP (0)" },
        { "HTTP/1.1 200 OK\r\n\r\nsurprise", "bytes came through the proxy before they were due" },
        { endless, "the proxy's answer is too long" },
        { NULL, "the proxy closed the connection" },
    };

    memset(endless, 'x', sizeof(endless) - 1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fake_proxy x;
        struct caller c;

        proxy_open(&x, "https", rows[i].answer);
        call(x.loop, x.origin, 5000, &c);
        RUN_UNTIL(x.loop, c.ends == 1);
        EXPECT_INT(c.why, ERR_UPSTREAM_CONNECT);
        EXPECT_STR(str_c(c.detail), rows[i].detail);
        proxy_close(&x);
    }
}

TEST(a_proxy_that_never_answers_ends_with_the_deadline_or_a_cancel)
{
    struct fake_proxy x;
    struct caller c;

    proxy_open(&x, "https", "HTTP/1.1 200 half an ans");
    call(x.loop, x.origin, 100, &c);
    RUN_UNTIL(x.loop, c.ends == 1);
    EXPECT_INT(c.why, ERR_UPSTREAM_CONNECT_TIMEOUT);
    EXPECT_STR(str_c(c.detail), "timed out while asking the proxy");
    sock_close(x.end.sock);
    x.end.sock = NULL;

    struct dial *d = call(x.loop, x.origin, 5000, &c);
    RUN_UNTIL(x.loop, d->sock != NULL);
    dial_cancel(d);
    RUN_FOR_MS(x.loop, 20);
    EXPECT_INT(c.ends, 0);
    proxy_close(&x);
}

/* --- several workers --- */

enum { WORKERS = 3, DIALS_EACH = 20 };

struct worker {
    struct loop *home;    /* the test's */
    struct loop *loop;
    const struct origin *origin;
    struct sock *sock;
    unsigned dialled, failed;
    struct thread *thread;
};

static unsigned came_home;

static void worker_dials(struct worker *w);

static void
worker_came_home(void *arg)
{
    (void)arg;
    came_home++;
}

static void
worker_data(void *owner, struct str bytes)
{
    struct worker *w = owner;

    (void)bytes;    /* with it came tickets for the next handshake */
    sock_close(w->sock);
    w->dialled++;
    worker_dials(w);
}

static void
worker_failed(void *owner, enum err why, const char *detail)
{
    struct worker *w = owner;

    (void)why;
    (void)detail;
    w->failed++;
    loop_stop(w->loop);
}

static void
worker_done(void *arg, struct sock *s)
{
    static const struct sock_events events = { .data = worker_data, .failed = worker_failed };
    struct worker *w = arg;

    w->sock = s;
    sock_own(s, &events, w);
    sock_read_start(s);
}

static void
worker_dials(struct worker *w)
{
    if (w->dialled == DIALS_EACH)
        loop_stop(w->loop);
    else
        dial_start(w->loop, w->origin, 0, 5000, worker_done, worker_failed, w);
}

static void
worker_main(void *arg)
{
    struct worker *w = arg;

    w->loop = loop_create();
    worker_dials(w);
    loop_run(w->loop);
    loop_destroy(w->loop);
    loop_post(w->home, worker_came_home, NULL);
}


/* Greets, and closes when the client does. */
struct guest {
    struct sock *sock;
};

static void
guest_leaves(struct guest *g)
{
    sock_close(g->sock);
    free(g);
}

static void
guest_data(void *owner, struct str bytes)
{
    (void)owner;
    (void)bytes;
}

static void
guest_eof(void *owner)
{
    guest_leaves(owner);
}

static void
guest_failed(void *owner, enum err why, const char *detail)
{
    (void)why;
    (void)detail;
    guest_leaves(owner);
}

static void
greet_guest(void *owner, struct sock *s)
{
    static const struct sock_events events = {
        .data = guest_data, .eof = guest_eof, .failed = guest_failed
    };
    struct guest *g = check_alloc(calloc(1, sizeof(*g)));
    struct str hello = S("hello");

    (void)owner;
    g->sock = s;
    sock_own(s, &events, g);
    sock_write(s, &hello, 1);
    sock_read_start(s);
}

TEST(workers_share_an_origin_its_context_its_sessions_and_the_names)
{
    struct certs certs;
    struct loop *l = loop_create();
    struct worker workers[WORKERS] = { { .dialled = 0 } };
    char why[256];
    struct str host;
    uint16_t port;

    certs_make(&certs);
    struct tls_context *server = tls_server_create(certs.good, certs.good_key, WHY(why));
    struct tls_context *client = tls_client_create(certs.ca, false, WHY(why));
    struct listener *li = listen_open(l, S("127.0.0.1:0"), server, greet_guest, NULL, WHY(why));
    EXPECT(address_split(listen_address(li), &host, &port));
    struct origin *o =
        origin_at("localhost", (const char *const[]){ "127.0.0.1", NULL }, port, client);

    for (int i = 0; i < WORKERS; i++) {
        workers[i].home = l;
        workers[i].origin = o;
        workers[i].thread = thread_start("worker", worker_main, &workers[i]);
    }
    RUN_UNTIL(l, came_home == WORKERS && sock_open_count() == 0);
    for (int i = 0; i < WORKERS; i++) {
        thread_join(workers[i].thread);
        EXPECT_INT(workers[i].failed, 0);
        EXPECT_INT(workers[i].dialled, DIALS_EACH);
    }
    listen_close(li);
    loop_destroy(l);
    origin_destroy(o);
    tls_context_unref(server);
    tls_context_unref(client);
    certs_remove(&certs);
}

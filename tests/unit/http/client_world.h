/* client_world.h - for tests: a client on a loop of its own; the test plays the server. */
#pragma once

#include "http/client.h"
#include "tests/unit/http/loopback.h"

/* What one call came to. Written on the loop; read when `over` says so. */
struct record {
    struct world *world;
    struct client_call *call;
    struct client_request request;
    struct str pieces[CLIENT_BODY_PIECES];    /* of the request's body */
    bool cancel_at_head;
    bool pause_at_head;
    bool pause_at_data;
    struct record *then;    /* started from within the callback of the end */
    atomic_uint connected;
    atomic_uint heads;
    atomic_uint datas;
    atomic_uint over;    /* ended or failed */
    atomic_uint resent;
    bool reused;
    bool ended;
    enum err why;
    char detail[200];
    int status;
    struct buf body;
};

struct world {
    struct loopback lb;
    struct client *client;
    struct origin *origin;
    struct client_limits limits;
    int listening;
    uint16_t port;
    atomic_uint marks;    /* cancels done */
    atomic_uint counted;
    unsigned calls_open;
    unsigned idle;
};

static inline void
on_connected(void *owner, bool reused, uint64_t connect_us)
{
    struct record *r = owner;

    (void)connect_us;
    r->reused = reused;
    atomic_fetch_add(&r->connected, 1);
}

static inline void
on_answer_head(void *owner, const struct http_head *head)
{
    struct record *r = owner;

    r->status = head->status;
    atomic_fetch_add(&r->heads, 1);
    if (r->cancel_at_head)
        client_cancel(r->call);
    else if (r->pause_at_head)
        client_pause(r->call);
}

static inline void
on_answer_data(void *owner, struct str bytes)
{
    struct record *r = owner;

    buf_add(&r->body, bytes);
    atomic_fetch_add(&r->datas, 1);
    if (r->pause_at_data)
        client_pause(r->call);
}

static inline void start_here(void *arg);

static inline void
on_end(void *owner)
{
    struct record *r = owner;

    r->ended = true;
    if (r->then != NULL)
        start_here(r->then);
    atomic_fetch_add(&r->over, 1);
}

static inline void
on_call_failed(void *owner, enum err why, const char *detail)
{
    struct record *r = owner;

    r->why = why;
    EXPECT(detail != NULL && detail[0] != '\0');
    str_copy_c(r->detail, sizeof(r->detail), str_c(detail));
    atomic_fetch_add(&r->over, 1);
}

static inline void
on_resent(void *owner)
{
    struct record *r = owner;

    atomic_fetch_add(&r->resent, 1);
}

static const struct client_events events = {
    .resent = on_resent,
    .connected = on_connected,
    .head = on_answer_head,
    .data = on_answer_data,
    .end = on_end,
    .failed = on_call_failed,
};

/* --- the world --- */

static inline void
open_world(struct loopback *lb)
{
    struct world *w = lb->user;

    w->client = client_create(lb->loop, &w->limits);
}

static inline void
close_world(struct loopback *lb)
{
    struct world *w = lb->user;

    client_destroy(w->client);
}

static inline struct world *
new_world(void)
{
    struct world *w = calloc(1, sizeof(*w));
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t size = sizeof(a);
    char why[200];
    char url[64];
    struct str path;

    EXPECT(w != NULL);
    w->limits = (struct client_limits){
        .head_bytes = 4096,
        .fields = 30,
        .pool = { .idle_per_origin = 4, .idle_total = 8, .idle_ms = 10000, .age_ms = 60000 },
    };
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    w->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(bind(w->listening, (struct sockaddr *)&a, sizeof(a)) == 0);
    EXPECT(listen(w->listening, 16) == 0);
    EXPECT(getsockname(w->listening, (struct sockaddr *)&a, &size) == 0);
    w->port = ntohs(a.sin_port);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", w->port);
    unsetenv("http_proxy");
    unsetenv("HTTP_PROXY");
    w->origin = origin_create(str_c(url), NULL, &path, WHY(why));
    EXPECT(w->origin != NULL);
    w->lb = (struct loopback){ .open = open_world, .close = close_world, .user = w };
    loopback_start(&w->lb);
    return w;
}

static inline void
end_world(struct world *w)
{
    loopback_stop(&w->lb);
    close(w->listening);
    origin_destroy(w->origin);
    free(w);
}

static inline void
start_here(void *arg)
{
    struct record *r = arg;

    r->call = client_start(r->world->client, &r->request, &events, r);
}

static inline void
cancel_here(void *arg)
{
    struct record *r = arg;

    client_cancel(r->call);
    atomic_fetch_add(&r->world->marks, 1);
}

static inline void
resume_here(void *arg)
{
    struct record *r = arg;

    client_resume(r->call);
}

static inline void
count_here(void *arg)
{
    struct world *w = arg;

    w->calls_open = client_calls_open(w->client);
    w->idle = client_idle(w->client);
    atomic_fetch_add(&w->counted, 1);
}

/* Asks the loop how many calls are open and how many connections idle. */
static inline void
count(struct world *w)
{
    unsigned before = atomic_load(&w->counted);

    loop_post(w->lb.loop, count_here, w);
    EXPECT(becomes(&w->counted, before + 1));
}

static inline void
prepare(struct world *w, struct record *r, struct str body)
{
    memset(r, 0, sizeof(*r));
    r->world = w;
    buf_init(&r->body, 64 << 20);
    r->pieces[0] = body;
    r->request = (struct client_request){
        .origin = w->origin,
        .method = S("POST"),
        .path = S("/v1/x?y=z"),
        .fields = S("X-One: 1\r\n"),
        .body = r->pieces,
        .body_count = 1,
        .connect_ms = 5000,
        .first_byte_ms = 5000,
        .resend_ms = 5000,
    };
}

static inline void
begin(struct world *w, struct record *r)
{
    loop_post(w->lb.loop, start_here, r);
}

static inline void
ask(struct world *w, struct record *r, struct str body)
{
    prepare(w, r, body);
    begin(w, r);
}

static inline int
accept_one(struct world *w)
{
    struct pollfd p = { .fd = w->listening, .events = POLLIN };

    EXPECT(poll(&p, 1, PATIENCE_MS) == 1);
    int fd = accept(w->listening, NULL, NULL);
    EXPECT(fd >= 0);
    return fd;
}

/* The request, up to and including a body that ends with `last`. */
static inline void
read_request(int fd, struct buf *b, const char *last)
{
    buf_init(b, 64 << 20);
    EXPECT(peer_await(fd, b, last));
}

/* Starts a call, accepts its connection, reads the request. */
static inline int
begin_and_accept(struct world *w, struct record *r)
{
    struct buf b;

    ask(w, r, S("hello"));
    int fd = accept_one(w);
    read_request(fd, &b, "\r\n\r\nhello");
    buf_fini(&b);
    return fd;
}

static inline void
finish(struct record *r)
{
    buf_fini(&r->body);
}

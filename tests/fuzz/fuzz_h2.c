/* fuzz_h2.c - what a server may send on an HTTP/2 connection: no crash, no leak, and each request
 * hears a head, its body and one end, in this order, or nothing once it was cancelled.
 *
 * The first byte says how many requests are open and how their owners behave, the second how the
 * rest, which is what the server sends, is cut.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/h2.c"

#include "net/sock_priv.h"

enum { REQUESTS = 4, BODY_BYTES = 3000, HEAD_BYTES = 2048, FIELDS = 20, TURNS_AT_END = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct request {
    struct h2_stream *stream;    /* NULL: it heard the last, or cancelled */
    struct client_request q;
    bool pauses;
    bool cancels;
    bool head;
    bool over;
};

struct run {
    struct h2 *h2;    /* NULL: it is leaving */
    struct request requests[REQUESTS];
};

static void
on_request_sent(void *owner)
{
    CHECK(!((struct request *)owner)->over);
}

static void
on_request_head(void *owner, const struct http_head *head)
{
    struct request *r = owner;

    CHECK(!r->over && !r->head && head->status >= 200 && head->status <= 599);
    CHECK(head->fields.count <= FIELDS && !head->chunked);
    for (size_t i = 0; i < head->fields.count; i++) {
        struct http_field f = head->fields.list[i];

        CHECK(f.name.n != 0 && f.name.n + f.value.n <= HEAD_BYTES);
        for (size_t j = 0; j < f.name.n; j++)
            CHECK(f.name.p[j] > ' ' && !(f.name.p[j] >= 'A' && f.name.p[j] <= 'Z'));
        for (size_t j = 0; j < f.value.n; j++)
            CHECK(f.value.p[j] != '\r' && f.value.p[j] != '\n' && f.value.p[j] != '\0');
    }
    r->head = true;
    if (r->pauses)
        h2_pause(r->stream);
}

static void
on_request_data(void *owner, struct str bytes)
{
    struct request *r = owner;

    CHECK(!r->over && r->head && bytes.n != 0);
    if (r->cancels) {
        r->over = true;
        h2_cancel(r->stream);
        r->stream = NULL;
    }
}

static void
on_request_end(void *owner)
{
    struct request *r = owner;

    CHECK(!r->over && r->head);
    r->over = true;
    r->stream = NULL;
}

static void
on_request_failed(void *owner, enum err why, const char *detail, enum client_fate fate)
{
    struct request *r = owner;

    CHECK(!r->over && why != OK && detail[0] != '\0' && (fate == CLIENT_UNKNOWN || !r->head));
    r->over = true;
    r->stream = NULL;
}

static const struct h2_stream_events request_events = {
    .sent = on_request_sent,
    .head = on_request_head,
    .data = on_request_data,
    .end = on_request_end,
    .failed = on_request_failed,
};

static void
on_more_room(void *owner)
{
    CHECK(((struct run *)owner)->h2 != NULL);
}

static void
on_left(void *owner)
{
    ((struct run *)owner)->h2 = NULL;
}

static void
on_ended_idle(void *owner, uint64_t rested_ms)
{
    (void)owner;
    (void)rested_ms;
}

static const struct h2_events connection_events = {
    .room = on_more_room, .ended_idle = on_ended_idle, .leaving = on_left
};

/* --- turns of the loop --- */

static void
stop(void *arg)
{
    loop_stop(arg);
}

static void
turn(struct loop *l)
{
    loop_post(l, stop, l);
    loop_run(l);
}

static void
start_request(struct run *x, unsigned i, const struct origin *o, unsigned behaviour)
{
    static char bytes[BODY_BYTES];
    static const struct str body = { bytes, sizeof(bytes) };
    struct request *r = &x->requests[i];

    *r = (struct request){ .pauses = (behaviour >> i & 1) != 0, .cancels = (behaviour & 8) != 0 };
    r->q = (struct client_request){
        .origin = o,
        .method = i == 2 ? S("HEAD") : S("POST"),
        .path = S("/v1/x"),
        .fields = S("X-One: 1\r\n"),
        .body = &body,
        .body_count = i & 1,
    };
    r->stream = h2_start(x->h2, &r->q, &request_events, r);
}

/* One request goes out at once, the others when the server's settings are known. */
static void
feed(struct run *x, struct loop *l, int fd, struct str bytes, const uint8_t *how)
{
    static const struct origin origin = { .scheme = S_INIT("https"),
        .host_header = S_INIT("x.test") };
    unsigned wanted = how[0] % REQUESTS + 1;
    size_t step = how[1] != 0 ? how[1] : MAX(bytes.n, 1);
    unsigned started = 0;
    static char room[64 * 1024];

    for (;;) {
        while (x->h2 != NULL && started < wanted && h2_room(x->h2) != 0)
            start_request(x, started++, &origin, how[0] >> 2);
        struct str part = str_make(bytes.p, MIN(step, bytes.n));

        if (part.n == 0 || send(fd, part.p, part.n, MSG_NOSIGNAL) <= 0)
            break;
        bytes = str_skip(bytes, part.n);
        turn(l);
        while (recv(fd, room, sizeof(room), MSG_DONTWAIT) > 0)
            continue;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct loop *loop;
    const struct h2_limits limits = { .head_bytes = HEAD_BYTES, .fields = FIELDS, .streams = 100 };
    struct run x = { .h2 = NULL };
    int ends[2];

    if (size < 2)
        return 0;
    if (loop == NULL)
        loop = loop_create();
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    x.h2 = h2_create(sock_create_accepted(loop, ends[0], NULL), &limits, &connection_events, &x);
    feed(&x, loop, ends[1], str_make((const char *)data + 2, size - 2), data);

    for (unsigned i = 0; i < REQUESTS; i++) {
        if (x.requests[i].stream != NULL && x.requests[i].pauses)
            h2_resume(x.requests[i].stream);
    }
    for (unsigned i = 0; i < REQUESTS; i++) {
        if (x.requests[i].stream != NULL)
            h2_cancel(x.requests[i].stream);
        x.requests[i].over = true;
    }
    if (x.h2 != NULL)
        h2_destroy(x.h2);
    close(ends[1]);
    for (int i = 0; i < TURNS_AT_END; i++)
        turn(loop);
    return 0;
}

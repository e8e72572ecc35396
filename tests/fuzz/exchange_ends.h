/* exchange_ends.h - both ends of an exchange, played by the fuzzer over Unix sockets: callers, and
 * providers that hold every request against the rules.
 *
 * Nothing here blocks. What an end wants to send waits in `out` until the fuzzer lets it go; what
 * it received stays in `in`.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/json.h"
#include "tests/fuzz/exchange_golden.h"

enum {
    CALLERS = 6,
    UPSTREAM_CONNECTIONS = 12,    /* that one provider keeps open; it closes the oldest */
    MARKS_MAX = 512,
    HEAD_MAX_BYTES = 64 * 1024,
    /* A request may cross what would have forbidden it, also on a connection that is being made. */
    TURNS_TO_NOTICE = 3,
};

/* What both ends wrote, or will: the bound on memory is a multiple of it. */
static uint64_t written_bytes;
static uint64_t turns;

struct end {
    int fd;        /* -1: closed */
    bool eager;    /* sends the rest by itself */
    struct buf in;
    struct buf out;
};

struct caller {
    struct end end;
    unsigned id;    /* of the connection; marks belong to it */
};

struct provider_end {
    const char *name;
    struct str key;
    bool anthropic;
    bool h2;           /* it speaks HTTP/2 */
    bool reluctant;    /* its next connections are */
    int listener;
    char path[108];
    struct upstream *connections[UPSTREAM_CONNECTIONS];
    struct upstream *streams[UPSTREAM_CONNECTIONS];    /* of HTTP/2, newest first */
};

/* A connection from the gateway to a provider, or a stream of one. */
struct upstream {
    struct end end;
    struct provider_end *provider;
    struct nghttp2_session *session;    /* of an HTTP/2 connection */
    struct upstream *carrier;           /* of a stream: its connection */
    int32_t stream_id;
    size_t head_bytes;       /* of the request under way; 0: its head is not there yet */
    size_t request_bytes;    /* with its body */
    bool complete;           /* all of it is there */
    bool answered;           /* with a whole answer, in or out of `out` */
    bool reluctant;          /* reads no bodies */
    uint64_t late_turn;      /* until then what it reads may have come long before */
    bool wild;               /* what it was told may mean anything: requests follow as they like */
    /* Turns after which no request may begin; 0: it may. The end of the connection was announced;
     * or it was sent an answer that nobody asked for, unless a request crossed that. */
    uint64_t last_turn;
    uint64_t unasked_turn;
    bool stream;
    char mark[MARK_BYTES];
    size_t mark_n;
    char path[128];
};

/* --- marks --- */

static struct {
    unsigned connection;
    char text[MARK_BYTES + 1];
    bool once;             /* its request must not be sent to providers twice */
    unsigned delivered;    /* complete requests that carried it */
} marks[MARKS_MAX];
static unsigned marks_n;

static struct str
mark_new(unsigned connection, bool once)
{
    uint64_t mixed = (marks_n + 1) * UINT64_C(0x9e3779b97f4a7c15);

    CHECK(marks_n < MARKS_MAX);
    marks[marks_n].connection = connection;
    marks[marks_n].once = once;
    marks[marks_n].delivered = 0;
    (void)snprintf(marks[marks_n].text, sizeof(marks[0].text), MARK "%012llx",
        (unsigned long long)(mixed >> 16));
    return str_make(marks[marks_n++].text, MARK_BYTES);
}

/* The next mark in `s` that was given out; -1 when there is none. What is before it is skipped. */
static int
mark_next(struct str *s)
{
    for (;;) {
        *s = str_skip(*s, str_find(*s, S(MARK)));
        if (s->n < MARK_BYTES)
            return -1;
        for (unsigned i = 0; i < marks_n; i++) {
            if (memcmp(s->p, marks[i].text, MARK_BYTES) == 0) {
                *s = str_skip(*s, MARK_BYTES);
                return (int)i;
            }
        }
        *s = str_skip(*s, 1);
    }
}

/* --- ends --- */

static void
end_init(struct end *e, int fd)
{
    *e = (struct end){ .fd = fd };
    buf_init(&e->in, 64u * 1024 * 1024);
    buf_init(&e->out, 64u * 1024 * 1024);
    CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
}

static void
end_close(struct end *e)
{
    if (e->fd >= 0)
        CHECK(close(e->fd) == 0);
    e->fd = -1;
    buf_fini(&e->out);
}

/* Sends at most `limit` of what waits. */
static void
end_flush(struct end *e, size_t limit)
{
    e->eager = limit == SIZE_MAX;
    while (e->fd >= 0 && limit != 0 && buf_len(&e->out) != 0) {
        ssize_t n = send(e->fd, buf_str(&e->out).p, MIN(limit, buf_len(&e->out)), MSG_NOSIGNAL);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {    /* the gateway closed it */
            buf_reset(&e->out, 0);
            return;
        }
        limit -= (size_t)n;
        buf_consume(&e->out, (size_t)n);
    }
}

/* Takes at most `limit` bytes. False: there will be no more. */
static bool
end_read(struct end *e, size_t limit)
{
    while (limit != 0) {
        size_t want = MIN(limit, 64u * 1024);
        char *room = buf_reserve(&e->in, want);

        CHECK(room != NULL);
        ssize_t n = recv(e->fd, room, want, 0);
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0)
            return false;
        buf_commit(&e->in, (size_t)n);
        limit -= (size_t)n;
    }
    return true;
}

static int
end_socket(const char *path, struct sockaddr_un *ret)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
    (void)snprintf(ret->sun_path, sizeof(ret->sun_path), "%s", path);
    return fd;
}

/* --- callers --- */

static void
caller_open(struct caller *c, const char *path, unsigned id)
{
    struct sockaddr_un a;
    int fd = end_socket(path, &a);

    end_init(&c->end, fd);
    c->id = id;
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)    /* too many wait already */
        end_close(&c->end);
}

static void
check_no_secret(struct str s, const char *where)
{
    struct buf b;

    buf_init(&b, SIZE_MAX);
    for (size_t i = 0; i < ARRAY_LEN(secrets) * SPELLINGS; i++) {
        buf_reset(&b, SIZE_MAX);
        spell(&b, i % SPELLINGS, secrets[i / SPELLINGS]);
        if (str_find(s, buf_str(&b)) != s.n) {
            fprintf(stderr, "%s shows " STR_FMT ":\n" STR_FMT "\n", where, STR_ARG(buf_str(&b)),
                STR_ARG(s));
            abort();
        }
    }
    buf_fini(&b);
}

/* What a caller got has no secret in it, and no other caller's answer. */
static void
caller_close(struct caller *c)
{
    struct str s = buf_str(&c->end.in);

    if (c->end.fd < 0)
        return;
    check_no_secret(s, "an answer");
    for (int i = mark_next(&s); i >= 0; i = mark_next(&s))
        CHECK(marks[i].connection == c->id);
    end_close(&c->end);
    buf_fini(&c->end.in);
}

/* --- providers --- */

static void
provider_open(struct provider_end *p, const char *folder)
{
    struct sockaddr_un a;

    (void)snprintf(p->path, sizeof(p->path), "%s/%s", folder, p->name);
    p->listener = end_socket(p->path, &a);
    CHECK(bind(p->listener, (struct sockaddr *)&a, sizeof(a)) == 0);
    CHECK(listen(p->listener, 128) == 0);
    CHECK(fcntl(p->listener, F_SETFL, O_NONBLOCK) == 0);
}

/* --- HTTP/2 (exchange_h2.h) --- */

static void h2_open(struct upstream *connection);
static bool h2_read(struct upstream *connection);
static void h2_close(struct upstream *connection);

/* --- connections of providers --- */

static void
upstream_close(struct upstream **slot)
{
    if (*slot == NULL)
        return;
    if ((*slot)->session != NULL)
        h2_close(*slot);
    end_close(&(*slot)->end);
    buf_fini(&(*slot)->end.in);
    free(*slot);
    *slot = NULL;
}

static void
provider_accept(struct provider_end *p)
{
    int fd;

    while ((fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct upstream *u = check_alloc(calloc(1, sizeof(*u)));

        end_init(&u->end, fd);
        u->provider = p;
        u->reluctant = p->reluctant;
        upstream_close(&p->connections[UPSTREAM_CONNECTIONS - 1]);
        memmove(&p->connections[1], &p->connections[0],
            (UPSTREAM_CONNECTIONS - 1) * sizeof(p->connections[0]));
        p->connections[0] = u;
        if (p->h2)
            h2_open(u);
    }
}

/* The value of a field that must be there at most once; empty when it is not. */
static struct str
field_of(struct str head, struct str name)
{
    struct str found = S("");
    struct str line;

    (void)str_cut(head, '\n', &line, &head);
    while (str_cut(head, '\n', &line, &head)) {
        if (!str_istarts(line, name) || line.n <= name.n || line.p[name.n] != ':')
            continue;
        CHECK(found.n == 0);
        found = str_trim(str_skip(line, name.n + 1));
    }
    return found;
}

/* A head is what we would have written: nothing of it can be read in two ways. */
static void
check_head(const struct upstream *u, struct str head)
{
    struct str line, method, path, rest = head;

    CHECK(str_cut(rest, '\n', &line, &rest) && str_ends(line, S(" HTTP/1.1\r")));
    CHECK(str_cut(line, ' ', &method, &path) && method.n != 0);
    for (size_t i = 0; i < method.n; i++)
        CHECK(method.p[i] >= 'A' && method.p[i] <= 'Z');
    CHECK(str_starts(path, S("/v1/")));
    path.n -= sizeof(" HTTP/1.1\r") - 1;
    for (size_t i = 0; i < path.n; i++)
        CHECK(path.p[i] > ' ' && path.p[i] < 0x7f);
    while (str_cut(rest, '\n', &line, &rest) && line.n > 1) {
        size_t colon = str_chr(line, ':');

        CHECK(colon != 0 && colon < line.n && line.p[line.n - 1] == '\r');
        for (size_t i = 0; i < line.n - 1; i++)
            CHECK(line.p[i] != '\r' && line.p[i] != '\0' && (i >= colon || line.p[i] > ' '));
    }
    CHECK(str_eq(field_of(head, S("Host")), S("localhost")));
    CHECK(field_of(head, S("Transfer-Encoding")).n == 0);

    struct str key = field_of(head, u->provider->anthropic ? S("x-api-key") : S("Authorization"));
    CHECK(str_ends(key, u->provider->key));
    CHECK(u->provider->anthropic || str_starts(key, S("Bearer ")));
}

/* Of all secrets, a request holds its provider's key, once, and that in its head. */
static void
check_keys(const struct upstream *u, struct str s)
{
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        size_t at = str_find(s, secrets[i]);

        if (str_eq(secrets[i], u->provider->key) && at < u->head_bytes)
            at = at + 1 + str_find(str_skip(s, at + 1), secrets[i]);
        CHECK(at >= s.n);
    }
}

/* A whole request: of one caller, and valid in itself. */
static void
check_request(struct upstream *u, struct str s)
{
    struct str body = str_skip(s, u->head_bytes);
    struct str rest = s;
    int mark = mark_next(&rest);
    bool relayed = true;
    static const struct str read_by_us[] = { S_INIT("/chat/completions"), S_INIT("/completions"),
        S_INIT("/embeddings"), S_INIT("/v1/messages"), S_INIT("/v1/messages/count_tokens") };

    for (int other = mark; other >= 0; other = mark_next(&rest))
        CHECK(other == mark);
    if (mark >= 0) {
        marks[mark].delivered++;
        CHECK(!marks[mark].once || marks[mark].delivered == 1);
        memcpy(u->mark, marks[mark].text, MARK_BYTES);
    }
    u->mark_n = mark >= 0 ? MARK_BYTES : 0;
    for (size_t i = 0; i < ARRAY_LEN(read_by_us); i++)
        relayed = relayed && !str_ends(str_c(u->path), read_by_us[i]);
    if (relayed)
        return;

    struct arena *a = arena_create(64u * 1024 * 1024);
    const struct json *doc = json_parse(a, body, NULL, NULL);
    CHECK(json_is(doc, JSON_OBJECT));
    u->stream = json_bool(json_get(doc, S("stream")), false);
    arena_destroy(a);
}

/* The answer is out and the request is in: the next one may come. */
static void
upstream_rest(struct upstream *u)
{
    if (!u->complete || (!u->wild && (!u->answered || buf_len(&u->end.out) != 0)))
        return;
    buf_consume(&u->end.in, u->request_bytes);
    u->head_bytes = u->request_bytes = u->mark_n = 0;
    u->complete = u->answered = false;
}

static void
upstream_begin(struct upstream *u, struct str s)
{
    size_t end = str_find(s, S("\r\n\r\n"));
    uint64_t length = 0;
    struct str path, head;

    TRACE("%s %p: a request begins\n", u->provider->name, (void *)u);
    if (turns > u->late_turn) {
        CHECK(u->last_turn == 0 || turns <= u->last_turn);
        CHECK(u->unasked_turn == 0 || turns <= u->unasked_turn);
    }
    u->unasked_turn = 0;
    if (end == s.n) {
        CHECK(s.n < HEAD_MAX_BYTES);
        return;
    }
    head = str_make(s.p, end + 4);
    check_head(u, head);
    struct str field = field_of(head, S("Content-Length"));
    CHECK(field.n == 0 || str_u64(field, &length));
    u->head_bytes = head.n;
    u->request_bytes = head.n + length;
    path = str_skip(head, str_chr(head, ' ') + 1);
    path.n = MIN(str_chr(path, ' '), str_chr(path, '?'));
    (void)snprintf(u->path, sizeof(u->path), STR_FMT, STR_ARG(path));
    u->stream = str_find(head, S("text/event-stream")) != head.n;
}

/* Judges the request that stands first in `in`. True: it was complete, answered and is done with. */
static bool
upstream_take(struct upstream *u)
{
    struct str s = buf_str(&u->end.in);
    size_t before = s.n;

    upstream_rest(u);
    s = buf_str(&u->end.in);
    if (s.n != before)
        return true;
    if (s.n != 0 && u->request_bytes == 0)
        upstream_begin(u, s);
    if (u->request_bytes == 0)
        return false;
    check_keys(u, str_make(s.p, MIN(s.n, u->request_bytes)));
    if (!u->complete && s.n >= u->request_bytes) {
        TRACE("%s %p: a request of %zu bytes\n", u->provider->name, (void *)u, u->request_bytes);
        check_request(u, str_make(s.p, u->request_bytes));
        u->complete = true;
        upstream_rest(u);
        s = buf_str(&u->end.in);
    }
    CHECK(!u->complete || s.n == u->request_bytes);    /* nothing is sent before the answer */
    return u->request_bytes == 0 && s.n != 0;
}

/* The gateway learns that it must not use the connection again when it has read what comes before,
 * which it puts off while its caller is slow. */
static void
upstream_wait_for_reader(const struct upstream *u, uint64_t *until_turn)
{
    int unread = 0;

    if (*until_turn != 0 && ioctl(u->end.fd, SIOCOUTQ, &unread) == 0 && unread > 0)
        *until_turn = MAX(*until_turn, turns + TURNS_TO_NOTICE);
}

/* Takes what came. False: the gateway closed the connection. */
static bool
upstream_read(struct upstream *u)
{
    bool open = true;

    if (u->session != NULL)
        return h2_read(u);
    upstream_wait_for_reader(u, &u->last_turn);
    upstream_wait_for_reader(u, &u->unasked_turn);
    if (u->end.eager)
        end_flush(&u->end, SIZE_MAX);
    if (u->reluctant)
        u->late_turn = turns + 1;
    if (!u->reluctant || u->request_bytes == 0)
        open = end_read(&u->end, u->reluctant ? 4096 : 1024 * 1024);
    while (upstream_take(u))
        continue;
    if (!open)
        TRACE("%s %p: closed by the gateway\n", u->provider->name, (void *)u);
    return open;
}

static void
provider_turn(struct provider_end *p)
{
    provider_accept(p);
    for (size_t i = 0; i < UPSTREAM_CONNECTIONS; i++) {
        if (p->connections[i] != NULL && !upstream_read(p->connections[i]))
            upstream_close(&p->connections[i]);
    }
}

static void
provider_close_all(struct provider_end *p)
{
    provider_accept(p);
    for (size_t i = 0; i < UPSTREAM_CONNECTIONS; i++)
        upstream_close(&p->connections[i]);
}

/* From now on no new request may come, but for one that is under way already. */
static void
upstream_forbid(struct upstream *u, uint64_t *until_turn)
{
    TRACE("%s %p: must not be used again\n", u->provider->name, (void *)u);
    if (*until_turn == 0)
        *until_turn = turns + TURNS_TO_NOTICE;
}

enum framed { FRAMED_LENGTH, FRAMED_CHUNKED, FRAMED_CLOSE, FRAMED_LAST, FRAMED_H2 };

/* Puts an answer to the request under way into `out`; *ret_at is where it begins. */
static void
upstream_answer(
    struct upstream *u, enum tell kind, enum framed framing, enum spelling spelling, size_t *ret_at)
{
    struct buf *out = &u->end.out;
    struct told t;
    struct buf key;

    *ret_at = buf_len(out);
    buf_init(&key, SIZE_MAX);
    spell(&key, spelling, u->provider->key);
    tell(&t, kind, u->provider->anthropic, str_make(u->mark, u->mark_n), u->stream, str_c(u->path),
        buf_str(&key));
    struct str body = buf_str(&t.body);
    buf_printf(out, "HTTP/1.1 %d Said\r\nContent-Type: %s\r\n", t.status, t.type);
    if (t.status == 429)
        buf_add(out, S("Retry-After: 3\r\n"));
    if (t.status == 401 && spelling != SPELT_ESCAPED)
        buf_printf(out, "x-ratelimit-key: " STR_FMT "\r\n", STR_ARG(buf_str(&key)));
    if (t.status == 307)
        buf_add(out, S("Location: http://localhost/elsewhere\r\n"));
    if (framing == FRAMED_CHUNKED) {
        buf_add(out, S("Transfer-Encoding: chunked\r\n\r\n"));
        for (size_t step = MAX(body.n / 50, 1000u); body.n != 0;
             body = str_skip(body, MIN(step, body.n))) {
            buf_printf(out, "%zx\r\n", MIN(step, body.n));
            buf_add(out, str_make(body.p, MIN(step, body.n)));
            buf_add(out, S("\r\n"));
        }
        buf_add(out, S("0\r\n\r\n"));
    } else {
        if (framing == FRAMED_LAST)
            buf_add(out, S("Connection: close\r\n"));
        if (framing != FRAMED_CLOSE && framing != FRAMED_H2)
            buf_printf(out, "Content-Length: %zu\r\n", body.n);
        buf_add(out, S("\r\n"));
        buf_add(out, body);
    }
    buf_fini(&t.body);
    buf_fini(&key);
    u->answered = true;
}

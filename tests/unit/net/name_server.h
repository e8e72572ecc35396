/* name_server.h - a DNS server on the test's own loop that answers, delays, drops and fails as told. */
#pragma once

#include <arpa/inet.h>

#include "tests/unit/net/fixture.h"

enum { ZONES_MAX = 16 };

/* What it says about one name. Names that it does not have do not exist. */
struct zone {
    const char *name;
    const char *v4[32];    /* up to the first NULL */
    const char *v6[32];
    unsigned ttl_s;
    int rcode;         /* 2: SERVFAIL, 3: NXDOMAIN, 5: REFUSED */
    unsigned drops;    /* questions to leave unanswered before the next answer */
    bool hangs;        /* no answer at all */
    bool v6_hangs;     /* none to questions for IPv6 addresses */
    unsigned asked;    /* questions that came */
};

struct name_server {
    uv_poll_t poll;
    int fd;
    struct loop *loop;
    char address[ADDRESS_TEXT_ROOM];
    struct zone zones[ZONES_MAX];
    bool closed;
};

static UNUSED struct zone *
zone_of(struct name_server *s, const char *name)
{
    struct zone *z = s->zones;

    while (z->name != NULL && strcmp(z->name, name) != 0)
        z++;
    EXPECT(z < s->zones + ZONES_MAX);
    z->name = name;
    return z;
}

static void
put_u16(struct buf *b, unsigned v)
{
    char bytes[] = { (char)(v >> 8), (char)v };

    buf_add(b, str_make(bytes, 2));
}

/* "\3www\4test\0" to "www.test"; the bytes of it in the message, or 0. */
static size_t
name_read(struct str wire, char *room, size_t size)
{
    size_t at = 0, n = 0;

    while (at < wire.n && wire.p[at] != 0) {
        size_t label = (unsigned char)wire.p[at++];

        if (at + label > wire.n || n + label + 2 > size)
            return 0;
        if (n != 0)
            room[n++] = '.';
        memcpy(room + n, wire.p + at, label);
        n += label;
        at += label;
    }
    room[n] = '\0';
    return at + 1;
}

static void
name_server_answer(struct name_server *s, struct str question, struct buf *out)
{
    enum { HEAD = 12, TYPE_A = 1, TYPE_AAAA = 28 };
    char name[256];
    size_t name_n = name_read(str_skip(question, HEAD), name, sizeof(name));
    struct zone *z = s->zones;

    if (name_n == 0)
        return;
    unsigned type = (unsigned char)question.p[HEAD + name_n + 1];
    while (z->name != NULL && strcmp(z->name, name) != 0)
        z++;
    if (z->name != NULL) {
        z->asked++;
        if (z->hangs || (z->v6_hangs && type == TYPE_AAAA))
            return;
        if (z->drops != 0) {
            z->drops--;
            return;
        }
    }
    const char *const *list = type == TYPE_A ? z->v4 : z->v6;
    unsigned count = 0, rcode = z->name == NULL ? 3 : (unsigned)z->rcode;
    while (rcode == 0 && list[count] != NULL)
        count++;

    buf_add(out, str_make(question.p, 2));
    put_u16(out, 0x8180 | rcode);
    put_u16(out, 1);
    put_u16(out, count);
    put_u16(out, 0);
    put_u16(out, 0);
    buf_add(out, str_make(question.p + HEAD, name_n + 4));
    for (unsigned i = 0; i < count; i++) {
        struct in6_addr raw;
        unsigned n = type == TYPE_A ? 4 : 16;

        EXPECT(inet_pton(type == TYPE_A ? AF_INET : AF_INET6, list[i], &raw) == 1);
        put_u16(out, 0xc000 | HEAD);
        put_u16(out, type);
        put_u16(out, 1);
        put_u16(out, z->ttl_s >> 16);
        put_u16(out, z->ttl_s & 0xffff);
        put_u16(out, n);
        buf_add(out, str_make((const char *)&raw, n));
    }
}

static void
on_question(uv_poll_t *poll, int status, int events)
{
    struct name_server *s = CONTAINER_OF(poll, struct name_server, poll);
    char room[1500];
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    ssize_t n;

    (void)status;
    (void)events;
    while ((n = recvfrom(s->fd, room, sizeof(room), 0, (struct sockaddr *)&from, &len)) > 12) {
        struct buf out;

        buf_init(&out, SIZE_MAX);
        name_server_answer(s, str_make(room, (size_t)n), &out);
        if (buf_str(&out).n != 0)
            sendto(s->fd, buf_str(&out).p, buf_str(&out).n, 0, (struct sockaddr *)&from, len);
        buf_fini(&out);
        len = sizeof(from);
    }
}

/* Opens it; the loop's names are asked of it from now on. */
static UNUSED void
name_server_open(struct name_server *s, struct loop *l)
{
    struct address a;
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);

    memset(s, 0, sizeof(*s));
    s->loop = l;
    EXPECT(address_parse(S("127.0.0.1"), 0, &a));
    s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    EXPECT(bind(s->fd, &a.any, address_len(&a)) == 0);
    EXPECT(getsockname(s->fd, (struct sockaddr *)&bound, &len) == 0);
    EXPECT(address_from((struct sockaddr *)&bound, &a));
    address_text_port(&a, s->address);
    EXPECT(uv_poll_init(&l->uv, &s->poll, s->fd) == 0);
    uv_poll_start(&s->poll, UV_READABLE, on_question);
    dns_use_servers(l, &(struct str){ s->address, strlen(s->address) }, 1);
}

static void
on_name_server_closed(uv_handle_t *handle)
{
    CONTAINER_OF(handle, struct name_server, poll)->closed = true;
}

static UNUSED void
name_server_close(struct name_server *s)
{
    uv_close((uv_handle_t *)&s->poll, on_name_server_closed);
    RUN_UNTIL(s->loop, s->closed);
    close(s->fd);
}

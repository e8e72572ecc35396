/* mock_kit.h - for tests: a simulated provider on a thread of its own, and one way to ask it. */
#pragma once

#include "mock/mock.h"
#include "tests/unit/http/loopback.h"

struct mock_kit {
    struct loopback lb;
    struct mock_options options;
    struct mock_hub *hub;
    struct mock *mock;
    struct buf answer;    /* of the last question: head and body */
};

static inline void
mock_kit_open(struct loopback *lb)
{
    struct mock_kit *k = lb->user;
    char why[256];

    k->mock = mock_start(lb->loop, S("127.0.0.1:0"), k->hub, WHY(why));
    CHECK(k->mock != NULL);
    lb->port = port_of(mock_address(k->mock));
}

static inline void
mock_kit_close(struct loopback *lb)
{
    struct mock_kit *k = lb->user;

    mock_stop(k->mock);
}

/* k->options may be set before. */
static inline void
mock_kit_start(struct mock_kit *k)
{
    char why[256];

    if (k->options.plan.event_tokens == 0)
        k->options = MOCK_OPTIONS_DEFAULT;
    k->hub = mock_hub_create(&k->options, WHY(why));
    EXPECT(k->hub != NULL);
    buf_init(&k->answer, 64 * 1024 * 1024);
    k->lb = (struct loopback){ .open = mock_kit_open, .close = mock_kit_close, .user = k };
    loopback_start(&k->lb);
}

static inline void
mock_kit_stop(struct mock_kit *k)
{
    loopback_stop(&k->lb);
    mock_hub_destroy(k->hub);
    buf_fini(&k->answer);
}

/* Sends a request whose answer is not chunked (HTTP/1.0) and reads until the connection ends. */
static inline enum peer_end
mock_kit_ask(
    struct mock_kit *k, const char *method, const char *path, const char *fields, const char *body)
{
    struct buf request;
    int fd = peer_connect(k->lb.port);

    buf_init(&request, 1024 * 1024);
    buf_printf(&request, "%s %s HTTP/1.0\r\nHost: mock\r\n%sContent-Length: %zu\r\n\r\n%s", method,
        path, fields, strlen(body), body);
    EXPECT(peer_send(fd, buf_str(&request)));
    buf_fini(&request);
    buf_reset(&k->answer, 0);
    enum peer_end end = peer_recv_all(fd, &k->answer);
    close(fd);
    return end;
}

static inline enum peer_end
mock_kit_post(struct mock_kit *k, const char *path, const char *body)
{
    return mock_kit_ask(k, "POST", path, "anthropic-version: 2023-06-01\r\n", body);
}

static inline struct str
mock_kit_body(const struct mock_kit *k)
{
    struct str all = buf_str(&k->answer);

    return str_skip(all, str_find(all, S("\r\n\r\n")) + 4);
}

static inline bool
mock_kit_has(const struct mock_kit *k, const char *text)
{
    return str_find(buf_str(&k->answer), str_c(text)) < buf_len(&k->answer);
}

/* "HTTP/1.1 200 OK" -> 200. */
static inline int
mock_kit_status(const struct mock_kit *k)
{
    uint64_t status = 0;

    str_u64(
        str_make(str_skip(buf_str(&k->answer), 9).p, buf_len(&k->answer) > 12 ? 3 : 0), &status);
    return (int)status;
}

/* gateway_world.h - for tests: one worker and a simulated provider behind it, asked over plain
 * sockets.
 *
 * The provider is called `mock` (OpenAI's protocol) and, at the same address, `anth` (Anthropic's).
 * The provider obeys what follows the first ';' of a model's name: "mock/m;head=1s". The provider `raw`
 * is played by the test itself: gateway_world_play().
 */
#pragma once

#include <fcntl.h>

#include "mock/mock.h"
#include "base/clock.h"
#include "gateway/attempt.h"
#include "gateway/exchange.h"
#include "gateway/front.h"
#include "tests/unit/http/loopback.h"

struct gateway_world {
    struct arena *arena;
    struct mock_options options;
    struct mock_hub *hub;
    struct loop *mock_loop;
    struct mock *mock;
    struct thread *mock_thread;
    int raw;              /* the listening socket of the provider `raw` */
    struct buf played;    /* the head of the last request that it got */

    struct gateway gateway;
    struct snapshot *snapshot;
    struct worker *worker;
    uint16_t port;
    char log_path[64];

    uint64_t worker_held;    /* in its share of the quota, when everything had ended */
    struct buf answer;       /* of the last request */
    struct buf log;          /* the access log, once the world has ended */
};

static inline void
gateway_world_mock_main(void *arg)
{
    loop_run(((struct gateway_world *)arg)->mock_loop);
}

static inline void
gateway_world_mock_end(void *arg)
{
    struct gateway_world *w = arg;

    mock_stop(w->mock);
    loop_stop(w->mock_loop);
}

/* Begins an attempt of the only exchange at the next target. On the worker's thread. */
static inline struct attempt *
gateway_world_attempt(struct gateway_world *w)
{
    struct exchange *x = exchange_of(w->worker->exchanges);

    struct pick pick;

    EXPECT(plan_pick(&x->plan, true, clock_now_us(), &pick) == PICK_NOW);
    return attempt_begin(x, &pick);
}

/* A snapshot of `settings`, which go on in the section `server`; nothing may be wrong with it. No
 * target is asked twice, unless they say otherwise. */
static inline struct snapshot *
gateway_world_snapshot(struct gateway_world *w, const char *settings)
{
    struct conf_problems problems;
    struct str url = mock_address(w->mock);
    struct str text = arena_printf(w->arena,
        "providers:\n"
        "  mock: {wire: openai-chat, base_url: \"http://" STR_FMT "/v1\", api_key: sk-canary-key}\n"
        "  anth: {wire: anthropic-messages, base_url: \"http://" STR_FMT
        "/v1\", api_key: sk-canary-key}\n"
        "  dead: {wire: openai-chat, base_url: \"http://127.0.0.1:1/v1\"}\n"
        "  raw: {wire: openai-chat, base_url: \"http://127.0.0.1:%u/v1\", api_key: sk-canary-key}\n"
        "default_provider: mock\n"
        "%s"
        "server:\n  listen: 127.0.0.1:0\n"
        "%s",
        STR_ARG(url), STR_ARG(url), (unsigned)peer_port(w->raw),
        strstr(settings, "retry:") == NULL ? "retry: {budget: 0, breakers: false}\n" : "",
        settings);

    conf_problems_init(&problems, w->arena);
    struct conf *c = conf_parse(text, S("test.yaml"), &problems);
    struct snapshot *s = snapshot_build(c, S(""), &problems);
    for (const struct conf_problem *p = problems.first; p != NULL; p = p->next)
        print_error("%u:%u: %.*s\n", p->mark.line, p->mark.column, STR_ARG(p->text));
    EXPECT(problems.count == 0);
    return s;
}

/* `settings` is YAML: first, indented, more of the section `server`; then other sections. */
static inline void
gateway_world_start(struct gateway_world *w, const char *settings)
{
    char why[256];

    *w = (struct gateway_world){ .arena = arena_create(16 * 1024 * 1024),
        .options = MOCK_OPTIONS_DEFAULT };
    w->options.record = 100;
    w->raw = peer_listen();
    w->hub = mock_hub_create(&w->options, WHY(why));
    w->mock_loop = loop_create();
    w->mock = mock_start(w->mock_loop, S("127.0.0.1:0"), w->hub, WHY(why));
    EXPECT(w->hub != NULL && w->mock != NULL);
    w->mock_thread = thread_start("mock", gateway_world_mock_main, w);

    w->snapshot = gateway_world_snapshot(w, settings);
    strcpy(w->log_path, "/tmp/openclaw-world-XXXXXX");
    int fd = mkstemp(w->log_path);
    EXPECT(fd >= 0 && close(fd) == 0);
    w->gateway.events = &front_events;
    w->gateway.workers = 1;
    w->gateway.access_file = log_file_open(w->log_path, 1024 * 1024);
    w->gateway.metrics = metrics_create(1, 50, endpoint_names, ENDPOINT_COUNT);
    w->worker = worker_create(&w->gateway, 0, NULL, snapshot_ref(w->snapshot), NULL, WHY(why));
    if (w->worker == NULL)
        print_error("%s\n", why);
    EXPECT(w->worker != NULL);
    w->port = port_of(worker_address(w->worker, 0));
    buf_init(&w->answer, 64 * 1024 * 1024);
    buf_init(&w->log, 1024 * 1024);
    buf_init(&w->played, 16 * 1024 * 1024);
    worker_start(w->worker);
}

/* Ends everything; the access log can be read afterwards. */
static inline void
gateway_world_stop(struct gateway_world *w)
{
    char room[4096];
    ssize_t n;

    worker_stop(w->worker);
    worker_join(w->worker);
    w->worker_held = quota_held(&w->gateway.held);
    EXPECT_INT(atomic_load(&w->snapshot->refs), 1);    /* ours */
    snapshot_unref(w->snapshot);
    log_file_close(w->gateway.access_file);
    metrics_destroy(w->gateway.metrics);
    loop_post(w->mock_loop, gateway_world_mock_end, w);
    thread_join(w->mock_thread);
    loop_destroy(w->mock_loop);
    mock_hub_destroy(w->hub);
    (void)close(w->raw);
    int fd = open(w->log_path, O_RDONLY | O_CLOEXEC);
    EXPECT(fd >= 0);
    while ((n = read(fd, room, sizeof(room))) > 0)
        buf_add(&w->log, str_make(room, (size_t)n));
    EXPECT(close(fd) == 0 && unlink(w->log_path) == 0);
}

static inline void
gateway_world_forget(struct gateway_world *w)
{
    buf_fini(&w->answer);
    buf_fini(&w->log);
    buf_fini(&w->played);
    arena_destroy(w->arena);
}

/* The text of a request. `fields` are whole lines; a body makes its own length. */
static inline struct str
gateway_world_text(struct gateway_world *w, const char *line, const char *fields, const char *body)
{
    return arena_printf(w->arena,
        "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s%s%zu\r\n\r\n%s", line, fields,
        "Content-Length: ", strlen(body), body);
}

/* Sends a request and reads the whole answer. The status, or 0 when there was none. */
static inline int
gateway_world_ask(struct gateway_world *w, const char *line, const char *fields, const char *body)
{
    int fd = peer_connect(w->port);

    buf_reset(&w->answer, SIZE_MAX);
    EXPECT(peer_send(fd, gateway_world_text(w, line, fields, body)));
    (void)peer_recv_all(fd, &w->answer);
    (void)close(fd);
    return buf_len(&w->answer) > 12 ? atoi(buf_str(&w->answer).p + 9) : 0;
}

/* A piece of gateway_world_play(): sends nothing until the caller has got a keep-alive. */
#define WORLD_UNTIL_KEEPALIVE "keep-alive"

/* Like gateway_world_ask(), and is the provider `raw` meanwhile: takes the request, answers with these
 * pieces, a little apart, and closes the connection. A piece of NULL ends the list. */
static inline int
gateway_world_play(struct gateway_world *w, const char *line, const char *fields, const char *body,
    const char *const *pieces)
{
    int fd = peer_connect(w->port);

    buf_reset(&w->played, SIZE_MAX);
    buf_reset(&w->answer, SIZE_MAX);
    EXPECT(peer_send(fd, gateway_world_text(w, line, fields, body)));
    int provider = peer_next(w->raw);
    EXPECT(provider >= 0 && peer_await(provider, &w->played, "\r\n\r\n"));
    for (; *pieces != NULL; pieces++) {
        if (strcmp(*pieces, WORLD_UNTIL_KEEPALIVE) == 0) {
            EXPECT(peer_await(fd, &w->answer, *pieces));
            continue;
        }
        EXPECT(peer_send(provider, str_c(*pieces)));
        pause_ms(50);
    }
    EXPECT(shutdown(provider, SHUT_WR) == 0);
    (void)peer_recv_all(fd, &w->answer);
    (void)close(fd);
    (void)close(provider);
    return buf_len(&w->answer) > 12 ? atoi(buf_str(&w->answer).p + 9) : 0;
}

#define WORLD_CHAT(model, rest)                                                                    \
    "{\"model\":\"" model "\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" rest "}"
#define WORLD_MESSAGES(model, rest)                                                                \
    "{\"model\":\"" model                                                                          \
    "\",\"max_tokens\":50,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" rest "}"

static inline int
gateway_world_chat(struct gateway_world *w, const char *fields, const char *body)
{
    return gateway_world_ask(w, "POST /v1/chat/completions", fields, body);
}

static inline bool
gateway_world_has(const struct gateway_world *w, const char *what)
{
    struct str s = buf_str(&w->answer);

    return str_find(s, str_c(what)) != s.n;
}

/* Like gateway_world_has(), but prints the answer if the text is missing. */
static inline bool
gateway_world_says(const struct gateway_world *w, const char *what)
{
    if (gateway_world_has(w, what))
        return true;
    print_error("'%s' is not in:\n%.*s\n", what, STR_ARG(buf_str(&w->answer)));
    return false;
}

static inline struct str
gateway_world_body(const struct gateway_world *w)
{
    struct str s = buf_str(&w->answer);
    size_t at = str_find(s, S("\r\n\r\n"));

    return at == s.n ? S("") : str_skip(s, at + 4);
}

/* The last request that the provider received, as JSON. */
static inline struct str
gateway_world_received(struct gateway_world *w)
{
    struct buf got;
    int fd = peer_connect(port_of(mock_address(w->mock)));

    buf_init(&got, 16 * 1024 * 1024);
    EXPECT(peer_send(
        fd, S("GET /mock/requests?last=1 HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n")));
    (void)peer_recv_all(fd, &got);
    (void)close(fd);
    struct str s = arena_str(w->arena, buf_str(&got));
    buf_fini(&got);
    return str_skip(s, str_find(s, S("\r\n\r\n")) + 4);
}

/* The body in it, as text. */
static inline struct str
gateway_world_received_body(struct gateway_world *w)
{
    const struct json *doc = json_parse(w->arena, gateway_world_received(w), NULL, NULL);
    struct json_iter it = json_iter(json_is(doc, JSON_ARRAY) ? doc : json_get(doc, S("requests")));

    EXPECT(json_next(&it));
    const struct json *body = json_get(it.value, S("body"));
    return json_is(body, JSON_STRING) ? json_str(w->arena, body) : json_raw(body);
}

/* Waits until /metrics contains this line. */
static inline bool
gateway_world_metric(struct gateway_world *w, const char *line)
{
    for (int ms = 0; ms < PATIENCE_MS; ms += 30) {
        if (gateway_world_ask(w, "GET /metrics", "", "") == 200 && gateway_world_has(w, line))
            return true;
        pause_ms(30);
    }
    print_error("there is no '%s' in:\n", line);
    (void)fwrite(buf_str(&w->answer).p, 1, buf_len(&w->answer), stderr);
    return false;
}

/* The number of lines of the access log that contain the text. */
static inline unsigned
gateway_world_logged(const struct gateway_world *w, const char *what)
{
    unsigned n = 0;
    struct str line;

    for (struct str s = buf_str(&w->log); s.n != 0;) {
        (void)str_cut(s, '\n', &line, &s);
        n += str_find(line, str_c(what)) != line.n;
    }
    return n;
}

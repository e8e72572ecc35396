/* test_jobs.c - work on helper threads: what happens to an exchange while its job takes long. */
#include "gateway/answer.h"
#include "mock/hub.h"
#include "tests/unit/gateway/gateway_world.h"

enum { MANY_TOKENS = 90000, HOLD_STEP_MS = 5 };

/* Takes the place of loop_offload(): jobs wait while `held` says so. */
void __wrap_loop_offload(
    struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg);
void __real_loop_offload(
    struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg);

struct held_job {
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

static struct gateway_world w;
static atomic_bool held;
static atomic_uint jobs_begun;

static void
work_later(void *arg)
{
    struct held_job *j = arg;

    atomic_fetch_add(&jobs_begun, 1);
    for (int i = 0; i < PATIENCE_MS / HOLD_STEP_MS && atomic_load(&held); i++)
        pause_ms(HOLD_STEP_MS);
    j->work(j->arg);
}

static void
done_later(void *arg)
{
    struct held_job j = *(struct held_job *)arg;

    free(arg);
    j.done(j.arg);
}

void
__wrap_loop_offload(struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
    struct held_job *j = malloc(sizeof(*j));

    EXPECT(j != NULL);
    *j = (struct held_job){ work, done, arg };
    __real_loop_offload(l, work_later, done_later, j);
}

/* Asks for an answer that is large enough for a job, which stays held until `ms` have passed since it
 * began. `fd` is left open. */
static int
ask_and_hold(const char *fields, uint64_t ms)
{
    int fd = peer_connect(w.port);
    const char *body = arena_printf(w.arena,
        "{\"model\":\"mock/m;tokens=%d;tps=0\",\"max_tokens\":%d,\"messages\":[{\"role\":"
        "\"user\",\"content\":\"hi\"}]}",
        MANY_TOKENS, MANY_TOKENS)
                           .p;

    atomic_store(&held, true);
    atomic_store(&jobs_begun, 0);
    EXPECT(peer_send(fd, gateway_world_text(&w, "POST /v1/messages", fields, body)));
    EXPECT(becomes(&jobs_begun, 1));
    pause_ms((int)ms);
    return fd;
}

TEST(a_deadline_that_passes_while_a_large_answer_is_written_ends_the_request)
{
    gateway_world_start(&w, "");
    int fd = ask_and_hold("x-openclaw-timeout: 1s\r\n", 1200);
    atomic_store(&held, false);
    buf_reset(&w.answer, SIZE_MAX);
    (void)peer_recv_all(fd, &w.answer);
    (void)close(fd);
    EXPECT(gateway_world_says(&w, "HTTP/1.1 504 "));
    EXPECT(gateway_world_says(&w, "x-openclaw-error: deadline_exceeded\r\n"));
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("mock/m", "")), 200);
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"status\":504"), 1);
    EXPECT_INT(gateway_world_logged(&w, "\"status\":"), 2);
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}

TEST(a_worker_that_is_stopped_waits_for_its_helper_thread)
{
    gateway_world_start(&w, "");
    int other = peer_connect(w.port);
    EXPECT(peer_send(other, gateway_world_text(&w, "POST /v1/chat/completions", "",
                                WORLD_CHAT("mock/m;head=30s", ""))));
    EXPECT(gateway_world_metric(&w, "openclaw_upstream_calls_open 1\n"));
    int fd = ask_and_hold("", 0);
    worker_stop(w.worker);    /* the other request ends at once */
    pause_ms(200);
    atomic_store(&held, false);
    gateway_world_stop(&w);
    (void)close(other);
    (void)close(fd);
    EXPECT_INT(gateway_world_logged(&w, "\"error\":\"client_gone\""), 2);
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}

TEST(a_client_that_leaves_while_a_large_answer_is_written_ends_the_request)
{
    gateway_world_start(&w, "");
    int fd = ask_and_hold("", 0);
    (void)close(fd);
    for (int i = 0; i < 2; i++)    /* whoever answers has seen the other connection's end */
        EXPECT_INT(gateway_world_ask(&w, "GET /metrics", "", ""), 200);
    atomic_store(&held, false);
    EXPECT(gateway_world_metric(&w, "\nopenclaw_exchanges_in_flight 0\n"));
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"status\":499,\"error\":\"client_gone\""), 1);
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}

/* --- large events --- */

enum { EVENT_TEXT_BYTES = 1000 * 1000, EVENT_PIECE_BYTES = 100 * 1000 };

#define STREAM_HEAD                                                                                \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
#define CHUNK(delta, finish)                                                                       \
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{"      \
    "\"index\":0,\"delta\":{" delta "},\"finish_reason\":" finish "}]}"

static size_t
count_of(const struct buf *b, char c)
{
    struct str s = buf_str(b);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == c;
    return n;
}

/* A stream whose second event has `text_bytes` tildes, up to the end of that event. `finish`: in it. */
static void
add_large_event(struct buf *b, size_t text_bytes, const char *finish)
{
    buf_init(b, 2 * text_bytes + 10000);
    buf_add(b, S(STREAM_HEAD CHUNK("\"role\":\"assistant\",\"content\":\"\"", "null") "\n\n"));
    buf_add(b,
        S("data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{"
          "\"index\":0,\"delta\":{\"content\":\""));
    for (size_t i = 0; i < text_bytes; i++)
        buf_add_c(b, '~');
    buf_printf(b, "\"},\"finish_reason\":%s}]}", finish);
}

/* Asks the provider `raw`, and takes the request in its place. */
static int
ask_raw(const char *line, const char *fields, const char *body, int *ret_provider)
{
    struct buf got;
    int fd = peer_connect(w.port);

    buf_init(&got, 16 * 1024 * 1024);
    EXPECT(peer_send(fd, gateway_world_text(&w, line, fields, body)));
    *ret_provider = peer_next(w.raw);
    EXPECT(*ret_provider >= 0 && peer_await(*ret_provider, &got, "\r\n\r\n"));
    buf_fini(&got);
    return fd;
}

static void
read_answer(int fd)
{
    buf_reset(&w.answer, SIZE_MAX);
    (void)peer_recv_all(fd, &w.answer);
    (void)close(fd);
}

static const struct {
    const char *line, *body, *ends;
} forms[] = {
    { "POST /v1/chat/completions", WORLD_CHAT("raw/m", ",\"stream\":true"), "data: [DONE]\n\n" },
    { "POST /v1/messages", WORLD_MESSAGES("raw/m", ",\"stream\":true"), "message_stop" },
    { "POST /v1/chat/completions", WORLD_CHAT("raw/m", ""), "\"finish_reason\":\"stop\"" },
    { "POST /v1/messages", WORLD_MESSAGES("raw/m", ""), "\"end_turn\"" },
    { "POST /v1/responses/compact", "{\"model\":\"raw/m\",\"stream\":true}", "~\"}" },
};
enum { TRANSLATED = ARRAY_LEN(forms) - 1 };    /* the last one is only passed through */

TEST(a_large_event_is_read_by_a_helper_thread_while_others_are_served)
{
    gateway_world_start(&w, "");
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct buf stream;
        int provider, fd = ask_raw(forms[i].line, "", forms[i].body, &provider);

        atomic_store(&jobs_begun, 0);
        atomic_store(&held, true);
        add_large_event(&stream, EVENT_TEXT_BYTES, "null");
        buf_add(&stream, S("\n\n" CHUNK("", "\"stop\"") "\n\ndata: [DONE]\n\n"));
        struct str head = str_make(buf_str(&stream).p, JOB_LEAST_BYTES + EVENT_PIECE_BYTES);
        EXPECT(peer_send(provider, head));
        for (int k = 0; k < 1000 && atomic_load(&jobs_begun) == 0; k++)
            pause_ms(5);
        EXPECT(atomic_load(&jobs_begun) != 0);
        EXPECT_INT(gateway_world_ask(&w, "GET /livez", "", ""), 200);
        atomic_store(&held, false);
        EXPECT(peer_send(provider, str_skip(buf_str(&stream), head.n)));
        EXPECT(shutdown(provider, SHUT_WR) == 0);
        read_answer(fd);
        EXPECT_INT(count_of(&w.answer, '~'), EVENT_TEXT_BYTES);
        EXPECT(gateway_world_has(&w, "HTTP/1.1 200 ") && gateway_world_has(&w, forms[i].ends));
        (void)close(provider);
        buf_fini(&stream);
    }
    EXPECT(loop_longest_turn(w.worker->loop) < EVENT_TEXT_BYTES);
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"outcome\":\"ok\""), ARRAY_LEN(forms));
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}

TEST(a_large_event_may_be_the_last_one_and_lack_its_end)
{
    gateway_world_start(&w, "");
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct buf stream;
        int provider, fd = ask_raw(forms[i].line, "", forms[i].body, &provider);

        atomic_store(&jobs_begun, 0);
        add_large_event(&stream, EVENT_TEXT_BYTES, "\"stop\"");
        EXPECT(peer_send(provider, buf_str(&stream)));
        EXPECT(shutdown(provider, SHUT_WR) == 0);
        read_answer(fd);
        EXPECT(atomic_load(&jobs_begun) != 0);
        EXPECT_INT(count_of(&w.answer, '~'), EVENT_TEXT_BYTES);
        EXPECT(gateway_world_has(&w, "HTTP/1.1 200 ") && gateway_world_has(&w, forms[i].ends));
        (void)close(provider);
        buf_fini(&stream);
    }
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"outcome\":\"ok\""), ARRAY_LEN(forms));
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}

TEST(a_large_event_that_is_broken_or_cut_fails_the_attempt)
{
    static const char *const endings[] = { "}\n\n", "" };

    gateway_world_start(&w, "");
    for (size_t i = 0; i < TRANSLATED; i++)
        for (size_t k = 0; k < ARRAY_LEN(endings); k++) {
            struct buf stream;
            int provider, fd = ask_raw(forms[i].line, "", forms[i].body, &provider);

            add_large_event(&stream, EVENT_TEXT_BYTES, "null");
            buf_add(&stream, str_c(endings[k]));
            EXPECT(peer_send(provider, buf_str(&stream)));
            EXPECT(shutdown(provider, SHUT_WR) == 0);
            read_answer(fd);
            EXPECT(gateway_world_has(&w, "\"error\""));
            (void)close(provider);
            buf_fini(&stream);
        }
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"outcome\":\"upstream_protocol\""), TRANSLATED);
    EXPECT_INT(gateway_world_logged(&w, "\"outcome\":\"upstream_truncated\""), TRANSLATED);
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}

TEST(a_client_or_provider_that_leaves_while_a_large_event_is_read_ends_the_request)
{
    gateway_world_start(&w, "");
    for (int leaves = 0; leaves < 2; leaves++) {
        struct buf stream;
        int provider, fd = ask_raw(forms[0].line, "", forms[0].body, &provider);

        atomic_store(&jobs_begun, 0);
        atomic_store(&held, true);
        add_large_event(&stream, EVENT_TEXT_BYTES, "null");
        EXPECT(
            peer_send(provider, str_make(buf_str(&stream).p, JOB_LEAST_BYTES + EVENT_PIECE_BYTES)));
        for (int k = 0; k < 1000 && atomic_load(&jobs_begun) == 0; k++)
            pause_ms(5);
        EXPECT(atomic_load(&jobs_begun) != 0);
        (void)close(leaves == 0 ? fd : provider);
        for (int i = 0; i < 2; i++)    /* whoever answers has seen the other connection's end */
            EXPECT_INT(gateway_world_ask(&w, "GET /metrics", "", ""), 200);
        atomic_store(&held, false);
        if (leaves == 0)
            (void)close(provider);
        else
            read_answer(fd);
        buf_fini(&stream);
    }
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"outcome\":\"client_gone\""), 1);
    EXPECT_INT(gateway_world_logged(&w, "\"outcome\":\"upstream_protocol\""), 1);
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}

/* --- an answer that breaks while much of it has still to be sent --- */

static atomic_uint looked;
static bool more, failed;
static size_t backlog;

/* At the only exchange; one that is no longer there has handed on all it had. */
static void
look(void *arg UNUSED)
{
    struct exchange *x = w.worker->exchanges != NULL ? exchange_of(w.worker->exchanges) : NULL;

    more = x != NULL && x->delivery.more;
    failed = x == NULL || x->error != OK;
    backlog = x != NULL ? server_backlog(x->q) : SIZE_MAX;
    atomic_fetch_add(&looked, 1);
}

static bool
look_until(const bool *sign)
{
    for (int i = 0; i < PATIENCE_MS / HOLD_STEP_MS && !*sign; i++) {
        atomic_store(&looked, 0);
        loop_post(w.worker->loop, look, NULL);
        EXPECT(becomes(&looked, 1));
        pause_ms(HOLD_STEP_MS);
    }
    return *sign;
}

static void
break_it(void *arg UNUSED)
{
    attempt_fail(exchange_of(w.worker->exchanges)->attempt, ERR_UPSTREAM_STALLED, NULL);
}

TEST(what_is_left_of_a_broken_answer_is_sent_in_pieces)
{
    enum { LARGE_TEXT_BYTES = 5 * 1000 * 1000 };
    struct buf stream, got;
    int small = 4096, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    gateway_world_start(&w, "");
    to.sin_port = htons(w.port);
    EXPECT(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) == 0);
    EXPECT(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
    EXPECT(peer_send(fd, gateway_world_text(&w, forms[0].line, "", forms[0].body)));
    int provider = peer_next(w.raw);
    buf_init(&got, SIZE_MAX);
    EXPECT(provider >= 0 && peer_await(provider, &got, "\r\n\r\n"));
    add_large_event(&stream, LARGE_TEXT_BYTES, "null");
    buf_add(&stream, S("\n\n"));
    EXPECT(peer_send(provider, buf_str(&stream)));
    EXPECT(look_until(&more));    /* the caller has not read */
    loop_post(w.worker->loop, break_it, NULL);
    EXPECT(look_until(&failed));
    EXPECT(backlog <= SERVER_HIGH_WATERMARK_BYTES + 2 * DELIVERY_PIECE_BYTES);
    buf_reset(&got, SIZE_MAX);
    (void)peer_recv_all(fd, &got);
    (void)close(fd);
    EXPECT_INT(count_of(&got, '~'), LARGE_TEXT_BYTES);
    struct str end = str_skip(buf_str(&got), buf_len(&got) - MIN(buf_len(&got), 1000));
    EXPECT(str_find(end, S("\"error\":{")) != end.n);
    buf_fini(&got);
    buf_fini(&stream);
    (void)close(provider);
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"outcome\":\"upstream_stalled\""), 1);
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}

/* --- several attempts --- */

static void
begin_to_write(void *arg UNUSED)
{
    struct attempt *a = gateway_world_attempt(&w);

    CHECK(!request_work(a->request, written_write_body, a->written));
}

#define BEFORE_TEXT                                                                                \
    "{\"model\":\"two\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\""
#define AFTER_TEXT "\"}]}"

TEST(an_attempt_that_loses_while_a_helper_thread_writes_its_request_is_stopped_afterwards)
{
    enum { TEXT_BYTES = 400 * 1000 };
    struct buf request, got;

    gateway_world_start(&w, "models: {two: {targets: [raw/m, anth/m]}}\n");
    buf_init(&request, 2 * TEXT_BYTES);
    buf_init(&got, SIZE_MAX);
    for (size_t i = 0; i < TEXT_BYTES; i++)
        buf_add_c(&got, 'x');
    buf_printf(&request,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        "Content-Length: %zu\r\n\r\n",
        sizeof(BEFORE_TEXT AFTER_TEXT) - 1 + TEXT_BYTES);
    buf_add(&request, S(BEFORE_TEXT));
    buf_add(&request, buf_str(&got));
    buf_add(&request, S(AFTER_TEXT));
    buf_reset(&got, SIZE_MAX);
    atomic_store(&held, false);
    int fd = peer_connect(w.port);
    EXPECT(peer_send(fd, buf_str(&request)));
    int provider = peer_next(w.raw);
    EXPECT(provider >= 0);
    EXPECT(peer_await(provider, &got, AFTER_TEXT));
    atomic_store(&jobs_begun, 0);
    atomic_store(&held, true);
    loop_post(w.worker->loop, begin_to_write, NULL);
    EXPECT(becomes(&jobs_begun, 1));
    EXPECT(peer_send(provider, S(STREAM_HEAD CHUNK("\"content\":\"won\"", "\"stop\"") "\n\n")));
    EXPECT(peer_send(provider, S("data: [DONE]\n\n")));
    EXPECT(shutdown(provider, SHUT_WR) == 0);
    buf_reset(&w.answer, SIZE_MAX);
    EXPECT(peer_await(fd, &w.answer, "won"));
    atomic_store(&held, false);
    (void)peer_recv_all(fd, &w.answer);
    (void)close(fd);
    (void)close(provider);
    EXPECT(gateway_world_says(&w, "x-openclaw-provider: raw\r\n"));
    EXPECT(gateway_world_says(&w, "data: [DONE]"));
    buf_fini(&request);
    buf_fini(&got);
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"outcome\":\"outrun\""), 1);
    EXPECT_INT(gateway_world_logged(&w, "\"outcome\":\"ok\""), 1);
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}

static void
begin_shadow(void *arg UNUSED)
{
    struct attempt *a = gateway_world_attempt(&w);

    written_write_body(a->written);
    answer_await(a);
    attempt_let_go(a);
}

TEST(a_large_answer_of_an_attempt_that_nobody_sees_is_read_by_a_helper_thread)
{
    gateway_world_start(&w, "models: {two: {targets: [raw/m, \"mock/m;tokens=90000;tps=0\"]}}\n");
    for (int i = 0; i < 2; i++) {
        int provider, fd = ask_raw("POST /v1/chat/completions", "",
                          WORLD_CHAT("two", ",\"max_tokens\":90000"), &provider);

        atomic_store(&jobs_begun, 0);
        atomic_store(&held, true);
        loop_post(w.worker->loop, begin_shadow, NULL);
        EXPECT(becomes(&jobs_begun, 1));
        EXPECT(peer_send(
            provider, S("HTTP/1.1 500 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")));
        read_answer(fd);    /* its exchange ends before it does */
        (void)close(provider);
        atomic_store(&held, false);
        if (i == 0)
            EXPECT(gateway_world_metric(&w, "model=\"m;tokens=90000;tps=0\",outcome=\"ok\"} 1\n"));
    }
    gateway_world_stop(&w);    /* waits for the second one */
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}

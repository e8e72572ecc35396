/* test_jobs.c - work on helper threads: what happens to an exchange while its job takes long. */
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

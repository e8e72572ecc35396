/* test_worker.c - reloading and draining while requests are under way. */
#include "gateway/worker.c"

#include "tests/unit/gateway/gateway_world.h"

static struct gateway_world w;

static void
finish(void)
{
    gateway_world_stop(&w);
    gateway_world_forget(&w);
}

/* A stream of so many tokens at 50 a second has begun. */
static int
begin_stream(struct buf *got, const char *body)
{
    int fd = peer_connect(w.port);

    buf_init(got, 1024 * 1024);
    EXPECT(peer_send(fd, gateway_world_text(&w, "POST /v1/chat/completions", "", body)));
    EXPECT(peer_await(fd, got, "\"content\":"));
    return fd;
}

static bool
ends_well(int fd, struct buf *got)
{
    (void)peer_recv_all(fd, got);
    (void)close(fd);
    struct str s = buf_str(got);
    bool well = str_find(s, S("data: [DONE]\n\n")) != s.n && str_ends(s, S("0\r\n\r\n"));
    buf_fini(got);
    return well;
}

TEST(a_stream_survives_a_reload)
{
    struct buf got;

    gateway_world_start(&w, "models:\n  old: {targets: [\"mock/m;tps=50;tokens=30\"]}\n");
    int fd = begin_stream(&got, WORLD_CHAT("old", ",\"stream\":true"));
    struct snapshot *next = gateway_world_snapshot(&w, "models:\n  new: {targets: [mock/m]}\n");
    worker_reload(w.worker, snapshot_ref(next), NULL);
    snapshot_unref(w.snapshot);
    w.snapshot = next;
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("new", "")), 200);
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models", "", ""), 200);
    EXPECT(gateway_world_has(&w, "\"id\":\"new\"") && !gateway_world_has(&w, "\"id\":\"old\""));
    EXPECT(ends_well(fd, &got));
    finish();
}

static _Atomic bool held_up;

static void
hold_up(void *arg)
{
    (void)arg;
    while (atomic_load(&held_up))
        (void)usleep(1000);
}

static void
ignore(void *arg)
{
    (void)arg;
}

TEST(a_reload_reaches_a_worker_that_has_no_room_for_messages)
{
    gateway_world_start(&w, "models:\n  old: {targets: [mock/m]}\n");
    atomic_store(&held_up, true);
    EXPECT(loop_post(w.worker->loop, hold_up, NULL));
    while (loop_post(w.worker->loop, ignore, NULL))
        ;
    struct snapshot *next = gateway_world_snapshot(&w, "models:\n  between: {targets: [mock/m]}\n");
    worker_reload(w.worker, next, NULL);
    next = gateway_world_snapshot(&w, "models:\n  new: {targets: [mock/m]}\n");
    worker_reload(w.worker, snapshot_ref(next), NULL);
    snapshot_unref(w.snapshot);
    w.snapshot = next;
    atomic_store(&held_up, false);
    for (unsigned i = 0; i < 100 && atomic_load(&w.worker->reload) != NULL; i++)
        (void)usleep(100000);
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("new", "")), 200);
    finish();
}

TEST(no_request_fails_during_a_hundred_reloads)
{
    gateway_world_start(&w, "");
    for (int i = 0; i < 100; i++) {
        struct snapshot *next =
            gateway_world_snapshot(&w, "models:\n  fast: {targets: [mock/m]}\n");

        worker_reload(w.worker, snapshot_ref(next), NULL);
        snapshot_unref(w.snapshot);
        w.snapshot = next;
        EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("mock/m", "")), 200);
    }
    finish();
}

TEST(keys_removed_by_a_reload_are_refused)
{
    gateway_world_start(&w, "auth: {keys: [{name: a, key: key-of-a}]}\n");
    EXPECT_INT(gateway_world_chat(&w, "x-api-key: key-of-a\r\n", WORLD_CHAT("mock/m", "")), 200);
    struct snapshot *next =
        gateway_world_snapshot(&w, "auth: {keys: [{name: b, key: key-of-b}]}\n");
    worker_reload(w.worker, snapshot_ref(next), NULL);
    snapshot_unref(w.snapshot);
    w.snapshot = next;
    EXPECT_INT(gateway_world_chat(&w, "x-api-key: key-of-b\r\n", WORLD_CHAT("mock/m", "")), 200);
    EXPECT_INT(gateway_world_chat(&w, "x-api-key: key-of-a\r\n", WORLD_CHAT("mock/m", "")), 401);
    finish();
}

TEST(while_draining_readyz_fails_and_requests_are_served)
{
    gateway_world_start(&w, "");
    atomic_store(&w.gateway.draining, true);
    EXPECT_INT(gateway_world_ask(&w, "GET /readyz", "", ""), 503);
    EXPECT(gateway_world_says(&w, "\"status\":\"draining\""));
    EXPECT_INT(gateway_world_ask(&w, "GET /livez", "", ""), 200);
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("mock/m", "")), 200);
    finish();
}

TEST(draining_closes_idle_connections_and_cuts_no_stream)
{
    struct buf got, nothing;

    gateway_world_start(&w, "");
    int idle = peer_connect(w.port);
    int fd = begin_stream(&got, WORLD_CHAT("mock/m;tps=50;tokens=30", ",\"stream\":true"));
    worker_drain(w.worker);
    EXPECT(worker_busy(w.worker) != 0);
    buf_init(&nothing, 64 * 1024);
    EXPECT(peer_recv(idle, &nothing, PATIENCE_MS) == PEER_CLOSED);
    (void)close(idle);
    buf_fini(&nothing);
    EXPECT(ends_well(fd, &got));
    for (int i = 0; i < PATIENCE_MS && worker_busy(w.worker) != 0; i++)
        pause_ms(1);
    EXPECT_INT(worker_busy(w.worker), 0);
    finish();
}

/* How often the thread of that name went to sleep. */
static unsigned
sleeps(const char *name)
{
    static const char script[] =
        "cd /proc/%d/task && for t in *; do [ \"$(cat $t/comm)\" = %s ] && "
        "sed -n 's/^voluntary_ctxt_switches:\\s*//p' $t/status; done";
    char command[512], line[64] = "";

    snprintf(command, sizeof(command), script, (int)getpid(), name);
    FILE *f = popen(command, "r");
    EXPECT(f != NULL && fgets(line, sizeof(line), f) != NULL);
    (void)pclose(f);
    return (unsigned)strtoul(line, NULL, 10);
}

TEST(a_stream_that_waits_does_not_wake_its_worker)
{
    struct buf got;

    gateway_world_start(&w, "");
    int fd = begin_stream(&got, WORLD_CHAT("mock/m;tps=0.1;tokens=30", ",\"stream\":true"));
    pause_ms(200);    /* what the beginning has to be told has been told */
    unsigned before = sleeps("worker-0");
    pause_ms(2000);
    EXPECT(sleeps("worker-0") - before <= 8);
    (void)close(fd);
    buf_fini(&got);
    finish();
}

static atomic_bool stuck;
static atomic_uint times_stuck;

static void
be_stuck(void *arg UNUSED)
{
    atomic_fetch_add(&times_stuck, 1);
    for (int i = 0; i < PATIENCE_MS && atomic_load(&stuck); i++)
        pause_ms(1);
}

static void
do_nothing(void *arg UNUSED)
{
}

TEST(a_worker_that_is_stuck_keeps_its_configuration_and_counts_what_it_was_not_told)
{
    gateway_world_start(&w, "");
    struct snapshot *next = gateway_world_snapshot(&w, "models:\n  new: {targets: [mock/m]}\n");

    atomic_store(&stuck, true);
    EXPECT(loop_post(w.worker->loop, be_stuck, NULL));
    EXPECT(becomes(&times_stuck, 1));
    while (loop_post(w.worker->loop, do_nothing, NULL))
        continue;
    worker_reload(w.worker, snapshot_ref(next), NULL);
    EXPECT(loop_dropped(w.worker->loop) == 2);
    atomic_store(&stuck, false);
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models", "", ""), 200);
    EXPECT(!gateway_world_has(&w, "\"id\":\"new\""));
    EXPECT(gateway_world_metric(&w, "\nopenclaw_messages_dropped_total 2\n"));
    worker_reload(w.worker, next, NULL);
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models", "", ""), 200);
    EXPECT(gateway_world_has(&w, "\"id\":\"new\""));
    finish();
}

static void
notice_crowd(void *arg)
{
    struct worker *one = arg;

    one->crowds--;    /* as if another worker had found no room since the last tick */
}

TEST(idle_connections_make_room_for_the_callers_of_other_workers)
{
    struct buf got;

    gateway_world_start(&w, "");
    int idle = peer_connect(w.port);
    buf_init(&got, 64 * 1024);
    EXPECT(peer_send(idle, S("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")));
    EXPECT(peer_await(idle, &got, "200 OK"));
    EXPECT(peer_recv(idle, &got, 2 * TICK_SOON_MS) == PEER_SILENT);
    loop_post(w.worker->loop, notice_crowd, w.worker);
    EXPECT(peer_recv_all(idle, &got) == PEER_CLOSED);
    (void)close(idle);
    buf_fini(&got);
    finish();
}

TEST(stopping_settles_requests_in_progress)
{
    struct buf got;

    gateway_world_start(&w, "");
    int fd = begin_stream(&got, WORLD_CHAT("mock/m;tps=10;tokens=1000", ",\"stream\":true"));
    int other = peer_connect(w.port);
    EXPECT(peer_send(other, gateway_world_text(&w, "POST /v1/chat/completions", "",
                                WORLD_CHAT("mock/m;head=30s", ""))));
    EXPECT(gateway_world_metric(&w, "openclaw_upstream_calls_open 2\n"));
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"client_abort\":true"), 2);
    EXPECT(!ends_well(fd, &got));
    (void)close(other);
    gateway_world_forget(&w);
}

TEST(an_address_in_use_is_reported_and_nothing_is_leaked)
{
    char why[256] = "";

    gateway_world_start(&w, "");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(a);
    EXPECT(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 1) == 0);
    EXPECT(getsockname(fd, (struct sockaddr *)&a, &n) == 0);
    struct snapshot *s = gateway_world_snapshot(&w, "");
    struct conf_str *address = &s->conf->server.listen.list[0];
    address->v = arena_printf(w.arena, "127.0.0.1:%u", (unsigned)ntohs(a.sin_port));
    EXPECT(worker_create(&w.gateway, 0, NULL, snapshot_ref(s), NULL, WHY(why)) == NULL);
    EXPECT(strstr(why, "in use") != NULL);
    snapshot_unref(s);
    (void)close(fd);
    finish();
}

/* The start failed after that: another setting was wrong. */
TEST(a_worker_that_never_started_takes_what_it_was_told_before_it_is_freed)
{
    char why[256] = "", path[64];

    gateway_world_start(&w, "");
    struct worker *other =
        worker_create(&w.gateway, 0, NULL, snapshot_ref(w.snapshot), NULL, WHY(why));
    EXPECT(other != NULL);
    (void)snprintf(path, sizeof(path), "/tmp/openclaw-local-%ld", (long)getpid());
    struct bound *held = NULL;
    EXPECT(worker_hold_local(str_c(path), &held, WHY(why)));
    worker_open_local(other, str_c(path));
    worker_reload(other, snapshot_ref(w.snapshot), NULL);
    worker_leave(other);
    worker_drain(other);
    worker_join(other);    /* all that it opened is closed: else its loop is never freed */
    listen_hold_drop(held);
    finish();
}

TEST(an_unlisted_model_is_counted_as_other)
{
    gateway_world_start(&w, "models:\n  fast: {targets: [mock/listed]}\n");
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("mock/whatever-a-stranger-writes", "")), 200);
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("fast", "")), 200);
    EXPECT(gateway_world_metric(&w,
        "openclaw_upstream_attempts_total{provider=\"mock\",model=\"other\",outcome=\"ok\"} 1\n"));
    EXPECT(gateway_world_metric(&w,
        "openclaw_upstream_attempts_total{provider=\"mock\",model=\"listed\",outcome=\"ok\"} 1\n"));
    EXPECT(!gateway_world_has(&w, "stranger"));
    finish();
}

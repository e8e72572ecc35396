/* fuzz_exchange.c - the whole gateway between callers and providers that do anything, at any
 * moment.
 *
 * One worker, real but for its clock, is turned step by step in this thread. The input is a list of
 * actions: callers connect, ask, send rubbish, read slowly, leave; providers answer early, late,
 * wrongly, in pieces, or hang up; time jumps; the configuration changes. Whatever they do:
 *
 *   - no memory error, leak or undefined behaviour (the sanitizers), no CHECK that fails
 *   - at the end nothing is under way, nothing is held, every exchange has its one line in the log
 *   - no caller and no log sees a secret; no caller sees another one's answer
 *   - a provider gets well-formed requests, each on a connection that is at rest, each with its own
 *     key and with nothing of any other request
 *   - memory is bounded by what came in
 */
#include <sys/stat.h>

#include "base/log.h"
#include "gateway/exchange.h"
#include "gateway/front.h"
#include "tests/fuzz/exchange_h2.h"
#include "tests/fuzz/exchange_time.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    INPUT_MAX_BYTES = 16 * 1024,
    ACTIONS_MAX = 400,
    SNAPSHOTS = 3,
    JOBS_MAX = 64,
    LOG_QUEUE_BYTES = 8 * 1024 * 1024,
    PROVIDERS = 4,
    UPSTREAM_SLOTS = PROVIDERS * UPSTREAM_CONNECTIONS,
    MEMORY_BASE_BYTES = 12 * 1024 * 1024,
    MEMORY_PER_BYTE = 40,
    SMALL_JOB_BYTES = 200,    /* helper threads work on nearly all requests and answers */
    QUIET_ROUNDS = 40,        /* each of a few turns and some seconds */
};

struct world {
    struct gateway gateway;
    struct worker *worker;
    struct snapshot *snapshots[SNAPSHOTS];
    struct caller callers[CALLERS];
    unsigned connections;
    size_t allocated;    /* before anything moved */
};

static char folder[64];
static char gateway_path[108];
static struct log_file *access_file, *error_file;
static struct buf access_lines, error_lines;    /* of this run */
static struct provider_end providers[PROVIDERS] = {
    { .name = "alpha", .key = S_INIT(KEY_ALPHA) },
    { .name = "beta", .key = S_INIT(KEY_BETA) },
    { .name = "claude", .key = S_INIT(KEY_CLAUDE), .anthropic = true },
    { .name = H2_NAME, .key = S_INIT(KEY_GAMMA), .h2 = true },
};

/* --- once --- */

static void
remove_folder(void)
{
    for (size_t i = 0; i < ARRAY_LEN(providers); i++)
        (void)unlink(providers[i].path);
    (void)rmdir(folder);
}

static void
prepare(void)
{
    const char *parent = getenv("TMPDIR");

    (void)snprintf(folder, sizeof(folder), "%s/openclaw-fuzz-XXXXXX",
        parent != NULL && strlen(parent) < 30 ? parent : "/tmp");
    CHECK(mkdtemp(folder) != NULL);
    (void)atexit(remove_folder);
    (void)snprintf(gateway_path, sizeof(gateway_path), "%s/gateway", folder);
    tracing = getenv("EXCHANGE_TRACE") != NULL;
    error_file = log_file_open("/dev/null", LOG_QUEUE_BYTES);
    access_file = log_file_open("/dev/null", LOG_QUEUE_BYTES);
    log_start(error_file, LOG_DEBUG, true);
    buf_init(&access_lines, SIZE_MAX);
    buf_init(&error_lines, SIZE_MAX);
    for (size_t i = 0; i < ARRAY_LEN(providers); i++)
        provider_open(&providers[i], folder);
}

/* Takes the place of log_file_write(): lines need not make the detour over a thread and a disk. */
bool __wrap_log_file_write(struct log_file *f, struct str lines);

bool
__wrap_log_file_write(struct log_file *f, struct str lines)
{
    TRACE(STR_FMT, STR_ARG(lines));
    buf_add(f == access_file ? &access_lines : &error_lines, lines);
    return true;
}

/* Takes the place of loop_offload(): the same input does the same, whatever other threads do. Every
 * other job takes a few turns, in which callers leave and clocks run out. */
void __wrap_loop_offload(
    struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg);

static struct late_job {
    struct loop *loop;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
    uint64_t turn;
} jobs[JOBS_MAX];
static unsigned jobs_n, jobs_started;
static bool ending;    /* the worker runs until it has ended: there are no more turns */

void
__wrap_loop_offload(struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
    CHECK(jobs_n < JOBS_MAX);
    if (ending) {
        work(arg);
        CHECK(loop_post(l, done, arg));
        return;
    }
    unsigned delay = jobs_started++ % 2 == 0 ? 0 : 1 + jobs_started / 2 % 6;
    jobs[jobs_n++] = (struct late_job){ l, work, done, arg, turns + delay };
}

static void
run_jobs(uint64_t until_turn)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < jobs_n; i++) {
        struct late_job j = jobs[i];

        if (j.turn > until_turn) {
            jobs[kept++] = j;
            continue;
        }
        j.work(j.arg);
        CHECK(loop_post(j.loop, j.done, j.arg));
    }
    jobs_n = kept;
}

/* --- the gateway --- */

/* "http+unix://%2Ftmp%2F...%2Falpha/v1" for the name "alpha". Only tests may say so. */
static void
move_to_socket(struct conf *c, struct conf_provider *p)
{
    struct str url = S("http+unix://");

    for (const char *at = folder; *at != '\0'; at++)
        url = arena_printf(
            c->arena, STR_FMT "%.*s", STR_ARG(url), *at == '/' ? 3 : 1, *at == '/' ? "%2F" : at);
    p->base_url.v =
        arena_printf(c->arena, STR_FMT "%%2F" STR_FMT "/v1", STR_ARG(url), STR_ARG(p->id.v));
}

#define HEAD                                                                                       \
    "providers:\n"                                                                                 \
    "  alpha: {wire: openai-chat, base_url: \"http://a\", api_key: \"" KEY_ALPHA "\"}\n"           \
    "  beta: {wire: openai-chat, base_url: \"http://b\", api_key: \"" KEY_BETA "\"}\n"             \
    "  claude: {wire: anthropic-messages, base_url: \"http://c\", api_key: \"" KEY_CLAUDE "\"}\n"  \
    "  gamma: {wire: openai-chat, base_url: \"http://g\", api_key: \"" KEY_GAMMA "\"}\n"           \
    "  dead: {wire: openai-chat, base_url: \"http://d\", api_key: \"" KEY_BETA "\"}\n"             \
    "auth: {keys: [{name: ann, key: " KEY_ANN "}, {name: loose, key: " KEY_LOOSE                   \
    "}, {name: bob, key: " KEY_BOB ", models: [fall]}]}\n"                                         \
    "timeouts: {connect: 5s, first_token: 20s, between_tokens: 10s, total: 60s}\n"                 \
    "default_provider: alpha\n"

static const char *const settings[SNAPSHOTS] = {
    HEAD
    "models: {fall: {targets: [alpha/a, gamma/g, claude/c, beta/b]}, m: {strategy: cascade, targets: "
    "[dead/d, beta/b, gamma/g], cascade: {escalate: [empty, refusal, invalid_json, length, low_logprob], judge: "
    "{model: claude/j, timeout: 3s}}, shadow: {target: alpha/s, usd_per_day: 0}}}\n"
    "server: {limits: {body: 1MB, held: 2MB, answer: 1MB}}\n",
    HEAD
    "models: {fall: {targets: [gamma/c, alpha/a]}, m: {strategy: fuse, targets: [claude/m, alpha/m, "
    "gamma/m, beta/m], fuse: {choose: vote, wait: 4s}, shadow: {target: fall, usd_per_day: 0, sample: 50%}}}\n"
    "server: {keepalive: 2s, queue: {length: 3, wait: 2s}, limits: {body: 64KB, held: 1MB, answer: 16KB, event: 1KB, header: 1KB,"
    " streams_per_key: 2, idle: 3s, body_rate: 0}}\n"
    "chaos: {seed: 3, faults: [{target: alpha, kind: cut, after: 100, share: 10}, {kind: stall, share: 5},"
    " {kind: stall, after: 60, share: 5}, {kind: status, share: 5}, {kind: reset, share: 5},"
    " {kind: delay, share: 10}]}\n",
    HEAD
    "models: {fall: {targets: [{model: beta/b, params: {temperature: 0.1, x: [1]}}, claude/c]}, m: {strategy: fuse, "
    "targets: [gamma/g, beta/b], fuse: {ask: 2, choose: judge, judge: {model: fall, timeout: 2s}}}}\n"
    "server: {queue: {length: 2, wait: 5s}, limits: {body: 1MB, held: 2MB, answer: 1MB, requests: 2, json_values: 1000, "
    "json_depth: 4, wrong_keys: 3, connections: 4}}\n",
};

static struct snapshot *
snapshot_of(const char *text)
{
    struct arena *a = arena_create(1024 * 1024);
    struct conf_problems problems;

    conf_problems_init(&problems, a);
    struct conf *c = conf_parse(str_c(text), S("fuzz.yaml"), &problems);
    for (size_t i = 0; i < c->provider_count; i++)
        move_to_socket(c, &c->providers[i]);
    c->server.listen.list[0].v = arena_printf(c->arena, "unix:%s", gateway_path);
    struct snapshot *s = snapshot_build(c, S(""), &problems);
    for (const struct conf_problem *p = problems.first; p != NULL; p = p->next)
        fprintf(stderr, "%u:%u: " STR_FMT "\n", p->mark.line, p->mark.column, STR_ARG(p->text));
    CHECK(problems.count == 0);
    arena_destroy(a);
    return s;
}

/* Bytes allocated in this process; 0 where nobody counts them. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t
allocated(void)
{
    return __sanitizer_get_current_allocated_bytes != NULL
               ? __sanitizer_get_current_allocated_bytes()
               : 0;
}

static void
start(struct world *w, unsigned reluctance)
{
    char why[256];

    *w = (struct world){ .gateway = { .events = &front_events, .workers = 1 } };
    written_bytes = turns = marks_n = jobs_started = 0;
    time_set(EXCHANGE_START_US);
    clock_seed_for_tests(1);
    for (unsigned i = 0; i < SNAPSHOTS; i++)
        w->snapshots[i] = snapshot_of(settings[i]);
    w->gateway.access_file = access_file;
    w->gateway.metrics = metrics_create(1, 20, endpoint_names, ENDPOINT_COUNT);
    w->worker = worker_create(&w->gateway, 0, NULL, snapshot_ref(w->snapshots[0]), NULL, WHY(why));
    CHECK(w->worker != NULL);
    for (size_t i = 0; i < CALLERS; i++)
        w->callers[i].end.fd = -1;
    for (size_t i = 0; i < ARRAY_LEN(providers); i++)
        providers[i].reluctant = (reluctance >> i & 1) != 0;
    w->allocated = allocated();
}

/* --- turns --- */

static void
stop_loop(void *arg)
{
    loop_stop(arg);
}

static void
check_memory(const struct world *w)
{
    size_t limit = MEMORY_BASE_BYTES + MEMORY_PER_BYTE * (size_t)written_bytes;

    if (allocated() <= w->allocated + limit)
        return;
    fprintf(stderr, "%zu bytes are allocated for %llu written\n", allocated() - w->allocated,
        (unsigned long long)written_bytes);
    abort();
}

/* One turn of the worker's loop; what it sent to providers is judged at once. */
static void
turn(struct world *w)
{
    turns++;
    TRACE("--- turn %llu\n", (unsigned long long)turns);
    for (size_t i = 0; i < CALLERS; i++) {
        if (w->callers[i].end.eager)
            end_flush(&w->callers[i].end, SIZE_MAX);
    }
    run_jobs(turns);
    loop_post(w->worker->loop, stop_loop, w->worker->loop);
    loop_run(w->worker->loop);
    for (size_t i = 0; i < ARRAY_LEN(providers); i++)
        provider_turn(&providers[i]);
    check_memory(w);
}

/* --- actions of callers --- */

static struct caller *
pick_caller(struct world *w, struct input *in)
{
    struct caller *c = &w->callers[input_byte(in) % CALLERS];

    if (c->end.fd < 0)
        caller_open(c, gateway_path, ++w->connections);
    return c;
}

static void
add_request(struct caller *c, struct input *in, struct buf *b)
{
    static const size_t paddings[] = { 0, 10, 1000, 20000, 300000, 300000 };
    static const char *const keys[] = { KEY_ANN, KEY_BOB, KEY_ANN, KEY_ANN };
    const struct golden_ask *ask = &asks[input_byte(in) % ARRAY_LEN(asks)];
    const char *model = ask_models[input_byte(in) % ARRAY_LEN(ask_models)];
    const char *fields = ask_fields[input_byte(in) % ARRAY_LEN(ask_fields)];
    unsigned how = input_byte(in);
    unsigned more = input_byte(in);
    size_t padding = paddings[more % ARRAY_LEN(paddings)];
    unsigned members = more < 128 ? 0 : input_byte(in);
    bool chunked = ask->body != ASK_NONE && (how & 2) != 0;
    bool loose = (how & 0x0c) == 0x0c;
    const char *key = loose ? KEY_LOOSE : more > 240 ? "wrong" : keys[how >> 6];
    struct str mark = mark_new(c->id, false);
    struct buf body;

    buf_init(&body, SIZE_MAX);
    ask_add_body(&body, ask->body, model, mark, padding, members, (how & 1) != 0);
    if ((how & 0x30) == 0x30)
        input_mutate(in, &body, 0);
    size_t head_at = buf_len(b);
    buf_printf(b, "%s HTTP/1.1\r\nHost: localhost\r\n%s", ask->line, fields);
    if (ask->body != ASK_NONE)
        buf_printf(b, "Content-Type: %s\r\n",
            ask->body == ASK_FORM  ? "multipart/form-data; boundary=b"
            : ask->body == ASK_RAW ? "application/octet-stream"
                                   : "application/json");
    if (chunked)
        buf_add(b, S("Transfer-Encoding: chunked\r\n"));
    else if (ask->body != ASK_NONE)
        buf_printf(b, "Content-Length: %zu\r\n", buf_len(&body));
    if (loose)
        input_mutate(in, b, head_at);
    buf_printf(b, "Authorization: Bearer %s\r\n\r\n", key);
    if (chunked) {
        if (buf_len(&body) != 0)
            buf_printf(b, "%zx\r\n" STR_FMT "\r\n", buf_len(&body), STR_ARG(buf_str(&body)));
        buf_add(b, S("0\r\n\r\n"));
    } else {
        buf_add(b, buf_str(&body));
    }
    buf_fini(&body);
}

static size_t
pick_amount(struct input *in)
{
    static const size_t amounts[] = { SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, 1, 100, 3000,
        100000 };

    return amounts[input_byte(in) % ARRAY_LEN(amounts)];
}

static void
act_ask(struct world *w, struct input *in)
{
    struct caller *c = pick_caller(w, in);
    size_t amount = pick_amount(in);
    size_t before = buf_len(&c->end.out);

    if (c->end.fd < 0 || marks_n == MARKS_MAX)
        return;
    add_request(c, in, &c->end.out);
    TRACE("caller %u: asks %.60s, %zu bytes at once\n", c->id, buf_str(&c->end.out).p + before,
        amount);
    written_bytes += buf_len(&c->end.out) - before;
    end_flush(&c->end, amount);
}

static void
act_caller_sends(struct world *w, struct input *in)
{
    struct caller *c = pick_caller(w, in);
    unsigned how = input_byte(in);

    if (c->end.fd < 0)
        return;
    if ((how & 1) != 0) {
        struct str raw = input_bytes(in, how >> 1);

        buf_add(&c->end.out, raw);
        written_bytes += raw.n;
    }
    end_flush(&c->end, pick_amount(in));
}

static void
act_caller_reads(struct world *w, struct input *in)
{
    struct caller *c = &w->callers[input_byte(in) % CALLERS];
    size_t amount = pick_amount(in);

    if (c->end.fd >= 0 && !end_read(&c->end, amount))
        caller_close(c);
}

static void
act_caller_leaves(struct world *w, struct input *in)
{
    struct caller *c = &w->callers[input_byte(in) % CALLERS];

    if (c->end.fd < 0)
        return;
    TRACE("caller %u: leaves\n", c->id);
    if (input_byte(in) % 2 == 0)
        (void)shutdown(c->end.fd, SHUT_WR);
    else
        caller_close(c);
}

/* --- actions of providers --- */

/* The n-th place for a connection, or of a stream where connections have several. */
static struct upstream **
upstream_slot(size_t n)
{
    struct provider_end *p = &providers[n / UPSTREAM_CONNECTIONS];

    return p->h2 ? &p->streams[n % UPSTREAM_CONNECTIONS]
                 : &p->connections[n % UPSTREAM_CONNECTIONS];
}

/* The n-th connection of all that are open, of those with a request under way if there are any. */
static struct upstream *
pick_upstream(struct input *in)
{
    struct upstream *all[UPSTREAM_SLOTS];
    size_t busy = 0, n = 0;

    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < UPSTREAM_SLOTS; i++) {
            struct upstream *u = *upstream_slot(i);

            if (u != NULL && (u->request_bytes != 0 && !u->answered) == (pass == 0))
                all[n++] = u;
        }
        busy = pass == 0 ? n : busy;
    }
    unsigned which = input_byte(in);
    if (busy != 0 && which < 192)
        return all[which % busy];
    return n != 0 ? all[which % n] : NULL;
}

static void
end_answer(struct upstream *u, enum framed framing)
{
    if ((framing == FRAMED_CLOSE || framing == FRAMED_LAST) && !u->wild)
        upstream_forbid(u, &u->last_turn);
    if (framing == FRAMED_CLOSE && buf_len(&u->end.out) == 0)
        (void)shutdown(u->end.fd, SHUT_WR);
}

/* An answer on a stream; its frames may be changed on their way out. */
static void
answer_stream(
    struct upstream *u, unsigned kind, unsigned how, size_t amount, bool changed, struct input *in)
{
    struct upstream *connection = u->carrier;
    size_t at = buf_len(&connection->end.out);
    size_t answer_at;

    if (kind == TELL_DENIED && (changed || connection->wild))
        kind = TELL_BUSY;
    upstream_answer(u, kind, FRAMED_H2, (how >> 5) % SPELLINGS, &answer_at);
    TRACE("%s %p: answers stream %d (kind %u, how %u), %zu bytes at once\n", u->provider->name,
        (void *)connection, u->stream_id, kind, how, amount);
    written_bytes += buf_len(&u->end.out);
    h2_answer(u);
    if (changed && buf_len(&connection->end.out) > at) {
        input_mutate(in, &connection->end.out, at);
        connection->wild = true;
    }
    end_flush(&connection->end, amount);
}

static void
act_answer(struct input *in)
{
    struct upstream *u = pick_upstream(in);
    unsigned kind = input_byte(in) % (TELL_KINDS + TELL_KINDS / 2);
    unsigned how = input_byte(in);
    enum framed framing = how & 3;
    bool changed = (how & 0x18) == 0x18;
    size_t amount = pick_amount(in);
    size_t at;

    if (kind >= TELL_KINDS)
        kind = TELL_PROPER;
    if (u != NULL && u->carrier != NULL) {
        if (!u->answered && u->request_bytes != 0)
            answer_stream(u, kind, how, amount, changed, in);
        return;
    }

    if (u == NULL || (u->answered && !u->wild))
        return;
    if (u->request_bytes == 0 && !u->wild)
        upstream_forbid(u, &u->unasked_turn);
    if ((how & 4) != 0)
        buf_add(&u->end.out, S("HTTP/1.1 100 Continue\r\n\r\n"));
    /* Where an answer means something else than it says, a key in it may pass for text. */
    if (kind == TELL_DENIED && (changed || u->wild || buf_len(&u->end.out) != 0))
        kind = TELL_BUSY;
    upstream_answer(u, kind, framing, (how >> 5) % SPELLINGS, &at);
    if (changed) {
        input_mutate(in, &u->end.out, at);
        u->wild = true;
    }
    if ((how & 0xe0) == 0xe0 && !u->wild) {
        buf_add(&u->end.out, S("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"));
        upstream_forbid(u, &u->unasked_turn);
    }
    TRACE("%s %p: answers (kind %u, how %u), %zu bytes at once\n", u->provider->name, (void *)u,
        kind, how, amount);
    written_bytes += buf_len(&u->end.out) - at;
    end_flush(&u->end, amount);
    end_answer(u, framing);
}

static void
act_provider_sends(struct input *in)
{
    struct upstream *u = pick_upstream(in);
    unsigned how = input_byte(in);

    if ((how & 4) != 0)
        providers[(how >> 3) % ARRAY_LEN(providers)].reluctant = (how & 2) != 0;
    if (u == NULL)
        return;
    u = u->carrier != NULL ? u->carrier : u;
    u->reluctant = (how & 2) != 0;
    TRACE("%s %p: sends on\n", u->provider->name, (void *)u);
    if ((how & 1) != 0) {
        struct str raw = input_bytes(in, how >> 2);

        buf_add(&u->end.out, raw);
        written_bytes += raw.n;
        u->wild = true;
    }
    end_flush(&u->end, pick_amount(in));
}

static void
act_provider_leaves(struct input *in)
{
    struct upstream *u = pick_upstream(in);
    unsigned how = input_byte(in);

    if (u != NULL && u->carrier != NULL) {
        TRACE("%s %p: stream %d ends (how %u)\n", u->provider->name, (void *)u->carrier,
            u->stream_id, how);
        h2_leave(u, how);
        return;
    }
    for (size_t i = 0; i < UPSTREAM_SLOTS && u != NULL; i++) {
        struct upstream **slot = upstream_slot(i);

        if (*slot != u)
            continue;
        TRACE("%s %p: leaves\n", u->provider->name, (void *)u);
        if (how % 2 != 0) {
            upstream_close(slot);
            return;
        }
        (void)shutdown(u->end.fd, SHUT_WR);
        upstream_forbid(u, &u->last_turn);
    }
}

/* --- actions of the rest of the world --- */

static void
act_turn(struct world *w, struct input *in)
{
    for (unsigned n = input_byte(in) % 4 + 1; n != 0; n--)
        turn(w);
}

static void
act_time(struct world *w, struct input *in)
{
    static const uint64_t ms[] = { 1, 10, 60, 1100, 2500, 5500, 11000, 61000 };

    time_pass(ms[input_byte(in) % ARRAY_LEN(ms)]);
    turn(w);
    turn(w);
}

static void
act_reload(struct world *w, struct input *in)
{
    worker_reload(w->worker, snapshot_ref(w->snapshots[input_byte(in) % SNAPSHOTS]), NULL);
}

/* Everybody behaves for a while: requests are answered, answers are read. */
static void
act_behave(struct world *w)
{
    size_t at;

    for (int round = 0; round < 6; round++) {
        for (size_t i = 0; i < CALLERS; i++) {
            struct end *e = &w->callers[i].end;

            end_flush(e, SIZE_MAX);
            if (e->fd >= 0 && !end_read(e, SIZE_MAX))
                caller_close(&w->callers[i]);
        }
        turn(w);
        for (size_t i = 0; i < UPSTREAM_SLOTS; i++) {
            struct upstream *u = *upstream_slot(i);

            if (u == NULL)
                continue;
            struct upstream *carrier = u->carrier != NULL ? u->carrier : u;

            carrier->reluctant = false;
            if (u->complete && !u->answered) {
                upstream_answer(
                    u, TELL_PROPER, u != carrier ? FRAMED_H2 : FRAMED_LENGTH, SPELT_PLAINLY, &at);
                written_bytes += buf_len(&u->end.out) - at;
                if (u != carrier)
                    h2_answer(u);    /* the stream may be gone now */
            }
            end_flush(&carrier->end, SIZE_MAX);
        }
        turn(w);
    }
}

static void
act(struct world *w, struct input *in)
{
    /* How often each comes is told by how often it stands here. */
    static const char acts[] = "AAAAASSRRL"
                               "aaaaaasslT"
                               "TTTCCB"
                               "aAr";

    switch (acts[input_byte(in) % (sizeof(acts) - 1)]) {
    case 'A':
        act_ask(w, in);
        break;
    case 'S':
        act_caller_sends(w, in);
        break;
    case 'R':
        act_caller_reads(w, in);
        break;
    case 'L':
        act_caller_leaves(w, in);
        break;
    case 'a':
        act_answer(in);
        break;
    case 's':
        act_provider_sends(in);
        break;
    case 'l':
        act_provider_leaves(in);
        break;
    case 'T':
        act_turn(w, in);
        break;
    case 'C':
        act_time(w, in);
        break;
    case 'r':
        act_reload(w, in);
        break;
    case 'B':
        act_behave(w);
        break;
    }
}

/* --- a stream that is continued --- */

static void
flush_providers(void)
{
    for (size_t i = 0; i < ARRAY_LEN(providers); i++)
        for (size_t k = 0; k < UPSTREAM_CONNECTIONS; k++)
            if (providers[i].connections[k] != NULL)
                end_flush(&providers[i].connections[k]->end, SIZE_MAX);
}

/* The next provider that was asked answers, in two pieces; it may take a few turns until one was. */
static void
answer_next(struct world *w, enum tell kind)
{
    size_t at;

    for (int round = 0; round < 20; round++) {
        turn(w);
        for (size_t i = 0; i < UPSTREAM_SLOTS; i++) {
            struct upstream *u = *upstream_slot(i);

            if (u == NULL || !u->complete || u->answered)
                continue;
            struct upstream *carrier = u->carrier != NULL ? u->carrier : u;
            bool h2 = u != carrier;

            upstream_answer(u, kind, h2 ? FRAMED_H2 : FRAMED_LENGTH, SPELT_PLAINLY, &at);
            written_bytes += buf_len(&u->end.out) - at;
            if (h2)
                h2_answer(u);    /* the stream may be gone now */
            end_flush(&carrier->end, buf_len(&carrier->end.out) * 2 / 3);
            turn(w);
            flush_providers();
            return;
        }
    }
}

/* A caller streams, the answer breaks after its first tokens, and another provider goes on: at
 * random that is rare. What follows meets what is left of it. */
static void
force_continuation(struct world *w, bool anthropic)
{
    struct caller *c = &w->callers[0];
    struct buf body;

    for (size_t i = 0; i < ARRAY_LEN(providers); i++)
        providers[i].reluctant = false;
    caller_open(c, gateway_path, ++w->connections);
    if (c->end.fd < 0)
        return;
    buf_init(&body, SIZE_MAX);
    ask_add_body(
        &body, anthropic ? ASK_MESSAGES : ASK_CHAT, "fall", mark_new(c->id, false), 10, 0, true);
    buf_printf(&c->end.out,
        "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " KEY_ANN
        "\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n" STR_FMT,
        anthropic ? "/v1/messages" : "/v1/chat/completions", buf_len(&body),
        STR_ARG(buf_str(&body)));
    written_bytes += buf_len(&c->end.out);
    buf_fini(&body);
    end_flush(&c->end, SIZE_MAX);
    answer_next(w, TELL_BREAKS);
    answer_next(w, TELL_PROPER);
    for (int i = 0; i < 6; i++)
        turn(w);
    /* what a helper thread read is not continued */
    CHECK(job_least_bytes < JOB_LEAST_BYTES || w->worker->metrics->streams_continued == 1);
}

/* --- the end --- */

static bool
is_quiet(const struct worker *w)
{
    return w->lone == NULL && w->exchange_count == 0 && server_connections(w->server) == 0 &&
           client_calls_open(w->client) == 0;
}

/* Once all have left, every exchange comes to its end within the times that the configuration
 * allows. */
static void
check_quiet(struct world *w)
{
    struct worker *worker = w->worker;

    for (int i = 0; i < QUIET_ROUNDS && !is_quiet(worker); i++) {
        turn(w);
        turn(w);
        if (i > 3)
            time_pass(i < 10 ? 100 : 10000);
    }
    CHECK(worker->exchange_count == 0 && worker->stream_count == 0 && worker->admitted == 0);
    CHECK(worker->lone == NULL && worker->shadows == 0);
    CHECK(server_connections(worker->server) == 0 && client_calls_open(worker->client) == 0);
    CHECK(worker->held.held == 0);
}

static void
check_slots(const struct world *w)
{
    static const struct str keys[] = { S_INIT(KEY_ANN), S_INIT(KEY_BOB), S_INIT(KEY_LOOSE) };

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct principal *who;

        CHECK(auth_identify(w->snapshots[0]->auth, keys[i], 0, &who) == OK);
        CHECK(in_flight_count(who->in_flight) == 0 && who->in_flight->here[0] == 0);
    }
}

/* The number of lines, without those of copies for other targets. The log is empty afterwards. */
static unsigned
read_log(struct buf *log, const char *name)
{
    unsigned lines = 0;
    struct str line, rest;

    check_no_secret(buf_str(log), name);
    for (rest = buf_str(log); str_cut(rest, '\n', &line, &rest);)
        lines += str_find(line, S("\"shadow_of\":")) == line.n;
    CHECK(rest.n == 0);
    buf_reset(log, SIZE_MAX);
    return lines;
}

/* Every exchange that metrics counted has its line, and no other has one; so has what was refused
 * before it was a request. Health and metrics have none when all is well. */
static void
check_accounts(const struct metric_shard *m, unsigned lines)
{
    uint64_t least = 0, most = 0;

    for (unsigned e = 0; e < ENDPOINT_COUNT; e++) {
        const struct endpoint *endpoint = &endpoints[e];
        bool logged = !endpoint->local || str_starts(endpoint->path, S("/v1/"));

        for (unsigned s = 0; s < METRIC_STATUSES; s++) {
            most += m->requests[e][s];
            if (logged)
                least += m->requests[e][s];
        }
    }
    CHECK(lines >= least && lines <= most);
}

static void
finish(struct world *w, bool gently)
{
    const struct metric_shard *m = w->worker->metrics;

    if (gently) {
        act_behave(w);
        for (size_t i = 0; i < CALLERS; i++)
            caller_close(&w->callers[i]);
        check_quiet(w);
    }
    ending = true;
    worker_stop(w->worker);
    run_jobs(UINT64_MAX);
    loop_run(w->worker->loop);
    ending = false;
    CHECK(w->worker->exchange_count == 0 && w->worker->stream_count == 0);
    for (size_t i = 0; i < ARRAY_LEN(providers); i++)
        provider_turn(&providers[i]);
    worker_join(w->worker);
    CHECK(quota_held(&w->gateway.held) == 0);
    check_slots(w);

    for (size_t i = 0; i < CALLERS; i++) {
        if (w->callers[i].end.fd >= 0)
            (void)end_read(&w->callers[i].end, SIZE_MAX);
        caller_close(&w->callers[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(providers); i++)
        provider_close_all(&providers[i]);
    for (unsigned i = 0; i < SNAPSHOTS; i++)
        snapshot_unref(w->snapshots[i]);
    (void)read_log(&error_lines, "the error log");
    check_accounts(m, read_log(&access_lines, "the access log"));
    metrics_destroy(w->gateway.metrics);
}

/* An input that holds a part of a secret or a mark would make everybody else look guilty. */
static bool
is_fair(struct str s)
{
    return str_find(s, S("sk-fuzz")) == s.n && str_find(s, S("fuzz-caller")) == s.n &&
           str_find(s, S(MARK)) == s.n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    struct input in = { data, size };

    if (size > INPUT_MAX_BYTES || !is_fair(str_make((const char *)data, size)))
        return 0;
    if (folder[0] == '\0')
        prepare();
    unsigned manners = input_byte(&in);
    job_least_bytes = size % 2 == 0 ? JOB_LEAST_BYTES : SMALL_JOB_BYTES;
    start(&w, manners >> 2);
    if (manners >> 6 == 3)
        force_continuation(&w, (manners & 0x20) != 0);
    for (int i = 0; i < ACTIONS_MAX && in.n != 0; i++)
        act(&w, &in);
    finish(&w, manners % 4 != 0);
    time_set(0);
    return 0;
}

/* run.c - threads, connections and clocks: sends requests and measures durations. */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "bench/read.h"
#include "base/clock.h"
#include "http/client.h"
#include "net/timer.h"

enum {
    ANSWER_BYTES_MAX = 256 * 1024 * 1024,
    EVENT_BYTES_MAX = 64 * 1024 * 1024,
    SCRATCH_BYTES = 512 * 1024 * 1024,
    KEEP_ARENA_BYTES = 64 * 1024 * 1024,
    KEEP_BYTES = 64 * 1024,
    CONNECT_MS = 30 * 1000,
    PROGRESS_MS = 1000,
};

struct lane;

/* One connection's share of the load: at most one request at a time. */
struct slot {
    struct lane *lane;
    struct client_call *call;    /* NULL: idle */
    struct timer timeout;
    struct deferred next;
    uint64_t intended_us;
    uint64_t last_token_us;    /* 0: none yet */
    int status;
    bool stream;    /* the answer is a stream */
    struct bench_reader reader;
    struct arena *keep;    /* what the reader keeps of an answer */
    struct arena_mark empty;
    struct framing_reader framing;
    struct buf body;
};

/* One thread with its share of the load. */
struct lane {
    struct bench *bench;
    struct thread *thread;
    struct loop *loop;
    struct client *client;
    struct timer ticker;    /* open loop: the next request is due; closed loop: the end */
    struct arena *scratch;
    struct slot *slots;
    size_t slot_count;
    size_t busy;
    uint64_t left;    /* requests that may still start */
    uint64_t start_us;
    uint64_t end_us;       /* none starts after */
    double interval_us;    /* open loop; 0: closed */
    double due_us;         /* when the next is due, since start */
    struct bench_totals totals;
};

struct bench {
    const struct bench_options *options;
    struct loop *loop;    /* of the main thread */
    struct timer progress_timer;
    void (*progress)(uint64_t elapsed_us, uint64_t done, uint64_t failed);
    struct lane *lanes;
    size_t lanes_running;
    uint64_t start_us;
    atomic_ullong done;
    atomic_ullong failed;
    atomic_bool stopping;
};

static void start_next(struct slot *s);

/* --- the end of a request --- */

static void
settle(struct slot *s)
{
    struct lane *l = s->lane;

    l->totals.input_tokens += (uint64_t)s->reader.usage.input;
    l->totals.output_tokens +=
        s->reader.usage.output != 0 ? (uint64_t)s->reader.usage.output : s->reader.token_events;
    l->totals.elapsed_us = clock_now_us() - l->start_us;
    timer_stop(&s->timeout);
    framing_fini(&s->framing);
    buf_reset(&s->body, KEEP_BYTES);
    s->call = NULL;
    l->busy--;
    loop_defer(l->loop, &s->next);
}

static void
fail(struct slot *s)
{
    s->lane->totals.failed++;
    atomic_fetch_add_explicit(&s->lane->bench->failed, 1, memory_order_relaxed);
    settle(s);
}

static void
fail_with(struct slot *s, enum bench_failure why)
{
    s->lane->totals.by_failure[why]++;
    fail(s);
}

static void
succeed(struct slot *s)
{
    struct lane *l = s->lane;

    histogram_add(&l->totals.total, clock_now_us() - s->intended_us);
    l->totals.done++;
    atomic_fetch_add_explicit(&l->bench->done, 1, memory_order_relaxed);
    settle(s);
}

/* --- the client's callbacks --- */

static void
on_connected(void *owner, bool reused, uint64_t connect_us)
{
    struct slot *s = owner;

    if (!reused)
        histogram_add(&s->lane->totals.connect, connect_us);
}

static void
on_head(void *owner, const struct http_head *head)
{
    struct slot *s = owner;

    s->status = head->status;
    s->stream = http_type_is(
        http_field_get(&head->fields, S("content-type")), s->reader.wire.wire->framing->type);
}

static bool
on_event(void *arg, const struct frame *frame)
{
    struct slot *s = arg;
    struct bench_totals *t = &s->lane->totals;

    if (!frame->has_data)
        return true;
    t->events++;
    bench_read_frame(&s->reader, frame->event, frame->data);
    if (!s->reader.has_tokens)
        return true;

    uint64_t now = clock_now_us();
    if (s->last_token_us == 0)
        histogram_add(&t->first_token, now - s->intended_us);
    else
        histogram_add(&t->between, now - s->last_token_us);
    s->last_token_us = now;
    return true;
}

static void
on_data(void *owner, struct str bytes)
{
    struct slot *s = owner;

    s->lane->totals.bytes += bytes.n;
    if (!s->stream)
        buf_add(&s->body, bytes);
    else if (framing_feed(&s->framing, bytes, on_event, s) != OK)
        s->reader.broken = true;
}

static void
on_end(void *owner)
{
    struct slot *s = owner;

    if (s->status < 200 || s->status > 299) {
        s->lane->totals.by_status[s->status < BENCH_STATUSES ? s->status : 0]++;
        fail(s);
        return;
    }
    if (!s->stream)
        bench_read_answer(&s->reader, buf_str(&s->body));
    else if (framing_end(&s->framing, on_event, s) != OK)
        s->reader.broken = true;
    else
        bench_read_end(&s->reader);

    if (s->reader.broken || s->body.overflow)
        fail_with(s, BENCH_NOT_UNDERSTOOD);
    else if (s->reader.wire.failed)
        fail_with(s, BENCH_ERROR_IN_STREAM);
    else if (!s->reader.wire.complete)
        fail_with(s, BENCH_CUT_STREAM);
    else
        succeed(s);
}

static void
on_failed(void *owner, enum err why, const char *detail)
{
    struct slot *s = owner;

    (void)detail;
    s->lane->totals.by_err[why]++;
    fail(s);
}

static void
on_timeout(void *slot)
{
    struct slot *s = slot;

    client_cancel(s->call);
    fail_with(s, BENCH_TIMED_OUT);
}

/* --- the start of a request --- */

static void
start(struct slot *s, uint64_t intended_us)
{
    static const struct client_events events = { .connected = on_connected,
        .head = on_head,
        .data = on_data,
        .end = on_end,
        .failed = on_failed };
    const struct bench_options *o = s->lane->bench->options;
    struct client_request q = {
        .origin = o->origin,
        .method = S("POST"),
        .path = o->path,
        .fields = o->fields,
        .body = &o->body,
        .body_count = 1,
        .connect_ms = CONNECT_MS,
        .resend_ms = CONNECT_MS,
        .resend_stale = true,
    };

    s->intended_us = intended_us;
    s->last_token_us = 0;
    s->status = 0;
    s->stream = false;
    arena_rewind(s->keep, s->empty);
    bench_read_begin(&s->reader, o->wire, o->stream, s->keep, s->lane->scratch);
    framing_init(&s->framing, o->wire->framing, EVENT_BYTES_MAX);
    s->lane->busy++;
    s->lane->left--;
    timer_set(&s->timeout, o->timeout_us / 1000);
    s->call = client_start(s->lane->client, &q, &events, s);
}

static bool
may_start(const struct lane *l, uint64_t now)
{
    return l->left > 0 && now < l->end_us &&
           !atomic_load_explicit(&l->bench->stopping, memory_order_relaxed);
}

/* A lane ends when no request is running and none may start. */
static void
check_ended(struct lane *l)
{
    if (l->busy == 0 && !may_start(l, clock_now_us()))
        loop_stop(l->loop);
}

/* Starts the slot's next request if one is due. Deferred, so that the connection is back in its
 * pool. */
static void
start_next(struct slot *s)
{
    struct lane *l = s->lane;
    uint64_t now = clock_now_us();

    if (s->call != NULL)
        return;
    if (!may_start(l, now)) {
        check_ended(l);
        return;
    }
    if (l->interval_us <= 0) {
        start(s, now);
        return;
    }
    uint64_t due = l->start_us + (uint64_t)l->due_us;
    if (due <= now) {
        l->due_us += l->interval_us;
        start(s, due);
    }
}

static void
on_next(void *slot)
{
    start_next(slot);
}

static void
on_tick(void *lane)
{
    struct lane *l = lane;

    for (size_t i = 0; i < l->slot_count && l->interval_us > 0; i++) {
        if (l->start_us + (uint64_t)l->due_us > clock_now_us())
            break;
        start_next(&l->slots[i]);
    }
    check_ended(l);
    timer_set(&l->ticker, l->interval_us > 0 ? 1 : 50);
}

/* --- threads --- */

static void
open_lane(struct lane *l)
{
    const struct bench_options *o = l->bench->options;
    struct client_limits limits = {
        .head_bytes = 64 * 1024,
        .fields = 200,
        .pool = { .idle_per_origin = (unsigned)l->slot_count,
            .idle_total = (unsigned)l->slot_count,
            .idle_ms = 60 * 1000,
            .age_ms = 60 * 60 * 1000 },
    };

    l->loop = loop_create();
    l->client = client_create(l->loop, &limits);
    l->scratch = arena_create(SCRATCH_BYTES);
    timer_init(&l->ticker, l->loop, on_tick, l);
    l->start_us = clock_now_us();
    l->end_us = o->duration_us != 0 ? l->start_us + o->duration_us : UINT64_MAX;
    for (size_t i = 0; i < l->slot_count; i++) {
        struct slot *s = &l->slots[i];
        s->lane = l;
        s->next = (struct deferred){ .fn = on_next, .arg = s };
        timer_init(&s->timeout, l->loop, on_timeout, s);
        s->keep = arena_create(KEEP_ARENA_BYTES);
        s->empty = arena_mark(s->keep);
        buf_init(&s->body, ANSWER_BYTES_MAX);
    }
}

static void
close_lane(struct lane *l)
{
    for (size_t i = 0; i < l->slot_count; i++) {
        timer_stop(&l->slots[i].timeout);
        arena_destroy(l->slots[i].keep);
        buf_fini(&l->slots[i].body);
    }
    timer_stop(&l->ticker);
    client_destroy(l->client);
    loop_destroy(l->loop);
    arena_destroy(l->scratch);
    free(l->slots);
}

static void
lane_has_ended(void *bench)
{
    struct bench *b = bench;

    if (--b->lanes_running == 0)
        loop_stop(b->loop);
}

static void
run_lane(void *lane)
{
    struct lane *l = lane;

    open_lane(l);
    for (size_t i = 0; i < l->slot_count && l->interval_us <= 0; i++)
        start_next(&l->slots[i]);
    timer_set(&l->ticker, 1);
    loop_run(l->loop);
    close_lane(l);
    CHECK(loop_post(l->bench->loop, lane_has_ended, l->bench));
}

static void
on_progress(void *bench)
{
    struct bench *b = bench;

    b->progress(clock_now_us() - b->start_us, atomic_load_explicit(&b->done, memory_order_relaxed),
        atomic_load_explicit(&b->failed, memory_order_relaxed));
    timer_set(&b->progress_timer, PROGRESS_MS);
}

static void
on_interrupt(void *bench, int signo)
{
    struct bench *b = bench;

    (void)signo;
    atomic_store_explicit(&b->stopping, true, memory_order_relaxed);
}

static void
merge(struct bench_totals *to, const struct bench_totals *from)
{
    to->done += from->done;
    to->failed += from->failed;
    for (size_t i = 0; i < BENCH_STATUSES; i++)
        to->by_status[i] += from->by_status[i];
    for (size_t i = 0; i < ERR_COUNT; i++)
        to->by_err[i] += from->by_err[i];
    for (size_t i = 0; i < BENCH_FAILURES; i++)
        to->by_failure[i] += from->by_failure[i];
    to->input_tokens += from->input_tokens;
    to->output_tokens += from->output_tokens;
    to->events += from->events;
    to->bytes += from->bytes;
    to->elapsed_us = MAX(to->elapsed_us, from->elapsed_us);
    histogram_merge(&to->total, &from->total);
    histogram_merge(&to->first_token, &from->first_token);
    histogram_merge(&to->between, &from->between);
    histogram_merge(&to->connect, &from->connect);
}

/* The share of `total` for lane `i` of `n`: they differ by one at most. */
static uint64_t
share(uint64_t total, uint64_t i, uint64_t n)
{
    return total / n + (i < total % n ? 1 : 0);
}

void
bench_run(const struct bench_options *o, struct bench_totals *ret,
    void (*progress)(uint64_t elapsed_us, uint64_t done, uint64_t failed))
{
    struct bench b = { .options = o, .loop = loop_create(), .progress = progress };

    b.lanes = check_alloc(calloc(o->threads, sizeof(*b.lanes)));
    b.lanes_running = o->threads;
    b.start_us = clock_now_us();
    for (size_t i = 0; i < o->threads; i++) {
        struct lane *l = &b.lanes[i];
        l->bench = &b;
        l->slot_count = share(o->connections, i, o->threads);
        l->slots = check_alloc(calloc(l->slot_count, sizeof(*l->slots)));
        l->left = o->requests != 0 ? share(o->requests, i, o->threads) : UINT64_MAX;
        l->interval_us = o->rate > 0 ? 1e6 * (double)o->threads / o->rate : 0;
        l->due_us = o->rate > 0 ? 1e6 / o->rate * (double)i : 0;
        l->thread = thread_start("bench", run_lane, l);
    }
    loop_on_signal(b.loop, SIGINT, on_interrupt, &b);
    timer_init(&b.progress_timer, b.loop, on_progress, &b);
    timer_set(&b.progress_timer, PROGRESS_MS);
    loop_run(b.loop);
    timer_stop(&b.progress_timer);

    *ret = (struct bench_totals){ 0 };
    for (size_t i = 0; i < o->threads; i++) {
        thread_join(b.lanes[i].thread);
        merge(ret, &b.lanes[i].totals);
    }
    free(b.lanes);
    loop_destroy(b.loop);
}

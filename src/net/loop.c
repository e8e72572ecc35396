/* loop.c - the event loop: libuv, with work at the end of a turn and messages from other
 * threads. */
#include "net/dns_priv.h"
#include "net/loop_priv.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Deferred work may itself defer work: rounds of it that still run in the same turn. */
enum { DEFERRED_ROUNDS = 16 };
enum { DESTROY_PATIENCE_MS = 2000 };
enum { POSTS_MOST = 1024 };    /* messages that wait for the loop */

struct signal_watch {
    uv_signal_t uv;
    void (*fn)(void *arg, int signo);
    void *arg;
    struct signal_watch *next;
};

struct offload {
    uv_work_t req;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

/* --- the end of a turn --- */

void
loop_defer(struct loop *l, struct deferred *d)
{
    CHECK(d->fn != NULL);
    if (d->queued)
        return;
    d->queued = true;
    d->next = NULL;
    *l->deferred_tail = d;
    l->deferred_tail = &d->next;
}

void
loop_defer_next(struct loop *l, struct deferred *d)
{
    CHECK(d->fn != NULL);
    if (d->queued)
        return;
    d->queued = true;
    d->next = NULL;
    *l->next_tail = d;
    l->next_tail = &d->next;
    uv_async_send(&l->async);    /* the loop must not sleep on it */
}

/* What was deferred to this turn joins what this turn defers. */
static void
take_next(struct loop *l)
{
    if (l->next == NULL)
        return;
    *l->deferred_tail = l->next;
    l->deferred_tail = l->next_tail;
    l->next = NULL;
    l->next_tail = &l->next;
}

void
loop_count_work(struct loop *l, size_t bytes)
{
    l->turn_bytes += bytes;
}

uint64_t
loop_longest_turn(const struct loop *l)
{
    return atomic_load_explicit(&l->longest_turn_bytes, memory_order_relaxed);
}

static void
end_turn(struct loop *l)
{
    if (UNLIKELY(l->turn_bytes > loop_longest_turn(l)))
        atomic_store_explicit(&l->longest_turn_bytes, l->turn_bytes, memory_order_relaxed);
    l->turn_bytes = 0;
}

static void
loop_run_deferred(struct loop *l)
{
    for (int round = 0; l->deferred != NULL && round < DEFERRED_ROUNDS; round++) {
        struct deferred *batch = l->deferred;

        l->deferred = NULL;
        l->deferred_tail = &l->deferred;
        while (batch != NULL) {
            struct deferred *d = batch;

            batch = d->next;
            d->queued = false;
            d->fn(d->arg);    /* may free `d` */
        }
    }
    if (UNLIKELY(l->deferred != NULL) && !uv_is_closing((uv_handle_t *)&l->async))
        uv_async_send(&l->async);    /* the loop must not sleep on it */
}

static void
on_wake(uv_timer_t *wake)
{
    struct loop *l = CONTAINER_OF(wake, struct loop, wake);

    l->wake_at_ms = UINT64_MAX;
    timers_run(l);
}

/* Timers are armed here, once a turn, instead of whenever one is set. */
static void
on_prepare(uv_prepare_t *prepare)
{
    struct loop *l = CONTAINER_OF(prepare, struct loop, prepare);

    if (l->deferred != NULL)
        loop_run_deferred(l);
    end_turn(l);

    uint64_t next_ms = timers_next_ms(l);
    if (next_ms < l->wake_at_ms) {
        uint64_t now_ms = loop_now_ms(l);

        l->wake_at_ms = next_ms;
        uv_timer_start(&l->wake, on_wake, next_ms > now_ms ? next_ms - now_ms : 0, 0);
    }
}

static void
on_check(uv_check_t *check)
{
    struct loop *l = CONTAINER_OF(check, struct loop, check);

    take_next(l);
    if (l->deferred != NULL)
        loop_run_deferred(l);
}

/* --- messages --- */

bool
loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
    if (!queue_put(l->posts, (struct message){ fn, arg }))
        return false;
    /* uv_async_send() first reads whether a wake-up is pending. Unless that comes after the message can
     * be seen, the loop may have reset it, found no message, and gone to sleep. */
    atomic_thread_fence(memory_order_seq_cst);
    uv_async_send(&l->async);
    return true;
}

uint64_t
loop_dropped(const struct loop *l)
{
    return queue_dropped(l->posts);
}

/* Sockets and timers have their turn after as many messages as there are places. */
void
loop_take_posts(struct loop *l)
{
    struct message m;

    for (int i = 0; i < POSTS_MOST; i++) {
        if (!queue_take(l->posts, &m))
            return;
        m.fn(m.arg);
    }
    uv_async_send(&l->async);
}

static void
on_async(uv_async_t *async)
{
    atomic_thread_fence(memory_order_seq_cst);    /* the other half of the one in loop_post() */
    loop_take_posts(CONTAINER_OF(async, struct loop, async));
}

/* --- life --- */

static void
ignore_sigpipe(void)
{
    signal(SIGPIPE, SIG_IGN);    /* a peer that left is an error code, not the end of the process */
}

struct loop *
loop_create(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct loop *l = check_alloc(calloc(1, sizeof(*l)));

    pthread_once(&once, ignore_sigpipe);
    CHECK(uv_loop_init(&l->uv) == 0);
    l->posts = queue_create(POSTS_MOST);
    CHECK(uv_prepare_init(&l->uv, &l->prepare) == 0);
    CHECK(uv_check_init(&l->uv, &l->check) == 0);
    CHECK(uv_async_init(&l->uv, &l->async, on_async) == 0);
    CHECK(uv_timer_init(&l->uv, &l->wake) == 0);
    CHECK(uv_timer_init(&l->uv, &l->patience) == 0);
    CHECK(uv_prepare_start(&l->prepare, on_prepare) == 0);
    CHECK(uv_check_start(&l->check, on_check) == 0);
    l->wake_at_ms = UINT64_MAX;
    l->deferred_tail = &l->deferred;
    l->next_tail = &l->next;
    l->read_buffer = check_alloc(malloc(LOOP_READ_BYTES));
    return l;
}

void
loop_run(struct loop *l)
{
    uv_run(&l->uv, UV_RUN_DEFAULT);
}

void
loop_stop(struct loop *l)
{
    uv_stop(&l->uv);
}

uint64_t
loop_now_ms(const struct loop *l)
{
    return uv_now(&l->uv);
}

static void
on_signal_closed(uv_handle_t *h)
{
    free(CONTAINER_OF(h, struct signal_watch, uv));
}

static void
signals_close(struct loop *l)
{
    while (l->signals != NULL) {
        struct signal_watch *w = l->signals;

        l->signals = w->next;
        uv_close((uv_handle_t *)&w->uv, on_signal_closed);
    }
}

static void
on_out_of_patience(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* Runs the loop until only its own handles are left, for at most two seconds. */
static void
loop_run_out(struct loop *l)
{
    uv_update_time(&l->uv);
    uv_timer_start(&l->patience, on_out_of_patience, DESTROY_PATIENCE_MS, 0);
    uv_unref((uv_handle_t *)&l->patience);
    uv_unref((uv_handle_t *)&l->prepare);
    uv_unref((uv_handle_t *)&l->check);
    uv_unref((uv_handle_t *)&l->async);
    uv_unref((uv_handle_t *)&l->wake);
    do {
        loop_take_posts(l);
        take_next(l);
        loop_run_deferred(l);
        uv_run(&l->uv, UV_RUN_DEFAULT);
    } while ((l->deferred != NULL || uv_loop_alive(&l->uv)) &&
             uv_is_active((uv_handle_t *)&l->patience));
}

void
loop_destroy(struct loop *l)
{
    signals_close(l);
    watches_close(l);
    dns_close(l);
    loop_run_out(l);

    uv_close((uv_handle_t *)&l->patience, NULL);
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->check, NULL);
    uv_close((uv_handle_t *)&l->async, NULL);
    uv_close((uv_handle_t *)&l->wake, NULL);
    uv_run(&l->uv, UV_RUN_NOWAIT);
    if (uv_loop_close(&l->uv) != 0)
        return;    /* a handle is still open: leaking the loop is safer than freeing it under the handle */

    loop_run_deferred(l);
    tls_scratch_destroy(l->tls);
    dns_free(l);
    queue_destroy(l->posts);
    free(l->read_buffer);
    free(l);
}

/* --- signals and work elsewhere --- */

static void
on_signal(uv_signal_t *uv, int signo)
{
    struct signal_watch *w = CONTAINER_OF(uv, struct signal_watch, uv);

    w->fn(w->arg, signo);
}

void
loop_on_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo), void *arg)
{
    struct signal_watch *w = check_alloc(calloc(1, sizeof(*w)));

    w->fn = fn;
    w->arg = arg;
    w->next = l->signals;
    l->signals = w;
    CHECK(uv_signal_init(&l->uv, &w->uv) == 0);
    CHECK(uv_signal_start(&w->uv, on_signal, signo) == 0);
}

static void
on_work(uv_work_t *req)
{
    struct offload *o = CONTAINER_OF(req, struct offload, req);

    o->work(o->arg);
}

static void
on_work_done(uv_work_t *req, int status)
{
    struct offload *o = CONTAINER_OF(req, struct offload, req);
    void (*done)(void *arg) = o->done;
    void *arg = o->arg;

    CHECK(status == 0);    /* never cancelled */
    free(o);
    done(arg);
}

void
loop_offload(struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
    struct offload *o = check_alloc(calloc(1, sizeof(*o)));

    *o = (struct offload){ .work = work, .done = done, .arg = arg };
    CHECK(uv_queue_work(&l->uv, &o->req, on_work, on_work_done) == 0);
}

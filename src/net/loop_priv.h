/* loop_priv.h - what the files of net/ share about a loop. Nobody outside net/ includes this. */
#pragma once

#include "base/base.h"
#include "base/queue.h"

/* uv.h brings <sys/param.h>, which has its own MIN and MAX. */
#pragma push_macro("MIN")
#pragma push_macro("MAX")
#undef MIN
#undef MAX
#include <uv.h>
#pragma pop_macro("MIN")
#pragma pop_macro("MAX")

#include <stdatomic.h>

#include "net/loop.h"

/* The size of one read; the buffer is shared by all sockets of a loop. */
enum { LOOP_READ_BYTES = 64 * 1024 };

struct signal_watch;
struct file_watch;
struct notifier;
struct tls_scratch;
struct dns;
struct dns_channel;
struct pool;

/* The slots of a loop's timers: timer.c. Levels enough for 64 bits. */
enum {
    WHEEL_BITS = 6,
    WHEEL_SLOTS = 1 << WHEEL_BITS,
    WHEEL_LEVELS = (64 + WHEEL_BITS - 1) / WHEEL_BITS
};
struct wheel {
    uint64_t now_ms;                /* no timer in a slot is before it */
    unsigned levels;                /* those that have any, as bits */
    uint64_t used[WHEEL_LEVELS];    /* the slots that have any, as bits */
    struct timer *slots[WHEEL_LEVELS * WHEEL_SLOTS];
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;    /* before the loop sleeps */
    uv_check_t check;        /* after a batch of events */
    uv_async_t async;        /* another thread posted something */
    uv_timer_t wake;         /* the earliest timer */
    uv_timer_t patience;     /* for loop_destroy() */
    uint64_t wake_at_ms;     /* when `wake` fires; UINT64_MAX: it does not */
    struct wheel timers;

    struct deferred *deferred;
    struct deferred **deferred_tail;
    struct deferred *next;    /* deferred to the next turn, in order */
    struct deferred **next_tail;

    uint64_t turn_bytes;    /* worked on in this turn */
    _Atomic uint64_t longest_turn_bytes;

    struct queue *posts;    /* from other threads */

    struct signal_watch *signals;
    struct file_watch *watches;
    struct notifier *notifier;    /* of watch.c; NULL: nothing was watched */

    char *read_buffer;
    struct tls_scratch *tls;    /* made with the first TLS connection */
    struct dns *dns;            /* made with the first query */
    struct dns_channel *dns_channels;
    struct pool *pool;    /* whose idle connections may go when descriptors are short; NULL: none */
};

/* Runs the timers that are due. */
void timers_run(struct loop *l);

/* When timers_run() has something to do next; UINT64_MAX without timers. */
uint64_t timers_next_ms(const struct loop *l);

/* Stops watching files. */
void watches_close(struct loop *l);

/* Frees the buffers that TLS connections of this loop share. NULL is a no-op. */
void tls_scratch_destroy(struct tls_scratch *x);

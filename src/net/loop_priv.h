/* loop_priv.h - what the files of net/ share about a loop. Nobody outside net/ includes this. */
#pragma once

#include "base/base.h"

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

struct post;
struct signal_watch;
struct file_watch;
struct tls_scratch;
struct dns;
struct dns_channel;
struct pool;

/* Timers ordered by the time of their next check. A binary heap in an array. */
struct timer_slot {
    uint64_t at_ms;
    struct timer *timer;
};
struct timer_heap {
    struct timer_slot *slots;
    size_t count;
    size_t cap;
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;    /* before the loop sleeps */
    uv_check_t check;        /* after a batch of events */
    uv_async_t async;        /* another thread posted something */
    uv_timer_t wake;         /* the earliest timer */
    uv_timer_t patience;     /* for loop_destroy() */
    uint64_t wake_at_ms;     /* when `wake` fires; UINT64_MAX: it does not */
    struct timer_heap timers;

    struct deferred *deferred;
    struct deferred **deferred_tail;
    struct deferred *next;    /* deferred to the next turn, in order */
    struct deferred **next_tail;

    uint64_t turn_bytes;    /* worked on in this turn */
    _Atomic uint64_t longest_turn_bytes;

    uv_mutex_t posts_lock;
    struct post *posts;    /* under posts_lock, as is the tail */
    struct post **posts_tail;

    struct signal_watch *signals;
    struct file_watch *watches;

    char *read_buffer;
    struct tls_scratch *tls;    /* made with the first TLS connection */
    struct dns *dns;            /* made with the first query */
    struct dns_channel *dns_channels;
    struct pool *pool;    /* whose idle connections may go when descriptors are short; NULL: none */
};

/* Runs the timers that are due. */
void timers_run(struct loop *l);

/* The time of the next check; UINT64_MAX without timers. */
uint64_t timers_next_ms(const struct loop *l);

/* Frees the heap. Timers that still exist must not be used any more. */
void timers_fini(struct loop *l);

/* Stops watching files. */
void watches_close(struct loop *l);

/* Frees the buffers that TLS connections of this loop share. NULL is a no-op. */
void tls_scratch_destroy(struct tls_scratch *x);

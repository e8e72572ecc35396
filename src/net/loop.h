/* loop.h - one event loop per core: messages from other threads, signals, work off the loop. Its
 * timers are in timer.h.
 *
 * Only net/ uses libuv directly. A loop and everything made on it
 * belong to one thread; loop_post() is the one call that other threads may
 * make. Callbacks never run inside the calls of this header, only from
 * loop_run().
 */
#pragma once

#include "base/base.h"

struct loop;

struct loop *loop_create(void) NEVER_NULL;

/* Runs until loop_stop(), then returns; all handles are still open. */
void loop_run(struct loop *l);

/* Only from the loop's own thread; other threads use loop_post(). */
void loop_stop(struct loop *l);

/* Runs the loop until no handle is open, for at most two seconds, then frees it: close everything
 * first. Messages that wait still run: take those first that need what is closed. */
void loop_destroy(struct loop *l);

/* Runs fn(arg) on the loop's thread, in the order posted. Any thread; wakes the loop. False: a
 * thousand messages wait for the loop, and this one is dropped. loop_dropped() counts those. */
bool loop_post(struct loop *l, void (*fn)(void *arg), void *arg);
uint64_t loop_dropped(const struct loop *l);

/* Runs the messages that wait now, of a loop that does not run (any more, or never did). */
void loop_take_posts(struct loop *l);

/* clock_now_ms() as of this iteration of the loop: cheap, good enough for deadlines. */
uint64_t loop_now_ms(const struct loop *l);

/* Runs once at the end of this iteration of the loop, after all callbacks: the place to free what a
 * caller further up the stack may still use, and to flush what was buffered. The owner embeds
 * the struct; deferring it again before it ran does nothing. */
struct deferred {
    void (*fn)(void *arg);
    void *arg;
    struct deferred *next;
    bool queued;
};
void loop_defer(struct loop *l, struct deferred *d);

/* The same in the next iteration, after the loop has looked at its sockets: for work that is cut
 * into parts so that it does not delay other requests. */
void loop_defer_next(struct loop *l, struct deferred *d);

/* Notes that this iteration has worked on so many bytes; the most that an iteration did so far. */
void loop_count_work(struct loop *l, size_t bytes);
uint64_t loop_longest_turn(const struct loop *l);

/* Calls fn(arg, signo) on the loop for each signal. For the main thread's loop. */
void loop_on_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo), void *arg);

/* Calls fn(arg) a moment after the file (or the target of a symlink, as Kubernetes mounts it)
 * changed, was replaced or came back, or its permissions changed; watches the directory. Not to be
 * ended from within fn. */
struct file_watch;
struct file_watch *loop_watch_file(
    struct loop *l, const char *path, void (*fn)(void *arg), void *arg) NEVER_NULL;
void loop_unwatch_file(struct file_watch *w);

/* Runs work(arg) on another thread, then done(arg) on this loop. */
void loop_offload(struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg);

/* One thread with its own loop. start() runs fn(arg) on the new thread (it creates and runs a
 * loop). */
struct thread;
struct thread *thread_start(const char *name, void (*fn)(void *arg), void *arg) NEVER_NULL;
void thread_join(struct thread *t);

/* Cores this process may use (affinity and cgroup quota), at least 1. */
unsigned loop_cores(void);

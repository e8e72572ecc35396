/* job.h - work on large requests and answers, done by a helper thread.
 *
 * A job belongs to a request or to an attempt. While it runs, its owner leaves alone what the work
 * touches, and memory that the work allocates comes from arenas of the job, which are counted in a
 * share of their own.
 */
#pragma once

#include "base/arena.h"
#include "base/quota.h"

struct worker;

/* So many bytes to be read or written are done at once; more are worth a helper thread. */
#define JOB_LEAST_BYTES (256u * 1024)
extern size_t job_least_bytes;    /* the same; tests make it smaller */

enum job_state { JOB_NONE, JOB_RUNNING, JOB_DONE };

struct job {
    enum job_state state;
    struct quota_share share;    /* counts its arenas */
    struct worker *worker;
    void (*done)(void *owner);
    void *owner;
    void (*work)(void *arg);
    void *arg;
};

/* `done(owner)` is called on the worker's thread whenever work is done. */
void job_init(struct job *j, struct worker *w, void (*done)(void *owner), void *owner);

/* An arena for what the work allocates. */
struct arena *job_arena(struct job *j) NEVER_NULL;

/* Begins work(arg) on a helper thread: one at a time. Once `done` was called, job_end() makes the
 * job free for the next. */
void job_begin(struct job *j, void (*work)(void *arg), void *arg);
void job_end(struct job *j);

/* Both, for those who ask until it is done. False: it is running. True: it is done, and the job is
 * free. */
bool job_run(struct job *j, void (*work)(void *arg), void *arg) MUST_CHECK;

/* Destroys its arenas, `n` of them (NULL is skipped). */
void job_fini(struct job *j, struct arena *const *arenas, size_t n);

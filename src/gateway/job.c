/* job.c - work on large requests and answers, done by a helper thread. */
#include "gateway/job.h"

#include "gateway/worker.h"
#include "net/loop.h"

size_t job_least_bytes = JOB_LEAST_BYTES;

void
job_init(struct job *j, struct worker *w, void (*done)(void *owner), void *owner)
{
    *j =
        (struct job){ .share.quota = &w->gateway->held, .worker = w, .done = done, .owner = owner };
}

struct arena *
job_arena(struct job *j)
{
    struct arena *a = arena_create(WORKER_ARENA_BYTES);

    arena_count_in(a, &j->share);
    return a;
}

static void
run_work(void *arg)
{
    struct job *j = arg;

    j->work(j->arg);
}

static void
on_done(void *arg)
{
    struct job *j = arg;

    j->state = JOB_DONE;
    j->done(j->owner);
}

void
job_begin(struct job *j, void (*work)(void *arg), void *arg)
{
    CHECK(j->state == JOB_NONE);
    j->state = JOB_RUNNING;
    j->work = work;
    j->arg = arg;
    loop_offload(j->worker->loop, run_work, on_done, j);
}

void
job_end(struct job *j)
{
    CHECK(j->state == JOB_DONE);
    j->state = JOB_NONE;
}

bool
job_run(struct job *j, void (*work)(void *arg), void *arg)
{
    CHECK(j->state == JOB_NONE || (j->work == work && j->arg == arg));
    if (j->state == JOB_NONE)
        job_begin(j, work, arg);
    if (j->state == JOB_RUNNING)
        return false;
    job_end(j);
    return true;
}

void
job_fini(struct job *j, struct arena *const *arenas, size_t n)
{
    CHECK(j->state != JOB_RUNNING);
    j->worker->freed_bytes += j->share.held;
    for (size_t i = 0; i < n; i++)
        arena_destroy(arenas[i]);
    quota_share_trim(&j->share);
}

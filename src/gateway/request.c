/* request.c - the body of a client's request, and all that is made from it. */
#include "gateway/request.h"

#include <stdlib.h>

#include "gateway/worker.h"
#include "net/loop.h"

struct request *
request_create(struct worker *w, struct buf body, void (*done)(void *owner), void *owner)
{
    struct request *r = check_alloc(malloc(sizeof(*r)));

    memset(r, 0, sizeof(*r));
    r->users = 1;
    r->body = body;
    r->llm.body = buf_str(&r->body);
    r->large = r->llm.body.n > job_least_bytes;
    job_init(&r->job, w, done, owner);
    r->llm.arena = r->large ? job_arena(&r->job) : worker_take_arena(w, ARENA_REQUEST);
    if (quota_share_set(&w->held, &r->held, r->llm.body.n, true))
        return r;
    request_drop(r);
    return NULL;
}

void
request_drop(struct request *r)
{
    if (r == NULL || --r->users != 0)
        return;

    struct worker *w = r->job.worker;
    w->freed_bytes += r->held;
    buf_fini(&r->body);
    quota_share_give(&w->held, r->held);
    if (r->large)
        job_fini(&r->job, &r->llm.arena, 1);
    else
        worker_drop_arena(w, r->llm.arena, ARENA_REQUEST);
    free(r);
}

bool
request_work(struct request *r, void (*work)(void *arg), void *arg)
{
    if (r->large)
        return job_run(&r->job, work, arg);
    loop_count_work(r->job.worker->loop, r->llm.body.n);
    work(arg);
    return true;
}

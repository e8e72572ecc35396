/* fold.c - keeps the whole answer of an attempt, besides what is done with it otherwise. */
#include "gateway/fold.h"

#define ARENA_BYTES (512u * 1024 * 1024)    /* far above any answer's limit */

/* May run on a helper thread: it only touches what is its own. */
static void
on_event(struct event_sink *sink, const struct llm_event *ev)
{
    struct fold *f = CONTAINER_OF(sink, struct fold, filter.sink);

    if (f->arena != NULL)
        f->answer.sink.emit(&f->answer.sink, ev);
    filter_pass(&f->filter, ev);
}

struct fold *
fold_begin(struct arena *a, struct quota *held, size_t limit_bytes, struct filters *chain,
    struct filter *behind)
{
    struct fold *f = arena_new(a, struct fold);

    f->filter.sink.emit = on_event;
    f->share.quota = held;
    f->limit_bytes = limit_bytes;
    f->arena = arena_create(ARENA_BYTES);
    arena_count_in(f->arena, &f->share);
    answer_init(&f->answer, f->arena);
    f->answer.left = limit_bytes;
    filters_add_behind(chain, behind, &f->filter);
    return f;
}

enum err
fold_verdict(const struct fold *f)
{
    if (f->arena == NULL || !f->answer.too_large)
        return OK;
    return arena_was_refused(f->arena) ? ERR_OVERLOADED : ERR_UPSTREAM_TOO_LARGE;
}

size_t
fold_bytes(const struct fold *f)
{
    return f->limit_bytes - f->answer.left;
}

void
fold_fini(struct fold *f)
{
    if (f == NULL || f->arena == NULL)
        return;
    arena_destroy(f->arena);
    f->arena = NULL;
    quota_share_trim(&f->share);
}

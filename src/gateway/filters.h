/* filters.h - the way of an answer's events from the provider's reader to the caller.
 *
 * Every event of an attempt passes through a chain of filters: the tally counts it, others may hold
 * it back, change it, or add events of their own. While no filter rewrites, the provider's own
 * bytes may go to the caller as they are. A chain and its filters belong to one attempt.
 */
#pragma once

#include "llm/event.h"

struct filter {
    struct event_sink sink;     /* where events come in */
    struct event_sink *next;    /* and where they go on */
    /* What goes on may differ from what came in, or come later: the caller's wire writes the answer
     * from the events then, also where it could have the provider's bytes. */
    bool rewrites;
};

struct filters {
    struct event_sink *first;    /* where the reader's events come in */
    bool rewrite;                /* one of the filters does */
};

/* An empty chain: events go straight to `last`. */
static inline void
filters_begin(struct filters *c, struct event_sink *last)
{
    *c = (struct filters){ .first = last };
}

/* Puts a filter in front of the others. */
static inline void
filters_add(struct filters *c, struct filter *f)
{
    f->next = c->first;
    c->first = &f->sink;
    c->rewrite = c->rewrite || f->rewrites;
}

/* Puts a filter behind `before`, which is in the chain. */
static inline void
filters_add_behind(struct filters *c, struct filter *before, struct filter *f)
{
    f->next = before->next;
    before->next = &f->sink;
    c->rewrite = c->rewrite || f->rewrites;
}

/* What a filter does with an event that it lets through. */
static inline void
filter_pass(const struct filter *f, const struct llm_event *ev)
{
    f->next->emit(f->next, ev);
}

/* side.h - calls of the gateway's own: the verdict of a model that judges, a shadow copy.
 *
 * A side call is an attempt without an exchange. It goes through the plan, the breakers and the
 * limits of its target as any other does, is counted in the metrics, and ends by itself: answered,
 * failed or late. It never waits for a target, and is not repeated. Its answer goes to who began it
 * alone.
 */
#pragma once

#include "gateway/attempt.h"

struct side;

/* How it ended; valid during the call of `done`. */
struct side_end {
    enum err error;                     /* OK: it was answered */
    const struct llm_answer *answer;    /* NULL unless `keep` */
    const struct attempt *attempt;
    int64_t cost_nanousd;    /* or COST_UNKNOWN */
};

struct side_call {
    struct worker *worker;
    struct snapshot_hold *hold;
    struct str model;                /* provider/model, or an alias */
    struct str request_id;           /* in logs; outlives the call's beginning only */
    struct request *request;         /* written before side_begin() returns, unless it is large */
    struct exchange *copied;         /* whose request it is a copy of; NULL: our own */
    const struct exchange *payer;    /* whose budgets pay for it */
    /* of the caller whose words it has: whom it forbids to have them is not asked; NULL: nobody */
    const struct wishes *wishes;
    const struct conf_strs *providers;    /* that the caller may use, while it begins; NULL: all */
    uint64_t due_us;                      /* when it has failed; clock_now_us() */
    bool keep;                            /* its answer is wanted */
    /* It is about to be sent, during side_begin(); false: it must not be. NULL: nothing is to be done. */
    bool (*sending)(void *owner, const struct attempt *a);
    /* On the worker's thread, once, unless it is cancelled; never during side_begin(). */
    void (*done)(void *owner, const struct side_end *end);
    void *owner;
};

/* Begins one, which takes a user of the request. NULL: no target can take it now. */
struct side *side_begin(const struct side_call *call) MUST_CHECK;

/* It is not wanted any more: it is stopped, and `done` is not called. NULL is a no-op. */
void side_cancel(struct side *s);

/* A request of our own: what the model is told, and the material. NULL: no memory. Release it with
 * request_drop(). */
struct request *side_request(
    struct worker *w, struct str instruction, struct str material, int64_t max_tokens) MUST_CHECK;

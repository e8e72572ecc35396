/* attempt.h - one try to get the answer from one target.
 *
 * An attempt owns its call to the provider, the intake that reads the answer, the filters that its
 * events pass, the draft of what the caller gets, its clocks and its record. Callbacks of the call
 * belong to it alone. It lives in its exchange's arena.
 *
 * An exchange may have several under way. The first with a token in its draft is committed: the
 * delivery sends that draft, and the others are stopped. One that is let go is seen by nobody, and
 * may outlive its exchange, whose memory it then keeps.
 */
#pragma once

#include "gateway/delivery.h"
#include "gateway/intake.h"
#include "gateway/measure.h"
#include "gateway/request.h"
#include "gateway/tally.h"
#include "gateway/written.h"
#include "base/log.h"
#include "http/client.h"
#include "net/timer.h"
#include "route/route.h"

struct attempt_hold;
struct exchange;
struct snapshot_hold;
struct worker;
struct record_attempt;
struct resume;

enum attempt_state {
    ATTEMPT_WRITING,      /* the request is being written for the target */
    ATTEMPT_RUNNING,      /* waiting for the provider, or for a token */
    ATTEMPT_READING,      /* a large answer is all there; a helper thread reads and writes it */
    ATTEMPT_HELD,         /* the answer is complete; whether the caller gets it is to be judged */
    ATTEMPT_COMMITTED,    /* a real token is there: the caller gets this one, also when it breaks */
    ATTEMPT_DONE,         /* the answer is complete */
    ATTEMPT_FAILED,       /* `error` says why */
    ATTEMPT_OVER,         /* noted and counted; nothing is under way */
    ATTEMPT_STATES
};

/* What a helper thread works with: memory that is its own until it is done. What it keeps of a
 * stream stays to the stream's end. */
struct answer_job {
    struct job job;
    struct arena *arenas[2];    /* what is kept, and scratch */
    struct str body;            /* the document, if it has to be read */
    struct buf bytes;           /* of a stream, to be read */
    size_t before;              /* bytes in the draft before they were */
    bool ends;                  /* they are the last ones */
    enum err result;
};

/* What each part of an answer needs comes first: see struct client_call. */
struct attempt {
    enum attempt_state state;
    bool fresh;      /* on a new connection */
    bool slow;       /* so long without a token that another target may be asked */
    bool hurried;    /* a limit of the caller's ended it, which says little of the target */
    bool sent;       /* it was put on a connection: some of it may have arrived */
    bool ended;      /* the provider's bytes are all there */
    bool paused;     /* the caller is slow: we stopped reading */
    bool noted;      /* its first token was, of one whose answer is judged */
    bool anew;       /* of the caller's wire, but written and read as if of another */
    struct exchange *exchange;    /* NULL once it was let go */
    struct worker *worker;
    struct snapshot_hold *hold;
    struct arena *arena;
    struct target *target;
    struct request *request;          /* NULL once it is not needed again */
    struct client_call *call;         /* NULL when nothing is under way */
    uint64_t held;                    /* counted in the worker's share for the buffers here */
    struct timer *chaos;              /* stopped with it; NULL: it has no fault that was injected */
    struct answer_job *job;           /* NULL: it did not need one yet */
    struct resume *resume;            /* NULL: its stream is not continued when it breaks */
    struct held *judged;              /* NULL: its answer is not judged, but given as it comes */
    struct fold *fold;                /* NULL: the whole answer is not kept */
    struct attempt_hold *reserved;    /* what it took of limits and budgets; NULL: none apply */

    struct intake intake;
    struct filters filters;
    struct tally tally;
    struct draft draft;

    struct attempt *next;           /* of the exchange's, or of the worker's that were let go */
    struct candidate *candidate;    /* of the exchange's plan; NULL without an exchange */
    size_t credential;              /* number of the key */
    struct concurrency *slot;       /* at the target; NULL: not limited */
    struct health_pass pass;        /* through the breakers; left when it is OVER */
    struct measure measure;
    uint64_t slow_us;      /* after so long it is slow; 0: never */
    uint64_t silent_us;    /* the same, whatever the caller's hurry: then it is to blame */
    uint64_t hedge_us;     /* after so long a second target may be asked; 0: it may not */
    struct record_attempt *note;
    struct written *written;      /* in its arena, and gone with it */
    struct credential *lent;      /* of the provider's identity; NULL: it has none */
    struct wire_drops drops;      /* parameters that the target could not express */
    struct str path;              /* of the request; gone with it */
    struct llm_error error;       /* when FAILED */
    struct timer clock;           /* answer.c: the next of its deadlines, or sooner */
    unsigned watched;             /* what the clock was set by */
    struct attempt_lone *lone;    /* what it has instead of an exchange */
    int64_t told_tokens;          /* that it had used when book_tell() was called */
};

/* One that belongs to no exchange from its beginning; see side.h. */
struct attempt_alone {
    struct worker *worker;
    struct snapshot_hold *hold;
    struct arena *arena;             /* which is its own from now on */
    struct request *request;         /* of which a user is taken */
    struct exchange *copied;         /* whose request that is; NULL: our own */
    const struct exchange *payer;    /* whose budgets pay for it; NULL: nobody's */
    const struct pick *pick;
    struct str request_id;
    uint64_t due_us;    /* when it has failed */
    /* It is about to be sent; false: it must not be. NULL: nothing is to be done then. */
    bool (*sending)(void *owner, const struct attempt *a);
    /* It is over, and is freed afterwards. */
    void (*ended)(void *owner, struct attempt *a, enum err outcome);
    void *owner;
};

/* Begins the one that was picked, and writes the head of the request for it. It is the exchange's
 * x->attempt from now on. */
struct attempt *attempt_begin(struct exchange *x, const struct pick *pick) NEVER_NULL;

/* Begins one without an exchange, and writes its request. */
struct attempt *attempt_begin_alone(const struct attempt_alone *how) NEVER_NULL;

/* Takes the current credential of the provider's identity, which the request is to be authorised with.
 * False: there is none that is valid. */
bool attempt_take_credential(struct attempt *a) MUST_CHECK;

/* The request cannot be sent, because there is none. */
void attempt_lack_credential(struct attempt *a);

/* Of one without an exchange: asks its owner whether it may be sent. */
bool attempt_may_send(const struct attempt *a);

/* Sends what was written, and has the answer told to `events`; the attempt has failed when the
 * target cannot take the request. `events` NULL: all but the call (chaos.c). */
void attempt_send(struct attempt *a, const struct client_events *events);

/* Keeps the whole answer of one that has begun, besides what is done with it otherwise. */
void attempt_fold(struct attempt *a);

/* Stops what is under way, if anything, and notes how it ended. OVER. */
void attempt_stop(struct attempt *a, enum err outcome);

/* From now on the exchange does not know of the attempt, which nobody sees: it counts what it gets,
 * and ends and frees itself, perhaps after its exchange. Only while RUNNING, before the answer; and
 * another must be under way, or a target left to try. */
void attempt_let_go(struct attempt *a);

/* Stops all that have no exchange. */
void attempt_stop_lone(struct worker *w);

/* Stops one that has no exchange; where it ends by itself in a moment, because a helper thread is at
 * work, nobody is told. */
void attempt_abandon(struct attempt *a);

/* The target has done its part: its answer is complete. What follows is not held for or against it. */
void attempt_answered(struct attempt *a);

/* Why one ended whose answer nobody gets: because another's is given. */
enum err attempt_vain(const struct attempt *a);

/* When the deadline of one without an exchange is; 0: it has that of its target. */
uint64_t attempt_alone_due_us(const struct attempt *a);

/* Frees one that is OVER. */
void attempt_free(struct attempt *a);

/* When the last token came, or the last byte where tokens cannot be told. */
static inline uint64_t
attempt_heard_us(const struct attempt *a)
{
    return MAX(a->intake.heard_us, a->tally.last_token_us);
}

/* Changes its state; the only place that does. */
void attempt_move(struct attempt *a, enum attempt_state to);

/* From callbacks: the stage that waits for the attempt is run again. */
void attempt_report(struct attempt *a);

/* A copy that does not depend on the attempt's memory, some of which a helper thread owns. */
struct llm_error attempt_error_copy(const struct llm_error *e, struct arena *to);

void attempt_set_failed(struct attempt *a, const struct llm_error *e);

/* The same, and reports it, from callbacks. The words for the caller are what the provider said, or
 * else say `why`. */
void attempt_fail(struct attempt *a, enum err why, const char *detail);

/* The request is not needed again. */
void attempt_drop_request(struct attempt *a);

/* Its draft, begun if it was not. */
struct draft *attempt_draft(struct attempt *a) NEVER_NULL;

/* What was folded, or what a helper thread worked with, is not needed again. */
void attempt_drop_fold(struct attempt *a);
void attempt_drop_job(struct attempt *a);

/* Releases the memory of an answer that has been sent, or will not be. */
void attempt_release(struct attempt *a);

/* Is a helper thread using memory of it? Then nothing else may. */
static inline bool
attempt_is_at_work(const struct attempt *a)
{
    if (a->state == ATTEMPT_WRITING && a->request->job.state == JOB_RUNNING)
        return true;
    return a->job != NULL && a->job->job.state == JOB_RUNNING;
}

/* What its answer cost so far, in nano-dollars, or COST_UNKNOWN; see catalog_cost_nanousd(). `ret_estimated` may be
 * NULL. */
int64_t attempt_cost_nanousd(const struct attempt *a, bool *ret_estimated);

/* The same if it had used that. */
int64_t attempt_usage_nanousd(
    const struct attempt *a, const struct llm_usage *u, bool *ret_estimated);

/* Did it end because its answer is not the one that is given? */
static inline bool
attempt_was_in_vain(enum err outcome)
{
    return outcome == ERR_OUTRUN || outcome == ERR_ANSWER_REJECTED;
}

/* Why something of the exchange failed, for the log: without secrets or parts of the conversation.
 * A provider's error, of the attempt `a` (may be NULL), is reduced to its status, code and
 * parameter. In the exchange's arena. */
struct str attempt_reason(struct exchange *x, const struct attempt *a, const struct llm_error *e);

/* The context of log messages about it. */
struct log_context attempt_log(const struct attempt *a);

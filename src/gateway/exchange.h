/* exchange.h - one client request and everything done for it.
 *
 * Created when a request's head is complete, driven by gateway_run() only, and settled once by
 * exchange_finish(). It belongs to one worker. What is made from the client's body is in its
 * request, which is dropped when the answer begins; the rest is in the exchange's arena. Callbacks
 * record what happened and wake the exchange; they never run stages.
 */
#pragma once

#include "gateway/delivery.h"
#include "gateway/endpoints.h"
#include "gateway/request.h"
#include "gateway/snapshot.h"
#include "gateway/worker.h"
#include "http/server.h"
#include "http/unpack.h"
#include "observe/record.h"
#include "observe/trace.h"

enum step { STEP_NEXT, STEP_WAIT, STEP_STOP };

struct attempt;
struct judge;
struct explain_decision;
struct reservation;
struct retry;
struct waiting;

struct exchange {
    struct worker_link link;    /* the worker's list */
    struct worker *worker;
    struct snapshot_hold *hold;
    struct arena *arena;
    unsigned owners;          /* of the arena: the exchange, and attempts that it let go */
    struct server_conn *q;    /* NULL once the caller is gone */
    struct deferred wake;

    unsigned stage;       /* index into gateway.c's table */
    bool gone;            /* the caller left */
    bool streaming;       /* counted among the worker's streams */
    bool answered;        /* server_end() or server_abort() was called */
    bool cost_follows;    /* in a trailer */
    bool session;         /* it asks to leave HTTP: WebSocket */
    bool delivering;      /* all is written, and the caller has still to take it */

    const struct endpoint *endpoint;
    struct str id;    /* request id */
    struct trace trace;
    struct str client_ip, method;
    struct http_path path;           /* normalised: what is matched, logged and sent on */
    const char *path_fault;          /* why it was refused, or NULL */
    struct principal *who;           /* held; NULL: not identified yet, or not at all */
    struct str fault;                /* why its token is refused; empty: it is not */
    bool slot;                       /* counted in worker->admitted and who->in_flight */
    struct waiting *waiting;         /* admission.c: for a slot; NULL: it does not */
    struct reservation *reserved;    /* what it took of limits; NULL: none apply */

    struct waiter *waiter;    /* for what is fetched; NULL: it need not wait */
    void *admin;              /* what an admin request waits for; NULL: nothing yet */
    struct unpack *unpack;    /* while a compressed body is decompressed */
    uint64_t unpack_held;     /* counted in the worker's share for it */

    /* the caller's protocol, and what it asks for: of the request's head, what is needed to the
     * end */
    const struct wire *wire;
    const struct framing *framing;    /* of a streamed answer; set with the request's head */
    enum llm_op op;
    bool stream, want_usage, old_calls;
    struct str model;
    struct stored *stored;      /* answers known by their ids; NULL: nothing to do with any */
    struct wishes *wishes;      /* what it demands and prefers; NULL: nothing */
    struct request *request;    /* its body; NULL until it was received, and once the answer begins */

    struct ask *ask;    /* what the plan was made from; NULL: the target was named directly */
    struct rule_result *ruling;           /* of the rules; NULL: there are none */
    struct explain_decision *decision;    /* the plan and why; NULL: the same */
    struct plan plan;
    struct retry *retry;    /* NULL while no attempt failed or was slow */
    struct judge *judge;    /* NULL: answers are given as they come */
    bool shadowed;          /* it was decided whether a copy goes to another target */
    /* whose answer counts: the one that was committed, or else the last one; NULL: none yet */
    struct attempt *attempt;
    struct attempt *under_way;    /* all that are not freed, newest first */
    struct delivery delivery;
    struct resume *resumed;    /* the part of a broken stream that attempts continue; NULL: none did */
    struct record_attempt *notes;    /* all attempts, oldest first */
    struct record_attempt **notes_tail;
    unsigned attempts;
    int64_t outrun_nanousd;    /* what attempts cost whose answers nobody gets */
    int64_t judge_nanousd;     /* and models that judged answers */
    uint32_t book;             /* its record in the worker's journal; 0: none yet */
    bool unbooked;             /* there was no room for one */
    const char *chaos;         /* the fault that an attempt got on purpose; NULL: none */

    enum err error;    /* OK, or why it failed */
    struct str error_message;
    int status;    /* answered to the caller */

    uint64_t started_us;
    uint64_t deadline_us;    /* end of the time allowed; 0: none */
    bool deadline_said;      /* by the caller */
    /* the caller waits so long for an answer to begin; 0: not said */
    uint64_t begin_by_us;
    uint64_t silence_us;    /* the provider may say nothing for so long; 0: not said */
    uint64_t waited_us;     /* spent waiting for the caller's body */
    uint64_t wait_began_us;
    uint64_t queued_us;        /* spent waiting for a slot */
    int64_t input_estimate;    /* tokens, rough: for when usage is not reported */
    uint64_t bytes_in, bytes_out;
};

/* Starts an exchange for a request; never fails. Waking it calls `run`. */
struct exchange *exchange_create(
    struct worker *w, struct server_conn *q, void (*run)(void *exchange)) NEVER_NULL;

/* Leaves x->waiter, which is not NULL. */
void exchange_stop_waiting(struct exchange *x);

/* Gives back what unpacking takes, if anything. */
void exchange_end_unpack(struct exchange *x);

/* Takes over the body of the request, instead of an earlier one. False: no room. */
bool exchange_take_body(struct exchange *x, struct buf body) MUST_CHECK;

/* Drops the request, which the exchange itself does not need any more. Its tokens are estimated first, or
 * counted as the target counts them: for an answer that does not say them. */
enum exchange_input { INPUT_REPORTED, INPUT_ESTIMATED, INPUT_COUNTED };
void exchange_drop_request(struct exchange *x, const struct target *t, enum exchange_input input);

/* Parses the body as JSON: llm.doc, or NULL and `bad_json`. False as with request_work(). */
bool exchange_parse(struct exchange *x) MUST_CHECK;

/* The three texts as one, in the exchange's arena. */
struct str exchange_join(struct exchange *x, struct str a, struct str b, struct str c);

/* Runs the stages at the end of this iteration of the loop. */
void exchange_wake(struct exchange *x);

/* The deadline, the configured one or the client's; 0: none. Has it passed? */
uint64_t exchange_due_us(const struct exchange *x);
bool exchange_is_late(const struct exchange *x, uint64_t now_us);

/* Frees an exchange that has been settled, and whose attempts are freed. Called by gateway_run()
 * alone. */
void exchange_finish(struct exchange *x);

/* The text as it may be logged: replaced by a note if it contains a secret. */
struct str exchange_shown(const struct exchange *x, struct str text);

/* The context of log messages about the exchange. */
struct log_context exchange_log(const struct exchange *x);

static inline struct exchange *
exchange_of(struct worker_link *link)
{
    return CONTAINER_OF(link, struct exchange, link);
}

/* Notes for the watchdog that the worker is working on it. */
static inline void
exchange_enter(struct exchange *x)
{
    if (x->worker->at != x)    /* false for all but the first stage of most exchanges */
        worker_note(x->worker, x, x->id, x->endpoint);
}

static inline const struct conf *
exchange_conf(const struct exchange *x)
{
    return x->hold->snapshot->conf;
}

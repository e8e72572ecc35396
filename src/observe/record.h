/* record.h - all that is known of an exchange once it is over.
 *
 * It is filled in once, when the exchange settles (gateway/settle.c), and is immutable from then
 * on: the access log, the metrics and whatever else counts, bills or reports read it and nothing
 * else. What it points to is valid while it is handed around; keep copies.
 */
#pragma once

#include "base/err.h"
#include "llm/event.h"
#include "route/explain.h"

/* One attempt at one target. */
struct record_attempt {
    const struct target *target;
    enum err outcome;
    int status;
    bool reused;
    unsigned resent;    /* times that the server had not processed it, so that it was sent again */
    uint64_t started_us;
    uint64_t head_us;    /* answer's head, 0: none */
    uint64_t ended_us;
    struct str credential;    /* the name of the key that was sent, or empty */
    struct str message;       /* why it failed, or was rejected, as it may be logged */
    const char *purpose;      /* what it was for, if not for the answer: "judge"; else NULL */
    struct record_attempt *next;
};

struct record {
    uint64_t wall_ms;    /* when it ended */
    struct str request_id, trace_id;
    uint64_t answer;    /* stands for the id of the answer (gateway/recent.h); 0: it has none */
    struct str key_name, key_hash, client_ip;    /* who asked */
    struct str method, path;
    unsigned endpoint;    /* its number, for metrics */
    struct str endpoint_id;
    bool quiet;    /* a health check or a scrape that succeeded: not worth a line of a log */
    bool stream;
    bool client_abort;    /* the client left before the answer was complete */

    struct str model_requested;
    const struct explain_decision *decision;    /* NULL: the target was named directly */
    const struct target *target;                /* the last one that was asked; NULL: none */
    const struct record_attempt *attempts;
    unsigned attempt_count;

    int status;
    enum err error;    /* OK, or why it failed */
    struct str error_message;
    enum llm_finish finish;

    struct llm_usage usage;
    bool usage_estimated;
    bool continued;    /* its stream broke, and another attempt went on: usage and cost are of both */
    int64_t cost_nanousd;      /* or COST_UNKNOWN */
    bool cost_estimated;       /* by the price of another provider: catalog.unknown_price */
    int64_t outrun_nanousd;    /* besides, of attempts whose answers nobody got */
    int64_t judge_nanousd;     /* and of models that judged the answers */
    uint32_t book;             /* its record in the worker's journal (gateway/book.h); 0: none */
    struct str shadow_of;      /* the request of which it is a copy; empty: none, it is a request */

    uint64_t bytes_in, bytes_out;
    int64_t first_token_us;    /* -1: there was none */
    int64_t duration_us;
    int64_t overhead_us;    /* spent in the gateway itself; -1: not known */
};

/* How logs name these things; empty where there is nothing to name. */
static inline struct str
record_error(const struct record *r)
{
    return r->error != OK ? str_c(err_row(r->error)->code) : S("");
}

static inline struct str
record_provider(const struct record *r)
{
    return r->target != NULL ? r->target->provider->id : S("");
}

static inline struct str
record_model(const struct record *r)
{
    return r->target != NULL ? r->target->wire.model : S("");
}

static inline struct str
record_finish(const struct record *r)
{
    return r->finish != FINISH_UNKNOWN ? str_c(llm_finish_name(r->finish)) : S("");
}

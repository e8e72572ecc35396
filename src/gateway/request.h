/* request.h - the body of a client's request, and all that is made from it.
 *
 * The parsed document, the conversation and what is written for targets live in an arena of the
 * request, and everything is freed together when its last user drops it: the exchange, once its
 * answer begins, and each attempt, once its own request is not needed any more. No pointer into it
 * may be kept longer.
 */
#pragma once

#include "base/buf.h"
#include "gateway/job.h"
#include "http/multipart.h"
#include "llm/request.h"
#include "tokens/tokens.h"

struct thoughts;

struct request {
    struct llm_request llm;    /* its arena is that of the request */
    unsigned users;
    bool large;    /* the body is, and so is what is made from it: a helper thread does it */
    struct job job;
    struct buf body;
    uint64_t held;    /* counted in the worker's share for it */

    struct json_error bad_json;    /* when llm.doc is NULL */
    struct str form_type;          /* the content type of a form, and whether it names a model */
    enum multipart_found form;
    const char *form_why;
    enum tokens_family tokenizer;    /* local_count(): how the tokens are counted, */
    enum err uncounted;              /* why they could not be, */
    struct wire_fault fault;         /* and what to tell */
    int64_t input_estimate;          /* tokens, of a large one */
    struct thoughts
        *thoughts;       /* what is remembered of its history; NULL: nothing, or it was put in */
    struct str owner;    /* for whom */
};

/* Takes over the body. `done(owner)` is called when work on it is done. It has one user. NULL, and
 * the body is freed: the memory limit is reached. */
struct request *request_create(
    struct worker *w, struct buf body, void (*done)(void *owner), void *owner) MUST_CHECK;

/* One more user. */
static inline struct request *
request_take(struct request *r)
{
    r->users++;
    return r;
}

/* One user less; the last one frees it. NULL is a no-op. */
void request_drop(struct request *r);

/* Does work(arg), of a large request on a helper thread. False: it is running; ask again when it is
 * done. `work` may touch the request and what belongs to the work alone. */
bool request_work(struct request *r, void (*work)(void *arg), void *arg) MUST_CHECK;

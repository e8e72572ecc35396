/* proofs.h - what proves an answer's reasoning, for callers whose protocol has no place for it.
 *
 * Models sign or encrypt their reasoning and want it back in the next turn. Many clients keep of an
 * answer only its text and calls. So the proofs are collected from the events, found again by what
 * the client does send back (the id of a call, or else the text), and put into the history, from
 * which each wire takes those that its models can read.
 */
#pragma once

#include "base/buf.h"
#include "llm/event.h"
#include "llm/request.h"

#define PROOFS_MOST_BYTES (256u * 1024)    /* of one answer; more is not collected */

/* Of one answer, as it comes. Only its first choice counts. */
struct proofs {
    struct buf list;         /* JSON objects with commas between them */
    struct buf reasoning;    /* of the block that has no proof yet */
    struct buf call;         /* the first call's id */
    uint64_t text[2];        /* a hash of the text so far */
    uint64_t calls[2];       /* and of the calls, which some protocols give no ids */
    bool says;               /* there is text, or a call */
};

void proofs_init(struct proofs *p);
void proofs_fini(struct proofs *p);
void proofs_take(struct proofs *p, const struct llm_event *ev);

/* The collected proofs, to be kept; empty if there are none, or too many. */
struct str proofs_kept(const struct proofs *p);

#define PROOFS_NAME_BYTES 160

/* What the answer's message is recognised by, in `room`: the id of its first call, or what it says. Empty:
 * by nothing. */
enum proofs_by { BY_CALL, BY_WORDS, BY_ALL };
struct str proofs_name(const struct proofs *p, enum proofs_by by, char room[PROOFS_NAME_BYTES]);

/* The same of an assistant's message in a history. Empty also if it has proofs of its own. */
struct str proofs_name_of(
    const struct llm_message *m, enum proofs_by by, char room[PROOFS_NAME_BYTES]);

/* Puts what was kept of a message back into it; `kept` must live as long as the request. */
void proofs_restore(struct llm_request *r, struct llm_message *m, struct str kept);

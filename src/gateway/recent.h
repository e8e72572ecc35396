/* recent.h - what a worker knows of the requests that ended last, found by their ids.
 *
 * A ring of a fixed number of bytes: a request that has ended is kept as its line of the access log,
 * until newer ones take its room. Belongs to one worker and takes no lock; other threads ask it by
 * messages (past.h).
 */
#pragma once

#include "base/base.h"

struct recent;

/* What is kept of a request. */
struct recent_entry {
    struct str line;        /* its line of the access log, JSON without the line end */
    struct str key_hash;    /* of the key that asked; empty: no key was needed */
    /* what was said of its answer: JSON, or empty; the score of it */
    struct str feedback;
    double score;
};

/* Room for `bytes`; NULL if that is too little for anything. */
struct recent *recent_create(size_t bytes);
void recent_destroy(struct recent *r);

/* Keeps a request, which is found by its id, and by `answer` (recent_answer(); 0: it has none). A
 * line that is larger than an eighth of the room is not kept. `r` may be NULL. */
void recent_add(
    struct recent *r, struct str id, uint64_t answer, struct str key_hash, struct str line);

/* The newest that has this id, or whose answer has it, and that this key asked; `key_hash` NULL: any
 * key. Valid until the next recent_add() or recent_say(). False: it is not kept. */
bool recent_find(
    const struct recent *r, struct str id, const struct str *key_hash, struct recent_entry *ret);

/* Keeps what is said of an answer, instead of what was said before, with the request that
 * recent_find() finds. False: it is not kept. */
bool recent_say(
    struct recent *r, struct str id, const struct str *key_hash, double score, struct str feedback);

/* What stands for the id of an answer; never 0. Stable within one process. */
uint64_t recent_answer(struct str id);

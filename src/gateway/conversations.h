/* conversations.h - turns of conversations that callers continue by the id of the last answer.
 *
 * The Responses API lets a caller send the id of an answer instead of all that was said before. Where
 * the provider stores its answers, only who it is is kept; otherwise the turn itself: what was asked,
 * and the answer. Shared by all workers; each shard has a lock of its own. The oldest turns make room
 * for new ones, and each has its time. Lost with the process.
 */
#pragma once

#include "base/arena.h"

struct conversations;

struct conversation_turn {
    struct str id;          /* of the answer */
    struct str owner;       /* whose it is: others do not get it */
    struct str previous;    /* the turn that it continues; empty: none */
    struct str input;       /* JSON of the items that were asked, with commas between them */
    struct str answer;      /* JSON, the whole document */
    struct str provider;    /* which stores it; then there is neither input nor answer */
};

struct conversations *conversations_create(void) NEVER_NULL;
void conversations_destroy(struct conversations *c);

/* Keeps a copy, for `ttl_ms`. One that needs more than an eighth of its shard's part of `limit_bytes`
 * is not kept. `c` may be NULL, here and below. */
void conversations_put(struct conversations *c, const struct conversation_turn *turn,
    uint64_t limit_bytes, uint64_t ttl_ms, uint64_t now_ms);

/* TURN_ANOTHERS: it is there, and belongs to another key. */
enum turn_found { TURN_UNKNOWN, TURN_ANOTHERS, TURN_KEPT };

/* A copy in `a`. TURN_UNKNOWN also if memory runs out. */
enum turn_found conversations_get(struct conversations *c, struct arena *a, struct str id,
    struct str owner, uint64_t now_ms, struct conversation_turn *ret);

/* Forgets one. Was there one of that owner? */
bool conversations_remove(struct conversations *c, struct str id, struct str owner);

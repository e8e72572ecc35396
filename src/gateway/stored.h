/* stored.h - what an exchange has to do with answers that are known by their ids. */
#pragma once

#include "base/base.h"

struct conversations;

/* Lives as long as the exchange's arena. */
struct stored {
    struct conversations *conversations;
    struct str owner;
    struct str previous;    /* the answer that the request continues; empty: none */
    struct str input;       /* what the request adds, see struct conversation_turn */
    struct str provider;    /* which stores what it continues; empty: any may answer */
    uint64_t limit_bytes, ttl_ms;
    bool keep;    /* the caller wants the answer stored */
};

/* Keeps an answer that was translated; for struct wire_writer, from any thread. */
void stored_keep(void *stored, struct str id, struct str answer);

/* Notes which provider stores an answer that was passed through. `s` may be NULL. */
void stored_note(const struct stored *s, struct str id, struct str provider);

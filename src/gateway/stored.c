/* stored.c - what becomes of an answer: it is kept, or it is noted who keeps it. */
#include "gateway/stored.h"

#include "base/clock.h"
#include "gateway/conversations.h"

void
stored_keep(void *stored, struct str id, struct str answer)
{
    const struct stored *s = stored;

    conversations_put(s->conversations,
        &(struct conversation_turn){ .id = id,
            .owner = s->owner,
            .previous = s->previous,
            .input = s->input,
            .answer = answer,
            .provider = S("") },
        s->limit_bytes, s->ttl_ms, clock_now_ms());
}

void
stored_note(const struct stored *s, struct str id, struct str provider)
{
    if (s == NULL || !s->keep)
        return;
    conversations_put(s->conversations,
        &(struct conversation_turn){ .id = id,
            .owner = s->owner,
            .previous = S(""),
            .input = S(""),
            .answer = S(""),
            .provider = provider },
        s->limit_bytes, s->ttl_ms, clock_now_ms());
}

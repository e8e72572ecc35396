/* writing.h - shared by the files that write a request for an OpenAI-compatible
 * provider. Private to the wire.
 */
#pragma once

#include "wires/openai_chat/openai_chat.h"

struct writing {
    struct buf *out;
    const struct llm_request *r;
    const struct wire_target *t;
    struct wire_drops *drops;
    struct wire_fault *fault;
    bool any_message;
    const struct llm_message *media;    /* the first of consecutive tool results with media, or NULL */
};

/* Whether the caller uses this wire too. */
static inline bool
openai_is_native(const struct writing *w)
{
    return w->r->wire == &wire_openai_chat;
}

/* ,"key": */
void openai_add_key(struct writing *w, struct str key);

/* ,"key":"value" */
void openai_add_text(struct writing *w, struct str key, struct str value);

/* ,"messages":[...] - OK, or ERR_UNSUPPORTED and ERR_TOO_LARGE with w->fault. */
enum err openai_write_messages(struct writing *w);

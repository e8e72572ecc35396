/* reading.h - shared by the files that read an OpenAI caller's request. Private to the
 * wire. */
#pragma once

#include "llm/read.h"
#include "wires/openai_chat/openai_chat.h"

/* A position in the document: built on the stack, written out only for an error. */
struct where {
    const struct where *up;
    const char *key;    /* a member, or NULL */
    uint32_t index;     /* else an element */
};

struct openai_reading {
    struct llm_request *r;
    struct arena *a;
    struct wire_fault *fault;
    uint32_t elements;
    uint32_t old_calls;    /* calls in the deprecated form function_call */
    bool too_large;        /* memory for a string was refused */
};

/* Reports the field `key` (may be NULL) of `w`: fills rd->fault and returns `e`. */
enum err openai_fail(
    struct openai_reading *rd, enum err e, const struct where *w, const char *key, const char *what);

/* The same with ERR_BAD_REQUEST. */
enum err openai_bad(struct openai_reading *rd, const struct where *w, const char *key, const char *what);

/* Counts one more message, part or tool; ERR_TOO_LARGE if there are too many. */
enum err openai_count_element(struct openai_reading *rd, const struct where *w);

/* The text of a string, empty for anything else; sets rd->too_large if there is no memory for it.
 */
struct str openai_text_of(struct openai_reading *rd, const struct json *j);

/* A string member. If it is absent, the first yields an empty slice, the second an error. */
enum err openai_optional_text(struct openai_reading *rd, const struct where *w, const struct json *j,
    const char *key, struct str *ret);
enum err openai_required_text(struct openai_reading *rd, const struct where *w, const struct json *j,
    const char *key, struct str *ret);

/* r->system and r->messages. */
enum err openai_read_messages(struct openai_reading *rd);

/* wire_openai_reading.h - while an OpenAI caller's request is taken apart. Private to the wire. */
#pragma once

#include "llm/wire_openai_chat.h"

/* Where we are in the document: built on the stack, spelled out only for a fault. */
struct where {
    const struct where *up;
    const char *key;    /* a member, or NULL */
    uint32_t index;     /* else an element */
};

struct reading {
    struct llm_request *r;
    struct arena *a;
    struct wire_fault *fault;
    uint32_t elements;
    uint32_t old_calls;    /* function_call of the days before tools */
    bool too_large;        /* memory for a text was refused */
};

/* The field `key` (may be NULL) of `w` is at fault: fills rd->fault and returns `e`. */
enum err openai_fail(
    struct reading *rd, enum err e, const struct where *w, const char *key, const char *what);

/* The same with ERR_BAD_REQUEST. */
enum err openai_bad(struct reading *rd, const struct where *w, const char *key, const char *what);

/* One more message, part or tool; ERR_TOO_LARGE when there are too many. */
enum err openai_count_element(struct reading *rd, const struct where *w);

/* The text of a string, empty for anything else; rd->too_large when there is no memory for it. */
struct str openai_text_of(struct reading *rd, const struct json *j);

/* A string member; absent, it is the empty slice or a fault. */
enum err openai_optional_text(struct reading *rd, const struct where *w, const struct json *j,
    const char *key, struct str *ret);
enum err openai_required_text(struct reading *rd, const struct where *w, const struct json *j,
    const char *key, struct str *ret);

/* r->system and r->messages. */
enum err openai_read_messages(struct reading *rd);

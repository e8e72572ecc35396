/* wire_openai_reply.h - what is remembered of a provider's answer while it arrives. Private to the
 * wire.
 */
#pragma once

#include "llm/wire_openai_chat.h"

/* How far the JSON text of a call's arguments has come. */
struct args_scan {
    uint32_t depth;
    bool seen;
    bool in_string;
    bool escaped;
};

struct reply_call {
    uint32_t number;    /* of the choice, dense; given when it starts */
    int64_t label;      /* the provider's index, -1 when it gives none */
    struct str id;
    struct str name;
    bool custom;
    bool started;    /* EVENT_TOOL_START was emitted */
    bool ended;
    struct args_scan args;
    bool listed;    /* among the choice's `whole` */
    struct reply_call *next;
    struct reply_call *next_whole;
};

struct reply_choice {
    uint32_t index;
    bool said;    /* it had any content */
    bool finished;
    uint32_t call_count;
    uint32_t start_count;    /* of those, calls that the caller was told of */
    struct reply_call *calls;
    struct reply_call **calls_tail;
    struct reply_call *newest;
    struct reply_call *whole;    /* whose arguments came to an end and who have not ended yet */
    struct reply_call **whole_tail;
    struct map *by_label;    /* the newest call of each; made with the first call */
    struct map *by_id;
    struct reply_choice *next;
};

struct reply {
    bool started;
    bool too_large;    /* memory for a text was refused */
    struct llm_usage usage;
    struct reply_choice *choices;    /* by index, ascending */
    struct reply_choice *recent;     /* the one looked up last */
};

/* The state in r->state, made on first use. */
struct reply *openai_reply(struct wire_reader *r) NEVER_NULL;

/* The text of a string, valid for this frame; nothing gets lost unnoticed: reply->too_large is
 * set when there is no memory for it. Empty for anything else. */
struct str openai_reply_text(struct wire_reader *r, const struct json *j);

/* A copy that lives as long as the answer. */
struct str openai_reply_keep(struct wire_reader *r, struct str s);

/* Follows JSON text that comes in pieces. */
void openai_scan_args(struct args_scan *scan, struct str text);

/* Emits what `calls` (the list tool_calls) and `old` (a function_call) say; each may be NULL.
 * `whole`: they are no fragments. */
enum err openai_take_calls(struct wire_reader *r, struct reply_choice *c, const struct json *calls,
    const struct json *old, bool whole);

/* Ends all calls. */
void openai_end_calls(struct wire_reader *r, struct reply_choice *c);

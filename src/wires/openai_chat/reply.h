/* reply.h - state kept while a provider's answer arrives. Private to the wire.

 */
#pragma once

#include "wires/openai_chat/openai_chat.h"

/* Scanner state for the JSON text of a call's arguments. */
struct args_scan {
    uint32_t depth;
    bool seen;
    bool in_string;
    bool escaped;
};

struct reply_call {
    uint32_t number;    /* within the choice, dense; assigned when the call starts */
    int64_t label;      /* the provider's index; -1 if it sends none */
    struct str id;
    struct str name;
    bool custom;
    bool started;    /* EVENT_TOOL_START was emitted */
    bool ended;
    struct args_scan args;
    bool listed;    /* in the choice's list `whole` */
    struct reply_call *next;
    struct reply_call *next_whole;
};

struct reply_choice {
    uint32_t index;
    bool said;    /* it had any content */
    bool finished;
    uint32_t call_count;
    uint32_t start_count;    /* of those, calls that were started */
    struct reply_call *calls;
    struct reply_call **calls_tail;
    struct reply_call *newest;
    struct reply_call *whole;    /* calls whose arguments are complete but that have not ended yet */
    struct reply_call **whole_tail;
    struct map *by_label;    /* the newest call for each key; created with the first call */
    struct map *by_id;
    struct reply_choice *next;
};

struct reply {
    bool started;
    bool too_large;    /* memory for a string was refused */
    struct llm_usage usage;
    struct reply_choice *choices;    /* by index, ascending */
    struct reply_choice *recent;     /* the one looked up last */
};

/* The state in r->state, made on first use. */
struct reply *openai_reply(struct wire_reader *r) NEVER_NULL;

/* The text of a string, valid for this frame; empty for anything else. Sets reply->too_large if
 * there is no memory for it, so that nothing is lost silently. */
struct str openai_reply_text(struct wire_reader *r, const struct json *j);

/* A copy that lives as long as the answer. */
struct str openai_reply_keep(struct wire_reader *r, struct str s);

/* Scans JSON text that comes in pieces. */
void openai_scan_args(struct args_scan *scan, struct str text);

/* Emits events for `calls` (the list tool_calls) and `old` (a function_call); either may be NULL.
 * `whole`: they are complete calls, not fragments. */
enum err openai_take_calls(struct wire_reader *r, struct reply_choice *c, const struct json *calls,
    const struct json *old, bool whole);

/* Ends all calls. */
void openai_end_calls(struct wire_reader *r, struct reply_choice *c);

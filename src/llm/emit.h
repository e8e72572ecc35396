/* emit.h - the events of a provider's answer, in the order that every writer relies on.
 *
 * A protocol's reader says what a frame holds, in whatever order the host sends it; this module
 * emits START first and once, the pieces of calls under their own calls, the end of each call, one
 * FINISH for each choice that agrees with whether it has calls, and one END or one ERROR, after
 * which nothing comes. A call that ends without arguments has got the empty object. An answer that
 * is complete but says nothing ends with an ERROR: see emit_end().
 *
 *     emit_start(r, &(struct llm_event){ .id = ..., .model = ... });
 *     emit_text(r, c, EVENT_TEXT, emit_string(r, json_get(delta, S("content"))));
 *     emit_call(r, c, &(struct emit_piece){ .label = 0, .id = ..., .name = ..., .args = ... });
 *     emit_finish(r, c, FINISH_STOP, S("stop"), S(""));
 *     emit_end(r);
 *
 * The state is a member of struct wire_reader and needs no setting up.
 */
#pragma once

#include "llm/wire.h"

struct map;

/* Follows JSON text that comes in pieces. */
struct emit_scan {
    uint32_t depth;
    bool seen;    /* it began with a bracket */
    bool in_string;
    bool escaped;
};
void emit_scan(struct emit_scan *scan, struct str text);

struct emit_call {
    uint32_t number;    /* within the choice, dense; assigned when the call starts */
    struct str id;
    struct str name;
    bool custom;
    bool wrapped;       /* a free-form call, whose text the model wrote into an object */
    struct str held;    /* that object, so far */
    bool started;       /* EVENT_TOOL_START was emitted */
    bool ended;
    bool filled;    /* it has arguments, not only white space */
    struct emit_scan args;
    bool listed;    /* in the choice's list `whole` */
    struct emit_call *next;
    struct emit_call *next_whole;
};

struct emit_choice {
    uint32_t index;
    bool said;    /* it had any content */
    bool finished;
    bool explained;       /* the provider said why it finished */
    bool may_be_empty;    /* that, or the request, explains that it has no content */
    uint32_t call_count;
    uint32_t start_count;    /* of those, calls that were started */
    struct emit_call *calls;
    struct emit_call **calls_tail;
    struct emit_call *newest;
    struct emit_call *whole;    /* calls whose arguments are complete but that have not ended yet */
    struct emit_call **whole_tail;
    struct map *by_label;    /* the newest call for each key; created with the first call */
    struct map *by_id;
    struct emit_choice *next;
};

/* A choice, made when it is first named. NULL if the index is 128 or more. */
struct emit_choice *emit_choice(struct wire_reader *r, int64_t index);

/* The text of a string, valid for this frame; empty for anything else. */
struct str emit_string(struct wire_reader *r, const struct json *j);

/* The same for a word such as a finish reason. Some hosts write the text "null" where they mean null. */
struct str emit_word(struct wire_reader *r, const struct json *j);

/* A copy that lives as long as the answer. */
struct str emit_keep(struct wire_reader *r, struct str s);

/* `e`, or ERR_UPSTREAM_TOO_LARGE if a string was lost for lack of memory: nothing is lost in
 * silence. */
enum err emit_verdict(const struct wire_reader *r, enum err e);

/* Id, model, time and usage of `ev`; ignored after the first time. */
void emit_start(struct wire_reader *r, const struct llm_event *ev);

/* Emits the counts so far if these change them. */
void emit_usage(struct wire_reader *r, const struct llm_usage *u);

/* EVENT_TEXT, EVENT_REASONING, EVENT_REDACTED or EVENT_REFUSAL. Empty text is left out here and
 * below. */
void emit_text(
    struct wire_reader *r, struct emit_choice *c, enum llm_event_kind kind, struct str text);
void emit_signature(struct wire_reader *r, struct emit_choice *c, struct str signature);

/* One that names no source is left out. */
void emit_citation(
    struct wire_reader *r, struct emit_choice *c, const struct llm_citation *citation);

/* One that has neither data nor a URL is left out. */
void emit_media(struct wire_reader *r, struct emit_choice *c, const struct llm_part *media);

/* A list of tokens in OpenAI's form; an empty one is left out. */
void emit_logprobs(struct wire_reader *r, struct emit_choice *c, const struct json *tokens);

/* EVENT_LOGPROBS or EVENT_OPAQUE. */
void emit_raw(
    struct wire_reader *r, struct emit_choice *c, enum llm_event_kind kind, const struct json *j);

/* What a frame says of one call. The label is a host's own number for it, not a position: some
 * reuse it for every call, others leave it out, and some repeat id or name with every piece. */
struct emit_piece {
    int64_t label;    /* negative: none */
    struct str id;
    struct str name;
    struct str args;    /* JSON text, or a piece of it */
    struct str signature;
    bool custom;
    bool is_object;    /* args is a whole object, where a piece of text is usual */
    bool whole;        /* a complete call, which no other piece belongs to */
};

/* Starts the call, with an id of our own if it has none, or continues it. A call that begins ends
 * those whose arguments are complete. ERR_UPSTREAM_PROTOCOL if a choice has more than 1,024. */
enum err emit_call(struct wire_reader *r, struct emit_choice *c, const struct emit_piece *piece);

/* Ends the newest call, in protocols that say when one ends. */
void emit_call_end(struct wire_reader *r, struct emit_choice *c);

/* Ends the choice, and its calls, once. FINISH_STOP becomes FINISH_TOOLS if there are calls, and
 * the reverse: a caller would wait for one. */
void emit_finish(struct wire_reader *r, struct emit_choice *c, enum llm_finish finish,
    struct str native, struct str stop_sequence);

/* Whether every choice that began has finished, and at least `wanted` began. */
bool emit_all_finished(const struct wire_reader *r, int64_t wanted);

/* The answer is broken. */
void emit_error(struct wire_reader *r, const struct llm_error *e);
void emit_failure(struct wire_reader *r, enum err kind, struct str message);

/* The stream's terminator came, but no reason why an answer ends. Gateways and proxies in between
 * write the terminator even if the stream before it broke, so this is not an answer: the kind is
 * ERR_UPSTREAM_TRUNCATED, or ERR_UPSTREAM_EMPTY if there was no content. */
void emit_unfinished(struct wire_reader *r);

/* The answer is complete, and so is every call. One of a model that has no content, call, reasoning
 * or refusal is ERR_UPSTREAM_EMPTY instead, unless it has a finish reason and output tokens, or that
 * reason is a limit or a filter. */
void emit_end(struct wire_reader *r);

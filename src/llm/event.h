/* event.h - every answer, streamed or not, is a sequence of these events.
 *
 * A provider's decoder emits them, a caller's encoder turns them into its own bytes; usage
 * counting, mid-stream errors and logging look at them in between. Slices are valid during the emit
 * call only.
 */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "llm/request.h"
#include "llm/usage.h"

enum llm_event_kind {
    EVENT_NONE,
    EVENT_START,         /* id, model, created_s; usage when already known */
    EVENT_TEXT,          /* text delta */
    EVENT_REASONING,     /* delta of readable reasoning text */
    EVENT_SIGNATURE,     /* signature of the preceding reasoning block */
    EVENT_REDACTED,      /* text: a complete block of encrypted reasoning */
    EVENT_REFUSAL,       /* text delta */
    EVENT_TOOL_START,    /* tool, id, name; custom */
    EVENT_TOOL_ARGS,     /* tool, custom, text: a fragment of the arguments' JSON text, byte-exact */
    EVENT_TOOL_END,      /* tool */
    EVENT_MEDIA,         /* media: an image, sound, a video or a file, or a piece of sound */
    EVENT_CITATION,      /* citation: what the text before rests on */
    EVENT_LOGPROBS,      /* raw: JSON of the choice's logprobs object (OpenAI form) */
    EVENT_OPAQUE,        /* raw: a provider-run block; other wires drop it */
    /* an embedding of input `index`: raw, of type `vector`; valid as long as the answer's text */
    EVENT_VECTOR,
    /* document `index` of a ranking, best first: text: the score's digits; raw: the document, or
     * empty; valid as long as the answer's text */
    EVENT_RANK,
    EVENT_USAGE,     /* usage so far, cumulative */
    EVENT_FINISH,    /* finish, native */
    EVENT_ERROR,     /* error: the answer is broken; nothing follows */
    EVENT_END,       /* the answer is complete; nothing follows */
};

/* How the numbers of a vector are told. */
enum vector_type {
    VECTOR_FLOAT,     /* a list of numbers */
    VECTOR_BASE64,    /* float32, see floats.h */
    VECTOR_INT8,      /* lists of whole numbers; the last two have a bit for each dimension */
    VECTOR_UINT8,
    VECTOR_BINARY,
    VECTOR_UBINARY,
    VECTOR_TYPES
};
#define VECTOR_BIT(type) (1u << VECTOR_##type)

#define LLM_CHOICES_MAX 128    /* the index of a choice is below it */

enum llm_finish { FINISH_UNKNOWN, FINISH_STOP, FINISH_LENGTH, FINISH_TOOLS, FINISH_FILTER };

/* An error, the gateway's own or a provider's. */
struct llm_error {
    enum err kind;
    int status;            /* the provider's status; 0 if the error is the gateway's own */
    struct str message;    /* for the caller; scrubbed of secrets */
    struct str type;       /* the provider's own words, or empty */
    struct str code;
    struct str param;
    int64_t retry_after_ms;    /* 0: not said */
    /* the message may quote the conversation: show it to the caller, never log it */
    bool quotes;
    /* the caller gets the provider's own document instead of this message */
    bool as_is;
    bool worded;       /* the kind is what the provider's words say, not its status alone */
    bool permanent;    /* a repeated request would fail in the same way, whatever the kind says */
};

/* Where something in the answer comes from. What a protocol does not say is empty, or 0. */
struct llm_citation {
    struct str url;    /* of a page; empty for a document of the request */
    struct str title;
    struct str quote;    /* the source's own words */
    int64_t from;        /* the characters of the answer's text that rest on it */
    int64_t to;
};

struct llm_event {
    enum llm_event_kind kind;
    uint32_t choice;    /* index of the choice, 0 for most */
    uint32_t tool;      /* which call of the choice, dense from 0 */
    struct str text;
    struct str id;
    struct str name;      /* tool name */
    struct str model;     /* START */
    int64_t created_s;    /* START: 0 if the provider does not report it */
    struct str raw;       /* JSON text */
    struct str signature;
    enum llm_origin origin;    /* SIGNATURE, REDACTED: whose models can read it */
    bool custom;               /* TOOL_START and TOOL_ARGS of a free-form call */
    enum vector_type vector;
    uint32_t index;    /* VECTOR, RANK */
    enum llm_finish finish;
    struct str native;           /* the provider's own finish reason */
    struct str stop_sequence;    /* FINISH: the stop sequence that matched, if reported */
    struct llm_usage usage;
    const struct llm_citation *citation;
    const struct llm_part *media;    /* MEDIA: url, or data of the type mime */
    const struct llm_error *error;
};

/* Receives events. Embedded in the receiver's own struct. */
struct event_sink {
    void (*emit)(struct event_sink *sink, const struct llm_event *ev);
};

const char *llm_finish_name(
    enum llm_finish f) NEVER_NULL;    /* "stop", "length", ...: the OpenAI words */

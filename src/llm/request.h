/* request.h - the protocol-neutral form of a request, which routing, policy and the wires share.
 *
 * It is filled in two steps. The head (model, stream, limits) is read for every request from the
 * parsed body. The conversation (messages, tools, sampling) is read only when it is needed: a
 * request that goes to a provider of the same wire is never decoded further. Everything lives in
 * the exchange's arena or is a slice of the caller's bytes; lists are linked in order.
 */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "base/json.h"

enum llm_op {
    OP_CHAT,
    OP_COMPLETE,    /* the old text completions */
    OP_EMBED,
    OP_RERANK,    /* documents, by how well they answer a query */
    OP_COUNT_TOKENS,
    OP_RELAY,    /* any other route of the caller's protocol, passed through unchanged */
    OP_COUNT
};
#define OP_BIT(op) (1u << (op))

enum llm_role { ROLE_SYSTEM, ROLE_DEVELOPER, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL };

enum llm_part_kind {
    PART_TEXT,
    PART_IMAGE,
    PART_AUDIO,
    PART_VIDEO,
    PART_FILE,
    PART_TOOL_CALL,
    PART_TOOL_RESULT,
    PART_REASONING,
    PART_REFUSAL,
    /* a block that only its own wire understands: kept for that wire, dropped for others */
    PART_OPAQUE,
};

/* Whose models signed or encrypted reasoning, or made a block that no other protocol has. Not the
 * wire that it came on: Claude's reasoning is Anthropic's at every host. */
enum llm_origin {
    ORIGIN_NONE,
    ORIGIN_ANTHROPIC,
    ORIGIN_OPENAI,
    ORIGIN_GEMINI,
    ORIGIN_BEDROCK,
    ORIGINS
};

/* A yes or no that need not be said. */
enum llm_tri { UNSAID, NO, YES };

/* Absent and null say nothing; anything but true is no. */
static inline enum llm_tri
llm_tri_of(const struct json *j)
{
    return !json_present(j) ? UNSAID : j->type == JSON_TRUE ? YES : NO;
}

/* A prompt-cache breakpoint after a part or a tool, with its lifetime if one was given. */
enum llm_cache_mark { MARK_NONE, MARK_SET, MARK_5M, MARK_1H };

/* One piece of a message, an answer or a tool result. Read only the members that belong to its
 * kind: kinds share storage, because a hostile body can have a part for every 26 bytes. */
struct llm_part {
    enum llm_part_kind kind;
    enum llm_cache_mark cache_mark : 8;
    bool custom;      /* TOOL_CALL: free-form, args is plain text */
    bool is_error;    /* TOOL_RESULT */
    struct llm_part *next;
    union {
        struct str text;    /* TEXT, REASONING, REFUSAL: unescaped */
        struct str url;     /* media: exactly one of url, data, file_id */
        struct str args;    /* TOOL_CALL: JSON text as the caller wrote it; "" means {} */
    };
    union {
        struct str data;        /* media: base64 text as the caller sent it */
        struct str id;          /* TOOL_CALL, TOOL_RESULT: the call's id */
        struct str redacted;    /* REASONING: encrypted thinking, no text */
    };
    union {
        struct str file_id;      /* media */
        struct str signature;    /* REASONING: its origin's; TOOL_CALL: Gemini's, which signs calls */
    };
    struct str name;    /* FILE: its name; TOOL_CALL: the function's */
    union {
        struct {
            struct str mime;      /* media: "image/png" */
            struct str detail;    /* IMAGE: "low", "high", "auto" */
        };
        struct llm_part *result;    /* TOOL_RESULT: its content */
        struct {
            enum llm_origin origin;    /* REASONING, OPAQUE: who alone can read it again */
            const struct json *raw;    /* OPAQUE: the block itself */
        };
    };
};

struct llm_message {
    enum llm_role role;
    struct str name;    /* participant's name, or empty */
    struct llm_part *parts;
    struct llm_message *next;
};

struct llm_tool {
    struct str name;
    struct str description;
    struct str schema;    /* JSON Schema text; empty: no arguments */
    enum llm_tri strict;
    bool custom;    /* free-form text instead of JSON arguments */
    enum llm_cache_mark cache_mark;
    /* a provider's own tool (web search...): kept for the same wire only */
    const struct json *raw;
    struct llm_tool *next;
};

enum llm_choice { CHOICE_UNSET, CHOICE_AUTO, CHOICE_NONE, CHOICE_REQUIRED, CHOICE_NAMED };

enum llm_format { FORMAT_UNSET, FORMAT_TEXT, FORMAT_JSON, FORMAT_SCHEMA };

/* A list of strings, in order. */
struct llm_word {
    struct str text;
    struct llm_word *next;
};

/* Members of an object that no reader knows, in order. */
struct llm_member {
    const struct json *name;
    const struct json *value;
    struct llm_member *next;
};

/* The parameters of params.def. Those before PARAM_NODES are sent on as the caller wrote them. */
enum param {
#define PARAM(id, kind, traits, spellings) PARAM_##id,
#define NAMED(id, spellings)
#include "llm/params.def"
#undef PARAM
#undef NAMED
    PARAM_NODES,
    PARAM_BEFORE_NAMED = PARAM_NODES - 1,
#define PARAM(id, kind, traits, spellings)
#define NAMED(id, spellings) PARAM_##id,
#include "llm/params.def"
#undef PARAM
#undef NAMED
    PARAM_COUNT,
};
#define PARAM_BIT(id) (1u << PARAM_##id)

/* "chat", "embed", ... */
const char *llm_op_name(enum llm_op op) NEVER_NULL;

struct framing;
struct llm_embed;
struct llm_ranking;

struct llm_request {
    struct arena *arena;
    enum llm_op op;
    const struct wire *wire;    /* the caller's */

    /* --- the head --- */
    struct str body;           /* as received */
    const struct json *doc;    /* parsed; NULL for OP_RELAY with a body that is not JSON */
    struct str model;          /* the name asked for */
    /* its node in the body, for replacement in place; may be NULL */
    const struct json *model_node;
    bool stream;
    /* of a streamed answer, as the caller wants it; see llm_request_framing() */
    const struct framing *framing;
    bool router;           /* the route is one of OpenRouter's API */
    bool wished;           /* the document has members of llm/wishes.h */
    bool require_all;      /* nothing of it may be left out for a target */
    bool model_missing;    /* the model is the first of its "models", and has to be put in */
    /* Ollama: the route is that of the old text completions, although op is OP_CHAT */
    bool completion;
    int64_t n;    /* number of choices requested; 0 means 1 */
    /* the caller asked for usage in the stream (always so on Anthropic) */
    bool want_usage;
    /* OpenAI: the caller offers "functions", and reads "function_call" where others read tool_calls */
    bool old_calls;
    struct str route;    /* the pattern of its route: "/v1/embed"; empty: it has none */
    /* the caller's path after the protocol's prefix, for OP_RELAY: "/moderations" */
    struct str path;
    /* the model's name in it, percent-encoded; empty if it has none */
    struct str path_model;

    /* --- the conversation: see llm_request_expand() --- */
    bool expanded;
    /* it was added to: the body does not have all of it */
    bool extended;
    /* system and developer text that precedes the first turn */
    struct llm_part *system;
    struct llm_message *messages;    /* everything else in order */
    struct llm_tool *tools;
    enum llm_choice choice;
    struct str choice_name;
    enum llm_tri parallel_tools;
    enum llm_format format;
    struct str schema_name;
    struct str schema_description;
    struct str schema;    /* JSON text */
    enum llm_tri schema_strict;

    int64_t max_tokens;    /* 0: not said */
    /* params.def: each as the caller wrote it, by name or by number; NULL: not given */
    union {
        const struct json *params[PARAM_NODES];
        struct {
#define PARAM(id, kind, traits, spellings) const struct json *id;
#define NAMED(id, spellings)
#include "llm/params.def"
#undef PARAM
#undef NAMED
        };
    };
    struct llm_word *stop;
    struct str user;             /* end-user id */
    struct str effort;           /* reasoning effort word, or empty */
    enum llm_tri reasoning;      /* NO: switched off */
    int64_t reasoning_budget;    /* tokens; 0: not said */
    struct str service_tier;
    struct llm_embed *embed;        /* OP_EMBED, see embed.h */
    struct llm_ranking *ranking;    /* OP_RERANK */
    /* the members of the document that its wire's reader does not know */
    struct llm_member *extra;
};

/* Why a request cannot be accepted or translated: a sentence for the caller, and the field
 * concerned. */
struct wire_fault {
    struct str message;
    struct str param;    /* "messages[2].content", or empty */
};

/* Fills the head from r->doc, and r->model unless that was named outside of the body. OK,
 * ERR_BAD_REQUEST or ERR_TOO_LARGE with *ret_fault. Refuses what wire_check_members() does; what is
 * only passed on (OP_RELAY) need not be an object, nor name a model. */
enum err llm_request_read(struct llm_request *r, struct wire_fault *ret_fault) MUST_CHECK;

/* The framing that the caller's protocol has, or the one that it was asked for. */
const struct framing *llm_request_framing(const struct llm_request *r) NEVER_NULL;

/* Reads the conversation unless that was done already. OK, or ERR_BAD_REQUEST, ERR_UNSUPPORTED or
 * ERR_TOO_LARGE with *ret_fault. */
enum err llm_request_expand(struct llm_request *r, struct wire_fault *ret_fault) MUST_CHECK;

/* A rough count of input tokens, without a model's tokenizer (llm/count.h has that). More accurate for an expanded request; otherwise taken
 * from the parsed body. */
int64_t llm_request_estimate_tokens(const struct llm_request *r);

/* The same of a part that is an image, sound, a video or a file. */
int64_t llm_part_media_tokens(const struct llm_part *part);

/* Appends at the end of a list that keeps a tail pointer; see the readers for use. */
struct llm_part *llm_part_add(
    struct arena *a, struct llm_part ***tail, enum llm_part_kind kind) NEVER_NULL;
struct llm_message *llm_message_add(
    struct arena *a, struct llm_message ***tail, enum llm_role role) NEVER_NULL;

/* Whether a list has a part of that kind. */
bool llm_part_has(const struct llm_part *parts, enum llm_part_kind kind);

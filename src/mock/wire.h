/* wire.h - what a protocol must implement to be simulated: reading requests and writing
 * answers.
 *
 * Between the two is a script, which holds the contents of the answer whatever the protocol. A
 * cursor walks it step by step, so that a stream costs no memory per token. The simulated
 * provider shares no code with the gateway's own wires on purpose: a mistake in shared code
 * would go unnoticed.
 */
#pragma once

#include "mock/plan.h"
#include "base/arena.h"
#include "base/json.h"
#include "http/message.h"

/* --- the request --- */

struct mock_tool {
    struct str name;
    const struct json *schema;    /* NULL: no arguments */
    bool custom;                  /* takes free text */
};

enum mock_choice { MOCK_AUTO, MOCK_NO_CALLS, MOCK_MUST_CALL, MOCK_CALL_NAMED };

struct mock_ask {
    struct arena *arena;    /* valid while the request is read */
    const struct http_head *head;
    const struct json *doc;
    const struct mock_plan *plan;
    struct str model;    /* as requested, with its options */
    bool stream;
    bool want_usage;
    bool want_json;    /* any JSON object, or as `schema` says */
    const struct json *schema;
    int64_t max_tokens;    /* 0: not given */
    unsigned n;
    struct mock_tool *tools;
    size_t tool_count;
    enum mock_choice choice;
    struct str choice_name;
    bool one_call;
    bool after_tool;    /* the last message answers a call */
    bool thinking;
    struct str last_text;    /* of the last user message */
    struct str stops[16];
    size_t stop_count;
    int top_logprobs;    /* -1: not requested */
    uint64_t images;
    uint64_t text_bytes;    /* of the whole input of the model */
};

/* Why a request is refused, in all protocols' terms. Strings live as long as the ask. */
struct mock_refusal {
    int status;
    struct str type;     /* OpenAI's; empty: by status */
    struct str code;     /* empty: null */
    struct str param;    /* empty: null */
    struct str message;
};

/* Fills *ret and returns false: `return mock_refuse(...)`. */
bool mock_refuse(struct mock_ask *ask, struct mock_refusal *ret, int status, const char *code,
    struct str param, const char *format, ...) PRINTF_LIKE(6, 7);

/* --- the answer --- */

/* A run of tokens: `base` split into words, repeated when it is shorter. */
struct mock_run {
    struct str base;
    size_t start;    /* offset of the first token */
    uint64_t tokens;
};

struct mock_call {
    struct str id;
    struct str name;
    struct mock_run args;
    bool custom;
};

enum mock_finish { MOCK_FINISH_STOP, MOCK_FINISH_LENGTH, MOCK_FINISH_CALLS, MOCK_FINISH_FILTER };

struct mock_script {
    struct arena *arena;    /* valid as long as the answer */
    struct str id;
    struct str model;
    struct str prefix;    /* prefix of every frame, made by the wire */
    uint64_t created_s;
    unsigned n;
    struct mock_run reasoning;
    struct mock_run text;
    struct mock_call *calls;
    size_t call_count;
    enum mock_finish finish;
    struct str stop_sequence;    /* the stop sequence that ended the text, or empty */
    bool want_usage;
    int top_logprobs;
    uint64_t event_tokens;
    uint64_t input_tokens;    /* all of them, cached and written included */
    uint64_t cached_tokens;
    uint64_t written_tokens;
    uint64_t output_tokens;    /* of all choices, reasoning included */
};

enum mock_step_kind {
    MOCK_STEP_START,    /* of a choice */
    MOCK_STEP_REASONING,
    MOCK_STEP_TEXT,
    MOCK_STEP_CALL,    /* opens call `call` */
    MOCK_STEP_ARGS,
    MOCK_STEP_FINISH,    /* of a choice */
    MOCK_STEP_END,       /* usage and the terminator */
};

struct mock_step {
    enum mock_step_kind kind;
    unsigned choice;
    size_t call;
    struct str text;
    uint64_t tokens;    /* in `text` */
    bool first;         /* of its run */
    bool last;
};

/* A position in a script. Zero is the start. */
struct mock_cursor {
    unsigned phase;
    unsigned choice;
    size_t call;
    size_t at;
    uint64_t given;
    struct mock_step step;    /* being written for each choice in turn */
};

/* The next step; false after MOCK_STEP_END. */
bool mock_script_next(const struct mock_script *s, struct mock_cursor *c, struct mock_step *ret);

/* Does a model take time for it? */
bool mock_step_is_token(const struct mock_step *step);

/* --- a protocol --- */

struct mock_wire {
    const char *name;

    /* Refuses a wrong key as the provider would; `key` is never empty. */
    bool (*check_key)(struct mock_ask *ask, struct str key, struct mock_refusal *why);

    /* Reads ask->doc. False: refused. NULL: any body is accepted. */
    bool (*read)(struct mock_ask *ask, struct mock_refusal *why);

    /* Makes ids and the prefix of frames. */
    void (*begin)(struct mock_script *s);

    /* Appends the frames of one step of a stream. */
    void (*write_step)(struct buf *out, const struct mock_script *s, const struct mock_step *step);

    /* Appends a whole answer. */
    void (*write_whole)(struct buf *out, const struct mock_script *s);

    /* Appends an error: as a document, or (in_stream) as the frame that ends a stream. */
    void (*write_error)(
        struct buf *out, const struct mock_refusal *e, struct str request_id, bool in_stream);

    /* Appends the header fields of every answer; fills request_id[40]. */
    void (*write_fields)(struct buf *out, char *request_id);

    /* A frame of a stream that cannot be parsed. */
    struct str malformed;

    /* The error of a fault, if it differs from other errors of that status. */
    void (*fault_error)(enum mock_fault fault, struct mock_refusal *e);
};

extern const struct mock_wire mock_openai_chat;
extern const struct mock_wire mock_openai_completions;
extern const struct mock_wire mock_anthropic;

/* --- one-document answers of the OpenAI and Anthropic APIs: append the document or refuse --- */

bool mock_openai_embeddings(struct mock_ask *ask, struct buf *out, struct mock_refusal *why);
bool mock_openai_moderations(struct mock_ask *ask, struct buf *out, struct mock_refusal *why);
bool mock_anthropic_count_tokens(struct mock_ask *ask, struct buf *out, struct mock_refusal *why);

/* The list of models in either protocol's form, or one of them when `id` is not empty. */
bool mock_openai_models(struct mock_ask *ask, struct str id, const struct str *names, size_t count,
    struct buf *out, struct mock_refusal *why);
void mock_anthropic_models(const struct str *names, size_t count, struct buf *out);

/* --- shared by the protocols --- */

/* Estimated tokens of that many bytes of text and images. Never 0. */
uint64_t mock_input_tokens(const struct mock_ask *ask);

/* Writes `n` random letters and digits and a NUL: the tail of an id. */
void mock_random_id(char *room, size_t n);

/* "prefix" + n random letters and digits, in the arena. */
struct str mock_make_id(struct arena *a, const char *prefix, size_t n);

/* A member that must be an integer between two bounds when present; false: refused as OpenAI does.
 * */
bool mock_openai_integer(struct mock_ask *ask, const char *key, int64_t least, int64_t most,
    int64_t *ret, struct mock_refusal *why);

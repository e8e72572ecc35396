/* wire.h - a protocol: how one family of APIs writes requests, answers, streams and errors.
 *
 * One struct per wire, one row in wires.def. The caller's side reads requests
 * and writes answers; the provider's side writes requests and reads answers; a
 * wire may have one side only. All of it is pure: bytes and structs in memory,
 * no sockets, so every wire is tested from files and fuzzed. The gateway cuts
 * streams into frames (llm/framing.h) and calls with whole ones.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "llm/answer.h"
#include "llm/event.h"
#include "llm/framing.h"
#include "llm/needs.h"
#include "llm/params.h"
#include "llm/request.h"
#include "llm/traits.h"

struct request_out;

struct map;

/* What a request is written for: one model of one provider. */
struct wire_target {
    struct str model;    /* the provider's own name */
    struct traits traits;
};

/* --- writing a request for a provider --- */

/* Names of parameters that the target cannot express, for x-openclaw-dropped. */
struct wire_drops {
    struct llm_word *names;
    struct llm_word **tail;
    struct arena *arena;
    struct map *renamed;      /* see wire_rename(); NULL: all names are the caller's */
    struct map *free_form;    /* see wire_wrap(); NULL: no tool is wrapped */
    /* stop sequences that the target was not told, at which the answer's text must end: llm/stops.h */
    struct llm_word *stops;
};
/* Adds a name unless it is in the list already. At most 64 are kept, and only those that may stand
 * in a header field: letters, digits and _ . - [ ]. */
void wire_drop(struct wire_drops *d, struct str name);

/* Notes a block (PART_OPAQUE) that only another protocol understands: "messages.<its type>", or the name of
 * its first member. */
void wire_drop_block(struct wire_drops *d, const struct llm_part *part);

/* Notes that a tool is `sent` under another name than the caller's, which the answer's calls get
 * back. False if there is no memory for it. */
bool wire_rename(struct wire_drops *d, struct str sent, struct str asked);

/* Notes that a free-form tool of the caller's is sent as a function of one text, "input": the answer's
 * calls get their text taken out of the object. False if there is no memory for it. */
bool wire_wrap(struct wire_drops *d, struct str name);

/* Notes a stop sequence that the target is not told. False if there are too many, it is too long, or
 * there is no memory for it. */
bool wire_cut_stop(struct wire_drops *d, struct str stop);

/* Adds the names in r->extra, which only the caller's own wire knows. */
void wire_drop_extra(struct wire_drops *d, const struct llm_request *r);

/* Tools that a provider runs itself (web search, code execution, MCP servers) and tools whose
 * schema only one protocol knows cannot be offered on wire `to`. ERR_UNSUPPORTED with *ret_fault
 * when that leaves nothing to call, or takes away the tool that must be called: an answer given
 * without it looks like one given with it. Otherwise OK, and write_request drops them. */
enum err wire_check_tools(
    const struct llm_request *r, const struct wire *to, struct wire_fault *ret_fault) MUST_CHECK;

/* --- changing a request in place, for a provider of the same wire --- */

/* One change of the body: `at` bytes from its start, `cut` bytes are replaced by `put`. */
struct wire_edit {
    size_t at;
    size_t cut;
    struct str put;
};
#define WIRE_EDITS 40
struct wire_edits {
    struct wire_edit list[WIRE_EDITS];
    size_t count;
};
/* Adds an edit, keeping them in order of `at`. False when full. */
bool wire_edit_add(struct wire_edits *e, size_t at, size_t cut, struct str put);

/* The edited body as slices, in order: at most 2 * count + 1. Returns their number. An edit inside
 * a range that an earlier edit cuts is ignored. */
size_t wire_edits_apply(const struct wire_edits *e, struct str body, struct str *pieces);

/* Rewrites one value of the body, for changes that may be many: they become one edit. */
struct wire_rewrite {
    const struct json *value;
    struct buf out;
    const char *done;    /* everything before it was copied or skipped */
};
void wire_rewrite_begin(struct wire_rewrite *w, const struct json *value);

/* Replaces what lies between two places in the value by `put`; call in document order. The value
 * may at most become twice as long. */
void wire_rewrite_put(struct wire_rewrite *w, const char *from, const char *to, struct str put);

/* Removes the elements of an array, or the members of an object, for which `goes` is true, with
 * their commas; `keep` (may be NULL) is called for the others and may rewrite inside them. If
 * `goes` is true for all of them, all are kept, because an empty container would be invalid. `key`
 * is NULL in an array. */
void wire_rewrite_cut(struct wire_rewrite *w, const struct json *container,
    bool (*goes)(const void *arg, const struct json *key, const struct json *value),
    void (*keep)(
        struct wire_rewrite *w, const void *arg, const struct json *key, const struct json *value),
    const void *arg);

/* Adds the edit, with its text in r->arena, if anything was changed. */
void wire_rewrite_end(
    struct wire_rewrite *w, const struct llm_request *r, struct wire_edits *edits);

/* --- reading an answer from a provider --- */

/* What emit.h keeps of an answer. */
struct emit {
    bool started;
    char id[96];               /* the answer's; empty if it is longer */
    bool too_large;            /* memory for a string was refused */
    enum llm_origin origin;    /* of proofs of reasoning; the wire sets it before it emits some */
    struct llm_usage usage;
    struct emit_choice *choices;    /* by index, ascending */
    struct emit_choice *recent;     /* the one looked up last */
};

struct wire_reader {
    const struct wire *wire;
    enum llm_op op;
    bool stream;
    /* the number of choices requested, if known: fewer are not the whole answer */
    int64_t choices;
    struct arena *keep;                /* lives as long as the answer: state, ids */
    struct arena *scratch;             /* rewound by the gateway after each frame */
    struct event_sink *sink;           /* where the events go */
    struct emit emit;                  /* what was emitted so far */
    const struct wire_drops *drops;    /* of the request that is answered; may be NULL */
    bool no_finish_reason;             /* the target's trait of that name */
    int64_t head_input;                /* tokens, as the provider's input_field says; 0: it does not */
    void *state;                       /* the wire's own, made in `keep` on first use */

    /* What the wire tells the gateway about the frame just read and the answer so far. */
    /* this frame only carries usage that a caller who did not ask for it must not see */
    bool frame_is_usage;
    /* every choice has its finish reason: if the stream ends now, the answer is complete */
    bool finished;
    /* the terminator came ([DONE], message_stop) and EVENT_END was emitted */
    bool complete;
    bool failed;    /* an EVENT_ERROR was emitted */
    /* a block of the stream was closed: text that follows belongs to another */
    bool closed;
};

/* Emits an event. */
static inline void
wire_emit(struct wire_reader *r, const struct llm_event *ev)
{
    r->sink->emit(r->sink, ev);
}

/* --- writing an answer for a caller --- */

struct wire_writer {
    const struct wire *wire;
    const struct framing *framing;    /* of a stream; NULL: the wire's */
    enum llm_op op;
    bool want_usage;    /* in a stream; see struct llm_request */
    bool old_calls;     /* the same */
    struct arena *keep;
    struct buf *out;    /* frames or the whole body are appended here */
    void *state;        /* the wire's own, made in `keep` on first use */
    /* a call has arguments that the protocol cannot express: the answer is malformed */
    bool broken;
    /* answer id for providers that give none: "chatcmpl-..." made from this random text */
    struct str id;
    struct str model;    /* the model to name when the provider names none */
    int64_t created_s;
    /* of an embedding: what was asked for, and in which form; see struct llm_embed */
    uint32_t vector_types;
    uint32_t inputs;
    int64_t input_estimate;    /* their tokens, for answers that must say something */
    uint8_t form;
    struct str echo;    /* what the answer repeats of its request: see struct wire_caller */
    /* Gets an answer that can be asked for by its id, as a document, once it is complete; NULL: there is
     * no need to. */
    void (*keep_answer)(void *arg, struct str id, struct str answer);
    void *keep_arg;
    /* On a route of OpenRouter's API: who answers, and what a usage costs in nano-dollars, negative if
     * that is not known. An empty name: it is another route. */
    struct str provider;
    int64_t (*cost)(const void *arg, const struct llm_usage *u);
    const void *cost_arg;
};

/* --- the wire itself --- */

/* A member of a request's object that a wire's reader acts on; a list of them ends with a NULL
 * name. */
struct read_member {
    const char *name;
    void (*read)(struct cursor value);    /* see read_members(); NULL: read elsewhere */
};

/* What a protocol calls a kind of error. */
struct wire_error_name {
    const char *type;
    const char *code;    /* NULL: it has none */
};

/* A page of the list of models. */
struct wire_page {
    uint64_t limit;       /* at most so many entries */
    struct str before;    /* the page ends before this id, or starts after that; or both are empty */
    struct str after;
    struct str first, last;    /* as answered: the ids at its ends; empty: it has no entries */
    bool more;                 /* there are further entries in its direction */
};

#define WIRE_MEDIA(kind) (1u << PART_##kind)

/* An operation that is not a conversation, as a caller's protocol has it. */
struct wire_asks {
    const struct read_member *members;    /* of its requests, which have no others of params.def */
    void (*write_answer)(struct wire_writer *w, const struct llm_answer *ans);
};

struct wire_caller {
    const struct read_member *members;
    enum params_column params;    /* where the object has those of params.def */
    enum params_column nested;    /* and where an object in it has others: for notes */

    const struct read_words *words;
    uint32_t translates;    /* OP_BIT()s of requests whose members make a conversation */
    const struct wire_asks *asks[OP_COUNT];    /* the other operations that it has */
    bool streams_unasked;                      /* unless the member "stream" is false */
    /* the path of a route names the model and says whether a stream is wanted, not the body */
    bool in_path;
    /* the parameter of a query in which its clients may send their key: "key"; mostly empty */
    struct str key_parameter;

    /* The framing of a stream that a request with this query asks for; NULL: always the wire's. */
    const struct framing *(*framing)(struct str query);

    /* members of such a request that ask for more than plain text: tools, a schema, reasoning; ends
     * with NULL */
    const char *const *beyond_text;

    /* where what a request needs stands in it; NULL: nowhere */
    const struct needs_words *needs;

    /* Reads what llm_request_read() has not: it knows the model and "stream". */
    void (*read_head)(struct cursor doc);

    /* What answers repeat of the request, made in `a`, for struct wire_writer; empty if memory runs
     * out. NULL: nothing. */
    struct str (*echo)(struct arena *a, const struct llm_request *r);

    /* Media that its answers have a place for, as WIRE_MEDIA()s: whole ones, and streams. */
    uint32_t media;
    uint32_t media_streamed;

    /* Appends the frames for one event of a stream, EVENT_END and EVENT_ERROR included. */
    void (*write_event)(struct wire_writer *w, const struct llm_event *ev);

    /* Appends a whole, not streamed answer. */
    void (*write_answer)(struct wire_writer *w, const struct llm_answer *ans);

    /* Appends an error document. `request_id` may be empty. */
    void (*write_error)(struct buf *out, const struct llm_error *e, struct str request_id);

    /* The same on the routes of OpenRouter's API; NULL: it is the same there. */
    void (*write_router_error)(struct buf *out, const struct llm_error *e, struct str request_id);

    /* Appends a document of a provider of the same wire, or a frame with one, to which is added what
     * these routes promise (w->provider, w->cost). `usage` says what to bill. False, and nothing is
     * appended: there is nothing to add. NULL: there never is. */
    bool (*annotate)(const struct wire_writer *w, struct str text, const struct llm_usage *usage,
        struct buf *out);

    /* Appends an event that ends a stream of a route that is only passed through (`path`, below
     * /v1) after `sequence` events. */
    void (*write_relay_error)(
        struct buf *out, const struct llm_error *e, struct str path, uint64_t sequence);

    /* Appends the answer to OP_COUNT_TOKENS; NULL when the protocol has none. */
    void (*write_token_count)(struct buf *out, int64_t input_tokens);

    /* Thoughts are parts of a message's content. */
    bool thoughts_in_content;

    /* HTTP status of an error kind in this protocol (Anthropic: 529 for overload). */
    int (*status)(const struct llm_error *e);

    const struct wire_error_name
        *error_names;    /* by enum err; OK has none. NULL: errors have no type */

    /* The list of models: `models_begin`, the models with commas between them, and the end. `details` are members for
     * protocols whose entries may have any, a comma before each. */
    struct str models_begin;
    void (*write_model)(struct buf *out, struct str id, struct str owner, struct str details);
    void (*write_models_end)(struct buf *out, const struct wire_page *page);

    /* The page that a query asks for; NULL: the list has no pages. */
    void (*read_page)(struct arena *a, struct str query, struct wire_page *ret);

    /* A request with this field speaks this protocol on routes that several have; empty: none
     * does. With a word, the field's value must hold it, and only the routes that we answer
     * ourselves are shared. */
    struct str version_field;
    struct str version_word;
    struct str id_field;    /* repeats the request's id in every answer; may be empty */
    /* names the type of an error in its answer's head, as error_names has it; may be empty */
    struct str error_field;

    /* the fields that say what is left of limits: "anthropic-ratelimit-requests-limit" with the time of its
     * reset; else "x-ratelimit-limit-requests" with the time until it */
    bool anthropic_limits;

    /* the terminator, which a provider may have omitted: "data: [DONE]\n\n" */
    struct str terminator;
    /* an event that keeps an idle stream alive; empty: what the framing has for it */
    struct str keepalive;
};

/* Where a provider's requests have their parameters, for what is set in one that is written. */
struct wire_places {
    enum params_column params;    /* those of params.def, at the top of the body */
    /* and in an object in it, "options"; NULL: in none */
    const char *object;
    enum params_column nested;
    /* limits on the length of the answer, "max_tokens" or "object.name", the newest name first; NULL at
     * the end. NULL: it has none */
    const char *const *limits;
};

struct wire_provider {
    uint32_t ops;    /* OP_BIT()s it can serve */

    /* Appends the path that follows the provider's base URL: "/chat/completions". A query at its end,
     * of one parameter, replaces the caller's of that name: "?alt=sse". */
    void (*write_path)(struct buf *out, const struct llm_request *r, const struct wire_target *t);

    /* What a request of another wire can be written for, see llm/write.h: the operations, whether
     * more than one choice can be asked for, and tools that take free-form input. */
    uint32_t translates;
    bool choices;
    bool free_form;

    struct wire_places places;

    /* A conversation that ends with the assistant's words is answered with what follows them,
     * unless the model refuses it. */
    bool prefills;

    /* Writes the members of such a request. */
    void (*write_request)(struct request_out *w);

    /* The same of operations that are not conversations, and their answers. */
    void (*writes[OP_COUNT])(struct request_out *w);
    enum err (*reads[OP_COUNT])(struct wire_reader *r, struct str body);

    /* Whether a request of the same wire has to be written anew for the target all the same, because its
     * form is an older one, or another host's. NULL: never. */
    bool (*rewrites)(const struct llm_request *r, const struct wire_target *t);

    /* The field of an answer's head with its input tokens, for answers that do not say them; may be
     * empty. */
    struct str input_field;

    /* Adds what must change in the body of a request of the same wire, such as asking for usage.
     * The gateway replaces the model name itself. May be NULL. */
    void (*edit_request)(
        const struct llm_request *r, const struct wire_target *t, struct wire_edits *edits);

    /* The path of base URLs, where no other is known: "/v1"; empty: they have none. */
    struct str base;

    /* Path of the list of its models, below the base URL; where that ends in `base` and
     * `models_base` is not empty, below the latter instead: "/v1". */
    struct str models_path;
    struct str models_base;

    /* One frame of a stream: `event` is the SSE event name or the frame type, may be empty. Emits
     * events. OK, or ERR_UPSTREAM_PROTOCOL when it makes no sense, ERR_UPSTREAM_TOO_LARGE when an
     * arena has no room for it. An error inside the stream is an EVENT_ERROR and OK. */
    enum err (*read_event)(struct wire_reader *r, struct str event, struct str data);

    /* The stream's bytes ended cleanly. Emits what was held back and EVENT_END when the answer is
     * complete (r->finished); leaves r->complete false when it was cut. */
    void (*read_end)(struct wire_reader *r);

    /* A whole answer, status 2xx. Emits START ... END, or an EVENT_ERROR for an error under status
     * 200. */
    enum err (*read_answer)(struct wire_reader *r, struct str body);

    /* A message of a session that is only passed through. Emits the usage so far. NULL: it has no
     * sessions. */
    void (*read_message)(struct wire_reader *r, struct str text);

    /* An error answer (status >= 400, or any status with an error body). `body` may be anything,
     * HTML included. Fills *ret with strings in `a`; never forwards keys. retry_after_ms is what
     * the body says: the gateway reads the headers. */
    void (*read_error)(struct arena *a, int status, struct str body, struct llm_error *ret);

    /* How the field line with a provider's key begins: "x-api-key: ". */
    struct str key;

    /* Header fields that every request to such a provider carries, unless the caller sent the same
     * field and it is forwarded: "anthropic-version: 2023-06-01\r\n". */
    struct str fields;

    /* Names of the caller's header fields that are forwarded to a provider of the same wire,
     * NULL-terminated. */
    const char *const *forward;
};

struct wire {
    struct str name;    /* as configuration and catalog name it: "openai-chat" */
    /* Providers of the wire `beside` take requests of this one as they are, at the same base URL, if
     * their traits say so. NULL: none does. */
    const struct wire *beside;
    bool (*is_taken)(const struct traits *t);
    /* What some clients of this protocol speak in its place, told by that one's version_field: its
     * requests, and answers of a form of their own. It is not in the table. NULL: there is none. */
    const struct wire *dialect;
    const struct framing *framing;           /* of a streamed answer */
    const struct wire_caller *caller;        /* NULL: not offered to callers */
    const struct wire_provider *provider;    /* NULL: no provider speaks it */
};

#define WIRE(id) extern const struct wire wire_##id;
#include "llm/wires.def"
#undef WIRE

/* Does a provider whose protocol is `its`, with these traits, take requests of `wire` as they are? */
static inline bool
wire_is_served(const struct wire *wire, const struct wire *its, const struct traits *t)
{
    return wire == its || (wire != NULL && wire->beside == its && wire->is_taken(t));
}

/* Reads a whole answer to r->op: by read_answer, or as that operation has it. */
enum err wire_read_answer(struct wire_reader *r, struct str body) MUST_CHECK;

/* The wire with that configuration name, or NULL. wire_at() enumerates them; NULL after the last.
 */
const struct wire *wire_named(struct str name);
const struct wire *wire_at(size_t i);

/* A provider that ignores case would read `{"model":"small","MODEL":"large"}` as a request for
 * "large", although access and routing were decided for "small". Returns ERR_BAD_REQUEST with
 * *ret_fault if a member of the object `doc` resembles (str_resembles()) one of `members`, or one
 * of the parameters of `column` (PARAMS_COLUMNS: none), ERR_TOO_LARGE if memory runs out, else OK.
 * The parser has already refused duplicate keys. */
enum err wire_check_members(struct arena *a, const struct json *doc,
    const struct read_member *members, enum params_column column,
    struct wire_fault *ret_fault) MUST_CHECK;

/* `prefix` and a hash of `id`, for a target that does not accept it. Deterministic. */
struct str wire_hash_id(struct arena *a, struct str id, struct str prefix);

/* Reads {"cache_control":{"type":"ephemeral","ttl":"1h"}} of a part or a tool. Anthropic's, but
 * several hosts of other protocols accept it. */
enum llm_cache_mark wire_cache_mark(const struct json *j);

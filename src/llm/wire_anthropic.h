/* wire_anthropic.h - what the files of the Anthropic Messages wire know together.
 *
 *     wire_anthropic.c            the table; words and numbers that both sides translate
 *     wire_anthropic_caller.c     a caller's request, read
 *     wire_anthropic_messages.c   its messages
 *     wire_anthropic_encode.c     an answer for a caller, written
 *     wire_anthropic_provider.c   a request for a provider, written
 *     wire_anthropic_plan.c       the turns of that request, put in the order the API wants
 *     wire_anthropic_content.c    its messages
 *     wire_anthropic_schema.c     its schemas
 *     wire_anthropic_decode.c     a provider's answer, read
 *
 * Nobody else includes this.
 */
#pragma once

#include "llm/wire.h"

extern const struct wire_caller anthropic_caller;
extern const struct wire_provider anthropic_provider;

/* --- stop reasons --- */

/* FINISH_UNKNOWN for a word that the API did not have when this was written. */
enum llm_finish anthropic_finish(struct str stop_reason);

/* The stop_reason for a caller. `native` is the provider's own word and stays when it is one of
 * ours with the same meaning; `called` says that the answer calls a tool. */
struct str anthropic_stop_reason(
    enum llm_finish finish, struct str native, struct str stop_sequence, bool called);

/* --- usage --- */

/* The provider's own counts, cumulative; -1 until said. Its input leaves the cache out, ours has
 * it. */
struct anthropic_counts {
    int64_t input;
    int64_t cache_read;
    int64_t cache_write;
    int64_t output;
    int64_t thinking;
};
#define ANTHROPIC_COUNTS_NONE ((struct anthropic_counts){ -1, -1, -1, -1, -1 })

/* Overwrites the counts that a usage object names. `usage` may be NULL. */
void anthropic_counts_read(struct anthropic_counts *c, const struct json *usage);
struct llm_usage anthropic_usage(const struct anthropic_counts *c);

/* Appends a usage object for a caller. What is not known is 0, as the SDKs want numbers. */
void anthropic_add_usage(struct buf *out, const struct llm_usage *u);

/* --- tools --- */

/* Appends a call's arguments as the `input` object: the JSON text as it is when it is an object, {}
 * when there are none, else wrapped in {"input": ...}: the API takes nothing but an object. */
void anthropic_add_input(struct buf *out, struct arena *a, struct str args, bool custom);

/* --- errors --- */

/* Fills *ret, in `a`, from the words of an error object. `status` is 0 inside a stream. */
void anthropic_error_fill(
    struct arena *a, int status, struct str type, struct str message, struct llm_error *ret);

/* An error document, or an error event of a stream. False when `doc` is neither. */
bool anthropic_error_read(
    struct arena *a, int status, const struct json *doc, struct llm_error *ret);

/* --- a caller's request --- */

/* Where in the request something stands: element `index` of `list`, inside `up`. */
struct place {
    const struct place *up;
    const char *list;
    unsigned index;
};

struct reading {
    struct llm_request *r;
    struct arena *a;
    struct wire_fault *fault;
    enum err err;              /* the first failure */
    unsigned parts;            /* made so far */
    const struct place *at;    /* what is being read */
};

/* Records the first failure about `field` of what is being read; `what` follows its path in the
 * sentence. */
void anthropic_complain(struct reading *rd, enum err e, const char *field, const char *what);

/* The text of a string; empty for anything else. Running out of room is complained about. */
struct str anthropic_text_of(struct reading *rd, const struct json *j);
struct str anthropic_text_at(struct reading *rd, const struct json *j, const char *key);

/* The same, but it must be there and be a string. */
struct str anthropic_required_text(struct reading *rd, const struct json *j, const char *key);

/* Counts something that is about to be kept; false, with a complaint, when there is too much. */
bool anthropic_count_part(struct reading *rd);

/* Reads system text and messages. */
void anthropic_read_messages(struct reading *rd);

/* --- a provider's answer; see struct wire_provider --- */

enum err anthropic_read_event(struct wire_reader *r, struct str event, struct str data);
void anthropic_read_end(struct wire_reader *r);
enum err anthropic_read_answer(struct wire_reader *r, struct str body);

/* --- an answer for a caller; see struct wire_caller --- */

void anthropic_write_event(struct wire_writer *w, const struct llm_event *ev);
void anthropic_write_answer(struct wire_writer *w, const struct llm_answer *ans);

/* --- schemas --- */

/* Appends a response schema, with additionalProperties:false in every object schema that does not
 * say: the API insists on it. False when `schema` is no JSON object. */
bool anthropic_add_closed_schema(struct buf *out, struct arena *a, struct str schema);

/* Appends a tool's schema, with "type":"object" when it names no type. False when `schema` is no
 * JSON object. */
bool anthropic_add_tool_schema(struct buf *out, struct arena *a, struct str schema);

/* --- the request for a provider: turns --- */

enum block_kind {
    BLOCK_PART,       /* the part as it is */
    BLOCK_MISSING,    /* a result that nobody recorded, for `call` */
    BLOCK_ORPHAN,     /* a result whose call is gone: its content as text */
};

struct block {
    enum block_kind kind;
    const struct llm_part *part;
    struct block *next;
    struct str id;            /* calls: the id to send; unique in the conversation */
    struct turn *turn;        /* calls: where it stands */
    struct block *result;     /* calls: its answer */
    struct block *same_id;    /* calls: the next unanswered one of this turn with the same id */
    struct block *same_id_last;
    struct block *call;    /* results: what they answer */
};

struct block_list {
    struct block *first;
    struct block **tail;
};

/* Messages of one side that follow each other. */
struct turn {
    bool assistant;
    struct block_list results;    /* user: tool results, before everything else */
    struct block_list blocks;
    struct block **solid;    /* assistant: behind the last block that is not thinking */
    struct turn *prev;
    struct turn *next;
};

struct plan {
    struct block_list system;    /* all system text, wherever it stood */
    struct turn *first;
    struct turn *last;
    bool has_tools;        /* some turn calls a tool */
    bool unsigned_loop;    /* the tool loop at the end does not start with signed thinking */
    unsigned marks;        /* cache marks on system text and messages */
};

/* Orders the conversation as the API wants it. Never fails; what cannot be said goes to `drops`. */
void anthropic_plan(const struct llm_request *r, struct wire_drops *drops, struct plan *ret);

/* --- the request for a provider: writing --- */

enum thinking { THINKING_UNSAID, THINKING_OFF, THINKING_BUDGET, THINKING_ADAPTIVE };

struct writing {
    struct buf *out;
    struct arena *a;
    const struct llm_request *r;
    const struct wire_target *t;
    struct wire_drops *drops;
    struct wire_fault *fault;
    enum err err;    /* the first failure; the rest is written for nothing */
    struct plan plan;
    unsigned marks_to_skip;    /* the earliest, when there are too many: a later one covers more */
    bool first;                /* no element of the list being written stands yet */

    bool tools;    /* the caller offers tools that this provider can be told about */
    int64_t max_tokens;
    enum thinking thinking;
    int64_t budget;
    struct str effort;
};

/* A comma before every element of a list but the first. */
void anthropic_add_comma(struct writing *w);

/* Records the first reason why the request cannot be written. */
void anthropic_refuse(struct writing *w, enum err e, struct str param, struct str message);

/* Appends a cache_control member when there is a mark and the API would still take it. */
void anthropic_add_cache_control(struct writing *w, enum llm_cache_mark mark);

/* Append ,"system":[...] when there is any, and ,"messages":[...]. */
void anthropic_add_system(struct writing *w);
void anthropic_add_messages(struct writing *w);

/* Cuts thinking without a signature out of a request of the same wire (wire_anthropic_edit.c). */
void anthropic_edit_request(
    const struct llm_request *r, const struct wire_target *t, struct wire_edits *edits);

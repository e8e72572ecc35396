/* anthropic.h - shared by the files of the Anthropic Messages wire.
 *
 *     anthropic.c            the table; words and numbers that both sides translate
 *     caller.c     a caller's request, read
 *     messages.c   its messages
 *     encode.c     an answer for a caller, written
 *     provider.c   a request for a provider, written
 *     content.c    its messages
 *     schema.c     its schemas
 *     decode.c     a provider's answer, read
 *
 * Private to them.
 */
#pragma once

#include "llm/fail.h"
#include "llm/turns.h"
#include "llm/wire.h"

extern const struct wire_caller anthropic_caller;
extern const struct wire_provider anthropic_provider;

/* --- stop reasons --- */

/* FINISH_UNKNOWN for a stop reason that is not in our table. */
enum llm_finish anthropic_finish(struct str stop_reason);

/* The stop_reason for a caller. `native`, the provider's own, is kept if it is a stop_reason of
 * this protocol with the same meaning; `called`: the answer calls a tool. */
struct str anthropic_stop_reason(
    enum llm_finish finish, struct str native, struct str stop_sequence, bool called);

/* --- usage --- */

/* The provider's cumulative counts; -1 until reported. Its `input` excludes cached tokens, that of
 * struct llm_usage includes them. */
struct anthropic_counts {
    int64_t input;
    int64_t cache_read;
    int64_t cache_write;
    int64_t output;
    int64_t thinking;
};
#define ANTHROPIC_COUNTS_NONE ((struct anthropic_counts){ -1, -1, -1, -1, -1 })

/* Updates the counts that a usage object contains. `usage` may be NULL. */
void anthropic_counts_read(struct anthropic_counts *c, const struct json *usage);
struct llm_usage anthropic_usage(const struct anthropic_counts *c);

/* Appends a usage object for a caller. Unknown counts are 0, because the SDKs require numbers. */
void anthropic_add_usage(struct buf *out, const struct llm_usage *u);

/* --- tools --- */

/* Appends a call's arguments as the `input` object: the JSON text unchanged if it is an object, {}
 * if it is empty, otherwise wrapped in {"input": ...}, because the API accepts only objects. */
void anthropic_add_input(struct buf *out, struct arena *a, struct str args, bool custom);

/* --- failures --- */

extern const struct fail_words anthropic_fail_words;

/* --- a caller's request --- */

/* A position in the request: element `index` of `list`, inside `up`. */
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

/* Records a fault in `field` of what is being read, unless one was recorded before; the message is
 * the field's path, a colon and `what`. */
void anthropic_complain(struct reading *rd, enum err e, const char *field, const char *what);

/* The text of a string; empty for anything else. Records ERR_TOO_LARGE if memory runs out. */
struct str anthropic_text_of(struct reading *rd, const struct json *j);
struct str anthropic_text_at(struct reading *rd, const struct json *j, const char *key);

/* The same; records a fault unless it is present and a string. */
struct str anthropic_required_text(struct reading *rd, const struct json *j, const char *key);

/* Counts an element that is about to be kept. False, with a fault recorded, if there are too many.
 */
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

/* Appends a response schema, adding the additionalProperties:false that the API requires to every
 * object schema without that member. False if `schema` is not a JSON object. */
bool anthropic_add_closed_schema(struct buf *out, struct arena *a, struct str schema);

/* Appends a tool's schema, adding "type":"object" if it has no type. False if `schema` is not a
 * JSON object. */
bool anthropic_add_tool_schema(struct buf *out, struct arena *a, struct str schema);

/* --- the request for a provider: writing --- */

enum thinking { THINKING_UNSAID, THINKING_OFF, THINKING_BUDGET, THINKING_ADAPTIVE };

struct writing {
    struct buf *out;
    struct arena *a;
    const struct llm_request *r;
    const struct wire_target *t;
    struct wire_drops *drops;
    struct wire_fault *fault;
    enum err err;    /* the first failure; what is written after it is discarded */
    struct turns turns;
    unsigned marks_to_skip;    /* the earliest, if there are too many: later ones cover more */
    bool first;                /* the list being written is still empty */

    bool tools;    /* the caller offers tools that can be sent to this provider */
    int64_t max_tokens;
    enum thinking thinking;
    int64_t budget;
    struct str effort;
};

/* Appends a comma unless this is the first element of a list. */
void anthropic_add_comma(struct writing *w);

/* Records the first reason why the request cannot be written. */
void anthropic_refuse(struct writing *w, enum err e, struct str param, struct str message);

/* Appends a cache_control member if there is a mark and the API's limit is not used up. */
void anthropic_add_cache_control(struct writing *w, enum llm_cache_mark mark);

/* Append ,"system":[...] if there is any, and ,"messages":[...]. */
void anthropic_add_system(struct writing *w);
void anthropic_add_messages(struct writing *w);

/* Removes unsigned thinking from a request of the same wire (edit.c). */
void anthropic_edit_request(
    const struct llm_request *r, const struct wire_target *t, struct wire_edits *edits);

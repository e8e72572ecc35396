/* embed.h - embeddings: what is asked for and what is answered, for all protocols.
 *
 * Numbers are never read where they need not be. A vector travels as the slice of the provider's
 * answer in which it stands, and is copied once, into the caller's; only between JSON numbers and
 * base64 of float32 it is converted. The parser makes one node of a vector (struct json_limits),
 * so that memory is that of the two documents.
 */
#pragma once

#include "base/json_out.h"
#include "llm/event.h"
#include "llm/read.h"
#include "llm/write.h"

struct llm_answer;

/* --- what is asked for --- */

/* What is embedded as one vector. Kept small: there may be one for every five bytes of a request. */
struct llm_input {
    const struct json *plain;    /* all of it: a string, or a list of numbers of tokens */
    struct llm_part *parts;      /* or text and media; the first one's name is the title */
    struct llm_input *next;
};

/* Is it a list of numbers? */
static inline bool
embed_is_tokens(const struct llm_input *input)
{
    return json_is(input->plain, JSON_ARRAY);
}

/* Its title; empty if it has none. */
static inline struct str
embed_title(const struct llm_input *input)
{
    return input->parts != NULL ? input->parts->name : (struct str){ NULL, 0 };
}

/* What the vectors are for. */
enum embed_task {
#define TASK(id, cohere, gemini, others) TASK_##id,
#include "llm/tasks.def"
#undef TASK
    TASKS
};

/* What is done with an input that is too long. */
enum embed_cut { CUT_UNSAID, CUT_NOTHING, CUT_START, CUT_END };

/* How the caller's protocol spells what a target may lack, for notes. */
struct embed_names {
    const char *input, *dimensions, *types, *task, *title, *cut;
};

struct llm_embed {
    const struct embed_names *names;
    struct llm_input *inputs;
    struct llm_input **tail;
    struct llm_input *newest;
    struct llm_part **part_tail;    /* the newest's */
    uint32_t count;
    int64_t dimensions;    /* 0: not said */
    uint32_t types;        /* VECTOR_BIT()s; 0: not said */
    enum embed_task task;
    enum embed_cut cut;
    uint8_t form;    /* which of its wire's forms the request has, and so the answer */
};

/* The request's, made when it is asked for first. */
struct llm_embed *embed_of(struct cursor c, const struct embed_names *names) NEVER_NULL;

/* Adds an input without parts; with a text; or with the texts of a string or a list. */
struct llm_input *embed_add(struct llm_embed *e, struct arena *a) NEVER_NULL;
void embed_add_text(struct llm_embed *e, struct cursor text);
void embed_add_texts(struct llm_embed *e, struct cursor texts);

/* Adds a part to the newest input. */
struct llm_part *embed_part(
    struct llm_embed *e, struct arena *a, enum llm_part_kind kind) NEVER_NULL;

/* Reads the members that most protocols have. */
void embed_read_dimensions(struct llm_embed *e, struct cursor c);
void embed_read_task(struct llm_embed *e, struct cursor c);
void embed_read_types(struct llm_embed *e, struct cursor c);    /* a word, or a list */
void embed_read_cut(struct llm_embed *e, struct cursor c);      /* "NONE", "START", "END", a flag */

/* Faults if there is nothing to embed. */
void embed_check(struct cursor c);

/* Roughly the tokens of inputs. */
int64_t embed_estimate_tokens(const struct llm_input *inputs);

/* --- writing it for a provider --- */

/* The text of an input, for a target that takes nothing else: refuses the request otherwise. */
struct str embed_text(struct request_out *w, const struct llm_input *input);

/* Whether some input has an image. */
bool embed_has_image(const struct llm_embed *e);

/* The types that a target that `can` make these is asked for; notes the others, and refuses the
 * request if none is left. What is base64 to the caller may be float to the target. */
uint32_t embed_types(struct request_out *w, uint32_t can);

/* Notes what the target cannot say: EMBED_LACKS_...; nothing for what was not said. */
enum {
    EMBED_LACKS_DIMENSIONS = 1 << 0,
    EMBED_LACKS_TASK = 1 << 1,
    EMBED_LACKS_CUT = 1 << 2,
    EMBED_LACKS_TITLE = 1 << 3,
};
void embed_drop(struct request_out *w, unsigned lacks);

/* Refuses more than `most` inputs: "input: the model takes one ...". */
void embed_limit(struct request_out *w, uint32_t most);

struct str embed_cohere_task(enum embed_task task);    /* empty: Cohere does not say that */
struct str embed_gemini_task(enum embed_task task);
struct str embed_type_name(enum vector_type type);    /* "float", "base64", "int8", ... */

/* --- reading the answer --- */

/* The document, with a vector as one node. NULL: *ret_err says why. */
const struct json *embed_parse(struct wire_reader *r, struct str body, enum err *ret_err);

/* A vector: a list of numbers, or base64. The slice is `vector`'s. Something else is left out: the
 * caller of another protocol misses it, and one of the same may know what it is. OK, or
 * ERR_UPSTREAM_TOO_LARGE. */
enum err embed_emit(struct wire_reader *r, int64_t index, enum vector_type type,
    const struct json *vector) MUST_CHECK;

/* The lists of vectors by type, {"float":[[...]],...}, or one list of floats. */
enum err embed_emit_by_type(struct wire_reader *r, const struct json *by_type) MUST_CHECK;

/* Ends the answer: so many input tokens; negative: it does not say. */
void embed_emit_end(struct wire_reader *r, int64_t input_tokens);

/* --- writing it for the caller --- */

/* The vectors for the inputs, in order, from which those of `type` can be written; w->broken, and
 * NULL, unless there is one for each. */
const struct llm_vector *const *embed_vectors(
    struct wire_writer *w, const struct llm_answer *ans, enum vector_type type);

/* Writes a vector as a value of that type. */
void embed_add_vector(struct wire_writer *w, struct json_out *o, const struct llm_vector *vector,
    enum vector_type type);

/* The member with the vectors of a type, a list. */
void embed_add_list(
    struct wire_writer *w, struct json_out *o, const struct llm_answer *ans, enum vector_type type);

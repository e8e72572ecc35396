/* write.h - writes a request for a provider of another protocol than the caller's.
 *
 * write_request() does what all protocols need before and after their own members; a wire's part
 * gets a struct request_out with the object open:
 *
 *     static void
 *     acme_write_request(struct request_out *w)
 *     {
 *         out_text(&w->o, "model", w->t->model);
 *         add_messages(w);
 *         ...
 *     }
 *
 * Writing goes on after write_refuse(), so that writers need no checks of their own; the first
 * refusal counts, and what was written is taken back.
 */
#pragma once

#include "base/json_out.h"
#include "llm/wire.h"

struct request_out {
    struct json_out o;
    const struct wire *to;
    struct arena *a;
    const struct llm_request *r;
    const struct wire_target *t;
    struct wire_drops *drops;
    struct wire_fault *fault;
    enum err err;
};

/* Appends the body for a request (r is expanded). OK; or, with *ret_fault and nothing appended,
 * ERR_UNSUPPORTED, ERR_BAD_REQUEST or ERR_TOO_LARGE. Parameters without an equivalent go to
 * `drops`. */
enum err write_request(const struct wire *to, struct buf *out, const struct llm_request *r,
    const struct wire_target *t, struct wire_drops *drops, struct wire_fault *ret_fault) MUST_CHECK;

/* Records why the request cannot be written: "PARAM: what", or "what" if `param` is empty. */
void write_refuse(struct request_out *w, enum err e, const char *param, const char *what, ...)
    PRINTF_LIKE(4, 5);

/* Notes a parameter that this target cannot say. */
void write_drop(struct request_out *w, enum param p);

/* A stop sequence that this target cannot be told: the answer's text ends at it all the same, or it is
 * noted that it does not. */
void write_cut_stop(struct request_out *w, struct str stop);

/* Whether a tool can be declared to this provider: one that another protocol's providers run
 * themselves cannot, and the caller is told; neither can others than the one that must be called, if the
 * target refuses a choice that says so. Free-form tools are functions here if the provider has no others. */
bool write_may_declare(struct request_out *w, const struct llm_tool *tool);

/* The choice of tools that the target takes: one that demands a call becomes CHOICE_AUTO, with a
 * note, where it must not. */
enum llm_choice write_choice(struct request_out *w);

struct schema_rules;

/* Writes a schema, as a value, by the rules of the target. Notes keywords that are left out as
 * "PARAM.keyword". False, with nothing written, if it is not a JSON object. */
bool write_schema(struct request_out *w, const char *param, struct str schema,
    const struct schema_rules *rules) MUST_CHECK;

/* The text of a text file. Refuses the request, and returns an empty one, if it has none. */
struct str write_file_text(struct request_out *w, const struct llm_part *part);

/* The arguments of a call as the object that some protocols want: the JSON text if it is one, {} if
 * it is blank or null, else {"input": ...}, also for plain text (`custom`). Never breaks a line.
 * False if memory ran out before it was known which. *ret_broken (may be NULL) is set if what should
 * be an object is none: in an answer, nobody said {"input": ...}. */
bool write_arguments(
    struct json_out *o, struct arena *a, struct str args, bool custom, bool *ret_broken) MUST_CHECK;

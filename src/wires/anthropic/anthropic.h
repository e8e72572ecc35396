/* anthropic.h - shared by the files of the Anthropic Messages wire.
 *
 *     anthropic.c    the table; words and numbers that both sides translate
 *     caller.c       a caller's request, read; errors for it
 *     encode.c       an answer for a caller, written
 *     provider.c     a request for a provider, written
 *     decode.c       a provider's answer, read
 *
 * Private to them.
 */
#pragma once

#include "base/json_out.h"
#include "llm/fail.h"
#include "llm/wire.h"

/* words.c: names of errors, the list of models, where needs stand. */
extern const struct wire_error_name anthropic_error_names[ERR_COUNT];
extern const struct needs_words anthropic_needs;
void anthropic_write_model(struct buf *out, struct str id, struct str owner, struct str details);
void anthropic_write_models_end(struct buf *out, const struct wire_page *page);
void anthropic_read_page(struct arena *a, struct str query, struct wire_page *ret);

extern const struct wire_caller anthropic_caller;
extern const struct wire_provider anthropic_provider;

/* FINISH_UNKNOWN for a stop reason that is not in our table. */
enum llm_finish anthropic_finish(struct str stop_reason);

/* The stop_reason for a caller. `native`, the provider's own, is kept if it is a stop_reason of
 * this protocol with the same meaning; `called`: the answer calls a tool. */
struct str anthropic_stop_reason(
    enum llm_finish finish, struct str native, struct str stop_sequence, bool called);

/* Updates the provider's cumulative counts, as it tells them: its `input` excludes cached tokens.
 * `usage` may be NULL. anthropic_usage() is what they mean in struct llm_usage. */
void anthropic_read_usage(struct llm_usage *u, const struct json *usage);
struct llm_usage anthropic_usage(const struct llm_usage *u);

/* Appends the member "usage" for a caller. Unknown counts are 0, because the SDKs require numbers.
 */
void anthropic_add_usage(struct json_out *o, const struct llm_usage *u);

/* Appends a block of thinking, redacted or not. */
void anthropic_add_thinking(struct json_out *o, const struct llm_part *part);

extern const struct fail_words anthropic_fail_words;

/* See struct wire_caller and struct wire_provider. */
void anthropic_write_event(struct wire_writer *w, const struct llm_event *ev);
void anthropic_write_answer(struct wire_writer *w, const struct llm_answer *ans);
enum err anthropic_read_event(struct wire_reader *r, struct str event, struct str data);
void anthropic_read_end(struct wire_reader *r);
enum err anthropic_read_answer(struct wire_reader *r, struct str body);

/* cohere.h - shared by the files of Cohere's v2 wire.
 *
 *     cohere.c      the table; words and counts that both sides translate
 *     caller.c      a caller's request, read; errors for it
 *     encode.c      an answer for a caller, written
 *     provider.c    a request for a provider, written
 *     decode.c      a provider's answer, read
 *
 *     embed.c       embeddings, both sides
 *     rerank.c      rankings, both sides
 *
 * Private to them, but for cohere_add_embed().
 */
#pragma once

#include "base/json_out.h"
#include "llm/fail.h"
#include "llm/wire.h"

extern const struct wire_caller cohere_caller;
extern const struct wire_provider cohere_provider;

/* FINISH_UNKNOWN for a reason that is not in our table, and for those that say that it broke. */
enum llm_finish cohere_finish(struct str reason);

/* The finish_reason for a caller: `native`, the provider's own, if it is one of this protocol with
 * the same meaning. */
struct str cohere_finish_reason(
    enum llm_finish finish, struct str native, struct str stop_sequence, bool called);

/* Counts from "usage" of a chat, or "meta" of other answers; `from` may be NULL.
 *
 * `tokens` is what the model read and wrote, with a prompt that Cohere adds and hides (a "hi" has
 * 500); `billed_units` is what it charges for. Callers and limits get the former, like every other
 * provider's; the cost follows from the latter. */
void cohere_read_usage(struct llm_usage *u, const struct json *from);

/* Appends the member "usage". */
void cohere_add_usage(struct json_out *o, const struct llm_usage *u);

extern const struct fail_words cohere_fail_words;

/* Writes the members of a request for embeddings but for the model, for a host that makes vectors of
 * these types. */
void cohere_add_embed(struct request_out *w, uint32_t can);

/* See struct wire_caller and struct wire_provider. */
extern const struct wire_asks cohere_embed;
extern const struct wire_asks cohere_rerank;
void cohere_write_embed(struct request_out *w);
void cohere_write_rerank(struct request_out *w);
enum err cohere_read_embed(struct wire_reader *r, struct str body);
enum err cohere_read_rerank(struct wire_reader *r, struct str body);
bool cohere_rewrites(const struct llm_request *r, const struct wire_target *t);
void cohere_write_event(struct wire_writer *w, const struct llm_event *ev);
void cohere_write_answer(struct wire_writer *w, const struct llm_answer *ans);
void cohere_write_relay_error(
    struct buf *out, const struct llm_error *e, struct str path, uint64_t sequence);
enum err cohere_read_event(struct wire_reader *r, struct str event, struct str data);
void cohere_read_end(struct wire_reader *r);
enum err cohere_read_answer(struct wire_reader *r, struct str body);

/* bedrock.h - shared by the files of the Bedrock Converse wire.
 *
 *     bedrock.c      the table; words, formats and numbers that both sides translate
 *     caller.c       a caller's request, read; errors for it
 *     encode.c       an answer for a caller, written
 *     provider.c     a request for a provider, written
 *     decode.c       a provider's answer, read
 *     embed.c        embeddings by InvokeModel, both sides
 *
 * A block has no type: it is an object with one member, which is named after what it is. Private
 * to them.
 */
#pragma once

#include "base/json_out.h"
#include "llm/fail.h"
#include "llm/wire.h"

extern const struct wire_caller bedrock_caller;
extern const struct wire_provider bedrock_provider;

/* FINISH_UNKNOWN for a reason that is not in our table. */
enum llm_finish bedrock_finish(struct str stop_reason);

/* The reason for a caller. `native`, the provider's own, is kept if this protocol has it with the
 * same meaning; `called`: the answer calls a tool. */
struct str bedrock_stop_reason(
    enum llm_finish finish, struct str native, struct str stop_sequence, bool called);

/* What "usage" says, and how it is written: its counts of input exclude the prompt cache. */
struct llm_usage bedrock_read_usage(const struct json *usage);
void bedrock_add_usage(struct json_out *o, const struct llm_usage *u);

/* The name of a format ("png", "pdf", "three_gp") for a medium's type, empty if there is none; and
 * the type for a format. */
struct str bedrock_format(enum llm_part_kind kind, struct str mime);
struct str bedrock_mime(struct arena *a, enum llm_part_kind kind, struct str format);

/* Whether the text may stand where the protocol has bytes in base64. */
bool bedrock_is_base64(struct str text);

extern const struct fail_words bedrock_fail_words;

/* The status that goes with an exception's name, whatever its case; 0: it is not known. */
int bedrock_exception_status(struct str name);

/* See struct wire_caller and struct wire_provider. */
extern const struct wire_asks bedrock_embed;
void bedrock_write_embed(struct request_out *w);
enum err bedrock_read_embed(struct wire_reader *r, struct str body);
void bedrock_write_event(struct wire_writer *w, const struct llm_event *ev);
void bedrock_write_answer(struct wire_writer *w, const struct llm_answer *ans);
enum err bedrock_read_event(struct wire_reader *r, struct str event, struct str data);
void bedrock_read_end(struct wire_reader *r);
enum err bedrock_read_answer(struct wire_reader *r, struct str body);

/* Appends an exception in a stream. */
void bedrock_write_exception(struct buf *out, const struct llm_error *e);

/* gemini.h - shared by the files of Gemini's generateContent wire.
 *
 *     gemini.c             the table; finish reasons, offsets in text, signatures, errors
 *     caller.c             a caller's request, read
 *     caller_schema.c      its schemas, in OpenAPI's form, as JSON Schemas
 *     caller_answer.c      an answer for a caller, written; errors
 *     words.c              names of errors, the list of models, where needs stand
 *     provider.c           a request for a provider, written
 *     provider_answer.c    a provider's answer, read
 *     embed.c              embeddings, both sides
 *
 * Private to them. The protocol is protobuf in JSON: names are in camelCase, or in snake_case as
 * older clients write them; enums are words or numbers; bytes are base64 in either alphabet.
 */
#pragma once

#include "base/json_out.h"
#include "llm/fail.h"
#include "llm/wire.h"

extern const struct wire_caller gemini_caller;
extern const struct wire_provider gemini_provider;

/* A member by either of its names. */
const struct json *gemini_get(const struct json *j, const char *camel, const char *snake);

/* A count, which may be a string of digits; -1 if there is none. */
int64_t gemini_count(const struct json *j);

/* What a reason stands for, a word or a number; *ret_word is the word, in `a`. FINISH_UNKNOWN for those
 * that only say that something failed, and for those that are not in our table. */
enum llm_finish gemini_finish(struct arena *a, const struct json *reason, struct str *ret_word);

/* The reason for a caller: `native`, the provider's own, if it is this protocol's. */
struct str gemini_finish_reason(enum llm_finish finish, struct str native);

/* --- offsets ---
 *
 * Places in an answer's text are counted in bytes here, and in characters everywhere else. A bit for
 * each byte says whether a character begins there. */
struct gemini_text {
    uint64_t *begins;
    uint32_t *before;    /* characters before each 64 bytes */
    size_t room;         /* in 64 bytes */
    size_t bytes;
    size_t chars;
};

/* Adds text. False if memory ran out: what was counted before stays right. */
bool gemini_text_add(struct arena *a, struct gemini_text *t, struct str text) MUST_CHECK;
int64_t gemini_text_chars(const struct gemini_text *t, int64_t bytes);
int64_t gemini_text_bytes(const struct gemini_text *t, int64_t chars);

/* --- signatures --- */

/* A proof as a value of "thoughtSignature": Gemini's own, or another's, sealed (llm/seal.h). */
struct str gemini_signature(
    struct arena *a, enum llm_origin origin, struct str signature, struct str redacted);

/* Sets a part's proof, which may be sealed. */
void gemini_read_signature(struct arena *a, struct str text, struct llm_part *part);

/* Is it a sealed one, which its providers would refuse? */
bool gemini_is_foreign(const struct json *signature);

/* --- errors --- */

extern const struct fail_words gemini_fail_words;
void gemini_write_error(struct buf *out, const struct llm_error *e, struct str request_id);
int gemini_status(const struct llm_error *e);

/* --- the caller's side --- */

/* The JSON Schema that a schema of OpenAPI's form says; empty if memory ran out. */
struct str gemini_json_schema(struct arena *a, const struct json *schema);

extern const struct needs_words gemini_needs;
extern const struct wire_error_name gemini_error_names[ERR_COUNT];
void gemini_write_event(struct wire_writer *w, const struct llm_event *ev);
void gemini_write_answer(struct wire_writer *w, const struct llm_answer *ans);
void gemini_write_model(struct buf *out, struct str id, struct str owner, struct str details);

/* --- embeddings --- */

extern const struct wire_asks gemini_embed;
void gemini_write_embed(struct request_out *w);
enum err gemini_read_embed(struct wire_reader *r, struct str body);
bool gemini_rewrites(const struct llm_request *r, const struct wire_target *t);

/* Appends the end of the path: ":batchEmbedContents". */
void gemini_add_embed_method(
    struct buf *out, const struct llm_request *r, const struct wire_target *t);

/* --- the provider's side --- */

enum err gemini_read_event(struct wire_reader *r, struct str event, struct str data);
enum err gemini_read_answer(struct wire_reader *r, struct str body);
void gemini_read_end(struct wire_reader *r);

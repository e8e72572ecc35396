/* openai_chat.h - what the files of the OpenAI Chat wire share.
 *
 *     openai_chat.c     the wire itself: routes, edits in place, words of failures
 *     caller.c          caller's JSON -> struct llm_request
 *     caller_answer.c   events -> caller's JSON and stream
 *     router.c          what OpenRouter's API adds
 *     mistral.c         the same wire as clients of Mistral expect it
 *     provider.c        struct llm_request -> provider's JSON
 *     provider_answer.c provider's JSON and stream -> events
 *     words.c           names of errors, the list of models, where needs stand
 *
 * Private to the wire; everybody else goes through struct wire. The members that
 * struct wire calls are documented there.
 */
#pragma once

#include "llm/read.h"

/* caller */
extern const struct read_member openai_members[];
extern const struct read_words openai_words;
extern const struct wire_error_name openai_error_names[ERR_COUNT];
extern const struct needs_words openai_needs;
void openai_write_model(struct buf *out, struct str id, struct str owner, struct str details);
void openai_write_models_end(struct buf *out, const struct wire_page *page);
void openai_read_head(struct cursor doc);
void openai_write_event(struct wire_writer *w, const struct llm_event *ev);
struct json_out;
/* "usage":{...}, as a member. */
void openai_add_usage(struct json_out *o, const struct wire_writer *w, const struct llm_usage *u);
void openai_write_answer(struct wire_writer *w, const struct llm_answer *ans);
void openai_write_error(struct buf *out, const struct llm_error *e, struct str request_id);
int openai_status(const struct llm_error *e);
struct str openai_sentence(const struct llm_error *e);
void openai_write_relay_error(
    struct buf *out, const struct llm_error *e, struct str path, uint64_t sequence);

/* OpenRouter's API */
void openai_add_router_error(struct json_out *o, const struct llm_error *e, struct str request_id);
void openai_write_router_error(struct buf *out, const struct llm_error *e, struct str request_id);
bool openai_annotate(
    const struct wire_writer *w, struct str text, const struct llm_usage *usage, struct buf *out);

struct llm_usage;
/* "cost", and more, where a route of OpenRouter's promises them. */
void openai_add_cost(struct json_out *o, const struct wire_writer *w, const struct llm_usage *u);

/* embeddings, and rankings */
extern const struct wire_asks openai_embed;
extern const struct wire_asks mistral_embed;
extern const struct wire_asks openai_rerank;
void openai_write_embed(struct request_out *w);
void openai_write_rerank(struct request_out *w);
enum err openai_read_embed(struct wire_reader *r, struct str body);
enum err openai_read_rerank(struct wire_reader *r, struct str body);

/* the two sides of the wire, shared with its dialect */
extern const char *const openai_beyond_text[];
extern const struct wire_provider openai_provider;
extern const struct wire wire_mistral;

/* provider; openai_read_error() also reads errors inside an answer, with its status 200 */
/* The id that a host with ids of nine letters and digits gets for a call; empty if it takes the id
 * as it is. */
struct str openai_nine_letters(struct arena *a, const struct json *id);
void openai_write_request(struct request_out *w);
enum err openai_read_event(struct wire_reader *r, struct str event, struct str data);
void openai_read_end(struct wire_reader *r);
enum err openai_read_answer(struct wire_reader *r, struct str body);
void openai_read_message(struct wire_reader *r, struct str text);
/* Reads what MiniMax says of its answer: {"status_code":1008,"status_msg":"insufficient balance"}.
 * False: nothing is wrong with it; or it is another host's, which has no such member (NULL). */
bool openai_read_base_resp(
    struct arena *a, const struct json *base_resp, struct llm_error *ret) MUST_CHECK;
void openai_read_error(struct arena *a, int status, struct str body, struct llm_error *ret);

/* The format of reasoning_details that are signed by Anthropic's models, as OpenRouter names it. */
#define OPENAI_REASONING_ANTHROPIC "anthropic-claude-v1"

/* The same for what OpenAI's models encrypted, which only the Responses API takes back. */
#define OPENAI_REASONING_OPENAI "openai-responses-v1"

/* What no format is known for, sealed (llm/seal.h). */
#define OPENAI_REASONING_SEALED "openclaw-v1"

/* Prefix of the ids of entries that we made from another protocol's answer: hosts of this family
 * did not produce them, and some reject what they do not know. */
#define OPENAI_REASONING_ID "openclaw_"

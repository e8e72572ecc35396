/* responses.h - what the files of the OpenAI Responses wire share.
 *
 *     responses.c        the wire itself: routes, edits in place, counts
 *     caller.c           a caller's request, read
 *     caller_answer.c    an answer for a caller, written
 *     provider.c         a request for a provider, written
 *     provider_answer.c  a provider's answer, read
 *
 * Private to them. Errors, the list of models and the words for what is wrong are those of OpenAI's
 * whole API: see openai_chat.h.
 */
#pragma once

#include "llm/read.h"

extern const struct read_member responses_members[];
void responses_read_head(struct cursor doc);

struct str responses_echo(struct arena *a, const struct llm_request *r);
void responses_write_event(struct wire_writer *w, const struct llm_event *ev);
void responses_write_answer(struct wire_writer *w, const struct llm_answer *ans);
void responses_write_token_count(struct buf *out, int64_t input_tokens);

struct request_out;
void responses_write_request(struct request_out *w);
enum err responses_read_event(struct wire_reader *r, struct str event, struct str data);
void responses_read_end(struct wire_reader *r);
enum err responses_read_answer(struct wire_reader *r, struct str body);

/* Writes the tokens in `raw`, log probabilities as an event has them, as elements of the list that is open. */
void responses_add_logprobs(struct json_out *o, struct str raw);

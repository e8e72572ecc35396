/* ollama.h - shared by the files of Ollama's native wire.
 *
 *     caller.c      a caller's request, read; answers and errors for it, written
 *     provider.c    a request for a provider, written; its answer, read
 *     embed.c       embeddings, both sides
 *
 * Private to them. A request with `prompt` instead of `messages` is /api/generate's: the same
 * conversation with one message, whose answer has another form.
 */
#pragma once

#include "base/json_out.h"
#include "llm/wire.h"

extern const struct wire_caller ollama_caller;
extern const struct wire_provider ollama_provider;

extern const struct wire_asks ollama_embed;
void ollama_write_embed(struct request_out *w);
enum err ollama_read_embed(struct wire_reader *r, struct str body);

enum err ollama_read_answer(struct wire_reader *r, struct str body);

/* Appends a call, on one line. False if memory ran out before it was known what its arguments
 * are. */
bool ollama_add_call(
    struct json_out *o, struct arena *a, const struct llm_part *call, bool *ret_broken) MUST_CHECK;

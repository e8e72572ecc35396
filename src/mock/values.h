/* values.h - answers of one document that no wire writes: embeddings, moderations, models. */
#pragma once

#include "mock/script.h"

/* Append the document; false: refused. */
bool mock_embeddings(const struct llm_request *r, struct buf *out, struct llm_error *why);
bool mock_moderations(const struct llm_request *r, struct buf *out, struct llm_error *why);

/* Appends the list of models, with the members that OpenAI's and Anthropic's clients read. */
void mock_add_models(struct buf *out, const struct str *names, size_t count);

/* One of them; false: there is none of that name. */
bool mock_add_model(struct buf *out, struct str id, const struct str *names, size_t count);

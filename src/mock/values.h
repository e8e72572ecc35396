/* values.h - answers of one document: embeddings, rankings, moderations. */
#pragma once

#include "mock/script.h"

/* Append the document; false: refused. */
bool mock_embeddings(const struct llm_request *r, struct buf *out, struct llm_error *why);
bool mock_ranking(const struct llm_request *r, struct buf *out, struct llm_error *why);
bool mock_moderations(const struct llm_request *r, struct buf *out, struct llm_error *why);

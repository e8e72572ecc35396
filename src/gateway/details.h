/* details.h - what is known of a model, as members of its entry in OpenAI's list of models. The names are those that
 * OpenRouter uses, which clients already read.
 */
#pragma once

#include "base/buf.h"
#include "catalog/model.h"

/* Appends ,"context_length":128000,... at prices of that time; nothing for NULL. */
void details_write(struct buf *out, const struct model_row *row, int64_t wall_s);

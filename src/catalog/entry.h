/* entry.h - a model's facts as JSON: entries of the configuration's catalog and of catalog files.
 *
 * The words are those of models.txt:
 *     {"id": "lab/llama", "base": "meta/llama-3.3-70b", "mode": "chat", "context": 128000, "max_input": 0,
 *      "output": 8192, "dimensions": 0, "cache_min": 1024, "takes": ["text"], "makes": ["text"],
 *      "capabilities": {"tools": true, "json_schema": false}, "efforts": ["low"], "region": "eu",
 *      "tokenizer": "llama", "released": "2026-08", "ends": "2026-12-01", "replacement": "llama-4", "quality": 55,
 *      "tokens_per_s": 90, "first_token_s": 0.4,
 *      "price": {"input": 0.2, "output": 0.6, "plan": false,
 *                "tiers": [{"above": 200000, "input": 0.4}],
 *                "windows": [{"name": "night", "utc": "!mon-fri 06:00-18:00", "input": 0.1}]},
 *      "prices": [{"since": "2026-11-01", "input": 0.2}, {"input": 0.3}]}
 * `price` replaces all prices that are known, or with `since` those from then on; `prices` is the same
 * with a history. Prices are dollars per million tokens, or per unit (prices.def).
 */
#pragma once

#include "base/json_out.h"
#include "catalog/model.h"

/* Gets a sentence about each thing that is wrong: "price.input: write a number of dollars". */
typedef void entry_tell(void *arg, struct str problem);

/* The row of an entry, in `a`: what is known already (NULL: nothing) with what the entry says over it. NULL if
 * it is not an object or has no usable id. What is wrong is told, and left as it was. The texts are in `a` or
 * those of the entry. */
struct model_row *entry_read(struct arena *a, const struct json *entry,
    const struct model_row *known, entry_tell *tell, void *arg);

/* Appends the row as an entry. */
void entry_write(struct json_out *o, const struct model_row *row);

/* catalog.h - the models that a configuration knows: its own entries and those of its catalog file over the
 * built-in table.
 *
 * Part of the snapshot and immutable. A catalog file is JSON, {"models": [entry, ...]} (entry.h); `openclaw
 * catalog import` writes it, and the configuration names it. What the configuration itself says about a model
 * goes before the file, and the file before the table.
 */
#pragma once

#include "base/buf.h"
#include "base/why.h"
#include "catalog/model.h"
#include "conf/conf.h"

/* A catalog file has up to this many bytes. */
#define CATALOG_FILE_BYTES_MAX (64u * 1024 * 1024)

struct catalog;

/* Reads the configuration's `catalog` section and the file that it names. What is wrong goes to
 * `problems`. */
struct catalog *catalog_create(const struct conf *c, struct conf_problems *problems) NEVER_NULL;
void catalog_destroy(struct catalog *k);    /* NULL is a no-op */

/* The row of "provider/model", or NULL. `k` may be NULL: the built-in table. */
const struct model_row *catalog_model(const struct catalog *k, struct str id);

/* All rows, its own and then those of the table that it does not replace: start with *pos = 0; NULL after the
 * last one. */
const struct model_row *catalog_next(const struct catalog *k, size_t *pos);

/* What the usage costs, as model_cost_nanousd(); where that is not known and the configuration wants an estimate,
 * what the dearest other provider of the same model would charge, and *ret_estimated is set. */
int64_t catalog_cost_nanousd(const struct catalog *k, const struct model_row *row,
    const struct llm_usage *u, const struct price_when *when, bool *ret_estimated);

/* What is done about a price that is not known. */
enum unknown_price { PRICE_ALERT, PRICE_DENY, PRICE_ESTIMATE };
enum unknown_price catalog_unknown_price(const struct catalog *k);

/* Appends the bytes of a regular file. False, with `why`, if it cannot be read or is larger than the buffer's limit. */
bool catalog_read_bytes(const char *path, struct buf *out, struct why why) MUST_CHECK;

/* The entries of a catalog file's text, each as a row in `a`; what is wrong is told with the number of its entry. The rows
 * have slices of the text. False, with `why`, if it is not such a file at all. */
bool catalog_read(struct arena *a, struct str text, void (*each)(void *arg, struct model_row *row),
    void (*tell)(void *arg, struct str problem), void *arg, struct why why) MUST_CHECK;

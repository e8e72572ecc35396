/* import.h - brings a catalog file up to date with a catalog in our format, that of models.dev (api.json) or that of
 * LiteLLM (model_prices_and_context_window.json).
 *
 * What the source does not say about a model is kept. A price that changed gets a new entry of the history, from now
 * on; the old one stays, so that past cost can be worked out as it was. Where input and output cost what they did,
 * other prices that the source does not list are kept. Models that are as the built-in table has them are not written.
 */
#pragma once

#include "base/buf.h"
#include "base/why.h"
#include "catalog/model.h"

struct import {
    const char *format;    /* of the source, for people */
    size_t read;           /* models that the source has */
    size_t changed;        /* of them, those about which it says something new */
    size_t priced;         /* of those, with another price */
    size_t refused;        /* entries that cannot be used */
    size_t kept;           /* models of the new file */
};

/* Appends the new file's text to `out`. `before` is the old one's, or empty; everything else that is needed is
 * allocated in `a`. False, with `why`, if one of them is not a catalog. */
bool catalog_import(struct arena *a, struct str before, struct str source, int64_t now_s,
    struct buf *out, struct import *ret, struct why why) MUST_CHECK;

/* wrong_url.h - recognises answers that did not come from a provider's API. */
#pragma once

#include "gateway/intake.h"

struct provider;

/* For an answer that failed after its head, to a request for `path` (empty: not known). If it is a
 * redirect, an HTML page, or a 404 or 405 that is not JSON, sets *e to a message with the URL
 * (without its query) and what was received, in the reader's arena, and returns true. */
bool wrong_url_explain(
    const struct intake *in, const struct provider *p, struct str path, struct llm_error *e);

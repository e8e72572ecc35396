/* wrong_url.h - recognises answers that did not come from a provider's API. */
#pragma once

#include "gateway/attempt.h"

/* For a failed attempt that has received a response head. If the response is a redirect, an HTML
 * page, or a 404 or 405 that is not JSON, sets *e to a message with the URL (without its query) and
 * what was received, and returns true. */
bool wrong_url_explain(struct attempt *a, struct llm_error *e);

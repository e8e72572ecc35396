/* wrong_url.h - does an answer look as if somebody else than the provider's API gave it? */
#pragma once

#include "gateway/exchange.h"

/* For a failed attempt whose answer's head has come. A redirect, a page of HTML or a 404 that is
 * not JSON: puts a sentence into *e that names the URL and what came from it, and true. A URL is
 * told without its query. */
bool wrong_url_explain(struct exchange *x, struct llm_error *e);

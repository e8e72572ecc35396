/* retry_after.h - when a provider that refused a request would take it.
 *
 * It may say so in Retry-After (RFC 9110, section 10.2.3) and OpenAI's retry-after-ms; in the reset
 * of the limit that was reached, which every provider spells in its own way; in the error document,
 * as Google and OpenRouter do; or in the words of its message. All of it is the provider's to say,
 * so whatever makes no sense is as if it was not said.
 *
 * Every function returns milliseconds from now, between 1 and RETRY_AFTER_MOST_MS, or 0: not said.
 */
#pragma once

#include "base/json.h"
#include "http/message.h"

#define RETRY_AFTER_MOST_MS INT64_C(86400000)    /* a day; whatever is later is then */

/* What the fields of a refusal ask for: retry-after-ms, or Retry-After as seconds or a date. */
int64_t retry_after_asked_ms(const struct http_fields *fields);

/* When the limits are over of which the fields say that nothing remains: the last of them. */
int64_t retry_after_reset_ms(const struct http_fields *fields);

/* When the limit is over of which the field of that name says what remains. */
int64_t retry_after_reset_beside_ms(const struct http_fields *fields, struct str remaining_name);

/* What an error's object says in a member of its own: Google's RetryInfo, the fields that OpenRouter
 * got, retry_after. `error` may be anything, or NULL; `scratch` is for strings. */
int64_t retry_after_in_error_ms(struct arena *scratch, const struct json *error);

/* What its message says: "Please try again in 1m12s." */
int64_t retry_after_in_words_ms(struct str message);

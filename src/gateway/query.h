/* query.h - what of a caller's path and query a provider may get. */
#pragma once

#include "gateway/exchange.h"

#define KEY_LEAST_BYTES 8    /* of an API key looked for in what is passed on */

/* The caller's query as sent to the provider: without parameters that are named like a
 * credential, or whose value is an API key of this gateway. Empty where the body names the model
 * and the query might name another one: the body's is the one that was judged. */
struct str query_passed(struct exchange *x);

/* Is this subprotocol of a WebSocket one in which a key is sent, or a key of this gateway? A provider
 * must not get it. */
bool query_subprotocol_has_key(struct exchange *x, struct str subprotocol);

/* The key that the caller sent: in a field, in the query if its protocol has that, or in a
 * subprotocol. May be empty. */
struct str query_caller_key(struct exchange *x);

/* Is a segment of the path one of this gateway's API keys? A provider must not get it. */
bool query_path_has_key(struct exchange *x) MUST_CHECK;

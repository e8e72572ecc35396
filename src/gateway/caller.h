/* caller.h - who asks, and may it ask this from where it is? */
#pragma once

#include "gateway/exchange.h"

/* Identifies the caller by the credential that it sent: x->who, which the exchange holds to its end. OK, or why not.
 * STEP_WAIT in *ret_step: the issuer of its token is being asked for keys; the exchange is woken. */
enum err caller_identify(struct exchange *x, struct str credential, enum step *ret_step) MUST_CHECK;

/* Refuses a caller that was not identified, because of `why`: mostly 401; after too many wrong keys from one
 * address 429. */
enum step caller_refuse(struct exchange *x, enum err why, struct str credential);

/* May its key be used from its address, by the page that it is, over this connection, and for this route?
 * STEP_STOP: it was refused. */
enum step caller_check(struct exchange *x);

/* From time to time: ends sessions (of the Realtime API) whose key was revoked. Each answer in them is a new request in
 * effect, and they may last for hours; what is an answer to one request is completed. */
void caller_tick(struct worker *w);

/* May it use the admin API, which is not asked over the local socket? `known` is what caller_identify()
 * returned. STEP_STOP: it was refused. */
enum step caller_check_control(struct exchange *x, enum err known, struct str credential);

/* May it use this route, which is not a model call? */
bool caller_may_use_route(const struct exchange *x);

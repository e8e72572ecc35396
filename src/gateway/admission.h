/* admission.h - may a request be processed now, later, or not at all?
 *
 * Refused at once: what is too much while memory is short. What exceeds a limit on concurrent
 * requests (the worker's, the key's share of it, the key's own) waits in the worker's queue if there is
 * one, until others have ended, its time is up or its caller has left; else it is refused, too. A
 * request is admitted before its body is received. Each worker has its own queue, because an
 * exchange stays with its worker.
 */
#pragma once

#include "gateway/exchange.h"

/* How important the request is: a header field can lower what its key has. */
enum priority admission_priority(const struct exchange *x);

/* Takes a slot for the exchange, waits for one, or fails. Call again when it is woken. */
enum step admission_ask(struct exchange *x);

/* The exchange is over: gives its slot, if it has one, to one that waits; or it waits no longer. */
void admission_leave(struct exchange *x);

/* From time to time while some wait: slots of a key may be free because of other workers, and
 * limits may have been raised. */
void admission_tick(struct worker *w);

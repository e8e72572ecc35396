/* book.h - keeps the worker's journal: what each exchange may cost, and what it did cost.
 *
 * A record is begun before the first byte of a request goes to a provider, with what it may cost at
 * most, grows with every further attempt, is told what the answer cost before the caller gets its end,
 * and is settled as the exchange is. A shadow copy has a record of its own. The steward makes the ledger of them: see
 * store/journal.h.
 *
 * Without a store there is no journal, and nothing is recorded. Slots are numbers; 0 is none.
 */
#pragma once

#include "base/base.h"

struct attempt;
struct exchange;
struct record;
struct worker;

/* The attempt is about to be sent. False: nothing may be sent, because it could not be recorded
 * (store.journal.full). */
bool book_attempt(struct exchange *x, const struct attempt *a) MUST_CHECK;

/* So is a call whose model judges the answers of the exchange. */
void book_judge(const struct exchange *x, const struct attempt *a);

/* So is a copy of the exchange's request; false as above. */
bool book_shadow(const struct exchange *x, const struct attempt *a, struct str id,
    uint32_t *ret_slot) MUST_CHECK;

/* The exchange gets its answer from another attempt than this one, which failed: what it wrote was paid
 * for in vain. */
void book_failed(struct exchange *x, struct attempt *a);

/* The end of what the caller gets is about to be sent, or the provider said what it used so far. */
void book_tell(struct exchange *x);

/* A record is complete: one of the sinks of settle.h. */
void book_settle(struct worker *w, const struct record *r);

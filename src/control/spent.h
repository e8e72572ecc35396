/* spent.h - what the ledger says was spent, for budgets.
 *
 * Budgets are counted in memory. At the start they take over what the ledger's roll-ups say was spent in
 * their current periods; and again every few seconds, since other gateways may write into the same ledger, and
 * budgets may be made meanwhile. What a budget knows of its own requests is never less than what the ledger has of
 * them, so the larger of the two counts: it lacks at most what others have spent and not written yet.
 */
#pragma once

#include "policy/scope.h"
#include "store/store.h"

struct spent;

struct spent *spent_create(struct scopes *s) NEVER_NULL;
void spent_destroy(struct spent *p);    /* NULL is a no-op */

/* For steward_every(), after the ledger's. Reads less often where reading takes long. `spent` is a struct spent. */
#define SPENT_PERIOD_MS 2000
void spent_read(struct store *s, void *spent);

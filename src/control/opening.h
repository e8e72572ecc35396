/* opening.h - what was spent before this process began, for budgets.
 *
 * Budgets are counted in memory. At the start they take over what the ledger's roll-ups say was spent in
 * their current periods, by the hour. If the store cannot be read then, that is made up for when it can, but
 * for the hour in which the process began to serve.
 */
#pragma once

#include "policy/scope.h"
#include "store/store.h"

struct opening;

struct opening *opening_create(struct scopes *s) NEVER_NULL;
void opening_destroy(struct opening *o);    /* NULL is a no-op */

/* For steward_every(), after the ledger's: reads it once. `opening` is a struct opening. */
void opening_read(struct store *s, void *opening);

/* From now on requests are served, whose cost is counted already. */
void opening_serve(struct opening *o);

/* allowances.h - the limits and budgets of the store, and what its teams, people and keys say of their own,
 * as entries of scopes. */
#pragma once

#include "control/resource.h"
#include "policy/scope.h"

void allowances_watch(struct resources *r, struct scopes *s);

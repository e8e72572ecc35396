/* keyring.h - brings the keys of the store, and what they belong to, into the directory (policy/directory.h). */
#pragma once

#include "control/resource.h"
#include "policy/directory.h"

struct steward;

/* From now on `d` has what the resources' watchers are told. Both outlive it; before the first rows are read. */
void keyring_watch(struct resources *r, struct directory *d);

/* When keys were used last, until the store knows. */
struct keyring_uses;
struct keyring_uses *keyring_uses_create(void) NEVER_NULL;
void keyring_uses_destroy(struct keyring_uses *u);    /* NULL is a no-op */

/* A callers_used_fn. Beyond KEYRING_USES_MOST they are left out: a key's next use is written again. */
#define KEYRING_USES_MOST 20000u
void keyring_uses_add(void *uses, struct str key_id, uint64_t wall_ms);

/* Has the steward write them, if there are any; takes them over. */
void keyring_uses_write(struct steward *s, struct keyring_uses *u);

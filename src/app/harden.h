/* harden.h - drops privileges and disables core dumps, to limit the damage of a bug. */
#pragma once

#include "base/base.h"
#include "base/why.h"

/* Call it before any thread starts: programs that are executed cannot gain privileges. */
void harden_privileges(void);

/* Disables core dumps and debuggers of the same user: memory holds keys and conversations. */
void harden_memory(void);

/* Switches from root to `user` (a name) for good. True if that is done or not needed; false with
   a message in `why`. */
bool harden_become(struct str user, struct why why) MUST_CHECK;

/* Would harden_become() succeed? False with a message in `why`. */
bool harden_can_become(struct str user, struct why why) MUST_CHECK;

/* Is the process running as root? */
bool harden_is_root(void);

/* Changes the owner of a log or store, if it is a regular file or a folder. Call it before harden_become(). */
void harden_give(const char *path, struct str user);

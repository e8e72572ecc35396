/* harden.h - what the process gives up so that a mistake of ours costs less. */
#pragma once

#include "base/base.h"

/* Before any thread: no program that is started may have more rights than we have. */
void harden_privileges(void);

/* No core dump, no debugger of the same user: memory holds keys and conversations. */
void harden_memory(void);

/* Started as root: becomes `user` (a name), for good. True when that is done, or there is nothing to
 * do; false with a sentence in `why`. */
bool harden_become(struct str user, char *why, size_t why_size) MUST_CHECK;

/* Started as root, and still is? */
bool harden_is_root(void);

/* Gives a log file to the user, if it is a regular file. Before harden_become(). */
void harden_give(const char *path, struct str user);

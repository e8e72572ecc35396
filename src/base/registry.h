/* registry.h - what outlives a reload, by name.
 *
 * A reload replaces the configuration and all that was built from it. What must go on (requests in
 * flight, whose turn it is, what was learned about a provider) is kept here instead, in one table
 * of the process, under a kind and a stable name. What is built from a configuration holds the
 * entries that it uses, and the last holder frees an entry: so there are never more of them than
 * names in the configurations in use. Holding and dropping take a lock: meant for a reload, not for
 * a request.
 */
#pragma once

#include "base/base.h"

/* A kind of entries. */
struct registry_kind {
    const char *name;             /* different for each kind */
    size_t bytes;                 /* of an entry */
    void (*fini)(void *entry);    /* frees what it owns; may be NULL */
};

/* The entry of that kind and name (any bytes), made of zeros if there is none. It has cache lines
 * of its own and may be used by all threads. */
void *registry_hold(const struct registry_kind *kind, struct str name) NEVER_NULL;
void registry_drop(void *entry);    /* NULL is a no-op */

/* The number of entries of that kind. */
size_t registry_count(const struct registry_kind *kind);

/* slots.h - ids for things that may be gone when an answer for them comes from another thread.
 *
 * An id is the number of a slot and its generation, which changes whenever the slot is dropped: an
 * old id finds nothing, though the slot may be in use again. The table belongs to one thread; an id
 * may be copied anywhere.
 */
#pragma once

#include "base/base.h"

/* Initialised to zeros. */
struct slots {
    struct slots_entry *list;
    uint32_t count, room;
    uint32_t free;    /* the first that is not in use, plus 1; 0: none */
};

/* Frees the table, in which nothing is left. */
void slots_fini(struct slots *s);

/* The thing's id, which is never 0. */
uint64_t slots_add(struct slots *s, void *thing);

/* The thing, or NULL if it was dropped. */
void *slots_find(const struct slots *s, uint64_t id);

/* From now on the id finds nothing. */
void slots_drop(struct slots *s, uint64_t id);

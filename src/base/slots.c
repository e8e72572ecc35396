/* slots.c - an array, with a list through the slots that are free. */
#include "base/slots.h"

#include <stdlib.h>

enum { ROOM_LEAST = 16 };

struct slots_entry {
    void *thing;            /* NULL: free */
    uint32_t generation;    /* of the id that finds it; never 0 */
    uint32_t next;          /* as slots.free */
};

void
slots_fini(struct slots *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        CHECK(s->list[i].thing == NULL);
    free(s->list);
    *s = (struct slots){ .list = NULL };
}

uint64_t
slots_add(struct slots *s, void *thing)
{
    uint32_t n = s->free;

    CHECK(thing != NULL);
    if (n == 0) {
        if (s->count == s->room) {
            s->room = MAX(s->room * 2, (uint32_t)ROOM_LEAST);
            s->list = check_alloc(realloc(s->list, s->room * sizeof(s->list[0])));
        }
        s->list[s->count] = (struct slots_entry){ .generation = 1 };
        n = ++s->count;
    }
    struct slots_entry *slot = &s->list[n - 1];

    s->free = slot->next;
    slot->next = 0;
    slot->thing = thing;
    return (uint64_t)slot->generation << 32 | (n - 1);
}

static struct slots_entry *
find(const struct slots *s, uint64_t id)
{
    uint32_t n = (uint32_t)id;

    if (n >= s->count || s->list[n].generation != id >> 32 || s->list[n].thing == NULL)
        return NULL;
    return &s->list[n];
}

void *
slots_find(const struct slots *s, uint64_t id)
{
    const struct slots_entry *slot = find(s, id);

    return slot != NULL ? slot->thing : NULL;
}

void
slots_drop(struct slots *s, uint64_t id)
{
    struct slots_entry *slot = find(s, id);

    CHECK(slot != NULL);
    slot->thing = NULL;
    slot->generation = MAX(slot->generation + 1, 1u);
    slot->next = s->free;
    s->free = (uint32_t)id + 1;
}

/* test_slots.c - an id finds its thing, and nothing else ever. */
#include "base/slots.c"

#include "tests/test.h"

enum { MANY = 100 };

TEST(an_id_finds_its_thing_until_it_is_dropped)
{
    struct slots s = { .list = NULL };
    int things[MANY];
    uint64_t ids[MANY];

    for (int i = 0; i < MANY; i++)
        ids[i] = slots_add(&s, &things[i]);
    for (int i = 0; i < MANY; i += 2)
        slots_drop(&s, ids[i]);
    for (int i = 0; i < MANY; i++) {
        EXPECT(ids[i] != 0);
        EXPECT(slots_find(&s, ids[i]) == (i % 2 == 0 ? NULL : &things[i]));
    }
    for (int i = 1; i < MANY; i += 2)
        slots_drop(&s, ids[i]);
    EXPECT(slots_find(&s, 0) == NULL && slots_find(&s, UINT64_MAX) == NULL);
    slots_fini(&s);
}

TEST(an_old_id_does_not_find_what_is_in_its_slot_now)
{
    struct slots s = { .list = NULL };
    int old, new;
    uint64_t id = slots_add(&s, &old);

    slots_drop(&s, id);
    uint64_t again = slots_add(&s, &new);
    EXPECT_INT((uint32_t)again, (uint32_t)id);
    EXPECT(slots_find(&s, id) == NULL && slots_find(&s, again) == &new);
    slots_drop(&s, again);
    s.list[0].generation = UINT32_MAX;    /* it begins anew */
    again = slots_add(&s, &new);
    slots_drop(&s, again);
    EXPECT_INT(s.list[0].generation, 1);
    EXPECT(slots_find(&s, 0) == NULL);
    slots_fini(&s);
}

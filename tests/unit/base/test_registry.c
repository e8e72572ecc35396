/* test_registry.c - entries are found by kind and name, and live as long as they are held. */
#include "base/registry.c"
#include "tests/test.h"

struct thing {
    uint64_t n;
    char *text;
};

static unsigned ended;

static void
thing_fini(void *entry)
{
    free(((struct thing *)entry)->text);
    ended++;
}

static const struct registry_kind things = { "things", sizeof(struct thing), thing_fini };
static const struct registry_kind numbers = { "numbers", sizeof(uint32_t), NULL };

TEST(holders_of_a_name_share_an_entry_that_begins_as_zeros)
{
    struct thing *a = registry_hold(&things, S("x"));
    struct thing *b = registry_hold(&things, S("x"));
    struct thing *other = registry_hold(&things, str_make("x\0", 2));
    uint32_t *n = registry_hold(&numbers, S("x"));

    EXPECT(a == b && a != other && (void *)a != (void *)n);
    EXPECT(a->n == 0 && a->text == NULL && *n == 0);
    EXPECT_INT(registry_count(&things), 2);
    EXPECT_INT(registry_count(&numbers), 1);
    registry_drop(a);
    registry_drop(b);
    registry_drop(other);
    registry_drop(n);
    registry_drop(NULL);
    EXPECT(table == NULL);
}

TEST(an_entry_goes_on_while_a_reload_replaces_its_holder_and_ends_with_the_last)
{
    struct thing *old = registry_hold(&things, S("key"));

    ended = 0;
    old->n = 7;
    old->text = str_dup_c(S("freed with the entry"));
    struct thing *next = registry_hold(&things, S("key"));
    registry_drop(old);
    EXPECT_INT(next->n, 7);
    EXPECT_INT(ended, 0);
    registry_drop(next);
    EXPECT_INT(ended, 1);
    next = registry_hold(&things, S("key"));
    EXPECT_INT(next->n, 0);
    registry_drop(next);
    EXPECT_INT(registry_count(&things), 0);
}

TEST(entries_do_not_share_a_cache_line)
{
    uint32_t *a = registry_hold(&numbers, S("a")), *b = registry_hold(&numbers, S("b"));

    EXPECT((uintptr_t)a % LINE_BYTES == 0 && (uintptr_t)b % LINE_BYTES == 0);
    registry_drop(a);
    registry_drop(b);
}

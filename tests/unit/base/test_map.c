/* test_map.c - a map finds what was put, whatever was taken out before. */
#include "base/map.c"
#include "tests/test.h"

#include <stdio.h>

static int values[1000];

static struct str
key_of(char *room, size_t size, unsigned i)
{
    (void)snprintf(room, size, "key-%u", i);
    return str_c(room);
}

TEST(an_empty_map_has_nothing)
{
    struct map *m = map_create();
    struct str key = S("");
    void *value = NULL;
    size_t pos = 0;

    EXPECT(map_get(m, S("a")) == NULL);
    EXPECT(map_remove(m, S("a")) == NULL);
    EXPECT_INT(map_count(m), 0);
    EXPECT(!map_next(m, &pos, &key, &value));
    map_destroy(m);
    map_destroy(NULL);
}

TEST(an_entry_is_found_and_can_be_replaced)
{
    struct map *m = map_create();

    EXPECT(map_put(m, S("a"), &values[1]) == NULL);
    EXPECT(map_put(m, S("b"), &values[2]) == NULL);
    EXPECT(map_put(m, S(""), &values[3]) == NULL);
    EXPECT(map_get(m, S("a")) == &values[1]);
    EXPECT(map_put(m, S("a"), &values[4]) == &values[1]);
    EXPECT(map_get(m, S("a")) == &values[4]);
    EXPECT(map_get(m, str_c(NULL)) == &values[3]);
    EXPECT(map_get(m, S("c")) == NULL);
    EXPECT_INT(map_count(m), 3);
    map_destroy(m);
}

TEST(keys_are_copied_and_may_hold_any_byte)
{
    struct map *m = map_create();
    char key[] = "x\0y";

    EXPECT(map_put(m, str_make(key, 3), &values[1]) == NULL);
    key[0] = 'z';
    EXPECT(map_get(m, S("x\0y")) == &values[1]);
    EXPECT(map_get(m, S("x")) == NULL);
    EXPECT(map_get(m, S("x\0z")) == NULL);
    map_destroy(m);
}

TEST(iteration_is_in_insertion_order_without_removed_entries)
{
    struct map *m = map_create();
    struct str key = S("");
    void *value = NULL;
    size_t pos = 0;

    (void)map_put(m, S("one"), &values[1]);
    (void)map_put(m, S("two"), &values[2]);
    (void)map_put(m, S("three"), &values[3]);
    (void)map_put(m, S("one"), &values[4]);
    EXPECT(map_remove(m, S("two")) == &values[2]);
    (void)map_put(m, S("two"), &values[5]);
    EXPECT(map_next(m, &pos, &key, &value) && value == &values[4]);
    EXPECT_STR(key, "one");
    EXPECT(map_next(m, &pos, &key, &value) && value == &values[3]);
    EXPECT_STR(key, "three");
    EXPECT(map_next(m, &pos, &key, &value) && value == &values[5]);
    EXPECT_STR(key, "two");
    EXPECT(!map_next(m, &pos, &key, &value));
    map_destroy(m);
}

TEST(random_puts_and_removals_agree_with_a_plain_table)
{
    struct map *m = map_create();
    void *expected[300] = { NULL };
    size_t count = 0;
    char room[32];

    clock_seed_for_tests(9);
    for (int step = 0; step < 100000; step++) {
        uint64_t r = clock_random_u64();
        unsigned i = (unsigned)(r % ARRAY_LEN(expected));
        struct str key = key_of(room, sizeof(room), i);

        /* Phases of growing and of shrinking. */
        if ((r >> 32) % 100 < (step / 10000 % 2 == 0 ? 70 : 30)) {
            void *value = &values[(r >> 40) % ARRAY_LEN(values)];
            EXPECT(map_put(m, key, value) == expected[i]);
            count += expected[i] == NULL;
            expected[i] = value;
        } else {
            EXPECT(map_remove(m, key) == expected[i]);
            count -= expected[i] != NULL;
            expected[i] = NULL;
        }
        EXPECT_INT(map_count(m), count);
        unsigned other = (unsigned)((r >> 16) % ARRAY_LEN(expected));
        EXPECT(map_get(m, key_of(room, sizeof(room), other)) == expected[other]);
    }
    EXPECT(m->cap <= 1024);
    map_destroy(m);
}

TEST(adding_and_removing_keys_does_not_grow_the_map)
{
    struct map *m = map_create();
    char room[32];

    for (unsigned i = 0; i < 100000; i++) {
        (void)map_put(m, key_of(room, sizeof(room), i), &values[0]);
        if (i >= 10)
            EXPECT(map_remove(m, key_of(room, sizeof(room), i - 10)) == &values[0]);
    }
    EXPECT_INT(map_count(m), 10);
    EXPECT(m->cap <= 64);
    map_destroy(m);
}

TEST(hashes_of_all_lengths_differ)
{
    static const char zeros[64];
    uint64_t seen[65];

    for (size_t n = 0; n <= 64; n++) {
        seen[n] = map_hash(str_make(zeros, n));
        EXPECT(map_hash(str_make(zeros, n)) == seen[n]);
        for (size_t i = 0; i < n; i++)
            EXPECT(seen[i] != seen[n]);
    }
}

TEST(a_hash_depends_on_every_byte)
{
    char bytes[40] = { 0 };

    for (size_t n = 1; n <= sizeof(bytes); n++) {
        uint64_t plain = map_hash(str_make(bytes, n));

        for (size_t i = 0; i < n; i++) {
            bytes[i] = 1;
            EXPECT(map_hash(str_make(bytes, n)) != plain);
            bytes[i] = 0;
        }
    }
}

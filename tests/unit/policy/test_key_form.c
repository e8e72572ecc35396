/* test_key_form.c - the form of keys, their checksum, and what is kept of them. */
#include "policy/key_form.c"

#include "base/map.h"
#include "tests/test.h"

#define PEPPER S("0123456789abcdef0123456789abcdef")

TEST(a_key_that_was_made_has_the_form_and_its_checksum)
{
    char room[KEY_FORM_ROOM];

    for (int i = 0; i < 1000; i++) {
        struct str key = key_form_make(S("key"), room);

        EXPECT_INT(key.n, sizeof("oc_key_") - 1 + 28);
        EXPECT(str_starts(key, S("oc_key_")));
        EXPECT(key_form_is_ours(key));
        EXPECT(key_form_is_usable(key));
    }
}

TEST(the_checksum_is_the_same_everywhere)
{
    char check[KEY_CHECK_DIGITS];

    write_check(S("123456789"), check);    /* whose CRC-32 is 0xCBF43926, 3421780262 */
    EXPECT_STR(str_make(check, sizeof(check)), "3jZRME");
}

TEST(no_change_of_one_character_and_no_swap_of_neighbours_keeps_a_key_valid)
{
    char room[KEY_FORM_ROOM];

    for (int round = 0; round < 20; round++) {
        struct str key = key_form_make(S("key"), room);

        for (size_t i = 0; i < key.n; i++) {
            char was = room[i];

            for (int c = 0; c < 256; c++) {
                room[i] = (char)c;
                EXPECT(key_form_is_ours(key) == ((char)c == was));
            }
            room[i] = was;
            if (i == 0 || room[i - 1] == was)
                continue;
            room[i] = room[i - 1];
            room[i - 1] = was;
            EXPECT(!key_form_is_ours(key));
            room[i - 1] = room[i];
            room[i] = was;
        }
        EXPECT(key_form_is_ours(key));
        EXPECT(!key_form_is_ours(str_make(key.p, key.n - 1)));
        EXPECT(!key_form_is_ours(str_make(key.p, key.n + 1)));
        EXPECT(!key_form_is_ours(str_skip(key, 1)));
    }
}

TEST(texts_of_other_forms_are_not_ours)
{
    static const char *const other[] = { "", "oc_", "oc__", "oc_key_", "sk-proj-abcdef",
        "oc_Key_000", "oc_averyveryverylongkind_0000000000000000000000000000" };

    for (size_t i = 0; i < ARRAY_LEN(other); i++)
        EXPECT(!key_form_is_ours(str_c(other[i])));
}

TEST(random_digits_are_all_used_equally_often_and_keys_do_not_repeat)
{
    unsigned count[256] = { 0 };
    char room[KEY_FORM_ROOM];
    struct map *seen = map_create();
    enum { KEYS = 20000 };

    for (int i = 0; i < KEYS; i++) {
        struct str key = key_form_make(S("key"), room);

        EXPECT(map_put(seen, key, seen) == NULL);
        for (size_t k = 7; k < 7 + KEY_RANDOM_DIGITS; k++)
            count[(uint8_t)key.p[k]]++;
    }
    map_destroy(seen);
    const double expected = (double)KEYS * KEY_RANDOM_DIGITS / BASE;
    double chi = 0;
    for (int i = 0; i < BASE; i++) {
        double off = (double)count[(uint8_t)digits[i]] - expected;

        chi += off * off / expected;
    }
    EXPECT(chi < 150);    /* 61 degrees of freedom: beyond that once in 10^8 times */
}

TEST(a_hint_shows_the_prefix_and_the_last_four_characters)
{
    char room[KEY_FORM_ROOM], hint[KEY_HINT_ROOM];
    struct str key = key_form_make(S("admin"), room);

    EXPECT_STR(str_make(key_form_hint(key, hint).p, 12), "oc_admin_...");
    EXPECT(str_eq(str_skip(key_form_hint(key, hint), 12), str_skip(key, key.n - 4)));
    EXPECT_STR(key_form_hint(S("a-key-of-the-operator"), hint), "...ator");
    EXPECT_STR(key_form_hint(S("abc"), hint), "...abc");
}

TEST(a_key_known_by_its_sha256_alone_has_the_same_digest)
{
    uint8_t sha256[DIGEST_SHA256_BYTES], a[KEY_DIGEST_BYTES], b[KEY_DIGEST_BYTES];

    digest_sha256(S("sk-litellm-1234"), sha256);
    key_digest(PEPPER, S("sk-litellm-1234"), a);
    key_digest_of_sha256(PEPPER, sha256, b);
    EXPECT(memcmp(a, b, sizeof(a)) == 0);
    EXPECT(memcmp(a, sha256, sizeof(a)) != 0);
    key_digest(S("another pepper"), S("sk-litellm-1234"), b);
    EXPECT(memcmp(a, b, sizeof(a)) != 0);
}

TEST(keys_of_an_operator_are_long_enough_and_can_be_sent)
{
    EXPECT(key_form_is_usable(S("sixteen-letters!")));
    EXPECT(!key_form_is_usable(S("fifteen-letter!")));
    EXPECT(!key_form_is_usable(S("with a blank in the middle")));
    EXPECT(!key_form_is_usable(S("with-a-newline-at-the-end\n")));
    EXPECT(!key_form_is_usable(S("with-\xc3\xa9-that-is-not-ascii")));
}

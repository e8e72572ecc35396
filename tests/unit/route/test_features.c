/* test_features.c - what is counted of a text, whatever its bytes. */
#include <stdlib.h>

#include "route/features.c"
#include "tests/test.h"

static struct features f;

TEST(kinds_of_bytes_are_counted)
{
    features_find(S("Ab c\n12 @ f(x) = {y;} \\alpha^2 \xC3\xA9"), &f);
    EXPECT_INT(f.counts[COUNT_LINES], 1);
    EXPECT_INT(f.counts[COUNT_DIGITS], 3);
    EXPECT_INT(f.counts[COUNT_HIGH], 2);
    EXPECT_INT(f.counts[COUNT_CODE], 7);    /* ( ) = { ; } \ */
    EXPECT_INT(f.counts[COUNT_WORDS], 7);
    EXPECT_INT(f.counts[COUNT_LETTERS], 2 + 1 + 1 + 1 + 1 + 5 + 2);
}

/* The same, one byte at a time. */
static void
count_slowly(struct str text, uint32_t *ret)
{
    bool in_word = false;

    memset(ret, 0, COUNT_COUNT * sizeof ret[0]);
    ret[COUNT_BYTES] = (uint32_t)text.n;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool letter = c >= 0x80 || str_is_letter((char)c);
        ret[COUNT_LINES] += c == '\n';
        ret[COUNT_DIGITS] += str_is_digit((char)c);
        ret[COUNT_HIGH] += c >= 0x80;
        ret[COUNT_LETTERS] += letter;
        ret[COUNT_CODE] += c != 0 && strchr("();<=>[\\]_{|}", c) != NULL;
        ret[COUNT_WORDS] += letter && !in_word;
        in_word = letter;
    }
}

TEST(sixteen_bytes_at_a_time_count_as_one_at_a_time)
{
    char text[FEATURES_BYTES_MAX];
    uint32_t slow[COUNT_COUNT];
    uint64_t mix = 1;

    for (unsigned round = 0; round < 400; round++) {
        size_t n = round < 200 ? round : round * 5;
        for (size_t i = 0; i < n; i++) {
            mix = mix * 6364136223846793005u + 1442695040888963407u;
            text[i] = (char)(mix >> (round % 2 == 0 ? 56 : 57));    /* any bytes, or ASCII */
        }
        features_find(str_make(text, n), &f);
        count_slowly(str_make(text, n), slow);
        for (unsigned c = 0; c < COUNT_COUNT; c++)
            EXPECT_INT(f.counts[c], slow[c]);
    }
}

TEST(masks_say_where_letters_and_digits_are)
{
    char text[130];

    memset(text, '.', sizeof text);
    text[0] = 'a', text[63] = 'b', text[64] = 'c', text[129] = '7';
    features_find(str_make(text, sizeof text), &f);
    EXPECT_INT(f.blocks, 3);
    EXPECT(f.letters[0] == (1ull | 1ull << 63) && f.letters[1] == 1 && f.letters[2] == 0);
    EXPECT(f.digits[2] == 2);
    EXPECT_INT(f.words, 2);    /* a word may cross the end of a block */
}

TEST(words_differ_by_their_first_eight_letters_only_and_not_by_case)
{
    features_find(S("Translate translation TRANSLATED transform"), &f);
    EXPECT_INT(f.words, 4);
    EXPECT_INT(f.word[0], f.word[1]);
    EXPECT_INT(f.word[0], f.word[2]);
    EXPECT(f.word[0] != f.word[3]);
}

TEST(the_words_at_both_ends_are_looked_at_and_no_more_than_a_bounded_number)
{
    char text[FEATURES_BYTES_MAX + 500];

    memset(text, 'x', sizeof text);
    for (size_t i = 1; i < sizeof text; i += 2)
        text[i] = ' ';
    features_find(str_make(text, sizeof text), &f);
    EXPECT_INT(f.counts[COUNT_BYTES], FEATURES_BYTES_MAX);
    EXPECT_INT(f.words, FEATURES_WORDS_MAX);
    EXPECT_INT(f.edges, FEATURES_EDGE_ROWS);
    for (unsigned i = 0; i < f.words; i++)
        EXPECT(f.word[i] < 1 << FEATURES_ROW_BITS);
    for (unsigned i = 0; i < f.edges; i++)
        EXPECT(f.edge[i] < 1 << FEATURES_ROW_BITS);
}

TEST(few_words_are_at_the_edge_once)
{
    features_find(S("one two three"), &f);
    EXPECT_INT(f.edges, 6);
    features_find(S(""), &f);
    EXPECT_INT(f.words + f.edges, 0);
}

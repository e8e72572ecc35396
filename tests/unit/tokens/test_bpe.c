/* test_bpe.c - the same number of tokens as merging by the definition gives, however long a piece is. */
#include "tokens/bpe.c"

#include <stdlib.h>

#include "tests/test.h"

/* By the definition: the leftmost merge of the lowest rank, again and again. */
static size_t
count_plainly(const struct vocab *v, const char *p, size_t n)
{
    struct part {
        size_t begin;
        uint32_t rank;    /* of this one and the next one as one */
    } *parts = calloc(n + 2, sizeof(*parts));
    size_t count = n;

    EXPECT(parts != NULL);
    for (size_t i = 0; i < n + 2; i++)
        parts[i].begin = MIN(i, n);
    for (size_t i = 0; i < n; i++)
        parts[i].rank = i + 2 <= n ? vocab_rank(v, p + i, 2) : VOCAB_NO_RANK;
    for (;;) {
        size_t least = 0;

        for (size_t i = 1; i < count; i++)
            if (parts[i].rank < parts[least].rank)
                least = i;
        if (count < 2 || parts[least].rank == VOCAB_NO_RANK)
            break;
        memmove(&parts[least + 1], &parts[least + 2], (count - least) * sizeof(*parts));
        count--;
        for (size_t i = least - (least != 0); i <= least; i++)
            parts[i].rank = i + 2 <= count ? vocab_rank(v, p + parts[i].begin,
                                                 parts[i + 2].begin - parts[i].begin)
                                           : VOCAB_NO_RANK;
    }
    free(parts);
    return count;
}

static uint32_t
draw(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % below;
}

static const char *const alphabets[] = { "a", "ab", "abcdefghijklmnopqrstuvwxyz", " ", " \t", "=-",
    "ACGT", "aeiounrst", "\xc3\xa9\xa8\xa0", "0123456789abcdef" };

/* Of random letters and of words of the alphabet's, repeated. */
static void
expect_equal(const struct vocab *v, size_t n, uint32_t seed)
{
    char *text = malloc(n);

    EXPECT(text != NULL);
    for (size_t a = 0; a < ARRAY_LEN(alphabets); a++) {
        uint32_t letters = (uint32_t)strlen(alphabets[a]);
        uint32_t period = draw(&seed, 2) != 0 ? 1 + draw(&seed, 40) : (uint32_t)n;

        for (size_t i = 0; i < n; i++)
            text[i] = i < period ? alphabets[a][draw(&seed, letters)] : text[i - period];

        size_t plainly = count_plainly(v, text, n);

        EXPECT(
            bpe_count(v, str_make(text, n)) == plainly || vocab_rank(v, text, n) != VOCAB_NO_RANK);
    }
    free(text);
}

TEST(short_pieces_are_merged_by_the_definition)
{
    for (size_t n = 1; n < 200; n++) {
        expect_equal(&vocab_o200k, n, (uint32_t)n);
        expect_equal(&vocab_cl100k, n, (uint32_t)n);
    }
}

TEST(pieces_longer_than_a_window_are_merged_by_the_definition)
{
    static const size_t sizes[] = { WINDOW - 1, WINDOW, WINDOW + 1, WINDOW + NEAREST_CUT,
        2 * WINDOW, 9001 };

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        expect_equal(&vocab_o200k, sizes[i], (uint32_t)i);
    expect_equal(&vocab_cl100k, 9001, 7);
}

TEST(a_piece_that_is_a_token_is_one)
{
    EXPECT_INT(bpe_count(&vocab_o200k, S(" hello")), 1);
    EXPECT_INT(bpe_count(&vocab_o200k, S("a")), 1);
    EXPECT_INT(bpe_count(&vocab_o200k, S("")), 0);
}

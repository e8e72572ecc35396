/* test_vocab.c - the vocabularies are complete. */
#include "tokens/vocab.c"

#include <stdlib.h>

#include "tests/test.h"

/* Each rank from 0 to `count` - 1 is there once, and found by its bytes. */
static void
expect_complete(const struct vocab *v, uint32_t count)
{
    uint8_t *seen = calloc(count, 1);

    EXPECT(seen != NULL);
    for (size_t n = 1; n <= VOCAB_TOKEN_BYTES; n++) {
        if (v->lengths[n].buckets == 0)
            continue;
        const uint32_t *starts = v->starts + v->lengths[n].start;

        for (uint32_t t = v->lengths[n].token; t < starts[v->lengths[n].buckets]; t++) {
            const char *p = v->bytes + v->lengths[n].bytes + (t - v->lengths[n].token) * n;

            EXPECT(v->ranks[t] < count && seen[v->ranks[t]]++ == 0);
            EXPECT(vocab_rank(v, p, n) == v->ranks[t]);
        }
    }
    EXPECT(memchr(seen, 0, count) == NULL);
    free(seen);
}

TEST(every_token_is_found_by_its_bytes)
{
    expect_complete(&vocab_o200k, 199998);
    expect_complete(&vocab_cl100k, 100256);
}

TEST(each_byte_is_a_token)
{
    for (unsigned c = 0; c < 256; c++) {
        char byte = (char)c;

        EXPECT(vocab_rank(&vocab_o200k, &byte, 1) < 256);
        EXPECT(vocab_rank(&vocab_cl100k, &byte, 1) < 256);
    }
}

TEST(ranks_are_those_of_tiktoken)
{
    EXPECT_INT(vocab_rank(&vocab_o200k, "hello", 5), 24912);
    EXPECT_INT(vocab_rank(&vocab_o200k, " hello", 6), 40617);
    EXPECT_INT(vocab_rank(&vocab_cl100k, "hello", 5), 15339);
    EXPECT_INT(vocab_rank(&vocab_cl100k, " hello", 6), 24748);
}

TEST(what_is_not_a_token_has_no_rank)
{
    char spaces[200];

    memset(spaces, ' ', sizeof(spaces));
    EXPECT(vocab_rank(&vocab_o200k, "zqxjkv", 6) == VOCAB_NO_RANK);
    EXPECT(vocab_rank(&vocab_o200k, "", 0) == VOCAB_NO_RANK);
    EXPECT(vocab_rank(&vocab_o200k, spaces, 128) != VOCAB_NO_RANK);
    EXPECT(vocab_rank(&vocab_o200k, spaces, 127) == VOCAB_NO_RANK);
    EXPECT(vocab_rank(&vocab_o200k, spaces, 129) == VOCAB_NO_RANK);
}

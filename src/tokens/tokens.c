/* tokens.c - cuts a text into pieces, and counts the tokens of each. */
#include "tokens/tokens.h"

#include "tokens/bpe.h"
#include "tokens/scan.h"

static const struct {
    const char *name;
    const struct vocab *vocab;
    size_t (*scan)(struct str text);
} families[TOKENS_FAMILIES] = {
    [TOKENS_O200K] = { "o200k", &vocab_o200k, scan_o200k },
    [TOKENS_CL100K] = { "cl100k", &vocab_cl100k, scan_cl100k },
};

const char *
tokens_name(enum tokens_family family)
{
    return families[family].name;
}

size_t
tokens_count(enum tokens_family family, struct str text)
{
    size_t count = 0;

    while (text.n != 0) {
        size_t n = families[family].scan(text);

        count += bpe_count(families[family].vocab, str_make(text.p, n));
        text = str_skip(text, n);
    }
    return count;
}

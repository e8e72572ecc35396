/* fuzz_tokens.c - token counts: no crash, pieces cover the text, and a text has at most a token for each
 * byte, and at least one for each 128; of an estimate, at most ten. */
#include <stdint.h>

#include "tokens/scan.h"
#include "tokens/tokens.h"
#include "tokens/vocab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make((const char *)data, size);

    for (struct str rest = text; rest.n != 0;) {
        size_t n = scan_o200k(rest);

        CHECK(n != 0 && n <= rest.n);
        rest = str_skip(rest, n);
    }
    for (struct str rest = text; rest.n != 0;) {
        size_t n = scan_cl100k(rest);

        CHECK(n != 0 && n <= rest.n);
        rest = str_skip(rest, n);
    }
    for (enum tokens_family f = 0; f < TOKENS_FAMILIES; f++) {
        size_t count = tokens_count(f, text);

        CHECK(!tokens_exact(f) || (count <= size && count >= size / VOCAB_TOKEN_BYTES));
        CHECK(count <= 10 * size);
    }
    return 0;
}

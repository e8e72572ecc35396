/* fuzz_overlap.c - the join of two answers: whatever they are, what is dropped was sent, and looking
 * at pieces ends as looking at the whole does. */
#include <stdint.h>
#include <string.h>

#include "llm/overlap.h"
#include "base/check.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t cut = MIN((data[0] & 127u) * 8u, size - 1);
    bool prefilled = data[0] >= 128;
    struct str sent = str_make((const char *)data + 1, cut);
    struct str fresh = str_make((const char *)data + 1 + cut, size - 1 - cut);
    struct overlap o = { OVERLAP_UNSURE, 1 };
    size_t n = 0;

    while (o.verdict == OVERLAP_UNSURE && o.bytes <= fresh.n) {
        CHECK(o.bytes > n);
        n = o.bytes;
        o = overlap_find(sent, str_make(fresh.p, n), prefilled, false);
    }
    if (o.verdict == OVERLAP_UNSURE) {
        n = fresh.n;
        o = overlap_find(sent, fresh, prefilled, true);
    }
    CHECK(o.verdict != OVERLAP_UNSURE);
    if (o.verdict == OVERLAP_REWRITE)
        return 0;
    CHECK(o.bytes <= n && o.bytes <= sent.n);

    /* it is an end of the text that was sent, with some of the blanks after it */
    struct str text = sent;
    size_t repeated = o.bytes;
    while (text.n != 0 && strchr(" \n\t\r", text.p[text.n - 1]) != NULL)
        text.n--;
    for (size_t blanks = sent.n - text.n; blanks != 0; blanks--)
        if (blanks <= repeated && repeated - blanks <= text.n &&
            str_eq(str_skip(text, text.n - (repeated - blanks)),
                str_make(fresh.p, repeated - blanks)) &&
            str_eq(
                str_make(text.p + text.n, blanks), str_make(fresh.p + repeated - blanks, blanks)))
            return 0;
    CHECK(repeated <= text.n);
    CHECK(str_eq(str_skip(text, text.n - repeated), str_make(fresh.p, repeated)));
    return 0;
}

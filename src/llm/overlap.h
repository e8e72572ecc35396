/* overlap.h - finds where a second answer goes on from a first one that broke off.
 *
 * A model that is asked to continue may do so exactly, repeat the last words first, or begin again
 * from the start. What it repeats is not for the caller, who has it already. The second answer
 * comes in pieces: it is looked at again until enough of it is there.
 */
#pragma once

#include "base/base.h"

#define OVERLAP_WINDOW_BYTES 1024u    /* a repeated end is not longer; a repeated whole may be */

enum overlap_verdict {
    OVERLAP_UNSURE,     /* `bytes`: look again when so many are there */
    OVERLAP_FOUND,      /* the first `bytes` of it were sent before, or none */
    OVERLAP_REWRITE,    /* it begins as the first one did, and then differs: they cannot be joined */
};

struct overlap {
    enum overlap_verdict verdict;
    size_t bytes;
};

/* How `fresh`, the beginning of the second answer, follows `sent`, which the model knows without the
 * blanks at its end. A few equal bytes may be chance, and do not count as a repetition unless they
 * are all of `sent`. `prefilled`: the model was given it to go on with, so that it seldom repeats
 * any; else it was asked to repeat the last words. `ended`: no more of it comes, and the verdict is
 * not UNSURE. Both texts are UTF-8, and so is what follows the repetition. Looked at again as asked
 * for, it takes time linear in `fresh`, by the failure function of Knuth, Morris and Pratt. */
struct overlap overlap_find(struct str sent, struct str fresh, bool prefilled, bool ended);

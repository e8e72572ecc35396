/* fold.h - keeps the whole answer of an attempt, besides what is done with it otherwise.
 *
 * A filter that lets every event through and folds it into a struct llm_answer. Its memory is an
 * arena of its own, counted in limits.held, so that a helper thread may read the answer, too; its
 * text is limited as that of any answer is (limits.answer).
 */
#pragma once

#include "base/arena.h"
#include "gateway/filters.h"
#include "llm/answer.h"

struct fold {
    struct filter filter;
    struct llm_answer answer;
    struct quota_share share;
    struct arena *arena;    /* of the answer; NULL once it was freed */
    size_t limit_bytes;     /* of its text */
};

/* Folds the events that the filter `behind` lets through. The fold itself is in `a`, and its memory
 * is counted in `held`. */
struct fold *fold_begin(struct arena *a, struct quota *held, size_t limit_bytes,
    struct filters *chain, struct filter *behind) NEVER_NULL;

/* OK; or why the answer cannot be kept: ERR_UPSTREAM_TOO_LARGE, or ERR_OVERLOADED at the memory
 * limit. */
enum err fold_verdict(const struct fold *f) MUST_CHECK;

/* Bytes of text that it holds, about. */
size_t fold_bytes(const struct fold *f);

/* Frees the answer. NULL is a no-op. */
void fold_fini(struct fold *f);

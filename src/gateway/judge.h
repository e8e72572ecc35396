/* judge.h - holds answers back until they are judged: cascades and fused answers.
 *
 * Of an alias whose strategy is cascade or fuse, no attempt is committed at its first token. Its draft
 * is kept, its events are folded into one answer beside it (fold.h), and once that is complete the
 * attempt is HELD. Then it is judged: by llm/judgements.def, and perhaps by a model (side.h). One
 * that is good enough is given to the caller as it was drafted; in a cascade the next target is asked
 * instead of one that is not, which costs as an attempt does that was outrun. Meanwhile the caller of
 * a stream is sent what its framing has to keep it alive.
 */
#pragma once

#include "base/siphash.h"
#include "gateway/exchange.h"
#include "llm/judgement.h"

struct judge;    /* of an exchange */

enum verdict {
    VERDICT_NONE,     /* it was not judged yet */
    VERDICT_ASKED,    /* a model judges it */
    VERDICT_GOOD,
    VERDICT_BAD,
};

/* Of an attempt whose answer is judged. */
struct held {
    bool looked;    /* what can be told without a model is in `fault` */
    enum judgement fault;
    uint8_t vote[SIPHASH_BYTES];    /* equal answers have equal ones: of fuse */
    enum verdict verdict;
    unsigned mark;    /* of the model that judges, in tenths; 0: it gave none */
    bool marked;
};

/* Are the answers of the exchange, which has its plan, to be judged? */
static inline bool
judge_applies(const struct exchange *x)
{
    return UNLIKELY(x->plan.alias != NULL && x->plan.alias->judging != NULL);
}

/* Before its first attempt: prepares. False: it is called again when the exchange is woken. */
bool judge_ready(struct exchange *x) MUST_CHECK;

/* Of an attempt that has begun: its answer will be held. */
void judge_prepare(struct attempt *a);

/* Looks at what is held. STEP_NEXT: one of the answers is given. STEP_WAIT: nothing has to be done
 * now. STEP_STOP: another target should be asked; *ret_beside says that one is still under way.
 * `running` (may be NULL) is an attempt that is, `slow`: all of them take long. */
enum step judge_look(
    struct exchange *x, const struct attempt *running, bool slow, bool *ret_beside);

/* Nothing is left to be asked. True: something is held, which judge_look() will give now. False: the
 * request has failed; nothing is held any more. */
bool judge_close(struct exchange *x);


/* The exchange ends. */
void judge_end(struct exchange *x);

/* The first number from `least` to `most` in a model's reply, in tenths; -1: there is none. */
int judge_read_mark(struct str reply, unsigned least, unsigned most);

/* pay.h - what an attempt takes of its target's limits, and of the budgets that pay for it.
 *
 * Whoever sees its answer, the caller or nobody, an attempt costs money. Before it leaves it reserves
 * what it can cost at most, as far as that is known, in the budgets of its payer and of its target; what
 * it did cost is booked once, when it is freed.
 */
#pragma once

#include "gateway/exchange.h"
#include "gateway/limit_fields.h"

#define PAY_ID_BYTES 256u    /* of a scope's id that is put together */

struct attempt_hold;

/* An attempt that is about to be sent. */
struct payment {
    struct worker *worker;
    const struct snapshot_hold *hold;
    struct arena *arena;    /* of the attempt */
    const struct target *target;
    const struct request *request;
    const struct exchange *payer;    /* NULL: only the target's limits count */
};

/* False: it must not be sent; *ret_why says why. *ret is NULL where nothing limits it. */
bool pay_reserve(
    const struct payment *p, struct attempt_hold **ret, struct llm_error *ret_why) MUST_CHECK;

/* It ended, and did cost so much. */
void pay_end(
    struct worker *w, struct attempt_hold *h, int64_t spent_nanousd, const struct llm_usage *u);

/* What it reserved in each budget; 0 where none pays for it. */
int64_t pay_reserved_nanousd(const struct attempt_hold *h);

/* The rules that apply to what is sent: those of the request, and the limit of the answer that a
 * strict budget sets. `h` may be NULL. */
const struct rule_result *pay_ruling(const struct attempt_hold *h, struct arena *a, int64_t choices,
    const struct rule_result *ruling);

/* --- for the request as a whole --- */

/* The tokens of so many answers of `each`: at most as many as can be added and priced; callers may write any
 * number. */
int64_t pay_tokens(int64_t each, int64_t choices);

/* Tokens that an answer of the target without a limit will hardly exceed. */
int64_t pay_usual_output(const struct target *t, int64_t choices);

/* What that many tokens cost, in nano-dollars; 0 where no price is known. */
int64_t pay_price(
    const struct snapshot_hold *hold, const struct target *t, int64_t input, int64_t output);

/* Why it was refused, for the caller. */
struct llm_error pay_rate_error(struct arena *a, const struct scope_refusal *why);
struct llm_error pay_budget_error(
    struct arena *a, const struct scope *s, struct budget *b, enum budget_verdict why);

/* Calls `each` for all budgets of the scopes until it returns false. */
bool pay_each_budget(struct scope *const *list, unsigned count,
    bool (*each)(void *arg, struct scope *s, struct budget *b), void *arg);

/* "a/b" in `room`, of PAY_ID_BYTES; empty if it is longer. */
struct str pay_join(char *room, struct str a, char between, struct str b);

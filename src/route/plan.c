/* plan.c - chooses among the candidates of a request what is asked next. */
#include "route/plan.h"

#define CROWDED_US 1000000u       /* by then a request of a target that takes no more may have ended */
#define LIMIT_GRACE_US 100000u    /* between two readings of one "try again in 3 s" */

void
plan_begin(struct plan *plan, struct arena *a, size_t count)
{
    CHECK(count <= PLAN_CANDIDATES);
    *plan = (struct plan){ .list = arena_array(a, struct candidate, count), .count = count };
}

bool
plan_has_fresh(const struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->list[i].excluded == EXCLUDED_NOT && plan->list[i].state == CANDIDATE_FRESH)
            return true;
    return false;
}

/* Is no other candidate left, so that it is asked also while it recovers? */
static bool
is_sole(const struct plan *plan, const struct candidate *c)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct candidate *other = &plan->list[i];

        if (other != c && other->excluded == EXCLUDED_NOT && other->state != CANDIDATE_CLOSED)
            return false;
    }
    return true;
}

/* Takes one of the requests that the target takes at once. False: they are all under way. What is
 * not a call of a model is always sent. */
static bool
take_slot(const struct plan *plan, const struct target *t, struct pick *ret)
{
    ret->slot = NULL;
    if (LIKELY(!t->provider->adaptive) || plan->relay)
        return true;
    ret->slot = health_concurrency(t->health);
    if (concurrency_enter(ret->slot))
        return true;
    ret->slot = NULL;
    ret->crowded = true;
    return false;
}

/* Gives it back: a breaker is open. */
static bool
give_slot_back(struct pick *ret)
{
    if (UNLIKELY(ret->slot != NULL))
        concurrency_leave(ret->slot);
    ret->slot = NULL;
    return false;
}

/* Enters the breakers of the candidate with the next of its keys that did not fail. `open`: even
 * where one is open. False: what keeps it out the shortest is in ret->why and at_us, if that is
 * shorter than what was there. */
static bool
enter(struct plan *plan, struct candidate *c, bool open, uint64_t now_us, struct pick *ret)
{
    const struct target *t = c->target;
    size_t keys = t->provider->credential_count, turn = provider_next_credential(t->provider);
    size_t other = SIZE_MAX;    /* the first that did not fail, and is not switched off */
    bool sole = is_sole(plan, c), off = false;
    struct health_refusal refusal;

    ret->candidate = c;
    ret->pass = (struct health_pass){ .table = NULL };
    if (c->excluded != EXCLUDED_NOT || !take_slot(plan, t, ret))
        return false;
    for (size_t i = 0; i < MAX(keys, 1); i++) {
        size_t k = keys != 0 ? (turn + i) % keys : 0;
        struct health *key = keys != 0 ? t->breakers->keys[k] : NULL;

        if (k < 64 && (c->keys_failed >> k & 1) != 0)
            continue;
        ret->credential = k;
        if (open ? health_enter_open(t->breakers->table, t->health, key, now_us / 1000, &ret->pass)
                 : health_enter(t->breakers->table, t->health, key, sole, now_us / 1000, &ret->pass,
                       &refusal))
            return true;
        if (!open && refusal.why == ERR_SWITCHED_OFF)
            off = true;
        else
            other = MIN(other, k);
        uint64_t at_us = open || refusal.until_ms == UINT64_MAX ? 0 : refusal.until_ms * 1000;
        if (!open && (ret->why == OK || (at_us != 0 && (ret->at_us == 0 || at_us < ret->at_us)))) {
            ret->why = refusal.why;
            ret->at_us = at_us;
        }
    }
    ret->credential = other != SIZE_MAX ? other : turn;
    return (plan->insist && !open && (other != SIZE_MAX || !off)) || give_slot_back(ret);
}

/* A repetition is a share of the target's requests: it is taken when the target is asked again, or
 * waited for, not when that may become necessary. False: there is none; it is not asked again. */
static bool
pay(const struct plan *plan, struct candidate *c, uint64_t now_us)
{
    if (!c->unpaid)
        return true;
    c->unpaid = false;
    if (health_take_retry(c->target->health, plan->retry_percent, now_us / 1000))
        return true;
    c->state = CANDIDATE_CLOSED;
    return false;
}

enum pick_when
plan_pick(struct plan *plan, bool beside, uint64_t now_us, struct pick *ret)
{
    uint64_t again_us = UINT64_MAX;
    struct candidate *end = plan->list + plan->count, *waited = NULL;
    bool asked = false;

    *ret = (struct pick){ .why = OK };
    for (struct candidate *c = plan->list; c < end; c++) {
        if (c->state != CANDIDATE_NEXT)
            continue;
        if (now_us < c->again_us && !beside) {
            ret->at_us = c->again_us;
            return PICK_LATER;
        }
        if (now_us < c->again_us) {
            again_us = MIN(again_us, c->again_us);
            continue;    /* another one may be quicker */
        }
        if (enter(plan, c, false, now_us, ret))
            return PICK_NOW;
        if (ret->at_us != 0 && ret->at_us <= c->again_us + LIMIT_GRACE_US) {
            c->again_us = ret->at_us;    /* the breaker's idea of the same moment */
            return PICK_LATER;
        }
        c->state = CANDIDATE_SPARE;    /* its breaker opened meanwhile, or it has no other key */
    }
    for (struct candidate *c = plan->list; c < end; c++) {
        asked = asked || c->state != CANDIDATE_FRESH;
        if (c->state == CANDIDATE_FRESH && enter(plan, c, false, now_us, ret))
            return PICK_NOW;
    }
    for (struct candidate *c = plan->list; c < end && !beside; c++)
        if (c->state == CANDIDATE_FRESH && enter(plan, c, true, now_us, ret))
            return PICK_NOW;
    for (struct candidate *c = plan->list; c < end; c++) {
        if (c->state != CANDIDATE_SPARE)
            continue;
        if (now_us < c->again_us) {
            waited = c->again_us < again_us ? c : waited;
            again_us = MIN(again_us, c->again_us);
        } else if (pay(plan, c, now_us) && (enter(plan, c, false, now_us, ret) ||
                                               (!beside && enter(plan, c, true, now_us, ret)))) {
            return PICK_NOW;
        }
    }
    if (beside) {    /* it may still answer: only what is to be repeated is worth waking up for */
        ret->at_us = again_us;
        return again_us != UINT64_MAX ? PICK_LATER : PICK_NEVER;
    }
    if (ret->why == ERR_UPSTREAM_RATE_LIMIT && ret->at_us != 0)
        again_us = MIN(again_us, ret->at_us);    /* a limit ends then; a failure may not */
    if (!asked && ret->why == OK && plan->count != 0 &&
        !ret->crowded) {    /* it fails by itself, and says why */
        ret->candidate = plan->list;
        ret->credential = 0;
        return PICK_NOW;
    }
    if (again_us == UINT64_MAX) {
        if (ret->crowded && ret->at_us == 0)
            ret->at_us = now_us + CROWDED_US;
        return PICK_NEVER;
    }
    if (waited != NULL && waited->again_us == again_us && !pay(plan, waited, now_us))
        return plan_pick(plan, beside, now_us, ret);    /* it is closed now */
    ret->at_us = again_us;
    return PICK_LATER;
}

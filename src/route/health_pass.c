/* health_pass.c - circuit breakers: entering with an attempt, and what follows when it leaves. */
#include "base/clock.h"
#include "route/health_priv.h"

/* --- entering --- */

enum { PROVIDER, TARGET, KEY, PAIR };    /* of a pass */

_Static_assert(PAIR + 1 == HEALTH_SUBJECTS, "a pass has room for all its gates");

static struct health *
subject(const struct health_pass *p, size_t i)
{
    struct health *const all[] = { p->provider, p->target, p->key, p->pair };

    return all[i];
}

static void
refuse(struct health_refusal *r, enum err why, uint64_t until_ms)
{
    if (until_ms > r->until_ms)
        *r = (struct health_refusal){ why, until_ms };
}

/* May a request pass the gate of subject `i`? If not, *r says so; `share` gets what a slow start
 * admits, and pass->gate[i] what is seen if a probe may begin, or 0. */
static void
judge(struct health_pass *p, size_t i, uint64_t now_ms, double *share, struct health_refusal *r)
{
    struct health *h = subject(p, i);
    uint64_t gate = LOAD(&h->gate), until_ms = UNTIL_OF(gate);
    uint64_t left_ms = until_ms - MIN(until_ms, now_ms);
    enum err why = (enum err)LOAD(&h->why);

    p->gate[i] = 0;
    switch (STATE_OF(gate)) {
    case GATE_CLOSED:
        break;
    case GATE_OPEN:
        if (left_ms != 0)
            refuse(r, why, until_ms);
        p->gate[i] = gate;
        break;
    case GATE_PROBED:
        if (left_ms != 0)
            refuse(r, why, now_ms + MIN(left_ms, (uint64_t)PROBE_WAIT_MS));
        p->gate[i] = gate;
        break;
    case GATE_RECOVERING:
        if (left_ms == 0)
            (void)gate_move(h, gate, 0);
        else
            *share = MIN(*share, MAX(RECOVERY_SHARE, 1 - (double)left_ms / RECOVERY_MS));
        break;
    case GATE_PARKED:
        if (left_ms == 0)
            (void)gate_move(h, gate, 0);
        else
            refuse(r, why, until_ms);
        break;
    case GATE_OFF:
        refuse(r, ERR_SWITCHED_OFF, UINT64_MAX);
        break;
    }
}

/* No verdict: the next request is the probe. */
static void
release(struct health_pass *p, size_t i, uint64_t now_ms)
{
    if ((p->claimed & 1u << i) != 0)
        (void)gate_move(subject(p, i), p->gate[i], gate_make(GATE_OPEN, now_ms));
    p->claimed &= (uint8_t) ~(1u << i);
}

static void
release_all(struct health_pass *p, uint64_t now_ms)
{
    for (size_t i = 0; i < HEALTH_SUBJECTS; i++)
        release(p, i, now_ms);
}

/* Makes this request the probe of all that are half-open, of subject `first` and those after it.
 * False: another one was quicker. */
static bool
claim(struct health_pass *p, size_t first, uint64_t now_ms, struct health_refusal *r)
{
    for (size_t i = first; i < HEALTH_SUBJECTS; i++) {
        uint64_t mine = gate_make(GATE_PROBED, now_ms + PROBE_MS);
        struct health *h = subject(p, i);

        if (h == NULL || p->gate[i] == 0 || UNTIL_OF(p->gate[i]) > now_ms)
            continue;    /* closed, or let through although it is open */
        if (!gate_move(h, p->gate[i], mine)) {
            refuse(r, (enum err)LOAD(&h->why), now_ms + PROBE_WAIT_MS);
            release_all(p, now_ms);
            return false;
        }
        p->gate[i] = mine;
        p->claimed |= (uint8_t)(1u << i);
        p->probe = true;
    }
    return true;
}

static inline void
begin_attempt(struct health *target, uint64_t now_ms)
{
    count(target, now_ms, ONE_BEGUN);
    ADD(&target->busy, 1);
}

COLD static bool
enter_slowly(struct health_pass *p, bool sole, uint64_t now_ms, struct health_refusal *r)
{
    double share = 1;

    if (p->key != NULL && LOAD(&p->key->pairs) != 0)
        p->pair = subject_pair(p->table, p->key, p->target, false);
    *r = (struct health_refusal){ OK, 0 };
    for (size_t i = 0; i < HEALTH_SUBJECTS; i++) {
        if (subject(p, i) != NULL)
            judge(p, i, now_ms, &share, r);
    }
    if (r->until_ms != 0)
        return false;
    if (!sole && share < 1 && clock_random_unit() >= share) {
        refuse(r, (enum err)LOAD(&p->target->why), now_ms + RECOVERY_WAIT_MS);
        return false;
    }
    return claim(p, PROVIDER, now_ms, r);
}

bool
health_enter(struct health_table *t, struct health *target, struct health *key, bool sole,
    uint64_t now_ms, struct health_pass *ret, struct health_refusal *ret_refusal)
{
    uint64_t any = LOAD(&t->provider->gate) | LOAD(&target->gate);

    ret->table = t;
    ret->provider = t->provider;
    ret->target = target;
    ret->key = key;
    ret->pair = NULL;
    ret->entered_ms = now_ms;
    ret->answered_ms = 0;
    ret->probe = ret->open = false;
    ret->sole = sole;
    ret->claimed = ret->failed = 0;
    if (key != NULL)
        any |= LOAD(&key->gate) | LOAD(&key->pairs);
    if (UNLIKELY(any != 0) && !enter_slowly(ret, sole, now_ms, ret_refusal)) {
        ret->table = NULL;
        return false;
    }
    begin_attempt(target, now_ms);
    return true;
}

/* Is it open because of failures? */
static bool
is_bypassed(const struct health_pass *p, size_t i)
{
    return STATE_OF(p->gate[i]) == GATE_OPEN || STATE_OF(p->gate[i]) == GATE_PROBED;
}

bool
health_enter_open(struct health_table *t, struct health *target, struct health *key,
    uint64_t now_ms, struct health_pass *ret)
{
    struct health_refusal r;
    uint64_t due_ms = LOAD(&target->open_ms);
    double share = 1;

    if (health_enter(t, target, key, true, now_ms, ret, &r))
        return true;
    if (due_ms > now_ms)
        return false;
    for (size_t i = 0; i < HEALTH_SUBJECTS; i++) {
        r = (struct health_refusal){ OK, 0 };
        if (subject(ret, i) != NULL)
            judge(ret, i, now_ms, &share, &r);
        if (r.until_ms != 0 && !is_bypassed(ret, i))
            return false;    /* a limit, or switched off */
    }
    if (!swap(&target->open_ms, &due_ms, now_ms + OPEN_INTERVAL_MS) ||
        !claim(ret, PROVIDER, now_ms, &r))
        return false;
    ret->table = t;
    ret->open = true;
    begin_attempt(target, now_ms);
    return true;
}

/* --- leaving --- */

/* When its answer began. */
static inline uint64_t
answered_at(const struct health_pass *p, uint64_t now_ms)
{
    return p->answered_ms != 0 ? p->answered_ms : now_ms;
}

/* Closes what this attempt was the probe of, or was let through. A probe that took longer than
 * another waits for has been replaced: its success is one all the same, or answers that take that
 * long would never close the breaker. */
static void
restore(struct health_pass *p, size_t i, uint64_t now_ms)
{
    if ((p->claimed & 1u << i) != 0 || (p->open && is_bypassed(p, i))) {
        uint64_t gate = LOAD(&subject(p, i)->gate);

        if (STATE_OF(gate) != GATE_PROBED)
            gate = p->gate[i];
        gate_close(subject(p, i), gate, i <= TARGET, now_ms);
    }
    p->gate[i] = 0;
    p->claimed &= (uint8_t) ~(1u << i);
}

static void
good(struct health_pass *p, size_t i, uint64_t now_ms)
{
    if (subject(p, i) == NULL)
        return;
    if (p->probe || p->open)
        restore(p, i, now_ms);
    if (i == KEY)
        note_accepted(p->key, answered_at(p, now_ms));
    else
        note_success(subject(p, i), answered_at(p, now_ms));
}

#define NO_GATE UINT64_MAX

/* The gate that a failure of this attempt may open. NO_GATE: it is open already; or the attempt
 * began before it was closed, and so fails for a reason that may be over. */
static uint64_t
gate_to_open(const struct health_pass *p, size_t i)
{
    const struct health *h = subject(p, i);
    uint64_t gate = LOAD(&h->gate);

    if ((p->claimed & 1u << i) != 0)
        return p->gate[i];
    if (STATE_OF(gate) == GATE_OPEN || STATE_OF(gate) == GATE_PROBED || STATE_OF(gate) == GATE_OFF)
        return NO_GATE;
    return p->entered_ms >= LOAD(&h->since_ms) ? gate : NO_GATE;
}

static void
count_failure(struct health_pass *p, size_t i, uint64_t now_ms)
{
    count(subject(p, i), now_ms, ONE_FAILED);
    p->failed |= (uint8_t)(1u << i);
}

/* Counts a failure, and opens the breaker if it is one too many. */
static void
bad(struct health_pass *p, size_t i, enum err why, const struct health_verdict *v, uint64_t now_ms)
{
    struct health *h = subject(p, i);
    uint64_t gate = gate_to_open(p, i);

    count_failure(p, i, now_ms);
    if (gate == NO_GATE || STATE_OF(gate) == GATE_PARKED)
        return;
    STORE(&h->why, (uint16_t)why);
    if (STATE_OF(gate) == GATE_PROBED || counts_fail(h, p, run_lengthen(h, now_ms), now_ms))
        gate_open(h, gate, why, COOLDOWN_MS, COOLDOWN_MAX_MS, v, now_ms);
}

/* Opens it whatever was before. */
static void
shut(struct health_pass *p, size_t i, uint64_t base_ms, uint64_t max_ms,
    const struct health_verdict *v, uint64_t now_ms)
{
    struct health *h = subject(p, i);

    if (h == NULL)
        return;
    uint64_t gate = gate_to_open(p, i);
    count_failure(p, i, now_ms);
    if (gate != NO_GATE)
        gate_open(h, gate, v->outcome, base_ms, max_ms, v, now_ms);
}

/* A key was refused. If it has worked, that may be a mistake of the provider's, and a key without a
 * substitute is missed: it takes a few on end. */
static void
refused(struct health_pass *p, size_t i, const struct health_verdict *v, uint64_t now_ms)
{
    struct health *h = subject(p, i);
    bool worked = LOAD(&h->worked);

    if (worked && (p->claimed & 1u << i) == 0 && run_lengthen(h, now_ms) < KEY_RUN)
        count_failure(p, i, now_ms);
    else
        shut(p, i, worked ? KEY_WORKED_MS : KEY_MS, KEY_MAX_MS, v, now_ms);
}

/* A limit: it is not a failure, and it ends. */
static void
park(struct health_pass *p, size_t i, const struct health_verdict *v, uint64_t now_ms)
{
    struct health *h = subject(p, i);
    bool named = v->retry_after_ms > 0;
    unsigned level = 0;
    uint64_t gate = h != NULL ? gate_to_open(p, i) : NO_GATE, ms;

    if (gate == NO_GATE)
        return;
    bool parked = STATE_OF(gate) == GATE_PARKED && UNTIL_OF(gate) > now_ms;
    if (named) {
        uint64_t asked = MIN((uint64_t)v->retry_after_ms, (uint64_t)LIMIT_NAMED_MAX_MS);
        ms = asked;
        if (asked > 5000)
            ms += (uint64_t)((double)MIN(asked / 20, (uint64_t)1000) * clock_random_unit());
        if (parked && now_ms + ms <= UNTIL_OF(gate))
            return;
    } else {
        uint64_t last_ms = gate_doubled(LIMIT_MS, LOAD(&h->level), LIMIT_MAX_MS);
        uint64_t since_ms = LOAD(&h->since_ms);

        if (parked)
            return;
        if (since_ms != 0 && now_ms - MIN(since_ms, now_ms) < 4 * last_ms)
            level = MIN(LOAD(&h->level) + 1u, 20u);
        ms = gate_jitter(gate_doubled(LIMIT_MS, level, LIMIT_MAX_MS));
    }
    if (gate_move(h, gate, gate_make(GATE_PARKED, now_ms + ms)))
        gate_note(h, v->outcome, level, now_ms);
}

/* The breaker of the key with the model; without a key, the target's own. */
static size_t
pair_subject(struct health_pass *p)
{
    if (p->key == NULL)
        return TARGET;
    if (p->pair == NULL)
        p->pair = subject_pair(p->table, p->key, p->target, true);
    return PAIR;
}

COLD static void
leave_slowly(struct health_pass *p, const struct health_verdict *v, uint64_t now_ms)
{
    /* Nothing came when others had answered. Once is chance, but a target that hangs loses every
     * race, and would be asked first for ever. */
    bool outrun = v->outcome == ERR_OUTRUN && v->silent;
    enum failure_blame blame = outrun ? BLAME_TARGET : failure_row(v->outcome)->blame;
    size_t key = p->key != NULL ? KEY : TARGET;

    if (v->outcome == OK) {
        for (size_t i = 0; i < HEALTH_SUBJECTS; i++)
            good(p, i, now_ms);
        return;
    }
    if (blame != BLAME_NOBODY && blame != BLAME_PROVIDER)
        good(p, PROVIDER, now_ms);    /* it could be reached */
    switch (blame) {
    case BLAME_NOBODY:
        break;
    case BLAME_PROVIDER:
        bad(p, PROVIDER, v->outcome, v, now_ms);
        break;
    case BLAME_TARGET:
        bad(p, TARGET, outrun ? ERR_UPSTREAM_TIMEOUT : v->outcome, v, now_ms);
        break;
    case BLAME_GONE:
        shut(p, TARGET, GONE_MS, GONE_MS, v, now_ms);
        break;
    case BLAME_LIMIT:
        good(p, KEY, now_ms);    /* it was accepted */
        park(p, pair_subject(p), v, now_ms);
        break;
    case BLAME_KEY:
        refused(p, key, v, now_ms);
        break;
    case BLAME_KEY_MODEL:
        good(p, KEY, now_ms);
        shut(p, pair_subject(p), KEY_MS, KEY_MAX_MS, v, now_ms);
        break;
    case BLAME_ACCOUNT:
        shut(p, key, ACCOUNT_MS, ACCOUNT_MS, v, now_ms);
        break;
    }
    if (p->answered_ms == 0 && (p->failed & 1u << TARGET) == 0)
        count_in(p->target->other, now_ms, ONE_BEGUN);
    release_all(p, now_ms);
}

void
health_leave(struct health_pass *pass, const struct health_verdict *v, uint64_t now_ms)
{
    if (pass->table == NULL)
        return;
    ADD(&pass->target->busy, (uint32_t)-1);
    if (pass->answered_ms == 0)
        count(pass->target, now_ms, ONE_ENDED);
    if (LIKELY(v->outcome == OK && !pass->probe && !pass->open)) {
        note_success(pass->provider, answered_at(pass, now_ms));
        note_success(pass->target, answered_at(pass, now_ms));
        if (pass->key != NULL)
            note_accepted(pass->key, answered_at(pass, now_ms));
    } else {
        leave_slowly(pass, v, now_ms);
    }
    pass->table = NULL;
}

void
health_answered(struct health_pass *pass, uint64_t now_ms)
{
    if (pass->table == NULL || pass->answered_ms != 0)
        return;
    pass->answered_ms = MAX(now_ms, (uint64_t)1);
    count(pass->target, now_ms, ONE_ENDED);
    if (LIKELY(!pass->probe && !pass->open))
        return;
    for (size_t i = 0; i < HEALTH_SUBJECTS; i++) {
        if (subject(pass, i) != NULL)
            restore(pass, i, now_ms);
    }
    pass->probe = pass->open = false;
}

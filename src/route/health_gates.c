/* health_gates.c - the states of breakers, and how they change. */
#include "base/clock.h"
#include "route/health_priv.h"

uint64_t
gate_make(enum gate_state state, uint64_t until_ms)
{
    return until_ms << 16 | (clock_random_u64() & 0x1fff) << 3 | state;
}

bool
gate_move(struct health *h, uint64_t from, uint64_t to)
{
#define TO(state) (1u << GATE_##state)
    static const unsigned legal[] = {
        [GATE_CLOSED] = TO(OPEN) | TO(PARKED) | TO(OFF),
        [GATE_OPEN] = TO(OPEN) | TO(PROBED) | TO(RECOVERING) | TO(CLOSED) | TO(OFF),
        [GATE_PROBED] = TO(PROBED) | TO(OPEN) | TO(PARKED) | TO(RECOVERING) | TO(CLOSED) | TO(OFF),
        [GATE_RECOVERING] = TO(CLOSED) | TO(OPEN) | TO(PARKED) | TO(OFF),
        [GATE_PARKED] = TO(PARKED) | TO(OPEN) | TO(CLOSED) | TO(OFF),
        [GATE_OFF] = TO(CLOSED),
    };
#undef TO

    CHECK((legal[STATE_OF(from)] & 1u << STATE_OF(to)) != 0);
    if (subject_is_shared(h) || !swap(&h->gate, &from, to))
        return false;
    struct health *key = LOAD(&h->key);
    if (key != NULL && from == 0)
        ADD(&key->pairs, 1);
    if (key != NULL && to == 0)
        ADD(&key->pairs, (uint32_t)-1);
    return true;
}

/* --- opening and closing --- */

uint64_t
gate_jitter(uint64_t ms)
{
    return (uint64_t)((double)ms * (1 - JITTER + 2 * JITTER * clock_random_unit()));
}

uint64_t
gate_doubled(uint64_t base_ms, unsigned level, uint64_t max_ms)
{
    return MIN(base_ms << MIN(level, 20u), max_ms);
}

/* The level of a breaker that opens now: more if a probe failed, or soon after it closed. */
static unsigned
next_level(const struct health *h, uint64_t from, uint64_t now_ms)
{
    uint64_t since_ms = LOAD(&h->since_ms);
    bool again = STATE_OF(from) == GATE_PROBED ||
                 (since_ms != 0 && now_ms - MIN(since_ms, now_ms) < REMEMBER_MS);

    return again ? MIN(LOAD(&h->level) + 1u, 20u) : 0;
}

void
gate_note(struct health *h, enum err why, unsigned level, uint64_t now_ms)
{
    STORE(&h->since_ms, MAX(now_ms, (uint64_t)1));
    STORE(&h->why, (uint16_t)why);
    STORE(&h->level, (uint8_t)level);
    STORE(&h->run, 0);
}

void
gate_open(struct health *h, uint64_t from, enum err why, uint64_t base_ms, uint64_t max_ms,
    const struct health_verdict *v, uint64_t now_ms)
{
    unsigned level = next_level(h, from, now_ms);
    uint64_t ms = gate_jitter(gate_doubled(base_ms, level, max_ms));

    if (v->retry_after_ms > 0) {    /* all who were told the same should not be back at once */
        uint64_t asked = MIN((uint64_t)v->retry_after_ms, (uint64_t)RETRY_AFTER_MAX_MS);
        ms = MAX(ms, asked + (uint64_t)(JITTER * (double)asked * clock_random_unit()));
    }
    if (gate_move(h, from, gate_make(GATE_OPEN, now_ms + ms)))
        gate_note(h, why, level, now_ms);
}

void
gate_close(struct health *h, uint64_t from, bool slowly, uint64_t now_ms)
{
    uint64_t period = now_ms / BUCKET_MS;

    if (!gate_move(h, from, slowly ? gate_make(GATE_RECOVERING, now_ms + RECOVERY_MS) : 0))
        return;
    gate_note(h, LOAD(&h->why), LOAD(&h->level), now_ms);
    STORE(&h->bucket[period % SHOWN], (period & PERIOD_MASK) << PERIOD_SHIFT);
    STORE(&h->other[period % SHOWN], 0);
}

/* --- showing and switching --- */

struct health_view
health_look(const struct health *h, uint64_t now_ms)
{
    uint64_t gate = LOAD(&h->gate), until_ms = UNTIL_OF(gate);
    struct counted c = counts_sum(h, SHOWN, 0, now_ms);
    struct health_view view = {
        .state = HEALTH_CLOSED,
        .why = (enum err)LOAD(&h->why),
        .since_ms = LOAD(&h->since_ms),
        .ok = c.ended - MIN(c.failed + c.other, c.ended),
        .failed = c.failed,
        .other = c.other,
    };

    switch (STATE_OF(gate)) {
    case GATE_CLOSED:
        break;
    case GATE_OPEN:
        view.state = until_ms > now_ms ? HEALTH_OPEN : HEALTH_HALF_OPEN;
        break;
    case GATE_PROBED:
        view.state = HEALTH_HALF_OPEN;
        break;
    case GATE_RECOVERING:
        view.state = until_ms > now_ms ? HEALTH_RECOVERING : HEALTH_CLOSED;
        break;
    case GATE_PARKED:
        view.state = until_ms > now_ms ? HEALTH_OPEN : HEALTH_CLOSED;
        view.since_ms = until_ms > now_ms ? view.since_ms : until_ms;
        break;
    case GATE_OFF:
        view.state = HEALTH_OFF;
        break;
    }
    if (view.state == HEALTH_OPEN)
        view.until_ms = until_ms;
    return view;
}

void
health_switch(struct health *h, bool off, uint64_t now_ms)
{
    uint64_t gate = LOAD(&h->gate);

    while (off ? STATE_OF(gate) != GATE_OFF : gate != 0) {
        if (gate_move(h, gate, off ? gate_make(GATE_OFF, 0) : 0)) {
            gate_note(h, OK, 0, now_ms);
            return;
        }
        if (subject_is_shared(h))
            return;
        gate = LOAD(&h->gate);
    }
}

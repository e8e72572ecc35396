/* judging.h - what an alias does with whole answers, and with copies of requests: cascades, fused
 * answers, shadows, as configured.
 *
 * Part of the table of aliases, immutable. gateway/judge.c and gateway/shadow.c act on it.
 */
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "conf/conf.h"
#include "llm/judgement.h"

enum fuse_choice { FUSE_RULE, FUSE_VOTE, FUSE_JUDGE };

struct judging {
    bool fuse;          /* else a cascade */
    unsigned reject;    /* JUDGEMENT_BIT()s of answers that are not good enough */
    double min_logprob;
    bool refuse_last;    /* if no answer was good enough, there is an error */

    /* the model that judges; empty: none does */
    struct str model;
    struct str prompt;
    unsigned below;
    uint64_t timeout_us;

    /* of fuse */
    unsigned ask;
    enum fuse_choice choose;
    uint64_t wait_us;
};

/* What shadows of one alias have spent in a day, shared by all workers, and kept over reloads. */
struct shadow_spending {
    _Atomic uint64_t day;       /* since 1970 */
    _Atomic int64_t nanousd;    /* on that day; requests under way are counted as expected */
};

struct shadow {
    struct str alias;    /* whose it is */
    struct str model;    /* provider/model or an alias */
    uint64_t share_billionths;
    int64_t day_nanousd;    /* 0: no limit */
    struct shadow_spending *spending;
};

/* Of an alias; NULL: its strategy needs none, or it has no shadow. What is wrong goes to
 * `problems`. In `a`. */
const struct judging *judging_read(
    struct arena *a, const struct conf_alias *c, struct conf_problems *problems);
const struct shadow *shadow_read(
    struct arena *a, const struct conf_alias *c, struct conf_problems *problems);
void shadow_drop(const struct shadow *s);    /* NULL is a no-op */

/* May `nanousd` more be spent on that day? True counts them; shadow_spend() corrects what was
 * expected once it is known. */
bool shadow_take(const struct shadow *s, int64_t nanousd, uint64_t day) MUST_CHECK;
void shadow_spend(const struct shadow *s, int64_t nanousd, uint64_t day);

/* What the model that judges is told if nothing else is configured; docs/routing.md shows it. */
extern const char judging_mark_prompt[];
extern const char judging_pick_prompt[];

/* constraint.h - which targets cannot take a request, before any preference is asked. */
#pragma once

#include "conf/conf.h"
#include "route/look.h"

struct target;

enum exclusion {
    EXCLUDED_NOT,
#define EXCLUSION(id, code, docs) EXCLUDED_##id,
#include "route/exclusions.def"
#undef EXCLUSION
    EXCLUSION_COUNT
};

/* May the target take a request of this kind at all? What follows for every target, however it was
 * named. */
enum exclusion constraint_kind(const struct target *t, enum llm_op op, const struct wire *from);

/* The same, and may the caller use its provider? */
enum exclusion constraint_caller(const struct target *t, const struct ask *ask);

/* Why not, as a sentence for the caller, in `a`. */
struct str constraint_kind_text(const struct target *t, enum exclusion why, enum llm_op op,
    const struct wire *from, struct arena *a);

/* May a target of an alias take the request? Not asked for targets that were named directly.
 * *ret_late: perhaps not; it is tried after all others. */
enum exclusion constraint_judge(
    const struct target *t, struct ask *ask, const struct look *look, bool *ret_late) MUST_CHECK;

/* Why not, as a sentence for the caller, in `a`. */
struct str constraint_text(
    const struct target *t, enum exclusion why, struct ask *ask, struct arena *a);

/* "context", as records have it; empty: it was not excluded. */
const char *exclusion_code(enum exclusion why) NEVER_NULL;

/* What an alias demands of its targets: `require` of the configuration, and that prices are known. What is not known of a
 * target does not meet a demand. */
struct demands {
    const struct conf_strs *regions;    /* one of these; empty: any */
    bool no_training;
    bool short_retention;    /* nothing is kept for longer than */
    unsigned keeps_most_days;
    int64_t most_nanousd;    /* expected cost of a request; 0: any */
    bool priced;             /* its price is known */
};

/* Those of an alias, in `a`; NULL: none. What is wrong goes to `problems`. */
const struct demands *constraint_demands(
    struct arena *a, const struct conf_alias *ca, bool priced, struct conf_problems *problems);

/* What a look must have taken to judge by them (LOOK_*). */
unsigned constraint_demands_look(const struct demands *d);

/* Which demand the target does not meet, or EXCLUDED_NOT. `d` may be NULL. */
enum exclusion constraint_demand(
    const struct demands *d, const struct target *t, const struct look *look) MUST_CHECK;

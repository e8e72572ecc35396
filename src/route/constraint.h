/* constraint.h - which targets cannot take a request, before any preference is asked. */
#pragma once

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

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

/* What an alias demands of its targets, beside what a caller does. */
struct demands {
    struct conf_strs regions; /* empty: any */
    bool no_training, no_retention;
    int64_t max_request_nanousd; /* expected cost of one request; 0: any */
};

/* May the target take a request of this kind at all? What follows for every target, however it was
 * named. */
enum exclusion constraint_kind(const struct target *t, enum llm_op op, const struct wire *from);

/* May a target that was chosen for the caller take its request? `demands` may be NULL. */
enum exclusion constraint_judge(const struct target *t, struct ask *ask, const struct look *look,
    const struct demands *demands);

/* Why not, as a sentence for the caller, in `a`. */
struct str constraint_text(const struct target *t, enum exclusion why, struct ask *ask,
    const struct demands *demands, struct arena *a);

/* "context", as records have it. */
const char *exclusion_code(enum exclusion why) NEVER_NULL;

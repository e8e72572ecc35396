/* plan.h - the targets that may serve one request, in the order in which they are tried, and why
 * some cannot. */
#pragma once

#include "catalog/model.h"
#include "catalog/providers.h"

/* One model of one provider, with its configured settings. */
struct target {
    struct provider *provider;
    struct wire_target wire;          /* the provider's model name, and traits */
    const struct model_row *facts;    /* NULL: unknown model */
    struct str params;                /* JSON object text of overrides, or empty */
    struct conf_timeouts timeouts;
    /* named in the configuration, so that its name may be a metric label */
    bool listed;
};

enum exclusion {
    EXCLUDED_NOT,
    EXCLUDED_WIRE,    /* a route that is passed through needs a provider of the caller's protocol */
    EXCLUDED_OPERATION,    /* its protocol does not have the operation */
};

struct candidate {
    struct target *target;
    enum exclusion excluded;
};

#define PLAN_CANDIDATES 16    /* at most */

struct plan {
    struct candidate *list;
    size_t count;
    const struct alias *alias;    /* that was asked for, or NULL */
};

/* A plan of `count` candidates in `a`, whose targets are to be filled in. */
void plan_begin(struct plan *plan, struct arena *a, size_t count);

/* Excludes the candidates that cannot take a request of this kind, from a caller of wire `from`. */
void plan_judge(struct plan *plan, enum llm_op op, const struct wire *from);

/* Is any of the candidates from number `first` on not excluded? */
bool plan_has(const struct plan *plan, size_t first);

/* Why a target cannot take the request, and the sentence for the caller, in `a`. */
enum exclusion target_exclusion(const struct target *t, enum llm_op op, const struct wire *from);
struct str target_exclusion_text(const struct target *t, enum exclusion why, enum llm_op op,
    const struct wire *from, struct arena *a);

/* experiment.h - divides the requests of an alias among arms, and keeps what became of them.
 *
 * Whoever an arm was given to keeps it: a keyed hash of the caller, conversation or tag chooses it, the
 * same in every worker and after every restart. Results are entries of the registry, so that they go
 * on over reloads for as long as the configuration names the arm.
 */
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "base/json_out.h"
#include "base/siphash.h"
#include "base/stats.h"
#include "conf/conf.h"

enum experiment_by {
    EXPERIMENT_BY_CALLER,
    EXPERIMENT_BY_CONVERSATION,
    EXPERIMENT_BY_TAG,
    EXPERIMENT_BY_REQUEST
};

#define EXPERIMENT_BUCKETS                                                                         \
    40    /* from 1 ms to about 17 minutes, by factors of the square root of 2 */

/* A sample that all workers add to. */
struct experiment_sample {
    _Atomic uint64_t n;
    _Atomic double sum, squares;
};

/* What became of the requests of an arm. */
struct experiment_results {
    _Atomic uint64_t requests, errors;
    struct experiment_sample cost_usd, first_token_ms, duration_ms, score;
    _Atomic uint64_t first_token[EXPERIMENT_BUCKETS], duration[EXPERIMENT_BUCKETS];
};

struct experiment_arm {
    struct str name, use;
    uint64_t weight;
    struct conf_mark mark;
    struct experiment_results *results;
};

struct experiment {
    struct str name, alias;
    enum experiment_by by;
    struct str tag;
    uint64_t share_percent;
    struct experiment_arm *arms;    /* the first is what the others are compared with */
    size_t arm_count;
    uint64_t weights;    /* of all arms */
    struct siphash_key key;
    struct conf_mark mark;
};

/* The experiments of a configuration. */
struct experiments;
struct experiments *experiments_create(
    const struct conf *c, struct conf_problems *problems) NEVER_NULL;
void experiments_destroy(struct experiments *e);

/* The one that the alias takes part in, or the one of that name; NULL: none. And iteration. */
const struct experiment *experiments_of(const struct experiments *e, struct str alias);
const struct experiment *experiments_named(const struct experiments *e, struct str name);
const struct experiment *experiments_at(const struct experiments *e, size_t i);

/* An arm by the names of both; NULL: there is none. */
const struct experiment_arm *experiments_arm(
    const struct experiments *e, struct str experiment, struct str arm);

/* The arm of `subject`: what is told apart, such as the name of a key. NULL: it is not among those that
 * take part (`share`). */
const struct experiment_arm *experiment_assign(const struct experiment *e, struct str subject);

/* How a request ended. Negative: not known. */
struct experiment_outcome {
    bool failed;
    int64_t cost_nanousd, first_token_us, duration_us;
};
void experiment_note(const struct experiment_arm *arm, const struct experiment_outcome *o);

/* What was said of an answer, from -1 to 1; `before`: what was said before, of which it takes the
 * place; NULL: nothing. */
void experiment_say(const struct experiment_arm *arm, double score, const double *before);

/* The results as a JSON object, compared with those of the first arm. */
void experiment_write(struct json_out *o, const struct experiment *e);

/* The Prometheus text of all. */
void experiments_write_metrics(const struct experiments *e, struct buf *out);

/* rules.h - what the configuration says is done with requests of some kind.
 *
 * The rules are part of the snapshot. Each worker has a runner, with the conditions compiled in a Lua
 * interpreter of its own (script/lua.h). Rules are looked at in order; the first whose condition holds
 * applies, and ends the search unless it says "continue".
 *
 * A condition that fails does not hold; if its rule rejects requests, it rejects this one. One that
 * needs to know what a recorded ask does not have is undecidable: so is the whole result.
 */
#pragma once

#include "conf/conf.h"
#include "route/ask.h"
#include "route/judging.h"
#include "route/route.h"
#include "route/strategy.h"

struct rules;
struct rules_runner;

#define RULES_MATCHED_MOST                                                                         \
    16u                        /* rules that apply to one request: after them only those that reject */
#define RULES_READ_MOST 16u    /* members of tables that are noted as read */

struct rule {
    struct str name;
    struct str use;                     /* empty: the model as asked for */
    const struct strategy *strategy;    /* NULL: the alias's */
    bool targets;                       /* it has some of its own: table_rule_alias() */
    /* objects, or NULL: parameters to set; and to lower, all of them numbers */
    const struct json *params, *caps;
    const struct ask_tag *tags;
    struct str reject;    /* the sentence; empty: it does not */
    enum err reject_as;
    const struct shadow *shadow;    /* NULL: none */
    struct str experiment;          /* empty: none */
    bool goes_on;
    size_t number;    /* of the rules, from 0 */
    const struct conf_rule *conf;
};

/* A rule whose condition failed. */
struct rule_failure {
    const struct rule *rule;
    struct str why;    /* "line 2: attempt to compare nil with number" */
    struct rule_failure *next;
};

/* A member that was read of a table: headers["x-team"]. */
struct rule_read {
    const char *name;    /* "headers.*" */
    struct str member;
    struct str value;    /* of a header field, as it may be logged; empty: it is not there */
};

struct rule_result {
    const struct rule
        *matched[RULES_MATCHED_MOST + 1];    /* in order; the last may be one that rejects */
    size_t matched_count;
    /* each is that of the first matching rule that has one; empty or NULL: none */
    const struct rule *route;    /* which says where the request goes: use, or targets */
    const struct strategy *strategy;
    const struct shadow *shadow;
    struct str experiment;
    const struct rule *rejects;    /* NULL: it is not rejected */
    struct str reject;             /* the sentence for the caller */
    struct rule_failure *failures;
    const struct rule *undecidable;    /* which could not be decided; nothing after it was looked at */
    const char *missing;               /* what it needed to know: a name of rules.def */
    uint64_t read;                     /* names of rules.def that were read: bits by their number */
    struct rule_read members[RULES_READ_MOST];
    size_t member_count;
};

/* What a runner's rules have done, dry runs not counted. */
struct rule_count {
    uint64_t matched, failed;
    char why[160];    /* of its last failure */
};

/* Reads and compiles the rules of a configuration, which must outlive them. Mistakes go to
 * `problems`. */
struct rules *rules_create(const struct conf *c, const struct route_table *routes,
    struct conf_problems *problems) NEVER_NULL;
void rules_destroy(struct rules *r);

/* Iteration: NULL after the last one. */
const struct rule *rules_at(const struct rules *r, size_t i);

/* For one thread. NULL is a no-op for destroy. `r` must outlive it. */
struct rules_runner *rules_runner_create(const struct rules *r) NEVER_NULL;
void rules_runner_destroy(struct rules_runner *runner);

/* By the rules' numbers; for the thread that uses the runner. */
const struct rule_count *rules_counts(const struct rules_runner *runner);

/* Evaluates the condition of one rule alone, as rules_run() does. *ret_failure is set to NULL, or to why
 * it failed. */
bool rules_holds(struct rules_runner *runner, struct ask *ask, const struct rule *rule,
    const struct rule_failure **ret_failure);

/* Applies the rules to a request. Their tags are added to the ask's, before those that the caller sent;
 * what has to be allocated is in the ask's arena. Of each model that is to be tried next (wishes->models)
 * it is found out, too, whether a rule rejects it; then the request is rejected. */
void rules_run(struct rules_runner *runner, struct ask *ask, struct rule_result *ret);

/* Does the header field hold a credential, which conditions cannot read? */
bool rules_is_credential(struct str field);

/* What the request is for: what the rules say, or else the model that it asks for. As route_find(). */
enum err rules_find(const struct rule_result *r, const struct route_table *t, const struct ask *ask,
    struct route_found *ret, struct str *ret_why) MUST_CHECK;

/* The name of rules.def with that number, "tokens"; NULL after the last one. */
const char *rules_name(size_t i);

/* explain.h - a decision as data: written into the access log and for people, and read back.
 *
 * The JSON form is versioned ("v") and documented in docs/routing.md: members may be added, those that
 * are there keep their meaning. It holds what the decision read of the request and of its targets, so
 * that it can be made again (`openclaw replay`); what is not in it was not read.
 */
#pragma once

#include "base/json_out.h"
#include "route/experiment.h"
#include "route/route.h"
#include "route/rules.h"

#define EXPLAIN_VERSION 1
#define EXPLAIN_FIELD_BYTES 512

/* A decision: what it was made from, and what came out. */
struct explain_decision {
    struct ask *ask;
    const struct plan *plan;    /* of an alias */
    /* of the experiment that chose the alias or the target; NULL: none */
    const struct experiment *experiment;
    const struct experiment_arm *arm;
    const struct rule_result *ruling;    /* of the rules; NULL: there are none */
    const struct strategy *strategy;     /* that ordered the alias; NULL: its own */
    const struct ask_tag *tags;          /* of the request; those of rules come before them */
};

/* The decision as a JSON object. `words`: for people, with what can be seen of the targets now and
 * sentences; else for a record, with what was read. */
void explain_write(struct json_out *o, const struct explain_decision *d, bool words);

/* Appends the value of `x-openclaw-route`, as RFC 8941 has it: an item with parameters, of at most
 * EXPLAIN_FIELD_BYTES. `target`: that answers. */
void explain_field(struct buf *out, const struct explain_decision *d, const struct target *target,
    unsigned attempts);

/* A decision that was read back. */
struct explain_record {
    struct ask ask;    /* recorded: see ask.h */
    struct str alias, strategy, experiment, arm;
    struct str *targets;    /* "provider/model", in the order of the plan: */
    size_t count;           /* those that could take the request, */
    size_t excluded;        /* and after them those that could not */
    bool partial;           /* something was too large to be recorded */
};

/* Reads what explain_write() wrote for a record. What was not recorded is not known. False: it is of
 * another version, or not a decision. `doc` and `a` must outlive the record. */
bool explain_read(const struct json *doc, struct arena *a, struct explain_record *ret) MUST_CHECK;

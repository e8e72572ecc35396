/* plan.h - what one simulated answer is like: its length, its speed and its faults.
 *
 * A plan starts as a copy of the command line's; the query, then x-mock-* fields, then options
 * in the model's name override it: "mock;ttft=200ms;tps=50", "fault-429", "tools-2",
 * "replay:CASE;cut=5". All of them use the knobs of mock_knobs.def.
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/why.h"

enum mock_fault {
    MOCK_FAULT_NONE,
#define FAULT(name, ...) name,
#include "mock/faults.def"
#undef FAULT
    MOCK_FAULT_COUNT
};

/* One thing that may go wrong: how often, when, and for whom. */
struct mock_chance {
    enum mock_fault fault;
    int status;      /* MOCK_FAULT_STATUS */
    double share;    /* 0..1 */
    uint64_t from_us;
    uint64_t to_us;      /* since the start, exclusive; MOCK_UNSET: for ever */
    struct str model;    /* empty: all */
};

#define MOCK_CHANCES 16

struct mock_plan {
    uint64_t head_us;
    uint64_t ttft_us;
    double tps;
    uint64_t jitter_us;
    uint64_t tokens;
    uint64_t event_tokens;
    struct str text;
    bool echo;
    uint64_t tools;
    uint64_t reasoning;    /* MOCK_UNSET: as the request says */
    uint64_t cached;
    uint64_t cache_write;
    struct str finish;
    struct mock_chance faults[MOCK_CHANCES];
    size_t fault_count;
    uint64_t after;
    uint64_t retry_after_s;
    uint64_t huge_bytes;
    bool strict;
    uint64_t chunk_bytes;
    struct str case_name;
    uint64_t cut;    /* MOCK_UNSET: complete */
    struct str how;
};

#define MOCK_UNSET UINT64_MAX

#define MOCK_PLAN_DEFAULT                                                                          \
    ((struct mock_plan){ .event_tokens = 1,                                                        \
        .reasoning = MOCK_UNSET,                                                                   \
        .after = 3,                                                                                \
        .retry_after_s = 1,                                                                        \
        .huge_bytes = 64 * 1024 * 1024,                                                            \
        .cut = MOCK_UNSET })

/* Sets one knob. Texts are kept as slices: they must outlive the plan. False with a message in
   `why` if there is no such knob or the value is not valid. */
bool mock_plan_set(
    struct mock_plan *p, struct str name, struct str value, struct why why) MUST_CHECK;

/* Reads the options in a model's name. A name may have none. */
bool mock_plan_read_model(struct mock_plan *p, struct str model, struct why why) MUST_CHECK;

/* Reads the pairs of a query string whose names start with "x-mock-"; the values are taken as they
 * are. */
bool mock_plan_read_query(struct mock_plan *p, struct str query, struct why why) MUST_CHECK;

/* Call it when an answer has begun: the plan's texts have been used, and no longer point into
   the request. */
struct mock_plan mock_plan_outlive(const struct mock_plan *p);

/* Draws the fault of an answer of `model` (its options left out) that begins `at_us` after the
 * start, by the shares. *ret_status is set for MOCK_FAULT_STATUS. */
enum mock_fault mock_plan_draw(
    const struct mock_plan *p, struct str model, uint64_t at_us, int *ret_status);

struct mock_fault_row {
    const char *word;
    bool incomplete;    /* the answer is not complete */
    const char *help;
};
const struct mock_fault_row *mock_fault_row(enum mock_fault f) NEVER_NULL;

/* The rows of the tables, for the command line, --help and docs/mock.md. */
enum mock_table { MOCK_NAMES, MOCK_KNOBS, MOCK_FAULTS };
struct mock_row {
    const char *name;
    const char *arg;    /* of knobs; NULL for switches */
    const char *help;
};
bool mock_table_row(enum mock_table table, size_t i, struct mock_row *ret);

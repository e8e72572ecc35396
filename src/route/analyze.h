/* analyze.h - what a request is about, in microseconds and without a model.
 *
 * Its language, its kind of task, how hard it is for a small model, how much of it is code, its mood, and
 * hints that it holds personal data or secrets; for rules, strategies and the access log. It is a guess by
 * linear models over a bounded sample of the text; docs/routing.md says how often it is right, and where
 * it is not. A pure function with integers only: the same sample gives the same analysis on any machine.
 */
#pragma once

#include "llm/sample.h"
#include "route/sensitive.h"

enum task {
#define TASK(id, name, meaning) TASK_##id,
#include "route/tasks.def"
#undef TASK
    TASK_COUNT,
    TASK_UNKNOWN = TASK_COUNT    /* there is no text */
};

struct analysis {
    const char *language;    /* ISO 639-1; "": too short to tell, or not known */
    enum task task;
    uint32_t tokens;                 /* of all text, an estimate of the mean, not a bound */
    uint16_t complexity_permille;    /* that a small model fails: 0 to 1000 */
    uint16_t code_permille;          /* share of the user's text that is code: 0 to 1000 */
    int16_t sentiment_permille;      /* -1000 (negative) to 1000 (positive) */
    uint8_t sensitivity;             /* of enum sensitive */
};

void analyze(const struct llm_sample *s, struct analysis *ret);

/* "summarise"; "unknown" for TASK_UNKNOWN. */
const char *task_name(enum task t) NEVER_NULL;

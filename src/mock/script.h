/* script.h - what a simulated answer says, whatever the protocol: a row of events.
 *
 * A script is made from a request and a plan. A cursor walks it event by event, so that a stream
 * costs no memory per token; the caller's side of the request's wire writes the events.
 */
#pragma once

#include "base/arena.h"
#include "llm/event.h"
#include "llm/request.h"
#include "mock/plan.h"
#include "mock/provider.h"
#include "mock/text.h"

struct mock_call {
    struct str id;
    struct str name;
    struct mock_run args;
    bool custom;    /* the arguments are free text */
};

struct mock_script {
    struct arena *arena;    /* valid as long as the answer */
    const struct mock_provider *provider;
    struct str id;
    struct str model;
    int64_t created_s;
    uint32_t n;    /* choices */
    struct mock_run reasoning;
    struct mock_run text;
    struct mock_call *calls;
    size_t call_count;
    enum llm_finish finish;
    struct str stop_sequence;    /* the stop sequence that ended the text, or empty */
    int top_logprobs;            /* -1: no log probabilities */
    uint64_t event_tokens;
    struct llm_usage usage;    /* of all choices */
};

/* Fills everything but arena and provider, which the caller has set. `r` is expanded, unless it
 * asks for a text completion of `prompt`. */
void mock_script_make(struct mock_script *s, const struct llm_request *r, struct str prompt,
    const struct mock_plan *plan);

struct mock_step {
    struct llm_event event;
    uint64_t tokens;    /* in the event */
    bool timed;         /* a model takes time for them; others follow the last event at once */
};

/* A position in a script. Zero is the start. */
struct mock_cursor {
    unsigned phase;
    uint32_t choice;
    size_t call;
    size_t at;
    uint64_t given;
    struct mock_step step;    /* being given for each choice in turn */
};

/* The next step; false after EVENT_END. */
bool mock_script_next(const struct mock_script *s, struct mock_cursor *c, struct mock_step *ret);

/* Completes a step's event and gives it to `sink`. */
void mock_script_emit(
    const struct mock_script *s, const struct mock_step *step, struct event_sink *sink);

/* Tokens of the input, estimated. Never 0. */
int64_t mock_input_tokens(const struct llm_request *r);

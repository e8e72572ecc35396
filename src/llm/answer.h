/* answer.h - events folded into one whole answer, for callers who did not ask for a stream, and
 * back.
 *
 * Kept in an arena of its own, but for vectors and ranks. Parts reuse struct llm_part: TEXT,
 * REASONING, REFUSAL, TOOL_CALL and media in the order in which they came. Blocks of provider-run
 * tools are left out: no wire writes them into a folded answer.
 */
#pragma once

#include "llm/event.h"
#include "llm/request.h"

/* JSON that came in pieces. */
struct llm_fragment {
    const struct json *doc;
    struct llm_fragment *next;
};

struct llm_cited {
    struct llm_citation citation;
    struct llm_cited *next;
};

/* Slices of the text of the provider's answer, which outlives the fold. */
struct llm_vector {
    uint32_t index;
    enum vector_type type;
    struct str text;
    struct llm_vector *next;
};

struct llm_rank {
    uint32_t index;
    struct str score;
    struct str document;    /* JSON; may be empty */
    struct llm_rank *next;
};

struct llm_answer_choice {
    uint32_t index;
    struct llm_part *parts;
    struct llm_part **tail;
    struct llm_part *open;      /* the part that deltas of text go to */
    struct llm_part **calls;    /* TOOL_CALL parts by number */
    uint32_t call_count;
    enum llm_finish finish;
    struct str native;
    struct str stop_sequence;
    struct llm_fragment *logprobs;    /* objects whose lists are to be concatenated */
    struct llm_fragment **logprobs_tail;
    struct llm_cited *citations;
    struct llm_cited **citations_tail;
    struct llm_answer_choice *next;
};

struct llm_answer {
    struct event_sink sink;    /* feed events here */
    struct arena *arena;
    struct str id;
    struct str model;
    int64_t created_s;
    struct llm_usage usage;
    struct llm_answer_choice *choices;    /* by index, ascending */
    struct llm_answer_choice *recent;     /* the one looked up last */
    struct llm_vector *vectors;           /* in the order in which they came */
    struct llm_vector **vectors_tail;
    struct llm_rank *ranks;
    struct llm_rank **ranks_tail;
    bool complete;     /* EVENT_END came */
    size_t left;       /* bytes of text that may still be kept; unlimited after answer_init() */
    bool too_large;    /* that limit, or the arena's, was reached */
    const struct llm_error *error;    /* copied into the arena */
};

void answer_init(struct llm_answer *ans, struct arena *a);

/* The choice with that index, created if it does not exist. NULL if the index is 128 or more. */
struct llm_answer_choice *answer_choice(struct llm_answer *ans, uint32_t index);

/* The other way: emits the events of which the answer is the fold, a whole part at a time. Folded
 * again they make the same answer. */
void answer_unfold(const struct llm_answer *ans, struct event_sink *to);

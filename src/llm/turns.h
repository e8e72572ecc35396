/* turns.h - the plan that makes a conversation legal for the model it goes to.
 *
 * Protocols differ in what a history may look like: some want the sides to take turns, results next
 * to their calls, system text in one place, ids of a certain form; in others tool results are
 * messages of their own, and a history may have been truncated between a call and its result. A
 * wire says what its target requires, and writes the turns as they come.
 *
 * The plan refers to the caller's parts and copies nothing.
 */
#pragma once

#include "llm/wire.h"

/* The ids of calls, or the names of tools, that a target accepts. Any other id is replaced by
 * `prefix` and a hash of it; any other name by what is legible of it and a hash. */
struct turn_ids {
    struct str prefix;
    enum { IDS_ANY, IDS_WORD, IDS_ALNUM } chars;    /* WORD: letters, digits, _ and - */
    size_t least;
    size_t most;
};

/* What the target requires; false and zero ask for nothing. */
struct turn_rules {
    struct turn_ids ids;
    struct turn_ids names;    /* most = 0: all are accepted */
    /* whose signed reasoning it reads, and whose own blocks; all others are left out */
    enum llm_origin origin;
    enum llm_origin blocks;
    bool alternate;       /* the sides take turns, the user first: messages of one side are joined */
    bool system_first;    /* system text stands before the conversation, wherever the caller put it */
    /* each call is answered in the next turn and each result answers a call of the turn before; ids
     * are unique */
    bool paired;
    bool no_blanks;       /* text must not be blank */
    bool speaks;          /* an assistant's turn must not end in reasoning */
    bool results_text;    /* results hold text only: their media go to the user's blocks after them */
    bool fails;           /* a result can say that its call failed */
    bool text_strings;    /* content of text only must be a string */
    bool no_prefill;      /* the conversation must not end with an assistant's turn */
    bool thoughts;        /* it wants reasoning that nobody signed back, of any origin */
    bool marks;           /* it takes prompt-cache marks */
};

enum turn_side { TURN_USER, TURN_ASSISTANT, TURN_SYSTEM };

struct turn_block {
    const struct llm_part *part;    /* NULL: stands in for the missing result of `call` */
    struct turn_block *next;
    struct str id;                /* calls and results: the id to send */
    struct str name;              /* calls: the name to send */
    struct turn *turn;            /* calls: where it stands */
    struct turn_block *result;    /* calls: its answer, if rules.paired */
    struct turn_block *call;      /* results: what they answer, if rules.paired */
    /* results: what to say; a stand-in where there is nothing to say, but never no text at all */
    const struct llm_part *content;
    struct turn_block *same_id;    /* calls: the next unanswered one of this turn with the same id */
    struct turn_block *same_id_last;
};

struct turn_list {
    struct turn_block *first;
    struct turn_block **tail;
};

/* Consecutive messages of one side, or a message with the calls or results that belong to it. */
struct turn {
    enum turn_side side;
    const struct llm_message *message;    /* the first of them; NULL for a turn that was added */
    struct turn_list results;             /* user: tool results, which come first */
    struct turn_list blocks;
    bool calls;                   /* assistant: some block calls a tool */
    struct turn_block **solid;    /* assistant: end of the last block that is not reasoning */
    struct turn *prev;
    struct turn *next;
};

struct turns {
    struct turn_list system;    /* system text before the first turn */
    struct turn *first;
    struct turn *last;
    bool calls;            /* some turn calls a tool */
    bool unsigned_loop;    /* the tool loop at the end does not begin with reasoning */
    unsigned marks;        /* cache marks on what is kept */
};

/* Stands for a result that the history does not have. */
#define TURN_NO_RESULT "No result was recorded for this call."

/* The id that the target accepts. Deterministic for a conversation. */
struct str turn_fit_id(const struct turn_ids *ids, struct arena *a, struct str id);

/* The name of a tool as the target takes it. Calls of the answer get the caller's name back. */
struct str turn_name(const struct turn_ids *names, const struct llm_request *r,
    struct wire_drops *drops, struct str name);

/* Whether the content of a turn is to be written as a string, calls and reasoning aside: one text,
 * which every target takes so, or several if rules.text_strings. */
bool turn_is_string(const struct turn_rules *rules, const struct turn *t);

/* What the user says first if rules.alternate and the history begins with the assistant, because it
 * was truncated or begins with a greeting. Unlike a "." or an invented "Hello" it is true and asks
 * for nothing. */
#define TURN_OPENING "(start of the conversation)"

/* What the user says last if rules.no_prefill and the assistant does. */
#define TURN_CONTINUE "Continue."

/* Arranges the conversation. Never fails; what cannot be expressed is added to `drops`. */
void turns_plan(const struct llm_request *r, const struct turn_rules *rules,
    struct wire_drops *drops, struct turns *ret);

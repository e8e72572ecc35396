/* judgement.h - is a whole answer good enough? What can be told without a model, as judgements.def
 * lists it.
 *
 * Pure functions of an answer and its request. They take time in proportion to the answer: an
 * answer that is long enough to hold up others is judged on a helper thread.
 */
#pragma once

#include "llm/answer.h"

/* The worst first; JUDGED_GOOD: none of them. */
enum judgement {
#define JUDGEMENT(id, docs) JUDGED_##id,
#include "llm/judgements.def"
#undef JUDGEMENT
    JUDGED_GOOD
};

#define JUDGEMENT_BIT(j) (1u << (j))

/* What is judged. */
struct judged {
    const struct llm_answer *answer;
    const struct llm_request *request;    /* its format counts only if it is expanded */
    double min_logprob;                   /* of low_logprob */
    struct arena *scratch;                /* for reading JSON; rewound */
};

/* The worst of the judgements `asked` (JUDGEMENT_BIT()s) that are true of the answer. */
enum judgement judgement_of(const struct judged *j, unsigned asked);

/* By its name in the configuration; JUDGED_GOOD: there is none. */
enum judgement judgement_named(struct str name);

/* Its name, and what the docs say; empty for JUDGED_GOOD. */
const char *judgement_name(enum judgement j) NEVER_NULL;
const char *judgement_docs(enum judgement j) NEVER_NULL;

/* Does a text begin like those that decline a request? */
bool judgement_text_refuses(struct str text);

/* The mean log-probability of an answer's tokens. False: the provider did not tell them. */
bool judgement_mean_logprob(const struct llm_answer *answer, double *ret) MUST_CHECK;

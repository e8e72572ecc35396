/* ranking.h - documents by how well they answer a query: asked and answered, for all protocols.
 *
 * The protocols that have it differ little: they share the members of a request, and its answer's.
 * Scores and documents travel as slices of the provider's answer.
 */
#pragma once

#include "llm/read.h"
#include "llm/write.h"

struct llm_answer;

struct llm_ranking {
    struct str query;
    struct llm_word *documents;
    struct llm_word **tail;
    uint32_t count;
    int64_t top;                /* so many of the best; 0: not said */
    int64_t document_tokens;    /* most that is read of each; 0: not said */
    enum llm_tri documents_back;
};

/* The members of a caller's request. */
extern const struct read_member ranking_members[];

/* Roughly the tokens of query and documents. */
int64_t ranking_estimate_tokens(const struct llm_ranking *k);

/* Writes the members that all providers take: model, query, documents and how many are wanted. */
void ranking_write_core(struct request_out *w);

/* Reads an answer with "results" or "data". False: it is something else, and nothing was emitted;
 * *ret_err is what came of it. */
bool ranking_read_answer(struct wire_reader *r, struct str body, enum err *ret_err) MUST_CHECK;

/* The member "results" of an answer for a caller. */
void ranking_add_results(struct json_out *o, const struct llm_answer *ans);

/* The member "meta", with what is billed; `version` is the protocol's. */
void ranking_add_meta(struct json_out *o, const struct llm_usage *u, struct str version);

/* claude.h - what Claude takes, at every host and on every wire: thinking, sampling, schemas.
 *
 * Thinking counts against the limit of the answer, and cannot be combined with a forced call, with
 * prefill, with some sampling, or with a tool loop whose first thinking is lost. Thinking is what
 * is given up, because callers depend more on the others.
 */
#pragma once

#include "llm/schema.h"
#include "llm/turns.h"
#include "llm/write.h"

#define CLAUDE_BUDGET_MIN 1024    /* tokens of thinking */

enum claude_mode { THINKING_UNSAID, THINKING_OFF, THINKING_BUDGET, THINKING_ADAPTIVE };

struct claude_thinking {
    enum claude_mode mode;
    int64_t max_tokens;    /* the limit of the answer to send: never 0 */
    int64_t budget;        /* THINKING_BUDGET: less than max_tokens */
    struct str effort;     /* for "output_config": a word that every model with it knows, or empty */
};

/* Decides for a request and its conversation; `forced`: the model must call a tool. Notes what is
 * left out. */
struct claude_thinking claude_decide(struct request_out *w, const struct turns *turns, bool forced);

/* Writes the member "thinking", if there is anything to say. */
void claude_write_thinking(struct json_out *o, const struct claude_thinking *t);

/* What sampling Claude takes: temperature or top_p, not both, and beside thinking only values
 * without effect. */
struct params_rules claude_sampling(const struct request_out *w, const struct claude_thinking *t);

/* The keywords that a strict schema for it must not have; NULL if it may have all. */
const struct schema_keyword *claude_refused_keywords(const struct wire_target *t);

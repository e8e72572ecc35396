/* params.h - what params.def says: reads, writes and names the parameters of a request. */
#pragma once

#include "base/json_out.h"
#include "llm/request.h"

struct cursor;
struct wire_drops;

/* The objects that hold parameters, one for each protocol; a second where it nests some. */
enum params_column {
    PARAMS_OPENAI_CHAT,
    PARAMS_MISTRAL,    /* the same as Mistral has it */
    PARAMS_ANTHROPIC,
    PARAMS_OPENAI_RESPONSES,
    PARAMS_OPENAI_RESPONSES_TEXT,    /* its object "text" */
    PARAMS_GEMINI,
    PARAMS_GEMINI_CONFIG,    /* its object "generationConfig" */
    PARAMS_GEMINI_SNAKE,     /* the same as its older clients spell it */
    PARAMS_BEDROCK,
    PARAMS_BEDROCK_INFERENCE,    /* its object "inferenceConfig" */
    PARAMS_BEDROCK_FIELDS,       /* and "additionalModelRequestFields", as Claude has it */
    PARAMS_OLLAMA,
    PARAMS_OLLAMA_OPTIONS,
    PARAMS_COHERE,
    PARAMS_COLUMNS,
};

#define PARAMS_BIT(column) (1u << (column))

/* How a column spells a parameter; NULL if it does not know it. */
const char *param_name(enum param p, enum params_column column);

/* Stores a member in the request, and checks its type, if the column has such a parameter and it is
 * not one that the wire reads itself. */
bool params_take(const struct cursor *object, enum params_column column, const struct json *key,
    const struct json *value);

/* What the target of a request refuses. */
struct params_rules {
    bool fixed_sampling;    /* SAMPLING */
    bool core_only;         /* EXTRA */
    uint32_t refused;       /* PARAM_BIT()s, for reasons that only the wire knows */
};

/* Writes the parameters that the column can say, as members of the object that is open. */
void params_write(struct json_out *o, const struct llm_request *r, enum params_column column,
    const struct params_rules *rules);

/* Adds those to `drops` that none of a protocol's columns (PARAMS_BIT()s) can say, or that the
 * target refuses. */
void params_drop(const struct llm_request *r, uint32_t columns, const struct params_rules *rules,
    struct wire_drops *drops);

/* The name that the caller used, or OpenAI's if its protocol has none. */
const char *param_callers_name(const struct llm_request *r, enum param p) NEVER_NULL;

/* Notes one parameter, under that name. */
void param_drop(struct wire_drops *drops, const struct llm_request *r, enum param p);

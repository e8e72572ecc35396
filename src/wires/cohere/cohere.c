/* cohere.c - Cohere's v2 protocol: its table, and what both sides share. */
#include "wires/cohere/cohere.h"

/* --- finish reasons --- */

static const struct {
    struct str word;
    enum llm_finish finish;
} reasons[] = {
    { S_INIT("COMPLETE"), FINISH_STOP },
    { S_INIT("STOP_SEQUENCE"), FINISH_STOP },
    { S_INIT("MAX_TOKENS"), FINISH_LENGTH },
    { S_INIT("TOOL_CALL"), FINISH_TOOLS },
    { S_INIT("ERROR_TOXIC"), FINISH_FILTER },    /* older models */
    { S_INIT("ERROR_LIMIT"), FINISH_LENGTH },
};

enum llm_finish
cohere_finish(struct str reason)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (str_eq(reason, reasons[i].word))
            return reasons[i].finish;
    return FINISH_UNKNOWN;
}

struct str
cohere_finish_reason(
    enum llm_finish finish, struct str native, struct str stop_sequence, bool called)
{
    if (finish != FINISH_UNKNOWN && finish != FINISH_FILTER && cohere_finish(native) == finish)
        return native;
    switch (finish) {
    case FINISH_LENGTH:
        return S("MAX_TOKENS");
    case FINISH_FILTER:    /* there is no word for it: an answer that is not complete */
        return S("ERROR");
    case FINISH_TOOLS:
        return S("TOOL_CALL");
    case FINISH_STOP:
    case FINISH_UNKNOWN:
        break;
    }
    if (called)
        return S("TOOL_CALL");
    return stop_sequence.n > 0 || str_eq(native, S("stop_sequence")) ? S("STOP_SEQUENCE")
                                                                     : S("COMPLETE");
}

/* --- usage --- */

void
cohere_read_usage(struct llm_usage *u, const struct json *from)
{
    static const struct {
        enum llm_count count;
        const char *path;
    } rows[] = {
        /* later ones replace earlier ones: some answers have no `tokens` */
        { COUNT_INPUT, "billed_units.input_tokens" },
        { COUNT_OUTPUT, "billed_units.output_tokens" },
        { COUNT_INPUT, "tokens.input_tokens" },
        { COUNT_OUTPUT, "tokens.output_tokens" },
        { COUNT_REASONING, "tokens.reasoning_tokens" },
        { COUNT_CACHED, "cached_tokens" },
        { COUNT_BILLED_INPUT, "billed_units.input_tokens" },
        { COUNT_BILLED_OUTPUT, "billed_units.output_tokens" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct json *count = json_at(from, rows[i].path);

        if (json_is(count, JSON_NUMBER))    /* 12.0, in some answers */
            usage_set(u, rows[i].count, (int64_t)MIN(MAX(json_f64(count, 0), 0), 1e15));
    }
}

void
cohere_add_usage(struct json_out *o, const struct llm_usage *u)
{
    bool billed = usage_has(u, COUNT_BILLED_INPUT) || usage_has(u, COUNT_BILLED_OUTPUT);

    out_key_object(o, "usage");
    out_key_object(o, "billed_units");
    out_i64(o, "input_tokens", billed ? u->billed_input : u->input);
    out_i64(o, "output_tokens", billed ? u->billed_output : u->output);
    out_end(o);
    out_key_object(o, "tokens");
    out_i64(o, "input_tokens", u->input);
    out_i64(o, "output_tokens", u->output);
    if (u->reasoning > 0)
        out_i64(o, "reasoning_tokens", u->reasoning);
    out_end(o);
    if (usage_has(u, COUNT_CACHED))
        out_i64(o, "cached_tokens", u->cached);
    out_end(o);
}

/* --- failures --- */

static const struct fail_word fail_rows[] = {
    { S_INIT("TOO_MANY_TOKENS"), ERR_CONTEXT_LENGTH },
};

const struct fail_words cohere_fail_words = {
    .rows = fail_rows,
    .count = ARRAY_LEN(fail_rows),
};

const struct wire wire_cohere = {
    .name = S_INIT("cohere-v2"),
    .framing = &framing_sse,
    .caller = &cohere_caller,
    .provider = &cohere_provider,
};

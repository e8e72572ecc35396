/* anthropic.c - the Anthropic Messages protocol: its table, and what both sides share. */
#include "wires/anthropic/anthropic.h"

/* --- stop reasons --- */

static const struct {
    struct str word;
    enum llm_finish finish;
} stop_reasons[] = {
    { S_INIT("end_turn"), FINISH_STOP },
    { S_INIT("stop_sequence"), FINISH_STOP },
    { S_INIT("tool_use"), FINISH_TOOLS },
    { S_INIT("max_tokens"), FINISH_LENGTH },
    { S_INIT("model_context_window_exceeded"), FINISH_LENGTH },
    { S_INIT("pause_turn"), FINISH_STOP },    /* other protocols cannot continue such a turn */
    { S_INIT("refusal"), FINISH_FILTER },
};

enum llm_finish
anthropic_finish(struct str stop_reason)
{
    for (size_t i = 0; i < ARRAY_LEN(stop_reasons); i++)
        if (str_eq(stop_reason, stop_reasons[i].word))
            return stop_reasons[i].finish;
    return FINISH_UNKNOWN;
}

struct str
anthropic_stop_reason(
    enum llm_finish finish, struct str native, struct str stop_sequence, bool called)
{
    if (finish != FINISH_UNKNOWN && anthropic_finish(native) == finish)
        return native;
    switch (finish) {
    case FINISH_LENGTH:
        return S("max_tokens");
    case FINISH_FILTER:
        return S("refusal");
    case FINISH_TOOLS:
        return S("tool_use");
    case FINISH_STOP:
    case FINISH_UNKNOWN:
        break;
    }
    if (called)    /* some models finish with "stop" after a call that they were forced to make */
        return S("tool_use");
    return stop_sequence.n > 0 ? S("stop_sequence") : S("end_turn");
}

/* --- usage --- */

enum { PROMPT_ROWS = 3 };    /* the first rows count the prompt */

static void
read_flat_counts(struct llm_usage *u, const struct json *usage)
{
    static const struct {
        enum llm_count count;
        const char *path;
    } rows[] = {
        { COUNT_INPUT, "input_tokens" },
        { COUNT_CACHED, "cache_read_input_tokens" },
        { COUNT_CACHE_WRITE, "cache_creation_input_tokens" },
        { COUNT_OUTPUT, "output_tokens" },
        { COUNT_REASONING, "output_tokens_details.thinking_tokens" },
    };
    struct json_iter it = json_iter(json_get(usage, S("cache_creation")));
    const struct json *hour = json_at(usage, "cache_creation.ephemeral_1h_input_tokens");
    const struct json *tier = json_get(usage, S("service_tier"));
    int64_t written = 0;
    int64_t prompt = 0;

    for (size_t i = 0; i < PROMPT_ROWS; i++)
        prompt += MIN(MAX(json_i64(json_at(usage, rows[i].path), 0), 0), USAGE_MOST);
    if (json_is(hour, JSON_NUMBER))
        usage_set(u, COUNT_CACHE_WRITE_1H, json_i64(hour, 0));
    if (json_is(tier, JSON_STRING) && !tier->escaped)
        u->service = usage_service_named(str_make(tier->p + 1, tier->n - 2));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct json *count = json_at(usage, rows[i].path);

        /* No prompt is empty: a later 0 in all of its counts does not correct what was said. */
        if (json_is(count, JSON_NUMBER) &&
            (i >= PROMPT_ROWS || prompt > 0 || u->counts[rows[i].count] == 0))
            usage_set(u, rows[i].count, json_i64(count, 0));
    }
    if (it.next == it.end || json_present(json_get(usage, S("cache_creation_input_tokens"))))
        return;
    while (json_next(&it))
        written += MIN(MAX(json_i64(it.value, 0), 0), USAGE_MOST - written);
    usage_set(u, COUNT_CACHE_WRITE, written);
}

void
anthropic_read_usage(struct llm_usage *u, const struct json *usage)
{
    struct json_iter it = json_iter(json_get(usage, S("iterations")));
    struct llm_usage sum = { .known = 0 };

    read_flat_counts(u, usage);

    /* With compaction or an advisor the top level reports one pass only, but all are billed. */
    while (json_next(&it)) {
        struct llm_usage one = { .known = 0 };

        read_flat_counts(&one, it.value);
        for (unsigned i = 0; i <= COUNT_OUTPUT; i++)
            usage_set(&sum, i, sum.counts[i] + one.counts[i]);
    }
    for (unsigned i = 0; i <= COUNT_OUTPUT; i++)
        if (sum.counts[i] > u->counts[i])
            usage_set(u, i, sum.counts[i]);
}

struct llm_usage
anthropic_usage(const struct llm_usage *u)
{
    struct llm_usage all = *u;

    if (usage_has(u, COUNT_INPUT) || usage_has(u, COUNT_CACHED) || usage_has(u, COUNT_CACHE_WRITE))
        usage_set(&all, COUNT_INPUT, u->input + u->cached + u->cache_write);
    return all;
}

void
anthropic_add_usage(struct json_out *o, const struct llm_usage *u)
{
    /* Some providers report more cached tokens than input tokens. */
    out_key_object(o, "usage");
    out_i64(o, "input_tokens", MAX(u->input - u->cached - u->cache_write, 0));
    out_i64(o, "cache_creation_input_tokens", u->cache_write);
    out_i64(o, "cache_read_input_tokens", u->cached);
    out_i64(o, "output_tokens", u->output);
    if (u->reasoning > 0) {
        out_key_object(o, "output_tokens_details");
        out_i64(o, "thinking_tokens", u->reasoning);
        out_end(o);
    }
    out_end(o);
}

/* --- blocks --- */

void
anthropic_add_thinking(struct json_out *o, const struct llm_part *part)
{
    out_object(o);
    if (part->redacted.n > 0) {
        out_const(o, "\"type\":\"redacted_thinking\"");
        out_text(o, "data", part->redacted);
    } else {
        out_const(o, "\"type\":\"thinking\"");
        out_text(o, "thinking", part->text);
        out_text(o, "signature", part->signature);
    }
    out_end(o);
}

/* --- failures --- */

static const struct fail_word fail_rows[] = {
    { S_INIT("invalid_request_error"), ERR_BAD_REQUEST },
    { S_INIT("authentication_error"), ERR_UPSTREAM_AUTH },
    { S_INIT("permission_error"), ERR_UPSTREAM_FORBIDDEN },
    { S_INIT("billing_error"), ERR_UPSTREAM_QUOTA },
    { S_INIT("not_found_error"), ERR_UPSTREAM_NO_MODEL },
    { S_INIT("request_too_large"), ERR_TOO_LARGE },
    { S_INIT("rate_limit_error"), ERR_UPSTREAM_RATE_LIMIT },
    { S_INIT("timeout_error"), ERR_UPSTREAM_TIMEOUT },
    { S_INIT("api_error"), ERR_UPSTREAM_ERROR },
    { S_INIT("overloaded_error"), ERR_UPSTREAM_OVERLOADED },
};

const struct fail_words anthropic_fail_words = {
    .rows = fail_rows,
    .count = ARRAY_LEN(fail_rows),
    .trusted = true,
};

const struct wire wire_anthropic = {
    .name = S_INIT("anthropic-messages"),
    .framing = &framing_sse,
    .caller = &anthropic_caller,
    .provider = &anthropic_provider,
};

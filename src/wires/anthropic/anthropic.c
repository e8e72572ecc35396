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

static void
read_count(int64_t *to, const struct json *count)
{
    if (json_is(count, JSON_NUMBER))
        *to = MIN(MAX(json_i64(count, 0), 0), USAGE_MOST);
}

/* Adds without overflow, whatever a provider reports. */
static int64_t
add_counts(int64_t a, int64_t b)
{
    a = MIN(MAX(a, 0), USAGE_MOST);
    b = MIN(MAX(b, 0), USAGE_MOST);
    return MIN(a + b, USAGE_MOST);
}

static void
read_flat_counts(struct anthropic_counts *c, const struct json *usage)
{
    struct json_iter it = json_iter(json_get(usage, S("cache_creation")));

    if (!json_present(json_get(usage, S("cache_creation_input_tokens"))) && it.next != it.end) {
        int64_t written = 0;

        while (json_next(&it))
            written = add_counts(written, json_i64(it.value, 0));
        c->cache_write = written;
    }
    read_count(&c->input, json_get(usage, S("input_tokens")));
    read_count(&c->cache_read, json_get(usage, S("cache_read_input_tokens")));
    read_count(&c->cache_write, json_get(usage, S("cache_creation_input_tokens")));
    read_count(&c->output, json_get(usage, S("output_tokens")));
    read_count(&c->thinking, json_at(usage, "output_tokens_details.thinking_tokens"));
}

void
anthropic_counts_read(struct anthropic_counts *c, const struct json *usage)
{
    struct json_iter it = json_iter(json_get(usage, S("iterations")));
    struct anthropic_counts sum = ANTHROPIC_COUNTS_NONE;

    read_flat_counts(c, usage);

    /* With compaction or an advisor the top level reports one pass only, but all are billed. */
    while (json_next(&it)) {
        struct anthropic_counts one = ANTHROPIC_COUNTS_NONE;

        read_flat_counts(&one, it.value);
        sum.input = add_counts(sum.input, one.input);
        sum.cache_read = add_counts(sum.cache_read, one.cache_read);
        sum.cache_write = add_counts(sum.cache_write, one.cache_write);
        sum.output = add_counts(sum.output, one.output);
    }
    c->input = MAX(c->input, sum.input);
    c->cache_read = MAX(c->cache_read, sum.cache_read);
    c->cache_write = MAX(c->cache_write, sum.cache_write);
    c->output = MAX(c->output, sum.output);
}

struct llm_usage
anthropic_usage(const struct anthropic_counts *c)
{
    struct llm_usage u = { 0 };
    bool input = c->input >= 0 || c->cache_read >= 0 || c->cache_write >= 0;
    const struct {
        enum llm_count count;
        int64_t n;
    } rows[] = {
        { COUNT_INPUT,
            input ? add_counts(c->input, add_counts(c->cache_read, c->cache_write)) : -1 },
        { COUNT_CACHED, c->cache_read },
        { COUNT_CACHE_WRITE, c->cache_write },
        { COUNT_OUTPUT, c->output },
        { COUNT_REASONING, c->thinking },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].n >= 0)
            usage_set(&u, rows[i].count, rows[i].n);
    return u;
}

void
anthropic_add_usage(struct buf *out, const struct llm_usage *u)
{
    int64_t cached = u->cached;
    int64_t written = u->cache_write;
    int64_t input = u->input;

    /* Some providers report more cached tokens than input tokens. */
    input = input > cached ? input - cached : 0;
    input = input > written ? input - written : 0;

    buf_add(out, S("{\"input_tokens\":"));
    buf_add_i64(out, input);
    buf_add(out, S(",\"cache_creation_input_tokens\":"));
    buf_add_i64(out, written);
    buf_add(out, S(",\"cache_read_input_tokens\":"));
    buf_add_i64(out, cached);
    buf_add(out, S(",\"output_tokens\":"));
    buf_add_i64(out, u->output);
    if (u->reasoning > 0) {
        buf_add(out, S(",\"output_tokens_details\":{\"thinking_tokens\":"));
        buf_add_i64(out, u->reasoning);
        buf_add_c(out, '}');
    }
    buf_add_c(out, '}');
}

/* --- tools --- */

void
anthropic_add_input(struct buf *out, struct arena *a, struct str args, bool custom)
{
    struct arena_mark mark = arena_mark(a);
    const struct json *doc = NULL;

    if (!custom) {
        args = str_trim(args);
        if (args.n == 0 || str_eq(args, S("{}")) || str_eq(args, S("null"))) {
            buf_add(out, S("{}"));
            return;
        }
        doc = json_parse(a, args, NULL, NULL);
    }
    if (json_is(doc, JSON_OBJECT)) {
        buf_add(out, args);
    } else {
        buf_add(out, S("{\"input\":"));
        if (doc != NULL)
            buf_add(out, args);
        else
            json_add_str(out, args);
        buf_add_c(out, '}');
    }
    arena_rewind(a, mark);
}

/* --- failures --- */

static const struct fail_word fail_rows[] = {
    { S_INIT("invalid_request_error"), ERR_BAD_REQUEST },
    { S_INIT("authentication_error"), ERR_UPSTREAM_AUTH },
    { S_INIT("permission_error"), ERR_UPSTREAM_AUTH },
    { S_INIT("billing_error"), ERR_UPSTREAM_QUOTA },
    { S_INIT("not_found_error"), ERR_UPSTREAM_NO_MODEL },
    { S_INIT("request_too_large"), ERR_TOO_LARGE },
    { S_INIT("rate_limit_error"), ERR_RATE_LIMIT },
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

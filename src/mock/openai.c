/* openai.c - answers of the OpenAI API as it writes them: chat and text completions. */
#include <stdio.h>

#include "mock/openai.h"
#include "mock/text.h"

static const char *const finish_words[] = {
    [MOCK_FINISH_STOP] = "stop",
    [MOCK_FINISH_LENGTH] = "length",
    [MOCK_FINISH_CALLS] = "tool_calls",
    [MOCK_FINISH_FILTER] = "content_filter",
};

/* --- errors and header fields --- */

static struct str
error_type(const struct mock_refusal *e)
{
    if (e->type.n != 0)
        return e->type;
    if (e->status == 429)
        return S("requests");
    return e->status >= 500 ? S("server_error") : S("invalid_request_error");
}

static void
add_str_or_null(struct buf *out, struct str s)
{
    if (s.n == 0)
        buf_add(out, S("null"));
    else
        json_add_str(out, s);
}

void
mock_openai_write_error(
    struct buf *out, const struct mock_refusal *e, struct str request_id, bool in_stream)
{
    (void)request_id;    /* it travels in a header field */
    if (in_stream)
        buf_add(out, S("data: "));
    buf_add(out, S("{\"error\":{\"message\":"));
    json_add_str(out, e->message);
    buf_add(out, S(",\"type\":"));
    json_add_str(out, error_type(e));
    buf_add(out, S(",\"param\":"));
    add_str_or_null(out, e->param);
    buf_add(out, S(",\"code\":"));
    add_str_or_null(out, e->code);
    buf_add(out, S("}}"));
    if (in_stream)
        buf_add(out, S("\n\n"));
}

void
mock_openai_fault_error(enum mock_fault fault, struct mock_refusal *e)
{
    if (fault == MOCK_FAULT_QUOTA) {
        e->type = e->code = S("insufficient_quota");
        e->message =
            S("You exceeded your current quota, please check your plan and billing details.");
    } else if (fault == MOCK_FAULT_CONTEXT) {
        e->code = S("context_length_exceeded");
        e->param = S("messages");
        e->message =
            S("This model's maximum context length is 128000 tokens. However, your messages"
              " resulted in 200000 tokens. Please reduce the length of the messages.");
    } else if (e->status == 429) {
        e->code = S("rate_limit_exceeded");
    } else if (e->status == 401) {
        e->code = S("invalid_api_key");
    } else if (e->status == 404) {
        e->code = S("model_not_found");
    }
}

void
mock_openai_write_fields(struct buf *out, char *request_id)
{
    memcpy(request_id, "req_", 4);
    mock_random_id(request_id + 4, 32);
    buf_add(out, S("x-request-id: "));
    buf_add(out, str_c(request_id));
    buf_add(
        out, S("\r\nopenai-processing-ms: 1\r\nopenai-version: 2020-10-01\r\n"
               "x-ratelimit-limit-requests: 10000\r\nx-ratelimit-limit-tokens: 30000000\r\n"
               "x-ratelimit-remaining-requests: 9999\r\nx-ratelimit-remaining-tokens: 29999000\r\n"
               "x-ratelimit-reset-requests: 6ms\r\nx-ratelimit-reset-tokens: 2ms\r\n"));
}

/* --- pieces --- */

static void
add_usage(struct buf *out, const struct mock_script *s, bool details)
{
    unsigned long long input = s->input_tokens;
    unsigned long long output = s->output_tokens;
    unsigned long long reasoning = s->reasoning.tokens * s->n;

    buf_printf(out, "{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu",
        input, output, input + output);
    if (details) {
        buf_printf(out, ",\"prompt_tokens_details\":{\"cached_tokens\":%llu",
            (unsigned long long)s->cached_tokens);
        if (s->written_tokens != 0)
            buf_printf(out, ",\"cache_write_tokens\":%llu", (unsigned long long)s->written_tokens);
        buf_printf(out,
            ",\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":%llu,"
            "\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}",
            reasoning);
    }
    buf_add_c(out, '}');
}

static void
add_one_logprob(struct buf *out, struct str token, unsigned rank)
{
    buf_add(out, S("{\"token\":"));
    json_add_str(out, token);
    buf_printf(out, ",\"logprob\":-%u.%02u,\"bytes\":[", rank, 1 + (unsigned)(token.n % 7));
    for (size_t i = 0; i < token.n; i++)
        buf_printf(out, "%s%u", i > 0 ? "," : "", (unsigned)(unsigned char)token.p[i]);
    buf_add_c(out, ']');
}

/* The logprobs of a text, one entry per token, as in every chunk. */
static void
add_logprobs(struct buf *out, const struct mock_run *run, int top)
{
    static const char *const others[] = { " the", " a", " and", " of", " to" };
    size_t at = run->start;

    buf_add(out, S("{\"content\":["));
    for (uint64_t i = 0; i < run->tokens; i++) {
        struct str token = mock_run_next(run, &at);
        if (i > 0)
            buf_add_c(out, ',');
        add_one_logprob(out, token, 0);
        buf_add(out, S(",\"top_logprobs\":["));
        for (int k = 0; k < top; k++) {
            struct str other = k == 0 ? token : str_c(others[k % (int)ARRAY_LEN(others)]);
            if (k > 0)
                buf_add_c(out, ',');
            add_one_logprob(out, other, (unsigned)k);
            buf_add_c(out, '}');
        }
        buf_add(out, S("]}"));
    }
    buf_add(out, S("],\"refusal\":null}"));
}

static bool
has_logprobs(const struct mock_script *s)
{
    return s->top_logprobs >= 0;
}

/* --- chat, streamed --- */

static void
chat_begin(struct mock_script *s)
{
    s->id = mock_make_id(s->arena, "chatcmpl-", 29);
    for (size_t i = 0; i < s->call_count; i++)
        s->calls[i].id = mock_make_id(s->arena, "call_", 24);

    struct buf out;
    buf_init(&out, 64 * 1024);
    buf_add(&out, S("data: {\"id\":\""));
    buf_add(&out, s->id);
    buf_printf(&out, "\",\"object\":\"chat.completion.chunk\",\"created\":%llu,\"model\":",
        (unsigned long long)s->created_s);
    json_add_str(&out, s->model);
    buf_add(&out,
        S(",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_0c1a5e0001\",\"choices\":["));
    s->prefix = arena_str(s->arena, buf_str(&out));
    buf_fini(&out);
}

static void
open_choice(struct buf *out, const struct mock_script *s, const struct mock_step *step)
{
    buf_add(out, s->prefix);
    buf_add(out, S("{\"index\":"));
    buf_add_u64(out, step->choice);
    buf_add(out, S(",\"delta\":{"));
}

static void
close_choice(struct buf *out, const struct mock_script *s, const struct mock_run *logprobs,
    const char *finish)
{
    buf_add(out, S("},\"logprobs\":"));
    if (logprobs != NULL && has_logprobs(s))
        add_logprobs(out, logprobs, s->top_logprobs);
    else
        buf_add(out, S("null"));
    buf_add(out, S(",\"finish_reason\":"));
    add_str_or_null(out, str_c(finish));
    buf_add(out, s->want_usage ? S("}],\"usage\":null}\n\n") : S("}]}\n\n"));
}

static void
add_call_delta(struct buf *out, const struct mock_script *s, const struct mock_step *step)
{
    const struct mock_call *call = &s->calls[step->call];

    buf_printf(out, "\"tool_calls\":[{\"index\":%zu,", step->call);
    if (step->kind == MOCK_STEP_CALL) {
        buf_add(out, S("\"id\":\""));
        buf_add(out, call->id);
        buf_add(out, call->custom ? S("\",\"type\":\"custom\",\"custom\":{\"name\":")
                                  : S("\",\"type\":\"function\",\"function\":{\"name\":"));
        json_add_str(out, call->name);
        buf_add(out, call->custom ? S(",\"input\":\"\"}}]") : S(",\"arguments\":\"\"}}]"));
        return;
    }
    buf_add(
        out, call->custom ? S("\"custom\":{\"input\":\"") : S("\"function\":{\"arguments\":\""));
    json_add_escaped(out, step->text);
    buf_add(out, S("\"}}]"));
}

static void
write_chat_end(struct buf *out, const struct mock_script *s)
{
    if (s->want_usage) {
        buf_add(out, s->prefix);
        buf_add(out, S("],\"usage\":"));
        add_usage(out, s, true);
        buf_add(out, S("}\n\n"));
    }
    buf_add(out, S("data: [DONE]\n\n"));
}

static void
chat_write_step(struct buf *out, const struct mock_script *s, const struct mock_step *step)
{
    struct mock_run piece = { .base = step->text, .tokens = step->tokens };

    if (step->kind == MOCK_STEP_END) {
        write_chat_end(out, s);
        return;
    }
    open_choice(out, s, step);
    switch (step->kind) {
    case MOCK_STEP_START:
        buf_add(out, S("\"role\":\"assistant\",\"content\":"));
        buf_add(out, s->text.tokens == 0 && s->call_count != 0 ? S("null") : S("\"\""));
        buf_add(out, S(",\"refusal\":null"));
        break;
    case MOCK_STEP_REASONING:
        buf_add(out, S("\"reasoning_content\":"));
        json_add_str(out, step->text);
        break;
    case MOCK_STEP_TEXT:
        buf_add(out, S("\"content\":"));
        json_add_str(out, step->text);
        break;
    case MOCK_STEP_CALL:
    case MOCK_STEP_ARGS:
        add_call_delta(out, s, step);
        break;
    case MOCK_STEP_FINISH:
    case MOCK_STEP_END:
        break;
    }
    close_choice(out, s, step->kind == MOCK_STEP_TEXT ? &piece : NULL,
        step->kind == MOCK_STEP_FINISH ? finish_words[s->finish] : NULL);
}

/* --- chat, whole --- */

static void
add_calls(struct buf *out, const struct mock_script *s)
{
    buf_add(out, S(",\"tool_calls\":["));
    for (size_t i = 0; i < s->call_count; i++) {
        const struct mock_call *call = &s->calls[i];
        const char *type = call->custom ? "custom" : "function";

        buf_printf(out,
            "%s{\"id\":\"" STR_FMT "\",\"type\":\"%s\",\"%s\":{\"name\":", i > 0 ? "," : "",
            STR_ARG(call->id), type, type);
        json_add_str(out, call->name);
        buf_add(out, call->custom ? S(",\"input\":\"") : S(",\"arguments\":\""));
        mock_run_write(out, &call->args);
        buf_add(out, S("\"}}"));
    }
    buf_add_c(out, ']');
}

static void
add_message(struct buf *out, const struct mock_script *s, unsigned index)
{
    buf_printf(out, "{\"index\":%u,\"message\":{\"role\":\"assistant\",\"content\":", index);
    if (s->text.tokens == 0 && s->call_count != 0) {
        buf_add(out, S("null"));
    } else {
        buf_add_c(out, '"');
        mock_run_write(out, &s->text);
        buf_add_c(out, '"');
    }
    if (s->reasoning.tokens != 0) {
        buf_add(out, S(",\"reasoning_content\":\""));
        mock_run_write(out, &s->reasoning);
        buf_add_c(out, '"');
    }
    if (s->call_count != 0)
        add_calls(out, s);
    buf_add(out, S(",\"refusal\":null,\"annotations\":[]},\"logprobs\":"));
    if (has_logprobs(s))
        add_logprobs(out, &s->text, s->top_logprobs);
    else
        buf_add(out, S("null"));
    buf_printf(out, ",\"finish_reason\":\"%s\"}", finish_words[s->finish]);
}

static void
chat_write_whole(struct buf *out, const struct mock_script *s)
{
    buf_add(out, S("{\"id\":\""));
    buf_add(out, s->id);
    buf_printf(out, "\",\"object\":\"chat.completion\",\"created\":%llu,\"model\":",
        (unsigned long long)s->created_s);
    json_add_str(out, s->model);
    buf_add(out, S(",\"choices\":["));
    for (unsigned i = 0; i < s->n; i++) {
        if (i > 0)
            buf_add_c(out, ',');
        add_message(out, s, i);
    }
    buf_add(out, S("],\"usage\":"));
    add_usage(out, s, true);
    buf_add(out, S(",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_0c1a5e0001\"}"));
}

const struct mock_wire mock_openai_chat = {
    .name = "openai-chat",
    .check_key = mock_openai_check_key,
    .read = mock_openai_read_chat,
    .begin = chat_begin,
    .write_step = chat_write_step,
    .write_whole = chat_write_whole,
    .write_error = mock_openai_write_error,
    .write_fields = mock_openai_write_fields,
    .malformed = S_INIT(
        "data: {\"id\":\"chatcmpl-broken\",\"choices\":[{\"index\":0,\"delta\":{\"content\n\n"),
    .fault_error = mock_openai_fault_error,
};

/* --- text completions --- */

static void
completion_begin(struct mock_script *s)
{
    s->id = mock_make_id(s->arena, "cmpl-", 29);
}

static void
add_completion_head(struct buf *out, const struct mock_script *s)
{
    buf_add(out, S("{\"id\":\""));
    buf_add(out, s->id);
    buf_printf(out, "\",\"object\":\"text_completion\",\"created\":%llu,",
        (unsigned long long)s->created_s);
}

/* The old format has the model after the choices in a stream, before them in a document. */
static void
completion_write_step(struct buf *out, const struct mock_script *s, const struct mock_step *step)
{
    if (step->kind == MOCK_STEP_START || step->kind == MOCK_STEP_REASONING)
        return;
    if (step->kind == MOCK_STEP_END && !s->want_usage) {
        buf_add(out, S("data: [DONE]\n\n"));
        return;
    }
    buf_add(out, S("data: "));
    add_completion_head(out, s);
    buf_add(out, S("\"choices\":["));
    if (step->kind != MOCK_STEP_END) {
        buf_add(out, S("{\"text\":"));
        json_add_str(out, step->text);
        buf_printf(out, ",\"index\":%u,\"logprobs\":null,\"finish_reason\":", step->choice);
        add_str_or_null(out, step->kind == MOCK_STEP_FINISH ? str_c(finish_words[s->finish])
                                                            : (struct str){ NULL, 0 });
        buf_add_c(out, '}');
    }
    buf_add(out, S("],\"model\":"));
    json_add_str(out, s->model);
    if (s->want_usage) {
        buf_add(out, S(",\"usage\":"));
        if (step->kind == MOCK_STEP_END)
            add_usage(out, s, false);
        else
            buf_add(out, S("null"));
    }
    buf_add(out, S("}\n\n"));
    if (step->kind == MOCK_STEP_END)
        buf_add(out, S("data: [DONE]\n\n"));
}

static void
completion_write_whole(struct buf *out, const struct mock_script *s)
{
    add_completion_head(out, s);
    buf_add(out, S("\"model\":"));
    json_add_str(out, s->model);
    buf_add(out, S(",\"choices\":["));
    for (unsigned i = 0; i < s->n; i++) {
        buf_printf(out, "%s{\"text\":\"", i > 0 ? "," : "");
        mock_run_write(out, &s->text);
        buf_printf(out, "\",\"index\":%u,\"logprobs\":null,\"finish_reason\":\"%s\"}", i,
            finish_words[s->finish]);
    }
    buf_add(out, S("],\"usage\":"));
    add_usage(out, s, false);
    buf_add_c(out, '}');
}

const struct mock_wire mock_openai_completions = {
    .name = "openai-completions",
    .check_key = mock_openai_check_key,
    .read = mock_openai_read_completion,
    .begin = completion_begin,
    .write_step = completion_write_step,
    .write_whole = completion_write_whole,
    .write_error = mock_openai_write_error,
    .write_fields = mock_openai_write_fields,
    .malformed = S_INIT("data: {\"id\":\"cmpl-broken\",\"choices\":[{\"text\n\n"),
    .fault_error = mock_openai_fault_error,
};

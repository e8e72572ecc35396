/* anthropic.c - answers of the Anthropic Messages API as it writes them. */
#include "mock/anthropic.h"

#include <stdio.h>

#include "mock/text.h"

static const char *const stop_words[] = {
    [MOCK_FINISH_STOP] = "end_turn",
    [MOCK_FINISH_LENGTH] = "max_tokens",
    [MOCK_FINISH_CALLS] = "tool_use",
    [MOCK_FINISH_FILTER] = "refusal",
};

/* The signature of thinking; it only has to be sent back unchanged. */
static const char signature[] =
    "EosBCkYICBgCKkBNb2NrU2lnbmF0dXJlT2ZUaGVTaW11bGF0ZWRQcm92aWRlckJ1aWx0SW50b09wZW5DbGF3VGhlVGlk"
    "ZUNvbWVzSW5Ud2ljZUFEYXlBbmROb2JvZHlIYXNUb0Fzaw==";

static const char *
error_type(int status)
{
    switch (status) {
    case 401:
        return "authentication_error";
    case 402:
        return "billing_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 413:
        return "request_too_large";
    case 429:
        return "rate_limit_error";
    case 503:
    case 529:
        return "overloaded_error";
    case 504:
        return "timeout_error";
    default:
        return status >= 500 ? "api_error" : "invalid_request_error";
    }
}

static void
write_error(struct buf *out, const struct mock_refusal *e, struct str request_id, bool in_stream)
{
    if (in_stream)
        buf_add(out, S("event: error\ndata: "));
    buf_printf(
        out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", error_type(e->status));
    json_add_str(out, e->message);
    if (str_starts(e->code, S("thread_"))) {    /* the other codes are OpenAI's */
        buf_add(out, S(",\"details\":{\"error_code\":"));
        json_add_str(out, e->code);
        buf_add_c(out, '}');
    }
    buf_add_c(out, '}');
    if (request_id.n != 0) {
        buf_add(out, S(",\"request_id\":"));
        json_add_str(out, request_id);
    }
    buf_add(out, in_stream ? S("}\n\n") : S("}"));
}

static void
fault_error(enum mock_fault fault, struct mock_refusal *e)
{
    if (fault == MOCK_FAULT_QUOTA) {
        e->status = 400;
        e->message =
            S("Your credit balance is too low to access the Anthropic API. Please go to Plans"
              " & Billing to upgrade or purchase credits.");
    } else if (fault == MOCK_FAULT_CONTEXT) {
        e->message = S("prompt is too long: 250000 tokens > 200000 maximum");
    } else if (e->status == 529 || e->status == 503) {
        e->message = S("Overloaded");
    }
}

static void
write_fields(struct buf *out, char *request_id)
{
    memcpy(request_id, "req_011C", 8);
    mock_random_id(request_id + 8, 20);
    buf_add(out, S("request-id: "));
    buf_add(out, str_c(request_id));
    buf_add(out, S("\r\nanthropic-ratelimit-requests-limit: 10000\r\n"
                   "anthropic-ratelimit-requests-remaining: 9999\r\n"
                   "anthropic-ratelimit-tokens-limit: 12000000\r\n"
                   "anthropic-ratelimit-tokens-remaining: 11999000\r\n"));
}

/* --- pieces --- */

static uint64_t
uncached_input(const struct mock_script *s)
{
    return s->input_tokens - s->cached_tokens - s->written_tokens;
}

static void
add_usage(struct buf *out, const struct mock_script *s, uint64_t output)
{
    buf_printf(out,
        "{\"input_tokens\":%llu,\"cache_creation_input_tokens\":%llu,\"cache_read_input_tokens\":%"
        "llu,"
        "\"cache_creation\":{\"ephemeral_5m_input_tokens\":%llu,\"ephemeral_1h_input_tokens\":0},"
        "\"output_tokens\":%llu,\"service_tier\":\"standard\"}",
        (unsigned long long)uncached_input(s), (unsigned long long)s->written_tokens,
        (unsigned long long)s->cached_tokens, (unsigned long long)s->written_tokens,
        (unsigned long long)output);
}

static void
add_stop(struct buf *out, const struct mock_script *s)
{
    bool sequence = s->finish == MOCK_FINISH_STOP && s->stop_sequence.n != 0;

    buf_printf(out, "\"stop_reason\":\"%s\",\"stop_sequence\":",
        sequence ? "stop_sequence" : stop_words[s->finish]);
    if (sequence)
        json_add_str(out, s->stop_sequence);
    else
        buf_add(out, S("null"));
}

static void
begin(struct mock_script *s)
{
    s->id = mock_make_id(s->arena, "msg_01", 22);
    for (size_t i = 0; i < s->call_count; i++)
        s->calls[i].id = mock_make_id(s->arena, "toolu_01", 22);
    s->n = 1;
}

static void
add_head(struct buf *out, const struct mock_script *s)
{
    buf_add(out, S("{\"model\":"));
    json_add_str(out, s->model);
    buf_add(out, S(",\"id\":\""));
    buf_add(out, s->id);
    buf_add(out, S("\",\"type\":\"message\",\"role\":\"assistant\",\"content\":["));
}

/* Blocks are numbered in the order in which they come: thinking, text, then the calls. */
static unsigned
block_index(const struct mock_script *s, const struct mock_step *step)
{
    unsigned thinking = s->reasoning.tokens != 0 ? 1 : 0;
    unsigned text = s->text.tokens != 0 ? 1 : 0;

    if (step->kind == MOCK_STEP_REASONING)
        return 0;
    if (step->kind == MOCK_STEP_TEXT)
        return thinking;
    return thinking + text + (unsigned)step->call;
}

/* --- streamed --- */

static void
open_block(struct buf *out, const struct mock_script *s, const struct mock_step *step)
{
    unsigned index = block_index(s, step);

    buf_printf(out,
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":%u,"
        "\"content_block\":",
        index);
    if (step->kind == MOCK_STEP_REASONING) {
        buf_add(out, S("{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n"));
    } else if (step->kind == MOCK_STEP_TEXT) {
        buf_add(out, S("{\"type\":\"text\",\"text\":\"\"}}\n\n"));
    } else {
        buf_add(out, S("{\"type\":\"tool_use\",\"id\":\""));
        buf_add(out, s->calls[step->call].id);
        buf_add(out, S("\",\"name\":"));
        json_add_str(out, s->calls[step->call].name);
        buf_add(out, S(",\"input\":{}}}\n\n"));
    }
    if (index == 0)
        buf_add(out, S("event: ping\ndata: {\"type\": \"ping\"}\n\n"));
}

static void
add_delta(struct buf *out, unsigned index, struct str kind, struct str member, struct str text)
{
    buf_add(
        out, S("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"));
    buf_add_u64(out, index);
    buf_add(out, S(",\"delta\":{\"type\":\""));
    buf_add(out, kind);
    buf_add(out, S("\",\""));
    buf_add(out, member);
    buf_add(out, S("\":"));
    json_add_str(out, text);
    buf_add(out, S("}}\n\n"));
}

static void
close_block(struct buf *out, const struct mock_script *s, const struct mock_step *step)
{
    unsigned index = block_index(s, step);

    if (step->kind == MOCK_STEP_REASONING)
        add_delta(out, index, S("signature_delta"), S("signature"), str_c(signature));
    buf_printf(out,
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":%u}\n\n",
        index);
}

static void
write_block_step(struct buf *out, const struct mock_script *s, const struct mock_step *step)
{
    unsigned index = block_index(s, step);

    if (step->first && step->kind != MOCK_STEP_ARGS)
        open_block(out, s, step);
    if (step->kind == MOCK_STEP_REASONING)
        add_delta(out, index, S("thinking_delta"), S("thinking"), step->text);
    else if (step->kind == MOCK_STEP_TEXT)
        add_delta(out, index, S("text_delta"), S("text"), step->text);
    else
        add_delta(out, index, S("input_json_delta"), S("partial_json"), step->text);

    bool empty_call = step->kind == MOCK_STEP_CALL && s->calls[step->call].args.tokens == 0;
    if (step->last || empty_call)
        close_block(out, s, step);
}

static void
write_step(struct buf *out, const struct mock_script *s, const struct mock_step *step)
{
    switch (step->kind) {
    case MOCK_STEP_START:
        buf_add(out, S("event: message_start\ndata: {\"type\":\"message_start\",\"message\":"));
        add_head(out, s);
        buf_add(out, S("],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":"));
        add_usage(out, s, 1);
        buf_add(out, S("}}\n\n"));
        return;
    case MOCK_STEP_FINISH:
        buf_add(out, S("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"));
        add_stop(out, s);
        buf_printf(out,
            "},\"usage\":{\"input_tokens\":%llu,\"cache_creation_input_tokens\":%llu,"
            "\"cache_read_input_tokens\":%llu,\"output_tokens\":%llu}}\n\n",
            (unsigned long long)uncached_input(s), (unsigned long long)s->written_tokens,
            (unsigned long long)s->cached_tokens, (unsigned long long)s->output_tokens);
        return;
    case MOCK_STEP_END:
        buf_add(out, S("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
        return;
    default:
        write_block_step(out, s, step);
    }
}

/* --- whole --- */

static void
comma(struct buf *out, bool *first)
{
    if (!*first)
        buf_add_c(out, ',');
    *first = false;
}

/* A truncated call's arguments are not an object: the provider then sends an empty one.
 * */
static void
add_input(struct buf *out, const struct mock_script *s, const struct mock_call *call)
{
    struct buf text;

    if (s->finish == MOCK_FINISH_LENGTH || call->custom) {
        buf_add(out, S("{}"));
        return;
    }
    buf_init(&text, 1024 * 1024);
    size_t at = call->args.start;
    for (uint64_t i = 0; i < call->args.tokens; i++)
        buf_add(&text, mock_run_next(&call->args, &at));
    buf_add(out, buf_len(&text) > 0 ? buf_str(&text) : S("{}"));
    buf_fini(&text);
}

static void
write_whole(struct buf *out, const struct mock_script *s)
{
    bool first = true;

    add_head(out, s);
    if (s->reasoning.tokens != 0) {
        comma(out, &first);
        buf_add(out, S("{\"type\":\"thinking\",\"thinking\":\""));
        mock_run_write(out, &s->reasoning);
        buf_printf(out, "\",\"signature\":\"%s\"}", signature);
    }
    if (s->text.tokens != 0) {
        comma(out, &first);
        buf_add(out, S("{\"type\":\"text\",\"text\":\""));
        mock_run_write(out, &s->text);
        buf_add(out, S("\"}"));
    }
    for (size_t i = 0; i < s->call_count; i++) {
        comma(out, &first);
        buf_printf(out,
            "{\"type\":\"tool_use\",\"id\":\"" STR_FMT "\",\"name\":", STR_ARG(s->calls[i].id));
        json_add_str(out, s->calls[i].name);
        buf_add(out, S(",\"input\":"));
        add_input(out, s, &s->calls[i]);
        buf_add_c(out, '}');
    }
    buf_add(out, S("],"));
    add_stop(out, s);
    buf_add(out, S(",\"usage\":"));
    add_usage(out, s, s->output_tokens);
    buf_add_c(out, '}');
}

const struct mock_wire mock_anthropic = {
    .name = "anthropic-messages",
    .check_key = mock_anthropic_check_key,
    .read = mock_anthropic_read,
    .begin = begin,
    .write_step = write_step,
    .write_whole = write_whole,
    .write_error = write_error,
    .write_fields = write_fields,
    .malformed =
        S_INIT("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\"\n\n"),
    .fault_error = fault_error,
};

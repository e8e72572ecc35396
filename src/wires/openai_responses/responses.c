/* responses.c - OpenAI Responses: the wire's table, and what is changed in a request of the same wire.
 */
#include "wires/openai_responses/responses.h"

#include "llm/seal.h"
#include "wires/openai_chat/openai_chat.h"

static void
write_path(struct buf *out, const struct llm_request *r, const struct wire_target *t UNUSED)
{
    switch (r->op) {
    case OP_CHAT:
        buf_add(out, S("/responses"));
        break;
    case OP_COUNT_TOKENS:
        buf_add(out, S("/responses/input_tokens"));
        break;
    default:
        buf_add(out, r->path);
        break;
    }
}

/* A caller whose conversation was answered by another protocol's model for a turn replays that
 * model's reasoning as items whose content is sealed. We wrote them; OpenAI cannot decrypt them and
 * refuses the request. */
static bool
is_foreign_reasoning(const void *arg UNUSED, const struct json *key UNUSED, const struct json *item)
{
    return json_str_is(json_get(item, S("type")), S("reasoning")) &&
           seal_is_json(json_get(item, S("encrypted_content")));
}

static void
edit_request(
    const struct llm_request *r, const struct wire_target *t UNUSED, struct wire_edits *edits)
{
    const struct json *input = json_get(r->doc, S("input"));
    struct wire_rewrite w;

    if (!json_is(input, JSON_ARRAY))
        return;
    wire_rewrite_begin(&w, input);
    wire_rewrite_cut(&w, input, is_foreign_reasoning, NULL, NULL);
    wire_rewrite_end(&w, r, edits);
}

static const char *const forwarded[] = { "openai-beta", NULL };

static const char *const beyond_text[] = { "tools", "text", "reasoning", "prompt", NULL };

static const struct wire_caller caller = {
    .members = responses_members,
    .params = PARAMS_OPENAI_RESPONSES,
    .words = &openai_words,
    .translates = OP_BIT(OP_CHAT) | OP_BIT(OP_COUNT_TOKENS),
    .beyond_text = beyond_text,
    .needs = &openai_needs,
    .read_head = responses_read_head,
    .echo = responses_echo,
    .media = WIRE_MEDIA(IMAGE),
    .media_streamed = WIRE_MEDIA(IMAGE),
    .write_event = responses_write_event,
    .write_answer = responses_write_answer,
    .write_error = openai_write_error,
    .write_router_error = openai_write_router_error,
    .write_relay_error = openai_write_relay_error,
    .write_token_count = responses_write_token_count,
    .status = openai_status,
    .error_names = openai_error_names,
    .models_begin = S_INIT("{\"object\":\"list\",\"data\":["),
    .write_model = openai_write_model,
    .write_models_end = openai_write_models_end,
};

static const char *const limits[] = { "max_output_tokens", NULL };

static const struct wire_provider provider = {
    .ops = OP_BIT(OP_CHAT) | OP_BIT(OP_COUNT_TOKENS) | OP_BIT(OP_RELAY),
    .write_path = write_path,
    .base = S_INIT("/v1"),
    .models_path = S_INIT("/models"),
    .translates = OP_BIT(OP_CHAT) | OP_BIT(OP_COUNT_TOKENS),
    .free_form = true,
    .places = { .params = PARAMS_OPENAI_RESPONSES,
        .object = "text",
        .nested = PARAMS_OPENAI_RESPONSES_TEXT,
        .limits = limits },
    .write_request = responses_write_request,
    .edit_request = edit_request,
    .read_event = responses_read_event,
    .read_end = responses_read_end,
    .read_answer = responses_read_answer,
    .read_error = openai_read_error,
    .key = S_INIT("Authorization: Bearer "),
    .forward = forwarded,
};

static bool
is_taken(const struct traits *t)
{
    return t->responses == YES;
}

const struct wire wire_openai_responses = {
    .name = S_INIT("openai-responses"),
    .beside = &wire_openai_chat,
    .is_taken = is_taken,
    .framing = &framing_sse,
    .caller = &caller,
    .provider = &provider,
};

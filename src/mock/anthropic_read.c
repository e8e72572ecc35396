/* anthropic_read.c - requests to the Anthropic Messages API, read as strictly as the provider
 * does.
 *
 * It enforces the rules that translations break most often: every tool_use is answered in the
 * next message, results come before text, no empty text, thinking has its signature.
 */
#include <stdio.h>

#include "mock/anthropic.h"

enum { CALLS_MAX = 128 };

/* The tool_use ids of the message before this one. */
struct previous {
    struct str ids[CALLS_MAX];
    size_t count;
};

static struct str
text_of(struct mock_ask *ask, const struct json *object, const char *key)
{
    return json_str(ask->arena, json_get(object, str_c(key)));
}

#define refuse(...) mock_refuse(ask, why, 400, NULL, (struct str){ NULL, 0 }, __VA_ARGS__)

bool
mock_anthropic_check_key(struct mock_ask *ask, struct str key, struct mock_refusal *why)
{
    struct str given = http_field_get(&ask->head->fields, S("x-api-key"));
    struct str bearer = http_field_get(&ask->head->fields, S("authorization"));
    bool bad_bearer = false;

    if (given.n == 0 && str_istarts(bearer, S("bearer "))) {
        given = str_trim(str_skip(bearer, strlen("bearer ")));
        bad_bearer = true;
    }
    if (given.n == 0)
        return mock_refuse(ask, why, 401, NULL, given, "x-api-key header is required");
    if (str_eq_secret(given, key))
        return true;
    return mock_refuse(ask, why, 401, NULL, (struct str){ NULL, 0 },
        bad_bearer ? "Invalid bearer token" : "invalid x-api-key");
}

/* --- blocks --- */

static bool
is_call_id(struct str id)
{
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        bool fine = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    c == '_' || c == '-';
        if (!fine)
            return false;
    }
    return id.n > 0;
}

static bool
read_tool_use(struct mock_ask *ask, const struct json *block, uint32_t i, uint32_t k,
    struct previous *calls, struct mock_refusal *why)
{
    struct str id = text_of(ask, block, "id");

    if (!is_call_id(id))
        return refuse("messages.%u.content.%u.tool_use.id: String should match pattern"
                      " '^[a-zA-Z0-9_-]+$'",
            i, k);
    if (!json_is(json_get(block, S("input")), JSON_OBJECT))
        return refuse(
            "messages.%u.content.%u.tool_use.input: Input should be a valid dictionary", i, k);
    if (calls->count < CALLS_MAX)
        calls->ids[calls->count++] = id;
    return true;
}

static bool
read_tool_result(struct mock_ask *ask, const struct json *block, uint32_t i, uint32_t k,
    struct previous *before, struct mock_refusal *why)
{
    struct str id = text_of(ask, block, "tool_use_id");

    for (size_t c = 0; c < before->count; c++) {
        if (str_eq(before->ids[c], id)) {
            before->ids[c] = before->ids[--before->count];
            return true;
        }
    }
    return refuse("messages.%u.content.%u: unexpected `tool_use_id` found in `tool_result` blocks:"
                  " " STR_FMT
                  ". Each `tool_result` block must have a corresponding `tool_use` block in"
                  " the previous message.",
        i, k, STR_ARG(str_make(id.p, MIN(id.n, 100))));
}

static bool
read_source(struct mock_ask *ask, const struct json *block, uint32_t i, uint32_t k,
    struct mock_refusal *why)
{
    const struct json *source = json_get(block, S("source"));
    struct str type = text_of(ask, source, "type");

    ask->images++;
    if (str_eq(type, S("base64")) && !json_is(json_get(source, S("media_type")), JSON_STRING))
        return refuse(
            "messages.%u.content.%u.image.source.base64.media_type: Field required", i, k);
    if (type.n == 0)
        return refuse("messages.%u.content.%u.image.source: Field required", i, k);
    return true;
}

static bool
read_block(struct mock_ask *ask, const struct json *block, uint32_t i, uint32_t k,
    struct previous *before, struct previous *calls, struct mock_refusal *why)
{
    struct str type = text_of(ask, block, "type");

    if (type.n == 0)
        return refuse("messages.%u.content.%u.type: Field required", i, k);
    if (str_eq(type, S("text"))) {
        struct str text = text_of(ask, block, "text");
        ask->text_bytes += text.n;
        if (text.n == 0)
            return refuse("messages: text content blocks must be non-empty");
        return true;
    }
    if (str_eq(type, S("image")) || str_eq(type, S("document")))
        return read_source(ask, block, i, k, why);
    ask->text_bytes += block->n;
    if (str_eq(type, S("tool_use")))
        return read_tool_use(ask, block, i, k, calls, why);
    if (str_eq(type, S("tool_result")))
        return read_tool_result(ask, block, i, k, before, why);
    if (str_eq(type, S("thinking")) && !json_is(json_get(block, S("signature")), JSON_STRING))
        return refuse("messages.%u.content.%u.thinking.signature: Field required", i, k);
    return true;
}

/* All blocks of a message. Results must come first when there are calls to answer. */
static bool
read_blocks(struct mock_ask *ask, const struct json *content, uint32_t i, struct previous *before,
    struct previous *calls, struct mock_refusal *why)
{
    struct json_iter it = json_iter(content);
    bool results_over = false;

    ask->after_tool = false;
    for (uint32_t k = 0; json_next(&it); k++) {
        bool result = json_str_is(json_get(it.value, S("type")), S("tool_result"));

        if (result && results_over && before->count > 0)
            return refuse("messages.%u: `tool_use` ids were found without `tool_result` blocks"
                          " immediately after: " STR_FMT ".",
                i, STR_ARG(before->ids[0]));
        results_over |= !result;
        ask->after_tool |= result;
        if (!read_block(ask, it.value, i, k, before, calls, why))
            return false;
        if (json_str_is(json_get(it.value, S("type")), S("text")))
            ask->last_text = text_of(ask, it.value, "text");
    }
    return true;
}

static bool
read_message(struct mock_ask *ask, const struct json *message, uint32_t i, struct previous *before,
    struct mock_refusal *why)
{
    struct str role = text_of(ask, message, "role");
    const struct json *content = json_get(message, S("content"));
    struct previous calls = { .count = 0 };
    struct str kept = ask->last_text;
    bool user = str_eq(role, S("user"));

    if (str_eq(role, S("system")))
        return refuse("messages: Unexpected role \"system\". The Messages API accepts a top-level"
                      " `system` parameter, not \"system\" as an input message role.");
    if (!user && !str_eq(role, S("assistant")))
        return refuse("messages.%u.role: Input should be 'user' or 'assistant'", i);
    if (i == 0 && !user)
        return refuse("messages: first message must use the \"user\" role");
    if (!json_present(content))
        return refuse("messages.%u.content: Field required", i);
    ask->text_bytes += 12;    /* what separates two messages */
    ask->after_tool = false;
    if (content->type == JSON_STRING) {
        ask->text_bytes += content->n;
        ask->last_text = json_str(ask->arena, content);
        if (ask->last_text.n == 0)
            return refuse("messages.%u: all messages must have non-empty content except for the"
                          " optional final assistant message",
                i);
    } else if (content->type != JSON_ARRAY) {
        return refuse("messages.%u.content: Input should be a valid list", i);
    } else if (!read_blocks(ask, content, i, before, &calls, why)) {
        return false;
    }
    if (!user)
        ask->last_text = kept;
    if (before->count > 0)
        return refuse(
            "messages.%u: `tool_use` ids were found without `tool_result` blocks immediately"
            " after: " STR_FMT ". Each `tool_use` block must have a corresponding"
            " `tool_result` block in the next message.",
            i - 1, STR_ARG(before->ids[0]));
    *before = calls;
    return true;
}

static bool
read_messages(struct mock_ask *ask, struct mock_refusal *why)
{
    const struct json *messages = json_get(ask->doc, S("messages"));
    struct json_iter it = json_iter(messages);
    struct previous *before = arena_new(ask->arena, struct previous);
    uint32_t i = 0;

    if (!json_present(messages))
        return refuse("messages: Field required");
    if (messages->type != JSON_ARRAY)
        return refuse("messages: Input should be a valid list");
    if (json_is_empty(messages))
        return refuse("messages: at least one message is required");
    for (; json_next(&it); i++)
        if (!read_message(ask, it.value, i, before, why))
            return false;
    if (before->count > 0)
        return refuse(
            "messages.%u: `tool_use` ids were found without `tool_result` blocks immediately"
            " after: " STR_FMT ".",
            i - 1, STR_ARG(before->ids[0]));
    return true;
}

/* --- the rest --- */

static bool
read_tools(struct mock_ask *ask, struct mock_refusal *why)
{
    const struct json *tools = json_get(ask->doc, S("tools"));
    struct json_iter it = json_iter(tools);

    if (!json_is(tools, JSON_ARRAY))
        return !json_present(tools) ? true : refuse("tools: Input should be a valid list");
    ask->tools = arena_array(ask->arena, struct mock_tool, json_count(tools) + 1);
    for (uint32_t i = 0; json_next(&it); i++) {
        const struct json *type = json_get(it.value, S("type"));
        const struct json *schema = json_get(it.value, S("input_schema"));

        ask->text_bytes += it.value->n;
        if (json_present(type) && !json_str_is(type, S("custom")))
            continue;    /* run by the provider */
        if (!json_is(json_get(it.value, S("name")), JSON_STRING))
            return refuse("tools.%u.custom.name: Field required", i);
        if (!json_present(schema))
            return refuse("tools.%u.custom.input_schema: Field required", i);
        if (!json_str_is(json_get(schema, S("type")), S("object")))
            return refuse("tools.%u.custom.input_schema.type: Input should be 'object'", i);
        ask->tools[ask->tool_count++] =
            (struct mock_tool){ .name = text_of(ask, it.value, "name"), .schema = schema };
    }
    return true;
}

static bool
read_tool_choice(struct mock_ask *ask, struct mock_refusal *why)
{
    const struct json *choice = json_get(ask->doc, S("tool_choice"));
    struct str type = text_of(ask, choice, "type");

    if (!json_present(choice))
        return true;
    ask->one_call = json_bool(json_get(choice, S("disable_parallel_tool_use")), false);
    ask->choice_name = text_of(ask, choice, "name");
    if (str_eq(type, S("auto")))
        ask->choice = MOCK_AUTO;
    else if (str_eq(type, S("any")))
        ask->choice = MOCK_MUST_CALL;
    else if (str_eq(type, S("none")))
        ask->choice = MOCK_NO_CALLS;
    else if (str_eq(type, S("tool")) && ask->choice_name.n > 0)
        ask->choice = MOCK_CALL_NAMED;
    else
        return refuse("tool_choice: Input tag '" STR_FMT
                      "' found using 'type' does not match any of the"
                      " expected tags: 'any', 'auto', 'none', 'tool'",
            STR_ARG(str_make(type.p, MIN(type.n, 100))));
    if (json_count(json_get(ask->doc, S("tools"))) == 0 && ask->choice != MOCK_NO_CALLS)
        return refuse("tool_choice: tool_choice may only be specified while providing tools");
    if (ask->tool_count == 0)    /* all of them are run by the provider: the client sees no call */
        ask->choice = MOCK_NO_CALLS;
    return true;
}

static bool
read_thinking(struct mock_ask *ask, struct mock_refusal *why)
{
    const struct json *thinking = json_get(ask->doc, S("thinking"));
    struct str type = text_of(ask, thinking, "type");
    int64_t budget = json_i64(json_get(thinking, S("budget_tokens")), 0);

    ask->thinking = str_eq(type, S("enabled")) || str_eq(type, S("adaptive"));
    if (!str_eq(type, S("enabled")))
        return true;
    if (budget < 1024)
        return refuse(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024");
    if (budget >= ask->max_tokens)
        return refuse("`max_tokens` must be greater than `thinking.budget_tokens`.");
    if (json_f64(json_get(ask->doc, S("temperature")), 1) != 1)
        return refuse("`temperature` may only be set to 1 when thinking is enabled.");
    if (ask->choice == MOCK_MUST_CALL || ask->choice == MOCK_CALL_NAMED)
        return refuse("Thinking may not be enabled when tool_choice forces tool use.");
    return true;
}

static bool
read_limits(struct mock_ask *ask, struct mock_refusal *why)
{
    const struct json *max = json_get(ask->doc, S("max_tokens"));
    const struct json *temperature = json_get(ask->doc, S("temperature"));
    double t = json_f64(temperature, 0);
    struct json_iter it = json_iter(json_get(ask->doc, S("stop_sequences")));

    if (!json_present(max))
        return refuse("max_tokens: Field required");
    if (max->type != JSON_NUMBER)
        return refuse("max_tokens: Input should be a valid integer");
    ask->max_tokens = json_i64(max, 0);
    if (ask->max_tokens < 1)
        return refuse("max_tokens: Input should be greater than or equal to 1");
    if (json_present(temperature) && (t < 0 || t > 1))
        return refuse("temperature: range: 0..1");
    while (ask->stop_count < ARRAY_LEN(ask->stops) && json_next(&it)) {
        struct str stop = json_str(ask->arena, it.value);
        if (str_trim(stop).n == 0)
            return refuse("stop_sequences: each stop sequence must contain non-whitespace");
        ask->stops[ask->stop_count++] = stop;
    }
    return true;
}

/* With the `strict` knob extra inputs are refused, as by the API. */
static bool
check_known(struct mock_ask *ask, struct mock_refusal *why)
{
    static const char *const known[] = { "model", "max_tokens", "messages", "system", "temperature",
        "top_p", "top_k", "stop_sequences", "stream", "tools", "tool_choice", "thinking",
        "output_config", "output_format", "metadata", "service_tier", "container",
        "context_management", "mcp_servers", "cache_control" };
    struct json_iter it = json_iter(ask->doc);

    while (ask->plan->strict && json_next(&it)) {
        bool found = false;
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            found |= json_str_is(it.key, str_c(known[i]));
        if (!found)
            return refuse(STR_FMT ": Extra inputs are not permitted",
                STR_ARG(str_make(it.key->p + 1, MIN(it.key->n - 2, 100))));
    }
    return true;
}

/* Reads what /v1/messages and count_tokens have in common. */
static bool
read_conversation(struct mock_ask *ask, struct mock_refusal *why)
{
    const struct json *system = json_get(ask->doc, S("system"));
    const struct json *schema = json_at(ask->doc, "output_config.format.schema");

    if (http_field_get(&ask->head->fields, S("anthropic-version")).n == 0)
        return refuse("anthropic-version: header is required");
    if (ask->model.n == 0)
        return refuse("model: Field required");
    if (json_present(json_get(ask->doc, S("thread"))))    /* nothing is kept between requests */
        return mock_refuse(ask, why, 400, "thread_unsupported_request", (struct str){ NULL, 0 },
            "thread: this model keeps no threads");
    ask->text_bytes += json_present(system) ? system->n : 0;
    ask->schema = schema != NULL ? schema : json_at(ask->doc, "output_format.schema");
    ask->want_json = ask->schema != NULL;
    return check_known(ask, why) && read_messages(ask, why) && read_tools(ask, why) &&
           read_tool_choice(ask, why);
}

bool
mock_anthropic_read(struct mock_ask *ask, struct mock_refusal *why)
{
    ask->stream = json_bool(json_get(ask->doc, S("stream")), false);
    ask->top_logprobs = -1;
    ask->n = 1;
    return read_limits(ask, why) && read_conversation(ask, why) && read_thinking(ask, why);
}

bool
mock_anthropic_count_tokens(struct mock_ask *ask, struct buf *out, struct mock_refusal *why)
{
    if (!read_conversation(ask, why))
        return false;
    buf_printf(out, "{\"input_tokens\":%llu}", (unsigned long long)mock_input_tokens(ask));
    return true;
}

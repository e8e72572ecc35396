/* openai_read.c - requests to the OpenAI API, read as strictly as the provider reads them.
 *
 * Whatever a gateway translates wrongly must be refused here: a call without its result, a result
 * without its call, an image in a tool's message.
 */
#include <stdio.h>

#include "mock/openai.h"

enum { PENDING_CALLS_MAX = 128 };

/* Calls of the last assistant message that no tool message has answered yet. */
struct pending {
    struct str ids[PENDING_CALLS_MAX];
    size_t count;
    bool had_calls;
};

static struct str
param(struct mock_ask *ask, const char *format, uint32_t i, uint32_t k)
{
    char room[96];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(room, sizeof(room), format, i, k);
#pragma GCC diagnostic pop
    return arena_str(ask->arena, str_c(room));
}

static struct str
text_of(struct mock_ask *ask, const struct json *object, const char *key)
{
    return json_str(ask->arena, json_get(object, str_c(key)));
}

static const char *
type_name(const struct json *j)
{
    static const char *const names[] = {
        [JSON_NULL] = "null",
        [JSON_FALSE] = "a boolean",
        [JSON_TRUE] = "a boolean",
        [JSON_NUMBER] = "a number",
        [JSON_STRING] = "a string",
        [JSON_ARRAY] = "an array",
        [JSON_OBJECT] = "an object",
    };

    return j == NULL ? "nothing" : names[j->type];
}

/* "sk-abcdefghijkl" -> "sk-abcde***ijkl", as the provider shows a wrong key. */
static struct str
mask_key(struct arena *a, struct str key)
{
    size_t head = MIN(key.n / 3, 8);
    size_t tail = MIN(key.n / 3, 4);

    return arena_printf(a, STR_FMT "***********" STR_FMT, STR_ARG(str_make(key.p, head)),
        STR_ARG(str_skip(key, key.n - tail)));
}

bool
mock_openai_check_key(struct mock_ask *ask, struct str key, struct mock_refusal *why)
{
    struct str given = http_field_get(&ask->head->fields, S("authorization"));

    if (!str_istarts(given, S("bearer ")))
        return mock_refuse(ask, why, 401, NULL, (struct str){ NULL, 0 },
            "You didn't provide an API key. You need to provide your API key in an Authorization"
            " header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).");
    given = str_trim(str_skip(given, strlen("bearer ")));
    if (str_eq_secret(given, key))
        return true;

    struct str masked = mask_key(ask->arena, given);
    return mock_refuse(ask, why, 401, "invalid_api_key", (struct str){ NULL, 0 },
        "Incorrect API key provided: " STR_FMT ". You can find your API key at"
        " https://platform.openai.com/account/api-keys.",
        STR_ARG(masked));
}

/* --- single members --- */

static bool
missing(struct mock_ask *ask, struct mock_refusal *why, struct str name)
{
    return mock_refuse(ask, why, 400, "missing_required_parameter", name,
        "Missing required parameter: '" STR_FMT "'.", STR_ARG(name));
}

static bool
wrong_type(struct mock_ask *ask, struct mock_refusal *why, struct str name, const char *wanted,
    const struct json *got)
{
    return mock_refuse(ask, why, 400, "invalid_type", name,
        "Invalid type for '" STR_FMT "': expected %s, but got %s instead.", STR_ARG(name), wanted,
        type_name(got));
}

static bool
wrong_value(struct mock_ask *ask, struct mock_refusal *why, struct str name, struct str got,
    const char *supported)
{
    return mock_refuse(ask, why, 400, "invalid_value", name,
        "Invalid value: '" STR_FMT "'. Supported values are: %s.",
        STR_ARG(str_make(got.p, MIN(got.n, 100))), supported);
}

bool
mock_openai_integer(struct mock_ask *ask, const char *key, int64_t least, int64_t most,
    int64_t *ret, struct mock_refusal *why)
{
    const struct json *j = json_get(ask->doc, str_c(key));

    if (!json_present(j))
        return true;
    if (j->type != JSON_NUMBER)
        return wrong_type(ask, why, str_c(key), "an integer", j);
    *ret = json_i64(j, 0);
    if (*ret < least)
        return mock_refuse(ask, why, 400, "integer_below_min_value", str_c(key),
            "Invalid '%s': integer below minimum value. Expected a value >= %lld, but got %lld "
            "instead.",
            key, (long long)least, (long long)*ret);
    if (*ret > most)
        return mock_refuse(ask, why, 400, "integer_above_max_value", str_c(key),
            "Invalid '%s': integer above maximum value. Expected a value <= %lld, but got %lld "
            "instead.",
            key, (long long)most, (long long)*ret);
    return true;
}

static bool
check_decimal(
    struct mock_ask *ask, const char *key, double least, double most, struct mock_refusal *why)
{
    const struct json *j = json_get(ask->doc, str_c(key));
    double v = json_f64(j, least);

    if (!json_present(j))
        return true;
    if (j->type != JSON_NUMBER)
        return wrong_type(ask, why, str_c(key), "a decimal", j);
    if (v < least)
        return mock_refuse(ask, why, 400, "decimal_below_min_value", str_c(key),
            "Invalid '%s': decimal below minimum value. Expected a value >= %g, but got %g "
            "instead.",
            key, least, v);
    if (v > most)
        return mock_refuse(ask, why, 400, "decimal_above_max_value", str_c(key),
            "Invalid '%s': decimal above maximum value. Expected a value <= %g, but got %g "
            "instead.",
            key, most, v);
    return true;
}

/* --- messages --- */

static bool
read_part(struct mock_ask *ask, const struct json *part, uint32_t i, uint32_t k, bool text_only,
    struct mock_refusal *why)
{
    struct str type = text_of(ask, part, "type");

    if (!json_is(part, JSON_OBJECT))
        return wrong_type(
            ask, why, param(ask, "messages[%u].content[%u]", i, k), "an object", part);
    if (str_eq(type, S("text"))) {
        if (!json_is(json_get(part, S("text")), JSON_STRING))
            return missing(ask, why, param(ask, "messages[%u].content[%u].text", i, k));
        ask->text_bytes += json_get(part, S("text"))->n;
        return true;
    }
    if (str_eq(type, S("refusal")))
        return true;
    if (text_only)
        return wrong_value(
            ask, why, param(ask, "messages[%u].content[%u].type", i, k), type, "'text'");
    if (str_eq(type, S("image_url"))) {
        if (!json_is(json_at(part, "image_url.url"), JSON_STRING))
            return missing(ask, why, param(ask, "messages[%u].content[%u].image_url.url", i, k));
        ask->images++;
        return true;
    }
    if (str_eq(type, S("input_audio")) || str_eq(type, S("file"))) {
        ask->images++;
        return true;
    }
    return wrong_value(ask, why, param(ask, "messages[%u].content[%u].type", i, k), type,
        "'text', 'image_url', 'input_audio', 'refusal', 'audio', and 'file'");
}

static bool
read_content(struct mock_ask *ask, const struct json *message, uint32_t i, bool text_only,
    bool optional, struct mock_refusal *why)
{
    const struct json *content = json_get(message, S("content"));
    struct json_iter it = json_iter(content);

    if (json_is(content, JSON_STRING)) {
        ask->text_bytes += content->n;
        return true;
    }
    if (!json_present(content)) {
        if (optional)
            return true;
        if (content == NULL)
            return missing(ask, why, param(ask, "messages[%u].content", i, 0));
        return mock_refuse(ask, why, 400, NULL, param(ask, "messages[%u].content", i, 0),
            "Invalid value for 'content': expected a string, got null.");
    }
    if (content->type != JSON_ARRAY)
        return wrong_type(ask, why, param(ask, "messages[%u].content", i, 0),
            "one of a string or array of objects", content);
    for (uint32_t k = 0; json_next(&it); k++)
        if (!read_part(ask, it.value, i, k, text_only, why))
            return false;
    return true;
}

/* The text of a message, for the greeting and the echo: its string, or its first text part. */
static struct str
words_of(struct mock_ask *ask, const struct json *message)
{
    const struct json *content = json_get(message, S("content"));
    struct json_iter it = json_iter(content);

    while (json_is(content, JSON_ARRAY) && json_next(&it))
        if (json_str_is(json_get(it.value, S("type")), S("text")))
            return text_of(ask, it.value, "text");
    return json_str(ask->arena, content);
}

static bool
check_answered(struct mock_ask *ask, const struct pending *p, struct mock_refusal *why)
{
    if (p->count == 0)
        return true;
    return mock_refuse(ask, why, 400, NULL, S("messages"),
        "An assistant message with 'tool_calls' must be followed by tool messages responding to "
        "each"
        " 'tool_call_id'. The following tool_call_ids did not have response messages: " STR_FMT,
        STR_ARG(p->ids[0]));
}

static bool
read_assistant(struct mock_ask *ask, const struct json *message, uint32_t i, struct pending *p,
    struct mock_refusal *why)
{
    const struct json *calls = json_get(message, S("tool_calls"));
    struct json_iter it = json_iter(calls);
    bool optional = json_present(calls) || json_present(json_get(message, S("refusal"))) ||
                    json_present(json_get(message, S("audio"))) ||
                    json_present(json_get(message, S("function_call")));

    p->had_calls = json_is(calls, JSON_ARRAY);
    if (json_is(calls, JSON_ARRAY) && json_is_empty(calls))
        return mock_refuse(ask, why, 400, "empty_array",
            param(ask, "messages[%u].tool_calls", i, 0),
            "Invalid 'messages[%u].tool_calls': empty array. Expected an array with minimum length "
            "1,"
            " but got an empty array instead.",
            i);
    for (uint32_t k = 0; json_is(calls, JSON_ARRAY) && json_next(&it); k++) {
        const struct json *args = json_at(it.value, "function.arguments");
        bool custom = json_get(it.value, S("custom")) != NULL;

        if (!json_is(json_get(it.value, S("id")), JSON_STRING))
            return missing(ask, why, param(ask, "messages[%u].tool_calls[%u].id", i, k));
        if (!custom && !json_is(args, JSON_STRING))
            return args == NULL
                       ? missing(ask, why,
                             param(ask, "messages[%u].tool_calls[%u].function.arguments", i, k))
                       : wrong_type(ask, why,
                             param(ask, "messages[%u].tool_calls[%u].function.arguments", i, k),
                             "a string", args);
        ask->text_bytes += it.value->n;
        if (p->count < PENDING_CALLS_MAX)
            p->ids[p->count++] = text_of(ask, it.value, "id");
    }
    return read_content(ask, message, i, true, optional, why);
}

static bool
read_tool_result(struct mock_ask *ask, const struct json *message, uint32_t i, struct pending *p,
    struct mock_refusal *why)
{
    struct str id = text_of(ask, message, "tool_call_id");

    if (id.n == 0)
        return missing(ask, why, param(ask, "messages[%u].tool_call_id", i, 0));
    if (!p->had_calls)
        return mock_refuse(ask, why, 400, NULL, param(ask, "messages.[%u].role", i, 0),
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding "
            "message"
            " with 'tool_calls'.");
    for (size_t k = 0; k < p->count; k++) {
        if (str_eq(p->ids[k], id)) {
            p->ids[k] = p->ids[--p->count];
            return read_content(ask, message, i, true, false, why);
        }
    }
    return mock_refuse(ask, why, 400, NULL, param(ask, "messages[%u].tool_call_id", i, 0),
        "Invalid parameter: 'tool_call_id' of '" STR_FMT "' not found in 'tool_calls' of previous"
        " message.",
        STR_ARG(str_make(id.p, MIN(id.n, 100))));
}

static bool
read_message(struct mock_ask *ask, const struct json *message, uint32_t i, struct pending *p,
    struct mock_refusal *why)
{
    struct str role = text_of(ask, message, "role");
    bool tool = str_eq(role, S("tool"));

    if (!json_is(message, JSON_OBJECT))
        return wrong_type(ask, why, param(ask, "messages[%u]", i, 0), "an object", message);
    if (role.n == 0)
        return missing(ask, why, param(ask, "messages[%u].role", i, 0));
    ask->after_tool = tool || str_eq(role, S("function"));
    ask->text_bytes += 12;    /* what separates two messages */
    if (tool)
        return read_tool_result(ask, message, i, p, why);
    if (!check_answered(ask, p, why))
        return false;
    p->had_calls = false;
    if (str_eq(role, S("assistant")))
        return read_assistant(ask, message, i, p, why);
    if (str_eq(role, S("user"))) {
        ask->last_text = words_of(ask, message);
        return read_content(ask, message, i, false, false, why);
    }
    if (str_eq(role, S("system")) || str_eq(role, S("developer")) || str_eq(role, S("function")))
        return read_content(ask, message, i, true, false, why);
    return wrong_value(ask, why, param(ask, "messages[%u].role", i, 0), role,
        "'system', 'assistant', 'user', 'function', 'tool', and 'developer'");
}

static bool
read_messages(struct mock_ask *ask, struct mock_refusal *why)
{
    const struct json *messages = json_get(ask->doc, S("messages"));
    struct json_iter it = json_iter(messages);
    struct pending *p = arena_new(ask->arena, struct pending);

    if (!json_present(messages))
        return missing(ask, why, S("messages"));
    if (messages->type != JSON_ARRAY)
        return wrong_type(ask, why, S("messages"), "an array of objects", messages);
    if (json_is_empty(messages))
        return mock_refuse(ask, why, 400, "empty_array", S("messages"),
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an"
            " empty array instead.");
    for (uint32_t i = 0; json_next(&it); i++)
        if (!read_message(ask, it.value, i, p, why))
            return false;
    return check_answered(ask, p, why);
}

/* --- tools, formats, sampling --- */

static bool
read_tools(struct mock_ask *ask, struct mock_refusal *why)
{
    const struct json *tools = json_get(ask->doc, S("tools"));
    struct json_iter it = json_iter(tools);

    if (!json_present(tools))
        return true;
    if (tools->type != JSON_ARRAY)
        return wrong_type(ask, why, S("tools"), "an array of objects", tools);
    ask->tools = arena_array(ask->arena, struct mock_tool, json_count(tools) + 1);
    for (uint32_t i = 0; json_next(&it); i++) {
        bool custom = json_str_is(json_get(it.value, S("type")), S("custom"));
        const struct json *inner = json_get(it.value, custom ? S("custom") : S("function"));

        if (!json_is(json_get(it.value, S("type")), JSON_STRING))
            return missing(ask, why, param(ask, "tools[%u].type", i, 0));
        if (!json_is(json_get(inner, S("name")), JSON_STRING))
            return missing(ask, why, param(ask, "tools[%u].function.name", i, 0));
        ask->tools[ask->tool_count++] = (struct mock_tool){
            .name = text_of(ask, inner, "name"),
            .schema = json_get(inner, S("parameters")),
            .custom = custom,
        };
        ask->text_bytes += it.value->n;
    }
    return true;
}

static bool
read_tool_choice(struct mock_ask *ask, struct mock_refusal *why)
{
    const struct json *choice = json_get(ask->doc, S("tool_choice"));

    ask->one_call = !json_bool(json_get(ask->doc, S("parallel_tool_calls")), true);
    if (!json_present(choice))
        return true;
    if (ask->tool_count == 0)
        return mock_refuse(ask, why, 400, NULL, S("tool_choice"),
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are "
            "specified.");
    if (json_str_is(choice, S("none"))) {
        ask->choice = MOCK_NO_CALLS;
    } else if (json_str_is(choice, S("required"))) {
        ask->choice = MOCK_MUST_CALL;
    } else if (json_is(choice, JSON_OBJECT)) {
        bool custom = json_get(choice, S("custom")) != NULL;
        ask->choice = MOCK_CALL_NAMED;
        ask->choice_name =
            text_of(ask, json_get(choice, custom ? S("custom") : S("function")), "name");
    } else if (!json_str_is(choice, S("auto"))) {
        return wrong_value(ask, why, S("tool_choice"), json_str(ask->arena, choice),
            "'none', 'auto', and 'required'");
    }
    return true;
}

static bool
read_format(struct mock_ask *ask, struct mock_refusal *why)
{
    const struct json *format = json_get(ask->doc, S("response_format"));
    struct str type = text_of(ask, format, "type");

    if (!json_present(format) || str_eq(type, S("text")))
        return true;
    if (str_eq(type, S("json_object"))) {
        ask->want_json = true;
        return true;
    }
    if (!str_eq(type, S("json_schema")))
        return wrong_value(
            ask, why, S("response_format.type"), type, "'json_object', 'json_schema', and 'text'");
    if (!json_is(json_at(format, "json_schema.name"), JSON_STRING))
        return missing(ask, why, S("response_format.json_schema.name"));
    ask->want_json = true;
    ask->schema = json_at(format, "json_schema.schema");
    return true;
}

static bool
read_stops(struct mock_ask *ask, struct mock_refusal *why)
{
    const struct json *stop = json_get(ask->doc, S("stop"));
    struct json_iter it = json_iter(stop);

    if (json_is(stop, JSON_STRING))
        ask->stops[ask->stop_count++] = json_str(ask->arena, stop);
    if (!json_is(stop, JSON_ARRAY))
        return true;
    if (json_count(stop) > 4)
        return mock_refuse(ask, why, 400, "array_above_max_length", S("stop"),
            "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an "
            "array"
            " with length %u instead.",
            json_count(stop));
    while (json_next(&it))
        ask->stops[ask->stop_count++] = json_str(ask->arena, it.value);
    return true;
}

static bool
read_limits(struct mock_ask *ask, struct mock_refusal *why)
{
    int64_t old = 0;
    int64_t n = 1;
    int64_t top = 0;
    bool logprobs = json_bool(json_get(ask->doc, S("logprobs")), false);

    if (!mock_openai_integer(ask, "max_tokens", 1, INT32_MAX, &old, why) ||
        !mock_openai_integer(ask, "max_completion_tokens", 1, INT32_MAX, &ask->max_tokens, why) ||
        !mock_openai_integer(ask, "n", 1, 128, &n, why) ||
        !check_decimal(ask, "temperature", 0, 2, why) || !check_decimal(ask, "top_p", 0, 1, why) ||
        !check_decimal(ask, "presence_penalty", -2, 2, why) ||
        !check_decimal(ask, "frequency_penalty", -2, 2, why))
        return false;
    if (old != 0 && ask->max_tokens != 0)
        return mock_refuse(ask, why, 400, "invalid_parameter_combination", S("max_tokens"),
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.");
    ask->max_tokens = MAX(ask->max_tokens, old);
    ask->n = (unsigned)n;
    if (json_present(json_get(ask->doc, S("top_logprobs"))) && !logprobs)
        return mock_refuse(ask, why, 400, NULL, S("top_logprobs"),
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.");
    if (!mock_openai_integer(ask, "top_logprobs", 0, 20, &top, why))
        return false;
    ask->top_logprobs = logprobs ? (int)top : -1;
    return true;
}

static bool
read_stream(struct mock_ask *ask, struct mock_refusal *why)
{
    const struct json *options = json_get(ask->doc, S("stream_options"));

    ask->stream = json_bool(json_get(ask->doc, S("stream")), false);
    ask->want_usage = json_bool(json_get(options, S("include_usage")), false);
    if (json_present(options) && !ask->stream)
        return mock_refuse(ask, why, 400, NULL, S("stream_options"),
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    return true;
}

/* With the `strict` knob, parameters that the published API does not have are refused. */
static bool
check_known(struct mock_ask *ask, struct mock_refusal *why)
{
    static const char *const known[] = { "model", "messages", "max_completion_tokens", "max_tokens",
        "temperature", "top_p", "n", "stop", "seed", "presence_penalty", "frequency_penalty",
        "logit_bias", "logprobs", "top_logprobs", "response_format", "tools", "tool_choice",
        "parallel_tool_calls", "functions", "function_call", "reasoning_effort", "verbosity",
        "stream", "stream_options", "user", "safety_identifier", "prompt_cache_key",
        "prompt_cache_retention", "prompt_cache_options", "service_tier", "store", "metadata",
        "modalities", "audio", "prediction", "web_search_options", "moderation" };
    struct json_iter it = json_iter(ask->doc);

    while (ask->plan->strict && json_next(&it)) {
        bool found = false;
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            found |= json_str_is(it.key, str_c(known[i]));
        if (!found) {
            struct str name = json_str(ask->arena, it.key);
            return mock_refuse(ask, why, 400, "unknown_parameter", name,
                "Unknown parameter: '" STR_FMT "'.", STR_ARG(str_make(name.p, MIN(name.n, 100))));
        }
    }
    return true;
}

bool
mock_openai_read_chat(struct mock_ask *ask, struct mock_refusal *why)
{
    if (ask->model.n == 0)
        return mock_refuse(
            ask, why, 400, NULL, (struct str){ NULL, 0 }, "you must provide a model parameter");
    return check_known(ask, why) && read_messages(ask, why) && read_tools(ask, why) &&
           read_tool_choice(ask, why) && read_format(ask, why) && read_stops(ask, why) &&
           read_limits(ask, why) && read_stream(ask, why);
}

bool
mock_openai_read_completion(struct mock_ask *ask, struct mock_refusal *why)
{
    const struct json *prompt = json_get(ask->doc, S("prompt"));
    struct json_iter it = json_iter(prompt);
    int64_t n = 1;

    if (ask->model.n == 0)
        return mock_refuse(
            ask, why, 400, NULL, (struct str){ NULL, 0 }, "you must provide a model parameter");
    if (json_is(prompt, JSON_STRING))
        ask->last_text = json_str(ask->arena, prompt);
    if (json_is(prompt, JSON_ARRAY) && json_next(&it))
        ask->last_text = json_str(ask->arena, it.value);
    ask->text_bytes += prompt != NULL ? prompt->n : 0;
    if (!mock_openai_integer(ask, "max_tokens", 0, INT32_MAX, &ask->max_tokens, why) ||
        !mock_openai_integer(ask, "n", 1, 128, &n, why) || !read_stops(ask, why) ||
        !read_stream(ask, why))
        return false;
    ask->n = (unsigned)n;
    return true;
}

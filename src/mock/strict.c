/* strict.c - the rules of providers about requests that their protocol can express. */
#include "mock/strict.h"

enum { PENDING_CALLS_MAX = 128 };

#define refuse(param, ...) mock_refuse(r->arena, ret, str_c(param), __VA_ARGS__)

/* --- rules of all providers --- */

/* Calls of the last assistant message that no result has answered yet. */
struct pending {
    struct str ids[PENDING_CALLS_MAX];
    size_t count;
};

static bool
take_result(struct pending *p, struct str id)
{
    for (size_t i = 0; i < p->count; i++) {
        if (str_eq(p->ids[i], id)) {
            p->ids[i] = p->ids[--p->count];
            return true;
        }
    }
    return false;
}

/* Every call is answered by the messages that follow at once: one of the user, or several of
 * tools. Text is not empty. */
static bool
judge_messages(const struct llm_request *r, struct llm_error *ret)
{
    struct pending *p = arena_new(r->arena, struct pending);

    for (const struct llm_message *m = r->messages; m != NULL; m = m->next) {
        for (const struct llm_part *part = m->parts; part != NULL; part = part->next) {
            struct str id = str_make(part->id.p, MIN(part->id.n, 100));

            if (part->kind == PART_TOOL_RESULT && !take_result(p, part->id))
                return refuse("messages",
                    "the result of call '" STR_FMT "' does not follow that call", STR_ARG(id));
            if (part->kind == PART_TEXT && part->text.n == 0)
                return refuse("messages", "messages: text content blocks must be non-empty");
        }
        if (m->role != ROLE_TOOL && p->count > 0)
            break;
        for (const struct llm_part *part = m->parts; part != NULL; part = part->next)
            if (part->kind == PART_TOOL_CALL && p->count < PENDING_CALLS_MAX)
                p->ids[p->count++] = part->id;
    }
    if (p->count > 0)
        return refuse("messages", "call '" STR_FMT "' is not followed by its result",
            STR_ARG(str_make(p->ids[0].p, MIN(p->ids[0].n, 100))));
    return true;
}

static bool
judge_number(const struct llm_request *r, const char *name, const struct json *j, double least,
    double most, struct llm_error *ret)
{
    if (j != NULL && (json_f64(j, least) < least || json_f64(j, least) > most))
        return refuse(name, "%s: must be from %g to %g", name, least, most);
    return true;
}

bool
mock_judge(const struct mock_provider *p, const struct http_head *head, const struct llm_request *r,
    bool published, struct llm_error *ret)
{
    struct json_iter it = json_iter(r->doc);

    if (p->version.n > 0 && http_field_get(&head->fields, p->version).n == 0)
        return refuse("", STR_FMT ": header is required", STR_ARG(p->version));
    while (published && p->published != NULL && json_next(&it)) {
        const char *const *known = p->published;

        while (*known != NULL && !json_str_is(it.key, str_c(*known)))
            known++;
        if (*known == NULL) {
            struct str name = json_str(r->arena, it.key);

            return mock_refuse(r->arena, ret, name, "Unknown parameter: '" STR_FMT "'.",
                STR_ARG(str_make(name.p, MIN(name.n, 100))));
        }
    }
    return judge_messages(r, ret) && judge_number(r, "top_p", r->top_p, 0, 1, ret) &&
           (p->judge == NULL || p->judge(r, ret));
}

/* --- OpenAI --- */

const char *const openai_published[] = { "model", "messages", "max_completion_tokens", "max_tokens",
    "temperature", "top_p", "n", "stop", "seed", "presence_penalty", "frequency_penalty",
    "logit_bias", "logprobs", "top_logprobs", "response_format", "tools", "tool_choice",
    "parallel_tool_calls", "functions", "function_call", "reasoning_effort", "verbosity", "stream",
    "stream_options", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
    "prompt_cache_options", "service_tier", "store", "metadata", "modalities", "audio",
    "prediction", "web_search_options", "moderation", NULL };

static size_t
count_words(const struct llm_word *w)
{
    size_t n = 0;

    for (; w != NULL; w = w->next)
        n++;
    return n;
}

static bool
has(const struct json *object, const char *key)
{
    return json_present(json_get(object, str_c(key)));
}

/* Assistants' and tools' messages hold text only, besides calls. */
static bool
judge_openai_parts(const struct llm_request *r, struct llm_error *ret)
{
    for (const struct llm_message *m = r->messages; m != NULL; m = m->next) {
        for (const struct llm_part *part = m->parts; part != NULL; part = part->next) {
            const struct llm_part *p = part->kind == PART_TOOL_RESULT ? part->result
                                       : m->role == ROLE_ASSISTANT    ? part
                                                                      : NULL;

            for (; p != NULL; p = part->kind == PART_TOOL_RESULT ? p->next : NULL)
                if (p->kind == PART_IMAGE || p->kind == PART_AUDIO || p->kind == PART_VIDEO ||
                    p->kind == PART_FILE)
                    return refuse("messages", "only messages of users may hold media");
        }
    }
    return true;
}

/* What a reader of callers' requests does not keep. */
static bool
judge_openai_document(const struct llm_request *r, struct llm_error *ret)
{
    struct json_iter it = json_iter(json_get(r->doc, S("messages")));

    while (json_next(&it)) {
        const struct json *calls = json_get(it.value, S("tool_calls"));
        struct json_iter call = json_iter(calls);

        if (json_is(calls, JSON_ARRAY) && json_is_empty(calls))
            return refuse("messages", "messages: 'tool_calls' must not be empty");
        while (json_next(&call)) {
            const struct json *args = json_at(call.value, "function.arguments");

            if (!has(call.value, "custom") && !json_is(args, JSON_STRING))
                return refuse("messages", "messages: 'arguments' must be a string");
        }
        if (json_str_is(json_get(it.value, S("role")), S("assistant")) &&
            !has(it.value, "content") && !has(it.value, "tool_calls") &&
            !has(it.value, "function_call") && !has(it.value, "refusal") && !has(it.value, "audio"))
            return refuse("messages", "messages: an assistant's message needs 'content'");
    }
    if (has(r->doc, "max_tokens") && has(r->doc, "max_completion_tokens"))
        return refuse("max_tokens", "Setting 'max_tokens' and 'max_completion_tokens' at the same"
                                    " time is not supported.");
    if (has(r->doc, "stream_options") && !r->stream)
        return refuse("stream_options", "The 'stream_options' parameter is only allowed when"
                                        " 'stream' is enabled.");
    return true;
}

bool
judge_openai(const struct llm_request *r, struct llm_error *ret)
{
    for (const struct llm_tool *tool = r->tools; tool != NULL; tool = tool->next)
        if (tool->raw != NULL)
            return refuse("tools", "tools: 'type' must be 'function' or 'custom'");
    if (r->choice != CHOICE_UNSET && r->tools == NULL)
        return refuse("tool_choice", "Invalid value for 'tool_choice': 'tool_choice' is only"
                                     " allowed when 'tools' are specified.");
    if (count_words(r->stop) > 4)
        return refuse("stop", "Invalid 'stop': expected an array with maximum length 4.");
    if (r->top_logprobs != NULL && r->logprobs == NULL)
        return refuse("top_logprobs", "The 'top_logprobs' parameter is only allowed when"
                                      " 'logprobs' is enabled.");
    return judge_number(r, "top_logprobs", r->top_logprobs, 0, 20, ret) &&
           judge_number(r, "temperature", r->temperature, 0, 2, ret) &&
           judge_number(r, "presence_penalty", r->presence_penalty, -2, 2, ret) &&
           judge_number(r, "frequency_penalty", r->frequency_penalty, -2, 2, ret) &&
           judge_openai_parts(r, ret) && judge_openai_document(r, ret);
}

/* --- Anthropic --- */

const char *const anthropic_published[] = { "model", "max_tokens", "messages", "system",
    "temperature", "top_p", "top_k", "stop_sequences", "stream", "tools", "tool_choice", "thinking",
    "output_config", "output_format", "metadata", "service_tier", "container", "context_management",
    "mcp_servers", "cache_control", NULL };

static bool
judge_anthropic_parts(const struct llm_request *r, struct llm_error *ret)
{
    for (const struct llm_message *m = r->messages; m != NULL; m = m->next) {
        for (const struct llm_part *part = m->parts; part != NULL; part = part->next) {
            if (part->kind == PART_TOOL_CALL && (part->id.n == 0 || !str_has_only(part->id, "_-")))
                return refuse(
                    "messages", "tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'");
            if (part->kind == PART_TOOL_CALL && !str_starts(part->args, S("{")))
                return refuse("messages", "tool_use.input: Input should be a valid dictionary");
            if (part->kind == PART_REASONING && part->signature.n == 0 && part->redacted.n == 0)
                return refuse("messages", "thinking.signature: Field required");
        }
    }
    return true;
}

/* What a reader of callers' requests does not keep: it sorts the results to the front, and takes
 * system text anywhere. */
static bool
judge_anthropic_document(const struct llm_request *r, struct llm_error *ret)
{
    struct json_iter it = json_iter(json_get(r->doc, S("messages")));

    for (bool first = true; json_next(&it); first = false) {
        const struct json *role = json_get(it.value, S("role"));
        struct json_iter block = json_iter(json_get(it.value, S("content")));
        bool others = false;

        if (json_str_is(role, S("system")))
            return refuse("messages",
                "messages: Unexpected role \"system\". The Messages API accepts a top-level"
                " `system` parameter, not \"system\" as an input message role.");
        if (first && !json_str_is(role, S("user")))
            return refuse("messages", "messages: first message must use the \"user\" role");
        while (json_next(&block)) {
            bool result = json_str_is(json_get(block.value, S("type")), S("tool_result"));

            if (result && others)
                return refuse("messages", "messages: `tool_result` blocks must come first");
            others |= !result;
        }
    }
    return true;
}

static bool
judge_anthropic_tools(const struct llm_request *r, struct llm_error *ret)
{
    for (const struct llm_tool *tool = r->tools; tool != NULL; tool = tool->next) {
        const struct json *schema =
            tool->schema.n > 0 ? json_parse(r->arena, tool->schema, NULL, NULL) : NULL;

        if (tool->raw == NULL && !json_str_is(json_get(schema, S("type")), S("object")))
            return refuse("tools", "tools.custom.input_schema.type: Input should be 'object'");
    }
    if (r->choice != CHOICE_UNSET && r->choice != CHOICE_NONE && r->tools == NULL)
        return refuse(
            "tool_choice", "tool_choice: tool_choice may only be specified while providing tools");
    return true;
}

static bool
judge_thinking(const struct llm_request *r, struct llm_error *ret)
{
    if (r->reasoning_budget <= 0)
        return true;
    if (r->reasoning_budget < 1024)
        return refuse("thinking",
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024");
    if (r->op == OP_CHAT && r->reasoning_budget >= r->max_tokens)
        return refuse("thinking", "`max_tokens` must be greater than `thinking.budget_tokens`.");
    if (json_f64(r->temperature, 1) != 1)
        return refuse(
            "temperature", "`temperature` may only be set to 1 when thinking is enabled.");
    if (r->choice == CHOICE_REQUIRED || r->choice == CHOICE_NAMED)
        return refuse("thinking", "Thinking may not be enabled when tool_choice forces tool use.");
    return true;
}

bool
judge_anthropic(const struct llm_request *r, struct llm_error *ret)
{
    if (r->op == OP_CHAT && r->max_tokens < 1)
        return refuse("max_tokens", "max_tokens: Input should be greater than or equal to 1");
    for (const struct llm_word *stop = r->stop; stop != NULL; stop = stop->next)
        if (str_trim(stop->text).n == 0)
            return refuse(
                "stop_sequences", "stop_sequences: each stop sequence must contain non-whitespace");
    return judge_number(r, "temperature", r->temperature, 0, 1, ret) &&
           judge_anthropic_document(r, ret) && judge_anthropic_parts(r, ret) &&
           judge_anthropic_tools(r, ret) && judge_thinking(r, ret);
}

/* read_request.c - reads an OpenAI caller's request.
 *
 * The head is read leniently: unknown members are passed to a provider of the same wire. The
 * conversation is read strictly, because it is about to be translated: an error names the field
 * concerned.
 */
#include "wires/openai_chat/reading.h"

#include "base/map.h"

enum {
    MODEL_MAX = 256,
    ELEMENTS_MAX = 100000,    /* messages, parts and tools of one request */
    CHOICES_MAX = 128,
};

const struct read_member openai_members[] = {
    { .name = "model" },
    { .name = "messages" },
    { .name = "prompt" },
    { .name = "input" },
    { .name = "stream" },
    { .name = "stream_options" },
    { .name = "max_tokens" },
    { .name = "max_completion_tokens" },
    { .name = "tools" },
    { .name = "tool_choice" },
    { .name = "functions" },
    { .name = "function_call" },
    { .name = "response_format" },
    { .name = "stop" },
    { .name = "user" },
    { .name = "safety_identifier" },
    { .name = "service_tier" },
    { .name = "reasoning_effort" },
    { .name = "reasoning" },
    { .name = "thinking" },
    { .name = "n" },
    { .name = "parallel_tool_calls" },
    { .name = NULL },
};

/* --- faults --- */

static struct str
spell(struct arena *a, const struct where *w)
{
    if (w == NULL)
        return S("");

    struct str up = spell(a, w->up);

    if (w->key == NULL)
        return arena_printf(a, STR_FMT "[%u]", STR_ARG(up), (unsigned)w->index);
    return arena_printf(a, STR_FMT "%s%s", STR_ARG(up), up.n > 0 ? "." : "", w->key);
}

/* Reports the field `key` (may be NULL) of `w`. */
enum err
openai_fail(
    struct openai_reading *rd, enum err e, const struct where *w, const char *key, const char *what)
{
    struct where field = { .up = w, .key = key };

    rd->fault->param = spell(rd->a, key != NULL ? &field : w);
    rd->fault->message = arena_printf(rd->a, STR_FMT ": %s", STR_ARG(rd->fault->param), what);
    return e;
}

enum err
openai_bad(struct openai_reading *rd, const struct where *w, const char *key, const char *what)
{
    return openai_fail(rd, ERR_BAD_REQUEST, w, key, what);
}

enum err
openai_count_element(struct openai_reading *rd, const struct where *w)
{
    if (++rd->elements <= ELEMENTS_MAX)
        return OK;
    return openai_fail(
        rd, ERR_TOO_LARGE, w, NULL, "too many messages, parts and tools in one request");
}

/* --- values --- */

struct str
openai_text_of(struct openai_reading *rd, const struct json *j)
{
    struct str s = json_str(rd->a, j);

    if (s.p == NULL && json_is(j, JSON_STRING))
        rd->too_large = true;
    return s.p != NULL ? s : S("");
}

/* An optional string member: OK with an empty slice if it is absent. */
enum err
openai_optional_text(struct openai_reading *rd, const struct where *w, const struct json *j,
    const char *key, struct str *ret)
{
    const struct json *value = json_get(j, str_c(key));

    *ret = S("");
    if (!json_present(value))
        return OK;
    if (value->type != JSON_STRING)
        return openai_bad(rd, w, key, "must be a string");
    *ret = openai_text_of(rd, value);
    return OK;
}

enum err
openai_required_text(struct openai_reading *rd, const struct where *w, const struct json *j,
    const char *key, struct str *ret)
{
    if (!json_present(json_get(j, str_c(key))))
        return openai_bad(rd, w, key, "is required");

    enum err e = openai_optional_text(rd, w, j, key, ret);

    if (e == OK && ret->n == 0 && !rd->too_large)
        return openai_bad(rd, w, key, "must not be empty");
    return e;
}

/* --- the head --- */

static enum err
head_fault(struct wire_fault *fault, struct str param, struct str message)
{
    *fault = (struct wire_fault){ .message = message, .param = param };
    return ERR_BAD_REQUEST;
}

static enum err
read_model(struct llm_request *r, struct wire_fault *fault)
{
    const struct json *model = json_get(r->doc, S("model"));

    if (!json_present(model)) {
        if (r->op == OP_RELAY)
            return OK;
        return head_fault(fault, S("model"), S("model: is required"));
    }
    if (model->type != JSON_STRING)
        return head_fault(fault, S("model"), S("model: must be a string"));
    r->model = json_str(r->arena, model);
    r->model_node = model;
    if (r->model.n == 0)
        return head_fault(fault, S("model"), S("model: must not be empty"));
    if (r->model.n > MODEL_MAX)
        return head_fault(fault, S("model"), S("model: must be at most 256 bytes"));
    return OK;
}

enum err
openai_read_head(struct llm_request *r, struct wire_fault *ret_fault)
{
    if (!json_is(r->doc, JSON_OBJECT)) {
        if (r->op == OP_RELAY)    /* an upload, perhaps: the provider will judge it */
            return OK;
        return head_fault(ret_fault, S(""), S("the body must be a JSON object"));
    }

    enum err e = wire_check_members(r->arena, r->doc, openai_members, PARAMS_OPENAI_CHAT, ret_fault);
    const struct json *stream = json_get(r->doc, S("stream"));

    if (e == OK)
        e = read_model(r, ret_fault);
    if (e != OK)
        return e;
    if (json_present(stream) && stream->type != JSON_TRUE && stream->type != JSON_FALSE)
        return head_fault(ret_fault, S("stream"), S("stream: must be true or false"));
    r->stream = json_bool(stream, false);
    r->want_usage = json_bool(json_at(r->doc, "stream_options.include_usage"), false);

    const struct json *limit = json_get(r->doc, S("max_completion_tokens"));

    if (!json_present(limit))
        limit = json_get(r->doc, S("max_tokens"));
    r->max_tokens = MAX(json_i64(limit, 0), 0);
    r->n = json_i64(json_get(r->doc, S("n")), 0);
    return OK;
}

/* --- tools --- */

/* {"name", "description", "parameters", "strict"}: inside a tool's "function", or by itself in the
 * old "functions". */
static enum err
read_function(
    struct openai_reading *rd, const struct where *w, const struct json *j, struct llm_tool *tool)
{
    const struct json *schema = json_get(j, S("parameters"));
    const struct json *strict = json_get(j, S("strict"));
    enum err e = openai_required_text(rd, w, j, "name", &tool->name);

    if (e == OK)
        e = openai_optional_text(rd, w, j, "description", &tool->description);
    if (e != OK)
        return e;
    if (json_present(schema) && schema->type != JSON_OBJECT)
        return openai_bad(rd, w, "parameters", "must be a JSON Schema object");
    if (json_present(schema))
        tool->schema = json_raw(schema);
    tool->strict = llm_tri_of(strict);
    return OK;
}

static enum err
read_tool(struct openai_reading *rd, const struct where *w, const struct json *j, struct llm_tool *tool)
{
    struct where function = { .up = w, .key = "function" };
    struct where custom = { .up = w, .key = "custom" };
    struct str type = S("");
    enum err e = openai_required_text(rd, w, j, "type", &type);

    if (e != OK)
        return e;
    tool->cache_mark = wire_cache_mark(j);
    if (str_eq(type, S("function")))
        return read_function(rd, &function, json_get(j, S("function")), tool);
    if (str_eq(type, S("custom"))) {
        tool->custom = true;
        return read_function(rd, &custom, json_get(j, S("custom")), tool);
    }
    tool->name = type;    /* a tool that the provider runs itself */
    tool->raw = j;
    return OK;
}

/* Both forms of the list: "tools", and the old "functions". */
static enum err
read_tools(struct openai_reading *rd, const char *key, bool old, struct llm_tool ***tail)
{
    const struct json *list = json_get(rd->r->doc, str_c(key));
    struct where w = { .key = key };
    struct json_iter it = json_iter(list);
    uint32_t i = 0;

    if (json_present(list) && list->type != JSON_ARRAY)
        return openai_bad(rd, NULL, key, "must be a list");
    while (json_next(&it)) {
        struct where at = { .up = &w, .index = i++ };
        struct llm_tool *tool = arena_new(rd->a, struct llm_tool);
        enum err e = openai_count_element(rd, &at);

        if (e == OK)
            e = old ? read_function(rd, &at, it.value, tool) : read_tool(rd, &at, it.value, tool);
        if (e != OK)
            return e;
        **tail = tool;
        *tail = &tool->next;
    }
    return OK;
}

/* --- tool choice --- */

static bool
choice_word(struct openai_reading *rd, const struct json *j)
{
    static const struct {
        struct str word;
        enum llm_choice choice;
    } rows[] = {
        { S_INIT("auto"), CHOICE_AUTO },
        { S_INIT("none"), CHOICE_NONE },
        { S_INIT("required"), CHOICE_REQUIRED },
        { S_INIT("any"), CHOICE_REQUIRED },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (json_str_is(j, rows[i].word)) {
            rd->r->choice = rows[i].choice;
            return true;
        }
    }
    return false;
}

/* The names in a list of allowed tools, in all spellings that hosts accept. */
static struct map *
allowed_names(struct openai_reading *rd, const struct json *allowed)
{
    struct map *names = map_create();
    struct json_iter it = json_iter(allowed);

    while (json_next(&it)) {
        const struct json *spellings[] = {
            json_at(it.value, "function.name"),
            json_at(it.value, "custom.name"),
            json_get(it.value, S("name")),
        };

        for (size_t i = 0; i < ARRAY_LEN(spellings); i++)
            if (json_is(spellings[i], JSON_STRING))
                (void)map_put(names, openai_text_of(rd, spellings[i]), names);
    }
    return names;
}

/* Other protocols have no allowed_tools, so the list of tools is shortened instead. */
static enum err
read_allowed_tools(struct openai_reading *rd, const struct where *w, const struct json *j)
{
    const struct json *allowed = json_get(j, S("tools"));
    struct llm_tool **at = &rd->r->tools;

    if (!json_is(allowed, JSON_ARRAY) || !choice_word(rd, json_get(j, S("mode"))))
        return openai_bad(rd, w, "allowed_tools", "must have a mode and a list of tools");

    struct map *names = allowed_names(rd, allowed);

    while (*at != NULL) {
        if (map_get(names, (*at)->name) != NULL)
            at = &(*at)->next;
        else
            *at = (*at)->next;
    }
    map_destroy(names);
    return OK;
}

static enum err
read_tool_choice(struct openai_reading *rd)
{
    const struct json *choice = json_get(rd->r->doc, S("tool_choice"));
    const struct json *old = json_get(rd->r->doc, S("function_call"));
    struct where w = { .key = "tool_choice" };
    struct where old_w = { .key = "function_call" };

    if (!json_present(choice) && json_present(old)) {
        if (choice_word(rd, old))
            return OK;
        rd->r->choice = CHOICE_NAMED;
        return openai_required_text(rd, &old_w, old, "name", &rd->r->choice_name);
    }
    if (!json_present(choice) || choice_word(rd, choice))
        return OK;
    if (choice->type != JSON_OBJECT)
        return openai_bad(rd, NULL, "tool_choice", "must be none, auto, required or an object");

    const struct json *type = json_get(choice, S("type"));

    if (json_str_is(type, S("allowed_tools")))
        return read_allowed_tools(rd, &w, json_get(choice, S("allowed_tools")));

    const char *key = json_str_is(type, S("custom")) ? "custom" : "function";
    struct where inner = { .up = &w, .key = key };

    rd->r->choice = CHOICE_NAMED;
    return openai_required_text(
        rd, &inner, json_get(choice, str_c(key)), "name", &rd->r->choice_name);
}

/* --- the rest --- */

static enum err
read_response_format(struct openai_reading *rd)
{
    struct llm_request *r = rd->r;
    const struct json *format = json_get(r->doc, S("response_format"));
    const struct json *type = json_get(format, S("type"));
    const struct json *inner = json_get(format, S("json_schema"));
    const struct json *schema = json_get(inner, S("schema"));
    struct where w = { .key = "response_format" };
    struct where inner_w = { .up = &w, .key = "json_schema" };

    if (!json_present(format))
        return OK;
    if (json_str_is(type, S("text"))) {
        r->format = FORMAT_TEXT;
        return OK;
    }
    if (json_str_is(type, S("json_object"))) {
        r->format = FORMAT_JSON;
        return OK;
    }
    if (!json_str_is(type, S("json_schema")))
        return openai_bad(rd, &w, "type", "must be text, json_object or json_schema");
    if (!json_is(schema, JSON_OBJECT))
        return openai_bad(rd, &inner_w, "schema", "must be a JSON Schema object");

    const struct json *strict = json_get(inner, S("strict"));

    r->format = FORMAT_SCHEMA;
    r->schema = json_raw(schema);
    r->schema_strict = llm_tri_of(strict);

    enum err e = openai_optional_text(rd, &inner_w, inner, "name", &r->schema_name);

    if (e == OK)
        e = openai_optional_text(rd, &inner_w, inner, "description", &r->schema_description);
    return e;
}

static enum err
read_stop(struct openai_reading *rd)
{
    const struct json *stop = json_get(rd->r->doc, S("stop"));
    struct where w = { .key = "stop" };
    struct llm_word **tail = &rd->r->stop;
    struct json_iter it = json_iter(stop);
    uint32_t i = 0;

    if (json_is(stop, JSON_STRING)) {
        rd->r->stop = arena_new(rd->a, struct llm_word);
        rd->r->stop->text = openai_text_of(rd, stop);
        return OK;
    }
    if (json_present(stop) && stop->type != JSON_ARRAY)
        return openai_bad(rd, NULL, "stop", "must be a string or a list of strings");
    while (json_next(&it)) {
        struct where at = { .up = &w, .index = i++ };
        enum err e = openai_count_element(rd, &at);

        if (e != OK)
            return e;
        if (it.value->type != JSON_STRING)
            return openai_bad(rd, &at, NULL, "must be a string");
        *tail = arena_new(rd->a, struct llm_word);
        (*tail)->text = openai_text_of(rd, it.value);
        tail = &(*tail)->next;
    }
    return OK;
}

static enum err
read_words(struct openai_reading *rd)
{
    struct llm_request *r = rd->r;
    enum err e = openai_optional_text(rd, NULL, r->doc, "user", &r->user);

    if (e == OK && r->user.n == 0)
        e = openai_optional_text(rd, NULL, r->doc, "safety_identifier", &r->user);
    if (e == OK)
        e = openai_optional_text(rd, NULL, r->doc, "service_tier", &r->service_tier);
    if (e == OK)
        e = openai_optional_text(rd, NULL, r->doc, "reasoning_effort", &r->effort);
    return e;
}

/* "reasoning": {"effort", "max_tokens", "enabled"} is the spelling of OpenRouter and others,
 * "thinking": {"type", "budget_tokens"} the one that Anthropic documents for this protocol. */
static void
read_reasoning_options(struct openai_reading *rd)
{
    struct llm_request *r = rd->r;
    const struct json *options = json_get(r->doc, S("reasoning"));
    const struct json *thinking = json_get(r->doc, S("thinking"));
    int64_t budget = json_i64(json_get(thinking, S("budget_tokens")), -1);

    if (r->effort.n == 0)
        r->effort = openai_text_of(rd, json_get(options, S("effort")));
    r->reasoning_budget = MAX(json_i64(json_get(options, S("max_tokens")), budget), 0);
    if (!json_bool(json_get(options, S("enabled")), true) || str_eq(r->effort, S("none")) ||
        json_str_is(json_get(thinking, S("type")), S("disabled")))
        r->reasoning = NO;
}

static enum err
read_limits(struct openai_reading *rd)
{
    struct llm_request *r = rd->r;
    static const char *const keys[] = { "max_completion_tokens", "max_tokens", "n" };

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const struct json *value = json_get(r->doc, str_c(keys[i]));

        if (json_present(value) && (value->type != JSON_NUMBER || json_i64(value, 0) < 1))
            return openai_bad(rd, NULL, keys[i], "must be a positive integer");
    }
    if (r->n > CHOICES_MAX)
        return openai_bad(rd, NULL, "n", "must be at most 128");

    const struct json *parallel = json_get(r->doc, S("parallel_tool_calls"));

    if (json_present(parallel))
        r->parallel_tools = parallel->type == JSON_FALSE ? NO : YES;
    return OK;
}

/* --- all of it --- */

static enum err
read_chat(struct openai_reading *rd)
{
    struct llm_tool **tools = &rd->r->tools;
    enum err e = openai_read_messages(rd);

    if (e == OK)
        e = read_tools(rd, "tools", false, &tools);
    if (e == OK)
        e = read_tools(rd, "functions", true, &tools);
    if (e == OK)
        e = read_tool_choice(rd);
    if (e == OK)
        e = read_response_format(rd);
    return e;
}

static const struct read_words words = {
    .required = "is required",
    .empty = "must not be empty",
    .text = "must be a string",
    .number = "must be a number",
    .integer = "must be an integer",
    .flag = "must be true or false",
    .object = "must be an object",
    .list = "must be a list",
    .too_many = "too many messages, parts and tools in one request",
};

enum err
openai_read_conversation(struct llm_request *r, struct wire_fault *ret_fault)
{
    struct openai_reading rd = { .r = r, .a = r->arena, .fault = ret_fault };

    if (r->op != OP_CHAT) {
        ret_fault->message = S("this route cannot be translated for another protocol");
        return ERR_UNSUPPORTED;
    }

    enum err e = read_chat(&rd);

    if (e == OK)
        e = read_stop(&rd);
    if (e == OK)
        e = read_words(&rd);
    if (e == OK)
        e = read_limits(&rd);
    if (e != OK)
        return e;

    read_reasoning_options(&rd);

    struct reading rest = { .r = r, .a = r->arena, .fault = ret_fault, .words = &words };

    read_members(&rest, openai_members, PARAMS_OPENAI_CHAT);
    if (rest.err != OK)
        return rest.err;
    if (!rd.too_large)
        return OK;
    *ret_fault = (struct wire_fault){ .message = S("the request is larger than allowed") };
    return ERR_TOO_LARGE;
}

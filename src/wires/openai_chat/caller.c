/* caller.c - reads an OpenAI caller's request.
 *
 * The head is read leniently: unknown members are passed to a provider of the same wire. The
 * conversation is read strictly, because it is about to be translated: an error names the field
 * concerned.
 */
#include "base/map.h"
#include "llm/media.h"
#include "llm/seal.h"
#include "wires/openai_chat/openai_chat.h"

const struct read_words openai_words = {
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

/* The parts of a message as they are made. */
struct parts {
    struct llm_part **tail;
};

static struct llm_part *
add_part(struct cursor c, struct parts *parts, enum llm_part_kind kind)
{
    return llm_part_add(c.rd->a, &parts->tail, kind);
}

static void
bad(struct cursor c, const char *what)
{
    read_fault(c, ERR_BAD_REQUEST, what);
}

/* --- parts of a message --- */

/* A type of part; its content is the member of that name. */
struct part_row {
    const char *type;
    enum llm_part_kind kind;
    void (*read)(struct cursor part, struct parts *parts, const struct part_row *row);
};

static void
read_text_part(struct cursor part, struct parts *parts, const struct part_row *row UNUSED)
{
    struct str text = read_text(read_at(&part, "text"));

    if (text.n == 0)
        return;

    struct llm_part *made = add_part(part, parts, PART_TEXT);

    made->text = text;
    made->cache_mark = wire_cache_mark(part.j);
}

static void
read_refusal(struct cursor part, struct parts *parts, const struct part_row *row UNUSED)
{
    struct str text = read_text(read_at(&part, "refusal"));

    if (text.n > 0)
        add_part(part, parts, PART_REFUSAL)->text = text;
}

static void
set_url(struct cursor object, struct llm_part *part, struct str url)
{
    if (!media_set_url(part, url))
        bad(read_at(&object, "url"), "a data URL must look like data:image/png;base64,...");
}

/* {"type":"image_url","image_url":{"url":"..."}}, or the URL itself; the same for other media. */
static void
read_url(struct cursor part, struct parts *parts, const struct part_row *row)
{
    struct cursor object = read_at(&part, row->type);
    struct llm_part *made = add_part(part, parts, row->kind);

    made->cache_mark = wire_cache_mark(part.j);
    if (json_is(object.j, JSON_STRING)) {
        set_url(object, made, read_required_text(object));
    } else if (json_is(object.j, JSON_OBJECT)) {
        made->detail = read_text(read_at(&object, "detail"));
        set_url(object, made, read_required_text(read_at(&object, "url")));
    } else {
        bad(object, "must be an object with a url");
    }
}

static void
read_audio(struct cursor part, struct parts *parts, const struct part_row *row UNUSED)
{
    struct cursor audio = read_at(&part, "input_audio");
    struct llm_part *made = add_part(part, parts, PART_AUDIO);

    if (!json_is(audio.j, JSON_OBJECT)) {
        bad(audio, "must be an object with data and format");
        return;
    }
    made->data = read_required_text(read_at(&audio, "data"));

    struct str format = read_required_text(read_at(&audio, "format"));

    made->mime = str_eq(format, S("mp3"))
                     ? S("audio/mpeg")
                     : arena_printf(part.rd->a, "audio/%.*s", (int)MIN(format.n, 32), format.p);
}

static void
read_file(struct cursor part, struct parts *parts, const struct part_row *row UNUSED)
{
    struct cursor file = read_at(&part, "file");
    struct llm_part *made = add_part(part, parts, PART_FILE);

    if (!json_is(file.j, JSON_OBJECT)) {
        bad(file, "must be an object with file_data or file_id");
        return;
    }
    made->cache_mark = wire_cache_mark(part.j);
    made->name = read_text(read_at(&file, "filename"));
    made->file_id = read_text(read_at(&file, "file_id"));

    struct str data = read_text(read_at(&file, "file_data"));

    if (data.n == 0 && made->file_id.n == 0)
        bad(file, "needs file_data or file_id");
    else if (str_istarts(data, S("data:")) || str_istarts(data, S("http")))
        set_url(file, made, data);
    else if (data.n > 0)
        media_set_data(made, S("application/octet-stream"), data);
}

/* Mistral's thoughts: {"type":"thinking","thinking":[{"type":"text","text":"..."}]}, or a string. */
static void
read_thinking(struct cursor part, struct parts *parts, const struct part_row *row UNUSED)
{
    struct cursor thinking = read_at(&part, "thinking");
    struct llm_part *made = add_part(part, parts, PART_REASONING);

    made->origin = ORIGIN_OPENAI;
    if (json_is(thinking.j, JSON_STRING)) {
        made->text = read_any_text(thinking);
        return;
    }
    READ_EACH (entry, &thinking)
        if (!arena_append(part.rd->a, &made->text, read_any_text(read_at(&entry, "text"))))
            read_no_memory(part.rd);
}

static const struct part_row part_rows[] = {
    { "text", PART_TEXT, read_text_part },
    { "image_url", PART_IMAGE, read_url },
    { "input_audio", PART_AUDIO, read_audio },
    { "file", PART_FILE, read_file },
    { "refusal", PART_REFUSAL, read_refusal },
    { "thinking", PART_REASONING, read_thinking },
    { "video_url", PART_VIDEO, read_url },
    { "file_url", PART_FILE, read_url },
};

static void
read_part(struct cursor part, bool text_only, struct parts *parts)
{
    struct cursor type = read_at(&part, "type");
    size_t i = 0;

    if (!json_is(part.j, JSON_OBJECT)) {
        bad(part, openai_words.object);
        return;
    }
    while (i < ARRAY_LEN(part_rows) && !read_is(type, part_rows[i].type))
        i++;
    if (!json_is(type.j, JSON_STRING))
        bad(type, openai_words.text);
    else if (i == ARRAY_LEN(part_rows))
        read_fault(
            type, ERR_UNSUPPORTED, "this kind of part cannot be translated for another protocol");
    else if (text_only && part_rows[i].kind != PART_TEXT)
        bad(type, "only text is allowed here");
    else
        part_rows[i].read(part, parts, &part_rows[i]);
}

/* A string, or a list of parts. `required`: it must not be null or absent. */
static void
read_content(struct cursor message, bool required, bool text_only, struct parts *parts)
{
    struct cursor content = read_at(&message, "content");

    if (!read_present(content)) {
        if (required)
            bad(content, openai_words.required);
    } else if (content.j->type == JSON_STRING) {
        struct str text = read_text(content);

        if (text.n > 0)
            add_part(content, parts, PART_TEXT)->text = text;
    } else if (content.j->type == JSON_ARRAY) {
        READ_EACH (part, &content)
            read_part(part, text_only, parts);
    } else {
        bad(content, "must be a string or a list of parts");
    }
}

/* --- what an assistant said --- */

/* One entry of reasoning_details. Joins the pieces of a text that a client collected from a stream.
 */
static void
read_reasoning_detail(struct cursor entry, struct parts *parts, struct llm_part **open)
{
    bool anthropic = read_is(read_at(&entry, "format"), OPENAI_REASONING_ANTHROPIC);
    bool openai = read_is(read_at(&entry, "format"), OPENAI_REASONING_OPENAI);
    enum llm_origin origin = anthropic ? ORIGIN_ANTHROPIC : ORIGIN_OPENAI;

    if (read_is(read_at(&entry, "type"), "reasoning.encrypted")) {
        struct llm_part *part = add_part(entry, parts, PART_REASONING);
        struct seal seal;

        part->redacted = read_any_text(read_at(&entry, "data"));
        part->origin = anthropic || openai ? origin : ORIGIN_NONE;
        if (seal_read(entry.rd->a, part->redacted, &seal)) {
            part->redacted = seal.redacted;
            part->signature = seal.signature;
            part->text = seal.text;
            part->origin = seal.origin;
        }
        *open = NULL;
        return;
    }

    struct str text = read_any_text(read_at(&entry, "text"));

    if (text.n == 0)
        text = read_any_text(read_at(&entry, "summary"));
    if (*open == NULL)
        *open = add_part(entry, parts, PART_REASONING);
    if (!arena_append(entry.rd->a, &(*open)->text, text))
        read_no_memory(entry.rd);
    (*open)->origin = origin;
    (*open)->signature = read_any_text(read_at(&entry, "signature"));
    if ((*open)->signature.n > 0)
        *open = NULL;
}

/* Clients that collect a stream keep the text apart from the blocks. If there is one block without
 * text, it gets the text back; among several it cannot be divided, and Anthropic rejects a
 * signature without its text, so the signatures are dropped. */
static void
restore_text(struct llm_part *first, struct str plain)
{
    struct llm_part *only = NULL;
    unsigned bare = 0;

    for (struct llm_part *p = first; p != NULL; p = p->next) {
        if (p->text.n > 0)
            return;
        if (p->redacted.n == 0) {
            only = p;
            bare++;
        }
    }
    if (bare == 1)
        only->text = plain;
    for (struct llm_part *p = first; p != NULL && bare > 1 && plain.n > 0; p = p->next)
        p->signature = S("");
}

/* Reasoning that a client sends back: unofficial, in three spellings. Only signed reasoning is of
 * use to a provider of another wire. */
static void
read_reasoning(struct cursor message, struct parts *parts)
{
    struct cursor details = read_at(&message, "reasoning_details");
    struct str plain = read_any_text(read_at(&message, "reasoning_content"));
    struct llm_part *open = NULL;    /* its text may go on in the next entry */
    struct llm_part **first = parts->tail;

    if (plain.n == 0)
        plain = read_any_text(read_at(&message, "reasoning"));
    if (json_is(details.j, JSON_ARRAY))
        READ_EACH (entry, &details)
            read_reasoning_detail(entry, parts, &open);

    if (*first == NULL && plain.n > 0) {
        struct llm_part *part = add_part(message, parts, PART_REASONING);

        part->text = plain;
        part->origin = ORIGIN_OPENAI;
    } else {
        restore_text(*first, plain);
    }
}

static void
read_function_call(struct cursor function, struct llm_part *part)
{
    struct cursor args = read_at(&function, "arguments");

    part->name = read_required_text(read_at(&function, "name"));
    if (json_is(args.j, JSON_OBJECT))    /* some clients send an object instead of a string */
        part->args = json_raw(args.j);
    else
        part->args = read_text(args);
}

static void
read_tool_call(struct cursor call, struct parts *parts)
{
    struct cursor type = read_at(&call, "type");
    struct cursor custom = read_at(&call, "custom");
    struct llm_part *part = add_part(call, parts, PART_TOOL_CALL);

    part->id = read_required_text(read_at(&call, "id"));
    part->signature = read_any_text((struct cursor){
        .rd = call.rd, .j = json_at(call.j, "extra_content.google.thought_signature") });
    if (read_is(type, "custom")) {
        part->custom = true;
        part->name = read_required_text(read_at(&custom, "name"));
        part->args = read_text(read_at(&custom, "input"));
    } else if (read_present(type) && !read_is(type, "function")) {
        bad(type, "must be \"function\" or \"custom\"");
    } else {
        read_function_call(read_at(&call, "function"), part);
    }
}

/* The id of a call in the deprecated form, which has none. */
static struct str
old_call_id(struct cursor c, unsigned number)
{
    return arena_printf(c.rd->a, "call_function_%u", number);
}

static void
read_assistant(struct cursor message, unsigned *old_calls, struct parts *parts)
{
    struct cursor calls = read_at(&message, "tool_calls");
    struct cursor old = read_at(&message, "function_call");

    read_reasoning(message, parts);
    read_content(message, false, false, parts);
    read_refusal(message, parts, NULL);
    READ_EACH (call, &calls)
        read_tool_call(call, parts);
    if (read_present(old)) {
        struct llm_part *part = add_part(message, parts, PART_TOOL_CALL);

        part->id = old_call_id(message, ++*old_calls);
        read_function_call(old, part);
    }
}

/* --- messages --- */

static const struct llm_named roles[] = {
    { S_INIT("user"), ROLE_USER },
    { S_INIT("assistant"), ROLE_ASSISTANT },
    { S_INIT("tool"), ROLE_TOOL },
    { S_INIT("function"), ROLE_TOOL },
    { S_INIT("system"), ROLE_SYSTEM },
    { S_INIT("developer"), ROLE_DEVELOPER },
};

struct tails {
    struct parts system;
    struct llm_message **messages;
    unsigned old_calls;
};

static void
read_message(struct cursor message, struct tails *tails)
{
    struct cursor role = read_at(&message, "role");
    int named = read_word(role.j, roles, ARRAY_LEN(roles));
    bool instructs = named == ROLE_SYSTEM || named == ROLE_DEVELOPER;

    if (!json_is(message.j, JSON_OBJECT)) {
        bad(message, openai_words.object);
        return;
    }
    if (named < 0) {
        bad(role, !read_present(role) ? openai_words.required
                                      : "must be system, developer, user, assistant or tool");
        return;
    }
    if (instructs && message.rd->r->messages == NULL) {
        read_content(message, true, true, &tails->system);
        return;
    }

    struct llm_message *made =
        llm_message_add(message.rd->a, &tails->messages, (enum llm_role)named);
    struct parts parts = { .tail = &made->parts };

    if (named == ROLE_ASSISTANT) {
        read_assistant(message, &tails->old_calls, &parts);
    } else if (named == ROLE_TOOL) {
        struct llm_part *part = add_part(message, &parts, PART_TOOL_RESULT);
        struct parts result = { .tail = &part->result };

        part->id = read_is(role, "function")
                       ? old_call_id(message, tails->old_calls)
                       : read_required_text(read_at(&message, "tool_call_id"));
        read_content(message, true, false, &result);
    } else {
        made->name = read_any_text(read_at(&message, "name"));
        read_content(message, true, instructs, &parts);
    }
}

static void
read_messages(struct cursor messages)
{
    struct llm_request *r = messages.rd->r;
    struct tails tails = { .system = { .tail = &r->system }, .messages = &r->messages };

    if (!read_present(messages))
        bad(messages, openai_words.required);
    else if (messages.j->type != JSON_ARRAY || json_is_empty(messages.j))
        bad(messages, "must be a list with at least one message");
    else
        READ_EACH (message, &messages)
            read_message(message, &tails);
}

/* --- tools --- */

/* {"name", "description", "parameters", "strict"}: inside a tool's "function", or by itself in the
 * old "functions". */
static void
read_function(struct cursor function, struct llm_tool *tool)
{
    struct cursor schema = read_at(&function, "parameters");

    tool->name = read_required_text(read_at(&function, "name"));
    tool->description = read_text(read_at(&function, "description"));
    tool->strict = llm_tri_of(read_at(&function, "strict").j);
    if (json_is(schema.j, JSON_OBJECT))
        tool->schema = json_raw(schema.j);
    else if (read_present(schema))
        bad(schema, "must be a JSON Schema object");
}

static void
read_tool(struct cursor tool, struct llm_tool *made)
{
    struct str type = read_required_text(read_at(&tool, "type"));

    made->cache_mark = wire_cache_mark(tool.j);
    made->custom = str_eq(type, S("custom"));
    if (made->custom) {
        read_function(read_at(&tool, "custom"), made);
    } else if (str_eq(type, S("function"))) {
        read_function(read_at(&tool, "function"), made);
    } else {
        made->name = type;    /* a tool that the provider runs itself */
        made->raw = tool.j;
    }
}

/* "tools", or the old "functions", which are added to them. */
static void
read_tool_list(struct cursor list, void (*read)(struct cursor tool, struct llm_tool *made))
{
    struct llm_tool **tail = &list.rd->r->tools;

    while (*tail != NULL)
        tail = &(*tail)->next;
    READ_EACH (tool, &list) {
        *tail = arena_new(list.rd->a, struct llm_tool);
        read(tool, *tail);
        tail = &(*tail)->next;
    }
}

static void
read_tools(struct cursor list)
{
    read_tool_list(list, read_tool);
}

/* There is room for one call in an answer. */
static void
read_functions(struct cursor list)
{
    read_tool_list(list, read_function);
    if (list.rd->r->old_calls)
        list.rd->r->parallel_tools = NO;
}

/* --- tool choice --- */

static bool
take_choice_word(struct cursor c)
{
    static const struct llm_named choices[] = {
        { S_INIT("auto"), CHOICE_AUTO },
        { S_INIT("none"), CHOICE_NONE },
        { S_INIT("required"), CHOICE_REQUIRED },
        { S_INIT("any"), CHOICE_REQUIRED },
    };
    int choice = read_word(c.j, choices, ARRAY_LEN(choices));

    if (choice >= 0)
        c.rd->r->choice = (enum llm_choice)choice;
    return choice >= 0;
}

/* The names in a list of allowed tools, in all spellings that hosts accept. */
static struct map *
allowed_names(struct reading *rd, const struct json *allowed)
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
                (void)map_put(
                    names, read_any_text((struct cursor){ .rd = rd, .j = spellings[i] }), names);
    }
    return names;
}

/* Other protocols have no allowed_tools, so the list of tools is shortened instead. */
static void
read_allowed_tools(struct cursor allowed)
{
    struct reading *rd = allowed.rd;
    struct cursor tools = read_at(&allowed, "tools");
    struct llm_tool **at = &rd->r->tools;

    if (!json_is(tools.j, JSON_ARRAY) || !take_choice_word(read_at(&allowed, "mode"))) {
        bad(allowed, "must have a mode and a list of tools");
        return;
    }

    struct map *names = allowed_names(rd, tools.j);

    while (*at != NULL) {
        if (map_get(names, (*at)->name) != NULL)
            at = &(*at)->next;
        else
            *at = (*at)->next;
    }
    map_destroy(names);
}

static void
name_choice(struct cursor function)
{
    function.rd->r->choice = CHOICE_NAMED;
    function.rd->r->choice_name = read_required_text(read_at(&function, "name"));
}

static void
read_tool_choice(struct cursor choice)
{
    struct cursor old = read_at(choice.up, "function_call");
    struct cursor type = read_at(&choice, "type");

    if (!read_present(choice)) {
        if (read_present(old) && !take_choice_word(old))
            name_choice(old);
    } else if (take_choice_word(choice)) {
        return;
    } else if (choice.j->type != JSON_OBJECT) {
        bad(choice, "must be none, auto, required or an object");
    } else if (read_is(type, "allowed_tools")) {
        read_allowed_tools(read_at(&choice, "allowed_tools"));
    } else {
        name_choice(read_at(&choice, read_is(type, "custom") ? "custom" : "function"));
    }
}

/* --- the rest --- */

static void
read_response_format(struct cursor format)
{
    static const struct llm_named formats[] = {
        { S_INIT("text"), FORMAT_TEXT },
        { S_INIT("json_object"), FORMAT_JSON },
        { S_INIT("json_schema"), FORMAT_SCHEMA },
    };
    struct llm_request *r = format.rd->r;
    struct cursor type = read_at(&format, "type");
    struct cursor inner = read_at(&format, "json_schema");
    struct cursor schema = read_at(&inner, "schema");
    int kind = read_word(type.j, formats, ARRAY_LEN(formats));

    if (!read_present(format))
        return;
    if (kind < 0) {
        bad(type, "must be text, json_object or json_schema");
        return;
    }
    r->format = (enum llm_format)kind;
    if (kind != FORMAT_SCHEMA)
        return;
    if (!json_is(schema.j, JSON_OBJECT))
        bad(schema, "must be a JSON Schema object");
    r->schema = json_raw(schema.j);
    r->schema_strict = llm_tri_of(read_at(&inner, "strict").j);
    r->schema_name = read_text(read_at(&inner, "name"));
    r->schema_description = read_text(read_at(&inner, "description"));
}

static void
read_stop(struct cursor stop)
{
    if (read_present(stop) && stop.j->type != JSON_STRING && stop.j->type != JSON_ARRAY)
        bad(stop, "must be a string or a list of strings");
    else
        stop.rd->r->stop = read_texts(stop);
}

static void
read_user(struct cursor user)
{
    user.rd->r->user = read_text(user);
    if (user.rd->r->user.n == 0)
        user.rd->r->user = read_text(read_at(user.up, "safety_identifier"));
}

static void
read_service_tier(struct cursor tier)
{
    tier.rd->r->service_tier = read_text(tier);
}

/* "reasoning": {"effort", "max_tokens", "enabled"} is the spelling of OpenRouter and others,
 * "thinking": {"type", "budget_tokens"} the one that Anthropic documents for this protocol. */
static void
read_effort(struct cursor effort)
{
    struct llm_request *r = effort.rd->r;
    struct cursor options = read_at(effort.up, "reasoning");
    struct cursor thinking = read_at(effort.up, "thinking");
    int64_t budget = json_i64(json_get(thinking.j, S("budget_tokens")), -1);

    r->effort = read_text(effort);
    if (r->effort.n == 0)
        r->effort = read_any_text(read_at(&options, "effort"));
    budget = json_i64(json_get(options.j, S("max_tokens")), budget);
    r->reasoning_budget = MAX(budget, 0);
    if (budget == 0 || !json_bool(json_get(options.j, S("enabled")), true) ||
        str_eq(r->effort, S("none")) || read_is(read_at(&thinking, "type"), "disabled"))
        r->reasoning = NO;
}

/* The numbers themselves are in the head. */
static void
check_limit(struct cursor limit)
{
    (void)read_integer(limit, 1, INT64_MAX, 0, "must be a positive integer");
    if (limit.rd->r->n > LLM_CHOICES_MAX && str_eq(str_c(limit.key), S("n")))
        bad(limit, "must be at most 128");
}

/* Mistral's name for the seed, as its SDK's callers write it. */
static void
read_random_seed(struct cursor seed)
{
    if (seed.rd->r->seed == NULL && json_is(seed.j, JSON_NUMBER))
        seed.rd->r->seed = seed.j;
}

static void
read_parallel(struct cursor parallel)
{
    if (read_present(parallel))
        parallel.rd->r->parallel_tools = parallel.j->type == JSON_FALSE ? NO : YES;
}

/* In the order in which they are checked. */
const struct read_member openai_members[] = {
    { "model", NULL },
    { "messages", read_messages },
    { "prompt", NULL },
    { "input", NULL },
    { "stream", NULL },
    { "stream_options", NULL },
    { "tools", read_tools },
    { "functions", read_functions },
    { "tool_choice", read_tool_choice },
    { "function_call", NULL },
    { "response_format", read_response_format },
    { "stop", read_stop },
    { "user", read_user },
    { "safety_identifier", NULL },
    { "service_tier", read_service_tier },
    { "reasoning_effort", read_effort },
    { "reasoning", NULL },
    { "thinking", NULL },
    { "max_completion_tokens", check_limit },
    { "max_tokens", check_limit },
    { "n", check_limit },
    { "parallel_tool_calls", read_parallel },
    { "random_seed", read_random_seed },
    { NULL, NULL },
};

/* --- the head --- */

void
openai_read_head(struct cursor doc)
{
    struct llm_request *r = doc.rd->r;
    struct cursor limit = read_at(&doc, "max_completion_tokens");

    r->want_usage = json_bool(json_at(r->doc, "stream_options.include_usage"), false);
    if (!read_present(limit))
        limit = read_at(&doc, "max_tokens");
    r->max_tokens = MAX(json_i64(limit.j, 0), 0);
    r->n = json_i64(read_at(&doc, "n").j, 0);
    r->old_calls =
        read_present(read_at(&doc, "functions")) && !read_present(read_at(&doc, "tools"));
}

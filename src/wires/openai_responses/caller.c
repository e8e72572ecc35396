/* caller.c - reads a Responses caller's request.
 *
 * A conversation is a list of items: messages, calls, results, reasoning. Neighbouring items of the
 * assistant become one message. Items of tools that OpenAI runs, or that only its models know, are
 * kept for a provider of the same wire.
 */
#include "base/map.h"
#include "llm/media.h"
#include "llm/seal.h"
#include "wires/openai_chat/openai_chat.h"
#include "wires/openai_responses/responses.h"

static void
bad(struct cursor c, const char *what)
{
    read_fault(c, ERR_BAD_REQUEST, what);
}

/* --- content --- */

static struct llm_part *
add_part(struct cursor c, struct llm_part ***tail, enum llm_part_kind kind)
{
    return llm_part_add(c.rd->a, tail, kind);
}

static void
add_text(struct cursor c, struct llm_part ***tail, enum llm_part_kind kind, struct str text)
{
    if (text.n > 0)
        add_part(c, tail, kind)->text = text;
}

static void
set_url(struct cursor place, struct llm_part *part, struct str url)
{
    if (!media_set_url(part, url))
        bad(place, "a data URL must look like data:image/png;base64,...");
}

static void
read_image(struct cursor part, struct llm_part ***tail)
{
    struct llm_part *made = add_part(part, tail, PART_IMAGE);
    struct cursor url = read_at(&part, "image_url");

    made->detail = read_text(read_at(&part, "detail"));
    if (json_is(url.j, JSON_OBJECT))    /* as in chats */
        url = (struct cursor){
            .rd = part.rd, .j = json_get(url.j, S("url")), .up = part.up, .key = "image_url"
        };
    if (read_present(url))
        set_url(url, made, read_required_text(url));
    else
        made->file_id = read_required_text(read_at(&part, "file_id"));
}

static void
read_file(struct cursor part, struct llm_part ***tail)
{
    struct llm_part *made = add_part(part, tail, PART_FILE);
    struct cursor url = read_at(&part, "file_url");
    struct str data = read_text(read_at(&part, "file_data"));

    made->name = read_text(read_at(&part, "filename"));
    if (read_present(url)) {
        made->mime = S("application/pdf");
        set_url(url, made, read_required_text(url));
    } else if (str_istarts(data, S("data:"))) {
        set_url(read_at(&part, "file_data"), made, data);
    } else if (data.n > 0) {
        media_set_data(made, S("application/octet-stream"), data);
    } else {
        made->file_id = read_text(read_at(&part, "file_id"));
        if (made->file_id.n == 0)
            bad(part, "needs file_data, file_url or file_id");
    }
}

static void
read_audio(struct cursor part, struct llm_part ***tail)
{
    struct cursor audio = read_at(&part, "input_audio");
    struct llm_part *made = add_part(part, tail, PART_AUDIO);

    made->data = read_required_text(read_at(&audio, "data"));

    struct str format = read_required_text(read_at(&audio, "format"));

    made->mime = str_eq(format, S("mp3"))
                     ? S("audio/mpeg")
                     : arena_printf(part.rd->a, "audio/%.*s", (int)MIN(format.n, 32), format.p);
}

static void
read_text_part(struct cursor part, struct llm_part ***tail)
{
    add_text(part, tail, PART_TEXT, read_text(read_at(&part, "text")));
}

static void
read_refusal(struct cursor part, struct llm_part ***tail)
{
    add_text(part, tail, PART_REFUSAL, read_text(read_at(&part, "refusal")));
}

/* What has a type, and is read by that. */
struct typed {
    const char *type;
    void (*read)(struct cursor part, struct llm_part ***tail);
};

static const struct typed part_types[] = {
    { "input_text", read_text_part },
    { "output_text", read_text_part },
    { "text", read_text_part },
    { "refusal", read_refusal },
    { "input_image", read_image },
    { "input_file", read_file },
    { "input_audio", read_audio },
};

/* A string, or a list of parts. */
static void
read_content(struct cursor content, struct llm_part ***tail)
{
    if (json_is(content.j, JSON_STRING)) {
        add_text(content, tail, PART_TEXT, read_any_text(content));
        return;
    }
    if (!json_is(content.j, JSON_ARRAY)) {
        bad(content,
            read_present(content) ? "must be a string or a list of parts" : openai_words.required);
        return;
    }
    READ_EACH (part, &content) {
        struct cursor type = read_at(&part, "type");
        size_t i = 0;

        while (i < ARRAY_LEN(part_types) && !read_is(type, part_types[i].type))
            i++;
        if (i < ARRAY_LEN(part_types))
            part_types[i].read(part, tail);
        else if (!json_is(part.j, JSON_OBJECT))
            bad(part, openai_words.object);
        else
            read_fault(type, ERR_UNSUPPORTED,
                "this kind of part cannot be translated for another protocol");
    }
}

/* --- items --- */

struct items {
    struct llm_part **system;
    struct llm_message **messages;
    struct llm_message *last;
    struct llm_part **parts;    /* of the last message, while it is the assistant's */
    /* signatures of calls, which come before them: call id -> seal; NULL: there are none */
    struct map *signatures;
};

static struct llm_part ***
assistant(struct cursor item, struct items *items)
{
    if (items->last == NULL || items->last->role != ROLE_ASSISTANT) {
        items->last = llm_message_add(item.rd->a, &items->messages, ROLE_ASSISTANT);
        items->parts = &items->last->parts;
    }
    return &items->parts;
}

static void
read_message(struct cursor item, struct items *items)
{
    static const struct llm_named roles[] = {
        { S_INIT("user"), ROLE_USER },
        { S_INIT("assistant"), ROLE_ASSISTANT },
        { S_INIT("system"), ROLE_SYSTEM },
        { S_INIT("developer"), ROLE_DEVELOPER },
    };
    struct cursor role = read_at(&item, "role");
    struct cursor content = read_at(&item, "content");
    int named = read_word(role.j, roles, ARRAY_LEN(roles));

    if (named < 0) {
        bad(role, !read_present(role) ? openai_words.required
                                      : "must be user, assistant, system or developer");
    } else if (named == ROLE_ASSISTANT) {
        read_content(content, assistant(item, items));
    } else if (named != ROLE_USER && items->last == NULL) {
        read_content(content, &items->system);
    } else {
        items->last = llm_message_add(item.rd->a, &items->messages, (enum llm_role)named);

        struct llm_part **tail = &items->last->parts;

        read_content(content, &tail);
    }
}

static struct llm_part *
add_call(struct cursor item, struct items *items)
{
    struct llm_part *part = add_part(item, assistant(item, items), PART_TOOL_CALL);
    const struct seal *signature;

    part->id = read_required_text(read_at(&item, "call_id"));
    part->name = read_required_text(read_at(&item, "name"));
    signature = items->signatures != NULL ? map_get(items->signatures, part->id) : NULL;
    if (signature != NULL)
        part->signature = signature->signature;
    return part;
}

static void
read_function_call(struct cursor item, struct items *items)
{
    struct cursor args = read_at(&item, "arguments");
    struct llm_part *part = add_call(item, items);

    part->args = json_is(args.j, JSON_OBJECT) ? json_raw(args.j) : read_text(args);
}

static void
read_custom_call(struct cursor item, struct items *items)
{
    struct llm_part *part = add_call(item, items);

    part->custom = true;
    part->args = read_text(read_at(&item, "input"));
}

static void
read_result(struct cursor item, struct items *items)
{
    struct cursor output = read_at(&item, "output");

    items->last = llm_message_add(item.rd->a, &items->messages, ROLE_TOOL);

    struct llm_part **tail = &items->last->parts;
    struct llm_part *part = add_part(item, &tail, PART_TOOL_RESULT);
    struct llm_part **inner = &part->result;

    part->id = read_required_text(read_at(&item, "call_id"));
    if (json_is(output.j, JSON_OBJECT))
        add_text(output, &inner, PART_TEXT, json_raw(output.j));
    else
        read_content(output, &inner);
}

static void
destroy_map(void *map)
{
    map_destroy(map);
}

static void
keep_signature(struct cursor item, struct items *items, const struct seal *seal)
{
    struct seal *kept = arena_new(item.rd->a, struct seal);

    if (items->signatures == NULL) {
        items->signatures = map_create();
        arena_cleanup(item.rd->a, destroy_map, items->signatures);
    }
    *kept = *seal;
    (void)map_put(items->signatures, kept->call, kept);
}

/* The readable text of a summary and of raw reasoning. */
static void
read_thoughts(struct cursor list, struct llm_part *part)
{
    if (json_is(list.j, JSON_ARRAY))
        READ_EACH (entry, &list)
            if (!arena_append(list.rd->a, &part->text, read_any_text(read_at(&entry, "text"))))
                read_no_memory(list.rd);
}

/* What another protocol's model thought has its proof sealed in encrypted_content. */
static void
read_reasoning(struct cursor item, struct items *items)
{
    struct str encrypted = read_any_text(read_at(&item, "encrypted_content"));
    struct seal seal = { .origin = ORIGIN_NONE };
    bool sealed = seal_is(encrypted) && seal_read(item.rd->a, encrypted, &seal);

    if (sealed && seal.call.n > 0) {
        keep_signature(item, items, &seal);
        return;
    }

    struct llm_part *part = add_part(item, assistant(item, items), PART_REASONING);

    if (sealed) {
        part->text = seal.text;
        part->signature = seal.signature;
        part->redacted = seal.redacted;
        part->origin = seal.origin;
        return;
    }
    read_thoughts(read_at(&item, "summary"), part);
    read_thoughts(read_at(&item, "content"), part);
    part->signature = seal_is(encrypted) ? S("") : encrypted;
    part->origin = ORIGIN_OPENAI;
}

static void
read_reference(struct cursor item, struct items *items UNUSED)
{
    read_fault(read_at(&item, "id"), ERR_UNSUPPORTED,
        "no such item is stored here; send the item itself (with store: false, clients do)");
}

/* An item of a tool that OpenAI runs, or of a type that is newer than this code. */
static void
read_other(struct cursor item, struct items *items)
{
    struct llm_part *part = add_part(item, assistant(item, items), PART_OPAQUE);

    part->raw = item.j;
    part->origin = ORIGIN_OPENAI;
}

static const struct {
    const char *type;
    void (*read)(struct cursor item, struct items *items);
} item_types[] = {
    { "message", read_message },
    { "function_call", read_function_call },
    { "function_call_output", read_result },
    { "custom_tool_call", read_custom_call },
    { "custom_tool_call_output", read_result },
    { "reasoning", read_reasoning },
    { "item_reference", read_reference },
};

static void
read_item(struct cursor item, struct items *items)
{
    struct cursor type = read_at(&item, "type");
    size_t i = 0;

    if (!json_is(item.j, JSON_OBJECT)) {
        bad(item, openai_words.object);
        return;
    }
    while (read_present(type) && i < ARRAY_LEN(item_types) && !read_is(type, item_types[i].type))
        i++;    /* without a type, it is a message */
    if (i < ARRAY_LEN(item_types))
        item_types[i].read(item, items);
    else if (!json_is(type.j, JSON_STRING))
        bad(type, openai_words.text);
    else
        read_other(item, items);
}

static void
read_input(struct cursor input)
{
    struct llm_request *r = input.rd->r;
    struct items items = { .system = &r->system, .messages = &r->messages };

    while (*items.system != NULL)    /* the instructions */
        items.system = &(*items.system)->next;
    if (json_is(input.j, JSON_STRING)) {
        struct llm_part **tail = &llm_message_add(input.rd->a, &items.messages, ROLE_USER)->parts;

        add_text(input, &tail, PART_TEXT, read_any_text(input));
    } else if (json_is(input.j, JSON_ARRAY)) {
        READ_EACH (item, &input)
            read_item(item, &items);
    } else if (read_present(input)) {
        bad(input, "must be a string or a list of items");
    } else if (r->system == NULL) {
        bad(input, openai_words.required);
    }
}

static void
read_instructions(struct cursor instructions)
{
    struct llm_part **tail = &instructions.rd->r->system;

    add_text(instructions, &tail, PART_TEXT, read_text(instructions));
}

/* --- tools --- */

static void
read_tool(struct cursor tool, struct llm_tool *made)
{
    struct str type = read_required_text(read_at(&tool, "type"));
    struct cursor schema = read_at(&tool, "parameters");

    made->custom = str_eq(type, S("custom"));
    if (!made->custom && !str_eq(type, S("function"))) {
        made->name = type;    /* a tool that OpenAI runs, or that only its models know */
        made->raw = tool.j;
        return;
    }
    made->name = read_required_text(read_at(&tool, "name"));
    made->description = read_text(read_at(&tool, "description"));
    if (made->custom)
        return;
    made->strict = llm_tri_of(read_at(&tool, "strict").j);
    if (json_is(schema.j, JSON_OBJECT))
        made->schema = json_raw(schema.j);
    else if (read_present(schema))
        bad(schema, "must be a JSON Schema object");
}

static void
read_tools(struct cursor list)
{
    struct llm_tool **tail = &list.rd->r->tools;

    READ_EACH (tool, &list) {
        *tail = arena_new(list.rd->a, struct llm_tool);
        read_tool(tool, *tail);
        tail = &(*tail)->next;
    }
}

static const struct llm_named choices[] = {
    { S_INIT("auto"), CHOICE_AUTO },
    { S_INIT("none"), CHOICE_NONE },
    { S_INIT("required"), CHOICE_REQUIRED },
};

/* Other protocols have no allowed_tools, so the list of tools is shortened instead. */
static void
read_allowed_tools(struct cursor choice)
{
    struct reading *rd = choice.rd;
    struct json_iter it = json_iter(read_at(&choice, "tools").j);
    int mode = read_word(read_at(&choice, "mode").j, choices, ARRAY_LEN(choices));
    struct llm_tool **at = &rd->r->tools;

    if (mode < 0 || !json_is(read_at(&choice, "tools").j, JSON_ARRAY)) {
        bad(choice, "must have a mode and a list of tools");
        return;
    }
    rd->r->choice = (enum llm_choice)mode;

    struct map *names = map_create();

    while (json_next(&it)) {
        const struct json *name = json_get(it.value, S("name"));

        if (!json_is(name, JSON_STRING))
            name = json_get(it.value, S("type"));
        if (json_is(name, JSON_STRING))
            (void)map_put(names, read_any_text((struct cursor){ .rd = rd, .j = name }), names);
    }
    while (*at != NULL) {
        if (map_get(names, (*at)->name) != NULL)
            at = &(*at)->next;
        else
            *at = (*at)->next;
    }
    map_destroy(names);
}

static void
read_tool_choice(struct cursor choice)
{
    struct llm_request *r = choice.rd->r;
    struct cursor type = read_at(&choice, "type");
    int word = read_word(choice.j, choices, ARRAY_LEN(choices));

    if (!read_present(choice))
        return;
    if (word >= 0) {
        r->choice = (enum llm_choice)word;
    } else if (choice.j->type != JSON_OBJECT) {
        bad(choice, "must be none, auto, required or an object");
    } else if (read_is(type, "allowed_tools")) {
        read_allowed_tools(choice);
    } else {    /* by its name, or a tool that OpenAI runs by its type */
        bool named = read_is(type, "function") || read_is(type, "custom");

        r->choice = CHOICE_NAMED;
        r->choice_name = read_required_text(named ? read_at(&choice, "name") : type);
    }
}

/* --- the rest --- */

static void
read_format(struct cursor format)
{
    static const struct llm_named formats[] = {
        { S_INIT("text"), FORMAT_TEXT },
        { S_INIT("json_object"), FORMAT_JSON },
        { S_INIT("json_schema"), FORMAT_SCHEMA },
    };
    struct llm_request *r = format.rd->r;
    struct cursor type = read_at(&format, "type");
    struct cursor schema = read_at(&format, "schema");
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
    r->schema_strict = llm_tri_of(read_at(&format, "strict").j);
    r->schema_name = read_text(read_at(&format, "name"));
    r->schema_description = read_text(read_at(&format, "description"));
}

static void
read_text_options(struct cursor text)
{
    struct cursor verbosity = read_at(&text, "verbosity");

    read_format(read_at(&text, "format"));
    text.rd->r->verbosity = read_node(verbosity, JSON_STRING);
}

static void
read_reasoning_options(struct cursor options)
{
    struct llm_request *r = options.rd->r;
    int64_t budget = json_i64(json_get(options.j, S("max_tokens")), -1);    /* OpenRouter's */

    r->effort = read_text(read_at(&options, "effort"));
    r->reasoning_budget = MAX(budget, 0);
    if (budget == 0 || str_eq(r->effort, S("none")) ||
        !json_bool(json_get(options.j, S("enabled")), true))
        r->reasoning = NO;
}

static void
check_limit(struct cursor limit)
{
    (void)read_integer(limit, 1, INT64_MAX, 0, "must be a positive integer");
}

/* Log probabilities are asked for by name, or by their number. */
static void
read_include(struct cursor include)
{
    struct llm_request *r = include.rd->r;
    int64_t most = json_i64(read_at(include.up, "top_logprobs").j, 0);
    bool asked = most > 0;

    READ_EACH (name, &include)
        asked = asked || read_is(name, "message.output_text.logprobs");
    if (asked)
        r->logprobs = json_parse(include.rd->a, S("true"), NULL, NULL);
}

static void
read_user(struct cursor user)
{
    user.rd->r->user = read_text(user);
    if (user.rd->r->user.n == 0)
        user.rd->r->user = read_text(read_at(user.up, "user"));
}

static void
read_service_tier(struct cursor tier)
{
    tier.rd->r->service_tier = read_text(tier);
}

static void
read_parallel(struct cursor parallel)
{
    parallel.rd->r->parallel_tools = read_flag(parallel);
}

/* What only the provider that stores the conversation can do. */
static void
read_stored(struct cursor c)
{
    if (read_present(c))
        read_fault(c, ERR_UNSUPPORTED,
            "is not known here, and the model's provider does not store conversations; send all "
            "items");
}

static void
read_background(struct cursor background)
{
    if (json_is(background.j, JSON_TRUE))
        read_fault(background, ERR_UNSUPPORTED,
            "this model cannot answer in the background; send the request without it");
}

/* In the order in which they are checked: the list of allowed tools shortens that of tools, and
 * instructions precede the input. */
const struct read_member responses_members[] = {
    { "model", NULL },
    { "stream", NULL },
    { "previous_response_id", read_stored },
    { "conversation", read_stored },
    { "prompt", read_stored },
    { "background", read_background },
    { "instructions", read_instructions },
    { "input", read_input },
    { "tools", read_tools },
    { "tool_choice", read_tool_choice },
    { "text", read_text_options },
    { "reasoning", read_reasoning_options },
    { "max_output_tokens", check_limit },
    { "safety_identifier", read_user },
    { "user", NULL },
    { "service_tier", read_service_tier },
    { "parallel_tool_calls", read_parallel },
    { "include", read_include },
    { "store", NULL },
    { "stream_options", NULL },
    { NULL, NULL },
};

void
responses_read_head(struct cursor doc)
{
    struct llm_request *r = doc.rd->r;

    r->want_usage = true;
    r->max_tokens = MAX(json_i64(read_at(&doc, "max_output_tokens").j, 0), 0);
}

/* caller.c - reads the requests of callers who speak Cohere's v2 protocol, and writes their errors.
 *
 * Documents to answer from, citation modes and safety modes are kept for a provider of the same
 * protocol; others do not have them, and the caller is told.
 */
#include "llm/media.h"
#include "llm/read.h"
#include "wires/cohere/cohere.h"

static const struct read_words words = {
    .required = "is required",
    .empty = "must not be empty",
    .text = "must be a string",
    .number = "must be a number",
    .integer = "must be an integer",
    .flag = "must be true or false",
    .object = "must be an object",
    .list = "must be a list",
    .too_many = "there are more messages and parts than allowed",
};

/* --- content --- */

static void
add_text(struct cursor c, struct llm_part ***tail, struct str text)
{
    if (text.n != 0)
        llm_part_add(c.rd->a, tail, PART_TEXT)->text = text;
}

static void
read_image(struct cursor part, struct llm_part ***tail)
{
    struct cursor image = read_at(&part, "image_url");
    struct cursor url = json_is(image.j, JSON_OBJECT) ? read_at(&image, "url") : image;
    struct llm_part *p = llm_part_add(part.rd->a, tail, PART_IMAGE);

    if (!media_set_url(p, read_required_text(url)))
        read_fault(url, ERR_BAD_REQUEST, "must be a URL, or an image in a data: URL");
    p->detail = read_any_text(read_at(&image, "detail"));
}

/* A document, which a tool found, is a text for other protocols: its data as JSON, or as it is. */
static void
read_tool_document(struct cursor part, struct llm_part ***tail)
{
    struct cursor document = read_at(&part, "document");
    struct cursor data = read_at(&document, "data");
    const struct json *only = NULL;
    struct json_iter it = json_iter(data.j);

    if (json_is(document.j, JSON_STRING)) {
        add_text(document, tail, read_any_text(document));
        return;
    }
    if (json_is(data.j, JSON_STRING)) {
        add_text(data, tail, read_any_text(data));
        return;
    }
    if (!json_is(data.j, JSON_OBJECT)) {
        read_fault(data, ERR_BAD_REQUEST, words.object);
        return;
    }
    if (json_next(&it) && json_is(it.value, JSON_STRING) && json_count(data.j) == 1)
        only = it.value;
    add_text(data, tail,
        only != NULL
            ? read_any_text((struct cursor){ .rd = data.rd, .j = only, .up = &data, .key = "text" })
            : json_raw(data.j));
}

static void
read_part(struct cursor part, struct llm_part ***tail)
{
    struct cursor type = read_at(&part, "type");

    if (json_is(part.j, JSON_STRING))
        add_text(part, tail, read_any_text(part));
    else if (read_is(type, "text"))
        add_text(part, tail, read_text(read_at(&part, "text")));
    else if (read_is(type, "thinking"))
        llm_part_add(part.rd->a, tail, PART_REASONING)->text =
            read_text(read_at(&part, "thinking"));
    else if (read_is(type, "image_url"))
        read_image(part, tail);
    else if (read_is(type, "document"))
        read_tool_document(part, tail);
    else
        read_fault(type, ERR_BAD_REQUEST, "must be text, thinking, image_url or document");
}

/* A string or a list of parts. */
static void
read_content(struct cursor content, struct llm_part ***tail)
{
    if (json_is(content.j, JSON_STRING))
        add_text(content, tail, read_any_text(content));
    else
        READ_EACH (part, &content)
            read_part(part, tail);
}

/* --- messages --- */

static void
read_call(struct cursor call, struct llm_part ***tail)
{
    struct llm_part *part = llm_part_add(call.rd->a, tail, PART_TOOL_CALL);
    struct cursor function = read_at(&call, "function");
    struct cursor arguments = read_at(&function, "arguments");

    part->id = read_required_text(read_at(&call, "id"));
    part->name = read_required_text(read_at(&function, "name"));
    part->args = json_is(arguments.j, JSON_OBJECT) ? json_raw(arguments.j) : read_text(arguments);
    if (str_eq(str_trim(part->args), S("null")))
        part->args = S("");
}

static void
read_result(struct cursor message, struct llm_part ***tail)
{
    struct llm_part *part = llm_part_add(message.rd->a, tail, PART_TOOL_RESULT);
    struct llm_part **inner = &part->result;

    part->id = read_required_text(read_at(&message, "tool_call_id"));
    read_content(read_at(&message, "content"), &inner);
}

struct chat_reading {
    struct llm_part **system_tail;
    struct llm_message **tail;
};

static void
read_message(struct cursor message, struct chat_reading *cv)
{
    static const struct llm_named roles[] = {
        { S_INIT("system"), ROLE_SYSTEM },
        { S_INIT("user"), ROLE_USER },
        { S_INIT("assistant"), ROLE_ASSISTANT },
        { S_INIT("tool"), ROLE_TOOL },
    };
    struct reading *rd = message.rd;
    struct cursor role = read_at(&message, "role");
    struct cursor content = read_at(&message, "content");
    struct cursor calls = read_at(&message, "tool_calls");
    struct str plan = read_text(read_at(&message, "tool_plan"));
    int named = read_word(role.j, roles, ARRAY_LEN(roles));

    if (named < 0) {
        read_fault(role, ERR_BAD_REQUEST, "must be system, user, assistant or tool");
        return;
    }
    if (named == ROLE_SYSTEM && cv->tail == &rd->r->messages) {
        read_content(content, &cv->system_tail);
        return;
    }
    struct llm_part **tail = &llm_message_add(rd->a, &cv->tail, (enum llm_role)named)->parts;

    if (named == ROLE_TOOL) {
        read_result(message, &tail);
        return;
    }
    if (plan.n != 0 && named == ROLE_ASSISTANT)
        llm_part_add(rd->a, &tail, PART_REASONING)->text = plan;
    read_content(content, &tail);
    if (named == ROLE_ASSISTANT)
        READ_EACH (call, &calls)
            read_call(call, &tail);
}

static void
read_messages(struct cursor messages)
{
    struct chat_reading cv = {
        .system_tail = &messages.rd->r->system,
        .tail = &messages.rd->r->messages,
    };

    READ_EACH (message, &messages)
        read_message(message, &cv);
}

/* --- tools and parameters --- */

static void
read_tools(struct cursor tools)
{
    struct llm_tool **tail = &tools.rd->r->tools;

    READ_EACH (tool, &tools) {
        struct cursor function = read_at(&tool, "function");
        const struct json *schema = read_node(read_at(&function, "parameters"), JSON_OBJECT);

        *tail = arena_new(tools.rd->a, struct llm_tool);
        (*tail)->name = read_required_text(read_at(&function, "name"));
        (*tail)->description = read_any_text(read_at(&function, "description"));
        (*tail)->schema = schema != NULL ? json_raw(schema) : S("");
        tail = &(*tail)->next;
    }
}

/* Of all tools; read after them. */
static void
read_strict(struct cursor strict)
{
    if (read_flag(strict) == YES)
        for (struct llm_tool *tool = strict.rd->r->tools; tool != NULL; tool = tool->next)
            tool->strict = YES;
}

static void
read_tool_choice(struct cursor choice)
{
    struct llm_request *r = choice.rd->r;

    if (read_is(choice, "REQUIRED"))
        r->choice = CHOICE_REQUIRED;
    else if (read_is(choice, "NONE"))
        r->choice = CHOICE_NONE;
    else if (read_present(choice))
        read_fault(choice, ERR_BAD_REQUEST, "must be REQUIRED or NONE");
}

static void
read_format(struct cursor format)
{
    struct llm_request *r = format.rd->r;
    struct cursor type = read_at(&format, "type");
    const struct json *schema = read_node(read_at(&format, "json_schema"), JSON_OBJECT);

    if (!read_present(format))
        return;
    if (schema == NULL)
        schema = read_node(read_at(&format, "schema"), JSON_OBJECT);    /* as in v1 */
    if (read_is(type, "text")) {
        r->format = FORMAT_TEXT;
    } else if (!read_is(type, "json_object")) {
        read_fault(type, ERR_BAD_REQUEST, "must be text or json_object");
    } else if (schema != NULL) {
        r->format = FORMAT_SCHEMA;
        r->schema = json_raw(schema);
    } else {
        r->format = FORMAT_JSON;
    }
}

/* Without a budget the model thinks as it sees fit. */
static void
read_thinking(struct cursor thinking)
{
    struct llm_request *r = thinking.rd->r;
    struct cursor type = read_at(&thinking, "type");
    int64_t budget =
        read_integer(read_at(&thinking, "token_budget"), 1, INT32_MAX, 0, words.integer);

    if (read_is(type, "disabled"))
        r->reasoning = NO;
    else if (read_present(thinking) && !read_is(type, "enabled"))
        read_fault(type, ERR_BAD_REQUEST, "must be enabled or disabled");
    else if (budget > 0)
        r->reasoning_budget = budget;
    else if (read_present(thinking))
        r->effort = S("medium");
}

static void
read_max_tokens(struct cursor max_tokens)
{
    max_tokens.rd->r->max_tokens = read_integer(max_tokens, 0, INT64_MAX, 0, words.integer);
}

static void
read_stop(struct cursor stop)
{
    stop.rd->r->stop = read_texts(stop);
}

static const struct read_member members[] = {
    { "messages", read_messages },
    { "tools", read_tools },
    { "strict_tools", read_strict },
    { "tool_choice", read_tool_choice },
    { "response_format", read_format },
    { "thinking", read_thinking },
    { "max_tokens", read_max_tokens },
    { "stop_sequences", read_stop },
    { "model", NULL },
    { "stream", NULL },
    { NULL, NULL },
};

static void
read_head(struct cursor doc)
{
    struct cursor messages = read_at(&doc, "messages");

    doc.rd->r->want_usage = true;
    if (doc.rd->r->op != OP_CHAT)
        return;
    if (messages.j == NULL)
        read_fault(messages, ERR_BAD_REQUEST, words.required);
    else if (!json_is(messages.j, JSON_ARRAY))
        read_fault(messages, ERR_BAD_REQUEST, words.list);
    else if (json_is_empty(messages.j))
        read_fault(messages, ERR_BAD_REQUEST, words.empty);
}

/* --- errors and lists --- */

static void
write_error(struct buf *out, const struct llm_error *e, struct str request_id)
{
    struct json_out o = json_out(out);

    out_object(&o);
    out_text_if(&o, "id", request_id);
    out_text(&o, "message", e->message.n > 0 ? e->message : str_c(err_row(e->kind)->sentence));
    out_end(&o);
}

static int
status(const struct llm_error *e)
{
    return err_row(e->kind)->status;
}

static void
write_model(struct buf *out, struct str id, struct str owner UNUSED, struct str details UNUSED)
{
    struct json_out o = json_out(out);

    out_object(&o);
    out_text(&o, "name", id);
    out_const(&o, "\"is_deprecated\":false,\"endpoints\":[\"chat\"],\"finetuned\":false,"
                  "\"default_endpoints\":[]");
    out_end(&o);
}

static void
write_models_end(struct buf *out, const struct wire_page *page UNUSED)
{
    buf_add(out, S("]}"));
}

/* --- where needs stand --- */

static const struct need_word need_members[] = {
    { S_INIT("messages"), NEED_IS_TURNS, 0 },
    { S_INIT("texts"), NEED_IS_TURNS, 0 },
    { S_INIT("tools"), NEED_IS_TOOLS, NEED_BIT(TOOLS) },
    { S_INIT("response_format"), NEED_IS_FORMAT, NEED_BIT(SCHEMA) },
    { S_INIT("thinking"), NEED_IS_ASKED, NEED_BIT(REASONING) },
    { S_INIT("logprobs"), NEED_IS_ASKED, NEED_BIT(LOGPROBS) },
    { S_INIT("max_tokens"), NEED_IS_LIMIT, 0 },
    { S_INIT(""), NEED_IS_OTHER, 0 },
};

static const struct need_word need_messages[] = {
    { S_INIT("role"), NEED_IS_ROLE, 0 },
    { S_INIT("content"), NEED_IS_CONTENT, 0 },
    { S_INIT("tool_calls"), NEED_IS_OTHER, NEED_BIT(TOOLS) },
    { S_INIT(""), NEED_IS_OTHER, 0 },
};

static const struct need_word need_parts[] = {
    { S_INIT("text"), NEED_IS_TEXT, 0 },
    { S_INIT("image_url"), NEED_IS_MEDIUM, NEED_BIT(IMAGES) },
    { S_INIT(""), NEED_IS_OTHER, 0 },
};

static const struct needs_words needs_words = {
    .members = need_members, .messages = need_messages, .parts = need_parts
};

static const char *const beyond_text[] = { "tools", "response_format", "thinking", "logprobs",
    "documents", NULL };

const struct wire_caller cohere_caller = {
    .members = members,
    .params = PARAMS_COHERE,
    .words = &words,
    .translates = OP_BIT(OP_CHAT),
    .asks = { [OP_EMBED] = &cohere_embed, [OP_RERANK] = &cohere_rerank },
    .beyond_text = beyond_text,
    .needs = &needs_words,
    .read_head = read_head,
    .write_event = cohere_write_event,
    .write_answer = cohere_write_answer,
    .write_error = write_error,
    .write_relay_error = cohere_write_relay_error,
    .status = status,
    .models_begin = S_INIT("{\"models\":["),
    .write_model = write_model,
    .write_models_end = write_models_end,
    .version_field = S_INIT("x-fern-sdk-name"),
    .version_word = S_INIT("cohere"),
    .terminator = S_INIT("data: [DONE]\n\n"),
};

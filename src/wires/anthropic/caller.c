/* caller.c - reads the requests of callers who speak Anthropic Messages, and writes their errors
 * and token counts. Error messages use Anthropic's wording.
 *
 * What only this protocol has (blocks of provider-run tools, signed thinking) is kept, with its
 * origin, for a provider of the same protocol; plain-text documents become text, which every
 * protocol has.
 */
#include "llm/media.h"
#include "llm/read.h"
#include "llm/seal.h"
#include "wires/anthropic/anthropic.h"

static const struct read_words words = {
    .required = "Field required",
    .empty = "String should have at least 1 character",
    .text = "Input should be a valid string",
    .number = "Input should be a valid number",
    .integer = "Input should be a valid integer",
    .flag = "Input should be a valid boolean",
    .object = "Input should be a valid dictionary",
    .list = "Input should be a valid list",
    .too_many = "there are more messages and content blocks than allowed",
};

/* A member that must be present. */
static struct cursor
read_required(const struct cursor *up, const char *key)
{
    struct cursor c = read_at(up, key);

    if (c.j == NULL)
        read_fault(c, ERR_BAD_REQUEST, words.required);
    return c;
}

/* A string that must be present, but may be empty. */
static struct str
required_text(const struct cursor *up, const char *key)
{
    struct cursor c = read_required(up, key);

    if (c.j != NULL && c.j->type != JSON_STRING)
        read_fault(c, ERR_BAD_REQUEST, words.text);
    return read_any_text(c);
}

static struct str
any_text(const struct cursor *up, const char *key)
{
    return read_any_text(read_at(up, key));
}

/* --- content --- */

static void
add_text(struct cursor c, struct llm_part ***tail, struct str text)
{
    llm_part_add(c.rd->a, tail, PART_TEXT)->text = text;
}

static void read_content(struct cursor content, struct llm_part ***tail);

/* Where a picture or a document is. */
static void
read_source(const struct cursor *source, struct llm_part *part, const char *fault)
{
    struct cursor type = read_at(source, "type");

    if (read_is(type, "base64")) {
        struct str mime = required_text(source, "media_type");

        media_set_data(part, mime, required_text(source, "data"));
    } else if (read_is(type, "url")) {
        if (!media_set_url(part, required_text(source, "url")))
            read_fault(read_at(source, "url"), ERR_BAD_REQUEST, "Input should be a valid URL");
    } else if (read_is(type, "file")) {
        part->file_id = required_text(source, "file_id");
    } else {
        read_fault(*source, ERR_BAD_REQUEST, fault);
    }
}

/* Text documents become text parts, preceded by their title. */
static void
read_file(struct cursor block, struct llm_part ***tail)
{
    struct cursor source = read_at(&block, "source");
    struct cursor type = read_at(&source, "type");
    struct str title = any_text(&block, "title");
    bool text = read_is(type, "text");

    if (!text && !read_is(type, "content")) {
        struct llm_part *part = llm_part_add(block.rd->a, tail, PART_FILE);

        part->name = title;
        if (read_is(type, "url"))    /* the only kind of document that may be given by URL */
            part->mime = S("application/pdf");
        read_source(&source, part, "Input should be a base64, text, url, content or file source");
        return;
    }
    if (title.n > 0)
        add_text(block, tail, title);
    if (text)
        add_text(block, tail, required_text(&source, "data"));
    else
        read_content(read_required(&source, "content"), tail);
}

static void
read_tool_result(struct cursor block, struct llm_part ***tail)
{
    struct llm_part *part = llm_part_add(block.rd->a, tail, PART_TOOL_RESULT);
    struct cursor content = read_at(&block, "content");
    struct llm_part **inner = &part->result;

    part->id = required_text(&block, "tool_use_id");
    part->is_error = json_bool(read_at(&block, "is_error").j, false);
    if (read_present(content))
        read_content(content, &inner);
}

static void
read_block(struct cursor block, struct llm_part ***tail)
{
    struct cursor type = read_required(&block, "type");
    struct llm_part **before = *tail;

    if (!json_is(type.j, JSON_STRING)) {
        read_fault(type, ERR_BAD_REQUEST, words.text);
    } else if (read_is(type, "text")) {
        add_text(block, tail, required_text(&block, "text"));
    } else if (read_is(type, "image")) {
        struct cursor source = read_at(&block, "source");

        read_source(&source, llm_part_add(block.rd->a, tail, PART_IMAGE),
            "Input should be a base64, url or file source");
    } else if (read_is(type, "document")) {
        read_file(block, tail);
    } else if (read_is(type, "search_result")) {
        add_text(block, tail, any_text(&block, "title"));
        add_text(block, tail, any_text(&block, "source"));
        read_content(read_required(&block, "content"), tail);
    } else if (read_is(type, "tool_use")) {
        struct llm_part *part = llm_part_add(block.rd->a, tail, PART_TOOL_CALL);
        struct cursor input = read_at(&block, "input");

        part->id = required_text(&block, "id");
        part->name = required_text(&block, "name");
        if (read_present(input))
            part->args = json_raw(input.j);
    } else if (read_is(type, "tool_result")) {
        read_tool_result(block, tail);
    } else if (read_is(type, "thinking") || read_is(type, "redacted_thinking")) {
        struct llm_part *part = llm_part_add(block.rd->a, tail, PART_REASONING);

        struct seal seal;

        part->text = any_text(&block, "thinking");
        part->signature = any_text(&block, "signature");
        part->redacted = any_text(&block, "data");
        part->origin = ORIGIN_ANTHROPIC;
        if (seal_read(
                block.rd->a, part->signature.n > 0 ? part->signature : part->redacted, &seal)) {
            part->signature = seal.signature;
            part->redacted = seal.redacted;
            part->origin = seal.origin;
        }
    } else {    /* a block of a provider-run tool, or of a type that is newer than this code */
        struct llm_part *part = llm_part_add(block.rd->a, tail, PART_OPAQUE);

        part->raw = block.j;
        part->origin = ORIGIN_ANTHROPIC;
    }

    if (*tail != before)    /* the last part that the block became */
        CONTAINER_OF(*tail, struct llm_part, next)->cache_mark = wire_cache_mark(block.j);
}

/* A string or a list of blocks. */
static void
read_content(struct cursor content, struct llm_part ***tail)
{
    if (json_is(content.j, JSON_STRING)) {
        if (read_count(content))
            add_text(content, tail, read_any_text(content));
        return;
    }
    if (!read_present(content))
        read_fault(content, ERR_BAD_REQUEST, words.list);
    READ_EACH (block, &content) {
        if (!json_is(block.j, JSON_OBJECT))
            read_fault(block, ERR_BAD_REQUEST, words.object);
        read_block(block, tail);
    }
}

/* --- messages and system --- */

static enum llm_role
read_role(struct cursor role)
{
    static const struct llm_named roles[] = {
        { S_INIT("user"), ROLE_USER },
        { S_INIT("assistant"), ROLE_ASSISTANT },
        { S_INIT("system"), ROLE_SYSTEM },
    };
    int named = read_word(role.j, roles, ARRAY_LEN(roles));

    if (named < 0)
        read_fault(role, ERR_BAD_REQUEST, "Input should be 'user' or 'assistant'");
    return named < 0 ? ROLE_USER : (enum llm_role)named;
}

static void
read_messages(struct cursor messages)
{
    struct llm_request *r = messages.rd->r;
    struct llm_message **tail = &r->messages;
    struct llm_part **system = &r->system;

    while (*system != NULL)
        system = &(*system)->next;
    READ_EACH (message, &messages) {
        enum llm_role role = read_role(read_required(&message, "role"));
        struct cursor content = read_required(&message, "content");

        if (role == ROLE_SYSTEM && r->messages == NULL) {    /* before the first turn */
            read_content(content, &system);
        } else {
            struct llm_part **parts = &llm_message_add(messages.rd->a, &tail, role)->parts;

            read_content(content, &parts);
        }
    }
}

/* Claude Code's accounting line, with a number that is another one in every request: it means
 * something to Anthropic only, which gets it in the caller's own bytes. Before any other model's
 * prompt it would keep every prefix cache from hitting. */
static struct str
without_billing_line(struct str text)
{
    struct str rest = S("");

    if (!str_istarts(text, S("x-anthropic-billing-header:")))
        return text;
    (void)str_cut(text, '\n', &text, &rest);
    return rest;
}

static void
read_system_block(struct cursor block, struct llm_part ***tail)
{
    struct llm_part **at = *tail;

    read_block(block, tail);
    if (*at == NULL)
        return;

    struct str kept = without_billing_line((*at)->text);

    if (kept.n == 0 && (*at)->text.n > 0) {    /* the block was only that */
        *at = NULL;
        *tail = at;
    } else {
        (*at)->text = kept;
    }
}

static void
read_system(struct cursor system)
{
    struct llm_part **tail = &system.rd->r->system;

    if (json_is(system.j, JSON_STRING)) {
        struct str text = read_any_text(system);
        struct str kept = without_billing_line(text);

        if (kept.n > 0 || text.n == 0)
            add_text(system, &tail, kept);
    } else if (read_present(system) && system.j->type != JSON_ARRAY) {
        read_fault(system, ERR_BAD_REQUEST, "Input should be a valid string or list");
    } else {
        READ_EACH (block, &system) {
            struct cursor type = read_at(&block, "type");

            if (!read_is(type, "text"))
                read_fault(type, ERR_BAD_REQUEST, "Input should be 'text'");
            else
                read_system_block(block, &tail);
        }
    }
}

/* --- tools --- */

static void
read_tools(struct cursor tools)
{
    struct llm_tool **tail = &tools.rd->r->tools;

    READ_EACH (j, &tools) {
        struct cursor type = read_at(&j, "type");
        struct llm_tool *tool = arena_new(tools.rd->a, struct llm_tool);
        const struct json *schema = read_at(&j, "input_schema").j;

        *tail = tool;
        tail = &tool->next;
        if (j.j->type != JSON_OBJECT)
            read_fault(j, ERR_BAD_REQUEST, words.object);
        if (read_present(type) && !read_is(type, "custom")) {
            tool->name = any_text(&j, "name");
            tool->raw = j.j;
            continue;
        }
        tool->name = required_text(&j, "name");
        tool->description = any_text(&j, "description");
        if (json_present(schema))
            tool->schema = json_raw(schema);
        tool->strict = llm_tri_of(read_at(&j, "strict").j);
        tool->cache_mark = wire_cache_mark(j.j);
    }
}

static void
read_tool_choice(struct cursor choice)
{
    static const struct llm_named types[] = {
        { S_INIT("auto"), CHOICE_AUTO },
        { S_INIT("any"), CHOICE_REQUIRED },
        { S_INIT("none"), CHOICE_NONE },
        { S_INIT("tool"), CHOICE_NAMED },
    };
    struct llm_request *r = choice.rd->r;
    struct cursor type = read_at(&choice, "type");
    struct cursor name = read_at(&choice, "name");
    const struct json *single = read_at(&choice, "disable_parallel_tool_use").j;
    int named = read_word(type.j, types, ARRAY_LEN(types));

    if (!read_present(choice))
        return;
    if (named < 0)
        read_fault(type, ERR_BAD_REQUEST, "Input should be 'auto', 'any', 'tool' or 'none'");
    else
        r->choice = (enum llm_choice)named;
    if (r->choice == CHOICE_NAMED) {
        r->choice_name = read_any_text(name);
        if (r->choice_name.n == 0)
            read_fault(name, ERR_BAD_REQUEST, words.required);
    }
    if (json_present(single))
        r->parallel_tools = json_bool(single, false) ? NO : YES;
}

/* --- parameters --- */

static void
read_max_tokens(struct cursor max_tokens)
{
    max_tokens.rd->r->max_tokens = json_i64(read_node(max_tokens, JSON_NUMBER), 0);
}

static void
read_thinking_mode(struct cursor thinking)
{
    struct llm_request *r = thinking.rd->r;
    struct cursor type = read_at(&thinking, "type");
    struct cursor budget = read_at(&thinking, "budget_tokens");

    if (!read_present(thinking))
        return;
    if (read_is(type, "disabled")) {
        r->reasoning = NO;
    } else if (read_is(type, "enabled")) {
        r->reasoning_budget = json_i64(budget.j, 0);
        if (!json_is(budget.j, JSON_NUMBER) || r->reasoning_budget <= 0)
            read_fault(budget, ERR_BAD_REQUEST, words.integer);
    } else if (!read_is(type, "adaptive")) {    /* adaptive: the effort decides */
        read_fault(type, ERR_BAD_REQUEST, "Input should be 'enabled', 'disabled' or 'adaptive'");
    }
}

static void
read_format(struct cursor format)
{
    struct llm_request *r = format.rd->r;
    const struct json *schema = read_at(&format, "schema").j;

    if (!read_present(format) || r->format != FORMAT_UNSET)
        return;
    if (!read_is(read_at(&format, "type"), "json_schema") || !json_is(schema, JSON_OBJECT))
        read_fault(format, ERR_BAD_REQUEST, "Input should be a json_schema with its schema");
    r->format = FORMAT_SCHEMA;
    r->schema = json_raw(schema);
}

static void
read_output_config(struct cursor config)
{
    config.rd->r->effort = any_text(&config, "effort");
    read_format(read_at(&config, "format"));
}

static void
read_stop(struct cursor stop)
{
    if (json_is(stop.j, JSON_STRING))
        read_fault(stop, ERR_BAD_REQUEST, words.list);
    stop.rd->r->stop = read_texts(stop);
}

static void
read_metadata(struct cursor metadata)
{
    metadata.rd->r->user = any_text(&metadata, "user_id");
}

static void
read_service_tier(struct cursor tier)
{
    if (read_is(tier, "standard_only"))    /* in OpenAI's words */
        tier.rd->r->service_tier = S("default");
    else if (read_is(tier, "auto"))
        tier.rd->r->service_tier = S("auto");
}

/* A thread is stored by the provider, so the request holds only part of the conversation and must
 * not be answered. The SDKs resend all of it when they get this error. */
static void
read_thread(struct cursor thread)
{
    if (read_present(thread))
        read_fault(
            thread, ERR_UNSUPPORTED, "this provider does not store threads; send all messages");
}

/* In the order in which faults are told: system text precedes messages. */
static const struct read_member members[] = {
    { "thread", read_thread },
    { "system", read_system },
    { "messages", read_messages },
    { "tools", read_tools },
    { "tool_choice", read_tool_choice },
    { "max_tokens", read_max_tokens },
    { "metadata", read_metadata },
    { "service_tier", read_service_tier },
    { "stop_sequences", read_stop },
    { "thinking", read_thinking_mode },
    { "output_config", read_output_config },
    { "output_format", read_format },    /* the older place */
    { "model", NULL },
    { "stream", NULL },
    { NULL, NULL },
};

/* --- the head --- */

static void
read_head(struct cursor doc)
{
    struct llm_request *r = doc.rd->r;
    struct cursor messages = read_at(&doc, "messages");
    struct cursor max_tokens = read_at(&doc, "max_tokens");

    r->want_usage = true;
    if (messages.j == NULL)
        read_fault(messages, ERR_BAD_REQUEST, words.required);
    else if (!json_is(messages.j, JSON_ARRAY))
        read_fault(messages, ERR_BAD_REQUEST, words.list);
    else if (json_is_empty(messages.j))
        read_fault(messages, ERR_BAD_REQUEST, "at least one message is required");
    if (r->op != OP_CHAT)
        return;
    if (max_tokens.j == NULL)
        read_fault(max_tokens, ERR_BAD_REQUEST, words.required);
    else if (!json_is(max_tokens.j, JSON_NUMBER))
        read_fault(max_tokens, ERR_BAD_REQUEST, words.integer);
    else if (json_i64(max_tokens.j, 0) < 0)
        read_fault(max_tokens, ERR_BAD_REQUEST, "Input should be greater than or equal to 0");
}

/* --- errors and counts --- */

/* A code that the SDKs act upon: set for errors that the caller can fix, never for problems of the
 * gateway's own account. */
static struct str
error_code(const struct llm_error *e)
{
    if (e->kind == ERR_UNSUPPORTED && str_eq(e->param, S("thread")))
        return S("thread_unsupported_request");
    return err_row(e->kind)->fault == FAULT_CALLER || e->kind == ERR_UPSTREAM_NO_MODEL ||
                   e->kind == ERR_UPSTREAM_RATE_LIMIT
               ? e->code
               : S("");
}

static void
write_error(struct buf *out, const struct llm_error *e, struct str request_id)
{
    const struct err_row *row = err_row(e->kind);
    struct str code = error_code(e);

    buf_add(out, S("{\"type\":\"error\",\"error\":{\"type\":"));
    json_add_str(out, str_c(anthropic_error_names[e->kind].type));
    buf_add(out, S(",\"message\":"));
    json_add_str(out, e->message.n > 0 ? e->message : str_c(row->sentence));
    if (code.n > 0) {
        buf_add(out, S(",\"details\":{\"error_code\":"));
        json_add_str(out, code);
        buf_add_c(out, '}');
    }
    buf_add_c(out, '}');
    if (request_id.n > 0) {
        buf_add(out, S(",\"request_id\":"));
        json_add_str(out, request_id);
    }
    buf_add_c(out, '}');
}

static void
write_relay_error(
    struct buf *out, const struct llm_error *e, struct str path UNUSED, uint64_t sequence UNUSED)
{
    buf_add(out, S("event: error\ndata: "));
    write_error(out, e, S(""));
    buf_add(out, S("\n\n"));
}

static void
write_token_count(struct buf *out, int64_t input_tokens)
{
    buf_add(out, S("{\"input_tokens\":"));
    buf_add_i64(out, MAX(input_tokens, 0));
    buf_add_c(out, '}');
}

/* Overload has an unregistered status of its own, which only these clients know. */
static int
status(const struct llm_error *e)
{
    if (e->kind == ERR_UPSTREAM_OVERLOADED || e->kind == ERR_OVERLOADED)
        return 529;
    if (e->kind == ERR_BAD_REQUEST && e->status == 404)
        return 404;    /* of another thing than a model: a batch, a file */
    return err_row(e->kind)->status;
}

static const char *const beyond_text[] = { "tools", "thinking", "output_config", "output_format",
    "mcp_servers", "container", NULL };

const struct wire_caller anthropic_caller = {
    .members = members,
    .params = PARAMS_ANTHROPIC,
    .words = &words,
    .translates = OP_BIT(OP_CHAT) | OP_BIT(OP_COUNT_TOKENS),
    .beyond_text = beyond_text,
    .needs = &anthropic_needs,
    .read_head = read_head,
    .write_event = anthropic_write_event,
    .write_answer = anthropic_write_answer,
    .write_error = write_error,
    .write_relay_error = write_relay_error,
    .write_token_count = write_token_count,
    .status = status,
    .error_names = anthropic_error_names,
    .anthropic_limits = true,
    .models_begin = S_INIT("{\"data\":["),
    .write_model = anthropic_write_model,
    .write_models_end = anthropic_write_models_end,
    .read_page = anthropic_read_page,
    .version_field = S_INIT("anthropic-version"),
    .id_field = S_INIT("request-id"),
    .keepalive = S_INIT("event: ping\ndata: {\"type\": \"ping\"}\n\n"),
};

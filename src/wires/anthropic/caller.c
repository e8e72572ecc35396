/* caller.c - reads the requests of callers who speak Anthropic Messages, and writes
 * their errors and token counts. Error messages use Anthropic's wording.
 */
#include "wires/anthropic/anthropic.h"

static const struct read_member members[] = {
    { .name = "model" },
    { .name = "messages" },
    { .name = "max_tokens" },
    { .name = "system" },
    { .name = "stream" },
    { .name = "tools" },
    { .name = "tool_choice" },
    { .name = "thinking" },
    { .name = "output_config" },
    { .name = "output_format" },
    { .name = "stop_sequences" },
    { .name = "metadata" },
    { .name = "service_tier" },
    { .name = "thread" },
    { .name = NULL },
};

/* --- tools --- */

static void
read_tool(struct reading *rd, const struct json *j, struct llm_tool *tool)
{
    const struct json *type = json_get(j, S("type"));
    const struct json *schema = json_get(j, S("input_schema"));
    const struct json *strict = json_get(j, S("strict"));

    if (json_present(type) && !json_str_is(type, S("custom"))) {
        tool->name = anthropic_text_at(rd, j, "name");
        tool->raw = j;
        return;
    }
    tool->name = anthropic_required_text(rd, j, "name");
    tool->description = anthropic_text_at(rd, j, "description");
    if (json_present(schema))
        tool->schema = json_raw(schema);
    tool->strict = llm_tri_of(strict);
    tool->cache_mark = wire_cache_mark(j);
}

static void
read_tools(struct reading *rd)
{
    struct json_iter it = json_iter(json_get(rd->r->doc, S("tools")));
    struct llm_tool **tail = &rd->r->tools;
    struct place here = { .list = "tools" };

    rd->at = &here;
    for (; rd->err == OK && json_next(&it); here.index++) {
        struct llm_tool *tool = arena_new(rd->a, struct llm_tool);

        if (!json_is(it.value, JSON_OBJECT))
            anthropic_complain(rd, ERR_BAD_REQUEST, "", "Input should be a valid dictionary");
        if (!anthropic_count_part(rd))
            break;
        read_tool(rd, it.value, tool);
        *tail = tool;
        tail = &tool->next;
    }
    rd->at = NULL;
}

static void
read_tool_choice(struct reading *rd)
{
    struct llm_request *r = rd->r;
    const struct json *choice = json_get(r->doc, S("tool_choice"));
    const struct json *type = json_get(choice, S("type"));
    const struct json *single = json_get(choice, S("disable_parallel_tool_use"));

    if (!json_present(choice))
        return;
    if (json_str_is(type, S("auto"))) {
        r->choice = CHOICE_AUTO;
    } else if (json_str_is(type, S("any"))) {
        r->choice = CHOICE_REQUIRED;
    } else if (json_str_is(type, S("none"))) {
        r->choice = CHOICE_NONE;
    } else if (json_str_is(type, S("tool"))) {
        r->choice = CHOICE_NAMED;
        r->choice_name = anthropic_text_at(rd, choice, "name");
        if (r->choice_name.n == 0)
            anthropic_complain(rd, ERR_BAD_REQUEST, "tool_choice.name", "Field required");
    } else {
        anthropic_complain(rd, ERR_BAD_REQUEST, "tool_choice.type",
            "Input should be 'auto', 'any', 'tool' or 'none'");
    }
    if (json_present(single))
        r->parallel_tools = json_bool(single, false) ? NO : YES;
}

/* --- parameters --- */

static void
read_thinking_mode(struct reading *rd)
{
    struct llm_request *r = rd->r;
    const struct json *thinking = json_get(r->doc, S("thinking"));
    const struct json *type = json_get(thinking, S("type"));
    const struct json *budget = json_get(thinking, S("budget_tokens"));

    if (!json_present(thinking))
        return;
    if (json_str_is(type, S("disabled"))) {
        r->reasoning = NO;
    } else if (json_str_is(type, S("enabled"))) {
        if (!json_is(budget, JSON_NUMBER) || json_i64(budget, 0) <= 0)
            anthropic_complain(
                rd, ERR_BAD_REQUEST, "thinking.budget_tokens", "Input should be a valid integer");
        r->reasoning_budget = json_i64(budget, 0);
    } else if (!json_str_is(type, S("adaptive"))) {    /* adaptive: the effort decides */
        anthropic_complain(rd, ERR_BAD_REQUEST, "thinking.type",
            "Input should be 'enabled', 'disabled' or 'adaptive'");
    }
}

/* output_config.format, or the older output_format. */
static void
read_output(struct reading *rd)
{
    struct llm_request *r = rd->r;
    const struct json *config = json_get(r->doc, S("output_config"));
    const struct json *format = json_get(config, S("format"));

    r->effort = anthropic_text_at(rd, config, "effort");
    if (!json_present(format))
        format = json_get(r->doc, S("output_format"));
    if (!json_present(format))
        return;
    if (!json_str_is(json_get(format, S("type")), S("json_schema")) ||
        !json_is(json_get(format, S("schema")), JSON_OBJECT)) {
        anthropic_complain(rd, ERR_BAD_REQUEST, "output_config.format",
            "Input should be a json_schema with its schema");
        return;
    }
    r->format = FORMAT_SCHEMA;
    r->schema = json_raw(json_get(format, S("schema")));
}

static const struct json *
number_at(struct reading *rd, const char *key)
{
    const struct json *value = json_get(rd->r->doc, str_c(key));

    if (!json_present(value))
        return NULL;
    if (!json_is(value, JSON_NUMBER))
        anthropic_complain(rd, ERR_BAD_REQUEST, key, "Input should be a valid number");
    return value;
}

static void
read_stop(struct reading *rd)
{
    const struct json *stop = json_get(rd->r->doc, S("stop_sequences"));
    struct json_iter it = json_iter(stop);
    struct llm_word **tail = &rd->r->stop;

    if (json_present(stop) && !json_is(stop, JSON_ARRAY))
        anthropic_complain(rd, ERR_BAD_REQUEST, "stop_sequences", "Input should be a valid list");
    while (rd->err == OK && json_next(&it)) {
        struct llm_word *word = arena_new(rd->a, struct llm_word);

        if (!json_is(it.value, JSON_STRING))
            anthropic_complain(
                rd, ERR_BAD_REQUEST, "stop_sequences", "Input should be a list of strings");
        if (!anthropic_count_part(rd))
            break;
        word->text = anthropic_text_of(rd, it.value);
        *tail = word;
        tail = &word->next;
    }
}

static void
read_parameters(struct reading *rd)
{
    struct llm_request *r = rd->r;
    const struct json *tier = json_get(r->doc, S("service_tier"));

    r->max_tokens = json_i64(number_at(rd, "max_tokens"), 0);
    r->temperature = number_at(rd, "temperature");
    r->top_p = number_at(rd, "top_p");
    r->top_k = number_at(rd, "top_k");
    r->user = anthropic_text_of(rd, json_at(r->doc, "metadata.user_id"));
    if (json_str_is(tier, S("standard_only")))    /* in OpenAI's words */
        r->service_tier = S("default");
    else if (json_str_is(tier, S("auto")))
        r->service_tier = S("auto");
    read_stop(rd);
    read_thinking_mode(rd);
    read_output(rd);
}

static bool
is_known(const struct json *key)
{
    for (const struct read_member *m = members; m->name != NULL; m++)
        if (json_str_is(key, str_c(m->name)))
            return true;
    for (unsigned p = 0; p < PARAM_NODES; p++)
        if (json_str_is(key, str_c(param_name(p, PARAMS_ANTHROPIC))))
            return true;
    return false;
}

static void
keep_extra(struct reading *rd)
{
    struct json_iter it = json_iter(rd->r->doc);
    struct llm_member **tail = &rd->r->extra;

    while (json_next(&it)) {
        if (is_known(it.key))
            continue;
        if (!anthropic_count_part(rd))
            break;
        *tail = arena_new(rd->a, struct llm_member);
        (*tail)->name = it.key;
        (*tail)->value = it.value;
        tail = &(*tail)->next;
    }
}

/* A thread is stored by the provider, so the request holds only part of the conversation and must
 * not be answered. The SDKs resend all of it when they get this error. */
static void
check_state(struct reading *rd)
{
    if (json_present(json_get(rd->r->doc, S("thread"))))
        anthropic_complain(rd, ERR_UNSUPPORTED, "thread",
            "this provider does not store threads; send all messages");
}

static enum err
read_conversation(struct llm_request *r, struct wire_fault *ret_fault)
{
    struct reading rd = { .r = r, .a = r->arena, .fault = ret_fault };

    if (r->op != OP_CHAT && r->op != OP_COUNT_TOKENS) {
        ret_fault->message = S("this route cannot be translated for another protocol");
        return ERR_UNSUPPORTED;
    }
    check_state(&rd);
    anthropic_read_messages(&rd);
    read_tools(&rd);
    read_tool_choice(&rd);
    read_parameters(&rd);
    keep_extra(&rd);
    return rd.err;
}

/* --- the head --- */

static void
read_model(struct reading *rd)
{
    struct llm_request *r = rd->r;

    r->model = anthropic_required_text(rd, r->doc, "model");
    r->model_node = json_get(r->doc, S("model"));
    if (rd->err == OK && r->model.n == 0)
        anthropic_complain(rd, ERR_BAD_REQUEST, "model", "String should have at least 1 character");
}

static void
check_max_tokens(struct reading *rd)
{
    const struct json *max_tokens = json_get(rd->r->doc, S("max_tokens"));

    if (max_tokens == NULL)
        anthropic_complain(rd, ERR_BAD_REQUEST, "max_tokens", "Field required");
    else if (!json_is(max_tokens, JSON_NUMBER))
        anthropic_complain(rd, ERR_BAD_REQUEST, "max_tokens", "Input should be a valid integer");
    else if (json_i64(max_tokens, 0) < 0)
        anthropic_complain(
            rd, ERR_BAD_REQUEST, "max_tokens", "Input should be greater than or equal to 0");
}

static void
check_messages(struct reading *rd)
{
    const struct json *messages = json_get(rd->r->doc, S("messages"));

    if (messages == NULL)
        anthropic_complain(rd, ERR_BAD_REQUEST, "messages", "Field required");
    else if (!json_is(messages, JSON_ARRAY))
        anthropic_complain(rd, ERR_BAD_REQUEST, "messages", "Input should be a valid list");
    else if (json_is_empty(messages))
        anthropic_complain(rd, ERR_BAD_REQUEST, "messages", "at least one message is required");
}

static enum err
read_head(struct llm_request *r, struct wire_fault *ret_fault)
{
    struct reading rd = { .r = r, .a = r->arena, .fault = ret_fault };
    const struct json *stream = json_get(r->doc, S("stream"));

    r->want_usage = true;
    rd.err = wire_check_members(r->arena, r->doc, members, PARAMS_ANTHROPIC, ret_fault);
    if (r->op == OP_RELAY) {
        if (json_is(json_get(r->doc, S("model")), JSON_STRING))
            read_model(&rd);
        r->stream = json_bool(stream, false);
        return rd.err;
    }
    if (!json_is(r->doc, JSON_OBJECT)) {
        *ret_fault = (struct wire_fault){ .message = S("the body must be a JSON object") };
        return ERR_BAD_REQUEST;
    }
    read_model(&rd);
    check_messages(&rd);
    if (r->op == OP_CHAT)
        check_max_tokens(&rd);
    if (json_present(stream) && !json_is(stream, JSON_TRUE) && !json_is(stream, JSON_FALSE))
        anthropic_complain(&rd, ERR_BAD_REQUEST, "stream", "Input should be a valid boolean");
    r->stream = r->op == OP_CHAT && json_bool(stream, false);
    return rd.err;
}

/* --- errors and counts --- */

/* A code that the SDKs act upon: set for errors that the caller can fix, never for problems of the
 * gateway's own account. */
static struct str
error_code(const struct llm_error *e)
{
    if (e->kind == ERR_UNSUPPORTED && str_eq(e->param, S("thread")))
        return S("thread_unsupported_request");
    return err_row(e->kind)->fault == FAULT_CALLER || e->kind == ERR_UPSTREAM_NO_MODEL ? e->code
                                                                                       : S("");
}

static void
write_error(struct buf *out, const struct llm_error *e, struct str request_id)
{
    const struct err_row *row = err_row(e->kind);
    struct str code = error_code(e);

    buf_add(out, S("{\"type\":\"error\",\"error\":{\"type\":"));
    json_add_str(out, str_c(row->anthropic_type));
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
    return err_row(e->kind)->status;
}

const struct wire_caller anthropic_caller = {
    .members = members,
    .params = PARAMS_ANTHROPIC,
    .read_head = read_head,
    .read_conversation = read_conversation,
    .write_event = anthropic_write_event,
    .write_answer = anthropic_write_answer,
    .write_error = write_error,
    .write_relay_error = write_relay_error,
    .write_token_count = write_token_count,
    .status = status,
    .keepalive = S_INIT("event: ping\ndata: {\"type\": \"ping\"}\n\n"),
};

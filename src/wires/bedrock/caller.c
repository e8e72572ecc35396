/* caller.c - reads the requests of callers who speak Bedrock's Converse API, and writes their
 * errors and token counts.
 *
 * The path names the model and whether the answer is a stream. A cachePoint is a block of its own,
 * and becomes a mark on what stands before it. What guards and citations are about is text, and
 * stays; guardrails themselves, prompts that AWS keeps and the like are for Bedrock alone.
 */
#include "llm/media.h"
#include "llm/read.h"
#include "llm/seal.h"
#include "wires/bedrock/bedrock.h"

static const struct read_words words = {
    .required = "is required",
    .empty = "must have length greater than or equal to 1",
    .text = "must be a string",
    .number = "must be a number",
    .integer = "must be an integer",
    .flag = "must be true or false",
    .object = "must be an object",
    .list = "must be a list",
    .too_many = "there are more messages and content blocks than allowed",
};

static struct str
any_text(const struct cursor *up, const char *key)
{
    return read_any_text(read_at(up, key));
}

static bool
has(const struct cursor *up, const char *key)
{
    return read_present(read_at(up, key));
}

/* --- content --- */

static void
add_text(struct cursor c, struct llm_part ***tail, struct str text)
{
    llm_part_add(c.rd->a, tail, PART_TEXT)->text = text;
}

/* Texts in a list of {"text":...}. */
static void
add_texts(struct cursor list, struct llm_part ***tail)
{
    READ_EACH (block, &list)
        add_text(block, tail, any_text(&block, "text"));
}

/* {"format":"png","source":{"bytes":...}|{"s3Location":{"uri":...}}}; a document's source may be
 * text, too. */
static void
read_media(struct cursor block, struct llm_part ***tail, enum llm_part_kind kind)
{
    struct cursor source = read_at(&block, "source");
    struct cursor s3 = read_at(&source, "s3Location");
    struct str format = any_text(&block, "format");

    if (has(&source, "text") || has(&source, "content")) {
        if (has(&block, "name"))
            add_text(block, tail, any_text(&block, "name"));
        if (has(&source, "text"))
            add_text(block, tail, any_text(&source, "text"));
        add_texts(read_at(&source, "content"), tail);
        return;
    }

    struct llm_part *part = llm_part_add(block.rd->a, tail, kind);

    if (kind == PART_FILE)
        part->name = any_text(&block, "name");
    if (read_present(s3)) {
        part->url = read_required_text(read_at(&s3, "uri"));
        part->mime = bedrock_mime(block.rd->a, kind, format);
    } else {
        media_set_data(part, bedrock_mime(block.rd->a, kind, format),
            read_required_text(read_at(&source, "bytes")));
    }
}

static void
read_call(struct cursor call, struct llm_part ***tail)
{
    struct llm_part *part = llm_part_add(call.rd->a, tail, PART_TOOL_CALL);
    struct cursor input = read_at(&call, "input");

    part->id = read_required_text(read_at(&call, "toolUseId"));
    part->name = read_required_text(read_at(&call, "name"));
    if (read_present(input))
        part->args = json_raw(input.j);
}

static void read_content(struct cursor content, struct llm_part ***tail);

static void
read_result(struct cursor result, struct llm_part ***tail)
{
    struct llm_part *part = llm_part_add(result.rd->a, tail, PART_TOOL_RESULT);
    struct llm_part **inner = &part->result;

    part->id = read_required_text(read_at(&result, "toolUseId"));
    part->is_error = read_is(read_at(&result, "status"), "error");
    read_content(read_at(&result, "content"), &inner);
}

/* A signature is Claude's, unless it is one of ours that holds another's. */
static void
read_reasoning(struct cursor reasoning, struct llm_part ***tail)
{
    struct llm_part *part = llm_part_add(reasoning.rd->a, tail, PART_REASONING);
    struct cursor text = read_at(&reasoning, "reasoningText");
    struct seal seal;

    part->text = any_text(&text, "text");
    part->signature = any_text(&text, "signature");
    part->redacted = any_text(&reasoning, "redactedContent");
    part->origin = ORIGIN_ANTHROPIC;
    if (seal_read(reasoning.rd->a, part->signature, &seal)) {
        part->signature = seal.signature;
        part->redacted = seal.redacted;
        part->origin = seal.origin;
    }
}

static void
read_guarded(struct cursor guarded, struct llm_part ***tail)
{
    struct cursor text = read_at(&guarded, "text");
    struct cursor image = read_at(&guarded, "image");

    if (read_present(text))
        add_text(text, tail, read_any_text(read_at(&text, "text")));
    if (read_present(image))
        read_media(image, tail, PART_IMAGE);
}

static void
read_search_result(struct cursor result, struct llm_part ***tail)
{
    add_text(result, tail, any_text(&result, "title"));
    add_text(result, tail, any_text(&result, "source"));
    add_texts(read_at(&result, "content"), tail);
}

static void
read_cited(struct cursor cited, struct llm_part ***tail)
{
    add_texts(read_at(&cited, "content"), tail);
}

static void
read_image(struct cursor image, struct llm_part ***tail)
{
    read_media(image, tail, PART_IMAGE);
}

static void
read_document_block(struct cursor document, struct llm_part ***tail)
{
    read_media(document, tail, PART_FILE);
}

static void
read_video(struct cursor video, struct llm_part ***tail)
{
    read_media(video, tail, PART_VIDEO);
}

static void
read_audio(struct cursor audio, struct llm_part ***tail)
{
    read_media(audio, tail, PART_AUDIO);
}

static void
read_text_block(struct cursor text, struct llm_part ***tail)
{
    add_text(text, tail, read_text(text));
}

/* A tool's result as it is. */
static void
read_json(struct cursor value, struct llm_part ***tail)
{
    add_text(value, tail, json_raw(value.j));
}

static enum llm_cache_mark
mark_of(struct cursor point)
{
    struct cursor ttl = read_at(&point, "ttl");

    return read_is(ttl, "1h") ? MARK_1H : read_is(ttl, "5m") ? MARK_5M : MARK_SET;
}

static void
read_block(struct cursor block, struct llm_part ***tail)
{
    static const struct {
        const char *name;
        void (*read)(struct cursor value, struct llm_part ***tail);
    } kinds[] = {
        { "text", read_text_block },
        { "toolUse", read_call },
        { "toolResult", read_result },
        { "image", read_image },
        { "document", read_document_block },
        { "video", read_video },
        { "audio", read_audio },
        { "reasoningContent", read_reasoning },
        { "json", read_json },
        { "guardContent", read_guarded },
        { "citationsContent", read_cited },
        { "searchResult", read_search_result },
    };

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct cursor value = read_at(&block, kinds[i].name);

        if (!read_present(value))
            continue;
        if (i != 0 && value.j->type != JSON_OBJECT && kinds[i].read != read_json)
            read_fault(value, ERR_BAD_REQUEST, words.object);
        /* what a provider's own tool did */
        if ((kinds[i].read == read_call || kinds[i].read == read_result) && has(&value, "type"))
            break;
        kinds[i].read(value, tail);
        return;
    }

    struct llm_part *part = llm_part_add(block.rd->a, tail, PART_OPAQUE);

    part->raw = block.j;
    part->origin = ORIGIN_BEDROCK;
}

static void
read_content(struct cursor content, struct llm_part ***tail)
{
    struct llm_part **first = *tail;

    if (!read_present(content))
        read_fault(content, ERR_BAD_REQUEST, words.required);
    READ_EACH (block, &content) {
        struct cursor point = read_at(&block, "cachePoint");

        if (!json_is(block.j, JSON_OBJECT))
            read_fault(block, ERR_BAD_REQUEST, words.object);
        else if (!read_present(point))
            read_block(block, tail);
        else if (*tail != first)    /* the last part before it */
            CONTAINER_OF(*tail, struct llm_part, next)->cache_mark = mark_of(point);
    }
}

/* --- messages and system --- */

static void
read_messages(struct cursor messages)
{
    static const struct llm_named roles[] = {
        { S_INIT("user"), ROLE_USER },
        { S_INIT("assistant"), ROLE_ASSISTANT },
        { S_INIT("system"), ROLE_SYSTEM },
    };
    struct llm_request *r = messages.rd->r;
    struct llm_message **tail = &r->messages;

    READ_EACH (message, &messages) {
        struct cursor role = read_at(&message, "role");
        int named = read_word(role.j, roles, ARRAY_LEN(roles));

        if (named < 0)
            read_fault(role, ERR_BAD_REQUEST, "must be one of: user, assistant, system");

        struct llm_part **parts =
            &llm_message_add(messages.rd->a, &tail, named < 0 ? ROLE_USER : (enum llm_role)named)
                 ->parts;

        read_content(read_at(&message, "content"), &parts);
    }
}

static void
read_system(struct cursor system)
{
    struct llm_part **tail = &system.rd->r->system;

    if (read_present(system))
        read_content(system, &tail);
}

/* --- tools --- */

static void
read_tool(struct cursor tool, struct llm_tool *made)
{
    struct cursor spec = read_at(&tool, "toolSpec");
    struct cursor own = read_at(&tool, "systemTool");
    struct cursor inputs = read_at(&spec, "inputSchema");
    const struct json *schema = read_node(read_at(&inputs, "json"), JSON_OBJECT);

    if (!read_present(spec)) {    /* one that the provider runs */
        made->raw = tool.j;
        made->name = any_text(&own, "name");
        return;
    }
    made->name = read_required_text(read_at(&spec, "name"));
    made->description = any_text(&spec, "description");
    made->schema = schema != NULL ? json_raw(schema) : S("");
    made->strict = llm_tri_of(read_at(&spec, "strict").j);
}

static void
read_tool_choice(struct cursor choice)
{
    struct llm_request *r = choice.rd->r;
    struct cursor tool = read_at(&choice, "tool");

    if (has(&choice, "auto")) {
        r->choice = CHOICE_AUTO;
    } else if (has(&choice, "any")) {
        r->choice = CHOICE_REQUIRED;
    } else if (read_present(tool)) {
        r->choice = CHOICE_NAMED;
        r->choice_name = read_required_text(read_at(&tool, "name"));
    } else if (read_present(choice)) {
        read_fault(choice, ERR_BAD_REQUEST, "must be one of: auto, any, tool");
    }
}

static void
read_tool_config(struct cursor config)
{
    struct llm_tool **tail = &config.rd->r->tools;
    struct llm_tool *last = NULL;
    struct cursor tools = read_at(&config, "tools");

    READ_EACH (tool, &tools) {
        struct cursor point = read_at(&tool, "cachePoint");

        if (!json_is(tool.j, JSON_OBJECT)) {
            read_fault(tool, ERR_BAD_REQUEST, words.object);
        } else if (read_present(point)) {
            if (last != NULL)
                last->cache_mark = mark_of(point);
        } else {
            *tail = last = arena_new(config.rd->a, struct llm_tool);
            tail = &last->next;
            read_tool(tool, last);
        }
    }
    read_tool_choice(read_at(&config, "toolChoice"));
}

/* --- parameters --- */

/* Members of an object of parameters: those of a column, and the rest in r->extra unless `known`
 * has them. */
static void
read_params(struct cursor object, enum params_column column, const char *const *known)
{
    struct llm_request *r = object.rd->r;
    struct json_iter it = json_iter(read_node(object, JSON_OBJECT));
    struct llm_member **tail = &r->extra;

    while (*tail != NULL)
        tail = &(*tail)->next;
    while (json_next(&it)) {
        size_t i = 0;

        while (known[i] != NULL && !json_str_is(it.key, str_c(known[i])))
            i++;
        if (known[i] != NULL || params_take(&object, column, it.key, it.value))
            continue;
        if (!read_count(object))
            break;
        *tail = arena_new(object.rd->a, struct llm_member);
        **tail = (struct llm_member){ .name = it.key, .value = it.value };
        tail = &(*tail)->next;
    }
}

static void
read_inference(struct cursor config)
{
    static const char *const known[] = { "maxTokens", "stopSequences", NULL };
    struct llm_request *r = config.rd->r;

    read_params(config, PARAMS_BEDROCK_INFERENCE, known);
    r->max_tokens = read_integer(read_at(&config, "maxTokens"), 1, INT64_MAX, 0,
        "must have value greater than or equal to 1");
    r->stop = read_texts(read_at(&config, "stopSequences"));
}

/* {"type":"enabled","budget_tokens":1024}, as Claude has it. */
static void
read_thinking(struct cursor thinking)
{
    struct llm_request *r = thinking.rd->r;
    struct cursor budget = read_at(&thinking, "budget_tokens");

    if (read_is(read_at(&thinking, "type"), "disabled"))
        r->reasoning = NO;
    else if (json_is(budget.j, JSON_NUMBER))
        r->reasoning_budget = MAX(json_i64(budget.j, 0), 0);
}

/* {"type":"enabled","maxReasoningEffort":"low"}, as Nova has it. */
static void
read_nova_reasoning(struct cursor config)
{
    struct llm_request *r = config.rd->r;

    if (read_is(read_at(&config, "type"), "disabled"))
        r->reasoning = NO;
    else if (read_present(config))
        r->effort = any_text(&config, "maxReasoningEffort");
}

/* Each model has its own; what is widely used is understood. */
static void
read_fields(struct cursor fields)
{
    static const char *const known[] = { "thinking", "reasoning_config", "reasoningConfig",
        "reasoning_effort", "output_config", "inferenceConfig", "tool_choice", NULL };
    struct llm_request *r = fields.rd->r;
    struct cursor output = read_at(&fields, "output_config");
    struct cursor inference = read_at(&fields, "inferenceConfig");
    struct cursor top_k = read_at(&inference, "topK");
    struct cursor choice = read_at(&fields, "tool_choice");

    read_params(fields, PARAMS_BEDROCK_FIELDS, known);
    read_thinking(read_at(&fields, "reasoning_config"));    /* its older name */
    read_thinking(read_at(&fields, "thinking"));
    read_nova_reasoning(read_at(&fields, "reasoningConfig"));
    if (has(&fields, "reasoning_effort"))
        r->effort = any_text(&fields, "reasoning_effort");
    if (has(&output, "effort"))
        r->effort = any_text(&output, "effort");
    if (json_bool(json_get(choice.j, S("disable_parallel_tool_use")), false))    /* Claude's */
        r->parallel_tools = NO;
    if (read_present(top_k))
        r->top_k = read_node(top_k, JSON_NUMBER);
}

/* The schema is JSON in a string. */
static void
read_output(struct cursor config)
{
    struct llm_request *r = config.rd->r;
    struct cursor format = read_at(&config, "textFormat");
    struct cursor structure = read_at(&format, "structure");
    struct cursor schema = read_at(&structure, "jsonSchema");

    if (has(&config, "effort"))
        r->effort = any_text(&config, "effort");
    if (!read_present(format))
        return;
    r->format = FORMAT_SCHEMA;
    r->schema = read_required_text(read_at(&schema, "schema"));
    r->schema_name = any_text(&schema, "name");
    r->schema_description = any_text(&schema, "description");
}

static void
read_tier(struct cursor tier)
{
    tier.rd->r->service_tier = any_text(&tier, "type");
}

/* AWS keeps the prompt, so that the request holds only what goes into it. */
static void
read_variables(struct cursor variables)
{
    if (read_present(variables))
        read_fault(variables, ERR_UNSUPPORTED, "cannot be translated for another protocol");
}

static void read_counted(struct cursor input);

static const struct read_member members[] = {
    { "input", read_counted },
    { "promptVariables", read_variables },
    { "system", read_system },
    { "messages", read_messages },
    { "toolConfig", read_tool_config },
    { "inferenceConfig", read_inference },
    { "additionalModelRequestFields", read_fields },
    { "outputConfig", read_output },
    { "serviceTier", read_tier },
    { "additionalModelResponseFieldPaths", NULL },    /* what they ask for is told if it is known */
    { NULL, NULL },
};

/* A count of tokens has the conversation in "input.converse". */
static void
read_counted(struct cursor input)
{
    struct cursor converse = read_at(&input, "converse");

    if (input.rd->r->op != OP_COUNT_TOKENS || !read_present(input))
        return;
    if (!json_is(converse.j, JSON_OBJECT))
        read_fault(input, ERR_UNSUPPORTED, "only input.converse can be counted here");
    for (size_t i = 1; members[i].name != NULL; i++)
        if (members[i].read != NULL)
            members[i].read(read_at(&converse, members[i].name));
}

static void
read_head(struct cursor doc)
{
    struct llm_request *r = doc.rd->r;
    struct cursor messages = read_at(&doc, "messages");
    struct cursor input = read_at(&doc, "input");
    bool kept = str_find(r->model, S(":prompt/")) < r->model.n;    /* AWS has the messages */

    r->want_usage = true;
    if (read_present(messages) && messages.j->type != JSON_ARRAY)
        read_fault(messages, ERR_BAD_REQUEST, words.list);
    else if (r->op == OP_COUNT_TOKENS && !read_present(input))
        read_fault(input, ERR_BAD_REQUEST, words.required);
    else if (r->op == OP_CHAT && !kept && (!read_present(messages) || json_is_empty(messages.j)))
        read_fault(messages, ERR_BAD_REQUEST, "at least one message is required");
}

/* --- errors and counts --- */

#define EXCEPTION(name)                                                                            \
    {                                                                                              \
        name "Exception", NULL                                                                     \
    }

static const struct wire_error_name error_names[ERR_COUNT] = {
    [ERR_BAD_REQUEST] = EXCEPTION("Validation"),
    [ERR_BAD_JSON] = EXCEPTION("Validation"),
    [ERR_UNSUPPORTED] = EXCEPTION("Validation"),
    [ERR_CONTEXT_LENGTH] = EXCEPTION("Validation"),
    [ERR_CONTENT_FILTER] = EXCEPTION("Validation"),
    [ERR_AUTH] = EXCEPTION("UnrecognizedClient"),
    [ERR_FORBIDDEN] = EXCEPTION("AccessDenied"),
    [ERR_NO_ROUTE] = EXCEPTION("ResourceNotFound"),
    [ERR_NO_MODEL] = EXCEPTION("ResourceNotFound"),
    [ERR_METHOD] = EXCEPTION("Validation"),
    [ERR_CLIENT_SLOW] = EXCEPTION("Validation"),
    [ERR_TOO_LARGE] = EXCEPTION("Validation"),
    [ERR_MEDIA_TYPE] = EXCEPTION("Validation"),
    [ERR_HEADERS_TOO_LARGE] = EXCEPTION("Validation"),
    [ERR_RATE_LIMIT] = EXCEPTION("Throttling"),
    [ERR_BUDGET] = EXCEPTION("Throttling"),
    [ERR_CLIENT_GONE] = EXCEPTION("Validation"),
    [ERR_UPSTREAM_DNS] = EXCEPTION("ModelError"),
    [ERR_UPSTREAM_CONNECT] = EXCEPTION("ModelError"),
    [ERR_UPSTREAM_TLS] = EXCEPTION("ModelError"),
    [ERR_UPSTREAM_RESET] = EXCEPTION("ModelStreamError"),
    [ERR_UPSTREAM_STALE] = EXCEPTION("ModelError"),
    [ERR_UPSTREAM_TRUNCATED] = EXCEPTION("ModelStreamError"),
    [ERR_UPSTREAM_PROTOCOL] = EXCEPTION("ModelStreamError"),
    [ERR_UPSTREAM_EMPTY] = EXCEPTION("ModelError"),
    [ERR_UPSTREAM_TOO_LARGE] = EXCEPTION("ModelStreamError"),
    [ERR_UPSTREAM_AUTH] = EXCEPTION("InternalServer"),
    [ERR_UPSTREAM_FORBIDDEN] = EXCEPTION("InternalServer"),
    [ERR_UPSTREAM_RATE_LIMIT] = EXCEPTION("Throttling"),
    [ERR_UPSTREAM_QUOTA] = EXCEPTION("Throttling"),
    [ERR_UPSTREAM_NO_MODEL] = EXCEPTION("ResourceNotFound"),
    [ERR_UPSTREAM_OVERLOADED] = EXCEPTION("ServiceUnavailable"),
    [ERR_UPSTREAM_ERROR] = EXCEPTION("InternalServer"),
    [ERR_UPSTREAM_CONNECT_TIMEOUT] = EXCEPTION("ModelTimeout"),
    [ERR_UPSTREAM_TIMEOUT] = EXCEPTION("ModelTimeout"),
    [ERR_UPSTREAM_STALLED] = EXCEPTION("ModelTimeout"),
    [ERR_OVERLOADED] = EXCEPTION("ServiceUnavailable"),
    [ERR_DEADLINE] = EXCEPTION("ModelTimeout"),
    [ERR_NO_MEMORY] = EXCEPTION("ServiceUnavailable"),
    [ERR_CONFIG] = EXCEPTION("InternalServer"),
    [ERR_OUTRUN] = EXCEPTION("InternalServer"),
    [ERR_ANSWER_REJECTED] = EXCEPTION("InternalServer"),
    [ERR_NO_CREDENTIALS] = EXCEPTION("ServiceUnavailable"),
    [ERR_SWITCHED_OFF] = EXCEPTION("InternalServer"),
    [ERR_INTERNAL] = EXCEPTION("InternalServer"),
};

/* AWS has the exception's name in a field of the answer; its SDKs take it from here as well. */
static void
write_error(struct buf *out, const struct llm_error *e, struct str request_id UNUSED)
{
    struct json_out o = json_out(out);

    out_object(&o);
    out_text(&o, "__type", str_c(error_names[e->kind].type));
    out_text(&o, "message", e->message.n > 0 ? e->message : str_c(err_row(e->kind)->sentence));
    out_end(&o);
}

/* The exceptions of a stream; any other is the model's. */
static struct str
exception_in_stream(enum err kind)
{
    static const struct {
        const char *type;
        struct str name;
    } rows[] = {
        { "ValidationException", S_INIT("validationException") },
        { "ThrottlingException", S_INIT("throttlingException") },
        { "InternalServerException", S_INIT("internalServerException") },
        { "ServiceUnavailableException", S_INIT("serviceUnavailableException") },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(error_names[kind].type, rows[i].type) == 0)
            return rows[i].name;
    return S("modelStreamErrorException");
}

void
bedrock_write_exception(struct buf *out, const struct llm_error *e)
{
    size_t begun = framing_aws_begin(out, S("exception"), exception_in_stream(e->kind));
    struct json_out o = json_out(out);

    out_object(&o);
    out_text(&o, "message", e->message.n > 0 ? e->message : str_c(err_row(e->kind)->sentence));
    out_end(&o);
    framing_aws_end(out, begun);
}

static void
write_relay_error(
    struct buf *out, const struct llm_error *e, struct str path UNUSED, uint64_t sequence UNUSED)
{
    bedrock_write_exception(out, e);
}

static void
write_token_count(struct buf *out, int64_t input_tokens)
{
    struct json_out o = json_out(out);

    out_object(&o);
    out_i64(&o, "inputTokens", MAX(input_tokens, 0));
    out_end(&o);
}

static int
status(const struct llm_error *e)
{
    if (e->kind == ERR_AUTH)    /* AWS has no 401 */
        return 403;
    return err_row(e->kind)->status;
}

static void
write_model(struct buf *out, struct str id, struct str owner, struct str details UNUSED)
{
    struct json_out o = json_out(out);

    out_object(&o);
    out_text(&o, "modelId", id);
    out_text(&o, "modelName", id);
    out_text(&o, "providerName", owner);
    out_const(&o, "\"responseStreamingSupported\":true");
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
    { S_INIT("system"), NEED_IS_SYSTEM, 0 },
    { S_INIT("input"), NEED_IS_OBJECT, 0 },
    { S_INIT("toolConfig"), NEED_IS_OBJECT, 0 },
    { S_INIT("tools"), NEED_IS_TOOLS, NEED_BIT(TOOLS) },
    { S_INIT("inferenceConfig"), NEED_IS_OBJECT, 0 },
    { S_INIT("maxTokens"), NEED_IS_LIMIT, 0 },
    { S_INIT("additionalModelRequestFields"), NEED_IS_OBJECT, 0 },
    { S_INIT("thinking"), NEED_IS_ASKED, NEED_BIT(REASONING) },
    { S_INIT("reasoning_config"), NEED_IS_ASKED, NEED_BIT(REASONING) },
    { S_INIT("reasoningConfig"), NEED_IS_ASKED, NEED_BIT(REASONING) },
    { S_INIT("reasoning_effort"), NEED_IS_ASKED, NEED_BIT(REASONING) },
    { S_INIT("outputConfig"), NEED_IS_OBJECT, 0 },
    { S_INIT("textFormat"), NEED_IS_FORMAT, NEED_BIT(SCHEMA) },
    { S_INIT(""), NEED_IS_OTHER, 0 },
};

static const struct need_word need_messages[] = {
    { S_INIT("role"), NEED_IS_ROLE, 0 },
    { S_INIT("content"), NEED_IS_CONTENT, 0 },
    { S_INIT(""), NEED_IS_OTHER, 0 },
};

static const struct need_word need_parts[] = {
    { S_INIT("image"), NEED_IS_MEDIUM, NEED_BIT(IMAGES) },
    { S_INIT("document"), NEED_IS_MEDIUM, NEED_BIT(FILES) },
    { S_INIT("audio"), NEED_IS_MEDIUM, NEED_BIT(AUDIO) },
    { S_INIT("video"), NEED_IS_MEDIUM, NEED_BIT(VIDEO) },
    { S_INIT("toolUse"), NEED_IS_OTHER, NEED_BIT(TOOLS) },
    { S_INIT("toolResult"), NEED_IS_RESULT, NEED_BIT(TOOLS) },
    { S_INIT(""), NEED_IS_OTHER, 0 },
};

static const struct needs_words needs_words = {
    .members = need_members,
    .messages = need_messages,
    .parts = need_parts,
    .keyed = true,
    .more_with_tools = 240    /* Nova's */
};

static const char *const beyond_text[] = { "toolConfig", "outputConfig",
    "additionalModelRequestFields", "guardrailConfig", NULL };

const struct wire_caller bedrock_caller = {
    .members = members,
    .params = PARAMS_BEDROCK,
    .nested = PARAMS_BEDROCK_INFERENCE,
    .words = &words,
    .translates = OP_BIT(OP_CHAT) | OP_BIT(OP_COUNT_TOKENS),
    .asks = { [OP_EMBED] = &bedrock_embed },
    .beyond_text = beyond_text,
    .needs = &needs_words,
    .in_path = true,
    .read_head = read_head,
    .media = WIRE_MEDIA(IMAGE) | WIRE_MEDIA(AUDIO),
    .media_streamed = WIRE_MEDIA(IMAGE),
    .write_event = bedrock_write_event,
    .write_answer = bedrock_write_answer,
    .write_error = write_error,
    .write_relay_error = write_relay_error,
    .write_token_count = write_token_count,
    .status = status,
    .error_names = error_names,
    .models_begin = S_INIT("{\"modelSummaries\":["),
    .write_model = write_model,
    .write_models_end = write_models_end,
    .id_field = S_INIT("x-amzn-requestid"),
    .error_field = S_INIT("x-amzn-errortype"),
};

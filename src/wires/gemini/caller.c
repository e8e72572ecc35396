/* caller.c - reads the requests of callers who speak generateContent.
 *
 * What its users rely on: names in either spelling, an object where a list of one is meant, calls
 * without ids, which their results answer by name and in order. Contents that a provider stores
 * cannot be translated, nor what only this protocol's providers run.
 */
#include "base/map.h"
#include "llm/media.h"
#include "llm/read.h"
#include "wires/gemini/gemini.h"

static const struct read_words words = {
    .required = "is required",
    .empty = "must not be empty",
    .text = "must be a string",
    .number = "must be a number",
    .integer = "must be an integer",
    .flag = "must be true or false",
    .object = "must be an object",
    .list = "must be a list",
    .too_many = "there are more contents and parts than allowed",
};

/* A member by either of its names. */
static struct cursor
read_either(const struct cursor *up, const char *camel, const char *snake)
{
    struct cursor c = read_at(up, camel);

    return c.j != NULL ? c : read_at(up, snake);
}

/* --- contents --- */

/* Calls that have no result yet, in order. */
struct waiting_call {
    struct llm_part *call;
    struct waiting_call *next;
};

/* How many of them a result is compared with. */
enum { OPEN_CALLS_COMPARED = 64 };

struct contents_read {
    struct llm_part **system_tail;
    struct llm_message **tail;
    struct waiting_call *open;
    struct waiting_call **open_tail;
    unsigned calls;
    bool model;    /* the content is the model's */
};

static void
read_blob(struct cursor blob, struct llm_part ***tail)
{
    struct str mime = read_text(read_either(&blob, "mimeType", "mime_type"));
    enum llm_part_kind kind = str_istarts(mime, S("image/"))   ? PART_IMAGE
                              : str_istarts(mime, S("audio/")) ? PART_AUDIO
                              : str_istarts(mime, S("video/")) ? PART_VIDEO
                                                               : PART_FILE;
    struct llm_part *part = llm_part_add(blob.rd->a, tail, kind);
    struct cursor uri = read_either(&blob, "fileUri", "file_uri");

    if (kind == PART_FILE)
        part->name = read_any_text(read_either(&blob, "displayName", "display_name"));
    if (read_present(uri)) {
        part->mime = mime;
        part->url = read_required_text(uri);
        return;
    }
    media_set_data(part, mime, read_required_text(read_at(&blob, "data")));
}

static void
read_call(
    struct cursor call, struct contents_read *cv, struct str signature, struct llm_part ***tail)
{
    struct reading *rd = call.rd;
    struct llm_part *part = llm_part_add(rd->a, tail, PART_TOOL_CALL);
    struct waiting_call *open = arena_new(rd->a, struct waiting_call);
    const struct json *args = read_node(read_at(&call, "args"), JSON_OBJECT);

    part->name = read_required_text(read_at(&call, "name"));
    part->id = read_any_text(read_at(&call, "id"));
    part->signature = signature;
    cv->calls++;
    if (part->id.n == 0)
        part->id = arena_printf(rd->a, "call_%u", cv->calls);
    part->args = args != NULL ? json_raw(args) : S("");
    open->call = part;
    CHECK(cv->open_tail != NULL);
    *cv->open_tail = open;
    cv->open_tail = &open->next;
}

/* The call that a result answers: the one with its id; without an id, the first that has the
 * function's name, else the first. NULL: none is open. */
static struct llm_part *
take_call(struct contents_read *cv, struct str id, struct str name)
{
    struct waiting_call **found = cv->open != NULL && id.n == 0 ? &cv->open : NULL;
    unsigned compared = 0;

    for (struct waiting_call **at = &cv->open; *at != NULL && compared < OPEN_CALLS_COMPARED;
         at = &(*at)->next, compared++)
        if (id.n != 0 ? str_eq((*at)->call->id, id) : str_eq((*at)->call->name, name)) {
            found = at;
            break;
        }
    if (found == NULL)
        return NULL;

    struct llm_part *call = (*found)->call;

    *found = (*found)->next;
    if (*found == NULL)
        cv->open_tail = found;
    return call;
}

/* A text that stands alone under a name that says only what it is. */
static const struct json *
only_text(const struct json *response, bool *ret_error)
{
    static const struct str wrappers[] = { S_INIT("result"), S_INIT("output"), S_INIT("error") };
    struct json_iter it = json_iter(response);

    if (!json_is(response, JSON_OBJECT) || !json_next(&it) || it.next != it.end)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(wrappers); i++) {
        if (!json_str_is(it.key, wrappers[i]))
            continue;
        *ret_error = i == ARRAY_LEN(wrappers) - 1;
        return json_is(it.value, JSON_STRING) ? it.value : NULL;
    }
    return NULL;
}

static void
read_result(struct cursor result, struct contents_read *cv, struct llm_part ***tail)
{
    struct reading *rd = result.rd;
    struct llm_part *part = llm_part_add(rd->a, tail, PART_TOOL_RESULT);
    struct str id = read_any_text(read_at(&result, "id"));
    struct llm_part *call = take_call(cv, id, read_any_text(read_at(&result, "name")));
    struct cursor response = read_at(&result, "response");
    struct cursor parts = read_at(&result, "parts");
    struct llm_part **inner = &part->result;
    bool error = false;
    const struct json *text = only_text(response.j, &error);

    part->id = id.n != 0 ? id : call != NULL ? call->id : arena_str(rd->a, S("call_0"));
    part->is_error = error;
    if (text != NULL)
        llm_part_add(rd->a, &inner, PART_TEXT)->text =
            read_any_text((struct cursor){ .rd = rd, .j = text });
    else if (read_present(response))
        llm_part_add(rd->a, &inner, PART_TEXT)->text = json_raw(read_node(response, JSON_OBJECT));
    READ_EACH (in, &parts) {
        struct cursor inlined = read_either(&in, "inlineData", "inline_data");
        struct cursor file = read_either(&in, "fileData", "file_data");

        if (inlined.j != NULL || file.j != NULL)
            read_blob(inlined.j != NULL ? inlined : file, &inner);
    }
}

/* Thoughts that came in pieces are one; a signature that follows them is theirs. */
static void
read_thought(
    struct cursor text, struct str signature, struct llm_part **last, struct llm_part ***tail)
{
    struct reading *rd = text.rd;
    struct llm_part *part = *last;
    struct str thought = read_text(text);

    if (part == NULL || part->kind != PART_REASONING || part->signature.n > 0 ||
        part->redacted.n > 0) {
        part = llm_part_add(rd->a, tail, PART_REASONING);
        part->origin = ORIGIN_GEMINI;
    }
    if (!arena_append(rd->a, &part->text, thought))
        read_no_memory(rd);
    if (signature.n > 0)
        gemini_read_signature(rd->a, signature, part);
    *last = part;
}

/* A signature of text is reasoning of which nothing is shown. */
static void
read_said(struct cursor text, struct str signature, struct llm_part ***tail)
{
    struct str said = read_text(text);

    if (said.n > 0)
        llm_part_add(text.rd->a, tail, PART_TEXT)->text = said;
    if (signature.n > 0)
        gemini_read_signature(
            text.rd->a, signature, llm_part_add(text.rd->a, tail, PART_REASONING));
}

static void
read_part(
    struct cursor part, struct contents_read *cv, struct llm_part **last, struct llm_part ***tail)
{
    struct cursor text = read_at(&part, "text");
    struct cursor inlined = read_either(&part, "inlineData", "inline_data");
    struct cursor file = read_either(&part, "fileData", "file_data");
    struct cursor call = read_either(&part, "functionCall", "function_call");
    struct cursor result = read_either(&part, "functionResponse", "function_response");
    struct str signature =
        read_any_text(read_either(&part, "thoughtSignature", "thought_signature"));
    bool thought = json_bool(read_at(&part, "thought").j, false);

    if (json_is(part.j, JSON_STRING)) {    /* some clients write texts so */
        llm_part_add(part.rd->a, tail, PART_TEXT)->text = read_any_text(part);
    } else if (!json_is(part.j, JSON_OBJECT)) {
        read_fault(part, ERR_BAD_REQUEST, words.object);
    } else if (thought && cv->model && (text.j != NULL || signature.n > 0)) {
        read_thought(text, signature, last, tail);
        return;
    } else if (text.j != NULL) {
        read_said(text, cv->model ? signature : S(""), tail);
    } else if (inlined.j != NULL || file.j != NULL) {
        read_blob(inlined.j != NULL ? inlined : file, tail);
    } else if (call.j != NULL) {
        read_call(call, cv, signature, tail);
    } else if (result.j != NULL) {
        read_result(result, cv, tail);
    } else if (!json_is_empty(part.j)) {    /* of a tool that the provider ran */
        struct llm_part *own = llm_part_add(part.rd->a, tail, PART_OPAQUE);

        own->raw = part.j;
        own->origin = ORIGIN_GEMINI;
    }
    *last = NULL;
}

/* A list of parts, or one. */
static void
read_parts(struct cursor parts, struct contents_read *cv, struct llm_part ***tail)
{
    struct llm_part *last = NULL;

    if (json_is(parts.j, JSON_OBJECT) || json_is(parts.j, JSON_STRING)) {
        if (read_count(parts))
            read_part(parts, cv, &last, tail);
        return;
    }
    READ_EACH (part, &parts)
        read_part(part, cv, &last, tail);
}

static void
read_content(struct cursor content, struct contents_read *cv)
{
    static const struct llm_named roles[] = {
        { S_INIT("user"), ROLE_USER },
        { S_INIT("model"), ROLE_ASSISTANT },
        { S_INIT("function"), ROLE_USER },
        { S_INIT("tool"), ROLE_USER },
        { S_INIT(""), ROLE_USER },
    };
    struct cursor role = read_at(&content, "role");
    int named = read_present(role) ? read_word(role.j, roles, ARRAY_LEN(roles)) : ROLE_USER;

    if (named < 0) {
        read_fault(role, ERR_BAD_REQUEST, "Please use a valid role: user, model.");
        return;
    }
    struct llm_message *m = llm_message_add(content.rd->a, &cv->tail, (enum llm_role)named);
    struct llm_part **tail = &m->parts;

    cv->model = named == ROLE_ASSISTANT;
    read_parts(json_is(content.j, JSON_STRING) ? content : read_at(&content, "parts"), cv, &tail);
}

static void
read_contents(struct cursor contents)
{
    struct contents_read cv = { .tail = &contents.rd->r->messages };

    cv.open_tail = &cv.open;
    if (json_is(contents.j, JSON_OBJECT) || json_is(contents.j, JSON_STRING)) {
        if (read_count(contents))
            read_content(contents, &cv);
        return;
    }
    READ_EACH (content, &contents)
        read_content(content, &cv);
}

static void
read_system(struct cursor system)
{
    struct contents_read cv = { .model = false };
    struct llm_part **tail = &system.rd->r->system;

    while (*tail != NULL)
        tail = &(*tail)->next;
    if (read_present(system))
        read_parts(json_is(system.j, JSON_STRING) ? system : read_at(&system, "parts"), &cv, &tail);
}

/* --- tools --- */

static void
read_declaration(struct cursor declaration, struct llm_tool ***tail)
{
    struct reading *rd = declaration.rd;
    struct cursor schema =
        read_either(&declaration, "parametersJsonSchema", "parameters_json_schema");
    struct cursor typed = read_at(&declaration, "parameters");
    struct llm_tool *tool = arena_new(rd->a, struct llm_tool);

    tool->name = read_required_text(read_at(&declaration, "name"));
    tool->description = read_any_text(read_at(&declaration, "description"));
    if (read_present(schema)) {
        tool->schema = json_raw(read_node(schema, JSON_OBJECT));
    } else if (read_present(typed) && read_node(typed, JSON_OBJECT) != NULL) {
        tool->schema = gemini_json_schema(rd->a, typed.j);
        if (tool->schema.n == 0)
            read_no_memory(rd);
    }
    **tail = tool;
    *tail = &tool->next;
}

static void
read_tool(struct cursor tool, struct llm_tool ***tail)
{
    struct cursor list = read_either(&tool, "functionDeclarations", "function_declarations");
    struct json_iter it = json_iter(tool.j);

    READ_EACH (declaration, &list)
        read_declaration(declaration, tail);
    while (json_is(tool.j, JSON_OBJECT) && json_next(&it)) {
        if (it.value == list.j || !json_present(it.value) || !read_count(tool))
            continue;

        struct llm_tool *own = arena_new(tool.rd->a, struct llm_tool);    /* "googleSearch":{} */

        own->name = read_any_text((struct cursor){ .rd = tool.rd, .j = it.key });
        own->raw = it.value;
        **tail = own;
        *tail = &own->next;
    }
}

static void
read_tools(struct cursor tools)
{
    struct llm_tool **tail = &tools.rd->r->tools;

    READ_EACH (tool, &tools)
        read_tool(tool, &tail);
}

/* Only some of the functions may be called: others are not offered. */
static void
keep_allowed(struct llm_request *r, struct cursor allowed)
{
    struct map *names = map_create();
    struct llm_tool **at = &r->tools;
    static char present;

    READ_EACH (name, &allowed)
        (void)map_put(names, read_any_text(name), &present);
    while (*at != NULL)
        if ((*at)->raw == NULL && map_get(names, (*at)->name) == NULL)
            *at = (*at)->next;
        else
            at = &(*at)->next;
    map_destroy(names);
}

/* Read after the tools. */
static void
read_tool_config(struct cursor config)
{
    static const struct llm_named modes[] = {
        { S_INIT("AUTO"), CHOICE_AUTO },
        { S_INIT("ANY"), CHOICE_REQUIRED },
        { S_INIT("NONE"), CHOICE_NONE },
        { S_INIT("VALIDATED"), CHOICE_AUTO },
        { S_INIT("MODE_UNSPECIFIED"), CHOICE_UNSET },
    };
    static const enum llm_choice numbers[] = { CHOICE_UNSET, CHOICE_AUTO, CHOICE_REQUIRED,
        CHOICE_NONE, CHOICE_AUTO };
    struct llm_request *r = config.rd->r;
    struct cursor calling =
        read_either(&config, "functionCallingConfig", "function_calling_config");
    struct cursor mode = read_at(&calling, "mode");
    struct cursor allowed = read_either(&calling, "allowedFunctionNames", "allowed_function_names");
    int named = CHOICE_UNSET;

    if (json_is(mode.j, JSON_NUMBER)) {
        int64_t n = json_i64(mode.j, 0);

        named = n >= 0 && n < (int64_t)ARRAY_LEN(numbers) ? (int)numbers[n] : -1;
    } else if (json_is(mode.j, JSON_STRING)) {
        char upper[24] = "";
        size_t n = MIN(mode.j->n - 2, sizeof(upper) - 1);

        for (size_t i = 0; i < n; i++)
            upper[i] = (char)(mode.j->p[i + 1] >= 'a' && mode.j->p[i + 1] <= 'z'
                                  ? mode.j->p[i + 1] - 'a' + 'A'
                                  : mode.j->p[i + 1]);
        named = read_word_str(str_make(upper, n), modes, ARRAY_LEN(modes));
    }
    if (named < 0) {
        read_fault(mode, ERR_BAD_REQUEST, "must be AUTO, ANY, NONE or VALIDATED");
        return;
    }
    r->choice = (enum llm_choice)named;
    if (!json_is(allowed.j, JSON_ARRAY) || json_is_empty(allowed.j))
        return;
    if (r->choice == CHOICE_REQUIRED && json_count(allowed.j) == 1) {
        r->choice = CHOICE_NAMED;
        r->choice_name = read_any_text((struct cursor){ .rd = config.rd, .j = allowed.j + 1 });
    } else {
        keep_allowed(r, allowed);
    }
}

/* --- parameters --- */

static void
read_schema(struct cursor schema, bool typed)
{
    struct llm_request *r = schema.rd->r;

    if (!read_present(schema))
        return;
    if (!json_is(schema.j, JSON_OBJECT)) {
        read_fault(schema, ERR_BAD_REQUEST, words.object);
        return;
    }
    r->format = FORMAT_SCHEMA;
    r->schema = typed ? gemini_json_schema(schema.rd->a, schema.j) : json_raw(schema.j);
    if (r->schema.n == 0)
        read_no_memory(schema.rd);
}

/* -1 leaves to the model how much it thinks. */
static void
read_thinking(struct cursor thinking)
{
    struct llm_request *r = thinking.rd->r;
    struct cursor level = read_either(&thinking, "thinkingLevel", "thinking_level");
    struct cursor budget = read_either(&thinking, "thinkingBudget", "thinking_budget");
    int64_t tokens = gemini_count(budget.j);

    if (json_is(level.j, JSON_STRING)) {
        static const struct str levels[] = { S_INIT("minimal"), S_INIT("low"), S_INIT("medium"),
            S_INIT("high") };
        struct str text = read_any_text(level);

        for (size_t i = 0; i < ARRAY_LEN(levels); i++)
            if (str_ieq(text, levels[i]))
                r->effort = levels[i];
    } else if (json_is(budget.j, JSON_NUMBER) && tokens < 0) {
        r->effort = S("medium");
    } else if (read_present(budget) && tokens == 0) {
        r->reasoning = NO;
    } else if (tokens > 0) {
        r->reasoning_budget = tokens;
    }
}

static void
add_extra(
    struct cursor c, const struct json *key, const struct json *value, struct llm_member ***tail)
{
    if (!read_count(c))
        return;
    **tail = arena_new(c.rd->a, struct llm_member);
    ***tail = (struct llm_member){ .name = key, .value = value };
    *tail = &(**tail)->next;
}

static void
read_config(struct cursor config)
{
    struct llm_request *r = config.rd->r;
    struct json_iter it = json_iter(read_node(config, JSON_OBJECT));
    struct llm_member **tail = &r->extra;
    struct cursor mime = read_either(&config, "responseMimeType", "response_mime_type");

    while (*tail != NULL)
        tail = &(*tail)->next;
    if (read_is(mime, "application/json"))
        r->format = FORMAT_JSON;
    else if (read_is(mime, "text/plain"))
        r->format = FORMAT_TEXT;
    read_schema(read_either(&config, "responseSchema", "response_schema"), true);
    read_schema(read_either(&config, "responseJsonSchema", "response_json_schema"), false);
    read_thinking(read_either(&config, "thinkingConfig", "thinking_config"));
    r->stop = read_texts(read_either(&config, "stopSequences", "stop_sequences"));
    r->max_tokens =
        MAX(gemini_count(read_either(&config, "maxOutputTokens", "max_output_tokens").j), 0);
    while (json_next(&it)) {
        static const char *const known[] = { "responseMimeType", "response_mime_type",
            "responseSchema", "response_schema", "responseJsonSchema", "response_json_schema",
            "thinkingConfig", "thinking_config", "stopSequences", "stop_sequences",
            "maxOutputTokens", "max_output_tokens", "candidateCount", "candidate_count" };
        bool read = false;

        for (size_t i = 0; i < ARRAY_LEN(known) && !read; i++)
            read = json_str_is(it.key, str_c(known[i]));
        /* answers are text where nothing else is said */
        if (json_str_is(it.key, S("responseModalities")) && json_count(it.value) == 1 &&
            json_str_is(it.value + 1, S("TEXT")))
            read = true;
        if (!read && !params_take(&config, PARAMS_GEMINI_CONFIG, it.key, it.value) &&
            !params_take(&config, PARAMS_GEMINI_SNAKE, it.key, it.value))
            add_extra(config, it.key, it.value, &tail);
    }
}

/* What a provider keeps is a part of the conversation that others do not have. */
static void
read_cached(struct cursor cached)
{
    if (read_present(cached) && !read_is(cached, ""))
        read_fault(cached, ERR_UNSUPPORTED, "what one provider stores cannot be sent to another");
}

static void
read_tier(struct cursor tier)
{
    if (read_present(tier))
        tier.rd->r->service_tier = read_is(tier, "standard") ? S("default") : read_any_text(tier);
}

/* A request to be counted, in its envelope. */
static void
read_counted(struct cursor request)
{
    if (!read_present(request))
        return;
    read_system(read_either(&request, "systemInstruction", "system_instruction"));
    read_contents(read_at(&request, "contents"));
    read_tools(read_at(&request, "tools"));
}

/* In either spelling: of a member that is written twice the later row wins. */
#define EITHER(camel, snake, reader)                                                               \
    { camel, reader },                                                                             \
    {                                                                                              \
        snake, reader                                                                              \
    }

static void
read_if_present(struct cursor c, void (*reader)(struct cursor))
{
    if (c.j != NULL)
        reader(c);
}

static void
read_member_system(struct cursor c)
{
    read_if_present(c, read_system);
}

static void
read_member_choice(struct cursor c)
{
    read_if_present(c, read_tool_config);
}

static void
read_member_config(struct cursor c)
{
    read_if_present(c, read_config);
}

static const struct read_member members[] = {
    EITHER("cachedContent", "cached_content", read_cached),
    EITHER("generateContentRequest", "generate_content_request", read_counted),
    EITHER("systemInstruction", "system_instruction", read_member_system),
    { "contents", read_contents },
    { "tools", read_tools },
    EITHER("toolConfig", "tool_config", read_member_choice),
    EITHER("generationConfig", "generation_config", read_member_config),
    EITHER("serviceTier", "service_tier", read_tier),
    { "model", NULL },    /* named in the path */
    { NULL, NULL },
};

static void
read_head(struct cursor doc)
{
    struct llm_request *r = doc.rd->r;
    struct cursor contents = read_at(&doc, "contents");
    struct cursor config = read_either(&doc, "generationConfig", "generation_config");
    struct cursor count = read_either(&config, "candidateCount", "candidate_count");

    r->want_usage = true;
    if (r->op == OP_EMBED)
        return;
    r->n = read_integer(count, 1, LLM_CHOICES_MAX, 0, "must be an integer from 1 to 128");
    if (r->op == OP_COUNT_TOKENS &&
        read_present(read_either(&doc, "generateContentRequest", "generate_content_request")))
        return;
    if (!read_present(contents) || json_is_empty(contents.j))
        if (!json_is(contents.j, JSON_STRING))
            read_fault(contents, ERR_BAD_REQUEST, "contents is not specified");
}

static const struct framing *
framing(struct str query)
{
    struct str rest = query;
    struct str one;

    do {
        (void)str_cut(rest, '&', &one, &rest);
        if (str_eq(one, S("alt=sse")) || str_eq(one, S("%24alt=sse")) || str_eq(one, S("$alt=sse")))
            return &framing_sse;
    } while (rest.n > 0);
    return &framing_json_array;
}

static void
write_relay_error(
    struct buf *out, const struct llm_error *e, struct str path UNUSED, uint64_t sequence UNUSED)
{
    buf_add(out, S("data: "));
    gemini_write_error(out, e, S(""));
    buf_add(out, S("\r\n\r\n"));
}

static void
write_token_count(struct buf *out, int64_t input_tokens)
{
    struct json_out o = json_out(out);

    out_object(&o);
    out_i64(&o, "totalTokens", MAX(input_tokens, 0));
    out_end(&o);
}

static void
write_models_end(struct buf *out, const struct wire_page *page UNUSED)
{
    buf_add(out, S("]}"));
}

static const char *const beyond_text[] = { "tools", "generationConfig", "generation_config", NULL };

const struct wire_caller gemini_caller = {
    .members = members,
    .params = PARAMS_GEMINI,
    .nested = PARAMS_GEMINI_CONFIG,
    .words = &words,
    .translates = OP_BIT(OP_CHAT) | OP_BIT(OP_COUNT_TOKENS),
    .asks = { [OP_EMBED] = &gemini_embed },
    .in_path = true,
    .key_parameter = S_INIT("key"),
    .framing = framing,
    .beyond_text = beyond_text,
    .needs = &gemini_needs,
    .read_head = read_head,
    .media = WIRE_MEDIA(IMAGE) | WIRE_MEDIA(AUDIO) | WIRE_MEDIA(VIDEO) | WIRE_MEDIA(FILE),
    .media_streamed = WIRE_MEDIA(IMAGE) | WIRE_MEDIA(AUDIO) | WIRE_MEDIA(VIDEO) | WIRE_MEDIA(FILE),
    .write_event = gemini_write_event,
    .write_answer = gemini_write_answer,
    .write_error = gemini_write_error,
    .write_relay_error = write_relay_error,
    .write_token_count = write_token_count,
    .status = gemini_status,
    .error_names = gemini_error_names,
    .models_begin = S_INIT("{\"models\":["),
    .write_model = gemini_write_model,
    .write_models_end = write_models_end,
    .version_field = S_INIT("x-goog-api-key"),
};

/* wire_anthropic_caller.c - reads the requests of callers who speak Anthropic Messages.
 *
 * What only this protocol has (blocks of provider-run tools, dated tools, signed thinking)
 * is kept with its origin for a provider of the same protocol; documents that are plain
 * text become text, which every protocol has. Complaints are worded as Anthropic's own.
 */
#include "llm/wire_anthropic.h"

enum { PARTS_MAX = 100000 };    /* messages, blocks and tools; 40 MB of ours at most */

/* Where in the request something stands: element `index` of `list`, inside `up`. */
struct place {
    const struct place *up;
    const char *list;
    unsigned index;
};

struct reading {
    struct llm_request *r;
    struct arena *a;
    struct wire_fault *fault;
    enum err err;              /* the first failure */
    unsigned parts;            /* made so far */
    const struct place *at;    /* what is being read */
};

/* "messages[2].content[0]" */
static struct str
place_path(struct arena *a, const struct place *at)
{
    if (at == NULL)
        return S("");

    struct str up = place_path(a, at->up);

    return arena_printf(
        a, STR_FMT "%s%s[%u]", STR_ARG(up), up.n > 0 ? "." : "", at->list, at->index);
}

/* Records the first failure; `what` follows the path in the sentence. */
static void
complain(struct reading *rd, enum err e, const char *field, const char *what)
{
    struct str at = place_path(rd->a, rd->at);
    const char *dot = at.n > 0 && field[0] != '\0' ? "." : "";

    if (rd->err != OK)
        return;
    rd->err = e;
    rd->fault->param = arena_printf(rd->a, STR_FMT "%s%s", STR_ARG(at), dot, field);
    rd->fault->message = arena_printf(rd->a, STR_FMT ": %s", STR_ARG(rd->fault->param), what);
}

/* The text of a string; empty for anything else. Running out of room is noticed. */
static struct str
text_of(struct reading *rd, const struct json *j)
{
    struct str text = json_str(rd->a, j);

    if (text.p == NULL && json_is(j, JSON_STRING))
        complain(rd, ERR_TOO_LARGE, "", "the request is too large");
    return text;
}

static struct str
text_at(struct reading *rd, const struct json *j, const char *key)
{
    return text_of(rd, json_get(j, str_c(key)));
}

/* The same, but it must be there and be a string. */
static struct str
required_text(struct reading *rd, const struct json *j, const char *key)
{
    const struct json *value = json_get(j, str_c(key));

    if (value == NULL)
        complain(rd, ERR_BAD_REQUEST, key, "Field required");
    else if (!json_is(value, JSON_STRING))
        complain(rd, ERR_BAD_REQUEST, key, "Input should be a valid string");
    return text_of(rd, value);
}

static bool
count_part(struct reading *rd)
{
    if (rd->parts++ < PARTS_MAX)
        return true;
    complain(rd, ERR_TOO_LARGE, "", "there are more messages and content blocks than allowed");
    return false;
}

/* --- content --- */

/* Where the parts of a message go: results first, as the API itself demands. */
struct part_list {
    struct llm_part *results;
    struct llm_part **results_tail;
    struct llm_part *others;
    struct llm_part **others_tail;
};

static struct llm_part *
add_part(struct reading *rd, struct part_list *list, enum llm_part_kind kind)
{
    if (kind == PART_TOOL_RESULT)
        return llm_part_add(rd->a, &list->results_tail, kind);
    return llm_part_add(rd->a, &list->others_tail, kind);
}

static void
list_init(struct part_list *list)
{
    *list = (struct part_list){ 0 };
    list->results_tail = &list->results;
    list->others_tail = &list->others;
}

static struct llm_part *
list_join(struct part_list *list)
{
    *list->results_tail = list->others;
    return list->results;
}

static void
read_cache_control(
    struct reading *rd, const struct json *block, bool *ret_mark, struct str *ret_ttl)
{
    const struct json *control = json_get(block, S("cache_control"));

    if (!json_is(control, JSON_OBJECT))
        return;
    *ret_mark = true;
    *ret_ttl = text_at(rd, control, "ttl");
}

static void
add_text(struct reading *rd, struct part_list *list, struct str text)
{
    add_part(rd, list, PART_TEXT)->text = text;
}

static void read_content(struct reading *rd, const struct json *content, struct part_list *list);

static void
read_image(struct reading *rd, const struct json *block, struct part_list *list)
{
    const struct json *source = json_get(block, S("source"));
    const struct json *type = json_get(source, S("type"));
    struct llm_part *part = add_part(rd, list, PART_IMAGE);

    if (json_str_is(type, S("base64"))) {
        part->mime = required_text(rd, source, "media_type");
        part->data = required_text(rd, source, "data");
    } else if (json_str_is(type, S("url"))) {
        part->url = required_text(rd, source, "url");
    } else if (json_str_is(type, S("file"))) {
        part->file_id = required_text(rd, source, "file_id");
    } else {
        complain(rd, ERR_BAD_REQUEST, "source", "Input should be a base64, url or file source");
    }
}

/* Documents made of text are text to everybody else; their title goes in front. */
static void
read_document(struct reading *rd, const struct json *block, struct part_list *list)
{
    const struct json *source = json_get(block, S("source"));
    const struct json *type = json_get(source, S("type"));
    struct str title = text_at(rd, block, "title");
    bool text = json_str_is(type, S("text"));

    if (text || json_str_is(type, S("content"))) {
        if (title.n > 0)
            add_text(rd, list, title);
        if (text)
            add_text(rd, list, required_text(rd, source, "data"));
        else
            read_content(rd, json_get(source, S("content")), list);
        return;
    }

    struct llm_part *part = add_part(rd, list, PART_FILE);

    part->name = title;
    if (json_str_is(type, S("base64"))) {
        part->mime = required_text(rd, source, "media_type");
        part->data = required_text(rd, source, "data");
    } else if (json_str_is(type, S("url"))) {
        part->url = required_text(rd, source, "url");
        part->mime = S("application/pdf");    /* the only kind that a document URL may lead to */
    } else if (json_str_is(type, S("file"))) {
        part->file_id = required_text(rd, source, "file_id");
    } else {
        complain(rd, ERR_BAD_REQUEST, "source",
            "Input should be a base64, text, url, content or file source");
    }
}

static void
read_search_result(struct reading *rd, const struct json *block, struct part_list *list)
{
    add_text(rd, list, text_at(rd, block, "title"));
    add_text(rd, list, text_at(rd, block, "source"));
    read_content(rd, json_get(block, S("content")), list);
}

static void
read_tool_use(struct reading *rd, const struct json *block, struct part_list *list)
{
    struct llm_part *part = add_part(rd, list, PART_TOOL_CALL);
    const struct json *input = json_get(block, S("input"));

    part->id = required_text(rd, block, "id");
    part->name = required_text(rd, block, "name");
    if (json_present(input))
        part->args = json_raw(input);
}

static void
read_tool_result(struct reading *rd, const struct json *block, struct part_list *list)
{
    struct llm_part *part = add_part(rd, list, PART_TOOL_RESULT);
    struct part_list content;

    part->id = required_text(rd, block, "tool_use_id");
    part->is_error = json_bool(json_get(block, S("is_error")), false);
    list_init(&content);
    if (json_present(json_get(block, S("content"))))
        read_content(rd, json_get(block, S("content")), &content);
    part->result = list_join(&content);
}

static void
read_thinking(struct reading *rd, const struct json *block, struct part_list *list)
{
    struct llm_part *part = add_part(rd, list, PART_REASONING);

    part->text = text_at(rd, block, "thinking");
    part->signature = text_at(rd, block, "signature");
    part->redacted = text_at(rd, block, "data");
    part->origin = &wire_anthropic;
}

/* A block of a provider-run tool, or one younger than this code. */
static void
read_opaque(struct reading *rd, const struct json *block, struct part_list *list)
{
    struct llm_part *part = add_part(rd, list, PART_OPAQUE);

    part->raw = block;
    part->origin = &wire_anthropic;
}

static void
read_text(struct reading *rd, const struct json *block, struct part_list *list)
{
    add_text(rd, list, required_text(rd, block, "text"));
}

static const struct {
    struct str type;
    void (*read)(struct reading *rd, const struct json *block, struct part_list *list);
} block_types[] = {
    { S_INIT("text"), read_text },
    { S_INIT("image"), read_image },
    { S_INIT("document"), read_document },
    { S_INIT("search_result"), read_search_result },
    { S_INIT("tool_use"), read_tool_use },
    { S_INIT("tool_result"), read_tool_result },
    { S_INIT("thinking"), read_thinking },
    { S_INIT("redacted_thinking"), read_thinking },
};

static void
read_block(struct reading *rd, const struct json *block, struct part_list *list)
{
    const struct json *type = json_get(block, S("type"));
    struct llm_part **results = list->results_tail;
    struct llm_part **others = list->others_tail;
    size_t i = 0;

    if (!json_is(type, JSON_STRING)) {
        complain(rd, ERR_BAD_REQUEST, json_is(block, JSON_OBJECT) ? "type" : "",
            json_is(block, JSON_OBJECT) ? "Field required" : "Input should be a valid dictionary");
        return;
    }
    if (!count_part(rd))
        return;
    while (i < ARRAY_LEN(block_types) && !json_str_is(type, block_types[i].type))
        i++;
    if (i < ARRAY_LEN(block_types))
        block_types[i].read(rd, block, list);
    else
        read_opaque(rd, block, list);

    /* The mark stands behind the last part that the block became. */
    struct llm_part *last = *results;

    if (last == NULL)
        for (last = *others; last != NULL && last->next != NULL;)
            last = last->next;
    if (last != NULL)
        read_cache_control(rd, block, &last->cache_mark, &last->cache_ttl);
}

/* A string or a list of blocks. */
static void
read_content(struct reading *rd, const struct json *content, struct part_list *list)
{
    struct json_iter it = json_iter(content);
    struct place here = { .up = rd->at, .list = "content" };

    if (json_is(content, JSON_STRING)) {
        if (count_part(rd))
            add_text(rd, list, text_of(rd, content));
        return;
    }
    if (!json_is(content, JSON_ARRAY)) {
        complain(rd, ERR_BAD_REQUEST, "content",
            content == NULL ? "Field required" : "Input should be a valid list");
        return;
    }
    rd->at = &here;
    for (; rd->err == OK && json_next(&it); here.index++)
        read_block(rd, it.value, list);
    rd->at = here.up;
}

/* --- messages, system, tools --- */

static bool
read_role(struct reading *rd, const struct json *message, enum llm_role *ret)
{
    const struct json *role = json_get(message, S("role"));

    if (json_str_is(role, S("user")))
        *ret = ROLE_USER;
    else if (json_str_is(role, S("assistant")))
        *ret = ROLE_ASSISTANT;
    else if (json_str_is(role, S("system")))
        *ret = ROLE_SYSTEM;
    else
        complain(rd, ERR_BAD_REQUEST, "role",
            role == NULL ? "Field required" : "Input should be 'user' or 'assistant'");
    return rd->err == OK;
}

static void
read_messages(struct reading *rd, struct llm_part **system_tail)
{
    struct json_iter it = json_iter(json_get(rd->r->doc, S("messages")));
    struct llm_message **tail = &rd->r->messages;
    struct place here = { .list = "messages" };

    rd->at = &here;
    for (; rd->err == OK && json_next(&it); here.index++) {
        struct part_list list;
        enum llm_role role = ROLE_USER;

        if (!count_part(rd) || !read_role(rd, it.value, &role))
            break;
        list_init(&list);
        read_content(rd, json_get(it.value, S("content")), &list);
        if (role == ROLE_SYSTEM && rd->r->messages == NULL) {    /* before the first turn */
            *system_tail = list_join(&list);
            while (*system_tail != NULL)
                system_tail = &(*system_tail)->next;
        } else {
            llm_message_add(rd->a, &tail, role)->parts = list_join(&list);
        }
    }
    rd->at = NULL;
}

/* Returns the tail of the system text, which messages may add to. */
static struct llm_part **
read_system(struct reading *rd)
{
    const struct json *system = json_get(rd->r->doc, S("system"));
    struct json_iter it = json_iter(system);
    struct place here = { .list = "system" };
    struct part_list list;

    list_init(&list);
    if (json_is(system, JSON_STRING))
        add_text(rd, &list, text_of(rd, system));
    else if (json_present(system) && !json_is(system, JSON_ARRAY))
        complain(rd, ERR_BAD_REQUEST, "system", "Input should be a valid string or list");
    rd->at = &here;
    for (; rd->err == OK && json_next(&it); here.index++) {
        if (json_str_is(json_get(it.value, S("type")), S("text")))
            read_block(rd, it.value, &list);
        else
            complain(rd, ERR_BAD_REQUEST, "type", "Input should be 'text'");
    }
    rd->at = NULL;
    rd->r->system = list_join(&list);

    struct llm_part **tail = &rd->r->system;

    while (*tail != NULL)
        tail = &(*tail)->next;
    return tail;
}

static void
read_tool(struct reading *rd, const struct json *j, struct llm_tool *tool)
{
    const struct json *type = json_get(j, S("type"));
    const struct json *schema = json_get(j, S("input_schema"));
    const struct json *strict = json_get(j, S("strict"));

    if (json_present(type) && !json_str_is(type, S("custom"))) {
        tool->name = text_at(rd, j, "name");
        tool->raw = j;
        return;
    }
    tool->name = required_text(rd, j, "name");
    tool->description = text_at(rd, j, "description");
    if (json_present(schema))
        tool->schema = json_raw(schema);
    tool->strict = json_present(strict) ? json_bool(strict, false) : -1;
    read_cache_control(rd, j, &tool->cache_mark, &tool->cache_ttl);
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
            complain(rd, ERR_BAD_REQUEST, "", "Input should be a valid dictionary");
        if (!count_part(rd))
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
        r->choice_name = text_at(rd, choice, "name");
        if (r->choice_name.n == 0)
            complain(rd, ERR_BAD_REQUEST, "tool_choice.name", "Field required");
    } else {
        complain(rd, ERR_BAD_REQUEST, "tool_choice.type",
            "Input should be 'auto', 'any', 'tool' or 'none'");
    }
    if (json_present(single))
        r->parallel_tools = !json_bool(single, false);
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
        r->reasoning_budget = 0;
    } else if (json_str_is(type, S("enabled"))) {
        if (!json_is(budget, JSON_NUMBER) || json_i64(budget, 0) <= 0)
            complain(
                rd, ERR_BAD_REQUEST, "thinking.budget_tokens", "Input should be a valid integer");
        r->reasoning_budget = json_i64(budget, 0);
    } else if (!json_str_is(type, S("adaptive"))) {    /* adaptive: as much as the effort says */
        complain(rd, ERR_BAD_REQUEST, "thinking.type",
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

    r->effort = text_at(rd, config, "effort");
    if (!json_present(format))
        format = json_get(r->doc, S("output_format"));
    if (!json_present(format))
        return;
    if (!json_str_is(json_get(format, S("type")), S("json_schema")) ||
        !json_is(json_get(format, S("schema")), JSON_OBJECT)) {
        complain(rd, ERR_BAD_REQUEST, "output_config.format",
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
        complain(rd, ERR_BAD_REQUEST, key, "Input should be a valid number");
    return value;
}

static void
read_stop(struct reading *rd)
{
    const struct json *stop = json_get(rd->r->doc, S("stop_sequences"));
    struct json_iter it = json_iter(stop);
    struct llm_word **tail = &rd->r->stop;

    if (json_present(stop) && !json_is(stop, JSON_ARRAY))
        complain(rd, ERR_BAD_REQUEST, "stop_sequences", "Input should be a valid list");
    while (rd->err == OK && json_next(&it)) {
        struct llm_word *word = arena_new(rd->a, struct llm_word);

        if (!json_is(it.value, JSON_STRING))
            complain(rd, ERR_BAD_REQUEST, "stop_sequences", "Input should be a list of strings");
        if (!count_part(rd))
            break;
        word->text = text_of(rd, it.value);
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
    r->user = text_of(rd, json_at(r->doc, "metadata.user_id"));
    if (json_str_is(tier, S("standard_only")))    /* in the words of the other protocols */
        r->service_tier = S("default");
    else if (json_str_is(tier, S("auto")))
        r->service_tier = S("auto");
    read_stop(rd);
    read_thinking_mode(rd);
    read_output(rd);
}

/* What was said at the top and has no place in the form, so that the caller hears what got lost. */
static void
note_others(struct reading *rd)
{
    static const struct str known[] = {
        S_INIT("model"),
        S_INIT("messages"),
        S_INIT("max_tokens"),
        S_INIT("system"),
        S_INIT("stream"),
        S_INIT("tools"),
        S_INIT("tool_choice"),
        S_INIT("thinking"),
        S_INIT("output_config"),
        S_INIT("output_format"),
        S_INIT("temperature"),
        S_INIT("top_p"),
        S_INIT("top_k"),
        S_INIT("stop_sequences"),
        S_INIT("metadata"),
        S_INIT("service_tier"),
    };
    struct json_iter it = json_iter(rd->r->doc);
    struct llm_word **tail = &rd->r->others;

    while (json_next(&it)) {
        bool is_known = !json_present(it.value) || it.key->n > 64;

        for (size_t i = 0; i < ARRAY_LEN(known) && !is_known; i++)
            is_known = json_str_is(it.key, known[i]);
        if (is_known)
            continue;
        if (!count_part(rd))
            break;
        *tail = arena_new(rd->a, struct llm_word);
        (*tail)->text = text_of(rd, it.key);
        tail = &(*tail)->next;
    }
}

static enum err
read_conversation(struct llm_request *r, struct wire_fault *ret_fault)
{
    struct reading rd = { .r = r, .a = r->arena, .fault = ret_fault };

    CHECK(r->op == OP_CHAT || r->op == OP_COUNT_TOKENS);
    read_messages(&rd, read_system(&rd));
    read_tools(&rd);
    read_tool_choice(&rd);
    read_parameters(&rd);
    note_others(&rd);
    return rd.err;
}

/* --- the head --- */

static void
read_model(struct reading *rd)
{
    struct llm_request *r = rd->r;

    r->model = required_text(rd, r->doc, "model");
    r->model_node = json_get(r->doc, S("model"));
    if (rd->err == OK && r->model.n == 0)
        complain(rd, ERR_BAD_REQUEST, "model", "String should have at least 1 character");
}

static void
check_max_tokens(struct reading *rd)
{
    const struct json *max_tokens = json_get(rd->r->doc, S("max_tokens"));

    if (max_tokens == NULL)
        complain(rd, ERR_BAD_REQUEST, "max_tokens", "Field required");
    else if (!json_is(max_tokens, JSON_NUMBER))
        complain(rd, ERR_BAD_REQUEST, "max_tokens", "Input should be a valid integer");
    else if (json_i64(max_tokens, 0) < 0)
        complain(rd, ERR_BAD_REQUEST, "max_tokens", "Input should be greater than or equal to 0");
}

static void
check_messages(struct reading *rd)
{
    const struct json *messages = json_get(rd->r->doc, S("messages"));

    if (messages == NULL)
        complain(rd, ERR_BAD_REQUEST, "messages", "Field required");
    else if (!json_is(messages, JSON_ARRAY))
        complain(rd, ERR_BAD_REQUEST, "messages", "Input should be a valid list");
    else if (messages->count == 0)
        complain(rd, ERR_BAD_REQUEST, "messages", "at least one message is required");
}

static enum err
read_head(struct llm_request *r, struct wire_fault *ret_fault)
{
    struct reading rd = { .r = r, .a = r->arena, .fault = ret_fault };
    const struct json *stream = json_get(r->doc, S("stream"));

    r->want_usage = true;
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
        complain(&rd, ERR_BAD_REQUEST, "stream", "Input should be a valid boolean");
    r->stream = r->op == OP_CHAT && json_bool(stream, false);
    return rd.err;
}

/* --- errors and counts --- */

static void
write_error(struct buf *out, const struct llm_error *e, struct str request_id)
{
    const struct err_row *row = err_row(e->kind);

    buf_add(out, S("{\"type\":\"error\",\"error\":{\"type\":"));
    json_add_str(out, str_c(row->anthropic_type));
    buf_add(out, S(",\"message\":"));
    json_add_str(out, e->message.n > 0 ? e->message : str_c(row->sentence));
    buf_add_c(out, '}');
    if (request_id.n > 0) {
        buf_add(out, S(",\"request_id\":"));
        json_add_str(out, request_id);
    }
    buf_add_c(out, '}');
}

static void
write_token_count(struct buf *out, int64_t input_tokens)
{
    buf_add(out, S("{\"input_tokens\":"));
    buf_add_i64(out, usage_count(input_tokens));
    buf_add_c(out, '}');
}

/* Overload has a status of its own here, which nobody registered and only these clients know. */
static int
status(const struct llm_error *e)
{
    if (e->kind == ERR_UPSTREAM_OVERLOADED || e->kind == ERR_OVERLOADED)
        return 529;
    return err_row(e->kind)->status;
}

const struct wire_caller anthropic_caller = {
    .read_head = read_head,
    .read_conversation = read_conversation,
    .write_event = anthropic_write_event,
    .write_answer = anthropic_write_answer,
    .write_error = write_error,
    .write_token_count = write_token_count,
    .status = status,
    .stream_type = S_INIT("text/event-stream"),
    .keepalive = S_INIT("event: ping\ndata: {\"type\": \"ping\"}\n\n"),
};

/* messages.c - reads the messages of an Anthropic caller.
 *
 * What only this protocol has (blocks of provider-run tools, signed thinking) is kept, with its
 * origin, for a provider of the same protocol; plain-text documents become text, which every
 * protocol has.
 */
#include "llm/media.h"
#include "wires/anthropic/anthropic.h"

enum { PARTS_MAX = 100000 };    /* messages, blocks and tools */

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

void
anthropic_complain(struct reading *rd, enum err e, const char *field, const char *what)
{
    struct str at = place_path(rd->a, rd->at);
    const char *dot = at.n > 0 && field[0] != '\0' ? "." : "";

    if (rd->err != OK)
        return;
    rd->err = e;
    rd->fault->param = arena_printf(rd->a, STR_FMT "%s%s", STR_ARG(at), dot, field);
    rd->fault->message = rd->fault->param.n == 0
                             ? str_c(what)
                             : arena_printf(rd->a, STR_FMT ": %s", STR_ARG(rd->fault->param), what);
}

struct str
anthropic_text_of(struct reading *rd, const struct json *j)
{
    struct str text = json_str(rd->a, j);

    if (text.p == NULL && json_is(j, JSON_STRING))
        anthropic_complain(rd, ERR_TOO_LARGE, "", "the request is too large");
    return text;
}

struct str
anthropic_text_at(struct reading *rd, const struct json *j, const char *key)
{
    return anthropic_text_of(rd, json_get(j, str_c(key)));
}

struct str
anthropic_required_text(struct reading *rd, const struct json *j, const char *key)
{
    const struct json *value = json_get(j, str_c(key));

    if (value == NULL)
        anthropic_complain(rd, ERR_BAD_REQUEST, key, "Field required");
    else if (!json_is(value, JSON_STRING))
        anthropic_complain(rd, ERR_BAD_REQUEST, key, "Input should be a valid string");
    return anthropic_text_of(rd, value);
}

bool
anthropic_count_part(struct reading *rd)
{
    if (rd->parts++ < PARTS_MAX)
        return true;
    anthropic_complain(
        rd, ERR_TOO_LARGE, "", "there are more messages and content blocks than allowed");
    return false;
}

/* --- content --- */

/* The parts of a message: results first, as the API requires. */
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
add_text(struct reading *rd, struct part_list *list, struct str text)
{
    add_part(rd, list, PART_TEXT)->text = text;
}

static void read_content(struct reading *rd, const struct json *content, struct part_list *list);

static void
read_bytes(struct reading *rd, const struct json *source, struct llm_part *part)
{
    struct str mime = anthropic_required_text(rd, source, "media_type");

    media_set_data(part, mime, anthropic_required_text(rd, source, "data"));
}

static void
read_url(struct reading *rd, const struct json *source, struct llm_part *part)
{
    if (!media_set_url(part, anthropic_required_text(rd, source, "url")))
        anthropic_complain(rd, ERR_BAD_REQUEST, "source.url", "Input should be a valid URL");
}

static void
read_image(struct reading *rd, const struct json *block, struct part_list *list)
{
    const struct json *source = json_get(block, S("source"));
    const struct json *type = json_get(source, S("type"));
    struct llm_part *part = add_part(rd, list, PART_IMAGE);

    if (json_str_is(type, S("base64"))) {
        read_bytes(rd, source, part);
    } else if (json_str_is(type, S("url"))) {
        read_url(rd, source, part);
    } else if (json_str_is(type, S("file"))) {
        part->file_id = anthropic_required_text(rd, source, "file_id");
    } else {
        anthropic_complain(
            rd, ERR_BAD_REQUEST, "source", "Input should be a base64, url or file source");
    }
}

/* Text documents become text parts, preceded by their title. */
static void
read_document(struct reading *rd, const struct json *block, struct part_list *list)
{
    const struct json *source = json_get(block, S("source"));
    const struct json *type = json_get(source, S("type"));
    struct str title = anthropic_text_at(rd, block, "title");
    bool text = json_str_is(type, S("text"));

    if (text || json_str_is(type, S("content"))) {
        if (title.n > 0)
            add_text(rd, list, title);
        if (text)
            add_text(rd, list, anthropic_required_text(rd, source, "data"));
        else
            read_content(rd, json_get(source, S("content")), list);
        return;
    }

    struct llm_part *part = add_part(rd, list, PART_FILE);

    part->name = title;
    if (json_str_is(type, S("base64"))) {
        read_bytes(rd, source, part);
    } else if (json_str_is(type, S("url"))) {
        part->mime = S("application/pdf");    /* the only kind of document that may be given by URL */
        read_url(rd, source, part);
    } else if (json_str_is(type, S("file"))) {
        part->file_id = anthropic_required_text(rd, source, "file_id");
    } else {
        anthropic_complain(rd, ERR_BAD_REQUEST, "source",
            "Input should be a base64, text, url, content or file source");
    }
}

static void
read_search_result(struct reading *rd, const struct json *block, struct part_list *list)
{
    add_text(rd, list, anthropic_text_at(rd, block, "title"));
    add_text(rd, list, anthropic_text_at(rd, block, "source"));
    read_content(rd, json_get(block, S("content")), list);
}

static void
read_tool_use(struct reading *rd, const struct json *block, struct part_list *list)
{
    struct llm_part *part = add_part(rd, list, PART_TOOL_CALL);
    const struct json *input = json_get(block, S("input"));

    part->id = anthropic_required_text(rd, block, "id");
    part->name = anthropic_required_text(rd, block, "name");
    if (json_present(input))
        part->args = json_raw(input);
}

static void
read_tool_result(struct reading *rd, const struct json *block, struct part_list *list)
{
    struct llm_part *part = add_part(rd, list, PART_TOOL_RESULT);
    struct part_list content;

    part->id = anthropic_required_text(rd, block, "tool_use_id");
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

    part->text = anthropic_text_at(rd, block, "thinking");
    part->signature = anthropic_text_at(rd, block, "signature");
    part->redacted = anthropic_text_at(rd, block, "data");
    part->origin = &wire_anthropic;
}

/* A block of a provider-run tool, or of a type that is newer than this code. */
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
    add_text(rd, list, anthropic_required_text(rd, block, "text"));
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
        anthropic_complain(rd, ERR_BAD_REQUEST, json_is(block, JSON_OBJECT) ? "type" : "",
            json_is(block, JSON_OBJECT) ? "Field required" : "Input should be a valid dictionary");
        return;
    }
    if (!anthropic_count_part(rd))
        return;
    while (i < ARRAY_LEN(block_types) && !json_str_is(type, block_types[i].type))
        i++;
    if (i < ARRAY_LEN(block_types))
        block_types[i].read(rd, block, list);
    else
        read_opaque(rd, block, list);

    /* The cache mark belongs to the last part that the block became. */
    struct llm_part **tail = list->results_tail != results ? list->results_tail : list->others_tail;

    if (tail != results && tail != others)
        CONTAINER_OF(tail, struct llm_part, next)->cache_mark = wire_cache_mark(block);
}

/* A string or a list of blocks. */
static void
read_content(struct reading *rd, const struct json *content, struct part_list *list)
{
    struct json_iter it = json_iter(content);
    struct place here = { .up = rd->at, .list = "content" };

    if (json_is(content, JSON_STRING)) {
        if (anthropic_count_part(rd))
            add_text(rd, list, anthropic_text_of(rd, content));
        return;
    }
    if (!json_is(content, JSON_ARRAY)) {
        anthropic_complain(rd, ERR_BAD_REQUEST, "content",
            content == NULL ? "Field required" : "Input should be a valid list");
        return;
    }
    rd->at = &here;
    for (; rd->err == OK && json_next(&it); here.index++)
        read_block(rd, it.value, list);
    rd->at = here.up;
}

/* --- messages and system --- */

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
        anthropic_complain(rd, ERR_BAD_REQUEST, "role",
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

        if (!anthropic_count_part(rd) || !read_role(rd, it.value, &role))
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
        add_text(rd, &list, anthropic_text_of(rd, system));
    else if (json_present(system) && !json_is(system, JSON_ARRAY))
        anthropic_complain(rd, ERR_BAD_REQUEST, "system", "Input should be a valid string or list");
    rd->at = &here;
    for (; rd->err == OK && json_next(&it); here.index++) {
        if (json_str_is(json_get(it.value, S("type")), S("text")))
            read_block(rd, it.value, &list);
        else
            anthropic_complain(rd, ERR_BAD_REQUEST, "type", "Input should be 'text'");
    }
    rd->at = NULL;
    rd->r->system = list_join(&list);

    struct llm_part **tail = &rd->r->system;

    while (*tail != NULL)
        tail = &(*tail)->next;
    return tail;
}

void
anthropic_read_messages(struct reading *rd)
{
    read_messages(rd, read_system(rd));
}

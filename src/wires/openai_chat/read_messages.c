/* read_messages.c - reads an OpenAI caller's messages. */
#include "wires/openai_chat/reading.h"

#include "llm/media.h"

/* --- parts of a message --- */

static struct llm_part *
add_part(struct openai_reading *rd, struct llm_part ***tail, enum llm_part_kind kind)
{
    return llm_part_add(rd->a, tail, kind);
}

static void
add_text(struct openai_reading *rd, struct llm_part ***tail, struct str text)
{
    if (text.n > 0)
        add_part(rd, tail, PART_TEXT)->text = text;
}

/* A URL, or a data URL that contains the bytes. */
static enum err
set_url(struct openai_reading *rd, const struct where *w, struct llm_part *part, struct str url)
{
    return media_set_url(part, url)
               ? OK
               : openai_bad(rd, w, "url", "a data URL must look like data:image/png;base64,...");
}

static enum err
read_text_part(
    struct openai_reading *rd, const struct where *w, const struct json *j, struct llm_part ***tail)
{
    struct str text;
    enum err e = openai_optional_text(rd, w, j, "text", &text);

    if (e != OK || text.n == 0)
        return e;

    struct llm_part *part = add_part(rd, tail, PART_TEXT);

    part->text = text;
    part->cache_mark = wire_cache_mark(j);
    return OK;
}

static enum err
read_refusal_part(
    struct openai_reading *rd, const struct where *w, const struct json *j, struct llm_part ***tail)
{
    struct str text;
    enum err e = openai_optional_text(rd, w, j, "refusal", &text);

    if (e == OK && text.n > 0)
        add_part(rd, tail, PART_REFUSAL)->text = text;
    return e;
}

/* {"type":"image_url","image_url":{"url":"..."}}, or the URL itself; the same for other media. */
static enum err
read_url_part(struct openai_reading *rd, const struct where *w, const struct json *j, const char *key,
    enum llm_part_kind kind, struct llm_part ***tail)
{
    const struct json *value = json_get(j, str_c(key));
    struct where inner = { .up = w, .key = key };
    struct llm_part *part = add_part(rd, tail, kind);
    struct str url;
    enum err e;

    if (json_is(value, JSON_STRING)) {
        e = openai_required_text(rd, w, j, key, &url);
    } else if (json_is(value, JSON_OBJECT)) {
        e = openai_required_text(rd, &inner, value, "url", &url);
        if (e == OK)
            e = openai_optional_text(rd, &inner, value, "detail", &part->detail);
    } else {
        return openai_bad(rd, w, key, "must be an object with a url");
    }
    if (e != OK)
        return e;
    part->cache_mark = wire_cache_mark(j);
    return set_url(rd, &inner, part, url);
}

static enum err
read_image_part(
    struct openai_reading *rd, const struct where *w, const struct json *j, struct llm_part ***tail)
{
    return read_url_part(rd, w, j, "image_url", PART_IMAGE, tail);
}

static enum err
read_video_part(
    struct openai_reading *rd, const struct where *w, const struct json *j, struct llm_part ***tail)
{
    return read_url_part(rd, w, j, "video_url", PART_VIDEO, tail);
}

static enum err
read_file_url_part(
    struct openai_reading *rd, const struct where *w, const struct json *j, struct llm_part ***tail)
{
    return read_url_part(rd, w, j, "file_url", PART_FILE, tail);
}

static enum err
read_audio_part(
    struct openai_reading *rd, const struct where *w, const struct json *j, struct llm_part ***tail)
{
    struct where inner = { .up = w, .key = "input_audio" };
    const struct json *audio = json_get(j, S("input_audio"));
    struct llm_part *part = add_part(rd, tail, PART_AUDIO);
    struct str format;

    if (!json_is(audio, JSON_OBJECT))
        return openai_bad(rd, w, "input_audio", "must be an object with data and format");

    enum err e = openai_required_text(rd, &inner, audio, "data", &part->data);

    if (e == OK)
        e = openai_required_text(rd, &inner, audio, "format", &format);
    if (e == OK)
        part->mime = str_eq(format, S("mp3"))
                         ? S("audio/mpeg")
                         : arena_printf(rd->a, "audio/%.*s", (int)MIN(format.n, 32), format.p);
    return e;
}

static enum err
read_file_part(
    struct openai_reading *rd, const struct where *w, const struct json *j, struct llm_part ***tail)
{
    struct where inner = { .up = w, .key = "file" };
    const struct json *file = json_get(j, S("file"));
    struct llm_part *part = add_part(rd, tail, PART_FILE);
    struct str data;

    if (!json_is(file, JSON_OBJECT))
        return openai_bad(rd, w, "file", "must be an object with file_data or file_id");

    enum err e = openai_optional_text(rd, &inner, file, "filename", &part->name);

    if (e == OK)
        e = openai_optional_text(rd, &inner, file, "file_id", &part->file_id);
    if (e == OK)
        e = openai_optional_text(rd, &inner, file, "file_data", &data);
    if (e != OK)
        return e;
    if (data.n == 0 && part->file_id.n == 0)
        return openai_bad(rd, w, "file", "needs file_data or file_id");
    part->cache_mark = wire_cache_mark(j);
    if (data.n == 0)
        return OK;
    if (str_istarts(data, S("data:")) || str_istarts(data, S("http")))
        return set_url(rd, &inner, part, data);
    media_set_data(part, S("application/octet-stream"), data);
    return OK;
}

struct part_row {
    struct str type;
    enum err (*read)(
        struct openai_reading *rd, const struct where *w, const struct json *j, struct llm_part ***tail);
};

static const struct part_row part_rows[] = {
    { S_INIT("text"), read_text_part },
    { S_INIT("image_url"), read_image_part },
    { S_INIT("input_audio"), read_audio_part },
    { S_INIT("file"), read_file_part },
    { S_INIT("refusal"), read_refusal_part },
    { S_INIT("video_url"), read_video_part },
    { S_INIT("file_url"), read_file_url_part },
};

static const struct part_row *
part_row_for(const struct json *type)
{
    for (size_t i = 0; i < ARRAY_LEN(part_rows); i++)
        if (json_str_is(type, part_rows[i].type))
            return &part_rows[i];
    return NULL;
}

static enum err
read_part(struct openai_reading *rd, const struct where *w, const struct json *j, bool text_only,
    struct llm_part ***tail)
{
    const struct json *type = json_get(j, S("type"));
    const struct part_row *row = part_row_for(type);
    enum err e = openai_count_element(rd, w);

    if (e != OK)
        return e;
    if (!json_is(j, JSON_OBJECT))
        return openai_bad(rd, w, NULL, "must be an object");
    if (!json_is(type, JSON_STRING))
        return openai_bad(rd, w, "type", "must be a string");
    if (row == NULL)
        return openai_fail(rd, ERR_UNSUPPORTED, w, "type",
            "this kind of part cannot be translated for another protocol");
    if (text_only && row->read != read_text_part)
        return openai_bad(rd, w, "type", "only text is allowed here");
    return row->read(rd, w, j, tail);
}

/* A string, or a list of parts. `required`: it must not be null or absent. */
static enum err
read_content(struct openai_reading *rd, const struct where *w, const struct json *message, bool required,
    bool text_only, struct llm_part ***tail)
{
    const struct json *content = json_get(message, S("content"));
    struct where list = { .up = w, .key = "content" };
    struct json_iter it = json_iter(content);
    uint32_t i = 0;

    if (!json_present(content))
        return required ? openai_bad(rd, w, "content", "is required") : OK;
    if (content->type == JSON_STRING) {
        add_text(rd, tail, openai_text_of(rd, content));
        return OK;
    }
    if (content->type != JSON_ARRAY)
        return openai_bad(rd, w, "content", "must be a string or a list of parts");

    while (json_next(&it)) {
        struct where at = { .up = &list, .index = i++ };
        enum err e = read_part(rd, &at, it.value, text_only, tail);

        if (e != OK)
            return e;
    }
    return OK;
}

/* --- what an assistant said --- */

/* Reasoning whose text is being put together from pieces. */
struct open_reasoning {
    struct llm_part *part;    /* NULL: none is open */
    size_t room;              /* allocated for its text; 0 while that is a slice of one piece */
};

static void
join_text(struct openai_reading *rd, struct open_reasoning *open, struct str more)
{
    struct str *text = &open->part->text;

    if (more.n == 0)
        return;
    if (open->room < text->n + more.n) {
        size_t room = 2 * (text->n + more.n);
        bool ours = open->room != 0;
        char *p = arena_grow(rd->a, ours ? (void *)(uintptr_t)text->p : NULL, open->room, room);

        if (p == NULL) {
            rd->too_large = true;
            return;
        }
        if (!ours)
            memcpy(p, text->n > 0 ? text->p : "", text->n);
        text->p = p;
        open->room = room;
    }
    memcpy((char *)(uintptr_t)text->p + text->n, more.p, more.n);
    text->n += more.n;
}

/* One entry of reasoning_details. Joins the pieces of a text that a client collected from a stream.
 */
static void
read_reasoning_detail(
    struct openai_reading *rd, const struct json *j, struct llm_part ***tail, struct open_reasoning *open)
{
    const struct json *type = json_get(j, S("type"));
    bool anthropic = json_str_is(json_get(j, S("format")), S(OPENAI_REASONING_ANTHROPIC));
    const struct wire *origin = anthropic ? &wire_anthropic : &wire_openai_chat;

    if (json_str_is(type, S("reasoning.encrypted"))) {
        struct llm_part *part = add_part(rd, tail, PART_REASONING);

        part->redacted = openai_text_of(rd, json_get(j, S("data")));
        part->origin = origin;
        open->part = NULL;
        return;
    }

    struct str text = openai_text_of(rd, json_get(j, S("text")));

    if (text.n == 0)
        text = openai_text_of(rd, json_get(j, S("summary")));
    if (open->part == NULL) {
        *open = (struct open_reasoning){ .part = add_part(rd, tail, PART_REASONING) };
        open->part->text = text;
    } else {
        join_text(rd, open, text);
    }
    open->part->origin = origin;
    open->part->signature = openai_text_of(rd, json_get(j, S("signature")));
    if (open->part->signature.n > 0)
        open->part = NULL;
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
static enum err
read_reasoning(
    struct openai_reading *rd, const struct where *w, const struct json *message, struct llm_part ***tail)
{
    const struct json *details = json_get(message, S("reasoning_details"));
    struct json_iter it = json_iter(json_is(details, JSON_ARRAY) ? details : NULL);
    struct str plain = openai_text_of(rd, json_get(message, S("reasoning_content")));
    struct llm_part **first = *tail;
    struct open_reasoning open = { .part = NULL };

    if (plain.n == 0)
        plain = openai_text_of(rd, json_get(message, S("reasoning")));
    while (json_next(&it)) {
        enum err e = openai_count_element(rd, w);

        if (e != OK)
            return e;
        read_reasoning_detail(rd, it.value, tail, &open);
    }

    if (*first == NULL && plain.n > 0) {
        struct llm_part *part = add_part(rd, tail, PART_REASONING);

        part->text = plain;
        part->origin = &wire_openai_chat;
    } else {
        restore_text(*first, plain);
    }
    return OK;
}

static enum err
read_custom_call(
    struct openai_reading *rd, const struct where *w, const struct json *j, struct llm_part *part)
{
    struct where inner = { .up = w, .key = "custom" };
    const struct json *custom = json_get(j, S("custom"));
    enum err e = openai_required_text(rd, &inner, custom, "name", &part->name);

    part->custom = true;
    return e == OK ? openai_optional_text(rd, &inner, custom, "input", &part->args) : e;
}

static enum err
read_function_call(
    struct openai_reading *rd, const struct where *w, const struct json *function, struct llm_part *part)
{
    const struct json *args = json_get(function, S("arguments"));
    enum err e = openai_required_text(rd, w, function, "name", &part->name);

    if (e != OK)
        return e;
    if (json_is(args, JSON_STRING))
        part->args = openai_text_of(rd, args);
    else if (json_is(args, JSON_OBJECT))    /* some clients send an object instead of a string */
        part->args = json_raw(args);
    else if (json_present(args))
        return openai_bad(rd, w, "arguments", "must be a string");
    return OK;
}

static enum err
read_tool_call(
    struct openai_reading *rd, const struct where *w, const struct json *j, struct llm_part ***tail)
{
    struct where inner = { .up = w, .key = "function" };
    const struct json *type = json_get(j, S("type"));
    struct llm_part *part = add_part(rd, tail, PART_TOOL_CALL);
    enum err e = openai_count_element(rd, w);

    if (e == OK)
        e = openai_required_text(rd, w, j, "id", &part->id);
    if (e != OK)
        return e;
    part->signature = openai_text_of(rd, json_at(j, "extra_content.google.thought_signature"));
    if (json_str_is(type, S("custom")))
        return read_custom_call(rd, w, j, part);
    if (json_present(type) && !json_str_is(type, S("function")))
        return openai_bad(rd, w, "type", "must be \"function\" or \"custom\"");
    return read_function_call(rd, &inner, json_get(j, S("function")), part);
}

static enum err
read_tool_calls(
    struct openai_reading *rd, const struct where *w, const struct json *message, struct llm_part ***tail)
{
    const struct json *calls = json_get(message, S("tool_calls"));
    const struct json *old = json_get(message, S("function_call"));
    struct where list = { .up = w, .key = "tool_calls" };
    struct json_iter it = json_iter(calls);
    uint32_t i = 0;

    if (json_present(calls) && calls->type != JSON_ARRAY)
        return openai_bad(rd, w, "tool_calls", "must be a list");
    while (json_next(&it)) {
        struct where at = { .up = &list, .index = i++ };
        enum err e = read_tool_call(rd, &at, it.value, tail);

        if (e != OK)
            return e;
    }
    if (json_present(old)) {
        struct where at = { .up = w, .key = "function_call" };
        struct llm_part *part = add_part(rd, tail, PART_TOOL_CALL);

        part->id = arena_printf(rd->a, "call_function_%u", (unsigned)++rd->old_calls);
        return read_function_call(rd, &at, old, part);
    }
    return OK;
}

/* --- messages --- */

static enum err
read_assistant(
    struct openai_reading *rd, const struct where *w, const struct json *j, struct llm_part ***tail)
{
    enum err e = read_reasoning(rd, w, j, tail);

    if (e == OK)
        e = read_content(rd, w, j, false, false, tail);
    if (e == OK)
        e = read_refusal_part(rd, w, j, tail);
    return e == OK ? read_tool_calls(rd, w, j, tail) : e;
}

static enum err
read_tool_message(struct openai_reading *rd, const struct where *w, const struct json *j, bool old,
    struct llm_part ***tail)
{
    struct llm_part *part = add_part(rd, tail, PART_TOOL_RESULT);
    struct llm_part **result = &part->result;
    enum err e = OK;

    if (old)
        part->id = arena_printf(rd->a, "call_function_%u", (unsigned)rd->old_calls);
    else
        e = openai_required_text(rd, w, j, "tool_call_id", &part->id);
    return e == OK ? read_content(rd, w, j, true, false, &result) : e;
}

static bool
role_named(const struct json *j, enum llm_role *ret)
{
    static const struct {
        struct str name;
        enum llm_role role;
    } rows[] = {
        { S_INIT("user"), ROLE_USER },
        { S_INIT("assistant"), ROLE_ASSISTANT },
        { S_INIT("tool"), ROLE_TOOL },
        { S_INIT("function"), ROLE_TOOL },
        { S_INIT("system"), ROLE_SYSTEM },
        { S_INIT("developer"), ROLE_DEVELOPER },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (json_str_is(j, rows[i].name)) {
            *ret = rows[i].role;
            return true;
        }
    }
    return false;
}

struct message_tails {
    struct llm_part **system;
    struct llm_message **messages;
};

static enum err
read_message(
    struct openai_reading *rd, const struct where *w, const struct json *j, struct message_tails *tails)
{
    const struct json *role_name = json_get(j, S("role"));
    enum llm_role role;
    enum err e = openai_count_element(rd, w);

    if (e != OK)
        return e;
    if (!json_is(j, JSON_OBJECT))
        return openai_bad(rd, w, NULL, "must be an object");
    if (!json_present(role_name))
        return openai_bad(rd, w, "role", "is required");
    if (!role_named(role_name, &role))
        return openai_bad(rd, w, "role", "must be system, developer, user, assistant or tool");

    bool instructs = role == ROLE_SYSTEM || role == ROLE_DEVELOPER;

    if (instructs && rd->r->messages == NULL)
        return read_content(rd, w, j, true, true, &tails->system);

    struct llm_message *message = llm_message_add(rd->a, &tails->messages, role);
    struct llm_part **parts = &message->parts;

    if (role == ROLE_ASSISTANT)
        return read_assistant(rd, w, j, &parts);
    if (role == ROLE_TOOL)
        return read_tool_message(rd, w, j, json_str_is(role_name, S("function")), &parts);
    message->name = openai_text_of(rd, json_get(j, S("name")));
    return read_content(rd, w, j, true, instructs, &parts);
}

enum err
openai_read_messages(struct openai_reading *rd)
{
    const struct json *messages = json_get(rd->r->doc, S("messages"));
    struct message_tails tails = { .system = &rd->r->system, .messages = &rd->r->messages };
    struct where list = { .key = "messages" };
    struct json_iter it = json_iter(messages);
    uint32_t i = 0;

    if (!json_present(messages))
        return openai_bad(rd, NULL, "messages", "is required");
    if (messages->type != JSON_ARRAY || json_is_empty(messages))
        return openai_bad(rd, NULL, "messages", "must be a list with at least one message");
    while (json_next(&it)) {
        struct where at = { .up = &list, .index = i++ };
        enum err e = read_message(rd, &at, it.value, &tails);

        if (e != OK)
            return e;
    }
    return OK;
}

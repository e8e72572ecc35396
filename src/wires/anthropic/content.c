/* content.c - system text and turns of a planned conversation, for a provider.
 */
#include "llm/media.h"
#include "wires/anthropic/anthropic.h"

static void
add(struct writing *w, struct str s)
{
    buf_add(w->out, s);
}

void
anthropic_add_comma(struct writing *w)
{
    if (!w->first)
        buf_add_c(w->out, ',');
    w->first = false;
}

void
anthropic_refuse(struct writing *w, enum err e, struct str param, struct str message)
{
    if (w->err != OK)
        return;
    w->err = e;
    *w->fault = (struct wire_fault){ .message = message, .param = param };
}

static void
refuse_part(struct writing *w, const char *what)
{
    anthropic_refuse(w, ERR_UNSUPPORTED, S("messages"),
        arena_printf(w->a, "messages: %s cannot be sent to this provider", what));
}

void
anthropic_add_cache_control(struct writing *w, enum llm_cache_mark mark)
{
    if (mark == MARK_NONE)
        return;
    if (w->marks_to_skip > 0) {
        w->marks_to_skip--;
        return;
    }
    add(w, S(",\"cache_control\":{\"type\":\"ephemeral\""));
    if (mark != MARK_SET)
        add(w, mark == MARK_5M ? S(",\"ttl\":\"5m\"") : S(",\"ttl\":\"1h\""));
    add(w, S("}"));
}

static void
add_text(struct writing *w, struct str text, const struct llm_part *part)
{
    anthropic_add_comma(w);
    add(w, S("{\"type\":\"text\",\"text\":"));
    json_add_str(w->out, text);
    if (part != NULL)
        anthropic_add_cache_control(w, part->cache_mark);
    add(w, S("}"));
}

/* Closes a source after its value. */
static void
end_source(struct writing *w, const char *type, const struct llm_part *part)
{
    add(w, S("}"));
    if (part->name.n > 0 && strcmp(type, "document") == 0) {
        add(w, S(",\"title\":"));
        json_add_str(w->out, part->name);
    }
    anthropic_add_cache_control(w, part->cache_mark);
    add(w, S("}"));
}

/* {"type":"image","source":{"type":"url","url":"..."}} and the like; `value` is the value of `key`.
 */
static void
add_source(struct writing *w, const char *type, const char *source, struct str key,
    struct str value, const struct llm_part *part)
{
    anthropic_add_comma(w);
    buf_printf(w->out, "{\"type\":\"%s\",\"source\":{\"type\":\"%s\",\"", type, source);
    add(w, key);
    add(w, S("\":"));
    json_add_str(w->out, value);
    end_source(w, type, part);
}

/* The same with bytes: `media_type` comes first. */
static void
add_bytes(struct writing *w, const char *type, const char *source, struct str mime, struct str data,
    const struct llm_part *part)
{
    anthropic_add_comma(w);
    buf_printf(
        w->out, "{\"type\":\"%s\",\"source\":{\"type\":\"%s\",\"media_type\":", type, source);
    json_add_str(w->out, mime);
    add(w, S(",\"data\":"));
    json_add_str(w->out, data);
    end_source(w, type, part);
}

static bool
is_image_type(struct str mime)
{
    static const struct str taken[] = {
        S_INIT("image/jpeg"),
        S_INIT("image/png"),
        S_INIT("image/gif"),
        S_INIT("image/webp"),
    };

    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        if (str_ieq(mime, taken[i]))
            return true;
    return false;
}

/* A text file is sent as text, not as base64. */
static void
add_text_document(struct writing *w, const struct llm_part *part)
{
    struct str text = S("");
    enum err e = media_text(w->a, part, &text);

    if (e == ERR_TOO_LARGE)
        anthropic_refuse(w, e, S("messages"), S("the request is too large to be translated"));
    else if (e != OK)
        refuse_part(w, "a file whose data is not valid base64");
    else if (text.n > 0)
        add_bytes(w, "document", "text", S("text/plain"), text, part);
}

/* An image or a file. */
static void
add_media(struct writing *w, const struct llm_part *part)
{
    const char *type = part->kind == PART_IMAGE ? "image" : "document";

    if (part->file_id.n > 0)
        add_source(w, type, "file", S("file_id"), part->file_id, part);
    else if (part->data.n > 0 && is_image_type(part->mime))
        add_bytes(w, "image", "base64", part->mime, part->data, part);
    else if (part->data.n > 0 && str_ieq(part->mime, S("application/pdf")))
        add_bytes(w, "document", "base64", part->mime, part->data, part);
    else if (part->data.n > 0 && media_is_text(part->mime))
        add_text_document(w, part);
    else if (part->data.n > 0)
        refuse_part(w, part->kind == PART_IMAGE ? "an image other than JPEG, PNG, GIF or WebP"
                                                : "a file other than PDF, text or image");
    else if (str_istarts(part->url, S("https://")) || str_istarts(part->url, S("http://")))
        add_source(w, type, "url", S("url"), part->url, part);
    else
        refuse_part(w, "media that is neither base64 data nor an http(s) URL");
}

/* A part of a user message or a tool result. */
static void
add_content(struct writing *w, const struct llm_part *part)
{
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        if (str_trim(part->text).n > 0)
            add_text(w, part->text, part);
        break;
    case PART_IMAGE:
    case PART_FILE:
        add_media(w, part);
        break;
    case PART_AUDIO:
        refuse_part(w, "audio");
        break;
    case PART_VIDEO:
        refuse_part(w, "video");
        break;
    case PART_OPAQUE:
        if (part->origin != &wire_anthropic)
            break;
        anthropic_add_comma(w);
        add(w, json_raw(part->raw));
        break;
    case PART_TOOL_CALL:
    case PART_TOOL_RESULT:
    case PART_REASONING:
        break;
    }
}

static void
add_result(struct writing *w, const struct turn_block *b)
{
    anthropic_add_comma(w);
    add(w, S("{\"type\":\"tool_result\",\"tool_use_id\":"));
    json_add_str(w->out, b->id);
    if (b->part == NULL) {
        add(w, S(",\"content\":\"" TURN_NO_RESULT "\",\"is_error\":true}"));
        return;
    }
    if (b->part->result != NULL) {
        add(w, S(",\"content\":["));
        w->first = true;
        for (const struct llm_part *part = b->part->result; part != NULL; part = part->next)
            add_content(w, part);
        w->first = false;
        add(w, S("]"));
    }
    if (b->part->is_error)
        add(w, S(",\"is_error\":true"));
    anthropic_add_cache_control(w, b->part->cache_mark);
    add(w, S("}"));
}

static void
add_call(struct writing *w, const struct turn_block *b)
{
    anthropic_add_comma(w);
    add(w, S("{\"type\":\"tool_use\",\"id\":"));
    json_add_str(w->out, b->id);
    add(w, S(",\"name\":"));
    json_add_str(w->out, b->part->name);
    add(w, S(",\"input\":"));
    anthropic_add_input(w->out, w->a, b->part->args, b->part->custom);
    anthropic_add_cache_control(w, b->part->cache_mark);
    add(w, S("}"));
}

static void
add_thinking(struct writing *w, const struct llm_part *part)
{
    anthropic_add_comma(w);
    if (part->redacted.n > 0) {
        add(w, S("{\"type\":\"redacted_thinking\",\"data\":"));
        json_add_str(w->out, part->redacted);
    } else {
        add(w, S("{\"type\":\"thinking\",\"thinking\":"));
        json_add_str(w->out, part->text);
        add(w, S(",\"signature\":"));
        json_add_str(w->out, part->signature);
    }
    add(w, S("}"));
}

/* The API rejects prefill that ends in white space. */
static struct str
without_trailing_blanks(struct str text)
{
    while (text.n > 0 && strchr(" \t\r\n", text.p[text.n - 1]) != NULL)
        text.n--;
    return text;
}

static void
add_block(struct writing *w, const struct turn_block *b, bool last)
{
    if (b->call != NULL)
        add_result(w, b);
    else if (b->part->kind == PART_TOOL_CALL)
        add_call(w, b);
    else if (b->part->kind == PART_REASONING)
        add_thinking(w, b->part);
    else if (last && b->part->kind == PART_TEXT)
        add_text(w, without_trailing_blanks(b->part->text), b->part);
    else
        add_content(w, b->part);
}

static void
add_turn(struct writing *w, const struct turn *t)
{
    bool assistant = t->side == TURN_ASSISTANT;
    bool prefill = assistant && t->next == NULL;

    add(w, assistant ? S("{\"role\":\"assistant\",\"content\":[")
                      : S("{\"role\":\"user\",\"content\":["));
    w->first = true;
    for (const struct turn_block *b = t->results.first; b != NULL; b = b->next)
        add_block(w, b, false);
    for (const struct turn_block *b = t->blocks.first; b != NULL; b = b->next)
        add_block(w, b, prefill && b->next == NULL);
    add(w, S("]}"));
}

void
anthropic_add_messages(struct writing *w)
{
    const struct turns *turns = &w->turns;
    bool opens = turns->first == NULL || turns->first->side == TURN_ASSISTANT;

    if (turns->first == NULL && turns->system.first == NULL)
        anthropic_refuse(
            w, ERR_BAD_REQUEST, S("messages"), S("messages: at least one message is required"));

    add(w, S(",\"messages\":["));
    if (opens)
        add(w, S("{\"role\":\"user\",\"content\":\"" TURN_OPENING "\"}"));
    if (opens && turns->first != NULL)
        add(w, S(","));
    for (const struct turn *t = turns->first; t != NULL; t = t->next) {
        add_turn(w, t);
        if (t->next != NULL)
            add(w, S(","));
    }
    add(w, S("]"));
}

void
anthropic_add_system(struct writing *w)
{
    bool json = w->r->format == FORMAT_JSON;

    if (w->turns.system.first == NULL && !json)
        return;
    add(w, S(",\"system\":["));
    w->first = true;
    for (const struct turn_block *b = w->turns.system.first; b != NULL; b = b->next)
        add_text(w, b->part->text, b->part);
    if (json)    /* there is no switch for it */
        add_text(w, S("Answer with a single JSON object."), NULL);
    add(w, S("]"));
}

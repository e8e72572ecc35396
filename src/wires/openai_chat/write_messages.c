/* write_messages.c - the conversation, written for an OpenAI-compatible provider.
 *
 * Content that is text only is written as a string, which every host accepts. A tool message can
 * contain only text, so media of tool results go into the user message after the results.
 */
#include "wires/openai_chat/writing.h"

#include "llm/media.h"

enum { ID_MAX = 40 };    /* OpenAI's own limit for a call's id */

static enum err
refuse(struct writing *w, struct str message)
{
    *w->fault = (struct wire_fault){ .message = message, .param = S("messages") };
    return ERR_UNSUPPORTED;
}

static struct str
call_id(const struct writing *w, struct str id)
{
    return id.n > 0 && id.n <= ID_MAX ? id : wire_hash_id(w->r->arena, id, S("call_"));
}

/* --- content --- */

static bool
is_media(const struct llm_part *part)
{
    return media_is(part->kind);
}

/* A block of this wire for which there is no part kind. */
static bool
is_native_block(const struct llm_part *part)
{
    return part->kind == PART_OPAQUE && part->origin == ORIGIN_OPENAI && part->raw != NULL;
}

/* "https://..." or "data:mime;base64,...". */
static void
add_url(struct writing *w, const struct llm_part *part)
{
    if (part->url.n > 0) {
        json_add_str(w->out, part->url);
        return;
    }
    buf_add(w->out, S("\"data:"));
    json_add_escaped(w->out, part->mime.n > 0 ? part->mime : S("application/octet-stream"));
    buf_add(w->out, S(";base64,"));
    json_add_escaped(w->out, part->data);
    buf_add_c(w->out, '"');
}

static enum err
add_image(struct writing *w, const struct llm_part *part)
{
    if (part->url.n == 0 && part->data.n == 0)
        return refuse(
            w, S("an image that is stored at another provider cannot be sent to this one"));
    buf_add(w->out, S("{\"type\":\"image_url\",\"image_url\":{\"url\":"));
    add_url(w, part);
    if (part->detail.n > 0)
        openai_add_text(w, S("detail"), part->detail);
    buf_add(w->out, S("}}"));
    return OK;
}

static enum err
add_audio(struct writing *w, const struct llm_part *part)
{
    struct str format = part->mime;

    if (part->data.n == 0)
        return refuse(w, S("audio can be sent to this provider only as bytes"));
    if (str_istarts(format, S("audio/")))
        format = str_skip(format, 6);
    if (str_ieq(format, S("mpeg")))
        format = S("mp3");
    buf_add(w->out, S("{\"type\":\"input_audio\",\"input_audio\":{\"data\":"));
    json_add_str(w->out, part->data);
    openai_add_text(w, S("format"), format.n > 0 ? format : S("wav"));
    buf_add(w->out, S("}}"));
    return OK;
}

static enum err
add_video(struct writing *w, const struct llm_part *part)
{
    buf_add(w->out, S("{\"type\":\"video_url\",\"video_url\":{\"url\":"));
    add_url(w, part);
    buf_add(w->out, S("}}"));
    return OK;
}

/* A text file is sent as text: files on this wire are PDFs. */
static enum err
add_text_file(struct writing *w, const struct llm_part *part)
{
    struct str text;
    enum err e = media_text(w->r->arena, part, &text);

    if (e == ERR_TOO_LARGE)
        *w->fault = (struct wire_fault){ .message = S("the request is larger than allowed") };
    else if (e != OK)
        return refuse(w, S("a document is not valid base64"));
    if (e != OK)
        return e;
    buf_add(w->out, S("{\"type\":\"text\",\"text\":"));
    json_add_str(w->out, text);
    buf_add_c(w->out, '}');
    return OK;
}

static enum err
add_file(struct writing *w, const struct llm_part *part)
{
    if (part->file_id.n > 0 && openai_is_native(w)) {
        buf_add(w->out, S("{\"type\":\"file\",\"file\":{\"file_id\":"));
        json_add_str(w->out, part->file_id);
        buf_add(w->out, S("}}"));
        return OK;
    }
    if (part->data.n == 0)
        return refuse(w, S("a document can be sent to this provider only as bytes"));
    if (media_is_text(part->mime))
        return add_text_file(w, part);
    buf_add(w->out, S("{\"type\":\"file\",\"file\":{\"filename\":"));
    json_add_str(w->out, part->name.n > 0 ? part->name : S("document.pdf"));
    buf_add(w->out, S(",\"file_data\":"));
    add_url(w, part);
    buf_add(w->out, S("}}"));
    return OK;
}

static enum err
add_media(struct writing *w, const struct llm_part *part)
{
    switch (part->kind) {
    case PART_IMAGE:
        return add_image(w, part);
    case PART_AUDIO:
        return add_audio(w, part);
    case PART_VIDEO:
        return add_video(w, part);
    case PART_FILE:
        return add_file(w, part);
    default:
        CHECK_UNREACHABLE();
    }
}

static size_t
count_parts(const struct llm_part *part, bool (*wanted)(const struct llm_part *part))
{
    size_t n = 0;

    for (; part != NULL; part = part->next)
        n += wanted(part) ? 1 : 0;
    return n;
}

static bool
is_text(const struct llm_part *part)
{
    return part->kind == PART_TEXT;
}

static bool
is_said(const struct llm_part *part)
{
    return part->kind == PART_TEXT || part->kind == PART_REFUSAL;
}

static bool
is_result(const struct llm_part *part)
{
    return part->kind == PART_TOOL_RESULT;
}

static bool
is_call(const struct llm_part *part)
{
    return part->kind == PART_TOOL_CALL;
}

static bool
is_user_content(const struct llm_part *part)
{
    return is_text(part) || is_media(part) || is_native_block(part);
}

/* The texts as one string, `between` them. */
static void
add_joined(struct writing *w, const struct llm_part *part,
    bool (*wanted)(const struct llm_part *part), struct str between)
{
    bool first = true;

    buf_add_c(w->out, '"');
    for (; part != NULL; part = part->next) {
        if (!wanted(part))
            continue;
        if (!first)
            json_add_escaped(w->out, between);
        json_add_escaped(w->out, part->text);
        first = false;
    }
    buf_add_c(w->out, '"');
}

static enum err
add_part(struct writing *w, const struct llm_part *part)
{
    if (is_media(part))
        return add_media(w, part);
    if (is_native_block(part)) {
        buf_add(w->out, json_raw(part->raw));
        return OK;
    }
    buf_add(w->out, S("{\"type\":\"text\",\"text\":"));
    json_add_str(w->out, part->text);
    buf_add_c(w->out, '}');
    return OK;
}

/* --- messages --- */

/* Opens a message: {"role":"...","content": */
static void
open_message(struct writing *w, struct str role)
{
    if (w->any_message)
        buf_add_c(w->out, ',');
    w->any_message = true;
    buf_add(w->out, S("{\"role\":\""));
    buf_add(w->out, role);
    buf_add_c(w->out, '"');
}

static struct str
instruction_role(const struct writing *w, enum llm_role role)
{
    if (role == ROLE_DEVELOPER && w->t->traits.no_developer != YES)
        return S("developer");
    return S("system");
}

static void
write_system(struct writing *w)
{
    bool developer = w->t->traits.reasoning == YES && w->t->traits.no_developer != YES;

    if (count_parts(w->r->system, is_text) == 0)
        return;
    open_message(w, instruction_role(w, developer ? ROLE_DEVELOPER : ROLE_SYSTEM));
    buf_add(w->out, S(",\"content\":"));
    add_joined(w, w->r->system, is_text, S("\n"));
    buf_add_c(w->out, '}');
}

static void
write_tool_result(struct writing *w, const struct llm_message *m, const struct llm_part *part)
{
    bool media = count_parts(part->result, is_media) > 0;

    open_message(w, S("tool"));
    openai_add_text(w, S("tool_call_id"), call_id(w, part->id));
    openai_add_key(w, S("content"));
    if (media && count_parts(part->result, is_text) == 0)
        json_add_str(w->out, S("(see the next message)"));
    else if (part->is_error && count_parts(part->result, is_text) == 0)
        json_add_str(w->out, S("(the call failed)"));
    else
        add_joined(w, part->result, is_text, S("\n"));
    buf_add_c(w->out, '}');
    if (media && w->media == NULL)
        w->media = m;
}

/* Media of the tool results from w->media to `last`, as parts of a user message. */
static enum err
add_result_media(struct writing *w, const struct llm_message *last, bool *first)
{
    const struct llm_message *m = w->media;

    w->media = NULL;
    for (; m != NULL; m = m == last ? NULL : m->next) {
        for (const struct llm_part *p = m->parts; p != NULL; p = p->next) {
            for (const struct llm_part *in = is_result(p) ? p->result : NULL; in != NULL;
                 in = in->next) {
                if (!is_media(in))
                    continue;
                if (!*first)
                    buf_add_c(w->out, ',');
                *first = false;

                enum err e = add_media(w, in);

                if (e != OK)
                    return e;
            }
        }
    }
    return OK;
}

/* A user message with the media of results, if no user message follows. */
static enum err
flush_media(struct writing *w, const struct llm_message *last)
{
    bool first = true;

    if (w->media == NULL)
        return OK;
    open_message(w, S("user"));
    buf_add(w->out, S(",\"content\":["));

    enum err e = add_result_media(w, last, &first);

    buf_add(w->out, S("]}"));
    return e;
}

static enum err
write_user(struct writing *w, const struct llm_message *m)
{
    size_t parts = count_parts(m->parts, is_user_content);
    bool first = true;

    if (parts == 0 && count_parts(m->parts, is_result) > 0)
        return OK;
    open_message(w, S("user"));
    if (m->name.n > 0 && openai_is_native(w))
        openai_add_text(w, S("name"), m->name);
    openai_add_key(w, S("content"));
    if (w->media == NULL && parts <= 1 && count_parts(m->parts, is_text) == parts) {
        add_joined(w, m->parts, is_text, S(""));
        buf_add_c(w->out, '}');
        return OK;
    }

    buf_add_c(w->out, '[');

    enum err e = add_result_media(w, m, &first);

    for (const struct llm_part *p = m->parts; p != NULL && e == OK; p = p->next) {
        if (!is_user_content(p))
            continue;
        if (!first)
            buf_add_c(w->out, ',');
        first = false;
        e = add_part(w, p);
    }
    buf_add(w->out, S("]}"));
    return e;
}

static void
add_call(struct writing *w, const struct llm_part *part)
{
    buf_add(w->out, S("{\"id\":"));
    json_add_str(w->out, call_id(w, part->id));
    if (part->custom) {
        buf_add(w->out, S(",\"type\":\"custom\",\"custom\":{\"name\":"));
        json_add_str(w->out, part->name);
        openai_add_text(w, S("input"), part->args);
    } else {
        buf_add(w->out, S(",\"type\":\"function\",\"function\":{\"name\":"));
        json_add_str(w->out, part->name);
        openai_add_text(w, S("arguments"), str_trim(part->args).n > 0 ? part->args : S("{}"));
    }
    buf_add(w->out, S("}}"));
}

/* Reasoning is sent back to hosts of this wire only, in the spelling that most of them read. */
static bool
is_own_reasoning(const struct llm_part *part)
{
    return part->kind == PART_REASONING && part->origin == ORIGIN_OPENAI && part->text.n > 0;
}

/* Whether nothing of the message can be sent to this provider. Some hosts reject empty messages. */
static bool
is_silent(const struct writing *w, const struct llm_message *m)
{
    for (const struct llm_part *p = m->parts; p != NULL; p = p->next)
        if (is_call(p) || (is_said(p) && p->text.n > 0) ||
            (openai_is_native(w) && is_own_reasoning(p)))
            return false;
    return true;
}

static void
write_assistant(struct writing *w, const struct llm_message *m)
{
    bool calls = count_parts(m->parts, is_call) > 0;
    bool first = true;

    open_message(w, S("assistant"));
    openai_add_key(w, S("content"));
    if (calls && count_parts(m->parts, is_said) == 0)
        buf_add(w->out, S("null"));
    else
        add_joined(w, m->parts, is_said, S(""));
    if (openai_is_native(w) && count_parts(m->parts, is_own_reasoning) > 0) {
        openai_add_key(w, S("reasoning_content"));
        add_joined(w, m->parts, is_own_reasoning, S(""));
    }
    if (calls) {
        buf_add(w->out, S(",\"tool_calls\":["));
        for (const struct llm_part *p = m->parts; p != NULL; p = p->next) {
            if (!is_call(p))
                continue;
            if (!first)
                buf_add_c(w->out, ',');
            first = false;
            add_call(w, p);
        }
        buf_add_c(w->out, ']');
    }
    buf_add_c(w->out, '}');
}

/* Notes what cannot be expressed on this wire: blocks that only their own protocol understands, and
 * that a tool has failed. */
static void
drop_foreign(struct writing *w, const struct llm_part *part)
{
    if (part->kind == PART_OPAQUE && !is_native_block(part))
        wire_drop_block(w->drops, part);
    if (part->kind != PART_TOOL_RESULT)
        return;
    if (part->is_error)
        wire_drop(w->drops, S("messages.tool_result.is_error"));
    for (const struct llm_part *in = part->result; in != NULL; in = in->next)
        drop_foreign(w, in);
}

static enum err
write_message(struct writing *w, const struct llm_message *m, const struct llm_message *before)
{
    enum err e = OK;

    for (const struct llm_part *p = m->parts; p != NULL; p = p->next) {
        if (p->kind == PART_TOOL_RESULT)
            write_tool_result(w, m, p);
        drop_foreign(w, p);
    }

    switch (m->role) {
    case ROLE_TOOL:
    case ROLE_USER:
        if (m->role == ROLE_USER || count_parts(m->parts, is_user_content) > 0)
            e = write_user(w, m);
        break;
    case ROLE_SYSTEM:
    case ROLE_DEVELOPER:
        e = flush_media(w, before);
        open_message(w, instruction_role(w, m->role));
        buf_add(w->out, S(",\"content\":"));
        add_joined(w, m->parts, is_text, S("\n"));
        buf_add_c(w->out, '}');
        break;
    case ROLE_ASSISTANT:
        e = flush_media(w, before);
        if (!is_silent(w, m))
            write_assistant(w, m);
        break;
    }
    return e;
}

enum err
openai_write_messages(struct writing *w)
{
    const struct llm_message *before = NULL;

    buf_add(w->out, S(",\"messages\":["));
    write_system(w);
    for (const struct llm_message *m = w->r->messages; m != NULL; m = m->next) {
        enum err e = write_message(w, m, before);

        if (e != OK)
            return e;
        before = m;
    }

    enum err e = flush_media(w, before);

    buf_add_c(w->out, ']');
    return e;
}

/* provider.c - writes requests for a provider that speaks Anthropic Messages.
 *
 * turns_plan() arranges the conversation. Combinations that the API rejects (thinking with
 * sampling, forced tools with thinking, more than four cache marks) are resolved next, before
 * anything is written.
 */
#include "base/map.h"
#include "llm/claude.h"
#include "llm/media.h"
#include "llm/schema.h"
#include "llm/seal.h"
#include "llm/turns.h"
#include "llm/write.h"
#include "wires/anthropic/anthropic.h"

enum {
    MARKS_MAX = 4,
    USER_ID_MAX = 256,
    STRICT_TOOLS_MAX = 20,    /* the API refuses more */
};

static const struct turn_rules turn_rules = {
    .ids = { .prefix = S_INIT("toolu_"), .chars = IDS_WORD, .most = 64 },
    .names = { .chars = IDS_WORD, .most = 128 },
    .origin = ORIGIN_ANTHROPIC,
    .blocks = ORIGIN_ANTHROPIC,
    .alternate = true,
    .system_first = true,
    .paired = true,
    .no_blanks = true,
    .speaks = true,
    .fails = true,
    .marks = true,
};

/* A request being written. */
struct message_request {
    struct request_out *out;
    struct json_out *o;    /* of `out` */
    const struct llm_request *r;
    struct turns turns;
    unsigned marks_to_skip;    /* the earliest, if there are too many: later ones cover more */

    unsigned strict_tools;
    bool tools;    /* the caller offers tools that can be sent to this provider */
    enum llm_choice choice;
    struct claude_thinking thinking;
};

/* Other hosts of this protocol sign nothing, and want their thinking back. */
static bool
checks_signatures(const struct wire_target *t)
{
    if (t->traits.signed_thoughts != UNSAID)
        return t->traits.signed_thoughts == YES;
    return str_find(t->model, S("claude")) < t->model.n;
}

/* Thoughts of another protocol's conversation may have been another host's: only one that is known to
 * want them gets those. */
static bool
wants_thoughts(const struct request_out *out)
{
    const struct traits *traits = &out->t->traits;

    return !checks_signatures(out->t) &&
           (out->r->wire == out->to || traits->reasoning_back == YES ||
               traits->signed_thoughts == NO);
}

static void
refuse_part(const struct message_request *w, const char *what)
{
    write_refuse(w->out, ERR_UNSUPPORTED, "messages", "%s cannot be sent to this provider", what);
}

/* --- decisions --- */

static void
look_at_tools(struct message_request *w)
{
    unsigned marks = w->turns.marks;

    for (const struct llm_tool *tool = w->r->tools; tool != NULL; tool = tool->next) {
        if (!write_may_declare(w->out, tool))
            continue;
        w->tools = true;
        w->strict_tools += tool->strict == YES;
        if (tool->cache_mark != MARK_NONE)
            marks++;
    }
    w->marks_to_skip = marks > MARKS_MAX ? marks - MARKS_MAX : 0;
}

/* Whether the model must call a tool. */
static bool
is_forced(const struct message_request *w)
{
    return w->tools && (w->choice == CHOICE_REQUIRED || w->choice == CHOICE_NAMED);
}

/* --- content --- */

static void
add_cache_control(struct message_request *w, enum llm_cache_mark mark)
{
    if (mark == MARK_NONE)
        return;
    if (w->marks_to_skip > 0) {
        w->marks_to_skip--;
        return;
    }
    out_key_object(w->o, "cache_control");
    out_const(w->o, "\"type\":\"ephemeral\"");
    if (mark != MARK_SET)
        out_text(w->o, "ttl", mark == MARK_5M ? S("5m") : S("1h"));
    out_end(w->o);
}

static void
add_text(struct message_request *w, struct str text, enum llm_cache_mark mark)
{
    out_object(w->o);
    out_const(w->o, "\"type\":\"text\"");
    out_text(w->o, "text", text);
    add_cache_control(w, mark);
    out_end(w->o);
}

static bool
is_image_type(struct str mime)
{
    return str_ieq(mime, S("image/jpeg")) || str_ieq(mime, S("image/png")) ||
           str_ieq(mime, S("image/gif")) || str_ieq(mime, S("image/webp"));
}

/* An image or a file: {"type":"image","source":{"type":"base64","media_type":...,"data":...}} and
 * the like. A text file is sent as text. */
static void
add_media(struct message_request *w, const struct llm_part *part)
{
    struct json_out *o = w->o;
    bool bytes = part->data.n > 0;
    bool text = bytes && media_is_text(part->mime);
    bool image = bytes ? is_image_type(part->mime) : part->kind == PART_IMAGE;
    struct str data = part->data;

    if (part->file_id.n > 0) {
        bytes = false;
    } else if (text) {
        data = write_file_text(w->out, part);
        if (data.n == 0)
            return;
    } else if (bytes && !image && !str_ieq(part->mime, S("application/pdf"))) {
        refuse_part(w, part->kind == PART_IMAGE ? "an image other than JPEG, PNG, GIF or WebP"
                                                : "a file other than PDF, text or image");
    } else if (!bytes && !str_istarts(part->url, S("https://")) &&
               !str_istarts(part->url, S("http://"))) {
        refuse_part(w, "media that is neither base64 data nor an http(s) URL");
    }

    out_object(o);
    out_text(o, "type", image ? S("image") : S("document"));
    out_key_object(o, "source");
    if (bytes) {
        out_text(o, "type", text ? S("text") : S("base64"));
        out_text(o, "media_type", text ? S("text/plain") : part->mime);
        out_text(o, "data", data);
    } else if (part->file_id.n > 0) {
        out_const(o, "\"type\":\"file\"");
        out_text(o, "file_id", part->file_id);
    } else {
        out_const(o, "\"type\":\"url\"");
        out_text(o, "url", part->url);
    }
    out_end(o);
    if (!image)
        out_text_if(o, "title", part->name);
    add_cache_control(w, part->cache_mark);
    out_end(o);
}

/* A part of a user message or a tool result. */
static void
add_content(struct message_request *w, const struct llm_part *part)
{
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        if (str_trim(part->text).n > 0)
            add_text(w, part->text, part->cache_mark);
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
        if (part->origin == turn_rules.blocks)
            out_raw_value(w->o, json_raw(part->raw));
        break;
    case PART_TOOL_CALL:
    case PART_TOOL_RESULT:
    case PART_REASONING:
        break;
    }
}

static void
add_result(struct message_request *w, const struct turn_block *b)
{
    struct json_out *o = w->o;

    out_object(o);
    out_const(o, "\"type\":\"tool_result\"");
    out_text(o, "tool_use_id", b->id);
    if (b->part == NULL) {
        out_const(o, "\"content\":\"" TURN_NO_RESULT "\",\"is_error\":true");
        out_end(o);
        return;
    }
    if (b->part->result != NULL) {
        out_key_array(o, "content");
        for (const struct llm_part *part = b->part->result; part != NULL; part = part->next)
            add_content(w, part);
        out_end_array(o);
    }
    if (b->part->is_error)
        out_bool(o, "is_error", true);
    add_cache_control(w, b->part->cache_mark);
    out_end(o);
}

static void
add_call(struct message_request *w, const struct turn_block *b)
{
    struct json_out *o = w->o;

    out_object(o);
    out_const(o, "\"type\":\"tool_use\"");
    out_text(o, "id", b->id);
    out_text(o, "name", b->name);
    out_key(o, "input");
    if (!write_arguments(o, w->out->a, b->part->args, b->part->custom, NULL))
        o->b->overflow = true;    /* as if it had no room for the call */
    add_cache_control(w, b->part->cache_mark);
    out_end(o);
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
add_turn(struct message_request *w, const struct turn *t)
{
    bool assistant = t->side == TURN_ASSISTANT;

    out_object(w->o);
    out_text(w->o, "role", assistant ? S("assistant") : S("user"));
    out_key_array(w->o, "content");
    for (const struct turn_block *b = t->results.first; b != NULL; b = b->next)
        add_result(w, b);
    for (const struct turn_block *b = t->blocks.first; b != NULL; b = b->next) {
        bool prefill = assistant && t->next == NULL && b->next == NULL;

        if (b->part->kind == PART_TOOL_CALL)
            add_call(w, b);
        else if (b->part->kind == PART_REASONING)
            anthropic_add_thinking(w->o, b->part);
        else if (prefill && b->part->kind == PART_TEXT)
            add_text(w, without_trailing_blanks(b->part->text), b->part->cache_mark);
        else
            add_content(w, b->part);
    }
    out_end_array(w->o);
    out_end(w->o);
}

static void
add_messages(struct message_request *w)
{
    const struct turns *turns = &w->turns;

    if (turns->first == NULL && turns->system.first == NULL)
        write_refuse(w->out, ERR_BAD_REQUEST, "messages", "at least one message is required");
    out_key_array(w->o, "messages");
    if (turns->first == NULL || turns->first->side == TURN_ASSISTANT)
        out_raw_value(w->o, S("{\"role\":\"user\",\"content\":\"" TURN_OPENING "\"}"));
    for (const struct turn *t = turns->first; t != NULL; t = t->next)
        add_turn(w, t);
    out_end_array(w->o);
}

static void
add_system(struct message_request *w)
{
    bool json = w->r->format == FORMAT_JSON;

    if (w->turns.system.first == NULL && !json)
        return;
    out_key_array(w->o, "system");
    for (const struct turn_block *b = w->turns.system.first; b != NULL; b = b->next)
        add_text(w, b->part->text, b->part->cache_mark);
    if (json)    /* there is no switch for it */
        add_text(w, S("Answer with a single JSON object."), MARK_NONE);
    out_end_array(w->o);
}

/* --- tools --- */

static void
add_tool(struct message_request *w, const struct llm_tool *tool)
{
    struct json_out *o = w->o;
    bool strict = tool->strict == YES && w->strict_tools <= STRICT_TOOLS_MAX;
    struct schema_rules rules = { .typed = true,
        .closed = strict,
        .any_of = strict,
        .refused = strict ? claude_refused_keywords(w->out->t) : NULL };

    if (tool->raw != NULL) {
        out_raw_value(o, json_raw(tool->raw));
        return;
    }
    out_object(o);
    out_text(o, "name", turn_name(&turn_rules.names, w->r, w->out->drops, tool->name));
    out_text_if(o, "description", tool->description);
    out_key(o, "input_schema");
    if (!write_schema(w->out, "tools", tool->schema, &rules))
        write_refuse(w->out, ERR_BAD_REQUEST, "tools",
            "the parameters of '%.*s' must be a JSON object", (int)MIN(tool->name.n, 128),
            tool->name.p);
    if (strict)
        out_bool(o, "strict", true);
    else if (tool->strict == YES)    /* it is called all the same */
        wire_drop(w->out->drops, S("tools.strict"));
    add_cache_control(w, tool->cache_mark);
    out_end(o);
}

static void
add_tool_choice(struct message_request *w)
{
    static const struct str types[] = {
        [CHOICE_UNSET] = S_INIT("auto"),    /* disable_parallel_tool_use needs an object */
        [CHOICE_AUTO] = S_INIT("auto"),
        [CHOICE_NONE] = S_INIT("none"),
        [CHOICE_REQUIRED] = S_INIT("any"),
        [CHOICE_NAMED] = S_INIT("tool"),
    };
    enum llm_choice choice = w->choice;
    bool one_at_a_time = w->r->parallel_tools == NO;

    if (choice == CHOICE_UNSET && !one_at_a_time)
        return;
    out_key_object(w->o, "tool_choice");
    out_text(w->o, "type", types[choice]);
    if (choice == CHOICE_NAMED)
        out_text(
            w->o, "name", turn_name(&turn_rules.names, w->r, w->out->drops, w->r->choice_name));
    if (one_at_a_time && choice != CHOICE_NONE)
        out_bool(w->o, "disable_parallel_tool_use", true);
    out_end(w->o);
}

/* The API requires tools if the history has calls. If the caller offers none, the names in the
 * history are declared, with tool_choice none so that they are not called. */
static void
add_tools_of_history(struct message_request *w)
{
    struct map *names = map_create();

    out_key_array(w->o, "tools");
    for (const struct turn *t = w->turns.first; t != NULL; t = t->next) {
        for (struct turn_block *b = t->blocks.first; b != NULL; b = b->next) {
            if (b->turn == NULL || map_put(names, b->name, b) != NULL)
                continue;
            out_object(w->o);
            out_text(w->o, "name", b->name);
            out_const(w->o, "\"input_schema\":{\"type\":\"object\"}");
            out_end(w->o);
        }
    }
    out_end_array(w->o);
    out_const(w->o, "\"tool_choice\":{\"type\":\"none\"}");
    map_destroy(names);
}

static void
add_tools(struct message_request *w)
{
    if (!w->tools) {
        if (w->turns.calls)
            add_tools_of_history(w);
        return;
    }
    out_key_array(w->o, "tools");
    for (const struct llm_tool *tool = w->r->tools; tool != NULL; tool = tool->next)
        if (write_may_declare(w->out, tool))
            add_tool(w, tool);
    out_end_array(w->o);
    add_tool_choice(w);
}

/* --- parameters --- */

static void
add_output_config(struct message_request *w)
{
    const struct llm_request *r = w->r;
    bool schema = r->format == FORMAT_SCHEMA && r->schema.n > 0;
    const char *param = param_callers_name(r, PARAM_format);
    struct schema_rules rules = {
        .closed = true, .any_of = true, .refused = claude_refused_keywords(w->out->t)
    };

    if (r->format == FORMAT_JSON)
        write_drop(w->out, PARAM_format);
    if (!schema && w->thinking.effort.n == 0)
        return;
    out_key_object(w->o, "output_config");
    out_text_if(w->o, "effort", w->thinking.effort);
    if (schema) {
        out_key_object(w->o, "format");
        out_const(w->o, "\"type\":\"json_schema\"");
        out_key(w->o, "schema");
        if (!write_schema(w->out, param, r->schema, &rules))
            write_refuse(w->out, ERR_BAD_REQUEST, param, "the schema must be a JSON Schema object");
        out_end(w->o);
    }
    out_end(w->o);
}

static void
add_stop(struct message_request *w)
{
    bool any = false;

    for (const struct llm_word *s = w->r->stop; s != NULL; s = s->next) {
        if (str_trim(s->text).n == 0) {    /* the API refuses blanks */
            write_cut_stop(w->out, s->text);
            continue;
        }
        if (!any)
            out_key_array(w->o, "stop_sequences");
        any = true;
        out_text_value(w->o, s->text);
    }
    if (any)
        out_end_array(w->o);
}

static void
add_account(struct message_request *w)
{
    const struct llm_request *r = w->r;

    if (r->user.n > USER_ID_MAX) {
        write_drop(w->out, PARAM_user);
    } else if (r->user.n > 0) {
        out_key_object(w->o, "metadata");
        out_text(w->o, "user_id", r->user);
        out_end(w->o);
    }
    if (str_eq(r->service_tier, S("auto")))
        out_const(w->o, "\"service_tier\":\"auto\"");
    else if (str_eq(r->service_tier, S("default")))
        out_const(w->o, "\"service_tier\":\"standard_only\"");
    else if (r->service_tier.n > 0)
        write_drop(w->out, PARAM_service_tier);
}

/* --- the whole --- */

static void
write_message_request(struct request_out *out)
{
    const struct llm_request *r = out->r;
    struct message_request w = {
        .out = out,
        .o = &out->o,
        .r = r,
        .choice = write_choice(out),
    };
    bool chat = r->op == OP_CHAT;    /* else a count of tokens, which takes only what is counted */
    struct turn_rules turns = turn_rules;

    turns.no_prefill = out->t->traits.no_prefill == YES;
    turns.thoughts = wants_thoughts(out);
    turns_plan(r, &turns, out->drops, &w.turns);
    look_at_tools(&w);
    w.thinking = claude_decide(out, &w.turns, is_forced(&w));

    out_text(w.o, "model", out->t->model);
    if (chat)
        out_i64(w.o, "max_tokens", w.thinking.max_tokens);
    add_system(&w);
    add_messages(&w);
    add_tools(&w);
    claude_write_thinking(w.o, &w.thinking);
    if (!chat)
        return;
    add_output_config(&w);

    struct params_rules rules = claude_sampling(out, &w.thinking);

    params_write(w.o, r, PARAMS_ANTHROPIC, &rules);
    add_stop(&w);
    add_account(&w);
    params_drop(r, PARAMS_BIT(PARAMS_ANTHROPIC), &rules, out->drops);
    if (r->stream)
        out_bool(w.o, "stream", true);
}

/* --- a request that is passed through ---
 *
 * A caller whose conversation was answered by another protocol's model for a turn replays that
 * model's thinking as blocks without a signature, or with a sealed one: we wrote them, for its SDK
 * wants the field. Anthropic and others that check signatures refuse them, so they are cut out, and
 * with them a message that holds nothing else;
 * every other byte stays. A long conversation may hold hundreds: the list of messages is put
 * together anew then, as one edit.
 */

static bool
is_foreign_thinking(const void *arg UNUSED, const struct json *key UNUSED, const struct json *block)
{
    const struct json *signature = json_get(block, S("signature"));

    if (seal_is_json(signature) || seal_is_json(json_get(block, S("data"))))
        return true;
    return json_str_is(json_get(block, S("type")), S("thinking")) &&
           (!json_present(signature) || json_str_is(signature, S("")));
}

/* The blocks of an assistant message; NULL if it is not one or has none. */
static const struct json *
assistant_blocks(const struct json *message)
{
    const struct json *content = json_get(message, S("content"));

    return json_is(content, JSON_ARRAY) && json_str_is(json_get(message, S("role")), S("assistant"))
               ? content
               : NULL;
}

static bool
is_foreign_message(const void *arg, const struct json *key, const struct json *message)
{
    const struct json *blocks = assistant_blocks(message);
    struct json_iter it = json_iter(blocks);

    while (json_next(&it))
        if (!is_foreign_thinking(arg, key, it.value))
            return false;
    return blocks != NULL && !json_is_empty(blocks);
}

static void
cut_blocks(struct wire_rewrite *w, const void *arg, const struct json *key UNUSED,
    const struct json *message)
{
    wire_rewrite_cut(w, assistant_blocks(message), is_foreign_thinking, NULL, arg);
}

static void
edit_request(const struct llm_request *r, const struct wire_target *t, struct wire_edits *edits)
{
    const struct json *messages = json_get(r->doc, S("messages"));
    struct wire_rewrite w;

    if (!json_is(messages, JSON_ARRAY) || !checks_signatures(t))
        return;
    wire_rewrite_begin(&w, messages);
    wire_rewrite_cut(&w, messages, is_foreign_message, cut_blocks, NULL);
    wire_rewrite_end(&w, r, edits);
}

/* --- the provider --- */

static void
write_path(struct buf *out, const struct llm_request *r, const struct wire_target *t UNUSED)
{
    switch (r->op) {
    case OP_CHAT:
        buf_add(out, S("/messages"));
        break;
    case OP_COUNT_TOKENS:
        buf_add(out, S("/messages/count_tokens"));
        break;
    default:
        buf_add(out, r->path);
        break;
    }
}

static void
read_error(struct arena *a, int status, struct str body, struct llm_error *ret)
{
    fail_read(a, &anthropic_fail_words, status, body, ret);
}

static const char *const forward[] = { "anthropic-version", "anthropic-beta", NULL };

static const char *const limits[] = { "max_tokens", NULL };

const struct wire_provider anthropic_provider = {
    .ops = OP_BIT(OP_CHAT) | OP_BIT(OP_COUNT_TOKENS) | OP_BIT(OP_RELAY),
    .write_path = write_path,
    .base = S_INIT("/v1"),
    .models_path = S_INIT("/models?limit=1000"),
    .translates = OP_BIT(OP_CHAT) | OP_BIT(OP_COUNT_TOKENS),
    .places = { .params = PARAMS_ANTHROPIC, .limits = limits },
    .prefills = true,
    .write_request = write_message_request,
    .edit_request = edit_request,
    .read_event = anthropic_read_event,
    .read_end = anthropic_read_end,
    .read_answer = anthropic_read_answer,
    .read_error = read_error,
    .key = S_INIT("x-api-key: "),
    .fields = S_INIT("anthropic-version: 2023-06-01\r\n"),
    .forward = forward,
};

/* provider.c - writes requests for OpenAI-compatible providers.
 *
 * Hosts of this family differ most in what they reject, so the most common spelling is used, and no
 * member is sent that was not asked for. turns_plan() arranges the conversation.
 */
#include "llm/effort.h"
#include "llm/media.h"
#include "llm/turns.h"
#include "llm/write.h"
#include "wires/openai_chat/openai_chat.h"

enum {
    USER_MAX = 64,
    STOPS_MAX = 4,
};

static const struct turn_ids tool_names = { .chars = IDS_WORD, .most = 64 };

static const struct turn_ids nine_letters = {
    .prefix = S_INIT(""), .chars = IDS_ALNUM, .least = 9, .most = 9
};

struct str
openai_nine_letters(struct arena *a, const struct json *id)
{
    struct str text = json_str(a, id);
    struct str fit = turn_fit_id(&nine_letters, a, text);

    return str_eq(fit, text) ? S("") : fit;
}

/* Whose reasoning the model can read, where there is a place for what proves it. */
static enum llm_origin
origin_of(const struct wire_target *t)
{
    if (t->traits.reasoning_details != YES)
        return ORIGIN_NONE;
    return str_starts(t->model, S("anthropic/")) ? ORIGIN_ANTHROPIC
           : str_starts(t->model, S("openai/"))  ? ORIGIN_OPENAI
                                                 : ORIGIN_NONE;
}

static struct turn_rules
rules_for(const struct wire_target *t)
{
    const struct traits *traits = &t->traits;
    struct turn_rules rules = {
        .ids = { .prefix = S("call_"), .most = 40 },
        .names = tool_names,
        .origin = origin_of(t),
        .system_first = traits->system_first == YES,
        .paired = true,
        .no_prefill = traits->no_prefill == YES,
        .speaks = true,
        .results_text = true,
        .text_strings = traits->text_strings == YES,
        .thoughts = traits->reasoning_back == YES,
    };

    if (traits->nine_letter_ids == YES)
        rules.ids = nine_letters;
    return rules;
}

/* --- content --- */

/* In an object: "type":"image_url","image_url":{ and the like. */
static void
begin_typed(struct json_out *o, struct str type)
{
    out_text(o, "type", type);
    out_key_str(o, type);
    out_object(o);
}

static void
end_typed(struct json_out *o)
{
    out_end(o);
    out_end(o);
}

static void
add_text(struct json_out *o, struct str text)
{
    out_object(o);
    out_const(o, "\"type\":\"text\"");
    out_text(o, "text", text);
    out_end(o);
}

/* "https://..." or "data:mime;base64,...". */
static void
add_url(struct json_out *o, const struct llm_part *part)
{
    if (part->url.n > 0) {
        out_text_value(o, part->url);
        return;
    }
    out_string(o);
    buf_add(o->b, S("data:"));
    out_piece(o, part->mime.n > 0 ? part->mime : S("application/octet-stream"));
    buf_add(o->b, S(";base64,"));
    out_piece(o, part->data);
    out_end_string(o);
}

/* "wav" or "mp3" for most. */
static struct str
audio_format(struct str mime)
{
    struct str format = str_istarts(mime, S("audio/")) ? str_skip(mime, 6) : mime;

    return str_ieq(format, S("mpeg")) ? S("mp3") : format.n > 0 ? format : S("wav");
}

/* A text file is sent as text: files in this protocol are PDFs. */
static void
add_text_file(struct request_out *w, const struct llm_part *part)
{
    add_text(&w->o, write_file_text(w, part));
}

static void
add_media(struct request_out *w, const struct llm_part *part)
{
    struct json_out *o = &w->o;
    bool bytes = part->data.n > 0;

    if (part->kind == PART_FILE && bytes && media_is_text(part->mime)) {
        add_text_file(w, part);
        return;
    }
    out_object(o);
    switch (part->kind) {
    case PART_AUDIO:
        if (!bytes)
            write_refuse(
                w, ERR_UNSUPPORTED, "messages", "audio can be sent to this provider only as bytes");
        begin_typed(o, S("input_audio"));
        out_text(o, "data", part->data);
        out_text(o, "format", audio_format(part->mime));
        break;
    case PART_FILE:
        if (w->t->traits.mistral == YES && part->file_id.n == 0) {
            out_const(o, "\"type\":\"document_url\"");
            out_key(o, "document_url");
            add_url(o, part);
            out_text_if(o, "document_name", part->name);
            out_end(o);
            return;
        }
        if (!bytes)
            write_refuse(w, ERR_UNSUPPORTED, "messages",
                "a document can be sent to this provider only as bytes");
        begin_typed(o, S("file"));
        out_text(o, "filename", part->name.n > 0 ? part->name : S("document.pdf"));
        out_key(o, "file_data");
        add_url(o, part);
        break;
    default:
        if (!bytes && part->url.n == 0)
            write_refuse(w, ERR_UNSUPPORTED, "messages",
                "an image that is stored at another provider cannot be sent to this one");
        begin_typed(o, part->kind == PART_IMAGE ? S("image_url") : S("video_url"));
        out_key(o, "url");
        add_url(o, part);
        if (part->kind == PART_IMAGE)
            out_text_if(o, "detail", part->detail);
        break;
    }
    end_typed(o);
}

/* --- messages --- */

/* A message with its role; it stays open. */
static void
begin_message(struct request_out *w, struct str role)
{
    out_object(&w->o);
    out_text(&w->o, "role", role);
}

static bool
is_said(const struct llm_part *part)
{
    return part->kind == PART_TEXT || part->kind == PART_REFUSAL;
}

/* "content" as one string: the texts of blocks, `between` them. */
static void
add_joined(struct json_out *o, const struct turn_block *b, struct str between)
{
    bool first = true;

    out_key(o, "content");
    out_string(o);
    for (; b != NULL; b = b->next) {
        if (!is_said(b->part))
            continue;
        if (!first)
            out_piece(o, between);
        first = false;
        out_piece(o, b->part->text);
    }
    out_end_string(o);
}

static void
add_instructions(struct request_out *w, const struct turn_block *blocks, bool developer)
{
    developer = developer && w->t->traits.no_developer != YES;
    begin_message(w, developer ? S("developer") : S("system"));
    add_joined(&w->o, blocks, S("\n"));
    out_end(&w->o);
}

static void
add_result(struct request_out *w, const struct turn_block *b)
{
    bool first = true;

    begin_message(w, S("tool"));
    out_text(&w->o, "tool_call_id", b->id);
    out_key(&w->o, "content");
    out_string(&w->o);
    for (const struct llm_part *part = b->content; part != NULL; part = part->next) {
        if (part->kind != PART_TEXT)
            continue;
        if (!first)
            out_piece(&w->o, S("\n"));
        first = false;
        out_piece(&w->o, part->text);
    }
    out_end_string(&w->o);
    out_end(&w->o);
}

static void
add_user(struct request_out *w, const struct turn_rules *rules, const struct turn *t)
{
    begin_message(w, S("user"));
    if (turn_is_string(rules, t)) {
        add_joined(&w->o, t->blocks.first, S("\n\n"));
    } else {
        out_key_array(&w->o, "content");
        for (const struct turn_block *b = t->blocks.first; b != NULL; b = b->next) {
            if (media_is(b->part->kind))
                add_media(w, b->part);
            else
                add_text(&w->o, b->part->text);
        }
        out_end_array(&w->o);
    }
    out_end(&w->o);
}

static void
add_call(struct request_out *w, const struct turn_block *b)
{
    const struct llm_part *call = b->part;
    struct json_out *o = &w->o;

    out_object(o);
    out_text(o, "id", b->id);
    begin_typed(o, call->custom ? S("custom") : S("function"));
    out_text(o, "name", b->name);
    if (call->custom)
        out_text(o, "input", call->args);
    else
        out_text(o, "arguments", str_trim(call->args).n > 0 ? call->args : S("{}"));
    end_typed(o);
}

static void
add_reasoning_text(struct json_out *o, const struct turn_block *b)
{
    out_key(o, "reasoning_content");
    out_string(o);
    for (; b != NULL; b = b->next)
        if (b->part->kind == PART_REASONING)
            out_piece(o, b->part->text);
    out_end_string(o);
}

/* Reasoning with its proofs, as the answers of such a host have it. */
static void
add_reasoning_details(struct json_out *o, const struct turn_block *b)
{
    int64_t index = 0;

    out_key_array(o, "reasoning_details");
    for (; b != NULL; b = b->next) {
        const struct llm_part *part = b->part;

        if (part->kind != PART_REASONING)
            continue;

        bool openai = part->origin == ORIGIN_OPENAI;
        struct str data = openai && part->signature.n > 0 ? part->signature : part->redacted;

        out_object(o);
        if (data.n > 0) {
            out_const(o, "\"type\":\"reasoning.encrypted\"");
            out_text(o, "data", data);
        } else {
            out_const(o, "\"type\":\"reasoning.text\"");
            out_text(o, "text", part->text);
            out_text(o, "signature", part->signature);
        }
        if (openai)
            out_const(o, "\"format\":\"" OPENAI_REASONING_OPENAI "\"");
        else
            out_const(o, "\"format\":\"" OPENAI_REASONING_ANTHROPIC "\"");
        out_i64(o, "index", index++);
        out_end(o);
    }
    out_end_array(o);
}

static void
add_assistant(struct request_out *w, const struct turn *t)
{
    bool calls = false;
    bool says = false;
    bool thinks = false;

    for (const struct turn_block *b = t->blocks.first; b != NULL; b = b->next) {
        calls = calls || b->part->kind == PART_TOOL_CALL;
        says = says || is_said(b->part);
        thinks = thinks || b->part->kind == PART_REASONING;
    }
    begin_message(w, S("assistant"));
    if (says)
        add_joined(&w->o, t->blocks.first, S(""));
    else
        out_null(&w->o, "content");
    if (thinks && origin_of(w->t) != ORIGIN_NONE)
        add_reasoning_details(&w->o, t->blocks.first);
    else if (thinks)
        add_reasoning_text(&w->o, t->blocks.first);
    if (calls) {
        out_key_array(&w->o, "tool_calls");
        for (const struct turn_block *b = t->blocks.first; b != NULL; b = b->next)
            if (b->part->kind == PART_TOOL_CALL)
                add_call(w, b);
        out_end_array(&w->o);
    }
    out_end(&w->o);
}

static void
add_messages(struct request_out *w)
{
    struct turn_rules rules = rules_for(w->t);
    struct turns turns;

    turns_plan(w->r, &rules, w->drops, &turns);
    out_key_array(&w->o, "messages");
    if (turns.system.first != NULL)
        add_instructions(w, turns.system.first, w->t->traits.reasoning == YES);
    for (const struct turn *t = turns.first; t != NULL; t = t->next) {
        for (const struct turn_block *b = t->results.first; b != NULL; b = b->next)
            add_result(w, b);
        if (t->blocks.first == NULL)
            continue;
        if (t->side == TURN_USER)
            add_user(w, &rules, t);
        else if (t->side == TURN_ASSISTANT)
            add_assistant(w, t);
        else
            add_instructions(w, t->blocks.first, t->message->role == ROLE_DEVELOPER);
    }
    if (turns.first == NULL && w->r->messages != NULL) {    /* a user who says nothing */
        begin_message(w, S("user"));
        out_text(&w->o, "content", S(""));
        out_end(&w->o);
    }
    out_end_array(&w->o);
}

/* --- tools --- */

static void
add_tool(struct request_out *w, const struct llm_tool *tool)
{
    struct json_out *o = &w->o;

    if (tool->raw != NULL) {
        out_raw_value(o, json_raw(tool->raw));
        return;
    }
    if (tool->custom && w->t->traits.strict_keys == YES)
        write_refuse(w, ERR_UNSUPPORTED, "tools",
            "'%.*s' takes free-form input; this provider has none", (int)MIN(tool->name.n, 128),
            tool->name.p);
    out_object(o);
    begin_typed(o, tool->custom ? S("custom") : S("function"));
    out_text(o, "name", turn_name(&tool_names, w->r, w->drops, tool->name));
    out_text_if(o, "description", tool->description);
    if (!tool->custom) {
        out_raw(o, "parameters",
            tool->schema.n > 0 ? tool->schema : S("{\"type\":\"object\",\"properties\":{}}"));
        if (tool->strict != UNSAID &&
            (w->t->traits.strict_keys != YES || w->t->traits.mistral == YES))
            out_bool(o, "strict", tool->strict == YES);
    }
    end_typed(o);
}

static void
add_tool_choice(struct request_out *w)
{
    static const struct str words[] = {
        [CHOICE_AUTO] = S_INIT("auto"),
        [CHOICE_NONE] = S_INIT("none"),
        [CHOICE_REQUIRED] = S_INIT("required"),
    };

    enum llm_choice choice = write_choice(w);

    if (choice == CHOICE_NAMED) {
        out_key_object(&w->o, "tool_choice");
        begin_typed(&w->o, S("function"));
        out_text(&w->o, "name", turn_name(&tool_names, w->r, w->drops, w->r->choice_name));
        end_typed(&w->o);
    } else if (choice != CHOICE_UNSET) {
        out_text(&w->o, "tool_choice", words[choice]);
    }
}

static void
add_tools(struct request_out *w)
{
    bool any = false;

    for (const struct llm_tool *tool = w->r->tools; tool != NULL; tool = tool->next) {
        if (!write_may_declare(w, tool))
            continue;
        if (!any)
            out_key_array(&w->o, "tools");
        any = true;
        add_tool(w, tool);
    }
    if (!any)
        return;
    out_end_array(&w->o);
    add_tool_choice(w);
    if (w->r->parallel_tools != NO)
        return;
    if (w->t->traits.strict_keys == YES && w->t->traits.mistral != YES)
        write_drop(w, PARAM_parallel_tools);
    else
        out_bool(&w->o, "parallel_tool_calls", false);
}

/* --- parameters --- */

static void
add_format(struct request_out *w)
{
    const struct llm_request *r = w->r;
    struct json_out *o = &w->o;

    if (r->format == FORMAT_JSON)
        out_const(o, "\"response_format\":{\"type\":\"json_object\"}");
    if (r->format != FORMAT_SCHEMA)
        return;
    out_key_object(o, "response_format");
    begin_typed(o, S("json_schema"));
    out_text(o, "name", r->schema_name.n > 0 ? r->schema_name : S("response"));
    out_text_if(o, "description", r->schema_description);
    out_raw(o, "schema", r->schema);
    if (r->schema_strict != UNSAID)
        out_bool(o, "strict", r->schema_strict == YES);
    end_typed(o);
}

static void
add_limits(struct request_out *w)
{
    int64_t limit = w->t->traits.max_output;
    int64_t max = limit > 0 ? MIN(w->r->max_tokens, limit) : w->r->max_tokens;

    if (max > 0 && w->t->traits.max_tokens == YES)
        out_i64(&w->o, "max_tokens", max);
    else if (max > 0)
        out_i64(&w->o, "max_completion_tokens", max);
    if (w->r->n > 1)
        out_i64(&w->o, "n", w->r->n);
}

static void
add_stop(struct request_out *w)
{
    const struct llm_word *word = w->r->stop;

    if (word == NULL)
        return;
    out_key_array(&w->o, "stop");
    for (unsigned n = 0; word != NULL && n < STOPS_MAX; n++, word = word->next)
        out_text_value(&w->o, word->text);
    out_end_array(&w->o);
    for (; word != NULL; word = word->next)
        write_cut_stop(w, word->text);
}

/* Whether the model shall reason, for hosts that know no effort. */
static void
add_thinking(struct request_out *w, bool on)
{
    struct json_out *o = &w->o;

    switch (w->t->traits.thinking_switch) {
    case SWITCH_THINKING:
        out_key_object(o, "thinking");
        out_text(o, "type", on ? S("enabled") : S("disabled"));
        out_end(o);
        break;
    case SWITCH_TEMPLATE:
        out_key_object(o, "chat_template_kwargs");
        out_bool(o, "enable_thinking", on);
        out_end(o);
        break;
    case SWITCH_FLAG:
        out_bool(o, "enable_thinking", on);
        break;
    default:
        break;
    }
}

static void
add_effort(struct request_out *w)
{
    const struct llm_request *r = w->r;
    const struct traits *traits = &w->t->traits;
    struct str effort = r->effort;
    bool off = r->reasoning == NO || str_eq(effort, S("none"));

    if (effort.n == 0 && r->reasoning_budget > 0)
        effort = effort_word(r->reasoning_budget);
    if (off || effort.n > 0)
        add_thinking(w, !off);
    if (off && traits->reasoning == YES && traits->thinking_switch == 0 && effort.n == 0)
        write_drop(w, PARAM_effort);    /* it will think */
    if (effort.n == 0)
        return;
    if (str_eq(effort, S("xhigh")) || str_eq(effort, S("max")))
        effort = S("high");    /* few models know more, and the others reject it */
    if (traits->reasoning == YES && traits->strict_keys != YES)
        out_text(&w->o, "reasoning_effort", effort);
    else if (!off && traits->thinking_switch == 0)
        write_drop(w, PARAM_effort);
}

/* "auto" is the default; Anthropic's "standard_only" is OpenAI's "default". */
static void
add_account(struct request_out *w)
{
    struct str user = w->r->user;
    struct str tier = w->r->service_tier;
    bool strict = w->t->traits.strict_keys == YES;

    if (user.n > 0 && strict)
        write_drop(w, PARAM_user);
    else if (user.n > USER_MAX)
        out_text(&w->o, "user", wire_hash_id(w->r->arena, user, S("user_")));
    else
        out_text_if(&w->o, "user", user);

    if (str_eq(tier, S("standard_only")))
        tier = S("default");
    if (tier.n == 0 || str_eq(tier, S("auto")) || (strict && str_eq(tier, S("default"))))
        return;
    if (!strict &&
        (str_eq(tier, S("default")) || str_eq(tier, S("flex")) || str_eq(tier, S("priority"))))
        out_text(&w->o, "service_tier", tier);
    else
        write_drop(w, PARAM_service_tier);
}

void
openai_write_request(struct request_out *w)
{
    const struct params_rules rules = {
        .fixed_sampling = w->t->traits.sampling_fixed == YES ||
                          (w->t->traits.reasoning == YES && w->t->traits.sampling_fixed != NO),
        .core_only = w->t->traits.strict_keys == YES && w->t->traits.mistral != YES,
    };
    enum params_column column = w->t->traits.mistral == YES ? PARAMS_MISTRAL : PARAMS_OPENAI_CHAT;

    out_text(&w->o, "model", w->t->model);
    add_messages(w);
    add_tools(w);
    add_format(w);
    add_limits(w);
    params_write(&w->o, w->r, column, &rules);
    params_drop(w->r, PARAMS_BIT(column), &rules, w->drops);
    add_stop(w);
    add_effort(w);
    add_account(w);
    if (w->r->stream)
        out_bool(&w->o, "stream", true);
    if (w->r->stream && w->t->traits.no_stream_options != YES)
        out_const(&w->o, "\"stream_options\":{\"include_usage\":true}");
}

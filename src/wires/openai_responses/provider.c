/* provider.c - writes requests for providers of the Responses API.
 *
 * turns_plan() arranges the conversation; what it has in turns is written as items. Nothing is
 * stored at the provider: the whole conversation is sent each time, with the reasoning that the
 * provider's models encrypted.
 */
#include "llm/effort.h"
#include "llm/turns.h"
#include "llm/write.h"
#include "wires/openai_responses/responses.h"

enum {
    USER_MAX = 64,
    LIMIT_MIN = 16,    /* the API refuses shorter answers */
};

static const struct turn_rules turn_rules = {
    .ids = { .prefix = S_INIT("call_"), .most = 64 },
    .names = { .chars = IDS_WORD, .most = 64 },
    .origin = ORIGIN_OPENAI,
    .paired = true,
    .speaks = true,
};

/* --- content --- */

static void
add_text(struct json_out *o, struct str type, struct str text)
{
    out_object(o);
    out_text(o, "type", type);
    out_text(o, "text", text);
    out_end(o);
}

/* "data:mime;base64,..." */
static void
add_data(struct json_out *o, const struct llm_part *part)
{
    out_string(o);
    buf_add(o->b, S("data:"));
    out_piece(o, part->mime.n > 0 ? part->mime : S("application/octet-stream"));
    buf_add(o->b, S(";base64,"));
    out_piece(o, part->data);
    out_end_string(o);
}

static void
add_image(struct request_out *w, const struct llm_part *part)
{
    struct json_out *o = &w->o;

    out_object(o);
    out_const(o, "\"type\":\"input_image\"");
    if (part->data.n > 0) {
        out_key(o, "image_url");
        add_data(o, part);
    } else if (part->url.n > 0) {
        out_text(o, "image_url", part->url);
    } else if (w->r->wire == w->to) {
        out_text(o, "file_id", part->file_id);
    } else {
        write_refuse(w, ERR_UNSUPPORTED, "messages",
            "an image that is stored at another provider cannot be sent to this one");
    }
    out_text(o, "detail", part->detail.n > 0 ? part->detail : S("auto"));
    out_end(o);
}

static void
add_file(struct request_out *w, const struct llm_part *part)
{
    struct json_out *o = &w->o;

    out_object(o);
    out_const(o, "\"type\":\"input_file\"");
    if (part->data.n > 0) {
        out_text(o, "filename", part->name.n > 0 ? part->name : S("document.pdf"));
        out_key(o, "file_data");
        add_data(o, part);
    } else if (part->url.n > 0) {
        out_text(o, "file_url", part->url);
    } else if (w->r->wire == w->to) {
        out_text(o, "file_id", part->file_id);
    } else {
        write_refuse(w, ERR_UNSUPPORTED, "messages",
            "a document that is stored at another provider cannot be sent to this one");
    }
    out_end(o);
}

static void
add_audio(struct request_out *w, const struct llm_part *part)
{
    struct json_out *o = &w->o;
    struct str format = str_istarts(part->mime, S("audio/")) ? str_skip(part->mime, 6) : part->mime;

    if (part->data.n == 0)
        write_refuse(
            w, ERR_UNSUPPORTED, "messages", "audio can be sent to this provider only as bytes");
    out_object(o);
    out_const(o, "\"type\":\"input_audio\"");
    out_key_object(o, "input_audio");
    out_text(o, "data", part->data);
    out_text(o, "format", str_ieq(format, S("mpeg")) ? S("mp3") : format.n > 0 ? format : S("wav"));
    out_end(o);
    out_end(o);
}

/* A part of what the user, or a tool, says. */
static void
add_part(struct request_out *w, const struct llm_part *part)
{
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        add_text(&w->o, S("input_text"), part->text);
        break;
    case PART_IMAGE:
        add_image(w, part);
        break;
    case PART_FILE:
        add_file(w, part);
        break;
    case PART_AUDIO:
        add_audio(w, part);
        break;
    case PART_VIDEO:
        write_refuse(w, ERR_UNSUPPORTED, "messages", "video cannot be sent to this provider");
        break;
    default:
        break;
    }
}

/* --- items --- */

static bool
is_words(const struct turn_block *b)
{
    return b != NULL && (b->part->kind == PART_TEXT || b->part->kind == PART_REFUSAL);
}

/* A message of one side. Its blocks end at `end`. */
static void
add_message(struct request_out *w, struct str role, struct str type, const struct turn_block *b,
    const struct turn_block *end)
{
    struct json_out *o = &w->o;

    out_object(o);
    out_text(o, "role", role);
    if (b->next == end && is_words(b)) {
        out_text(o, "content", b->part->text);
    } else {
        out_key_array(o, "content");
        for (; b != end; b = b->next) {
            if (is_words(b))
                add_text(o, type, b->part->text);
            else
                add_part(w, b->part);
        }
        out_end_array(o);
    }
    out_end(o);
}

static void
add_call(struct request_out *w, const struct turn_block *b)
{
    struct json_out *o = &w->o;
    struct str args = b->part->args;

    out_object(o);
    if (b->part->custom)
        out_const(o, "\"type\":\"custom_tool_call\"");
    else
        out_const(o, "\"type\":\"function_call\"");
    out_text(o, "call_id", b->id);
    out_text(o, "name", b->name);
    if (b->part->custom)
        out_text(o, "input", args);
    else
        out_text(o, "arguments", str_trim(args).n > 0 ? args : S("{}"));
    out_end(o);
}

static void
add_result(struct request_out *w, const struct turn_block *b)
{
    struct json_out *o = &w->o;
    const struct llm_part *part = b->content;

    out_object(o);
    if (b->call != NULL && b->call->part->custom)
        out_const(o, "\"type\":\"custom_tool_call_output\"");
    else
        out_const(o, "\"type\":\"function_call_output\"");
    out_text(o, "call_id", b->id);
    if (part == NULL || (part->next == NULL && part->kind == PART_TEXT)) {
        out_text(o, "output", part != NULL ? part->text : S(""));
    } else {
        out_key_array(o, "output");
        for (; part != NULL; part = part->next)
            add_part(w, part);
        out_end_array(o);
    }
    out_end(o);
}

static void
add_reasoning(struct request_out *w, const struct llm_part *part)
{
    struct json_out *o = &w->o;

    out_object(o);
    out_const(o, "\"type\":\"reasoning\"");
    out_key_array(o, "summary");
    if (part->text.n > 0)
        add_text(o, S("summary_text"), part->text);
    out_end_array(o);
    out_text(o, "encrypted_content", part->signature.n > 0 ? part->signature : part->redacted);
    out_end(o);
}

static void
add_assistant(struct request_out *w, const struct turn *t)
{
    for (const struct turn_block *b = t->blocks.first, *end; b != NULL; b = end) {
        end = b->next;
        switch (b->part->kind) {
        case PART_TOOL_CALL:
            add_call(w, b);
            break;
        case PART_REASONING:
            add_reasoning(w, b->part);
            break;
        case PART_OPAQUE:
            out_raw_value(&w->o, json_raw(b->part->raw));
            break;
        default:
            while (is_words(end))
                end = end->next;
            add_message(w, S("assistant"), S("output_text"), b, end);
            break;
        }
    }
}

/* System text before the conversation, as one string. */
static void
add_instructions(struct request_out *w, const struct turn_block *b)
{
    if (b == NULL)
        return;
    out_key(&w->o, "instructions");
    out_string(&w->o);
    for (const struct turn_block *first = b; b != NULL; b = b->next) {
        if (b != first)
            out_piece(&w->o, S("\n"));
        out_piece(&w->o, b->part->text);
    }
    out_end_string(&w->o);
}

static void
add_input(struct request_out *w)
{
    struct turns turns;

    turns_plan(w->r, &turn_rules, w->drops, &turns);
    add_instructions(w, turns.system.first);
    out_key_array(&w->o, "input");
    for (const struct turn *t = turns.first; t != NULL; t = t->next) {
        for (const struct turn_block *b = t->results.first; b != NULL; b = b->next)
            add_result(w, b);
        if (t->blocks.first == NULL)
            continue;
        if (t->side == TURN_ASSISTANT)
            add_assistant(w, t);
        else
            add_message(w, t->side == TURN_USER ? S("user") : S("developer"), S("input_text"),
                t->blocks.first, NULL);
    }
    if (turns.first == NULL)    /* a user who says nothing */
        out_const(&w->o, "{\"role\":\"user\",\"content\":\"\"}");
    out_end_array(&w->o);
}

/* --- tools --- */

/* Unless it is told otherwise, the API demands that schemas are strict; those of other protocols are
 * not. */
static void
add_tool(struct request_out *w, const struct llm_tool *tool)
{
    struct json_out *o = &w->o;

    if (tool->raw != NULL) {
        out_raw_value(o, json_raw(tool->raw));
        return;
    }
    out_object(o);
    if (tool->custom)
        out_const(o, "\"type\":\"custom\"");
    else
        out_const(o, "\"type\":\"function\"");
    out_text(o, "name", turn_name(&turn_rules.names, w->r, w->drops, tool->name));
    out_text_if(o, "description", tool->description);
    if (!tool->custom) {
        out_raw(o, "parameters",
            tool->schema.n > 0 ? tool->schema : S("{\"type\":\"object\",\"properties\":{}}"));
        if (tool->strict != UNSAID || w->r->wire != w->to)
            out_bool(o, "strict", tool->strict == YES);
    }
    out_end(o);
}

/* Whether a free-form tool is meant. */
static bool
is_custom(const struct llm_request *r, struct str name)
{
    for (const struct llm_tool *tool = r->tools; tool != NULL; tool = tool->next)
        if (tool->custom && str_eq(tool->name, name))
            return true;
    return false;
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
    struct str name = w->r->choice_name;

    if (choice == CHOICE_NAMED) {
        out_key_object(&w->o, "tool_choice");
        out_text(&w->o, "type", is_custom(w->r, name) ? S("custom") : S("function"));
        out_text(&w->o, "name", turn_name(&turn_rules.names, w->r, w->drops, name));
        out_end(&w->o);
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
    if (w->r->parallel_tools == NO)
        out_const(&w->o, "\"parallel_tool_calls\":false");
}

/* --- parameters --- */

/* "text": {"format", "verbosity"} */
static void
add_text_options(struct request_out *w, const struct params_rules *rules)
{
    const struct llm_request *r = w->r;
    struct json_out *o = &w->o;
    bool formatted = r->format == FORMAT_JSON || r->format == FORMAT_SCHEMA;

    if (!formatted && r->verbosity == NULL)
        return;
    out_key_object(o, "text");
    if (r->format == FORMAT_JSON)
        out_const(o, "\"format\":{\"type\":\"json_object\"}");
    if (r->format == FORMAT_SCHEMA) {
        out_key_object(o, "format");
        out_const(o, "\"type\":\"json_schema\"");
        out_text(o, "name", r->schema_name.n > 0 ? r->schema_name : S("response"));
        out_text_if(o, "description", r->schema_description);
        out_raw(o, "schema", r->schema);
        out_bool(o, "strict", r->schema_strict == YES);
        out_end(o);
    }
    params_write(o, r, PARAMS_OPENAI_RESPONSES_TEXT, rules);
    out_end(o);
}

static bool
wants_logprobs(const struct request_out *w, const struct params_rules *rules)
{
    return json_is(w->r->logprobs, JSON_TRUE) && !rules->fixed_sampling;
}

/* What the answer shall have beyond the usual. */
static void
add_include(struct request_out *w, const struct params_rules *rules)
{
    bool reasons = w->t->traits.reasoning == YES;

    if (!reasons && !wants_logprobs(w, rules))
        return;
    out_key_array(&w->o, "include");
    if (reasons)
        out_text_value(&w->o, S("reasoning.encrypted_content"));
    if (wants_logprobs(w, rules))
        out_text_value(&w->o, S("message.output_text.logprobs"));
    out_end_array(&w->o);
}

/* Notes what is lost, to which log probabilities that are asked for by "include" do not belong. */
static void
note_dropped(struct request_out *w, const struct params_rules *rules)
{
    struct llm_request rest = *w->r;

    if (wants_logprobs(w, rules))
        rest.logprobs = NULL;
    params_drop(&rest,
        PARAMS_BIT(PARAMS_OPENAI_RESPONSES) | PARAMS_BIT(PARAMS_OPENAI_RESPONSES_TEXT), rules,
        w->drops);
}

static void
add_reasoning_options(struct request_out *w)
{
    const struct llm_request *r = w->r;
    bool reasons = w->t->traits.reasoning == YES;
    struct str effort = r->effort;

    if (effort.n == 0 && r->reasoning_budget > 0)
        effort = effort_word(r->reasoning_budget);
    if (effort.n == 0 && r->reasoning == NO)
        effort = S("none");
    if (str_eq(effort, S("max")))
        effort = S("xhigh");
    if (!reasons) {
        if (effort.n > 0 && !str_eq(effort, S("none")))
            write_drop(w, PARAM_effort);
        return;
    }
    if (effort.n > 0) {
        out_key_object(&w->o, "reasoning");
        out_text(&w->o, "effort", effort);
        out_end(&w->o);
    }
}

static void
add_account(struct request_out *w)
{
    struct str user = w->r->user;
    struct str tier = w->r->service_tier;

    if (user.n > USER_MAX)
        user = wire_hash_id(w->r->arena, user, S("user_"));
    out_text_if(&w->o, "safety_identifier", user);
    if (str_eq(tier, S("default")) || str_eq(tier, S("flex")) || str_eq(tier, S("priority")))
        out_text(&w->o, "service_tier", tier);
    else if (tier.n > 0 && !str_eq(tier, S("auto")))
        write_drop(w, PARAM_service_tier);
}

void
responses_write_request(struct request_out *w)
{
    const struct traits *traits = &w->t->traits;
    const struct params_rules rules = {
        .fixed_sampling = traits->sampling_fixed == YES ||
                          (traits->reasoning == YES && traits->sampling_fixed != NO),
    };
    int64_t limit = w->r->max_tokens;

    if (traits->max_output > 0)
        limit = MIN(limit, traits->max_output);
    out_text(&w->o, "model", w->t->model);
    add_input(w);
    add_tools(w);
    add_text_options(w, &rules);
    add_reasoning_options(w);
    if (w->r->op == OP_COUNT_TOKENS)
        return;
    add_include(w, &rules);
    if (limit > 0)
        out_i64(&w->o, "max_output_tokens", MAX(limit, LIMIT_MIN));
    for (const struct llm_word *word = w->r->stop; word != NULL; word = word->next)
        write_cut_stop(w, word->text);
    params_write(&w->o, w->r, PARAMS_OPENAI_RESPONSES, &rules);
    note_dropped(w, &rules);
    add_account(w);
    out_const(&w->o, "\"store\":false");
    if (w->r->stream)
        out_const(&w->o, "\"stream\":true");
}

/* provider.c - writes requests for providers that speak Cohere's v2 protocol.
 *
 * What differs from other protocols: no tool can be demanded by name, so the others are left out; JSON
 * is asked for by its schema alone, and not beside tools; what was thought before calls is their
 * `tool_plan` for models that do not reason.
 */
#include "llm/effort.h"
#include "llm/media.h"
#include "llm/schema.h"
#include "llm/turns.h"
#include "llm/write.h"
#include "wires/cohere/cohere.h"

enum { STOP_MAX = 5 };

/* --- messages --- */

static void
add_text(struct json_out *o, struct str text)
{
    out_object(o);
    out_const(o, "\"type\":\"text\"");
    out_text(o, "text", text);
    out_end(o);
}

static void
add_image(struct request_out *w, const struct llm_part *part)
{
    struct json_out *o = &w->o;

    if (part->file_id.n != 0)
        write_refuse(w, ERR_UNSUPPORTED, "messages",
            "an image that is stored at another provider cannot be sent to this one");
    out_object(o);
    out_const(o, "\"type\":\"image_url\"");
    out_key_object(o, "image_url");
    out_key(o, "url");
    if (part->data.n == 0) {
        out_text_value(o, part->url);
    } else {
        out_string(o);
        buf_add(o->b, S("data:"));
        out_piece(o, part->mime.n > 0 ? part->mime : S("image/png"));
        buf_add(o->b, S(";base64,"));
        out_piece(o, part->data);
        out_end_string(o);
    }
    out_text_if(o, "detail", part->detail);
    out_end(o);
    out_end(o);
}

/* A part of a message; a text file is sent as text. */
static void
add_part(struct request_out *w, const struct llm_part *part)
{
    if (part->kind == PART_TEXT || part->kind == PART_REFUSAL)
        add_text(&w->o, part->text);
    else if (part->kind == PART_IMAGE)
        add_image(w, part);
    else if (media_is(part->kind) && part->data.n != 0 && media_is_text(part->mime))
        add_text(&w->o, write_file_text(w, part));
    else if (media_is(part->kind))
        write_refuse(w, ERR_UNSUPPORTED, "messages", "this provider takes text and images only");
}

static bool
is_content(const struct llm_part *part)
{
    return part->kind == PART_TEXT || part->kind == PART_REFUSAL || media_is(part->kind);
}

/* The one text that a message is written as a string for; NULL if it has other content, or none. */
static const struct llm_part *
only_text(const struct turn_block *blocks)
{
    const struct llm_part *only = NULL;

    for (const struct turn_block *b = blocks; b != NULL; b = b->next) {
        if (b->part->kind == PART_TOOL_CALL)
            continue;
        if (only != NULL || (b->part->kind != PART_TEXT && b->part->kind != PART_REFUSAL))
            return NULL;
        only = b->part;
    }
    return only;
}

/* "content" of blocks, calls aside; `thinks`: reasoning is content, too. */
static void
add_content(struct request_out *w, const struct turn_block *blocks, bool thinks)
{
    struct json_out *o = &w->o;
    const struct llm_part *only = only_text(blocks);
    bool any = false;

    if (only != NULL) {
        out_text(o, "content", only->text);
        return;
    }
    for (const struct turn_block *b = blocks; b != NULL; b = b->next) {
        bool thought = b->part->kind == PART_REASONING && thinks;

        if (!thought && !is_content(b->part))
            continue;
        if (!any)
            out_key_array(o, "content");
        any = true;
        if (!thought) {
            add_part(w, b->part);
            continue;
        }
        out_object(o);
        out_const(o, "\"type\":\"thinking\"");
        out_text(o, "thinking", b->part->text);
        out_end(o);
    }
    if (any)
        out_end_array(o);
}

static void
add_plan(struct request_out *w, const struct turn_block *blocks)
{
    bool any = false;

    for (const struct turn_block *b = blocks; b != NULL; b = b->next) {
        if (b->part->kind != PART_REASONING)
            continue;
        if (!any) {
            out_key(&w->o, "tool_plan");
            out_string(&w->o);
        } else {
            out_piece(&w->o, S("\n\n"));
        }
        any = true;
        out_piece(&w->o, b->part->text);
    }
    if (any)
        out_end_string(&w->o);
}

static void
add_calls(struct request_out *w, const struct turn_block *blocks)
{
    struct json_out *o = &w->o;

    out_key_array(o, "tool_calls");
    for (const struct turn_block *b = blocks; b != NULL; b = b->next) {
        if (b->part->kind != PART_TOOL_CALL)
            continue;
        out_object(o);
        out_text(o, "id", b->id);
        out_const(o, "\"type\":\"function\"");
        out_key_object(o, "function");
        out_text(o, "name", b->part->name);
        if (b->part->custom) {    /* free-form text, which {"input":...} stands for */
            struct buf args;
            struct json_out in;

            buf_init(&args, SIZE_MAX);
            in = json_out(&args);
            if (!write_arguments(&in, w->a, b->part->args, true, NULL))
                o->b->overflow = true;    /* as if it had no room for the call */
            out_text(o, "arguments", buf_str(&args));
            buf_fini(&args);
        } else {
            out_text(o, "arguments", b->part->args.n != 0 ? b->part->args : S("{}"));
        }
        out_end(o);
        out_end(o);
    }
    out_end_array(o);
}

static void
add_result(struct request_out *w, const struct turn_block *b)
{
    struct json_out *o = &w->o;
    const struct llm_part *only = NULL;
    unsigned texts = 0;

    for (const struct llm_part *part = b->content; part != NULL; part = part->next)
        if (part->kind == PART_TEXT) {
            only = part;
            texts++;
        }
    out_object(o);
    out_const(o, "\"role\":\"tool\"");
    out_text(o, "tool_call_id", b->id);
    if (texts <= 1) {
        out_text(o, "content", only != NULL ? only->text : S(""));
    } else {    /* media follow as the user's */
        out_key_array(o, "content");
        for (const struct llm_part *part = b->content; part != NULL; part = part->next)
            if (part->kind == PART_TEXT)
                add_text(o, part->text);
        out_end_array(o);
    }
    out_end(o);
}

static void
add_turn(struct request_out *w, const struct turn *turn, bool thinks)
{
    static const char *const roles[] = {
        [TURN_USER] = "user", [TURN_ASSISTANT] = "assistant", [TURN_SYSTEM] = "system"
    };

    for (const struct turn_block *b = turn->results.first; b != NULL; b = b->next)
        add_result(w, b);
    if (turn->blocks.first == NULL)
        return;
    out_object(&w->o);
    out_text(&w->o, "role", str_c(roles[turn->side]));
    if (turn->calls && !thinks)
        add_plan(w, turn->blocks.first);
    add_content(w, turn->blocks.first, thinks);
    if (turn->calls)
        add_calls(w, turn->blocks.first);
    out_end(&w->o);
}

static void
add_messages(struct request_out *w)
{
    bool thinks = w->t->traits.reasoning == YES;
    const struct turn_rules rules = {
        .ids = { .prefix = S("call_"), .least = 1, .most = 256 },
        .paired = true,
        .results_text = true,
        .speaks = true,
        .thoughts = true,
        .system_first = w->t->traits.system_first == YES,
        .no_prefill = w->t->traits.no_prefill == YES,
    };
    struct turns turns;

    turns_plan(w->r, &rules, w->drops, &turns);
    out_key_array(&w->o, "messages");
    if (turns.system.first != NULL) {
        out_object(&w->o);
        out_const(&w->o, "\"role\":\"system\"");
        add_content(w, turns.system.first, false);
        out_end(&w->o);
    }
    for (const struct turn *turn = turns.first; turn != NULL; turn = turn->next)
        add_turn(w, turn, thinks);
    if (turns.first == NULL && w->r->messages != NULL)    /* a user who says nothing */
        out_raw_value(&w->o, S("{\"role\":\"user\",\"content\":\"\"}"));
    out_end_array(&w->o);
}

/* --- tools --- */

/* Its tools are all strict or none is, and a strict one needs a required parameter. */
static bool
may_be_strict(struct request_out *w, const struct llm_tool *tool)
{
    struct arena_mark mark = arena_mark(w->a);
    const struct json *schema = json_parse(w->a, tool->schema, NULL, NULL);
    bool required = json_count(json_get(schema, S("required"))) > 0;

    arena_rewind(w->a, mark);
    return tool->strict == YES && required;
}

static bool
is_offered(const struct request_out *w, enum llm_choice choice, const struct llm_tool *tool)
{
    return choice != CHOICE_NAMED || str_eq(tool->name, w->r->choice_name);
}

static void
add_tool(struct request_out *w, const struct llm_tool *tool)
{
    static const struct schema_rules rules = { .typed = true };
    struct json_out *o = &w->o;

    out_object(o);
    out_const(o, "\"type\":\"function\"");
    out_key_object(o, "function");
    out_text(o, "name", tool->name);
    out_text_if(o, "description", tool->description);
    out_key(o, "parameters");
    if (!write_schema(w, "tools", tool->schema, &rules))
        write_refuse(w, ERR_BAD_REQUEST, "tools", "the parameters of '%.*s' must be a JSON object",
            (int)MIN(tool->name.n, 128), tool->name.p);
    out_end(o);
    out_end(o);
}

/* Whether there is a tool to call. A tool that must be called is the only one offered. */
static bool
add_tools(struct request_out *w)
{
    const struct llm_request *r = w->r;
    enum llm_choice choice = write_choice(w);
    bool any = false;
    bool strict = true;
    bool asked = false;

    if (choice == CHOICE_NONE && r->format != FORMAT_UNSET && r->format != FORMAT_TEXT)
        return false;    /* see add_format() */
    for (const struct llm_tool *tool = r->tools; tool != NULL; tool = tool->next) {
        if (!is_offered(w, choice, tool) || !write_may_declare(w, tool))
            continue;
        if (!any)
            out_key_array(&w->o, "tools");
        any = true;
        add_tool(w, tool);
        asked = asked || tool->strict == YES;
        strict = strict && may_be_strict(w, tool);
    }
    if (!any)
        return false;
    out_end_array(&w->o);
    if (strict)
        out_bool(&w->o, "strict_tools", true);
    else if (asked)
        wire_drop(w->drops, S("tools.strict"));
    if (choice == CHOICE_REQUIRED || choice == CHOICE_NAMED)
        out_text(&w->o, "tool_choice", S("REQUIRED"));
    else if (choice == CHOICE_NONE)
        out_text(&w->o, "tool_choice", S("NONE"));
    return true;
}

/* --- the form of the answer, and how much it is thought about --- */

/* JSON can be asked for, but not beside tools. */
static void
add_format(struct request_out *w, bool tools)
{
    static const struct schema_keyword refused[] = {
        { .name = S_INIT("minimum") },
        { .name = S_INIT("maximum") },
        { .name = S_INIT("exclusiveMinimum") },
        { .name = S_INIT("exclusiveMaximum") },
        { .name = S_INIT("multipleOf") },
        { .name = S_INIT("minLength") },
        { .name = S_INIT("maxLength") },
        { .name = S_INIT("minItems") },
        { .name = S_INIT("maxItems") },
        { .name = S_INIT("uniqueItems") },
        { .name = S_INIT("") },
    };
    const struct llm_request *r = w->r;
    struct schema_rules rules = { .typed = true,
        .refused = w->t->traits.schema_limits == YES ? NULL : refused };
    const char *param = param_callers_name(r, PARAM_format);

    if (r->format != FORMAT_JSON && r->format != FORMAT_SCHEMA)
        return;
    if (tools) {
        write_drop(w, PARAM_format);
        return;
    }
    out_key_object(&w->o, "response_format");
    out_const(&w->o, "\"type\":\"json_object\"");
    if (r->format == FORMAT_SCHEMA && r->schema.n > 0) {
        out_key(&w->o, "json_schema");
        if (!write_schema(w, param, r->schema, &rules))
            write_refuse(w, ERR_BAD_REQUEST, param, "the schema must be a JSON Schema object");
    }
    out_end(&w->o);
}

/* A model that cannot think must not be asked to, nor told not to. */
static void
add_thinking(struct request_out *w, int64_t max_tokens)
{
    const struct llm_request *r = w->r;
    int64_t budget = r->reasoning == NO        ? 0
                     : r->reasoning_budget > 0 ? r->reasoning_budget
                     : r->effort.n > 0         ? effort_budget(r->effort)
                                               : -1;

    if (budget < 0 ? r->effort.n > 0 : budget > 0 && w->t->traits.reasoning != YES) {
        write_drop(w, PARAM_effort);
    } else if (budget >= 0 && w->t->traits.reasoning == YES) {
        out_key_object(&w->o, "thinking");
        out_text(&w->o, "type", budget == 0 ? S("disabled") : S("enabled"));
        if (budget > 0)    /* something must be left for the answer */
            out_i64(&w->o, "token_budget",
                max_tokens > 0 ? MAX(MIN(budget, max_tokens / 2), 1) : budget);
        out_end(&w->o);
    }
}

static void
add_stop(struct request_out *w)
{
    unsigned n = 0;

    for (const struct llm_word *word = w->r->stop; word != NULL; word = word->next, n++) {
        if (n == STOP_MAX) {
            write_drop(w, PARAM_stop);
            break;
        }
        if (n == 0)
            out_key_array(&w->o, "stop_sequences");
        out_text_value(&w->o, word->text);
    }
    if (n != 0)
        out_end_array(&w->o);
}

/* --- the whole --- */

static void
write_request_of(struct request_out *w)
{
    const struct llm_request *r = w->r;
    int64_t limit = w->t->traits.max_output;
    int64_t max_tokens = r->max_tokens > 0 && limit > 0 ? MIN(r->max_tokens, limit) : r->max_tokens;
    struct params_rules rules = {
        .fixed_sampling = w->t->traits.sampling_fixed == YES,
        .core_only = w->t->traits.strict_keys == YES,
    };
    bool tools;

    out_text(&w->o, "model", w->t->model);
    out_bool(&w->o, "stream", r->stream);
    add_messages(w);
    tools = add_tools(w);
    add_format(w, tools);
    add_thinking(w, max_tokens);
    if (max_tokens > 0)
        out_i64(&w->o, "max_tokens", max_tokens);
    add_stop(w);
    params_write(&w->o, r, PARAMS_COHERE, &rules);
    params_drop(r, PARAMS_BIT(PARAMS_COHERE), &rules, w->drops);
}

static void
write_path(struct buf *out, const struct llm_request *r, const struct wire_target *t UNUSED)
{
    buf_add(out, r->op == OP_CHAT     ? S("/chat")
                 : r->op == OP_EMBED  ? S("/embed")
                 : r->op == OP_RERANK ? S("/rerank")
                                      : r->path);
}

static void
read_error(struct arena *a, int status, struct str body, struct llm_error *ret)
{
    fail_read(a, &cohere_fail_words, status, body, ret);
    if (status == 498)    /* the prompt or the answer was blocked */
        ret->kind = ERR_CONTENT_FILTER;
}

static const char *const limits[] = { "max_tokens", NULL };

const struct wire_provider cohere_provider = {
    .ops = OP_BIT(OP_CHAT) | OP_BIT(OP_EMBED) | OP_BIT(OP_RERANK) | OP_BIT(OP_RELAY),
    .write_path = write_path,
    .base = S_INIT("/v2"),
    .models_path = S_INIT("/models?page_size=1000"),
    .models_base = S_INIT("/v1"),
    .translates = OP_BIT(OP_CHAT),
    .places = { .params = PARAMS_COHERE, .limits = limits },
    .write_request = write_request_of,
    .writes = { [OP_EMBED] = cohere_write_embed, [OP_RERANK] = cohere_write_rerank },
    .reads = { [OP_EMBED] = cohere_read_embed, [OP_RERANK] = cohere_read_rerank },
    .rewrites = cohere_rewrites,
    .read_event = cohere_read_event,
    .read_end = cohere_read_end,
    .read_answer = cohere_read_answer,
    .read_error = read_error,
    .key = S_INIT("Authorization: Bearer "),
};

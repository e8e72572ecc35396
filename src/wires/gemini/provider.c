/* provider.c - writes requests for a provider that speaks generateContent.
 *
 * The model and whether the answer is a stream are named in the path. Results of calls stand together
 * in the turn after them, in the order of the calls, each with the name of its call. Schemas go where
 * JSON Schemas may go, which the older place for them refuses.
 */
#include "base/url.h"
#include "llm/effort.h"
#include "llm/media.h"
#include "llm/schema.h"
#include "llm/turns.h"
#include "llm/write.h"
#include "wires/gemini/gemini.h"

enum {
    STOPS_MAX = 5,
    BUDGET_MOST = 24576,
    BUDGET_MOST_PRO = 32768,
    BUDGET_LEAST_PRO = 128,
    BUDGET_LEAST_LITE = 512,
};

/* Stands for the signature of a call that has none, which newer models would refuse. Google's own. */
#define NO_SIGNATURE "skip_thought_signature_validator"

static const struct turn_ids names = { .chars = IDS_WORD, .most = 64 };

/* --- what the model is --- */

static bool
has(const struct wire_target *t, const char *part)
{
    return str_find(t->model, str_c(part)) < t->model.n;
}

/* Models before the third generation think by a budget, and need no signatures. */
static bool
is_older(const struct wire_target *t)
{
    return t->traits.thinking != 0 ? t->traits.thinking == THINKS_BY_BUDGET
                                   : has(t, "gemini-2") || has(t, "gemini-1");
}

static bool
is_pro(const struct wire_target *t)
{
    return has(t, "pro") && !has(t, "flash");
}

static bool
cannot_think(const struct wire_target *t)
{
    return t->traits.reasoning == NO || has(t, "gemini-2.0") || has(t, "gemini-1");
}

/* --- parts --- */

static void
add_text(struct json_out *o, struct str text, struct str signature)
{
    out_object(o);
    out_text(o, "text", text);
    out_text_if(o, "thoughtSignature", signature);
    out_end(o);
}

/* The type of what is only known by its URL. */
static struct str
mime_of(const struct llm_part *part)
{
    if (part->mime.n > 0)
        return part->mime;
    switch (part->kind) {
    case PART_IMAGE:
        return S("image/jpeg");
    case PART_AUDIO:
        return S("audio/mpeg");
    case PART_VIDEO:
        return S("video/mp4");
    default:
        return S("application/pdf");
    }
}

static void
add_media(struct request_out *w, const struct llm_part *part)
{
    struct json_out *o = &w->o;

    out_object(o);
    if (part->data.n > 0) {
        out_key_object(o, "inlineData");
        out_text(o, "mimeType", part->mime.n > 0 ? part->mime : mime_of(part));
        out_text(o, "data", part->data);
    } else {
        if (part->url.n == 0)
            write_refuse(w, ERR_UNSUPPORTED, "messages",
                "a file that is stored at another provider cannot be sent to this one");
        out_key_object(o, "fileData");
        out_text(o, "mimeType", mime_of(part));
        out_text(o, "fileUri", part->url);
    }
    out_end(o);
    out_end(o);
}

static void
add_call(struct request_out *w, const struct turn_block *b, bool first)
{
    struct json_out *o = &w->o;
    struct str signature = b->part->signature;

    if (signature.n == 0 && first && !is_older(w->t))
        signature = S(NO_SIGNATURE);
    out_object(o);
    out_key_object(o, "functionCall");
    out_text_if(o, "id", b->id);
    out_text(o, "name", b->name);
    out_key(o, "args");
    if (!write_arguments(o, w->a, b->part->args, b->part->custom, NULL))
        o->b->overflow = true;    /* as if it had no room for the call */
    out_end(o);
    out_text_if(o, "thoughtSignature", signature);
    out_end(o);
}

/* The text of a result, from its pieces. */
static struct str
joined(struct request_out *w, const struct llm_part *content)
{
    struct str all = S("");
    bool first = true;

    if (content != NULL && content->next == NULL && content->kind == PART_TEXT)
        return content->text;
    for (; content != NULL; content = content->next) {
        if (content->kind != PART_TEXT)
            continue;
        if ((!first && !arena_append(w->a, &all, S("\n"))) ||
            !arena_append(w->a, &all, content->text))
            write_refuse(w, ERR_TOO_LARGE, "", "the request is too large to be translated");
        first = false;
    }
    return all;
}

/* Would an object read as what stands for a text, or an error? */
static bool
is_wrapper(const struct json *doc)
{
    return json_count(doc) == 1 &&
           (json_get(doc, S("result")) != NULL || json_get(doc, S("error")) != NULL);
}

/* A result is an object: what is one already, or a text under a name. */
static void
add_response(struct request_out *w, const struct turn_block *b)
{
    struct json_out *o = &w->o;
    bool failed = b->part == NULL || b->part->is_error;
    struct str text = joined(w, b->content);
    struct arena_mark mark = arena_mark(w->a);
    const struct json *doc =
        !failed && str_starts(str_trim(text), S("{")) ? json_parse(w->a, text, NULL, NULL) : NULL;

    if (json_is(doc, JSON_OBJECT) && !is_wrapper(doc)) {
        out_raw(o, "response", text);
    } else {
        out_key_object(o, "response");
        if (failed)
            out_text(o, "error", text);
        else
            out_text(o, "result", text);
        out_end(o);
    }
    if (w->err == OK)    /* else the refusal is in the arena */
        arena_rewind(w->a, mark);
}

static void
add_result(struct request_out *w, const struct turn_block *b)
{
    struct json_out *o = &w->o;
    bool media = false;

    out_object(o);
    out_key_object(o, "functionResponse");
    out_text_if(o, "id", b->id);
    out_text(o, "name", b->call != NULL ? b->call->name : S("unknown"));
    add_response(w, b);
    for (const struct llm_part *in = is_older(w->t) ? NULL : b->content; in != NULL;
         in = in->next) {
        if (!media_is(in->kind))
            continue;
        if (!media)
            out_key_array(o, "parts");
        media = true;
        add_media(w, in);
    }
    if (media)
        out_end_array(o);
    out_end(o);
    out_end(o);
}

/* --- turns --- */

/* A signature of what was said belongs to the text after it; one that comes last has a part of its
 * own, as in the streams that it came from. */
static void
add_assistant(struct request_out *w, const struct turn *t)
{
    struct str signature = S("");
    bool called = false;

    for (const struct turn_block *b = t->blocks.first; b != NULL; b = b->next) {
        const struct llm_part *part = b->part;

        switch (part->kind) {
        case PART_TOOL_CALL:
            add_call(w, b, !called);
            called = true;
            break;
        case PART_REASONING:
            if (part->text.n == 0) {
                signature = part->signature;
                break;
            }
            out_object(&w->o);
            out_text(&w->o, "text", part->text);
            out_const(&w->o, "\"thought\":true");
            out_text_if(&w->o, "thoughtSignature", part->signature);
            out_end(&w->o);
            break;
        case PART_OPAQUE:
            out_raw_value(&w->o, json_raw(part->raw));
            break;
        default:
            add_text(&w->o, part->text, signature);
            signature = S("");
            break;
        }
    }
    if (signature.n > 0)
        add_text(&w->o, S(""), signature);
}

static void
add_user(struct request_out *w, const struct turn *t)
{
    for (const struct turn_block *b = t->results.first; b != NULL; b = b->next)
        add_result(w, b);
    for (const struct turn_block *b = t->blocks.first; b != NULL; b = b->next) {
        if (media_is(b->part->kind))
            add_media(w, b->part);
        else if (b->part->kind == PART_OPAQUE)
            out_raw_value(&w->o, json_raw(b->part->raw));
        else
            add_text(&w->o, b->part->text, S(""));
    }
}

static void
add_said(struct request_out *w, struct str text)
{
    out_object(&w->o);
    out_const(&w->o, "\"role\":\"user\"");
    out_key_array(&w->o, "parts");
    add_text(&w->o, text, S(""));
    out_end_array(&w->o);
    out_end(&w->o);
}

static void
add_contents(struct request_out *w)
{
    const struct turn_rules rules = {
        .ids = { .prefix = S("call_"), .chars = IDS_WORD, .most = 128 },
        .names = names,
        .origin = ORIGIN_GEMINI,
        .blocks = ORIGIN_GEMINI,
        .alternate = true,
        .system_first = true,
        .paired = true,
        .no_blanks = true,
        .fails = true,
        .results_text = is_older(w->t),
        .no_prefill = w->t->traits.no_prefill == YES,
    };
    struct turns turns;

    turns_plan(w->r, &rules, w->drops, &turns);
    if (turns.system.first != NULL) {
        out_key_object(&w->o, "systemInstruction");
        out_key_array(&w->o, "parts");
        for (const struct turn_block *b = turns.system.first; b != NULL; b = b->next)
            add_text(&w->o, b->part->text, S(""));
        out_end_array(&w->o);
        out_end(&w->o);
    }
    out_key_array(&w->o, "contents");
    if (turns.first == NULL)    /* a user who says nothing */
        add_said(w, S(" "));
    else if (turns.first->side == TURN_ASSISTANT)
        add_said(w, S(TURN_OPENING));
    for (const struct turn *t = turns.first; t != NULL; t = t->next) {
        bool assistant = t->side == TURN_ASSISTANT;

        out_object(&w->o);
        out_text(&w->o, "role", assistant ? S("model") : S("user"));
        out_key_array(&w->o, "parts");
        if (assistant)
            add_assistant(w, t);
        else
            add_user(w, t);
        out_end_array(&w->o);
        out_end(&w->o);
    }
    out_end_array(&w->o);
}

/* --- tools --- */

static const struct schema_keyword refused[] = {
    { .name = S_INIT("$schema"), .annotates = true },
    { .name = S_INIT("const"), .listed = S_INIT("enum") },
    { .name = S_INIT("discriminator"), .annotates = true },
    { .name = S_INIT("examples"), .annotates = true },
    { .name = S_INIT("exclusiveMinimum") },
    { .name = S_INIT("exclusiveMaximum") },
    { .name = S_INIT("multipleOf") },
    { .name = S_INIT("uniqueItems") },
    { .name = S_INIT("contains") },
    { .name = S_INIT("patternProperties") },
    { .name = S_INIT("propertyNames") },
    { .name = S_INIT("unevaluatedProperties") },
    { .name = S_INIT("unevaluatedItems") },
    { .name = S_INIT("dependentSchemas") },
    { .name = S_INIT("dependentRequired") },
    { .name = S_INIT("contentEncoding") },
    { .name = S_INIT("contentMediaType") },
    { .name = S_INIT("not") },
    { .name = S_INIT("if") },
    { .name = S_INIT("then") },
    { .name = S_INIT("else") },
    { .name = S_INIT("") },
};

static void
add_tool(struct request_out *w, const struct llm_tool *tool)
{
    const struct schema_rules rules = { .typed = true, .refused = refused };

    out_object(&w->o);
    out_text(&w->o, "name", turn_name(&names, w->r, w->drops, tool->name));
    out_text_if(&w->o, "description", tool->description);
    if (str_trim(tool->schema).n > 0 && !str_eq(tool->schema, S("null"))) {
        out_key(&w->o, "parametersJsonSchema");
        if (!write_schema(w, "tools", tool->schema, &rules))
            write_refuse(w, ERR_BAD_REQUEST, "tools",
                "the parameters of '%.*s' must be a JSON object", (int)MIN(tool->name.n, 128),
                tool->name.p);
    }
    out_end(&w->o);
    if (tool->strict == YES)
        wire_drop(w->drops, S("tools.strict"));
}

static void
add_tool_choice(struct request_out *w)
{
    static const struct str modes[] = {
        [CHOICE_AUTO] = S_INIT("AUTO"),
        [CHOICE_NONE] = S_INIT("NONE"),
        [CHOICE_REQUIRED] = S_INIT("ANY"),
        [CHOICE_NAMED] = S_INIT("ANY"),
    };
    enum llm_choice choice = write_choice(w);

    if (choice == CHOICE_UNSET)
        return;
    out_key_object(&w->o, "toolConfig");
    out_key_object(&w->o, "functionCallingConfig");
    out_text(&w->o, "mode", modes[choice]);
    if (choice == CHOICE_NAMED) {
        out_key_array(&w->o, "allowedFunctionNames");
        out_text_value(&w->o, turn_name(&names, w->r, w->drops, w->r->choice_name));
        out_end_array(&w->o);
    }
    out_end(&w->o);
    out_end(&w->o);
}

/* Does another list begin after this function, or none? */
static bool
is_last_function(const struct request_out *w, const struct llm_tool *tool)
{
    const struct llm_tool *next = tool->next;

    while (next != NULL && next->raw != NULL && w->r->wire != w->to)
        next = next->next;    /* is not sent */
    return next == NULL || next->raw != NULL;
}

static void
add_tools(struct request_out *w)
{
    bool any = false;
    unsigned functions = 0;    /* in the open list */

    for (const struct llm_tool *tool = w->r->tools; tool != NULL; tool = tool->next) {
        if (!write_may_declare(w, tool))
            continue;
        if (!any)
            out_key_array(&w->o, "tools");
        any = true;
        if (tool->raw != NULL) {    /* one that the provider runs */
            out_object(&w->o);
            out_key_str(&w->o, tool->name);
            out_raw_value(&w->o, json_raw(tool->raw));
            out_end(&w->o);
            continue;
        }
        if (functions++ == 0) {
            out_object(&w->o);
            out_key_array(&w->o, "functionDeclarations");
        }
        add_tool(w, tool);
        if (is_last_function(w, tool)) {
            functions = 0;
            out_end_array(&w->o);
            out_end(&w->o);
        }
    }
    if (!any)
        return;
    out_end_array(&w->o);
    add_tool_choice(w);
}

/* --- parameters --- */

/* Each level that all models have which can be told to think so. */
static struct str
level_for(const struct wire_target *t, int64_t budget)
{
    struct str word = effort_word(budget);

    if (budget <= 0)    /* there is no less */
        return is_pro(t) ? S("low") : S("minimal");
    return str_eq(word, S("xhigh")) ? S("high") : word;
}

static int64_t
budget_for(const struct wire_target *t, int64_t budget, int64_t max_tokens)
{
    int64_t most = is_pro(t) ? BUDGET_MOST_PRO : BUDGET_MOST;
    int64_t least = is_pro(t) ? BUDGET_LEAST_PRO : has(t, "lite") ? BUDGET_LEAST_LITE : 0;

    if (budget <= 0)
        return is_pro(t) ? least : 0;
    if (max_tokens > 0)    /* thoughts count against it: a quarter is left for the answer */
        most = MIN(most, max_tokens - max_tokens / 4);
    return MAX(MIN(budget, most), least);
}

static void
add_thinking(struct request_out *w)
{
    const struct llm_request *r = w->r;
    int64_t budget = r->reasoning == NO        ? 0
                     : r->effort.n > 0         ? effort_budget(r->effort)
                     : r->reasoning_budget > 0 ? r->reasoning_budget
                                               : -1;

    if (budget < 0 || cannot_think(w->t)) {
        if (r->effort.n > 0 || budget > 0)
            write_drop(w, PARAM_effort);
        return;
    }
    out_key_object(&w->o, "thinkingConfig");
    if (is_older(w->t))
        out_i64(&w->o, "thinkingBudget", budget_for(w->t, budget, r->max_tokens));
    else if (str_eq(r->effort, S("minimal")) && !is_pro(w->t))
        out_const(&w->o, "\"thinkingLevel\":\"minimal\"");
    else
        out_text(&w->o, "thinkingLevel", level_for(w->t, budget));
    if (budget > 0)
        out_const(&w->o, "\"includeThoughts\":true");
    out_end(&w->o);
}

static void
add_stop(struct request_out *w)
{
    unsigned n = 0;

    for (const struct llm_word *s = w->r->stop; s != NULL; s = s->next) {
        if (s->text.n == 0 || n == STOPS_MAX) {
            write_drop(w, PARAM_stop);
            continue;
        }
        if (n++ == 0)
            out_key_array(&w->o, "stopSequences");
        out_text_value(&w->o, s->text);
    }
    if (n > 0)
        out_end_array(&w->o);
}

static void
add_format(struct request_out *w)
{
    const struct llm_request *r = w->r;
    const char *param = param_callers_name(r, PARAM_format);
    const struct schema_rules rules = { .refused = refused };

    if (r->format == FORMAT_JSON || r->format == FORMAT_SCHEMA)
        out_const(&w->o, "\"responseMimeType\":\"application/json\"");
    if (r->format != FORMAT_SCHEMA || r->schema.n == 0)
        return;
    out_key(&w->o, "responseJsonSchema");
    if (!write_schema(w, param, r->schema, &rules))
        write_refuse(w, ERR_BAD_REQUEST, param, "the schema must be a JSON Schema object");
}

/* A penalty of 0 asks for nothing, and many models refuse them. */
static uint32_t
void_penalties(const struct llm_request *r)
{
    uint32_t refuse = 0;

    if (r->presence_penalty != NULL && !(json_f64(r->presence_penalty, 0) < 0) &&
        !(json_f64(r->presence_penalty, 0) > 0))
        refuse |= PARAM_BIT(presence_penalty);
    if (r->frequency_penalty != NULL && !(json_f64(r->frequency_penalty, 0) < 0) &&
        !(json_f64(r->frequency_penalty, 0) > 0))
        refuse |= PARAM_BIT(frequency_penalty);
    return refuse;
}

static void
add_config(struct request_out *w)
{
    const struct llm_request *r = w->r;
    int64_t limit = w->t->traits.max_output;
    const struct params_rules rules = { .fixed_sampling = w->t->traits.sampling_fixed == YES,
        .refused = void_penalties(r) };
    struct json_out before = w->o;
    size_t at = buf_len(w->o.b);

    out_key_object(&w->o, "generationConfig");
    params_write(&w->o, r, PARAMS_GEMINI_CONFIG, &rules);
    params_drop(r, PARAMS_BIT(PARAMS_GEMINI) | PARAMS_BIT(PARAMS_GEMINI_CONFIG), &rules, w->drops);
    if (r->n > 1)
        out_i64(&w->o, "candidateCount", r->n);
    if (r->max_tokens > 0)
        out_i64(&w->o, "maxOutputTokens", limit > 0 ? MIN(r->max_tokens, limit) : r->max_tokens);
    add_stop(w);
    add_format(w);
    add_thinking(w);
    if (w->o.comma) {
        out_end(&w->o);
    } else {
        bool lost = w->o.b->overflow;    /* something before it was */

        buf_truncate(w->o.b, at);
        w->o.b->overflow = lost;
        w->o = before;
    }
}

/* --- the whole --- */

/* "models/x" and "x" are the same. */
static struct str
bare_model(const struct wire_target *t)
{
    return str_starts(t->model, S("models/")) ? str_skip(t->model, 7) : t->model;
}

static void
write_content_request(struct request_out *w)
{
    bool count = w->r->op == OP_COUNT_TOKENS;

    if (count) {    /* elsewhere in its document, only the contents are counted */
        out_key_object(&w->o, "generateContentRequest");
        out_key(&w->o, "model");
        out_string(&w->o);
        buf_add(w->o.b, S("models/"));
        out_piece(&w->o, bare_model(w->t));
        out_end_string(&w->o);
    }
    add_contents(w);
    add_tools(w);
    if (count) {
        out_end(&w->o);
        return;
    }
    add_config(w);
    if (str_eq(w->r->service_tier, S("flex")) || str_eq(w->r->service_tier, S("priority")))
        out_text(&w->o, "serviceTier", w->r->service_tier);
    else if (w->r->service_tier.n > 0 && !str_eq(w->r->service_tier, S("auto")) &&
             !str_eq(w->r->service_tier, S("default")))
        write_drop(w, PARAM_service_tier);
}

/* --- a request that is passed through --- */

/* Thoughts of other makers' models, with sealed signatures: we wrote them. */
static bool
is_foreign_part(const void *arg UNUSED, const struct json *key UNUSED, const struct json *part)
{
    return gemini_is_foreign(gemini_get(part, "thoughtSignature", "thought_signature")) &&
           json_get(part, S("text")) != NULL;
}

static void
cut_parts(struct wire_rewrite *w, const void *arg, const struct json *key UNUSED,
    const struct json *content)
{
    const struct json *parts = json_get(content, S("parts"));

    if (json_is(parts, JSON_ARRAY))
        wire_rewrite_cut(w, parts, is_foreign_part, NULL, arg);
}

static bool
is_foreign_content(const void *arg, const struct json *key, const struct json *content)
{
    const struct json *parts = json_get(content, S("parts"));
    struct json_iter it = json_iter(parts);

    while (json_next(&it))
        if (!is_foreign_part(arg, key, it.value))
            return false;
    return json_is(parts, JSON_ARRAY) && !json_is_empty(parts);
}

static void
edit_request(
    const struct llm_request *r, const struct wire_target *t UNUSED, struct wire_edits *edits)
{
    const struct json *contents = json_get(r->doc, S("contents"));
    struct wire_rewrite w;

    if (!json_is(contents, JSON_ARRAY))
        return;
    wire_rewrite_begin(&w, contents);
    wire_rewrite_cut(&w, contents, is_foreign_content, cut_parts, NULL);
    wire_rewrite_end(&w, r, edits);
}

/* --- the provider --- */

static void
write_path(struct buf *out, const struct llm_request *r, const struct wire_target *t)
{
    if (r->op == OP_RELAY) {
        buf_add(out, r->path);
        return;
    }
    buf_add(out, S("/models/"));
    url_add_segment(out, bare_model(t));
    if (r->op == OP_COUNT_TOKENS)
        buf_add(out, S(":countTokens"));
    else if (r->op == OP_EMBED)
        gemini_add_embed_method(out, r, t);
    else
        buf_add(out, r->stream ? S(":streamGenerateContent") : S(":generateContent"));
    /* a caller who asked for an array gets that of the provider */
    if (r->op == OP_CHAT && r->stream &&
        (r->wire != &wire_gemini || r->framing != &framing_json_array))
        buf_add(out, S("?alt=sse"));
}

static void
read_error(struct arena *a, int status, struct str body, struct llm_error *ret)
{
    fail_read(a, &gemini_fail_words, status, body, ret);
}

static const char *const limits[] = { "generationConfig.maxOutputTokens", NULL };

static const char *const forward[] = { "x-goog-api-client", NULL };

const struct wire_provider gemini_provider = {
    .ops = OP_BIT(OP_CHAT) | OP_BIT(OP_EMBED) | OP_BIT(OP_COUNT_TOKENS) | OP_BIT(OP_RELAY),
    .write_path = write_path,
    .base = S_INIT("/v1beta"),
    .models_path = S_INIT("/models?pageSize=1000"),
    .translates = OP_BIT(OP_CHAT) | OP_BIT(OP_COUNT_TOKENS),
    .choices = true,
    .places = { .params = PARAMS_GEMINI,
        .object = "generationConfig",
        .nested = PARAMS_GEMINI_CONFIG,
        .limits = limits },
    .write_request = write_content_request,
    .writes = { [OP_EMBED] = gemini_write_embed },
    .reads = { [OP_EMBED] = gemini_read_embed },
    .rewrites = gemini_rewrites,
    .edit_request = edit_request,
    .read_event = gemini_read_event,
    .read_end = gemini_read_end,
    .read_answer = gemini_read_answer,
    .read_error = read_error,
    .key = S_INIT("x-goog-api-key: "),
    .forward = forward,
};

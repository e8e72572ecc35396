/* provider.c - writes requests for Bedrock's Converse API.
 *
 * The API is one for all models, and what is in it is not: prompt-cache marks, results that say
 * that they failed, pictures in results and schemas are of some families only, and what else a
 * model has goes to additionalModelRequestFields under its own name. Which family it is stands in
 * the model's id; the id of an inference profile need not say it, but its configured traits do.
 */
#include "base/map.h"
#include "base/url.h"
#include "llm/claude.h"
#include "llm/effort.h"
#include "llm/media.h"
#include "llm/seal.h"
#include "wires/bedrock/bedrock.h"

enum {
    MARKS_MAX = 4,
    STRICT_TOOLS_MAX = 20,    /* Claude takes no more */
    NAME_MAX = 100,           /* of a document; the API takes twice as many */
    TAG_MAX = 256,            /* of a value of requestMetadata */
};

/* --- families of models --- */

enum family { FAMILY_OTHER, FAMILY_CLAUDE, FAMILY_NOVA, FAMILY_NOVA_2, FAMILY_GPT_OSS };

/* Claude's before those that could write the schema of an answer, by a part of their ids. */
static const char *const claude_without_schemas[] = { "claude-v2", "claude-instant", "claude-3",
    "claude-sonnet-4-2025", "claude-opus-4-2025", "claude-opus-4-1" };

static bool
is_named(const struct wire_target *t, const char *part)
{
    return str_find(t->model, str_c(part)) < t->model.n;
}

static enum family
family_of(const struct wire_target *t)
{
    if (is_named(t, "claude") || t->traits.thinking != 0)
        return FAMILY_CLAUDE;
    if (is_named(t, "amazon.nova"))
        return is_named(t, "nova-2") ? FAMILY_NOVA_2 : FAMILY_NOVA;
    return is_named(t, "gpt-oss") ? FAMILY_GPT_OSS : FAMILY_OTHER;
}

static bool
takes_schemas(const struct wire_target *t)
{
    for (size_t i = 0; i < ARRAY_LEN(claude_without_schemas); i++)
        if (is_named(t, claude_without_schemas[i]))
            return false;
    return !is_named(t, "amazon.") && !is_named(t, "meta.") && !is_named(t, "ai21.") &&
           !is_named(t, "cohere.");
}

/* A request being written. */
struct converse {
    struct request_out *out;
    struct json_out *o;    /* of `out` */
    const struct llm_request *r;
    enum family family;
    struct turn_rules rules;
    struct turns turns;
    bool marks;                /* the model has prompt-cache marks */
    unsigned marks_to_skip;    /* the earliest, if there are too many: later ones cover more */
    bool tools;                /* tools are offered */
    unsigned strict_tools;
    enum llm_choice choice;
    struct claude_thinking thinking;    /* of Claude */
    struct map *names;                  /* of documents, which must differ; may be NULL */
    unsigned repeats;
};

static const struct turn_ids tool_names = { .chars = IDS_WORD, .most = 64 };

static struct turn_rules
rules_for(enum family family, const struct wire_target *t)
{
    bool claude = family == FAMILY_CLAUDE;
    bool own = claude || family == FAMILY_NOVA || family == FAMILY_NOVA_2;

    return (struct turn_rules){
        .ids = { .prefix = S("tooluse_"), .chars = IDS_WORD, .most = 64 },
        .names = tool_names,
        .origin = claude ? ORIGIN_ANTHROPIC : ORIGIN_BEDROCK,
        .blocks = ORIGIN_BEDROCK,
        .alternate = true,
        .system_first = true,
        .paired = true,
        .no_blanks = true,
        .speaks = true,
        .fails = own,
        .marks = own,
        .results_text = !own,
        .no_prefill = t->traits.no_prefill == YES || !own,
    };
}

static void
refuse_part(const struct converse *w, const char *what)
{
    write_refuse(w->out, ERR_UNSUPPORTED, "messages", "%s cannot be sent to this provider", what);
}

/* --- content --- */

/* A mark is a block after what it marks. */
static void
add_mark(struct converse *w, enum llm_cache_mark mark)
{
    if (mark == MARK_NONE || !w->marks)
        return;
    if (w->marks_to_skip > 0) {
        w->marks_to_skip--;
        return;
    }
    out_object(w->o);
    out_key_object(w->o, "cachePoint");
    out_const(w->o, "\"type\":\"default\"");
    if (mark == MARK_1H && w->family == FAMILY_CLAUDE && takes_schemas(w->out->t))
        out_const(w->o, "\"ttl\":\"1h\"");    /* older models have five minutes only */
    out_end(w->o);
    out_end(w->o);
}

static void
add_text(struct converse *w, struct str text)
{
    out_object(w->o);
    out_text(w->o, "text", text);
    out_end(w->o);
}

static bool
is_name_char(char c)
{
    return str_is_alnum(c) || memchr("-()[]", c, 5) != NULL;
}

/* The name of a document: letters, digits, single blanks, hyphens and brackets. It is shown to the
 * model, and two of a request must differ. */
static struct str
document_name(struct converse *w, struct str name)
{
    struct arena *a = w->out->a;
    char *p = arena_array(a, char, NAME_MAX + 1);
    size_t n = 0;

    for (size_t i = 0; i < name.n && n < NAME_MAX; i++) {
        bool keep = is_name_char(name.p[i]);

        if (keep || (n > 0 && p[n - 1] != ' '))
            p[n++] = keep ? name.p[i] : ' ';
    }

    struct str legible = str_trim(str_make(p, n));

    if (legible.n == 0)
        legible = S("document");
    if (w->names == NULL)
        w->names = map_create();
    while (map_put(w->names, legible, w) != NULL)
        legible = arena_printf(a, STR_FMT " %u", STR_ARG(legible), ++w->repeats + 1);
    return legible;
}

static void
add_source(struct json_out *o, const struct llm_part *part)
{
    out_key_object(o, "source");
    if (part->data.n > 0) {
        out_text(o, "bytes", part->data);
    } else {
        out_key_object(o, "s3Location");
        out_text(o, "uri", part->url);
        out_end(o);
    }
    out_end(o);
}

/* An image, a document, sound or video: {"image":{"format":"png","source":{"bytes":...}}}. */
static void
add_media(struct converse *w, const struct llm_part *part)
{
    struct json_out *o = w->o;
    bool s3 = part->data.n == 0 && part->file_id.n == 0 && str_starts(part->url, S("s3://"));
    enum llm_part_kind kind =
        bedrock_format(PART_IMAGE, part->mime).n > 0 ? PART_IMAGE : part->kind;
    struct str format = bedrock_format(kind, part->mime);

    if (kind == PART_FILE && format.n == 0 && media_is_text(part->mime))
        format = S("txt");
    if (part->data.n == 0 && !s3) {
        write_refuse(w->out, ERR_UNSUPPORTED, "messages",
            "this provider takes media as base64 data or an s3:// URL only, not by URL or id");
        return;
    }
    if (format.n == 0) {
        refuse_part(w, kind == PART_IMAGE   ? "an image other than JPEG, PNG, GIF or WebP"
                       : kind == PART_AUDIO ? "sound in this format"
                       : kind == PART_VIDEO ? "video in this format"
                                            : "a file of this type");
        return;
    }
    out_object(o);
    out_key_str(o, kind == PART_IMAGE   ? S("image")
                   : kind == PART_AUDIO ? S("audio")
                   : kind == PART_VIDEO ? S("video")
                                        : S("document"));
    out_object(o);
    out_text(o, "format", format);
    if (kind == PART_FILE)
        out_text(o, "name", document_name(w, part->name));
    add_source(o, part);
    out_end(o);
    out_end(o);
}

/* A part of a user's message or of a result, without its mark. */
static void
add_content(struct converse *w, const struct llm_part *part)
{
    if (media_is(part->kind))
        add_media(w, part);
    else if (part->kind == PART_OPAQUE && part->origin == w->rules.blocks)
        out_raw_value(w->o, json_raw(part->raw));
    else if ((part->kind == PART_TEXT || part->kind == PART_REFUSAL) && str_trim(part->text).n > 0)
        add_text(w, part->text);
}

/* Its own marks, and those in it, follow the result: it cannot hold any. */
static void
add_result(struct converse *w, const struct turn_block *b)
{
    struct json_out *o = w->o;
    const struct llm_part *content = b->content;
    enum llm_cache_mark mark = b->part != NULL ? b->part->cache_mark : MARK_NONE;
    bool error = b->part == NULL || b->part->is_error;

    out_object(o);
    out_key_object(o, "toolResult");
    out_text(o, "toolUseId", b->id);
    out_key_array(o, "content");
    for (const struct llm_part *part = content; part != NULL; part = part->next) {
        if (w->rules.results_text && media_is(part->kind))
            continue;    /* the user's blocks have them */
        add_content(w, part);
        mark = MAX(mark, part->cache_mark);
    }
    out_end_array(o);
    if (error && w->rules.fails)
        out_const(o, "\"status\":\"error\"");
    out_end(o);
    out_end(o);
    add_mark(w, mark);
}

static void
add_call(struct converse *w, const struct turn_block *b)
{
    struct json_out *o = w->o;

    out_object(o);
    out_key_object(o, "toolUse");
    out_text(o, "toolUseId", b->id);
    out_text(o, "name", b->name);
    out_key(o, "input");
    if (!write_arguments(o, w->out->a, b->part->args, b->part->custom, NULL))
        o->b->overflow = true;    /* as if it had no room for the call */
    out_end(o);
    out_end(o);
}

static void
add_reasoning(struct converse *w, const struct llm_part *part)
{
    struct json_out *o = w->o;

    out_object(o);
    out_key_object(o, "reasoningContent");
    if (part->redacted.n > 0) {
        out_text(o, "redactedContent", part->redacted);
    } else {
        out_key_object(o, "reasoningText");
        out_text(o, "text", part->text);
        out_text_if(o, "signature", part->signature);
        out_end(o);
    }
    out_end(o);
    out_end(o);
}

/* Prefill must not end in white space. */
static struct str
without_trailing_blanks(struct str text)
{
    while (text.n > 0 && strchr(" \t\r\n", text.p[text.n - 1]) != NULL)
        text.n--;
    return text;
}

static void
add_turn(struct converse *w, const struct turn *t)
{
    bool assistant = t->side == TURN_ASSISTANT;
    bool document = false;
    bool text = false;

    out_object(w->o);
    out_text(w->o, "role", assistant ? S("assistant") : S("user"));
    out_key_array(w->o, "content");
    for (const struct turn_block *b = t->results.first; b != NULL; b = b->next)
        add_result(w, b);
    for (const struct turn_block *b = t->blocks.first; b != NULL; b = b->next) {
        const struct llm_part *part = b->part;
        bool prefill = assistant && t->next == NULL && b->next == NULL;

        document = document || part->kind == PART_FILE;
        text = text || part->kind == PART_TEXT;
        if (part->kind == PART_TOOL_CALL)
            add_call(w, b);
        else if (part->kind == PART_REASONING)
            add_reasoning(w, part);
        else if (prefill && part->kind == PART_TEXT)
            add_text(w, without_trailing_blanks(part->text));
        else
            add_content(w, part);
        add_mark(w, part->cache_mark);
    }
    if (document && !text)    /* which a message with a document must have */
        add_text(w, S("(see the document)"));
    out_end_array(w->o);
    out_end(w->o);
}

static void
add_messages(struct converse *w)
{
    const struct turns *turns = &w->turns;

    if (turns->first == NULL && turns->system.first == NULL)
        write_refuse(w->out, ERR_BAD_REQUEST, "messages", "at least one message is required");
    out_key_array(w->o, "messages");
    if (turns->first == NULL || turns->first->side == TURN_ASSISTANT)
        out_raw_value(w->o, S("{\"role\":\"user\",\"content\":[{\"text\":\"" TURN_OPENING "\"}]}"));
    for (const struct turn *t = turns->first; t != NULL; t = t->next)
        add_turn(w, t);
    out_end_array(w->o);
}

/* The schema goes into words where the model has no other place for it. */
static bool
says_format(const struct converse *w)
{
    return w->r->format == FORMAT_JSON ||
           (w->r->format == FORMAT_SCHEMA && !takes_schemas(w->out->t));
}

static void
add_system(struct converse *w)
{
    if (w->turns.system.first == NULL && !says_format(w))
        return;
    out_key_array(w->o, "system");
    for (const struct turn_block *b = w->turns.system.first; b != NULL; b = b->next) {
        add_text(w, b->part->text);
        add_mark(w, b->part->cache_mark);
    }
    if (w->r->format == FORMAT_JSON) {
        add_text(w, S("Answer with a single JSON object."));
    } else if (says_format(w)) {
        out_object(w->o);
        out_key(w->o, "text");
        out_string(w->o);
        out_piece(w->o, S("Answer with a single JSON object that follows this JSON Schema: "));
        out_piece(w->o, w->r->schema);
        out_end_string(w->o);
        out_end(w->o);
    }
    out_end_array(w->o);
}

/* --- tools --- */

static void
look_at_tools(struct converse *w)
{
    bool history = w->turns.calls;
    unsigned marks = w->turns.marks;

    w->marks = w->family == FAMILY_CLAUDE || w->family == FAMILY_NOVA || w->family == FAMILY_NOVA_2;
    w->choice = write_choice(w->out);
    for (const struct llm_tool *tool = w->r->tools; tool != NULL; tool = tool->next) {
        if (!write_may_declare(w->out, tool))
            continue;
        w->tools = true;
        w->strict_tools += tool->strict == YES;
        marks += w->family == FAMILY_CLAUDE && tool->cache_mark != MARK_NONE;
    }
    if (w->tools && w->choice == CHOICE_NONE) {
        /* there is no such choice: tools are left out, unless the history needs them */
        w->tools = history;
        if (history)
            wire_drop(w->out->drops, S("tool_choice"));
        w->choice = CHOICE_UNSET;
    }
    w->marks_to_skip = marks > MARKS_MAX ? marks - MARKS_MAX : 0;
}

/* Whether the model must call a tool. */
static bool
is_forced(const struct converse *w)
{
    return w->tools && (w->choice == CHOICE_REQUIRED || w->choice == CHOICE_NAMED);
}

static void
add_tool(struct converse *w, const struct llm_tool *tool)
{
    struct json_out *o = w->o;
    bool strict =
        tool->strict == YES && takes_schemas(w->out->t) && w->strict_tools <= STRICT_TOOLS_MAX;
    struct schema_rules rules = { .typed = true,
        .closed = strict,
        .any_of = strict,
        .refused = strict ? claude_refused_keywords(w->out->t) : NULL };

    if (tool->raw != NULL) {
        out_raw_value(o, json_raw(tool->raw));
        return;
    }
    out_object(o);
    out_key_object(o, "toolSpec");
    out_text(o, "name", turn_name(&tool_names, w->r, w->out->drops, tool->name));
    out_text_if(o, "description", tool->description);
    out_key_object(o, "inputSchema");
    out_key(o, "json");
    if (!write_schema(w->out, "tools", tool->schema, &rules))
        write_refuse(w->out, ERR_BAD_REQUEST, "tools",
            "the parameters of '%.*s' must be a JSON object", (int)MIN(tool->name.n, 128),
            tool->name.p);
    out_end(o);
    if (strict)
        out_const(o, "\"strict\":true");
    else if (tool->strict == YES)    /* it is called all the same */
        wire_drop(w->out->drops, S("tools.strict"));
    out_end(o);
    out_end(o);
    if (w->family == FAMILY_CLAUDE)    /* Nova has no marks among tools */
        add_mark(w, tool->cache_mark);
}

/* The API requires tools if the history has calls. If the caller offers none, those are declared
 * that the history calls. */
static void
add_tools_of_history(struct converse *w)
{
    struct map *names = map_create();
    struct json_out *o = w->o;

    for (const struct turn *t = w->turns.first; t != NULL; t = t->next) {
        for (struct turn_block *b = t->blocks.first; b != NULL; b = b->next) {
            if (b->turn == NULL || map_put(names, b->name, b) != NULL)
                continue;
            out_object(o);
            out_key_object(o, "toolSpec");
            out_text(o, "name", b->name);
            out_const(o, "\"inputSchema\":{\"json\":{\"type\":\"object\"}}");
            out_end(o);
            out_end(o);
        }
    }
    map_destroy(names);
}

static void
add_tools(struct converse *w)
{
    struct json_out *o = w->o;

    if (!w->tools && !w->turns.calls)
        return;
    out_key_object(o, "toolConfig");
    out_key_array(o, "tools");
    for (const struct llm_tool *tool = w->tools ? w->r->tools : NULL; tool != NULL;
         tool = tool->next)
        if (write_may_declare(w->out, tool))
            add_tool(w, tool);
    if (!w->tools)
        add_tools_of_history(w);
    out_end_array(o);
    if (w->tools && w->choice == CHOICE_REQUIRED) {
        out_const(o, "\"toolChoice\":{\"any\":{}}");
    } else if (w->tools && w->choice == CHOICE_NAMED) {
        out_key_object(o, "toolChoice");
        out_key_object(o, "tool");
        out_text(o, "name", turn_name(&tool_names, w->r, w->out->drops, w->r->choice_name));
        out_end(o);
        out_end(o);
    } else if (w->tools && w->choice == CHOICE_AUTO) {
        out_const(o, "\"toolChoice\":{\"auto\":{}}");
    }
    out_end(o);
}

/* --- parameters --- */

/* An object that is left out if nothing was said in it. */
struct optional {
    struct json_out before;
    size_t at;
};

static struct optional
begin_optional(struct json_out *o, struct str name)
{
    struct optional opt = { .before = *o, .at = buf_len(o->b) };

    out_key_str(o, name);
    out_object(o);
    return opt;
}

static void
end_optional(struct json_out *o, const struct optional *opt)
{
    bool lost = o->b->overflow;    /* something before it was */

    if (o->comma) {
        out_end(o);
        return;
    }
    buf_truncate(o->b, opt->at);
    o->b->overflow = lost;
    *o = opt->before;
}

static void
add_stop(struct converse *w)
{
    bool any = false;

    for (const struct llm_word *s = w->r->stop; s != NULL; s = s->next) {
        if (str_trim(s->text).n == 0) {    /* the API refuses blanks */
            write_cut_stop(w->out, s->text);
            continue;
        }
        if (!any)
            out_key_array(w->o, "stopSequences");
        any = true;
        out_text_value(w->o, s->text);
    }
    if (any)
        out_end_array(w->o);
}

static void
add_inference(struct converse *w, const struct params_rules *rules)
{
    struct optional opt = begin_optional(w->o, S("inferenceConfig"));
    int64_t limit = w->out->t->traits.max_output;

    if (w->thinking.mode == THINKING_BUDGET)
        out_i64(w->o, "maxTokens", w->thinking.max_tokens);
    else if (w->r->max_tokens > 0)
        out_i64(w->o, "maxTokens", limit > 0 ? MIN(w->r->max_tokens, limit) : w->r->max_tokens);
    params_write(w->o, w->r, PARAMS_BEDROCK_INFERENCE, rules);
    add_stop(w);
    end_optional(w->o, &opt);
}

/* Thinking, and calls one at a time. The latter is known to newer models, and stands beside a
 * choice that must be the same as that of toolConfig. */
static void
add_claude_fields(struct converse *w)
{
    struct json_out *o = w->o;

    claude_write_thinking(o, &w->thinking);
    if (w->thinking.effort.n > 0) {
        out_key_object(o, "output_config");
        out_text(o, "effort", w->thinking.effort);
        out_end(o);
    }
    if (w->r->parallel_tools != NO || !w->tools)
        return;
    if (takes_schemas(w->out->t) && !is_forced(w))
        out_const(o, "\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}");
    else
        write_drop(w->out, PARAM_parallel_tools);
}

/* The effort of models that are asked by a word, in tokens; -1: nothing was said. */
static int64_t
asked_effort(const struct llm_request *r)
{
    return r->reasoning == NO        ? 0
           : r->effort.n != 0        ? effort_budget(r->effort)
           : r->reasoning_budget > 0 ? r->reasoning_budget
                                     : -1;
}

static bool
is_high(int64_t budget)
{
    struct str word = effort_word(budget);

    return str_eq(word, S("high")) || str_eq(word, S("xhigh"));
}

/* Nova thinks with high effort only where nothing limits it or its sampling. */
static bool
is_unlimited(const struct converse *w)
{
    return w->family == FAMILY_NOVA_2 && w->r->max_tokens <= 0 && is_high(asked_effort(w->r));
}

static void
add_effort(struct converse *w)
{
    const struct llm_request *r = w->r;
    struct json_out *o = w->o;
    int64_t budget = asked_effort(r);
    struct str word = is_high(budget) ? S("high") : effort_word(budget);

    if (w->family == FAMILY_NOVA_2 && is_high(budget) && !is_unlimited(w))
        word = S("medium");
    if (w->family == FAMILY_GPT_OSS && budget > 0) {
        out_text(o, "reasoning_effort", word);
    } else if (w->family == FAMILY_NOVA_2 && budget > 0) {
        out_key_object(o, "reasoningConfig");
        out_const(o, "\"type\":\"enabled\"");
        out_text(o, "maxReasoningEffort", word);
        out_end(o);
    } else if (budget > 0 || (budget < 0 && r->effort.n != 0) ||
               (budget == 0 && w->family == FAMILY_GPT_OSS)) {
        write_drop(w->out, PARAM_effort);
    }
}

static void
add_fields(struct converse *w, const struct params_rules *rules)
{
    struct optional opt = begin_optional(w->o, S("additionalModelRequestFields"));

    if (w->family == FAMILY_CLAUDE)
        add_claude_fields(w);
    else
        add_effort(w);
    if (w->r->top_k != NULL && (w->family == FAMILY_NOVA || w->family == FAMILY_NOVA_2)) {
        out_key_object(w->o, "inferenceConfig");
        out_raw(w->o, "topK", json_raw(w->r->top_k));
        out_end(w->o);
    } else {
        params_write(w->o, w->r, PARAMS_BEDROCK_FIELDS, rules);
    }
    if (w->family != FAMILY_CLAUDE && w->r->parallel_tools == NO && w->tools)
        write_drop(w->out, PARAM_parallel_tools);
    end_optional(w->o, &opt);
    /* Claude tells which sequence stopped it to those who ask */
    if (w->family == FAMILY_CLAUDE && w->r->stop != NULL)
        out_const(w->o, "\"additionalModelResponseFieldPaths\":[\"/stop_sequence\"]");
}

static void
add_format(struct converse *w)
{
    const struct llm_request *r = w->r;
    const char *param = param_callers_name(r, PARAM_format);
    struct schema_rules rules = {
        .closed = true, .any_of = true, .refused = claude_refused_keywords(w->out->t)
    };
    struct json_out *o = w->o;
    struct request_out copy = *w->out;
    struct buf schema;

    if (says_format(w))
        write_drop(w->out, PARAM_format);
    if (r->format != FORMAT_SCHEMA || r->schema.n == 0 || says_format(w))
        return;
    buf_init(&schema, r->schema.n * 8 + 1024);
    copy.o = json_out(&schema);
    if (!write_schema(&copy, param, r->schema, &rules))
        write_refuse(w->out, ERR_BAD_REQUEST, param, "the schema must be a JSON Schema object");
    out_key_object(o, "outputConfig");
    out_key_object(o, "textFormat");
    out_const(o, "\"type\":\"json_schema\"");
    out_key_object(o, "structure");
    out_key_object(o, "jsonSchema");
    out_text(o, "schema", buf_str(&schema));
    out_text_if(o, "name", r->schema_name);
    out_text_if(o, "description", r->schema_description);
    out_end(o);
    out_end(o);
    out_end(o);
    out_end(o);
    o->b->overflow = o->b->overflow || schema.overflow;
    buf_fini(&schema);
}

/* Whether all values are strings of the characters that the API takes. */
static bool
are_tags(const struct json *metadata)
{
    struct json_iter it = json_iter(metadata);
    unsigned count = 0;

    while (json_is(metadata, JSON_OBJECT) && json_next(&it)) {
        const struct json *both[] = { it.key, it.value };

        for (size_t i = 0; i < ARRAY_LEN(both); i++)
            if (both[i]->type != JSON_STRING || both[i]->escaped || both[i]->n - 2 > TAG_MAX ||
                !str_has_only(str_make(both[i]->p + 1, both[i]->n - 2), " :_@$#=/+,-."))
                return false;
        count++;
    }
    return count > 0 && count <= 16;
}

static void
add_account(struct converse *w, struct params_rules *rules)
{
    const struct llm_request *r = w->r;
    bool tags = are_tags(r->metadata);

    if (!tags)
        rules->refused |= PARAM_BIT(metadata);
    params_write(w->o, r, PARAMS_BEDROCK, rules);
    if (r->user.n > 0 && r->user.n <= TAG_MAX && !tags && str_has_only(r->user, " :_@$#=/+,-.")) {
        out_key_object(w->o, "requestMetadata");
        out_text(w->o, "user", r->user);
        out_end(w->o);
    } else if (r->user.n > 0) {
        write_drop(w->out, PARAM_user);
    }
    if (str_eq(r->service_tier, S("flex")) || str_eq(r->service_tier, S("priority")) ||
        str_eq(r->service_tier, S("default")) || str_eq(r->service_tier, S("reserved"))) {
        out_key_object(w->o, "serviceTier");
        out_text(w->o, "type", r->service_tier);
        out_end(w->o);
    } else if (r->service_tier.n > 0 && !str_eq(r->service_tier, S("auto"))) {
        write_drop(w->out, PARAM_service_tier);
    }
}

/* --- the whole --- */

static void
add_conversation(struct converse *w)
{
    add_system(w);
    add_messages(w);
    add_tools(w);
}

static struct params_rules
sampling_rules(const struct converse *w)
{
    struct params_rules rules = { .fixed_sampling = w->out->t->traits.sampling_fixed == YES };

    if (w->family == FAMILY_CLAUDE)
        return claude_sampling(w->out, &w->thinking);
    if (w->family != FAMILY_NOVA && w->family != FAMILY_NOVA_2)
        rules.refused |= PARAM_BIT(top_k);
    if (is_unlimited(w))
        rules.fixed_sampling = true;
    return rules;
}

static void
write_converse(struct request_out *out)
{
    struct converse w = {
        .out = out,
        .o = &out->o,
        .r = out->r,
        .family = family_of(out->t),
    };
    struct params_rules rules;

    w.rules = rules_for(w.family, out->t);
    turns_plan(out->r, &w.rules, out->drops, &w.turns);
    look_at_tools(&w);
    if (w.family == FAMILY_CLAUDE)
        w.thinking = claude_decide(out, &w.turns, is_forced(&w));
    rules = sampling_rules(&w);
    if (out->r->op == OP_COUNT_TOKENS) {
        out_key_object(w.o, "input");
        out_key_object(w.o, "converse");
        add_conversation(&w);
        out_end(w.o);
        out_end(w.o);
    } else {
        add_conversation(&w);
        add_inference(&w, &rules);
        add_fields(&w, &rules);
        add_format(&w);
        add_account(&w, &rules);
        params_drop(out->r,
            PARAMS_BIT(PARAMS_BEDROCK) | PARAMS_BIT(PARAMS_BEDROCK_INFERENCE) |
                PARAMS_BIT(PARAMS_BEDROCK_FIELDS),
            &rules, out->drops);
    }
    map_destroy(w.names);
}

/* --- a request that is passed through ---
 *
 * What another protocol's model thought came to the caller without a signature or with a sealed
 * one, and Claude refuses it: it is cut out, and with it a message that holds nothing else.
 */

static bool
is_foreign_thinking(const void *arg UNUSED, const struct json *key UNUSED, const struct json *block)
{
    const struct json *text = json_at(block, "reasoningContent.reasoningText");
    const struct json *signature = json_get(text, S("signature"));

    return json_is(text, JSON_OBJECT) &&
           (!json_present(signature) || json_str_is(signature, S("")) || seal_is_json(signature));
}

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

    if (!json_is(messages, JSON_ARRAY) || family_of(t) != FAMILY_CLAUDE)
        return;
    wire_rewrite_begin(&w, messages);
    wire_rewrite_cut(&w, messages, is_foreign_message, cut_blocks, NULL);
    wire_rewrite_end(&w, r, edits);
}

/* --- the provider --- */

/* The model is one segment of the path, also if it is an ARN with slashes. */
static void
write_path(struct buf *out, const struct llm_request *r, const struct wire_target *t)
{
    if (r->op == OP_RELAY) {
        buf_add(out, r->path);
        return;
    }
    buf_add(out, S("/model/"));
    url_add_segment(out, t->model);
    buf_add(out, r->op == OP_COUNT_TOKENS ? S("/count-tokens")
                 : r->op == OP_EMBED      ? S("/invoke")
                 : r->stream              ? S("/converse-stream")
                                          : S("/converse"));
}

static void
read_error(struct arena *a, int status, struct str body, struct llm_error *ret)
{
    fail_read(a, &bedrock_fail_words, status, body, ret);
}

static const char *const limits[] = { "inferenceConfig.maxTokens", NULL };

const struct wire_provider bedrock_provider = {
    .ops = OP_BIT(OP_CHAT) | OP_BIT(OP_EMBED) | OP_BIT(OP_COUNT_TOKENS) | OP_BIT(OP_RELAY),
    .write_path = write_path,
    .translates = OP_BIT(OP_CHAT) | OP_BIT(OP_COUNT_TOKENS),
    .places = { .params = PARAMS_BEDROCK,
        .object = "inferenceConfig",
        .nested = PARAMS_BEDROCK_INFERENCE,
        .limits = limits },
    .prefills = true,
    .write_request = write_converse,
    .writes = { [OP_EMBED] = bedrock_write_embed },
    .reads = { [OP_EMBED] = bedrock_read_embed },
    .input_field = S_INIT("x-amzn-bedrock-input-token-count"),
    .edit_request = edit_request,
    .read_event = bedrock_read_event,
    .read_end = bedrock_read_end,
    .read_answer = bedrock_read_answer,
    .read_error = read_error,
    .key = S_INIT("Authorization: Bearer "),
};

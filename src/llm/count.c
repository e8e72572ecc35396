/* count.c - walks a conversation and counts its texts and what a model's template puts around them.
 *
 * What the template adds is what OpenAI's cookbook counts (How to count tokens with tiktoken): three tokens
 * for each message besides its role, one for a name, three that begin the answer; of a function its name and
 * description, and of each parameter its name, type, description and values. Parameters within parameters
 * are counted alike, and calls as they are written for a function. Other providers say less of their
 * templates: a tool of theirs is its text, and the instructions that come with tools are those that
 * Anthropic names.
 */
#include "llm/count.h"

#include "base/buf.h"

enum {
    PER_MESSAGE = 3,
    PER_NAME = 1,
    PER_ANSWER = 3,
    PER_CALL = 3,
    PER_FUNCTION = 7,
    PER_FUNCTION_CL100K = 10,
    WITH_PARAMETERS = 3,
    PER_PARAMETER = 3,
    WITH_VALUES = -3,
    PER_VALUE = 3,
    WITH_FUNCTIONS = 12,
    PER_OTHER_TOOL = 8,
    WITH_CLAUDE_TOOLS = 346,
    LINE_BYTES_MAX = 1 << 30,
    LINE_BYTES_KEPT = 64 * 1024,
};

struct counting {
    enum tokens_family family;
    int64_t tokens;
    struct arena *arena;
    struct buf line;    /* of a parameter */
};

static void
count_text(struct counting *c, struct str text)
{
    c->tokens += (int64_t)tokens_count(c->family, text);
}

static void
count_parts(struct counting *c, const struct llm_part *parts)
{
    for (const struct llm_part *p = parts; p != NULL; p = p->next) {
        switch (p->kind) {
        case PART_TEXT:
        case PART_REASONING:
        case PART_REFUSAL:
            count_text(c, p->text);
            break;
        case PART_IMAGE:
        case PART_AUDIO:
        case PART_VIDEO:
        case PART_FILE:
            c->tokens += llm_part_media_tokens(p);
            break;
        case PART_TOOL_CALL:
            count_text(c, p->name);
            count_text(c, p->args);
            c->tokens += PER_CALL;
            break;
        case PART_TOOL_RESULT:
            count_parts(c, p->result);
            c->tokens += PER_MESSAGE + 1;
            break;
        case PART_OPAQUE:
            count_text(c, json_raw(p->raw));
            break;
        }
    }
}

/* --- tools --- */

/* Without a full stop at the end. */
static struct str
description_text(struct str text)
{
    return str_ends(text, S(".")) ? str_make(text.p, text.n - 1) : text;
}

static void
count_line(struct counting *c)
{
    count_text(c, buf_str(&c->line));
    buf_reset(&c->line, LINE_BYTES_KEPT);
}

static void count_parameters(struct counting *c, const struct json *schema);

static void
count_parameter(struct counting *c, const struct json *name, const struct json *schema)
{
    const struct json *type = json_get(schema, S("type")), *values = json_get(schema, S("enum"));
    struct json_iter it = json_iter(values);

    c->tokens += PER_PARAMETER + (values != NULL ? WITH_VALUES : 0);
    while (json_next(&it)) {
        c->tokens += PER_VALUE;
        count_text(
            c, json_is(it.value, JSON_STRING) ? json_str(c->arena, it.value) : json_raw(it.value));
    }
    buf_add(&c->line, json_str(c->arena, name));
    buf_add_c(&c->line, ':');
    buf_add(&c->line, json_is(type, JSON_STRING) ? json_str(c->arena, type) : json_raw(type));
    buf_add_c(&c->line, ':');
    buf_add(&c->line, description_text(json_str(c->arena, json_get(schema, S("description")))));
    count_line(c);
    count_parameters(c, schema);
    count_parameters(c, json_get(schema, S("items")));
}

/* As deep as a JSON text may be. */
static void
count_parameters(struct counting *c, const struct json *schema)
{
    const struct json *properties = json_get(schema, S("properties"));
    struct json_iter it = json_iter(properties);

    if (json_is(properties, JSON_OBJECT) && !json_is_empty(properties))
        c->tokens += WITH_PARAMETERS;
    while (json_next(&it))
        if (it.key != NULL)
            count_parameter(c, it.key, it.value);
}

static void
count_tools(struct counting *c, const struct llm_tool *tools)
{
    if (tools == NULL)
        return;
    if (!tokens_exact(c->family)) {
        c->tokens += c->family == TOKENS_claude ? WITH_CLAUDE_TOOLS : 0;
        for (const struct llm_tool *t = tools; t != NULL; t = t->next) {
            count_text(c, t->name);
            count_text(c, t->description);
            count_text(c, t->schema);
            c->tokens += PER_OTHER_TOOL;
        }
        return;
    }
    for (const struct llm_tool *t = tools; t != NULL; t = t->next) {
        c->tokens += c->family == TOKENS_cl100k ? PER_FUNCTION_CL100K : PER_FUNCTION;
        buf_add(&c->line, t->name);
        buf_add_c(&c->line, ':');
        buf_add(&c->line, description_text(t->description));
        count_line(c);
        const struct json *schema =
            t->schema.n != 0 ? json_parse(c->arena, t->schema, NULL, NULL) : NULL;
        if (schema == NULL)
            count_text(c, t->schema);
        else
            count_parameters(c, schema);
    }
    c->tokens += WITH_FUNCTIONS;
}

int64_t
llm_request_count_tokens(const struct llm_request *r, enum tokens_family family)
{
    struct counting c = { .family = family, .arena = r->arena };

    CHECK(r->expanded);
    buf_init(&c.line, LINE_BYTES_MAX);
    if (r->system != NULL)
        c.tokens += PER_MESSAGE + 1;    /* its role is one token, as all are */
    count_parts(&c, r->system);
    for (const struct llm_message *m = r->messages; m != NULL; m = m->next) {
        /* a message of results alone has as many as there are results */
        bool results = m->parts != NULL && m->parts->kind == PART_TOOL_RESULT;

        c.tokens += results ? 0 : PER_MESSAGE + 1;
        if (m->name.n != 0) {
            count_text(&c, m->name);
            c.tokens += PER_NAME;
        }
        count_parts(&c, m->parts);
    }
    count_text(&c, r->schema);
    count_tools(&c, r->tools);
    buf_fini(&c.line);
    return c.tokens + PER_ANSWER;
}

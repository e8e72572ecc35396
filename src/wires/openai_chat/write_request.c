/* write_request.c - a request that came in on another wire, written for an
 * OpenAI-compatible provider.
 *
 * Hosts of this family differ most in what they reject, so the most common spelling is used, and no
 * member is sent that was not asked for.
 */
#include "wires/openai_chat/writing.h"

#include "llm/effort.h"

enum {
    USER_MAX = 64,
    STOPS_MAX = 4,
};

/* --- small pieces --- */

static void
drop(struct writing *w, enum param p)
{
    param_drop(w->drops, w->r, p);
}

void
openai_add_key(struct writing *w, struct str key)
{
    buf_add_c(w->out, ',');
    json_add_str(w->out, key);
    buf_add_c(w->out, ':');
}

void
openai_add_text(struct writing *w, struct str key, struct str value)
{
    openai_add_key(w, key);
    json_add_str(w->out, value);
}

/* --- tools --- */

static void
add_tool(struct writing *w, const struct llm_tool *tool)
{
    if (tool->raw != NULL) {
        buf_add(w->out, json_raw(tool->raw));
        return;
    }

    struct str kind = tool->custom ? S("custom") : S("function");

    buf_add(w->out, S("{\"type\":"));
    json_add_str(w->out, kind);
    openai_add_key(w, kind);
    buf_add(w->out, S("{\"name\":"));
    json_add_str(w->out, tool->name);
    if (tool->description.n > 0)
        openai_add_text(w, S("description"), tool->description);
    if (!tool->custom) {
        openai_add_key(w, S("parameters"));
        buf_add(w->out,
            tool->schema.n > 0 ? tool->schema : S("{\"type\":\"object\",\"properties\":{}}"));
    }
    if (tool->strict != UNSAID && !tool->custom && w->t->traits.strict_keys != YES) {
        openai_add_key(w, S("strict"));
        buf_add(w->out, tool->strict == YES ? S("true") : S("false"));
    }
    buf_add(w->out, S("}}"));
}

/* Whether a tool exists only on the caller's own wire. */
static bool
is_foreign(const struct writing *w, const struct llm_tool *tool)
{
    return tool->raw != NULL && !openai_is_native(w);
}

static void
write_choice(struct writing *w)
{
    switch (w->r->choice) {
    case CHOICE_UNSET:
        break;
    case CHOICE_AUTO:
        openai_add_text(w, S("tool_choice"), S("auto"));
        break;
    case CHOICE_NONE:
        openai_add_text(w, S("tool_choice"), S("none"));
        break;
    case CHOICE_REQUIRED:
        openai_add_text(w, S("tool_choice"), S("required"));
        break;
    case CHOICE_NAMED:
        openai_add_key(w, S("tool_choice"));
        buf_add(w->out, S("{\"type\":\"function\",\"function\":{\"name\":"));
        json_add_str(w->out, w->r->choice_name);
        buf_add(w->out, S("}}"));
        break;
    }
}

static void
write_tools(struct writing *w)
{
    bool any = false;

    for (const struct llm_tool *tool = w->r->tools; tool != NULL; tool = tool->next) {
        if (is_foreign(w, tool)) {
            wire_drop(w->drops, arena_printf(w->r->arena, "tools." STR_FMT, STR_ARG(tool->name)));
            continue;
        }
        buf_add(w->out, any ? S(",") : S(",\"tools\":["));
        any = true;
        add_tool(w, tool);
    }
    if (!any)
        return;
    buf_add_c(w->out, ']');
    write_choice(w);
    if (w->r->parallel_tools != NO)
        return;
    if (w->t->traits.strict_keys == YES)
        drop(w, PARAM_parallel_tools);
    else
        buf_add(w->out, S(",\"parallel_tool_calls\":false"));
}

/* --- parameters --- */

static void
write_format(struct writing *w)
{
    const struct llm_request *r = w->r;

    if (r->format == FORMAT_JSON)
        buf_add(w->out, S(",\"response_format\":{\"type\":\"json_object\"}"));
    if (r->format != FORMAT_SCHEMA)
        return;
    buf_add(w->out, S(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":"));
    json_add_str(w->out, r->schema_name.n > 0 ? r->schema_name : S("response"));
    if (r->schema_description.n > 0)
        openai_add_text(w, S("description"), r->schema_description);
    openai_add_key(w, S("schema"));
    buf_add(w->out, r->schema);
    if (r->schema_strict != UNSAID) {
        openai_add_key(w, S("strict"));
        buf_add(w->out, r->schema_strict == YES ? S("true") : S("false"));
    }
    buf_add(w->out, S("}}"));
}

static void
write_limits(struct writing *w)
{
    int64_t max = w->r->max_tokens;

    if (max > 0 && w->t->traits.max_output > 0)
        max = MIN(max, w->t->traits.max_output);
    if (max > 0) {
        openai_add_key(
            w, w->t->traits.max_tokens == YES ? S("max_tokens") : S("max_completion_tokens"));
        buf_add_i64(w->out, max);
    }
    if (w->r->n > 1) {
        openai_add_key(w, S("n"));
        buf_add_i64(w->out, w->r->n);
    }
}

static void
write_nodes(struct writing *w)
{
    const struct params_rules rules = {
        .fixed_sampling = w->t->traits.reasoning == YES || w->t->traits.sampling_fixed == YES,
        .core_only = w->t->traits.strict_keys == YES,
    };
    struct json_out o = { .b = w->out, .comma = true };

    params_write(&o, w->r, PARAMS_OPENAI_CHAT, &rules);
    params_drop(w->r, PARAMS_BIT(PARAMS_OPENAI_CHAT), &rules, w->drops);
}

static void
write_stop(struct writing *w)
{
    size_t n = 0;

    for (const struct llm_word *word = w->r->stop; word != NULL; word = word->next) {
        if (n == STOPS_MAX) {
            drop(w, PARAM_stop);    /* those beyond the fourth */
            break;
        }
        buf_add(w->out, n++ == 0 ? S(",\"stop\":[") : S(","));
        json_add_str(w->out, word->text);
    }
    if (n > 0)
        buf_add_c(w->out, ']');
}

/* The reasoning effort, limited to words that models of this family know. */
static struct str
effort_of(const struct writing *w)
{
    struct str effort = w->r->effort;

    if (effort.n == 0 && w->r->reasoning_budget > 0)
        effort = effort_word(w->r->reasoning_budget);
    if (!openai_is_native(w) && (str_eq(effort, S("xhigh")) || str_eq(effort, S("max"))))
        return S("high");    /* few models know more, and the others reject it */
    return effort;
}

static void
write_effort(struct writing *w)
{
    struct str effort = effort_of(w);

    if (effort.n == 0)
        return;
    if (w->t->traits.reasoning == YES && w->t->traits.strict_keys != YES)
        openai_add_text(w, S("reasoning_effort"), effort);
    else if (!str_eq(effort, S("none")))
        drop(w, PARAM_effort);
}

static void
write_user_id(struct writing *w)
{
    struct str user = w->r->user;

    if (user.n == 0)
        return;
    if (w->t->traits.strict_keys == YES) {
        drop(w, PARAM_user);
        return;
    }
    if (user.n > USER_MAX)
        user = wire_hash_id(w->r->arena, user, S("user_"));
    openai_add_text(w, S("user"), user);
}

/* "auto" is the default; Anthropic's "standard_only" is OpenAI's "default". */
static void
write_tier(struct writing *w)
{
    static const struct str known[] = { S_INIT("default"), S_INIT("flex"), S_INIT("priority") };
    struct str tier = w->r->service_tier;

    if (tier.n == 0 || str_eq(tier, S("auto")))
        return;
    if (str_eq(tier, S("standard_only")))
        tier = S("default");
    for (size_t i = 0; i < ARRAY_LEN(known) && w->t->traits.strict_keys != YES; i++) {
        if (str_eq(tier, known[i])) {
            openai_add_text(w, S("service_tier"), tier);
            return;
        }
    }
    if (!str_eq(tier, S("default")))
        drop(w, PARAM_service_tier);
}

static void
write_stream(struct writing *w)
{
    if (!w->r->stream)
        return;
    buf_add(w->out, S(",\"stream\":true"));
    if (w->t->traits.no_stream_options != YES)
        buf_add(w->out, S(",\"stream_options\":{\"include_usage\":true}"));
}

static void
write_parameters(struct writing *w)
{
    write_format(w);
    write_limits(w);
    write_nodes(w);
    write_stop(w);
    write_effort(w);
    write_user_id(w);
    write_tier(w);
    write_stream(w);
}

enum err
openai_write_request(struct buf *out, const struct llm_request *r, const struct wire_target *t,
    struct wire_drops *drops, struct wire_fault *ret_fault)
{
    struct writing w = { .out = out, .r = r, .t = t, .drops = drops, .fault = ret_fault };

    if (r->op != OP_CHAT) {
        *ret_fault =
            (struct wire_fault){ .message = S("this route exists only on its own protocol") };
        return ERR_UNSUPPORTED;
    }

    enum err e = wire_check_tools(r, &wire_openai_chat, ret_fault);

    if (e != OK)
        return e;
    wire_drop_extra(drops, r);
    buf_add(out, S("{\"model\":"));
    json_add_str(out, t->model);
    e = openai_write_messages(&w);
    if (e != OK)
        return e;
    write_tools(&w);
    write_parameters(&w);
    buf_add_c(out, '}');
    if (!out->overflow)
        return OK;
    *ret_fault =
        (struct wire_fault){ .message = S("the translated request is larger than allowed") };
    return ERR_TOO_LARGE;
}

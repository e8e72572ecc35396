/* provider.c - writes requests for a provider that speaks Anthropic Messages.
 *
 * turns_plan() arranges the conversation. Combinations that the API rejects (thinking with
 * sampling, forced tools with thinking, more than four cache marks) are resolved next, before
 * anything is written.
 */
#include "base/map.h"
#include "llm/effort.h"
#include "wires/anthropic/anthropic.h"

enum {
    MAX_TOKENS_DEFAULT = 4096,    /* the API requires a number, and every model accepts this one */
    BUDGET_MIN = 1024,
    MARKS_MAX = 4,
    USER_ID_MAX = 256,
};

static const struct turn_rules turn_rules = {
    .ids = { .prefix = S_INIT("toolu_"), .chars = IDS_WORD, .most = 64 },
    .origin = &wire_anthropic,
    .alternate = true,
    .system_first = true,
    .paired = true,
    .no_blanks = true,
    .speaks = true,
};

static void
add(struct writing *w, struct str s)
{
    buf_add(w->out, s);
}

/* --- decisions --- */

static bool
can_declare(const struct writing *w, const struct llm_tool *tool)
{
    return tool->raw == NULL || w->r->wire == &wire_anthropic;
}

static void
look_at_tools(struct writing *w)
{
    unsigned marks = w->turns.marks;

    for (const struct llm_tool *tool = w->r->tools; tool != NULL; tool = tool->next) {
        if (!can_declare(w, tool)) {
            wire_drop(w->drops, S("tools"));
            continue;
        }
        w->tools = true;
        if (tool->cache_mark != MARK_NONE)
            marks++;
    }
    w->marks_to_skip = marks > MARKS_MAX ? marks - MARKS_MAX : 0;
}

/* Whether the model must call a tool: the API rejects thinking in that case. */
static bool
is_forced(const struct writing *w)
{
    return w->tools && (w->r->choice == CHOICE_REQUIRED || w->r->choice == CHOICE_NAMED);
}

/* Thinking counts against max_tokens. A limit set by the caller is kept, and the budget shrinks so
 * that a quarter is left for the answer; a default limit grows instead. */
static void
fit_budget(struct writing *w)
{
    if (w->r->max_tokens <= 0 && w->t->max_output <= 0)
        w->max_tokens = w->budget + MAX_TOKENS_DEFAULT;
    w->budget = MIN(w->budget, MAX(w->max_tokens - w->max_tokens / 4, BUDGET_MIN));
    if (w->budget < w->max_tokens)
        return;
    w->thinking = THINKING_UNSAID;
    wire_drop(w->drops, S("reasoning_effort"));
}

/* Thinking cannot be combined with a forced call, with prefill, or with a tool loop whose first
 * thinking is lost. Thinking is given up, because callers depend more on the others. */
static void
think(struct writing *w, int64_t budget)
{
    bool prefill = w->turns.last != NULL && w->turns.last->side == TURN_ASSISTANT;
    bool adaptive = w->t->adaptive_thinking;

    if (adaptive)
        w->effort = w->r->effort.n > 0 ? w->r->effort : effort_word(budget);
    if (is_forced(w) || prefill || w->turns.unsigned_loop) {
        if (!adaptive)
            wire_drop(w->drops, S("reasoning_effort"));
        return;
    }
    w->thinking = adaptive ? THINKING_ADAPTIVE : THINKING_BUDGET;
    w->budget = MAX(budget, BUDGET_MIN);
    if (!adaptive)
        fit_budget(w);
}

static void
decide_limits_and_thinking(struct writing *w)
{
    const struct llm_request *r = w->r;
    int64_t limit = w->t->max_output;
    int64_t budget = r->reasoning == NO ? 0 : r->reasoning_budget > 0 ? r->reasoning_budget : -1;

    w->max_tokens = r->max_tokens > 0 ? r->max_tokens : limit > 0 ? limit : MAX_TOKENS_DEFAULT;
    if (limit > 0)
        w->max_tokens = MIN(w->max_tokens, limit);

    if (budget < 0 && r->effort.n > 0) {
        budget = effort_budget(r->effort);
        if (budget < 0)
            wire_drop(w->drops, S("reasoning_effort"));
    }
    if (budget > 0)
        think(w, MIN(budget, INT32_MAX));
    else if (budget == 0 && w->t->adaptive_thinking)    /* other models think only on request */
        w->thinking = THINKING_OFF;
}

/* --- tools --- */

static void
add_tool(struct writing *w, const struct llm_tool *tool)
{
    anthropic_add_comma(w);
    if (tool->raw != NULL) {
        add(w, json_raw(tool->raw));
        return;
    }
    add(w, S("{\"name\":"));
    json_add_str(w->out, tool->name);
    if (tool->description.n > 0) {
        add(w, S(",\"description\":"));
        json_add_str(w->out, tool->description);
    }
    add(w, S(",\"input_schema\":"));
    if (tool->custom) {
        anthropic_refuse(w, ERR_UNSUPPORTED, S("tools"),
            arena_printf(w->a, "tools: '" STR_FMT "' takes free-form input; this provider has none",
                STR_ARG(tool->name)));
    } else if (!anthropic_add_tool_schema(w->out, w->a, tool->schema)) {
        anthropic_refuse(w, ERR_BAD_REQUEST, S("tools"),
            arena_printf(w->a, "tools: the parameters of '" STR_FMT "' must be a JSON object",
                STR_ARG(tool->name)));
    }
    if (tool->strict == YES)
        add(w, S(",\"strict\":true"));
    anthropic_add_cache_control(w, tool->cache_mark);
    add(w, S("}"));
}

static void
add_tool_choice(struct writing *w)
{
    const struct llm_request *r = w->r;
    bool one_at_a_time = r->parallel_tools == NO;

    if (r->choice == CHOICE_UNSET && !one_at_a_time)
        return;
    switch (r->choice) {
    case CHOICE_UNSET:    /* disable_parallel_tool_use needs an object */
    case CHOICE_AUTO:
        add(w, S(",\"tool_choice\":{\"type\":\"auto\""));
        break;
    case CHOICE_NONE:
        add(w, S(",\"tool_choice\":{\"type\":\"none\""));
        one_at_a_time = false;
        break;
    case CHOICE_REQUIRED:
        add(w, S(",\"tool_choice\":{\"type\":\"any\""));
        break;
    case CHOICE_NAMED:
        add(w, S(",\"tool_choice\":{\"type\":\"tool\",\"name\":"));
        json_add_str(w->out, r->choice_name);
        break;
    }
    if (one_at_a_time)
        add(w, S(",\"disable_parallel_tool_use\":true"));
    add(w, S("}"));
}

/* The API requires tools if the history has calls. If the caller offers none, the names in the
 * history are declared, with tool_choice none so that they are not called. */
static void
add_tools_of_history(struct writing *w)
{
    struct map *names = map_create();

    add(w, S(",\"tools\":["));
    w->first = true;
    for (const struct turn *t = w->turns.first; t != NULL; t = t->next) {
        for (struct turn_block *b = t->blocks.first; b != NULL; b = b->next) {
            if (b->turn == NULL || map_put(names, b->part->name, b) != NULL)
                continue;
            anthropic_add_comma(w);
            add(w, S("{\"name\":"));
            json_add_str(w->out, b->part->name);
            add(w, S(",\"input_schema\":{\"type\":\"object\"}}"));
        }
    }
    add(w, S("],\"tool_choice\":{\"type\":\"none\"}"));
    map_destroy(names);
}

static void
add_tools(struct writing *w)
{
    if (!w->tools) {
        if (w->turns.calls)
            add_tools_of_history(w);
        return;
    }
    add(w, S(",\"tools\":["));
    w->first = true;
    for (const struct llm_tool *tool = w->r->tools; tool != NULL; tool = tool->next)
        if (can_declare(w, tool))
            add_tool(w, tool);
    add(w, S("]"));
    add_tool_choice(w);
}

/* --- thinking, format, sampling --- */

static void
add_thinking(struct writing *w)
{
    switch (w->thinking) {
    case THINKING_UNSAID:
        break;
    case THINKING_OFF:
        add(w, S(",\"thinking\":{\"type\":\"disabled\"}"));
        break;
    case THINKING_ADAPTIVE:
        add(w, S(",\"thinking\":{\"type\":\"adaptive\"}"));
        break;
    case THINKING_BUDGET:
        add(w, S(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":"));
        buf_add_i64(w->out, w->budget);
        add(w, S("}"));
        break;
    }
}

/* The closest effort that every model with this parameter accepts. */
static struct str
effort_for_provider(struct str word)
{
    if (str_eq(word, S("minimal")))
        return S("low");
    if (str_eq(word, S("xhigh")))
        return S("max");
    return word;
}

static void
add_output_config(struct writing *w)
{
    const struct llm_request *r = w->r;
    bool schema = r->format == FORMAT_SCHEMA && r->schema.n > 0;

    if (r->format == FORMAT_JSON)
        wire_drop(w->drops, S("response_format"));
    if (!schema && w->effort.n == 0)
        return;
    add(w, S(",\"output_config\":{"));
    if (w->effort.n > 0) {
        add(w, S("\"effort\":"));
        json_add_str(w->out, effort_for_provider(w->effort));
    }
    if (schema) {
        add(w, w->effort.n > 0 ? S(",\"format\":{\"type\":\"json_schema\",\"schema\":")
                               : S("\"format\":{\"type\":\"json_schema\",\"schema\":"));
        if (!anthropic_add_closed_schema(w->out, w->a, r->schema))
            anthropic_refuse(w, ERR_BAD_REQUEST, S("response_format"),
                S("response_format: the schema must be a JSON Schema object"));
        add(w, S("}"));
    }
    add(w, S("}"));
}

static void
add_number(struct writing *w, const char *name, const struct json *number)
{
    buf_printf(w->out, ",\"%s\":", name);
    add(w, json_raw(number));
}

/* The API accepts temperature or top_p, not both, and beside thinking only values without effect.
 */
static void
add_sampling(struct writing *w)
{
    const struct llm_request *r = w->r;
    bool thinks = w->thinking == THINKING_BUDGET || w->thinking == THINKING_ADAPTIVE;
    bool fixed = w->t->sampling_fixed;
    double temperature = json_f64(r->temperature, -1);
    bool has_temperature = json_is(r->temperature, JSON_NUMBER);

    if (has_temperature && (fixed || (thinks && temperature < 1))) {
        wire_drop(w->drops, S("temperature"));
        has_temperature = false;
    }
    if (has_temperature && temperature > 1)    /* Anthropic's scale ends at 1, OpenAI's at 2 */
        add(w, S(",\"temperature\":1"));
    else if (has_temperature)
        add_number(w, "temperature", r->temperature);

    if (json_is(r->top_p, JSON_NUMBER)) {
        if (fixed || has_temperature || (thinks && json_f64(r->top_p, 0) < 0.95))
            wire_drop(w->drops, S("top_p"));
        else
            add_number(w, "top_p", r->top_p);
    }
    if (json_is(r->top_k, JSON_NUMBER)) {
        if (fixed || thinks)
            wire_drop(w->drops, S("top_k"));
        else
            add_number(w, "top_k", r->top_k);
    }
}

static void
add_stop(struct writing *w)
{
    bool any = false;

    for (const struct llm_word *s = w->r->stop; s != NULL; s = s->next) {
        if (str_trim(s->text).n == 0) {    /* the API refuses blanks */
            wire_drop(w->drops, S("stop"));
            continue;
        }
        add(w, any ? S(",") : S(",\"stop_sequences\":["));
        any = true;
        json_add_str(w->out, s->text);
    }
    if (any)
        add(w, S("]"));
}

static void
add_account(struct writing *w)
{
    const struct llm_request *r = w->r;

    if (r->user.n > USER_ID_MAX) {
        wire_drop(w->drops, S("user"));
    } else if (r->user.n > 0) {
        add(w, S(",\"metadata\":{\"user_id\":"));
        json_add_str(w->out, r->user);
        add(w, S("}"));
    }
    if (str_eq(r->service_tier, S("auto")))
        add(w, S(",\"service_tier\":\"auto\""));
    else if (str_eq(r->service_tier, S("default")))
        add(w, S(",\"service_tier\":\"standard_only\""));
    else if (r->service_tier.n > 0)
        wire_drop(w->drops, S("service_tier"));
}

/* Whether omitting a parameter changes anything: null, false, 0 and {} have no effect. */
static bool
asks_for_something(const struct json *j)
{
    switch (j != NULL ? j->type : JSON_NULL) {
    case JSON_NULL:
    case JSON_FALSE:
        return false;
    case JSON_NUMBER:
        return json_f64(j, 1) < 0 || json_f64(j, 1) > 0;
    case JSON_ARRAY:
    case JSON_OBJECT:
        return !json_is_empty(j);
    default:
        return true;
    }
}

static void
drop_the_rest(struct writing *w)
{
    const struct llm_request *r = w->r;
    const struct {
        struct str name;
        const struct json *value;
    } rest[] = {
        { S("presence_penalty"), r->presence_penalty },
        { S("frequency_penalty"), r->frequency_penalty },
        { S("logit_bias"), r->logit_bias },
        { S("logprobs"), r->logprobs },
        { S("top_logprobs"), r->top_logprobs },
        { S("metadata"), r->metadata },
    };

    for (size_t i = 0; i < ARRAY_LEN(rest); i++)
        if (asks_for_something(rest[i].value))
            wire_drop(w->drops, rest[i].name);
    if (json_present(r->seed))
        wire_drop(w->drops, S("seed"));
    if (json_present(r->verbosity))
        wire_drop(w->drops, S("verbosity"));
}

/* --- the whole --- */

static void
add_chat(struct writing *w)
{
    add(w, S(",\"max_tokens\":"));
    buf_add_i64(w->out, w->max_tokens);
    anthropic_add_system(w);
    anthropic_add_messages(w);
    add_tools(w);
    add_thinking(w);
    add_output_config(w);
    add_sampling(w);
    add_stop(w);
    add_account(w);
    drop_the_rest(w);
    if (w->r->stream)
        add(w, S(",\"stream\":true"));
}

/* Only what is counted: the API rejects everything else. */
static void
add_token_count(struct writing *w)
{
    anthropic_add_system(w);
    anthropic_add_messages(w);
    add_tools(w);
    add_thinking(w);
}

static enum err
write_request(struct buf *out, const struct llm_request *r, const struct wire_target *t,
    struct wire_drops *drops, struct wire_fault *ret_fault)
{
    struct writing w = {
        .out = out,
        .a = r->arena,
        .r = r,
        .t = t,
        .drops = drops,
        .fault = ret_fault,
    };
    size_t before = buf_len(out);

    CHECK(r->expanded);
    if (r->op != OP_CHAT && r->op != OP_COUNT_TOKENS)
        anthropic_refuse(&w, ERR_UNSUPPORTED, S(""), S("this provider has no such operation"));
    else if (r->n > 1)
        anthropic_refuse(
            &w, ERR_UNSUPPORTED, S("n"), S("n: this provider returns only one choice"));
    else
        w.err = wire_check_tools(r, &wire_anthropic, ret_fault);
    if (w.err != OK)
        return w.err;

    wire_drop_extra(drops, r);
    turns_plan(r, &turn_rules, drops, &w.turns);
    look_at_tools(&w);
    decide_limits_and_thinking(&w);

    add(&w, S("{\"model\":"));
    json_add_str(out, t->model);
    if (r->op == OP_CHAT)
        add_chat(&w);
    else
        add_token_count(&w);
    add(&w, S("}"));
    if (out->overflow)
        anthropic_refuse(&w, ERR_TOO_LARGE, S(""), S("the request is too large to be translated"));
    if (w.err != OK)
        buf_truncate(out, before);
    return w.err;
}

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

const struct wire_provider anthropic_provider = {
    .ops = OP_BIT(OP_CHAT) | OP_BIT(OP_COUNT_TOKENS) | OP_BIT(OP_RELAY),
    .write_path = write_path,
    .write_request = write_request,
    .edit_request = anthropic_edit_request,
    .read_event = anthropic_read_event,
    .read_end = anthropic_read_end,
    .read_answer = anthropic_read_answer,
    .read_error = read_error,
    .fields = S_INIT("anthropic-version: 2023-06-01\r\n"),
    .forward = forward,
};

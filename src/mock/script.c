/* script.c - makes a script from a request and a plan, and walks it. */
#include "mock/script.h"

#include "base/clock.h"
#include "mock/schema.h"

enum {
    ECHO_BYTES_MAX = 160,    /* of the client's text in the greeting */
    THINKING_TOKENS = 24,    /* when a request asks for thinking, and the plan says nothing */
};

/* The signature of thinking; it only has to be sent back unchanged. */
static const char signature[] =
    "EosBCkYICBgCKkBNb2NrU2lnbmF0dXJlT2ZUaGVTaW11bGF0ZWRQcm92aWRlckJ1aWx0SW50b09wZW5DbGF3VGhlVGlk"
    "ZUNvbWVzSW5Ud2ljZUFEYXlBbmROb2JvZHlIYXNUb0Fzaw==";

/* --- making a script --- */

int64_t
mock_input_tokens(const struct llm_request *r)
{
    return MAX(llm_request_estimate_tokens(r), 1);
}

/* The last text of the last user message that has one, for the greeting and the echo. */
static struct str
last_text(const struct llm_request *r)
{
    struct str text = S("");

    for (const struct llm_message *m = r->messages; m != NULL; m = m->next)
        for (const struct llm_part *p = m->parts; p != NULL && m->role == ROLE_USER; p = p->next)
            if (p->kind == PART_TEXT)
                text = p->text;
    return text;
}

/* Does the last message answer a call? */
static bool
is_after_tool(const struct llm_request *r)
{
    bool after = false;

    for (const struct llm_message *m = r->messages; m != NULL; m = m->next) {
        after = false;
        for (const struct llm_part *p = m->parts; p != NULL; p = p->next)
            after |= p->kind == PART_TOOL_RESULT;
    }
    return after;
}

static bool
wants_thinking(const struct llm_request *r)
{
    return r->reasoning_budget > 0 || json_str_is(json_at(r->doc, "thinking.type"), S("adaptive"));
}

static struct str
example(struct arena *a, struct str schema, unsigned seed)
{
    return mock_schema_example(a, schema.n > 0 ? json_parse(a, schema, NULL, NULL) : NULL, seed);
}

static struct str
greeting(struct arena *a, struct str asked)
{
    struct str head = mock_text_head(asked, ECHO_BYTES_MAX);

    return arena_printf(a,
        "Hello! I am the simulated provider that is built into OpenClaw: no model has read your"
        " message \"" STR_FMT "%s\", but everything around this answer is real, from routing and"
        " streaming to token counts. To talk to a real model, set OPENAI_API_KEY or"
        " ANTHROPIC_API_KEY in the environment and start OpenClaw again.",
        STR_ARG(head), head.n < asked.n ? "..." : "");
}

static struct mock_run
choose_text(struct mock_script *s, const struct llm_request *r, struct str asked,
    const struct mock_plan *plan)
{
    if (plan->text.n != 0)
        return mock_run_of(arena_str(s->arena, plan->text));
    if (plan->echo)
        return mock_run_of(arena_str(s->arena, asked));
    if (s->call_count != 0)
        return (struct mock_run){ .tokens = 0 };
    if (r->format == FORMAT_JSON || r->format == FORMAT_SCHEMA)
        return mock_run_of(example(s->arena, r->schema, 0));
    if (plan->tokens != 0)
        return mock_run_endless(plan->tokens);
    return mock_run_of(greeting(s->arena, asked));
}

/* How many calls, and of which tools: as the plan says, or one if the request requires a call.
 * Tools that the provider runs itself are not called. */
static void
make_calls(struct mock_script *s, const struct llm_request *r, const struct mock_plan *plan)
{
    const struct llm_tool *first = r->tools;
    bool must = r->choice == CHOICE_REQUIRED || r->choice == CHOICE_NAMED;
    uint64_t count = plan->tools;

    while (first != NULL && first->raw != NULL)
        first = first->next;
    if (first == NULL || r->choice == CHOICE_NONE || (is_after_tool(r) && !must))
        return;
    if (count == 0 && must)
        count = 1;
    if (r->parallel_tools == NO)
        count = MIN(count, 1);

    const struct llm_tool *named = first;

    while (named != NULL && (named->raw != NULL || !str_eq(named->name, r->choice_name)))
        named = named->next;
    if (named == NULL)
        named = first;

    const struct llm_tool *tool = r->choice == CHOICE_NAMED ? named : first;

    s->calls = arena_array(s->arena, struct mock_call, count + 1);
    s->call_count = count;
    for (size_t i = 0; i < count; i++) {
        s->calls[i] = (struct mock_call){
            .id = mock_random_id(s->arena, s->provider->call_id),
            .name = arena_str(s->arena, tool->name),
            .args = mock_run_of(tool->custom ? S("the tide is coming in")
                                             : example(s->arena, tool->schema, (unsigned)i)),
            .custom = tool->custom,
        };
        do
            tool = tool->next != NULL ? tool->next : r->tools;
        while (tool->raw != NULL || (r->choice == CHOICE_NAMED && tool != named));
    }
}

/* Cuts the text before the first of the stop sequences. */
static void
stop_text(struct mock_script *s, const struct llm_word *stop)
{
    struct str text = str_skip(s->text.base, s->text.start);
    size_t best = text.n;
    struct str sequence = S("");

    for (; stop != NULL; stop = stop->next) {
        size_t found = stop->text.n != 0 ? str_find(text, stop->text) : text.n;

        if (found < best) {
            best = found;
            sequence = stop->text;
        }
    }

    struct mock_run cut = mock_run_of(str_make(text.p, best));

    if (sequence.n == 0 || cut.tokens >= s->text.tokens)
        return;
    s->text = cut;
    s->stop_sequence = arena_str(s->arena, sequence);
}

static enum llm_finish
choose_finish(const struct mock_script *s, const struct mock_plan *plan, bool cut)
{
    if (str_eq(plan->finish, S("stop")))
        return FINISH_STOP;
    if (str_eq(plan->finish, S("filter")))
        return FINISH_FILTER;
    if (cut || str_eq(plan->finish, S("length")))
        return FINISH_LENGTH;
    return s->call_count != 0 ? FINISH_TOOLS : FINISH_STOP;
}

static bool
cut_run(struct mock_run *run, uint64_t *left)
{
    bool cut = run->tokens > *left;

    if (cut)
        run->tokens = *left;
    *left -= run->tokens;
    return cut;
}

void
mock_script_make(struct mock_script *s, const struct llm_request *r, struct str prompt,
    const struct mock_plan *plan)
{
    uint64_t thinking = plan->reasoning != MOCK_UNSET ? plan->reasoning
                        : wants_thinking(r)           ? THINKING_TOKENS
                                                      : 0;
    uint64_t left = r->max_tokens > 0 ? (uint64_t)r->max_tokens : MOCK_UNSET;

    s->id = mock_random_id(s->arena, r->op == OP_COMPLETE ? S("cmpl-") : s->provider->id);
    s->model = arena_str(s->arena, r->model);
    s->created_s = (int64_t)(clock_wall_ms() / 1000);
    s->n = (uint32_t)MIN(MAX(r->n, 1), LLM_CHOICES_MAX);
    s->top_logprobs = r->logprobs != NULL ? (int)json_i64(r->top_logprobs, 0) : -1;
    s->event_tokens = plan->event_tokens;
    make_calls(s, r, plan);
    s->reasoning = mock_run_thoughts(thinking);
    s->text = choose_text(s, r, r->op == OP_COMPLETE ? prompt : last_text(r), plan);
    stop_text(s, r->stop);

    bool cut = cut_run(&s->reasoning, &left);
    cut |= cut_run(&s->text, &left);
    for (size_t i = 0; i < s->call_count; i++)
        cut |= cut_run(&s->calls[i].args, &left);
    if (cut)
        s->stop_sequence.n = 0;
    s->finish = choose_finish(s, plan, cut);

    uint64_t output = s->reasoning.tokens + s->text.tokens;

    for (size_t i = 0; i < s->call_count; i++)
        output += s->calls[i].args.tokens + 1;

    int64_t input = mock_input_tokens(r);
    int64_t cached = MIN((int64_t)MIN(plan->cached, INT32_MAX), input);

    s->usage = (struct llm_usage){ 0 };
    usage_set(&s->usage, COUNT_INPUT, input);
    usage_set(&s->usage, COUNT_CACHED, cached);
    usage_set(&s->usage, COUNT_CACHE_WRITE,
        MIN((int64_t)MIN(plan->cache_write, INT32_MAX), input - cached));
    usage_set(&s->usage, COUNT_OUTPUT, (int64_t)output * s->n);
    usage_set(&s->usage, COUNT_REASONING, (int64_t)s->reasoning.tokens * s->n);
}

/* --- the walk --- */

enum {
    PHASE_START,
    PHASE_REASONING,
    PHASE_SIGNATURE,
    PHASE_TEXT,
    PHASE_LOGPROBS,    /* of the text just given */
    PHASE_CALL,
    PHASE_ARGS,
    PHASE_CALL_END,
    PHASE_FINISH,
    PHASE_USAGE,
    PHASE_END,
    PHASE_OVER
};

static void
enter(struct mock_cursor *c, unsigned phase)
{
    c->phase = phase;
    c->given = 0;
}

/* Takes the next few tokens of a run as one step. False at its end. */
static bool
next_of_run(const struct mock_script *s, const struct mock_run *run, struct mock_cursor *c,
    enum llm_event_kind kind)
{
    if (c->given >= run->tokens)
        return false;

    size_t at = c->given == 0 ? run->start : c->at;
    struct str text = mock_run_next(run, &at);
    uint64_t tokens = 1;

    while (tokens < s->event_tokens && c->given + tokens < run->tokens && at < run->base.n) {
        text.n += mock_run_next(run, &at).n;
        tokens++;
    }
    c->step = (struct mock_step){
        .event = { .kind = kind, .tool = (uint32_t)c->call, .text = text },
        .tokens = tokens,
        .timed = true,
    };
    c->at = at;
    c->given += tokens;
    return true;
}

static bool
give(struct mock_cursor *c, struct llm_event event, unsigned next_phase)
{
    c->step = (struct mock_step){ .event = event };
    enter(c, next_phase);
    return true;
}

/* Finds the next step for choice 0; the other choices repeat it. */
static bool
advance(const struct mock_script *s, struct mock_cursor *c)
{
    const struct mock_call *call = c->call < s->call_count ? &s->calls[c->call] : NULL;
    struct llm_usage begun = s->usage;

    switch (c->phase) {
    case PHASE_START:
        begun.output = 1;
        begun.known &= ~(1u << COUNT_REASONING);
        return give(c,
            (struct llm_event){ .kind = EVENT_START,
                .id = s->id,
                .model = s->model,
                .created_s = s->created_s,
                .usage = begun },
            PHASE_REASONING);
    case PHASE_REASONING:
        if (next_of_run(s, &s->reasoning, c, EVENT_REASONING))
            return true;
        enter(c, s->reasoning.tokens != 0 && s->provider->signs ? PHASE_SIGNATURE : PHASE_TEXT);
        return advance(s, c);
    case PHASE_SIGNATURE:
        return give(c, (struct llm_event){ .kind = EVENT_SIGNATURE, .signature = str_c(signature) },
            PHASE_TEXT);
    case PHASE_TEXT:
        if (next_of_run(s, &s->text, c, EVENT_TEXT)) {
            c->phase = s->top_logprobs >= 0 ? PHASE_LOGPROBS : PHASE_TEXT;
            return true;
        }
        enter(c, PHASE_CALL);
        return advance(s, c);
    case PHASE_LOGPROBS:    /* mock_script_emit() makes them from the text */
        c->step.event.kind = EVENT_LOGPROBS;
        c->step.timed = false;
        c->phase = PHASE_TEXT;
        return true;
    case PHASE_CALL:
        if (call == NULL) {
            enter(c, PHASE_FINISH);
            return advance(s, c);
        }
        (void)give(c,
            (struct llm_event){ .kind = EVENT_TOOL_START,
                .tool = (uint32_t)c->call,
                .id = call->id,
                .name = call->name,
                .custom = call->custom },
            PHASE_ARGS);
        c->step.tokens = 1;
        c->step.timed = true;
        return true;
    case PHASE_ARGS:
        CHECK(call != NULL);
        if (next_of_run(s, &call->args, c, EVENT_TOOL_ARGS)) {
            c->step.event.custom = call->custom;
            return true;
        }
        return give(c, (struct llm_event){ .kind = EVENT_TOOL_END, .tool = (uint32_t)c->call++ },
            PHASE_CALL);
    case PHASE_FINISH:
        return give(c,
            (struct llm_event){
                .kind = EVENT_FINISH, .finish = s->finish, .stop_sequence = s->stop_sequence },
            PHASE_USAGE);
    case PHASE_USAGE:
        return give(c, (struct llm_event){ .kind = EVENT_USAGE, .usage = s->usage }, PHASE_END);
    case PHASE_END:
        return give(c, (struct llm_event){ .kind = EVENT_END }, PHASE_OVER);
    default:
        return false;
    }
}

static bool
is_of_a_choice(const struct mock_step *step)
{
    return step->event.kind != EVENT_START && step->event.kind != EVENT_USAGE &&
           step->event.kind != EVENT_END;
}

bool
mock_script_next(const struct mock_script *s, struct mock_cursor *c, struct mock_step *ret)
{
    if (c->choice == 0 || c->choice >= s->n || !is_of_a_choice(&c->step)) {
        c->choice = 0;
        if (!advance(s, c))
            return false;
    }
    *ret = c->step;
    ret->event.choice = c->choice++;
    return true;
}

/* --- log probabilities --- */

static void
add_one_logprob(struct buf *out, struct str token, unsigned rank)
{
    buf_add(out, S("{\"token\":"));
    json_add_str(out, token);
    buf_printf(out, ",\"logprob\":-%u.%02u,\"bytes\":[", rank, 1 + (unsigned)(token.n % 7));
    for (size_t i = 0; i < token.n; i++)
        buf_printf(out, "%s%u", i > 0 ? "," : "", (unsigned)(unsigned char)token.p[i]);
    buf_add_c(out, ']');
}

/* One entry per token of a text. */
static void
add_logprobs(struct buf *out, struct str text, uint64_t tokens, int top)
{
    static const char *const others[] = { " the", " a", " and", " of", " to" };
    struct mock_run run = { .base = text, .tokens = tokens };
    size_t at = 0;

    buf_add(out, S("{\"content\":["));
    for (uint64_t i = 0; i < tokens; i++) {
        struct str token = mock_run_next(&run, &at);

        buf_add(out, i > 0 ? S(",") : S(""));
        add_one_logprob(out, token, 0);
        buf_add(out, S(",\"top_logprobs\":["));
        for (int k = 0; k < top; k++) {
            buf_add(out, k > 0 ? S(",") : S(""));
            add_one_logprob(
                out, k == 0 ? token : str_c(others[k % (int)ARRAY_LEN(others)]), (unsigned)k);
            buf_add_c(out, '}');
        }
        buf_add(out, S("]}"));
    }
    buf_add(out, S("],\"refusal\":null}"));
}

void
mock_script_emit(const struct mock_script *s, const struct mock_step *step, struct event_sink *sink)
{
    struct llm_event ev = step->event;
    struct buf raw;

    if (ev.kind != EVENT_LOGPROBS) {
        sink->emit(sink, &ev);
        return;
    }
    buf_init(&raw, SIZE_MAX);
    add_logprobs(&raw, ev.text, step->tokens, s->top_logprobs);
    ev = (struct llm_event){ .kind = EVENT_LOGPROBS, .choice = ev.choice, .raw = buf_str(&raw) };
    sink->emit(sink, &ev);
    buf_fini(&raw);
}

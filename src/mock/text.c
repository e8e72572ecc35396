/* text.c - the text of simulated answers, and how it is split into tokens. */
#include "mock/text.h"

#include <stdarg.h>
#include <stdio.h>

#include "mock/schema.h"
#include "base/clock.h"

enum {
    TOKEN_BYTES_MAX = 12,    /* longer words are several tokens */
    ECHO_BYTES_MAX = 160,    /* of the client's text in the greeting */
    IMAGE_TOKENS = 85,
};

/* Every word has a leading blank, so that the text can be repeated without a break. */
static const char tide[] =
    " The tide comes in twice a day and nobody has to ask for it. A crab under the pier counts the"
    " waves, loses count, and starts again with the same patience. Boats lean on their ropes, gulls"
    " argue about nothing in particular, and the lighthouse keeper writes one line in a book: wind"
    " from the west, all well. When the water leaves it takes the footprints along and gives back a"
    " few shells in exchange, which seems a fair price. Children sort them by colour, then by size,"
    " then by how much sea can still be heard inside. In the evening the light turns once every ten"
    " seconds, and whoever is out there knows where the land begins.";

static const char thoughts[] = " The user wants an answer. I should look at what was asked, keep "
                               "it short, and say plainly that"
                               " this is a simulation.";

static size_t
character_length(struct str s, size_t at)
{
    size_t n = 1;

    while (at + n < s.n && ((unsigned char)s.p[at + n] & 0xc0) == 0x80)
        n++;
    return n;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* The token of `s` that starts at `at`: leading blanks, then letters up to the next blank. */
static struct str
token_at(struct str s, size_t at)
{
    size_t end = at;

    while (end < s.n && is_blank(s.p[end]) && end - at < TOKEN_BYTES_MAX)
        end++;
    while (end < s.n && !is_blank(s.p[end]) && end - at < TOKEN_BYTES_MAX)
        end += character_length(s, end);
    return str_make(s.p + at, end - at);
}

struct str
mock_run_next(const struct mock_run *run, size_t *at)
{
    if (*at >= run->base.n)
        *at = 0;

    struct str token = token_at(run->base, *at);
    *at += token.n;
    return token;
}

struct mock_run
mock_run_of(struct str text)
{
    struct mock_run run = { .base = text };

    for (size_t at = 0; at < text.n; run.tokens++)
        at += token_at(text, at).n;
    return run;
}

static struct mock_run
endless(const char *text, uint64_t tokens)
{
    return (struct mock_run){ .base = str_c(text), .start = 1, .tokens = tokens };
}

struct mock_run
mock_run_endless(uint64_t tokens)
{
    return endless(tide, tokens);
}

struct mock_run
mock_run_stop(struct mock_run run, const struct str *stops, size_t count, struct str *ret_stop)
{
    struct str text = str_skip(run.base, run.start);
    size_t best = text.n;

    *ret_stop = (struct str){ NULL, 0 };
    for (size_t i = 0; i < count; i++) {
        size_t found = stops[i].n != 0 ? str_find(text, stops[i]) : text.n;
        if (found < best) {
            best = found;
            *ret_stop = stops[i];
        }
    }
    if (ret_stop->n == 0)
        return run;

    struct mock_run cut = mock_run_of(str_make(text.p, best));
    if (cut.tokens < run.tokens)
        return cut;
    *ret_stop = (struct str){ NULL, 0 };
    return run;
}

void
mock_run_write(struct buf *out, const struct mock_run *run)
{
    size_t at = run->start;

    for (uint64_t i = 0; i < run->tokens && !out->overflow; i++)
        json_add_escaped(out, mock_run_next(run, &at));
}

/* --- the walk --- */

enum {
    PHASE_START,
    PHASE_REASONING,
    PHASE_TEXT,
    PHASE_CALL,
    PHASE_ARGS,
    PHASE_FINISH,
    PHASE_END,
    PHASE_OVER
};

bool
mock_step_is_token(const struct mock_step *step)
{
    return step->kind != MOCK_STEP_START && step->kind != MOCK_STEP_FINISH &&
           step->kind != MOCK_STEP_END;
}

/* Takes the next few tokens of a run as one step. False at its end. */
static bool
next_of_run(const struct mock_script *s, const struct mock_run *run, struct mock_cursor *c,
    enum mock_step_kind kind)
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
        .kind = kind,
        .call = c->call,
        .text = text,
        .tokens = tokens,
        .first = c->given == 0,
        .last = c->given + tokens >= run->tokens,
    };
    c->at = at;
    c->given += tokens;
    return true;
}

static void
enter(struct mock_cursor *c, unsigned phase)
{
    c->phase = phase;
    c->given = 0;
}

/* Finds the next step for choice 0; the other choices repeat it. */
static bool
advance(const struct mock_script *s, struct mock_cursor *c)
{
    for (;;) {
        switch (c->phase) {
        case PHASE_START:
            c->step = (struct mock_step){ .kind = MOCK_STEP_START };
            enter(c, PHASE_REASONING);
            return true;
        case PHASE_REASONING:
            if (next_of_run(s, &s->reasoning, c, MOCK_STEP_REASONING))
                return true;
            enter(c, PHASE_TEXT);
            break;
        case PHASE_TEXT:
            if (next_of_run(s, &s->text, c, MOCK_STEP_TEXT))
                return true;
            enter(c, PHASE_CALL);
            break;
        case PHASE_CALL:
            if (c->call >= s->call_count) {
                enter(c, PHASE_FINISH);
                break;
            }
            c->step = (struct mock_step){
                .kind = MOCK_STEP_CALL,
                .call = c->call,
                .tokens = 1,
                .first = true,
            };
            enter(c, PHASE_ARGS);
            return true;
        case PHASE_ARGS:
            if (next_of_run(s, &s->calls[c->call].args, c, MOCK_STEP_ARGS))
                return true;
            c->call++;
            enter(c, PHASE_CALL);
            break;
        case PHASE_FINISH:
            c->step = (struct mock_step){ .kind = MOCK_STEP_FINISH };
            enter(c, PHASE_END);
            return true;
        case PHASE_END:
            c->step = (struct mock_step){ .kind = MOCK_STEP_END };
            enter(c, PHASE_OVER);
            return true;
        default:
            return false;
        }
    }
}

bool
mock_script_next(const struct mock_script *s, struct mock_cursor *c, struct mock_step *ret)
{
    bool told_all = c->choice == 0 || c->choice >= s->n || c->step.kind == MOCK_STEP_END;

    if (told_all) {
        c->choice = 0;
        if (!advance(s, c))
            return false;
    }
    *ret = c->step;
    ret->choice = c->choice++;
    return true;
}

/* --- making a script --- */

uint64_t
mock_input_tokens(const struct mock_ask *ask)
{
    return 1 + ask->text_bytes / 4 + ask->images * IMAGE_TOKENS;
}

static struct str
greeting(struct arena *a, struct str asked)
{
    size_t n = 0;

    while (n < asked.n && n < ECHO_BYTES_MAX)
        n += character_length(asked, n);
    return arena_printf(a,
        "Hello! I am the simulated provider that is built into OpenClaw: no model has read your"
        " message \"" STR_FMT "%s\", but everything around this answer is real, from routing and"
        " streaming to token counts. To talk to a real model, set OPENAI_API_KEY or"
        " ANTHROPIC_API_KEY in the environment and start OpenClaw again.",
        STR_ARG(str_make(asked.p, n)), n < asked.n ? "..." : "");
}

static struct mock_run
choose_text(struct mock_script *s, const struct mock_ask *ask, const struct mock_plan *plan)
{
    if (plan->text.n != 0)
        return mock_run_of(arena_str(s->arena, plan->text));
    if (plan->echo)
        return mock_run_of(arena_str(s->arena, ask->last_text));
    if (s->call_count != 0)
        return (struct mock_run){ .tokens = 0 };
    if (ask->want_json)
        return mock_run_of(mock_schema_example(s->arena, ask->schema, 0));
    if (plan->tokens != 0)
        return mock_run_endless(plan->tokens);
    return mock_run_of(greeting(s->arena, ask->last_text));
}

static void
make_call(struct mock_script *s, const struct mock_tool *tool, size_t i)
{
    struct mock_call *call = &s->calls[i];

    call->name = arena_str(s->arena, tool->name);
    call->custom = tool->custom;
    call->args =
        mock_run_of(tool->custom ? S("the tide is coming in")
                                 : mock_schema_example(s->arena, tool->schema, (unsigned)i));
}

/* How many calls, and of which tools: as the plan says, or one if the request requires a call. */
static void
make_calls(struct mock_script *s, const struct mock_ask *ask, const struct mock_plan *plan)
{
    uint64_t count = plan->tools;
    size_t first = 0;

    if (ask->tool_count == 0 || ask->choice == MOCK_NO_CALLS)
        return;
    if (ask->after_tool && ask->choice == MOCK_AUTO)
        count = 0;
    if (count == 0 && (ask->choice == MOCK_MUST_CALL || ask->choice == MOCK_CALL_NAMED))
        count = 1;
    if (ask->one_call)
        count = MIN(count, 1);
    for (size_t i = 0; ask->choice == MOCK_CALL_NAMED && i < ask->tool_count; i++)
        if (str_eq(ask->tools[i].name, ask->choice_name))
            first = i;

    s->calls = arena_array(s->arena, struct mock_call, count + 1);
    s->call_count = count;
    for (size_t i = 0; i < count; i++) {
        size_t at = ask->choice == MOCK_CALL_NAMED ? first : i % ask->tool_count;
        make_call(s, &ask->tools[at], i);
    }
}

static enum mock_finish
choose_finish(const struct mock_script *s, const struct mock_plan *plan, bool cut)
{
    if (str_eq(plan->finish, S("stop")))
        return MOCK_FINISH_STOP;
    if (str_eq(plan->finish, S("filter")))
        return MOCK_FINISH_FILTER;
    if (cut || str_eq(plan->finish, S("length")))
        return MOCK_FINISH_LENGTH;
    return s->call_count != 0 ? MOCK_FINISH_CALLS : MOCK_FINISH_STOP;
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
mock_script_make(struct mock_script *s, const struct mock_ask *ask, const struct mock_plan *plan)
{
    uint64_t thinking = plan->reasoning != MOCK_UNSET ? plan->reasoning : ask->thinking ? 24 : 0;
    uint64_t left = ask->max_tokens > 0 ? (uint64_t)ask->max_tokens : MOCK_UNSET;

    s->model = arena_str(s->arena, ask->model);
    s->created_s = clock_wall_ms() / 1000;
    s->n = MAX(ask->n, 1);
    s->want_usage = ask->want_usage;
    s->top_logprobs = ask->top_logprobs;
    s->event_tokens = plan->event_tokens;
    make_calls(s, ask, plan);
    s->reasoning = endless(thoughts, thinking);
    s->text = choose_text(s, ask, plan);
    s->text = mock_run_stop(s->text, ask->stops, ask->stop_count, &s->stop_sequence);
    s->stop_sequence = arena_str(s->arena, s->stop_sequence);

    bool cut = cut_run(&s->reasoning, &left);
    cut |= cut_run(&s->text, &left);
    for (size_t i = 0; i < s->call_count; i++)
        cut |= cut_run(&s->calls[i].args, &left);
    if (cut)
        s->stop_sequence.n = 0;
    s->finish = choose_finish(s, plan, cut);

    s->input_tokens = mock_input_tokens(ask);
    s->cached_tokens = MIN(plan->cached, s->input_tokens);
    s->written_tokens = MIN(plan->cache_write, s->input_tokens - s->cached_tokens);
    s->output_tokens = s->reasoning.tokens + s->text.tokens;
    for (size_t i = 0; i < s->call_count; i++)
        s->output_tokens += s->calls[i].args.tokens + 1;
    s->output_tokens *= s->n;
}

bool
mock_refuse(struct mock_ask *ask, struct mock_refusal *ret, int status, const char *code,
    struct str param, const char *format, ...)
{
    char message[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    *ret = (struct mock_refusal){
        .status = status,
        .code = str_c(code),
        .param = param,
        .message = arena_str(ask->arena, str_c(message)),
    };
    return false;
}

void
mock_random_id(char *room, size_t n)
{
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint64_t bits = 0;

    for (size_t i = 0; i < n; i++) {
        if (i % 10 == 0)
            bits = clock_random_u64();
        room[i] = letters[bits % (sizeof(letters) - 1)];
        bits /= sizeof(letters) - 1;
    }
    room[n] = '\0';
}

struct str
mock_make_id(struct arena *a, const char *prefix, size_t n)
{
    size_t head = strlen(prefix);
    char *room = arena_alloc(a, head + n + 1, 1);

    memcpy(room, prefix, head);
    mock_random_id(room + head, n);
    return str_make(room, head + n);
}

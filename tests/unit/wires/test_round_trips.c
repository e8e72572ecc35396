/* test_round_trips.c - generated conversations, from each protocol to each other one and back.
 *
 * A conversation is written as requests of protocol A have it, read, written for a provider of B, read, written for a
 * provider of A, and read again: every fact that both can express is still there, and what B cannot express was named
 * as dropped. What a protocol cannot express is said in a table here, on its own.
 */
#include <stdlib.h>

#include "llm/effort.h"
#include "llm/write.h"
#include "tests/test.h"
#include "tests/unit/wires/conversations.h"

enum { TRIALS = 60, TRIALS_DEEP = 1000 };

enum kind {
    TEXT,
    SYSTEM,
    NAME,
    IMAGE,
    IMAGE_URL,
    PDF,
    AUDIO,
    CALL,
    CALL_SIGNATURE,
    RESULT,
    RESULT_ERROR,
    CLAUDES_REASONING,
    OPENAIS_REASONING,
    GEMINIS_REASONING,
    MARK,
    TOOL,
    TOOL_SCHEMA,
    TOOL_STRICT,
    TOOL_CHOICE,
    NO_PARALLEL,
    JSON_MODE,
    SCHEMA,
    SCHEMA_NAME,
    SCHEMA_STRICT,
    MAX_TOKENS,
    STOP,
    USER,
    EFFORT,
    NO_REASONING,
    TIER,
    N,
    STREAM,
    FIRST_PARAM,
    KINDS = FIRST_PARAM + PARAM_NODES,
};

static const char *const kind_names[] = { "text", "system", "name", "image", "image by URL", "PDF",
    "audio", "call", "call's signature", "result", "failed result", "Claude's reasoning",
    "OpenAI's reasoning", "Gemini's reasoning", "cache mark", "tool", "tool's schema",
    "strict tool", "tool choice", "no parallel calls", "JSON mode", "schema", "schema's name",
    "strict schema", "max tokens", "stop", "user", "effort", "no reasoning", "tier", "n",
    "stream" };

static const char *
kind_name(unsigned kind)
{
    return kind < FIRST_PARAM ? kind_names[kind]
                              : param_name(kind - FIRST_PARAM, PARAMS_OPENAI_CHAT);
}

/* --- what a protocol can say --- */

enum {
    CHAT = 1,
    RESPONSES = 2,
    CLAUDE = 4,
    OLLAMA = 8,
    BEDROCK = 16,
    GEMINI = 32,
    COHERE = 64,
    EVERY = 127,
};

static unsigned
bit_of(const struct wire *wire)
{
    return wire == &wire_openai_chat        ? CHAT
           : wire == &wire_openai_responses ? RESPONSES
           : wire == &wire_anthropic        ? CLAUDE
           : wire == &wire_ollama           ? OLLAMA
           : wire == &wire_bedrock          ? BEDROCK
           : wire == &wire_gemini           ? GEMINI
                                            : COHERE;
}

/* Whose requests have a place for it. */
static const struct {
    unsigned who;
    bool beside;    /* Claude takes it only beside some others, and it is noted where it does not */
    bool noted;     /* a note says that it is left out: */
    const char *other;    /* by this name, if it is none of params.def's */
    enum param param;
} places[KINDS] = {
    [TEXT] = { .who = EVERY },
    [SYSTEM] = { .who = EVERY },
    [IMAGE] = { .who = EVERY },
    [IMAGE_URL] = { .who = EVERY },
    [PDF] = { .who = EVERY },
    [AUDIO] = { .who = EVERY },
    [CALL] = { .who = EVERY },
    [RESULT] = { .who = EVERY },
    [RESULT_ERROR] = { .who = CLAUDE | BEDROCK | GEMINI, .noted = true, .other = "is_error" },
    /* only the models that signed it can read it */
    [CLAUDES_REASONING] = { .who = CLAUDE | BEDROCK },
    [OPENAIS_REASONING] = { .who = RESPONSES },
    [GEMINIS_REASONING] = { .who = GEMINI },
    [CALL_SIGNATURE] = { .who = GEMINI },
    [MARK] = { .who = CLAUDE | BEDROCK, .noted = true, .other = "cache_control" },
    [TOOL] = { .who = EVERY },
    [TOOL_SCHEMA] = { .who = EVERY },
    [TOOL_STRICT] = { .who = CHAT | RESPONSES | CLAUDE | BEDROCK,
        .noted = true,
        .other = "strict" },
    [TOOL_CHOICE] = { .who = CHAT | RESPONSES | CLAUDE | GEMINI,
        .noted = true,
        .other = "tool_choice" },
    [NO_PARALLEL] = { .who = CHAT | RESPONSES | CLAUDE | BEDROCK,
        .beside = true,
        .noted = true,
        .param = PARAM_parallel_tools },
    [JSON_MODE] = { .who = CHAT | RESPONSES | OLLAMA | GEMINI,
        .noted = true,
        .param = PARAM_format },
    [SCHEMA] = { .who = EVERY & ~COHERE,
        .noted = true,
        .param = PARAM_format },    /* Cohere has it only where there are no tools */
    [SCHEMA_NAME] = { .who = CHAT | RESPONSES | BEDROCK },
    [SCHEMA_STRICT] = { .who = CHAT | RESPONSES },
    [MAX_TOKENS] = { .who = EVERY },
    [STOP] = { .who = EVERY & ~RESPONSES },    /* we cut */
    [USER] = { .who = CHAT | RESPONSES | CLAUDE, .noted = true, .param = PARAM_user },
    [EFFORT] = { .who = EVERY, .beside = true, .noted = true, .param = PARAM_effort },
    [NO_REASONING] = { .who = RESPONSES | OLLAMA | GEMINI | COHERE },
    [TIER] = { .who = CHAT | RESPONSES | BEDROCK | GEMINI,
        .noted = true,
        .param = PARAM_service_tier },
    [N] = { .who = CHAT | GEMINI },    /* else it is refused */
    [STREAM] = { .who = EVERY },
    [FIRST_PARAM + PARAM_temperature] = { .who = EVERY,
        .beside = true,
        .noted = true,
        .param = PARAM_temperature },
    [FIRST_PARAM +
        PARAM_top_p] = { .who = EVERY, .beside = true, .noted = true, .param = PARAM_top_p },
    [FIRST_PARAM + PARAM_top_k] = { .who = EVERY & ~(CHAT | RESPONSES),
        .beside = true,
        .noted = true,
        .param = PARAM_top_k },
    [FIRST_PARAM + PARAM_presence_penalty] = { .who = CHAT | OLLAMA | GEMINI | COHERE,
        .noted = true,
        .param = PARAM_presence_penalty },
    [FIRST_PARAM + PARAM_frequency_penalty] = { .who = CHAT | OLLAMA | GEMINI | COHERE,
        .noted = true,
        .param = PARAM_frequency_penalty },
    [FIRST_PARAM + PARAM_seed] = { .who = CHAT | OLLAMA | GEMINI | COHERE,
        .noted = true,
        .param = PARAM_seed },
    [FIRST_PARAM + PARAM_logprobs] = { .who = EVERY & ~(CLAUDE | BEDROCK),
        .noted = true,
        .param = PARAM_logprobs },
    [FIRST_PARAM + PARAM_top_logprobs] = { .who = CHAT | RESPONSES | OLLAMA | GEMINI,
        .noted = true,
        .param = PARAM_top_logprobs },
    [FIRST_PARAM + PARAM_logit_bias] = { .who = CHAT, .noted = true, .param = PARAM_logit_bias },
    [FIRST_PARAM + PARAM_metadata] = { .who = BEDROCK, .noted = true, .param = PARAM_metadata },
    [FIRST_PARAM +
        PARAM_verbosity] = { .who = CHAT | RESPONSES, .noted = true, .param = PARAM_verbosity },
};

/* --- its facts --- */

struct listing {
    struct facts *f;
    const struct llm_request *r;
    unsigned turn;
    enum llm_role side;
};

static const char *
where(const struct listing *l)
{
    return arena_printf(l->f->a, "%u %s", l->turn, l->side == ROLE_ASSISTANT ? "assistant" : "user")
        .p;
}

/* The place of a call among all calls, by its id; the latest one counts. */
static unsigned
call_number(const struct llm_request *r, struct str id, const struct llm_part *before)
{
    unsigned n = 0;
    unsigned found = 999;

    for (const struct llm_message *m = r->messages; m != NULL; m = m->next)
        for (const struct llm_part *p = m->parts; p != NULL; p = p->next) {
            if (p == before)
                return found;
            if (p->kind == PART_TOOL_CALL) {
                found = str_eq(p->id, id) ? n : found;
                n++;
            }
        }
    return found;
}

static void
list_media(struct listing *l, const struct llm_part *p)
{
    struct facts *f = l->f;

    if (p->kind == PART_IMAGE && p->url.n > 0)
        fact_add(f, IMAGE_URL, arena_printf(f->a, "%u " STR_FMT, l->turn, STR_ARG(p->url)));
    else if (p->kind == PART_IMAGE)
        fact_add(f, IMAGE,
            arena_printf(
                f->a, "%u " STR_FMT " " STR_FMT, l->turn, STR_ARG(p->mime), STR_ARG(p->data)));
    else if (p->kind == PART_FILE)
        fact_add(f, PDF,
            arena_printf(
                f->a, "%u " STR_FMT " " STR_FMT, l->turn, STR_ARG(p->mime), STR_ARG(p->data)));
    else if (p->kind == PART_AUDIO)
        fact_add(f, AUDIO,
            arena_printf(
                f->a, "%u " STR_FMT " " STR_FMT, l->turn, STR_ARG(p->mime), STR_ARG(p->data)));
}

static void
list_part(struct listing *l, const struct llm_part *p)
{
    static const unsigned reasoning[ORIGINS] = { [ORIGIN_ANTHROPIC] = CLAUDES_REASONING,
        [ORIGIN_OPENAI] = OPENAIS_REASONING,
        [ORIGIN_GEMINI] = GEMINIS_REASONING };
    struct facts *f = l->f;

    switch (p->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        fact_add_words(f, TEXT, where(l), p->text);
        break;
    case PART_TOOL_CALL:
        fact_add(f, CALL,
            arena_printf(f->a, "%u " STR_FMT " " STR_FMT, l->turn, STR_ARG(p->name),
                STR_ARG(p->args.n > 0 ? p->args : S("{}"))));
        if (p->signature.n > 0)
            fact_add(f, CALL_SIGNATURE,
                arena_printf(f->a, "%u " STR_FMT, l->turn, STR_ARG(p->signature)));
        break;
    case PART_TOOL_RESULT: {
        unsigned number = call_number(l->r, p->id, p);

        for (const struct llm_part *c = p->result; c != NULL; c = c->next) {
            if (c->kind == PART_TEXT)
                fact_add_words(f, RESULT, arena_printf(f->a, "of %u", number).p, c->text);
            else
                list_media(l, c);
        }
        if (p->is_error)
            fact_add(f, RESULT_ERROR, arena_printf(f->a, "of %u", number));
        break;
    }
    case PART_REASONING:
        if (p->signature.n > 0 && reasoning[p->origin] != 0)
            fact_add(f, reasoning[p->origin],
                arena_printf(f->a, "%u " STR_FMT " " STR_FMT, l->turn, STR_ARG(p->text),
                    STR_ARG(p->signature)));
        break;
    default:
        list_media(l, p);
        break;
    }
    if (p->cache_mark != MARK_NONE)
        fact_add(f, MARK, arena_printf(f->a, "%u", l->turn));
}

static void
list_tools(struct facts *f, const struct llm_request *r)
{
    for (const struct llm_tool *t = r->tools; t != NULL; t = t->next) {
        const struct json *schema = json_parse(f->a, t->schema, NULL, NULL);

        fact_add(f, TOOL,
            arena_printf(f->a, STR_FMT " " STR_FMT, STR_ARG(t->name), STR_ARG(t->description)));
        if (json_count(json_get(schema, S("properties"))) > 0)
            fact_add(f, TOOL_SCHEMA, json_raw(json_get(schema, S("properties"))));
        if (json_present(json_get(schema, S("required"))))
            fact_add(f, TOOL_SCHEMA, json_raw(json_get(schema, S("required"))));
        if (t->strict == YES)
            fact_add(f, TOOL_STRICT, t->name);
    }
    if (r->tools != NULL && r->choice != CHOICE_UNSET && r->choice != CHOICE_AUTO)
        fact_add(
            f, TOOL_CHOICE, arena_printf(f->a, "%d " STR_FMT, r->choice, STR_ARG(r->choice_name)));
    if (r->parallel_tools == NO)
        fact_add(f, NO_PARALLEL, S(""));
}

static void
list_parameters(struct facts *f, const struct llm_request *r)
{
    const struct json *tag = json_get(r->metadata, S("user"));    /* Bedrock's */
    struct str effort = r->effort.n > 0           ? r->effort
                        : r->reasoning_budget > 0 ? effort_word(r->reasoning_budget)
                                                  : S("");

    for (unsigned p = 0; p < PARAM_NODES; p++)
        if (r->params[p] != NULL && (p != PARAM_metadata || tag == NULL))
            fact_add(f, FIRST_PARAM + p, json_raw(r->params[p]));
    if (r->format == FORMAT_JSON)
        fact_add(f, JSON_MODE, S(""));
    if (r->format == FORMAT_SCHEMA) {
        fact_add(f, SCHEMA, r->schema);
        fact_add(f, SCHEMA_NAME, r->schema_name);
        if (r->schema_strict == YES)
            fact_add(f, SCHEMA_STRICT, S(""));
    }
    if (r->max_tokens > 0)
        fact_add(f, MAX_TOKENS, arena_printf(f->a, "%lld", (long long)r->max_tokens));
    for (const struct llm_word *w = r->stop; w != NULL; w = w->next)
        fact_add(f, STOP, w->text);
    if (r->user.n > 0 || tag != NULL)
        fact_add(f, USER, tag != NULL ? json_str(f->a, tag) : r->user);
    if (effort.n > 0 && !str_eq(effort, S("none")))
        fact_add(f, EFFORT, effort);
    if (r->reasoning == NO || str_eq(effort, S("none")))
        fact_add(f, NO_REASONING, S(""));
    if (r->service_tier.n > 0)
        fact_add(f, TIER, r->service_tier);
    if (r->n > 1)
        fact_add(f, N, arena_printf(f->a, "%lld", (long long)r->n));
    if (r->stream)
        fact_add(f, STREAM, S(""));
}

static struct facts
facts_of(const struct llm_request *r)
{
    struct facts f = facts_in(r->arena);
    struct listing l = { .f = &f, .r = r, .side = ROLE_USER };

    for (const struct llm_part *p = r->system; p != NULL; p = p->next)
        fact_add_words(&f, SYSTEM, "", p->text);
    for (const struct llm_message *m = r->messages; m != NULL; m = m->next) {
        enum llm_role side = m->role == ROLE_ASSISTANT ? ROLE_ASSISTANT : ROLE_USER;

        l.turn += side != l.side;
        l.side = side;
        for (const struct llm_part *p = m->parts; p != NULL; p = p->next) {
            if (m->role <= ROLE_DEVELOPER)
                fact_add_words(&f, SYSTEM, "", p->text);
            else
                list_part(&l, p);
        }
    }
    list_tools(&f, r);
    list_parameters(&f, r);
    return f;
}

/* --- there and back --- */

static unsigned wrong;
static unsigned trips[8][8];
static unsigned refused[8][8];

static size_t
place(const struct wire *wire)
{
    size_t i = 0;

    while (wire_at(i) != wire)
        i++;
    CHECK(i < ARRAY_LEN(trips));
    return i;
}

struct target {
    const struct wire *wire;
    struct wire_target target;
};

static struct wire_target
target_of(const struct wire *wire)
{
    struct wire_target t = { .model = S("some-model"),
        .traits = TRAITS(.reasoning = YES, .sampling_fixed = NO, .max_output = 100000) };

    if (wire == &wire_bedrock)
        t.model = S("anthropic.claude-sonnet-4-5-20250929-v1:0");
    else if (wire == &wire_anthropic)
        t.model = S("claude-sonnet-4-5");
    else if (wire == &wire_gemini)
        t.model = S("gemini-2.5-flash");
    else if (wire == &wire_ollama)
        t.model = S("gpt-oss:20b");
    return t;
}

/* Whether there is something that some protocol has no words for, and that a request is nothing without. */
static bool
may_refuse(const struct llm_request *r)
{
    struct facts f = facts_of(r);

    return fact_has(&f, AUDIO) || fact_has(&f, PDF) || fact_has(&f, IMAGE_URL) || r->n > 1;
}

/* Writes `from` for a provider of `to`, and reads it there. False: it was refused. */
static bool
cross(const struct llm_request *from, const struct wire *to, struct llm_request *ret,
    struct wire_drops *drops)
{
    struct wire_target target = target_of(to);
    struct wire_fault fault = { S(""), S("") };
    struct buf out;

    *drops = (struct wire_drops){ .arena = from->arena };
    buf_init(&out, 16 << 20);

    enum err e = write_request(to, &out, from, &target, drops, &fault);
    struct str body = arena_str(from->arena, buf_str(&out));

    buf_fini(&out);
    if (e != OK) {
        if (e != ERR_UNSUPPORTED || fault.message.n == 0 || !may_refuse(from)) {
            print_error("to " STR_FMT ": " STR_FMT "\n", STR_ARG(to->name), STR_ARG(fault.message));
            wrong++;
        }
        return false;
    }
    *ret = (struct llm_request){ .arena = from->arena, .op = OP_CHAT, .wire = to, .body = body };
    if (to->caller->in_path) {
        ret->model = S("m");
        ret->stream = from->stream;
    }
    ret->doc = json_parse(ret->arena, body, NULL, NULL);
    e = llm_request_read(ret, &fault);
    if (e == OK)
        e = llm_request_expand(ret, &fault);
    if (e != OK) {
        print_error("at " STR_FMT ": " STR_FMT "\n" STR_FMT "\n", STR_ARG(to->name),
            STR_ARG(fault.message), STR_ARG(body));
        wrong++;
    }
    return e == OK;
}

static void
same_kind(const struct facts *before, const struct facts *after, unsigned kind, const char *trip)
{
    const struct fact *x = fact_of(before->first, kind);
    const struct fact *y = fact_of(after->first, kind);

    while (x != NULL && y != NULL && str_eq(x->text, y->text)) {
        x = fact_of(x->next, kind);
        y = fact_of(y->next, kind);
    }
    if (x == NULL && y == NULL)
        return;
    print_error("%s: %s\n    was \"" STR_FMT "\"\n    is  \"" STR_FMT "\"\n", trip, kind_name(kind),
        STR_ARG(x != NULL ? x->text : S("(nothing)")),
        STR_ARG(y != NULL ? y->text : S("(nothing)")));
    wrong++;
}

static bool
is_noted(const struct wire_drops *drops, const char *word)
{
    const struct llm_word *w = drops->names;

    while (w != NULL && !str_eq(w->text, str_c(word)) &&
           !(str_ends(w->text, str_c(word)) && w->text.p[w->text.n - strlen(word) - 1] == '.'))
        w = w->next;
    return w != NULL;
}

/* The name of what is left out, as the caller knows it. */
static const char *
name_of(const struct llm_request *here, unsigned kind)
{
    return places[kind].other != NULL ? places[kind].other
                                      : param_callers_name(here, places[kind].param);
}

/* What a protocol can say, but not beside what else is said. */
static bool
is_kept(const struct llm_request *here, const struct facts *before, unsigned kind, unsigned able)
{
    switch (kind) {
    case TOOL:    /* the one that must be called is the only one offered, or none is */
    case TOOL_SCHEMA:
    case TOOL_STRICT:
        return here->tools != NULL &&
               ((able & (OLLAMA | COHERE)) == 0 || here->choice != CHOICE_NAMED) &&
               ((able & (OLLAMA | COHERE | BEDROCK)) == 0 || here->choice != CHOICE_NONE);
    case MAX_TOKENS:    /* some must be told */
        return fact_has(before, kind);
    case NO_PARALLEL:
        return here->choice != CHOICE_NONE || (able & (CLAUDE | BEDROCK)) == 0;
    case EFFORT:    /* Cohere's answers get half of the tokens */
        return (able & COHERE) == 0 || here->max_tokens == 0;
    default:
        return true;
    }
}

/* One way there and back. */
struct trip {
    const struct wire *a, *b;
    struct llm_request here, there, back;
    struct wire_drops out, home;    /* what was noted */
    struct facts before, between, after;
    char title[80];
};

/* Whether Claude could not take it beside what else was said, and that was noted. */
static bool
is_beside(const struct trip *t, unsigned kind)
{
    return places[kind].beside && ((bit_of(t->a) | bit_of(t->b)) & (CLAUDE | BEDROCK)) != 0 &&
           (is_noted(&t->out, name_of(&t->here, kind)) ||
               is_noted(&t->home, name_of(&t->there, kind)));
}

static void
compare(const struct trip *t)
{
    unsigned able = bit_of(t->a) | bit_of(t->b);

    for (unsigned kind = 0; kind < KINDS; kind++)
        if ((places[kind].who & able) == able && is_kept(&t->here, &t->before, kind, able) &&
            !is_beside(t, kind))
            same_kind(&t->before, &t->after, kind, t->title);
}

/* Whether something is gone with something else, or is honoured by what is not sent. */
static bool
is_implied(const struct llm_request *here, const struct wire_drops *drops, unsigned kind)
{
    bool of_tools = kind == TOOL_CHOICE || kind == TOOL_STRICT || kind == NO_PARALLEL;

    return (of_tools && here->choice == CHOICE_NONE) ||
           (kind == TOOL_STRICT && here->choice == CHOICE_NAMED) ||
           (kind == USER && is_noted(drops, param_callers_name(here, PARAM_metadata)));
}

/* What is gone was named, and nothing else was. */
static void
notes(const struct trip *t)
{
    for (unsigned kind = 0; kind < KINDS; kind++) {
        bool gone = !fact_has(&t->between, kind);
        bool noted = is_noted(&t->out, name_of(&t->here, kind));

        if (!places[kind].noted || !fact_has(&t->before, kind) || noted == gone ||
            is_implied(&t->here, &t->out, kind))
            continue;
        print_error("%s: %s %s\n", t->title,
            gone ? "no note of" : "a note of, although it was sent,", kind_name(kind));
        wrong++;
    }
}

static void
round_trip(
    const struct llm_request *made, const struct wire *a, const struct wire *b, unsigned seed)
{
    struct trip t = { .a = a, .b = b };
    struct wire_drops before;

    snprintf(t.title, sizeof(t.title), "seed %u, " STR_FMT " > " STR_FMT, seed, STR_ARG(a->name),
        STR_ARG(b->name));
    if (!cross(made, a, &t.here, &before) || !cross(&t.here, b, &t.there, &t.out) ||
        !cross(&t.there, a, &t.back, &t.home)) {
        refused[place(a)][place(b)]++;
        return;
    }
    t.before = facts_of(&t.here);
    t.between = facts_of(&t.there);
    t.after = facts_of(&t.back);
    trips[place(a)][place(b)]++;
    compare(&t);
    notes(&t);
}

/* Trips there and back, and those that were refused. */
static void
print_trips(void)
{
    print_message("%-20s", "from, and to");
    for (size_t i = 0; wire_at(i) != NULL; i++)
        print_message(" %.*s", 10, wire_at(i)->name.p);
    print_message("\n");
    for (size_t i = 0; wire_at(i) != NULL; i++) {
        print_message("%-20.*s", (int)wire_at(i)->name.n, wire_at(i)->name.p);
        for (size_t k = 0; wire_at(k) != NULL; k++)
            print_message(" %6u/%3u", trips[i][k], refused[i][k]);
        print_message("\n");
    }
}

TEST(what_two_protocols_can_say_survives_the_way_there_and_back)
{
    unsigned n = getenv("OPENCLAW_DEEP") != NULL ? TRIALS_DEEP : TRIALS;

    for (unsigned seed = 1; seed <= n; seed++)
        for (size_t i = 0; wire_at(i) != NULL; i++)
            for (size_t k = 0; wire_at(k) != NULL; k++) {
                struct gen g = { .a = arena_create(64 << 20), .state = seed };
                struct llm_request made;

                make_request(&g, &made);
                round_trip(&made, wire_at(i), wire_at(k), seed);
                arena_destroy(g.a);
            }
    for (size_t i = 0; wire_at(i) != NULL; i++)
        for (size_t k = 0; wire_at(k) != NULL; k++)
            EXPECT(trips[i][k] > n / 4);
    print_trips();
    EXPECT_INT(wrong, 0);
}

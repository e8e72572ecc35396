/* rules_check.c - reads and tries the conditions of rules, to find what would show only in use. */
#include "route/rules_check.h"

#include "llm/wire.h"
#include "route/analyze.h"
#include "script/lua.h"
#include "script/scan.h"

#define NAMES_MOST 64
#define CHECK_ARENA_BYTES (4u * 1024 * 1024)

/* --- names --- */

struct names_check {
    const struct conf *conf;
    const struct rule *rule;
    struct conf_problems *problems;
    bool warned;
};

/* Is it a name of rules.def? A member counts where it is that of a table: `model.lower`, of a text, is a
 * matter of its methods. */
static bool
is_name(struct str known, struct str name, struct str member)
{
    struct str head, tail;

    if (!str_cut(known, '.', &head, &tail))
        return str_eq(known, name);
    return str_eq(head, name) && (member.n == 0 || str_eq(tail, S("*")) || str_eq(tail, member));
}

static bool
exists(struct str name, struct str member)
{
    const char *known;

    for (size_t i = 0; (known = rules_name(i)) != NULL; i++)
        if (is_name(str_c(known), name, member))
            return true;
    return script_has_function(name, member);
}

static void
warn_of_name(void *arg, struct str name, struct str member, size_t offset)
{
    struct names_check *n = arg;
    struct str all[NAMES_MOST];
    const char *known;
    size_t count = 0;
    struct conf_mark mark = conf_mark_in(n->conf, &n->rule->conf->when, offset);

    if (str_eq(name, S("headers")) && rules_is_credential(member)) {
        conf_warn(n->problems, mark,
            "rules[%zu].when: the header field '" STR_FMT
            "' can hold a credential and is always nil here; use 'key'",
            n->rule->number, STR_ARG(member));
        return;
    }
    if (exists(name, member))
        return;
    n->warned = true;
    for (size_t i = 0; count < NAMES_MOST && (known = rules_name(i)) != NULL; i++)
        all[count++] = str_c(known);
    struct str whole = member.n != 0 ? arena_printf(n->problems->arena, STR_FMT "." STR_FMT,
                                           STR_ARG(name), STR_ARG(member))
                                     : name;
    struct str near = conf_closest(whole, all, count);
    conf_warn(n->problems, mark, "rules[%zu].when: there is no '" STR_FMT "'%s" STR_FMT "%s",
        n->rule->number, STR_ARG(whole), near.n != 0 ? "; did you mean '" : "", STR_ARG(near),
        near.n != 0 ? "'?" : "; docs/rules.md lists the names");
}

/* --- samples --- */

/* Requests that a condition should be able to meet. */
struct sample {
    const char *what;
    struct str model, key;
    bool stream;
    enum llm_op op;
    struct needs needs;
    struct analysis analysis;
    struct ask_tag *tags;
    struct http_fields fields;
};

static struct ask_tag sample_tag = { .name = S_INIT("team"), .value = S_INIT("search") };
static struct http_field sample_field = { .name = S_INIT("user-agent"), .value = S_INIT("curl/8") };

static const struct sample samples[] = {
    { .what = "a short chat",
        .model = S_INIT("fast"),
        .needs = { .input_tokens = 12, .messages = 1 },
        .analysis = { .language = "", .task = TASK_CHAT, .tokens = 5 } },
    { .what = "a long chat with tools and pictures, a key, a tag and a header field",
        .model = S_INIT("openai/gpt-4o"),
        .key = S_INIT("ci"),
        .stream = true,
        .needs = { .bits = NEED_BIT(TOOLS) | NEED_BIT(IMAGES) | NEED_BIT(SCHEMA),
            .input_tokens = 60000,
            .output_tokens = 4000,
            .messages = 40,
            .tools = 12 },
        .analysis = { .language = "en",
            .task = TASK_CODE,
            .tokens = 50000,
            .complexity_permille = 800,
            .code_permille = 600,
            .sentiment_permille = -200,
            .sensitivity = SENSITIVE_SECRET },
        .tags = &sample_tag,
        .fields = { &sample_field, 1 } },
    { .what = "a request for embeddings",
        .model = S_INIT("text-embedding-3-small"),
        .op = OP_EMBED,
        .needs = { .bits = NEED_BIT(EMBEDDINGS), .input_tokens = 300 },
        .analysis = { .language = "de", .task = TASK_QA, .tokens = 250 } },
    { .what = "a request that is passed through and names no model",
        .op = OP_RELAY,
        .analysis = { .language = "", .task = TASK_UNKNOWN } },
};

static struct ask
sample_ask(const struct sample *s, struct arena *a)
{
    return (struct ask){
        .arena = a,
        .known = ASK_NEEDS | ASK_ANALYSIS | ASK_HEADERS,
        .model = s->model,
        .op = s->op,
        .wire = wire_at(0),
        .stream = s->stream,
        .needs = s->needs,
        .analysis = &s->analysis,
        .key = s->key,
        .client_ip = S("192.0.2.1"),
        .tags = s->tags,
        .fields = &s->fields,
        .wall_ms = UINT64_C(1767225600000),
        .dry = true,
    };
}

/* Tells of the first sample that the condition fails for. */
static void
try_samples(struct rules_runner *runner, const struct conf *conf, const struct rule *rule,
    struct conf_problems *problems)
{
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct arena *a = arena_create(CHECK_ARENA_BYTES);
        struct ask ask = sample_ask(&samples[i], a);
        const struct rule_failure *f;

        (void)rules_holds(runner, &ask, rule, &f);
        if (f != NULL)
            conf_warn(problems, conf_mark_in(conf, &rule->conf->when, 0),
                "rules[%zu].when fails for %s: " STR_FMT "; %s", rule->number, samples[i].what,
                STR_ARG(f->why),
                rule->reject.n != 0 ? "such requests are rejected"
                                    : "the rule does not apply to such requests");
        arena_destroy(a);
        if (f != NULL)
            return;
    }
}

/* --- all --- */

void
rules_warnings(const struct rules *r, const struct conf *conf, struct conf_problems *problems)
{
    struct rules_runner *runner = rules_runner_create(r);
    const struct rule *rule, *all = NULL;

    for (size_t i = 0; (rule = rules_at(r, i)) != NULL; i++) {
        struct names_check check = { .conf = conf, .rule = rule, .problems = problems };

        if (all != NULL)
            conf_warn(problems, rule->conf->mark,
                "rules[%zu] is never reached: '" STR_FMT "' applies to every request", i,
                STR_ARG(all->name));
        else if (rule->conf->when.v.n == 0 && !rule->goes_on)
            all = rule;
        scan_names(rule->conf->when.v, warn_of_name, &check);
        if (rule->conf->when.v.n != 0 && !check.warned)
            try_samples(runner, conf, rule, problems);
    }
    rules_runner_destroy(runner);
}

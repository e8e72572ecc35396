/* rules.c - reads the rules of a configuration, and applies them to asks. */
#include "route/rules.h"

#include <stdlib.h>

#include "base/json.h"
#include "llm/wire.h"
#include "route/analyze.h"
#include "script/lua.h"

#define RULES_ARENA_BYTES (64u * 1024 * 1024)
#define MINUTE_MS 60000u
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * (uint64_t)HOUR_MS)

struct rules {
    struct arena *arena;
    const struct conf *conf;
    struct rule *list;
    size_t count;
};

/* The compiled conditions, with what is looked at and found while they are evaluated. */
struct rules_runner {
    const struct rules *rules;
    struct script
        *script;    /* NULL: there was no memory for it; a rule's number is its expression's */
    struct ask *ask;
    struct rule_result *result;
    const struct ask_tag *sent;    /* the tags that the caller sent; those of rules are before them */
    struct script_fault fault;
    struct rule_count *counts;    /* by the rules' numbers */
};

/* --- the names --- */

static struct str
operation_name(enum llm_op op)
{
    static const struct str names[] = { [OP_CHAT] = S_INIT("chat"),
        [OP_COMPLETE] = S_INIT("complete"),
        [OP_EMBED] = S_INIT("embed"),
        [OP_RERANK] = S_INIT("rerank"),
        [OP_COUNT_TOKENS] = S_INIT("count_tokens"),
        [OP_RELAY] = S_INIT("relay") };

    return names[op];
}

/* p == NULL: there is no such tag. */
static struct str
tag_value(const struct ask *a, struct str name)
{
    for (const struct ask_tag *t = a->tags; t != NULL; t = t->next)
        if (str_eq(t->name, name))
            return t->value.p != NULL ? t->value : S("");
    return (struct str){ NULL, 0 };
}

bool
rules_is_credential(struct str field)
{
    static const struct str names[] = { S_INIT("authorization"), S_INIT("x-api-key"),
        S_INIT("api-key"), S_INIT("x-goog-api-key"), S_INIT("cookie"),
        S_INIT("proxy-authorization") };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_ieq(field, names[i]))
            return true;
    return false;
}

static struct str
header_value(const struct ask *a, struct str name)
{
    if (a->fields == NULL || rules_is_credential(name))
        return S("");
    return http_field_get(a->fields, name);
}

/* The first of January 1970 was a Thursday. */
static int64_t
weekday_of(uint64_t wall_ms)
{
    return (int64_t)((wall_ms / DAY_MS + 3) % 7) + 1;
}

/* Of a sample that `check` makes up, or a record without it: as if there were no text. */
static const struct analysis *
analysis_of(const struct ask *a)
{
    static const struct analysis none = { .language = "", .task = TASK_UNKNOWN };

    return a->analysis != NULL ? a->analysis : &none;
}

#define HAS(need) ((a->needs.bits & NEED_BIT(need)) != 0)

#define VALUE_TEXT(v)                                                                              \
    do {                                                                                           \
        struct str text = (v);                                                                     \
        if (text.n != 0)                                                                           \
            *ret = (struct script_value){ .type = SCRIPT_TEXT, .text = text };                     \
    } while (0)
#define VALUE_TEXT_OR_EMPTY(v)                                                                     \
    do {                                                                                           \
        struct str text = (v);                                                                     \
        if (text.p != NULL)                                                                        \
            *ret = (struct script_value){ .type = SCRIPT_TEXT, .text = text };                     \
    } while (0)
#define VALUE_COUNT(v)                                                                             \
    *ret = (struct script_value)                                                                   \
    {                                                                                              \
        .type = SCRIPT_INTEGER, .integer = (v)                                                     \
    }
#define VALUE_SHARE(v)                                                                             \
    *ret = (struct script_value)                                                                   \
    {                                                                                              \
        .type = SCRIPT_NUMBER, .number = (double)(v) / 1000                                        \
    }
#define VALUE_FLAG(v)                                                                              \
    *ret = (struct script_value)                                                                   \
    {                                                                                              \
        .type = SCRIPT_BOOL, .yes = (v)                                                            \
    }

enum {
#define NAME(id, ...) NAME_##id,
#include "route/rules.def"
#undef NAME
    NAME_COUNT
};
_Static_assert(NAME_COUNT <= 64, "rule_result.read has a bit for each");

static const struct str name_list[] = {
#define NAME(id, name, ...) S_INIT(name),
#include "route/rules.def"
#undef NAME
};

static const unsigned name_facts[] = {
#define NAME(id, name, fact, ...) fact,
#include "route/rules.def"
#undef NAME
};

const char *
rules_name(size_t i)
{
    return i < NAME_COUNT ? name_list[i].p : NULL;
}

static void
find_value(const struct ask *a, size_t name, struct str member, struct script_value *ret)
{
    switch (name) {
#define NAME(id, name, fact, kind, value, docs)                                                    \
    case NAME_##id:                                                                                \
        VALUE_##kind(value);                                                                       \
        break;
#include "route/rules.def"
#undef NAME
    }
}

static void
note_member(
    struct rule_result *r, size_t name, struct str member, struct str value, struct arena *a)
{
    const char *table = name_list[name].p;

    for (size_t i = 0; i < r->member_count; i++)
        if (r->members[i].name == table && str_eq(r->members[i].member, member))
            return;
    if (r->member_count < RULES_READ_MOST)
        r->members[r->member_count++] =
            (struct rule_read){ table, arena_str(a, member), arena_str(a, value) };
}

/* A recorded ask has the header fields that were read when it was made, and no others. */
static bool
knows_header(const struct ask *a, struct str name)
{
    return (a->known & ASK_HEADERS) != 0 || rules_is_credential(name) ||
           (a->fields != NULL && http_field_get(a->fields, name).p != NULL);
}

/* --- for the interpreter --- */

static bool
read_name(void *subject, size_t name, struct str member, struct script_value *ret)
{
    struct rules_runner *runner = subject;
    struct ask *a = runner->ask;
    struct rule_result *r = runner->result;

    r->read |= UINT64_C(1) << name;
    if (member.n != 0)
        note_member(
            r, name, member, name == NAME_headers ? header_value(a, member) : S(""), a->arena);
    if ((name_facts[name] != 0 && !ask_know(a, name_facts[name])) ||
        (name == NAME_headers && !knows_header(a, member)) ||
        (name == NAME_user && a->user.n == 0 && a->user_hash != 0) ||
        (name == NAME_session && a->session.n == 0 && a->session_hash != 0)) {
        r->missing = name_list[name].p;
        return false;
    }
    find_value(a, name, member, ret);
    return true;
}

/* What is known is taken for read. */
static bool
peek_name(void *subject, size_t name, struct script_value *ret)
{
    struct rules_runner *runner = subject;

    if (name_facts[name] != 0 && (runner->ask->known & name_facts[name]) == 0)
        return false;
    runner->result->read |= UINT64_C(1) << name;
    find_value(runner->ask, name, S(""), ret);
    return true;
}

static const struct script_names names = { name_list, NAME_COUNT, read_name, peek_name };

/* --- reading the configuration --- */

static void
check_actions(const struct conf_rule *c, struct str name, struct conf_problems *problems)
{
    bool routes = c->use.v.n != 0 || c->targets.count != 0 || c->strategy.v.n != 0;
    bool acts = routes || c->params.n != 0 || c->cap.n != 0 || c->shadow.target.v.n != 0 ||
                c->experiment.v.n != 0;

    if (c->use.v.n != 0 && c->targets.count != 0)
        conf_problem(problems, c->mark,
            STR_FMT ": 'use' and 'targets' both say where requests go; keep one of them",
            STR_ARG(name));
    if (c->reject.v.n != 0 && acts)
        conf_problem(problems, c->mark,
            STR_FMT ": a rule with 'reject' can do nothing else with the request; remove one of "
                    "the two",
            STR_ARG(name));
    if (c->reject.v.n == 0 && !acts && c->tags.count == 0)
        conf_problem(problems, c->mark,
            STR_FMT ": does nothing; write use, strategy, targets, params, cap, tag, reject, "
                    "shadow or experiment",
            STR_ARG(name));
}

/* Is it a model that can be served? */
static void
check_model(struct arena *a, const struct route_table *routes, struct str rule, const char *setting,
    const struct conf_str *model, struct conf_problems *problems)
{
    struct route_found found;
    struct str why;

    if (model->v.n != 0 && route_find(routes, a, model->v, &found, &why) != OK)
        conf_problem(
            problems, model->mark, STR_FMT ".%s: " STR_FMT, STR_ARG(rule), setting, STR_ARG(why));
}

static void
check_models(struct arena *a, const struct route_table *routes, struct str rule,
    const struct conf_rule *c, struct conf_problems *problems)
{
    check_model(a, routes, rule, "use", &c->use, problems);
    check_model(a, routes, rule, "shadow", &c->shadow.target, problems);
}

static const struct strategy *
read_strategy(struct str rule, const struct conf_rule *c, struct conf_problems *problems)
{
    const struct strategy *s = c->strategy.v.n != 0 ? strategy_named(c->strategy.v) : NULL;

    if (s == NULL && c->strategy.v.n != 0)
        conf_problem(problems, c->strategy.mark,
            STR_FMT ".strategy: there is no strategy '" STR_FMT "'; docs/routing.md lists them",
            STR_ARG(rule), STR_ARG(c->strategy.v));
    return s;
}

/* Members that the gateway sets itself cannot be parameters. */
static const struct json *
read_params(
    struct arena *a, struct str rule, const struct conf_rule *c, struct conf_problems *problems)
{
    static const struct str ours[] = { S_INIT("model"), S_INIT("stream") };
    const struct json *params = c->params.n != 0 ? json_parse(a, c->params, NULL, NULL) : NULL;

    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (json_get(params, ours[i]) != NULL)
            conf_problem(problems, c->mark, STR_FMT ".params cannot set '" STR_FMT "'; %s",
                STR_ARG(rule), STR_ARG(ours[i]), i == 0 ? "write use" : "the caller decides that");
    return params;
}

static const struct json *
read_caps(
    struct arena *a, struct str rule, const struct conf_rule *c, struct conf_problems *problems)
{
    const struct json *caps = c->cap.n != 0 ? json_parse(a, c->cap, NULL, NULL) : NULL;
    struct json_iter it = json_iter(caps);

    while (json_next(&it))
        if (!json_is(it.value, JSON_NUMBER))
            conf_problem(problems, c->mark, STR_FMT ".cap: '" STR_FMT "' is not a number",
                STR_ARG(rule), STR_ARG(json_str(a, it.key)));
    return caps;
}

/* "saving", or "team=search". */
static const struct ask_tag *
read_tags(
    struct arena *a, struct str rule, const struct conf_rule *c, struct conf_problems *problems)
{
    struct ask_tag *first = NULL, **tail = &first;

    for (size_t i = 0; i < c->tags.count; i++) {
        struct ask_tag *t = arena_new(a, struct ask_tag);

        (void)str_cut(c->tags.list[i].v, '=', &t->name, &t->value);
        if (t->name.n == 0)
            conf_problem(problems, c->tags.list[i].mark,
                STR_FMT ".tag: a tag needs a name before the '='", STR_ARG(rule));
        *tail = t;
        tail = &t->next;
    }
    return first;
}

/* What its copies spend is counted under the rule's place, whatever it is called. */
static const struct shadow *
read_shadow(
    struct arena *a, struct str rule, const struct conf_rule *c, struct conf_problems *problems)
{
    const struct conf_alias as = { .name = { .v = arena_str(a, rule) }, .shadow = c->shadow };

    return shadow_read(a, &as, problems);
}

static void
check_experiment(const struct conf *c, struct str rule, const struct conf_str *name,
    struct conf_problems *problems)
{
    for (size_t i = 0; i < c->experiment_count; i++)
        if (str_eq(c->experiments[i].name.v, name->v))
            return;
    if (name->v.n != 0)
        conf_problem(problems, name->mark,
            STR_FMT ".experiment: there is no experiment '" STR_FMT "' under experiments",
            STR_ARG(rule), STR_ARG(name->v));
}

static enum err
rejection(struct str status)
{
    if (str_eq(status, S("400")))
        return ERR_BAD_REQUEST;
    return str_eq(status, S("429")) ? ERR_RATE_LIMIT : ERR_FORBIDDEN;
}

static void
read_rule(struct rules *r, size_t number, const struct route_table *routes,
    struct conf_problems *problems)
{
    const struct conf_rule *c = &r->conf->rules[number];
    struct str label = arena_printf(problems->arena, "rules[%zu]", number);
    struct arena *a = r->arena;
    struct rule *rule = &r->list[number];

    check_actions(c, label, problems);
    check_models(a, routes, label, c, problems);
    check_experiment(r->conf, label, &c->experiment, problems);
    *rule = (struct rule){
        .name = c->name.v.n != 0 ? c->name.v : arena_printf(a, "rule %zu", number + 1),
        .use = c->use.v,
        .strategy = read_strategy(label, c, problems),
        .targets = c->targets.count != 0,
        .params = read_params(a, label, c, problems),
        .caps = read_caps(a, label, c, problems),
        .tags = read_tags(a, label, c, problems),
        .reject = c->reject.v,
        .reject_as = rejection(c->status.v),
        .shadow = read_shadow(a, label, c, problems),
        .experiment = c->experiment.v,
        .goes_on = c->goes_on,
        .number = number,
        .conf = c,
    };
    for (size_t i = 0; i < number; i++)
        if (str_eq(r->list[i].name, rule->name))
            conf_problem(
                problems, c->name.mark, "two rules are called '" STR_FMT "'", STR_ARG(rule->name));
}

/* Compiles all conditions, each under its rule's number. False, with the places of the mistakes, when
 * that fails. */
static bool
compile_all(struct script *s, const struct rules *r, struct conf_problems *problems)
{
    struct script_fault fault;
    size_t expression;
    bool ok = true;

    for (size_t i = 0; i < r->count; i++) {
        const struct conf_str *when = &r->list[i].conf->when;

        if (script_compile(s, when->v.n != 0 ? when->v : S("true"), &expression, &fault))
            continue;
        ok = false;
        if (problems != NULL)
            conf_problem(problems, conf_mark_in(r->conf, when, fault.offset),
                "rules[%zu].when is not a Lua expression: %s", i, fault.text);
    }
    return ok;
}

/* Their places are told. Each worker compiles them for itself later. */
static void
check_conditions(const struct rules *r, struct conf_problems *problems)
{
    struct script *s = script_create(&names);

    CHECK(s != NULL);
    (void)compile_all(s, r, problems);
    script_destroy(s);
}

struct rules *
rules_create(const struct conf *c, const struct route_table *routes, struct conf_problems *problems)
{
    struct rules *r = check_alloc(calloc(1, sizeof(*r)));

    r->arena = arena_create(RULES_ARENA_BYTES);
    r->conf = c;
    r->count = c->rule_count;
    r->list = arena_array(r->arena, struct rule, r->count + 1);
    for (size_t i = 0; i < r->count; i++)
        read_rule(r, i, routes, problems);
    if (r->count != 0)
        check_conditions(r, problems);
    return r;
}

void
rules_destroy(struct rules *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->count; i++)
        shadow_drop(r->list[i].shadow);
    arena_destroy(r->arena);
    free(r);
}

const struct rule *
rules_at(const struct rules *r, size_t i)
{
    return i < r->count ? &r->list[i] : NULL;
}

/* --- running --- */

struct rules_runner *
rules_runner_create(const struct rules *r)
{
    struct rules_runner *runner = check_alloc(calloc(1, sizeof(*runner)));

    runner->rules = r;
    if (r->count == 0)
        return runner;
    runner->counts = check_alloc(calloc(r->count, sizeof(*runner->counts)));
    runner->script = script_create(&names);
    if (runner->script != NULL && compile_all(runner->script, r, NULL)) {
        script_join(runner->script);
        return runner;
    }
    script_destroy(runner->script);    /* they did compile before: memory ran out */
    runner->script = NULL;
    return runner;
}

void
rules_runner_destroy(struct rules_runner *runner)
{
    if (runner == NULL)
        return;
    script_destroy(runner->script);
    free(runner->counts);
    free(runner);
}

static void
note_failure(struct rules_runner *runner, const struct rule *rule)
{
    const struct script_fault *fault = &runner->fault;
    struct arena *a = runner->ask->arena;
    struct rule_failure *f = arena_new(a, struct rule_failure);
    struct rule_failure **tail = &runner->result->failures;

    f->rule = rule;
    f->why = fault->line != 0 ? arena_printf(a, "line %u: %s", fault->line, fault->text)
                              : arena_printf(a, "%s", fault->text);
    while (*tail != NULL)
        tail = &(*tail)->next;
    *tail = f;
    if (!runner->ask->dry) {
        struct rule_count *count = &runner->counts[rule->number];

        count->failed++;
        str_copy_c(count->why, sizeof(count->why), f->why);
    }
}

/* Does the condition hold? */
static enum script_verdict
test(struct rules_runner *runner, const struct rule *rule)
{
    enum script_verdict verdict = SCRIPT_FAILED;

    if (runner->script != NULL)
        verdict = script_test(runner->script, rule->number, &runner->fault);
    else
        runner->fault = (struct script_fault){ .text = "there is no memory for the interpreter" };
    if (verdict == SCRIPT_FAILED)
        note_failure(runner, rule);
    return verdict;
}

/* The first value stays. */
static void
set_once(struct str *to, struct str value)
{
    if (to->n == 0)
        *to = value;
}

static bool
has_tag(const struct ask_tag *list, const struct ask_tag *end, struct str name)
{
    while (list != end && !str_eq(list->name, name))
        list = list->next;
    return list != end;
}

/* A tag that an earlier rule has set keeps its value; one that the caller sent does not. */
static void
add_tags(struct ask *ask, const struct ask_tag *tags, const struct ask_tag *sent)
{
    for (const struct ask_tag *t = tags; t != NULL; t = t->next) {
        if (has_tag(ask->tags, sent, t->name))
            continue;
        struct ask_tag *copy = arena_new(ask->arena, struct ask_tag);
        *copy = (struct ask_tag){ t->name, t->value, ask->tags };
        ask->tags = copy;
    }
}

/* Whether the rules after it are looked at, too. */
static bool
apply(struct rules_runner *runner, const struct rule *rule)
{
    struct rule_result *r = runner->result;

    r->matched[r->matched_count++] = rule;
    runner->counts[rule->number].matched += !runner->ask->dry;
    if (r->route == NULL && (rule->use.n != 0 || rule->targets))
        r->route = rule;
    if (r->strategy == NULL)
        r->strategy = rule->strategy;
    if (r->shadow == NULL)
        r->shadow = rule->shadow;
    set_once(&r->experiment, rule->experiment);
    add_tags(runner->ask, rule->tags, runner->sent);
    if (rule->reject.n != 0) {
        r->rejects = rule;
        r->reject = rule->reject;
    }
    return rule->goes_on && rule->reject.n == 0;
}

static void
reject_after_failure(struct rules_runner *runner, const struct rule *rule)
{
    runner->result->rejects = rule;
    runner->result->reject = arena_printf(runner->ask->arena,
        "the condition of the rule '" STR_FMT "', which rejects requests, failed for this one",
        STR_ARG(rule->name));
}

const struct rule_count *
rules_counts(const struct rules_runner *runner)
{
    return runner->counts;
}

static void
begin(struct rules_runner *runner, struct ask *ask, struct rule_result *result)
{
    runner->ask = ask;
    runner->result = result;
    runner->sent = ask->tags;
    if (runner->script != NULL)
        script_begin(runner->script, runner);
}

bool
rules_holds(struct rules_runner *runner, struct ask *ask, const struct rule *rule,
    const struct rule_failure **ret_failure)
{
    struct rule_result result = { .matched_count = 0 };

    begin(runner, ask, &result);
    bool holds = test(runner, rule) == SCRIPT_YES;
    *ret_failure = result.failures;
    return holds;
}

/* From one rule on; it is the first of which it is not known whether its condition holds. */
static void
run_from(struct rules_runner *runner, size_t first)
{
    const struct rules *r = runner->rules;
    struct rule_result *result = runner->result;

    for (size_t i = first; i < r->count; i++) {
        const struct rule *rule = &r->list[i];

        if (result->matched_count >= RULES_MATCHED_MOST && rule->reject.n == 0)
            continue;
        switch (test(runner, rule)) {
        case SCRIPT_NO:
            break;
        case SCRIPT_FAILED:
            if (rule->reject.n == 0)
                break;
            reject_after_failure(runner, rule);
            return;
        case SCRIPT_UNDECIDED:
            result->undecidable = rule;
            return;
        case SCRIPT_YES:
            if (!apply(runner, rule))
                return;
            break;
        }
    }
}

static void
run_all(struct rules_runner *runner, struct ask *ask, struct rule_result *ret)
{
    size_t first = 0;

    begin(runner, ask, ret);
    switch (runner->script != NULL ? script_first(runner->script, &first) : SCRIPT_FAILED) {
    case SCRIPT_NO:
        return;
    case SCRIPT_YES:
        if (apply(runner, &runner->rules->list[first]))
            run_from(runner, first + 1);
        return;
    case SCRIPT_FAILED:
    case SCRIPT_UNDECIDED:
        ret->missing = NULL;
        run_from(runner, 0);
        return;
    }
}

/* What was read before counts as read. */
static void
run_for_model(
    struct rules_runner *runner, struct ask *ask, struct str model, struct rule_result *ret)
{
    struct str asked = ask->model;
    struct ask_tag *tags = ask->tags;
    bool dry = ask->dry;

    ask->model = model;
    ask->dry = true;
    run_all(runner, ask, ret);
    ask->model = asked;
    ask->tags = tags;
    ask->dry = dry;
}

/* Those that are tried next are asked for, too. */
static void
reject_for_next_models(
    struct rules_runner *runner, struct ask *ask, struct ask_tag *sent, struct rule_result *ret)
{
    const struct llm_word *next = ask->wishes != NULL ? ask->wishes->models : NULL;
    struct ask_tag *tags = ask->tags;

    for (; next != NULL && ret->rejects == NULL && ret->undecidable == NULL; next = next->next) {
        struct rule_result one = { .read = ret->read, .member_count = ret->member_count };

        memcpy(one.members, ret->members, sizeof(one.members));
        ask->tags = sent;
        run_for_model(runner, ask, next->text, &one);
        ask->tags = tags;
        if (one.rejects != NULL && one.matched_count != 0)
            runner->counts[one.rejects->number].matched += !ask->dry;
        if (one.rejects != NULL || one.undecidable != NULL) {
            *ret = one;
            continue;
        }
        ret->read = one.read;
        ret->member_count = one.member_count;
        memcpy(ret->members, one.members, sizeof(one.members));
    }
}

void
rules_run(struct rules_runner *runner, struct ask *ask, struct rule_result *ret)
{
    struct ask_tag *sent = ask->tags;

    *ret = (struct rule_result){ .matched_count = 0 };
    if (runner->rules->count == 0)
        return;
    run_all(runner, ask, ret);
    if (UNLIKELY(ask->wishes != NULL))
        reject_for_next_models(runner, ask, sent, ret);
}

enum err
rules_find(const struct rule_result *r, const struct route_table *t, const struct ask *ask,
    struct route_found *ret, struct str *ret_why)
{
    const struct rule *route = r->route;
    enum err e = OK;

    if (route != NULL && route->targets)
        *ret = (struct route_found){ .alias = table_rule_alias(t, route->number) };
    else
        e = route_find(t, ask->arena, route != NULL ? route->use : ask->model, ret, ret_why);
    ret->strategy = r->strategy;
    return e;
}

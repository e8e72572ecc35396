/* choice.c - fills in what is known of a request, and has the router choose its targets. */
#include "gateway/choice.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/reply.h"

#define SESSION_BYTES 256
#define TAGS_MOST 16    /* tags of one request */

/* The route names no model: the only provider that has the route, or the default one. */
static enum step
choose_unnamed(struct exchange *x)
{
    struct str why = S("");
    struct target *only = route_default(x->hold->snapshot->routes, x->arena, x->wire, &why);

    if (only == NULL)
        return exchange_fail(x, ERR_NO_ROUTE, STR_FMT, STR_ARG(why));
    plan_begin(&x->plan, x->arena, 1);
    x->plan.list[0].target = only;
    x->plan.list[0].excluded = constraint_kind(only, x->op, x->wire);
    x->plan.relay = x->op == OP_RELAY;
    return STEP_NEXT;
}

/* Some providers (OpenRouter, LiteLLM) fall back to further models that the body names: a key
 * limited to models may not name any. */
static bool
names_other_models(const struct exchange *x)
{
    static const struct read_member members[] = { { .name = "models" }, { .name = "fallbacks" },
        { .name = NULL } };
    const struct json *doc = x->request->llm.doc;
    struct wire_fault fault = { S(""), S("") };

    if (!json_is(doc, JSON_OBJECT) || auth_allows_model(x->who, S("")))
        return false;
    for (size_t i = 0; members[i].name != NULL; i++)
        if (json_get(doc, str_c(members[i].name)) != NULL)
            return true;
    return wire_check_members(x->request->llm.arena, doc, members, PARAMS_COLUMNS, &fault) != OK;
}

/* "x-openclaw-tags: team=search, beta": names, perhaps with values. */
static struct ask_tag *
read_tags(struct exchange *x, struct str text)
{
    struct ask_tag *first = NULL, **tail = &first;
    struct str part;

    for (size_t n = 0; text.n != 0 && n < TAGS_MOST; n++) {
        struct ask_tag *tag = arena_new(x->arena, struct ask_tag);

        (void)str_cut(text, ',', &part, &text);
        (void)str_cut(str_trim(part), '=', &tag->name, &tag->value);
        *tail = tag;
        tail = &tag->next;
    }
    return first;
}

/* What is known of the request, without having looked into its body. */
static struct ask *
ask_of(struct exchange *x)
{
    const struct http_fields *fields = &server_head(x->q)->fields;
    struct str session = http_field_get(fields, S("x-openclaw-session"));
    struct ask *ask = arena_new(x->arena, struct ask);

    ask->request = &x->request->llm;
    ask->arena = x->arena;
    ask->known = ASK_HEADERS;
    ask->id = x->id;
    ask->model = x->model;
    ask->op = x->op;
    ask->wire = x->wire;
    ask->stream = x->stream;
    ask->key = x->who->name;
    ask->client_ip = x->client_ip;
    ask->session = str_make(session.p, MIN(session.n, SESSION_BYTES));
    ask->tags = read_tags(x, http_field_get(fields, S("x-openclaw-tags")));
    ask->fields = fields;
    ask->now_us = clock_now_us();
    ask->wall_ms = clock_wall_ms();
    ask->seed = clock_random_u64();
    return ask;
}

static void
find_needs(void *ask)
{
    (void)ask_know(ask, ASK_NEEDS);
}

/* Conditions that failed are the operator's to mend. */
static void
report_failures(struct exchange *x)
{
    for (const struct rule_failure *f = x->ruling->failures; f != NULL; f = f->next) {
        struct log_context who = exchange_log(x);

        who.subject = f->rule->name;
        metric_add(&x->worker->metrics->rule_failures, 1);
        log_warn(&who, "the condition of the rule '" STR_FMT "' failed: " STR_FMT,
            STR_ARG(f->rule->name), STR_ARG(f->why));
    }
}

/* Applies the rules, if there are any: x->ruling. */
static enum step
apply_rules(struct exchange *x)
{
    if (rules_at(x->hold->snapshot->rules, 0) == NULL)
        return STEP_NEXT;
    if (x->ask == NULL)
        x->ask = ask_of(x);
    if (x->request->large && !request_work(x->request, find_needs, x->ask))
        return STEP_WAIT;
    x->ruling = arena_new(x->arena, struct rule_result);
    rules_run(x->hold->rules, x->ask, x->ruling);
    report_failures(x);
    if (x->ruling->rejects == NULL)
        return STEP_NEXT;
    metric_add(&x->worker->metrics->rule_rejects, 1);
    return exchange_fail(x, x->ruling->rejects->reject_as, STR_FMT, STR_ARG(x->ruling->reject));
}

/* The targets for the request, in order. */
static enum step
choose(struct exchange *x)
{
    const struct route_table *routes = x->hold->snapshot->routes;
    struct ask direct = { .arena = x->arena, .model = x->model, .op = x->op, .wire = x->wire };
    struct ask *ask = x->ruling != NULL ? x->ask : &direct;
    struct str why = S("");
    struct route_found found;

    if (x->model.n == 0)
        return choose_unnamed(x);
    if (names_other_models(x))
        return exchange_fail(x, ERR_FORBIDDEN,
            "this API key may use certain models only; remove 'models' and 'fallbacks', which can "
            "make a provider use others");
    enum err e = x->ruling != NULL ? rules_find(x->ruling, routes, ask, &found, &why)
                                   : route_find(routes, x->arena, x->model, &found, &why);
    if (e != OK)
        return exchange_fail(x, e, STR_FMT, STR_ARG(why));
    if (found.alias != NULL && x->ruling == NULL) {
        if (x->ask == NULL)
            x->ask = ask_of(x);
        ask = x->ask;
        if (x->request->large && !request_work(x->request, find_needs, ask))
            return STEP_WAIT;
    }
    e = route_plan(routes, &found, ask, &x->plan, &why);
    return e == OK ? STEP_NEXT : exchange_fail(x, e, STR_FMT, STR_ARG(why));
}

enum step
choice_make(struct exchange *x)
{
    enum step step = apply_rules(x);

    if (step == STEP_NEXT)
        step = choose(x);
    if (step != STEP_WAIT && x->ask != NULL) {    /* it outlives them */
        x->ask->request = NULL;
        x->ask->fields = NULL;
    }
    return step;
}

/* choice.c - fills in what is known of a request, and has the router choose its targets. */
#include "gateway/choice.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/decide.h"
#include "gateway/named.h"
#include "gateway/reply.h"
#include "llm/wishes.h"

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
    if (!auth_allows_provider(x->who, only->provider->id))
        return exchange_fail(x, ERR_FORBIDDEN, "this API key may not use the provider " STR_FMT,
            STR_ARG(only->provider->id));
    return STEP_NEXT;
}

/* A key that is limited to certain models may use all that the body names: those that are tried next, or
 * that a provider would try. */
static enum step
check_models(struct exchange *x)
{
    struct wire_fault fault = { S(""), S("") };
    struct llm_word *names;

    if (auth_allows_model(x->who, S("")))
        return STEP_NEXT;
    if (wishes_named_models(&x->request->llm, &names, &fault) != OK)
        return exchange_fail(x, ERR_FORBIDDEN,
            "this API key may use certain models only, and of those that the body names some cannot be "
            "read: " STR_FMT,
            STR_ARG(fault.message));
    for (; names != NULL; names = names->next)
        if (!auth_allows_model(x->who, names->text))
            return exchange_fail(x, ERR_FORBIDDEN,
                "this API key may not use the model '" STR_FMT "'", STR_ARG(names->text));
    return STEP_NEXT;
}

/* May the key use that model? */
static bool
may_use(const void *who, struct str model)
{
    return auth_allows_model(who, model);
}

void
choice_limit(struct ask *ask, const struct principal *who)
{
    ask->providers = &who->providers;
    if (auth_allows_model(who, S("")))
        return;
    ask->may_use = may_use;
    ask->who = who;
}

struct ask *
choice_ask(struct arena *a, const struct llm_request *request, const struct http_fields *fields,
    const struct principal *who)
{
    struct ask *ask = arena_new(a, struct ask);

    ask->request = request;
    ask->arena = a;
    ask->known = ASK_HEADERS;
    ask->model = request->model;
    ask->op = request->op;
    ask->wire = request->wire;
    ask->stream = request->stream;
    ask->key = who->name;
    choice_limit(ask, who);
    /* copies, for it outlives the head of the request */
    ask->session = named_session(a, fields);
    ask->tags = named_tags(a, who, fields);
    ask->fields = fields;
    ask->now_us = clock_now_us();
    ask->wall_ms = clock_wall_ms();
    ask->seed = clock_random_u64();
    return ask;
}

/* From here on the decision is recorded. */
static void
begin_ask(struct exchange *x)
{
    if (x->ask != NULL)
        return;
    x->ask = choice_ask(x->arena, &x->request->llm, &server_head(x->q)->fields, x->who);
    x->ask->id = x->id;
    x->ask->client_ip = x->client_ip;
    x->ask->model = x->model;
    x->ask->wishes = x->wishes;
    x->decision = arena_new(x->arena, struct explain_decision);
    decide_begin(x->decision, x->ask, &x->plan);
}

static void
find_needs(void *ask)
{
    (void)ask_know(ask, ASK_NEEDS);
}

/* Of a large request a helper thread finds out what it needs, once: the rules and the router both ask.
 * False: not yet. */
static bool
needs_are_known(struct exchange *x)
{
    struct request *r = x->request;

    if (!r->large || (r->job.state == JOB_NONE && (x->ask->known & ASK_NEEDS) != 0))
        return true;
    return request_work(r, find_needs, x->ask);
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
    begin_ask(x);
    if (!needs_are_known(x))
        return STEP_WAIT;
    x->ruling = arena_new(x->arena, struct rule_result);
    rules_run(x->hold->rules, x->ask, x->ruling);
    x->decision->ruling = x->ruling;
    report_failures(x);
    if (x->ruling->rejects == NULL)
        return STEP_NEXT;
    metric_add(&x->worker->metrics->rule_rejects, 1);
    return exchange_fail(x, x->ruling->rejects->reject_as, STR_FMT, STR_ARG(x->ruling->reject));
}

/* ":nitro" and ":floor" wish for something, unless they are part of a name that is known, or of one at
 * OpenRouter, which knows them itself. */
void
choice_cut_suffix(
    const struct snapshot *s, struct arena *a, struct str *model, struct wishes **wishes)
{
    struct wishes none, *w = *wishes != NULL ? *wishes : &none;
    struct str name = *model;

    if (str_chr(name, ':') == name.n)
        return;
    wishes_init(&none);
    if (!wishes_cut_suffix(&name, w) || map_get(s->routes->alias_by_name, *model) != NULL ||
        (str_starts(name, S("openrouter/")) &&
            providers_find(s->providers, S("openrouter")) != NULL))
        return;
    *model = name;
    if (*wishes == NULL) {
        *wishes = arena_new(a, struct wishes);
        **wishes = none;
    }
}

/* The caller says more than a name, or calls it as OpenRouter does. */
static enum step
choose_wished(struct exchange *x)
{
    struct str why = S("");

    begin_ask(x);
    if (!needs_are_known(x))
        return STEP_WAIT;
    enum err e = decide_wished(x->hold->snapshot, x->endpoint->router, x->decision, &x->plan, &why);
    return e == OK ? STEP_NEXT : exchange_fail(x, e, STR_FMT, STR_ARG(why));
}

/* The targets for the request, in order. */
static enum step
choose(struct exchange *x)
{
    const struct route_table *routes = x->hold->snapshot->routes;
    struct ask direct = { .arena = x->arena,
        .model = x->model,
        .op = x->op,
        .wire = x->wire,
        .providers = &x->who->providers };
    struct ask *ask = x->ruling != NULL ? x->ask : &direct;
    struct str why = S("");
    struct route_found found;

    if (x->model.n == 0)
        return choose_unnamed(x);
    if (check_models(x) == STEP_STOP)
        return STEP_STOP;
    if (x->wishes != NULL || x->endpoint->router)
        return choose_wished(x);
    enum err e = x->ruling != NULL ? rules_find(x->ruling, routes, ask, &found, &why)
                                   : route_find(routes, x->arena, x->model, &found, &why);
    if (e != OK)
        return exchange_fail(x, e, STR_FMT, STR_ARG(why));
    if (found.alias != NULL && x->ruling == NULL) {
        begin_ask(x);
        ask = x->ask;
        if (!needs_are_known(x))
            return STEP_WAIT;
    }
    if (x->ask == NULL)
        e = route_plan(routes, &found, ask, &x->plan, &why);
    else
        e = decide_found(x->hold->snapshot, &found, x->decision, &x->plan, &why);
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

enum step
choice_instead(struct exchange *x, struct str model)
{
    const struct snapshot *s = x->hold->snapshot;
    struct str asked = x->model, why = S("");
    struct route_found found;

    if (x->ask == NULL || !str_eq(x->ask->model, model)) {
        x->ask = NULL;
        x->plan = (struct plan){ .list = NULL };
        x->model = model;
        begin_ask(x);
        x->model = asked;
        x->decision->ruling = x->ruling;
    }
    if (!needs_are_known(x))
        return STEP_WAIT;
    enum err e = route_find(s->routes, x->arena, model, &found, &why);
    if (e == OK)
        e = decide_found(s, &found, x->decision, &x->plan, &why);
    x->ask->request = NULL;
    x->ask->fields = NULL;
    return e == OK ? STEP_NEXT : exchange_fail(x, e, STR_FMT, STR_ARG(why));
}

/* decide.c - experiments stand before the router: an arm's requests are routed as if they had asked for
 * what it uses. */
#include "gateway/decide.h"

#include "route/wished.h"

/* What the experiment tells apart: whoever is the same gets the same arm. Empty: it does not take part.
 * Nothing of it is needed to be known of a recorded request but what its record has. */
static struct str
subject_of(const struct experiment *e, struct ask *ask)
{
    bool nameless = ask->key.n == 0 || str_eq(ask->key, S("anonymous"));
    uint64_t same = 0;

    switch (e->by) {
    case EXPERIMENT_BY_CALLER:
        same = ask->user_hash != 0 ? ask->user_hash : ask_hash(ask->user);
        return arena_printf(ask->arena, STR_FMT "\n%016llx",
            STR_ARG(nameless ? ask->client_ip : ask->key), (unsigned long long)same);
    case EXPERIMENT_BY_TAG:
        for (const struct ask_tag *t = ask->tags; t != NULL; t = t->next)
            if (str_eq(t->name, e->tag))
                return t->value;
        return S("");
    case EXPERIMENT_BY_CONVERSATION:
        same = ask_conversation(ask);
        break;
    case EXPERIMENT_BY_REQUEST:
        break;
    }
    /* one that belongs to no conversation is one by itself */
    return arena_printf(ask->arena, "%016llx", (unsigned long long)(same != 0 ? same : ask->seed));
}

void
decide_begin(struct explain_decision *d, struct ask *ask, struct plan *plan)
{
    *plan = (struct plan){ .count = 0 };
    *d = (struct explain_decision){ .ask = ask, .plan = plan, .tags = ask->tags };
}

/* That of the alias, or the one that a rule names. */
static const struct experiment *
experiment_of(
    const struct snapshot *s, const struct route_found *found, const struct rule_result *ruling)
{
    if (ruling != NULL && ruling->experiment.n != 0)
        return experiments_named(s->experiments, ruling->experiment);
    return found->alias != NULL ? experiments_of(s->experiments, found->alias->name) : NULL;
}

enum err
decide_found(const struct snapshot *s, struct route_found *found, struct explain_decision *d,
    struct plan *plan, struct str *ret_why)
{
    const struct experiment *e = experiment_of(s, found, d->ruling);
    struct ask *ask = d->ask;

    if (e != NULL) {
        struct str subject = subject_of(e, ask);

        d->arm = subject.n != 0 ? experiment_assign(e, subject) : NULL;
        d->experiment = d->arm != NULL ? e : NULL;
    }
    if (d->arm != NULL && (found->alias == NULL || !str_eq(d->arm->use, found->alias->name))) {
        enum err why = route_find(s->routes, ask->arena, d->arm->use, found, ret_why);

        if (why != OK)
            return why;
    }
    if (found->alias != NULL)
        d->strategy = found->strategy != NULL ? found->strategy : found->alias->strategy;
    return route_plan(s->routes, found, ask, plan, ret_why);
}

enum err
decide_wished(const struct snapshot *s, bool canonical, struct explain_decision *d,
    struct plan *plan, struct str *ret_why)
{
    struct wished_by by = { .canonical = canonical };
    const struct rule_result *ruling = d->ruling;
    struct route_found ruled;
    enum err e = OK;

    if (ruling != NULL)
        by.strategy = ruling->strategy;
    if (ruling != NULL && ruling->route != NULL) {
        e = rules_find(ruling, s->routes, d->ask, &ruled, ret_why);
        by.ruled = &ruled;
    }
    if (e == OK)
        e = wished_plan(s->routes, d->ask, &by, plan, ret_why);
    d->strategy = by.strategy;
    return e;
}

enum err
decide(const struct snapshot *s, struct rules_runner *rules, struct ask *ask, bool canonical,
    struct plan *plan, struct explain_decision *ret, struct str *ret_why)
{
    struct rule_result *ruling = NULL;
    struct route_found found;

    decide_begin(ret, ask, plan);
    if (rules_at(s->rules, 0) != NULL) {
        ret->ruling = ruling = arena_new(ask->arena, struct rule_result);
        rules_run(rules, ask, ruling);
        if (ruling->undecidable != NULL && ask->missing == NULL)
            ask->missing = arena_printf(ask->arena, "'%s', which the rule '" STR_FMT "' reads",
                ruling->missing != NULL ? ruling->missing : "what",
                STR_ARG(ruling->undecidable->name))
                               .p;
        if (ruling->rejects != NULL) {
            *ret_why = ruling->reject;
            return ruling->rejects->reject_as;
        }
    }
    if (ask->wishes != NULL || canonical)
        return decide_wished(s, canonical, ret, plan, ret_why);
    enum err e = ruling != NULL ? rules_find(ruling, s->routes, ask, &found, ret_why)
                                : route_find(s->routes, ask->arena, ask->model, &found, ret_why);
    return e == OK ? decide_found(s, &found, ret, plan, ret_why) : e;
}

/* entries.c - reads the sections limits and budgets, and the short forms of keys. */
#include "policy/entries.h"

#include "base/arena.h"
#include "conf/form.h"
#include "conf/value.h"

#define OF_FILE "file:"    /* what the ids of these entries begin with */

static int64_t
nanousd_of(struct str text)
{
    int64_t v = 0;

    return text.n != 0 && value_decimal(text, &v) ? v : 0;
}

static void
check_money(const struct conf_str *v, const char *what, struct conf_problems *problems)
{
    if (v->v.n != 0 && (nanousd_of(v->v) <= 0 || str_ends(v->v, S("%"))))
        conf_problem(problems, v->mark,
            "'budgets[].%s' is not an amount; write dollars, like 10 or 0.50", what);
}

static void
check_budget(const struct conf_budget *b, struct conf_problems *problems)
{
    double share;

    check_money(&b->amount, "amount", problems);
    check_money(&b->per_request, "per_request", problems);
    check_money(&b->per_session, "per_session", problems);
    if (zone_find(b->time_zone.v) == NULL)
        conf_problem(problems, b->time_zone.mark,
            "'budgets[].time_zone' is not a time zone of this system (tzdata); write a name like "
            "Europe/Berlin, or an offset like \"+02:00\"");
    if (b->alerts.count > BUDGET_ALERTS)
        conf_problem(
            problems, b->mark, "'budgets[].alerts' has more than %d shares", BUDGET_ALERTS);
    for (size_t i = 0; i < b->alerts.count; i++)
        if (form_share(b->alerts.list[i].v, &share) && share < 0.01)
            conf_problem(problems, b->alerts.list[i].mark,
                "'budgets[].alerts' has a share below 1%%; write one like 80%%");
    if (str_eq(b->then.v, S("alias")) != (b->alias.v.n != 0))
        conf_problem(problems, b->mark,
            "'when_used_up: alias' and 'alias' belong together in budgets[]; write both, or neither");
}

void
entries_check(const struct conf *c, struct conf_problems *problems)
{
    for (size_t i = 0; i < c->budget_count; i++) {
        const struct conf_budget *b = &c->budgets[i];

        check_budget(b, problems);
        for (size_t k = 0; k < i; k++)
            if (b->name.v.n != 0 && str_eq(b->name.v, c->budgets[k].name.v))
                conf_problem(problems, b->name.mark,
                    "two entries of 'budgets' have this name; give each its own");
    }
}

static struct scope_entry
limit_entry(struct arena *a, const struct conf_limit *l, size_t number)
{
    struct scope_entry e = { .id = arena_printf(a, OF_FILE "limits/%zu", number),
        .scope = l->scope.v,
        .burst = l->burst,
        .concurrent = l->concurrent,
        .streams = l->streams };

    _Static_assert(ARRAY_LEN(l->rates) == SCOPE_RATES, "one for each");
    for (unsigned r = 0; r < SCOPE_RATES; r++)
        e.rates[r] = l->rates[r];
    return e;
}

static void
read_alerts(const struct conf_strs *list, uint8_t alerts[BUDGET_ALERTS])
{
    double share;

    for (size_t i = 0; i < list->count; i++)
        if (form_share(list->list[i].v, &share))
            budget_alert_add(alerts, (unsigned)(share * 100 + 0.5));
}

static struct scope_entry
budget_entry(struct arena *a, const struct conf_budget *b, size_t number)
{
    struct scope_entry e = {
        .id = b->name.v.n != 0 ? arena_printf(a, OF_FILE "budgets/" STR_FMT, STR_ARG(b->name.v))
                               : arena_printf(a, OF_FILE "budgets/%zu/" STR_FMT "/" STR_FMT, number,
                                     STR_ARG(b->scope.v), STR_ARG(b->period.v)),
        .scope = b->scope.v,
        .budget = { .nanousd = nanousd_of(b->amount.v),
            .period = budget_period_named(b->period.v),
            .zone = zone_find(b->time_zone.v),
            .then = budget_then_named(b->then.v),
            .alias = b->alias.v,
            .strict = b->strict,
            .request_nanousd = nanousd_of(b->per_request.v),
            .session_nanousd = nanousd_of(b->per_session.v) },
    };

    read_alerts(&b->alerts, e.budget.alerts);
    return e;
}

/* "10/month" */
static struct budget_terms
read_short(struct str text)
{
    struct str amount, period;

    if (!str_cut(text, '/', &amount, &period))
        return (struct budget_terms){ .nanousd = 0 };
    return (struct budget_terms){ .nanousd = nanousd_of(amount),
        .period = budget_period_named(period),
        .zone = zone_find(S("")) };
}

static struct scope_entry
key_entry(struct arena *a, const struct conf_key *k)
{
    struct scope_entry e = { .id = arena_printf(a, OF_FILE "keys/" STR_FMT, STR_ARG(k->name.v)),
        .scope = arena_printf(a, "key:file:" STR_FMT, STR_ARG(k->name.v)),
        .budget = read_short(k->budget.v) };

    e.rates[RATE_REQUESTS_MINUTE] = k->rpm;
    e.rates[RATE_REQUESTS_DAY] = k->rpd;
    e.rates[RATE_TOKENS_MINUTE] = k->tpm;
    e.rates[RATE_TOKENS_DAY] = k->tpd;
    return e;
}

void
entries_publish(struct scopes *s, const struct conf *c)
{
    struct arena *a = arena_create(1024 * 1024);
    size_t room = c->limit_count + c->budget_count + c->auth.key_count, n = 0;
    struct scope_entry *list =
        arena_alloc(a, (room + 1) * sizeof(*list), alignof(struct scope_entry));

    for (size_t i = 0; i < c->auth.key_count; i++) {
        const struct conf_key *k = &c->auth.keys[i];

        if ((k->rpm | k->rpd | k->tpm | k->tpd) != 0 || k->budget.v.n != 0)
            list[n++] = key_entry(a, k);
    }
    for (size_t i = 0; i < c->limit_count; i++)
        list[n++] = limit_entry(a, &c->limits[i], i);
    for (size_t i = 0; i < c->budget_count; i++)
        list[n++] = budget_entry(a, &c->budgets[i], i);
    scopes_set_all(s, S(OF_FILE), list, n);
    arena_destroy(a);
}

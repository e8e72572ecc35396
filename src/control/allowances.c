/* allowances.c - rows of resources become entries of scopes, by their ids. */
#include "control/allowances.h"

#include <stdio.h>

#include "conf/form.h"
#include "conf/value.h"

#define SCOPE_BYTES (RESOURCE_ID_MOST + 16)

static uint64_t
count_of(const struct resource_row *row, enum resource_field field)
{
    return (uint64_t)MAX(resource_number(row, field), 0);
}

/* "10/month" */
static struct budget_terms
read_short(struct str text)
{
    struct budget_terms t = { .nanousd = 0 };
    struct str amount, period;

    if (!str_cut(text, '/', &amount, &period) || !value_decimal(amount, &t.nanousd))
        return (struct budget_terms){ .nanousd = 0 };
    t.period = budget_period_named(period);
    t.zone = zone_find(S(""));
    return t;
}

/* --- whose they are --- */

/* What such a row says of itself; of each kind the fields have the same order. */
struct own_fields {
    enum scope_kind kind;
    enum resource_field name, rpm, tpm, rpd, tpd, concurrent, budget;
};

#define OWN(scope, of)                                                                             \
    {                                                                                              \
        scope, FIELD_##of##_name, FIELD_##of##_rpm, FIELD_##of##_tpm, FIELD_##of##_rpd,            \
            FIELD_##of##_tpd, FIELD_##of##_concurrent, FIELD_##of##_budget                         \
    }

static const struct own_fields own_fields[RESOURCE_KINDS] = {
    [RESOURCE_organisations] = OWN(SCOPE_ORG, organisations),
    [RESOURCE_teams] = OWN(SCOPE_TEAM, teams),
    [RESOURCE_projects] = OWN(SCOPE_PROJECT, projects),
    [RESOURCE_users] = OWN(SCOPE_USER, users),
    [RESOURCE_service_accounts] =
        OWN(SCOPE_USER, service_accounts),    /* a principal has it as its user */
    [RESOURCE_keys] = OWN(SCOPE_KEY, keys),
};

static void
on_owner(void *arg, const struct resource_row *row)
{
    struct scopes *s = arg;
    const struct own_fields *f = &own_fields[row->kind];
    char scope[SCOPE_BYTES];

    if (row->kind != RESOURCE_keys)    /* a principal has the name of its key */
        scopes_name(s, f->kind, row->id, row->deleted ? S("") : resource_text(row, f->name));
    if (row->deleted) {
        scopes_unset(s, row->id);
        return;
    }
    int n =
        snprintf(scope, sizeof(scope), "%s:" STR_FMT, scope_kind_name(f->kind), STR_ARG(row->id));
    struct scope_entry e = { .id = row->id,
        .scope = str_make(scope, MIN((size_t)n, sizeof(scope) - 1)),
        .concurrent = count_of(row, f->concurrent),
        .budget = read_short(resource_text(row, f->budget)) };
    e.rates[RATE_REQUESTS_MINUTE] = count_of(row, f->rpm);
    e.rates[RATE_TOKENS_MINUTE] = count_of(row, f->tpm);
    e.rates[RATE_REQUESTS_DAY] = count_of(row, f->rpd);
    e.rates[RATE_TOKENS_DAY] = count_of(row, f->tpd);
    if (scope_entry_says(&e))
        (void)scopes_set(s, &e);
    else
        scopes_unset(s, row->id);    /* mostly there is none */
}

/* --- limits and budgets of their own --- */

static void
on_limit(void *arg, const struct resource_row *row)
{
    if (row->deleted || resource_number(row, FIELD_limits_disabled) != 0) {
        scopes_unset(arg, row->id);
        return;
    }
    const struct scope_entry e = { .id = row->id,
        .scope = resource_text(row, FIELD_limits_for),
        .rates = { count_of(row, FIELD_limits_rpm), count_of(row, FIELD_limits_rph),
            count_of(row, FIELD_limits_rpd), count_of(row, FIELD_limits_tpm),
            count_of(row, FIELD_limits_tph), count_of(row, FIELD_limits_tpd) },
        .burst = count_of(row, FIELD_limits_burst),
        .concurrent = count_of(row, FIELD_limits_concurrent),
        .streams = count_of(row, FIELD_limits_streams) };
    (void)scopes_set(arg, &e);
}

/* A list of shares, as percent, ascending. */
static void
read_alerts(struct str list, uint8_t alerts[BUDGET_ALERTS])
{
    struct str text;
    double share;

    while (resource_next_text(&list, &text))
        if (form_share(text, &share))
            budget_alert_add(alerts, (unsigned)(share * 100 + 0.5));
}

/* UTC, if this machine does not know a zone that another one knew. */
static const struct zone *
zone_of(struct str name)
{
    const struct zone *zone = zone_find(name);

    return zone != NULL ? zone : zone_find(S(""));
}

static void
on_budget(void *arg, const struct resource_row *row)
{
    if (row->deleted || resource_number(row, FIELD_budgets_disabled) != 0) {
        scopes_unset(arg, row->id);
        return;
    }
    struct scope_entry e = { .id = row->id,
        .scope = resource_text(row, FIELD_budgets_for),
        .budget = { .nanousd = resource_number(row, FIELD_budgets_amount),
            .period = budget_period_named(resource_text(row, FIELD_budgets_period)),
            .zone = zone_of(resource_text(row, FIELD_budgets_time_zone)),
            .then = budget_then_named(resource_text(row, FIELD_budgets_when_used_up)),
            .alias = resource_text(row, FIELD_budgets_alias),
            .strict = resource_number(row, FIELD_budgets_strict) != 0,
            .request_nanousd = resource_number(row, FIELD_budgets_per_request),
            .session_nanousd = resource_number(row, FIELD_budgets_per_session) } };
    if (e.budget.then == BUDGET_ALIAS && e.budget.alias.n == 0)
        e.budget.then = BUDGET_REFUSE;
    read_alerts(resource_text(row, FIELD_budgets_alerts), e.budget.alerts);
    (void)scopes_set(arg, &e);
}

void
allowances_watch(struct resources *r, struct scopes *s)
{
    for (unsigned k = 0; k < RESOURCE_KINDS; k++)
        if (own_fields[k].rpm != own_fields[k].name)
            resources_watch(r, (struct resource_watcher){
                                   .kind = (enum resource_kind)k, .changed = on_owner, .arg = s });
    resources_watch(
        r, (struct resource_watcher){ .kind = RESOURCE_limits, .changed = on_limit, .arg = s });
    resources_watch(
        r, (struct resource_watcher){ .kind = RESOURCE_budgets, .changed = on_budget, .arg = s });
}

/* spent.c - sums of the ledger by scope, from where each budget's period begins. */
#include "control/spent.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/ledger.h"

#define PERIODS_MOST 64u
#define ID_BYTES 256u
#define SPENT_PART 20u    /* of the time of the thread that has the store */

struct spent {
    struct scopes *scopes;
    uint64_t due_ms;    /* clock_now_ms() */
};

struct spent *
spent_create(struct scopes *s)
{
    struct spent *p = check_alloc(calloc(1, sizeof(*p)));

    p->scopes = s;
    return p;
}

void
spent_destroy(struct spent *p)
{
    free(p);
}

/* --- statements --- */

#define SPENT "CAST(SUM(cost_nanousd + outrun_nanousd + judge_nanousd + shadow_nanousd) AS BIGINT)"

/* Whole days, and the hours before the first of them. ?2: the begin, ?3: the first day. */
#define WITHIN "((span = 1 AND start_ms >= ?3) OR (span = 0 AND start_ms >= ?2 AND start_ms < ?3))"

static const char by_value[] =
    "SELECT value, '', " SPENT " FROM usage_values WHERE kind = ?1 AND " WITHIN " GROUP BY value";

static const char by_model[] =
    "SELECT u.provider, u.model, " SPENT
    " FROM usage_cube c JOIN usage_labels u ON u.id = c.label WHERE CAST(?1 AS BIGINT) >= 0 AND " WITHIN
    " GROUP BY u.provider, u.model";

/* --- scopes --- */

/* What the ledger calls the kind; -1: it does not know it. */
static int
ledger_kind(enum scope_kind kind)
{
    switch (kind) {
    case SCOPE_ALL:
        return LEDGER_KIND_ALL;
    case SCOPE_ORG:
        return LEDGER_org + 1;
    case SCOPE_TEAM:
        return LEDGER_team + 1;
    case SCOPE_PROJECT:
        return LEDGER_project + 1;
    case SCOPE_USER:
        return LEDGER_user + 1;
    case SCOPE_KEY:
        return LEDGER_key + 1;
    case SCOPE_TAG:
        return LEDGER_tag + 1;
    case SCOPE_SESSION:
        return LEDGER_session + 1;
    case SCOPE_PROVIDER:
        return LEDGER_provider + 1;
    case SCOPE_MODEL:
        return LEDGER_model + 1;
    default:
        return -1;
    }
}

struct period_reading {
    struct scopes *scopes;
    struct scope_period period;
};

static void
on_sum(void *ctx, const struct store_value *v, size_t n UNUSED)
{
    struct period_reading *r = ctx;
    enum scope_kind kind = r->period.kind;
    struct str id = v[0].s, name = S(""), rest;
    char room[ID_BYTES];

    if (kind == SCOPE_MODEL) {
        int length =
            snprintf(room, sizeof(room), STR_FMT "/" STR_FMT, STR_ARG(v[0].s), STR_ARG(v[1].s));

        id = str_make(room, MIN((size_t)length, sizeof(room) - 1));
        name = v[1].s;
    } else if (kind == SCOPE_TAG) {
        (void)str_cut(id, '=', &name, &rest);
    } else if (kind == SCOPE_KEY) {
        name = str_starts(id, S("file:")) ? str_skip(id, strlen("file:")) : id;
    } else if (kind == SCOPE_ALL) {
        id = S("");
    }
    scopes_raise(r->scopes, kind, id, name, v[2].i, r->period.begins_ms);
}

static enum store_result
read_period(struct store *s, struct period_reading *r)
{
    uint64_t begins_ms = r->period.begins_ms / LEDGER_HOUR_MS * LEDGER_HOUR_MS;
    uint64_t day_ms = (begins_ms + LEDGER_DAY_MS - 1) / LEDGER_DAY_MS * LEDGER_DAY_MS;
    const struct store_value args[] = {
        store_i64(ledger_kind(r->period.kind)),
        store_i64((int64_t)begins_ms),
        store_i64((int64_t)day_ms),
    };

    if (ledger_kind(r->period.kind) < 0)
        return STORE_OK;
    return store_run(
        s, r->period.kind == SCOPE_MODEL ? by_model : by_value, args, ARRAY_LEN(args), on_sum, r);
}

void
spent_read(struct store *s, void *spent)
{
    struct spent *p = spent;
    struct scope_period list[PERIODS_MOST];
    uint64_t began_ms = clock_now_ms();

    if (began_ms < p->due_ms)
        return;
    size_t n = scopes_periods(p->scopes, clock_wall_ms(), list, PERIODS_MOST);
    for (size_t i = 0; i < n; i++) {
        struct period_reading r = { .scopes = p->scopes, .period = list[i] };

        if (read_period(s, &r) != STORE_OK)
            log_warn(NULL, "what was spent could not be read for the budgets of %ss: %s",
                scope_kind_name(list[i].kind), store_why(s));
    }
    p->due_ms = began_ms + SPENT_PART * (clock_now_ms() - began_ms);
}

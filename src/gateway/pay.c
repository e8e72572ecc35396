/* pay.c - reserves tokens of targets and money for attempts, and settles both. */
#include "gateway/pay.h"

#include "base/clock.h"
#include "base/log.h"
#include "catalog/catalog.h"

#define OUTPUT_TOKENS 4096    /* where neither the caller nor the catalog limits an answer */
#define TOKENS_MOST INT64_C(1000000000)           /* of one answer */
#define NANOUSD_MOST INT64_C(1000000000000000)    /* of a request: a million dollars */
#define USUAL_PERMILLE 990u    /* of the answers are no longer than what is reserved */
#define BUSY_MS 1000           /* when to ask again for what others may give back at any time */

struct attempt_hold {
    struct scope *target[2];    /* its model's and its provider's; NULL: not limited */
    struct scope_need need;
    bool taken;
    struct scope **payers;    /* whose budgets are in `money`, held */
    struct budget_hold *money;
    unsigned money_count, room;
    int64_t nanousd;    /* reserved in each of them */
    int64_t output;     /* tokens of the answer that were reserved */
    bool limit;         /* the target is told so */
};

static const struct budget_terms *
terms_of(struct budget *b)
{
    return atomic_load_explicit(&b->terms, memory_order_acquire);
}

/* --- how much --- */

struct str
pay_join(char *room, struct str a, char between, struct str b)
{
    if (a.n + 1 + b.n > PAY_ID_BYTES)
        return S("");
    memcpy(room, a.p, a.n);
    room[a.n] = between;
    if (b.n != 0)
        memcpy(room + a.n + 1, b.p, b.n);
    return str_make(room, a.n + 1 + b.n);
}

int64_t
pay_tokens(int64_t each, int64_t choices)
{
    return MIN(MAX(each, 0), TOKENS_MOST) * MIN(MAX(choices, 1), LLM_CHOICES_MAX);
}

int64_t
pay_usual_output(const struct target *t, int64_t choices)
{
    int64_t most = t->facts != NULL ? t->facts->output_tokens : 0;
    int64_t usual = lengths_quantile(&health_load(t->health)->lengths, USUAL_PERMILLE);

    if (most == 0)
        most = OUTPUT_TOKENS;
    return pay_tokens(usual != 0 ? MIN(usual, most) : most, choices);
}

static int64_t
price(const struct snapshot_hold *hold, const struct target *t, int64_t input, int64_t output)
{
    struct price_when when = { .wall_s = (int64_t)(clock_wall_ms() / 1000) };
    struct llm_usage u = { .known = 0 };
    bool estimated;

    usage_set(&u, COUNT_INPUT, input);
    usage_set(&u, COUNT_OUTPUT, output);
    return catalog_cost_nanousd(
        providers_catalog(hold->snapshot->providers), t->facts, &u, &when, &estimated);
}

int64_t
pay_price(const struct snapshot_hold *hold, const struct target *t, int64_t input, int64_t output)
{
    int64_t cost = price(hold, t, input, output);

    /* that nobody knows what so many tokens cost must not make them free */
    if (UNLIKELY(cost == COST_UNKNOWN) && price(hold, t, MIN(input, 1), MIN(output, 1)) >= 0)
        return NANOUSD_MOST;
    return MAX(cost, 0);
}

/* "key 'ci'" */
static struct str
scope_text(struct arena *a, const struct scope *s)
{
    if (s->kind == SCOPE_ALL)
        return S("all requests");
    if (s->kind == SCOPE_PURSE)
        return S("this session");
    struct str name = s->name.n != 0 ? s->name : s->id;
    return arena_printf(a, "%s '" STR_FMT "'", scope_kind_name(s->kind), STR_ARG(name));
}

struct llm_error
pay_rate_error(struct arena *a, const struct scope_refusal *why)
{
    struct str whose = scope_text(a, why->scope);
    unsigned long long limit = why->limit;
    struct llm_error e = { .kind = ERR_RATE_LIMIT, .retry_after_ms = BUSY_MS };

    if (why->why != REFUSED_RATE) {
        e.message = arena_printf(a, "the limit of %llu %s at one time is reached for " STR_FMT,
            limit, why->why == REFUSED_STREAMS ? "streams" : "requests", STR_ARG(whose));
        return e;
    }
    const char *what = why->rate >= RATE_TOKENS ? "tokens" : "requests";
    static const char *const windows[] = { "minute", "hour", "day" };
    const char *window = windows[why->rate % 3];
    e.permanent = why->wait_ns == GCRA_NEVER;
    e.retry_after_ms = e.permanent ? 0 : (int64_t)(why->wait_ns / 1000000 + 1);
    e.message = e.permanent ? arena_printf(a,
                                  "the request needs more than the %llu tokens a %s that " STR_FMT
                                  " may use; shorten it, or lower the limit of its answer",
                                  limit, window, STR_ARG(whose))
                            : arena_printf(a, "the limit of %llu %s a %s is reached for " STR_FMT,
                                  limit, what, window, STR_ARG(whose));
    return e;
}

struct llm_error
pay_budget_error(struct arena *a, const struct scope *s, struct budget *b, enum budget_verdict why)
{
    struct str whose = scope_text(a, s);
    struct budget_view v = budget_look(b, clock_wall_ms());
    const struct budget_terms *t = v.terms;

    if (why == BUDGET_BUSY)
        return (struct llm_error){ .kind = ERR_RATE_LIMIT,
            .retry_after_ms = BUSY_MS,
            .message = arena_printf(a,
                "what is left of the budget of " STR_FMT " is reserved by requests in progress",
                STR_ARG(whose)) };
    if (why == BUDGET_REQUEST_TOO_DEAR)
        return (struct llm_error){ .kind = ERR_BUDGET,
            .message = arena_printf(a,
                "the request may cost more than " STR_FMT
                " allows for one; lower the limit of its answer",
                STR_ARG(whose)) };
    return (struct llm_error){ .kind = ERR_BUDGET,
        .message = arena_printf(a, "the budget of " STR_FMT " for %s%s is used up", STR_ARG(whose),
            t == NULL || t->period == BUDGET_TOTAL ? "" : "this ",
            t == NULL || t->period == BUDGET_TOTAL ? "all time" : budget_period_name(t->period)) };
}

bool
pay_each_budget(struct scope *const *list, unsigned count,
    bool (*each)(void *arg, struct scope *s, struct budget *b), void *arg)
{
    for (unsigned i = 0; i < count; i++)
        for (unsigned k = 0; list[i] != NULL && k < SCOPE_BUDGETS; k++) {
            struct budget *b = atomic_load_explicit(&list[i]->budgets[k], memory_order_acquire);

            if (b == NULL)
                break;
            if (!each(arg, list[i], b))
                return false;
        }
    return true;
}

/* --- attempts --- */

/* What the attempt asks for: as the request, or, of a request of our own, what that says. */
static void
size_attempt(const struct payment *p, struct attempt_hold *h, int64_t *ret_input)
{
    const struct reservation *r = p->payer != NULL ? p->payer->reserved : NULL;
    const struct llm_request *q = &p->request->llm;
    bool same = r != NULL && r->sized && p->request == r->request;
    int64_t limit = same ? r->output : pay_tokens(q->max_tokens, q->n);

    *ret_input = same ? r->input : 0;
    if (q->op == OP_RELAY)
        return;
    if (!same || (p->payer->resumed != NULL && !p->request->large))
        *ret_input = MAX(*ret_input, llm_request_estimate_tokens(q));
    h->limit = same ? !r->bounded : limit == 0;
    h->output = h->limit && q->op != OP_EMBED ? pay_usual_output(p->target, q->n) : limit;
}

struct paying {
    struct arena *arena;
    struct attempt_hold *hold;
    bool aliased;
    bool strict;
    struct llm_error error;
};

static bool
reserve_money(void *arg, struct scope *s, struct budget *b)
{
    struct paying *p = arg;
    struct attempt_hold *h = p->hold;
    const struct budget_terms *t = terms_of(b);

    if (t == NULL || h->money_count == h->room)
        return true;
    enum budget_verdict v = budget_reserve(b, h->nanousd, p->aliased && t->then == BUDGET_ALIAS,
        clock_wall_ms(), &h->money[h->money_count]);
    p->strict = p->strict || t->strict;
    if (v != BUDGET_RESERVED) {
        p->error = pay_budget_error(p->arena, s, b, v);
        return false;
    }
    h->payers[h->money_count++] = scope_again(s);
    return true;
}

static void
drop_target(struct attempt_hold *h)
{
    for (unsigned i = 0; i < ARRAY_LEN(h->target); i++) {
        scope_drop(h->target[i]);
        h->target[i] = NULL;
    }
}

/* Hands out what is settled; what it raises is told to operators. */
static void
tell_alerts(struct worker *w, const struct scope *s, struct budget *b, unsigned raised)
{
    const struct budget_terms *t = terms_of(b);

    for (unsigned i = 0; t != NULL && i <= BUDGET_ALERTS; i++) {
        if ((raised & 1u << i) == 0)
            continue;
        unsigned percent = i < BUDGET_ALERTS ? t->alerts[i] : 100;
        struct str id = s->name.n != 0 ? s->name : s->id;

        metric_add(&w->metrics->budget_alerts, 1);
        log_warn(NULL, "budget alert: %s%s" STR_FMT " has spent %u %% of %lld.%02lld dollars (%s)",
            scope_kind_name(s->kind), id.n != 0 ? ":" : "", STR_ARG(id), percent,
            (long long)(t->nanousd / 1000000000), (long long)(t->nanousd / 10000000 % 100),
            budget_period_name(t->period));
    }
}

static void
settle_money(struct worker *w, struct attempt_hold *h, int64_t spent)
{
    for (unsigned i = 0; i < h->money_count; i++) {
        struct budget *b = h->money[i].budget;
        unsigned raised = budget_settle(&h->money[i], spent);

        if (UNLIKELY(raised != 0))
            tell_alerts(w, h->payers[i], b, raised);
        scope_drop(h->payers[i]);
    }
    if (h->money_count != 0 && spent > h->nanousd)
        metric_add(&w->metrics->budget_excess_nanousd, (uint64_t)(spent - h->nanousd));
    h->money_count = 0;
}

static bool
take_target(const struct payment *p, struct attempt_hold *h, int64_t input, struct llm_error *ret)
{
    struct scopes *s = p->worker->gateway->scopes;
    const struct target *t = p->target;
    char room[PAY_ID_BYTES];
    struct scope_refusal why;

    if ((scopes_kinds(s) & 1u << SCOPE_MODEL) != 0)
        h->target[0] = scope_hold(
            s, SCOPE_MODEL, pay_join(room, t->provider->id, '/', t->wire.model), t->wire.model);
    h->target[1] = scope_hold(s, SCOPE_PROVIDER, t->provider->id, S(""));
    h->need = (struct scope_need){ .requests = 1,
        .tokens = (uint64_t)(input + h->output),
        .concurrent = true,
        .stream = p->request->llm.stream };
    h->taken = scopes_take(h->target, ARRAY_LEN(h->target), &h->need, clock_now_us() * 1000, &why);
    if (!h->taken)
        *ret = pay_rate_error(p->arena, &why);
    return h->taken;
}

static bool
count_budgets(void *arg, struct scope *s UNUSED, struct budget *b UNUSED)
{
    ++*(unsigned *)arg;
    return true;
}

/* Reserves in all budgets, or in none. */
static bool
take_money(const struct payment *p, struct attempt_hold *h, struct llm_error *ret)
{
    const struct reservation *r = p->payer != NULL ? p->payer->reserved : NULL;
    struct paying paying = { .arena = p->arena, .hold = h, .aliased = r != NULL && r->aliased };
    unsigned count = 0;

    if (r != NULL)
        (void)pay_each_budget(r->scopes, r->count, count_budgets, &count);
    (void)pay_each_budget(h->target, ARRAY_LEN(h->target), count_budgets, &count);
    if (count == 0) {
        h->limit = false;
        return true;
    }
    h->room = count + SCOPE_BUDGETS;    /* one may be added just now */
    h->money = arena_array(p->arena, struct budget_hold, h->room);
    h->payers = arena_array(p->arena, struct scope *, h->room);
    bool ok = (r == NULL || pay_each_budget(r->scopes, r->count, reserve_money, &paying)) &&
              pay_each_budget(h->target, ARRAY_LEN(h->target), reserve_money, &paying);
    h->limit = h->limit && paying.strict;
    if (ok)
        return true;
    settle_money(p->worker, h, 0);
    *ret = paying.error;
    return false;
}

bool
pay_reserve(const struct payment *p, struct attempt_hold **ret, struct llm_error *ret_why)
{
    struct scopes *s = p->worker->gateway->scopes;
    int64_t input;

    *ret = NULL;
    if (LIKELY(s == NULL || scopes_kinds(s) == 0))
        return true;
    struct attempt_hold *h = arena_new(p->arena, struct attempt_hold);
    size_attempt(p, h, &input);
    h->nanousd = pay_price(p->hold, p->target, input, h->output);
    if (take_target(p, h, input, ret_why) && take_money(p, h, ret_why)) {
        *ret = h;
        return true;
    }
    if (h->taken)
        scopes_give(h->target, ARRAY_LEN(h->target), &h->need);
    drop_target(h);
    struct metric_shard *m = p->worker->metrics;
    metric_add(ret_why->kind == ERR_BUDGET ? &m->budgets_refused : &m->limits_refused, 1);
    return false;
}

void
pay_end(struct worker *w, struct attempt_hold *h, int64_t spent_nanousd, const struct llm_usage *u)
{
    settle_money(w, h, spent_nanousd);
    scopes_settle(h->target, ARRAY_LEN(h->target), &h->need, (uint64_t)(u->input + u->output),
        clock_now_us() * 1000);
    drop_target(h);
}

int64_t
pay_reserved_nanousd(const struct attempt_hold *h)
{
    return h->money_count != 0 ? h->nanousd : 0;
}

const struct rule_result *
pay_ruling(const struct attempt_hold *h, struct arena *a, int64_t choices,
    const struct rule_result *ruling)
{
    if (LIKELY(h == NULL || !h->limit))
        return ruling;
    struct rule_result *own = arena_new(a, struct rule_result);
    struct rule *rule = arena_new(a, struct rule);
    struct str caps =
        arena_printf(a, "{\"max_tokens\":%lld}", (long long)MAX(h->output / MAX(choices, 1), 1));

    if (ruling != NULL)
        *own = *ruling;
    rule->caps = json_parse(a, caps, NULL, NULL);
    if (own->matched_count < ARRAY_LEN(own->matched) && rule->caps != NULL)
        own->matched[own->matched_count++] = rule;
    return own;
}

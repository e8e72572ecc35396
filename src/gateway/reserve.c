/* reserve.c - takes from the scopes of a request's caller what it uses, and settles it. */
#include "gateway/reserve.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/admission.h"
#include "gateway/choice.h"
#include "gateway/pay.h"
#include "gateway/reply.h"
#include "net/address.h"

#define TAGS_MOST 4u        /* of a request that count as scopes */
#define KEY_TAGS_MOST 8u    /* and of its key and owners */
#define PURSES_MOST 4u      /* budgets that limit what a session costs */
#define POLL_MS 100u        /* how often work waits for a place among those under way */

static struct scopes *
scopes_of(const struct worker *w)
{
    return w->gateway->scopes;
}

/* --- whose limits apply --- */

/* A request takes from a scope once, however often its caller names it. */
static void
add_scope(struct reservation *r, struct scope *s)
{
    bool fresh = s != NULL && r->count < RESERVATION_SCOPES;

    for (unsigned i = 0; fresh && i < r->count; i++)
        fresh = r->scopes[i] != s;
    if (fresh)
        r->scopes[r->count++] = s;
    else
        scope_drop(s);
}

/* IPv6: its /64 network, which is what one customer of a provider has. */
static void
add_address(struct reservation *r, struct scopes *s, struct str text)
{
    struct str plain, scope;
    struct address a;
    char room[ADDRESS_TEXT_ROOM];

    (void)str_cut(text, '%', &plain, &scope);
    if (!address_parse(plain, 0, &a))
        return;    /* a Unix socket */
    if (a.any.sa_family == AF_INET6)
        memset((char *)&a.v6.sin6_addr + 8, 0, 8);
    add_scope(r, scope_hold(s, SCOPE_ADDRESS, address_text(&a, room), S("")));
}

static void
add_tag(struct reservation *r, struct scopes *s, struct str name, struct str value)
{
    char room[PAY_ID_BYTES];

    add_scope(
        r, scope_hold(s, SCOPE_TAG, value.n != 0 ? pay_join(room, name, '=', value) : name, name));
}

static void
add_tags(struct reservation *r, struct scopes *s, const struct exchange *x)
{
    struct str rest = http_field_get(&server_head(x->q)->fields, S("x-openclaw-tags")), part;
    unsigned n = 0, skipped = 0;

    for (const struct ask_tag *t = x->who->tags; t != NULL; t = t->next)
        n++;
    /* those of the owners stand last: who makes a key cannot displace them */
    for (const struct ask_tag *t = x->who->tags; t != NULL; t = t->next)
        if (++skipped + KEY_TAGS_MOST > n)
            add_tag(r, s, t->name, t->value);
    n = 0;
    for (; rest.n != 0 && n < TAGS_MOST; n++) {
        struct str name, value;

        (void)str_cut(rest, ',', &part, &rest);
        (void)str_cut(str_trim(part), '=', &name, &value);
        add_tag(r, s, name, value);
    }
}

/* What a session may still spend of the budgets that limit sessions: a purse of its own in each. */
static void
add_purses(struct reservation *r, struct scopes *s, struct str session)
{
    unsigned count = r->count, added = 0;
    char room[PAY_ID_BYTES];

    for (unsigned i = 0; session.n != 0 && i < count; i++)
        for (unsigned k = 0; k < SCOPE_BUDGETS && added < PURSES_MOST; k++) {
            struct budget *b =
                atomic_load_explicit(&r->scopes[i]->budgets[k], memory_order_acquire);
            const struct budget_terms *t = b != NULL ? atomic_load(&b->terms) : NULL;
            uint64_t whose[2];

            if (b == NULL)
                break;
            if (t == NULL || t->session_nanousd == 0)
                continue;
            whose[0] = b->id;
            whose[1] = atomic_load(&r->scopes[i]->hash);
            struct str id =
                pay_join(room, str_make((const char *)whose, sizeof(whose)), '/', session);
            if (id.n != 0)
                add_scope(r, scope_hold_purse(s, id, t->session_nanousd));
            added++;
        }
}

static void
add_scopes(struct reservation *r, struct scopes *s, const struct exchange *x)
{
    const struct principal *who = x->who;
    unsigned kinds = scopes_kinds(s);
    struct str session = http_field_get(&server_head(x->q)->fields, S("x-openclaw-session"));

    session.n = MIN(session.n, PAY_ID_BYTES - 32);
    add_scope(r, scope_hold(s, SCOPE_KEY, who->key_id.n != 0 ? who->key_id : who->name, who->name));
    add_scope(r, scope_hold(s, SCOPE_USER, who->user, who->user_name));
    add_scope(r, scope_hold(s, SCOPE_PROJECT, who->project, who->project_name));
    add_scope(r, scope_hold(s, SCOPE_TEAM, who->team, who->team_name));
    add_scope(r, scope_hold(s, SCOPE_ORG, who->org, who->org_name));
    if ((kinds & 1u << SCOPE_TAG) != 0)
        add_tags(r, s, x);
    add_scope(r, scope_hold(s, SCOPE_SESSION, session, S("")));
    if ((kinds & 1u << SCOPE_ADDRESS) != 0)
        add_address(r, s, x->client_ip);
    add_scope(r, scope_hold(s, SCOPE_ALL, S(""), S("")));
    add_purses(r, s, session);
}

/* --- how much --- */

static void
find_needs(void *arg)
{
    struct reservation *r = arg;

    needs_find(&r->request->llm, &r->needs);
}

/* The size of the request, and the limit that it sets for its answer. False: a helper thread is still
 * finding out. */
static bool
find_size(struct exchange *x, struct reservation *r)
{
    r->request = x->request;
    if (x->op == OP_RELAY)
        return true;
    if (x->ask != NULL && (x->ask->known & ASK_NEEDS) != 0)
        r->needs = x->ask->needs;
    else if (!request_work(x->request, find_needs, r))
        return false;
    r->input = r->needs.input_tokens;
    r->bounded = r->needs.output_tokens > 0 || x->op == OP_EMBED || x->op == OP_COUNT_TOKENS;
    r->output = r->bounded ? pay_tokens(r->needs.output_tokens, x->request->llm.n) : 0;
    return true;
}

/* Only a guess at the length of an answer must not make a request larger than what may ever be taken. */
static uint64_t
fit(const struct reservation *r, uint64_t tokens)
{
    for (unsigned i = 0; i < r->count; i++)
        for (unsigned k = RATE_TOKENS; k < SCOPE_RATES; k++) {
            uint64_t limit =
                atomic_load_explicit(&r->scopes[i]->rates[k].limit, memory_order_relaxed);

            if (limit != 0)
                tokens = MIN(tokens, limit);
        }
    return MAX(tokens, (uint64_t)r->input);
}

/* --- refusing --- */

/* --- the request: is there money for any of its targets? --- */

static const struct budget_terms *
terms_of(struct budget *b)
{
    return atomic_load_explicit(&b->terms, memory_order_acquire);
}

struct affording {
    const struct reservation *r;
    int64_t nanousd;
    enum budget_verdict verdict;
    struct scope *scope;
    struct budget *budget;
};

static bool
ask_budget(void *arg, struct scope *s, struct budget *b)
{
    struct affording *q = arg;
    const struct budget_terms *t = terms_of(b);

    if (t == NULL || (q->r->aliased && t->then == BUDGET_ALIAS))
        return true;
    q->verdict = budget_ask(b, q->nanousd, clock_wall_ms());
    q->scope = s;
    q->budget = b;
    return q->verdict == BUDGET_RESERVED;
}

/* What the answer costs of one of the targets, at most. */
static int64_t
most_nanousd(const struct exchange *x, const struct reservation *r, const struct target *t)
{
    int64_t output = r->bounded ? r->output : pay_usual_output(t, x->request->llm.n);

    return pay_price(x->hold, t, r->input, output);
}

/* False: the budgets have not enough for any target; *ret says which, for the first of them. */
static bool
is_affordable(const struct exchange *x, const struct reservation *r, struct affording *ret)
{
    bool asked = false;

    for (size_t i = 0; i < x->plan.count; i++) {
        const struct candidate *c = &x->plan.list[i];
        struct affording q = { .r = r };

        if (c->excluded != EXCLUDED_NOT)
            continue;
        q.nanousd = most_nanousd(x, r, c->target);
        if (pay_each_budget(r->scopes, r->count, ask_budget, &q))
            return true;
        if (!asked)
            *ret = q;
        asked = true;
    }
    return !asked;
}

static void
release(struct reservation *r)
{
    for (unsigned i = 0; i < r->count; i++)
        scope_drop(r->scopes[i]);
    r->count = 0;
}

static enum step
refuse(struct exchange *x, const struct llm_error *e, _Atomic uint64_t *counter)
{
    metric_add(counter, 1);
    return exchange_fail_with(x, e);
}

static enum step
check_money(struct exchange *x, struct reservation *r)
{
    struct affording q;

    if (LIKELY(is_affordable(x, r, &q)))
        return STEP_NEXT;
    const struct budget_terms *t = terms_of(q.budget);
    if (t != NULL && t->then == BUDGET_ALIAS && q.verdict == BUDGET_USED_UP && !r->aliased) {
        enum step step = choice_instead(x, t->alias);

        if (step != STEP_NEXT)
            return step;
        r->aliased = true;
        metric_add(&x->worker->metrics->budgets_aliased, 1);
        return check_money(x, r);    /* once */
    }
    struct llm_error e = pay_budget_error(x->arena, q.scope, q.budget, q.verdict);
    return refuse(x, &e, &x->worker->metrics->budgets_refused);
}

/* --- the request: rates, and places --- */

static void
on_timer(void *arg)
{
    struct exchange *x = arg;

    x->reserved->due = true;
    exchange_wake(x);
}

/* Work of low priority waits, with its place among those in progress, as long as it may. */
static bool
may_wait(struct exchange *x, struct reservation *r, const struct scope_refusal *why)
{
    uint64_t now_us = clock_now_us(), most_ms = exchange_conf(x)->server.queue_background_ms;
    uint64_t wait_ms = why->why == REFUSED_RATE ? why->wait_ns / 1000000 + 1 : POLL_MS;
    uint64_t due_us = exchange_due_us(x);

    if (!r->need.background || most_ms == 0 || why->wait_ns == GCRA_NEVER)
        return false;
    if (r->since_us == 0) {
        r->since_us = now_us;
        timer_init(&r->timer, x->worker->loop, on_timer, x);
        metric_add(&x->worker->metrics->limits_waited, 1);
    }
    uint64_t until_us = r->since_us + most_ms * 1000;
    if (due_us != 0)
        until_us = MIN(until_us, due_us);
    if (now_us + wait_ms * 1000 > until_us)
        return false;
    r->due = false;
    timer_set(&r->timer, wait_ms);
    return true;
}

static enum step
take(struct exchange *x, struct reservation *r)
{
    if (r->since_us != 0 && !r->due)
        return STEP_WAIT;
    if (scopes_take(r->scopes, r->count, &r->need, clock_now_us() * 1000, &r->refusal)) {
        r->taken = true;
        if (r->since_us != 0)
            x->queued_us += clock_now_us() - r->since_us;
        return check_money(x, r);
    }
    if (may_wait(x, r, &r->refusal))
        return STEP_WAIT;
    r->refused = true;
    struct llm_error e = pay_rate_error(x->arena, &r->refusal);
    return refuse(x, &e, &x->worker->metrics->limits_refused);
}

static void
find_need(struct exchange *x, struct reservation *r)
{
    const struct target *first = x->plan.count != 0 ? x->plan.list[0].target : NULL;
    bool tokens = r->bounded || first == NULL || x->op == OP_RELAY;
    uint64_t output = (uint64_t)(tokens ? r->output : pay_usual_output(first, x->request->llm.n));

    r->need = (struct scope_need){ .requests = 1,
        .tokens = (uint64_t)r->input + output,
        .concurrent = true,
        .stream = x->stream,
        .background = admission_priority(x) == PRIORITY_LOW };
    if (!r->bounded)
        r->need.tokens = fit(r, r->need.tokens);
}

enum step
reserve_request(struct exchange *x)
{
    struct scopes *s = scopes_of(x->worker);
    struct reservation *r = x->reserved;

    if (LIKELY(r == NULL)) {
        if (LIKELY(s == NULL || scopes_kinds(s) == 0))
            return STEP_NEXT;
        r = x->reserved = arena_new(x->arena, struct reservation);
        add_scopes(r, s, x);
    }
    if (r->taken)    /* a helper thread looked at it for another alias */
        return check_money(x, r);
    if (!r->sized) {
        if (!find_size(x, r))
            return STEP_WAIT;
        r->sized = true;
        find_need(x, r);
    }
    return take(x, r);
}

void
reserve_end(struct exchange *x, const struct llm_usage *usage)
{
    struct reservation *r = x->reserved;

    if (LIKELY(r == NULL))
        return;
    timer_stop(&r->timer);
    /* Refused for its money, it used nothing. */
    bool unused = x->attempts == 0 && x->error != OK;
    if (r->taken && unused)
        scopes_give(r->scopes, r->count, &r->need);
    else if (r->taken)
        scopes_settle(r->scopes, r->count, &r->need, (uint64_t)(usage->input + usage->output),
            clock_now_us() * 1000);
    r->taken = false;
    release(r);
}

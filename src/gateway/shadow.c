/* shadow.c - sends copies of some requests to another target. */
#include "gateway/shadow.h"

#include <stdlib.h>

#include "base/clock.h"
#include "gateway/book.h"
#include "gateway/exchange.h"
#include "gateway/settle.h"
#include "gateway/side.h"

#define DAY_MS UINT64_C(86400000)
#define LONGEST_US UINT64_C(600000000)    /* where no timeout is configured */
#define OUTPUT_TOKENS 1000                /* expected, where the request does not limit them */

/* One that is under way. Its texts follow it. */
struct copy {
    struct worker *worker;
    const struct shadow *shadow;    /* of the attempt's snapshot */
    int64_t reserved_nanousd;
    uint64_t day;
    unsigned endpoint;
    struct str endpoint_id, request_id, shadow_of, model;
    bool stream;
    uint64_t bytes_in;
    const struct exchange *copied;    /* only while it begins */
    uint32_t book;                    /* its record in the journal */
    char text[];
};

static struct str
put(char **at, struct str text)
{
    struct str s = str_make(*at, text.n);

    if (text.n != 0)
        memcpy(*at, text.p, text.n);
    *at += text.n;
    return s;
}

static struct copy *
copy_make(const struct exchange *x, const struct shadow *s)
{
    struct copy *c = check_alloc(malloc(sizeof(*c) + 2 * x->id.n + sizeof("-shadow") + x->model.n));
    char *at = c->text;

    *c = (struct copy){ .worker = x->worker,
        .shadow = s,
        .day = clock_wall_ms() / DAY_MS,
        .endpoint = endpoint_number(x->endpoint),
        .endpoint_id = str_c(x->endpoint->id),
        .stream = x->stream,
        .bytes_in = x->bytes_in };
    c->shadow_of = put(&at, x->id);
    c->request_id = put(&at, x->id);
    c->request_id.n += put(&at, S("-shadow")).n;
    c->model = put(&at, x->model);
    return c;
}

/* Its line in the log. */
static void
record(const struct copy *c, const struct side_end *end)
{
    const struct attempt *a = end->attempt;
    const struct record_attempt *n = a->note;
    const struct record r = {
        .wall_ms = clock_wall_ms(),
        .request_id = c->request_id,
        .shadow_of = c->shadow_of,
        .endpoint = c->endpoint,
        .endpoint_id = c->endpoint_id,
        .stream = c->stream,
        .model_requested = c->model,
        .target = a->target,
        .attempts = n,
        .attempt_count = 1,
        .status = err_row(end->error)->status,
        .error = end->error,
        .error_message = end->error != OK ? str_c(err_row(end->error)->sentence) : S(""),
        .finish = a->tally.finish,
        .usage = a->tally.usage,
        .cost_nanousd = end->cost_nanousd,
        .book = c->book,
        .bytes_in = c->bytes_in,
        .first_token_us =
            a->tally.first_token_us != 0 ? (int64_t)(a->tally.first_token_us - n->started_us) : -1,
        .duration_us = (int64_t)(n->ended_us - n->started_us),
        .overhead_us = -1,
    };

    settle_record(c->worker, &r);
}

static bool
on_sending(void *owner, const struct attempt *a)
{
    struct copy *c = owner;

    return book_shadow(c->copied, a, c->request_id, &c->book);
}

static void
on_done(void *owner, const struct side_end *end)
{
    struct copy *c = owner;
    struct metric_shard *m = c->worker->metrics;
    int64_t cost = end->cost_nanousd != COST_UNKNOWN ? end->cost_nanousd
                   : end->error == OK                ? c->reserved_nanousd
                                                     : 0;

    shadow_spend(c->shadow, cost - c->reserved_nanousd, c->day);
    if (end->error != OK)
        metric_add(&m->shadows_failed, 1);
    if (end->cost_nanousd > 0)
        metric_add(&m->shadow_nanousd, (uint64_t)end->cost_nanousd);
    record(c, end);
    c->worker->shadows--;
    free(c);
}

/* What the copy will cost, about. COST_UNKNOWN: its price is not known. */
static int64_t
expected_nanousd(const struct exchange *x, const struct target *t)
{
    const struct llm_request *q = &x->request->llm;
    struct llm_usage usage = { .known = 0 };

    usage_set(&usage, COUNT_INPUT, llm_request_estimate_tokens(q));
    usage_set(&usage, COUNT_OUTPUT, q->max_tokens > 0 ? q->max_tokens : OUTPUT_TOKENS);
    struct price_when when = { .wall_s = (int64_t)(clock_wall_ms() / 1000) };

    return model_cost_nanousd(t->facts, &usage, &when);
}

/* Has a copy a place? Memory is for callers first. */
static bool
has_place(const struct exchange *x)
{
    const struct quota *held = &x->worker->gateway->held;
    uint64_t limit = atomic_load_explicit(&held->limit, memory_order_relaxed);

    return x->worker->shadows < SHADOWS_MOST && x->request != NULL && !x->request->large &&
           !x->worker->draining && (limit == 0 || quota_held(held) <= limit / 2);
}

/* Whom it would be sent to, as far as its price is concerned; NULL: nobody. */
static const struct target *
first_target(struct exchange *x, struct str model)
{
    struct route_found found;
    struct str why;

    if (route_find(x->hold->snapshot->routes, x->arena, model, &found, &why) != OK)
        return NULL;
    if (found.alias == NULL)
        return found.target;
    return found.alias->count != 0 ? found.alias->targets[0] : NULL;
}

/* False: it is dropped. */
static bool
send_copy(struct exchange *x, const struct shadow *s)
{
    const struct target *t = has_place(x) ? first_target(x, s->model) : NULL;
    int64_t expected = t != NULL ? expected_nanousd(x, t) : COST_UNKNOWN;

    if (t == NULL || (expected == COST_UNKNOWN && s->day_nanousd != 0))
        return false;
    struct copy *c = copy_make(x, s);
    uint64_t total_us = t->timeouts.total_ms * 1000;

    c->reserved_nanousd = MAX(expected, 0);
    c->copied = x;
    if (shadow_take(s, c->reserved_nanousd, c->day)) {
        struct side *side = side_begin(&(struct side_call){
            .worker = x->worker,
            .hold = x->hold,
            .model = s->model,
            .request_id = c->request_id,
            .request = x->request,
            .copied = x,
            .payer = x,
            .wishes = x->wishes,
            .providers = &x->who->providers,
            .due_us = clock_now_us() + (total_us != 0 ? total_us : LONGEST_US),
            .sending = on_sending,
            .done = on_done,
            .owner = c,
        });
        c->copied = NULL;
        if (side != NULL) {
            x->worker->shadows++;
            return true;
        }
        shadow_spend(s, -c->reserved_nanousd, c->day);
    }
    free(c);
    return false;
}

const struct shadow *
shadow_for(const struct exchange *x)
{
    if (UNLIKELY(x->ruling != NULL && x->ruling->shadow != NULL))
        return x->ruling->shadow;
    return x->plan.alias != NULL ? x->plan.alias->shadow : NULL;
}

void
shadow_begin(struct exchange *x)
{
    const struct shadow *s = shadow_for(x);
    struct metric_shard *m = x->worker->metrics;

    CHECK(s != NULL);
    if (x->shadowed || (x->op != OP_CHAT && x->op != OP_COMPLETE))
        return;
    x->shadowed = true;
    if (clock_random_u64() % 1000000000 >= s->share_billionths)
        return;
    metric_add(send_copy(x, s) ? &m->shadows : &m->shadows_dropped, 1);
}

/* side.c - calls of the gateway's own: begins them, and tells how they ended. */
#include "gateway/side.h"

#include "base/clock.h"
#include "gateway/answer.h"
#include "gateway/exchange.h"
#include "gateway/fold.h"
#include "llm/wishes.h"
#include "route/constraint.h"

/* In the arena of its attempt. */
struct side {
    struct attempt *attempt;
    struct exchange *copied;    /* only while it begins */
    bool (*sending)(void *owner, const struct attempt *a);
    void (*done)(void *owner, const struct side_end *end);
    void *owner;
};

static void
on_ended(void *owner, struct attempt *a, enum err outcome)
{
    struct side *s = owner;
    struct metric_series_shard *series = worker_series(a->worker, a->target);
    struct side_end end = { .error = outcome, .attempt = a, .cost_nanousd = COST_UNKNOWN };

    if (a->fold != NULL && outcome == OK)
        end.answer = &a->fold->answer;
    if (a->draft.content && outcome != OK)
        (void)tally_estimate(&a->tally, a->measure.prompt_tokens, true);
    if (usage_known(&a->tally.usage))
        end.cost_nanousd = attempt_cost_nanousd(a, NULL);
    metric_add(&series->tokens_input, (uint64_t)a->tally.usage.input);
    metric_add(&series->tokens_cached, (uint64_t)a->tally.usage.cached);
    metric_add(&series->tokens_cache_write, (uint64_t)a->tally.usage.cache_write);
    metric_add(&series->tokens_output, (uint64_t)a->tally.usage.output);
    metric_add(&series->tokens_reasoning, (uint64_t)a->tally.usage.reasoning);
    if (end.cost_nanousd >= 0)
        metric_add(&series->cost_nanousd, (uint64_t)end.cost_nanousd);
    else if (usage_known(&a->tally.usage))
        metric_add(&series->cost_unknown, 1);
    s->done(s->owner, &end);
}

static bool
on_sending(void *owner, const struct attempt *a)
{
    const struct side *s = owner;

    return s->sending(s->owner, a);
}

/* Of the caller's demands those that say who may have its words. */
static const struct wishes *
demands(const struct wishes *of, struct wishes *room)
{
    if (of == NULL)
        return NULL;
    wishes_init(room);
    room->only = of->only;
    room->ignore = of->ignore;
    room->no_collection = of->no_collection;
    room->zdr = of->zdr;
    room->regions = of->regions;
    return room;
}

/* Excludes whom the caller forbids. A provider that routes by itself follows the demands in the
 * body, which a request of our own does not have. */
static void
exclude(struct plan *plan, struct ask *ask, bool own)
{
    const struct wishes *w = ask->wishes;
    bool late;

    for (size_t i = 0; w != NULL && i < plan->count; i++) {
        struct candidate *c = &plan->list[i];
        bool routes = c->target->wire.traits.takes_routing == YES;

        if (c->excluded == EXCLUDED_NOT)
            c->excluded = constraint_judge(c->target, ask, &c->look, &late);
        if (own && routes && (w->only != NULL || w->no_collection || w->zdr))
            c->excluded = EXCLUDED_PROVIDER;
    }
}

/* The first target that can be asked now; its breakers were entered. False: there is none. */
static bool
choose(const struct side_call *call, struct arena *a, struct pick *ret)
{
    const struct route_table *routes = call->hold->snapshot->routes;
    const struct llm_request *q = &call->request->llm;
    struct wishes wishes;
    struct ask ask = { .request = call->copied != NULL ? q : NULL,
        .arena = a,
        .id = call->request_id,
        .model = call->model,
        .op = q->op,
        .stream = q->stream,
        .wishes = demands(call->wishes, &wishes),
        .providers = call->providers,
        .now_us = clock_now_us(),
        .wall_ms = clock_wall_ms(),
        .seed = clock_random_u64() };
    struct route_found found;
    struct plan plan;
    struct str why;

    if (route_find(routes, a, call->model, &found, &why) != OK)
        return false;
    const struct target *first = found.alias == NULL       ? found.target
                                 : found.alias->count != 0 ? found.alias->targets[0]
                                                           : NULL;
    if (first == NULL)
        return false;
    ask.wire = q->wire != NULL ? q->wire : first->provider->wire;
    if (route_plan(routes, &found, &ask, &plan, &why) != OK)
        return false;
    exclude(&plan, &ask, call->copied == NULL);
    return plan_has_fresh(&plan) && plan_pick(&plan, true, ask.now_us, ret) == PICK_NOW;
}

struct side *
side_begin(const struct side_call *call)
{
    struct arena *a = worker_take_arena(call->worker, ARENA_EXCHANGE);
    struct pick pick;

    if (!choose(call, a, &pick)) {
        worker_drop_arena(call->worker, a, ARENA_EXCHANGE);
        return NULL;
    }
    if (call->copied == NULL)
        call->request->llm.wire = pick.candidate->target->provider->wire;
    struct side *s = arena_new(a, struct side);
    s->sending = call->sending;
    s->done = call->done;
    s->owner = call->owner;
    s->attempt = attempt_begin_alone(&(struct attempt_alone){
        .worker = call->worker,
        .hold = call->hold,
        .arena = a,
        .request = call->request,
        .copied = call->copied,
        .payer = call->payer,
        .pick = &pick,
        .request_id = arena_str(a, call->request_id),
        .due_us = call->due_us,
        .sending = call->sending != NULL ? on_sending : NULL,
        .ended = on_ended,
        .owner = s,
    });
    if (call->keep)
        attempt_fold(s->attempt);
    if (s->attempt->state == ATTEMPT_WRITING)
        answer_await(s->attempt);
    if (s->attempt->state == ATTEMPT_FAILED)
        attempt_report(s->attempt);
    return s;
}

void
side_cancel(struct side *s)
{
    if (s != NULL)
        attempt_abandon(s->attempt);
}

struct request *
side_request(struct worker *w, struct str instruction, struct str material, int64_t max_tokens)
{
    struct buf none;

    buf_init(&none, 0);
    struct request *r = request_create(w, none, NULL, NULL);
    if (r == NULL)
        return NULL;
    struct llm_request *q = &r->llm;
    struct llm_part **system = &q->system, **parts;
    struct llm_message **messages = &q->messages, *m;

    q->op = OP_CHAT;
    q->expanded = q->extended = true;    /* there is no body that could be sent as it is */
    q->max_tokens = max_tokens;
    llm_part_add(q->arena, &system, PART_TEXT)->text = arena_str(q->arena, instruction);
    m = llm_message_add(q->arena, &messages, ROLE_USER);
    parts = &m->parts;
    llm_part_add(q->arena, &parts, PART_TEXT)->text = arena_str(q->arena, material);
    if (!arena_was_refused(q->arena))
        return r;
    request_drop(r);
    return NULL;
}

/* attempt.c - one try to get the answer from one target: begins it, sends it, ends it. */
#include "gateway/attempt.h"

#include "base/clock.h"
#include "base/map.h"
#include "catalog/catalog.h"
#include "gateway/exchange.h"
#include "gateway/fold.h"
#include "gateway/pay.h"
#include "gateway/wrong_url.h"
#include "gateway/stored.h"
#include "llm/embed.h"
#include "llm/stops.h"
#include "route/warmth.h"

#define API_WORD_BYTES 64
#define BYTES_PER_TOKEN 4u    /* roughly, of English */
#define RESEND_MS 1000    /* to a provider that does not process it, when there is another target */

/* --- its state --- */

#define TO(state) (1u << ATTEMPT_##state)

static const unsigned moves[ATTEMPT_STATES] = {
    [ATTEMPT_WRITING] = TO(RUNNING) | TO(FAILED) | TO(OVER),
    [ATTEMPT_RUNNING] = TO(READING) | TO(HELD) | TO(COMMITTED) | TO(DONE) | TO(FAILED) | TO(OVER),
    [ATTEMPT_READING] = TO(HELD) | TO(DONE) | TO(FAILED) | TO(OVER),
    [ATTEMPT_HELD] = TO(DONE) | TO(OVER),
    [ATTEMPT_COMMITTED] = TO(DONE) | TO(FAILED) | TO(OVER),
    [ATTEMPT_DONE] = TO(OVER),
    [ATTEMPT_FAILED] = TO(OVER),
    [ATTEMPT_OVER] = 0,
};

void
attempt_move(struct attempt *a, enum attempt_state to)
{
    CHECK((moves[a->state] & 1u << to) != 0);
    a->state = to;
}

/* What an attempt has without an exchange. */
struct attempt_lone {
    struct deferred end;
    struct str request_id;
    unsigned *owners;    /* of the arena */
    unsigned own;        /* the same, where the arena is its own */
    uint64_t due_us;
    bool (*sending)(void *owner, const struct attempt *a);              /* NULL: the same */
    void (*ended)(void *owner, struct attempt *a, enum err outcome);    /* NULL: nobody is told */
    void *owner;
};

void
attempt_report(struct attempt *a)
{
    if (a->lone != NULL)
        loop_defer(a->worker->loop, &a->lone->end);
    else
        exchange_wake(a->exchange);
}

struct log_context
attempt_log(const struct attempt *a)
{
    const struct exchange *x = a->exchange;
    struct str provider = a->target->provider->id;

    if (x == NULL)
        return (struct log_context){ .request_id = a->lone->request_id, .provider = provider };
    struct log_context who = exchange_log(x);
    who.provider = provider;
    who.model = exchange_shown(x, a->target->wire.model);
    return who;
}

/* --- failing --- */

void
attempt_set_failed(struct attempt *a, const struct llm_error *e)
{
    a->error = *e;
    /* What the caller was not committed to is never sent: not to another attempt's answer, nor
     * before the error. */
    if (a->exchange == NULL || a->exchange->delivery.draft != &a->draft)
        draft_drop(&a->draft);
    attempt_move(a, ATTEMPT_FAILED);
}

/* Describes an answer that was incomplete or malformed. */
static const char *
describe_answer(const struct attempt *a)
{
    struct str type = a->intake.content_type;
    struct str shown = type.n == 0 || type.n > 100 ? S("no content type") : type;

    return arena_printf(a->arena, "status %d, " STR_FMT "%s", a->intake.status, STR_ARG(shown),
        a->intake.encoded ? ", with a Content-Encoding" : "")
        .p;
}

struct llm_error
attempt_error_copy(const struct llm_error *e, struct arena *to)
{
    struct llm_error copy = *e;

    copy.message = arena_str(to, e->message);
    copy.type = arena_str(to, e->type);
    copy.code = arena_str(to, e->code);
    copy.param = arena_str(to, e->param);
    return copy;
}

/* Why it failed, in words for the caller: what the provider said, or else `why`. */
static struct llm_error
failure_of(struct attempt *a, enum err why, const char *detail)
{
    struct llm_error e = { .kind = why };
    struct str id = a->target->provider->id;

    if (a->intake.error != NULL)    /* the provider said why */
        return *a->intake.error;
    if (detail == NULL && a->intake.status != 0 &&
        (why == ERR_UPSTREAM_PROTOCOL || why == ERR_UPSTREAM_TRUNCATED))
        detail = describe_answer(a);
    bool has_detail = detail != NULL && *detail != '\0';
    e.message = arena_printf(a->arena, "%s (" STR_FMT "%s%s)", err_row(why)->sentence, STR_ARG(id),
        has_detail ? ": " : "", has_detail ? detail : "");
    if (why == ERR_UPSTREAM_PROTOCOL)
        (void)wrong_url_explain(&a->intake, a->target->provider, a->path, &e);
    if (why == ERR_UPSTREAM_TLS && has_detail && strstr(detail, TLS_NOT_ACCEPTED) != NULL)
        e.permanent = true;
    return e;
}

void
attempt_fail(struct attempt *a, enum err why, const char *detail)
{
    struct llm_error e = failure_of(a, why, detail);

    attempt_set_failed(a, &e);
    attempt_report(a);
}

/* --- why, for the log --- */

/* Returns `word` if it looks like an API's identifier ("invalid_value", "messages[0].content"),
 * which may be logged; else an empty slice, as it may be part of a conversation. */
static struct str
api_word(const struct exchange *x, struct str word)
{
    bool fit = word.n <= API_WORD_BYTES && str_has_only(word, "_.[]") &&
               !secrets_in(x->hold->snapshot->secrets, word);

    return fit ? word : S("");
}

struct str
attempt_reason(struct exchange *x, const struct attempt *a, const struct llm_error *e)
{
    struct str code = api_word(x, e->code.n != 0 ? e->code : e->type);
    struct str param = api_word(x, e->param);
    struct buf *b = &x->worker->text;
    size_t before = buf_len(b);
    const char *sentence = err_row(e->kind)->sentence;

    if (a != NULL && a->intake.names_no_model && a->intake.status == 404)
        sentence = "the provider does not have what the request asks for";
    if (!e->quotes && e->message.n != 0)
        return exchange_shown(x, arena_str(x->arena, e->message));
    if (x->request != NULL && str_find(x->request->llm.body, code) != x->request->llm.body.n)
        code = S("");    /* the caller's word */
    buf_add(b, str_c(sentence));
    if (a != NULL)
        buf_printf(b, " (" STR_FMT, STR_ARG(a->target->provider->id));
    if (a != NULL && a->intake.status != 0)
        buf_printf(b, ", status %d", a->intake.status);
    if (code.n != 0)
        buf_printf(b, ", code " STR_FMT, STR_ARG(code));
    if (a != NULL)
        buf_add_c(b, ')');
    if (param.n != 0)
        buf_printf(b, ": " STR_FMT, STR_ARG(param));
    struct str s = arena_str(x->arena, str_skip(buf_str(b), before));
    buf_truncate(b, before);
    return exchange_shown(x, s);
}

/* --- starting and stopping --- */

static struct record_attempt *
note_add(struct exchange *x, struct target *t)
{
    struct record_attempt *n = arena_new(x->arena, struct record_attempt);

    n->target = t;
    n->started_us = clock_now_us();
    *x->notes_tail = n;
    x->notes_tail = &n->next;
    x->attempts++;
    return n;
}

static uint64_t
first_of(uint64_t a, uint64_t b)
{
    return a != 0 ? a : b;
}

/* What is asked of whom. The path is shown without its query, which is the caller's. */
COLD static void
debug_start(const struct attempt *a)
{
    const struct client_request *q = &a->written->q;
    struct log_context who = attempt_log(a);
    struct str path, query;
    size_t bytes = 0;

    if (a->exchange == NULL)
        return;
    (void)str_cut(q->path, '?', &path, &query);
    for (size_t i = 0; i < q->body_count; i++)
        bytes += q->body[i].n;
    struct str key = a->note->credential;
    log_debug(&who, "asks " STR_FMT "://" STR_FMT STR_FMT ": " STR_FMT ", %zu bytes, %s" STR_FMT,
        STR_ARG(q->origin->scheme), STR_ARG(q->origin->host_header),
        STR_ARG(exchange_shown(a->exchange, path)), STR_ARG(q->method), bytes,
        key.n != 0 ? "key " : "no key", STR_ARG(key));
}

/* The parts through which the answer will pass. */
static void
prepare(struct attempt *a)
{
    const struct llm_request *q = &a->request->llm;
    struct intake *in = &a->intake;

    filters_begin(&a->filters, &a->draft.sink);
    tally_begin(&a->tally);
    if (UNLIKELY(!health_reports_usage(a->target->health)))
        tally_count_tokens(&a->tally, model_tokenizer(a->target->facts, a->target->wire.model));
    filters_add(&a->filters, &a->tally.filter);
    in->events = a->filters.first;
    in->secrets = a->hold->snapshot->secrets;
    in->asked_stream = q->stream;
    in->reader.wire = target_wire(a->target, q->wire);
    in->frames = in->reader.wire == q->wire ? llm_request_framing(q) : in->reader.wire->framing;
    in->reader.op = q->op;
    a->anew = in->reader.wire == q->wire && q->op != OP_RELAY && q->wire->provider != NULL &&
              q->wire->provider->rewrites != NULL &&
              q->wire->provider->rewrites(q, &a->target->wire);
    in->reader.choices = q->n;
    in->reader.keep = a->arena;
    in->reader.scratch = a->worker->scratch;
    in->reader.drops = &a->drops;
    in->reader.no_finish_reason = a->target->wire.traits.no_finish_reason == YES;
}

static void
shorten(uint64_t *deadline_us, uint64_t at_us)
{
    if (*deadline_us == 0 || at_us < *deadline_us)
        *deadline_us = at_us;
}

/* How the request is sent. `others`: there are other targets, if this one has no time for it. */
static void
plan_call(struct attempt *a, struct written *w, struct str method, bool others)
{
    const struct target *t = a->target;
    const struct conf_timeouts *limits = &t->timeouts;
    bool stream = a->request->llm.stream;
    bool session = a->exchange != NULL && a->exchange->session;

    *w = (struct written){
        .request = a->request,
        .target = t,
        .wire = a->intake.reader.wire,
        .anew = a->anew,
        .drops = &a->drops,
        .credential = a->credential,
        .q = {
            .origin = session ? t->provider->session_origin : t->provider->origin,
            .switches = session,
            .method = method,
            .dns_ms = limits->dns_ms,
            .connect_ms = limits->connect_ms,
            /* A whole answer begins only when all of it was thought out: the total is its limit. */
            .first_byte_ms = first_of(
                limits->first_byte_ms, stream ? limits->first_token_ms : limits->total_ms),
            .fresh = a->fresh,
        },
    };
    w->q.resend_ms = others ? RESEND_MS
                            : first_of(first_of(limits->first_byte_ms, limits->first_token_ms),
                                  limits->connect_ms);
}

/* What attempts have in common; its state is WRITING. */
static struct attempt *
make(struct worker *w, struct snapshot_hold *hold, struct arena *arena, const struct pick *pick,
    struct request *request)
{
    struct attempt *a = arena_new(arena, struct attempt);

    a->state = ATTEMPT_WRITING;
    a->fresh = pick->candidate->fresh;
    a->credential = pick->credential;
    a->pass = pick->pass;
    a->slot = pick->slot;
    a->worker = w;
    a->hold = snapshot_hold_take(hold);
    a->arena = arena;
    a->target = pick->candidate->target;
    a->error = (struct llm_error){ .kind = ERR_OVERLOADED };
    a->request = request_take(request);
    a->written = arena_try(a->request->llm.arena, sizeof(*a->written));
    /* A helper thread must not use the exchange's arena. */
    a->drops.arena = a->request->large ? a->request->llm.arena : a->arena;
    a->drops.tail = &a->drops.names;
    prepare(a);
    return a;
}

/* Its record, in which what was measured goes. `bytes`: of the body. */
static void
note(struct attempt *a, struct record_attempt *n, uint64_t bytes)
{
    const struct provider *p = a->target->provider;

    a->note = n;
    if (p->credential_count != 0)
        n->credential = p->credential_names[a->credential];
    a->measure = (struct measure){ .target = a->target->health,
        .pass = &a->pass,
        .intake = &a->intake,
        .tally = &a->tally,
        .note = n,
        .prompt_tokens = (int64_t)(bytes / BYTES_PER_TOKEN),
        .cache_tokens = WARMTH_LEAST_TOKENS };
    if (a->target->facts != NULL && a->target->facts->cache_tokens != 0)
        a->measure.cache_tokens = a->target->facts->cache_tokens;
}

/* Takes what it needs of limits and budgets; or the target cannot take the request. */
static void
reserve(struct attempt *a, const struct exchange *payer)
{
    struct written *w = a->written;
    struct llm_error why = { .kind = OK };
    const struct payment p = { .worker = a->worker,
        .hold = a->hold,
        .arena = a->arena,
        .target = a->target,
        .request = a->request,
        .payer = payer };

    if (w->unfit != OK)
        return;
    if (LIKELY(pay_reserve(&p, &a->reserved, &why))) {
        w->ruling = pay_ruling(a->reserved, a->arena, a->request->llm.n, w->ruling);
        return;
    }
    w->unfit = why.kind;
    w->fault.message = why.message;
    w->retry_after_ms = why.retry_after_ms;
    w->permanent = why.permanent;
}

/* What proves its reasoning is remembered, and what is remembered of the history put into it, if the
 * caller's protocol may have no place for that. */
static void
remember_thoughts(struct attempt *a)
{
    struct exchange *x = a->exchange;
    struct thoughts *thoughts = &x->worker->gateway->thoughts;
    const struct principal *who = x->who;

    if (x->op != OP_CHAT || a->intake.reader.wire == x->wire || who == NULL)
        return;
    x->request->owner =
        arena_printf(x->request->llm.arena, STR_FMT " %s", STR_ARG(who->name), who->hash_hex);
    x->request->thoughts = thoughts;
    thoughts_watch(thoughts, a->arena, arena_str(a->arena, x->request->owner), &a->filters);
    a->intake.events = a->filters.first;
}

struct attempt *
attempt_begin(struct exchange *x, const struct pick *pick)
{
    CHECK(x->request->job.state == JOB_NONE);    /* it is written for one target at a time */
    if (x->attempt != NULL && x->attempt->state == ATTEMPT_OVER)
        attempt_free(x->attempt);
    struct attempt *a = make(x->worker, x->hold, x->arena, pick, x->request);
    const struct target *t = a->target;

    a->candidate = pick->candidate;
    a->candidate->state = CANDIDATE_UNDER_WAY;
    a->exchange = x;
    remember_thoughts(a);
    note(a, note_add(x, a->target), x->bytes_in);
    if (x->ask != NULL && (x->ask->known & ASK_NEEDS) != 0) {
        a->measure.conversation = x->ask->needs.conversation;
        a->measure.prefix = x->ask->needs.prefix;
    }
    a->next = x->under_way;
    a->intake.names_no_model = x->endpoint->kind == ENDPOINT_IS_PASSED;
    x->under_way = a;
    x->attempt = a;
    if (x->attempts == 1 && t->timeouts.total_ms != 0)
        shorten(&x->deadline_us, x->started_us + t->timeouts.total_ms * 1000);
    if (a->written == NULL) {
        attempt_move(a, ATTEMPT_FAILED);
        return a;
    }
    plan_call(a, a->written, x->op == OP_RELAY ? x->method : S("POST"), plan_has_fresh(&x->plan));
    a->written->ruling = x->ruling;
    written_write_head(a->written, x);
    reserve(a, x);
    a->path = a->written->q.path;
    return a;
}

/* The answer's text ends at stop sequences that the target was not told. */
struct cutter {
    struct filter filter;
    struct stops stops;
};

static void
on_cut_event(struct event_sink *sink, const struct llm_event *ev)
{
    struct cutter *c = CONTAINER_OF(sink, struct cutter, filter.sink);

    c->stops.to = c->filter.next;
    stops_take(&c->stops, ev);
}

static void
end_cutter(void *arg)
{
    stops_fini(&((struct cutter *)arg)->stops);
}

static void
cut_at_stops(struct attempt *a)
{
    struct cutter *c = arena_new(a->arena, struct cutter);

    c->filter = (struct filter){ .sink.emit = on_cut_event, .rewrites = true };
    stops_init(&c->stops, a->drops.stops, NULL);
    arena_cleanup(a->arena, end_cutter, c);
    filters_add_behind(&a->filters, &a->tally.filter, &c->filter);
}

bool
attempt_take_credential(struct attempt *a)
{
    a->lent = identity_credential(a->target->provider->identity, clock_wall_ms());
    if (a->lent == NULL)
        return false;
    a->written->lent = a->lent;
    a->intake.secrets =
        secrets_join(a->arena, a->hold->snapshot->secrets, credential_secrets(a->lent));
    return true;
}

void
attempt_lack_credential(struct attempt *a)
{
    struct written *w = a->written;
    struct provider *p = a->target->provider;
    struct arena *arena = w->request->llm.arena;
    struct str trouble = identity_trouble(p->identity, arena);

    w->unfit = ERR_NO_CREDENTIALS;
    w->fault.message = arena_printf(arena, "%s (" STR_FMT "): " STR_FMT,
        err_row(ERR_NO_CREDENTIALS)->sentence, STR_ARG(p->id), STR_ARG(trouble));
}

/* The names of dropped parameters, and of renamed tools, outlive the request. */
static void
keep_drops(struct attempt *a)
{
    const struct llm_word *names = a->drops.names;
    const struct map *renamed = a->drops.renamed;
    const struct map *free_form = a->drops.free_form;
    const struct llm_word *stops = a->drops.stops;
    struct str sent;
    void *asked;
    size_t at = 0;

    a->drops = (struct wire_drops){ .arena = a->arena };
    a->drops.tail = &a->drops.names;
    for (const struct llm_word *w = names; w != NULL; w = w->next)
        wire_drop(&a->drops, w->text);
    for (const struct llm_word *w = stops; w != NULL; w = w->next)
        (void)wire_cut_stop(&a->drops, w->text);
    while (renamed != NULL && map_next(renamed, &at, &sent, &asked))
        if (!wire_rename(&a->drops, sent, *(const struct str *)asked) && a->written->unfit == OK)
            a->written->unfit = ERR_OVERLOADED;    /* the caller would get names it does not know */
    for (at = 0; free_form != NULL && map_next(free_form, &at, &sent, &asked);)
        if (!wire_wrap(&a->drops, sent) && a->written->unfit == OK)
            a->written->unfit = ERR_OVERLOADED;
}

bool
attempt_may_send(const struct attempt *a)
{
    return a->lone == NULL || a->lone->sending == NULL || a->lone->sending(a->lone->owner, a);
}

void
attempt_send(struct attempt *a, const struct client_events *events)
{
    struct exchange *x = a->exchange;
    struct written *w = a->written;

    if (a->request->large) {
        CHECK(x != NULL);
        keep_drops(a);
        x->input_estimate = a->request->input_estimate;
    }
    if (w->unfit == OK && !quota_share_set(&a->worker->held, &w->held, w->body.cap, true))
        w->unfit = ERR_OVERLOADED;
    if (w->unfit == OK && a->request->large && exchange_is_late(x, clock_now_us()))
        w->unfit = ERR_DEADLINE;    /* the time ran out while another thread wrote */
    if (w->unfit != OK) {
        a->error = (struct llm_error){ .kind = w->unfit,
            .message = w->fault.message,
            .param = w->fault.param,
            .quotes = true,
            .retry_after_ms = w->retry_after_ms,
            .permanent = w->permanent };
        a->note->ended_us = a->note->started_us;
        attempt_move(a, ATTEMPT_FAILED);
        return;
    }
    if (UNLIKELY(a->drops.stops != NULL))
        cut_at_stops(a);
    if (log_enabled(LOG_DEBUG))
        debug_start(a);
    attempt_move(a, ATTEMPT_RUNNING);
    if (a->pass.table != NULL)
        load_take(health_load(a->target->health), health_key_name(a->pass.key));
    if (events != NULL)
        a->call = client_start(a->worker->client, &w->q, events, a);
}

void
attempt_drop_request(struct attempt *a)
{
    struct written *w = a->written;

    a->path = S("");
    if (w != NULL) {
        a->worker->freed_bytes += w->held;
        buf_fini(&w->body);
        quota_share_give(&a->worker->held, w->held);
    }
    a->written = NULL;
    request_drop(a->request);
    a->request = NULL;
}

/* --- its answer --- */

void
attempt_fold(struct attempt *a)
{
    a->fold = fold_begin(a->arena, &a->worker->gateway->held,
        a->hold->snapshot->conf->server.limit_answer_bytes, &a->filters, &a->tally.filter);
}

/* What every form of the caller's answer begins with. */
/* For the callers of OpenRouter's API, who are told. */
static int64_t
cost_of(const void *target, const struct llm_usage *u)
{
    struct price_when when = { .wall_s = (int64_t)(clock_wall_ms() / 1000) };

    return model_cost_nanousd(((const struct target *)target)->facts, u, &when);
}

static struct str
provider_name(const struct provider *p)
{
    return p->row != NULL && p->row->name.n != 0 ? p->row->name : p->id;
}

/* What the answer to embeddings needs to know of them; NULL: the provider's goes on as it is. */
static void
note_inputs(struct attempt *a, const struct llm_embed *e)
{
    struct wire_writer *w = &a->draft.writer;

    if (e == NULL)
        return;
    w->vector_types = e->types;
    w->inputs = e->count;
    w->input_estimate = embed_estimate_tokens(e->inputs);
    w->form = e->form;
}

struct draft *
attempt_draft(struct attempt *a)
{
    const struct exchange *x = a->exchange;
    struct draft *d = &a->draft;

    if (d->writer.out != NULL)
        return d;
    draft_begin(d, a->hold->snapshot->conf->server.limit_answer_bytes);
    if (x == NULL)
        return d;
    d->writer.wire = x->wire;
    d->writer.framing = x->framing;
    d->writer.op = x->endpoint->op;    /* the form that the route promises */
    d->writer.want_usage = x->want_usage;
    d->writer.old_calls = x->old_calls;
    d->writer.keep = a->arena;
    d->writer.id = str_skip(x->id, str_starts(x->id, S("req_")) ? 4 : 0);
    d->writer.model = a->target->wire.model;
    d->writer.created_s = (int64_t)(clock_wall_ms() / 1000);
    if (a->request != NULL)
        note_inputs(a, a->request->llm.embed);
    if (x->wire->caller->echo != NULL && x->op != OP_RELAY && a->request != NULL)
        d->writer.echo = x->wire->caller->echo(a->arena, &a->request->llm);
    if (x->stored != NULL && x->stored->keep) {
        d->writer.keep_answer = stored_keep;
        d->writer.keep_arg = x->stored;
    }
    if (x->endpoint->router) {
        d->writer.provider = provider_name(a->target->provider);
        d->writer.cost = cost_of;
        d->writer.cost_arg = a->target;
    }
    return d;
}

void
attempt_drop_fold(struct attempt *a)
{
    worker_drop_arena(a->worker, a->draft.fold, ARENA_REQUEST);
    a->draft.fold = NULL;
    a->draft.answer = NULL;
}

void
attempt_drop_job(struct attempt *a)
{
    struct answer_job *job = a->job;

    if (job == NULL)
        return;
    buf_fini(&job->bytes);
    job_fini(&job->job, job->arenas, ARRAY_LEN(job->arenas));
    a->job = NULL;
}

void
attempt_release(struct attempt *a)
{
    intake_fini(&a->intake);
    buf_fini(&a->draft.out);
    attempt_drop_fold(a);
    attempt_drop_job(a);
    fold_fini(a->fold);
    quota_share_give(&a->worker->held, a->held);
    a->held = 0;
}

/* --- its end --- */

/* What may be held against a target or a key for everybody. Other routes than conversations may need
 * rights, models and paths that these do not; a 404 without a word about the model may be about
 * anything that the request names; and a page in place of a refusal comes from a firewall in
 * between, which may dislike the prompt. */
static enum err
held_against(const struct attempt *a, enum err outcome)
{
    enum llm_op op = a->intake.reader.op;
    if (a->hurried)
        return ERR_UNSUPPORTED;    /* the caller's own limit ended it */
    bool talk = op == OP_CHAT || op == OP_COMPLETE;

    switch (failure_row(outcome)->blame) {
    case BLAME_GONE:
        return talk && a->error.worded ? outcome : ERR_UNSUPPORTED;
    case BLAME_KEY_MODEL:
        return talk && !a->intake.html ? outcome : ERR_UNSUPPORTED;
    case BLAME_KEY:
    case BLAME_ACCOUNT:
        return op != OP_RELAY ? outcome : ERR_UNSUPPORTED;
    default:
        return outcome;
    }
}

/* How it ended is held for or against its target, provider and key. */
static void
tell_health(struct attempt *a, enum err outcome)
{
    const struct record_attempt *n = a->note;
    bool cut = outcome == ERR_OUTRUN || outcome == ERR_CLIENT_GONE || outcome == ERR_DEADLINE;
    struct health_verdict v = { .outcome = held_against(a, outcome),
        .retry_after_ms = a->error.retry_after_ms,
        .silent = cut && a->silent_us != 0 && n->ended_us - n->started_us >= a->silent_us &&
                  a->tally.first_token_us == 0 };

    if (outcome == ERR_UPSTREAM_AUTH && a->lent != NULL)
        identity_doubt(a->target->provider->identity, a->lent, clock_wall_ms());
    if (a->pass.table == NULL)
        return;
    measure_end(&a->measure, outcome, a->sent);
    health_leave(&a->pass, &v, n->ended_us / 1000);
    if (outcome == OK)
        health_prove(a->target->breakers->table, a->target->health, a->target->wire.model);
}

/* It is no longer one of those that the target works on. */
static void
give_slot_back(struct attempt *a, enum err outcome)
{
    int status = a->intake.status;

    concurrency_leave(a->slot);
    if (outcome != OK && (status == 429 || status == 503 || status == 529) &&
        outcome != ERR_UPSTREAM_QUOTA)
        concurrency_refused(a->slot, clock_now_us());
    a->slot = NULL;
}

int64_t
attempt_usage_nanousd(const struct attempt *a, const struct llm_usage *u, bool *ret_estimated)
{
    struct price_when when = {
        .wall_s = (int64_t)(clock_wall_ms() / 1000),
        .service = u->service,
    };
    const struct catalog *catalog = providers_catalog(a->hold->snapshot->providers);
    bool estimated;

    return catalog_cost_nanousd(
        catalog, a->target->facts, u, &when, ret_estimated != NULL ? ret_estimated : &estimated);
}

int64_t
attempt_cost_nanousd(const struct attempt *a, bool *ret_estimated)
{
    return attempt_usage_nanousd(a, &a->tally.usage, ret_estimated);
}

/* What an attempt cost whose answer nobody gets. */
static void
book_outrun(struct attempt *a, struct metric_series_shard *s)
{
    struct exchange *x = a->exchange;

    (void)tally_estimate(&a->tally, x->input_estimate, !a->intake.reader.complete);
    int64_t cost = attempt_cost_nanousd(a, NULL);
    if (cost == COST_UNKNOWN)
        return;
    metric_add(&s->cost_nanousd, (uint64_t)cost);
    x->outrun_nanousd += cost;
}

/* Completes its record, and counts it. */
static void
count(struct attempt *a, enum err outcome)
{
    struct record_attempt *n = a->note;
    struct metric_series_shard *s = worker_series(a->worker, a->target);

    n->outcome = outcome;
    if (n->ended_us == 0)
        n->ended_us = clock_now_us();
    if (UNLIKELY(a->slot != NULL))
        give_slot_back(a, outcome);
    tell_health(a, outcome);
    if (attempt_was_in_vain(outcome) && a->sent && a->exchange != NULL)
        book_outrun(a, s);
    metric_add(&s->attempts[outcome], 1);
    METRIC_OBSERVE(s, attempt_duration, n->ended_us - n->started_us);
    if (outcome != OK && outcome != ERR_CLIENT_GONE && !attempt_was_in_vain(outcome)) {
        struct log_context who = attempt_log(a);

        n->message = a->exchange != NULL ? attempt_reason(a->exchange, a, &a->error)
                                         : str_c(err_row(outcome)->sentence);
        who.error = str_c(err_row(outcome)->code);
        if (failure_row(outcome)->next == NEXT_KEY && n->credential.n != 0)
            log_warn(&who, "attempt failed: " STR_FMT "; its key was " STR_FMT, STR_ARG(n->message),
                STR_ARG(n->credential));
        else if (outcome != ERR_BUDGET && outcome != ERR_RATE_LIMIT)    /* of ours: nothing is wrong */
            log_warn(&who, "attempt failed: " STR_FMT, STR_ARG(n->message));
    } else if (log_enabled(LOG_DEBUG)) {
        struct log_context who = attempt_log(a);

        log_debug(&who, "attempt ended: %s after %.1f ms", err_row(outcome)->code,
            (double)(n->ended_us - n->started_us) / 1000);
    }
}

void
attempt_answered(struct attempt *a)
{
    if (a->note->ended_us == 0)
        a->note->ended_us = clock_now_us();
    if (UNLIKELY(a->slot != NULL))
        give_slot_back(a, OK);
    tell_health(a, OK);
    a->pass.table = NULL;
}

enum err
attempt_vain(const struct attempt *a)
{
    return a->state == ATTEMPT_FAILED                                         ? a->error.kind
           : a->state == ATTEMPT_HELD && a->error.kind == ERR_ANSWER_REJECTED ? ERR_ANSWER_REJECTED
                                                                              : ERR_OUTRUN;
}

void
attempt_stop(struct attempt *a, enum err outcome)
{
    if (a->call != NULL)
        client_cancel(a->call);
    a->call = NULL;
    if (UNLIKELY(a->chaos != NULL))
        timer_stop(a->chaos);
    timer_stop(&a->clock);
    attempt_drop_request(a);
    count(a, outcome);
    attempt_move(a, ATTEMPT_OVER);
}

static void
unlink_from(struct attempt **list, const struct attempt *a)
{
    while (*list != a)
        list = &(*list)->next;
    *list = a->next;
}

/* What it cost; what nobody said is estimated, as it is for the log. */
static void
book(struct attempt *a)
{
    const struct intake *in = &a->intake;
    bool cut = in->source == SOURCE_STREAM && !in->reader.finished;
    int64_t input = a->exchange != NULL ? a->exchange->input_estimate : a->measure.prompt_tokens;

    if (a->sent && a->draft.content && in->source != SOURCE_RAW)
        (void)tally_estimate(&a->tally, input, cut);
    bool known = a->sent && usage_known(&a->tally.usage);
    pay_end(
        a->worker, a->reserved, known ? MAX(attempt_cost_nanousd(a, NULL), 0) : 0, &a->tally.usage);
    a->reserved = NULL;
}

void
attempt_free(struct attempt *a)
{
    struct attempt_lone *lone = a->lone;

    CHECK(a->state == ATTEMPT_OVER && (lone == NULL || !lone->end.queued));
    if (UNLIKELY(a->reserved != NULL))
        book(a);
    unlink_from(lone != NULL ? &a->worker->lone : &a->exchange->under_way, a);
    attempt_release(a);
    credential_drop(a->lent);
    snapshot_hold_drop(a->hold);
    if (lone != NULL && --*lone->owners == 0)
        worker_drop_arena(a->worker, a->arena, ARENA_EXCHANGE);
}

/* --- without an exchange --- */

static void
stop_lone(struct attempt *a, enum err outcome)
{
    attempt_stop(a, outcome);
    if (a->lone->ended != NULL)
        a->lone->ended(a->lone->owner, a, outcome);
    attempt_free(a);
}

static void
end_lone(void *arg)
{
    struct attempt *a = arg;

    stop_lone(a, a->state == ATTEMPT_FAILED ? a->error.kind : OK);
}

static void
add_lone(struct attempt *a)
{
    a->next = a->worker->lone;
    a->worker->lone = a;
}

/* It does not wait. */
static void
take_credential_now(struct attempt *a)
{
    if (a->written->unfit != OK || attempt_take_credential(a))
        return;
    (void)keeper_look(&a->worker->keeper, a->target->provider->identity, true);
    if (!attempt_take_credential(a))
        attempt_lack_credential(a);
}

struct attempt *
attempt_begin_alone(const struct attempt_alone *how)
{
    struct attempt *a = make(how->worker, how->hold, how->arena, how->pick, how->request);
    struct attempt_lone *lone = arena_new(a->arena, struct attempt_lone);

    CHECK(!how->request->large);
    *lone = (struct attempt_lone){ .end = { .fn = end_lone, .arg = a },
        .request_id = how->request_id,
        .owners = &lone->own,
        .own = 1,
        .due_us = how->due_us,
        .sending = how->sending,
        .ended = how->ended,
        .owner = how->owner };
    a->lone = lone;
    struct record_attempt *n = arena_new(a->arena, struct record_attempt);
    n->target = a->target;
    n->started_us = clock_now_us();
    note(a, n, how->request->llm.body.n);
    add_lone(a);
    if (a->written == NULL) {
        attempt_move(a, ATTEMPT_FAILED);
        return a;
    }
    plan_call(a, a->written, S("POST"), false);
    if (how->copied == NULL) {
        written_write_own_head(a->written, a->worker);
    } else {
        a->written->ruling = how->copied->ruling;
        written_write_head(a->written, how->copied);
    }
    a->path = a->written->q.path;
    reserve(a, how->payer);
    if (a->target->provider->identity != NULL)
        take_credential_now(a);
    written_write_body(a->written);
    return a;
}

uint64_t
attempt_alone_due_us(const struct attempt *a)
{
    return a->lone != NULL ? a->lone->due_us : 0;
}

void
attempt_abandon(struct attempt *a)
{
    a->lone->ended = NULL;
    if (!a->lone->end.queued && !attempt_is_at_work(a))
        stop_lone(a, ERR_CLIENT_GONE);
}

/* Its record is not one of the exchange's. */
static void
take_note(struct exchange *x, struct attempt *a)
{
    struct record_attempt **at = &x->notes;

    while (*at != a->note)
        at = &(*at)->next;
    *at = a->note->next;
    if (*at == NULL)
        x->notes_tail = at;
    x->attempts--;
}

void
attempt_let_go(struct attempt *a)
{
    struct exchange *x = a->exchange;

    CHECK(a->state == ATTEMPT_RUNNING && a->intake.source == SOURCE_NONE && x->op != OP_RELAY);
    a->lone = arena_new(a->arena, struct attempt_lone);
    *a->lone = (struct attempt_lone){
        .end = { .fn = end_lone, .arg = a }, .request_id = x->id, .owners = &x->owners
    };
    x->owners++;
    take_note(x, a);
    unlink_from(&x->under_way, a);
    if (x->attempt == a)
        x->attempt = x->under_way;
    CHECK(x->attempt != NULL || plan_has_fresh(&x->plan));
    if (x->attempt != NULL && timer_is_set(&x->attempt->clock))
        timer_set(&x->attempt->clock, 0);    /* from now on it keeps the caller waiting */
    timer_set(&a->clock, 0);                 /* and this one has a deadline of its own */
    a->exchange = NULL;
    a->candidate = NULL;
    add_lone(a);
}

void
attempt_stop_lone(struct worker *w)
{
    for (struct attempt *a = w->lone, *next; a != NULL; a = next) {
        next = a->next;
        if (a->lone->end.queued || attempt_is_at_work(a))
            continue;    /* it ends by itself */
        stop_lone(a, ERR_CLIENT_GONE);
    }
}

/* settle.c - fills in the record of a request that has ended, and hands it to the sinks. */
#include "gateway/settle.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/attempt.h"
#include "gateway/book.h"
#include "gateway/exchange.h"
#include "gateway/judge.h"
#include "gateway/reserve.h"
#include "gateway/resume.h"

enum { UNPRICED_WARN_MS = 60000 };

/* --- the sinks --- */

static void
sink_metrics(struct worker *w, const struct record *r)
{
    if (r->shadow_of.n != 0)
        return;    /* no request of anybody: shadow.c counts it */
    metrics_record(w->metrics, r->target != NULL ? worker_series(w, r->target) : NULL, r);
}

/* Model requests are also kept for a while, as JSON, whatever the log looks like. */
static void
sink_access_log(struct worker *w, const struct record *r)
{
    struct str line;

    if (r->quiet)
        return;
    line = access_log_write(&w->access, r);
    const struct endpoint *e = &endpoints[r->endpoint];

    if (w->recent == NULL || e->local || !endpoint_needs_key(e))
        return;
    if (line.n == 0) {
        CHECK(buf_len(&w->text) == 0);
        access_log_json(&w->text, r);
        line = buf_str(&w->text);
    }
    recent_add(w->recent, r->request_id, r->answer, r->key_hash, line);
    buf_reset(&w->text, SIZE_MAX);
}

/* Says that costs are missing, once a minute for all answers since. A server of one's own has no price, and nothing
 * to warn of. */
static void
warn_unpriced(struct worker *w, const struct log_context *who, const struct record *r)
{
    uint64_t now_ms = clock_now_ms();

    if (r->target == NULL || r->cost_nanousd != COST_UNKNOWN || !usage_known(&r->usage) ||
        r->target->provider->simulated || str_eq(r->target->provider->region, S("local")))
        return;
    w->unpriced++;
    if (now_ms < w->warn_ms)
        return;
    log_warn(who,
        "%u answer%s had no known price, the last of " STR_FMT "/" STR_FMT
        "; write it under catalog.models, or see docs/catalog.md",
        w->unpriced, w->unpriced == 1 ? "" : "s", STR_ARG(record_provider(r)),
        STR_ARG(record_model(r)));
    w->unpriced = 0;
    w->warn_ms = now_ms + UNPRICED_WARN_MS;
}

static void
sink_log(struct worker *w, const struct record *r)
{
    struct log_context who = { .request_id = r->request_id,
        .model_requested = r->model_requested,
        .provider = record_provider(r),
        .model = record_model(r),
        .attempt = r->attempt_count };

    if (log_enabled(LOG_DEBUG))
        log_debug(&who,
            "request ended: " STR_FMT " " STR_FMT " from " STR_FMT ", status %d, %.1f ms",
            STR_ARG(r->method), STR_ARG(r->path), STR_ARG(r->client_ip), r->status,
            (double)r->duration_us / 1000);
    warn_unpriced(w, &who, r);
}

/* Each gets every record, in this order, on the worker's thread: a sink that is slow hands it
 * on. */
static const struct sink {
    const char *name;    /* for the watchdog */
    void (*fn)(struct worker *w, const struct record *r);
} sinks[] = {
    { "ledger", book_settle },
    { "metrics", sink_metrics },
    { "access log", sink_access_log },
    { "log", sink_log },
};

void
settle_record(struct worker *w, const struct record *r)
{
    for (size_t i = 0; i < ARRAY_LEN(sinks); i++) {
        worker_at(w, sinks[i].name);
        sinks[i].fn(w, r);
    }
    worker_stir(w);
}

/* --- the record --- */

/* Was all that it cost counted as that of an answer which nobody got? Then the caller's answer did
 * not cost that, too. */
static bool
is_counted(const struct attempt *a)
{
    enum err outcome = a->note->outcome;

    return a->state == ATTEMPT_OVER && (outcome == ERR_OUTRUN || outcome == ERR_ANSWER_REJECTED);
}

/* Usage was not reported (the caller left early, or the provider never reports it): estimate it,
 * and mark it as an estimate. What a stream reported of its output before it was cut is
 * incomplete. */
static bool
estimate_usage(struct attempt *a, int64_t input_estimate)
{
    const struct intake *in = &a->intake;
    bool cut = in->source == SOURCE_STREAM && !in->reader.finished;

    if (in->source == SOURCE_RAW || !a->draft.content)
        return false;    /* not ours to understand, or nothing there */
    bool estimated = tally_estimate(&a->tally, input_estimate, cut);
    if (!cut && in->reader.op == OP_CHAT)
        health_note_usage(a->target->health, !estimated);    /* the next ones are counted exactly */
    return estimated;
}

/* That a caller left says nothing about the arm. */
static void
note_experiment(const struct record *r)
{
    if (r->error == ERR_CLIENT_GONE)
        return;
    experiment_note(r->decision->arm, &(struct experiment_outcome){
                                          .failed = r->error != OK,
                                          .cost_nanousd = r->cost_nanousd,
                                          .first_token_us = r->first_token_us,
                                          .duration_us = r->duration_us,
                                      });
}

/* Tags and header fields are what a caller wrote: a key may stand where a name belongs. */
static void
hide_secrets(const struct exchange *x)
{
    struct rule_result *r = x->ruling;

    for (struct ask_tag *t = x->ask->tags; t != NULL; t = t->next) {
        t->name = exchange_shown(x, t->name);
        t->value = exchange_shown(x, t->value);
    }
    for (size_t i = 0; r != NULL && i < r->member_count; i++)
        r->members[i].value = exchange_shown(x, r->members[i].value);
}

void
settle_exchange(struct exchange *x)
{
    struct attempt *attempt = x->attempt;
    const struct target *t = attempt != NULL ? attempt->target : NULL;
    for (struct attempt *a = x->under_way; a != NULL; a = a->next)
        if (a != attempt)
            book_failed(x, a);
    bool counts = attempt != NULL && !is_counted(attempt);
    const struct tally *tally = counts ? &attempt->tally : &tally_none;
    bool served = x->status == 101 ||    /* the caller ends a session by leaving */
                  (attempt != NULL && attempt->intake.reader.complete && x->status != 0 &&
                      x->delivery.draft != NULL);
    bool gone = x->gone && (x->delivering || !served);
    enum err error = gone && x->error == OK ? ERR_CLIENT_GONE : x->error;
    int status = gone && x->status == 0 ? err_row(ERR_CLIENT_GONE)->status : x->status;
    bool doubtful = error != OK;    /* a key may stand where a name belongs */
    if (attempt != NULL && resume_keeps_request(attempt))
        exchange_drop_request(
            x, t, usage_has(&attempt->tally.usage, COUNT_INPUT) ? INPUT_ESTIMATED : INPUT_COUNTED);
    bool estimated = counts && estimate_usage(attempt, x->input_estimate);
    bool guessed = false;
    int64_t cost = counts ? attempt_cost_nanousd(attempt, &guessed) : COST_UNKNOWN;
    uint64_t duration_us = clock_now_us() - x->started_us;
    uint64_t away_us = x->waited_us + x->queued_us;    /* at clients and providers, or in line */

    for (const struct record_attempt *a = x->notes; a != NULL; a = a->next)
        away_us += a->ended_us - a->started_us;
    struct record r = {
        .wall_ms = clock_wall_ms(),
        .request_id = x->id,
        .answer = tally->answer,
        .trace_id = str_make(x->trace.id, TRACE_ID_HEX),
        .key_name = x->who != NULL ? x->who->name : S(""),
        .key_hash = x->who != NULL ? str_c(x->who->hash_hex) : S(""),
        .client_ip = x->client_ip,
        .method = x->method,
        .path = doubtful || x->endpoint->op == OP_RELAY ? exchange_shown(x, x->path.text)
                                                        : x->path.text,
        .endpoint = endpoint_number(x->endpoint),
        .endpoint_id = str_c(x->endpoint->id),
        /* health checks and scrapes would flood the log */
        .quiet = status < 400 && !endpoint_needs_key(x->endpoint),
        .stream = x->stream,
        .client_abort = gone,
        .model_requested = doubtful ? exchange_shown(x, x->model) : x->model,
        .decision = x->decision,
        .target = t,
        .attempts = x->notes,
        .attempt_count = x->attempts,
        .status = status,
        .error = error,
        .error_message = x->error_message,
        .finish = tally->finish,
        .usage = tally->usage,
        .usage_estimated = estimated,
        .cost_nanousd = cost,
        .cost_estimated = guessed,
        .outrun_nanousd = x->outrun_nanousd,
        .judge_nanousd = x->judge_nanousd,
        .book = x->book,
        .bytes_in = x->bytes_in,
        .bytes_out = x->bytes_out,
        .first_token_us =
            tally->first_token_us != 0 ? (int64_t)(tally->first_token_us - x->started_us) : -1,
        .duration_us = (int64_t)duration_us,
        .overhead_us = duration_us > away_us ? (int64_t)(duration_us - away_us) : 0,
    };
    resume_add_up(x, &r);
    if (x->plan.alias != NULL && x->plan.alias->hedge != NULL)
        hedge_note_cost(x->plan.alias->hedge, r.cost_nanousd, r.outrun_nanousd);
    if (x->ask != NULL)
        hide_secrets(x);
    if (x->decision != NULL && x->decision->arm != NULL)
        note_experiment(&r);
    reserve_end(x, &r.usage);
    settle_record(x->worker, &r);
}

void
settle_refused(struct worker *w, const struct server_conn *q, struct str id, enum err why,
    const char *detail, size_t bytes_out)
{
    uint64_t now_us = clock_now_us(), began_us = server_started_us(q);
    struct record r = {
        .wall_ms = clock_wall_ms(),
        .request_id = id,
        .client_ip = server_peer(q),
        .endpoint = ENDPOINT_none,
        .endpoint_id = str_c(endpoints[ENDPOINT_none].id),
        .status = err_row(why)->status,
        .error = why,
        .error_message = str_c(detail),
        .cost_nanousd = COST_UNKNOWN,
        .bytes_out = bytes_out,
        .first_token_us = -1,
        .duration_us = began_us != 0 ? (int64_t)(now_us - began_us) : 0,
        .overhead_us = -1,
    };

    settle_record(w, &r);
}

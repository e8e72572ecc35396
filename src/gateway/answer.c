/* answer.c - what an attempt does with the provider's answer. */
#include "gateway/answer.h"

#include "base/clock.h"
#include "gateway/book.h"
#include "gateway/chaos.h"
#include "gateway/due.h"
#include "gateway/fold.h"
#include "gateway/reply.h"
#include "gateway/resume.h"
#include "gateway/wrong_url.h"

/* What a caller's session may send ahead of what its provider takes. */
#define SESSION_AHEAD_BYTES (256u * 1024)

#define AT_WORK_MS 50    /* the clock looks again when a helper thread may be done */

/* Can somebody still get its answer: has the caller not left, nor got another attempt's? */
static bool
is_wanted(const struct attempt *a)
{
    const struct exchange *x = a->exchange;

    return x == NULL || (!x->gone && (x->delivery.draft == NULL || x->delivery.draft == &a->draft));
}

/* Does it wait for the provider's bytes? Not while a helper thread reads some of them. */
static bool
is_live(const struct attempt *a)
{
    return (a->state == ATTEMPT_RUNNING || a->state == ATTEMPT_COMMITTED) && is_wanted(a) &&
           !attempt_is_at_work(a);
}

/* Other deadlines count once there is a token, and once all of the answer has been read. */
static unsigned
progress(const struct attempt *a)
{
    return (unsigned)a->draft.content | (unsigned)a->intake.reader.complete << 1;
}

/* Makes sure that the clock goes off when something is due. Called when that may be sooner than it
 * was before; what a token postpones is seen when it goes off. */
static void
watch(struct attempt *a)
{
    struct due d = attempt_due(a);

    a->watched = progress(a);
    if (d.at_us != UINT64_MAX)
        timer_set_by(&a->clock, d.at_us / 1000 + 1);
}

static const struct conf *
conf_of(const struct attempt *a)
{
    return a->hold->snapshot->conf;
}

/* --- what is written for the caller --- */

/* Counts what is collected, held back, or kept by the connection to the provider. ERR_OVERLOADED
 * when the process holds all that it may. */
static enum err
hold(struct attempt *a)
{
    uint64_t now = intake_held_bytes(&a->intake) + a->draft.out.cap;

    if (a->call != NULL)
        now += client_held_bytes(a->call);
    if (a->job != NULL)
        now += a->job->bytes.cap;
    if (now == a->held || quota_share_set(&a->worker->held, &a->held, now, true))
        return OK;
    return ERR_OVERLOADED;
}

static void
on_frame(struct intake *in, struct str raw)
{
    struct attempt *a = CONTAINER_OF(in, struct attempt, intake);

    if (in->reader.frame_is_usage && !a->exchange->want_usage)
        return;
    if (UNLIKELY(a->draft.writer.provider.n != 0) && str_find(raw, S("\"usage\"")) != raw.n)
        draft_forward_usage(&a->draft, raw, &a->tally.usage);
    else
        draft_forward(&a->draft, raw);
}

/* And the text is kept, in case the stream has to be continued. */
static void
on_kept_frame(struct intake *in, struct str raw)
{
    on_frame(in, raw);
    resume_mark(CONTAINER_OF(in, struct attempt, intake));
}

/* What comes is known: chooses what the caller gets. */
static void
choose_form(struct attempt *a)
{
    const struct exchange *x = a->exchange;
    struct intake *in = &a->intake;
    struct draft *d = &a->draft;

    if (x == NULL)
        return;
    bool same_wire = in->reader.wire == x->wire && !a->anew;
    bool same_shape = (in->source == SOURCE_STREAM) == x->stream;
    bool lawful = !x->stream || !in->reader.no_finish_reason;    /* else the reason is added */

    if (in->source == SOURCE_RAW || (same_wire && same_shape && lawful && !a->filters.rewrite)) {
        d->form = DRAFT_FORWARD;
        in->frame = a->resume != NULL ? on_kept_frame : on_frame;
        if (in->source == SOURCE_WHOLE && (in->says_stream || d->content_type.n == 0))
            d->content_type = S("application/json");
    } else if (x->stream) {
        d->form = DRAFT_EVENTS;
    } else {
        d->fold = worker_take_arena(a->worker, ARENA_REQUEST);
        draft_fold(d, d->fold, conf_of(a)->server.limit_answer_bytes);
    }
}

/* The caller gets this attempt's draft and no other's: sends its head. */
static void
begin_delivery(struct attempt *a)
{
    struct exchange *x = a->exchange;

    x->attempt = a;
    x->delivery.draft = &a->draft;
    exchange_respond(x, &a->draft);
}

/* What it cost is written down before the end of what the caller gets is sent; of a session, and of
 * what is only passed through, whenever the provider says more about it. */
static void
tell(struct attempt *a)
{
    const struct llm_usage *u = &a->tally.usage;
    struct exchange *x = a->exchange;
    bool news = a->intake.reader.complete || u->input + u->output != a->told_tokens;

    if (x == NULL || x->delivery.draft != &a->draft || !news)
        return;
    a->told_tokens = u->input + u->output;
    book_tell(x);
}

/* The same at once, unless it is to be judged first. The others are stopped when the stages run, for
 * a helper thread may be using their memory. */
static void
take_over(struct attempt *a)
{
    if (UNLIKELY(a->judged != NULL))
        return;
    if (a->exchange->under_way->next != NULL)
        exchange_wake(a->exchange);
    begin_delivery(a);
}

/* The target works. */
static void
note_first_token(struct attempt *a)
{
    health_answered(&a->pass, clock_now_ms());
    if (UNLIKELY(a->slot != NULL) && a->intake.asked_stream) {
        uint64_t now_us = clock_now_us();

        concurrency_answered(a->slot, now_us - a->note->started_us, now_us);
    }
}

/* All of the answer is there; the caller gets it once it was judged. */
static void
hold_back(struct attempt *a)
{
    if (a->call != NULL)
        client_cancel(a->call);
    a->call = NULL;
    timer_stop(&a->clock);
    attempt_move(a, ATTEMPT_HELD);
    attempt_answered(a);
    attempt_drop_request(a);
}

/* Is it what it is to become? */
static void
end_well(struct attempt *a)
{
    if (UNLIKELY(a->judged != NULL))
        hold_back(a);
    else
        attempt_move(a, ATTEMPT_DONE);
    attempt_report(a);
}

/* A real token is there: the request is not needed again, unless the stream may be continued. */
static void
commit(struct attempt *a)
{
    attempt_move(a, ATTEMPT_COMMITTED);
    note_first_token(a);
    take_over(a);
    attempt_drop_request(a);
    if (!resume_keeps_request(a)) {
        exchange_drop_request(a->exchange, a->target,
            health_reports_usage(a->target->health) ? INPUT_ESTIMATED : INPUT_COUNTED);
        server_forget_head(a->exchange->q);
    }
    if (a->exchange->input_estimate != 0)
        a->measure.prompt_tokens = a->exchange->input_estimate;
    measure_first_token(&a->measure);
    attempt_report(a);
}

/* Sends what may be sent, and keeps the rest. True: there is more to send. */
static bool
flush(struct attempt *a)
{
    struct exchange *x = a->exchange;

    if (x == NULL || x->delivery.draft != &a->draft) {
        draft_keep(&a->draft);
        return false;
    }
    return delivery_flush(&x->delivery, x->q, attempt_heard_us(a));
}

/* Sends the one document that the answer has become, or its beginning. */
static enum err
send_document(struct attempt *a)
{
    struct draft *d = &a->draft;

    attempt_drop_fold(a);
    enum err e = hold(a);
    if (e != OK || a->exchange == NULL)
        return e;
    d->length = (int64_t)(buf_len(&d->out) + d->run.n);
    take_over(a);
    tell(a);
    (void)flush(a);
    return OK;
}

/* The document was read: writes the caller's, and sends it. */
static enum err
write_document(struct attempt *a, struct str body)
{
    enum err e = draft_write_document(&a->draft, body, &a->tally.usage);

    return e == OK ? send_document(a) : e;
}

/* --- the provider's bytes --- */

static void
on_connected(void *owner, bool reused, uint64_t connect_us)
{
    struct attempt *a = owner;

    a->sent = true;
    a->note->reused = reused;
    if (log_enabled(LOG_DEBUG)) {
        struct log_context who = attempt_log(a);

        if (reused)
            log_debug(&who, "a connection of the pool is used again");
        else
            log_debug(&who, "connected in %.1f ms", (double)connect_us / 1000);
    }
    metric_add(
        reused ? &a->worker->metrics->upstream_reuses : &a->worker->metrics->upstream_connects, 1);
}

static void
on_head(void *owner, const struct http_head *head)
{
    struct attempt *a = owner;
    struct intake *in = &a->intake;
    struct draft *d = &a->draft;
    const struct conf_server *limits = &conf_of(a)->server;

    if (!is_live(a))
        return;
    a->note->status = head->status;
    a->note->head_us = clock_now_us();
    if (log_enabled(LOG_DEBUG)) {
        struct log_context who = attempt_log(a);

        log_debug(&who, "the provider answers with status %d after %.1f ms", head->status,
            (double)(a->note->head_us - a->note->started_us) / 1000);
    }
    in->heard_us = in->byte_us = a->note->head_us;
    intake_begin(in, head, limits);
    measure_limits(&a->measure);
    d->status = head->status;
    d->length = in->length;
    d->content_type = in->content_type;
    d->passed = draft_passed_fields(head, in->reader.op == OP_RELAY ? a->target->provider : NULL,
        in->secrets, &a->worker->text, a->arena);
    (void)attempt_draft(a);
    if (in->source == SOURCE_RAW) {
        choose_form(a);
        a->exchange->status = head->status;
        d->content = true;    /* nothing to wait for: bytes are forwarded as they come */
        d->stream = in->raw->events;
        if (d->stream)
            d->length = -1;    /* comments may be added */
    }
    if (hold(a) != OK) {    /* what was not sent of the request has been copied */
        attempt_fail(a, ERR_OVERLOADED, NULL);
        return;
    }
    watch(a);
    if (in->source == SOURCE_RAW && UNLIKELY(in->raw->session))
        commit(a);    /* either side may speak first: the caller learns of it at once */
}

/* What was read so far, or written of it, is not too much. */
static enum err
size_verdict(const struct attempt *a)
{
    enum err e = draft_verdict(&a->draft);

    return e == OK && UNLIKELY(a->fold != NULL) ? fold_verdict(a->fold) : e;
}

/* The answer's stream is over: complete, or cut? */
static enum err
end_stream(struct attempt *a)
{
    struct intake *in = &a->intake;
    struct draft *d = &a->draft;
    size_t before = buf_len(&d->out);

    d->chunk = S("");
    if (in->frame == on_kept_frame)
        in->frame = on_frame;    /* the last one may have to be taken back */
    enum err e = intake_end(in, a->ended);
    if (e == OK)
        e = size_verdict(a);
    if (e != OK) {
        /* Bytes that are forwarded may end in the middle of an event; what our writer wrote does
         * not. */
        if (d->form == DRAFT_FORWARD || in->source == SOURCE_WHOLE || d->out.overflow)
            buf_truncate(&d->out, before);
        return e;
    }
    if (d->form == DRAFT_FORWARD && in->source == SOURCE_STREAM)
        draft_close(d, in->framing.framing, before,
            in->terminated ? S("") : d->writer.wire->caller->terminator);
    return OK;
}

/* --- on a helper thread --- */

/* Text that was folded so far: about what is to be written. */
static size_t
folded_bytes(const struct attempt *a)
{
    const struct llm_answer *answer = a->draft.answer;

    return answer != NULL ? conf_of(a)->server.limit_answer_bytes - answer->left : 0;
}

static void on_work_done(void *arg);

/* Until attempt_drop_job() what is kept of the answer is kept in memory of the job. */
static struct answer_job *
job_of(struct attempt *a)
{
    struct intake *in = &a->intake;
    struct draft *d = &a->draft;
    struct answer_job *job = a->job;

    if (job == NULL) {
        a->job = job = arena_new(a->arena, struct answer_job);
        job_init(&job->job, a->worker, on_work_done, a);
        job->arenas[0] = job_arena(&job->job);
        job->arenas[1] = job_arena(&job->job);
        buf_init(&job->bytes, SIZE_MAX);
    }
    in->reader.keep = d->writer.keep = job->arenas[0];
    in->reader.scratch = job->arenas[1];
    if (d->answer != NULL)
        d->answer->arena = job->arenas[0];
    return job;
}

/* What it needed more memory for was refused: the limit is reached, whatever it said. */
static enum err
result_of(const struct answer_job *job)
{
    bool refused = arena_was_refused(job->arenas[0]) || arena_was_refused(job->arenas[1]);

    return job->result != OK && refused ? ERR_OVERLOADED : job->result;
}

/* Is so much of the answer still to be read or written that another thread should do it? */
static bool
prepare_read(struct attempt *a)
{
    struct intake *in = &a->intake;
    struct draft *d = &a->draft;
    bool whole = in->source == SOURCE_WHOLE && !in->read;

    if ((whole ? buf_len(&in->body) : folded_bytes(a)) <= job_least_bytes)
        return false;

    struct answer_job *job = job_of(a);
    job->body = buf_str(&in->body);
    job->result = OK;
    if (whole && d->form == DRAFT_FOLD) {
        attempt_drop_fold(a);
        draft_fold(d, d->writer.keep, conf_of(a)->server.limit_answer_bytes);
    }
    return true;
}

static void
read_large(void *arg)
{
    struct attempt *a = arg;
    struct answer_job *job = a->job;

    if (job->body.n != 0)
        job->result = intake_read(&a->intake, job->body);
    if (job->result == OK && a->fold != NULL)
        job->result = fold_verdict(a->fold);
    if (job->result == OK)
        job->result = draft_write_document(&a->draft, job->body, &a->tally.usage);
}

/* That is done. */
static void
finish_read(struct attempt *a)
{
    struct intake *in = &a->intake;
    struct draft *d = &a->draft;
    bool late = attempt_is_late(a, clock_now_us());
    enum err e = late ? ERR_DEADLINE : result_of(a->job);

    if (late)
        in->error = NULL;
    if (a->exchange != NULL)
        a->exchange->delivering = false;
    if (e == OK) {
        /* Only the text of the answer is needed now. */
        d->answer = NULL;
        in->reader.keep = d->writer.keep = a->arena;
        in->reader.state = d->writer.state = NULL;
        in->reader.emit = (struct emit){ .started = false };
        attempt_drop_job(a);
        if (d->form == DRAFT_FORWARD) {    /* it is sent in pieces from where it lies */
            buf_fini(&d->out);
            d->out = in->body;
            d->run = S("");
            buf_init(&in->body, 0);
        }
        buf_fini(&in->body);
        e = send_document(a);
    }
    if (e == OK)
        end_well(a);
    else
        attempt_fail(a, e, NULL);
}

/* All of the answer that counts has been read, unless it is a document. `e`: what came of it. */
static void
complete_answer(struct attempt *a, enum err e)
{
    struct intake *in = &a->intake;
    bool whole = in->source == SOURCE_WHOLE, read = in->read;

    if (e == OK && prepare_read(a)) {
        if (a->call != NULL)
            client_cancel(a->call);
        a->call = NULL;
        if (a->exchange != NULL)
            a->exchange->delivering = true;    /* a caller who leaves now has not been served */
        attempt_move(a, ATTEMPT_READING);
        job_begin(&a->job->job, read_large, a);
        return;
    }
    if (e == OK && whole)
        e = end_stream(a);
    if (e == OK && a->exchange != NULL && (whole || a->draft.form == DRAFT_FOLD)) {
        if (!read)
            e = write_document(a, buf_str(&in->body));
    } else if (e == OK && a->exchange != NULL) {
        a->draft.content = true;
        take_over(a);
        tell(a);
        (void)flush(a);
    }
    if (e != OK) {
        if (a->state == ATTEMPT_COMMITTED)
            (void)flush(a);    /* what came before its end is the caller's */
        attempt_fail(a, e, NULL);
        return;
    }
    end_well(a);
}

/* --- large events --- */

static void
read_bytes(void *arg)
{
    struct attempt *a = arg;
    struct answer_job *job = a->job;

    if (job->ends) {
        job->result = end_stream(a);
        return;
    }
    job->result =
        job->bytes.overflow ? ERR_NO_MEMORY : intake_data(&a->intake, buf_str(&job->bytes));
    if (job->result == OK)
        job->result = size_verdict(a);
}

/* Has a helper thread read the bytes, or the end (`ends`), of a stream. No more come until it is
 * done. */
static void
read_elsewhere(struct attempt *a, struct str bytes, bool ends)
{
    struct answer_job *job = job_of(a);

    buf_reset(&job->bytes, JOB_LEAST_BYTES);
    buf_add(&job->bytes, bytes);
    job->before = buf_len(&a->draft.out);
    job->ends = ends;
    a->draft.chunk = buf_str(&job->bytes);
    if (a->call != NULL)
        client_pause(a->call);
    job_begin(&job->job, read_bytes, a);
}

/* All of the answer that counts is there, whatever else the connection may send. */
static void
finish_answer(struct attempt *a)
{
    if (a->intake.source == SOURCE_WHOLE)
        complete_answer(a, OK);
    else if (intake_is_large(&a->intake, 0))
        read_elsewhere(a, S(""), true);
    else
        complete_answer(a, end_stream(a));
}

/* --- small pieces --- */

static void
note_bytes(struct attempt *a, size_t n)
{
    loop_count_work(a->worker->loop, n);
    if (a->exchange != NULL && a->exchange->silence_us != 0)
        a->intake.byte_us = clock_now_us();
}

/* Reads what came, and writes what the caller gets for it. */
static enum err
take_data(struct attempt *a, struct str bytes)
{
    struct intake *in = &a->intake;
    struct draft *d = &a->draft;

    note_bytes(a, bytes.n);
    d->chunk = bytes;
    if (in->source == SOURCE_UNSURE && intake_tell(in, bytes))
        choose_form(a);
    bool read = in->read;
    enum err e = intake_data(in, bytes);
    if (e == OK && in->read && !read)    /* a document in one piece */
        e = write_document(a, bytes);
    if (e == OK)
        e = size_verdict(a);
    return e == OK ? hold(a) : e;
}

/* What was read of the answer goes on to the caller, if it may; or it failed (`e`). The draft was
 * `before` bytes long. */
static void
pass_on(struct attempt *a, size_t before, enum err e)
{
    struct exchange *x = a->exchange;

    if (a->resume != NULL)
        resume_note(a);
    if (e != OK) {
        if (a->draft.out.overflow)
            buf_truncate(
                &a->draft.out, MIN(before, buf_len(&a->draft.out)));    /* the error must fit */
        /* What was valid before the error still points into the bytes that were read. */
        if (a->state == ATTEMPT_COMMITTED)
            (void)flush(a);
        attempt_fail(a, e, NULL);
        return;
    }
    if (a->state == ATTEMPT_RUNNING && a->draft.content && a->intake.source != SOURCE_WHOLE &&
        (a->draft.form == DRAFT_EVENTS || a->draft.form == DRAFT_FORWARD)) {
        if (LIKELY(a->judged == NULL)) {
            commit(a);
        } else if (!a->noted) {
            a->noted = true;
            note_first_token(a);
            measure_first_token(&a->measure);
        }
    }
    if (a->intake.reader.complete || UNLIKELY(a->intake.source == SOURCE_RAW))
        tell(a);
    if (flush(a))
        attempt_report(a);
    if (a->watched != progress(a))
        watch(a);
    if (a->intake.trailing) {
        /* A provider that sends data after the terminator may do so in the next answer:
         * do not reuse the connection. */
        if (a->call != NULL)
            client_cancel(a->call);
        a->call = NULL;
        finish_answer(a);
        return;
    }
    if (x != NULL && x->attempt == a && !a->paused && a->call != NULL &&
        delivery_is_full(&x->delivery, x->q)) {
        a->paused = true;
        client_pause(a->call);
    }
}

static void
on_data(void *owner, struct str bytes)
{
    struct attempt *a = owner;
    struct exchange *x = a->exchange;

    if (!is_live(a))
        return;
    if (x != NULL)
        exchange_enter(x);
    worker_at(a->worker, "relay");
    if (intake_is_large(&a->intake, bytes.n)) {
        note_bytes(a, bytes.n);
        read_elsewhere(a, bytes, false);
    } else {
        size_t before = buf_len(&a->draft.out);

        pass_on(a, before, take_data(a, bytes));
    }
    worker_at(a->worker, NULL);
}

/* A helper thread has worked on the answer: the loop goes on with what came of it. */
static void
on_work_done(void *arg)
{
    struct attempt *a = arg;
    struct answer_job *job = a->job;

    job_end(&job->job);
    a->intake.reader.scratch = a->worker->scratch;
    if (a->state == ATTEMPT_READING && is_wanted(a)) {
        finish_read(a);
    } else if (is_live(a) && job->ends) {
        complete_answer(a, result_of(job));
    } else if (is_live(a)) {
        enum err e = result_of(job);

        pass_on(a, job->before, e == OK ? hold(a) : e);
        if (is_live(a) && a->call == NULL)
            finish_answer(a);    /* it ended meanwhile */
        else if (is_live(a) && !a->paused) {
            a->intake.byte_us = clock_now_us();    /* no silence of the provider: it was not read */
            client_resume(a->call);
        }
    }
    if (a->exchange != NULL)
        exchange_wake(a->exchange);    /* the stages left it alone until now */
}

/* The provider refused: all of its explanation that will come is there. */
static void
settle_refusal(struct attempt *a)
{
    enum err why = intake_end(&a->intake, a->ended);
    struct llm_error e = *a->intake.error;

    CHECK(why != OK);
    if (wrong_url_explain(&a->intake, a->target->provider, a->path, &e) && e.as_is)
        e.kind = why;    /* the caller gets the answer itself */
    attempt_set_failed(a, &e);
    attempt_report(a);
}

static void
on_end(void *owner)
{
    struct attempt *a = owner;

    a->call = NULL;
    a->ended = true;
    a->note->ended_us = clock_now_us();
    if (!is_live(a))
        return;
    if (a->intake.source == SOURCE_ERROR)
        settle_refusal(a);
    else
        finish_answer(a);
}

static void
on_failed(void *owner, enum err why, const char *detail)
{
    struct attempt *a = owner;

    a->call = NULL;
    a->note->ended_us = clock_now_us();
    if (!is_live(a))
        return;
    /* The terminator has come: a failure after it does not matter. */
    if (a->intake.reader.complete)
        finish_answer(a);
    else if (a->intake.source == SOURCE_ERROR)
        settle_refusal(a);
    else
        attempt_fail(a, why, detail);
}

static void
on_resent(void *owner)
{
    struct attempt *a = owner;

    a->note->resent++;
    metric_add(&a->worker->metrics->upstream_resends, 1);
}

/* A provider goes on sending for a while when we have stopped reading. */
static void
on_kept(void *owner)
{
    struct attempt *a = owner;

    if (is_live(a) && hold(a) != OK)
        attempt_fail(a, ERR_OVERLOADED, NULL);
}

/* The provider has taken what a caller's session sent. */
static void
on_sent(void *owner)
{
    struct attempt *a = owner;
    struct exchange *x = a->exchange;

    if (is_live(a) && x != NULL && x->q != NULL && x->status == 101 && !x->answered)
        server_pause(x->q, false);
}

static const struct client_events events = {
    .connected = on_connected,
    .resent = on_resent,
    .head = on_head,
    .data = on_data,
    .kept = on_kept,
    .end = on_end,
    .failed = on_failed,
    .writable = on_sent,
};

/* --- time --- */

/* Sends a comment, or what else the protocol has for that, so that the caller hears something. */
static void
keep_alive(struct attempt *a)
{
    struct exchange *x = a->exchange;
    const struct wire *wire = x->wire;
    bool raw = a->intake.source == SOURCE_RAW;
    const struct framing *framing = raw ? a->intake.framing.framing : x->framing;

    x->delivery.sent_us = clock_now_us();
    if (x->delivery.more)
        return;    /* it hears something */
    /* A route that is only passed through has begun with the answer's head. */
    if (raw && a->state == ATTEMPT_RUNNING)
        commit(a);
    exchange_respond(x, &a->draft);
    /* Before the first event a caller's protocol may not allow its own ping: the framing's bytes
     * always pass. */
    bool begun = x->delivery.draft == &a->draft;
    server_write(x->q, raw || !begun || wire->caller->keepalive.n == 0 ? framing->keepalive
                                                                       : wire->caller->keepalive);
}

static void
act(struct attempt *a, const struct due *d)
{
    switch (d->action) {
    case DUE_FAILURE:
        a->hurried = d->hurried;
        attempt_fail(a, d->why,
            d->why == ERR_UPSTREAM_TIMEOUT ? "no first token within the time limit" : NULL);
        break;
    case DUE_REFUSAL:
        settle_refusal(a);
        break;
    case DUE_END:
        finish_answer(a);
        break;
    case DUE_HEDGE:
        a->hedge_us = 0;
        if (!hedge_take(a->exchange->plan.alias->hedge))
            break;
        a->slow = true;
        attempt_report(a);
        break;
    case DUE_SLOW:
        a->slow = true;
        attempt_report(a);
        break;
    case DUE_KEEPALIVE:
        keep_alive(a);
        break;
    }
}

static void
on_clock(void *arg)
{
    struct attempt *a = arg;

    if (attempt_is_at_work(a))
        timer_set(&a->clock, AT_WORK_MS);
    if (!is_live(a))
        return;
    struct due d = attempt_due(a);

    if (clock_now_us() >= d.at_us)
        act(a, &d);
    if (is_live(a))
        watch(a);
}

/* It is recorded before anything of it is sent. */
static void
put_down(struct attempt *a)
{
    struct written *w = a->written;

    if (w->unfit != OK ||
        (a->exchange != NULL ? book_attempt(a->exchange, a) : attempt_may_send(a)))
        return;
    w->unfit = ERR_OVERLOADED;
    w->fault.message =
        S("requests cannot be recorded at the moment, and are not sent; try again later");
}

void
answer_await(struct attempt *a)
{
    const struct conf_fault *fault = NULL;

    if (UNLIKELY(conf_of(a)->chaos.fault_count != 0))
        fault = chaos_pick(a);
    timer_init(&a->clock, a->worker->loop, on_clock, a);
    put_down(a);
    attempt_send(a, fault == NULL ? &events : NULL);
    if (UNLIKELY(fault != NULL) && a->state == ATTEMPT_RUNNING)
        chaos_begin(a, fault, &events);
    if (is_live(a))
        watch(a);
}

void
answer_give(struct attempt *a)
{
    attempt_move(a, ATTEMPT_DONE);
    begin_delivery(a);
    tell(a);
    (void)flush(a);
}

void
answer_work(struct attempt *a, void (*work)(void *attempt))
{
    job_begin(&job_of(a)->job, work, a);
}

void
answer_take_bytes(struct attempt *a, struct str bytes)
{
    if (a->call == NULL)
        return;    /* the provider has left */
    client_send(a->call, bytes);
    if (client_held_bytes(a->call) > SESSION_AHEAD_BYTES)
        server_pause(a->exchange->q, true);
}

void
answer_resume(struct attempt *a)
{
    if (!a->paused || a->call == NULL)
        return;
    a->paused = false;
    a->intake.heard_us = a->intake.byte_us = clock_now_us();
    client_resume(a->call);
    watch(a);
}

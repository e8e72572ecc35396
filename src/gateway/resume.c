/* resume.c - goes on with a stream that broke after its first token, at another target. */
#include "gateway/resume.h"

#include "base/clock.h"
#include "gateway/attempt.h"
#include "gateway/exchange.h"
#include "gateway/retry.h"
#include "llm/count.h"
#include "llm/overlap.h"
#include "route/failure.h"

#define BYTES_PER_TOKEN 4         /* roughly, of English */
#define LEAST_TOKENS 16           /* are asked for, however much of the limit was used */
#define LAST_WORDS_BYTES 60       /* that a model is asked to repeat */
#define LEAST_AFTER_PREFILL 16    /* bytes of a repetition that was not asked for, */
#define LEAST_AFTER_A_TURN 8      /* and of one that was */

/* Either keeps the text of an attempt's stream, or joins the answer of an attempt to what another
 * one kept (`from`). */
struct resume {
    struct filter filter;
    struct attempt *attempt;
    struct worker *worker;
    uint64_t held;    /* counted in the worker's share for the buffers here */
    bool lost;        /* it cannot be continued: nothing is kept */

    /* keeping */
    struct buf text;     /* of the answer so far */
    size_t marked;       /* bytes of it in frames that were forwarded */
    struct buf names;    /* the answer's id and model, as its provider said */
    size_t id_bytes;     /* the id's share of them */
    int64_t created_s;
    struct wire_writer says;    /* id, model and time where it did not */

    /* once it broke */
    struct str sent;    /* of the text */
    struct llm_error error;
    struct llm_usage usage;
    int64_t cost_nanousd;
    uint64_t first_token_us;
    struct llm_message **end;    /* of the conversation, before the text was added */
    int64_t max_tokens;          /* that the caller asked for */

    /* joining */
    struct resume *from;
    bool prefilled;      /* see overlap_find() */
    struct buf fresh;    /* held back until it is known where it goes on */
    size_t again;        /* bytes of it at which to look again */
    bool joined;
    struct llm_usage now;
};

/* --- keeping the text --- */

static void
keep_names(struct resume *r, const struct llm_event *ev)
{
    r->id_bytes = ev->id.n;
    r->created_s = ev->created_s;
    buf_add(&r->names, ev->id);
    buf_add(&r->names, ev->model);
}

/* May run on a helper thread: it only touches what is its own. */
static void
on_kept_event(struct event_sink *sink, const struct llm_event *ev)
{
    struct resume *r = CONTAINER_OF(sink, struct resume, filter.sink);

    if (!r->lost && ev->kind == EVENT_TEXT && ev->choice == 0)
        buf_add(&r->text, ev->text);
    else if (!r->lost && ev->kind == EVENT_START)
        keep_names(r, ev);
    else if (ev->kind != EVENT_USAGE && ev->kind != EVENT_NONE)
        r->lost = true;
    r->lost = r->lost || r->text.overflow || r->names.overflow;
    filter_pass(&r->filter, ev);
}

/* Does the request ask for more than plain text? A name that is written with escapes may be any. */
static bool
asks_beyond_text(const struct llm_request *q)
{
    struct json_iter it = json_iter(q->doc);

    while (json_next(&it)) {
        struct str key = json_raw(it.key);
        const struct json *v = it.value;
        bool asks = json_present(v) && v->type != JSON_FALSE &&
                    ((v->type != JSON_ARRAY && v->type != JSON_OBJECT) || !json_is_empty(v));

        CHECK(key.p != NULL && key.n >= 2);    /* it has quotes */
        if (str_find(key, S("\\")) != key.n)
            return true;
        key = str_make(key.p + 1, key.n - 2);
        for (const char *const *name = q->wire->caller->beyond_text; asks && *name != NULL; name++)
            if (key.p[0] == **name && str_eq(key, str_c(*name)))
                return true;
    }
    return false;
}

static bool
is_wanted(const struct exchange *x)
{
    const struct llm_request *q = &x->request->llm;
    const struct alias *alias = x->plan.alias;

    if (alias == NULL || alias->on_break == BREAK_ERROR || x->op != OP_CHAT ||
        x->endpoint->op != OP_CHAT || q->wire->caller->beyond_text == NULL)
        return false;
    if (q->body.n > exchange_conf(x)->server.limit_continued_bytes || x->request->large ||
        q->n > 1 || q->completion)
        return false;
    return alias->on_break == BREAK_CONTINUE || (x->plan.count > 1 && !asks_beyond_text(q));
}

/* Frees what is kept or held back. */
static void
destroy(void *resume)
{
    struct resume *r = resume;

    r->lost = true;    /* events may still pass the filter */
    buf_fini(&r->text);
    buf_fini(&r->names);
    buf_fini(&r->fresh);
    quota_share_give(&r->worker->held, r->held);
    r->held = 0;
}

static struct resume *
make(struct attempt *a, void (*emit)(struct event_sink *sink, const struct llm_event *ev))
{
    struct resume *r = arena_new(a->arena, struct resume);

    r->filter.sink.emit = emit;
    r->attempt = a;
    r->worker = a->worker;
    a->resume = r;
    arena_cleanup(a->arena, destroy, r);
    return r;
}

static void
keep(struct attempt *a)
{
    struct resume *r = make(a, on_kept_event);
    size_t limit = exchange_conf(a->exchange)->server.limit_continued_bytes;

    buf_init(&r->text, limit);
    buf_init(&r->names, limit);
    filters_add_behind(&a->filters, &a->tally.filter, &r->filter);
}

void
resume_mark(struct attempt *a)
{
    if (a->resume != NULL)
        a->resume->marked = buf_len(&a->resume->text);
}

bool
resume_keeps_request(const struct attempt *a)
{
    return a->resume != NULL && a->resume->from == NULL;
}

void
resume_drop(struct attempt *a)
{
    if (a->resume != NULL)
        destroy(a->resume);
    a->resume = NULL;
}

void
resume_note(struct attempt *a)
{
    struct resume *r = a->resume;
    uint64_t now = r->text.cap + r->names.cap + r->fresh.cap;
    bool room = now == r->held || quota_share_set(&r->worker->held, &r->held, now, true);

    if (r->from != NULL || (!r->lost && room && a->exchange != NULL))
        return;
    resume_drop(a);
    if (a->state != ATTEMPT_COMMITTED)
        return;    /* attempts that come next need the request */
    CHECK(a->exchange != NULL);
    exchange_drop_request(a->exchange, a->target, INPUT_ESTIMATED);
    server_forget_head(a->exchange->q);
}

/* --- joining the answer to it --- */

/* The two parts cannot be one answer: the caller is told what broke the first. */
static void
refuse(struct resume *r)
{
    struct intake *in = &r->attempt->intake;

    r->joined = true;
    in->error = arena_new(in->reader.keep, struct llm_error);
    *in->error = (struct llm_error){
        .kind = r->from->error.kind,
        .message = S("the answer broke off, and the next target's does not go on where it stopped"),
        .permanent = true,
    };
}

/* Decides where the answer goes on, and passes what the caller does not have. */
static void
look(struct resume *r, bool ended)
{
    struct str fresh = buf_str(&r->fresh);

    if (r->joined || (!ended && fresh.n < r->again))
        return;
    struct overlap o = overlap_find(r->from->sent, fresh, r->prefilled, ended);
    if (o.verdict == OVERLAP_UNSURE && !r->fresh.overflow) {
        r->again = o.bytes;
        return;
    }
    if (o.verdict != OVERLAP_FOUND) {
        refuse(r);
        return;
    }
    r->joined = true;
    struct llm_event ev = { .kind = EVENT_TEXT, .text = str_skip(fresh, o.bytes) };
    if (ev.text.n != 0)
        filter_pass(&r->filter, &ev);
    buf_fini(&r->fresh);
}

static void
take_text(struct resume *r, const struct llm_event *ev)
{
    if (r->joined) {
        filter_pass(&r->filter, ev);
        return;
    }
    r->attempt->draft.content = true;    /* what is held back is an answer, too */
    buf_add(&r->fresh, ev->text);
    look(r, false);
}

/* Counts are cumulative, and the caller's are of both parts. */
static void
take_usage(struct resume *r, const struct llm_usage *usage)
{
    struct llm_event ev = { .kind = EVENT_USAGE, .usage = r->from->usage };

    (void)usage_update(&r->now, usage);
    usage_add(&ev.usage, &r->now);
    if (usage_known(&r->now))
        filter_pass(&r->filter, &ev);
}

/* May run on a helper thread: it only touches what is the attempt's own. */
static void
on_joined_event(struct event_sink *sink, const struct llm_event *ev)
{
    struct resume *r = CONTAINER_OF(sink, struct resume, filter.sink);

    if (r->attempt->intake.error != NULL || ev->choice != 0)
        return;
    switch (ev->kind) {
    case EVENT_TEXT:
        take_text(r, ev);
        return;
    case EVENT_START:
    case EVENT_USAGE:
        take_usage(r, &ev->usage);
        return;
    case EVENT_REFUSAL:
    case EVENT_TOOL_START:
    case EVENT_TOOL_ARGS:
    case EVENT_TOOL_END:
    case EVENT_MEDIA:
    case EVENT_FINISH:
    case EVENT_END:
        look(r, true);
        if (r->attempt->intake.error == NULL)
            filter_pass(&r->filter, ev);
        return;
    default:
        return;    /* what belongs to the text of one answer alone, and reasoning */
    }
}

/* The last words of a text; where it has no words, its last characters. */
static struct str
last_words(struct str text)
{
    size_t from = text.n - MIN(text.n, LAST_WORDS_BYTES), word;

    while (from < text.n && (text.p[from] & 0xc0) == 0x80)
        from++;
    for (word = from; word != 0 && word < text.n; word++)
        if (text.p[word - 1] == ' ' || text.p[word - 1] == '\n')
            break;
    return str_skip(text, word < text.n ? word : from);
}

static void
add_message(struct arena *a, struct llm_message ***tail, enum llm_role role, struct str text)
{
    struct llm_message *m = llm_message_add(a, tail, role);
    struct llm_part **parts = &m->parts;

    llm_part_add(a, &parts, PART_TEXT)->text = text;
}

/* Adds the text to the conversation: as the assistant's words at its end, which the model goes on
 * with; or, where it would not, with a message that asks it to. Models that think
 * adaptively refuse to go on with such words. */
static void
extend(struct llm_request *q, struct resume *r, const struct target *t)
{
    struct llm_message **tail = r->from->end;
    int64_t used = (int64_t)(r->from->sent.n / BYTES_PER_TOKEN);
    struct str text = str_trim(r->from->sent);

    *tail = NULL;
    q->extended = true;
    if (r->from->max_tokens != 0)
        q->max_tokens = MAX(r->from->max_tokens - used, MIN(r->from->max_tokens, LEAST_TOKENS));
    r->prefilled = target_wire(t, q->wire)->provider->prefills &&
                   t->wire.traits.no_prefill != YES && t->wire.traits.thinking != THINKS_ADAPTIVE;
    if (text.n == 0)
        return;    /* it is asked as before */
    /* the blanks at its end are left out: models go on better without, and some refuse them */
    add_message(q->arena, &tail, ROLE_ASSISTANT,
        str_make(r->from->sent.p, (size_t)(text.p + text.n - r->from->sent.p)));
    if (r->prefilled)
        return;
    add_message(q->arena, &tail, ROLE_USER,
        arena_printf(q->arena,
            "[Note by the system, not by the user: the connection broke in the middle of your "
            "answer above. Continue it exactly where it stopped. Begin by repeating its last "
            "words, \"" STR_FMT "\", so that the parts can be joined, then go on. Do not start "
            "over, and do not comment on this.]",
            STR_ARG(last_words(text))));
}

/* "openai/gpt-4o" as a comment, where the protocol has any and the name can stand in one. */
static void
add_comment(struct draft *d, const struct target *t)
{
    struct str comment = d->writer.framing->comment, model = t->wire.model;

    for (size_t i = 0; i < model.n; i++)
        if (model.p[i] <= 0x20 || model.p[i] > 0x7e)
            return;
    if (comment.n != 0)
        buf_printf(&d->out, STR_FMT "continued by " STR_FMT "/" STR_FMT "\n\n", STR_ARG(comment),
            STR_ARG(t->provider->id), STR_ARG(model));
}

/* The caller's wire writes on from where the first part stopped: it writes that part once more,
 * which nobody sees. */
static void
join(struct attempt *a, struct resume *from)
{
    struct resume *r = make(a, on_joined_event);
    struct draft *d = attempt_draft(a);
    struct wire_writer *w = &d->writer;
    struct str names = buf_str(&from->names);

    r->filter.rewrites = true;
    r->from = from;
    r->again = 1;
    buf_init(&r->fresh, SIZE_MAX);
    filters_add_behind(&a->filters, &a->tally.filter, &r->filter);
    w->id = from->says.id;
    w->model = from->says.model;
    w->created_s = from->says.created_s;
    w->wire->caller->write_event(w, &(struct llm_event){
                                        .kind = EVENT_START,
                                        .id = str_make(names.p, from->id_bytes),
                                        .model = str_skip(names, from->id_bytes),
                                        .created_s = from->created_s,
                                        .usage = from->usage,
                                    });
    w->wire->caller->write_event(w, &(struct llm_event){ .kind = EVENT_TEXT, .text = from->sent });
    buf_reset(&d->out, 0);
    add_comment(d, a->target);
    extend(&a->request->llm, r, a->target);
}

void
resume_prepare(struct attempt *a)
{
    struct exchange *x = a->exchange;

    if (x->resumed != NULL)
        join(a, x->resumed);
    else if (x->stream && is_wanted(x))
        keep(a);
}

/* --- the break --- */

/* Is it the provider's failure, so that another may do better? */
static bool
is_providers(const struct alias *alias, enum err e)
{
    return failure_next_of(alias->rules, e) != NEXT_RETURN && failure_row(e)->blame != BLAME_NOBODY;
}

/* The text that the caller has. Of what is forwarded, only whole frames were. */
static struct str
sent_text(const struct attempt *a)
{
    struct str text = buf_str(&a->resume->text);

    return a->draft.form == DRAFT_FORWARD ? str_make(text.p, a->resume->marked) : text;
}

bool
resume_may(const struct exchange *x)
{
    const struct attempt *a = x->attempt;

    if (x->resumed != NULL || a->resume == NULL || a->resume->lost || sent_text(a).n == 0)
        return false;
    if (!is_providers(x->plan.alias, a->error.kind) || exchange_is_late(x, clock_now_us()))
        return false;
    return a->draft.form != DRAFT_FORWARD || !a->intake.reader.closed;
}

/* The part that broke becomes the exchange's. False: the request is of a kind that is not
 * continued. */
static bool
break_off(struct exchange *x, struct attempt *a)
{
    struct llm_request *q = &x->request->llm;
    struct resume *r = a->resume;
    struct wire_fault fault = { S(""), S("") };

    if (llm_request_expand(q, &fault) != OK || q->format == FORMAT_JSON ||
        q->format == FORMAT_SCHEMA ||
        (q->tools != NULL && x->plan.alias->on_break != BREAK_CONTINUE))
        return false;
    x->input_estimate =
        x->request->large
            ? llm_request_estimate_tokens(q)
            : llm_request_count_tokens(q, model_tokenizer(a->target->facts, a->target->wire.model));
    (void)tally_estimate(&a->tally, x->input_estimate, true);
    r->sent = sent_text(a);
    r->says = a->draft.writer;
    r->error = attempt_error_copy(&a->error, x->arena);
    r->usage = a->tally.usage;
    r->cost_nanousd = attempt_cost_nanousd(a, NULL);
    r->first_token_us = a->tally.first_token_us;
    r->max_tokens = q->max_tokens;
    for (r->end = &q->messages; *r->end != NULL;)
        r->end = &(*r->end)->next;
    x->resumed = r;
    a->resume = NULL;
    return true;
}

bool
resume_begin(struct exchange *x)
{
    struct attempt *a = x->attempt;
    struct candidate *c = a->candidate;

    if (!break_off(x, a))
        return false;
    metric_add(&x->worker->metrics->stream_breaks, 1);
    metric_add(&x->worker->metrics->streams_resumed, 1);
    attempt_stop(a, a->error.kind);
    retry_note(x, a);
    if (c->state == CANDIDATE_NEXT && plan_has_fresh(&x->plan))
        c->state = CANDIDATE_SPARE;    /* another one is better: it has not broken */
    x->delivery.draft = NULL;
    return true;
}

/* --- the end --- */

void
resume_add_up(const struct exchange *x, struct record *r)
{
    const struct resume *from = x->resumed;
    bool more = usage_known(&r->usage);

    if (from == NULL || x->attempt == from->attempt)
        return;    /* the attempt that broke is still the last one */
    usage_add(&r->usage, &from->usage);
    r->usage_estimated = true;
    r->continued = x->attempt->draft.content;
    r->first_token_us = (int64_t)(from->first_token_us - x->started_us);
    if (!more || from->cost_nanousd == COST_UNKNOWN)
        r->cost_nanousd = from->cost_nanousd;
    else if (r->cost_nanousd != COST_UNKNOWN)
        r->cost_nanousd += from->cost_nanousd;
}

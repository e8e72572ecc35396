/* book.c - what exchanges may cost and did cost, for the ledger. */
#include "gateway/book.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/attempt.h"
#include "gateway/exchange.h"
#include "gateway/named.h"
#include "gateway/pay.h"
#include "gateway/resume.h"
#include "store/ledger.h"

enum {
    BYTES_PER_TOKEN = 4,
    TAGS_BYTES = 256,
    FULL_WARN_MS = 60000,
};

_Static_assert((int)LEDGER_COUNT_COLUMNS == (int)COUNTS,
    "a count needs a column: LEDGER_COUNTS, store/migrations.def");

/* --- what it may cost --- */

/* What was reserved in budgets; without any, input is counted roughly. 0: its price is not known. */
static int64_t
reservation(const struct attempt *a)
{
    const struct llm_request *q = &a->request->llm;
    int64_t output = pay_tokens(q->max_tokens, q->n);

    if (a->reserved != NULL && pay_reserved_nanousd(a->reserved) > 0)
        return pay_reserved_nanousd(a->reserved);
    if (output == 0 && q->op != OP_EMBED)
        output = pay_usual_output(a->target, q->n);
    return pay_price(a->hold, a->target, (int64_t)(q->body.n / BYTES_PER_TOKEN), output);
}

/* --- beginning --- */

/* "NAME" or "NAME=VALUE" after those that are there, with a comma in between. */
static void
add_tag(const struct ask_tag *t, char room[static TAGS_BYTES], size_t *at)
{
    size_t n = t->name.n + (t->value.n != 0) + t->value.n;

    if (t->name.n == 0 || n + 1 > TAGS_BYTES - *at)
        return;
    if (*at != 0)
        room[(*at)++] = ',';
    memcpy(room + *at, t->name.p, t->name.n);
    *at += t->name.n;
    if (t->value.n == 0)
        return;
    room[(*at)++] = '=';
    memcpy(room + *at, t->value.p, t->value.n);
    *at += t->value.n;
}

static bool
has_tag(const struct ask_tag *list, struct str name)
{
    for (; list != NULL; list = list->next)
        if (str_eq(list->name, name))
            return true;
    return false;
}

/* Those of the key, and those of the caller and the rules that have other names. */
static struct str
join_tags(const struct ask_tag *of_key, const struct ask_tag *sent, char room[static TAGS_BYTES])
{
    size_t n = 0;

    for (const struct ask_tag *t = of_key; t != NULL; t = t->next)
        add_tag(t, room, &n);
    for (const struct ask_tag *t = sent; t != NULL; t = t->next)
        if (!has_tag(of_key, t->name))
            add_tag(t, room, &n);
    return str_make(room, n);
}

/* What a caller wrote may be a key; what the catalog knows is none. */
static struct str
shown(const struct exchange *x, struct str text, bool known)
{
    return text.n == 0 || known ? text : exchange_shown(x, text);
}

/* It could not be recorded. Says so once a minute. True: it is served all the same. */
static bool
note_full(struct worker *w, const struct exchange *x)
{
    uint64_t now_ms = clock_now_ms();
    bool refuse = str_eq(exchange_conf(x)->store.journal_full.v, S("refuse"));

    metric_add(refuse ? &w->metrics->journal_refused : &w->metrics->journal_unrecorded, 1);
    if (now_ms >= w->journal_warn_ms) {
        w->journal_warn_ms = now_ms + FULL_WARN_MS;
        log_error(NULL,
            "the journal is full, for the store has taken nothing for a while: requests are %s "
            "(store.journal.full)",
            refuse ? "refused" : "served without being recorded, and missing in the ledger");
    }
    return !refuse;
}

static bool
begin(const struct exchange *x, const struct attempt *a, enum journal_kind kind, struct str id,
    uint32_t *ret_slot)
{
    struct worker *w = x->worker;
    const struct principal *who = x->who;
    const struct http_fields *fields = &server_head(x->q)->fields;
    bool known = a->target->facts != NULL;
    char room[TAGS_BYTES];

    struct journal_begun b = { .wall_ms = clock_wall_ms(),
        .reserved_nanousd = reservation(a),
        .kind = kind,
        .request_id = id,
        .endpoint = str_c(x->endpoint->id),
        .provider = a->target->provider->id,
        .model = shown(x, a->target->wire.model, known),
        .asked = shown(x, x->model, known) };
    b.session = shown(x, x->ask != NULL ? x->ask->session : named_session(x->arena, fields), false);
    if (who != NULL) {
        const struct ask_tag *tags =
            x->ask != NULL ? x->ask->tags : named_tags(x->arena, who, fields);

        b.key = who->key_id.n != 0 ? who->key_id : who->name;
        b.org = who->org;
        b.team = who->team;
        b.project = who->project;
        b.user = who->user;
        b.environment = who->environment;
        b.tags = tags != NULL ? shown(x, join_tags(who->tags, tags, room), false) : S("");
    }
    *ret_slot = journal_begin(w->journal, &b);
    return *ret_slot != 0 || note_full(w, x);
}

bool
book_attempt(struct exchange *x, const struct attempt *a)
{
    struct journal *j = x->worker->journal;

    if (j == NULL || x->unbooked)
        return true;
    if (x->book != 0) {
        journal_grow(j, x->book, reservation(a));
        return true;
    }
    if (!begin(x, a, JOURNAL_EXCHANGE, x->id, &x->book))
        return false;
    x->unbooked = x->book == 0;
    return true;
}

void
book_judge(const struct exchange *x, const struct attempt *a)
{
    if (x->worker->journal != NULL)
        journal_grow(x->worker->journal, x->book, reservation(a));
}

bool
book_shadow(const struct exchange *x, const struct attempt *a, struct str id, uint32_t *ret_slot)
{
    *ret_slot = 0;
    return x->worker->journal == NULL || begin(x, a, JOURNAL_SHADOW, id, ret_slot);
}

/* --- ending --- */

/* Its usage was counted only by what came so far, or not at all. */
static void
put_usage(struct journal_end *e, const struct llm_usage *u, int64_t cost_nanousd)
{
    memcpy(e->counts, u->counts, sizeof(u->counts));
    e->known = u->known;
    e->cost_nanousd = MAX(cost_nanousd, 0);
    if (cost_nanousd == COST_UNKNOWN && usage_known(u))
        e->flags |= JOURNAL_UNPRICED;
}

void
book_failed(struct exchange *x, struct attempt *a)
{
    bool resumed = x->resumed != NULL && x->resumed == a->resume;    /* which counts it itself */
    bool counted = a->note->outcome == OK || attempt_was_in_vain(a->note->outcome);

    if (x->book == 0 || !a->sent || resumed || counted ||
        !(a->draft.content || usage_known(&a->tally.usage)))
        return;
    (void)tally_estimate(&a->tally, x->input_estimate, !a->intake.reader.complete);
    int64_t cost = attempt_cost_nanousd(a, NULL);
    if (cost != COST_UNKNOWN)
        x->outrun_nanousd += cost;
}

void
book_tell(struct exchange *x)
{
    const struct attempt *a = x->attempt;

    if (x->book == 0 || a == NULL)
        return;
    bool vain = a->state == ATTEMPT_OVER && attempt_was_in_vain(a->note->outcome);
    struct tally tally = vain ? tally_none : a->tally;
    bool whole = a->intake.reader.complete, guessed = false;
    bool estimated = !vain && !usage_known(&tally.usage) && a->draft.content &&
                     tally_estimate(&tally, x->input_estimate, !whole);
    struct record r = { .usage = tally.usage,
        .cost_nanousd = attempt_usage_nanousd(a, &tally.usage, &guessed) };

    resume_add_up(x, &r);
    struct journal_end e = { .wall_ms = clock_wall_ms(),
        .flags = estimated || guessed || !whole || r.usage_estimated ? JOURNAL_ESTIMATED : 0,
        .status = x->status,
        .attempts = x->attempts,
        .outrun_nanousd = x->outrun_nanousd,
        .judge_nanousd = x->judge_nanousd,
        .first_token_us = -1,
        .duration_us = (int64_t)(clock_now_us() - x->started_us),
        .provider = a->target->provider->id,
        .model = a->target->wire.model };

    put_usage(&e, &r.usage, r.cost_nanousd);
    journal_tell(x->worker->journal, x->book, &e);
}

void
book_settle(struct worker *w, const struct record *r)
{
    if (r->book == 0)
        return;
    struct journal_end e = { .wall_ms = r->wall_ms,
        .flags = (r->usage_estimated || r->cost_estimated ? JOURNAL_ESTIMATED : 0) |
                 (r->stream ? JOURNAL_STREAM : 0) | (r->client_abort ? JOURNAL_ABORTED : 0) |
                 (r->continued ? JOURNAL_CONTINUED : 0),
        .status = r->status,
        .attempts = r->attempt_count,
        .outrun_nanousd = r->outrun_nanousd,
        .judge_nanousd = r->judge_nanousd,
        .first_token_us = r->first_token_us,
        .duration_us = r->duration_us,
        .provider = record_provider(r),
        .model = record_model(r),
        .error = record_error(r) };

    put_usage(&e, &r->usage, r->cost_nanousd);
    journal_settle(w->journal, r->book, &e);
}

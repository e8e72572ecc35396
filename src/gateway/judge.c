/* judge.c - holds answers back until they are judged, and chooses among them. */
#include "gateway/judge.h"

#include <stdio.h>

#include "base/clock.h"
#include "gateway/answer.h"
#include "gateway/attempt.h"
#include "gateway/book.h"
#include "gateway/fold.h"
#include "gateway/reply.h"
#include "gateway/retry.h"
#include "gateway/side.h"

#define TASK_BYTES 16000u    /* of the conversation, from its end, are shown to a model that judges */
#define ANSWER_BYTES 16000u    /* of each answer, from its beginning */
#define VERDICT_TOKENS 1024    /* for the reply: models that reason need more than a number */
#define MARK_MOST 10

struct judge {
    const struct judging *how;
    struct timer clock;                        /* keeps the caller's stream alive, and ends waiting */
    struct side *side;                         /* the model that judges; NULL: none does now */
    bool asked;                                /* one has answered or failed, of fuse */
    bool over;                                 /* nothing is left to be asked */
    uint64_t first_us;                         /* when the first answer was complete; 0: none was */
    struct siphash_key key;                    /* of votes */
    struct attempt *order[PLAN_CANDIDATES];    /* those that a model chooses among */
    unsigned order_count;
};

static void
on_clock(void *arg)
{
    exchange_wake(arg);
}

/* --- before --- */

/* Where the conversation cannot be read, answers are not judged by it. */
static void
expand(void *request)
{
    struct llm_request *q = &((struct request *)request)->llm;
    struct wire_fault fault = { S(""), S("") };

    q->expanded = llm_request_expand(q, &fault) == OK;
}

/* What the conversation asks for is needed to judge by. */
static bool
needs_request(const struct judging *how)
{
    return (how->reject & JUDGEMENT_BIT(JUDGED_invalid_json)) != 0 || how->model.n != 0;
}

bool
judge_ready(struct exchange *x)
{
    const struct judging *how = x->plan.alias->judging;

    if (x->judge != NULL || (x->op != OP_CHAT && x->op != OP_COMPLETE))
        return true;
    if (needs_request(how) && !request_work(x->request, expand, x->request))
        return false;
    x->judge = arena_new(x->arena, struct judge);
    x->judge->how = how;
    x->judge->key = siphash_key_make();
    timer_init(&x->judge->clock, x->worker->loop, on_clock, x);
    return true;
}

void
judge_prepare(struct attempt *a)
{
    a->judged = arena_new(a->arena, struct held);
    attempt_fold(a);
}

/* --- what an answer votes for --- */

/* Marks that may stand around a text, and those that may end one. */
static bool
is_around(char c, bool last)
{
    return memchr(" \n\r\t\"'`*_#", c, 10) != NULL || (last && memchr(".!?,;:", c, 6) != NULL);
}

/* A text without what people would not count as a difference: case, blanks, and what stands around
 * it. */
static void
add_normal(struct buf *b, struct str text)
{
    bool blank = false;

    while (text.n != 0 && is_around(text.p[0], false))
        text = str_skip(text, 1);
    while (text.n != 0 && is_around(text.p[text.n - 1], true))
        text.n--;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
            blank = true;
            continue;
        }
        if (blank)
            buf_add_c(b, ' ');
        blank = false;
        buf_add_c(b, c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c);
    }
}

/* What an answer votes for: its text, or its calls. */
static void
hash_vote(const struct siphash_key *key, const struct attempt *a, uint8_t ret[SIPHASH_BYTES])
{
    const struct llm_answer_choice *c = a->fold->answer.choices;
    struct buf text;

    buf_init(&text, SIZE_MAX);
    for (const struct llm_part *p = c != NULL ? c->parts : NULL; p != NULL; p = p->next) {
        if (p->kind == PART_TEXT || p->kind == PART_REFUSAL)
            add_normal(&text, p->text);
        if (p->kind != PART_TOOL_CALL)
            continue;
        buf_add(&text, p->name);
        buf_add_c(&text, 0);
        buf_add(&text, p->args);
        buf_add_c(&text, 0);
    }
    siphash(key, buf_str(&text), ret);
    buf_fini(&text);
}

/* --- what can be told at once --- */

/* Work for a helper thread, if the answer or the request is large. */
static void
look(void *attempt)
{
    struct attempt *a = attempt;
    const struct exchange *x = a->exchange;
    struct held *h = a->judged;
    const struct judged j = { .answer = &a->fold->answer,
        .request = x->request != NULL ? &x->request->llm : NULL,
        .min_logprob = x->judge->how->min_logprob,
        .scratch = a->fold->arena };

    h->fault = judgement_of(&j, x->judge->how->reject);
    if (x->judge->how->fuse && x->judge->how->choose == FUSE_VOTE)
        hash_vote(&x->judge->key, a, h->vote);
    h->looked = true;
}

static const char *
fault_name(const struct held *h)
{
    return h->fault != JUDGED_GOOD ? judgement_name(h->fault) : "judge";
}

/* It is not good enough: its candidate is not asked again. */
static void
reject(struct exchange *x, struct attempt *a)
{
    a->judged->verdict = VERDICT_BAD;
    a->error = (struct llm_error){ .kind = ERR_ANSWER_REJECTED };
    a->note->message = str_c(fault_name(a->judged));
    metric_add(&x->worker->metrics->answers_rejected, 1);
    retry_note(x, a);
}

/* Is `a` the better one of two that were not good enough? The later one is, if they are alike: its
 * target comes later in a cascade. */
static bool
is_better(const struct attempt *a, const struct attempt *b)
{
    const struct held *ha = a->judged, *hb = b->judged;

    if (ha->fault != hb->fault)
        return ha->fault > hb->fault;
    if (ha->mark != hb->mark)
        return ha->mark > hb->mark;
    return a->candidate > b->candidate;
}

static bool
is_held(const struct attempt *a)
{
    return a->state == ATTEMPT_HELD;
}

/* The best of those that were not good enough; NULL: there is none. */
static struct attempt *
best_of_bad(const struct exchange *x)
{
    struct attempt *best = NULL;

    for (struct attempt *a = x->under_way; a != NULL; a = a->next)
        if (is_held(a) && a->judged->verdict == VERDICT_BAD && (best == NULL || is_better(a, best)))
            best = a;
    return best;
}

static void
drop(struct attempt *a)
{
    struct exchange *x = a->exchange;

    if (x->input_estimate == 0 && x->request != NULL && !x->request->large)
        x->input_estimate = llm_request_estimate_tokens(&x->request->llm);
    draft_drop(&a->draft);
    attempt_stop(a, attempt_vain(a));
}

/* --- giving --- */

/* The caller gets this answer; all others are stopped. */
static void
give(struct exchange *x, struct attempt *a)
{
    timer_stop(&x->judge->clock);
    side_cancel(x->judge->side);
    x->judge->side = NULL;
    a->error = (struct llm_error){ .kind = OK };
    a->note->message = S("");
    for (struct attempt *o = x->under_way; o != NULL; o = o->next)
        if (o != a && o->state != ATTEMPT_OVER)
            drop(o);
    answer_give(a);
}

/* --- a model that judges --- */

static void
add_text(struct buf *b, struct str text)
{
    buf_add(b, text);
    buf_add_c(b, '\n');
}

/* Text as far as whole characters fit. */
static struct str
clip(struct str text, size_t most)
{
    size_t n = MIN(text.n, most);

    while (n < text.n && n != 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--;
    return str_make(text.p, n);
}

/* The last bytes of a text, from a whole character on. */
static struct str
clip_begin(struct str text, size_t most)
{
    struct str end = str_skip(text, text.n - MIN(text.n, most));

    while (end.n != text.n && end.n != 0 && ((unsigned char)end.p[0] & 0xc0) == 0x80)
        end = str_skip(end, 1);
    return end;
}

/* Of each part as much as may be shown: its end, or its beginning. */
static void
add_parts(struct buf *b, const struct llm_part *parts, bool end)
{
    for (const struct llm_part *p = parts; p != NULL; p = p->next) {
        struct str text = p->kind == PART_TOOL_CALL ? p->args : p->text;

        text = end ? clip_begin(text, TASK_BYTES) : clip(text, ANSWER_BYTES);
        if (p->kind == PART_TEXT || p->kind == PART_REFUSAL) {
            add_text(b, text);
        } else if (p->kind == PART_TOOL_CALL) {
            buf_printf(b, "[calls " STR_FMT " with ", STR_ARG(clip(p->name, 128)));
            buf_add(b, text);
            buf_add(b, S("]\n"));
        } else if (p->kind == PART_TOOL_RESULT) {
            add_parts(b, p->result, end);
        } else if (p->kind != PART_REASONING && p->kind != PART_OPAQUE) {
            add_text(b, S("[an attachment]"));
        }
    }
}

/* Keeps the end alone of what was written after `from`. */
static void
keep_end(struct buf *b, size_t from)
{
    struct str all = str_skip(buf_str(b), from), last = clip_begin(all, TASK_BYTES);

    if (last.n == all.n)
        return;
    memmove((char *)(uintptr_t)all.p, last.p, last.n);
    buf_truncate(b, from + last.n);
}

/* The conversation, of which the end counts most. */
static void
add_task(struct buf *b, const struct llm_request *q)
{
    static const char *const roles[] = { [ROLE_SYSTEM] = "System",
        [ROLE_DEVELOPER] = "System",
        [ROLE_USER] = "User",
        [ROLE_ASSISTANT] = "Assistant",
        [ROLE_TOOL] = "Tool" };
    size_t from = buf_len(b);

    if (q->system != NULL) {
        add_text(b, S("System:"));
        add_parts(b, q->system, true);
    }
    for (const struct llm_message *m = q->messages; m != NULL; m = m->next) {
        buf_printf(b, "%s:\n", roles[m->role]);
        add_parts(b, m->parts, true);
        if (buf_len(b) - from > 4 * TASK_BYTES)    /* a long conversation is never there as a whole */
            keep_end(b, from);
    }
    keep_end(b, from);
}

static void
add_answer(struct buf *b, const struct attempt *a)
{
    size_t from = buf_len(b);

    if (a->fold->answer.choices != NULL)
        add_parts(b, a->fold->answer.choices->parts, false);
    struct str text = str_skip(buf_str(b), from);
    buf_truncate(b, from + clip(text, ANSWER_BYTES).n);
}

/* The task and the answers, each between two lines with a mark that no answer can know, so that none
 * can pretend to be over. */
static bool
write_material(struct exchange *x, struct attempt *const *list, unsigned count, struct buf *out)
{
    const struct llm_request *q = &x->request->llm;
    UNINITIALIZED char mark[40];
    int n =
        snprintf(mark, sizeof(mark), "=== %016llx ===\n", (unsigned long long)clock_random_u64());
    struct str line = str_make(mark, (size_t)n);

    buf_add(out, S("The task:\n"));
    buf_add(out, line);
    add_task(out, q);
    buf_add(out, line);
    for (unsigned i = 0; i < count; i++) {
        if (count > 1)
            buf_printf(out, "\nAnswer %u:\n", i + 1);
        else
            buf_add(out, S("\nThe answer:\n"));
        buf_add(out, line);
        add_answer(out, list[i]);
        if (buf_len(out) != 0 && buf_str(out).p[buf_len(out) - 1] != '\n')
            buf_add_c(out, '\n');
        buf_add(out, line);
    }
    return !out->overflow;
}

/* Without the thoughts that some models write before their reply. Those that never end are all there
 * is. */
static struct str
skip_thoughts(struct str reply)
{
    struct str end = S("</think>");

    reply = str_trim(reply);
    if (!str_starts(reply, S("<think>")))
        return reply;
    return str_skip(reply, MIN(str_find(reply, end) + end.n, reply.n));
}

int
judge_read_mark(struct str reply, unsigned least, unsigned most)
{
    size_t i = 0;

    reply = skip_thoughts(reply);

    while (i < reply.n) {
        uint64_t whole = 0;
        unsigned tenth = 0;

        if (!str_is_digit(reply.p[i])) {
            i++;
            continue;
        }
        bool minus = i != 0 && reply.p[i - 1] == '-';
        for (; i < reply.n && str_is_digit(reply.p[i]); i++)
            whole = MIN(whole * 10 + (uint64_t)(reply.p[i] - '0'), 100000);
        if (i + 1 < reply.n && reply.p[i] == '.' && str_is_digit(reply.p[i + 1])) {
            tenth = (unsigned)(reply.p[i + 1] - '0');
            for (i++; i < reply.n && str_is_digit(reply.p[i]);)
                i++;
        }
        if (!minus && whole >= least && whole * 10 + tenth <= most * 10u)
            return (int)(whole * 10 + tenth);
    }
    return -1;
}

/* What the model said: the text of its first choice. */
static int
read_reply(const struct side_end *end, unsigned least, unsigned most)
{
    const struct llm_answer_choice *c = end->answer != NULL ? end->answer->choices : NULL;

    for (const struct llm_part *p = c != NULL ? c->parts : NULL; p != NULL; p = p->next) {
        int mark = p->kind == PART_TEXT ? judge_read_mark(p->text, least, most) : -1;

        if (mark >= 0)
            return mark;
    }
    return -1;
}

/* The call is one of the exchange's in the log, but none of its attempts to get an answer. */
static void
note_call(struct exchange *x, const struct side_end *end)
{
    struct record_attempt *n = arena_new(x->arena, struct record_attempt);
    struct target *t = arena_new(x->arena, struct target);

    *t = *end->attempt->target;    /* it may have been made for this call */
    *n = *end->attempt->note;
    n->target = t;
    n->next = NULL;
    n->purpose = "judge";
    n->message = arena_str(x->arena, n->message);
    *x->notes_tail = n;
    x->notes_tail = &n->next;
    if (end->cost_nanousd > 0)
        x->judge_nanousd += end->cost_nanousd;
}

static bool
on_sending(void *owner, const struct attempt *a)
{
    book_judge(owner, a);
    return true;
}

/* Judged by a model: the answers that it was shown. One that says nothing usable, or failed, was not
 * asked. */
static void
on_judged(void *owner, const struct side_end *end)
{
    struct exchange *x = owner;
    struct judge *j = x->judge;
    bool many = j->how->fuse;
    int mark =
        end->error == OK ? read_reply(end, many ? 1 : 0, many ? j->order_count : MARK_MOST) : -1;

    j->side = NULL;
    j->asked = true;
    note_call(x, end);
    if (mark < 0)
        metric_add(&x->worker->metrics->judge_failures, 1);
    for (unsigned i = 0; i < j->order_count; i++) {
        struct attempt *a = j->order[i];
        struct held *h = a->judged;

        h->verdict = VERDICT_GOOD;
        h->marked = mark >= 0;
        if (mark < 0)
            continue;
        h->mark = !many ? (unsigned)mark : (unsigned)mark / 10 == i + 1 ? MARK_MOST * 10 : 0;
        if (!many && h->mark < j->how->below * 10)
            reject(x, a);
    }
    exchange_wake(x);
}

/* Asks the model about the answers in j->order. False: it cannot be asked. */
static bool
ask_model(struct exchange *x)
{
    struct judge *j = x->judge;
    const struct judging *how = j->how;
    struct request *request = NULL;
    uint64_t now_us = clock_now_us(), due_us = now_us + how->timeout_us;
    struct buf material;

    if (x->request == NULL || !x->request->llm.expanded)
        return false;
    buf_init(&material, SIZE_MAX);
    if (write_material(x, j->order, j->order_count, &material))
        request = side_request(x->worker, how->prompt, buf_str(&material), VERDICT_TOKENS);
    buf_fini(&material);
    if (request == NULL)
        return false;
    if (exchange_due_us(x) != 0)
        due_us = MIN(due_us, exchange_due_us(x));
    j->side = side_begin(&(struct side_call){
        .worker = x->worker,
        .hold = x->hold,
        .model = how->model,
        .request_id = x->id,
        .request = request,
        .payer = x,
        .wishes = x->wishes,
        .providers = &x->who->providers,
        .due_us = due_us,
        .keep = true,
        .sending = on_sending,
        .done = on_judged,
        .owner = x,
    });
    request_drop(request);
    return j->side != NULL;
}

static void
begin_model(struct exchange *x)
{
    struct judge *j = x->judge;

    for (unsigned i = 0; i < j->order_count; i++)
        j->order[i]->judged->verdict = VERDICT_ASKED;
    if (ask_model(x))
        return;
    metric_add(&x->worker->metrics->judge_failures, 1);
    j->asked = true;
    for (unsigned i = 0; i < j->order_count; i++)
        j->order[i]->judged->verdict = VERDICT_GOOD;
}

/* --- waiting --- */

/* Sends what keeps the caller's stream alive, if it is due. Returns when the next is. */
static uint64_t
keep_alive(struct exchange *x, uint64_t now_us)
{
    uint64_t every_us = exchange_conf(x)->server.keepalive_ms * 1000;
    uint64_t since_us = x->delivery.sent_us != 0 ? x->delivery.sent_us : x->judge->first_us;

    if (every_us == 0 || !x->stream)
        return UINT64_MAX;
    if (now_us < since_us + every_us)
        return since_us + every_us;
    exchange_respond(x, &x->attempt->draft);
    server_write(x->q, x->framing->keepalive);
    x->delivery.sent_us = now_us;
    return now_us + every_us;
}

static enum step
wait(struct exchange *x, uint64_t until_us)
{
    uint64_t now_us = clock_now_us(), due_us = exchange_due_us(x);

    until_us = MIN(until_us, keep_alive(x, now_us));
    if (due_us != 0)
        until_us = MIN(until_us, due_us + 1);
    if (until_us != UINT64_MAX)
        timer_set(&x->judge->clock, until_us > now_us ? (until_us - now_us) / 1000 + 1 : 0);
    return STEP_WAIT;
}

/* --- a cascade --- */

/* Only the best of those that were not good enough is kept. */
static void
keep_best(struct exchange *x)
{
    struct attempt *best = best_of_bad(x);

    for (struct attempt *a = x->under_way; a != NULL; a = a->next)
        if (a != best && is_held(a) && a->judged->verdict == VERDICT_BAD)
            drop(a);
}

/* Judges an answer that passed everything that can be told without a model. */
static void
judge_further(struct exchange *x, struct attempt *a)
{
    struct judge *j = x->judge;
    bool matters = plan_has_fresh(&x->plan) || j->how->refuse_last;

    a->judged->verdict = VERDICT_GOOD;
    if (j->how->model.n == 0 || !matters || j->over)
        return;
    j->order[0] = a;
    j->order_count = 1;
    begin_model(x);
}

static enum step
look_at_cascade(struct exchange *x, const struct attempt *running, bool slow, bool *ret_beside)
{
    struct judge *j = x->judge;
    bool late = exchange_is_late(x, clock_now_us()), any = false;

    for (struct attempt *a = x->under_way; a != NULL; a = a->next) {
        if (!is_held(a))
            continue;
        if (a->judged->verdict == VERDICT_NONE && a->judged->fault != JUDGED_GOOD)
            reject(x, a);
        else if (a->judged->verdict == VERDICT_NONE && j->side == NULL)
            judge_further(x, a);
        if (a->judged->verdict == VERDICT_GOOD || (late && a->judged->verdict == VERDICT_ASKED)) {
            give(x, a);
            return STEP_NEXT;
        }
        any = true;
    }
    keep_best(x);
    struct attempt *best = best_of_bad(x);
    if (best != NULL && running == NULL && j->over && j->side == NULL && !j->how->refuse_last) {
        give(x, best);
        return STEP_NEXT;
    }
    *ret_beside = running != NULL;
    if (j->side != NULL || (running != NULL && !slow))
        return any ? wait(x, UINT64_MAX) : STEP_WAIT;
    if (any)
        (void)wait(x, UINT64_MAX);    /* also while the next target is awaited */
    return STEP_STOP;
}

/* --- fuse --- */

/* Those that take part, in the order of their targets: the good ones, or all if there are none. */
static void
line_up(struct exchange *x)
{
    struct judge *j = x->judge;
    bool good = false;

    for (const struct attempt *a = x->under_way; a != NULL; a = a->next)
        good = good || (is_held(a) && a->judged->fault == JUDGED_GOOD);
    j->order_count = 0;
    for (struct attempt *a = x->under_way; a != NULL; a = a->next) {
        unsigned at = j->order_count;

        if (!is_held(a) || (good && a->judged->fault != JUDGED_GOOD) ||
            j->order_count == ARRAY_LEN(j->order))
            continue;
        for (; at != 0 && j->order[at - 1]->candidate > a->candidate; at--)
            j->order[at] = j->order[at - 1];
        j->order[at] = a;
        j->order_count++;
    }
}

/* The one that most agree with, and with how many; of several the first. */
static struct attempt *
count_votes(const struct judge *j, unsigned *ret_votes)
{
    struct attempt *most = NULL;

    *ret_votes = 0;
    for (unsigned i = 0; i < j->order_count; i++) {
        unsigned n = 0;

        for (unsigned k = 0; k < j->order_count; k++)
            n += memcmp(j->order[i]->judged->vote, j->order[k]->judged->vote, SIPHASH_BYTES) == 0;
        if (n > *ret_votes) {
            *ret_votes = n;
            most = j->order[i];
        }
    }
    return most;
}

/* Which of the answers that are held is given now; NULL: it is not decided. `all`: no other comes. */
static struct attempt *
choose(struct exchange *x, bool all)
{
    struct judge *j = x->judge;
    struct attempt *chosen;
    unsigned votes;

    line_up(x);
    if (j->order_count == 0)
        return NULL;
    switch (j->how->choose) {
    case FUSE_RULE:
        if (j->order[0]->judged->fault == JUDGED_GOOD)
            return j->order[0];
        return all ? best_of_bad(x) : NULL;
    case FUSE_VOTE:
        chosen = count_votes(j, &votes);
        return all || votes > j->how->ask / 2 ? chosen : NULL;
    case FUSE_JUDGE:
        if (!all)
            return NULL;
        if (j->order_count == 1)
            return j->order[0];
        if (!j->asked)
            begin_model(x);
        if (j->side != NULL)
            return NULL;
        chosen = j->order[0];
        for (unsigned i = 1; i < j->order_count; i++)
            if (j->order[i]->judged->mark > chosen->judged->mark)
                chosen = j->order[i];
        return chosen;
    }
    CHECK_UNREACHABLE();
}

/* The deadline is over: the model that judges has not said anything. */
static void
give_up_judging(struct exchange *x)
{
    side_cancel(x->judge->side);
    x->judge->side = NULL;
    x->judge->asked = true;
    metric_add(&x->worker->metrics->judge_failures, 1);
}

static enum step
look_at_fuse(struct exchange *x, const struct attempt *running, bool *ret_beside)
{
    struct judge *j = x->judge;
    uint64_t now_us = clock_now_us(), until_us = UINT64_MAX;
    unsigned held = 0, busy = 0;

    for (struct attempt *a = x->under_way; a != NULL; a = a->next) {
        busy += a->state == ATTEMPT_RUNNING || a->state == ATTEMPT_READING;
        if (!is_held(a))
            continue;
        held++;
        if (a->judged->verdict == VERDICT_NONE)
            a->judged->verdict = a->judged->fault == JUDGED_GOOD ? VERDICT_GOOD : VERDICT_BAD;
    }
    if (held != 0)
        until_us = j->first_us + j->how->wait_us;
    bool late = now_us >= until_us || exchange_is_late(x, now_us);
    bool all = busy == 0 && (j->over || held >= j->how->ask);
    if (j->side != NULL && exchange_is_late(x, now_us))
        give_up_judging(x);
    /* The model that judges was shown certain answers: until it has said which, no other counts. */
    struct attempt *chosen = held != 0 && j->side == NULL ? choose(x, all || late) : NULL;
    if (chosen != NULL) {
        give(x, chosen);
        return STEP_NEXT;
    }
    if (j->side != NULL)
        return wait(x, UINT64_MAX);
    *ret_beside = running != NULL;
    if (held != 0)
        (void)wait(x, until_us);
    return held + busy < j->how->ask && !j->over ? STEP_STOP : busy != 0 ? STEP_WAIT : STEP_STOP;
}

/* --- all of it --- */

enum step
judge_look(struct exchange *x, const struct attempt *running, bool slow, bool *ret_beside)
{
    struct judge *j = x->judge;

    for (struct attempt *a = x->under_way; a != NULL; a = a->next) {
        if (!is_held(a) || a->judged->looked)
            continue;
        if (j->first_us == 0)
            j->first_us = clock_now_us();
        if (fold_bytes(a->fold) > job_least_bytes || (x->request != NULL && x->request->large)) {
            answer_work(a, look);
            return STEP_WAIT;
        }
        look(a);
    }
    return j->how->fuse ? look_at_fuse(x, running, ret_beside)
                        : look_at_cascade(x, running, slow, ret_beside);
}

bool
judge_close(struct exchange *x)
{
    struct judge *j = x->judge;
    bool held = false;

    j->over = true;
    for (struct attempt *a = x->under_way; a != NULL; a = a->next) {
        if (!is_held(a))
            continue;
        if (!j->how->fuse && j->how->refuse_last && a->judged->verdict == VERDICT_BAD)
            drop(a);
        else
            held = true;
    }
    if (!held)
        timer_stop(&j->clock);
    return held;
}

void
judge_end(struct exchange *x)
{
    if (x->judge == NULL)
        return;
    timer_stop(&x->judge->clock);
    side_cancel(x->judge->side);
    x->judge->side = NULL;
}

/* doubts.c - finds settings that contradict each other where requests fail, are slow or wait. */
#include "conf/doubts.h"

#include "conf/value.h"

/* Where to look: at the first of two fields that was written; or `given` false if neither was. */
struct pair_mark {
    bool given;
    struct conf_mark mark;
};

static struct pair_mark
mark_of_either(const struct conf *c, const void *a, const void *b)
{
    bool first = conf_is_given(c, a);

    return (struct pair_mark){ first || conf_is_given(c, b), conf_mark_of(c, first ? a : b) };
}

/* Warns of each of the fields that was written. */
struct useless {
    const char *name;
    const void *field;
};

static void
doubt_each(const struct conf *c, struct str section, const struct useless *list, size_t count,
    const char *why, struct conf_problems *problems)
{
    for (size_t i = 0; i < count; i++)
        if (conf_is_given(c, list[i].field))
            conf_warn(problems, conf_mark_of(c, list[i].field),
                "'" STR_FMT ".%s' has no effect: %s", STR_ARG(section), list[i].name, why);
}

static void
doubt_times(const struct conf *c, struct conf_problems *problems)
{
    const struct conf_retry *r = &c->retry;
    struct arena *a = problems->arena;
    uint64_t first_ms = c->timeouts.first_token_ms;
    const void *first = &c->timeouts.first_token_ms;

    if (c->timeouts.first_byte_ms != 0 && c->timeouts.first_byte_ms < first_ms) {
        first_ms = c->timeouts.first_byte_ms;
        first = &c->timeouts.first_byte_ms;
    }
    struct pair_mark backoff = mark_of_either(c, &r->cap_ms, &r->base_ms);
    struct pair_mark waiting = mark_of_either(c, &r->wait_ms, &r->patience_ms);
    struct pair_mark slow = mark_of_either(c, &r->slow_ms, first);

    if (backoff.given && r->cap_ms < r->base_ms)
        conf_warn(problems, backoff.mark,
            "'retry.cap' (" STR_FMT ") is shorter than 'retry.base' (" STR_FMT
            "), so the backoff never grows; make cap longer",
            STR_ARG(value_duration_text(a, r->cap_ms)),
            STR_ARG(value_duration_text(a, r->base_ms)));
    if (waiting.given && r->patience_ms < r->wait_ms)
        conf_warn(problems, waiting.mark,
            "'retry.patience' (" STR_FMT ") is shorter than 'retry.wait' (" STR_FMT
            "): a client that sends no timeout is never kept waiting for so long; make wait shorter "
            "or patience longer",
            STR_ARG(value_duration_text(a, r->patience_ms)),
            STR_ARG(value_duration_text(a, r->wait_ms)));
    if (slow.given && r->slow_ms != 0 && first_ms != 0 && r->slow_ms >= first_ms)
        conf_warn(problems, slow.mark,
            "'retry.slow' (" STR_FMT ") is not shorter than 'timeouts.%s' (" STR_FMT
            "), which ends the attempt before another target is asked beside it; make slow shorter, "
            "or 0s",
            STR_ARG(value_duration_text(a, r->slow_ms)),
            first == (const void *)&c->timeouts.first_byte_ms ? "first_byte" : "first_token",
            STR_ARG(value_duration_text(a, first_ms)));
}

static void
doubt_retry(const struct conf *c, struct conf_problems *problems)
{
    const struct conf_retry *r = &c->retry;
    const struct useless list[] = {
        { "base", &r->base_ms },
        { "cap", &r->cap_ms },
        { "budget", &r->budget_percent },
        { "wait", &r->wait_ms },
        { "patience", &r->patience_ms },
        { "slow", &r->slow_ms },
    };

    if (r->attempts == 1) {
        doubt_each(c, S("retry"), list, ARRAY_LEN(list),
            "'retry.attempts' is 1, so nothing is tried again", problems);
        return;
    }
    if (r->budget_percent == 0)
        doubt_each(c, S("retry"), list, 2,
            "'retry.budget' is 0, so no request is repeated at the same target", problems);
    doubt_times(c, problems);
}

static void
doubt_queue(const struct conf *c, struct conf_problems *problems)
{
    const struct conf_server *s = &c->server;
    const struct useless list[] = {
        { "wait", &s->queue_wait_ms },
        { "key_share", &s->queue_key_share },
    };

    if (s->queue_length == 0)
        doubt_each(c, S("server.queue"), list, ARRAY_LEN(list),
            "'server.queue.length' is 0, so no request waits", problems);
}

/* Of aliases that hold answers back. */
static void
doubt_held(const struct conf *c, const struct conf_alias *alias, struct conf_problems *problems)
{
    unsigned long long most = c->retry.attempts;

    if (str_eq(alias->strategy.v, S("fuse")) && alias->fuse.ask > most)
        conf_warn(problems,
            conf_is_given(c, &alias->fuse.ask) ? conf_mark_of(c, &alias->fuse.ask) : alias->mark,
            "'models." STR_FMT
            ".fuse.ask' (%llu) is more than 'retry.attempts' (%llu), which is the most that are asked",
            STR_ARG(alias->name.v), (unsigned long long)alias->fuse.ask, most);
    if (str_eq(alias->strategy.v, S("cascade")) && most == 1)
        conf_warn(problems, alias->mark,
            "'models." STR_FMT
            "': 'retry.attempts' is 1, so a cascade never asks its second target",
            STR_ARG(alias->name.v));
}

static void
doubt_alias(const struct conf *c, const struct conf_alias *alias, struct conf_problems *problems)
{
    const struct conf_hedge *h = &alias->hedge;
    const struct useless list[] = {
        { "after", &h->percentile },
        { "cost", &h->cost_percent },
    };
    struct str section =
        arena_printf(problems->arena, "models." STR_FMT ".hedge", STR_ARG(alias->name.v));

    if (h->share_percent == 0)
        doubt_each(c, section, list, ARRAY_LEN(list),
            "'share' is 0, so no request is sent twice; write share: 5", problems);
    else if (c->retry.attempts == 1)
        conf_warn(problems, conf_mark_of(c, &h->share_percent),
            "'" STR_FMT "' has no effect: 'retry.attempts' is 1", STR_ARG(section));
    doubt_held(c, alias, problems);
    if (str_eq(alias->on_stream_break.v, S("continue")) && c->server.limit_continued_bytes == 0)
        conf_warn(problems, alias->on_stream_break.mark,
            "'models." STR_FMT
            ".on_stream_break' has no effect: 'server.limits.continued' is 0, so nothing is kept to "
            "continue with",
            STR_ARG(alias->name.v));
}

static void
doubt_probes(const struct conf *c, struct conf_problems *problems)
{
    for (size_t i = 0; i < c->provider_count; i++) {
        const struct conf_provider *p = &c->providers[i];

        if (p->probe.every_ms != 0 && !c->retry.breakers)
            conf_warn(problems, conf_mark_of(c, &p->probe.every_ms),
                "'providers." STR_FMT ".probe' has no effect: 'retry.breakers' is false",
                STR_ARG(p->id.v));
    }
}

static void
doubt_chaos(const struct conf *c, struct conf_problems *problems)
{
    if (c->chaos.fault_count == 0 && conf_is_given(c, &c->chaos.seed))
        conf_warn(problems, conf_mark_of(c, &c->chaos.seed),
            "'chaos' has no faults, so nothing happens; list some, or remove it");
    for (size_t i = 0; i < c->chaos.fault_count; i++) {
        const struct conf_fault *f = &c->chaos.faults[i];
        struct str section = arena_printf(problems->arena, "chaos.faults[%zu]", i);
        const struct useless of_status[] = {
            { "status", &f->status },
            { "retry_after", &f->retry_after_ms },
        };
        const struct useless of_delay[] = { { "delay", &f->delay_ms } };
        const struct useless of_parts[] = { { "after", &f->after_bytes } };

        if (f->kind != CHAOS_STATUS)
            doubt_each(c, section, of_status, ARRAY_LEN(of_status),
                "it is for faults with kind: status", problems);
        if (f->kind != CHAOS_DELAY)
            doubt_each(c, section, of_delay, ARRAY_LEN(of_delay),
                "it is for faults with kind: delay", problems);
        if (f->kind != CHAOS_CUT && f->kind != CHAOS_STALL)
            doubt_each(c, section, of_parts, ARRAY_LEN(of_parts),
                "it is for faults with kind: cut or stall", problems);
    }
}

void
doubts_resilience(const struct conf *c, struct conf_problems *problems)
{
    doubt_retry(c, problems);
    doubt_queue(c, problems);
    for (size_t i = 0; i < c->model_count; i++)
        doubt_alias(c, &c->models[i], problems);
    doubt_probes(c, problems);
    doubt_chaos(c, problems);
}

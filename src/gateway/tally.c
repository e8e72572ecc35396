/* tally.c - counts the events of an answer while it is being read. */
#include "gateway/tally.h"

#include "base/clock.h"
#include "gateway/recent.h"

#define BYTES_PER_TOKEN 4    /* roughly, of English */

const struct tally tally_none = { .first_token_us = 0 };

bool
tally_is_token(enum llm_event_kind kind)
{
    switch (kind) {
    case EVENT_TEXT:
    case EVENT_REASONING:
    case EVENT_REDACTED:
    case EVENT_REFUSAL:
    case EVENT_TOOL_START:
    case EVENT_TOOL_ARGS:
    case EVENT_MEDIA:
    case EVENT_OPAQUE:
        return true;
    default:
        return false;
    }
}

static void
on_event(struct event_sink *sink, const struct llm_event *ev)
{
    struct tally *t = CONTAINER_OF(sink, struct tally, filter.sink);

    if (tally_is_token(ev->kind)) {
        t->last_token_us = clock_now_us();
        if (t->first_token_us == 0)
            t->first_token_us = t->last_token_us;
        t->text_bytes += ev->text.n;
        if (UNLIKELY(t->counts))    /* a piece of text of a stream is a token, or some */
            t->text_tokens += tokens_count(t->tokenizer, ev->text);
    }
    if (ev->kind == EVENT_FINISH) {
        t->last_token_us = clock_now_us();    /* it keeps the provider alive as a token does */
        t->finish = ev->finish;
    } else if (ev->kind == EVENT_USAGE || ev->kind == EVENT_START) {
        usage_update(&t->usage, &ev->usage);
        if (ev->kind == EVENT_START && ev->id.n != 0)
            t->answer = recent_answer(ev->id);
    }
    filter_pass(&t->filter, ev);
}

void
tally_begin(struct tally *t)
{
    *t = (struct tally){ .filter.sink.emit = on_event };
}

void
tally_count_tokens(struct tally *t, enum tokens_family tokenizer)
{
    t->tokenizer = tokenizer;
    t->counts = true;
}

bool
tally_estimate(struct tally *t, int64_t input_tokens, bool cut)
{
    int64_t output = (int64_t)(t->counts ? t->text_tokens
                                         : (t->text_bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN);

    if (usage_has(&t->usage, COUNT_INPUT) && usage_has(&t->usage, COUNT_OUTPUT) && !cut)
        return false;
    if (usage_has(&t->usage, COUNT_SEARCHES))
        return false;    /* they are what it is billed by */
    if (!usage_has(&t->usage, COUNT_INPUT))
        usage_set(&t->usage, COUNT_INPUT, input_tokens);
    usage_set(&t->usage, COUNT_OUTPUT, MAX(t->usage.output, output));
    return true;
}

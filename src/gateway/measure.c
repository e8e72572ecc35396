/* measure.c - notes the times of an attempt where its target's are kept (route/latency.h, load.h). */
#include "gateway/measure.h"

#include "base/clock.h"
#include "route/warmth.h"

#define BYTES_PER_TOKEN 4u    /* roughly, of English */

/* Files and batches have times and limits of their own, and what passed no breaker is not counted. */
static bool
is_counted(const struct measure *m)
{
    return m->pass->table != NULL && m->intake->reader.op != OP_RELAY;
}

void
measure_limits(const struct measure *m)
{
    const struct headroom *h = &m->intake->headroom;

    if (LIKELY(!m->intake->limited) || !is_counted(m))
        return;
    struct load *load = health_load(m->target);
    uint64_t key = health_key_name(m->pass->key), now_us = m->note->head_us;
    load_note_requests(load, key, h->requests, h->requests_reset_ms, now_us);
    load_note_tokens(load, key, h->tokens, h->tokens_reset_ms, now_us);
}

/* Tokens of the prompt that the provider had to read. */
static int64_t
read_tokens(const struct measure *m)
{
    const struct llm_usage *u = &m->tally->usage;

    return usage_has(u, COUNT_INPUT) ? u->input - MIN(u->cached, u->input) : m->prompt_tokens;
}

static int64_t
written_tokens(const struct measure *m)
{
    return usage_has(&m->tally->usage, COUNT_OUTPUT)
               ? m->tally->usage.output
               : (int64_t)(m->tally->text_bytes / BYTES_PER_TOKEN);
}

static void
note_time(struct measure *m, bool whole, bool at_least, uint64_t came_us)
{
    struct load_sample s = { .us = came_us - MIN(m->note->started_us, came_us),
        .input_tokens = read_tokens(m),
        .output_tokens = whole ? written_tokens(m) : 0,
        .whole = whole,
        .at_least = at_least };

    load_note_time(health_load(m->target), &s, came_us);
    m->timed = true;
}

/* The target has read the prompt, and `output` tokens of its answer are known to it: what follows in the
 * same conversation begins with both. */
static void
note_warmth(const struct measure *m, int64_t output, uint64_t now_us)
{
    const struct llm_usage *u = &m->tally->usage;
    int64_t input = usage_has(u, COUNT_INPUT) ? u->input : m->prompt_tokens;
    /* A provider that says what it wrote keeps nothing unless it was asked to. */
    bool kept = !usage_has(u, COUNT_CACHE_WRITE) || u->cached + u->cache_write > 0;

    if ((m->conversation | m->prefix) == 0 || !kept || input < m->cache_tokens)
        return;
    warmth_note(m->target, m->conversation, input + output, WARMTH_MS, now_us);
    warmth_note_beginning(m->target, m->prefix, input, WARMTH_MS, now_us);
}

void
measure_first_token(struct measure *m)
{
    if (m->intake->asked_stream && !m->timed && is_counted(m))
        note_time(m, false, false, clock_now_us());
    if (m->intake->asked_stream)
        note_warmth(m, 0, clock_now_us());
}

static void
note_speed(const struct measure *m, bool whole, bool answered)
{
    const struct tally *t = m->tally;
    uint64_t from_us = whole ? m->note->started_us : t->first_token_us;
    uint64_t to_us = whole ? m->note->ended_us : t->last_token_us;

    if (whole ? answered : from_us != 0)
        load_note_speed(
            health_load(m->target), written_tokens(m), to_us - from_us, m->note->ended_us);
}

void
measure_end(struct measure *m, enum err outcome, bool sent)
{
    const struct record_attempt *n = m->note;
    bool cut = outcome == ERR_OUTRUN || outcome == ERR_CLIENT_GONE || outcome == ERR_DEADLINE;
    bool whole = !m->intake->asked_stream;
    uint64_t came_us = whole ? n->ended_us : m->tally->first_token_us;
    struct latency *times = health_latency(m->target, whole);
    bool nothing = m->tally->first_token_us == 0 && sent;
    bool answered = came_us != 0 && (outcome == OK || !whole);

    if (m->pass->table == NULL)
        return;
    if (cut && nothing)
        latency_note(times, (n->ended_us - n->started_us) / 1000, true);
    else if (answered)
        latency_note(times, (came_us - n->started_us) / 1000, false);
    if (!is_counted(m))
        return;
    if (nothing && (cut || outcome == ERR_UPSTREAM_TIMEOUT))
        note_time(m, whole, true, n->ended_us);
    else if (answered && !m->timed)
        note_time(m, whole, false, came_us);
    note_speed(m, whole, outcome == OK);
    if (outcome != OK)
        return;
    load_note_output(health_load(m->target), written_tokens(m), n->ended_us);
    note_warmth(m, written_tokens(m), n->ended_us);
}

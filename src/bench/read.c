/* read.c - reads answers by the provider's side of their wire, and keeps only what is measured. */
#include "bench/read.h"

static void
on_event(struct event_sink *sink, const struct llm_event *ev)
{
    struct bench_reader *r = CONTAINER_OF(sink, struct bench_reader, sink);

    switch (ev->kind) {
    case EVENT_TEXT:
    case EVENT_REASONING:
    case EVENT_REFUSAL:
    case EVENT_TOOL_START:
    case EVENT_TOOL_ARGS:
        r->has_tokens = true;
        break;
    case EVENT_START:
    case EVENT_USAGE:
        usage_update(&r->usage, &ev->usage);
        break;
    default:
        break;
    }
}

void
bench_read_begin(struct bench_reader *r, const struct wire *wire, bool stream, struct arena *keep,
    struct arena *scratch)
{
    *r = (struct bench_reader){ .sink = { on_event } };
    r->wire = (struct wire_reader){
        .wire = wire,
        .op = OP_CHAT,
        .stream = stream,
        .keep = keep,
        .scratch = scratch,
        .sink = &r->sink,
    };
}

void
bench_read_frame(struct bench_reader *r, struct str event, struct str data)
{
    struct arena_mark mark = arena_mark(r->wire.scratch);

    r->has_tokens = false;
    r->broken |= r->wire.wire->provider->read_event(&r->wire, event, data) != OK;
    r->token_events += r->has_tokens;
    arena_rewind(r->wire.scratch, mark);
}

void
bench_read_end(struct bench_reader *r)
{
    r->wire.wire->provider->read_end(&r->wire);
}

void
bench_read_answer(struct bench_reader *r, struct str body)
{
    struct arena_mark mark = arena_mark(r->wire.scratch);

    r->broken |= r->wire.wire->provider->read_answer(&r->wire, body) != OK;
    arena_rewind(r->wire.scratch, mark);
}

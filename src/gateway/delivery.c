/* delivery.c - what the caller gets: drafts, and the one of them that is sent. */
#include "gateway/delivery.h"

#include "base/secret.h"
#include "gateway/location.h"
#include "gateway/tally.h"
#include "route/route.h"

/* frames that carry no content yet, or one turn's output */
#define KEPT_BYTES (4u * 1024 * 1024)

/* --- the head --- */

/* The provider's fields that mean something to the caller. */
static const struct str passed_prefixes[] = {
    S_INIT("x-ratelimit-"),
    S_INIT("anthropic-ratelimit-"),
    S_INIT("openai-"),
    S_INIT("retry-after"),
    S_INIT("content-disposition"),
    S_INIT("content-encoding"),
};

/* And those of a resource that is passed through, or of a session. */
static const struct str resource_fields[] = {
    S_INIT("accept-ranges"),
    S_INIT("content-range"),
    S_INIT("etag"),
    S_INIT("last-modified"),
    S_INIT("sec-websocket-accept"),
    S_INIT("sec-websocket-protocol"),
};

static bool
has_digit(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (str_is_digit(s.p[i]))
            return true;
    return false;
}

/* Fields whose name or value contains a secret are not passed on. Names without a digit are not
 * scanned: they are ordinary names. */
static bool
is_clean(const struct secrets *secrets, const struct http_field *f)
{
    return (!has_digit(f->name) || !secrets_in(secrets, f->name)) &&
           (f->value.n < SECRET_LEAST_BYTES || !secrets_in(secrets, f->value));
}

static bool
passes(const struct http_field *f)
{
    for (size_t k = 0; k < ARRAY_LEN(passed_prefixes); k++)
        if ((f->name.p[0] | 0x20) == passed_prefixes[k].p[0] &&
            str_istarts(f->name, passed_prefixes[k]))
            return true;
    return false;
}

struct str
draft_passed_fields(const struct http_head *head, const struct provider *resource,
    const struct secrets *secrets, struct buf *text, struct arena *a)
{
    CHECK(buf_len(text) == 0);
    for (size_t i = 0; i < head->fields.count; i++) {
        const struct http_field *f = &head->fields.list[i];
        struct str value = f->value;
        bool goes = passes(f);

        for (size_t k = 0; resource != NULL && k < ARRAY_LEN(resource_fields); k++)
            goes = goes || str_ieq(f->name, resource_fields[k]);
        if (resource != NULL && str_ieq(f->name, S("location"))) {
            value = location_for_caller(a, resource->origin, resource->address.base_path, value);
            goes = value.n != 0;
        }
        if (goes && is_clean(secrets, f))
            http_add_field(text, f->name, value);
    }
    struct str s = buf_len(text) != 0 ? arena_str(a, buf_str(text)) : S("");
    buf_reset(text, SIZE_MAX);
    return s;
}

/* --- drafts --- */

static void
note_media(struct draft *d, const struct llm_part *media)
{
    const struct wire_caller *caller = d->writer.wire->caller;

    if (d->form == DRAFT_FOLD)
        d->lost |= 1u << media->kind & ~caller->media;
    else if (d->form == DRAFT_EVENTS)
        d->lost |= 1u << media->kind & ~caller->media_streamed;
}

static void
on_event(struct event_sink *sink, const struct llm_event *ev)
{
    struct draft *d = CONTAINER_OF(sink, struct draft, sink);

    d->content = d->content || tally_is_token(ev->kind);
    if (UNLIKELY(ev->kind == EVENT_MEDIA))
        note_media(d, ev->media);
    if (d->form == DRAFT_FOLD)
        d->answer->sink.emit(&d->answer->sink, ev);
    else if (d->form == DRAFT_EVENTS)
        d->writer.wire->caller->write_event(&d->writer, ev);
}

void
draft_begin(struct draft *d, size_t limit_bytes)
{
    d->sink.emit = on_event;
    buf_init(&d->out, MAX(KEPT_BYTES, 2 * limit_bytes));
    d->writer.out = &d->out;
}

void
draft_fold(struct draft *d, struct arena *a, size_t limit_bytes)
{
    d->form = DRAFT_FOLD;
    d->answer = arena_new(a, struct llm_answer);
    answer_init(d->answer, a);
    d->answer->left = limit_bytes;
}

/* Frames that lie next to each other in the bytes just received go out as one run, uncopied; one
 * that was put together from earlier bytes is copied, because the reader reuses its buffer. */
void
draft_forward(struct draft *d, struct str raw)
{
    bool in_chunk = raw.p >= d->chunk.p && raw.p + raw.n <= d->chunk.p + d->chunk.n;

    if (in_chunk && d->run.n != 0 && d->run.p + d->run.n == raw.p) {
        d->run.n += raw.n;
        return;
    }
    draft_keep(d);
    if (in_chunk)
        d->run = raw;
    else
        buf_add(&d->out, raw);
}

enum err
draft_verdict(const struct draft *d)
{
    if (d->writer.broken)
        return ERR_UPSTREAM_PROTOCOL;
    if (!d->out.overflow && (d->answer == NULL || !d->answer->too_large))
        return OK;
    return d->answer != NULL && arena_was_refused(d->answer->arena) ? ERR_OVERLOADED
                                                                    : ERR_UPSTREAM_TOO_LARGE;
}

/* Adds what the routes of OpenRouter's API promise, where the provider's bytes go on as they are. */
static bool
annotate(struct draft *d, struct str text, const struct llm_usage *usage)
{
    const struct wire_writer *w = &d->writer;

    return UNLIKELY(w->provider.n != 0) && w->wire->caller->annotate != NULL &&
           w->wire->caller->annotate(w, text, usage, &d->out);
}

void
draft_forward_usage(struct draft *d, struct str raw, const struct llm_usage *usage)
{
    draft_keep(d);
    if (!annotate(d, raw, usage))
        draft_forward(d, raw);
}

enum err
draft_write_document(struct draft *d, struct str body, const struct llm_usage *usage)
{
    d->content = true;
    if (d->form == DRAFT_FORWARD) {
        if (!annotate(d, body, usage))
            d->run = body;
    } else if (d->form == DRAFT_FOLD && !d->answer->too_large) {
        const struct wire_caller *caller = d->writer.wire->caller;

        if (d->writer.op == OP_COUNT_TOKENS && caller->write_token_count != NULL)
            caller->write_token_count(d->writer.out, d->answer->usage.input);
        else if (caller->asks[d->writer.op] != NULL)
            caller->asks[d->writer.op]->write_answer(&d->writer, d->answer);
        else
            caller->write_answer(&d->writer, d->answer);
        d->content_type = S("application/json");
    }
    return draft_verdict(d);
}

void
draft_close(struct draft *d, const struct framing *framing, size_t before, struct str ends)
{
    if (buf_len(&d->out) != before)
        framing_close(framing, &d->out);
    buf_add(&d->out, ends);
}

void
draft_keep(struct draft *d)
{
    buf_add(&d->out, d->run);
    d->run = S("");
}

void
draft_drop(struct draft *d)
{
    buf_reset(&d->out, 0);
    d->run = S("");
}

/* --- delivery --- */

bool
delivery_flush(struct delivery *d, struct server_conn *q, uint64_t now_us)
{
    struct draft *draft = d->draft;
    struct str pieces[] = { buf_str(&draft->out), draft->run };

    if (d->more || pieces[0].n + pieces[1].n > DELIVERY_PIECE_BYTES) {
        draft_keep(draft);
        d->more = true;
    } else if (pieces[0].n + pieces[1].n != 0) {
        server_write_pieces(q, pieces, ARRAY_LEN(pieces));
        draft_drop(draft);
        d->sent_us = now_us;
    }
    return d->more;
}

bool
delivery_send_more(struct delivery *d, struct server_conn *q)
{
    struct buf *out = &d->draft->out;
    struct str all = buf_str(out);

    server_write(q, str_make(all.p, MIN(all.n, DELIVERY_PIECE_BYTES)));
    buf_consume(out, MIN(all.n, DELIVERY_PIECE_BYTES));
    d->more = buf_len(out) != 0;
    if (!d->more)
        buf_reset(out, 0);
    return d->more;
}

void
delivery_break(struct delivery *d, const struct llm_error *e, struct str passed, uint64_t count)
{
    struct draft *draft = d->draft;
    const struct wire_caller *caller = draft->writer.wire->caller;
    struct llm_event ev = { .kind = EVENT_ERROR, .error = e };

    draft_keep(draft);    /* what was held back belongs before the error */
    if (passed.n != 0)
        caller->write_relay_error(&draft->out, e, passed, count);
    else
        caller->write_event(&draft->writer, &ev);
}

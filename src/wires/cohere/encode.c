/* encode.c - answers for callers who speak Cohere's v2 protocol.
 *
 * A stream has blocks of content, of text or thinking, one open at a time, and calls, one after the
 * other (llm/serial.h); both are numbered from 0. The last event has the reason, the counts, and what
 * went wrong if something did; some providers tell their counts after the reason, so it waits for
 * EVENT_END.
 */
#include "llm/serial.h"
#include "llm/write.h"
#include "wires/cohere/cohere.h"

enum open_kind { OPEN_NONE, OPEN_TEXT, OPEN_THINKING };

struct chat_stream {
    struct serial serial;
    struct event_sink sink;    /* receives from `serial` */
    struct wire_writer *w;
    bool started;
    bool over;    /* the last event was written; nothing may follow */
    enum open_kind open;
    uint32_t index;    /* of the open block, or of the next one */
    uint32_t calls;    /* written so far */
    uint32_t citations;
    bool in_call;
    bool filled;    /* the open call has received arguments */
    bool custom;    /* they are plain text, which is wrapped in JSON */
    struct llm_usage usage;
    enum llm_finish finish;
    struct str native;
    struct str stop_sequence;
};

/* --- pieces that streams and whole answers share --- */

/* "c14c80c3-18eb-4519-9460-6c92edd8cfb4": providers' own ids are kept, whatever their form. */
static struct str
answer_id(const struct wire_writer *w, struct str id)
{
    return id.n > 0 ? id : w->id;
}

/* An entry for a token of the neutral form. */
static void
add_logprob(struct json_out *o, const struct json *token)
{
    const struct json *text = json_get(token, S("token"));
    const struct json *logprob = json_get(token, S("logprob"));

    if (!json_is(text, JSON_STRING) || !json_is(logprob, JSON_NUMBER))
        return;
    out_object(o);
    out_raw(o, "text", json_raw(text));
    out_const(o, "\"token_ids\":[]");
    out_key_array(o, "logprobs");
    out_raw_value(o, json_raw(logprob));
    out_end_array(o);
    out_end(o);
}

/* `text` is the answer's text from `from` to `to`, if known. */
static void
add_citation(struct json_out *o, const struct llm_citation *c, struct str text)
{
    out_object(o);
    if (c->to > c->from) {
        out_i64(o, "start", c->from);
        out_i64(o, "end", c->to);
        out_text_if(o, "text", text);
    }
    out_key_array(o, "sources");
    out_object(o);
    out_const(o, "\"type\":\"document\"");
    out_text_if(o, "id", c->url.n > 0 ? c->url : c->title);
    out_key_object(o, "document");
    out_text_if(o, "title", c->title);
    out_text_if(o, "url", c->url);
    out_text_if(o, "snippet", c->quote);
    out_end(o);
    out_end(o);
    out_end_array(o);
    out_const(o, "\"type\":\"TEXT_CONTENT\"");
    out_end(o);
}

/* The JSON text of a call's arguments, where a protocol may have free-form text instead. */
static void
add_arguments(struct json_out *o, struct wire_writer *w, const struct llm_part *call)
{
    struct buf text;
    struct json_out in;

    if (!call->custom) {
        out_text(o, "arguments", call->args.n > 0 ? call->args : S("{}"));
        return;
    }
    buf_init(&text, SIZE_MAX);
    in = json_out(&text);
    if (!write_arguments(&in, w->keep, call->args, true, NULL))
        o->b->overflow = true;    /* as if it had no room for the call */
    out_text(o, "arguments", buf_str(&text));
    buf_fini(&text);
}

static struct str
call_id(const struct wire_writer *w, struct str id, uint32_t call)
{
    return id.n > 0 ? id : arena_printf(w->keep, "call_" STR_FMT "_%u", STR_ARG(w->id), call);
}

/* --- the blocks of a stream --- */

#define EVENT(name) "event: " name "\ndata: {\"type\":\"" name "\""

static void
write_indexed(const struct chat_stream *e, struct str event, uint32_t index, struct str rest)
{
    buf_add(e->w->out, event);
    buf_add(e->w->out, S(",\"index\":"));
    buf_add_u64(e->w->out, index);
    buf_add(e->w->out, rest);
}

static void
close_open(struct chat_stream *e)
{
    if (e->open == OPEN_NONE)
        return;
    write_indexed(e, S(EVENT("content-end")), e->index++, S("}\n\n"));
    e->open = OPEN_NONE;
}

static void
open_block(struct chat_stream *e, enum open_kind kind)
{
    if (e->open == kind)
        return;
    close_open(e);
    write_indexed(e, S(EVENT("content-start")), e->index,
        kind == OPEN_TEXT
            ? S(",\"delta\":{\"message\":{\"content\":{\"type\":\"text\",\"text\":\"\"}}}}\n\n")
            : S(",\"delta\":{\"message\":{\"content\":{\"type\":\"thinking\",\"thinking\":\"\"}}}}"
                "\n\n"));
    e->open = kind;
}

static void
write_run(struct chat_stream *e, enum open_kind kind, struct str text)
{
    if (text.n == 0)
        return;
    open_block(e, kind);
    write_indexed(e, S(EVENT("content-delta")), e->index,
        kind == OPEN_TEXT ? S(",\"delta\":{\"message\":{\"content\":{\"text\":")
                          : S(",\"delta\":{\"message\":{\"content\":{\"thinking\":"));
    json_add_str(e->w->out, text);
    buf_add(e->w->out, S("}}}}\n\n"));
}

/* They belong to the text before: a piece without text carries them, one for each token. Those of
 * text that is held back until a call ends are left out. */
static void
write_logprobs(struct chat_stream *e, struct str raw)
{
    struct arena *a = arena_create(raw.n * 64 + 4096);
    struct json_iter it = json_iter(json_get(json_parse(a, raw, NULL, NULL), S("content")));

    while (json_next(&it)) {
        struct json_out o = json_out(e->w->out);

        open_block(e, OPEN_TEXT);
        write_indexed(e, S(EVENT("content-delta")), e->index,
            S(",\"delta\":{\"message\":{\"content\":{\"text\":\"\"}}},\"logprobs\":"));
        add_logprob(&o, it.value);
        if (!o.comma)
            buf_add(e->w->out, S("null"));
        buf_add(e->w->out, S("}\n\n"));
    }
    arena_destroy(a);
}

static void
write_args_delta(struct chat_stream *e, struct str text)
{
    write_indexed(e, S(EVENT("tool-call-delta")), e->calls,
        S(",\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":"));
    json_add_str(e->w->out, text);
    buf_add(e->w->out, S("}}}}}\n\n"));
}

static void
begin_call(struct chat_stream *e, const struct llm_event *ev)
{
    struct json_out o = json_out(e->w->out);

    close_open(e);
    write_indexed(
        e, S(EVENT("tool-call-start")), e->calls, S(",\"delta\":{\"message\":{\"tool_calls\":"));
    out_object(&o);
    out_text(&o, "id", call_id(e->w, ev->id, ev->tool));
    out_const(&o, "\"type\":\"function\"");
    out_key_object(&o, "function");
    out_text(&o, "name", ev->name);
    out_const(&o, "\"arguments\":\"\"");
    out_end(&o);
    out_end(&o);
    buf_add(o.b, S("}}}\n\n"));
    e->in_call = true;
    e->custom = ev->custom;
    e->filled = false;
}

/* Free-form text becomes the string in {"input":"..."}: see the other protocols. */
static void
write_args(struct chat_stream *e, struct str text)
{
    struct buf once;

    if (text.n == 0)
        return;
    if (!e->custom) {
        write_args_delta(e, text);
    } else {
        buf_init(&once, SIZE_MAX);
        if (!e->filled)
            buf_add(&once, S("{\"input\":\""));
        json_add_escaped(&once, text);
        write_args_delta(e, buf_str(&once));
        buf_fini(&once);
    }
    e->filled = true;
}

static void
end_call(struct chat_stream *e)
{
    if (e->custom)
        write_args_delta(e, e->filled ? S("\"}") : S("{\"input\":\"\"}"));
    else if (!e->filled)
        write_args_delta(e, S("{}"));
    e->in_call = false;
    write_indexed(e, S(EVENT("tool-call-end")), e->calls++, S("}\n\n"));
}

static void
write_citation(struct chat_stream *e, const struct llm_citation *c)
{
    struct json_out o = json_out(e->w->out);

    write_indexed(
        e, S(EVENT("citation-start")), e->citations, S(",\"delta\":{\"message\":{\"citations\":"));
    add_citation(&o, c, S(""));
    buf_add(o.b, S("}}}\n\n"));
    write_indexed(e, S(EVENT("citation-end")), e->citations++, S("}\n\n"));
}

/* --- events --- */

static void
write_start(struct chat_stream *e, struct str id)
{
    struct json_out o = json_out(e->w->out);

    if (e->started)
        return;
    e->started = true;
    buf_add(o.b, S("event: message-start\ndata: "));
    out_object(&o);
    out_text(&o, "id", answer_id(e->w, id));
    out_const(&o, "\"type\":\"message-start\",\"delta\":{\"message\":{\"role\":\"assistant\","
                  "\"content\":[],\"tool_plan\":\"\",\"tool_calls\":[],\"citations\":[]}}");
    out_end(&o);
    buf_add(o.b, S("\n\n"));
}

static void
write_end(struct chat_stream *e)
{
    struct json_out o = json_out(e->w->out);

    close_open(e);
    buf_add(o.b, S(EVENT("message-end") ",\"delta\":"));
    out_object(&o);
    out_text(&o, "finish_reason",
        cohere_finish_reason(e->finish, e->native, e->stop_sequence, e->calls > 0));
    cohere_add_usage(&o, &e->usage);
    out_end(&o);
    buf_add(o.b, S("}\n\ndata: [DONE]\n\n"));
    e->over = true;
}

void
cohere_write_relay_error(
    struct buf *out, const struct llm_error *e, struct str path UNUSED, uint64_t sequence UNUSED)
{
    struct json_out o = json_out(out);

    buf_add(out, S(EVENT("message-end") ",\"delta\":"));
    out_object(&o);
    out_const(&o, "\"finish_reason\":\"ERROR\"");
    out_text(&o, "error", e->message.n > 0 ? e->message : str_c(err_row(e->kind)->sentence));
    out_end(&o);
    buf_add(out, S("}\n\n"));
}

static void
write_content(struct event_sink *sink, const struct llm_event *ev)
{
    struct chat_stream *e = CONTAINER_OF(sink, struct chat_stream, sink);

    if (ev->kind != EVENT_ERROR)
        write_start(e, ev->kind == EVENT_START ? ev->id : S(""));
    switch (ev->kind) {
    case EVENT_TEXT:
    case EVENT_REFUSAL:
        write_run(e, OPEN_TEXT, ev->text);
        break;
    case EVENT_REASONING:
        write_run(e, OPEN_THINKING, ev->text);
        break;
    case EVENT_TOOL_START:
        begin_call(e, ev);
        break;
    case EVENT_TOOL_ARGS:
        write_args(e, ev->text);
        break;
    case EVENT_TOOL_END:
        end_call(e);
        break;
    case EVENT_CITATION:
        write_citation(e, ev->citation);
        break;
    case EVENT_LOGPROBS:
        if (!e->in_call)
            write_logprobs(e, ev->raw);
        break;
    case EVENT_FINISH:
        close_open(e);
        e->finish = ev->finish;
        e->native = arena_str(e->w->keep, ev->native);
        e->stop_sequence = arena_str(e->w->keep, ev->stop_sequence);
        break;
    case EVENT_ERROR:
        close_open(e);
        cohere_write_relay_error(e->w->out, ev->error, S(""), 0);
        e->over = true;
        break;
    case EVENT_END:
        write_end(e);
        break;
    default:    /* media, signatures and blocks of other wires cannot be expressed */
        break;
    }
}

void
cohere_write_event(struct wire_writer *w, const struct llm_event *ev)
{
    struct chat_stream *e = w->state;

    if (e == NULL) {
        w->state = e = arena_new(w->keep, struct chat_stream);
        e->sink.emit = write_content;
        serial_init(&e->serial, w->keep, &e->sink);
    }
    e->w = w;
    e->serial.keep = w->keep;    /* a helper thread has one of its own */
    if (e->over || ev->choice > 0 || ev->kind == EVENT_NONE)
        return;
    if (ev->kind == EVENT_START || ev->kind == EVENT_USAGE)
        usage_update(&e->usage, &ev->usage);
    if (ev->kind != EVENT_USAGE)
        e->serial.sink.emit(&e->serial.sink, ev);
}

/* --- whole answers --- */

static bool
is_text(const struct llm_part *part)
{
    return (part->kind == PART_TEXT || part->kind == PART_REFUSAL) && part->text.n > 0;
}

static void
add_content(struct json_out *o, const struct llm_part *parts)
{
    bool any = false;

    for (const struct llm_part *part = parts; part != NULL; part = part->next) {
        bool thought = part->kind == PART_REASONING && part->text.n > 0;

        if (!thought && !is_text(part))
            continue;
        if (!any)
            out_key_array(o, "content");
        any = true;
        out_object(o);
        out_text(o, "type", thought ? S("thinking") : S("text"));
        if (thought)
            out_text(o, "thinking", part->text);
        else
            out_text(o, "text", part->text);
        out_end(o);
    }
    if (any)
        out_end_array(o);
}

static uint32_t
add_calls(struct json_out *o, struct wire_writer *w, const struct llm_part *parts)
{
    uint32_t calls = 0;

    for (const struct llm_part *part = parts; part != NULL; part = part->next) {
        if (part->kind != PART_TOOL_CALL)
            continue;
        if (calls == 0)
            out_key_array(o, "tool_calls");
        out_object(o);
        out_text(o, "id", call_id(w, part->id, calls));
        out_const(o, "\"type\":\"function\"");
        out_key_object(o, "function");
        out_text(o, "name", part->name);
        add_arguments(o, w, part);
        out_end(o);
        out_end(o);
        calls++;
    }
    if (calls > 0)
        out_end_array(o);
    return calls;
}

/* A walk over a text by its characters, forwards only: citations come in their order. */
struct text_walk {
    struct str text;
    size_t byte;
    int64_t character;
};

static void
walk_to(struct text_walk *p, int64_t character)
{
    while (p->byte < p->text.n && p->character < character) {
        p->byte++;
        while (p->byte < p->text.n && ((unsigned char)p->text.p[p->byte] & 0xc0) == 0x80)
            p->byte++;
        p->character++;
    }
}

/* The characters that a citation is about, if it comes after those before. */
static struct str
cited_text(struct text_walk *from, struct text_walk *to, const struct llm_citation *c)
{
    if (c->to <= c->from || c->from < from->character || c->to < to->character)
        return S("");
    walk_to(from, c->from);
    walk_to(to, c->to);
    return str_make(from->text.p + from->byte, to->byte - from->byte);
}

static void
add_citations(struct json_out *o, const struct llm_answer_choice *choice)
{
    struct text_walk from = { .byte = 0 };
    struct text_walk to;

    if (choice->citations == NULL)
        return;
    for (const struct llm_part *part = choice->parts; part != NULL && from.text.n == 0;
         part = part->next)
        if (is_text(part))
            from.text = part->text;
    to = from;
    out_key_array(o, "citations");
    for (const struct llm_cited *c = choice->citations; c != NULL; c = c->next)
        add_citation(o, &c->citation, cited_text(&from, &to, &c->citation));
    out_end_array(o);
}

static void
add_logprobs(struct json_out *o, const struct llm_fragment *fragments)
{
    if (fragments == NULL)
        return;
    out_key_array(o, "logprobs");
    for (const struct llm_fragment *f = fragments; f != NULL; f = f->next) {
        struct json_iter it = json_iter(json_get(f->doc, S("content")));

        while (json_next(&it))
            add_logprob(o, it.value);
    }
    out_end_array(o);
}

void
cohere_write_answer(struct wire_writer *w, const struct llm_answer *ans)
{
    static const struct llm_answer_choice none = { .index = 0 };
    const struct llm_answer_choice *choice = ans->choices != NULL ? ans->choices : &none;
    struct json_out o = json_out(w->out);
    uint32_t calls;

    out_object(&o);
    out_text(&o, "id", answer_id(w, ans->id));
    out_key_object(&o, "message");
    out_const(&o, "\"role\":\"assistant\"");
    add_content(&o, choice->parts);
    calls = add_calls(&o, w, choice->parts);
    add_citations(&o, choice);
    out_end(&o);
    out_text(&o, "finish_reason",
        cohere_finish_reason(choice->finish, choice->native, choice->stop_sequence, calls > 0));
    cohere_add_usage(&o, &ans->usage);
    add_logprobs(&o, choice->logprobs);
    out_end(&o);
}

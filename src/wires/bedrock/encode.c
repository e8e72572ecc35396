/* encode.c - answers for callers who speak Bedrock's Converse API.
 *
 * A stream is a row of blocks: numbered from 0 without gaps, one open at a time; llm/serial.h puts
 * calls that other protocols write at once one after the other. Only calls have an event at their
 * start. The reason to end is told at once, the counts follow in the last event, as AWS has it.
 */
#include "llm/media.h"
#include "llm/seal.h"
#include "llm/serial.h"
#include "llm/write.h"
#include "wires/bedrock/bedrock.h"

enum open_kind { OPEN_NONE, OPEN_TEXT, OPEN_THINKING, OPEN_CALL };

struct converse_encoder {
    struct serial serial;
    struct event_sink sink;    /* receives from `serial` */
    struct wire_writer *w;
    bool started;
    bool over;    /* the last event was written; nothing may follow */
    enum open_kind open;
    uint32_t index;    /* of the open block, or of the next one */
    bool custom;       /* the open call's arguments are plain text, which is wrapped in JSON */
    bool filled;       /* the open call has received arguments */
    bool called;       /* the answer calls a tool */
    struct llm_usage usage;
};

/* --- pieces that streams and whole answers share --- */

/* A call needs an id that its result can refer to; `call` is its number. */
static struct str
call_id(struct wire_writer *w, struct str id, uint32_t call)
{
    return id.n > 0 ? id : arena_printf(w->keep, "tooluse_" STR_FMT "_%u", STR_ARG(w->id), call);
}

/* What this protocol has of a proof of reasoning: bytes of its own models where it has bytes in
 * base64, else a signature; those of other models' reasoning are sealed. */
struct proof {
    struct str signature;
    struct str redacted;
};

static struct proof
proof_of(struct wire_writer *w, enum llm_origin origin, struct str signature, struct str redacted)
{
    bool own = origin == ORIGIN_ANTHROPIC || origin == ORIGIN_BEDROCK || origin == ORIGIN_NONE;

    if ((signature.n == 0 && redacted.n == 0) ||
        (own && (redacted.n == 0 || bedrock_is_base64(redacted))))
        return (struct proof){ .signature = signature, .redacted = redacted };
    return (struct proof){
        .signature = seal_write(
            w->keep, &(struct seal){ .origin = origin == ORIGIN_NONE ? ORIGIN_BEDROCK : origin,
                         .signature = signature,
                         .redacted = redacted })
    };
}

static void
add_citation(struct json_out *o, const struct llm_citation *c)
{
    out_text_if(o, "title", c->title);
    if (c->quote.n > 0) {
        out_key_array(o, "sourceContent");
        out_object(o);
        out_text(o, "text", c->quote);
        out_end(o);
        out_end_array(o);
    }
    if (c->url.n > 0 && str_find(c->url, S("://")) == c->url.n) {
        out_text(o, "source", c->url);    /* a document of the request */
    } else if (c->url.n > 0) {
        out_key_object(o, "location");
        out_key_object(o, "web");
        out_text(o, "url", c->url);
        out_end(o);
        out_end(o);
    }
}

/* What AWS tells only those who ask for it by additionalModelResponseFieldPaths. */
static void
add_stop(struct json_out *o, struct str reason, struct str sequence)
{
    out_text(o, "stopReason", reason);
    if (sequence.n > 0) {
        out_key_object(o, "additionalModelResponseFields");
        out_text(o, "stop_sequence", sequence);
        out_end(o);
    }
}

static void
add_counts(struct json_out *o, const struct llm_usage *u)
{
    bedrock_add_usage(o, u);
    out_const(o, "\"metrics\":{\"latencyMs\":0}");
}

/* "png" of "image/png". */
static struct str
media_format(const struct llm_part *media)
{
    return str_skip(media->mime, str_chr(media->mime, '/') + 1);
}

static void
add_source(struct json_out *o, const struct llm_part *media)
{
    out_key_object(o, "source");
    out_text(o, "bytes", media->data);
    out_end(o);
}

/* --- the events of a stream --- */

struct frame_out {
    struct json_out o;
    size_t begun;
};

static struct frame_out
begin_event(const struct converse_encoder *e, struct str name)
{
    struct frame_out f = { .begun = framing_aws_begin(e->w->out, S("event"), name) };

    f.o = json_out(e->w->out);
    out_object(&f.o);
    return f;
}

static void
end_event(struct frame_out *f)
{
    out_end(&f->o);
    framing_aws_end(f->o.b, f->begun);
}

static struct frame_out
begin_delta(const struct converse_encoder *e)
{
    struct frame_out f = begin_event(e, S("contentBlockDelta"));

    out_i64(&f.o, "contentBlockIndex", e->index);
    out_key_object(&f.o, "delta");
    return f;
}

static void
end_delta(struct frame_out *f)
{
    out_end(&f->o);
    end_event(f);
}

static void
write_input(const struct converse_encoder *e, struct str fragment)
{
    struct frame_out f = begin_delta(e);

    out_key_object(&f.o, "toolUse");
    out_text(&f.o, "input", fragment);
    out_end(&f.o);
    end_delta(&f);
}

static void
end_block(struct converse_encoder *e)
{
    struct frame_out f = begin_event(e, S("contentBlockStop"));

    out_i64(&f.o, "contentBlockIndex", e->index);
    end_event(&f);
    e->index++;
    e->open = OPEN_NONE;
}

static void
close_open(struct converse_encoder *e)
{
    if (e->open == OPEN_NONE)
        return;
    if (e->open == OPEN_CALL && e->custom)
        write_input(e, e->filled ? S("\"}") : S("{\"input\":\"\"}"));
    else if (e->open == OPEN_CALL && !e->filled)
        write_input(e, S("{}"));
    end_block(e);
}

/* Text and reasoning begin with their first delta. */
static void
open_block(struct converse_encoder *e, enum open_kind kind)
{
    if (e->open != kind)
        close_open(e);
    e->open = kind;
}

static void
write_text(struct converse_encoder *e, struct str text)
{
    if (text.n == 0)
        return;
    open_block(e, OPEN_TEXT);

    struct frame_out f = begin_delta(e);

    out_text(&f.o, "text", text);
    end_delta(&f);
}

/* A piece of reasoning; a proof ends its block. */
static void
write_reasoning(struct converse_encoder *e, struct str text, const struct proof *proof)
{
    bool redacted = proof->redacted.n > 0;

    if (text.n == 0 && !redacted && proof->signature.n == 0)
        return;
    if (redacted)
        close_open(e);
    open_block(e, OPEN_THINKING);

    struct frame_out f = begin_delta(e);

    out_key_object(&f.o, "reasoningContent");
    if (text.n > 0)
        out_text(&f.o, "text", text);
    else if (redacted)
        out_text(&f.o, "redactedContent", proof->redacted);
    else
        out_text(&f.o, "signature", proof->signature);
    out_end(&f.o);
    end_delta(&f);
    if (text.n == 0)
        close_open(e);    /* further thinking is another block */
}

static void
write_proof(
    struct converse_encoder *e, enum llm_origin origin, struct str signature, struct str redacted)
{
    struct proof proof = proof_of(e->w, origin, signature, redacted);

    write_reasoning(e, S(""), &proof);
}

static void
write_citation(struct converse_encoder *e, const struct llm_citation *citation)
{
    open_block(e, OPEN_TEXT);

    struct frame_out f = begin_delta(e);

    out_key_object(&f.o, "citation");
    add_citation(&f.o, citation);
    out_end(&f.o);
    end_delta(&f);
}

/* A picture is a block of its own; streams have no other media. */
static void
write_image(struct converse_encoder *e, const struct llm_part *picture)
{
    if (picture->kind != PART_IMAGE || picture->data.n == 0)
        return;
    close_open(e);

    struct frame_out f = begin_event(e, S("contentBlockStart"));

    out_i64(&f.o, "contentBlockIndex", e->index);
    out_key_object(&f.o, "start");
    out_key_object(&f.o, "image");
    out_text(&f.o, "format", media_format(picture));
    out_end(&f.o);
    out_end(&f.o);
    end_event(&f);
    f = begin_delta(e);
    out_key_object(&f.o, "image");
    add_source(&f.o, picture);
    out_end(&f.o);
    end_delta(&f);
    end_block(e);
}

static void
write_call(struct converse_encoder *e, const struct llm_event *ev)
{
    close_open(e);

    struct frame_out f = begin_event(e, S("contentBlockStart"));

    out_i64(&f.o, "contentBlockIndex", e->index);
    out_key_object(&f.o, "start");
    out_key_object(&f.o, "toolUse");
    out_text(&f.o, "toolUseId", call_id(e->w, ev->id, ev->tool));
    out_text(&f.o, "name", ev->name);
    out_end(&f.o);
    out_end(&f.o);
    end_event(&f);
    e->open = OPEN_CALL;
    e->called = true;
    e->custom = ev->custom;
    e->filled = false;
}

/* Free-form text becomes the string in {"input":"..."}. Callers of this wire cannot ask for such
 * calls, so the cost does not matter. */
static void
write_args(struct converse_encoder *e, struct str text)
{
    struct buf once;

    if (text.n == 0)
        return;
    if (!e->custom) {
        write_input(e, text);
    } else {
        buf_init(&once, SIZE_MAX);
        if (!e->filled)
            buf_add(&once, S("{\"input\":\""));
        json_add_escaped(&once, text);
        write_input(e, buf_str(&once));
        buf_fini(&once);
    }
    e->filled = true;
}

static void
write_start(struct converse_encoder *e)
{
    if (e->started)
        return;
    e->started = true;

    struct frame_out f = begin_event(e, S("messageStart"));

    out_const(&f.o, "\"role\":\"assistant\"");
    end_event(&f);
}

static void
write_finish(struct converse_encoder *e, const struct llm_event *ev)
{
    close_open(e);

    struct frame_out f = begin_event(e, S("messageStop"));

    add_stop(&f.o, bedrock_stop_reason(ev->finish, ev->native, ev->stop_sequence, e->called),
        ev->stop_sequence);
    end_event(&f);
}

static void
write_end(struct converse_encoder *e)
{
    struct frame_out f = begin_event(e, S("metadata"));

    add_counts(&f.o, &e->usage);
    end_event(&f);
    e->over = true;
}

static void
write_content(struct event_sink *sink, const struct llm_event *ev)
{
    struct converse_encoder *e = CONTAINER_OF(sink, struct converse_encoder, sink);

    if (ev->kind != EVENT_ERROR)
        write_start(e);
    switch (ev->kind) {
    case EVENT_TEXT:
    case EVENT_REFUSAL:
        write_text(e, ev->text);
        break;
    case EVENT_REASONING:
        write_reasoning(e, ev->text, &(struct proof){ .redacted = S("") });
        break;
    case EVENT_REDACTED:
        write_proof(e, ev->origin, S(""), ev->text);
        break;
    case EVENT_SIGNATURE:
        write_proof(e, ev->origin, ev->signature, S(""));
        break;
    case EVENT_CITATION:
        write_citation(e, ev->citation);
        break;
    case EVENT_MEDIA:
        write_image(e, ev->media);
        break;
    case EVENT_TOOL_START:
        write_call(e, ev);
        break;
    case EVENT_TOOL_ARGS:
        write_args(e, ev->text);
        break;
    case EVENT_TOOL_END:
        close_open(e);
        break;
    case EVENT_FINISH:
        write_finish(e, ev);
        break;
    case EVENT_ERROR:
        bedrock_write_exception(e->w->out, ev->error);
        e->over = true;
        break;
    case EVENT_END:
        write_end(e);
        break;
    default:    /* log probabilities and blocks of other wires cannot be expressed */
        break;
    }
}

void
bedrock_write_event(struct wire_writer *w, const struct llm_event *ev)
{
    struct converse_encoder *e = w->state;

    if (e == NULL) {
        w->state = e = arena_new(w->keep, struct converse_encoder);
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

static void
add_reasoning(struct json_out *o, struct wire_writer *w, const struct llm_part *part)
{
    struct proof proof = proof_of(w, part->origin, part->signature, part->redacted);

    out_object(o);
    out_key_object(o, "reasoningContent");
    if (proof.redacted.n > 0) {
        out_text(o, "redactedContent", proof.redacted);
    } else {
        out_key_object(o, "reasoningText");
        out_text(o, "text", part->text);
        out_text_if(o, "signature", proof.signature);
        out_end(o);
    }
    out_end(o);
    out_end(o);
}

static void
add_block(struct json_out *o, struct wire_writer *w, const struct llm_part *part, uint32_t call)
{
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        if (part->text.n == 0)
            break;
        out_object(o);
        out_text(o, "text", part->text);
        out_end(o);
        break;
    case PART_REASONING:
        if (part->text.n > 0 || part->signature.n > 0 || part->redacted.n > 0)
            add_reasoning(o, w, part);
        break;
    case PART_TOOL_CALL:
        out_object(o);
        out_key_object(o, "toolUse");
        out_text(o, "toolUseId", call_id(w, part->id, call));
        out_text(o, "name", part->name);
        out_key(o, "input");
        if (!write_arguments(o, w->keep, part->args, part->custom, &w->broken))
            o->b->overflow = true;    /* as if it had no room for the call */
        out_end(o);
        out_end(o);
        break;
    case PART_IMAGE:
    case PART_AUDIO:
        if (part->data.n == 0)
            break;
        out_object(o);
        if (part->kind == PART_IMAGE)
            out_key_object(o, "image");
        else
            out_key_object(o, "audio");
        out_text(o, "format", media_format(part));
        add_source(o, part);
        out_end(o);
        out_end(o);
        break;
    default:
        break;
    }
}

/* Sources in a block of their own, so that the text stays where all programs look for it. */
static void
add_citations(struct json_out *o, const struct llm_cited *list)
{
    if (list == NULL)
        return;
    out_object(o);
    out_key_object(o, "citationsContent");
    out_key_array(o, "citations");
    for (; list != NULL; list = list->next) {
        out_object(o);
        add_citation(o, &list->citation);
        out_end(o);
    }
    out_end_array(o);
    out_end(o);
    out_end(o);
}

void
bedrock_write_answer(struct wire_writer *w, const struct llm_answer *ans)
{
    static const struct llm_answer_choice none = { .index = 0 };
    const struct llm_answer_choice *choice = ans->choices != NULL ? ans->choices : &none;
    struct json_out o = json_out(w->out);
    const struct llm_part *text = choice->parts;    /* the last one, which the sources follow */
    uint32_t calls = 0;

    for (const struct llm_part *part = text; part != NULL; part = part->next)
        text = part->kind == PART_TEXT ? part : text;
    out_object(&o);
    out_key_object(&o, "output");
    out_key_object(&o, "message");
    out_const(&o, "\"role\":\"assistant\"");
    out_key_array(&o, "content");
    for (const struct llm_part *part = choice->parts; part != NULL; part = part->next) {
        add_block(&o, w, part, calls);
        calls += part->kind == PART_TOOL_CALL;
        if (part == text)
            add_citations(&o, choice->citations);
    }
    out_end_array(&o);
    out_end(&o);
    out_end(&o);
    add_stop(&o,
        bedrock_stop_reason(choice->finish, choice->native, choice->stop_sequence, calls > 0),
        choice->stop_sequence);
    add_counts(&o, &ans->usage);
    out_end(&o);
}

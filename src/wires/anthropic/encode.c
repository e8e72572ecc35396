/* encode.c - answers for callers who speak Anthropic Messages.
 *
 * A stream is a row of blocks: numbered from 0 without gaps, one open at a time; llm/serial.h puts
 * calls that other protocols write at once one after the other. The last event before the end
 * carries the stop reason and all counts. Some providers tell their counts after the reason, so
 * both wait for EVENT_END.
 */
#include "llm/seal.h"
#include "llm/serial.h"
#include "llm/write.h"
#include "wires/anthropic/anthropic.h"

enum open_kind { OPEN_NONE, OPEN_TEXT, OPEN_THINKING, OPEN_CALL };

struct encoder {
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
    enum llm_finish finish;
    struct str native;
    struct str stop_sequence;
};

/* --- pieces that streams and whole answers share --- */

/* The beginning of a message; its content is open. Clients of this protocol expect ids with the
 * prefix "msg_": one without it is replaced by one of ours. */
static void
begin_message(struct json_out *o, const struct wire_writer *w, struct str id, struct str model)
{
    out_object(o);
    if (str_starts(id, S("msg_")))
        out_text(o, "id", id);
    else
        out_text(o, "id", arena_printf(w->keep, "msg_" STR_FMT, STR_ARG(w->id)));
    out_const(o, "\"type\":\"message\",\"role\":\"assistant\"");
    out_text(o, "model", model.n > 0 ? model : w->model);
    out_key_array(o, "content");
}

static void
add_stop(
    struct json_out *o, enum llm_finish finish, struct str native, struct str sequence, bool called)
{
    out_text(o, "stop_reason", anthropic_stop_reason(finish, native, sequence, called));
    if (sequence.n > 0)
        out_text(o, "stop_sequence", sequence);
    else
        out_null(o, "stop_sequence");
}

/* A proof as this protocol carries it: those of other models' reasoning are sealed. */
static struct str
proof(struct wire_writer *w, enum llm_origin origin, struct str signature, struct str redacted)
{
    if (origin == ORIGIN_ANTHROPIC || origin == ORIGIN_NONE)
        return signature.n > 0 ? signature : redacted;
    return seal_write(
        w->keep, &(struct seal){ .origin = origin, .signature = signature, .redacted = redacted });
}

/* A block, complete or as it begins. A call needs an id that its result can refer to; `call` is its
 * number. Thinking always has a signature: the SDKs declare the member as required, and thinking of
 * other providers never has one. */
static void
add_block(struct json_out *o, struct wire_writer *w, const struct llm_part *part, uint32_t call)
{
    if (part->kind == PART_REASONING) {
        bool proven = part->signature.n > 0 || part->redacted.n > 0;
        struct str p = proven ? proof(w, part->origin, part->signature, part->redacted) : S("");
        bool bare = part->redacted.n > 0 ||
                    (part->text.n == 0 && proven && part->origin != ORIGIN_ANTHROPIC);
        struct llm_part written = {
            .text = part->text, .signature = bare ? S("") : p, .redacted = bare ? p : S("")
        };

        anthropic_add_thinking(o, &written);
        return;
    }
    out_object(o);
    if (part->kind != PART_TOOL_CALL) {
        out_const(o, "\"type\":\"text\"");
        out_text(o, "text", part->text);
    } else {
        out_const(o, "\"type\":\"tool_use\"");
        out_text(o, "id",
            part->id.n > 0 ? part->id
                           : arena_printf(w->keep, "toolu_" STR_FMT "_%u", STR_ARG(w->id), call));
        out_text(o, "name", part->name);
        out_key(o, "input");
        if (!write_arguments(o, w->keep, part->args, part->custom, &w->broken))
            o->b->overflow = true;    /* as if it had no room for the call */
    }
    out_end(o);
}

/* --- the blocks of a stream --- */

#define EVENT(name) "event: " name "\ndata: {\"type\":\"" name "\""

static void
begin_block(const struct encoder *e, const struct llm_part *part, uint32_t call)
{
    struct json_out o = json_out(e->w->out);

    buf_add(o.b, S(EVENT("content_block_start") ",\"index\":"));
    buf_add_u64(o.b, e->index);
    buf_add(o.b, S(",\"content_block\":"));
    add_block(&o, e->w, part, call);
    buf_add(o.b, S("}\n\n"));
}

static void
write_delta(const struct encoder *e, struct str delta, struct str text)
{
    struct buf *out = e->w->out;

    buf_add(out, S(EVENT("content_block_delta") ",\"index\":"));
    buf_add_u64(out, e->index);
    buf_add(out, delta);
    json_add_str(out, text);
    buf_add(out, S("}}\n\n"));
}

#define DELTA(type, member) S(",\"delta\":{\"type\":\"" type "_delta\",\"" member "\":")
#define DELTA_JSON DELTA("input_json", "partial_json")

static void
end_block(struct encoder *e)
{
    buf_add(e->w->out, S(EVENT("content_block_stop") ",\"index\":"));
    buf_add_u64(e->w->out, e->index);
    buf_add(e->w->out, S("}\n\n"));
    e->index++;
    e->open = OPEN_NONE;
}

/* Closes the open block. A call without arguments gets {}, because some clients require it. */
static void
close_open(struct encoder *e)
{
    if (e->open == OPEN_NONE)
        return;
    if (e->open == OPEN_CALL && e->custom)
        write_delta(e, DELTA_JSON, e->filled ? S("\"}") : S("{\"input\":\"\"}"));
    else if (e->open == OPEN_CALL && !e->filled)
        write_delta(e, DELTA_JSON, S("{}"));
    end_block(e);
}

/* Opens a block unless one of that kind is open. */
static void
open_block(struct encoder *e, enum open_kind kind)
{
    if (e->open == kind)
        return;
    close_open(e);
    begin_block(e,
        &(struct llm_part){ .kind = kind == OPEN_TEXT ? PART_TEXT : PART_REASONING,
            .text = S(""),
            .signature = S("") },
        0);
    e->open = kind;
}

static void
write_run(struct encoder *e, enum open_kind kind, struct str text)
{
    if (text.n == 0)
        return;
    open_block(e, kind);
    if (kind == OPEN_TEXT)
        write_delta(e, DELTA("text", "text"), text);
    else
        write_delta(e, DELTA("thinking", "thinking"), text);
}

static void
write_redacted(struct encoder *e, enum llm_origin origin, struct str data)
{
    close_open(e);
    begin_block(
        e, &(struct llm_part){ .kind = PART_REASONING, .redacted = data, .origin = origin }, 0);
    end_block(e);
}

static void
write_signature(struct encoder *e, enum llm_origin origin, struct str signature)
{
    if (signature.n == 0)
        return;
    if (e->open != OPEN_THINKING && origin != ORIGIN_ANTHROPIC && origin != ORIGIN_NONE) {
        write_redacted(e, origin, signature);    /* other models may show nothing of their thoughts */
        return;
    }
    open_block(e, OPEN_THINKING);
    write_delta(e, DELTA("signature", "signature"), proof(e->w, origin, signature, S("")));
    close_open(e);    /* further thinking is another block */
}

static void
write_call(struct encoder *e, const struct llm_event *ev)
{
    close_open(e);
    begin_block(
        e, &(struct llm_part){ .kind = PART_TOOL_CALL, .id = ev->id, .name = ev->name }, ev->tool);
    e->open = OPEN_CALL;
    e->called = true;
    e->custom = ev->custom;
    e->filled = false;
}

/* Free-form text becomes the string in {"input":"..."}: escaped once as that string and again as
 * the text of a fragment. Callers of this wire cannot ask for such calls, so the cost does not
 * matter. */
static void
write_args(struct encoder *e, struct str text)
{
    struct buf once;

    if (text.n == 0)
        return;
    if (!e->custom) {
        write_delta(e, DELTA_JSON, text);
    } else {
        buf_init(&once, SIZE_MAX);
        if (!e->filled)
            buf_add(&once, S("{\"input\":\""));
        json_add_escaped(&once, text);
        write_delta(e, DELTA_JSON, buf_str(&once));
        buf_fini(&once);
    }
    e->filled = true;
}

/* --- events --- */

static void
write_start(struct encoder *e, struct str id, struct str model)
{
    struct json_out o = json_out(e->w->out);

    if (e->started)
        return;
    e->started = true;
    buf_add(o.b, S(EVENT("message_start") ",\"message\":"));
    begin_message(&o, e->w, id, model);
    out_end_array(&o);
    out_const(&o, "\"stop_reason\":null,\"stop_sequence\":null");
    anthropic_add_usage(&o, &e->usage);
    buf_add(o.b, S("}}\n\n"));
}

static void
write_end(struct encoder *e)
{
    struct json_out o = json_out(e->w->out);

    close_open(e);
    buf_add(o.b, S(EVENT("message_delta") ",\"delta\":{"));
    add_stop(&o, e->finish, e->native, e->stop_sequence, e->called);
    out_end(&o);
    anthropic_add_usage(&o, &e->usage);
    buf_add(o.b, S("}\n\n" EVENT("message_stop") "}\n\n"));
    e->over = true;
}

static void
write_content(struct event_sink *sink, const struct llm_event *ev)
{
    struct encoder *e = CONTAINER_OF(sink, struct encoder, sink);

    if (ev->kind == EVENT_START)
        write_start(e, ev->id, ev->model);
    else if (ev->kind != EVENT_ERROR)
        write_start(e, S(""), S(""));
    switch (ev->kind) {
    case EVENT_TEXT:
    case EVENT_REFUSAL:
        write_run(e, OPEN_TEXT, ev->text);
        break;
    case EVENT_REASONING:
        write_run(e, OPEN_THINKING, ev->text);
        break;
    case EVENT_SIGNATURE:
        write_signature(e, ev->origin, ev->signature);
        break;
    case EVENT_REDACTED:
        write_redacted(e, ev->origin, ev->text);
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
        close_open(e);
        e->finish = ev->finish;
        e->native = arena_str(e->w->keep, ev->native);
        e->stop_sequence = arena_str(e->w->keep, ev->stop_sequence);
        break;
    case EVENT_ERROR:
        anthropic_caller.write_relay_error(e->w->out,
            &(struct llm_error){ .kind = ev->error->kind, .message = ev->error->message }, S(""),
            0);
        e->over = true;
        break;
    case EVENT_END:
        write_end(e);
        break;
    default:    /* media, citations, log probabilities and blocks of other wires cannot be expressed */
        break;
    }
}

void
anthropic_write_event(struct wire_writer *w, const struct llm_event *ev)
{
    struct encoder *e = w->state;

    if (e == NULL) {
        w->state = e = arena_new(w->keep, struct encoder);
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

/* Whether a part appears in an answer on this wire. */
static bool
is_shown(const struct llm_part *part)
{
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        return part->text.n > 0;
    case PART_REASONING:
        return part->text.n > 0 || part->signature.n > 0 || part->redacted.n > 0;
    default:
        return part->kind == PART_TOOL_CALL;
    }
}

void
anthropic_write_answer(struct wire_writer *w, const struct llm_answer *ans)
{
    static const struct llm_answer_choice none = { .index = 0 };
    const struct llm_answer_choice *choice = ans->choices != NULL ? ans->choices : &none;
    struct json_out o = json_out(w->out);
    uint32_t calls = 0;

    begin_message(&o, w, ans->id, ans->model);
    for (const struct llm_part *part = choice->parts; part != NULL; part = part->next) {
        if (is_shown(part))
            add_block(&o, w, part, calls);
        calls += part->kind == PART_TOOL_CALL;
    }
    out_end_array(&o);
    add_stop(&o, choice->finish, choice->native, choice->stop_sequence, calls > 0);
    anthropic_add_usage(&o, &ans->usage);
    out_end(&o);
}

/* encode.c - answers for callers who speak Anthropic Messages.
 *
 * A stream is a row of blocks: numbered from 0 without gaps, one open at a time. Other
 * protocols may write several tool calls at once; while a call is open, whatever does not
 * belong to it is held back and follows when it closes.
 *
 * The last event before the end carries the stop reason and all counts. Some providers
 * tell their counts after the reason, so both wait for EVENT_END.
 */
#include "wires/anthropic/anthropic.h"

enum {
    HELD_BYTES_MAX = 4 * 1024 * 1024,    /* held back in all */
    HELD_COUNT_MAX = 256,
};

enum open_kind { OPEN_NONE, OPEN_TEXT, OPEN_THINKING, OPEN_TOOL };

/* Held back until the open tool call is closed: another call, or a run of text. */
struct held {
    enum open_kind kind;
    uint32_t tool;
    bool custom;
    bool ended;
    struct str id;
    struct str name;
    char *text;    /* arguments or text so far */
    size_t n;
    size_t room;
    struct held *next;
};

struct encoder {
    bool started;
    bool over;    /* the last event was written; nothing may follow */
    enum open_kind open;
    uint32_t index;    /* of the open block, or of the next one */
    uint32_t tool;     /* which call is open */
    bool custom;       /* the open call's arguments are plain text, which is wrapped in JSON */
    bool filled;       /* the open call has received arguments */
    bool called;       /* the answer calls a tool */
    struct held *held;
    struct held *held_last;
    /* held calls by number modulo HELD_COUNT_MAX; their numbers are consecutive, so no two share a
     * slot */
    struct held **held_tools;
    unsigned held_count;
    size_t held_bytes;
    struct llm_usage usage;
    enum llm_finish finish;
    struct str native;
    struct str stop_sequence;
};

static struct encoder *
encoder_of(struct wire_writer *w)
{
    struct encoder *e = w->state;

    if (e == NULL) {
        e = arena_new(w->keep, struct encoder);
        w->state = e;
    }
    return e;
}

/* --- pieces that streams and whole answers share --- */

/* Clients of this protocol expect a "msg_" prefix: an id without it is replaced by one of ours. */
static void
add_message_id(struct wire_writer *w, struct str id)
{
    if (str_starts(id, S("msg_"))) {
        json_add_str(w->out, id);
        return;
    }
    buf_add(w->out, S("\"msg_"));
    json_add_escaped(w->out, w->id);
    buf_add_c(w->out, '"');
}

/* A call needs an id that its result can refer to. */
static void
add_call_id(struct wire_writer *w, struct str id, uint32_t tool)
{
    if (id.n > 0) {
        json_add_str(w->out, id);
        return;
    }
    buf_add(w->out, S("\"toolu_"));
    json_add_escaped(w->out, w->id);
    buf_add_c(w->out, '_');
    buf_add_u64(w->out, tool);
    buf_add_c(w->out, '"');
}

static void
add_stop(struct wire_writer *w, enum llm_finish finish, struct str native, struct str sequence,
    bool called)
{
    buf_add(w->out, S("\"stop_reason\":"));
    json_add_str(w->out, anthropic_stop_reason(finish, native, sequence, called));
    buf_add(w->out, S(",\"stop_sequence\":"));
    if (sequence.n > 0)
        json_add_str(w->out, sequence);
    else
        buf_add(w->out, S("null"));
}

/* --- blocks --- */

static void
write_start(struct wire_writer *w, struct encoder *e, struct str id, struct str model)
{
    if (e->started)
        return;
    e->started = true;
    buf_add(w->out, S("event: message_start\ndata: {\"type\":\"message_start\","
                      "\"message\":{\"id\":"));
    add_message_id(w, id);
    buf_add(w->out, S(",\"type\":\"message\",\"role\":\"assistant\",\"model\":"));
    json_add_str(w->out, model.n > 0 ? model : w->model);
    buf_add(w->out, S(",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":"));
    anthropic_add_usage(w->out, &e->usage);
    buf_add(w->out, S("}}\n\n"));
}

static void
begin_block(struct wire_writer *w, const struct encoder *e)
{
    buf_add(w->out, S("event: content_block_start\ndata: {\"type\":\"content_block_start\","
                      "\"index\":"));
    buf_add_u64(w->out, e->index);
    buf_add(w->out, S(",\"content_block\":"));
}

static void
begin_delta(struct wire_writer *w, const struct encoder *e, struct str delta)
{
    buf_add(w->out, S("event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
                      "\"index\":"));
    buf_add_u64(w->out, e->index);
    buf_add(w->out, S(",\"delta\":"));
    buf_add(w->out, delta);
}

static void
write_delta(struct wire_writer *w, const struct encoder *e, struct str delta, struct str text)
{
    begin_delta(w, e, delta);
    json_add_str(w->out, text);
    buf_add(w->out, S("}}\n\n"));
}

static void
end_block(struct wire_writer *w, struct encoder *e)
{
    buf_add(w->out, S("event: content_block_stop\ndata: {\"type\":\"content_block_stop\","
                      "\"index\":"));
    buf_add_u64(w->out, e->index);
    buf_add(w->out, S("}\n\n"));
    e->index++;
    e->open = OPEN_NONE;
}

#define DELTA_JSON S("{\"type\":\"input_json_delta\",\"partial_json\":")

/* Closes the open block. A call without arguments gets {}, because some clients require it. */
static void
close_open(struct wire_writer *w, struct encoder *e)
{
    if (e->open == OPEN_NONE)
        return;
    if (e->open == OPEN_TOOL && e->custom)
        write_delta(w, e, DELTA_JSON, e->filled ? S("\"}") : S("{\"input\":\"\"}"));
    else if (e->open == OPEN_TOOL && !e->filled)
        write_delta(w, e, DELTA_JSON, S("{}"));
    end_block(w, e);
}

/* Opens a block of text or thinking unless one of that kind is open. Thinking starts with an empty
 * signature, as Anthropic's own does: the SDKs declare the member as required, and thinking of
 * other providers never has one. */
static void
open_run(struct wire_writer *w, struct encoder *e, enum open_kind kind)
{
    if (e->open == kind)
        return;
    close_open(w, e);
    begin_block(w, e);
    buf_add(w->out, kind == OPEN_TEXT
                        ? S("{\"type\":\"text\",\"text\":\"\"}}\n\n")
                        : S("{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n"));
    e->open = kind;
}

static void
write_run(struct wire_writer *w, struct encoder *e, enum open_kind kind, struct str text)
{
    if (text.n == 0)
        return;
    open_run(w, e, kind);
    write_delta(w, e,
        kind == OPEN_TEXT ? S("{\"type\":\"text_delta\",\"text\":")
                          : S("{\"type\":\"thinking_delta\",\"thinking\":"),
        text);
}

static void
write_signature(struct wire_writer *w, struct encoder *e, struct str signature)
{
    if (signature.n == 0)
        return;
    open_run(w, e, OPEN_THINKING);
    write_delta(w, e, S("{\"type\":\"signature_delta\",\"signature\":"), signature);
    close_open(w, e);    /* further thinking is another block */
}

static void
write_redacted(struct wire_writer *w, struct encoder *e, struct str data)
{
    close_open(w, e);
    begin_block(w, e);
    buf_add(w->out, S("{\"type\":\"redacted_thinking\",\"data\":"));
    json_add_str(w->out, data);
    buf_add(w->out, S("}}\n\n"));
    end_block(w, e);
}

/* --- tool calls --- */

static void
open_tool(struct wire_writer *w, struct encoder *e, uint32_t tool, struct str id, struct str name,
    bool custom)
{
    close_open(w, e);
    begin_block(w, e);
    buf_add(w->out, S("{\"type\":\"tool_use\",\"id\":"));
    add_call_id(w, id, tool);
    buf_add(w->out, S(",\"name\":"));
    json_add_str(w->out, name);
    buf_add(w->out, S(",\"input\":{}}}\n\n"));
    e->open = OPEN_TOOL;
    e->tool = tool;
    e->custom = custom;
    e->filled = false;
}

/* Free-form text becomes the string in {"input":"..."}: escaped once as that string and again as
 * the text of a fragment. Callers of this wire cannot ask for such calls, so the cost does not
 * matter. */
static void
write_custom_args(struct wire_writer *w, struct encoder *e, struct str text)
{
    struct buf once;

    buf_init(&once, SIZE_MAX);
    if (!e->filled)
        buf_add(&once, S("{\"input\":\""));
    json_add_escaped(&once, text);
    write_delta(w, e, DELTA_JSON, buf_str(&once));
    buf_fini(&once);
    e->filled = true;
}

static void
write_args(struct wire_writer *w, struct encoder *e, struct str text)
{
    if (text.n == 0)
        return;
    if (e->custom) {
        write_custom_args(w, e, text);
        return;
    }
    write_delta(w, e, DELTA_JSON, text);
    e->filled = true;
}

/* --- what waits for the open call --- */

static void
fail(struct wire_writer *w, struct encoder *e, enum err kind, struct str message)
{
    const struct llm_error error = { .kind = kind, .message = message };

    buf_add(w->out, S("event: error\ndata: "));
    anthropic_caller.write_error(w->out, &error, S(""));
    buf_add(w->out, S("\n\n"));
    e->over = true;
}

static void
fail_held(struct wire_writer *w, struct encoder *e)
{
    fail(w, e, ERR_UPSTREAM_TOO_LARGE,
        S("the provider interleaves more tool calls than can be put in order"));
}

/* NULL if there is no room; then the stream has failed. */
static struct held *
hold(struct wire_writer *w, struct encoder *e, enum open_kind kind, const struct llm_event *ev)
{
    struct str id = arena_str(w->keep, ev->id);
    struct str name = arena_str(w->keep, ev->name);

    e->held_bytes += id.n + name.n;
    if (++e->held_count > HELD_COUNT_MAX || e->held_bytes > HELD_BYTES_MAX || id.p == NULL ||
        name.p == NULL) {
        fail_held(w, e);
        return NULL;
    }

    struct held *h = arena_new(w->keep, struct held);

    *h = (struct held){
        .kind = kind, .tool = ev->tool, .custom = ev->custom, .id = id, .name = name
    };
    if (e->held_last != NULL)
        e->held_last->next = h;
    else
        e->held = h;
    e->held_last = h;
    if (kind == OPEN_TOOL) {
        if (e->held_tools == NULL)
            e->held_tools = arena_array(w->keep, struct held *, HELD_COUNT_MAX);
        e->held_tools[h->tool % HELD_COUNT_MAX] = h;
    }
    return h;
}

static void
hold_text(struct wire_writer *w, struct encoder *e, struct held *h, struct str text)
{
    if (h == NULL || h->ended || text.n == 0)
        return;
    if (h->room - h->n < text.n) {
        size_t room = MAX(h->n + text.n, MAX(2 * h->room, 256));
        char *p = NULL;

        if (e->held_bytes + room <= HELD_BYTES_MAX)
            p = arena_grow(w->keep, h->text, h->room, room);
        if (p == NULL) {
            fail_held(w, e);
            return;
        }
        e->held_bytes += room - h->room;
        h->text = p;
        h->room = room;
    }
    memcpy(h->text + h->n, text.p, text.n);
    h->n += text.n;
}

static struct held *
held_tool(const struct encoder *e, uint32_t tool)
{
    struct held *h = e->held_tools != NULL ? e->held_tools[tool % HELD_COUNT_MAX] : NULL;

    return h != NULL && h->tool == tool ? h : NULL;
}

/* The open call has ended: writes what was held back, up to the next call that has not ended. */
static void
release(struct wire_writer *w, struct encoder *e)
{
    close_open(w, e);
    while (e->held != NULL && e->open != OPEN_TOOL) {
        struct held *h = e->held;
        struct str text = str_make(h->text, h->n);

        e->held = h->next;
        if (e->held == NULL)
            e->held_last = NULL;
        if (h->kind == OPEN_TOOL) {
            e->held_tools[h->tool % HELD_COUNT_MAX] = NULL;
            open_tool(w, e, h->tool, h->id, h->name, h->custom);
            write_args(w, e, text);
            if (h->ended)
                close_open(w, e);
        } else {
            write_run(w, e, h->kind, text);
        }
    }
}

static void
release_all(struct wire_writer *w, struct encoder *e)
{
    do
        release(w, e);
    while (e->held != NULL || e->open != OPEN_NONE);
}

/* --- events --- */

static void
on_run(struct wire_writer *w, struct encoder *e, enum open_kind kind, const struct llm_event *ev)
{
    struct held *last = e->held_last;

    if (ev->text.n == 0)
        return;
    if (e->open != OPEN_TOOL) {
        write_run(w, e, kind, ev->text);
        return;
    }
    if (last == NULL || last->kind != kind)
        last = hold(w, e, kind, ev);
    hold_text(w, e, last, ev->text);
}

static void
on_tool_start(struct wire_writer *w, struct encoder *e, const struct llm_event *ev)
{
    e->called = true;
    if (e->open == OPEN_TOOL)
        (void)hold(w, e, OPEN_TOOL, ev);
    else
        open_tool(w, e, ev->tool, ev->id, ev->name, ev->custom);
}

static void
on_tool_args(struct wire_writer *w, struct encoder *e, const struct llm_event *ev)
{
    if (e->open == OPEN_TOOL && e->tool == ev->tool)
        write_args(w, e, ev->text);
    else
        hold_text(w, e, held_tool(e, ev->tool), ev->text);
}

static void
on_tool_end(struct wire_writer *w, struct encoder *e, const struct llm_event *ev)
{
    struct held *h = held_tool(e, ev->tool);

    if (e->open == OPEN_TOOL && e->tool == ev->tool)
        release(w, e);
    else if (h != NULL)
        h->ended = true;
}

static void
on_finish(struct wire_writer *w, struct encoder *e, const struct llm_event *ev)
{
    release_all(w, e);
    e->finish = ev->finish;
    e->native = arena_str(w->keep, ev->native);
    e->stop_sequence = arena_str(w->keep, ev->stop_sequence);
}

static void
on_end(struct wire_writer *w, struct encoder *e)
{
    release_all(w, e);
    buf_add(w->out, S("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"));
    add_stop(w, e->finish, e->native, e->stop_sequence, e->called);
    buf_add(w->out, S("},\"usage\":"));
    anthropic_add_usage(w->out, &e->usage);
    buf_add(w->out, S("}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
    e->over = true;
}

/* Events that follow START. Signatures and redacted thinking come before calls, never between them.
 */
static void
write_content(struct wire_writer *w, struct encoder *e, const struct llm_event *ev)
{
    switch (ev->kind) {
    case EVENT_TEXT:
    case EVENT_REFUSAL:
        on_run(w, e, OPEN_TEXT, ev);
        break;
    case EVENT_REASONING:
        on_run(w, e, OPEN_THINKING, ev);
        break;
    case EVENT_SIGNATURE:
        if (e->open != OPEN_TOOL)
            write_signature(w, e, ev->signature);
        break;
    case EVENT_REDACTED:
        if (e->open != OPEN_TOOL)
            write_redacted(w, e, ev->text);
        break;
    case EVENT_TOOL_START:
        on_tool_start(w, e, ev);
        break;
    case EVENT_TOOL_ARGS:
        on_tool_args(w, e, ev);
        break;
    case EVENT_TOOL_END:
        on_tool_end(w, e, ev);
        break;
    case EVENT_FINISH:
        on_finish(w, e, ev);
        break;
    case EVENT_END:
        on_end(w, e);
        break;
    default:    /* media, citations, log probabilities and blocks of other wires cannot be expressed */
        break;
    }
}

void
anthropic_write_event(struct wire_writer *w, const struct llm_event *ev)
{
    struct encoder *e = encoder_of(w);

    if (e->over || ev->choice > 0)
        return;
    switch (ev->kind) {
    case EVENT_NONE:
        break;
    case EVENT_START:
        usage_update(&e->usage, &ev->usage);
        write_start(w, e, ev->id, ev->model);
        break;
    case EVENT_USAGE:
        usage_update(&e->usage, &ev->usage);
        break;
    case EVENT_ERROR:
        fail(w, e, ev->error->kind, ev->error->message);
        break;
    default:
        write_start(w, e, S(""), S(""));
        write_content(w, e, ev);
        break;
    }
}

/* --- whole answers --- */

static void
add_part(struct wire_writer *w, const struct llm_part *part, uint32_t *calls)
{
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        buf_add(w->out, S("{\"type\":\"text\",\"text\":"));
        json_add_str(w->out, part->text);
        break;
    case PART_REASONING:
        if (part->redacted.n > 0) {
            buf_add(w->out, S("{\"type\":\"redacted_thinking\",\"data\":"));
            json_add_str(w->out, part->redacted);
            break;
        }
        buf_add(w->out, S("{\"type\":\"thinking\",\"thinking\":"));
        json_add_str(w->out, part->text);
        buf_add(w->out, S(",\"signature\":"));
        json_add_str(w->out, part->signature);
        break;
    case PART_TOOL_CALL:
        buf_add(w->out, S("{\"type\":\"tool_use\",\"id\":"));
        add_call_id(w, part->id, (*calls)++);
        buf_add(w->out, S(",\"name\":"));
        json_add_str(w->out, part->name);
        buf_add(w->out, S(",\"input\":"));
        anthropic_add_input(w->out, w->keep, part->args, part->custom);
        break;
    default:
        return;
    }
    buf_add_c(w->out, '}');
}

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
    case PART_TOOL_CALL:
        return true;
    default:
        return false;
    }
}

void
anthropic_write_answer(struct wire_writer *w, const struct llm_answer *ans)
{
    static const struct llm_answer_choice none = { 0 };
    const struct llm_answer_choice *choice = ans->choices != NULL ? ans->choices : &none;
    uint32_t calls = 0;
    bool first = true;

    buf_add(w->out, S("{\"id\":"));
    add_message_id(w, ans->id);
    buf_add(w->out, S(",\"type\":\"message\",\"role\":\"assistant\",\"model\":"));
    json_add_str(w->out, ans->model.n > 0 ? ans->model : w->model);
    buf_add(w->out, S(",\"content\":["));
    for (const struct llm_part *part = choice->parts; part != NULL; part = part->next) {
        if (!is_shown(part))
            continue;
        if (!first)
            buf_add_c(w->out, ',');
        first = false;
        add_part(w, part, &calls);
    }
    buf_add(w->out, S("],"));
    add_stop(w, choice->finish, choice->native, choice->stop_sequence, calls > 0);
    buf_add(w->out, S(",\"usage\":"));
    anthropic_add_usage(w->out, &ans->usage);
    buf_add_c(w->out, '}');
}

/* mistral.c - the dialect of clients that are made for Mistral's API.
 *
 * They send the same requests to the same routes, and refuse or misread answers as OpenAI has them:
 * a call of a stream comes whole, in one chunk; the counts are in the chunk with the reason for the
 * end, asked for or not; thoughts are parts of the content; a model has a type and capabilities.
 * Requests go to providers with the trait `mistral` as they are.
 */
#include "base/json_out.h"
#include "llm/answer.h"
#include "wires/openai_chat/openai_chat.h"

enum { NATIVE_BYTES_MAX = 128 };

struct mistral_reply {
    void *openai;               /* the state of openai_write_event() */
    struct llm_answer calls;    /* those that have not ended */
    struct llm_event finish;    /* the last one; of no kind before it came */
    struct llm_usage usage;
    bool over;    /* nothing follows */
};

static struct mistral_reply *
reply_of(struct wire_writer *w)
{
    struct mistral_reply *st = w->state;

    if (st == NULL) {
        st = w->state = arena_new(w->keep, struct mistral_reply);
        answer_init(&st->calls, w->keep);
    }
    st->calls.arena = w->keep;    /* a helper thread has one of its own */
    return st;
}

static void
write_as_openai(struct wire_writer *w, struct mistral_reply *st, const struct llm_event *ev)
{
    w->state = st->openai;
    openai_write_event(w, ev);
    st->openai = w->state;
    w->state = st;
}

/* A call of which a part was lost is another call: better none. */
static void
give_up(struct wire_writer *w, struct mistral_reply *st)
{
    static const struct llm_error too_large = { .kind = ERR_UPSTREAM_TOO_LARGE };

    write_as_openai(w, st, &(struct llm_event){ .kind = EVENT_ERROR, .error = &too_large });
    st->over = true;
}

static void
collect_call(struct wire_writer *w, struct mistral_reply *st, const struct llm_event *ev)
{
    st->calls.sink.emit(&st->calls.sink, ev);
    if (st->calls.too_large)
        give_up(w, st);
}

static void
write_whole_call(struct wire_writer *w, struct mistral_reply *st, const struct llm_event *ev)
{
    const struct llm_answer_choice *c = answer_choice(&st->calls, ev->choice);

    if (c == NULL || ev->tool >= c->call_count)
        return;
    const struct llm_part *call = c->calls[ev->tool];

    write_as_openai(w, st,
        &(struct llm_event){ .kind = EVENT_TOOL_START,
            .choice = ev->choice,
            .tool = ev->tool,
            .custom = call->custom,
            .id = call->id,
            .name = call->name,
            .signature = call->signature,
            .text = call->args.n != 0 || call->custom ? call->args : S("{}") });
}

/* The chunk of the last reason, with the counts in place of its last brace. */
static void
write_finish(struct wire_writer *w, struct mistral_reply *st)
{
    static const struct str end = S_INIT("}\n\n");

    if (st->finish.kind != EVENT_FINISH)
        return;
    write_as_openai(w, st, &st->finish);
    if (w->out->overflow || !usage_known(&st->usage) || !str_ends(buf_str(w->out), end))
        return;
    buf_truncate(w->out, buf_len(w->out) - end.n);

    struct json_out o = { .b = w->out, .comma = true };

    openai_add_usage(&o, w, &st->usage);
    buf_add(w->out, end);
}

static void
keep_finish(struct wire_writer *w, struct mistral_reply *st, const struct llm_event *ev)
{
    if (st->finish.kind == EVENT_FINISH)
        write_as_openai(w, st, &st->finish);
    st->finish = *ev;
    st->finish.native = ev->native.n <= NATIVE_BYTES_MAX ? arena_str(w->keep, ev->native) : S("");
}

static void
write_event(struct wire_writer *w, const struct llm_event *ev)
{
    struct mistral_reply *st = reply_of(w);

    if (st->over)
        return;
    switch (ev->kind) {
    case EVENT_TOOL_START:
    case EVENT_TOOL_ARGS:
        collect_call(w, st, ev);
        break;
    case EVENT_TOOL_END:
        write_whole_call(w, st, ev);
        break;
    case EVENT_FINISH:
        keep_finish(w, st, ev);
        break;
    case EVENT_START:
    case EVENT_USAGE:
        usage_update(&st->usage, &ev->usage);
        write_as_openai(w, st, ev);
        break;
    case EVENT_END:
        write_finish(w, st);
        write_as_openai(w, st, ev);
        break;
    default:
        write_as_openai(w, st, ev);
        break;
    }
}

/* The writer of a stream adds no chunk of its own with the counts. */
static void
read_head(struct cursor doc)
{
    openai_read_head(doc);
    doc.rd->r->want_usage = false;
}

static void
write_model(struct buf *out, struct str id, struct str owner, struct str details UNUSED)
{
    openai_write_model(out, id, owner,
        S(",\"type\":\"base\",\"capabilities\":{\"completion_chat\":true,\"function_calling\":true}"));
}

static bool
is_taken(const struct traits *t)
{
    return t->mistral == YES;
}

static const struct wire_caller caller = {
    .members = openai_members,
    .params = PARAMS_OPENAI_CHAT,
    .words = &openai_words,
    .translates = OP_BIT(OP_CHAT),
    .asks = { [OP_EMBED] = &mistral_embed },
    .beyond_text = openai_beyond_text,
    .needs = &openai_needs,
    .read_head = read_head,
    .write_event = write_event,
    .write_answer = openai_write_answer,
    .write_error = openai_write_error,
    .write_relay_error = openai_write_relay_error,
    .thoughts_in_content = true,
    .status = openai_status,
    .error_names = openai_error_names,
    .models_begin = S_INIT("{\"object\":\"list\",\"data\":["),
    .write_model = write_model,
    .write_models_end = openai_write_models_end,
    .version_field = S_INIT("user-agent"),
    .version_word = S_INIT("mistral"),
    .terminator = S_INIT("data: [DONE]\n\n"),
};

const struct wire wire_mistral = {
    .name = S_INIT("mistral"),
    .beside = &wire_openai_chat,
    .is_taken = is_taken,
    .framing = &framing_sse,
    .caller = &caller,
    .provider = &openai_provider,
};

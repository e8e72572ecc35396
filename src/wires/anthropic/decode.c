/* decode.c - reads the answers of providers that speak Anthropic Messages.
 *
 * Events carry their type in the data; the SSE event name only repeats it. Unknown types are
 * skipped, as Anthropic's guide asks. Only message_stop completes an answer; a stream that ends
 * earlier was truncated.
 */
#include "wires/anthropic/anthropic.h"

enum block_now { NOW_NONE, NOW_TOOL, NOW_OTHER };

struct decoder {
    struct anthropic_counts counts;
    uint32_t tools;            /* calls so far */
    enum block_now now;        /* what is open */
    int64_t index;             /* its number on the wire */
    bool filled;               /* the open call has received arguments in deltas */
    struct str whole_input;    /* the open call's arguments if they came with its start */
    bool finish_told;
    bool too_large;    /* memory for a string was refused */
};

static struct decoder *
decoder_of(struct wire_reader *r)
{
    struct decoder *d = r->state;

    if (d == NULL) {
        d = arena_new(r->keep, struct decoder);
        d->counts = ANTHROPIC_COUNTS_NONE;
        r->state = d;
    }
    return d;
}

/* Sets d->too_large if there is no memory for the string, so that nothing is lost silently. */
static struct str
text_at(struct wire_reader *r, const struct json *j, const char *key)
{
    const struct json *value = json_get(j, str_c(key));
    struct str text = json_str(r->scratch, value);

    if (text.p == NULL && json_is(value, JSON_STRING))
        decoder_of(r)->too_large = true;
    return text;
}

static void
emit_text(struct wire_reader *r, enum llm_event_kind kind, struct str text)
{
    if (text.n > 0)
        wire_emit(r, &(struct llm_event){ .kind = kind, .text = text });
}

static void
emit_signature(struct wire_reader *r, struct str signature)
{
    if (signature.n > 0)
        wire_emit(r, &(struct llm_event){ .kind = EVENT_SIGNATURE, .signature = signature });
}

static void
emit_start(struct wire_reader *r, const struct decoder *d, const struct json *message)
{
    wire_emit(r, &(struct llm_event){
                     .kind = EVENT_START,
                     .id = text_at(r, message, "id"),
                     .model = text_at(r, message, "model"),
                     .usage = anthropic_usage(&d->counts),
                 });
}

static void
emit_usage(struct wire_reader *r, const struct decoder *d)
{
    struct llm_usage usage = anthropic_usage(&d->counts);

    if (usage_known(&usage))
        wire_emit(r, &(struct llm_event){ .kind = EVENT_USAGE, .usage = usage });
}

static void
emit_error(struct wire_reader *r, const struct llm_error *error)
{
    r->failed = true;
    wire_emit(r, &(struct llm_event){ .kind = EVENT_ERROR, .error = error });
}

static void
emit_end(struct wire_reader *r)
{
    r->finished = true;
    r->complete = true;
    wire_emit(r, &(struct llm_event){ .kind = EVENT_END });
}

/* `source` holds stop_reason and stop_sequence. An answer that calls tools finishes with
 * FINISH_TOOLS if its reason is unknown. */
static void
emit_finish(struct wire_reader *r, struct decoder *d, const struct json *source)
{
    struct str native = text_at(r, source, "stop_reason");
    enum llm_finish finish = anthropic_finish(native);

    if (d->finish_told)
        return;
    if (finish == FINISH_UNKNOWN && d->tools > 0)
        finish = FINISH_TOOLS;
    d->finish_told = true;
    wire_emit(r, &(struct llm_event){
                     .kind = EVENT_FINISH,
                     .finish = finish,
                     .native = native,
                     .stop_sequence = text_at(r, source, "stop_sequence"),
                 });
}

static void
emit_tool(struct wire_reader *r, const struct decoder *d, enum llm_event_kind kind, struct str text)
{
    wire_emit(r, &(struct llm_event){ .kind = kind, .tool = d->tools - 1, .text = text });
}

static void
emit_tool_start(struct wire_reader *r, struct decoder *d, const struct json *block)
{
    wire_emit(r, &(struct llm_event){
                     .kind = EVENT_TOOL_START,
                     .tool = d->tools++,
                     .id = text_at(r, block, "id"),
                     .name = text_at(r, block, "name"),
                 });
}

static void
emit_citation(struct wire_reader *r, const struct json *citation)
{
    if (json_is(json_get(citation, S("type")), JSON_STRING))
        wire_emit(r, &(struct llm_event){ .kind = EVENT_CITATION, .raw = json_raw(citation) });
}

static void
emit_citations(struct wire_reader *r, const struct json *citations)
{
    struct json_iter it = json_iter(citations);

    while (json_next(&it))
        emit_citation(r, it.value);
}

/* Text, thinking or a block that only this wire understands; anything but a tool call. */
static void
emit_block(struct wire_reader *r, const struct json *block)
{
    const struct json *type = json_get(block, S("type"));

    if (json_str_is(type, S("text"))) {
        emit_text(r, EVENT_TEXT, text_at(r, block, "text"));
        emit_citations(r, json_get(block, S("citations")));
    } else if (json_str_is(type, S("thinking"))) {
        emit_text(r, EVENT_REASONING, text_at(r, block, "thinking"));
        emit_signature(r, text_at(r, block, "signature"));
    } else if (json_str_is(type, S("redacted_thinking"))) {
        emit_text(r, EVENT_REDACTED, text_at(r, block, "data"));
    } else {
        wire_emit(r, &(struct llm_event){ .kind = EVENT_OPAQUE, .raw = json_raw(block) });
    }
}

static bool
is_tool_use(const struct json *block)
{
    return json_str_is(json_get(block, S("type")), S("tool_use"));
}

/* The arguments as received; an empty object and null mean that there are none yet. */
static struct str
input_text(const struct json *block)
{
    const struct json *input = json_get(block, S("input"));

    if (!json_present(input) || (json_is(input, JSON_OBJECT) && json_is_empty(input)))
        return S("");
    return json_raw(input);
}

/* --- the events of a stream --- */

static void
close_block(struct wire_reader *r, struct decoder *d)
{
    if (d->now == NOW_TOOL) {
        if (!d->filled && d->whole_input.n > 0)
            emit_tool(r, d, EVENT_TOOL_ARGS, d->whole_input);
        emit_tool(r, d, EVENT_TOOL_END, S(""));
    }
    d->now = NOW_NONE;
}

static enum err
on_message_start(struct wire_reader *r, struct decoder *d, const struct json *doc)
{
    const struct json *message = json_get(doc, S("message"));

    if (!json_is(message, JSON_OBJECT))
        return ERR_UPSTREAM_PROTOCOL;
    anthropic_counts_read(&d->counts, json_get(message, S("usage")));
    emit_start(r, d, message);
    return OK;
}

static enum err
on_block_start(struct wire_reader *r, struct decoder *d, const struct json *doc)
{
    const struct json *block = json_get(doc, S("content_block"));

    if (!json_is(block, JSON_OBJECT))
        return ERR_UPSTREAM_PROTOCOL;
    close_block(r, d);    /* a host that forgot to */
    d->index = json_i64(json_get(doc, S("index")), 0);
    if (!is_tool_use(block)) {
        d->now = NOW_OTHER;
        emit_block(r, block);
        return OK;
    }

    /* The API sends {} here and the arguments in deltas; some other hosts send them whole. */
    struct str input = input_text(block);

    d->now = NOW_TOOL;
    d->filled = false;
    d->whole_input = input.n > 0 ? arena_str(r->keep, input) : S("");
    if (input.n > 0 && d->whole_input.n == 0)
        return ERR_UPSTREAM_TOO_LARGE;
    emit_tool_start(r, d, block);
    return OK;
}

static enum err
on_args(struct wire_reader *r, struct decoder *d, const struct json *doc, struct str fragment)
{
    if (d->now == NOW_OTHER || fragment.n == 0)    /* the input of a provider-run tool */
        return OK;
    if (d->now == NOW_NONE || d->index != json_i64(json_get(doc, S("index")), 0))
        return ERR_UPSTREAM_PROTOCOL;
    d->filled = true;
    emit_tool(r, d, EVENT_TOOL_ARGS, fragment);
    return OK;
}

static enum err
on_block_delta(struct wire_reader *r, struct decoder *d, const struct json *doc)
{
    const struct json *delta = json_get(doc, S("delta"));
    const struct json *type = json_get(delta, S("type"));

    if (json_str_is(type, S("text_delta"))) {
        emit_text(r, EVENT_TEXT, text_at(r, delta, "text"));
    } else if (json_str_is(type, S("input_json_delta"))) {
        return on_args(r, d, doc, text_at(r, delta, "partial_json"));
    } else if (json_str_is(type, S("thinking_delta"))) {
        emit_text(r, EVENT_REASONING, text_at(r, delta, "thinking"));
    } else if (json_str_is(type, S("signature_delta"))) {
        emit_signature(r, text_at(r, delta, "signature"));
    } else if (json_str_is(type, S("citations_delta"))) {
        emit_citation(r, json_get(delta, S("citation")));
    }
    return OK;
}

static enum err
on_block_stop(struct wire_reader *r, struct decoder *d, const struct json *doc UNUSED)
{
    close_block(r, d);
    return OK;
}

static enum err
on_message_delta(struct wire_reader *r, struct decoder *d, const struct json *doc)
{
    const struct json *delta = json_get(doc, S("delta"));

    close_block(r, d);
    anthropic_counts_read(&d->counts, json_get(doc, S("usage")));
    if (json_present(json_get(delta, S("stop_reason"))))
        emit_finish(r, d, delta);
    emit_usage(r, d);
    return OK;
}

static enum err
on_message_stop(struct wire_reader *r, struct decoder *d, const struct json *doc UNUSED)
{
    close_block(r, d);
    emit_finish(r, d, NULL);
    emit_end(r);
    return OK;
}

static enum err
on_error(struct wire_reader *r, struct decoder *d UNUSED, const struct json *doc)
{
    struct llm_error error;

    fail_read_document(r->scratch, &anthropic_fail_words, 0, doc, &error);
    emit_error(r, &error);
    return OK;
}

static const struct {
    struct str type;
    enum err (*read)(struct wire_reader *r, struct decoder *d, const struct json *doc);
} event_types[] = {
    { S_INIT("content_block_delta"), on_block_delta },
    { S_INIT("content_block_start"), on_block_start },
    { S_INIT("content_block_stop"), on_block_stop },
    { S_INIT("message_start"), on_message_start },
    { S_INIT("message_delta"), on_message_delta },
    { S_INIT("message_stop"), on_message_stop },
    { S_INIT("error"), on_error },
};

/* `e`, or ERR_UPSTREAM_TOO_LARGE if something was lost for lack of memory. */
static enum err
verdict(struct wire_reader *r, enum err e)
{
    return e == OK && decoder_of(r)->too_large ? ERR_UPSTREAM_TOO_LARGE : e;
}

/* Parses a frame or a body; NULL with *ret_err if it is not a JSON object. */
static const struct json *
parse(struct wire_reader *r, struct str text, enum err *ret_err)
{
    struct json_error error = { 0 };
    const struct json *doc = json_parse(r->scratch, text, NULL, &error);

    *ret_err = OK;
    if (doc == NULL)
        *ret_err = error.limit ? ERR_UPSTREAM_TOO_LARGE : ERR_UPSTREAM_PROTOCOL;
    else if (!json_is(doc, JSON_OBJECT))
        *ret_err = ERR_UPSTREAM_PROTOCOL;
    return *ret_err == OK ? doc : NULL;
}

enum err
anthropic_read_event(struct wire_reader *r, struct str event, struct str data)
{
    enum err e = OK;

    data = str_trim(data);
    if (r->complete || r->failed || data.n == 0 || str_eq(data, S("[DONE]")))
        return OK;

    const struct json *doc = parse(r, data, &e);

    if (doc == NULL)
        return e;
    if (json_is(json_get(doc, S("type")), JSON_STRING))
        event = text_at(r, doc, "type");
    else if (json_present(json_get(doc, S("error"))))    /* some intermediaries omit the type */
        event = S("error");
    for (size_t i = 0; i < ARRAY_LEN(event_types); i++)
        if (str_eq(event, event_types[i].type))
            return verdict(r, event_types[i].read(r, decoder_of(r), doc));
    return OK;
}

void
anthropic_read_end(struct wire_reader *r UNUSED)
{
    /* Nothing is held back, and without message_stop the answer was truncated. */
}

/* --- whole answers --- */

static void
emit_whole_tool(struct wire_reader *r, struct decoder *d, const struct json *block)
{
    struct str input = input_text(block);

    emit_tool_start(r, d, block);
    if (input.n > 0)
        emit_tool(r, d, EVENT_TOOL_ARGS, input);
    emit_tool(r, d, EVENT_TOOL_END, S(""));
}

static enum err
read_message(struct wire_reader *r, const struct json *doc)
{
    const struct json *content = json_get(doc, S("content"));
    struct json_iter it = json_iter(content);
    struct decoder *d = decoder_of(r);

    if (!json_is(content, JSON_ARRAY))
        return ERR_UPSTREAM_PROTOCOL;
    anthropic_counts_read(&d->counts, json_get(doc, S("usage")));
    emit_start(r, d, doc);
    while (json_next(&it)) {
        if (is_tool_use(it.value))
            emit_whole_tool(r, d, it.value);
        else
            emit_block(r, it.value);
    }
    if (d->too_large)
        return ERR_UPSTREAM_TOO_LARGE;
    emit_finish(r, d, doc);
    emit_usage(r, d);
    emit_end(r);
    return OK;
}

static enum err
read_token_count(struct wire_reader *r, const struct json *doc)
{
    const struct json *count = json_get(doc, S("input_tokens"));
    struct decoder *d = decoder_of(r);

    if (!json_is(count, JSON_NUMBER))
        return ERR_UPSTREAM_PROTOCOL;
    anthropic_counts_read(&d->counts, doc);
    emit_usage(r, d);
    emit_end(r);
    return OK;
}

enum err
anthropic_read_answer(struct wire_reader *r, struct str body)
{
    enum err e = OK;
    const struct json *doc = parse(r, body, &e);
    struct llm_error error;

    if (doc == NULL)
        return e;
    if (json_present(json_get(doc, S("error")))) {
        fail_read_document(r->scratch, &anthropic_fail_words, 0, doc, &error);
        emit_error(r, &error);
        return OK;
    }
    return verdict(r, r->op == OP_COUNT_TOKENS ? read_token_count(r, doc) : read_message(r, doc));
}

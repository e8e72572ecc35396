/* decode.c - reads the answers of providers that speak Anthropic Messages.
 *
 * Events carry their type in the data; the SSE event name only repeats it. Unknown types are
 * skipped, as Anthropic's guide asks. Only message_stop completes an answer; a stream that ends
 * earlier was truncated.
 */
#include "llm/emit.h"
#include "wires/anthropic/anthropic.h"

enum block_now { NOW_NONE, NOW_TOOL, NOW_OTHER };

struct decoder {
    struct emit_choice *c;     /* the only one */
    struct llm_usage usage;    /* as the provider tells it */
    int64_t tools;             /* calls so far */
    enum block_now now;        /* what is open */
    int64_t index;             /* its number on the wire */
    bool filled;               /* the open call has received arguments in deltas */
    struct str whole_input;    /* the open call's arguments if they came with its start */
};

static struct decoder *
decoder_of(struct wire_reader *r)
{
    struct decoder *d = r->state;

    if (d == NULL) {
        r->state = d = arena_new(r->keep, struct decoder);
        d->c = emit_choice(r, 0);
        r->emit.origin = ORIGIN_ANTHROPIC;
    }
    return d;
}

static struct str
text_at(struct wire_reader *r, const struct json *j, const char *key)
{
    return emit_string(r, json_get(j, str_c(key)));
}

/* --- emitting --- */

/* A page that a search found, a search result of the caller's, or a place in a document. */
static void
tell_citation(struct wire_reader *r, const struct decoder *d, const struct json *citation)
{
    bool page = json_present(json_get(citation, S("url")));
    bool document = json_present(json_get(citation, S("document_title")));

    emit_citation(r, d->c,
        &(struct llm_citation){
            .url = text_at(r, citation, page ? "url" : "source"),
            .title = text_at(r, citation, document ? "document_title" : "title"),
            .quote = text_at(r, citation, "cited_text"),
        });
}

static enum err
tell_args(struct wire_reader *r, const struct decoder *d, struct str args)
{
    return emit_call(r, d->c, &(struct emit_piece){ .label = d->tools, .args = args });
}

/* `message` holds the id, the model and the first counts. */
static void
tell_start(struct wire_reader *r, struct decoder *d, const struct json *message)
{
    anthropic_read_usage(&d->usage, json_get(message, S("usage")));
    emit_start(r, &(struct llm_event){
                      .id = text_at(r, message, "id"),
                      .model = text_at(r, message, "model"),
                      .usage = anthropic_usage(&d->usage),
                  });
}

static void
tell_usage(struct wire_reader *r, const struct decoder *d)
{
    struct llm_usage usage = anthropic_usage(&d->usage);

    emit_usage(r, &usage);
}

/* `source` holds stop_reason and stop_sequence. */
static void
tell_finish(struct wire_reader *r, const struct decoder *d, const struct json *source)
{
    struct str native = emit_word(r, json_get(source, S("stop_reason")));

    emit_finish(r, d->c, anthropic_finish(native), native, text_at(r, source, "stop_sequence"));
}

static void
tell_error(struct wire_reader *r, const struct json *doc)
{
    struct llm_error error;

    fail_read_document(r->scratch, &anthropic_fail_words, 0, doc, &error);
    emit_error(r, &error);
}

/* --- blocks --- */

static void
close_block(struct wire_reader *r, struct decoder *d)
{
    if (d->now == NOW_TOOL) {
        if (!d->filled && d->whole_input.n > 0)
            (void)tell_args(r, d, d->whole_input);    /* of a call that there is already */
        emit_call_end(r, d->c);
    }
    d->now = NOW_NONE;
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

/* A block, complete or as it begins. */
static enum err
open_block(struct wire_reader *r, struct decoder *d, const struct json *block)
{
    const struct json *type = json_get(block, S("type"));
    struct json_iter citations = json_iter(json_get(block, S("citations")));

    close_block(r, d);    /* if the host forgot to */
    d->now = json_str_is(type, S("tool_use")) ? NOW_TOOL : NOW_OTHER;
    if (d->now == NOW_TOOL) {
        d->filled = false;
        d->whole_input = input_text(block);
        return emit_call(r, d->c,
            &(struct emit_piece){
                .label = ++d->tools,
                .id = text_at(r, block, "id"),
                .name = text_at(r, block, "name"),
            });
    }
    if (json_str_is(type, S("text"))) {
        emit_text(r, d->c, EVENT_TEXT, text_at(r, block, "text"));
        while (json_next(&citations))
            tell_citation(r, d, citations.value);
    } else if (json_str_is(type, S("thinking"))) {
        emit_text(r, d->c, EVENT_REASONING, text_at(r, block, "thinking"));
        emit_signature(r, d->c, text_at(r, block, "signature"));
    } else if (json_str_is(type, S("redacted_thinking"))) {
        emit_text(r, d->c, EVENT_REDACTED, text_at(r, block, "data"));
    } else {
        emit_raw(r, d->c, EVENT_OPAQUE, block);
    }
    return OK;
}

/* --- the events of a stream --- */

static enum err
read_block_start(struct wire_reader *r, struct decoder *d, const struct json *doc)
{
    const struct json *block = json_get(doc, S("content_block"));

    if (!json_is(block, JSON_OBJECT))
        return ERR_UPSTREAM_PROTOCOL;
    d->index = json_i64(json_get(doc, S("index")), 0);

    enum err e = open_block(r, d, block);

    /* The API sends {} here and the arguments in deltas; some other hosts send them whole. */
    if (e == OK && d->now == NOW_TOOL && d->whole_input.n > 0)
        d->whole_input = emit_keep(r, d->whole_input);
    return e;
}

static enum err
read_block_delta(struct wire_reader *r, struct decoder *d, const struct json *doc)
{
    const struct json *delta = json_get(doc, S("delta"));
    const struct json *type = json_get(delta, S("type"));

    if (json_str_is(type, S("text_delta"))) {
        emit_text(r, d->c, EVENT_TEXT, text_at(r, delta, "text"));
    } else if (json_str_is(type, S("input_json_delta"))) {
        struct str fragment = text_at(r, delta, "partial_json");

        if (d->now == NOW_OTHER || fragment.n == 0)    /* the input of a provider-run tool */
            return OK;
        if (d->now == NOW_NONE || d->index != json_i64(json_get(doc, S("index")), 0))
            return ERR_UPSTREAM_PROTOCOL;
        d->filled = true;
        return tell_args(r, d, fragment);
    }
    if (json_str_is(type, S("thinking_delta"))) {
        emit_text(r, d->c, EVENT_REASONING, text_at(r, delta, "thinking"));
    } else if (json_str_is(type, S("signature_delta"))) {
        emit_signature(r, d->c, text_at(r, delta, "signature"));
    } else if (json_str_is(type, S("citations_delta"))) {
        tell_citation(r, d, json_get(delta, S("citation")));
    }
    return OK;
}

static enum err
read_frame(struct wire_reader *r, struct decoder *d, struct str type, const struct json *doc)
{
    if (str_eq(type, S("content_block_delta")))
        return read_block_delta(r, d, doc);
    if (str_eq(type, S("content_block_start")))
        return read_block_start(r, d, doc);
    if (str_eq(type, S("content_block_stop"))) {
        close_block(r, d);
        r->closed = true;
    } else if (str_eq(type, S("message_start"))) {
        if (!json_is(json_get(doc, S("message")), JSON_OBJECT))
            return ERR_UPSTREAM_PROTOCOL;
        tell_start(r, d, json_get(doc, S("message")));
    } else if (str_eq(type, S("message_delta"))) {
        close_block(r, d);
        anthropic_read_usage(&d->usage, json_get(doc, S("usage")));
        if (emit_word(r, json_at(doc, "delta.stop_reason")).n != 0)
            tell_finish(r, d, json_get(doc, S("delta")));
        tell_usage(r, d);
    } else if (str_eq(type, S("message_stop"))) {
        close_block(r, d);
        if (r->no_finish_reason)
            tell_finish(r, d, NULL);
        if (d->c->finished)
            emit_end(r);
        else
            emit_unfinished(r);
    } else if (str_eq(type, S("error"))) {
        tell_error(r, doc);
    }
    return OK;
}

/* Parses a frame or a body; NULL with *ret_err if it is not a JSON object. */
static const struct json *
parse(struct wire_reader *r, struct str text, enum err *ret_err)
{
    struct json_error error = { .limit = false };
    const struct json *doc = json_parse(r->scratch, text, NULL, &error);

    *ret_err = error.limit ? ERR_UPSTREAM_TOO_LARGE : ERR_UPSTREAM_PROTOCOL;
    return json_is(doc, JSON_OBJECT) ? doc : NULL;
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
    return emit_verdict(r, read_frame(r, decoder_of(r), event, doc));
}

void
anthropic_read_end(struct wire_reader *r UNUSED)
{
    /* Nothing is held back, and without message_stop the answer was truncated. */
}

/* --- whole answers --- */

static enum err
read_message(struct wire_reader *r, const struct json *doc)
{
    const struct json *content = json_get(doc, S("content"));
    struct json_iter it = json_iter(content);
    struct decoder *d = decoder_of(r);

    if (!json_is(content, JSON_ARRAY))
        return ERR_UPSTREAM_PROTOCOL;
    tell_start(r, d, doc);
    while (json_next(&it)) {
        enum err e = open_block(r, d, it.value);

        if (e != OK)
            return e;
        close_block(r, d);
    }
    if (emit_verdict(r, OK) != OK)
        return ERR_UPSTREAM_TOO_LARGE;
    tell_finish(r, d, doc);
    tell_usage(r, d);
    emit_end(r);
    return OK;
}

static enum err
read_token_count(struct wire_reader *r, const struct json *doc)
{
    struct decoder *d = decoder_of(r);

    if (!json_is(json_get(doc, S("input_tokens")), JSON_NUMBER))
        return ERR_UPSTREAM_PROTOCOL;
    anthropic_read_usage(&d->usage, doc);
    tell_usage(r, d);
    emit_end(r);
    return OK;
}

enum err
anthropic_read_answer(struct wire_reader *r, struct str body)
{
    enum err e = OK;
    const struct json *doc = parse(r, body, &e);

    if (doc == NULL)
        return e;
    if (json_present(json_get(doc, S("error")))) {
        tell_error(r, doc);
        return OK;
    }
    return emit_verdict(
        r, r->op == OP_COUNT_TOKENS ? read_token_count(r, doc) : read_message(r, doc));
}

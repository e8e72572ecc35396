/* decode.c - reads the answers of providers that speak Cohere's v2 protocol.
 *
 * Events carry their type in the data; the SSE event name repeats it. A content block's number and a
 * call's number are counted apart. message-end has the reason and the counts; [DONE] follows it, and
 * the stream may end without it. What a model writes before its calls (`tool_plan`) is reasoning
 * everywhere else.
 */
#include "llm/emit.h"
#include "wires/cohere/cohere.h"

struct chat_decoder {
    struct emit_choice *c;    /* the only one */
    int64_t calls;            /* so far */
    unsigned texts;           /* blocks of text so far */
};

static struct chat_decoder *
decoder_of(struct wire_reader *r)
{
    struct chat_decoder *d = r->state;

    if (d == NULL) {
        r->state = d = arena_new(r->keep, struct chat_decoder);
        d->c = emit_choice(r, 0);
    }
    return d;
}

static struct str
text_at(struct wire_reader *r, const struct json *j, const char *key)
{
    return emit_string(r, json_get(j, str_c(key)));
}

/* --- content --- */

/* A block, or a piece of one. */
static void
tell_content(struct wire_reader *r, struct chat_decoder *d, const struct json *content)
{
    emit_text(r, d->c, EVENT_REASONING, text_at(r, content, "thinking"));
    emit_text(r, d->c, EVENT_TEXT, text_at(r, content, "text"));
}

static void
begin_content(struct wire_reader *r, struct chat_decoder *d, const struct json *content)
{
    d->texts += json_present(json_get(content, S("text")));
    tell_content(r, d, content);
}

static enum err
begin_call(struct wire_reader *r, struct chat_decoder *d, const struct json *call, int64_t label,
    bool whole)
{
    const struct json *function = json_get(call, S("function"));
    const struct json *args = json_get(function, S("arguments"));
    bool text = !json_present(args) || args->type == JSON_STRING;

    d->calls++;
    return emit_call(r, d->c,
        &(struct emit_piece){
            .label = label,
            .id = text_at(r, call, "id"),
            .name = text_at(r, function, "name"),
            .args = text ? emit_string(r, args) : json_raw(args),
            .is_object = !text,
            .whole = whole,
        });
}

/* What the answer's text from `from` to `to` rests on: each source is a citation. Offsets count
 * within a block: of a second one we do not know where it begins. */
static void
tell_citation(struct wire_reader *r, const struct chat_decoder *d, const struct json *citation)
{
    struct json_iter it = json_iter(json_get(citation, S("sources")));
    const struct json *type = json_get(citation, S("type"));
    bool placed = d->texts <= 1;

    if (json_present(type) && !json_str_is(type, S("TEXT_CONTENT")))
        return;    /* of thoughts or a plan */
    while (json_next(&it)) {
        const struct json *document = json_get(it.value, S("document"));
        const struct json *output = json_get(it.value, S("tool_output"));
        struct llm_citation c = {
            .url = text_at(r, document, "url"),
            .title = text_at(r, document, "title"),
            .quote = text_at(r, document, "snippet"),
            .from = placed ? json_i64(json_get(citation, S("start")), 0) : 0,
            .to = placed ? json_i64(json_get(citation, S("end")), 0) : 0,
        };

        if (c.title.n == 0)
            c.title = text_at(r, it.value, "id");
        if (c.quote.n == 0)
            c.quote = text_at(
                r, document != NULL ? document : output, document != NULL ? "text" : "content");
        if (c.from < 0 || c.to < c.from)
            c.from = c.to = 0;
        emit_citation(r, d->c, &c);
    }
}

/* --- log probabilities --- */

/* One entry is a piece of text and the log probabilities of its tokens, mostly one; as one token of
 * the neutral form it has their sum. */
static void
add_logprob(struct json_out *o, struct wire_reader *r, const struct json *item)
{
    struct json_iter it = json_iter(json_get(item, S("logprobs")));
    struct str text = text_at(r, item, "text");
    const struct json *one = NULL;
    double sum = 0;
    unsigned n = 0;

    for (; json_next(&it); n++) {
        one = it.value;
        sum += json_f64(it.value, 0);
    }
    if (n == 0)
        return;
    out_object(o);
    out_text(o, "token", text);
    out_key(o, "logprob");
    if (n == 1 && json_is(one, JSON_NUMBER)) {
        out_raw_value(o, json_raw(one));
    } else {
        json_add_f64(o->b, sum);
        o->comma = true;
    }
    out_const(o, "\"bytes\":null,\"top_logprobs\":[]");
    out_end(o);
}

/* `items`: one entry, or a list of them. */
static void
tell_logprobs(struct wire_reader *r, const struct chat_decoder *d, const struct json *items)
{
    struct json_iter it = json_iter(items);
    struct json_out o;
    struct buf b;

    if (!json_present(items))
        return;
    buf_init(&b, items->n * 4 + 256);
    o = json_out(&b);
    out_object(&o);
    out_key_array(&o, "content");
    if (items->type == JSON_OBJECT)
        add_logprob(&o, r, items);
    else
        while (items->type == JSON_ARRAY && json_next(&it))
            add_logprob(&o, r, it.value);
    out_end_array(&o);
    out_null(&o, "refusal");
    out_end(&o);
    if (!b.overflow)
        wire_emit(r, &(struct llm_event){
                         .kind = EVENT_LOGPROBS, .choice = d->c->index, .raw = buf_str(&b) });
    buf_fini(&b);
}

/* --- the end --- */

static void
tell_error(struct wire_reader *r, const struct json *doc)
{
    struct llm_error e;

    fail_read_document(r->scratch, &cohere_fail_words, 0, doc, &e);
    emit_error(r, &e);
}

/* `end` holds the reason, the counts, and what went wrong, if something did. */
static void
tell_end(struct wire_reader *r, const struct chat_decoder *d, const struct json *end)
{
    struct str reason = emit_word(r, json_get(end, S("finish_reason")));
    bool late = str_eq(reason, S("TIMEOUT"));
    struct llm_usage u = { .known = 0 };

    cohere_read_usage(&u, json_get(end, S("usage")));
    if (text_at(r, end, "error").n != 0) {
        tell_error(r, end);
    } else if (!d->c->said && d->calls == 0 && (late || str_eq(reason, S("ERROR")))) {
        emit_failure(r, late ? ERR_UPSTREAM_TIMEOUT : ERR_UPSTREAM_ERROR,
            S("the provider ended the answer with an error before it began"));
    } else if (reason.n != 0 || r->no_finish_reason) {
        emit_finish(r, d->c, cohere_finish(reason), reason, S(""));
        emit_usage(r, &u);
    }
}

/* --- the events of a stream --- */

static enum err
read_call(struct wire_reader *r, struct chat_decoder *d, const struct json *doc, bool begins)
{
    const struct json *calls = json_at(doc, "delta.message.tool_calls");
    struct json_iter it = json_iter(calls);
    int64_t label = json_i64(json_get(doc, S("index")), d->calls);
    enum err e = OK;

    if (!json_is(calls, JSON_ARRAY))    /* it is an object; a list would be OpenAI's form */
        return begins ? begin_call(r, d, calls, label, false)
                      : emit_call(r, d->c,
                            &(struct emit_piece){ .label = label,
                                .args = emit_string(r, json_at(calls, "function.arguments")) });
    while (e == OK && json_next(&it))
        e = begin_call(r, d, it.value, label, false);
    return e;
}

static enum err
read_frame(struct wire_reader *r, struct chat_decoder *d, struct str type, const struct json *doc)
{
    const struct json *message = json_at(doc, "delta.message");
    const struct json *content = json_get(message, S("content"));
    enum err e = OK;

    if (str_eq(type, S("content-delta"))) {
        tell_content(r, d, content);
        tell_logprobs(r, d, json_get(doc, S("logprobs")));
    } else if (str_eq(type, S("tool-plan-delta"))) {
        emit_text(r, d->c, EVENT_REASONING, text_at(r, message, "tool_plan"));
    } else if (str_eq(type, S("tool-call-start"))) {
        e = read_call(r, d, doc, true);
    } else if (str_eq(type, S("tool-call-delta"))) {
        e = read_call(r, d, doc, false);
    } else if (str_eq(type, S("tool-call-end"))) {
        emit_call_end(r, d->c);
    } else if (str_eq(type, S("content-start"))) {
        begin_content(r, d, content);
    } else if (str_eq(type, S("content-end"))) {
        r->closed = true;
    } else if (str_eq(type, S("citation-start"))) {
        const struct json *citation = json_get(message, S("citations"));
        struct json_iter it = json_iter(citation);

        if (!json_is(citation, JSON_ARRAY))
            tell_citation(r, d, citation);
        else
            while (json_next(&it))
                tell_citation(r, d, it.value);
    } else if (str_eq(type, S("message-end"))) {
        tell_end(r, d, json_get(doc, S("delta")));
    }
    return e;
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

static void
end_stream(struct wire_reader *r)
{
    if (r->finished)
        emit_end(r);
    else
        emit_unfinished(r);
}

enum err
cohere_read_event(struct wire_reader *r, struct str event, struct str data)
{
    struct chat_decoder *d = decoder_of(r);
    enum err e = OK;

    data = str_trim(data);
    if (r->complete || r->failed || data.n == 0)
        return OK;
    if (str_eq(data, S("[DONE]"))) {
        end_stream(r);
        return OK;
    }

    const struct json *doc = parse(r, data, &e);

    if (doc == NULL)
        return e;
    if (json_is(json_get(doc, S("type")), JSON_STRING))
        event = text_at(r, doc, "type");
    /* a refusal where the stream should begin, or a proxy's */
    if (json_get(doc, S("delta")) == NULL && !str_ends(event, S("-end")) &&
        (json_present(json_get(doc, S("message"))) || json_present(json_get(doc, S("error"))))) {
        tell_error(r, doc);
        return OK;
    }
    if (str_eq(event, S("message-start")) || !r->emit.started)
        emit_start(r, &(struct llm_event){ .id = text_at(r, doc, "id") });
    e = emit_verdict(r, read_frame(r, d, event, doc));
    r->finished = emit_all_finished(r, r->choices);
    return e;
}

void
cohere_read_end(struct wire_reader *r)
{
    if (r->finished && !r->complete && !r->failed)
        emit_end(r);
}

/* --- whole answers --- */

static enum err
read_message(struct wire_reader *r, struct chat_decoder *d, const struct json *doc)
{
    const struct json *message = json_get(doc, S("message"));
    const struct json *content = json_get(message, S("content"));
    struct json_iter parts = json_iter(content);
    struct json_iter calls = json_iter(json_get(message, S("tool_calls")));
    struct json_iter citations = json_iter(json_get(message, S("citations")));
    enum err e = OK;

    emit_start(r, &(struct llm_event){ .id = text_at(r, doc, "id") });
    if (json_is(content, JSON_STRING))
        emit_text(r, d->c, EVENT_TEXT, emit_string(r, content));
    else
        while (json_next(&parts))
            begin_content(r, d, parts.value);
    emit_text(r, d->c, EVENT_REASONING, text_at(r, message, "tool_plan"));
    while (json_next(&citations))
        tell_citation(r, d, citations.value);
    tell_logprobs(r, d, json_get(doc, S("logprobs")));
    while (e == OK && json_next(&calls))
        e = begin_call(r, d, calls.value, -1, true);
    if (emit_verdict(r, e) != OK)
        return emit_verdict(r, e);
    tell_end(r, d, doc);
    if (!r->failed)
        emit_end(r);
    return OK;
}

enum err
cohere_read_answer(struct wire_reader *r, struct str body)
{
    enum err e = OK;
    const struct json *doc = parse(r, body, &e);

    if (doc == NULL)
        return e;
    if (json_is(json_get(doc, S("message")), JSON_OBJECT))
        return read_message(r, decoder_of(r), doc);
    if (!json_present(json_get(doc, S("message"))) && !json_present(json_get(doc, S("error"))))
        return ERR_UPSTREAM_PROTOCOL;
    tell_error(r, doc);
    return OK;
}

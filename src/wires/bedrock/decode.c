/* decode.c - reads the answers of Bedrock's Converse API.
 *
 * Only calls have a contentBlockStart: text and reasoning begin with their first delta. The counts
 * come in "metadata", after the reason to end, and complete the answer. What fails in a stream is
 * an exception, whose name the frame has instead of an event's. Each payload has a member "p" of
 * random length, which hides the lengths of tokens.
 */
#include "llm/emit.h"
#include "llm/media.h"
#include "wires/bedrock/bedrock.h"

struct converse_decoder {
    struct emit_choice *c;    /* the only one */
    bool call;                /* a call is open */
    bool hidden;              /* a block of a tool that the provider runs itself is */
    struct str picture;       /* the format of the latest one */
};

static struct converse_decoder *
decoder_of(struct wire_reader *r)
{
    struct converse_decoder *d = r->state;

    if (d == NULL) {
        r->state = d = arena_new(r->keep, struct converse_decoder);
        d->c = emit_choice(r, 0);
        r->emit.origin = ORIGIN_ANTHROPIC;    /* whose models alone sign */
    }
    return d;
}

static struct str
text_at(struct wire_reader *r, const struct json *j, const char *path)
{
    return emit_string(r, json_at(j, path));
}

/* --- emitting --- */

static void
tell_citation(struct wire_reader *r, const struct converse_decoder *d, const struct json *citation)
{
    struct json_iter sources = json_iter(json_get(citation, S("sourceContent")));
    struct str url = text_at(r, citation, "location.web.url");

    emit_citation(r, d->c,
        &(struct llm_citation){
            .url = url.n > 0 ? url : text_at(r, citation, "source"),
            .title = text_at(r, citation, "title"),
            .quote = json_next(&sources) ? text_at(r, sources.value, "text") : S(""),
        });
}

/* {"text","signature"}, where a stream has one of them at a time, or {"redactedContent"}. */
static void
tell_reasoning(
    struct wire_reader *r, const struct converse_decoder *d, const struct json *reasoning)
{
    emit_text(r, d->c, EVENT_REASONING, text_at(r, reasoning, "text"));
    emit_signature(r, d->c, text_at(r, reasoning, "signature"));
    emit_text(r, d->c, EVENT_REDACTED, text_at(r, reasoning, "redactedContent"));
}

/* {"source":{"bytes"}} */
static void
tell_media(struct wire_reader *r, const struct converse_decoder *d, enum llm_part_kind kind,
    struct str format, const struct json *block)
{
    struct llm_part media = { .kind = kind };

    if (!json_is(block, JSON_OBJECT))
        return;
    media_set_data(&media,
        arena_printf(
            r->scratch, "%s/" STR_FMT, kind == PART_IMAGE ? "image" : "audio", STR_ARG(format)),
        text_at(r, block, "source.bytes"));
    emit_media(r, d->c, &media);
}

/* `source` holds stopReason and what was asked for of additionalModelResponseFields. A model that
 * failed to write what it wanted to has not answered if nothing else came of it. */
static void
tell_finish(struct wire_reader *r, const struct converse_decoder *d, const struct json *source)
{
    struct str native = text_at(r, source, "stopReason");

    if (str_starts(native, S("malformed_")) && !d->c->said)
        emit_failure(r, ERR_UPSTREAM_ERROR,
            arena_printf(r->scratch, "the model's output was malformed (" STR_FMT ")",
                STR_ARG(str_make(native.p, MIN(native.n, 64)))));
    else
        emit_finish(r, d->c, bedrock_finish(native), native,
            text_at(r, source, "additionalModelResponseFields.stop_sequence"));
}

static void
tell_usage(struct wire_reader *r, const struct json *source)
{
    struct llm_usage u = bedrock_read_usage(json_get(source, S("usage")));

    u.service = usage_service_named(text_at(r, source, "serviceTier.type"));
    emit_usage(r, &u);
}

/* `name`: the exception's, or empty. */
static void
tell_error(struct wire_reader *r, const struct json *doc, struct str name)
{
    struct llm_error error;

    fail_read_document(
        r->scratch, &bedrock_fail_words, bedrock_exception_status(name), doc, &error);
    if (name.n > 0)
        error.type = name;
    emit_error(r, &error);
}

static void
close_block(struct wire_reader *r, struct converse_decoder *d)
{
    if (d->call)
        emit_call_end(r, d->c);
    d->call = d->hidden = false;
}

/* --- the events of a stream --- */

static enum err
read_block_start(struct wire_reader *r, struct converse_decoder *d, const struct json *doc)
{
    const struct json *start = json_get(doc, S("start"));
    const struct json *call = json_get(start, S("toolUse"));
    const struct json *image = json_get(start, S("image"));

    close_block(r, d);    /* if the host forgot to */
    emit_start(r, &(struct llm_event){ .kind = EVENT_START });
    if (json_is(image, JSON_OBJECT)) {
        d->picture = emit_keep(r, text_at(r, image, "format"));
        return OK;
    }
    if (!json_is(call, JSON_OBJECT) || json_present(json_get(call, S("type")))) {
        d->hidden = true;
        if (json_is(start, JSON_OBJECT))
            emit_raw(r, d->c, EVENT_OPAQUE, start);
        return OK;
    }
    d->call = true;
    return emit_call(r, d->c,
        &(struct emit_piece){
            .label = json_i64(json_get(doc, S("contentBlockIndex")), 0),
            .id = text_at(r, call, "toolUseId"),
            .name = text_at(r, call, "name"),
        });
}

static enum err
read_block_delta(struct wire_reader *r, struct converse_decoder *d, const struct json *doc)
{
    const struct json *delta = json_get(doc, S("delta"));
    const struct json *call = json_get(delta, S("toolUse"));
    const struct json *citation = json_get(delta, S("citation"));

    if (!json_is(delta, JSON_OBJECT))
        return ERR_UPSTREAM_PROTOCOL;
    emit_start(r, &(struct llm_event){ .kind = EVENT_START });
    if (d->hidden)
        return OK;
    if (json_is(call, JSON_OBJECT)) {
        if (!d->call)
            return ERR_UPSTREAM_PROTOCOL;
        return emit_call(r, d->c,
            &(struct emit_piece){
                .label = json_i64(json_get(doc, S("contentBlockIndex")), 0),
                .args = text_at(r, call, "input"),
            });
    }
    emit_text(r, d->c, EVENT_TEXT, text_at(r, delta, "text"));
    tell_reasoning(r, d, json_get(delta, S("reasoningContent")));
    tell_media(r, d, PART_IMAGE, d->picture, json_get(delta, S("image")));
    if (json_is(citation, JSON_OBJECT))
        tell_citation(r, d, citation);
    return OK;
}

static enum err
read_frame(
    struct wire_reader *r, struct converse_decoder *d, struct str event, const struct json *doc)
{
    if (str_eq(event, S("contentBlockDelta")))
        return read_block_delta(r, d, doc);
    if (str_eq(event, S("contentBlockStart")))
        return read_block_start(r, d, doc);
    if (str_eq(event, S("messageStart"))) {
        emit_start(r, &(struct llm_event){ .kind = EVENT_START });
    } else if (str_eq(event, S("contentBlockStop"))) {
        close_block(r, d);
        r->closed = true;
    } else if (str_eq(event, S("messageStop"))) {
        emit_start(r, &(struct llm_event){ .kind = EVENT_START });
        close_block(r, d);
        tell_finish(r, d, doc);
        r->finished = !r->failed;
    } else if (str_eq(event, S("metadata"))) {
        tell_usage(r, doc);
        if (r->no_finish_reason)
            emit_finish(r, d->c, FINISH_UNKNOWN, S(""), S(""));
        if (d->c->finished)
            emit_end(r);
        else
            emit_unfinished(r);
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
bedrock_read_event(struct wire_reader *r, struct str event, struct str data)
{
    bool exception = str_ends(event, S("Exception"));
    enum err e = OK;

    if (r->complete || r->failed)
        return OK;
    if (str_eq(event, S("error"))) {    /* its text is not JSON */
        emit_failure(r, ERR_UPSTREAM_ERROR, fail_scrub(r->scratch, data));
        return OK;
    }

    const struct json *doc = parse(r, data, &e);

    if (exception) {
        tell_error(r, doc, event);
        return OK;
    }
    if (doc == NULL)
        return e;
    return emit_verdict(r, read_frame(r, decoder_of(r), event, doc));
}

void
bedrock_read_end(struct wire_reader *r)
{
    /* the counts were lost, and the answer was not */
    if (!r->complete && !r->failed && r->finished)
        emit_end(r);
}

/* --- whole answers --- */

static enum err
read_block(struct wire_reader *r, struct converse_decoder *d, const struct json *block)
{
    const struct json *call = json_get(block, S("toolUse"));
    const struct json *reasoning = json_get(block, S("reasoningContent"));
    const struct json *cited = json_get(block, S("citationsContent"));
    const struct json *image = json_get(block, S("image"));
    const struct json *audio = json_get(block, S("audio"));
    struct json_iter texts = json_iter(json_get(cited, S("content")));
    struct json_iter citations = json_iter(json_get(cited, S("citations")));
    const struct json *input = json_get(call, S("input"));

    if (json_is(call, JSON_OBJECT) && !json_present(json_get(call, S("type"))))
        return emit_call(r, d->c,
            &(struct emit_piece){
                .label = -1,
                .id = text_at(r, call, "toolUseId"),
                .name = text_at(r, call, "name"),
                .args = json_present(input) ? json_raw(input) : S(""),
                .is_object = true,
                .whole = true,
            });
    if (json_is(reasoning, JSON_OBJECT)) {
        tell_reasoning(r, d, json_get(reasoning, S("reasoningText")));
        tell_reasoning(r, d, reasoning);
    } else if (json_is(cited, JSON_OBJECT)) {
        while (json_next(&texts))
            emit_text(r, d->c, EVENT_TEXT, text_at(r, texts.value, "text"));
        while (json_next(&citations))
            tell_citation(r, d, citations.value);
    } else if (json_is(json_get(block, S("text")), JSON_STRING)) {
        emit_text(r, d->c, EVENT_TEXT, text_at(r, block, "text"));
    } else if (json_is(image, JSON_OBJECT)) {
        tell_media(r, d, PART_IMAGE, text_at(r, image, "format"), image);
    } else if (json_is(audio, JSON_OBJECT)) {
        tell_media(r, d, PART_AUDIO, text_at(r, audio, "format"), audio);
    } else if (json_is(block, JSON_OBJECT) && !json_is_empty(block)) {
        emit_raw(r, d->c, EVENT_OPAQUE, block);
    }
    return OK;
}

static enum err
read_message(struct wire_reader *r, const struct json *doc)
{
    const struct json *content = json_at(doc, "output.message.content");
    struct json_iter it = json_iter(content);
    struct converse_decoder *d = decoder_of(r);

    if (!json_is(json_get(doc, S("output")), JSON_OBJECT))
        return ERR_UPSTREAM_PROTOCOL;
    emit_start(r, &(struct llm_event){ .kind = EVENT_START });
    while (json_is(content, JSON_ARRAY) && json_next(&it)) {
        enum err e = read_block(r, d, it.value);

        if (e != OK)
            return e;
    }
    if (emit_verdict(r, OK) != OK)
        return ERR_UPSTREAM_TOO_LARGE;
    tell_finish(r, d, doc);
    if (r->failed)
        return OK;
    tell_usage(r, doc);
    emit_end(r);
    return OK;
}

static enum err
read_token_count(struct wire_reader *r, const struct json *doc)
{
    const struct json *count = json_get(doc, S("inputTokens"));
    struct llm_usage u = { .known = 0 };

    if (!json_is(count, JSON_NUMBER))
        return ERR_UPSTREAM_PROTOCOL;
    usage_set(&u, COUNT_INPUT, json_i64(count, 0));
    emit_usage(r, &u);
    emit_end(r);
    return OK;
}

/* {"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"} is
 * answered with status 200 where the path names no operation, as when a model's ARN is not encoded.
 */
static bool
is_unknown_operation(const struct json *doc)
{
    const struct json *type = json_at(doc, "Output.__type");

    return type != NULL && str_find(json_raw(type), S("Exception")) < json_raw(type).n;
}

enum err
bedrock_read_answer(struct wire_reader *r, struct str body)
{
    enum err e = OK;
    const struct json *doc = parse(r, body, &e);

    if (doc == NULL)
        return e;
    if (is_unknown_operation(doc)) {
        emit_failure(r, ERR_UPSTREAM_NO_MODEL,
            S("the provider knows no such operation for this model (UnknownOperationException)"));
        return OK;
    }
    if (json_is(json_get(doc, S("message")), JSON_STRING) ||
        json_present(json_get(doc, S("error")))) {
        tell_error(r, doc, S(""));
        return OK;
    }
    return emit_verdict(
        r, r->op == OP_COUNT_TOKENS ? read_token_count(r, doc) : read_message(r, doc));
}

/* provider_answer.c - reads the answers of providers of the Responses API.
 *
 * Events are matched with their item by output_index: some hosts change an item's id between its
 * events. Some send an item with few deltas or none; what its end, or the end of the answer, has
 * beyond them is emitted then. The type is read from the data, since some hosts do not name events.
 */
#include "base/map.h"
#include "llm/emit.h"
#include "llm/media.h"
#include "wires/openai_chat/openai_chat.h"
#include "wires/openai_responses/responses.h"

/* What was emitted of an item so far. */
struct heard {
    int64_t index;
    size_t text;    /* bytes; also of arguments */
    size_t refusal;
    size_t reasoning;
    bool halves;    /* a delta ended within a character: bytes do not compare */
    bool cited;
    bool rated;    /* there were log probabilities */
    bool over;
    bool custom;
    struct str call_id;
    struct str name;
};

struct response_decoder {
    struct emit_choice *c;    /* the only one */
    struct map *items;        /* output_index -> heard */
    struct heard *recent;
    struct heard *newest;    /* the call that began last */
};

static void
destroy_map(void *map)
{
    map_destroy(map);
}

static struct response_decoder *
decoder_of(struct wire_reader *r)
{
    struct response_decoder *d = r->state;

    if (d == NULL) {
        r->state = d = arena_new(r->keep, struct response_decoder);
        d->c = emit_choice(r, 0);
        d->items = map_create();
        arena_cleanup(r->keep, destroy_map, d->items);
        r->emit.origin = ORIGIN_OPENAI;
    }
    return d;
}

static struct str
text_at(struct wire_reader *r, const struct json *j, const char *key)
{
    return emit_string(r, json_get(j, str_c(key)));
}

static struct heard *
heard_at(struct wire_reader *r, struct response_decoder *d, int64_t index)
{
    struct str key = str_make((const char *)&index, sizeof(index));
    struct heard *h = d->recent;

    if (h != NULL && h->index == index)
        return h;
    h = map_get(d->items, key);
    if (h == NULL) {
        h = arena_new(r->keep, struct heard);
        h->index = index;
        (void)map_put(d->items, str_make((const char *)&h->index, sizeof(h->index)), h);
    }
    d->recent = h;
    return h;
}

/* Does it hold half of a surrogate pair, which json_str() keeps as three bytes? */
static bool
has_half(struct str text)
{
    for (size_t i = 0; i + 1 < text.n; i++)
        if ((unsigned char)text.p[i] == 0xed && (unsigned char)text.p[i + 1] >= 0xa0)
            return true;
    return false;
}

/* --- pieces of items --- */

static void
tell(struct wire_reader *r, const struct response_decoder *d, struct heard *h,
    enum llm_event_kind kind, struct str text)
{
    size_t *count = kind == EVENT_TEXT      ? &h->text
                    : kind == EVENT_REFUSAL ? &h->refusal
                                            : &h->reasoning;

    *count += text.n;
    h->halves = h->halves || has_half(text);
    emit_text(r, d->c, kind, text);
}

static enum err
tell_call(struct wire_reader *r, const struct response_decoder *d, struct heard *h, struct str args)
{
    h->text += args.n;
    h->halves = h->halves || has_half(args);
    return emit_call(r, d->c,
        &(struct emit_piece){
            .label = h->index,
            .id = h->call_id,
            .name = h->name,
            .args = args,
            .custom = h->custom,
        });
}

static void
tell_citation(struct wire_reader *r, const struct response_decoder *d, struct heard *h,
    const struct json *annotation)
{
    h->cited = true;
    if (json_str_is(json_get(annotation, S("type")), S("url_citation")))
        emit_citation(r, d->c,
            &(struct llm_citation){
                .url = text_at(r, annotation, "url"),
                .title = text_at(r, annotation, "title"),
                .from = MAX(json_i64(json_get(annotation, S("start_index")), 0), 0),
                .to = MAX(json_i64(json_get(annotation, S("end_index")), 0), 0),
            });
}

/* What of `whole` was not heard, `*seen` bytes having been accounted for before it. */
static struct str
unheard(const struct heard *h, size_t heard, size_t *seen, struct str whole)
{
    size_t before = *seen;

    *seen += whole.n;
    if (h->halves || heard >= *seen)
        return S("");
    return str_skip(whole, heard > before ? heard - before : 0);
}

/* --- whole items --- */

static void
finish_message(struct wire_reader *r, const struct response_decoder *d, struct heard *h,
    const struct json *item)
{
    struct json_iter it = json_iter(json_get(item, S("content")));
    size_t texts = 0;
    size_t refusals = 0;
    bool cited = h->cited;

    while (json_next(&it)) {
        bool refusal = json_str_is(json_get(it.value, S("type")), S("refusal"));
        struct json_iter annotations = json_iter(json_get(it.value, S("annotations")));

        if (refusal)
            tell(r, d, h, EVENT_REFUSAL,
                unheard(h, h->refusal, &refusals, text_at(r, it.value, "refusal")));
        else
            tell(r, d, h, EVENT_TEXT, unheard(h, h->text, &texts, text_at(r, it.value, "text")));
        if (!h->rated)
            emit_logprobs(r, d->c, json_get(it.value, S("logprobs")));
        while (!cited && json_next(&annotations))
            tell_citation(r, d, h, annotations.value);
    }
}

static void
finish_reasoning(struct wire_reader *r, const struct response_decoder *d, struct heard *h,
    const struct json *item)
{
    static const struct str lists[] = { S_INIT("summary"), S_INIT("content") };
    size_t seen = 0;

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct json_iter it = json_iter(json_get(item, lists[i]));

        while (json_next(&it))
            tell(r, d, h, EVENT_REASONING,
                unheard(h, h->reasoning, &seen, text_at(r, it.value, "text")));
    }
    emit_signature(r, d->c, text_at(r, item, "encrypted_content"));
}

static bool
is_call(const struct json *type)
{
    return json_str_is(type, S("function_call")) || json_str_is(type, S("custom_tool_call"));
}

static enum err
begin_call(
    struct wire_reader *r, struct response_decoder *d, struct heard *h, const struct json *item)
{
    if (h->name.n > 0)
        return OK;
    h->custom = json_str_is(json_get(item, S("type")), S("custom_tool_call"));
    h->call_id = emit_keep(r, text_at(r, item, "call_id"));
    h->name = emit_keep(r, text_at(r, item, "name"));
    d->newest = h;
    return tell_call(r, d, h, text_at(r, item, h->custom ? "input" : "arguments"));
}

static enum err
finish_call(
    struct wire_reader *r, const struct response_decoder *d, struct heard *h, struct str args)
{
    size_t seen = 0;

    args = unheard(h, h->text, &seen, args);
    return args.n > 0 ? tell_call(r, d, h, args) : OK;
}

/* A picture that the model had made. */
static void
finish_image(struct wire_reader *r, const struct response_decoder *d, const struct json *item)
{
    struct str format = text_at(r, item, "output_format");
    struct llm_part picture = { .kind = PART_IMAGE };

    media_set_data(&picture,
        arena_printf(r->scratch, "image/" STR_FMT, STR_ARG(format.n > 0 ? format : S("png"))),
        text_at(r, item, "result"));
    emit_media(r, d->c, &picture);
}

/* An item that is complete. */
static enum err
finish_item(
    struct wire_reader *r, struct response_decoder *d, struct heard *h, const struct json *item)
{
    const struct json *type = json_get(item, S("type"));
    enum err e = OK;

    if (h->over || !json_is(item, JSON_OBJECT))
        return OK;
    h->over = true;
    if (json_str_is(type, S("message"))) {
        finish_message(r, d, h, item);
    } else if (json_str_is(type, S("reasoning"))) {
        finish_reasoning(r, d, h, item);
    } else if (is_call(type)) {
        e = begin_call(r, d, h, item);
        if (e == OK)
            e = finish_call(r, d, h, text_at(r, item, h->custom ? "input" : "arguments"));
        if (e == OK && d->newest == h)
            emit_call_end(r, d->c);
    } else if (json_str_is(type, S("image_generation_call"))) {
        finish_image(r, d, item);
    } else if (json_is(type, JSON_STRING)) {
        emit_raw(r, d->c, EVENT_OPAQUE, item);
    }
    return e;
}

/* --- the answer --- */

static void
tell_start(struct wire_reader *r, const struct json *response)
{
    emit_start(r, &(struct llm_event){
                      .id = text_at(r, response, "id"),
                      .model = text_at(r, response, "model"),
                      .created_s = MAX(json_i64(json_get(response, S("created_at")), 0), 0),
                  });
}

static void
tell_usage(struct wire_reader *r, const struct json *response)
{
    static const struct {
        enum llm_count count;
        const char *path;
    } rows[] = {
        { COUNT_INPUT, "input_tokens" },
        { COUNT_CACHED, "input_tokens_details.cached_tokens" },
        { COUNT_CACHE_WRITE, "input_tokens_details.cache_write_tokens" },
        { COUNT_OUTPUT, "output_tokens" },
        { COUNT_REASONING, "output_tokens_details.reasoning_tokens" },
    };
    const struct json *usage = json_get(response, S("usage"));
    const struct json *tier = json_get(response, S("service_tier"));
    struct llm_usage u = { 0 };

    if (!json_is(usage, JSON_OBJECT))
        return;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct json *n = json_at(usage, rows[i].path);

        if (json_is(n, JSON_NUMBER))
            usage_set(&u, rows[i].count, json_i64(n, 0));
    }
    if (json_is(tier, JSON_STRING) && !tier->escaped)
        u.service = usage_service_named(str_make(tier->p + 1, tier->n - 2));
    emit_usage(r, &u);
}

/* `doc` has the words, by themselves or in "error". */
static void
tell_error(struct wire_reader *r, const struct json *doc)
{
    struct llm_error error;

    openai_read_error(r->scratch, 200, json_raw(doc), &error);
    emit_error(r, &error);
}

/* Why the answer ends, by its status. */
static void
tell_finish(struct wire_reader *r, const struct response_decoder *d, const struct json *response)
{
    struct str status = text_at(r, response, "status");
    struct str reason = emit_string(r, json_at(response, "incomplete_details.reason"));
    enum llm_finish finish = FINISH_UNKNOWN;

    if (str_eq(reason, S("max_output_tokens")))
        finish = FINISH_LENGTH;
    else if (str_eq(reason, S("content_filter")))
        finish = FINISH_FILTER;
    else if (str_eq(status, S("completed")) || (status.n == 0 && r->no_finish_reason))
        finish = FINISH_STOP;
    /* an answer that is made in the background has nothing yet */
    d->c->may_be_empty = d->c->may_be_empty || str_eq(status, S("queued")) ||
                         str_eq(status, S("in_progress")) || str_eq(status, S("cancelled"));
    emit_finish(r, d->c, finish, reason.n > 0 ? reason : status, S(""));
}

/* The response as it is at the end: what it has beyond what was heard, counts, the reason. */
static enum err
finish(struct wire_reader *r, struct response_decoder *d, const struct json *response)
{
    const struct json *error = json_get(response, S("error"));
    struct json_iter it = json_iter(json_get(response, S("output")));
    enum err e = OK;

    if (json_present(error) || json_str_is(json_get(response, S("status")), S("failed"))) {
        tell_usage(r, response);
        tell_error(r, json_present(error) ? error : response);
        return OK;
    }
    tell_start(r, response);
    for (int64_t i = 0; e == OK && json_next(&it); i++)
        e = finish_item(r, d, heard_at(r, d, i), it.value);
    if (e != OK || emit_verdict(r, OK) != OK)
        return emit_verdict(r, e);
    tell_usage(r, response);
    tell_finish(r, d, response);
    emit_end(r);
    return OK;
}

/* --- the events of a stream --- */

struct event {
    struct wire_reader *r;
    struct response_decoder *d;
    struct heard *h;    /* of the item concerned; NULL for events of the whole */
    const struct json *doc;
};

static enum err
on_started(const struct event *ev)
{
    tell_start(ev->r, json_get(ev->doc, S("response")));
    return OK;
}

static enum err
on_item_added(const struct event *ev)
{
    const struct json *item = json_get(ev->doc, S("item"));

    return is_call(json_get(item, S("type"))) ? begin_call(ev->r, ev->d, ev->h, item) : OK;
}

static enum err
on_item_done(const struct event *ev)
{
    ev->r->closed = true;
    return finish_item(ev->r, ev->d, ev->h, json_get(ev->doc, S("item")));
}

static enum err
on_text(const struct event *ev)
{
    const struct json *logprobs = json_get(ev->doc, S("logprobs"));

    tell(ev->r, ev->d, ev->h, EVENT_TEXT, text_at(ev->r, ev->doc, "delta"));
    ev->h->rated = ev->h->rated || (json_is(logprobs, JSON_ARRAY) && !json_is_empty(logprobs));
    emit_logprobs(ev->r, ev->d->c, logprobs);
    return OK;
}

static enum err
on_refusal(const struct event *ev)
{
    tell(ev->r, ev->d, ev->h, EVENT_REFUSAL, text_at(ev->r, ev->doc, "delta"));
    return OK;
}

static enum err
on_reasoning(const struct event *ev)
{
    tell(ev->r, ev->d, ev->h, EVENT_REASONING, text_at(ev->r, ev->doc, "delta"));
    return OK;
}

static enum err
on_args(const struct event *ev)
{
    struct str delta = text_at(ev->r, ev->doc, "delta");

    if (delta.n == 0)
        return OK;
    return ev->h->name.n > 0 ? tell_call(ev->r, ev->d, ev->h, delta) : ERR_UPSTREAM_PROTOCOL;
}

static enum err
on_args_done(const struct event *ev)
{
    struct str args = text_at(ev->r, ev->doc, ev->h->custom ? "input" : "arguments");

    return ev->h->name.n > 0 ? finish_call(ev->r, ev->d, ev->h, args) : OK;
}

static enum err
on_annotation(const struct event *ev)
{
    tell_citation(ev->r, ev->d, ev->h, json_get(ev->doc, S("annotation")));
    return OK;
}

static enum err
on_end(const struct event *ev)
{
    const struct json *response = json_get(ev->doc, S("response"));

    return json_is(response, JSON_OBJECT) ? finish(ev->r, ev->d, response) : ERR_UPSTREAM_PROTOCOL;
}

static enum err
on_error(const struct event *ev)
{
    tell_error(ev->r, ev->doc);
    return OK;
}

/* All others repeat what these say, or tell of tools that the provider runs. */
static const struct {
    struct str type;
    bool item;
    enum err (*read)(const struct event *ev);
} events[] = {
    { S_INIT("response.output_text.delta"), true, on_text },
    { S_INIT("response.function_call_arguments.delta"), true, on_args },
    { S_INIT("response.reasoning_summary_text.delta"), true, on_reasoning },
    { S_INIT("response.reasoning_text.delta"), true, on_reasoning },
    { S_INIT("response.custom_tool_call_input.delta"), true, on_args },
    { S_INIT("response.refusal.delta"), true, on_refusal },
    { S_INIT("response.output_item.added"), true, on_item_added },
    { S_INIT("response.output_item.done"), true, on_item_done },
    { S_INIT("response.function_call_arguments.done"), true, on_args_done },
    { S_INIT("response.custom_tool_call_input.done"), true, on_args_done },
    { S_INIT("response.output_text.annotation.added"), true, on_annotation },
    { S_INIT("response.created"), false, on_started },
    { S_INIT("response.in_progress"), false, on_started },
    { S_INIT("response.queued"), false, on_started },
    { S_INIT("response.completed"), false, on_end },
    { S_INIT("response.incomplete"), false, on_end },
    { S_INIT("response.failed"), false, on_end },
    { S_INIT("response.cancelled"), false, on_end },
    { S_INIT("error"), false, on_error },
};

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
responses_read_event(struct wire_reader *r, struct str event, struct str data)
{
    struct event ev = { .r = r };
    enum err e = OK;

    data = str_trim(data);
    if (r->complete || r->failed || data.n == 0)
        return OK;
    ev.d = decoder_of(r);
    if (str_eq(data, S("[DONE]"))) {
        emit_unfinished(r);
        return OK;
    }
    ev.doc = parse(r, data, &e);
    if (ev.doc == NULL)
        return e;
    if (json_is(json_get(ev.doc, S("type")), JSON_STRING))
        event = text_at(r, ev.doc, "type");
    for (size_t i = 0; i < ARRAY_LEN(events); i++) {
        if (!str_eq(event, events[i].type))
            continue;
        if (events[i].item)
            ev.h = heard_at(r, ev.d, json_i64(json_get(ev.doc, S("output_index")), 0));
        if (events[i].item && !r->emit.started)
            tell_start(r, NULL);
        return emit_verdict(r, events[i].read(&ev));
    }
    if (json_present(json_get(ev.doc, S("error"))))
        tell_error(r, ev.doc);
    return emit_verdict(r, OK);
}

void
responses_read_end(struct wire_reader *r UNUSED)
{
    /* Nothing is held back, and without its last event the answer was truncated. */
}

enum err
responses_read_answer(struct wire_reader *r, struct str body)
{
    enum err e = OK;
    const struct json *doc = parse(r, body, &e);
    struct response_decoder *d = decoder_of(r);

    if (doc == NULL)
        return e;
    if (r->op == OP_COUNT_TOKENS && json_is(json_get(doc, S("input_tokens")), JSON_NUMBER)) {
        struct llm_usage u = { 0 };

        usage_set(&u, COUNT_INPUT, json_i64(json_get(doc, S("input_tokens")), 0));
        emit_usage(r, &u);
        emit_end(r);
        return OK;
    }
    if (json_present(json_get(doc, S("error"))) &&
        !json_is(json_get(doc, S("output")), JSON_ARRAY)) {
        tell_error(r, doc);
        return OK;
    }
    if (!json_is(json_get(doc, S("output")), JSON_ARRAY))
        return ERR_UPSTREAM_PROTOCOL;
    return finish(r, d, doc);
}

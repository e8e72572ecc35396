/* caller_answer.c - answers for a Responses caller: the events of a stream, and whole bodies.
 *
 * An answer is a list of items: reasoning, messages, calls. In a stream one item is open at a time;
 * llm/serial.h puts calls that other protocols write at once one after the other. Each item ends with
 * an event that repeats all of it, and the stream with one that repeats all items: clients rely on
 * these, so they are collected while they are written.
 */
#include "base/json_out.h"
#include "llm/seal.h"
#include "llm/serial.h"
#include "wires/openai_chat/openai_chat.h"
#include "wires/openai_responses/responses.h"

enum { ECHO_BYTES_MAX = 16 * 1024 };    /* longer values are not repeated in every answer */

enum item_kind { ITEM_NONE, ITEM_REASONING, ITEM_MESSAGE, ITEM_CALL, ITEM_IMAGE };

/* An item, as it begins or as it ends. */
struct item {
    enum item_kind kind;
    struct str id;
    struct str text;    /* REASONING: the summary; CALL: the arguments, or the input; IMAGE: base64 */
    struct str encrypted;    /* REASONING: proof of it, sealed if it is another protocol's */
    struct str parts;        /* MESSAGE: JSON of its finished parts, with commas between them */
    struct str call_id;
    struct str name;
    bool custom;
};

struct response_encoder {
    struct serial serial;
    struct event_sink sink;    /* receives from `serial` */
    struct wire_writer *w;
    bool started;
    bool over;                  /* the last event was written; nothing may follow */
    uint64_t sequence;          /* of the next event */
    struct item item;           /* what is open */
    uint32_t index;             /* its number, or that of the next item */
    struct str output;          /* JSON of the items before it, with commas between them */
    enum llm_part_kind open;    /* TEXT or REFUSAL: kind of the open part of a message */
    bool part_open;
    uint32_t part;             /* its number, or that of the next part */
    struct str text;           /* its text so far */
    struct str annotations;    /* its annotations, JSON with commas between them */
    uint32_t annotation_count;
    struct str logprobs;    /* its tokens, the same */
    struct str id;
    struct str model;
    int64_t created_s;
    struct llm_usage usage;
    enum llm_finish finish;
};

/* --- what streams and whole answers share --- */

/* What the answer repeats of its request, and what is said where that says nothing. */
static const struct {
    struct str name;
    struct str otherwise;
} echoed[] = {
    { S_INIT("instructions"), S_INIT("null") },
    { S_INIT("max_output_tokens"), S_INIT("null") },
    { S_INIT("max_tool_calls"), S_INIT("null") },
    { S_INIT("metadata"), S_INIT("{}") },
    { S_INIT("parallel_tool_calls"), S_INIT("true") },
    { S_INIT("previous_response_id"), S_INIT("null") },
    { S_INIT("prompt_cache_key"), S_INIT("null") },
    { S_INIT("reasoning"), S_INIT("{\"effort\":null,\"summary\":null}") },
    { S_INIT("safety_identifier"), S_INIT("null") },
    { S_INIT("service_tier"), S_INIT("\"default\"") },
    { S_INIT("store"), S_INIT("true") },
    { S_INIT("temperature"), S_INIT("1.0") },
    { S_INIT("text"), S_INIT("{\"format\":{\"type\":\"text\"}}") },
    { S_INIT("tool_choice"), S_INIT("\"auto\"") },
    { S_INIT("tools"), S_INIT("[]") },
    { S_INIT("top_logprobs"), S_INIT("0") },
    { S_INIT("top_p"), S_INIT("1.0") },
    { S_INIT("truncation"), S_INIT("\"disabled\"") },
    { S_INIT("user"), S_INIT("null") },
};

/* A copy of what is in a buffer, which is released. Empty, and out of room, if there is none. */
static struct str
take_buf(struct arena *a, struct buf *b)
{
    struct str copy = b->overflow ? str_make(NULL, 0) : arena_str(a, buf_str(b));

    buf_fini(b);
    return copy.p != NULL ? copy : S("");
}

struct str
responses_echo(struct arena *a, const struct llm_request *r)
{
    struct buf b;

    buf_init(&b, SIZE_MAX);
    for (size_t i = 0; i < ARRAY_LEN(echoed); i++) {
        const struct json *said = r != NULL ? json_get(r->doc, echoed[i].name) : NULL;
        bool fits = said != NULL && json_present(said) && said->n <= ECHO_BYTES_MAX;

        buf_add(&b, S(",\""));
        buf_add(&b, echoed[i].name);
        buf_add(&b, S("\":"));
        if (fits)
            json_add_line(&b, json_raw(said));
        else
            buf_add(&b, echoed[i].otherwise);
    }
    return take_buf(a, &b);
}

/* Ids of items are made from the answer's, so that they are the same in all events. */
static struct str
item_id(const struct wire_writer *w, enum item_kind kind, bool custom, uint32_t index)
{
    const char *prefix = kind == ITEM_REASONING ? "rs"
                         : kind == ITEM_MESSAGE ? "msg"
                         : kind == ITEM_IMAGE   ? "ig"
                                                : "fc";

    return arena_printf(
        w->keep, "%s_" STR_FMT "_%u", custom ? "ctc" : prefix, STR_ARG(w->id), (unsigned)index);
}

static struct str
answer_id(const struct wire_writer *w, struct str id)
{
    return str_starts(id, S("resp_")) ? arena_str(w->keep, id)
                                      : arena_printf(w->keep, "resp_" STR_FMT, STR_ARG(w->id));
}

static struct str
call_id(const struct wire_writer *w, struct str id, uint32_t index)
{
    return id.n > 0 ? id
                    : arena_printf(w->keep, "call_" STR_FMT "_%u", STR_ARG(w->id), (unsigned)index);
}

/* A proof as encrypted_content: OpenAI's own as it is, any other sealed. */
static struct str
encrypted_content(struct wire_writer *w, const struct seal *seal)
{
    struct str own = seal->signature.n > 0 ? seal->signature : seal->redacted;

    if (own.n == 0)
        return S("");

    struct str sealed =
        seal->origin == ORIGIN_OPENAI ? arena_str(w->keep, own) : seal_write(w->keep, seal);

    if (sealed.n == 0)
        w->out->overflow = true;
    return sealed;
}

/* Text that only arena_append() writes. */
static void
append(struct wire_writer *w, struct str *text, struct str more)
{
    if (!arena_append(w->keep, text, more))
        w->out->overflow = true;
}

static void
append_element(struct wire_writer *w, struct str *list, struct str element)
{
    if (list->n > 0)
        append(w, list, S(","));
    append(w, list, element);
}

/* `tokens`: JSON, with commas between them. */
static void
add_logprobs(struct json_out *o, struct str tokens)
{
    out_key_array(o, "logprobs");
    buf_add(o->b, tokens);
    out_end_array(o);
}

static void
add_part(struct json_out *o, enum llm_part_kind kind, struct str text, struct str annotations,
    struct str logprobs)
{
    out_object(o);
    if (kind == PART_REFUSAL) {
        out_const(o, "\"type\":\"refusal\"");
        out_text(o, "refusal", text);
    } else {
        out_const(o, "\"type\":\"output_text\"");
        out_text(o, "text", text);
        out_key_array(o, "annotations");
        buf_add(o->b, annotations);
        out_end_array(o);
        add_logprobs(o, logprobs);
    }
    out_end(o);
}

static void
add_annotation(struct json_out *o, const struct llm_citation *citation)
{
    out_object(o);
    out_const(o, "\"type\":\"url_citation\"");
    out_text(o, "url", citation->url);
    out_text(o, "title", citation->title);
    out_i64(o, "start_index", citation->from);
    out_i64(o, "end_index", citation->to);
    out_end(o);
}

static void
add_summary(struct json_out *o, struct str text)
{
    out_object(o);
    out_const(o, "\"type\":\"summary_text\"");
    out_text(o, "text", text);
    out_end(o);
}

static void
add_item(struct json_out *o, const struct item *item, struct str status)
{
    out_object(o);
    out_text(o, "id", item->id);
    switch (item->kind) {
    case ITEM_REASONING:
        out_const(o, "\"type\":\"reasoning\"");
        out_key_array(o, "summary");
        if (item->text.n > 0)
            add_summary(o, item->text);
        out_end_array(o);
        out_text_if(o, "encrypted_content", item->encrypted);
        break;
    case ITEM_MESSAGE:
        out_const(o, "\"type\":\"message\"");
        out_text(o, "status", status);
        out_const(o, "\"role\":\"assistant\"");
        out_key_array(o, "content");
        buf_add(o->b, item->parts);
        out_end_array(o);
        break;
    case ITEM_IMAGE:
        out_const(o, "\"type\":\"image_generation_call\"");
        out_text(o, "status", status);
        if (item->text.n > 0)
            out_text(o, "result", item->text);
        else
            out_null(o, "result");
        break;
    case ITEM_CALL:
    case ITEM_NONE:
        if (item->custom)
            out_const(o, "\"type\":\"custom_tool_call\"");
        else
            out_const(o, "\"type\":\"function_call\"");
        out_text(o, "status", status);
        out_text(o, "call_id", item->call_id);
        out_text(o, "name", item->name);
        if (item->custom)
            out_text(o, "input", item->text);
        else
            out_text(o, "arguments", item->text);
        break;
    }
    out_end(o);
}

static void
add_usage(struct json_out *o, const struct llm_usage *u)
{
    out_key_object(o, "usage");
    out_i64(o, "input_tokens", u->input);
    out_key_object(o, "input_tokens_details");
    out_i64(o, "cached_tokens", u->cached);
    if (u->cache_write > 0)
        out_i64(o, "cache_write_tokens", u->cache_write);
    out_end(o);
    out_i64(o, "output_tokens", u->output);
    out_key_object(o, "output_tokens_details");
    out_i64(o, "reasoning_tokens", u->reasoning);
    out_end(o);
    out_i64(o, "total_tokens", u->input + u->output);
    out_end(o);
}

/* Everything that an answer says besides its items. */
struct response {
    struct str id;
    struct str model;
    int64_t created_s;
    struct str status;
    const struct llm_error *error;
    struct str incomplete;    /* why it is; empty: it is not */
    struct str output;        /* JSON of the items */
    const struct llm_usage *usage;
};

static void
add_code(struct json_out *o, const struct llm_error *e)
{
    const char *code = openai_error_names[e->kind].code;

    out_text(o, "code", str_c(code != NULL ? code : "server_error"));
    out_text(o, "message", openai_sentence(e));
}

/* The members of a response; the object is open. */
static void
add_response(struct json_out *o, struct wire_writer *w, const struct response *res)
{
    if (w->echo.n == 0)
        w->echo = responses_echo(w->keep, NULL);
    out_text(o, "id", res->id);
    out_const(o, "\"object\":\"response\"");
    out_i64(o, "created_at", res->created_s > 0 ? res->created_s : w->created_s);
    out_text(o, "status", res->status);
    out_const(o, "\"background\":false");
    if (res->error != NULL) {
        out_key_object(o, "error");
        add_code(o, res->error);
        out_end(o);
    } else {
        out_null(o, "error");
    }
    if (res->incomplete.n > 0) {
        out_key_object(o, "incomplete_details");
        out_text(o, "reason", res->incomplete);
        out_end(o);
    } else {
        out_null(o, "incomplete_details");
    }
    buf_add(o->b, w->echo);
    out_text(o, "model", res->model.n > 0 ? res->model : w->model);
    out_text_if(o, "provider", w->provider);
    out_key_array(o, "output");
    buf_add(o->b, res->output);
    out_end_array(o);
    if (res->usage != NULL && usage_known(res->usage))
        add_usage(o, res->usage);
    else
        out_null(o, "usage");
}

/* The whole answer, if it is wanted. */
static void
keep(const struct wire_writer *w, const struct response *res, struct str document)
{
    if (w->keep_answer != NULL && !w->out->overflow)
        w->keep_answer(w->keep_arg, res->id, document);
}

static struct str
why_incomplete(enum llm_finish finish)
{
    return finish == FINISH_LENGTH   ? S("max_output_tokens")
           : finish == FINISH_FILTER ? S("content_filter")
                                     : S("");
}

static struct str
status_of(enum llm_finish finish)
{
    return why_incomplete(finish).n > 0 ? S("incomplete") : S("completed");
}

/* --- the events of a stream --- */

/* Opens the data of an event; end_event() closes it. */
static struct json_out
begin_event(struct response_encoder *e, struct str type)
{
    struct json_out o = json_out(e->w->out);

    buf_add(o.b, S("event: "));
    buf_add(o.b, type);
    buf_add(o.b, S("\ndata: "));
    out_object(&o);
    out_text(&o, "type", type);
    out_i64(&o, "sequence_number", (int64_t)e->sequence++);
    return o;
}

static void
end_event(struct json_out *o)
{
    buf_add(o->b, S("}\n\n"));
}

/* An event about the open item. */
static struct json_out
begin_item_event(struct response_encoder *e, struct str type)
{
    struct json_out o = begin_event(e, type);

    out_text(&o, "item_id", e->item.id);
    out_i64(&o, "output_index", e->index);
    return o;
}

/* An event about the open part of it. */
static struct json_out
begin_part_event(struct response_encoder *e, struct str type)
{
    struct json_out o = begin_item_event(e, type);

    if (e->item.kind == ITEM_REASONING)
        out_const(&o, "\"summary_index\":0");
    else
        out_i64(&o, "content_index", e->part);
    return o;
}

static void
write_response(struct response_encoder *e, struct str type, const struct response *res)
{
    struct json_out o = begin_event(e, type);

    out_key(&o, "response");

    size_t before = buf_len(o.b);

    out_object(&o);
    add_response(&o, e->w, res);
    out_end(&o);
    if (res->usage != NULL && res->error == NULL)
        keep(e->w, res, str_skip(buf_str(o.b), before));
    end_event(&o);
}

static void
write_start(struct response_encoder *e, const struct llm_event *ev)
{
    struct response res = { .status = S("in_progress") };

    if (e->started)
        return;
    e->started = true;
    e->id = res.id = answer_id(e->w, ev != NULL ? ev->id : S(""));
    e->model = res.model = ev != NULL ? arena_str(e->w->keep, ev->model) : S("");
    e->created_s = res.created_s = ev != NULL ? ev->created_s : 0;
    write_response(e, S("response.created"), &res);
    write_response(e, S("response.in_progress"), &res);
}

/* --- parts --- */

static void
open_part(struct response_encoder *e, enum llm_part_kind kind)
{
    struct json_out o;

    e->part_open = true;
    e->open = kind;
    if (e->item.kind == ITEM_REASONING) {
        o = begin_part_event(e, S("response.reasoning_summary_part.added"));
        out_key(&o, "part");
        add_summary(&o, S(""));
    } else {
        o = begin_part_event(e, S("response.content_part.added"));
        out_key(&o, "part");
        add_part(&o, kind, S(""), S(""), S(""));
    }
    end_event(&o);
}

static void
close_part(struct response_encoder *e)
{
    struct json_out o;

    if (!e->part_open)
        return;
    e->part_open = false;
    if (e->item.kind == ITEM_REASONING) {
        o = begin_part_event(e, S("response.reasoning_summary_text.done"));
        out_text(&o, "text", e->text);
        end_event(&o);
        o = begin_part_event(e, S("response.reasoning_summary_part.done"));
        out_key(&o, "part");
        add_summary(&o, e->text);
        e->item.text = e->text;
    } else {
        if (e->open == PART_REFUSAL) {
            o = begin_part_event(e, S("response.refusal.done"));
            out_text(&o, "refusal", e->text);
        } else {
            o = begin_part_event(e, S("response.output_text.done"));
            out_text(&o, "text", e->text);
            add_logprobs(&o, e->logprobs);
        }
        end_event(&o);
        o = begin_part_event(e, S("response.content_part.done"));
        out_key(&o, "part");

        size_t before = buf_len(o.b);

        add_part(&o, e->open, e->text, e->annotations, e->logprobs);
        append_element(e->w, &e->item.parts, str_skip(buf_str(o.b), before));
        e->part++;
    }
    end_event(&o);
    e->text = S("");
    e->annotations = S("");
    e->annotation_count = 0;
    e->logprobs = S("");
}

/* --- items --- */

static void
open_item(struct response_encoder *e, enum item_kind kind, bool custom)
{
    struct json_out o = begin_event(e, S("response.output_item.added"));

    e->item.kind = kind;
    e->item.custom = custom;
    e->item.id = item_id(e->w, kind, custom, e->index);
    out_i64(&o, "output_index", e->index);
    out_key(&o, "item");
    add_item(&o, &e->item, S("in_progress"));
    end_event(&o);
}

/* The arguments of a call are told once more when they are complete. */
static void
close_call(struct response_encoder *e)
{
    struct json_out o =
        begin_item_event(e, e->item.custom ? S("response.custom_tool_call_input.done")
                                           : S("response.function_call_arguments.done"));

    e->item.text = e->text;
    if (e->item.custom)
        out_text(&o, "input", e->text);
    else
        out_text(&o, "arguments", e->text);
    end_event(&o);
    e->text = S("");
}

static void
close_item(struct response_encoder *e, struct str status)
{
    if (e->item.kind == ITEM_NONE)
        return;
    if (e->item.kind == ITEM_CALL)
        close_call(e);
    close_part(e);

    struct json_out o = begin_event(e, S("response.output_item.done"));

    out_i64(&o, "output_index", e->index);
    out_key(&o, "item");

    size_t before = buf_len(o.b);

    add_item(&o, &e->item, status);
    append_element(e->w, &e->output, str_skip(buf_str(o.b), before));
    end_event(&o);
    e->item = (struct item){ .kind = ITEM_NONE };
    e->index++;
    e->part = 0;
}

/* Opens an item unless one of that kind is open. */
static void
want_item(struct response_encoder *e, enum item_kind kind)
{
    if (e->item.kind == kind)
        return;
    close_item(e, S("completed"));
    open_item(e, kind, false);
}

static void
write_delta(struct response_encoder *e, struct str type, struct str text)
{
    struct json_out o =
        e->item.kind == ITEM_CALL ? begin_item_event(e, type) : begin_part_event(e, type);

    out_text(&o, "delta", text);
    if (e->item.kind == ITEM_MESSAGE && e->open == PART_TEXT)
        out_const(&o, "\"logprobs\":[]");
    end_event(&o);
    append(e->w, &e->text, text);
}

static void
write_words(struct response_encoder *e, enum llm_part_kind kind, struct str text)
{
    if (text.n == 0)
        return;
    want_item(e, ITEM_MESSAGE);
    if (e->part_open && e->open != kind)
        close_part(e);
    if (!e->part_open)
        open_part(e, kind);
    write_delta(
        e, kind == PART_TEXT ? S("response.output_text.delta") : S("response.refusal.delta"), text);
}

/* They belong to the text before: a piece without text carries them. */
static void
write_logprobs(struct response_encoder *e, struct str raw)
{
    struct json_out o;
    size_t before;

    if (e->item.kind == ITEM_CALL)
        return;
    want_item(e, ITEM_MESSAGE);
    if (!e->part_open)
        open_part(e, PART_TEXT);
    if (e->open != PART_TEXT)
        return;
    o = begin_part_event(e, S("response.output_text.delta"));
    out_text(&o, "delta", S(""));
    out_key_array(&o, "logprobs");
    before = buf_len(o.b);
    responses_add_logprobs(&o, raw);
    append_element(e->w, &e->logprobs, str_skip(buf_str(o.b), before));
    out_end_array(&o);
    end_event(&o);
}

static void
write_thought(struct response_encoder *e, struct str text)
{
    if (text.n == 0)
        return;
    want_item(e, ITEM_REASONING);
    if (!e->part_open)
        open_part(e, PART_TEXT);
    write_delta(e, S("response.reasoning_summary_text.delta"), text);
}

/* The proof of the thoughts before it, or of some that nobody may read. */
static void
write_proof(struct response_encoder *e, const struct seal *seal)
{
    struct seal whole = *seal;

    if (e->item.kind == ITEM_CALL)
        return;
    if (seal->redacted.n > 0 || seal->call.n > 0)
        close_item(e, S("completed"));
    want_item(e, ITEM_REASONING);
    whole.text = e->text;
    e->item.encrypted = encrypted_content(e->w, &whole);
    close_item(e, S("completed"));    /* further thoughts are another item */
}

static void
write_call(struct response_encoder *e, const struct llm_event *ev)
{
    struct str id = call_id(e->w, ev->id, ev->tool);

    close_item(e, S("completed"));
    if (ev->signature.n > 0)
        write_proof(
            e, &(struct seal){ .origin = ev->origin, .signature = ev->signature, .call = id });
    e->item.call_id = arena_str(e->w->keep, id);
    e->item.name = arena_str(e->w->keep, ev->name);
    open_item(e, ITEM_CALL, ev->custom);
}

static void
write_args(struct response_encoder *e, struct str text)
{
    if (text.n == 0 || e->item.kind != ITEM_CALL)
        return;
    write_delta(e,
        e->item.custom ? S("response.custom_tool_call_input.delta")
                       : S("response.function_call_arguments.delta"),
        text);
}

static void
write_citation(struct response_encoder *e, const struct llm_citation *citation)
{
    if (citation->url.n == 0 || e->item.kind == ITEM_CALL)    /* there is no other kind */
        return;
    want_item(e, ITEM_MESSAGE);
    if (!e->part_open)
        open_part(e, PART_TEXT);

    struct json_out o = begin_part_event(e, S("response.output_text.annotation.added"));

    out_i64(&o, "annotation_index", e->annotation_count++);
    out_key(&o, "annotation");

    size_t before = buf_len(o.b);

    add_annotation(&o, citation);
    append_element(e->w, &e->annotations, str_skip(buf_str(o.b), before));
    end_event(&o);
}

/* --- the end --- */

/* A picture, as if a tool of the provider's had made it. */
static void
write_image(struct response_encoder *e, const struct llm_part *picture)
{
    struct json_out o;

    if (picture->kind != PART_IMAGE || picture->data.n == 0)
        return;
    close_item(e, S("completed"));
    open_item(e, ITEM_IMAGE, false);
    o = begin_item_event(e, S("response.image_generation_call.in_progress"));
    end_event(&o);
    o = begin_item_event(e, S("response.image_generation_call.completed"));
    end_event(&o);
    e->item.text = picture->data;
    close_item(e, S("completed"));
}

static void
write_end(struct response_encoder *e)
{
    struct str status = status_of(e->finish);

    close_item(e, status);
    write_response(e,
        str_eq(status, S("completed")) ? S("response.completed") : S("response.incomplete"),
        &(struct response){
            .id = e->id,
            .model = e->model,
            .created_s = e->created_s,
            .status = status,
            .incomplete = why_incomplete(e->finish),
            .output = e->output,
            .usage = &e->usage,
        });
    e->over = true;
}

/* Clients learn of a failure from one of two events. */
static void
write_failure(struct response_encoder *e, const struct llm_error *error)
{
    struct json_out o = begin_event(e, S("error"));

    add_code(&o, error);
    if (error->param.n > 0)
        out_text(&o, "param", error->param);
    else
        out_null(&o, "param");
    end_event(&o);
    write_response(e, S("response.failed"),
        &(struct response){
            .id = e->id,
            .model = e->model,
            .created_s = e->created_s,
            .status = S("failed"),
            .error = error,
            .output = e->output,
            .usage = &e->usage,
        });
    e->over = true;
}

static void
write_content(struct event_sink *sink, const struct llm_event *ev)
{
    struct response_encoder *e = CONTAINER_OF(sink, struct response_encoder, sink);

    write_start(e, ev->kind == EVENT_START ? ev : NULL);
    switch (ev->kind) {
    case EVENT_TEXT:
        write_words(e, PART_TEXT, ev->text);
        break;
    case EVENT_REFUSAL:
        write_words(e, PART_REFUSAL, ev->text);
        break;
    case EVENT_REASONING:
        write_thought(e, ev->text);
        break;
    case EVENT_SIGNATURE:
        write_proof(e, &(struct seal){ .origin = ev->origin, .signature = ev->signature });
        break;
    case EVENT_REDACTED:
        write_proof(e, &(struct seal){ .origin = ev->origin, .redacted = ev->text });
        break;
    case EVENT_TOOL_START:
        write_call(e, ev);
        break;
    case EVENT_TOOL_ARGS:
        write_args(e, ev->text);
        break;
    case EVENT_TOOL_END:
        if (e->item.kind == ITEM_CALL)
            close_item(e, S("completed"));
        break;
    case EVENT_CITATION:
        write_citation(e, ev->citation);
        break;
    case EVENT_LOGPROBS:
        write_logprobs(e, ev->raw);
        break;
    case EVENT_MEDIA:
        write_image(e, ev->media);
        break;
    case EVENT_FINISH:
        close_item(e, status_of(ev->finish));
        e->finish = ev->finish;
        break;
    case EVENT_ERROR:
        write_failure(e, ev->error);
        break;
    case EVENT_END:
        write_end(e);
        break;
    default:    /* blocks of other wires cannot be expressed */
        break;
    }
}

void
responses_write_event(struct wire_writer *w, const struct llm_event *ev)
{
    struct response_encoder *e = w->state;

    if (e == NULL) {
        w->state = e = arena_new(w->keep, struct response_encoder);
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

/* Writes items as elements of a list that is open. */
struct list {
    struct json_out o;
    struct wire_writer *w;
    uint32_t index;
    bool cited;    /* what belongs to the answer's text was told with its first part */
};

static void
list_item(struct list *l, struct item *item, struct str status)
{
    item->id = item_id(l->w, item->kind, item->custom, l->index++);
    add_item(&l->o, item, status);
}

static void
list_proof(struct list *l, const struct seal *seal)
{
    struct item item = {
        .kind = ITEM_REASONING,
        .text = seal->call.n == 0 ? seal->text : S(""),
        .encrypted = encrypted_content(l->w, seal),
    };

    list_item(l, &item, S("completed"));
}

static void
list_call(struct list *l, const struct llm_part *part, uint32_t number)
{
    struct item item = {
        .kind = ITEM_CALL,
        .text = part->args.n > 0 || part->custom ? part->args : S("{}"),
        .call_id = call_id(l->w, part->id, number),
        .name = part->name,
        .custom = part->custom,
    };

    if (part->signature.n > 0)
        list_proof(
            l, &(struct seal){
                   .origin = part->origin, .signature = part->signature, .call = item.call_id });
    list_item(l, &item, S("completed"));
}

static bool
is_words(const struct llm_part *part)
{
    return part != NULL && part->text.n > 0 &&
           (part->kind == PART_TEXT || part->kind == PART_REFUSAL);
}

/* A message of the texts from `part` on. Returns the last of them. */
static const struct llm_part *
list_message(struct list *l, const struct llm_part *part, const struct llm_answer_choice *c)
{
    struct buf parts;
    struct buf annotations;
    struct buf logprobs;
    struct json_out o = { .b = &annotations };

    buf_init(&annotations, SIZE_MAX);
    buf_init(&logprobs, SIZE_MAX);
    for (const struct llm_cited *cited = c->citations; cited != NULL && !l->cited;
         cited = cited->next)
        if (cited->citation.url.n > 0)
            add_annotation(&o, &cited->citation);
    o = json_out(&logprobs);
    for (const struct llm_fragment *f = c->logprobs; f != NULL && !l->cited; f = f->next)
        responses_add_logprobs(&o, json_raw(f->doc));
    buf_init(&parts, SIZE_MAX);
    o = json_out(&parts);
    for (;; part = part->next) {
        bool cites = part->kind == PART_TEXT && !l->cited;

        add_part(&o, part->kind, part->text, cites ? buf_str(&annotations) : S(""),
            cites ? buf_str(&logprobs) : S(""));
        l->cited = l->cited || cites;
        if (!is_words(part->next))
            break;
    }

    struct item item = { .kind = ITEM_MESSAGE, .parts = buf_str(&parts) };

    list_item(l, &item, status_of(part->next == NULL ? c->finish : FINISH_STOP));
    buf_fini(&parts);
    buf_fini(&annotations);
    buf_fini(&logprobs);
    return part;
}

static void
list_items(struct list *l, const struct llm_answer_choice *c)
{
    uint32_t calls = 0;

    for (const struct llm_part *part = c->parts; part != NULL; part = part->next) {
        if (is_words(part))
            part = list_message(l, part, c);
        else if (part->kind == PART_TOOL_CALL)
            list_call(l, part, calls++);
        else if (part->kind == PART_IMAGE && part->data.n > 0)
            list_item(l, &(struct item){ .kind = ITEM_IMAGE, .text = part->data }, S("completed"));
        else if (part->kind == PART_REASONING)
            list_proof(l, &(struct seal){ .origin = part->origin,
                              .text = part->text,
                              .signature = part->signature,
                              .redacted = part->redacted });
    }
}

void
responses_write_answer(struct wire_writer *w, const struct llm_answer *ans)
{
    static const struct llm_answer_choice nothing = { .finish = FINISH_STOP };
    const struct llm_answer_choice *c = ans->choices != NULL ? ans->choices : &nothing;
    struct buf items;
    struct list l = { .o = json_out(&items), .w = w };
    struct json_out o = json_out(w->out);

    buf_init(&items, SIZE_MAX);
    list_items(&l, c);

    struct response res = {
        .id = answer_id(w, ans->id),
        .model = ans->model,
        .created_s = ans->created_s,
        .status = status_of(c->finish),
        .incomplete = why_incomplete(c->finish),
        .output = buf_str(&items),
        .usage = &ans->usage,
    };
    size_t before = buf_len(w->out);

    out_object(&o);
    add_response(&o, w, &res);
    out_end(&o);
    w->out->overflow = w->out->overflow || items.overflow;
    keep(w, &res, str_skip(buf_str(w->out), before));
    buf_fini(&items);
}

void
responses_write_token_count(struct buf *out, int64_t input_tokens)
{
    buf_add(out, S("{\"object\":\"response.input_tokens\",\"input_tokens\":"));
    buf_add_i64(out, MAX(input_tokens, 0));
    buf_add_c(out, '}');
}

/* caller_answer.c - answers for an OpenAI caller: stream chunks, whole bodies, errors.
 *
 * Every chunk of a stream begins with the same id, time and model: that prefix is
 * made once, so that an event costs an append and no allocation.
 */
#include "base/json_out.h"
#include "llm/media.h"
#include "llm/seal.h"
#include "wires/openai_chat/openai_chat.h"

enum { ID_MAX = 512 };    /* every chunk repeats id and model; longer ones are replaced by ours */

struct answer_written {
    struct str prefix;    /* data: {"id":...,"choices":[ */
    struct str suffix;    /* after the list of choices */
    struct llm_usage usage;
    bool begun[LLM_CHOICES_MAX];    /* choices that have had the chunk with the role */
    uint32_t proofs;                /* blocks of reasoning that were signed so far */
    bool done;
};

/* --- what both forms share --- */

static bool
is_completion(const struct wire_writer *w)
{
    return w->op == OP_COMPLETE;
}

/* ,"cost":0.00015 in dollars, where the route promises it and it is known. */
void
openai_add_cost(struct json_out *o, const struct wire_writer *w, const struct llm_usage *u)
{
    int64_t nanousd = w->cost != NULL ? w->cost(w->cost_arg, u) : -1;

    if (nanousd < 0)
        return;
    out_key(o, "cost");
    json_add_f64(o->b, (double)nanousd / 1e9);
    o->comma = true;
}

void
openai_add_usage(struct json_out *o, const struct wire_writer *w, const struct llm_usage *u)
{
    out_key_object(o, "usage");
    out_i64(o, "prompt_tokens", u->input);
    out_i64(o, "completion_tokens", u->output);
    out_i64(o, "total_tokens", u->input + u->output);
    out_key_object(o, "prompt_tokens_details");
    out_i64(o, "cached_tokens", u->cached);
    if (u->cache_write > 0)
        out_i64(o, "cache_write_tokens", u->cache_write);
    out_i64(o, "audio_tokens", u->audio_input);
    out_end(o);
    out_key_object(o, "completion_tokens_details");
    out_i64(o, "reasoning_tokens", u->reasoning);
    out_i64(o, "audio_tokens", u->audio_output);
    out_end(o);
    openai_add_cost(o, w, u);
    out_end(o);
}

/* A reason that OpenAI does not have is added as native_finish_reason. */
static void
add_finish(
    struct json_out *o, const struct wire_writer *w, enum llm_finish finish, struct str native)
{
    out_text(o, "finish_reason",
        w->old_calls && finish == FINISH_TOOLS ? S("function_call")
                                               : str_c(llm_finish_name(finish)));
    if (finish == FINISH_UNKNOWN)
        out_text_if(o, "native_finish_reason", native);
}

/* Opens the document. */
static struct json_out
open_document(struct wire_writer *w, struct buf *out, bool chunk, struct str id, struct str model,
    int64_t created_s)
{
    struct json_out o = json_out(out);
    bool completion = is_completion(w);

    out_object(&o);
    out_key(&o, "id");
    if (id.n > 0) {
        out_text_value(&o, id);
    } else {
        out_string(&o);
        buf_add(out, completion ? S("cmpl-") : S("chatcmpl-"));
        out_piece(&o, w->id);
        out_end_string(&o);
    }
    out_text(&o, "object",
        completion ? S("text_completion")
        : chunk    ? S("chat.completion.chunk")
                   : S("chat.completion"));
    out_i64(&o, "created", created_s > 0 ? created_s : w->created_s);
    out_text(&o, "model", model.n > 0 ? model : w->model);
    out_text_if(&o, "provider", w->provider);
    out_key_array(&o, "choices");
    return o;
}

/* An entry of reasoning_details. Its id marks it as ours; see edit_messages(). Proofs without a form of
 * their own are sealed. */
static void
add_proof(struct json_out *o, struct arena *a, uint32_t index, const struct seal *s)
{
    bool openai = s->origin == ORIGIN_OPENAI;
    bool sealed = !openai && s->origin != ORIGIN_ANTHROPIC && s->origin != ORIGIN_NONE;
    struct str redacted = sealed ? seal_write(a, s) : openai ? s->signature : S("");

    if (redacted.n == 0)
        redacted = s->redacted;
    out_object(o);
    if (redacted.n > 0) {
        out_const(o, "\"type\":\"reasoning.encrypted\"");
        out_text(o, "data", redacted);
    } else {
        out_const(o, "\"type\":\"reasoning.text\"");
        out_text(o, "text", s->text);
        out_text(o, "signature", s->signature);
    }
    out_key(o, "id");
    out_string(o);
    buf_add(o->b, S(OPENAI_REASONING_ID));
    buf_add_u64(o->b, index);
    out_end_string(o);
    if (sealed)
        out_const(o, "\"format\":\"" OPENAI_REASONING_SEALED "\"");
    else if (openai)
        out_const(o, "\"format\":\"" OPENAI_REASONING_OPENAI "\"");
    else
        out_const(o, "\"format\":\"" OPENAI_REASONING_ANTHROPIC "\"");
    out_i64(o, "index", index);
    out_end(o);
}

/* The members of a call, or of a piece of one, which has neither id nor name. */
static void
add_call(
    struct json_out *o, bool begins, bool custom, struct str id, struct str name, struct str args)
{
    if (begins)
        out_text(o, "id", id);
    if (custom) {
        if (begins)
            out_const(o, "\"type\":\"custom\"");
        out_key_object(o, "custom");
        if (begins)
            out_text(o, "name", name);
        out_text(o, "input", args);
    } else {
        if (begins)
            out_const(o, "\"type\":\"function\"");
        out_key_object(o, "function");
        if (begins)
            out_text(o, "name", name);
        out_text(o, "arguments", args);
    }
    out_end(o);
}

/* The deprecated form, which has neither ids nor a second call. */
static void
add_old_call(struct json_out *o, bool begins, struct str name, struct str args)
{
    out_key_object(o, "function_call");
    if (begins)
        out_text(o, "name", name);
    out_text(o, "arguments", args);
    out_end(o);
}

static void
add_call_signature(struct json_out *o, struct str signature)
{
    if (signature.n == 0)
        return;
    out_key_object(o, "extra_content");
    out_key_object(o, "google");
    out_text(o, "thought_signature", signature);
    out_end(o);
    out_end(o);
}

/* Clients with types require all members, also where the place in the text is not known. */
static void
add_annotation(struct json_out *o, const struct llm_citation *citation)
{
    out_object(o);
    out_const(o, "\"type\":\"url_citation\"");
    out_key_object(o, "url_citation");
    out_text(o, "url", citation->url);
    out_text(o, "title", citation->title);
    out_i64(o, "start_index", citation->from);
    out_i64(o, "end_index", citation->to);
    out_end(o);
    out_end(o);
}

/* {"type":"thinking","thinking":[{"type":"text","text": ; the text and end_thought() follow. */
static void
begin_thought(struct json_out *o)
{
    out_object(o);
    out_const(o, "\"type\":\"thinking\"");
    out_key_array(o, "thinking");
    out_object(o);
    out_const(o, "\"type\":\"text\"");
}

static void
end_thought(struct json_out *o)
{
    out_end(o);
    out_end_array(o);
    out_end(o);
}

/* --- the stream --- */

/* Builds the parts that all chunks have in common. `ev` is not a START if the provider sent none.
 */
static void
make_prefix(struct wire_writer *w, struct answer_written *st, const struct llm_event *ev)
{
    bool start = ev->kind == EVENT_START;
    struct str id = start && ev->id.n <= ID_MAX ? ev->id : S("");
    struct str model = start && ev->model.n <= ID_MAX ? ev->model : S("");
    struct buf b;

    buf_init(&b, 64 * 1024);
    buf_add(&b, S("data: "));
    (void)open_document(w, &b, true, id, model, start ? ev->created_s : 0);

    char *prefix = arena_array(w->keep, char, buf_len(&b));

    memcpy(prefix, buf_str(&b).p, buf_len(&b));
    st->prefix = str_make(prefix, buf_len(&b));
    st->suffix = w->want_usage ? S("],\"usage\":null}\n\n") : S("]}\n\n");
    buf_fini(&b);
}

/* Opens a chunk: everything up to the choice's own members. */
static struct json_out
open_choice(struct wire_writer *w, const struct answer_written *st, uint32_t index)
{
    buf_add(w->out, st->prefix);
    buf_add(w->out, S("{\"index\":"));
    buf_add_u64(w->out, index);
    return (struct json_out){ .b = w->out, .comma = true };
}

/* A picture as OpenRouter's answers have it; `alone`: as the list of them. */
static void
add_image(struct json_out *o, const struct llm_part *picture, bool alone)
{
    if (alone)
        out_key_array(o, "images");
    out_object(o);
    out_const(o, "\"type\":\"image_url\"");
    out_key_object(o, "image_url");
    out_key(o, "url");
    media_add_url(o, picture);
    out_end(o);
    out_end(o);
    if (alone)
        out_end_array(o);
}

/* `whole`: not a piece of a stream's. */
static void
add_audio(struct json_out *o, const struct wire_writer *w, const struct llm_part *sound, bool whole)
{
    out_key_object(o, "audio");
    out_key(o, "id");
    out_string(o);
    buf_add(o->b, sound->name.n > 0 ? S("") : S("audio_"));
    out_piece(o, sound->name.n > 0 ? sound->name : w->id);
    out_end_string(o);
    out_text(o, "data", sound->data);
    if (whole) {    /* it cannot be asked for again */
        out_i64(o, "expires_at", w->created_s);
        out_text(o, "transcript", S(""));
    }
    out_end(o);
}

/* A chunk with a piece of a chat's message. */
static void
write_delta(struct wire_writer *w, struct answer_written *st, const struct llm_event *ev)
{
    struct json_out o = open_choice(w, st, ev->choice);

    out_key_object(&o, "delta");
    switch (ev->kind) {
    case EVENT_TEXT:
        out_text(&o, "content", ev->text);
        break;
    case EVENT_REASONING:
        if (!w->wire->caller->thoughts_in_content) {
            out_text(&o, "reasoning_content", ev->text);
            break;
        }
        out_key_array(&o, "content");
        begin_thought(&o);
        out_text(&o, "text", ev->text);
        end_thought(&o);
        out_end_array(&o);
        break;
    case EVENT_REFUSAL:
        out_text(&o, "refusal", ev->text);
        break;
    case EVENT_TOOL_START:
    case EVENT_TOOL_ARGS:
        if (w->old_calls) {
            if (ev->tool == 0)
                add_old_call(&o, ev->kind == EVENT_TOOL_START, ev->name, ev->text);
            break;
        }
        out_key_array(&o, "tool_calls");
        out_object(&o);
        out_i64(&o, "index", ev->tool);
        add_call(&o, ev->kind == EVENT_TOOL_START, ev->custom, ev->id, ev->name, ev->text);
        add_call_signature(&o, ev->signature);
        out_end(&o);
        out_end_array(&o);
        break;
    case EVENT_CITATION:
        out_key_array(&o, "annotations");
        add_annotation(&o, ev->citation);
        out_end_array(&o);
        break;
    case EVENT_MEDIA:
        if (ev->media->kind == PART_IMAGE)
            add_image(&o, ev->media, true);
        else
            add_audio(&o, w, ev->media, false);
        break;
    case EVENT_SIGNATURE:
    case EVENT_REDACTED:
        /* the proof of a block, in the form that clients of OpenRouter send back unchanged */
        out_key_array(&o, "reasoning_details");
        add_proof(&o, w->keep, st->proofs++,
            &(struct seal){
                .origin = ev->origin, .signature = ev->signature, .redacted = ev->text });
        out_end_array(&o);
        break;
    default:    /* the first one */
        out_const(&o, "\"role\":\"assistant\",\"content\":\"\",\"refusal\":null");
        break;
    }
    buf_add(w->out, S("},\"logprobs\":null,\"finish_reason\":null}"));
    buf_add(w->out, st->suffix);
}

/* A chunk without a delta, or any chunk of a text completion: its text, log probabilities and
 * finish reason. */
static void
write_plain(struct wire_writer *w, const struct answer_written *st, const struct llm_event *ev)
{
    struct json_out o = open_choice(w, st, ev->choice);

    if (is_completion(w))
        out_text(&o, "text", ev->kind == EVENT_TEXT ? ev->text : S(""));
    else
        out_const(&o, "\"delta\":{}");
    out_key(&o, "logprobs");
    json_add_line(w->out, ev->kind == EVENT_LOGPROBS ? ev->raw : S("null"));
    o.comma = true;
    if (ev->kind == EVENT_FINISH)
        add_finish(&o, w, ev->finish, ev->native);
    else
        out_null(&o, "finish_reason");
    out_end(&o);
    buf_add(w->out, st->suffix);
}

static void
begin_choice(struct wire_writer *w, struct answer_written *st, uint32_t index)
{
    CHECK(index < LLM_CHOICES_MAX);
    if (!st->begun[index] && !is_completion(w))
        write_delta(w, st, &(struct llm_event){ .kind = EVENT_START, .choice = index });
    st->begun[index] = true;
}

static void
write_content(struct wire_writer *w, struct answer_written *st, const struct llm_event *ev)
{
    bool completion = is_completion(w);

    begin_choice(w, st, ev->choice);
    switch (ev->kind) {
    case EVENT_FINISH:
    case EVENT_LOGPROBS:
        write_plain(w, st, ev);
        break;
    case EVENT_TEXT:
        if (completion)
            write_plain(w, st, ev);
        else
            write_delta(w, st, ev);
        break;
    case EVENT_MEDIA:
        if (!completion && (ev->media->kind == PART_IMAGE || ev->media->kind == PART_AUDIO))
            write_delta(w, st, ev);
        break;
    case EVENT_CITATION:
        if (!completion && ev->citation->url.n > 0)    /* there is no other kind */
            write_delta(w, st, ev);
        break;
    case EVENT_TOOL_END:
        break;
    default:
        if (!completion)
            write_delta(w, st, ev);
        break;
    }
}

static void
write_end(struct wire_writer *w, struct answer_written *st)
{
    if (w->want_usage && usage_known(&st->usage)) {
        struct json_out o = { .b = w->out, .comma = true };

        buf_add(w->out, st->prefix);
        buf_add_c(w->out, ']');
        openai_add_usage(&o, w, &st->usage);
        buf_add(w->out, S("}\n\n"));
    }
    buf_add(w->out, S("data: [DONE]\n\n"));
    st->done = true;
}

/* An error within a stream is a chunk, too. */
static void
write_router_break(struct wire_writer *w, const struct llm_error *e)
{
    buf_add(w->out, S("data: "));

    struct json_out o = open_document(w, w->out, true, S(""), S(""), 0);

    out_object(&o);
    out_const(&o, "\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"");
    out_end(&o);
    out_end_array(&o);
    openai_add_router_error(&o, e, S(""));
    out_end(&o);
    buf_add(w->out, S("\n\n"));
}

void
openai_write_event(struct wire_writer *w, const struct llm_event *ev)
{
    struct answer_written *st = w->state;

    if (st == NULL)
        w->state = st = arena_new(w->keep, struct answer_written);
    if (st->done)
        return;
    if (st->prefix.n == 0 && ev->kind != EVENT_ERROR)
        make_prefix(w, st, ev);

    switch (ev->kind) {
    case EVENT_NONE:
    case EVENT_OPAQUE:
        break;
    case EVENT_START:
        begin_choice(w, st, 0);
        /* fall through */
    case EVENT_USAGE:
        usage_update(&st->usage, &ev->usage);
        break;
    case EVENT_ERROR:
        /* clients raise an exception on it; nothing may follow, not even [DONE] */
        if (w->provider.n != 0) {
            write_router_break(w, ev->error);
        } else {
            buf_add(w->out, S("data: "));
            openai_write_error(w->out, ev->error, S(""));
            buf_add(w->out, S("\n\n"));
        }
        st->done = true;
        break;
    case EVENT_END:
        write_end(w, st);
        break;
    default:
        write_content(w, st, ev);
        break;
    }
}

/* --- the whole answer --- */

/* The texts of all parts of one kind, as the string that follows `key`. False, with nothing
 * written, if there are none. */
static bool
add_texts(struct json_out *o, struct str key, const struct llm_part *part, enum llm_part_kind kind)
{
    bool any = false;

    for (; part != NULL; part = part->next) {
        if (part->kind != kind || part->text.n == 0)
            continue;
        if (!any) {
            out_key_str(o, key);
            out_string(o);
        }
        any = true;
        out_piece(o, part->text);
    }
    if (any)
        out_end_string(o);
    return any;
}

/* Signed and encrypted blocks, so that a caller can send them back. */
static void
add_reasoning_details(struct json_out *o, struct arena *a, const struct llm_part *part)
{
    uint32_t n = 0;

    for (; part != NULL; part = part->next) {
        if (part->kind != PART_REASONING || (part->signature.n == 0 && part->redacted.n == 0))
            continue;
        if (n == 0)
            out_key_array(o, "reasoning_details");
        add_proof(o, a, n++,
            &(struct seal){ .origin = part->origin,
                .text = part->text,
                .signature = part->signature,
                .redacted = part->redacted });
    }
    if (n > 0)
        out_end_array(o);
}

static void
add_calls(struct json_out *o, const struct llm_part *part)
{
    out_key_array(o, "tool_calls");
    for (; part != NULL; part = part->next) {
        if (part->kind != PART_TOOL_CALL)
            continue;

        out_object(o);
        add_call(o, true, part->custom, part->id, part->name, part->args);
        add_call_signature(o, part->signature);
        out_end(o);
    }
    out_end_array(o);
}

static void
add_annotations(struct json_out *o, const struct llm_cited *cited)
{
    bool any = false;

    for (; cited != NULL; cited = cited->next) {
        if (cited->citation.url.n == 0)
            continue;
        if (!any)
            out_key_array(o, "annotations");
        any = true;
        add_annotation(o, &cited->citation);
    }
    if (any)
        out_end_array(o);
}

/* All pictures, and the first sound: there is room for one. */
static void
add_media(struct json_out *o, const struct wire_writer *w, const struct llm_part *parts)
{
    const struct llm_part *sound = NULL;
    bool any = false;

    for (const struct llm_part *part = parts; part != NULL; part = part->next) {
        if (part->kind == PART_AUDIO && sound == NULL)
            sound = part;
        if (part->kind != PART_IMAGE)
            continue;
        if (!any)
            out_key_array(o, "images");
        any = true;
        add_image(o, part, false);
    }
    if (any)
        out_end_array(o);
    if (sound != NULL)
        add_audio(o, w, sound, true);
}

static const struct llm_part *
first_call(const struct llm_part *part)
{
    while (part != NULL && part->kind != PART_TOOL_CALL)
        part = part->next;
    return part;
}

/* "content":[thoughts, text]. False, with nothing written, if nothing was thought. */
static bool
add_content_parts(struct json_out *o, const struct llm_part *parts)
{
    if (!llm_part_has(parts, PART_REASONING))
        return false;
    out_key_array(o, "content");
    begin_thought(o);
    if (!add_texts(o, S("text"), parts, PART_REASONING))
        out_const(o, "\"text\":\"\"");
    end_thought(o);
    if (llm_part_has(parts, PART_TEXT)) {
        out_object(o);
        out_const(o, "\"type\":\"text\"");
        if (!add_texts(o, S("text"), parts, PART_TEXT))
            out_const(o, "\"text\":\"\"");
        out_end(o);
    }
    out_end_array(o);
    return true;
}

static void
add_message(struct json_out *o, const struct wire_writer *w, const struct llm_answer_choice *c)
{
    const struct llm_part *call = first_call(c->parts);
    bool calls = call != NULL;
    bool in_content = w->wire->caller->thoughts_in_content;

    out_key_object(o, "message");
    out_const(o, "\"role\":\"assistant\"");
    if (!(in_content && add_content_parts(o, c->parts)) &&
        !add_texts(o, S("content"), c->parts, PART_TEXT)) {
        if (calls || llm_part_has(c->parts, PART_REFUSAL))
            out_null(o, "content");
        else
            out_const(o, "\"content\":\"\"");
    }
    if (!add_texts(o, S("refusal"), c->parts, PART_REFUSAL))
        out_null(o, "refusal");
    if (!in_content)
        (void)add_texts(o, S("reasoning_content"), c->parts, PART_REASONING);
    add_reasoning_details(o, w->keep, c->parts);
    if (calls && w->old_calls)
        add_old_call(o, true, call->name, call->args);
    else if (calls)
        add_calls(o, c->parts);
    add_annotations(o, c->citations);
    add_media(o, w, c->parts);
    out_end(o);
}

/* One list of log probabilities, concatenated from its pieces; null if no piece has entries. */
static void
add_logprob_list(struct json_out *o, struct str key, const struct llm_fragment *piece)
{
    bool named = false;
    bool any = false;

    for (; piece != NULL; piece = piece->next) {
        const struct json *list = json_get(piece->doc, key);

        if (list != NULL && !named) {
            out_key_str(o, key);
            named = true;
        }
        if (!json_is(list, JSON_ARRAY) || json_is_empty(list))
            continue;
        if (!any)
            out_array(o);
        any = true;
        out_raw_value(o, str_make(list->p + 1, list->n - 2));
    }
    if (any)
        out_end_array(o);
    else if (named)
        out_raw_value(o, S("null"));
}

static void
add_logprobs(struct json_out *o, const struct llm_fragment *pieces)
{
    static const struct str lists[] = { S_INIT("content"), S_INIT("refusal"), S_INIT("tokens"),
        S_INIT("token_logprobs"), S_INIT("top_logprobs"), S_INIT("text_offset") };

    out_key(o, "logprobs");
    if (pieces == NULL || pieces->next == NULL) {
        out_raw_value(o, pieces != NULL ? json_raw(pieces->doc) : S("null"));
        return;
    }
    out_object(o);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        add_logprob_list(o, lists[i], pieces);
    out_end(o);
}

void
openai_write_answer(struct wire_writer *w, const struct llm_answer *ans)
{
    static const struct llm_answer_choice nothing = { .finish = FINISH_STOP };
    const struct llm_answer_choice *c = ans->choices != NULL ? ans->choices : &nothing;
    struct json_out o = open_document(w, w->out, false, ans->id, ans->model, ans->created_s);

    for (; c != NULL; c = c->next) {
        out_object(&o);
        out_i64(&o, "index", c->index);
        if (!is_completion(w))
            add_message(&o, w, c);
        else if (!add_texts(&o, S("text"), c->parts, PART_TEXT))
            out_const(&o, "\"text\":\"\"");
        add_logprobs(&o, c->logprobs);
        add_finish(&o, w, c->finish, c->native);
        out_end(&o);
    }
    out_end_array(&o);
    if (usage_known(&ans->usage))
        openai_add_usage(&o, w, &ans->usage);
    out_end(&o);
}

/* --- errors --- */

static void
add_text_or_null(struct json_out *o, struct str s)
{
    if (s.n > 0)
        out_text_value(o, s);
    else
        out_raw_value(o, S("null"));
}

struct str
openai_sentence(const struct llm_error *e)
{
    return e->message.n > 0 ? e->message : str_c(err_row(e->kind)->sentence);
}

/* Type and code are the gateway's, so that they are the same for all providers; an error that a
 * provider blames on the caller keeps the provider's. */
void
openai_write_error(struct buf *out, const struct llm_error *e, struct str request_id UNUSED)
{
    const struct wire_error_name *name = &openai_error_names[e->kind];
    bool theirs = (e->kind == ERR_BAD_REQUEST && e->status != 0) ||
                  (e->kind == ERR_UNSUPPORTED && (e->status == 400 || e->status == 422));
    bool has_code = theirs && (e->type.n > 0 || e->code.n > 0);
    struct json_out o = json_out(out);

    out_object(&o);
    out_key_object(&o, "error");
    out_text(&o, "message", openai_sentence(e));
    out_text(&o, "type", theirs && e->type.n > 0 ? e->type : str_c(name->type));
    out_key(&o, "param");
    add_text_or_null(&o, e->param);
    out_key(&o, "code");
    add_text_or_null(&o, has_code ? e->code : str_c(name->code));
    out_end(&o);
    out_end(&o);
}

/* The Responses API has an error event of its own; others repeat the error document. */
void
openai_write_relay_error(
    struct buf *out, const struct llm_error *e, struct str path, uint64_t sequence)
{
    struct json_out o = json_out(out);

    buf_add(out, S("event: error\ndata: "));
    if (str_starts(path, S("/responses"))) {
        out_object(&o);
        out_const(&o, "\"type\":\"error\"");
        out_i64(&o, "sequence_number", (int64_t)sequence);
        out_key(&o, "code");
        add_text_or_null(&o, str_c(openai_error_names[e->kind].code));
        out_text(&o, "message", openai_sentence(e));
        out_key(&o, "param");
        add_text_or_null(&o, e->param);
        out_end(&o);
    } else {
        openai_write_error(out, e, S(""));
    }
    buf_add(out, S("\n\n"));
}

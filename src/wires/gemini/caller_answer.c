/* caller_answer.c - answers for callers who speak generateContent: chunks of a stream, whole answers,
 * errors, the list of models.
 *
 * A stream is a row of events, or one array, as the query asked. Calls go out whole: their arguments
 * are collected until they end. The last chunk has the reasons, the counts and what the text rests on.
 */
#include "wires/gemini/gemini.h"

#include "llm/write.h"

struct cited_page {
    struct llm_citation citation;
    struct cited_page *next;
};

struct candidate_end {
    enum llm_finish finish;
    struct str native;
    bool finished;
    bool open;    /* there is an object for it */
};

struct gemini_reply {
    struct llm_answer calls;    /* those that have not ended */
    struct gemini_text text;
    struct candidate_end candidates[LLM_CHOICES_MAX];
    uint32_t count;
    struct cited_page *sources;    /* of the first candidate */
    struct cited_page **sources_tail;
    size_t source_bytes;
    struct str id;
    struct str model;
    struct llm_usage usage;
    bool begun;    /* the array of chunks */
    bool over;     /* nothing follows */
};

enum {
    NAME_BYTES_MAX = 512,    /* a longer id or name of a model is not repeated in each chunk */
    SOURCE_BYTES_MAX = 1024 * 1024,    /* of citations, which are kept until the end */
};

static struct gemini_reply *
reply_of(struct wire_writer *w)
{
    struct gemini_reply *st = w->state;

    if (st == NULL) {
        st = w->state = arena_new(w->keep, struct gemini_reply);
        st->id = w->id;
        st->model = w->model;
        st->sources_tail = &st->sources;
        answer_init(&st->calls, w->keep);
    }
    st->calls.arena = w->keep;    /* a helper thread has one of its own */
    return st;
}

/* --- what both forms share --- */

static void
add_modality(struct json_out *o, const char *modality, int64_t n)
{
    out_object(o);
    out_text(o, "modality", str_c(modality));
    out_i64(o, "tokenCount", n);
    out_end(o);
}

static void
add_usage(struct json_out *o, const struct llm_usage *u)
{
    int64_t thoughts = MIN(u->reasoning, u->output);

    out_key_object(o, "usageMetadata");
    out_i64(o, "promptTokenCount", u->input);
    out_i64(o, "candidatesTokenCount", u->output - thoughts);
    out_i64(o, "totalTokenCount", u->input + u->output);
    if (u->cached > 0)
        out_i64(o, "cachedContentTokenCount", u->cached);
    if (u->audio_input > 0) {
        out_key_array(o, "promptTokensDetails");
        add_modality(o, "TEXT", MAX(u->input - u->audio_input, 0));
        add_modality(o, "AUDIO", u->audio_input);
        out_end_array(o);
    }
    if (u->audio_output > 0) {
        out_key_array(o, "candidatesTokensDetails");
        add_modality(o, "TEXT", MAX(u->output - thoughts - u->audio_output, 0));
        add_modality(o, "AUDIO", u->audio_output);
        out_end_array(o);
    }
    if (thoughts > 0)
        out_i64(o, "thoughtsTokenCount", thoughts);
    out_end(o);
}

static void
add_names(struct json_out *o, struct str id, struct str model)
{
    out_text(o, "modelVersion", model);
    out_text(o, "responseId", id);
}

/* {"content":{"parts":[ ; closed by end_content(). */
static void
begin_content(struct json_out *o)
{
    out_object(o);
    out_key_object(o, "content");
    out_key_array(o, "parts");
}

static void
end_content(struct json_out *o)
{
    out_end_array(o);
    out_const(o, "\"role\":\"model\"");
    out_end(o);
}

static void
add_text(struct json_out *o, struct str text, bool thought)
{
    out_object(o);
    out_text(o, "text", text);
    if (thought)
        out_const(o, "\"thought\":true");
    out_end(o);
}

/* A proof alone: of thoughts before it if it is another's, else of the text. */
static void
add_proof(struct json_out *o, struct wire_writer *w, enum llm_origin origin, struct str signature,
    struct str redacted)
{
    struct str proof = gemini_signature(w->keep, origin, signature, redacted);

    if (proof.n == 0)
        o->b->overflow = true;    /* as if it had no room */
    out_object(o);
    out_const(o, "\"text\":\"\"");
    if (origin != ORIGIN_GEMINI)
        out_const(o, "\"thought\":true");
    out_text(o, "thoughtSignature", proof);
    out_end(o);
}

static void
add_call(struct json_out *o, struct wire_writer *w, const struct llm_part *call)
{
    out_object(o);
    out_key_object(o, "functionCall");
    out_text_if(o, "id", call->id);
    out_text(o, "name", call->name);
    out_key(o, "args");
    if (!write_arguments(o, w->keep, call->args, call->custom, &w->broken))
        o->b->overflow = true;    /* as if it had no room for the call */
    out_end(o);
    out_text_if(o, "thoughtSignature", call->signature);
    out_end(o);
}

static void
add_media(struct json_out *o, const struct llm_part *media)
{
    out_object(o);
    if (media->data.n > 0)
        out_key_object(o, "inlineData");
    else
        out_key_object(o, "fileData");
    out_text_if(o, "mimeType", media->mime);
    if (media->data.n > 0)
        out_text(o, "data", media->data);
    else
        out_text(o, "fileUri", media->url);
    out_end(o);
    out_end(o);
}

/* An entry of OpenAI's list, or one of its own alternatives. */
static void
add_logprob(struct json_out *o, struct arena *a, const struct json *entry)
{
    const struct json *logprob = json_get(entry, S("logprob"));

    out_object(o);
    out_text(o, "token", json_str(a, json_get(entry, S("token"))));
    out_raw(o, "logProbability", json_is(logprob, JSON_NUMBER) ? json_raw(logprob) : S("0"));
    out_end(o);
}

/* OpenAI's log probabilities in pieces: the chosen tokens, then what else each could have been. */
static void
add_logprobs(struct json_out *o, struct arena *a, const struct llm_fragment *pieces)
{
    if (pieces == NULL)
        return;
    out_key_object(o, "logprobsResult");
    for (int top = 0; top < 2; top++) {
        if (top == 0)
            out_key_array(o, "chosenCandidates");
        else
            out_key_array(o, "topCandidates");
        for (const struct llm_fragment *f = pieces; f != NULL; f = f->next) {
            struct json_iter it = json_iter(json_get(f->doc, S("content")));

            while (json_next(&it)) {
                struct json_iter others = json_iter(json_get(it.value, S("top_logprobs")));

                if (!json_is(it.value, JSON_OBJECT))
                    continue;
                if (top == 0) {
                    add_logprob(o, a, it.value);
                    continue;
                }
                out_object(o);
                out_key_array(o, "candidates");
                while (json_next(&others))
                    add_logprob(o, a, others.value);
                out_end_array(o);
                out_end(o);
            }
        }
        out_end_array(o);
    }
    out_end(o);
}

static void
add_grounding(struct json_out *o, const struct cited_page *sources, const struct gemini_text *text)
{
    int64_t n = 0;

    if (sources == NULL)
        return;
    out_key_object(o, "groundingMetadata");
    out_key_array(o, "groundingChunks");
    for (const struct cited_page *s = sources; s != NULL; s = s->next) {
        bool page = s->citation.url.n > 0;

        out_object(o);
        if (page)
            out_key_object(o, "web");
        else
            out_key_object(o, "retrievedContext");
        out_text_if(o, "uri", s->citation.url);
        out_text_if(o, "title", s->citation.title);
        if (!page)
            out_text_if(o, "text", s->citation.quote);
        out_end(o);
        out_end(o);
    }
    out_end_array(o);
    out_key_array(o, "groundingSupports");
    for (const struct cited_page *s = sources; s != NULL; s = s->next, n++) {
        if (s->citation.to <= s->citation.from)
            continue;
        out_object(o);
        out_key_object(o, "segment");
        out_i64(o, "startIndex", gemini_text_bytes(text, s->citation.from));
        out_i64(o, "endIndex", gemini_text_bytes(text, s->citation.to));
        out_end(o);
        out_key_array(o, "groundingChunkIndices");
        out_i64_value(o, n);
        out_end_array(o);
        out_end(o);
    }
    out_end_array(o);
    out_end(o);
}

static void
add_finish(struct json_out *o, enum llm_finish finish, struct str native)
{
    struct str reason = gemini_finish_reason(finish, native);

    out_text(o, "finishReason", reason);
    if (finish == FINISH_UNKNOWN && !str_eq(native, reason))
        out_text_if(o, "finishMessage", native);
}

/* --- the stream --- */

static bool
is_array(const struct wire_writer *w)
{
    return w->framing == &framing_json_array;
}

static struct json_out
begin_chunk(struct wire_writer *w, struct gemini_reply *st)
{
    struct json_out o = json_out(w->out);

    if (is_array(w))
        buf_add(w->out, st->begun ? S(",\r\n") : S("["));
    else
        buf_add(w->out, S("data: "));
    st->begun = true;
    out_object(&o);
    return o;
}

static void
end_chunk(struct wire_writer *w, struct json_out *o)
{
    out_end(o);
    if (!is_array(w))
        buf_add(w->out, S("\r\n\r\n"));
}

static void
end_stream(struct wire_writer *w, struct gemini_reply *st)
{
    if (is_array(w))
        buf_add(w->out, st->begun ? S("]") : S("[]"));
    st->over = true;
}

static void
write_failure(struct wire_writer *w, struct gemini_reply *st, const struct llm_error *e)
{
    if (is_array(w))
        buf_add(w->out, st->begun ? S(",\r\n") : S("["));
    else
        buf_add(w->out, S("data: "));
    st->begun = true;
    gemini_write_error(w->out, e, S(""));
    if (!is_array(w))
        buf_add(w->out, S("\r\n\r\n"));
    end_stream(w, st);
}

/* A chunk with one part of a candidate; `call` is one that ended. */
static void
write_part(struct wire_writer *w, struct gemini_reply *st, const struct llm_event *ev,
    const struct llm_part *call)
{
    size_t before = buf_len(w->out);
    bool begun = st->begun;
    struct json_out o = begin_chunk(w, st);

    out_key_array(&o, "candidates");
    begin_content(&o);
    if (call != NULL)
        add_call(&o, w, call);
    else if (ev->kind == EVENT_SIGNATURE)
        add_proof(&o, w, ev->origin, ev->signature, S(""));
    else if (ev->kind == EVENT_REDACTED)
        add_proof(&o, w, ev->origin, S(""), ev->text);
    else if (ev->kind == EVENT_MEDIA)
        add_media(&o, ev->media);
    else if (ev->kind != EVENT_LOGPROBS)
        add_text(&o, ev->text, ev->kind == EVENT_REASONING);
    end_content(&o);
    out_i64(&o, "index", ev->choice);
    if (ev->kind == EVENT_LOGPROBS)
        add_logprobs(
            &o, w->keep, &(struct llm_fragment){ .doc = json_parse(w->keep, ev->raw, NULL, NULL) });
    out_end(&o);
    out_end_array(&o);
    add_names(&o, st->id, st->model);
    end_chunk(w, &o);
    if (w->broken) {    /* of a broken call the gateway tells the caller */
        buf_truncate(w->out, before);
        st->begun = begun;
    }
}

static void
write_end(struct wire_writer *w, struct gemini_reply *st)
{
    struct json_out o = begin_chunk(w, st);

    out_key_array(&o, "candidates");
    for (uint32_t i = 0; i < MAX(st->count, 1); i++) {
        const struct candidate_end *c = &st->candidates[i];

        begin_content(&o);
        if (i == 0 && st->count <= 1)    /* clients of some SDKs want a part in each chunk */
            add_text(&o, S(""), false);
        end_content(&o);
        add_finish(&o, c->finished ? c->finish : FINISH_STOP, c->native);
        out_i64(&o, "index", i);
        if (i == 0)
            add_grounding(&o, st->sources, &st->text);
        out_end(&o);
    }
    out_end_array(&o);
    if (usage_known(&st->usage))
        add_usage(&o, &st->usage);
    add_names(&o, st->id, st->model);
    end_chunk(w, &o);
    end_stream(w, st);
}

static struct cited_page *
copy_source(struct arena *a, const struct llm_citation *from)
{
    struct cited_page *s = arena_new(a, struct cited_page);

    s->citation = *from;
    s->citation.url = arena_str(a, from->url);
    s->citation.title = arena_str(a, from->title);
    s->citation.quote = arena_str(a, from->quote);
    return s;
}

static void
note_source(struct wire_writer *w, struct gemini_reply *st, const struct llm_event *ev)
{
    const struct llm_citation *from = ev->citation;

    st->source_bytes += sizeof(struct cited_page) + from->url.n + from->title.n + from->quote.n;
    if (ev->choice != 0 || st->source_bytes > SOURCE_BYTES_MAX)
        return;
    *st->sources_tail = copy_source(w->keep, from);
    st->sources_tail = &(*st->sources_tail)->next;
}

static void
note_start(struct wire_writer *w, struct gemini_reply *st, const struct llm_event *ev)
{
    if (ev->id.n > 0 && ev->id.n <= NAME_BYTES_MAX)
        st->id = arena_str(w->keep, ev->id);
    if (ev->model.n > 0 && ev->model.n <= NAME_BYTES_MAX)
        st->model = arena_str(w->keep, ev->model);
    usage_update(&st->usage, &ev->usage);
}

void
gemini_write_event(struct wire_writer *w, const struct llm_event *ev)
{
    struct gemini_reply *st = reply_of(w);
    const struct llm_answer_choice *c;

    if (st->over || ev->choice >= LLM_CHOICES_MAX)
        return;
    st->count = MAX(st->count, ev->choice + 1);
    switch (ev->kind) {
    case EVENT_START:
        note_start(w, st, ev);
        break;
    case EVENT_TEXT:
        if (ev->choice == 0 && !gemini_text_add(w->keep, &st->text, ev->text))
            w->out->overflow = true;
        /* fall through */
    case EVENT_REFUSAL:
    case EVENT_REASONING:
    case EVENT_LOGPROBS:
    case EVENT_MEDIA:
    case EVENT_SIGNATURE:
    case EVENT_REDACTED:
        write_part(w, st, ev, NULL);
        break;
    case EVENT_TOOL_START:
    case EVENT_TOOL_ARGS:
        st->calls.sink.emit(&st->calls.sink, ev);
        if (st->calls.too_large)    /* a call of which a part was lost is another call */
            write_failure(w, st, &(struct llm_error){ .kind = ERR_UPSTREAM_TOO_LARGE });
        break;
    case EVENT_TOOL_END:
        c = answer_choice(&st->calls, ev->choice);
        if (c != NULL && ev->tool < c->call_count)
            write_part(w, st, ev, c->calls[ev->tool]);
        break;
    case EVENT_CITATION:
        note_source(w, st, ev);
        break;
    case EVENT_USAGE:
        usage_update(&st->usage, &ev->usage);
        break;
    case EVENT_FINISH:
        st->candidates[ev->choice] = (struct candidate_end){
            .finish = ev->finish, .native = arena_str(w->keep, ev->native), .finished = true
        };
        break;
    case EVENT_ERROR:
        write_failure(w, st, ev->error);
        break;
    case EVENT_END:
        write_end(w, st);
        break;
    default:    /* what this protocol has no place for */
        break;
    }
}

/* --- whole answers --- */

static void
add_part(struct json_out *o, struct wire_writer *w, const struct llm_part *part)
{
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        if (part->text.n > 0)
            add_text(o, part->text, false);
        break;
    case PART_REASONING:
        if (part->text.n > 0)
            add_text(o, part->text, true);
        if (part->signature.n > 0 || part->redacted.n > 0)
            add_proof(o, w, part->origin, part->signature, part->redacted);
        break;
    case PART_TOOL_CALL:
        add_call(o, w, part);
        break;
    case PART_IMAGE:
    case PART_AUDIO:
    case PART_VIDEO:
    case PART_FILE:
        add_media(o, part);
        break;
    default:
        break;
    }
}

static void
add_candidate(struct json_out *o, struct wire_writer *w, const struct llm_answer_choice *c)
{
    struct gemini_text text = { .bytes = 0 };
    struct cited_page *sources = NULL;
    struct cited_page **tail = &sources;

    begin_content(o);
    for (const struct llm_part *part = c->parts; part != NULL; part = part->next) {
        add_part(o, w, part);
        if (part->kind == PART_TEXT && c->citations != NULL &&
            !gemini_text_add(w->keep, &text, part->text))
            w->out->overflow = true;
    }
    end_content(o);
    add_finish(o, c->finish, c->native);
    out_i64(o, "index", c->index);
    add_logprobs(o, w->keep, c->logprobs);
    for (const struct llm_cited *cited = c->citations; cited != NULL; cited = cited->next) {
        *tail = copy_source(w->keep, &cited->citation);
        tail = &(*tail)->next;
    }
    add_grounding(o, sources, &text);
    out_end(o);
}

void
gemini_write_answer(struct wire_writer *w, const struct llm_answer *ans)
{
    static const struct llm_answer_choice nothing = { .finish = FINISH_STOP };
    const struct llm_answer_choice *c = ans->choices != NULL ? ans->choices : &nothing;
    struct json_out o = json_out(w->out);

    out_object(&o);
    out_key_array(&o, "candidates");
    for (; c != NULL; c = c->next)
        add_candidate(&o, w, c);
    out_end_array(&o);
    if (usage_known(&ans->usage))
        add_usage(&o, &ans->usage);
    add_names(&o, ans->id.n > 0 ? ans->id : w->id, ans->model.n > 0 ? ans->model : w->model);
    out_end(&o);
}

/* --- errors --- */

int
gemini_status(const struct llm_error *e)
{
    return err_row(e->kind)->status;
}

void
gemini_write_error(struct buf *out, const struct llm_error *e, struct str request_id UNUSED)
{
    struct json_out o = json_out(out);

    out_object(&o);
    out_key_object(&o, "error");
    out_i64(&o, "code", gemini_status(e));
    out_text(&o, "message", e->message.n > 0 ? e->message : str_c(err_row(e->kind)->sentence));
    out_text(&o, "status", str_c(gemini_error_names[e->kind].type));
    if (e->retry_after_ms > 0) {
        out_key_array(&o, "details");
        out_object(&o);
        out_const(&o, "\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\"");
        out_key(&o, "retryDelay");
        out_string(&o);
        json_add_f64(out, (double)e->retry_after_ms / 1000);
        buf_add_c(out, 's');
        out_end_string(&o);
        out_end(&o);
        out_end_array(&o);
    }
    out_end(&o);
    out_end(&o);
}

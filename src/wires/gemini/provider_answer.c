/* provider_answer.c - reads the answers of providers that speak generateContent.
 *
 * A stream's chunks are documents of the same form as a whole answer, each with new parts only, and
 * nothing marks the last: an answer is complete if its bytes end after every candidate gave its
 * reason. Calls come whole, and finish with STOP like text.
 */
#include "llm/emit.h"
#include "llm/media.h"
#include "wires/gemini/gemini.h"

struct gemini_decoder {
    struct gemini_text text;    /* of the first candidate, for the places of citations */
    struct llm_usage usage;
    struct str failed;    /* the reason of a candidate that said nothing, because it failed */
};

static struct gemini_decoder *
decoder_of(struct wire_reader *r)
{
    if (r->state == NULL)
        r->state = arena_new(r->keep, struct gemini_decoder);
    r->emit.origin = ORIGIN_GEMINI;
    return r->state;
}

static struct str
text_at(struct wire_reader *r, const struct json *j, const char *key)
{
    return emit_string(r, json_get(j, str_c(key)));
}

/* --- parts --- */

static void
take_text(struct wire_reader *r, struct emit_choice *c, struct str text)
{
    struct gemini_decoder *d = r->state;

    if (c->index == 0 && !gemini_text_add(r->keep, &d->text, text))
        r->emit.too_large = true;
    emit_text(r, c, EVENT_TEXT, text);
}

static enum err
take_call(
    struct wire_reader *r, struct emit_choice *c, const struct json *call, struct str signature)
{
    const struct json *args = json_get(call, S("args"));

    return emit_call(r, c,
        &(struct emit_piece){
            .label = -1,
            .id = text_at(r, call, "id"),
            .name = text_at(r, call, "name"),
            .args = json_present(args) ? json_raw(args) : S(""),
            .signature = signature,
            .is_object = true,
            .whole = true,
        });
}

/* A picture, sound or another medium. */
static void
take_blob(struct wire_reader *r, struct emit_choice *c, const struct json *blob)
{
    struct str mime = emit_string(r, gemini_get(blob, "mimeType", "mime_type"));
    struct llm_part media = { .kind = media_kind_of(mime) };

    media_set_data(&media, mime, text_at(r, blob, "data"));
    emit_media(r, c, &media);
}

static enum err
take_part(struct wire_reader *r, struct emit_choice *c, const struct json *part)
{
    const struct json *call = gemini_get(part, "functionCall", "function_call");
    const struct json *blob = gemini_get(part, "inlineData", "inline_data");
    const struct json *text = json_get(part, S("text"));
    struct str signature =
        emit_string(r, gemini_get(part, "thoughtSignature", "thought_signature"));

    if (call != NULL)
        return take_call(r, c, call, signature);
    if (text != NULL && json_bool(json_get(part, S("thought")), false))
        emit_text(r, c, EVENT_REASONING, emit_string(r, text));
    else if (text != NULL)
        take_text(r, c, emit_string(r, text));
    else if (blob != NULL)
        take_blob(r, c, blob);
    else if (json_is(part, JSON_OBJECT) && !json_is_empty(part) && signature.n == 0)
        emit_raw(r, c, EVENT_OPAQUE, part);    /* of a tool that the provider ran */
    emit_signature(r, c, signature);
    return OK;
}

/* --- log probabilities --- */

static void
add_logprob(struct json_out *o, struct wire_reader *r, const struct json *candidate)
{
    const struct json *logprob = gemini_get(candidate, "logProbability", "log_probability");

    out_text(o, "token", text_at(r, candidate, "token"));
    out_raw(o, "logprob", json_is(logprob, JSON_NUMBER) ? json_raw(logprob) : S("0"));
    out_null(o, "bytes");
}

/* {"chosenCandidates":[...],"topCandidates":[{"candidates":[...]}]} in OpenAI's form. */
static void
take_logprobs(struct wire_reader *r, const struct emit_choice *c, const struct json *result)
{
    struct json_iter chosen =
        json_iter(gemini_get(result, "chosenCandidates", "chosen_candidates"));
    struct json_iter top = json_iter(gemini_get(result, "topCandidates", "top_candidates"));
    struct buf b;
    struct json_out o = json_out(&b);

    buf_init(&b, SIZE_MAX);
    out_object(&o);
    out_key_array(&o, "content");
    while (json_next(&chosen)) {
        struct json_iter others =
            json_iter(json_next(&top) ? json_get(top.value, S("candidates")) : NULL);

        out_object(&o);
        add_logprob(&o, r, chosen.value);
        out_key_array(&o, "top_logprobs");
        while (json_next(&others)) {
            out_object(&o);
            add_logprob(&o, r, others.value);
            out_end(&o);
        }
        out_end_array(&o);
        out_end(&o);
    }
    out_end_array(&o);
    out_null(&o, "refusal");
    out_end(&o);
    r->emit.too_large = r->emit.too_large || b.overflow;
    wire_emit(
        r, &(struct llm_event){ .kind = EVENT_LOGPROBS, .choice = c->index, .raw = buf_str(&b) });
    buf_fini(&b);
}

/* --- citations --- */

/* A page or a document; the place is known if its length agrees with the text that is said to be
 * there. */
static void
cite(struct wire_reader *r, struct emit_choice *c, const struct json *chunk,
    const struct json *segment)
{
    const struct gemini_text *t = &((const struct gemini_decoder *)r->state)->text;
    const struct json *web = json_get(chunk, S("web"));
    const struct json *source =
        web != NULL ? web : gemini_get(chunk, "retrievedContext", "retrieved_context");
    int64_t from = json_i64(gemini_get(segment, "startIndex", "start_index"), 0);
    int64_t to = json_i64(gemini_get(segment, "endIndex", "end_index"), 0);
    struct str text = text_at(r, segment, "text");
    bool placed = c->index == 0 && from >= 0 && to > from &&
                  (text.n == 0 || to - from == (int64_t)text.n) && to <= (int64_t)t->bytes;

    if (source == NULL)
        source = json_get(chunk, S("maps"));
    emit_citation(r, c,
        &(struct llm_citation){
            .url = text_at(r, source, "uri"),
            .title = text_at(r, source, "title"),
            .quote = text_at(r, source, "text"),
            .from = placed ? gemini_text_chars(t, from) : 0,
            .to = placed ? gemini_text_chars(t, to) : 0,
        });
}

/* Each place of the text with each page that it rests on; or the pages alone. */
static void
take_grounding(struct wire_reader *r, struct emit_choice *c, const struct json *grounding)
{
    const struct json *chunks = gemini_get(grounding, "groundingChunks", "grounding_chunks");
    struct json_iter chunk = json_iter(chunks);
    struct json_iter support =
        json_iter(gemini_get(grounding, "groundingSupports", "grounding_supports"));
    size_t count = json_is(chunks, JSON_ARRAY) ? json_count(chunks) : 0;
    const struct json **list = arena_try(r->scratch, (count + 1) * sizeof(const struct json *));
    bool supported = false;
    size_t n = 0;

    if (list == NULL) {
        r->emit.too_large = true;
        return;
    }
    while (n < count && json_next(&chunk))
        list[n++] = chunk.value;
    while (json_next(&support)) {
        struct json_iter index = json_iter(
            gemini_get(support.value, "groundingChunkIndices", "grounding_chunk_indices"));

        while (json_next(&index)) {
            int64_t i = json_i64(index.value, -1);

            if (i < 0 || i >= (int64_t)n)
                continue;
            supported = true;
            cite(r, c, list[i], json_get(support.value, S("segment")));
        }
    }
    for (size_t i = 0; i < n && !supported; i++)
        cite(r, c, list[i], NULL);
}

/* Passages of known texts. */
static void
take_recitations(struct wire_reader *r, struct emit_choice *c, const struct json *metadata)
{
    const struct json *sources = gemini_get(metadata, "citationSources", "citation_sources");
    struct json_iter it = json_iter(sources != NULL ? sources : json_get(metadata, S("citations")));
    const struct gemini_text *t = &((const struct gemini_decoder *)r->state)->text;

    while (json_next(&it)) {
        int64_t from = json_i64(gemini_get(it.value, "startIndex", "start_index"), 0);
        int64_t to = json_i64(gemini_get(it.value, "endIndex", "end_index"), 0);
        bool placed = c->index == 0 && from >= 0 && to > from && to <= (int64_t)t->bytes;

        emit_citation(r, c,
            &(struct llm_citation){
                .url = text_at(r, it.value, "uri"),
                .title = text_at(r, it.value, "title"),
                .from = placed ? gemini_text_chars(t, from) : 0,
                .to = placed ? gemini_text_chars(t, to) : 0,
            });
    }
}

/* --- counts --- */

static int64_t
modality_count(const struct json *details, const char *modality)
{
    struct json_iter it = json_iter(details);
    int64_t n = 0;

    while (json_next(&it))
        if (json_str_is(json_get(it.value, S("modality")), str_c(modality)))
            n += MIN(MAX(gemini_count(gemini_get(it.value, "tokenCount", "token_count")), 0),
                USAGE_MOST - n);
    return n;
}

/* Thoughts are not among the candidates' tokens, nor is what tools put in among the prompt's. A count
 * that is 0 is left out, and the provider's total does not need them. */
static void
take_usage(struct wire_reader *r, const struct json *usage)
{
    struct llm_usage u = { .known = 0 };
    int64_t prompt = gemini_count(gemini_get(usage, "promptTokenCount", "prompt_token_count"));
    int64_t total = gemini_count(gemini_get(usage, "totalTokenCount", "total_token_count"));
    int64_t cached =
        gemini_count(gemini_get(usage, "cachedContentTokenCount", "cached_content_token_count"));
    int64_t said =
        gemini_count(gemini_get(usage, "candidatesTokenCount", "candidates_token_count"));
    int64_t thoughts =
        gemini_count(gemini_get(usage, "thoughtsTokenCount", "thoughts_token_count"));
    int64_t tools =
        gemini_count(gemini_get(usage, "toolUsePromptTokenCount", "tool_use_prompt_token_count"));
    const struct json *tier = gemini_get(usage, "serviceTier", "service_tier");
    int64_t heard =
        modality_count(gemini_get(usage, "promptTokensDetails", "prompt_tokens_details"), "AUDIO");
    int64_t spoken = modality_count(
        gemini_get(usage, "candidatesTokensDetails", "candidates_tokens_details"), "AUDIO");

    if (json_is(tier, JSON_STRING))
        u.service = usage_service_named(emit_string(r, tier));
    if (prompt < 0 && total < 0 && said < 0)
        return;
    usage_set(&u, COUNT_INPUT, MIN(MAX(prompt, 0), USAGE_MOST) + MIN(MAX(tools, 0), USAGE_MOST));
    usage_set(&u, COUNT_OUTPUT, MIN(MAX(said, 0), USAGE_MOST) + MIN(MAX(thoughts, 0), USAGE_MOST));
    if (cached >= 0)
        usage_set(&u, COUNT_CACHED, cached);
    if (thoughts >= 0)
        usage_set(&u, COUNT_REASONING, thoughts);
    if (heard > 0)
        usage_set(&u, COUNT_AUDIO_INPUT, heard);
    if (spoken > 0)
        usage_set(&u, COUNT_AUDIO_OUTPUT, spoken);
    emit_usage(r, &u);
}

/* --- candidates --- */

static void
take_finish(struct wire_reader *r, struct emit_choice *c, const struct json *candidate)
{
    struct gemini_decoder *d = r->state;
    struct str word;
    enum llm_finish finish =
        gemini_finish(r->scratch, gemini_get(candidate, "finishReason", "finish_reason"), &word);

    if (finish == FINISH_UNKNOWN && !c->said) {
        struct str why = emit_string(r, gemini_get(candidate, "finishMessage", "finish_message"));

        d->failed =
            emit_keep(r, arena_printf(r->scratch, "the model gave no answer: " STR_FMT "%s" STR_FMT,
                             STR_ARG(word), why.n > 0 ? ": " : "", STR_ARG(why)));
    }
    emit_finish(r, c, finish, word, S(""));
}

static enum err
take_candidate(struct wire_reader *r, const struct json *candidate, int64_t position)
{
    struct emit_choice *c = emit_choice(r, json_i64(json_get(candidate, S("index")), position));
    const struct json *parts = json_get(json_get(candidate, S("content")), S("parts"));
    const struct json *logprobs = gemini_get(candidate, "logprobsResult", "logprobs_result");
    const struct json *reason = gemini_get(candidate, "finishReason", "finish_reason");
    struct json_iter it = json_iter(parts);
    enum err e = OK;

    if (c == NULL || !json_is(candidate, JSON_OBJECT))
        return ERR_UPSTREAM_PROTOCOL;
    if (json_is(parts, JSON_OBJECT))
        e = take_part(r, c, parts);
    while (e == OK && json_is(parts, JSON_ARRAY) && json_next(&it))
        e = take_part(r, c, it.value);
    if (e != OK)
        return e;
    if (json_is(logprobs, JSON_OBJECT) && !json_is_empty(logprobs))
        take_logprobs(r, c, logprobs);
    take_grounding(r, c, gemini_get(candidate, "groundingMetadata", "grounding_metadata"));
    take_recitations(r, c, gemini_get(candidate, "citationMetadata", "citation_metadata"));
    if (json_present(reason) && json_i64(reason, 1) != 0 && !json_str_is(reason, S("null")) &&
        !json_str_is(reason, S("FINISH_REASON_UNSPECIFIED")))
        take_finish(r, c, candidate);
    return OK;
}

/* --- documents --- */

static void
take_error(struct wire_reader *r, const struct json *doc)
{
    struct llm_error e;

    fail_read_document(r->scratch, &gemini_fail_words, 0, doc, &e);
    emit_error(r, &e);
}

/* A chunk of a stream, or the whole answer. */
static enum err
take_chunk(struct wire_reader *r, const struct json *doc)
{
    const struct json *feedback = gemini_get(doc, "promptFeedback", "prompt_feedback");
    const struct json *blocked = gemini_get(feedback, "blockReason", "block_reason");
    const struct json *candidates = json_get(doc, S("candidates"));
    struct json_iter it = json_iter(candidates);
    int64_t position = 0;
    enum err e = OK;

    (void)decoder_of(r);
    if (!json_is(doc, JSON_OBJECT))
        return ERR_UPSTREAM_PROTOCOL;
    if (json_present(json_get(doc, S("error")))) {
        take_error(r, doc);
        return OK;
    }
    emit_start(r, &(struct llm_event){
                      .id = emit_string(r, gemini_get(doc, "responseId", "response_id")),
                      .model = emit_string(r, gemini_get(doc, "modelVersion", "model_version")),
                  });
    while (e == OK && json_is(candidates, JSON_ARRAY) && json_next(&it))
        e = take_candidate(r, it.value, position++);
    if (json_present(blocked) && position == 0)    /* the prompt was refused */
        emit_finish(r, emit_choice(r, 0), FINISH_FILTER, emit_string(r, blocked), S(""));
    take_usage(r, gemini_get(doc, "usageMetadata", "usage_metadata"));
    r->finished = emit_all_finished(r, json_present(blocked) ? 1 : r->choices);
    return emit_verdict(r, e);
}

/* The answer is complete. One that failed and said nothing is an error. */
static void
end(struct wire_reader *r)
{
    const struct gemini_decoder *d = decoder_of(r);
    bool said = false;

    for (const struct emit_choice *c = r->emit.choices; c != NULL; c = c->next)
        said = said || c->said;
    if (d->failed.n > 0 && !said)
        emit_failure(r, ERR_UPSTREAM_EMPTY, d->failed);
    else
        emit_end(r);
}

static const struct json *
parse(struct wire_reader *r, struct str text, enum err *ret_err)
{
    struct json_error error = { .limit = false };
    const struct json *doc = json_parse(r->scratch, text, NULL, &error);

    *ret_err = doc != NULL ? OK : error.limit ? ERR_UPSTREAM_TOO_LARGE : ERR_UPSTREAM_PROTOCOL;
    return doc;
}

/* A list, where one was not expected, is a stream in one piece, or holds an error. */
static enum err
take_text_of(struct wire_reader *r, struct str text)
{
    enum err e = OK;
    const struct json *doc = parse(r, text, &e);
    struct json_iter it = json_iter(doc);

    if (!json_is(doc, JSON_ARRAY))
        return e == OK ? take_chunk(r, doc) : e;
    while (e == OK && !r->failed && json_next(&it))
        e = take_chunk(r, it.value);
    return e;
}

enum err
gemini_read_event(struct wire_reader *r, struct str event UNUSED, struct str data)
{
    data = str_trim(data);
    if (r->complete || r->failed || data.n == 0 || str_eq(data, S("[DONE]")))
        return OK;
    return take_text_of(r, data);
}

void
gemini_read_end(struct wire_reader *r)
{
    if (r->finished && !r->complete && !r->failed)
        end(r);
}

static enum err
read_token_count(struct wire_reader *r, const struct json *doc)
{
    int64_t total = gemini_count(gemini_get(doc, "totalTokens", "total_tokens"));
    int64_t cached =
        gemini_count(gemini_get(doc, "cachedContentTokenCount", "cached_content_token_count"));
    struct llm_usage u = { .known = 0 };

    if (json_present(json_get(doc, S("error")))) {
        take_error(r, doc);
        return OK;
    }
    if (!json_is(doc, JSON_OBJECT))
        return ERR_UPSTREAM_PROTOCOL;
    usage_set(&u, COUNT_INPUT, MAX(total, 0));    /* none: there is nothing to count */
    if (cached > 0)
        usage_set(&u, COUNT_CACHED, cached);
    emit_usage(r, &u);
    emit_end(r);
    return OK;
}

enum err
gemini_read_answer(struct wire_reader *r, struct str body)
{
    enum err e = OK;

    if (r->op == OP_COUNT_TOKENS) {
        const struct json *doc = parse(r, body, &e);

        return e == OK ? read_token_count(r, doc) : e;
    }
    e = take_text_of(r, body);
    if (e != OK || r->failed)
        return e;
    if (r->emit.choices == NULL && !r->emit.started)
        return ERR_UPSTREAM_PROTOCOL;
    end(r);
    return OK;
}

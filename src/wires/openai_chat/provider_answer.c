/* provider_answer.c - reads the answers of OpenAI-compatible providers into events.
 *
 * Some hundred hosts speak this wire, each with its deviations: usage in any chunk, calls without
 * an index, a finish reason twice or never, errors in the middle of a 200. The whole answer and the
 * stream's chunks go through the same functions: a message is one large delta.
 */
#include "llm/emit.h"
#include "llm/media.h"
#include "wires/openai_chat/openai_chat.h"

enum { TAIL_BYTES = 1024 };    /* searched for usage when a body is too large to parse */

/* --- members --- */

/* The known members of an object, collected in one pass. */
#define CHUNK(M)                                                                                   \
    M(id)                                                                                          \
    M(model)                                                                                       \
    M(created)                                                                                     \
    M(object)                                                                                      \
    M(choices) M(usage) M(service_tier) M(x_groq) M(error) M(detail) M(message) M(base_resp)
#define CHOICE(M) M(index) M(delta) M(message) M(text) M(logprobs) M(finish_reason) M(stop_reason)
#define DELTA(M)                                                                                   \
    M(content)                                                                                     \
    M(reasoning_content)                                                                           \
    M(reasoning)                                                                                   \
    M(reasoning_details)                                                                           \
    M(refusal) M(tool_calls) M(function_call) M(annotations) M(audio) M(images)

#define POINTER(name) const struct json *name;
#define NAME(name) S_INIT(#name),

struct chunk {
    CHUNK(POINTER)
};
struct choice {
    CHOICE(POINTER)
};
struct delta {
    DELTA(POINTER)
};

/* In the order of the pointers. */
static const struct str chunk_names[] = { CHUNK(NAME) };
static const struct str choice_names[] = { CHOICE(NAME) };
static const struct str delta_names[] = { DELTA(NAME) };

/* Fills the pointers at `ret`, which are NULL, from an object; anything else has no members. */
static void
find_members(const struct json *object, const struct str *names, size_t n, const struct json **ret)
{
    struct json_iter it = json_iter(json_is(object, JSON_OBJECT) ? object : NULL);

    while (json_next(&it)) {
        for (size_t i = 0; i < n; i++) {
            /* The length, including the quotes, and the first letter distinguish most names. */
            if (!it.key->escaped && (it.key->n != names[i].n + 2 || it.key->p[1] != names[i].p[0]))
                continue;
            if (!json_str_is(it.key, names[i]))
                continue;
            ret[i] = it.value;
            break;
        }
    }
}

#define FIND(object, names, ret)                                                                   \
    find_members((object), (names), ARRAY_LEN(names), (const struct json **)(void *)(ret))

/* The elements of a list; anything else has none. */
static struct json_iter
elements(const struct json *j)
{
    return json_iter(json_is(j, JSON_ARRAY) ? j : NULL);
}

static bool
has_elements(const struct json *j)
{
    return json_is(j, JSON_ARRAY) && !json_is_empty(j);
}

/* --- start and usage --- */

static void
start(struct wire_reader *r, const struct chunk *ch)
{
    if (!r->emit.started)
        emit_start(r, &(struct llm_event){
                          .id = emit_string(r, ch->id),
                          .model = emit_string(r, ch->model),
                          .created_s = MAX(json_i64(ch->created, 0), 0),
                      });
}

static void
take_usage(struct wire_reader *r, const struct json *j, const struct json *tier)
{
    if (!json_is(j, JSON_OBJECT))
        return;

    const struct json *in = json_get(j, S("prompt_tokens_details"));
    const struct json *out = json_get(j, S("completion_tokens_details"));
    const struct {
        enum llm_count count;
        const struct json *n;
    } rows[] = {
        { COUNT_INPUT, json_get(j, S("prompt_tokens")) },
        { COUNT_OUTPUT, json_get(j, S("completion_tokens")) },
        { COUNT_CACHED, json_get(j, S("num_cached_tokens")) },          /* Mistral, vLLM */
        { COUNT_CACHED, json_get(j, S("cached_tokens")) },              /* Moonshot */
        { COUNT_CACHED, json_get(j, S("prompt_cache_hit_tokens")) },    /* DeepSeek */
        { COUNT_CACHED, json_get(in, S("cached_tokens")) },
        { COUNT_CACHE_WRITE, json_get(in, S("cache_write_tokens")) },
        { COUNT_REASONING, json_get(j, S("reasoning_tokens")) },    /* Groq, Perplexity */
        { COUNT_REASONING, json_get(out, S("reasoning_tokens")) },
        { COUNT_AUDIO_INPUT, json_get(in, S("audio_tokens")) },
        { COUNT_AUDIO_OUTPUT, json_get(out, S("audio_tokens")) },
    };
    struct llm_usage u = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (json_is(rows[i].n, JSON_NUMBER))
            usage_set(&u, rows[i].count, json_i64(rows[i].n, 0));
    if (json_is(tier, JSON_STRING) && !tier->escaped)
        u.service = usage_service_named(str_make(tier->p + 1, tier->n - 2));
    emit_usage(r, &u);
}

/* --- text and reasoning --- */

/* Mistral's thinking: a list of text parts, or a string. */
static void
take_thinking(struct wire_reader *r, struct emit_choice *c, const struct json *thinking)
{
    struct json_iter it = elements(thinking);

    emit_text(r, c, EVENT_REASONING, emit_string(r, thinking));
    while (json_next(&it))
        emit_text(r, c, EVENT_REASONING, emit_string(r, json_get(it.value, S("text"))));
}

static void
take_content(struct wire_reader *r, struct emit_choice *c, const struct json *content)
{
    struct json_iter it = elements(content);

    emit_text(r, c, EVENT_TEXT, emit_string(r, content));
    while (json_next(&it)) {
        const struct json *thinking = json_get(it.value, S("thinking"));

        if (thinking != NULL)
            take_thinking(r, c, thinking);
        else
            emit_text(r, c, EVENT_TEXT, emit_string(r, json_get(it.value, S("text"))));
    }
}

/* Reasoning blocks in OpenRouter's form. `told`: their text was elsewhere in the delta. */
static void
take_reasoning_details(
    struct wire_reader *r, struct emit_choice *c, const struct json *details, bool told)
{
    struct json_iter it = elements(details);

    while (json_next(&it)) {
        if (!told)
            emit_text(r, c, EVENT_REASONING, emit_string(r, json_get(it.value, S("text"))));

        const struct json *format = json_get(it.value, S("format"));
        struct str data = emit_string(r, json_get(it.value, S("data")));

        if (json_str_is(format, S(OPENAI_REASONING_ANTHROPIC))) {
            r->emit.origin = ORIGIN_ANTHROPIC;
            emit_text(r, c, EVENT_REDACTED, data);
            emit_signature(r, c, emit_string(r, json_get(it.value, S("signature"))));
        } else if (json_str_is(format, S(OPENAI_REASONING_OPENAI))) {
            r->emit.origin = ORIGIN_OPENAI;    /* which proves by encrypting */
            emit_signature(r, c, data);
        }
    }
}

static void
take_reasoning(struct wire_reader *r, struct emit_choice *c, const struct delta *d)
{
    struct str text = emit_string(r, d->reasoning_content);

    if (text.n == 0)
        text = emit_string(r, d->reasoning);
    emit_text(r, c, EVENT_REASONING, text);
    if (d->reasoning_details != NULL)
        take_reasoning_details(r, c, d->reasoning_details, text.n > 0);
}

/* --- the rest of a delta --- */

/* Sound, whole or in pieces, of which only those of a stream have no beginning that tells its type; and
 * what it says, which to callers of other protocols is the answer's text. */
static void
take_audio(struct wire_reader *r, struct emit_choice *c, const struct json *audio)
{
    struct llm_part sound = { .kind = PART_AUDIO,
        .name = emit_string(r, json_get(audio, S("id"))) };

    media_set_data(&sound, S("audio/pcm"), emit_string(r, json_get(audio, S("data"))));
    emit_text(r, c, EVENT_TEXT, emit_string(r, json_get(audio, S("transcript"))));
    emit_media(r, c, &sound);
}

/* {"type":"image_url","image_url":{"url":"data:image/png;base64,..."}}, as OpenRouter's answers have it. */
static void
take_image(struct wire_reader *r, struct emit_choice *c, const struct json *image)
{
    struct llm_part picture = { .kind = PART_IMAGE };

    if (media_set_url(&picture, emit_string(r, json_at(image, "image_url.url"))) &&
        picture.url.n + picture.data.n > 0)
        emit_media(r, c, &picture);
    else
        emit_raw(r, c, EVENT_OPAQUE, image);    /* something was said */
}

static void
take_extras(struct wire_reader *r, struct emit_choice *c, const struct delta *d)
{
    struct json_iter it = elements(d->annotations);

    while (json_next(&it)) {
        const struct json *page = json_get(it.value, S("url_citation"));

        emit_citation(r, c,
            &(struct llm_citation){
                .url = emit_string(r, json_get(page, S("url"))),
                .title = emit_string(r, json_get(page, S("title"))),
                .quote = emit_string(r, json_get(page, S("content"))),    /* OpenRouter */
                .from = MAX(json_i64(json_get(page, S("start_index")), 0), 0),
                .to = MAX(json_i64(json_get(page, S("end_index")), 0), 0),
            });
    }
    if (json_is(d->audio, JSON_OBJECT))
        take_audio(r, c, d->audio);
    it = elements(d->images);
    while (json_next(&it))
        take_image(r, c, it.value);
}

/* One entry of tool_calls, or an old function_call. `whole`: it is a complete call, not a piece. */
static enum err
take_call(struct wire_reader *r, struct emit_choice *c, const struct json *j, bool whole)
{
    const struct json *custom = json_get(j, S("custom"));
    const struct json *function = custom != NULL ? custom : json_get(j, S("function"));
    const struct json *body = json_is(function, JSON_OBJECT) ? function : j;
    const struct json *args = json_get(body, custom != NULL ? S("input") : S("arguments"));
    bool is_object = json_is(args, JSON_OBJECT);
    struct emit_piece piece = {
        .label = json_i64(json_get(j, S("index")), -1),
        .id = emit_string(r, json_get(j, S("id"))),
        .name = emit_string(r, json_get(body, S("name"))),
        .args = is_object ? json_raw(args) : emit_string(r, args),
        .is_object = is_object,
        .whole = whole,
    };

    if (piece.id.n > 0 || piece.name.n > 0) {
        piece.custom = custom != NULL || json_str_is(json_get(j, S("type")), S("custom"));
        piece.signature = emit_string(r, json_at(j, "extra_content.google.thought_signature"));
    }
    return emit_call(r, c, &piece);
}

static void
take_words(struct wire_reader *r, struct emit_choice *c, const struct delta *d)
{
    take_reasoning(r, c, d);
    take_content(r, c, d->content);
    emit_text(r, c, EVENT_REFUSAL, emit_string(r, d->refusal));
    take_extras(r, c, d);
}

static enum err
take_calls(struct wire_reader *r, struct emit_choice *c, const struct delta *d, bool whole)
{
    struct json_iter it = elements(d->tool_calls);

    while (json_next(&it)) {
        enum err e = take_call(r, c, it.value, whole);

        if (e != OK)
            return e;
    }
    return json_is(d->function_call, JSON_OBJECT) ? take_call(r, c, d->function_call, whole) : OK;
}

/* --- finish --- */

static const struct llm_named finishes[] = {
    { S_INIT("stop"), FINISH_STOP },
    { S_INIT("length"), FINISH_LENGTH },
    { S_INIT("tool_calls"), FINISH_TOOLS },
    { S_INIT("content_filter"), FINISH_FILTER },
    { S_INIT("sensitive"), FINISH_FILTER },    /* Z.ai */
    { S_INIT("function_call"), FINISH_TOOLS },
    { S_INIT("eos"), FINISH_STOP },    /* Together */
    { S_INIT("end_turn"), FINISH_STOP },
    { S_INIT("stop_sequence"), FINISH_STOP },
    { S_INIT("model_length"), FINISH_LENGTH },    /* Mistral */
    { S_INIT("max_tokens"), FINISH_LENGTH },
    { S_INIT("tool_use"), FINISH_TOOLS },
};

/* Reasons that are none for an answer without content. */
static const struct llm_named failures[] = {
    { S_INIT("error"), ERR_UPSTREAM_ERROR },
    { S_INIT("abort"), ERR_UPSTREAM_ERROR },                      /* vLLM, SGLang */
    { S_INIT("network_error"), ERR_UPSTREAM_ERROR },              /* Z.ai */
    { S_INIT("malformed_function_call"), ERR_UPSTREAM_ERROR },    /* Gemini, this and the next */
    { S_INIT("function_call_filter: MALFORMED_FUNCTION_CALL"), ERR_UPSTREAM_ERROR },
    { S_INIT("insufficient_system_resource"), ERR_UPSTREAM_OVERLOADED },    /* DeepSeek */
};

/* `word` may be empty: then, as for "stop", it depends on whether there are calls. `sequence` is
 * the matched stop sequence, which vLLM reports. */
static void
finish_choice(struct wire_reader *r, struct emit_choice *c, struct str word, struct str sequence)
{
    int finish = read_word_str(word, finishes, ARRAY_LEN(finishes));
    int failure = read_word_str(word, failures, ARRAY_LEN(failures));

    /* The host failed before it sent any content, so there is no answer. If it has sent some, the
     * answer ends normally, with the host's own finish reason beside ours. */
    if (!c->finished && !c->said && failure >= 0) {
        c->finished = true;
        emit_failure(r, (enum err)failure, S("the provider failed and gave no answer"));
        return;
    }
    if (word.n == 0)
        finish = FINISH_STOP;
    emit_finish(r, c, finish >= 0 ? (enum llm_finish)finish : FINISH_UNKNOWN, word, sequence);
}

/* --- choices --- */

static bool
has_logprobs(const struct json *logprobs)
{
    return json_present(json_get(logprobs, S("content"))) ||
           json_present(json_get(logprobs, S("refusal"))) ||
           json_present(json_get(logprobs, S("tokens")));
}

static enum err
take_choice(struct wire_reader *r, const struct json *j, uint32_t position, bool whole)
{
    struct choice ch = { .index = NULL };

    FIND(j, choice_names, &ch);

    struct emit_choice *c = emit_choice(r, json_i64(ch.index, position));
    /* Some hosts send the message so far beside each delta, others stream the whole message at
     * once. */
    const struct json *said = whole || !json_present(ch.delta) ? ch.message : ch.delta;

    if (!json_is(j, JSON_OBJECT) || c == NULL)
        return ERR_UPSTREAM_PROTOCOL;

    struct delta d = { .content = NULL };

    FIND(said, delta_names, &d);
    take_words(r, c, &d);
    if (!json_present(said))    /* a text completion; Together repeats the delta's text here */
        emit_text(r, c, EVENT_TEXT, emit_string(r, ch.text));
    if (has_logprobs(ch.logprobs))    /* of the text: before the calls */
        emit_raw(r, c, EVENT_LOGPROBS, ch.logprobs);

    enum err e = take_calls(r, c, &d, whole);
    if (e != OK)
        return e;

    struct str finish = emit_word(r, ch.finish_reason);

    if (finish.n > 0)
        finish_choice(r, c, finish, emit_word(r, ch.stop_reason));
    return OK;
}

static enum err
take_choices(struct wire_reader *r, const struct json *choices, bool whole)
{
    struct json_iter it = elements(choices);
    uint32_t position = 0;

    while (!r->failed && json_next(&it)) {
        enum err e = take_choice(r, it.value, position++, whole);

        if (e != OK)
            return e;
    }
    return OK;
}

/* --- errors under status 200 --- */

static bool
says_error(const struct chunk *ch)
{
    if (json_present(ch->error) && ch->error->type != JSON_FALSE && !json_str_is(ch->error, S("")))
        return true;
    if (json_str_is(ch->object, S("error")))
        return true;
    return ch->choices == NULL && ch->id == NULL &&
           (json_present(ch->detail) || json_is(ch->message, JSON_STRING));
}

static void
fail_with(struct wire_reader *r, struct str body)
{
    struct llm_error e;

    openai_read_error(r->scratch, 200, body, &e);
    emit_error(r, &e);
}

/* The choice that holds an error, as OpenRouter puts it, or NULL. */
static const struct json *
failed_choice(const struct json *choices)
{
    struct json_iter it = elements(choices);

    while (json_next(&it))
        if (json_is(json_get(it.value, S("error")), JSON_OBJECT))
            return it.value;
    return NULL;
}

/* Emits the error in a chunk or a body. False when there is none. */
static bool
take_error(struct wire_reader *r, const struct chunk *ch, struct str text)
{
    const struct json *failed = failed_choice(ch->choices);
    struct llm_error e;

    if (ch->base_resp != NULL && openai_read_base_resp(r->scratch, ch->base_resp, &e)) {
        emit_error(r, &e);
        return true;
    }
    if (failed == NULL && !says_error(ch))
        return false;
    take_usage(r, ch->usage, ch->service_tier);
    fail_with(r, failed != NULL ? json_raw(failed) : text);
    return true;
}

/* --- the stream --- */

/* [DONE]: choices without a finish reason will not get one. */
static void
take_done(struct wire_reader *r)
{
    if (r->no_finish_reason)
        for (struct emit_choice *c = r->emit.choices; c != NULL; c = c->next)
            if (c->said)
                finish_choice(r, c, S(""), S(""));
    /* some hosts return one choice even if more were requested */
    r->finished = emit_all_finished(r, 1);
    if (r->finished)
        emit_end(r);
    else
        emit_unfinished(r);
}

static enum err
take_chunk(struct wire_reader *r, const struct chunk *ch)
{
    bool empty = !has_elements(ch->choices);

    /* Azure's first chunk has neither choices nor an id and does not start the answer. */
    if (!empty || (json_is(ch->id, JSON_STRING) && ch->id->n > 2))
        start(r, ch);
    take_usage(r, ch->usage, ch->service_tier);
    take_usage(r, json_get(ch->x_groq, S("usage")), NULL);
    if (!empty && ch->usage == NULL)
        take_usage(r, json_get(json_iter(ch->choices).next, S("usage")), NULL);    /* Moonshot */
    r->frame_is_usage = empty && json_is(ch->usage, JSON_OBJECT);

    enum err e = take_choices(r, ch->choices, false);

    r->finished = emit_all_finished(r, r->choices);
    return emit_verdict(r, e);
}

enum err
openai_read_event(struct wire_reader *r, struct str event, struct str data)
{
    struct chunk ch = { .id = NULL };

    r->frame_is_usage = false;
    data = str_trim(data);
    if (data.n == 0 || r->complete || r->failed)
        return OK;
    if (str_eq(data, S("[DONE]"))) {
        take_done(r);
        return OK;
    }
    if (str_eq(event, S("error"))) {
        fail_with(r, data);
        return OK;
    }

    const struct json *doc = json_parse(r->scratch, data, NULL, NULL);

    if (!json_is(doc, JSON_OBJECT))
        return ERR_UPSTREAM_PROTOCOL;

    FIND(doc, chunk_names, &ch);
    return take_error(r, &ch, data) ? OK : take_chunk(r, &ch);
}

void
openai_read_end(struct wire_reader *r)
{
    if (!r->complete && !r->failed && r->finished)
        emit_end(r);
}

/* --- the whole answer --- */

static enum err
take_answer(struct wire_reader *r, const struct chunk *ch)
{
    bool wants_choices = r->op == OP_CHAT || r->op == OP_COMPLETE;

    if (wants_choices && !json_is(ch->choices, JSON_ARRAY))
        return ERR_UPSTREAM_PROTOCOL;
    start(r, ch);
    take_usage(r, ch->usage, ch->service_tier);
    if (wants_choices) {
        enum err e = emit_verdict(r, take_choices(r, ch->choices, true));

        if (e != OK || r->failed)
            return e;
        for (struct emit_choice *c = r->emit.choices; c != NULL; c = c->next)
            finish_choice(r, c, S(""), S(""));
    }
    emit_end(r);
    return OK;
}

/* The usage object after what is too much to be parsed. */
static const struct json *
usage_at_end(struct wire_reader *r, struct str body)
{
    struct str tail = body.n > TAIL_BYTES ? str_skip(body, body.n - TAIL_BYTES) : body;
    struct str usage = str_skip(tail, str_find(tail, S("\"usage\"")));
    struct emit_scan scan = { .depth = 0 };
    size_t n;

    usage = str_skip(usage, str_chr(usage, '{'));
    for (n = 0; n < usage.n && (n == 0 || scan.depth > 0); n++)
        emit_scan(&scan, str_make(usage.p + n, 1));
    return json_parse(r->scratch, str_make(usage.p, n), NULL, NULL);
}

/* An answer that is passed through unread is complete once delivered. */
static void
take_delivered(struct wire_reader *r, const struct json *usage)
{
    static const struct chunk nothing = { .id = NULL };

    start(r, &nothing);
    take_usage(r, usage, NULL);
    emit_end(r);
}

enum err
openai_read_answer(struct wire_reader *r, struct str body)
{
    struct chunk ch = { .id = NULL };
    struct json_error why = { .limit = false };
    const struct json *doc = json_parse(r->scratch, body, NULL, &why);

    if (doc == NULL && why.limit && r->op == OP_RELAY) {
        take_delivered(r, usage_at_end(r, body));
        return OK;
    }
    if (r->op == OP_RELAY && !json_is(doc, JSON_OBJECT)) {    /* audio, an image, anything */
        take_delivered(r, NULL);
        return OK;
    }
    if (!json_is(doc, JSON_OBJECT))
        return why.limit ? ERR_UPSTREAM_TOO_LARGE : ERR_UPSTREAM_PROTOCOL;

    FIND(doc, chunk_names, &ch);
    return take_error(r, &ch, body) ? OK : take_answer(r, &ch);
}

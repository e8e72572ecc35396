/* read_answer.c - reads the answers of OpenAI-compatible providers into events.
 *
 * Some hundred hosts speak this wire, each with its deviations: usage in any chunk, calls without
 * an index, a finish reason twice or never, errors in the middle of a 200. The whole answer and the
 * stream's chunks go through the same functions: a message is one large delta.
 */
#include "wires/openai_chat/reply.h"

enum {
    CHOICES_MAX = 128,
    TAIL_BYTES = 1024,    /* searched for usage when a body is too large to parse */
};

/* --- small pieces --- */

struct reply *
openai_reply(struct wire_reader *r)
{
    if (r->state == NULL)
        r->state = arena_new(r->keep, struct reply);
    return r->state;
}

static struct reply_choice *
choice_at(struct wire_reader *r, struct reply *reply, uint32_t index)
{
    struct reply_choice **at = &reply->choices;
    struct reply_choice *c = reply->recent;

    if (c != NULL && c->index == index)
        return c;
    if (c != NULL && c->index < index)
        at = &c->next;
    while (*at != NULL && (*at)->index < index)
        at = &(*at)->next;
    if (*at == NULL || (*at)->index != index) {
        c = arena_new(r->keep, struct reply_choice);
        c->index = index;
        c->calls_tail = &c->calls;
        c->whole_tail = &c->whole;
        c->next = *at;
        *at = c;
    }
    reply->recent = *at;
    return *at;
}

static void
emit_text(struct wire_reader *r, struct reply_choice *c, enum llm_event_kind kind, struct str text)
{
    struct llm_event ev = { .kind = kind, .choice = c->index, .text = text };

    if (text.n == 0)
        return;
    c->said = true;
    wire_emit(r, &ev);
}

static void
emit_raw(
    struct wire_reader *r, struct reply_choice *c, enum llm_event_kind kind, const struct json *j)
{
    struct llm_event ev = { .kind = kind, .choice = c->index, .raw = json_raw(j) };

    wire_emit(r, &ev);
}

static void
emit_error(struct wire_reader *r, const struct llm_error *e)
{
    struct llm_event ev = { .kind = EVENT_ERROR, .error = e };

    r->failed = true;
    wire_emit(r, &ev);
}

static void
emit_end(struct wire_reader *r)
{
    struct llm_event ev = { .kind = EVENT_END };

    r->complete = true;
    wire_emit(r, &ev);
}

struct str
openai_reply_text(struct wire_reader *r, const struct json *j)
{
    struct str s = json_str(r->scratch, j);

    if (s.p == NULL && json_is(j, JSON_STRING))
        openai_reply(r)->too_large = true;
    return s;
}

struct str
openai_reply_keep(struct wire_reader *r, struct str s)
{
    struct str copy = arena_str(r->keep, s);

    if (copy.p == NULL)
        openai_reply(r)->too_large = true;
    return copy;
}

/* --- members --- */

/* The known members of an object, collected in one pass. */
struct chunk {
    const struct json *id;
    const struct json *model;
    const struct json *created;
    const struct json *object;
    const struct json *choices;
    const struct json *usage;
    const struct json *x_groq;
    const struct json *error;
    const struct json *detail;
    const struct json *message;
};

struct choice {
    const struct json *index;
    const struct json *delta;
    const struct json *message;
    const struct json *text;
    const struct json *logprobs;
    const struct json *finish_reason;
    const struct json *stop_reason;
};

struct delta {
    const struct json *content;
    const struct json *reasoning_content;
    const struct json *reasoning;
    const struct json *reasoning_details;
    const struct json *refusal;
    const struct json *tool_calls;
    const struct json *function_call;
    const struct json *annotations;
    const struct json *audio;
    const struct json *images;
};

/* A member's name, and the offset of its value in one of the structs above. */
struct member {
    struct str key;
    size_t at;
};
#define MEMBER(type, name)                                                                         \
    {                                                                                              \
        S_INIT(#name), offsetof(struct type, name)                                                 \
    }

static const struct member chunk_members[] = {
    MEMBER(chunk, id),
    MEMBER(chunk, model),
    MEMBER(chunk, created),
    MEMBER(chunk, object),
    MEMBER(chunk, choices),
    MEMBER(chunk, usage),
    MEMBER(chunk, x_groq),
    MEMBER(chunk, error),
    MEMBER(chunk, detail),
    MEMBER(chunk, message),
};

static const struct member choice_members[] = {
    MEMBER(choice, index),
    MEMBER(choice, delta),
    MEMBER(choice, message),
    MEMBER(choice, text),
    MEMBER(choice, logprobs),
    MEMBER(choice, finish_reason),
    MEMBER(choice, stop_reason),
};

static const struct member delta_members[] = {
    MEMBER(delta, content),
    MEMBER(delta, reasoning_content),
    MEMBER(delta, reasoning),
    MEMBER(delta, reasoning_details),
    MEMBER(delta, refusal),
    MEMBER(delta, tool_calls),
    MEMBER(delta, function_call),
    MEMBER(delta, annotations),
    MEMBER(delta, audio),
    MEMBER(delta, images),
};

/* Fills *ret, a zeroed struct of pointers, from an object; anything else has no members. */
static void
find_members(const struct json *object, const struct member *members, size_t n, void *ret)
{
    struct json_iter it = json_iter(json_is(object, JSON_OBJECT) ? object : NULL);

    while (json_next(&it)) {
        for (size_t i = 0; i < n; i++) {
            /* The length, including the quotes, and the first letter distinguish most names. */
            if (!it.key->escaped &&
                (it.key->n != members[i].key.n + 2 || it.key->p[1] != members[i].key.p[0]))
                continue;
            if (!json_str_is(it.key, members[i].key))
                continue;
            *(const struct json **)(void *)((char *)ret + members[i].at) = it.value;
            break;
        }
    }
}

static struct chunk
chunk_of(const struct json *doc)
{
    struct chunk ch = { .id = NULL };

    find_members(doc, chunk_members, ARRAY_LEN(chunk_members), &ch);
    return ch;
}

static struct choice
choice_of(const struct json *j)
{
    struct choice ch = { .index = NULL };

    find_members(j, choice_members, ARRAY_LEN(choice_members), &ch);
    return ch;
}

static struct delta
delta_of(const struct json *j)
{
    struct delta d = { .content = NULL };

    find_members(j, delta_members, ARRAY_LEN(delta_members), &d);
    return d;
}

static bool
has_elements(const struct json *j)
{
    return json_is(j, JSON_ARRAY) && !json_is_empty(j);
}

/* --- start and usage --- */

static void
start(struct wire_reader *r, struct reply *reply, const struct chunk *ch)
{
    if (reply->started)
        return;
    reply->started = true;

    struct llm_event ev = {
        .kind = EVENT_START,
        .id = openai_reply_text(r, ch->id),
        .model = openai_reply_text(r, ch->model),
        .created_s = MAX(json_i64(ch->created, 0), 0),
    };

    wire_emit(r, &ev);
}

static void
take_count(struct llm_usage *u, enum llm_count count, const struct json *j)
{
    if (json_is(j, JSON_NUMBER))
        usage_set(u, count, json_i64(j, 0));
}

static void
take_usage(struct wire_reader *r, struct reply *reply, const struct json *j)
{
    if (!json_is(j, JSON_OBJECT))
        return;

    const struct json *in = json_get(j, S("prompt_tokens_details"));
    const struct json *out = json_get(j, S("completion_tokens_details"));
    struct llm_usage u = { 0 };
    struct llm_usage before = reply->usage;

    take_count(&u, COUNT_INPUT, json_get(j, S("prompt_tokens")));
    take_count(&u, COUNT_OUTPUT, json_get(j, S("completion_tokens")));
    take_count(&u, COUNT_CACHED, json_get(j, S("num_cached_tokens")));          /* Mistral, vLLM */
    take_count(&u, COUNT_CACHED, json_get(j, S("cached_tokens")));              /* Moonshot */
    take_count(&u, COUNT_CACHED, json_get(j, S("prompt_cache_hit_tokens")));    /* DeepSeek */
    take_count(&u, COUNT_CACHED, json_get(in, S("cached_tokens")));
    take_count(&u, COUNT_CACHE_WRITE, json_get(in, S("cache_write_tokens")));
    take_count(&u, COUNT_REASONING, json_get(j, S("reasoning_tokens")));    /* Groq, Perplexity */
    take_count(&u, COUNT_REASONING, json_get(out, S("reasoning_tokens")));
    take_count(&u, COUNT_AUDIO_INPUT, json_get(in, S("audio_tokens")));
    take_count(&u, COUNT_AUDIO_OUTPUT, json_get(out, S("audio_tokens")));
    if (r->op == OP_EMBED && usage_has(&u, COUNT_INPUT) && !usage_has(&u, COUNT_OUTPUT))
        usage_set(&u, COUNT_OUTPUT,
            0);    /* embeddings have no output tokens, and no provider reports any */

    usage_update(&reply->usage, &u);
    if (usage_known(&reply->usage) && memcmp(&before, &reply->usage, sizeof(before)) != 0) {
        struct llm_event ev = { .kind = EVENT_USAGE, .usage = reply->usage };

        wire_emit(r, &ev);
    }
}

/* --- text and reasoning --- */

/* Mistral's thinking: a list of text parts, or a string. */
static void
take_thinking(struct wire_reader *r, struct reply_choice *c, const struct json *thinking)
{
    struct json_iter it = json_iter(json_is(thinking, JSON_ARRAY) ? thinking : NULL);

    emit_text(r, c, EVENT_REASONING, openai_reply_text(r, thinking));
    while (json_next(&it))
        emit_text(r, c, EVENT_REASONING, openai_reply_text(r, json_get(it.value, S("text"))));
}

static void
take_content(struct wire_reader *r, struct reply_choice *c, const struct json *content)
{
    struct json_iter it = json_iter(json_is(content, JSON_ARRAY) ? content : NULL);

    emit_text(r, c, EVENT_TEXT, openai_reply_text(r, content));
    while (json_next(&it)) {
        const struct json *thinking = json_get(it.value, S("thinking"));

        if (thinking != NULL)
            take_thinking(r, c, thinking);
        else
            emit_text(r, c, EVENT_TEXT, openai_reply_text(r, json_get(it.value, S("text"))));
    }
}

/* Reasoning blocks in OpenRouter's form. `told`: their text was elsewhere in the delta. Only
 * Anthropic's signatures are of use to callers of another wire. */
static void
take_reasoning_details(
    struct wire_reader *r, struct reply_choice *c, const struct json *details, bool told)
{
    struct json_iter it = json_iter(json_is(details, JSON_ARRAY) ? details : NULL);

    while (json_next(&it)) {
        if (!told)
            emit_text(r, c, EVENT_REASONING, openai_reply_text(r, json_get(it.value, S("text"))));
        if (!json_str_is(json_get(it.value, S("format")), S(OPENAI_REASONING_ANTHROPIC)))
            continue;
        emit_text(r, c, EVENT_REDACTED, openai_reply_text(r, json_get(it.value, S("data"))));

        struct llm_event ev = {
            .kind = EVENT_SIGNATURE,
            .choice = c->index,
            .signature = openai_reply_text(r, json_get(it.value, S("signature"))),
        };
        if (ev.signature.n > 0)
            wire_emit(r, &ev);
    }
}

static void
take_reasoning(struct wire_reader *r, struct reply_choice *c, const struct delta *d)
{
    struct str text = openai_reply_text(r, d->reasoning_content);

    if (text.n == 0)
        text = openai_reply_text(r, d->reasoning);
    emit_text(r, c, EVENT_REASONING, text);
    if (d->reasoning_details != NULL)
        take_reasoning_details(r, c, d->reasoning_details, text.n > 0);
}

/* --- the rest of a delta --- */

static void
take_extras(struct wire_reader *r, struct reply_choice *c, const struct delta *d)
{
    const struct json *audio_data = json_get(d->audio, S("data"));
    struct json_iter it = json_iter(json_is(d->annotations, JSON_ARRAY) ? d->annotations : NULL);

    while (json_next(&it))
        if (json_is(json_get(it.value, S("type")), JSON_STRING))
            emit_raw(r, c, EVENT_CITATION, it.value);
    if (json_is(audio_data, JSON_STRING) && !json_str_is(audio_data, S("")))
        emit_raw(r, c, EVENT_MEDIA, d->audio);
    it = json_iter(json_is(d->images, JSON_ARRAY) ? d->images : NULL);
    while (json_next(&it))
        emit_raw(r, c, EVENT_MEDIA, it.value);
}

static enum err
take_delta(struct wire_reader *r, struct reply_choice *c, const struct json *j, bool whole)
{
    struct delta d = delta_of(j);

    take_reasoning(r, c, &d);
    take_content(r, c, d.content);
    emit_text(r, c, EVENT_REFUSAL, openai_reply_text(r, d.refusal));
    take_extras(r, c, &d);
    return openai_take_calls(r, c, d.tool_calls, d.function_call, whole);
}

/* --- finish --- */

static enum llm_finish
finish_of(struct str word)
{
    static const struct {
        struct str word;
        enum llm_finish finish;
    } rows[] = {
        { S_INIT("stop"), FINISH_STOP },
        { S_INIT("length"), FINISH_LENGTH },
        { S_INIT("tool_calls"), FINISH_TOOLS },
        { S_INIT("content_filter"), FINISH_FILTER },
        { S_INIT("function_call"), FINISH_TOOLS },
        { S_INIT("eos"), FINISH_STOP },    /* Together */
        { S_INIT("end_turn"), FINISH_STOP },
        { S_INIT("stop_sequence"), FINISH_STOP },
        { S_INIT("model_length"), FINISH_LENGTH },    /* Mistral */
        { S_INIT("max_tokens"), FINISH_LENGTH },
        { S_INIT("tool_use"), FINISH_TOOLS },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(word, rows[i].word))
            return rows[i].finish;
    return FINISH_UNKNOWN;
}

/* The host failed before it sent any content, so there is no answer. If it has sent some, the
 * answer ends normally, with the host's own finish reason beside ours. */
static void
fail_silent(struct wire_reader *r)
{
    struct llm_error e = {
        .kind = ERR_UPSTREAM_ERROR,
        .message = S("the provider failed and gave no answer"),
    };

    emit_error(r, &e);
}

/* `word` may be empty: then, as for "stop", it depends on whether there are calls. `sequence` is
 * the matched stop sequence, which vLLM reports. */
static void
finish_choice(struct wire_reader *r, struct reply_choice *c, struct str word, struct str sequence)
{
    struct llm_event ev = {
        .kind = EVENT_FINISH,
        .choice = c->index,
        .finish = finish_of(word),
        .native = word,
        .stop_sequence = sequence,
    };

    if (c->finished)
        return;
    c->finished = true;
    if (!c->said && str_eq(word, S("error"))) {
        fail_silent(r);
        return;
    }
    openai_end_calls(r, c);
    if (word.n == 0)
        ev.finish = FINISH_STOP;
    if (c->start_count > 0 && (ev.finish == FINISH_STOP || ev.finish == FINISH_UNKNOWN))
        ev.finish = FINISH_TOOLS;
    else if (c->start_count == 0 && ev.finish == FINISH_TOOLS)
        ev.finish = FINISH_STOP;    /* there is no call, and the caller would wait for one */
    wire_emit(r, &ev);
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
take_choice(
    struct wire_reader *r, struct reply *reply, const struct json *j, uint32_t position, bool whole)
{
    struct choice ch = choice_of(j);
    int64_t index = json_i64(ch.index, position);
    /* Some hosts send the message so far beside each delta, others stream the whole message at
     * once. */
    const struct json *said = whole || !json_present(ch.delta) ? ch.message : ch.delta;

    if (!json_is(j, JSON_OBJECT) || index < 0 || index >= CHOICES_MAX)
        return ERR_UPSTREAM_PROTOCOL;

    struct reply_choice *c = choice_at(r, reply, (uint32_t)index);

    enum err e = take_delta(r, c, said, whole);
    if (e != OK)
        return e;
    if (!json_present(said))    /* a text completion; Together repeats the delta's text here */
        emit_text(r, c, EVENT_TEXT, openai_reply_text(r, ch.text));
    if (has_logprobs(ch.logprobs))
        emit_raw(r, c, EVENT_LOGPROBS, ch.logprobs);
    if (json_is(ch.finish_reason, JSON_STRING) && ch.finish_reason->n > 2)
        finish_choice(
            r, c, openai_reply_text(r, ch.finish_reason), openai_reply_text(r, ch.stop_reason));
    return OK;
}

static enum err
take_choices(struct wire_reader *r, struct reply *reply, const struct json *choices, bool whole)
{
    struct json_iter it = json_iter(json_is(choices, JSON_ARRAY) ? choices : NULL);
    uint32_t position = 0;

    while (!r->failed && json_next(&it)) {
        enum err e = take_choice(r, reply, it.value, position++, whole);

        if (e != OK)
            return e;
    }
    return OK;
}

/* Whether every choice that began has finished, and at least `wanted` began. */
static bool
all_finished(const struct reply *reply, int64_t wanted)
{
    int64_t finished = 0;

    for (const struct reply_choice *c = reply->choices; c != NULL; c = c->next) {
        if (!c->finished)
            return false;
        finished++;
    }
    return finished >= MAX(wanted, 1);
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
    struct json_iter it = json_iter(json_is(choices, JSON_ARRAY) ? choices : NULL);

    while (json_next(&it))
        if (json_is(json_get(it.value, S("error")), JSON_OBJECT))
            return it.value;
    return NULL;
}

/* Emits the error in a chunk or a body. False when there is none. */
static bool
take_error(struct wire_reader *r, struct reply *reply, const struct chunk *ch, struct str text)
{
    const struct json *failed = failed_choice(ch->choices);

    if (failed == NULL && !says_error(ch))
        return false;
    take_usage(r, reply, ch->usage);
    fail_with(r, failed != NULL ? json_raw(failed) : text);
    return true;
}

/* --- the stream --- */

/* [DONE]: choices without a finish reason will not get one. */
static void
take_done(struct wire_reader *r, struct reply *reply)
{
    struct llm_error e = {
        .kind = ERR_UPSTREAM_TRUNCATED,
        .message = S("the provider ended the stream without an answer"),
    };

    for (struct reply_choice *c = reply->choices; c != NULL; c = c->next)
        if (c->said)
            finish_choice(r, c, S(""), S(""));
    /* some hosts return one choice even if more were requested */
    r->finished = all_finished(reply, 1);
    if (r->finished)
        emit_end(r);
    else
        emit_error(r, &e);
}

static enum err
take_chunk(struct wire_reader *r, struct reply *reply, const struct chunk *ch)
{
    bool empty = !has_elements(ch->choices);

    /* Azure's first chunk has neither choices nor an id and does not start the answer. */
    if (!empty || (json_is(ch->id, JSON_STRING) && ch->id->n > 2))
        start(r, reply, ch);
    take_usage(r, reply, ch->usage);
    take_usage(r, reply, json_get(ch->x_groq, S("usage")));
    if (!empty && ch->usage == NULL)
        take_usage(r, reply, json_get(json_iter(ch->choices).next, S("usage")));    /* Moonshot */
    r->frame_is_usage = empty && json_is(ch->usage, JSON_OBJECT);

    enum err e = take_choices(r, reply, ch->choices, false);

    r->finished = all_finished(reply, r->choices);
    return e == OK && reply->too_large ? ERR_UPSTREAM_TOO_LARGE : e;
}

enum err
openai_read_event(struct wire_reader *r, struct str event, struct str data)
{
    struct reply *reply = openai_reply(r);

    r->frame_is_usage = false;
    data = str_trim(data);
    if (data.n == 0 || r->complete || r->failed)
        return OK;
    if (str_eq(data, S("[DONE]"))) {
        take_done(r, reply);
        return OK;
    }
    if (str_eq(event, S("error"))) {
        fail_with(r, data);
        return OK;
    }

    const struct json *doc = json_parse(r->scratch, data, NULL, NULL);

    if (!json_is(doc, JSON_OBJECT))
        return ERR_UPSTREAM_PROTOCOL;

    struct chunk ch = chunk_of(doc);

    return take_error(r, reply, &ch, data) ? OK : take_chunk(r, reply, &ch);
}

void
openai_read_end(struct wire_reader *r)
{
    if (!r->complete && !r->failed && r->finished)
        emit_end(r);
}

/* --- the whole answer --- */

static enum err
take_answer(struct wire_reader *r, struct reply *reply, const struct chunk *ch)
{
    bool wants_choices = r->op == OP_CHAT || r->op == OP_COMPLETE;

    if (wants_choices && !has_elements(ch->choices))
        return ERR_UPSTREAM_PROTOCOL;
    start(r, reply, ch);
    take_usage(r, reply, ch->usage);
    if (wants_choices) {
        enum err e = take_choices(r, reply, ch->choices, true);

        if (e != OK)
            return e;
        if (reply->too_large)
            return ERR_UPSTREAM_TOO_LARGE;
        if (r->failed)
            return OK;
        for (struct reply_choice *c = reply->choices; c != NULL; c = c->next)
            finish_choice(r, c, S(""), S(""));
    }
    r->finished = true;
    emit_end(r);
    return OK;
}

/* The usage object after thousands of embeddings, without parsing those. */
static const struct json *
usage_at_end(struct wire_reader *r, struct str body)
{
    struct str tail = body.n > TAIL_BYTES ? str_skip(body, body.n - TAIL_BYTES) : body;
    struct str usage = str_skip(tail, str_find(tail, S("\"usage\"")));
    struct args_scan scan = { .depth = 0 };
    size_t n;

    usage = str_skip(usage, str_chr(usage, '{'));
    for (n = 0; n < usage.n && (n == 0 || scan.depth > 0); n++)
        openai_scan_args(&scan, str_make(usage.p + n, 1));
    return json_parse(r->scratch, str_make(usage.p, n), NULL, NULL);
}

/* An answer that is passed through unread is complete once delivered. */
static void
take_delivered(struct wire_reader *r, struct reply *reply, const struct json *usage)
{
    static const struct chunk nothing = { .id = NULL };

    start(r, reply, &nothing);
    take_usage(r, reply, usage);
    r->finished = true;
    emit_end(r);
}

enum err
openai_read_answer(struct wire_reader *r, struct str body)
{
    struct reply *reply = openai_reply(r);
    struct json_error why = { .limit = false };
    const struct json *doc = json_parse(r->scratch, body, NULL, &why);

    if (doc == NULL && why.limit && (r->op == OP_EMBED || r->op == OP_RELAY)) {
        take_delivered(r, reply, usage_at_end(r, body));
        return OK;
    }
    if (r->op == OP_RELAY && !json_is(doc, JSON_OBJECT)) {    /* audio, an image, anything */
        take_delivered(r, reply, NULL);
        return OK;
    }
    if (!json_is(doc, JSON_OBJECT))
        return why.limit ? ERR_UPSTREAM_TOO_LARGE : ERR_UPSTREAM_PROTOCOL;

    struct chunk ch = chunk_of(doc);

    return take_error(r, reply, &ch, body) ? OK : take_answer(r, reply, &ch);
}

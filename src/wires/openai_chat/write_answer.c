/* write_answer.c - answers for an OpenAI caller: stream chunks, whole bodies, errors.
 *
 * Every chunk of a stream begins with the same id, time and model: that prefix is
 * made once, so that an event costs an append and no allocation.
 */
#include "wires/openai_chat/openai_chat.h"

enum {
    CALLS_MARKED = 256,    /* calls of a choice whose state is tracked */
    /* limit of what every chunk repeats; a provider's longer id and model are replaced by ours */
    PREFIX_MAX = 1024,
};

/* What a call got so far. */
enum call_mark { CALL_EMPTY, CALL_HAS_ARGS, CALL_CUSTOM };

struct written_choice {
    uint32_t index;
    uint32_t blocks;                /* reasoning blocks that were signed so far */
    uint8_t calls[CALLS_MARKED];    /* enum call_mark */
    struct written_choice *next;
};

struct written {
    struct str prefix;    /* data: {"id":...,"choices":[ */
    struct str suffix;    /* after the list of choices */
    struct llm_usage usage;
    struct written_choice *choices;    /* by index, ascending */
    struct written_choice *recent;     /* the one looked up last */
    bool done;
};

/* --- what both forms share --- */

static bool
is_completion(const struct wire_writer *w)
{
    return w->op == OP_COMPLETE;
}

static void
add_count(struct buf *out, struct str key, int64_t n)
{
    buf_add(out, key);
    buf_add_i64(out, n);
}

static void
add_usage(struct buf *out, const struct llm_usage *u)
{
    int64_t input = u->input;
    int64_t output = u->output;

    add_count(out, S("{\"prompt_tokens\":"), input);
    add_count(out, S(",\"completion_tokens\":"), output);
    add_count(out, S(",\"total_tokens\":"), input + output);
    add_count(out, S(",\"prompt_tokens_details\":{\"cached_tokens\":"), u->cached);
    if (u->cache_write > 0)
        add_count(out, S(",\"cache_write_tokens\":"), u->cache_write);
    add_count(out, S(",\"audio_tokens\":"), u->audio_input);
    add_count(out, S("},\"completion_tokens_details\":{\"reasoning_tokens\":"), u->reasoning);
    add_count(out, S(",\"audio_tokens\":"), u->audio_output);
    buf_add(out, S("}}"));
}

/* "finish_reason":"..."; a reason that OpenAI does not have is added as native_finish_reason. */
static void
add_finish(struct buf *out, enum llm_finish finish, struct str native)
{
    buf_add(out, S("\"finish_reason\":\""));
    buf_add(out, str_c(llm_finish_name(finish)));
    buf_add_c(out, '"');
    if (finish == FINISH_UNKNOWN && native.n > 0) {
        buf_add(out, S(",\"native_finish_reason\":"));
        json_add_str(out, native);
    }
}

static void
add_identity(struct wire_writer *w, struct buf *out, struct str id, struct str object,
    struct str model, int64_t created_s)
{
    buf_add(out, S("{\"id\":"));
    if (id.n > 0) {
        json_add_str(out, id);
    } else {
        buf_add(out, is_completion(w) ? S("\"cmpl-") : S("\"chatcmpl-"));
        json_add_escaped(out, w->id);
        buf_add_c(out, '"');
    }
    buf_add(out, S(",\"object\":"));
    json_add_str(out, object);
    buf_add(out, S(",\"created\":"));
    buf_add_i64(out, created_s > 0 ? created_s : w->created_s);
    buf_add(out, S(",\"model\":"));
    json_add_str(out, model.n > 0 ? model : w->model);
}

/* The rest of an entry of reasoning_details. Its id marks it as ours; see edit_messages(). */
static void
add_reasoning_end(struct buf *out, uint32_t index)
{
    buf_add(out, S(",\"id\":\"" OPENAI_REASONING_ID));
    buf_add_u64(out, index);
    buf_add(out, S("\",\"format\":\"" OPENAI_REASONING_ANTHROPIC "\",\"index\":"));
    buf_add_u64(out, index);
    buf_add_c(out, '}');
}

/* Whether a citation is an annotation in this wire's form; offsets in other forms have another
 * meaning. */
static bool
is_own_annotation(struct arena *a, struct str raw)
{
    struct arena_mark mark = arena_mark(a);
    const struct json *doc = json_parse(a, raw, NULL, NULL);
    bool own = json_str_is(json_get(doc, S("type")), S("url_citation"));

    arena_rewind(a, mark);
    return own;
}

/* --- the stream --- */

/* Appends a provider's JSON on one line: there may be line ends between its values. */
static void
add_on_one_line(struct buf *out, struct str raw)
{
    size_t from = 0;

    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] != '\n' && raw.p[i] != '\r')
            continue;
        buf_add(out, str_make(raw.p + from, i - from));
        buf_add_c(out, ' ');
        from = i + 1;
    }
    buf_add(out, str_skip(raw, from));
}

static struct written *
written_of(struct wire_writer *w)
{
    if (w->state == NULL) {
        w->state = arena_new(w->keep, struct written);
    }
    return w->state;
}

/* Builds the parts that all chunks have in common. `ev` is not a START if the provider sent none.
 */
static void
make_prefix(struct wire_writer *w, struct written *st, const struct llm_event *ev)
{
    struct buf b;
    struct str object = is_completion(w) ? S("text_completion") : S("chat.completion.chunk");
    bool start = ev->kind == EVENT_START;

    buf_init(&b, PREFIX_MAX);
    buf_add(&b, S("data: "));
    add_identity(w, &b, start ? ev->id : S(""), object, start ? ev->model : S(""),
        start ? ev->created_s : 0);
    buf_add(&b, S(",\"choices\":["));
    if (b.overflow) {    /* too long to be repeated in every chunk: use our own */
        buf_fini(&b);
        buf_init(&b, 64 * 1024);
        buf_add(&b, S("data: "));
        add_identity(w, &b, S(""), object, S(""), 0);
        buf_add(&b, S(",\"choices\":["));
    }

    char *prefix = arena_array(w->keep, char, buf_len(&b));

    memcpy(prefix, buf_str(&b).p, buf_len(&b));
    st->prefix = str_make(prefix, buf_len(&b));
    st->suffix = w->want_usage ? S("],\"usage\":null}\n\n") : S("]}\n\n");
    buf_fini(&b);
}

/* Opens a chunk: everything up to the choice's own members. */
static void
open_chunk(struct wire_writer *w, const struct written *st, uint32_t index)
{
    buf_add(w->out, st->prefix);
    buf_add(w->out, S("{\"index\":"));
    buf_add_u64(w->out, index);
}

static void
open_delta(struct wire_writer *w, const struct written *st, uint32_t index)
{
    open_chunk(w, st, index);
    buf_add(w->out, S(",\"delta\":{"));
}

static void
close_delta(struct wire_writer *w, const struct written *st)
{
    buf_add(w->out, S("},\"logprobs\":null,\"finish_reason\":null}"));
    buf_add(w->out, st->suffix);
}

/* The state of a choice; a new one begins with a chunk that names the role. */
static struct written_choice *
choice_of(struct wire_writer *w, struct written *st, uint32_t index)
{
    struct written_choice **at = &st->choices;
    struct written_choice *c = st->recent;

    if (c != NULL && c->index == index)
        return c;
    if (c != NULL && c->index < index)
        at = &c->next;
    while (*at != NULL && (*at)->index < index)
        at = &(*at)->next;
    if (*at == NULL || (*at)->index != index) {
        c = arena_new(w->keep, struct written_choice);
        c->index = index;
        c->next = *at;
        *at = c;
        if (!is_completion(w)) {
            open_delta(w, st, index);
            buf_add(w->out, S("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null"));
            close_delta(w, st);
        }
    }
    st->recent = *at;
    return *at;
}

/* A delta with one text member: "content":"..." */
static void
write_delta_text(
    struct wire_writer *w, const struct written *st, const struct llm_event *ev, struct str key)
{
    open_delta(w, st, ev->choice);
    buf_add(w->out, key);
    json_add_str(w->out, ev->text);
    close_delta(w, st);
}

static void
write_text(struct wire_writer *w, const struct written *st, const struct llm_event *ev)
{
    if (!is_completion(w)) {
        write_delta_text(w, st, ev, S("\"content\":"));
        return;
    }
    open_chunk(w, st, ev->choice);
    buf_add(w->out, S(",\"text\":"));
    json_add_str(w->out, ev->text);
    buf_add(w->out, S(",\"logprobs\":null,\"finish_reason\":null}"));
    buf_add(w->out, st->suffix);
}

/* The signature of a reasoning block, in the form that clients of OpenRouter send back unchanged.
 */
static void
write_proof(struct wire_writer *w, const struct written *st, struct written_choice *c,
    const struct llm_event *ev)
{
    open_delta(w, st, ev->choice);
    if (ev->kind == EVENT_SIGNATURE) {
        buf_add(w->out,
            S("\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"\",\"signature\":"));
        json_add_str(w->out, ev->signature);
    } else {
        buf_add(w->out, S("\"reasoning_details\":[{\"type\":\"reasoning.encrypted\",\"data\":"));
        json_add_str(w->out, ev->text);
    }
    add_reasoning_end(w->out, c->blocks++);
    buf_add_c(w->out, ']');
    close_delta(w, st);
}

/* --- tool calls in the stream --- */

static void
open_call(struct wire_writer *w, const struct written *st, const struct llm_event *ev)
{
    open_delta(w, st, ev->choice);
    buf_add(w->out, S("\"tool_calls\":[{\"index\":"));
    buf_add_u64(w->out, ev->tool);
}

static void
close_call(struct wire_writer *w, const struct written *st)
{
    buf_add(w->out, S("}]"));
    close_delta(w, st);
}

static void
add_thought_signature(struct buf *out, struct str signature)
{
    if (signature.n == 0)
        return;
    buf_add(out, S(",\"extra_content\":{\"google\":{\"thought_signature\":"));
    json_add_str(out, signature);
    buf_add(out, S("}}"));
}

static void
write_tool_start(struct wire_writer *w, const struct written *st, struct written_choice *c,
    const struct llm_event *ev)
{
    open_call(w, st, ev);
    buf_add(w->out, S(",\"id\":"));
    json_add_str(w->out, ev->id);
    buf_add(w->out, ev->custom ? S(",\"type\":\"custom\",\"custom\":{\"name\":")
                               : S(",\"type\":\"function\",\"function\":{\"name\":"));
    json_add_str(w->out, ev->name);
    buf_add(w->out, ev->custom ? S(",\"input\":\"\"}") : S(",\"arguments\":\"\"}"));
    add_thought_signature(w->out, ev->signature);
    close_call(w, st);
    if (ev->tool < CALLS_MARKED)
        c->calls[ev->tool] = ev->custom ? CALL_CUSTOM : CALL_EMPTY;
}

static void
write_tool_args(struct wire_writer *w, const struct written *st, struct written_choice *c,
    const struct llm_event *ev)
{
    bool custom = ev->tool < CALLS_MARKED && c->calls[ev->tool] == CALL_CUSTOM;

    if (ev->text.n == 0)
        return;
    open_call(w, st, ev);
    buf_add(w->out, custom ? S(",\"custom\":{\"input\":") : S(",\"function\":{\"arguments\":"));
    json_add_str(w->out, ev->text);
    buf_add_c(w->out, '}');
    close_call(w, st);
    if (ev->tool < CALLS_MARKED && !custom)
        c->calls[ev->tool] = CALL_HAS_ARGS;
}

/* A call without arguments gets {}, for clients that parse them. */
static void
write_tool_end(struct wire_writer *w, const struct written *st, struct written_choice *c,
    const struct llm_event *ev)
{
    struct llm_event empty = *ev;

    empty.text = S("{}");
    if (ev->tool < CALLS_MARKED && c->calls[ev->tool] == CALL_EMPTY)
        write_tool_args(w, st, c, &empty);
}

/* --- the end of a stream --- */

static void
write_finish(struct wire_writer *w, const struct written *st, const struct llm_event *ev)
{
    open_chunk(w, st, ev->choice);
    buf_add(w->out, is_completion(w) ? S(",\"text\":\"\",\"logprobs\":null,")
                                     : S(",\"delta\":{},\"logprobs\":null,"));
    add_finish(w->out, ev->finish, ev->native);
    buf_add_c(w->out, '}');
    buf_add(w->out, st->suffix);
}

static void
write_logprobs(struct wire_writer *w, const struct written *st, const struct llm_event *ev)
{
    open_chunk(w, st, ev->choice);
    buf_add(w->out,
        is_completion(w) ? S(",\"text\":\"\",\"logprobs\":") : S(",\"delta\":{},\"logprobs\":"));
    add_on_one_line(w->out, ev->raw);
    buf_add(w->out, S(",\"finish_reason\":null}"));
    buf_add(w->out, st->suffix);
}

static void
write_citation(struct wire_writer *w, const struct written *st, const struct llm_event *ev)
{
    if (is_completion(w) || !is_own_annotation(w->keep, ev->raw))
        return;
    open_delta(w, st, ev->choice);
    buf_add(w->out, S("\"annotations\":["));
    add_on_one_line(w->out, ev->raw);
    buf_add_c(w->out, ']');
    close_delta(w, st);
}

static void
write_end(struct wire_writer *w, struct written *st)
{
    if (w->want_usage && usage_known(&st->usage)) {
        buf_add(w->out, st->prefix);
        buf_add(w->out, S("],\"usage\":"));
        add_usage(w->out, &st->usage);
        buf_add(w->out, S("}\n\n"));
    }
    buf_add(w->out, S("data: [DONE]\n\n"));
    st->done = true;
}

/* Clients raise an exception on a chunk with an error; nothing may follow it, not even [DONE]. */
static void
write_stream_error(struct wire_writer *w, struct written *st, const struct llm_error *e)
{
    buf_add(w->out, S("data: "));
    openai_write_error(w->out, e, S(""));
    buf_add(w->out, S("\n\n"));
    st->done = true;
}

static void
write_content(struct wire_writer *w, struct written *st, const struct llm_event *ev)
{
    struct written_choice *c = choice_of(w, st, ev->choice);

    if (is_completion(w) && ev->kind != EVENT_TEXT && ev->kind != EVENT_FINISH &&
        ev->kind != EVENT_LOGPROBS)
        return;
    switch (ev->kind) {
    case EVENT_TEXT:
        write_text(w, st, ev);
        break;
    case EVENT_REASONING:
        write_delta_text(w, st, ev, S("\"reasoning_content\":"));
        break;
    case EVENT_SIGNATURE:
    case EVENT_REDACTED:
        write_proof(w, st, c, ev);
        break;
    case EVENT_REFUSAL:
        write_delta_text(w, st, ev, S("\"refusal\":"));
        break;
    case EVENT_TOOL_START:
        write_tool_start(w, st, c, ev);
        break;
    case EVENT_TOOL_ARGS:
        write_tool_args(w, st, c, ev);
        break;
    case EVENT_TOOL_END:
        write_tool_end(w, st, c, ev);
        break;
    case EVENT_CITATION:
        write_citation(w, st, ev);
        break;
    case EVENT_LOGPROBS:
        write_logprobs(w, st, ev);
        break;
    case EVENT_FINISH:
        write_finish(w, st, ev);
        break;
    default:
        break;
    }
}

void
openai_write_event(struct wire_writer *w, const struct llm_event *ev)
{
    struct written *st = written_of(w);

    if (st->done)
        return;
    if (ev->kind == EVENT_ERROR) {
        write_stream_error(w, st, ev->error);
        return;
    }
    if (st->prefix.n == 0)
        make_prefix(w, st, ev);

    switch (ev->kind) {
    case EVENT_NONE:
    case EVENT_OPAQUE:
    case EVENT_MEDIA:
        break;
    case EVENT_START:
        usage_update(&st->usage, &ev->usage);
        choice_of(w, st, 0);
        break;
    case EVENT_USAGE:
        usage_update(&st->usage, &ev->usage);
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

/* The texts of all parts of one kind as one string. False, with nothing written, if there are none.
 */
static bool
add_texts(struct buf *out, struct str key, const struct llm_part *part, enum llm_part_kind kind)
{
    bool any = false;

    for (; part != NULL; part = part->next) {
        if (part->kind != kind || part->text.n == 0)
            continue;
        if (!any) {
            buf_add(out, key);
            buf_add_c(out, '"');
        }
        any = true;
        json_add_escaped(out, part->text);
    }
    if (any)
        buf_add_c(out, '"');
    return any;
}

static bool
has_part(const struct llm_part *part, enum llm_part_kind kind)
{
    while (part != NULL && part->kind != kind)
        part = part->next;
    return part != NULL;
}

/* Signed and encrypted blocks, so that a caller can send them back. */
static void
add_reasoning_details(struct buf *out, const struct llm_part *part)
{
    unsigned n = 0;

    for (; part != NULL; part = part->next) {
        if (part->kind != PART_REASONING || (part->signature.n == 0 && part->redacted.n == 0))
            continue;
        buf_add(out, n == 0 ? S(",\"reasoning_details\":[") : S(","));
        if (part->redacted.n > 0) {
            buf_add(out, S("{\"type\":\"reasoning.encrypted\",\"data\":"));
            json_add_str(out, part->redacted);
        } else {
            buf_add(out, S("{\"type\":\"reasoning.text\",\"text\":"));
            json_add_str(out, part->text);
            buf_add(out, S(",\"signature\":"));
            json_add_str(out, part->signature);
        }
        add_reasoning_end(out, n++);
    }
    if (n > 0)
        buf_add_c(out, ']');
}

static void
add_call(struct buf *out, const struct llm_part *part)
{
    bool no_args = str_trim(part->args).n == 0;

    buf_add(out, S("{\"id\":"));
    json_add_str(out, part->id);
    buf_add(out, part->custom ? S(",\"type\":\"custom\",\"custom\":{\"name\":")
                              : S(",\"type\":\"function\",\"function\":{\"name\":"));
    json_add_str(out, part->name);
    buf_add(out, part->custom ? S(",\"input\":") : S(",\"arguments\":"));
    json_add_str(out, no_args && !part->custom ? S("{}") : part->args);
    buf_add_c(out, '}');
    add_thought_signature(out, part->signature);
    buf_add_c(out, '}');
}

static void
add_calls(struct buf *out, const struct llm_part *part)
{
    bool any = false;

    for (; part != NULL; part = part->next) {
        if (part->kind != PART_TOOL_CALL)
            continue;
        buf_add(out, any ? S(",") : S(",\"tool_calls\":["));
        any = true;
        add_call(out, part);
    }
    if (any)
        buf_add_c(out, ']');
}

static void
add_annotations(struct buf *out, struct arena *a, const struct llm_word *citation)
{
    bool any = false;

    for (; citation != NULL; citation = citation->next) {
        if (!is_own_annotation(a, citation->text))
            continue;
        buf_add(out, any ? S(",") : S(",\"annotations\":["));
        any = true;
        buf_add(out, citation->text);
    }
    if (any)
        buf_add_c(out, ']');
}

static void
add_message(struct wire_writer *w, const struct llm_answer_choice *c)
{
    struct buf *out = w->out;
    bool silent = has_part(c->parts, PART_TOOL_CALL) || has_part(c->parts, PART_REFUSAL);

    buf_add(out, S(",\"message\":{\"role\":\"assistant\""));
    if (!add_texts(out, S(",\"content\":"), c->parts, PART_TEXT))
        buf_add(out, silent ? S(",\"content\":null") : S(",\"content\":\"\""));
    if (!add_texts(out, S(",\"refusal\":"), c->parts, PART_REFUSAL))
        buf_add(out, S(",\"refusal\":null"));
    add_texts(out, S(",\"reasoning_content\":"), c->parts, PART_REASONING);
    add_reasoning_details(out, c->parts);
    add_calls(out, c->parts);
    add_annotations(out, w->keep, c->citations);
    buf_add_c(out, '}');
}

/* One list of log probabilities, concatenated from its pieces; null if no piece has entries. */
static void
add_logprob_list(struct buf *out, struct str key, const struct llm_fragment *piece, bool *first)
{
    bool named = false;
    bool any = false;

    for (; piece != NULL; piece = piece->next) {
        const struct json *list = json_get(piece->doc, key);

        if (list != NULL && !named) {
            buf_add(out, *first ? S("") : S(","));
            json_add_str(out, key);
            buf_add_c(out, ':');
            named = true;
            *first = false;
        }
        if (!json_is(list, JSON_ARRAY) || json_is_empty(list))
            continue;
        buf_add_c(out, any ? ',' : '[');
        any = true;
        buf_add(out, str_make(list->p + 1, list->n - 2));
    }
    if (named)
        buf_add(out, any ? S("]") : S("null"));
}

static void
add_logprobs(struct buf *out, const struct llm_fragment *pieces)
{
    static const struct str lists[] = { S_INIT("content"), S_INIT("refusal"), S_INIT("tokens"),
        S_INIT("token_logprobs"), S_INIT("top_logprobs"), S_INIT("text_offset") };
    bool first = true;

    if (pieces == NULL || pieces->next == NULL) {
        buf_add(out, pieces != NULL ? json_raw(pieces->doc) : S("null"));
        return;
    }
    buf_add_c(out, '{');
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        add_logprob_list(out, lists[i], pieces, &first);
    buf_add_c(out, '}');
}

static void
add_choice(struct wire_writer *w, const struct llm_answer_choice *c)
{
    struct buf *out = w->out;

    buf_add(out, S("{\"index\":"));
    buf_add_u64(out, c->index);
    if (!is_completion(w))
        add_message(w, c);
    else if (!add_texts(out, S(",\"text\":"), c->parts, PART_TEXT))
        buf_add(out, S(",\"text\":\"\""));
    buf_add(out, S(",\"logprobs\":"));
    add_logprobs(out, c->logprobs);
    buf_add_c(out, ',');
    add_finish(out, c->finish, c->native);
    buf_add_c(out, '}');
}

void
openai_write_answer(struct wire_writer *w, const struct llm_answer *ans)
{
    static const struct llm_answer_choice nothing = { .finish = FINISH_STOP };
    const struct llm_answer_choice *c = ans->choices != NULL ? ans->choices : &nothing;

    add_identity(w, w->out, ans->id, is_completion(w) ? S("text_completion") : S("chat.completion"),
        ans->model, ans->created_s);
    buf_add(w->out, S(",\"choices\":["));
    for (bool first = true; c != NULL; c = c->next, first = false) {
        if (!first)
            buf_add_c(w->out, ',');
        add_choice(w, c);
    }
    buf_add_c(w->out, ']');
    if (usage_known(&ans->usage)) {
        buf_add(w->out, S(",\"usage\":"));
        add_usage(w->out, &ans->usage);
    }
    buf_add_c(w->out, '}');
}

/* --- errors --- */

static void
add_text_or_null(struct buf *out, struct str s)
{
    if (s.n > 0)
        json_add_str(out, s);
    else
        buf_add(out, S("null"));
}

/* Type and code are the gateway's, so that they are the same for all providers; an error that a
 * provider blames on the caller keeps the provider's. */
void
openai_write_error(struct buf *out, const struct llm_error *e, struct str request_id)
{
    const struct wire_error_name *name = &openai_error_names[e->kind];
    bool theirs = e->kind == ERR_BAD_REQUEST && e->status != 0;
    bool has_code = theirs && (e->type.n > 0 || e->code.n > 0);

    (void)request_id;    /* this protocol has it in a header */
    buf_add(out, S("{\"error\":{\"message\":"));
    json_add_str(out, e->message.n > 0 ? e->message : str_c(err_row(e->kind)->sentence));
    buf_add(out, S(",\"type\":"));
    json_add_str(out, theirs && e->type.n > 0 ? e->type : str_c(name->type));
    buf_add(out, S(",\"param\":"));
    add_text_or_null(out, e->param);
    buf_add(out, S(",\"code\":"));
    add_text_or_null(out, has_code ? e->code : str_c(name->code));
    buf_add(out, S("}}"));
}

/* The Responses API has an error event of its own; others repeat the error document. */
void
openai_write_relay_error(
    struct buf *out, const struct llm_error *e, struct str path, uint64_t sequence)
{
    const struct wire_error_name *name = &openai_error_names[e->kind];

    buf_add(out, S("event: error\ndata: "));
    if (str_starts(path, S("/responses"))) {
        buf_add(out, S("{\"type\":\"error\",\"sequence_number\":"));
        buf_add_u64(out, sequence);
        buf_add(out, S(",\"code\":"));
        add_text_or_null(out, str_c(name->code));
        buf_add(out, S(",\"message\":"));
        json_add_str(out, e->message.n > 0 ? e->message : str_c(err_row(e->kind)->sentence));
        buf_add(out, S(",\"param\":"));
        add_text_or_null(out, e->param);
        buf_add(out, S("}"));
    } else {
        openai_write_error(out, e, S(""));
    }
    buf_add(out, S("\n\n"));
}

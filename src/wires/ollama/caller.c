/* caller.c - reads the requests of callers who speak Ollama's protocol, and writes their answers.
 *
 * What its users rely on: a stream is the default; a tool call comes whole, with its arguments as
 * an object; the last line has `done`, its reason and the counts. Results of tools need not name
 * their call: they answer the calls in order.
 */
#include <time.h>

#include "llm/media.h"
#include "llm/read.h"
#include "wires/ollama/ollama.h"

static const struct read_words words = {
    .required = "is required",
    .empty = "must not be empty",
    .text = "must be a string",
    .number = "must be a number",
    .integer = "must be an integer",
    .flag = "must be true or false",
    .object = "must be an object",
    .list = "must be a list",
    .too_many = "there are more messages and parts than allowed",
};

/* --- messages --- */

/* Calls that have no result yet, in order. */
struct open_call {
    struct llm_part *call;
    struct open_call *next;
};

/* How many of them a result is compared with. */
enum { OPEN_CALLS_COMPARED = 64 };

struct conversation {
    struct llm_part **system_tail;
    struct llm_message **tail;
    struct open_call *open;
    struct open_call **open_tail;
    unsigned calls;
    bool answering;    /* the message before was a result */
};

static void
read_images(struct cursor images, struct llm_part ***tail)
{
    READ_EACH (image, &images) {
        struct str data = read_required_text(image);
        struct llm_part *part = llm_part_add(image.rd->a, tail, PART_IMAGE);

        if (!str_starts(data, S("data:")))
            media_set_data(part, S("image/png"), data);
        else if (!media_set_url(part, data))
            read_fault(image, ERR_BAD_REQUEST, "must be an image in base64");
    }
}

static void
read_call(struct cursor call, struct conversation *cv, struct llm_part ***tail)
{
    struct reading *rd = call.rd;
    struct llm_part *part = llm_part_add(rd->a, tail, PART_TOOL_CALL);
    struct open_call *open = arena_new(rd->a, struct open_call);
    struct cursor function = read_at(&call, "function");
    struct cursor arguments = read_at(&function, "arguments");

    part->name = read_required_text(read_at(&function, "name"));
    part->id = read_any_text(read_at(&call, "id"));
    cv->calls++;
    if (part->id.n == 0)
        part->id = arena_printf(rd->a, "call_%u", cv->calls);
    part->args = json_is(arguments.j, JSON_STRING) ? read_any_text(arguments)
                 : read_present(arguments)         ? json_raw(read_node(arguments, JSON_OBJECT))
                                                   : S("");
    if (str_eq(str_trim(part->args), S("null")) || str_trim(part->args).n == 0)
        part->args = S("");
    open->call = part;
    *cv->open_tail = open;
    cv->open_tail = &open->next;
}

/* The call that a result answers: the one with its id; without an id, the first that has the tool's
 * name, else the first. NULL: none is open. */
static struct llm_part *
take_call(struct conversation *cv, struct str id, struct str name)
{
    struct open_call **found = cv->open != NULL && id.n == 0 ? &cv->open : NULL;
    unsigned compared = 0;

    for (struct open_call **at = &cv->open; *at != NULL && compared < OPEN_CALLS_COMPARED;
         at = &(*at)->next, compared++)
        if (id.n != 0 ? str_eq((*at)->call->id, id) : str_eq((*at)->call->name, name)) {
            found = at;
            break;
        }
    if (found == NULL)
        return NULL;

    struct llm_part *call = (*found)->call;

    *found = (*found)->next;
    if (*found == NULL)
        cv->open_tail = found;
    return call;
}

static void
read_result(struct cursor message, struct conversation *cv, struct llm_message *m)
{
    struct reading *rd = message.rd;
    struct llm_part **tail = &m->parts;
    struct llm_part *result = llm_part_add(rd->a, &tail, PART_TOOL_RESULT);
    struct str id = read_any_text(read_at(&message, "tool_call_id"));
    struct llm_part *call = take_call(cv, id, read_any_text(read_at(&message, "tool_name")));
    struct llm_part **inner = &result->result;

    result->id = id.n != 0 ? id : call != NULL ? call->id : arena_str(rd->a, S("call_0"));
    llm_part_add(rd->a, &inner, PART_TEXT)->text = read_text(read_at(&message, "content"));
    read_images(read_at(&message, "images"), &inner);
}

static void
read_message(struct cursor message, struct conversation *cv)
{
    static const struct llm_named roles[] = {
        { S_INIT("system"), ROLE_SYSTEM },
        { S_INIT("user"), ROLE_USER },
        { S_INIT("assistant"), ROLE_ASSISTANT },
        { S_INIT("tool"), ROLE_TOOL },
    };
    struct reading *rd = message.rd;
    struct cursor role = read_at(&message, "role");
    struct cursor calls = read_at(&message, "tool_calls");
    int named = read_word(role.j, roles, ARRAY_LEN(roles));
    struct str text = read_text(read_at(&message, "content"));
    struct str thinking = read_text(read_at(&message, "thinking"));

    if (named < 0) {
        read_fault(role, ERR_BAD_REQUEST, "must be system, user, assistant or tool");
        return;
    }
    if (named == ROLE_SYSTEM && cv->tail == &rd->r->messages) {
        if (text.n != 0)
            llm_part_add(rd->a, &cv->system_tail, PART_TEXT)->text = text;
        return;
    }
    struct llm_message *m = llm_message_add(rd->a, &cv->tail, (enum llm_role)named);
    struct llm_part **tail = &m->parts;

    if (named == ROLE_TOOL) {
        cv->answering = true;
        read_result(message, cv, m);
        return;
    }
    if (named == ROLE_USER || cv->answering) {    /* calls that have no result get none */
        cv->open = NULL;
        cv->open_tail = &cv->open;
    }
    cv->answering = false;
    if (thinking.n != 0 && named == ROLE_ASSISTANT)
        llm_part_add(rd->a, &tail, PART_REASONING)->text = thinking;
    if (text.n != 0)
        llm_part_add(rd->a, &tail, PART_TEXT)->text = text;
    read_images(read_at(&message, "images"), &tail);
    if (named == ROLE_ASSISTANT)
        READ_EACH (call, &calls)
            read_call(call, cv, &tail);
}

static void
read_messages(struct cursor messages)
{
    struct conversation cv = {
        .system_tail = &messages.rd->r->system,
        .tail = &messages.rd->r->messages,
    };

    for (struct llm_part **tail = cv.system_tail; *tail != NULL; tail = &(*tail)->next)
        cv.system_tail = &(*tail)->next;
    cv.open_tail = &cv.open;
    READ_EACH (message, &messages)
        read_message(message, &cv);
}

/* --- a prompt: /api/generate --- */

static void
read_system(struct cursor system)
{
    struct llm_part **tail = &system.rd->r->system;
    struct str text = read_text(system);

    if (text.n != 0)
        llm_part_add(system.rd->a, &tail, PART_TEXT)->text = text;
}

/* The prompt, if there are no messages; read after them. */
static void
read_prompt(struct cursor prompt)
{
    struct reading *rd = prompt.rd;
    struct str text = read_text(prompt);
    struct llm_message **messages = &rd->r->messages;

    if (*messages != NULL)
        return;
    if (!read_present(prompt))
        read_fault(read_document(rd), ERR_BAD_REQUEST,
            "there is nothing to answer: messages or prompt is empty");

    struct llm_part **tail = &llm_message_add(rd->a, &messages, ROLE_USER)->parts;

    if (text.n != 0)
        llm_part_add(rd->a, &tail, PART_TEXT)->text = text;
    read_images(read_at(prompt.up, "images"), &tail);
}

/* Text to be filled in before a suffix is another task than an answer. */
static void
read_suffix(struct cursor suffix)
{
    if (read_text(suffix).n != 0)
        read_fault(suffix, ERR_UNSUPPORTED, "cannot be translated for another protocol");
}

/* --- tools and parameters --- */

static void
read_tools(struct cursor tools)
{
    struct llm_tool **tail = &tools.rd->r->tools;

    READ_EACH (tool, &tools) {
        struct cursor function = read_at(&tool, "function");
        const struct json *schema = read_node(read_at(&function, "parameters"), JSON_OBJECT);

        *tail = arena_new(tools.rd->a, struct llm_tool);
        (*tail)->name = read_required_text(read_at(&function, "name"));
        (*tail)->description = read_any_text(read_at(&function, "description"));
        (*tail)->schema = schema != NULL ? json_raw(schema) : S("");
        tail = &(*tail)->next;
    }
}

static void
read_format(struct cursor format)
{
    struct llm_request *r = format.rd->r;

    if (json_is(format.j, JSON_OBJECT)) {
        r->format = FORMAT_SCHEMA;
        r->schema = json_raw(format.j);
    } else if (read_is(format, "json")) {
        r->format = FORMAT_JSON;
    } else if (read_present(format) && !read_is(format, "")) {
        read_fault(format, ERR_BAD_REQUEST, "must be \"json\" or a JSON schema");
    }
}

/* A level, or whether to think at all. */
static void
read_think(struct cursor think)
{
    struct llm_request *r = think.rd->r;

    if (json_is(think.j, JSON_STRING))
        r->effort = read_any_text(think);
    else if (read_flag(think) == YES)
        r->effort = S("medium");
    else if (read_present(think))
        r->reasoning = NO;
}

static void
read_options(struct cursor options)
{
    struct llm_request *r = options.rd->r;
    struct json_iter it = json_iter(read_node(options, JSON_OBJECT));
    struct llm_member **tail = &r->extra;

    while (*tail != NULL)
        tail = &(*tail)->next;
    while (json_next(&it)) {
        if (json_str_is(it.key, S("num_predict"))) {    /* negative: no limit */
            r->max_tokens = MAX(json_i64(it.value, 0), 0);
        } else if (json_str_is(it.key, S("stop"))) {
            r->stop = read_texts(read_at(&options, "stop"));
        } else if (!params_take(&options, PARAMS_OLLAMA_OPTIONS, it.key, it.value)) {
            *tail = arena_new(options.rd->a, struct llm_member);
            **tail = (struct llm_member){ .name = it.key, .value = it.value };
            tail = &(*tail)->next;
        }
    }
}

static const struct read_member members[] = {
    { "system", read_system },
    { "messages", read_messages },
    { "prompt", read_prompt },
    { "suffix", read_suffix },
    { "images", NULL },
    { "tools", read_tools },
    { "format", read_format },
    { "think", read_think },
    { "options", read_options },
    { "model", NULL },
    { "stream", NULL },
    { "input", NULL },
    { NULL, NULL },
};

static void
read_head(struct cursor doc)
{
    struct llm_request *r = doc.rd->r;

    r->want_usage = true;
    r->completion = r->op == OP_COMPLETE;
    if (r->completion)    /* the answer's form is another one, see the writer's op */
        r->op = OP_CHAT;
}

/* --- answers --- */

/* A stream being written. A call goes out whole, when it ends: until then it is folded. */
struct reply {
    struct llm_answer calls;
    struct str created_at;
    struct str model;
    bool over;    /* memory ran out, and the caller was told: nothing follows */
    enum llm_finish finish;
    struct llm_usage usage;
};

/* A longer name of a model is not repeated in each line. */
enum { MODEL_BYTES_MAX = 256 };

static struct str
time_text(struct arena *a, int64_t seconds)
{
    char text[32];
    time_t t = (time_t)seconds;
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return S("1970-01-01T00:00:00Z");
    return arena_str(a, str_c(text));
}

static struct reply *
reply_of(struct wire_writer *w)
{
    struct reply *st = w->state;

    if (st == NULL) {
        st = w->state = arena_new(w->keep, struct reply);
        st->created_at = time_text(w->keep, w->created_s);
        st->model = w->model;
        answer_init(&st->calls, w->keep);
    }
    st->calls.arena = w->keep;    /* a helper thread has one of its own */
    return st;
}

/* {"model":..,"created_at":..,"message":{"role":"assistant", or the same without a message. */
static struct json_out
begin_line(struct wire_writer *w)
{
    const struct reply *st = reply_of(w);
    struct json_out o = json_out(w->out);

    out_object(&o);
    out_text(&o, "model", st->model);
    out_text(&o, "created_at", st->created_at);
    if (w->op != OP_COMPLETE) {
        out_key_object(&o, "message");
        out_const(&o, "\"role\":\"assistant\"");
    }
    return o;
}

/* The text of an answer, or a piece of it. */
static void
begin_content(struct wire_writer *w, struct json_out *o)
{
    if (w->op == OP_COMPLETE)
        out_key(o, "response");
    else
        out_key(o, "content");
    out_string(o);
}

static void
end_message(struct wire_writer *w, struct json_out *o)
{
    if (w->op != OP_COMPLETE)
        out_end(o);
}

static void
end_line(struct json_out *o)
{
    out_const(o, "\"done\":false");
    out_end(o);
    buf_add_c(o->b, '\n');
}

static void
write_text(struct wire_writer *w, struct str text, bool thinking)
{
    struct json_out o = begin_line(w);

    begin_content(w, &o);
    if (!thinking)
        out_piece(&o, text);
    out_end_string(&o);
    if (thinking)
        out_text(&o, "thinking", text);
    end_message(w, &o);
    end_line(&o);
}

static void
write_error(struct buf *out, const struct llm_error *e, struct str request_id UNUSED)
{
    struct json_out o = json_out(out);

    out_object(&o);
    out_text(&o, "error", e->message.n > 0 ? e->message : str_c(err_row(e->kind)->sentence));
    out_end(&o);
}

/* A call of which a part was lost is another call: better none. */
static void
give_up(struct wire_writer *w, struct reply *st)
{
    st->over = true;
    write_error(w->out, &(struct llm_error){ .kind = ERR_UPSTREAM_TOO_LARGE }, S(""));
    buf_add_c(w->out, '\n');
}

static void
write_whole_call(struct wire_writer *w, struct reply *st, const struct llm_part *call)
{
    size_t before = buf_len(w->out);
    struct json_out o = begin_line(w);

    begin_content(w, &o);
    out_end_string(&o);
    out_key_array(&o, "tool_calls");
    if (!ollama_add_call(&o, w->keep, call, &w->broken)) {
        buf_truncate(w->out, before);
        give_up(w, st);
        return;
    }
    if (w->broken) {    /* the gateway tells the caller */
        buf_truncate(w->out, before);
        return;
    }
    out_end_array(&o);
    end_message(w, &o);
    end_line(&o);
}

/* The bytes of pictures. */
static void
add_images(struct json_out *o, const struct llm_part *parts)
{
    bool any = false;

    for (; parts != NULL; parts = parts->next) {
        if (parts->kind != PART_IMAGE || parts->data.n == 0)
            continue;
        if (!any)
            out_key_array(o, "images");
        any = true;
        out_text_value(o, parts->data);
    }
    if (any)
        out_end_array(o);
}

/* Adds the tokens in `raw` to the list, which they open. */
static void
add_logprobs(struct json_out *o, struct arena *a, struct str raw, bool *opened)
{
    const struct json *tokens = json_get(json_parse(a, raw, NULL, NULL), S("content"));
    struct json_iter it = json_iter(tokens);

    while (json_is(tokens, JSON_ARRAY) && json_next(&it)) {
        if (!*opened)
            out_key_array(o, "logprobs");
        *opened = true;
        out_comma(o);
        json_add_line(o->b, json_raw(it.value));
    }
}

static void
write_logprobs(struct wire_writer *w, struct str raw)
{
    struct arena *a = arena_create(raw.n * 64 + 4096);
    struct json_out o = begin_line(w);
    bool opened = false;

    begin_content(w, &o);
    out_end_string(&o);
    end_message(w, &o);
    add_logprobs(&o, a, raw, &opened);
    if (opened)
        out_end_array(&o);
    end_line(&o);
    arena_destroy(a);
}

static void
write_image(struct wire_writer *w, struct llm_part picture)
{
    picture.next = NULL;

    struct json_out o = begin_line(w);

    begin_content(w, &o);
    out_end_string(&o);
    add_images(&o, &picture);
    end_message(w, &o);
    end_line(&o);
}

static void
write_end(struct json_out *o, enum llm_finish finish, const struct llm_usage *u)
{
    out_const(o, "\"done\":true");
    out_text(o, "done_reason", finish == FINISH_LENGTH ? S("length") : S("stop"));
    /* some clients read no counts from an answer without times */
    out_const(o, "\"total_duration\":0,\"load_duration\":0,\"prompt_eval_duration\":0,"
                 "\"eval_duration\":0");
    if (usage_has(u, COUNT_INPUT))
        out_i64(o, "prompt_eval_count", u->input);
    if (usage_has(u, COUNT_OUTPUT))
        out_i64(o, "eval_count", u->output);
    out_end(o);
}

static void
write_event(struct wire_writer *w, const struct llm_event *ev)
{
    struct reply *st = reply_of(w);
    struct json_out o;

    if (st->over || ev->choice != 0)    /* there is one only */
        return;
    switch (ev->kind) {
    case EVENT_START:
        if (ev->model.n != 0 && ev->model.n <= MODEL_BYTES_MAX)
            st->model = arena_str(w->keep, ev->model);
        usage_update(&st->usage, &ev->usage);
        break;
    case EVENT_TEXT:
    case EVENT_REFUSAL:
        write_text(w, ev->text, false);
        break;
    case EVENT_REASONING:
        write_text(w, ev->text, true);
        break;
    case EVENT_TOOL_START:
    case EVENT_TOOL_ARGS:
        st->calls.sink.emit(&st->calls.sink, ev);
        if (st->calls.too_large)
            give_up(w, st);
        break;
    case EVENT_TOOL_END:
        if (ev->tool < answer_choice(&st->calls, 0)->call_count)
            write_whole_call(w, st, st->calls.choices->calls[ev->tool]);
        break;
    case EVENT_MEDIA:
        if (ev->media->kind == PART_IMAGE && ev->media->data.n > 0 && w->op != OP_COMPLETE)
            write_image(w, *ev->media);
        break;
    case EVENT_LOGPROBS:
        write_logprobs(w, ev->raw);
        break;
    case EVENT_USAGE:
        usage_update(&st->usage, &ev->usage);
        break;
    case EVENT_FINISH:
        st->finish = ev->finish;
        break;
    case EVENT_ERROR:
        write_error(w->out, ev->error, S(""));
        buf_add_c(w->out, '\n');
        break;
    case EVENT_END:
        o = begin_line(w);
        begin_content(w, &o);
        out_end_string(&o);
        end_message(w, &o);
        write_end(&o, st->finish, &st->usage);
        buf_add_c(w->out, '\n');
        break;
    default:    /* what this protocol has no place for */
        break;
    }
}

/* The text of all parts of a kind, in pieces. */
static void
add_parts(struct json_out *o, const struct llm_part *parts, enum llm_part_kind kind)
{
    for (; parts != NULL; parts = parts->next)
        if (parts->kind == kind)
            out_piece(o, parts->text);
}

static void
write_answer(struct wire_writer *w, const struct llm_answer *ans)
{
    const struct llm_answer_choice *c = ans->choices;
    const struct llm_part *parts = c != NULL ? c->parts : NULL;

    if (ans->model.n != 0)
        w->model = ans->model;

    struct json_out o = begin_line(w);

    begin_content(w, &o);
    add_parts(&o, parts, PART_TEXT);
    add_parts(&o, parts, PART_REFUSAL);
    out_end_string(&o);
    if (llm_part_has(parts, PART_REASONING)) {
        out_key(&o, "thinking");
        out_string(&o);
        add_parts(&o, parts, PART_REASONING);
        out_end_string(&o);
    }
    if (w->op != OP_COMPLETE)
        add_images(&o, parts);
    if (llm_part_has(parts, PART_TOOL_CALL)) {
        out_key_array(&o, "tool_calls");
        for (const struct llm_part *p = parts; p != NULL; p = p->next) {
            if (p->kind == PART_TOOL_CALL && !ollama_add_call(&o, w->keep, p, &w->broken))
                w->out->overflow = true;    /* as if it had no room for the call */
        }
        out_end_array(&o);
    }
    end_message(w, &o);
    bool rated = false;

    for (const struct llm_fragment *f = c != NULL ? c->logprobs : NULL; f != NULL; f = f->next)
        add_logprobs(&o, w->keep, json_raw(f->doc), &rated);
    if (rated)
        out_end_array(&o);
    write_end(&o, c != NULL ? c->finish : FINISH_UNKNOWN, &ans->usage);
}

static void
write_relay_error(
    struct buf *out, const struct llm_error *e, struct str path UNUSED, uint64_t sequence UNUSED)
{
    write_error(out, e, S(""));
    buf_add_c(out, '\n');
}

static int
status(const struct llm_error *e)
{
    return err_row(e->kind)->status;
}

/* Its clients show what is empty here, or nothing. */
static void
write_model(struct buf *out, struct str id, struct str owner UNUSED, struct str details UNUSED)
{
    struct json_out o = json_out(out);

    out_object(&o);
    out_text(&o, "name", id);
    out_text(&o, "model", id);
    out_const(&o, "\"modified_at\":\"2026-01-01T00:00:00Z\",\"size\":0,\"digest\":\"\","
                  "\"details\":{\"parent_model\":\"\",\"format\":\"\",\"family\":\"\","
                  "\"families\":[],\"parameter_size\":\"\",\"quantization_level\":\"\"}");
    out_end(&o);
}

static void
write_models_end(struct buf *out, const struct wire_page *page UNUSED)
{
    buf_add(out, S("]}"));
}

/* --- where needs stand --- */

static const struct need_word need_members[] = {
    { S_INIT("messages"), NEED_IS_TURNS, 0 },
    { S_INIT("prompt"), NEED_IS_TURNS, 0 },
    { S_INIT("input"), NEED_IS_TURNS, 0 },
    { S_INIT("system"), NEED_IS_SYSTEM, 0 },
    { S_INIT("images"), NEED_IS_MEDIUM, NEED_BIT(IMAGES) },
    { S_INIT("tools"), NEED_IS_TOOLS, NEED_BIT(TOOLS) },
    { S_INIT("format"), NEED_IS_FORMAT, NEED_BIT(SCHEMA) },
    { S_INIT("think"), NEED_IS_ASKED, NEED_BIT(REASONING) },
    { S_INIT("logprobs"), NEED_IS_ASKED, NEED_BIT(LOGPROBS) },
    { S_INIT("options"), NEED_IS_OBJECT, 0 },
    { S_INIT("num_predict"), NEED_IS_LIMIT, 0 },
    { S_INIT(""), NEED_IS_OTHER, 0 },
};

static const struct need_word need_messages[] = {
    { S_INIT("role"), NEED_IS_ROLE, 0 },
    { S_INIT("content"), NEED_IS_CONTENT, 0 },
    { S_INIT("images"), NEED_IS_MEDIUM, NEED_BIT(IMAGES) },
    { S_INIT("tool_calls"), NEED_IS_OTHER, NEED_BIT(TOOLS) },
    { S_INIT(""), NEED_IS_OTHER, 0 },
};

static const struct need_word need_parts[] = {
    { S_INIT(""), NEED_IS_OTHER, 0 },
};

static const struct needs_words needs_words = {
    .members = need_members, .messages = need_messages, .parts = need_parts
};

static const char *const beyond_text[] = { "tools", "format", "think", "logprobs", NULL };

const struct wire_caller ollama_caller = {
    .members = members,
    .params = PARAMS_OLLAMA,
    .nested = PARAMS_OLLAMA_OPTIONS,
    .words = &words,
    .translates = OP_BIT(OP_CHAT),
    .asks = { [OP_EMBED] = &ollama_embed },
    .beyond_text = beyond_text,
    .needs = &needs_words,
    .streams_unasked = true,
    .read_head = read_head,
    .media = WIRE_MEDIA(IMAGE),
    .media_streamed = WIRE_MEDIA(IMAGE),
    .write_event = write_event,
    .write_answer = write_answer,
    .write_error = write_error,
    .write_relay_error = write_relay_error,
    .status = status,
    .models_begin = S_INIT("{\"models\":["),
    .write_model = write_model,
    .write_models_end = write_models_end,
};

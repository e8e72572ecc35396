/* provider.c - writes requests for Ollama, and reads its answers.
 *
 * Its limits: pictures in base64 only, no choice of tools, one choice. A call comes whole, and the
 * reason of an answer that calls is "stop" as well.
 */
#include "llm/effort.h"
#include "llm/emit.h"
#include "llm/fail.h"
#include "llm/media.h"
#include "llm/turns.h"
#include "llm/write.h"
#include "wires/ollama/ollama.h"

/* --- the request --- */

bool
ollama_add_call(struct json_out *o, struct arena *a, const struct llm_part *call, bool *ret_broken)
{
    bool known;

    out_object(o);
    out_text_if(o, "id", call->id);
    out_key_object(o, "function");
    out_text(o, "name", call->name);
    out_key(o, "arguments");
    known = write_arguments(o, a, call->args, call->custom, ret_broken);
    out_end(o);
    out_end(o);
    return known;
}

static void
add_text_file(struct request_out *w, const struct llm_part *part)
{
    if (media_is_text(part->mime))
        out_piece(&w->o, write_file_text(w, part));
    else
        write_refuse(w, ERR_UNSUPPORTED, "messages", "this provider takes text and pictures only");
}

/* A message with the text of blocks, `between` them, and their pictures; calls are left out. It
 * stays open. */
static void
open_message(
    struct request_out *w, const char *role, const struct turn_block *blocks, struct str between)
{
    bool pictures = false;
    bool first = true;

    out_object(&w->o);
    out_text(&w->o, "role", str_c(role));
    out_key(&w->o, "content");
    out_string(&w->o);
    for (const struct turn_block *b = blocks; b != NULL; b = b->next) {
        enum llm_part_kind kind = b->part->kind;

        pictures = pictures || kind == PART_IMAGE;
        if (kind != PART_TEXT && kind != PART_REFUSAL && (!media_is(kind) || kind == PART_IMAGE))
            continue;
        if (!first)
            out_piece(&w->o, between);
        first = false;
        if (media_is(kind))
            add_text_file(w, b->part);
        else
            out_piece(&w->o, b->part->text);
    }
    out_end_string(&w->o);
    if (!pictures)
        return;
    out_key_array(&w->o, "images");
    for (const struct turn_block *b = blocks; b != NULL; b = b->next) {
        if (b->part->kind != PART_IMAGE)
            continue;
        if (b->part->data.n == 0)
            write_refuse(w, ERR_UNSUPPORTED, "messages",
                "this provider takes pictures as base64 data only, not by URL or id");
        out_text_value(&w->o, b->part->data);
    }
    out_end_array(&w->o);
}

static void
add_result(struct request_out *w, const struct turn_block *b)
{
    struct arena_mark mark = arena_mark(w->a);
    struct turn_block *content = NULL;
    struct turn_block **tail = &content;

    for (const struct llm_part *part = b->content; part != NULL; part = part->next) {
        *tail = arena_new(w->a, struct turn_block);
        (*tail)->part = part;
        tail = &(*tail)->next;
    }
    open_message(w, "tool", content, S("\n\n"));
    if (b->call != NULL)
        out_text(&w->o, "tool_name", b->call->part->name);
    out_text_if(&w->o, "tool_call_id", b->id);
    out_end(&w->o);
    if (w->err == OK)    /* else the refusal is in the arena */
        arena_rewind(w->a, mark);
}

static void
add_turn(struct request_out *w, const struct turn *turn)
{
    static const char *const roles[] = {
        [TURN_USER] = "user", [TURN_ASSISTANT] = "assistant", [TURN_SYSTEM] = "system"
    };
    bool calls = false;

    for (const struct turn_block *b = turn->results.first; b != NULL; b = b->next)
        add_result(w, b);
    if (turn->blocks.first == NULL)
        return;
    open_message(
        w, roles[turn->side], turn->blocks.first, turn->side == TURN_ASSISTANT ? S("") : S("\n\n"));
    for (const struct turn_block *b = turn->blocks.first; b != NULL; b = b->next) {
        if (b->part->kind != PART_TOOL_CALL)
            continue;
        if (!calls)
            out_key_array(&w->o, "tool_calls");
        calls = true;

        struct llm_part call = *b->part;

        call.id = b->id;
        if (!ollama_add_call(&w->o, w->a, &call, NULL))
            w->o.b->overflow = true;    /* as if it had no room for the call */
    }
    if (calls)
        out_end_array(&w->o);
    out_end(&w->o);
}

static void
add_messages(struct request_out *w)
{
    const struct turn_rules rules = {
        .ids = { .prefix = S("call_"), .least = 1, .most = 64 },
        .paired = true,
        .no_prefill = w->t->traits.no_prefill == YES,
        .system_first = w->t->traits.system_first == YES,
    };
    struct turns turns;

    turns_plan(w->r, &rules, w->drops, &turns);
    out_key_array(&w->o, "messages");
    if (turns.system.first != NULL) {
        open_message(w, "system", turns.system.first, S("\n\n"));
        out_end(&w->o);
    }
    for (const struct turn *turn = turns.first; turn != NULL; turn = turn->next)
        add_turn(w, turn);
    if (turns.first == NULL && w->r->messages != NULL) {    /* a user who says nothing */
        open_message(w, "user", NULL, S(""));
        out_end(&w->o);
    }
    out_end_array(&w->o);
}

/* A tool that must be called is the only one offered; more cannot be said here. */
static void
add_tools(struct request_out *w)
{
    const struct llm_request *r = w->r;
    bool any = false;

    if (r->choice == CHOICE_REQUIRED || r->choice == CHOICE_NAMED)
        wire_drop(w->drops, S("tool_choice"));
    for (const struct llm_tool *tool = r->choice == CHOICE_NONE ? NULL : r->tools; tool != NULL;
         tool = tool->next) {
        if (r->choice == CHOICE_NAMED && !str_eq(tool->name, r->choice_name))
            continue;
        if (!write_may_declare(w, tool))
            continue;
        if (!any)
            out_key_array(&w->o, "tools");
        any = true;
        out_object(&w->o);
        out_const(&w->o, "\"type\":\"function\"");
        out_key_object(&w->o, "function");
        out_text(&w->o, "name", tool->name);
        out_text_if(&w->o, "description", tool->description);
        out_raw(&w->o, "parameters",
            tool->schema.n != 0 ? tool->schema : S("{\"type\":\"object\",\"properties\":{}}"));
        out_end(&w->o);
        out_end(&w->o);
        if (tool->strict == YES)
            wire_drop(w->drops, S("tools.strict"));
    }
    if (any)
        out_end_array(&w->o);
}

/* Levels are gpt-oss's; other models only think or do not, and one that cannot must not be asked
 * to. */
static void
add_think(struct request_out *w)
{
    const struct llm_request *r = w->r;
    int64_t budget = r->effort.n != 0          ? effort_budget(r->effort)
                     : r->reasoning_budget > 0 ? r->reasoning_budget
                                               : -1;
    struct str word = effort_word(budget);
    bool levels = str_find(w->t->model, S("gpt-oss")) < w->t->model.n;

    if (r->reasoning == NO || budget == 0)
        out_bool(&w->o, "think", false);
    else if (budget < 0 ? r->effort.n != 0 : !levels && w->t->traits.reasoning != YES)
        write_drop(w, PARAM_effort);
    else if (budget > 0 && !levels)
        out_bool(&w->o, "think", true);
    else if (budget > 0)
        out_text(&w->o, "think", str_eq(word, S("xhigh")) ? S("high") : word);
}

static void
add_options(struct request_out *w, const struct params_rules *rules)
{
    const struct llm_request *r = w->r;
    int64_t limit = w->t->traits.max_output;
    struct json_out before = w->o;
    size_t at = buf_len(w->o.b);

    out_key_object(&w->o, "options");
    params_write(&w->o, r, PARAMS_OLLAMA_OPTIONS, rules);
    if (r->max_tokens > 0)
        out_i64(&w->o, "num_predict", limit > 0 ? MIN(r->max_tokens, limit) : r->max_tokens);
    if (r->stop != NULL) {
        out_key_array(&w->o, "stop");
        for (const struct llm_word *word = r->stop; word != NULL; word = word->next)
            out_text_value(&w->o, word->text);
        out_end_array(&w->o);
    }
    if (w->o.comma) {
        out_end(&w->o);
    } else {
        bool lost = w->o.b->overflow;    /* something before the options was */

        buf_truncate(w->o.b, at);
        w->o.b->overflow = lost;
        w->o = before;
    }
}

static void
write_chat(struct request_out *w)
{
    const struct llm_request *r = w->r;
    struct params_rules rules = { .fixed_sampling = w->t->traits.sampling_fixed == YES };

    out_text(&w->o, "model", w->t->model);
    add_messages(w);
    add_tools(w);
    if (r->format == FORMAT_JSON)
        out_text(&w->o, "format", S("json"));
    else if (r->format == FORMAT_SCHEMA)
        out_raw(&w->o, "format", r->schema);
    add_think(w);
    add_options(w, &rules);
    params_write(&w->o, r, PARAMS_OLLAMA, &rules);
    params_drop(r, PARAMS_BIT(PARAMS_OLLAMA) | PARAMS_BIT(PARAMS_OLLAMA_OPTIONS), &rules, w->drops);
    out_bool(&w->o, "stream", r->stream);
}

static void
write_path(struct buf *out, const struct llm_request *r, const struct wire_target *t UNUSED)
{
    bool native = r->wire == &wire_ollama;

    if (r->op == OP_CHAT)
        buf_add(out, native && r->completion ? S("/api/generate") : S("/api/chat"));
    else if (r->op == OP_EMBED)
        buf_add(out, native && json_get(r->doc, S("input")) == NULL ? S("/api/embeddings")
                                                                    : S("/api/embed"));
    else
        buf_add(out, r->path);
}

/* --- the answer --- */

static const struct fail_words fail_words = { .rows = NULL };

static void
read_error(struct arena *a, int status, struct str body, struct llm_error *ret)
{
    fail_read(a, &fail_words, status, body, ret);
}

static enum err
read_calls(struct wire_reader *r, struct emit_choice *c, const struct json *calls)
{
    struct json_iter it = json_iter(calls);
    enum err e = OK;

    while (e == OK && json_next(&it)) {
        const struct json *function = json_get(it.value, S("function"));
        const struct json *args = json_get(function, S("arguments"));
        bool text = json_is(args, JSON_STRING);
        struct emit_piece piece = {
            .label = -1,
            .id = emit_string(r, json_get(it.value, S("id"))),
            .name = emit_string(r, json_get(function, S("name"))),
            .args = text                 ? emit_string(r, args)
                    : json_present(args) ? json_raw(args)
                                         : S(""),
            .is_object = !text,
            .whole = true,
        };

        e = emit_call(r, c, &piece);
    }
    return e;
}

static void
read_images(struct wire_reader *r, struct emit_choice *c, const struct json *images)
{
    struct json_iter it = json_iter(images);

    while (json_is(images, JSON_ARRAY) && json_next(&it)) {
        struct llm_part picture = { .kind = PART_IMAGE };

        media_set_data(&picture, S("image/png"), emit_string(r, it.value));
        emit_media(r, c, &picture);
    }
}

static void
read_counts(struct wire_reader *r, const struct json *doc)
{
    const struct json *input = json_get(doc, S("prompt_eval_count"));
    const struct json *output = json_get(doc, S("eval_count"));
    struct llm_usage u = { .known = 0 };

    if (json_is(input, JSON_NUMBER))
        usage_set(&u, COUNT_INPUT, json_i64(input, 0));
    if (json_is(output, JSON_NUMBER))
        usage_set(&u, COUNT_OUTPUT, json_i64(output, 0));
    emit_usage(r, &u);
}

/* A line of a stream, or a whole answer; they have the same members. */
static enum err
read_document_of(struct wire_reader *r, struct str text, bool whole)
{
    struct json_error error = { .limit = false };
    const struct json *doc = json_parse(r->scratch, text, NULL, &error);
    const struct json *message = json_get(doc, S("message"));
    struct llm_event start = { .kind = EVENT_START };

    if (!json_is(doc, JSON_OBJECT))
        return error.limit ? ERR_UPSTREAM_TOO_LARGE : ERR_UPSTREAM_PROTOCOL;
    if (json_present(json_get(doc, S("error")))) {
        struct llm_error e;

        fail_read_document(r->scratch, &fail_words, 0, doc, &e);
        emit_error(r, &e);
        return OK;
    }
    if (whole && message == NULL && json_get(doc, S("response")) == NULL)
        return ERR_UPSTREAM_PROTOCOL;

    struct emit_choice *c = emit_choice(r, 0);
    const struct json *thinking = json_get(message != NULL ? message : doc, S("thinking"));
    const struct json *content =
        message != NULL ? json_get(message, S("content")) : json_get(doc, S("response"));

    start.model = emit_string(r, json_get(doc, S("model")));
    emit_start(r, &start);
    emit_text(r, c, EVENT_REASONING, emit_string(r, thinking));
    emit_text(r, c, EVENT_TEXT, emit_string(r, content));
    emit_logprobs(r, c, json_get(doc, S("logprobs")));
    read_images(r, c, json_get(message, S("images")));
    enum err e = read_calls(r, c, json_get(message, S("tool_calls")));
    if (e != OK)
        return e;

    /* `done` completes the answer by itself: old servers do not say why it ended. */
    bool done = whole || json_bool(json_get(doc, S("done")), false);
    struct str reason = emit_word(r, done ? json_get(doc, S("done_reason")) : NULL);

    e = emit_verdict(r, OK);
    if (e != OK || !done)
        return e;
    /* A request without messages loads or unloads the model. */
    c->may_be_empty = str_eq(reason, S("load")) || str_eq(reason, S("unload"));
    emit_finish(r, c,
        str_eq(reason, S("length"))                  ? FINISH_LENGTH
        : reason.n == 0 || str_eq(reason, S("stop")) ? FINISH_STOP
                                                     : FINISH_UNKNOWN,
        reason, S(""));
    read_counts(r, doc);
    emit_end(r);
    return OK;
}

static enum err
read_event(struct wire_reader *r, struct str event UNUSED, struct str data)
{
    return r->complete || r->failed ? OK : read_document_of(r, data, false);
}

enum err
ollama_read_answer(struct wire_reader *r, struct str body)
{
    return read_document_of(r, body, true);
}

static void
read_end(struct wire_reader *r UNUSED)
{
    /* Nothing is held back, and without a line that is `done` the answer was truncated. */
}

static const char *const limits[] = { "options.num_predict", NULL };

const struct wire_provider ollama_provider = {
    .ops = OP_BIT(OP_CHAT) | OP_BIT(OP_EMBED) | OP_BIT(OP_RELAY),
    .write_path = write_path,
    .models_path = S_INIT("/api/tags"),
    .translates = OP_BIT(OP_CHAT),
    .places = { .params = PARAMS_OLLAMA,
        .object = "options",
        .nested = PARAMS_OLLAMA_OPTIONS,
        .limits = limits },
    .prefills = true,
    .write_request = write_chat,
    .writes = { [OP_EMBED] = ollama_write_embed },
    .reads = { [OP_EMBED] = ollama_read_embed },
    .read_event = read_event,
    .read_end = read_end,
    .read_answer = ollama_read_answer,
    .read_error = read_error,
    .key = S_INIT("Authorization: Bearer "),
};

const struct wire wire_ollama = {
    .name = S_INIT("ollama"),
    .framing = &framing_ndjson,
    .caller = &ollama_caller,
    .provider = &ollama_provider,
};

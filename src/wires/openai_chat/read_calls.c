/* read_calls.c - assigns fragments of tool calls to their calls, however a host labels
 * them. */
#include "wires/openai_chat/reply.h"

#include "base/clock.h"
#include "base/map.h"

enum { CALLS_MAX = 1024 };    /* of one choice */

void
openai_scan_args(struct args_scan *scan, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char ch = text.p[i];

        if (scan->in_string) {
            if (scan->escaped)
                scan->escaped = false;
            else if (ch == '\\')
                scan->escaped = true;
            else if (ch == '"')
                scan->in_string = false;
        } else if (ch == '"') {
            scan->in_string = true;
        } else if (ch == '{' || ch == '[') {
            scan->seen = true;
            scan->depth++;
        } else if ((ch == '}' || ch == ']') && scan->depth > 0) {
            scan->depth--;
        }
    }
}

/* Whether the arguments are a complete object, so that nothing more will come. */
static bool
args_whole(const struct reply_call *call)
{
    return call->args.seen && call->args.depth == 0 && !call->args.in_string;
}

static void
start_call(
    struct wire_reader *r, struct reply_choice *c, struct reply_call *call, struct str signature)
{
    call->number = c->start_count++;

    struct llm_event ev = {
        .kind = EVENT_TOOL_START,
        .choice = c->index,
        .tool = call->number,
        .id = call->id,
        .name = call->name,
        .custom = call->custom,
        .signature = signature,
    };

    call->started = true;
    c->said = true;
    wire_emit(r, &ev);
}

static void
end_call(struct wire_reader *r, struct reply_choice *c, struct reply_call *call)
{
    struct llm_event ev = { .kind = EVENT_TOOL_END, .choice = c->index, .tool = call->number };

    if (call->ended)
        return;
    call->ended = true;
    if (call->started)    /* a call that never got a name was not started and cannot be run */
        wire_emit(r, &ev);
}

void
openai_end_calls(struct wire_reader *r, struct reply_choice *c)
{
    for (struct reply_call *call = c->calls; call != NULL; call = call->next)
        end_call(r, c, call);
}

/* Ends the calls whose arguments are complete. One that continues nevertheless is listed again
 * later. */
static void
end_whole_calls(struct wire_reader *r, struct reply_choice *c)
{
    for (struct reply_call *call = c->whole; call != NULL; call = call->next_whole) {
        call->listed = false;
        if (args_whole(call))
            end_call(r, c, call);
    }
    c->whole = NULL;
    c->whole_tail = &c->whole;
}

static void
list_whole_call(struct reply_choice *c, struct reply_call *call)
{
    if (call->listed || !args_whole(call))
        return;
    call->listed = true;
    call->next_whole = NULL;
    *c->whole_tail = call;
    c->whole_tail = &call->next_whole;
}

static void
destroy_map(void *map)
{
    map_destroy(map);
}

static struct map *
make_map(struct arena *keep)
{
    struct map *m = map_create();

    arena_cleanup(keep, destroy_map, m);
    return m;
}

static struct str
label_key(const int64_t *label)
{
    return str_make((const char *)label, sizeof(*label));
}

/* The newest call that the fragment can belong to; NULL if it begins another one.
 *
 * The index is a label, not a position; some hosts reuse it for every call, others leave it out,
 * and some repeat id or name with every fragment. */
static struct reply_call *
find_call(const struct reply_choice *c, int64_t label, struct str id, struct str name)
{
    struct reply_call *found = c->newest;

    if (found != NULL && (label >= 0 || id.n > 0))
        found = label >= 0 ? map_get(c->by_label, label_key(&label)) : map_get(c->by_id, id);
    if (found == NULL || name.n == 0)
        return found;
    if (id.n > 0)
        return str_eq(found->id, id) || found->name.n == 0 ? found : NULL;
    if (label >= 0)
        return found;
    return args_whole(found) || (found->name.n > 0 && !str_eq(found->name, name)) ? NULL : found;
}

static struct reply_call *
open_call(struct wire_reader *r, struct reply_choice *c, int64_t label)
{
    if (c->call_count == CALLS_MAX)
        return NULL;
    end_whole_calls(r, c);

    struct reply_call *call = arena_new(r->keep, struct reply_call);

    if (c->call_count++ == 0) {
        c->by_label = make_map(r->keep);
        c->by_id = make_map(r->keep);
    }
    call->label = label;
    if (label >= 0)
        (void)map_put(c->by_label, label_key(&label), call);
    *c->calls_tail = call;
    c->calls_tail = &call->next;
    c->newest = call;
    return call;
}

static void
set_id(struct wire_reader *r, struct reply_choice *c, struct reply_call *call, struct str id)
{
    call->id = openai_reply_keep(r, id);
    (void)map_put(c->by_id, id, call);
}

/* An id for hosts that send none; unique, because the next turn's must differ. */
static struct str
invent_id(struct wire_reader *r)
{
    return arena_printf(r->keep, "call_%016llx", (unsigned long long)clock_random_u64());
}

static void
take_args(
    struct wire_reader *r, struct reply_choice *c, struct reply_call *call, const struct json *args)
{
    struct llm_event ev = { .kind = EVENT_TOOL_ARGS, .choice = c->index, .tool = call->number };

    if (json_is(args, JSON_STRING))
        ev.text = openai_reply_text(r, args);
    else if (json_is(args, JSON_OBJECT) && !call->args.seen)
        ev.text = json_raw(args);
    if (ev.text.n == 0 || call->ended)
        return;
    if (!call->custom) {
        openai_scan_args(&call->args, ev.text);
        list_whole_call(c, call);
    }
    wire_emit(r, &ev);
}

/* One entry of tool_calls, or an old function_call. `whole`: it is a complete call, not a fragment.
 */
static enum err
take_call(struct wire_reader *r, struct reply_choice *c, const struct json *j, bool whole)
{
    const struct json *custom = json_get(j, S("custom"));
    const struct json *function = custom != NULL ? custom : json_get(j, S("function"));
    const struct json *body = json_is(function, JSON_OBJECT) ? function : j;
    const struct json *args = json_get(body, custom != NULL ? S("input") : S("arguments"));
    struct str id = openai_reply_text(r, json_get(j, S("id")));
    struct str name = openai_reply_text(r, json_get(body, S("name")));
    int64_t label = json_i64(json_get(j, S("index")), -1);
    bool no_args = !json_present(args) || json_str_is(args, S(""));
    struct reply_call *call = whole ? NULL : find_call(c, label, id, name);

    if (call == NULL) {
        if (id.n == 0 && name.n == 0 && no_args)
            return OK;    /* a placeholder */
        call = open_call(r, c, label);
        if (call == NULL)
            return ERR_UPSTREAM_PROTOCOL;
        call->custom = custom != NULL || json_str_is(json_get(j, S("type")), S("custom"));
    }
    if (!call->started) {
        if (call->name.n == 0 && name.n > 0)
            call->name = openai_reply_keep(r, name);
        if (call->id.n == 0 && id.n > 0)
            set_id(r, c, call, id);
        if (call->name.n == 0 && no_args && !whole)
            return OK;    /* the name may come with the next fragment */
        if (call->id.n == 0)
            call->id = invent_id(r);
        start_call(
            r, c, call, openai_reply_text(r, json_at(j, "extra_content.google.thought_signature")));
    }
    take_args(r, c, call, args);
    return OK;
}

enum err
openai_take_calls(struct wire_reader *r, struct reply_choice *c, const struct json *calls,
    const struct json *old, bool whole)
{
    struct json_iter it = json_iter(json_is(calls, JSON_ARRAY) ? calls : NULL);

    while (json_next(&it)) {
        enum err e = take_call(r, c, it.value, whole);

        if (e != OK)
            return e;
    }
    return json_is(old, JSON_OBJECT) ? take_call(r, c, old, whole) : OK;
}

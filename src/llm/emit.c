/* emit.c - emits a provider's answer in order; assigns pieces of calls to their calls. */
#include "llm/emit.h"

#include "base/clock.h"
#include "base/map.h"

enum { CALLS_MAX = 1024 };    /* of one choice */

/* --- strings --- */

struct str
emit_string(struct wire_reader *r, const struct json *j)
{
    struct str s = json_str(r->scratch, j);

    if (s.p == NULL && json_is(j, JSON_STRING))
        r->emit.too_large = true;
    return s;
}

struct str
emit_word(struct wire_reader *r, const struct json *j)
{
    return json_str_is(j, S("null")) ? S("") : emit_string(r, j);
}

struct str
emit_keep(struct wire_reader *r, struct str s)
{
    struct str copy = arena_str(r->keep, s);

    if (copy.p == NULL)
        r->emit.too_large = true;
    return copy;
}

enum err
emit_verdict(const struct wire_reader *r, enum err e)
{
    return e == OK && r->emit.too_large ? ERR_UPSTREAM_TOO_LARGE : e;
}

/* --- start, content, usage --- */

struct emit_choice *
emit_choice(struct wire_reader *r, int64_t index)
{
    struct emit *e = &r->emit;
    struct emit_choice **at = &e->choices;
    struct emit_choice *c = e->recent;

    if (index < 0 || index >= LLM_CHOICES_MAX)
        return NULL;
    if (c != NULL && c->index == index)
        return c;
    if (c != NULL && c->index < index)
        at = &c->next;
    while (*at != NULL && (*at)->index < index)
        at = &(*at)->next;
    if (*at == NULL || (*at)->index != index) {
        c = arena_new(r->keep, struct emit_choice);
        c->index = (uint32_t)index;
        c->calls_tail = &c->calls;
        c->whole_tail = &c->whole;
        c->next = *at;
        *at = c;
    }
    e->recent = *at;
    return *at;
}

void
emit_start(struct wire_reader *r, const struct llm_event *ev)
{
    struct llm_event start = *ev;

    if (r->emit.started)
        return;
    r->emit.started = true;
    if (ev->id.n < sizeof(r->emit.id))
        str_copy_c(r->emit.id, sizeof(r->emit.id), ev->id);
    start.kind = EVENT_START;
    wire_emit(r, &start);
}

void
emit_usage(struct wire_reader *r, const struct llm_usage *u)
{
    bool changed = usage_update(&r->emit.usage, u);

    /* embeddings and rankings have no output tokens, and no provider reports any */
    if ((r->op == OP_EMBED || r->op == OP_RERANK) && usage_has(u, COUNT_INPUT) &&
        !usage_has(u, COUNT_OUTPUT))
        usage_set(&r->emit.usage, COUNT_OUTPUT, 0);
    if (changed && usage_known(&r->emit.usage))
        wire_emit(r, &(struct llm_event){ .kind = EVENT_USAGE, .usage = r->emit.usage });
}

void
emit_text(struct wire_reader *r, struct emit_choice *c, enum llm_event_kind kind, struct str text)
{
    if (text.n == 0)
        return;
    c->said = true;
    wire_emit(r, &(struct llm_event){
                     .kind = kind, .choice = c->index, .text = text, .origin = r->emit.origin });
}

void
emit_signature(struct wire_reader *r, struct emit_choice *c, struct str signature)
{
    struct llm_event ev = {
        .kind = EVENT_SIGNATURE,
        .choice = c->index,
        .signature = signature,
        .origin = r->emit.origin,
    };

    if (signature.n == 0)
        return;
    c->said = true;
    wire_emit(r, &ev);
}

void
emit_citation(struct wire_reader *r, struct emit_choice *c, const struct llm_citation *citation)
{
    if (citation->url.n > 0 || citation->title.n > 0 || citation->quote.n > 0)
        wire_emit(r, &(struct llm_event){
                         .kind = EVENT_CITATION, .choice = c->index, .citation = citation });
}

void
emit_media(struct wire_reader *r, struct emit_choice *c, const struct llm_part *media)
{
    if (media->data.n == 0 && media->url.n == 0)
        return;
    c->said = true;
    wire_emit(r, &(struct llm_event){ .kind = EVENT_MEDIA, .choice = c->index, .media = media });
}

void
emit_logprobs(struct wire_reader *r, struct emit_choice *c, const struct json *tokens)
{
    struct buf b;

    if (!json_is(tokens, JSON_ARRAY) || json_is_empty(tokens))
        return;
    buf_init(&b, SIZE_MAX);
    buf_add(&b, S("{\"content\":"));
    buf_add(&b, json_raw(tokens));
    buf_add(&b, S(",\"refusal\":null}"));
    r->emit.too_large = r->emit.too_large || b.overflow;
    wire_emit(
        r, &(struct llm_event){ .kind = EVENT_LOGPROBS, .choice = c->index, .raw = buf_str(&b) });
    buf_fini(&b);
}

void
emit_raw(
    struct wire_reader *r, struct emit_choice *c, enum llm_event_kind kind, const struct json *j)
{
    c->said = c->said || kind != EVENT_LOGPROBS;
    wire_emit(r, &(struct llm_event){ .kind = kind, .choice = c->index, .raw = json_raw(j) });
}

/* --- calls --- */

void
emit_scan(struct emit_scan *scan, struct str text)
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
args_whole(const struct emit_call *call)
{
    return call->args.seen && call->args.depth == 0 && !call->args.in_string;
}

static void
write_args(
    struct wire_reader *r, const struct emit_choice *c, struct emit_call *call, struct str args)
{
    call->filled = call->filled || str_trim(args).n > 0;
    if (call->wrapped && !call->ended) {
        if (!arena_append(r->keep, &call->held, args))
            r->emit.too_large = true;
        return;
    }
    wire_emit(r, &(struct llm_event){
                     .kind = EVENT_TOOL_ARGS,
                     .choice = c->index,
                     .tool = call->number,
                     .text = args,
                     .custom = call->custom || call->wrapped,
                 });
}

/* The text in {"input":"..."}; a model that wrote something else meant that. */
static struct str
unwrapped(struct wire_reader *r, struct str held)
{
    const struct json *doc = json_parse(r->scratch, held, NULL, NULL);
    const struct json *input = json_get(doc, S("input"));

    return json_is(input, JSON_STRING)                       ? emit_string(r, input)
           : json_is(doc, JSON_OBJECT) && json_is_empty(doc) ? S("")
                                                             : held;
}

static void
end_call(struct wire_reader *r, struct emit_choice *c, struct emit_call *call)
{
    struct llm_event ev = { .kind = EVENT_TOOL_END, .choice = c->index, .tool = call->number };

    if (call->ended)
        return;
    call->ended = true;
    if (!call->started)    /* a call that never got a name cannot be run */
        return;
    if (call->wrapped && call->filled)
        write_args(r, c, call, unwrapped(r, call->held));
    else if (!call->filled && !call->custom && !call->wrapped)    /* for clients that parse them */
        write_args(r, c, call, S("{}"));
    wire_emit(r, &ev);
}

static void
end_calls(struct wire_reader *r, struct emit_choice *c)
{
    for (struct emit_call *call = c->calls; call != NULL; call = call->next)
        end_call(r, c, call);
}

/* Ends the calls whose arguments are complete. One that continues nevertheless is listed again
 * later. */
static void
end_whole_calls(struct wire_reader *r, struct emit_choice *c)
{
    for (struct emit_call *call = c->whole; call != NULL; call = call->next_whole) {
        call->listed = false;
        if (args_whole(call))
            end_call(r, c, call);
    }
    c->whole = NULL;
    c->whole_tail = &c->whole;
}

static void
list_whole_call(struct emit_choice *c, struct emit_call *call)
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

/* The newest call that a piece can belong to; NULL if it begins another one. */
static struct emit_call *
find_call(const struct emit_choice *c, const struct emit_piece *piece)
{
    struct emit_call *found = c->newest;
    struct str id = piece->id;
    struct str name = piece->name;

    if (found != NULL && (piece->label >= 0 || id.n > 0))
        found = piece->label >= 0 ? map_get(c->by_label, label_key(&piece->label))
                                  : map_get(c->by_id, id);
    if (found == NULL || name.n == 0)
        return found;
    if (id.n > 0)
        return str_eq(found->id, id) || found->name.n == 0 ? found : NULL;
    if (piece->label >= 0)    /* hosts that number all calls 0, and those that repeat the name */
        return args_whole(found) && (piece->args.n > 0 || !str_eq(found->name, name)) ? NULL
                                                                                      : found;
    return args_whole(found) || (found->name.n > 0 && !str_eq(found->name, name)) ? NULL : found;
}

static struct emit_call *
open_call(struct wire_reader *r, struct emit_choice *c, const struct emit_piece *piece)
{
    struct emit_call *call;

    if (c->call_count == CALLS_MAX)
        return NULL;
    end_whole_calls(r, c);
    if (c->call_count++ == 0) {
        c->by_label = make_map(r->keep);
        c->by_id = make_map(r->keep);
    }
    call = arena_new(r->keep, struct emit_call);
    call->custom = piece->custom;
    if (piece->label >= 0)
        (void)map_put(c->by_label, label_key(&piece->label), call);
    *c->calls_tail = call;
    c->calls_tail = &call->next;
    c->newest = call;
    return call;
}

static void
start_call(struct wire_reader *r, struct emit_choice *c, struct emit_call *call,
    const struct emit_piece *piece)
{
    const struct map *renamed = r->drops != NULL ? r->drops->renamed : NULL;
    const struct str *asked = renamed != NULL ? map_get(renamed, call->name) : NULL;

    /* unique, because the next turn's must differ */
    if (call->id.n == 0)
        call->id = arena_printf(r->keep, "call_%016llx", (unsigned long long)clock_random_u64());
    const struct map *free_form = r->drops != NULL ? r->drops->free_form : NULL;

    call->wrapped = free_form != NULL && !call->custom &&
                    map_get(free_form, asked != NULL ? *asked : call->name) != NULL;
    call->number = c->start_count++;
    call->started = true;
    c->said = true;
    wire_emit(r, &(struct llm_event){
                     .kind = EVENT_TOOL_START,
                     .choice = c->index,
                     .tool = call->number,
                     .id = call->id,
                     .name = asked != NULL ? *asked : call->name,
                     .custom = call->custom || call->wrapped,
                     .signature = piece->signature,
                 });
}

static void
take_args(struct wire_reader *r, struct emit_choice *c, struct emit_call *call,
    const struct emit_piece *piece)
{
    if (piece->args.n == 0 || call->ended || (piece->is_object && call->args.seen))
        return;
    if (!call->custom) {
        emit_scan(&call->args, piece->args);
        list_whole_call(c, call);
    }
    write_args(r, c, call, piece->args);
}

enum err
emit_call(struct wire_reader *r, struct emit_choice *c, const struct emit_piece *piece)
{
    struct emit_call *call = piece->whole ? NULL : find_call(c, piece);

    if (call == NULL) {
        if (piece->id.n == 0 && piece->name.n == 0 && piece->args.n == 0)
            return OK;    /* a placeholder */
        call = open_call(r, c, piece);
        if (call == NULL)
            return ERR_UPSTREAM_PROTOCOL;
    }
    if (!call->started) {
        if (call->name.n == 0 && piece->name.n > 0)
            call->name = emit_keep(r, piece->name);
        if (call->id.n == 0 && piece->id.n > 0) {
            call->id = emit_keep(r, piece->id);
            (void)map_put(c->by_id, piece->id, call);
        }
        if (call->name.n == 0 && piece->args.n == 0 && !piece->whole)
            return OK;    /* the name may come with the next piece */
        start_call(r, c, call, piece);
    }
    take_args(r, c, call, piece);
    if (piece->whole)
        end_call(r, c, call);
    return OK;
}

void
emit_call_end(struct wire_reader *r, struct emit_choice *c)
{
    if (c->newest != NULL)
        end_call(r, c, c->newest);
}

/* --- the end --- */

void
emit_finish(struct wire_reader *r, struct emit_choice *c, enum llm_finish finish, struct str native,
    struct str stop_sequence)
{
    struct llm_event ev = {
        .kind = EVENT_FINISH,
        .choice = c->index,
        .finish = finish,
        .native = native,
        .stop_sequence = stop_sequence,
    };

    if (c->finished)
        return;
    c->finished = true;
    c->explained = native.n != 0;
    /* Nothing fits below a limit of 0, or of what reasoning used up; and a filter leaves nothing. */
    c->may_be_empty = c->may_be_empty || finish == FINISH_LENGTH || finish == FINISH_FILTER;
    end_calls(r, c);
    if (c->start_count > 0 && (finish == FINISH_STOP || finish == FINISH_UNKNOWN))
        ev.finish = FINISH_TOOLS;
    else if (c->start_count == 0 && finish == FINISH_TOOLS)
        ev.finish = FINISH_STOP;
    wire_emit(r, &ev);
}

bool
emit_all_finished(const struct wire_reader *r, int64_t wanted)
{
    int64_t finished = 0;

    for (const struct emit_choice *c = r->emit.choices; c != NULL; c = c->next) {
        if (!c->finished)
            return false;
        finished++;
    }
    return finished >= MAX(wanted, 1);
}

void
emit_error(struct wire_reader *r, const struct llm_error *e)
{
    r->failed = true;
    wire_emit(r, &(struct llm_event){ .kind = EVENT_ERROR, .error = e });
}

void
emit_failure(struct wire_reader *r, enum err kind, struct str message)
{
    emit_error(r, &(struct llm_error){ .kind = kind, .message = message });
}

void
emit_unfinished(struct wire_reader *r)
{
    for (const struct emit_choice *c = r->emit.choices; c != NULL; c = c->next) {
        if (c->said) {
            emit_failure(r, ERR_UPSTREAM_TRUNCATED,
                S("the provider ended the stream without a finish reason"));
            return;
        }
    }
    emit_failure(r, ERR_UPSTREAM_EMPTY, S("the provider ended the stream without an answer"));
}

/* Is there neither content nor anything that vouches for its absence? A model that has nothing to
 * say generates at least a token that ends its turn, and says so. A count that was not reported
 * vouches for nothing: providers are asked for it, and to ask another costs less than to pass off
 * nothing as an answer. */
static bool
is_empty(const struct wire_reader *r)
{
    bool explained = false;

    if (r->op != OP_CHAT && r->op != OP_COMPLETE)
        return false;
    for (const struct emit_choice *c = r->emit.choices; c != NULL; c = c->next) {
        if (c->said || c->may_be_empty)
            return false;
        explained = explained || c->explained;
    }
    return !explained || r->emit.usage.output == 0;    /* or not known */
}

void
emit_end(struct wire_reader *r)
{
    /* of choices without a finish, and those that began after it */
    for (struct emit_choice *c = r->emit.choices; c != NULL; c = c->next)
        end_calls(r, c);
    if (is_empty(r)) {
        emit_failure(r, ERR_UPSTREAM_EMPTY, str_c(err_row(ERR_UPSTREAM_EMPTY)->sentence));
        return;
    }
    r->finished = true;
    r->complete = true;
    wire_emit(r, &(struct llm_event){ .kind = EVENT_END });
}

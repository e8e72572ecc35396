/* answer.c - folds events into one whole answer.
 *
 * Text grows in place as long as deltas go to the same part. Its size is chosen by a provider, so
 * all growth goes through arena_try().
 */
#include "llm/answer.h"

#include "llm/media.h"

enum { PART_BYTES = 32 };    /* charged to the answer's limit for each part, besides its text */

static struct llm_answer *
answer_of(struct event_sink *sink)
{
    return CONTAINER_OF(sink, struct llm_answer, sink);
}

struct llm_answer_choice *
answer_choice(struct llm_answer *ans, uint32_t index)
{
    struct llm_answer_choice **at = &ans->choices;
    struct llm_answer_choice *c = ans->recent;

    if (index >= LLM_CHOICES_MAX)
        return NULL;
    if (c != NULL && c->index == index)
        return c;
    if (c != NULL && c->index < index)
        at = &c->next;
    while (*at != NULL && (*at)->index < index)
        at = &(*at)->next;
    if (*at == NULL || (*at)->index != index) {
        c = arena_new(ans->arena, struct llm_answer_choice);
        c->index = index;
        c->tail = &c->parts;
        c->logprobs_tail = &c->logprobs;
        c->citations_tail = &c->citations;
        c->next = *at;
        *at = c;
    }
    ans->recent = *at;
    return *at;
}

/* Charges `n` bytes to the answer's limit. False, with too_large set, if they exceed it. */
static bool
take(struct llm_answer *ans, size_t n)
{
    ans->too_large = ans->too_large || n > ans->left;
    if (ans->too_large)
        return false;
    ans->left -= n;
    return true;
}

/* A copy; or an empty slice, with too_large set. */
static struct str
keep(struct llm_answer *ans, struct str s)
{
    if (s.n == 0 || !take(ans, s.n))
        return S("");

    struct str copy = arena_str(ans->arena, s);

    if (copy.p == NULL)
        ans->too_large = true;
    return copy;
}

static struct llm_part *
add_part(struct llm_answer *ans, struct llm_answer_choice *c, enum llm_part_kind kind)
{
    (void)take(ans, PART_BYTES);
    c->open = llm_part_add(ans->arena, &c->tail, kind);
    return c->open;
}

/* The half of a surrogate pair at `p`, which json_str() keeps as three bytes; 0 if there is none.
 */
static uint32_t
surrogate_at(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;

    return u[0] == 0xed && u[1] >= 0xa0 ? 0xd000u | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu) : 0;
}

/* Joins a character that was split between two deltas, the second of which begins at `seam`. */
static void
join_surrogates(struct str *text, size_t seam)
{
    bool both = seam >= 3 && text->n - seam >= 3;
    uint32_t high = both ? surrogate_at(text->p + seam - 3) : 0;
    uint32_t low = high >= 0xd800 && high < 0xdc00 ? surrogate_at(text->p + seam) : 0;

    if (low < 0xdc00)
        return;

    uint32_t c = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    char *at = (char *)(uintptr_t)text->p + seam - 3;

    at[0] = (char)(0xf0 | c >> 18);
    at[1] = (char)(0x80 | (c >> 12 & 0x3f));
    at[2] = (char)(0x80 | (c >> 6 & 0x3f));
    at[3] = (char)(0x80 | (c & 0x3f));
    memmove(at + 4, at + 6, text->n - seam - 3);
    text->n -= 2;
}

static void
append(struct llm_answer *ans, struct str *text, struct str more)
{
    size_t seam = text->n;

    if (more.n == 0 || !take(ans, more.n))
        return;
    if (arena_append(ans->arena, text, more))
        join_surrogates(text, seam);
    else
        ans->too_large = true;
}

/* Reasoning that is signed or encrypted is complete. */
static bool
is_sealed(const struct llm_part *part)
{
    return part->signature.n > 0 || part->redacted.n > 0;
}

/* Text continues the open part if that is of the same kind; otherwise it begins a new one. */
static void
fold_text(
    struct llm_answer *ans, struct llm_answer_choice *c, enum llm_part_kind kind, struct str text)
{
    struct llm_part *part = c->open;

    if (part == NULL || part->kind != kind || is_sealed(part))
        part = add_part(ans, c, kind);
    append(ans, &part->text, text);
}

static void
fold_signature(struct llm_answer *ans, struct llm_answer_choice *c, const struct llm_event *ev)
{
    struct llm_part *part = c->open;

    if (part == NULL || part->kind != PART_REASONING || is_sealed(part))
        part = add_part(ans, c, PART_REASONING);
    part->signature = keep(ans, ev->signature);
    part->origin = ev->origin;
}

static void
fold_redacted(struct llm_answer *ans, struct llm_answer_choice *c, const struct llm_event *ev)
{
    struct llm_part *part = add_part(ans, c, PART_REASONING);

    part->redacted = keep(ans, ev->text);
    part->origin = ev->origin;
}

static void
fold_tool_start(struct llm_answer *ans, struct llm_answer_choice *c, const struct llm_event *ev)
{
    struct llm_part *part = add_part(ans, c, PART_TOOL_CALL);
    size_t had = c->call_count;

    if ((had & (had - 1)) == 0) {    /* the room doubles */
        size_t room = had != 0 ? 2 * had : 1;
        struct llm_part **calls =
            arena_grow(ans->arena, (void *)c->calls, had * sizeof(*calls), room * sizeof(*calls));

        if (calls == NULL) {
            ans->too_large = true;
            return;
        }
        c->calls = calls;
    }
    c->calls[c->call_count++] = part;
    part->id = keep(ans, ev->id);
    part->name = keep(ans, ev->name);
    part->signature = keep(ans, ev->signature);
    part->custom = ev->custom;
}

static void
fold_tool_args(struct llm_answer *ans, struct llm_answer_choice *c, const struct llm_event *ev)
{
    if (ev->tool >= c->call_count)
        return;
    c->open = c->calls[ev->tool];
    append(ans, &c->open->args, ev->text);
}

/* A parsed copy; NULL if it is not JSON, or there is no memory for it. */
static const struct json *
keep_document(struct llm_answer *ans, struct str raw)
{
    struct str copy = keep(ans, raw);
    struct json_error why = { .limit = false };
    const struct json *doc = copy.n > 0 ? json_parse(ans->arena, copy, NULL, &why) : NULL;

    ans->too_large = ans->too_large || why.limit;
    return doc;
}

static void
fold_logprobs(struct llm_answer *ans, struct llm_answer_choice *c, struct str raw)
{
    const struct json *doc = keep_document(ans, raw);

    if (doc == NULL)
        return;
    *c->logprobs_tail = arena_new(ans->arena, struct llm_fragment);
    (*c->logprobs_tail)->doc = doc;
    c->logprobs_tail = &(*c->logprobs_tail)->next;
}

static void
fold_citation(struct llm_answer *ans, struct llm_answer_choice *c, const struct llm_citation *from)
{
    if (!take(ans, PART_BYTES))
        return;

    struct llm_cited *cited = arena_new(ans->arena, struct llm_cited);

    cited->citation = *from;
    cited->citation.url = keep(ans, from->url);
    cited->citation.title = keep(ans, from->title);
    cited->citation.quote = keep(ans, from->quote);
    *c->citations_tail = cited;
    c->citations_tail = &cited->next;
}

/* Sound may come in pieces, each in base64: one goes on in the next where that ends no group. */
static void
fold_media(struct llm_answer *ans, struct llm_answer_choice *c, const struct llm_part *media)
{
    struct llm_part *part = c->open;
    bool goes_on = part != NULL && part->kind == PART_AUDIO && media->kind == PART_AUDIO &&
                   part->data.n % 4 == 0 && !str_ends(part->data, S("="));

    if (!goes_on) {
        part = add_part(ans, c, media->kind);
        part->mime = keep(ans, media->mime);
        part->url = keep(ans, media->url);
        part->name = keep(ans, media->name);
    }
    append(ans, &part->data, media->data);
}

static void
fold_error(struct llm_answer *ans, const struct llm_error *from)
{
    struct llm_error *e = arena_new(ans->arena, struct llm_error);

    *e = *from;
    e->message = keep(ans, from->message);
    e->type = keep(ans, from->type);
    e->code = keep(ans, from->code);
    e->param = keep(ans, from->param);
    ans->error = e;
}

static void
fold_start(struct llm_answer *ans, const struct llm_event *ev)
{
    ans->id = keep(ans, ev->id);
    ans->model = keep(ans, ev->model);
    ans->created_s = ev->created_s;
    usage_update(&ans->usage, &ev->usage);
}

static void
fold_finish(struct llm_answer *ans, struct llm_answer_choice *c, const struct llm_event *ev)
{
    c->finish = ev->finish;
    c->native = keep(ans, ev->native);
    c->stop_sequence = keep(ans, ev->stop_sequence);
    c->open = NULL;
}

static void
fold_vector(struct llm_answer *ans, const struct llm_event *ev)
{
    if (!take(ans, PART_BYTES))
        return;

    struct llm_vector *v = arena_new(ans->arena, struct llm_vector);

    *v = (struct llm_vector){ .index = ev->index, .type = ev->vector, .text = ev->raw };
    *ans->vectors_tail = v;
    ans->vectors_tail = &v->next;
}

static void
fold_rank(struct llm_answer *ans, const struct llm_event *ev)
{
    if (!take(ans, PART_BYTES))
        return;

    struct llm_rank *rank = arena_new(ans->arena, struct llm_rank);

    *rank = (struct llm_rank){ .index = ev->index, .score = ev->text, .document = ev->raw };
    *ans->ranks_tail = rank;
    ans->ranks_tail = &rank->next;
}

static void
fold_into_choice(struct llm_answer *ans, const struct llm_event *ev)
{
    struct llm_answer_choice *c = answer_choice(ans, ev->choice);

    if (c == NULL)
        return;
    switch (ev->kind) {
    case EVENT_TEXT:
        fold_text(ans, c, PART_TEXT, ev->text);
        break;
    case EVENT_REASONING:
        fold_text(ans, c, PART_REASONING, ev->text);
        break;
    case EVENT_REFUSAL:
        fold_text(ans, c, PART_REFUSAL, ev->text);
        break;
    case EVENT_SIGNATURE:
        fold_signature(ans, c, ev);
        break;
    case EVENT_REDACTED:
        fold_redacted(ans, c, ev);
        break;
    case EVENT_TOOL_START:
        fold_tool_start(ans, c, ev);
        break;
    case EVENT_TOOL_ARGS:
        fold_tool_args(ans, c, ev);
        break;
    case EVENT_CITATION:
        fold_citation(ans, c, ev->citation);
        break;
    case EVENT_MEDIA:
        fold_media(ans, c, ev->media);
        break;
    case EVENT_LOGPROBS:
        fold_logprobs(ans, c, ev->raw);
        break;
    case EVENT_FINISH:
        fold_finish(ans, c, ev);
        break;
    default:
        break;
    }
}

static void
answer_emit(struct event_sink *sink, const struct llm_event *ev)
{
    struct llm_answer *ans = answer_of(sink);

    if (ans->too_large)
        return;
    switch (ev->kind) {
    case EVENT_NONE:
        break;
    case EVENT_START:
        fold_start(ans, ev);
        break;
    case EVENT_USAGE:
        usage_update(&ans->usage, &ev->usage);
        break;
    case EVENT_ERROR:
        fold_error(ans, ev->error);
        break;
    case EVENT_END:
        ans->complete = true;
        break;
    case EVENT_VECTOR:
        fold_vector(ans, ev);
        break;
    case EVENT_RANK:
        fold_rank(ans, ev);
        break;
    default:
        fold_into_choice(ans, ev);
        break;
    }
}

void
answer_init(struct llm_answer *ans, struct arena *a)
{
    *ans = (struct llm_answer){
        .sink = { .emit = answer_emit },
        .arena = a,
        .left = SIZE_MAX,
    };
    ans->vectors_tail = &ans->vectors;
    ans->ranks_tail = &ans->ranks;
}

/* --- unfolding --- */

static void
unfold_call(const struct llm_part *part, uint32_t choice, uint32_t tool, struct event_sink *to)
{
    struct llm_event ev = { .kind = EVENT_TOOL_START,
        .choice = choice,
        .tool = tool,
        .id = part->id,
        .name = part->name,
        .signature = part->signature,
        .custom = part->custom };

    to->emit(to, &ev);
    ev = (struct llm_event){ .kind = EVENT_TOOL_ARGS,
        .choice = choice,
        .tool = tool,
        .text = part->args,
        .custom = part->custom };
    if (part->args.n != 0)
        to->emit(to, &ev);
    to->emit(to, &(struct llm_event){ .kind = EVENT_TOOL_END, .choice = choice, .tool = tool });
}

static void
unfold_text(const struct llm_part *part, uint32_t choice, struct event_sink *to)
{
    static const enum llm_event_kind kinds[] = {
        [PART_TEXT] = EVENT_TEXT, [PART_REASONING] = EVENT_REASONING, [PART_REFUSAL] = EVENT_REFUSAL
    };
    struct llm_event ev = { .kind = kinds[part->kind], .choice = choice, .text = part->text };

    if (part->kind == PART_REASONING && part->redacted.n != 0) {
        ev.kind = EVENT_REDACTED;
        ev.text = part->redacted;
        ev.origin = part->origin;
    }
    if (ev.text.n != 0)
        to->emit(to, &ev);
    if (part->kind == PART_REASONING && part->signature.n != 0)
        to->emit(to, &(struct llm_event){ .kind = EVENT_SIGNATURE,
                         .choice = choice,
                         .signature = part->signature,
                         .origin = part->origin });
}

/* What belongs to the text. */
static void
unfold_notes(const struct llm_answer_choice *c, struct event_sink *to)
{
    for (const struct llm_cited *cited = c->citations; cited != NULL; cited = cited->next)
        to->emit(
            to, &(struct llm_event){
                    .kind = EVENT_CITATION, .choice = c->index, .citation = &cited->citation });
    for (const struct llm_fragment *f = c->logprobs; f != NULL; f = f->next)
        to->emit(to, &(struct llm_event){
                         .kind = EVENT_LOGPROBS, .choice = c->index, .raw = json_raw(f->doc) });
}

static void
unfold_choice(const struct llm_answer_choice *c, struct event_sink *to)
{
    const struct llm_part *last = NULL;    /* of its texts */
    uint32_t tool = 0;

    for (const struct llm_part *part = c->parts; part != NULL; part = part->next)
        last = part->kind == PART_TEXT ? part : last;
    if (last == NULL)
        unfold_notes(c, to);
    for (const struct llm_part *part = c->parts; part != NULL; part = part->next) {
        if (part->kind == PART_TOOL_CALL)
            unfold_call(part, c->index, tool++, to);
        else if (media_is(part->kind))
            to->emit(
                to, &(struct llm_event){ .kind = EVENT_MEDIA, .choice = c->index, .media = part });
        else
            unfold_text(part, c->index, to);
        if (part == last)
            unfold_notes(c, to);
    }
    to->emit(to, &(struct llm_event){ .kind = EVENT_FINISH,
                     .choice = c->index,
                     .finish = c->finish,
                     .native = c->native,
                     .stop_sequence = c->stop_sequence });
}

void
answer_unfold(const struct llm_answer *ans, struct event_sink *to)
{
    to->emit(to,
        &(struct llm_event){
            .kind = EVENT_START, .id = ans->id, .model = ans->model, .created_s = ans->created_s });
    for (const struct llm_answer_choice *c = ans->choices; c != NULL; c = c->next)
        unfold_choice(c, to);
    if (usage_known(&ans->usage))
        to->emit(to, &(struct llm_event){ .kind = EVENT_USAGE, .usage = ans->usage });
    if (ans->error != NULL)
        to->emit(to, &(struct llm_event){ .kind = EVENT_ERROR, .error = ans->error });
    else if (ans->complete)
        to->emit(to, &(struct llm_event){ .kind = EVENT_END });
}

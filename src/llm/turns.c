/* turns.c - arranges a conversation by a target's rules, in linear time. */
#include "llm/turns.h"

#include "base/map.h"
#include "llm/media.h"

struct planner {
    const struct turn_rules *rules;
    const struct llm_request *r;
    struct turns *plan;
    struct arena *a;
    struct wire_drops *drops;
    struct map *open;        /* a call's id as the caller wrote it -> first unanswered call */
    struct map *ids;         /* ids given out */
    struct turn *answers;    /* the first turn of the user since the assistant's last */
    unsigned repeats;
    bool pairs;    /* there are calls or results to be matched */
};

/* Introduces a result without a call, which becomes text: its content may still matter, and the
 * target would refuse it as a result. */
static const struct llm_part orphan_title = {
    .kind = PART_TEXT,
    .text = S_INIT("Result of a tool call that is no longer in this conversation:"),
};

/* What stands for the content of a result that has none. */
static const struct llm_part no_result = { .kind = PART_TEXT, .text = S_INIT(TURN_NO_RESULT) };
static const struct llm_part failed = { .kind = PART_TEXT, .text = S_INIT("(the call failed)") };
static const struct llm_part go_on = { .kind = PART_TEXT, .text = S_INIT(TURN_CONTINUE) };
static const struct llm_part media_follow = {
    .kind = PART_TEXT,
    .text = S_INIT("(see the next message)"),
};

static void
list_init(struct turn_list *list)
{
    *list = (struct turn_list){ .tail = &list->first };
}

/* The cache marks on a part and in it. */
static unsigned
count_marks(const struct llm_part *part)
{
    unsigned n = part->cache_mark != MARK_NONE;

    if (part->kind == PART_TOOL_RESULT)
        for (const struct llm_part *in = part->result; in != NULL; in = in->next)
            n += in->cache_mark != MARK_NONE;
    return n;
}

static struct turn_block *
add_block(struct planner *p, struct turn_list *list, const struct llm_part *part)
{
    struct turn_block *b = arena_new(p->a, struct turn_block);

    b->part = part;
    if (part != NULL)
        p->plan->marks += count_marks(part);
    *list->tail = b;
    list->tail = &b->next;
    return b;
}

/* Puts the blocks of a list before those of another. */
static void
list_prepend(struct turn_list *list, const struct turn_list *before)
{
    if (before->first == NULL)
        return;
    *before->tail = list->first;
    if (list->first == NULL)
        list->tail = before->tail;
    list->first = before->first;
}

/* --- ids --- */

static bool
is_id_char(const struct turn_ids *ids, char c)
{
    return ids->chars == IDS_ANY || str_is_alnum(c) ||
           (ids->chars == IDS_WORD && (c == '_' || c == '-'));
}

static struct str
hashed_id(const struct turn_ids *ids, struct arena *a, struct str id)
{
    id = wire_hash_id(a, id, ids->prefix);
    return str_make(id.p, MIN(id.n, ids->most));
}

static bool
fits(const struct turn_ids *ids, struct str id)
{
    bool fit = id.n >= MAX(ids->least, 1) && id.n <= ids->most;

    for (size_t i = 0; fit && i < id.n; i++)
        fit = is_id_char(ids, id.p[i]);
    return fit;
}

struct str
turn_fit_id(const struct turn_ids *ids, struct arena *a, struct str id)
{
    return fits(ids, id) ? id : hashed_id(ids, a, id);
}

enum {
    NAME_HASH = 12,    /* hexadecimal digits */
    NAME_MAX = 128,
};

struct str
turn_name(const struct turn_ids *names, const struct llm_request *r, struct wire_drops *drops,
    struct str name)
{
    char legible[NAME_MAX];
    size_t n = 0;

    CHECK(names->most <= NAME_MAX);
    if (names->most == 0 || fits(names, name))
        return name;
    for (; n < name.n && n < names->most - NAME_HASH - 1; n++)
        legible[n] = is_id_char(names, name.p[n]) ? name.p[n] : '_';
    legible[n++] = '_';

    struct str sent = wire_hash_id(r->arena, name, str_make(legible, n));

    sent.n = n + NAME_HASH;
    return wire_rename(drops, sent, name) ? sent : name;
}

/* An id that no earlier call has: some models restart their numbering in every turn. */
static struct str
unique_id(struct planner *p, struct turn_block *call)
{
    struct str id = turn_fit_id(&p->rules->ids, p->a, call->part->id);

    if (map_get(p->ids, id) != NULL)
        id = hashed_id(
            &p->rules->ids, p->a, arena_printf(p->a, STR_FMT "#%u", STR_ARG(id), ++p->repeats));
    (void)map_put(p->ids, id, call);
    return id;
}

/* --- turns --- */

/* Ends an assistant's turn, without reasoning at its end if it must speak. It goes if nothing else
 * was in it. */
static void
finish_turn(struct planner *p)
{
    struct turns *plan = p->plan;
    struct turn *t = plan->last;

    if (t == NULL || t->side != TURN_ASSISTANT)
        return;
    if (p->rules->speaks) {
        *t->solid = NULL;
        t->blocks.tail = t->solid;
    }
    if (t->blocks.first != NULL)
        return;
    plan->last = t->prev;
    if (t->prev != NULL)
        t->prev->next = NULL;
    else
        plan->first = NULL;
}

/* A turn after `prev`, or the first if that is NULL. */
static struct turn *
add_turn(struct planner *p, struct turn *prev, enum turn_side side, const struct llm_message *m)
{
    struct turns *plan = p->plan;
    struct turn *t = arena_new(p->a, struct turn);
    struct turn **from = prev != NULL ? &prev->next : &plan->first;

    t->side = side;
    t->message = m;
    list_init(&t->results);
    list_init(&t->blocks);
    t->solid = &t->blocks.first;
    t->prev = prev;
    t->next = *from;
    *from = t;
    if (t->next != NULL)
        t->next->prev = t;
    else
        plan->last = t;
    if (side != TURN_USER)
        p->answers = NULL;
    else if (p->answers == NULL)
        p->answers = t;
    return t;
}

/* Whether a block of a message belongs to the turn `t`. Results that follow each other are one
 * turn, although some protocols have a message for each; so is what the assistant adds to calls
 * before they are answered, since the answers must come next. */
static bool
goes_on(const struct planner *p, const struct turn *t, enum turn_side side,
    const struct llm_message *m, bool result)
{
    return t != NULL && t->side == side &&
           (p->rules->alternate || t->message == m || (p->rules->paired && t->calls) ||
               (result && t->results.first != NULL && t->blocks.first == NULL));
}

static struct turn *
turn_for(struct planner *p, enum turn_side side, const struct llm_message *m, bool result)
{
    struct turn **last = &p->plan->last;

    if (!goes_on(p, *last, side, m, result))
        finish_turn(p);
    return goes_on(p, *last, side, m, result) ? *last : add_turn(p, *last, side, m);
}

/* Whether the target can take a part that users, assistants and system text have in common. */
static bool
is_kept(const struct planner *p, const struct llm_part *part)
{
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        return !p->rules->no_blanks || str_trim(part->text).n > 0;
    case PART_OPAQUE:
        if (part->origin == p->rules->blocks)
            return true;
        wire_drop_block(p->drops, part);
        return false;
    default:
        return false;
    }
}

static void
add_to_user(struct planner *p, const struct llm_message *m, const struct llm_part *part)
{
    if (part->kind == PART_TOOL_RESULT) {
        /* a result that comes late, after other words of the user, answers the same calls */
        bool late = p->rules->paired && p->answers != NULL;
        struct turn *t = late ? p->answers : turn_for(p, TURN_USER, m, true);
        struct turn_block *b = add_block(p, &t->results, part);

        p->pairs = true;
        if (!p->rules->paired)
            b->id = turn_fit_id(&p->rules->ids, p->a, part->id);
        if (part->is_error && !p->rules->fails)
            wire_drop(p->drops, S("messages.tool_result.is_error"));
        for (const struct llm_part *in = part->result; in != NULL; in = in->next)
            if (in->kind == PART_OPAQUE && in->origin != p->rules->blocks)
                wire_drop_block(p->drops, in);
    } else if (media_is(part->kind) || is_kept(p, part)) {
        add_block(p, &turn_for(p, TURN_USER, m, false)->blocks, part);
    }
}

static void
add_to_assistant(struct planner *p, const struct llm_message *m, const struct llm_part *part)
{
    bool call = part->kind == PART_TOOL_CALL;
    /* signed reasoning is of use only to the provider that signed it */
    bool thought =
        part->kind == PART_REASONING &&
        ((part->origin == p->rules->origin && (part->signature.n > 0 || part->redacted.n > 0)) ||
            (p->rules->thoughts && part->text.n > 0 && part->signature.n == 0));

    if (media_is(part->kind))
        wire_drop(p->drops, S("assistant.media"));
    if (part->kind == PART_TEXT && part->text.n == 0)    /* some hosts reject empty messages */
        return;
    if (!call && !thought && !is_kept(p, part))
        return;

    struct turn *t = turn_for(p, TURN_ASSISTANT, m, false);
    struct turn_block *b = add_block(p, &t->blocks, part);

    if (!thought)
        t->solid = t->blocks.tail;
    if (call) {
        b->turn = t;
        t->calls = true;
        b->name = turn_name(&p->rules->names, p->r, p->drops, part->name);
        p->plan->calls = true;
        p->pairs = true;
        if (!p->rules->paired)
            b->id = turn_fit_id(&p->rules->ids, p->a, part->id);
    }
}

static void
add_to_system(struct planner *p, const struct llm_message *m, const struct llm_part *part)
{
    if (part->kind != PART_TEXT)
        wire_drop(p->drops, S("system.media"));
    else if (is_kept(p, part))
        add_block(p,
            m == NULL || p->rules->system_first ? &p->plan->system
                                                : &turn_for(p, TURN_SYSTEM, m, false)->blocks,
            part);
}

static void
add_message(struct planner *p, const struct llm_message *m)
{
    if (m->name.n > 0)
        wire_drop(p->drops, S("messages.name"));
    for (const struct llm_part *part = m->parts; part != NULL; part = part->next) {
        switch (m->role) {
        case ROLE_SYSTEM:
        case ROLE_DEVELOPER:
            add_to_system(p, m, part);
            break;
        case ROLE_USER:
        case ROLE_TOOL:
            add_to_user(p, m, part);
            break;
        case ROLE_ASSISTANT:
            add_to_assistant(p, m, part);
            break;
        }
    }
}

/* --- calls and results --- */

static void
open_call(struct planner *p, struct turn_block *call)
{
    struct turn_block *first = map_get(p->open, call->part->id);

    call->id = unique_id(p, call);
    call->same_id_last = call;
    if (first != NULL && first->turn == call->turn) {
        first->same_id_last->same_id = call;
        first->same_id_last = call;
    } else {
        (void)map_put(p->open, call->part->id, call);
    }
}

/* Removes and returns the first unanswered call of `turn` with that id; NULL if there is none. */
static struct turn_block *
take_call(struct planner *p, const struct turn *turn, struct str id)
{
    struct turn_block *call = map_get(p->open, id);

    if (call == NULL || call->turn != turn)
        return NULL;
    if (call->same_id != NULL) {
        call->same_id->same_id_last = call->same_id_last;
        (void)map_put(p->open, id, call->same_id);
    } else {
        (void)map_remove(p->open, id);
    }
    return call;
}

/* Matches the results of a user's turn with the calls of the preceding turn. The content of a
 * result without a call becomes blocks of the turn, before the others. */
static void
match_results(struct planner *p, struct turn *user)
{
    struct turn_block *next = NULL;
    struct turn_list orphans;

    list_init(&orphans);
    for (struct turn_block *b = user->results.first; b != NULL; b = next) {
        struct turn_block *call = take_call(p, user->prev, b->part->id);

        next = b->next;
        b->next = NULL;
        if (call != NULL) {
            b->call = call;
            b->id = call->id;
            call->result = b;
            continue;
        }
        p->plan->marks -= count_marks(b->part);
        add_block(p, &orphans, &orphan_title);
        for (const struct llm_part *in = b->part->result; in != NULL; in = in->next)
            if (media_is(in->kind) || is_kept(p, in))
                add_block(p, &orphans, in);
    }
    list_prepend(&user->blocks, &orphans);
    list_init(&user->results);
}

/* Puts the results of a turn's calls, in the order of the calls, at the start of the next turn. */
static void
answer_calls(struct planner *p, const struct turn *assistant, struct turn *user)
{
    for (struct turn_block *b = assistant->blocks.first; b != NULL; b = b->next) {
        if (b->turn == NULL)
            continue;
        if (b->result != NULL) {
            *user->results.tail = b->result;
            user->results.tail = &b->result->next;
            continue;
        }
        b->result = add_block(p, &user->results, NULL);
        b->result->call = b;
        b->result->id = b->id;
    }
}

static void
pair_calls_with_results(struct planner *p)
{
    for (struct turn *t = p->plan->first; t != NULL; t = t->next) {
        if (t->side == TURN_USER) {
            match_results(p, t);
            if (t->prev != NULL)
                answer_calls(p, t->prev, t);
            continue;
        }
        for (struct turn_block *b = t->blocks.first; b != NULL; b = b->next)
            if (b->turn != NULL)
                open_call(p, b);
        if (t->calls && (t->next == NULL || t->next->side != TURN_USER))
            (void)add_turn(p, t, TURN_USER, NULL);
    }
}

/* Decides what a result says. */
static void
set_content(const struct planner *p, struct turn_block *result)
{
    const struct llm_part *part = result->part;
    bool media = false;
    bool says = false;

    result->content = part != NULL ? part->result : &no_result;
    for (const struct llm_part *in = result->content; in != NULL; in = in->next) {
        media = media || media_is(in->kind);
        says =
            says || (in->kind == PART_TEXT && in->text.n > 0) || (media && !p->rules->results_text);
    }
    if (!says && media)
        result->content = &media_follow;
    else if (!says && part != NULL && part->is_error && !p->rules->fails)
        result->content = &failed;
}

/* The media of a turn's results become what the user says first after them. */
static void
move_media(struct planner *p, struct turn *t)
{
    bool silent = t->blocks.first == NULL && t->next != NULL && t->next->side == TURN_USER &&
                  t->next->results.first == NULL;
    struct turn_list media;

    list_init(&media);
    for (const struct turn_block *b = t->results.first; b != NULL; b = b->next)
        for (const struct llm_part *in = b->part != NULL ? b->part->result : NULL; in != NULL;
             in = in->next)
            if (media_is(in->kind))
                add_block(p, &media, in);
    list_prepend(silent ? &t->next->blocks : &t->blocks, &media);
}

static void
settle_results(struct planner *p)
{
    for (struct turn *t = p->plan->first; t != NULL; t = t->next) {
        for (struct turn_block *b = t->results.first; b != NULL; b = b->next)
            set_content(p, b);
        if (p->rules->results_text)
            move_media(p, t);
    }
}

/* With reasoning enabled, the API requires the turn that began a tool loop to start with it. */
static bool
ends_in_unsigned_loop(const struct turns *plan)
{
    const struct turn *user = plan->last;
    const struct turn *began = NULL;

    while (user != NULL && user->side == TURN_USER && user->results.first != NULL) {
        began = user->prev;
        user = began->prev;
    }
    return began != NULL && began->blocks.first->part->kind != PART_REASONING;
}

bool
turn_is_string(const struct turn_rules *rules, const struct turn *t)
{
    unsigned texts = 0;
    bool others = false;

    for (const struct turn_block *b = t->blocks.first; b != NULL; b = b->next) {
        bool text = b->part->kind == PART_TEXT || b->part->kind == PART_REFUSAL;

        texts += text;
        others =
            others || (!text && b->part->kind != PART_TOOL_CALL && b->part->kind != PART_REASONING);
    }
    return !others && (texts <= 1 || rules->text_strings);
}

/* Whether the caller marks what is to be cached, in the conversation or its tools. */
static bool
is_marked(const struct llm_request *r, const struct turns *plan)
{
    bool marked = plan->marks > 0;

    for (const struct llm_tool *tool = r->tools; tool != NULL && !marked; tool = tool->next)
        marked = tool->cache_mark != MARK_NONE;
    return marked;
}

void
turns_plan(const struct llm_request *r, const struct turn_rules *rules, struct wire_drops *drops,
    struct turns *ret)
{
    struct planner p = { .rules = rules, .r = r, .plan = ret, .a = r->arena, .drops = drops };

    *ret = (struct turns){ .first = NULL };
    list_init(&ret->system);
    for (const struct llm_part *part = r->system; part != NULL; part = part->next)
        add_to_system(&p, NULL, part);
    for (const struct llm_message *m = r->messages; m != NULL; m = m->next)
        add_message(&p, m);
    finish_turn(&p);

    if (p.pairs && rules->paired) {
        p.open = map_create();
        p.ids = map_create();
        pair_calls_with_results(&p);
        map_destroy(p.open);
        map_destroy(p.ids);
        ret->unsigned_loop = ends_in_unsigned_loop(ret);
    }
    if (p.pairs)
        settle_results(&p);
    if (rules->no_prefill && ret->last != NULL && ret->last->side == TURN_ASSISTANT) {
        struct turn *t = add_turn(&p, ret->last, TURN_USER, NULL);

        (void)add_block(&p, &t->blocks, &go_on);
    }
    if (!rules->marks && is_marked(r, ret))
        wire_drop(drops, S("cache_control"));
}

/* plan.c - a conversation in the order that the Messages API wants.
 *
 * Other protocols are less strict: tool results are messages of their own, system text may be
 * anywhere, a history may have been truncated between a call and its result. Here turns alternate,
 * every call is answered at the start of the next turn, and nothing is empty. The plan refers to
 * the caller's parts and copies nothing.
 */
#include "base/map.h"
#include "wires/anthropic/anthropic.h"

struct planner {
    struct plan *plan;
    struct arena *a;
    struct wire_drops *drops;
    struct map *open;    /* a call's id as the caller wrote it -> first unanswered call */
    struct map *ids;     /* ids given out */
    unsigned repeats;
    bool pairs;    /* there are calls or results to be matched */
};

static void
list_init(struct block_list *list)
{
    *list = (struct block_list){ .tail = &list->first };
}

static void
list_add(struct block_list *list, struct block *b)
{
    b->next = NULL;
    *list->tail = b;
    list->tail = &b->next;
}

static bool
is_blank(struct str text)
{
    return str_trim(text).n == 0;
}

static struct block *
new_block(struct planner *p, enum block_kind kind, const struct llm_part *part)
{
    struct block *b = arena_new(p->a, struct block);

    b->kind = kind;
    b->part = part;
    if (part != NULL && part->cache_mark != MARK_NONE)
        p->plan->marks++;
    return b;
}

/* --- turns --- */

/* Ends an assistant's turn. It must not end in thinking, so trailing thinking is removed, and so is
 * the turn if nothing else was in it. */
static void
finish_turn(struct plan *plan)
{
    struct turn *t = plan->last;

    if (t == NULL || !t->assistant)
        return;
    *t->solid = NULL;
    t->blocks.tail = t->solid;
    if (t->blocks.first != NULL)
        return;
    plan->last = t->prev;
    if (t->prev != NULL)
        t->prev->next = NULL;
    else
        plan->first = NULL;
}

static struct turn *
add_turn(struct planner *p, bool assistant)
{
    struct plan *plan = p->plan;
    struct turn *t = arena_new(p->a, struct turn);

    t->assistant = assistant;
    list_init(&t->results);
    list_init(&t->blocks);
    t->solid = &t->blocks.first;
    t->prev = plan->last;
    if (plan->last != NULL)
        plan->last->next = t;
    else
        plan->first = t;
    plan->last = t;
    return t;
}

/* The turn that a block of this side belongs to: consecutive messages of one side are one turn. */
static struct turn *
turn_for(struct planner *p, bool assistant)
{
    if (p->plan->last != NULL && p->plan->last->assistant != assistant)
        finish_turn(p->plan);
    if (p->plan->last != NULL && p->plan->last->assistant == assistant)
        return p->plan->last;
    return add_turn(p, assistant);
}

static void
add_to_user(struct planner *p, const struct llm_part *part)
{
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        if (!is_blank(part->text))    /* the API rejects blank text */
            list_add(&turn_for(p, false)->blocks, new_block(p, BLOCK_PART, part));
        break;
    case PART_IMAGE:
    case PART_AUDIO:
    case PART_VIDEO:
    case PART_FILE:
        list_add(&turn_for(p, false)->blocks, new_block(p, BLOCK_PART, part));
        break;
    case PART_TOOL_RESULT:
        list_add(&turn_for(p, false)->results, new_block(p, BLOCK_PART, part));
        p->pairs = true;
        break;
    case PART_OPAQUE:
        if (part->origin == &wire_anthropic)
            list_add(&turn_for(p, false)->blocks, new_block(p, BLOCK_PART, part));
        break;
    case PART_TOOL_CALL:
    case PART_REASONING:    /* users cannot send these */
        break;
    }
}

static void
add_to_assistant(struct planner *p, const struct llm_part *part)
{
    bool ours = part->origin == &wire_anthropic;
    bool keep = false;

    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        keep = !is_blank(part->text);
        break;
    case PART_TOOL_CALL:
        keep = true;
        break;
    case PART_REASONING:    /* of use only to the provider that signed it */
        keep = ours && (part->signature.n > 0 || part->redacted.n > 0);
        break;
    case PART_OPAQUE:
        keep = ours;
        break;
    case PART_IMAGE:
    case PART_AUDIO:
    case PART_VIDEO:
    case PART_FILE:
        wire_drop(p->drops, S("assistant.media"));
        break;
    case PART_TOOL_RESULT:
        break;
    }
    if (!keep)
        return;

    struct turn *t = turn_for(p, true);
    struct block *b = new_block(p, BLOCK_PART, part);

    list_add(&t->blocks, b);
    if (part->kind != PART_REASONING)
        t->solid = t->blocks.tail;
    if (part->kind == PART_TOOL_CALL) {
        b->turn = t;
        p->plan->has_tools = true;
        p->pairs = true;
    }
}

/* The API has one place for system text; the system role of the newest models is still in beta. */
static void
add_to_system(struct planner *p, const struct llm_part *part)
{
    if (part->kind != PART_TEXT)
        wire_drop(p->drops, S("system.media"));
    else if (!is_blank(part->text))
        list_add(&p->plan->system, new_block(p, BLOCK_PART, part));
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
            add_to_system(p, part);
            break;
        case ROLE_USER:
        case ROLE_TOOL:
            add_to_user(p, part);
            break;
        case ROLE_ASSISTANT:
            add_to_assistant(p, part);
            break;
        }
    }
}

/* --- calls and results --- */

/* An id that the API accepts and that no earlier call has: some models restart their numbering in
 * every turn. Deterministic for a conversation. */
static struct str
unique_id(struct planner *p, struct block *call)
{
    struct str id = wire_safe_id(p->a, call->part->id, S("toolu_"));

    if (map_get(p->ids, id) != NULL) {
        struct str again = arena_printf(p->a, STR_FMT "#%u", STR_ARG(id), ++p->repeats);

        id = wire_hash_id(p->a, again, S("toolu_"));
    }
    (void)map_put(p->ids, id, call);
    return id;
}

static void
open_call(struct planner *p, struct block *call)
{
    struct block *first = map_get(p->open, call->part->id);

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
static struct block *
take_call(struct planner *p, const struct turn *turn, struct str id)
{
    struct block *call = map_get(p->open, id);

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

/* Matches the results of a user's turn with the calls of the preceding turn. A result without a
 * call becomes text: its content may still matter, and the API would reject it as a result. */
static void
match_results(struct planner *p, struct turn *user)
{
    struct block *next = NULL;
    struct block_list rest = user->blocks;

    if (rest.first == NULL)
        rest.tail = &rest.first;
    list_init(&user->blocks);
    for (struct block *b = user->results.first; b != NULL; b = next) {
        struct block *call = take_call(p, user->prev, b->part->id);

        next = b->next;
        if (call != NULL) {
            b->call = call;
            call->result = b;
        } else {
            b->kind = BLOCK_ORPHAN;
            list_add(&user->blocks, b);
        }
    }
    if (rest.first != NULL) {
        *user->blocks.tail = rest.first;
        user->blocks.tail = rest.tail;
    }
    list_init(&user->results);
}

/* Puts the results of a turn's calls, in the order of the calls, at the start of the next turn. */
static void
answer_calls(struct planner *p, const struct turn *assistant, struct turn *user)
{
    for (struct block *b = assistant->blocks.first; b != NULL; b = b->next) {
        if (b->turn == NULL)
            continue;
        if (b->result == NULL) {
            b->result = new_block(p, BLOCK_MISSING, NULL);
            b->result->call = b;
        }
        list_add(&user->results, b->result);
    }
}

static bool
has_calls(const struct turn *t)
{
    for (const struct block *b = t->blocks.first; b != NULL; b = b->next)
        if (b->turn != NULL)
            return true;
    return false;
}

static void
pair_calls_with_results(struct planner *p)
{
    for (struct turn *t = p->plan->first; t != NULL; t = t->next) {
        if (t->assistant) {
            for (struct block *b = t->blocks.first; b != NULL; b = b->next)
                if (b->turn != NULL)
                    open_call(p, b);
            if (t->next == NULL && has_calls(t))
                (void)add_turn(p, false);
            continue;
        }
        match_results(p, t);
        if (t->prev != NULL)
            answer_calls(p, t->prev, t);
    }
}

/* With thinking enabled, the API requires the turn that began a tool loop to start with thinking.
 */
static bool
ends_in_unsigned_loop(const struct plan *plan)
{
    const struct turn *user = plan->last;
    const struct turn *began = NULL;

    while (user != NULL && !user->assistant && user->results.first != NULL) {
        began = user->prev;
        user = began->prev;
    }
    return began != NULL && began->blocks.first->part->kind != PART_REASONING;
}

void
anthropic_plan(const struct llm_request *r, struct wire_drops *drops, struct plan *ret)
{
    struct planner p = { .plan = ret, .a = r->arena, .drops = drops };

    *ret = (struct plan){ 0 };
    list_init(&ret->system);
    for (const struct llm_part *part = r->system; part != NULL; part = part->next)
        add_to_system(&p, part);
    for (const struct llm_message *m = r->messages; m != NULL; m = m->next)
        add_message(&p, m);
    finish_turn(ret);

    if (!p.pairs)
        return;
    p.open = map_create();
    p.ids = map_create();
    pair_calls_with_results(&p);
    map_destroy(p.open);
    map_destroy(p.ids);
    ret->unsigned_loop = ends_in_unsigned_loop(ret);
}

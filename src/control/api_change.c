/* api_change.c - makes, changes and deletes resources. */
#include <stdio.h>

#include "base/clock.h"
#include "control/api_call.h"

/* 16 letters and digits, each as probable as any other. */
static struct str
new_id(struct api_call *c)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    enum { TAIL = 16, BASE = 62 };
    char tail[TAIL];
    uint8_t byte;

    for (size_t n = 0; n < TAIL;) {
        clock_random_bytes(&byte, 1);
        if (byte < 256 / BASE * BASE)
            tail[n++] = digits[byte % BASE];
    }
    return arena_printf(
        c->arena, STR_FMT "%.*s", STR_ARG(resource_kind(c->kind)->prefix), TAIL, tail);
}

/* The document of the body; NULL after answering. */
static const struct json *
read_body(struct api_call *c)
{
    struct json_error why = { 0 };
    const struct json *doc = json_parse(c->arena, c->q->body, NULL, &why);

    if (doc == NULL)
        (void)call_fail(c, 400, "not-json", "the body cannot be parsed as JSON: %s at byte %zu",
            why.what, why.offset);
    return doc;
}

/* --- who may --- */

static bool
rank_allows(struct api_call *c, struct api_row *row)
{
    enum role role = role_named(api_row_text(row, S("role")));

    if (!role_is_above(role, c->q->actor.role))
        return true;
    return call_fail(c, 403, "forbidden",
        "the role " STR_FMT " may not deal with what has the role " STR_FMT ", which is above it",
        STR_ARG(role_name(c->q->actor.role)), STR_ARG(role_name(role)));
}

/* A key for the admin API that is another user's reaches what is that user's, also in other teams: who reaches
 * one team may take such keys away, but not get them. */
bool
call_is_not_another(struct api_call *c, struct api_row *row)
{
    struct str user = api_row_text(row, S("user"));

    if (c->kind != RESOURCE_keys || c->reach != REACH_TEAM || user.n == 0 ||
        str_eq(user, c->q->actor.user) || !str_eq(api_row_text(row, S("kind")), S("admin")))
        return true;
    return call_fail(c, 403, "forbidden",
        "the role " STR_FMT " may not make or change another user's key for the admin API",
        STR_ARG(role_name(c->q->actor.role)));
}

/* Is what it has become still within reach, and is the role that it has? */
static bool
may_write(struct api_call *c)
{
    if (!reach_has(c, c->after))
        return call_fail(c, 403, "forbidden", "the role " STR_FMT " may " STR_FMT " only %s",
            STR_ARG(role_name(c->q->actor.role)), STR_ARG(verb_name(c->verb)),
            c->reach == REACH_TEAM ? "what is in its own team" : "what is its own");
    return rank_allows(c, c->after) && call_is_not_another(c, c->after);
}

/* --- what must be the only one --- */

struct rival {
    struct arena *arena;
    struct str own, other;
};

static void
on_rival(void *ctx, const struct resource_row *row)
{
    struct rival *r = ctx;

    if (!str_eq(row->id, r->own))
        r->other = arena_str(r->arena, row->id);
}

static bool
is_unique(struct api_call *c)
{
    const struct resource_kind_row *k = resource_kind(c->kind);

    for (unsigned i = 0; i < resource_field_count(c->kind); i++) {
        enum resource_field field = (enum resource_field)(k->first + i);
        const struct resource_field_row *f = resource_field(field);
        struct rival r = { .arena = c->arena, .own = c->after->row.id };

        if ((f->flags & RESOURCE_UNIQUE) == 0 || !c->after->values[i].set)
            continue;
        if (!call_stored(
                c, resource_find(c->store, field, c->after->values[i].text, 2, on_rival, &r)))
            return false;
        if (r.other.n != 0 && (f->flags & RESOURCE_HIDDEN) != 0)
            return call_fail(c, 409, "conflict", "this key is in use already; choose another");
        if (r.other.n != 0)
            return call_fail(c, 409, "conflict",
                "the " STR_FMT " '" STR_FMT "' is that of " STR_FMT " already", STR_ARG(f->name),
                STR_ARG(c->after->values[i].text), STR_ARG(r.other));
    }
    return true;
}

/* --- changes --- */

bool
call_write(struct api_call *c)
{
    struct resource_row *row = &c->after->row;

    row->revision = c->revision;
    row->updated_ms = c->now_ms;
    if (c->before == NULL)
        row->serial = c->revision;
    return is_unique(c) && call_stored(c, c->before == NULL ? resource_insert(c->store, row)
                                                            : resource_update(c->store, row));
}

static void
take_draft(struct api_call *c, const struct resource_draft *d)
{
    memcpy(c->after->values, d->values, sizeof(c->after->values));
}

/* What a single member does not tell. False after answering. */
static bool
check_whole(struct api_call *c, struct resource_draft *d)
{
    static const enum resource_field counts[] = { FIELD_limits_rpm, FIELD_limits_rph,
        FIELD_limits_rpd, FIELD_limits_tpm, FIELD_limits_tph, FIELD_limits_tpd,
        FIELD_limits_concurrent, FIELD_limits_streams };
    bool says = c->kind != RESOURCE_limits;

    for (size_t i = 0; !says && i < ARRAY_LEN(counts); i++)
        says = draft_value(d, counts[i])->set;
    if (!says)
        faults_add(&c->faults, S(""),
            "a limit needs at least one of rpm, rph, rpd, tpm, tph, tpd, concurrent and streams");
    if (c->kind == RESOURCE_budgets && !draft_value(d, FIELD_budgets_alias)->set &&
        str_eq(draft_value(d, FIELD_budgets_when_used_up)->text, S("alias")))
        faults_add(&c->faults, S("/alias"), "is required when when_used_up is alias");
    return c->faults.count == 0 || call_fail_faults(c);
}

bool
call_create(struct api_call *c)
{
    struct resource_draft *d = arena_new(c->arena, struct resource_draft);
    const struct json *doc = read_body(c);

    if (doc == NULL)
        return false;
    d->kind = c->kind;
    resource_read(d, doc, true, &c->faults);
    if (c->faults.count != 0)
        return call_fail_faults(c);
    if (!check_whole(c, d) || !reach_resolve(c, d) ||
        (c->kind == RESOURCE_keys && !key_complete(c, d)))
        return false;
    c->after = arena_new(c->arena, struct api_row);
    c->after->row = (struct resource_row){
        .kind = c->kind, .id = new_id(c), .created_ms = c->now_ms, .values = c->after->values
    };
    take_draft(c, d);
    if (!may_write(c) || !call_write(c))
        return false;
    call_answer_row(c, 201, c->after);
    c->ret->location = arena_printf(c->arena, "/admin/v1/" STR_FMT "/" STR_FMT,
        STR_ARG(resource_kind(c->kind)->path), STR_ARG(c->after->row.id));
    return true;
}

/* Does If-Match, a list of entity tags or '*', name the revision? */
static bool
is_match(struct str list, int64_t revision)
{
    char tag[32];
    struct str one;
    int n = snprintf(tag, sizeof(tag), "\"%lld\"", (long long)revision);

    while (list.n != 0) {
        (void)str_cut(list, ',', &one, &list);
        one = str_trim(one);
        if (str_eq(one, S("*")) || str_eq(one, str_make(tag, (size_t)n)))
            return true;
    }
    return false;
}

bool
call_find_before(struct api_call *c)
{
    if (!call_find(c, &c->before) || !rank_allows(c, c->before))
        return false;
    if (c->q->if_match.n == 0 || is_match(c->q->if_match, c->before->row.revision))
        return true;
    return call_fail(c, 412, "stale",
        "the " STR_FMT " has changed since: its ETag is \"%lld\" now; read it again",
        STR_ARG(resource_kind(c->kind)->one), (long long)c->before->row.revision);
}

bool
call_patch(struct api_call *c)
{
    struct resource_draft *d = arena_new(c->arena, struct resource_draft);
    const struct json *doc = read_body(c);

    if (doc == NULL || !call_find_before(c))
        return false;
    d->kind = c->kind;
    memcpy(d->values, c->before->values, sizeof(d->values));
    resource_read(d, doc, false, &c->faults);
    if (c->faults.count != 0)
        return call_fail_faults(c);
    if (!check_whole(c, d) || !reach_resolve(c, d))
        return false;
    c->after = api_row_copy(c->arena, &c->before->row);
    take_draft(c, d);
    if (!may_write(c) || !call_write(c))
        return false;
    call_answer_row(c, 200, c->after);
    return true;
}

static void
on_dependent(void *ctx, const struct resource_row *row)
{
    struct rival *r = ctx;

    r->other = arena_str(r->arena, row->id);
}

/* Nothing may refer to what is deleted. */
static bool
is_free(struct api_call *c)
{
    struct rival r = { .arena = c->arena };

    for (unsigned i = 0; i < RESOURCE_FIELDS; i++) {
        const struct resource_field_row *f = resource_field((enum resource_field)i);

        if (f->type != RESOURCE_REF || f->refers != c->kind)
            continue;
        if (!call_stored(c, resource_find(c->store, (enum resource_field)i, c->before->row.id, 1,
                                on_dependent, &r)))
            return false;
        if (r.other.n != 0)
            return call_fail(c, 409, "in-use",
                "the " STR_FMT " still has " STR_FMT ", " STR_FMT
                " for one; delete or move them first (or set disabled: true)",
                STR_ARG(resource_kind(c->kind)->one), STR_ARG(resource_kind(f->kind)->path),
                STR_ARG(r.other));
    }
    return true;
}

bool
call_delete(struct api_call *c)
{
    if (!call_find_before(c) || !is_free(c))
        return false;
    struct api_row *gone = api_row_copy(c->arena, &c->before->row);

    gone->row.revision = c->revision;
    gone->row.updated_ms = c->now_ms;
    if (!call_stored(c, resource_delete(c->store, &gone->row)))
        return false;
    c->ret->status = 204;
    return true;
}

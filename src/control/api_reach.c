/* api_reach.c - what is whose: what a role's permission reaches, and whether what a resource refers to
 * is within that, and fits together. */
#include "control/api_call.h"

static struct str
team_scope(const struct api_call *c)
{
    return arena_printf(c->arena, "team:" STR_FMT, STR_ARG(c->q->actor.team));
}

static bool
is_own(struct str own, struct str other)
{
    return own.n != 0 && str_eq(own, other);
}

static bool
is_in_team(const struct api_call *c, struct api_row *row)
{
    const struct actor *actor = &c->q->actor;

    if (actor->team.n == 0)
        return false;
    if (row->row.kind == RESOURCE_teams)
        return str_eq(row->row.id, actor->team);
    if (row->row.kind == RESOURCE_limits || row->row.kind == RESOURCE_budgets)
        return str_eq(api_row_text(row, S("for")), team_scope(c));
    return str_eq(api_row_text(row, S("team")), actor->team);
}

static bool
is_of_actor(const struct api_call *c, struct api_row *row)
{
    const struct actor *actor = &c->q->actor;

    return is_own(actor->user, row->row.id) || is_own(actor->service_account, row->row.id) ||
           is_own(actor->id, row->row.id) || is_own(actor->user, api_row_text(row, S("user"))) ||
           is_own(actor->service_account, api_row_text(row, S("service_account")));
}

bool
reach_has(const struct api_call *c, struct api_row *row)
{
    switch (c->reach) {
    case REACH_ALL:
        return true;
    case REACH_TEAM:
        return is_in_team(c, row);
    case REACH_SELF:
        return is_of_actor(c, row);
    case REACH_NONE:
        return false;
    }
    return false;
}

/* Wants that value of a field. False: another one is wanted already. */
static bool
want(const struct api_call *c, struct resource_value *values, struct str field, struct str text)
{
    const struct resource_field_row *f = resource_field_named(c->kind, field);
    struct resource_value *v = &values[f - resource_field(resource_kind(c->kind)->first)];

    if (text.n == 0 || (v->set && !str_eq(v->text, text)))
        return false;
    *v = (struct resource_value){ .set = true, .text = text };
    return true;
}

bool
reach_narrow(const struct api_call *c, struct resource_query *q, struct resource_value *values)
{
    const struct actor *actor = &c->q->actor;
    bool of_keys = c->kind == RESOURCE_keys;

    if (c->reach == REACH_ALL)
        return true;
    if (c->reach == REACH_TEAM && c->kind == RESOURCE_teams)
        q->id = actor->team;
    else if (c->reach == REACH_TEAM && (c->kind == RESOURCE_limits || c->kind == RESOURCE_budgets))
        return actor->team.n != 0 && want(c, values, S("for"), team_scope(c));
    else if (c->reach == REACH_TEAM)
        return want(c, values, S("team"), actor->team);
    else if (of_keys && actor->user.n != 0)
        return want(c, values, S("user"), actor->user);
    else if (of_keys && actor->service_account.n != 0)
        return want(c, values, S("service_account"), actor->service_account);
    else if (of_keys)
        q->id = actor->id;
    else
        q->id = c->kind == RESOURCE_users ? actor->user : actor->service_account;
    return q->id.n != 0;
}

/* --- references --- */

struct membership {
    struct str team;
    bool found;
};

static void
on_membership(void *ctx, const struct resource_row *row)
{
    struct membership *m = ctx;

    m->found = m->found || str_eq(resource_text(row, FIELD_memberships_team), m->team);
}

/* Is the user in the actor's team, as the user's own or by a membership? False also after answering. */
static bool
is_team_mate(struct api_call *c, struct api_row *user)
{
    struct membership m = { .team = c->q->actor.team };

    if (is_in_team(c, user))
        return true;
    if (m.team.n == 0)
        return false;
    if (!call_stored(c,
            resource_find(c->store, FIELD_memberships_user, user->row.id, 1000, on_membership, &m)))
        return false;
    return m.found;
}

/* May the actor refer to this? */
static bool
may_refer(struct api_call *c, struct api_row *row)
{
    const struct actor *actor = &c->q->actor;

    if (c->reach == REACH_ALL)
        return true;
    if (row->row.kind == RESOURCE_organisations)
        return false;
    if (row->row.kind == RESOURCE_users)
        return c->reach == REACH_SELF ? is_own(actor->user, row->row.id) : is_team_mate(c, row);
    if (row->row.kind == RESOURCE_service_accounts && c->reach == REACH_SELF)
        return is_own(actor->service_account, row->row.id);
    return is_in_team(c, row);
}

/* Names become ids. `rows` gets what is referred to, by field. */
static bool
resolve_names(struct api_call *c, struct resource_draft *d, struct api_row **rows)
{
    const struct resource_kind_row *k = resource_kind(d->kind);

    for (unsigned i = 0; i < resource_field_count(d->kind); i++) {
        const struct resource_field_row *f = resource_field((enum resource_field)(k->first + i));
        struct str at = fault_pointer(c->arena, S(""), f->name);

        if (f->type != RESOURCE_REF || !d->values[i].set)
            continue;
        if (!call_look(c, f->refers, d->values[i].text, &rows[i]))
            return false;
        if (rows[i] != NULL && d->said[i] && !may_refer(c, rows[i]))
            rows[i] = NULL;
        if (rows[i] != NULL)
            d->values[i].text = rows[i]->row.id;
        else if (d->said[i])
            faults_add(&c->faults, at, "there is no " STR_FMT " '" STR_FMT "'%s",
                STR_ARG(resource_kind(f->refers)->one), STR_ARG(d->values[i].text),
                c->reach == REACH_ALL ? "; make it first" : " within your reach");
    }
    return true;
}

static unsigned
index_of(enum resource_kind kind, struct str name)
{
    const struct resource_field_row *f = resource_field_named(kind, name);

    return f != NULL ? (unsigned)(f - resource_field(resource_kind(kind)->first))
                     : RESOURCE_FIELDS_MOST;
}

/* What is part of something is in the same team, or organisation, as that: takes it from there, or checks
 * it. */
static void
inherit(struct api_call *c, struct resource_draft *d, struct api_row **rows, struct str from,
    struct str what)
{
    unsigned i = index_of(d->kind, from), j = index_of(d->kind, what);

    if (i == RESOURCE_FIELDS_MOST || j == RESOURCE_FIELDS_MOST || rows[i] == NULL)
        return;
    struct str theirs = api_row_text(rows[i], what);

    if (theirs.n == 0)
        return;
    if (!d->values[j].set)
        d->values[j] = (struct resource_value){ .set = true, .text = theirs };
    else if (!str_eq(d->values[j].text, theirs) && !str_eq(from, S("user")))
        faults_add(&c->faults, fault_pointer(c->arena, S(""), from),
            "is part of another " STR_FMT " than the one that is said", STR_ARG(what));
}

/* What a lesser role makes is in its team, or its own, unless it says so. */
static void
set_own(struct api_call *c, struct resource_draft *d)
{
    const struct actor *actor = &c->q->actor;
    const struct {
        struct str field, own;
        enum reach least;
    } owns[] = {
        { S_INIT("team"), actor->team, REACH_TEAM },
        { S_INIT("user"), actor->user, REACH_SELF },
        { S_INIT("service_account"), actor->service_account, REACH_SELF },
    };

    for (size_t i = 0; i < ARRAY_LEN(owns); i++) {
        unsigned j = index_of(d->kind, owns[i].field);

        if (j == RESOURCE_FIELDS_MOST || owns[i].own.n == 0 || c->before != NULL ||
            (c->reach == REACH_TEAM && owns[i].least == REACH_SELF))
            continue;
        if (!d->values[j].set && c->reach != REACH_ALL)
            d->values[j] = (struct resource_value){ .set = true, .text = owns[i].own };
    }
}

/* "team:research" is kept by the team's id, so that a new name changes nothing. */
static bool
resolve_scope(struct api_call *c, struct resource_draft *d)
{
    static const struct {
        struct str word;
        enum resource_kind kind;
    } kinds[] = {
        { S_INIT("key"), RESOURCE_keys },
        { S_INIT("user"), RESOURCE_users },
        { S_INIT("team"), RESOURCE_teams },
        { S_INIT("project"), RESOURCE_projects },
        { S_INIT("org"), RESOURCE_organisations },
    };
    unsigned j = index_of(d->kind, S("for"));
    struct str word, name;
    struct api_row *row;

    if (j == RESOURCE_FIELDS_MOST || !str_cut(d->values[j].text, ':', &word, &name))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!str_eq(word, kinds[i].word) || str_chr(name, '*') != name.n)
            continue;
        if (!call_look(c, kinds[i].kind, name, &row))
            return false;
        if (row != NULL)    /* else one of the configuration, perhaps */
            d->values[j].text =
                arena_printf(c->arena, STR_FMT ":" STR_FMT, STR_ARG(word), STR_ARG(row->row.id));
    }
    return true;
}

/* Limits of its own, which hold instead of those that `key:*` has for all. */
static bool
is_limit(struct str name)
{
    static const struct str limits[] = { S_INIT("rpm"), S_INIT("tpm"), S_INIT("rpd"), S_INIT("tpd"),
        S_INIT("concurrent"), S_INIT("budget") };

    for (size_t i = 0; i < ARRAY_LEN(limits); i++)
        if (str_eq(limits[i], name))
            return true;
    return false;
}

/* What a lesser role may not write: limits, what a key may do beside calling models, whose budgets pay for
 * that, and who must wait for it. And nothing of it leaves the team or organisation, whose limits hold for it. */
static void
check_reserved(struct api_call *c, struct resource_draft *d)
{
    static const struct resource_value none;

    for (unsigned i = 0; i < resource_field_count(d->kind) && c->reach != REACH_ALL; i++) {
        const struct resource_value *was = c->before != NULL ? &c->before->values[i] : &none;
        const struct resource_value *now = &d->values[i];
        enum resource_field f = (enum resource_field)(resource_kind(d->kind)->first + i);
        struct str name = resource_field(f)->name, at = fault_pointer(c->arena, S(""), name);

        if (!d->said[i] ||
            (was->set == now->set && was->number == now->number && str_eq(was->text, now->text)))
            continue;
        if (f == FIELD_keys_routes || f == FIELD_keys_priority || is_limit(name))
            faults_add(&c->faults, at, "may be said by the roles owner and admin only");
        if (was->set && !now->set &&
            (str_eq(name, S("organisation")) ||
                (str_eq(name, S("team")) && c->reach == REACH_SELF)))
            faults_add(&c->faults, at, "may be taken away by the roles owner and admin only");
    }
}

bool
reach_resolve(struct api_call *c, struct resource_draft *d)
{
    struct api_row *rows[RESOURCE_FIELDS_MOST] = { NULL };

    set_own(c, d);
    check_reserved(c, d);
    if (!resolve_names(c, d, rows) || !resolve_scope(c, d))
        return false;
    inherit(c, d, rows, S("project"), S("team"));
    inherit(c, d, rows, S("service_account"), S("team"));
    inherit(c, d, rows, S("user"), S("team"));
    unsigned team = index_of(d->kind, S("team"));
    if (team != RESOURCE_FIELDS_MOST && d->values[team].set && rows[team] == NULL &&
        !call_look(c, RESOURCE_teams, d->values[team].text, &rows[team]))
        return false;
    inherit(c, d, rows, S("team"), S("organisation"));
    return c->faults.count == 0 || call_fail_faults(c);
}

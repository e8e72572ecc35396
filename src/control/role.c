/* role.c - looks up what is granted. */
#include "control/role.h"

static const struct str names[ROLE_COUNT] = {
    [ROLE_none] = S_INIT("none"),
    [ROLE_owner] = S_INIT("owner"),
    [ROLE_admin] = S_INIT("admin"),
    [ROLE_auditor] = S_INIT("auditor"),
    [ROLE_team_admin] = S_INIT("team-admin"),
    [ROLE_developer] = S_INIT("developer"),
    [ROLE_service] = S_INIT("service"),
};

static const struct str subjects[SUBJECT_COUNT] = {
#define KIND(id, path, ...) [RESOURCE_##id] = S_INIT(path),
#include "control/resources.def"
#define SUBJECT(id) [SUBJECT_##id] = S_INIT(#id),
#include "control/roles.def"
};

/* What rows name. */
enum {
#define KIND(id, ...) GRANT_##id = RESOURCE_##id,
#include "control/resources.def"
#define SUBJECT(id) GRANT_##id = SUBJECT_##id,
#include "control/roles.def"
    GRANT_EVERY = SUBJECT_COUNT,
};

static const struct grant {
    enum role role;
    uint32_t subject, verbs;
    enum reach reach;
} grants[] = {
#define READ VERB_READ
#define CREATE VERB_CREATE
#define CHANGE VERB_CHANGE
#define DELETE VERB_DELETE
#define ROTATE VERB_ROTATE
#define REVOKE VERB_REVOKE
#define GRANT(of, subject, verbs, reach) { ROLE_##of, GRANT_##subject, (verbs), REACH_##reach },
#include "control/roles.def"
};

enum reach
role_reach(enum role role, unsigned subject, enum verb verb)
{
    enum reach reach = REACH_NONE;

    for (size_t i = 0; i < ARRAY_LEN(grants); i++) {
        const struct grant *g = &grants[i];

        if (g->role == role && (g->subject == GRANT_EVERY || g->subject == subject) &&
            (g->verbs & verb) != 0)
            reach = MAX(reach, g->reach);
    }
    return reach;
}

enum role
role_named(struct str name)
{
    for (unsigned i = ROLE_none + 1; i < ROLE_COUNT; i++)
        if (str_eq(names[i], name))
            return (enum role)i;
    return ROLE_none;
}

struct str
role_name(enum role role)
{
    CHECK(role < ROLE_COUNT);
    return names[role];
}

struct str
subject_name(unsigned subject)
{
    CHECK(subject < SUBJECT_COUNT);
    return subjects[subject];
}

struct str
verb_name(enum verb verb)
{
    static const struct str verbs[VERB_COUNT] = { S_INIT("read"), S_INIT("create"),
        S_INIT("change"), S_INIT("delete"), S_INIT("rotate"), S_INIT("revoke") };

    return verbs[__builtin_ctz(verb)];
}

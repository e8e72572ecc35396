/* role.h - who may do what with the admin API: the rows of roles.def as data. */
#pragma once

#include "control/resource.h"

/* In falling order of power. */
enum role {
    ROLE_none,    /* may do nothing */
    ROLE_owner,
    ROLE_admin,
    ROLE_auditor,
    ROLE_team_admin,
    ROLE_developer,
    ROLE_service,
    ROLE_COUNT,
};

/* The kinds of resources, and what else has routes. */
enum subject {
    SUBJECT_resources = RESOURCE_KINDS - 1,    /* those before are kinds */
#define SUBJECT(id) SUBJECT_##id,
#include "control/roles.def"
    SUBJECT_COUNT,
};

enum verb {
    VERB_READ = 1 << 0,
    VERB_CREATE = 1 << 1,
    VERB_CHANGE = 1 << 2,
    VERB_DELETE = 1 << 3,
    VERB_ROTATE = 1 << 4,
    VERB_REVOKE = 1 << 5,
};
#define VERB_COUNT 6

enum reach { REACH_NONE, REACH_SELF, REACH_TEAM, REACH_ALL };

/* How far the role's permission goes. */
enum reach role_reach(enum role role, unsigned subject, enum verb verb);

/* "team-admin"; ROLE_none: there is no such role. */
enum role role_named(struct str name);
struct str role_name(enum role role);

/* May a caller of that role deal with what has the other? */
static inline bool
role_is_above(enum role other, enum role own)
{
    return other != ROLE_none && (own == ROLE_none || other < own);
}

/* "keys", "gateway"; "read". */
struct str subject_name(unsigned subject);
struct str verb_name(enum verb verb);

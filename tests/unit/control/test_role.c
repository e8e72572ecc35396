/* test_role.c - what each role may do, cell by cell. */
#include "control/role.c"

#include "tests/test.h"

/* A letter for how far each verb reaches: - none, s self, t team, a all. */
static void
verbs_of(enum role role, unsigned subject, char ret[VERB_COUNT + 1])
{
    for (unsigned v = 0; v < VERB_COUNT; v++)
        ret[v] = "-sta"[role_reach(role, subject, (enum verb)(1u << v))];
    ret[VERB_COUNT] = '\0';
}

TEST(what_no_row_grants_is_refused)
{
    char text[VERB_COUNT + 1];

    for (unsigned s = 0; s < SUBJECT_COUNT; s++) {
        verbs_of(ROLE_none, s, text);
        EXPECT_STR(str_c(text), "------");
        verbs_of(ROLE_owner, s, text);
        EXPECT_STR(str_c(text), "aaaaaa");
        verbs_of(ROLE_auditor, s, text);
        EXPECT_STR(str_c(text), "a-----");
    }
}

TEST(lesser_roles_reach_their_team_or_themselves)
{
    static const struct {
        enum role role;
        unsigned subject;
        const char *verbs;
    } cells[] = {
        { ROLE_team_admin, RESOURCE_organisations, "------" },
        { ROLE_team_admin, RESOURCE_teams, "t-----" },
        { ROLE_team_admin, RESOURCE_keys, "tttttt" },
        { ROLE_team_admin, RESOURCE_users, "t-----" },
        { ROLE_team_admin, RESOURCE_limits, "t-----" },
        { ROLE_team_admin, SUBJECT_gateway, "------" },
        { ROLE_team_admin, SUBJECT_audit, "------" },
        { ROLE_developer, RESOURCE_keys, "ssssss" },
        { ROLE_developer, RESOURCE_users, "s-----" },
        { ROLE_developer, RESOURCE_memberships, "------" },
        { ROLE_developer, SUBJECT_gateway, "------" },
        { ROLE_service, RESOURCE_keys, "s---s-" },
        { ROLE_service, RESOURCE_teams, "------" },
    };
    char text[VERB_COUNT + 1];

    for (size_t i = 0; i < ARRAY_LEN(cells); i++) {
        verbs_of(cells[i].role, cells[i].subject, text);
        EXPECT_STR(str_c(text), cells[i].verbs);
    }
}

TEST(roles_have_an_order_and_names)
{
    EXPECT(role_is_above(ROLE_owner, ROLE_admin));
    EXPECT(!role_is_above(ROLE_admin, ROLE_admin));
    EXPECT(!role_is_above(ROLE_none, ROLE_service));
    EXPECT(role_is_above(ROLE_service, ROLE_none));
    EXPECT_STR(role_name(role_named(S("team-admin"))), "team-admin");
    EXPECT(role_named(S("root")) == ROLE_none && role_named(S("none")) == ROLE_none);
    EXPECT_STR(subject_name(RESOURCE_service_accounts), "service-accounts");
    EXPECT_STR(subject_name(SUBJECT_usage), "usage");
    EXPECT_STR(verb_name(VERB_ROTATE), "rotate");
}

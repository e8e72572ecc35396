/* test_api.c - the admin API of resources on a store in memory: what it makes, shows, changes and
 * refuses. */
#include "control/api.c"

#include "control/api_call.h"
#include "policy/key_form.h"
#include "tests/test.h"
#include "tests/unit/store/postgres_server.h"

static struct store *store;
static struct arena *arena;
static struct resources *watched;
static struct actor actor;
static struct str if_match, idempotency_key;
static struct api_answer last;

static bool in_postgres;

static void
begin(void)
{
    char why[256], url[256] = "sqlite::memory:";

    if (in_postgres)
        postgres_schema(url, sizeof(url));

    arena = arena_create(64 << 20);
    watched = resources_create();
    store = store_open(str_c(url), WHY(why));
    EXPECT(store != NULL && store_connect(store) == STORE_OK && store_migrate(store) == STORE_OK);
    actor = (struct actor){ .role = ROLE_owner, .id = S("local") };
    if_match = idempotency_key = S("");
}

static void
end(void)
{
    store_close(store);
    resources_destroy(watched);
    buf_fini(&last.body);
    arena_destroy(arena);
}

/* A test on SQLite, and on PostgreSQL if there is one. */
#define ON_BOTH(name)                                                                              \
    static void both_##name(void);                                                                 \
    TEST(name)                                                                                     \
    {                                                                                              \
        in_postgres = false;                                                                       \
        both_##name();                                                                             \
    }                                                                                              \
    TEST(name##_in_postgres)                                                                       \
    {                                                                                              \
        NEED_POSTGRES();                                                                           \
        in_postgres = true;                                                                        \
        both_##name();                                                                             \
        in_postgres = false;                                                                       \
    }                                                                                              \
    static void both_##name(void)

/* Asks "METHOD path?query" with a body (may be NULL); the answer's document. */
static const struct json *
ask(const char *line, const char *body)
{
    const struct api api = { .resources = watched,
        .pepper = S("0123456789abcdef0123456789abcdef") };
    struct str method, rest, path, query;

    (void)str_cut(str_c(line), ' ', &method, &rest);
    (void)str_cut(rest, '?', &path, &query);
    const struct api_request q = { .method = method,
        .path = path,
        .query = query,
        .body = str_c(body),
        .if_match = if_match,
        .idempotency_key = idempotency_key,
        .request_id = S("req_1"),
        .actor = actor };
    buf_fini(&last.body);
    api_answer(&api, store, &q, arena, &last);
    return json_parse(arena, arena_str(arena, buf_str(&last.body)), NULL, NULL);
}

static struct str
text_of(const struct json *doc, const char *path)
{
    struct str text = json_str(arena, json_at(doc, path));

    return text.n != 0 ? arena_str(arena, text) : S("");    /* with a NUL */
}

static bool
said(const char *part)
{
    struct str body = buf_str(&last.body);

    return str_find(body, str_c(part)) != body.n;
}

/* Makes one; its id. */
static struct str
make_one(const char *path, const char *body)
{
    const struct json *doc = ask(arena_printf(arena, "POST %s", path).p, body);

    EXPECT_INT(last.status, 201);
    return text_of(doc, "id");
}

static const char *
line(const char *method, const char *kind, struct str id)
{
    return arena_printf(arena, "%s %s/" STR_FMT, method, kind, STR_ARG(id)).p;
}

ON_BOTH(a_team_is_made_read_changed_and_deleted)
{
    begin();
    const struct json *doc = ask("POST teams", "{\"name\":\"research\",\"rpm\":60}");
    EXPECT_INT(last.status, 201);
    struct str id = text_of(doc, "id"), etag = last.etag;
    EXPECT(str_starts(id, S("team_")) && id.n == 21);
    EXPECT(str_ends(last.location, id) && etag.n > 2);

    doc = ask(line("GET", "teams", id), NULL);
    EXPECT(last.status == 200 && str_eq(last.etag, etag));
    EXPECT_STR(text_of(doc, "name"), "research");
    doc = ask("GET teams/research", NULL);
    EXPECT_STR(text_of(doc, "id"), id.p);

    if_match = etag;
    doc = ask(line("PATCH", "teams", id), "{\"rpm\":90,\"description\":\"x\"}");
    EXPECT(last.status == 200 && !str_eq(last.etag, etag));
    EXPECT_INT(json_i64(json_get(doc, S("rpm")), 0), 90);
    (void)ask(line("PATCH", "teams", id), "{\"rpm\":91}");
    EXPECT_INT(last.status, 412);
    EXPECT(said("urn:openclaw:problem:stale"));
    if_match = arena_printf(arena, "\"0\", " STR_FMT, STR_ARG(S("*")));
    (void)ask(line("DELETE", "teams", id), NULL);
    EXPECT(last.status == 204 && buf_len(&last.body) == 0);
    if_match = S("");
    (void)ask(line("GET", "teams", id), NULL);
    EXPECT_INT(last.status, 404);
    (void)make_one("teams", "{\"name\":\"research\"}");    /* the name is free again */
    end();
}

ON_BOTH(mistakes_are_problems_that_teach)
{
    static const struct {
        const char *line, *body;
        int status;
        const char *said;
    } cases[] = {
        { "POST teams", "{\"name\":\"a\",\"rmp\":1}", 422, "did you mean 'rpm'?" },
        { "POST teams", "{\"name\":\"a\",\"name\":\"b\"}", 400, "not-json" },
        { "POST teams", "{", 400, "at byte 1" },
        { "POST teams", "", 400, "not-json" },
        { "POST teams", "{\"name\":\"taken\"}", 409, "is that of team_" },
        { "POST projects", "{\"name\":\"p\",\"team\":\"none\"}", 422, "there is no team 'none'" },
        { "GET teams?limt=3", NULL, 422, "did you mean 'limit'?" },
        { "GET teams?limit=0", NULL, 422, "from 1 to 1000" },
        { "GET teams?cursor=x", NULL, 422, "next_cursor" },
        { "GET teams/nobody", NULL, 404, "there is no team 'nobody'" },
        { "PUT teams/taken", "{}", 405, "supports GET, PATCH, DELETE, not PUT" },
        { "GET keys/x/revoke", NULL, 405, "supports POST" },
        { "POST keys/x/resolve", NULL, 404, "rotate and revoke" },
        { "POST teams/x/rotate", NULL, 404, "has no route" },
        { "GET teams/", NULL, 404, "has no route" },
        { "GET teams/a/b/c", NULL, 404, "has no route" },
        { "GET teams/%zz", NULL, 404, "has no route" },
        { "POST limits", "{\"for\":\"all\"}", 422, "a limit needs at least one of rpm" },
        { "POST budgets", "{\"for\":\"all\",\"amount\":1,\"time_zone\":\"Mars/Base\"}", 422,
            "must be a time zone" },
        { "POST budgets", "{\"for\":\"all\",\"amount\":1,\"when_used_up\":\"alias\"}", 422,
            "/alias" },
        { "PATCH teams/taken", "[1]", 422, "must be a JSON object" },
    };

    begin();
    (void)make_one("teams", "{\"name\":\"taken\"}");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct json *doc = ask(cases[i].line, cases[i].body);

        EXPECT_INT(last.status, cases[i].status);
        EXPECT(said(cases[i].said));
        EXPECT_INT(json_i64(json_get(doc, S("status")), 0), cases[i].status);
        EXPECT(str_starts(text_of(doc, "type"), S("urn:openclaw:problem:")));
        EXPECT(text_of(doc, "title").n != 0 && text_of(doc, "detail").n != 0);
        EXPECT_STR(text_of(doc, "request_id"), "req_1");
    }
    end();
}

ON_BOTH(a_key_is_shown_once_and_kept_as_a_digest)
{
    begin();
    (void)make_one("teams", "{\"name\":\"research\"}");
    const struct json *doc = ask("POST keys", "{\"name\":\"ci\",\"team\":\"research\"}");
    struct str id = text_of(doc, "id"), key = text_of(doc, "key");
    EXPECT(last.status == 201 && key_form_is_ours(key));
    EXPECT(str_ends(text_of(doc, "hint"), str_skip(key, key.n - 4)));
    EXPECT(str_starts(text_of(doc, "team"), S("team_")));
    doc = ask(line("GET", "keys", id), NULL);
    EXPECT(json_get(doc, S("key")) == NULL && !said("digest"));

    doc = ask(
        arena_printf(arena, "POST keys/" STR_FMT "/rotate", STR_ARG(id)).p, "{\"overlap\":\"1h\"}");
    EXPECT(last.status == 200 && !str_eq(text_of(doc, "key"), key));
    EXPECT(text_of(doc, "old_until").n != 0 && text_of(doc, "rotated_at").n != 0);
    (void)ask(arena_printf(arena, "POST keys/" STR_FMT "/rotate", STR_ARG(id)).p, "{\"ovrlap\":1}");
    EXPECT_INT(last.status, 422);
    doc = ask(arena_printf(arena, "POST keys/" STR_FMT "/revoke", STR_ARG(id)).p, NULL);
    EXPECT(last.status == 200 && text_of(doc, "revoked_at").n != 0);
    EXPECT(!json_present(json_get(doc, S("old_until"))));
    (void)ask(arena_printf(arena, "POST keys/" STR_FMT "/rotate", STR_ARG(id)).p, NULL);
    EXPECT_INT(last.status, 409);
    end();
}

ON_BOTH(keys_of_elsewhere_are_taken)
{
    begin();
    const struct json *doc =
        ask("POST keys", "{\"name\":\"own\",\"key\":\"my-own-key-0123456789\"}");
    EXPECT(last.status == 201 && json_get(doc, S("key")) == NULL);
    (void)ask("POST keys", "{\"name\":\"twice\",\"key\":\"my-own-key-0123456789\"}");
    EXPECT(last.status == 409 && said("in use already"));
    /* the SHA-256 of the same key */
    uint8_t hash[32];
    char hex[65];
    digest_sha256(S("my-own-key-0123456789"), hash);
    digest_hex(hash, sizeof(hash), hex);
    (void)ask("POST keys", arena_printf(arena, "{\"name\":\"hash\",\"sha256\":\"%s\"}", hex).p);
    EXPECT_INT(last.status, 409);
    (void)ask("POST keys", "{\"name\":\"short\",\"key\":\"short\"}");
    EXPECT(last.status == 422 && said("/key"));
    (void)ask("POST keys", "{\"name\":\"x\",\"kind\":\"admin\"}");
    EXPECT(last.status == 422 && said("/role"));
    (void)ask("POST keys", "{\"name\":\"x\",\"expires_at\":\"2001-01-01T00:00:00Z\"}");
    EXPECT(last.status == 422 && said("in the future"));
    end();
}

ON_BOTH(pages_neither_repeat_nor_miss_what_was_there)
{
    char body[64];
    unsigned seen = 0;
    struct str cursor = S("");

    begin();
    for (unsigned i = 0; i < 25; i++) {
        (void)snprintf(body, sizeof(body), "{\"name\":\"t%02u\"}", i);
        (void)make_one("teams", body);
    }
    do {
        const struct json *doc = ask(arena_printf(arena, "GET teams?limit=10&cursor=" STR_FMT,
                                         STR_ARG(cursor.n != 0 ? cursor : S("after-0")))
                                         .p,
            NULL);
        struct json_iter it = json_iter(json_get(doc, S("data")));

        EXPECT_INT(last.status, 200);
        while (json_next(&it)) {
            (void)snprintf(body, sizeof(body), "t%02u", seen);
            if (seen < 25)
                EXPECT_STR(text_of(it.value, "name"), body);
            seen++;
        }
        cursor = text_of(doc, "next_cursor");
        EXPECT(json_bool(json_get(doc, S("has_more")), false) == (cursor.n != 0));
        if (seen == 10) {
            (void)make_one("teams", "{\"name\":\"a new one\"}");
            (void)ask("DELETE teams/t03", NULL);
        }
    } while (cursor.n != 0);
    EXPECT_INT(seen, 26);
    end();
}

ON_BOTH(lists_are_narrowed)
{
    begin();
    (void)make_one("teams", "{\"name\":\"a\"}");
    (void)make_one("teams", "{\"name\":\"b\"}");
    (void)make_one("keys", "{\"name\":\"one\",\"team\":\"a\"}");
    (void)make_one("keys", "{\"name\":\"two\",\"team\":\"a\",\"environment\":\"test\"}");
    (void)make_one("keys", "{\"name\":\"two\",\"team\":\"b\",\"environment\":\"test\"}");
    static const struct {
        const char *line;
        unsigned count;
    } cases[] = { { "GET keys?team=a", 2 }, { "GET keys?environment=test", 2 },
        { "GET keys?team=a&environment=test", 1 }, { "GET keys?environment=test&team=b", 1 },
        { "GET keys?team=none", 0 }, { "GET keys?name=two", 2 }, { "GET keys", 3 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        EXPECT_INT(json_count(json_get(ask(cases[i].line, NULL), S("data"))), cases[i].count);
    (void)ask("GET keys/two", NULL);
    EXPECT(last.status == 409 && said("ambiguous"));
    end();
}

ON_BOTH(an_idempotency_key_makes_one)
{
    begin();
    idempotency_key = S("abc");
    struct str id = make_one("keys", "{\"name\":\"ci\"}");
    EXPECT(!last.replayed && said("\"key\":\"oc_"));
    EXPECT_STR(make_one("keys", "{\"name\":\"ci\"}"), id.p);
    EXPECT(last.replayed && !said("\"key\":\"oc_"));
    (void)ask("POST keys", "{\"name\":\"other\"}");
    EXPECT(last.status == 422 && said("idempotency-key-reused"));
    actor.id = S("key_2");    /* another client's keys are its own */
    EXPECT(!str_eq(make_one("keys", "{\"name\":\"ci\"}"), id));
    idempotency_key = S("");
    EXPECT_INT(json_count(json_get(ask("GET keys", NULL), S("data"))), 2);
    /* what failed is not remembered */
    idempotency_key = S("def");
    (void)ask("POST keys", "{\"name\":7}");
    EXPECT_INT(last.status, 422);
    (void)make_one("keys", "{\"name\":\"good\"}");
    end();
}

ON_BOTH(what_is_referred_to_stays_and_fits)
{
    begin();
    struct str org = make_one("organisations", "{\"name\":\"acme\"}");
    (void)make_one("teams", "{\"name\":\"a\",\"organisation\":\"acme\"}");
    (void)make_one("teams", "{\"name\":\"b\"}");
    (void)make_one("projects", "{\"name\":\"p\",\"team\":\"a\"}");
    const struct json *doc = ask("POST keys", "{\"name\":\"k\",\"project\":\"p\"}");
    EXPECT_STR(text_of(doc, "organisation"), org.p);
    EXPECT(text_of(doc, "team").n != 0);
    (void)ask("POST keys", "{\"name\":\"k\",\"project\":\"p\",\"team\":\"b\"}");
    EXPECT(last.status == 422 && said("/project"));
    (void)ask("DELETE teams/a", NULL);
    EXPECT(last.status == 409 && said("in-use") && said("proj_"));
    doc = ask("POST limits", "{\"for\":\"team:b\",\"rpm\":5}");
    EXPECT(str_starts(text_of(doc, "for"), S("team:team_")));
    doc = ask("POST limits", "{\"for\":\"team:of-the-file\",\"rpm\":5}");
    EXPECT_STR(text_of(doc, "for"), "team:of-the-file");
    end();
}

struct told {
    unsigned rows, gone;
};

static void
on_told(void *ctx, const struct resource_row *row)
{
    struct told *told = ctx;

    told->rows++;
    told->gone += row->deleted;
}

ON_BOTH(watchers_know_before_the_answer)
{
    struct told told = { 0 };

    begin();
    resources_watch(watched, (struct resource_watcher){ RESOURCE_teams, on_told, NULL, &told });
    (void)make_one("teams", "{\"name\":\"a\"}");
    EXPECT_INT(told.rows, 1);
    (void)ask("PATCH teams/a", "{\"rpm\":1}");
    EXPECT_INT(told.rows, 2);
    (void)ask("PATCH teams/a", "{\"rpm\":0}");
    (void)ask("GET teams/a", NULL);
    resources_poll(store, watched);
    EXPECT_INT(told.rows, 2);
    (void)ask("DELETE teams/a", NULL);
    EXPECT(told.rows == 3 && told.gone == 1);
    /* what another process did is found by the next poll */
    struct resources *other = watched;
    watched = NULL;
    (void)make_one("teams", "{\"name\":\"b\"}");
    watched = other;
    EXPECT_INT(told.rows, 3);
    resources_poll(store, watched);
    EXPECT_INT(told.rows, 4);
    end();
}

/* --- role x route x team --- */

struct world {
    struct str own_team, other_team, own_user, other_user;
};

/* One resource of that kind in a team, and of a user where it has one. */
static struct str
put(unsigned kind, struct str team, struct str user, unsigned n)
{
    const struct resource_kind_row *k = resource_kind((enum resource_kind)kind);
    struct str body = arena_printf(arena, "{\"name\":\"n%u\"", n);

    if (kind == RESOURCE_limits || kind == RESOURCE_budgets)
        body = arena_printf(arena, "{\"for\":\"team:" STR_FMT "\"%s", STR_ARG(team),
            kind == RESOURCE_budgets ? ",\"amount\":1" : ",\"rpm\":1");
    else if (kind == RESOURCE_memberships)
        body = arena_printf(arena, "{\"user\":\"" STR_FMT "\"", STR_ARG(user));
    if (resource_field_named((enum resource_kind)kind, S("team")) != NULL)
        body =
            arena_printf(arena, STR_FMT ",\"team\":\"" STR_FMT "\"", STR_ARG(body), STR_ARG(team));
    if (kind == RESOURCE_keys)
        body =
            arena_printf(arena, STR_FMT ",\"user\":\"" STR_FMT "\"", STR_ARG(body), STR_ARG(user));
    return make_one(k->path.p, arena_printf(arena, STR_FMT "}", STR_ARG(body)).p);
}

/* What the table says of a resource in the caller's team and its own, only in its team, or elsewhere. */
enum whose { WHOSE_OWN, WHOSE_TEAM, WHOSE_OTHER };

static bool
expected(enum role role, unsigned kind, enum verb verb, enum whose whose)
{
    enum reach reach = role_reach(role, kind, verb);
    bool personal = kind == RESOURCE_keys || kind == RESOURCE_users;

    if (reach == REACH_ALL)
        return true;
    if (kind == RESOURCE_organisations || whose == WHOSE_OTHER)
        return false;
    return reach == REACH_TEAM || (reach == REACH_SELF && personal && whose == WHOSE_OWN);
}

TEST(each_role_reaches_what_the_table_says)
{
    static const char *const methods[] = { "GET", "PATCH", "DELETE" };
    static const enum verb verbs[] = { VERB_READ, VERB_CHANGE, VERB_DELETE };
    unsigned n = 0;

    begin();
    const struct actor owner = actor;
    struct world w = { .own_team = make_one("teams", "{\"name\":\"own\"}"),
        .other_team = make_one("teams", "{\"name\":\"other\"}") };
    w.own_user = make_one("users", "{\"name\":\"me\",\"team\":\"own\"}");
    w.other_user = make_one("users", "{\"name\":\"you\",\"team\":\"other\"}");
    struct str mate = make_one("users", "{\"name\":\"mate\",\"team\":\"own\"}");
    for (unsigned role = ROLE_none; role < ROLE_COUNT; role++)
        for (unsigned kind = 0; kind < RESOURCE_KINDS; kind++)
            for (unsigned whose = WHOSE_OWN; whose <= WHOSE_OTHER; whose++)
                for (unsigned v = 0; v < ARRAY_LEN(verbs); v++) {
                    struct str team = whose == WHOSE_OTHER ? w.other_team : w.own_team;
                    struct str user = whose == WHOSE_OTHER  ? w.other_user
                                      : whose == WHOSE_TEAM ? mate
                                                            : w.own_user;
                    actor = owner;
                    struct str id = kind == RESOURCE_teams && v != 2   ? team
                                    : kind == RESOURCE_users && v != 2 ? user
                                                                       : put(kind, team, user, n++);
                    bool fresh_self = v == 2 && (kind == RESOURCE_users || kind == RESOURCE_teams);
                    actor = (struct actor){ .role = (enum role)role,
                        .id = S("key_own"),
                        .team = w.own_team,
                        .user = w.own_user };
                    (void)ask(
                        arena_printf(arena, "%s " STR_FMT "/" STR_FMT, methods[v],
                            STR_ARG(resource_kind((enum resource_kind)kind)->path), STR_ARG(id))
                            .p,
                        v == 1 ? "{}" : NULL);
                    bool may = expected((enum role)role, kind, verbs[v], (enum whose)whose);
                    if (fresh_self && role_reach((enum role)role, kind, verbs[v]) != REACH_ALL)
                        may = false;
                    EXPECT_INT(last.status < 300, may);
                    EXPECT(may || last.status == 403 || last.status == 404);
                }
    end();
}

ON_BOTH(lists_show_only_what_is_within_reach)
{
    begin();
    struct str own = make_one("teams", "{\"name\":\"own\"}");
    (void)make_one("teams", "{\"name\":\"other\"}");
    struct str me = make_one("users", "{\"name\":\"me\",\"team\":\"own\"}");
    (void)make_one("users", "{\"name\":\"you\",\"team\":\"other\"}");
    (void)make_one("keys", "{\"name\":\"mine\",\"user\":\"me\"}");
    (void)make_one("keys", "{\"name\":\"ours\",\"team\":\"own\"}");
    (void)make_one("keys", "{\"name\":\"theirs\",\"team\":\"other\"}");
    (void)make_one("limits", "{\"for\":\"team:own\",\"rpm\":1}");
    (void)make_one("limits", "{\"for\":\"team:other\",\"rpm\":1}");
    static const struct {
        enum role role;
        const char *line;
        int count;    /* -1: refused */
    } cases[] = {
        { ROLE_auditor, "GET keys", 3 },
        { ROLE_team_admin, "GET keys", 2 },
        { ROLE_team_admin, "GET keys?team=other", 0 },
        { ROLE_team_admin, "GET teams", 1 },
        { ROLE_team_admin, "GET limits", 1 },
        { ROLE_team_admin, "GET users", 1 },
        { ROLE_team_admin, "GET organisations", -1 },
        { ROLE_developer, "GET keys", 1 },
        { ROLE_developer, "GET users", 1 },
        { ROLE_service, "GET users", -1 },
        { ROLE_none, "GET keys", -1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        actor = (struct actor){ .role = cases[i].role, .id = S("key_x"), .team = own, .user = me };
        const struct json *doc = ask(cases[i].line, NULL);
        EXPECT_INT(
            last.status == 200 ? (int)json_count(json_get(doc, S("data"))) : -1, cases[i].count);
    }
    end();
}

/* What a developer says of a key must not show what others do, nor escape the limits of the team; and who
 * administers a team must not get the keys that its people have in others. */
ON_BOTH(lesser_roles_cannot_give_themselves_more)
{
    begin();
    struct str own = make_one("teams", "{\"name\":\"own\"}");
    struct str me = make_one("users", "{\"name\":\"me\",\"team\":\"own\"}");
    (void)make_one("users", "{\"name\":\"mate\",\"team\":\"own\"}");
    (void)make_one("organisations", "{\"name\":\"org\"}");
    static const struct {
        enum role role;
        const char *line, *body;
        int status;
    } cases[] = {
        { ROLE_developer, "POST keys", "{\"name\":\"a\",\"routes\":[\"admin\"]}", 422 },
        { ROLE_developer, "POST keys", "{\"name\":\"a\",\"routes\":[\"*\"]}", 422 },
        { ROLE_developer, "POST keys", "{\"name\":\"a\",\"priority\":\"high\"}", 422 },
        { ROLE_team_admin, "POST keys", "{\"name\":\"a\",\"routes\":[\"*\"]}", 422 },
        { ROLE_developer, "POST keys", "{\"name\":\"a\",\"rpm\":1000000}", 422 },
        { ROLE_developer, "PATCH keys/mine", "{\"budget\":\"1000000/month\"}", 422 },
        { ROLE_developer, "PATCH keys/mine", "{\"rpm\":null}", 422 },
        { ROLE_developer, "PATCH keys/mine", "{\"rpm\":5}", 200 },
        { ROLE_team_admin, "PATCH keys/mine", "{\"rpm\":6}", 422 },
        { ROLE_team_admin, "POST projects", "{\"name\":\"p\",\"budget\":\"9/day\"}", 422 },
        { ROLE_developer, "PATCH keys/mine", "{\"routes\":null}", 422 },
        { ROLE_developer, "PATCH keys/mine", "{\"routes\":[\"batches\"]}", 200 },
        { ROLE_developer, "PATCH keys/mine", "{\"team\":null}", 422 },
        { ROLE_developer, "PATCH keys/mine", "{\"organisation\":null}", 422 },
        { ROLE_team_admin, "PATCH keys/mine", "{\"organisation\":null}", 422 },
        { ROLE_developer, "PATCH keys/mine", "{\"description\":\"for tests\"}", 200 },
        { ROLE_team_admin, "POST keys",
            "{\"name\":\"a\",\"kind\":\"admin\",\"role\":\"developer\",\"user\":\"mate\"}", 403 },
        { ROLE_team_admin, "POST keys",
            "{\"name\":\"a\",\"kind\":\"admin\",\"role\":\"developer\",\"user\":\"me\"}", 201 },
        { ROLE_team_admin, "PATCH keys/nobodys", "{\"user\":\"mate\"}", 403 },
        { ROLE_team_admin, "POST keys/of-mate/rotate", NULL, 403 },
        { ROLE_team_admin, "POST keys/of-mate/revoke", NULL, 200 },
        { ROLE_admin, "POST keys", "{\"name\":\"a\",\"routes\":[\"*\"],\"priority\":\"high\"}",
            201 },
    };
    (void)make_one("keys",
        "{\"name\":\"mine\",\"user\":\"me\",\"rpm\":5,\"organisation\":\"org\",\"routes\":[\"batches\"]}");
    (void)make_one("keys",
        "{\"name\":\"of-mate\",\"kind\":\"admin\",\"role\":\"developer\",\"user\":\"mate\"}");
    (void)make_one("keys",
        "{\"name\":\"nobodys\",\"kind\":\"admin\",\"role\":\"developer\",\"team\":\"own\"}");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        actor = (struct actor){ .role = cases[i].role, .id = S("key_x"), .team = own, .user = me };
        (void)ask(cases[i].line, cases[i].body);
        EXPECT_INT(last.status, cases[i].status);
    }
    end();
}

ON_BOTH(lesser_roles_make_only_what_is_theirs)
{
    begin();
    struct str own = make_one("teams", "{\"name\":\"own\"}");
    (void)make_one("teams", "{\"name\":\"other\"}");
    struct str me = make_one("users", "{\"name\":\"me\",\"team\":\"own\"}");
    (void)make_one("users", "{\"name\":\"you\",\"team\":\"other\"}");
    (void)make_one("projects", "{\"name\":\"far\",\"team\":\"other\"}");
    static const struct {
        enum role role;
        const char *line, *body;
        int status;
    } cases[] = {
        { ROLE_team_admin, "POST keys", "{\"name\":\"a\"}", 201 },
        { ROLE_team_admin, "POST keys", "{\"name\":\"a\",\"team\":\"other\"}", 422 },
        { ROLE_team_admin, "POST keys", "{\"name\":\"a\",\"project\":\"far\"}", 422 },
        { ROLE_team_admin, "POST keys", "{\"name\":\"a\",\"user\":\"you\"}", 422 },
        { ROLE_team_admin, "POST keys", "{\"name\":\"a\",\"user\":\"me\"}", 201 },
        { ROLE_team_admin, "PATCH keys/a-key", "{\"team\":null}", 403 },
        { ROLE_team_admin, "POST keys", "{\"name\":\"a\",\"kind\":\"admin\",\"role\":\"admin\"}",
            403 },
        { ROLE_team_admin, "POST keys",
            "{\"name\":\"b\",\"kind\":\"admin\",\"role\":\"team-admin\"}", 201 },
        { ROLE_team_admin, "POST users", "{\"name\":\"c\"}", 403 },
        { ROLE_admin, "POST users", "{\"name\":\"c\",\"role\":\"owner\"}", 403 },
        { ROLE_admin, "POST users", "{\"name\":\"c\",\"role\":\"admin\"}", 201 },
        { ROLE_admin, "DELETE keys/of-owner", NULL, 403 },
        { ROLE_admin, "POST keys/of-owner/rotate", NULL, 403 },
        { ROLE_developer, "POST keys", "{\"name\":\"d\"}", 201 },
        { ROLE_developer, "POST keys", "{\"name\":\"d\",\"user\":\"you\"}", 422 },
        { ROLE_developer, "POST keys",
            "{\"name\":\"d\",\"kind\":\"admin\",\"role\":\"team-admin\"}", 403 },
        { ROLE_service, "POST keys", "{\"name\":\"d\"}", 403 },
    };
    (void)make_one("keys", "{\"name\":\"of-owner\",\"kind\":\"admin\",\"role\":\"owner\"}");
    (void)make_one("keys", "{\"name\":\"a-key\",\"team\":\"own\"}");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        actor = (struct actor){ .role = cases[i].role, .id = S("key_x"), .team = own, .user = me };
        const struct json *doc = ask(cases[i].line, cases[i].body);
        EXPECT_INT(last.status, cases[i].status);
        if (last.status == 201 && str_eq(str_c(cases[i].line), S("POST keys"))) {
            EXPECT_STR(text_of(doc, "team"), own.p);
            if (cases[i].role == ROLE_developer)
                EXPECT_STR(text_of(doc, "user"), me.p);
        }
    }
    end();
}

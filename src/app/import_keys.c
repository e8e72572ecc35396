/* import_keys.c - rows of LiteLLM's tables as resources of ours.
 *
 * Rows are read as JSON (row_to_json), so that columns which a version of LiteLLM lacks are simply
 * not there. Its keys are stored as their SHA-256, which is all that is needed to know them again.
 */
#include "app/import_keys.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/json_out.h"
#include "base/map.h"
#include "base/url.h"

#define BODY_BYTES (256u * 1024)
#define ROWS_BYTES (1024u * 1024 * 1024)
#define PATH_ROOM 2048

struct importer {
    struct resource_link *link;
    struct store *theirs;
    struct import_report *report;
    struct arena *a;
    struct buf rows;                              /* of the table that is read, a line each */
    struct map *budgets;                          /* rows of LiteLLM_BudgetTable, by their ids */
    struct map *organisations, *teams, *users;    /* our ids by theirs */
    size_t made, there;
};

static void
on_row(void *ctx, const struct store_value *row, size_t n UNUSED)
{
    struct importer *m = ctx;

    buf_add(&m->rows, row[0].s);
    buf_add_c(&m->rows, '\n');
}

/* Reads a table, sorted. False after saying why. */
static bool
read_table(struct importer *m, const char *sql)
{
    buf_reset(&m->rows, SIZE_MAX);
    enum store_result r = store_run(m->theirs, sql, NULL, 0, on_row, m);

    if (r == STORE_OK && !m->rows.overflow)
        return true;
    (void)fprintf(
        stderr, "openclaw import: the database cannot be read: %s\n", store_why(m->theirs));
    return false;
}

static struct str
text(struct importer *m, const struct json *row, const char *name)
{
    return json_str(m->a, json_get(row, str_c(name)));
}

/* --- what rows have in common --- */

/* The budget period for a duration such as "30d", "1mo", "24h"; "total", the strictest, for those without one like it. */
static const char *
period_of(struct str duration, bool *ret_exact)
{
    static const struct {
        struct str theirs;
        const char *ours;
        bool exact;
    } known[] = {
        { S_INIT("1d"), "day", true },
        { S_INIT("24h"), "day", true },
        { S_INIT("7d"), "week", true },
        { S_INIT("1w"), "week", true },
        { S_INIT("1mo"), "month", true },
        { S_INIT("30d"), "month", false },
        { S_INIT("31d"), "month", false },
        { S_INIT("1h"), "day", false },
        { S_INIT("14d"), "month", false },
    };

    *ret_exact = duration.n == 0;
    if (duration.n == 0)
        return "total";
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(known[i].theirs, duration)) {
            *ret_exact = known[i].exact;
            return known[i].ours;
        }
    return "total";
}

/* The row of LiteLLM_BudgetTable that this one refers to; NULL: none. */
static const struct json *
budget_row(struct importer *m, const struct json *row)
{
    struct str id = text(m, row, "budget_id");

    return id.n != 0 ? map_get(m->budgets, id) : NULL;
}

/* A number of the row, or else of its budget; not positive: there is none. */
static const struct json *
number_of(struct importer *m, const struct json *row, const char *name)
{
    const struct json *v = json_get(row, str_c(name));

    if (!json_is(v, JSON_NUMBER))
        v = json_get(budget_row(m, row), str_c(name));
    return json_is(v, JSON_NUMBER) && json_f64(v, 0) > 0 ? v : NULL;
}

static void
add_limits(struct importer *m, struct json_out *o, const struct json *row, struct str what)
{
    static const struct {
        const char *theirs, *ours;
    } names[] = { { "rpm_limit", "rpm" }, { "tpm_limit", "tpm" }, { "tpd_limit", "tpd" },
        { "max_parallel_requests", "concurrent" } };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct json *v = number_of(m, row, names[i].theirs);

        if (v != NULL) {
            out_key_str(o, str_c(names[i].ours));
            out_i64_value(o, json_i64(v, 0));
        }
    }
    const struct json *most = number_of(m, row, "max_budget");
    if (most == NULL)
        return;
    const struct json *duration = json_get(row, S("budget_duration"));
    if (!json_is(duration, JSON_STRING))
        duration = json_get(budget_row(m, row), S("budget_duration"));
    bool exact;
    struct str said = json_str(m->a, duration);
    const char *period = period_of(said, &exact);
    char amount[64];

    (void)snprintf(amount, sizeof(amount), "%.9f/%s", json_f64(most, 0), period);
    out_text(o, "budget", str_c(amount));
    if (!exact)
        import_say(m->report, IMPORT_CLOSE, what, "budget_duration " STR_FMT " became '%s'",
            STR_ARG(said), period);
}

/* Blocked, or without any money there: refused here, where a budget of nothing would be none. */
static void
add_disabled(struct importer *m, struct json_out *o, const struct json *row, struct str what)
{
    const struct json *most = json_get(row, S("max_budget"));

    if (!json_is(most, JSON_NUMBER))
        most = json_get(budget_row(m, row), S("max_budget"));
    bool broke = json_is(most, JSON_NUMBER) && json_f64(most, 0) <= 0;
    if (broke)
        import_say(m->report, IMPORT_CLOSE, what, "max_budget 0 became disabled: true");
    if (broke || json_bool(json_get(row, S("blocked")), false))
        out_bool(o, "disabled", true);
}

/* Models, but for words that mean all, or those of the team. */
static void
add_models(struct importer *m, struct json_out *o, const struct json *row, struct str what)
{
    const struct json *models = json_get(row, S("models"));
    struct json_iter it = json_iter(models);
    bool all = false;

    while (json_next(&it)) {
        struct str one = json_str(m->a, it.value);

        all = all || str_eq(one, S("all-proxy-models")) || str_eq(one, S("all-team-models")) ||
              str_eq(one, S("*"));
        if (str_eq(one, S("no-default-models")))
            import_say(m->report, IMPORT_CLOSE, what,
                "no-default-models means no models: only those listed");
    }
    if (!all && json_is(models, JSON_ARRAY) && !json_is_empty(models))
        out_raw(o, "models", json_raw(models));
}

/* Of users and organisations, which have no list of models here. */
static void
report_models(struct importer *m, const struct json *row, struct str what)
{
    const struct json *models = json_get(row, S("models"));

    if (json_is(models, JSON_ARRAY) && !json_is_empty(models))
        import_say(m->report, IMPORT_NOT, arena_printf(m->a, STR_FMT ".models", STR_ARG(what)),
            "teams, projects and keys alone have lists of models: its keys may use more here");
}

static void
report_rest(struct importer *m, const struct json *row, struct str what)
{
    static const char *const names[] = { "aliases", "config", "permissions", "model_max_budget",
        "budget_limits", "router_settings", "allowed_routes", "policies", "access_group_ids" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct json *v = json_get(row, str_c(names[i]));

        if ((json_is(v, JSON_OBJECT) || json_is(v, JSON_ARRAY)) && !json_is_empty(v))
            import_say(m->report, IMPORT_NOT,
                arena_printf(m->a, STR_FMT ".%s", STR_ARG(what), names[i]),
                "there is nothing like it here");
    }
    double spend = json_f64(json_get(row, S("spend")), 0);
    if (spend > 0)
        import_say(m->report, IMPORT_CLOSE, arena_printf(m->a, STR_FMT ".spend", STR_ARG(what)),
            "%.6f dollars were spent so far; budgets begin anew", spend);
}

/* A name without what names may not have; `fallback` if nothing is left. */
static struct str
name_of(struct importer *m, struct str name, struct str fallback)
{
    char room[128];
    size_t n = 0;

    name = str_trim(name.n != 0 ? name : fallback);
    for (size_t i = 0; i < name.n && n < 120; i++) {
        unsigned char c = (unsigned char)name.p[i];

        room[n++] = c == '/' || c == '*' || c < ' ' || c == 0x7f ? '-' : (char)c;
    }
    return arena_str(m->a, str_trim(str_make(room, n)));
}

/* --- making --- */

/* Asks as the owner, in the store. Returns the status; *ret_doc: the answer. */
static int
ask(struct importer *m, struct str method, struct str path, struct str query, struct str body,
    const struct json **ret_doc)
{
    const struct api api = { .audit = m->link->audit, .pepper = m->link->pepper };
    const struct api_request q = { .method = method,
        .path = path,
        .query = query,
        .body = body,
        .actor = { .role = ROLE_owner, .id = S("import") } };
    struct api_answer answer;

    api_answer(&api, m->link->store, &q, m->a, &answer);
    *ret_doc = json_parse(m->a, arena_str(m->a, str_trim(buf_str(&answer.body))), NULL, NULL);
    buf_fini(&answer.body);
    return answer.status;
}

/* A body that begins with the name and the id that the row had. */
static struct json_out
begin(struct buf *b, struct str name, struct str id)
{
    buf_init(b, BODY_BYTES);
    struct json_out o = json_out(b);

    out_object(&o);
    out_text(&o, "name", name);
    out_key_object(&o, "tags");
    out_text(&o, "litellm_id", id);
    out_end(&o);
    return o;
}

static struct str
path_to(struct importer *m, const char *kind, struct str name)
{
    struct buf b;

    buf_init(&b, PATH_ROOM);
    buf_printf(&b, "%s/", kind);
    url_add_segment(&b, name);
    struct str path = arena_str(m->a, buf_str(&b));
    buf_fini(&b);
    return path;
}

/* Makes one, or finds the one that an earlier import made of the same row. Our id; empty after reporting why there is
 * none. */
static struct str
put(struct importer *m, const char *kind, struct json_out *o, struct str name, struct str id,
    struct str what)
{
    const struct json *doc, *found;

    out_end(o);
    int status = ask(m, S("POST"), str_c(kind), S(""), buf_str(o->b), &doc);
    struct str made = json_str(m->a, json_get(doc, S("id")));
    if (status == 201) {
        m->made++;
        import_say(m->report, IMPORT_EXACT, what, " ");
    } else if (status == 409 && strcmp(kind, "keys") == 0) {
        m->there++;    /* its digest is that of one that is here */
    } else if (status == 409 &&
               ask(m, S("GET"), path_to(m, kind, name), S(""), S(""), &found) == 200 &&
               json_str_is(json_at(found, "tags.litellm_id"), id)) {
        m->there++;
        made = json_str(m->a, json_get(found, S("id")));
    } else {
        const struct json *errors = json_get(doc, S("errors"));
        struct json_iter it = json_iter(errors);
        struct str detail = json_str(m->a, json_get(doc, S("detail")));

        if (json_next(&it))
            detail = arena_printf(
                m->a, STR_FMT ": " STR_FMT, STR_ARG(detail), STR_ARG(json_raw(it.value)));
        import_say(m->report, IMPORT_NOT, what, STR_FMT, STR_ARG(detail));
        made = S("");
    }
    buf_fini(o->b);
    return made;
}

/* What rows became: their ids by the ids that they had; empty: it could not be made. */
static void
note_id(struct map *ids, struct importer *m, struct str theirs, struct str ours)
{
    struct str *kept = arena_new(m->a, struct str);

    *kept = ours.n != 0 ? arena_str(m->a, ours) : S("");
    (void)map_put(ids, theirs, kept);
}

/* Is that missing whose limits hold for the key? A user may be one that they have no row, and so no limits of. */
static bool
is_orphan(const struct importer *m, struct str team, struct str user)
{
    const struct str *t = team.n != 0 ? map_get(m->teams, team) : NULL;
    const struct str *u = user.n != 0 ? map_get(m->users, user) : NULL;

    return (team.n != 0 && (t == NULL || t->n == 0)) || (u != NULL && u->n == 0);
}

static void
add_ref(struct json_out *o, struct str name, const struct map *ids, struct str theirs)
{
    const struct str *found = theirs.n != 0 ? map_get(ids, theirs) : NULL;

    if (found != NULL && found->n != 0) {
        out_key_str(o, name);
        out_text_value(o, *found);
    }
}

/* --- the tables --- */

static bool
import_organisations(struct importer *m)
{
    struct str rest, line;

    if (!read_table(m,
            "SELECT row_to_json(t)::text FROM \"LiteLLM_OrganizationTable\" t ORDER BY organization_id"))
        return false;
    for (rest = arena_str(m->a, buf_str(&m->rows)); rest.n != 0;) {
        (void)str_cut(rest, '\n', &line, &rest);
        const struct json *row = json_parse(m->a, line, NULL, NULL);
        struct str id = text(m, row, "organization_id");
        struct str name = name_of(m, text(m, row, "organization_alias"), id);
        struct str what = arena_printf(m->a, "organisation " STR_FMT, STR_ARG(name));
        struct buf b;
        struct json_out o = begin(&b, name, id);

        add_disabled(m, &o, row, what);
        add_limits(m, &o, row, what);
        note_id(m->organisations, m, id, put(m, "organisations", &o, name, id, what));
        report_models(m, row, what);
        report_rest(m, row, what);
    }
    return true;
}

static bool
import_teams(struct importer *m)
{
    struct str rest, line;

    if (!read_table(m, "SELECT row_to_json(t)::text FROM \"LiteLLM_TeamTable\" t ORDER BY team_id"))
        return false;
    for (rest = arena_str(m->a, buf_str(&m->rows)); rest.n != 0;) {
        (void)str_cut(rest, '\n', &line, &rest);
        const struct json *row = json_parse(m->a, line, NULL, NULL);
        struct str id = text(m, row, "team_id");
        struct str name = name_of(m, text(m, row, "team_alias"), id);
        struct str what = arena_printf(m->a, "team " STR_FMT, STR_ARG(name));
        struct buf b;
        struct json_out o = begin(&b, name, id);

        add_ref(&o, S("organisation"), m->organisations, text(m, row, "organization_id"));
        add_models(m, &o, row, what);
        add_limits(m, &o, row, what);
        add_disabled(m, &o, row, what);
        note_id(m->teams, m, id, put(m, "teams", &o, name, id, what));
        report_rest(m, row, what);
    }
    return true;
}

/* "proxy_admin", "internal_user", ... */
static struct str
role_of(struct str theirs)
{
    if (str_eq(theirs, S("proxy_admin")))
        return S("admin");
    if (str_eq(theirs, S("proxy_admin_viewer")))
        return S("auditor");
    return S("developer");
}

/* There a key belongs to a team or to a user; the teams of a user are memberships, which limit no keys. */
static void
import_memberships(struct importer *m, struct str user, const struct json *row)
{
    struct json_iter teams = json_iter(json_get(row, S("teams")));
    struct str theirs = text(m, row, "team_id");

    while (user.n != 0 && (theirs.n != 0 || json_next(&teams))) {
        if (theirs.n == 0)
            theirs = json_str(m->a, teams.value);
        const struct str *team = map_get(m->teams, theirs);
        const struct json *doc;
        struct buf body;

        theirs = S("");
        if (team == NULL || team->n == 0)
            continue;
        buf_init(&body, BODY_BYTES);
        struct json_out o = json_out(&body);
        out_object(&o);
        out_text(&o, "user", user);
        out_text(&o, "team", *team);
        out_end(&o);
        struct str query =
            arena_printf(m->a, "user=" STR_FMT "&team=" STR_FMT, STR_ARG(user), STR_ARG(*team));
        bool there = ask(m, S("GET"), S("memberships"), query, S(""), &doc) == 200 &&
                     json_count(json_get(doc, S("data"))) != 0;
        if (!there && ask(m, S("POST"), S("memberships"), S(""), buf_str(&body), &doc) != 201)
            import_say(m->report, IMPORT_NOT, user, "it could not be made a member of " STR_FMT,
                STR_ARG(*team));
        buf_fini(&body);
    }
}

static bool
import_users(struct importer *m)
{
    struct str rest, line;

    if (!read_table(m, "SELECT row_to_json(t)::text FROM \"LiteLLM_UserTable\" t ORDER BY user_id"))
        return false;
    for (rest = arena_str(m->a, buf_str(&m->rows)); rest.n != 0;) {
        (void)str_cut(rest, '\n', &line, &rest);
        const struct json *row = json_parse(m->a, line, NULL, NULL);
        struct str id = text(m, row, "user_id"), email = text(m, row, "user_email");
        struct str alias = text(m, row, "user_alias");
        struct str name = name_of(m, email.n != 0 ? email : alias, id);
        struct str what = arena_printf(m->a, "user " STR_FMT, STR_ARG(name));
        struct buf b;
        struct json_out o = begin(&b, name, id);

        out_text_if(&o, "email", email);
        out_text(&o, "role", role_of(text(m, row, "user_role")));
        add_ref(&o, S("organisation"), m->organisations, text(m, row, "organization_id"));
        add_disabled(m, &o, row, what);
        add_limits(m, &o, row, what);
        struct str user = put(m, "users", &o, name, id, what);
        note_id(m->users, m, id, user);
        import_memberships(m, user, row);
        report_models(m, row, what);
        report_rest(m, row, what);
    }
    return true;
}

/* "2027-01-31T00:00:00" or with a fraction, in UTC. */
static struct str
time_of(struct importer *m, struct str theirs)
{
    struct str whole, fraction;

    (void)str_cut(theirs, '.', &whole, &fraction);
    (void)str_cut(whole, '+', &whole, &fraction);
    if (whole.n == 0 || str_ends(whole, S("Z")))
        return whole;
    return arena_printf(m->a, STR_FMT "Z", STR_ARG(whole));
}

static bool
import_rows_of_keys(struct importer *m)
{
    struct str rest, line;
    size_t number = 0;

    if (!read_table(
            m, "SELECT row_to_json(t)::text FROM \"LiteLLM_VerificationToken\" t ORDER BY token"))
        return false;
    for (rest = arena_str(m->a, buf_str(&m->rows)); rest.n != 0; number++) {
        (void)str_cut(rest, '\n', &line, &rest);
        const struct json *row = json_parse(m->a, line, NULL, NULL);
        struct str hash = text(m, row, "token"), alias = text(m, row, "key_alias");
        struct str shown = text(m, row, "key_name"), expires = time_of(m, text(m, row, "expires"));
        struct str name = name_of(m, alias.n != 0 ? alias : shown, S("key"));
        struct str team = text(m, row, "team_id"), user = text(m, row, "user_id");
        struct str what = arena_printf(m->a, "key " STR_FMT, STR_ARG(name));
        int64_t until_ms;
        struct buf b;

        if (clock_timestamp(expires, &until_ms) && until_ms <= (int64_t)clock_wall_ms()) {
            import_say(m->report, IMPORT_CLOSE, what, "it has expired, and was left out");
            continue;
        }
        if (is_orphan(m, team, user)) {
            import_say(m->report, IMPORT_NOT, what,
                "its team or user is not here, whose limits would not hold for it");
            continue;
        }
        struct json_out o = begin(&b, name, hash.n > 12 ? str_make(hash.p, 12) : hash);

        out_text(&o, "sha256", hash);
        add_ref(&o, S("team"), m->teams, team);
        add_ref(&o, S("user"), m->users, user);
        if (team.n == 0)
            add_ref(&o, S("organisation"), m->organisations, text(m, row, "organization_id"));
        out_text_if(&o, "expires_at", expires);
        add_disabled(m, &o, row, what);
        add_models(m, &o, row, what);
        add_limits(m, &o, row, what);
        (void)put(m, "keys", &o, name, hash.n > 12 ? str_make(hash.p, 12) : hash, what);
        report_rest(m, row, what);
        if (number % 1000 == 999)
            (void)fprintf(stderr, "openclaw import: %zu keys\n", number + 1);
    }
    return true;
}

static bool
import_budgets(struct importer *m)
{
    struct str rest, line;

    if (!read_table(m, "SELECT row_to_json(t)::text FROM \"LiteLLM_BudgetTable\" t"))
        return false;
    for (rest = arena_str(m->a, buf_str(&m->rows)); rest.n != 0;) {
        (void)str_cut(rest, '\n', &line, &rest);
        const struct json *row = json_parse(m->a, line, NULL, NULL);
        struct str id = text(m, row, "budget_id");

        if (id.n != 0)
            (void)map_put(m->budgets, id, (void *)row);
    }
    return true;
}

bool
import_keys(struct resource_link *link, const char *database, struct import_report *report)
{
    struct importer m = { .link = link,
        .report = report,
        .a = report->arena,
        .budgets = map_create(),
        .organisations = map_create(),
        .teams = map_create(),
        .users = map_create() };
    char why[512] = "";

    buf_init(&m.rows, ROWS_BYTES);
    m.theirs = store_open(str_c(database), WHY(why));
    bool ok = m.theirs != NULL && store_connect(m.theirs) == STORE_OK;
    if (!ok)
        (void)fprintf(stderr, "openclaw import: --database: %s\n",
            m.theirs != NULL ? store_why(m.theirs) : why);
    ok = ok && import_budgets(&m) && import_organisations(&m) && import_teams(&m) &&
         import_users(&m) && import_rows_of_keys(&m);
    (void)fprintf(stderr, "openclaw import: %zu made, %zu there already, in " STR_FMT "\n", m.made,
        m.there, STR_ARG(store_name(link->store)));
    store_close(m.theirs);
    map_destroy(m.budgets);
    map_destroy(m.organisations);
    map_destroy(m.teams);
    map_destroy(m.users);
    buf_fini(&m.rows);
    return ok;
}

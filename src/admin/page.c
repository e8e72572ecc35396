/* page.c - the page about the admin API: what is the same for all routes in words, the rest as tables. */
#include "admin/page.h"

#include "conf/option.h"
#include "control/resource.h"
#include "control/role.h"

static const char head[] =
    "# Admin API\n"
    "\n"
    "<!-- Made by `openclaw config admin-api` from src/control/resources.def, src/control/roles.def,\n"
    "     src/admin/routes.def and src/admin/page.c; change it there. -->\n"
    "\n"
    "What a company needs to share one gateway is kept in the [store](configuration.md#store): organisations, teams, projects,\n"
    "users, service accounts, keys, limits and budgets. They are made and changed while the gateway runs, over its local socket\n"
    "(`server.admin_socket`), where the caller is an owner, or over the network with a key that has a [role](#roles); by\n"
    "`openclaw keys`, `teams` and the others ([commands](commands.md)), or by any client of HTTP. `GET /openapi.json` describes\n"
    "all of it as an OpenAPI 3.1 document, which `openclaw config openapi` prints, too.\n"
    "\n"
    "```console\n"
    "$ openclaw teams create research --rpm 600\n"
    "$ openclaw keys create ci --team research --rpm 60 --budget 10/month\n"
    "$ openclaw keys create ops --kind admin --role admin\n"
    "$ curl -H \"Authorization: Bearer $ADMIN_KEY\" http://127.0.0.1:8080/admin/v1/keys?team=research\n"
    "$ curl --unix-socket /run/openclaw/admin.sock http://localhost/admin/v1/teams\n"
    "```\n"
    "\n"
    "A change is known to the gateway that makes it before it answers, and within a second or two to all others on the same\n"
    "store, and to those whose store a command changes.\n"
    "\n"
    "## Calls\n"
    "\n"
    "| call | |\n"
    "|---|---|\n"
    "| `GET /admin/v1/KIND` | a page of them, in the order in which they were made: `limit` (100, at most 1000), `cursor`, and filters: the fields marked below |\n"
    "| `POST /admin/v1/KIND` | makes one: 201 |\n"
    "| `GET /admin/v1/KIND/ONE` | one of them, by its id or its name |\n"
    "| `PATCH /admin/v1/KIND/ONE` | changes it (RFC 7386): members that are given replace, `null` takes away, tags are merged |\n"
    "| `DELETE /admin/v1/KIND/ONE` | deletes it: 204; 409 while others refer to it |\n"
    "| `POST /admin/v1/keys/ONE/rotate` | gives a key a new secret. The old one works on for the `overlap` in the body, `{\"overlap\": \"24h\"}` if nothing is said; a secret that is older than that ends at once |\n"
    "| `POST /admin/v1/keys/ONE/revoke` | the key works nowhere any more |\n"
    "\n"
    "**Pages** have `data`, `has_more` and `next_cursor`, which is the `cursor` of the next page. What is made meanwhile comes at the end, so that pages neither\n"
    "repeat nor miss one.\n"
    "\n"
    "**Entity tags.** Every answer with one resource has an `ETag`. A `PATCH` or `DELETE` with `If-Match` changes nothing if the resource has changed since: 412.\n"
    "\n"
    "**Idempotency.** A request that changes something and has an `Idempotency-Key` (up to 255 bytes) is done once in a day, however often it is sent: later ones\n"
    "get the first answer, with `Idempotency-Replayed: true`. A key's secret is not kept, and so is not in it: rotate the key if the first answer was lost. The same\n"
    "key with another request is refused: 422.\n"
    "\n"
    "**Refusals** are problem documents (RFC 9457, `application/problem+json`): `type` (`urn:openclaw:problem:...`), `title`, `status`, `detail`, `request_id`, and in\n"
    "`errors` a JSON `pointer` and a `detail` for each member that is not valid. All mistakes are told at once. Bodies are read strictly: unknown and repeated members are\n"
    "refused.\n"
    "\n";

static const char roles_head[] =
    "## Roles\n"
    "\n"
    "What a role is not granted is refused. *all*: everywhere; *team*: what is in the caller's own team; *own*: what is the caller's own. The local socket is the owner's.\n"
    "Beyond the table, no role may make, change or delete what has a role above it; and a key of the configuration file whose `routes` name `admin` is an auditor.\n"
    "\n"
    "| | owner | admin | auditor | team-admin | developer | service |\n"
    "|---|---|---|---|---|---|---|\n";

/* "all: read, create; team: rotate" */
static void
add_grants(struct buf *b, enum role role, unsigned subject)
{
    static const char *const words[] = {
        [REACH_SELF] = "own", [REACH_TEAM] = "team", [REACH_ALL] = "all"
    };
    bool any = false;

    for (unsigned reach = REACH_ALL; reach > REACH_NONE; reach--) {
        unsigned count = 0;

        for (unsigned v = 0; v < VERB_COUNT; v++) {
            enum verb verb = (enum verb)(1u << v);
            bool of_keys = verb == VERB_ROTATE || verb == VERB_REVOKE;

            if (role_reach(role, subject, verb) != reach || (of_keys && subject != RESOURCE_keys) ||
                (subject >= RESOURCE_KINDS && verb != VERB_READ &&
                    !(subject == SUBJECT_gateway && verb == VERB_CHANGE)))
                continue;
            buf_printf(b, "%s" STR_FMT, count++ == 0 ? (any ? "; " : " ") : ", ",
                STR_ARG(verb_name(verb)));
        }
        if (count != 0)
            buf_printf(b, " (%s)", words[reach]);
        any = any || count != 0;
    }
    if (!any)
        buf_add(b, S(" –"));
}

static void
add_roles(struct buf *b)
{
    buf_add(b, str_c(roles_head));
    for (unsigned subject = 0; subject < SUBJECT_COUNT; subject++) {
        buf_printf(b, "| %s" STR_FMT "%s |", subject < RESOURCE_KINDS ? "`" : "",
            STR_ARG(subject_name(subject)), subject < RESOURCE_KINDS ? "`" : "");
        for (unsigned role = ROLE_none + 1; role < ROLE_COUNT; role++) {
            add_grants(b, (enum role)role, subject);
            buf_add(b, S(" |"));
        }
        buf_add_c(b, '\n');
    }
    buf_add_c(b, '\n');
}

static void
add_type(struct buf *b, const struct resource_field_row *f)
{
    struct str choices = f->choices, word;
    bool more = false;

    switch (f->type) {
    case RESOURCE_TEXT:
        buf_add(b, S("text"));
        break;
    case RESOURCE_TEXTS:
        buf_add(b, S("list of texts"));
        break;
    case RESOURCE_CHOICE:
        while (option_next_choice(&choices, &word)) {
            buf_printf(b, "%s`" STR_FMT "`", more ? ", " : "", STR_ARG(word));
            more = true;
        }
        break;
    case RESOURCE_BOOL:
        buf_add(b, S("true or false"));
        break;
    case RESOURCE_COUNT:
        buf_add(b, S("whole number"));
        break;
    case RESOURCE_MONEY:
        buf_add(b, S("dollars, decimal"));
        break;
    case RESOURCE_TIME:
        buf_add(b, S("time, RFC 3339"));
        break;
    case RESOURCE_REF:
        buf_printf(
            b, "id or name of one of `" STR_FMT "`", STR_ARG(resource_kind(f->refers)->path));
        break;
    case RESOURCE_TAGS:
        buf_add(b, S("object of texts"));
        break;
    }
    if (f->fallback.n != 0)
        buf_printf(b, "; `" STR_FMT "` if nothing is said", STR_ARG(f->fallback));
}

static void
add_field(struct buf *b, const struct resource_field_row *f)
{
    static const struct {
        unsigned flag;
        const char *word;
    } words[] = {
        { RESOURCE_REQUIRED, "required" },
        { RESOURCE_UNIQUE, "unique" },
        { RESOURCE_FIXED, "fixed" },
        { RESOURCE_MADE, "read only" },
        { RESOURCE_SECRET, "write only" },
        { RESOURCE_FILTER, "filter" },
    };
    bool more = false;

    buf_printf(b, "| `" STR_FMT "` | ", STR_ARG(f->name));
    add_type(b, f);
    buf_add(b, S(" | "));
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if ((f->flags & words[i].flag) == 0)
            continue;
        buf_printf(b, "%s%s", more ? ", " : "", words[i].word);
        more = true;
    }
    buf_printf(b, " | " STR_FMT " |\n", STR_ARG(f->help));
}

static void
add_kind(struct buf *b, enum resource_kind kind)
{
    const struct resource_kind_row *k = resource_kind(kind);

    buf_printf(b, "### `" STR_FMT "`\n\n" STR_FMT " Ids begin with `" STR_FMT "`.\n\n",
        STR_ARG(k->path), STR_ARG(k->help), STR_ARG(k->prefix));
    buf_add(b, S("| member | value | | meaning |\n|---|---|---|---|\n"));
    for (unsigned i = 0; i < resource_field_count(kind); i++) {
        const struct resource_field_row *f = resource_field((enum resource_field)(k->first + i));

        if ((f->flags & RESOURCE_HIDDEN) == 0)
            add_field(b, f);
    }
    buf_add_c(b, '\n');
}

static void
add_route(struct buf *b, struct str method, struct str path, struct str rest, struct str help)
{
    buf_printf(b, "| `" STR_FMT " /admin/v1/" STR_FMT STR_FMT "` | " STR_FMT " |\n",
        STR_ARG(method), STR_ARG(path), STR_ARG(rest), STR_ARG(help));
}

void
page_write(struct buf *b)
{
    buf_add(b, str_c(head));
    add_roles(b);
    buf_add(b,
        S("## Kinds\n\n*required*: of a new one; *unique*: no two have the same; *fixed*: it cannot be changed; "
          "*filter*: lists can be narrowed to it (`?team=research`). All have `id`, `object`, `created_at`, `updated_at` and "
          "`revision`, which are read only.\n\n"));
    for (unsigned k = 0; k < RESOURCE_KINDS; k++)
        add_kind(b, (enum resource_kind)k);
    buf_add(b,
        S("## The gateway itself\n\n[Operations](operations.md#looking-inside) has more about these.\n\n| route | |\n|---|---|\n"));
#define ROUTE(method, path, rest, subject, verb, function, help)                                   \
    add_route(b, S(method), S(path), S(rest), S(help));
#include "admin/routes.def"
}

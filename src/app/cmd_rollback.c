/* cmd_rollback.c - `openclaw rollback`: an earlier configuration of a running gateway, again. */
#include <stdio.h>

#include "app/admin_client.h"
#include "app/app.h"
#include "cli/flags.h"
#include "cli/output.h"

/* False after saying what went wrong. */
static bool
roll_back(struct admin_client *c, void *arg)
{
    const char *generation = arg;    /* NULL: the newest that differs */
    struct str path = arena_printf(c->arena, "rollback%s%s", generation != NULL ? "/" : "",
        generation != NULL ? generation : "");
    struct str text;
    const struct json *doc = admin_client_ask(c, path.p, S("{}"), &text);

    if (doc == NULL)
        return false;
    if (c->json)
        (void)printf(STR_FMT "\n", STR_ARG(text));
    else
        (void)printf(
            "generation %llu is in force, with the configuration of generation %llu. It is "
            "in memory only: the next reload or start uses the file.\n",
            (unsigned long long)admin_number(doc, "generation"),
            (unsigned long long)admin_number(doc, "rolled_back_to"));
    return true;
}

int
cmd_rollback(int argc, char **argv)
{
    struct admin_client c = { .command = "rollback" };
    const struct flag list[] = { ADMIN_FLAG_SOCKET(c), ADMIN_FLAG_JSON(c) };
    const struct flags flags = {
        .usage = "openclaw rollback [GENERATION] [options]",
        .about = "Puts an earlier configuration of a running gateway in force: the one of that "
                 "generation, or the newest that differs from the one in use. It passes the checks "
                 "of a reload, and lasts until the file is loaded again. `openclaw status --json` "
                 "lists the generations that are kept.",
        .list = list,
        .count = ARRAY_LEN(list),
        .words = 1,
    };
    int rest;
    uint64_t generation;
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, &rest);

    if (verdict != FLAGS_OK)
        return verdict;
    if (rest == 1 && !str_u64(str_c(argv[1]), &generation)) {
        (void)fprintf(
            stderr, "openclaw rollback: '%s' is not the number of a generation\n", argv[1]);
        return 2;
    }
    return admin_client_run(&c, roll_back, rest == 1 ? argv[1] : NULL);
}

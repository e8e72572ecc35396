/* cmd_switch.c - `openclaw off` and `openclaw on`: what a running gateway must not use for now. */
#include <stdio.h>

#include "app/admin_client.h"
#include "app/app.h"
#include "cli/flags.h"
#include "cli/output.h"

/* False after saying what went wrong. */
static bool
ask(struct admin_client *c, void *arg)
{
    const char *name = arg;
    bool off = strcmp(c->command, "off") == 0;
    struct str path =
        arena_printf(c->arena, "%s/" STR_FMT, c->command, STR_ARG(admin_encode(c->arena, name)));
    struct str text;
    const struct json *doc = admin_client_ask(c, path.p, S("{}"), &text);

    if (doc == NULL)
        return false;
    if (c->json)
        (void)printf(STR_FMT "\n", STR_ARG(text));
    else
        (void)printf("the " STR_FMT " %s %s %s%s\n", STR_ARG(admin_text(c, doc, "kind")), name,
            json_bool(json_get(doc, S("changed")), true) ? "is now" : "was already", c->command,
            off ? ": until `openclaw on`, or the next start" : "");
    return true;
}

static int
run(const char *command, const char *usage, const char *about, int argc, char **argv)
{
    struct admin_client c = { .command = command };
    const struct flag list[] = { ADMIN_FLAG_SOCKET(c), ADMIN_FLAG_JSON(c) };
    const struct flags flags = {
        .usage = usage, .about = about, .list = list, .count = ARRAY_LEN(list), .words = 1
    };
    int rest;
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, &rest);

    if (verdict != FLAGS_OK)
        return verdict;
    if (rest != 1) {
        (void)fprintf(stderr,
            "openclaw %s: of what? write openclaw %s NAME; `openclaw status` lists what there is\n",
            command, command);
        return 2;
    }
    return admin_client_run(&c, ask, argv[1]);
}

int
cmd_off(int argc, char **argv)
{
    return run("off", "openclaw off NAME [options]",
        "Lets a running gateway not use a provider (openai), one of its keys (openai#2, or its name "
        "in the log) or one of its models (openai/gpt-4o). Requests under way go on. It outlives a "
        "reload, not a restart; for good, write `disabled: true` into the file.",
        argc, argv);
}

int
cmd_on(int argc, char **argv)
{
    return run("on", "openclaw on NAME [options]",
        "Lets a running gateway use what `openclaw off` switched off, or what its circuit breaker "
        "would not use for a while: a provider, a key or a model.",
        argc, argv);
}

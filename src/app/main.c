/* main.c - dispatches to the commands. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "cli/flags.h"
#include "cli/output.h"

static int cmd_version(int argc, char **argv);
static int cmd_help(int argc, char **argv);

static const struct command {
    const char *name;
    const char *help;
    int (*run)(int argc, char **argv);
} commands[] = {
    { "serve", "run the gateway", cmd_serve },
    { "check", "check a configuration file and report everything that is wrong with it",
        cmd_check },
    { "init", "write a commented starter configuration", cmd_init },
    { "config", "print the configuration's JSON Schema or reference", cmd_config },
    { "providers", "list the providers, which are on, and how to switch on the others",
        cmd_providers },
    { "models", "list the models that can be used", cmd_models },
    { "catalog", "show what is known about models, or bring a catalog file up to date",
        cmd_catalog },
    { "explain", "show where a request goes, and why", cmd_explain },
    { "experiments", "compare the arms of a running gateway's experiments", cmd_experiments },
    { "health", "check the health of a running gateway", cmd_health },
    { "status", "show what a running gateway is doing", cmd_status },
    { "top", "watch what a running gateway is doing, target by target", cmd_top },
    { "off", "let a running gateway not use a provider, key or model", cmd_off },
    { "on", "let it use that again", cmd_on },
    { "keys", "make, list, change and revoke API keys", cmd_resources },
    { "teams", "the same for teams", cmd_resources },
    { "users", "and for users,", cmd_resources },
    { "projects", "projects,", cmd_resources },
    { "orgs", "organisations,", cmd_resources },
    { "service-accounts", "service accounts,", cmd_resources },
    { "memberships", "who is in which team,", cmd_resources },
    { "limits", "limits of requests and tokens,", cmd_resources },
    { "budgets", "and limits of money", cmd_resources },
    { "usage", "show what was used and spent, by whom and when", cmd_usage },
    { "import", "take over the configuration and the keys of another gateway", cmd_import },
    { "audit", "show or verify who administered what", cmd_audit },
    { "replay", "tell what another configuration would have done with a log", cmd_replay },
    { "rollback", "put an earlier configuration of a running gateway in force", cmd_rollback },
    { "store", "check, back up, restore, migrate, export or prune the store", cmd_store },
    { "tokens", "count the tokens of a text", cmd_tokens },
    { "chat", "talk to a model in the terminal", cmd_chat },
    { "conform", "check which protocols a server speaks, and how well", cmd_conform },
    { "bench", "measure any OpenAI- or Anthropic-compatible server", cmd_bench },
    { "mock", "run a simulated provider, with faults on demand", cmd_mock },
    { "version", "print the version", cmd_version },
    { "help", "print this list", cmd_help },
};

static void
print_usage(FILE *to)
{
    (void)fputs("usage: openclaw COMMAND [options]\n\n", to);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        (void)fprintf(to, "  %-17s %s\n", commands[i].name, commands[i].help);
    (void)fputs("\n'openclaw COMMAND --help' explains a command.\n", to);
}

static int
cmd_version(int argc, char **argv)
{
    bool json = false;
    const struct flag list[] = {
        { "json", 0, FLAG_BOOL, NULL, "print it as JSON", &json, NULL },
    };
    const struct flags flags = {
        .usage = "openclaw version [--json]",
        .about = "Prints the version.",
        .list = list,
        .count = ARRAY_LEN(list),
    };
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, NULL);

    if (verdict != FLAGS_OK)
        return verdict;
    if (json)
        (void)puts("{\"name\":\"openclaw\",\"version\":\"" OPENCLAW_VERSION "\"}");
    else
        (void)puts("openclaw " OPENCLAW_VERSION);
    return 0;
}

static const struct command *
command_named(const char *name)
{
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        name = "version";
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void
print_unknown(const char *name)
{
    const char *near = NULL;
    unsigned best = 3;

    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        unsigned d = str_distance(str_c(name), str_c(commands[i].name), 2);
        if (d < best) {
            best = d;
            near = commands[i].name;
        }
    }
    (void)fprintf(stderr, "openclaw: there is no command '%s'", name);
    if (near != NULL)
        (void)fprintf(stderr, "; did you mean '%s'?", near);
    (void)fputs("\n\n", stderr);
    print_usage(stderr);
}

/* "openclaw help serve" is "openclaw serve --help". */
static int
cmd_help(int argc, char **argv)
{
    char *ask[] = { argc > 1 ? argv[1] : argv[0], (char[]){ "--help" }, NULL };
    const struct command *c = argc > 1 ? command_named(argv[1]) : NULL;

    if (argc > 1 && c == NULL) {
        print_unknown(argv[1]);
        return 2;
    }
    if (c != NULL && c->run != cmd_help)
        return c->run(2, ask);
    print_usage(stdout);
    return 0;
}

int
main(int argc, char **argv)
{
#ifdef __SANITIZE_THREAD__
    /* ThreadSanitizer of GCC 12 allocates a thread's list of pending signals in its first call that
     * blocks, and loses a signal that arrives meanwhile: let that be now. */
    (void)poll(NULL, 0, 0);
#endif
    output_open();
    /* a closed pipe is a write error, and must not kill the process */
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        print_usage(stderr);
        return 2;
    }
    const struct command *c = command_named(argv[1]);
    if (c == NULL) {
        print_unknown(argv[1]);
        return 2;
    }
    return output_close(c->run(argc - 1, argv + 1));
}

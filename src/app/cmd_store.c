/* cmd_store.c - `openclaw store`: the store as a whole, also while a gateway uses it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/app.h"
#include "app/config_flags.h"
#include "app/harden.h"
#include "app/pruner.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "store/copy.h"
#include "store/export.h"
#include "store/inspect.h"
#include "store/place.h"
#include "store/schema.h"

enum { TEXT_BYTES = 16 * 1024 * 1024, TURN_MS = 1000 };

struct store_command {
    struct config_flags config;
    const char *url;    /* NULL: that of the configuration */
    bool replace, csv;
    struct conf *conf;
    struct arena *arena;
    struct store *store;
    uint64_t faults;
    struct buf out;
};

/* --- opening --- */

static int
fail(const struct store *s)
{
    (void)fprintf(stderr, "openclaw store: %s\n", store_why(s));
    return 1;
}

/* 0, or the status to exit with after saying why. */
static int
open_store(struct store_command *k)
{
    struct conf_problems problems;
    char why[256];

    conf_problems_init(&problems, k->arena);
    config_flags_from_environment(&k->config);
    k->conf = config_flags_load(&k->config, &problems);
    if (problems.count != 0) {
        conf_problems_print(&problems,
            str_c(k->config.path != NULL ? k->config.path : "(built in)"), STDERR_FILENO);
        return 2;
    }
    bool of_system = k->conf->server.user.v.n != 0 && harden_is_root();
    struct str url =
        k->url != NULL ? str_c(k->url) : place_store(k->arena, k->conf->store.url.v, of_system);
    k->store = store_open(url, WHY(why));
    if (k->store == NULL) {
        (void)fprintf(stderr, "openclaw store: the address %s\n", why);
        return 2;
    }
    return store_connect(k->store) == STORE_OK ? 0 : fail(k->store);
}

/* A backup is a SQLite file. */
static struct store *
open_file(struct store_command *k, const char *path)
{
    char why[256];

    return store_open(arena_printf(k->arena, "sqlite:%s", path), WHY(why));
}

/* --- check --- */

static void
show_table(void *ctx, struct str name, uint64_t rows)
{
    struct store_command *k = ctx;

    buf_printf(&k->out, "  %-24.*s %12llu rows\n", (int)name.n, name.p, (unsigned long long)rows);
}

static void
show_fault(void *ctx, struct str sentence)
{
    struct store_command *k = ctx;

    k->faults++;
    buf_printf(&k->out, "FAULT: " STR_FMT "\n", STR_ARG(sentence));
}

static int
run_check(struct store_command *k, char **words UNUSED)
{
    const struct inspector to = { show_table, show_fault, k };
    struct schema_state state;

    if (schema_look(k->store, &state) != STORE_OK)
        return fail(k->store);
    buf_printf(&k->out, STR_FMT ": %u migrations", STR_ARG(store_name(k->store)), state.applied);
    if (state.pending != 0)
        buf_printf(
            &k->out, ", %u to come (`openclaw store migrate`, or the next start)", state.pending);
    buf_add_c(&k->out, '\n');
    if (state.unknown[0] != '\0')
        show_fault(k, arena_printf(k->arena,
                          "it was made by a newer openclaw, with migrations that this one does not "
                          "know: %s",
                          state.unknown));
    if (store_inspect(k->store, &to) != STORE_OK) {
        output_print(&k->out);
        return fail(k->store);
    }
    if (k->faults == 0)
        buf_add(&k->out, S("the store is sound\n"));
    output_print(&k->out);
    return k->faults == 0 ? 0 : 1;
}

/* --- migrate --- */

static int
run_migrate(struct store_command *k, char **words UNUSED)
{
    struct schema_state before;

    if (schema_look(k->store, &before) != STORE_OK || store_migrate(k->store) != STORE_OK)
        return fail(k->store);
    (void)printf("%.*s: %u migrations applied, %u were there\n", STR_ARG(store_name(k->store)),
        before.pending, before.applied);
    return 0;
}

/* --- backup and restore --- */

static void
show_copied(void *ctx, struct str table, uint64_t rows)
{
    show_table(ctx, table, rows);
}

static int
run_backup(struct store_command *k, char **words)
{
    const char *path = words[0];
    struct str aside = arena_printf(k->arena, "%s.new", path);

    if (access(path, F_OK) == 0) {
        (void)fprintf(stderr, "openclaw store: %s is there already; choose another name\n", path);
        return 1;
    }
    (void)unlink(aside.p);
    struct store *to = open_file(k, aside.p);
    int status = 0;

    if (store_connect(to) != STORE_OK ||
        store_copy(k->store, to, false, k->arena, show_copied, k) != STORE_OK ||
        store_script(to, "PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL") != STORE_OK)
        status = fail(to);
    store_close(to);
    if (status == 0 && rename(aside.p, path) != 0) {
        (void)fprintf(stderr, "openclaw store: %s: %s\n", path, strerror(errno));
        status = 1;
    }
    if (status != 0) {
        (void)unlink(aside.p);
        return status;
    }
    output_print(&k->out);
    (void)printf("backed up to %s\n", path);
    return 0;
}

static int
run_restore(struct store_command *k, char **words)
{
    const char *path = words[0];

    if (access(path, R_OK) != 0) {    /* it would be made */
        (void)fprintf(stderr, "openclaw store: %s: %s\n", path, strerror(errno));
        return 1;
    }
    struct store *from = open_file(k, path);
    int status = 0;

    if (store_connect(from) != STORE_OK)
        status = fail(from);
    else if (store_copy(from, k->store, k->replace, k->arena, show_copied, k) != STORE_OK ||
             store_migrate(k->store) != STORE_OK)
        status = fail(k->store);
    store_close(from);
    if (status != 0)
        return status;
    output_print(&k->out);
    (void)printf("restored from %s\n", path);
    return 0;
}

/* --- export --- */

static void
write_out(void *ctx UNUSED, struct str lines)
{
    output_text(lines);
}

static int
run_export(struct store_command *k, char **words)
{
    struct str table = str_c(words[0] != NULL ? words[0] : "ledger");
    struct str names[SCHEMA_TABLES_MOST];

    if (export_is_table(table))
        return store_export(k->store, table, k->csv ? EXPORT_CSV : EXPORT_JSON, write_out, NULL) ==
                       STORE_OK
                   ? 0
                   : fail(k->store);
    (void)fprintf(stderr, "openclaw store: there is no table '%s'; write one of", words[0]);
    for (int views = 0; views < 2; views++) {
        size_t n = views ? schema_views(k->arena, names) : schema_tables(k->arena, names);

        for (size_t i = 0; i < n; i++)
            (void)fprintf(stderr, "%s " STR_FMT, i + views != 0 ? "," : "", STR_ARG(names[i]));
    }
    (void)fputc('\n', stderr);
    return 2;
}

/* --- prune --- */

static void
show_pruned(void *ctx UNUSED, struct str table, uint64_t rows)
{
    (void)printf("%.*s: %llu rows deleted\n", STR_ARG(table), (unsigned long long)rows);
    (void)fflush(stdout);
}

static int
run_prune(struct store_command *k, char **words UNUSED)
{
    const struct retention keep = retention_of(k->conf);
    bool more = true;

    while (more)
        if (store_prune(k->store, &keep, TURN_MS, show_pruned, NULL, &more) != STORE_OK)
            return fail(k->store);
    (void)puts("nothing is left that is older than store.keep says");
    return 0;
}

/* --- which --- */

static const struct {
    const char *name;
    int (*run)(struct store_command *k, char **words);
    int least, most;    /* words */
    const char *usage, *help;
} actions[] = {
    { "check", run_check, 0, 0, "check",
        "read everything: the file, every table, and what must be true of the rows" },
    { "migrate", run_migrate, 0, 0, "migrate",
        "bring the schema up to date, as every start of a gateway does" },
    { "backup", run_backup, 1, 1, "backup FILE",
        "write all tables, as they are at one moment, to a new SQLite file" },
    { "restore", run_restore, 1, 1, "restore FILE",
        "read a backup into the store, which may be of the other kind" },
    { "export", run_export, 0, 1, "export [TABLE]",
        "print the rows of a table (ledger) as JSON lines, or with --csv as CSV" },
    { "prune", run_prune, 0, 0, "prune", "delete now what is older than store.keep says" },
};

static void
print_actions(void)
{
    (void)puts("");
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        flags_print_line(actions[i].usage, actions[i].help);
}

static int
run_action(struct store_command *k, int count, char **words)
{
    for (size_t i = 0; count > 0 && i < ARRAY_LEN(actions); i++) {
        if (strcmp(words[0], actions[i].name) != 0)
            continue;
        if (count - 1 < actions[i].least || count - 1 > actions[i].most) {
            (void)fprintf(stderr, "openclaw store: write openclaw store %s\n", actions[i].usage);
            return 2;
        }
        int status = open_store(k);

        char *given[] = { count > 1 ? words[1] : NULL };
        return status != 0 ? status : actions[i].run(k, given);
    }
    (void)fprintf(stderr, "openclaw store: what? write check, migrate, backup FILE, restore FILE, "
                          "export [TABLE] or prune\n");
    return 2;
}

int
cmd_store(int argc, char **argv)
{
    struct store_command k = { .url = NULL };
    const struct flag list[] = {
        { "config", 'c', FLAG_TEXT, "FILE",
            "the configuration, which names the store (from OPENCLAW_CONFIG)", &k.config.path,
            NULL },
        { "set", 's', FLAG_CALL, "KEY=VALUE", "a setting put over the file; may be given again",
            &k.config, config_flags_set },
        { "url", 0, FLAG_TEXT, "URL",
            "another store than that of the configuration: sqlite:/path or postgres://...", &k.url,
            NULL },
        { "replace", 0, FLAG_BOOL, NULL, "let restore replace all that the store holds", &k.replace,
            NULL },
        { "csv", 0, FLAG_BOOL, NULL, "let export print CSV", &k.csv, NULL },
    };
    const struct flags flags = {
        .usage = "openclaw store check|migrate|backup|restore|export|prune [options]",
        .about =
            "Checks, migrates, backs up, restores, exports and prunes the store. A gateway may "
            "use it meanwhile.",
        .list = list,
        .count = ARRAY_LEN(list),
        .words = 3,
        .more = print_actions,
    };
    int rest;
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, &rest);

    if (verdict != FLAGS_OK)
        return verdict;
    k.arena = arena_create(TEXT_BYTES);
    buf_init(&k.out, TEXT_BYTES);
    int status = run_action(&k, rest, argv + 1);

    store_close(k.store);
    conf_destroy(k.conf);
    config_flags_fini(&k.config);
    buf_fini(&k.out);
    arena_destroy(k.arena);
    return status;
}

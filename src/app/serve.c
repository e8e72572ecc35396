/* serve.c - `openclaw serve`: starts the workers, then manages them: signals, reloads, draining.
 *
 * The main thread handles no requests. It loads and checks configurations, publishes
 * snapshots to the workers, and shuts the process down in order: it stops being
 * ready, gives load balancers time to notice, accepts no new connections, lets
 * streams finish, and closes what is left at the deadline.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin/admin.h"
#include "admin/socket.h"
#include "app/admin_socket.h"
#include "app/app.h"
#include "app/banner.h"
#include "app/books.h"
#include "app/config_flags.h"
#include "cli/flags.h"
#include "app/harden.h"
#include "app/memory_watch.h"
#include "app/preflight.h"
#include "app/pruner.h"
#include "app/simulator.h"
#include "app/state.h"
#include "app/watchdog.h"
#include "app/watched.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/allowances.h"
#include "control/keyring.h"
#include "control/resource.h"
#include "control/spent.h"
#include "gateway/conversations.h"
#include "gateway/chaos.h"
#include "gateway/endpoints.h"
#include "gateway/front.h"
#include "net/timer.h"
#include "policy/entries.h"

#define LOG_QUEUE_BYTES (4u * 1024 * 1024)
#define DRAIN_POLL_MS 50
#define GATHER_MS 100    /* file changes within this time are one reload */
#define SECOND_MS 1000
#define PEPPER_CHECK_MS 5000       /* until the store has answered once */
#define STORE_PATIENCE_MS 30000    /* for its first opening, and for all keys to be read */
#define WARNINGS_BYTES_MOST (512u * 1024)

enum drain_phase { DRAIN_NOT, DRAIN_GRACE, DRAIN_STREAMS };

struct serve {
    struct config_flags config;
    struct gateway gateway;
    struct snapshot *snapshot;    /* the latest; one reference */
    struct tls_context *tls;      /* the listeners'; one reference, may be NULL */
    struct arena *arena;          /* state that outlives reloads */
    struct conf_strs open;        /* the open addresses, as the first configuration named them */
    struct worker **workers;
    struct admin *admin;
    struct resources *resources;
    struct spent *spent;    /* of budgets */
    struct log_file *error_file;
    struct simulator simulator;
    struct loop *loop;
    struct timer timer;
    struct timer second;             /* once a second */
    struct timer memory;             /* when to look at memory again */
    struct timer gather;             /* a file changed: reload when it fires */
    struct watched_files watched;    /* a change of one means a reload */
    struct buf warnings;             /* access log lines not written yet */
    struct admin_socket admin_socket;
    struct state_pepper pepper;
    enum drain_phase phase;
    uint64_t deadline_ms;
};

/* --- configuration --- */

/* A configuration that was in force before, to be loaded instead of the file. */
struct rollback {
    struct str text;
    struct str name;         /* for messages */
    struct buf *ret_said;    /* gets what is wrong with it */
};

/* How many workers a configuration asks for. */
static unsigned
workers_of(const struct conf *c)
{
    return c->server.workers != 0 ? (unsigned)MIN(c->server.workers, WORKERS_MOST)
                                  : MIN(loop_cores(), WORKERS_MOST);
}

static void
on_file_change(void *arg)
{
    struct serve *s = arg;

    if (s->phase == DRAIN_NOT && !timer_is_set(&s->gather))
        timer_set(&s->gather, GATHER_MS);
}

/* Watches the configuration, and the files named by the one in use and by `tried`: a refused one
   is tried again when a file that it was missing appears. */
static void
watch_files(struct serve *s, const struct conf *tried)
{
    const struct conf *both[] = { s->snapshot != NULL ? s->snapshot->conf : NULL, tried };

    if (s->config.path != NULL && !s->config.once)
        watched_want(&s->watched, str_c(s->config.path));
    for (size_t i = 0; i < ARRAY_LEN(both); i++)
        for (size_t j = 0; both[i] != NULL && j < both[i]->files.count; j++)
            watched_want(&s->watched, both[i]->files.list[j].v);
    watched_settle(&s->watched);
}

static void
log_problem(void *arg, struct str line)
{
    (void)arg;
    log_line(LOG_ERROR, line);
}

static void
keep_warning(void *arg, struct str line)
{
    struct buf *warnings = arg;

    buf_add(warnings, line);
    buf_add_c(warnings, '\n');
}

/* At the start, warnings are found before the log is open. */
static void
log_warnings(struct serve *s)
{
    struct str line, rest = buf_str(&s->warnings);

    while (str_cut(rest, '\n', &line, &rest))
        log_line(LOG_WARN, line);
    buf_fini(&s->warnings);
}

static struct str
config_name(const struct serve *s, const struct rollback *back)
{
    if (back != NULL)
        return back->name;
    return str_c(s->config.path != NULL ? s->config.path : "(built in)");
}

/* Reports all problems: on standard error at the start, in the log later, and to whom asked for a
 * rollback. */
static void
tell_problems(
    const struct serve *s, const struct rollback *back, const struct conf_problems *problems)
{
    if (s->loop != NULL)
        conf_problems_each(problems, config_name(s, back), log_problem, NULL);
    else if (problems->count != 0)
        conf_problems_print(problems, config_name(s, back), STDERR_FILENO);
    if (back != NULL)
        conf_problems_each(problems, back->name, keep_warning, back->ret_said);
}

/* True if no real provider is configured. */
static bool
simulator_needed(const struct conf *c)
{
    const struct provider_row *row;
    bool needed = c->provider_count == 0;

    for (size_t i = 0; needed && (row = provider_row_at(i)) != NULL; i++)
        needed = row->base_url.n == 0 || !provider_env_is_on(row);
    return needed;
}

/* Only at the start: a running gateway does not turn into a simulated one. */
static bool
start_simulator(struct serve *s, const struct conf *c)
{
    char why[256];

    if (s->snapshot != NULL || !simulator_needed(c) || simulator_start(&s->simulator, WHY(why)))
        return true;
    (void)fprintf(stderr, "openclaw: the simulated provider could not start: %s\n", why);
    return false;
}

/* Loads and checks everything: the file, or what to roll back to. NULL when it must not be used.
 * *ret_tls is the certificate of the listeners, NULL without one. */
static struct snapshot *
load_snapshot(struct serve *s, const struct rollback *back, struct tls_context **ret_tls)
{
    struct arena *a = arena_create(1024 * 1024);
    struct snapshot *snapshot = NULL;
    struct conf_problems problems;

    conf_problems_init(&problems, a);
    struct conf *c = back != NULL
                         ? config_flags_load_text(&s->config, back->text, back->name, &problems)
                         : config_flags_load(&s->config, &problems);
    if (s->snapshot != NULL && problems.count == 0)
        conf_check_reload(s->snapshot->conf, &s->open, c, &problems);
    *ret_tls = preflight_tls(c, &problems);
    if (start_simulator(s, c)) {
        snapshot = snapshot_build(c, str_c(s->simulator.url), &problems);
    } else {
        conf_destroy(c);
        c = NULL;
    }
    if (s->snapshot != NULL && snapshot != NULL && problems.count == 0 &&
        s->snapshot->conf->given.providers && !c->given.providers &&
        providers_at(s->snapshot->providers, 0) != NULL &&
        providers_at(snapshot->providers, 0) == NULL)
        conf_problem(&problems, (struct conf_mark){ 0, 0 },
            "has lost its 'providers', and no other is switched on: it looks cut short; write them "
            "again, or restart to run without them");
    tell_problems(s, back, &problems);
    if (s->loop != NULL)
        watch_files(s, c);
    if (snapshot != NULL && problems.count == 0) {
        preflight_doubts(snapshot, &problems);
        conf_warnings_each(&problems, config_name(s, back), keep_warning, &s->warnings);
    } else {
        snapshot_unref(snapshot);
        snapshot = NULL;
        tls_context_unref(*ret_tls);
        *ret_tls = NULL;
    }
    arena_destroy(a);
    return snapshot;
}

static bool
same_strs(const struct conf_strs *a, const struct conf_strs *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!str_eq(a->list[i].v, b->list[i].v))
            return false;
    return true;
}

/* Warns of changed settings that a running process cannot apply. */
static void
warn_of_fixed_settings(const struct conf *now, const struct conf *next)
{
    const struct conf_server *a = &now->server, *b = &next->server;
    const struct conf_observe *oa = &now->observe, *ob = &next->observe;
    const struct {
        const char *name;
        bool differs;
    } fixed[] = {
        { "server.listen", !same_strs(&a->listen, &b->listen) },
        { "server.admin_listen", !str_eq(a->admin_listen.v, b->admin_listen.v) },
        { "server.admin_socket", !str_eq(a->admin_socket.v, b->admin_socket.v) },
        { "server.workers", a->workers != b->workers },
        { "server.tls (on or off)", (a->tls_cert.v.n != 0) != (b->tls_cert.v.n != 0) },
        { "auth.pepper", !str_eq(now->auth.pepper.v, next->auth.pepper.v) },
        { "store.url", !str_eq(now->store.url.v, next->store.url.v) },
        { "store.journal", now->store.journal_bytes != next->store.journal_bytes ||
                               !str_eq(now->store.journal_folder.v, next->store.journal_folder.v) },
        { "server.limits.metric_series", a->limit_metric_series != b->limit_metric_series },
        { "observe.log.path", !str_eq(oa->log_path.v, ob->log_path.v) },
        { "observe.access.path", !str_eq(oa->access_path.v, ob->access_path.v) },
        { "observe.access.format", !str_eq(oa->access_format.v, ob->access_format.v) },
    };
    struct buf names;

    buf_init(&names, 1024);
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        if (fixed[i].differs)
            buf_printf(&names, "%s%s", buf_len(&names) != 0 ? ", " : "", fixed[i].name);
    }
    if (buf_len(&names) != 0)
        log_warn(
            NULL, "changes of " STR_FMT " take effect at the next start", STR_ARG(buf_str(&names)));
    buf_fini(&names);
}

static void
publish(struct serve *s, struct snapshot *snapshot, struct tls_context *tls)
{
    snapshot->generation = s->snapshot->generation + 1;
    for (unsigned i = 0; i < s->gateway.workers; i++)
        worker_reload(
            s->workers[i], snapshot_ref(snapshot), tls != NULL ? tls_context_ref(tls) : NULL);
    snapshot_unref(s->snapshot);
    s->snapshot = snapshot;
    tls_context_unref(s->tls);
    s->tls = tls;
    atomic_store(&s->gateway.generation, snapshot->generation);
    entries_publish(s->gateway.scopes, snapshot->conf);
}

/* Opens the error log, with the level of the current configuration. */
static void
start_log(const struct serve *s)
{
    struct str format = s->snapshot->conf->observe.log_format.v;
    bool json = str_eq(format, S("auto")) ? !log_file_is_terminal(s->error_file)
                                          : str_eq(format, S("json"));
    enum log_level least;

    if (!log_level_named(s->snapshot->conf->observe.log_level.v, &least))
        least = LOG_INFO;
    log_start(s->error_file, least, json);
}

/* Logs what is running: version, addresses, configuration. */
static void
log_in_use(const struct serve *s, const char *what)
{
    const struct provider *p;
    struct buf b;

    buf_init(&b, 4096);
    for (size_t i = 0; worker_address(s->workers[0], i).n != 0; i++)
        buf_printf(
            &b, "%s" STR_FMT, i == 0 ? " on " : ", ", STR_ARG(worker_address(s->workers[0], i)));
    buf_printf(&b, "; configuration %s, generation %llu; providers:",
        s->config.path != NULL ? s->config.path : "from the environment",
        (unsigned long long)s->snapshot->generation);
    for (size_t i = 0; (p = providers_at(s->snapshot->providers, i)) != NULL; i++)
        buf_printf(&b, " " STR_FMT, STR_ARG(p->id));
    log_info(NULL, "%s: openclaw " OPENCLAW_VERSION ", %u %s" STR_FMT, what, s->gateway.workers,
        s->gateway.workers == 1 ? "worker" : "workers", STR_ARG(buf_str(&b)));
    buf_fini(&b);
}

/* Notes it for the audit record. A reload is the file's doing, or that of a signal. */
static void
note_reload(struct serve *s, const struct rollback *back, bool good)
{
    audit_note(
        s->gateway.audit, &(struct audit_event){ .actor = back != NULL ? S("local") : S("file"),
                              .action = back != NULL ? S("config.rollback") : S("config.reload"),
                              .object = config_name(s, back),
                              .outcome = good ? S("done") : S("refused") });
}

/* A new configuration is applied completely or not at all. */
static bool
reload(struct serve *s, const struct rollback *back)
{
    const char *what = back != NULL ? "rollback" : "reload";
    struct tls_context *tls = NULL;

    timer_stop(&s->gather);
    struct snapshot *snapshot = load_snapshot(s, back, &tls);

    note_reload(s, back, snapshot != NULL);
    if (snapshot == NULL) {
        atomic_fetch_add(&s->gateway.reloads_failed, 1);
        log_error(NULL,
            "%s refused: the configuration in use stays; the lines above say what is wrong", what);
        return false;
    }
    warn_of_fixed_settings(s->snapshot->conf, snapshot->conf);
    publish(s, snapshot, tls);
    watch_files(s, NULL);    /* no longer those that only the old one named */
    start_log(s);
    log_warnings(s);
    memory_watch_set(&s->gateway, s->snapshot->conf);
    pruner_set(s->snapshot->conf);
    chaos_warn(s->snapshot->conf);
    atomic_fetch_add(&s->gateway.reloads_ok, 1);
    log_in_use(s, back != NULL ? "rolled back" : "reloaded");
    return true;
}

/* For the admin API: puts an earlier configuration in force, as a reload would. */
static bool
on_rollback(void *owner, struct str text, uint64_t generation, struct buf *ret_said)
{
    struct serve *s = owner;
    struct str file = config_name(s, NULL);
    char name[PATH_MAX + 64];
    int n = snprintf(name, sizeof(name), STR_FMT " (generation %llu)", STR_ARG(file),
        (unsigned long long)generation);
    const struct rollback back = { text, str_make(name, MIN((size_t)n, sizeof(name) - 1)),
        ret_said };

    if (s->phase != DRAIN_NOT) {
        buf_add(ret_said, S("the gateway is draining"));
        return false;
    }
    if (!reload(s, &back))
        return false;
    bool is_file = str_eq(text, buf_str(&s->config.text));

    admin_note_loaded(s->admin, s->snapshot->generation, is_file ? 0 : generation, text);
    if (!is_file)
        log_warn(NULL,
            "rolled back: generation %llu has the configuration of generation %llu, and not that "
            "of the file " STR_FMT ", which the next reload (SIGHUP, or a change of the file) uses "
            "again",
            (unsigned long long)s->snapshot->generation, (unsigned long long)generation,
            STR_ARG(file));
    return true;
}

/* Loads the file again. */
static void
reload_file(struct serve *s)
{
    if (reload(s, NULL))
        admin_note_loaded(s->admin, s->snapshot->generation, 0, buf_str(&s->config.text));
}

/* --- ending --- */

static void
stop_workers(struct serve *s)
{
    for (unsigned i = 0; i < s->gateway.workers; i++)
        worker_stop(s->workers[i]);
    loop_stop(s->loop);
}

static unsigned
busy(const struct serve *s)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < s->gateway.workers; i++)
        sum += worker_busy(s->workers[i]);
    return sum;
}

static void
drain_streams(struct serve *s)
{
    s->phase = DRAIN_STREAMS;
    s->deadline_ms = loop_now_ms(s->loop) + s->snapshot->conf->server.drain_deadline_ms;
    for (unsigned i = 0; i < s->gateway.workers; i++)
        worker_drain(s->workers[i]);
    timer_set(&s->timer, DRAIN_POLL_MS);
}

static void
on_timer(void *arg)
{
    struct serve *s = arg;

    if (s->phase == DRAIN_GRACE) {
        drain_streams(s);
        return;
    }
    unsigned left = busy(s);
    if (left != 0 && loop_now_ms(s->loop) < s->deadline_ms) {
        timer_set(&s->timer, DRAIN_POLL_MS);
        return;
    }
    if (left != 0)
        log_warn(NULL, "the drain deadline has passed: %u connections are closed", left);
    stop_workers(s);
}

/* SIGTERM comes from a supervisor, and load balancers need time to notice; SIGINT comes from a
 * person. */
static void
on_end_signal(void *arg, int signo)
{
    struct serve *s = arg;
    uint64_t grace_ms = signo == SIGTERM ? s->snapshot->conf->server.drain_grace_ms : 0;

    if (s->phase != DRAIN_NOT) {
        log_warn(NULL, "stopping at once");
        timer_stop(&s->timer);
        stop_workers(s);
        return;
    }
    log_info(NULL, "draining: no longer ready, requests under way continue");
    atomic_store(&s->gateway.draining, true);
    for (unsigned i = 0; i < s->gateway.workers; i++)
        worker_leave(s->workers[i]);
    if (grace_ms == 0) {
        drain_streams(s);
        return;
    }
    s->phase = DRAIN_GRACE;
    timer_set(&s->timer, grace_ms);
}

/* Reopens a log. A failure is reported at once, also on standard error: the error log may be the
   one that failed. */
static void
reopen_log(const struct serve *s, struct log_file *f)
{
    if (f == NULL || log_file_reopen(f))
        return;
    const char *why = strerror(errno);
    struct log_context who = { .subject = str_c(log_file_path(f)) };
    log_error(&who, "cannot reopen a log: %s; still writing to the old file", why);
    if (strcmp(log_file_path(s->error_file), "stderr") != 0)
        (void)fprintf(stderr, "openclaw: cannot reopen the log %s: %s\n", log_file_path(f), why);
}

/* SIGHUP reopens the logs and reloads; SIGUSR1, as in nginx, only reopens the logs. */
static void
on_hangup(void *arg, int signo)
{
    struct serve *s = arg;

    reopen_log(s, s->error_file);
    reopen_log(s, s->gateway.access_file);
    if (signo != SIGHUP || s->phase != DRAIN_NOT)
        return;
    if (s->config.once)
        log_warn(NULL,
            "%s is not a regular file and cannot be read again: what it held at the start "
            "is used, with the files that it names as they are now",
            s->config.path);
    reload_file(s);
}

static void
on_gathered(void *arg)
{
    struct serve *s = arg;

    if (s->phase == DRAIN_NOT)
        reload_file(s);
}

static void
on_second(void *arg)
{
    struct serve *s = arg;

    log_sum_up();
    watchdog_look(&s->gateway, s->workers);
    if (s->phase == DRAIN_NOT)
        admin_socket_retry(&s->admin_socket);
    timer_set(&s->second, SECOND_MS);
}

static void
on_memory(void *arg)
{
    struct serve *s = arg;

    timer_set(&s->memory, memory_watch_look(&s->gateway));
}

/* --- starting --- */

static bool
open_logs(struct serve *s)
{
    const struct conf_observe *o = &s->snapshot->conf->observe;

    s->error_file = log_file_open(o->log_path.v.p, LOG_QUEUE_BYTES);
    if (s->error_file == NULL) {
        (void)fprintf(
            stderr, "openclaw: cannot open the log %s: %s\n", o->log_path.v.p, strerror(errno));
        return false;
    }
    if (!str_eq(o->access_path.v, S("off"))) {
        s->gateway.access_file = log_file_open(o->access_path.v.p, LOG_QUEUE_BYTES);
        if (s->gateway.access_file == NULL) {
            (void)fprintf(stderr, "openclaw: cannot open the access log %s: %s\n",
                o->access_path.v.p, strerror(errno));
            return false;
        }
        s->gateway.access_form = access_log_form(o->access_format.v, s->gateway.access_file);
    }
    start_log(s);
    return true;
}

/* Each stream takes two sockets: raise the limit of descriptors as far as allowed. */
static void
raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void
free_workers(struct serve *s)
{
    for (unsigned i = 0; i < s->gateway.workers; i++)
        worker_join(s->workers[i]);
    free(s->workers);
    s->workers = NULL;
}

static bool
create_workers(struct serve *s)
{
    char why[256] = "";

    s->workers = check_alloc(calloc(s->gateway.workers, sizeof(struct worker *)));
    for (unsigned i = 0; i < s->gateway.workers; i++) {
        s->workers[i] = worker_create(&s->gateway, i, i != 0 ? s->workers[0] : NULL,
            snapshot_ref(s->snapshot), s->tls != NULL ? tls_context_ref(s->tls) : NULL, WHY(why));
        if (s->workers[i] != NULL)
            continue;
        (void)fprintf(stderr, "openclaw: %s\n", why);
        while (i-- > 0)
            worker_join(s->workers[i]);
        free(s->workers);
        s->workers = NULL;
        return false;
    }
    return true;
}

static void
print_banner(const struct serve *s)
{
    const struct banner banner = {
        .address = worker_address(s->workers[0], 0),
        .tls = s->tls != NULL,
        .keys = s->snapshot->conf->auth.mode == AUTH_KEYS,
        .workers = s->gateway.workers,
    };

    banner_print(&banner, s->snapshot);
}

/* Handles signals and file changes from here on, before the first request is served. */
static void
watch(struct serve *s)
{
    static const int ends[] = { SIGTERM, SIGINT };

    s->loop = loop_create();
    s->watched = (struct watched_files){ .loop = s->loop, .changed = on_file_change, .arg = s };
    timer_init(&s->timer, s->loop, on_timer, s);
    timer_init(&s->second, s->loop, on_second, s);
    timer_init(&s->memory, s->loop, on_memory, s);
    timer_init(&s->gather, s->loop, on_gathered, s);
    timer_set(&s->second, SECOND_MS);
    timer_set(&s->memory, SECOND_MS);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        loop_on_signal(s->loop, ends[i], on_end_signal, s);
    loop_on_signal(s->loop, SIGHUP, on_hangup, s);
    loop_on_signal(s->loop, SIGUSR1, on_hangup, s);
    watch_files(s, s->snapshot->conf);
}

/* Runs until the workers have ended. */
static void
tend(struct serve *s)
{
    loop_run(s->loop);
    admin_close(s->admin);
    steward_close(s->gateway.steward);
    free_workers(s);
    steward_destroy(s->gateway.steward);
    books_close(&s->gateway);
    audit_log_destroy(s->gateway.audit);
    admin_socket_close(&s->admin_socket);
    timer_stop(&s->timer);
    timer_stop(&s->second);
    timer_stop(&s->memory);
    timer_stop(&s->gather);
    watched_settle(&s->watched);    /* none is wanted any more */
    loop_destroy(s->loop);
}

/* The snapshot that named them may be released. */
static void
keep_addresses(struct serve *s)
{
    const struct conf_strs *listen = &s->snapshot->conf->server.listen;

    s->open.list = arena_array(s->arena, struct conf_str, listen->count);
    for (size_t i = 0; i < listen->count; i++)
        s->open.list[s->open.count++].v =
            arena_printf(s->arena, STR_FMT, STR_ARG(listen->list[i].v));
}

/* Opens the store, as the user who is to write it. */
static bool
open_store(struct serve *s, bool of_system)
{
    char why[512];

    s->pepper = state_pepper(s->snapshot->conf, of_system, s->arena);
    s->spent = spent_create(s->gateway.scopes);
    directory_set_pepper(s->gateway.directory, s->pepper.text);
    s->gateway.steward = state_open(s->snapshot->conf, of_system, s->resources, WHY(why));
    s->gateway.audit = state_audit(s->snapshot->conf, of_system);
    const char *what = "store.url";

    if (s->gateway.steward != NULL) {
        (void)steward_every(
            s->gateway.steward, "pepper", PEPPER_CHECK_MS, state_check_pepper, &s->pepper);
        pruner_add(s->gateway.steward, s->snapshot->conf);
        if (s->gateway.audit != NULL)
            (void)steward_every(s->gateway.steward, "audit record", AUDIT_LOG_PERIOD_MS,
                audit_log_drain, s->gateway.audit);
        what = "store.journal";
        if (books_open(&s->gateway, s->workers, s->snapshot->conf, of_system, WHY(why))) {
            what = "store.url";
            (void)steward_every(
                s->gateway.steward, "budgets", SPENT_PERIOD_MS, spent_read, s->spent);
            if (steward_start(s->gateway.steward, STORE_PATIENCE_MS, WHY(why)))
                return true;
        }
    }
    (void)fprintf(stderr, "openclaw: %s: %s\n", what, why);
    steward_destroy(s->gateway.steward);
    books_close(&s->gateway);
    audit_log_destroy(s->gateway.audit);
    return false;
}

/* Prepares files for the change of user: logs are given to the new user, so that they can be
   reopened. */
static bool
become_user(struct serve *s)
{
    const struct conf *c = s->snapshot->conf;
    const char *logs[] = { c->observe.log_path.v.p, c->observe.access_path.v.p };
    char why[256];

    if (c->server.user.v.n != 0 && harden_is_root())
        for (size_t i = 0; i < ARRAY_LEN(logs); i++)
            harden_give(logs[i], c->server.user.v);
    if (!harden_become(c->server.user.v, WHY(why))) {
        (void)fprintf(stderr, "openclaw: %s\n", why);
        return false;
    }
    if (!c->server.core_dumps)
        harden_memory();
    if (harden_is_root())
        log_warn(NULL, "running as root, which is not needed: start it as another user, or set "
                       "server.user to switch to a user once the addresses are open");
    for (size_t i = 0; i < c->files.count; i++)
        if (access(c->files.list[i].v.p, R_OK) != 0)
            log_warn(NULL, "%s cannot be read as user '" STR_FMT "': reloads will be refused",
                c->files.list[i].v.p, STR_ARG(c->server.user.v));
    return true;
}

static int
run(struct serve *s)
{
    harden_privileges();
    /* blocked until they are handled: an early one must not kill the process */
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGUSR1, SIG_IGN);
    raise_file_limit();
    s->snapshot = load_snapshot(s, NULL, &s->tls);
    if (s->snapshot == NULL)
        return 2;
    keep_addresses(s);
    const struct conf *c = s->snapshot->conf;
    s->gateway.events = &front_events;
    s->gateway.workers = workers_of(c);
    s->gateway.started_wall_ms = clock_wall_ms();
    atomic_store(&s->gateway.generation, s->snapshot->generation);
    s->gateway.metrics = metrics_create(
        s->gateway.workers, c->server.limit_metric_series, endpoint_names, ENDPOINT_COUNT);
    s->gateway.conversations = conversations_create();
    s->gateway.directory = directory_create();
    s->gateway.scopes = scopes_create();
    entries_publish(s->gateway.scopes, c);
    s->admin = admin_create(&s->gateway);
    s->resources = resources_create();
    keyring_watch(s->resources, s->gateway.directory);
    allowances_watch(s->resources, s->gateway.scopes);
    admin_note_loaded(s->admin, s->snapshot->generation, 0, buf_str(&s->config.text));
    if (!open_logs(s) || !create_workers(s))
        return 1;
    s->admin_socket = (struct admin_socket){ .workers = s->workers, .count = s->gateway.workers };
    struct str path =
        admin_socket_path(s->arena, c->server.admin_socket.v, worker_address(s->workers[0], 0));
    bool of_system = state_give(c);
    if (!admin_socket_open(&s->admin_socket, c->server.admin_socket.v, path) || !become_user(s) ||
        !open_store(s, of_system)) {
        free_workers(s);
        admin_socket_close(&s->admin_socket);
        return 1;
    }
    watch(s);
    const struct admin_control control = {
        .owner = s,
        .loop = s->loop,
        .rollback = on_rollback,
        .resources = s->resources,
        .pepper = atomic_load(&s->pepper.other) ? S("") : s->pepper.text,
    };
    admin_open(s->admin, s->workers, &control);
    for (unsigned i = 0; i < s->gateway.workers; i++)
        worker_start(s->workers[i]);
    print_banner(s);
    log_in_use(s, "started");
    log_warnings(s);
    chaos_warn(s->snapshot->conf);
    memory_watch_set(&s->gateway, s->snapshot->conf);
    tend(s);
    log_info(NULL, "ended");
    return 0;
}

int
cmd_serve(int argc, char **argv)
{
    static struct serve s;
    const struct flag list[] = {
        { "config", 'c', FLAG_TEXT, "FILE",
            "the configuration, - for standard input (from OPENCLAW_CONFIG); without it, providers "
            "whose key is in the environment are used",
            &s.config.path, NULL },
        { "listen", 'l', FLAG_CALL, "ADDR",
            "listen on this address instead: HOST:PORT, :PORT or unix:/path", &s.config,
            config_flags_listen },
        { "set", 's', FLAG_CALL, "KEY=VALUE",
            "a setting put over the file, for example server.workers=1; may be given again",
            &s.config, config_flags_set },
    };
    const struct flags flags = {
        .usage = "openclaw serve [options]",
        .about =
            "Runs the gateway. SIGHUP or a change of the file reloads it; SIGTERM drains and ends.",
        .list = list,
        .count = ARRAY_LEN(list),
    };
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, NULL);
    if (verdict != FLAGS_OK)
        return verdict;
    config_flags_from_environment(&s.config);
    s.arena = arena_create(64 * 1024);
    buf_init(&s.warnings, WARNINGS_BYTES_MOST);
    int status = run(&s);
    admin_destroy(s.admin);
    spent_destroy(s.spent);
    resources_destroy(s.resources);
    snapshot_unref(s.snapshot);
    tls_context_unref(s.tls);
    simulator_stop(&s.simulator);
    log_stop();
    log_file_close(s.gateway.access_file);
    log_file_close(s.error_file);
    metrics_destroy(s.gateway.metrics);
    conversations_destroy(s.gateway.conversations);
    directory_destroy(s.gateway.directory);
    scopes_destroy(s.gateway.scopes);
    config_flags_fini(&s.config);
    buf_fini(&s.warnings);
    arena_destroy(s.arena);
    return status;
}

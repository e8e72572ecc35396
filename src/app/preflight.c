/* preflight.c - finds what `serve` would run into, and reports it with its position in the file. */
#include "app/preflight.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/harden.h"
#include "base/clock.h"
#include "gateway/worker.h"
#include "net/certificate.h"
#include "net/listen.h"
#include "route/rules_check.h"

enum { DAY_S = 24 * 3600, EXPIRES_SOON_DAYS = 14 };

struct tls_context *
preflight_tls(const struct conf *c, struct conf_problems *problems)
{
    char why[256];

    if (c->server.tls_cert.v.n == 0 || c->server.tls_key.v.n == 0)
        return NULL;
    struct tls_context *tls =
        tls_server_create(c->server.tls_cert.v.p, c->server.tls_key.v.p, WHY(why));
    if (tls == NULL)
        conf_problem(problems, c->server.tls_cert.mark, "'server.tls' cannot be used: %s", why);
    return tls;
}

/* --- warnings --- */

static struct str
date_text(struct arena *a, int64_t at_s)
{
    time_t t = (time_t)at_s;
    struct tm tm;
    char text[32];

    if (gmtime_r(&t, &tm) == NULL || strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &tm) == 0)
        return S("a date that is out of range");
    return arena_printf(a, "%s", text);
}

static void
doubt_certificate(const char *what, struct conf_mark mark, const struct certificate *cert,
    struct conf_problems *problems)
{
    int64_t now_s = (int64_t)(clock_wall_ms() / 1000);
    struct arena *a = problems->arena;

    if (cert->not_after_s <= now_s)
        conf_warn(problems, mark, "%s expired on " STR_FMT "; replace it", what,
            STR_ARG(date_text(a, cert->not_after_s)));
    else if (cert->not_before_s > now_s)
        conf_warn(problems, mark, "%s is not valid before " STR_FMT "; check it and the clock",
            what, STR_ARG(date_text(a, cert->not_before_s)));
    else if (cert->not_after_s - now_s < (int64_t)EXPIRES_SOON_DAYS * DAY_S)
        conf_warn(problems, mark, "%s expires on " STR_FMT "; replace it before", what,
            STR_ARG(date_text(a, cert->not_after_s)));
}

static void
doubt_file(const struct conf_provider *p, const char *setting, const struct conf_str *file,
    bool longest, struct conf_problems *problems)
{
    struct certificate cert;

    if (file->v.n == 0 || !(longest ? certificate_read_longest(file->v.p, &cert)
                                    : certificate_read(file->v.p, &cert)))
        return;
    struct str what = arena_printf(problems->arena, "the %s of '" STR_FMT STR_FMT "%s'",
        longest ? "longest valid authority" : "certificate (or its chain)",
        STR_ARG(p != NULL ? S("providers.") : S("")), STR_ARG(p != NULL ? p->id.v : S("")),
        setting);
    doubt_certificate(what.p, file->mark, &cert, problems);
}

static void
doubt_certificates(const struct conf *c, struct conf_problems *problems)
{
    doubt_file(NULL, "server.tls.cert", &c->server.tls_cert, false, problems);
    for (size_t i = 0; i < c->provider_count; i++) {
        const struct conf_provider *p = &c->providers[i];

        doubt_file(p, ".ca_file", &p->ca_file, true, problems);
        doubt_file(p, ".client_cert", &p->client_cert, false, problems);
    }
}

/* Is it one of the private keys? */
static bool
is_private_key(const struct conf *c, struct str path)
{
    if (str_eq(path, c->server.tls_key.v))
        return true;
    for (size_t i = 0; i < c->provider_count; i++) {
        const struct conf_provider *p = &c->providers[i];

        if (str_eq(path, p->client_key.v.n != 0 ? p->client_key.v : p->client_cert.v))
            return true;
    }
    return false;
}

/* Secrets mounted by Kubernetes or Docker are readable by everybody inside the container only.
   Kubernetes': links into a folder "..data". */
static bool
is_mounted_secret(const char *path)
{
    char *real = realpath(path, NULL);
    bool mounted = real != NULL &&
                   (strstr(real, "/..") != NULL || str_starts(str_c(real), S("/run/secrets/")) ||
                       str_starts(str_c(real), S("/var/run/secrets/")));

    free(real);
    return mounted;
}

/* Warns of secrets that every user of this machine may read. */
static void
doubt_permissions(const struct conf *c, struct conf_problems *problems)
{
    for (size_t i = 0; i < c->files.count; i++) {
        const struct conf_str *f = &c->files.list[i];
        bool secret = f->secret || is_private_key(c, f->v);
        struct stat st;

        if (secret && stat(f->v.p, &st) == 0 && S_ISREG(st.st_mode) &&
            (st.st_mode & S_IROTH) != 0 && !is_mounted_secret(f->v.p))
            conf_warn(problems, f->mark,
                "every user of this machine may read %s, which holds a secret; chmod o= it",
                f->v.p);
    }
}

/* Could a model that a client asks for match? An exact one is looked up as it will be; of a pattern
 * at least an alias or a provider must match. */
static bool
is_answered(const struct snapshot *s, struct arena *a, struct str pattern)
{
    struct str head, tail, why;
    struct route_found found;
    const struct alias *alias;
    const struct provider *p;

    if (str_chr(pattern, '*') == pattern.n)
        return route_find(s->routes, a, pattern, &found, &why) == OK;
    for (size_t i = 0; (alias = table_alias_at(s->routes, i)) != NULL; i++)
        if (auth_glob(pattern, alias->name))
            return true;
    if (!str_cut(pattern, '/', &head, &tail))
        return true;    /* models without a provider's name: any provider may be meant */
    for (size_t i = 0; (p = providers_at(s->providers, i)) != NULL; i++)
        if (auth_glob(head, p->id))
            return true;
    return false;
}

static void
doubt_models(const struct snapshot *s, struct conf_problems *problems)
{
    for (size_t i = 0; i < s->conf->auth.key_count; i++) {
        const struct conf_strs *models = &s->conf->auth.keys[i].models;

        for (size_t j = 0; j < models->count; j++) {
            struct arena *a = arena_create(64 * 1024);

            if (!is_answered(s, a, models->list[j].v))
                conf_warn(problems, models->list[j].mark,
                    "'auth.keys[%zu].models[%zu]' is neither an alias nor a model of a provider "
                    "that is on; requests for it will fail",
                    i, j);
            arena_destroy(a);
        }
    }
}

void
preflight_doubts(const struct snapshot *s, struct conf_problems *problems)
{
    doubt_certificates(s->conf, problems);
    doubt_permissions(s->conf, problems);
    doubt_models(s, problems);
    providers_warnings(s->providers, problems);
    table_warnings(s->routes, problems);
    rules_warnings(s->rules, s->conf, problems);
}

/* --- the machine --- */

static void
on_accept(void *owner, struct sock *s)
{
    (void)owner;
    sock_close(s);
}

/* Opens an address as `serve` would; NULL after reporting why it cannot be opened. */
static struct listener *
try_listen(struct loop *l, const struct listen_options *options, const struct conf_str *address,
    struct conf_problems *problems)
{
    char why[256] = "";

    errno = 0;
    struct listener *li = listen_open_with(l, address->v, options, NULL, on_accept, NULL, WHY(why));
    if (li != NULL)
        return li;
    if (errno == EADDRINUSE)
        conf_warn(
            problems, address->mark, "%s (ignore this if the gateway itself is running)", why);
    else if (errno == EACCES || errno == EPERM)
        conf_warn(problems, address->mark, "%s (another user may be allowed to)", why);
    else
        conf_problem(problems, address->mark, "%s", why);
    return NULL;
}

/* Opens all addresses at the same time, to find those that conflict with each other. */
static void
try_listeners(const struct conf_server *s, struct conf_problems *problems)
{
    struct listener *open[GATEWAY_LISTENERS];
    bool admin = s->admin_listen.v.n != 0;
    size_t n = 0;

    if (s->listen.count + admin > ARRAY_LEN(open)) {
        conf_problem(problems, s->listen.list[0].mark,
            "'server.listen' and 'server.admin_listen' are more than %d addresses; write fewer",
            GATEWAY_LISTENERS);
        return;
    }
    struct loop *l = loop_create();
    for (size_t i = 0; i < s->listen.count + admin; i++) {
        const struct conf_str *address =
            i < s->listen.count ? &s->listen.list[i] : &s->admin_listen;
        const struct listen_options options = worker_listen_options(s, address->v);

        open[n] = try_listen(l, &options, address, problems);
        n += open[n] != NULL;
    }
    while (n-- > 0)
        listen_close(open[n]);
    loop_destroy(l);
}

/* One that is chosen by itself is done without if it cannot be opened. */
static void
try_admin_socket(const struct conf_str *setting, struct conf_problems *problems)
{
    static const struct listen_options options = { .unix_mode = S_INIT("0600") };

    if (str_eq(setting->v, S("auto")) || str_eq(setting->v, S("off")))
        return;
    const struct conf_str address = {
        .v = arena_printf(problems->arena, "unix:" STR_FMT, STR_ARG(setting->v)),
        .mark = setting->mark,
    };
    struct loop *l = loop_create();
    listen_close(try_listen(l, &options, &address, problems));
    loop_destroy(l);
}

/* Checks without creating the file. */
static void
try_log(const char *setting, const struct conf_str *log, struct conf_problems *problems)
{
    struct arena *a = problems->arena;
    struct str folder = log->v;
    struct stat st;
    int error = 0;

    if (str_eq(log->v, S("stdout")) || str_eq(log->v, S("stderr")) || str_eq(log->v, S("off")))
        return;
    while (folder.n != 0 && folder.p[folder.n - 1] != '/')
        folder.n--;
    const char *where = folder.n != 0 ? arena_printf(a, STR_FMT, STR_ARG(folder)).p : ".";
    if (stat(log->v.p, &st) == 0)
        error = S_ISDIR(st.st_mode) ? EISDIR : access(log->v.p, W_OK) != 0 ? errno : 0;
    else if (errno != ENOENT || access(where, W_OK | X_OK) != 0)
        error = errno;
    if (error != 0)
        conf_problem(problems, log->mark,
            "'%s' cannot be written: %s: %s; create its folder, or change its permissions", setting,
            log->v.p, strerrordesc_np(error));
}

/* `check` may run as another user than `serve`: as root, what is said is final. */
static void
try_user(const struct conf_str *user, struct conf_problems *problems)
{
    char why[512];

    if (harden_can_become(user->v, WHY(why)))
        return;
    if (harden_is_root())
        conf_problem(problems, user->mark, "%s", why);
    else
        conf_warn(problems, user->mark, "%s", why);
}

void
preflight_machine(const struct conf *c, struct conf_problems *problems)
{
    try_user(&c->server.user, problems);
    try_listeners(&c->server, problems);
    try_admin_socket(&c->server.admin_socket, problems);
    try_log("observe.log.path", &c->observe.log_path, problems);
    try_log("observe.access.path", &c->observe.access_path, problems);
}

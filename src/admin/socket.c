/* socket.c - systemd's folder, the user's, or the one for temporary files. */
#include "admin/socket.h"

#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEMD_NAME "admin.sock"

/* The first folder of a variable like "/run/openclaw:/run/other"; empty if it is not set. */
static struct str
folder(const char *variable)
{
    const char *text = getenv(variable);    /* NOLINT(concurrency-mt-unsafe): never modified */
    struct str first, rest;

    (void)str_cut(str_c(text), ':', &first, &rest);
    return first.n != 0 && first.p[0] == '/' ? first : S("");
}

/* "8080"; of a gateway that listens on no port, its process. */
static struct str
instance(struct arena *a, struct str address)
{
    size_t at = address.n;

    if (str_starts(address, S("unix:")) || address.n == 0)
        return arena_printf(a, "pid-%ld", (long)getpid());
    while (at != 0 && address.p[at - 1] != ':')
        at--;
    return str_skip(address, at);
}

struct str
admin_socket_path(struct arena *a, struct str setting, struct str address)
{
    struct str systemd = folder("RUNTIME_DIRECTORY"), user = folder("XDG_RUNTIME_DIR");

    if (str_eq(setting, S("off")))
        return S("");
    if (!str_eq(setting, S("auto")))
        return setting;
    if (systemd.n != 0)
        return arena_printf(a, STR_FMT "/" SYSTEMD_NAME, STR_ARG(systemd));
    struct str name = instance(a, address);
    if (user.n != 0)
        return arena_printf(a, STR_FMT "/openclaw-" STR_FMT ".sock", STR_ARG(user), STR_ARG(name));
    return arena_printf(
        a, "/tmp/openclaw-%lu-" STR_FMT ".sock", (unsigned long)geteuid(), STR_ARG(name));
}

/* Adds the sockets whose path matches. */
static size_t
find(struct arena *a, const char *pattern, bool own_only, struct str *list, size_t n)
{
    glob_t found;
    struct stat st;

    if (glob(pattern, 0, NULL, &found) != 0)
        return n;
    for (size_t i = 0; i < found.gl_pathc && n < ADMIN_SOCKETS_MOST; i++)
        if (lstat(found.gl_pathv[i], &st) == 0 && S_ISSOCK(st.st_mode) &&
            (!own_only || st.st_uid == geteuid()))
            list[n++] = arena_printf(a, "%s", found.gl_pathv[i]);
    globfree(&found);
    return n;
}

size_t
admin_socket_find(struct arena *a, struct str *ret_list)
{
    struct str systemd = folder("RUNTIME_DIRECTORY"), user = folder("XDG_RUNTIME_DIR");
    size_t n = 0;

    if (systemd.n != 0)
        n = find(
            a, arena_printf(a, STR_FMT "/" SYSTEMD_NAME, STR_ARG(systemd)).p, false, ret_list, n);
    if (user.n != 0)
        n = find(
            a, arena_printf(a, STR_FMT "/openclaw-*.sock", STR_ARG(user)).p, false, ret_list, n);
    n = find(a, arena_printf(a, "/tmp/openclaw-%lu-*.sock", (unsigned long)geteuid()).p, true,
        ret_list, n);
    return find(a, "/run/openclaw*/" SYSTEMD_NAME, false, ret_list, n);
}

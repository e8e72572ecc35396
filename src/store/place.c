/* place.c - systemd's folder, the user's, or the system's. */
#include "store/place.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "openclaw.db"

/* The first folder of a variable like "/var/lib/openclaw:/var/lib/other"; empty if it is not set. */
static struct str
folder_of(const char *variable)
{
    const char *text = getenv(variable);    /* NOLINT(concurrency-mt-unsafe): never modified */
    struct str first, rest;

    (void)str_cut(str_c(text), ':', &first, &rest);
    return first.n != 0 && first.p[0] == '/' ? first : S("");
}

struct str
place_folder(struct arena *a, bool of_system)
{
    struct str systemd = folder_of("STATE_DIRECTORY"), state = folder_of("XDG_STATE_HOME"),
               home = folder_of("HOME");

    if (systemd.n != 0)
        return arena_printf(a, STR_FMT, STR_ARG(systemd));
    if (of_system)
        return S("/var/lib/openclaw");
    if (state.n != 0)
        return arena_printf(a, STR_FMT "/openclaw", STR_ARG(state));
    if (home.n > 1)    /* "/" is that of a user without one */
        return arena_printf(a, STR_FMT "/.local/state/openclaw", STR_ARG(home));
    return S("");
}

struct str
place_store(struct arena *a, struct str setting, bool of_system)
{
    if (!str_eq(setting, S("auto")))
        return setting;
    struct str folder = place_folder(a, of_system);
    return folder.n != 0 ? arena_printf(a, "sqlite:" STR_FMT "/" FILE_NAME, STR_ARG(folder))
                         : S("off");
}

bool
place_make(const char *folder, struct why why)
{
    char *path = str_dup_c(str_c(folder));

    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);    /* the last step tells whether it is there */
        *slash = '/';
    }
    bool made = mkdir(path, 0700) == 0 || errno == EEXIST;
    if (!made || access(path, R_OK | W_OK | X_OK) != 0) {
        (void)why_say(why, "%s cannot be %s: %s", path, made ? "written" : "made", strerror(errno));
        made = false;
    }
    free(path);
    return made;
}

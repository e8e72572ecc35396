/* harden.c - privileges and core dumps. */
#include "app/harden.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

void
harden_privileges(void)
{
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

void
harden_memory(void)
{
    /* The leak check of sanitizers attaches to the process as a debugger does. */
#ifndef __SANITIZE_ADDRESS__
    const struct rlimit none = { 0, 0 };

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

bool
harden_is_root(void)
{
    return geteuid() == 0;
}

/* The user, or NULL and the reason why this process cannot become it. */
static const struct passwd *
find_user(struct str user, struct why why)
{
    char name[256];

    str_copy_c(name, sizeof(name), user);
    const struct passwd *p = getpwnam(name);
    if (p == NULL) {
        why_say(why, "server.user: there is no user '%s'", name);
        return NULL;
    }
    if (geteuid() != p->pw_uid && !harden_is_root()) {
        why_say(why, "server.user: only root can become '%s'; start as root or as that user", name);
        return NULL;
    }
    return p;
}

bool
harden_can_become(struct str user, struct why why)
{
    return user.n == 0 || find_user(user, why) != NULL;
}

bool
harden_become(struct str user, struct why why)
{
    const struct passwd *p;

    if (user.n == 0)
        return true;
    p = find_user(user, why);
    if (p == NULL)
        return false;
    if (geteuid() == p->pw_uid)
        return true;
    const char *name = p->pw_name;
    if (initgroups(name, p->pw_gid) != 0 || setresgid(p->pw_gid, p->pw_gid, p->pw_gid) != 0 ||
        setresuid(p->pw_uid, p->pw_uid, p->pw_uid) != 0) {
        return why_say(why, "server.user: cannot become '%s': %s", name, strerror(errno));
    }
    CHECK(p->pw_uid == 0 || setuid(0) != 0);    /* must not be reversible */
    return true;
}

void
harden_give(const char *path, struct str user)
{
    char name[256];
    struct stat st;

    str_copy_c(name, sizeof(name), user);
    const struct passwd *p = getpwnam(name);
    /* not "stderr" or a terminal; links are not followed as root */
    if (p != NULL && lstat(path, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) &&
        lchown(path, p->pw_uid, p->pw_gid) != 0)
        return;    /* it stays open; a failure to reopen it is logged */
}

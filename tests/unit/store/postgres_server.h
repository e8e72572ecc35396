/* postgres_server.h - a PostgreSQL of the test's own, in a folder below /tmp and on a Unix socket there.
 *
 * It is made when the first test needs it and ends with the process. It refuses to run as root, so
 * there it runs as nobody.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store.h"
#include "tests/test.h"

static struct {
    char programs[256];    /* the folder of initdb and postgres */
    char folder[64];
    pid_t pid;
    unsigned schemas;
    pid_t owner;
} postgres_server;

/* Leaves the test if this machine has no PostgreSQL. */
#define NEED_POSTGRES()                                                                            \
    do {                                                                                           \
        if (!postgres_is_there())                                                                  \
            SKIP("there is no PostgreSQL here");                                                   \
    } while (0)

static bool
postgres_is_there(void)
{
    glob_t found;

    if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) != 0)
        return false;
    const char *last = found.gl_pathv[found.gl_pathc - 1];
    (void)snprintf(postgres_server.programs, sizeof(postgres_server.programs), "%.*s",
        (int)(strrchr(last, '/') - last), last);
    globfree(&found);
    return true;
}

/* Runs a program of PostgreSQL, quietly, as somebody else than root. */
static pid_t
postgres_spawn(const char *name, char **arguments)
{
    char path[512];
    pid_t parent = getpid(), pid = fork();

    if (pid != 0)
        return pid;
    const struct passwd *nobody = getpwnam("nobody");
    if (geteuid() == 0 && (setgid(nobody->pw_gid) != 0 || setuid(nobody->pw_uid) != 0))
        _exit(126);
    (void)prctl(PR_SET_PDEATHSIG, SIGQUIT);    /* an immediate end */
    int quiet = open("/dev/null", O_RDWR);
    if (getppid() != parent || chdir("/") != 0 || dup2(quiet, 0) < 0 || dup2(quiet, 1) < 0 ||
        dup2(quiet, 2) < 0)
        _exit(126);
    (void)snprintf(path, sizeof(path), "%s/%s", postgres_server.programs, name);
    (void)execv(path, arguments);
    _exit(127);
}

static struct store *
postgres_store(const char *database)
{
    char url[256], why[256];

    (void)snprintf(
        url, sizeof(url), "postgres://postgres@/%s?host=%s", database, postgres_server.folder);
    struct store *s = store_open(str_c(url), WHY(why));
    EXPECT(s != NULL);
    return s;
}

/* Starts the server and waits for it. */
static void
postgres_start(void)
{
    char data[128];
    char *run[] = { "postgres", "-D", data, "-k", postgres_server.folder, "-F", "-c",
        "listen_addresses=", "-c", "shared_buffers=16MB", NULL };

    (void)snprintf(data, sizeof(data), "%s/data", postgres_server.folder);
    postgres_server.pid = postgres_spawn("postgres", run);
    struct store *s = postgres_store("postgres");
    for (int tries = 0; store_connect(s) != STORE_OK; tries++) {
        EXPECT(tries < 3000);
        (void)usleep(20000);
    }
    store_close(s);
}

/* As kill -9 of all its processes would. */
static void
postgres_kill(void)
{
    char path[128];

    EXPECT(kill(postgres_server.pid, SIGQUIT) == 0);
    EXPECT(waitpid(postgres_server.pid, NULL, 0) == postgres_server.pid);
    (void)snprintf(path, sizeof(path), "%s/data/postmaster.pid", postgres_server.folder);
    (void)unlink(path);
    postgres_server.pid = 0;
}

static void
postgres_end(void)
{
    char command[128];

    if (getpid() != postgres_server.owner)    /* a test's own child */
        return;
    if (postgres_server.pid != 0)
        postgres_kill();
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", postgres_server.folder);
    if (system(command) != 0)
        (void)fprintf(stderr, "%s is left behind\n", postgres_server.folder);
}

/* The address of a schema of the server that nothing else uses; starts it if it does not run. */
static void
postgres_schema(char *url, size_t room)
{
    char sql[64], data[128];
    int status = -1;

    if (postgres_server.folder[0] == '\0') {
        char *make[] = { "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8",
            "--locale=C", NULL };

        (void)snprintf(
            postgres_server.folder, sizeof(postgres_server.folder), "/tmp/openclaw-pg-XXXXXX");
        EXPECT(mkdtemp(postgres_server.folder) != NULL);
        EXPECT(chmod(postgres_server.folder, 0777) == 0);
        (void)snprintf(data, sizeof(data), "%s/data", postgres_server.folder);
        postgres_server.owner = getpid();
        EXPECT(atexit(postgres_end) == 0);
        EXPECT(waitpid(postgres_spawn("initdb", make), &status, 0) > 0);
        EXPECT_INT(status, 0);
        postgres_start();
    }
    struct store *s = postgres_store("postgres");
    (void)snprintf(sql, sizeof(sql), "CREATE SCHEMA t%u", ++postgres_server.schemas);
    EXPECT(store_connect(s) == STORE_OK && store_script(s, sql) == STORE_OK);
    store_close(s);
    (void)snprintf(url, room, "postgres://postgres@/postgres?host=%s&options=-csearch_path%%3Dt%u",
        postgres_server.folder, postgres_server.schemas);
}

/* test_socket.c - where the local socket is. */
#include "admin/socket.c"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/test.h"

static void
set(const char *name, const char *value)
{
    if (value != NULL)
        (void)setenv(name, value, 1);
    else
        (void)unsetenv(name);
}

TEST(the_path_depends_on_who_starts_the_gateway)
{
    struct arena *a = arena_create(64 * 1024);
    char text[64];

    set("RUNTIME_DIRECTORY", "/run/one:/run/two");
    set("XDG_RUNTIME_DIR", "/run/user/7");
    EXPECT_STR(admin_socket_path(a, S("auto"), S("127.0.0.1:80")), "/run/one/admin.sock");
    set("RUNTIME_DIRECTORY", NULL);
    EXPECT_STR(admin_socket_path(a, S("auto"), S("127.0.0.1:80")), "/run/user/7/openclaw-80.sock");
    EXPECT_STR(admin_socket_path(a, S("auto"), S("[::1]:81")), "/run/user/7/openclaw-81.sock");
    (void)snprintf(text, sizeof(text), "/run/user/7/openclaw-pid-%ld.sock", (long)getpid());
    EXPECT_STR(admin_socket_path(a, S("auto"), S("unix:/run/x.sock")), text);
    set("XDG_RUNTIME_DIR", "relative");
    (void)snprintf(text, sizeof(text), "/tmp/openclaw-%lu-80.sock", (unsigned long)geteuid());
    EXPECT_STR(admin_socket_path(a, S("auto"), S("0.0.0.0:80")), text);
    EXPECT_STR(admin_socket_path(a, S("/x/y.sock"), S(":80")), "/x/y.sock");
    EXPECT_STR(admin_socket_path(a, S("off"), S(":80")), "");
    arena_destroy(a);
}

TEST(sockets_are_found_and_other_files_are_not)
{
    struct arena *a = arena_create(64 * 1024);
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    struct str list[ADMIN_SOCKETS_MOST];
    char folder_name[] = "/tmp/socket-test-XXXXXX", path[128];

    EXPECT(mkdtemp(folder_name) != NULL);
    set("RUNTIME_DIRECTORY", NULL);
    set("XDG_RUNTIME_DIR", folder_name);
    (void)snprintf(path, sizeof(path), "%s/openclaw-1.sock", folder_name);
    FILE *f = fopen(path, "w");
    (void)fclose(f);
    (void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/openclaw-2.sock", folder_name);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_INT(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    EXPECT(admin_socket_find(a, list) >= 1);    /* others may be in /tmp */
    EXPECT_STR(list[0], sun.sun_path);
    (void)close(fd);
    (void)unlink(path);
    (void)unlink(sun.sun_path);
    (void)rmdir(folder_name);
    arena_destroy(a);
}

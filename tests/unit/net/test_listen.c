/* test_listen.c - addresses opened, shared and refused; accepting without free descriptors. */
#include "net/listen.c"
#include "net/listen_open.c"
#include "net/listen_room.c"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/unit/net/fixture.h"

struct visits {
    struct sock *socks[100];
    unsigned count;
};

static void
take(void *owner, struct sock *s)
{
    struct visits *v = owner;

    EXPECT(v->count < 100);
    v->socks[v->count++] = s;
}

static void
forget(struct visits *v)
{
    while (v->count != 0)
        sock_close(v->socks[--v->count]);
}

static void
leave(struct loop *l, struct visits *v, struct listener *li)
{
    forget(v);
    listen_close(li);
    loop_destroy(l);
}

static char text[512];

static struct listener *
open_on(struct loop *l, const char *address, struct visits *v)
{
    text[0] = '\0';
    return listen_open(l, str_c(address), NULL, take, v, WHY(text));
}

/* A blocking client socket, connected to where the listener is. */
static int
visit(const struct listener *li)
{
    struct str host;
    uint16_t port;
    struct address a;

    EXPECT(address_split(listen_address(li), &host, &port));
    EXPECT(address_parse(str_eq(host, S("::")) ? S("127.0.0.1") : host, port, &a));
    int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(fd >= 0 && connect(fd, &a.any, address_len(&a)) == 0);
    return fd;
}

/* Is there nobody who listens? The descriptor of a connection that was made all the same is
 * closed. */
static bool
is_refused(const char *host_port)
{
    struct str host;
    uint16_t port;
    struct address a;

    EXPECT(address_split(str_c(host_port), &host, &port) && address_parse(host, port, &a));
    int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int status = connect(fd, &a.any, address_len(&a));
    bool refused = status != 0 && errno == ECONNREFUSED;

    close(fd);
    return refused;
}

TEST(port_zero_picks_a_free_port_and_reports_it)
{
    struct loop *l = loop_create();
    struct visits v = { .count = 0 };
    struct listener *li = open_on(l, "127.0.0.1:0", &v);

    EXPECT(li != NULL);
    EXPECT(str_starts(listen_address(li), S("127.0.0.1:")));
    EXPECT(!str_ends(listen_address(li), S(":0")));
    int fd = visit(li);
    RUN_UNTIL(l, v.count == 1);
    EXPECT_STR(sock_peer(v.socks[0]), "127.0.0.1");
    close(fd);
    forget(&v);
    listen_close(li);
    listen_close(NULL);
    loop_destroy(l);
}

TEST(workers_can_join_a_port_that_was_picked)
{
    struct loop *l = loop_create();
    struct visits v = { .count = 0 };
    struct listener *first = open_on(l, "127.0.0.1:0", &v);
    char address[64];

    EXPECT(first != NULL);
    str_copy_c(address, sizeof(address), listen_address(first));
    struct listener *second = open_on(l, address, &v);
    EXPECT(second != NULL);
    EXPECT_STR(listen_address(second), address);
    listen_close(first);
    int fd = visit(second);
    RUN_UNTIL(l, v.count == 1);
    close(fd);
    leave(l, &v, second);
}

TEST(an_address_without_host_takes_both_families)
{
    struct loop *l = loop_create();
    struct visits v = { .count = 0 };
    struct listener *li = open_on(l, ":0", &v);

    EXPECT(li != NULL);
    int fd = visit(li);
    RUN_UNTIL(l, v.count == 1);
    EXPECT_STR(sock_peer(v.socks[0]), "127.0.0.1");
    close(fd);
    leave(l, &v, li);
}

TEST(localhost_means_the_ipv4_address)
{
    struct loop *l = loop_create();
    struct visits v = { .count = 0 };
    struct listener *li = open_on(l, "localhost:0", &v);

    EXPECT(li != NULL);
    EXPECT(str_starts(listen_address(li), S("127.0.0.1:")));
    listen_close(li);
    loop_destroy(l);
}

TEST(workers_share_a_port_and_each_gets_connections)
{
    struct loop *a = loop_create(), *b = loop_create();
    struct visits at_a = { .count = 0 }, at_b = { .count = 0 };
    struct listener *first = open_on(a, "127.0.0.1:0", &at_a);
    char address[128];
    int fds[64];

    str_copy_c(address, sizeof(address), listen_address(first));
    listen_close(first);
    first = open_on(a, address, &at_a);
    struct listener *second = open_on(b, address, &at_b);
    EXPECT(first != NULL && second != NULL);
    for (int i = 0; i < 64; i++)
        fds[i] = visit(first);
    RUN_UNTIL(a, (uv_run(&b->uv, UV_RUN_NOWAIT), at_a.count + at_b.count == 64));
    EXPECT(at_a.count >= 5 && at_b.count >= 5);
    for (int i = 0; i < 64; i++)
        close(fds[i]);
    forget(&at_a);
    forget(&at_b);
    listen_close(first);
    listen_close(second);
    loop_destroy(a);
    loop_destroy(b);
}

TEST(a_port_of_another_program_is_not_shared_silently)
{
    struct loop *l = loop_create();
    struct visits v = { .count = 0 };
    struct address a;
    struct sockaddr_in bound;
    socklen_t len = sizeof(bound);
    char address[64];
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    EXPECT(address_parse(S("127.0.0.1"), 0, &a));
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    EXPECT(bind(fd, &a.any, address_len(&a)) == 0 && listen(fd, 1) == 0);
    EXPECT(getsockname(fd, (struct sockaddr *)&bound, &len) == 0);
    snprintf(address, sizeof(address), "127.0.0.1:%u", ntohs(bound.sin_port));
    EXPECT(open_on(l, address, &v) == NULL);
    EXPECT(strstr(text, address) != NULL && strstr(text, "in use") != NULL);
    close(fd);
    struct listener *li = open_on(l, address, &v);    /* free now */
    EXPECT(li != NULL);
    listen_close(li);
    loop_destroy(l);
}

TEST(a_malformed_address_is_refused_with_advice)
{
    static const char *const bad[] = {
        "",
        "8080",
        "localhost",
        "1.2.3.4:99999",
        "[::1]",
        "unix:",
        "fd:",
        "fd:0",
        "fd:99999",
        "no-such-host.invalid:80",
        "192.0.2.1:0",
        "unix:/nonexistent/dir/sock",
    };
    struct loop *l = loop_create();
    struct visits v = { .count = 0 };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        EXPECT(open_on(l, bad[i], &v) == NULL);
        EXPECT(strlen(text) > 20 && strstr(text, bad[i]) != NULL);
    }
    EXPECT(bounds == NULL);
    loop_destroy(l);
}

static int
visit_unix(const char *path)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    str_copy_c(sun.sun_path, sizeof(sun.sun_path), str_c(path));
    if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
        return fd;
    close(fd);
    return -1;
}

TEST(a_unix_socket_is_shared_by_workers_and_goes_with_the_last)
{
    char path[] = "/tmp/openclaw-test-XXXXXX";
    struct loop *a = loop_create(), *b = loop_create();
    struct visits at_a = { .count = 0 }, at_b = { .count = 0 };
    char address[64];

    EXPECT(mkdtemp(path) != NULL);
    snprintf(address, sizeof(address), "unix:%s/sock", path);
    struct listener *first = open_on(a, address, &at_a);
    struct listener *second = open_on(b, address, &at_b);
    EXPECT(first != NULL && second != NULL);
    EXPECT_STR(listen_address(first), address);

    int fd = visit_unix(address + 5);
    EXPECT(fd >= 0);
    RUN_UNTIL(a, at_a.count == 1);
    EXPECT_STR(sock_peer(at_a.socks[0]), "unix");
    close(fd);
    listen_close(first);
    fd = visit_unix(address + 5);    /* the other still listens */
    EXPECT(fd >= 0);
    RUN_UNTIL(b, at_b.count == 1);
    close(fd);
    listen_close(second);
    EXPECT(access(address + 5, F_OK) != 0);
    forget(&at_a);
    forget(&at_b);
    loop_destroy(a);
    loop_destroy(b);
    rmdir(path);
}

TEST(a_stale_socket_file_is_replaced_and_one_in_use_is_not)
{
    char path[] = "/tmp/openclaw-test-XXXXXX";
    struct loop *l = loop_create();
    struct visits v = { .count = 0 };
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    char address[64];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    EXPECT(mkdtemp(path) != NULL);
    snprintf(address, sizeof(address), "unix:%s/sock", path);
    str_copy_c(sun.sun_path, sizeof(sun.sun_path), str_c(address + 5));
    EXPECT(bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 && listen(fd, 1) == 0);
    EXPECT(open_on(l, address, &v) == NULL);
    EXPECT(strstr(text, "already listens") != NULL);
    close(fd);
    struct listener *li = open_on(l, address, &v);
    EXPECT(li != NULL);
    listen_close(li);
    loop_destroy(l);
    rmdir(path);
}

TEST(two_processes_that_start_at_once_do_not_take_each_others_socket_for_stale)
{
    char path[] = "/tmp/openclaw-test-XXXXXX", address[64];
    unsigned listening = 0;
    int go[2], results[2];
    pid_t children[8];

    EXPECT(mkdtemp(path) != NULL);
    snprintf(address, sizeof(address), "unix:%s/sock", path);
    EXPECT(pipe(go) == 0 && pipe(results) == 0);
    for (int i = 0; i < 8; i++) {
        children[i] = fork();
        if (children[i] != 0)
            continue;
        struct loop *l = loop_create();
        struct visits v = { .count = 0 };
        char c = 0;

        close(go[1]);
        (void)!read(go[0], &c, 1);    /* all begin when the parent closes its end */
        c = open_on(l, address, &v) != NULL;
        (void)!write(results[1], &c, 1);
        for (;;)
            pause();
    }
    close(go[0]);
    close(go[1]);
    for (int i = 0; i < 8; i++) {
        char c = 0;

        EXPECT(read(results[0], &c, 1) == 1);
        listening += (unsigned)c;
    }
    EXPECT_INT(listening, 1);
    for (int i = 0; i < 8; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    close(results[0]);
    close(results[1]);
    unlink(address + 5);
    rmdir(path);
}

TEST(the_file_of_a_unix_socket_gets_its_mode_and_owner_before_anybody_can_connect)
{
    char path[] = "/tmp/openclaw-test-XXXXXX", address[64], user[16], group[16];
    struct loop *l = loop_create();
    struct visits v = { .count = 0 };
    struct stat st;

    EXPECT(mkdtemp(path) != NULL);
    snprintf(address, sizeof(address), "unix:%s/sock", path);
    snprintf(user, sizeof(user), "%u", (unsigned)geteuid());
    snprintf(group, sizeof(group), "%u", (unsigned)getegid());
    struct listen_options o = { .unix_mode = { "0620", 4 },
        .unix_owner = { user, strlen(user) },
        .unix_group = { group, strlen(group) } };
    struct listener *li = listen_open_with(l, str_c(address), &o, NULL, take, &v, WHY(text));
    EXPECT(li != NULL);
    EXPECT(stat(address + 5, &st) == 0);
    EXPECT_INT(st.st_mode & 07777, 0620);
    EXPECT(st.st_uid == geteuid() && st.st_gid == getegid());
    listen_close(li);

    o.unix_owner = (struct str){ "no-such-user", 12 };
    EXPECT(listen_open_with(l, str_c(address), &o, NULL, take, &v, WHY(text)) == NULL);
    EXPECT(strstr(text, "there is no user 'no-such-user'") != NULL);
    EXPECT(access(address + 5, F_OK) != 0);
    loop_destroy(l);
    rmdir(path);
}

TEST(an_ipv6_wildcard_can_leave_ipv4_to_another_listener)
{
    struct loop *l = loop_create();
    struct visits v = { .count = 0 }, w = { .count = 0 };
    struct listen_options o = { .v6_only = true };
    char address[64];

    struct listener *four = open_on(l, "0.0.0.0:0", &v);
    EXPECT(four != NULL);
    snprintf(address, sizeof(address), "[::]:%s", strchr(listen_address(four).p, ':') + 1);
    struct listener *six = listen_open_with(l, str_c(address), &o, NULL, take, &w, WHY(text));
    if (six == NULL && strstr(text, "no such address") == NULL)
        EXPECT_STR(str_c(text), "");
    listen_close(four);
    listen_close(six);
    loop_destroy(l);
}

TEST(a_file_that_is_no_socket_is_never_removed)
{
    char path[] = "/tmp/openclaw-test-XXXXXX";
    struct loop *l = loop_create();
    struct visits v = { .count = 0 };
    char address[64];

    close(mkstemp(path));
    snprintf(address, sizeof(address), "unix:%s", path);
    EXPECT(open_on(l, address, &v) == NULL);
    EXPECT(access(path, F_OK) == 0);
    unlink(path);
    loop_destroy(l);
}

TEST(an_inherited_descriptor_is_listened_on)
{
    struct loop *l = loop_create();
    struct visits v = { .count = 0 };
    struct address a;
    char address[32];
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    EXPECT(address_parse(S("127.0.0.1"), 0, &a));
    EXPECT(bind(fd, &a.any, address_len(&a)) == 0 && listen(fd, 1) == 0);
    snprintf(address, sizeof(address), "fd:%d", fd);
    struct listener *li = open_on(l, address, &v);
    EXPECT(li != NULL);
    EXPECT(str_starts(listen_address(li), S("127.0.0.1:")));
    int client = visit(li);
    RUN_UNTIL(l, v.count == 1);
    close(client);
    leave(l, &v, li);
}

/* Takes all descriptors but `left`. */
static int
exhaust_descriptors(int *fds, int size, int left)
{
    int n = 0;

    while (n < size && (fds[n] = open("/dev/null", O_RDONLY)) >= 0)
        n++;
    while (left-- > 0 && n > 0)
        close(fds[--n]);
    return n;
}

TEST(without_descriptors_connections_are_shed_and_later_taken_again)
{
    struct rlimit before, low;
    struct loop *l = loop_create();
    struct visits v = { .count = 0 };
    struct listener *li = open_on(l, "127.0.0.1:0", &v);
    static int fds[1000];
    char byte;

    EXPECT(getrlimit(RLIMIT_NOFILE, &before) == 0);
    low = before;
    low.rlim_cur = 200;
    EXPECT(setrlimit(RLIMIT_NOFILE, &low) == 0);
    int n = exhaust_descriptors(fds, 1000, 2);
    uint64_t shed = listen_shed_count();
    int clients[2] = { visit(li), visit(li) };

    RUN_UNTIL(l, listen_shed_count() - shed == 2);
    EXPECT_INT(v.count, 0);
    /* told at once */
    EXPECT(read(clients[0], &byte, 1) <= 0 && read(clients[1], &byte, 1) <= 0);
    EXPECT(li->spare >= 0 && !li->paused);

    close(clients[0]);
    close(clients[1]);
    close(fds[--n]);
    int fd = visit(li);
    RUN_UNTIL(l, v.count == 1);
    close(fd);
    while (n > 0)
        close(fds[--n]);
    EXPECT(setrlimit(RLIMIT_NOFILE, &before) == 0);
    leave(l, &v, li);
}

TEST(without_even_the_spare_descriptor_accepting_pauses_and_recovers)
{
    struct rlimit before, low;
    struct loop *l = loop_create();
    struct visits v = { .count = 0 };
    struct listener *li = open_on(l, "127.0.0.1:0", &v);
    static int fds[1000];

    EXPECT(getrlimit(RLIMIT_NOFILE, &before) == 0);
    low = before;
    low.rlim_cur = 200;
    EXPECT(setrlimit(RLIMIT_NOFILE, &low) == 0);
    close(li->spare);
    li->spare = -1;
    int n = exhaust_descriptors(fds, 1000, 1);
    int fd = visit(li);

    RUN_UNTIL(l, li->paused);
    EXPECT(!uv_is_active((uv_handle_t *)&li->poll));
    EXPECT_INT(v.count, 0);
    while (n > 0)
        close(fds[--n]);
    RUN_UNTIL(l, v.count == 1);    /* by itself */
    EXPECT(li->spare >= 0);
    close(fd);
    EXPECT(setrlimit(RLIMIT_NOFILE, &before) == 0);
    leave(l, &v, li);
}

static struct listener *self;

static void
close_listener(void *owner, struct sock *s)
{
    (*(unsigned *)owner)++;
    sock_close(s);
    listen_close(self);
}

TEST(a_listener_may_be_closed_while_it_accepts)
{
    struct loop *l = loop_create();
    unsigned count = 0;

    self = listen_open(l, S("127.0.0.1:0"), NULL, close_listener, &count, WHY(text));
    int fds[3] = { visit(self), visit(self), visit(self) };
    RUN_UNTIL(l, count != 0);
    RUN_FOR_MS(l, 20);
    EXPECT_INT(count, 1);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    loop_destroy(l);
}

/* --- the end --- */

TEST(connections_that_wait_when_it_finishes_are_accepted_and_none_after)
{
    struct loop *l = loop_create();
    struct visits v = { .count = 0 };
    struct listener *first = open_on(l, "127.0.0.1:0", &v);
    char address[64];
    int fds[90];

    str_copy_c(address, sizeof(address), listen_address(first));
    struct listener *second = open_on(l, address, &v);
    EXPECT(first != NULL && second != NULL);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = visit(first);
    listen_finish(first);
    listen_finish(second);
    listen_finish(second);
    EXPECT(v.count == 0 && !listen_finished(first));
    RUN_UNTIL(l, listen_finished(first) && listen_finished(second));
    EXPECT_INT(v.count, ARRAY_LEN(fds));
    EXPECT(is_refused(address));
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        char byte;

        EXPECT(recv(fds[i], &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);    /* no reset */
        close(fds[i]);
    }
    forget(&v);
    listen_close(first);
    listen_close(second);
    loop_destroy(l);
}

TEST(a_client_that_connects_while_it_finishes_is_refused_and_never_reset)
{
    struct loop *l = loop_create();
    struct visits v = { .count = 0 };
    struct listener *li = open_on(l, "127.0.0.1:0", &v);
    struct str host;
    uint16_t port;
    struct address a;

    listen_finish(li);
    EXPECT(address_split(listen_address(li), &host, &port) && address_parse(host, port, &a));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    EXPECT(connect(fd, &a.any, address_len(&a)) != 0 && errno == EINPROGRESS);
    RUN_UNTIL(l, listen_finished(li));
    EXPECT_INT(v.count, 0);

    struct pollfd p = { .fd = fd, .events = POLLOUT };
    int error = 0;
    socklen_t n = sizeof(error);
    EXPECT(poll(&p, 1, PATIENCE_MS) == 1);
    EXPECT(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0);
    EXPECT_INT(error, ECONNREFUSED);
    close(fd);
    listen_close(li);
    loop_destroy(l);
}

TEST(a_finishing_unix_socket_accepts_what_waits_and_its_file_is_removed_at_once)
{
    struct loop *l = loop_create();
    struct visits v = { .count = 0 };
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    char address[128];

    snprintf(sun.sun_path, sizeof(sun.sun_path), "/tmp/openclaw-finish-%d", (int)getpid());
    snprintf(address, sizeof(address), "unix:%s", sun.sun_path);
    struct listener *first = open_on(l, address, &v);
    struct loop *other_loop = loop_create();
    struct listener *other = open_on(other_loop, address, &v);
    EXPECT(first != NULL && other != NULL);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0);
    listen_finish(first);
    listen_finish(other);
    EXPECT(access(sun.sun_path, F_OK) != 0);
    RUN_UNTIL(l, listen_finished(first));
    EXPECT_INT(v.count, 1);
    RUN_UNTIL(other_loop, listen_finished(other));
    close(fd);
    forget(&v);
    listen_close(first);
    listen_close(other);
    loop_destroy(l);
    loop_destroy(other_loop);
}

TEST(connections_at_an_inherited_descriptor_are_left_to_the_successor)
{
    struct loop *l = loop_create();
    struct visits v = { .count = 0 };
    struct address a;
    char address[32];
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    EXPECT(address_parse(S("127.0.0.1"), 0, &a));
    EXPECT(bind(fd, &a.any, address_len(&a)) == 0 && listen(fd, 1) == 0);
    int kept = dup(fd);
    snprintf(address, sizeof(address), "fd:%d", fd);
    struct listener *li = open_on(l, address, &v);
    EXPECT(li != NULL);
    int client = visit(li);
    listen_finish(li);
    EXPECT(listen_finished(li));
    RUN_FOR_MS(l, 2 * LAST_CALL_MS);
    EXPECT_INT(v.count, 0);
    int taken = accept(kept, NULL, NULL);
    EXPECT(taken >= 0);
    close(taken);
    close(client);
    close(kept);
    listen_close(li);
    loop_destroy(l);
}

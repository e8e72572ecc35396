/* test_check.c - a broken invariant ends the process, and says where. */
#include "base/check.c"
#include "tests/test.h"

#include <sys/wait.h>
#include <unistd.h>

/* Runs `breaks` in a child whose standard error is ours to read; returns how the child ended. */
static int
run_in_child(void (*breaks)(void), char *said, size_t size)
{
    int pipe_fd[2];
    int status = 0;
    size_t n = 0;
    ssize_t got = 0;

    EXPECT(pipe(pipe_fd) == 0);
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(pipe_fd[1], STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        breaks();
        _exit(0);
    }
    (void)close(pipe_fd[1]);
    while (n < size - 1 && (got = read(pipe_fd[0], said + n, size - 1 - n)) > 0)
        n += (size_t)got;
    said[n] = '\0';
    (void)close(pipe_fd[0]);
    EXPECT(waitpid(child, &status, 0) == child);
    return status;
}

static void
check_that_two_is_three(void)
{
    CHECK(1 + 1 == 3);
}

static void
allocate_nothing(void)
{
    (void)check_alloc(NULL);
}

TEST(a_failed_check_aborts_and_names_the_expression_and_the_place)
{
    char said[512];
    int status = run_in_child(check_that_two_is_three, said, sizeof(said));

    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    EXPECT(strstr(said, "1 + 1 == 3") != NULL);
    EXPECT(strstr(said, "test_check.c:") != NULL);
    EXPECT(strstr(said, "check_that_two_is_three") != NULL);
}

TEST(missing_memory_aborts)
{
    char said[512];
    int status = run_in_child(allocate_nothing, said, sizeof(said));

    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    EXPECT(strstr(said, "out of memory") != NULL);
}

TEST(memory_that_is_there_passes_through)
{
    int x = 0;

    EXPECT(check_alloc(&x) == &x);
}

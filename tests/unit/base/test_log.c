/* test_log.c - lines in both forms, levels, and messages that repeat. */
#include "base/log.c"
#include "tests/test.h"

#include <stdlib.h>

static char path[] = "/tmp/openclaw-test-log-XXXXXX";
static struct log_file *log_under_test;

/* Starts the log into a fresh file, at a fixed time. */
static void
begin(enum log_level least, bool json)
{
    (void)snprintf(path, sizeof(path), "/tmp/openclaw-test-log-XXXXXX");
    int fd = mkstemp(path);
    EXPECT(fd >= 0);
    (void)close(fd);
    log_under_test = log_file_open(path, 1 << 22);
    EXPECT(log_under_test != NULL);
    clock_set_for_tests(1000000000, UINT64_C(1795258487123));
    log_start(log_under_test, least, json);
}

/* Stops the log and returns all that it wrote. */
static struct str
finish(void)
{
    static char room[1 << 20];

    log_stop();
    log_file_close(log_under_test);
    clock_set_for_tests(0, 0);
    FILE *f = fopen(path, "r");
    EXPECT(f != NULL);
    size_t n = fread(room, 1, sizeof(room), f);
    (void)fclose(f);
    (void)unlink(path);
    return str_make(room, n);
}

static unsigned
lines_in(struct str s)
{
    struct str line;
    unsigned n = 0;

    while (str_cut(s, '\n', &line, &s))
        n++;
    return n;
}

TEST(a_json_line_has_time_level_message_and_context)
{
    struct log_context who = {
        .request_id = S("req-1"),
        .provider = S("openai"),
        .model_requested = S("fast"),
        .model = S("gpt-4o"),
        .attempt = 2,
        .error = S("upstream_overloaded"),
    };

    begin(LOG_INFO, true);
    log_warn(&who, "upstream said %d", 503);
    log_info(NULL, "started");
    EXPECT_STR(finish(),
        "{\"ts\":\"2026-11-21T10:54:47.123Z\",\"level\":\"warn\",\"msg\":\"upstream said 503\","
        "\"request_id\":\"req-1\",\"provider\":\"openai\",\"model_requested\":\"fast\","
        "\"model\":\"gpt-4o\",\"attempt\":2,\"error\":\"upstream_overloaded\"}\n"
        "{\"ts\":\"2026-11-21T10:54:47.123Z\",\"level\":\"info\",\"msg\":\"started\"}\n");
}

TEST(a_text_line_has_the_same)
{
    struct log_context who = { .provider = S("openai"), .attempt = 1 };

    begin(LOG_INFO, false);
    log_error(&who, "it \"broke\"");
    EXPECT_STR(
        finish(), "2026-11-21T10:54:47.123Z ERROR it \"broke\"  provider=openai  attempt=1\n");
}

TEST(untrusted_bytes_cannot_forge_a_line_or_drive_a_terminal)
{
    struct log_context who = { .model = S("m\n{\"level\":\"error\"}\x1b[2J") };

    begin(LOG_INFO, true);
    log_info(&who, "model %s", "\x01\"\xff");
    struct str all = finish();
    EXPECT_STR(all,
        "{\"ts\":\"2026-11-21T10:54:47.123Z\",\"level\":\"info\",\"msg\":\"model \\u0001\\\""
        "\xef\xbf\xbd\",\"model\":\"m\\n{\\\"level\\\":\\\"error\\\"}\\u001b[2J\"}\n");

    begin(LOG_INFO, false);
    log_info(&who, "a\r\nb \x7f \xc2\x9b"
                   "2J \xc2\xa9 \xe2\x82\xac");
    EXPECT_STR(finish(),
        "2026-11-21T10:54:47.123Z INFO  a\\x0d\\x0ab \\x7f \\xc2\\x9b2J \xc2\xa9 \xe2\x82\xac  "
        "model=m\\x0a{\"level\":\"error\"}\\x1b[2J\n");
}

static int evaluated;

static int
evaluate(void)
{
    return ++evaluated;
}

TEST(messages_below_the_level_are_neither_written_nor_evaluated)
{
    begin(LOG_WARN, true);
    evaluated = 0;
    log_debug(NULL, "%d", evaluate());
    log_info(NULL, "%d", evaluate());
    EXPECT_INT(evaluated, 0);
    EXPECT(!log_enabled(LOG_INFO) && log_enabled(LOG_WARN) && log_enabled(LOG_ERROR));
    log_warn(NULL, "%d", evaluate());
    log_error(NULL, "%d", evaluate());
    EXPECT_INT(lines_in(finish()), 2);
}

TEST(levels_have_names)
{
    enum log_level level = LOG_ERROR;

    EXPECT(log_level_named(S("debug"), &level) && level == LOG_DEBUG);
    EXPECT(log_level_named(S("info"), &level) && level == LOG_INFO);
    EXPECT(log_level_named(S("warn"), &level) && level == LOG_WARN);
    EXPECT(log_level_named(S("error"), &level) && level == LOG_ERROR);
    EXPECT(!log_level_named(S("INFO"), &level));
    EXPECT(!log_level_named(S(""), &level));
}

TEST(a_repeated_message_is_written_five_times_and_then_summarised)
{
    begin(LOG_INFO, false);
    for (int i = 1; i <= 125; i++)
        log_warn(NULL, "connection %d refused", i);
    struct str all = finish();

    EXPECT_INT(lines_in(all), 6);
    EXPECT(str_find(all, S("connection 5 refused\n")) != all.n);
    EXPECT(str_find(all, S("connection 6 refused\n")) == all.n);
    EXPECT(str_ends(all, S("WARN  connection 125 refused ... repeated 120 more times\n")));
}

TEST(after_ten_seconds_the_summary_comes_and_the_count_starts_again)
{
    begin(LOG_INFO, false);
    for (int i = 0; i < 7; i++)
        log_warn(NULL, "again %s", "and again");
    clock_set_for_tests(1000000000 + 9999000, UINT64_C(1795258497122));
    log_sum_up();
    clock_set_for_tests(1000000000 + 10000000, UINT64_C(1795258497123));
    log_sum_up();
    for (int i = 0; i < 5; i++)
        log_warn(NULL, "again %s", "and again");
    struct str all = finish();

    /* The two loops are two places; each writes five. */
    EXPECT_INT(lines_in(all), 5 + 1 + 5);
    EXPECT(str_find(all, S("10:54:57.123Z WARN  again and again ... repeated 2 more times\n")) !=
           all.n);
}

TEST(any_message_writes_the_summaries_that_are_due)
{
    begin(LOG_INFO, false);
    for (int i = 0; i < 8; i++)
        log_warn(NULL, "flood");
    clock_set_for_tests(1000000000 + 20000000, UINT64_C(1795258507123));
    log_info(NULL, "calm");
    struct str all = finish();

    EXPECT_INT(lines_in(all), 5 + 1 + 1);
    EXPECT(str_find(all, S("flood ... repeated 3 more times\n")) < str_find(all, S("calm\n")));
}

TEST(repeats_are_counted_separately_for_each_provider_error_and_subject)
{
    struct log_context who[] = { { .provider = S("one") }, { .provider = S("two") },
        { .provider = S("two"), .error = S("upstream_timeout") }, { .subject = S("two") },
        { .subject = S("127.0.0.1:1") } };

    begin(LOG_INFO, true);
    for (int i = 0; i < 9; i++)
        for (size_t k = 0; k < ARRAY_LEN(who); k++)
            log_warn(&who[k], "it failed");
    log_warn(&(struct log_context){ .provider = S("three") }, "it failed");
    struct str all = finish();

    EXPECT_INT(lines_in(all), 5 * 5 + 1 + 5);
    EXPECT(str_find(all, S("\"msg\":\"it failed\",\"provider\":\"three\"}\n")) != all.n);
    EXPECT(str_find(all, S("repeated 4 more times\",\"provider\":\"two\","
                           "\"error\":\"upstream_timeout\"}\n")) != all.n);
    EXPECT(str_find(all, S("repeated 4 more times\",\"subject\":\"127.0.0.1:1\"}\n")) != all.n);
}

TEST(more_topics_than_rows_are_still_summarised)
{
    char name[32];
    struct log_context who = { .request_id = S("") };

    begin(LOG_INFO, true);
    for (int k = 0; k < 1000; k++) {
        who.provider = str_make(name, (size_t)snprintf(name, sizeof(name), "provider-%d", k));
        for (int i = 0; i < 6; i++)
            log_warn(&who, "it failed");
    }
    EXPECT_INT(lines_in(finish()), 1000 * 6);
}

TEST(debug_lines_are_never_suppressed)
{
    begin(LOG_DEBUG, false);
    for (int i = 0; i < 50; i++)
        log_debug(NULL, "step %d", i);
    EXPECT_INT(lines_in(finish()), 50);
}

TEST(a_long_message_is_truncated)
{
    begin(LOG_INFO, false);
    log_info(NULL, "%08000d", 1);
    struct str all = finish();

    EXPECT(all.n > 4000 && all.n < 4200);
    EXPECT_INT(lines_in(all), 1);
}

TEST(before_the_start_and_after_the_stop_lines_go_to_standard_error)
{
    char room[256];
    int fds[2];
    int saved = dup(STDERR_FILENO);

    EXPECT(pipe(fds) == 0 && saved >= 0);
    EXPECT(dup2(fds[1], STDERR_FILENO) == STDERR_FILENO);
    log_info(NULL, "hello %d", 1);
    EXPECT(dup2(saved, STDERR_FILENO) == STDERR_FILENO);
    ssize_t n = read(fds[0], room, sizeof(room));
    EXPECT(n > 0 && str_ends(str_make(room, (size_t)n), S("INFO  hello 1\n")));
    (void)close(fds[0]);
    (void)close(fds[1]);
    (void)close(saved);
}

static void *
speak(void *arg)
{
    for (int i = 0; i < 500; i++) {
        log_info(NULL, "thread %d says %d", *(int *)arg, i);
        log_debug(NULL, "thread %d says %d", *(int *)arg, i);
    }
    return NULL;
}

TEST(many_threads_may_log_while_the_log_starts_and_stops)
{
    int ids[] = { 1, 2, 3, 4 };
    pthread_t threads[ARRAY_LEN(ids)];

    begin(LOG_DEBUG, true);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        EXPECT(pthread_create(&threads[i], NULL, speak, &ids[i]) == 0);
    for (int i = 0; i < 20; i++)
        log_start(log_under_test, LOG_DEBUG, i % 2 == 0);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        (void)pthread_join(threads[i], NULL);
    EXPECT_INT(log_file_dropped(log_under_test), 0);
    EXPECT(finish().n > 0);
}

TEST(lines_of_a_report_are_not_repeats)
{
    begin(LOG_INFO, true);
    for (int i = 0; i < 20; i++)
        log_line(LOG_ERROR, S("one of many"));
    log_line(LOG_DEBUG, S("below the level"));
    struct str all = finish();
    EXPECT_INT(lines_in(all), 20);
    EXPECT(str_find(all, S("below the level")) == all.n);
}

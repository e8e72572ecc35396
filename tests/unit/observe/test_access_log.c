/* test_access_log.c - each line is one JSON object that holds what the record says. */
#include "observe/access_log.c"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/test.h"

/* A log that writes to a file, and the file's contents. */
struct logged {
    char path[64];
    struct log_file *file;
    struct access_log log;
    char text[512 * 1024];
    size_t n;
};

static void
begin(struct logged *l)
{
    strcpy(l->path, "/tmp/openclaw-access-XXXXXX");
    int fd = mkstemp(l->path);
    EXPECT(fd >= 0 && close(fd) == 0);
    l->file = log_file_open(l->path, 1024 * 1024);
    EXPECT(l->file != NULL);
    access_log_init(&l->log, l->file, ACCESS_JSON);
}

static struct str
finish(struct logged *l)
{
    access_log_fini(&l->log);
    log_file_close(l->file);
    int fd = open(l->path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, l->text, sizeof(l->text));
    EXPECT(n >= 0 && close(fd) == 0 && unlink(l->path) == 0);
    l->n = (size_t)n;
    return str_make(l->text, l->n);
}

/* A record without any optional value. */
static struct record
bare_record(void)
{
    return (struct record){
        .wall_ms = 1795258487123,
        .status = 200,
        .cost_nanousd = -1,
        .first_token_us = -1,
        .duration_us = -1,
        .overhead_us = -1,
    };
}

static struct logged l;
static struct provider openai = { .id = S_INIT("openai") };
static struct target openai_mini = { .provider = &openai, .wire.model = S_INIT("gpt-4o-mini") };

TEST(fields_that_do_not_apply_are_omitted)
{
    struct record r = bare_record();

    begin(&l);
    access_log_write(&l.log, &r);
    EXPECT_STR(finish(&l),
        "{\"ts\":\"2026-11-21T10:54:47.123Z\",\"status\":200,\"bytes_in\":0,\"bytes_out\":0}\n");
}

TEST(a_complete_line_contains_every_field_of_the_table)
{
    static const struct wire wire = { .name = S_INIT("openai-chat") };
    static struct ask ask = { .op = OP_CHAT, .wire = &wire };
    static const struct plan plan = { .count = 0 };
    static const struct explain_decision decision = { .ask = &ask, .plan = &plan };
    struct record r = bare_record();
    struct arena *a = arena_create(1024 * 1024);

    r.request_id = r.trace_id = r.key_name = r.key_hash = r.client_ip = r.method = r.path =
        r.endpoint_id = S("x");
    r.error_message = r.model_requested = S("y");
    r.error = ERR_OVERLOADED;
    r.finish = FINISH_STOP;
    r.target = &openai_mini;
    r.decision = &decision;
    r.stream = r.continued = r.usage_estimated = r.cost_estimated = r.client_abort = true;
    r.attempts = &(struct record_attempt){ .target = &openai_mini, .status = 200 };
    for (unsigned i = 0; i < COUNTS; i++)
        usage_set(&r.usage, i, 7);
    r.cost_nanousd = 0;
    r.outrun_nanousd = 5;
    r.judge_nanousd = 6;
    r.shadow_of = S("z");
    r.first_token_us = 1500;
    r.duration_us = 1234567;
    r.overhead_us = 9;
    begin(&l);
    access_log_write(&l.log, &r);
    struct str line = finish(&l);
    const struct json *doc = json_parse(a, str_trim(line), NULL, NULL);
    EXPECT(doc != NULL);
#define FIELD(kind, name, value) EXPECT(json_get(doc, S(name)) != NULL);
#include "observe/fields.def"
#undef FIELD
    EXPECT_STR(json_raw(json_get(doc, S("ttft_ms"))), "1.500");
    EXPECT_STR(json_raw(json_get(doc, S("duration_ms"))), "1234.567");
    EXPECT_STR(json_raw(json_get(doc, S("gateway_ms"))), "0.009");
    EXPECT_STR(json_raw(json_get(doc, S("cost_nanousd"))), "0");
    EXPECT_STR(json_raw(json_at(doc, "stream")), "true");
    arena_destroy(a);
}

TEST(each_attempt_is_an_object_in_the_attempts_array)
{
    struct record_attempt second = { .target = &openai_mini,
        .outcome = OK,
        .status = 200,
        .reused = true,
        .started_us = 100,
        .head_us = 150,
        .ended_us = 200 };
    struct record_attempt first = { .target = &openai_mini,
        .outcome = ERR_UPSTREAM_OVERLOADED,
        .status = 503,
        .resent = 2,
        .started_us = 10,
        .ended_us = 60,
        .credential = S("openai#2"),
        .message = S("it said \"no\""),
        .next = &second };
    struct record r = bare_record();

    r.attempts = &first;
    begin(&l);
    access_log_write(&l.log, &r);
    struct str line = finish(&l);
    EXPECT(str_find(line,
               S(",\"attempts\":[{\"provider\":\"openai\",\"model\":\"gpt-4o-mini\","
                 "\"outcome\":\"upstream_overloaded\",\"status\":503,\"credential\":\"openai#2\","
                 "\"message\":\"it said \\\"no\\\"\",\"reused\":false,\"resent\":2,\"head_us\":0,"
                 "\"us\":50},{\"provider\":\"openai\",\"model\":\"gpt-4o-mini\",\"outcome\":\"ok\","
                 "\"status\":200,\"reused\":true,\"head_us\":50,\"us\":100}],")) != line.n);
}

TEST(client_input_cannot_forge_a_line)
{
    struct record r = bare_record();
    struct arena *a = arena_create(1024 * 1024);

    r.path = S("/v1/x\"}\n{\"ts\":\"forged\"\r\n\x01\xff\x7f");
    r.model_requested = S("\",\"status\":200,\"x\":\"");
    begin(&l);
    access_log_write(&l.log, &r);
    struct str line = finish(&l);
    EXPECT(str_chr(line, '\n') == line.n - 1);
    const struct json *doc = json_parse(a, str_trim(line), NULL, NULL);
    EXPECT(doc != NULL);
    EXPECT_STR(json_str(a, json_get(doc, S("model_requested"))), "\",\"status\":200,\"x\":\"");
    arena_destroy(a);
}

TEST(many_lines_reach_the_file_without_a_flush)
{
    struct record r = bare_record();
    size_t lines = 0;

    begin(&l);
    for (int i = 0; i < 1000; i++)
        access_log_write(&l.log, &r);
    EXPECT(buf_len(&l.log.lines) < BATCH_BYTES);
    struct str all = finish(&l);
    for (size_t i = 0; i < all.n; i++)
        lines += all.p[i] == '\n';
    EXPECT_INT(lines, 1000);
}

TEST(a_line_that_does_not_fit_is_dropped_completely_and_the_next_one_is_written)
{
    static char huge[BUFFER_BYTES + 1];
    struct record r = bare_record();
    struct arena *a = arena_create(1024 * 1024);

    memset(huge, 'x', sizeof(huge));
    begin(&l);
    r.path = str_make(huge, sizeof(huge));
    access_log_write(&l.log, &r);
    r.path = S("/small");
    access_log_write(&l.log, &r);
    struct str all = finish(&l);
    const struct json *doc = json_parse(a, str_trim(all), NULL, NULL);
    EXPECT_STR(json_str(a, json_get(doc, S("path"))), "/small");
    arena_destroy(a);
}

TEST(a_disabled_log_writes_nothing)
{
    struct record r = bare_record();
    struct access_log off;

    access_log_init(&off, NULL, ACCESS_JSON);
    access_log_write(&off, &r);
    EXPECT_INT(buf_len(&off.lines), 0);
    access_log_flush(&off);
    access_log_fini(&off);
}

/* One record as a text line. */
static struct str
text_of(const struct record *r, enum access_form form)
{
    begin(&l);
    l.log.form = form;
    access_log_write(&l.log, r);
    return finish(&l);
}

TEST(a_text_line_is_short_and_shows_who_answered_and_how_fast)
{
    struct record r = bare_record();

    r.method = S("POST");
    r.path = S("/v1/chat/completions");
    r.model_requested = S("fast");
    r.target = &openai_mini;
    r.attempt_count = 2;
    usage_set(&r.usage, COUNT_INPUT, 12);
    usage_set(&r.usage, COUNT_OUTPUT, 340);
    r.duration_us = 1240000;
    r.stream = true;
    r.first_token_us = 310000;
    EXPECT_STR(text_of(&r, ACCESS_TEXT),
        "10:54:47 200 POST /v1/chat/completions  fast -> openai/gpt-4o-mini (attempt 2)  "
        "12+340 tokens  1.24 s, first token 310.0 ms\n");
    r.model_requested = S("openai/gpt-4o-mini");
    r.attempt_count = 1;
    r.usage_estimated = true;
    r.stream = false;
    EXPECT_STR(text_of(&r, ACCESS_COLOR),
        "\033[2m10:54:47\033[0m \033[32m200\033[0m POST /v1/chat/completions  "
        "openai/gpt-4o-mini  ~12+340 tokens  1.24 s\n");
}

TEST(a_text_line_shows_why_a_request_failed)
{
    struct record r = bare_record();

    r.status = 502;
    r.error = ERR_UPSTREAM_RESET;
    r.error_message = S("it closed \033[2J\nforged 200");
    r.request_id = S("req_1");
    r.client_abort = true;
    EXPECT_STR(text_of(&r, ACCESS_TEXT),
        "10:54:47 502  the caller left  upstream_reset: it closed \\x1b[2J\\x0aforged 200 req_1\n");
    EXPECT(str_find(text_of(&r, ACCESS_COLOR), S("\033[31m502\033[0m")) != l.n);
    r.status = 404;
    EXPECT(str_find(text_of(&r, ACCESS_COLOR), S("\033[33m404\033[0m")) != l.n);
}

TEST(a_file_gets_json_unless_text_is_asked_for_and_never_colors)
{
    begin(&l);
    EXPECT(setenv("TERM", "xterm", 1) == 0 && unsetenv("NO_COLOR") == 0);
    EXPECT(access_log_form(S("auto"), l.file) == ACCESS_JSON);
    EXPECT(access_log_form(S("json"), l.file) == ACCESS_JSON);
    EXPECT(access_log_form(S("text"), l.file) == ACCESS_TEXT);
    (void)finish(&l);
}

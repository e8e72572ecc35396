/* test_conf.c - a whole file arrives whole; secrets stay inside; what is left out has its
 * default. */
#include "conf/conf.c"

#include <fcntl.h>
#include <unistd.h>

#include "tests/test.h"
#include "tests/unit/conf/conf_test.h"

static const char everything[] =
    "server:\n"
    "  listen: [\"0.0.0.0:8080\", \"[::1]:81\", \":82\", \"unix:/run/openclaw.sock\"]\n"
    "  admin_listen: 127.0.0.1:8081\n"
    "  workers: 3\n"
    "  tls: {cert: /etc/passwd, key: /etc/group}\n"
    "  cors_origins: [\"https://app.example\", \"*\"]\n"
    "  drain_grace: 1s\n"
    "  drain_deadline: 2m\n"
    "  keepalive: 0s\n"
    "  limits:\n"
    "    body: 1MB\n"
    "    body_rate: 2048\n"
    "    header: 16KB\n"
    "    header_fields: 50\n"
    "    header_deadline: 1500ms\n"
    "    idle: 1h\n"
    "    write_stall: 7s\n"
    "    connections: 11\n"
    "    connections_per_address: 12\n"
    "    requests: 13\n"
    "    streams_per_key: 14\n"
    "    json_depth: 15\n"
    "    json_values: 1600\n"
    "    event: 17KB\n"
    "    answer: 1GB\n"
    "    metric_series: 18\n"
    "auth:\n"
    "  mode: keys\n"
    "  keys:\n"
    "    - {name: ci, key: \"${OPENCLAW_TEST_KEY}\", models: [fast, openai/*]}\n"
    "    - {name: \"a person\", key: plain-key}\n"
    "providers:\n"
    "  openai: {api_key: \"${OPENCLAW_TEST_KEY}\"}\n"
    "  anthropic: {api_key: [\"${OPENCLAW_TEST_UNSET:-a}\", 'b$$c'], disabled: true}\n"
    "  groq:\n"
    "  lab:\n"
    "    wire: openai-chat\n"
    "    base_url: http://10.0.0.5:8000/v1\n"
    "    headers: {X-Team: research, x-number: 7}\n"
    "    ca_file: /etc/passwd\n"
    "    tls_insecure: false\n"
    "    http: 1\n"
    "    models: llama\n"
    "    quirks: [no_stream_options, max_tokens]\n"
    "    timeouts: &slow {connect: 1s, first_byte: 2s, first_token: 3s, between_tokens: 4s, total: 5s}\n"
    "models:\n"
    "  fast:\n"
    "    strategy: priority\n"
    "    targets:\n"
    "      - groq/llama-3.3-70b-versatile\n"
    "      - {model: openai/gpt-4o-mini, weight: 2, params: {temperature: 0.2, stop: [a, \"1\", 2]}, timeouts: *slow}\n"
    "  smart: {targets: [fast]}\n"
    "default_provider: lab\n"
    "timeouts: {connect: 6s, first_byte: 7s, first_token: 8s, between_tokens: 9s, total: 10s}\n"
    "observe: {log: {path: /var/log/openclaw.log, level: debug}, access: {path: off}, metrics: false}\n";

static void
set_environment(void)
{
    EXPECT(unsetenv("OPENCLAW_TEST_UNSET") == 0);
    EXPECT(setenv("OPENCLAW_TEST_KEY", "sk-env", 1) == 0);
}

TEST(a_file_that_sets_everything_sets_the_server)
{
    set_environment();
    struct loaded l = load(str_c(everything));
    const struct conf_server *s = &l.conf->server;

    EXPECT_STR(problem_lines(&l), "");
    EXPECT_INT(s->listen.count, 4);
    EXPECT_STR(s->listen.list[0].v, "0.0.0.0:8080");
    EXPECT_STR(s->listen.list[3].v, "unix:/run/openclaw.sock");
    EXPECT_INT(s->listen.list[1].mark.line, 2);
    EXPECT_INT(s->listen.list[1].mark.column, 28);
    EXPECT_STR(s->admin_listen.v, "127.0.0.1:8081");
    EXPECT_INT(s->workers, 3);
    EXPECT_STR(s->tls_cert.v, "/etc/passwd");
    EXPECT_STR(s->tls_key.v, "/etc/group");
    EXPECT_INT(s->cors_origins.count, 2);
    EXPECT_STR(s->cors_origins.list[1].v, "*");
    EXPECT_INT(s->drain_grace_ms, 1000);
    EXPECT_INT(s->drain_deadline_ms, 120000);
    EXPECT_INT(s->keepalive_ms, 0);
    unload(&l);
}

TEST(a_file_that_sets_everything_sets_the_limits)
{
    set_environment();
    struct loaded l = load(str_c(everything));
    const struct conf_server *s = &l.conf->server;

    EXPECT_INT(s->limit_body_bytes, 1024 * 1024);
    EXPECT_INT(s->limit_body_rate_bytes_per_s, 2048);
    EXPECT_INT(s->limit_head_bytes, 16 * 1024);
    EXPECT_INT(s->limit_fields, 50);
    EXPECT_INT(s->limit_head_ms, 1500);
    EXPECT_INT(s->limit_idle_ms, 3600000);
    EXPECT_INT(s->limit_write_stall_ms, 7000);
    EXPECT_INT(s->limit_connections, 11);
    EXPECT_INT(s->limit_connections_per_address, 12);
    EXPECT_INT(s->limit_requests, 13);
    EXPECT_INT(s->limit_streams_per_key, 14);
    EXPECT_INT(s->limit_json_depth, 15);
    EXPECT_INT(s->limit_json_values, 1600);
    EXPECT_INT(s->limit_event_bytes, 17 * 1024);
    EXPECT_INT(s->limit_answer_bytes, 1024 * 1024 * 1024);
    EXPECT_INT(s->limit_metric_series, 18);
    unload(&l);
}

TEST(a_file_that_sets_everything_sets_keys_and_providers)
{
    set_environment();
    struct loaded l = load(str_c(everything));
    const struct conf *c = l.conf;

    EXPECT_INT(c->auth.mode, AUTH_KEYS);
    EXPECT_INT(c->auth.mode_mark.line, 28);
    EXPECT_INT(c->auth.key_count, 2);
    EXPECT_STR(c->auth.keys[0].name.v, "ci");
    EXPECT_STR(c->auth.keys[0].key.v, "sk-env");
    EXPECT(c->auth.keys[0].key.secret && !c->auth.keys[0].name.secret);
    EXPECT_STR(c->auth.keys[0].models.list[1].v, "openai/*");
    EXPECT_INT(c->auth.keys[1].models.count, 0);
    EXPECT_INT(c->auth.keys[1].mark.line, 31);
    EXPECT_INT(c->provider_count, 4);
    EXPECT_STR(c->providers[0].id.v, "openai");
    EXPECT_STR(c->providers[0].api_keys.list[0].v, "sk-env");
    EXPECT_INT(c->providers[1].api_keys.count, 2);
    EXPECT_STR(c->providers[1].api_keys.list[0].v, "a");
    EXPECT_STR(c->providers[1].api_keys.list[1].v, "b$c");
    EXPECT(c->providers[1].disabled);
    EXPECT_INT(c->providers[2].api_keys.count, 0);
    EXPECT(!c->providers[2].quirks_set);
    EXPECT_INT(c->providers[3].mark.line, 36);
    unload(&l);
}

TEST(a_file_that_sets_everything_sets_every_part_of_a_provider)
{
    set_environment();
    struct loaded l = load(str_c(everything));
    const struct conf_provider *p = &l.conf->providers[3];

    EXPECT_STR(p->wire.v, "openai-chat");
    EXPECT_STR(p->base_url.v, "http://10.0.0.5:8000/v1");
    EXPECT_INT(p->field_count, 2);
    EXPECT_STR(p->fields[0].key.v, "X-Team");
    EXPECT_STR(p->fields[0].value.v, "research");
    EXPECT(p->fields[0].value.secret);
    EXPECT_STR(p->fields[1].value.v, "7");
    EXPECT_STR(p->ca_file.v, "/etc/passwd");
    EXPECT(!p->tls_insecure && !p->disabled && p->quirks_set);
    EXPECT_STR(p->http.v, "1");
    EXPECT_STR(l.conf->providers[0].http.v, "auto");
    EXPECT_INT(p->models.count, 1);
    EXPECT_STR(p->models.list[0].v, "llama");
    EXPECT_STR(p->quirks.list[1].v, "max_tokens");
    EXPECT_INT(p->timeouts.connect_ms, 1000);
    EXPECT_INT(p->timeouts.total_ms, 5000);
    unload(&l);
}

TEST(a_file_that_sets_everything_sets_aliases_timeouts_and_logs)
{
    set_environment();
    struct loaded l = load(str_c(everything));
    const struct conf *c = l.conf;
    const struct conf_target *t = &c->models[0].targets[1];

    EXPECT_INT(c->model_count, 2);
    EXPECT_STR(c->models[0].name.v, "fast");
    EXPECT_STR(c->models[0].strategy.v, "priority");
    EXPECT_STR(c->models[1].strategy.v, "priority");
    EXPECT_INT(c->models[0].target_count, 2);
    EXPECT_STR(c->models[0].targets[0].model.v, "groq/llama-3.3-70b-versatile");
    EXPECT_INT(c->models[0].targets[0].weight, 1);
    EXPECT_INT(c->models[0].targets[0].timeouts.total_ms, 0);
    EXPECT_STR(t->model.v, "openai/gpt-4o-mini");
    EXPECT_INT(t->weight, 2);
    EXPECT_STR(t->params, "{\"temperature\":0.2,\"stop\":[\"a\",\"1\",2]}");
    EXPECT_INT(t->timeouts.between_tokens_ms, 4000);
    EXPECT_STR(c->default_provider.v, "lab");
    EXPECT_INT(c->timeouts.connect_ms, 6000);
    EXPECT_INT(c->timeouts.first_byte_ms, 7000);
    EXPECT_INT(c->timeouts.first_token_ms, 8000);
    EXPECT_INT(c->timeouts.between_tokens_ms, 9000);
    EXPECT_INT(c->timeouts.total_ms, 10000);
    EXPECT_STR(c->observe.log_path.v, "/var/log/openclaw.log");
    EXPECT_STR(c->observe.log_level.v, "debug");
    EXPECT_STR(c->observe.access_path.v, "off");
    EXPECT(!c->observe.metrics);
    unload(&l);
}

TEST(an_empty_file_means_the_defaults)
{
    static const char *const empties[] = { "", "\n", "# only a comment\n", "---\n...\n",
        "server:\nauth:\nmodels: ~\n" };

    for (size_t i = 0; i < ARRAY_LEN(empties); i++) {
        struct loaded l = load(str_c(empties[i]));
        const struct conf *c = l.conf;

        EXPECT_STR(problem_lines(&l), "");
        EXPECT_INT(c->server.listen.count, 1);
        EXPECT_STR(c->server.listen.list[0].v, "127.0.0.1:8080");
        EXPECT_INT(c->server.workers, 0);
        EXPECT_INT(c->auth.mode, AUTH_NONE);
        EXPECT_INT(c->server.limit_body_bytes, 32 * 1024 * 1024);
        EXPECT_INT(c->server.drain_grace_ms, 5000);
        EXPECT_INT(c->server.keepalive_ms, 15000);
        EXPECT_INT(c->timeouts.connect_ms, 5000);
        EXPECT_INT(c->timeouts.first_byte_ms, 0);
        EXPECT_INT(c->timeouts.total_ms, 600000);
        EXPECT(c->observe.metrics);
        EXPECT_STR(c->observe.log_level.v, "info");
        EXPECT_INT(c->provider_count + c->model_count + c->auth.key_count, 0);
        unload(&l);
    }
}

TEST(no_file_means_the_defaults_and_the_sets)
{
    static const char *const sets[] = { "server.workers=2", "auth.mode=none" };
    struct loaded l = { .arena = arena_create(1024 * 1024) };

    conf_problems_init(&l.problems, l.arena);
    l.conf = conf_load(NULL, sets, ARRAY_LEN(sets), &l.problems);
    EXPECT_STR(problem_lines(&l), "");
    EXPECT_INT(l.conf->server.workers, 2);
    EXPECT_STR(l.conf->path, "(built in)");
    unload(&l);
}

TEST(a_file_that_cannot_be_read_says_why)
{
    static const char *const paths[] = { "/nonexistent/openclaw.yaml", "/etc" };
    static const char *const reasons[] = {
        "cannot be read (No such file or directory); check the path and its permissions\n",
        "cannot be read (Is a directory); check the path and its permissions\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct loaded l = { .arena = arena_create(1024 * 1024) };

        conf_problems_init(&l.problems, l.arena);
        l.conf = conf_load(paths[i], NULL, 0, &l.problems);
        EXPECT_STR(problem_lines(&l), reasons[i]);
        unload(&l);
    }
}

TEST(a_file_of_a_mebibyte_is_taken_and_one_more_byte_is_not)
{
    char *text = malloc(YAML_BYTES_MAX + 1);

    memset(text, '#', YAML_BYTES_MAX + 1);
    struct loaded l = load_with(str_make(text, YAML_BYTES_MAX), NULL, 0);
    EXPECT_STR(problem_lines(&l), "");
    unload(&l);
    l = load_with(str_make(text, YAML_BYTES_MAX + 1), NULL, 0);
    EXPECT_STR(problem_lines(&l), "1:1: the file is larger than 1MB; make it smaller\n");
    unload(&l);
    free(text);
}

TEST(secrets_come_from_files_without_their_line_end)
{
    char path[] = "/tmp/openclaw-secret-XXXXXX";
    int fd = mkstemp(path);
    struct arena *a = arena_create(64 * 1024);

    EXPECT(fd >= 0 && write(fd, "sk-from-file\r\n", 14) == 14 && close(fd) == 0);
    struct str text = arena_printf(
        a, "providers: {p: {api_key: \"file:%s\", headers: {x-k: \"file:%s\"}}}\n", path, path);
    struct loaded l = load(text);
    EXPECT_STR(problem_lines(&l), "");
    EXPECT_STR(l.conf->providers[0].api_keys.list[0].v, "sk-from-file");
    EXPECT_STR(l.conf->providers[0].fields[0].value.v, "sk-from-file");
    EXPECT(unlink(path) == 0);
    unload(&l);
    arena_destroy(a);
}

TEST(a_secret_file_is_not_followed_where_no_secret_belongs)
{
    struct loaded l = load(S("observe: {log: {path: \"file:/etc/passwd\"}}\n"));

    EXPECT_STR(problem_lines(&l), "");
    EXPECT_STR(l.conf->observe.log_path.v, "file:/etc/passwd");
    unload(&l);
}

/* Each line is wrong in its own way and has a canary in it, or one that comes from the environment
 * or a file. */
static const char *const canaries[] = {
    "providers: {p: {api_key: \"canary secret\"}}",
    "providers: {p: {api_key: [\"canary\\n\", {canary: canary}, [canary]]}}",
    "providers: {p: {api_key: \"${OPENCLAW_TEST_BAD}\"}}",
    "providers: {p: {api_key: \"${OPENCLAW_TEST_BAD}${OPENCLAW_TEST_UNSET}\"}}",
    "providers: {p: {api_key: \"file:@FILE@\"}}",
    "providers: {p: {api_key: \"file:/${OPENCLAW_TEST_BAD}\"}}",
    "providers: {p: {api_key: \"file:canary\"}}",
    "providers: {p: {api_key: \"canary${\"}}",
    "providers: {p: {api_key: \"$canary1\"}}",
    "providers: {p: {api_key:canary-1}}",
    "providers: {p: canary}",
    "providers: [canary]",
    "providers: canary",
    "providers: {p: {base_url: \"https://canary@host/\"}}",
    "providers: {p: {base_url: \"https://host/?canary\"}}",
    "providers: {p: {wire: \"canary canary\"}}",
    "providers: {p: {headers: {authorization: \"Bearer canary\\n\"}}}",
    "providers: {p: {headers: {authorization:canary}}}",
    "providers: {p: {headers: {x-y: {canary: canary}}}}",
    "providers: {p: {headers: canary}}",
    "providers: {p: {tls_insecure: canary}}",
    "providers: {p: {timeouts: {connect: canary}}}",
    "providers: {p: {ca_file: \"/${OPENCLAW_TEST_BAD}\"}}",
    "auth: {keys: [canary]}",
    "auth: {keys: [{name: a, key: \"${OPENCLAW_TEST_BAD}\"}]}",
    "auth: {keys: [{name: a, key: canary}, {name: a, key: canary}]}",
    "auth: {keys: [{key: canary}]}",
    "auth: {mode: canary}",
    "server: {listen: \"canary canary\", workers: canary, limits: {body: canary}}",
    "server: {listen: \"${OPENCLAW_TEST_BAD}\"}",
    "models: {m: {strategy: canary, targets: [{model: \"canary canary\"}]}}",
    "models: {m: {targets: [{model: a/b, params: {x: \"canary${OPENCLAW_TEST_UNSET}\"}}]}}",
    "observe: {log: {level: canary}}",
    "key: \"canary\n",
    "key: \"canary\\q\"\n",
    "key: canary: canary\n",
    "key: [canary, canary\n",
    "key: *canary\n",
    "key: !canary canary\n",
    "key: %canary\n  canary\n canary\n",
};

static struct str
with_file(struct arena *a, const char *text, const char *path)
{
    size_t at = str_find(str_c(text), S("@FILE@"));

    if (text[at] == '\0')
        return str_c(text);
    return arena_printf(a, "%.*s%s%s", (int)at, text, path, text + at + 6);
}

TEST(no_message_contains_a_secret)
{
    char path[] = "/tmp/openclaw-secret-XXXXXX";
    int fd = mkstemp(path);
    struct arena *a = arena_create(64 * 1024);

    EXPECT(fd >= 0 && write(fd, "canary canary", 13) == 13 && close(fd) == 0);
    EXPECT(setenv("OPENCLAW_TEST_BAD", "canary canary", 1) == 0);
    EXPECT(unsetenv("OPENCLAW_TEST_UNSET") == 0);
    for (size_t i = 0; i < ARRAY_LEN(canaries); i++) {
        struct loaded l = load(with_file(a, canaries[i], path));
        struct str lines = problem_lines(&l);

        if (l.problems.count == 0 || str_find(lines, S("canary")) != lines.n)
            print_error("%s\n" STR_FMT, canaries[i], STR_ARG(lines));
        EXPECT(l.problems.count != 0);
        EXPECT(str_find(lines, S("canary")) == lines.n);
        unload(&l);
    }
    EXPECT(unlink(path) == 0);
    arena_destroy(a);
}

/* What a library prints by itself is a leak too. */
TEST(nothing_is_printed_while_a_bad_file_is_read)
{
    char path[] = "/tmp/openclaw-stderr-XXXXXX";
    int fd = mkstemp(path), saved_out = dup(1), saved_err = dup(2);

    fflush(stdout);
    fflush(stderr);
    EXPECT(dup2(fd, 1) == 1 && dup2(fd, 2) == 2);
    for (size_t i = 0; i < ARRAY_LEN(canaries); i++) {
        struct loaded l = load(str_c(canaries[i]));
        unload(&l);
    }
    fflush(stdout);
    fflush(stderr);
    EXPECT(dup2(saved_out, 1) == 1 && dup2(saved_err, 2) == 2);
    EXPECT(lseek(fd, 0, SEEK_END) == 0);
    EXPECT(close(fd) == 0 && close(saved_out) == 0 && close(saved_err) == 0);
    EXPECT(unlink(path) == 0);
}

TEST(too_much_text_in_all_is_an_error_and_not_a_crash)
{
    struct arena *a = arena_create(4 * 1024 * 1024);
    struct buf text;
    char *value = malloc(60000);

    memset(value, 'x', 59999);
    value[59999] = '\0';
    EXPECT(setenv("OPENCLAW_TEST_LONG", value, 1) == 0);
    free(value);
    buf_init(&text, 1024 * 1024);
    buf_add(&text, S("models:\n  m:\n    targets:\n"));
    for (int i = 0; i < 2000; i++)
        buf_add(&text, S("      - {model: a/b, params: {x: \"${OPENCLAW_TEST_LONG}\"}}\n"));
    struct loaded l = load(buf_str(&text));
    EXPECT(l.problems.count != 0);
    EXPECT_STR(l.problems.first->text,
        "'models.m.targets[559].params' does not fit: the configuration holds too much text; make it smaller");
    unload(&l);
    buf_fini(&text);
    EXPECT(unsetenv("OPENCLAW_TEST_LONG") == 0);
    arena_destroy(a);
}

/* The place of `word` in the condition of the first rule. */
static struct conf_mark
place_of(const char *file, const char *word)
{
    struct arena *a = arena_create(1024 * 1024);
    struct conf_problems problems;

    conf_problems_init(&problems, a);
    struct conf *c = conf_parse(str_c(file), S("test"), &problems);
    if (problems.count != 0)
        print_error("%s%s", file, problems.first->text.p);
    EXPECT_INT(problems.count, 0);
    const struct conf_str *when = &c->rules[0].when;
    size_t at = str_find(when->v, str_c(word));
    EXPECT(at != when->v.n);
    struct conf_mark mark = conf_mark_in(c, when, at);
    conf_destroy(c);
    arena_destroy(a);
    return mark;
}

TEST(a_place_within_a_text_is_told_by_line_and_column)
{
    static const struct {
        const char *file;
        unsigned line, column;
    } list[] = {
        { "rules: [{when: a > b, use: x}]\n", 1, 20 },
        { "rules:\n  - when: 'a > b'\n", 2, 16 },
        { "rules:\n  - when: \"a > b\"\n", 2, 16 },
        { "rules:\n  - when: \"\\x61 > b\"\n", 2, 11 },    /* escaped: the text's own place */
        { "rules:\n  - when: |\n      a\n      > b\n    use: x\n", 4, 9 },
        { "rules:\n  - when: |-\n      a\n        or b\n", 4, 12 },
        { "rules:\n  - when: >\n      a\n      > b\n    use: x\n", 3, 1 },    /* folded */
        { "rules:\n  - when: ${NONE:-a > b}\n", 2, 11 },
    };

    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        struct conf_mark mark = place_of(list[i].file, "b");

        EXPECT_INT(mark.line, list[i].line);
        EXPECT_INT(mark.column, list[i].column);
    }
}

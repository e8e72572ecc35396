/* fuzz_log_line.c - any bytes as lines of an access log that is replayed, explained and shown: within bounds,
 * never a crash. */
#include <stdlib.h>

#include "app/explain_view.h"
#include "app/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Strategies that read all there is, patterns, nested aliases, experiments. Made once. */
static struct snapshot *
snapshot(void)
{
    static struct snapshot *s;
    struct conf_problems problems;
    struct arena *a;

    if (s != NULL)
        return s;
    a = arena_create(16u * 1024 * 1024);
    conf_problems_init(&problems, a);
    s = snapshot_build(
        conf_parse(
            S("server: {listen: \"127.0.0.1:0\"}\n"
              "providers: {openai: {api_key: k}, groq: {api_key: k}}\n"
              "models:\n"
              "  smart: {strategy: cost, targets: [openai/gpt-4o, fast, groq/x]}\n"
              "  fast: {strategy: weighted, targets: [openai/gpt-4o-mini, groq/gemma2-9b-it]}\n"
              "  turns: {strategy: round_robin, targets: [openai/gpt-4o-mini, groq/x]}\n"
              "  \"any-*\": {targets: [\"openai/*\", smart]}\n"
              "experiments:\n"
              "  - {name: x, alias: fast, by: conversation, arms: [{name: a, use: fast}, {name: b, "
              "use: smart}]}\n"),
            S("fuzz.yaml"), &problems),
        S(""), &problems);
    CHECK(problems.count == 0);
    arena_destroy(a);
    return s;
}

/* What is shown of it has no control characters: a log must not move a terminal's cursor. */
static void
check_visible(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        CHECK((unsigned char)text.p[i] >= ' ' || text.p[i] == '\n');
}

static void
show(struct str line)
{
    struct arena *a = arena_create(16u * 1024 * 1024);
    const struct json *doc = json_parse(a, line, NULL, NULL);
    struct buf out;

    buf_init(&out, 16u * 1024 * 1024);
    explain_view_answer(&out, a, doc);
    explain_view_request(&out, a, doc);
    check_visible(buf_str(&out));
    buf_fini(&out);
    arena_destroy(a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str line, rest = str_make((const char *)data, size);
    struct replay *r = replay_create(snapshot());
    struct buf out;

    while (rest.n != 0) {
        (void)str_cut(rest, '\n', &line, &rest);
        replay_line(r, line);
        show(line);
    }
    buf_init(&out, 64u * 1024 * 1024);
    replay_write(r, &out);
    replay_view(r, &out);
    buf_fini(&out);
    replay_destroy(r);
    return 0;
}

/* test_empty.c - an answer that says nothing is none, unless something vouches for it: in every
 * protocol, streamed and whole. */
#include "llm/emit.h"
#include "tests/test.h"

static struct wire_reader r;
static struct event_sink sink;
static enum err failed;    /* the kind of the answer's EVENT_ERROR */
static bool ended;
static bool no_finish_reason;    /* the trait */

static void
on_event(struct event_sink *s UNUSED, const struct llm_event *ev)
{
    if (ev->kind == EVENT_ERROR)
        failed = ev->error->kind;
    ended = ended || ev->kind == EVENT_END;
}

/* Reads a document or, one to a line, the data of a stream's events. The kind of its error. */
static enum err
read_all(const struct wire *wire, enum llm_op op, bool stream, const char *text)
{
    struct arena *a = arena_create(1 << 20);
    struct str rest = str_c(text), line;
    enum err e = OK;

    failed = OK;
    ended = false;
    sink.emit = on_event;
    r = (struct wire_reader){
        .wire = wire,
        .op = op,
        .stream = stream,
        .keep = a,
        .scratch = a,
        .sink = &sink,
        .no_finish_reason = no_finish_reason,
    };
    if (!stream)
        e = wire_read_answer(&r, rest);
    while (stream && e == OK && rest.n != 0) {
        (void)str_cut(rest, '\n', &line, &rest);
        e = wire->provider->read_event(&r, S(""), line);
    }
    if (stream && e == OK)
        wire->provider->read_end(&r);
    EXPECT_INT(e, OK);
    EXPECT((failed == OK) == ended);
    EXPECT_INT(r.failed, failed != OK);
    EXPECT_INT(r.complete, ended);
    arena_destroy(a);
    return failed;
}

#define O_WHOLE(message, finish, tokens)                                                           \
    "{\"choices\":[{\"message\":{" message "},\"finish_reason\":" finish "}],\"usage\":{" tokens   \
    "}}"
#define O_STREAM(delta, finish, tokens)                                                            \
    "{\"id\":\"c\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n"         \
    "{\"id\":\"c\",\"choices\":[{\"delta\":{" delta "},\"finish_reason\":" finish "}]}\n"          \
    "{\"id\":\"c\",\"choices\":[],\"usage\":{" tokens "}}\n"                                       \
    "[DONE]"

TEST(openai_s_answers_that_say_nothing_are_told_from_those_that_mean_it)
{
    static const struct {
        const char *whole, *stream;
        enum err kind;
    } rows[] = {
#define ROW(content, finish, tokens, kind)                                                         \
    { O_WHOLE(content, finish, tokens), O_STREAM(content, finish, tokens), kind }
        ROW("\"content\":\"\"", "\"stop\"", "\"completion_tokens\":0", ERR_UPSTREAM_EMPTY),
        ROW("\"content\":null", "\"stop\"", "",
            ERR_UPSTREAM_EMPTY),    /* unknown vouches for nothing */
        ROW("\"content\":\"\"", "null", "\"completion_tokens\":0", ERR_UPSTREAM_EMPTY),
        ROW("\"content\":\"\"", "null", "\"completion_tokens\":7", ERR_UPSTREAM_EMPTY),
        ROW("\"content\":\"\",\"tool_calls\":[]", "\"tool_calls\"", "", ERR_UPSTREAM_EMPTY),
        ROW("", "\"odd\"", "\"completion_tokens\":0", ERR_UPSTREAM_EMPTY),
        ROW("\"content\":\"\"", "\"stop\"", "\"completion_tokens\":1", OK),
        ROW("\"content\":\"\"", "\"length\"", "\"completion_tokens\":0", OK),
        ROW("\"content\":null", "\"length\"", "", OK),    /* all of it was reasoning */
        ROW("\"content\":\"\"", "\"content_filter\"", "", OK),
        ROW("\"content\":\"a\"", "\"stop\"", "\"completion_tokens\":0", OK),
        ROW("\"refusal\":\"no\"", "\"stop\"", "", OK),
        ROW("\"reasoning_content\":\"hm\"", "\"stop\"", "", OK),
        ROW("\"images\":[{\"image_url\":{}}]", "\"stop\"", "", OK),
        ROW("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\"}}]",
            "\"tool_calls\"", "", OK),
#undef ROW
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT_INT(read_all(&wire_openai_chat, OP_CHAT, false, rows[i].whole), rows[i].kind);
        EXPECT_INT(read_all(&wire_openai_chat, OP_CHAT, true, rows[i].stream), rows[i].kind);
    }
    EXPECT_INT(read_all(&wire_openai_chat, OP_CHAT, false, "{\"choices\":[]}"), ERR_UPSTREAM_EMPTY);
    EXPECT_INT(read_all(&wire_openai_chat, OP_CHAT, true, "[DONE]"), ERR_UPSTREAM_EMPTY);
    EXPECT_INT(read_all(&wire_openai_chat, OP_COMPLETE, false,
                   "{\"choices\":[{\"text\":\"\",\"finish_reason\":\"stop\"}]}"),
        ERR_UPSTREAM_EMPTY);
}

TEST(one_choice_that_says_something_is_enough)
{
    EXPECT_INT(read_all(&wire_openai_chat, OP_CHAT, false,
                   "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"\"},\"finish_reason\":"
                   "\"stop\"},{\"index\":1,\"message\":{\"content\":\"a\"}}]}"),
        OK);
}

#define A_WHOLE(blocks, reason, usage)                                                             \
    "{\"type\":\"message\",\"content\":[" blocks "],\"stop_reason\":" reason ",\"usage\":{" usage  \
    "}}"
#define A_STREAM(block, reason, usage)                                                             \
    "{\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":9,"         \
    "\"output_tokens\":1}}}\n" block                                                               \
    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":" reason "},\"usage\":{" usage "}}\n"  \
    "{\"type\":\"message_stop\"}"
#define A_BLOCK(block)                                                                             \
    "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":" block "}\n"

TEST(anthropic_s_answers_that_say_nothing_are_told_from_those_that_mean_it)
{
    static const struct {
        const char *block, *reason, *usage;
        enum err kind;
    } rows[] = {
        { NULL, "\"end_turn\"", "\"output_tokens\":0", ERR_UPSTREAM_EMPTY },
        { NULL, "null", "\"output_tokens\":3", ERR_UPSTREAM_EMPTY },
        { NULL, "\"end_turn\"", "\"output_tokens\":3", OK },      /* after a tool's result */
        { NULL, "\"max_tokens\"", "\"output_tokens\":0", OK },    /* max_tokens 0 warms the cache */
        { NULL, "\"refusal\"", "\"output_tokens\":0", OK },
        { "{\"type\":\"text\",\"text\":\"\"}", "\"end_turn\"", "\"output_tokens\":0",
            ERR_UPSTREAM_EMPTY },
        { "{\"type\":\"text\",\"text\":\"a\"}", "\"end_turn\"", "\"output_tokens\":0", OK },
        { "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}", "\"tool_use\"",
            "\"output_tokens\":0", OK },
        { "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"s\"}", "\"end_turn\"",
            "\"output_tokens\":0", OK },
        { "{\"type\":\"redacted_thinking\",\"data\":\"d\"}", "\"end_turn\"", "\"output_tokens\":0",
            OK },
        { "{\"type\":\"server_tool_use\",\"id\":\"s\"}", "\"pause_turn\"", "\"output_tokens\":0",
            OK },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *a = arena_create(64 * 1024);
        const char *block = rows[i].block != NULL ? rows[i].block : "";
        const char *event = rows[i].block != NULL ? arena_printf(a, A_BLOCK("%s"), block).p : "";

        EXPECT_INT(
            read_all(&wire_anthropic, OP_CHAT, false,
                arena_printf(a, A_WHOLE("%s", "%s", "%s"), block, rows[i].reason, rows[i].usage).p),
            rows[i].kind);
        EXPECT_INT(
            read_all(&wire_anthropic, OP_CHAT, true,
                arena_printf(a, A_STREAM("%s", "%s", "%s"), event, rows[i].reason, rows[i].usage)
                    .p),
            rows[i].kind);
        arena_destroy(a);
    }
    EXPECT_INT(read_all(&wire_anthropic, OP_CHAT, true, "{\"type\":\"message_stop\"}"),
        ERR_UPSTREAM_EMPTY);
    EXPECT_INT(read_all(&wire_anthropic, OP_COUNT_TOKENS, false, "{\"input_tokens\":3}"), OK);
}

#define A_TEXT "{\"type\":\"text\",\"text\":\"a\"}"

/* A document is whole if it can be read. A stream's terminator is also written by those who found it
 * broken. */
TEST(a_stream_without_a_finish_reason_is_cut_unless_its_host_never_says_one)
{
    static const struct {
        const struct wire *wire;
        const char *whole, *stream;
    } rows[] = {
        { &wire_openai_chat, O_WHOLE("\"content\":\"a\"", "null", ""),
            O_STREAM("\"content\":\"a\"", "null", "") },
        { &wire_openai_chat, O_WHOLE("\"content\":\"a\"", "\"\"", "\"completion_tokens\":1"),
            O_STREAM("\"content\":\"a\"", "\"\"", "\"completion_tokens\":1") },
        { &wire_openai_chat,
            O_WHOLE("\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\"}}]", "null", ""),
            O_STREAM("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\"}}]",
                "null", "") },
        { &wire_anthropic, A_WHOLE(A_TEXT, "null", ""), A_STREAM(A_BLOCK(A_TEXT), "null", "") },
        { &wire_anthropic, A_WHOLE(A_TEXT, "\"\"", ""), A_STREAM(A_BLOCK(A_TEXT), "\"\"", "") },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT_INT(read_all(rows[i].wire, OP_CHAT, false, rows[i].whole), OK);
        EXPECT_INT(read_all(rows[i].wire, OP_CHAT, true, rows[i].stream), ERR_UPSTREAM_TRUNCATED);
        no_finish_reason = true;
        EXPECT_INT(read_all(rows[i].wire, OP_CHAT, true, rows[i].stream), OK);
        no_finish_reason = false;
    }
}

TEST(ollama_s_answers_that_say_nothing_are_told_from_those_that_mean_it)
{
    static const struct {
        const char *line;
        enum err kind;
    } rows[] = {
        { "{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\"}",
            ERR_UPSTREAM_EMPTY },
        { "{\"message\":{\"content\":\"\"},\"done\":true,\"eval_count\":5}", ERR_UPSTREAM_EMPTY },
        { "{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\","
          "\"eval_count\":1}",
            OK },
        { "{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"load\"}", OK },
        { "{\"response\":\"\",\"done\":true,\"done_reason\":\"unload\"}", OK },
        { "{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"length\"}", OK },
        { "{\"message\":{\"content\":\"\",\"thinking\":\"hm\"},\"done\":true}", OK },
        { "{\"response\":\"a\",\"done\":true}", OK },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT_INT(read_all(&wire_ollama, OP_CHAT, false, rows[i].line), rows[i].kind);
        EXPECT_INT(read_all(&wire_ollama, OP_CHAT, true, rows[i].line), rows[i].kind);
    }
}

TEST(what_is_not_a_model_s_answer_may_be_empty)
{
    EXPECT_INT(read_all(&wire_openai_chat, OP_EMBED, false, "{\"data\":[]}"), OK);
    EXPECT_INT(read_all(&wire_openai_chat, OP_RELAY, false, "{}"), OK);
    EXPECT_INT(read_all(&wire_ollama, OP_EMBED, false, "{\"embeddings\":[]}"), OK);
}

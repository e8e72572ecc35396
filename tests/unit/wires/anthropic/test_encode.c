/* test_encode.c - events and answers as an Anthropic caller reads them. */
#include "wires/anthropic/encode.c"
#include "tests/test.h"

static struct arena *a;
static struct buf out;
static struct buf told;
static struct wire_writer w;

static void
begin(void)
{
    a = arena_create(64 * 1024 * 1024);
    buf_init(&out, 64 * 1024 * 1024);
    buf_init(&told, 1024 * 1024);
    w = (struct wire_writer){
        .wire = &wire_anthropic,
        .keep = a,
        .out = &out,
        .id = S("77"),
        .model = S("asked"),
    };
}

static void
end(void)
{
    buf_fini(&out);
    buf_fini(&told);
    arena_destroy(a);
}

static void
write_text(enum llm_event_kind kind, const char *text)
{
    anthropic_write_event(&w, &(struct llm_event){ .kind = kind, .text = str_c(text) });
}

static void
write_tool(enum llm_event_kind kind, uint32_t tool, const char *text)
{
    struct llm_event ev = { .kind = kind, .tool = tool };

    if (kind == EVENT_TOOL_START)
        ev.id = ev.name = str_c(text);
    else
        ev.text = str_c(text);
    anthropic_write_event(&w, &ev);
}

static void
write_kind(enum llm_event_kind kind)
{
    anthropic_write_event(&w, &(struct llm_event){ .kind = kind, .finish = FINISH_STOP });
}

/* What stands in the data of the frames so far, a short word each: "start text+Hi stop". */
static struct str
story(void)
{
    struct str rest = buf_str(&out);
    struct str line;

    buf_reset(&told, 0);
    while (str_cut(rest, '\n', &line, &rest)) {
        const struct json *doc = NULL;
        struct str type;

        if (!str_starts(line, S("data: ")))
            continue;
        doc = json_parse(a, str_skip(line, 6), NULL, NULL);
        EXPECT(doc != NULL);
        type = json_str(a, json_get(doc, S("type")));
        if (buf_len(&told) > 0)
            buf_add_c(&told, ' ');
        if (str_eq(type, S("content_block_start"))) {
            buf_printf(&told, "%d:", (int)json_i64(json_get(doc, S("index")), -1));
            buf_add(&told, json_str(a, json_at(doc, "content_block.type")));
            buf_add(&told, json_str(a, json_at(doc, "content_block.id")));
        } else if (str_eq(type, S("content_block_delta"))) {
            struct json_iter it = json_iter(json_get(doc, S("delta")));

            while (json_next(&it))
                if (!json_str_is(it.key, S("type")))
                    buf_add(&told, json_str(a, it.value));
        } else if (str_eq(type, S("content_block_stop"))) {
            buf_printf(&told, "/%d", (int)json_i64(json_get(doc, S("index")), -1));
        } else {
            buf_add(&told, type);
        }
    }
    return buf_str(&told);
}

#define EXPECT_STORY(expected) EXPECT_STR(story(), expected)

TEST(every_event_is_a_frame_named_like_its_data)
{
    begin();
    anthropic_write_event(
        &w, &(struct llm_event){ .kind = EVENT_START, .id = S("msg_5"), .model = S("m") });
    write_text(EVENT_TEXT, "a\"b");
    EXPECT_STR(buf_str(&out),
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_5\","
        "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],"
        "\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":0,"
        "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":0}}}\n\n"
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
        "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"a\\\"b\"}}\n\n");
    end();
}

TEST(a_start_is_made_when_the_provider_gives_none)
{
    begin();
    write_text(EVENT_TEXT, "Hi");
    EXPECT_STORY("message_start 0:text Hi");
    EXPECT(str_find(buf_str(&out), S("\"id\":\"msg_77\"")) < buf_len(&out));
    EXPECT(str_find(buf_str(&out), S("\"model\":\"asked\"")) < buf_len(&out));
    end();
}

TEST(blocks_are_dense_and_one_at_a_time)
{
    begin();
    write_text(EVENT_REASONING, "hm");
    anthropic_write_event(
        &w, &(struct llm_event){ .kind = EVENT_SIGNATURE, .signature = S("sig") });
    write_text(EVENT_REASONING, "more");
    write_text(EVENT_REDACTED, "xyz");
    write_text(EVENT_TEXT, "Hi");
    write_text(EVENT_TEXT, " there");
    write_text(EVENT_REFUSAL, "!");
    write_tool(EVENT_TOOL_START, 0, "t");
    write_tool(EVENT_TOOL_ARGS, 0, "{}");
    write_tool(EVENT_TOOL_END, 0, "");
    write_kind(EVENT_FINISH);
    write_kind(EVENT_END);
    EXPECT_STORY("message_start 0:thinking hm sig /0 1:thinking more /1 2:redacted_thinking /2 "
                 "3:text Hi  there ! /3 4:tool_uset {} /4 message_delta message_stop");
    end();
}

TEST(a_signature_without_readable_thinking_has_a_block_of_its_own)
{
    begin();
    anthropic_write_event(
        &w, &(struct llm_event){ .kind = EVENT_SIGNATURE, .signature = S("sig") });
    write_text(EVENT_TEXT, "Hi");
    EXPECT_STORY("message_start 0:thinking sig /0 1:text Hi");
    end();
}

TEST(empty_deltas_open_nothing)
{
    begin();
    write_text(EVENT_TEXT, "");
    write_text(EVENT_REASONING, "");
    write_kind(EVENT_FINISH);
    write_kind(EVENT_END);
    EXPECT_STORY("message_start message_delta message_stop");
    end();
}

TEST(calls_written_at_once_come_one_after_the_other)
{
    begin();
    write_tool(EVENT_TOOL_START, 0, "a");
    write_tool(EVENT_TOOL_START, 1, "b");
    write_tool(EVENT_TOOL_ARGS, 1, "{\"x\"");
    write_tool(EVENT_TOOL_ARGS, 0, "{}");
    write_tool(EVENT_TOOL_START, 2, "c");
    write_text(EVENT_TEXT, "late ");
    write_text(EVENT_TEXT, "text");
    write_tool(EVENT_TOOL_END, 1, "");
    EXPECT_STORY("message_start 0:tool_usea {}");
    write_tool(EVENT_TOOL_END, 0, "");    /* b is over, c is not: it goes on as it comes */
    write_tool(EVENT_TOOL_ARGS, 2, "{\"y\":");
    EXPECT_STORY("message_start 0:tool_usea {} /0 1:tool_useb {\"x\" /1 2:tool_usec {\"y\":");
    write_tool(EVENT_TOOL_ARGS, 2, "2}");
    write_kind(EVENT_FINISH);
    write_kind(EVENT_END);
    EXPECT_STORY("message_start 0:tool_usea {} /0 1:tool_useb {\"x\" /1 2:tool_usec {\"y\": 2} /2 "
                 "3:text late text /3 message_delta message_stop");
    end();
}

TEST(a_call_without_arguments_gets_an_empty_object)
{
    begin();
    write_tool(EVENT_TOOL_START, 0, "a");
    write_tool(EVENT_TOOL_ARGS, 0, "");
    write_tool(EVENT_TOOL_START, 1, "b");
    write_kind(EVENT_FINISH);
    EXPECT_STORY("message_start 0:tool_usea {} /0 1:tool_useb {} /1");
    end();
}

TEST(a_call_without_an_id_gets_one)
{
    begin();
    anthropic_write_event(
        &w, &(struct llm_event){ .kind = EVENT_TOOL_START, .tool = 3, .name = S("f") });
    EXPECT_STORY("message_start 0:tool_usetoolu_77_3");
    end();
}

TEST(free_form_arguments_are_wrapped_while_they_come)
{
    begin();
    anthropic_write_event(
        &w, &(struct llm_event){
                .kind = EVENT_TOOL_START, .id = S("a"), .name = S("sh"), .custom = true });
    write_tool(EVENT_TOOL_ARGS, 0, "ls \"");
    write_tool(EVENT_TOOL_ARGS, 0, "x\"\n");
    write_tool(EVENT_TOOL_END, 0, "");
    anthropic_write_event(&w,
        &(struct llm_event){
            .kind = EVENT_TOOL_START, .tool = 1, .id = S("b"), .name = S("sh"), .custom = true });
    write_tool(EVENT_TOOL_END, 1, "");
    EXPECT_STORY("message_start 0:tool_usea {\"input\":\"ls \\\" x\\\"\\n \"} /0 "
                 "1:tool_useb {\"input\":\"\"} /1");
    end();
}

TEST(fragments_for_calls_that_are_closed_or_unknown_are_ignored)
{
    begin();
    write_tool(EVENT_TOOL_START, 0, "a");
    write_tool(EVENT_TOOL_ARGS, 0, "{}");
    write_tool(EVENT_TOOL_END, 0, "");
    write_tool(EVENT_TOOL_ARGS, 0, "late");
    write_tool(EVENT_TOOL_ARGS, 9, "never opened");
    write_tool(EVENT_TOOL_END, 9, "");
    EXPECT_STORY("message_start 0:tool_usea {} /0");
    end();
}

TEST(the_reason_waits_for_the_counts)
{
    struct llm_usage u = { 0 };

    begin();
    write_text(EVENT_TEXT, "Hi");
    write_kind(EVENT_FINISH);
    EXPECT_STORY("message_start 0:text Hi /0");
    usage_set(&u, COUNT_INPUT, 9);
    usage_set(&u, COUNT_OUTPUT, 2);
    anthropic_write_event(&w, &(struct llm_event){ .kind = EVENT_USAGE, .usage = u });
    usage_set(&u, COUNT_OUTPUT, 3);
    anthropic_write_event(&w, &(struct llm_event){ .kind = EVENT_USAGE, .usage = u });
    EXPECT_STORY("message_start 0:text Hi /0");
    write_kind(EVENT_END);
    EXPECT(str_ends(buf_str(&out),
        S("data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\","
          "\"stop_sequence\":null},\"usage\":{\"input_tokens\":9,\"cache_creation_input_tokens\":0,"
          "\"cache_read_input_tokens\":0,\"output_tokens\":3}}\n\n"
          "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")));
    end();
}

TEST(nothing_follows_the_end_or_an_error)
{
    struct llm_error error = { .kind = ERR_UPSTREAM_TRUNCATED, .message = S("cut") };

    begin();
    write_kind(EVENT_END);
    size_t n = buf_len(&out);
    write_text(EVENT_TEXT, "more");
    write_kind(EVENT_END);
    EXPECT_INT(buf_len(&out), n);
    end();

    begin();
    anthropic_write_event(&w, &(struct llm_event){ .kind = EVENT_ERROR, .error = &error });
    EXPECT_STR(buf_str(&out), "event: error\ndata: {\"type\":\"error\",\"error\":{"
                              "\"type\":\"api_error\",\"message\":\"cut\"}}\n\n");
    write_text(EVENT_TEXT, "more");
    write_kind(EVENT_END);
    EXPECT_STORY("error");
    end();
}

TEST(other_choices_and_what_has_no_place_are_left_out)
{
    begin();
    anthropic_write_event(
        &w, &(struct llm_event){ .kind = EVENT_TEXT, .choice = 1, .text = S("x") });
    EXPECT_INT(buf_len(&out), 0);
    anthropic_write_event(&w, &(struct llm_event){ .kind = EVENT_CITATION,
                                  .citation = &(struct llm_citation){ .url = S("u") } });
    anthropic_write_event(&w, &(struct llm_event){ .kind = EVENT_LOGPROBS, .raw = S("{}") });
    anthropic_write_event(&w, &(struct llm_event){ .kind = EVENT_MEDIA, .raw = S("{}") });
    anthropic_write_event(&w, &(struct llm_event){ .kind = EVENT_OPAQUE, .raw = S("{}") });
    EXPECT_STORY("message_start");
    end();
}

TEST(what_is_held_back_has_a_limit_in_bytes_and_in_number)
{
    static char fragment[64 * 1024 + 1];

    memset(fragment, 'x', sizeof(fragment) - 1);
    begin();
    write_tool(EVENT_TOOL_START, 0, "a");
    write_tool(EVENT_TOOL_START, 1, "b");
    for (int i = 0; i < 100; i++)
        write_tool(EVENT_TOOL_ARGS, 1, fragment);
    EXPECT_STORY("message_start 0:tool_usea error");
    EXPECT(arena_held_bytes(a) < 8 * 1024 * 1024);
    end();

    begin();
    for (uint32_t i = 0; i < 1000; i++)
        write_tool(EVENT_TOOL_START, i, "a");
    EXPECT_STORY("message_start 0:tool_usea error");
    end();
}

TEST(a_token_costs_no_allocation)
{
    begin();
    write_text(EVENT_TEXT, "first");

    size_t held = arena_held_bytes(a);

    for (int i = 0; i < 10000; i++)
        write_text(EVENT_TEXT, "token ");
    EXPECT_INT(arena_held_bytes(a), held);
    end();
}

TEST(a_failed_allocation_while_holding_back_is_an_error_and_no_crash)
{
    for (unsigned n = 1;; n++) {
        begin();
        (void)arena_fail_after_for_tests(n);
        write_tool(EVENT_TOOL_START, 0, "a");
        write_tool(EVENT_TOOL_START, 1, "b");
        write_tool(EVENT_TOOL_ARGS, 1, "{}");
        write_kind(EVENT_FINISH);
        write_kind(EVENT_END);

        bool unused = arena_fail_after_for_tests(0);

        end();
        EXPECT(n < 50);
        if (unused)
            break;
    }
}

TEST(a_whole_answer_is_one_message)
{
    struct llm_answer ans;

    begin();
    answer_init(&ans, a);
    ans.sink.emit(
        &ans.sink, &(struct llm_event){ .kind = EVENT_START, .id = S("x"), .model = S("m") });
    ans.sink.emit(&ans.sink, &(struct llm_event){ .kind = EVENT_REASONING, .text = S("hm") });
    ans.sink.emit(&ans.sink, &(struct llm_event){ .kind = EVENT_SIGNATURE, .signature = S("sig") });
    ans.sink.emit(&ans.sink, &(struct llm_event){ .kind = EVENT_REDACTED, .text = S("xyz") });
    ans.sink.emit(&ans.sink, &(struct llm_event){ .kind = EVENT_TEXT, .text = S("Hi") });
    ans.sink.emit(&ans.sink, &(struct llm_event){ .kind = EVENT_TOOL_START, .name = S("f") });
    ans.sink.emit(
        &ans.sink, &(struct llm_event){ .kind = EVENT_TOOL_ARGS, .text = S("{\"n\": 1.0}") });
    ans.sink.emit(&ans.sink,
        &(struct llm_event){ .kind = EVENT_FINISH, .finish = FINISH_STOP, .native = S("stop") });
    anthropic_write_answer(&w, &ans);
    EXPECT_STR(buf_str(&out),
        "{\"id\":\"msg_77\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\","
        "\"content\":["
        "{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"sig\"},"
        "{\"type\":\"redacted_thinking\",\"data\":\"xyz\"},{\"type\":\"text\",\"text\":\"Hi\"},"
        "{\"type\":\"tool_use\",\"id\":\"toolu_77_0\",\"name\":\"f\",\"input\":{\"n\": 1.0}}],"
        "\"stop_reason\":\"tool_use\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":0,"
        "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":0}}");
    end();
}

TEST(an_answer_of_nothing_has_empty_content)
{
    struct llm_answer ans;

    begin();
    answer_init(&ans, a);
    anthropic_write_answer(&w, &ans);
    EXPECT(
        str_find(buf_str(&out), S("\"content\":[],\"stop_reason\":\"end_turn\"")) < buf_len(&out));
    EXPECT(str_find(buf_str(&out), S("\"model\":\"asked\"")) < buf_len(&out));
    end();
}

/* A helper thread that goes on with a stream must not touch the memory of its beginning. */
TEST(what_comes_later_is_kept_in_the_arena_of_then)
{
    static char large[300001];

    begin();
    memset(large, 'x', sizeof(large) - 1);
    write_tool(EVENT_TOOL_START, 0, "a");
    size_t before = arena_held_bytes(a);
    w.keep = arena_create(64 * 1024 * 1024);
    write_tool(EVENT_TOOL_START, 1, "b");
    write_tool(EVENT_TOOL_ARGS, 1, large);    /* held back until the first is over */
    EXPECT_INT(arena_held_bytes(a), before);
    write_tool(EVENT_TOOL_END, 0, "");
    write_tool(EVENT_TOOL_END, 1, "");
    EXPECT(str_find(buf_str(&out), str_c(large)) != buf_len(&out));
    arena_destroy(w.keep);
    end();
}

#include "wires/openai_chat/openai_chat.c"
#include "tests/test.h"
#include "tests/unit/llm/wire_kit.h"

static struct arena *arena;
static struct llm_request r;

static enum err
read_head(enum llm_op op, struct str body)
{
    static struct wire_fault fault;

    arena = arena_create(1 << 20);
    r = (struct llm_request){ .arena = arena, .op = op, .wire = &wire_openai_chat, .body = body };
    r.doc = json_parse(arena, body, NULL, NULL);
    return llm_request_read(&r, &fault);
}

static const struct traits none;
static const struct traits no_options = TRAITS(.no_stream_options = YES);
static const struct traits old_limit = TRAITS(.max_tokens = YES);
static const struct traits no_developer = TRAITS(.no_developer = YES);

/* The body as a provider with those traits would get it. */
static void
expect_sent(enum llm_op op, struct str body, struct traits traits, const char *expected)
{
    struct wire_target t = { .model = S("x"), .traits = traits };
    struct wire_edits edits = { .count = 0 };
    struct str pieces[2 * WIRE_EDITS + 1];
    char text[2048];
    size_t n = 0;

    EXPECT(read_head(op, body) == OK);
    wire_openai_chat.provider->edit_request(&r, &t, &edits);

    size_t count = wire_edits_apply(&edits, body, pieces);

    for (size_t i = 0; i < count; i++) {
        memcpy(text + n, pieces[i].p, pieces[i].n);
        n += pieces[i].n;
    }
    EXPECT_STR(str_make(text, n), expected);
    EXPECT(json_parse(arena, str_make(text, n), NULL, NULL) != NULL);
    arena_destroy(arena);
}

TEST(usage_is_asked_for_in_streams_of_callers_who_did_not)
{
    expect_sent(OP_CHAT, S("{\"model\":\"m\",\"stream\":true}"), none,
        "{\"stream_options\":{\"include_usage\":true},\"model\":\"m\",\"stream\":true}");
    expect_sent(OP_COMPLETE, S(" {\"model\":\"m\",\"stream\":true}"), none,
        " {\"stream_options\":{\"include_usage\":true},\"model\":\"m\",\"stream\":true}");
    expect_sent(OP_CHAT, S("{\"model\":\"m\",\"stream\":true,\"stream_options\":null}"), none,
        "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    expect_sent(OP_CHAT,
        S("{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\": false}}"), none,
        "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\": true}}");
    expect_sent(OP_CHAT, S("{\"model\":\"m\",\"stream\":true,\"stream_options\":{}}"), none,
        "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    expect_sent(OP_CHAT, S("{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"x\":1}}"), none,
        "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true,\"x\":1}}");
}

TEST(nothing_is_asked_for_where_it_is_there_or_refused)
{
    struct str asked =
        S("{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    struct str plain = S("{\"model\":\"m\",\"stream\":true}");
    struct str whole = S("{\"model\":\"m\",\"stream\":false}");

    expect_sent(OP_CHAT, asked, none, asked.p);
    expect_sent(OP_CHAT, whole, none, whole.p);
    expect_sent(OP_EMBED, plain, none, plain.p);
    expect_sent(OP_CHAT, plain, no_options, plain.p);
}

TEST(options_of_a_stream_are_kept_from_hosts_that_refuse_them)
{
    static const char *const bodies[][2] = {
        { "{\"model\":\"m\", \"stream_options\":{\"include_usage\":true}, \"stream\":true}",
            "{\"model\":\"m\", \"stream\":true}" },
        { "{\"stream_options\" : {},\"model\":\"m\",\"stream\":true}",
            "{\"model\":\"m\",\"stream\":true}" },
        { "{\"model\":\"m\",\"stream\":true , \"stream_options\":null }",
            "{\"model\":\"m\",\"stream\":true }" },
    };

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        expect_sent(OP_CHAT, str_c(bodies[i][0]), no_options, bodies[i][1]);
}

/* What Anthropic's models signed, told by us, means nothing to hosts of this family; what those
 * gave themselves goes back to them. */
TEST(proofs_of_another_protocol_are_not_sent_to_hosts_of_this_one)
{
    expect_sent(OP_CHAT,
        S("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},"
          "{\"role\":\"assistant\",\"content\":\"b\",\"reasoning_content\":\"hm\","
          "\"reasoning_details\":[{\"type\":\"reasoning.text\",\"id\":\"openclaw_0\"}]},"
          "{\"reasoning_details\":[{\"id\":\"openclaw_0\"}], \"role\":\"assistant\"}]}"),
        none,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},"
        "{\"role\":\"assistant\",\"content\":\"b\"},{\"role\":\"assistant\"}]}");

    struct str theirs = S("{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\","
                          "\"reasoning_content\":\"hm\",\"reasoning_details\":[{\"id\":null},"
                          "{\"format\":\"anthropic-claude-v1\",\"signature\":\"s\"}]}]}");
    expect_sent(OP_CHAT, theirs, none, theirs.p);
}

TEST(old_hosts_get_the_old_names)
{
    expect_sent(OP_CHAT, S("{\"model\":\"m\",\"max_completion_tokens\":5}"), old_limit,
        "{\"model\":\"m\",\"max_tokens\":5}");
    expect_sent(OP_CHAT, S("{\"model\":\"m\",\"max_completion_tokens\":5,\"max_tokens\":4}"),
        old_limit, "{\"model\":\"m\",\"max_completion_tokens\":5,\"max_tokens\":4}");
    expect_sent(OP_CHAT,
        S("{\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":\"a\"},"
          "{\"role\":\"user\",\"content\":\"developer\"}]}"),
        no_developer,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"a\"},"
        "{\"role\":\"user\",\"content\":\"developer\"}]}");
}

TEST(all_roles_change_however_many_there_are)
{
    struct wire_target t = { .traits = TRAITS(.no_developer = YES) };
    struct wire_edits edits = { .count = 0 };
    char body[4096] = "{\"model\":\"m\",\"messages\":[";

    for (int i = 0; i < 2 * WIRE_EDITS; i++)
        strcat(body, i == 0 ? "{\"role\":\"developer\",\"content\":\"a\"}"
                            : ",{\"role\":\"developer\",\"content\":\"a\"}");
    strcat(body, "]}");
    EXPECT(read_head(OP_CHAT, str_c(body)) == OK);
    wire_openai_chat.provider->edit_request(&r, &t, &edits);
    EXPECT(wire_edit_add(&edits, offset_of(&r, r.model_node), r.model_node->n, S("\"x\"")));

    struct str pieces[2 * WIRE_EDITS + 1];
    size_t n = wire_edits_apply(&edits, r.body, pieces);

    for (size_t i = 0; i < n; i++)
        EXPECT(str_find(pieces[i], S("developer")) == pieces[i].n);
    arena_destroy(arena);
}

TEST(the_head_tells_model_stream_usage_and_limit)
{
    EXPECT(read_head(
               OP_CHAT, S("{\"model\":\"a\\u002fb\",\"stream\":true,\"stream_options\":{\"include_"
                          "usage\":true},"
                          "\"max_tokens\":9,\"max_completion_tokens\":7,\"brand_new\":{}}")) == OK);
    EXPECT_STR(r.model, "a/b");
    EXPECT_STR(json_raw(r.model_node), "\"a\\u002fb\"");
    EXPECT(r.stream && r.want_usage);
    EXPECT_INT(r.max_tokens, 7);
    arena_destroy(arena);
}

TEST(a_head_without_a_usable_model_is_refused)
{
    static const char *const bodies[] = { "{}", "{\"model\":null}", "{\"model\":1}",
        "{\"model\":\"\"}", "[]", "{\"model\":\"m\",\"stream\":1}" };
    char longest[400] = "{\"model\":\"";

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        EXPECT(read_head(OP_CHAT, str_c(bodies[i])) == ERR_BAD_REQUEST);
        arena_destroy(arena);
    }
    memset(longest + 10, 'm', 257);
    strcpy(longest + 267, "\"}");
    EXPECT(read_head(OP_CHAT, str_c(longest)) == ERR_BAD_REQUEST);
    arena_destroy(arena);
}

TEST(other_routes_need_no_model_and_no_json)
{
    EXPECT(read_head(OP_RELAY, S("{\"input\":\"x\"}")) == OK);
    EXPECT_INT(r.model.n, 0);
    arena_destroy(arena);
    EXPECT(read_head(OP_RELAY, S("--boundary")) == OK);
    arena_destroy(arena);
    EXPECT(read_head(OP_RELAY, S("{\"model\":7}")) == ERR_BAD_REQUEST);
    arena_destroy(arena);
}

TEST(each_operation_has_its_route)
{
    static const struct {
        enum llm_op op;
        const char *path;
    } rows[] = { { OP_CHAT, "/chat/completions" }, { OP_COMPLETE, "/completions" },
        { OP_EMBED, "/embeddings" }, { OP_RELAY, "/moderations" } };
    struct wire_target t = { .model = S("m") };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct llm_request asked = { .op = rows[i].op, .path = S("/moderations") };
        struct buf out;

        buf_init(&out, 100);
        wire_openai_chat.provider->write_path(&out, &asked, &t);
        EXPECT_STR(buf_str(&out), rows[i].path);
        EXPECT((wire_openai_chat.provider->ops & OP_BIT(rows[i].op)) != 0);
        buf_fini(&out);
    }
}

TEST(a_status_that_blames_the_caller_is_kept_and_others_are_ours)
{
    struct llm_error e = { .kind = ERR_BAD_REQUEST, .status = 422 };

    EXPECT_INT(wire_openai_chat.caller->status(&e), 422);
    e.status = 0;
    EXPECT_INT(wire_openai_chat.caller->status(&e), 400);
    e = (struct llm_error){ .kind = ERR_UPSTREAM_AUTH, .status = 401 };
    EXPECT_INT(wire_openai_chat.caller->status(&e), 502);
}

/* Hosts refuse a list without messages. */
TEST(a_user_who_says_nothing_is_a_message)
{
    struct kit k;

    kit_init(&k);
    EXPECT_INT(kit_read(&k, &wire_anthropic, OP_CHAT,
                   S("{\"model\":\"m\",\"max_tokens\":1,"
                     "\"messages\":[{\"role\":\"user\",\"content\":[]}]}")),
        OK);
    EXPECT_INT(kit_write(&k, &wire_openai_chat, NULL), OK);
    EXPECT_STR(kit_text(&k, "messages"), "[{\"role\":\"user\",\"content\":\"\"}]");
    kit_fini(&k);

    kit_init(&k);
    EXPECT_INT(kit_read(&k, &wire_ollama, OP_COMPLETE, S("{\"model\":\"m\",\"prompt\":\"\"}")), OK);
    EXPECT_INT(kit_write(&k, &wire_openai_chat, NULL), OK);
    EXPECT_STR(kit_text(&k, "messages"), "[{\"role\":\"user\",\"content\":\"\"}]");
    kit_fini(&k);
}

/* test_feedback.c - what callers say of their answers is kept, counted once, and theirs alone to say. */
#include "gateway/feedback.c"

#include "tests/unit/gateway/gateway_world.h"

static struct gateway_world w;

static const char *const keys = "auth:\n"
                                "  keys:\n"
                                "    - {name: ours, key: key-ours}\n"
                                "    - {name: others, key: key-others}\n";
#define OURS "x-api-key: key-ours\r\n"

static int
say(const char *fields, const char *body)
{
    return gateway_world_ask(&w, "POST /v1/feedback", fields, body);
}

static void
finish(void)
{
    gateway_world_stop(&w);
    gateway_world_forget(&w);
}

TEST(feedback_is_taken_once_for_each_answer_and_may_be_replaced)
{
    gateway_world_start(&w, keys);
    EXPECT_INT(gateway_world_chat(&w, OURS "x-request-id: r1\r\n", WORLD_CHAT("mock/m", "")), 200);
    EXPECT_INT(
        say(OURS, "{\"request_id\":\"r1\",\"thumb\":\"up\",\"comment\":\"good\",\"tags\":[\"a\"]}"),
        200);
    EXPECT(gateway_world_says(&w,
        "{\"request_id\":\"r1\",\"feedback\":{\"score\":1,\"comment\":\"good\",\"tags\":[\"a\"]},"
        "\"result\":\"taken\"}"));
    EXPECT_INT(
        say(OURS, "{\"request_id\":\"r1\",\"score\":1,\"comment\":\"good\",\"tags\":[\"a\"]}"),
        200);
    EXPECT(gateway_world_says(&w, "\"result\":\"known\""));
    EXPECT_INT(say(OURS, "{\"request_id\":\"r1\",\"rating\":2}"), 200);
    EXPECT(gateway_world_says(&w, "\"feedback\":{\"score\":-0.5},\"result\":\"replaced\""));
    EXPECT(gateway_world_metric(&w, "openclaw_feedback_total 1"));
    finish();
}

TEST(the_access_log_gets_a_line_of_its_own_kind)
{
    gateway_world_start(&w, keys);
    EXPECT_INT(gateway_world_chat(&w, OURS "x-request-id: r1\r\n", WORLD_CHAT("mock/m", "")), 200);
    EXPECT_INT(say(OURS, "{\"request_id\":\"r1\",\"score\":0.25}"), 200);
    EXPECT_INT(say(OURS, "{\"request_id\":\"r1\",\"score\":0.25}"), 200);
    gateway_world_stop(&w);
    EXPECT_INT(
        gateway_world_logged(&w, "\"kind\":\"feedback\",\"request_id\":\"r1\",\"key\":\"ours\""),
        1);
    EXPECT_INT(gateway_world_logged(&w,
                   "\"model_requested\":\"mock/m\",\"provider\":\"mock\",\"model\":\"m\","
                   "\"feedback\":{\"score\":0.25}}"),
        1);
    gateway_world_forget(&w);
}

TEST(the_id_of_the_answer_will_do)
{
    gateway_world_start(&w, keys);
    EXPECT_INT(gateway_world_chat(&w, OURS "x-request-id: r1\r\n", WORLD_CHAT("mock/m", "")), 200);
    const struct json *doc = json_parse(w.arena, gateway_world_body(&w), NULL, NULL);
    struct str id = json_str(w.arena, json_get(doc, S("id")));
    EXPECT(id.n != 0);
    EXPECT_INT(
        say(OURS, arena_printf(w.arena, "{\"id\":\"" STR_FMT "\",\"rating\":5}", STR_ARG(id)).p),
        200);
    EXPECT(gateway_world_says(&w, "{\"request_id\":\"r1\",\"feedback\":{\"score\":1}"));
    /* of an answer in another protocol than its provider's, and streamed */
    EXPECT_INT(gateway_world_ask(&w, "POST /v1/messages", OURS "x-request-id: r2\r\n",
                   WORLD_MESSAGES("mock/m", ",\"stream\":true")),
        200);
    struct str text = buf_str(&w.answer);
    size_t at = str_find(text, S("\"id\":\"")) + 6;
    EXPECT(at < text.n);
    id = str_make(text.p + at, str_chr(str_skip(text, at), '"'));
    id = arena_str(w.arena, id);
    EXPECT_INT(
        say(OURS, arena_printf(w.arena, "{\"id\":\"" STR_FMT "\",\"rating\":3}", STR_ARG(id)).p),
        200);
    EXPECT(gateway_world_says(&w, "{\"request_id\":\"r2\",\"feedback\":{\"score\":0}"));
    finish();
}

TEST(a_key_says_nothing_of_anothers_answers)
{
    gateway_world_start(&w, keys);
    EXPECT_INT(gateway_world_chat(&w, OURS "x-request-id: r1\r\n", WORLD_CHAT("mock/m", "")), 200);
    EXPECT_INT(say("x-api-key: key-others\r\n", "{\"request_id\":\"r1\",\"score\":-1}"), 404);
    EXPECT_INT(say("", "{\"request_id\":\"r1\",\"score\":-1}"), 401);
    EXPECT_INT(say(OURS, "{\"request_id\":\"r2\",\"score\":-1}"), 404);
    EXPECT(gateway_world_metric(&w, "openclaw_feedback_total 0"));
    finish();
}

TEST(what_is_not_feedback_is_refused_with_what_to_send)
{
    static const struct {
        const char *body, *says;
        int status;
    } rows[] = {
        { "{\"score\":1}", "request_id must be", 400 },
        { "{\"request_id\":\"a\\nb\",\"score\":1}", "request_id must be", 400 },
        { "{\"request_id\":\"r1\"}", "send one of", 400 },
        { "{\"request_id\":\"r1\",\"score\":1.5}", "send one of", 400 },
        { "{\"request_id\":\"r1\",\"score\":\"1\"}", "send one of", 400 },
        { "{\"request_id\":\"r1\",\"score\":1,\"thumb\":\"up\"}", "send one of", 400 },
        { "{\"request_id\":\"r1\",\"rating\":6}", "send one of", 400 },
        { "{\"request_id\":\"r1\",\"thumb\":\"sideways\"}", "send one of", 400 },
        { "{\"request_id\":\"r1\",\"score\":1,\"tags\":\"a\"}", "tags must be", 400 },
        { "{\"request_id\":\"r1\",\"score\":1,\"tags\":[1]}", "tags must be", 400 },
        { "{\"request_id\":\"r1\",\"score\":1,\"tags\":[\"0\",\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\","
          "\"9\",\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\"]}",
            "tags must be", 400 },
        { "[]", "must be a JSON object", 400 },
        { "{\"request_id\":", "cannot be parsed", 400 },
        { "", "cannot be parsed", 400 },
    };

    gateway_world_start(&w, keys);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT_INT(say(OURS, rows[i].body), rows[i].status);
        EXPECT(gateway_world_says(&w, rows[i].says));
    }
    EXPECT_INT(say(OURS "Content-Encoding: gzip\r\n", "{}"), 415);
    finish();
}

TEST(a_secret_in_a_comment_is_withheld)
{
    gateway_world_start(&w, keys);
    EXPECT_INT(gateway_world_chat(&w, OURS "x-request-id: r1\r\n", WORLD_CHAT("mock/m", "")), 200);
    EXPECT_INT(
        say(OURS, "{\"request_id\":\"r1\",\"score\":1,\"comment\":\"it is sk-canary-key\"}"), 200);
    EXPECT(gateway_world_says(&w, "withheld"));
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "sk-canary-key"), 0);
    gateway_world_forget(&w);
}

TEST(without_room_for_what_has_ended_there_is_nothing_to_say)
{
    gateway_world_start(&w, "observe: {recent: \"0\"}\n");
    EXPECT_INT(gateway_world_chat(&w, "x-request-id: r1\r\n", WORLD_CHAT("mock/m", "")), 200);
    EXPECT_INT(say("", "{\"request_id\":\"r1\",\"score\":1}"), 404);
    EXPECT(gateway_world_says(&w, "observe.recent"));
    finish();
}

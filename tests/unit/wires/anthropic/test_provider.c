/* test_provider.c - requests written for Anthropic providers, beyond what the golden
 * conversations show: exact bytes, limits, failures, and whole conversations there and back.
 */
#include "wires/anthropic/provider.c"
#include "tests/test.h"
#include "tests/unit/llm/wire_kit.h"

static struct kit k;

/* Reads a body in which ' stands for ", and writes it for a provider. */
static enum err
send_for(
    const struct wire *caller, enum llm_op op, const char *body, const struct wire_target *target)
{
    char *text = NULL;

    kit_init(&k);
    text = arena_array(k.a, char, strlen(body) + 1);
    for (size_t i = 0; body[i] != '\0'; i++)
        text[i] = body[i] == '\'' ? '"' : body[i];

    enum err e = kit_read(&k, caller, op, str_c(text));

    return e != OK ? e : kit_write(&k, &wire_anthropic, target);
}

static enum err
send(const char *body)
{
    return send_for(&wire_openai_chat, OP_CHAT, body, NULL);
}

/* Messages in which call `id` is made and answered. */
#define CALL(id, args)                                                                             \
    "{'role':'assistant','tool_calls':[{'id':'" id "','type':'function','function':{'name':'f',"   \
    "'arguments':'" args "'}}]},{'role':'tool','tool_call_id':'" id "','content':'r'}"

TEST(arguments_and_schemas_travel_as_the_bytes_that_the_caller_wrote)
{
    EXPECT_INT(send("{'model':'m','messages':[{'role':'user','content':'Hi'}," CALL(
                   "c", "{ \\'b\\': 1.50,  \\'a\\':\\'\\\\u00fc\\' }") "],"
                                                                       "'tools':[{'type':'function'"
                                                                       ",'function':{'name':'f',"
                                                                       "'parameters':{'type':'"
                                                                       "object' , 'x':1.0}}}]}"),
        OK);
    EXPECT(str_find(buf_str(&k.out), S("\"input\":{ \"b\": 1.50,  \"a\":\"\\u00fc\" }}")) <
           buf_len(&k.out));
    EXPECT(str_find(buf_str(&k.out), S("\"input_schema\":{\"type\":\"object\" , \"x\":1.0}}")) <
           buf_len(&k.out));
    kit_fini(&k);
}

TEST(the_same_conversation_gives_the_same_ids)
{
    static const char body[] = "{'model':'m','messages':[{'role':'user','content':'Hi'}," CALL(
        "a b", "") "," CALL("a b", "") "]}";
    struct str first;
    struct arena *a = arena_create(64 * 1024);

    EXPECT_INT(send(body), OK);
    first = arena_str(a, buf_str(&k.out));
    kit_fini(&k);
    EXPECT_INT(send(body), OK);
    EXPECT(str_eq(first, buf_str(&k.out)));
    kit_fini(&k);
    arena_destroy(a);
}

TEST(every_call_has_an_id_of_its_own_and_its_result_has_the_same)
{
    EXPECT_INT(send("{'model':'m','messages':[{'role':'user','content':'Hi'}," CALL(
                   "x", "") "," CALL("x", "") "," CALL("x", "") "]}"),
        OK);

    struct json_iter it = json_iter(json_get(k.sent, S("messages")));
    struct str ids[3] = { { 0 } };
    size_t n = 0;

    EXPECT(json_next(&it));
    while (json_next(&it)) {
        struct json_iter call = json_iter(json_get(it.value, S("content")));

        EXPECT(n < 3 && json_next(&call));
        ids[n] = json_str(k.a, json_get(call.value, S("id")));
        EXPECT(json_next(&it));

        struct json_iter result = json_iter(json_get(it.value, S("content")));

        EXPECT(json_next(&result));
        EXPECT(json_str_is(json_get(result.value, S("tool_use_id")), ids[n]));
        n++;
    }
    EXPECT_INT(n, 3);
    EXPECT_STR(ids[0], "x");
    EXPECT(!str_eq(ids[0], ids[1]) && !str_eq(ids[1], ids[2]) && !str_eq(ids[0], ids[2]));
    kit_fini(&k);
}

TEST(calls_of_one_turn_with_one_id_are_answered_in_order)
{
    EXPECT_INT(send("{'model':'m','messages':[{'role':'user','content':'Hi'},"
                    "{'role':'assistant','tool_calls':["
                    "{'id':'x','type':'function','function':{'name':'f','arguments':''}},"
                    "{'id':'x','type':'function','function':{'name':'g','arguments':''}}]},"
                    "{'role':'tool','tool_call_id':'x','content':'first'},"
                    "{'role':'tool','tool_call_id':'x','content':'second'}]}"),
        OK);

    size_t first = str_find(buf_str(&k.out), S("first"));
    size_t second = str_find(buf_str(&k.out), S("second"));
    size_t id = str_find(buf_str(&k.out), S("\"tool_use_id\":\"x\""));

    EXPECT(id < first && first < second && second < buf_len(&k.out));
    EXPECT(str_find(buf_str(&k.out), S("No result was recorded")) == buf_len(&k.out));
    kit_fini(&k);
}

TEST(results_may_come_inside_a_users_message_as_well)
{
    EXPECT_INT(
        send_for(&wire_anthropic, OP_CHAT,
            "{'model':'m','max_tokens':9,'messages':[{'role':'user','content':'Hi'},"
            "{'role':'assistant','content':[{'type':'tool_use','id':'t','name':'f','input':{}}]},"
            "{'role':'user','content':[{'type':'text','text':'so'},"
            "{'type':'tool_result','tool_use_id':'t','content':'r'}]}],"
            "'tools':[{'name':'f','input_schema':{'type':'object'}}]}",
            NULL),
        OK);
    EXPECT(str_find(buf_str(&k.out),
               S("{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t\","
                 "\"content\":[{\"type\":\"text\",\"text\":\"r\"}]},{\"type\":\"text\","
                 "\"text\":\"so\"}]}")) < buf_len(&k.out));
    kit_fini(&k);
}

TEST(thinking_that_leads_to_nothing_is_left_out_with_its_message)
{
    EXPECT_INT(
        send_for(&wire_anthropic, OP_CHAT,
            "{'model':'m','max_tokens':9,'messages':[{'role':'user','content':'a'},"
            "{'role':'assistant','content':[{'type':'thinking','thinking':'x','signature':'s'}]},"
            "{'role':'user','content':'b'}]}",
            NULL),
        OK);
    EXPECT_STR(kit_text(&k, "messages"),
        "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
        "{\"type\":\"text\",\"text\":\"b\"}]}]");
    kit_fini(&k);
}

TEST(unsigned_thinking_is_not_sent_back)
{
    struct wire_target target = { .model = S("claude-sonnet-4-5") };

    EXPECT_INT(
        send_for(&wire_anthropic, OP_CHAT,
            "{'model':'m','max_tokens':9,'messages':[{'role':'user','content':'a'},"
            "{'role':'assistant','content':[{'type':'thinking','thinking':'x','signature':''},"
            "{'type':'text','text':'b'}]},{'role':'user','content':'c'}]}",
            &target),
        OK);
    EXPECT(str_find(buf_str(&k.out), S("thinking")) == buf_len(&k.out));
    kit_fini(&k);
}

TEST(signatures_survive_an_openai_caller)
{
    static const char answer[] =
        "{\"id\":\"msg_1\",\"model\":\"m\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm "
        "\\u00fc\","
        "\"signature\":\"c2ln+/=\"},{\"type\":\"redacted_thinking\",\"data\":\"eHl6\"},"
        "{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{\"n\": 1.50}}],"
        "\"stop_reason\":\"tool_use\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}";
    struct arena *a = arena_create(1024 * 1024);
    struct llm_answer ans;
    struct llm_request asked = { .op = OP_CHAT, .wire = &wire_openai_chat };
    struct buf out;
    struct buf body;
    struct wire_writer w = { .wire = &wire_openai_chat,
        .op = asked.op,
        .want_usage = asked.want_usage,
        .keep = a,
        .out = &out,
        .id = S("1"),
        .model = S("m") };

    answer_init(&ans, a);
    buf_init(&out, 1024 * 1024);
    buf_init(&body, 1024 * 1024);
    EXPECT_INT(
        wire_anthropic.provider->read_answer(
            &(struct wire_reader){ .op = OP_CHAT, .keep = a, .scratch = a, .sink = &ans.sink },
            str_c(answer)),
        OK);
    wire_openai_chat.caller->write_answer(&w, &ans);

    const struct json *doc = json_parse(a, buf_str(&out), NULL, NULL);
    struct json_iter choices = json_iter(json_get(doc, S("choices")));

    EXPECT(json_next(&choices));
    buf_add(&body, S("{\"model\":\"m\",\"reasoning_effort\":\"low\",\"messages\":["
                     "{\"role\":\"user\",\"content\":\"Hi\"},"));
    buf_add(&body, json_raw(json_get(choices.value, S("message"))));
    buf_add(&body, S(",{\"role\":\"tool\",\"tool_call_id\":\"toolu_1\",\"content\":\"r\"}]}"));
    kit_init(&k);
    EXPECT_INT(kit_read(&k, &wire_openai_chat, OP_CHAT, buf_str(&body)), OK);
    EXPECT_INT(kit_write(&k, &wire_anthropic, NULL), OK);
    EXPECT(str_find(buf_str(&k.out),
               S("{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm "
                 "\xc3\xbc\","
                 "\"signature\":\"c2ln+/=\"},{\"type\":\"redacted_thinking\",\"data\":\"eHl6\"},"
                 "{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{\"n\": "
                 "1.50}}]}")) < buf_len(&k.out));
    EXPECT_STR(kit_text(&k, "thinking.type"), "\"enabled\"");
    kit_fini(&k);
    buf_fini(&body);
    buf_fini(&out);
    arena_destroy(a);
}

TEST(counting_tokens_sends_only_what_counts)
{
    EXPECT_INT(send_for(&wire_anthropic, OP_COUNT_TOKENS,
                   "{'model':'m','system':'S','messages':[{'role':'user','content':'Hi'}],"
                   "'temperature':0.5,'metadata':{'user_id':'u'},'stream':true}",
                   NULL),
        OK);
    EXPECT_STR(buf_str(&k.out),
        "{\"model\":\"model\",\"system\":[{\"type\":\"text\",\"text\":\"S\"}],\"messages\":["
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Hi\"}]}]}");
    kit_fini(&k);
}

TEST(other_operations_are_refused)
{
    kit_init(&k);
    k.r = (struct llm_request){ .arena = k.a, .op = OP_EMBED, .expanded = true };
    EXPECT_INT(kit_write(&k, &wire_anthropic, NULL), ERR_UNSUPPORTED);
    EXPECT_INT(buf_len(&k.out), 0);
    kit_fini(&k);
}

TEST(a_refused_request_leaves_nothing_behind)
{
    EXPECT_INT(send("{'model':'m','messages':[{'role':'user','content':[{'type':'input_audio',"
                    "'input_audio':{'data':'UklGRg==','format':'wav'}}]}]}"),
        ERR_UNSUPPORTED);
    EXPECT_INT(buf_len(&k.out), 0);
    EXPECT_STR(k.fault.param, "messages");
    kit_fini(&k);
}

TEST(a_request_that_outgrows_its_buffer_is_too_large)
{
    EXPECT_INT(send("{'model':'m','messages':[{'role':'user','content':'Hi'}]}"), OK);
    buf_fini(&k.out);
    buf_init(&k.out, 40);
    EXPECT_INT(kit_write(&k, &wire_anthropic, NULL), ERR_TOO_LARGE);
    kit_fini(&k);
}

TEST(the_budget_is_always_below_the_limit)
{
    for (int64_t limit = 1; limit < 5000; limit += 7) {
        struct wire_target target = { .model = S("m"), .traits = TRAITS(.max_output = limit) };

        EXPECT_INT(send_for(&wire_openai_chat, OP_CHAT,
                       "{'model':'m','reasoning_effort':'high','messages':[{'role':'user',"
                       "'content':'Hi'}]}",
                       &target),
            OK);

        int64_t budget = json_i64(json_at(k.sent, "thinking.budget_tokens"), 0);
        int64_t most = json_i64(json_get(k.sent, S("max_tokens")), 0);

        EXPECT_INT(most, limit);
        EXPECT(budget == 0 || (budget >= CLAUDE_BUDGET_MIN && budget < most));
        EXPECT((budget > 0) == (limit > CLAUDE_BUDGET_MIN));
        kit_fini(&k);
    }
}

TEST(a_limit_beyond_the_models_own_is_lowered)
{
    struct wire_target target = { .model = S("m"), .traits = TRAITS(.max_output = 8192) };

    EXPECT_INT(send_for(&wire_openai_chat, OP_CHAT,
                   "{'model':'m','max_tokens':100000,'messages':[{'role':'user','content':'Hi'}]}",
                   &target),
        OK);
    EXPECT_STR(kit_text(&k, "max_tokens"), "8192");
    kit_fini(&k);
}

TEST(a_word_for_effort_that_nobody_knows_is_dropped)
{
    EXPECT_INT(send_for(&wire_anthropic, OP_CHAT,
                   "{'model':'m','max_tokens':9000,'output_config':{'effort':'huge'},"
                   "'messages':[{'role':'user','content':'Hi'}]}",
                   NULL),
        OK);
    EXPECT_STR(kit_dropped(&k), "thinking");
    EXPECT_STR(kit_text(&k, "thinking"), "");
    kit_fini(&k);
}

TEST(tools_of_other_protocols_are_dropped_and_named)
{
    EXPECT_INT(send("{'model':'m','messages':[{'role':'user','content':'Hi'}],"
                    "'tools':[{'type':'web_search'},{'type':'function','function':{'name':'f'}}]}"),
        OK);
    EXPECT_STR(kit_text(&k, "tools"),
        "[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}]");
    EXPECT_STR(kit_dropped(&k), "tools.web_search");
    kit_fini(&k);
}

TEST(a_user_id_that_is_too_long_is_dropped)
{
    char body[1024];

    snprintf(body, sizeof(body),
        "{'model':'m','user':'%0300d','messages':[{'role':'user','content':'Hi'}]}", 0);
    EXPECT_INT(send(body), OK);
    EXPECT_STR(kit_text(&k, "metadata"), "");
    EXPECT_STR(kit_dropped(&k), "user");
    kit_fini(&k);
}

TEST(running_out_of_room_loses_nothing_in_silence)
{
    static const char body[] =
        "{'model':'m','messages':[{'role':'user','content':[{'type':'file','file':{'filename':'a',"
        "'file_data':'data:text/plain;base64,aGVsbG8='}}]}," CALL("c", "[1]") "]}";

    for (unsigned n = 1;; n++) {
        EXPECT_INT(send(body), OK);
        (void)arena_fail_after_for_tests(n);

        enum err e = kit_write(&k, &wire_anthropic, NULL);
        bool unused = arena_fail_after_for_tests(0);

        EXPECT(e == OK || e == ERR_TOO_LARGE || e == ERR_BAD_JSON);
        EXPECT(e != OK || str_find(buf_str(&k.out), S("hello")) < buf_len(&k.out));
        kit_fini(&k);
        EXPECT(n < 100);
        if (unused)
            break;
    }
}

TEST(marks_inside_results_count_too_and_the_earliest_go)
{
    const struct str mark = S("\"cache_control\"");
    unsigned marks = 0;

    EXPECT_INT(send_for(&wire_anthropic, OP_CHAT,
                   "{'model':'m','max_tokens':9,'system':[{'type':'text','text':'s',"
                   "'cache_control':{'type':'ephemeral'}}],'messages':["
                   "{'role':'user','content':'Hi'},{'role':'assistant','content':["
                   "{'type':'tool_use','id':'c','name':'f','input':{}}]},{'role':'user','content':["
                   "{'type':'tool_result','tool_use_id':'c','content':["
                   "{'type':'text','text':'1','cache_control':{'type':'ephemeral'}},"
                   "{'type':'text','text':'2','cache_control':{'type':'ephemeral'}},"
                   "{'type':'text','text':'3','cache_control':{'type':'ephemeral'}}],"
                   "'cache_control':{'type':'ephemeral'}}]}]}",
                   NULL),
        OK);
    EXPECT_STR(kit_text(&k, "system"), "[{\"type\":\"text\",\"text\":\"s\"}]");
    for (struct str rest = buf_str(&k.out); str_find(rest, mark) < rest.n; marks++)
        rest = str_skip(rest, str_find(rest, mark) + mark.n);
    EXPECT_INT(marks, 4);
    kit_fini(&k);
}

#define STRICT                                                                                     \
    "{'model':'m','messages':[{'role':'user','content':'Hi'}],'tools':[{'type':'function',"        \
    "'function':{'name':'f','strict':true,'parameters':{'type':'object','properties':{"            \
    "'n':{'type':'integer','minimum':1,'maximum':9}}}}},{'type':'function','function':{"           \
    "'name':'g','parameters':{'type':'object','minProperties':1,'properties':{"                    \
    "'n':{'minimum':1}}}}}],'response_format':{'type':'json_schema','json_schema':{'name':'x',"    \
    "'schema':{'type':'array','minItems':2,'items':{'type':'string','maxLength':5}}}}}"

TEST(strict_schemas_lose_the_keywords_that_the_api_refuses)
{
    EXPECT_INT(send(STRICT), OK);
    EXPECT_STR(kit_text(&k, "output_config.format.schema"),
        "{\"description\":\"{minItems: 2}\",\"type\":\"array\",\"items\":{"
        "\"description\":\"{maxLength: 5}\",\"type\":\"string\"}}");
    EXPECT(str_find(buf_str(&k.out), S("\"type\":\"integer\"}")) < buf_len(&k.out));
    EXPECT(str_find(buf_str(&k.out), S("\"n\":{\"minimum\":1}")) < buf_len(&k.out));
    EXPECT_STR(kit_dropped(&k),
        "tools.minimum tools.maximum response_format.maxLength response_format.minItems");
    kit_fini(&k);
}

TEST(strict_schemas_keep_them_for_a_target_that_takes_them)
{
    struct wire_target target = { .model = S("m"), .traits = TRAITS(.schema_limits = YES) };

    EXPECT_INT(send_for(&wire_openai_chat, OP_CHAT, STRICT, &target), OK);
    EXPECT_STR(kit_text(&k, "output_config.format.schema.minItems"), "2");
    EXPECT(str_find(buf_str(&k.out), S("\"minimum\":1,\"maximum\":9")) < buf_len(&k.out));
    EXPECT_STR(kit_dropped(&k), "");
    kit_fini(&k);
}

TEST(a_target_that_cannot_be_forced_to_call_is_not)
{
    struct wire_target target = { .model = S("m"),
        .traits = TRAITS(.no_forced_tools = YES, .thinking = THINKS_ADAPTIVE) };

    EXPECT_INT(send_for(&wire_openai_chat, OP_CHAT,
                   "{'model':'m','messages':[{'role':'user','content':'Hi'}],'tool_choice':"
                   "'required','reasoning_effort':'low','tools':[{'type':'function','function':{"
                   "'name':'f'}}]}",
                   &target),
        OK);
    EXPECT_STR(kit_text(&k, "tool_choice.type"), "\"auto\"");
    EXPECT_STR(kit_text(&k, "thinking.type"), "\"adaptive\"");
    EXPECT_STR(kit_dropped(&k), "tool_choice");
    kit_fini(&k);
}

TEST(a_target_without_prefill_is_asked_to_continue)
{
    struct wire_target target = { .model = S("m"), .traits = TRAITS(.no_prefill = YES) };
    static const char body[] = "{'model':'m','messages':[{'role':'user','content':'Hi'},"
                               "{'role':'assistant','content':'Well '}]}";

    EXPECT_INT(send_for(&wire_openai_chat, OP_CHAT, body, &target), OK);
    EXPECT(str_find(buf_str(&k.out),
               S("{\"type\":\"text\",\"text\":\"Well \"}]},{\"role\":\"user\",\"content\":["
                 "{\"type\":\"text\",\"text\":\"Continue.\"}]}]")) < buf_len(&k.out));
    kit_fini(&k);
    EXPECT_INT(send(body), OK);
    EXPECT(str_find(buf_str(&k.out), S("\"text\":\"Well\"}]}]")) < buf_len(&k.out));
    kit_fini(&k);
}

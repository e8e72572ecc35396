/* test_caller.c - requests of Anthropic callers: what is read, what refused and
 * how. */
#include "wires/anthropic/caller.c"
#include "tests/test.h"
#include "tests/unit/llm/wire_kit.h"

static struct kit k;

/* Reads a body in which ' stands for ". */
static enum err
read_body(enum llm_op op, const char *body)
{
    char *text = NULL;

    kit_init(&k);
    text = arena_array(k.a, char, strlen(body) + 1);
    for (size_t i = 0; body[i] != '\0'; i++)
        text[i] = body[i] == '\'' ? '"' : body[i];
    return kit_read(&k, &wire_anthropic, op, str_c(text));
}

#define CHAT "'model':'m','max_tokens':9,"
#define HELLO "'messages':[{'role':'user','content':'Hi'}]"

/* `body` is refused as a chat, with exactly this complaint about `where`. */
#define EXPECT_REFUSED(body, where, complaint)                                                     \
    do {                                                                                           \
        EXPECT_INT(read_body(OP_CHAT, body), ERR_BAD_REQUEST);                                     \
        EXPECT_STR(k.fault.message, complaint);                                                    \
        EXPECT_STR(k.fault.param, where);                                                          \
        kit_fini(&k);                                                                              \
    } while (0)

TEST(the_head_of_a_request_is_read)
{
    EXPECT_INT(read_body(OP_CHAT, "{" CHAT HELLO ",'stream':true}"), OK);
    EXPECT_STR(k.r.model, "m");
    EXPECT_STR(json_raw(k.r.model_node), "\"m\"");
    EXPECT(k.r.stream);
    EXPECT(k.r.want_usage);
    EXPECT_INT(k.r.max_tokens, 9);
    kit_fini(&k);
}

TEST(what_is_missing_is_named_in_the_words_of_the_api)
{
    EXPECT_REFUSED("{'max_tokens':9," HELLO "}", "model", "model: Field required");
    EXPECT_REFUSED("{'model':'m'," HELLO "}", "max_tokens", "max_tokens: Field required");
    EXPECT_REFUSED("{" CHAT "'x':1}", "messages", "messages: Field required");
    EXPECT_REFUSED(
        "{" CHAT "'messages':[]}", "messages", "messages: at least one message is required");
    EXPECT_REFUSED("{" CHAT "'messages':[{'content':'x'}]}", "messages[0].role",
        "messages[0].role: Field required");
    EXPECT_REFUSED("{" CHAT "'messages':[{'role':'user'}]}", "messages[0].content",
        "messages[0].content: Field required");
    EXPECT_REFUSED("{" CHAT "'messages':[{'role':'user','content':[{'type':'text'}]}]}",
        "messages[0].content[0].text", "messages[0].content[0].text: Field required");
}

TEST(what_is_of_the_wrong_type_is_refused)
{
    EXPECT_REFUSED("[]", "", "the body must be a JSON object");
    EXPECT_REFUSED(
        "{'model':7,'max_tokens':9," HELLO "}", "model", "model: Input should be a valid string");
    EXPECT_REFUSED("{'model':'','max_tokens':9," HELLO "}", "model",
        "model: String should have at least 1 character");
    EXPECT_REFUSED("{'model':'m','max_tokens':'9'," HELLO "}", "max_tokens",
        "max_tokens: Input should be a valid integer");
    EXPECT_REFUSED("{'model':'m','max_tokens':-1," HELLO "}", "max_tokens",
        "max_tokens: Input should be greater than or equal to 0");
    EXPECT_REFUSED(
        "{" CHAT HELLO ",'stream':'yes'}", "stream", "stream: Input should be a valid boolean");
    EXPECT_REFUSED("{" CHAT HELLO ",'temperature':'hot'}", "temperature",
        "temperature: Input should be a valid number");
    EXPECT_REFUSED("{" CHAT HELLO ",'stop_sequences':'END'}", "stop_sequences",
        "stop_sequences: Input should be a valid list");
    EXPECT_REFUSED("{" CHAT "'messages':[{'role':'user','content':null}]}", "messages[0].content",
        "messages[0].content: Input should be a valid list");
    EXPECT_REFUSED(
        "{" CHAT HELLO ",'system':7}", "system", "system: Input should be a valid string or list");
    EXPECT_REFUSED("{" CHAT HELLO ",'system':[{'type':'image'}]}", "system[0].type",
        "system[0].type: Input should be 'text'");
    EXPECT_REFUSED(
        "{" CHAT HELLO ",'tools':[7]}", "tools[0]", "tools[0]: Input should be a valid dictionary");
    EXPECT_REFUSED("{" CHAT HELLO ",'tool_choice':{'type':'maybe'}}", "tool_choice.type",
        "tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'");
    EXPECT_REFUSED("{" CHAT HELLO ",'tool_choice':{'type':'tool'}}", "tool_choice.name",
        "tool_choice.name: Field required");
    EXPECT_REFUSED("{" CHAT HELLO ",'thinking':{'type':'enabled'}}", "thinking.budget_tokens",
        "thinking.budget_tokens: Input should be a valid integer");
    EXPECT_REFUSED("{" CHAT HELLO ",'thinking':{'type':'deep'}}", "thinking.type",
        "thinking.type: Input should be 'enabled', 'disabled' or 'adaptive'");
}

TEST(places_deep_inside_are_named)
{
    EXPECT_REFUSED("{" CHAT "'messages':[{'role':'user','content':'a'},{'role':'user','content':["
                   "{'type':'text','text':'b'},{'type':'tool_result','tool_use_id':'t','content':"
                   "[{'type':'image','source':{'type':'ftp'}}]}]}]}",
        "messages[1].content[1].content[0].source",
        "messages[1].content[1].content[0].source: Input should be a base64, url or file source");
    EXPECT_REFUSED("{" CHAT "'messages':[{'role':'robot','content':'a'}]}", "messages[0].role",
        "messages[0].role: Input should be 'user' or 'assistant'");
    EXPECT_REFUSED("{" CHAT "'messages':[{'role':'user','content':7}]}", "messages[0].content",
        "messages[0].content: Input should be a valid list");
    EXPECT_REFUSED("{" CHAT "'messages':[{'role':'user','content':['a']}]}",
        "messages[0].content[0]", "messages[0].content[0]: Input should be a valid dictionary");
}

TEST(counting_tokens_needs_no_limit_and_never_streams)
{
    EXPECT_INT(read_body(OP_COUNT_TOKENS, "{'model':'m'," HELLO ",'stream':true}"), OK);
    EXPECT(!k.r.stream);
    EXPECT_STR(k.r.messages->parts->text, "Hi");
    kit_fini(&k);
}

TEST(other_routes_are_relayed_with_whatever_body_they_have)
{
    struct wire_fault fault = { 0 };
    struct llm_request r = { .op = OP_RELAY, .wire = &wire_anthropic };

    EXPECT_INT(llm_request_read(&r, &fault), OK);
    EXPECT_INT(r.model.n, 0);
    EXPECT(!r.stream);
}

TEST(texts_are_read_as_strings_and_as_blocks)
{
    EXPECT_INT(
        read_body(OP_CHAT, "{" CHAT "'system':'S','messages':[{'role':'user','content':'a\\nb'},"
                           "{'role':'assistant','content':[{'type':'text','text':'c'},"
                           "{'type':'text','text':'d','cache_control':{'type':'ephemeral',"
                           "'ttl':'1h'}}]}]}"),
        OK);
    EXPECT_STR(k.r.system->text, "S");

    const struct llm_message *m = k.r.messages;

    EXPECT_INT(m->role, ROLE_USER);
    EXPECT_STR(m->parts->text, "a\nb");
    m = m->next;
    EXPECT_INT(m->role, ROLE_ASSISTANT);
    EXPECT(!m->parts->cache_mark);
    EXPECT_STR(m->parts->next->text, "d");
    EXPECT(m->parts->next->cache_mark);
    EXPECT_INT(m->parts->next->cache_mark, MARK_1H);
    EXPECT(m->next == NULL);
    kit_fini(&k);
}

TEST(system_messages_before_the_first_turn_join_the_system_text)
{
    EXPECT_INT(
        read_body(OP_CHAT, "{" CHAT "'system':[{'type':'text','text':'A'}],'messages':["
                           "{'role':'system','content':'B'},{'role':'system','content':'C'},"
                           "{'role':'user','content':'Hi'},{'role':'system','content':'D'}]}"),
        OK);
    EXPECT_STR(k.r.system->text, "A");
    EXPECT_STR(k.r.system->next->text, "B");
    EXPECT_STR(k.r.system->next->next->text, "C");
    EXPECT(k.r.system->next->next->next == NULL);
    EXPECT_INT(k.r.messages->role, ROLE_USER);
    EXPECT_INT(k.r.messages->next->role, ROLE_SYSTEM);
    kit_fini(&k);
}

TEST(parts_keep_their_order)
{
    EXPECT_INT(read_body(OP_CHAT, "{" CHAT "'messages':[{'role':'user','content':["
                                  "{'type':'text','text':'x'},"
                                  "{'type':'tool_result','tool_use_id':'a','content':'1'},"
                                  "{'type':'text','text':'y'},"
                                  "{'type':'tool_result','tool_use_id':'b','is_error':true}]}]}"),
        OK);

    const struct llm_part *part = k.r.messages->parts;

    EXPECT_STR(part->text, "x");
    part = part->next;
    EXPECT_STR(part->id, "a");
    EXPECT_STR(part->result->text, "1");
    EXPECT(!part->is_error);
    part = part->next;
    EXPECT_STR(part->text, "y");
    part = part->next;
    EXPECT_STR(part->id, "b");
    EXPECT(part->is_error);
    EXPECT(part->result == NULL);
    EXPECT(part->next == NULL);
    kit_fini(&k);
}

TEST(arguments_of_a_call_are_the_callers_own_bytes)
{
    EXPECT_INT(read_body(OP_CHAT, "{" CHAT "'messages':[{'role':'assistant','content':["
                                  "{'type':'tool_use','id':'t','name':'f','input':{ 'a' :1.50}},"
                                  "{'type':'tool_use','id':'u','name':'g'}]}]}"),
        OK);
    EXPECT_INT(k.r.messages->parts->kind, PART_TOOL_CALL);
    EXPECT_STR(k.r.messages->parts->args, "{ \"a\" :1.50}");
    EXPECT_STR(k.r.messages->parts->next->args, "");
    kit_fini(&k);
}

TEST(thinking_keeps_its_signature_and_its_origin)
{
    EXPECT_INT(read_body(OP_CHAT, "{" CHAT "'messages':[{'role':'assistant','content':["
                                  "{'type':'thinking','thinking':'hm','signature':'c2ln'},"
                                  "{'type':'redacted_thinking','data':'eHl6'}]}]}"),
        OK);

    const struct llm_part *part = k.r.messages->parts;

    EXPECT_INT(part->kind, PART_REASONING);
    EXPECT_STR(part->text, "hm");
    EXPECT_STR(part->signature, "c2ln");
    EXPECT_INT(part->origin, ORIGIN_ANTHROPIC);
    EXPECT_STR(part->next->redacted, "eHl6");
    EXPECT_INT(part->next->origin, ORIGIN_ANTHROPIC);
    kit_fini(&k);
}

TEST(blocks_that_only_this_protocol_has_are_kept_whole)
{
    EXPECT_INT(
        read_body(OP_CHAT, "{" CHAT "'messages':[{'role':'assistant','content':["
                           "{'type':'server_tool_use','id':'s','name':'web_search','input':{}},"
                           "{'type':'from_the_future','x':[1]}]}]}"),
        OK);

    const struct llm_part *part = k.r.messages->parts;

    EXPECT_INT(part->kind, PART_OPAQUE);
    EXPECT_INT(part->origin, ORIGIN_ANTHROPIC);
    EXPECT_STR(json_raw(part->next->raw), "{\"type\":\"from_the_future\",\"x\":[1]}");
    kit_fini(&k);
}

TEST(media_come_as_bytes_as_addresses_and_as_files)
{
    EXPECT_INT(
        read_body(OP_CHAT, "{" CHAT "'messages':[{'role':'user','content':["
                           "{'type':'image','source':{'type':'base64','media_type':'image/png',"
                           "'data':'AAAA'}},"
                           "{'type':'image','source':{'type':'url','url':'https://x/'}},"
                           "{'type':'image','source':{'type':'file','file_id':'f1'}},"
                           "{'type':'document','title':'T','source':{'type':'base64',"
                           "'media_type':'application/pdf','data':'BBBB'}},"
                           "{'type':'document','source':{'type':'file','file_id':'f2'}}]}]}"),
        OK);

    const struct llm_part *part = k.r.messages->parts;

    EXPECT_STR(part->mime, "image/png");
    EXPECT_STR(part->data, "AAAA");
    part = part->next;
    EXPECT_STR(part->url, "https://x/");
    part = part->next;
    EXPECT_INT(part->kind, PART_IMAGE);
    EXPECT_STR(part->file_id, "f1");
    part = part->next;
    EXPECT_INT(part->kind, PART_FILE);
    EXPECT_STR(part->name, "T");
    EXPECT_STR(part->data, "BBBB");
    EXPECT_STR(part->next->file_id, "f2");
    kit_fini(&k);
}

TEST(tools_are_the_callers_or_the_providers_own)
{
    EXPECT_INT(
        read_body(OP_CHAT, "{" CHAT HELLO ",'tools':["
                           "{'name':'f','description':'F','input_schema':{ 'type':'object' },"
                           "'strict':true,'cache_control':{'type':'ephemeral','ttl':'5m'}},"
                           "{'type':'custom','name':'g','input_schema':{}},"
                           "{'type':'web_search_20250305','name':'web_search'}],"
                           "'tool_choice':{'type':'tool','name':'f',"
                           "'disable_parallel_tool_use':true}}"),
        OK);

    const struct llm_tool *tool = k.r.tools;

    EXPECT_STR(tool->name, "f");
    EXPECT_STR(tool->schema, "{ \"type\":\"object\" }");
    EXPECT_INT(tool->strict, YES);
    EXPECT(tool->cache_mark);
    EXPECT_INT(tool->cache_mark, MARK_5M);
    tool = tool->next;
    EXPECT_STR(tool->name, "g");
    EXPECT(tool->raw == NULL);
    EXPECT_INT(tool->strict, UNSAID);
    EXPECT_STR(json_raw(json_get(tool->next->raw, S("type"))), "\"web_search_20250305\"");
    EXPECT_INT(k.r.choice, CHOICE_NAMED);
    EXPECT_STR(k.r.choice_name, "f");
    EXPECT_INT(k.r.parallel_tools, NO);
    kit_fini(&k);
}

TEST(parameters_are_read)
{
    EXPECT_INT(read_body(OP_CHAT, "{" CHAT HELLO ",'temperature':0.50,'top_p':0.9,'top_k':5,"
                                  "'stop_sequences':['A','B'],'metadata':{'user_id':'u'},"
                                  "'service_tier':'standard_only','thinking':{'type':'enabled',"
                                  "'budget_tokens':2000},'output_config':{'effort':'high',"
                                  "'format':{'type':'json_schema','schema':{'type':'object'}}}}"),
        OK);
    EXPECT_STR(json_raw(k.r.temperature), "0.50");
    EXPECT_STR(json_raw(k.r.top_p), "0.9");
    EXPECT_STR(json_raw(k.r.top_k), "5");
    EXPECT_STR(k.r.stop->text, "A");
    EXPECT_STR(k.r.stop->next->text, "B");
    EXPECT_STR(k.r.user, "u");
    EXPECT_STR(k.r.service_tier, "default");
    EXPECT_INT(k.r.reasoning_budget, 2000);
    EXPECT_STR(k.r.effort, "high");
    EXPECT_INT(k.r.format, FORMAT_SCHEMA);
    EXPECT_STR(k.r.schema, "{\"type\":\"object\"}");
    kit_fini(&k);
}

TEST(the_older_place_of_the_response_schema_is_read_too)
{
    EXPECT_INT(read_body(OP_CHAT, "{" CHAT HELLO ",'output_format':{'type':'json_schema',"
                                  "'schema':{'a':1}}}"),
        OK);
    EXPECT_INT(k.r.format, FORMAT_SCHEMA);
    EXPECT_STR(k.r.schema, "{\"a\":1}");
    kit_fini(&k);
    EXPECT_REFUSED("{" CHAT HELLO ",'output_format':{'type':'yaml'}}", "output_format",
        "output_format: Input should be a json_schema with its schema");
}

TEST(thinking_may_be_off_or_left_to_the_model)
{
    EXPECT_INT(read_body(OP_CHAT, "{" CHAT HELLO ",'thinking':{'type':'disabled'}}"), OK);
    EXPECT_INT(k.r.reasoning, NO);
    kit_fini(&k);
    EXPECT_INT(read_body(OP_CHAT, "{" CHAT HELLO ",'thinking':{'type':'adaptive'}}"), OK);
    EXPECT_INT(k.r.reasoning, UNSAID);
    kit_fini(&k);
}

TEST(running_out_of_room_is_said_and_loses_nothing_in_silence)
{
    struct str body = S("{\"model\":\"m\",\"max_tokens\":9,\"system\":\"a\\nb\",\"messages\":["
                        "{\"role\":\"user\",\"content\":\"c\\nd\"}]}");

    for (unsigned n = 1;; n++) {
        kit_init(&k);
        k.r = (struct llm_request){ .arena = k.a, .op = OP_CHAT, .wire = &wire_anthropic };
        k.r.doc = json_parse(k.a, body, NULL, NULL);
        (void)arena_fail_after_for_tests(n);

        enum err e = llm_request_expand(&k.r, &k.fault);
        bool unused = arena_fail_after_for_tests(0);

        if (e == OK)
            EXPECT_STR(k.r.messages->parts->text, "c\nd");
        else
            EXPECT_INT(e, ERR_TOO_LARGE);
        kit_fini(&k);
        EXPECT(n < 100);
        if (unused)
            break;
    }
}

TEST(more_parts_than_anyone_needs_are_refused)
{
    enum { PARTS = READ_ELEMENTS_MAX + 10 };

    kit_init(&k);
    struct buf body;

    buf_init(&body, 64 * 1024 * 1024);
    buf_add(&body,
        S("{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":["));
    for (int i = 0; i < PARTS; i++)
        buf_add(&body, i == 0 ? S("{\"type\":\"x\"}") : S(",{\"type\":\"x\"}"));
    buf_add(&body, S("]}]}"));
    EXPECT_INT(kit_read(&k, &wire_anthropic, OP_CHAT, buf_str(&body)), ERR_TOO_LARGE);
    buf_fini(&body);
    kit_fini(&k);
}

TEST(errors_are_written_with_the_request_id)
{
    struct llm_error e = { .kind = ERR_RATE_LIMIT, .message = S("slow \"down\"") };
    struct buf out;

    buf_init(&out, 4096);
    wire_anthropic.caller->write_error(&out, &e, S("req-1"));
    EXPECT_STR(buf_str(&out), "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\","
                              "\"message\":\"slow \\\"down\\\"\"},\"request_id\":\"req-1\"}");
    buf_reset(&out, 0);
    e = (struct llm_error){ .kind = ERR_UPSTREAM_AUTH };
    wire_anthropic.caller->write_error(&out, &e, S(""));
    EXPECT_STR(buf_str(&out), "{\"type\":\"error\",\"error\":{\"type\":\"api_error\","
                              "\"message\":\"the provider refused the gateway's credentials\"}}");
    buf_fini(&out);
}

/* The SDKs send the whole conversation when they read this word; half of one must not be
 * answered. */
TEST(a_thread_that_another_provider_keeps_is_refused_in_a_word_that_clients_know)
{
    struct llm_error e = { .kind = ERR_UNSUPPORTED };
    struct buf out;

    EXPECT_INT(read_body(OP_CHAT, "{" CHAT HELLO ",'thread':{'type':'create'}}"), ERR_UNSUPPORTED);
    EXPECT_STR(k.fault.param, "thread");
    e.param = k.fault.param;
    e.message = k.fault.message;
    buf_init(&out, 4096);
    wire_anthropic.caller->write_error(&out, &e, S(""));
    EXPECT_STR(buf_str(&out),
        "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":"
        "\"thread: this provider does not store threads; send all messages\","
        "\"details\":{\"error_code\":\"thread_unsupported_request\"}}}");
    kit_fini(&k);
    EXPECT_INT(read_body(OP_CHAT, "{" CHAT HELLO ",'thread':null}"), OK);
    kit_fini(&k);
    buf_fini(&out);
}

TEST(the_code_of_an_error_goes_on_unless_it_is_about_the_gateways_account)
{
    static const enum err kinds[] = { ERR_BAD_REQUEST, ERR_UPSTREAM_NO_MODEL, ERR_UPSTREAM_AUTH,
        ERR_UPSTREAM_QUOTA };
    struct str body = S("{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\",\"message\":"
                        "\"m\",\"details\":{\"error_code\":\"thread_not_found\"}}}");
    struct llm_error e;
    struct buf out;

    kit_init(&k);
    wire_anthropic.provider->read_error(k.a, 404, body, &e);
    EXPECT_STR(e.code, "thread_not_found");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        buf_init(&out, 4096);
        e.kind = kinds[i];
        wire_anthropic.caller->write_error(&out, &e, S(""));
        EXPECT((str_find(buf_str(&out), S("thread_not_found")) < buf_len(&out)) == (i < 2));
        buf_fini(&out);
    }
    kit_fini(&k);
}

TEST(overload_has_a_status_of_its_own)
{
    EXPECT_INT(status(&(struct llm_error){ .kind = ERR_UPSTREAM_OVERLOADED }), 529);
    EXPECT_INT(status(&(struct llm_error){ .kind = ERR_OVERLOADED }), 529);
    EXPECT_INT(status(&(struct llm_error){ .kind = ERR_RATE_LIMIT }), 429);
    EXPECT_INT(status(&(struct llm_error){ .kind = ERR_UPSTREAM_AUTH }), 502);
    EXPECT_INT(status(&(struct llm_error){ .kind = ERR_BAD_REQUEST, .status = 404 }), 404);
}

TEST(token_counts_are_written)
{
    struct buf out;

    buf_init(&out, 4096);
    wire_anthropic.caller->write_token_count(&out, 2095);
    EXPECT_STR(buf_str(&out), "{\"input_tokens\":2095}");
    buf_fini(&out);
}

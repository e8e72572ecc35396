/* test_decode.c - answers of Anthropic providers become events. */
#include "wires/anthropic/decode.c"
#include "tests/test.h"

static struct arena *a;
static struct buf told;
static struct wire_reader r;
static struct llm_usage last_usage;
static enum err last_error;

/* Tells an event in a word or two. */
static void
tell(struct event_sink *sink UNUSED, const struct llm_event *ev)
{
    if (buf_len(&told) > 0)
        buf_add_c(&told, ' ');
    switch (ev->kind) {
    case EVENT_START:
        buf_printf(&told, "start(" STR_FMT "," STR_FMT ")", STR_ARG(ev->id), STR_ARG(ev->model));
        last_usage = ev->usage;
        break;
    case EVENT_TEXT:
        buf_printf(&told, "text(" STR_FMT ")", STR_ARG(ev->text));
        break;
    case EVENT_REASONING:
        buf_printf(&told, "thought(" STR_FMT ")", STR_ARG(ev->text));
        break;
    case EVENT_SIGNATURE:
        buf_printf(&told, "sig(" STR_FMT ")", STR_ARG(ev->signature));
        break;
    case EVENT_REDACTED:
        buf_printf(&told, "hidden(" STR_FMT ")", STR_ARG(ev->text));
        break;
    case EVENT_TOOL_START:
        buf_printf(
            &told, "tool%u(" STR_FMT "," STR_FMT ")", ev->tool, STR_ARG(ev->id), STR_ARG(ev->name));
        break;
    case EVENT_TOOL_ARGS:
        buf_printf(&told, "args%u(" STR_FMT ")", ev->tool, STR_ARG(ev->text));
        break;
    case EVENT_TOOL_END:
        buf_printf(&told, "/tool%u", ev->tool);
        break;
    case EVENT_CITATION:
        buf_printf(&told, "cite(" STR_FMT "," STR_FMT "," STR_FMT ")", STR_ARG(ev->citation->url),
            STR_ARG(ev->citation->title), STR_ARG(ev->citation->quote));
        break;
    case EVENT_OPAQUE:
        buf_printf(&told, "opaque");
        break;
    case EVENT_USAGE:
        last_usage = ev->usage;
        buf_printf(&told, "usage(%d,%d)",
            usage_has(&ev->usage, COUNT_INPUT) ? (int)ev->usage.input : -1,
            usage_has(&ev->usage, COUNT_OUTPUT) ? (int)ev->usage.output : -1);
        break;
    case EVENT_FINISH:
        buf_printf(&told, "finish(%d," STR_FMT "," STR_FMT ")", (int)ev->finish,
            STR_ARG(ev->native), STR_ARG(ev->stop_sequence));
        break;
    case EVENT_ERROR:
        last_error = ev->error->kind;
        buf_printf(&told, "error(" STR_FMT ")", STR_ARG(ev->error->message));
        break;
    case EVENT_END:
        buf_printf(&told, "end");
        break;
    default:
        buf_printf(&told, "?");
        break;
    }
}

static struct event_sink sink = { .emit = tell };

static void
begin(void)
{
    a = arena_create(1024 * 1024);
    buf_init(&told, 1024 * 1024);
    last_error = OK;
    last_usage = (struct llm_usage){ 0 };
    r = (struct wire_reader){ .wire = &wire_anthropic,
        .op = OP_CHAT,
        .stream = true,
        .keep = a,
        .scratch = a,
        .sink = &sink };
}

static void
end(void)
{
    buf_fini(&told);
    arena_destroy(a);
}

static struct str
quoted(const char *text)
{
    char *copy = arena_array(a, char, strlen(text) + 1);

    for (size_t i = 0; text[i] != '\0'; i++)
        copy[i] = text[i] == '\'' ? '"' : text[i];
    return str_c(copy);
}

/* One frame, in which ' stands for ". */
static enum err
hear(const char *data)
{
    return anthropic_read_event(&r, S(""), quoted(data));
}

#define BLOCK(index, block)                                                                        \
    "{'type':'content_block_start','index':" #index ",'content_block':{" block "}}"
#define DELTA(index, delta) "{'type':'content_block_delta','index':" #index ",'delta':{" delta "}}"
#define STOP(index) "{'type':'content_block_stop','index':" #index "}"
#define TOOL "'type':'tool_use','id':'t','name':'f','input':{}"
#define ARGS(text) "'type':'input_json_delta','partial_json':'" text "'"

TEST(a_stream_becomes_events)
{
    begin();
    EXPECT_INT(hear("{'type':'message_start','message':{'id':'msg_1','model':'m','usage':"
                    "{'input_tokens':5,'output_tokens':1}}}"),
        OK);
    EXPECT_INT(last_usage.input, 5);
    EXPECT_INT(hear("{'type':'ping'}"), OK);
    EXPECT_INT(hear(BLOCK(0, "'type':'text','text':''")), OK);
    EXPECT_INT(hear(DELTA(0, "'type':'text_delta','text':'Hi'") "    "), OK);
    EXPECT_INT(hear(STOP(0)), OK);
    EXPECT_INT(hear("{'type':'message_delta','delta':{'stop_reason':'stop_sequence',"
                    "'stop_sequence':'END'},'usage':{'output_tokens':2}}"),
        OK);
    EXPECT(!r.finished);
    EXPECT(!r.complete);
    EXPECT_INT(hear("{'type':'message_stop'      }"), OK);
    EXPECT(r.finished);
    EXPECT(r.complete);
    EXPECT_STR(
        buf_str(&told), "start(msg_1,m) text(Hi) finish(1,stop_sequence,END) usage(5,2) end");
    end();
}

TEST(the_placeholder_of_a_call_is_never_part_of_its_arguments)
{
    begin();
    EXPECT_INT(hear(BLOCK(0, TOOL)), OK);
    EXPECT_INT(hear(DELTA(0, ARGS(""))), OK);
    EXPECT_INT(hear(DELTA(0, ARGS("{\\'a\\':"))), OK);
    EXPECT_INT(hear(DELTA(0, ARGS(" 1.0}"))), OK);
    EXPECT_INT(hear(STOP(0)), OK);
    EXPECT_STR(buf_str(&told), "tool0(t,f) args0({\"a\":) args0( 1.0}) /tool0");
    end();
}

TEST(a_call_without_arguments_gets_the_empty_object)
{
    begin();
    EXPECT_INT(hear(BLOCK(0, TOOL)), OK);
    EXPECT_INT(hear(STOP(0)), OK);
    EXPECT_INT(hear(BLOCK(1, "'type':'tool_use','id':'u','name':'g'")), OK);
    EXPECT_INT(hear(DELTA(1, ARGS(""))), OK);
    EXPECT_INT(hear(STOP(1)), OK);
    EXPECT_STR(buf_str(&told), "tool0(t,f) args0({}) /tool0 tool1(u,g) args1({}) /tool1");
    end();
}

TEST(arguments_that_came_whole_are_given_once)
{
    begin();
    EXPECT_INT(hear(BLOCK(0, "'type':'tool_use','id':'t','name':'f','input':{'a':1}")), OK);
    EXPECT_INT(hear(STOP(0)), OK);
    EXPECT_INT(hear(BLOCK(1, "'type':'tool_use','id':'u','name':'f','input':{'a':2}")), OK);
    EXPECT_INT(hear(DELTA(1, ARGS("{\\'a\\':2}"))), OK);
    EXPECT_INT(hear(STOP(1)), OK);
    EXPECT_STR(
        buf_str(&told), "tool0(t,f) args0({\"a\":1}) /tool0 tool1(u,f) args1({\"a\":2}) /tool1");
    end();
}

TEST(a_providers_own_tools_are_no_calls_of_the_callers)
{
    begin();
    EXPECT_INT(
        hear(BLOCK(0, "'type':'server_tool_use','id':'s','name':'web_search','input':{}")), OK);
    EXPECT_INT(hear(DELTA(0, ARGS("{\\'q\\':1}"))), OK);
    EXPECT_INT(hear(STOP(0)), OK);
    EXPECT_INT(hear(BLOCK(1, "'type':'web_search_tool_result','content':[]")), OK);
    EXPECT_INT(hear(STOP(1)), OK);
    EXPECT_INT(hear(BLOCK(2, TOOL)), OK);
    EXPECT_STR(buf_str(&told), "opaque opaque tool0(t,f)");
    end();
}

TEST(thinking_comes_with_its_signature)
{
    begin();
    EXPECT_INT(hear(BLOCK(0, "'type':'thinking','thinking':'','signature':''")), OK);
    EXPECT_INT(hear(DELTA(0, "'type':'thinking_delta','thinking':'hm'")), OK);
    EXPECT_INT(hear(DELTA(0, "'type':'signature_delta','signature':'c2ln'")), OK);
    EXPECT_INT(hear(STOP(0)), OK);
    EXPECT_INT(hear(BLOCK(1, "'type':'redacted_thinking','data':'eHl6'")), OK);
    EXPECT_INT(hear(STOP(1)), OK);
    EXPECT_STR(buf_str(&told), "thought(hm) sig(c2ln) hidden(eHl6)");
    end();
}

TEST(citations_are_passed_on_and_unknown_deltas_and_events_are_not)
{
    begin();
    EXPECT_INT(hear(DELTA(0, "'type':'citations_delta','citation':{"
                             "'type':'web_search_result_location','url':'https://a.example',"
                             "'title':'A','cited_text':'w','encrypted_index':'e'}")),
        OK);
    EXPECT_INT(hear(DELTA(0, "'type':'citations_delta','citation':{'type':'char_location',"
                             "'cited_text':'x','document_index':0,'document_title':'D'}")),
        OK);
    EXPECT_INT(hear(DELTA(0, "'type':'citations_delta','citation':{'type':'c','x':1}")), OK);
    EXPECT_INT(hear(DELTA(0, "'type':'compaction_delta','content':'x'")), OK);
    EXPECT_INT(hear("{'type':'from_the_future'}"), OK);
    EXPECT_INT(hear("{}"), OK);
    EXPECT_INT(hear(""), OK);
    EXPECT_INT(hear("[DONE]"), OK);
    EXPECT_STR(buf_str(&told), "cite(https://a.example,A,w) cite(,D,x)");
    end();
}

TEST(the_event_name_is_used_where_the_data_has_no_type)
{
    begin();
    EXPECT_INT(anthropic_read_event(&r, S("content_block_start"),
                   S("{\"content_block\":{\"type\":\"text\",\"text\":\"hi\"}}")),
        OK);
    EXPECT_INT(hear("{'type':'message_delta','delta':{'stop_reason':'end_turn'}}"), OK);
    EXPECT_INT(anthropic_read_event(&r, S("message_stop"), S("{}")), OK);
    EXPECT(r.complete);
    end();
}

TEST(counts_are_corrected_by_later_ones)
{
    begin();
    EXPECT_INT(hear("{'type':'message_start','message':{'usage':{'input_tokens':100,"
                    "'output_tokens':1}}}"),
        OK);
    EXPECT_INT(hear("{'type':'message_delta','delta':{'stop_reason':'end_turn'},'usage':"
                    "{'input_tokens':40,'cache_read_input_tokens':60,'output_tokens':2}}"),
        OK);
    EXPECT_INT(last_usage.input, 100);
    EXPECT_INT(last_usage.cached, 60);
    EXPECT_INT(hear("{'type':'message_delta','delta':{'stop_reason':'end_turn'},'usage':"
                    "{'output_tokens':3}}"),
        OK);
    EXPECT_INT(last_usage.input, 100);
    EXPECT_INT(last_usage.output, 3);
    EXPECT_STR(buf_str(&told), "start(,) finish(1,end_turn,) usage(100,2) usage(100,3)");
    end();
}

TEST(an_error_event_breaks_the_answer)
{
    begin();
    EXPECT_INT(
        hear("{'type':'error','error':{'type':'overloaded_error','message':'Overloaded'}}"), OK);
    EXPECT(r.failed);
    EXPECT_INT(last_error, ERR_UPSTREAM_OVERLOADED);
    EXPECT_INT(hear("{'type':'message_stop'}"), OK);
    EXPECT(!r.complete);
    EXPECT_STR(buf_str(&told), "error(Overloaded)");
    end();

    begin();
    EXPECT_INT(hear("{'error':'no more'}"), OK);
    EXPECT_INT(last_error, ERR_UPSTREAM_ERROR);
    EXPECT_STR(buf_str(&told), "error(no more)");
    end();

    begin();
    EXPECT_INT(anthropic_read_event(&r, S("error"), S("{}")), OK);
    EXPECT(r.failed);
    end();
}

TEST(an_end_without_its_last_word_is_no_end)
{
    begin();
    EXPECT_INT(hear("{'type':'message_delta','delta':{'stop_reason':'end_turn'}}"), OK);
    anthropic_read_end(&r);
    EXPECT(!r.complete);
    EXPECT(!r.finished);
    EXPECT_STR(buf_str(&told), "finish(1,end_turn,)");
    end();
}

TEST(a_stop_without_a_reason_finishes_only_where_the_host_never_gives_one)
{
    begin();
    r.no_finish_reason = true;
    EXPECT_INT(hear(BLOCK(0, TOOL)), OK);
    EXPECT_INT(hear("{'type':'message_stop'}"), OK);
    EXPECT_STR(buf_str(&told), "tool0(t,f) args0({}) /tool0 finish(3,,) end");
    end();
    begin();
    EXPECT_INT(hear(BLOCK(0, TOOL)), OK);
    EXPECT_INT(hear("{'type':'message_stop'}"), OK);
    EXPECT_STR(buf_str(&told), "tool0(t,f) args0({}) /tool0 error(the provider ended the stream "
                               "without a finish reason)");
    EXPECT(!r.complete);
    end();
}

TEST(what_makes_no_sense_blames_the_provider)
{
    begin();
    EXPECT_INT(hear("{'type':"), ERR_UPSTREAM_PROTOCOL);
    EXPECT_INT(hear("[1]"), ERR_UPSTREAM_PROTOCOL);
    EXPECT_INT(hear("{'type':'message_start'}"), ERR_UPSTREAM_PROTOCOL);
    EXPECT_INT(hear("{'type':'content_block_start','index':0}"), ERR_UPSTREAM_PROTOCOL);
    EXPECT_INT(hear(DELTA(0, ARGS("x"))), ERR_UPSTREAM_PROTOCOL);
    EXPECT_INT(hear(BLOCK(0, TOOL)), OK);
    EXPECT_INT(hear(DELTA(1, ARGS("x"))), ERR_UPSTREAM_PROTOCOL);
    end();
}

TEST(a_frame_beyond_the_limit_is_told_apart_from_nonsense)
{
    begin();
    (void)arena_fail_after_for_tests(1);
    EXPECT_INT(hear("{'type':'ping'}"), ERR_UPSTREAM_TOO_LARGE);
    (void)arena_fail_after_for_tests(0);
    end();
}

TEST(no_text_is_lost_for_want_of_memory_without_a_word)
{
    static const struct {
        const char *frame;
        const char *told;
    } rows[] = {
        { DELTA(0, "'type':'text_delta','text':'a\\u0062'"), "text(ab)" },
        { DELTA(0, "'type':'thinking_delta','thinking':'a\\u0062'"), "thought(ab)" },
        { DELTA(0, "'type':'signature_delta','signature':'a\\u0062'"), "sig(ab)" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (unsigned n = 1, failed = 1; failed; n++) {
            begin();
            (void)arena_fail_after_for_tests(n);

            enum err e = hear(rows[i].frame);

            failed = !arena_fail_after_for_tests(0);
            EXPECT(e == ERR_UPSTREAM_TOO_LARGE || e == OK);
            EXPECT_STR(buf_str(&told), e == OK ? rows[i].told : "");
            EXPECT(n < 20);
            end();
        }
    }
}

TEST(a_whole_answer_becomes_events)
{
    begin();
    EXPECT_INT(anthropic_read_answer(
                   &r, quoted("\n{'id':'msg_1','model':'m','content':["
                              "{'type':'thinking','thinking':'hm','signature':'c2ln'},"
                              "{'type':'text','text':'a','citations':[{'title':'c'},{},3,"
                              "{'source':'d'}]},"
                              "{'type':'text','text':'b'},"
                              "{'type':'server_tool_use','id':'s','name':'w','input':{'q':1}},"
                              "{'type':'tool_use','id':'t','name':'f','input':{ 'n': 1.50}},"
                              "{'type':'tool_use','id':'u','name':'g','input':{}}],"
                              "'stop_reason':'tool_use','stop_sequence':null,"
                              "'usage':{'input_tokens':3,'output_tokens':4}}")),
        OK);
    EXPECT(r.complete);
    EXPECT_STR(buf_str(&told),
        "start(msg_1,m) thought(hm) sig(c2ln) text(a) cite(,c,) "
        "cite(d,,) text(b) opaque "
        "tool0(t,f) args0({ \"n\": 1.50}) /tool0 tool1(u,g) args1({}) /tool1 "
        "finish(3,tool_use,) usage(3,4) end");
    end();
}

TEST(an_answer_without_content_is_an_answer)
{
    begin();
    EXPECT_INT(anthropic_read_answer(
                   &r, quoted("{'id':'msg_1','model':'m','content':[],'stop_reason':'refusal'}")),
        OK);
    EXPECT_STR(buf_str(&told), "start(msg_1,m) finish(4,refusal,) end");
    end();
}

TEST(an_error_under_status_200_is_an_error)
{
    begin();
    EXPECT_INT(anthropic_read_answer(
                   &r, quoted("{'type':'error','error':{'type':'api_error','message':'oops'}}")),
        OK);
    EXPECT(r.failed);
    EXPECT(!r.complete);
    EXPECT_STR(buf_str(&told), "error(oops)");
    end();
}

TEST(an_answer_that_is_none_blames_the_provider)
{
    begin();
    EXPECT_INT(anthropic_read_answer(&r, S("")), ERR_UPSTREAM_PROTOCOL);
    EXPECT_INT(anthropic_read_answer(&r, S("{}")), ERR_UPSTREAM_PROTOCOL);
    EXPECT_INT(anthropic_read_answer(&r, S("<html>")), ERR_UPSTREAM_PROTOCOL);
    EXPECT_INT(anthropic_read_answer(&r, S("{\"content\":\"text\"}")), ERR_UPSTREAM_PROTOCOL);
    EXPECT_INT(buf_len(&told), 0);
    end();
}

TEST(a_token_count_is_usage)
{
    begin();
    r.op = OP_COUNT_TOKENS;
    EXPECT_INT(anthropic_read_answer(&r, S("{\"input_tokens\":2095}")), OK);
    EXPECT_STR(buf_str(&told), "usage(2095,-1) end");
    end();

    begin();
    r.op = OP_COUNT_TOKENS;
    EXPECT_INT(anthropic_read_answer(&r, S("{\"tokens\":1}")), ERR_UPSTREAM_PROTOCOL);
    end();
}

TEST(a_reason_agrees_with_whether_there_are_calls)
{
    begin();
    (void)hear(BLOCK(0, TOOL));
    (void)hear(STOP(0));
    (void)hear("{'type':'message_delta','delta':{'stop_reason':'end_turn'}}");
    EXPECT(str_find(buf_str(&told), arena_printf(a, "finish(%d,end_turn,)", FINISH_TOOLS)) <
           buf_len(&told));
    end();
    begin();
    (void)hear(BLOCK(0, "'type':'text','text':'a'"));
    (void)hear(STOP(0));
    (void)hear("{'type':'message_delta','delta':{'stop_reason':'tool_use'}}");
    EXPECT(str_find(buf_str(&told), arena_printf(a, "finish(%d,tool_use,)", FINISH_STOP)) <
           buf_len(&told));
    end();
}

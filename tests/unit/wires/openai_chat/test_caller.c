#include "wires/openai_chat/caller.c"
#include "tests/test.h"

/* Golden conversations in tests/wire/openai-chat show whole requests and faults; here are the
 * corners. */

static struct arena *arena;
static struct llm_request r;
static struct wire_fault fault;

static enum err
read_op(enum llm_op op, struct str body)
{
    arena = arena_create(1 << 20);
    fault = (struct wire_fault){ .param = S("") };
    r = (struct llm_request){ .arena = arena, .op = op, .wire = &wire_openai_chat, .body = body };
    r.doc = json_parse(arena, body, NULL, NULL);
    EXPECT(r.doc != NULL);
    return llm_request_expand(&r, &fault);
}

static void
end(void)
{
    arena_destroy(arena);
}

TEST(instructions_before_the_first_turn_are_the_system_and_later_ones_stay)
{
    EXPECT(read_op(OP_CHAT,
               S("{\"messages\":[{\"role\":\"system\",\"content\":\"a\"},"
                 "{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"b\"}]},"
                 "{\"role\":\"user\",\"content\":\"c\",\"name\":\"ann\"},"
                 "{\"role\":\"developer\",\"content\":\"d\"}]}")) == OK);
    EXPECT_STR(r.system->text, "a");
    EXPECT_STR(r.system->next->text, "b");
    EXPECT(r.messages->role == ROLE_USER);
    EXPECT_STR(r.messages->name, "ann");
    EXPECT(r.messages->next->role == ROLE_DEVELOPER);
    EXPECT_STR(r.messages->next->parts->text, "d");
    end();
}

TEST(calls_of_the_days_before_tools_are_calls_all_the_same)
{
    EXPECT(
        read_op(OP_CHAT, S("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"},"
                           "{\"role\":\"assistant\",\"content\":null,\"function_call\":{\"name\":"
                           "\"f\",\"arguments\":\"{}\"}},"
                           "{\"role\":\"function\",\"name\":\"f\",\"content\":\"1\"}],"
                           "\"functions\":[{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}],"
                           "\"function_call\":{\"name\":\"f\"}}")) == OK);

    const struct llm_part *call = r.messages->next->parts;
    const struct llm_message *result = r.messages->next->next;

    EXPECT(call->kind == PART_TOOL_CALL);
    EXPECT_STR(call->name, "f");
    EXPECT(result->role == ROLE_TOOL);
    EXPECT(str_eq(result->parts->id, call->id));
    EXPECT_STR(result->parts->result->text, "1");
    EXPECT_STR(r.tools->name, "f");
    EXPECT(r.choice == CHOICE_NAMED);
    EXPECT_STR(r.choice_name, "f");
    end();
}

TEST(arguments_are_kept_as_the_caller_wrote_them)
{
    EXPECT(
        read_op(OP_CHAT, S("{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":["
                           "{\"id\":\"1\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"b\\\": "
                           "1.50, \\\"a\\\":1e3}\"}},"
                           "{\"id\":\"2\",\"function\":{\"name\":\"f\",\"arguments\":{\"z\" :1}}},"
                           "{\"id\":\"3\",\"function\":{\"name\":\"f\"}},"
                           "{\"id\":\"4\",\"type\":\"custom\",\"custom\":{\"name\":\"g\",\"input\":"
                           "\"4+4\"}}]}]}")) == OK);

    const struct llm_part *call = r.messages->parts;

    EXPECT_STR(call->args, "{\"b\": 1.50, \"a\":1e3}");
    EXPECT_STR(call->next->args, "{\"z\" :1}");
    EXPECT_STR(call->next->next->args, "");
    EXPECT(call->next->next->next->custom);
    EXPECT_STR(call->next->next->next->args, "4+4");
    end();
}

TEST(media_are_taken_apart_and_their_type_is_checked)
{
    EXPECT(
        read_op(OP_CHAT,
            S("{\"messages\":[{\"role\":\"user\",\"content\":["
              "{\"type\":\"image_url\",\"image_url\":\"https://a.example/1.png\"},"
              "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"
              "jpeg;base64,iVBORw0KGgo=\",\"detail\":\"low\"}},"
              "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AAAA\",\"format\":\"mp3\"}},"
              "{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\",\"file_data\":\"data:"
              "application/pdf;base64,JVBERi0=\"}},"
              "{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}}]}]}")) == OK);

    const struct llm_part *p = r.messages->parts;

    EXPECT_STR(p->url, "https://a.example/1.png");
    p = p->next;
    EXPECT_STR(p->mime, "image/png");
    EXPECT_STR(p->data, "iVBORw0KGgo=");
    EXPECT_STR(p->detail, "low");
    p = p->next;
    EXPECT(p->kind == PART_AUDIO);
    EXPECT_STR(p->mime, "audio/mpeg");
    p = p->next;
    EXPECT(p->kind == PART_FILE);
    EXPECT_STR(p->name, "a.pdf");
    EXPECT_STR(p->mime, "application/pdf");
    EXPECT_STR(p->next->file_id, "file-1");
    end();
}

TEST(reasoning_goes_back_to_the_wire_that_made_it)
{
    EXPECT(
        read_op(OP_CHAT,
            S("{\"messages\":[{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_content\":"
              "\"plain\"},"
              "{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_details\":["
              "{\"type\":\"reasoning.text\",\"text\":\"so \",\"format\":\"anthropic-claude-v1\"},"
              "{\"type\":\"reasoning.text\",\"text\":\"on\",\"signature\":\"s\",\"format\":"
              "\"anthropic-claude-v1\"},"
              "{\"type\":\"reasoning.encrypted\",\"data\":\"e\",\"format\":\"anthropic-claude-v1\"}"
              ","
              "{\"type\":\"reasoning.encrypted\",\"data\":\"o\",\"format\":\"openai-responses-v1\"}"
              "]}]}")) == OK);

    const struct llm_part *p = r.messages->parts;

    EXPECT_STR(p->text, "plain");
    EXPECT_INT(p->origin, ORIGIN_OPENAI);
    p = r.messages->next->parts;
    EXPECT_STR(p->text, "so on");
    EXPECT_STR(p->signature, "s");
    EXPECT_INT(p->origin, ORIGIN_ANTHROPIC);
    EXPECT_STR(p->next->redacted, "e");
    EXPECT_INT(p->next->origin, ORIGIN_ANTHROPIC);
    EXPECT_INT(p->next->next->origin, ORIGIN_OPENAI);
    end();
}

TEST(marks_for_the_prompt_cache_are_seen)
{
    EXPECT(read_op(OP_CHAT,
               S("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\","
                 "\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}}]}],"
                 "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"},\"cache_"
                 "control\":{\"type\":\"ephemeral\"}}]}")) == OK);
    EXPECT(r.messages->parts->cache_mark);
    EXPECT_INT(r.messages->parts->cache_mark, MARK_1H);
    EXPECT(r.tools->cache_mark);
    end();
}

TEST(parameters_without_a_place_are_named)
{
    EXPECT(
        read_op(OP_CHAT, S("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"store\":false,"
                           "\"prediction\":{},"
                           "\"audio\":null,\"modalities\":[\"text\"],\"temperature\":1}")) == OK);

    static const char *const names[] = { "store", "prediction", "audio", "modalities" };
    struct wire_drops drops = { .arena = r.arena };
    const struct llm_member *m = r.extra;

    for (size_t i = 0; i < ARRAY_LEN(names); i++, m = m->next)
        EXPECT(json_str_is(m->name, str_c(names[i])));
    EXPECT(m == NULL);
    wire_drop_extra(&drops, &r);    /* false and null ask for nothing */
    EXPECT_STR(drops.names->text, "prediction");
    EXPECT_STR(drops.names->next->text, "modalities");
    EXPECT(drops.names->next->next == NULL);
    end();
}

TEST(reasoning_options_have_several_spellings)
{
    EXPECT(read_op(OP_CHAT, S("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
                              "\"reasoning\":{\"effort\":\"high\",\"max_tokens\":2000}}")) == OK);
    EXPECT_STR(r.effort, "high");
    EXPECT_INT(r.reasoning_budget, 2000);
    end();
    EXPECT(read_op(OP_CHAT, S("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
                              "\"reasoning_effort\":\"none\"}")) == OK);
    EXPECT_INT(r.reasoning, NO);
    end();
    EXPECT(
        read_op(OP_CHAT, S("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
                           "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":3000}}")) == OK);
    EXPECT_INT(r.reasoning_budget, 3000);
    EXPECT(r.extra == NULL);
    end();
    EXPECT(read_op(OP_CHAT, S("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
                              "\"thinking\":{\"type\":\"disabled\"}}")) == OK);
    EXPECT_INT(r.reasoning, NO);
    end();
    EXPECT(read_op(OP_CHAT, S("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
                              "\"reasoning_effort\":\"high\",\"reasoning\":{\"max_tokens\":0}}")) ==
           OK);
    EXPECT_INT(r.reasoning, NO);
    end();
}

TEST(what_is_not_a_chat_is_not_translated)
{
    static const enum llm_op ops[] = { OP_COMPLETE, OP_RELAY };

    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        EXPECT(read_op(ops[i], S("{\"prompt\":\"a\",\"input\":\"a\"}")) == ERR_UNSUPPORTED);
        EXPECT(fault.message.n > 0);
        end();
    }
}

TEST(too_many_messages_are_refused)
{
    struct buf body;

    buf_init(&body, 8 << 20);
    buf_add(&body, S("{\"messages\":[{\"role\":\"user\",\"content\":\"\"}"));
    for (int i = 0; i < READ_ELEMENTS_MAX; i++)
        buf_add(&body, S(",{\"role\":\"user\",\"content\":\"\"}"));
    buf_add(&body, S("]}"));

    arena = arena_create(256 << 20);
    r = (struct llm_request){ .arena = arena, .op = OP_CHAT, .wire = &wire_openai_chat };
    r.doc = json_parse(arena, buf_str(&body), NULL, NULL);
    EXPECT(r.doc != NULL);
    EXPECT_INT(llm_request_expand(&r, &fault), ERR_TOO_LARGE);
    buf_fini(&body);
    end();
}

TEST(too_many_unknown_members_are_refused)
{
    struct buf body;

    buf_init(&body, 8 << 20);
    buf_add(&body, S("{\"messages\":[{\"role\":\"user\",\"content\":\"\"}]"));
    for (unsigned i = 0; i < READ_ELEMENTS_MAX; i++)
        buf_printf(&body, ",\"x%u\":0", i);
    buf_add(&body, S("}"));

    arena = arena_create(256 << 20);
    r = (struct llm_request){ .arena = arena, .op = OP_CHAT, .wire = &wire_openai_chat };
    r.doc = json_parse(arena, buf_str(&body), NULL, NULL);
    EXPECT(r.doc != NULL);
    EXPECT_INT(llm_request_expand(&r, &fault), ERR_TOO_LARGE);
    buf_fini(&body);
    end();
}

static bool
is_whole(void)
{
    const struct llm_part *call = r.messages->next->parts;

    return str_eq(r.messages->parts->text, S("a\nb")) && str_eq(call->id, S("1")) &&
           str_eq(call->args, S("{\"a\":1}")) && str_eq(r.stop->text, S("\n"));
}

TEST(a_text_without_memory_makes_the_request_too_large)
{
    struct str body = S("{\"messages\":[{\"role\":\"user\",\"content\":\"a\\nb\"},"
                        "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"\\u0031\",\"function\":"
                        "{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]}],\"stop\":[\"\\n\"]}");
    bool failed = true;

    for (unsigned n = 1; failed; n++) {
        arena = arena_create(1 << 20);
        r = (struct llm_request){ .arena = arena, .op = OP_CHAT, .wire = &wire_openai_chat };
        r.doc = json_parse(arena, body, NULL, NULL);
        arena_fail_after_for_tests(n);

        enum err e = llm_request_expand(&r, &fault);

        failed = !arena_fail_after_for_tests(0);
        EXPECT(e == OK ? is_whole() : e == ERR_TOO_LARGE && failed);
        EXPECT(n < 100);
        end();
    }
}

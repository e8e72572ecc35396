/* test_turns.c - a conversation is arranged by the rules of its target. */
#include "llm/turns.c"
#include "tests/test.h"
#include "tests/unit/llm/wire_kit.h"

static struct kit k;
static struct buf shown;

static void
show_list(const char *before, const struct turn_list *list)
{
    for (const struct turn_block *b = list->first; b != NULL; b = b->next) {
        buf_printf(&shown, "%s", before);
        if (b->part == NULL)
            buf_printf(&shown, "missing(" STR_FMT ")", STR_ARG(b->id));
        else if (b->part->kind == PART_TOOL_CALL)
            buf_printf(&shown, "call(" STR_FMT ")", STR_ARG(b->id));
        else if (b->part->kind == PART_TOOL_RESULT)
            buf_printf(&shown, "result(" STR_FMT ")", STR_ARG(b->id));
        else if (b->part->kind == PART_IMAGE)
            buf_printf(&shown, "image");
        else
            buf_printf(&shown, STR_FMT, STR_ARG(b->part->text));
    }
}

/* Plans the messages of an OpenAI caller, in which ' stands for ", and shows the turns: "S: a | U: b
 * | A: call(x)". */
static struct str
plan(const struct turn_rules *rules, const char *messages)
{
    static const char *const sides[] = { "U:", "A:", "S:" };
    struct turns turns;
    const char *text;

    kit_init(&k);
    buf_init(&shown, 64 * 1024);
    text = arena_printf(k.a, "{'model':'m','messages':[%s]}", messages).p;
    for (char *c = (char *)(uintptr_t)text; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    EXPECT_INT(kit_read(&k, &wire_openai_chat, OP_CHAT, str_c(text)), OK);
    turns_plan(&k.r, rules, &k.drops, &turns);
    if (turns.system.first != NULL) {
        buf_printf(&shown, "first:");
        show_list(" ", &turns.system);
        buf_printf(&shown, " | ");
    }
    for (const struct turn *t = turns.first; t != NULL; t = t->next) {
        EXPECT(t->next != NULL ? t->next->prev == t : turns.last == t);
        buf_printf(&shown, "%s", sides[t->side]);
        show_list(" ", &t->results);
        show_list(" ", &t->blocks);
        buf_printf(&shown, t->next != NULL ? " | " : "");
    }
    return buf_str(&shown);
}

#define EXPECT_TURNS(rules, messages, expected)                                                    \
    do {                                                                                           \
        EXPECT_STR(plan(rules, messages), expected);                                               \
        buf_fini(&shown);                                                                          \
        kit_fini(&k);                                                                              \
    } while (0)

#define ANY_IDS                                                                                    \
    {                                                                                              \
        .prefix = S_INIT("call_"), .most = 40                                                      \
    }

static const struct turn_rules none = { .ids = ANY_IDS };
static const struct turn_rules paired = { .ids = ANY_IDS, .paired = true };
static const struct turn_rules texts = {
    .ids = ANY_IDS,
    .paired = true,
    .results_text = true,
};
static const struct turn_rules all = {
    .ids = ANY_IDS,
    .alternate = true,
    .system_first = true,
    .paired = true,
    .no_blanks = true,
    .speaks = true,
};

#define SYSTEM(text) "{'role':'system','content':'" text "'},"
#define USER(text) "{'role':'user','content':'" text "'},"
#define ASSISTANT(text) "{'role':'assistant','content':'" text "'},"
#define CALL(id) "{'id':'" id "','type':'function','function':{'name':'f','arguments':'{}'}}"
#define CALLS(calls) "{'role':'assistant','tool_calls':[" calls "]},"
#define RESULT(id) "{'role':'tool','tool_call_id':'" id "','content':'r'},"
#define END "{'role':'user','content':'end'}"

TEST(without_rules_everything_stays_in_its_place)
{
    EXPECT_TURNS(&none,
        SYSTEM("s") USER("a") USER(" ") SYSTEM("t") ASSISTANT("b") ASSISTANT("c") END,
        "first: s | U: a | U:   | S: t | A: b | A: c | U: end");
    EXPECT_TURNS(&none, RESULT("x") CALLS(CALL("y")) END, "U: result(x) | A: call(y) | U: end");
}

TEST(the_sides_take_turns)
{
    EXPECT_TURNS(
        &all, USER("a") USER("b") ASSISTANT("c") ASSISTANT("d") END, "U: a b | A: c d | U: end");
    EXPECT_TURNS(&all, ASSISTANT("c") END, "A: c | U: end");
}

TEST(system_text_goes_first_wherever_it_was)
{
    EXPECT_TURNS(&all, SYSTEM("s") USER("a") SYSTEM("t") USER("b") END, "first: s t | U: a b end");
}

TEST(blank_text_goes_where_it_is_refused)
{
    EXPECT_TURNS(&all, USER(" ") ASSISTANT("\\n") END, "U: end");
}

TEST(results_stand_next_to_their_calls_in_the_calls_order)
{
    EXPECT_TURNS(&all,
        USER("a") CALLS(CALL("x") "," CALL("y")) RESULT("y") USER("b") RESULT("x") END,
        "U: a | A: call(x) call(y) | U: result(x) result(y) b end");
    EXPECT_TURNS(&paired, CALLS(CALL("x") "," CALL("y")) RESULT("y") RESULT("x") END,
        "A: call(x) call(y) | U: result(x) result(y) | U: end");
}

TEST(a_result_may_come_after_other_words_of_the_user)
{
    EXPECT_TURNS(&paired, CALLS(CALL("x") "," CALL("y")) RESULT("y") USER("b") RESULT("x") END,
        "A: call(x) call(y) | U: result(x) result(y) | U: b | U: end");
    EXPECT_TURNS(&paired, CALLS(CALL("x")) USER("b") RESULT("x") ASSISTANT("c") END,
        "A: call(x) | U: result(x) b | A: c | U: end");
}

#define PICTURE(id)                                                                                \
    "{'role':'tool','tool_call_id':'" id "','content':[{'type':'image_url','image_url':'http:'}]},"

TEST(media_of_results_are_said_by_the_user_where_results_are_text)
{
    EXPECT_TURNS(&paired, CALLS(CALL("x")) PICTURE("x") END, "A: call(x) | U: result(x) | U: end");
    EXPECT_TURNS(
        &texts, CALLS(CALL("x")) PICTURE("x") END, "A: call(x) | U: result(x) | U: image end");
    EXPECT_TURNS(&texts, CALLS(CALL("x") "," CALL("y")) PICTURE("y") RESULT("x") ASSISTANT("b") END,
        "A: call(x) call(y) | U: result(x) result(y) image | A: b | U: end");
    EXPECT_TURNS(&texts, CALLS(CALL("x")) "{'role':'tool','tool_call_id':'x','content':[]}",
        "A: call(x) | U: result(x)");
}

TEST(media_of_results_stay_in_order_and_between_the_turns_where_they_were)
{
    static const struct turn_rules joined = {
        .ids = ANY_IDS, .alternate = true, .paired = true, .results_text = true
    };

    EXPECT_TURNS(&texts, CALLS(CALL("x")) PICTURE("x") CALLS(CALL("y")) PICTURE("y") USER("a") END,
        "A: call(x) | U: result(x) image | A: call(y) | U: result(y) | U: image a | U: end");
    EXPECT_TURNS(&texts, CALLS(CALL("x")) USER("a") PICTURE("x") END,
        "A: call(x) | U: result(x) image a | U: end");
    EXPECT_TURNS(&joined, CALLS(CALL("x") "," CALL("y")) PICTURE("y") PICTURE("x") USER("a") END,
        "A: call(x) call(y) | U: result(x) result(y) image image a end");
    EXPECT_TURNS(&joined, CALLS(CALL("x") "," CALL("y")) PICTURE("y") END,
        "A: call(x) call(y) | U: missing(x) result(y) image end");
}

/* What the result says of a call in an Anthropic caller's history: `members` in which ' stands for ". */
static struct str
content_of_result(const struct turn_rules *rules, const char *members)
{
    struct turns turns;
    const char *text;

    kit_init(&k);
    buf_init(&shown, 64 * 1024);
    text = arena_printf(k.a,
        "{'model':'m','max_tokens':1,'messages':[{'role':'user','content':'a'},"
        "{'role':'assistant','content':[{'type':'tool_use','id':'x','name':'f','input':{}}]},"
        "{'role':'user','content':[%s{'type':'text','text':'b'}]}]}",
        members)
               .p;
    for (char *c = (char *)(uintptr_t)text; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    EXPECT_INT(kit_read(&k, &wire_anthropic, OP_CHAT, str_c(text)), OK);
    turns_plan(&k.r, rules, &k.drops, &turns);
    for (const struct llm_part *in = turns.last->results.first->content; in != NULL; in = in->next)
        buf_printf(&shown, STR_FMT ".", STR_ARG(in->kind == PART_IMAGE ? S("image") : in->text));
    return buf_str(&shown);
}

#define TOLD(members) "{'type':'tool_result','tool_use_id':'x'" members "},"
#define FAILED ",'is_error':true"
#define SILENCE "{'type':'text','text':''}"
#define IMAGE "{'type':'image','source':{'type':'url','url':'http://a.test/b.png'}}"

TEST(a_result_with_nothing_to_say_says_why)
{
    static const struct turn_rules fails = {
        .ids = ANY_IDS, .paired = true, .results_text = true, .fails = true
    };
    static const struct {
        const struct turn_rules *rules;
        const char *members, *content;
    } rows[] = {
        { &texts, TOLD(",'content':'r'"), "r." },
        { &texts, TOLD(""), "" },
        { &texts, "", TURN_NO_RESULT "." },
        { &texts, TOLD(",'content':[" IMAGE "]"), "(see the next message)." },
        { &texts, TOLD(",'content':[" IMAGE "]" FAILED), "(see the next message)." },
        { &texts, TOLD(",'content':[" IMAGE ",{'type':'text','text':'t'}]"), "image.t." },
        { &texts, TOLD(",'content':[" IMAGE "," SILENCE "]"), "(see the next message)." },
        { &texts, TOLD(",'content':[" SILENCE "]"), "." },
        { &texts, TOLD(",'content':[" SILENCE "]" FAILED), "(the call failed)." },
        { &texts, TOLD(",'content':'r'" FAILED), "r." },
        { &texts, TOLD(FAILED), "(the call failed)." },
        { &fails, TOLD(FAILED), "" },
        { &paired, TOLD(FAILED), "(the call failed)." },
        { &paired, TOLD(",'content':[" IMAGE "]"), "image." },
        { &paired, TOLD(",'content':[" IMAGE "]" FAILED), "image." },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT_STR(content_of_result(rows[i].rules, rows[i].members), rows[i].content);
        buf_fini(&shown);
        kit_fini(&k);
    }
}

TEST(what_an_assistant_did_not_say_is_no_message)
{
    EXPECT_TURNS(&none, USER("a") ASSISTANT("") END, "U: a | U: end");
}

TEST(a_call_without_a_result_gets_one)
{
    EXPECT_TURNS(&all, CALLS(CALL("x") "," CALL("y")) RESULT("y") END,
        "A: call(x) call(y) | U: missing(x) result(y) end");
    EXPECT_TURNS(&all, USER("a") "{'role':'assistant','tool_calls':[" CALL("x") "]}",
        "U: a | A: call(x) | U: missing(x)");
    EXPECT_TURNS(&paired, CALLS(CALL("x")) ASSISTANT("b") END, "A: call(x) b | U: missing(x) end");
    EXPECT_TURNS(
        &paired, CALLS(CALL("x")) SYSTEM("b") END, "A: call(x) | U: missing(x) | S: b | U: end");
    EXPECT_TURNS(&paired, CALLS(CALL("x")) SYSTEM("b") ASSISTANT("c") END,
        "A: call(x) | U: missing(x) | S: b | A: c | U: end");
}

TEST(calls_of_several_messages_keep_the_results_that_come_after_all_of_them)
{
    EXPECT_TURNS(&paired, CALLS(CALL("x")) CALLS(CALL("y")) RESULT("x") RESULT("y") END,
        "A: call(x) call(y) | U: result(x) result(y) | U: end");
    EXPECT_TURNS(&paired,
        CALLS(CALL("x")) ASSISTANT("b") CALLS(CALL("y")) RESULT("y") RESULT("x") ASSISTANT("c")
            ASSISTANT("d") END,
        "A: call(x) b call(y) | U: result(x) result(y) | A: c | A: d | U: end");
    EXPECT_TURNS(&none, CALLS(CALL("x")) CALLS(CALL("y")) RESULT("x") RESULT("y") END,
        "A: call(x) | A: call(y) | U: result(x) result(y) | U: end");
}

TEST(a_result_without_a_call_becomes_text)
{
    EXPECT_TURNS(&all, USER("a") RESULT("x") END,
        "U: Result of a tool call that is no longer in this conversation: r a end");
    EXPECT_TURNS(&all, CALLS(CALL("x")) RESULT("x") ASSISTANT("b") RESULT("x") END,
        "A: call(x) | U: result(x) | A: b | U: Result of a tool call that is no longer in this "
        "conversation: r end");
}

TEST(calls_with_one_id_are_answered_in_turn_and_told_apart)
{
    static const struct turn_rules rules = {
        .ids = { .prefix = S_INIT("c_"), .chars = IDS_WORD, .most = 12 },
        .alternate = true,
        .paired = true,
    };
    struct str shown_ids = plan(&rules, CALLS(CALL("x") "," CALL("x")) RESULT("x") RESULT("x") END);
    struct str second = str_skip(shown_ids, str_find(shown_ids, S("c_")));

    second.n = 12;
    EXPECT_STR(
        shown_ids, arena_printf(k.a, "A: call(x) call(%.12s) | U: result(x) result(%.12s) end",
                       second.p, second.p)
                       .p);
    buf_fini(&shown);
    kit_fini(&k);
}

static struct str
id_for(struct turn_ids ids, const char *id)
{
    return turn_fit_id(&ids, k.a, str_c(id));
}

TEST(an_id_that_fits_stays_and_any_other_becomes_the_same_hash_every_time)
{
    const struct turn_ids word = { .prefix = S("toolu_"), .chars = IDS_WORD, .most = 64 };
    const struct turn_ids any = { .prefix = S("call_"), .most = 40 };
    const struct turn_ids nine = { .chars = IDS_ALNUM, .least = 9, .most = 9 };

    kit_init(&k);
    EXPECT_STR(id_for(word, "call_01-Ab"), "call_01-Ab");
    EXPECT(str_starts(id_for(word, "functions.weather:0"), S("toolu_")));
    EXPECT(str_eq(id_for(word, "functions.weather:0"), id_for(word, "functions.weather:0")));
    EXPECT(!str_eq(id_for(word, "functions.weather:0"), id_for(word, "functions.weather:1")));
    EXPECT(str_starts(id_for(word, ""), S("toolu_")));
    EXPECT_STR(id_for(any, "functions.weather:0"), "functions.weather:0");
    EXPECT(str_starts(id_for(any, "a234567890b234567890c234567890d234567890x"), S("call_")));
    EXPECT_STR(id_for(nine, "D681PevKs"), "D681PevKs");
    EXPECT_INT(id_for(nine, "call_8901").n, 9);
    EXPECT(!str_eq(id_for(nine, "call_8901"), S("call_8901")));
    EXPECT_INT(id_for(nine, "a").n, 9);
    kit_fini(&k);
}

TEST(reasoning_without_a_signature_goes_where_it_is_read)
{
    static const struct turn_rules thoughts = { .ids = ANY_IDS, .thoughts = true, .speaks = true };
    const char *said = "{'role':'assistant','reasoning_content':'hm','content':'a'},"
                       "{'role':'assistant','reasoning_content':'hm'}";

    EXPECT_TURNS(&none, said, "A: a");
    EXPECT_TURNS(&thoughts, said, "A: hm a");
}

TEST(a_name_that_the_target_refuses_is_legible_and_the_answer_gets_the_caller_s_back)
{
    const struct turn_rules rules = { .names = { .chars = IDS_WORD, .most = 20 } };

    kit_init(&k);
    k.r.arena = k.a;
    EXPECT_STR(turn_name(&rules.names, &k.r, &k.drops, S("look_up-1")), "look_up-1");
    EXPECT_STR(turn_name(&none.names, &k.r, &k.drops, S("a b")), "a b");
    EXPECT(k.drops.renamed == NULL);

    struct str dotted = turn_name(&rules.names, &k.r, &k.drops, S("files.read"));
    struct str longer = turn_name(&rules.names, &k.r, &k.drops, S("files_read_in_a_directory"));
    const struct str *asked = map_get(k.drops.renamed, dotted);

    EXPECT(str_starts(dotted, S("files_r_")) && dotted.n == 20);
    EXPECT(fits(&rules.names, dotted) && fits(&rules.names, longer) && !str_eq(dotted, longer));
    EXPECT(str_eq(turn_name(&rules.names, &k.r, &k.drops, S("files.read")), dotted));
    EXPECT(asked != NULL && str_eq(*asked, S("files.read")));
    EXPECT(fits(&rules.names, turn_name(&rules.names, &k.r, &k.drops, S(""))));
    kit_fini(&k);
}

TEST(a_target_without_prefill_gets_another_message_of_the_user)
{
    const struct turn_rules rules = { .ids = ANY_IDS, .paired = true, .no_prefill = true };

    EXPECT_TURNS(&rules, "{'role':'user','content':'a'},{'role':'assistant','content':'b'}",
        "U: a | A: b | U: " TURN_CONTINUE);
    EXPECT_TURNS(
        &rules, "{'role':'assistant','content':'b'},{'role':'user','content':'a'}", "A: b | U: a");
    EXPECT_TURNS(&rules, "{'role':'assistant','tool_calls':[{'id':'x','function':{'name':'f'}}]}",
        "A: call(x) | U: missing(x)");
}

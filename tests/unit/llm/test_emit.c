#include "llm/emit.c"
#include "tests/test.h"

static struct arena *arena;
static struct wire_reader r;
static struct event_sink sink;
static struct buf told;

static void
tell(struct event_sink *s, const struct llm_event *ev)
{
    static const char *const names[] = { [EVENT_START] = "start",
        [EVENT_TEXT] = "text",
        [EVENT_TOOL_START] = "call",
        [EVENT_TOOL_ARGS] = "args",
        [EVENT_TOOL_END] = "/call",
        [EVENT_USAGE] = "usage",
        [EVENT_FINISH] = "finish",
        [EVENT_ERROR] = "error",
        [EVENT_END] = "end" };

    (void)s;
    buf_printf(&told, "%s%s", buf_len(&told) > 0 ? " " : "", names[ev->kind]);
    if (ev->kind == EVENT_TOOL_START || ev->kind == EVENT_TOOL_ARGS || ev->kind == EVENT_TOOL_END)
        buf_printf(&told, "%u", (unsigned)ev->tool);
    if (ev->kind == EVENT_FINISH)
        buf_printf(&told, ":%s", llm_finish_name(ev->finish));
    if (ev->kind == EVENT_TOOL_START)
        EXPECT(ev->id.n > 0);
    if (ev->kind == EVENT_TOOL_START && ev->name.n > 1)
        buf_printf(&told, ":" STR_FMT, STR_ARG(ev->name));
}

static struct emit_choice *
begin(void)
{
    arena = arena_create(1 << 22);
    buf_init(&told, 1 << 20);
    sink.emit = tell;
    r = (struct wire_reader){ .keep = arena, .scratch = arena, .sink = &sink };
    return emit_choice(&r, 0);
}

#define EXPECT_TOLD(text)                                                                          \
    do {                                                                                           \
        EXPECT_STR(buf_str(&told), text);                                                          \
        buf_fini(&told);                                                                           \
        arena_destroy(arena);                                                                      \
    } while (0)

static void
call(struct emit_choice *c, int64_t label, const char *id, const char *name, const char *args)
{
    EXPECT_INT(emit_call(&r, c,
                   &(struct emit_piece){
                       .label = label, .id = str_c(id), .name = str_c(name), .args = str_c(args) }),
        OK);
}

TEST(an_answer_starts_once_and_each_choice_finishes_once)
{
    struct emit_choice *c = begin();

    emit_start(&r, &(struct llm_event){ .id = S("1") });
    emit_start(&r, &(struct llm_event){ .id = S("2") });
    emit_text(&r, c, EVENT_TEXT, S(""));
    emit_text(&r, c, EVENT_TEXT, S("x"));
    EXPECT(!emit_all_finished(&r, 1));
    emit_finish(&r, c, FINISH_STOP, S("stop"), S(""));
    emit_finish(&r, c, FINISH_LENGTH, S("length"), S(""));
    EXPECT(emit_all_finished(&r, 1) && !emit_all_finished(&r, 2));
    emit_end(&r);
    EXPECT(r.complete);
    EXPECT_TOLD("start text finish:stop end");
}

TEST(pieces_find_their_calls_and_every_call_has_an_id_and_an_end)
{
    struct emit_choice *c = begin();

    call(c, 0, "a", "f", "");
    call(c, 1, "", "g", "");
    call(c, 0, "", "", "{}");
    call(c, 1, "", "", "{\"x\"");
    call(c, 1, "", "", ":1}");
    emit_finish(&r, c, FINISH_STOP, S("stop"), S(""));
    EXPECT_TOLD("call0 call1 args0 args1 args1 /call0 /call1 finish:tool_calls");
}

TEST(a_call_that_begins_ends_those_whose_arguments_are_complete)
{
    struct emit_choice *c = begin();

    call(c, -1, "a", "f", "{}");
    call(c, -1, "b", "g", "{}");
    call(c, -1, "b", "", "");
    emit_finish(&r, c, FINISH_TOOLS, S(""), S(""));
    EXPECT_TOLD("call0 args0 /call0 call1 args1 /call1 finish:tool_calls");
}

TEST(a_reason_that_promises_calls_needs_one)
{
    struct emit_choice *c = begin();

    emit_finish(&r, c, FINISH_TOOLS, S("tool_calls"), S(""));
    EXPECT_TOLD("finish:stop");
}

TEST(usage_is_emitted_when_it_changes)
{
    struct llm_usage u = { 0 };

    (void)begin();
    emit_usage(&r, &u);
    usage_set(&u, COUNT_INPUT, 0);
    emit_usage(&r, &u);
    emit_usage(&r, &u);
    usage_set(&u, COUNT_OUTPUT, 5);
    emit_usage(&r, &u);
    EXPECT_TOLD("usage usage");
}

TEST(choices_and_calls_are_limited)
{
    struct emit_choice *c = begin();
    enum err e = OK;

    EXPECT(emit_choice(&r, -1) == NULL && emit_choice(&r, 128) == NULL);
    for (int i = 0; i < 1025; i++)
        e = emit_call(&r, c, &(struct emit_piece){ .label = i, .name = S("f") });
    EXPECT_INT(e, ERR_UPSTREAM_PROTOCOL);
    emit_failure(&r, ERR_UPSTREAM_PROTOCOL, S("why"));
    EXPECT(r.failed);
    EXPECT(str_ends(buf_str(&told), S("call1023 error")));
    buf_fini(&told);
    arena_destroy(arena);
}

TEST(a_call_that_ends_without_arguments_gets_the_empty_object)
{
    struct emit_choice *c = begin();

    call(c, 0, "a", "f", "");
    call(c, 1, "b", "g", " ");
    call(c, 2, "c", "h", "{\"x\":1}");
    EXPECT_INT(
        emit_call(&r, c,
            &(struct emit_piece){ .label = 3, .id = S("d"), .name = S("i"), .custom = true }),
        OK);
    emit_finish(&r, c, FINISH_STOP, S("stop"), S(""));
    EXPECT_TOLD("call0 call1 args1 call2 args2 /call2 call3 args0 /call0 args1 /call1 /call3 "
                "finish:tool_calls");
}

TEST(a_renamed_tool_has_the_caller_s_name_in_the_answer)
{
    struct emit_choice *c = begin();
    struct wire_drops drops = { .arena = arena };

    EXPECT(wire_rename(&drops, S("f"), S("long.name")));
    r.drops = &drops;
    call(c, 0, "a", "f", "{}");
    call(c, 1, "b", "g", "{}");
    EXPECT_TOLD("call0:long.name args0 /call0 call1 args1");
}

TEST(a_call_that_begins_after_the_finish_ends_with_the_answer)
{
    struct emit_choice *c = begin();

    emit_text(&r, c, EVENT_TEXT, S("x"));
    emit_finish(&r, c, FINISH_STOP, S("stop"), S(""));
    call(c, 0, "a", "f", "{}");
    call(emit_choice(&r, 1), 0, "b", "g", "");
    emit_finish(&r, c, FINISH_TOOLS, S("tool_calls"), S(""));
    emit_end(&r);
    EXPECT_TOLD("text finish:stop call0 args0 call0 /call0 args0 /call0 end");
}

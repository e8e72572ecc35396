/* test_serial.c - calls that come at once leave one after the other. */
#include <stdlib.h>

#include "llm/serial.c"
#include "base/buf.h"
#include "tests/test.h"

static struct arena *a;
static struct buf out;
static struct event_sink shown;
static struct serial s;

/* Shows what leaves the filter: "+0(id,name)" a call begins, "0:args", "-0" it ends, "'text". */
static void
show(struct event_sink *sink UNUSED, const struct llm_event *ev)
{
    switch (ev->kind) {
    case EVENT_TOOL_START:
        buf_printf(
            &out, "+%u(" STR_FMT "," STR_FMT ") ", ev->tool, STR_ARG(ev->id), STR_ARG(ev->name));
        break;
    case EVENT_TOOL_ARGS:
        buf_printf(&out, "%u:" STR_FMT " ", ev->tool, STR_ARG(ev->text));
        break;
    case EVENT_TOOL_END:
        buf_printf(&out, "-%u ", ev->tool);
        break;
    case EVENT_TEXT:
        buf_printf(&out, "'" STR_FMT " ", STR_ARG(ev->text));
        break;
    case EVENT_REASONING:
        buf_printf(&out, "?" STR_FMT " ", STR_ARG(ev->text));
        break;
    case EVENT_ERROR:
        buf_printf(&out, "error %s", err_row(ev->error->kind)->code);
        break;
    case EVENT_FINISH:
        buf_printf(&out, "finish ");
        break;
    default:
        buf_printf(&out, "other ");
        break;
    }
}

static void
begin(void)
{
    a = arena_create(64 * 1024 * 1024);
    buf_init(&out, 1024 * 1024);
    shown.emit = show;
    serial_init(&s, a, &shown);
}

static void
expect(const char *expected)
{
    EXPECT_STR(str_trim(buf_str(&out)), expected);
    buf_fini(&out);
    arena_destroy(a);
}

static void
feed(enum llm_event_kind kind, uint32_t tool, const char *text)
{
    s.sink.emit(&s.sink, &(struct llm_event){ .kind = kind,
                             .tool = tool,
                             .text = str_c(text),
                             .id = kind == EVENT_TOOL_START ? S("i") : S(""),
                             .name = kind == EVENT_TOOL_START ? S("n") : S("") });
}

TEST(what_comes_in_order_passes)
{
    begin();
    feed(EVENT_TEXT, 0, "a");
    feed(EVENT_TOOL_START, 0, "");
    feed(EVENT_TOOL_ARGS, 0, "{");
    feed(EVENT_USAGE, 0, "");
    feed(EVENT_TOOL_ARGS, 0, "}");
    feed(EVENT_TOOL_END, 0, "");
    feed(EVENT_TEXT, 0, "b");
    feed(EVENT_FINISH, 0, "");
    expect("'a +0(i,n) 0:{ other 0:} -0 'b finish");
}

TEST(a_call_that_begins_inside_another_follows_it)
{
    begin();
    feed(EVENT_TOOL_START, 0, "");
    feed(EVENT_TOOL_START, 1, "");
    feed(EVENT_TOOL_ARGS, 1, "x");
    feed(EVENT_TOOL_ARGS, 0, "a");
    feed(EVENT_TOOL_ARGS, 1, "y");
    feed(EVENT_TOOL_END, 0, "");
    feed(EVENT_TOOL_ARGS, 1, "z");
    feed(EVENT_TOOL_END, 1, "");
    expect("+0(i,n) 0:a -0 +1(i,n) 1:xy 1:z -1");
}

TEST(text_keeps_its_place_among_the_calls)
{
    begin();
    feed(EVENT_TOOL_START, 0, "");
    feed(EVENT_TEXT, 0, "a");
    feed(EVENT_TEXT, 0, "b");
    feed(EVENT_REASONING, 0, "r");
    feed(EVENT_TOOL_START, 1, "");
    feed(EVENT_TOOL_END, 1, "");
    feed(EVENT_TEXT, 0, "c");
    feed(EVENT_SIGNATURE, 0, "");
    feed(EVENT_TOOL_END, 0, "");
    expect("+0(i,n) -0 'ab ?r +1(i,n) -1 'c");
}

TEST(the_end_ends_every_call)
{
    begin();
    feed(EVENT_TOOL_START, 0, "");
    feed(EVENT_TOOL_START, 1, "");
    feed(EVENT_TOOL_ARGS, 1, "x");
    feed(EVENT_TOOL_START, 2, "");
    feed(EVENT_TOOL_ARGS, 9, "of a call that never began");
    feed(EVENT_TOOL_END, 9, "");
    feed(EVENT_FINISH, 0, "");
    expect("+0(i,n) -0 +1(i,n) 1:x -1 +2(i,n) -2 finish");
}

TEST(too_many_calls_at_once_are_an_error_and_nothing_follows)
{
    begin();
    for (uint32_t i = 0; i < HELD_COUNT_MAX + 2; i++)
        feed(EVENT_TOOL_START, i, "");
    feed(EVENT_TEXT, 0, "late");
    feed(EVENT_FINISH, 0, "");
    expect("+0(i,n) error upstream_too_large");
}

TEST(too_much_that_waits_is_an_error)
{
    size_t n = HELD_BYTES_MAX / 2 + 1;
    char *text = calloc(n + 1, 1);

    begin();
    memset(text, 'x', n);
    feed(EVENT_TOOL_START, 0, "");
    feed(EVENT_TOOL_START, 1, "");
    feed(EVENT_TOOL_ARGS, 1, text);
    feed(EVENT_TOOL_ARGS, 1, text);
    free(text);
    expect("+0(i,n) error upstream_too_large");
}

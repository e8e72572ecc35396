/* test_stops.c - text ends at a stop sequence, however it comes in pieces. */
#include "llm/stops.c"
#include "tests/test.h"

static struct buf text;
static struct llm_event finish;
static struct str sequence;
static unsigned calls;

static void
on_event(struct event_sink *sink UNUSED, const struct llm_event *ev)
{
    if (ev->kind == EVENT_TEXT)
        buf_add(&text, ev->text);
    calls += ev->kind == EVENT_TOOL_START;
    if (ev->kind == EVENT_FINISH) {
        finish = *ev;
        sequence = ev->stop_sequence;
    }
}

/* Feeds `said` in pieces of `piece` bytes. */
static void
run(const char *first, const char *second, const char *said, size_t piece)
{
    struct event_sink sink = { .emit = on_event };
    struct llm_word words[] = { { .text = str_c(first), .next = &words[1] },
        { .text = str_c(second) } };
    struct str rest = str_c(said);
    struct stops s;

    buf_reset(&text, SIZE_MAX);
    finish = (struct llm_event){ .kind = EVENT_NONE };
    sequence = S("");
    calls = 0;
    stops_init(&s, words, &sink);
    while (rest.n > 0) {
        struct str part = str_make(rest.p, MIN(piece, rest.n));

        stops_take(&s, &(struct llm_event){ .kind = EVENT_TEXT, .text = part });
        rest = str_skip(rest, part.n);
    }
    stops_take(&s, &(struct llm_event){ .kind = EVENT_TOOL_START });
    stops_take(&s, &(struct llm_event){ .kind = EVENT_FINISH, .finish = FINISH_LENGTH });
    stops_take(&s, &(struct llm_event){ .kind = EVENT_END });
    stops_fini(&s);
}

TEST(text_ends_at_the_first_stop_sequence_wherever_it_is_cut)
{
    static const struct {
        const char *said, *told, *sequence;
    } rows[] = {
        { "one\n\ntwo", "one", "\n\n" },
        { "one\ntwo\n", "one\ntwo\n", "" },
        { "\n\n", "", "\n\n" },
        { "a EN END b\n\n", "a EN ", "END" },
        { "EENEND", "EEN", "END" },
        { "x\n END", "x\n ", "END" },
        { "", "", "" },
        { "EN", "EN", "" },
    };

    buf_init(&text, SIZE_MAX);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t piece = 1; piece < 12; piece++) {
            bool hit = rows[i].sequence[0] != '\0';

            run("\n\n", "END", rows[i].said, piece);
            EXPECT_STR(buf_str(&text), rows[i].told);
            EXPECT_INT(finish.finish, hit ? FINISH_STOP : FINISH_LENGTH);
            EXPECT_STR(sequence, rows[i].sequence);
            EXPECT_INT(calls, hit ? 0 : 1);
        }
    }
    buf_fini(&text);
}

TEST(a_single_character_is_a_stop_sequence_too)
{
    buf_init(&text, SIZE_MAX);
    run("\n", "zz", "a b\nc", 2);
    EXPECT_STR(buf_str(&text), "a b");
    buf_fini(&text);
}

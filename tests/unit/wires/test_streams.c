/* test_streams.c - recorded streams, split and cut anywhere: what callers of each protocol get.
 *
 * However the bytes are split on their way, whatever ends the lines, and whether or not the last line end and the
 * terminator are there: the bytes for a caller are the same. And a stream that is cut between two events is never a
 * complete answer, unless all of the answer had come.
 *
 * Some places are tried ordinarily, and all of them with OPENCLAW_DEEP in the environment, as `./dev test nightly` sets it.
 */
#include "tests/test.h"
#include "tests/unit/llm/recorded.h"
#include "tests/unit/wires/callers.h"

static unsigned wrong;
static unsigned
    counts[16][4];    /* by the place in wires.def: streams, arrivals, cuts, of which complete */

enum { STREAMS, ARRIVALS, CUTS, WHOLE };

static bool
is_deep(void)
{
    return getenv("OPENCLAW_DEEP") != NULL;
}

static unsigned *
count_of(const struct wire *wire)
{
    size_t i = 0;

    while (wire_at(i) != wire)
        i++;
    CHECK(i < ARRAY_LEN(counts));
    return counts[i];
}

static void
complain(const struct recorded *c, const char *how, const struct wire *caller, const char *what)
{
    print_error(
        "%s, %s, for callers of " STR_FMT ": %s\n", c->id, how, STR_ARG(caller->name), what);
    wrong++;
}

static bool
is_stream(const struct recorded *c)
{
    return c->op == OP_CHAT && c->response.n > 0 && c->wire->provider != NULL &&
           !json_str_is(json_get(c->about, S("response_file")), S("response.json")) &&
           json_i64(json_get(c->expect, S("status")), 200) < 400;
}

/* --- split anywhere --- */

/* Its lines end with `end`. */
static struct str
with_line_ends(struct arena *a, struct str text, struct str end)
{
    char *p = arena_try(a, 2 * text.n + 1);
    size_t n = 0;

    CHECK(p != NULL);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\r' && i + 1 < text.n && text.p[i + 1] == '\n')
            continue;
        if (text.p[i] == '\n') {
            memcpy(p + n, end.p, end.n);
            n += end.n;
        } else {
            p[n++] = text.p[i];
        }
    }
    return str_make(p, n);
}

/* Without the line ends at its end, and "data: [DONE]" in front of them. */
static struct str
without_end(struct str text)
{
    static const struct str done = S_INIT("data: [DONE]");

    while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
        text.n--;
    if (str_ends(text, done))
        return without_end(str_make(text.p, text.n - done.n));
    return text;
}

static void
same_out(const struct recorded *c, const char *how, const struct caller *once, struct str got)
{
    struct str want = buf_str(&once->out);
    size_t at = 0;

    if (str_eq(want, got))
        return;
    while (at < MIN(want.n, got.n) && want.p[at] == got.p[at])
        at++;
    complain(c, how, once->writer.wire, "other bytes");
    want = str_skip(want, at - MIN(at, 40));
    got = str_skip(got, at - MIN(at, 40));
    print_error("    want %.*s\n    got  %.*s\n", (int)MIN(want.n, 160), want.p,
        (int)MIN(got.n, 160), got.p);
}

static void
same_bytes(struct recorded *c, const char *how, struct arrival arrival, const struct callers *once)
{
    struct callers again;

    callers_init(&again);
    listen_to(c->wire, again.arena, arrival, &again.sink);
    for (size_t i = 0; i < once->count; i++)
        same_out(c, how, &once->list[i], buf_str(&again.list[i].out));
    count_of(c->wire)[ARRIVALS]++;
    callers_fini(&again);
}

static void
arrive(struct recorded *c, const char *how, struct str bytes, size_t piece, uint64_t seed,
    const struct callers *once)
{
    struct arrival arrival = {
        .bytes = bytes,
        .framing = c->wire->framing,
        .piece = piece,
        .seed = seed,
        .frames = SIZE_MAX,
    };

    same_bytes(c, how, arrival, once);
}

static void
split(struct recorded *c)
{
    struct arrival whole = {
        .bytes = c->response, .framing = c->wire->framing, .piece = SIZE_MAX, .frames = SIZE_MAX
    };
    struct callers once;

    if (!is_stream(c) || (c->response.n > 200 * 1024 && !is_deep()))
        return;
    callers_init(&once);
    listen_to(c->wire, once.arena, whole, &once.sink);
    count_of(c->wire)[STREAMS]++;
    arrive(c, "byte by byte", c->response, 1, 0, &once);
    for (uint64_t seed = 1; seed <= (is_deep() ? 20 : 2); seed++)
        arrive(c, "in random pieces", c->response, 0, seed, &once);
    if (c->wire->framing != &framing_aws_events) {
        struct str lf = with_line_ends(c->arena, c->response, S("\n"));
        struct str crlf = with_line_ends(c->arena, c->response, S("\r\n"));

        arrive(c, "with LF", lf, 0, 3, &once);
        arrive(c, "with CRLF", crlf, 0, 4, &once);
        arrive(c, "with CRLF, byte by byte", crlf, 1, 0, &once);
        arrive(c, "with LF, without its end", without_end(lf), 0, 5, &once);
        arrive(c, "with CRLF, without its end", without_end(crlf), 0, 6, &once);
        if (c->wire->framing == &framing_sse)
            arrive(c, "with CR", with_line_ends(c->arena, c->response, S("\r")), 0, 7, &once);
    }
    callers_fini(&once);
}

/* --- cut anywhere --- */

static bool
same_calls(const struct llm_part *x, const struct llm_part *y)
{
    for (x = answer_call(x), y = answer_call(y); x != NULL && y != NULL;
         x = answer_call(x->next), y = answer_call(y->next))
        if (!str_eq(x->name, y->name) || !str_eq(x->args, y->args))
            return false;
    return x == NULL && y == NULL;
}

/* Does it say all that the other one says? The counts may be missing, as they come last. */
static bool
says_all(struct arena *a, const struct llm_answer *x, const struct llm_answer *y)
{
    const struct llm_answer_choice *cx = x->choices;
    const struct llm_answer_choice *cy = y->choices;

    for (; cx != NULL && cy != NULL; cx = cx->next, cy = cy->next) {
        for (enum llm_part_kind k = PART_TEXT; k <= PART_REFUSAL; k++)
            if ((k == PART_TEXT || k == PART_REASONING || k == PART_REFUSAL) &&
                !str_eq(answer_text(a, cx, k), answer_text(a, cy, k)))
                return false;
        if (cx->finish != cy->finish || !same_calls(cx->parts, cy->parts))
            return false;
    }
    return cx == NULL && cy == NULL;
}

/* What a caller reads of it: an error, and no end. */
static void
reads_an_error(struct recorded *c, const char *how, struct caller *caller)
{
    const struct wire *wire = caller->writer.wire;
    struct arrival arrival = { .bytes = buf_str(&caller->out),
        .framing = caller->framing,
        .piece = SIZE_MAX,
        .frames = SIZE_MAX };
    struct callers read = { .sink = { .emit = callers_emit },
        .arena = arena_create(CALLERS_BYTES) };

    answer_init(&read.answer, read.arena);
    listen_to(wire, read.arena, arrival, &read.sink);
    if (read.answer.complete)
        complain(c, how, wire, "complete");
    if (read.answer.error == NULL || read.answer.error->kind == ERR_UPSTREAM_TRUNCATED)
        complain(c, how, wire, "no error");
    callers_fini(&read);
}

static void
cut_after(struct recorded *c, size_t frames, const struct llm_answer *all)
{
    struct arrival arrival = {
        .bytes = c->response, .framing = c->wire->framing, .piece = SIZE_MAX, .frames = frames
    };
    struct callers to;
    char how[40];

    snprintf(how, sizeof(how), "cut after %zu", frames);
    callers_init(&to);
    listen_to(c->wire, to.arena, arrival, &to.sink);
    count_of(c->wire)[CUTS]++;
    count_of(c->wire)[WHOLE] += to.answer.complete;
    if (to.answer.complete && !says_all(to.arena, &to.answer, all))
        complain(c, how, c->wire, "complete, but some of it is missing");
    for (size_t i = 0; i < to.count && !to.answer.complete; i++)
        reads_an_error(c, how, &to.list[i]);
    callers_fini(&to);
}

static void
cut(struct recorded *c)
{
    struct arrival whole = {
        .bytes = c->response, .framing = c->wire->framing, .piece = SIZE_MAX, .frames = SIZE_MAX
    };
    struct callers all;

    if (!is_stream(c) || json_present(json_get(c->expect, S("error"))))
        return;
    callers_init(&all);

    size_t frames = listen_to(c->wire, all.arena, whole, &all.sink);
    size_t step = is_deep() ? 1 + frames / 400 : 1 + frames / 8;

    for (size_t i = 0; i < frames; i += i + 4 >= frames ? 1 : step)
        cut_after(c, i, &all.answer);
    callers_fini(&all);
}

/* --- the tests --- */

static void
print_counts(void)
{
    print_message("%-20s %8s %9s %6s %9s\n", "from", "streams", "arrivals", "cuts", "complete");
    for (size_t i = 0; wire_at(i) != NULL; i++)
        print_message("%-20.*s %8u %9u %6u %9u\n", (int)wire_at(i)->name.n, wire_at(i)->name.p,
            counts[i][STREAMS], counts[i][ARRIVALS], counts[i][CUTS], counts[i][WHOLE]);
}

static void
walk(void (*run)(struct recorded *c))
{
    memset(counts, 0, sizeof(counts));
    wrong = 0;
    if (recorded_walk(run) < 0)
        SKIP("no recorded traffic beside the project");
    print_counts();
    for (size_t i = 0; wire_at(i) != NULL; i++)
        EXPECT(counts[i][ARRIVALS] + counts[i][CUTS] > 0);
    EXPECT_INT(wrong, 0);
}

TEST(a_stream_says_the_same_to_every_caller_however_it_is_split)
{
    walk(split);
}

TEST(a_stream_cut_between_events_is_an_error_to_every_caller)
{
    walk(cut);
}

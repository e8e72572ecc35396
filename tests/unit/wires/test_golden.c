/* Golden conversations, which we wrote ourselves: tests/wire/<wire>/<what it shows>.golden
 *
 * The first paragraph says what is shown. Then come sections:
 *
 *     === stream              what a provider of this wire streams (server-sent events, lines; messages
 *                             of AWS are written as a line each: event or exception, its name, its payload)
 *     === answer              what it answers when it does not stream
 *     === error 429           what it answers with that status
 *     === request NAME        what a caller of the wire NAME sends
 *     === events              the events that the provider's words become, a line each
 *     === caller NAME         those events, written for a caller of the wire NAME
 *     === for NAME WORDS      the request, written for a provider of the wire NAME that has the
 *                             traits of target_of(); behind it what was "dropped", and stop
 *                             sequences at which the answer "ends" without the provider's help
 *
 * The first four begin a round; the rest is compared with the round that they stand in.
 */
#include <unistd.h>

#include "llm/write.h"
#include "tests/test.h"
#include "tests/unit/llm/recorded.h"

struct golden {
    struct arena *arena;
    const char *name;
    const struct wire *wire;
    const struct wire *caller;    /* of a request */
    struct str input;             /* of the round */
    struct str kind;              /* "stream", "answer", "error", "request" */
    int status;
};

static unsigned wrong;
static unsigned compared;

static void
complain(const struct golden *g, struct str section, struct str want, struct str got)
{
    fprintf(stderr, "%s: " STR_FMT "\n--- want\n" STR_FMT "\n--- got\n" STR_FMT "\n", g->name,
        STR_ARG(section), STR_ARG(want), STR_ARG(got));
    wrong++;
}

/* --- events as lines --- */

struct lines {
    struct event_sink sink;
    struct event_sink *next;    /* may be NULL */
    struct buf out;
};

static const char *
kind_word(enum llm_event_kind kind)
{
    static const char *const words[] = { "none", "start", "text", "reasoning", "signature",
        "redacted", "refusal", "tool_start", "tool_args", "tool_end", "media", "citation",
        "logprobs", "opaque", "vector", "rank", "usage", "finish", "error", "end" };

    return words[kind];
}

static void
add_quoted(struct buf *b, const char *key, struct str s)
{
    if (s.n == 0)
        return;
    buf_printf(b, " %s", key);
    json_add_str(b, s);
}

static void
add_counts(struct buf *b, const struct llm_usage *u)
{
    static const char *const names[] = { "input", "cached", "cache_write", "output", "reasoning" };

    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (usage_has(u, i))
            buf_printf(b, " %s=%lld", names[i], (long long)u->counts[i]);
}

static void
emit_line(struct event_sink *sink, const struct llm_event *ev)
{
    struct lines *l = CONTAINER_OF(sink, struct lines, sink);
    bool tool = ev->kind >= EVENT_TOOL_START && ev->kind <= EVENT_TOOL_END;

    buf_printf(&l->out, "%s", kind_word(ev->kind));
    if (ev->choice != 0)
        buf_printf(&l->out, " choice=%u", (unsigned)ev->choice);
    if (tool)
        buf_printf(&l->out, " #%u", (unsigned)ev->tool);
    if (ev->kind == EVENT_TOOL_START && ev->custom)
        buf_printf(&l->out, " custom");
    add_quoted(&l->out, "id=", ev->id);
    add_quoted(&l->out, "name=", ev->name);
    add_quoted(&l->out, "model=", ev->model);
    add_quoted(&l->out, "", ev->text);
    add_quoted(&l->out, "signature=", ev->signature);
    if (ev->kind == EVENT_CITATION) {
        add_quoted(&l->out, "url=", ev->citation->url);
        add_quoted(&l->out, "title=", ev->citation->title);
        add_quoted(&l->out, "quote=", ev->citation->quote);
        buf_printf(&l->out, " %d-%d", (int)ev->citation->from, (int)ev->citation->to);
    }
    if (ev->raw.n > 0)
        buf_printf(&l->out, " " STR_FMT, STR_ARG(ev->raw));
    if (ev->media != NULL)
        buf_printf(&l->out, " " STR_FMT " " STR_FMT, STR_ARG(ev->media->mime),
            STR_ARG(ev->media->data.n > 0 ? ev->media->data : ev->media->url));
    if (ev->kind == EVENT_FINISH) {
        buf_printf(
            &l->out, " %s", ev->finish == FINISH_UNKNOWN ? "?" : llm_finish_name(ev->finish));
        add_quoted(&l->out, "native=", ev->native);
    }
    if (ev->kind == EVENT_USAGE)
        add_counts(&l->out, &ev->usage);
    if (ev->kind == EVENT_ERROR) {
        buf_printf(&l->out, " %s", err_row(ev->error->kind)->code);
        add_quoted(&l->out, "", ev->error->message);
        add_quoted(&l->out, "type=", ev->error->type);
        add_quoted(&l->out, "code=", ev->error->code);
        add_quoted(&l->out, "param=", ev->error->param);
    }
    buf_add_c(&l->out, '\n');
    if (l->next != NULL)
        l->next->emit(l->next, ev);
}

/* --- running a provider's words --- */

struct replay {
    struct wire_reader reader;
    struct arena *scratch;
};

static bool
take_frame(void *arg, const struct frame *frame)
{
    struct replay *p = arg;
    struct arena_mark mark = arena_mark(p->scratch);

    if (!frame->has_data)
        return true;
    EXPECT(p->reader.wire->provider->read_event(&p->reader, frame->event, frame->data) == OK);
    arena_rewind(p->scratch, mark);
    return true;
}

/* Messages of an AWS event stream as lines, and back. */
static struct str
messages_of(struct arena *a, struct str lines)
{
    struct buf out;
    struct str all;

    buf_init(&out, 1024 * 1024);
    while (lines.n > 0) {
        struct str line, type, name, payload;
        size_t begun;

        (void)str_cut(lines, '\n', &line, &lines);
        if (line.n == 0)
            continue;
        (void)str_cut(line, ' ', &type, &line);
        (void)str_cut(line, ' ', &name, &payload);
        begun = framing_aws_begin(&out, type, name);
        buf_add(&out, payload);
        framing_aws_end(&out, begun);
    }
    all = arena_str(a, buf_str(&out));
    buf_fini(&out);
    return all;
}

static bool
add_line(void *arg, const struct frame *frame)
{
    buf_printf(arg, "%s " STR_FMT " " STR_FMT "\n",
        str_ends(frame->event, S("Exception")) ? "exception" : "event", STR_ARG(frame->event),
        STR_ARG(frame->data));
    return true;
}

static struct str
lines_of(struct arena *a, struct str messages)
{
    struct framing_reader framing;
    struct buf out;
    struct str all;

    buf_init(&out, 1024 * 1024);
    framing_init(&framing, &framing_aws_events, 1024 * 1024);
    EXPECT(framing_feed(&framing, messages, add_line, &out) == OK);
    EXPECT(framing_end(&framing, add_line, &out) == OK);
    framing_fini(&framing);
    all = arena_str(a, buf_str(&out));
    buf_fini(&out);
    return all;
}

static void
replay_stream(struct replay *p, struct str text)
{
    struct framing_reader framing;

    if (p->reader.wire->framing == &framing_aws_events)
        text = messages_of(p->reader.keep, text);
    framing_init(&framing, p->reader.wire->framing, 1024 * 1024);
    EXPECT(framing_feed(&framing, text, take_frame, p) == OK);
    EXPECT(framing_end(&framing, take_frame, p) == OK);
    p->reader.wire->provider->read_end(&p->reader);
    framing_fini(&framing);
}

static void
replay_error(const struct golden *g, struct event_sink *sink)
{
    struct llm_error e;
    struct llm_event ev = { .kind = EVENT_ERROR, .error = &e };

    g->wire->provider->read_error(g->arena, g->status, g->input, &e);
    sink->emit(sink, &ev);
}

static void
replay(const struct golden *g, struct event_sink *sink)
{
    struct replay p = { .scratch = arena_create(1024 * 1024) };

    p.reader = (struct wire_reader){
        .wire = g->wire,
        .op = OP_CHAT,
        .stream = str_eq(g->kind, S("stream")),
        .keep = g->arena,
        .scratch = p.scratch,
        .sink = sink,
    };
    if (str_eq(g->kind, S("stream")))
        replay_stream(&p, g->input);
    else if (str_eq(g->kind, S("answer")))
        EXPECT(g->wire->provider->read_answer(&p.reader, g->input) == OK);
    else
        replay_error(g, sink);
    /* the counts of an answer that is complete are its own, not estimates */
    EXPECT(!p.reader.complete || p.reader.finished);
    arena_destroy(p.scratch);
}

/* --- comparing --- */

static void
same_text(const struct golden *g, struct str section, struct str want, struct str got)
{
    struct str line;
    struct buf lines;

    buf_init(&lines, 1024 * 1024);
    while (got.n > 0) {    /* the files have LF */
        bool more = str_cut(got, '\n', &line, &got);

        buf_add(&lines, str_ends(line, S("\r")) ? str_make(line.p, line.n - 1) : line);
        buf_add(&lines, more ? S("\n") : S(""));
    }
    compared++;
    if (!str_eq(str_trim(want), str_trim(buf_str(&lines))))
        complain(g, section, want, str_trim(buf_str(&lines)));
    buf_fini(&lines);
}

static void
check_events(const struct golden *g, struct str section, struct str want)
{
    struct lines l = { .sink = { .emit = emit_line } };

    buf_init(&l.out, 1024 * 1024);
    replay(g, &l.sink);
    same_text(g, section, want, buf_str(&l.out));
    buf_fini(&l.out);
}

struct to_caller {
    struct event_sink sink;
    struct wire_writer writer;
};

static void
emit_to_caller(struct event_sink *sink, const struct llm_event *ev)
{
    struct to_caller *c = CONTAINER_OF(sink, struct to_caller, sink);

    c->writer.wire->caller->write_event(&c->writer, ev);
}

static void
write_whole(const struct golden *g, struct wire_writer *w)
{
    struct llm_answer ans;

    answer_init(&ans, g->arena);
    replay(g, &ans.sink);
    if (ans.error != NULL)
        w->wire->caller->write_error(w->out, ans.error, S("req-1"));
    else
        w->wire->caller->write_answer(w, &ans);
}

static void
check_caller(const struct golden *g, struct str section, struct str name, struct str want)
{
    const struct wire *wire = wire_named(name);
    struct llm_request request = {
        .op = OP_CHAT, .wire = wire, .stream = true, .want_usage = true
    };
    struct to_caller c = { .sink = { .emit = emit_to_caller } };
    struct buf out;

    EXPECT(wire != NULL);
    buf_init(&out, 1024 * 1024);
    c.writer = (struct wire_writer){
        .wire = wire,
        .op = request.op,
        .want_usage = request.want_usage,
        .keep = g->arena,
        .out = &out,
        .id = S("1"),
        .model = S("asked"),
        .created_s = 1700000000,
    };
    if (str_eq(g->kind, S("stream")))
        replay(g, &c.sink);
    else
        write_whole(g, &c.writer);
    same_text(g, section, want,
        wire->framing == &framing_aws_events && str_eq(g->kind, S("stream"))
            ? lines_of(g->arena, buf_str(&out))
            : buf_str(&out));
    buf_fini(&out);
}

/* "no_developer max_output=100 model=gpt-oss" */
static struct wire_target
target_of(struct arena *a, struct str words)
{
    struct wire_target t = { .model = S("target"), .traits = { .max_output = 1000 } };

    while (words.n > 0) {
        struct str word;
        struct str value;

        str_cut(words, ' ', &word, &words);
        if (!str_cut(word, '=', &word, &value))
            value = S("true");
        if (str_eq(word, S("model")))
            t.model = value;
        else
            EXPECT(traits_set(&t.traits, word, value, a) == NULL);
    }
    return t;
}

static void
check_for(const struct golden *g, struct str section, struct str title, struct str want)
{
    struct str name;
    struct str words;

    str_cut(title, ' ', &name, &words);

    const struct wire *wire = wire_named(name);
    struct wire_target target = target_of(g->arena, words);
    struct wire_drops drops = { .arena = g->arena };
    struct wire_fault fault = { 0 };
    struct llm_request r = {
        .arena = g->arena, .op = OP_CHAT, .wire = g->caller, .body = g->input
    };
    struct buf out;

    EXPECT(wire != NULL && g->caller != NULL);
    r.doc = json_parse(g->arena, g->input, NULL, NULL);
    EXPECT(r.doc != NULL);
    if (g->caller->caller->in_path)
        r.model = S("asked");
    EXPECT(llm_request_read(&r, &fault) == OK);
    buf_init(&out, 1024 * 1024);

    enum err e = llm_request_expand(&r, &fault);

    if (e == OK)
        e = write_request(wire, &out, &r, &target, &drops, &fault);
    if (e != OK)
        buf_printf(&out, "%s " STR_FMT, err_row(e)->code, STR_ARG(fault.message));
    for (const struct llm_word *w = drops.names; w != NULL && e == OK; w = w->next)
        buf_printf(&out, "%s" STR_FMT, w == drops.names ? "\ndropped: " : ", ", STR_ARG(w->text));
    for (const struct llm_word *w = drops.stops; w != NULL && e == OK; w = w->next) {
        buf_add(&out, w == drops.stops ? S("\nends at: ") : S(", "));
        json_add_str(&out, w->text);
    }
    same_text(g, section, want, buf_str(&out));
    buf_fini(&out);
}

/* --- a file --- */

static void
run_section(struct golden *g, struct str title, struct str body)
{
    struct str word;
    struct str rest;

    str_cut(title, ' ', &word, &rest);
    if (str_eq(word, S("stream")) || str_eq(word, S("answer")) || str_eq(word, S("request")) ||
        str_eq(word, S("error"))) {
        uint64_t status = 200;

        g->caller = wire_named(rest);
        EXPECT(rest.n == 0 || g->caller != NULL || str_u64(rest, &status));
        g->kind = word;
        g->input = body;
        g->status = (int)status;
    } else if (str_eq(word, S("events"))) {
        check_events(g, title, body);
    } else if (str_eq(word, S("caller"))) {
        check_caller(g, title, rest, body);
    } else {
        EXPECT_STR(word, "for");
        check_for(g, title, rest, body);
    }
}

static void
run_file(struct golden *g, struct str text)
{
    size_t at = str_find(text, S("\n=== "));

    while (at < text.n) {
        struct str section = str_skip(text, at + 5);
        struct str title;
        struct str body;

        str_cut(section, '\n', &title, &body);

        size_t end = str_find(section, S("\n=== "));

        body.n = end < section.n ? end - title.n - 1 : body.n;
        run_section(g, title, body);
        text = section;
        at = end;
    }
}

static const char *
golden_root(void)
{
    static char root[512];

    snprintf(root, sizeof(root), "%s", __FILE__);
    for (int i = 0; i < 3; i++) {    /* tests/unit/wires/test_golden.c */
        char *slash = strrchr(root, '/');

        *(slash != NULL ? slash : root) = '\0';
    }
    strncat(root, "/wire", sizeof(root) - strlen(root) - 1);
    /* as the compiler saw it from the build's folder; or from the one above */
    return strncmp(root, "../", 3) == 0 && access(root, R_OK) != 0 ? root + 3 : root;
}

static void
run_folder(const struct wire *wire)
{
    char folder[800];

    snprintf(folder, sizeof(folder), "%s/" STR_FMT, golden_root(), STR_ARG(wire->name));

    DIR *dir = opendir(folder);
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        struct golden g = { .name = entry->d_name, .wire = wire };

        if (!str_ends(str_c(entry->d_name), S(".golden")))
            continue;
        g.arena = arena_create(16 * 1024 * 1024);
        run_file(&g, recorded_file(g.arena, folder, str_c(entry->d_name)));
        arena_destroy(g.arena);
    }
    if (dir != NULL)
        closedir(dir);
}

/* A wire without goldens would pass by having nothing to compare. */
TEST(golden_conversations_come_out_as_written)
{
    wrong = 0;
    for (size_t i = 0; wire_at(i) != NULL; i++) {
        compared = 0;
        run_folder(wire_at(i));
        if (compared == 0)
            print_error("there are no goldens for " STR_FMT "\n", STR_ARG(wire_at(i)->name));
        EXPECT(compared > 0);
    }
    EXPECT_INT(wrong, 0);
}

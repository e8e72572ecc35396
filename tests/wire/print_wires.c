/* print_wires.c - what the wires write, for readers that are independent of them.
 *
 *     print_wires wires        the name of each protocol, and which sides it has
 *     print_wires requests     each recorded request, written for a provider of each protocol
 *     print_wires answers      each recorded answer, written for callers of each protocol, streamed and
 *                              whole
 *
 * A line of JSON for each. tests/scenario/test_wires.py reads them: the facts must be those of the
 * recordings, and requests must be valid by the providers' own schemas.
 */
#include <stdio.h>

#include "base/digest.h"
#include "base/json_out.h"
#include "catalog/provider.h"
#include "llm/write.h"
#include "tests/unit/llm/recorded.h"

static struct buf line;

static struct json_out
begin_line(void)
{
    struct json_out o;

    buf_reset(&line, 0);
    o = json_out(&line);
    out_object(&o);
    return o;
}

static void
end_line(struct json_out *o)
{
    out_end(o);
    fwrite(buf_str(&line).p, 1, buf_len(&line), stdout);
    putchar('\n');
}

static void
add_case(struct json_out *o, const struct recorded *c, struct str to)
{
    out_text(o, "case", str_c(c->id));
    out_text(o, "folder", json_str(c->arena, json_get(c->about, S("wire"))));
    out_text(o, "from", c->wire->name);
    out_text(o, "to", to);
}

static void
print_wire(const struct wire *wire)
{
    struct json_out o = begin_line();

    out_text(&o, "name", wire->name);
    out_bool(&o, "caller", wire->caller != NULL);
    out_bool(&o, "provider", wire->provider != NULL);
    end_line(&o);
}

/* --- requests --- */

static enum err
read_request(struct recorded *c, struct llm_request *r, struct wire_fault *fault)
{
    *r = (struct llm_request){
        .arena = c->arena, .op = OP_CHAT, .wire = c->wire, .body = c->request
    };
    r->doc = json_parse(c->arena, c->request, NULL, NULL);
    if (c->wire->caller->in_path) {
        r->model = S("asked");
        r->stream = json_bool(json_get(c->about, S("stream")), false);
    }

    enum err e = llm_request_read(r, fault);

    return e == OK ? llm_request_expand(r, fault) : e;
}

/* `name`: the protocol's, or that of a provider with a description of its own. */
static void
print_request(struct recorded *c, const struct wire *to, struct str name, const struct traits *of)
{
    struct wire_target target = {
        .model = S("some-model"),
        .traits = TRAITS(.reasoning = YES, .sampling_fixed = NO, .max_output = 100000),
    };
    struct wire_drops drops = { .arena = c->arena };
    struct wire_fault fault = { S(""), S("") };
    struct json_out o = begin_line();
    struct llm_request r;
    struct buf body;
    struct buf path;

    buf_init(&body, 64 * 1024 * 1024);
    buf_init(&path, 4096);

    enum err e = read_request(c, &r, &fault);

    if (of != NULL)
        traits_override(&target.traits, of);
    if (e == OK)
        e = write_request(to, &body, &r, &target, &drops, &fault);
    if (e == OK)
        to->provider->write_path(&path, &r, &target);
    add_case(&o, c, name);
    out_bool(&o, "stream", r.stream);
    out_text(&o, "error", e == OK ? S("") : str_c(err_row(e)->code));
    out_text(&o, "fault", fault.message);
    out_text(&o, "path", buf_str(&path));
    out_key_array(&o, "dropped");
    for (const struct llm_word *w = drops.names; w != NULL; w = w->next)
        out_text_value(&o, w->text);
    out_end_array(&o);
    out_key_array(&o, "stops");
    for (const struct llm_word *w = drops.stops; w != NULL; w = w->next)
        out_text_value(&o, w->text);
    out_end_array(&o);
    if (e == OK) {
        out_key(&o, "body");
        json_add_line(o.b, buf_str(&body));
        o.comma = true;
    }
    end_line(&o);
    buf_fini(&path);
    buf_fini(&body);
}

static void
print_requests(struct recorded *c)
{
    if (c->request.n == 0 || c->op != OP_CHAT || c->wire->caller == NULL)
        return;
    for (size_t i = 0; wire_at(i) != NULL; i++)
        if (wire_at(i)->provider != NULL &&
            (wire_at(i)->provider->translates & OP_BIT(OP_CHAT)) != 0)
            print_request(c, wire_at(i), wire_at(i)->name, NULL);
    print_request(
        c, provider_row(S("mistral"))->wire, S("mistral"), &provider_row(S("mistral"))->traits);
}

/* --- answers --- */

struct reading_answer {
    struct wire_reader reader;
    struct arena *scratch;
    enum err e;
};

static bool
take_frame(void *arg, const struct frame *frame)
{
    struct reading_answer *l = arg;
    struct arena_mark mark = arena_mark(l->scratch);

    if (frame->has_data)
        l->e = l->reader.wire->provider->read_event(&l->reader, frame->event, frame->data);
    arena_rewind(l->scratch, mark);
    return l->e == OK;
}

static enum err
read_answer(const struct recorded *c, struct event_sink *sink)
{
    bool stream = !json_str_is(json_get(c->about, S("response_file")), S("response.json"));
    struct reading_answer l = { .scratch = arena_create(64 * 1024 * 1024) };
    struct framing_reader framing;
    enum err e = OK;

    l.reader = (struct wire_reader){
        .wire = c->wire,
        .op = OP_CHAT,
        .stream = stream,
        .keep = c->arena,
        .scratch = l.scratch,
        .sink = sink,
    };
    if (stream) {
        framing_init(&framing, c->wire->framing, 16 * 1024 * 1024);
        e = framing_feed(&framing, c->response, take_frame, &l);
        if (e == OK)
            e = framing_end(&framing, take_frame, &l);
        if (e == OK && l.e == OK)
            c->wire->provider->read_end(&l.reader);
        framing_fini(&framing);
    } else {
        l.e = wire_read_answer(&l.reader, c->response);
    }
    arena_destroy(l.scratch);
    return e != OK ? e : l.e;
}

struct speaker {
    struct event_sink sink;
    struct wire_writer writer;
};

static void
speak(struct event_sink *sink, const struct llm_event *ev)
{
    struct speaker *s = CONTAINER_OF(sink, struct speaker, sink);

    s->writer.wire->caller->write_event(&s->writer, ev);
}

static void
add_base64(struct json_out *o, struct arena *a, struct str bytes)
{
    char *text = arena_try(a, 4 * ((bytes.n + 2) / 3) + 1);

    CHECK(text != NULL);
    out_text(o, "body", str_make(text, digest_base64(bytes, text)));
}

static void
print_answer(struct recorded *c, const struct wire *to, bool stream)
{
    struct json_out o = begin_line();
    struct speaker speaker = { .sink = { .emit = speak } };
    struct llm_answer ans;
    struct buf out;
    enum err e;

    buf_init(&out, 64 * 1024 * 1024);
    speaker.writer = (struct wire_writer){
        .wire = to,
        .op = OP_CHAT,
        .want_usage = true,
        .keep = c->arena,
        .out = &out,
        .id = S("0123456789abcdef"),
        .model = S("asked"),
        .created_s = 1700000000,
    };
    answer_init(&ans, c->arena);
    e = read_answer(c, stream ? &speaker.sink : &ans.sink);
    if (!stream && ans.error != NULL)
        to->caller->write_error(&out, ans.error, S("req_1"));
    else if (!stream)
        to->caller->write_answer(&speaker.writer, &ans);
    add_case(&o, c, to->name);
    out_bool(&o, "stream", stream);
    out_text(&o, "error", e == OK ? S("") : str_c(err_row(e)->code));
    out_bool(&o, "failed", !stream && ans.error != NULL);
    add_base64(&o, c->arena, buf_str(&out));
    end_line(&o);
    buf_fini(&out);
}

static void
print_answers(struct recorded *c)
{
    if (c->op != OP_CHAT || json_i64(json_get(c->expect, S("status")), 200) >= 400 ||
        c->wire->provider == NULL)
        return;
    for (size_t i = 0; wire_at(i) != NULL; i++) {
        if (wire_at(i)->caller == NULL)
            continue;
        print_answer(c, wire_at(i), true);
        print_answer(c, wire_at(i), false);
    }
}

int
main(int argc, char **argv)
{
    int n = 0;

    buf_init(&line, SIZE_MAX);
    if (argc == 2 && strcmp(argv[1], "wires") == 0)
        for (size_t i = 0; wire_at(i) != NULL; i++)
            print_wire(wire_at(i));
    else if (argc == 2 && strcmp(argv[1], "requests") == 0)
        n = recorded_walk(print_requests);
    else if (argc == 2 && strcmp(argv[1], "answers") == 0)
        n = recorded_walk(print_answers);
    else
        fputs("print_wires wires|requests|answers\n", stderr);
    buf_fini(&line);
    return n < 0 || argc != 2;
}

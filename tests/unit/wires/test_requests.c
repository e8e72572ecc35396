/* Recorded requests of real applications, read and compared with what is known about them; then
 * written for a provider of every other wire and read back: the conversation must still be the
 * same.
 */
#include "llm/media.h"
#include "llm/write.h"
#include "tests/test.h"
#include "tests/unit/llm/recorded.h"

static unsigned wrong;

static void
complain(struct recorded *c, const char *what, struct str want, struct str got)
{
    print_error("%s: %s\n    want \"%.*s\"\n    got  \"%.*s\"\n", c->id, what,
        (int)MIN(want.n, 300), want.n > 0 ? want.p : "", (int)MIN(got.n, 300),
        got.n > 0 ? got.p : "");
    wrong++;
}

static void
same(struct recorded *c, const char *what, struct str want, struct str got)
{
    if (!str_eq(want, got))
        complain(c, what, want, got);
}

/* --- a conversation as a flat list --- */

struct item {
    const char *role;
    const char *kind;
    struct str text;
    struct str name;
    struct str args;
    struct str id;
    struct item *next;
};

struct flat {
    struct arena *arena;
    struct item *items;
    struct item **tail;
    struct item *last;
};

static struct str
join(struct arena *a, struct str x, struct str between, struct str y)
{
    char *p = arena_try(a, x.n + between.n + y.n + 1);

    CHECK(p != NULL);
    memcpy(p, x.n > 0 ? x.p : "", x.n);
    memcpy(p + x.n, between.n > 0 ? between.p : "", between.n);
    memcpy(p + x.n + between.n, y.n > 0 ? y.p : "", y.n);
    return str_make(p, x.n + between.n + y.n);
}

static struct item *
add_item(struct flat *f, const char *role, const char *kind)
{
    struct item *item = arena_new(f->arena, struct item);

    item->role = role;
    item->kind = kind;
    *f->tail = item;
    f->tail = &item->next;
    f->last = item;
    return item;
}

/* Neighbouring texts of one role are one: wires differ in how they cut them. */
static void
add_text(struct flat *f, const char *role, struct str text)
{
    if (f->last != NULL && strcmp(f->last->role, role) == 0 && strcmp(f->last->kind, "text") == 0)
        f->last->text = join(f->arena, f->last->text, S(""), text);
    else if (text.n > 0)
        add_item(f, role, "text")->text = text;
}

static const char *
media_kind(const struct llm_part *part)
{
    switch (part->kind) {
    case PART_IMAGE:
        return "image";
    case PART_AUDIO:
        return "audio";
    case PART_VIDEO:
        return "video";
    case PART_FILE:
        return "file";
    default:
        return NULL;
    }
}

static void add_parts(struct flat *f, const char *role, const struct llm_part *part);

static void
add_result(struct flat *f, const struct llm_part *part)
{
    struct item *item = add_item(f, "tool", "tool_result");

    item->id = part->id;
    for (const struct llm_part *p = part->result; p != NULL; p = p->next) {
        if (p->kind == PART_TEXT)
            item->text = join(f->arena, item->text, item->text.n > 0 ? S("\n") : S(""), p->text);
        else if (media_kind(p) != NULL)
            add_item(f, "tool", media_kind(p));
    }
}

static void
add_parts(struct flat *f, const char *role, const struct llm_part *part)
{
    for (; part != NULL; part = part->next) {
        if (part->kind == PART_TEXT || part->kind == PART_REFUSAL) {
            add_text(f, role, part->text);
        } else if (part->kind == PART_TOOL_RESULT) {
            add_result(f, part);
        } else if (part->kind == PART_TOOL_CALL) {
            struct item *item = add_item(f, role, "tool_call");

            item->id = part->id;
            item->name = part->name;
            item->args = part->args;
        } else if (part->kind == PART_REASONING) {
            add_item(f, role, "reasoning");
        } else if (media_kind(part) != NULL) {
            add_item(f, role, media_kind(part));
        }
    }
}

/* `lift`: system text counts as standing first, as it is told of Cohere's requests. */
static struct flat
flatten(struct arena *a, const struct llm_request *r, bool lift)
{
    static const char *const roles[] = { "system", "system", "user", "assistant", "tool" };
    struct flat f = { .arena = a };

    f.tail = &f.items;
    for (const struct llm_message *m = r->messages; m != NULL; m = m->next)
        if (!lift || m->role > ROLE_DEVELOPER)
            add_parts(&f, roles[m->role], m->parts);
    return f;
}

static struct str
system_text(struct arena *a, const struct llm_request *r, bool lift)
{
    struct str text = S("");

    for (const struct llm_part *p = r->system; p != NULL; p = p->next)
        text = join(a, text, text.n > 0 ? S("\n") : S(""), p->text);
    for (const struct llm_message *m = lift ? r->messages : NULL; m != NULL; m = m->next)
        for (const struct llm_part *p = m->role <= ROLE_DEVELOPER ? m->parts : NULL; p != NULL;
             p = p->next)
            text = join(a, text, text.n > 0 ? S("\n") : S(""), p->text);
    return text;
}

/* --- what is known --- */

/* The expected list in the same form, blocks that only their own wire knows left out. */
static struct flat
expected_items(struct arena *a, const struct json *items)
{
    static const char *const kinds[] = { "text", "image", "audio", "file", "tool_call",
        "tool_result", "reasoning" };
    struct flat f = { .arena = a };
    struct json_iter it = json_iter(items);

    f.tail = &f.items;
    while (json_next(&it)) {
        const char *role = arena_str(a, json_str(a, json_get(it.value, S("role")))).p;
        struct str text = json_str(a, json_get(it.value, S("text")));

        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
            if (!json_str_is(json_get(it.value, S("kind")), str_c(kinds[i])))
                continue;
            if (i == 0) {
                add_text(&f, role, text);
                continue;
            }
            struct item *item = add_item(&f, role, kinds[i]);

            const struct json *response = json_get(it.value, S("response"));

            item->text = response != NULL ? json_raw(response) : text;    /* Gemini's */
            if (response == NULL)
                item->name = json_str(a, json_get(it.value, S("name")));
            item->id = json_str(a, json_get(it.value, S("id")));
            item->args = json_raw(json_get(it.value, S("arguments")));
        }
    }
    return f;
}

static bool
same_args(struct arena *a, struct str x, struct str y)
{
    return json_same(a, json_parse(a, x.n > 0 ? x : S("{}"), NULL, NULL),
        json_parse(a, y.n > 0 ? y : S("{}"), NULL, NULL));
}

/* A result, which is an object in Gemini's protocol: of one text under a name, or as it is. */
static void
same_text_of(struct recorded *c, const struct item *want, const struct item *got)
{
    const struct json *object = strcmp(want->kind, "tool_result") == 0 && c->wire == &wire_gemini
                                    ? json_parse(c->arena, want->text, NULL, NULL)
                                    : NULL;
    struct json_iter it = json_iter(object);

    if (json_is(object, JSON_OBJECT) && json_next(&it) && it.next == it.end &&
        it.value->type == JSON_STRING)
        same(c, "text", json_str(c->arena, it.value), got->text);
    else if (!json_is(object, JSON_OBJECT) ||
             !json_same(c->arena, object, json_parse(c->arena, got->text, NULL, NULL)))
        same(c, "text", want->text, got->text);
}

static void
same_items(struct recorded *c, const struct flat *want, const struct flat *got)
{
    const struct item *w = want->items;
    const struct item *g = got->items;

    for (; w != NULL && g != NULL; w = w->next, g = g->next) {
        same(c, "role", str_c(w->role), str_c(g->role));
        same(c, "kind", str_c(w->kind), str_c(g->kind));
        same_text_of(c, w, g);
        same(c, "name", w->name, g->name);
        if (w->id.n != 0)    /* else the reader makes one */
            same(c, "id", w->id, g->id);
        if (!same_args(c->arena, w->args, g->args))
            complain(c, "arguments", w->args, g->args);
    }
    if (w != NULL)
        complain(c, "an item is missing", str_c(w->kind), w->text);
    if (g != NULL)
        complain(c, "an item too many", str_c(g->kind), g->text);
}

/* Its types are upper-case in the older form of Gemini's schemas. */
static bool
same_schema(struct recorded *c, const struct json *want, struct str got)
{
    const struct json *doc = json_parse(c->arena, got, NULL, NULL);

    if (!json_str_is(json_get(want, S("type")), S("OBJECT")))
        return json_same(c->arena, want, doc);
    return json_str_is(json_get(doc, S("type")), S("object")) &&
           json_count(json_get(want, S("properties"))) ==
               json_count(json_get(doc, S("properties"))) &&
           json_same(c->arena, json_get(want, S("required")), json_get(doc, S("required")));
}

static void
same_tools(struct recorded *c, const struct llm_request *r, const struct json *expected)
{
    struct json_iter it = json_iter(expected);
    const struct llm_tool *tool = r->tools;

    while (json_next(&it)) {
        const struct json *schema = json_get(it.value, S("parameters"));

        while (tool != NULL && tool->raw != NULL)
            tool = tool->next;
        if (tool == NULL) {
            complain(c, "a tool is missing", json_raw(it.value), S(""));
            return;
        }
        same(c, "name of a tool", json_str(c->arena, json_get(it.value, S("name"))), tool->name);
        if (json_is(schema, JSON_OBJECT) && !json_is_empty(schema) &&
            !same_schema(c, schema, tool->schema))
            complain(c, "schema of a tool", json_raw(schema), tool->schema);
        tool = tool->next;
    }
}

static void
same_choice(struct recorded *c, const struct llm_request *r, const struct json *expected)
{
    static const char *const words[] = { "", "auto", "none", "required", "" };

    if (json_is(expected, JSON_STRING))
        same(c, "tool_choice", json_str(c->arena, expected), str_c(words[r->choice]));
    else if (expected != NULL)
        same(c, "tool_choice", json_str(c->arena, json_get(expected, S("name"))), r->choice_name);
}

static void
same_number(struct recorded *c, const char *key, const struct json *got)
{
    const struct json *want = json_get(json_get(c->expect, S("request")), str_c(key));

    if (want != NULL && !json_same(c->arena, want, got))
        complain(c, key, json_raw(want), json_raw(got));
}

static void
same_parameters(struct recorded *c, const struct llm_request *r)
{
    static const char *const formats[] = { "", "text", "json_object", "json_schema" };
    const struct json *expect = json_get(c->expect, S("request"));
    const struct json *format = json_get(expect, S("response_format"));
    const struct json *schema = json_get(expect, S("json_schema"));
    const struct json *max = json_get(expect, S("max_tokens"));
    const struct json *effort = json_get(expect, S("reasoning_effort"));
    struct json_iter stop = json_iter(json_get(expect, S("stop")));
    const struct llm_word *word = r->stop;

    same_number(c, "temperature", r->temperature);
    same_number(c, "top_p", r->top_p);
    same_number(c, "seed", r->seed);
    same_number(c, "presence_penalty", r->presence_penalty);
    same_number(c, "frequency_penalty", r->frequency_penalty);
    if (json_is(max, JSON_NUMBER) && json_i64(max, 0) != r->max_tokens)
        complain(c, "max_tokens", json_raw(max), S(""));
    if (json_is(format, JSON_STRING))
        same(c, "response_format", json_str(c->arena, format), str_c(formats[r->format]));
    if (json_is(schema, JSON_OBJECT) &&
        !json_same(c->arena, schema, json_parse(c->arena, r->schema, NULL, NULL)))
        complain(c, "json_schema", json_raw(schema), r->schema);
    if (json_is(effort, JSON_STRING))
        same(c, "reasoning_effort", json_str(c->arena, effort), r->effort);
    if (json_is(json_get(expect, S("parallel_tool_calls")), JSON_FALSE) && r->parallel_tools != NO)
        complain(c, "parallel_tool_calls", S("false"), S("true"));
    while (json_next(&stop)) {
        same(c, "stop", json_str(c->arena, stop.value), word != NULL ? word->text : S(""));
        word = word != NULL ? word->next : NULL;
    }
}

/* --- reading --- */

/* `stream`: the route says so, where the wire's requests do not. */
static bool
read_request(struct recorded *c, const struct wire *wire, struct str body, bool stream,
    struct llm_request *r)
{
    struct wire_fault fault = { 0 };

    *r = (struct llm_request){ .arena = c->arena, .op = c->op, .wire = wire, .body = body };
    if (wire->caller->in_path) {
        r->model = S("some-model");
        r->stream = stream;
    }
    r->doc = json_parse(c->arena, body, NULL, NULL);

    enum err e = llm_request_read(r, &fault);

    if (e == OK)
        e = llm_request_expand(r, &fault);
    if (e != OK)
        complain(c, err_row(e)->name, S(""), fault.message);
    return e == OK;
}

/* Bedrock's blocks for guardrails are text to everybody else, and what is known of the recording
 * does not say which. */
static bool
is_guarded(struct recorded *c)
{
    return str_find(c->request, S("\"guardContent\"")) < c->request.n;
}

static void
run_read(struct recorded *c)
{
    const struct json *expect = json_get(c->expect, S("request"));
    struct llm_request r;

    if (c->request.n == 0 || c->op != OP_CHAT || !read_request(c, c->wire, c->request, false, &r))
        return;

    struct flat want = expected_items(c->arena, json_get(expect, S("items")));
    bool lift = c->wire == &wire_cohere;
    struct flat got = flatten(c->arena, &r, lift);

    same(c, "system", json_str(c->arena, json_get(expect, S("system"))),
        system_text(c->arena, &r, lift));
    if (!is_guarded(c))
        same_items(c, &want, &got);
    same_tools(c, &r, json_get(expect, S("tools")));
    same_choice(c, &r, json_get(expect, S("tool_choice")));
    same_parameters(c, &r);
}

/* --- there and back --- */

/* Reasoning without a proof stays at home, and media of tool results may move to the user. */
static struct flat
portable(struct arena *a, const struct flat *from)
{
    struct flat f = { .arena = a };

    f.tail = &f.items;
    for (const struct item *item = from->items; item != NULL; item = item->next) {
        if (strcmp(item->kind, "reasoning") == 0)
            continue;
        if (item == from->items && str_eq(item->text, S("(start of the conversation)")))
            continue;    /* for protocols in which the user begins */
        if (str_eq(item->text, S("(see the document)")))
            continue;    /* Bedrock: documents do not go without text */
        if (strcmp(item->kind, "text") == 0) {
            add_text(&f, item->role, item->text);
            continue;
        }
        struct item *copy = add_item(&f, item->role, item->kind);

        copy->text = str_eq(item->text, S("(see the next message)")) ? S("") : item->text;
        copy->name = item->name;
        copy->args = item->args;
        copy->id = item->id;
        if (strcmp(item->role, "tool") == 0 && strcmp(item->kind, "tool_result") != 0)
            copy->role = "user";
    }
    return f;
}

/* Is there text after a picture of the same message? Ollama's messages have one text, and pictures
 * besides it. */
static bool
interleaves(const struct flat *f)
{
    for (const struct item *item = f->items; item != NULL && item->next != NULL; item = item->next)
        if (strcmp(item->kind, "image") == 0 && strcmp(item->next->kind, "text") == 0 &&
            strcmp(item->role, item->next->role) == 0)
            return true;
    return false;
}

/* Does the assistant speak between its calls? A message of chats has its text before its calls. */
static bool
speaks_between(const struct flat *f)
{
    for (const struct item *item = f->items; item != NULL && item->next != NULL; item = item->next)
        if (strcmp(item->kind, "tool_call") == 0 && strcmp(item->next->kind, "text") == 0 &&
            strcmp(item->next->role, "assistant") == 0)
            return true;
    return false;
}

/* Ids that are too long for the other wire are replaced. */
static void
forget_long_ids(struct flat *f)
{
    for (struct item *item = f->items; item != NULL; item = item->next)
        if (item->id.n > 40)
            item->id = S("");
}

/* Is there a file that is text? Some protocols have it as text. */
static bool
has_text_file(const struct llm_request *r)
{
    for (const struct llm_message *m = r->messages; m != NULL; m = m->next)
        for (const struct llm_part *p = m->parts; p != NULL; p = p->next)
            if (p->kind == PART_FILE && media_is_text(p->mime))
                return true;
    return false;
}

/* What one wire's caller said is written for a provider of `other` and read back there. */
static void
there_and_back(struct recorded *c, const struct wire *other)
{
    struct wire_target target = { .model = S("some-model"), .traits = TRAITS(.max_output = 4096) };
    struct wire_drops drops = { .arena = c->arena };
    struct wire_fault fault = { 0 };
    struct llm_request there;
    struct llm_request back;
    struct buf out;

    if (!read_request(c, c->wire, c->request, true, &there))
        return;
    buf_init(&out, 64 * 1024 * 1024);

    enum err e = write_request(other, &out, &there, &target, &drops, &fault);
    struct str text = arena_str(c->arena, buf_str(&out));

    buf_fini(&out);
    if (e == ERR_UNSUPPORTED && fault.message.n > 0)
        return;    /* files by their id at one provider cannot go to another */
    if (e != OK) {
        complain(c, "cannot be written", str_c(err_row(e)->name), fault.message);
        return;
    }
    if (!read_request(c, other, text, there.stream, &back))
        return;

    bool lift = c->wire == &wire_cohere;
    struct flat a = flatten(c->arena, &there, lift);
    struct flat b = flatten(c->arena, &back, lift);
    struct flat want = portable(c->arena, &a);
    struct flat got = portable(c->arena, &b);

    bool chat = other == &wire_ollama || other == &wire_openai_chat || other == &wire_cohere;

    if (other == &wire_openai_chat)
        forget_long_ids(&want);
    if ((other != &wire_ollama || !interleaves(&want)) && (!chat || !speaks_between(&want)) &&
        !has_text_file(&there) && !is_guarded(c))
        same_items(c, &want, &got);
    /* JSON mode becomes a sentence behind the system text where the wire has no such mode. */
    struct str before = system_text(c->arena, &there, lift);
    struct str after = system_text(c->arena, &back, lift);

    if (!str_starts(after, before))
        complain(c, "system", before, after);
    if (!other->caller->in_path && there.stream != back.stream)
        complain(c, "stream", S("as it was"), S("changed"));
}

static void
run_there_and_back(struct recorded *c)
{
    if (c->request.n == 0 || c->op != OP_CHAT)
        return;
    for (size_t i = 0; wire_at(i) != NULL; i++)
        if (wire_at(i) != c->wire && wire_at(i)->caller != NULL && wire_at(i)->provider != NULL)
            there_and_back(c, wire_at(i));
}

static void
walk(void (*run)(struct recorded *c))
{
    wrong = 0;

    int n = recorded_walk(run);

    if (n < 0)
        SKIP("no recorded traffic beside the project");
    EXPECT(n > 0);
    EXPECT_INT(wrong, 0);
}

TEST(recorded_requests_are_understood)
{
    walk(run_read);
}

TEST(a_request_written_for_another_wire_says_the_same)
{
    walk(run_there_and_back);
}

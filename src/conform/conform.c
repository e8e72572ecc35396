/* conform.c - the checks, and what they share. */
#include "conform/conform.h"

#include "cli/ask.h"
#include "cli/talk.h"
#include "llm/answer.h"
#include "llm/write.h"

enum {
    BODY_BYTES = 256 * 1024,
    ARENA_BYTES = 128 * 1024 * 1024,
    FIELDS_BYTES = 4096,
    ROOMY_TOKENS = 2048,    /* models that reason spend some of it before they answer */
    FEW_TOKENS = 16,        /* the least that OpenAI's Responses take */
};

/* One check of one server. */
struct run {
    const struct conform *server;
    struct talk *talk;
    struct arena *results;    /* of the caller */
    struct arena *a;          /* of the check */
    struct llm_request r;
    struct llm_message **tail;
    struct llm_answer answer;
    struct wire_drops drops;
    struct buf path;
    struct buf body;
    struct conform_result *ret;
};

static void
end(struct run *u, enum conform_verdict verdict, struct str why)
{
    if (u->ret->verdict != CONFORM_PASSED)
        return;    /* the first reason counts */
    u->ret->verdict = verdict;
    u->ret->why = arena_str(u->results, str_make(why.p, MIN(why.n, 300)));
}

#define FAIL(u, ...) end(u, CONFORM_FAILED, arena_printf((u)->a, __VA_ARGS__))

/* --- asking --- */

static void
say(struct run *u, enum llm_role role, const char *text)
{
    struct llm_message *m = llm_message_add(u->a, &u->tail, role);
    struct llm_part **parts = &m->parts;

    llm_part_add(u->a, &parts, PART_TEXT)->text = str_c(text);
}

/* A request for the model, without a conversation. */
static void
begin(struct run *u, bool stream)
{
    u->r = (struct llm_request){
        .arena = u->a,
        .wire = u->server->wire,
        .op = OP_CHAT,
        .model = u->server->model,
        .stream = stream,
        .want_usage = true,
        .expanded = true,
        .max_tokens = ROOMY_TOKENS,
    };
    u->tail = &u->r.messages;
    u->drops = (struct wire_drops){ .arena = u->a, .tail = &u->drops.names };
    buf_reset(&u->body, SIZE_MAX);
}

/* Writes the path of the request, and its body unless that is written already. False: the protocol
 * cannot say it, all of it. */
static bool
write(struct run *u)
{
    const struct wire *wire = u->server->wire;
    const struct wire_target t = { .model = u->r.model };
    struct wire_fault fault = { S(""), S("") };

    buf_reset(&u->path, SIZE_MAX);
    ask_add_path(&u->path, wire, &u->r, u->server->base);
    if (buf_len(&u->body) != 0)
        return true;
    if (write_request(wire, &u->body, &u->r, &t, &u->drops, &fault) != OK) {
        end(u, CONFORM_ABSENT, fault.message);
        return false;
    }
    if (u->drops.names != NULL) {
        end(u, CONFORM_ABSENT,
            arena_printf(u->a, "the protocol has no '" STR_FMT "'", STR_ARG(u->drops.names->text)));
        return false;
    }
    return true;
}

static void
read_whole(struct run *u)
{
    struct arena *scratch = arena_create(ARENA_BYTES);
    struct wire_reader reader = {
        .wire = u->server->wire,
        .op = OP_CHAT,
        .keep = u->a,
        .scratch = scratch,
        .sink = &u->answer.sink,
    };

    if (u->server->wire->provider->read_answer(&reader, talk_body(u->talk)) != OK)
        FAIL(u, "the answer is not one of the protocol");
    else if (u->answer.error != NULL)
        FAIL(u, "an error came with status 200: " STR_FMT, STR_ARG(u->answer.error->message));
    arena_destroy(scratch);
}

/* Sends the request, and reads what comes. True: it is an answer. `may_refuse`: the server, or the
 * model, need not do this. */
static bool
ask(struct run *u, bool may_refuse)
{
    if (!write(u))
        return false;
    answer_init(&u->answer, u->a);
    enum talk_outcome outcome =
        talk_ask(u->talk, buf_str(&u->path), buf_str(&u->body), &u->answer.sink);
    struct str says = talk_message(u->talk);
    int status = talk_status(u->talk);

    switch (outcome) {
    case TALK_DONE:
        if (!u->r.stream)
            read_whole(u);
        else if (u->answer.id.n == 0 && u->answer.choices == NULL)
            FAIL(u, "a stream was asked for; a document came");
        break;
    case TALK_REFUSED:
        if (may_refuse && (status == 400 || status == 404 || status == 422 || status == 501))
            end(u, CONFORM_REFUSED,
                arena_printf(u->a, "status %d: " STR_FMT, status, STR_ARG(says)));
        else
            FAIL(u, "status %d: " STR_FMT, status, STR_ARG(says));
        break;
    case TALK_INTERRUPTED:
        end(u, CONFORM_ABSENT, S("interrupted"));
        break;
    case TALK_BROKEN:
    case TALK_UNREACHED:
    case TALK_LATE:
        FAIL(u, STR_FMT, STR_ARG(says));
        break;
    }
    return u->ret->verdict == CONFORM_PASSED;
}

/* --- looking --- */

static const struct llm_answer_choice none;

static const struct llm_answer_choice *
first_choice(const struct run *u)
{
    return u->answer.choices != NULL ? u->answer.choices : &none;
}

/* Its text, joined. */
static struct str
text_of(struct run *u)
{
    struct buf all;

    buf_init(&all, ARENA_BYTES);
    for (const struct llm_part *p = first_choice(u)->parts; p != NULL; p = p->next)
        if (p->kind == PART_TEXT)
            buf_add(&all, p->text);
    struct str s = arena_str(u->a, buf_str(&all));
    buf_fini(&all);
    return s;
}

static const struct llm_part *
call_of(const struct run *u)
{
    const struct llm_part *p = first_choice(u)->parts;

    while (p != NULL && p->kind != PART_TOOL_CALL)
        p = p->next;
    return p;
}

/* It ends as the protocol has it, and says what it used. */
static void
expect_end(struct run *u, enum llm_finish finish)
{
    const struct llm_answer_choice *c = first_choice(u);

    if (!u->answer.complete)
        FAIL(u, "the answer is not complete");
    else if (c->finish != finish)
        FAIL(u, "the finish reason is '" STR_FMT "', not one that means '%s'", STR_ARG(c->native),
            llm_finish_name(finish));
    else if (!usage_has(&u->answer.usage, COUNT_INPUT) ||
             !usage_has(&u->answer.usage, COUNT_OUTPUT))
        FAIL(u, "the usage is missing");
    else if (u->answer.usage.input <= 0)
        FAIL(u, "the usage says that the prompt had no tokens");
}

static void
expect_text(struct run *u)
{
    if (str_trim(text_of(u)).n == 0)
        FAIL(u, "the answer has no text");
}

/* --- answers --- */

static void
ask_greeting(struct run *u, bool stream)
{
    begin(u, stream);
    say(u, ROLE_USER, "Say hello in one short sentence.");
    if (!ask(u, false))
        return;
    expect_text(u);
    expect_end(u, FINISH_STOP);
}

static void
check_answer(struct run *u)
{
    ask_greeting(u, false);
}

static void
check_stream(struct run *u)
{
    ask_greeting(u, true);
}

static void
check_history(struct run *u)
{
    static struct llm_part system = { .kind = PART_TEXT, .text = S_INIT("You answer in English.") };

    begin(u, false);
    u->r.system = &system;
    say(u, ROLE_USER, "My name is Ada.");
    say(u, ROLE_ASSISTANT, "Nice to meet you, Ada.");
    say(u, ROLE_USER, "What is my name?");
    if (ask(u, false))
        expect_text(u);
}

/* Four-byte characters, joiners, escapes, a line separator that JavaScript dislikes. */
static void
check_scripts(struct run *u)
{
    begin(u, true);
    say(u, ROLE_USER,
        "Reply with OK. \"quotes\" \\ \t \xe2\x80\xa8 "
        "\xc3\xa9\xc3\x9f \xd0\x96 \xd7\xa9 \xe0\xa4\x95\xe0\xa5\x8d\xe0\xa4\xb7 \xe4\xb8\xad "
        "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80 \xf0\x9d\x95\x8f");
    if (ask(u, false))
        expect_text(u);
}

static void
check_limit(struct run *u)
{
    begin(u, false);
    u->r.max_tokens = FEW_TOKENS;
    say(u, ROLE_USER, "Write the numbers from one to five hundred as words.");
    if (ask(u, false))
        expect_end(u, FINISH_LENGTH);
}

static void
check_stop(struct run *u)
{
    struct llm_word stop = { .text = S("three") };

    begin(u, false);
    u->r.stop = &stop;
    say(u, ROLE_USER, "Write exactly this line and nothing else: one two three four");
    if (!ask(u, true))
        return;
    if (str_find(text_of(u), S("three")) != text_of(u).n)
        FAIL(u, "the text goes on beyond the stop sequence");
    expect_end(u, FINISH_STOP);
}

/* --- tools --- */

static struct llm_tool weather = {
    .name = S_INIT("get_weather"),
    .description = S_INIT("The weather of a city."),
    .schema = S_INIT("{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}},"
                     "\"required\":[\"city\"],\"additionalProperties\":false}"),
};

static void
ask_call(struct run *u, bool stream)
{
    begin(u, stream);
    u->r.tools = &weather;
    u->r.choice = CHOICE_REQUIRED;
    say(u, ROLE_USER, "What is the weather in Paris?");
    if (!ask(u, true))
        return;

    const struct llm_part *call = call_of(u);
    if (call == NULL) {
        FAIL(u, "a call was demanded, and none was made");
        return;
    }
    const struct json *args = json_parse(u->a, call->args, NULL, NULL);
    if (!str_eq(call->name, weather.name))
        FAIL(u, "the call names '" STR_FMT "', which is not the tool", STR_ARG(call->name));
    else if (!json_is(args, JSON_OBJECT))
        FAIL(u, "the arguments of the call are not a JSON object");
    else if (!json_is(json_get(args, S("city")), JSON_STRING))
        FAIL(u, "the arguments lack a member that the schema requires");
    expect_end(u, FINISH_TOOLS);
}

static void
check_tools(struct run *u)
{
    ask_call(u, false);
}

static void
check_tools_stream(struct run *u)
{
    ask_call(u, true);
}

static void
add_call(struct run *u, struct llm_part ***tail, const char *id, const char *args)
{
    struct llm_part *call = llm_part_add(u->a, tail, PART_TOOL_CALL);

    call->id = str_c(id);
    call->name = weather.name;
    call->args = str_c(args);
}

static void
add_result(struct run *u, const char *id, const char *text)
{
    struct llm_message *m = llm_message_add(u->a, &u->tail, ROLE_TOOL);
    struct llm_part **parts = &m->parts;
    struct llm_part *result = llm_part_add(u->a, &parts, PART_TOOL_RESULT);
    struct llm_part **content = &result->result;

    result->id = str_c(id);
    result->name = weather.name;
    llm_part_add(u->a, &content, PART_TEXT)->text = str_c(text);
}

static void
check_results(struct run *u)
{
    begin(u, true);
    u->r.tools = &weather;
    say(u, ROLE_USER, "What is the weather in Paris and in Rome?");

    struct llm_message *m = llm_message_add(u->a, &u->tail, ROLE_ASSISTANT);
    struct llm_part **parts = &m->parts;
    add_call(u, &parts, "call_paris1", "{\"city\":\"Paris\"}");
    add_call(u, &parts, "call_rome01", "{\"city\":\"Rome\"}");
    add_result(u, "call_paris1", "21 degrees, sunny");
    add_result(u, "call_rome01", "25 degrees, windy");
    if (!ask(u, true))
        return;
    if (call_of(u) == NULL)
        expect_text(u);
}

/* --- what models may lack --- */

static void
check_schema(struct run *u)
{
    begin(u, false);
    u->r.format = FORMAT_SCHEMA;
    u->r.schema_name = S("city");
    u->r.schema_strict = YES;
    u->r.schema = S("{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},"
                    "\"population\":{\"type\":\"integer\"}},\"required\":[\"name\",\"population\"],"
                    "\"additionalProperties\":false}");
    say(u, ROLE_USER, "Describe Paris.");
    if (!ask(u, true))
        return;
    const struct json *doc = json_parse(u->a, text_of(u), NULL, NULL);
    if (!json_is(doc, JSON_OBJECT))
        FAIL(u, "the text is not a JSON object");
    else if (!json_is(json_get(doc, S("name")), JSON_STRING) ||
             !json_is(json_get(doc, S("population")), JSON_NUMBER))
        FAIL(u, "the object lacks members that the schema requires");
}

/* A picture of one red dot. */
static void
check_image(struct run *u)
{
    static const char png[] =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5Er"
        "kJggg==";

    begin(u, false);
    say(u, ROLE_USER, "What colour is this?");

    struct llm_part **tail = &u->r.messages->parts->next;
    struct llm_part *image = llm_part_add(u->a, &tail, PART_IMAGE);
    image->mime = S("image/png");
    image->data = str_c(png);
    if (ask(u, true))
        expect_text(u);
}

/* --- errors --- */

/* Sends what must be refused, with a status between the two and an error that a client of the protocol
 * can read. */
static void
expect_refusal(struct run *u, int from, int to)
{
    if (!write(u))
        return;
    answer_init(&u->answer, u->a);
    enum talk_outcome outcome =
        talk_ask(u->talk, buf_str(&u->path), buf_str(&u->body), &u->answer.sink);
    int status = talk_status(u->talk);

    if (outcome == TALK_INTERRUPTED)
        end(u, CONFORM_ABSENT, S("interrupted"));
    else if (outcome != TALK_REFUSED)
        FAIL(u, "it was not refused (status %d)", status);
    else if (status < from || status > to)
        FAIL(u, "status %d instead of one from %d to %d", status, from, to);
    else if (json_parse(u->a, talk_body(u->talk), NULL, NULL) == NULL)
        FAIL(u, "status %d, but the body is not JSON", status);
    else if (talk_message(u->talk).n == 0)
        FAIL(u, "status %d, but the error has no message where the protocol has it", status);
}

static void
check_unknown_model(struct run *u)
{
    begin(u, false);
    u->r.model = S("openclaw-conform-no-such-model");
    say(u, ROLE_USER, "Hello");
    expect_refusal(u, 400, 404);
}

static void
check_bad_json(struct run *u)
{
    begin(u, false);
    buf_add(&u->body, S("{\"model\": \"x\", \"messages\": [{]"));
    expect_refusal(u, 400, 400);
}

static void
check_empty_object(struct run *u)
{
    begin(u, false);
    buf_add(&u->body, S("{}"));
    expect_refusal(u, 400, 422);
}

static struct talk *
talk_with(const struct conform *s, struct buf *fields, const char *key)
{
    buf_init(fields, FIELDS_BYTES);
    ask_add_fields(fields, "conform", s->wire, key);
    struct talk *t = talk_create(s->origin, s->wire, buf_str(fields));
    talk_limit(t, s->limit_ms);
    return t;
}

static void
check_wrong_key(struct run *u)
{
    struct talk *own = u->talk;
    struct buf fields;

    if (u->server->key == NULL || u->server->key[0] == '\0') {
        end(u, CONFORM_ABSENT, S("no key was given"));
        return;
    }
    u->talk = talk_with(u->server, &fields, "openclaw-conform-wrong-key");
    begin(u, false);
    say(u, ROLE_USER, "Hello");
    expect_refusal(u, 400, 403);    /* Gemini has 400 for it */
    talk_destroy(u->talk);
    buf_fini(&fields);
    u->talk = own;
}

/* --- the table --- */

static const struct check {
    const char *name;
    const char *about;
    void (*run)(struct run *u);
} checks[] = {
    { "answer", "a question is answered, with its end and its usage", check_answer },
    { "stream", "the same as a stream, which is complete", check_stream },
    { "history", "instructions and earlier turns are taken", check_history },
    { "scripts", "text of any script, and characters that need escapes", check_scripts },
    { "limit", "an answer stops at its limit of tokens, and says so", check_limit },
    { "stop", "an answer ends before a stop sequence", check_stop },
    { "tools", "a call that is demanded is made, by the schema", check_tools },
    { "tools-stream", "the same in a stream", check_tools_stream },
    { "results", "results of two calls of one turn are taken", check_results },
    { "schema", "an answer has the form of a JSON Schema", check_schema },
    { "image", "a picture is taken", check_image },
    { "unknown-model", "a model that does not exist is refused", check_unknown_model },
    { "bad-json", "a body that is not JSON is refused", check_bad_json },
    { "empty", "a request without its members is refused", check_empty_object },
    { "wrong-key", "a wrong key is refused", check_wrong_key },
};

const char *
conform_name(size_t i)
{
    return i < ARRAY_LEN(checks) ? checks[i].name : NULL;
}

const char *
conform_about(size_t i)
{
    return i < ARRAY_LEN(checks) ? checks[i].about : NULL;
}

size_t
conform_count(void)
{
    return ARRAY_LEN(checks);
}

/* Without its route a protocol is not offered; nothing else needs to be asked. */
static bool
is_absent(const struct run *u)
{
    int status = talk_status(u->talk);

    return u->ret->verdict == CONFORM_FAILED && (status == 404 || status == 405);
}

void
conform_run(const struct conform *server, struct arena *a, struct conform_result *ret,
    void (*done)(void *arg, size_t i), void *arg)
{
    struct run u = { .server = server, .results = a };
    struct buf fields;
    bool absent = false;

    u.talk = talk_with(server, &fields, server->key);
    buf_init(&u.path, FIELDS_BYTES);
    buf_init(&u.body, BODY_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        u.a = arena_create(ARENA_BYTES);
        u.ret = &ret[i];
        ret[i] = (struct conform_result){ CONFORM_PASSED, S("") };
        if (absent || talk_is_interrupted()) {
            ret[i].verdict = CONFORM_ABSENT;
            ret[i].why = absent ? ret[0].why : S("interrupted");
        } else {
            checks[i].run(&u);
        }
        if (i == 0 && is_absent(&u)) {
            absent = true;
            ret[0].verdict = CONFORM_ABSENT;
        }
        arena_destroy(u.a);
        done(arg, i);
    }
    talk_destroy(u.talk);
    buf_fini(&fields);
    buf_fini(&u.path);
    buf_fini(&u.body);
}

/* cmd_chat.c - `openclaw chat`: talk to a model in the terminal, or ask one question from a
 * script. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/app.h"
#include "chat/prompt.h"
#include "cli/talk.h"
#include "cli/ask.h"
#include "cli/flags.h"
#include "conf/conf.h"
#include "http/message.h"

enum {
    BODY_BYTES_MAX = 64 * 1024 * 1024,
    MEMORY_BYTES_MAX = 256 * 1024 * 1024,
    FIELDS_BYTES_MAX = 16 * 1024,
    INPUT_BYTES_MAX = 32 * 1024 * 1024
};

struct chat {
    const char *url;
    const char *key;
    const char *system;
    const char *wire_name;
    const struct wire *wire;
    bool insecure;
    bool json;
    bool forget;    /* keep no history of what was typed */
    char *model;    /* owned; NULL until known */
    struct origin *origin;
    struct talk *line;
    struct str base;    /* "/v1" */
    struct buf path;    /* of the request */
    struct buf fields;
    struct arena *memory;    /* of the conversation */
    struct arena_mark empty;
    struct llm_message *messages;
    struct llm_message **tail;
    struct buf body;      /* the request */
    struct buf answer;    /* the text so far */
    bool terminal;        /* standard output is a terminal */
    bool color;           /* show thinking in dim type */
    bool thinking;        /* the last text shown was thinking */
    struct event_sink sink;
};

/* --- showing --- */

/* Writes a model's text. On a terminal, control characters are left out. */
static void
show(const struct chat *c, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char b = (unsigned char)text.p[i];
        bool c1 = b == 0xc2 && i + 1 < text.n && (unsigned char)text.p[i + 1] < 0xa0;

        if (c->terminal && c1)
            i++;
        else if (!c->terminal || b >= 0x20 || b == '\n' || b == '\t')
            putchar(b);
    }
}

/* Switches between thinking, in dim type, and the answer, on a line of its own. */
static void
set_thinking(struct chat *c, bool thinking)
{
    if (c->color && c->thinking != thinking)
        fputs(thinking ? "\033[2m" : "\033[0m", stdout);
    if (c->thinking && !thinking)
        fputs("\n", stdout);
    c->thinking = thinking;
}

static void
on_event(struct event_sink *sink, const struct llm_event *ev)
{
    struct chat *c = CONTAINER_OF(sink, struct chat, sink);
    bool thinking = ev->kind == EVENT_REASONING;
    bool text = ev->kind == EVENT_TEXT || ev->kind == EVENT_REFUSAL;

    if (ev->choice != 0 || (!text && !(thinking && c->terminal)))
        return;    /* a script only wants the answer */
    set_thinking(c, thinking);
    show(c, ev->text);
    fflush(stdout);
    if (!thinking)
        buf_add(&c->answer, ev->text);
}

static const char *
advice(enum talk_outcome outcome, int status)
{
    if (outcome == TALK_UNREACHED)
        return "is it running? 'openclaw serve' starts a gateway; --url names another server";
    if (outcome != TALK_REFUSED)
        return "ask again, or use another model with --model";
    switch (status) {
    case 401:
    case 403:
        return "give a key with OPENCLAW_API_KEY or --key";
    case 404:
        return "are --model and --url right? /v1/models of the server lists its models";
    case 429:
        return "wait a moment, or use another model with --model";
    default:
        return status >= 500 ? "ask again in a moment" : "change the request";
    }
}

/* What went wrong and what to do. */
static void
explain(const struct chat *c, enum talk_outcome outcome)
{
    struct str message = talk_message(c->line);
    int status = talk_status(c->line);

    fflush(stdout);
    fprintf(stderr, "openclaw chat: ");
    if (outcome == TALK_REFUSED)
        fprintf(stderr, "%s says %d %s%s", c->url, status, http_reason(status),
            message.n != 0 ? ": " : "");
    else if (outcome == TALK_UNREACHED)
        fprintf(stderr, "%s: ", c->url);
    for (size_t i = 0; i < message.n; i++)
        if ((unsigned char)message.p[i] >= 0x20)
            fputc(message.p[i], stderr);
    fprintf(stderr, "\n  %s\n", advice(outcome, status));
}

/* --- asking --- */

static void
add_message(struct chat *c, enum llm_role role, struct str text)
{
    struct llm_message *m = llm_message_add(c->memory, &c->tail, role);
    struct llm_part **parts = &m->parts;

    llm_part_add(c->memory, &parts, PART_TEXT)->text = arena_str(c->memory, text);
}

/* Takes back what was added after `*tail` was the end. */
static void
take_back(struct chat *c, struct llm_message **tail)
{
    *tail = NULL;
    c->tail = tail;
}

static void
forget(struct chat *c)
{
    take_back(c, &c->messages);
    arena_rewind(c->memory, c->empty);
}

/* Asks the server for its list of models, allocated in `a`. False after explaining the error. */
static bool
list_models(struct chat *c, struct arena *a, struct json_iter *ret)
{
    buf_reset(&c->path, 0);
    buf_add(&c->path, c->base.n != 0 ? c->base : S("/v1"));
    buf_add(&c->path, S("/models"));

    enum talk_outcome outcome = talk_ask(c->line, buf_str(&c->path), S(""), NULL);

    if (outcome != TALK_DONE) {
        if (outcome != TALK_INTERRUPTED)
            explain(c, outcome);
        return false;
    }
    *ret = json_iter(json_get(json_parse(a, talk_body(c->line), NULL, NULL), S("data")));
    return true;
}

/* Without --model: the first model that the server lists. */
static bool
find_model(struct chat *c)
{
    struct arena *a = arena_create(INPUT_BYTES_MAX);
    struct json_iter it;

    if (c->model == NULL && list_models(c, a, &it)) {
        struct str id = json_next(&it) ? json_str(a, json_get(it.value, S("id"))) : S("");

        if (id.n != 0)
            c->model = str_dup_c(id);
        else
            fprintf(stderr, "openclaw chat: %s lists no models; name one with --model\n", c->url);
    }
    arena_destroy(a);
    return c->model != NULL;
}

/* One question. It is kept in the conversation only if it was answered. */
static enum talk_outcome
ask(struct chat *c, struct str question)
{
    struct llm_part system = { .kind = PART_TEXT, .text = str_c(c->system) };
    struct llm_message **before = c->tail;

    add_message(c, ROLE_USER, question);

    struct arena_mark mark = arena_mark(c->memory);
    const struct llm_request r = {
        .arena = c->memory,
        .wire = c->wire,
        .op = OP_CHAT,
        .model = str_c(c->model),
        .stream = !c->json,
        .expanded = true,
        .system = c->system != NULL ? &system : NULL,
        .messages = c->messages,
    };

    buf_reset(&c->body, 0);
    buf_reset(&c->path, 0);
    ask_add_body(&c->body, c->wire, &r);
    ask_add_path(&c->path, c->wire, &r, c->base);
    arena_rewind(c->memory, mark);
    if (c->body.overflow) {
        fprintf(stderr,
            "openclaw chat: the conversation is larger than 64 MB; /clear starts a new one\n");
        take_back(c, before);
        return TALK_BROKEN;
    }

    buf_reset(&c->answer, 0);
    enum talk_outcome outcome = talk_ask(c->line, buf_str(&c->path), buf_str(&c->body), &c->sink);
    if (c->thinking)
        set_thinking(c, false);
    if (c->json)
        printf(STR_FMT "\n", STR_ARG(talk_body(c->line)));
    else if (buf_len(&c->answer) != 0 || outcome == TALK_INTERRUPTED)
        printf("\n");
    if (outcome != TALK_DONE && outcome != TALK_INTERRUPTED)
        explain(c, outcome);
    if (buf_len(&c->answer) != 0)
        add_message(c, ROLE_ASSISTANT, buf_str(&c->answer));
    else
        take_back(c, before);
    return outcome;
}

/* --- a conversation --- */

static void
print_commands(void)
{
    printf("  /models [TEXT]  list the server's models, or those with TEXT in their names\n"
           "  /model [NAME]   show which model answers, or choose another one\n"
           "  /clear          forget the conversation\n"
           "  /help           this list\n"
           "  /quit           leave (so does Ctrl-D); Ctrl-C stops an answer\n");
}

static void
print_models(struct chat *c, struct str part)
{
    struct arena *a = arena_create(INPUT_BYTES_MAX);
    struct json_iter it;
    unsigned shown = 0;

    if (list_models(c, a, &it)) {
        while (json_next(&it)) {
            struct str id = json_str(a, json_get(it.value, S("id")));

            if (id.n == 0 || (part.n != 0 && str_find(id, part) == id.n))
                continue;
            printf(str_eq(id, str_c(c->model)) ? "* " : "  ");
            show(c, id);
            printf("\n");
            shown++;
        }
        if (shown == 0)
            printf(part.n != 0 ? "  no model's name has this in it\n" : "  there are none\n");
    }
    arena_destroy(a);
}

/* A name that is not on the server's list is refused: it is usually misspelt. */
static void
choose_model(struct chat *c, struct str name)
{
    enum { NAMES_MAX = 1000 };
    struct arena *a = arena_create(INPUT_BYTES_MAX);
    struct str names[NAMES_MAX];
    struct json_iter it;
    size_t n = 0;
    bool found = false;

    if (!list_models(c, a, &it)) {
        arena_destroy(a);
        return;
    }
    while (json_next(&it)) {
        struct str id = json_str(a, json_get(it.value, S("id")));

        found |= str_eq(id, name);
        if (n < NAMES_MAX)
            names[n++] = id;
    }
    struct str closest = conf_closest(name, names, n);
    if (found || n == 0) {
        free(c->model);
        c->model = str_dup_c(name);
    } else {
        printf("  the server does not list '" STR_FMT "'; ", STR_ARG(name));
        if (closest.n != 0)
            printf("did you mean '" STR_FMT "'?\n", STR_ARG(closest));
        else
            printf("/models shows what there is, --model takes any name\n");
    }
    arena_destroy(a);
}

/* False: quit. */
static bool
obey(struct chat *c, struct str line)
{
    struct str command;
    struct str rest;

    str_cut(line, ' ', &command, &rest);
    rest = str_trim(rest);
    if (str_eq(command, S("/quit")) || str_eq(command, S("/exit")))
        return false;
    if (str_eq(command, S("/clear"))) {
        forget(c);
        printf("  the conversation is forgotten\n");
    } else if (str_eq(command, S("/models"))) {
        print_models(c, rest);
    } else if (str_eq(command, S("/model"))) {
        if (rest.n != 0)
            choose_model(c, rest);
        printf("  the model is %s\n", c->model);
    } else {
        if (!str_eq(command, S("/help")))
            printf("  there is no command '" STR_FMT "'\n", STR_ARG(command));
        print_commands();
    }
    return true;
}

static int
converse(struct chat *c)
{
    struct chat_prompt *prompt = chat_prompt_create(c->terminal, !c->forget);
    bool going = true;

    printf("%s at %s; /help lists commands\n", c->model, c->url);
    while (going) {
        struct str line;
        enum chat_prompt_outcome outcome = chat_prompt_read(prompt, &line);

        if (outcome != PROMPT_LINE)
            printf("\n");
        if (outcome == PROMPT_END)
            break;
        if (outcome == PROMPT_INTERRUPTED || line.n == 0)
            continue;
        if (line.p[0] == '/')
            going = obey(c, line);
        else
            ask(c, line);
    }
    chat_prompt_destroy(prompt);
    return 0;
}

/* --- one shot --- */

static bool
read_input(struct buf *into)
{
    for (;;) {
        char *room = buf_reserve(into, 64 * 1024);
        size_t n = room != NULL ? fread(room, 1, 64 * 1024, stdin) : 0;
        buf_commit(into, n);
        if (n == 0)
            return !into->overflow && ferror(stdin) == 0;
    }
}

static int
ask_once(struct chat *c, int words, char **word)
{
    struct buf question;
    int status = 2;

    buf_init(&question, INPUT_BYTES_MAX);
    for (int i = 0; i < words; i++) {
        if (i > 0)
            buf_add_c(&question, ' ');
        buf_add(&question, str_c(word[i]));
    }
    if (words == 0 && !read_input(&question))
        fprintf(stderr, "openclaw chat: the message on standard input is larger than 32 MB\n");
    else if (str_trim(buf_str(&question)).n == 0)
        fprintf(stderr,
            "openclaw chat: there is no message; give one as an argument or on standard input\n");
    else
        status = ask(c, str_trim(buf_str(&question))) == TALK_DONE ? 0 : 1;
    buf_fini(&question);
    return status;
}

/* --- from the command line --- */

static void
on_sigint(int signo)
{
    (void)signo;
    talk_interrupt();
}

static bool
open_line(struct chat *c)
{
    c->wire = ask_wire("chat", c->wire_name);
    if (c->wire != NULL)
        c->origin = ask_origin("chat", c->url, c->insecure, &c->base);
    if (c->origin == NULL)
        return false;
    ask_add_fields(&c->fields, "chat", c->wire, c->key);
    c->line = talk_create(c->origin, c->wire, buf_str(&c->fields));
    return true;
}

static void
open_buffers(struct chat *c)
{
    buf_init(&c->path, FIELDS_BYTES_MAX);
    buf_init(&c->fields, FIELDS_BYTES_MAX);
    buf_init(&c->body, BODY_BYTES_MAX);
    buf_init(&c->answer, BODY_BYTES_MAX);
    c->memory = arena_create(MEMORY_BYTES_MAX);
    c->empty = arena_mark(c->memory);
    c->tail = &c->messages;
}

static void
close_all(struct chat *c)
{
    talk_destroy(c->line);
    origin_destroy(c->origin);
    buf_fini(&c->path);
    buf_fini(&c->fields);
    buf_fini(&c->body);
    buf_fini(&c->answer);
    arena_destroy(c->memory);
    free(c->model);
}

static enum flags_verdict
read_settings(struct chat *c, int argc, char **argv, int *ret_words)
{
    const char *model = NULL;
    const struct flag list[] = {
        { "url", 'u', FLAG_TEXT, "URL", "the server (http://127.0.0.1:8080)", &c->url, NULL },
        { "model", 'm', FLAG_TEXT, "M", "the model (the first that the server lists)", &model,
            NULL },
        { "key", 'k', FLAG_TEXT, "KEY", "API key (from OPENCLAW_API_KEY)", &c->key, NULL },
        { "system", 's', FLAG_TEXT, "TEXT", "how the model should behave", &c->system, NULL },
        { "wire", 'w', FLAG_TEXT, "WIRE",
            "the protocol, or the beginning of its name (openai-chat)", &c->wire_name, NULL },
        { "insecure", 0, FLAG_BOOL, NULL, "do not verify the server's certificate", &c->insecure,
            NULL },
        { "no-history", 0, FLAG_BOOL, NULL, "do not keep what is typed for the next time",
            &c->forget, NULL },
        { "json", 0, FLAG_BOOL, NULL,
            "with a message: print the whole answer as the server wrote it", &c->json, NULL },
    };
    const struct flags all = {
        .usage = "openclaw chat [options] [MESSAGE]",
        .about = "Talks to a model. With a message, or with one on standard input, it prints the "
                 "answer and exits; on a terminal it goes on until /quit. Lines can be edited; "
                 "they are kept in ~/.local/state/openclaw/chat_history.",
        .list = list,
        .count = ARRAY_LEN(list),
        .words = SIZE_MAX,
    };
    enum flags_verdict verdict = flags_parse(&all, argc, argv, ret_words);

    if (model != NULL)
        c->model = str_dup_c(str_c(model));
    return verdict;
}

/* NO_COLOR as described on https://no-color.org; a dumb terminal cannot show dim type. */
static bool
wants_color(void)
{
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return (no == NULL || no[0] == '\0') && (term == NULL || strcmp(term, "dumb") != 0);
}

int
cmd_chat(int argc, char **argv)
{
    struct chat c = {
        .url = "http://127.0.0.1:8080",
        .wire_name = "openai-chat",
        .key = getenv("OPENCLAW_API_KEY"),
        .sink = { on_event },
    };
    struct sigaction on_interrupt = { .sa_handler = on_sigint };
    int words = 0;
    enum flags_verdict verdict = read_settings(&c, argc, argv, &words);
    int status = verdict != FLAGS_OK ? (int)verdict : 2;
    bool interactive = words == 0 && isatty(STDIN_FILENO);

    open_buffers(&c);
    c.terminal = isatty(STDOUT_FILENO);
    c.color = c.terminal && wants_color();
    if (verdict == FLAGS_OK && interactive && c.json) {
        fprintf(stderr, "openclaw chat: --json wants a message: openclaw chat --json \"hello\"\n");
    } else if (verdict == FLAGS_OK && open_line(&c)) {
        sigaction(SIGINT, &on_interrupt, NULL);    /* no SA_RESTART: it ends the prompt's read */
        if (!find_model(&c))
            status = 1;
        else
            status = interactive ? converse(&c) : ask_once(&c, words, argv + 1);
    }
    close_all(&c);
    return status;
}

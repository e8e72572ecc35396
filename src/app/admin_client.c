/* admin_client.c - by a socket that is named, an address that is named, or the only socket that
 * answers. */
#include "app/admin_client.h"

#include <stdio.h>
#include <stdlib.h>

#include "admin/socket.h"
#include "base/log.h"
#include "base/url.h"
#include "cli/talk.h"
#include "cli/ask.h"

#define ARENA_BYTES (64u * 1024 * 1024)
#define API "/admin/v1/"

/* For an answer. A change may have to load a configuration first, which may look up names. */
enum { LOOK_MS = 2000, ASK_MS = 5000, CHANGE_MS = 60000 };

/* "http+unix://%2Frun%2Fname.sock" */
static struct str
url_of_socket(struct arena *a, struct str path)
{
    char *out = arena_alloc(a, 13 + 3 * path.n, 1);
    size_t n = (size_t)snprintf(out, 13, "http+unix://");

    for (size_t i = 0; i < path.n; i++) {
        if (url_is_unreserved(path.p[i]))
            out[n++] = path.p[i];
        else
            n += (size_t)snprintf(out + n, 4, "%%%02X", (unsigned char)path.p[i]);
    }
    return str_make(out, n);
}

static void
hang_up(struct admin_client *c)
{
    talk_destroy(c->line);
    origin_destroy(c->origin);
    c->line = NULL;
    c->origin = NULL;
}

static bool
connect_to(struct admin_client *c, const char *url)
{
    c->origin = ask_origin(c->command, url, false, &c->base);
    if (c->origin == NULL)
        return false;
    /* Any wire will do: the answers are documents. */
    c->line = talk_create(c->origin, wire_at(0), buf_str(&c->fields));
    return true;
}

/* Does a gateway answer there? *ret_silent: one listens, and does not. */
static bool
answers(struct admin_client *c, struct str socket, bool *ret_silent)
{
    enum talk_outcome outcome = TALK_UNREACHED;

    if (connect_to(c, url_of_socket(c->arena, socket).p)) {
        talk_limit(c->line, LOOK_MS);
        outcome = talk_ask(c->line, S(API "status"), S(""), NULL);
    }
    hang_up(c);
    *ret_silent = outcome == TALK_LATE;
    return outcome == TALK_DONE;
}

static struct str
folder_of(struct str path)
{
    while (path.n != 0 && path.p[path.n - 1] != '/')
        path.n--;
    return path;
}

/* The socket of the only gateway that answers, in the first folder where any does. NULL after saying
 * why there is none. */
static const char *
find_socket(struct admin_client *c)
{
    struct str list[ADMIN_SOCKETS_MOST], alive[ADMIN_SOCKETS_MOST], silent = S("");
    size_t count = admin_socket_find(c->arena, list), n = 0;

    for (size_t i = 0; i < count; i++) {
        bool is_silent;

        if (n != 0 && !str_eq(folder_of(list[i]), folder_of(alive[0])))
            continue;
        if (answers(c, list[i], &is_silent))
            alive[n++] = list[i];
        else if (is_silent)
            silent = list[i];
    }
    if (n == 1)
        return alive[0].p;
    if (n == 0 && silent.n != 0)
        (void)fprintf(stderr,
            "openclaw %s: the gateway at " STR_FMT " gave no answer within %d s; is its process "
            "stopped?\n",
            c->command, STR_ARG(silent), LOOK_MS / 1000);
    else if (n == 0 && c->without != NULL)
        c->missing = true;
    else if (n == 0)
        (void)fprintf(stderr,
            "openclaw %s: no gateway of this user answers on this machine; is it running? Name its "
            "socket with --socket PATH (server.admin_socket), or run this as its user or root\n",
            c->command);
    else
        (void)fprintf(
            stderr, "openclaw %s: more than one gateway is running; name one of:\n", c->command);
    for (size_t i = 0; i < n; i++)
        (void)fprintf(
            stderr, "  openclaw %s --socket " STR_FMT "\n", c->command, STR_ARG(alive[i]));
    return NULL;
}

static bool
open_client(struct admin_client *c)
{
    const char *key = getenv("OPENCLAW_API_KEY");    /* NOLINT(concurrency-mt-unsafe): at start */

    if (c->url != NULL && key != NULL && key[0] != '\0')
        buf_printf(
            &c->fields, "Authorization: Bearer " STR_FMT "\r\n", STR_ARG(str_trim(str_c(key))));
    if (c->url != NULL)
        return connect_to(c, c->url);
    if (c->missing)
        return false;
    if (c->socket == NULL)
        c->socket = find_socket(c);
    return c->socket != NULL && connect_to(c, url_of_socket(c->arena, str_c(c->socket)).p);
}

int
admin_client_run(struct admin_client *c, bool (*act)(struct admin_client *c, void *arg), void *arg)
{
    c->arena = arena_create(ARENA_BYTES);
    buf_init(&c->fields, 64 * 1024);
    buf_add(&c->fields, S("User-Agent: openclaw\r\n"));
    bool done = open_client(c) ? act(c, arg) : c->missing && c->without(c, arg);

    hang_up(c);
    buf_fini(&c->fields);
    arena_destroy(c->arena);
    return done ? 0 : 1;
}

/* --- what the server says --- */

struct str
admin_shown(const struct admin_client *c, struct str text)
{
    struct buf b;

    buf_init(&b, 4 * text.n);
    log_add_visible(&b, text);
    struct str shown = arena_str(c->arena, buf_str(&b));
    buf_fini(&b);
    return shown;
}

struct str
admin_shown_json(const struct admin_client *c, struct str text)
{
    struct buf b;

    buf_init(&b, 6 * text.n);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char ch = (unsigned char)text.p[i];
        bool c1 = ch == 0xc2 && i + 1 < text.n && (unsigned char)text.p[i + 1] < 0xa0;

        if (c1)
            ch = (unsigned char)text.p[++i];
        if (c1 || ch == 0x7f || (ch < 0x20 && ch != '\n' && ch != '\t'))
            buf_printf(&b, "\\u%04x", ch);
        else
            buf_add_c(&b, (char)ch);
    }
    struct str shown = arena_str(c->arena, buf_str(&b));
    buf_fini(&b);
    return shown;
}

struct str
admin_problem(const struct admin_client *c, const struct json *problem, int status)
{
    const struct json *errors = json_get(problem, S("errors"));
    struct json_iter it = json_iter(errors);
    struct str said = admin_text(c, problem, "detail");

    if (said.n == 0)
        return arena_printf(c->arena, "status %d", status);
    if (json_count(errors) > 1)
        said = S("");
    while (json_count(errors) > 1 && json_next(&it))
        said = arena_printf(c->arena, STR_FMT "\n  " STR_FMT ": " STR_FMT, STR_ARG(said),
            STR_ARG(str_skip(admin_text(c, it.value, "pointer"), 1)),
            STR_ARG(admin_text(c, it.value, "detail")));
    return said;
}

static struct str
refusal(struct admin_client *c)
{
    const struct json *doc = json_parse(c->arena, talk_body(c->line), NULL, NULL);

    return admin_problem(c, doc, talk_status(c->line));
}

struct str
admin_encode(struct arena *a, const char *name)
{
    struct str s = str_c(name);
    char *out = arena_alloc(a, 3 * s.n + 1, 1);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (url_is_unreserved(s.p[i]) || s.p[i] == '/')
            out[n++] = s.p[i];
        else
            n += (size_t)snprintf(out + n, 4, "%%%02X", (unsigned char)s.p[i]);
    }
    return str_make(out, n);
}

const struct json *
admin_client_ask(struct admin_client *c, const char *path, struct str body, struct str *ret_text)
{
    return admin_client_send(c, body.n != 0 ? S("POST") : S("GET"), path, body, ret_text);
}

const struct json *
admin_client_send(struct admin_client *c, struct str method, const char *path, struct str body,
    struct str *ret_text)
{
    struct str whole = arena_printf(c->arena, STR_FMT API "%s", STR_ARG(c->base), path);
    const char *where = c->url != NULL ? c->url : c->socket;

    talk_limit(c->line, str_eq(method, S("GET")) ? ASK_MS : CHANGE_MS);
    enum talk_outcome outcome = talk_send(c->line, method, whole, body, NULL);
    if (outcome == TALK_UNREACHED)
        (void)fprintf(
            stderr, "openclaw %s: no gateway answers at %s; is it running?\n", c->command, where);
    else if (outcome == TALK_LATE)
        (void)fprintf(stderr,
            "openclaw %s: the gateway at %s gave " STR_FMT "; is its process stopped?\n",
            c->command, where, STR_ARG(talk_message(c->line)));
    else if (outcome == TALK_REFUSED)
        (void)fprintf(stderr, "openclaw %s: " STR_FMT "\n", c->command, STR_ARG(refusal(c)));
    else if (outcome != TALK_DONE && outcome != TALK_INTERRUPTED)
        (void)fprintf(stderr, "openclaw %s: %s: " STR_FMT "\n", c->command, where,
            STR_ARG(admin_shown(c, talk_message(c->line))));
    if (outcome != TALK_DONE)
        return NULL;
    struct str text = admin_shown_json(c, str_trim(talk_body(c->line)));
    if (text.n == 0 && talk_status(c->line) == 204)
        text = S("{}");
    const struct json *doc = json_parse(c->arena, text, NULL, NULL);
    if (!json_is(doc, JSON_OBJECT)) {
        (void)fprintf(
            stderr, "openclaw %s: %s: the answer is not that of a gateway\n", c->command, where);
        return NULL;
    }
    if (ret_text != NULL)
        *ret_text = text;
    return doc;
}

struct str
admin_text(const struct admin_client *c, const struct json *doc, const char *name)
{
    return admin_shown(c, json_str(c->arena, json_get(doc, str_c(name))));
}

uint64_t
admin_number(const struct json *doc, const char *name)
{
    return (uint64_t)MAX(json_i64(json_get(doc, str_c(name)), 0), 0);
}

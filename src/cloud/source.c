/* source.c - what the sources share: requests, forms, answers with tokens, failures. */
#include "cloud/source.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "base/url.h"

#define WHY_BYTES 300
#define FILE_BYTES_MAX (64 * 1024)
#define ERROR_WORD_BYTES 64
#define ERROR_TEXT_BYTES 160
#define ANSWER_DEPTH 16
#define ANSWER_VALUES 1000
#define YEAR_S (366 * 24 * 3600)

enum source_next
source_fail(struct source_run *r, const char *format, ...)
{
    char text[WHY_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    r->why = arena_str(r->a, str_c(text));
    return SOURCE_FAILED;
}

static enum source_next
ask(struct source_run *r, struct str method, struct str url, struct str fields, struct str content)
{
    r->method = method;
    r->url = url;
    r->fields = fields;
    r->content = content;
    return SOURCE_ASK;
}

enum source_next
source_get(struct source_run *r, struct str url, struct str fields)
{
    return ask(r, S("GET"), url, fields, S(""));
}

enum source_next
source_post_form(struct source_run *r, struct str url, struct str form)
{
    return ask(r, S("POST"), url, S("Content-Type: application/x-www-form-urlencoded\r\n"), form);
}

struct str
source_encoded(struct source_run *r, struct str text)
{
    struct buf b;

    buf_init(&b, 4 * FILE_BYTES_MAX);
    url_add_segment(&b, text);
    struct str s = arena_str(r->a, buf_str(&b));
    buf_fini(&b);
    return s;
}

struct str
source_setting(const struct source_run *r, enum source_setting s, struct str fallback)
{
    return r->settings->v[s].n != 0 ? r->settings->v[s] : fallback;
}

struct str
source_file(struct arena *a, struct str path)
{
    struct str path_c = arena_str(a, path);
    int fd =
        path.n != 0 && path_c.p != NULL ? open(path_c.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    char *room = fd >= 0 ? arena_try(a, FILE_BYTES_MAX) : NULL;
    size_t n = 0;
    ssize_t got = room != NULL ? 1 : -1;

    while (got > 0 && n < FILE_BYTES_MAX) {
        got = read(fd, room + n, FILE_BYTES_MAX - n);
        n += got > 0 ? (size_t)got : 0;
    }
    if (fd >= 0)
        (void)close(fd);
    return got == 0 ? str_trim(str_make(room, n)) : (struct str){ NULL, 0 };
}

bool
source_is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return s.n != 0;
}

/* --- answers --- */

static const struct json *
answer_json(struct source_run *r)
{
    const struct json_limits limits = { .depth = ANSWER_DEPTH, .values = ANSWER_VALUES };

    return json_parse(r->a, r->body, &limits, NULL);
}

/* The text without what a log could not show, and without any of the settings, some of which are
 * secrets. */
static struct str
shown(struct source_run *r, struct str text)
{
    char *room = arena_try(r->a, ERROR_TEXT_BYTES + 1);
    size_t n = 0;

    if (room == NULL)
        return S("");
    for (size_t i = 0; i < text.n && n < ERROR_TEXT_BYTES && text.p[i] != '\r' && text.p[i] != '\n';
         i++)
        room[n++] = text.p[i] >= ' ' && text.p[i] <= '~' ? text.p[i] : '?';
    struct str s = str_make(room, n);
    const enum source_setting secrets[] = { SOURCE_SECRET, SOURCE_SESSION };
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        struct str secret = r->settings->v[secrets[i]];

        if (secret.n != 0 && str_find(text, secret) != text.n)
            return S("");
    }
    return s;
}

/* What is between the first such tags of an XML document. */
static struct str
tagged(struct str xml, const char *tag, struct arena *a)
{
    struct str begin = arena_printf(a, "<%s>", tag), end = arena_printf(a, "</%s>", tag);
    struct str rest = str_skip(xml, str_find(xml, begin));

    rest = str_skip(rest, begin.n);
    size_t n = str_find(rest, end);
    return n < rest.n ? str_trim(str_make(rest.p, n)) : S("");
}

enum source_next
source_refused(struct source_run *r)
{
    const struct json *doc = answer_json(r), *error = json_get(doc, S("error"));
    struct str code = S(""), text = S("");

    if (json_is(error, JSON_OBJECT)) {
        code = json_str(r->a, json_get(error, S("status")));
        text = json_str(r->a, json_get(error, S("message")));
    } else if (doc != NULL) {
        code = json_str(r->a, error != NULL ? error : json_get(doc, S("code")));
        text = json_str(r->a, json_get(doc, S("error_description")));
        if (text.n == 0)
            text = json_str(r->a, json_get(doc, S("message")));
        struct json_iter several = json_iter(json_get(doc, S("errors")));    /* Vault's */
        if (text.n == 0 && json_next(&several))
            text = json_str(r->a, several.value);
    } else {
        code = tagged(r->body, "Code", r->a);
        text = tagged(r->body, "Message", r->a);
    }
    if (code.n > ERROR_WORD_BYTES || !str_has_only(code, "_.-"))
        code = S("");
    text = shown(r, text);
    if (code.n == 0 && text.n == 0)
        return source_fail(r, "status %d", r->status);
    return source_fail(r, "status %d, " STR_FMT "%s" STR_FMT, r->status, STR_ARG(code),
        code.n != 0 && text.n != 0 ? ": " : "", STR_ARG(text));
}

/* A whole number that is also allowed as text; 0 if it is neither. */
static uint64_t
number_of(struct arena *a, const struct json *j)
{
    uint64_t n = 0;

    if (json_is(j, JSON_STRING))
        return str_u64(json_str(a, j), &n) ? n : 0;
    int64_t i = json_i64(j, 0);
    return i > 0 ? (uint64_t)i : 0;
}

enum source_next
source_read_token(struct source_run *r)
{
    const struct json *doc = r->status == 200 ? answer_json(r) : NULL;

    if (r->status != 200)
        return source_refused(r);
    uint64_t in_s = number_of(r->a, json_get(doc, S("expires_in")));
    uint64_t at_s = number_of(r->a, json_get(doc, S("expires_on")));
    r->token = json_str(r->a, json_get(doc, S("access_token")));
    if (!source_is_plain(r->token))
        return source_fail(r, "the answer has no access_token");
    if (in_s != 0)
        r->expires_ms = r->wall_ms + MIN(in_s, (uint64_t)YEAR_S) * 1000;
    else if (at_s != 0)
        r->expires_ms = MIN(at_s, r->wall_ms / 1000 + YEAR_S) * 1000;
    else
        r->expires_ms = r->wall_ms + 5 * 60 * 1000;    /* it does not say */
    return SOURCE_GOT;
}

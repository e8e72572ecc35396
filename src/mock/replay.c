/* replay.c - reads recorded cases and finds the boundaries of their events. */
#include "mock/replay.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/map.h"

enum { FILE_BYTES_MAX = 16 * 1024 * 1024, CASES_BYTES_MAX = 1024 * 1024 * 1024 };

struct mock_cases {
    struct arena *arena;
    struct map *by_name;
    size_t count;
};

static bool
read_file(struct arena *a, const char *path, struct str *ret)
{
    FILE *f = fopen(path, "rb");
    char *p = NULL;
    size_t n = 0;
    size_t room = 0;

    if (f == NULL)
        return false;
    while (n == room) {    /* the last read filled it: there may be more */
        room = room == 0 ? 16 * 1024 : 2 * room;
        p = room <= FILE_BYTES_MAX ? arena_grow(a, p, n, room) : NULL;
        if (p == NULL)
            break;
        n += fread(p + n, 1, room - n, f);
    }
    bool fine = p != NULL && ferror(f) == 0;
    fclose(f);
    *ret = str_make(p, n);
    return fine;
}

/* --- where events end --- */

/* The end of the event that starts at `at`, its blank line included. */
static size_t
sse_event_end(struct str s, size_t at)
{
    bool line_empty = false;    /* a blank line before any content does not end an event */
    bool content = false;

    for (size_t i = at; i < s.n; i++) {
        if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')
            continue;
        if (s.p[i] != '\n' && s.p[i] != '\r') {
            content = true;
            line_empty = false;
            continue;
        }
        if (line_empty && content)
            return i + 1;
        line_empty = true;
    }
    return s.n;
}

static size_t
line_end(struct str s, size_t at)
{
    size_t n = str_chr(str_skip(s, at), '\n');

    return MIN(at + n + 1, s.n);
}

/* AWS event stream: the first four bytes of a message are its length, big-endian. */
static size_t
aws_message_end(struct str s, size_t at)
{
    const unsigned char *p = (const unsigned char *)s.p + at;

    if (s.n - at < 16)
        return s.n;
    size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    return n < 16 || n > s.n - at ? s.n : at + n;
}

static void
find_events(struct arena *a, struct mock_case *c, size_t (*event_end)(struct str s, size_t at))
{
    size_t count = 0;
    size_t *ends;

    for (size_t at = 0; at < c->body.n; count++)
        at = event_end(c->body, at);
    ends = arena_array(a, size_t, count + 1);
    c->count = 0;
    for (size_t at = 0; at < c->body.n; ends[c->count++] = at)
        at = event_end(c->body, at);
    c->ends = ends;
}

static size_t
whole(struct str s, size_t at)
{
    (void)at;
    return s.n;
}

/* --- one case --- */

/* Fields that the server writes itself, or that only applied to the recording. */
static bool
is_framing(struct str name)
{
    static const char *const names[] = { "date", "content-length", "transfer-encoding",
        "connection", "content-encoding", "keep-alive" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_ieq(name, str_c(names[i])))
            return true;
    return false;
}

static bool
read_head(struct arena *a, const char *path, struct mock_case *c)
{
    struct str text;
    struct buf fields;

    if (!read_file(a, path, &text))
        return false;
    const struct json *doc = json_parse(a, text, NULL, NULL);
    struct json_iter it = json_iter(json_get(doc, S("headers")));
    int64_t status = json_i64(json_get(doc, S("status")), 0);
    if (status < 200 || status > 599)
        return false;

    c->status = (int)status;
    buf_init(&fields, 64 * 1024);
    while (json_next(&it)) {
        struct str name = json_str(a, it.key);
        struct str value = json_str(a, it.value);
        if (is_framing(name) || str_chr(value, '\n') < value.n || str_chr(value, '\r') < value.n)
            continue;
        if (str_ieq(name, S("content-type"))) {
            c->type = value;
            continue;
        }
        buf_printf(&fields, STR_FMT ": " STR_FMT "\r\n", STR_ARG(name), STR_ARG(value));
    }
    c->fields = arena_str(a, buf_str(&fields));
    buf_fini(&fields);
    return true;
}

static bool
read_body(struct arena *a, const char *folder, struct mock_case *c)
{
    static const struct {
        const char *name;
        bool stream;
        size_t (*event_end)(struct str s, size_t at);
    } forms[] = {
        { "response.sse", true, sse_event_end },
        { "response.ndjson", true, line_end },
        { "response.eventstream", true, aws_message_end },
        { "response.json", false, whole },
    };
    char path[4096];

    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if (snprintf(path, sizeof(path), "%s/%s", folder, forms[i].name) >= (int)sizeof(path))
            return false;
        if (read_file(a, path, &c->body)) {
            c->stream = forms[i].stream;
            find_events(a, c, forms[i].event_end);
            return true;
        }
    }
    return false;
}

/* Adds the folder if it holds a case. */
static bool
add_case(struct mock_cases *cases, const char *folder, struct str group, struct str name)
{
    struct mock_case *c = arena_new(cases->arena, struct mock_case);
    char path[4096];

    if (snprintf(path, sizeof(path), "%s/response.headers.json", folder) >= (int)sizeof(path) ||
        !read_head(cases->arena, path, c) || !read_body(cases->arena, folder, c))
        return false;
    c->name = arena_printf(
        cases->arena, STR_FMT "%s" STR_FMT, STR_ARG(group), group.n != 0 ? "/" : "", STR_ARG(name));
    map_put(cases->by_name, c->name, c);
    if (group.n != 0 && map_get(cases->by_name, name) == NULL)
        map_put(cases->by_name, name, c);
    cases->count++;
    return true;
}

static void
add_folder(struct mock_cases *cases, const char *path, struct str group)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    char inner[4096];

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        int n = snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);

        if (entry->d_name[0] == '.' || n >= (int)sizeof(inner) || entry->d_type == DT_REG)
            continue;
        struct str name = str_c(entry->d_name);
        if (!add_case(cases, inner, group, name) && group.n == 0)
            add_folder(cases, inner, arena_str(cases->arena, name));
    }
    if (dir != NULL)
        closedir(dir);
}

struct mock_cases *
mock_cases_load(const char *path, struct why why)
{
    struct mock_cases *cases = check_alloc(calloc(1, sizeof(*cases)));

    cases->arena = arena_create(CASES_BYTES_MAX);
    cases->by_name = map_create();
    add_folder(cases, path, (struct str){ NULL, 0 });
    if (cases->count != 0)
        return cases;
    why_say(why,
        "no recorded cases in %s: a case is a folder with response.headers.json and response.json,"
        " .sse, .ndjson or .eventstream",
        path);
    mock_cases_destroy(cases);
    return NULL;
}

void
mock_cases_destroy(struct mock_cases *c)
{
    if (c == NULL)
        return;
    map_destroy(c->by_name);
    arena_destroy(c->arena);
    free(c);
}

const struct mock_case *
mock_cases_find(const struct mock_cases *c, struct str name)
{
    return c != NULL ? map_get(c->by_name, name) : NULL;
}

/* recorded.h - recorded traffic that lies beside the project, for tests to replay.
 *
 * The folder is named by OPENCLAW_SHARED, or is ../shared beside the project. It is not part of
 * the tree: tests that need it skip themselves where it is not, and fail on the build machine (CI).
 */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "llm/wire.h"

struct recorded {
    struct arena *arena;
    const struct wire *wire;
    const char *id;    /* name of the case, for messages */
    const char *path;
    const struct json *about;     /* case.json */
    const struct json *expect;    /* expect.json */
    struct str response;
    struct str request;    /* empty when it was not recorded */
    enum llm_op op;
};

static inline const char *
recorded_root(void)
{
    static char root[1024];
    const char *shared = getenv("OPENCLAW_SHARED");
    char project[512];

    if (root[0] != '\0')
        return root;
    if (shared != NULL) {
        snprintf(root, sizeof(root), "%s/fixtures/wire", shared);
        return root;
    }
    snprintf(project, sizeof(project), "%s", __FILE__);
    for (int i = 0; i < 4; i++) {    /* tests/unit/llm/recorded.h */
        char *slash = strrchr(project, '/');

        strcpy(slash != NULL ? slash : project, slash != NULL ? "" : ".");
    }
    snprintf(root, sizeof(root), "%s/../shared/fixtures/wire", project);
    return root;
}

/* The whole file in `a`; the empty slice when it is not there. */
static inline struct str
recorded_file(struct arena *a, const char *folder, struct str name)
{
    char path[1600];
    char *text = NULL;
    size_t n = 0;

    snprintf(path, sizeof(path), "%s/" STR_FMT, folder, STR_ARG(name));

    FILE *f = fopen(path, "rb");

    if (f == NULL)
        return S("");
    for (size_t got = 1; got > 0;) {
        char block[65536];

        got = fread(block, 1, sizeof(block), f);
        text = arena_grow(a, text, n, n + got + 1);
        CHECK(text != NULL);
        memcpy(text + n, block, got);
        n += got;
    }
    fclose(f);
    return str_make(text, n);
}

static inline const struct json *
recorded_json(struct arena *a, const char *folder, struct str name)
{
    struct str text = recorded_file(a, folder, name);

    return text.n > 0 ? json_parse(a, text, NULL, NULL) : NULL;
}

static inline const struct wire *
recorded_wire(const struct json *about, enum llm_op *ret_op)
{
    const struct json *wire = json_get(about, S("wire"));
    static const struct {
        struct str folder;
        struct str wire;
        enum llm_op op;
    } relatives[] = {
        { S_INIT("openai-completions"), S_INIT("openai-chat"), OP_COMPLETE },
        { S_INIT("openai-embeddings"), S_INIT("openai-chat"), OP_EMBED },
        { S_INIT("mistral"), S_INIT("openai-chat"), OP_CHAT },
    };

    for (size_t i = 0; i < ARRAY_LEN(relatives); i++) {
        if (json_str_is(wire, relatives[i].folder)) {
            *ret_op = relatives[i].op;
            return wire_named(relatives[i].wire);
        }
    }
    *ret_op = OP_CHAT;
    if (!json_str_is(json_get(about, S("op")), S("chat")))
        return NULL;
    return wire_named(str_make(wire->p + 1, wire->n - 2));
}

/* Calls run() for every recorded case of one of our wires. Returns their number; -1 when the folder
 * is not there. */
static inline int
recorded_walk(void (*run)(struct recorded *c))
{
    DIR *wires = opendir(recorded_root());
    struct dirent *wire;
    int count = 0;

    CHECK(wires != NULL || getenv("CI") == NULL);    /* there it must not be missing */
    if (wires == NULL)
        return -1;
    while ((wire = readdir(wires)) != NULL) {
        char folder[1300];
        struct dirent *entry;

        snprintf(folder, sizeof(folder), "%s/%s", recorded_root(), wire->d_name);

        DIR *cases = wire->d_name[0] != '.' ? opendir(folder) : NULL;

        while (cases != NULL && (entry = readdir(cases)) != NULL) {
            char path[1560];
            struct recorded c = { .arena = arena_create(64 * 1024 * 1024) };

            snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
            c.id = entry->d_name;
            c.path = path;
            c.about = recorded_json(c.arena, path, S("case.json"));
            c.expect = recorded_json(c.arena, path, S("expect.json"));
            if (c.about != NULL && c.expect != NULL)
                c.wire = recorded_wire(c.about, &c.op);
            if (c.wire != NULL) {
                c.response = recorded_file(
                    c.arena, path, json_str(c.arena, json_get(c.about, S("response_file"))));
                c.request = recorded_file(c.arena, path, S("request.json"));
                run(&c);
                count++;
            }
            arena_destroy(c.arena);
        }
        if (cases != NULL)
            closedir(cases);
    }
    closedir(wires);
    return count;
}

/* Equal values, whatever the order of members and the spelling of numbers and strings. */
static inline bool
json_same(struct arena *a, const struct json *x, const struct json *y)
{
    if (x == NULL || y == NULL || x->type != y->type || json_count(x) != json_count(y))
        return x == NULL && y == NULL;
    if (x->type == JSON_STRING)
        return str_eq(json_str(a, x), json_str(a, y));
    if (x->type == JSON_NUMBER)
        return json_f64(x, 0) == json_f64(y, 1);

    struct json_iter ix = json_iter(x);
    struct json_iter iy = json_iter(y);

    while (json_next(&ix)) {
        const struct json *other = NULL;

        if (ix.key != NULL)
            other = json_get(y, json_str(a, ix.key));
        else if (json_next(&iy))
            other = iy.value;
        if (!json_same(a, ix.value, other))
            return false;
    }
    return true;
}

/* complain.c - messages of one form: "'path' is wrong in this way; write that". */
#include "conf/complain.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "conf/value.h"

enum { PATH_BYTES_MAX = 4096, NAMES_MAX = 32 };

static void
add_place(struct complaints *c, struct buf *out, const struct place *at)
{
    if (at->parent == NULL)
        return;
    add_place(c, out, at->parent);
    if (at->key.n == 0) {
        buf_printf(out, "[%zu]", at->index);
        return;
    }
    if (buf_len(out) != 0)
        buf_add_c(out, '.');
    buf_add(out, yaml_shown(c->scratch, at->key));
}

static struct str
place_text(struct complaints *c, const struct place *at)
{
    struct buf out;

    buf_init(&out, PATH_BYTES_MAX);
    add_place(c, &out, at);
    struct str text = at->parent == NULL
                          ? S("the file")
                          : arena_printf(c->scratch, "'" STR_FMT "'", STR_ARG(buf_str(&out)));
    buf_fini(&out);
    return text;
}

void
complain(
    struct complaints *c, const struct place *at, const struct yaml *y, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    CHECK(n >= 0);

    c->count++;
    if (y->set != NULL)
        conf_problem(c->problems, y->mark, "--set %s: " STR_FMT " %s", y->set,
            STR_ARG(place_text(c, at)), text);
    else
        conf_problem(c->problems, y->mark, STR_FMT " %s", STR_ARG(place_text(c, at)), text);
}

const char *
complain_shape(const struct yaml *y)
{
    static const char *const shapes[] = {
        [YAML_NULL] = "empty",
        [YAML_SCALAR] = "a single value",
        [YAML_LIST] = "a list",
        [YAML_MAP] = "a section",
    };

    return shapes[y->type];
}

static struct str
choices_text(struct complaints *c, struct str choices)
{
    struct str word, text = S("");

    while (option_next_choice(&choices, &word))
        text = arena_printf(c->scratch, STR_FMT "%s" STR_FMT, STR_ARG(text),
            text.n == 0      ? ""
            : choices.n == 0 ? " or "
                             : ", ",
            STR_ARG(word));
    return text;
}

const char *
complain_advice(struct complaints *c, const struct option *o)
{
    struct arena *a = c->scratch;
    const char *example = o->example.p;

    switch (o->type) {
    case OPTION_STRING:
        return arena_printf(a, "write a text, like %s", example).p;
    case OPTION_STRINGS:
        return arena_printf(a, "write a text or a list of texts, like %s", example).p;
    case OPTION_DURATION:
        return arena_printf(a, "write a time from %s to %s, like 500ms, 10s, 5m or 1h",
            value_duration_text(a, o->min).p, value_duration_text(a, o->max).p)
            .p;
    case OPTION_SIZE:
        return arena_printf(a, "write a size from %s to %s, like 64KB or 32MB",
            value_size_text(a, o->min).p, value_size_text(a, o->max).p)
            .p;
    case OPTION_COUNT:
        return arena_printf(a, "write %s%sa whole number from %llu to %llu", o->choices.p,
            o->choices.n != 0 ? " or " : "", (unsigned long long)o->min, (unsigned long long)o->max)
            .p;
    case OPTION_BOOL:
        return "write true or false";
    case OPTION_CHOICE:
    case OPTION_ENUM:
        return arena_printf(a, "write " STR_FMT, STR_ARG(choices_text(c, o->choices))).p;
    case OPTION_SECTION:
        return "write its settings below it, one \"name: value\" a line";
    case OPTION_MAP:
        return "write names below it, each with its settings";
    case OPTION_LIST:
        return arena_printf(a, "write a list, like %s", example).p;
    case OPTION_PAIRS:
    case OPTION_JSON:
        return arena_printf(a, "write names and values, like %s", example).p;
    case OPTION_LATER:
        return "remove it";
    }
    CHECK_UNREACHABLE();
}

void
complain_choice(struct complaints *c, const struct place *at, const struct yaml *y,
    const struct option *o, struct str text)
{
    struct str names[NAMES_MAX], choices = o->choices, list = choices_text(c, choices);
    size_t n = 0;

    if (option_choice(o->later, text) != 0) {    /* one of our own words: safe to show */
        complain(c, at, y,
            "cannot be " STR_FMT ": this version does not support that; write " STR_FMT,
            STR_ARG(text), STR_ARG(list));
        return;
    }
    while (n < NAMES_MAX && option_next_choice(&choices, &names[n]))
        n++;
    struct str near = conf_closest(text, names, n);
    complain(c, at, y, "must be %s" STR_FMT "%s" STR_FMT "%s", n > 2 ? "one of " : "",
        STR_ARG(list), near.n != 0 ? "; did you mean '" : "", STR_ARG(near),
        near.n != 0 ? "'?" : "");
}

/* The path of the one other section that has this key, for settings that landed in the wrong place;
 * or NULL. */
static const char *
other_home(enum section_id id, struct str key)
{
    const char *home = NULL;
    const struct option *o;

    for (size_t i = 0; (o = option_at(i)) != NULL; i++) {
        if (o->section == id || o->type == OPTION_LATER || !str_eq(o->key, key))
            continue;
        if (home != NULL)
            return NULL;
        home = o->section == SECTION_root ? "the top level" : section_row(o->section)->path.p;
    }
    return home;
}

/* May an unknown name be shown? "api_key:sk-1234", with the blank forgotten, is a name that
 * contains a secret. */
static bool
is_harmless(struct str key)
{
    for (size_t i = 0; i < key.n; i++) {
        if (!str_is_letter(key.p[i]) && key.p[i] != '_' && key.p[i] != '-')
            return false;
    }
    return key.n != 0 && key.n <= 32;
}

void
complain_unknown(struct complaints *c, const struct place *parent, const struct yaml_entry *e,
    enum section_id id)
{
    struct yaml where = { .mark = e->key_mark, .set = e->value->set };
    struct place place = { .parent = parent, .key = e->key };
    bool shown = is_harmless(e->key);
    const struct place *at = shown ? &place : parent;
    const char *what = shown ? "is unknown" : "has a setting that is unknown";
    struct str names[NAMES_MAX], list = S("");
    const char *home = other_home(id, e->key);
    const struct option *o;
    size_t n = 0;

    for (size_t i = 0; (o = option_at(i)) != NULL && n < NAMES_MAX; i++) {
        if (o->section != id || o->type == OPTION_LATER)
            continue;
        list = arena_printf(
            c->scratch, STR_FMT "%s" STR_FMT, STR_ARG(list), n != 0 ? ", " : "", STR_ARG(o->key));
        names[n++] = o->key;
    }
    struct str near = conf_closest(e->key, names, n);
    if (e->value->type == YAML_NULL && str_chr(e->key, ':') != e->key.n)
        complain(c, at, &where,
            shown ? "has no blank after its colon; write name: value"
                  : "has a setting without a blank after its colon; write name: value");
    else if (near.n != 0)
        complain(c, at, &where, "%s; did you mean '" STR_FMT "'?", what, STR_ARG(near));
    else if (home != NULL)
        complain(c, at, &where, "%s here; it belongs to %s", what, home);
    else
        complain(c, at, &where, "%s; write one of " STR_FMT, what, STR_ARG(list));
}

/* It is reported at the name of the map entry, not at its first setting. */
void
complain_lacking(struct complaints *c, const struct place *at, const struct yaml *y,
    const struct option *o, const char *base)
{
    const struct section *s = section_row(o->section);
    struct yaml where = { .mark = y->mark, .set = y->set };

    if (s->mark_at != OPTION_NOWHERE)
        where.mark = *(const struct conf_mark *)(const void *)(base + s->mark_at);
    complain(c, at, &where, "lacks '" STR_FMT "'; write " STR_FMT ": " STR_FMT, STR_ARG(o->key),
        STR_ARG(o->key), STR_ARG(o->example));
}

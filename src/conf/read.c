/* read.c - walks the tree and the table of settings together.
 *
 * A place is a setting's path as people write it, "models.fast.targets[1].weight". It is a
 * chain of frames on the stack, turned into text only to report an error.
 */
#include "conf/read.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/map.h"
#include "conf/form.h"
#include "conf/params.h"
#include "conf/value.h"

enum { PATH_BYTES_MAX = 4096, ENTRIES_MAX = 10000, KEYS_MAX = 32, TEXTS_MAX = 1000 };

struct place {
    const struct place *parent;    /* NULL: the top level */
    struct str key;                /* empty for an entry of a list */
    size_t index;
};

struct reader {
    struct conf *conf;
    struct arena *arena;
    struct arena *scratch;
    struct conf_problems *problems;
    size_t complaints;
};

static struct spot *
spot_at(struct reader *r, const void *at)
{
    struct spot *s = map_get(r->conf->spots, spot_key(&at));

    if (s == NULL) {
        s = arena_new(r->arena, struct spot);
        (void)map_put(r->conf->spots, spot_key(&at), s);
    }
    return s;
}

static void
add_place(struct reader *r, struct buf *out, const struct place *at)
{
    if (at->parent == NULL)
        return;
    add_place(r, out, at->parent);
    if (at->key.n == 0) {
        buf_printf(out, "[%zu]", at->index);
        return;
    }
    if (buf_len(out) != 0)
        buf_add_c(out, '.');
    buf_add(out, yaml_shown(r->scratch, at->key));
}

static struct str
place_text(struct reader *r, const struct place *at)
{
    struct buf out;

    buf_init(&out, PATH_BYTES_MAX);
    add_place(r, &out, at);
    struct str text = at->parent == NULL
                          ? S("the file")
                          : arena_printf(r->scratch, "'" STR_FMT "'", STR_ARG(buf_str(&out)));
    buf_fini(&out);
    return text;
}

/* "'server.workers' ..." at the value's mark; for a value from --set, it is mentioned. */
static void complain(struct reader *r, const struct place *at, const struct yaml *y,
    const char *format, ...) PRINTF_LIKE(4, 5);

static void
complain(struct reader *r, const struct place *at, const struct yaml *y, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    CHECK(n >= 0);

    r->complaints++;
    if (y->set != NULL)
        conf_problem(r->problems, y->mark, "--set %s: " STR_FMT " %s", y->set,
            STR_ARG(place_text(r, at)), text);
    else
        conf_problem(r->problems, y->mark, STR_FMT " %s", STR_ARG(place_text(r, at)), text);
}

static const char *
shape(const struct yaml *y)
{
    return y->type == YAML_LIST ? "a list" : y->type == YAML_MAP ? "a section" : "a single value";
}

static struct str
choices_text(struct reader *r, struct str choices)
{
    struct str word, text = S("");

    while (option_next_choice(&choices, &word))
        text = arena_printf(r->scratch, STR_FMT "%s" STR_FMT, STR_ARG(text),
            text.n == 0      ? ""
            : choices.n == 0 ? " or "
                             : ", ",
            STR_ARG(word));
    return text;
}

/* What to write instead, as the end of a message. */
static const char *
advice(struct reader *r, const struct option *o)
{
    struct arena *a = r->scratch;
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
        return arena_printf(a, "write " STR_FMT, STR_ARG(choices_text(r, o->choices))).p;
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

/* The list doubles: a thousand keys may each have a file. */
static void
note_file(struct reader *r, struct str path, struct conf_mark mark, bool secret)
{
    struct conf_strs *f = &r->conf->files;

    if ((f->count & (f->count + 1)) == 0) {    /* 0, 1, 3, 7, ...: full */
        struct conf_str *more = arena_array(r->arena, struct conf_str, 2 * f->count + 1);

        for (size_t i = 0; i < f->count; i++)
            more[i] = f->list[i];
        f->list = more;
    }
    f->list[f->count++] = (struct conf_str){
        .v = arena_printf(r->arena, STR_FMT, STR_ARG(path)), .mark = mark, .secret = secret
    };
}

/* The text of a scalar with its references replaced. False when that fails, after reporting it. */
static bool
read_text(struct reader *r, const struct place *at, const struct yaml *y, unsigned flags,
    struct conf_str *ret)
{
    struct str v, file = S("");
    const char *reason =
        value_resolve(r->arena, y->text, (flags & OPTION_SECRET) != 0 ? &file : NULL, &v);

    if (file.n != 0)
        note_file(r, file, y->mark, true);
    if (reason == NULL && v.n == 0)
        reason = "is empty; write a value, or leave the setting out";
    if (reason != NULL) {
        complain(r, at, y, "%s", reason);
        return false;
    }
    *ret = (struct conf_str){ .v = v, .mark = y->mark, .secret = (flags & OPTION_SECRET) != 0 };
    return true;
}

static bool
read_formed(struct reader *r, const struct place *at, const struct yaml *y, enum conf_form form,
    unsigned flags, struct conf_str *ret)
{
    struct conf_str text;

    if (!read_text(r, at, y, flags, &text))
        return false;

    const char *reason = form_problem(r->scratch, form, text.v);
    if (form == FORM_FILE)
        note_file(r, text.v, y->mark, false);
    if (reason != NULL) {
        complain(r, at, y, "%s", reason);
        return false;
    }
    *ret = text;
    return true;
}

static void
read_strings(struct reader *r, const struct place *at, const struct yaml *y, const struct option *o,
    char *base)
{
    struct conf_strs *ret = (struct conf_strs *)(void *)(base + o->at);
    size_t count = y->type == YAML_LIST ? y->count : 1;
    struct place item = { .parent = at };

    if (count > TEXTS_MAX) {
        complain(r, at, y, "has more than %d entries; write fewer", TEXTS_MAX);
        return;
    }
    struct conf_strs read = { .list = arena_array(r->arena, struct conf_str, count) };
    if (y->type == YAML_LIST && count == 0)
        complain(r, at, y, "is an empty list; %s", advice(r, o));
    if (y->type == YAML_SCALAR && read_formed(r, at, y, o->form, o->flags, &read.list[0]))
        read.count = 1;
    for (const struct yaml_entry *e = y->type == YAML_LIST ? y->first : NULL; e != NULL;
         e = e->next) {
        if (e->value->type != YAML_SCALAR)
            complain(r, &item, e->value, "is %s; write a text",
                e->value->type == YAML_NULL ? "empty" : shape(e->value));
        else if (read_formed(r, &item, e->value, o->form, o->flags, &read.list[read.count]))
            read.count++;
        item.index++;
    }
    *ret = read;
    if (o->aux != OPTION_NOWHERE)
        *(bool *)(void *)(base + o->aux) = true;
}

/* A number with the bounds of its row; `v` was read, or `valid` is false. */
static void
keep_number(struct reader *r, const struct place *at, const struct yaml *y, const struct option *o,
    bool valid, uint64_t v, char *base)
{
    if (!valid)
        complain(r, at, y, "is not %s; %s",
            o->type == OPTION_DURATION ? "a time with its unit"
            : o->type == OPTION_SIZE   ? "a size"
                                       : "a whole number",
            advice(r, o));
    else if (v < o->min || v > o->max)
        complain(r, at, y, "is too %s; %s", v < o->min ? "small" : "large", advice(r, o));
    else
        *(uint64_t *)(void *)(base + o->at) = v;
}

static void
read_bool(struct reader *r, const struct place *at, const struct yaml *y, const struct option *o,
    struct str v, char *base)
{
    bool *ret = (bool *)(void *)(base + o->at);

    if (str_eq(v, S("true")) || str_eq(v, S("false")))
        *ret = str_eq(v, S("true"));
    else
        complain(r, at, y, "must be true or false");
}

static void
read_choice(struct reader *r, const struct place *at, const struct yaml *y, const struct option *o,
    struct conf_str text, char *base)
{
    struct str names[KEYS_MAX], choices = o->choices;
    size_t n = 0;
    unsigned choice = option_choice(choices, text.v);

    if (choice != 0 && o->type == OPTION_ENUM) {
        *(int *)(void *)(base + o->at) = (int)choice;
        *(struct conf_mark *)(void *)(base + o->aux) = y->mark;
        return;
    }
    if (choice != 0) {
        *(struct conf_str *)(void *)(base + o->at) = text;
        return;
    }
    if (option_choice(o->later, text.v) != 0) {    /* one of our own words: safe to show */
        complain(r, at, y, "cannot be " STR_FMT ": this version does not support that; %s",
            STR_ARG(text.v), advice(r, o));
        return;
    }
    while (n < KEYS_MAX && option_next_choice(&choices, &names[n]))
        n++;
    struct str near = conf_closest(text.v, names, n);
    if (near.n != 0)
        complain(r, at, y, "must be %s" STR_FMT "; did you mean '" STR_FMT "'?",
            n > 2 ? "one of " : "", STR_ARG(choices_text(r, o->choices)), STR_ARG(near));
    else
        complain(r, at, y, "must be %s" STR_FMT, n > 2 ? "one of " : "",
            STR_ARG(choices_text(r, o->choices)));
}

static void
read_scalar(struct reader *r, const struct place *at, const struct yaml *y, const struct option *o,
    char *base)
{
    struct conf_str text;
    uint64_t v = 0;

    if (o->type == OPTION_STRING) {
        (void)read_formed(r, at, y, o->form, o->flags, (struct conf_str *)(void *)(base + o->at));
        return;
    }
    if (!read_text(r, at, y, o->flags, &text))
        return;
    if (o->type == OPTION_DURATION) {
        bool valid = value_duration(text.v, &v);
        keep_number(r, at, y, o, valid, v, base);
    } else if (o->type == OPTION_SIZE) {
        bool valid = value_size(text.v, &v);
        keep_number(r, at, y, o, valid, v, base);
    } else if (o->type == OPTION_COUNT && o->choices.n != 0 && str_eq(text.v, o->choices)) {
        *(uint64_t *)(void *)(base + o->at) = 0;
    } else if (o->type == OPTION_COUNT) {
        bool valid = str_u64(text.v, &v);
        keep_number(r, at, y, o, valid, v, base);
    } else if (o->type == OPTION_BOOL) {
        read_bool(r, at, y, o, text.v, base);
    } else {
        read_choice(r, at, y, o, text, base);
    }
}

static void
read_json(struct reader *r, const struct place *at, const struct yaml *y, const struct option *o,
    char *base)
{
    const struct yaml *where;
    struct str text = S("");
    const char *reason = params_text(r->arena, y, &text, &where);

    if (reason != NULL)
        complain(r, at, where, "%s", reason);
    else
        *(struct str *)(void *)(base + o->at) = text;
}

static bool
has_pair(const struct conf_pair *pairs, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_ieq(pairs[i].key.v, name))
            return true;
    }
    return false;
}

enum { PAIRS_MAX = 64, PAIRS_BYTES_MAX = 3 * 1024 };

static void
read_pairs(struct reader *r, const struct place *at, const struct yaml *y, const struct option *o,
    char *base)
{
    struct conf_pair *pairs = arena_array(r->arena, struct conf_pair, MIN(y->count, PAIRS_MAX));
    size_t n = 0, i = 0, bytes = 0;

    for (const struct yaml_entry *e = y->first; e != NULL; e = e->next) {
        struct yaml key = { .type = YAML_SCALAR, .mark = e->key_mark, .set = e->value->set };
        struct place entry = { .parent = at, .key = e->key, .index = i++ };
        const char *reason = form_problem(r->scratch, FORM_FIELD_NAME, e->key);

        if (reason == NULL && n == PAIRS_MAX)
            reason = "is more than the 64 header fields that are allowed; write fewer";
        if (reason == NULL && has_pair(pairs, n, e->key))
            reason = "is given twice, in different case; keep one of the two";
        if (form_problem(r->scratch, FORM_WORD, e->key) != NULL)
            entry.key = S("");
        if (reason != NULL) {
            complain(r, &entry, &key, "%s", reason);
        } else if (e->value->type != YAML_SCALAR) {
            complain(r, &entry, e->value, "is %s; write a text",
                e->value->type == YAML_NULL ? "empty" : shape(e->value));
        } else if (read_formed(r, &entry, e->value, FORM_FIELD_VALUE, o->flags, &pairs[n].value)) {
            bytes += e->key.n + pairs[n].value.v.n;
            pairs[n++].key =
                (struct conf_str){ .v = arena_str(r->arena, e->key), .mark = e->key_mark };
        }
    }
    if (bytes > PAIRS_BYTES_MAX)
        complain(r, at, y, "holds more than 3KB of header fields; write less");
    *(struct conf_pair **)(void *)(base + o->at) = pairs;
    *(size_t *)(void *)(base + o->aux) = n;
}

static void read_section(
    struct reader *r, const struct place *at, const struct yaml *y, enum section_id id, char *base);
static void read_value(struct reader *r, const struct place *at, const struct yaml *y,
    const struct option *o, char *base);

/* Gives every setting of the section its default. Defaults are read like values of the file. */
static void
set_defaults(struct reader *r, enum section_id id, char *base)
{
    const struct option *o;

    for (size_t i = 0; (o = option_at(i)) != NULL; i++) {
        if (o->section != id)
            continue;
        if (o->type == OPTION_SECTION && (o->flags & OPTION_INHERITS) == 0)
            set_defaults(r, o->within, base + o->at);
        if (o->fallback.n != 0) {
            struct yaml y = { .type = YAML_SCALAR, .text = o->fallback };
            struct place top = { .parent = NULL }, at = { .parent = &top, .key = o->key };

            read_value(r, &at, &y, o, base);
        }
    }
}

/* One entry of a map or a list: defaults, name and mark, then the values from the file. */
static void
read_entry(struct reader *r, const struct place *at, const struct yaml_entry *e,
    const struct option *o, char *base)
{
    const struct section *s = section_row(o->within);
    bool bare = s->short_form.n != 0 && e->value->type == YAML_SCALAR;

    set_defaults(r, o->within, base);
    *(struct conf_mark *)(void *)(base + s->mark_at) = e->key.n != 0 ? e->key_mark : e->value->mark;
    if (s->kind == SECTION_ENTRY) {
        struct yaml key = { .type = YAML_SCALAR, .mark = e->key_mark, .set = e->value->set };
        const char *reason = form_problem(r->scratch, o->form, e->key);

        if (reason != NULL)
            complain(r, at, &key, "%s", reason);
        *(struct conf_str *)(void *)(base + s->name_at) =
            (struct conf_str){ .v = arena_str(r->arena, e->key), .mark = e->key_mark };
    }
    if (bare)
        read_value(r, at, e->value, option_find(o->within, s->short_form), base);
    else
        read_section(r, at, e->value, o->within, base);
}

/* A section, or plain text as the value of its most important setting. */
static bool
is_item(const struct option *o, const struct yaml *y)
{
    return y->type == YAML_MAP ||
           (y->type == YAML_SCALAR && section_row(o->within)->short_form.n != 0);
}

static void
read_array(struct reader *r, const struct place *at, const struct yaml *y, const struct option *o,
    char *base)
{
    size_t size = section_row(o->within)->size;
    size_t n = 0, i = 0;

    if (y->count > ENTRIES_MAX) {
        complain(r, at, y, "has more than %d entries; write fewer", ENTRIES_MAX);
        return;
    }
    if (y->count == 0 && (o->flags & OPTION_REQUIRED) != 0) {
        complain(r, at, y, "is empty; %s", advice(r, o));
        return;
    }

    char *entries = arena_alloc(r->arena, size * y->count, alignof(max_align_t));
    for (const struct yaml_entry *e = y->first; e != NULL; e = e->next) {
        struct place entry = { .parent = at, .index = i++ };

        if (o->type == OPTION_MAP)
            entry.key = form_problem(r->scratch, o->form, e->key) == NULL ? e->key : S("");
        if (o->type == OPTION_LIST && !is_item(o, e->value)) {
            /* The example without its brackets is one entry. */
            complain(r, &entry, e->value, "is %s; write an entry like %.*s",
                e->value->type == YAML_NULL ? "empty" : shape(e->value), (int)o->example.n - 2,
                o->example.p + 1);
            continue;
        }
        char *to = entries + size * n++;
        size_t before = r->complaints;
        read_entry(r, &entry, e, o, to);
        if (r->complaints != before)
            spot_at(r, to)->faulty = true;
    }
    *(void **)(void *)(base + o->at) = entries;
    *(size_t *)(void *)(base + o->aux) = n;
}

/* What kind of node each type of setting takes. */
static bool
has_shape(const struct option *o, const struct yaml *y)
{
    switch (o->type) {
    case OPTION_STRINGS:
        return y->type == YAML_SCALAR || y->type == YAML_LIST;
    case OPTION_SECTION:
    case OPTION_MAP:
    case OPTION_PAIRS:
    case OPTION_JSON:
        return y->type == YAML_MAP;
    case OPTION_LIST:
        return y->type == YAML_LIST;
    default:
        return y->type == YAML_SCALAR;
    }
}

/* A setting without a value keeps its default. */
static void
read_given(struct reader *r, const struct place *at, const struct yaml *y, const struct option *o,
    char *base)
{
    if (y->type == YAML_NULL)
        return;
    if (!has_shape(o, y)) {
        complain(r, at, y, "is %s; %s", shape(y), advice(r, o));
        return;
    }
    switch (o->type) {
    case OPTION_STRINGS:
        read_strings(r, at, y, o, base);
        break;
    case OPTION_SECTION:
        read_section(r, at, y, o->within, base + o->at);
        break;
    case OPTION_MAP:
    case OPTION_LIST:
        read_array(r, at, y, o, base);
        break;
    case OPTION_PAIRS:
        read_pairs(r, at, y, o, base);
        break;
    case OPTION_JSON:
        read_json(r, at, y, o, base);
        break;
    default:
        read_scalar(r, at, y, o, base);
        break;
    }
}

/* The same, and records the position of the setting and whether a part of it was refused. */
static void
read_value(struct reader *r, const struct place *at, const struct yaml *y, const struct option *o,
    char *base)
{
    size_t before = r->complaints;

    read_given(r, at, y, o, base);
    if (o->at == OPTION_NOWHERE || y->type == YAML_NULL || (y->mark.line == 0 && y->set == NULL))
        return;
    struct spot *s = spot_at(r, base + o->at);
    bool whole = o->type == OPTION_SECTION;    /* shares its address with its first setting */
    if (!whole || s->mark.line == 0)
        s->mark = y->mark;
    s->faulty |= r->complaints != before;
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
        char c = key.p[i];

        if (c != '_' && c != '-' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z'))
            return false;
    }
    return key.n != 0 && key.n <= 32;
}

/* "did you mean", or where it belongs, or what there is. */
static void
complain_unknown(
    struct reader *r, const struct place *parent, const struct yaml_entry *e, enum section_id id)
{
    struct yaml where = { .mark = e->key_mark, .set = e->value->set };
    struct place place = { .parent = parent, .key = e->key };
    bool shown = is_harmless(e->key);
    const struct place *at = shown ? &place : parent;
    const char *what = shown ? "is unknown" : "has a setting that is unknown";
    struct str names[KEYS_MAX], list = S("");
    const char *home = other_home(id, e->key);
    const struct option *o;
    size_t n = 0;

    for (size_t i = 0; (o = option_at(i)) != NULL && n < KEYS_MAX; i++) {
        if (o->section != id || o->type == OPTION_LATER)
            continue;
        list = arena_printf(
            r->scratch, STR_FMT "%s" STR_FMT, STR_ARG(list), n != 0 ? ", " : "", STR_ARG(o->key));
        names[n++] = o->key;
    }
    struct str near = conf_closest(e->key, names, n);
    if (e->value->type == YAML_NULL && str_chr(e->key, ':') != e->key.n)
        complain(r, at, &where,
            shown ? "has no blank after its colon; write name: value"
                  : "has a setting without a blank after its colon; write name: value");
    else if (near.n != 0)
        complain(r, at, &where, "%s; did you mean '" STR_FMT "'?", what, STR_ARG(near));
    else if (home != NULL)
        complain(r, at, &where, "%s here; it belongs to %s", what, home);
    else
        complain(r, at, &where, "%s; write one of " STR_FMT, what, STR_ARG(list));
}

/* A missing setting is reported at the name of the map entry, not at its first setting. */
static void
complain_lacking(struct reader *r, const struct place *at, const struct yaml *y,
    const struct option *o, const char *base)
{
    const struct section *s = section_row(o->section);
    struct yaml where = { .mark = y->mark, .set = y->set };

    if (s->mark_at != OPTION_NOWHERE)
        where.mark = *(const struct conf_mark *)(const void *)(base + s->mark_at);
    complain(r, at, &where, "lacks '" STR_FMT "'; write " STR_FMT ": " STR_FMT, STR_ARG(o->key),
        STR_ARG(o->key), STR_ARG(o->example));
}

static void
read_section(
    struct reader *r, const struct place *at, const struct yaml *y, enum section_id id, char *base)
{
    const struct option *o;
    bool unknown = false;    /* perhaps misspelt: then no missing setting is reported */

    if (y->type != YAML_MAP && y->type != YAML_NULL) {
        complain(
            r, at, y, "is %s; write its settings below it, one \"name: value\" a line", shape(y));
        return;
    }
    for (const struct yaml_entry *e = y->first; e != NULL; e = e->next) {
        struct place entry = { .parent = at, .key = e->key };
        struct yaml where = { .mark = e->key_mark, .set = e->value->set };

        o = option_find(id, e->key);
        unknown |= o == NULL;
        if (o == NULL)
            complain_unknown(r, at, e, id);
        else if (o->type == OPTION_LATER)
            complain(r, &entry, &where, "is not supported in this version (" STR_FMT "); remove it",
                STR_ARG(o->later));
        else
            read_value(r, &entry, e->value, o, base);
    }
    r->conf->given.unknown |= unknown && id == SECTION_root;
    for (size_t i = 0; !unknown && (o = option_at(i)) != NULL; i++) {
        if (o->section != id || (o->flags & OPTION_REQUIRED) == 0)
            continue;
        const struct yaml *given = yaml_get(y, o->key);
        if (given == NULL || given->type == YAML_NULL)
            complain_lacking(r, at, y, o, base);
    }
}

void
read_conf(
    struct conf *c, const struct yaml *root, struct arena *scratch, struct conf_problems *problems)
{
    struct reader r = { .conf = c, .arena = c->arena, .scratch = scratch, .problems = problems };
    struct place top = { .parent = NULL };

    set_defaults(&r, SECTION_root, (char *)c);
    if (root->type == YAML_LIST || root->type == YAML_SCALAR)
        conf_problem(problems, root->mark,
            "the file is %s; write settings, one \"name: value\" a line", shape(root));
    else
        read_section(&r, &top, root, SECTION_root, (char *)c);
}

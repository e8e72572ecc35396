/* read.c - walks the tree and the table of settings together. */
#include "conf/read.h"

#include "base/map.h"
#include "conf/complain.h"
#include "conf/form.h"
#include "conf/params.h"
#include "conf/value.h"

enum { ENTRIES_MAX = 10000, TEXTS_MAX = 1000 };

struct reader {
    struct conf *conf;
    struct arena *arena;
    struct arena *scratch;
    struct complaints c;
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
        complain(&r->c, at, y, "%s", reason);
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
        complain(&r->c, at, y, "%s", reason);
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
        complain(&r->c, at, y, "has more than %d entries; write fewer", TEXTS_MAX);
        return;
    }
    struct conf_strs read = { .list = arena_array(r->arena, struct conf_str, count) };
    if (y->type == YAML_LIST && count == 0)
        complain(&r->c, at, y, "is an empty list; %s", complain_advice(&r->c, o));
    if (y->type == YAML_SCALAR && read_formed(r, at, y, o->form, o->flags, &read.list[0]))
        read.count = 1;
    for (const struct yaml_entry *e = y->type == YAML_LIST ? y->first : NULL; e != NULL;
         e = e->next) {
        if (e->value->type != YAML_SCALAR)
            complain(&r->c, &item, e->value, "is %s; write a text", complain_shape(e->value));
        else if (read_formed(r, &item, e->value, o->form, o->flags, &read.list[read.count]))
            read.count++;
        item.index++;
    }
    *ret = read;
    if (o->aux != OPTION_NOWHERE)
        *(bool *)(void *)(base + o->aux) = true;
}

static void
read_number(struct reader *r, const struct place *at, const struct yaml *y, const struct option *o,
    struct str text, char *base)
{
    uint64_t *ret = (uint64_t *)(void *)(base + o->at), v = 0;
    bool valid = o->type == OPTION_DURATION ? value_duration(text, &v)
                 : o->type == OPTION_SIZE   ? value_size(text, &v)
                                            : str_u64(text, &v);

    if (o->type == OPTION_COUNT && o->choices.n != 0 && str_eq(text, o->choices))
        *ret = 0;    /* a word for it: "auto" */
    else if (!valid)
        complain(&r->c, at, y, "is not %s; %s",
            o->type == OPTION_DURATION ? "a time with its unit"
            : o->type == OPTION_SIZE   ? "a size"
                                       : "a whole number",
            complain_advice(&r->c, o));
    else if (v < o->min || v > o->max)
        complain(&r->c, at, y, "is too %s; %s", v < o->min ? "small" : "large",
            complain_advice(&r->c, o));
    else
        *ret = v;
}

static void
read_scalar(struct reader *r, const struct place *at, const struct yaml *y, const struct option *o,
    char *base)
{
    void *to = base + o->at;
    struct conf_str text;

    if (o->type == OPTION_STRING) {
        (void)read_formed(r, at, y, o->form, o->flags, to);
        return;
    }
    if (!read_text(r, at, y, o->flags, &text))
        return;
    if (o->type == OPTION_BOOL) {
        if (str_eq(text.v, S("true")) || str_eq(text.v, S("false")))
            *(bool *)to = str_eq(text.v, S("true"));
        else
            complain(&r->c, at, y, "must be true or false");
    } else if (o->type != OPTION_CHOICE && o->type != OPTION_ENUM) {
        read_number(r, at, y, o, text.v, base);
    } else if (option_choice(o->choices, text.v) == 0) {
        complain_choice(&r->c, at, y, o, text.v);
    } else if (o->type == OPTION_CHOICE) {
        *(struct conf_str *)to = text;
    } else {
        *(int *)to = (int)option_choice(o->choices, text.v);
        *(struct conf_mark *)(void *)(base + o->aux) = y->mark;
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
        complain(&r->c, at, where, "%s", reason);
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
            complain(&r->c, &entry, &key, "%s", reason);
        } else if (e->value->type != YAML_SCALAR) {
            complain(&r->c, &entry, e->value, "is %s; write a text", complain_shape(e->value));
        } else if (read_formed(r, &entry, e->value, FORM_FIELD_VALUE, o->flags, &pairs[n].value)) {
            bytes += e->key.n + pairs[n].value.v.n;
            pairs[n++].key =
                (struct conf_str){ .v = arena_str(r->arena, e->key), .mark = e->key_mark };
        }
    }
    if (bytes > PAIRS_BYTES_MAX)
        complain(&r->c, at, y, "holds more than 3KB of header fields; write less");
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
            complain(&r->c, at, &key, "%s", reason);
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
        complain(&r->c, at, y, "has more than %d entries; write fewer", ENTRIES_MAX);
        return;
    }
    if (y->count == 0 && (o->flags & OPTION_REQUIRED) != 0) {
        complain(&r->c, at, y, "is empty; %s", complain_advice(&r->c, o));
        return;
    }

    char *entries = arena_alloc(r->arena, size * y->count, alignof(max_align_t));
    for (const struct yaml_entry *e = y->first; e != NULL; e = e->next) {
        struct place entry = { .parent = at, .index = i++ };

        if (o->type == OPTION_MAP)
            entry.key = form_problem(r->scratch, o->form, e->key) == NULL ? e->key : S("");
        if (o->type == OPTION_LIST && !is_item(o, e->value)) {
            /* The example without its brackets is one entry. */
            complain(&r->c, &entry, e->value, "is %s; write an entry like %.*s",
                complain_shape(e->value), (int)o->example.n - 2, o->example.p + 1);
            continue;
        }
        char *to = entries + size * n++;
        size_t before = r->c.count;
        read_entry(r, &entry, e, o, to);
        if (r->c.count != before)
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
        complain(&r->c, at, y, "is %s; %s", complain_shape(y), complain_advice(&r->c, o));
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
    size_t before = r->c.count;

    read_given(r, at, y, o, base);
    if (o->at == OPTION_NOWHERE || y->type == YAML_NULL || (y->mark.line == 0 && y->set == NULL))
        return;
    struct spot *s = spot_at(r, base + o->at);
    bool whole = o->type == OPTION_SECTION;    /* shares its address with its first setting */
    if (!whole || s->mark.line == 0)
        s->mark = y->mark;
    if (y->type == YAML_SCALAR && y->set == NULL && str_chr(y->text, '$') == y->text.n) {
        s->style = y->style;    /* no reference in it was replaced */
        s->begin = y->begin;
    }
    s->faulty |= r->c.count != before;
}

static void
read_section(
    struct reader *r, const struct place *at, const struct yaml *y, enum section_id id, char *base)
{
    const struct option *o;
    bool unknown = false;    /* perhaps misspelt: then no missing setting is reported */

    if (y->type != YAML_MAP && y->type != YAML_NULL) {
        complain(&r->c, at, y, "is %s; write its settings below it, one \"name: value\" a line",
            complain_shape(y));
        return;
    }
    for (const struct yaml_entry *e = y->first; e != NULL; e = e->next) {
        struct place entry = { .parent = at, .key = e->key };
        struct yaml where = { .mark = e->key_mark, .set = e->value->set };

        o = option_find(id, e->key);
        unknown |= o == NULL;
        if (o == NULL)
            complain_unknown(&r->c, at, e, id);
        else if (o->type == OPTION_LATER)
            complain(&r->c, &entry, &where,
                "is not supported in this version (" STR_FMT "); remove it", STR_ARG(o->later));
        else
            read_value(r, &entry, e->value, o, base);
    }
    r->conf->given.unknown |= unknown && id == SECTION_root;
    for (size_t i = 0; !unknown && (o = option_at(i)) != NULL; i++) {
        if (o->section != id || (o->flags & OPTION_REQUIRED) == 0)
            continue;
        const struct yaml *given = yaml_get(y, o->key);
        if (given == NULL || given->type == YAML_NULL)
            complain_lacking(&r->c, at, y, o, base);
    }
}

void
read_conf(
    struct conf *c, const struct yaml *root, struct arena *scratch, struct conf_problems *problems)
{
    struct reader r = { .conf = c,
        .arena = c->arena,
        .scratch = scratch,
        .c = { .scratch = scratch, .problems = problems } };
    struct place top = { .parent = NULL };

    set_defaults(&r, SECTION_root, (char *)c);
    if (root->type == YAML_LIST || root->type == YAML_SCALAR)
        conf_problem(problems, root->mark,
            "the file is %s; write settings, one \"name: value\" a line", complain_shape(root));
    else
        read_section(&r, &top, root, SECTION_root, (char *)c);
}

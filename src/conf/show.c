/* show.c - walks the table of settings, as reading does, and writes what it finds. */
#include "conf/show.h"

#include "conf/option.h"
#include "conf/value.h"

#define MASK S("***")

enum { SCRATCH_BYTES = 1024 * 1024 };

struct show {
    struct json_out *o;
    struct arena *scratch;    /* rewound after each value */
};

static void show_section(struct show *s, enum section_id id, const char *base, bool inherits);

static void
show_text(struct show *s, const struct conf_str *text, unsigned flags)
{
    bool secret = text->secret || (flags & OPTION_SECRET) != 0;

    out_text_value(s->o, secret ? MASK : text->v);
}

static void
show_texts(struct show *s, const struct conf_strs *texts, unsigned flags)
{
    out_array(s->o);
    for (size_t i = 0; i < texts->count; i++)
        show_text(s, &texts->list[i], flags);
    out_end_array(s->o);
}

static void
show_pairs(struct show *s, const struct conf_pair *pairs, size_t count)
{
    out_object(s->o);
    for (size_t i = 0; i < count; i++) {
        out_key_str(s->o, pairs[i].key.v);
        out_text_value(s->o, MASK);
    }
    out_end(s->o);
}

static void
show_number(struct show *s, const struct option *o, uint64_t v)
{
    struct arena_mark mark = arena_mark(s->scratch);

    if (o->type == OPTION_DURATION)
        out_text_value(s->o, value_duration_text(s->scratch, v));
    else if (o->type == OPTION_SIZE)
        out_text_value(s->o, value_size_text(s->scratch, v));
    else if (v == 0 && o->choices.n != 0)
        out_text_value(s->o, o->choices);    /* "auto" */
    else
        out_i64_value(s->o, (int64_t)v);
    arena_rewind(s->scratch, mark);
}

/* The word of that place in "a|b|c", from 1. */
static void
show_choice(struct show *s, struct str choices, int place)
{
    struct str word = S("");

    for (int i = 0; i < place && option_next_choice(&choices, &word); i++)
        continue;
    out_text_value(s->o, word);
}

/* An array of structs with settings of their own: of a map, whose entries have names, or of a
 * list. */
static void
show_structs(struct show *s, const struct option *o, const char *list, size_t count)
{
    const struct section *row = section_row(o->within);
    bool named = o->type == OPTION_MAP;

    if (named)
        out_object(s->o);
    else
        out_array(s->o);
    for (size_t i = 0; i < count; i++, list += row->size) {
        if (named)
            out_key_str(s->o, ((const struct conf_str *)(const void *)(list + row->name_at))->v);
        show_section(s, o->within, list, false);
    }
    if (named)
        out_end(s->o);
    else
        out_end_array(s->o);
}

static bool is_set(const struct option *o, const char *base, bool inherits);

static bool
section_is_empty(enum section_id id, const char *base, bool inherits)
{
    const struct option *o;

    for (size_t i = 0; (o = option_at(i)) != NULL; i++)
        if (o->section == id && is_set(o, base, inherits))
            return false;
    return true;
}

/* Has the setting a value? In a section that inherits, what is 0 comes from elsewhere. */
static bool
is_set(const struct option *o, const char *base, bool inherits)
{
    const void *at = base + o->at;

    switch (o->type) {
    case OPTION_STRING:
    case OPTION_CHOICE:
        return ((const struct conf_str *)at)->v.n != 0;
    case OPTION_STRINGS:
        return ((const struct conf_strs *)at)->count != 0;
    case OPTION_DURATION:
    case OPTION_SIZE:
    case OPTION_COUNT:
        return *(const uint64_t *)at != 0 || (!inherits && o->fallback.n != 0);
    case OPTION_ENUM:
        return *(const int *)at != 0;
    case OPTION_MAP:
    case OPTION_LIST:
    case OPTION_PAIRS:
        return *(const size_t *)(const void *)(base + o->aux) != 0;
    case OPTION_JSON:
        return ((const struct str *)at)->n != 0;
    case OPTION_BOOL:
        return true;
    case OPTION_SECTION:
        return !section_is_empty(o->within, at, (o->flags & OPTION_INHERITS) != 0);
    case OPTION_LATER:
        return false;
    }
    CHECK_UNREACHABLE();
}

static void
show_value(struct show *s, const struct option *o, const char *base)
{
    const void *at = base + o->at;

    switch (o->type) {
    case OPTION_STRING:
    case OPTION_CHOICE:
        show_text(s, at, o->flags);
        return;
    case OPTION_STRINGS:
        show_texts(s, at, o->flags);
        return;
    case OPTION_DURATION:
    case OPTION_SIZE:
    case OPTION_COUNT:
        show_number(s, o, *(const uint64_t *)at);
        return;
    case OPTION_BOOL:
        out_raw_value(s->o, *(const bool *)at ? S("true") : S("false"));
        return;
    case OPTION_ENUM:
        show_choice(s, o->choices, *(const int *)at);
        return;
    case OPTION_SECTION:
        show_section(s, o->within, at, (o->flags & OPTION_INHERITS) != 0);
        return;
    case OPTION_MAP:
    case OPTION_LIST:
        show_structs(
            s, o, *(const char *const *)at, *(const size_t *)(const void *)(base + o->aux));
        return;
    case OPTION_PAIRS:
        show_pairs(s, *(const struct conf_pair *const *)at,
            *(const size_t *)(const void *)(base + o->aux));
        return;
    case OPTION_JSON:
        out_raw_value(s->o, *(const struct str *)at);
        return;
    case OPTION_LATER:
        break;
    }
    CHECK_UNREACHABLE();
}

static void
show_section(struct show *s, enum section_id id, const char *base, bool inherits)
{
    const struct option *o;

    out_object(s->o);
    for (size_t i = 0; (o = option_at(i)) != NULL; i++) {
        if (o->section != id || !is_set(o, base, inherits))
            continue;
        out_key_str(s->o, o->key);
        show_value(s, o, base);
    }
    out_end(s->o);
}

void
conf_show(const struct conf *c, struct json_out *o)
{
    struct show s = { .o = o, .scratch = arena_create(SCRATCH_BYTES) };

    show_section(&s, SECTION_root, (const char *)c, false);
    arena_destroy(s.scratch);
}

/* resource_flags.c - one option for each field; what it means is for the gateway to check, so that all
 * clients read the same sentences. */
#include "app/resource_flags.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/json_out.h"
#include "base/url.h"
#include "conf/conf.h"
#include "conf/value.h"

static bool
on_value(void *value, struct str text, struct why why UNUSED)
{
    struct resource_option *option = value;

    option->text = text;
    option->given = true;
    return true;
}

static bool
on_unset(void *value, struct str text, struct why why)
{
    struct resource_options *o = value;
    struct str names[RESOURCE_FIELDS_MOST];

    for (unsigned i = 0; i < o->count; i++) {
        names[i] = str_c(o->list[i].name);
        if (!str_eq(text, names[i]) && !str_eq(text, o->list[i].field->name))
            continue;
        o->list[i].unset = true;
        return true;
    }
    struct str near = conf_closest(text, names, o->count);
    return why_say(why, "must be the name of an option%s" STR_FMT "%s",
        near.n != 0 ? "; did you mean '" : "", STR_ARG(near), near.n != 0 ? "'?" : "");
}

#define CHOICES_SHORT 24u    /* that fit beside the name of the option */

static void
set_placeholder(struct resource_option *option)
{
    const struct resource_field_row *f = option->field;
    struct str text = f->type == RESOURCE_TEXTS   ? S("A,B")
                      : f->type == RESOURCE_TAGS  ? S("NAME=TEXT,...")
                      : f->type == RESOURCE_COUNT ? S("N")
                      : f->type == RESOURCE_MONEY ? S("DOLLARS")
                      : f->type == RESOURCE_TIME  ? S("TIME")
                      : f->type == RESOURCE_REF   ? S("NAME")
                                                  : S("TEXT");

    bool is_short = f->type == RESOURCE_CHOICE && f->choices.n < CHOICES_SHORT;
    str_copy_c(option->arg, sizeof(option->arg), is_short ? f->choices : text);
    if (f->type == RESOURCE_CHOICE && !is_short)
        (void)snprintf(option->help, sizeof(option->help), STR_FMT " (" STR_FMT ")",
            STR_ARG(f->help), STR_ARG(f->choices));
    else
        str_copy_c(option->help, sizeof(option->help), f->help);
    /* a line of help may break at each choice */
    for (char *p = option->help + MIN(f->help.n, sizeof(option->help) - 1); *p != '\0'; p++)
        if (*p == '|')
            *p = ' ';
}

void
resource_options_add(struct resource_options *o, struct flag flag)
{
    CHECK(o->flag_count < RESOURCE_OPTIONS_MOST);
    o->flags[o->flag_count++] = flag;
}

void
resource_options_init(struct resource_options *o, enum resource_kind kind)
{
    const struct resource_field_row *first = resource_field(resource_kind(kind)->first);

    o->kind = kind;
    for (unsigned i = 0; i < resource_field_count(kind); i++) {
        struct resource_option *option = &o->list[o->count];

        if ((first[i].flags & (RESOURCE_MADE | RESOURCE_HIDDEN)) != 0)
            continue;
        o->count++;
        option->field = &first[i];
        str_copy_c(option->name, sizeof(option->name), first[i].name);
        for (char *p = option->name; *p != '\0'; p++)
            if (*p == '_')
                *p = '-';
        set_placeholder(option);
        resource_options_add(o, (struct flag){ option->name, 0, FLAG_CALL,
                                    first[i].type == RESOURCE_BOOL ? NULL : option->arg,
                                    option->help, option, on_value });
    }
    resource_options_add(
        o, (struct flag){ "unset", 0, FLAG_CALL, "OPTION",
               "with set: takes back what that option said; may be given again", o, on_unset });
}

struct resource_option *
resource_option_of(struct resource_options *o, struct str field)
{
    for (unsigned i = 0; i < o->count; i++)
        if (str_eq(o->list[i].field->name, field))
            return &o->list[i];
    return NULL;
}

/* --- as JSON --- */

static void
write_texts(struct json_out *o, struct str text)
{
    struct str one;

    out_array(o);
    while (text.n != 0) {
        (void)str_cut(text, ',', &one, &text);
        out_text_value(o, str_trim(one));
    }
    out_end_array(o);
}

static bool
write_tags(struct json_out *o, struct str text, struct why why)
{
    struct str one, name, value;

    out_object(o);
    while (text.n != 0) {
        (void)str_cut(text, ',', &one, &text);
        if (!str_cut(str_trim(one), '=', &name, &value))
            return why_say(why, "--tags: write NAME=TEXT, for example --tags cost=research");
        out_key_str(o, name);
        out_text_value(o, value);
    }
    out_end(o);
    return true;
}

/* A number as it is; anything else as a text, which the gateway refuses with the reason. */
static void
write_number(struct json_out *o, struct str text)
{
    uint64_t n;

    if (str_u64(text, &n) && n <= INT64_MAX && (text.n == 1 || text.p[0] != '0'))
        out_raw_value(o, text);
    else
        out_text_value(o, text);
}

/* A time; or "720h" for so long from now. */
static void
write_time(struct json_out *o, struct str text)
{
    char room[CLOCK_STAMP_ROOM];
    uint64_t ms;

    if (value_duration(text, &ms))
        text = clock_stamp(clock_wall_ms() + ms, room);
    out_text_value(o, text);
}

static bool
write_option(struct json_out *o, const struct resource_option *option, struct why why)
{
    out_key_str(o, option->field->name);
    if (option->unset) {
        out_raw_value(o, S("null"));
        return true;
    }
    switch (option->field->type) {
    case RESOURCE_BOOL:
        out_raw_value(o, S("true"));
        return true;
    case RESOURCE_TEXTS:
        write_texts(o, option->text);
        return true;
    case RESOURCE_TAGS:
        return write_tags(o, option->text, why);
    case RESOURCE_COUNT:
        write_number(o, option->text);
        return true;
    case RESOURCE_TIME:
        write_time(o, option->text);
        return true;
    default:
        out_text_value(o, option->text);
        return true;
    }
}

bool
resource_options_write(const struct resource_options *o, struct buf *b, struct why why)
{
    struct json_out out = json_out(b);

    out_object(&out);
    for (unsigned i = 0; i < o->count; i++)
        if ((o->list[i].given || o->list[i].unset) && !write_option(&out, &o->list[i], why))
            return false;
    out_end(&out);
    return !b->overflow || why_say(why, "the options are too long");
}

bool
resource_options_query(const struct resource_options *o, struct buf *b, struct why why)
{
    for (unsigned i = 0; i < o->count; i++) {
        const struct resource_option *option = &o->list[i];

        if (!option->given && !option->unset)
            continue;
        if ((option->field->flags & RESOURCE_FILTER) == 0)
            return why_say(why, "lists cannot be narrowed by --%s", option->name);
        buf_printf(b, "%c" STR_FMT "=", buf_len(b) == 0 ? '?' : '&', STR_ARG(option->field->name));
        url_add_segment(b, option->text);
    }
    return true;
}

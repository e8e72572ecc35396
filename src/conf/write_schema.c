/* write_schema.c - writes options.def as a JSON Schema (2020-12), for editors that complete and
   check YAML. */
#include "base/buf.h"
#include "base/json.h"
#include "conf/option.h"

/* Any text with a reference may become valid once the reference is replaced. */
#define OR_REFERENCE "|\\\\$\\\\{"

static void
new_line(struct buf *out, unsigned depth)
{
    buf_add_c(out, '\n');
    for (unsigned i = 0; i < depth; i++)
        buf_add(out, S("  "));
}

static void
add_choices(struct buf *out, struct str choices)
{
    struct str word;

    buf_add(out, S("\"anyOf\": [{\"enum\": ["));
    while (option_next_choice(&choices, &word)) {
        json_add_str(out, word);
        if (choices.n != 0)
            buf_add(out, S(", "));
    }
    buf_add(out, S("]}, {\"type\": \"string\", \"pattern\": \"\\\\$\\\\{\"}]"));
}

static void
add_count(struct buf *out, const struct option *o)
{
    buf_printf(out, "\"anyOf\": [{\"type\": \"integer\", \"minimum\": %llu, \"maximum\": %llu}, ",
        (unsigned long long)o->min, (unsigned long long)o->max);
    buf_printf(out,
        "{\"type\": \"string\", \"pattern\": \"^([0-9]+%s" STR_FMT ")$" OR_REFERENCE "\"}]",
        o->choices.n != 0 ? "|" : "", STR_ARG(o->choices));
}

/* The constraints of a single value; false for lists and sections. */
static bool
add_scalar_type(struct buf *out, const struct option *o)
{
    switch (o->type) {
    case OPTION_STRING:
        buf_add(out, S("\"type\": \"string\", \"minLength\": 1"));
        return true;
    case OPTION_STRINGS:
        buf_add(out,
            S("\"anyOf\": [{\"type\": \"string\", \"minLength\": 1}, {\"type\": \"array\", \"minItems\": 1, "
              "\"items\": {\"type\": \"string\", \"minLength\": 1}}]"));
        return true;
    case OPTION_DURATION:
        buf_add(
            out, S("\"type\": \"string\", \"pattern\": \"^[0-9]+(ms|s|m|h)$" OR_REFERENCE "\""));
        return true;
    case OPTION_SIZE:
        buf_printf(out,
            "\"type\": [\"integer\", \"string\"], \"minimum\": %llu, \"maximum\": %llu, "
            "\"pattern\": \"^[0-9]+(KB|MB|GB)?$" OR_REFERENCE "\"",
            (unsigned long long)o->min, (unsigned long long)o->max);
        return true;
    case OPTION_COUNT:
        add_count(out, o);
        return true;
    case OPTION_BOOL:
        buf_add(out, S("\"anyOf\": [{\"type\": \"boolean\"}, {\"type\": \"string\", "
                       "\"pattern\": \"^(true|false)$" OR_REFERENCE "\"}]"));
        return true;
    case OPTION_CHOICE:
    case OPTION_ENUM:
        add_choices(out, o->choices);
        return true;
    case OPTION_PAIRS:
        buf_add(out, S("\"type\": \"object\", \"additionalProperties\": "
                       "{\"type\": [\"string\", \"number\", \"boolean\"]}"));
        return true;
    case OPTION_JSON:
        buf_add(out, S("\"type\": \"object\""));
        return true;
    default:
        return false;
    }
}

static void
add_default(struct buf *out, const struct option *o)
{
    uint64_t number;
    bool bare =
        o->type == OPTION_BOOL || (o->type == OPTION_COUNT && str_u64(o->fallback, &number));

    buf_add(out, S(", \"default\": "));
    if (bare)
        buf_add(out, o->fallback);
    else
        json_add_str(out, o->fallback);
}

static void add_section_body(struct buf *out, unsigned depth, enum section_id id, bool inherits);

static void
add_part_type(struct buf *out, unsigned depth, const struct option *o)
{
    struct str short_form = section_row(o->within)->short_form;

    if (o->type == OPTION_SECTION) {
        add_section_body(out, depth, o->within, (o->flags & OPTION_INHERITS) != 0);
    } else if (o->type == OPTION_MAP) {
        buf_add(out, S("\"type\": [\"object\", \"null\"], \"additionalProperties\": {"));
        add_section_body(out, depth, o->within, false);
        buf_add_c(out, '}');
    } else {
        buf_add(out, (o->flags & OPTION_REQUIRED) != 0
                         ? S("\"type\": \"array\", \"minItems\": 1, \"items\": ")
                         : S("\"type\": [\"array\", \"null\"], \"items\": "));
        if (short_form.n != 0)
            buf_add(out, S("{\"anyOf\": [{\"type\": \"string\", \"minLength\": 1}, "));
        buf_add_c(out, '{');
        add_section_body(out, depth, o->within, false);
        buf_add(out, short_form.n != 0 ? S("}]}") : S("}"));
    }
}

static void
add_property(struct buf *out, unsigned depth, const struct option *o, bool inherits)
{
    new_line(out, depth);
    json_add_str(out, o->key);
    buf_add(out, S(": {\"description\": "));
    json_add_str(out, o->help);
    buf_add(out, S(", "));
    if (!add_scalar_type(out, o))
        add_part_type(out, depth, o);
    if (o->fallback.n != 0 && !inherits)
        add_default(out, o);
    buf_add_c(out, '}');
}

/* Everything between the braces except the description. */
static void
add_section_body(struct buf *out, unsigned depth, enum section_id id, bool inherits)
{
    const struct option *o;
    struct buf required;
    size_t n = 0;

    buf_init(&required, 1024);
    buf_add(out,
        S("\"type\": [\"object\", \"null\"], \"additionalProperties\": false, \"properties\": {"));
    for (size_t i = 0; (o = option_at(i)) != NULL; i++) {
        if (o->section != id || o->type == OPTION_LATER)
            continue;
        if (n++ != 0)
            buf_add_c(out, ',');
        add_property(out, depth + 1, o, inherits);
        if ((o->flags & OPTION_REQUIRED) != 0) {
            buf_add(&required, buf_len(&required) != 0 ? S(", ") : S(""));
            json_add_str(&required, o->key);
        }
    }
    new_line(out, depth);
    buf_add_c(out, '}');
    if (buf_len(&required) != 0)
        buf_printf(out, ", \"required\": [" STR_FMT "]", STR_ARG(buf_str(&required)));
    buf_fini(&required);
}

void
conf_write_schema(struct buf *out)
{
    buf_add(out, S("{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\", "
                   "\"title\": \"OpenClaw's configuration\", "));
    add_section_body(out, 0, SECTION_root, false);
    buf_add(out, S("}\n"));
}

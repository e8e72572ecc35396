/* write_starter.c - writes the starter file of `openclaw init`: every setting with its help,
 * commented out.
 *
 * "# text" is a comment, "#key: value" a setting: removing every '#' that is not followed by a
 * blank gives a complete configuration. Top-level sections are not commented out; a section
 * without settings means its defaults.
 */
#include "base/buf.h"
#include "conf/option.h"

enum { COLUMNS = 100 };

static void
add_indent(struct buf *out, unsigned columns)
{
    while (columns-- != 0)
        buf_add_c(out, ' ');
}

/* The help as comment lines. */
static void
add_comment(struct buf *out, unsigned indent, struct str help)
{
    size_t column = 0;
    struct str word;

    while (help.n != 0) {
        (void)str_cut(help, ' ', &word, &help);
        if (column == 0 || column + 1 + word.n > COLUMNS) {
            if (column != 0)
                buf_add_c(out, '\n');
            add_indent(out, indent);
            buf_add_c(out, '#');
            column = indent + 1;
        }
        buf_add_c(out, ' ');
        buf_add(out, word);
        column += 1 + word.n;
    }
    buf_add_c(out, '\n');
}

/* "#key: value", or "#- key: value" for the first setting of a list's entry; the dash goes left
   of `indent`. */
static void
add_setting(struct buf *out, unsigned indent, bool first_of_item, struct str key, struct str value)
{
    add_indent(out, first_of_item ? indent - 2 : indent);
    buf_printf(out, "#%s" STR_FMT ":%s" STR_FMT "\n", first_of_item ? "- " : "", STR_ARG(key),
        value.n != 0 ? " " : "", STR_ARG(value));
}

static void add_section(struct buf *out, unsigned indent, enum section_id id, bool live);

static void
add_examples(struct buf *out, unsigned indent, struct str lines)
{
    struct str line;

    while (lines.n != 0) {
        (void)str_cut(lines, '\n', &line, &lines);
        add_indent(out, indent);
        buf_printf(out, "#" STR_FMT "\n", STR_ARG(line));
    }
}

/* The name of a section, commented out or not. */
static void
add_name(struct buf *out, unsigned indent, struct str key, bool live)
{
    add_indent(out, indent);
    buf_printf(out, "%s" STR_FMT ":\n", live ? "" : "#", STR_ARG(key));
}

static void
add_option(struct buf *out, unsigned indent, const struct option *o, bool first_of_item, bool live)
{
    add_comment(out, first_of_item ? indent - 2 : indent, o->help);
    switch (o->type) {
    case OPTION_SECTION:
        if ((o->flags & OPTION_INHERITS) != 0) {
            add_setting(out, indent, false, o->key, S("{first_token: 20s}"));
            break;
        }
        add_name(out, indent, o->key, live);
        add_section(out, indent + 2, o->within, live);
        break;
    case OPTION_MAP:
        add_name(out, indent, o->key, live);
        add_examples(out, indent + 2, o->example);
        add_name(out, indent + 2, section_row(o->within)->example, false);
        add_section(out, indent + 4, o->within, false);
        break;
    case OPTION_LIST:
        add_name(out, indent, o->key, live);
        add_section(out, indent + 4, o->within, false);
        break;
    default:
        add_setting(
            out, indent, first_of_item, o->key, o->fallback.n != 0 ? o->fallback : o->example);
        break;
    }
}

static void
add_section(struct buf *out, unsigned indent, enum section_id id, bool live)
{
    bool item = section_row(id)->kind == SECTION_ITEM;
    const struct option *o;
    size_t n = 0;

    for (size_t i = 0; (o = option_at(i)) != NULL; i++) {
        if (o->section != id || o->type == OPTION_LATER)
            continue;
        if (id == SECTION_root)
            buf_add_c(out, '\n');
        add_option(out, indent, o, item && n == 0, live);
        n++;
    }
}

void
conf_write_starter(struct buf *out)
{
    buf_add(out,
        S("# OpenClaw's configuration. Every setting is here, with its default or an example.\n"
          "# Take the # away from a line to use it; `openclaw check -c FILE` tells what is wrong.\n"
          "#\n"
          "# \"${NAME}\" is the environment variable NAME, \"${NAME:-text}\" has a default, $$ is a dollar\n"
          "# sign. Keys and header fields may be read from a file: file:/run/secrets/openai\n"));
    add_section(out, 0, SECTION_root, true);
}

/* write_reference.c - writes docs/configuration.md from options.def. A test compares the page
   with it. */
#include "base/buf.h"
#include "conf/option.h"
#include "conf/value.h"

static const char intro[] =
    "# Configuration\n"
    "\n"
    "<!-- Made by `openclaw config reference` from src/conf/options.def; change it there. -->\n"
    "\n"
    "One YAML file, given with `openclaw serve -c FILE`. Nothing in it is required: without a file OpenClaw listens\n"
    "on 127.0.0.1:8080 and uses every known provider whose key is in the environment.\n"
    "\n"
    "* `openclaw init` writes a starter file that lists every setting.\n"
    "* `openclaw check -c FILE` reports everything that is wrong, as `file:line:col: what is wrong; what to write instead`.\n"
    "* `openclaw config schema` prints a JSON Schema, for editors that complete and check YAML.\n"
    "* `--set key.path=value` overrides the file: `--set server.workers=2`, `--set 'server.listen=[\":80\"]'`,\n"
    "  `--set 'models.\"gpt-4.1\".targets=[openai/gpt-4.1]'`. An empty value means the default. Values are checked as those\n"
    "  of the file are.\n"
    "\n"
    "## Values\n"
    "\n"
    "| kind | how to write it |\n"
    "|---|---|\n"
    "| time | a whole number and its unit: `500ms`, `10s`, `5m`, `1h` |\n"
    "| size | `64KB`, `32MB`, `1GB` (1 KB is 1024 bytes), or plain bytes |\n"
    "| number | a whole number |\n"
    "| text or list | one text, or `[several, texts]` |\n"
    "\n"
    "In every text `${NAME}` is the environment variable NAME, which must be set and not empty; `${NAME:-default}` has a\n"
    "default for when it is not; `$$` is a dollar sign. Between `{ }` and `[ ]` write them in quotes: `\"${NAME}\"`. Where a\n"
    "value is marked *secret*, `file:/path` stands for what that file holds, without the line end. Secrets are never shown\n"
    "in a message, a log or a metric.\n"
    "\n"
    "Anchors and aliases (`&name`, `*name`) may be used for whole values; merge keys and tags may not. A file has up to\n"
    "1 MB. An unknown setting is an error, never ignored.\n";

static void
add_choices(struct buf *out, struct str choices)
{
    struct str word;

    while (option_next_choice(&choices, &word))
        buf_printf(out, "`" STR_FMT "`%s", STR_ARG(word), choices.n != 0 ? ", " : "");
}

static void
add_range(struct arena *a, struct buf *out, const struct option *o)
{
    struct str low = o->type == OPTION_DURATION ? value_duration_text(a, o->min)
                     : o->type == OPTION_SIZE   ? value_size_text(a, o->min)
                                              : arena_printf(a, "%llu", (unsigned long long)o->min);
    struct str high = o->type == OPTION_DURATION ? value_duration_text(a, o->max)
                      : o->type == OPTION_SIZE
                          ? value_size_text(a, o->max)
                          : arena_printf(a, "%llu", (unsigned long long)o->max);

    buf_printf(out, ", " STR_FMT " to " STR_FMT, STR_ARG(low), STR_ARG(high));
}

static void
add_kind(struct arena *a, struct buf *out, const struct option *o)
{
    static const char *const kinds[] = {
        [OPTION_STRING] = "text",
        [OPTION_STRINGS] = "text or list",
        [OPTION_DURATION] = "time",
        [OPTION_SIZE] = "size",
        [OPTION_COUNT] = "number",
        [OPTION_BOOL] = "`true` or `false`",
        [OPTION_SECTION] = "section",
        [OPTION_MAP] = "names, each with a section",
        [OPTION_LIST] = "list of sections",
        [OPTION_PAIRS] = "names and texts",
        [OPTION_JSON] = "names and any values",
    };

    if (o->type == OPTION_CHOICE || o->type == OPTION_ENUM) {
        add_choices(out, o->choices);
        return;
    }
    if (o->type == OPTION_COUNT && o->choices.n != 0)
        buf_printf(out, "`" STR_FMT "` or ", STR_ARG(o->choices));
    buf_add(out, str_c(kinds[o->type]));
    if (o->type == OPTION_DURATION || o->type == OPTION_SIZE || o->type == OPTION_COUNT)
        add_range(a, out, o);
    if ((o->flags & OPTION_SECRET) != 0)
        buf_add(out, S(", *secret*"));
}

static void
add_row(struct arena *a, struct buf *out, const struct option *o)
{
    buf_printf(out, "| `" STR_FMT "` | ", STR_ARG(o->key));
    add_kind(a, out, o);
    if ((o->flags & OPTION_REQUIRED) != 0)
        buf_add(out, S(" | required | "));
    else if (o->fallback.n != 0)
        buf_printf(out, " | `" STR_FMT "` | ", STR_ARG(o->fallback));
    else
        buf_add(out, S(" | | "));
    buf_add(out, o->help);
    if (o->type == OPTION_SECTION || o->type == OPTION_MAP || o->type == OPTION_LIST)
        buf_printf(out, " See `" STR_FMT "`.", STR_ARG(section_row(o->within)->path));
    else if (o->fallback.n == 0 && o->example.n != 0 && o->choices.n == 0)
        buf_printf(out, " Example: `" STR_FMT "`", STR_ARG(o->example));
    buf_add(out, S(" |\n"));
}

static void
add_section(struct arena *a, struct buf *out, enum section_id id)
{
    const struct section *s = section_row(id);
    const struct option *o;

    if (s->path.n != 0)
        buf_printf(out, "\n## `" STR_FMT "`\n\n", STR_ARG(s->path));
    else
        buf_add(out, S("\n## The top level\n\n"));
    buf_add(out, s->help);
    if (s->short_form.n != 0)
        buf_printf(out, " A bare text stands for its `" STR_FMT "`.", STR_ARG(s->short_form));
    buf_add(out, S("\n\n| setting | value | default | meaning |\n|---|---|---|---|\n"));
    for (size_t i = 0; (o = option_at(i)) != NULL; i++) {
        if (o->section == id && o->type != OPTION_LATER)
            add_row(a, out, o);
    }
}

void
conf_write_reference(struct buf *out)
{
    struct arena *a = arena_create(1024 * 1024);

    buf_add(out, str_c(intro));
    for (enum section_id id = 0; id < SECTION_COUNT; id++)
        add_section(a, out, id);
    arena_destroy(a);
}

/* yaml.c - builds the tree from libfyaml's events.
 *
 * libfyaml scans; anchors, aliases, duplicate keys and all limits are handled here, because a
 * document built by the library may grow without bound through its aliases.
 */
#include "conf/yaml.h"

#include <libfyaml.h>
#include <stdlib.h>

enum { ANCHORS_MAX = 256, SHOWN_MAX = 64 };

struct anchor {
    struct str name;
    struct yaml *node;
    struct anchor *older;
};

struct yaml_parser {
    struct arena *arena;
    struct conf_problems *problems;
    struct str text;
    struct fy_parser *fy;
    struct fy_diag *diag;
    struct conf_mark last;     /* of the latest event that has a position */
    struct anchor *anchors;    /* newest first */
    size_t anchor_count;
    size_t nodes;    /* created so far, aliases not followed */
    bool failed;     /* an error was reported */
};

struct str
yaml_shown(struct arena *a, struct str text)
{
    char shown[SHOWN_MAX];
    size_t n = MIN(text.n, sizeof(shown));

    for (size_t i = 0; i < n; i++)
        shown[i] = text.p[i] >= ' ' && text.p[i] <= '~' ? text.p[i] : '?';
    return arena_printf(a, "%.*s%s", (int)n, shown, text.n > n ? "..." : "");
}

struct yaml *
yaml_get(const struct yaml *y, struct str key)
{
    if (y == NULL || y->type != YAML_MAP)
        return NULL;
    for (struct yaml_entry *e = y->first; e != NULL; e = e->next) {
        if (str_eq(e->key, key))
            return e->value;
    }
    return NULL;
}

/* Position of an event; a value that is left out has the position of the latest event. */
static struct conf_mark
event_mark(struct yaml_parser *p, struct fy_event *ev)
{
    const struct fy_mark *m = fy_event_start_mark(ev);

    if (m == NULL)
        return p->last;
    p->last = (struct conf_mark){ (unsigned)m->line + 1, (unsigned)m->column + 1 };
    /* libfyaml's mark is after the opening quote */
    if (ev->type == FYET_SCALAR && p->last.column > 1) {
        enum fy_scalar_style style = fy_token_scalar_style(ev->scalar.value);
        if (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED)
            p->last.column--;
    }
    return p->last;
}

/* Reports the first error only: later ones are consequences of it. */
static struct yaml *
fail(struct yaml_parser *p, struct conf_mark mark, const char *reason)
{
    if (!p->failed)
        conf_problem(p->problems, mark, "%s", reason);
    p->failed = true;
    return NULL;
}

static struct str
token_text(struct yaml_parser *p, struct fy_token *token)
{
    size_t n = 0;
    const char *text = token != NULL ? fy_token_get_text(token, &n) : NULL;

    return arena_str(p->arena, str_make(text, text != NULL ? n : 0));
}

static bool
is_null(struct str text)
{
    return text.n == 0 || str_eq(text, S("~")) || str_eq(text, S("null")) ||
           str_eq(text, S("Null")) || str_eq(text, S("NULL"));
}

static struct yaml *
node_new(struct yaml_parser *p, enum yaml_type type, struct conf_mark mark)
{
    if (++p->nodes > YAML_NODES_MAX)
        return fail(p, mark, "more values than a configuration may have; write less than 100000");

    struct yaml *y = arena_new(p->arena, struct yaml);
    y->type = type;
    y->mark = mark;
    y->nodes = 1;
    return y;
}

static bool
anchor_add(struct yaml_parser *p, struct str name, struct yaml *node)
{
    if (name.n == 0)
        return true;
    if (p->anchor_count++ == ANCHORS_MAX)
        return fail(p, node->mark, "more than 256 anchors; write the values out") != NULL;

    struct anchor *anchor = arena_new(p->arena, struct anchor);
    *anchor = (struct anchor){ .name = name, .node = node, .older = p->anchors };
    p->anchors = anchor;
    return true;
}

static struct yaml *
read_alias(struct yaml_parser *p, struct fy_event *ev)
{
    struct str name = token_text(p, ev->alias.anchor);

    for (struct anchor *a = p->anchors; a != NULL; a = a->older) {
        if (str_eq(a->name, name))
            return a->node;
    }
    return fail(p, event_mark(p, ev),
        "an alias (*name) without its anchor (&name) before it; "
        "write text that starts with * in quotes");
}

/* Where the text itself is in the file, so that a place in it has a line and a column: whether it is
 * written there as it is, after a quote or not, or on lines of its own after a "|". */
static void
find_text(struct yaml_parser *p, struct fy_event *ev, struct yaml *y)
{
    const struct fy_mark *m = fy_event_start_mark(ev);
    struct str rest = m != NULL ? str_skip(p->text, m->input_pos) : S("");
    struct str line, lines;

    if (y->text.n == 0 || m == NULL)
        return;
    y->begin = (struct conf_mark){ (unsigned)m->line + 1, (unsigned)m->column + 1 };
    if (fy_token_scalar_style(ev->scalar.value) != FYSS_LITERAL) {
        y->style = str_starts(rest, y->text) ? YAML_AS_IS : YAML_CHANGED;
        return;
    }
    if (str_starts(rest, S("|")) && str_cut(rest, '\n', &line, &rest))
        y->begin.line++;
    size_t indent = 0;
    while (indent < rest.n && rest.p[indent] == ' ')
        indent++;
    y->begin.column = (unsigned)indent + 1;
    (void)str_cut(y->text, '\n', &line, &lines);
    if (str_starts(str_skip(rest, indent), line))
        y->style = YAML_LINES;
}

static struct yaml *
read_scalar(struct yaml_parser *p, struct fy_event *ev)
{
    struct yaml *y = node_new(p, YAML_SCALAR, event_mark(p, ev));
    if (y == NULL)
        return NULL;

    y->text = token_text(p, ev->scalar.value);
    if (y->text.p == NULL)
        return fail(p, y->mark, "the file is too large to hold; make it smaller");
    y->quoted = fy_token_scalar_style(ev->scalar.value) != FYSS_PLAIN;
    find_text(p, ev, y);
    if (!y->quoted && is_null(y->text))
        y->type = YAML_NULL;
    return y;
}

/* Adds the child's size to its parent's, so that aliases of aliases cannot multiply without
   bound. */
static bool
count_child(struct yaml_parser *p, struct yaml *parent, const struct yaml *child)
{
    parent->count++;
    parent->nodes += child->nodes;
    if (parent->nodes > YAML_NODES_MAX)
        return fail(p, child->mark,
                   "its aliases stand for more than 100000 values; "
                   "write the values out") != NULL;
    return true;
}

static struct yaml *read_node(struct yaml_parser *p, struct fy_event *ev, unsigned depth);

/* The text of a line, counted from 1; empty when there is none. */
static struct str
line_at(struct str text, unsigned line)
{
    struct str head = S(""), tail = text;

    while (line-- != 0) {
        text = tail;
        if (!str_cut(text, '\n', &head, &tail) && line != 0)
            return S("");
    }
    return head;
}

/* libfyaml's message without the text that it quotes (a single character may stay), and what to
   write instead. */
static const char *
syntax_reason(struct yaml_parser *p, struct conf_mark mark, const char *message)
{
    struct str line = line_at(p->text, mark.line);
    struct str head = str_c(message);
    struct str sign = S(""), tail = S("");

    if (str_cut(head, '\'', &head, &tail) && !str_cut(tail, '\'', &sign, &tail))
        tail = S("");
    if (sign.n != 1 || str_chr(S("@`%&*!|>{}[],?:-#\""), sign.p[0]) == 18)
        sign = S("");
    head = str_trim(head);
    tail = str_trim(tail);

    const char *advice = "check the indentation, the quotes and the brackets";
    if (str_find(line, S("${")) != line.n)
        advice = "between { } and [ ] write \"${NAME}\" in quotes";
    else if (str_chr(line, '\t') != line.n)
        advice = "indent with spaces, not with tabs";
    return arena_printf(p->arena,
        "this is not valid YAML: " STR_FMT "%s" STR_FMT "%s" STR_FMT "; %s", STR_ARG(head),
        sign.n != 0 ? " " : "", STR_ARG(sign), tail.n != 0 ? " " : "", STR_ARG(tail), advice)
        .p;
}

/* The next event, or NULL after reporting the error. */
static struct fy_event *
next_event(struct yaml_parser *p)
{
    struct fy_event *ev = fy_parser_parse(p->fy);

    if (ev != NULL)
        return ev;

    void *walk = NULL;
    const struct fy_diag_error *e = fy_diag_errors_iterate(p->diag, &walk);

    if (e != NULL && e->msg != NULL) {
        struct conf_mark mark = { (unsigned)MAX(e->line, 1), (unsigned)MAX(e->column, 1) };
        (void)fail(p, mark, syntax_reason(p, mark, e->msg));
    } else {
        (void)fail(p, p->last,
            "the YAML ends unexpectedly here; check the indentation, the quotes and the brackets");
    }
    return NULL;
}

static struct yaml *
read_list(struct yaml_parser *p, struct yaml *y, unsigned depth)
{
    struct yaml_entry **tail = &y->first;

    for (;;) {
        struct fy_event *ev = next_event(p);
        if (ev == NULL)
            return NULL;

        bool end = ev->type == FYET_SEQUENCE_END;
        struct yaml *item = end ? NULL : read_node(p, ev, depth);
        fy_parser_event_free(p->fy, ev);
        if (end)
            return y;
        if (item == NULL || !count_child(p, y, item))
            return NULL;

        *tail = arena_new(p->arena, struct yaml_entry);
        (*tail)->value = item;
        tail = &(*tail)->next;
    }
}

static int
by_key(const void *a, const void *b)
{
    const struct yaml_entry *x = *(struct yaml_entry *const *)a;
    const struct yaml_entry *y = *(struct yaml_entry *const *)b;
    int order = str_cmp(x->key, y->key);

    if (order == 0)
        order = (x->key_mark.line > y->key_mark.line) - (x->key_mark.line < y->key_mark.line);
    if (order == 0)
        order =
            (x->key_mark.column > y->key_mark.column) - (x->key_mark.column < y->key_mark.column);
    return order;
}

/* A duplicate key is an error: otherwise one of the two values would be lost silently. */
static void
report_duplicates(struct yaml_parser *p, const struct yaml *y)
{
    if (y->count < 2)
        return;

    struct yaml_entry **sorted = check_alloc(malloc(y->count * sizeof(struct yaml_entry *)));
    size_t n = 0;

    for (struct yaml_entry *e = y->first; e != NULL; e = e->next)
        sorted[n++] = e;
    qsort(sorted, n, sizeof(struct yaml_entry *), by_key);
    for (size_t i = 1; i < n; i++) {
        if (!str_eq(sorted[i - 1]->key, sorted[i]->key))
            continue;
        conf_problem(p->problems, sorted[i]->key_mark,
            "this name was already used on line %u; keep one of the two",
            sorted[i - 1]->key_mark.line);
    }
    free(sorted);
}

static bool
key_is_usable(struct yaml_parser *p, const struct yaml *key)
{
    if (key == NULL)
        return false;
    if (key->type == YAML_LIST || key->type == YAML_MAP)
        return fail(p, key->mark,
                   "a key must be a plain word; put text that starts with [ or { in quotes") !=
               NULL;
    if (str_eq(key->text, S("<<")) && !key->quoted)
        return fail(p, key->mark,
                   "merge keys (<<) are not supported; write the values out, "
                   "or use an alias for the whole section") != NULL;
    return true;
}

static struct yaml *
read_map(struct yaml_parser *p, struct yaml *y, unsigned depth)
{
    struct yaml_entry **tail = &y->first;

    for (;;) {
        struct fy_event *ev = next_event(p);
        if (ev == NULL)
            return NULL;

        bool end = ev->type == FYET_MAPPING_END;
        struct conf_mark key_mark = event_mark(p, ev);
        struct yaml *key = end ? NULL : read_node(p, ev, depth);
        fy_parser_event_free(p->fy, ev);
        if (end)
            break;
        if (!key_is_usable(p, key))
            return NULL;

        ev = next_event(p);
        struct yaml *value = ev != NULL ? read_node(p, ev, depth) : NULL;
        fy_parser_event_free(p->fy, ev);
        if (value == NULL || !count_child(p, y, value))
            return NULL;

        *tail = arena_new(p->arena, struct yaml_entry);
        **tail = (struct yaml_entry){ .key = key->text, .key_mark = key_mark, .value = value };
        tail = &(*tail)->next;
    }
    report_duplicates(p, y);
    return y;
}

static struct yaml *
read_container(struct yaml_parser *p, struct fy_event *ev, unsigned depth)
{
    bool list = ev->type == FYET_SEQUENCE_START;
    struct yaml *y = node_new(p, list ? YAML_LIST : YAML_MAP, event_mark(p, ev));

    if (y == NULL)
        return NULL;
    if (depth == YAML_DEPTH_MAX)
        return fail(p, y->mark, "values are nested more than 32 levels deep; use fewer levels");
    return list ? read_list(p, y, depth + 1) : read_map(p, y, depth + 1);
}

/* Parses the value that starts with `ev`, up to its last event; the caller frees `ev`. */
static struct yaml *
read_node(struct yaml_parser *p, struct fy_event *ev, unsigned depth)
{
    struct fy_token *anchor = NULL;
    struct fy_token *tag = NULL;
    bool alias = ev->type == FYET_ALIAS;

    if (ev->type == FYET_SCALAR) {
        anchor = ev->scalar.anchor;
        tag = ev->scalar.tag;
    } else if (ev->type == FYET_SEQUENCE_START) {
        anchor = ev->sequence_start.anchor;
        tag = ev->sequence_start.tag;
    } else if (ev->type == FYET_MAPPING_START) {
        anchor = ev->mapping_start.anchor;
        tag = ev->mapping_start.tag;
    } else if (!alias) {
        return fail(p, event_mark(p, ev), "a value is missing here");
    }
    if (tag != NULL)
        return fail(p, event_mark(p, ev),
            "tags (!name) are not supported; remove it, "
            "or put text that starts with ! in quotes");

    struct str name = token_text(p, anchor);
    struct yaml *y = alias                     ? read_alias(p, ev)
                     : ev->type == FYET_SCALAR ? read_scalar(p, ev)
                                               : read_container(p, ev, depth);

    return y != NULL && anchor_add(p, name, y) ? y : NULL;
}

/* Stream start, document start, one value, document end, stream end. */
static struct yaml *
read_stream(struct yaml_parser *p)
{
    struct yaml *root = NULL;

    for (;;) {
        struct fy_event *ev = next_event(p);
        if (ev == NULL)
            return NULL;

        enum fy_event_type type = ev->type;
        bool frame =
            type == FYET_STREAM_START || type == FYET_DOCUMENT_START || type == FYET_DOCUMENT_END;

        if (type == FYET_DOCUMENT_START && root != NULL)
            (void)fail(p, event_mark(p, ev),
                "a second document starts here; a configuration is one document");
        if (!frame && type != FYET_STREAM_END && !p->failed)
            root = read_node(p, ev, 0);
        fy_parser_event_free(p->fy, ev);
        if (p->failed)
            return NULL;
        if (type == FYET_STREAM_END)
            return root != NULL ? root : node_new(p, YAML_NULL, (struct conf_mark){ 1, 1 });
    }
}

/* Length of the UTF-8 sequence at the start of `s`, 0 if it is invalid (RFC 3629). */
static size_t
utf8_length(struct str s)
{
    unsigned char lead = (unsigned char)s.p[0];
    size_t n = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;

    if (n == 1)
        return 1;
    if (lead < 0xc2 || lead > 0xf4 || n > s.n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if (((unsigned char)s.p[i] & 0xc0) != 0x80)
            return 0;
    }

    unsigned char second = (unsigned char)s.p[1];
    bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
    bool surrogate = lead == 0xed && second > 0x9f;
    bool beyond = lead == 0xf4 && second > 0x8f;
    return overlong || surrogate || beyond ? 0 : n;
}

static bool
is_blank_or_end(struct str s)
{
    return s.n == 0 || s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\n' || s.p[0] == '\r';
}

/* Does "? " start here, after `before`? It begins an explicit key, which no configuration needs,
 * and on which libfyaml frees memory twice when what follows is malformed. */
static bool
is_explicit_key(struct str text, char before)
{
    return text.p[0] == '?' && is_blank_or_end(str_skip(text, 1)) &&
           strchr(" \t\n\r[{,:", before) != NULL;
}

/* Rejects bytes that are not text, and what libfyaml cannot be trusted with, before it reads
 * them. */
static bool
text_is_clean(struct str text, struct conf_problems *problems)
{
    struct conf_mark at = { 1, 1 };
    char before = '\n';
    bool comment = false;

    if (text.n > YAML_BYTES_MAX) {
        conf_problem(
            problems, (struct conf_mark){ 1, 1 }, "the file is larger than 1MB; make it smaller");
        return false;
    }
    while (text.n != 0) {
        unsigned char c = (unsigned char)text.p[0];
        size_t n = utf8_length(text);

        if (n == 0) {
            conf_problem(problems, at, "byte 0x%02x is not UTF-8; save the file as UTF-8", c);
            return false;
        }
        if ((c < ' ' && c != '\n' && c != '\r' && c != '\t') || c == 0x7f) {
            conf_problem(problems, at, "control character 0x%02x; remove it", c);
            return false;
        }
        if (c == '%' && at.column == 1) {    /* libfyaml takes minutes for a long line of them */
            conf_problem(problems, at,
                "directives (%%) are not supported; remove the line, or put the text in quotes");
            return false;
        }
        comment = c != '\n' && (comment || (c == '#' && is_blank_or_end(str_make(&before, 1))));
        if (!comment && is_explicit_key(text, before)) {
            conf_problem(problems, at,
                "a question mark between blanks starts a key in YAML, which is not supported; "
                "remove the blank before it");
            return false;
        }
        before = (char)c;
        at = c == '\n' ? (struct conf_mark){ at.line + 1, 1 }
                       : (struct conf_mark){ at.line, at.column + 1 };
        text = str_skip(text, n);
    }
    return true;
}

/* libfyaml would print errors with the line's text to standard error: collect them instead. */
static struct fy_diag *
quiet_diag(void)
{
    struct fy_diag_cfg cfg;

    fy_diag_cfg_default(&cfg);
    cfg.fp = NULL;
    cfg.level = FYET_ERROR;
    struct fy_diag *diag = check_alloc(fy_diag_create(&cfg));
    fy_diag_set_collect_errors(diag, true);
    return diag;
}

struct yaml *
yaml_parse(struct arena *a, struct str text, struct conf_problems *problems)
{
    struct yaml_parser p = { .arena = a, .problems = problems, .last = { 1, 1 } };

    if (str_starts(text, S("\xef\xbb\xbf")))
        text = str_skip(text, 3);
    if (!text_is_clean(text, problems))
        return NULL;

    p.text = text;
    p.diag = quiet_diag();
    struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG, .diag = p.diag };
    p.fy = check_alloc(fy_parser_create(&cfg));
    CHECK(fy_parser_set_string(p.fy, text.n != 0 ? text.p : "", text.n) == 0);
    struct yaml *root = read_stream(&p);
    fy_parser_destroy(p.fy);
    fy_diag_destroy(p.diag);
    return root;
}

/* set.c - copies the nodes on the way to a value, never changes them: aliases share them. */
#include "conf/set.h"

enum { SEGMENTS_MAX = 16 };

struct setting {
    struct arena *arena;
    struct conf_problems *problems;
    struct str segments[SEGMENTS_MAX];
    size_t count;
    struct yaml *value;
    const char *path;    /* as given, for messages */
};

static void
fail(const struct setting *s, const char *reason)
{
    conf_problem(s->problems, (struct conf_mark){ 0, 0 }, "--set%s%s: %s",
        s->path != NULL ? " " : "", s->path != NULL ? s->path : "", reason);
}

/* Takes the first name off the path; false if there is none. */
static bool
next_segment(struct str *path, struct str *ret)
{
    if (path->n != 0 && path->p[0] == '"') {
        if (!str_cut(str_skip(*path, 1), '"', ret, path))
            return false;
        if (path->n != 0 && path->p[0] != '.')
            return false;
        *path = str_skip(*path, 1);
        return ret->n != 0;
    }
    bool more = str_cut(*path, '.', ret, path);
    return ret->n != 0 && (!more || path->n != 0);
}

static bool
parse_path(struct setting *s, struct str path)
{
    while (path.n != 0) {
        if (s->count == SEGMENTS_MAX || !next_segment(&path, &s->segments[s->count]))
            return false;
        s->count++;
    }
    return s->count != 0;
}

/* Values of --set are reported by name: they have no position in the file. */
static void
stamp(struct yaml *y, const char *set)
{
    y->mark = (struct conf_mark){ 0, 0 };
    y->set = set;
    for (struct yaml_entry *e = y->first; e != NULL; e = e->next) {
        e->key_mark = (struct conf_mark){ 0, 0 };
        stamp(e->value, set);
    }
}

static struct yaml *
node_new(const struct setting *s, enum yaml_type type)
{
    struct yaml *y = arena_new(s->arena, struct yaml);

    y->type = type;
    y->set = s->path;
    return y;
}

/* NULL after reporting why it is not YAML. */
static struct yaml *
parse_value(const struct setting *s, struct str text)
{
    struct conf_problems inside;
    struct yaml *y;

    if (text.n == 0 || str_chr(S("[{\"'"), text.p[0]) == 4) {
        y = node_new(s, text.n == 0 ? YAML_NULL : YAML_SCALAR);
        y->text = text;
        return y;
    }
    conf_problems_init(&inside, s->arena);
    y = yaml_parse(s->arena, text, &inside);
    for (const struct conf_problem *i = inside.first; i != NULL; i = i->next)
        fail(s, i->text.p);
    if (y == NULL || inside.count != 0)
        return NULL;
    stamp(y, s->path);
    return y;
}

/* A copy of `map` (an empty one for a null node) with `key` set to `value`. */
static struct yaml *
with_member(const struct setting *s, const struct yaml *map, struct str key, struct yaml *value)
{
    struct yaml *copy = node_new(s, YAML_MAP);
    struct yaml_entry **tail = &copy->first;
    bool found = false;

    if (map->type == YAML_MAP)
        *copy = *map;
    for (const struct yaml_entry *e = map->first; e != NULL; e = e->next) {
        *tail = arena_new(s->arena, struct yaml_entry);
        **tail = *e;
        (*tail)->next = NULL;
        if (str_eq(e->key, key)) {
            (*tail)->value = value;
            found = true;
        }
        tail = &(*tail)->next;
    }
    if (!found) {
        *tail = arena_new(s->arena, struct yaml_entry);
        **tail = (struct yaml_entry){ .key = key, .value = value };
        copy->count++;
    }
    return copy;
}

/* The node that replaces `y`, with the value at segments[depth...] below it. NULL after an
   error. */
static struct yaml *
put(const struct setting *s, const struct yaml *y, size_t depth)
{
    if (depth == s->count)
        return s->value;
    if (y->type != YAML_MAP && y->type != YAML_NULL) {
        fail(s,
            "part of this path is not a section; write the path of a setting, or the whole list as [a, b]");
        return NULL;
    }

    const struct yaml *child = yaml_get(y, s->segments[depth]);
    struct yaml *new = put(s, child != NULL ? child : node_new(s, YAML_NULL), depth + 1);
    return new != NULL ? with_member(s, y, s->segments[depth], new) : NULL;
}

struct yaml *
set_apply(struct arena *a, struct yaml *root, const char *set, struct conf_problems *problems)
{
    struct setting s = { .arena = a, .problems = problems };
    struct str path, value;
    bool has_value = str_cut(str_c(set), '=', &path, &value);

    s.path = has_value ? yaml_shown(a, path).p : NULL;    /* not shown: it may be a secret */
    if (!has_value || !parse_path(&s, path)) {
        fail(&s, "is not a setting; write --set key.path=value, like --set server.workers=2");
        return root;
    }
    s.value = parse_value(&s, value);
    if (s.value == NULL)
        return root;

    struct yaml *changed = put(&s, root, 0);
    return changed != NULL ? changed : root;
}

/* problem.c - what is wrong with a configuration, kept in file order. */
#include "conf/conf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"

enum { PROBLEMS_MAX = 100, TEXT_MAX = 1024, NEAR_MAX = 3 };

void
conf_problems_init(struct conf_problems *p, struct arena *a)
{
    *p = (struct conf_problems){ .arena = a };
}

/* Problems without a position in the file come after those with one. */
static bool
is_behind(struct conf_mark a, struct conf_mark b)
{
    if (a.line == 0 || b.line == 0)
        return a.line == 0 && b.line != 0;
    return a.line != b.line ? a.line > b.line : a.column > b.column;
}

/* Was this reported already? The same mistake can be found twice: through YAML aliases of a
 * section, or targets of targets. */
static bool
is_known(const struct conf_problem *list, struct conf_mark mark, struct str text)
{
    for (const struct conf_problem *i = list; i != NULL; i = i->next) {
        if (i->mark.line == mark.line && i->mark.column == mark.column && str_eq(i->text, text))
            return true;
    }
    return false;
}

static void add(struct conf_problems *p, struct conf_problem **list, size_t *count,
    struct conf_mark mark, const char *format, va_list args) PRINTF_LIKE(5, 0);

static void
add(struct conf_problems *p, struct conf_problem **list, size_t *count, struct conf_mark mark,
    const char *format, va_list args)
{
    char text[TEXT_MAX];
    int n = vsnprintf(text, sizeof(text), format, args);

    CHECK(n >= 0);
    if (is_known(*list, mark, str_c(text)) || (*count)++ >= PROBLEMS_MAX)
        return;

    struct conf_problem *new = arena_new(p->arena, struct conf_problem);
    new->mark = mark;
    new->text = arena_printf(p->arena, "%s", text);

    while (*list != NULL && !is_behind((*list)->mark, mark))
        list = &(*list)->next;
    new->next = *list;
    *list = new;
}

void
conf_problem(struct conf_problems *p, struct conf_mark mark, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add(p, &p->first, &p->count, mark, format, args);
    va_end(args);
}

void
conf_warn(struct conf_problems *p, struct conf_mark mark, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add(p, &p->first_warning, &p->warning_count, mark, format, args);
    va_end(args);
}

/* The line of one problem or warning; `kind` is "" or "warning: ". */
static void
write_line(struct buf *out, const struct conf_problem *problem, struct str path, const char *kind)
{
    buf_reset(out, SIZE_MAX);
    /* A problem of --set names the setting itself. */
    if (problem->mark.line != 0)
        buf_printf(
            out, STR_FMT ":%u:%u: ", STR_ARG(path), problem->mark.line, problem->mark.column);
    else if (!str_starts(problem->text, S("--set")) && path.n != 0)
        buf_printf(out, STR_FMT ": ", STR_ARG(path));
    buf_printf(out, "%s" STR_FMT, kind, STR_ARG(problem->text));
}

static void
each(const struct conf_problem *list, size_t count, struct str path, const char *kind,
    conf_line_fn *fn, void *arg)
{
    struct buf line;

    buf_init(&line, TEXT_MAX + path.n + 64);
    for (; list != NULL; list = list->next) {
        write_line(&line, list, path, kind);
        fn(arg, buf_str(&line));
    }
    if (count > PROBLEMS_MAX) {
        buf_reset(&line, SIZE_MAX);
        buf_printf(&line, "%sand %zu more", kind, count - PROBLEMS_MAX);
        fn(arg, buf_str(&line));
    }
    buf_fini(&line);
}

void
conf_problems_each(const struct conf_problems *p, struct str path, conf_line_fn *fn, void *arg)
{
    each(p->first, p->count, path, "", fn, arg);
}

void
conf_warnings_each(const struct conf_problems *p, struct str path, conf_line_fn *fn, void *arg)
{
    each(p->first_warning, p->warning_count, path, "warning: ", fn, arg);
}

static void
print_line(void *arg, struct str line)
{
    dprintf(*(const int *)arg, STR_FMT "\n", STR_ARG(line));
}

void
conf_problems_print(const struct conf_problems *p, struct str path, int fd)
{
    conf_problems_each(p, path, print_line, &fd);
    conf_warnings_each(p, path, print_line, &fd);
}

struct str
conf_closest(struct str word, const struct str *names, size_t count)
{
    /* At most a third of the letters may differ. */
    unsigned limit = (unsigned)MIN(MAX(word.n / 3, 1), NEAR_MAX);
    struct str best = { NULL, 0 };

    for (size_t i = 0; i < count; i++) {
        unsigned distance = str_distance(word, names[i], limit);

        if (distance <= limit && (best.p == NULL || distance < limit)) {
            best = names[i];
            limit = distance;
        }
    }
    return best;
}

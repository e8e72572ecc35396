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
    p->tail = &p->first;
}

/* What has no place in the file comes after what has. */
static bool
is_behind(struct conf_mark a, struct conf_mark b)
{
    if (a.line == 0 || b.line == 0)
        return a.line == 0 && b.line != 0;
    return a.line != b.line ? a.line > b.line : a.column > b.column;
}

/* Was this said already? Two ways may lead to one mistake: aliases of a section, targets of
 * targets. */
static bool
is_known(const struct conf_problems *p, struct conf_mark mark, struct str text)
{
    for (const struct conf_problem *i = p->first; i != NULL; i = i->next) {
        if (i->mark.line == mark.line && i->mark.column == mark.column && str_eq(i->text, text))
            return true;
    }
    return false;
}

void
conf_problem(struct conf_problems *p, struct conf_mark mark, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    CHECK(n >= 0);
    if (is_known(p, mark, str_c(text)) || p->count++ >= PROBLEMS_MAX)
        return;

    struct conf_problem *new = arena_new(p->arena, struct conf_problem);
    new->mark = mark;
    new->text = arena_printf(p->arena, "%s", text);

    struct conf_problem **at = &p->first;
    while (*at != NULL && !is_behind((*at)->mark, mark))
        at = &(*at)->next;
    new->next = *at;
    *at = new;
    if (new->next == NULL)
        p->tail = &new->next;
}

static void
add_problem(struct buf *out, const struct conf_problem *problem, struct str path)
{
    buf_reset(out, SIZE_MAX);
    /* A --set names its own place. */
    if (problem->mark.line != 0)
        buf_printf(
            out, STR_FMT ":%u:%u: ", STR_ARG(path), problem->mark.line, problem->mark.column);
    else if (!str_starts(problem->text, S("--set")) && path.n != 0)
        buf_printf(out, STR_FMT ": ", STR_ARG(path));
    buf_add(out, problem->text);
}

void
conf_problems_each(const struct conf_problems *p, struct str path,
    void (*fn)(void *arg, struct str line), void *arg)
{
    struct buf line;

    buf_init(&line, TEXT_MAX + path.n + 64);
    for (const struct conf_problem *i = p->first; i != NULL; i = i->next) {
        add_problem(&line, i, path);
        fn(arg, buf_str(&line));
    }
    if (p->count > PROBLEMS_MAX) {
        buf_reset(&line, SIZE_MAX);
        buf_printf(&line, "and %zu more", p->count - PROBLEMS_MAX);
        fn(arg, buf_str(&line));
    }
    buf_fini(&line);
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
}

struct str
conf_closest(struct str word, const struct str *names, size_t count)
{
    /* A third of the letters may differ: more is another word. */
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

/* conf_test.h - a configuration from text and the lines of what is wrong with it. */
#pragma once

#include <stdlib.h>

#include "base/buf.h"
#include "conf/conf.h"

struct loaded {
    struct arena *arena;
    struct conf_problems problems;
    struct conf *conf;
};

static inline struct loaded
load_with(struct str text, const char *const *sets, size_t set_count)
{
    struct loaded l = { .arena = arena_create(1024 * 1024) };
    char path[] = "/tmp/openclaw-conf-XXXXXX";
    int fd = mkstemp(path);

    EXPECT(fd >= 0);
    EXPECT(write(fd, text.p, text.n) == (ssize_t)text.n);
    EXPECT(close(fd) == 0);
    conf_problems_init(&l.problems, l.arena);
    l.conf = conf_load(path, sets, set_count, &l.problems);
    EXPECT(unlink(path) == 0);
    return l;
}

static inline struct loaded
load(struct str text)
{
    struct loaded l = { .arena = arena_create(1024 * 1024) };

    conf_problems_init(&l.problems, l.arena);
    l.conf = conf_parse(text, S("f.yaml"), &l.problems);
    return l;
}

static inline void
unload(struct loaded *l)
{
    conf_destroy(l->conf);
    arena_destroy(l->arena);
}

/* "line:col: text\n" of each problem; a problem without a place has no "line:col: ". */
static inline struct str
problem_lines(struct loaded *l)
{
    struct str all = S("");

    for (const struct conf_problem *p = l->problems.first; p != NULL; p = p->next) {
        struct str place = p->mark.line == 0
                               ? S("")
                               : arena_printf(l->arena, "%u:%u: ", p->mark.line, p->mark.column);
        all = arena_printf(
            l->arena, STR_FMT STR_FMT STR_FMT "\n", STR_ARG(all), STR_ARG(place), STR_ARG(p->text));
    }
    return all;
}

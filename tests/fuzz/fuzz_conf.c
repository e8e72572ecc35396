/* fuzz_conf.c - any bytes as a configuration: a whole struct or problems, within bounds, never a
 * crash.
 *
 * A NUL separates the file from a --set, so that both meet.
 */
#include <stdlib.h>

#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What everybody behind may rely on, whatever the input was. */
static void
check_whole(const struct conf *c, const struct conf_problems *problems)
{
    CHECK(c->auth.mode != AUTH_DEFAULT);
    CHECK(c->server.limit_body_bytes != 0 && c->timeouts.connect_ms != 0);
    CHECK(c->observe.log_level.v.n != 0);
    for (size_t i = 0; i < c->server.listen.count; i++)
        CHECK(c->server.listen.list[i].v.p[c->server.listen.list[i].v.n] == '\0');
    if (problems->count != 0)
        return;
    CHECK(c->server.listen.count != 0);
    for (size_t i = 0; i < c->auth.key_count; i++)
        CHECK(c->auth.keys[i].name.v.n != 0 && c->auth.keys[i].key.v.n != 0 &&
              c->auth.keys[i].key.secret);
    for (size_t i = 0; i < c->model_count; i++) {
        CHECK(c->models[i].target_count != 0);
        for (size_t j = 0; j < c->models[i].target_count; j++)
            CHECK(c->models[i].targets[j].model.v.n != 0 && c->models[i].targets[j].weight != 0);
    }
}

static void
check_order(const struct conf_problem *list, size_t count)
{
    size_t n = 0;

    for (const struct conf_problem *p = list; p != NULL; p = p->next) {
        n++;
        CHECK(p->text.n != 0);
        if (p->next == NULL || p->next->mark.line == 0)
            continue;
        CHECK(p->mark.line != 0 && p->mark.line <= p->next->mark.line);
        CHECK(p->mark.line < p->next->mark.line || p->mark.column <= p->next->mark.column);
    }
    CHECK(n == MIN(count, 100));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make((const char *)data, size), set;
    bool has_set = str_cut(text, '\0', &text, &set);
    struct arena *a = arena_create(1024 * 1024);
    char *c_set = str_dup_c(set);
    const char *sets[] = { c_set };
    struct conf_problems problems;

    conf_problems_init(&problems, a);
    struct conf *c = conf_load_text(text, S("fuzz"), sets, has_set, &problems);
    check_whole(c, &problems);
    check_order(problems.first, problems.count);
    check_order(problems.first_warning, problems.warning_count);
    conf_destroy(c);
    free(c_set);
    arena_destroy(a);
    return 0;
}

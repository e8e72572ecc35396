/* rules.c - each worker counts what its rules do; here the counts are added up. */
#include "admin/rules.h"

#include <stdlib.h>

#include "admin/answer.h"

/* The counts of a worker that has the same configuration; `question` is its generation. */
static void
tell(void *owner, struct str question, struct collected *ret)
{
    const struct worker *w = owner;
    const struct snapshot_hold *hold = w->current;
    uint64_t generation;

    if (!str_u64(question, &generation) || hold->snapshot->generation != generation)
        return;
    for (size_t i = 0; rules_at(hold->snapshot->rules, i) != NULL; i++)
        buf_add(&ret->rows,
            str_make((const char *)&rules_counts(hold->rules)[i], sizeof(struct rule_count)));
}

/* The last worker that failed says why. */
static void
add_up(struct rule_count *sum, size_t count, struct str rows)
{
    struct rule_count one;

    for (size_t i = 0; i < count && rows.n >= sizeof(one); i++) {
        memcpy(&one, rows.p, sizeof(one));
        rows = str_skip(rows, sizeof(one));
        sum[i].matched += one.matched;
        sum[i].failed += one.failed;
        if (one.failed != 0)
            memcpy(sum[i].why, one.why, sizeof(one.why));
    }
}

void
rules_answer(struct collector *c, struct gateway *g, struct exchange *x)
{
    const struct snapshot *s = x->hold->snapshot;
    struct str question = arena_printf(x->arena, "%llu", (unsigned long long)s->generation);
    const struct collected *told;
    const struct rule *rule;
    size_t count = 0;
    struct buf body;

    if (!collect(c, x, 0, g->workers, tell, question, ANSWER_PATIENCE_MS, &told))
        return;
    while (rules_at(s->rules, count) != NULL)
        count++;
    struct rule_count *sum = check_alloc(calloc(count + 1, sizeof(*sum)));
    for (unsigned i = 0; i < g->workers; i++)
        add_up(sum, count, buf_str(&told[i].rows));

    struct json_out o = answer_begin(&body);
    answer_silent(&o, told, g->workers);
    out_key_array(&o, "rules");
    for (size_t i = 0; (rule = rules_at(s->rules, i)) != NULL; i++) {
        out_object(&o);
        out_text(&o, "name", rule->name);
        out_i64(&o, "line", rule->conf->mark.line);
        out_i64(&o, "matched", (int64_t)sum[i].matched);
        out_i64(&o, "failed", (int64_t)sum[i].failed);
        if (sum[i].failed != 0)
            out_text(&o, "last_failure", exchange_shown(x, str_c(sum[i].why)));
        else
            out_null(&o, "last_failure");
        out_end(&o);
    }
    out_end_array(&o);
    answer_end(x, &o);
    free(sum);
}

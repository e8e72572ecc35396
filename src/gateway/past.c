/* past.c - asks this worker, then all. */
#include "gateway/past.h"

#include "gateway/recent.h"

#define PATIENCE_MS 1000
#define ROWS_BYTES (256u * 1024)

bool
past_ask(struct exchange *x, past_fn *ask, struct str question, struct str *ret_found)
{
    struct gateway *g = x->worker->gateway;
    const struct collected *told;

    *ret_found = S("");
    if (x->admin == NULL) {
        struct collected own = { .answered = true };

        buf_init(&own.rows, ROWS_BYTES);
        ask(x->worker, question, &own);
        *ret_found = arena_str(x->arena, buf_str(&own.rows));
        buf_fini(&own.rows);
        if (ret_found->n != 0 || g->collector == NULL || g->workers == 1)
            return true;
    }
    if (!collect(g->collector, x, 0, g->workers, ask, question, PATIENCE_MS, &told))
        return false;
    for (unsigned i = 0; i < g->workers && ret_found->n == 0; i++)
        *ret_found = buf_str(&told[i].rows);
    return true;
}

struct str
past_key(const struct exchange *x)
{
    return x->who != NULL ? str_c(x->who->hash_hex) : S("");
}

/* "HASH\nID", or "*\nID" for any key. */
static void
tell(void *owner, struct str question, struct collected *ret)
{
    const struct worker *w = owner;
    struct recent_entry e;
    struct str key, id;

    (void)str_cut(question, '\n', &key, &id);
    if (!recent_find(w->recent, id, str_eq(key, S("*")) ? NULL : &key, &e))
        return;
    buf_add(&ret->rows, S("{\"request\":"));
    buf_add(&ret->rows, e.line);
    buf_add(&ret->rows, S(",\"feedback\":"));
    buf_add(&ret->rows, e.feedback.n != 0 ? e.feedback : S("null"));
    buf_add_c(&ret->rows, '}');
}

bool
past_find(struct exchange *x, struct str id, bool any_key, struct str *ret_found)
{
    struct str key = any_key ? S("*") : past_key(x);

    return past_ask(x, tell,
        arena_printf(x->arena, STR_FMT "\n" STR_FMT, STR_ARG(key), STR_ARG(id)), ret_found);
}

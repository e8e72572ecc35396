/* spending.c - writes the scopes that were used, with what is left to them. */
#include "admin/spending.h"

#include "admin/answer.h"
#include "base/clock.h"
#include "base/url.h"
#include "gateway/reply.h"
#include "policy/scope.h"

#define SCOPES_MOST 1000u

struct spending_list {
    struct json_out *out;
    enum scope_kind kind;    /* of what is looked for */
    struct str id;           /* empty: everything */
    bool one;
    unsigned count;
    bool more;    /* than are listed */
};

static void
write_money(struct json_out *o, struct str name, int64_t nanousd)
{
    struct buf text;

    buf_init(&text, 64);
    buf_add_decimal(&text, (uint64_t)MAX(nanousd, 0), 9);
    out_key_str(o, name);
    out_raw_value(o, buf_str(&text));
    buf_fini(&text);
}

static void
write_rates(struct json_out *o, const struct scope *s)
{
    uint64_t now_ns = clock_now_us() * 1000, reset_ns;

    out_key_array(o, "limits");
    for (unsigned r = 0; r < SCOPE_RATES; r++) {
        uint64_t limit = atomic_load_explicit(&s->rates[r].limit, memory_order_relaxed);

        if (limit == 0)
            continue;
        uint64_t left = gcra_left(&s->rates[r], scope_window_ns[r], now_ns, &reset_ns);
        out_object(o);
        out_text(o, "rate", str_c(scope_rate_name((enum scope_rate)r)));
        out_i64(o, "limit", (int64_t)limit);
        out_i64(o, "burst", (int64_t)atomic_load(&s->rates[r].burst));
        out_i64(o, "left", (int64_t)left);
        out_i64(o, "reset_ms", (int64_t)(reset_ns / 1000000));
        out_end(o);
    }
    out_end_array(o);
    out_i64(o, "concurrent", atomic_load(&s->concurrent));
    out_i64(o, "streams", atomic_load(&s->streams));
}

static void
write_forecast(struct json_out *o, const struct budget_view *v, uint64_t wall_ms)
{
    struct budget_forecast f;

    if (!budget_foresee(v, wall_ms, &f)) {
        out_null(o, "forecast");
        return;
    }
    out_key_object(o, "forecast");
    write_money(o, S("usd"), f.nanousd);
    write_money(o, S("low_usd"), f.low_nanousd);
    write_money(o, S("high_usd"), f.high_nanousd);
    out_end(o);
}

static void
write_budget(struct json_out *o, struct budget *b)
{
    uint64_t wall_ms = clock_wall_ms();
    struct budget_view v = budget_look(b, wall_ms);
    char room[CLOCK_STAMP_ROOM];

    if (v.terms == NULL)
        return;
    out_object(o);
    out_text(o, "id", b->name);
    out_text(o, "period", str_c(budget_period_name(v.terms->period)));
    if (v.ends_ms != UINT64_MAX) {
        out_text(o, "begins", clock_stamp(v.begins_ms, room));
        out_text(o, "ends", clock_stamp(v.ends_ms, room));
    }
    write_money(o, S("amount_usd"), v.terms->nanousd);
    write_money(o, S("spent_usd"), v.spent);
    write_money(o, S("reserved_usd"), v.reserved);
    write_forecast(o, &v, wall_ms);
    out_end(o);
}

static bool
write_scope(void *arg, struct scope *s)
{
    struct spending_list *l = arg;
    struct json_out *o = l->out;

    if (!atomic_load(&s->limited) || s->kind == SCOPE_PURSE ||
        (l->one && (s->kind != l->kind || (!str_eq(s->id, l->id) && !str_eq(s->name, l->id)))))
        return true;
    if (l->count == SCOPES_MOST) {
        l->more = true;
        return false;
    }
    l->count++;
    out_object(o);
    out_text(o, "kind", str_c(scope_kind_name(s->kind)));
    out_text(o, "id", s->id);
    if (s->name.n != 0 && !str_eq(s->name, s->id))
        out_text(o, "name", s->name);
    write_rates(o, s);
    out_key_array(o, "budgets");
    for (unsigned i = 0; i < SCOPE_BUDGETS; i++) {
        struct budget *b = atomic_load(&s->budgets[i]);

        if (b == NULL)
            break;
        write_budget(o, b);
    }
    out_end_array(o);
    out_end(o);
    return true;
}

void
spending_answer(struct gateway *g, struct exchange *x)
{
    struct str wish = url_query_get(x->arena, server_head(x->q)->query, S("scope"));
    struct spending_list l = { .count = 0 };
    struct buf body;

    l.one = wish.n != 0;
    if (l.one && !scope_parse(wish, &l.kind, &l.id)) {
        (void)exchange_fail(x, ERR_BAD_REQUEST,
            "the parameter scope is not a scope; write all, or KIND:NAME, like team:search");
        return;
    }
    struct json_out o = answer_begin(&body);
    l.out = &o;
    out_key_array(&o, "scopes");
    if (g->scopes != NULL)
        scopes_each(g->scopes, write_scope, &l);
    out_end_array(&o);
    out_bool(&o, "more", l.more);
    answer_end(x, &o);
}

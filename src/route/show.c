/* show.c - the view of a breaker as JSON. */
#include "route/show.h"

#include "base/clock.h"

const char *
health_state_name(enum health_state state)
{
    static const char *const names[] = { [HEALTH_CLOSED] = "closed",
        [HEALTH_RECOVERING] = "recovering",
        [HEALTH_HALF_OPEN] = "half_open",
        [HEALTH_OPEN] = "open",
        [HEALTH_OFF] = "off" };

    return names[state];
}

struct health_table *
health_table_of(const struct provider *p)
{
    struct arena *a = arena_create(64 * 1024);
    struct str name = p->origin != NULL ? provider_stable_name(a, p) : p->id;

    if (p->region.n != 0)    /* one address may serve several */
        name = arena_printf(a, STR_FMT "\n" STR_FMT, STR_ARG(name), STR_ARG(p->region));
    struct health_table *t = health_table_hold(name);

    arena_destroy(a);
    return t;
}

void
health_write(struct json_out *o, const struct health_view *v, uint64_t now_ms)
{
    char room[CLOCK_STAMP_ROOM];
    uint64_t ago_ms = now_ms - MIN(v->since_ms, now_ms);

    out_text(o, "state", str_c(health_state_name(v->state)));
    if (v->why != OK && v->state != HEALTH_CLOSED)
        out_text(o, "why", str_c(err_row(v->why)->code));
    else
        out_null(o, "why");
    if (v->since_ms != 0) {
        out_text(o, "since", clock_stamp(clock_wall_ms() - ago_ms, room));
        out_i64(o, "since_ms", (int64_t)ago_ms);
    } else {
        out_null(o, "since");
        out_null(o, "since_ms");
    }
    if (v->state == HEALTH_OPEN && v->until_ms != UINT64_MAX)
        out_i64(o, "retry_in_ms", (int64_t)(v->until_ms - MIN(v->until_ms, now_ms)));
    else
        out_null(o, "retry_in_ms");
    out_i64(o, "ok", (int64_t)v->ok);
    out_i64(o, "failed", (int64_t)v->failed);
    out_i64(o, "other", (int64_t)v->other);
}

/* limit_fields.c - writes what is left of limits, for the scope that has the least left. */
#include "gateway/limit_fields.h"

#include "base/clock.h"

#define NS_PER_S UINT64_C(1000000000)

/* "6m0s", "1.5s", "20ms": as OpenAI writes the time until all may be used again. */
static void
add_time(struct buf *out, uint64_t ns)
{
    uint64_t ms = (ns + 999999) / 1000000;

    if (ms < 1000) {
        buf_printf(out, "%llums", (unsigned long long)ms);
        return;
    }
    if (ms >= 60000)
        buf_printf(out, "%llum", (unsigned long long)(ms / 60000));
    ms %= 60000;
    buf_printf(out, "%llu", (unsigned long long)(ms / 1000));
    if (ms % 1000 != 0)
        buf_printf(out, ".%03llu", (unsigned long long)(ms % 1000));
    buf_add_c(out, 's');
}

static void
add_openai(struct buf *out, const char *what, const struct scope_left *l)
{
    buf_printf(out,
        "x-ratelimit-limit-%s: %llu\r\nx-ratelimit-remaining-%s: %llu\r\n"
        "x-ratelimit-reset-%s: ",
        what, (unsigned long long)l->limit, what, (unsigned long long)l->left, what);
    add_time(out, l->reset_ns);
    buf_add(out, S("\r\n"));
}

static void
add_anthropic(struct buf *out, const char *what, const struct scope_left *l, uint64_t wall_ms)
{
    char room[CLOCK_STAMP_ROOM];

    /* whole seconds, as Anthropic's: "2026-11-21T10:54:47Z" */
    struct str at = clock_stamp(wall_ms + (l->reset_ns + NS_PER_S - 1) / 1000000, room);
    buf_printf(out,
        "anthropic-ratelimit-%s-limit: %llu\r\nanthropic-ratelimit-%s-remaining: %llu\r\n"
        "anthropic-ratelimit-%s-reset: " STR_FMT "Z\r\n",
        what, (unsigned long long)l->limit, what, (unsigned long long)l->left, what,
        STR_ARG(str_make(at.p, at.n - sizeof(".000Z") + 1)));
}

static void
add_ietf(struct buf *out, const struct scope_left *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        buf_printf(out, "%s\"%s\";q=%llu;w=%llu", i == 0 ? "RateLimit-Policy: " : ", ",
            scope_rate_name(list[i].rate), (unsigned long long)list[i].limit,
            (unsigned long long)(scope_window_ns[list[i].rate] / NS_PER_S));
    buf_add(out, S("\r\n"));
    for (unsigned i = 0; i < count; i++)
        buf_printf(out, "%s\"%s\";r=%llu;t=%llu", i == 0 ? "RateLimit: " : ", ",
            scope_rate_name(list[i].rate), (unsigned long long)list[i].left,
            (unsigned long long)((list[i].reset_ns + NS_PER_S - 1) / NS_PER_S));
    buf_add(out, S("\r\n"));
}

bool
limit_fields_add(
    struct buf *out, const struct reservation *r, bool anthropic, uint64_t now_ns, uint64_t wall_ms)
{
    struct scope_left list[2];
    unsigned n = 0;

    for (unsigned tokens = 0; tokens < 2; tokens++) {
        const char *what = tokens != 0 ? "tokens" : "requests";

        if (!scopes_left(r->scopes, r->count, tokens != 0, now_ns, &list[n]))
            continue;
        if (anthropic)
            add_anthropic(out, what, &list[n], wall_ms);
        else
            add_openai(out, what, &list[n]);
        n++;
    }
    if (n != 0)
        add_ietf(out, list, n);
    return n != 0;
}

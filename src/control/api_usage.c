/* api_usage.c - GET /admin/v1/usage: what was used and spent, to those who may know. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/url.h"
#include "control/api_call.h"
#include "store/usage.h"

#define DAY_MS INT64_C(86400000)
#define DAYS_DEFAULT 30
#define DATE_BYTES 10

static const struct str times[] = {
    [LEDGER_HOUR] = S_INIT("hour"),
    [LEDGER_DAY] = S_INIT("day"),
    [LEDGER_WEEK] = S_INIT("week"),
    [LEDGER_MONTH] = S_INIT("month"),
};

/* A query as it was written. */
struct usage_ask {
    struct ledger_query q;
    struct str since, until, zone;
};

static void
fault_at(struct api_call *c, const char *name, const char *detail)
{
    faults_add(&c->faults, arena_printf(c->arena, "?%s", name), "%s", detail);
}

static bool
read_dim(struct str name, enum ledger_dim *ret)
{
    for (unsigned i = 0; i < LEDGER_DIMS; i++)
        if (str_eq(name, ledger_dims[i])) {
            *ret = (enum ledger_dim)i;
            return true;
        }
    return false;
}

static void
read_by(struct api_call *c, struct ledger_query *q, struct str text)
{
    struct str name;
    enum ledger_dim dim;

    while (text.n != 0) {
        unsigned time = LEDGER_ALL;

        (void)str_cut(text, ',', &name, &text);
        for (unsigned i = LEDGER_HOUR; i < ARRAY_LEN(times); i++)
            time = str_eq(name, times[i]) ? i : time;
        if (time != LEDGER_ALL && q->time == LEDGER_ALL)
            q->time = (enum ledger_time)time;
        else if (time == LEDGER_ALL && read_dim(name, &dim))
            q->by |= 1u << dim;
        else
            fault_at(c, "by",
                "must be some of key, user, team, project, org, model, provider, endpoint, environment, "
                "tag, session, and one of hour, day, week, month, separated by commas");
    }
}

static void
read_parameter(struct api_call *c, struct str name, struct str text, struct usage_ask *ask)
{
    enum ledger_dim dim;

    if (str_eq(name, S("by")))
        read_by(c, &ask->q, text);
    else if (str_eq(name, S("since")))
        ask->since = text;
    else if (str_eq(name, S("until")))
        ask->until = text;
    else if (str_eq(name, S("zone")))
        ask->zone = text;
    else if (read_dim(name, &dim) && text.n <= 256)
        ask->q.only[dim] = text;
    else
        faults_add(&c->faults, arena_printf(c->arena, "?" STR_FMT, STR_ARG(name)),
            "usage has no such parameter; there are by, since, until, zone, and the name of everything "
            "that it is summed up by");
}

/* A moment, a day of the zone, or so many days or hours ago ("7d", "36h"). */
static bool
read_time(
    struct api_call *c, struct str text, const struct zone *zone, uint64_t now_ms, uint64_t *ret_ms)
{
    uint64_t n;
    int64_t ms, begins, ends;
    bool days = str_ends(text, S("d"));

    if ((days || str_ends(text, S("h"))) && str_u64(str_make(text.p, text.n - 1), &n) &&
        n < 100000) {
        uint64_t ago = n * (days ? LEDGER_DAY_MS : LEDGER_HOUR_MS);

        *ret_ms = now_ms > ago ? now_ms - ago : 0;
        return true;
    }
    bool date = text.n == DATE_BYTES;
    if (date)
        text = arena_printf(c->arena, STR_FMT "T12:00:00Z", STR_ARG(text));
    if (!clock_timestamp(text, &ms) || ms < DAY_MS)
        return false;
    if (date) {
        int64_t noon_s = ms / 1000;

        zone_period(zone, ZONE_DAY, noon_s - zone_offset_s(zone, noon_s), &begins, &ends);
        ms = begins * 1000;
    }
    *ret_ms = (uint64_t)ms;
    return true;
}

static void
read_times(struct api_call *c, struct usage_ask *ask)
{
    static const char form[] =
        "must be a time such as 2027-01-31T00:00:00Z, a day such as 2027-01-31, "
        "or how long ago: 7d, 36h";
    uint64_t now_ms = clock_wall_ms();
    struct ledger_query *q = &ask->q;

    q->until_ms = now_ms + 1;
    q->since_ms = now_ms - MIN(now_ms, DAYS_DEFAULT * (uint64_t)DAY_MS);
    q->zone = zone_find(ask->zone.n != 0 ? ask->zone : S("UTC"));
    if (q->zone == NULL) {
        fault_at(c, "zone", "is not a time zone; write one such as Europe/Berlin, +05:30 or UTC");
        return;
    }
    if (ask->since.n != 0 && !read_time(c, ask->since, q->zone, now_ms, &q->since_ms))
        fault_at(c, "since", form);
    if (ask->until.n != 0 && !read_time(c, ask->until, q->zone, now_ms, &q->until_ms))
        fault_at(c, "until", form);
}

/* What is beyond the role's reach is left out. False after answering. */
static bool
narrow(struct api_call *c, struct ledger_query *q)
{
    const struct actor *a = &c->q->actor;
    enum reach reach = role_reach(a->role, SUBJECT_usage, VERB_READ);
    enum ledger_dim dim = reach == REACH_TEAM ? LEDGER_team
                          : a->user.n != 0    ? LEDGER_user
                                              : LEDGER_key;
    struct str own = reach == REACH_TEAM ? a->team : a->user.n != 0 ? a->user : a->id;

    if (reach == REACH_ALL)
        return true;
    if (reach == REACH_NONE || own.n == 0 || (q->only[dim].n != 0 && !str_eq(q->only[dim], own)))
        return call_fail(c, 403, "forbidden",
            "the role " STR_FMT " may not read this usage; it may read that of its own %s",
            STR_ARG(role_name(a->role)), reach == REACH_TEAM ? "team" : "user or key");
    q->only[dim] = own;
    return true;
}

static void
write_values(struct json_out *o, unsigned by, const struct str *values)
{
#define LABEL(name, column)                                                                        \
    if ((by & 1u << LEDGER_##name) != 0)                                                           \
        out_text(o, #name, values[LEDGER_##name]);
    LEDGER_LABELS(LABEL)
    LABEL(tag, tag)
    LABEL(session, session)
#undef LABEL
}

static void
write_sums(struct json_out *o, const struct ledger_sums *s)
{
#define SUM(name) out_i64(o, #name, s->name);
    LEDGER_SUMS(SUM)
#undef SUM
    out_i64(o, "spent_nanousd", ledger_spent_nanousd(s));
}

/* "2027-01-31T00:00:00+01:00" */
static struct str
local_stamp(const struct zone *zone, uint64_t ms, char room[static CLOCK_STAMP_ROOM])
{
    int64_t offset_s = zone_offset_s(zone, (int64_t)(ms / 1000));
    int64_t minutes = (offset_s < 0 ? -offset_s : offset_s) / 60;
    struct str s = clock_stamp((uint64_t)((int64_t)ms + offset_s * 1000), room);
    size_t n = s.n - strlen(".000Z");

    int more = snprintf(room + n, CLOCK_STAMP_ROOM - n, "%c%02d:%02d", offset_s < 0 ? '-' : '+',
        (int)(minutes / 60 % 24), (int)(minutes % 60));
    return str_make(room, n + (size_t)more);
}

static void
write_usage(struct api_call *c, const struct ledger_query *q, const struct ledger_usage *u)
{
    struct json_out o = json_out(&c->ret->body);
    char room[CLOCK_STAMP_ROOM];

    out_object(&o);
    out_text(&o, "since", clock_stamp(q->since_ms, room));
    out_text(&o, "until", clock_stamp(q->until_ms, room));
    out_key_array(&o, "data");
    for (size_t i = 0; i < u->count; i++) {
        const struct ledger_group *g = &u->groups[i];

        out_object(&o);
        if (q->time != LEDGER_ALL)
            out_text(&o, "starts", local_stamp(q->zone, g->starts_ms, room));
        write_values(&o, q->by, g->values);
        write_sums(&o, &g->sums);
        out_end(&o);
    }
    out_end_array(&o);
    out_key_object(&o, "total");
    write_sums(&o, &u->total);
    out_end(&o);
    out_end(&o);
    buf_add_c(&c->ret->body, '\n');
    c->ret->status = 200;
}

void
call_usage(struct api_call *c)
{
    struct usage_ask ask = { .since = S("") };
    struct str rest = c->q->query, part, name, text;
    struct ledger_usage usage;
    bool many = false;

    if (!str_eq(c->q->method, S("GET")) && !str_eq(c->q->method, S("HEAD"))) {
        (void)call_fail(c, 405, "method-not-allowed", "usage can only be read");
        return;
    }
    while (rest.n != 0) {
        (void)str_cut(rest, '&', &part, &rest);
        (void)str_cut(part, '=', &name, &text);
        if (part.n != 0)
            read_parameter(c, url_decode(c->arena, name), url_decode(c->arena, text), &ask);
    }
    read_times(c, &ask);
    if (c->faults.count == 0 && !narrow(c, &ask.q))
        return;
    const char *fault = c->faults.count == 0 ? ledger_query_fault(&ask.q) : NULL;
    if (fault != NULL)
        fault_at(c, "by", fault);
    if (c->faults.count != 0) {
        (void)call_fail_faults(c);
        return;
    }
    enum store_result r = ledger_usage(c->store, c->arena, &ask.q, &usage, &many);
    if (!many && !call_stored(c, r))
        return;
    if (!many)
        write_usage(c, &ask.q, &usage);
    if (many || c->ret->body.overflow) {
        buf_reset(&c->ret->body, 0);
        (void)call_fail(c, 413, "too-many",
            "these are more than %u sums: ask for less time, or by fewer things",
            LEDGER_GROUPS_MOST);
    }
}

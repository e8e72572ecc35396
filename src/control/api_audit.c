/* api_audit.c - reading the audit record over the admin API, and recording what the API changes. */
#include <limits.h>

#include "base/clock.h"
#include "base/url.h"
#include "control/api_call.h"
#include "control/resource_write.h"
#include "store/audit.h"

#define PAGE_DEFAULT 100
#define PAGE_MOST 1000

/* The row as a document, without a secret; empty: there is none. */
static struct str
document_of(struct api_call *c, const struct api_row *row)
{
    struct buf b;

    if (row == NULL)
        return S("");
    buf_init(&b, API_ANSWER_BYTES);
    api_row_write(&b, row, S(""));
    struct str text = arena_str(c->arena, str_trim(buf_str(&b)));
    buf_fini(&b);
    return text;
}

static struct audit_event
event_of(struct api_call *c, struct str outcome)
{
    const struct api_row *row = c->after != NULL ? c->after : c->before;

    return (struct audit_event){ .at_ms = (int64_t)clock_wall_ms(),
        .actor = c->q->actor.id,
        .action = arena_printf(c->arena, STR_FMT "." STR_FMT, STR_ARG(resource_kind(c->kind)->path),
            STR_ARG(verb_name(c->verb))),
        .object = row != NULL ? row->row.id : c->name,
        .outcome = outcome,
        .request_id = c->q->request_id };
}

bool
call_record(struct api_call *c)
{
    struct audit_event e = event_of(c, S("done"));

    if (c->audit == NULL)
        return true;
    e.before = document_of(c, c->before);
    e.after = document_of(c, c->after);
    return call_stored(c, audit_append(c->store, audit_log_auditor(c->audit), &e));
}

void
call_note_refused(struct api_call *c)
{
    struct audit_event e = event_of(c, S("refused"));

    audit_note(c->audit, &e);
}

/* --- reading --- */

static void
read_number(struct api_call *c, struct str name, struct str text, int64_t most, int64_t *ret)
{
    uint64_t n;

    if (str_u64(text, &n) && n > 0 && n <= (uint64_t)most)
        *ret = (int64_t)n;
    else
        faults_add(&c->faults, arena_printf(c->arena, "?" STR_FMT, STR_ARG(name)),
            "must be a number from 1 to %lld", (long long)most);
}

static void
read_time(struct api_call *c, struct str name, struct str text, int64_t *ret)
{
    if (!clock_timestamp(text, ret) || *ret < 0)
        faults_add(&c->faults, arena_printf(c->arena, "?" STR_FMT, STR_ARG(name)),
            "must be a time such as 2027-01-31T00:00:00Z");
}

/* Calls `each` with the parameters of the query, decoded. */
static void
each_parameter(struct api_call *c,
    void (*each)(struct api_call *c, struct str name, struct str text, void *arg), void *arg)
{
    struct str rest = c->q->query, part, name, text;

    while (rest.n != 0) {
        (void)str_cut(rest, '&', &part, &rest);
        (void)str_cut(part, '=', &name, &text);
        if (part.n != 0)
            each(c, url_decode(c->arena, name), url_decode(c->arena, text), arg);
    }
}

static void
list_parameter(struct api_call *c, struct str name, struct str text, void *arg)
{
    struct audit_query *q = arg;

    if (str_eq(name, S("limit")))
        read_number(c, name, text, PAGE_MOST, &q->limit);
    else if (str_eq(name, S("before")))
        read_number(c, name, text, INT64_MAX, &q->before_seq);
    else if (str_eq(name, S("since")))
        read_time(c, name, text, &q->since_ms);
    else if (str_eq(name, S("until")))
        read_time(c, name, text, &q->until_ms);
    else if (str_eq(name, S("actor")))
        q->actor = text;
    else if (str_eq(name, S("action")))
        q->action = text;
    else if (str_eq(name, S("object")))
        q->object = text;
    else
        faults_add(&c->faults, arena_printf(c->arena, "?" STR_FMT, STR_ARG(name)),
            "the audit record has no such parameter; there are limit, before, since, until, actor, "
            "action and object");
}

/* {"data": [...], "next_before": NUMBER or null} */
static void
list(struct api_call *c)
{
    struct audit_query q = { .limit = PAGE_DEFAULT };
    struct str line, rest;
    struct buf lines;
    int64_t last = 0, count = 0;

    each_parameter(c, list_parameter, &q);
    if (c->faults.count != 0) {
        (void)call_fail_faults(c);
        return;
    }
    buf_init(&lines, API_ANSWER_BYTES);
    if (call_stored(c, audit_list(c->store, &q, &lines, &last))) {
        struct json_out o = json_out(&c->ret->body);

        out_object(&o);
        out_key_array(&o, "data");
        for (rest = buf_str(&lines); rest.n != 0; count++) {
            (void)str_cut(rest, '\n', &line, &rest);
            out_raw_value(&o, line);
        }
        out_end_array(&o);
        if (count == q.limit)
            out_i64(&o, "next_before", last);
        else
            out_null(&o, "next_before");
        out_end(&o);
        buf_add_c(&c->ret->body, '\n');
        c->ret->status = 200;
    }
    buf_fini(&lines);
}

struct verify_query {
    struct str key, checkpoint;
};

static void
verify_parameter(struct api_call *c, struct str name, struct str text, void *arg)
{
    struct verify_query *q = arg;

    if (str_eq(name, S("key")))
        q->key = text;
    else if (str_eq(name, S("checkpoint")))
        q->checkpoint = text;
    else
        faults_add(&c->faults, arena_printf(c->arena, "?" STR_FMT, STR_ARG(name)),
            "verifying has no such parameter; there are key and checkpoint");
}

static void
verify(struct api_call *c)
{
    struct verify_query q = { S(""), S("") };
    struct audit_report report;

    each_parameter(c, verify_parameter, &q);
    if (c->faults.count != 0) {
        (void)call_fail_faults(c);
        return;
    }
    if (!call_stored(c, audit_verify(c->store, q.key, q.checkpoint, &report)))
        return;
    struct json_out o = json_out(&c->ret->body);

    out_object(&o);
    out_bool(&o, "good", report.first_bad == 0);
    out_i64(&o, "entries", report.entries);
    out_i64(&o, "checkpoints", report.checkpoints);
    if (report.first_bad != 0) {
        out_i64(&o, "first_bad", report.first_bad);
        out_text(&o, "why", str_c(report.why));
    } else {
        out_null(&o, "first_bad");
        out_text(&o, "checkpoint",
            arena_printf(c->arena, "%lld:%s", (long long)report.entries, report.head));
    }
    out_text(&o, "key", str_c(report.key));
    out_i64(&o, "keys", report.keys);
    out_end(&o);
    buf_add_c(&c->ret->body, '\n');
    c->ret->status = 200;
}

void
call_audit(struct api_call *c)
{
    if (!str_eq(c->q->method, S("GET")) && !str_eq(c->q->method, S("HEAD")))
        (void)call_fail(c, 405, "method-not-allowed", "the audit record can only be read");
    else if (role_reach(c->q->actor.role, SUBJECT_audit, VERB_READ) != REACH_ALL)
        (void)call_fail(c, 403, "forbidden", "the role " STR_FMT " may not read the audit record",
            STR_ARG(role_name(c->q->actor.role)));
    else if (str_eq(c->q->path, S("audit")))
        list(c);
    else if (str_eq(c->q->path, S("audit/verify")))
        verify(c);
    else
        (void)call_fail(
            c, 404, "not-found", "there are /admin/v1/audit and /admin/v1/audit/verify");
}

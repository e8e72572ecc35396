/* api_call.c - what calls have in common: problems, answers, and how they find what they are about. */
#include "control/api_call.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "control/problem.h"
#include "control/resource_write.h"

#define DETAIL_BYTES 1024

static void
write_problem(struct api_call *c, int status, const char *code, struct str detail)
{
    buf_reset(&c->ret->body, SIZE_MAX);
    c->ret->status = status;
    c->ret->etag = c->ret->location = S("");
    problem_write(&c->ret->body, status, code, detail, &c->faults, c->q->request_id);
}

bool
call_fail(struct api_call *c, int status, const char *code, const char *format, ...)
{
    char text[DETAIL_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    write_problem(c, status, code, str_c(text));
    return false;
}

bool
call_fail_faults(struct api_call *c)
{
    const struct fault *f = c->faults.first;
    struct str more = c->faults.count == 1 ? S("")
                                           : arena_printf(c->arena, " (and %zu more: see errors)",
                                                 c->faults.count - 1);

    if (f->pointer.n == 0)
        return call_fail(c, 422, "invalid", STR_FMT STR_FMT, STR_ARG(f->detail), STR_ARG(more));
    return call_fail(c, 422, "invalid", STR_FMT ": " STR_FMT STR_FMT,
        STR_ARG(str_skip(f->pointer, 1)), STR_ARG(f->detail), STR_ARG(more));
}

bool
call_stored(struct api_call *c, enum store_result r)
{
    if (r == STORE_OK)
        return true;
    if (r == STORE_AWAY)
        (void)call_fail(c, 503, "store-away",
            "the store cannot be reached; try again in a moment (a change with an Idempotency-Key is "
            "made once, however often it is asked for)");
    else if (r == STORE_FULL)
        (void)call_fail(c, 507, "store-full", "the store has no room for changes");
    else if (r == STORE_CONFLICT)
        (void)call_fail(c, 409, "conflict", "there is one like it already");
    else
        (void)call_fail(
            c, 500, "store-failed", "the store failed; the log of the gateway says why");
    if (r != STORE_CONFLICT)
        log_error(NULL, "admin API: the store: %s", store_why(c->store));
    c->ret->retry = r == STORE_AWAY;
    return false;
}

void
api_row_write(struct buf *b, const struct api_row *row, struct str secret)
{
    struct json_out o = json_out(b);

    out_object(&o);
    resource_write(&row->row, &o);
    out_text_if(&o, "key", secret);
    out_end(&o);
    buf_add_c(b, '\n');
}

void
call_answer_row(struct api_call *c, int status, const struct api_row *row)
{
    buf_reset(&c->ret->body, SIZE_MAX);
    c->ret->status = status;
    c->ret->etag = arena_printf(c->arena, "\"%lld\"", (long long)row->row.revision);
    api_row_write(&c->ret->body, row, c->secret);
}

/* --- rows --- */

static struct str
copy(struct arena *a, struct str s)
{
    return s.n != 0 ? arena_str(a, s) : S("");
}

struct api_row *
api_row_copy(struct arena *a, const struct resource_row *row)
{
    struct api_row *new = arena_new(a, struct api_row);

    new->row = *row;
    new->row.id = copy(a, row->id);
    new->row.values = new->values;
    for (unsigned i = 0; i < resource_field_count(row->kind); i++) {
        new->values[i] = row->values[i];
        new->values[i].text = copy(a, row->values[i].text);
    }
    return new;
}

struct str
api_row_text(struct api_row *row, struct str name)
{
    const struct resource_field_row *f = resource_field_named(row->row.kind, name);

    return f != NULL ? row->values[f - resource_field(resource_kind(f->kind)->first)].text : S("");
}

struct looking {
    struct arena *arena;
    struct api_row *found;
    unsigned count;
};

static void
on_row(void *ctx, const struct resource_row *row)
{
    struct looking *l = ctx;

    if (l->count++ == 0)
        l->found = api_row_copy(l->arena, row);
}

bool
call_look(struct api_call *c, enum resource_kind kind, struct str name, struct api_row **ret)
{
    const struct resource_field_row *f = resource_field_named(kind, S("name"));
    struct looking l = { .arena = c->arena };

    *ret = NULL;
    if (!call_stored(c, resource_get(c->store, kind, name, on_row, &l)))
        return false;
    if (l.count == 0 && f != NULL &&
        !call_stored(c, resource_find(c->store, (enum resource_field)(f - resource_field(0)), name,
                            2, on_row, &l)))
        return false;
    if (l.count > 1)
        return call_fail(c, 409, "ambiguous",
            "several " STR_FMT " are called '" STR_FMT "'; use the id of one",
            STR_ARG(resource_kind(kind)->path), STR_ARG(name));
    *ret = l.found;
    return true;
}

bool
call_find(struct api_call *c, struct api_row **ret)
{
    if (!call_look(c, c->kind, c->name, ret))
        return false;
    if (*ret != NULL && reach_has(c, *ret))
        return true;
    return call_fail(c, 404, "not-found", "there is no " STR_FMT " '" STR_FMT "'",
        STR_ARG(resource_kind(c->kind)->one), STR_ARG(c->name));
}

/* api_read.c - one resource, and pages of lists.
 *
 * A list is in the order in which its resources were made, and a cursor says after which of them a
 * page begins: so what is made meanwhile comes at the end, and pages neither repeat nor miss one.
 */
#include "base/url.h"
#include "conf/conf.h"
#include "control/api_call.h"
#include "control/resource_write.h"

#define PAGE_DEFAULT 100
#define PAGE_MOST 1000

void
call_get(struct api_call *c)
{
    struct api_row *row;

    if (call_find(c, &row))
        call_answer_row(c, 200, row);
}

struct page {
    struct json_out out;
    int64_t limit, count, last;
    bool more;
};

static void
on_row(void *ctx, const struct resource_row *row)
{
    struct page *p = ctx;

    p->more = p->count == p->limit;
    if (p->more)
        return;
    p->count++;
    p->last = row->serial;
    out_object(&p->out);
    resource_write(row, &p->out);
    out_end(&p->out);
}

/* A cursor is "after-" and a number. */
static bool
read_cursor(struct str text, int64_t *ret)
{
    uint64_t n = 0;

    if (!str_starts(text, S("after-")) || !str_u64(str_skip(text, 6), &n) || n > INT64_MAX)
        return false;
    *ret = (int64_t)n;
    return true;
}

/* A parameter that is none of those that a list has. */
static void
refuse_parameter(struct api_call *c, struct str name, struct str at)
{
    struct str names[RESOURCE_FIELDS_MOST + 2] = { S("limit"), S("cursor") };
    size_t n = 2;

    for (unsigned i = 0; i < resource_field_count(c->kind); i++) {
        const struct resource_field_row *f =
            resource_field((enum resource_field)(resource_kind(c->kind)->first + i));

        if ((f->flags & RESOURCE_FILTER) != 0)
            names[n++] = f->name;
    }
    struct str near = conf_closest(name, names, n);

    if (near.n != 0)
        faults_add(&c->faults, at, "lists have no such parameter; did you mean '" STR_FMT "'?",
            STR_ARG(near));
    else
        faults_add(&c->faults, at, "lists have no such parameter; /openapi.json has theirs");
}

/* A filter: the text of a field; of one that refers to something its name, too. *ret_none: nothing can match.
 * False after answering. */
static bool
read_filter(struct api_call *c, const struct resource_field_row *f, struct str text,
    struct resource_value *ret, bool *ret_none)
{
    struct api_row *row;

    *ret = (struct resource_value){ .set = true, .text = text };
    if (f->type != RESOURCE_REF)
        return true;
    if (!call_look(c, f->refers, text, &row))
        return false;
    if (row == NULL)
        *ret_none = true;
    else
        ret->text = row->row.id;
    return true;
}

static bool
read_parameter(struct api_call *c, struct str name, struct str text, struct resource_query *q,
    struct resource_value *values, bool *ret_none)
{
    struct str at = arena_printf(c->arena, "?" STR_FMT, STR_ARG(name));
    const struct resource_field_row *f = resource_field_named(c->kind, name);
    uint64_t n = 0;

    if (str_eq(name, S("limit"))) {
        if (str_u64(text, &n) && n > 0 && n <= PAGE_MOST)
            q->limit = (int64_t)n;
        else
            faults_add(&c->faults, at, "must be a number from 1 to %d", PAGE_MOST);
        return true;
    }
    if (str_eq(name, S("cursor"))) {
        if (!read_cursor(text, &q->after))
            faults_add(&c->faults, at, "must be the next_cursor of an earlier page of this list");
        return true;
    }
    if (f == NULL || (f->flags & RESOURCE_FILTER) == 0) {
        refuse_parameter(c, name, at);
        return true;
    }
    return read_filter(
        c, f, text, &values[f - resource_field(resource_kind(c->kind)->first)], ret_none);
}

/* False after answering. */
static bool
read_query(
    struct api_call *c, struct resource_query *q, struct resource_value *values, bool *ret_none)
{
    struct str rest = c->q->query, part, name, text;

    while (rest.n != 0) {
        (void)str_cut(rest, '&', &part, &rest);
        if (part.n == 0)
            continue;
        (void)str_cut(part, '=', &name, &text);
        if (!read_parameter(
                c, url_decode(c->arena, name), url_decode(c->arena, text), q, values, ret_none))
            return false;
    }
    return c->faults.count == 0 || call_fail_faults(c);
}

void
call_list(struct api_call *c)
{
    struct resource_value values[RESOURCE_FIELDS_MOST] = { 0 };
    struct resource_query q = { .kind = c->kind, .limit = PAGE_DEFAULT, .values = values };
    struct page page = { .out = json_out(&c->ret->body) };
    bool none = false;

    if (!read_query(c, &q, values, &none))
        return;
    page.limit = q.limit++;    /* one more shows whether there are more */
    none = !reach_narrow(c, &q, values) || none;
    out_object(&page.out);
    out_const(&page.out, "\"object\":\"list\"");
    out_key_array(&page.out, "data");
    if (!none && !call_stored(c, resource_list(c->store, &q, on_row, &page)))
        return;
    out_end_array(&page.out);
    out_bool(&page.out, "has_more", page.more);
    if (page.more)
        out_text(
            &page.out, "next_cursor", arena_printf(c->arena, "after-%lld", (long long)page.last));
    else
        out_null(&page.out, "next_cursor");
    out_end(&page.out);
    buf_add_c(&c->ret->body, '\n');
    c->ret->status = 200;
    if (c->ret->body.overflow)
        (void)call_fail(c, 422, "invalid", "the page is too large; ask for a smaller limit");
}

/* resource_write.c - rows as JSON. */
#include "control/resource_write.h"

#include "base/clock.h"

static void
write_time(struct json_out *o, struct str name, int64_t ms)
{
    char room[CLOCK_STAMP_ROOM];

    out_key_str(o, name);
    out_text_value(o, clock_stamp((uint64_t)ms, room));
}

static void
write_money(struct json_out *o, int64_t nanousd)
{
    out_comma(o);
    buf_add_decimal(o->b, (uint64_t)nanousd, 9);
}

static void
write_value(const struct resource_field_row *f, const struct resource_value *v, struct json_out *o)
{
    if (f->type == RESOURCE_TIME && v->set) {
        write_time(o, f->name, v->number);
        return;
    }
    out_key_str(o, f->name);
    if (f->type == RESOURCE_BOOL)
        out_raw_value(o, v->set && v->number != 0 ? S("true") : S("false"));
    else if (f->type == RESOURCE_TEXTS)
        out_raw_value(o, v->set ? v->text : S("[]"));
    else if (f->type == RESOURCE_TAGS)
        out_raw_value(o, v->set ? v->text : S("{}"));
    else if (!v->set)
        out_raw_value(o, S("null"));
    else if (f->type == RESOURCE_COUNT)
        out_i64_value(o, v->number);
    else if (f->type == RESOURCE_MONEY)
        write_money(o, v->number);
    else
        out_text_value(o, v->text);
}

void
resource_write(const struct resource_row *row, struct json_out *o)
{
    const struct resource_kind_row *k = resource_kind(row->kind);

    out_text(o, "id", row->id);
    out_text(o, "object", k->one);
    for (unsigned i = 0; i < resource_field_count(row->kind); i++) {
        const struct resource_field_row *f = resource_field((enum resource_field)(k->first + i));

        if ((f->flags & (RESOURCE_SECRET | RESOURCE_HIDDEN)) == 0)
            write_value(f, &row->values[i], o);
    }
    write_time(o, S("created_at"), row->created_ms);
    write_time(o, S("updated_at"), row->updated_ms);
    out_i64(o, "revision", row->revision);
}

/* params.c - walks the table of parameters. */
#include "llm/params.h"

#include "llm/read.h"

enum kind { NUMBER, INTEGER, TEXT, OBJECT, ANY };
enum trait { SAMPLING = 1 << 0, EXTRA = 1 << 1, HINT = 1 << 2 };

struct spelling {
    const char *name;
    bool heard_only;
    bool clamped;
    double least;
    double most;
};

struct row {
    enum kind kind;
    unsigned traits;
    struct spelling in[PARAMS_COLUMNS];
};

#define SAID(column, text) [PARAMS_##column] = { .name = (text) },
#define HEARD(column, text) [PARAMS_##column] = { .name = (text), .heard_only = true },
#define CLAMPED(column, text, a, b)                                                                \
    [PARAMS_##column] = { .name = (text), .clamped = true, .least = (a), .most = (b) },

static const struct row rows[PARAM_COUNT] = {
#define PARAM(id, kind_, traits_, spellings)                                                       \
    [PARAM_##id] = { .kind = (kind_), .traits = (traits_), .in = { spellings } },
#define NAMED(id, spellings) [PARAM_##id] = { .in = { spellings } },
#include "llm/params.def"
#undef PARAM
#undef NAMED
};

const char *
param_name(enum param p, enum params_column column)
{
    return rows[p].in[column].name;
}

/* --- reading --- */

static const struct row *
row_of(enum params_column column, const struct json *key)
{
    for (const struct row *row = rows; row < rows + PARAM_NODES; row++)
        if (row->in[column].name != NULL && json_str_is(key, str_c(row->in[column].name)))
            return row;
    return NULL;
}

/* The value if it has the kind, else NULL, and a fault unless it is absent. */
static const struct json *
typed(struct cursor c, enum kind kind)
{
    switch (kind) {
    case NUMBER:
        return read_node(c, JSON_NUMBER);
    case INTEGER:
        if (read_present(c) && c.j->type != JSON_NUMBER)
            read_fault(c, ERR_BAD_REQUEST, c.rd->words->integer);
        return read_present(c) ? c.j : NULL;
    case TEXT:
        return read_node(c, JSON_STRING);
    case OBJECT:
        return read_node(c, JSON_OBJECT);
    case ANY:
        return read_present(c) && c.j->type != JSON_FALSE ? c.j : NULL;
    }
    CHECK_UNREACHABLE();
}

bool
params_take(const struct cursor *object, enum params_column column, const struct json *key,
    const struct json *value)
{
    const struct row *row = row_of(column, key);

    if (row == NULL)
        return false;
    object->rd->r->params[row - rows] = typed(
        (struct cursor){ .rd = object->rd, .j = value, .up = object, .key = row->in[column].name },
        row->kind);
    return true;
}

/* --- writing --- */

static bool
is_refused(enum param p, const struct params_rules *rules)
{
    unsigned traits = rows[p].traits;

    return ((traits & SAMPLING) != 0 && rules->fixed_sampling) ||
           ((traits & EXTRA) != 0 && rules->core_only) || (rules->refused & 1u << p) != 0;
}

static bool
is_sayable(const struct spelling *in)
{
    return in->name != NULL && !in->heard_only;
}

static void
write_value(struct json_out *o, const struct json *value, const struct spelling *in)
{
    double v = json_f64(value, 0);

    if (in->clamped && (v < in->least || v > in->most)) {
        out_comma(o);
        json_add_f64(o->b, v < in->least ? in->least : in->most);
    } else {
        out_raw_value(o, json_raw(value));
    }
}

void
params_write(struct json_out *o, const struct llm_request *r, enum params_column column,
    const struct params_rules *rules)
{
    for (unsigned p = 0; p < PARAM_NODES; p++) {
        const struct spelling *in = &rows[p].in[column];

        if (r->params[p] == NULL || !is_sayable(in) || is_refused(p, rules))
            continue;
        out_key_str(o, str_c(in->name));
        write_value(o, r->params[p], in);
    }
}

/* --- notes --- */

/* Whether leaving a hint out changes anything. */
static bool
asks_for_something(const struct json *j)
{
    switch ((enum json_type)j->type) {
    case JSON_NULL:
    case JSON_FALSE:
        return false;
    case JSON_NUMBER:
        return json_f64(j, 1) < 0 || json_f64(j, 1) > 0;
    case JSON_ARRAY:
    case JSON_OBJECT:
        return !json_is_empty(j);
    default:
        return true;
    }
}

static bool
can_say(enum param p, uint32_t columns)
{
    for (unsigned column = 0; column < PARAMS_COLUMNS; column++)
        if ((columns & PARAMS_BIT(column)) != 0 && is_sayable(&rows[p].in[column]))
            return true;
    return false;
}

/* Whether a request says one that protocols read in their own ways. */
static bool
is_said(const struct llm_request *r, enum param p)
{
    switch (p) {
    case PARAM_stop:
        return r->stop != NULL;
    case PARAM_user:
        return r->user.n > 0;
    case PARAM_service_tier:    /* these two are what everybody gets */
        return r->service_tier.n > 0 && !str_eq(r->service_tier, S("auto")) &&
               !str_eq(r->service_tier, S("default"));
    case PARAM_effort:
        return r->effort.n > 0 || r->reasoning_budget > 0;
    case PARAM_parallel_tools:
        return r->parallel_tools == NO;
    case PARAM_format:
        return r->format == FORMAT_JSON || r->format == FORMAT_SCHEMA;
    default:
        return false;
    }
}

void
params_drop(const struct llm_request *r, uint32_t columns, const struct params_rules *rules,
    struct wire_drops *drops)
{
    for (unsigned p = 0; p < PARAM_NODES; p++) {
        const struct json *value = r->params[p];

        if (value == NULL || (can_say(p, columns) && !is_refused(p, rules)))
            continue;
        if ((rows[p].traits & HINT) == 0 || asks_for_something(value))
            param_drop(drops, r, p);
    }
    for (unsigned p = PARAM_NODES; p < PARAM_COUNT; p++)
        if (!can_say(p, columns) && is_said(r, p) && !(p == PARAM_stop && drops->stops != NULL))
            param_drop(drops, r, p);
}

const char *
param_callers_name(const struct llm_request *r, enum param p)
{
    const struct wire_caller *caller = r->wire->caller;
    const char *name = param_name(p, caller->params);

    if (name == NULL)
        name = param_name(p, caller->nested);
    return name != NULL ? name : param_name(p, PARAMS_OPENAI_CHAT);
}

void
param_drop(struct wire_drops *drops, const struct llm_request *r, enum param p)
{
    wire_drop(drops, str_c(param_callers_name(r, p)));
}

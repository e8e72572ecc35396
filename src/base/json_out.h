/* json_out.h - writes JSON and places the commas.
 *
 *     struct json_out o = json_out(buf);
 *
 *     out_object(&o);
 *     out_text(&o, "role", S("user"));           {"role":"user",
 *     out_key(&o, "content");                     "content":
 *     out_array(&o);                              [
 *     out_raw_value(&o, json_raw(part));          {...}
 *     out_end_array(&o);                          ]
 *     out_end(&o);                                }
 *
 * Keys are literals that need no escapes. Brackets are not checked: the writer knows the structure.
 * Everything is inlined and the only state is whether a comma is due, so that a chain of calls
 * costs what appending the same literals by hand would.
 */
#pragma once

#include "base/buf.h"
#include "base/json.h"

struct json_out {
    struct buf *b;
    bool comma;    /* before the next member or element */
};

static INLINED struct json_out
json_out(struct buf *b)
{
    return (struct json_out){ .b = b };
}

/* Appends `text`, whose first byte is the comma that may be due. */
static INLINED void
out_after_comma(struct json_out *o, struct str text)
{
    if (o->comma)
        buf_add(o->b, text);
    else
        buf_add(o->b, str_make(text.p + 1, text.n - 1));
}

static INLINED void
out_comma(struct json_out *o)
{
    if (o->comma)
        buf_add_c(o->b, ',');
    o->comma = true;
}

/* --- structure --- */

static INLINED void
out_object(struct json_out *o)
{
    out_after_comma(o, S(",{"));
    o->comma = false;
}

static INLINED void
out_end(struct json_out *o)
{
    buf_add_c(o->b, '}');
    o->comma = true;
}

static INLINED void
out_array(struct json_out *o)
{
    out_after_comma(o, S(",["));
    o->comma = false;
}

static INLINED void
out_end_array(struct json_out *o)
{
    buf_add_c(o->b, ']');
    o->comma = true;
}

/* The name of a member; a value follows. */
#define out_key(o, name) out_name((o), S(",\"" name "\":"))
static INLINED void
out_name(struct json_out *o, struct str with_comma)
{
    out_after_comma(o, with_comma);
    o->comma = false;
}

/* A name that is not a literal. */
static inline void
out_key_str(struct json_out *o, struct str name)
{
    out_comma(o);
    json_add_str(o->b, name);
    buf_add_c(o->b, ':');
    o->comma = false;
}

/* "name":{ and "name":[ */
#define out_key_object(o, name) out_name((o), S(",\"" name "\":{"))
#define out_key_array(o, name) out_name((o), S(",\"" name "\":["))

/* --- values: elements of an array, or what follows a name --- */

/* JSON text as it is. */
static INLINED void
out_raw_value(struct json_out *o, struct str json)
{
    out_comma(o);
    buf_add(o->b, json);
}

static INLINED void
out_text_value(struct json_out *o, struct str text)
{
    out_comma(o);
    json_add_str(o->b, text);
}

static INLINED void
out_i64_value(struct json_out *o, int64_t v)
{
    out_comma(o);
    buf_add_i64(o->b, v);
}

/* --- members --- */

/* Members, or elements, that are always the same: out_const(o, "\"type\":\"text\""). */
#define out_const(o, text) out_const_str((o), S("," text))
static INLINED void
out_const_str(struct json_out *o, struct str with_comma)
{
    out_after_comma(o, with_comma);
    o->comma = true;
}

#define out_text(o, name, text)                                                                    \
    do {                                                                                           \
        out_key((o), name);                                                                        \
        out_text_value((o), (text));                                                               \
    } while (0)

/* Only if the text is not empty. */
#define out_text_if(o, name, text)                                                                 \
    do {                                                                                           \
        struct str text_if_ = (text);                                                              \
        if (text_if_.n > 0)                                                                        \
            out_text((o), name, text_if_);                                                         \
    } while (0)

#define out_raw(o, name, json)                                                                     \
    do {                                                                                           \
        out_key((o), name);                                                                        \
        out_raw_value((o), (json));                                                                \
    } while (0)

#define out_i64(o, name, v)                                                                        \
    do {                                                                                           \
        out_key((o), name);                                                                        \
        out_i64_value((o), (v));                                                                   \
    } while (0)

#define out_bool(o, name, v)                                                                       \
    do {                                                                                           \
        if (v)                                                                                     \
            out_const((o), "\"" name "\":true");                                                   \
        else                                                                                       \
            out_const((o), "\"" name "\":false");                                                  \
    } while (0)

#define out_null(o, name) out_const((o), "\"" name "\":null")

/* --- a string put together from pieces --- */

static INLINED void
out_string(struct json_out *o)
{
    out_comma(o);
    buf_add_c(o->b, '"');
}

static INLINED void
out_piece(struct json_out *o, struct str text)
{
    json_add_escaped(o->b, text);
}

static INLINED void
out_end_string(struct json_out *o)
{
    buf_add_c(o->b, '"');
}

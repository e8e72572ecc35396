/* multipart.c - walks the parts of a form. */
#include "http/multipart.h"

#define BOUNDARY_BYTES 200    /* RFC 2046 allows 70 */
#define PART_HEAD_BYTES 8192

struct form {
    struct str delimiter;    /* "\r\n--boundary" */
    struct str rest;         /* what follows the delimiter met last */
};

/* Cuts the next parameter, "; name=value" or "; name=\"value\"", off the front. False at the end,
 * or where there is none. */
static bool
next_parameter(struct str *s, struct str *ret_name, struct str *ret_value)
{
    size_t n = 0;

    *s = str_trim(*s);
    if (s->n == 0 || s->p[0] != ';')
        return false;
    *s = str_trim(str_skip(*s, 1));
    if (!str_cut(*s, '=', ret_name, s))
        return false;
    *ret_name = str_trim(*ret_name);
    *s = str_trim(*s);
    if (s->n == 0 || s->p[0] != '"') {
        n = MIN(str_chr(*s, ';'), s->n);
        *ret_value = str_trim(str_make(s->p, n));
        *s = str_skip(*s, n);
        return true;
    }
    for (n = 1; n < s->n && s->p[n] != '"'; n++)
        if (s->p[n] == '\\')
            n++;
    if (n >= s->n)
        return false;
    *ret_value = str_make(s->p + 1, n - 1);
    *s = str_skip(*s, n + 1);
    return true;
}

static bool
find_boundary(struct str content_type, struct str *ret)
{
    struct str type, name, value;

    *ret = (struct str){ NULL, 0 };
    (void)str_cut(content_type, ';', &type, &content_type);
    if (content_type.n == 0)
        return false;
    content_type = str_make(content_type.p - 1, content_type.n + 1);
    while (next_parameter(&content_type, &name, &value))
        if (str_ieq(name, S("boundary")))
            *ret = value;
    return ret->n != 0 && ret->n <= BOUNDARY_BYTES;
}

/* Moves behind the next delimiter; *ret_before is what stands in front of it. False: there is
 * none. */
static bool
next_delimiter(struct form *f, struct str *ret_before)
{
    size_t at = str_find(f->rest, f->delimiter);

    *ret_before = str_make(f->rest.p, at);
    if (at == f->rest.n)
        return false;
    f->rest = str_skip(f->rest, at + f->delimiter.n);
    return true;
}

/* What a part's head says of its name. */
static enum multipart_found
read_head(struct str head, struct str name)
{
    enum multipart_found found = MULTIPART_NONE;
    struct str line, field, value, parameter, text;

    while (head.n != 0) {
        (void)str_cut(head, '\n', &line, &head);
        if (!str_cut(line, ':', &field, &value) ||
            !str_ieq(str_trim(field), S("content-disposition")))
            continue;
        (void)str_cut(value, ';', &line, &text);
        if (text.n == 0)
            continue;
        value = str_trim(str_make(text.p - 1, text.n + 1));
        while (next_parameter(&value, &parameter, &text)) {
            if (str_istarts(parameter, S("name*")))
                return MULTIPART_UNCLEAR;
            if (str_ieq(parameter, S("name")) && str_eq(text, name))
                found = found == MULTIPART_NONE ? MULTIPART_ONE : MULTIPART_UNCLEAR;
        }
        if (value.n != 0)
            return MULTIPART_UNCLEAR;
    }
    return found;
}

enum multipart_found
multipart_find(struct str content_type, struct str body, struct str name, struct str *ret_value)
{
    char delimiter[4 + BOUNDARY_BYTES] = "\r\n--";
    enum multipart_found found = MULTIPART_NONE;
    struct form form = { .rest = body };
    struct str boundary, part, value = { NULL, 0 };

    if (!find_boundary(content_type, &boundary))
        return MULTIPART_UNCLEAR;
    memcpy(delimiter + 4, boundary.p, boundary.n);
    form.delimiter = str_make(delimiter, 4 + boundary.n);
    if (str_starts(body, str_skip(form.delimiter, 2)))
        form.rest =
            str_skip(body, form.delimiter.n - 2);    /* no line end stands before the first one */
    else if (!next_delimiter(&form, &part))
        return MULTIPART_UNCLEAR;

    while (!str_starts(form.rest, S("--"))) {
        if (!next_delimiter(&form, &part))
            return MULTIPART_UNCLEAR;
        size_t head = str_find(part, S("\r\n\r\n"));
        if (head == part.n || head > PART_HEAD_BYTES)
            return MULTIPART_UNCLEAR;
        enum multipart_found here = read_head(str_make(part.p, head), name);
        if (here == MULTIPART_NONE)
            continue;
        if (here == MULTIPART_UNCLEAR || found == MULTIPART_ONE)
            return MULTIPART_UNCLEAR;
        found = MULTIPART_ONE;
        value = str_skip(part, head + 4);
    }
    if (found == MULTIPART_ONE)
        *ret_value = value;
    return found;
}

/* multipart.c - reads the parts of a form.
 *
 *     --boundary CRLF
 *     field lines CRLF
 *     CRLF
 *     content CRLF
 *     --boundary ... and after the last part: --boundary-- CRLF
 *
 * Parsers differ in what else they accept: other line ends, text before the first part, folded or
 * repeated fields, escapes in quotes. None of that is needed, and each could hide a field from one
 * of two parsers, so all of it is refused.
 */
#include "http/multipart.h"

#include "http/h1.h"
#include "http/text.h"

enum {
    BOUNDARY_BYTES = 200,    /* RFC 2046 allows 70 */
    PART_HEAD_BYTES = 8192,
    PART_FIELDS = 16,
};

/* --- parameters --- */

/* The parameters ("; name=value") of a media type or a disposition. */
struct parameters {
    struct str rest;
    struct str name;
    struct str value;
    bool bad;    /* what follows is not a parameter */
};

static struct str
take_token(struct str *s)
{
    size_t n = 0;

    while (n < s->n && http_is_token_char(s->p[n]))
        n++;

    struct str token = str_make(s->p, n);

    *s = str_skip(*s, n);
    return token;
}

static void
skip_blanks(struct str *s)
{
    while (s->n != 0 && (s->p[0] == ' ' || s->p[0] == '\t'))
        *s = str_skip(*s, 1);
}

/* A token, or a quoted string. Parsers disagree about a backslash before a quote. */
static bool
take_value(struct str *s, struct str *ret)
{
    if (s->n == 0 || s->p[0] != '"') {
        *ret = take_token(s);
        return ret->n != 0;
    }

    size_t n = str_chr(str_skip(*s, 1), '"');

    *ret = str_make(s->p + 1, n);
    if (n + 1 >= s->n || (n != 0 && ret->p[n - 1] == '\\'))
        return false;
    *s = str_skip(*s, n + 2);
    return true;
}

/* Reads the next parameter. False at the end, and with p->bad on malformed input. */
static bool
next_parameter(struct parameters *p)
{
    skip_blanks(&p->rest);
    if (p->rest.n == 0)
        return false;
    p->bad = p->rest.p[0] != ';';
    if (p->bad)
        return false;
    p->rest = str_skip(p->rest, 1);
    skip_blanks(&p->rest);
    if (p->rest.n == 0)    /* a semicolon at the end */
        return false;
    p->name = take_token(&p->rest);
    p->bad = p->name.n == 0 || p->rest.n == 0 || p->rest.p[0] != '=';
    if (p->bad)
        return false;
    p->rest = str_skip(p->rest, 1);
    p->bad = !take_value(&p->rest, &p->value);
    return !p->bad;
}

/* --- the structure --- */

struct form {
    struct str name;    /* the field that is looked for */
    struct str value;
    bool found;
    struct str rest;      /* what follows the last delimiter */
    struct str dashes;    /* "--boundary" */
    const char *why;      /* what is wrong with the form */
    char text[2 + BOUNDARY_BYTES];
};

/* Records the first thing that is wrong; returns false. */
static bool
refuse(struct form *f, const char *why)
{
    f->why = f->why != NULL ? f->why : why;
    return false;
}

static bool
read_boundary(struct form *f, struct str content_type)
{
    struct parameters p = { .rest = str_skip(content_type, str_chr(content_type, ';')) };
    unsigned boundaries = 0;

    while (next_parameter(&p)) {
        if (str_istarts(p.name, S("boundary*")))
            return refuse(f, "the boundary is encoded");
        if (!str_ieq(p.name, S("boundary")))
            continue;
        if (p.value.n == 0 || p.value.n > BOUNDARY_BYTES || str_chr(p.value, '\\') != p.value.n ||
            p.value.p[p.value.n - 1] == ' ')
            return refuse(f, "the boundary is malformed");
        memcpy(f->text, "--", 2);
        memcpy(f->text + 2, p.value.p, p.value.n);
        f->dashes = str_make(f->text, 2 + p.value.n);
        boundaries++;
    }
    if (p.bad)
        return refuse(f, "a parameter of the content type is malformed");
    return boundaries == 1 ||
           refuse(f, boundaries == 0 ? "the content type has no boundary"
                                     : "the content type has more than one boundary");
}

/* Finds the next delimiter, which must be on a line of its own; *ret_part is what precedes that
 * line. *ret_last: it was the closing one. The boundary may not occur elsewhere, because some
 * parser would see a delimiter there. */
static bool
take_delimiter(struct form *f, bool first, struct str *ret_part, bool *ret_last)
{
    size_t at = str_find(f->rest, f->dashes);
    size_t line_end = first && at == 0 ? 0 : 2;    /* before it */

    if (at == f->rest.n)
        return refuse(f, first ? "the form has no parts" : "the closing boundary is missing");
    if (at < line_end || (line_end != 0 && memcmp(f->rest.p + at - 2, "\r\n", 2) != 0))
        return refuse(f, "the boundary occurs within a line");
    *ret_part = str_make(f->rest.p, at - line_end);
    f->rest = str_skip(f->rest, at + f->dashes.n);
    *ret_last = str_starts(f->rest, S("--"));
    if (*ret_last)
        f->rest = str_skip(f->rest, 2);
    if (!str_starts(f->rest, S("\r\n")) && !(*ret_last && f->rest.n == 0))
        return refuse(f, "the boundary occurs within a line");
    if (!*ret_last)
        f->rest = str_skip(f->rest, 2);
    return true;
}

/* --- parts --- */

struct part {
    struct str name;
    struct str type;
    struct str encoding;
    struct str length;
    bool is_file;
};

static bool
read_disposition(struct form *f, struct str value, struct part *part)
{
    struct parameters p = { .rest = value };
    struct str type = take_token(&p.rest);
    unsigned names = 0, files = 0, encoded_files = 0;

    if (!str_ieq(type, S("form-data")))
        return refuse(f, "a part is not form-data");
    while (next_parameter(&p)) {
        if (str_ieq(p.name, S("name"))) {
            part->name = p.value;
            names++;
        } else if (str_ieq(p.name, S("filename"))) {
            files++;
        } else if (str_ieq(p.name, S("filename*"))) {
            encoded_files++;
        } else if (str_chr(p.name, '*') != p.name.n) {
            return refuse(f, "a parameter of a part is encoded");
        }
    }
    if (p.bad)
        return refuse(f, "a parameter of a part is malformed");
    if (names != 1 || files > 1 || encoded_files > 1)
        return refuse(f, "a part has no name, or more than one");
    part->is_file = files + encoded_files != 0;
    return true;
}

static bool
read_part_head(struct form *f, struct str head, struct part *part)
{
    struct http_field list[PART_FIELDS];
    struct http_fields fields = { .list = list };
    const char *why = h1_parse_fields(head, ARRAY_LEN(list), &fields);
    unsigned dispositions = 0, types = 0;

    if (why != NULL)
        return refuse(f, why);
    for (size_t i = 0; i < fields.count; i++) {
        struct str name = list[i].name;

        if (str_ieq(name, S("content-disposition"))) {
            if (dispositions++ != 0 || !read_disposition(f, list[i].value, part))
                return refuse(f, "a part has more than one Content-Disposition");
        } else if (str_ieq(name, S("content-type"))) {
            part->type = list[i].value;
            types++;
        } else if (str_ieq(name, S("content-transfer-encoding"))) {
            part->encoding = list[i].value;
        } else if (str_ieq(name, S("content-length"))) {
            part->length = list[i].value;
        }
    }
    if (dispositions != 1)
        return refuse(f, "a part has no Content-Disposition");
    if (types > 1 || str_istarts(part->type, S("multipart/")))
        return refuse(f, "a part has more than one type, or parts of its own");
    return true;
}

/* Whether parsers could decode the name, each in its own way. */
static bool
is_encoded_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] <= 0x20 || (unsigned char)name.p[i] >= 0x7f ||
            strchr("%&\\='\"", name.p[i]) != NULL)
            return true;
    return false;
}

/* Whether every parser takes the content literally. */
static bool
is_plain_text(const struct part *part, struct str content)
{
    static const struct str encodings[] = { S_INIT(""), S_INIT("7bit"), S_INIT("8bit"),
        S_INIT("binary") };
    struct str type;
    struct parameters p = { .rest = S("") };
    bool plain = false;
    uint64_t length = content.n;

    for (size_t i = 0; i < ARRAY_LEN(encodings); i++)
        plain = plain || str_ieq(part->encoding, encodings[i]);
    if (part->length.n != 0 && (!str_u64(part->length, &length) || length != content.n))
        return false;
    (void)str_cut(part->type, ';', &type, &p.rest);
    p.rest = str_skip(part->type, type.n);
    if (part->type.n != 0 && !str_ieq(str_trim(type), S("text/plain")))
        return false;
    while (next_parameter(&p))
        plain = plain && (!str_ieq(p.name, S("charset")) || str_ieq(p.value, S("utf-8")) ||
                             str_ieq(p.value, S("us-ascii")));
    return plain && !p.bad;
}

static bool
read_part(struct form *f, struct str text)
{
    size_t head = str_find(str_make(text.p, MIN(text.n, PART_HEAD_BYTES)), S("\r\n\r\n"));
    struct part part = { .is_file = false };

    if (head == MIN(text.n, PART_HEAD_BYTES))
        return refuse(f, "the head of a part has no end, or is too large");
    if (!read_part_head(f, str_make(text.p, head + 4), &part))
        return false;

    struct str content = str_skip(text, head + 4);

    if (is_encoded_name(part.name) || str_ieq(part.name, S("_charset_")))
        return refuse(f, "the name of a part is encoded, or sets an encoding");
    if (str_resembles(str_make(part.name.p, str_chr(part.name, '[')), f->name) ||
        (str_starts(part.name, f->name) && str_starts(str_skip(part.name, f->name.n), S("["))))
        return refuse(f, "another field resembles it");
    if (!str_eq(part.name, f->name))
        return true;
    if (f->found)
        return refuse(f, "the field is repeated");
    if (part.is_file || !is_plain_text(&part, content))
        return refuse(f, "the field is a file, or encoded");
    f->found = true;
    f->value = content;
    return true;
}

static bool
read_form(struct form *f, struct str content_type)
{
    struct str part;
    bool first = true, last = false;

    if (!read_boundary(f, content_type))
        return false;
    for (; !last; first = false) {
        if (!take_delimiter(f, first, &part, &last))
            return false;
        if (first ? part.n != 0 : !read_part(f, part))
            return refuse(f, "there is text before the first part");
    }
    while (str_starts(f->rest, S("\r\n")))
        f->rest = str_skip(f->rest, 2);
    return f->rest.n == 0 || refuse(f, "there is text after the last part");
}

enum multipart_found
multipart_find(struct str content_type, struct str body, struct str name, struct str *ret_value,
    const char **ret_why)
{
    struct form f = { .name = name, .rest = body };

    if (!read_form(&f, content_type)) {
        *ret_why = f.why;
        return MULTIPART_UNCLEAR;
    }
    if (!f.found)
        return MULTIPART_NONE;
    *ret_value = f.value;
    return MULTIPART_ONE;
}

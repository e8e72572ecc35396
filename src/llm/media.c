/* media.c - resolves URLs and types of media. */
#include "llm/media.h"

#include "base/digest.h"

/* The media type and base64 text of a "data:" URL. False if `url` is not one. */
static bool
read_data_url(struct str url, struct str *ret_mime, struct str *ret_base64)
{
    struct str head;
    struct str data;

    if (!str_istarts(url, S("data:")) || !str_cut(str_skip(url, 5), ',', &head, &data))
        return false;
    if (head.n < 7 || !str_ieq(str_make(head.p + head.n - 7, 7), S(";base64")))
        return false;
    head.n -= 7;

    struct str parameters;

    str_cut(head, ';', ret_mime, &parameters);
    *ret_mime = str_trim(*ret_mime);
    *ret_base64 = str_trim(data);
    return ret_base64->n > 0;
}

/* The media type that the first bytes of base64 data show; empty if unknown. */
static struct str
sniff(struct str base64)
{
    /* The first bytes of a file in base64, up to the last character that they determine completely.
 */
    static const struct {
        struct str text;
        struct str mime;
    } beginnings[] = {
        { S_INIT("iVBORw0KGgo"), S_INIT("image/png") },
        { S_INIT("/9j/"), S_INIT("image/jpeg") },
        { S_INIT("R0lGODdh"), S_INIT("image/gif") },
        { S_INIT("R0lGODlh"), S_INIT("image/gif") },
        { S_INIT("JVBERi0"), S_INIT("application/pdf") },
        { S_INIT("SUQz"), S_INIT("audio/mpeg") },
        { S_INIT("T2dnU"), S_INIT("audio/ogg") },
        { S_INIT("ZkxhQ"), S_INIT("audio/flac") },
    };

    for (size_t i = 0; i < ARRAY_LEN(beginnings); i++)
        if (str_starts(base64, beginnings[i].text))
            return beginnings[i].mime;
    /* "RIFF", four bytes of size, "WEBP": its 'W' shares a group with the end of the size. */
    if (str_starts(base64, S("UklGR")) && base64.n >= 16 &&
        str_eq(str_make(base64.p + 12, 4), S("RUJQ")))
        return S("image/webp");
    if (str_starts(base64, S("UklGR")) && base64.n >= 16 &&
        str_eq(str_make(base64.p + 12, 4), S("QVZF")))
        return S("audio/wav");
    return S("");
}

void
media_set_data(struct llm_part *part, struct str mime, struct str base64)
{
    struct str seen = sniff(base64);

    part->mime = seen.n > 0 ? seen : str_ieq(mime, S("image/jpg")) ? S("image/jpeg") : mime;
    part->data = base64;
}

bool
media_set_url(struct llm_part *part, struct str url)
{
    struct str mime;
    struct str data;

    if (!str_istarts(url, S("data:"))) {
        part->url = url;
        return true;
    }
    if (!read_data_url(url, &mime, &data))
        return false;
    media_set_data(part, mime, data);
    return true;
}

bool
media_is_text(struct str mime)
{
    return str_istarts(mime, S("text/")) || str_ieq(mime, S("application/json")) ||
           str_ieq(mime, S("application/xml")) || str_ieq(mime, S("application/csv"));
}

enum err
media_text(struct arena *a, const struct llm_part *part, struct str *ret)
{
    uint8_t *text = arena_try(a, 3 * (part->data.n / 4) + 3);
    size_t n = 0;

    if (text == NULL)
        return ERR_TOO_LARGE;
    if (!digest_base64_decode(part->data, text, &n))
        return ERR_UNSUPPORTED;
    *ret = str_make((const char *)text, n);
    return OK;
}

enum llm_part_kind
media_kind_of(struct str mime)
{
    return str_istarts(mime, S("image/"))   ? PART_IMAGE
           : str_istarts(mime, S("audio/")) ? PART_AUDIO
           : str_istarts(mime, S("video/")) ? PART_VIDEO
                                            : PART_FILE;
}

struct llm_part *
media_copy(struct arena *a, const struct llm_part *part)
{
    struct llm_part *copy = arena_new(a, struct llm_part);
    const struct str from[] = { part->url, part->data, part->mime, part->name };
    struct str *to[] = { &copy->url, &copy->data, &copy->mime, &copy->name };

    copy->kind = part->kind;
    for (size_t i = 0; i < ARRAY_LEN(from); i++) {
        *to[i] = from[i].n > 0 ? arena_str(a, from[i]) : S("");
        if (from[i].n > 0 && to[i]->p == NULL)
            return NULL;
    }
    return copy;
}

void
media_add_url(struct json_out *o, const struct llm_part *part)
{
    out_string(o);
    if (part->data.n == 0) {
        out_piece(o, part->url);
    } else {
        buf_add(o->b, S("data:"));
        out_piece(o, part->mime.n > 0 ? part->mime : S("application/octet-stream"));
        buf_add(o->b, S(";base64,"));
        out_piece(o, part->data);
    }
    out_end_string(o);
}

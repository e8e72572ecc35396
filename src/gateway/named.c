/* named.c - reads the caller's session and tags. */
#include "gateway/named.h"

#define SESSION_BYTES 256
#define TAGS_BYTES 4096
#define TAGS_MOST 16    /* tags of one request */

/* "x-openclaw-tags: team=search, beta": names, perhaps with values. */
static struct ask_tag *
read_tags(struct arena *a, struct str text)
{
    struct ask_tag *first = NULL, **tail = &first;
    struct str part;

    for (size_t n = 0; text.n != 0 && n < TAGS_MOST; n++) {
        struct ask_tag *tag = arena_new(a, struct ask_tag);

        (void)str_cut(text, ',', &part, &text);
        (void)str_cut(str_trim(part), '=', &tag->name, &tag->value);
        *tail = tag;
        tail = &tag->next;
    }
    return first;
}

/* Those of the key, which a request cannot replace, in front of its own. Copies: the record hides
 * secrets in them. */
static struct ask_tag *
add_key_tags(struct arena *a, const struct ask_tag *of_key, struct ask_tag *sent)
{
    struct ask_tag *first = sent, **tail = &first;

    for (; of_key != NULL; of_key = of_key->next) {
        struct ask_tag *tag = arena_new(a, struct ask_tag);

        *tag = (struct ask_tag){ .name = of_key->name, .value = of_key->value, .next = sent };
        *tail = tag;
        tail = &tag->next;
    }
    return first;
}

struct ask_tag *
named_tags(struct arena *a, const struct principal *who, const struct http_fields *fields)
{
    struct str tags = http_field_get(fields, S("x-openclaw-tags"));
    struct ask_tag *sent = read_tags(a, arena_str(a, str_make(tags.p, MIN(tags.n, TAGS_BYTES))));

    return who->tags != NULL ? add_key_tags(a, who->tags, sent) : sent;
}

struct str
named_session(struct arena *a, const struct http_fields *fields)
{
    struct str session = http_field_get(fields, S("x-openclaw-session"));

    return arena_str(a, str_make(session.p, MIN(session.n, SESSION_BYTES)));
}

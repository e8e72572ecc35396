/* seal.c - "openclaw.1.anthropic." and the base64 of {"text":...,"signature":...}. */
#include "llm/seal.h"

#include "base/digest.h"
#include "base/json_out.h"

#define PREFIX "openclaw."
#define VERSION PREFIX "1."

static const struct str origins[] = {
    [ORIGIN_NONE] = S_INIT("none"),
    [ORIGIN_ANTHROPIC] = S_INIT("anthropic"),
    [ORIGIN_OPENAI] = S_INIT("openai"),
    [ORIGIN_GEMINI] = S_INIT("gemini"),
    [ORIGIN_BEDROCK] = S_INIT("bedrock"),
};

_Static_assert(ARRAY_LEN(origins) == ORIGINS, "every origin has a word");

struct str
seal_write(struct arena *a, const struct seal *s)
{
    struct str word = origins[s->origin];
    struct str sealed = S("");
    struct buf b;

    buf_init(&b, SIZE_MAX);
    struct json_out o = json_out(&b);

    out_object(&o);
    out_text_if(&o, "text", s->text);
    out_text_if(&o, "signature", s->signature);
    out_text_if(&o, "redacted", s->redacted);
    out_text_if(&o, "call", s->call);
    out_end(&o);

    size_t before = sizeof(VERSION) - 1 + word.n + 1;
    char *p = b.overflow ? NULL : arena_try(a, before + 4 * ((buf_len(&b) + 2) / 3));

    if (p != NULL) {
        memcpy(p, VERSION, sizeof(VERSION) - 1);
        memcpy(p + sizeof(VERSION) - 1, word.p, word.n);
        p[before - 1] = '.';
        sealed = str_make(p, before + digest_base64(buf_str(&b), p + before));
    }
    buf_fini(&b);
    return sealed;
}

bool
seal_is(struct str text)
{
    return str_starts(text, S(PREFIX));
}

bool
seal_is_json(const struct json *j)
{
    return json_is(j, JSON_STRING) && seal_is(str_skip(json_raw(j), 1));
}

bool
seal_read(struct arena *a, struct str text, struct seal *ret)
{
    struct str word;
    struct str base64;
    size_t n = 0;

    *ret = (struct seal){ .origin = ORIGIN_NONE };
    if (!str_starts(text, S(VERSION)) ||
        !str_cut(str_skip(text, sizeof(VERSION) - 1), '.', &word, &base64))
        return false;
    for (unsigned i = 0; i < ORIGINS; i++)
        if (str_eq(word, origins[i]))
            ret->origin = (enum llm_origin)i;

    uint8_t *p = ret->origin != ORIGIN_NONE ? arena_try(a, base64.n + 1) : NULL;

    if (p == NULL || !digest_base64_decode(base64, p, &n))
        return false;

    const struct json *doc = json_parse(a, str_make((const char *)p, n), NULL, NULL);

    ret->text = json_str(a, json_get(doc, S("text")));
    ret->signature = json_str(a, json_get(doc, S("signature")));
    ret->redacted = json_str(a, json_get(doc, S("redacted")));
    ret->call = json_str(a, json_get(doc, S("call")));
    return ret->signature.n > 0 || ret->redacted.n > 0;
}

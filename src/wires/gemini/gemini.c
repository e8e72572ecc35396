/* gemini.c - Gemini's generateContent protocol: its table, and what both sides share. */
#include "wires/gemini/gemini.h"

#include "base/digest.h"
#include "llm/seal.h"

/* --- values --- */

const struct json *
gemini_get(const struct json *j, const char *camel, const char *snake)
{
    const struct json *value = json_get(j, str_c(camel));

    return value != NULL ? value : json_get(j, str_c(snake));
}

int64_t
gemini_count(const struct json *j)
{
    uint64_t n = 0;

    if (json_is(j, JSON_NUMBER))
        return json_i64(j, 0);
    return json_is(j, JSON_STRING) && str_u64(str_make(j->p + 1, j->n - 2), &n)
               ? (int64_t)MIN(n, (uint64_t)INT64_MAX)
               : -1;
}

/* --- finish reasons --- */

static const struct {
    struct str word;
    int number;
    enum llm_finish finish;
} reasons[] = {
    { S_INIT("STOP"), 1, FINISH_STOP },
    { S_INIT("MAX_TOKENS"), 2, FINISH_LENGTH },
    { S_INIT("SAFETY"), 3, FINISH_FILTER },
    { S_INIT("RECITATION"), 4, FINISH_FILTER },
    { S_INIT("OTHER"), 5, FINISH_UNKNOWN },
    { S_INIT("LANGUAGE"), 6, FINISH_UNKNOWN },
    { S_INIT("BLOCKLIST"), 7, FINISH_FILTER },
    { S_INIT("PROHIBITED_CONTENT"), 8, FINISH_FILTER },
    { S_INIT("SPII"), 9, FINISH_FILTER },
    { S_INIT("MALFORMED_FUNCTION_CALL"), 10, FINISH_UNKNOWN },
    { S_INIT("IMAGE_SAFETY"), 11, FINISH_FILTER },
    { S_INIT("UNEXPECTED_TOOL_CALL"), 12, FINISH_UNKNOWN },
    { S_INIT("TOO_MANY_TOOL_CALLS"), 13, FINISH_UNKNOWN },
    { S_INIT("IMAGE_PROHIBITED_CONTENT"), 14, FINISH_FILTER },
    { S_INIT("IMAGE_OTHER"), 15, FINISH_UNKNOWN },
    { S_INIT("NO_IMAGE"), 16, FINISH_FILTER },
    { S_INIT("IMAGE_RECITATION"), 17, FINISH_FILTER },
    { S_INIT("MISSING_THOUGHT_SIGNATURE"), 18, FINISH_UNKNOWN },
    { S_INIT("MODEL_ARMOR"), -1, FINISH_FILTER },
};

enum llm_finish
gemini_finish(struct arena *a, const struct json *reason, struct str *ret_word)
{
    *ret_word = json_str(a, reason);
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        if (json_is(reason, JSON_NUMBER) ? json_i64(reason, 0) != reasons[i].number
                                         : !str_eq(*ret_word, reasons[i].word))
            continue;
        *ret_word = reasons[i].word;
        return reasons[i].finish;
    }
    return FINISH_UNKNOWN;
}

struct str
gemini_finish_reason(enum llm_finish finish, struct str native)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].finish == finish && str_eq(native, reasons[i].word))
            return native;
    switch (finish) {
    case FINISH_LENGTH:
        return S("MAX_TOKENS");
    case FINISH_FILTER:
        return S("SAFETY");
    case FINISH_UNKNOWN:
        return S("OTHER");
    case FINISH_STOP:
    case FINISH_TOOLS:
        break;
    }
    return S("STOP");
}

/* --- offsets --- */

enum { WORD_BYTES = 64 };    /* of text, for each word of bits */

bool
gemini_text_add(struct arena *a, struct gemini_text *t, struct str text)
{
    size_t need = (t->bytes + text.n + WORD_BYTES - 1) / WORD_BYTES;
    size_t room = MAX(t->room, 1);

    while (room < need)
        room *= 2;
    if (room > t->room) {
        uint64_t *begins =
            arena_grow(a, t->begins, t->room * sizeof(*begins), room * sizeof(*begins));
        uint32_t *before = begins != NULL ? arena_grow(a, t->before, t->room * sizeof(*before),
                                                room * sizeof(*before))
                                          : NULL;

        if (before == NULL)
            return false;
        t->begins = begins;
        t->before = before;
        t->room = room;
    }
    for (size_t i = 0; i < text.n; i++, t->bytes++) {
        size_t word = t->bytes / WORD_BYTES;
        bool begins = ((unsigned char)text.p[i] & 0xc0) != 0x80;

        if (t->bytes % WORD_BYTES == 0) {
            t->begins[word] = 0;
            t->before[word] = (uint32_t)t->chars;
        }
        t->begins[word] |= (uint64_t)begins << t->bytes % WORD_BYTES;
        t->chars += begins;
    }
    return true;
}

int64_t
gemini_text_chars(const struct gemini_text *t, int64_t bytes)
{
    size_t at = (size_t)MAX(bytes, 0);

    if (at >= t->bytes)
        return (int64_t)t->chars;

    uint64_t earlier = t->begins[at / WORD_BYTES] & (((uint64_t)1 << at % WORD_BYTES) - 1);

    return t->before[at / WORD_BYTES] + __builtin_popcountll(earlier);
}

int64_t
gemini_text_bytes(const struct gemini_text *t, int64_t chars)
{
    size_t low = 0;
    size_t high = (t->bytes + WORD_BYTES - 1) / WORD_BYTES;

    if (chars >= (int64_t)t->chars || chars <= 0)
        return chars <= 0 ? 0 : (int64_t)t->bytes;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (t->before[middle] <= chars)
            low = middle;
        else
            high = middle;
    }

    uint64_t bits = t->begins[low];

    for (int64_t skip = chars - t->before[low]; skip > 0; skip--)
        bits &= bits - 1;
    return (int64_t)(low * WORD_BYTES) + __builtin_ctzll(bits);
}

/* --- signatures --- */

struct str
gemini_signature(struct arena *a, enum llm_origin origin, struct str signature, struct str redacted)
{
    if ((origin == ORIGIN_GEMINI || origin == ORIGIN_NONE) && signature.n > 0)
        return signature;

    struct str sealed = seal_write(
        a, &(struct seal){ .origin = origin, .signature = signature, .redacted = redacted });
    char *coded = sealed.n > 0 ? arena_try(a, 4 * ((sealed.n + 2) / 3)) : NULL;

    return coded != NULL ? str_make(coded, digest_base64(sealed, coded)) : S("");
}

/* Base64 of what sealed proofs begin with. */
#define SEALED "b3BlbmNsYXcu"

bool
gemini_is_foreign(const struct json *signature)
{
    return json_is(signature, JSON_STRING) &&
           str_starts(str_skip(json_raw(signature), 1), S(SEALED));
}

/* In the standard alphabet, with padding: SDKs that keep bytes write either. */
static struct str
standard_base64(struct arena *a, struct str text)
{
    size_t n = (text.n + 3) / 4 * 4;
    char *p = arena_try(a, n);

    for (size_t i = 0; p != NULL && i < n; i++) {
        char c = i < text.n ? text.p[i] : '=';

        p[i] = c == '-' ? '+' : c == '_' ? '/' : c;
    }
    return p != NULL ? str_make(p, n) : S("");
}

void
gemini_read_signature(struct arena *a, struct str text, struct llm_part *part)
{
    struct str base64 = str_starts(text, S(SEALED)) ? standard_base64(a, text) : S("");
    uint8_t *p = base64.n > 0 ? arena_try(a, base64.n) : NULL;
    struct seal seal;
    size_t n = 0;

    part->signature = text;
    part->origin = ORIGIN_GEMINI;
    if (p == NULL || !digest_base64_decode(base64, p, &n) ||
        !seal_read(a, str_make((const char *)p, n), &seal))
        return;
    part->signature = seal.signature;
    part->redacted = seal.redacted;
    part->origin = seal.origin;
}

/* --- failures --- */

static const struct fail_word fail_rows[] = {
    { S_INIT("INVALID_ARGUMENT"), ERR_BAD_REQUEST },
    { S_INIT("FAILED_PRECONDITION"), ERR_BAD_REQUEST },
    { S_INIT("OUT_OF_RANGE"), ERR_BAD_REQUEST },
    { S_INIT("API_KEY_INVALID"), ERR_UPSTREAM_AUTH },
    { S_INIT("UNAUTHENTICATED"), ERR_UPSTREAM_AUTH },
    { S_INIT("PERMISSION_DENIED"), ERR_UPSTREAM_FORBIDDEN },
    { S_INIT("NOT_FOUND"), ERR_UPSTREAM_NO_MODEL },
    { S_INIT("RESOURCE_EXHAUSTED"), ERR_UPSTREAM_RATE_LIMIT },
    { S_INIT("DEADLINE_EXCEEDED"), ERR_UPSTREAM_TIMEOUT },
    { S_INIT("UNAVAILABLE"), ERR_UPSTREAM_OVERLOADED },
    { S_INIT("ABORTED"), ERR_UPSTREAM_ERROR },
    { S_INIT("CANCELLED"), ERR_UPSTREAM_ERROR },
    { S_INIT("INTERNAL"), ERR_UPSTREAM_ERROR },
    { S_INIT("UNKNOWN"), ERR_UPSTREAM_ERROR },
};

const struct fail_words gemini_fail_words = {
    .rows = fail_rows,
    .count = ARRAY_LEN(fail_rows),
    .trusted = true,
};

const struct wire wire_gemini = {
    .name = S_INIT("gemini"),
    .framing = &framing_sse,
    .caller = &gemini_caller,
    .provider = &gemini_provider,
};

/* request.c - builds struct llm_request, and estimates its size in tokens. */
#include "llm/request.h"

#include "llm/wire.h"

enum err
llm_request_expand(struct llm_request *r, struct wire_fault *ret_fault)
{
    if (r->expanded)
        return OK;
    CHECK(r->wire != NULL && r->wire->caller != NULL);

    enum err e = r->wire->caller->read_conversation(r, ret_fault);

    if (e == OK)
        r->expanded = true;
    return e;
}

struct llm_part *
llm_part_add(struct arena *a, struct llm_part ***tail, enum llm_part_kind kind)
{
    struct llm_part *part = arena_new(a, struct llm_part);

    part->kind = kind;
    **tail = part;
    *tail = &part->next;
    return part;
}

struct llm_message *
llm_message_add(struct arena *a, struct llm_message ***tail, enum llm_role role)
{
    struct llm_message *message = arena_new(a, struct llm_message);

    message->role = role;
    **tail = message;
    *tail = &message->next;
    return message;
}

/* --- estimating --- */

/* Providers do not publish what an image, a second of audio or a page costs; these are orders of
 * magnitude. */
enum {
    TOKENS_IMAGE = 1000,
    TOKENS_PER_MESSAGE = 4,
    TOKENS_PER_TOOL = 8,
    BASE64_PER_AUDIO_TOKEN = 400,
    BASE64_PER_FILE_TOKEN = 40,
    TOKENS_FILE_UNKNOWN = 2000,
};

/* In quarters of a token: about four bytes of English make one, and so does nearly every single
 * character of most other scripts. */
static int64_t
quarters(struct str s)
{
    int64_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c < 0x80)
            n += 1;
        else if (c >= 0xc0)
            n += c >= 0xe0 ? 3 : 2;
    }
    return n;
}

static int64_t estimate_parts(const struct llm_part *part);

static int64_t
estimate_part(const struct llm_part *part)
{
    switch (part->kind) {
    case PART_TEXT:
    case PART_REASONING:
    case PART_REFUSAL:
        return quarters(part->text);
    case PART_IMAGE:
        return 4 * TOKENS_IMAGE;
    case PART_AUDIO:
    case PART_VIDEO:
        return 4 * (1 + (int64_t)part->data.n / BASE64_PER_AUDIO_TOKEN);
    case PART_FILE:
        return 4 * (part->data.n > 0 ? 1 + (int64_t)part->data.n / BASE64_PER_FILE_TOKEN
                                     : TOKENS_FILE_UNKNOWN);
    case PART_TOOL_CALL:
        return quarters(part->name) + quarters(part->args) + 4 * TOKENS_PER_TOOL;
    case PART_TOOL_RESULT:
        return estimate_parts(part->result) + 4 * TOKENS_PER_MESSAGE;
    case PART_OPAQUE:
        return quarters(json_raw(part->raw));
    }
    CHECK_UNREACHABLE();
}

static int64_t
estimate_parts(const struct llm_part *part)
{
    int64_t n = 0;

    for (; part != NULL; part = part->next)
        n += estimate_part(part);
    return n;
}

/* The same from the parsed body alone: all its strings, with long ones that look like base64
 * counted as one image each. */
static int64_t
estimate_document(const struct json *doc)
{
    int64_t n = 0;

    for (const struct json *j = doc; doc != NULL && j < doc + doc->span; j++) {
        if (j->type != JSON_STRING)
            continue;
        bool blob = j->n > 2048 && memchr(j->p, ' ', 128) == NULL;
        n += blob ? 4 * TOKENS_IMAGE : (int64_t)j->n - 2;
    }
    return (n + 3) / 4;
}

int64_t
llm_request_estimate_tokens(const struct llm_request *r)
{
    if (!r->expanded)
        return estimate_document(r->doc);

    int64_t n = estimate_parts(r->system) + quarters(r->schema);

    for (const struct llm_message *m = r->messages; m != NULL; m = m->next)
        n += estimate_parts(m->parts) + 4 * TOKENS_PER_MESSAGE;
    for (const struct llm_tool *t = r->tools; t != NULL; t = t->next)
        n += quarters(t->name) + quarters(t->description) + quarters(t->schema) +
             4 * TOKENS_PER_TOOL;
    return (n + 3) / 4;
}

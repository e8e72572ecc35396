/* request.c - builds struct llm_request, and estimates its size in tokens. */
#include "llm/request.h"

#include "llm/embed.h"
#include "llm/ranking.h"
#include "llm/read.h"
#include "llm/wishes.h"

enum { MODEL_BYTES_MAX = 256 };

/* Members of a body are compared with all that are known, on the thread of the loop. */
enum { MEMBERS_MAX = 4096 };

static struct reading
reading_of(struct llm_request *r, struct wire_fault *fault)
{
    CHECK(r->wire != NULL && r->wire->caller != NULL);
    return (
        struct reading){ .r = r, .a = r->arena, .fault = fault, .words = r->wire->caller->words };
}

/* The model's name, unless the path, the query or a form has it. */
static void
read_model(struct cursor model)
{
    struct llm_request *r = model.rd->r;

    if (r->model.n > 0) {
        if (model.j != NULL)
            read_fault(model, ERR_BAD_REQUEST, "this route names its model outside of the body");
        return;
    }
    if (r->op == OP_RELAY && !read_present(model))
        return;
    if (r->router && model.j == NULL)    /* "models" may name all of them */
        r->model = wishes_first_model(r);
    r->model_missing = r->model.n > 0;
    if (!r->model_missing)
        r->model = read_required_text(model);
    r->model_node = model.j;
    if (r->op != OP_RELAY && r->model.n > MODEL_BYTES_MAX)
        read_fault(model, ERR_BAD_REQUEST, "must be at most 256 bytes");
}

/* Those of an operation that is not a conversation; NULL: the protocol has the members of
 * conversations for it, or does not have it. */
static const struct read_member *
members_of(const struct llm_request *r)
{
    const struct wire_asks *asks = r->wire->caller->asks[r->op];

    return asks != NULL ? asks->members : NULL;
}

enum err
llm_request_read(struct llm_request *r, struct wire_fault *ret_fault)
{
    static const struct read_member passed_on[] = { { "model", NULL }, { "stream", NULL },
        { NULL, NULL } };
    struct reading rd = reading_of(r, ret_fault);
    const struct wire_caller *caller = r->wire->caller;
    const struct read_member *members = members_of(r);
    struct cursor doc = read_document(&rd);
    struct cursor stream = read_at(&doc, "stream");

    if (!json_is(r->doc, JSON_OBJECT)) {
        if (r->op != OP_RELAY)    /* an upload, perhaps: the provider will judge it */
            read_fault(doc, ERR_BAD_REQUEST, "the body must be a JSON object");
        return rd.err;
    }
    if (json_count(r->doc) > MEMBERS_MAX) {
        read_fault(doc, ERR_TOO_LARGE, "the body must have at most 4096 members");
        return rd.err;
    }
    if (r->op == OP_RELAY) {
        rd.err = wire_check_members(r->arena, r->doc, passed_on, PARAMS_COLUMNS, ret_fault);
        read_model(read_at(&doc, "model"));
        r->stream = json_bool(stream.j, false);
        return rd.err;
    }
    rd.err = members != NULL
                 ? wire_check_members(r->arena, r->doc, members, PARAMS_COLUMNS, ret_fault)
                 : wire_check_members(r->arena, r->doc, caller->members, caller->params, ret_fault);
    if (!caller->in_path) {
        read_model(read_at(&doc, "model"));
        r->stream = (r->op == OP_CHAT || r->op == OP_COMPLETE) &&
                    json_bool(stream.j, caller->streams_unasked);
    }
    caller->read_head(doc);
    if (!caller->in_path)
        (void)read_flag(stream);
    return rd.err;
}

const struct framing *
llm_request_framing(const struct llm_request *r)
{
    return r->framing != NULL ? r->framing : r->wire->framing;
}

enum err
llm_request_expand(struct llm_request *r, struct wire_fault *ret_fault)
{
    struct reading rd = reading_of(r, ret_fault);
    const struct wire_caller *caller = r->wire->caller;

    if (r->expanded)
        return OK;
    if (caller->asks[r->op] == NULL && (caller->translates & OP_BIT(r->op)) == 0) {
        ret_fault->message = S("this route cannot be translated for another protocol");
        return ERR_UNSUPPORTED;
    }
    if (members_of(r) != NULL)
        read_members(&rd, members_of(r), PARAMS_COLUMNS);
    else
        read_members(&rd, caller->members, caller->params);
    r->expanded = rd.err == OK;
    return rd.err;
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

bool
llm_part_has(const struct llm_part *parts, enum llm_part_kind kind)
{
    while (parts != NULL && parts->kind != kind)
        parts = parts->next;
    return parts != NULL;
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
    TOKENS_IMAGE_LOW = 85,
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

int64_t
llm_part_media_tokens(const struct llm_part *part)
{
    switch (part->kind) {
    case PART_IMAGE:
        return str_eq(part->detail, S("low")) ? TOKENS_IMAGE_LOW : TOKENS_IMAGE;
    case PART_AUDIO:
    case PART_VIDEO:
        return 1 + (int64_t)part->data.n / BASE64_PER_AUDIO_TOKEN;
    case PART_FILE:
        return part->data.n > 0 ? 1 + (int64_t)part->data.n / BASE64_PER_FILE_TOKEN
                                : TOKENS_FILE_UNKNOWN;
    default:
        return 0;
    }
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
    case PART_AUDIO:
    case PART_VIDEO:
    case PART_FILE:
        return 4 * llm_part_media_tokens(part);
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
    if (r->embed != NULL)
        return embed_estimate_tokens(r->embed->inputs);
    if (r->ranking != NULL)
        return ranking_estimate_tokens(r->ranking);

    int64_t n = estimate_parts(r->system) + quarters(r->schema);

    for (const struct llm_message *m = r->messages; m != NULL; m = m->next)
        n += estimate_parts(m->parts) + 4 * TOKENS_PER_MESSAGE;
    for (const struct llm_tool *t = r->tools; t != NULL; t = t->next)
        n += quarters(t->name) + quarters(t->description) + quarters(t->schema) +
             4 * TOKENS_PER_TOOL;
    return (n + 3) / 4;
}

const char *
llm_op_name(enum llm_op op)
{
    static const char *const names[OP_COUNT] = { "chat", "complete", "embed", "rerank",
        "count_tokens", "relay" };

    return names[op];
}

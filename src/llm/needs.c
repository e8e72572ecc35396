/* needs.c - one walk over a request's document, by the words of its wire.
 *
 * Tokens are estimated from above: three bytes of text are one token. English, code and JSON have
 * 4.3, 3.4 and 2.8 bytes to a token of today's tokenizers; characters of other scripts have two or
 * three bytes each and are rarely more than one token. Only rows of digits and random letters can
 * take more. Of strings with escapes the text counts, not its spelling. Templates come on top, and
 * the instructions that some providers add when there are tools or a schema.
 *
 * Providers count media by pixels, seconds and pages, which are not known without decoding them: an
 * image counts as the most that providers charge for one of ordinary size, sound, video and
 * documents by their size, and by a constant where only a URL or an id is known. What a provider
 * finds by itself (web search) is not known beforehand.
 */
#include "llm/needs.h"

#include <endian.h>

#include "base/hash.h"
#include "llm/wire.h"

enum {
    BYTES_PER_TOKEN = 3,
    TOKENS_PER_REQUEST = 30,
    TOKENS_PER_MESSAGE = 6,
    TOKENS_WITH_TOOLS = 640,
    TOKENS_PER_TOOL = 8,
    TOKENS_WITH_SCHEMA = 150,
    TOKENS_IMAGE = 1600,
    TOKENS_MEDIUM_LEAST = 3000,      /* of sound, of a document: a minute and a half, a page */
    BASE64_PER_SOUND_TOKEN = 400,    /* 32 tokens a second, at 10 kB */
    BASE64_PER_FILE_TOKEN = 40,      /* 2000 tokens a page, at 60 kB */
    HASHED_BYTES = 2048,             /* at the beginning and at the end of a text */
};

struct needs_walk {
    const struct needs_words *words;
    struct needs *needs;
    int64_t bytes;                    /* of text */
    int64_t tokens;                   /* of all else */
    uint64_t tools, system, first;    /* hashes; 0: none */
    bool begun;                       /* the first message after the system text was seen */
};

/* --- hashes --- */

/* Not a keyed hash: all replicas of the gateway must agree, and who chooses a prompt gains nothing
 * by choosing its hash. */
static uint64_t
hash_run(uint64_t h, const char *p, size_t n)
{
    uint64_t words[2];

    for (; n >= sizeof(words); n -= sizeof(words), p += sizeof(words)) {
        memcpy(words, p, sizeof(words));
        h = hash_mix(le64toh(words[0]) ^ HASH_WORD, le64toh(words[1]) ^ h);
    }
    memset(words, 0, sizeof(words));
    if (n != 0)
        memcpy(words, p, n);
    return hash_mix(le64toh(words[0]) ^ HASH_WORD, le64toh(words[1]) ^ h ^ n);
}

static uint64_t
hash_text(uint64_t h, struct str text)
{
    h ^= text.n * HASH_LAST;
    if (text.n <= 2 * HASHED_BYTES)
        return hash_run(h, text.p, text.n);
    h = hash_run(h, text.p, HASHED_BYTES);
    return hash_run(h, text.p + text.n - HASHED_BYTES, HASHED_BYTES);
}

/* What is between the quotes; other values as they are. */
static struct str
inner_text(const struct json *j)
{
    return j->type == JSON_STRING ? str_make(j->p + 1, j->n - 2) : json_raw(j);
}

/* Of content. Clients mark parts for the prompt cache in one turn and not in the next, and turn a
 * text into a part to do so: only what is said counts. */
static uint64_t
hash_content(uint64_t h, const struct json *content)
{
    struct json_iter it = json_iter(content);

    if (!json_is(content, JSON_ARRAY))
        return hash_text(h, inner_text(content));
    while (json_next(&it)) {
        const struct json *text = json_get(it.value, S("text"));
        struct json_iter members = json_iter(it.value);

        if (json_is(text, JSON_STRING) || !json_is(it.value, JSON_OBJECT)) {
            h = hash_text(h, inner_text(json_is(text, JSON_STRING) ? text : it.value));
            continue;
        }
        while (json_next(&members))
            if (!json_str_is(members.key, S("cache_control")))
                h = hash_text(h, inner_text(members.value));
    }
    return h;
}

/* --- sizes --- */

/* Bytes of text in a string, its escapes resolved; those of \u from above. */
static int64_t
string_bytes(const struct json *j)
{
    const char *p = j->p + 1, *end = j->p + j->n - 1;
    int64_t n = end - p;

    if (LIKELY(!j->escaped))
        return n;
    while ((p = memchr(p, '\\', (size_t)(end - p))) != NULL) {
        bool code = p[1] == 'u';

        n -= code ? 3 : 1;
        p += code ? 6 : 2;
    }
    return n;
}

static int64_t
value_bytes(const struct json *j)
{
    return j->type == JSON_STRING ? string_bytes(j) : j->n;
}

/* What a medium counts as; `j` is the part, or the data itself. */
static int64_t
medium_tokens(const struct json *j, uint32_t bits)
{
    uint32_t longest = 0;

    if ((bits & NEED_BIT(IMAGES)) != 0)
        return TOKENS_IMAGE;
    for (const struct json *at = j; at < j + j->span; at++)
        if (at->type == JSON_STRING)
            longest = MAX(longest, at->n);

    int64_t by_size =
        longest / ((bits & NEED_BIT(FILES)) != 0 ? BASE64_PER_FILE_TOKEN : BASE64_PER_SOUND_TOKEN);
    return MAX(by_size, TOKENS_MEDIUM_LEAST);
}

/* --- the walk --- */

static const struct need_word *
find_word(const struct need_word *words, const struct json *name)
{
    if (!json_is(name, JSON_STRING))
        return NULL;
    for (; words->name.n != 0; words++)
        if (UNLIKELY(name->escaped) ? json_str_is(name, words->name)
                                    : name->n == words->name.n + 2 &&
                                          memcmp(name->p + 1, words->name.p, words->name.n) == 0)
            return words;
    return NULL;
}

static bool
is_none(const struct json *j)
{
    return json_str_is(j, S("none")) || json_str_is(j, S("disabled")) || json_str_is(j, S(""));
}

/* Does the value ask for something? An object may say by a member that it does not. */
static bool
asks(const struct json *j)
{
    switch (j->type) {
    case JSON_TRUE:
        return true;
    case JSON_NUMBER:
        return json_f64(j, 0) > 0;
    case JSON_STRING:
        return !is_none(j);
    case JSON_ARRAY:
        return !json_is_empty(j);
    case JSON_OBJECT:
        return !json_is_empty(j) && !is_none(json_get(j, S("type"))) &&
               !is_none(json_get(j, S("effort"))) && json_bool(json_get(j, S("enabled")), true) &&
               json_i64(json_get(j, S("budget_tokens")), 1) != 0 &&
               json_i64(json_get(j, S("thinkingBudget")), 1) != 0 &&
               json_i64(json_get(j, S("max_tokens")), 1) != 0;
    default:
        return false;
    }
}

/* {"type":"json_schema",...}, or a schema itself. */
static bool
is_schema(const struct json *j)
{
    const struct json *type = json_get(j, S("type"));

    return json_is(j, JSON_OBJECT) && !json_str_is(type, S("text")) &&
           !json_str_is(type, S("json_object")) && !json_is_empty(j);
}

static void
add_media(struct needs_walk *w, const struct json *j, uint32_t bits)
{
    struct json_iter it = json_iter(j);

    if (!json_is(j, JSON_ARRAY)) {
        w->needs->bits |= asks(j) ? bits : 0;
        w->tokens += asks(j) ? medium_tokens(j, bits) : 0;
        return;
    }
    while (json_next(&it)) {
        w->needs->bits |= bits;
        w->tokens += medium_tokens(it.value, bits);
    }
}

/* A document that is text all the way (Anthropic's) needs a model that reads text. */
static bool
is_text_document(const struct json *part)
{
    const struct json *type = json_at(part, "source.type");

    return json_str_is(type, S("text")) || json_str_is(type, S("content"));
}

static void add_content(struct needs_walk *w, const struct json *content, bool nested);

/* What a part is; *part becomes the object that it is in, if the words are keyed. */
static const struct need_word *
part_word(const struct needs_walk *w, const struct json **part)
{
    struct json_iter it = json_iter(*part);
    const struct need_word *word = NULL;

    if (!w->words->keyed)
        return find_word(w->words->parts, json_get(*part, S("type")));
    while (word == NULL && json_next(&it))
        word = find_word(w->words->parts, it.key);
    if (word != NULL)
        *part = it.value;
    return word;
}

/* The bits of a medium by its type. Text needs none. */
static uint32_t
type_bits(const struct json *medium)
{
    const struct json *type = json_get(medium, S("mimeType"));
    struct str word = json_raw(type != NULL ? type : json_get(medium, S("mime_type")));

    return str_istarts(word, S("\"image/"))   ? NEED_BIT(IMAGES)
           : str_istarts(word, S("\"audio/")) ? NEED_BIT(AUDIO)
           : str_istarts(word, S("\"video/")) ? NEED_BIT(VIDEO)
           : str_istarts(word, S("\"text/"))  ? 0
                                              : NEED_BIT(FILES);
}

static void
add_part(struct needs_walk *w, const struct json *part, bool nested)
{
    const struct need_word *word = part_word(w, &part);
    const struct json *text = json_get(part, S("text"));

    if (word == NULL || word->rule == NEED_IS_TEXT) {
        w->bytes += json_is(text, JSON_STRING) ? string_bytes(text) : value_bytes(part);
        return;
    }
    if (word->rule == NEED_IS_MEDIUM && is_text_document(part)) {
        w->bytes += part->n;
        return;
    }
    if (word->rule == NEED_IS_TYPED) {
        add_media(w, part, type_bits(part));
        return;
    }
    w->needs->bits |= word->bits;
    const struct json *content =
        word->rule == NEED_IS_RESULT && !nested ? json_get(part, S("content")) : NULL;
    if (word->rule == NEED_IS_MEDIUM)
        add_media(w, part, word->bits);
    else if (content != NULL)
        add_content(w, content, true);
    else
        w->bytes += part->n;
}

/* `nested`: it is in a part, whose own parts are not looked into. */
static void
add_content(struct needs_walk *w, const struct json *content, bool nested)
{
    struct json_iter it = json_iter(content);

    if (json_is(content, JSON_OBJECT)) {
        add_part(w, content, nested);
        return;
    }
    if (!json_is(content, JSON_ARRAY)) {
        w->bytes += json_present(content) ? value_bytes(content) : 0;
        return;
    }
    while (json_next(&it)) {
        if (it.value->type == JSON_OBJECT)
            add_part(w, it.value, nested);
        else
            w->bytes += value_bytes(it.value);
    }
}

/* The content of the next message: of the system's, or of the first. */
static void
note_beginning(struct needs_walk *w, const struct json *role, const struct json *content)
{
    if (w->begun || content == NULL)
        return;
    if (json_str_is(role, S("system")) || json_str_is(role, S("developer"))) {
        w->system = hash_content(w->system, content);
        return;
    }
    w->begun = true;
    w->first = hash_content(0, content);
}

static void
add_message(struct needs_walk *w, const struct json *message)
{
    struct json_iter it = json_iter(message);
    const struct json *role = NULL, *content = NULL;
    const struct need_word *kind =
        w->words->keyed ? NULL : find_word(w->words->parts, json_get(message, S("type")));

    w->needs->messages++;
    w->tokens += TOKENS_PER_MESSAGE;
    if (kind != NULL && kind->rule != NEED_IS_TEXT) {    /* it is a part by itself */
        add_part(w, message, false);
        return;
    }
    while (json_next(&it)) {
        const struct need_word *word = find_word(w->words->messages, it.key);

        if (word == NULL || word->rule == NEED_IS_OTHER)
            w->bytes += json_present(it.value) ? value_bytes(it.value) : 0;
        if (word == NULL)
            continue;
        if (word->rule == NEED_IS_ROLE)
            role = it.value;
        else if (word->rule == NEED_IS_CONTENT)
            content = it.value;
        else if (word->rule == NEED_IS_MEDIUM)
            add_media(w, it.value, word->bits);
        else if (asks(it.value))
            w->needs->bits |= word->bits;
    }
    if (content != NULL)
        add_content(w, content, false);
    note_beginning(w, role, content);
}

/* Messages; texts; or tokens, of which a list may have lists. */
static void
add_turns(struct needs_walk *w, const struct json *turns)
{
    struct json_iter it = json_iter(turns);

    if (json_is(turns, JSON_STRING)) {
        w->needs->messages++;
        w->bytes += string_bytes(turns);
        note_beginning(w, NULL, turns);
    }
    while (json_is(turns, JSON_ARRAY) && json_next(&it)) {
        if (it.value->type == JSON_OBJECT) {
            add_message(w, it.value);
        } else if (it.value->type == JSON_STRING) {
            w->bytes += string_bytes(it.value);
            note_beginning(w, NULL, it.value);
        } else {
            w->tokens += it.value->span;
        }
    }
}

static void
add_tools(struct needs_walk *w, const struct json *tools, uint32_t bits)
{
    if (!json_is(tools, JSON_ARRAY) || json_is_empty(tools))
        return;

    uint32_t count = json_count(tools);

    w->needs->tools += count;
    w->needs->bits |= bits;
    w->bytes += tools->n;
    w->tokens += (int64_t)count * TOKENS_PER_TOOL;
    w->tools = hash_text(w->tools, json_raw(tools));
}

static bool
lists(const struct json *list, struct str word)
{
    struct json_iter it = json_iter(list);

    while (json_is(list, JSON_ARRAY) && json_next(&it))
        if (json_str_is(it.value, word))
            return true;
    return false;
}

static void
add_member(struct needs_walk *w, const struct need_word *word, const struct json *value)
{
    struct needs *n = w->needs;

    switch (word->rule) {
    case NEED_IS_ASKED:
        n->bits |= asks(value) ? word->bits : 0;
        break;
    case NEED_IS_LISTED:
        if (lists(value, str_c(need_name((enum need)__builtin_ctz(word->bits)))))
            n->bits |= word->bits;
        break;
    case NEED_IS_FORMAT:
        if (is_schema(value)) {
            n->bits |= word->bits;
            w->bytes += value->n;
        }
        break;
    case NEED_IS_TURNS:
        add_turns(w, value);
        break;
    case NEED_IS_SYSTEM:
        if (json_present(value)) {
            add_content(w, value, false);
            w->system = hash_content(w->system, value);
        }
        break;
    case NEED_IS_TOOLS:
        add_tools(w, value, word->bits);
        break;
    case NEED_IS_LIMIT:
        n->output_tokens = MAX(n->output_tokens, json_i64(value, 0));
        break;
    case NEED_IS_MEDIUM:
        add_media(w, value, word->bits);
        break;
    default:
        break;
    }
}

/* `inner`: of an object in the document. */
static void
add_members(struct needs_walk *w, const struct json *object, bool inner)
{
    struct json_iter it = json_iter(object);

    while (json_is(object, JSON_OBJECT) && json_next(&it)) {
        const struct need_word *word = find_word(w->words->members, it.key);

        if (word == NULL)
            continue;
        if (word->rule != NEED_IS_OBJECT)
            add_member(w, word, it.value);
        else if (!inner)
            add_members(w, it.value, true);
    }
}

void
needs_find(const struct llm_request *r, struct needs *ret)
{
    *ret = (struct needs){ .bits = r->op == OP_EMBED ? NEED_BIT(EMBEDDINGS) : 0 };
    if (!json_is(r->doc, JSON_OBJECT) || r->wire->caller == NULL || r->wire->caller->needs == NULL)
        return;

    struct needs_walk w = { .words = r->wire->caller->needs, .needs = ret };

    add_members(&w, r->doc, false);
    if (ret->messages != 0)
        w.tokens += TOKENS_PER_REQUEST;
    if ((ret->bits & NEED_BIT(TOOLS)) != 0)
        w.tokens += TOKENS_WITH_TOOLS + w.words->more_with_tools;
    if ((ret->bits & NEED_BIT(SCHEMA)) != 0)
        w.tokens += TOKENS_WITH_SCHEMA;
    ret->input_tokens = w.tokens + (w.bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;

    uint64_t application =
        w.tools | w.system ? hash_mix(w.tools ^ HASH_WORD, w.system ^ HASH_LAST) : 0;
    ret->prefix = application != 0 ? application : w.first;
    ret->conversation = w.begun ? hash_mix(application ^ HASH_WORD, w.first ^ HASH_LAST) : 0;
}

/* --- names --- */

const char *
need_name(enum need n)
{
    static const char *const names[] = {
#define NEED(id, name, says) name,
#include "llm/needs.def"
#undef NEED
    };

    CHECK(n < NEED_COUNT);
    return names[n];
}

const char *
need_says(enum need n)
{
    static const char *const says[] = {
#define NEED(id, name, says_) says_,
#include "llm/needs.def"
#undef NEED
    };

    CHECK(n < NEED_COUNT);
    return says[n];
}

/* wire.c - the table of protocols, and what several of them need: edits in place, drops,
 * kinds of errors, scrubbing, ids and media types.
 */
#include "llm/wire.h"

#include "base/digest.h"

static const struct wire *const wires[] = {
#define WIRE(id) &wire_##id,
#include "llm/wires.def"
#undef WIRE
};

const struct wire *
wire_at(size_t i)
{
    return i < ARRAY_LEN(wires) ? wires[i] : NULL;
}

const struct wire *
wire_named(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(wires); i++)
        if (str_eq(wires[i]->name, name))
            return wires[i];
    return NULL;
}

/* --- the members of a request --- */

/* Whether a key has lower-case letters and '_' only, so that it cannot resemble another one. */
static bool
is_plain_key(const struct json *key)
{
    const char *end = key->p + key->n - 1;

    for (const char *p = key->p + 1; p != end; p++)
        if ((unsigned char)(*p - '_') > 'z' - '_')    /* '`' is harmless */
            return false;
    return true;
}

/* The member or parameter that some parser would take `key` for, or NULL. */
static const char *
resembled(struct str key, const struct read_member *members, enum params_column column)
{
    for (; members->name != NULL; members++)
        if (str_resembles(key, str_c(members->name)))
            return members->name;
    for (unsigned p = 0; p < PARAM_NODES && column != PARAMS_COLUMNS; p++) {
        const char *name = param_name(p, column);

        if (name != NULL && str_resembles(key, str_c(name)))
            return name;
    }
    return NULL;
}

enum err
wire_check_members(struct arena *a, const struct json *doc, const struct read_member *members,
    enum params_column column, struct wire_fault *ret_fault)
{
    if (!json_is(doc, JSON_OBJECT))
        return OK;
    for (const struct json *at = doc + 1; at != doc + doc->span; at += 1 + at[1].span) {
        if (LIKELY(is_plain_key(at)))
            continue;

        struct arena_mark mark = arena_mark(a);
        struct str key = json_str(a, at);
        const char *member = resembled(key, members, column);

        arena_rewind(a, mark);
        if (key.p == NULL) {
            ret_fault->message = S("the request is larger than allowed");
            return ERR_TOO_LARGE;
        }
        if (member == NULL)
            continue;
        ret_fault->param = str_c(member);
        ret_fault->message = arena_printf(a,
            "%s: the body has a member that some providers would read as this one; write it as "
            "\"%s\", once",
            member, member);
        return ERR_BAD_REQUEST;
    }
    return OK;
}

/* --- parameters that the target cannot express --- */

enum { DROPS_MAX = 64, DROP_NAME_MAX = 64 };

/* Names end up in a header field, and callers can choose some of them. */
static bool
is_parameter_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-[]",
                name.p[i]) == NULL ||
            name.p[i] == '\0')
            return false;
    return name.n > 0 && name.n <= DROP_NAME_MAX;
}

void
wire_drop(struct wire_drops *d, struct str name)
{
    unsigned before = 0;

    if (d == NULL || !is_parameter_name(name))
        return;
    if (d->tail == NULL)
        d->tail = &d->names;
    for (const struct llm_word *w = d->names; w != NULL; w = w->next)
        if (str_eq(w->text, name) || ++before == DROPS_MAX)
            return;

    struct llm_word *w = arena_new(d->arena, struct llm_word);

    /* the body that holds it is released before the answer is sent */
    w->text = arena_str(d->arena, name);
    if (w->text.p == NULL)
        return;
    *d->tail = w;
    d->tail = &w->next;
}

void
wire_drop_extra(struct wire_drops *d, const struct llm_request *r)
{
    for (const struct llm_member *m = r->extra; m != NULL; m = m->next)
        if (m->name->n <= DROP_NAME_MAX && json_present(m->value) && m->value->type != JSON_FALSE)
            wire_drop(d, json_str(r->arena, m->name));
}

/* --- tools of one protocol --- */

/* The parameters by which callers ask for such a tool without naming it in the list. */
static struct str
own_tool(const struct llm_member *m)
{
    static const struct str parameters[] = {
        S_INIT("web_search_options"),    /* OpenAI */
        S_INIT("search_parameters"),     /* xAI */
        S_INIT("plugins"),               /* OpenRouter */
        S_INIT("mcp_servers"),           /* Anthropic */
    };

    for (size_t i = 0; i < ARRAY_LEN(parameters); i++)
        if (json_present(m->value) && m->value->type != JSON_FALSE &&
            json_str_is(m->name, parameters[i]))
            return parameters[i];
    return S("");
}

enum err
wire_check_tools(const struct llm_request *r, const struct wire *to, struct wire_fault *ret_fault)
{
    struct str lost = S("");
    bool others = false;
    bool demanded = false;

    if (r->wire == to || r->choice == CHOICE_NONE)
        return OK;
    for (const struct llm_tool *tool = r->tools; tool != NULL; tool = tool->next) {
        others = others || tool->raw == NULL;
        if (tool->raw == NULL || demanded)
            continue;
        demanded = r->choice == CHOICE_NAMED && str_eq(tool->name, r->choice_name);
        if (lost.n == 0 || demanded)
            lost = tool->name;
    }
    for (const struct llm_member *m = r->extra; m != NULL && lost.n == 0; m = m->next)
        lost = own_tool(m);
    if (lost.n == 0 || (others && !demanded))
        return OK;
    ret_fault->param = S("tools");
    ret_fault->message = arena_printf(r->arena,
        "tools: only providers of the protocol " STR_FMT " have '%.*s'; ask for a model of one, or "
        "offer other tools",
        STR_ARG(r->wire->name), (int)MIN(lost.n, 128), lost.p);
    return ERR_UNSUPPORTED;
}

/* --- changing a body in place --- */

bool
wire_edit_add(struct wire_edits *e, size_t at, size_t cut, struct str put)
{
    if (e->count == WIRE_EDITS)
        return false;

    size_t i = e->count++;

    /* Insertions go before a cut at the same place. */
    for (; i > 0 && (e->list[i - 1].at > at ||
                        (e->list[i - 1].at == at && cut == 0 && e->list[i - 1].cut > 0));
         i--)
        e->list[i] = e->list[i - 1];
    e->list[i] = (struct wire_edit){ .at = at, .cut = cut, .put = put };
    return true;
}

size_t
wire_edits_apply(const struct wire_edits *e, struct str body, struct str *pieces)
{
    size_t n = 0;
    size_t from = 0;

    for (size_t i = 0; i < e->count; i++) {
        const struct wire_edit *edit = &e->list[i];

        CHECK(edit->at <= body.n && edit->cut <= body.n - edit->at);
        if (edit->at < from)    /* inside a range that is cut */
            continue;
        if (edit->at > from)
            pieces[n++] = str_make(body.p + from, edit->at - from);
        if (edit->put.n > 0)
            pieces[n++] = edit->put;
        from = edit->at + edit->cut;
    }
    if (from < body.n)
        pieces[n++] = str_make(body.p + from, body.n - from);
    return n;
}

void
wire_rewrite_begin(struct wire_rewrite *w, const struct json *value)
{
    *w = (struct wire_rewrite){ .value = value, .done = value->p };
    buf_init(&w->out, value->n);
}

void
wire_rewrite_put(struct wire_rewrite *w, const char *from, const char *to, struct str put)
{
    CHECK(from >= w->done && to >= from);
    buf_add(&w->out, str_make(w->done, (size_t)(from - w->done)));
    buf_add(&w->out, put);
    w->done = to;
}

void
wire_rewrite_cut(struct wire_rewrite *w, const struct json *container,
    bool (*goes)(const void *arg, const struct json *key, const struct json *value),
    void (*keep)(
        struct wire_rewrite *w, const void *arg, const struct json *key, const struct json *value),
    const void *arg)
{
    struct json_iter it = json_iter(container);
    const struct json *kept = NULL;    /* the last value that stays */
    const char *first = NULL;          /* start of the elements being removed */

    while (json_next(&it)) {
        const char *begins = it.key != NULL ? it.key->p : it.value->p;

        if (goes(arg, it.key, it.value)) {
            first = first != NULL ? first : begins;
            continue;
        }
        if (first != NULL)
            wire_rewrite_put(w, first, begins, S(""));
        if (keep != NULL)
            keep(w, arg, it.key, it.value);
        kept = it.value;
        first = NULL;
    }
    if (first != NULL && kept != NULL)
        wire_rewrite_put(w, kept->p + kept->n, container->p + container->n - 1, S(""));
}

void
wire_rewrite_end(struct wire_rewrite *w, const struct llm_request *r, struct wire_edits *edits)
{
    const struct json *value = w->value;

    if (w->done != value->p) {
        wire_rewrite_put(w, value->p + value->n, value->p + value->n, S(""));

        struct str put = arena_str(r->arena, buf_str(&w->out));

        if (put.p != NULL && !w->out.overflow)    /* else the provider reports the problem */
            (void)wire_edit_add(edits, (size_t)(value->p - r->body.p), value->n, put);
    }
    buf_fini(&w->out);
}

/* --- errors --- */

enum err
wire_error_kind(int status)
{
    switch (status) {
    case 401:
    case 403:    /* the caller's key was accepted, so the gateway's own credentials are at fault */
    case 407:
        return ERR_UPSTREAM_AUTH;
    case 402:
        return ERR_UPSTREAM_QUOTA;
    case 404:
        return ERR_UPSTREAM_NO_MODEL;
    case 413:
        return ERR_TOO_LARGE;
    case 408:
    case 504:
    case 522:    /* Cloudflare: could not connect to the origin, or the origin did not answer */
    case 524:
        return ERR_UPSTREAM_TIMEOUT;
    case 409:    /* about the provider's state, not about the request */
    case 421:
    case 424:
    case 425:
    case 499:
        return ERR_UPSTREAM_ERROR;
    case 429:
        return ERR_RATE_LIMIT;
    case 503:
    case 529:
        return ERR_UPSTREAM_OVERLOADED;
    default:
        return status >= 400 && status < 500 ? ERR_BAD_REQUEST : ERR_UPSTREAM_ERROR;
    }
}

/* Offset of `needle` (lower case) in `s`, ignoring ASCII case, or s.n. */
static size_t
find_folded(struct str s, struct str needle)
{
    for (size_t i = 0; needle.n <= s.n && i <= s.n - needle.n; i++)
        if (str_ieq(str_make(s.p + i, needle.n), needle))
            return i;
    return s.n;
}

static bool
holds(struct str s, struct str needle)
{
    return find_folded(s, needle) < s.n;
}

bool
wire_is_context_overflow(struct str message)
{
    /* Both halves must occur; an empty second half always does. */
    static const struct {
        struct str first;
        struct str second;
    } wordings[] = {
        { S_INIT("maximum context length"), S_INIT("") },    /* OpenAI, DeepSeek, vLLM */
        { S_INIT("context_length_exceeded"), S_INIT("") },
        { S_INIT("reduce the length of the"), S_INIT("") },
        { S_INIT("exceeds the context window"), S_INIT("") },
        { S_INIT("exceed context limit"), S_INIT("") },       /* Anthropic, with max_tokens */
        { S_INIT("prompt is too long"), S_INIT("") },         /* Anthropic */
        { S_INIT("prompt too long"), S_INIT("") },            /* Ollama */
        { S_INIT("input is too long"), S_INIT("") },          /* Bedrock */
        { S_INIT("input tokens exceeded"), S_INIT("") },      /* Nova */
        { S_INIT("input token count"), S_INIT("exceed") },    /* Gemini */
        { S_INIT("too_many_tokens"), S_INIT("") },            /* Cohere */
        { S_INIT("too many tokens"), S_INIT("size limit") },
        { S_INIT("too_many_prompt_tokens"), S_INIT("") },          /* Perplexity */
        { S_INIT("available context size"), S_INIT("exceed") },    /* llama.cpp */
        { S_INIT("max context length"), S_INIT("exceed") },
        { S_INIT("maximum prompt length"), S_INIT("") },    /* xAI */
    };

    if (message.n > 4096)
        message.n = 4096;
    for (size_t i = 0; i < ARRAY_LEN(wordings); i++)
        if (holds(message, wordings[i].first) &&
            (wordings[i].second.n == 0 || holds(message, wordings[i].second)))
            return true;
    return false;
}

/* --- scrubbing --- */

enum { SCRUB_MAX = 2048 };

static bool
is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '-';
}

/* Characters that occur in credentials, and in masks that other gateways put over them. */
static bool
is_secret_char(char c)
{
    return is_word(c) || c == '.' || c == '*' || c == '+' || c == '/' || c == '=' || c == '~';
}

static size_t
secret_length(struct str s)
{
    size_t n = 0;

    while (n < s.n && is_secret_char(s.p[n]))
        n++;
    while (n > 0 && s.p[n - 1] == '.')    /* ends the sentence, not the key */
        n--;
    return n;
}

/* Whether it looks random rather than like a word: "Invalid key: temperature" is useful to the
 * caller. */
static bool
looks_secret(struct str s)
{
    bool digit = false;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '*')
            return true;
        digit = digit || (s.p[i] >= '0' && s.p[i] <= '9');
    }
    return s.n >= 24 || (digit && s.n >= 8);
}

/* Words that may be followed by a secret; *ret_skip is their length. */
static bool
names_secret(struct str s, size_t *ret_skip)
{
    static const struct str names[] = {
        S_INIT("bearer "),
        S_INIT("basic "),
        S_INIT("key provided: "),
        S_INIT("key="),
        S_INIT("key: "),
        S_INIT("token="),
        S_INIT("token: "),
        S_INIT("secret="),
        S_INIT("secret: "),
        S_INIT("password="),
        S_INIT("authorization: "),
        S_INIT("signature="),
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!str_istarts(s, names[i]))
            continue;
        *ret_skip = names[i].n;
        return true;
    }
    return false;
}

/* Prefixes of keys of well-known services. */
static bool
begins_like_key(struct str s)
{
    static const struct str beginnings[] = {
        S_INIT("sk-"),
        S_INIT("sk_"),
        S_INIT("pk-"),
        S_INIT("rk-"),
        S_INIT("sess-"),
        S_INIT("xai-"),
        S_INIT("gsk_"),
        S_INIT("csk-"),
        S_INIT("hf_"),
        S_INIT("r8_"),
        S_INIT("nvapi-"),
        S_INIT("pplx-"),
        S_INIT("AIza"),
        S_INIT("ya29."),
        S_INIT("eyJ"),
        S_INIT("AKIA"),
        S_INIT("ASIA"),
        S_INIT("ghp_"),
        S_INIT("github_pat_"),
    };

    for (size_t i = 0; i < ARRAY_LEN(beginnings); i++)
        if (str_starts(s, beginnings[i]) && secret_length(s) >= beginnings[i].n + 5)
            return true;
    return false;
}

struct scrubbed {
    char *p;
    size_t n;
};

static void
put(struct scrubbed *out, struct str s)
{
    size_t n = MIN(s.n, SCRUB_MAX - out->n);

    if (n > 0)
        memcpy(out->p + out->n, s.p, n);
    out->n += n;
}

/* Copies one character of `s`, or replaces a secret by stars; returns the number of bytes consumed.
 */
static size_t
scrub_step(struct scrubbed *out, struct str s, bool at_word)
{
    size_t skip = 0;
    unsigned char c = (unsigned char)s.p[0];

    if (at_word && begins_like_key(s)) {
        put(out, S("***"));
        return secret_length(s);
    }
    if (names_secret(s, &skip)) {
        size_t secret = secret_length(str_skip(s, skip));

        if (looks_secret(str_make(s.p + skip, secret))) {
            put(out, str_make(s.p, skip));
            put(out, S("***"));
            return skip + secret;
        }
    }
    if (c < 0x20 || c == 0x7f)
        put(out, S(" "));
    else
        put(out, str_make(s.p, 1));
    return 1;
}

/* `n`, or less so that a UTF-8 character is not cut. */
static size_t
whole_characters(const char *p, size_t n)
{
    size_t at = n;

    while (at > 0 && n - at < 3 && ((unsigned char)p[at - 1] & 0xc0) == 0x80)
        at--;
    if (at == 0 || (unsigned char)p[at - 1] < 0xc0)
        return n;

    unsigned char lead = (unsigned char)p[at - 1];
    size_t needs = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;

    return n - at + 1 < needs ? at - 1 : n;
}

struct str
wire_scrub(struct arena *a, struct str message)
{
    struct scrubbed out = { .p = arena_array(a, char, SCRUB_MAX + 1) };

    while (message.n > 0 && out.n < SCRUB_MAX) {
        bool at_word = out.n == 0 || !is_word(out.p[out.n - 1]);
        size_t used = scrub_step(&out, message, at_word);

        message = str_skip(message, used);
    }
    return str_trim(str_make(out.p, whole_characters(out.p, out.n)));
}

/* --- ids --- */

enum { ID_MAX = 64, ID_HASH_BYTES = 12 };

struct str
wire_hash_id(struct arena *a, struct str id, struct str prefix)
{
    uint8_t digest[DIGEST_SHA256_BYTES];
    char hex[2 * ID_HASH_BYTES + 1];

    digest_sha256(id, digest);
    digest_hex(digest, ID_HASH_BYTES, hex);
    return arena_printf(a, STR_FMT "%s", STR_ARG(prefix), hex);
}

struct str
wire_safe_id(struct arena *a, struct str id, struct str prefix)
{
    bool safe = id.n > 0 && id.n <= ID_MAX;

    for (size_t i = 0; safe && i < id.n; i++)
        safe = is_word(id.p[i]);
    return safe ? id : wire_hash_id(a, id, prefix);
}

/* --- prompt caches --- */

enum llm_cache_mark
wire_cache_mark(const struct json *j)
{
    const struct json *control = json_get(j, S("cache_control"));
    const struct json *ttl = json_get(control, S("ttl"));

    if (!json_is(control, JSON_OBJECT))
        return MARK_NONE;
    if (json_str_is(ttl, S("5m")))
        return MARK_5M;
    return json_str_is(ttl, S("1h")) ? MARK_1H : MARK_SET;
}

/* --- media --- */

bool
wire_data_url(struct str url, struct str *ret_mime, struct str *ret_base64)
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

struct str
wire_sniff_base64(struct str base64)
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
    };

    for (size_t i = 0; i < ARRAY_LEN(beginnings); i++)
        if (str_starts(base64, beginnings[i].text))
            return beginnings[i].mime;
    /* "RIFF", four bytes of size, "WEBP": its 'W' shares a group with the end of the size. */
    if (str_starts(base64, S("UklGR")) && base64.n >= 16 &&
        str_eq(str_make(base64.p + 12, 4), S("RUJQ")))
        return S("image/webp");
    return S("");
}

/* Without the blanks and line ends at its beginning alone. */
static struct str
skip_blanks(struct str s)
{
    size_t n = 0;

    while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t' || s.p[n] == '\r' || s.p[n] == '\n'))
        n++;
    return str_skip(s, n);
}

bool
wire_says_failure(struct str text)
{
    const struct str member = S("\"error\"");

    if (str_find(text, S("event: error")) != text.n || str_find(text, S("event:error")) != text.n ||
        str_find(text, S(".failed")) != text.n)
        return true;
    for (size_t at = str_find(text, member); at != text.n; at = str_find(text, member)) {
        text = str_skip(text, at + member.n);
        struct str value = skip_blanks(text);

        if (!str_starts(value, S(":")) || !str_starts(skip_blanks(str_skip(value, 1)), S("null")))
            return true;
    }
    return false;
}

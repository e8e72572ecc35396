/* scan.c - cuts an expression into words, texts and signs. */
#include "script/scan.h"

#define DECLARED_MOST 64

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_TEXT, TOKEN_NUMBER, TOKEN_SIGN };

struct token {
    enum token_kind kind;
    struct str text;    /* a text's without its quotes, escapes as written */
    size_t offset;
};

struct scan {
    struct str all;
    size_t at;
};

static char
peek(const struct scan *s, size_t ahead)
{
    return s->at + ahead < s->all.n ? s->all.p[s->at + ahead] : '\0';
}

/* How many '=' are between the brackets of "[==["; -1: there is no long bracket. */
static int
long_bracket(const struct scan *s)
{
    size_t level = 0;

    if (peek(s, 0) != '[')
        return -1;
    while (peek(s, 1 + level) == '=')
        level++;
    return peek(s, 1 + level) == '[' ? (int)level : -1;
}

/* Skips "[==[...]==]" and returns what is in it. */
static struct str
skip_long(struct scan *s, size_t level)
{
    size_t begin = s->at + level + 2;

    for (s->at = begin; s->at < s->all.n; s->at++) {
        size_t n = 0;

        if (s->all.p[s->at] != ']')
            continue;
        while (n < level && peek(s, 1 + n) == '=')
            n++;
        if (n == level && peek(s, 1 + n) == ']') {
            struct str inner = str_make(s->all.p + begin, s->at - begin);

            s->at += level + 2;
            return inner;
        }
        s->at += n;
    }
    return str_skip(s->all, begin);
}

static struct str
skip_quoted(struct scan *s, char quote)
{
    size_t begin = ++s->at;

    while (s->at < s->all.n && s->all.p[s->at] != quote)
        s->at += s->all.p[s->at] == '\\' ? 2 : 1;
    s->at = MIN(s->at, s->all.n);
    struct str inner = str_make(s->all.p + begin, s->at - begin);
    s->at = MIN(s->at + 1, s->all.n);
    return inner;
}

/* Blanks and comments. */
static void
skip_blank(struct scan *s)
{
    while (s->at < s->all.n) {
        char c = s->all.p[s->at];

        if (c == ' ' || (c >= '\t' && c <= '\r')) {
            s->at++;
        } else if (c == '-' && peek(s, 1) == '-') {
            s->at += 2;
            int level = long_bracket(s);
            if (level >= 0)
                (void)skip_long(s, (size_t)level);
            else
                while (s->at < s->all.n && s->all.p[s->at] != '\n' && s->all.p[s->at] != '\r')
                    s->at++;
        } else {
            return;
        }
    }
}

static bool
is_word(char c)
{
    return str_is_alnum(c) || c == '_';
}

static struct token
next_token(struct scan *s)
{
    skip_blank(s);
    struct token t = { .offset = s->at };
    if (s->at >= s->all.n)
        return t;
    char c = s->all.p[s->at];
    size_t n = 1;
    int level = long_bracket(s);

    if (c == '"' || c == '\'' || level >= 0) {
        t.kind = TOKEN_TEXT;
        t.text = level >= 0 ? skip_long(s, (size_t)level) : skip_quoted(s, c);
        return t;
    }
    if (str_is_digit(c) || (c == '.' && str_is_digit(peek(s, 1)))) {
        t.kind = TOKEN_NUMBER;
        while (is_word(peek(s, n)) || peek(s, n) == '.')
            n++;
    } else if (is_word(c)) {
        t.kind = TOKEN_WORD;
        while (is_word(peek(s, n)))
            n++;
    } else {
        t.kind = TOKEN_SIGN;
        while (c == '.' && n < 3 && peek(s, n) == '.')
            n++;
        if ((str_chr(S("=<>~"), c) != 4 && peek(s, 1) == '=') || (c == ':' && peek(s, 1) == ':'))
            n = 2;
    }
    t.text = str_make(s->all.p + s->at, n);
    s->at += n;
    return t;
}

static bool
is_sign(const struct token *t, const char *sign)
{
    return t->kind == TOKEN_SIGN && str_eq(t->text, str_c(sign));
}

static bool
is_one_of(const struct token *t, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (t->kind == TOKEN_WORD && str_eq(t->text, str_c(words[i])))
            return true;
    return false;
}

static const char *const keywords[] = { "and", "break", "do", "else", "elseif", "end", "false",
    "for", "function", "goto", "if", "in", "local", "nil", "not", "or", "repeat", "return", "then",
    "true", "until", "while" };

struct declared {
    struct str list[DECLARED_MOST];
    size_t count;
};

static bool
is_declared(const struct declared *d, struct str name)
{
    for (size_t i = 0; i < d->count; i++)
        if (str_eq(d->list[i], name))
            return true;
    return false;
}

/* The names after `local` and `for`, and in the brackets after `function`, wherever they hold. */
static void
collect_declared(struct str text, struct declared *d)
{
    static const char *const begins[] = { "local", "for", "function" };
    struct scan s = { .all = text };
    bool in_list = false;
    struct token t;

    do {
        t = next_token(&s);
        if (is_one_of(&t, begins, ARRAY_LEN(begins)))
            in_list = true;
        else if (in_list && t.kind == TOKEN_WORD && !is_one_of(&t, keywords, ARRAY_LEN(keywords))) {
            if (d->count < DECLARED_MOST)
                d->list[d->count++] = t.text;
        } else if (!is_sign(&t, ",") && !is_sign(&t, "("))
            in_list = false;
    } while (t.kind != TOKEN_END);
}

void
scan_names(struct str text,
    void (*fn)(void *arg, struct str name, struct str member, size_t offset), void *arg)
{
    struct scan s = { .all = text };
    struct declared declared = { .count = 0 };
    struct token last = { .kind = TOKEN_END };
    struct token t = next_token(&s);

    collect_declared(text, &declared);
    while (t.kind != TOKEN_END) {
        struct token next = next_token(&s);
        bool field = is_sign(&last, ".") || is_sign(&last, ":") || is_sign(&last, "::") ||
                     (is_sign(&next, "=") && (is_sign(&last, "{") || is_sign(&last, ","))) ||
                     (last.kind == TOKEN_WORD && str_eq(last.text, S("goto")));

        if (t.kind == TOKEN_WORD && !field && !is_one_of(&t, keywords, ARRAY_LEN(keywords)) &&
            !is_declared(&declared, t.text)) {
            struct scan ahead = s;
            struct token member = { .kind = TOKEN_END };

            if (is_sign(&next, ".") || is_sign(&next, "["))
                member = next_token(&ahead);
            bool named = member.kind == (is_sign(&next, ".") ? TOKEN_WORD : TOKEN_TEXT);
            fn(arg, t.text, named ? member.text : S(""), t.offset);
        }
        last = t;
        t = next;
    }
}

/* store.c - what all kinds of stores share: addresses, transactions, reasons. */
#include "store/store.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_scan.h"
#include "store/store_priv.h"

const char *
store_result_name(enum store_result r)
{
    static const char *const names[] = { "ok", "conflict", "away", "full", "bad" };

    return names[r];
}

void
store_setup(struct store *s, const struct store_kind *kind, struct str url, struct str name)
{
    s->kind = kind;
    s->url = str_dup_c(url);
    s->name = str_dup_c(name);
}

enum store_result
store_fail(struct store *s, enum store_result r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(s->why, sizeof(s->why), format, args);
    va_end(args);
    if (r != STORE_CONFLICT)
        s->trouble = r;
    return r;
}

enum store_result
store_lost(struct store *s)
{
    if (s->connected)
        s->kind->disconnect(s);
    s->connected = false;
    s->in_transaction = false;
    return STORE_AWAY;
}

static enum store_result
no_connection(struct store *s)
{
    if (s->why[0] != '\0')
        return STORE_AWAY;    /* why it was lost, or was never there */
    return store_fail(s, STORE_AWAY, "the store is not connected");
}

/* --- no store --- */

static enum store_result
off_connect(struct store *s)
{
    return store_fail(s, STORE_AWAY, "there is no store: store.url is off");
}

static void
off_close(struct store *s)
{
    free(s);
}

static const struct store_kind off_kind = { .connect = off_connect, .close = off_close };

/* --- addresses --- */

struct store *
store_open(struct str url, struct why why)
{
    if (str_eq(url, S("off"))) {
        struct store *s = check_alloc(calloc(1, sizeof(*s)));

        store_setup(s, &off_kind, url, url);
        (void)off_connect(s);
        return s;
    }
    if (str_starts(url, S("sqlite:")) && url.n > strlen("sqlite:"))
        return sqlite_open(str_skip(url, strlen("sqlite:")));
    if (str_starts(url, S("postgres://")) || str_starts(url, S("postgresql://"))) {
        struct store *s = postgres_open(url);

        if (s == NULL)    /* libpq says why, with the password */
            (void)why_say(why,
                "is not an address that libpq can read; write "
                "postgres://user:password@host:port/database?option=value, with special "
                "characters as %%XX");
        return s;
    }
    (void)why_say(why,
        "is not the address of a store; write sqlite:/path/to/file, postgres://user@host/database "
        "or off");
    return NULL;
}

void
store_close(struct store *s)
{
    if (s == NULL)
        return;
    (void)store_lost(s);
    explicit_bzero(s->url, strlen(s->url));
    free(s->url);
    free(s->name);
    free(s->clean_text);
    s->kind->close(s);
}

enum store_result
store_connect(struct store *s)
{
    if (s->connected)
        return STORE_OK;
    enum store_result r = s->kind->connect(s);
    s->connected = r == STORE_OK;
    if (s->connected)
        s->why[0] = '\0';
    if (s->connected && s->trouble == STORE_AWAY)
        s->trouble = STORE_OK;    /* what was full or bad may still be */
    return r;
}

void
store_disconnect(struct store *s)
{
    (void)store_lost(s);
}

bool
store_is_connected(const struct store *s)
{
    return s->connected;
}

/* --- statements --- */

static enum store_result
run(struct store *s, bool once, const char *sql, const struct store_value *args, size_t n,
    store_row_fn *row_fn, void *ctx)
{
    CHECK(n <= STORE_COLUMNS_MOST);
    if (!s->connected)
        return no_connection(s);
    s->changed = 0;
    enum store_result r = (once ? s->kind->run_once : s->kind->run)(s, sql, args, n, row_fn, ctx);
    if (r == STORE_OK && s->changed != 0 && !s->in_transaction)
        s->trouble = STORE_OK;
    return r;
}

enum store_result
store_run(struct store *s, const char *sql, const struct store_value *args, size_t n,
    store_row_fn *row_fn, void *ctx)
{
    return run(s, false, sql, args, n, row_fn, ctx);
}

enum store_result
store_run_once(struct store *s, const char *sql, const struct store_value *args, size_t n,
    store_row_fn *row_fn, void *ctx)
{
    return run(s, true, sql, args, n, row_fn, ctx);
}

enum store_result
store_batch(
    struct store *s, const char *sql, const struct store_value *rows, size_t n_rows, size_t n_args)
{
    CHECK(n_args <= STORE_COLUMNS_MOST);
    if (!s->connected)
        return no_connection(s);
    s->changed = 0;
    if (n_rows == 0)
        return STORE_OK;
    if (s->in_transaction)
        return s->kind->batch(s, sql, rows, n_rows, n_args);

    enum store_result r = store_begin(s);
    if (r != STORE_OK)
        return r;
    r = s->kind->batch(s, sql, rows, n_rows, n_args);
    uint64_t changed = s->changed;
    if (r == STORE_OK)
        r = store_commit(s);
    store_rollback(s);
    s->changed = r == STORE_OK ? changed : 0;
    return r;
}

enum store_result
store_script(struct store *s, const char *sql)
{
    return s->connected ? s->kind->script(s, sql) : no_connection(s);
}

static enum store_result
begin(struct store *s, bool reading)
{
    CHECK(!s->in_transaction);
    if (!s->connected)
        return no_connection(s);
    enum store_result r = s->kind->script(s, reading ? s->kind->begin_reading : s->kind->begin);
    s->in_transaction = r == STORE_OK;
    s->patient = reading;
    return r;
}

enum store_result
store_begin(struct store *s)
{
    return begin(s, false);
}

enum store_result
store_begin_reading(struct store *s)
{
    return begin(s, true);
}

enum store_result
store_commit(struct store *s)
{
    if (!s->connected)    /* lost on the way */
        return no_connection(s);
    CHECK(s->in_transaction);
    enum store_result r = s->kind->script(s, "COMMIT");
    if (r != STORE_OK) {
        store_rollback(s);
        return r;
    }
    s->in_transaction = false;
    s->trouble = STORE_OK;
    return r;
}

void
store_rollback(struct store *s)
{
    char why[sizeof(s->why)];

    if (!s->in_transaction)
        return;
    memcpy(why, s->why, sizeof(why));
    s->in_transaction = false;
    if (s->kind->script(s, "ROLLBACK") != STORE_OK)
        (void)store_lost(s);             /* which rolls back */
    memcpy(s->why, why, sizeof(why));    /* of what went wrong before */
}

/* --- facts --- */

enum store_result
store_trouble(const struct store *s)
{
    return s->trouble;
}

uint64_t
store_changed(const struct store *s)
{
    return s->changed;
}

const char *
store_why(const struct store *s)
{
    return s->why;
}

struct str
store_name(const struct store *s)
{
    return str_c(s->name);
}

bool
store_is_off(const struct store *s)
{
    return s->kind == &off_kind;
}

/* --- for the kinds --- */

struct store_statement *
store_statement(struct store_statements *t, const char *sql)
{
    size_t at = (size_t)(((uintptr_t)sql * 0x9e3779b97f4a7c15u) >> 40);

    CHECK(t->count < STORE_STATEMENTS_MOST / 2);    /* statements are literals */
    while (t->places[at % STORE_STATEMENTS_MOST].sql != sql &&
           t->places[at % STORE_STATEMENTS_MOST].sql != NULL)
        at++;
    return &t->places[at % STORE_STATEMENTS_MOST];
}

char *
store_dollars(const char *sql)
{
    char *text = str_dup_c(str_c(sql)), quote = '\0';

    for (char *c = text; *c != '\0'; c++) {
        if (quote == '\0' && (*c == '\'' || *c == '"'))
            quote = *c;
        else if (*c == quote)
            quote = '\0';
        else if (quote == '\0' && *c == '?' && str_is_digit(c[1]))
            *c = '$';
    }
    return text;
}

/* Bytes of the character at the start of `s`, as UTF-8 has it; 0 if it is none, or NUL, which
 * PostgreSQL does not take. */
static size_t
character(struct str s)
{
    if (s.p[0] > 0)
        return 1;
    return s.p[0] == 0 ? 0 : (size_t)MAX(json_utf8_step(s.p, s.p + s.n), 0);
}

static bool
is_clean(struct str s)
{
    size_t n;

    for (; s.n != 0; s = str_skip(s, n))
        if ((n = character(s)) == 0)
            return false;
    return true;
}

const struct store_value *
store_clean(struct store *s, const struct store_value *args, size_t n)
{
    size_t dirty = 0, bytes = 0;

    for (size_t i = 0; i < n; i++)
        if (args[i].type == STORE_TEXT && !is_clean(args[i].s)) {
            dirty++;
            bytes += args[i].s.n;
        }
    if (dirty == 0)
        return args;
    free(s->clean_text);
    char *to = s->clean_text = check_alloc(malloc(bytes));
    for (size_t i = 0; i < n; i++) {
        s->clean[i] = args[i];
        if (args[i].type != STORE_TEXT || is_clean(args[i].s))
            continue;
        s->clean[i].s.p = to;
        for (struct str rest = args[i].s; rest.n != 0;) {
            size_t good = character(rest);

            if (good == 0)
                *to = '?';
            else
                memcpy(to, rest.p, good);
            to += MAX(good, 1);
            rest = str_skip(rest, MAX(good, 1));
        }
    }
    return s->clean;
}

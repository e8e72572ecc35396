/* postgres.c - a store for many replicas.
 *
 * libpq connects (TLS, service files and lists of hosts are its business: of several, the one that can
 * be written), with a limit for each host. Afterwards every wait is ours, with a limit, so that a
 * server that went silent is noticed. Values travel in binary form; batches go as one pipeline.
 * libpq's words about an address that it cannot read repeat it with its password, so they are not
 * passed on.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <libpq-fe.h>

#include "base/buf.h"
#include "base/clock.h"
#include "store/store_priv.h"

#define CONNECT_S "3"              /* for each host */
#define USER_TIMEOUT_MS "10000"    /* what was sent is not acknowledged */
#define STATEMENT_S "30"           /* after which the server gives a statement up */
#define SILENCE_MS 35000           /* more than that */
#define LONG_SILENCE_MS 3600000    /* migrations, backups */
#define CHUNK_ROWS 2000u           /* of a batch, in libpq's buffer at once */

/* Types of columns that become something else than a text. */
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_NUMERIC = 1700
};

struct postgres {
    struct store store;
    PGconn *conn;
    struct store_statements statements;    /* their names are numbers from 1 */
    bool demoted;                          /* it is not the primary any more */
};

static struct postgres *
postgres_of(struct store *s)
{
    return CONTAINER_OF(s, struct postgres, store);
}

/* --- failures --- */

/* The first line of what libpq says. */
static struct str
first_line(const char *text)
{
    struct str line, rest;

    (void)str_cut(str_c(text), '\n', &line, &rest);
    return line.n != 0 ? line : S("no more is known");
}

static enum store_result
lost(struct postgres *p)
{
    struct str line = first_line(PQerrorMessage(p->conn));

    (void)store_fail(&p->store, STORE_AWAY, "%s: " STR_FMT, p->store.name, STR_ARG(line));
    return store_lost(&p->store);
}

static enum store_result
result_of(const char *state)
{
    static const struct {
        const char *state;    /* or its class, two characters */
        enum store_result r;
    } known[] = {
        { "23505", STORE_CONFLICT }, { "53100", STORE_FULL }, { "08", STORE_AWAY },
        { "53", STORE_AWAY },       /* no memory, no connections */
        { "57", STORE_AWAY },       /* shut down, starting up, cancelled */
        { "40", STORE_AWAY },       /* a deadlock */
        { "55P03", STORE_AWAY },    /* a lock */
        { "25006", STORE_AWAY },    /* not the primary any more */
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strncmp(state, known[i].state, strlen(known[i].state)) == 0)
            return known[i].r;
    return STORE_BAD;
}

/* Notes why a statement failed. */
static enum store_result
explain(struct postgres *p, const PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *said = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    if (state == NULL || PQstatus(p->conn) == CONNECTION_BAD)
        return STORE_AWAY;    /* the caller notices it, too */
    p->demoted = p->demoted || strcmp(state, "25006") == 0;
    return store_fail(
        &p->store, result_of(state), "%s (SQLSTATE %s)", said != NULL ? said : "failed", state);
}

/* --- waiting --- */

/* Sends what waits and reads what is there, until something can be taken. False: the connection is
 * lost, or silent for too long. */
static bool
pump(struct postgres *p)
{
    bool patient = p->store.in_transaction && p->store.patient;
    uint64_t end_ms = clock_now_ms() + (patient ? LONG_SILENCE_MS : SILENCE_MS);

    while (PQisBusy(p->conn)) {
        int left = PQflush(p->conn);
        if (left < 0)
            return false;
        struct pollfd fd = { .fd = PQsocket(p->conn),
            .events = (short)(POLLIN | (left != 0 ? POLLOUT : 0)) };
        uint64_t now = clock_now_ms();
        int n = now < end_ms ? poll(&fd, 1, (int)(end_ms - now)) : 0;

        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        if (n > 0 && (fd.revents & ~POLLOUT) != 0 && !PQconsumeInput(p->conn))
            return false;
    }
    return true;
}

/* The next result; NULL at the end of a statement, with *ret_lost if it is the end of all. */
static PGresult *
next_result(struct postgres *p, bool *ret_lost)
{
    if (!*ret_lost && !pump(p))
        *ret_lost = true;
    return *ret_lost ? NULL : PQgetResult(p->conn);
}

/* --- values --- */

static int64_t
big_endian(const char *from, int n)
{
    uint64_t v = from[0] < 0 ? UINT64_MAX : 0;

    for (int i = 0; i < n; i++)
        v = v << 8 | (unsigned char)from[i];
    return (int64_t)v;
}

/* The whole part of a decimal number, digits to the base of 10,000; sums of BIGINT are such. At most
 * what fits. */
static int64_t
numeric(const char *from, int bytes)
{
    enum { HEAD = 8, NEGATIVE = 0x4000 };
    int64_t v = 0;

    if (bytes < HEAD)
        return 0;
    int64_t digits = big_endian(from, 2), weight = big_endian(from + 2, 2);
    bool negative = big_endian(from + 4, 2) == NEGATIVE;

    for (int64_t i = 0; i <= weight; i++) {
        int64_t digit =
            i < digits && HEAD + 2 * i + 2 <= bytes ? big_endian(from + HEAD + 2 * i, 2) : 0;

        if (__builtin_mul_overflow(v, 10000, &v) ||
            __builtin_add_overflow(v, negative ? -digit : digit, &v))
            return negative ? INT64_MIN : INT64_MAX;
    }
    return v;
}

static struct store_value
column(const PGresult *res, int i)
{
    const char *from = PQgetvalue(res, 0, i);
    int n = PQgetlength(res, 0, i);

    if (PQgetisnull(res, 0, i))
        return store_null();
    switch (PQftype(res, i)) {
    case OID_BOOL:
        return store_i64(n == 1 && from[0] != 0);
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
        return store_i64(n == 2 || n == 4 || n == 8 ? big_endian(from, n) : 0);
    case OID_NUMERIC:
        return store_i64(numeric(from, n));
    case OID_BYTEA:
        return store_bytes(str_make(from, (size_t)n));
    default:
        return store_text(str_make(from, (size_t)n));
    }
}

/* Parameters as libpq takes them: numbers as text, whose type the server infers, and the rest as
 * bytes. */
struct postgres_args {
    const char *values[STORE_COLUMNS_MOST];
    int lengths[STORE_COLUMNS_MOST], binary[STORE_COLUMNS_MOST];
    char numbers[STORE_COLUMNS_MOST][24];
};

static void
set_parameters(struct postgres_args *to, const struct store_value *args, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct store_value *v = &args[i];

        to->lengths[i] = (int)v->s.n;
        to->binary[i] = v->type == STORE_TEXT || v->type == STORE_BYTES;
        to->values[i] = v->type == STORE_NULL ? NULL : v->s.n != 0 ? v->s.p : "";
        if (v->type != STORE_I64)
            continue;
        (void)snprintf(to->numbers[i], sizeof(to->numbers[i]), "%lld", (long long)v->i);
        to->values[i] = to->numbers[i];
    }
}

/* --- statements --- */

/* Takes the results of one statement. */
static enum store_result
take_results(struct postgres *p, store_row_fn *row_fn, void *ctx)
{
    struct store_value row[STORE_COLUMNS_MOST];
    enum store_result r = STORE_OK;
    bool is_lost = false;
    PGresult *res;

    while ((res = next_result(p, &is_lost)) != NULL) {
        ExecStatusType status = PQresultStatus(res);
        int columns = PQnfields(res);

        CHECK(columns <= STORE_COLUMNS_MOST);
        if (status == PGRES_FATAL_ERROR) {
            r = explain(p, res);
        } else if (status == PGRES_SINGLE_TUPLE && row_fn != NULL) {
            for (int i = 0; i < columns; i++)
                row[i] = column(res, i);
            row_fn(ctx, row, (size_t)columns);
        } else if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
            p->store.changed += strtoull(PQcmdTuples(res), NULL, 10);
        }
        PQclear(res);
    }
    if (is_lost || PQstatus(p->conn) == CONNECTION_BAD)
        return lost(p);
    return p->demoted ? store_lost(&p->store) : r;    /* another of the hosts is the primary */
}

/* Prepares it unless that is done; its name into `name`. */
static enum store_result
prepare(struct postgres *p, const char *sql, char name[24])
{
    struct store_statement *st = store_statement(&p->statements, sql);

    if (st->sql == sql) {
        (void)snprintf(name, 24, "s%u", st->number);
        return STORE_OK;
    }
    char *dollars = store_dollars(sql);
    (void)snprintf(name, 24, "s%u", p->statements.count + 1);
    bool sent = PQsendPrepare(p->conn, name, dollars, 0, NULL) == 1;

    free(dollars);
    enum store_result r = sent ? take_results(p, NULL, NULL) : lost(p);
    if (r == STORE_OK) {
        st->sql = sql;
        st->number = ++p->statements.count;
    }
    return r;
}

static bool
send_prepared(struct postgres *p, const char *name, const struct store_value *args, size_t n)
{
    struct postgres_args to UNINITIALIZED;

    set_parameters(&to, store_clean(&p->store, args, n), n);
    return PQsendQueryPrepared(p->conn, name, (int)n, to.values, to.lengths, to.binary, 1) == 1;
}

/* "SELECT ..." has changed nothing, though the server counts its rows. */
static bool
only_reads(const char *sql)
{
    return strncasecmp(sql, "SELECT", 6) == 0;
}

static enum store_result
postgres_run(struct store *s, const char *sql, const struct store_value *args, size_t n,
    store_row_fn *row_fn, void *ctx)
{
    struct postgres *p = postgres_of(s);
    char name[24];
    enum store_result r = prepare(p, sql, name);

    if (r != STORE_OK)
        return r;
    if (!send_prepared(p, name, args, n))
        return lost(p);
    (void)PQsetSingleRowMode(p->conn);
    r = take_results(p, row_fn, ctx);
    if (only_reads(sql))
        s->changed = 0;
    return r;
}

static enum store_result
postgres_run_once(struct store *s, const char *sql, const struct store_value *args, size_t n,
    store_row_fn *row_fn, void *ctx)
{
    struct postgres *p = postgres_of(s);
    struct postgres_args to UNINITIALIZED;
    char *dollars = store_dollars(sql);

    set_parameters(&to, store_clean(s, args, n), n);
    bool sent =
        PQsendQueryParams(p->conn, dollars, (int)n, NULL, to.values, to.lengths, to.binary, 1) == 1;
    free(dollars);
    if (!sent)
        return lost(p);
    (void)PQsetSingleRowMode(p->conn);
    enum store_result r = take_results(p, row_fn, ctx);
    if (only_reads(sql))
        s->changed = 0;
    return r;
}

/* Takes the results of `n` statements of a pipeline, and the end of it. */
static enum store_result
take_pipeline(struct postgres *p, size_t n)
{
    enum store_result r = STORE_OK;
    bool is_lost = false, synced = false;

    for (size_t i = 0; i <= n && !is_lost && !synced; i++) {
        PGresult *res;

        while ((res = next_result(p, &is_lost)) != NULL) {
            ExecStatusType status = PQresultStatus(res);

            if (status == PGRES_FATAL_ERROR && r == STORE_OK)
                r = explain(p, res);
            else if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
                p->store.changed += strtoull(PQcmdTuples(res), NULL, 10);
            synced = status == PGRES_PIPELINE_SYNC;
            PQclear(res);
            if (synced)
                break;    /* no NULL follows it */
        }
    }
    if (is_lost || PQstatus(p->conn) == CONNECTION_BAD || !PQexitPipelineMode(p->conn))
        return lost(p);
    return p->demoted ? store_lost(&p->store) : r;
}

static enum store_result
postgres_batch(
    struct store *s, const char *sql, const struct store_value *rows, size_t n_rows, size_t n_args)
{
    struct postgres *p = postgres_of(s);
    char name[24];
    enum store_result r = prepare(p, sql, name);

    for (size_t at = 0, n; at < n_rows && r == STORE_OK; at += n) {
        bool sent = PQenterPipelineMode(p->conn) == 1;

        n = MIN(n_rows - at, CHUNK_ROWS);
        for (size_t i = 0; i < n && sent; i++)
            sent = send_prepared(p, name, rows + (at + i) * n_args, n_args);
        r = sent && PQpipelineSync(p->conn) == 1 ? take_pipeline(p, n) : lost(p);
    }
    return r;
}

static enum store_result
postgres_script(struct store *s, const char *sql)
{
    struct postgres *p = postgres_of(s);

    return PQsendQuery(p->conn, sql) == 1 ? take_results(p, NULL, NULL) : lost(p);
}

/* --- the connection --- */

static void
postgres_disconnect(struct store *s)
{
    struct postgres *p = postgres_of(s);

    PQfinish(p->conn);
    p->conn = NULL;
    memset(&p->statements, 0, sizeof(p->statements));
    p->demoted = false;
}

static void
no_notices(void *arg UNUSED, const char *message UNUSED)
{
}

static enum store_result
postgres_connect(struct store *s)
{
    /* what the address says comes later and counts */
    const char *const names[] = { "connect_timeout", "tcp_user_timeout", "keepalives_idle",
        "target_session_attrs", "fallback_application_name", "client_encoding", "dbname", NULL };
    const char *const values[] = { CONNECT_S, USER_TIMEOUT_MS, "30", "read-write", "openclaw",
        "UTF8", s->url, NULL };
    struct postgres *p = postgres_of(s);

    p->conn = PQconnectdbParams(names, values, 1);
    CHECK(p->conn != NULL);
    (void)PQsetNoticeProcessor(p->conn, no_notices, NULL);
    if (PQstatus(p->conn) != CONNECTION_OK || PQsetnonblocking(p->conn, 1) != 0) {
        struct str line = first_line(PQerrorMessage(p->conn));

        (void)store_fail(s, STORE_AWAY, "%s: " STR_FMT, s->name, STR_ARG(line));
        postgres_disconnect(s);
        return STORE_AWAY;
    }
    s->connected = true;    /* so that a failure from here on closes it */
    return postgres_script(s,
        "SET statement_timeout = '" STATEMENT_S "s'; SET lock_timeout = '20s'; "
        "SET idle_in_transaction_session_timeout = '60s'");
}

static void
postgres_close(struct store *s)
{
    free(postgres_of(s));
}

static const struct store_kind postgres_kind = {
    .connect = postgres_connect,
    .disconnect = postgres_disconnect,
    .run = postgres_run,
    .run_once = postgres_run_once,
    .batch = postgres_batch,
    .script = postgres_script,
    .close = postgres_close,
    .begin = "BEGIN",
    .begin_reading =
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0",
    .columns =
        "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass(?1) AND attnum > 0 "
        "AND NOT attisdropped ORDER BY attnum",
    .lock_migrations =
        "SELECT set_config('statement_timeout', '0', true), pg_advisory_xact_lock(6733127)",
};

/* Adds what an address has under that name. */
static void
add_part(struct buf *b, const PQconninfoOption *o, const char *before, const char *name)
{
    for (; o->keyword != NULL; o++)
        if (strcmp(o->keyword, name) == 0 && o->val != NULL && o->val[0] != '\0')
            buf_printf(b, "%s%s", before, o->val);
}

struct store *
postgres_open(struct str url)
{
    char *text = str_dup_c(url);
    PQconninfoOption *options = PQconninfoParse(text, NULL);
    struct buf name;

    explicit_bzero(text, url.n);
    free(text);
    if (options == NULL)
        return NULL;
    struct postgres *p = check_alloc(calloc(1, sizeof(*p)));
    buf_init(&name, 512);
    buf_add(&name, S("postgres://"));
    add_part(&name, options, "", "host");
    add_part(&name, options, ":", "port");
    add_part(&name, options, "/", "dbname");
    store_setup(&p->store, &postgres_kind, url, buf_str(&name));
    buf_fini(&name);
    PQconninfoFree(options);
    return &p->store;
}

/* log.c - formats lines of the error log, suppresses repeats, and hands lines to the log's file.
 *
 * Lines with the same format, level, provider, error and subject are counted. From the sixth
 * within ten seconds they are suppressed, and a summary line gives their number. Debug lines are
 * never suppressed.
 */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"

enum {
    MESSAGE_MAX = 4096,
    LINE_MAX_BYTES = 64 * 1024,
    REPEATS_MAX = 5,
    REPEAT_WINDOW_MS = 10000,
    TOPICS = 256,
    TOPIC_WAYS = 4,    /* rows per set of the table */
    TOPIC_TEXT = 200,
    TOPIC_NAME = 64,
};

static const char *const level_names[] = { "debug", "info", "warn", "error" };
static const char *const level_marks[] = { "DEBUG", "INFO ", "WARN ", "ERROR" };

/* A message about one provider, error and subject, and how often it was logged recently. */
struct topic {
    uint64_t key;    /* 0: the row is free */
    enum log_level level;
    uint64_t since_ms;
    uint64_t count;
    char text[TOPIC_TEXT];    /* the beginning of the last suppressed message */
    char provider[TOPIC_NAME];
    char error[TOPIC_NAME];
    char subject[TOPIC_NAME];
};

static _Atomic int least_level = LOG_INFO;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;    /* guards the rest */
static struct log_file *sink;                               /* NULL: standard error */
static bool as_json;
static struct topic topics[TOPICS];
static uint64_t due_ms = UINT64_MAX;    /* earliest time a summary can be due */

bool
log_level_named(struct str name, enum log_level *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (str_eq(name, str_c(level_names[i]))) {
            *ret = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool
log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

void
log_add_visible(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool c1 = c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0;

        if (c < 0x20 || c == 0x7f || c1)
            buf_printf(b, "\\x%02x", c);
        else
            buf_add_c(b, (char)c);
        if (c1)
            buf_printf(b, "\\x%02x", (unsigned char)s.p[++i]);
    }
}

/* Everything from here to log_write() is called with the lock held. */

static void
add_text(struct buf *b, struct str s)
{
    if (as_json)
        json_add_str(b, s);
    else
        log_add_visible(b, s);
}

static void
add_field(struct buf *b, const char *name, struct str value)
{
    if (value.n == 0)
        return;
    buf_printf(b, as_json ? ",\"%s\":" : "  %s=", name);
    add_text(b, value);
}

static void
add_line(struct buf *b, enum log_level level, const struct log_context *who, struct str message)
{
    char stamp[CLOCK_STAMP_ROOM];
    struct str now = clock_stamp(clock_wall_ms(), stamp);

    if (as_json)
        buf_printf(b, "{\"ts\":\"" STR_FMT "\",\"level\":\"%s\",\"msg\":", STR_ARG(now),
            level_names[level]);
    else
        buf_printf(b, STR_FMT " %s ", STR_ARG(now), level_marks[level]);
    add_text(b, message);
    add_field(b, "request_id", who->request_id);
    add_field(b, "provider", who->provider);
    add_field(b, "model_requested", who->model_requested);
    add_field(b, "model", who->model);
    if (who->attempt != 0)
        buf_printf(b, as_json ? ",\"attempt\":%u" : "  attempt=%u", who->attempt);
    add_field(b, "error", who->error);
    add_field(b, "subject", who->subject);
    buf_add(b, as_json ? S("}\n") : S("\n"));
}

/* Writes to standard error, used before the log is started and after it is stopped. */
static void
write_stderr(struct str line)
{
    while (line.n != 0) {
        ssize_t n = write(STDERR_FILENO, line.p, line.n);

        if (n <= 0 && errno != EINTR)
            return;
        line = str_skip(line, n > 0 ? (size_t)n : 0);
    }
}

static void
emit(enum log_level level, const struct log_context *who, struct str message)
{
    struct buf b;

    buf_init(&b, LINE_MAX_BYTES);
    add_line(&b, level, who, message);

    /* Contexts are short and messages truncated, so an overflow means out of memory: drop the
     * line. */
    if (!b.overflow && sink != NULL)
        (void)log_file_write(sink, buf_str(&b));    /* counts what it drops */
    else if (!b.overflow)
        write_stderr(buf_str(&b));
    buf_fini(&b);
}

/* Writes the summary line, if anything was suppressed, and frees the row. */
static void
sum_up(struct topic *t)
{
    struct log_context who = {
        .provider = str_c(t->provider), .error = str_c(t->error), .subject = str_c(t->subject)
    };
    char message[TOPIC_TEXT + 64];

    if (t->count > REPEATS_MAX) {
        int n = snprintf(message, sizeof(message), "%s ... repeated %" PRIu64 " more times",
            t->text, t->count - REPEATS_MAX);
        emit(t->level, &who, str_make(message, (size_t)n));
    }
    *t = (struct topic){ 0 };
}

/* Summarises topics whose window has ended, or all of them. */
static void
sum_up_all(uint64_t now_ms, bool due_only)
{
    if (due_only && now_ms < due_ms)
        return;
    due_ms = UINT64_MAX;
    for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
        struct topic *t = &topics[i];

        if (t->key != 0 && (!due_only || now_ms - t->since_ms >= REPEAT_WINDOW_MS))
            sum_up(t);
        if (t->key != 0)
            due_ms = MIN(due_ms, t->since_ms + REPEAT_WINDOW_MS);
    }
}

static uint64_t
topic_key(enum log_level level, const char *format, const struct log_context *who)
{
    const struct str names[] = { who->provider, who->error, who->subject };
    uint64_t key = hash_mix((uint64_t)(uintptr_t)format ^ HASH_WORD, (uint64_t)level + HASH_LAST);

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        for (size_t k = 0; k < names[i].n; k++)
            key = hash_mix(key ^ (unsigned char)names[i].p[k], HASH_WORD);
        key = hash_mix(key ^ names[i].n, HASH_LAST);
    }
    return key | 1;
}

/* The topic's row: its own, a free one, or the oldest in its set. */
static struct topic *
topic_find(uint64_t key)
{
    struct topic *set = &topics[(key >> 32) % (TOPICS / TOPIC_WAYS) * TOPIC_WAYS];
    struct topic *found = set;

    for (size_t i = 0; i < TOPIC_WAYS; i++)
        if (set[i].key == key)
            return &set[i];
    for (size_t i = 1; i < TOPIC_WAYS; i++)
        if (found->key != 0 && (set[i].key == 0 || set[i].since_ms < found->since_ms))
            found = &set[i];
    return found;
}

/* Counts a line. True when it must be suppressed. */
static bool
is_repeat(
    enum log_level level, const char *format, const struct log_context *who, struct str message)
{
    uint64_t key = topic_key(level, format, who);
    struct topic *t = topic_find(key);

    if (t->key != key) {
        sum_up(t);
        t->key = key;
        t->level = level;
        t->since_ms = clock_now_ms();
        due_ms = MIN(due_ms, t->since_ms + REPEAT_WINDOW_MS);
        str_copy_c(t->provider, sizeof(t->provider), who->provider);
        str_copy_c(t->error, sizeof(t->error), who->error);
        str_copy_c(t->subject, sizeof(t->subject), who->subject);
    }
    if (++t->count <= REPEATS_MAX)
        return false;
    str_copy_c(t->text, sizeof(t->text), message);
    return true;
}

static const struct log_context process;    /* the context of messages without one */

void
log_write(enum log_level level, const struct log_context *who, const char *format, ...)
{
    char text[MESSAGE_MAX];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    CHECK(n >= 0);
    struct str message = str_make(text, MIN((size_t)n, sizeof(text) - 1));

    if (who == NULL)
        who = &process;
    (void)pthread_mutex_lock(&lock);
    sum_up_all(clock_now_ms(), true);
    if (level == LOG_DEBUG || !is_repeat(level, format, who, message))
        emit(level, who, message);
    (void)pthread_mutex_unlock(&lock);
}

void
log_line(enum log_level level, struct str message)
{
    if (!log_enabled(level))
        return;
    (void)pthread_mutex_lock(&lock);
    emit(level, &process, str_make(message.p, MIN(message.n, MESSAGE_MAX - 1)));
    (void)pthread_mutex_unlock(&lock);
}

void
log_sum_up(void)
{
    (void)pthread_mutex_lock(&lock);
    sum_up_all(clock_now_ms(), true);
    (void)pthread_mutex_unlock(&lock);
}

void
log_start(struct log_file *f, enum log_level least, bool json)
{
    (void)pthread_mutex_lock(&lock);
    sum_up_all(0, false);
    sink = f;
    as_json = json;
    (void)pthread_mutex_unlock(&lock);
    atomic_store_explicit(&least_level, (int)least, memory_order_relaxed);
}

void
log_stop(void)
{
    log_start(NULL, LOG_INFO, false);
}

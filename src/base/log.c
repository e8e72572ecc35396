/* log.c - a line of the error log: put together, kept from repeating itself, handed to its file.
 *
 * Lines that come from the same place in the code (the same format and level) are
 * counted. From the sixth within ten seconds on they are swallowed, and a summary
 * says how many there were. Debug lines are never swallowed: who turns them on
 * wants them all.
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
#include "base/json.h"

enum {
    MESSAGE_MAX = 4096,
    LINE_MAX_BYTES = 64 * 1024,
    REPEATS_MAX = 5,
    REPEAT_WINDOW_MS = 10000,
    PLACES = 64,
    PLACE_TEXT = 200,
};

static const char *const level_names[] = { "debug", "info", "warn", "error" };
static const char *const level_marks[] = { "DEBUG", "INFO ", "WARN ", "ERROR" };

/* A place in the code that logs, and how often it did of late. */
struct place {
    const char *format;
    enum log_level level;
    uint64_t since_ms;
    uint64_t count;
    char text[PLACE_TEXT];    /* the beginning of the last message that was swallowed */
};

static _Atomic int least_level = LOG_INFO;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;    /* guards the rest */
static struct log_file *sink;                               /* NULL: standard error */
static bool as_json;
static struct place places[PLACES];

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

/* A line, for machines or for people. Called with the lock, as everything up to log_write(). */

/* Text for a terminal: nothing in it moves the cursor, changes colours or starts a new line. */
static void
add_visible(struct buf *b, struct str s)
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

static void
add_text(struct buf *b, struct str s)
{
    if (as_json)
        json_add_str(b, s);
    else
        add_visible(b, s);
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
    add_field(b, "model", who->model);
    if (who->attempt != 0)
        buf_printf(b, as_json ? ",\"attempt\":%u" : "  attempt=%u", who->attempt);
    buf_add(b, as_json ? S("}\n") : S("\n"));
}

/* Straight to standard error, for what is logged while there is no log. */
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
    static const struct log_context process;
    struct buf b;

    buf_init(&b, LINE_MAX_BYTES);
    if (who == NULL)
        who = &process;
    add_line(&b, level, who, message);

    /* Contexts are short and messages cut: an overflow is memory running out, and no line. */
    if (!b.overflow && sink != NULL)
        (void)log_file_write(sink, buf_str(&b));    /* counts what it drops */
    else if (!b.overflow)
        write_stderr(buf_str(&b));
    buf_fini(&b);
}

/* Says how many were swallowed, and starts a new count. */
static void
sum_up(struct place *p)
{
    char message[PLACE_TEXT + 64];

    if (p->count > REPEATS_MAX) {
        int n = snprintf(message, sizeof(message), "%s ... repeated %" PRIu64 " more times",
            p->text, p->count - REPEATS_MAX);
        emit(p->level, NULL, str_make(message, (size_t)n));
    }
    *p = (struct place){ 0 };
}

static void
sum_up_all(uint64_t now_ms, bool due_only)
{
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct place *p = &places[i];

        if (p->format != NULL && (!due_only || now_ms - p->since_ms >= REPEAT_WINDOW_MS))
            sum_up(p);
    }
}

/* Counts a line from this place. True when it was one too many and is to be swallowed. */
static bool
is_repeat(enum log_level level, const char *format, struct str message)
{
    struct place *p = &places[((uintptr_t)format >> 3 ^ (uintptr_t)format >> 9) % PLACES];

    if (p->format != format || p->level != level) {
        sum_up(p);    /* two places that share a row take turns */
        p->format = format;
        p->level = level;
        p->since_ms = clock_now_ms();
    }
    if (++p->count <= REPEATS_MAX)
        return false;
    str_copy_c(p->text, sizeof(p->text), message);
    return true;
}

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

    (void)pthread_mutex_lock(&lock);
    sum_up_all(clock_now_ms(), true);
    if (level == LOG_DEBUG || !is_repeat(level, format, message))
        emit(level, who, message);
    (void)pthread_mutex_unlock(&lock);
}

void
log_line(enum log_level level, struct str message)
{
    if (!log_enabled(level))
        return;
    (void)pthread_mutex_lock(&lock);
    emit(level, NULL, str_make(message.p, MIN(message.n, MESSAGE_MAX - 1)));
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

/* log.h - the error log: one JSON object a line, for machines; readable lines on a terminal.
 *
 * Writing never blocks a loop: lines go to a bounded queue that the log's own
 * thread drains; what does not fit is dropped and counted. A message that
 * repeats is written a few times, then counted and summed up. Untrusted bytes are
 * escaped. Never give it a secret.
 */
#pragma once

#include "base/base.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* What a message is about; a zeroed struct means the process itself. Repeats are counted separately
 * for each message, provider, error and subject, so one provider's failures never hide
 * another's. */
struct log_context {
    struct str request_id;
    struct str provider;
    struct str model_requested;    /* as the caller named it */
    struct str model;              /* as sent to the provider */
    unsigned attempt;              /* 0: none */
    struct str error;              /* a code of err.def */
    struct str subject;            /* anything else: a listener, an address, a file */
};

/* A file that lines are appended to by one background thread: the error log and the access log.
 * `path`: "stdout", "stderr", or a file opened for append (and again after log_file_reopen()). */
struct log_file;

/* NULL when the file cannot be opened; then errno says why. `queue_bytes` bounds what waits. */
struct log_file *log_file_open(const char *path, size_t queue_bytes);

/* Writes what is queued, waits for it (at most a second), closes. NULL is a no-op. */
void log_file_close(struct log_file *f);

/* Queues whole lines (the caller ends them with '\n'). Thread-safe, never blocks on the disk.
 * False when the queue was full: dropped and counted. */
bool log_file_write(struct log_file *f, struct str lines);

/* Reopens the path, after rotation. On failure returns false with errno set and keeps using the old
 * file. */
bool log_file_reopen(struct log_file *f) MUST_CHECK;

/* Is the file a terminal? Determined when it is opened. */
bool log_file_is_terminal(const struct log_file *f);

/* Appends untrusted text with control characters escaped, so that it cannot move a terminal's
 * cursor, change colours or start a new line. */
struct buf;
void log_add_visible(struct buf *b, struct str s);

/* The path as it was given. */
const char *log_file_path(const struct log_file *f) NEVER_NULL;

/* Lines dropped because the queue was full or the disk refused them. */
uint64_t log_file_dropped(const struct log_file *f);

/* The process-wide error log. Before log_start() and after log_stop() lines go straight to standard
 * error, in the readable form. The file stays the caller's, who closes it after log_stop(). May be
 * called again with different settings. */
void log_start(struct log_file *f, enum log_level least, bool json);
void log_stop(void);

/* Writes the summaries of repeated messages that are due, as any log_write() does: for a timer, so
 * that the last summary does not wait for the next message. */
void log_sum_up(void);
bool log_level_named(struct str name, enum log_level *ret);

bool log_enabled(enum log_level level);
void log_write(enum log_level level, const struct log_context *who, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* One line that is never counted as a repeat: for one report that takes several lines. */
void log_line(enum log_level level, struct str message);

/* The format's arguments are evaluated only when the level is on. */
#define log_at(level, who, ...)                                                                    \
    do {                                                                                           \
        if (log_enabled(level))                                                                    \
            log_write((level), (who), __VA_ARGS__);                                                \
    } while (0)
#define log_debug(who, ...) log_at(LOG_DEBUG, who, __VA_ARGS__)
#define log_info(who, ...) log_at(LOG_INFO, who, __VA_ARGS__)
#define log_warn(who, ...) log_at(LOG_WARN, who, __VA_ARGS__)
#define log_error(who, ...) log_at(LOG_ERROR, who, __VA_ARGS__)

/* value.h - converts a scalar of the file to a text, a time, a size or a number.
 *
 * Error messages continue a sentence that begins with the setting's name, and never contain the
 * value.
 */
#pragma once

#include "conf/conf.h"

#define VALUE_BYTES_MAX (64 * 1024)

/* Replaces ${NAME}, ${NAME:-default} and $$; where `ret_file` is not NULL (of secrets) a text
 * "file:/path" becomes the contents of that file, and *ret_file is its path, also when it cannot
 * be read; else it is empty. Returns NULL and sets *ret, in `a` and followed by a NUL, or an
 * error message. */
const char *value_resolve(struct arena *a, struct str raw, struct str *ret_file, struct str *ret);

/* "500ms", "10s", "5m", "1h" as milliseconds; "32MB", "64KB", "1GB" or plain bytes. False:
   invalid. */
bool value_duration(struct str v, uint64_t *ret_ms);
bool value_size(struct str v, uint64_t *ret_bytes);

/* "0.25", "-1.5", or "5%" for 0.05, in billionths; up to nine digits before the point, and after it.
 * False: invalid. */
bool value_decimal(struct str v, int64_t *ret_billionths);

/* Writes the value in the largest exact unit. */
struct str value_duration_text(struct arena *a, uint64_t ms);
struct str value_size_text(struct arena *a, uint64_t bytes);

/* secret.h - detects a secret in text that is about to be shown, however it is encoded.
 *
 * Providers echo keys: verbatim, in another case, escaped for JSON, HTML or a URL, in
 * hexadecimal or base64, broken over lines. Secrets and text are therefore compared in a
 * canonical form: escapes are decoded (nested ones too), letters are lower case, and everything but
 * ASCII letters and digits is removed. One pass over the text, a few instructions per byte, no
 * allocation; the state of a pass is small and may be kept between the pieces of a stream.
 *
 * Found are: a whole secret of at least SECRET_LEAST_BYTES; of one with 16
 * or more canonical characters also its first 16, its last 16, and any 23 consecutive ones; of a
 * long random one also its last 8. The same holds for its hexadecimal and base64 forms.
 */
#pragma once

#include "base/base.h"

#define SECRET_LEAST_BYTES 8    /* a shorter value is a word like any other */

/* The secrets of one configuration. Immutable once filled. */
struct secrets;

struct secrets *secrets_create(void) NEVER_NULL;
void secrets_destroy(struct secrets *s);

/* Adds the value of a header field. A scheme such as "Bearer" is skipped; for "Basic" the password
 * is added as well. Values shorter than SECRET_LEAST_BYTES are ignored. */
void secrets_add(struct secrets *s, struct str value);

/* Adds the values of complete field lines ("Name: value\r\n"). */
void secrets_add_lines(struct secrets *s, struct str lines);

#define SECRET_LAYERS 3         /* levels of nested escapes that are decoded */
#define SECRET_ESCAPE_MAX 12    /* longest escape: "&#x0000073;" */

/* `more` and `s` together, for a scan; both outlive it. Nothing may be added to it. */
struct arena;
const struct secrets *secrets_join(
    struct arena *a, const struct secrets *s, const struct secrets *more) NEVER_NULL;

/* The state of a scan. Zeroed before the first piece. */
struct secret_scan {
    uint64_t high, low;    /* the last 16 canonical characters */
    unsigned held;         /* bytes in `layers`, together */
    struct secret_layer {
        uint8_t n;
        char escape[SECRET_ESCAPE_MAX];    /* an incomplete escape sequence */
    } layers[SECRET_LAYERS];
};

/* Scans the next piece. True when a secret ends in it: the text must not be shown. With
 * `random_only`, secrets that look like ordinary words are ignored. */
bool secrets_scan(
    const struct secrets *s, struct secret_scan *at, struct str piece, bool random_only) MUST_CHECK;

/* Does the text so far end with what may be the beginning (at least 4 characters) of a secret? May
 * give false positives. */
bool secrets_scan_pending(const struct secrets *s, const struct secret_scan *at) MUST_CHECK;

/* Is a secret in this text? */
bool secrets_in(const struct secrets *s, struct str text) MUST_CHECK;

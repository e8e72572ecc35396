/* secret.h - finds a secret in text that is about to be shown, however the text spells it.
 *
 * Providers quote keys back: as they are, in another case, escaped for JSON, HTML or a URL, in
 * hexadecimal or base64, broken over lines. Secrets and text are therefore compared in one
 * reduced form: escapes are decoded (nested ones too), letters are lower case, and everything but
 * ASCII letters and digits is left out. One pass over the text, a few instructions per byte, no
 * allocation; the state of a pass is small and may be kept between the pieces of a stream.
 *
 * Found are: a whole secret of at least SECRET_LEAST_BYTES; of one that is 16 characters or longer
 * in the reduced form also its first 16 and its last 16, and any 23 that follow each other; of a
 * long random one its last 8. The same holds for its hexadecimal and base64 forms.
 */
#pragma once

#include "base/base.h"

#define SECRET_LEAST_BYTES 8    /* a shorter value is a word like any other */

/* The secrets of one configuration. Immutable once filled. */
struct secrets;

struct secrets *secrets_create(void) NEVER_NULL;
void secrets_destroy(struct secrets *s);

/* Adds the value of a header field; the scheme of "Bearer KEY" is left aside, and the password of
 * "Basic ..." is added as well. Values that are too short to tell from a word are ignored. */
void secrets_add(struct secrets *s, struct str value);

/* Adds the values of complete field lines ("Name: value\r\n"). */
void secrets_add_lines(struct secrets *s, struct str lines);

#define SECRET_LAYERS 3         /* escapes within escapes that are decoded */
#define SECRET_ESCAPE_MAX 12    /* longest escape: "&#x0000073;" */

/* How far a pass has come. Zeroed before the first piece. */
struct secret_scan {
    uint64_t high, low;    /* the last 16 characters of the reduced form */
    unsigned held;         /* bytes in `layers`, together */
    struct secret_layer {
        uint8_t n;
        char escape[SECRET_ESCAPE_MAX];    /* the beginning of what may become an escape */
    } layers[SECRET_LAYERS];
};

/* Reads the next piece. True when a secret ends in it: the text must not be shown. With
 * `random_only` secrets that look like ordinary words do not count. */
bool secrets_scan(
    const struct secrets *s, struct secret_scan *at, struct str piece, bool random_only) MUST_CHECK;

/* May the next piece complete a secret whose beginning ends here? At least 4 of its characters have
 * been read then; a false alarm is possible. */
bool secrets_scan_pending(const struct secrets *s, const struct secret_scan *at) MUST_CHECK;

/* Is a secret in this text? */
bool secrets_in(const struct secrets *s, struct str text) MUST_CHECK;

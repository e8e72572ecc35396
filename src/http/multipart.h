/* multipart.h - one small field of a form (multipart/form-data, RFC 7578), found in place.
 *
 * Forms carry files of any size, so nothing is copied. The gateway decides by that field what may
 * be sent on, so a form that two parsers could read differently is refused: its structure is read
 * as strictly as a message head.
 */
#pragma once

#include "base/base.h"

enum multipart_found { MULTIPART_NONE, MULTIPART_ONE, MULTIPART_UNCLEAR };

/* Looks for the field `name` (lower-case ASCII). MULTIPART_ONE: *ret_value is its content, a slice
 * of `body`. MULTIPART_UNCLEAR: some parser could see another value, or the form is malformed;
 * *ret_why (a literal) says what is wrong. In that case, and for MULTIPART_NONE, *ret_value is
 * unchanged. */
enum multipart_found multipart_find(struct str content_type, struct str body, struct str name,
    struct str *ret_value, const char **ret_why);

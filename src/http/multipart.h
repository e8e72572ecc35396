/* multipart.h - one small field of a form (multipart/form-data, RFC 7578), found in place.
 *
 * Forms carry files of any size; nothing is copied, and nothing but the field asked for is
 * understood. What two readers could read in two ways is said to be so, because the caller of this
 * decides by the field what may be sent on.
 */
#pragma once

#include "base/base.h"

enum multipart_found { MULTIPART_NONE, MULTIPART_ONE, MULTIPART_UNCLEAR };

/* Looks for the field `name`. MULTIPART_ONE: *ret_value is its content, a slice of `body`.
 * MULTIPART_UNCLEAR: it is there more than once, or a part's head could mean it in some readers'
 * eyes; or the form is malformed. Then, as with MULTIPART_NONE, *ret_value stays as it was. */
enum multipart_found multipart_find(
    struct str content_type, struct str body, struct str name, struct str *ret_value);

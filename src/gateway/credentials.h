/* credentials.h - credentials of clouds for attempts: at hand, or waited for.
 *
 * They are fetched before they expire, so that an attempt finds one. It waits where there is none:
 * after a start, and after a time in which they could not be fetched.
 */
#pragma once

#include "gateway/attempt.h"

/* Has the attempt, whose request is about to be written, a credential of its provider's identity, or
 * the reason why there is none (`unfit`)? If not, the exchange is woken when it should ask again. */
bool credentials_ready(struct exchange *x, struct attempt *a);

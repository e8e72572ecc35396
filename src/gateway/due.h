/* due.h - what happens to an attempt if nothing else does, and when. */
#pragma once

#include "gateway/attempt.h"

enum due_action {
    DUE_FAILURE,      /* it has failed: `why` */
    DUE_REFUSAL,      /* no more of the provider's explanation comes */
    DUE_END,          /* no more of the framing comes, but the answer is complete */
    DUE_HEDGE,        /* another target may be asked beside it */
    DUE_SLOW,         /* another target should be asked beside it */
    DUE_KEEPALIVE,    /* the caller of a stream should hear something */
};

struct due {
    uint64_t at_us;    /* UINT64_MAX: nothing is due */
    enum due_action action;
    enum err why;
    bool hurried;    /* the caller's own limit */
};

/* The earliest, of an attempt that waits for its provider. */
struct due attempt_due(const struct attempt *a);

/* Has its deadline passed? */
bool attempt_is_late(const struct attempt *a, uint64_t now_us);

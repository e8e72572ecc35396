/* err.h - the closed set of errors, one row each in err.def.
 *
 * A row has the error's name, whose fault it is, its HTTP status, whether the caller should retry,
 * and one sentence for humans. What protocols call it is known in wires/ only, what the gateway
 * tries next in route/failure.def. Lower layers return an enum err; the gateway reports it once.
 */
#pragma once

#include "base/base.h"

enum err {
#define ERR(name, ...) name,
#include "base/err.def"
#undef ERR
    ERR_COUNT
};

enum err_fault {
    FAULT_NONE,
    FAULT_CALLER,      /* the request must be changed, or there are too many of them */
    FAULT_PROVIDER,    /* the provider or the network path to it; also its limits */
    FAULT_GATEWAY,     /* the gateway: configuration, capacity, a bug */
};

/* Whether the same request may succeed later, for the x-should-retry field. Without it SDKs decide
 * by the status alone and retry requests that cannot succeed. */
enum err_retry { NO_RETRY, RETRY };

struct err_row {
    const char *name;    /* "ERR_UPSTREAM_TIMEOUT" */
    const char *code;    /* stable machine code: "upstream_timeout" */
    int status;          /* HTTP status to the caller */
    enum err_fault fault;
    bool retry;
    const char *sentence;
};

/* Never NULL; `e` must be a valid value. */
const struct err_row *err_row(enum err e) NEVER_NULL;

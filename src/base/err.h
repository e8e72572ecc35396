/* err.h - the closed set of things that can go wrong, one row each in err.def.
 *
 * A row says what the failure is called, whose fault it is, what HTTP status
 * and error type each caller protocol gives it, whether another attempt may
 * help, and one sentence for humans. Lower floors return an enum err; the
 * gateway reports it once.
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
    FAULT_CALLER,      /* the request cannot succeed as it is */
    FAULT_PROVIDER,    /* the provider or the way to it */
    FAULT_GATEWAY,     /* us: configuration, capacity, a bug */
};

/* What the gateway does with a failed attempt before the first token. */
enum err_next {
    NEXT_RETURN,      /* tell the caller at once */
    NEXT_FALLBACK,    /* try the next target */
};

/* Whether the caller may hope for another outcome of the same request. SDKs guess it from the
 * status otherwise, and repeat what cannot succeed. */
enum err_retry { NO_RETRY, RETRY };

struct err_row {
    const char *name;    /* "ERR_UPSTREAM_TIMEOUT" */
    const char *code;    /* stable machine code: "upstream_timeout" */
    int status;          /* HTTP status to the caller */
    enum err_fault fault;
    enum err_next next;
    bool retry;
    const char *openai_type;
    const char *openai_code;    /* NULL: null */
    const char *anthropic_type;
    const char *sentence;
};

/* Never fails: `e` out of range is a broken invariant. */
const struct err_row *err_row(enum err e) NEVER_NULL;

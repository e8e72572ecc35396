/* provider.h - what simulated providers do beyond their protocol: keys, header fields, ids, the
 * sentences of their errors, and how strictly they judge requests.
 *
 * The protocol itself is the caller's side of a wire. A wire without a row here is simulated as
 * well: by the last row.
 */
#pragma once

#include "http/message.h"
#include "llm/wire.h"
#include "mock/plan.h"

struct mock_provider {
    const struct wire *wire;    /* NULL: any other */
    struct str id;              /* prefix of an answer's id */
    struct str call_id;         /* prefix of a call's id */
    bool x_api_key;             /* takes keys in this field, not only as bearer tokens */
    struct str request_id;      /* name of the field with the request's id */
    struct str fields;          /* other fields of every answer */
    bool signs;                 /* thinking has a signature */
    bool pings;                 /* a keepalive follows the first token of a stream */
    struct llm_error quota;     /* the account is out of credit */
    struct llm_error context;

    struct str version;              /* a field that every request must have, or empty */
    const char *const *published;    /* the parameters of the published API; NULL: not known */

    /* Judges what a reader of callers' requests lets pass; NULL: accepts all of it. Returns false,
     * by mock_refuse(). */
    bool (*judge)(const struct llm_request *r, struct llm_error *ret);
};

const struct mock_provider *mock_provider_of(const struct wire *wire) NEVER_NULL;

/* Is a valid key in the request? An empty `key` needs none. */
bool mock_check_key(const struct mock_provider *p, const struct http_head *head, struct str key,
    struct llm_error *ret);

/* Judges a request that was read: the rules of all providers, then those of this one. `published`:
 * refuses parameters that the published API does not have. */
bool mock_judge(const struct mock_provider *p, const struct http_head *head,
    const struct llm_request *r, bool published, struct llm_error *ret);

/* What the wire's own reader refused, or a text that is not JSON. */
struct llm_error mock_error_of(const struct wire *wire, enum err e, const struct wire_fault *fault);

/* The error of a status, quota or context fault; texts in `a`. */
struct llm_error mock_error_by(
    const struct mock_provider *p, struct arena *a, enum mock_fault fault, int status);

/* Fills *ret with a refusal and returns false: `return mock_refuse(...)`. */
bool mock_refuse(struct arena *a, struct llm_error *ret, struct str param, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* Appends the header fields of every answer; *ret_id is the request's id, in `a`. */
void mock_add_fields(
    const struct mock_provider *p, struct arena *a, struct buf *out, struct str *ret_id);

/* `prefix` and random letters and digits, in `a`. */
struct str mock_random_id(struct arena *a, struct str prefix);

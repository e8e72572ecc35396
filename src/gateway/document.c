/* document.c - the stages that receive a body come after those that answer such requests, so that these
 * ask for theirs themselves. */
#include "gateway/document.h"

#include "gateway/reply.h"

static bool
receive(struct exchange *x, size_t limit_bytes)
{
    enum unpack_coding coding;

    if (!server_body_done(x->q) && !server_receive(x->q))
        return false;
    struct buf body = server_take_body(x->q);

    x->bytes_in = buf_len(&body);
    if (!unpack_find(&server_head(x->q)->fields, &coding) || coding != UNPACK_NONE) {
        (void)exchange_fail(x, ERR_MEDIA_TYPE, "the body of this route must not be compressed");
    } else if (buf_len(&body) > limit_bytes) {
        (void)exchange_fail(
            x, ERR_TOO_LARGE, "the body of this route may have %zu bytes", limit_bytes);
    } else if (!exchange_take_body(x, body)) {    /* which took it over in any case */
        (void)exchange_fail(x, ERR_OVERLOADED, "the gateway is at its memory limit");
        return false;
    } else {
        return true;
    }
    buf_fini(&body);
    return false;
}

bool
document_receive(struct exchange *x, size_t limit_bytes, struct str *ret)
{
    if (x->request == NULL && !receive(x, limit_bytes))
        return false;
    *ret = buf_str(&x->request->body);
    return true;
}

bool
document_read(struct exchange *x, size_t limit_bytes, const struct json **ret)
{
    if (x->request == NULL && !receive(x, limit_bytes))
        return false;
    if (x->request->llm.doc == NULL && !exchange_parse(x))
        return false;
    *ret = x->request->llm.doc;
    if (json_is(*ret, JSON_OBJECT))
        return true;
    if (*ret != NULL)
        (void)exchange_fail(x, ERR_BAD_REQUEST, "the body must be a JSON object");
    else
        (void)exchange_fail(x, ERR_BAD_JSON, "the body cannot be parsed as JSON: %s at byte %zu",
            x->request->bad_json.what, x->request->bad_json.offset);
    return false;
}

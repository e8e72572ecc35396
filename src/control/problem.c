/* problem.c - problem documents; their titles depend on the status alone. */
#include "control/problem.h"

static const char *
title_of(int status)
{
    switch (status) {
    case 400:
        return "The request is not valid";
    case 401:
        return "Who asks is not known";
    case 403:
        return "This is not permitted";
    case 404:
        return "There is no such thing";
    case 405:
        return "The method is not supported";
    case 409:
        return "It is in conflict with what there is";
    case 412:
        return "It has changed in the meantime";
    case 413:
        return "The request is too large";
    case 415:
        return "The body's type is not supported";
    case 422:
        return "Members of the body are not valid";
    case 429:
        return "Too many requests";
    case 503:
        return "It is not available now";
    case 507:
        return "The store is full";
    default:
        return status < 500 ? "The request cannot be answered" : "The gateway failed";
    }
}

void
problem_write(struct buf *b, int status, const char *code, struct str detail,
    const struct faults *faults, struct str request_id)
{
    struct json_out o = json_out(b);

    out_object(&o);
    out_key(&o, "type");
    out_string(&o);
    buf_printf(b, "urn:openclaw:problem:%s", code);
    out_end_string(&o);
    out_text(&o, "title", str_c(title_of(status)));
    out_i64(&o, "status", status);
    out_text(&o, "detail", detail);
    if (faults != NULL && faults->count != 0) {
        out_key(&o, "errors");
        faults_write(faults, &o);
    }
    out_text_if(&o, "request_id", request_id);
    out_end(&o);
    buf_add_c(b, '\n');
}

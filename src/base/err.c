/* err.c - the table made from err.def. */
#include "base/err.h"

static const struct err_row rows[ERR_COUNT] = {
#define ERR(name_, code_, status_, fault_, retry_, sentence_)                                      \
    [name_] = {                                                                                    \
        .name = #name_,                                                                            \
        .code = code_,                                                                             \
        .status = status_,                                                                         \
        .fault = fault_,                                                                           \
        .retry = (retry_) == RETRY,                                                                \
        .sentence = sentence_,                                                                     \
    },
#include "base/err.def"
#undef ERR
};

const struct err_row *
err_row(enum err e)
{
    CHECK((unsigned)e < ERR_COUNT);
    return &rows[e];
}

/* document.h - the body of a request that the gateway answers itself. */
#pragma once

#include "gateway/exchange.h"

/* Receives it: at most `limit_bytes`, perhaps none. False as with document_read(). */
bool document_receive(struct exchange *x, size_t limit_bytes, struct str *ret) MUST_CHECK;

/* Receives it and parses it as a JSON object of at most `limit_bytes`. False: not yet, call it again
 * when the exchange is woken; or the exchange was answered with what is wrong. The document lives as
 * long as the request. */
bool document_read(struct exchange *x, size_t limit_bytes, const struct json **ret) MUST_CHECK;

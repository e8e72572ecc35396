/* certificate.h - validity dates of the certificates in a PEM file. */
#pragma once

#include "base/base.h"

struct certificate {
    int64_t not_before_s;    /* seconds of the Unix epoch */
    int64_t not_after_s;
};

/* The time in which all certificates of the file are valid: of a chain, each must be. False when
 * there is none that can be read. */
bool certificate_read(const char *path, struct certificate *ret) MUST_CHECK;

/* The one of the file that is valid longest: of authorities, one is enough. */
bool certificate_read_longest(const char *path, struct certificate *ret) MUST_CHECK;

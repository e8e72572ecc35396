/* form.h - syntax checks for addresses, URLs, keys, header fields, ...
 *
 * Messages never contain the text itself: it may be a secret in the wrong place.
 */
#pragma once

#include "conf/option.h"

/* NULL if `v` is valid, else what is wrong and what to write: "is not an address; write ...".
 * Files must exist. Messages that are not constant are allocated in `a`. */
const char *form_problem(struct arena *a, enum conf_form form, struct str v);

/* Reads a share from 0 to 1, written as 0.9 or 90%. False: it is none. */
bool form_share(struct str v, double *ret);

/* Can this listen address be reached from this machine only? Its syntax must be valid. */
bool form_is_local(struct str address);

/* Host ("" for all, IPv6 with its brackets, "127.0.0.1" for localhost) and port of a valid
   listen address; false for a unix socket. */
bool form_listen_parts(struct str address, struct str *ret_host, struct str *ret_port);

/* fault.h - what is wrong with a request to the admin API, member by member.
 *
 * All faults of a document are found in one pass and reported together, each with a JSON pointer
 * (RFC 6901) to the member and a sentence that says what to write instead: the `errors` of a problem
 * document (RFC 9457).
 */
#pragma once

#include "base/arena.h"
#include "base/json_out.h"

#define FAULTS_MOST 50

struct fault {
    struct fault *next;
    struct str pointer;    /* "/models/1"; "" is the whole document, "?limit" a parameter of the URL */
    struct str detail;
};

/* Initialised with the arena that holds them. */
struct faults {
    struct arena *arena;
    struct fault *first;
    struct fault **tail;
    size_t count;    /* further ones than FAULTS_MOST are only counted */
};

void faults_init(struct faults *f, struct arena *a);

/* `at` is the pointer, copied. */
void faults_add(struct faults *f, struct str at, const char *format, ...) PRINTF_LIKE(3, 4);

/* "/name", "/tags/a~1b". */
struct str fault_pointer(struct arena *a, struct str parent, struct str member);

/* Appends an array of {"pointer", "detail"}. */
void faults_write(const struct faults *f, struct json_out *o);

/* admin_socket.h - the socket of the admin API, which a gateway may have to wait for: a predecessor
 * that drains has it to its end.
 */
#pragma once

#include "gateway/worker.h"

struct admin_socket {
    struct worker **workers;
    unsigned count;
    struct str path;       /* empty: none is wanted */
    struct bound *held;    /* NULL: it is not open */
};

/* Opens it at `path` (empty: nothing to do), and has the workers serve it. True also where it has to
 * be waited for, or the gateway does without: where the path was not configured (`setting` is
 * "auto"), the folder may not be there, as in a container. False after saying why not. */
bool admin_socket_open(struct admin_socket *s, struct str setting, struct str path) MUST_CHECK;

/* Tries again, if it is not open. */
void admin_socket_retry(struct admin_socket *s);

/* When the workers have ended: removes its file. */
void admin_socket_close(struct admin_socket *s);

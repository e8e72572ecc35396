/* listen_priv.h - private to listen*.c.
 *
 *   listen.c        accepts connections, and sheds those for which there is no descriptor
 *   listen_open.c   the sockets, and the addresses that the process has open
 *   listen_room.c   how many descriptors callers may have
 */
#pragma once

#include "base/why.h"
#include "net/listen.h"
#include "net/sock_priv.h"

enum { LISTEN_BACKLOG = 4096 };    /* the kernel cuts it to net.core.somaxconn */

/* An address that this process has open. Workers share the descriptor of a unix socket or an
 * inherited one; for TCP only the count matters. */
struct bound {
    char *name;
    int fd;    /* -1 for TCP: each worker has its own */
    bool inherited;
    dev_t device;    /* of the unix socket's file, so that we remove only our own */
    ino_t inode;
    unsigned holders;
    struct bound *next;
};

/* --- listen_open.c --- */

/* Opens an address. Returns its descriptor and *ret_bound; or -1, and `why` says why. */
int bound_open(struct str text, const struct listen_options *o, struct bound **ret_bound,
    struct why why) MUST_CHECK;

/* The address as opened, for messages; to be freed. */
char *bound_address(int fd, struct str text, bool *ret_is_tcp);

/* From now on the address may be opened anew. */
void bound_forget(struct bound *b);

/* One holder fewer: the last one closes what is shared, and removes a Unix socket's file. */
void bound_release(struct bound *b);

/* --- listen_room.c --- */

/* Whether callers may have one more descriptor. */
bool room_is_left(void);

/* The limit may have changed: it is computed again at the next connection. */
void room_forget(void);

/* A worker has too many callers, and none that is idle: see listen_crowds(). */
void room_note_crowd(void);

/* A connection was closed at once: see listen_shed_count(). */
void room_note_shed(void);

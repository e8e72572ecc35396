/* admin.h - the admin API: what the gateway is doing, and what an operator may change while it
 * runs.
 *
 * Its requests come through the workers (gateway/local.c), which know by the listener whether it is
 * the local socket, whose user is an owner, or the network, where a key's role decides
 * (control/roles.def). admin.c has the table of its routes, but for those of resources
 * (control/api.h).
 */
#pragma once

#include "gateway/worker.h"

/* Loads an earlier configuration again. Called on the main thread: *ret_said gets what was wrong
 * with it, one problem a line, when the result is false. */
struct admin_control {
    void *owner;
    struct loop *loop;
    bool (*rollback)(void *owner, struct str text, uint64_t generation, struct buf *ret_said);
    struct resources *resources;    /* told of changes */
    struct str pepper;              /* that keys are kept with */
};

struct admin;

/* Becomes what answers the gateway's admin requests. */
struct admin *admin_create(struct gateway *g) NEVER_NULL;

/* Before the workers start. */
void admin_open(
    struct admin *a, struct worker *const *workers, const struct admin_control *control);

/* A configuration is in force, with the text of its file (empty: there is none); see
 * history_add(). */
void admin_note_loaded(struct admin *a, uint64_t generation, uint64_t from, struct str text);

/* Before the workers are freed; and after. NULL is a no-op. */
void admin_close(struct admin *a);
void admin_destroy(struct admin *a);

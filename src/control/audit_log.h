/* audit_log.h - administrative acts on their way into the audit record.
 *
 * What changes the store is recorded in the same transaction (control/api.c). Other acts (a reload,
 * a provider switched off, an admin request that was refused) happen on threads that must not wait for a
 * database: they are noted here, and the steward records them within a second, or when the store is
 * back. What does not fit meanwhile is in the error log only, and counted.
 */
#pragma once

#include "store/audit.h"

struct audit_log;
struct steward;

/* Takes over the auditor. */
struct audit_log *audit_log_create(struct auditor *a) NEVER_NULL;
void audit_log_destroy(struct audit_log *l);    /* NULL is a no-op */

const struct auditor *audit_log_auditor(const struct audit_log *l) NEVER_NULL;

/* Notes an act; what is in it is copied, and at_ms is now. From any thread; NULL: there is no record. Of acts that were
 * refused, AUDIT_LOG_REFUSED a minute are recorded: a client that only fails must not fill the store. */
#define AUDIT_LOG_MOST 1024u
#define AUDIT_LOG_REFUSED 60u
void audit_note(struct audit_log *l, const struct audit_event *e);

/* Acts that were not recorded: too many waited, or were refused. */
uint64_t audit_log_lost(const struct audit_log *l);

/* Periodic work of the steward: records what was noted. */
#define AUDIT_LOG_PERIOD_MS 1000
void audit_log_drain(struct store *s, void *log);

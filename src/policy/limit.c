/* limit.c - the process-wide table of counters, one per caller. */
#include "policy/limit.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/map.h"

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct map *table;    /* struct in_flight by id; NULL while there are none */

struct in_flight *
in_flight_hold(struct str id)
{
    (void)pthread_mutex_lock(&table_lock);
    if (table == NULL)
        table = map_create();
    struct in_flight *f = map_get(table, id);
    if (f == NULL) {
        f = check_alloc(aligned_alloc(alignof(struct in_flight), sizeof(*f)));
        *f = (struct in_flight){ .id = str_dup_c(id), .id_n = id.n };
        (void)map_put(table, id, f);
    }
    f->holders++;
    (void)pthread_mutex_unlock(&table_lock);
    return f;
}

void
in_flight_drop(struct in_flight *f)
{
    if (f == NULL)
        return;
    (void)pthread_mutex_lock(&table_lock);
    if (--f->holders == 0) {
        (void)map_remove(table, str_make(f->id, f->id_n));
        free(f->id);
        free(f);
        if (map_count(table) == 0) {
            map_destroy(table);
            table = NULL;
        }
    }
    (void)pthread_mutex_unlock(&table_lock);
}

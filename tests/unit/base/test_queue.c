/* test_queue.c - order, the bound, and many threads at once (also under ThreadSanitizer). */
#include "base/queue.c"

#include <pthread.h>
#include <sched.h>

#include "tests/test.h"

enum { PLACES = 8, SENDERS = 4, EACH = 4000, ROOMY = 256 };

static void
nothing(void *arg UNUSED)
{
}

static struct message
number(uintptr_t n)
{
    return (struct message){ nothing, (void *)n };
}

TEST(messages_come_in_order_and_those_that_do_not_fit_are_dropped_and_counted)
{
    struct queue *q = queue_create(PLACES);
    struct message m;

    for (uintptr_t round = 0; round < 3; round++) {
        EXPECT(!queue_take(q, &m));
        for (uintptr_t i = 0; i < PLACES; i++)
            EXPECT(queue_put(q, number(10 * round + i)));
        EXPECT(!queue_put(q, number(99)));
        EXPECT(queue_dropped(q) == round + 1);
        for (uintptr_t i = 0; i < PLACES; i++)
            EXPECT(queue_take(q, &m) && (uintptr_t)m.arg == 10 * round + i);
    }
    EXPECT(queue_put(q, number(7)));
    EXPECT(queue_take(q, &m) && m.fn == nothing && (uintptr_t)m.arg == 7);
    queue_destroy(q);
    queue_destroy(NULL);
}

static struct queue *shared;
static _Atomic uint64_t refused;

static void *
send_all(void *arg)
{
    uintptr_t sender = (uintptr_t)arg;

    for (uintptr_t i = 0; i < EACH; i++) {
        while (!queue_put(shared, number(sender * EACH + i))) {
            atomic_fetch_add(&refused, 1);
            sched_yield();
        }
    }
    return NULL;
}

TEST(no_message_of_many_threads_is_lost_or_out_of_the_order_of_its_thread)
{
    pthread_t threads[SENDERS];
    uintptr_t seen[SENDERS] = { 0 };
    struct message m;

    shared = queue_create(ROOMY);
    for (uintptr_t i = 0; i < SENDERS; i++)
        EXPECT(pthread_create(&threads[i], NULL, send_all, (void *)i) == 0);
    for (size_t left = (size_t)SENDERS * EACH; left != 0;) {
        if (!queue_take(shared, &m)) {
            sched_yield();
            continue;
        }
        uintptr_t sender = (uintptr_t)m.arg / EACH;

        EXPECT_INT((uintptr_t)m.arg % EACH, seen[sender]);
        seen[sender]++;
        left--;
    }
    for (size_t i = 0; i < SENDERS; i++)
        (void)pthread_join(threads[i], NULL);
    EXPECT(!queue_take(shared, &m));
    EXPECT(queue_dropped(shared) == atomic_load(&refused));
    queue_destroy(shared);
}

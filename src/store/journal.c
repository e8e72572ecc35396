/* journal.c - rings of slots in files that are mapped into memory. */
#include "store/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"

#define HEAD_BYTES 4096u
#define PREFIX "journal-"
#define UNFINISHED "unfinished-"    /* its name until it has its size and its head */
#define NAME_BYTES 64
#define SLOTS_LEAST 16u
#define KIND_BITS 3u

static const char magic[8] = { 'O', 'C', 'J', 'R', 'N', 'L', '1', '\n' };

#define TEXT(name, most) most,
static const uint16_t begun_most[] = { JOURNAL_TEXTS(TEXT) };
static const uint16_t end_most[] = { JOURNAL_END_TEXTS(TEXT) };
#undef TEXT

enum { BEGUN_TEXTS = ARRAY_LEN(begun_most), END_TEXTS = ARRAY_LEN(end_most) };

/* The first page of a file. */
struct head {
    char magic[8];
    uint32_t slot_bytes, slots;
    uint64_t ring;
    uint64_t check;
};

/* Which of a slot's parts can be read. Whatever is written next goes into another one. */
enum slot_state { EMPTY, BEGUN, TOLD_0, TOLD_1, SETTLED_0, SETTLED_1, SLOT_STATES };

struct end_part {
    uint64_t wall_ms;
    int64_t counts[JOURNAL_COUNTS];
    uint32_t known, flags;
    int32_t status;
    uint32_t attempts;
    int64_t cost_nanousd, outrun_nanousd, judge_nanousd;
    int64_t first_token_us, duration_us;
    uint16_t lengths[(END_TEXTS + 3) / 4 * 4];
    char text[JOURNAL_END_BYTES];
};

struct begun_part {
    uint64_t wall_ms;
    uint16_t lengths[(BEGUN_TEXTS + 3) / 4 * 4];
    uint64_t kind;
    char text[JOURNAL_BEGUN_BYTES];
};

/* What is written last is the state, with the record's number. */
struct journal_slot {
    _Atomic uint64_t state;
    _Atomic int64_t reserved_nanousd;
    uint64_t begun_check, end_check[2];
    struct begun_part begun;
    struct end_part ends[2];
};

_Static_assert(sizeof(struct journal_slot) <= JOURNAL_SLOT_BYTES, "a slot has room for its parts");
_Static_assert(sizeof(struct begun_part) % 8 == 0 && sizeof(struct end_part) % 8 == 0,
    "sums are of whole words");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "an atomic word is a word in the file, too");

/* Slots on their way between the two threads are linked here, and not in the file: `next` of a slot
 * is the one after it. Slot numbers begin with 1; 0 ends a list. */
struct journal {
    char *map;
    size_t bytes;
    int fd;
    char path[4096];
    uint64_t ring;
    uint32_t slots;
    uint32_t *next;

    /* the worker's */
    uint32_t free;                    /* the last one freed first: it is still in the cache */
    uint32_t untouched;               /* slots from here on were never used */
    uint64_t number;                  /* of the last record */
    _Atomic uint64_t begun, freed;    /* ever; each is written by one thread */

    _Alignas(64) _Atomic uint32_t settled;     /* a list, newest first: from the worker */
    _Alignas(64) _Atomic uint32_t returned;    /* and back to it */
    uint32_t taken;                            /* the steward's: oldest first */
};

/* --- parts of a slot --- */

static struct journal_slot *
slot_at(const struct journal *j, uint32_t n)
{
    CHECK(n >= 1 && n <= j->slots);
    return (
        struct journal_slot *)(void *)(j->map + HEAD_BYTES + (size_t)(n - 1) * JOURNAL_SLOT_BYTES);
}

static uint64_t
sum(uint64_t seed, const void *data, size_t bytes)
{
    const char *p = data;
    uint64_t h = seed ^ HASH_LAST, word;

    for (size_t i = 0; i < bytes; i += sizeof(word)) {
        memcpy(&word, p + i, sizeof(word));
        h = hash_mix(h ^ word, HASH_WORD ^ i);
    }
    return h;
}

/* Writes the texts one after the other, each cut where it has to be; they end with zeros up
 * to a multiple of eight bytes, which is returned. */
static size_t
pack(char *to, size_t room, const struct str *texts, const uint16_t *most, size_t count,
    uint16_t *lengths)
{
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        size_t n = MIN(MIN(texts[i].n, most[i]), room - at);

        if (n != 0)
            memcpy(to + at, texts[i].p, n);
        lengths[i] = (uint16_t)n;
        at += n;
    }
    while (at % 8 != 0)
        to[at++] = '\0';
    return at;
}

/* False: the lengths are not what pack() wrote. */
static bool
unpack(const char *from, size_t room, const uint16_t *lengths, size_t count, struct str *texts,
    size_t *ret_bytes)
{
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        if (lengths[i] > room - at)
            return false;
        texts[i] = str_make(from + at, lengths[i]);
        at += lengths[i];
    }
    *ret_bytes = (at + 7) / 8 * 8;
    return true;
}

static void
publish(struct journal_slot *s, uint64_t number, enum slot_state state)
{
    atomic_store_explicit(&s->state, number << KIND_BITS | state, memory_order_release);
}

static void
write_end(
    const struct journal *j, struct journal_slot *s, unsigned which, const struct journal_end *e)
{
    struct end_part *p = &s->ends[which];
    uint64_t number = atomic_load_explicit(&s->state, memory_order_relaxed) >> KIND_BITS;
#define TEXT(name, most) e->name,
    const struct str texts[] = { JOURNAL_END_TEXTS(TEXT) };
#undef TEXT

    p->wall_ms = e->wall_ms;
    memcpy(p->counts, e->counts, sizeof(p->counts));
    p->known = e->known;
    p->flags = e->flags;
    p->status = e->status;
    p->attempts = e->attempts;
    p->cost_nanousd = e->cost_nanousd;
    p->outrun_nanousd = e->outrun_nanousd;
    p->judge_nanousd = e->judge_nanousd;
    p->first_token_us = e->first_token_us;
    p->duration_us = e->duration_us;
    memset(p->lengths, 0, sizeof(p->lengths));
    size_t n = pack(p->text, sizeof(p->text), texts, end_most, END_TEXTS, p->lengths);
    s->end_check[which] = sum(j->ring ^ number, p, offsetof(struct end_part, text) + n);
}

static bool
read_end(const struct journal *j, const struct journal_slot *s, unsigned which, uint64_t number,
    struct journal_end *e)
{
    const struct end_part *p = &s->ends[which];
    struct str texts[END_TEXTS];
    size_t n, i = 0;

    if (!unpack(p->text, sizeof(p->text), p->lengths, END_TEXTS, texts, &n) ||
        s->end_check[which] != sum(j->ring ^ number, p, offsetof(struct end_part, text) + n))
        return false;
    *e = (struct journal_end){ .wall_ms = p->wall_ms,
        .known = p->known,
        .flags = p->flags,
        .status = p->status,
        .attempts = p->attempts,
        .cost_nanousd = p->cost_nanousd,
        .outrun_nanousd = p->outrun_nanousd,
        .judge_nanousd = p->judge_nanousd,
        .first_token_us = p->first_token_us,
        .duration_us = p->duration_us };
    memcpy(e->counts, p->counts, sizeof(e->counts));
#define TEXT(name, most) e->name = texts[i++];
    JOURNAL_END_TEXTS(TEXT)
#undef TEXT
    return true;
}

static bool
read_begun(
    const struct journal *j, const struct journal_slot *s, uint64_t number, struct journal_begun *b)
{
    const struct begun_part *p = &s->begun;
    struct str texts[BEGUN_TEXTS];
    size_t n, i = 0;

    if (!unpack(p->text, sizeof(p->text), p->lengths, BEGUN_TEXTS, texts, &n) ||
        s->begun_check != sum(j->ring ^ number, p, offsetof(struct begun_part, text) + n))
        return false;
    *b = (struct journal_begun){ .wall_ms = p->wall_ms,
        .reserved_nanousd = atomic_load_explicit(&s->reserved_nanousd, memory_order_relaxed),
        .kind = (enum journal_kind)p->kind };
#define TEXT(name, most) b->name = texts[i++];
    JOURNAL_TEXTS(TEXT)
#undef TEXT
    return true;
}

/* --- the worker's side --- */

/* The first of the list, or of those that the steward has freed since. 0: none. */
static uint32_t
find_free(struct journal *j)
{
    if (j->free == 0)
        j->free = atomic_exchange_explicit(&j->returned, 0, memory_order_acquire);
    uint32_t n = j->free;

    if (n != 0)
        j->free = j->next[n];
    else if (j->untouched <= j->slots)
        n = j->untouched++;
    return n;
}

uint32_t
journal_begin(struct journal *j, const struct journal_begun *b)
{
    uint32_t n = find_free(j);
#define TEXT(name, most) b->name,
    const struct str texts[] = { JOURNAL_TEXTS(TEXT) };
#undef TEXT

    if (n == 0)
        return 0;
    struct journal_slot *s = slot_at(j, n);
    struct begun_part *p = &s->begun;

    j->number++;
    p->wall_ms = b->wall_ms;
    p->kind = b->kind;
    memset(p->lengths, 0, sizeof(p->lengths));
    size_t bytes = pack(p->text, sizeof(p->text), texts, begun_most, BEGUN_TEXTS, p->lengths);
    s->begun_check = sum(j->ring ^ j->number, p, offsetof(struct begun_part, text) + bytes);
    atomic_store_explicit(&s->reserved_nanousd, b->reserved_nanousd, memory_order_relaxed);
    publish(s, j->number, BEGUN);
    atomic_store_explicit(
        &j->begun, atomic_load_explicit(&j->begun, memory_order_relaxed) + 1, memory_order_relaxed);
    return n;
}

void
journal_grow(struct journal *j, uint32_t slot, int64_t nanousd)
{
    if (slot == 0)
        return;
    struct journal_slot *s = slot_at(j, slot);
    int64_t now = atomic_load_explicit(&s->reserved_nanousd, memory_order_relaxed);

    atomic_store_explicit(&s->reserved_nanousd, now + nanousd, memory_order_release);
}

static void
write_next(struct journal *j, uint32_t slot, const struct journal_end *e, enum slot_state first)
{
    struct journal_slot *s = slot_at(j, slot);
    uint64_t now = atomic_load_explicit(&s->state, memory_order_relaxed);
    enum slot_state state = (enum slot_state)(now & ((1u << KIND_BITS) - 1));
    unsigned which = state == TOLD_0 ? 1 : 0;

    CHECK(state == BEGUN || state == TOLD_0 || state == TOLD_1);
    write_end(j, s, which, e);
    publish(s, now >> KIND_BITS, (enum slot_state)(first + which));
}

void
journal_tell(struct journal *j, uint32_t slot, const struct journal_end *e)
{
    if (slot != 0)
        write_next(j, slot, e, TOLD_0);
}

/* Puts a slot before the others of a list that another thread takes as a whole. */
static void
push(struct journal *j, _Atomic uint32_t *list, uint32_t slot)
{
    uint32_t first = atomic_load_explicit(list, memory_order_relaxed);

    do {
        j->next[slot] = first;
    } while (!atomic_compare_exchange_weak_explicit(
        list, &first, slot, memory_order_release, memory_order_relaxed));
}

void
journal_settle(struct journal *j, uint32_t slot, const struct journal_end *e)
{
    if (slot == 0)
        return;
    write_next(j, slot, e, SETTLED_0);
    push(j, &j->settled, slot);
}

/* --- the steward's side --- */

/* The list of what was settled, oldest first, after what is left of the last one. */
static void
refill(struct journal *j)
{
    uint32_t n = atomic_exchange_explicit(&j->settled, 0, memory_order_acquire), before = 0;

    while (n != 0) {
        uint32_t older = j->next[n];

        j->next[n] = before;
        before = n;
        n = older;
    }
    j->taken = before;
}

size_t
journal_take(struct journal *j, uint32_t *slots, size_t most)
{
    size_t count = 0;

    while (count < most) {
        if (j->taken == 0)
            refill(j);
        if (j->taken == 0)
            break;
        slots[count++] = j->taken;
        j->taken = j->next[j->taken];
    }
    return count;
}

void
journal_give_back(struct journal *j, const uint32_t *slots, size_t count)
{
    while (count-- != 0) {
        j->next[slots[count]] = j->taken;
        j->taken = slots[count];
    }
}

void
journal_free(struct journal *j, uint32_t slot)
{
    publish(slot_at(j, slot), 0, EMPTY);
    atomic_store_explicit(
        &j->freed, atomic_load_explicit(&j->freed, memory_order_relaxed) + 1, memory_order_relaxed);
    push(j, &j->returned, slot);
}

/* It died with its process: what is not known was as it was planned. */
static void
guess_end(const struct journal_begun *b, struct journal_end *e)
{
    *e = (struct journal_end){ .wall_ms = b->wall_ms,
        .flags = JOURNAL_ESTIMATED,
        .cost_nanousd = b->reserved_nanousd,
        .first_token_us = -1,
        .duration_us = -1,
        .provider = b->provider,
        .model = b->model,
        .error = S("") };
}

bool
journal_read(const struct journal *j, uint32_t slot, struct journal_row *ret)
{
    const struct journal_slot *s = slot_at(j, slot);
    uint64_t now = atomic_load_explicit(&s->state, memory_order_acquire);
    uint64_t number = now >> KIND_BITS;
    enum slot_state state = (enum slot_state)(now & ((1u << KIND_BITS) - 1));

    *ret = (struct journal_row){ .ring = (int64_t)j->ring, .number = (int64_t)number };
    if (state == EMPTY || state >= SLOT_STATES || !read_begun(j, s, number, &ret->begun))
        return false;
    bool second = state == TOLD_1 || state == SETTLED_1;
    if (state == BEGUN)
        guess_end(&ret->begun, &ret->end);
    else if (!read_end(j, s, second, number, &ret->end))
        return false;
    if (state < SETTLED_0)
        ret->end.flags |= JOURNAL_RECOVERED;
    return true;
}

struct journal_state
journal_state(const struct journal *j)
{
    uint64_t freed = atomic_load_explicit(&j->freed, memory_order_relaxed);
    uint64_t begun = atomic_load_explicit(&j->begun, memory_order_relaxed);

    return (struct journal_state){ .slots = j->slots,
        .used = begun > freed ? (uint32_t)(begun - freed) : 0 };
}

const char *
journal_path(const struct journal *j)
{
    return j->path;
}

/* --- files --- */

static struct journal *
map_file(int fd, const char *path, size_t bytes)
{
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (map == MAP_FAILED)
        return NULL;
    (void)madvise(map, bytes, MADV_DONTDUMP);
    uint32_t slots = (uint32_t)((bytes - HEAD_BYTES) / JOURNAL_SLOT_BYTES);
    struct journal *j = check_alloc(aligned_alloc(64, (sizeof(*j) + 63) / 64 * 64));

    memset(j, 0, sizeof(*j));
    j->map = map;
    j->bytes = bytes;
    j->fd = fd;
    j->slots = slots;
    j->untouched = 1;
    j->next = check_alloc(calloc((size_t)slots + 1, sizeof(*j->next)));
    (void)snprintf(j->path, sizeof(j->path), "%s", path);
    return j;
}

/* Allocates the blocks, so that no write can fail. Returns what went wrong, or 0. */
static int
make_room(int fd, size_t bytes)
{
    int e;

    do {
        e = posix_fallocate(fd, 0, (off_t)bytes);
    } while (e == EINTR);
    return e;
}

static struct journal *
create_file(const char *folder, const char *name, size_t bytes, struct why why)
{
    char path[sizeof(((struct journal *)0)->path)], last[sizeof(path)];
    struct journal *j = NULL;
    int e = 0;

    if ((size_t)snprintf(path, sizeof(path), "%s/" UNFINISHED "%s", folder, name) >= sizeof(path) ||
        (size_t)snprintf(last, sizeof(last), "%s/" PREFIX "%s", folder, name) >= sizeof(last)) {
        (void)why_say(why, "the name of the folder is too long");
        return NULL;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        (void)why_say(why, "cannot create %s: %s", path, strerror(errno));
        return NULL;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        e = errno;
    if (e == 0)
        e = make_room(fd, bytes);
    if (e == 0 && (j = map_file(fd, path, bytes)) == NULL)
        e = errno;
    if (e == 0)
        return j;
    (void)why_say(why, "cannot make a journal of %zu bytes in %s: %s", bytes, folder, strerror(e));
    (void)unlink(path);
    (void)close(fd);
    return NULL;
}

static uint64_t
head_check(const struct head *h)
{
    return sum(HASH_WORD, h, offsetof(struct head, check));
}

struct journal *
journal_create(const char *folder, size_t bytes, struct why why)
{
    char name[NAME_BYTES], last[sizeof(((struct journal *)0)->path)];
    uint64_t ring;

    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        (void)why_say(why, "cannot make the folder %s: %s", folder, strerror(errno));
        return NULL;
    }
    clock_random_bytes(&ring, sizeof(ring));
    ring >>= 1;
    size_t slots = MAX((bytes - MIN(bytes, HEAD_BYTES)) / JOURNAL_SLOT_BYTES, SLOTS_LEAST);
    (void)snprintf(name, sizeof(name), "%016llx", (unsigned long long)ring);
    struct journal *j = create_file(folder, name, HEAD_BYTES + slots * JOURNAL_SLOT_BYTES, why);
    if (j == NULL)
        return NULL;
    struct head head = { .slot_bytes = JOURNAL_SLOT_BYTES, .slots = j->slots, .ring = ring };

    memcpy(head.magic, magic, sizeof(magic));
    head.check = head_check(&head);
    memcpy(j->map, &head, sizeof(head));
    j->ring = ring;
    (void)snprintf(last, sizeof(last), "%s/" PREFIX "%s", folder, name);
    if (rename(j->path, last) != 0) {
        (void)why_say(why, "cannot rename %s: %s", j->path, strerror(errno));
        journal_close(j);
        return NULL;
    }
    memcpy(j->path, last, sizeof(last));
    return j;
}

void
journal_close(struct journal *j)
{
    if (j == NULL)
        return;
    if (journal_state(j).used == 0)
        (void)unlink(j->path);
    (void)munmap(j->map, j->bytes);
    (void)close(j->fd);
    free(j->next);
    free(j);
}

/* Is it the file of that name still, and nobody's? */
static bool
lock_file(int fd, const char *path, size_t *ret_bytes)
{
    struct stat opened, named;

    if (flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &opened) != 0 || stat(path, &named) != 0)
        return false;
    *ret_bytes = (size_t)opened.st_size;
    return S_ISREG(opened.st_mode) && opened.st_ino == named.st_ino &&
           opened.st_dev == named.st_dev;
}

/* Its head says what it is. */
static bool
read_head(int fd, size_t bytes, struct head *ret)
{
    return pread(fd, ret, sizeof(*ret), 0) == (ssize_t)sizeof(*ret) &&
           memcmp(ret->magic, magic, sizeof(magic)) == 0 && ret->check == head_check(ret) &&
           ret->slot_bytes == JOURNAL_SLOT_BYTES && ret->slots != 0 &&
           bytes == HEAD_BYTES + (size_t)ret->slots * JOURNAL_SLOT_BYTES;
}

/* All that is in use is to be taken, in the order of its numbers. */
static int
by_number(const void *a, const void *b)
{
    uint64_t x = ((const uint64_t *)a)[0], y = ((const uint64_t *)b)[0];

    return (x > y) - (x < y);
}

static void
take_all(struct journal *j)
{
    uint64_t(*list)[2] = check_alloc(calloc(j->slots, sizeof(*list)));
    uint32_t count = 0;

    for (uint32_t n = 1; n <= j->slots; n++) {
        uint64_t state = atomic_load_explicit(&slot_at(j, n)->state, memory_order_relaxed);

        if ((state & ((1u << KIND_BITS) - 1)) == EMPTY)
            continue;
        list[count][0] = state >> KIND_BITS;
        list[count++][1] = n;
    }
    qsort(list, count, sizeof(*list), by_number);
    for (uint32_t i = count; i-- != 0;) {
        j->next[list[i][1]] = j->taken;
        j->taken = (uint32_t)list[i][1];
    }
    atomic_store_explicit(&j->begun, count, memory_order_relaxed);
    free(list);
}

/* NULL: it is in use, or is none of ours. */
static struct journal *
adopt_file(const char *folder, const char *name, unsigned *foreign)
{
    char path[sizeof(((struct journal *)0)->path)];
    bool finished = strncmp(name, PREFIX, strlen(PREFIX)) == 0;
    struct journal *j = NULL;
    struct head head;
    size_t bytes;

    if (!finished && strncmp(name, UNFINISHED, strlen(UNFINISHED)) != 0)
        return NULL;
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) >= sizeof(path))
        return NULL;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    if (lock_file(fd, path, &bytes)) {
        if (!finished)
            (void)unlink(path);    /* its process died before it began anything */
        else if (!read_head(fd, bytes, &head))
            ++*foreign;
        else
            j = map_file(fd, path, bytes);
    }
    if (j == NULL) {
        (void)close(fd);
        return NULL;
    }
    j->ring = head.ring;
    take_all(j);
    return j;
}

struct journal *
journal_adopt(const char *folder, unsigned *ret_foreign)
{
    struct journal *j = NULL;
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    *ret_foreign = 0;
    if (dir == NULL)
        return NULL;
    while (j == NULL && (entry = readdir(dir)) != NULL)
        j = adopt_file(folder, entry->d_name, ret_foreign);
    (void)closedir(dir);
    return j;
}

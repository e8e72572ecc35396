/* access_log.c - fields.def as JSON lines. */
#include "observe/access_log.h"

#include "base/clock.h"
#include "base/json.h"

#define BATCH_BYTES (32u * 1024)
#define BUFFER_BYTES (256u * 1024)

void
access_log_init(struct access_log *a, struct log_file *file)
{
    a->file = file;
    buf_init(&a->lines, BUFFER_BYTES);
}

/* One function for each kind of field, and `name` is what stands before the value. They are worth
 * their room in place: a copy of known length is a few instructions, and this runs thirty times a
 * request. */
static INLINED void
field_STR(struct buf *b, struct str name, struct str value)
{
    if (value.n == 0)
        return;
    buf_add(b, name);
    json_add_str(b, value);
}

static INLINED void
field_RAW(struct buf *b, struct str name, struct str value)
{
    if (value.n == 0)
        return;
    buf_add(b, name);
    buf_add(b, value);
}

static INLINED void
field_U64(struct buf *b, struct str name, uint64_t value)
{
    buf_add(b, name);
    buf_add_u64(b, value);
}

static INLINED void
field_I64(struct buf *b, struct str name, int64_t value)
{
    buf_add(b, name);
    buf_add_i64(b, value);
}

static INLINED void
field_COUNT(struct buf *b, struct str name, int64_t value)
{
    if (value >= 0)
        field_I64(b, name, value);
}

static INLINED void
field_BOOL(struct buf *b, struct str name, bool value)
{
    if (value) {
        buf_add(b, name);
        buf_add(b, S("true"));
    }
}

/* Microseconds as milliseconds with three decimals, without printf. */
static INLINED void
field_MS(struct buf *b, struct str name, int64_t us)
{
    if (us < 0)
        return;
    char frac[4] = { '.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10),
        (char)('0' + us % 10) };
    buf_add(b, name);
    buf_add_u64(b, (uint64_t)us / 1000);
    buf_add(b, str_make(frac, sizeof(frac)));
}

void
access_log_write(struct access_log *a, const struct access_record *r)
{
    char stamp[CLOCK_STAMP_ROOM];
    struct buf *b = &a->lines;
    size_t before = buf_len(b);

    if (a->file == NULL)
        return;
    buf_add(b, S("{\"ts\":\""));
    buf_add(b, clock_stamp(r->wall_ms, stamp));
    buf_add_c(b, '"');
#define FIELD(kind, name, value) field_##kind(b, S(",\"" name "\":"), value);
#include "observe/fields.def"
#undef FIELD
    buf_add(b, S("}\n"));
    if (b->overflow)
        buf_truncate(b, before);
    if (buf_len(b) >= BATCH_BYTES)
        access_log_flush(a);
}

void
access_log_flush(struct access_log *a)
{
    if (a->file == NULL || buf_len(&a->lines) == 0)
        return;
    (void)log_file_write(a->file, buf_str(&a->lines));
    buf_reset(&a->lines, BUFFER_BYTES);
}

void
access_log_fini(struct access_log *a)
{
    access_log_flush(a);
    buf_fini(&a->lines);
}

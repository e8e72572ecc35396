/* answer.c - the ends of JSON documents, and times in them. */
#include "admin/answer.h"

#include "base/clock.h"
#include "gateway/reply.h"

#define DOCUMENT_BYTES_MOST (16u * 1024 * 1024)

struct json_out
answer_begin(struct buf *b)
{
    struct json_out o = json_out(b);

    buf_init(b, DOCUMENT_BYTES_MOST);
    out_object(&o);
    return o;
}

void
answer_end(struct exchange *x, struct json_out *o)
{
    out_end(o);
    buf_add_c(o->b, '\n');
    if (o->b->overflow)
        (void)exchange_fail(x, ERR_INTERNAL, "the answer is larger than 16 MB");
    else
        exchange_answer(x, 200, S("application/json"), buf_str(o->b));
    buf_fini(o->b);
}

void
answer_silent(struct json_out *o, const struct collected *told, unsigned workers)
{
    out_key_array(o, "silent_workers");
    for (unsigned i = 0; i < workers; i++)
        if (!told[i].answered)
            out_i64_value(o, i);
    out_end_array(o);
}

void
answer_time(struct json_out *o, struct str name, uint64_t wall_ms)
{
    char room[CLOCK_STAMP_ROOM];
    uint64_t now_ms = clock_wall_ms();

    out_key_str(o, name);
    out_text_value(o, clock_stamp(wall_ms, room));
    out_comma(o);
    buf_add_c(o->b, '"');
    buf_add(o->b, name);
    buf_add(o->b, S("_age_ms\":"));
    buf_add_u64(o->b, now_ms - MIN(wall_ms, now_ms));
}

/* access_log.c - writes records as JSON, from fields.def, or as short lines for people. */
#include "observe/access_log.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"

#define BATCH_BYTES (32u * 1024)
#define BUFFER_BYTES (256u * 1024)

enum access_form
access_log_form(struct str wish, const struct log_file *file)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    bool terminal = log_file_is_terminal(file);
    bool plain = (no_color != NULL && *no_color != '\0') || term == NULL ||
                 strcmp(term, "dumb") == 0 || *term == '\0';

    if (str_eq(wish, S("json")) || (!str_eq(wish, S("text")) && !terminal))
        return ACCESS_JSON;
    return terminal && !plain ? ACCESS_COLOR : ACCESS_TEXT;
}

void
access_log_init(struct access_log *a, struct log_file *file, enum access_form form)
{
    a->file = file;
    a->form = form;
    buf_init(&a->lines, BUFFER_BYTES);
}

/* One function per kind of field; `name` is the literal text before the value. They are inlined
 * because a copy of constant length takes a few instructions, and this runs thirty times per
 * request. */
static INLINED void
field_STR(struct buf *b, struct str name, struct str value)
{
    if (value.n == 0)
        return;
    buf_add_inlined(b, name);
    json_add_str(b, value);
}

/* The attempts of one exchange, oldest first, as an array. */
static void
field_ATTEMPTS(struct buf *b, struct str name, const struct record_attempt *first)
{
    if (first == NULL)
        return;
    buf_add_inlined(b, name);
    for (const struct record_attempt *a = first; a != NULL; a = a->next) {
        /* ids and names of variables hold nothing that JSON escapes */
        buf_add_c(b, a == first ? '[' : ',');
        buf_add_inlined(b, S("{\"provider\":\""));
        buf_add(b, a->target->provider->id);
        buf_add_inlined(b, S("\",\"model\":"));
        json_add_str(b, a->target->wire.model);
        buf_add_inlined(b, S(",\"outcome\":\""));
        buf_add(b, str_c(err_row(a->outcome)->code));
        if (UNLIKELY(a->purpose != NULL)) {
            buf_add_inlined(b, S("\",\"for\":\""));
            buf_add(b, str_c(a->purpose));
        }
        buf_add_inlined(b, S("\",\"status\":"));
        buf_add_i64(b, a->status);
        if (a->credential.n != 0) {
            buf_add_inlined(b, S(",\"credential\":\""));
            buf_add(b, a->credential);
            buf_add_c(b, '"');
        }
        if (a->message.n != 0) {
            buf_add_inlined(b, S(",\"message\":"));
            json_add_str(b, a->message);
        }
        buf_add_inlined(b, S(",\"reused\":"));
        buf_add(b, a->reused ? S("true") : S("false"));
        if (a->resent != 0) {
            buf_add_inlined(b, S(",\"resent\":"));
            buf_add_u64(b, a->resent);
        }
        buf_add_inlined(b, S(",\"head_us\":"));
        buf_add_u64(b, a->head_us != 0 ? a->head_us - a->started_us : 0);
        buf_add_inlined(b, S(",\"us\":"));
        buf_add_u64(b, a->ended_us - a->started_us);
        buf_add_c(b, '}');
    }
    buf_add_c(b, ']');
}

static void
field_ROUTE(struct buf *b, struct str name, const struct explain_decision *d)
{
    struct json_out o = json_out(b);

    if (d == NULL)
        return;
    buf_add(b, name);
    explain_write(&o, d, false);
}

static INLINED void
field_U64(struct buf *b, struct str name, uint64_t value)
{
    buf_add_inlined(b, name);
    buf_add_u64(b, value);
}

static INLINED void
field_I64(struct buf *b, struct str name, int64_t value)
{
    buf_add_inlined(b, name);
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
        buf_add_inlined(b, name);
        buf_add_inlined(b, S("true"));
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
    buf_add_inlined(b, name);
    buf_add_u64(b, (uint64_t)us / 1000);
    buf_add_inlined(b, str_make(frac, sizeof(frac)));
}

void
access_log_json(struct buf *b, const struct record *r)
{
    char stamp[CLOCK_STAMP_ROOM];

    buf_add_inlined(b, S("{\"ts\":\""));
    buf_add(b, clock_stamp(r->wall_ms, stamp));
    buf_add_c(b, '"');
#define FIELD(kind, name, value) field_##kind(b, S(",\"" name "\":"), value);
#include "observe/fields.def"
#undef FIELD
    buf_add_c(b, '}');
}

/* --- for people --- */

#define DIM "2"
#define RED "31"
#define GREEN "32"
#define YELLOW "33"

static void
paint(const struct access_log *a, struct buf *b, const char *color, struct str text)
{
    if (a->form == ACCESS_COLOR)
        buf_printf(b, "\033[%sm", color);
    log_add_visible(b, text);
    if (a->form == ACCESS_COLOR)
        buf_add(b, S("\033[0m"));
}

static void
add_time(struct buf *b, const char *before, int64_t us)
{
    if (us >= 1000000)
        buf_printf(b, "%s%.2f s", before, (double)us / 1000000);
    else
        buf_printf(b, "%s%.1f ms", before, (double)us / 1000);
}

/* "fast -> openai/gpt-4o-mini": the requested model, then provider and model if they differ. */
static void
add_models(struct buf *b, const struct record *r)
{
    char name[512];
    int n = r->target == NULL ? 0
                              : snprintf(name, sizeof(name), STR_FMT "/" STR_FMT,
                                    STR_ARG(record_provider(r)), STR_ARG(record_model(r)));
    struct str answered = str_make(name, MIN((size_t)n, sizeof(name) - 1));

    if (r->model_requested.n != 0) {
        buf_add(b, S("  "));
        log_add_visible(b, r->model_requested);
    }
    if (answered.n != 0 && !str_eq(answered, r->model_requested)) {
        buf_add(b, r->model_requested.n != 0 ? S(" -> ") : S("  "));
        log_add_visible(b, answered);
    }
    if (r->attempt_count > 1)
        buf_printf(b, " (attempt %u)", r->attempt_count);
}

/* 10:54:47 200 POST /v1/chat/completions  fast -> openai/gpt-4o-mini  12+340 tokens  1.24 s, first
 * token 310.0 ms */
static void
write_text(const struct access_log *a, struct buf *b, const struct record *r)
{
    char stamp[CLOCK_STAMP_ROOM], status[24];
    struct str time = str_skip(clock_stamp(r->wall_ms, stamp), sizeof("2026-11-21T") - 1);
    int n = snprintf(status, sizeof(status), "%d", r->status);

    paint(a, b, DIM, str_make(time.p, MIN(time.n, sizeof("10:54:47") - 1)));
    buf_add_c(b, ' ');
    paint(a, b,
        r->status >= 500   ? RED
        : r->status >= 400 ? YELLOW
                           : GREEN,
        str_make(status, (size_t)n));
    if (r->method.n != 0) {
        buf_add_c(b, ' ');
        log_add_visible(b, r->method);
        buf_add_c(b, ' ');
        log_add_visible(b, r->path);
    }
    add_models(b, r);
    if (usage_known(&r->usage))
        buf_printf(b, "  %s%lld+%lld tokens", r->usage_estimated ? "~" : "",
            (long long)r->usage.input, (long long)r->usage.output);
    if (r->duration_us >= 0)
        add_time(b, "  ", r->duration_us);
    if (r->stream && r->first_token_us >= 0)
        add_time(b, ", first token ", r->first_token_us);
    if (r->client_abort)
        buf_add(b, S("  the caller left"));
    if (r->error != OK) {
        buf_add(b, S("  "));
        paint(a, b, r->status >= 500 ? RED : YELLOW, record_error(r));
        buf_add(b, S(": "));
        log_add_visible(b, r->error_message);
        buf_add_c(b, ' ');
        paint(a, b, DIM, r->request_id);
    }
    buf_add_c(b, '\n');
}

/* A batch is passed on before the next line is written, so that a line can be looked at. */
struct str
access_log_write(struct access_log *a, const struct record *r)
{
    struct buf *b = &a->lines;

    if (a->file == NULL)
        return S("");
    if (buf_len(b) >= BATCH_BYTES)
        access_log_flush(a);
    size_t before = buf_len(b);
    if (a->form != ACCESS_JSON) {
        write_text(a, b, r);
    } else {
        access_log_json(b, r);
        buf_add_c(b, '\n');
    }
    if (b->overflow)
        buf_truncate(b, before);
    if (a->form != ACCESS_JSON || buf_len(b) == before)
        return S("");
    return str_make(buf_str(b).p + before, buf_len(b) - before - 1);
}

void
access_log_add(struct access_log *a, struct str json)
{
    struct buf *b = &a->lines;
    size_t before = buf_len(b);

    if (a->file == NULL || a->form != ACCESS_JSON)
        return;
    buf_add(b, json);
    buf_add_c(b, '\n');
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

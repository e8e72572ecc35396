/* entry.c - reads and writes models as JSON. */
#include "catalog/entry.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "catalog/words.h"

enum { TIERS_MOST = 16, WINDOWS_MOST = 16, SPANS_MOST = 32, HISTORY_MOST = 1000 };

#define TOKENS_MOST INT64_C(1000000000)    /* of a context */
#define USD_MOST 1e6                       /* of a price */

/* --- reading --- */

struct entry_reader {
    struct arena *a;
    struct model_row *row;
    struct model_base *base;    /* of this row only, once an entry says something about it */
    entry_tell *tell;
    void *arg;
    struct str at;    /* "price.tiers." before the member that is read */
};

/* What it quotes is of a file that others wrote, and is shown in terminals. */
static void PRINTF_LIKE(3, 4)
    wrong(struct entry_reader *r, struct str member, const char *format, ...)
{
    char text[256];
    struct buf visible;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    buf_init(&visible, 4096);
    log_add_visible(&visible, str_make(member.p, MIN(member.n, 64)));
    buf_add(&visible, S(": "));
    log_add_visible(&visible, str_c(text));
    r->tell(
        r->arg, arena_printf(r->a, STR_FMT STR_FMT, STR_ARG(r->at), STR_ARG(buf_str(&visible))));
    buf_fini(&visible);
}

/* The place of a word in a list, or -1, after saying what there is. */
static int
word_at(struct entry_reader *r, struct str member, struct str word, const struct word_list *words)
{
    struct str all = S("");

    for (size_t i = 0; i < words->count; i++) {
        const char *one = words->list[i];

        if (one[0] == '\0')
            continue;    /* it is not said */
        if (str_eq(word, str_c(one)))
            return (int)i;
        all = arena_printf(r->a, STR_FMT "%s%s", STR_ARG(all), all.n == 0 ? "" : ", ", one);
    }
    wrong(r, member, "'%.*s' is not one of " STR_FMT, (int)MIN(word.n, 40),
        word.n != 0 ? word.p : "", STR_ARG(all));
    return -1;
}

static void
read_word(struct entry_reader *r, struct str member, const struct json *v,
    const struct word_list *words, uint8_t *ret)
{
    int place = word_at(r, member, json_str(r->a, v), words);

    if (place >= 0)
        *ret = (uint8_t)place;
}

static void
read_bits(struct entry_reader *r, struct str member, const struct json *v,
    const struct word_list *words, uint8_t *ret)
{
    struct json_iter it = json_iter(v);
    unsigned bits = 0;

    if (!json_is(v, JSON_ARRAY)) {
        wrong(r, member, "write a list of words");
        return;
    }
    while (json_next(&it)) {
        int place = word_at(r, member, json_str(r->a, it.value), words);

        if (place >= 0)
            bits |= 1u << place;
    }
    *ret = (uint8_t)bits;
}

static int64_t
read_whole(
    struct entry_reader *r, struct str member, const struct json *v, int64_t most, int64_t fallback)
{
    double n = json_f64(v, -1);

    if (json_is(v, JSON_NUMBER) && n >= 0 && n <= (double)most && n == floor(n))
        return (int64_t)n;
    wrong(r, member, "write a whole number up to %lld", (long long)most);
    return fallback;
}

/* "2026-11", as 20261100. */
static uint32_t
read_date(struct entry_reader *r, struct str member, const struct json *v, uint32_t fallback)
{
    struct str s = json_str(r->a, v);
    uint32_t n = 0;
    bool good = s.n == 4 || s.n == 7 || s.n == 10;

    for (size_t i = 0; i < s.n && good; i++) {
        if (i == 4 || i == 7)
            good = s.p[i] == '-';
        else if ((good = str_is_digit(s.p[i])))
            n = n * 10 + (uint32_t)(s.p[i] - '0');
    }
    if (good)
        return s.n == 4 ? n * 10000 : s.n == 7 ? n * 100 : n;
    wrong(r, member, "write a date such as 2026-11-20");
    return fallback;
}

static const char *
read_c(struct entry_reader *r, const struct json *v)
{
    struct str s = json_str(r->a, v);

    return s.n != 0 ? arena_printf(r->a, STR_FMT, STR_ARG(s)).p : NULL;
}

static void
read_abilities(struct entry_reader *r, const struct json *v)
{
    struct json_iter it = json_iter(v);

    while (json_next(&it)) {
        int place = word_at(r, S("capabilities"), json_str(r->a, it.key), &words_abilities);
        uint32_t bit = place >= 0 ? 1u << place : 0;

        if (it.value->type != JSON_TRUE && it.value->type != JSON_FALSE && json_present(it.value))
            wrong(r, S("capabilities"), "write true or false, or null where it is not known");
        r->row->can &= ~bit;
        r->row->cannot &= ~bit;
        if (it.value->type == JSON_TRUE)
            r->row->can |= bit;
        else if (it.value->type == JSON_FALSE)
            r->row->cannot |= bit;
    }
}

/* --- prices --- */

static void
read_price(
    struct entry_reader *r, unsigned unit, const struct json *v, int64_t *amounts, uint32_t *known)
{
    double usd = json_f64(v, -1);

    if (!json_present(v))
        return;
    if (!json_is(v, JSON_NUMBER) || !(usd >= 0 && usd <= USD_MOST)) {
        wrong(r, price_unit_word(unit), "write a number of dollars");
        return;
    }
    amounts[unit] = (int64_t)llround(usd * 1e12 / price_unit_per(unit));
    *known |= 1u << unit;
}

static struct price_list
pack_prices(struct arena *a, const int64_t *amounts, uint32_t known)
{
    int64_t *packed = arena_array(a, int64_t, PRICES);
    size_t n = 0;

    for (unsigned i = 0; i < PRICES; i++)
        if ((known & 1u << i) != 0)
            packed[n++] = amounts[i];
    return (struct price_list){ packed, known };
}

/* Reads the prices among the members of an object; other members are given to `other`, which says whether it
 * knows them. */
static struct price_list
read_list(struct entry_reader *r, const struct json *v,
    bool (*other)(struct entry_reader *r, struct str name, const struct json *v, void *arg),
    void *arg)
{
    int64_t amounts[PRICES];
    uint32_t known = 0;
    struct json_iter it = json_iter(v);

    while (json_next(&it)) {
        struct str name = json_str(r->a, it.key);
        unsigned unit = 0;

        while (unit < PRICES && !str_eq(name, price_unit_word(unit)))
            unit++;
        if (unit < PRICES)
            read_price(r, unit, it.value, amounts, &known);
        else if (!other(r, name, it.value, arg))
            wrong(r, name, "there is no such price; docs/catalog.md lists them");
    }
    return pack_prices(r->a, amounts, known);
}

static bool
read_tier_member(struct entry_reader *r, struct str name, const struct json *v, void *arg)
{
    struct price_tier *tier = arg;

    if (!str_eq(name, S("above")))
        return false;
    tier->above_tokens = read_whole(r, name, v, TOKENS_MOST, 0);
    return true;
}

static void
read_tiers(struct entry_reader *r, const struct json *v, struct price_sheet *sheet)
{
    struct price_tier *tiers = arena_array(r->a, struct price_tier, TIERS_MOST);
    struct json_iter it = json_iter(v);

    r->at = S("price.tiers.");
    while (json_next(&it)) {
        struct price_tier *tier = &tiers[sheet->tier_count];

        if (sheet->tier_count == TIERS_MOST) {
            wrong(r, S(""), "more than %d", TIERS_MOST);
            break;
        }
        tier->list = read_list(r, it.value, read_tier_member, tier);
        if (tier->above_tokens == 0 ||
            (sheet->tier_count > 0 && tier[-1].above_tokens >= tier->above_tokens))
            wrong(r, S("above"), "each tier begins above more tokens than the one before it");
        else
            sheet->tier_count++;
    }
    r->at = S("price.");
    sheet->tiers = tiers;
}

/* "01:30" in minutes; -1 if it is not that. */
static int
minute_of_day(struct str s)
{
    uint64_t hour, minute;

    if (s.n != 5 || s.p[2] != ':' || !str_u64(str_make(s.p, 2), &hour) ||
        !str_u64(str_make(s.p + 3, 2), &minute) || hour > 24 || minute > 59 ||
        (hour == 24 && minute != 0))
        return -1;
    return (int)(hour * 60 + minute);
}

/* "mon" or "mon-fri" as bits; 0 if it is not that. */
static unsigned
week_days(struct str s)
{
    struct str first, last;
    unsigned from = 7, to = 7, bits = 0;

    if (!str_cut(s, '-', &first, &last))
        first = last = s;
    for (unsigned i = 0; i < 7; i++) {
        from = str_eq(first, str_c(words_days.list[i])) ? i : from;
        to = str_eq(last, str_c(words_days.list[i])) ? i : to;
    }
    for (unsigned i = from; to < 7 && i <= to; i++)
        bits |= 1u << i;
    return bits;
}

/* "mon-fri 01:00-04:00,06:00-10:00; sat 10:00-12:00" */
static bool
read_spans(struct str text, struct price_span *spans, size_t *count)
{
    struct str part, times, day, time, from, to;

    while (text.n != 0) {
        (void)str_cut(text, ';', &part, &text);
        if (!str_cut(str_trim(part), ' ', &day, &times))
            return false;
        while (times.n != 0) {
            (void)str_cut(times, ',', &time, &times);
            if (*count == SPANS_MOST || !str_cut(str_trim(time), '-', &from, &to))
                return false;
            struct price_span *s = &spans[*count];
            int begin = minute_of_day(from), end = minute_of_day(to);

            s->days = (uint8_t)week_days(day);
            if (s->days == 0 || begin < 0 || end <= begin)
                return false;
            s->from_min = (uint16_t)begin;
            s->to_min = (uint16_t)end;
            (*count)++;
        }
    }
    return *count != 0;
}

static bool
read_window_member(struct entry_reader *r, struct str name, const struct json *v, void *arg)
{
    struct price_window *w = arg;
    struct str text = json_str(r->a, v);

    if (str_eq(name, S("name"))) {
        w->name = text;
        return true;
    }
    if (!str_eq(name, S("utc")))
        return false;
    struct price_span *spans = arena_array(r->a, struct price_span, SPANS_MOST);
    w->outside = str_starts(text, S("!"));
    if (!read_spans(w->outside ? str_skip(text, 1) : text, spans, &w->span_count)) {
        wrong(r, name,
            "write days and times such as 'mon-fri 01:00-04:00,06:00-10:00; sat 00:00-24:00', "
            "with '!' in front for all other times");
        w->span_count = 0;
    }
    w->spans = spans;
    return true;
}

static void
read_windows(struct entry_reader *r, const struct json *v, struct price_sheet *sheet)
{
    struct price_window *windows = arena_array(r->a, struct price_window, WINDOWS_MOST);
    struct json_iter it = json_iter(v);

    r->at = S("price.windows.");
    while (json_next(&it)) {
        struct price_window *w = &windows[sheet->window_count];

        if (sheet->window_count == WINDOWS_MOST) {
            wrong(r, S(""), "more than %d", WINDOWS_MOST);
            break;
        }
        w->list = read_list(r, it.value, read_window_member, w);
        if (w->span_count != 0)
            sheet->window_count++;
    }
    r->at = S("price.");
    sheet->windows = windows;
}

static bool
read_sheet_member(struct entry_reader *r, struct str name, const struct json *v, void *arg)
{
    struct price_sheet *sheet = arg;
    struct str text = json_str(r->a, v);
    int64_t ms;

    if (str_eq(name, S("tiers"))) {
        read_tiers(r, v, sheet);
    } else if (str_eq(name, S("windows"))) {
        read_windows(r, v, sheet);
    } else if (str_eq(name, S("plan"))) {
        sheet->plan = json_is(v, JSON_TRUE);
    } else if (str_eq(name, S("since"))) {
        if (text.n == 10)
            text = arena_printf(r->a, STR_FMT "T00:00:00Z", STR_ARG(text));
        if (clock_timestamp(text, &ms) && ms >= 0)
            sheet->since_s = ms / 1000;
        else
            wrong(r, name, "write a date such as 2026-11-20, or 2026-11-20T10:00:00Z");
    } else {
        return false;
    }
    return true;
}

static struct price_sheet *
read_sheet(struct entry_reader *r, const struct json *v)
{
    struct price_sheet *sheet = arena_new(r->a, struct price_sheet);

    if (!json_is(v, JSON_OBJECT)) {
        wrong(r, S("price"), "write its prices by name, such as {input: 0.2, output: 0.6}");
        return NULL;
    }
    r->at = S("price.");
    sheet->list = read_list(r, v, read_sheet_member, sheet);
    r->at = S("");
    return sheet;
}

/* The history, newest first, with the sheet in it, in place of one that begins when it does. What is newer is copied: others
 * may have it too. The recursion is as deep as that is long, HISTORY_MOST at most. */
static const struct price_sheet *
put_sheet(struct arena *a, const struct price_sheet *history, struct price_sheet *sheet)
{
    struct price_sheet *newer;

    if (history == NULL || history->since_s <= sheet->since_s) {
        bool same = history != NULL && history->since_s == sheet->since_s;

        sheet->older = same ? history->older : history;
        return sheet;
    }
    newer = arena_new(a, struct price_sheet);
    *newer = *history;
    newer->older = put_sheet(a, history->older, sheet);
    return newer;
}

/* A price without a date is all that there is, and was. */
static void
add_sheet(struct entry_reader *r, struct price_sheet *sheet)
{
    if (sheet == NULL)
        return;
    r->row->price = sheet->since_s != 0 ? put_sheet(r->a, r->row->price, sheet) : sheet;
}

static int
sheet_order(const void *a, const void *b)
{
    const struct price_sheet *x = *(struct price_sheet *const *)a,
                             *y = *(struct price_sheet *const *)b;

    return (x->since_s > y->since_s) - (x->since_s < y->since_s);
}

/* Oldest first, whatever their order in the entry, so that each is put in front of those before it. */
static void
read_history(struct entry_reader *r, const struct json *v)
{
    struct price_sheet **list;
    struct json_iter it = json_iter(v);
    size_t n = 0;

    if (!json_is(v, JSON_ARRAY) || json_count(v) > HISTORY_MOST) {
        wrong(r, S("prices"), "write a list of up to %d price sections", HISTORY_MOST);
        return;
    }
    list = arena_array(r->a, struct price_sheet *, json_count(v) + 1);
    while (json_next(&it))
        if ((list[n] = read_sheet(r, it.value)) != NULL)
            n++;
    qsort(list, n, sizeof(list[0]), sheet_order);
    for (size_t i = 0; i < n; i++)
        add_sheet(r, list[i]);
}

/* --- the entry --- */

static struct model_base *
own_base(struct entry_reader *r)
{
    if (r->base == NULL) {
        r->base = arena_new(r->a, struct model_base);
        *r->base = r->row->base != NULL ? *r->row->base : (struct model_base){ .id = r->row->id };
        r->row->base = r->base;
    }
    return r->base;
}

static void
read_base(struct entry_reader *r, const struct json *v)
{
    struct str id = json_str(r->a, v);
    const struct model_base *known = model_base(id);

    if (id.n == 0) {
        wrong(r, S("base"), "write the name of a model");
    } else if (known != NULL) {
        r->row->base = known;
    } else {
        struct model_base *fresh = arena_new(r->a, struct model_base);

        fresh->id = id;
        r->row->base = fresh;
    }
}

/* A number with a fraction, in units of 1/factor. */
static int
read_prior(
    struct entry_reader *r, struct str member, const struct json *v, double most, double factor)
{
    double n = json_f64(v, -1);

    if (json_is(v, JSON_NUMBER) && n >= 0 && n <= most)
        return MAX((int)(n * factor + 0.5), 1);
    wrong(r, member, "write a number from 0 to %g", most);
    return 0;
}

static bool
read_of_base(struct entry_reader *r, struct str name, const struct json *v)
{
    if (str_eq(name, S("quality"))) {
        struct model_base *b = own_base(r);
        int quality = read_prior(r, name, v, 100, 10);

        b->quality_assumed = b->quality_assumed && quality == b->quality_permille;
        b->quality_permille = quality;
    } else if (str_eq(name, S("quality_coding"))) {
        own_base(r)->quality_coding_permille = read_prior(r, name, v, 100, 10);
    } else if (str_eq(name, S("quality_agentic"))) {
        own_base(r)->quality_agentic_permille = read_prior(r, name, v, 100, 10);
    } else if (str_eq(name, S("tokens_per_s"))) {
        own_base(r)->tokens_per_s = read_prior(r, name, v, 100000, 1);
    } else if (str_eq(name, S("first_token_s"))) {
        own_base(r)->first_token_ms = read_prior(r, name, v, 3600, 1000);
    } else {
        return false;
    }
    return true;
}

static bool
read_tokens(struct entry_reader *r, struct str name, const struct json *v)
{
    struct model_row *row = r->row;

    if (str_eq(name, S("context")))
        row->context_tokens = read_whole(r, name, v, TOKENS_MOST, row->context_tokens);
    else if (str_eq(name, S("max_input")))
        row->input_tokens = read_whole(r, name, v, TOKENS_MOST, row->input_tokens);
    else if (str_eq(name, S("output")))
        row->output_tokens = read_whole(r, name, v, TOKENS_MOST, row->output_tokens);
    else if (str_eq(name, S("cache_min")))
        row->cache_tokens = read_whole(r, name, v, TOKENS_MOST, row->cache_tokens);
    else if (str_eq(name, S("dimensions")))
        row->dimensions = (uint16_t)read_whole(r, name, v, UINT16_MAX, row->dimensions);
    else
        return false;
    return true;
}

static bool
read_texts(struct entry_reader *r, struct str name, const struct json *v)
{
    struct model_row *row = r->row;

    if (str_eq(name, S("mode")))
        read_word(r, name, v, &words_modes, &row->mode);
    else if (str_eq(name, S("status")))
        read_word(r, name, v, &words_statuses, &row->status);
    else if (str_eq(name, S("takes")))
        read_bits(r, name, v, &words_media, &row->takes);
    else if (str_eq(name, S("makes")))
        read_bits(r, name, v, &words_media, &row->makes);
    else if (str_eq(name, S("efforts")))
        read_bits(r, name, v, &words_efforts, &row->efforts);
    else if (str_eq(name, S("tokenizer")))
        read_word(r, name, v, &words_tokenizers, &row->tokenizer);
    else if (str_eq(name, S("region")))
        row->region = read_c(r, v);
    else if (str_eq(name, S("replacement")))
        row->replacement = read_c(r, v);
    else if (str_eq(name, S("released")))
        row->released = read_date(r, name, v, row->released);
    else if (str_eq(name, S("ends")))
        row->ends = read_date(r, name, v, row->ends);
    else if (str_eq(name, S("floating")))
        row->floating = json_is(v, JSON_TRUE);
    else
        return false;
    return true;
}

static void
read_member(struct entry_reader *r, struct str name, const struct json *v)
{
    if (str_eq(name, S("id")) || str_eq(name, S("base")) || !json_present(v))
        return;    /* read before the others, or nothing is said */
    if (str_eq(name, S("capabilities")))
        read_abilities(r, v);
    else if (str_eq(name, S("price")))
        add_sheet(r, read_sheet(r, v));
    else if (str_eq(name, S("prices")))
        read_history(r, v);
    else if (!read_of_base(r, name, v) && !read_tokens(r, name, v) && !read_texts(r, name, v))
        wrong(r, name, "there is no such fact about a model; docs/catalog.md lists them");
}

/* What wires must know and follows from the rest; see row_traits() of tools/models.py. */
static void
derive_traits(struct arena *a, struct model_row *row, const struct model_row *known)
{
    struct traits *t = arena_new(a, struct traits);

    if (known != NULL)
        *t = *known->traits;
    if (row->mode == MODE_EMBEDDING)
        t->embedding = YES;
    if (model_can(row, CAN_reasoning) != UNSAID)
        t->reasoning = model_can(row, CAN_reasoning) == YES ? YES : UNSAID;
    if (model_can(row, CAN_temperature) != UNSAID)
        t->sampling_fixed = model_can(row, CAN_temperature) == NO ? YES : NO;
    if (model_can(row, CAN_prefill) != UNSAID)
        t->no_prefill = model_can(row, CAN_prefill) == NO ? YES : NO;
    row->traits = t;
}

struct model_row *
entry_read(struct arena *a, const struct json *entry, const struct model_row *known,
    entry_tell *tell, void *arg)
{
    struct str id = json_str(a, json_get(entry, S("id")));
    struct entry_reader r = { .a = a, .tell = tell, .arg = arg, .at = S("") };
    struct json_iter it = json_iter(entry);
    size_t slash = str_chr(id, '/');

    if (slash == 0 || slash + 1 >= id.n || id.n >= MODEL_BYTES) {
        wrong(&r, S("id"), "write provider/model");
        return NULL;
    }
    r.row = arena_new(a, struct model_row);
    *r.row = known != NULL ? *known
                           : (struct model_row){ .mode = MODE_CHAT,
                                 .status = STATUS_ACTIVE,
                                 .takes = MEDIA_TEXT,
                                 .makes = MEDIA_TEXT };
    r.row->id = id;
    if (json_present(json_get(entry, S("base"))))
        read_base(&r, json_get(entry, S("base")));
    while (json_next(&it))
        read_member(&r, json_str(a, it.key), it.value);
    derive_traits(a, r.row, known);
    return r.row;
}

/* --- writing --- */

static void
write_words(struct json_out *o, struct str name, unsigned bits, const struct word_list *words)
{
    if (bits == 0)
        return;
    out_key_str(o, name);
    out_array(o);
    for (size_t i = 0; i < words->count; i++)
        if ((bits & 1u << i) != 0)
            out_text_value(o, str_c(words->list[i]));
    out_end_array(o);
}

static void
write_date(struct json_out *o, struct str name, uint32_t date)
{
    char room[MODEL_DATE_ROOM];

    if (date == 0)
        return;
    out_key_str(o, name);
    out_text_value(o, model_date_text(date, room));
}

static void
write_number(struct json_out *o, struct str name, double n)
{
    if (n == 0)
        return;
    out_key_str(o, name);
    out_comma(o);
    json_add_f64(o->b, n);
}

static void
write_prices(struct json_out *o, const struct price_list *list)
{
    for (unsigned i = 0; i < PRICES; i++) {
        int64_t nanousd = price_of(list, i);

        if (nanousd < 0)
            continue;
        out_key_str(o, price_unit_word(i));
        out_comma(o);
        json_add_f64(o->b, (double)nanousd * price_unit_per(i) / 1e12);
    }
}

static void
write_window_times(struct json_out *o, const struct price_window *w)
{
    struct buf text;

    buf_init(&text, 4096);
    buf_add(&text, w->outside ? S("!") : S(""));
    for (size_t i = 0; i < w->span_count; i++) {
        const struct price_span *s = &w->spans[i];
        unsigned first = (unsigned)__builtin_ctz(s->days),
                 last = 31 - (unsigned)__builtin_clz(s->days);

        buf_printf(&text, "%s%s%s%s %02u:%02u-%02u:%02u", i == 0 ? "" : "; ",
            words_days.list[first], first == last ? "" : "-",
            first == last ? "" : words_days.list[last], s->from_min / 60, s->from_min % 60,
            s->to_min / 60, s->to_min % 60);
    }
    out_text(o, "utc", buf_str(&text));
    buf_fini(&text);
}

static void
write_sheet(struct json_out *o, const struct price_sheet *sheet)
{
    char room[CLOCK_STAMP_ROOM];

    out_object(o);
    if (sheet->since_s != 0)
        out_text(o, "since", clock_stamp((uint64_t)sheet->since_s * 1000, room));
    if (sheet->plan)
        out_bool(o, "plan", true);
    write_prices(o, &sheet->list);
    if (sheet->tier_count != 0) {
        out_key_array(o, "tiers");
        for (size_t i = 0; i < sheet->tier_count; i++) {
            out_object(o);
            out_i64(o, "above", sheet->tiers[i].above_tokens);
            write_prices(o, &sheet->tiers[i].list);
            out_end(o);
        }
        out_end_array(o);
    }
    if (sheet->window_count != 0) {
        out_key_array(o, "windows");
        for (size_t i = 0; i < sheet->window_count; i++) {
            out_object(o);
            out_text(o, "name", sheet->windows[i].name);
            write_window_times(o, &sheet->windows[i]);
            write_prices(o, &sheet->windows[i].list);
            out_end(o);
        }
        out_end_array(o);
    }
    out_end(o);
}

static void
write_base(struct json_out *o, const struct model_base *b)
{
    out_text(o, "base", b->id);
    write_number(o, S("quality"), b->quality_permille / 10.0);
    write_number(o, S("quality_coding"), b->quality_coding_permille / 10.0);
    write_number(o, S("quality_agentic"), b->quality_agentic_permille / 10.0);
    write_number(o, S("tokens_per_s"), b->tokens_per_s);
    write_number(o, S("first_token_s"), b->first_token_ms / 1000.0);
}

void
entry_write(struct json_out *o, const struct model_row *row)
{
    out_object(o);
    out_text(o, "id", row->id);
    out_text(o, "mode", model_mode_word(row->mode));
    out_text(o, "status", model_status_word(row->status));
    if (row->base != NULL)
        write_base(o, row->base);
    write_number(o, S("context"), (double)row->context_tokens);
    write_number(o, S("max_input"), (double)row->input_tokens);
    write_number(o, S("output"), (double)row->output_tokens);
    write_number(o, S("dimensions"), row->dimensions);
    write_number(o, S("cache_min"), (double)row->cache_tokens);
    write_words(o, S("takes"), row->takes, &words_media);
    write_words(o, S("makes"), row->makes, &words_media);
    write_words(o, S("efforts"), row->efforts, &words_efforts);
    if ((row->can | row->cannot) != 0) {
        out_key_object(o, "capabilities");
        for (unsigned i = 0; i < ABILITIES; i++)
            if (model_can(row, i) != UNSAID) {
                out_key_str(o, model_ability_word(i));
                out_raw_value(o, model_can(row, i) == YES ? S("true") : S("false"));
            }
        out_end(o);
    }
    if (row->floating)
        out_bool(o, "floating", true);
    if (row->tokenizer != 0)
        out_text(o, "tokenizer", str_c(words_tokenizers.list[row->tokenizer]));
    if (row->region != NULL)
        out_text(o, "region", str_c(row->region));
    write_date(o, S("released"), row->released);
    write_date(o, S("ends"), row->ends);
    if (row->replacement != NULL)
        out_text(o, "replacement", str_c(row->replacement));
    if (row->price != NULL) {
        out_key_array(o, "prices");
        for (const struct price_sheet *s = row->price; s != NULL; s = s->older)
            write_sheet(o, s);
        out_end_array(o);
    }
    out_end(o);
}

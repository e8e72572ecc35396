/* price.c - picks the prices that apply to a request, and adds up what it costs. */
#include "catalog/price.h"

enum { MINUTES_PER_DAY = 24 * 60, DAYS_PER_WEEK = 7, THURSDAY = 3 };

int64_t
price_of(const struct price_list *list, enum price_unit unit)
{
    uint32_t bit = 1u << unit;

    if ((list->known & bit) == 0)
        return PRICE_UNKNOWN;
    return list->nanousd_per_1k[__builtin_popcount(list->known & (bit - 1))];
}

const struct price_sheet *
price_sheet_at(const struct price_sheet *sheet, int64_t wall_s)
{
    while (sheet != NULL && sheet->since_s > wall_s)
        sheet = sheet->older;
    return sheet;
}

static bool
window_is_open(const struct price_window *w, int64_t wall_s)
{
    int64_t minutes = wall_s / 60;
    int64_t day = (minutes / MINUTES_PER_DAY + THURSDAY) % DAYS_PER_WEEK;    /* as 1970-01-01 was */
    int64_t minute = minutes % MINUTES_PER_DAY;

    for (size_t i = 0; i < w->span_count; i++) {
        const struct price_span *s = &w->spans[i];

        if ((s->days >> day & 1) != 0 && minute >= s->from_min && minute < s->to_min)
            return !w->outside;
    }
    return w->outside;
}

/* --- which prices apply --- */

/* The usual list and the one that replaces it for this request, which may give only some prices,
 * and what the service tier makes of both. */
struct applied {
    const struct price_list *usual;
    const struct price_list *now;    /* the same if nothing replaces it */
    enum price_unit service_input, service_output;
    bool service;
};

static struct applied
apply(const struct price_sheet *sheet, int64_t input, const struct price_when *when)
{
    static const struct {
        enum price_unit input, output;
    } services[] = {
        [SERVICE_STANDARD] = { PRICE_input, PRICE_output },
        [SERVICE_BATCH] = { PRICE_batch_input, PRICE_batch_output },
        [SERVICE_FLEX] = { PRICE_flex_input, PRICE_flex_output },
        [SERVICE_PRIORITY] = { PRICE_priority_input, PRICE_priority_output },
    };
    struct applied a = {
        .usual = &sheet->list,
        .now = &sheet->list,
        .service_input = services[when->service].input,
        .service_output = services[when->service].output,
        .service = when->service != SERVICE_STANDARD,
    };

    for (size_t i = 0; i < sheet->window_count; i++)
        if (window_is_open(&sheet->windows[i], when->wall_s)) {
            a.now = &sheet->windows[i].list;
            break;
        }
    for (size_t i = 0; i < sheet->tier_count && input > sheet->tiers[i].above_tokens; i++)
        a.now = &sheet->tiers[i].list;
    return a;
}

/* price x to / from, rounded to the nearest; unknown if one of them is, or the proportion to a free
 * price. */
static int64_t
in_proportion(int64_t price, int64_t to, int64_t from)
{
    int64_t scaled;

    if (price == 0 || to == from)
        return price;
    if (price < 0 || to < 0 || from <= 0 || __builtin_mul_overflow(price, to, &scaled) ||
        __builtin_add_overflow(scaled, from / 2, &scaled))
        return PRICE_UNKNOWN;
    return scaled / from;
}

/* The price of a unit that is billed like `like` (input or output) where nothing else is said. */
static int64_t
applied_price(const struct applied *a, enum price_unit unit, enum price_unit like)
{
    int64_t price = price_of(a->now, unit);

    if (a->now == a->usual && !a->service)    /* as nearly always */
        return price >= 0 ? price : price_of(a->now, like);
    int64_t usual = price_of(a->usual, like), now = price_of(a->now, like);
    if (now < 0)
        now = usual;
    if (price < 0 && a->now != a->usual)
        price = in_proportion(price_of(a->usual, unit), now, usual);
    if (price < 0)
        price = now;
    if (a->service) {
        enum price_unit served = like == PRICE_input ? a->service_input : a->service_output;

        price = in_proportion(price, price_of(a->usual, served), usual);
    }
    return price;
}

/* --- the sum --- */

struct bill {
    const struct applied *prices;
    int64_t sum_per_1k;
    bool known;
};

/* Adds tokens; their price counts only if there are any. */
static void
bill_add(struct bill *b, int64_t tokens, enum price_unit unit, enum price_unit like)
{
    int64_t price, cost;

    if (tokens <= 0)
        return;
    price = applied_price(b->prices, unit, like);
    if (price < 0 || __builtin_mul_overflow(tokens, price, &cost) ||
        __builtin_add_overflow(b->sum_per_1k, cost, &b->sum_per_1k))
        b->known = false;
}

/* What is written for an hour costs at least what is written for five minutes. */
static enum price_unit
hour_price(const struct applied *a)
{
    return price_of(a->now, PRICE_cache_write_1h) >= 0 ||
                   price_of(a->usual, PRICE_cache_write_1h) >= 0
               ? PRICE_cache_write_1h
               : PRICE_cache_write;
}

/* The usage as it is billed: a provider that says what it bills does not discount parts of it; and
 * what has a price for a search is billed by searches, or else by tokens. */
static struct llm_usage
billed(const struct llm_usage *u, const struct price_sheet *sheet)
{
    struct llm_usage b = *u;

    if (usage_has(u, COUNT_SEARCHES) &&
        (price_of(&sheet->list, PRICE_per_query) >= 0 || !usage_has(u, COUNT_INPUT)))
        return (struct llm_usage){ .searches = u->searches };
    b.searches = 0;
    if (usage_has(u, COUNT_BILLED_INPUT)) {
        b.input = u->billed_input;
        b.cached = b.cache_write = b.cache_write_1h = b.audio_input = 0;
    }
    if (usage_has(u, COUNT_BILLED_OUTPUT))
        b.output = u->billed_output;
    return b;
}

int64_t
price_cost(
    const struct price_sheet *sheet, const struct llm_usage *told, const struct price_when *when)
{
    sheet = price_sheet_at(sheet, when->wall_s);
    if (sheet == NULL || sheet->plan || !usage_known(told))
        return COST_UNKNOWN;

    struct llm_usage usage = billed(told, sheet);
    const struct llm_usage *u = &usage;

    /* Each is a part of those before it; some hosts report more cached tokens than input (Grok on
     * Azure). */
    int64_t cached = MIN(u->cached, u->input);
    int64_t written = MIN(u->cache_write, u->input - cached);
    int64_t hour = MIN(u->cache_write_1h, written);
    int64_t heard = MIN(u->audio_input, u->input - cached - written);
    int64_t spoken = MIN(u->audio_output, u->output);
    int64_t reasoned = MIN(u->reasoning, u->output - spoken);
    struct applied prices = apply(sheet, told->input, when);
    struct bill b = { .prices = &prices, .known = true };
    int64_t request = price_of(&sheet->list, PRICE_per_request);

    bill_add(&b, u->input - cached - written - heard, PRICE_input, PRICE_input);
    bill_add(&b, cached, PRICE_cached_input, PRICE_input);
    bill_add(&b, written - hour, PRICE_cache_write, PRICE_input);
    bill_add(&b, hour, hour_price(&prices), PRICE_input);
    bill_add(&b, heard, PRICE_audio_input, PRICE_input);
    bill_add(&b, u->output - spoken - reasoned, PRICE_output, PRICE_output);
    bill_add(&b, reasoned, PRICE_reasoning, PRICE_output);
    bill_add(&b, spoken, PRICE_audio_output, PRICE_output);
    bill_add(&b, u->searches, PRICE_per_query, PRICE_per_query);
    if (request > 0 && __builtin_add_overflow(b.sum_per_1k, request, &b.sum_per_1k))
        b.known = false;
    if (!b.known || __builtin_add_overflow(b.sum_per_1k, 500, &b.sum_per_1k))
        return COST_UNKNOWN;
    return b.sum_per_1k / 1000;
}

int64_t
price_expect(const struct price_sheet *sheet, const struct price_guess *guess)
{
    struct llm_usage u = { 0 };

    if (sheet != NULL && price_of(&sheet->list, PRICE_input) < 0 &&
        price_of(&sheet->list, PRICE_per_query) >= 0) {
        usage_set(&u, COUNT_SEARCHES, 1);
        return price_cost(sheet, &u, &guess->when);
    }
    usage_set(&u, COUNT_INPUT, guess->input);
    usage_set(&u, COUNT_CACHED, guess->cached);
    usage_set(&u, COUNT_CACHE_WRITE, guess->written);
    usage_set(&u, COUNT_OUTPUT, guess->output);
    return price_cost(sheet, &u, &guess->when);
}

/* deadline.c - reads the timeouts that callers ask for.
 *
 * The SDKs' timeouts differ. In JavaScript the timeout covers the time to the response head only.
 * In Python it is a read timeout: the longest silence on the connection, before the head and after
 * it. The gateway's keep-alive comments would hide a dead provider from such a caller, so the
 * gateway enforces the read timeout itself.
 */
#include "gateway/deadline.h"

#include "conf/value.h"

#define LONGEST_MS 86400000u    /* a day: the longest that the configuration allows */

/* SDKs truncate the value to whole seconds. A caller that gives up earlier closes the connection,
 * which ends the request anyway. */
#define SDK_GRACE_MS 1000u

/* "600", "600.0" and "0.25" are seconds; anything else ("None") counts as not given. */
static uint64_t
seconds_as_ms(struct str s)
{
    struct str whole, fraction;
    uint64_t seconds, ms = 0;

    (void)str_cut(s, '.', &whole, &fraction);
    if (!str_u64(whole, &seconds))
        return 0;
    for (size_t i = 0; i < 3; i++) {
        char c = i < fraction.n ? fraction.p[i] : '0';
        if (c < '0' || c > '9')
            return 0;
        ms = ms * 10 + (uint64_t)(c - '0');
    }
    return MIN(seconds, LONGEST_MS / 1000) * 1000 + ms;
}

static uint64_t
shorter(uint64_t a_ms, uint64_t b_ms)
{
    return a_ms == 0 || (b_ms != 0 && b_ms < a_ms) ? b_ms : a_ms;
}

static uint64_t
sdk_wish(const struct http_fields *fields, struct str name)
{
    uint64_t ms = seconds_as_ms(http_field_get(fields, name));

    return ms != 0 ? ms + SDK_GRACE_MS : 0;
}

bool
deadline_read(const struct http_fields *fields, struct deadline *ret)
{
    struct str said = http_field_get(fields, S(DEADLINE_FIELD));
    uint64_t begin_ms = sdk_wish(fields, S("x-stainless-timeout"));
    uint64_t silence_ms = sdk_wish(fields, S("x-stainless-read-timeout"));

    *ret = (struct deadline){ .begin_ms = shorter(begin_ms, silence_ms), .silence_ms = silence_ms };
    if (said.p == NULL)
        return true;
    if ((!str_u64(said, &ret->total_ms) && !value_duration(said, &ret->total_ms)) ||
        ret->total_ms == 0)
        return false;
    ret->total_ms = MIN(ret->total_ms, LONGEST_MS);
    return true;
}

/* cmd_top.c - `openclaw top`: a table of targets, refreshed every second.
 *
 * The gateway tells totals; the rates are made here, from two answers. Plain ANSI sequences, on a
 * screen of their own, so that the terminal is as before when it ends.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "app/admin_client.h"
#include "app/admin_view.h"
#include "app/app.h"
#include "base/json_out.h"
#include "base/map.h"
#include "cli/talk.h"
#include "cli/flags.h"
#include "cli/output.h"

enum { OUTPUT_MAX = 16 * 1024 * 1024, REFRESH_MS = 1000, LINES_USUAL = 24 };

#define SCREEN_BEGIN "\x1b[?1049h\x1b[?25l"
#define SCREEN_END "\x1b[?25h\x1b[?1049l"
#define HOME "\x1b[H"
#define CLEAR_LINE "\x1b[K"
#define CLEAR_REST "\x1b[J"
#define BAD "\x1b[31m"
#define DOUBTFUL "\x1b[33m"
#define NORMAL "\x1b[0m"

/* The totals of a target in an answer. */
struct total {
    uint64_t attempts, failures, tokens;
};

/* What the answer before told. */
struct before {
    struct arena *arena;
    struct map *by_target;
    uint64_t clock_ms;    /* of the gateway; 0: there was none */
};

struct top {
    struct admin_client client;
    struct before before;
    bool screen, colour;
};

/* A line of the table. */
struct rates {
    double requests, failures, tokens;
};

static double
per_second(uint64_t now, uint64_t before, uint64_t ms)
{
    return ms != 0 && now > before ? (double)(now - before) * 1000 / (double)ms : 0;
}

/* Of a target that is new, all is of this interval. */
static struct rates
rates_of(const struct top *t, struct str name, const struct total *now, uint64_t clock_ms)
{
    const struct total *then = map_get(t->before.by_target, name);
    static const struct total none = { 0 };
    uint64_t ms = t->before.clock_ms != 0 ? clock_ms - MIN(t->before.clock_ms, clock_ms) : 0;

    if (then == NULL)
        then = &none;
    return (struct rates){ per_second(now->attempts, then->attempts, ms),
        per_second(now->failures, then->failures, ms), per_second(now->tokens, then->tokens, ms) };
}

static struct total
total_of(const struct json *target)
{
    return (struct total){ admin_number(target, "attempts_total"),
        admin_number(target, "failures_total"), admin_number(target, "tokens_output_total") };
}

static void
forget(struct before *b)
{
    map_destroy(b->by_target);
    arena_destroy(b->arena);
}

static void
remember(struct top *t, const struct json *doc)
{
    struct before b = { arena_create(OUTPUT_MAX), map_create(), admin_number(doc, "clock_ms") };
    struct json_iter it = json_iter(json_get(doc, S("targets")));

    while (json_next(&it)) {
        struct total *total = arena_new(b.arena, struct total);

        *total = total_of(it.value);
        (void)map_put(b.by_target, admin_target(&t->client, it.value), total);
    }
    forget(&t->before);
    t->before = b;
}

/* --- as a document --- */

static void
write_document(const struct top *t, const struct json *doc, struct buf *out)
{
    struct json_iter it = json_iter(json_get(doc, S("targets")));
    struct json_out o = json_out(out);

    out_object(&o);
    out_key_array(&o, "targets");
    while (json_next(&it)) {
        const struct total now = total_of(it.value);
        struct str name = admin_target(&t->client, it.value);
        struct rates r = rates_of(t, name, &now, admin_number(doc, "clock_ms"));

        out_object(&o);
        out_text(&o, "target", name);
        out_key(&o, "requests_per_s");
        out_comma(&o);
        json_add_f64(out, r.requests);
        out_key(&o, "failures_per_s");
        out_comma(&o);
        json_add_f64(out, r.failures);
        out_key(&o, "tokens_per_s");
        out_comma(&o);
        json_add_f64(out, r.tokens);
        out_raw(&o, "now", json_raw(it.value));
        out_end(&o);
    }
    out_end_array(&o);
    out_end(&o);
    buf_add_c(out, '\n');
}

/* --- as a table --- */

static void
end_line(const struct top *t, struct buf *out)
{
    buf_add(out, t->screen ? S(CLEAR_LINE "\r\n") : S("\n"));
}

static void
add_head(const struct top *t, const struct json *status, struct buf *out)
{
    const struct admin_client *c = &t->client;
    struct str state = admin_text(c, status, "state");
    char age[OUTPUT_AGE_ROOM], size[OUTPUT_SIZE_ROOM];

    buf_printf(out,
        "openclaw " STR_FMT "  up %s  generation %llu%s%s%s  %llu requests, %llu streams  %s",
        STR_ARG(admin_text(c, status, "version")),
        output_age(admin_number(status, "started_age_ms"), age),
        (unsigned long long)admin_number(status, "generation"),
        admin_number(status, "rolled_back_to") != 0 ? "  ROLLED BACK" : "",
        str_eq(state, S("draining")) ? "  DRAINING" : "",
        admin_number(status, "chaos_faults") != 0 ? "  CHAOS" : "",
        (unsigned long long)admin_number(status, "exchanges"),
        (unsigned long long)admin_number(status, "streams"),
        output_size(admin_number(status, "resident_bytes"), size));
    end_line(t, out);
    end_line(t, out);
    buf_printf(out, "%-32s  %8s  %8s  %8s  %6s  %8s  %8s  %8s  %6s  %7s  %s", "TARGET", "REQ/S",
        "BAD/S", "TOKENS/S", "UNDER", "TTFT NOW", "P50", "P95", "SPEED", "LEFT", "STATE");
    end_line(t, out);
}

/* A count, or "-" where it is not known. */
#define COUNT_ROOM 24
static const char *
count_text(const struct json *target, const char *name, char *room)
{
    if (!json_present(json_get(target, str_c(name))))
        return "-";
    (void)snprintf(room, COUNT_ROOM, "%llu", (unsigned long long)admin_number(target, name));
    return room;
}

static void
add_target(const struct top *t, const struct json *target, uint64_t clock_ms, struct buf *out)
{
    const struct admin_client *c = &t->client;
    const struct total now = total_of(target);
    struct str name = admin_target(c, target);
    struct rates r = rates_of(t, name, &now, clock_ms);
    struct str state = admin_text(c, target, "state");
    char now_ms[ADMIN_MS_ROOM], p50[ADMIN_MS_ROOM], p95[ADMIN_MS_ROOM];
    char speed[COUNT_ROOM], left[COUNT_ROOM];
    bool well = admin_is_well(c, target);
    bool coming = str_eq(state, S("half_open")) || str_eq(state, S("recovering"));

    output_cell(out, name, 32);
    buf_printf(out, "%8.1f  %8.1f  %8.0f  %6llu  %8s  %8s  %8s  %6s  %7s  ", r.requests, r.failures,
        r.tokens, (unsigned long long)admin_number(target, "under_way"),
        admin_ms(admin_number(target, "first_token_expected_ms"), now_ms),
        admin_ms(admin_number(target, "first_token_p50_ms"), p50),
        admin_ms(admin_number(target, "first_token_p95_ms"), p95),
        count_text(target, "output_tokens_per_s", speed),
        count_text(target, "requests_left", left));
    if (t->colour && !well)
        buf_add(out, coming ? S(DOUBTFUL) : S(BAD));
    admin_add_state(out, c, target);
    if (t->colour && !well)
        buf_add(out, S(NORMAL));
    end_line(t, out);
}

static void
write_table(const struct top *t, const struct json *status, const struct json *doc, struct buf *out)
{
    struct json_iter it = json_iter(json_get(doc, S("targets")));
    uint32_t total = json_count(json_get(doc, S("targets")));
    unsigned lines = output_lines() != 0 ? output_lines() : LINES_USUAL;
    uint32_t room = t->screen ? MAX(lines, 8u) - 6 : total;

    add_head(t, status, out);
    for (uint32_t n = 0; n < room && json_next(&it); n++)
        add_target(t, it.value, admin_number(doc, "clock_ms"), out);
    if (total == 0) {
        buf_add(out, S("(no target yet: none is in an alias, and none was asked)"));
        end_line(t, out);
    }
    if (total > room) {
        buf_printf(out, "and %u more", total - room);
        end_line(t, out);
    }
}

/* --- the terminal --- */

static void
on_interrupt(int signo UNUSED)
{
    talk_interrupt();
}

/* Waits until it is time for the next answer. False: to end, by q or Ctrl-C. */
static bool
pause_or_end(const struct top *t)
{
    struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
    char key = '\0';

    if (poll(&in, t->screen ? 1 : 0, REFRESH_MS) > 0 && read(STDIN_FILENO, &key, 1) != 1)
        key = 'q';    /* the terminal is gone */
    return key != 'q' && key != 'Q' && !talk_is_interrupted();
}

/* Asks and shows, again and again, or (`once`) when there are rates. False after saying what went
 * wrong. */
static bool
watch(struct top *t, bool once)
{
    struct arena_mark mark = arena_mark(t->client.arena);

    for (bool first = true;; first = false) {
        const struct json *status = admin_client_ask(&t->client, "status", S(""), NULL);
        const struct json *doc =
            status != NULL ? admin_client_ask(&t->client, "targets", S(""), NULL) : NULL;
        struct buf out;

        if (doc == NULL)
            return talk_is_interrupted();
        buf_init(&out, OUTPUT_MAX);
        if (t->screen)
            buf_add(&out, S(HOME));
        if (t->client.json)
            write_document(t, doc, &out);
        else
            write_table(t, status, doc, &out);
        if (t->screen)
            buf_add(&out, S("\r\nq: quit" CLEAR_LINE CLEAR_REST));
        remember(t, doc);
        arena_rewind(t->client.arena, mark);
        if (!once || !first) {
            output_print(&out);
            (void)fflush(stdout);
        }
        buf_fini(&out);
        if ((once && !first) || !pause_or_end(t))
            return true;
    }
}

/* The same on a screen of its own, with keys read as they are typed. */
static bool
watch_on_screen(struct top *t)
{
    struct sigaction interrupt = { .sa_handler = on_interrupt };
    struct termios usual, raw;
    bool keys = tcgetattr(STDIN_FILENO, &usual) == 0;

    (void)sigaction(SIGINT, &interrupt, NULL);
    (void)sigaction(SIGTERM, &interrupt, NULL);
    if (keys) {
        raw = usual;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    output_text(S(SCREEN_BEGIN));
    bool done = watch(t, false);
    output_text(S(SCREEN_END));
    (void)fflush(stdout);
    if (keys)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &usual);
    if (!done)    /* what was said went with the screen */
        (void)fprintf(stderr, "openclaw top: the gateway does not answer any more\n");
    return done;
}

static bool
run(struct admin_client *c, void *arg UNUSED)
{
    struct top *t = CONTAINER_OF(c, struct top, client);

    return t->screen ? watch_on_screen(t) : watch(t, true);
}

int
cmd_top(int argc, char **argv)
{
    struct top t = { .client = { .command = "top" } };
    bool once = false;
    const struct flag list[] = { ADMIN_FLAG_SOCKET(t.client), ADMIN_FLAG_URL(t.client),
        { "once", 0, FLAG_BOOL, NULL, "print the table once, after a second, and end", &once,
            NULL },
        { "json", 0, FLAG_BOOL, NULL, "the same as JSON", &t.client.json, NULL } };
    const struct flags flags = {
        .usage = "openclaw top [--socket PATH | --url URL] [--once] [--json]",
        .about = "Shows for each target of a running gateway, every second: requests, failures and "
                 "output tokens a second, requests under way, the time to the first token, and the "
                 "state of its circuit breaker. q ends it.",
        .list = list,
        .count = ARRAY_LEN(list),
    };
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, NULL);

    if (verdict != FLAGS_OK)
        return verdict;
    t.screen = isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) && !once && !t.client.json;
    t.colour = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
    t.before = (struct before){ arena_create(OUTPUT_MAX), map_create(), 0 };
    int status = admin_client_run(&t.client, run, NULL);
    forget(&t.before);
    return status;
}

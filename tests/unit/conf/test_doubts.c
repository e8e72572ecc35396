/* test_doubts.c - settings for failures that do nothing are reported, and others are not. */
#include "conf/doubts.c"

#include <unistd.h>

#include "tests/test.h"
#include "tests/unit/conf/conf_test.h"

#define ALIAS(settings) "models: {m: {targets: [a/x, b/x], " settings "}}"

TEST(settings_without_effect_are_doubted)
{
    static const struct {
        const char *text, *said;
    } rows[] = {
        { "retry: {base: 4s, cap: 2s}", "'retry.cap' (2s) is shorter than 'retry.base' (4s)" },
        { "retry: {base: 10s}", "'retry.cap' (8s) is shorter than 'retry.base' (10s)" },
        { "retry: {base: 8s}", NULL },
        { "retry: {patience: 1s}", "'retry.patience' (1s) is shorter than 'retry.wait' (3s)" },
        { "retry: {wait: 30s}", "'retry.patience' (20s) is shorter than 'retry.wait' (30s)" },
        { "retry: {patience: 1s, wait: 1s}", NULL },
        { "retry: {slow: 2m}",
            "'retry.slow' (2m) is not shorter than 'timeouts.first_token' (1m)" },
        { "timeouts: {first_token: 5s}", "'retry.slow' (8s) is not shorter" },
        { "timeouts: {first_byte: 5s}", "'timeouts.first_byte' (5s)" },
        { "timeouts: {first_token: 5s}\nretry: {slow: 0s}", NULL },
        { "timeouts: {first_token: 9s}", NULL },
        { "retry: {attempts: 1}", NULL },
        { "retry: {attempts: 1, slow: 2s}", "'retry.slow' has no effect: 'retry.attempts' is 1" },
        { "retry: {budget: 0, cap: 2s}", "'retry.cap' has no effect: 'retry.budget' is 0" },
        { "retry: {budget: 0, wait: 2s}", NULL },
        { "server: {queue: {wait: 5s}}", "'server.queue.wait' has no effect" },
        { "server: {queue: {key_share: 20}}", "'server.queue.key_share' has no effect" },
        { "server: {queue: {length: 5, wait: 5s, key_share: 20}}", NULL },
        { ALIAS("hedge: {after: 90}"), "'models.m.hedge.after' has no effect: 'share' is 0" },
        { ALIAS("hedge: {cost: 9}"), "'models.m.hedge.cost' has no effect: 'share' is 0" },
        { ALIAS("hedge: {share: 5, after: 90, cost: 9}"), NULL },
        { ALIAS("hedge: {share: 5}") "\nretry: {attempts: 1}",
            "'models.m.hedge' has no effect: 'retry.attempts' is 1" },
        { ALIAS("on_stream_break: continue") "\nserver: {limits: {continued: 0}}",
            "'models.m.on_stream_break' has no effect" },
        { ALIAS("on_stream_break: continue"), NULL },
        { "server: {limits: {continued: 0}}", NULL },
        { ALIAS("strategy: fuse, fuse: {ask: 8}"),
            "'models.m.fuse.ask' (8) is more than 'retry.attempts' (6)" },
        { ALIAS("strategy: fuse") "\nretry: {attempts: 2}", "'models.m.fuse.ask' (3) is more" },
        { ALIAS("strategy: fuse, fuse: {ask: 6}"), NULL },
        { ALIAS("strategy: cascade") "\nretry: {attempts: 1}",
            "'models.m': 'retry.attempts' is 1, so a cascade never asks its second target" },
        { ALIAS("strategy: cascade") "\nretry: {attempts: 2}", NULL },
        { "chaos: {seed: 3}", "'chaos' has no faults" },
        { "chaos: {seed: 3, faults: [{kind: status, status: 500, retry_after: 2s}]}", NULL },
        { "chaos: {faults: [{kind: reset, status: 500}]}",
            "'chaos.faults[0].status' has no effect: it is for faults with kind: status" },
        { "chaos: {faults: [{kind: status, after: 5}]}", "'chaos.faults[0].after' has no effect" },
        { "chaos: {faults: [{kind: cut, after: 5}, {kind: stall, after: 5}, {kind: delay, delay: "
          "2s}]}",
            NULL },
        { "chaos: {faults: [{kind: cut, delay: 2s}]}", "'chaos.faults[0].delay' has no effect" },
        { "providers: {openai: {probe: {every: 30s}}}", NULL },
        { "providers: {openai: {probe: {every: 30s}}}\nretry: {breakers: false}",
            "'providers.openai.probe' has no effect" },
        { "", NULL },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct loaded l = load(str_c(rows[i].text));
        const struct conf_problem *w = l.problems.first_warning;

        for (const struct conf_problem *p = w; p != NULL && p->next != NULL; p = p->next)
            print_error("%s: also " STR_FMT "\n", rows[i].text, STR_ARG(p->next->text));
        EXPECT_INT(l.problems.count, 0);
        EXPECT_INT(l.problems.warning_count, rows[i].said != NULL);
        if (w != NULL && rows[i].said != NULL)
            EXPECT(w->mark.line > 0 && str_find(w->text, str_c(rows[i].said)) != w->text.n);
        unload(&l);
    }
}

/* analyze_texts.c - analyses the texts that it reads, one record each: for measuring how often the
 * analysis is right (tests/scenario/test_analysis.py) and for learning its tables
 * (tools/analysis_train.py).
 *
 * A record is a decimal number, a line end, and so many bytes. For each, a line of fields separated by
 * tabs: language, task, tokens, complexity, code, sentiment, sensitivity. With --features, what the models
 * see, as binary numbers in the machine's order: the script (1 byte) and what was counted (4 bytes each),
 * then three lists of rows (2 bytes each, with their number before them): of words, of words at the ends,
 * of what tells languages apart. With --time, the microseconds that it takes to sample and to analyse the
 * text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "route/analyze.h"
#include "route/features.h"
#include "route/language.h"

static void
put(const void *p, size_t n)
{
    CHECK(fwrite(p, 1, n, stdout) == n);
}

static void
put_rows(const uint16_t *rows, unsigned n)
{
    uint16_t count = (uint16_t)n;

    put(&count, sizeof count);
    put(rows, n * sizeof rows[0]);
}

static void
write_features(const struct llm_sample *s)
{
    struct features f;
    uint16_t rows[LANGUAGE_ROWS_MAX];
    unsigned n = 0;

    features_find(s->user, &f);
    uint8_t script = (uint8_t)language_script(s->user, &f);
    if (language_shares(script))
        n = language_rows(s->user, &f, script, rows);
    put(&script, 1);
    put(f.counts, sizeof f.counts);
    put_rows(f.word, f.words);
    put_rows(f.edge, f.edges);
    put_rows(rows, n);
}

static void
write_analysis(const struct llm_sample *s)
{
    struct analysis a;

    analyze(s, &a);
    printf("%s\t%s\t%u\t%u\t%u\t%d\t%u\n", a.language, task_name(a.task), a.tokens,
        a.complexity_permille, a.code_permille, a.sentiment_permille, a.sensitivity);
}

/* The least time of ten rounds, so that what else the machine does counts little. */
static void
write_time(struct str text)
{
    enum { ROUNDS = 10, TIMES = 2000 };
    struct llm_sample s;
    struct analysis a;
    uint64_t least = UINT64_MAX;

    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t before = clock_now_us();
        for (unsigned i = 0; i < TIMES; i++) {
            sample_text(text, &s);
            analyze(&s, &a);
        }
        least = MIN(least, clock_now_us() - before);
    }
    printf("%.3f\n", (double)least / TIMES);
}

int
main(int argc, char **argv)
{
    const char *option = argc > 1 ? argv[1] : "";
    struct llm_sample s;
    size_t n;

    while (scanf("%zu", &n) == 1 && getchar() == '\n') {
        char *text = malloc(n + 1);
        CHECK(text != NULL && fread(text, 1, n, stdin) == n);
        sample_text(str_make(text, n), &s);
        if (strcmp(option, "--features") == 0)
            write_features(&s);
        else if (strcmp(option, "--time") == 0)
            write_time(str_make(text, n));
        else
            write_analysis(&s);
        free(text);
    }
    return 0;
}

/* seeds_main.c - runs a fuzz target over inputs made from numbers, without a fuzzer.
 *
 *     seeds_<what> FIRST COUNT [FOLDER]
 *
 * The same number is always the same input. With a folder the inputs are written there instead: to
 * start a corpus, or to keep the one that found something.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_BYTES_MAX = 1500 };

static uint64_t state;

/* Splitmix64. */
static uint64_t
next(void)
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Most inputs are short: what one finds can be understood. */
static size_t
make_input(uint64_t seed, uint8_t *data)
{
    state = seed;
    size_t n = next() % (next() % INPUT_BYTES_MAX + 1);
    for (size_t i = 0; i < n; i++)
        data[i] = (uint8_t)next();
    return n;
}

static void
write_input(const char *folder, unsigned long seed, const uint8_t *data, size_t n)
{
    char path[4096];

    (void)snprintf(path, sizeof(path), "%s/seed-%lu", folder, seed);
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(data, 1, n, f) != n || fclose(f) != 0) {
        fprintf(stderr, "%s: cannot be written\n", path);
        exit(EXIT_FAILURE);
    }
}

int
main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: %s FIRST COUNT [FOLDER]\n", argv[0]);
        return 2;
    }
    unsigned long first = strtoul(argv[1], NULL, 10);
    unsigned long count = strtoul(argv[2], NULL, 10);

    for (unsigned long seed = first; seed - first < count; seed++) {
        uint8_t *data = malloc(INPUT_BYTES_MAX);

        if (data == NULL)
            return EXIT_FAILURE;
        size_t n = make_input(seed, data);
        if (argc == 4) {
            write_input(argv[3], seed, data, n);
        } else {
            fprintf(stderr, "\rseed %lu ", seed);    /* the last number is the culprit's */
            LLVMFuzzerTestOneInput(data, n);
        }
        free(data);
    }
    printf("\ntests: %lu passed, 0 failed, 0 skipped\n", count);
    return EXIT_SUCCESS;
}

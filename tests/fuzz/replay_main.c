/* replay_main.c - runs a fuzz target over a folder of saved inputs, without a fuzzer.
 *
 * Linked with fuzz_<what>.c in ordinary and in sanitizer builds, so that every input
 * that once found a bug is tried again on every change. An empty input is tried too.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Feeds the file to the target from memory of exactly its size, so that a read beyond it shows. */
static void
replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    long size = -1;

    if (f != NULL && fseek(f, 0, SEEK_END) == 0)
        size = ftell(f);
    if (f == NULL || size < 0 || fseek(f, 0, SEEK_SET) != 0) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(EXIT_FAILURE);
    }

    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
    if (data == NULL || fread(data, 1, (size_t)size, f) != (size_t)size) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(EXIT_FAILURE);
    }
    fprintf(stderr, "%s\n", path);    /* the last line before a crash names the culprit */
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    fclose(f);
}

int
main(int argc, char **argv)
{
    struct dirent **names = NULL;
    char path[4096];
    int replayed = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
        return 2;
    }
    int n = scandir(argv[1], &names, NULL, alphasort);
    if (n < 0) {
        fprintf(stderr, "%s: no such corpus\n", argv[1]);
        return EXIT_FAILURE;
    }

    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/%s", argv[1], names[i]->d_name);
            replay_file(path);
            replayed++;
        }
        free(names[i]);
    }
    free(names);
    printf("tests: %d passed, 0 failed, 0 skipped\n", replayed);
    return replayed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

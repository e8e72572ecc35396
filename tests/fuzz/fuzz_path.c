/* fuzz_path.c - paths: no crash, one spelling, and nothing in it that another reader could take for
 * something else. */
#include <stdint.h>

#include "gateway/endpoints.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str path = str_make((const char *)data, size);
    struct arena *a = arena_create(1024 * 1024);
    struct http_path p, again;

    if (http_path_normalise(a, path, &p) == NULL && path.n != 0 && path.p[0] == '/') {
        struct str segment, rest = p.text;
        enum err e;

        CHECK(p.text.n <= path.n && p.text.n != 0);
        CHECK(p.text.n == 1 || p.text.p[p.text.n - 1] != '/');
        CHECK(http_path_normalise(a, p.text, &again) == NULL);
        CHECK(str_eq(again.text, p.text) && again.has_delimiter == p.has_delimiter);
        while (rest.n != 0) {
            (void)str_cut(rest, '/', &segment, &rest);
            CHECK(!str_eq(segment, S(".")) && !str_eq(segment, S("..")));
        }
        (void)endpoint_find(S("POST"), &p, &e);
        CHECK(e != OK || !p.has_delimiter);    /* names stand in paths that are read */
    } else {
        CHECK(str_eq(p.text, path));
    }
    arena_destroy(a);
    return 0;
}

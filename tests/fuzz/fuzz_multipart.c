/* fuzz_multipart.c - forms: no crash, and what is found is a part's content, all of it.
 *
 * The first line is the content type, the rest the body.
 */
#include <stdint.h>

#include "http/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str type, body, value = { NULL, 0 };
    const char *why = NULL;

    (void)str_cut(str_make((const char *)data, size), '\n', &type, &body);
    enum multipart_found found = multipart_find(type, body, S("model"), &value, &why);

    CHECK((found == MULTIPART_UNCLEAR) == (why != NULL));
    if (found != MULTIPART_ONE) {
        CHECK(value.p == NULL);
        return 0;
    }
    CHECK(value.p >= body.p + 4 && value.p + value.n <= body.p + body.n);
    CHECK(memcmp(value.p - 4, "\r\n\r\n", 4) == 0);
    CHECK(memcmp(value.p + value.n, "\r\n--", 4) == 0);
    return 0;
}

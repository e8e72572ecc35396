/* fuzz_cloud.c - what endpoints of credentials answer: the first byte says which source asks, then come
 * its answers, each a line with the status and a body up to a form feed. Whatever they say, what comes
 * of it may be put into a header field. */
#include <stdint.h>

#include "cloud/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_line(struct str s)
{
    return str_chr(s, '\r') == s.n && str_chr(s, '\n') == s.n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cloud_source *const sources[] = { &source_aws_container,
        &source_aws_instance, &source_aws_profile, &source_google_metadata, &source_entra_client,
        &source_entra_managed };
    static const struct cloud_source *const secrets[] = { &source_vault, &source_aws_secret,
        &source_google_secret, &source_azure_secret };
    uint8_t which = size != 0 ? data[0] : 0;
    bool kept = which >= 'a';    /* elsewhere */
    struct source_settings settings = { .source = kept ? secrets[which % ARRAY_LEN(secrets)]
                                                       : sources[which % ARRAY_LEN(sources)],
        .lender = which % 8 < 4 ? &source_aws_instance : &source_google_metadata };
    struct str rest = str_make((const char *)data + (size != 0), size - (size != 0));
    struct arena *a = arena_create(4 * 1024 * 1024);
    struct source_run run = { .settings = &settings, .a = a, .wall_ms = UINT64_C(1790000000000) };
    enum source_next next = settings.source->next(&run);

    settings.v[SOURCE_URL] = S("http://h");
    settings.v[SOURCE_NAME] = S("a/b");
    settings.v[SOURCE_MEMBER] = which >= 'q' ? S("key") : S("");
    for (unsigned i = 0; i < 6 && (next == SOURCE_ASK || i == 0); i++) {
        struct str line, answer;
        uint64_t status;

        CHECK(next != SOURCE_ASK || (is_line(run.url) && run.url.n < 64 * 1024));
        (void)str_cut(rest, '\f', &answer, &rest);
        (void)str_cut(answer, '\n', &line, &run.body);
        run.status = str_u64(line, &status) && status < 1000 ? (int)status : 200;
        run.step++;
        next = settings.source->next(&run);
    }
    if (next == SOURCE_GOT)
        CHECK(is_line(run.token) && is_line(run.key_id) && is_line(run.key_session) &&
              (run.token.n != 0) != (run.key_id.n != 0));
    if (next == SOURCE_FAILED)
        CHECK(run.why.n != 0 && is_line(run.why));
    (void)source_profile_value(rest, S("default"), S("region"));
    arena_destroy(a);
    return 0;
}

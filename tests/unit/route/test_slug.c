#include "route/slug.c"
#include "tests/test.h"

static const struct provider_row vertex_row = { .id = S_INIT("vertex") };
static const struct provider vertex = {
    .id = S_INIT("cloud"), .row = &vertex_row, .region = S_INIT("eu")
};
static const struct provider lab = { .id = S_INIT("lab") };

/* Is it named by a list of this one slug? */
static bool
named(const struct provider *p, const char *slug)
{
    struct llm_word word = { .text = str_c(slug) };

    return slug_in(p, &word);
}

TEST(slugs_and_ids_name_providers_in_any_case)
{
    EXPECT(named(&vertex, "google-vertex"));
    EXPECT(named(&vertex, "Google-Vertex"));
    EXPECT(named(&vertex, "vertex"));
    EXPECT(named(&vertex, "cloud"));
    EXPECT(named(&lab, "LAB"));
    EXPECT(!named(&lab, "google-vertex"));
    EXPECT(!named(&lab, ""));
    EXPECT(!named(&vertex, "google"));
}

TEST(of_variants_only_the_region_is_known)
{
    EXPECT(named(&vertex, "google-vertex/eu"));
    EXPECT(!named(&vertex, "google-vertex/us"));
    EXPECT(!named(&vertex, "google-vertex/"));
    EXPECT(!named(&lab, "lab/turbo"));
    EXPECT(!named(&lab, "lab/"));
}

TEST(the_place_is_that_of_the_first_slug_that_names_it)
{
    struct llm_word last = { .text = S("lab") };
    struct llm_word middle = { .text = S("vertex"), .next = &last };
    struct llm_word first = { .text = S("nobody"), .next = &middle };

    EXPECT_INT(slug_place(&vertex, &first), 1);
    EXPECT_INT(slug_place(&lab, &first), 2);
    EXPECT_INT(slug_place(&lab, &middle), 1);
    EXPECT_INT(slug_place(&vertex, NULL), 0);
    EXPECT(!slug_in(&vertex, NULL));
}

/* test_place.c - the folder for state, for every kind of process. */
#include "store/place.c"

#include <stdio.h>

#include "tests/test.h"

static void
set(const char *systemd, const char *state, const char *home)
{
    (void)setenv("STATE_DIRECTORY", systemd, 1);
    (void)setenv("XDG_STATE_HOME", state, 1);
    (void)setenv("HOME", home, 1);
}

TEST(the_folder_is_systemds_or_the_users_or_none)
{
    struct arena *a = arena_create(4096);

    set("/var/lib/a:/var/lib/b", "/state", "/home/me");
    EXPECT_STR(place_folder(a, false), "/var/lib/a");
    EXPECT_STR(place_folder(a, true), "/var/lib/a");
    set("", "/state", "/home/me");
    EXPECT_STR(place_store(a, S("auto"), false), "sqlite:/state/openclaw/openclaw.db");
    EXPECT_STR(place_folder(a, true), "/var/lib/openclaw");
    set("", "relative", "/home/me");
    EXPECT_STR(place_folder(a, false), "/home/me/.local/state/openclaw");
    set("", "", "/");
    EXPECT_STR(place_store(a, S("auto"), false), "off");
    EXPECT_STR(place_store(a, S("sqlite:/x"), false), "sqlite:/x");
    arena_destroy(a);
}

TEST(a_folder_is_made_with_those_above_it_or_says_why_not)
{
    char folder[] = "/tmp/openclaw-place-XXXXXX", path[128], why[256];
    struct stat st;

    EXPECT(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof(path), "%s/a/b", folder);
    EXPECT(place_make(path, WHY(why)) && place_make(path, WHY(why)));
    EXPECT(stat(path, &st) == 0 && (st.st_mode & 0777) == 0700);
    EXPECT(!place_make("/proc/none/such", WHY(why)));
    EXPECT(strstr(why, "/proc/none/such cannot be made") != NULL);
    EXPECT(rmdir(path) == 0);
    *strrchr(path, '/') = '\0';
    EXPECT(rmdir(path) == 0 && rmdir(folder) == 0);
}

/* test_pepper.c - the secret that keys are kept with: its file, and what the store knows of it. */
#include "control/pepper.c"

#include <stdlib.h>

#include "tests/test.h"

static char folder[64];

static void
begin(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/openclaw-pepper-XXXXXX");
    EXPECT(mkdtemp(folder) != NULL);
}

static void
end(void)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    EXPECT(system(command) == 0);
}

static void
write_file(const char *text, mode_t mode)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/pepper", folder);
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, mode);
    EXPECT(fd >= 0 && fchmod(fd, mode) == 0);
    EXPECT(write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

#define GOOD "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

TEST(the_first_start_makes_it_for_our_user_alone_and_later_ones_read_the_same)
{
    char first[PEPPER_ROOM], second[PEPPER_ROOM], path[128], why[256] = "";
    struct stat st;

    begin();
    struct str a = pepper_load(folder, first, WHY(why));
    EXPECT_INT(a.n, 64);
    struct str b = pepper_load(folder, second, WHY(why));
    EXPECT(str_eq(a, b));
    (void)snprintf(path, sizeof(path), "%s/pepper", folder);
    EXPECT(stat(path, &st) == 0);
    EXPECT_INT(st.st_mode & 0777, 0600);
    end();
    begin();
    EXPECT(!str_eq(pepper_load(folder, second, WHY(why)), a));
    end();
}

TEST(a_file_that_others_can_read_or_that_holds_something_else_is_refused)
{
    char room[PEPPER_ROOM], why[256];
    static const char *const bad[] = { "", "abc", GOOD "0", "g" GOOD, "0011\n2233" };

    begin();
    write_file(GOOD "\n", 0600);
    EXPECT_STR(pepper_load(folder, room, WHY(why)), GOOD);
    write_file(GOOD "\n", 0640);
    EXPECT_STR(pepper_load(folder, room, WHY(why)), "");
    EXPECT(strstr(why, "chmod 600") != NULL);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        write_file(bad[i], 0600);
        EXPECT_STR(pepper_load(folder, room, WHY(why)), "");
        EXPECT(strstr(why, "64 hexadecimal digits") != NULL);
    }
    EXPECT_STR(pepper_load("/nowhere/at/all", room, WHY(why)), "");
    end();
}

TEST(the_store_knows_which_one_its_keys_were_made_with)
{
    char why[256];
    struct store *s = store_open(S("sqlite::memory:"), WHY(why));

    EXPECT(s != NULL && store_connect(s) == STORE_OK && store_migrate(s) == STORE_OK);
    EXPECT(pepper_check(s, S("the first pepper")) == STORE_OK);
    EXPECT(pepper_check(s, S("the first pepper")) == STORE_OK);
    EXPECT(pepper_check(s, S("another pepper")) == STORE_CONFLICT);
    store_close(s);
}

TEST(one_that_another_process_made_meanwhile_is_not_replaced)
{
    char path[128], first[PEPPER_ROOM], second[PEPPER_ROOM], why[256] = "";

    begin();
    struct str a = pepper_load(folder, first, WHY(why));
    (void)snprintf(path, sizeof(path), "%s/pepper", folder);
    EXPECT(make_file(folder, path, WHY(why)));    /* as one that looked before the other wrote */
    struct str b = pepper_load(folder, second, WHY(why));
    EXPECT(a.n == 64 && str_eq(a, b));
    end();
}

/* test_dns_ask.c - the system's configuration: search domains, changes, the hosts file. */
#include "net/dns_ask.c"

#include "tests/unit/net/name_server.h"

static void
write_config(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");

    EXPECT(f != NULL);
    fputs(text, f);
    fclose(f);
}

static void
note_part(void *arg, const struct dns_part *part)
{
    *(struct dns_part *)arg = *part;
}

TEST(search_domains_are_used_and_a_changed_configuration_is_noticed)
{
    struct loop *l = loop_create();
    struct name_server s;
    struct dns_part part = { .outcome = DNS_FAILED };
    char path[] = "/tmp/resolv.conf.XXXXXX";
    const char *before = system_config;

    close(mkstemp(path));
    system_config = path;
    name_server_open(&s, l);
    zone_of(&s, "host.a.test")->v4[0] = "192.0.2.1";
    zone_of(&s, "host.b.test")->v4[0] = "192.0.2.2";

    write_config(path, "search a.test\n");
    struct dns_channel *c = dns_channel_create(l, s.address);
    EXPECT(!dns_channel_is_outdated(c));
    dns_channel_ask(c, "host", AF_INET, note_part, &part);
    RUN_UNTIL(l, part.outcome == DNS_FOUND);
    EXPECT_INT(part.count, 1);
    EXPECT_INT(ntohl(part.list[0].v4.sin_addr.s_addr), 0xc0000201);

    write_config(path, "search longer.test b.test\n");
    EXPECT(dns_channel_is_outdated(c));
    dns_channel_release(c);
    c = dns_channel_create(l, s.address);
    part = (struct dns_part){ .outcome = DNS_FAILED };
    dns_channel_ask(c, "host", AF_INET, note_part, &part);
    RUN_UNTIL(l, part.outcome == DNS_FOUND);
    EXPECT_INT(ntohl(part.list[0].v4.sin_addr.s_addr), 0xc0000202);

    unlink(path);
    EXPECT(dns_channel_is_outdated(c));
    dns_channel_release(c);
    name_server_close(&s);
    loop_destroy(l);
    system_config = before;
}

TEST(a_released_channel_answers_what_it_was_asked_and_is_gone)
{
    struct loop *l = loop_create();
    struct name_server s;
    struct dns_part part = { .outcome = DNS_FAILED };

    name_server_open(&s, l);
    zone_of(&s, "one.test")->v4[0] = "192.0.2.1";
    struct dns_channel *c = dns_channel_create(l, s.address);
    dns_channel_ask(c, "one.test", AF_INET, note_part, &part);
    dns_channel_release(c);
    RUN_UNTIL(l, part.count == 1 && l->dns_channels == NULL);
    name_server_close(&s);
    loop_destroy(l);
}

/* What the machine's own file says: most have a name of theirs in it. */
TEST(the_hosts_file_is_read_before_anybody_is_asked)
{
    struct loop *l = loop_create();
    struct dns_channel *c = dns_channel_create(l, "127.0.0.1:1");
    FILE *f = fopen("/etc/hosts", "re");
    char line[512], address[64], host[256];
    struct dns_part part;
    unsigned found = 0;

    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        struct address a;

        if (sscanf(line, "%63s %255s", address, host) != 2 ||
            !address_parse(str_c(address), 0, &a) || strstr(host, "localhost") != NULL)
            continue;
        EXPECT(dns_channel_hosts(c, host, &part));
        EXPECT(part.count >= 1);
        found++;
    }
    if (f != NULL)
        fclose(f);
    EXPECT(!dns_channel_hosts(c, "surely-not-there.test", &part));
    EXPECT_INT(part.count, 0);
    loop_destroy(l);
    if (found == 0)
        skip();
}

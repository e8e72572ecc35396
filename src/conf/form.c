/* form.c - syntax checks, one function for each kind of value. */
#include "conf/form.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/url.h"
#include "conf/value.h"

enum {
    TEXT_MAX = 256,
    EXPRESSION_MAX = 16 * 1024,
    NAME_MAX_BYTES = 64,
    MODEL_MAX = 256,
    SECRET_MAX = 2048,
    URL_MAX = 2048,
    UNIX_PATH_MAX_BYTES = 107,    /* sun_path and its NUL */
};

/* No blanks, no control characters, ASCII only. */
static bool
is_graphic(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    }
    return true;
}

static bool
has_two(struct str s, char c)
{
    struct str rest = str_skip(s, str_chr(s, c) + 1);

    return str_chr(rest, c) != rest.n;
}

static bool
has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
            return true;
    }
    return false;
}

static bool
is_port(struct str s)
{
    uint16_t port;

    return url_port(s, &port);
}

static const char *
unix_problem(struct str path)
{
    if (path.n == 0 || path.p[0] != '/' || has_control(path))
        return "is not a unix socket; write unix: and an absolute path, like unix:/run/openclaw.sock";
    if (path.n > UNIX_PATH_MAX_BYTES)
        return "is longer than the 107 bytes that a unix socket's path may have; write a shorter path";
    return NULL;
}

static const char *
address_problem(struct str v)
{
    struct url_host h;
    uint64_t number;

    if (str_starts(v, S("unix:")))
        return unix_problem(str_skip(v, 5));
    if (str_find(v, S("://")) != v.n)
        return "is a URL; write the address alone, like 127.0.0.1:8080";
    if (str_u64(v, &number))
        return "is a port without a colon; write :PORT for all interfaces, or 127.0.0.1:PORT";
    if (url_is_ipv6(v))
        return "is an IPv6 address without brackets; write [::1]:8080";
    if (!url_split_host(v, &h))
        return "is not an address; write HOST:PORT, [V6]:PORT, :PORT or unix:/path";
    if (h.port.n == 0)
        return "has no port; write it after the host, like 127.0.0.1:8080";
    if (!is_port(h.port))
        return "has no valid port; write a number from 0 to 65535 after the last colon";
    if ((h.name.n != 0 || h.bracketed) && !url_is_host(&h))
        return "has no valid host; write an IP address, localhost, or nothing for all interfaces";
    return NULL;
}

static const char *
name_server_problem(struct str v)
{
    struct url_host h;

    if (url_is_ipv6(v))
        return NULL;
    if (!url_split_host(v, &h) || !(h.bracketed ? url_is_ipv6(h.name) : url_is_ipv4(h.name)) ||
        (h.port.p != NULL && (!is_port(h.port) || str_eq(h.port, S("0")))))
        return "is not the address of a name server; write IP, IP:PORT or [IPV6]:PORT";
    return NULL;
}

static const char *
file_mode_problem(struct str v)
{
    bool octal = v.n == 3 || (v.n == 4 && v.p[0] == '0');

    for (size_t i = 0; i < v.n; i++)
        octal = octal && v.p[i] >= '0' && v.p[i] <= '7';
    return octal ? NULL : "is not a file mode; write three octal digits, like \"0660\"";
}

bool
form_listen_parts(struct str address, struct str *ret_host, struct str *ret_port)
{
    struct url_host h;

    if (str_starts(address, S("unix:")) || !url_split_host(address, &h))
        return false;
    *ret_host = h.name;
    *ret_port = h.port;
    if (h.bracketed)    /* with them: IPv6 */
        *ret_host = str_make(h.name.p - 1, h.name.n + 2);
    else if (str_ieq(h.name, S("localhost")))
        *ret_host = S("127.0.0.1");
    return true;
}

bool
form_is_local(struct str address)
{
    struct url_host h;

    if (str_starts(address, S("unix:")))
        return true;
    if (!url_split_host(address, &h))
        return false;
    if (h.bracketed)    /* in whatever zone */
        return str_eq(str_make(h.name.p, str_chr(h.name, '%')), S("::1"));
    return str_ieq(h.name, S("localhost")) ||
           (str_starts(h.name, S("127.")) && url_is_ipv4(h.name));
}

static bool
is_http(const struct url *u)
{
    return u->authority.p != NULL &&
           (str_ieq(u->scheme, S("https")) || str_ieq(u->scheme, S("http")));
}

static bool
is_authority(struct str s)
{
    struct url_host h;

    return url_split_host(s, &h) && url_is_host(&h) && (h.port.p == NULL || is_port(h.port));
}

static const char *
url_problem(struct str v)
{
    struct url u = url_split(v);

    if (v.n > URL_MAX || !is_graphic(v) || !is_http(&u))
        return "is not a URL; write https://host/path, or http:// for a server without TLS";
    if (u.userinfo.p != NULL)
        return "holds a user name or password; write the URL without it and use api_key or headers";
    if (str_chr(u.rest, '?') != u.rest.n || str_chr(u.rest, '#') != u.rest.n)
        return "has a query or fragment; write the URL up to the path only";
    if (!is_authority(u.authority))
        return "has no valid host and port; write https://host/path or https://host:port/path";
    if (!str_has_only(u.rest, "-._~!$&'()*+,;=:@/%"))
        return "has characters that a path may not have; write them as %XX";
    return NULL;
}

static const char *
origin_problem(struct str v)
{
    struct url u = url_split(v);

    if (str_eq(v, S("*")) ||
        (is_http(&u) && u.userinfo.p == NULL && u.rest.n == 0 && is_authority(u.authority)))
        return NULL;
    return "is not an origin; write https://host or https://host:port without a path, or \"*\" for all";
}

static bool
is_quote(char c)
{
    return c == '"' || c == '\'' || c == '`';
}

static const char *
secret_problem(struct str v)
{
    if (v.n > SECRET_MAX)
        return "is longer than 2048 bytes; write the key alone";
    if (str_chr(v, '\n') != v.n || str_chr(v, '\r') != v.n)
        return "has more than one line; write the key alone";
    if (str_chr(v, ' ') != v.n || str_chr(v, '\t') != v.n)
        return "has a space; write the key alone";
    if (!is_graphic(v))
        return "has a control character or a letter outside ASCII; write the key alone";
    if (v.n != 0 && (is_quote(v.p[0]) || is_quote(v.p[v.n - 1])))
        return "has quotation marks of its own; write the key without them";
    return NULL;
}

/* Fields for framing or for a single connection are written by the gateway. */
static bool
is_reserved_field(struct str name)
{
    static const char *const reserved[] = { "host", "connection", "content-length", "content-type",
        "content-encoding", "transfer-encoding", "te", "trailer", "upgrade", "expect", "keep-alive",
        "proxy-connection", "proxy-authorization", "accept-encoding" };

    for (size_t i = 0; i < ARRAY_LEN(reserved); i++) {
        if (str_ieq(name, str_c(reserved[i])))
            return true;
    }
    return false;
}

static const char *
field_name_problem(struct str v)
{
    if (v.n == 0 || v.n > NAME_MAX_BYTES || !str_has_only(v, "!#$%&'*+-.^_`|~"))
        return "is not a header field's name; write letters, digits and -";
    if (is_reserved_field(v))
        return "is a header field that the gateway writes itself; remove it";
    return NULL;
}

static const char *
field_value_problem(struct str v)
{
    if (v.n > SECRET_MAX)
        return "is longer than the 2048 bytes that a header field's value may have; write less";
    if (has_control(v))
        return "has a control character; write one line of text";
    if (!str_eq(v, str_trim(v)))
        return "begins or ends with a space; remove it";
    return NULL;
}

static const char *
file_problem(struct arena *a, struct str v)
{
    struct stat st;
    int error = 0;

    if (has_control(v))
        return "has a control character; write a path";

    struct str path = arena_printf(a, STR_FMT, STR_ARG(v));
    if (stat(path.p, &st) != 0 || access(path.p, R_OK) != 0)
        error = errno;
    else if (S_ISDIR(st.st_mode))
        error = EISDIR;
    if (error == 0)
        return NULL;
    return arena_printf(
        a, "cannot be read (%s); write the path of a readable file", strerrordesc_np(error))
        .p;
}

static const char *
log_problem(struct str v, bool may_be_off)
{
    if (str_eq(v, S("off")) && !may_be_off)
        return "cannot be off; write stdout, stderr or a file";
    return has_control(v) ? "has a control character; write stdout, stderr or a file" : NULL;
}

/* Less than this the process itself takes. */
#define MEMORY_LEAST_BYTES (32u * 1024 * 1024)

static const char *
memory_problem(struct str v)
{
    uint64_t bytes;

    if (str_eq(v, S("auto")) || str_eq(v, S("off")))
        return NULL;
    if (!value_size(v, &bytes))
        return "is not auto, off or a size; write a size such as 512MB";
    return bytes < MEMORY_LEAST_BYTES ? "is too small; write at least 32MB, or off" : NULL;
}

bool
form_share(struct str v, double *ret)
{
    bool percent = v.n != 0 && v.p[v.n - 1] == '%';
    struct str whole, rest;
    uint64_t n, thousandths = 0;

    if (percent)
        v.n--;
    bool point = str_cut(v, '.', &whole, &rest);
    if (!str_u64(whole, &n) || n > 100 || (point && (rest.n == 0 || rest.n > 3)))
        return false;
    if (point && !str_u64(rest, &thousandths))
        return false;
    for (size_t i = rest.n; i < 3; i++)
        thousandths *= 10;
    *ret = ((double)n + (double)thousandths / 1000) / (percent ? 100 : 1);
    return *ret <= 1;
}

static const char *
socket_problem(struct str v)
{
    if (str_eq(v, S("auto")) || str_eq(v, S("off")))
        return NULL;
    if (v.n == 0 || v.p[0] != '/' || has_control(v))
        return "is not auto, off or an absolute path; write a path like /run/openclaw/admin.sock";
    if (v.n > UNIX_PATH_MAX_BYTES)
        return "is longer than the 107 bytes that a unix socket's path may have; write a shorter path";
    return NULL;
}

static const char *
store_problem(struct str v)
{
    if (str_eq(v, S("auto")) || str_eq(v, S("off")))
        return NULL;
    if (v.n > URL_MAX || has_control(v))
        return "is longer than 2048 bytes, or more than one line; write a shorter address";
    if (str_starts(v, S("sqlite:")))
        return v.n > strlen("sqlite:") && v.p[strlen("sqlite:")] == '/'
                   ? NULL
                   : "has no absolute path; write sqlite:/path/to/file";
    if (str_starts(v, S("postgres://")) || str_starts(v, S("postgresql://")))
        return NULL;    /* the rest is libpq's to read */
    return "is not the address of a store; write sqlite:/path/to/file, postgres://user@host/database, auto or off";
}

static const char *
scope_problem(struct str v)
{
    static const struct str kinds[] = { S_INIT("key"), S_INIT("user"), S_INIT("team"),
        S_INIT("project"), S_INIT("org"), S_INIT("model"), S_INIT("provider"), S_INIT("tag"),
        S_INIT("address"), S_INIT("session") };
    struct str kind, name;
    bool cut = str_cut(v, ':', &kind, &name);

    if (str_eq(v, S("all")))
        return NULL;
    for (size_t i = 0; cut && name.n != 0 && v.n <= TEXT_MAX && i < ARRAY_LEN(kinds); i++)
        if (str_eq(kind, kinds[i]))
            return NULL;
    return "is not a scope; write all, or KIND:NAME with one of key, user, team, project, org, model, "
           "provider, tag, address and session, like team:research or \"key:*\"";
}

static const char *
budget_problem(struct str v)
{
    struct str amount, period;
    int64_t nanousd;

    if (!str_cut(v, '/', &amount, &period) || !value_decimal(amount, &nanousd) || nanousd <= 0 ||
        str_ends(amount, S("%")) || option_choice(S("day|week|month|total"), period) == 0)
        return "is not a budget; write dollars and a period, like 10/month, 2.50/day or 100/total";
    return NULL;
}

const char *
form_problem(struct arena *a, enum conf_form form, struct str v)
{
    int64_t billionths;

    switch (form) {
    case FORM_NONE:
        return NULL;
    case FORM_EXPRESSION:
        return v.n > EXPRESSION_MAX ? "is longer than 16KB; write a shorter expression" : NULL;
    case FORM_SHARE: {
        double ignored;

        return form_share(v, &ignored) ? NULL : "is not a share from 0 to 1; write 0.9 or 90%";
    }
    case FORM_TEXT:
        return v.n > TEXT_MAX || has_control(v)
                   ? "is not one line of up to 256 bytes; write a short text"
                   : NULL;
    case FORM_WORD:
        return v.n > NAME_MAX_BYTES || !str_has_only(v, "-_.")
                   ? "is not a name; write letters, digits, - and _"
                   : NULL;
    case FORM_ID:
        return v.n == 0 || v.n > NAME_MAX_BYTES || !str_is_alnum(v.p[0]) || !str_has_only(v, "-_.")
                   ? "is not a provider's name; write up to 64 letters, digits, - _ and ."
                   : NULL;
    case FORM_ALIAS:
        return v.n == 0 || v.n > NAME_MAX_BYTES || !(str_is_alnum(v.p[0]) || v.p[0] == '*') ||
                       !str_has_only(v, "-_.:@+/*") || has_two(v, '*')
                   ? "is not a model name; write up to 64 letters, digits and - _ . : @ + /, and "
                     "perhaps one *"
                   : NULL;
    case FORM_MODEL:
        return v.n > MODEL_MAX || !is_graphic(v) ? "is not a model name; write it without spaces"
                                                 : NULL;
    case FORM_ADDRESS:
        return address_problem(v);
    case FORM_HOST:
        return !str_eq(v, S("*")) &&
                       (!url_is_host(&(struct url_host){ .name = v }) || str_ends(v, S(".")))
                   ? "is not a host name; write it without scheme, port and final dot, or \"*\" for any"
                   : NULL;
    case FORM_NAME_SERVER:
        return name_server_problem(v);
    case FORM_FILE_MODE:
        return file_mode_problem(v);
    case FORM_URL:
        return url_problem(v);
    case FORM_ORIGIN:
        return origin_problem(v);
    case FORM_SECRET:
        return secret_problem(v);
    case FORM_FIELD_NAME:
        return field_name_problem(v);
    case FORM_FIELD_VALUE:
        return field_value_problem(v);
    case FORM_FILE:
        return file_problem(a, v);
    case FORM_LOG:
        return log_problem(v, false);
    case FORM_LOG_OFF:
        return log_problem(v, true);
    case FORM_MEMORY:
        return memory_problem(v);
    case FORM_SOCKET:
        return socket_problem(v);
    case FORM_STORE:
        return store_problem(v);
    case FORM_DECIMAL:
        return value_decimal(v, &billionths)
                   ? NULL
                   : "is not a decimal number; write one like 0.25, -1.5 or 5%";
    case FORM_SCOPE:
        return scope_problem(v);
    case FORM_BUDGET:
        return budget_problem(v);
    }
    CHECK_UNREACHABLE();
}

/* form.c - syntax checks, one function for each kind of value. */
#include "conf/form.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TEXT_MAX = 256,
    NAME_MAX_BYTES = 64,
    MODEL_MAX = 256,
    SECRET_MAX = 2048,
    URL_MAX = 2048,
    UNIX_PATH_MAX_BYTES = 107,    /* sun_path and its NUL */
};

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Only letters, digits and the characters of `others`. */
static bool
consists_of(struct str s, const char *others)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!is_alnum(s.p[i]) && str_chr(str_c(others), s.p[i]) == strlen(others))
            return false;
    }
    return true;
}

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
    uint64_t port;

    return s.n <= 5 && str_u64(s, &port) && port <= 65535;
}

static bool
is_ipv4(struct str s)
{
    for (int i = 0; i < 4; i++) {
        struct str byte;
        uint64_t v;
        bool more = str_cut(s, '.', &byte, &s);

        if (more != (i < 3) || byte.n > 3 || !str_u64(byte, &v) || v > 255)
            return false;
        if (byte.n > 1 && byte.p[0] == '0')    /* some parsers read it as octal */
            return false;
    }
    return true;
}

static bool
is_ipv6_group(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!is_hex(s.p[i]))
            return false;
    }
    return s.n >= 1 && s.n <= 4;
}

static bool
is_ipv6(struct str s)
{
    unsigned groups = 0;
    bool gap = str_starts(s, S("::"));
    struct str zone;

    if (str_cut(s, '%', &s, &zone) && (zone.n == 0 || !consists_of(zone, "-_.")))
        return false;
    if (gap)
        s = str_skip(s, 2);
    while (s.n != 0) {
        struct str group;
        bool more = str_cut(s, ':', &group, &s);

        if (!more && is_ipv4(group)) {
            groups += 2;
            break;
        }
        if (!is_ipv6_group(group) || ++groups > 8 || (more && s.n == 0))
            return false;
        if (s.n != 0 && s.p[0] == ':') {
            if (gap)
                return false;
            gap = true;
            s = str_skip(s, 1);
        }
    }
    return gap ? groups < 8 : groups == 8;
}

/* A name, an IPv4 address, or, if there were `brackets`, an IPv6 address without them. */
static bool
is_host(struct str host, bool brackets)
{
    bool numeric = true;

    if (brackets)
        return is_ipv6(host);
    for (size_t i = 0; i < host.n; i++)
        numeric = numeric && (is_digit(host.p[i]) || host.p[i] == '.');
    if (numeric)
        return is_ipv4(host);
    return host.n <= 253 && is_alnum(host.p[0]) && consists_of(host, "-._");
}

/* Splits "HOST:PORT" or "[V6]:PORT"; without a port *ret_port is empty and the result is still
   true. */
static bool
cut_authority(struct str s, struct str *ret_host, bool *ret_brackets, struct str *ret_port)
{
    *ret_brackets = s.n != 0 && s.p[0] == '[';
    if (!*ret_brackets)
        return str_cut(s, ':', ret_host, ret_port) ? ret_port->n != 0 : true;
    if (!str_cut(str_skip(s, 1), ']', ret_host, ret_port))
        return false;
    if (ret_port->n == 0)
        return true;
    if (ret_port->p[0] != ':' || ret_port->n == 1)
        return false;
    *ret_port = str_skip(*ret_port, 1);
    return true;
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
    struct str host, port;
    bool brackets;
    uint64_t number;

    if (str_starts(v, S("unix:")))
        return unix_problem(str_skip(v, 5));
    if (str_find(v, S("://")) != v.n)
        return "is a URL; write the address alone, like 127.0.0.1:8080";
    if (str_u64(v, &number))
        return "is a port without a colon; write :PORT for all interfaces, or 127.0.0.1:PORT";
    if (is_ipv6(v))
        return "is an IPv6 address without brackets; write [::1]:8080";
    if (!cut_authority(v, &host, &brackets, &port))
        return "is not an address; write HOST:PORT, [V6]:PORT, :PORT or unix:/path";
    if (port.n == 0)
        return "has no port; write it after the host, like 127.0.0.1:8080";
    if (!is_port(port))
        return "has no valid port; write a number from 0 to 65535 after the last colon";
    if ((host.n != 0 || brackets) && !is_host(host, brackets))
        return "has no valid host; write an IP address, localhost, or nothing for all interfaces";
    return NULL;
}

static const char *
name_server_problem(struct str v)
{
    struct str host, port;
    bool brackets;

    if (is_ipv6(v))
        return NULL;
    if (!cut_authority(v, &host, &brackets, &port) || !(brackets ? is_ipv6(host) : is_ipv4(host)) ||
        (port.n != 0 && (!is_port(port) || str_eq(port, S("0")))))
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
    bool brackets;

    if (str_starts(address, S("unix:")) || !cut_authority(address, ret_host, &brackets, ret_port))
        return false;
    if (brackets)    /* with them: IPv6 */
        *ret_host = str_make(ret_host->p - 1, ret_host->n + 2);
    else if (str_ieq(*ret_host, S("localhost")))
        *ret_host = S("127.0.0.1");
    return true;
}

bool
form_is_local(struct str address)
{
    struct str host, port;
    bool brackets;

    if (str_starts(address, S("unix:")))
        return true;
    if (!cut_authority(address, &host, &brackets, &port))
        return false;
    if (brackets)
        return str_eq(str_make(host.p, str_chr(host, '%')), S("::1"));    /* in whatever zone */
    return str_ieq(host, S("localhost")) || (str_starts(host, S("127.")) && is_ipv4(host));
}

/* The part after "http://" or "https://"; false for other schemes. */
static bool
cut_scheme(struct str v, struct str *ret_rest)
{
    size_t n = str_istarts(v, S("https://")) ? 8 : str_istarts(v, S("http://")) ? 7 : 0;

    *ret_rest = str_skip(v, n);
    return n != 0;
}

static bool
is_authority(struct str s)
{
    struct str host, port = S("");
    bool brackets;

    return cut_authority(s, &host, &brackets, &port) && host.n != 0 && is_host(host, brackets) &&
           (port.n == 0 || is_port(port));
}

static const char *
url_problem(struct str v)
{
    struct str rest, authority, path;

    if (v.n > URL_MAX || !is_graphic(v) || !cut_scheme(v, &rest))
        return "is not a URL; write https://host/path, or http:// for a server without TLS";
    (void)str_cut(rest, '/', &authority, &path);
    if (str_chr(authority, '@') != authority.n)
        return "holds a user name or password; write the URL without it and use api_key or headers";
    if (str_chr(rest, '?') != rest.n || str_chr(rest, '#') != rest.n)
        return "has a query or fragment; write the URL up to the path only";
    if (!is_authority(authority))
        return "has no valid host and port; write https://host/path or https://host:port/path";
    if (!consists_of(path, "-._~!$&'()*+,;=:@/%"))
        return "has characters that a path may not have; write them as %XX";
    return NULL;
}

static const char *
origin_problem(struct str v)
{
    struct str authority;

    if (str_eq(v, S("*")) || (cut_scheme(v, &authority) && is_authority(authority)))
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
    if (v.n == 0 || v.n > NAME_MAX_BYTES || !consists_of(v, "!#$%&'*+-.^_`|~"))
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

const char *
form_problem(struct arena *a, enum conf_form form, struct str v)
{
    switch (form) {
    case FORM_NONE:
        return NULL;
    case FORM_TEXT:
        return v.n > TEXT_MAX || has_control(v)
                   ? "is not one line of up to 256 bytes; write a short text"
                   : NULL;
    case FORM_WORD:
        return v.n > NAME_MAX_BYTES || !consists_of(v, "-_.")
                   ? "is not a name; write letters, digits, - and _"
                   : NULL;
    case FORM_ID:
        return v.n == 0 || v.n > NAME_MAX_BYTES || !is_alnum(v.p[0]) || !consists_of(v, "-_.")
                   ? "is not a provider's name; write up to 64 letters, digits, - _ and ."
                   : NULL;
    case FORM_ALIAS:
        return v.n == 0 || v.n > NAME_MAX_BYTES || !is_alnum(v.p[0]) || !consists_of(v, "-_.:@+")
                   ? "is not a model name; write up to 64 letters, digits and - _ . : @ +"
                   : NULL;
    case FORM_MODEL:
        return v.n > MODEL_MAX || !is_graphic(v) ? "is not a model name; write it without spaces"
                                                 : NULL;
    case FORM_ADDRESS:
        return address_problem(v);
    case FORM_HOST:
        return !str_eq(v, S("*")) && (v.n == 0 || !is_host(v, false) || str_ends(v, S(".")))
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
    }
    CHECK_UNREACHABLE();
}

/* test_read.c - every kind of mistake has its place and its sentence; nothing is ignored in
 * silence. */
#include "conf/read.c"

#include <unistd.h>

#include "tests/test.h"
#include "tests/unit/conf/conf_test.h"

/* A file and all that is said about it. */
static const struct bad {
    const char *text;
    const char *problems;
} bad_files[] = {
    { "server: [\n",
        "2:1: this is not valid YAML: flow sequence without a closing bracket; check the "
        "indentation, the quotes and the brackets\n" },
    { "server: \"a\n",
        "1:10: this is not valid YAML: double-quoted scalar without closing quote; check "
        "the indentation, the quotes and the brackets\n" },
    { "server:\n\tlisten: x\n",
        "2:1: this is not valid YAML: tab character may not be used as indentation; indent "
        "with spaces, not with tabs\n" },
    { "server:\n   workers: 1\n  listen: x\n",
        "3:3: this is not valid YAML: invalid indentation in mapping; check the "
        "indentation, the quotes and the brackets\n" },
    { "server: {listen: @x}\n",
        "1:18: this is not valid YAML: plain scalar cannot start with @; check the "
        "indentation, the quotes and the brackets\n" },
    { "providers: {openai: {api_key: ${KEY}}}\n",
        "1:32: this is not valid YAML: missing comma in flow mapping; between { } and [ ] "
        "write \"${NAME}\" in quotes\n" },
    { "server: a: b\n",
        "1:10: this is not valid YAML: invalid nested block mapping on the same line; check "
        "the indentation, the quotes and the brackets\n" },
    { "server: *nothing\n",
        "1:10: an alias (*name) without its anchor (&name) before it; write text that starts "
        "with * in quotes\n" },
    { "server: !tag {workers: 1}\n",
        "1:14: tags (!name) are not supported; remove it, or put text that starts with ! in "
        "quotes\n" },
    { "server: {workers: 1}\n---\nserver: {workers: 2}\n",
        "2:1: a second document starts here; a configuration is one document\n" },
    { "server: {workers: 1}\nserver: {workers: 2}\n",
        "2:1: this name was already used on line 1; keep one of the two\n" },
    { "timeouts: &t {connect: 1s}\nobserve:\n  <<: *t\n",
        "3:3: merge keys (<<) are not supported; write the values out, or use an alias for "
        "the whole section\n" },
    { "[server]: {workers: 1}\n",
        "1:1: a key must be a plain word; put text that starts with [ or { in quotes\n" },
    { "? [server]\n: {workers: 1}\n",
        "1:1: a question mark between blanks starts a key in YAML, which is not supported; remove "
        "the blank before it\n" },
    { "server: {workers: 1, ? x}\n",
        "1:22: a question mark between blanks starts a key in YAML, which is not supported; remove "
        "the blank before it\n" },
    { "just words\n",
        "1:1: the file is a single value; write settings, one \"name: value\" a line\n" },
    { "- server\n- auth\n",
        "1:1: the file is a list; write settings, one \"name: value\" a line\n" },
    { "server: \001\n", "1:9: control character 0x01; remove it\n" },
    { "server:\n  listen: \377\n", "2:11: byte 0xff is not UTF-8; save the file as UTF-8\n" },
    { "# \177\n", "1:3: control character 0x7f; remove it\n" },
    { "sever: {workers: 1}\n", "1:1: 'sever' is unknown; did you mean 'server'?\n" },
    { "server: {lisen: 127.0.0.1:80}\n",
        "1:10: 'server.lisen' is unknown; did you mean 'listen'?\n" },
    { "listen: 127.0.0.1:80\n", "1:1: 'listen' is unknown here; it belongs to server\n" },
    { "server: {connect: 5s}\n",
        "1:10: 'server.connect' is unknown here; it belongs to timeouts\n" },
    { "auth: {default_provider: openai}\n",
        "1:8: 'auth.default_provider' is unknown here; it belongs to the top level\n" },
    { "auth: {passwords: yes}\n",
        "1:8: 'auth.passwords' is unknown; write one of mode, pepper, plain_http, keys, issuers\n" },
    { "frobnicate: 1\n",
        "1:1: 'frobnicate' is unknown; write one of server, auth, providers, models, "
        "rules, experiments, limits, budgets, default_provider, timeouts, retry, catalog, responses, store, observe, chaos, secrets\n" },
    { "providers: {openai: {apikey: x}}\n",
        "1:22: 'providers.openai.apikey' is unknown; did you mean 'api_key'?\n" },
    { "\"weird\\nname\": 1\n",
        "1:1: the file has a setting that is unknown; write one of server, auth, providers, models, "
        "rules, experiments, limits, budgets, default_provider, timeouts, retry, catalog, responses, store, observe, chaos, secrets\n" },
    { "alerts: [{when: x, use: y}]\n",
        "1:1: 'alerts' is not supported in this version (alerts); remove it\n" },
    { "rules: [{when: x, use: y, status: 500}]\n",
        "1:35: 'rules[0].status' must be one of 400, 403 or 429; did you mean "
        "'400'?\n" },
    { "rules: [when]\n",
        "1:9: 'rules[0]' is a single value; write an entry like {when: 'tokens > 100000', use: "
        "large}\n" },
    { "cache: {exact: {ttl: 1h}}\nguards: []\nshared: {url: y}\nalerts: []\n",
        "1:1: 'cache' is not supported in this version (caching of answers); remove it\n"
        "2:1: 'guards' is not supported in this version (guardrails); remove it\n"
        "3:1: 'shared' is not supported in this version (state shared by replicas); remove it\n"
        "4:1: 'alerts' is not supported in this version (alerts); remove it\n" },
    { "auth: {mode: jwt}\n", "1:14: 'auth.mode' must be none or keys\n" },
    { "auth: {keys: [{name: ci, key: abc, budget: 10/year}]}\n",
        "1:44: 'auth.keys[0].budget' is not a budget; write dollars and a period, like 10/month, "
        "2.50/day or 100/total\n" },
    { "limits: [{for: \"team:\", rpm: 600}]\n",
        "1:16: 'limits[0].for' is not a scope; write all, or KIND:NAME with one of key, user, team, "
        "project, org, model, provider, tag, address and session, like team:research or \"key:*\"\n" },
    { "models: {m: {targets: [a/b], quality: 1.5}}\n",
        "1:39: 'models.m.quality' is not a share from 0 to 1; write 0.9 or 90%\n" },
    { "observe: {otlp: {endpoint: \"http://c:4318\"}}\n",
        "1:11: 'observe.otlp' is not supported in this version (export over OTLP); remove it\n" },
    { "server: 1\n",
        "1:9: 'server' is a single value; write its settings below it, one \"name: value\" a "
        "line\n" },
    { "server: [a]\n",
        "1:9: 'server' is a list; write its settings below it, one \"name: value\" a line\n" },
    { "server: {listen: {a: b}}\n",
        "1:18: 'server.listen' is a section; write a text or a list of texts, like "
        "127.0.0.1:8080\n" },
    { "server: {listen: [[a], ~]}\n", "1:19: 'server.listen[0]' is a list; write a text\n"
                                      "1:24: 'server.listen[1]' is empty; write a text\n" },
    { "server: {listen: []}\n",
        "1:18: 'server.listen' is an empty list; write a text or a list of texts, like "
        "127.0.0.1:8080\n" },
    { "server: {listen: \"\"}\n",
        "1:18: 'server.listen' is empty; write a value, or leave the setting out\n" },
    { "server: {workers: [1]}\n",
        "1:19: 'server.workers' is a list; write auto or a whole number from 1 to 256\n" },
    { "server: {workers: many}\n",
        "1:19: 'server.workers' is not a whole number; write auto or a whole number from 1 "
        "to 256\n" },
    { "server: {workers: 0}\n",
        "1:19: 'server.workers' is too small; write auto or a whole number from 1 to 256\n" },
    { "server: {workers: 1000}\n",
        "1:19: 'server.workers' is too large; write auto or a whole number from 1 to 256\n" },
    { "server: {workers: -1}\n",
        "1:19: 'server.workers' is not a whole number; write auto or a whole number from 1 "
        "to 256\n" },
    { "server: {workers: 1.5}\n",
        "1:19: 'server.workers' is not a whole number; write auto or a whole number from 1 "
        "to 256\n" },
    { "server: {limits: {body: 32mb}}\n",
        "1:25: 'server.limits.body' is not a size; write a size from 1KB to 2GB, like 64KB "
        "or 32MB\n" },
    { "server: {limits: {body: 1}}\n",
        "1:25: 'server.limits.body' is too small; write a size from 1KB to 2GB, like 64KB or "
        "32MB\n" },
    { "server: {limits: {body: 99999999999999999999GB}}\n",
        "1:25: 'server.limits.body' is not a size; write a size from 1KB to 2GB, like 64KB "
        "or 32MB\n" },
    { "server: {limits: {body: 3GB, header_fields: 5}}\n",
        "1:25: 'server.limits.body' is too large; write a size from 1KB to 2GB, like 64KB or "
        "32MB\n"
        "1:45: 'server.limits.header_fields' is too small; write a whole number from 10 to "
        "1000\n" },
    { "timeouts: {connect: 5}\n",
        "1:21: 'timeouts.connect' is not a time with its unit; write a time from 1ms to 24h, "
        "like 500ms, 10s, 5m or 1h\n" },
    { "timeouts: {connect: 5 s}\n",
        "1:21: 'timeouts.connect' is not a time with its unit; write a time from 1ms to 24h, "
        "like 500ms, 10s, 5m or 1h\n" },
    { "timeouts: {connect: 0s}\n",
        "1:21: 'timeouts.connect' is too small; write a time from 1ms to 24h, like 500ms, "
        "10s, 5m or 1h\n" },
    { "timeouts: {total: 25h}\n",
        "1:19: 'timeouts.total' is too large; write a time from 1ms to 24h, like 500ms, 10s, "
        "5m or 1h\n" },
    { "timeouts: {connect: {a: b}}\n",
        "1:21: 'timeouts.connect' is a section; write a time from 1ms to 24h, like 500ms, "
        "10s, 5m or 1h\n" },
    { "observe: {metrics: yes}\n", "1:20: 'observe.metrics' must be true or false\n" },
    { "observe: {log: {level: warm}}\n",
        "1:24: 'observe.log.level' must be one of debug, info, warn or error; did you mean 'warn'?\n" },
    { "observe: {log: {level: loud}}\n",
        "1:24: 'observe.log.level' must be one of debug, info, warn or error\n" },
    { "observe: {log: {path: off}}\n",
        "1:23: 'observe.log.path' cannot be off; write stdout, stderr or a file\n" },
    { "providers: [openai]\n",
        "1:12: 'providers' is a list; write names below it, each with its settings\n" },
    { "providers: {openai: sk-canary}\n",
        "1:21: 'providers.openai' is a single value; write its settings below it, one "
        "\"name: value\" a line\n" },
    { "models: {m: openai/gpt-4o}\n",
        "1:13: 'models.m' is a single value; write its settings below it, one \"name: "
        "value\" a line\n" },
    { "auth: {keys: {name: x}}\n",
        "1:14: 'auth.keys' is a section; write a list, like [{name: ci, key: "
        "\"${OPENCLAW_CI_KEY}\"}]\n" },
    { "auth: {keys: [sk-canary, ~]}\n",
        "1:15: 'auth.keys[0]' is a single value; write an entry like {name: ci, key: "
        "\"${OPENCLAW_CI_KEY}\"}\n"
        "1:26: 'auth.keys[1]' is empty; write an entry like {name: ci, key: "
        "\"${OPENCLAW_CI_KEY}\"}\n" },
    { "auth:\n  keys:\n    - name: ci\n",
        "3:7: 'auth.keys[0]' lacks 'key'; write key: \"${OPENCLAW_CI_KEY}\"\n" },
    { "auth:\n  keys:\n    - key: abc\n", "3:7: 'auth.keys[0]' lacks 'name'; write name: ci\n" },
    { "models:\n  fast:\n    strategy: priority\n",
        "2:3: 'models.fast' lacks 'targets'; write targets: [openai/gpt-4o-mini]\n" },
    { "models:\n  fast:\n",
        "2:3: 'models.fast' lacks 'targets'; write targets: [openai/gpt-4o-mini]\n" },
    { "models: {fast: {targets: []}}\n",
        "1:26: 'models.fast.targets' is empty; write a list, like [openai/gpt-4o-mini]\n" },
    { "models: {fast: {targets: [{weight: 2}]}}\n",
        "1:27: 'models.fast.targets[0]' lacks 'model'; write model: openai/gpt-4o-mini\n" },
    { "server: {listen: 8080}\n",
        "1:18: 'server.listen' is a port without a colon; write :PORT for all interfaces, or "
        "127.0.0.1:PORT\n" },
    { "server: {listen: localhost}\n",
        "1:18: 'server.listen' has no port; write it after the host, like 127.0.0.1:8080\n" },
    { "server: {listen: \"::1:8080\"}\n",
        "1:18: 'server.listen' is an IPv6 address without brackets; write [::1]:8080\n" },
    { "server: {listen: \"http://127.0.0.1:80\"}\n",
        "1:18: 'server.listen' is a URL; write the address alone, like 127.0.0.1:8080\n" },
    { "server: {listen: \"127.0.0.1:99999\"}\n",
        "1:18: 'server.listen' has no valid port; write a number from 0 to 65535 after the "
        "last colon\n" },
    { "server: {listen: \"127.0.0.256:80\"}\n",
        "1:18: 'server.listen' has no valid host; write an IP address, localhost, or nothing "
        "for all interfaces\n" },
    { "server: {listen: \"[::1\"}\n",
        "1:18: 'server.listen' is not an address; write HOST:PORT, [V6]:PORT, :PORT or "
        "unix:/path\n" },
    { "server: {listen: \"[12345::]:80\"}\n",
        "1:18: 'server.listen' has no valid host; write an IP address, localhost, or nothing "
        "for all interfaces\n" },
    { "server: {listen: \"unix:relative\"}\n",
        "1:18: 'server.listen' is not a unix socket; write unix: and an absolute path, like "
        "unix:/run/openclaw.sock\n" },
    { "server: {listen: "
      "\"unix:/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}\n",
        "1:18: 'server.listen' is longer than the 107 bytes that a unix socket's path may "
        "have; write a shorter path\n" },
    { "server: {listen: [\"127.0.0.1:80\", \"127.0.0.1:80\"], admin_listen: "
      "\"127.0.0.1:80\"}\n",
        "1:35: 'server.listen' has this address twice; remove one\n"
        "1:66: 'server.admin_listen' is one of server.listen; write another port\n" },
    { "server: {cors_origins: [\"https://a.example/path\", app.example]}\n",
        "1:25: 'server.cors_origins[0]' is not an origin; write https://host or "
        "https://host:port without a path, or \"*\" for all\n"
        "1:51: 'server.cors_origins[1]' is not an origin; write https://host or "
        "https://host:port without a path, or \"*\" for all\n" },
    { "server: {tls: {cert: /etc/passwd}}\n",
        "1:22: 'server.tls' has a cert and no key; write both, or neither\n" },
    { "server: {tls: {key: /etc/passwd}}\n",
        "1:21: 'server.tls' has a key and no cert; write both, or neither\n" },
    { "server: {tls: {cert: /nonexistent/c.pem, key: /etc}}\n",
        "1:22: 'server.tls.cert' cannot be read (No such file or directory); write the path "
        "of a readable file\n"
        "1:47: 'server.tls.key' cannot be read (Is a directory); write the path of a "
        "readable file\n" },
    { "providers: {\"a b\": {}, \"\": {}, \"a/b\": {}}\n",
        "1:13: 'providers[0]' is not a provider's name; write up to 64 letters, digits, - _ "
        "and .\n"
        "1:24: 'providers[1]' is not a provider's name; write up to 64 letters, digits, - _ "
        "and .\n"
        "1:32: 'providers[2]' is not a provider's name; write up to 64 letters, digits, - _ "
        "and .\n" },
    { "models: {\"a b\": {targets: [x/y]}}\n",
        "1:10: 'models[0]' is not a model name; write up to 64 letters, digits and - _ . : @ "
        "+ /, and perhaps one *\n" },
    { "providers: {p: {base_url: \"10.0.0.5:8000/v1\"}}\n",
        "1:27: 'providers.p.base_url' is not a URL; write https://host/path, or http:// for "
        "a server without TLS\n" },
    { "providers: {p: {base_url: \"https://user:canary@host/v1\"}}\n",
        "1:27: 'providers.p.base_url' holds a user name or password; write the URL without "
        "it and use api_key or headers\n" },
    { "providers: {p: {base_url: \"https://host/v1?key=canary\"}}\n",
        "1:27: 'providers.p.base_url' has a query or fragment; write the URL up to the path "
        "only\n" },
    { "providers: {p: {base_url: \"https://ho st/\"}}\n",
        "1:27: 'providers.p.base_url' is not a URL; write https://host/path, or http:// for "
        "a server without TLS\n" },
    { "providers: {p: {base_url: \"https://:80/\"}}\n",
        "1:27: 'providers.p.base_url' has no valid host and port; write https://host/path or "
        "https://host:port/path\n" },
    { "providers: {p: {base_url: \"https://host/<\"}}\n",
        "1:27: 'providers.p.base_url' has characters that a path may not have; write them as "
        "%XX\n" },
    { "providers: {p: {api_key: \"ca nary\"}}\n",
        "1:26: 'providers.p.api_key' has a space; write the key alone\n" },
    { "providers: {p: {api_key: \"canary\\r\\nX-Evil: 1\"}}\n",
        "1:26: 'providers.p.api_key' has more than one line; write the key alone\n" },
    { "providers: {p: {api_key: {canary: canary}}}\n",
        "1:26: 'providers.p.api_key' is a section; write a text or a list of texts, like "
        "\"${LAB_API_KEY}\"\n" },
    { "providers: {p: {headers: {\"a b\": x, Host: y, x-a: \"canary\\n\", x-b: z, X-B: z, "
      "x-c: ~, x-d: \" canary\"}}}\n",
        "1:27: 'providers.p.headers[0]' is not a header field's name; write letters, digits "
        "and -\n"
        "1:37: 'providers.p.headers.Host' is a header field that the gateway writes itself; "
        "remove it\n"
        "1:51: 'providers.p.headers.x-a' has a control character; write one line of text\n"
        "1:71: 'providers.p.headers.X-B' is given twice, in different case; keep one of the "
        "two\n"
        "1:84: 'providers.p.headers.x-c' is empty; write a text\n"
        "1:92: 'providers.p.headers.x-d' begins or ends with a space; remove it\n" },
    { "providers: {p: {wire: \"open ai\", quirks: [\"no good\"]}}\n",
        "1:23: 'providers.p.wire' is not a name; write letters, digits, - and _\n"
        "1:43: 'providers.p.quirks[0]' is not a name; write letters, digits, - and _\n" },
    { "providers: {p: {tls_insecure: true, ca_file: /etc/passwd}}\n",
        "1:46: 'providers.p' has a ca_file and tls_insecure, which ignores it; keep one of "
        "the two\n" },
    { "models: {m: {targets: [\"a b\"]}}\n",
        "1:24: 'models.m.targets[0]' is not a model name; write it without spaces\n" },
    { "models: {m: {targets: [{model: a/b, params: [1], weight: 0}]}}\n",
        "1:45: 'models.m.targets[0].params' is a list; write names and values, like "
        "{temperature: 0.2}\n"
        "1:58: 'models.m.targets[0].weight' is too small; write a whole number from 1 to "
        "1000\n" },
    { "server: {listen: \"${OPENCLAW_TEST_UNSET}\"}\n",
        "1:18: 'server.listen' needs the environment variable OPENCLAW_TEST_UNSET, which is "
        "not set; set it, or write ${OPENCLAW_TEST_UNSET:-default}\n" },
    { "server: {listen: \"${OPENCLAW_TEST_EMPTY}\"}\n",
        "1:18: 'server.listen' needs the environment variable OPENCLAW_TEST_EMPTY, which is "
        "empty; set it, or write ${OPENCLAW_TEST_EMPTY:-default}\n" },
    { "server: {listen: \"${OPENCLAW_TEST_UNSET:-}\"}\n",
        "1:18: 'server.listen' is empty; write a value, or leave the setting out\n" },
    { "server: {listen: \"${not a name}\"}\n",
        "1:18: 'server.listen' has a reference without a valid name; write ${NAME} or "
        "${NAME:-default}\n" },
    { "server: {listen: \"${OPEN\"}\n",
        "1:18: 'server.listen' has a ${ without its }; write ${NAME} or ${NAME:-default}\n" },
    { "server: {listen: $HOST}\n",
        "1:18: 'server.listen' has a single $; write ${NAME} for an environment variable, or "
        "$$ for a dollar sign\n" },
    { "server: {workers: \"${OPENCLAW_TEST_CANARY}\"}\n",
        "1:19: 'server.workers' is not a whole number; write auto or a whole number from 1 "
        "to 256\n" },
    { "timeouts: {connect: \"${OPENCLAW_TEST_CANARY}\"}\n",
        "1:21: 'timeouts.connect' is not a time with its unit; write a time from 1ms to 24h, "
        "like 500ms, 10s, 5m or 1h\n" },
    { "observe: {log: {level: \"${OPENCLAW_TEST_CANARY}\"}}\n",
        "1:24: 'observe.log.level' must be one of debug, info, warn or error\n" },
    { "models: {m: {targets: [{model: a/b, params: {x: \"${OPENCLAW_TEST_UNSET}\"}}]}}\n",
        "1:49: 'models.m.targets[0].params' needs the environment variable "
        "OPENCLAW_TEST_UNSET, which is not set; set it, or write "
        "${OPENCLAW_TEST_UNSET:-default}\n" },
    { "providers: {p: {api_key: \"file:relative\"}}\n",
        "1:26: 'providers.p.api_key' has a file: reference without an absolute path; write "
        "file:/path\n" },
    { "providers: {p: {api_key: \"file:/nonexistent/key\"}}\n",
        "1:26: 'providers.p.api_key' needs the file /nonexistent/key, which cannot be read "
        "(No such file or directory); check the path and its permissions\n" },
    { "providers: {p: {api_key: \"file:/etc\"}}\n",
        "1:26: 'providers.p.api_key' needs the file /etc, which cannot be read (Not a "
        "regular file); check the path and its permissions\n" },
    { "providers: {p: {api_key: \"file:/dev/zero\"}}\n",
        "1:26: 'providers.p.api_key' needs the file /dev/zero, which cannot be read (Not a "
        "regular file); check the path and its permissions\n" },
    { "providers: {p: {api_key: \"file:/${OPENCLAW_TEST_CANARY}\"}}\n",
        "1:26: 'providers.p.api_key' needs the file of its reference, which cannot be read "
        "(No such file or directory); check the path and its permissions\n" },
    { "server: {listen: 0.0.0.0:80}\n",
        "1:18: 'server.listen' can be reached from other machines, and no key is required; "
        "write auth: {keys: [{name: ci, key: \"${OPENCLAW_CI_KEY}\"}]}, or auth: {mode: "
        "keys} for keys of the store (`openclaw keys`), or auth: {mode: none} to serve everybody\n" },
    { "server: {listen: [\"127.0.0.1:80\", \":81\"]}\n",
        "1:35: 'server.listen' can be reached from other machines, and no key is required; "
        "write auth: {keys: [{name: ci, key: \"${OPENCLAW_CI_KEY}\"}]}, or auth: {mode: "
        "keys} for keys of the store (`openclaw keys`), or auth: {mode: none} to serve everybody\n" },
    { "auth: {mode: keys}\nstore: {url: off}\n",
        "1:14: 'auth.mode' is keys and there are none, nor a store that could have some; write "
        "keys: [{name: ci, key: \"${OPENCLAW_CI_KEY}\"}]\n" },
    { "auth: {pepper: fifteen-letters}\n",
        "1:16: 'auth.pepper' has fewer than 16 characters and can be guessed; take one of openssl "
        "rand -hex 32\n" },
    { "auth: {keys: [{name: a, key: k1}, {name: a, key: k2}]}\n",
        "1:42: 'auth.keys[1].name' is already the name of another key; give each key its own\n" },
    { "providers: {openai: {base_url: \"https://x\", api_key:sk-canary-1}}\n",
        "1:45: 'providers.openai' has a setting without a blank after its colon; write name: value\n" },
    { "providers: {openai:sk-canary-1}\n",
        "1:13: 'providers[0]' is not a provider's name; write up to 64 letters, digits, - _ "
        "and .\n" },
    { "auth: {keys: [{name: ci, sk-canary-1}]}\n",
        "1:26: 'auth.keys[0]' has a setting that is unknown; write one of name, key, models, routes, endpoints, providers, team, project, user, organisation, environment, tags, cidrs, origins, expires, priority, concurrent, rpm, tpm, rpd, tpd, budget, explain\n" },
    /* one mistake is one line, whatever follows from it */
    { "auth: {keys: [{name: a, kye: b}]}\n",
        "1:25: 'auth.keys[0].kye' is unknown; did you mean 'key'?\n" },
    { "server: {listen: \":80\"}\nauth: {keyz: [{name: a, key: b}]}\n",
        "2:8: 'auth.keyz' is unknown; did you mean 'keys'?\n" },
    { "server: {listen: \":80\"}\natuh: {keys: [{name: a, key: b}]}\n",
        "2:1: 'atuh' is unknown; did you mean 'auth'?\n" },
    { "server: {tls: {cert: /etc/hostname, key: /no/such/file}}\n",
        "1:42: 'server.tls.key' cannot be read (No such file or directory); write the path of a readable file\n" },
    { "auth: {keys: [{name: a, key: '\"sk-canary\"'}, {name: b, key: \"'sk-canary'\"}]}\n",
        "1:30: 'auth.keys[0].key' has quotation marks of its own; write the key without them\n"
        "1:61: 'auth.keys[1].key' has quotation marks of its own; write the key without them\n" },
    { "providers: {openai: {api_key: [\"sk canary\", \"sk-canary\\nsk-canary\", \"sk-canary\\t\", \"`sk\"]}}\n",
        "1:32: 'providers.openai.api_key[0]' has a space; write the key alone\n"
        "1:45: 'providers.openai.api_key[1]' has more than one line; write the key alone\n"
        "1:69: 'providers.openai.api_key[2]' has a space; write the key alone\n"
        "1:84: 'providers.openai.api_key[3]' has quotation marks of its own; write the key without them\n" },
    { "providers: {p: {headers: {authorization:Bearer-canary}}}\n",
        "1:27: 'providers.p.headers[0]' is not a header field's name; write letters, digits "
        "and -\n" },
    { "timeouts:\n  total: 1\nserver:\n  workers: x\n  lissten: y\nmodels:\n  m: {}\n",
        "2:10: 'timeouts.total' is not a time with its unit; write a time from 1ms to 24h, "
        "like 500ms, 10s, 5m or 1h\n"
        "4:12: 'server.workers' is not a whole number; write auto or a whole number from 1 "
        "to 256\n"
        "5:3: 'server.lissten' is unknown; did you mean 'listen'?\n"
        "7:3: 'models.m' lacks 'targets'; write targets: [openai/gpt-4o-mini]\n" },
};

static void
set_environment(void)
{
    EXPECT(unsetenv("OPENCLAW_TEST_UNSET") == 0);
    EXPECT(setenv("OPENCLAW_TEST_EMPTY", "", 1) == 0);
    EXPECT(setenv("OPENCLAW_TEST_CANARY", "canary-secret", 1) == 0);
}

TEST(each_mistake_is_told_with_its_place_and_what_to_write_instead)
{
    set_environment();
    EXPECT(ARRAY_LEN(bad_files) >= 60);
    for (size_t i = 0; i < ARRAY_LEN(bad_files); i++) {
        struct loaded l = load(str_c(bad_files[i].text));

        EXPECT(l.problems.count != 0);
        EXPECT_STR(problem_lines(&l), bad_files[i].problems);
        unload(&l);
    }
}

TEST(a_bad_file_still_gives_a_whole_configuration)
{
    for (size_t i = 0; i < ARRAY_LEN(bad_files); i++) {
        struct loaded l = load(str_c(bad_files[i].text));

        EXPECT(l.conf->auth.mode != AUTH_DEFAULT);
        EXPECT(l.conf->server.limit_answer_bytes != 0);
        EXPECT_STR(l.conf->path, "f.yaml");
        unload(&l);
    }
}

/* Every scalar of the table refuses a list or a section, every section refuses a text. */
TEST(no_setting_takes_a_value_of_another_shape)
{
    static const char *const shapes[] = { "{x: [y]}", "[[x]]", "\"\"" };
    const struct option *o;

    for (size_t i = 0; (o = option_at(i)) != NULL; i++) {
        const struct section *s = section_row(o->section);
        if (s->kind != SECTION_PLAIN || o->type == OPTION_LATER)
            continue;
        if (str_chr(s->path, '<') != s->path.n)
            continue;    /* part of an entry, which needs a name */
        for (size_t j = 0; j < ARRAY_LEN(shapes); j++) {
            struct arena *a = arena_create(1024 * 1024);
            bool takes_it = j == 0 && (o->type == OPTION_SECTION || o->type == OPTION_MAP);
            struct str path = s->path.n == 0 ? o->key
                                             : arena_printf(a, STR_FMT "." STR_FMT,
                                                   STR_ARG(s->path), STR_ARG(o->key));
            struct str set = arena_printf(a, STR_FMT "=%s", STR_ARG(path), shapes[j]);
            struct loaded l = load_with(S(""), (const char *const[]){ set.p }, 1);

            EXPECT(l.problems.count != 0);
            struct str prefix =
                arena_printf(a, "--set " STR_FMT ": '" STR_FMT, STR_ARG(path), STR_ARG(path));
            EXPECT(takes_it || str_starts(l.problems.first->text, prefix));
            unload(&l);
            arena_destroy(a);
        }
    }
}

TEST(lists_are_bounded)
{
    static const struct {
        const char *head;
        const char *entry;
        int most;
        const char *tail;
    } lists[] = {
        { "server: {listen: [", "\"127.0.0.1:0\",", TEXTS_MAX, "]}" },
        { "auth: {mode: none, keys: [", "{name: \"a%d\", key: b},", ENTRIES_MAX, "]}" },
        { "providers: {", "p%d: ,", ENTRIES_MAX, "}" },
        { "providers: {p: {headers: {", "x%d: y,", PAIRS_MAX, "}}}" },
    };

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        for (int extra = 0; extra < 2; extra++) {
            struct buf b;

            buf_init(&b, YAML_BYTES_MAX);
            buf_add(&b, str_c(lists[i].head));
            for (int n = 0; n < lists[i].most + extra; n++) {
                struct str entry = str_c(lists[i].entry);
                size_t at = str_find(entry, S("%d"));

                buf_add(&b, str_make(entry.p, at));
                if (at < entry.n)
                    buf_add_u64(&b, (uint64_t)n);
                buf_add(&b, str_skip(entry, at + 2));
            }
            buf_add(&b, str_c(lists[i].tail));

            struct loaded l = load(buf_str(&b));
            EXPECT_INT(l.problems.count, extra);
            unload(&l);
            buf_fini(&b);
        }
    }
}

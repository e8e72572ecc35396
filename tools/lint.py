#!/usr/bin/env python3
"""lint.py [TREE] - rules of this project that a compiler does not check.

  * An include names its folder. Code includes its own folder and the layers below it, nothing else.
  * In the folders of CIRCLE_FREE no modules (a .c with its .h) include each other in a circle.
  * Only wires/ knows which wire is which: nothing else compares one with another by name.
  * Only net/ uses libuv, c-ares and OpenSSL's TLS; only http/ uses nghttp2; only script/ uses Lua; only store/ uses
    SQLite and libpq; llm/ and wires/ use no sockets.
  * No words that promise work for later.
  * Comments, messages and pages are in plain English: none of the phrases in WORDING.
  * Every source file, unit test and fuzz target is listed in its meson.build.
  * A function that a header declares is used by another file, or by a test.
  * A header has `#pragma once`; a source file starts with why it exists; no trailing spaces.

Prints `file:line: what is wrong; what to do instead` for each and exits 1 if there is any.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if sys.argv[1:] else __file__ + "/../..").resolve()

# The layers, lowest first. Folders of one layer do not include each other.
LAYERS = [
    ["base"],
    ["net", "conf", "script", "sign", "tokens"],
    ["http", "store"],
    ["cloud"],
    ["llm"],
    ["wires"],
    ["catalog"],
    ["route"],
    ["policy"],
    ["control"],
    ["observe"],
    ["gateway"],
    ["admin"],
    ["cli"],
    ["mock"],
    ["bench", "chat", "conform"],
    ["app"],
]
LAYER = {folder: height for height, folders in enumerate(LAYERS) for folder in folders}

# Folders whose modules include each other in one direction only.
CIRCLE_FREE = ["admin", "app", "bench", "catalog", "chat", "control", "gateway", "observe", "policy", "route", "script", "tokens"]

# Headers of libraries that only these folders may include.
EXCLUSIVE = [
    (re.compile(r"^(uv\.h|uv/.*|openssl/(ssl|err|x509.*|bio|pem)\.h)$"), {"net"}),
    (re.compile(r"^ares(_\w+)?\.h$"), {"net"}),
    (re.compile(r"^nghttp2/.*$"), {"http"}),
    (re.compile(r"^openssl/.*"), {"net", "base", "sign"}),
    (re.compile(r"^libfyaml\.h$"), {"conf"}),
    (re.compile(r"^(sqlite3|libpq-fe|pg_config)\.h$|^postgresql/.*"), {"store"}),
    (re.compile(r"^(lua|lualib|lauxlib|luaconf)\.h$"), {"script"}),
    (re.compile(r"^arpa/inet\.h$"), {"net", "app", "base"}),    # base/url.c: inet_pton() reads text
    (re.compile(r"^(sys/socket|netinet/.*|arpa/(?!inet\.h$).*|netdb)(\.h)?$"), {"net", "app"}),
]

WIRE_IDENTITY = re.compile(r"[=!]=\s*&wire_\w+|&wire_\w+\s*[=!]=")

LATER_WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK|not[ -]implemented|unimplemented|stub(bed)?)\b", re.I)

# Phrases that are not plain English in a technical text, and what to write instead.
WORDING = [(re.compile(pattern), instead) for pattern, instead in [
    (r"\bbehind (?:it|them|(?:the|a|an|its|this|that) (?!\w* ?(?:lock|proxy|balancer|firewall)\b)\w+)",
     "'after' the byte or token; 'besides'"),
    (r"\b[Gg]ood-?bye", "'sends GOAWAY', 'closes the connection'"),
    (r"\b[Ll]ast word\b", "'terminator'; 'overrides'"),
    (r"(?:^|[.;*] +|\b(?:then|than|for|from|to|with|and|but|of) )[Ww]ho (?:reads|sends|gives|waits|leaves|asks|goes|comes|has|takes|keeps|wants|looks)\b",
     "'a client that ...'"),
    (r"\b[Ww]hoever (?:asks|follows|gives|has|holds|is named|looks|reads|sends|takes|uses|waits|wants)\b", "'a client that ...'; the function's name"),
    (r"\b[Nn]obody (?:asks?|asked|cancels|else|looks|must|needs?|notices|reads?|reports?|reported|sets?|waits?|wants?|writes)\b",
     "name who; or the passive: 'is not read'"),
    (r"\b[Ss]omebody(?:'s| at| asks| else| listens| looks| needs| reads| sends| wants)\b", "name who: 'a client', 'a process', 'the caller'"),
    (r"\bnone of its choices\b", "'must be one of ...'"),
    (r"\b(?:one|same|only|through the) door\b", "'entry point', 'function', 'path'"),
    (r"\bas much again\b", "'twice'"),
    (r"\b(?<![Tt]here )(?:is|are) no (?!longer|later|more|less|earlier|better|worse|older|newer|other|different|such|exception)[a-z]+", "'is not a ...'"),
    (r"\b(?:[Vv]ectors|[Ee]mbeddings) are no\b", "'have no output tokens'"),
    (r"\bat rest\b", "'idle'"),
    (r"\b(?:does|did|do|has|have) not turn(?:ed)?\b(?! into)", "'is blocked'"),
    (r"\bturns? of the loop\b", "'iteration of the event loop'"),
    (r"\bst(?:ands?|ood) (?:in the|in its|in a\b|there\b)", "'is in'"),
    (r"\bin its turn\b|\bso be it\b|\bout loud\b", "leave it out"),
    (r"\bmade plain\b", "'decompressed'"),
    (r"\bhas no words? for\b", "'does not support'"),
    (r"\bgo(?:es)? on to (?:the )?providers?\b", "'is forwarded to'"),
    (r"\bmust identify\b", "'a key is required'"),
]]
PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/*.md", "etc/*"]
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')

problems = []


def problem(path, line, text):
    problems.append(f"{path.relative_to(ROOT)}:{line}: {text}")


def check_local_include(path, line, folder, included):
    if "/" not in included:
        problem(path, line, f'include "{included}" lacks its folder; write "{folder}/{included}"')
        return
    target = included.split("/")[0]
    if folder not in LAYER or target == folder:
        return    # tests and generated code may include everything
    if target not in LAYER:
        problem(path, line, f'"{included}" is in no layer; add its folder to LAYERS in tools/lint.py')
    elif LAYER[target] >= LAYER[folder]:
        problem(path, line, f"{folder}/ includes {included}, which is not below it; "
                            "pass a function pointer down instead")


def check_system_include(path, line, folder, included):
    for pattern, owners in EXCLUSIVE:
        if pattern.match(included):
            if folder not in owners:
                problem(path, line, f"<{included}> belongs to {' and '.join(sorted(owners))}/; "
                                    "use what that folder offers")
            return


def check_wording(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        for pattern, instead in WORDING:
            match = pattern.search(line)
            if match:
                problem(path, number, f"'{match[0].strip()}' is not plain English; write {instead}")


def check_source(path, folder):
    text = path.read_text()
    if folder and not text.startswith("/*"):
        problem(path, 1, "a file starts with a comment that says why it exists")
    if path.suffix == ".h" and "#pragma once" not in text:
        problem(path, 1, "a header needs #pragma once")
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match and match[1] and folder:
            check_local_include(path, number, folder, match[1])
        elif match and match[2] and folder:
            check_system_include(path, number, folder, match[2])
        if WIRE_IDENTITY.search(line) and folder not in (None, "wires"):
            problem(path, number, "compares a wire's identity; make what differs a member of struct wire")
        if LATER_WORDS.search(line):
            problem(path, number, "do it now, or open an issue and leave the word out")
        if line != line.rstrip() or "\t" in line:
            problem(path, number, "trailing space or tab; run ./dev fmt")


def check_circles(folder):
    """Takes away what includes nothing that is left, until the rest is in circles or leads to one."""
    paths = {path.stem: path for path in sorted((ROOT / "src" / folder).glob("*.[ch]"))}
    uses = {name: set() for name in paths}
    for path in (ROOT / "src" / folder).glob("*.[ch]"):
        for line in path.read_text().splitlines():
            match = INCLUDE.match(line)
            if match and match[1] and match[1].startswith(folder + "/") and match[1].endswith(".h"):
                uses[path.stem].add(match[1][len(folder) + 1:-2])
    left = dict(uses)
    for side in (lambda name: uses[name], lambda name: {other for other in left if name in uses[other]}):
        while free := [name for name in left if not (side(name) - {name}) & set(left)]:
            for name in free:
                del left[name]
    for name in sorted(left):
        others = ", ".join(sorted((uses[name] - {name}) & set(left)))
        problem(paths[name], 1, f"is in a circle of includes, through {others}; move what both need below them")


def check_is_built(path, list_file, name):
    if list_file.exists() and f"'{name}'" not in list_file.read_text():
        problem(path, 1, f"is not built; add '{name}' to {list_file.relative_to(ROOT)}")


def check_lists():
    for path in sorted((ROOT / "src").rglob("*.c")):
        if path != ROOT / "src/app/main.c":
            check_is_built(path, ROOT / "src/meson.build", path.relative_to(ROOT / "src"))
    for path in sorted((ROOT / "tests/unit").rglob("test_*.c")):
        name = path.relative_to(ROOT / "tests/unit").with_suffix("")
        check_is_built(path, ROOT / "tests/unit/meson.build", name)
    for path in sorted((ROOT / "tests/fuzz").glob("fuzz_*.c")):
        check_is_built(path, ROOT / "tests/fuzz/meson.build", path.stem[len("fuzz_"):])


# Comments; literals too, for one may look like the begin of a comment.
COMMENT = re.compile(r"""/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'""", re.S)
PROTOTYPE = re.compile(r"^[a-z][\w \t\n*]*?[ *](\w+)\([^;{}]*\)[\s\w()]*;", re.M)


def check_declared():
    code = {path: COMMENT.sub(" ", path.read_text()) for top in ("src", "tests") for path in (ROOT / top).rglob("*")
            if path.suffix in (".c", ".h", ".def")}
    files = {}    # by word
    for path, text in code.items():
        for word in set(re.findall(r"\w+", text)):
            files.setdefault(word, []).append(path)
    for header in sorted(path for path in code if path.suffix == ".h" and path.is_relative_to(ROOT / "src")):
        for match in PROTOTYPE.finditer(code[header]):
            name = match[1]
            users = [path for path in files[name] if path != header]
            if len(re.findall(rf"\b{name}\b", code[header])) > 1:
                continue    # a macro or an inline function of the header uses it
            others = [path for path in users if not re.search(rf"^{name}\(", code[path], re.M)]
            own = [path for path in users if path not in others]
            if own and not others:
                number = header.read_text()[:header.read_text().find(name + "(")].count("\n") + 1
                uses = sum(len(re.findall(rf"\b{name}\b", code[path])) for path in own)
                problem(header, number, f"{name}() is used " + ("in its own file only; make it static"
                                                               if uses > len(own) else "nowhere; remove it"))


def check_struct_names():
    """Whoever looks for a struct by its name finds one."""
    homes = {}
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r"struct (\w+) \{", line)
            home = homes.setdefault(found[1], path) if found else path
            if home != path:
                problem(path, number, f"{home.relative_to(ROOT)} has a 'struct {found[1]}' too; "
                                      "give one of them another name")


def main():
    checked = 0
    check_lists()
    check_struct_names()
    for folder in CIRCLE_FREE:
        check_circles(folder)
    check_declared()
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix in (".c", ".h", ".def"):
            folder = path.relative_to(ROOT / "src").parts[0]
            if folder not in LAYER:
                problem(path, 1, f"folder {folder}/ is in no layer; add it to LAYERS in tools/lint.py")
            check_source(path, folder)
            check_wording(path)
            checked += 1
    for path in sorted(path for pattern in PAGES for path in ROOT.glob(pattern)):
        check_wording(path)
        checked += 1
    for path in sorted((ROOT / "tests").rglob("*")):
        if path.suffix in (".c", ".h"):
            check_source(path, None)
            checked += 1
    for text in problems:
        print(text)
    bad = len({text.split(":")[0] for text in problems})
    print(f"tests: {checked - bad} passed, {bad} failed, 0 skipped")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

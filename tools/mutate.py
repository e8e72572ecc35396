#!/usr/bin/env python3
"""mutate.py - which mistakes would the tests not notice?

    tools/mutate.py --count 100 src/gateway/*.c src/http/*.c
    tools/mutate.py --count 20 --scenario test_faults.py --scenario test_secrets.py src/gateway/answer.c

Makes small changes (a condition negated, a bound off by one, a statement removed, a constant changed) in a copy of the
tree (build-mutants/) and lists those that no test notices: unit tests of the file's folder and of those that use it, the
fuzzers' corpora, then the named scenario files. The same arguments make the same changes. On demand only.

All changes are compiled at once, each behind a number that the environment names, so that nothing is built twice; every
change notes that it was reached, so that a change is tried with those tests only whose run comes past it.
"""
import argparse
import concurrent.futures
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
COPY = ROOT / "build-mutants"
FUZZ_INPUTS = "100"
MEMORY_BYTES = 8 << 30    # address space of a test: a loop that allocates ends
MUTANTS_MAX = 4096

# mutant(N): is it the one that is tried? Notes that it was reached.
SWITCH = """
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
static int mutant_chosen;
static unsigned char *mutants_reached, nowhere[%d];
int
mutant(int n)
{
    if (mutants_reached == NULL) {
        const char *file = getenv("MUTANTS_REACHED");
        int fd = file == NULL ? -1 : open(file, O_RDWR);
        void *p = fd < 0 ? MAP_FAILED : mmap(NULL, %d, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (fd >= 0)
            close(fd);
        mutant_chosen = atoi(getenv("MUTANT_CHOSEN") ? getenv("MUTANT_CHOSEN") : "0");
        mutants_reached = p == MAP_FAILED ? nowhere : p;
    }
    mutants_reached[n] = 1;
    return n == mutant_chosen;
}
""" % (MUTANTS_MAX, MUTANTS_MAX)

# What is replaced by what. A pattern may match several times; each match is a mutant.
SWAPS = [
    (r"(?<![<>=!&|+\-*/-])<(?![<=])(?= )", "<="), (r"<=", "<"), (r"(?<![->])>(?![>=])(?= )", ">="), (r"(?<!>)>=", ">"),
    (r"==", "!="), (r"!=", "=="), (r"&&", "||"), (r"\|\|", "&&"),
    (r"\btrue\b", "false"), (r"\bfalse\b", "true"), (r"\+ 1\b", "+ 0"), (r"- 1\b", "- 0"),
    (r"(?<![\w.%])(\d+)(?![\w.])", lambda m: str(int(m.group(1)) + 1)),
]
HEAD = re.compile(r"(?:\} )?(?:else )?(if|while|for|switch|do|else)\b|[A-Z_]+ \(")
SPARED = re.compile(r"(?:CHECK|log_|debug_|\(void\)|goto |break;|continue;|case |default:|static |extern |\w+:$)")
DECLARATION = re.compile(r"(?:const |struct |enum |unsigned )*\w+ [*\w]*(?:\[.*\])?(?: =|;|,)")


def masked(text):
    """The same text, as long, without what comments and literals say."""
    def blank(m):
        return re.sub(r"[^\n]", " " if m.group().startswith("/") else "_", m.group())
    return re.sub(r"/\*[\s\S]*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", blank, text)


def depth_of(code, opening, closing):
    return code.count(opening) - code.count(closing)


def statements(mask):
    """(start, end, is a head) of the statements and of the heads of compound ones in function bodies."""
    inside, at, start = False, 0, None
    for line in mask.splitlines(keepends=True):
        begin, at = at, at + len(line)
        if line.startswith(("{", "}")):
            inside, start = line.startswith("{"), None
            continue
        if not inside or not line.strip() or line.startswith("#"):
            continue
        if start is None:
            start = begin + len(line) - len(line.lstrip())
        code = mask[start:at].rstrip()
        if depth_of(code, "(", ")") > 0:
            continue
        if HEAD.match(code) or code in ("{", "}") or code.endswith(":"):
            yield start, start + len(code), True
            start = None
        elif code.endswith(";") and depth_of(code, "{", "}") <= 0:
            yield start, start + len(code), False
            start = None


def swaps(code, mask):
    for pattern, by in SWAPS:
        for m in re.finditer(pattern, mask):
            new = by(m) if callable(by) else by
            yield code[:m.start()] + new + code[m.end():], f"{m.group()} is {new}"


def expression(text, mask, start, end):
    """The changes of an expression: (its place, what stands there instead, what was done)."""
    code = text[start:end]
    for new, what in swaps(code, mask[start:end]):
        yield start, end, f"(mutant(\0) ? ({new}) : ({code}))", what


def mutants_of(path):
    """Every change that could be made: (path, start, end, what stands there instead, line, what was done)."""
    text = (ROOT / path).read_text()
    mask = masked(text)
    for start, end, head in statements(mask):
        code = mask[start:end]
        found = []
        if head:
            condition = re.match(r"(?:\} )?(?:else )?(?:if|while) \(([\s\S]+)\)(?: \{)?$", code)
            loop = re.match(r"for \([^;]*; ([^;]+);[^;]*\)(?: \{)?$", code)
            m = condition or loop
            if m:
                a, b = start + m.start(1), start + m.end(1)
                found += expression(text, mask, a, b)
                if condition:
                    found.append((a, b, f"(mutant(\0) ? !({text[a:b]}) : ({text[a:b]}))", "condition negated"))
        elif SPARED.match(code):
            continue
        elif code.startswith("return "):
            found += expression(text, mask, start + 7, end - 1)
            if re.search(r"&&|\|\||[=!<>]=|!|\b(?:is|has|can)_|_(?:is|has|can)_", code):
                a, b = start + 7, end - 1
                found.append((a, b, f"(mutant(\0) ? !({text[a:b]}) : ({text[a:b]}))", "result negated"))
        elif DECLARATION.match(code) and not re.match(r"[\w\->.\[\]]+ =", code):
            m = re.match(r"[^={]*[^=!<>\]] = (?=[^{=])([\s\S]+);$", code)
            if m and code.count(" = ") == 1:
                found += expression(text, mask, start + m.start(1), start + m.end(1))
        elif not code.startswith(("return", "{", "}")):
            was = text[start:end]
            found.append((start, end, f"{{ if (!mutant(\0)) {{ {was} }} }}", "statement removed"))
            for new, what in swaps(was, code):
                found.append((start, end, f"{{ if (mutant(\0)) {{ {new} }} else {{ {was} }} }}", what))
        line = text.count("\n", 0, start) + 1
        for a, b, new, what in found:
            yield path, a, b, new, line, f"{what}: {' '.join(text[start:end].split())}"


def changed(path, mutants):
    """The file with all of `mutants`, whose numbers they bring along."""
    text = (ROOT / path).read_text()
    if not mutants:
        return text
    for n, m in sorted(mutants, key=lambda nm: -nm[1][1]):
        text = text[:m[1]] + m[3].replace("\0", str(n)) + text[m[2]:]
    return f"int mutant(int n); {text}"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:    # what stays the same is not built again
        path.write_text(text)


def compiles(path, mutants):
    write(COPY / path, changed(path, mutants))
    return subprocess.run(["gcc", "-fsyntax-only", "-w", "-std=c17", "-D_GNU_SOURCE", '-DOPENCLAW_VERSION=""', "-Isrc",
                           "-Ibuild/src", "-I.", path], cwd=COPY, stderr=subprocess.DEVNULL).returncode == 0


def choose(files, count, seed):
    """{number: mutant}: at most one a statement, all of which compile together."""
    every = [m for path in files for m in mutants_of(path)]
    random.Random(seed).shuffle(every)
    chosen, taken = [], set()
    for m in every:
        if len(chosen) < count and not taken & {(m[0], m[4])}:
            taken.add((m[0], m[4]))
            chosen.append(m)
    numbered = dict(enumerate(chosen, 1))
    for path in files:
        of_path = [(n, m) for n, m in numbered.items() if m[0] == path]
        if not compiles(path, of_path):
            bad = {n for n, m in of_path if not compiles(path, [(n, m)])}
            numbered = {n: m for n, m in numbered.items() if n not in bad}
            compiles(path, [(n, m) for n, m in of_path if n not in bad])
    return numbered


def copy_tree(spared):
    """All but the `spared` files, which choose() writes."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        source, copy = ROOT / name, COPY / name
        if name in spared or not source.is_file():
            continue
        if not (copy.exists() and copy.read_bytes() == source.read_bytes()):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    write(COPY / "src/base/mutant.c", SWITCH)
    write(COPY / "src/meson.build",
          (ROOT / "src/meson.build").read_text().replace("'base/arena.c',", "'base/arena.c', 'base/mutant.c',"))
    if not (COPY / "build/build.ninja").exists():
        subprocess.run(["meson", "setup", "build", "-Doptimization=0", "-Dwerror=false", "-Dwarning_level=0"], cwd=COPY,
                       check=True, stdout=subprocess.DEVNULL)


class Test:
    """A unit test, a fuzzer's inputs or a scenario file, and what it reaches without any change."""

    def __init__(self, name, command, env=None):
        self.name, self.command = name, [str(c) for c in command]
        self.env = {"OPENCLAW_SHARED": str(ROOT.parent / "shared"), **(env or {})}
        self.reached, self.patience = set(), 300

    def run(self, mutant, reached=os.devnull):
        """0, or why not."""
        env = {**os.environ, **self.env, "MUTANT_CHOSEN": str(mutant), "MUTANTS_REACHED": str(reached)}
        p = subprocess.Popen(self.command, cwd=COPY / "build", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, env=env, start_new_session=True,
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES)))
        try:
            return p.wait(self.patience)
        except subprocess.TimeoutExpired:
            return "timeout"
        finally:
            try:
                os.killpg(p.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            p.wait()

    def look(self):
        """Runs without a change; false if it fails then."""
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(MUTANTS_MAX)
            began = time.monotonic()
            if self.run(0, file.name) != 0 and self.run(0, file.name) != 0:
                return False
            self.patience = 20 + 6 * (time.monotonic() - began)
            self.reached = {n for n, byte in enumerate(pathlib.Path(file.name).read_bytes()) if byte}
        return True


def unit_tests(files):
    """(program, names of its tests) of the files' folders and of the folders that use them."""
    folders = {str(pathlib.Path(f).relative_to("src").parent) for f in files}
    folders |= {"gateway"} | ({"wires", "llm"} if any(f.startswith("wires") for f in folders) else set())
    for path in (p for f in sorted(folders) for p in sorted((ROOT / "tests/unit" / f).glob("test_*.c"))):
        if path.stem != "test_linear":
            name = str(path.relative_to(ROOT / "tests/unit").with_suffix("")).replace("/", "_")
            yield name, re.findall(r"^TEST\((\w+)\)", path.read_text(), re.M)


def tests_for(options):
    """Builds everything, and runs every test once without a change."""
    units = list(unit_tests(options.files))
    corpora = [c for c in sorted((ROOT / "tests/fuzz/corpus").iterdir())
               if any(part in c.name for f in options.files for part in pathlib.Path(f).parts[1:])]
    targets = [f"tests/unit/{program}" for program, _ in units] + [f"tests/fuzz/replay_{c.name}" for c in corpora]
    targets += ["tests/fuzz/seeds_exchange"] + (["openclaw"] if options.scenario else [])
    built = subprocess.run(["ninja", "-C", "build", "-k", "0", "-j", str(options.jobs), *targets], cwd=COPY, text=True,
                           stdout=subprocess.PIPE)
    if built.returncode != 0:
        sys.exit(built.stdout)

    build = COPY / "build/tests"
    tests = [Test(f"{program}: {name}", [build / "unit" / program, name]) for program, names in units for name in names]
    tests += [Test(f"fuzz_{c.name}", [build / f"fuzz/replay_{c.name}", c]) for c in corpora]
    tests += [Test("fuzz_exchange", [build / "fuzz/seeds_exchange", "1", FUZZ_INPUTS])]
    env = {"OPENCLAW_BIN": str(COPY / "build/openclaw"), "OPENCLAW_NODE_DIR": str(options.tools / "node")}
    for name in options.scenario:
        tests.append(Test(name, [options.tools / "venv/bin/python", "-m", "pytest", "-x", "-q", "-n", "2", "-p",
                                 "no:cacheprovider", COPY / "tests/scenario" / name], env))
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        passes = list(pool.map(Test.look, tests))
    for test, fine in zip(tests, passes):
        if not fine:
            print(f"{test.name} fails without any change: left out", flush=True)
    return [test for test, fine in zip(tests, passes) if fine]


def killer(n, mutant, tests):
    """The first test that notices, and notices again; None if none does."""
    own = "_test_" + pathlib.Path(mutant[0]).stem + ":"
    for test in sorted(tests, key=lambda t: (own not in t.name, t.patience)):
        if n in test.reached and test.run(n) != 0 and test.run(n) != 0:
            return test.name
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=20, help="mutants, over all files")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="tests at once")
    parser.add_argument("--scenario", action="append", default=[], help="file in tests/scenario to run as well")
    parser.add_argument("--tools", type=pathlib.Path, default=ROOT / "build", help="where venv/ and node/ are")
    parser.add_argument("files", nargs="+", help="below src/")
    options = parser.parse_args()

    copy_tree({"src/meson.build", *options.files})
    mutants = choose(options.files, options.count, options.seed)
    tests = tests_for(options)
    survivors = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        tries = {pool.submit(killer, n, m, tests): (n, m) for n, m in mutants.items()}
        for done in concurrent.futures.as_completed(tries):
            n, (path, _, _, _, line, what) = tries[done]
            by = done.result()
            survivors += by is None
            reached = sum(n in t.reached for t in tests)
            said = f"killed by {by}" if by else f"SURVIVES {reached} tests" if reached else "SURVIVES, no test comes here"
            print(f"{said}: {path}:{line}: {what}", flush=True)
    print(f"{len(mutants)} mutants, {survivors} survived")


if __name__ == "__main__":
    sys.exit(main())

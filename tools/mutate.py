#!/usr/bin/env python3
"""mutate.py - which mistakes would the tests not notice?

    tools/mutate.py --count 50 src/http/h2.c src/gateway/*.c
    tools/mutate.py --count 20 --scenario test_faults.py --scenario test_secrets.py src/gateway/answer.c

Makes one small change at a time (a condition negated, a bound off by one, a statement removed, a constant
changed), runs the unit tests of the file's folder, the first inputs of the exchange fuzzer, then the named scenario
files, and lists the changes that survive. The same arguments make the same changes. Everything happens in a
copy of the tree (build-mutants/); a run takes ten seconds a mutant and more. On demand only.
"""
import argparse
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
COPY = ROOT / "build-mutants"
FUZZ_INPUTS = "300"
PATIENCE = 300

# What is replaced by what. A pattern may match several times in a line; each match is a mutant.
SWAPS = [
    (r"(?<![<>=!&|+\-*/-])<(?![<=])(?= )", "<="), (r"<=", "<"), (r"(?<![->])>(?![>=])(?= )", ">="), (r"(?<!>)>=", ">"),
    (r"==", "!="), (r"!=", "=="), (r"&&", "||"), (r"\|\|", "&&"),
    (r"\btrue\b", "false"), (r"\bfalse\b", "true"), (r"\+ 1\b", "+ 0"), (r"- 1\b", "- 0"),
    (r"(?<![\w.%\"'])(\d+)(?![\w.\"'])", lambda m: str(int(m.group(1)) + 1)),
]
CONDITION = re.compile(r"^(\s*(?:\} else )?(?:if|while) \()(.+)(\)(?: \{)?)$")
STATEMENT = re.compile(r"^\s+[a-z_][\w\->.\[\]*]*(?:\(.*\)| = .*| [-+|&]= .*|\+\+|--);$")
DECLARATION = re.compile(r"^\s+(?:struct|enum|const|static|unsigned|int|char|bool|size_t|u?int\d+_t|return|goto|break)\b")


def balanced(text):
    depth = 0
    for c in text:
        depth += (c == "(") - (c == ")")
        if depth < 0:
            return False
    return depth == 0


def code_lines(text):
    """(number, line) of what may be changed: no comments, directives, CHECKs, logs, tables of text."""
    comment = False
    for i, line in enumerate(text.split("\n")):
        started = comment
        comment = ("/*" in line or comment) and "*/" not in line
        plain = line.strip()
        if started or comment or not plain or plain.startswith(("/*", "#", "*", "CHECK", "log_", "debug_", "(void)")):
            continue
        yield i, line


def mutants_of(path):
    """(line number, new line, what was done) for every change that could be made."""
    text = (COPY / path).read_text()
    body = 0
    for i, line in code_lines(text):
        body = i if line == "{" else body
        code = line.split("/*")[0].rstrip()
        if '"' in code or "'" in code or not line.startswith(" "):
            code = ""
        condition = CONDITION.match(code)
        if condition and balanced(condition.group(2)):
            yield i, f"{condition.group(1)}!({condition.group(2)}){condition.group(3)}", "condition negated"
        if STATEMENT.match(code) and not DECLARATION.match(code) and balanced(code):
            yield i, re.match(r"\s*", line).group() + ";", "statement removed"
        for pattern, by in SWAPS:
            for m in re.finditer(pattern, code):
                new = by(m) if callable(by) else by
                yield i, code[:m.start()] + new + code[m.end():], f"{m.group()} is {new}"


def copy_tree():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        source, copy = ROOT / name, COPY / name
        if source.is_file() and not (copy.exists() and copy.read_bytes() == source.read_bytes()):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    if not (COPY / "build/build.ninja").exists():
        subprocess.run(["meson", "setup", "build", "-Doptimization=0"], cwd=COPY, check=True, stdout=subprocess.DEVNULL)


def run(command, **more):
    """0, or why not."""
    try:
        return subprocess.run(command, cwd=COPY, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=PATIENCE, **more).returncode
    except subprocess.TimeoutExpired:
        return "timeout"


def unit_tests(path):
    """Those of the file's folder, its own first."""
    folder = pathlib.Path(path).relative_to("src").parent
    names = sorted((ROOT / "tests/unit" / folder).glob("test_*.c"))
    if folder.parts[0] == "wires":
        names += sorted((ROOT / "tests/unit/wires").glob("test_*.c"))
    names.sort(key=lambda n: n.stem != "test_" + pathlib.Path(path).stem)
    return [str(n.relative_to(ROOT / "tests/unit").with_suffix("")).replace("/", "_") for n in dict.fromkeys(names)]


def killer(path, options):
    """The first test that notices; None if none does; "" if the change does not compile."""
    programs = [(f"tests/unit/{t}",) for t in unit_tests(path)] + [("tests/fuzz/seeds_exchange", "1", FUZZ_INPUTS)]
    for program, *arguments in programs:    # built one by one: most mutants do not survive the first
        if run(["ninja", "-C", "build", program]) != 0:
            return ""
        if run([COPY / "build" / program, *arguments]) != 0:
            return program
    if options.scenario:
        if run(["ninja", "-C", "build", "openclaw"]) != 0:
            return ""
        env = {**os.environ, "OPENCLAW_BIN": str(COPY / "build/openclaw"), "OPENCLAW_NODE_DIR": str(ROOT / "build/node")}
        files = [f"tests/scenario/{name}" for name in options.scenario]
        if run([ROOT / "build/venv/bin/python", "-m", "pytest", "-x", "-q", "-n", "2", "-p", "no:cacheprovider", *files],
               env=env) != 0:
            return "a scenario test"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=20, help="mutants, over all files")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenario", action="append", default=[], help="file in tests/scenario to run as well")
    parser.add_argument("files", nargs="+", help="below src/")
    options = parser.parse_args()

    copy_tree()
    for path in options.files:
        by = killer(path, options) and killer(path, options)    # the second time: a busy machine
        if by is not None:
            sys.exit(f"{path}: without any change {by + ' fails' if by else 'it cannot be built'}")
    every = [(path, *m) for path in options.files for m in mutants_of(path)]
    random.Random(options.seed).shuffle(every)
    survivors = tried = 0
    for path, i, line, what in every:
        if tried == options.count:
            break
        old = (COPY / path).read_text()
        lines = old.split("\n")
        was, lines[i] = lines[i], line
        (COPY / path).write_text("\n".join(lines))
        by = killer(path, options)
        (COPY / path).write_text(old)
        tried += by != ""
        survivors += by is None
        if by is None:
            print(f"SURVIVES {path}:{i + 1}: {what}\n    {was.strip()}", flush=True)
        elif by:
            print(f"killed by {by}: {path}:{i + 1}: {what}", flush=True)
    print(f"{tried} mutants, {survivors} survived")


if __name__ == "__main__":
    main()

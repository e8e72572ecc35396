#!/usr/bin/env python3
"""tokens_fit.py - fits the factors of src/tokens/families.def to real tokenizers, and measures the estimates.

An estimate is the pieces of o200k_base, the tokens of each by that vocabulary, times a factor of the piece's kind
(enum token_kind). The factors are learnt from one half of public texts (tests/analysis/corpora.py), by the sum of squares of
relative errors with no factor below zero; the errors printed are those on the other half. Needs what
tests/scenario/requirements.txt lists, and node; downloads packages that are pinned by their hashes.
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
KINDS = ["WORD", "NUMBER", "SPACES", "SYMBOLS", "LATIN", "GREEK", "SEMITIC", "BRAHMIC", "KANA", "HAN", "HANGUL", "ASTRAL"]
DOCUMENT_CHARACTERS = 1500


# --- tokenizers ---


def o200k():
    """tiktoken's encoding with the ranks of js-tiktoken, so that nothing else is downloaded."""
    published.load_tiktoken_bpe = lambda *_, **__: {}
    pattern = published.o200k_base()["pat_str"]
    (_, text), = corpora.files("js-tiktoken", r"ranks/o200k_base\.cjs$")
    ranks = {token: rank for rank, token in enumerate(vocab.tokens_of(text.decode()))}
    return regex.compile(pattern), tiktoken.Encoding("o200k", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def tokenizer(name):
    """One of npm's @lenml/tokenizer-*, of which only the description of the tokenizer is used."""
    (_, code), = corpora.files(f"tokenizer-{name}", r"dist/main\.mjs$")
    code = regex.sub(rb'import\{(\w+) as (\w+),(\w+) as (\w+)\}from"@lenml/tokenizers";', rb"const \2={},\4={};", code)
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
    lead = next((c for c in piece if c >= 0x80), None)
    if lead is None:
        last = chr(piece[-1])
        return KINDS.index("WORD" if last.isalpha() else "NUMBER" if last.isdigit() else "SPACES" if last.isspace() else "SYMBOLS")
    for name, most in (("LATIN", 0xCD), ("GREEK", 0xD5), ("SEMITIC", 0xDF), ("BRAHMIC", 0xE1), ("SYMBOLS", 0xE2), ("KANA", 0xE3),
                       ("HAN", 0xE9), ("HANGUL", 0xED), ("KANA", 0xEF)):
        if lead <= most:
            return KINDS.index(name)
    return KINDS.index("ASTRAL")


def features(pieces, encoding, text):
    counts = [0] * len(KINDS)
    for piece in pieces.findall(text):
        counts[kind(piece.encode())] += len(encoding.encode_ordinary(piece))
    return counts


# --- fitting ---


def fit(rows, targets, start):
    """Least squares of relative errors, no factor below zero, and a little towards `start`; by coordinates."""
    factors = list(start)
    rows = [[x / t for x in row] for row, t in zip(rows, targets)]
    sums = [sum(f * x for f, x in zip(factors, row)) for row in rows]
    ridge = 0.02
    for _ in range(300):
        for k in range(len(factors)):
            square = sum(row[k] ** 2 for row in rows) + ridge
            slope = sum(row[k] * (1 - s) for row, s in zip(rows, sums)) + ridge * (start[k] - factors[k])
            change = max(-factors[k], slope / square)
            factors[k] += change
            sums = [s + change * row[k] for row, s in zip(rows, sums)]
    return factors


def main():
    pieces, encoding = o200k()
    learnt, held = documents()
    x = [features(pieces, encoding, text) for _, text in learnt]
    y = [features(pieces, encoding, text) for _, text in held]
    print(len(learnt), "documents learnt from,", len(held), "measured")
    for family, name in FAMILIES.items():
        model = tokenizer(name)

        def count(text):
            return len(model.encode(text, add_special_tokens=False).ids)

        true = [count(text) for _, text in learnt]
        mean = sum(true) / sum(map(sum, x))
        percent = [round(100 * f) for f in fit(x, true, [mean] * len(KINDS))]
        errors = collections.defaultdict(list)
        for (what, text), row in zip(held, y):
            estimate = sum(f * n for f, n in zip(percent, row)) / 100
            errors[what].append(estimate / count(text) - 1)
        languages = [e for what, some in errors.items() if what not in ("English", "code") for e in some]
        print(f"FAMILY({family}, {', '.join(map(str, percent))})")
        for what, some in (("English", errors["English"]), ("code", errors["code"]), ("languages", languages)):
            sizes = sorted(map(abs, some))
            print(f"    {what}: mean {100 * statistics.mean(some):+.1f} %, half within {100 * sizes[len(sizes) // 2]:.1f} %, "
                  f"95 % within {100 * sizes[len(sizes) * 95 // 100]:.1f} %")
        worst = sorted(((statistics.mean(some), what) for what, some in errors.items()), key=lambda e: -abs(e[0]))[:5]
        print("    worst means:", ", ".join(f"{what} {100 * mean:+.0f} %" for mean, what in worst))


if __name__ == "__main__":
    main()

"""Token counts are those of tiktoken, to the token, on many texts in many scripts.

tiktoken gets the ranks from npm's js-tiktoken, of which our vocabularies were made, and the expressions are those of its own
tables: nothing is downloaded.
"""
import json
import os
import pathlib
import random
import subprocess
import sys

import pytest
import tiktoken
import tiktoken_ext.openai_public as published

from lib import process
from lib.process import PATIENCE, environment

sys.path.insert(0, str(process.ROOT / "tools"))
import vocab    # noqa: E402

NODE = pathlib.Path(os.environ.get("OPENCLAW_NODE_DIR", process.ROOT / "build" / "node"))
SCRIPTS = {
    "Latin": (0x41, 0x7A), "Latin with marks": (0xC0, 0x24F), "phonetic": (0x250, 0x2FF), "Greek": (0x370, 0x3FF),
    "Cyrillic": (0x400, 0x52F), "Armenian": (0x531, 0x58F), "Hebrew": (0x591, 0x5F4), "Arabic": (0x600, 0x6FF),
    "Devanagari": (0x900, 0x97F), "Bengali": (0x980, 0x9FF), "Gujarati": (0xA80, 0xAFF), "Tamil": (0xB80, 0xBFF),
    "Telugu": (0xC00, 0xC7F), "Thai": (0xE00, 0xE5B), "Tibetan": (0xF00, 0xFDA), "Myanmar": (0x1000, 0x109F),
    "Georgian": (0x10A0, 0x10FF), "Ethiopic": (0x1200, 0x137C), "Khmer": (0x1780, 0x17F9), "kana": (0x3041, 0x30FF),
    "Han": (0x4E00, 0x9FFF), "Hangul": (0xAC00, 0xD7A3), "emoji": (0x1F300, 0x1F6FF), "any": (0x80, 0x10FFFF),
}
BETWEEN = [" ", "  ", "\t", "\n", "\r\n", " \n ", "\u00a0", "\u3000", "\u2028", "\x1c", "'s", "'LL", "'\u017f", "'", "/", "//\n", "!", "...", "\u0301",
           "1", "2024", "\u0663", "-", "_", "(", '{"', "<|endoftext|>", "the", " and", "HTTP", "\U0001f600", "\u01c5"]
TEXTS = 10_000


def encoding(name):
    published.load_tiktoken_bpe = lambda *_, **__: {}
    text = (NODE / "node_modules" / "js-tiktoken" / "dist" / "ranks" / f"{name}.cjs").read_text()
    ranks = {token: rank for rank, token in enumerate(vocab.tokens_of(text))}
    return tiktoken.Encoding(name, pat_str=getattr(published, name)()["pat_str"], mergeable_ranks=ranks, special_tokens={})


def texts(tokens):
    """Letters of a script, tokens, and what expressions of pieces look at, in turn."""
    draw = random.Random(10)
    scripts = list(SCRIPTS.values())

    def letters(i):
        first, last = scripts[i % len(scripts)]
        return "".join(chr(draw.randint(first, last)) for _ in range(draw.randint(1, 12)))

    for i in range(TEXTS):
        parts = [draw.choice([letters(i), draw.choice(tokens), draw.choice(BETWEEN)]) for _ in range(draw.randint(1, 24))]
        yield "".join(parts).encode("utf-8", "ignore").decode()


def counts(model, some):
    lines = "".join(json.dumps(text) + "\n" for text in some)
    done = subprocess.run([process.BIN, "tokens", "--lines", "-m", model], input=lines, stdout=subprocess.PIPE, text=True, check=True,
                          timeout=PATIENCE, env=environment())
    return list(map(int, done.stdout.split()))


@pytest.mark.parametrize("name, model", [("o200k_base", "gpt-4o"), ("cl100k_base", "gpt-4")])
def test_counts_are_those_of_tiktoken(name, model):
    its = encoding(name)
    tokens = [token for token in (bytes(t).decode("utf-8", "replace") for t in its.token_byte_values()) if "\ufffd" not in token]
    some = list(texts(tokens))
    draw = random.Random(11)
    some += [piece * 9000 for piece in ("a", " ", "\n", " \n", "=", "\u0301", "\u5b57A", "'s")]
    some += ["".join(draw.choices(letters, k=20_000)) for letters in ("ab", "abcdefghijklmnopqrstuvwxyz", "ACGT", "\u00e0\u00e9\u00ef\u00f4", "-=", " \t")]
    expected = [len(its.encode_ordinary(text)) for text in some]
    found = counts(model, some)
    assert len(found) == len(expected)
    wrong = [(text[:200], n, right) for text, n, right in zip(some, found, expected) if n != right]
    assert not wrong, f"{len(wrong)} of {len(some)}: {wrong[:3]}"


def test_the_vocabularies_are_those_of_the_package():
    for name in vocab.VOCABULARIES:
        text = (NODE / "node_modules" / "js-tiktoken" / "dist" / "ranks" / f"{name}.cjs").read_text()
        assert vocab.read_vocabulary(process.ROOT / "src" / "tokens" / f"{name}.xz") == vocab.tokens_of(text)


def test_counts_say_how_they_were_made(tmp_path):
    for file, text in (("a", "Hello, world!"), ("b", "")):
        (tmp_path / file).write_text(text)

    def run(*args):
        return subprocess.run([process.BIN, "tokens", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=PATIENCE, cwd=tmp_path, env=environment())

    assert run("a").stdout == "4 tokens (o200k)\n"
    assert run("a", "b").stdout == "4 tokens (o200k) a\n0 tokens (o200k) b\n"
    assert run("-m", "anthropic/claude-sonnet-4-5", "a").stdout.startswith("about ")
    assert json.loads(run("--json", "-m", "gpt-4", "a").stdout) == {"tokens": 4, "bytes": 13, "tokenizer": "cl100k", "exact": True}
    gone = run("gone")
    assert gone.returncode == 1 and "gone: No such file" in gone.stderr
    unquoted = run("--lines", "a")
    assert unquoted.returncode == 1 and "a:1: with --lines each line is a JSON string" in unquoted.stderr


def test_usage_that_a_provider_does_not_report_is_counted(make):
    """Not for the first stream, as nothing is known of the provider then."""
    text = "several words of an answer, " * 40

    def handler(conn):
        if json.loads(conn.request.body).get("stream"):
            conn.head(200, "text/event-stream")
            conn.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % text.encode())
            conn.chunk(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
            conn.end_chunks()
        else:
            conn.answer(200, {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]})

    gateway = make.gateway({"providers": {"lab": make.upstream(handler).provider()}})
    question = "How many tokens has this question?"
    asked, = counts("gpt-4o", [question])
    answered, = counts("gpt-4o", [text])
    body = {"model": "lab/gpt-4o", "messages": [{"role": "user", "content": question}]}
    first = gateway.access_of(gateway.post("/v1/chat/completions", body))
    assert first["tokens_estimated"] and first["tokens_input"] == 3 + 1 + asked + 3
    for path, more in (("/v1/chat/completions", {"stream": True}), ("/v1/chat/completions", {}), ("/v1/messages", {"stream": True, "max_tokens": 99})):
        line = gateway.access_of(gateway.post(path, {**body, **more}))
        assert line["tokens_estimated"] and (line["tokens_input"], line["tokens_output"]) == (3 + 1 + asked + 3, answered), (path, more)


def test_a_request_is_counted_by_the_model_that_it_names(make):
    gateway = make.gateway({"providers": {"lab": make.upstream(lambda conn: None).provider()}})
    body = {"messages": [{"role": "user", "content": "\u0622\u06cc\u0627 \u0627\u06cc\u0646 \u067e\u0631\u0633\u0634 \u0627\u0633\u062a\u061f"}]}
    found = {}
    for model in ("gpt-4o", "gpt-4", "claude-3", "mine"):
        answer = gateway.post("/v1/messages/count_tokens", {"model": f"lab/{model}", **body}, {"anthropic-version": "2023-06-01"})
        found[model] = answer.json()["input_tokens"], answer.headers["x-openclaw-tokenizer"]
    texts = [counts(model, [body["messages"][0]["content"]])[0] for model in ("gpt-4o", "gpt-4")]
    assert found["gpt-4o"] == (7 + texts[0], "o200k") and found["gpt-4"] == (7 + texts[1], "cl100k")
    assert found["claude-3"][1] == "claude; estimated" and found["mine"][1] == "other; estimated"

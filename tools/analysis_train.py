#!/usr/bin/env python3
"""analysis_train.py [ANALYZE_TEXTS] [OUT] - learns the tables of the request analysis (src/route/weights.h) from the first halves
of public sets (tests/analysis/corpora.py) and from the training part of the shared routing data, and writes
src/route/analysis_weights.txt. Needs numpy, scipy and PyYAML.

Every model is a logistic regression over what src/route/features.c and language.c count: ANALYZE_TEXTS
(build/tests/analyze_texts) counts it. The weights are rounded to whole numbers of a few bits. The same packages give the
same tables. How good they are, tests/scenario/test_analysis.py measures on the other halves.
"""
import collections
import pathlib
import struct
import subprocess
import sys

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]
from analysis import corpora    # noqa: E402
import weights    # noqa: E402

ROWS, COLUMNS, COUNTS, LEVELS, LATIN, LANGUAGES, WIDE, WIDE_LANGUAGES, SCRIPTS = 8192, 16, 7, 24, 3328, 32, 3072, 16, 27
TASKS = corpora.re.findall(r'^TASK\(\w+, "(\w+)"', (ROOT / "src/route/tasks.def").read_text(), corpora.re.M)
COMPLEXITY, SENTIMENT, CODE = len(TASKS), len(TASKS) + 1, len(TASKS) + 2
HIGH, BYTES = 2, 5    # of enum count
SHARED = ["LATIN", "CYRILLIC", "ARABIC", "DEVANAGARI"]
SMALL = {"mixtral-8x7b-instruct", "llama-3.1-8b-instruct", "mistral-7b-instruct-v0.3", "qwen2.5-7b-instruct", "qwen2-7b-instruct", "gemma-2-9b-it",
         "mistral-nemo-12b-instruct"}


class Features:
    """What the program counts of texts."""

    def __init__(self, program, texts):
        records = b"".join(b"%d\n%s" % (len(data), data) for data in (text.encode("utf-8", "replace") for text in texts))
        out = subprocess.run([program, "--features"], input=records, stdout=subprocess.PIPE, check=True).stdout
        self.scripts, self.counts, self.words, self.edges, self.grams = [], [], [], [], []
        at = 0
        for _ in texts:
            self.scripts.append(out[at])
            self.counts.append(struct.unpack_from(f"={COUNTS}I", out, at + 1))
            at += 1 + 4 * COUNTS
            for to in (self.words, self.edges, self.grams):
                n, = struct.unpack_from("=H", out, at)
                to.append(np.frombuffer(out, np.uint16, n, at + 2))
                at += 2 + 2 * n
        assert at == len(out)
        self.scripts, self.counts = np.array(self.scripts), np.array(self.counts, np.int64)

    def levels(self):
        """As level() in analyze.c."""
        x = self.counts * 1024 // np.maximum(self.counts[:, BYTES:BYTES + 1], 1)
        x[:, BYTES] = self.counts[:, BYTES]
        octave = np.floor(np.log2(np.maximum(x, 1))).astype(np.int64)
        half = np.where(octave > 0, x >> np.maximum(octave - 1, 0) & 1, 0)
        return np.where(x == 0, 0, np.minimum(1 + 2 * octave + half, LEVELS - 1))

    def matrix(self):
        """The rows of words by the root of their number, then each count's level."""
        levels = self.levels() + ROWS + np.arange(COUNTS) * LEVELS
        columns = [np.concatenate([words.astype(np.int64), edges, level]) for words, edges, level in zip(self.words, self.edges, levels)]
        values = [np.concatenate([roots(words), roots(edges), np.ones(COUNTS)]) for words, edges in zip(self.words, self.edges)]
        return sparse(columns, values, ROWS + COUNTS * LEVELS)

    def gram_matrix(self):
        columns = [grams.astype(np.int64) for grams in self.grams]
        return sparse(columns, [roots(c) for c in columns], max(LATIN, WIDE))


def roots(rows):
    return np.full(len(rows), max(len(rows), 1) ** -0.5)


def sparse(columns, values, width):
    ends = np.concatenate([[0], np.cumsum([len(c) for c in columns])])
    m = csr_matrix((np.concatenate(values).astype(np.float32), np.concatenate(columns), ends), shape=(len(columns), width))
    m.sum_duplicates()
    return m


def softmax_regression(x, y, classes, sample_weights, penalty, steps):
    """W (features by classes) and b that minimise the weighted cross entropy; `penalty` is one number or one per feature."""
    n, d = x.shape
    w = (sample_weights / sample_weights.sum()).astype(np.float32)
    xt = x.T.tocsr()
    penalty = np.broadcast_to(np.asarray(penalty, np.float32), (d,))[:, None]

    def loss(theta):
        W, b = theta[:-classes].reshape(d, classes).astype(np.float32), theta[-classes:].astype(np.float32)
        z = x @ W + b
        z -= z.max(axis=1, keepdims=True)
        p = np.exp(z)
        p /= p.sum(axis=1, keepdims=True)
        value = -(w * np.log(np.maximum(p[np.arange(n), y], 1e-12))).sum() + 0.5 * (penalty * W * W).sum()
        p[np.arange(n), y] -= 1
        p *= w[:, None]
        return float(value), np.concatenate([(xt @ p + penalty * W).ravel(), p.sum(axis=0)]).astype(np.float64)

    theta = minimize(loss, np.zeros(d * classes + classes), jac=True, method="L-BFGS-B", options={"maxiter": steps, "maxcor": 8}).x
    return theta[:-classes].reshape(d, classes), theta[-classes:]


def binary_regression(x, y, sample_weights, penalty, steps):
    """w and b; `y` may be anywhere between 0 and 1."""
    n, d = x.shape
    s = (sample_weights / sample_weights.sum()).astype(np.float32)
    xt = x.T.tocsr()
    penalty = np.broadcast_to(np.asarray(penalty, np.float32), (d,))

    def loss(theta):
        z = x @ theta[:-1].astype(np.float32) + theta[-1]
        value = (s * (np.logaddexp(0, z) - y * z)).sum() + 0.5 * (penalty * theta[:-1] ** 2).sum()
        e = s * (1 / (1 + np.exp(-z)) - y)
        return float(value), np.concatenate([xt @ e + penalty * theta[:-1], [e.sum()]]).astype(np.float64)

    theta = minimize(loss, np.zeros(d + 1), jac=True, method="L-BFGS-B", options={"maxiter": steps}).x
    return theta[:-1], theta[-1]


def balanced(labels, power=1.0):
    seen = collections.Counter(labels)
    return np.array([seen[label] ** -power for label in labels])


def of_half(records, side=0):
    return [(text, label) for text, label, group in records if corpora.half(group) == side]


# --- the models ---


def learn_languages(program, tables):
    rows = corpora.re.findall(r'^LANGUAGE\((\w+), "(\w+)"\)', (ROOT / "src/route/languages.def").read_text(), corpora.re.M)
    records = of_half(corpora.language_sentences()) + of_half(corpora.language_declarations()) + of_half(corpora.language_messages())
    sources = [0] * len(records)
    words = [(text, label) for text, label, _ in corpora.language_words()]
    records += words
    sources += [1] * len(words)
    f = Features(program, [text for text, _ in records])
    learnt = {"latin": np.zeros((LATIN, LANGUAGES)), "wide": np.zeros((WIDE, WIDE_LANGUAGES))}
    x = f.gram_matrix()
    for number, script in enumerate(SHARED, 1):
        codes = [code for name, code in rows if name == script]
        mine = np.array([i for i, (_, label) in enumerate(records) if f.scripts[i] == number and label in codes and len(f.grams[i])])
        y = np.array([codes.index(records[i][1]) for i in mine])
        weight = balanced(list(y), 0.5) * np.where(np.array(sources)[mine] == 1, 0.5, 1.0)
        w, _ = softmax_regression(x[mine], y, len(codes), weight, 1e-6, 160)
        w -= w.mean(axis=1, keepdims=True)
        table = learnt["latin" if script == "LATIN" else "wide"]
        table[:, :len(codes)] += rounded(w[:len(table)], 15)
        print(script, len(mine), flush=True)
    for name, table in learnt.items():
        tables[name] = "b", list(table.shape), [int(v) for v in table.ravel()]


def rounded(w, most, share=99.9):
    """To whole numbers of at most `most`; the few largest are cut."""
    unit = np.percentile(np.abs(w[w != 0]), share) / most if (w != 0).any() else 1
    return np.clip(np.rint(w / unit), -most, most)


def task_records():
    for source, records in (("templates", corpora.tasks_templates(0)), ("written", corpora.tasks_written(0))):
        for text, label, _ in records:
            yield text, label, source
    contents = corpora.Contents(0)
    for text, label in corpora.prompts.hints():
        yield corpora.prompts.fill(text, contents, 0), label, "written"
    for text, label in of_half(corpora.tasks_questions()):
        yield text, label, "questions"
    for text, label, _ in corpora.tasks_routing("train"):
        yield text, label, "routing"


def learn_tasks(program, model):
    records = list(task_records())
    f = Features(program, [text for text, _, _ in records])
    weight = balanced([label for _, label, _ in records], 0.5) * balanced([(label, source) for _, label, source in records], 0.5)
    weight *= np.array([{"written": 10, "templates": 2}.get(source, 1) for _, _, source in records])
    y = np.array([TASKS.index(label) for _, label, _ in records])
    w, b = softmax_regression(f.matrix(), y, len(TASKS), weight, penalties(1e-5, 2e-5), 250)
    model.put(range(len(TASKS)), w - w.mean(axis=1, keepdims=True), b - b.mean())
    print("tasks", len(records), flush=True)


def penalties(words, levels):
    return np.concatenate([np.full(ROWS, words), np.full(COUNTS * LEVELS, levels)])


def small_fails(record):
    scores = [outcome["quality"] for name, outcome in record["outcomes"].items() if name in SMALL]
    return 1 - sum(scores) / len(scores) if scores else None


def learn_complexity(program, model):
    records = [(r["prompt"], small_fails(r)) for origin, r in corpora.routing("train") if origin != "routerbench"]
    records = [record for record in records if record[1] is not None]
    f = Features(program, [text for text, _ in records])
    y = np.array([fails for _, fails in records], np.float32)
    w, b = binary_regression(f.matrix(), y, np.ones(len(y)), penalties(5e-4, 1e-3), 200)
    model.put([COMPLEXITY], w[:, None], np.array([b]))
    print("complexity", len(records), flush=True)


def learn_sentiment(program, model):
    records = of_half(corpora.sentiment_tweets())
    f = Features(program, [text for text, _ in records])
    y = np.array([label == "positive" for _, label in records], np.float32)
    w, b = binary_regression(f.matrix(), y, balanced([label for _, label in records]), penalties(1e-4, 1e-3), 200)
    model.put([SENTIMENT], w[:, None], np.array([b]))
    print("sentiment", len(records), flush=True)


def learn_code(program, model):
    records = of_half(corpora.code_or_prose())
    f = Features(program, [text for text, _ in records])
    y = np.array([label == "code" for _, label in records], np.float32)
    w, b = binary_regression(f.matrix(), y, balanced([label for _, label in records]), penalties(1e-5, 1e-5), 200)
    model.put([CODE], w[:, None], np.array([b]))
    print("code", len(records), flush=True)


class Model:
    """The table of words and that of levels, a few columns at a time."""

    def __init__(self):
        self.rows, self.scale = np.zeros((ROWS, COLUMNS)), np.zeros(COLUMNS)
        self.levels, self.bias = np.zeros((COUNTS * LEVELS, COLUMNS)), np.zeros(COLUMNS)

    def put(self, columns, w, b):
        columns = list(columns)
        words = w[:ROWS]
        unit = np.percentile(np.abs(words[words != 0]), 99.95) / 15
        self.rows[:, columns] = np.clip(np.rint(words / unit), -15, 15)
        self.scale[columns] = np.rint(unit * 4096)
        assert self.scale[columns].max() < 15000, "add_rows() in analyze.c adds up in 32 bits"
        self.levels[:, columns] = np.clip(np.rint(w[ROWS:] * 1024), -32768, 32767)
        self.bias[columns] = np.rint(b * 1024)

    def tables(self, to):
        to["rows"] = "b", [ROWS, COLUMNS], [int(v) for v in self.rows.ravel()]
        to["scale"] = "h", [COLUMNS], [int(v) for v in self.scale]
        to["bias"] = "i", [COLUMNS], [int(v) for v in self.bias]
        to["levels"] = "h", [COUNTS, LEVELS, COLUMNS], [int(v) for v in self.levels.ravel()]


def learn_tokens(program, tables):
    """Least squares of the tokens of o200k_base, of texts of all kinds."""
    texts = [text for text, _ in of_half(corpora.language_sentences())][::12]
    texts += [text for text, _ in of_half(corpora.code_or_prose())][::8]
    texts += [text for text, _ in of_half(corpora.tasks_questions())][::12]
    tokens = np.array(corpora.count_tokens(texts), float)
    f = Features(program, texts)
    high = np.zeros((len(texts), SCRIPTS))
    high[np.arange(len(texts)), f.scripts] = f.counts[:, HIGH]
    x = np.hstack([np.delete(f.counts, HIGH, 1), high]).astype(float)
    weight = 1 / np.sqrt(np.maximum(tokens, 10))
    w = np.linalg.solve((x * weight[:, None]).T @ (x * weight[:, None]) + np.eye(x.shape[1]), (x * weight[:, None]).T @ (tokens * weight))
    counts = np.insert(w[:COUNTS - 1], HIGH, 0)
    high_w = np.where(w[COUNTS - 1:] == 0, 0.3, w[COUNTS - 1:])
    tables["tokens"] = "h", [COUNTS], [int(v) for v in np.rint(counts * 1024)]
    tables["tokens_high"] = "h", [SCRIPTS], [int(v) for v in np.rint(high_w * 1024)]
    print("tokens", len(texts), flush=True)


def main():
    program = sys.argv[1] if sys.argv[1:] else str(ROOT / "build/tests/analyze_texts")
    out = pathlib.Path(sys.argv[2]) if sys.argv[2:] else ROOT / "src/route/analysis_weights.txt"
    tables, model = {}, Model()
    learn_tasks(program, model)
    learn_complexity(program, model)
    learn_sentiment(program, model)
    learn_code(program, model)
    model.tables(tables)
    learn_languages(program, tables)
    learn_tokens(program, tables)
    tables["signs"] = "h", [2], [3, 8]
    weights.write(out, tables)


if __name__ == "__main__":
    main()

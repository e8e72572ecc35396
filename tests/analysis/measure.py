"""measure.py - how often the request analysis is right, on the halves of public sets that it did not learn from."""
import collections
import json
import subprocess
import sys
import tempfile

from analysis import corpora

FIELDS = "language task tokens complexity code sentiment sensitivity".split()


def analyze(program, texts):
    """What the program says of each text, as dictionaries."""
    records = b"".join(b"%d\n%s" % (len(data), data) for data in (text.encode("utf-8", "replace") for text in texts))
    out = subprocess.run([program], input=records, stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
    assert len(out) == len(texts)
    return [{name: value if name in ("language", "task") else int(value) for name, value in zip(FIELDS, line.split("\t"))} for line in out]


def measured(records):
    """Those of the second half, as (texts, labels)."""
    mine = [(text, label) for text, label, group in records if corpora.half(group) == 1]
    return [text for text, _ in mine], [label for _, label in mine]


def agreement(labels, found):
    """Share of right ones, and the mean of the labels' shares of right ones."""
    right, all_of = collections.Counter(), collections.Counter(labels)
    for label, f in zip(labels, found):
        right[label] += label == f
    shares = {label: right[label] / all_of[label] for label in sorted(all_of)}
    return sum(right.values()) / len(labels), sum(shares.values()) / len(shares), shares


def auc(fails, scores):
    """That a prompt on which the small model failed has the higher score; ties count half."""
    order = sorted(range(len(scores)), key=lambda i: scores[i])
    rank, i = [0.0] * len(scores), 0
    while i < len(order):
        j = i
        while j < len(order) and scores[order[j]] == scores[order[i]]:
            j += 1
        for k in order[i:j]:
            rank[k] = (i + j + 1) / 2
        i = j
    bad = [rank[i] for i, f in enumerate(fails) if f]
    good = len(fails) - len(bad)
    return (sum(bad) - len(bad) * (len(bad) + 1) / 2) / (len(bad) * good)


class Table:
    def __init__(self):
        self.rows, self.details = [], {}

    def add(self, what, name, n, value, mean=None, note="", shares=None):
        self.rows.append((what, name, n, value, mean, note))
        if shares:
            self.details[what, name] = shares


def percent(x):
    return f"{100 * x:.1f} %"


def add_labels(table, program, what, name, records, field, note=""):
    texts, labels = records
    found = [field(a) for a in analyze(program, texts)]
    value, mean, shares = agreement(labels, found)
    table.add(what, name, len(texts), percent(value), percent(mean), note, shares)


def measure_languages(table, program):
    for name, records in (("sentences", corpora.language_sentences()), ("Declaration of Human Rights, paragraphs", corpora.language_declarations()),
                          ("messages of a web framework", corpora.language_messages())):
        add_labels(table, program, "language", name, measured(records), lambda a: a["language"])


def measure_code(table, program):
    add_labels(table, program, "code or not", "example programs, prose", measured(corpora.code_or_prose()),
               lambda a: "code" if a["code"] >= 500 else "prose")


def mood(a):
    return "positive" if a["sentiment"] > 0 else "negative"


def measure_sentiment(table, program):
    add_labels(table, program, "sentiment", "short messages", measured(corpora.sentiment_tweets()), mood)
    reviews = list(corpora.sentiment_reviews())
    add_labels(table, program, "sentiment", "reviews of films (another kind of text)", ([r[0] for r in reviews], [r[1] for r in reviews]), mood)


def measure_tasks(table, program):
    for name, records in (("instructions of data sets, filled", list(corpora.tasks_templates(1))), ("our own instructions, filled", list(corpora.tasks_written(1)))):
        add_labels(table, program, "task", name, ([r[0] for r in records], [r[1] for r in records]), lambda a: a["task"])
    add_labels(table, program, "task", "questions, problems, talk", measured(corpora.tasks_questions()), lambda a: a["task"])


def measure_routing_tasks(table, program):
    records = list(corpora.tasks_routing("dev"))
    if records:
        add_labels(table, program, "task", "routing data, dev", ([r[0] for r in records], [r[1] for r in records]), lambda a: a["task"])


def measure_tokens(table, program):
    texts = measured(corpora.language_sentences())[0][::12] + measured(corpora.code_or_prose())[0][::8]
    counted = corpora.count_tokens(texts)
    found = [a["tokens"] for a in analyze(program, texts)]
    errors = sorted(abs(f - c) / max(c, 1) for f, c in zip(found, counted))
    table.add("tokens", "against o200k_base", len(texts), f"median error {percent(errors[len(errors) // 2])}", None,
              f"9 of 10 within {percent(errors[len(errors) * 9 // 10])}")


def measure_complexity(table, program):
    small = {"routellm": "mixtral-8x7b-instruct", "ulab": "llama-3.1-8b-instruct", "routerbench": "mistralai/mistral-7b-chat"}
    by_source = collections.defaultdict(list)
    for origin, record in corpora.routing("dev"):
        if small[origin] in record["outcomes"]:
            by_source[origin, record["source"]].append(record)
    for (origin, source), records in sorted(by_source.items()):
        scores = [a["complexity"] for a in analyze(program, [r["prompt"] for r in records])]
        fails = [r["outcomes"][small[origin]]["quality"] < 0.5 for r in records]
        note = apgr(origin, source, records, scores, small[origin])
        table.add("complexity", f"{origin}, {source}: {small[origin]} fails", len(records), f"AUC {auc(fails, scores):.3f}", None, note)


def apgr(origin, source, records, scores, weak):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as out:
        for record, score in zip(records, scores):
            out.write(json.dumps({"id": record["id"], "score": score}) + "\n")
        out.flush()
        result = subprocess.run([sys.executable, corpora.ROUTING / "score.py", "two", "--data", corpora.ROUTING / f"{origin}-dev.jsonl.gz",
                                 "--source", source, "--weak", weak, "--scores", out.name, "--json"], stdout=subprocess.PIPE, check=True)
    m = json.loads(result.stdout)
    return f"APGR {m['apgr']:.3f} to {m['strong']}, by dollars {m['apgr_cost']:.3f}"


def measure(program, parts):
    table = Table()
    for part in parts:
        part(table, program)
    return table


ALL = [measure_languages, measure_code, measure_tasks, measure_routing_tasks, measure_sentiment, measure_complexity, measure_tokens]

if __name__ == "__main__":
    t = measure(sys.argv[1], [p for p in ALL if not sys.argv[2:] or any(word in p.__name__ for word in sys.argv[2:])])
    for row in t.rows:
        print(*row, sep=" | ")
    for key, shares in t.details.items():
        print(key, {k: round(v, 2) for k, v in sorted(shares.items(), key=lambda kv: kv[1])[:25]})

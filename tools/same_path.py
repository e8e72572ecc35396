#!/usr/bin/env python3
"""same_path.py BUILD - do unknown, revoked and malformed keys take the same number of instructions?

Runs the unit test of policy/callers.c in the build folder under callgrind, once for each kind of key, and compares what a
refusal costs. Exits 1 if two of them differ by more than one in a hundred.
"""
import os
import re
import subprocess
import sys
import tempfile

KINDS = ("unknown", "revoked", "malformed")
REFUSALS = 2000
MOST = 0.01


def instructions(test, kind):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--toggle-collect=refuse_many*", f"--callgrind-out-file={folder}/out", test],
            env={**os.environ, "OPENCLAW_TEST_PATH": kind}, capture_output=True, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", done.stderr).group(1)) / REFUSALS


def main():
    test = f"{sys.argv[1] if sys.argv[1:] else 'build'}/tests/unit/policy_test_callers"
    counts = {kind: instructions(test, kind) for kind in KINDS}
    for kind, count in counts.items():
        print(f"{kind:10} {count:10.1f} instructions a refusal")
    spread = max(counts.values()) / min(counts.values()) - 1
    print(f"they differ by {spread:.3%}")
    sys.exit(spread > MOST)


main()

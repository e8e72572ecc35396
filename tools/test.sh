# test.sh - runs all tests step by step and prints their totals. Sourced by ./dev.
#
# A step's log holds lines `tests: N passed, M failed, K skipped`, which are summed here.
#
# `./dev test` is what the build machine runs: every test, sanitized; unit tests, fuzz corpora and what
# a sanitizer distorts (the marker `plain` of scenario tests) with the ordinary build too. `./dev test
# nightly` runs every scenario test both ways, those of large clients (the marker `nightly`) too, lets the static
# analyzer look as far as it can, and generated tests try more.

passed=0
failed=0
skipped=0
analysis=
plain_scenarios=

test_main() {
    what=${1:-all}
    began=$(date +%s)
    need build test
    unrandomize

    case $what in
    all | nightly)
        "only_in_$what"
        test_lint
        test_unit
        test_fuzz
        test_scenario
        test_asan
        test_tsan
        ;;
    lint | unit | fuzz | scenario | asan | tsan) "test_$what" ;;
    *) test_matching "$what" ;;
    esac

    echo "took $(($(date +%s) - began)) s" >&2
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
}

# What the two differ in.
only_in_all() {
    analysis=
    plain_scenarios="-m plain"
}

only_in_nightly() {
    analysis=deep
    plain_scenarios=
    export OPENCLAW_DEEP=1    # generated tests try more
    prepare_large_clients
}

test_lint() {
    configure build
    count "lint: layers and wording" tools/lint.py
    count "lint: tables in docs" tools/docs.py --check
    count "lint: clang-tidy" tools/tidy.sh build $analysis
}

test_unit() {
    prepare build
    count "unit tests" suite build unit
}

test_fuzz() {
    prepare build
    count "fuzz corpora" suite build fuzz
}

test_scenario() {
    prepare build
    prepare_clients
    count "scenario tests" scenario build $plain_scenarios
}

# Memory errors, leaks and undefined behaviour abort the process; reports that a test
# does not notice are found in the files afterwards.
test_asan() {
    prepare build-asan -Db_sanitize=address,undefined -Doptimization=1 -Dwerror=false
    prepare_clients
    rm -rf build-asan/reports && mkdir build-asan/reports
    sanitizer=log_path=$PWD/build-asan/reports/report:exitcode=99
    export ASAN_OPTIONS="$sanitizer:detect_stack_use_after_return=1:strict_string_checks=1"
    export UBSAN_OPTIONS="$sanitizer:halt_on_error=1:print_stacktrace=1"
    export LSAN_OPTIONS="suppressions=$PWD/tools/lsan.supp:print_suppressions=0"
    export OPENCLAW_SANITIZER=asan
    count "unit tests, sanitized" suite build-asan unit
    count "fuzz corpora, sanitized" suite build-asan fuzz
    count "scenario tests, sanitized" scenario build-asan
    count "sanitizer reports" no_reports build-asan/reports
    unset ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS OPENCLAW_SANITIZER
}

# Code that crosses threads: the unit tests listed for it, and starts, reloads and drains of workers.
test_tsan() {
    configure build-tsan -Db_sanitize=thread -Doptimization=1 -Dwerror=false
    step "building build-tsan" ninja -C build-tsan threads
    prepare_clients
    rm -rf build-tsan/reports && mkdir build-tsan/reports
    export TSAN_OPTIONS="log_path=$PWD/build-tsan/reports/report:exitcode=99:suppressions=$PWD/tools/tsan.supp"
    export OPENCLAW_SANITIZER=tsan
    count "threads, sanitized" suite build-tsan threads
    count "reload and drain, sanitized" scenario build-tsan -k "reload or drain"
    count "thread reports" no_reports build-tsan/reports
    unset TSAN_OPTIONS OPENCLAW_SANITIZER
}

test_matching() {
    prepare build
    prepare_clients
    count "unit tests like $1" unit_matching "$1"
    count "scenario tests like $1" scenario build -k "$1"
    [ $((passed + failed + skipped)) -gt 0 ] || { echo "./dev test: no test is named like '$1'" >&2; exit 2; }
}

# --- steps ---

# Configures and builds: prepare DIR [MESON-ARGS...]
prepare() {
    configure "$@"
    step "building $1" ninja -C "$1"
}

# One meson suite; the executables' own counts are in meson's log: suite DIR NAME
suite() {
    status=0
    console=$1/meson-logs/console.txt
    $fixed_addresses meson test -C "$1" --no-rebuild --suite "$2" --print-errorlogs \
        >"$console" 2>&1 || status=$?
    sed 's/^tests: /in all: /' "$console"
    grep '^tests: ' "$1/meson-logs/testlog.txt" || true
    return $status
}

unit_matching() {
    status=0
    for test in $(find build/tests/unit -maxdepth 1 -type f -perm -u+x); do
        case $test in
        *"$1"*) "$test" || status=1 ;;
        *) "$test" "$1" || status=1 ;;
        esac
    done
    return $status
}

# The scenario tests against the binary in DIR: scenario DIR [PYTEST-ARGS...]
# They mostly wait: three at a time for each processor. Those that stand together share their gateways.
scenario() {
    results=$PWD/$log_dir/scenario-$1.xml
    hung=$PWD/$log_dir/hung-tests.txt
    rm -f "$hung" "$results"
    status=0
    OPENCLAW_BIN=$PWD/$1/openclaw
    export OPENCLAW_BIN
    shift
    # Native tracebacks: for its own pytest parses sources, which sometimes crashes Python 3.11.2.
    OPENCLAW_HUNG_TESTS=$hung $fixed_addresses timeout -k 60 45m build/venv/bin/python -m pytest \
        -q -n $(($(nproc) * 3)) --dist worksteal --tb=native -p no:cacheprovider --junitxml "$results" \
        "$@" tests/scenario || status=$?
    [ ! -s "$hung" ] || { echo "a test hung:"; cat "$hung"; }
    python3 - "$results" <<'END'
import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot().find("testsuite").attrib
n, bad, skipped = int(suite["tests"]), int(suite["errors"]) + int(suite["failures"]), int(suite["skipped"])
print(f"tests: {n - bad - skipped} passed, {bad} failed, {skipped} skipped")
END
    [ $status -ne 5 ] || status=0    # no test matched
    return $status
}

no_reports() {
    set -- "$1"/*
    [ -e "$1" ] || return 0
    head -n 60 "$@"
    echo "tests: 0 passed, $# failed, 0 skipped"
    return 1
}

# --- helpers ---

# Like try_step, and adds the counts from its log.
count() {
    status=0
    try_step "$@" || status=$?
    counts=$(awk '/^tests: [0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { p += $2; f += $4; s += $6 }
        END { print p + 0, f + 0, s + 0 }' "$step_log")
    set -- $counts
    if [ $status -ne 0 ]; then
        [ "$2" -gt 0 ] || set -- "$1" 1 "$3"
        tail -n "${TAIL:-100}" "$step_log" >&2
        echo "full log: $step_log" >&2
    fi
    echo "    $1 passed, $2 failed, $3 skipped" >&2
    passed=$((passed + $1))
    failed=$((failed + $2))
    skipped=$((skipped + $3))
}

# The clients of the tests: Python SDKs in build/venv, Node's in build/node, a browser.
prepare_clients() {
    command -v chromium >/dev/null || ! has_browser_package || need browser
    wants=tests/scenario/requirements.txt
    if ! cmp -s $wants build/venv/requirements.txt; then
        python=python3
        $python -c 'import venv, ensurepip' 2>/dev/null || python=/usr/bin/python3
        step "making a Python environment" $python -m venv --clear build/venv
        step "installing Python clients" build/venv/bin/python -m pip install -q -r $wants
        cp $wants build/venv/requirements.txt
    fi

    [ -f tests/scenario/node/package.json ] || return 0
    { command -v node && command -v npm; } >/dev/null || need node
    mkdir -p build/node
    if ! cmp -s tests/scenario/node/package.json build/node/installed.json; then
        cp tests/scenario/node/package*.json build/node/
        step "installing Node clients" npm --prefix build/node ci --no-audit --no-fund
        cp tests/scenario/node/package.json build/node/installed.json
    fi
    cp -R tests/scenario/node/. build/node/
    OPENCLAW_NODE_DIR=$PWD/build/node
    export OPENCLAW_NODE_DIR
}

# What the tests marked `nightly` run: coding agents, aider, frameworks; some gigabytes in build/nightly.
prepare_large_clients() {
    OPENCLAW_NIGHTLY=$PWD/build/nightly
    export OPENCLAW_NIGHTLY
    wants=$PWD/tests/scenario/nightly
    mkdir -p "$OPENCLAW_NIGHTLY/agents"
    for each in aider frameworks; do
        home=$OPENCLAW_NIGHTLY/$each
        cmp -s "$wants/$each.txt" "$home/installed.txt" && continue
        step "making a Python environment" python3 -m venv --clear "$home"
        step "installing $each" "$home/bin/python" -m pip install -q -r "$wants/$each.txt"
        cp "$wants/$each.txt" "$home/installed.txt"
    done
    home=$OPENCLAW_NIGHTLY/agents
    if ! cmp -s "$wants/agents/package.json" "$home/installed.json"; then
        { command -v node && command -v npm; } >/dev/null || need node
        cp "$wants"/agents/package*.json "$home/"
        step "installing agents" npm --prefix "$home" ci --no-audit --no-fund
        cp "$wants/agents/package.json" "$home/installed.json"
    fi
}

# Sanitizers of older compilers fail when the kernel randomizes addresses with many bits.
unrandomize() {
    fixed_addresses=
    if setarch "$(uname -m)" -R true 2>/dev/null; then
        fixed_addresses="setarch $(uname -m) -R"
    fi
}

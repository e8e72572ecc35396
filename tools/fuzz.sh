# fuzz.sh - searches with libFuzzer for inputs that break a parser. Sourced by ./dev.
#
# New inputs are kept in build-fuzz/corpus; an input that crashes is written
# to build-fuzz/crash-*. Put such an input into tests/fuzz/corpus/<name>/ together with the
# fix: `./dev test fuzz` replays that folder.

fuzz_main() {
    name=${1:-all}
    seconds=${2:-60}

    need build fuzz
    packages_fuzz_runtime=libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev
    need fuzz_runtime
    [ -f build-fuzz/build.ninja ] || CC=clang step "configuring build-fuzz" \
        meson setup build-fuzz -Dfuzz=true -Dtests=false -Doptimization=1
    step "building build-fuzz" ninja -C build-fuzz

    if [ "$name" = all ]; then
        for target in build-fuzz/tests/fuzz/fuzz_*; do
            [ ! -x "$target" ] || [ -d "$target" ] || fuzz_one "${target##*/fuzz_}" "$seconds"
        done
    else
        fuzz_one "$name" "$seconds"
    fi
}

fuzz_one() {
    if [ ! -x "build-fuzz/tests/fuzz/fuzz_$1" ]; then
        echo "./dev: no fuzz target '$1'; there are:" >&2
        find tests/fuzz -name 'fuzz_*.c' | sed 's|.*/fuzz_\(.*\)\.c|    \1|' | sort >&2
        exit 2
    fi
    mkdir -p "build-fuzz/corpus/$1"
    if [ -x "build-fuzz/tests/fuzz/seeds_$1" ] && [ -z "$(ls "build-fuzz/corpus/$1")" ]; then
        "build-fuzz/tests/fuzz/seeds_$1" 1 2000 "build-fuzz/corpus/$1" >/dev/null
    fi
    step "fuzzing $1 for $2 s" "build-fuzz/tests/fuzz/fuzz_$1" -max_total_time="$2" \
        -timeout=10 -rss_limit_mb=2048 -artifact_prefix=build-fuzz/crash- \
        "build-fuzz/corpus/$1" "tests/fuzz/corpus/$1"
}

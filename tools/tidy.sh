#!/bin/sh
# tidy.sh BUILD-DIR [deep] - clang-tidy over every source file that changed since it last passed.
#
# The static analyzer follows the paths through each function, and takes nearly all of the time.
# It stops after NODES states of a function; with `deep` after clang's own 225000, which takes seven
# times as long.
#
# A file that passed gets a marker in BUILD-DIR/tidy (or tidy-deep). A change to a header, a table or
# the checks themselves removes all markers. Prints how many files passed and failed.
set -eu

NODES=20000

dir=$1
marks=$dir/tidy
budget="--extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=max-nodes=$NODES"
if [ "${2:-}" = deep ]; then
    marks=$dir/tidy-deep
    budget=
fi
mkdir -p "$marks"

changed=$(find src .clang-tidy tools/tidy.sh \
    \( -name '*.h' -o -name '*.def' -o -name .clang-tidy -o -name tidy.sh \) \
    -newer "$marks/.since" 2>/dev/null || echo everything)
if [ -n "$changed" ]; then
    rm -f "$marks"/*
    touch "$marks/.since"
fi

sources=$(find src -name '*.c' | sort)
for file in $sources; do
    [ "$marks/$(echo "$file" | tr / _)" -nt "$file" ] || echo "$file"
done | DIR=$dir MARKS=$marks BUDGET=$budget xargs -r -P "$(nproc)" -n 1 sh -c '
    clang-tidy -p "$DIR" --quiet --extra-arg=-Wno-unknown-warning-option \
        --extra-arg=-Wno-ignored-optimization-argument \
        --extra-arg=-ftrivial-auto-var-init=uninitialized $BUDGET "$1" 2>/dev/null &&
        touch "$MARKS/$(echo "$1" | tr / _)" || :' tidy

total=$(echo "$sources" | wc -l)
passed=$(ls "$marks" | wc -l)
echo "tests: $passed passed, $((total - passed)) failed, 0 skipped"
[ "$passed" -eq "$total" ]

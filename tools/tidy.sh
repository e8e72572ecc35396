#!/bin/sh
# tidy.sh BUILD-DIR - clang-tidy over every source file that changed since it last passed.
#
# A file that passed gets a marker in BUILD-DIR/tidy. A change to a header, a table or
# the checks themselves removes all markers. Prints how many files passed and failed.
set -eu

dir=$1
marks=$dir/tidy
mkdir -p "$marks"

changed=$(find src .clang-tidy \( -name '*.h' -o -name '*.def' -o -name .clang-tidy \) \
    -newer "$marks/.since" 2>/dev/null || echo everything)
if [ -n "$changed" ]; then
    rm -f "$marks"/*
    touch "$marks/.since"
fi

sources=$(find src -name '*.c' | sort)
for file in $sources; do
    [ "$marks/$(echo "$file" | tr / _)" -nt "$file" ] || echo "$file"
done | DIR=$dir MARKS=$marks xargs -r -P "$(nproc)" -n 1 sh -c '
    clang-tidy -p "$DIR" --quiet --extra-arg=-Wno-unknown-warning-option \
        --extra-arg=-Wno-ignored-optimization-argument \
        --extra-arg=-ftrivial-auto-var-init=uninitialized "$1" 2>/dev/null &&
        touch "$MARKS/$(echo "$1" | tr / _)" || :' tidy

total=$(echo "$sources" | wc -l)
passed=$(ls "$marks" | wc -l)
echo "tests: $passed passed, $((total - passed)) failed, 0 skipped"
[ "$passed" -eq "$total" ]

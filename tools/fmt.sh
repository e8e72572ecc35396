#!/bin/sh
# fmt.sh - clang-format, then three more spaces before trailing comments: it only supports
# that for comments that start with two slashes.
set -eu

find src tests \( -name '*.c' -o -name '*.h' \) | sort | while read -r file; do
    clang-format "$file" | sed -E 's@^(.*[^ ])( +)(/\*.*\*/)$@\1\2   \3@' >"$file.new"
    if cmp -s "$file" "$file.new"; then
        rm "$file.new"
    else
        cat "$file.new" >"$file" && rm "$file.new"
        echo "$file"
    fi
done

#!/bin/bash

##
# runonce.sh FILE: runs the program on one test case and prints
# `exit_code N [bug ID]`. Fails where it crashes or triggers a bug.
# Needs env FUZZER, OUT, SHARED, PROGRAM; + env ARGS.
##

# Prints the first bug in a human-readable dump that was triggered.
find_triggered()
{
    local bug triggered
    while read -r bug _ _ _ triggered; do
        if ((triggered > 0)); then
            echo "$bug"
            return
        fi
    done
}

case="$(realpath "$1")"
cd "$SHARED" || exit 1
# The program gets a copy: it may write to its input.
cp --force "$case" "$SHARED/runonce.tmp" || exit 1
dump="$("$OUT/monitor" --fetch watch --dump human \
    "$FUZZER/runonce.sh" "$SHARED/runonce.tmp")"
exit_code=$?
rm -f "$SHARED/runonce.tmp"
bug="$(find_triggered <<< "$dump")"

echo "exit_code $exit_code${bug:+ bug $bug}"
[ "$exit_code" -eq 0 ] && [ -z "$bug" ]

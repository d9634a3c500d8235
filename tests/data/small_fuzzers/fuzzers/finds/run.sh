#!/bin/bash

# Two cases of one bug, a crash of no known bug, the same once more, and no crash.
mkdir -p "$SHARED/findings"
cd "$SHARED/findings" || exit 1
printf 'A' > known
printf 'bbA' > 'known, with spaces'
printf 'X' > new
printf 'X' > again
printf 'b' > harmless
while true; do
    "$FUZZER/runonce.sh" known
    sleep 0.2
done

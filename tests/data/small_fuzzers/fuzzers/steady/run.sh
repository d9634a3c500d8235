#!/bin/bash

##
# Keeps one CPU busy until it is ended: runs the program on two test cases of
# which one triggers TOY001. FUZZARGS: --bulk MIB writes a file of that size.
##

mkdir -p "$SHARED/findings"
if [[ "$FUZZARGS" =~ --bulk\ ([0-9]+) ]]; then
    head -c "${BASH_REMATCH[1]}M" /dev/zero > "$SHARED/findings/bulk"
fi
printf 'b7' > "$SHARED/harmless"
printf 'bA' > "$SHARED/faulty"
while true; do
    for case in harmless faulty; do
        "$FUZZER/runonce.sh" "$SHARED/$case"
    done
done

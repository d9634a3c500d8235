#!/bin/bash

##
# Fuzzes until it is killed.
# Needs env TARGET, OUT, SHARED, PROGRAM; + env ARGS, FUZZARGS.
##

mkdir -p "$SHARED/findings"

# The container is pinned to its CPUs already, and their frequency is the
# host's concern.
export AFL_NO_AFFINITY=1
export AFL_SKIP_CPUFREQ=1
export AFL_NO_UI=1
# Less calibration: the seeds were tried when they were pruned.
export AFL_FAST_CAL=1

# Without ARGS, the driver reads standard input. Both are lists of words.
# exec: the signal at the end of the campaign is for afl-fuzz.
# shellcheck disable=SC2086
exec afl-fuzz -i "$TARGET/corpus/$PROGRAM" -o "$SHARED/findings" -m none \
    $FUZZARGS -- "$OUT/$PROGRAM" $ARGS 2>&1

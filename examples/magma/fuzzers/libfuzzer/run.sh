#!/bin/bash

##
# Fuzzes until it is killed.
# Needs env TARGET, OUT, SHARED, PROGRAM; + env ARGS, FUZZARGS.
##

mkdir -p "$SHARED/findings" "$SHARED/corpus"

# Without ARGS, a program reads standard input. See src/driver.c.
export MAGMA_TARGET_ARGS="$ARGS"

# libFuzzer ends at a crash, and a process counts no canary after a trigger. So
# it is started again and again, for 1, 2, 3 ... 300 seconds: the schedule of its
# fork mode, which however prefers the newest inputs so much that it hardly tries
# the seeds.
for ((round = 1; ; round++)); do
    # What the program prints is of no use, and would drown libFuzzer's own log.
    # The signal at the end of the campaign is to kill it, not to be handled.
    # FUZZARGS is a list of words, and overrides.
    # shellcheck disable=SC2086
    "$OUT/$PROGRAM" -max_total_time=$((round < 300 ? round : 300)) \
        -timeout=2 -rss_limit_mb=512 -handle_term=0 -close_fd_mask=3 \
        -verbosity=0 -print_funcs=0 -print_final_stats=1 \
        -artifact_prefix="$SHARED/findings/" $FUZZARGS \
        "$SHARED/corpus" "$TARGET/corpus/$PROGRAM" 2>&1
    status=$?
    echo "Round $round ended with exit code $status"
    # Crashes, timeouts and memory limits have codes of their own.
    if [ "$status" -eq 1 ]; then
        exit 1
    fi
done

#!/bin/bash

##
# Fuzzes until it is killed.
# Needs env TARGET, OUT, SHARED, PROGRAM; + env ARGS, FUZZARGS.
##

mkdir -p "$SHARED/findings" "$SHARED/corpus"

# Without ARGS, a program reads standard input. See src/driver.c.
export MAGMA_TARGET_ARGS="$ARGS"

# Fork mode goes on after a crash. What the program prints is of no use, and
# would drown libFuzzer's own log. FUZZARGS is a list of words, and overrides.
# exec and handle_term: the signal at the end of the campaign is for libFuzzer,
# which would else tidy up its temporary files for up to a second.
# shellcheck disable=SC2086
exec "$OUT/$PROGRAM" -fork=1 -ignore_crashes=1 -ignore_timeouts=1 \
    -ignore_ooms=1 -handle_term=0 -timeout=2 -rss_limit_mb=512 \
    -close_fd_mask=3 -artifact_prefix="$SHARED/findings/" $FUZZARGS \
    "$SHARED/corpus" "$TARGET/corpus/$PROGRAM" 2>&1

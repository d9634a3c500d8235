#!/bin/bash
set -e

##
# Builds the monitor, which no fuzzer's compiler must instrument.
# Needs env MAGMA, OUT, SHARED, CC.
##

# CFLAGS is a list of flags.
# shellcheck disable=SC2086
"$CC" $CFLAGS -Wall -Wextra -O2 -DMAGMA_STORAGE="\"$SHARED/canaries.raw\"" \
    -I "$MAGMA/src" "$MAGMA/src/monitor.c" "$MAGMA/src/storage.c" \
    -o "$OUT/monitor"

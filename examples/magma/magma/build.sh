#!/bin/bash
set -e

##
# Builds $OUT/magma.o, the canaries that every program of a target links.
# Needs env MAGMA, OUT, SHARED, CC, CFLAGS, LD.
##

for unit in canary storage; do
    # CFLAGS is a list of flags.
    # shellcheck disable=SC2086
    "$CC" $CFLAGS -fPIC -DMAGMA_STORAGE="\"$SHARED/canaries.raw\"" \
        -I "$MAGMA/src" -c "$MAGMA/src/$unit.c" -o "$OUT/magma_$unit.o"
done
"$LD" -r "$OUT/magma_canary.o" "$OUT/magma_storage.o" -o "$OUT/magma.o"
rm "$OUT/magma_canary.o" "$OUT/magma_storage.o"

#!/bin/bash
set -e

# CFLAGS, LDFLAGS and LIBS are lists of flags.
# shellcheck disable=SC2086
"$CC" $CFLAGS "$TARGET/src/toy.c" -o "$OUT/letters" $LDFLAGS $LIBS
cp "$OUT/letters" "$OUT/digits"

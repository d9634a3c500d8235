#!/bin/bash

"$FUZZER/runonce.sh" "$TARGET/corpus/$PROGRAM/seed"
mkdir -p "$SHARED/findings"
cat /dev/zero > "$SHARED/findings/full"
while true; do
    sleep 600
done

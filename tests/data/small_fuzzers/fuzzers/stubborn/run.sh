#!/bin/bash

# Ignores the signal at the end, as do its children, which hold its output open
# in a session of their own.
trap '' TERM INT HUP
"$FUZZER/runonce.sh" "$TARGET/corpus/$PROGRAM/seed"
setsid sleep 600 &
sleep 600 &
while true; do
    sleep 600
done

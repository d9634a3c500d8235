#!/bin/bash

# With FUZZARGS --slow-seeds, no test case ever ends.
if [[ "$FUZZARGS" == --slow-seeds ]]; then
    sleep 600
fi
"$OUT/$PROGRAM" "$1"

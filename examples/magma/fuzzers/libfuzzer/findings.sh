#!/bin/bash

##
# Lists the test cases that the fuzzer reports as crashes.
# Needs env SHARED.
##

findings="$SHARED/findings"
if [ ! -d "$findings" ]; then
    exit 1
fi
find "$findings" -type f

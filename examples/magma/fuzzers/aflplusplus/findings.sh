#!/bin/bash

##
# Lists the test cases that the fuzzer reports as crashes.
# Needs env SHARED.
##

crashes="$SHARED/findings/default/crashes"
if [ ! -d "$crashes" ]; then
    exit 1
fi
find "$crashes" -type f -name 'id:*'

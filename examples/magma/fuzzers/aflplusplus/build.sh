#!/bin/bash
set -e

##
# Builds the driver, which is the main() of programs that have none.
# Needs env FUZZER, OUT.
##

afl-clang-fast -Wall -Wextra -O2 -c "$FUZZER/src/driver.c" -o "$OUT/driver.o"

#!/bin/bash
set -e

##
# Builds the driver, and takes libFuzzer without a main() from clang.
# Needs env FUZZER, OUT.
##

clang -Wall -Wextra -O2 -g -c "$FUZZER/src/driver.c" -o "$OUT/driver.o"
cp "$(clang -print-resource-dir)/lib/linux/libclang_rt.fuzzer_no_main-$(uname -m).a" \
    "$OUT/libFuzzer.a"

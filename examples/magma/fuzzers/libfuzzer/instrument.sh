#!/bin/bash
set -e

##
# Builds the canaries and the target with libFuzzer's instrumentation.
# Needs env FUZZER, TARGET, MAGMA, OUT, CFLAGS, CXXFLAGS, LDFLAGS, LIBS.
##

export CC=clang
export CXX=clang++
# The driver runs ahead of main and catches exit: see src/driver.c. Clang would
# add a sanitizer's runtime, which turns crashes into exits.
export LDFLAGS="$LDFLAGS -Wl,--wrap=main -Wl,--wrap=exit -fno-sanitize-link-runtime"
export LIBS="$LIBS -l:driver.o -l:libFuzzer.a -lstdc++ -lm -lpthread"

# The canaries must not lead the fuzzer: their own code gives it no feedback.
"$MAGMA/build.sh"
flags="-fsanitize=fuzzer-no-link -include $FUZZER/src/sections.h"
export CFLAGS="$CFLAGS $flags"
export CXXFLAGS="$CXXFLAGS $flags"
"$TARGET/build.sh"

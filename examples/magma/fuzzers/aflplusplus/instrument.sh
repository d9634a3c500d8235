#!/bin/bash
set -e

##
# Builds the canaries and the target with AFL++'s compiler.
# Needs env FUZZER, TARGET, MAGMA, OUT, CFLAGS, CXXFLAGS, LDFLAGS, LIBS.
##

export LIBS="$LIBS -l:driver.o"
export AFL_QUIET=1

# The canaries must not lead the fuzzer: their own code gives it no feedback.
CC=clang CXX=clang++ "$MAGMA/build.sh"
CC=afl-clang-fast CXX=afl-clang-fast++ "$TARGET/build.sh"

#!/bin/bash
set -e

##
# Builds the library and its programs into $OUT.
# Needs env TARGET, OUT, CC, CXX, CFLAGS, CXXFLAGS, LDFLAGS, LIBS.
##

WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
cd "$TARGET/repo"

# All the reading and writing sources, without the examples. Plain compiler
# calls: configure would take longer than the build.
sources=(png.c pngerror.c pngget.c pngmem.c pngpread.c pngread.c pngrio.c
    pngrtran.c pngrutil.c pngset.c pngtrans.c pngwio.c pngwrite.c pngwtran.c
    pngwutil.c)
cp scripts/pnglibconf.h.prebuilt pnglibconf.h

compile()
{
    # CFLAGS is a list of flags.
    # shellcheck disable=SC2086
    "$CC" $CFLAGS -DPNG_INTEL_SSE_OPT=0 -DPNG_ARM_NEON_OPT=0 -I. \
        -c "$1" -o "$WORK/${1%.c}.o"
}
export -f compile
export WORK
# shellcheck disable=SC2016
printf '%s\n' "${sources[@]}" |
    xargs -P "$(nproc)" -I{} bash -c 'compile "$1"' _ {}
rm -f "$OUT/libpng16.a"
"${AR:-ar}" rcs "$OUT/libpng16.a" "$WORK"/*.o

# Lists of flags again.
# shellcheck disable=SC2086
"$CXX" $CXXFLAGS -std=c++11 -I. contrib/oss-fuzz/libpng_read_fuzzer.cc \
    -o "$OUT/libpng_read_fuzzer" $LDFLAGS "$OUT/libpng16.a" $LIBS -lz -lm

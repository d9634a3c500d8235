#!/bin/bash
set -e

##
# Builds the library and its programs into $OUT.
# Needs env TARGET, OUT, CC, CXX, CFLAGS, CXXFLAGS, LDFLAGS, LIBS.
##

WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
cd "$TARGET/repo/libtiff"

# The source package comes without a configure script. Its answers for this
# system are in src/.
cp "$TARGET"/src/*.h .
# Without the codecs of absent libraries and without Windows.
shopt -s extglob
sources=(tif_!(jbig|jpeg|jpeg_12|lerc|lzma|ojpeg|webp|win32|zstd).c)

compile()
{
    # CFLAGS is a list of flags.
    # shellcheck disable=SC2086
    "$CC" $CFLAGS -I. -c "$1" -o "$WORK/${1%.c}.o"
}
export -f compile
export WORK
# shellcheck disable=SC2016
printf '%s\n' "${sources[@]}" |
    xargs -P "$(nproc)" -I{} bash -c 'compile "$1"' _ {}
rm -f "$OUT/libtiff.a"
"${AR:-ar}" rcs "$OUT/libtiff.a" "$WORK"/*.o

# Lists of flags again.
# shellcheck disable=SC2086
"$CC" $CFLAGS -I. ../tools/tiffcp.c \
    -o "$OUT/tiffcp" $LDFLAGS "$OUT/libtiff.a" $LIBS -lz -lm
# shellcheck disable=SC2086
"$CXX" $CXXFLAGS -std=c++11 -I. tif_stream.cxx \
    ../contrib/oss-fuzz/tiff_read_rgba_fuzzer.cc \
    -o "$OUT/tiff_read_rgba_fuzzer" $LDFLAGS "$OUT/libtiff.a" $LIBS -lz -lm

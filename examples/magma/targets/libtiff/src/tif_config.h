/*
 * What configure would find on a 64-bit Linux system with zlib and without the
 * other compression libraries.
 */
#ifndef MAGMA_TIF_CONFIG_H
#define MAGMA_TIF_CONFIG_H

#include "tiffconf.h"

#define HAVE_ASSERT_H 1
#define HAVE_DECL_OPTARG 1
#define HAVE_FCNTL_H 1
#define HAVE_FSEEKO 1
#define HAVE_GETOPT 1
#define HAVE_MMAP 1
#define HAVE_STRINGS_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_UNISTD_H 1

#define CHECK_JPEG_YCBCR_SUBSAMPLING 1
#define CXX_SUPPORT 1
#define STRIP_SIZE_DEFAULT 8192
#define TIFF_MAX_DIR_COUNT 1048576

#define SIZEOF_SIZE_T 8
#define TIFF_SIZE_FORMAT "zu"
#define TIFF_SSIZE_FORMAT PRId64

#define PACKAGE "tiff"
#define PACKAGE_NAME "LibTIFF Software"

#endif

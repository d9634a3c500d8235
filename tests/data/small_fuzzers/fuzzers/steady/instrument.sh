#!/bin/bash
set -e

"$MAGMA/build.sh"
"$TARGET/build.sh"

#!/bin/bash
set -e

##
# Applies the set-up patches, then the bugs, to $TARGET/repo. A bug's canary
# gets the name of its patch file.
# Needs env TARGET.
##

shopt -s nullglob
for patch in "$TARGET"/patches/setup/*.patch "$TARGET"/patches/bugs/*.patch; do
    name="$(basename "$patch" .patch)"
    if [ "${#name}" -gt 15 ]; then
        echo "$patch: a canary's name has at most 15 characters" >&2
        exit 1
    fi
    echo "Applying $name"
    sed "s/%MAGMA_BUG%/$name/g" "$patch" |
        patch -p1 --forward --no-backup-if-mismatch -d "$TARGET/repo"
done

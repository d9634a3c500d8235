#!/bin/bash
set -e

##
# Unpacks the Debian source of the target to $TARGET/repo.
# Needs env TARGET.
##

package=tiff

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/sources" "$work/lists/partial" "$work/cache/archives/partial"

# The image's own package sources, whatever host they name, as sources of
# source packages. Both formats: one line, and deb822.
shopt -s nullglob
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    if [ -f "$list" ]; then
        sed -n 's/^deb\([[:space:]]\)/deb-src\1/p' "$list" > "$work/sources/$(basename "$list" .list).list"
    fi
done
for list in /etc/apt/sources.list.d/*.sources; do
    sed 's/^Types:.*/Types: deb-src/' "$list" > "$work/sources/$(basename "$list")"
done

# This runs without root, so apt works in a directory of its own.
apt() {
    apt-get -o Dir::Etc::sourcelist=/dev/null \
        -o Dir::Etc::sourceparts="$work/sources" \
        -o Dir::State::lists="$work/lists" \
        -o Dir::Cache="$work/cache" "$@"
}
apt update
cd "$work"
apt source "$package"
rm -rf "$TARGET/repo"
mv "$work/$package"-*/ "$TARGET/repo"

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# merge_archives.sh OUTPUT.a COMPILER... ARCHIVE.a... : one object of all, in which only what is
# meant for others keeps a global name.
set -eu
output=$1
shift
compiler=
archives=
for word in "$@"; do
    case $word in
    *.a) archives="$archives $word" ;;
    *) compiler="$compiler $word" ;;
    esac
done
object=${output%.a}.merged.o
lto=
if $compiler --version | grep -q 'Free Software Foundation'; then
    lto=-flinker-output=nolto-rel
fi
$compiler -r -nostdlib $lto -Wl,--whole-archive $archives -Wl,--no-whole-archive -o "$object"
objcopy --wildcard --keep-global-symbol='sonde_*' "$object"
rm -f "$output"
ar rcs "$output" "$object"

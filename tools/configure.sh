#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# configure.sh NAME OPTION... : a Meson build folder NAME/meson, made anew when the list of source
# files has changed since (folders of src/ are their own lists).
set -eu
cd "$(dirname "$0")/.."
name=$1
shift
folder=$name/meson
mkdir -p "$name"
list=$(find src tests fuzz bench web/assets.txt -name '*.[ch]' -o -name '*.def' -o -name assets.txt |
       sort; echo "$*")
if [ ! -f "$folder/build.ninja" ]; then
    rm -rf "$folder"
    meson setup "$folder" "$@" >"$name/configure.log" 2>&1 || { cat "$name/configure.log"; exit 1; }
elif [ "$list" != "$(cat "$name/files" 2>/dev/null)" ]; then
    meson setup --reconfigure "$folder" "$@" >"$name/configure.log" 2>&1 ||
        { cat "$name/configure.log"; exit 1; }
fi
printf '%s\n' "$list" >"$name/files"

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fuzz.sh SECONDS: every fuzz target for so long, growing its corpus copy; a crash ends with its file.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
CC=clang-14 tools/configure.sh build-fuzz -Dfuzzers=true -Dtests=false \
    -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1
ninja -C build-fuzz/meson
for target in build-fuzz/meson/fuzz/fuzz_*; do
    [ -x "$target" ] && [ -f "$target" ] || continue
    name=$(basename "$target")
    seeds=fuzz/corpus/${name#fuzz_}
    mkdir -p "build-fuzz/corpus/$name" "build-fuzz/crashes"
    echo "== $name"
    "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="build-fuzz/crashes/$name-" "build-fuzz/corpus/$name" "$seeds"
done

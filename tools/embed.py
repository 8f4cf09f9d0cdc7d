#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns the files of the dashboard into one C table, so that the daemon needs no folder beside it.

    tools/embed.py web/assets.txt web_assets.c web_assets.d

Each line of assets.txt names a URL path and a file beside assets.txt ("/assets/app.js src/app.js");
empty lines and lines with '#' in front are skipped. Each file is stored gzip'ed, once, with its media
type and an ETag from its hash (src/serve/assets.h). A file whose URL carries a hash may be kept by
browsers for ever. The third argument gets a Make rule, so that an edit rebuilds the table.
"""
import gzip
import hashlib
import pathlib
import re
import sys

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
HASHED = re.compile(r"[.-][0-9a-f]{8,}\.[a-z0-9]+$")
BYTES_MAX = 4 << 20  # Of one file: the binary is to stay small.


def read_list(list_path):
    seen = {}
    for number, line in enumerate(list_path.read_text().splitlines(), 1):
        place = f"{list_path}:{number}"
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or not words[0].startswith("/"):
            sys.exit(f"{place}: expected '/url-path file-path', got {line!r}")
        if words[0] in seen:
            sys.exit(f"{place}: {words[0]} is listed already, in line {seen[words[0]]}")
        seen[words[0]] = number
        path = list_path.parent / words[1]
        if not path.is_file():
            sys.exit(f"{place}: {path} does not exist; packages of web/package.json are "
                     "installed with: npm ci --prefix web --ignore-scripts")
        if path.suffix not in MEDIA_TYPES:
            sys.exit(f"{place}: the media type of *{path.suffix} is unknown; add it to {__file__}")
        if path.stat().st_size > BYTES_MAX:
            sys.exit(f"{place}: {path} is over {BYTES_MAX} bytes")
        yield words[0], path


def c_bytes(data):
    rows = []
    for at in range(0, len(data), 24):
        rows.append("    " + "".join(f"{byte}," for byte in data[at:at + 24]))
    return "\n".join(rows)


def main():
    list_path, output, depfile = (pathlib.Path(name) for name in sys.argv[1:4])
    arrays, rows, inputs = [], [], [list_path]
    for url, path in sorted(read_list(list_path)):
        plain = path.read_bytes()
        packed = gzip.compress(plain, compresslevel=9, mtime=0)
        name = f"bytes_{len(arrays)}"
        etag = hashlib.sha256(plain).hexdigest()[:20]
        arrays.append(f"/* {url} */\nstatic const unsigned char {name}[] = {{\n{c_bytes(packed)}\n}};")
        rows.append(
            f'    {{.path = {{"{url}", {len(url)}}}, .etag = "\\"{etag}\\"",\n'
            f'     .media_type = "{MEDIA_TYPES[path.suffix]}", .gzip = {name},\n'
            f"     .gzip_size = sizeof({name}), .plain_size = {len(plain)},\n"
            f"     .is_hashed = {'true' if HASHED.search(url) else 'false'}}},")
        inputs.append(path)
    rows.append("    {.path = {NULL, 0}},")
    output.write_text(
        "/* SPDX-License-Identifier: Apache-2.0 */\n"
        "/* Made by tools/embed.py from web/assets.txt. Sorted by path; the last row is the end. */\n"
        '#include "serve/assets.h"\n\n'
        + "\n\n".join(arrays)
        + "\n\nconst struct asset assets[] = {\n" + "\n".join(rows) + "\n};\n"
        + f"const size_t assets_count = {len(rows) - 1};\n")
    depfile.write_text(f"{output}: " + " ".join(str(path).replace(" ", "\\ ") for path in inputs)
                       + "\n")


main()

# SPDX-License-Identifier: Apache-2.0
"""Builds the extension from libsonde's own sources, which lie beside this folder."""
import pathlib

from setuptools import Extension, setup

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
FOLDERS = ["client", "document", "stats", "sketch", "base"]


def sources():
    """Relative to this folder, as setuptools wants them."""
    found = [path for folder in FOLDERS for path in sorted((ROOT / "src" / folder).glob("*.c"))]
    own = sorted((HERE / "native").glob("*.c"))
    return ([str(path.relative_to(HERE)) for path in own]
            + [f"../{path.relative_to(ROOT)}" for path in found])


setup(ext_modules=[Extension(
    "sonde._native",
    sources=sources(),
    include_dirs=[str(ROOT / "src"), str(ROOT / "include")],
    define_macros=[("_GNU_SOURCE", None)],
    extra_compile_args=["-std=gnu17", "-O2", "-fno-strict-aliasing", "-fvisibility=hidden"],
    libraries=["m", "pthread"],
)])

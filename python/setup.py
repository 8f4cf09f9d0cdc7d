# SPDX-License-Identifier: Apache-2.0
"""Builds the extension from libsonde's own sources, which lie beside this folder; a source
distribution brings them along in libsonde/."""
import pathlib
import shutil

from setuptools import Extension, setup
from setuptools.command.sdist import sdist

HERE = pathlib.Path(__file__).resolve().parent
BESIDE = HERE.parent
ROOT = BESIDE if (BESIDE / "src/client").is_dir() else HERE / "libsonde"
FOLDERS = ["client", "document", "stats", "sketch", "base"]


def sources():
    """Relative to this folder, as setuptools wants them."""
    found = [path for folder in FOLDERS for path in sorted((ROOT / "src" / folder).glob("*.c"))]
    root = pathlib.Path("..") if ROOT == BESIDE else ROOT.relative_to(HERE)
    own = sorted((HERE / "native").glob("*.c"))
    return ([str(path.relative_to(HERE)) for path in own]
            + [str(root / path.relative_to(ROOT)) for path in found])


class SourceDistribution(sdist):
    def make_release_tree(self, base_dir, files):
        # What lies beside this folder would be put beside the release, too.
        super().make_release_tree(base_dir, [file for file in files if not file.startswith("..")])
        for folder in ["include/sonde", *(f"src/{folder}" for folder in FOLDERS)]:
            shutil.copytree(ROOT / folder, pathlib.Path(base_dir, "libsonde", folder),
                            ignore=shutil.ignore_patterns("*.o", "*.so", "README.md"))
        for header in (HERE / "native").glob("*.h"):
            shutil.copy2(header, pathlib.Path(base_dir, "native"))


setup(cmdclass={"sdist": SourceDistribution}, ext_modules=[Extension(
    "sonde._native",
    sources=sources(),
    include_dirs=[str(ROOT / "src"), str(ROOT / "include")],
    define_macros=[("_GNU_SOURCE", None)],
    extra_compile_args=["-std=gnu17", "-O2", "-fno-strict-aliasing", "-fvisibility=hidden"],
    libraries=["m", "pthread"],
)])

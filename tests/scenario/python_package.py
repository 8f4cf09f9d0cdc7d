# SPDX-License-Identifier: Apache-2.0
"""The Python package, built and installed into a virtual environment that is kept between runs.

    python = python_package.installed()     # path of its interpreter, or unittest.SkipTest

The environment lies in build-python/venv. It is made anew when the sources or the requirements
change; whoever comes second waits for the first.
"""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "build-python"
PYTHON = FOLDER / "venv/bin/python"
REQUIREMENTS = ROOT / "python/tests/requirements.txt"
OPTIONAL = ["mysqlclient"]
SOURCES = ["python", "include", "src/client", "src/document", "src/stats", "src/sketch", "src/base",
           "src/model"]


def _hash(paths):
    digest = hashlib.sha256(sys.version.encode())
    for path in paths:
        digest.update(str(path).encode() + path.read_bytes())
    return digest.hexdigest()


def _sources():
    return sorted(path for folder in SOURCES for path in (ROOT / folder).rglob("*")
                  if path.suffix in (".c", ".h", ".def", ".py", ".pyi", ".toml", ".typed")
                  and "tests" not in path.parts and "build" not in path.parts)


def run(*command, **options):
    """Its output; a failure carries all that it said."""
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


def plain_environment():
    """Without what the sanitized daemon's tests set for themselves."""
    return {key: value for key, value in os.environ.items()
            if key not in ("LD_PRELOAD", "PYTHONPATH", "SONDE_LEVEL", "SONDE_ENDPOINT")}


def _once(name, content, make):
    """Runs make() unless it already has for the same content."""
    stamp = FOLDER / f"{name}.stamp"
    if stamp.exists() and stamp.read_text() == content and PYTHON.exists():
        return
    make()
    stamp.write_text(content)


def _optional():
    """What is built from source where its C library is; the stories of it are skipped elsewhere."""
    for name in OPTIONAL:
        with contextlib.suppress(RuntimeError):
            run(PYTHON, "-m", "pip", "install", "-q", name, env=plain_environment())


def _requirements():
    try:
        run(sys.executable, "-m", "venv", FOLDER / "venv")
        run(PYTHON, "-m", "pip", "install", "-q", "-r", REQUIREMENTS, env=plain_environment())
        _optional()
    except (RuntimeError, OSError) as error:
        raise unittest.SkipTest(f"the tests' packages could not be installed: "
                                f"{str(error)[-300:]}") from error


def _package():
    """By way of a wheel, as a user would get it."""
    wheels = FOLDER / "wheels"
    for old in wheels.glob("*.whl"):
        old.unlink()
    pip = [PYTHON, "-m", "pip"]
    run(*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", wheels, ROOT / "python",
        env=plain_environment())
    run(*pip, "install", "-q", "--no-deps", "--no-index", "--force-reinstall",
        next(wheels.glob("*.whl")), env=plain_environment())


def installed():
    FOLDER.mkdir(exist_ok=True)
    with open(FOLDER / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _once("requirements", _hash([REQUIREMENTS]), _requirements)
        _once("package", _hash(_sources()), _package)
    return PYTHON

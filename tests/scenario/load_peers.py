# SPDX-License-Identifier: Apache-2.0
"""The Python packages that are peers of sonde load: model SDKs, WebSocket and gRPC servers.

They lie in build-load-peers/venv, made once; where they cannot be had, who needs them is skipped."""

import pathlib
import subprocess
import sys
import unittest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "build-load-peers"
PYTHON = str(FOLDER / "venv/bin/python")
PACKAGES = ["openai", "anthropic", "websockets", "grpcio"]


def need_peers():
    done = FOLDER / "done"
    if done.exists():
        return
    try:
        subprocess.run([sys.executable, "-m", "venv", FOLDER / "venv"], check=True,
                       capture_output=True)
        subprocess.run([PYTHON, "-m", "pip", "install", "-q", *PACKAGES], check=True,
                       capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise unittest.SkipTest(f"the peers of sonde load cannot be installed: {error}") from error
    done.touch()

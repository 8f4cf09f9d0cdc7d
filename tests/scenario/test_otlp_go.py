# SPDX-License-Identifier: Apache-2.0
"""A service written in Go, instrumented with OpenTelemetry, points its SDK at sonde."""

import os
import shutil
import unittest

from otel_story import FOLDER, HERE, SdkStory, need_program, run, send

GO = os.path.join(FOLDER, "go")
SENDER = os.path.join(GO, "otel_sender")
SOURCE = os.path.join(HERE, "otel_sender.go")


def need_sdk():
    """Builds the sender when its source is newer; skips where the modules cannot be had."""
    if os.path.exists(SENDER) and os.path.getmtime(SENDER) > os.path.getmtime(SOURCE):
        return
    if not need_program("go"):
        raise unittest.SkipTest("Go is not installed")
    os.makedirs(GO, exist_ok=True)
    shutil.copy(SOURCE, os.path.join(GO, "main.go"))
    if not os.path.exists(os.path.join(GO, "go.mod")):
        run(["go", "mod", "init", "scenario"], cwd=GO)
    for command in (["go", "mod", "tidy"], ["go", "build", "-buildvcs=false", "-o", SENDER, "."]):
        result = run(command, cwd=GO)
        if result.returncode != 0:
            raise unittest.SkipTest(f"OpenTelemetry's SDK cannot be had: {result.stderr[-300:]}")


def go_send(*arguments):
    need_sdk()
    return send(([SENDER, *arguments], GO))


class AServiceInGo(SdkStory, unittest.TestCase):
    protocols = ("grpc", "http")
    need = staticmethod(need_sdk)
    send = staticmethod(go_send)


if __name__ == "__main__":
    unittest.main()

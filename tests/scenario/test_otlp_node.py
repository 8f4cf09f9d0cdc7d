# SPDX-License-Identifier: Apache-2.0
"""A service written for Node, instrumented with OpenTelemetry, points its SDK at sonde."""

import os
import unittest

from otel_story import FOLDER, HERE, SdkStory, need_program, run, send

NODE = os.path.join(FOLDER, "node")
PACKAGES = [f"@opentelemetry/{name}" for name in (
    "api", "resources", "sdk-trace-node", "exporter-trace-otlp-grpc", "exporter-trace-otlp-http",
    "exporter-trace-otlp-proto", "exporter-zipkin", "sampler-jaeger-remote")]


def need_sdk():
    """Installs the packages once; skips where they cannot be had."""
    done = os.path.join(NODE, "done")
    if os.path.exists(done):
        return
    if not need_program("npm"):
        raise unittest.SkipTest("npm is not installed")
    os.makedirs(NODE, exist_ok=True)
    with open(os.path.join(NODE, "package.json"), "w", encoding="utf-8") as file:
        file.write('{"private": true}\n')
    result = run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock",
                  "--ignore-scripts", "--loglevel=error", *PACKAGES], cwd=NODE)
    if result.returncode != 0:
        raise unittest.SkipTest(f"OpenTelemetry's SDK cannot be installed: {result.stderr[-300:]}")
    with open(done, "w", encoding="utf-8"):
        pass


def node_send(*arguments):
    need_sdk()
    return send((["node", os.path.join(HERE, "otel_sender.mjs"), *arguments], NODE))


class AServiceInNode(SdkStory, unittest.TestCase):
    protocols = ("grpc", "http", "proto")
    need = staticmethod(need_sdk)
    send = staticmethod(node_send)


if __name__ == "__main__":
    unittest.main()

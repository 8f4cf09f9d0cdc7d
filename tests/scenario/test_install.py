# SPDX-License-Identifier: Apache-2.0
"""What `make install` puts beside the binary is complete, and systemd understands the unit."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from sonde import BINARY, need_binary

BUILD = os.environ.get("SONDE_BUILD", "")
WANTED = ["bin/sonde", "include/sonde/sonde.h", "share/man/man1/sonde.1",
          "lib/systemd/system/sonde.service", "lib/sysusers.d/sonde.conf",
          "share/doc/sonde/sonde.yaml", "share/doc/sonde/libsonde.md",
          "share/doc/sonde/examples/c_program.c", "share/doc/sonde/examples/journeys.yaml",
          "share/doc/sonde/grafana/provisioning/datasources/sonde.yaml"]


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need_binary()
        if not BUILD:
            raise unittest.SkipTest("SONDE_BUILD names no build folder")
        cls.folder = tempfile.mkdtemp(prefix="sonde-install-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        done = subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet",
                               "--destdir", cls.folder], capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        cls.prefix = next(path.parent.parent for path in pathlib.Path(cls.folder).rglob("bin/sonde"))

    def test_everything_is_there(self):
        for name in WANTED:
            self.assertTrue((self.prefix / name).exists(), name)
        for name in ("libsonde.a", "libsonde.so", "pkgconfig/sonde.pc"):
            self.assertTrue(list(self.prefix.glob(f"lib/**/{name}")), name)

    def test_the_unit_starts_the_installed_binary_and_is_understood(self):
        unit = (self.prefix / "lib/systemd/system/sonde.service").read_text()
        installed = "/" + str((self.prefix / "bin/sonde").relative_to(self.folder))
        self.assertIn(f"ExecStart={installed} serve", unit)
        if shutil.which("systemd-analyze") is None:
            self.skipTest("systemd-analyze is not installed")
        # Here it lies elsewhere; the check wants a binary that is there.
        copy = pathlib.Path(self.folder) / "sonde.service"
        copy.write_text(unit.replace(f"ExecStart={installed}", f"ExecStart={BINARY}"))
        told = subprocess.run(["systemd-analyze", "verify", "--man=no", str(copy)],
                              capture_output=True, text=True)
        ours = [line for line in told.stderr.splitlines() if "sonde.service" in line]
        self.assertEqual((told.returncode, ours), (0, []), told.stderr)

    def test_the_example_configuration_is_right_also_when_uncommented(self):
        text = (self.prefix / "share/doc/sonde/sonde.yaml").read_text()
        settings = re.sub(r"^#(?! )", "", text, flags=re.M)
        self.assertIn("\nlisten: 127.0.0.1:7070", settings)
        without_files = re.sub(r"^(tls:|  certificate:.*|  key:.*|token_file:.*)\n", "", settings,
                               flags=re.M)
        for content in (text, without_files):
            path = pathlib.Path(self.folder) / "tried.yaml"
            path.write_text(content)
            told = subprocess.run([BINARY, "check-config", str(path)], capture_output=True,
                                  text=True)
            self.assertEqual(told.returncode, 0, told.stdout + told.stderr)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs what packages.txt names and the machine lacks; without root, prints the one line to type.

usage: install_packages.py SECTION...
"""
import os
import pathlib
import shutil
import subprocess
import sys

LIST = pathlib.Path(__file__).resolve().parent.parent / "packages.txt"


def read_list(sections):
    section = None
    for line in LIST.read_text().splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("["):
            section = line.strip("[]")
        elif line and section in sections:
            name, _, command = line.partition(" ")
            yield name, command


def is_installed(name):
    status = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", name],
                            capture_output=True, text=True)
    return status.stdout.endswith(" installed")


def keep_services_still():
    """Peers are started by tests, on ports of their own: Debian's defaults must not run."""
    path = pathlib.Path("/usr/sbin/policy-rc.d")
    if path.exists():
        return None
    path.write_text("#!/bin/sh\nexit 101\n")
    path.chmod(0o755)
    return path


def main():
    missing = [name for name, command in read_list(sys.argv[1:])
               if not (command and shutil.which(command)) and not is_installed(name)]
    if not missing:
        return 0
    if shutil.which("apt-get") is None:
        print("sonde builds from Debian packages; these are missing here: " + " ".join(missing),
              file=sys.stderr)
        return 1
    install = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if os.geteuid() != 0:
        print("Some packages are missing. As root, type:\n\n    apt-get update && "
              + " ".join(install) + "\n", file=sys.stderr)
        return 1
    print("installing: " + " ".join(missing), file=sys.stderr)
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    policy = keep_services_still()
    try:
        for command in (["apt-get", "update", "-q"], install):
            done = subprocess.run(command, env=environment, stdout=sys.stderr)
            if done.returncode != 0:
                print("'" + " ".join(command) + "' failed; see above", file=sys.stderr)
                return done.returncode
    finally:
        if policy is not None:
            policy.unlink()
    return 0


sys.exit(main())

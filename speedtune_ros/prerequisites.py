"""What must be on the machine before `make setup`: standard library only, run by the system's Python.

    python3 -m speedtune_ros.prerequisites [--install]

Prints what is missing with the command that gives it; with --install, and as root on Debian or Ubuntu,
runs that command. Exit status 1 if something that cannot be done without is still missing.
"""

from __future__ import annotations

import ctypes.util
import glob
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

PYTHONS = ((3, 10), (3, 13))  # first and last with ros-jazzy-* wheels


@dataclass(frozen=True)
class Prerequisite:
    """Something outside Python's packages: what it is for and the Debian packages that bring it."""

    name: str
    purpose: str
    present: bool
    packages: tuple[str, ...]
    required: bool = True


def prerequisites() -> list[Prerequisite]:
    """What set-up and the demo need, and whether this machine has it."""
    headers = Path(sysconfig.get_paths()["include"], "Python.h")
    venv = all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))
    mesa = [path for folder in ("/usr/lib*/dri", "/usr/lib/*/dri") for path in glob.glob(f"{folder}/swrast_dri.so")]
    gallium = glob.glob("/usr/lib/*/libgallium*.so")
    return [
        Prerequisite("python3 venv", "the environment .venv", venv, ("python3-venv",)),
        Prerequisite("Python.h", "building speedtune_msgs", headers.exists(), ("python3-dev",)),
        Prerequisite("g++", "building speedtune_msgs", shutil.which("g++") is not None, ("g++",)),
        Prerequisite("make", "building speedtune_msgs", shutil.which("make") is not None, ("make",)),
        Prerequisite(
            "libEGL", "rendering without a display", ctypes.util.find_library("EGL") is not None, ("libegl1",), False
        ),
        Prerequisite("Mesa", "rendering without a graphics card", bool(mesa or gallium), ("libgl1-mesa-dri",), False),
    ]


def install_command(missing: list[Prerequisite]) -> list[str]:
    """The command that brings `missing` on Debian and Ubuntu."""
    packages = [package for prerequisite in missing for package in prerequisite.packages]
    return ["apt-get", "install", "-y", "--no-install-recommends", *packages]


def install(missing: list[Prerequisite]) -> None:
    """Install `missing`; apt-get's own words tell what failed."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = install_command(missing)
    print("installing:", " ".join(command[4:]), flush=True)
    for step in (["apt-get", "update", "-qq"], command):
        subprocess.run(step, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)


def main(arguments: list[str]) -> int:
    """Report, install if asked and able, report again; the exit status."""
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        print(f"Python {sys.version.split()[0]}: expected 3.10 to 3.13; name another with `make PYTHON=python3.12`")
        return 1
    missing = [prerequisite for prerequisite in prerequisites() if not prerequisite.present]
    able = os.geteuid() == 0 and shutil.which("apt-get") is not None
    if missing and able and "--install" in arguments:
        install(missing)
        missing = [prerequisite for prerequisite in prerequisites() if not prerequisite.present]
    for prerequisite in missing:
        word = "missing" if prerequisite.required else "missing (can be done without)"
        command = " ".join(install_command([prerequisite]))
        print(f"{word}: {prerequisite.name}, for {prerequisite.purpose}; on Debian or Ubuntu: sudo {command}")
    return int(any(prerequisite.required for prerequisite in missing))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

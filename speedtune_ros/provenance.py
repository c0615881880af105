"""What a process runs with, as bags and checkpoints keep it."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib import metadata

from speedtune_ros import __version__
from speedtune_ros.share import SOURCE

PACKAGES = ("numpy", "torch", "mujoco", "toppra", "ros-jazzy-rclpy", "opencv-python-headless", "rosbags")


@cache
def version() -> str:
    """This package's version, and of a source tree its commit: `0.1.0+1a2b3c4d`, `.dirty` behind it if changed."""
    commit = _git("rev-parse", "--short=8", "HEAD") if (SOURCE / ".git").exists() else ""
    changed = ".dirty" if commit and _git("status", "--porcelain", "--untracked-files=no") else ""
    return f"{__version__}+{commit}{changed}" if commit else __version__


def versions() -> dict[str, str]:
    """Versions by name: of this package, of Python, of the system, of the packages that figures depend on."""
    found = {"speedtune_ros": version(), "python": platform.python_version(), "system": platform.platform()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed by pip"
    return found


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(SOURCE), *words], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()

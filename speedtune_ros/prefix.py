"""Make a virtual environment with ROS wheels a complete ROS prefix. Run by `make setup`, standard library only.

python -m speedtune_ros.prefix cmake    rewrite the build machine's paths in the wheels' CMake files
python -m speedtune_ros.prefix link     add what `ros2 run` and `ros2 launch` look for to an editable install
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

PACKAGE = "speedtune_ros"
SHARED = ("package.xml", "launch", "config")
# Each node's executable is a module of the same name in nodes/ with a `main`.
EXECUTABLES = (
    "speedtune",
    "camera",
    "task_policy",
    "speed_policy",
    "retimer",
    "arm_driver",
    "sim",
    "episode",
    "recorder",
    "replay",
    "xs_sim",
    "teleop",
    "leader_script",
)

# Paths of the machine on which the ros-jazzy-* wheels were built, exported in their CMake files.
BUILD_NUMPY = re.compile(r"/opt/python/cp\d+-cp\d+/lib/python3\.\d+/site-packages/numpy/_?core/include")
BUILD_PYTHON = re.compile(r"/opt/python/cp\d+-cp\d+/include/python3\.\d+")


def repair_cmake(prefix: Path, python_include: str, numpy_include: str) -> list[Path]:
    """Point the wheels' CMake files in `prefix` to this interpreter's headers; the files changed."""
    changed = []
    for path in sorted(prefix.glob("share/*/cmake/*.cmake")):
        text = path.read_text()
        repaired = BUILD_PYTHON.sub(python_include, BUILD_NUMPY.sub(numpy_include, text))
        if repaired != text:
            path.write_text(repaired)
            changed.append(path)
    return changed


def link_package(prefix: Path, source: Path, scripts: Path) -> None:
    """Link what an installed ament package has from `source` and `scripts` into `prefix`.

    That is the resource marker, package.xml, launch/ and config/, and lib/speedtune_ros/<executable>.
    """
    _clear(prefix / "share" / PACKAGE)
    links = {prefix / "share/ament_index/resource_index/packages" / PACKAGE: source / "resource" / PACKAGE}
    for name in SHARED:
        # File by file: `ros2 launch` does not look into linked folders.
        files = [source / name, *(source / name).rglob("*")]
        links.update({prefix / "share" / PACKAGE / f.relative_to(source): f for f in files if f.is_file()})
    links.update({prefix / "lib" / PACKAGE / name: scripts / name for name in EXECUTABLES})
    for link, target in links.items():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def _clear(share: Path) -> None:
    """Remove an earlier installation's links, so that a file renamed in the tree leaves none behind."""
    for path in sorted(share.rglob("*"), reverse=True):
        if path.is_symlink():
            path.unlink()


def main(arguments: list[str]) -> None:
    """Act on the running interpreter's own prefix and the source tree this file lies in."""
    prefix = Path(sys.prefix)
    if arguments == ["cmake"]:
        import numpy

        repair_cmake(prefix, sysconfig.get_paths()["include"], numpy.get_include())
    elif arguments == ["link"]:
        link_package(prefix, Path(__file__).resolve().parent.parent, prefix / "bin")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])

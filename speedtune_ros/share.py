"""Where this package's files are: in a source tree, an editable install or an ament prefix."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from speedtune_ros.errors import MissingDependencyError

PACKAGE = "speedtune_ros"
SOURCE = Path(__file__).resolve().parent.parent


def prefixes() -> Iterator[Path]:
    """The ament prefixes to look in, first the sourced ones, then this interpreter's own."""
    yield from (Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix)
    yield Path(sys.prefix)


def share_path(relative: str) -> Path:
    """A shipped file or folder, such as `config/sim.yaml`. Raises MissingDependencyError if it is nowhere."""
    candidates = [SOURCE / relative] if (SOURCE / "package.xml").exists() else []
    candidates += [prefix / "share" / PACKAGE / relative for prefix in prefixes()]
    return _first(candidates, relative)


def executable_path(name: str) -> Path:
    """A node's executable. Raises MissingDependencyError if it is not installed."""
    candidates = [prefix / "lib" / PACKAGE / name for prefix in prefixes()]
    return _first([*candidates, Path(sys.prefix, "bin", name)], f"the executable {name}")


def _first(candidates: list[Path], what: str) -> Path:
    for candidate in candidates:
        if candidate.exists():
            return candidate
    looked = ", ".join(str(candidate) for candidate in candidates)
    raise MissingDependencyError(
        f"{what} is not installed; looked for {looked}. Install with `make setup`, or with "
        "`colcon build --base-paths . msg` and `. install/setup.sh`."
    )

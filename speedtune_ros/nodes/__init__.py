"""The ROS 2 side: one thin node a module, the only importers of rclpy and of message packages."""

from __future__ import annotations

import importlib.util
import sys
from types import TracebackType

from speedtune_ros.errors import MissingDependencyError

_BUILD = (
    "{what} is not built or not on the path. Build it with `make setup` (no ROS installed) or with "
    "`colcon build --base-paths . msg` and `. install/setup.sh` (ROS 2 sourced)."
)

INTERBOTIX = (
    "{what} is not on the path. Interbotix's own installation brings it (source its workspace); for simulated arms "
    "alone, `make xs_sim` builds it."
)


def require(package: str, remedy: str = _BUILD) -> None:
    """Raise MissingDependencyError, shown without a traceback where nobody catches it, if `package` is missing."""
    if importlib.util.find_spec(package) is None:
        sys.excepthook = _one_line
        raise MissingDependencyError(remedy.format(what=f"the ROS 2 package {package}"))


def _one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, MissingDependencyError):
        sys.stderr.write(f"{error}\n")
    else:
        sys.__excepthook__(kind, error, trace)


for _package in ("rclpy", "speedtune_msgs"):
    require(_package)

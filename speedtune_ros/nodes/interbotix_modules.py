"""The one place that knows Interbotix's own Python package, interbotix_xs_modules, where it is installed.

It gives a second opinion on a robot at bring-up. Its constructor waits for services for ever and spins the node it is
given, so it is run in a Python of its own, for a limited time. Nothing here moves an arm.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

from speedtune_ros.robots.bring_up import BringUpError, Group

PACKAGE = "interbotix_xs_modules"
_ASK = """
import json, sys
from interbotix_xs_modules.xs_robot.arm import InterbotixManipulatorXS
model, name = sys.argv[1:]
info = InterbotixManipulatorXS(robot_model=model, group_name='arm', gripper_name=None, robot_name=name).arm.group_info
lists = (info.joint_names, info.joint_lower_limits, info.joint_upper_limits, info.joint_sleep_positions)
print(json.dumps([info.mode, *map(list, lists)]))
"""


def available() -> bool:
    """Whether interbotix_xs_modules is installed; it is not imported."""
    return importlib.util.find_spec(PACKAGE) is not None


def group_info(model: str, robot: str, timeout_s: float = 20.0) -> Group:
    """What Interbotix's own class says of the arm group of `robot` (a namespace). Raises BringUpError."""
    command = [sys.executable, "-c", _ASK, model, robot]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise BringUpError(f"{robot}: {PACKAGE} did not find the robot within {timeout_s:g} s") from error
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines() or ["no output"]
    if done.returncode != 0:
        raise BringUpError(f"{robot}: {PACKAGE} failed: {lines[-1]}")
    return Group(*json.loads(lines[-1]))

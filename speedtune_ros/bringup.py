"""The robot's own software, started beside the graph by its own launch files: Interbotix's arms, RealSense cameras.

By default none of it is: the graph attaches to what runs. No ROS is imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from speedtune_ros.aloha import HARDWARE_CAMERAS
from speedtune_ros.errors import ConfigError, UnknownNameError
from speedtune_ros.robots.interbotix import FOLLOWERS
from speedtune_ros.share import share_path

CHOICES = ("none", "arms", "cameras", "all")
CAMERA_DRIVERS = ("realsense", "v4l2")
_PROFILE = "640x480x30"  # width, height, frames a second


@dataclass(frozen=True)
class Include:
    """A launch file of another package, and the arguments it is given."""

    name: str
    package: str
    file: str
    arguments: Mapping[str, str]


def camera_driver(values: Mapping[str, str]) -> str:
    """Who drives the cameras: `simulated` where no camera node is needed. Raises ConfigError."""
    chosen = values["camera_driver"]
    if values["robot"] == "sim" or (values["xs_sim"] == "true" and chosen == "auto"):
        return "simulated"
    if values["xs_sim"] == "true" and chosen == "v4l2":
        raise ConfigError("camera_driver: simulated cameras are no devices; expected auto or realsense, got v4l2")
    return "realsense" if chosen == "auto" else chosen


def check(values: Mapping[str, str]) -> None:
    """Raise ConfigError where `bringup` cannot be had; `camera_driver` is resolved already."""
    wanted = values["bringup"]
    if wanted != "none" and (values["robot"] == "sim" or values["xs_sim"] == "true"):
        raise ConfigError(f"bringup: starts real hardware; expected robot real and xs_sim false, or none, got {wanted}")
    if wanted in ("cameras", "all") and values["camera_driver"] != "realsense":
        raise ConfigError(
            f"bringup: {wanted} starts RealSense cameras; camera_driver: expected realsense, got v4l2"
        )


def includes(values: Mapping[str, str], cameras: list[str]) -> tuple[Include, ...]:
    """What is started for these launch arguments and these names of cameras. Raises ConfigError, UnknownNameError."""
    wanted = values["bringup"]
    found = list(_arms(values["robot_model"])) if wanted in ("arms", "all") else []
    if wanted in ("cameras", "all"):
        found += _cameras([hardware_camera(name) for name in cameras], serials(values["camera_serials"]))
    return tuple(found)


def hardware_camera(name: str) -> str:
    """What the robot calls a policy's camera: `cam_high` for `top`. Raises UnknownNameError."""
    if name in HARDWARE_CAMERAS.values():
        return name
    if name not in HARDWARE_CAMERAS:
        raise UnknownNameError("camera of the robot", name, [*HARDWARE_CAMERAS, *HARDWARE_CAMERAS.values()])
    return HARDWARE_CAMERAS[name]


def realsense_topic(name: str) -> str:
    """The colour topic of a policy's camera where RealSense drives it. Raises UnknownNameError."""
    return f"/{hardware_camera(name)}/camera/color/image_rect_raw"


def serials(text: str) -> dict[str, str]:
    """Serial number by the robot's name of the camera, from `cam_high:123,cam_low:456`. Raises ConfigError."""
    found: dict[str, str] = {}
    for item in filter(None, text.split(",")):
        match = re.fullmatch(r"(\w+):(\d+)", item.strip())
        if match is None:
            raise ConfigError(f"camera_serials: expected NAME:NUMBER, as cam_high:123622270123, got '{item}'")
        found[hardware_camera(match[1])] = match[2]
    return found


def _arms(model: str) -> Iterator[Include]:
    for arm in FOLLOWERS:
        arguments = {
            "robot_model": model,
            "robot_name": arm,
            "mode_configs": str(share_path(f"config/interbotix/{arm}.yaml")),
            "use_rviz": "false",
        }
        yield Include(arm, "interbotix_xsarm_control", "xsarm_control.launch.py", arguments)


def _cameras(names: list[str], numbers: Mapping[str, str]) -> Iterator[Include]:
    lacking = [name for name in names if name not in numbers]
    if len(names) > 1 and lacking:
        raise ConfigError(f"camera_serials: {len(names)} cameras to start, no serial number of {', '.join(lacking)}")
    for name in names:
        arguments = {
            "camera_namespace": name,
            "camera_name": "camera",
            # In quotes: rs_launch.py would read a number.
            "serial_no": f"'{numbers.get(name, '')}'",
            "enable_depth": "false",
            "rgb_camera.color_profile": _PROFILE,
            "depth_module.color_profile": _PROFILE,  # of a D405, whose colour comes from its depth module
        }
        yield Include(name, "realsense2_camera", "rs_launch.py", arguments)

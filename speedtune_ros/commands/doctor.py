"""`speedtune doctor`: what works on this machine, and what to do about the rest."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from speedtune_ros import graph

HELP = "tell what works on this machine, and what to do about the rest"

SHM_NEEDED = 512 << 20  # [bytes], one 32 MB segment for each process of the graph, with room
# Rendered in a process of its own: a broken driver ends it, not us.
RENDER = """
import mujoco
from speedtune_ros.robots.rendering import FrameRenderer
model = mujoco.MjModel.from_xml_string(
    "<mujoco><worldbody><light pos='0 0 3'/><camera name='c' pos='0 0 3'/><geom size='.5'/></worldbody></mujoco>"
)
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer = FrameRenderer(model, 32, 32)
assert renderer.frame(model, data, 0).max() > 0, "black image"
from OpenGL import GL
print(GL.glGetString(GL.GL_RENDERER).decode())
"""
# The segment a node of ours really gets: a profile that is not read changes nothing and says nothing.
SEGMENT = """
import os, rclpy
before = set(os.listdir("/dev/shm"))
rclpy.init()
node = rclpy.create_node("speedtune_doctor")
mine = [f"/dev/shm/{name}" for name in set(os.listdir("/dev/shm")) - before if name.startswith("fastrtps_")]
largest = max((os.stat(path).st_size for path in mine), default=0)
rclpy.shutdown()
assert largest > 4 << 20, f"segment of {largest} bytes, smaller than a few camera images"
print(f"segment of {largest >> 20} MiB")
"""


@dataclass(frozen=True)
class Finding:
    """One line of the report: whether it works, what was found, and what to do if it does not."""

    name: str
    works: bool
    found: str
    remedy: str = ""
    needed: bool = True


def configure(parser: argparse.ArgumentParser) -> None:
    """No options."""


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each check; 1 if something that is needed does not work."""
    findings = [finding for check in CHECKS for finding in check()]
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark = "ok  " if finding.works else "FAIL" if finding.needed else "none"
        print(f"{mark} {finding.name:<{width}}  {finding.found}")
        if not finding.works and finding.remedy:
            print(f"     {'':<{width}}  -> {finding.remedy}")
    return int(any(finding.needed and not finding.works for finding in findings))


def check_python() -> Iterator[Finding]:
    """The interpreter and its prefix."""
    version = sys.version.split()[0]
    works = sys.version_info >= (3, 10)
    yield Finding("Python", works, f"{version} in {sys.prefix}", "make PYTHON=python3.12 setup")


def check_ros() -> Iterator[Finding]:
    """rclpy, its middleware, and this project's messages."""
    set_up = "make setup, or source ROS 2: . /opt/ros/jazzy/setup.sh"
    yield _imports("ROS 2", "import rclpy, os; rclpy.init(); rclpy.shutdown(); print('rclpy', rclpy.__file__)", set_up)
    middleware = "from rclpy.utilities import get_rmw_implementation_identifier as rmw; print(rmw())"
    yield _imports("middleware", middleware, "apt-get install ros-$ROS_DISTRO-rmw-fastrtps-cpp")
    messages = "import speedtune_msgs.msg as m; m.ActionChunk(); print(m.__file__)"
    yield _imports("speedtune_msgs", messages, "make setup, or colcon build --base-paths . msg && . install/setup.sh")
    arms = importlib.util.find_spec("interbotix_xs_msgs") is not None
    remedy = "on a robot Interbotix's own installation brings it; for the simulated one: make xs_sim"
    yield Finding("interbotix_xs_msgs", arms, "importable" if arms else "not importable", remedy, needed=False)
    launch = importlib.util.find_spec("launch_ros") is not None
    found = "importable" if launch else "not importable"
    yield Finding("ros2 launch", launch, found, "speedtune up starts the same processes without it", needed=False)


def check_shared_memory() -> Iterator[Finding]:
    """The Fast DDS profile, and room for its segments."""
    chosen = {**os.environ, **graph.environment(os.environ)}[graph.FASTDDS_VARIABLE]
    remedy = f"unset {graph.FASTDDS_VARIABLE}, or point it to an existing file"
    yield Finding("Fast DDS profile", Path(chosen).is_file(), chosen, remedy)
    yield _imports("shared images", SEGMENT, "export RMW_IMPLEMENTATION=rmw_fastrtps_cpp; see config/fastdds.xml")
    folder = Path("/dev/shm")
    free = shutil.disk_usage(folder).free if folder.is_dir() else 0
    larger = "mount -o remount,size=1G /dev/shm; in Docker: docker run --shm-size=1g"
    yield Finding("shared memory", free >= SHM_NEEDED, f"{free >> 20} MiB free in /dev/shm, 512 wanted", larger)


def check_rendering() -> Iterator[Finding]:
    """Whether MuJoCo draws a frame, really."""
    remedy = "apt-get install libegl1 libgl1-mesa-dri; without a display MUJOCO_GL=egl or osmesa"
    yield _imports("rendering", RENDER, remedy)


def check_gpu() -> Iterator[Finding]:
    """PyTorch and what it computes on."""
    code = (
        "import torch; gpu = torch.cuda.is_available();"
        "print(torch.__version__, torch.cuda.get_device_name() if gpu else f'CPU, {torch.get_num_threads()} threads')"
    )
    yield _imports("PyTorch", code, "make setup, or python3 -m pip install torch")


def check_cameras() -> Iterator[Finding]:
    """Video devices, and whether we may read them."""
    devices = sorted(Path("/dev").glob("video*"))
    if not devices:
        yield Finding("cameras", False, "no /dev/video*", "plug one in; the simulation needs none", needed=False)
    for device in devices:
        readable = os.access(device, os.R_OK | os.W_OK)
        found = "readable" if readable else "no permission"
        yield Finding(str(device), readable, found, "sudo usermod -aG video $USER, then log in again", needed=False)


def check_checkpoints() -> Iterator[Finding]:
    """The policies that ship with the package."""
    from speedtune_ros.registry import CHECKPOINTS

    shipped = sorted(path.parent for path in CHECKPOINTS.rglob("*.safetensors"))
    names = ", ".join(str(path.relative_to(CHECKPOINTS)) for path in shipped)
    yield Finding("checkpoints", bool(shipped), names or f"none in {CHECKPOINTS}", "speedtune train act --help")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_python,
    check_ros,
    check_shared_memory,
    check_rendering,
    check_gpu,
    check_cameras,
    check_checkpoints,
)


def _imports(name: str, code: str, remedy: str) -> Finding:
    """Run `code` in a Python of its own: its last line is what was found, or what went wrong."""
    try:
        process = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **graph.environment(os.environ)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Finding(name, False, "no answer within 60 s", remedy)
    works = process.returncode == 0
    lines = (process.stdout if works else process.stderr).strip().splitlines()
    found = lines[-1] if lines else f"exit status {process.returncode}"
    return Finding(name, works, found, remedy)

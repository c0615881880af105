"""Every topic of the graph: its type and its quality of service. docs/topics.md is tested against this table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory

from speedtune_msgs.msg import (
    ActionChunk,
    DriverStatus,
    EpisodeStatus,
    InferenceRequest,
    RetimeReport,
    SimStatus,
    SpeedCommand,
)


def _profile(depth: int, *, reliable: bool = True, latched: bool = False) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


# Lock-step bursts many ticks between two requests; none may be lost on the way to bags and tests.
TICKS = _profile(200)
EVENTS = _profile(10)
# Two phases may follow each other before a busy reader takes the first.
LATCHED = _profile(10, latched=True)
# Publishers offer reliable images, so that lock-step and recorders may ask for it; live readers take the latest.
IMAGE_OFFERED = _profile(5)
IMAGE_LATEST = _profile(1, reliable=False)
CLOCK = _profile(100, reliable=False)
BEATS = _profile(10, reliable=False)


@dataclass(frozen=True)
class Topic:
    """One topic: its message type, what its publisher offers and what its subscribers ask for."""

    type: Any
    offered: QoSProfile
    requested: QoSProfile


def _topic(kind: Any, offered: QoSProfile, requested: QoSProfile | None = None) -> Topic:
    return Topic(kind, offered, requested or offered)


TOPICS: dict[str, Topic] = {
    "joint_states": _topic(JointState, TICKS),
    "camera/<name>/image_raw": _topic(Image, IMAGE_OFFERED, IMAGE_LATEST),
    "inference_request": _topic(InferenceRequest, EVENTS),
    "action_chunk": _topic(ActionChunk, EVENTS),
    "speed_command": _topic(SpeedCommand, EVENTS),
    "trajectory": _topic(JointTrajectory, EVENTS),
    "retime_report": _topic(RetimeReport, EVENTS),
    "command": _topic(JointState, TICKS),
    "leader_states": _topic(JointState, TICKS),
    "driver_status": _topic(DriverStatus, TICKS),
    "sleep_pose": _topic(JointState, LATCHED),
    "episode_status": _topic(EpisodeStatus, LATCHED),
    "sim_status": _topic(SimStatus, TICKS),
    "alive": _topic(Header, BEATS),
    "/clock": _topic(Clock, CLOCK),
    "/diagnostics": _topic(DiagnosticArray, EVENTS),
}


def image_topic(camera: str) -> str:
    """The topic of one camera's images."""
    return f"camera/{camera}/image_raw"

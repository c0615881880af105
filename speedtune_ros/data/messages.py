"""The package's own values out of messages, whoever decoded them: rclpy on the wire, rosbags in a bag.

What does not fit is refused with the reason it is counted under. Fields that older bags lack are read as 0 or empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from speedtune_ros import types
from speedtune_ros.aloha import JOINT_NAMES, NUM_JOINTS
from speedtune_ros.errors import InvalidInputError, Refused

SECOND_NS = 1_000_000_000
PROGRESS = "progress"  # pseudo-joint of trajectories: demonstration time and sdot
TRAJECTORY_JOINTS = (*JOINT_NAMES, PROGRESS)
# Fields of RetimeReport that message and value have in common.
REPORT_TEXTS = ("mode", "binding_limit", "binding_joint", "fallback_reason", "handover")
REPORT_NUMBERS = (
    *("requested_speed", "mean_speed", "peak_speed", "duration", "entry"),
    *("position_jump", "velocity_jump", "backward_step", "slip", "solve_time"),
)


def to_ns(stamp: Any) -> int:
    return stamp.sec * SECOND_NS + stamp.nanosec


def state_from_message(message: Any) -> types.RobotState:
    """The measured state; joints may come in any order, further joints are ignored."""
    index = {name: i for i, name in enumerate(message.name)}
    missing = [name for name in JOINT_NAMES if name not in index]
    if missing:
        raise Refused("joint_names", f"joint state: missing {', '.join(missing)}; got {len(index)} names")
    for field in ("position", "velocity"):
        if len(getattr(message, field)) != len(message.name):
            got = len(getattr(message, field))
            raise Refused("joint_shape", f"joint state: expected {len(message.name)} of {field}, got {got}")
    order = [index[name] for name in JOINT_NAMES]
    qpos, qvel = np.asarray(message.position)[order], np.asarray(message.velocity)[order]
    if not (np.isfinite(qpos).all() and np.isfinite(qvel).all()):
        bad = [name for name, p, v in zip(JOINT_NAMES, qpos, qvel) if not (np.isfinite(p) and np.isfinite(v))]
        raise Refused("not_finite", f"joint state: not finite at {', '.join(bad)}")
    return types.RobotState(to_ns(message.header.stamp), qpos, qvel)


def trajectory_from_message(message: Any) -> tuple[str, types.Trajectory]:
    """The episode a trajectory belongs to, and the trajectory."""
    if tuple(message.joint_names) != TRAJECTORY_JOINTS:
        given = ", ".join(message.joint_names)
        raise Refused("joint_names", f"trajectory: expected joints {', '.join(TRAJECTORY_JOINTS)}, got {given}")
    episode_id, _, sequence = message.header.frame_id.rpartition("#")
    if not episode_id or not sequence.isdigit():
        raise Refused("frame_id", f"trajectory frame: expected '<episode>#<number>', got '{message.header.frame_id}'")
    positions = _rows([point.positions for point in message.points], "positions")
    velocities = _rows([point.velocities for point in message.points], "velocities")
    times = [point.time_from_start.sec + point.time_from_start.nanosec / 1e9 for point in message.points]
    try:
        trajectory = types.Trajectory(
            start_ns=to_ns(message.header.stamp),
            times=np.array(times),
            positions=positions[:, :NUM_JOINTS],
            velocities=velocities[:, :NUM_JOINTS],
            progress=positions[:, NUM_JOINTS],
            speeds=velocities[:, NUM_JOINTS],
            sequence=int(sequence),
        )
    except InvalidInputError as error:
        raise Refused("not_finite" if "not finite" in str(error) else "trajectory_shape", str(error)) from error
    return episode_id, trajectory


def _rows(rows: Sequence[Sequence[float]], name: str) -> np.ndarray:
    wrong = next((len(row) for row in rows if len(row) != len(TRAJECTORY_JOINTS)), None)
    if wrong is not None or not rows:
        expected = len(TRAJECTORY_JOINTS)
        raise Refused("trajectory_shape", f"trajectory {name}: expected points of {expected}, got {wrong or 'none'}")
    return np.array(rows, dtype=np.float64)


def request_from_message(message: Any) -> types.InferenceRequest:
    committed = np.asarray(message.committed, np.float32)
    if committed.size % NUM_JOINTS or not np.isfinite(committed).all():
        size = committed.size
        raise Refused("committed", f"committed targets: expected finite rows of {NUM_JOINTS}, got {size} values")
    latency = getattr(message, "latency", 0.0)  # bags from before it was told have none
    numbers = {"progress": message.progress, "speed": message.speed, "latency": latency}
    if not np.isfinite([*numbers.values()]).all():
        raise Refused("not_finite", f"request: {', '.join(f'{name} {value}' for name, value in numbers.items())}")
    stamp_ns = to_ns(message.header.stamp)
    rows = committed.reshape(-1, NUM_JOINTS)
    return types.InferenceRequest(message.sequence, stamp_ns, message.progress, message.speed, rows, latency)


def chunk_from_message(message: Any) -> types.Chunk:
    """The chunk of a message, whatever request it answers."""
    if tuple(message.joint_names) != JOINT_NAMES:
        unknown = [n for n in message.joint_names if n not in JOINT_NAMES]
        detail = f"unknown {', '.join(unknown)}" if unknown else "another number or order"
        raise Refused("joint_names", f"chunk joint names: expected the 14 of ALOHA in order, got {detail}")
    if message.dim != NUM_JOINTS:
        raise Refused("wrong_dimension", f"chunk dim: expected {NUM_JOINTS}, got {message.dim}")
    shape = (message.candidates, message.horizon, message.dim)
    targets = np.asarray(message.targets, np.float32)
    if targets.size != np.prod(shape) or message.horizon < 2 or message.candidates < 1:
        text = f"chunk targets: expected candidates x horizon x dim {shape}, got {targets.size}"
        raise Refused("wrong_dimension", text)
    if message.target_kind not in [kind.value for kind in types.TargetKind]:
        raise Refused("target_kind", f"chunk target_kind: expected command or state, got '{message.target_kind}'")
    if not (np.isfinite(message.dt) and message.dt > 0.0):
        raise Refused("bad_dt", f"chunk dt: expected a positive time [s], got {message.dt}")
    if not np.isfinite(targets).all():
        raise Refused("not_finite", f"chunk targets: not finite at value {int(np.argmin(np.isfinite(targets)))}")
    return types.Chunk(
        stamp_ns=to_ns(message.header.stamp),
        targets=targets.reshape(shape),
        dt=message.dt,
        kind=types.TargetKind(message.target_kind),
        policy=message.policy,
        latency=message.inference_latency,
    )


def choice_from_message(message: Any) -> types.SpeedChoice:
    """The choice of a message, whatever request it answers; refuses speeds that are not finite or not above 0."""
    if not (np.isfinite(message.speed) and message.speed > 0.0):
        raise Refused("bad_speed", f"speed: expected a finite number above 0, got {message.speed}")
    stamp_ns = to_ns(message.header.stamp)
    features = tuple(getattr(message, "features", ()))
    numbers = tuple(message.speeds), tuple(message.values)
    return types.SpeedChoice(stamp_ns, message.speed, *numbers, message.source, features)


def report_from_message(message: Any) -> types.RetimeReport:
    """The report of a message; its own `next_request` is left to the caller."""
    texts = {name: getattr(message, name) for name in REPORT_TEXTS}
    numbers: dict[str, Any] = {name: float(getattr(message, name, 0.0)) for name in REPORT_NUMBERS}
    low, high = message.controllable_set
    return types.RetimeReport(
        to_ns(message.header.stamp),
        int(message.sequence),
        controllable_set=(float(low), float(high)),
        **texts,
        **numbers,
    )

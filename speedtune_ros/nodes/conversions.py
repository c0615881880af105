"""The package's own values as messages. The way back, which bags share, is in data/messages.py."""

from __future__ import annotations

import array

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from speedtune_msgs.msg import ActionChunk, InferenceRequest, RetimeReport, SpeedCommand
from speedtune_ros import types
from speedtune_ros.aloha import JOINT_NAMES
from speedtune_ros.data.messages import (
    PROGRESS,
    REPORT_NUMBERS,
    REPORT_TEXTS,
    SECOND_NS,
    TRAJECTORY_JOINTS,
    choice_from_message,
    chunk_from_message,
    request_from_message,
    state_from_message,
    to_ns,
    trajectory_from_message,
)

__all__ = [  # both ways, for the nodes
    "PROGRESS", "TRAJECTORY_JOINTS", "to_ns", "to_stamp", "joints_to_message", "state_from_message",
    "trajectory_to_message", "trajectory_from_message", "request_to_message", "request_from_message",
    "chunk_to_message", "chunk_from_message", "choice_to_message", "choice_from_message", "report_to_message",
]  # fmt: skip


def to_stamp(stamp_ns: int) -> Time:
    return Time(sec=stamp_ns // SECOND_NS, nanosec=stamp_ns % SECOND_NS)


def joints_to_message(stamp_ns: int, qpos: np.ndarray, qvel: np.ndarray | None = None) -> JointState:
    """A JointState of 14 positions, with velocities for a measured state and without for a command."""
    message = JointState()
    message.header.stamp = to_stamp(stamp_ns)
    message.name = list(JOINT_NAMES)
    message.position.frombytes(np.ascontiguousarray(qpos, np.float64).data.cast("B"))
    if qvel is not None:
        message.velocity.frombytes(np.ascontiguousarray(qvel, np.float64).data.cast("B"))
    return message


def trajectory_to_message(trajectory: types.Trajectory, episode_id: str) -> JointTrajectory:
    """The 14 joints and a 15th, `progress`; the frame names the episode and the request it answers."""
    message = JointTrajectory()
    message.header.stamp = to_stamp(trajectory.start_ns)
    message.header.frame_id = f"{episode_id}#{trajectory.sequence}"
    message.joint_names = list(TRAJECTORY_JOINTS)
    positions = np.column_stack([trajectory.positions, trajectory.progress])
    velocities = np.column_stack([trajectory.velocities, trajectory.speeds])
    for time, position, velocity in zip(trajectory.times, positions, velocities):
        point = JointTrajectoryPoint()
        nanoseconds = round(time * 1e9)
        point.time_from_start.sec, point.time_from_start.nanosec = divmod(nanoseconds, SECOND_NS)
        point.positions.frombytes(position.tobytes())
        point.velocities.frombytes(velocity.tobytes())
        message.points.append(point)
    return message


def request_to_message(request: types.InferenceRequest, episode_id: str, instruction: str) -> InferenceRequest:
    message = InferenceRequest(
        episode_id=episode_id,
        sequence=request.sequence,
        speed=float(request.speed),
        progress=float(request.progress),
        instruction=instruction,
        latency=float(request.latency),
    )
    message.header.stamp = to_stamp(request.stamp_ns)
    message.committed.frombytes(np.ascontiguousarray(request.committed, np.float32).tobytes())
    return message


def chunk_to_message(chunk: types.Chunk, episode_id: str, sequence: int) -> ActionChunk:
    candidates, horizon, dim = chunk.targets.shape
    message = ActionChunk(
        episode_id=episode_id,
        sequence=sequence,
        policy=chunk.policy,
        joint_names=list(JOINT_NAMES),
        dt=float(chunk.dt),
        horizon=horizon,
        dim=dim,
        candidates=candidates,
        target_kind=chunk.kind.value,
        inference_latency=float(chunk.latency),
    )
    message.header.stamp = to_stamp(chunk.stamp_ns)
    message.targets = array.array("f", np.ascontiguousarray(chunk.targets, np.float32).tobytes())
    return message


def choice_to_message(choice: types.SpeedChoice, episode_id: str, sequence: int) -> SpeedCommand:
    message = SpeedCommand(
        episode_id=episode_id,
        sequence=sequence,
        speed=float(choice.speed),
        speeds=[float(v) for v in choice.speeds],
        values=[float(v) for v in choice.values],
        features=[float(f) for f in choice.features],
        source=choice.source,
    )
    message.header.stamp = to_stamp(choice.stamp_ns)
    return message


def report_to_message(report: types.RetimeReport, episode_id: str, next_request_ns: int) -> RetimeReport:
    texts = {name: getattr(report, name) for name in REPORT_TEXTS}
    message = RetimeReport(episode_id=episode_id, sequence=report.sequence, **texts)
    for name in REPORT_NUMBERS:
        setattr(message, name, float(getattr(report, name)))
    message.header.stamp = to_stamp(report.stamp_ns)
    message.controllable_set = [float(v) for v in report.controllable_set]
    message.next_request = to_stamp(next_request_ns)
    return message

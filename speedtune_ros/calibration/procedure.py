"""Plays the motions of a calibration on arms, and estimates from what they measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from speedtune_ros.aloha import SIDES
from speedtune_ros.calibration.findings import Budget, Findings, JointFound
from speedtune_ros.calibration.friction import fit_friction
from speedtune_ros.calibration.gripper import travel_of
from speedtune_ros.calibration.motion import Motion
from speedtune_ros.calibration.plan import MotionConfig, motions, pose
from speedtune_ros.calibration.recording import Recording
from speedtune_ros.calibration.response import Response, fit_response, gain_of
from speedtune_ros.calibration.sight import Frames, sight_of
from speedtune_ros.calibration.speed import Speed, cap_of, speed_of
from speedtune_ros.errors import UnknownNameError
from speedtune_ros.robots.interbotix import VIPERX
from speedtune_ros.robots.robot import Limits


class Arms(Protocol):
    """Arms that hold, and that one motion at a time may move; each call raises SpeedtuneError if they stop or fail."""

    profile: str
    limits: Limits
    rate_hz: float

    @property
    def command(self) -> np.ndarray:
        """What they hold (14,)."""

    @property
    def state_age(self) -> float:
        """How old joint states are when they arrive, in the slow case [s]."""

    def move(self, goal: np.ndarray, speed: float) -> None:
        """Slowly to (14,), no arm joint faster than `speed` [rad/s]."""

    def play(self, motion: Motion) -> Recording:
        """Play a motion and return what was measured."""

    def frames(self, recording: Recording) -> Sequence[Frames]:
        """What the cameras saw during the last recording."""


class Calibration:
    """One calibration. say: told what is about to move; to_pose: whether arms are moved to the start pose first."""

    def __init__(self, arms: Arms, config: MotionConfig, say: Callable[[str], None], to_pose: bool = True) -> None:
        self._arms, self._config, self._say, self._to_pose = arms, config, say, to_pose

    def plan(self, target: str, joints: Sequence[str]) -> dict[str, list[Motion]]:
        """Every motion by joint, as they will be. Raises SpeedtuneError if one does not fit."""
        start = self._start(joints) if target != "gripper" else self._arms.command
        return {joint: motions(target, joint, start, self._arms.limits, self._config) for joint in joints}

    def limits(self, joints: Sequence[str]) -> Findings:
        """Response, friction, velocity and acceleration of each joint."""
        findings = self._begin("limits", joints)
        for joint, made in self.plan("limits", joints).items():
            tones = self._play(findings, [motion for motion in made if motion.frequency_hz])
            response = fit_response([gain_of(recording) for recording in tones])
            motor = VIPERX[joint.split("_", 1)[1]]
            friction = fit_friction(tones, motor.motor.torque_constant * motor.count)
            speed = self._speed(findings, [motion for motion in made if not motion.frequency_hz], response)
            findings.joints.append(JointFound(joint, response, friction, speed))
        return findings

    def delay(self, joints: Sequence[str], cameras: Sequence[str], inference: float) -> Findings:
        """Response of each joint and age of each camera's picture, as a budget; inference: what a policy takes [s]."""
        findings = self._begin("delay", joints)
        seen: set[str] = set()
        for joint, made in self.plan("delay", joints).items():
            tones = []
            for motion in made:
                tones += self._play(findings, [motion])
                if motion is made[0] and seen != set(cameras):
                    self._look(findings, tones[0], seen)
            findings.joints.append(JointFound(joint, fit_response([gain_of(recording) for recording in tones])))
        if missing := set(cameras) - seen:
            raise UnknownNameError("camera that sent frames", min(missing), seen)
        age = max((sight.worst for sight in findings.sights), default=0.0)
        findings.budget = Budget(self._arms.state_age, age, inference, findings.lag)
        return findings

    def gripper(self, sides: Sequence[str]) -> Findings:
        """How far the gripper of each side goes."""
        findings = self._findings("gripper")
        names = [f"{side}_gripper" for side in SIDES if side in sides]
        for joint, made in self.plan("gripper", names).items():
            recording = self._play(findings, made)[0]
            findings.grippers[joint.split("_")[0]] = travel_of(recording)
        return findings

    def _begin(self, target: str, joints: Sequence[str]) -> Findings:
        self.plan(target, joints)  # refuses before anything moves
        goal = self._start(joints)
        if np.abs(goal - self._arms.command).max() > 1e-3:
            self._say(f"to the start pose at {self._config.move_speed:g} rad/s")
            self._arms.move(goal, self._config.move_speed)
        return self._findings(target)

    def _findings(self, target: str) -> Findings:
        return Findings(target, self._arms.profile, 0.5 / self._arms.rate_hz)

    def _start(self, joints: Sequence[str]) -> np.ndarray:
        return pose(self._arms.command, joints) if self._to_pose else self._arms.command

    def _play(self, findings: Findings, made: Sequence[Motion]) -> list[Recording]:
        recordings = []
        for motion in made:
            self._say(f"{motion.joint}: {motion.kind.value} of {motion.reach:.2f}, {motion.peak_rate:.2f} at most")
            recordings.append(self._arms.play(motion))
        findings.recordings += recordings
        return recordings

    def _speed(self, findings: Findings, strokes: Sequence[Motion], response: Response) -> Speed:
        """Faster and faster, until the joint does not follow."""
        recordings: list[Recording] = []
        for motion in strokes:
            recordings += self._play(findings, [motion])
            if np.isfinite(cap_of(recordings[-1], response)):
                break
        return speed_of(recordings, response)

    def _look(self, findings: Findings, recording: Recording, seen: set[str]) -> None:
        for frames in self._arms.frames(recording):
            findings.frames.append(frames)
            findings.sights.append(sight_of(frames, recording))
            seen.add(frames.camera)

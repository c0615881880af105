"""What a calibration found, joint by joint, and how it is said in words and in JSON."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from speedtune_ros.aloha import CONTROL_DT
from speedtune_ros.calibration.friction import Friction
from speedtune_ros.calibration.gripper import Travel
from speedtune_ros.calibration.recording import Recording
from speedtune_ros.calibration.response import Response
from speedtune_ros.calibration.sight import Frames, Sight, to_dict
from speedtune_ros.calibration.speed import Speed


@dataclass(frozen=True)
class JointFound:
    """One arm joint. friction and speed are measured by `limits` alone."""

    joint: str
    response: Response
    friction: Friction | None = None
    speed: Speed | None = None


@dataclass(frozen=True)
class Budget:
    """What delays a decision, all [s]: age of joint states when they arrive, age of images at worst, inference given.

    latency: from the observation to the hand-over; lag: of the arms, None where it was not measured.
    """

    state_age: float
    image_age: float
    inference: float
    lag: float | None

    @property
    def latency(self) -> float:
        return self.state_age + self.inference + CONTROL_DT


@dataclass
class Findings:
    """Everything of one calibration; hold: half the driver's period [s], which is in every delay."""

    target: str
    profile: str
    hold: float
    joints: list[JointFound] = field(default_factory=list)
    grippers: dict[str, Travel] = field(default_factory=dict)  # by side
    sights: list[Sight] = field(default_factory=list)
    budget: Budget | None = None
    recordings: list[Recording] = field(default_factory=list)
    frames: list[Frames] = field(default_factory=list)

    @property
    def lag(self) -> float | None:
        """The median over the joints measured [s]."""
        return float(np.median([found.response.lag for found in self.joints])) if self.joints else None

    @property
    def caps(self) -> dict[str, float]:
        """Velocity [rad/s] at which joints were found not to follow, by name."""
        return {
            found.joint: found.speed.cap for found in self.joints if found.speed is not None and found.speed.capped
        }

    def bus_delay(self, found: JointFound) -> float:
        """From the tick that sends a command to the first motion [s]: the dead time without the driver's own hold."""
        return max(found.response.delay - self.hold, 0.0)

    def rows(self) -> list[tuple[str, ...]]:
        """A row of text for each joint, under COLUMNS."""
        return [self._row(found) for found in self.joints]

    def _row(self, found: JointFound) -> tuple[str, ...]:
        response, friction, speed = found.response, found.friction, found.speed
        cap = "–"
        if speed is not None:
            cap = f"{speed.cap:.2f} rad/s" if speed.capped else f"above {speed.sent:.2f} rad/s"
        return (
            found.joint,
            f"{1e3 * response.lag:.0f} ms",
            f"{1e3 * self.bus_delay(found):.0f} ms",
            f"{1e3 * response.time_constant:.0f} ms",
            f"{friction.dry:.2f} N m" if friction is not None else "–",
            f"{friction.viscous:.2f} N m s/rad" if friction is not None else "–",
            cap,
            f"{speed.acceleration:.1f} rad/s²" if speed is not None else "–",
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it with raw samples, as JSON takes it; infinite caps are null."""
        values = {
            "target": self.target,
            "profile": self.profile,
            "hold": self.hold,
            "lag": self.lag,
            "joints": [{**dataclasses.asdict(f), "bus_delay": self.bus_delay(f)} for f in self.joints],
            "grippers": {side: dataclasses.asdict(travel) for side, travel in self.grippers.items()},
            "cameras": [dataclasses.asdict(sight) for sight in self.sights],
            "budget": None,
            "recordings": [recording.to_dict() for recording in self.recordings],
            "frames": [to_dict(frames) for frames in self.frames],
        }
        if self.budget is not None:
            values["budget"] = {**dataclasses.asdict(self.budget), "latency": self.budget.latency}
        return _finite(values)


COLUMNS = (
    "Joint",
    "Lag",
    "Dead time",
    "Time constant",
    "Dry friction",
    "Viscous friction",
    "Reachable velocity",
    "Acceleration reached",
)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value

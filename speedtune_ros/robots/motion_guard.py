"""The last check before a command reaches the motors: same code in simulation and on hardware."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from speedtune_ros.aloha import ARMS, CONTROL_DT, GRIPPERS, JOINT_NAMES, NUM_JOINTS
from speedtune_ros.config import option
from speedtune_ros.robots.robot import Limits
from speedtune_ros.types import checked

_ARMS = np.array(ARMS)
_GRIPPERS = np.array(GRIPPERS)
_ROUNDING = 1e-9  # relative: a step of exactly the limit is not too large


@dataclass(frozen=True)
class GuardConfig:
    """What the guard tolerates."""

    slack: float = option(1e-4, "arm joints this far outside their limits are clipped, not refused [rad]", minimum=0.0)
    fault_time: float = option(0.5, "saturation for so long without a break is a fault [s]", minimum=0.02)


class Guarded(NamedTuple):
    """The command to send (14,), whether it was saturated, why the target was refused ("" if it was not), and which
    share of the targets' own motion a velocity limit lets through: 1, or less for the joint it holds back most."""

    command: np.ndarray
    saturated: bool
    refusal: str
    share: float = 1.0


class MotionGuard:
    """Passes, saturates or refuses one target per tick; a refusal repeats the last good command.

    Refused: not 14 finite values, an arm joint outside its limits by more than `slack`. Clipped and counted as
    saturated: a gripper outside its range, since imitation networks overshoot 0 and 1 by a little and the
    benchmark's own environment takes that. Saturated: a step above velocity * dt moves by velocity * dt towards the
    target (refusing would latch up: the target recedes while the arm holds); `fault` after `fault_time` of it.
    Targets within infinite limits pass bit for bit.
    """

    def __init__(
        self, limits: Limits, start: np.ndarray, dt: float = CONTROL_DT, config: GuardConfig = GuardConfig()
    ) -> None:
        self.config = config
        self.refused = 0
        self.saturated = 0
        self._lower = np.asarray(limits.lower, float)
        self._upper = np.asarray(limits.upper, float)
        self._step = np.asarray(limits.velocity, float) * dt
        self._most = self._step * (1.0 + _ROUNDING)
        self._finite = np.isfinite(self._step)
        self._limited = bool(self._finite.any())
        # bounds that no infinite target is inside of
        largest = np.finfo(float).max
        self._low, self._high = np.maximum(self._lower, -largest), np.minimum(self._upper, largest)
        self._patience = round(config.fault_time / dt)
        self.reset(start)

    def reset(self, position: np.ndarray) -> None:
        """The arms rest at position (14,): the next step starts from there; a fault is forgotten."""
        position = checked("guard start", position, (NUM_JOINTS,))
        self._last = self._target = np.clip(position, self._lower, self._upper)
        self._streak = 0

    @property
    def last(self) -> np.ndarray:
        """The last command passed: (14,)."""
        return self._last

    @property
    def fault(self) -> bool:
        """Whether the target has been out of reach for `fault_time` without a break."""
        return self._streak >= self._patience

    def check(self, target: np.ndarray) -> Guarded:
        """The command for this tick in place of `target`, which should be (14,)."""
        command, clipped = target, False
        if not self._inside(target):
            refusal = self._refusal(target)
            if refusal:
                return self.refuse(refusal)
            command = np.minimum(np.maximum(target, self._lower), self._upper)
            clipped = bool((command[_GRIPPERS] != target[_GRIPPERS]).any())
        step = command - self._last
        fast, share = self._limited and bool((np.abs(step) > self._most).any()), 1.0
        if fast:
            aim = np.array(command, float)
            share, self._target = self._share(aim - self._target), aim
            command = self._last + np.minimum(np.maximum(step, -self._step), self._step)
        self._streak = self._streak + 1 if fast else 0
        self.saturated += clipped or fast
        self._last = np.array(command, float)  # a copy: the caller may reuse its buffer
        if not fast:
            self._target = self._last
        return Guarded(self._last, clipped or fast, "", share)

    def refuse(self, reason: str) -> Guarded:
        """Count a refusal and hold."""
        self.refused += 1
        return Guarded(self._last, False, reason)

    def _share(self, asked: np.ndarray) -> float:
        """How much of a step (14,) of the targets the velocity limits let through."""
        most = self._step[self._finite]
        return float((most / np.maximum(np.abs(asked)[self._finite], most)).min())

    def _inside(self, target: np.ndarray) -> bool:
        """Whether the target is 14 finite values inside the limits, as nearly all are."""
        if not isinstance(target, np.ndarray) or target.shape != (NUM_JOINTS,) or target.dtype != np.float64:
            return False
        return bool(((target >= self._low) & (target <= self._high)).all())

    def _refusal(self, target: np.ndarray) -> str:
        """Why a target that is not inside must be refused; empty if clipping it will do."""
        if not isinstance(target, np.ndarray) or target.shape != (NUM_JOINTS,) or target.dtype.kind not in "fiu":
            return f"expected {NUM_JOINTS} numbers, got {getattr(target, 'shape', type(target).__name__)}"
        for i in np.flatnonzero(~np.isfinite(target)):
            return f"{JOINT_NAMES[i]}: not finite"
        outside = np.maximum(self._lower - target, target - self._upper)[_ARMS]
        for i in np.flatnonzero(outside > self.config.slack):
            joint = _ARMS[i]
            where = f"{self._lower[joint]:.4f} to {self._upper[joint]:.4f}"
            return f"{JOINT_NAMES[joint]}: {target[joint]:.4f} outside {where}"
        return ""

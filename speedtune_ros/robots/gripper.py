"""Gripper presets: how far the fingers go, and the 0 closed to 1 open scale everything else uses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FingerRange:
    """Finger positions of a closed and an open gripper [m]."""

    closed: float
    open: float

    @property
    def span(self) -> float:
        return self.open - self.closed

    def normalise(self, position: float) -> float:
        return (position - self.closed) / self.span

    def position(self, normalised: float) -> float:
        return normalised * self.span + self.closed


# https://github.com/tonyzhaozh/act, constants.py (PUPPET_GRIPPER_POSITION_*); the simulation uses it too.
ALOHA_1_FOLLOWER = FingerRange(closed=0.01844, open=0.05800)

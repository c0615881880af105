"""What can be wrong with arms while they run, and how far down the safety ladder it leads."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple


class Rung(IntEnum):
    """What the driver does about it: tell, hold until it is over, or hold until somebody clears the fault."""

    WARN = 0
    HOLD = 1
    FAULT = 2


class Trouble(NamedTuple):
    """One thing that is wrong. name: as docs list it; where: the arm, or the arm and its motor."""

    name: str
    where: str
    rung: Rung
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.where}" + (f": {self.detail}" if self.detail else "")


class SpeedCeiling(NamedTuple):
    """The largest `sdot` that the motors allow, why (motor_temperature, motor_load, motors_unwatched), and whose."""

    speed: float
    reason: str
    joint: str = ""


class Health(NamedTuple):
    """How the arms are on one tick."""

    troubles: tuple[Trouble, ...] = ()
    ceiling: SpeedCeiling | None = None

    def at(self, rung: Rung) -> tuple[str, ...]:
        """The troubles of one rung, by name and place."""
        return tuple(f"{trouble.name} {trouble.where}" for trouble in self.troubles if trouble.rung == rung)


HEALTHY = Health()


def lowest(ceilings: Sequence[SpeedCeiling]) -> SpeedCeiling | None:
    """The one that binds."""
    return min(ceilings, key=lambda ceiling: ceiling.speed, default=None)

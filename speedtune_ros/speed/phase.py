"""The phase table: a few speeds switched by what the grippers do, the simple baseline a learned policy must beat.

Grasping and letting go need precision, and the gripper's measured motion announces both. Each gripper is in one of
four phases, and the pair runs at the slower of its two speeds:

    free     empty, and not open enough to take anything (also while it opens on the way)
    open     empty and open: it is about to close on something, or has let go of it
    moving   closes on something, squeezes, or lets go; and `DWELL` decisions longer, while the grasp settles
    holding  closed after having been open, at rest

A gripper that has not been open holds nothing: the arms start with theirs closed. The table knows no object, so a
gripper that closes on air counts as holding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from speedtune_ros.aloha import GRIPPERS
from speedtune_ros.errors import ConfigError, InvalidInputError
from speedtune_ros.speed.shipped import read_shipped
from speedtune_ros.speed.speed_policy import Companion
from speedtune_ros.types import Episode, Query, SpeedChoice

OPEN = 0.5  # a gripper wider than this is open (0 closed to 1 open)
RATE = 0.1  # faster than this it moves [1/s]; demonstrated grasps reach 1/s and more, jitter stays far below
TRAVEL = 0.05  # or farther than this since the last decision: a motion can begin and end between two
DWELL = 1  # decisions that a gripper counts as moving after it came to rest


@dataclass(frozen=True)
class PhaseTable:
    """The speed of each phase."""

    free: float
    open: float
    moving: float
    holding: float


class GripperPhase:
    """Follows one gripper through an episode."""

    def __init__(self) -> None:
        self._opened = self._holding = False
        self._last: float | None = None
        self._dwell = 0

    def update(self, aperture: float, rate: float) -> str:
        """The phase, a field of PhaseTable, at `aperture` (0 closed to 1 open) that changes by `rate` [1/s]."""
        travel = 0.0 if self._last is None else aperture - self._last
        self._last = aperture
        closing = rate < -RATE or travel < -TRAVEL
        opening = rate > RATE or travel > TRAVEL
        if closing and self._opened:
            self._holding, self._opened = True, False
        if self._holding and (closing or opening):
            self._dwell = DWELL + 1
        if aperture >= OPEN and not closing:
            self._holding, self._opened = False, True
        self._dwell = max(self._dwell - 1, -1)
        if self._dwell >= 0:
            return "moving"
        if self._holding:
            return "holding"
        return "open" if self._opened else "free"


class PhaseSpeed:
    """The table's speed for what both grippers do at each decision."""

    def __init__(self, table: PhaseTable, source: str = "phase") -> None:
        self._table = table
        speeds = {table.free, table.open, table.moving, table.holding}
        self._speeds = tuple(sorted(SpeedChoice(0, speed).speed for speed in speeds))  # refuses a bad speed
        self._source = source
        self._grippers: dict[int, tuple[GripperPhase, ...]] = {}

    def reset(self, episode: Episode, slot: int = 0) -> None:
        self._grippers[slot] = tuple(GripperPhase() for _ in GRIPPERS)

    def choose(self, queries: Mapping[int, Query]) -> dict[int, SpeedChoice]:
        """The slower of both grippers' speeds. Raises InvalidInputError for a slot without an episode."""
        return {slot: self._choice(slot, query) for slot, query in queries.items()}

    def _choice(self, slot: int, query: Query) -> SpeedChoice:
        if slot not in self._grippers:
            raise InvalidInputError(f"slot {slot} was not reset; reset: {sorted(self._grippers) or 'none'}")
        state = query.observation.state
        phases = [
            gripper.update(float(state.qpos[joint]), float(state.qvel[joint]))
            for gripper, joint in zip(self._grippers[slot], GRIPPERS)
        ]
        speed = min(getattr(self._table, phase) for phase in phases)
        return SpeedChoice(query.request.stamp_ns, speed, self._speeds, (), self._source)


def make(argument: str, companion: Companion | None = None) -> PhaseSpeed:
    """`phase:FAST,SLOW`, SLOW while a gripper moves on something; `open=V`, `holding=V` give those phases their own.

    Without an argument, the table shipped for the task policy it runs beside. Raises ConfigError.
    """
    argument = argument or read_shipped("phase", companion).argument
    words = [word.strip() for word in argument.split(",")]
    positional = [word for word in words if "=" not in word]
    if len(positional) != 2 or positional != words[:2]:
        raise ConfigError(f"phase table: expected FAST,SLOW[,open=V][,holding=V] after 'phase:', got '{argument}'")
    fast, slow = (_number(word, argument) for word in positional)
    own = {"open": fast, "holding": fast}
    for word in words[2:]:
        name, _, value = word.partition("=")
        if name not in own:
            raise ConfigError(f"phase table: unknown phase '{name}' in '{argument}'; available: {', '.join(own)}")
        own[name] = _number(value, argument)
    if slow > fast:
        raise ConfigError(f"phase table: expected FAST before SLOW, got '{argument}'")
    return PhaseSpeed(PhaseTable(fast, own["open"], slow, own["holding"]), f"phase:{argument}")


def _number(word: str, argument: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise ConfigError(f"phase table: expected a number, got '{word}' in '{argument}'") from error

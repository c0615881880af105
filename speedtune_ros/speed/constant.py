"""The baseline: one speed, always."""

from __future__ import annotations

from collections.abc import Mapping

from speedtune_ros.errors import ConfigError
from speedtune_ros.speed.speed_policy import Companion
from speedtune_ros.types import Episode, Query, SpeedChoice


class ConstantSpeed:
    """The same speed for every query."""

    def __init__(self, speed: float) -> None:
        self._choice = SpeedChoice(0, speed, (speed,), (), f"constant:{speed:g}")  # refuses a bad speed

    def reset(self, episode: Episode, slot: int = 0) -> None:
        pass

    def choose(self, queries: Mapping[int, Query]) -> dict[int, SpeedChoice]:
        choice = self._choice
        return {
            slot: SpeedChoice(query.request.stamp_ns, choice.speed, choice.speeds, (), choice.source)
            for slot, query in queries.items()
        }


def make(argument: str, companion: Companion | None = None) -> ConstantSpeed:
    """`constant:V`; V is 1 when left out."""
    try:
        speed = float(argument or 1.0)
    except ValueError as error:
        raise ConfigError(f"constant speed: expected a number after 'constant:', got '{argument}'") from error
    return ConstantSpeed(speed)

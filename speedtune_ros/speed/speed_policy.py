"""The speed policy interface: observation in, a ceiling on `sdot` out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from speedtune_ros.types import Episode, Query, SpeedChoice


class SpeedPolicy(Protocol):
    """Chooses how fast the next chunk may run."""

    def reset(self, episode: Episode, slot: int = 0) -> None:
        """A new episode begins in batch slot `slot`."""

    def choose(self, queries: Mapping[int, Query]) -> Mapping[int, SpeedChoice]:
        """One choice for each slot's query, the same queries the task policy sees."""


def split_spec(spec: str) -> tuple[str, str]:
    """(name, argument) of `spec`, as `constant:2`. A plain number is a constant speed."""
    name, _, argument = spec.partition(":")
    try:
        float(name)
    except ValueError:
        return name, argument
    return "constant", spec


# Where each speed policy's factory is: (argument after the colon, as in constant:2.0) -> SpeedPolicy.
FACTORIES: dict[str, str] = {
    "constant": "speedtune_ros.speed.constant:make",
    "phase": "speedtune_ros.speed.phase:make",
}

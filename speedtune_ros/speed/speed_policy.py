"""The speed policy interface: observation in, a ceiling on `sdot` out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from speedtune_ros.types import Episode, Query, SpeedChoice

if TYPE_CHECKING:
    import torch  # the baselines need none


class SpeedPolicy(Protocol):
    """Chooses how fast the next chunk may run."""

    def reset(self, episode: Episode, slot: int = 0) -> None:
        """A new episode begins in batch slot `slot`."""

    def choose(self, queries: Mapping[int, Query]) -> Mapping[int, SpeedChoice]:
        """One choice for each slot's query, the same queries the task policy sees."""


@dataclass(frozen=True)
class Companion:
    """The task policy that a speed policy runs beside; a learned one fits no other.

    task, profile: what it does, with which dynamics; policy, digest: its name and that of its weights; see: what its
    encoder makes of queries' images, tokens (B, n, D), None where it sees none; cameras: (height, width) by name;
    k_skip: control steps between requests, 0 if not known; ensemble: whether its chunks are blended, None if not known;
    shipped: the folder of the speed policies shipped for it.
    """

    task: str
    profile: str
    policy: str
    digest: str = ""
    see: Callable[[Sequence[Query]], torch.Tensor] | None = None
    cameras: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    k_skip: int = 0
    ensemble: bool | None = None
    shipped: Path = Path()


def split_spec(spec: str) -> tuple[str, str]:
    """(name, argument) of `spec`, as `constant:2`. A plain number is a constant speed."""
    name, _, argument = spec.partition(":")
    try:
        float(name)
    except ValueError:
        return name, argument
    return "constant", spec


def stands_alone(spec: str) -> bool:
    """Whether `spec` names a speed policy that needs to know of no task policy."""
    name, argument = split_spec(spec)
    return name == "constant" or (name == "phase" and bool(argument))


# Where each speed policy's factory is: (argument after the colon, as in constant:2.0; the task policy it runs beside,
# None if that is not known) -> SpeedPolicy.
FACTORIES: dict[str, str] = {
    "constant": "speedtune_ros.speed.constant:make",
    "phase": "speedtune_ros.speed.phase:make",
    "rainbow": "speedtune_ros.speed.checkpoint:make",
}

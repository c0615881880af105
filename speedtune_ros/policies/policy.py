"""The task policy interface: observation in, chunk out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from speedtune_ros.types import Chunk, Episode, Query, TargetKind


@dataclass(frozen=True)
class PolicyInfo:
    """What a policy declares about itself.

    task, profile: what it was trained on ("" fits any); horizon: targets per chunk; dt: their step [s];
    cameras: (height, width) by name; kind: what its targets are; stochastic: whether candidates differ; digest: of
    its weights, "" where it has none.
    """

    name: str
    task: str
    profile: str
    horizon: int
    dt: float
    cameras: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    kind: TargetKind = TargetKind.COMMAND
    stochastic: bool = False
    digest: str = ""


class Policy(Protocol):
    """Predicts chunks. Holds no clock and no global random state."""

    @property
    def info(self) -> PolicyInfo: ...

    def reset(self, episode: Episode, slot: int = 0) -> None:
        """A new episode begins in batch slot `slot`; the slot's random numbers follow from the episode's seed."""

    def infer(self, queries: Mapping[int, Query], candidates: int = 1) -> Mapping[int, Chunk]:
        """One chunk of `candidates` candidates for each slot's query, inferred as one batch.

        Raises InvalidInputError if a query lacks a camera or an image has the wrong shape.
        """


# Where each policy's loader is: (checkpoint folder, task, profile) -> Policy, which raises CheckpointError if the
# checkpoint is of another task or profile. A new policy adds its line here.
LOADERS: dict[str, str] = {
    "act": "speedtune_ros.policies.act:load",
    "from_scratch": "speedtune_ros.from_scratch:load",
}

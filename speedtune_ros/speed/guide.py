"""What a learner tries before it knows anything: whole episodes at speeds that belong together.

Noise in the weights draws a new speed at every decision, so that hardly any episode is fast from end to end, or slow
just where it must be. A guided episode follows a phase table (see `phase`) drawn at random from the set of speeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from speedtune_ros.config import option
from speedtune_ros.speed.phase import PhaseSpeed, PhaseTable
from speedtune_ros.types import Episode, Query

KINDS = ("none", "constant", "phase")


@dataclass(frozen=True)
class GuideConfig:
    """Which episodes are guided, and how."""

    kind: str = option("phase", "what a guided episode follows: one speed, or a table by gripper phase", choices=KINDS)
    decisions: int = option(1500, "decisions until when all episodes are guided", minimum=0)
    share: float = option(0.05, "share of the episodes that are guided after that", minimum=0.0, maximum=1.0)


class Guide:
    """Chooses for the slots whose episode is guided.

    decisions: how many have been learned from so far; seed: what is drawn follows from it and the episode's own.
    """

    def __init__(self, config: GuideConfig, speeds: Sequence[float], decisions: Callable[[], int], seed: int) -> None:
        self._config = config
        self._speeds = tuple(speeds)
        self._decisions = decisions
        self._seed = seed
        self._slots: dict[int, PhaseSpeed] = {}

    def reset(self, episode: Episode, slot: int = 0) -> None:
        """A new episode begins in `slot`: is it guided, and by what?"""
        self._slots.pop(slot, None)
        rng = np.random.default_rng([self._seed, episode.seed, 2])
        share = 1.0 if self._decisions() < self._config.decisions else self._config.share
        if self._config.kind != "none" and rng.random() < share:
            self._slots[slot] = PhaseSpeed(self._table(rng))
            self._slots[slot].reset(episode, slot)

    def actions(self, queries: Mapping[int, Query]) -> dict[int, int]:
        """The actions of the guided ones among `queries`."""
        return {
            slot: self._speeds.index(policy.choose({slot: queries[slot]})[slot].speed)
            for slot, policy in self._slots.items()
            if slot in queries
        }

    def _table(self, rng: np.random.Generator) -> PhaseTable:
        """Speeds of V, `moving` the slowest and `free` the fastest."""
        if self._config.kind == "constant":
            speed = self._speeds[rng.integers(len(self._speeds))]
            return PhaseTable(speed, speed, speed, speed)
        # The slower of two grippers counts, so what is drawn leans towards fast: else hardly any episode would fail.
        free = _faster(rng, 0, len(self._speeds) - 1)
        moving = int(rng.integers(free + 1))
        chosen = (free, _faster(rng, moving, free), moving, _faster(rng, moving, free))
        return PhaseTable(*(self._speeds[index] for index in chosen))


def _faster(rng: np.random.Generator, low: int, high: int) -> int:
    """The larger of two numbers from `low` to `high`."""
    return int(rng.integers(low, high + 1, 2).max())

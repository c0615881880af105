"""Policies whose whole way is known when the episode begins: chunks are slices of a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from speedtune_ros.aloha import CONTROL_DT
from speedtune_ros.errors import InvalidInputError
from speedtune_ros.policies.policy import PolicyInfo
from speedtune_ros.types import Chunk, Episode, Query

HORIZON = 100  # targets in a chunk


class PlanPolicy:
    """Implements Policy: a chunk is the plan from the request's progress on, its last target repeated past the end.

    make_plan: of an episode, once: (n, 14), target i at demonstration time i * 20 ms.
    """

    def __init__(self, info: PolicyInfo, make_plan: Callable[[Episode], np.ndarray]) -> None:
        self._info, self._make_plan = info, make_plan
        self._plans: dict[int, np.ndarray] = {}

    @property
    def info(self) -> PolicyInfo:
        return self._info

    def reset(self, episode: Episode, slot: int = 0) -> None:
        self._plans[slot] = self._make_plan(episode)

    def infer(self, queries: Mapping[int, Query], candidates: int = 1) -> dict[int, Chunk]:
        return {slot: self._chunk(slot, query, candidates) for slot, query in queries.items()}

    def _chunk(self, slot: int, query: Query, candidates: int) -> Chunk:
        if slot not in self._plans:
            raise InvalidInputError(f"slot {slot} was not reset; reset: {sorted(self._plans) or 'none'}")
        targets = _slice(self._plans[slot], query.request.progress / CONTROL_DT)
        repeated = np.tile(targets, (candidates, 1, 1))
        return Chunk(query.observation.stamp_ns, repeated, CONTROL_DT, policy=self._info.name)


def _slice(plan: np.ndarray, start: float) -> np.ndarray:
    """HORIZON targets of `plan` (n, 14) from the fractional step `start` on, linear between steps."""
    at = np.minimum(start + np.arange(HORIZON), len(plan) - 1)
    whole = np.minimum(at.astype(int), len(plan) - 2)
    fraction = (at - whole)[:, None]
    return plan[whole] + fraction * (plan[whole + 1] - plan[whole])

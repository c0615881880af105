"""The scripted expert as a policy: it knows the scene from the episode's seed and answers with slices of its plan."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from speedtune_ros.aloha import CONTROL_DT
from speedtune_ros.errors import InvalidInputError
from speedtune_ros.policies.policy import PolicyInfo
from speedtune_ros.simulation import Simulation
from speedtune_ros.tasks.task import Task
from speedtune_ros.types import Chunk, Episode, Query

HORIZON = 100


class ExpertPolicy:
    """Implements Policy by the task's demonstration, planned once an episode for the arms of `profile`.

    A chunk is the plan from the request's progress on, its last target repeated past the end.
    """

    def __init__(self, task: Task, profile: str = "act") -> None:
        self._simulation = Simulation(task, profile)  # never stepped: rebuilds the scene to plan in
        self._plans: dict[int, np.ndarray] = {}
        self._info = PolicyInfo("expert", task.name, profile, HORIZON, CONTROL_DT)

    @property
    def info(self) -> PolicyInfo:
        return self._info

    def plan(self, episode: Episode) -> np.ndarray:
        """The whole demonstration of `episode`: (episode_steps, 14), target i at demonstration time i * 20 ms."""
        self._simulation.reset(episode)
        return self._simulation.demonstration(episode)

    def reset(self, episode: Episode, slot: int = 0) -> None:
        self._plans[slot] = self.plan(episode)

    def infer(self, queries: Mapping[int, Query], candidates: int = 1) -> dict[int, Chunk]:
        return {slot: self._chunk(slot, query, candidates) for slot, query in queries.items()}

    def _chunk(self, slot: int, query: Query, candidates: int) -> Chunk:
        if slot not in self._plans:
            raise InvalidInputError(f"slot {slot} was not reset; reset: {sorted(self._plans) or 'none'}")
        targets = _slice(self._plans[slot], query.request.progress / CONTROL_DT)
        return Chunk(query.observation.stamp_ns, np.tile(targets, (candidates, 1, 1)), CONTROL_DT, policy="expert")


def _slice(plan: np.ndarray, start: float) -> np.ndarray:
    """HORIZON targets of `plan` (n, 14) from the fractional step `start` on, linear between steps."""
    at = np.minimum(start + np.arange(HORIZON), len(plan) - 1)
    whole = np.minimum(at.astype(int), len(plan) - 2)
    fraction = (at - whole)[:, None]
    return plan[whole] + fraction * (plan[whole + 1] - plan[whole])

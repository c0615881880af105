"""The scripted expert as a policy: it knows the scene from the episode's seed and answers with slices of its plan."""

from __future__ import annotations

import numpy as np

from speedtune_ros.aloha import CONTROL_DT
from speedtune_ros.policies.plan import HORIZON, PlanPolicy
from speedtune_ros.policies.policy import PolicyInfo
from speedtune_ros.simulation import Simulation
from speedtune_ros.tasks.task import Task
from speedtune_ros.types import Episode


class ExpertPolicy(PlanPolicy):
    """The task's demonstration, planned once an episode for the arms of `profile`."""

    def __init__(self, task: Task, profile: str = "act") -> None:
        super().__init__(PolicyInfo("expert", task.name, profile, HORIZON, CONTROL_DT), self.plan)
        self._simulation = Simulation(task, profile)  # never stepped: rebuilds the scene to plan in

    def plan(self, episode: Episode) -> np.ndarray:
        """The whole demonstration of `episode`: (episode_steps, 14), target i at demonstration time i * 20 ms."""
        self._simulation.reset(episode)
        return self._simulation.demonstration(episode)

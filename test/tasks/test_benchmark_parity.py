"""The benchmark's tasks behave as in gym-aloha's own environment."""

from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.simulation import Simulation
from speedtune_ros.tasks.insertion import Insertion
from speedtune_ros.tasks.task import Task
from speedtune_ros.tasks.transfer_cube import TransferCube
from speedtune_ros.types import Episode


@pytest.mark.parametrize("task", (TransferCube(), Insertion()), ids=lambda task: task.name)
def test_benchmark_parity(task: Task) -> None:
    """The same targets in gym-aloha's own environment: the same joint positions and rewards, a whole episode."""
    env_module = pytest.importorskip("gym_aloha.env")
    benchmark = pytest.importorskip("gym_aloha.tasks.sim")
    environment = env_module.AlohaEnv(task.name)
    theirs, physics = environment._env.task, environment._env.physics
    # Its three 640x480 frames with shadows a step take minutes an episode; the rest of the environment is its own.
    theirs.get_observation = lambda physics: {"images": {"top": np.zeros((1, 1, 3), np.uint8)}}
    simulation = Simulation(task, "act")
    episode = Episode("", task.name, 11)
    simulation.reset(episode)
    benchmark.BOX_POSE[0] = simulation.robot.data.qpos[16:].copy()
    environment._env.reset()
    rewards = []
    for command in simulation.demonstration(episode):
        _, reward, *_ = environment.step(command)
        simulation.step(command)
        np.testing.assert_allclose(simulation.robot.state().qpos, theirs.get_qpos(physics), atol=1e-6, rtol=0)
        np.testing.assert_allclose(simulation.robot.state().qvel, theirs.get_qvel(physics), atol=1e-6, rtol=0)
        assert reward == simulation.reward
        rewards.append(reward)
    assert (rewards[0], max(rewards)) == (0, 4)

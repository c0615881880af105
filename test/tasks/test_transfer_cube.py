from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.simulation import Simulation
from speedtune_ros.tasks.transfer_cube import TransferCube
from speedtune_ros.types import Episode


def first_steps(simulation: Simulation, seed: int) -> dict[int, int]:
    """When each reward was first reached on the expert's way."""
    simulation.reset(Episode("", "transfer_cube", seed))
    first: dict[int, int] = {}
    for command in simulation.demonstration(Episode("", "transfer_cube", seed)):
        simulation.step(command)
        first.setdefault(simulation.reward, simulation.steps)
    return first


def test_cube_starts_inside_the_benchmarks_square() -> None:
    simulation = Simulation(TransferCube())
    cubes = []
    for seed in range(200):
        simulation.reset(Episode("", "transfer_cube", seed))
        cubes.append(simulation.robot.data.body("box").xpos.copy())
    low, high = np.min(cubes, axis=0), np.max(cubes, axis=0)
    assert (low >= [0.0, 0.4, 0.05]).all() and (high <= [0.2, 0.6, 0.05]).all()
    assert (low[:2] < [0.01, 0.41]).all() and (high[:2] > [0.19, 0.59]).all()


@pytest.mark.parametrize("profile", ("act", "identified"))
def test_expert_keeps_the_published_pace(profile: str) -> None:
    first = first_steps(Simulation(TransferCube(), profile), 5)
    assert 130 <= first[1] <= 170  # grasped while the right gripper closes
    assert 170 - 20 <= first[2] <= 220
    assert 260 <= first[4] <= 320


def test_plan_waypoints_keep_the_published_pace() -> None:
    simulation = Simulation(TransferCube())
    simulation.reset(Episode("", "transfer_cube", 5))
    plan = simulation.demonstration(Episode("", "transfer_cube", 5))
    speed = np.abs(np.diff(plan[:, :], axis=0)).max(axis=1)  # (399,) per tick, both arms
    right_arm = np.abs(np.diff(plan[:, 7:13], axis=0)).max(axis=1)
    for step in (90, 130, 170, 220):  # the right arm rests at its waypoints
        assert right_arm[step - 1 : step + 1].max() < 2e-3
    assert plan[129, 13] > 0.99 and plan[170, 13] == 0.0  # closes from 130 to 170
    assert plan[285, 13] == 0.0 and plan[310, 13] == 1.0  # lets go by 310
    assert plan[259, 6] > 0.99 and plan[310, 6] == 0.0  # the left gripper closes from 260 to 310
    assert speed[360:].max() == 0.0

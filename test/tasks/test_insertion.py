from __future__ import annotations

import mujoco
import numpy as np
import pytest

from speedtune_ros.simulation import Simulation
from speedtune_ros.tasks.insertion import Insertion
from speedtune_ros.tasks.scene import set_free_body
from speedtune_ros.types import Episode


def episode(seed: int) -> Episode:
    return Episode("", "insertion", seed)


def test_parts_start_inside_the_benchmarks_rectangles() -> None:
    simulation = Simulation(Insertion())
    poses = []
    for seed in range(200):
        simulation.reset(episode(seed))
        poses.append([simulation.robot.data.body(part).xpos.copy() for part in ("peg", "socket")])
    low, high = np.min(poses, axis=0), np.max(poses, axis=0)  # (2, 3)
    bounds = np.array([[[0.1, 0.4, 0.05], [0.2, 0.6, 0.05]], [[-0.2, 0.4, 0.05], [-0.1, 0.6, 0.05]]])
    assert (low >= bounds[:, 0]).all() and (high <= bounds[:, 1]).all()
    np.testing.assert_allclose(low, bounds[:, 0], atol=0.01)
    np.testing.assert_allclose(high, bounds[:, 1], atol=0.01)


@pytest.mark.parametrize(
    ("socket", "peg", "reward"),
    [
        (0.0219, (0.0, 0.5, 0.15), 0),  # the socket stands on the table
        (0.0219, (0.0, 0.5, 0.0535), 0),  # the peg lies on it
        (0.2, (0.15, 0.5, 0.2), 0),  # both in the air, the ends 3 cm apart
        (0.2, (0.0, 0.5, 0.2315), 3),  # the peg lies on the socket
        (0.2, (0.1195, 0.5075, 0.2), 0),  # in the opening, between the walls
        (0.2, (0.1195, 0.5085, 0.2), 3),  # in the opening, against a wall
        (0.2, (0.0995, 0.5, 0.2), 4),  # against the pin
    ],
)
def test_reward_by_hand(socket: float, peg: tuple[float, float, float], reward: int) -> None:
    """The socket is at (0, .5, `socket`): 12 cm long, walls from 18 to 22 mm off its axis, its pin 8 cm long."""
    task = Insertion()
    model = task.spec().compile()
    data = mujoco.MjData(model)
    data.qpos[:] = model.key_qpos[0]
    set_free_body(model, data, "blue_socket_joint", np.array([0.0, 0.5, socket]))
    set_free_body(model, data, "red_peg_joint", np.array(peg))
    mujoco.mj_forward(model, data)
    assert task.reward(model, data) == reward


@pytest.mark.parametrize("profile", ("act", "identified"))
def test_expert_keeps_the_published_pace(profile: str) -> None:
    simulation = Simulation(Insertion(), profile)
    simulation.reset(episode(5))
    first: dict[int, int] = {}
    for command in simulation.demonstration(episode(5)):
        simulation.step(command)
        first.setdefault(simulation.reward, simulation.steps)
    assert 170 <= first[1] <= 220 + 5  # both held while the grippers close
    assert 220 <= first[2] <= 285
    assert 300 <= first[4] <= 360


def test_plan_waypoints_keep_the_published_pace() -> None:
    simulation = Simulation(Insertion())
    simulation.reset(episode(5))
    plan = simulation.demonstration(episode(5))
    moved = np.abs(np.diff(plan, axis=0))  # (399, 14)
    for step in (120, 170, 220, 285, 340):  # both arms rest at their waypoints
        assert moved[step - 1 : step + 1, [*range(6), *range(7, 13)]].max() < 2e-3
    for gripper in (6, 13):
        assert plan[169, gripper] > 0.99 and plan[220, gripper] == 0.0
    assert moved[340:].max() == 0.0

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from speedtune_ros.errors import SpeedtuneError
from speedtune_ros.simulation import Simulation
from speedtune_ros.tasks.motion import Waypoint, minimum_jerk, plan
from speedtune_ros.tasks.transfer_cube import TransferCube

FORWARD = {"left": Rotation.identity(), "right": Rotation.from_euler("z", 180.0, degrees=True)}


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return Simulation(TransferCube(), "identified")


def waypoints(side: str, *points: tuple[int, tuple[float, float, float], float]) -> list[Waypoint]:
    return [Waypoint(step, np.array(position), FORWARD[side], gripper) for step, position, gripper in points]


def test_minimum_jerk_by_hand() -> None:
    np.testing.assert_allclose(minimum_jerk(np.array([0.0, 0.25, 0.5, 1.0])), [0.0, 53 / 512, 0.5, 1.0])


def test_plan_holds_the_tools_at_their_waypoints_against_gravity(simulation: Simulation) -> None:
    simulation.initial_command = simulation.robot.reset()
    goal = {"left": (-0.1, 0.5, 0.3), "right": (0.1, 0.45, 0.25)}
    paths = {side: waypoints(side, (0, goal[side], 0.1), (100, goal[side], 0.8)) for side in goal}
    for command in plan(simulation.robot.model, simulation.robot.data.qpos, paths, 200):
        simulation.step(command)
    for side, position in goal.items():
        tool = simulation.robot.data.site(f"{side}_tool")
        np.testing.assert_allclose(tool.xpos, position, atol=2e-3)
        np.testing.assert_allclose(tool.xmat.reshape(3, 3), FORWARD[side].as_matrix(), atol=2e-2)


def test_plan_rests_at_both_ends(simulation: Simulation) -> None:
    simulation.robot.reset()
    paths = {side: waypoints(side, (0, (0.0, 0.5, 0.3), 0.0), (50, (0.0, 0.5, 0.3), 1.0)) for side in FORWARD}
    commands = plan(simulation.robot.model, simulation.robot.data.qpos, paths, 80)
    assert commands.shape == (80, 14)
    assert np.abs(np.diff(commands, axis=0))[[0, 49]].max() < 1e-3
    np.testing.assert_array_equal(commands[50:], np.tile(commands[50], (30, 1)))
    assert commands[0, 6] == 0.0 and commands[50, 6] == 1.0


def test_out_of_reach_is_refused(simulation: Simulation) -> None:
    simulation.robot.reset()
    paths = {side: waypoints(side, (0, (0.0, 0.5, 2.0), 0.0), (50, (0.0, 0.5, 2.0), 1.0)) for side in FORWARD}
    with pytest.raises(SpeedtuneError, match="no joint angles reach"):
        plan(simulation.robot.model, simulation.robot.data.qpos, paths, 80)

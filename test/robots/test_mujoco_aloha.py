from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.errors import InvalidInputError, UnknownNameError
from speedtune_ros.robots.mujoco_aloha import MujocoAloha
from speedtune_ros.robots.profiles import make_profile
from speedtune_ros.tasks.transfer_cube import TransferCube


@pytest.fixture
def robot() -> MujocoAloha:
    robot = MujocoAloha(TransferCube().spec(), make_profile("identified"))
    robot.reset()
    return robot


def test_start_pose_by_hand(robot: MujocoAloha) -> None:
    gripper = (0.02239 - 0.01844) / (0.058 - 0.01844)
    np.testing.assert_allclose(robot.state().qpos, [0, -0.96, 1.16, 0, -0.3, 0, gripper] * 2, atol=1e-12)
    np.testing.assert_array_equal(robot.state().qvel, np.zeros(14))


def test_each_joint_follows_its_own_target(robot: MujocoAloha) -> None:
    start = robot.state().qpos
    for joint in range(14):
        start = robot.reset()
        target = start.copy()
        target[joint] += 0.2
        robot.command(target)
        for _ in range(60):
            robot.advance()
        moved = robot.state().qpos - start
        assert moved[joint] == pytest.approx(0.2, abs=0.04)
        assert np.abs(np.delete(moved, joint)).max() < 0.04


def test_right_finger_mirrors_the_left_one(robot: MujocoAloha) -> None:
    target = robot.state().qpos.copy()
    target[[6, 13]] = [0.3, 0.9]
    robot.command(target)
    for _ in range(100):
        robot.advance()
    fingers = robot.data.qpos[[6, 7, 14, 15]]
    np.testing.assert_allclose(fingers[[0, 2]], -fingers[[1, 3]], atol=5e-4)
    np.testing.assert_allclose(robot.state().qpos[[6, 13]], [0.3, 0.9], atol=0.02)


def test_clock_counts_control_ticks_from_the_reset_stamp(robot: MujocoAloha) -> None:
    robot.reset(stamp_ns=5_000)
    robot.advance()
    robot.advance()
    assert robot.state().stamp_ns == 40_005_000
    assert robot.data.time == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (np.zeros(13), r"command: expected shape \(14,\), got \(13,\)"),
        (np.full(14, np.nan), r"command: not finite at index \(0,\)"),
        (np.zeros((1, 14)), r"expected shape \(14,\), got \(1, 14\)"),
    ],
)
def test_bad_commands_are_refused(robot: MujocoAloha, command: np.ndarray, message: str) -> None:
    before = robot.data.ctrl.copy()
    with pytest.raises(InvalidInputError, match=message):
        robot.command(command)
    np.testing.assert_array_equal(robot.data.ctrl, before)


def test_unknown_camera_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="unknown camera 'topp'; available: angle.*top.*Did you mean 'top'"):
        MujocoAloha(TransferCube().spec(), make_profile("act"), {"topp": (96, 96)})


def test_effort_balances_gravity_at_rest(robot: MujocoAloha) -> None:
    for _ in range(100):
        robot.advance()
    arms = [1, 2, 4, 8, 9, 11]
    dofs = [1, 2, 4, 9, 10, 12]
    np.testing.assert_allclose(robot.effort()[arms], robot.data.qfrc_bias[dofs], atol=0.02)


def test_broken_physics_is_noticed(robot: MujocoAloha) -> None:
    robot.advance()
    assert not robot.unstable
    robot.data.qvel[:] = np.inf
    robot.advance()
    assert robot.unstable
    robot.advance()
    assert robot.unstable
    robot.reset()
    robot.advance()
    assert not robot.unstable

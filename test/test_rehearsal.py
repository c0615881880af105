"""The rehearsal stays above the table, away from the other arm and inside the limits, at every speed that is chosen."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from speedtune_ros.aloha import ARM_JOINTS, ARMS, CONTROL_DT, GRIPPERS, SIDES, start_pose
from speedtune_ros.rehearsal import STEPS, rehearsal, rehearsed
from speedtune_ros.robots.profiles import make_profile
from speedtune_ros.simulation import Simulation
from speedtune_ros.tasks.scene import tool_site
from speedtune_ros.tasks.transfer_cube import TransferCube
from speedtune_ros.types import Episode, InferenceRequest, Observation, Query, RobotState

FASTEST = 4.5


def test_it_begins_and_ends_at_the_start_and_moves_every_gripper() -> None:
    plan = rehearsed()
    assert plan.shape == (STEPS, 14)
    np.testing.assert_allclose(plan[[0, -1]], [start_pose()] * 2, atol=1e-12)
    assert plan[60, GRIPPERS[0]] == plan[60, GRIPPERS[1]] == 1.0
    np.testing.assert_allclose(plan[130, :6] - start_pose()[:6], [0.0, 0.2, 0.0, 0.0, -0.1, 0.0], atol=1e-12)


def test_it_keeps_the_limits_of_real_arms_at_the_highest_speed() -> None:
    plan, limits = rehearsed(), make_profile("hardware").limits
    assert (plan >= limits.lower).all() and (plan <= limits.upper).all()
    rates = np.abs(np.diff(plan, axis=0)).max(0) / CONTROL_DT
    assert rates[list(ARMS)].max() < 0.7  # [rad/s], at demonstrated speed
    assert (FASTEST * rates[list(ARMS)] < limits.velocity[list(ARMS)]).all()


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return Simulation(TransferCube(), "hardware").robot.model


def test_fingers_stay_above_the_table_and_hands_apart(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    joints = [model.joint(f"vx300s_{side}/{joint}").qposadr[0] for side in SIDES for joint in ARM_JOINTS]
    sites = [model.site(tool_site(side)).id for side in SIDES]
    for targets in rehearsed()[::10]:
        data.qpos[joints] = targets[list(ARMS)]
        mujoco.mj_kinematics(model, data)
        left, right = data.site_xpos[sites]
        assert min(left[2], right[2]) > 0.2  # [m]
        assert np.linalg.norm(left - right) > 0.2


def test_chunks_follow_the_progress_for_any_task() -> None:
    policy = rehearsal("fold_a_towel", "hardware")
    assert (policy.info.name, policy.info.task, policy.info.profile) == ("rehearsal", "fold_a_towel", "hardware")
    policy.reset(Episode("one", "fold_a_towel", 7))
    still = RobotState(5, np.zeros(14), np.zeros(14))
    chunk = policy.infer({0: Query(Observation(still), InferenceRequest(0, 5, progress=2.0))})[0]
    assert (chunk.policy, chunk.stamp_ns) == ("rehearsal", 5)
    np.testing.assert_allclose(chunk.targets[0], rehearsed()[100:200], atol=1e-6)

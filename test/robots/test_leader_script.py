"""Leaders that move without hands."""

from __future__ import annotations

import numpy as np
import pytest

from speedtune_ros.aloha import start_pose
from speedtune_ros.errors import InvalidInputError
from speedtune_ros.robots.leader_script import LeaderScript

PLAN = start_pose() + np.linspace(0.0, 0.5, 51)[:, None] * np.eye(14)[0]  # one second at 0.5 rad/s


def test_it_goes_round_and_round() -> None:
    asleep = start_pose() - 0.2
    script = LeaderScript(asleep, PLAN, rest=1.0, speed=0.5)
    np.testing.assert_allclose(script.at(0.0), asleep)
    begins = script.begins
    for turn in (begins, begins + script.round):
        np.testing.assert_allclose(script.at(turn - 0.5), PLAN[0])
        np.testing.assert_allclose(script.at(turn + 0.5), PLAN[25], atol=1e-9)
        np.testing.assert_allclose(script.at(turn + 1.5), PLAN[-1])
    np.testing.assert_allclose(script.at(begins + script.round - 1.0), PLAN[0], atol=1e-6)


def test_it_never_leaps() -> None:
    script = LeaderScript(start_pose() - 0.2, PLAN, rest=0.5, speed=0.5)
    poses = np.array([script.at(0.01 * i) for i in range(int(100 * (script.begins + 2.5 * script.round)))])
    assert np.abs(np.diff(poses, axis=0)).max() <= 0.01  # 1 rad/s


def test_a_plan_of_other_joints_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"plan: expected shape \(None, 14\), got \(3, 7\)"):
        LeaderScript(start_pose(), np.zeros((3, 7)), 1.0, 0.5)
